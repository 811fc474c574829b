/* yaml.c - YAML as JSON values, over the events of libyaml. Types of plain scalars: YAML 1.1 as PyYAML's resolver.py reads
 * it, with three differences that people mean: 1e-5 and 1.0e5 are numbers, 1:30 and 2024-01-31 are strings. */
#include "base/base.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { YAML_DEPTH = 32, YAML_NODES = 1 << 16, NUMBER_CHARS = 64 };

/* ---- scalars ------------------------------------------------------------------------------------------------------------ */

static bool is_one_of(const char *text, size_t len, const char *const *words)
{
    for (; *words; words++)
        if (strlen(*words) == len && memcmp(*words, text, len) == 0) return true;
    return false;
}

static json_t *word_value(const char *text, size_t len)
{
    static const char *const yes[] = { "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", NULL };
    static const char *const no[] = { "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", NULL };
    static const char *const none[] = { "", "~", "null", "Null", "NULL", NULL };
    if (is_one_of(text, len, yes)) return json_true();
    if (is_one_of(text, len, no)) return json_false();
    return is_one_of(text, len, none) ? json_null() : NULL;
}

static size_t digits(const char *text, int base)
{
    size_t n = 0;
    for (;; n++) {
        char c = text[n];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
        if (digit >= base) return n;
    }
}

/* 0 if `text` (without its sign) is no whole number. */
static int integer_base(const char *text, size_t *prefix)
{
    *prefix = text[0] == '0' && (text[1] == 'x' || text[1] == 'b') ? 2 : 0;
    int base = *prefix ? (text[1] == 'x' ? 16 : 2) : text[0] == '0' && text[1] ? 8 : 10;
    size_t n = digits(text + *prefix, base);
    return n > 0 && !text[*prefix + n] ? base : 0;
}

static bool is_real(const char *text)
{
    size_t whole = digits(text, 10), fraction = 0;
    const char *at = text + whole;
    if (*at == '.') at += 1 + (fraction = digits(at + 1, 10));
    if (whole + fraction == 0 || !text[whole]) return false;
    if (*at == 'e' || *at == 'E') {
        at++;
        if (*at == '+' || *at == '-') at++;
        size_t n = digits(at, 10);
        if (n == 0) return false;
        at += n;
    }
    return !*at;
}

/* A number without its underscores; false if it cannot be one. */
static bool number_text(char out[NUMBER_CHARS], const char *text, size_t len)
{
    size_t n = 0, first = len > 0 && (text[0] == '+' || text[0] == '-');
    if (len >= NUMBER_CHARS || len == first || text[first] == '_') return false;
    for (size_t i = 0; i < len; i++) {
        if (!text[i] || !strchr("+-._0123456789abcdefABCDEFx", text[i])) return false;
        if (text[i] != '_') out[n++] = text[i];
    }
    out[n] = 0;
    return true;
}

static json_t *number_value(const char *text, size_t len)
{
    char number[NUMBER_CHARS];
    size_t prefix;
    if (!number_text(number, text, len)) return NULL;
    bool is_negative = number[0] == '-';
    const char *unsigned_text = number + (is_negative || number[0] == '+');
    int base = integer_base(unsigned_text, &prefix);
    if (base) {
        errno = 0;
        unsigned long long n = strtoull(unsigned_text + prefix, NULL, base);
        if (errno == 0 && n <= INT64_MAX) return json_integer(is_negative ? -(json_int_t)n : (json_int_t)n);
    }
    if (base == 10 || (!base && is_real(unsigned_text))) {
        double x = strtod(number, NULL);
        return isfinite(x) ? json_real(x) : NULL;
    }
    return NULL;
}

static bool is_endless(const char *text, size_t len)
{
    static const char *const words[] = { ".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN", NULL };
    size_t sign = len > 0 && (text[0] == '+' || text[0] == '-');
    return is_one_of(text + sign, len - sign, words);
}

json_t *yaml_scalar(const char *text, size_t len)
{
    json_t *value = word_value(text, len);
    if (!value && is_endless(text, len)) return NULL;
    if (!value) value = number_value(text, len);
    if (!value && !memchr(text, 0, len)) value = json_stringn(text, len);
    return value;
}

/* ---- documents ------------------------------------------------------------------------------------------------------------ */

struct yaml_build {
    const char *what; sc_error *err;
    json_t *root, *lines;
    json_t *open[YAML_DEPTH]; char *key[YAML_DEPTH];   /* maps and lists begun; the key whose value comes next */
    int depth; size_t nodes, documents;
};

#define FAIL_LINE(b, mark, ...) error_prefix((b)->err, FAIL((b)->err, SC_E_FORMAT, __VA_ARGS__), "%s, line %zu", (b)->what, (mark)->line + 1)

/* Takes `value` over. */
static sc_status put(struct yaml_build *b, json_t *value, const yaml_mark_t *mark)
{
    int top = b->depth - 1;
    if (++b->nodes > YAML_NODES) {
        json_decref(value);
        return FAIL_LINE(b, mark, "more than %d values, which no recipe needs", YAML_NODES);
    }
    if (top < 0) b->root = value;
    else if (json_is_array(b->open[top])) json_array_append_new(b->open[top], value);
    else {
        json_object_set_new_nocheck(b->open[top], b->key[top], value);
        mem_free(b->key[top]);
        b->key[top] = NULL;
    }
    return SC_OK;
}

static bool wants_key(const struct yaml_build *b) { return b->depth > 0 && json_is_object(b->open[b->depth - 1]) && !b->key[b->depth - 1]; }

static sc_status take_key(struct yaml_build *b, const char *text, size_t len, const yaml_mark_t *mark)
{
    char shown[80];
    json_t *map = b->open[b->depth - 1];
    error_quote(shown, sizeof shown, text, len);
    if (memchr(text, 0, len)) return FAIL_LINE(b, mark, "the key \"%s\" holds a NUL character", shown);
    char *key = mem_strndup(text, len);
    if (json_object_get(map, key)) {
        mem_free(key);
        return FAIL_LINE(b, mark, "the key \"%s\" is there twice; remove one", shown);
    }
    b->key[b->depth - 1] = key;
    if (b->depth == 1 && b->lines) json_object_set_new_nocheck(b->lines, key, json_integer((json_int_t)mark->line + 1));
    return SC_OK;
}

static sc_status begin(struct yaml_build *b, json_t *container, const yaml_event_t *e)
{
    sc_status status = SC_OK;
    if (wants_key(b)) status = FAIL_LINE(b, &e->start_mark, "a list or map as a key; keys are plain text");
    else if (b->depth == YAML_DEPTH) status = FAIL_LINE(b, &e->start_mark, "nested deeper than %d levels", YAML_DEPTH);
    if (status != SC_OK) {
        json_decref(container);
        return status;
    }
    TRY(put(b, container, &e->start_mark));
    b->open[b->depth] = container;
    b->key[b->depth++] = NULL;
    return SC_OK;
}

static sc_status scalar(struct yaml_build *b, const yaml_event_t *e)
{
    const char *text = (const char *)e->data.scalar.value, *tag = (const char *)e->data.scalar.tag;
    size_t len = e->data.scalar.length;
    char shown[80];
    bool is_plain = e->data.scalar.plain_implicit;
    error_quote(shown, sizeof shown, tag ? tag : text, tag ? strlen(tag) : len);
    if (tag && strcmp(tag, YAML_STR_TAG) != 0 && strcmp(tag, "!") != 0)
        return FAIL_LINE(b, &e->start_mark, "the tag %s is not understood; leave it out, types are seen from the values", shown);
    if (wants_key(b)) return take_key(b, text, len, &e->start_mark);
    json_t *value = is_plain ? yaml_scalar(text, len) : memchr(text, 0, len) ? NULL : json_stringn(text, len);
    if (!value) return FAIL_LINE(b, &e->start_mark, "\"%s\" is no value that a key can have, expected text without NUL or a finite number", shown);
    return put(b, value, &e->start_mark);
}

static sc_status event(struct yaml_build *b, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        return b->documents++ == 0 ? SC_OK : FAIL_LINE(b, &e->start_mark, "a second document begins; expected one");
    case YAML_ALIAS_EVENT: return FAIL_LINE(b, &e->start_mark, "\"*%.40s\" repeats an earlier value; write it out", (const char *)e->data.alias.anchor);
    case YAML_SCALAR_EVENT: return scalar(b, e);
    case YAML_SEQUENCE_START_EVENT: return begin(b, json_array(), e);
    case YAML_MAPPING_START_EVENT: return begin(b, json_object(), e);
    case YAML_SEQUENCE_END_EVENT: case YAML_MAPPING_END_EVENT: b->depth--; return SC_OK;
    default: return SC_OK;
    }
}

static sc_status parse(struct yaml_build *b, yaml_parser_t *parser)
{
    for (;;) {
        yaml_event_t e;
        if (!yaml_parser_parse(parser, &e))
            return FAIL_LINE(b, &parser->problem_mark, "not valid YAML: %s%s%s", parser->context ? parser->context : "", parser->context ? ", " : "",
                             parser->problem ? parser->problem : "the file cannot be read");
        bool is_end = e.type == YAML_STREAM_END_EVENT;
        sc_status status = event(b, &e);
        yaml_event_delete(&e);
        if (status != SC_OK || is_end) return status;
    }
}

sc_status yaml_read(json_t **out, json_t **lines, const char *text, size_t len, const char *what, sc_error *err)
{
    yaml_parser_t parser;
    struct yaml_build b = { .what = what, .err = err, .lines = lines ? json_object() : NULL };
    *out = NULL;
    if (!yaml_parser_initialize(&parser)) return FAIL(err, SC_E_MEMORY, "%s: no memory to read it", what);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    sc_status status = parse(&b, &parser);
    yaml_parser_delete(&parser);
    for (int i = 0; i < b.depth; i++) mem_free(b.key[i]);
    if (status != SC_OK) {
        json_decref(b.root);
        json_decref(b.lines);
        if (lines) *lines = NULL;
        return status;
    }
    *out = b.root ? b.root : json_null();
    if (lines) *lines = b.lines;
    return SC_OK;
}

sc_status yaml_read_file(json_t **out, json_t **lines, const char *path, size_t max_bytes, sc_error *err)
{
    sc_text text = { 0 };
    *out = NULL;
    if (lines) *lines = NULL;
    TRY(file_read(&text, path, max_bytes, err));
    sc_status status = yaml_read(out, lines, text.data ? text.data : "", text.len, path, err);
    sc_text_free(&text);
    return status;
}
