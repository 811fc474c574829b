/* jinja_json.c - the tojson filter: Python's json.dumps with ensure_ascii=False, as transformers sets it up. */
#include "jinja_filters.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct dumper { struct builder b; const struct json_style *style; };

static void dump(struct dumper *d, const struct value *v, int depth);

static void dump_escaped(struct dumper *d, uint32_t c)
{
    char text[16];
    if (c > 0xFFFF) snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10), 0xDC00 + ((c - 0x10000) & 0x3FF));
    else snprintf(text, sizeof text, "\\u%04x", c);
    builder_puts(&d->b, text);
}

static void dump_string(struct dumper *d, const struct str *s)
{
    static const char from[] = "\"\\\n\r\t\b\f", *const to[] = { "\\\"", "\\\\", "\\n", "\\r", "\\t", "\\b", "\\f" };
    builder_puts(&d->b, "\"");
    for (size_t at = 0; at < s->len && !failed(d->b.r);) {
        uint32_t c = 0;
        int n = utf8_next(s->s + at, s->len - at, &c);
        size_t bytes = n > 0 ? (size_t)n : 1;
        const char *known = c && c < 0x80 ? strchr(from, (int)c) : NULL;
        if (known) builder_puts(&d->b, to[known - from]);
        else if (c < 0x20 || (d->style->is_ascii && c > 0x7E)) dump_escaped(d, c);
        else builder_put(&d->b, s->s + at, bytes, str_mark(s, at));
        at += bytes;
    }
    builder_puts(&d->b, "\"");
}

static void new_line(struct dumper *d, int depth)
{
    if (!d->style->indent) return;
    builder_puts(&d->b, "\n");
    for (int i = 0; i < depth && step(d->b.r, d->style->indent->len / 64); i++) builder_put_str(&d->b, d->style->indent);
}

static void dump_list(struct dumper *d, const struct value *v, int depth)
{
    if (v->l->flavour != LIST_PLAIN && v->l->flavour != LIST_TUPLE) { fail(d->b.r, "tojson cannot write a %s, expected a list: put |list before it", value_type(v)); return; }
    if (!v->l->len) { builder_puts(&d->b, "[]"); return; }
    builder_puts(&d->b, "[");
    for (size_t i = 0; i < v->l->len && !failed(d->b.r); i++) {
        if (i) builder_put_str(&d->b, d->style->item);
        new_line(d, depth + 1);
        dump(d, &v->l->item[i], depth + 1);
    }
    new_line(d, depth);
    builder_puts(&d->b, "]");
}

static void dump_key(struct dumper *d, const struct value *key)
{
    if (key->kind == V_STRING) { dump_string(d, key->s); return; }
    if (key->kind == V_LIST || key->kind == V_DICT) { fail(d->b.r, "tojson cannot write a %s as a key", value_type(key)); return; }
    builder_puts(&d->b, "\"");
    dump(d, key, 0);
    builder_puts(&d->b, "\"");
}

static void dump_dict(struct dumper *d, const struct dict *from, int depth)
{
    const struct entry *entry = from->entry;
    if (!from->len) { builder_puts(&d->b, "{}"); return; }
    if (d->style->sorts && !(entry = entries_by_key(d->b.r, from))) return;
    builder_puts(&d->b, "{");
    for (size_t i = 0; i < from->len && !failed(d->b.r); i++) {
        if (i) builder_put_str(&d->b, d->style->item);
        new_line(d, depth + 1);
        dump_key(d, &entry[i].key);
        builder_put_str(&d->b, d->style->key);
        dump(d, &entry[i].value, depth + 1);
    }
    new_line(d, depth);
    builder_puts(&d->b, "}");
}

static void dump(struct dumper *d, const struct value *v, int depth)
{
    if (depth > JINJA_VALUE_DEPTH_MAX) { fail(d->b.r, "values are nested too deeply for tojson"); return; }
    if (!step(d->b.r, 1)) return;
    switch (v->kind) {
    case V_NONE: builder_puts(&d->b, "null"); break;
    case V_BOOL: builder_puts(&d->b, v->b ? "true" : "false"); break;
    case V_INT: value_repr(&d->b, v, depth); break;
    case V_FLOAT:
        if (isfinite(v->f)) value_repr(&d->b, v, depth);
        else builder_puts(&d->b, isnan(v->f) ? "NaN" : v->f < 0 ? "-Infinity" : "Infinity");
        break;
    case V_STRING: dump_string(d, v->s); break;
    case V_LIST: dump_list(d, v, depth); break;
    case V_DICT: dump_dict(d, v->d, depth); break;
    case V_UNDEFINED: fail(d->b.r, "tojson got a value that is not there: %s is undefined", v->missing); break;
    default: fail(d->b.r, "tojson cannot write a %s", value_type(v)); break;
    }
}

const struct str *value_json_text(struct render *r, const struct value *v, const struct json_style *style)
{
    struct dumper d = { .b.r = r, .style = style };
    dump(&d, v, 0);
    return builder_end(&d.b);
}
