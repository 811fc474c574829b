/* serve_config.c - settings of `serve` from four places: a flag wins over the environment, that over the file, that over the default. A value is
 * judged also where another place wins, so that a mistake does not wait for the day when it counts. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/serve.h"

extern char **environ;

#define VARIABLE "STARCHAT_SERVE_"
enum { NEAR = 4, SERVE_TABLE = 0 };

/* Configs that are thrown away. */
struct scratch { sc_server_config serve; sc_prompt_cache_config cache; sc_model_config model; sc_runtime_config runtime; };

static void *scratch_of(struct scratch *s, int table)
{
    void *const all[] = { &s->serve, &s->cache, &s->model };
    return table < 0 ? (void *)&s->runtime : all[table];
}

static const char *table_of(const struct args *a, int table) { return table < 0 ? "runtime" : a->command->tables[table]; }

/* The row of a table, not of the command's own flags or of all commands'. */
static bool row_find(struct option_ref *out, const struct args *a, const char *key) { return option_find(out, a->command, key) && !out->flag; }

static bool set(struct args *a, void *const *configs, const struct option_ref *row, const char *value, sc_error *err)
{
    struct scratch scratch = { 0 };
    void *to = args_sets(a, row->row.name) ? scratch_of(&scratch, row->table) : row->table < 0 ? (void *)&a->common.runtime : configs[row->table];
    return sc_options_set(sc_options_for(table_of(a, row->table)), to, row->row.name, value, err) == SC_OK;
}

static void nearest_in(const char **best, int *distance, const char *table, const char *key)
{
    int d;
    const char *name = sc_options_nearest(sc_options_for(table), key, &d);
    if (name && d < *distance && d < (int)strlen(key)) {
        *best = name;
        *distance = d;
    }
}

/* ---- the file ----------------------------------------------------------------------------------------------------------------------- */

static int unknown_key(const struct args *a, const char *path, const sc_setting *s)
{
    const char *best = sc_name_distance("model", s->key) < 3 ? "model" : NULL;
    int distance = best ? sc_name_distance("model", s->key) : NEAR;
    for (int i = 0; a->command->tables[i]; i++) nearest_in(&best, &distance, a->command->tables[i], s->key);
    nearest_in(&best, &distance, "runtime", s->key);
    if (best) return usage_error(a->command, "%s, line %d: unknown key \"%s\"; did you mean \"%s\"?", path, s->line, s->key, best);
    return usage_error(a->command, "%s, line %d: unknown key \"%s\"", path, s->line, s->key);
}

static bool is_list(const char *row)
{
    static const char *const lists[] = { "alias", "adapters", "allowed_hosts", "allowed_origins" };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (strcmp(lists[i], row) == 0) return true;
    return false;
}

static int take_setting(struct args *a, void *const *configs, const char **model, const char *path, const sc_setting *s)
{
    struct option_ref row;
    sc_error err = { 0 };
    bool is_model = strcmp(s->key, "model") == 0;
    if (!is_model && !row_find(&row, a, s->key)) return unknown_key(a, path, s);
    if (s->kind != SC_SETTING_TEXT && (is_model || !is_list(row.row.name))) return usage_error(a->command, "%s, line %d: %s is a %s, expected one value", path, s->line, s->key, s->kind == SC_SETTING_MAP ? "map" : "list");
    if (s->kind == SC_SETTING_MAP && strcmp(row.row.name, "adapters") != 0) return usage_error(a->command, "%s, line %d: %s is a map, expected a list", path, s->line, s->key);
    if (is_model) *model = s->value;
    else if (!set(a, configs, &row, s->value, &err)) return usage_error(a->command, "%s, line %d: %s", path, s->line, err.message);
    return ARGS_GO;
}

static int take_file(struct args *a, void *const *configs, const char **model, sc_settings *file)
{
    const char *path = args_value(a, "config");
    sc_error err = { 0 };
    int code = ARGS_GO;
    if (!path) return ARGS_GO;
    if (sc_settings_read(file, path, &err) != SC_OK) return usage_error(a->command, "%s", err.message);
    for (size_t i = 0; i < file->n && code == ARGS_GO; i++) code = take_setting(a, configs, model, path, &file->at[i]);
    return code;
}

/* ---- the environment -------------------------------------------------------------------------------------------------------------------- */

static void to_variable(char *out, size_t bytes, const char *row)
{
    snprintf(out, bytes, VARIABLE "%s", row);
    for (; *out; out++) *out = (char)toupper((unsigned char)*out);
}

static int unknown_variable(const struct args *a, const char *name, const char *key)
{
    const char *best = NULL;
    int distance = NEAR;
    char meant[100];
    nearest_in(&best, &distance, a->command->tables[SERVE_TABLE], key);
    if (!best) return usage_error(a->command, "unknown variable %s of the environment", name);
    to_variable(meant, sizeof meant, best);
    return usage_error(a->command, "unknown variable %s of the environment; did you mean %s?", name, meant);
}

/* "STARCHAT_SERVE_PORT=8080"; an empty value counts as none. */
static int take_variable(struct args *a, void *const *configs, const char **model, const char *entry)
{
    char name[100], key[100];
    struct option_ref row;
    sc_error err = { 0 };
    const char *equals = strchr(entry, '=');
    size_t n = sizeof VARIABLE - 1;
    if (strncmp(entry, VARIABLE, n) != 0 || !equals || !equals[1]) return ARGS_GO;
    snprintf(name, sizeof name, "%.*s", (int)(equals - entry), entry);
    snprintf(key, sizeof key, "%s", name + n);
    for (char *c = key; *c; c++) *c = (char)tolower((unsigned char)*c);
    if (strcmp(key, "model") == 0) {
        *model = equals + 1;
        return ARGS_GO;
    }
    if (!row_find(&row, a, key) || row.table != SERVE_TABLE) return unknown_variable(a, name, key);
    return set(a, configs, &row, equals + 1, &err) ? ARGS_GO : usage_error(a->command, "%s: %s", name, err.message);
}

/* ---- all together ------------------------------------------------------------------------------------------------------------------------ */

int serve_configure(struct args *a, void *const *configs, const char **model, sc_settings *file)
{
    *model = NULL;
    int code = take_file(a, configs, model, file);
    for (char **entry = environ; *entry && code == ARGS_GO; entry++) code = take_variable(a, configs, model, *entry);
    if (a->n_operands) *model = a->operand[0];
    if (code == ARGS_GO && (!*model || !**model)) return usage_error(a->command, "MODEL is missing; name it here or as \"model\" in the file of --config");
    return code;
}

int serve_print_config(const struct args *a, void *const *configs, const char *model)
{
    json_t *all = json_object();
    json_object_set_new(all, "model", json_string(model));
    for (int i = -1; i < 0 || a->command->tables[i]; i++) {
        sc_text text = { 0 };
        (void)sc_options_record(&text, sc_options_for(table_of(a, i)), i < 0 ? (const void *)&a->common.runtime : configs[i]);
        json_t *part = json_loadb(text.data, text.len, 0, NULL);
        json_object_update_missing(all, part);
        json_decref(part);
        sc_text_free(&text);
    }
    json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    putchar('\n');
    json_decref(all);
    return EXIT_DONE;
}
