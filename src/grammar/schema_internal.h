/* schema_internal.h - between the files that make a grammar of a JSON schema. */
#ifndef SCHEMA_INTERNAL_H
#define SCHEMA_INTERNAL_H

#include "grammar_internal.h"

enum { SCHEMA_STEPS_MAX = 1 << 16, COUNT_MAX = 16384 };     /* schemas looked at, merged ones too; longest counted string or list */
enum { TYPE_NULL = 1, TYPE_BOOLEAN = 2, TYPE_INTEGER = 4, TYPE_NUMBER = 8, TYPE_STRING = 16, TYPE_ARRAY = 32, TYPE_OBJECT = 64, TYPE_ANY = 0x7B };

/* Rules that many places use, made when first wanted. */
enum shared { SHARED_VALUE, SHARED_OBJECT, SHARED_ARRAY, SHARED_STRING, SHARED_KEY, SHARED_NUMBER, SHARED_INTEGER, SHARED_CHARACTER, SHARED_GAP, SHARED_COUNT };

struct schema {
    struct build b;
    const json_t *root;
    struct buf path;                        /* of the schema at hand, for messages */
    json_t *owned;                          /* merged schemas */
    json_t *refs;                           /* "$ref" to number of its rule */
    struct { const json_t *schema; char *ref; uint32_t rule; } *todo; size_t n_todo, todo_cap;
    uint32_t shared[SHARED_COUNT]; bool has_shared[SHARED_COUNT];
    size_t steps;
    sc_error *err;
};

/* Refuses: "schema, properties.age.KEY: sentence". key NULL: the schema at hand itself. */
sc_status schema_refuse(struct schema *x, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Adds a step to the path; give the length returned back to schema_leave. */
size_t schema_enter(struct schema *x, const char *key, const char *member);
void   schema_leave(struct schema *x, size_t len);

/* schema.c. Any schema, true and false too. */
sc_status schema_node(struct schema *x, const json_t *schema, int depth, const struct node **out);
const struct node *schema_shared(struct schema *x, enum shared which);
/* A whole number that is not negative, at most COUNT_MAX (larger `max` are taken as that). */
sc_status schema_count(struct schema *x, const json_t *schema, const char *key, bool is_max, uint32_t fallback, uint32_t *out);

/* schema_merge.c */
bool      schema_is_annotation(const char *key);            /* says nothing about values */
bool      schema_is_known(const json_t *schema, const char *key, const json_t *value);
sc_status schema_resolve(struct schema *x, const char *ref, const json_t **out);
/* A schema for what both allow; it lives as long as x. */
sc_status schema_merge(struct schema *x, const json_t *a, const json_t *b, json_t **out);
json_t   *schema_without(struct schema *x, const json_t *schema, const char *key);

/* schema_object.c, schema_string.c, schema_number.c */
sc_status schema_object(struct schema *x, const json_t *schema, int depth, const struct node **out);
sc_status schema_array(struct schema *x, const json_t *schema, int depth, const struct node **out);
sc_status schema_string(struct schema *x, const json_t *schema, const struct node **out);
const struct node *schema_character(struct schema *x);      /* one, as it stands in a JSON string */
/* A string that is none of the `n` keys, with its quotes; those with escapes are left out. */
const struct node *schema_other_key(struct schema *x, const char *const *key, size_t n);
const struct node *schema_any_integer(struct build *b);
const struct node *schema_any_number(struct build *b);
sc_status schema_number(struct schema *x, const json_t *schema, bool is_integer, const struct node **out);

#endif
