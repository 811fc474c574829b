/* schema_merge.c - what two schemas allow together (allOf, and what stands beside anyOf or $ref), as a third one. It stays on the
 * surface: schemas inside are joined by allOf, and merged when they are come to. */
#include "schema_internal.h"

#include <string.h>

/* How two values of a keyword become one. OWN: only equal ones. */
enum how { OWN, SKIP, LARGER, SMALLER, BOTH_TYPES, BOTH_LISTS, SAME_VALUES, EACH_MEMBER, BOTH_SCHEMAS, BOTH_WAYS, LISTS_JOINED };
static const struct { const char *key; enum how how; bool is_annotation; } keywords[] = {
    { "title", SKIP, true }, { "description", SKIP, true }, { "default", SKIP, true }, { "examples", SKIP, true }, { "example", SKIP, true }, { "$schema", SKIP, true },
    { "$id", SKIP, true }, { "$comment", SKIP, true }, { "deprecated", SKIP, true }, { "readOnly", SKIP, true }, { "writeOnly", SKIP, true }, { "$defs", SKIP, true },
    { "definitions", SKIP, true }, { "strict", SKIP, true }, { "discriminator", SKIP, true },
    { "contentEncoding", SKIP, true }, { "contentMediaType", SKIP, true }, { "externalDocs", SKIP, true }, { "xml", SKIP, true },
    { "minimum", LARGER, false }, { "exclusiveMinimum", LARGER, false }, { "minLength", LARGER, false }, { "minItems", LARGER, false },
    { "maximum", SMALLER, false }, { "exclusiveMaximum", SMALLER, false }, { "maxLength", SMALLER, false }, { "maxItems", SMALLER, false },
    { "type", BOTH_TYPES, false }, { "required", LISTS_JOINED, false }, { "enum", SAME_VALUES, false }, { "properties", EACH_MEMBER, false },
    { "items", BOTH_SCHEMAS, false }, { "additionalProperties", BOTH_SCHEMAS, false }, { "anyOf", BOTH_WAYS, false }, { "oneOf", BOTH_WAYS, false }, { "$ref", BOTH_WAYS, false },
    { "allOf", LISTS_JOINED, false }, { "const", OWN, false }, { "pattern", OWN, false }, { "format", OWN, false }, { "prefixItems", OWN, false }, { "nullable", OWN, false },
};

static int row_of(const char *key)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (strcmp(keywords[i].key, key) == 0) return (int)i;
    return -1;
}

/* Keywords that are not supported, with values that forbid nothing: generators of schemas write them. */
static bool forbids_nothing(const json_t *schema, const char *key, const json_t *value)
{
    const char *type = json_string_value(json_object_get(value, "type"));
    if (strcmp(key, "uniqueItems") == 0) return json_is_false(value);
    if (strcmp(key, "minProperties") == 0) return json_is_integer(value) && json_integer_value(value) == 0;
    if (strcmp(key, "propertyNames") == 0) return json_is_true(value) || (json_object_size(value) == 1 && type && strcmp(type, "string") == 0);
    type = json_string_value(json_object_get(schema, "type"));
    return strcmp(key, "multipleOf") == 0 && json_is_integer(value) && json_integer_value(value) == 1 && type && strcmp(type, "integer") == 0;
}

bool schema_is_known(const json_t *schema, const char *key, const json_t *value) { return row_of(key) >= 0 || forbids_nothing(schema, key, value); }
bool schema_is_annotation(const char *key) { int r = row_of(key); return r >= 0 && keywords[r].is_annotation; }

static json_t *keep(struct schema *x, json_t *value)
{
    json_array_append_new(x->owned, value);
    return value;
}

json_t *schema_without(struct schema *x, const json_t *schema, const char *key)
{
    json_t *copy = keep(x, json_copy((json_t *)schema));
    json_object_del(copy, key);
    return copy;
}

/* ---- $ref -------------------------------------------------------------------------------------------------------------------------- */

/* One step of a JSON pointer, with ~0, ~1 and %XX resolved. */
static bool pointer_step(const char **at, struct buf *out)
{
    buf_clear(out);
    for (const char *p = *at; ; p++) {
        if (!*p || *p == '/') { *at = p; return true; }
        if (*p == '~') {
            if (p[1] != '0' && p[1] != '1') return false;
            buf_putc(out, *++p == '0' ? '~' : '/');
        } else if (*p == '%') {
            char hex[3] = { p[1], p[1] ? p[2] : 0, 0 }, *end;
            long c = strtol(hex, &end, 16);
            if (end != hex + 2 || c == 0) return false;
            buf_putc(out, (char)c);
            p += 2;
        } else buf_putc(out, *p);
    }
}

sc_status schema_resolve(struct schema *x, const char *ref, const json_t **out)
{
    const char *at = ref + 1;
    char quoted[80];
    struct buf step;
    const json_t *s = x->root;
    if (ref[0] != '#') return schema_refuse(x, "$ref", "\"%s\" is in another document; only #/... inside this one is followed", error_quote(quoted, sizeof quoted, ref, strlen(ref)));
    buf_init(&step, 0);
    while (s && *at) {
        bool is_pointer = *at++ == '/' && pointer_step(&at, &step);
        const char *name = step.data ? step.data : "";
        if (!is_pointer) s = NULL;
        else if (json_is_array(s)) {
            char *end;
            unsigned long i = strtoul(name, &end, 10);
            s = *name >= '0' && *name <= '9' && !*end ? json_array_get(s, i) : NULL;
        } else s = json_object_get(s, name);
    }
    buf_release(&step);
    if (!s) return schema_refuse(x, "$ref", "\"%s\" names nothing in this schema", error_quote(quoted, sizeof quoted, ref, strlen(ref)));
    *out = s;
    return SC_OK;
}

/* ---- two values of one keyword -------------------------------------------------------------------------------------------------------- */

static json_t *all_of(json_t *a, json_t *b) { return json_pack("{s:[O,O]}", "allOf", a, b); }

static json_t *as_list(json_t *v) { return json_is_array(v) ? json_incref(v) : json_pack("[O]", v); }

static bool has_type(const json_t *list, const char *type)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *t = json_string_value(json_array_get(list, i));
        if (t && strcmp(t, type) == 0) return true;
    }
    return false;
}

/* Types of both; integers are numbers. */
static json_t *both_types(json_t *a, json_t *b)
{
    static const char *const types[] = { "null", "boolean", "integer", "number", "string", "array", "object" };
    json_t *x = as_list(a), *y = as_list(b), *out = json_array();
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        bool in_x = has_type(x, types[i]), in_y = has_type(y, types[i]);
        if (i == 2) { in_x = in_x || has_type(x, "number"); in_y = in_y || has_type(y, "number"); }
        if (in_x && in_y) json_array_append_new(out, json_string(types[i]));
    }
    json_decref(x);
    json_decref(y);
    return out;
}

/* Through a set of texts, so that long lists stay linear. */
static json_t *same_values(const json_t *a, const json_t *b)
{
    json_t *out = json_array(), *set = json_object();
    size_t i;
    json_t *v;
    json_array_foreach((json_t *)b, i, v) {
        char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
        if (text) json_object_set_new(set, text, json_true());
        free(text);
    }
    json_array_foreach((json_t *)a, i, v) {
        char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
        if (text && json_object_get(set, text)) json_array_append(out, v);
        free(text);
    }
    json_decref(set);
    return out;
}

static json_t *each_member(json_t *a, json_t *b)
{
    json_t *out = json_copy(a), *v;
    const char *key;
    json_object_foreach(b, key, v) {
        json_t *mine = json_object_get(out, key);
        if (mine) json_object_set_new(out, key, all_of(mine, v));
        else json_object_set(out, key, v);
    }
    return out;
}

static json_t *joined_lists(json_t *a, json_t *b)
{
    json_t *out = json_copy(a);
    json_array_extend(out, b);
    return out;
}

static bool is_usable(const json_t *v, enum how how)
{
    switch (how) {
    case LARGER: case SMALLER: return json_is_number(v);
    case BOTH_LISTS: case LISTS_JOINED: case SAME_VALUES: return json_is_array(v);
    case EACH_MEMBER: return json_is_object(v);
    default: return true;
    }
}

/* NULL: the two cannot be joined. BOTH_WAYS goes to allOf of `into`. */
static json_t *both(json_t *into, const char *key, enum how how, json_t *a, json_t *b)
{
    if (!is_usable(a, how) || !is_usable(b, how)) return NULL;
    switch (how) {
    case LARGER: return json_incref(json_number_value(a) > json_number_value(b) ? a : b);
    case SMALLER: return json_incref(json_number_value(a) < json_number_value(b) ? a : b);
    case BOTH_TYPES: return both_types(a, b);
    case SAME_VALUES: return same_values(a, b);
    case EACH_MEMBER: return each_member(a, b);
    case BOTH_SCHEMAS: return all_of(a, b);
    case LISTS_JOINED: return joined_lists(a, b);
    case BOTH_WAYS: {
        json_t *list = json_object_get(into, "allOf"), *other = json_pack("{s:O}", key, b);
        json_t *now = list ? json_copy(list) : json_array();
        json_array_append_new(now, other);
        json_object_set_new(into, "allOf", now);
        return json_incref(a);
    }
    default: return NULL;
    }
}

/* With members of its own that the other schema closes out, two objects cannot be merged on the surface. */
static bool closes_other(const json_t *a, const json_t *b)
{
    const json_t *more = json_object_get(a, "additionalProperties"), *mine = json_object_get(a, "properties"), *theirs = json_object_get(b, "properties");
    const char *key;
    json_t *v;
    if (!more || json_is_true(more)) return false;
    json_object_foreach((json_t *)theirs, key, v)
        if (!json_object_get(mine, key)) return true;
    return false;
}

sc_status schema_merge(struct schema *x, const json_t *a, const json_t *b, json_t **out)
{
    const char *key;
    json_t *v;
    x->steps += 1 + json_object_size(a) + json_object_size(b) + json_object_size(json_object_get(a, "properties")) + json_object_size(json_object_get(b, "properties"));
    if (json_is_boolean(a) || json_is_boolean(b)) {
        *out = keep(x, json_is_false(a) || json_is_false(b) ? json_false() : json_incref((json_t *)(json_is_true(a) ? b : a)));
        return SC_OK;
    }
    if (!json_is_object(a) || !json_is_object(b)) return schema_refuse(x, NULL, "expected a schema (an object, true or false) in anyOf, oneOf or allOf");
    if (closes_other(a, b) || closes_other(b, a)) return schema_refuse(x, "additionalProperties", "is not supported where allOf, anyOf or $ref adds other properties; put all into one schema");
    json_t *to = keep(x, json_copy((json_t *)a));
    json_object_foreach((json_t *)b, key, v) {
        json_t *mine = json_object_get(to, key);
        int row = row_of(key);
        if (!mine) { json_object_set(to, key, v); continue; }
        if (json_equal(mine, v) || (row >= 0 && keywords[row].how == SKIP)) continue;
        json_t *now = row < 0 ? NULL : both(to, key, keywords[row].how, mine, v);
        if (!now) return schema_refuse(x, key, "two different values come together here (allOf, anyOf or $ref), which is not supported for this keyword");
        json_object_set_new(to, key, now);
    }
    *out = to;
    return SC_OK;
}
