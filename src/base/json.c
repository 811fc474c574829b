/* json.c - JSON with a depth limit, duplicate keys refused, and messages that name the file and the key: the tree builder reads
 * what is good, jansson finds the words for what is not. */
#include "base/base.h"

#include <math.h>
#include <string.h>

enum { JSON_DEPTH = 128, INTEGER_DIGITS = 19, LOAD_FLAGS = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL };

/* Nesting of brackets outside strings; jansson itself recurses to its own larger limit. */
static bool depth_is_fine(const char *text, size_t len)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\') i++;
            else if (c == '"') in_string = false;
        } else if (c == '"') in_string = true;
        else if (c == '[' || c == '{') { if (++depth > JSON_DEPTH) return false; }
        else if (c == ']' || c == '}') depth--;
    }
    return true;
}

/* The same text with long whole numbers written as reals: tokenizer_config.json files have a model_max_length of
 * 1000000000000000019884624838656, which is no 64-bit integer. */
static void integers_as_reals(struct buf *out, const char *text, size_t len)
{
    bool in_string = false;
    for (size_t i = 0, n; i < len; i += n) {
        char c = text[i];
        bool is_number = !in_string && c >= '0' && c <= '9';
        n = in_string && c == '\\' && i + 1 < len ? 2 : 1;
        if (c == '"') in_string = !in_string;
        while (is_number && i + n < len && text[i + n] && strchr("0123456789+-.eE", text[i + n])) n++;
        buf_append(out, text + i, n);
        if (is_number && n >= INTEGER_DIGITS && !memchr(text + i, '.', n) && !memchr(text + i, 'e', n) && !memchr(text + i, 'E', n)) buf_puts(out, "e0");
    }
}

static json_t *load_reals(const char *text, size_t len, json_error_t *e)
{
    struct buf reals;
    buf_init(&reals, 0);
    integers_as_reals(&reals, text, len);
    json_t *loaded = json_loadb(reals.data, reals.len, LOAD_FLAGS, e);
    buf_release(&reals);
    return loaded;
}

/* What the tree builder gives up on. The value, or NULL with the reason in *e: where a number or a word is wrong its text may hold anything. */
static json_t *load(const char *text, size_t len, json_error_t *e, char reason[2 * sizeof e->text])
{
    json_t *loaded = json_loadb(text, len, LOAD_FLAGS, e);
    if (!loaded && json_error_code(e) == json_error_numeric_overflow) loaded = load_reals(text, len, e);
    if (!loaded) error_quote(reason, 2 * sizeof e->text, e->text, strlen(e->text));
    return loaded;
}

sc_status json_read(json_t **out, const char *text, size_t len, const char *what, sc_error *err)
{
    json_error_t e;
    char reason[2 * sizeof e.text];
    if ((*out = json_tree(text, len, JSON_DEPTH))) return SC_OK;
    if (!depth_is_fine(text, len)) return FAIL(err, SC_E_FORMAT, "%s: JSON nested deeper than %d levels", what, JSON_DEPTH);
    *out = load(text, len, &e, reason);
    return *out ? SC_OK : FAIL(err, SC_E_FORMAT, "%s: not valid JSON at line %d, column %d: %s", what, e.line, e.column, reason);
}

sc_status json_read_line(json_t **out, const char *text, size_t len, uint64_t line, sc_error *err)
{
    json_error_t e;
    char reason[2 * sizeof e.text];
    if ((*out = json_tree(text, len, JSON_DEPTH))) return SC_OK;
    if (!depth_is_fine(text, len)) return FAIL(err, SC_E_FORMAT, "line %llu: JSON nested deeper than %d levels", (unsigned long long)line, JSON_DEPTH);
    *out = load(text, len, &e, reason);
    unsigned long long at = line + (*out || e.line < 2 ? 0 : (unsigned)e.line - 1);
    return *out ? SC_OK : FAIL(err, SC_E_FORMAT, "line %llu: not valid JSON in column %d: %s", at, e.column, reason);
}

sc_status json_read_file(json_t **out, const char *path, size_t max_bytes, sc_error *err)
{
    sc_text text = { 0 };
    *out = NULL;
    TRY(file_read(&text, path, max_bytes, err));
    sc_status status = json_read(out, text.data, text.len, path, err);
    sc_text_free(&text);
    return status;
}

static const char *type_name(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a number";
    case JSON_TRUE: case JSON_FALSE: return "true or false";
    default: return "null";
    }
}

/* The member, or NULL when absent or null. */
static const json_t *member(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_null(v) ? NULL : v;
}

static sc_status wrong_type(const json_t *v, const char *key, const char *expected, const char *what, sc_error *err)
{
    return FAIL(err, SC_E_FORMAT, "%s: \"%s\" is %s, expected %s", what, key, type_name(v), expected);
}

sc_status json_opt_int(int64_t *out, const json_t *object, const char *key, int64_t fallback, int64_t min, int64_t max, const char *what, sc_error *err)
{
    const json_t *v = member(object, key);
    *out = fallback;
    if (!v) return SC_OK;
    /* Some writers print whole numbers as 1e4 or 8192.0. */
    double real = json_is_real(v) ? json_real_value(v) : 0;
    bool is_whole = json_is_real(v) && real >= -9e15 && real <= 9e15 && (double)(int64_t)real == real;
    if (!json_is_integer(v) && !is_whole) return wrong_type(v, key, "an integer", what, err);
    int64_t n = json_is_integer(v) ? json_integer_value(v) : (int64_t)real;
    if (n < min || n > max)
        return FAIL(err, SC_E_FORMAT, "%s: \"%s\" is %lld, expected %lld to %lld", what, key, (long long)n, (long long)min, (long long)max);
    *out = n;
    return SC_OK;
}

sc_status json_need_int(int64_t *out, const json_t *object, const char *key, int64_t min, int64_t max, const char *what, sc_error *err)
{
    if (!member(object, key)) return FAIL(err, SC_E_FORMAT, "%s: \"%s\" is missing", what, key);
    return json_opt_int(out, object, key, 0, min, max, what, err);
}

sc_status json_opt_real(double *out, const json_t *object, const char *key, double fallback, double min, double max, const char *what, sc_error *err)
{
    const json_t *v = member(object, key);
    *out = fallback;
    if (!v) return SC_OK;
    if (!json_is_number(v)) return wrong_type(v, key, "a number", what, err);
    double x = json_number_value(v);
    if (!(x >= min && x <= max)) return FAIL(err, SC_E_FORMAT, "%s: \"%s\" is %g, expected %g to %g", what, key, x, min, max);
    *out = x;
    return SC_OK;
}

sc_status json_opt_bool(bool *out, const json_t *object, const char *key, bool fallback, const char *what, sc_error *err)
{
    const json_t *v = member(object, key);
    *out = fallback;
    if (!v) return SC_OK;
    if (!json_is_boolean(v)) return wrong_type(v, key, "true or false", what, err);
    *out = json_is_true(v);
    return SC_OK;
}

sc_status json_opt_string(const char **out, const json_t *object, const char *key, const char *fallback, const char *what, sc_error *err)
{
    const json_t *v = member(object, key);
    *out = fallback;
    if (!v) return SC_OK;
    if (!json_is_string(v)) return wrong_type(v, key, "a string", what, err);
    *out = json_string_value(v);
    return SC_OK;
}

static int append(const char *bytes, size_t len, void *buf)
{
    buf_append(buf, bytes, len);
    return 0;
}

sc_status json_write(sc_text *out, const json_t *value, bool indent)
{
    struct buf b;
    buf_init(&b, 0);
    json_dump_callback(value, append, &b, (indent ? JSON_INDENT(2) : JSON_COMPACT) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    buf_take(&b, out);
    return SC_OK;
}

json_t *json_real_or_null(double x) { return isfinite(x) ? json_real(x) : json_null(); }

void json_put_real(json_t *object, const char *key, double x) { json_object_set_new(object, key, json_real_or_null(x)); }

const char *json_type_words(const json_t *v)
{
    if (!v) return "missing";
    return json_is_null(v) ? "null" : json_is_string(v) ? "a text" : json_is_number(v) ? "a number" : json_is_boolean(v) ? "true or false" : json_is_array(v) ? "a list" : "an object";
}
