/* schema.c - JSON schemas to trees: what a schema says about the kind of value, and where it leads on.
 *
 * A $ref becomes a rule whose body is made later from a list of work, so schemas that refer to themselves are rules that call
 * themselves. Every text of the grammar is valid against the schema; not every valid text is in the grammar (docs/grammar.md). */
#include "schema_internal.h"

#include <math.h>
#include <string.h>

sc_status schema_refuse(struct schema *x, const char *key, const char *format, ...)
{
    va_list args;
    char text[256], quoted[160], name[64];
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t path = x->path.len < 140 ? 0 : x->path.len - 140;
    error_quote(quoted, sizeof quoted, x->path.len ? x->path.data + path : "", x->path.len - path);
    error_quote(name, sizeof name, key ? key : "", key ? strlen(key) : 0);
    return FAIL(x->err, SC_E_UNSUPPORTED, "schema%s%s%s%s: %s", x->path.len || key ? ", " : "", quoted, x->path.len && key ? "." : "", name, text);
}

size_t schema_enter(struct schema *x, const char *key, const char *member)
{
    size_t len = x->path.len;
    buf_printf(&x->path, "%s%s%s%s", len ? "." : "", key, member ? "." : "", member ? member : "");
    return len;
}

void schema_leave(struct schema *x, size_t len)
{
    x->path.len = len;
    if (x->path.data) x->path.data[len] = 0;
}

sc_status schema_count(struct schema *x, const json_t *schema, const char *key, bool is_max, uint32_t fallback, uint32_t *out)
{
    const json_t *v = json_object_get(schema, key);
    double d = json_number_value(v);
    *out = fallback;
    if (!v) return SC_OK;
    if (!json_is_number(v) || !(d >= 0) || floor(d) < d) return schema_refuse(x, key, "expected a whole number that is not negative");
    if (d > COUNT_MAX && !is_max) return schema_refuse(x, key, "more than %d is not supported", COUNT_MAX);
    *out = d > COUNT_MAX ? COUNT_MAX : (uint32_t)d;
    return SC_OK;
}

/* ---- values without a schema ---------------------------------------------------------------------------------------------------------- */

/* White space where JSON allows it: nothing, a space, or a new line with at most 32 spaces or 8 tabs. */
static const struct node *gap_node(struct build *b)
{
    const struct node *indent = CHOICE(b, node_repeat(b, node_byte(b, ' '), 0, 32), node_repeat(b, node_byte(b, '\t'), 1, 8));
    return node_optional(b, CHOICE(b, node_byte(b, ' '), SEQUENCE(b, node_byte(b, '\n'), indent)));
}

static const struct node *list_node(struct schema *x, char open, const struct node *item, char close)
{
    struct build *b = &x->b;
    const struct node *gap = schema_shared(x, SHARED_GAP), *more = SEQUENCE(b, node_byte(b, ','), gap, item);
    const char none[] = { open, close };
    return CHOICE(b, SEQUENCE(b, node_byte(b, open), gap, item, node_repeat(b, more, 0, REPEAT_FOREVER), gap, node_byte(b, close)), node_text(b, none, 2));
}

static const struct node *shared_body(struct schema *x, enum shared which)
{
    struct build *b = &x->b;
    const struct node *quote = node_byte(b, '"');
    switch (which) {
    case SHARED_VALUE:
        return CHOICE(b, schema_shared(x, SHARED_STRING), schema_shared(x, SHARED_OBJECT), schema_shared(x, SHARED_ARRAY), schema_shared(x, SHARED_NUMBER), node_text(b, "true", 4),
                      node_text(b, "false", 5), node_text(b, "null", 4));
    case SHARED_OBJECT:
        return list_node(x, '{', SEQUENCE(b, schema_shared(x, SHARED_KEY), node_byte(b, ':'), node_optional(b, node_byte(b, ' ')), schema_shared(x, SHARED_VALUE)), '}');
    case SHARED_ARRAY: return list_node(x, '[', schema_shared(x, SHARED_VALUE), ']');
    case SHARED_STRING: return SEQUENCE(b, quote, node_repeat(b, schema_character(x), 0, REPEAT_FOREVER), quote);
    case SHARED_KEY: return SEQUENCE(b, quote, node_repeat(b, schema_character(x), 1, REPEAT_FOREVER), quote);
    case SHARED_CHARACTER: return schema_character(x);
    case SHARED_GAP: return gap_node(b);
    case SHARED_INTEGER: return schema_any_integer(b);
    default: return schema_any_number(b);
    }
}

const struct node *schema_shared(struct schema *x, enum shared which)
{
    static const char *const names[] = { "value", "object", "array", "string", "key", "number", "integer", "character", "white space" };
    if (!x->has_shared[which]) {
        x->has_shared[which] = true;
        uint32_t rule = x->shared[which] = build_rule(&x->b, names[which], strlen(names[which]));
        const struct node *body = shared_body(x, which);
        if (!x->b.is_full) x->b.rule[rule].body = body;
    }
    return node_rule(&x->b, x->shared[which]);
}

/* ---- types ------------------------------------------------------------------------------------------------------------------------------- */

static unsigned type_named(const char *name)
{
    static const struct { const char *name; unsigned type; } types[] = { { "null", TYPE_NULL }, { "boolean", TYPE_BOOLEAN }, { "integer", TYPE_INTEGER }, { "number", TYPE_NUMBER },
        { "string", TYPE_STRING }, { "array", TYPE_ARRAY }, { "object", TYPE_OBJECT } };
    for (size_t i = 0; name && i < sizeof types / sizeof *types; i++)
        if (strcmp(name, types[i].name) == 0) return types[i].type;
    return 0;
}

/* Without "type", keywords tell what is meant. */
static unsigned implied_types(const json_t *schema)
{
    static const struct { const char *key; unsigned type; } implied[] = { { "properties", TYPE_OBJECT }, { "required", TYPE_OBJECT }, { "additionalProperties", TYPE_OBJECT },
        { "items", TYPE_ARRAY }, { "prefixItems", TYPE_ARRAY }, { "minItems", TYPE_ARRAY }, { "maxItems", TYPE_ARRAY }, { "pattern", TYPE_STRING }, { "format", TYPE_STRING },
        { "minLength", TYPE_STRING }, { "maxLength", TYPE_STRING }, { "minimum", TYPE_NUMBER }, { "maximum", TYPE_NUMBER }, { "exclusiveMinimum", TYPE_NUMBER }, { "exclusiveMaximum", TYPE_NUMBER } };
    unsigned types = 0;
    for (size_t i = 0; i < sizeof implied / sizeof *implied; i++)
        if (json_object_get(schema, implied[i].key)) types |= implied[i].type;
    return types ? types : TYPE_ANY;
}

static sc_status read_types(struct schema *x, const json_t *schema, unsigned *out)
{
    const json_t *type = json_object_get(schema, "type"), *nullable = json_object_get(schema, "nullable");
    *out = 0;
    if (nullable && !json_is_boolean(nullable)) return schema_refuse(x, "nullable", "expected true or false");
    if (!type) *out = implied_types(schema);
    else if (json_is_string(type) || json_is_array(type)) {
        for (size_t i = 0; i < (json_is_array(type) ? json_array_size(type) : 1); i++) {
            const char *name = json_string_value(json_is_array(type) ? json_array_get(type, i) : type);
            char quoted[64];
            unsigned one = type_named(name);
            if (!one) return schema_refuse(x, "type", "unknown type \"%s\"; known are null, boolean, integer, number, string, array and object", error_quote(quoted, sizeof quoted, name ? name : "", name ? strlen(name) : 0));
            *out |= one;
        }
    } else return schema_refuse(x, "type", "expected a name or a list of names");
    if (json_is_true(nullable)) *out |= TYPE_NULL;
    if (*out & TYPE_NUMBER) *out &= ~(unsigned)TYPE_INTEGER;
    return SC_OK;
}

static sc_status node_of_types(struct schema *x, const json_t *schema, int depth, const struct node **out)
{
    struct build *b = &x->b;
    const struct node *way[8];
    unsigned types;
    size_t n = 0;
    TRY(read_types(x, schema, &types));
    if (types & TYPE_STRING) TRY(schema_string(x, schema, &way[n++]));
    if (types & TYPE_OBJECT) TRY(schema_object(x, schema, depth, &way[n++]));
    if (types & TYPE_ARRAY) TRY(schema_array(x, schema, depth, &way[n++]));
    if (types & (TYPE_NUMBER | TYPE_INTEGER)) TRY(schema_number(x, schema, !(types & TYPE_NUMBER), &way[n++]));
    if (types & TYPE_BOOLEAN) way[n++] = CHOICE(b, node_text(b, "true", 4), node_text(b, "false", 5));
    if (types & TYPE_NULL) way[n++] = node_text(b, "null", 4);
    *out = node_choice(b, way, n);
    return SC_OK;
}

/* ---- lists of values ------------------------------------------------------------------------------------------------------------------------ */

static bool is_of_types(const json_t *v, unsigned types)
{
    switch (json_typeof(v)) {
    case JSON_NULL: return types & TYPE_NULL;
    case JSON_STRING: return types & TYPE_STRING;
    case JSON_INTEGER: return types & (TYPE_INTEGER | TYPE_NUMBER);
    case JSON_REAL: return types & TYPE_NUMBER;
    case JSON_ARRAY: return types & TYPE_ARRAY;
    case JSON_OBJECT: return types & TYPE_OBJECT;
    default: return types & TYPE_BOOLEAN;
    }
}

static void write_value(struct buf *out, const json_t *v)
{
    if (json_is_string(v)) { buf_put_json_string(out, json_string_value(v), json_string_length(v)); return; }
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    buf_puts(out, text ? text : "null");
    free(text);
}

/* enum or const. Other keywords beside them would have to be checked for each value: only types are. */
static sc_status node_of_values(struct schema *x, const json_t *schema, const struct node **out)
{
    const json_t *values = json_object_get(schema, "enum"), *only = json_object_get(schema, "const");
    struct node_list l = { 0 };
    unsigned types = TYPE_ANY;
    const char *key;
    json_t *v;
    if (values && !json_is_array(values)) return schema_refuse(x, "enum", "expected a list of values");
    json_object_foreach((json_t *)schema, key, v)
        if (!schema_is_annotation(key) && !type_named(key) && strcmp(key, "enum") != 0 && strcmp(key, "const") != 0 && strcmp(key, "type") != 0 && strcmp(key, "nullable") != 0 && strcmp(key, "format") != 0)
            return schema_refuse(x, key, "is not supported beside enum or const; leave out the values that it forbids");
    if (json_object_get(schema, "type")) TRY(read_types(x, schema, &types));
    for (size_t i = 0; i < (values ? json_array_size(values) : 1); i++) {
        const json_t *one = values ? json_array_get(values, i) : only;
        struct buf text;
        if (!is_of_types(one, types) || (values && only && !json_equal((json_t *)one, (json_t *)only))) continue;
        buf_init(&text, 0);
        write_value(&text, one);
        node_list_push(&l, node_text(&x->b, text.data, text.len));
        buf_release(&text);
    }
    *out = node_choice(&x->b, l.node, l.n);
    node_list_release(&l);
    return SC_OK;
}

/* ---- schemas that lead to others --------------------------------------------------------------------------------------------------------------- */

static bool has_only_annotations_beside(const json_t *schema, const char *which)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)schema, key, v)
        if (strcmp(key, which) != 0 && !schema_is_annotation(key)) return false;
    return true;
}

static sc_status node_of_ref(struct schema *x, const json_t *schema, int depth, const struct node **out)
{
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    const json_t *target = NULL;
    json_t *merged = NULL;
    if (!ref) return schema_refuse(x, "$ref", "expected a string");
    if (!has_only_annotations_beside(schema, "$ref")) {
        TRY(schema_resolve(x, ref, &target));
        TRY(schema_merge(x, schema_without(x, schema, "$ref"), target, &merged));
        return schema_node(x, merged, depth + 1, out);
    }
    const json_t *known = json_object_get(x->refs, ref);
    if (!known) {
        TRY(schema_resolve(x, ref, &target));
        uint32_t rule = build_rule(&x->b, ref, strlen(ref));
        if (x->n_todo == x->todo_cap) {
            x->todo_cap = x->todo_cap ? 2 * x->todo_cap : 16;
            x->todo = mem_grow(x->todo, x->todo_cap * sizeof *x->todo);
        }
        x->todo[x->n_todo].schema = target;
        x->todo[x->n_todo].ref = mem_strdup(ref);
        x->todo[x->n_todo++].rule = rule;
        json_object_set_new(x->refs, ref, json_integer(rule));
        known = json_object_get(x->refs, ref);
    }
    *out = node_rule(&x->b, (uint32_t)json_integer_value(known));
    return SC_OK;
}

static sc_status node_of_ways(struct schema *x, const json_t *schema, const char *key, int depth, const struct node **out)
{
    const json_t *ways = json_object_get(schema, key);
    struct node_list l = { 0 };
    sc_status status = SC_OK;
    bool is_alone = has_only_annotations_beside(schema, key);
    if (!json_is_array(ways) || json_array_size(ways) == 0) return schema_refuse(x, key, "expected a list of schemas with at least one");
    const json_t *others = is_alone ? NULL : schema_without(x, schema, key);
    for (size_t i = 0; i < json_array_size(ways); i++) {
        const json_t *way = json_array_get(ways, i);
        const struct node *node = NULL;
        char number[24];
        snprintf(number, sizeof number, "%zu", i);
        size_t path = schema_enter(x, key, number);
        if (others) {
            json_t *merged = NULL;
            TRY_DONE(schema_merge(x, others, way, &merged));
            way = merged;
        }
        TRY_DONE(schema_node(x, way, depth + 1, &node));
        schema_leave(x, path);
        node_list_push(&l, node);
    }
    *out = node_choice(&x->b, l.node, l.n);
done:
    node_list_release(&l);
    return status;
}

static sc_status node_of_all(struct schema *x, const json_t *schema, int depth, const struct node **out)
{
    const json_t *all = json_object_get(schema, "allOf");
    json_t *merged = schema_without(x, schema, "allOf");
    if (!json_is_array(all)) return schema_refuse(x, "allOf", "expected a list of schemas");
    for (size_t i = 0; i < json_array_size(all); i++) {
        TRY(schema_merge(x, merged, json_array_get(all, i), &merged));
        if (x->steps > SCHEMA_STEPS_MAX) break;     /* schema_node says so */
    }
    return schema_node(x, merged, depth + 1, out);
}

sc_status schema_node(struct schema *x, const json_t *schema, int depth, const struct node **out)
{
    const char *key;
    json_t *v;
    if (++x->steps > SCHEMA_STEPS_MAX || x->b.is_full) return schema_refuse(x, NULL, "the schema is too large: more than %d parts", SCHEMA_STEPS_MAX);
    if (depth > NESTING_MAX) return schema_refuse(x, NULL, "nested more than %d deep; use $ref", NESTING_MAX);
    if (json_is_true(schema)) { *out = schema_shared(x, SHARED_VALUE); return SC_OK; }
    if (json_is_false(schema)) { *out = node_choice(&x->b, NULL, 0); return SC_OK; }
    if (!json_is_object(schema)) return schema_refuse(x, NULL, "expected a schema: an object, true or false");
    json_object_foreach((json_t *)schema, key, v)
        if (!schema_is_known(schema, key, v)) return schema_refuse(x, key, "this keyword is not supported; leave it out, and check it in what comes back");
    if (json_object_get(schema, "anyOf")) return node_of_ways(x, schema, "anyOf", depth, out);
    if (json_object_get(schema, "oneOf")) return node_of_ways(x, schema, "oneOf", depth, out);
    if (json_object_get(schema, "allOf")) return node_of_all(x, schema, depth, out);
    if (json_object_get(schema, "$ref")) return node_of_ref(x, schema, depth, out);
    if (json_object_get(schema, "enum") || json_object_get(schema, "const")) return node_of_values(x, schema, out);
    if (has_only_annotations_beside(schema, "")) { *out = schema_shared(x, SHARED_VALUE); return SC_OK; }
    return node_of_types(x, schema, depth, out);
}

/* ---- the whole --------------------------------------------------------------------------------------------------------------------------------- */

static sc_status compile(struct schema *x, struct grammar **out)
{
    uint32_t root = build_rule(&x->b, "the schema", 10);
    const struct node *body = NULL;
    json_object_set_new(x->refs, "#", json_integer(root));
    TRY(schema_node(x, x->root, 0, &body));
    x->b.rule[root].body = body;
    for (size_t i = 0; i < x->n_todo; i++) {
        buf_clear(&x->path);
        buf_puts(&x->path, x->todo[i].ref);
        TRY(schema_node(x, x->todo[i].schema, 0, &body));
        if (!x->b.is_full) x->b.rule[x->todo[i].rule].body = body;
    }
    return build_finish(out, &x->b, root, "schema", x->err);
}

sc_status grammar_from_schema(struct grammar **out, const json_t *schema, sc_error *err)
{
    struct schema x = { .root = schema, .owned = json_array(), .refs = json_object(), .err = err };
    *out = NULL;
    build_init(&x.b);
    buf_init(&x.path, TEXT_BYTES_MAX);
    sc_status status = compile(&x, out);
    for (size_t i = 0; i < x.n_todo; i++) mem_free(x.todo[i].ref);
    mem_free(x.todo);
    json_decref(x.owned);
    json_decref(x.refs);
    buf_release(&x.path);
    build_release(&x.b);
    return status;
}

sc_status grammar_any_object(struct grammar **out, sc_error *err)
{
    json_t *schema = json_pack("{s:s}", "type", "object");
    sc_status status = grammar_from_schema(out, schema, err);
    json_decref(schema);
    return status;
}
