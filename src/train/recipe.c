/* recipe.c - a recipe: a YAML file, then single keys over it, later ones winning. What a value of YAML means for a row of
 * the option table is decided here; other names and keys of other programs are in recipe_keys.c. */
#include "train/recipe_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RECIPE_BYTES = 1 << 20, NEAR = 3 };

/* ---- what others use ------------------------------------------------------------------------------------------------------ */

char *recipe_text(struct sc_recipe *r, const char *format, ...)
{
    char small[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n < (int)sizeof small) return arena_strndup(&r->memory, small, n > 0 ? (size_t)n : 0);
    char *large = mem_alloc((size_t)n + 1);
    va_start(args, format);
    vsnprintf(large, (size_t)n + 1, format, args);
    va_end(args);
    char *kept = arena_strndup(&r->memory, large, (size_t)n);
    mem_free(large);
    return kept;
}

static void drop_note(struct sc_recipe *r, const char *key)
{
    for (size_t i = 0; i < r->n_notes; i++)
        if (strcmp(r->note[i].key, key) == 0) {
            memmove(&r->note[i], &r->note[i + 1], (r->n_notes - i - 1) * sizeof *r->note);
            r->n_notes--;
        }
}

void recipe_note(struct sc_recipe *r, const char *key, const char *text)
{
    drop_note(r, key);
    if (r->n_notes == sizeof r->note / sizeof *r->note) return;
    r->note[r->n_notes].key = recipe_text(r, "%s", key);
    r->note[r->n_notes++].text = recipe_text(r, "%s: %s", key, text);
}

size_t recipe_row(const char *key)
{
    size_t i = 0;
    while (i < train_options.n_rows && strcmp(train_options.rows[i].name, key) != 0) i++;
    return i;
}

bool recipe_says(const struct sc_recipe *r, const char *row) { return r->said[recipe_row(row)].by != NULL; }

const char *value_show(char *out, size_t out_bytes, const json_t *value)
{
    if (!value) snprintf(out, out_bytes, "missing");
    else if (json_is_array(value)) snprintf(out, out_bytes, "a list");
    else if (json_is_object(value)) snprintf(out, out_bytes, "a map");
    else if (json_is_null(value)) snprintf(out, out_bytes, "empty");
    else if (json_is_boolean(value)) snprintf(out, out_bytes, "%s", json_is_true(value) ? "true" : "false");
    else if (json_is_integer(value)) snprintf(out, out_bytes, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value)) snprintf(out, out_bytes, "%.12g", json_real_value(value));
    else {
        char text[80];
        error_quote(text, sizeof text, json_string_value(value), json_string_length(value));
        snprintf(out, out_bytes, "\"%s\"", text);
    }
    return out;
}

/* ---- rows ------------------------------------------------------------------------------------------------------------------- */

static bool has_choice(const struct option *o, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = o->choices; at; at = strchr(at, '|')) {
        if (*at == '|') at++;
        if (strncmp(at, word, n) == 0 && (at[n] == '|' || !at[n])) return true;
    }
    return false;
}

static const char *expected_of(const struct option *o)
{
    switch (o->type) {
    case OPT_BOOL: return "true or false";
    case OPT_INT: case OPT_UINT: return "a whole number";
    case OPT_REAL: return "a number";
    case OPT_CHOICE: return o->choices;
    default: return "text (put it in quotes if it looks like a number or true)";
    }
}

/* The value as text for sc_options_set, or NULL if it is of the wrong kind. YAML reads a bare `no` as false. */
static const char *row_text(struct sc_recipe *r, const struct option *o, const json_t *value)
{
    bool is_number = o->type == OPT_INT || o->type == OPT_UINT || o->type == OPT_REAL;
    double x = json_real_value(value);
    if (json_is_string(value)) return recipe_text(r, "%s", json_string_value(value));
    if (json_is_boolean(value)) {
        const char *word = json_is_true(value) ? "true" : "false";
        if (o->type == OPT_BOOL || (o->type == OPT_CHOICE && has_choice(o, word))) return word;
        return o->type == OPT_CHOICE && json_is_false(value) ? (has_choice(o, "no") ? "no" : has_choice(o, "none") ? "none" : NULL) : NULL;
    }
    if (json_is_integer(value)) {
        json_int_t n = json_integer_value(value);
        if (o->type == OPT_BOOL && n != 0 && n != 1) return NULL;
        return is_number || o->type == OPT_BOOL || o->type == OPT_STRING ? recipe_text(r, "%" JSON_INTEGER_FORMAT, n) : NULL;
    }
    if (!json_is_real(value) || !is_number) return NULL;
    if (o->type == OPT_REAL) return recipe_text(r, "%.17g", x);
    return x == floor(x) && fabs(x) < 1e15 ? recipe_text(r, "%.0f", x) : NULL;
}

sc_status recipe_set_row(struct sc_recipe *r, const char *row, const char *by, const json_t *value, sc_error *err)
{
    char shown[96];
    size_t i = recipe_row(row);
    const struct option *o = &train_options.rows[i];
    const char *before = r->said[i].by;
    if (before && r->said[i].round == r->round && strcmp(before, by) != 0)
        return FAIL(err, SC_E_ARGUMENT, "%s and %s are two names of one key; keep one of them", before, by);
    if (json_is_null(value)) {
        r->said[i].by = NULL;
        return sc_options_set(&train_options, &r->config, row, o->fallback, err);
    }
    const char *text = row_text(r, o, value);
    if (!text) return FAIL(err, SC_E_ARGUMENT, "%s is %s, expected %s", by, value_show(shown, sizeof shown, value), expected_of(o));
    text = recipe_spelling(row, text, err);
    if (!text) return err ? err->status : SC_E_ARGUMENT;
    sc_status status = sc_options_set(&train_options, &r->config, row, text, err);
    if (status != SC_OK) return strcmp(by, row) == 0 ? status : error_prefix(err, status, "%s", by);
    r->said[i].by = recipe_text(r, "%s", by);
    r->said[i].round = r->round;
    return SC_OK;
}

/* ---- any key ------------------------------------------------------------------------------------------------------------------ */

static sc_status unknown(const char *key, sc_error *err)
{
    char shown[80];
    int best = NEAR + 1, d;
    const char *nearest = sc_options_nearest(&train_options, key, &d);
    if (d < best) best = d;
    else nearest = NULL;
    for (const struct recipe_key *k = recipe_keys; k->name; k++)
        if ((d = text_distance(k->name, key)) < best) {
            best = d;
            nearest = k->name;
        }
    error_quote(shown, sizeof shown, key, strlen(key));
    if (nearest && best < (int)strlen(key)) return FAIL(err, SC_E_ARGUMENT, "unknown key \"%s\"; did you mean \"%s\"?", shown, nearest);
    return FAIL(err, SC_E_ARGUMENT, "unknown key \"%s\"; `starchat train --help` lists what there is", shown);
}

sc_status recipe_apply(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err)
{
    char shown[96];
    const struct recipe_key *k = recipe_keys;
    while (k->name && strcmp(k->name, key) != 0) k++;
    if (!k->name) return recipe_row(key) < train_options.n_rows ? recipe_set_row(r, key, key, value, err) : unknown(key, err);
    drop_note(r, key);
    switch (k->kind) {
    case KEY_ALIAS: return recipe_set_row(r, k->row, key, value, err);
    case KEY_CALL: return k->set(r, key, value, err);
    case KEY_ONLY:
        if (!recipe_is_neutral(value, k->neutral)) return FAIL(err, SC_E_UNSUPPORTED, "%s is %s: %s", key, value_show(shown, sizeof shown, value), k->text);
        return SC_OK;
    default:
        if (!json_is_null(value)) recipe_note(r, key, k->text);
        return SC_OK;
    }
}

/* ---- the public side ---------------------------------------------------------------------------------------------------------- */

static sc_status apply_file(struct sc_recipe *r, const char *path, sc_error *err)
{
    json_t *file, *lines, *value;
    const char *key;
    TRY(yaml_read_file(&file, &lines, path, RECIPE_BYTES, err));
    sc_status status = SC_OK;
    if (!json_is_object(file) && !json_is_null(file)) status = FAIL(err, SC_E_FORMAT, "%s: expected lines \"key: value\"", path);
    json_object_foreach(file, key, value) {
        status = recipe_apply(r, key, value, err);
        if (status == SC_OK) continue;
        status = error_prefix(err, status, "%s, line %d", path, (int)json_integer_value(json_object_get(lines, key)));
        break;
    }
    json_decref(file);
    json_decref(lines);
    return status;
}

sc_status sc_recipe_open(sc_recipe **out, const char *path, sc_error *err)
{
    struct sc_recipe *r = mem_zero(1, sizeof *r);
    arena_init(&r->memory);
    buf_init(&r->notes, 0);
    sc_options_defaults(&train_options, &r->config);
    r->model_revision = "";
    sc_status status = path ? apply_file(r, path, err) : SC_OK;
    if (status != SC_OK) sc_recipe_close(r);
    *out = status == SC_OK ? r : NULL;
    return status;
}

void sc_recipe_close(sc_recipe *r)
{
    if (!r) return;
    arena_release(&r->memory);
    buf_release(&r->notes);
    mem_free(r);
}

sc_status sc_recipe_set(sc_recipe *r, const char *key, const char *value, sc_error *err)
{
    char name[80], shown[96];
    json_t *parsed = NULL;
    snprintf(name, sizeof name, "%s", key);
    for (char *c = name; *c; c++) if (*c == '-') *c = '_';
    if (*value && strchr("[{\"'", *value)) TRY(yaml_read(&parsed, NULL, value, strlen(value), name, err));
    else parsed = yaml_scalar(value, strlen(value));
    error_quote(shown, sizeof shown, value, strlen(value));
    if (!parsed) return FAIL(err, SC_E_ARGUMENT, "%s is \"%s\", expected text or a finite number", name, shown);
    r->round++;
    sc_status status = recipe_apply(r, name, parsed, err);
    json_decref(parsed);
    return status;
}

sc_status sc_recipe_deepspeed(sc_recipe *r, const char *path, sc_error *err)
{
    json_t *file;
    TRY(json_read_file(&file, path, RECIPE_BYTES, err));
    sc_status status = deepspeed_apply(r, file, path, err);
    json_decref(file);
    return status;
}

const char *sc_recipe_notes(const sc_recipe *r)
{
    struct buf *text = &((sc_recipe *)r)->notes;      /* a cache of what is joined here */
    buf_clear(text);
    buf_puts(text, "");
    for (size_t i = 0; i < r->n_notes; i++) buf_printf(text, "%s%s", i ? "\n" : "", r->note[i].text);
    return text->data ? text->data : "";
}

sc_status sc_recipe_config(const sc_train_config **out, sc_recipe *r, sc_error *err)
{
    *out = NULL;
    TRY(recipe_resolve(&r->resolved, r, &r->memory, err));
    *out = &r->resolved;
    return SC_OK;
}
