/* recipe_lists.c - keys whose value is a list: data sets with their weights, module names. */
#include "train/recipe_internal.h"

#include <string.h>

static sc_status add_entry(struct sc_recipe *r, struct string_list *l, const char *key, const char *name, const json_t *weight, sc_error *err)
{
    char shown[96];
    if (l->n == RECIPE_LIST_MAX) return FAIL(err, SC_E_ARGUMENT, "%s has more than %d entries", key, RECIPE_LIST_MAX);
    if (!*name) return FAIL(err, SC_E_ARGUMENT, "%s has an entry without a name, expected a path or a name of the Hub", key);
    if (weight && !json_is_number(weight)) return FAIL(err, SC_E_ARGUMENT, "%s: the weight of %.200s is %s, expected a number", key, name, value_show(shown, sizeof shown, weight));
    double w = weight ? json_number_value(weight) : 1;
    if (!(w > 0 && w <= 1000)) return FAIL(err, SC_E_ARGUMENT, "%s: the weight of %.200s is %g, expected above 0 and at most 1000", key, name, w);
    l->item[l->n++] = recipe_text(r, w == 1 ? "%s" : "%s:%.12g", name, w);
    return SC_OK;
}

/* {path|name|dataset_name: text, weight: number} */
static sc_status add_map(struct sc_recipe *r, struct string_list *l, const char *key, const json_t *map, sc_error *err)
{
    const char *member, *name = NULL;
    json_t *value;
    json_object_foreach((json_t *)map, member, value) {
        bool is_name = !strcmp(member, "path") || !strcmp(member, "name") || !strcmp(member, "dataset_name");
        if (!is_name && strcmp(member, "weight") != 0) return FAIL(err, SC_E_ARGUMENT, "%s: unknown key \"%.60s\" in an entry, expected path and weight", key, member);
        if (is_name && (name || !json_is_string(value))) return FAIL(err, SC_E_ARGUMENT, "%s: an entry needs one path, as text", key);
        if (is_name) name = json_string_value(value);
    }
    if (!name) return FAIL(err, SC_E_ARGUMENT, "%s: an entry has no path", key);
    return add_entry(r, l, key, name, json_object_get(map, "weight"), err);
}

static bool is_entry(const json_t *map) { return json_object_get(map, "path") || json_object_get(map, "name") || json_object_get(map, "dataset_name"); }

static sc_status fill(struct sc_recipe *r, struct string_list *l, const char *key, const json_t *value, sc_error *err)
{
    size_t i;
    const char *name;
    char shown[96];
    json_t *entry;
    if (json_is_null(value)) return SC_OK;
    if (json_is_string(value)) return add_entry(r, l, key, json_string_value(value), NULL, err);
    if (json_is_object(value) && is_entry(value)) return add_map(r, l, key, value, err);
    if (json_is_object(value)) {                          /* dataset_mixer of the alignment handbook: {name: share} */
        json_object_foreach((json_t *)value, name, entry) TRY(add_entry(r, l, key, name, entry, err));
        return SC_OK;
    }
    if (!json_is_array(value)) return FAIL(err, SC_E_ARGUMENT, "%s is %s, expected a path, a list of them, or a map from path to weight", key, value_show(shown, sizeof shown, value));
    json_array_foreach(value, i, entry) {
        if (json_is_object(entry)) TRY(add_map(r, l, key, entry, err));
        else if (json_is_string(entry)) TRY(add_entry(r, l, key, json_string_value(entry), NULL, err));
        else return FAIL(err, SC_E_ARGUMENT, "%s: entry %zu is %s, expected a path, or path and weight", key, i + 1, value_show(shown, sizeof shown, entry));
    }
    return SC_OK;
}

sc_status recipe_list(struct sc_recipe *r, struct string_list *out, const char *key, const json_t *value, sc_error *err)
{
    struct string_list list = { .n = 0 };
    TRY(fill(r, &list, key, value, err));
    *out = list;
    return SC_OK;
}

const char *recipe_commas(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err)
{
    size_t i;
    char shown[96];
    const json_t *entry;
    if (json_is_string(value)) return recipe_text(r, "%s", json_string_value(value));
    if (!json_is_array(value)) {
        (void)FAIL(err, SC_E_ARGUMENT, "%s is %s, expected text or a list", key, value_show(shown, sizeof shown, value));
        return NULL;
    }
    const char *joined = "";
    json_array_foreach(value, i, entry) {
        if (!json_is_string(entry)) {
            (void)FAIL(err, SC_E_ARGUMENT, "%s: entry %zu is %s, expected text", key, i + 1, value_show(shown, sizeof shown, entry));
            return NULL;
        }
        joined = recipe_text(r, i ? "%s,%s" : "%s%s", joined, json_string_value(entry));
    }
    return joined;
}
