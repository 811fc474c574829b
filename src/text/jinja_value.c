/* jinja_value.c - Python's values as templates see them: truth, equality, order, printing. */
#include "jinja_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct value value_str(const struct str *s) { return s ? (struct value) { .kind = V_STRING, .s = s } : value_none(); }
struct value value_text(struct render *r, const char *text, uint8_t mark) { return value_str(str_new(r, text, strlen(text), mark)); }
struct value value_undefined(const char *missing) { return (struct value) { .kind = V_UNDEFINED, .missing = missing }; }

struct value value_list(struct render *r, size_t len, enum list_flavour flavour)
{
    size_t bytes;
    if (!size_mul(len, sizeof(struct value), &bytes) || bytes > JINJA_MEMORY_MAX) return fail(r, "a list grows beyond %d MiB", JINJA_MEMORY_MAX >> 20);
    struct list *l = take(r, sizeof *l + bytes);
    if (!l) return value_none();
    *l = (struct list) { .item = (struct value *)(l + 1), .len = len, .flavour = flavour };
    for (size_t i = 0; i < len; i++) l->item[i] = value_none();
    return (struct value) { .kind = V_LIST, .l = l };
}

struct value value_dict(struct render *r, size_t cap)
{
    struct dict *d = take(r, sizeof *d);
    struct entry *e = take(r, cap * sizeof *e + 1);
    if (!d || !e) return value_none();
    *d = (struct dict) { e, 0, cap };
    return (struct value) { .kind = V_DICT, .d = d };
}

static void dict_append(struct render *r, struct dict *d, struct value key, struct value value)
{
    if (d->len == d->cap) {
        size_t cap = 2 * d->cap + 4;
        struct entry *grown = take(r, cap * sizeof *grown);
        if (!grown) return;
        if (d->len) memcpy(grown, d->entry, d->len * sizeof *grown);
        d->entry = grown;
        d->cap = cap;
    }
    d->entry[d->len++] = (struct entry) { key, value };
}

bool value_need_hash(struct render *r, const struct value *v)
{
    bool can = v->kind != V_DICT && (v->kind != V_LIST || (v->l->flavour != LIST_PLAIN && v->l->flavour != LIST_KEYS && v->l->flavour != LIST_ITEMS));
    if (!can) fail(r, "a %s cannot be the key of a dict or be looked for in one", value_type(v));
    for (size_t i = 0; !failed(r) && v->kind == V_LIST && v->l->flavour == LIST_TUPLE && i < v->l->len && step(r, 1); i++) {
        if (r->depth >= JINJA_DEPTH_MAX) { fail(r, "values are nested too deeply to be keys"); return false; }
        r->depth++;
        value_need_hash(r, &v->l->item[i]);
        r->depth--;
    }
    return !failed(r);
}

void dict_set(struct render *r, struct dict *d, struct value key, struct value value)
{
    if (!value_need_hash(r, &key)) return;
    struct value *old = (struct value *)(uintptr_t)dict_get(r, d, &key);
    if (old) *old = value;
    else dict_append(r, d, key, value);
}

const struct value *dict_get(struct render *r, const struct dict *d, const struct value *key)
{
    if (!step(r, d->len / 8)) return NULL;
    for (size_t i = 0; i < d->len; i++) {
        const struct value *k = &d->entry[i].key;
        bool same = key->kind == V_STRING ? k->kind == V_STRING && str_equal(k->s, key->s) : value_equal(r, k, key);
        if (same) return &d->entry[i].value;
    }
    return NULL;
}

const struct value *dict_get_text(const struct dict *d, const char *key)
{
    for (size_t i = 0; i < d->len; i++)
        if (d->entry[i].key.kind == V_STRING && str_is(d->entry[i].key.s, key)) return &d->entry[i].value;
    return NULL;
}

struct value value_json(struct render *r, const json_t *json, uint8_t fill)
{
    const char *key;
    json_t *member;
    size_t i, len;
    if (!step(r, 0)) return value_none();
    switch (json_typeof(json)) {
    case JSON_TRUE: case JSON_FALSE: return value_bool(json_is_true(json));
    case JSON_INTEGER: return value_int(json_integer_value(json));
    case JSON_REAL: return value_float(json_real_value(json));
    case JSON_STRING: return value_str(str_new(r, json_string_value(json), json_string_length(json), fill));
    case JSON_ARRAY: {
        struct value v = value_list(r, json_array_size(json), LIST_PLAIN);
        json_array_foreach(json, i, member) {
            if (failed(r)) return value_none();
            v.l->item[i] = value_json(r, member, fill);
        }
        return v;
    }
    case JSON_OBJECT: {
        struct value v = value_dict(r, json_object_size(json));
        json_object_keylen_foreach((json_t *)(uintptr_t)json, key, len, member) {
            if (failed(r)) return value_none();
            dict_append(r, v.d, value_str(str_new(r, key, len, fill)), value_json(r, member, fill));
        }
        return v;
    }
    default: return value_none();
    }
}

/* ---- truth, equality, order ------------------------------------------------------------------------------------------- */

bool value_true(const struct value *v)
{
    switch (v->kind) {
    case V_UNDEFINED: case V_NONE: return false;
    case V_BOOL: return v->b;
    case V_INT: return v->i != 0;
    case V_FLOAT: return fpclassify(v->f) != FP_ZERO;
    case V_STRING: return v->s->len != 0;
    case V_LIST: return v->l->flavour == LIST_GENERATOR || v->l->len != 0;
    case V_DICT: return v->d->len != 0;
    default: return true;
    }
}

bool value_is_number(const struct value *v) { return v->kind == V_INT || v->kind == V_FLOAT || v->kind == V_BOOL; }
int64_t value_integer(const struct value *v) { return v->kind == V_BOOL ? v->b : v->i; }
double value_number(const struct value *v) { return v->kind == V_FLOAT ? v->f : (double)value_integer(v); }

static int order_of_real(int64_t i, double f)
{
    if (f >= 9223372036854775808.0) return -1;
    if (f < -9223372036854775808.0) return 1;
    int64_t whole = (int64_t)f;
    double rest = f - (double)whole;
    return i != whole ? (i > whole) - (i < whole) : (rest < 0) - (rest > 0);
}

static int number_order(const struct value *a, const struct value *b)
{
    if (a->kind != V_FLOAT && b->kind != V_FLOAT) {
        int64_t x = value_integer(a), y = value_integer(b);
        return (x > y) - (x < y);
    }
    if (a->kind != V_FLOAT) return order_of_real(value_integer(a), b->f);
    if (b->kind != V_FLOAT) return -order_of_real(value_integer(b), a->f);
    return (a->f > b->f) - (a->f < b->f);
}

static bool is_nan(const struct value *v) { return v->kind == V_FLOAT && isnan(v->f); }

static bool list_equal(struct render *r, const struct list *a, const struct list *b)
{
    if (a->len != b->len || a->flavour != b->flavour || a->flavour == LIST_GENERATOR || a->flavour == LIST_VALUES) return a == b;
    if (!step(r, a->len / 8)) return false;
    for (size_t i = 0; i < a->len; i++)
        if (!value_equal(r, &a->item[i], &b->item[i])) return false;
    return true;
}

static bool dict_equal(struct render *r, const struct dict *a, const struct dict *b)
{
    if (a->len != b->len) return false;
    for (size_t i = 0; i < a->len; i++) {
        const struct value *other = dict_get(r, b, &a->entry[i].key);
        if (!other || !value_equal(r, &a->entry[i].value, other)) return false;
    }
    return true;
}

bool value_equal(struct render *r, const struct value *a, const struct value *b)
{
    bool equal = false;
    if (value_is_number(a) && value_is_number(b)) return !is_nan(a) && !is_nan(b) && number_order(a, b) == 0;
    if (a->kind != b->kind || !step(r, 1)) return false;
    if (r->depth >= JINJA_DEPTH_MAX) { fail(r, "values are nested too deeply to be compared"); return false; }
    r->depth++;
    switch (a->kind) {
    case V_UNDEFINED: case V_NONE: equal = true; break;
    case V_STRING: equal = str_equal(a->s, b->s); break;
    case V_LIST: equal = list_equal(r, a->l, b->l); break;
    case V_DICT: equal = dict_equal(r, a->d, b->d); break;
    case V_CALLABLE: equal = a->c == b->c; break;
    default: equal = a->d == b->d; break;
    }
    r->depth--;
    return equal;
}

int value_compare(struct render *r, const struct value *a, const struct value *b)
{
    if (value_is_number(a) && value_is_number(b)) return number_order(a, b);
    if (a->kind == V_STRING && b->kind == V_STRING) return str_compare(a->s, b->s);
    if (a->kind == V_LIST && b->kind == V_LIST && a->l->flavour == b->l->flavour && (a->l->flavour == LIST_PLAIN || a->l->flavour == LIST_TUPLE)) {
        for (size_t i = 0; i < a->l->len && i < b->l->len && step(r, 1); i++) {
            if (value_equal(r, &a->l->item[i], &b->l->item[i])) continue;
            if (r->depth >= JINJA_DEPTH_MAX) { fail(r, "values are nested too deeply to be compared"); return 0; }
            r->depth++;
            int order = value_compare(r, &a->l->item[i], &b->l->item[i]);
            r->depth--;
            return order;
        }
        return (a->l->len > b->l->len) - (a->l->len < b->l->len);
    }
    fail(r, "%s and %s have no order", value_type(a), value_type(b));
    return 0;
}

bool value_contains(struct render *r, const struct value *container, const struct value *item)
{
    if (container->kind == V_STRING) {
        if (item->kind != V_STRING) { fail(r, "'in' needs a string on its left when a string is on its right, found %s", value_type(item)); return false; }
        step(r, container->s->len / 64);
        return str_find(container->s, item->s, 0) != SIZE_MAX;
    }
    if (container->kind == V_DICT) return value_need_hash(r, item) && dict_get(r, container->d, item) != NULL;
    const struct list *l = value_items(r, container);
    for (size_t i = 0; i < l->len && !failed(r); i++)
        if (value_equal(r, &l->item[i], item)) return true;
    return false;
}

const char *value_type(const struct value *v)
{
    static const char *const names[] = { "Undefined", "NoneType", "bool", "int", "float", "str", "list", "dict", "Namespace", "function", "LoopContext" };
    static const char *const lists[] = { "list", "tuple", "generator", "dict_keys", "dict_values", "dict_items", "range" };
    return v->kind == V_LIST ? lists[v->l->flavour] : names[v->kind];
}

/* ---- sequences ---------------------------------------------------------------------------------------------------------- */

static const struct list no_items = { .flavour = LIST_PLAIN };

static const struct list *characters(struct render *r, const struct str *s)
{
    struct value v = value_list(r, str_length(s), LIST_PLAIN);
    if (failed(r) || !step(r, s->len)) return &no_items;
    for (size_t at = 0, i = 0; i < v.l->len; i++) {
        size_t n = str_offset(&(struct str) { s->s + at, NULL, s->len - at, 0 }, 1);
        v.l->item[i] = value_str(str_view(r, s, at, n));
        at += n;
    }
    return v.l;
}

const struct list *value_items(struct render *r, const struct value *v)
{
    switch (v->kind) {
    case V_UNDEFINED: return &no_items;
    case V_STRING: return characters(r, v->s);
    case V_LIST:
        if (v->l->flavour != LIST_GENERATOR) return v->l;
        if (v->l->is_used) return &no_items;
        v->l->is_used = true;
        return v->l;
    case V_DICT: {
        struct value keys = value_list(r, v->d->len, LIST_PLAIN);
        if (failed(r)) return &no_items;
        for (size_t i = 0; i < v->d->len; i++) keys.l->item[i] = v->d->entry[i].key;
        return keys.l;
    }
    default:
        fail(r, "cannot go through the items of %s, expected a list, dict or string", value_type(v));
        return &no_items;
    }
}

int64_t value_length(struct render *r, const struct value *v)
{
    switch (v->kind) {
    case V_UNDEFINED: return 0;
    case V_STRING: step(r, v->s->len / 64); return (int64_t)str_length(v->s);
    case V_DICT: return (int64_t)v->d->len;
    case V_LIST: if (v->l->flavour != LIST_GENERATOR) return (int64_t)v->l->len; break;
    default: break;
    }
    fail(r, "%s has no length, expected a list, dict or string", value_type(v));
    return -1;
}

/* ---- printing --------------------------------------------------------------------------------------------------------------- */

/* Shortest digits that give the same number back, in Python's layout. */
void float_repr(char out[40], double f)
{
    char text[40];
    if (isnan(f) || isinf(f)) { snprintf(out, 40, "%s", isnan(f) ? "nan" : f < 0 ? "-inf" : "inf"); return; }
    int digits = 1;
    for (; digits < 17; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, f);
        double back = strtod(text, NULL);
        if (memcmp(&back, &f, sizeof f) == 0) break;
    }
    snprintf(text, sizeof text, "%.*e", digits - 1, f);
    int exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    if (exponent < -4 || exponent >= 16) {
        snprintf(out, 40, "%.*se%s%02d", (int)(strchr(text, 'e') - text) % 32, text, exponent < 0 ? "-" : "+", abs(exponent));
    } else {
        int places = digits - 1 - exponent;
        snprintf(out, 40, "%.*f", places > 1 ? places : 1, f);
    }
}

static void repr_string(struct builder *b, const struct str *s)
{
    char quote = memchr(s->s, '\'', s->len) && !memchr(s->s, '"', s->len) ? '"' : '\'', escape[16];
    builder_put(b, &quote, 1, 0);
    for (size_t at = 0; at < s->len && !failed(b->r);) {
        uint32_t c = 0;
        int n = utf8_next(s->s + at, s->len - at, &c);
        size_t bytes = n > 0 ? (size_t)n : 1;
        if (c == '\\' || c == (uint32_t)quote) snprintf(escape, sizeof escape, "\\%c", (char)c);
        else if (c == '\n' || c == '\r' || c == '\t') snprintf(escape, sizeof escape, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (c < 0x80 ? c < 0x20 || c == 0x7F : !char_is_printable(c)) snprintf(escape, sizeof escape, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
        else escape[0] = 0;
        if (escape[0]) builder_puts(b, escape);
        else builder_put(b, s->s + at, bytes, str_mark(s, at));
        at += bytes;
    }
    builder_put(b, &quote, 1, 0);
}

static void repr_list(struct builder *b, const struct list *l, int depth)
{
    static const char *const open[] = { "[", "(", "", "dict_keys([", "dict_values([", "dict_items([", "" }, *const close[] = { "]", ")", "", "])", "])", "])", "" };
    if (l->flavour == LIST_GENERATOR) { builder_puts(b, "<generator object>"); return; }
    if (l->flavour == LIST_RANGE) {
        char text[100];
        snprintf(text, sizeof text, l->step == 1 ? "range(%lld, %lld)" : "range(%lld, %lld, %lld)", (long long)l->start, (long long)l->stop, (long long)l->step);
        builder_puts(b, text);
        return;
    }
    builder_puts(b, open[l->flavour]);
    for (size_t i = 0; i < l->len && !failed(b->r); i++) {
        if (i) builder_puts(b, ", ");
        value_repr(b, &l->item[i], depth + 1);
    }
    if (l->flavour == LIST_TUPLE && l->len == 1) builder_puts(b, ",");
    builder_puts(b, close[l->flavour]);
}

static void repr_dict(struct builder *b, const struct dict *d, int depth)
{
    builder_puts(b, "{");
    for (size_t i = 0; i < d->len && !failed(b->r); i++) {
        if (i) builder_puts(b, ", ");
        value_repr(b, &d->entry[i].key, depth + 1);
        builder_puts(b, ": ");
        value_repr(b, &d->entry[i].value, depth + 1);
    }
    builder_puts(b, "}");
}

void value_repr(struct builder *b, const struct value *v, int depth)
{
    char text[64];
    if (depth > JINJA_VALUE_DEPTH_MAX) { fail(b->r, "values are nested too deeply to be printed"); return; }
    if (!step(b->r, 1)) return;
    switch (v->kind) {
    case V_UNDEFINED: builder_puts(b, "Undefined"); break;
    case V_NONE: builder_puts(b, "None"); break;
    case V_BOOL: builder_puts(b, v->b ? "True" : "False"); break;
    case V_INT:
        snprintf(text, sizeof text, "%lld", (long long)v->i);
        builder_puts(b, text);
        break;
    case V_FLOAT:
        float_repr(text, v->f);
        builder_puts(b, text);
        break;
    case V_STRING:
        if (v->is_safe) builder_puts(b, "Markup(");
        repr_string(b, v->s);
        if (v->is_safe) builder_puts(b, ")");
        break;
    case V_LIST: repr_list(b, v->l, depth); break;
    case V_DICT: repr_dict(b, v->d, depth); break;
    case V_NAMESPACE:
        builder_puts(b, "<Namespace ");
        repr_dict(b, v->d, depth);
        builder_puts(b, ">");
        break;
    case V_CALLABLE: builder_puts(b, v->c->macro ? "<Macro>" : "<function>"); break;
    case V_LOOP:
        snprintf(text, sizeof text, "<LoopContext %zu/%zu>", v->loop->at + 1, v->loop->list->len);
        builder_puts(b, text);
        break;
    }
}

const struct str *value_to_str(struct render *r, const struct value *v)
{
    struct builder b = { .r = r };
    if (v->kind == V_STRING) return v->s;
    if (v->kind != V_UNDEFINED) value_repr(&b, v, 0);
    return builder_end(&b);
}
