/* card_facts.c - what a directory and the records in it tell of a model. Nothing is asked over the net, and what is not stored stays unknown. */
#include "card/card.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hub/hub.h"
#include "train/train.h"

enum { JSON_MAX = 256 << 20, EVENTS_MAX = 1 << 30, SMALL = 16 << 20 };

const char *text_member(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

double real_member(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

static bool has_file(const char *directory, const char *name)
{
    char *path = path_join(directory, name);
    bool has = path_exists(path);
    mem_free(path);
    return has;
}

static json_t *read_object(const char *directory, const char *name)
{
    json_t *out = NULL;
    char *path = path_join(directory, name);
    if (path_exists(path) && json_read_file(&out, path, SMALL, NULL) != SC_OK) out = NULL;
    mem_free(path);
    return out;
}

/* ---- names in a directory ------------------------------------------------------------------------------------------------------ */

struct names { char **at; size_t n; };

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void names_list(struct names *out, const char *directory)
{
    DIR *d = opendir(directory);
    *out = (struct names){ 0 };
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.') continue;
        out->at = mem_grow(out->at, (out->n + 1) * sizeof *out->at);
        out->at[out->n++] = mem_strdup(e->d_name);
    }
    if (d) closedir(d);
    if (out->n) qsort(out->at, out->n, sizeof *out->at, by_text);
}

/* "a,b" */
static void names_split(struct names *out, const char *text)
{
    *out = (struct names){ 0 };
    for (size_t n; *text; text += n + (text[n] == ',')) {
        n = strcspn(text, ",");
        if (!n) continue;
        out->at = mem_grow(out->at, (out->n + 1) * sizeof *out->at);
        out->at[out->n++] = mem_strndup(text, n);
    }
}

static void names_release(struct names *s)
{
    for (size_t i = 0; i < s->n; i++) mem_free(s->at[i]);
    mem_free(s->at);
}

/* ---- form ------------------------------------------------------------------------------------------------------------------------ */

static sc_status find_form(struct card_facts *f, const char *directory, sc_error *err)
{
    struct names names;
    if (!path_is_directory(directory)) return FAIL(err, SC_E_ARGUMENT, "%s is no directory; give the one that holds the model or adapter", directory);
    names_list(&names, directory);
    for (size_t i = 0; i < names.n && !f->gguf; i++)
        if (path_ends_with(names.at[i], ".gguf")) f->gguf = mem_strdup(names.at[i]);
    names_release(&names);
    if (adapter_is_at(directory)) f->form = CARD_ADAPTER;
    else if (has_file(directory, "config.json")) f->form = CARD_DIRECTORY;
    else if (f->gguf) f->form = CARD_GGUF;
    else return FAIL(err, SC_E_ARGUMENT, "%s holds no model: no adapter_config.json, config.json or .gguf file; give the directory that a run, merge or convert wrote", directory);
    return SC_OK;
}

static char *title_of(const char *directory, const sc_card_config *c)
{
    if (c->name && *c->name) return mem_strdup(c->name);
    if (c->repo && *c->repo) return mem_strdup(lineage_base_name(c->repo));
    char *real = realpath(directory, NULL);
    const char *name = lineage_base_name(real ? real : directory);
    char *title = mem_strdup(utf8_is_valid(name, strlen(name)) && *name ? name : "model");
    free(real);
    return title;
}

/* ---- where it all comes from ------------------------------------------------------------------------------------------------------- */

/* The built-in model that came as a package of Python, which has no name of the Hub for a source. A name alone tells nothing: any directory can be called so. */
static const struct builtin_model *packaged(const json_t *origin)
{
    static const char prefix[] = "pypi:";
    const char *source = text_member(origin, "source");
    const struct builtin_model *b = json_object_get(origin, "made") || strncmp(source, prefix, strlen(prefix)) != 0 ? NULL : builtin_find(text_member(origin, "name"));
    return b && b->package && strcmp(source + strlen(prefix), b->package) == 0 ? b : NULL;
}

/* Its name on the Hub; NULL: unknown. */
static const char *hub_of(const json_t *origin)
{
    const char *source = text_member(origin, "source");
    const struct builtin_model *builtin = packaged(origin);
    if (repo_id_is_valid(source, strlen(source))) return source;
    return builtin ? builtin->repo : NULL;
}

/* The nearest model below a record that the Hub knows, else the deepest one; NULL: it began with drawn weights. */
static const json_t *base_of(const json_t *record, bool *is_drawn)
{
    size_t i;
    const json_t *origin, *deeper;
    json_array_foreach(json_object_get(record, "inputs"), i, origin) {
        const char *role = text_member(origin, "role");
        const json_t *made = json_object_get(origin, "made");
        if (strcmp(role, "base") != 0 && strcmp(role, "model") != 0) continue;
        if (hub_of(origin) || !made) return origin;
        if (strcmp(text_member(made, "step"), "init") == 0) { *is_drawn = true; return NULL; }
        deeper = base_of(made, is_drawn);
        return deeper || *is_drawn ? deeper : origin;
    }
    return NULL;
}

/* The model that the step began with. */
static const json_t *nearest_of(const json_t *record)
{
    size_t i;
    const json_t *origin;
    json_array_foreach(json_object_get(record, "inputs"), i, origin)
        if (strcmp(text_member(origin, "role"), "base") == 0 || strcmp(text_member(origin, "role"), "model") == 0) return origin;
    return NULL;
}

static const struct builtin_model *builtin_of(const char *repo)
{
    for (size_t i = 0; repo && builtin_models[i].name; i++)
        if (strcmp(builtin_models[i].repo, repo) == 0) return &builtin_models[i];
    return NULL;
}

static char *copy_or_null(const char *text) { return text && *text ? mem_strdup(text) : NULL; }

void facts_find_base(struct card_facts *f)
{
    bool is_drawn = false;
    const char *in_adapter = text_member(f->adapter, "base_model_name_or_path"), *step = text_member(f->record, "step");
    f->trainings = trainings_of(f->record);
    f->training = json_array_get(f->trainings, 0);
    f->base = base_of(f->training ? f->training : f->record, &is_drawn);
    if (is_drawn) f->base = nearest_of(f->training ? f->training : f->record);
    f->is_drawn = is_drawn;
    const char *hub = f->c->base && *f->c->base ? f->c->base : f->base ? hub_of(f->base) : NULL;
    if (!hub && !is_drawn && repo_id_is_valid(in_adapter, strlen(in_adapter)) && !path_exists(in_adapter)) hub = in_adapter;
    f->base_hub = copy_or_null(hub);
    f->base_name = copy_or_null(f->base ? text_member(f->base, "name") : hub ? hub : lineage_base_name(in_adapter));
    const struct builtin_model *builtin = builtin_of(hub);
    const char *licence = f->c->license && *f->c->license ? f->c->license : f->base && *text_member(f->base, "licence") ? text_member(f->base, "licence") : builtin ? builtin->licence : NULL;
    f->licence = copy_or_null(licence);
    bool has_base = (f->base && !is_drawn) || f->base_hub;
    if (has_base) f->relation = f->form == CARD_ADAPTER ? "adapter" : f->training || strcmp(step, "merge") == 0 ? "finetune" : strcmp(step, "convert") == 0 ? "quantized" : "finetune";
}

/* ---- events, template ------------------------------------------------------------------------------------------------------------------ */

static json_t *read_events(const char *directory)
{
    char *path = path_join(directory, "events.jsonl");
    sc_text text = { 0 };
    json_t *out = json_array();
    if (path_exists(path) && file_read(&text, path, EVENTS_MAX, NULL) == SC_OK)
        for (const char *at = text.data, *end = at + text.len, *next; at < end && (next = memchr(at, '\n', (size_t)(end - at))) != NULL; at = next + 1) {
            json_t *event = json_loadb(at, (size_t)(next - at), 0, NULL);
            if (json_is_object(event)) json_array_append(out, event);
            json_decref(event);
        }
    sc_text_free(&text);
    mem_free(path);
    return out;
}

static void read_template(struct card_facts *f)
{
    struct model_file *m = NULL;
    char *gguf = f->gguf ? path_join(f->directory, f->gguf) : NULL;
    sc_status status = f->form == CARD_ADAPTER ? adapter_file_open(&m, f->directory, NULL) : model_file_open(&m, f->form == CARD_GGUF ? gguf : f->directory, true, NULL);
    f->has_template = status == SC_OK && chat_template_from_model(&f->template, m, NULL) == SC_OK;
    if (f->has_template) f->template_name = mem_strdup(f->template.row ? f->template.row->name : "");
    if (status == SC_OK) model_file_close(m);
    mem_free(gguf);
}

/* ---- evaluations and judgements ------------------------------------------------------------------------------------------------------------ */

static sc_status add_eval(struct card_facts *f, const char *path, sc_error *err)
{
    if (f->n_eval == CARD_FILES_MAX) return FAIL(err, SC_E_ARGUMENT, "more than %d files of results", CARD_FILES_MAX);
    TRY(eval_record_open(&f->eval[f->n_eval], path, err));
    f->n_eval++;
    return SC_OK;
}

static sc_status add_judge(struct card_facts *f, const char *path, sc_error *err)
{
    if (f->n_judge == CARD_FILES_MAX) return FAIL(err, SC_E_ARGUMENT, "more than %d directories of judgements", CARD_FILES_MAX);
    TRY(report_open(&f->judge[f->n_judge], path, err));
    f->n_judge++;
    return SC_OK;
}

/* Results are known by their members, since anybody names them as he likes. */
static bool is_results(const char *path)
{
    json_t *all = NULL;
    bool is = path_ends_with(path, ".json") && !path_is_directory(path) && json_read_file(&all, path, JSON_MAX, NULL) == SC_OK && json_is_object(json_object_get(all, "results"))
              && (json_object_get(all, "n-samples") || json_object_get(all, "configs"));
    json_decref(all);
    return is;
}

static bool is_judged(const char *path) { return path_is_directory(path) && (has_file(path, "verdict.json") || has_file(path, "judgements.jsonl")); }

static sc_status add_named(struct card_facts *f, const char *list, sc_status (*each)(struct card_facts *f, const char *path, sc_error *err), sc_error *err)
{
    struct names names;
    sc_status status = SC_OK;
    names_split(&names, list);
    for (size_t i = 0; i < names.n && status == SC_OK; i++) status = each(f, names.at[i], err);
    names_release(&names);
    return status;
}

static sc_status add_found(struct card_facts *f, bool evals, bool judges, sc_error *err)
{
    struct names names;
    sc_status status = SC_OK;
    names_list(&names, f->directory);
    for (size_t i = 0; i < names.n && status == SC_OK; i++) {
        char *path = path_join(f->directory, names.at[i]);
        if (evals && is_results(path)) status = add_eval(f, path, err);
        else if (judges && is_judged(path)) status = add_judge(f, path, err);
        mem_free(path);
    }
    names_release(&names);
    return status;
}

static sc_status read_measured(struct card_facts *f, sc_error *err)
{
    bool names_evals = f->c->eval && *f->c->eval, names_judges = f->c->judge && *f->c->judge;
    if (names_evals) TRY(add_named(f, f->c->eval, add_eval, err));
    if (names_judges) TRY(add_named(f, f->c->judge, add_judge, err));
    return add_found(f, !names_evals, !names_judges, err);
}

/* ---- all of it ------------------------------------------------------------------------------------------------------------------------------- */

static sc_status read_all(struct card_facts *f, sc_error *err)
{
    char *gguf = f->gguf ? path_join(f->directory, f->gguf) : NULL;
    sc_status status = lineage_read(&f->record, f->form == CARD_GGUF && !has_file(f->directory, LINEAGE_FILE) ? gguf : f->directory, err);
    mem_free(gguf);
    TRY(status);
    f->adapter = read_object(f->directory, "adapter_config.json");
    f->config = read_object(f->directory, "config.json");
    f->events = read_events(f->directory);
    facts_find_base(f);
    read_template(f);
    TRY(read_measured(f, err));
    facts_find_weights(f);
    return SC_OK;
}

sc_status facts_read(struct card_facts *f, const char *directory, const sc_card_config *c, sc_error *err)
{
    *f = (struct card_facts){ .c = c, .directory = directory };
    sc_status status = find_form(f, directory, err);
    if (status == SC_OK && c->repo && *c->repo && !repo_id_is_valid(c->repo, strlen(c->repo))) status = FAIL(err, SC_E_ARGUMENT, "--repo is \"%.100s\", expected org/name as on the Hub", c->repo);
    if (status == SC_OK && c->base && *c->base && !repo_id_is_valid(c->base, strlen(c->base))) status = FAIL(err, SC_E_ARGUMENT, "--base is \"%.100s\", expected org/name as on the Hub", c->base);
    if (status == SC_OK) f->title = title_of(directory, c);
    if (status == SC_OK) status = read_all(f, err);
    if (status != SC_OK) facts_release(f);
    return status;
}

void facts_release(struct card_facts *f)
{
    for (size_t i = 0; i < f->n_eval; i++) eval_record_release(&f->eval[i]);
    for (size_t i = 0; i < f->n_judge; i++) report_close(&f->judge[i]);
    if (f->has_template) chat_template_release(&f->template);
    char *const texts[] = { f->title, f->gguf, f->base_hub, f->base_name, f->licence, f->template_name };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) mem_free(texts[i]);
    json_t *const values[] = { f->record, f->adapter, f->config, f->events, f->trainings, f->weights, f->gguf_weights };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) json_decref(values[i]);
    *f = (struct card_facts){ 0 };
}
