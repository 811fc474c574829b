/* settings.c - a file of settings as keys and texts, which option tables then judge: YAML's lists and maps become what a command line would
 * say. Nothing is guessed: what has no such form is refused with its line. */
#include "base/base.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SETTINGS_BYTES = 1 << 20 };

/* The text of a scalar; false if it is none. */
static bool put_scalar(struct buf *b, const json_t *v)
{
    if (json_is_string(v)) buf_append(b, json_string_value(v), json_string_length(v));
    else if (json_is_boolean(v)) buf_puts(b, json_is_true(v) ? "true" : "false");
    else if (json_is_integer(v)) buf_printf(b, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    else if (json_is_real(v) && json_real_value(v) == floor(json_real_value(v)) && fabs(json_real_value(v)) < 1e15) buf_printf(b, "%.0f", json_real_value(v));
    else if (json_is_real(v)) buf_printf(b, "%.17g", json_real_value(v));
    else return false;
    return true;
}

/* A part between commas; a comma of its own would make two of it. */
static sc_status put_part(struct buf *b, const char *name, const json_t *v, sc_error *err)
{
    size_t before = b->len;
    if (b->len) buf_putc(b, ',');
    if (name) buf_printf(b, "%s=", name);
    if (!put_scalar(b, v)) return FAIL(err, SC_E_FORMAT, "a part of it is no plain text or number");
    const char *from = b->data + before + (before > 0);
    if (memchr(from, ',', b->len - (size_t)(from - b->data))) return FAIL(err, SC_E_FORMAT, "a part of it holds a comma, which separates parts");
    if (name && (!*name || strchr(name, '='))) return FAIL(err, SC_E_FORMAT, "a name in it is empty or holds \"=\"");
    return SC_OK;
}

static sc_status put_value(struct buf *b, sc_setting_kind *kind, const json_t *v, sc_error *err)
{
    const char *name;
    json_t *part;
    size_t i;
    *kind = json_is_array(v) ? SC_SETTING_LIST : json_is_object(v) ? SC_SETTING_MAP : SC_SETTING_TEXT;
    if (*kind == SC_SETTING_TEXT) (void)put_scalar(b, v);
    json_array_foreach(v, i, part) TRY(put_part(b, NULL, part, err));
    json_object_foreach((json_t *)(uintptr_t)v, name, part) TRY(put_part(b, name, part, err));
    return b->len && memchr(b->data, 0, b->len) ? FAIL(err, SC_E_FORMAT, "it holds a NUL character") : SC_OK;
}

static sc_status add(sc_settings *out, struct arena *memory, const char *key, const json_t *v, int line, sc_error *err)
{
    struct buf b;
    sc_setting_kind kind;
    buf_init(&b, SETTINGS_BYTES);
    sc_status status = put_value(&b, &kind, v, err);
    if (status == SC_OK && b.is_full) status = FAIL(err, SC_E_FORMAT, "it is too long");
    if (status == SC_OK) out->at[out->n++] = (sc_setting){ arena_strndup(memory, key, strlen(key)), arena_strndup(memory, b.data ? b.data : "", b.len), kind, line };
    buf_release(&b);
    return status;
}

sc_status settings_parse(sc_settings *out, const char *text, size_t len, const char *what, sc_error *err)
{
    json_t *file, *lines, *value;
    const char *key;
    *out = (sc_settings){ 0 };
    TRY(yaml_read(&file, &lines, text, len, what, err));
    sc_status status = SC_OK;
    struct arena *memory = mem_alloc(sizeof *memory);
    arena_init(memory);
    out->memory = memory;
    if (!json_is_object(file) && !json_is_null(file)) status = FAIL(err, SC_E_FORMAT, "%s: expected lines \"key: value\"", what);
    else out->at = arena_take(memory, (json_object_size(file) + 1) * sizeof *out->at);
    json_object_foreach(file, key, value) {
        char shown[80];
        int line = (int)json_integer_value(json_object_get(lines, key));
        if (status != SC_OK) break;
        if (json_is_null(value)) continue;
        status = add(out, memory, key, value, line, err);
        if (status != SC_OK) status = error_prefix(err, status, "%s, line %d: %s", what, line, error_quote(shown, sizeof shown, key, strlen(key)));
    }
    json_decref(file);
    json_decref(lines);
    if (status != SC_OK) sc_settings_free(out);
    return status;
}

sc_status sc_settings_read(sc_settings *out, const char *path, sc_error *err)
{
    sc_text text = { 0 };
    *out = (sc_settings){ 0 };
    TRY(file_read(&text, path, SETTINGS_BYTES, err));
    sc_status status = settings_parse(out, text.data ? text.data : "", text.len, path, err);
    sc_text_free(&text);
    return status;
}

void sc_settings_free(sc_settings *s)
{
    if (s->memory) arena_release(s->memory);
    mem_free(s->memory);
    *s = (sc_settings){ 0 };
}
