/* schema_object.c - objects and arrays.
 *
 * Properties come in the order of the schema; those that are not required may be left out. Additional ones, where the schema
 * allows them, come last, under keys that are none of the others. */
#include "schema_internal.h"

#include <string.h>

/* ---- objects --------------------------------------------------------------------------------------------------------------------- */

struct member { const char *key; const json_t *schema; bool is_required; const struct node *node; };
/* `other`: an additional member, NULL if there are none. */
struct object { struct member *member; size_t n; const struct node *other; };


static void add_member(struct object *o, const char *key, const json_t *schema, bool is_required)
{
    o->member = mem_grow(o->member, (o->n + 1) * sizeof *o->member);
    o->member[o->n++] = (struct member) { key, schema, is_required, NULL };
}

/* Marks members through a table of names, so that long lists stay linear. */
static sc_status read_members(struct schema *x, const json_t *schema, const json_t *additional, struct object *o)
{
    const json_t *properties = json_object_get(schema, "properties"), *required = json_object_get(schema, "required");
    if (properties && !json_is_object(properties)) return schema_refuse(x, "properties", "expected an object");
    if (required && !json_is_array(required)) return schema_refuse(x, "required", "expected a list of names");
    json_t *names = json_object();
    sc_status status = SC_OK;
    for (size_t i = 0; i < json_array_size(required) && status == SC_OK; i++) {
        const char *name = json_string_value(json_array_get(required, i));
        if (!name) status = schema_refuse(x, "required", "expected a list of names");
        else json_object_set_new(names, name, json_true());
    }
    const char *key;
    json_t *value;
    if (status == SC_OK)
        json_object_foreach((json_t *)properties, key, value) {
            bool is_required = json_object_get(names, key) != NULL;
            if (json_is_false(value) && !is_required) continue;
            add_member(o, key, value, is_required);
        }
    for (size_t i = 0; i < json_array_size(required) && status == SC_OK; i++) {
        const char *name = json_string_value(json_array_get(required, i));
        if (json_object_get(properties, name) || !json_object_get(names, name)) continue;
        char quoted[64];
        if (json_is_false(additional)) status = schema_refuse(x, "required", "\"%s\" is required, but neither in properties nor allowed by additionalProperties", error_quote(quoted, sizeof quoted, name, strlen(name)));
        else add_member(o, name, additional, true);
        json_object_del(names, name);       /* named twice, it is still one */
    }
    json_decref(names);
    return status;
}

/* "key": value */
static sc_status member_node(struct schema *x, const char *key, const json_t *schema, int depth, const struct node **out)
{
    struct buf text;
    const struct node *value = NULL;
    size_t path = schema_enter(x, "properties", key);
    TRY(schema ? schema_node(x, schema, depth + 1, &value) : (value = schema_shared(x, SHARED_VALUE), SC_OK));
    schema_leave(x, path);
    buf_init(&text, 0);
    buf_put_json_string(&text, key, strlen(key));
    buf_putc(&text, ':');
    *out = SEQUENCE(&x->b, node_text(&x->b, text.data, text.len), node_optional(&x->b, node_byte(&x->b, ' ')), value);
    buf_release(&text);
    return SC_OK;
}

static sc_status other_member(struct schema *x, const json_t *additional, int depth, struct object *o)
{
    const struct node *value = NULL, *key = schema_shared(x, SHARED_KEY);
    size_t path = schema_enter(x, "additionalProperties", NULL);
    TRY(schema_node(x, additional, depth + 1, &value));
    schema_leave(x, path);
    if (o->n) {
        const char **keys = mem_alloc(o->n * sizeof *keys);
        for (size_t i = 0; i < o->n; i++) keys[i] = o->member[i].key;
        key = schema_other_key(x, keys, o->n);
        mem_free(keys);
    }
    uint32_t rule = build_rule(&x->b, "additionalProperties", 20);
    x->b.rule[rule].body = SEQUENCE(&x->b, key, node_byte(&x->b, ':'), node_optional(&x->b, node_byte(&x->b, ' ')), value);
    o->other = node_rule(&x->b, rule);
    return SC_OK;
}

static const struct node *behind_comma(struct schema *x, const struct node *node) { return SEQUENCE(&x->b, node_byte(&x->b, ','), schema_shared(x, SHARED_GAP), node); }

/* Members from `from` on where some stand before. */
static const struct node *members_behind(struct schema *x, const struct object *o, size_t from)
{
    struct node_list l = { 0 };
    for (size_t i = from; i < o->n; i++) {
        const struct node *more = behind_comma(x, o->member[i].node);
        node_list_push(&l, o->member[i].is_required ? more : node_optional(&x->b, more));
    }
    if (o->other) node_list_push(&l, node_repeat(&x->b, behind_comma(x, o->other), 0, REPEAT_FOREVER));
    const struct node *out = node_sequence(&x->b, l.node, l.n);
    node_list_release(&l);
    return out;
}

/* Any member up to the first that is required may be the first one written; what comes behind member i is a rule, shared by all
 * that come before it. */
static const struct node *all_members(struct schema *x, const struct object *o, bool *may_be_empty)
{
    struct build *b = &x->b;
    size_t first = 0;
    while (first < o->n && !o->member[first].is_required) first++;
    *may_be_empty = first == o->n;
    if (first == 0 && o->n) return SEQUENCE(b, o->member[0].node, members_behind(x, o, 1));
    struct node_list ways = { 0 };
    const struct node *behind = members_behind(x, o, first < o->n ? first + 1 : first);
    if (*may_be_empty && o->other) node_list_push(&ways, SEQUENCE(b, o->other, node_repeat(b, behind_comma(x, o->other), 0, REPEAT_FOREVER)));
    for (size_t i = first < o->n ? first + 1 : first; i-- > 0;) {
        uint32_t rule = build_rule(b, "members", 7), member = build_rule(b, o->member[i].key, strlen(o->member[i].key));
        if (b->is_full) break;
        b->rule[rule].body = behind;
        b->rule[member].body = o->member[i].node;
        node_list_push(&ways, SEQUENCE(b, node_rule(b, member), node_rule(b, rule)));
        const struct node *more = behind_comma(x, node_rule(b, member));
        behind = SEQUENCE(b, o->member[i].is_required ? more : node_optional(b, more), node_rule(b, rule));
    }
    const struct node *out = node_choice(b, ways.node, ways.n);
    node_list_release(&ways);
    return out;
}

sc_status schema_object(struct schema *x, const json_t *schema, int depth, const struct node **out)
{
    struct build *b = &x->b;
    struct object o = { 0 };
    sc_status status = SC_OK;
    const json_t *additional = json_object_get(schema, "additionalProperties");
    bool may_be_empty = true, is_free = !json_object_get(schema, "properties") && !json_object_get(schema, "required");
    if (additional && !json_is_boolean(additional) && !json_is_object(additional)) return schema_refuse(x, "additionalProperties", "expected a schema, true or false");
    if (is_free && (!additional || json_is_true(additional))) { *out = schema_shared(x, SHARED_OBJECT); return SC_OK; }
    TRY_DONE(read_members(x, schema, additional, &o));
    for (size_t i = 0; i < o.n; i++) TRY_DONE(member_node(x, o.member[i].key, o.member[i].schema, depth, &o.member[i].node));
    if (additional && !json_is_false(additional)) TRY_DONE(other_member(x, additional, depth, &o));
    const struct node *gap = schema_shared(x, SHARED_GAP), *members = all_members(x, &o, &may_be_empty);
    const struct node *none = node_text(b, "{}", 2), *some = SEQUENCE(b, node_byte(b, '{'), gap, members, gap, node_byte(b, '}'));
    *out = o.n == 0 && !o.other ? none : may_be_empty ? CHOICE(b, some, none) : some;
done:
    mem_free(o.member);
    return status;
}

/* ---- arrays ------------------------------------------------------------------------------------------------------------------------ */

/* `all`: nodes of the first items, which must be there. More of `item` (NULL: none) up to max in all. */
static const struct node *array_node(struct schema *x, const struct node_list *all, const struct node *item, uint32_t min, uint32_t max)
{
    struct build *b = &x->b;
    struct node_list l = { 0 };
    const struct node *gap = schema_shared(x, SHARED_GAP), *none = node_text(b, "[]", 2);
    uint32_t n = (uint32_t)all->n;
    bool may_be_empty = n == 0 && min == 0;
    if (max == 0 || (n == 0 && !item)) return none;
    for (uint32_t i = 0; i < n; i++) node_list_push(&l, i ? behind_comma(x, all->node[i]) : all->node[i]);
    if (item && max > n) {
        uint32_t more = n ? n : 1;      /* items before the repetition */
        if (n == 0) node_list_push(&l, item);
        node_list_push(&l, node_repeat(b, behind_comma(x, item), min > more ? min - more : 0, max == REPEAT_FOREVER ? max : max - more));
    }
    const struct node *some = SEQUENCE(b, node_byte(b, '['), gap, node_sequence(b, l.node, l.n), gap, node_byte(b, ']'));
    node_list_release(&l);
    return may_be_empty ? CHOICE(b, some, none) : some;
}

static sc_status read_items(struct schema *x, const json_t *schema, int depth, uint32_t max, struct node_list *all, const struct node **item)
{
    const json_t *first = json_object_get(schema, "prefixItems"), *items = json_object_get(schema, "items");
    if (first && !json_is_array(first)) return schema_refuse(x, "prefixItems", "expected a list of schemas");
    for (size_t i = 0; i < json_array_size(first) && i < max; i++) {
        const struct node *node = NULL;
        char number[24];
        snprintf(number, sizeof number, "%zu", i);
        size_t path = schema_enter(x, "prefixItems", number);
        TRY(schema_node(x, json_array_get(first, i), depth + 1, &node));
        schema_leave(x, path);
        node_list_push(all, node);
    }
    *item = first && !items ? NULL : schema_shared(x, SHARED_VALUE);
    if (json_is_array(items)) return schema_refuse(x, "items", "expected a schema, found a list; the list's name is prefixItems now");
    if (!items) return SC_OK;
    if (json_is_false(items)) { *item = NULL; return SC_OK; }
    const struct node *node = NULL;
    size_t path = schema_enter(x, "items", NULL);
    TRY(schema_node(x, items, depth + 1, &node));
    schema_leave(x, path);
    uint32_t rule = build_rule(&x->b, "items", 5);
    x->b.rule[rule].body = node;
    *item = node_rule(&x->b, rule);
    return SC_OK;
}

sc_status schema_array(struct schema *x, const json_t *schema, int depth, const struct node **out)
{
    struct node_list all = { 0 };
    const struct node *item = NULL;
    uint32_t min, max;
    sc_status status = SC_OK;
    TRY(schema_count(x, schema, "minItems", false, 0, &min));
    TRY(schema_count(x, schema, "maxItems", true, REPEAT_FOREVER, &max));
    if (max < min) return schema_refuse(x, "maxItems", "%u is smaller than minItems, %u", (unsigned)max, (unsigned)min);
    if (!json_object_get(schema, "items") && !json_object_get(schema, "prefixItems") && min == 0 && max == REPEAT_FOREVER) { *out = schema_shared(x, SHARED_ARRAY); return SC_OK; }
    TRY_DONE(read_items(x, schema, depth, max, &all, &item));
    if (!item && all.n < min) { status = schema_refuse(x, "minItems", "%u items are wanted, but only %zu are described", (unsigned)min, all.n); goto done; }
    *out = array_node(x, &all, item, min, max);
done:
    node_list_release(&all);
    return status;
}
