/* train_lineage.c - the record of a run: base, data, recipe, machine and cost. Paths of the recipe become names: the record goes where the weights go. */
#include "lineage/lineage.h"
#include "train/train_internal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- data ------------------------------------------------------------------------------------------------------------------------ */

/* Files that were read. Their paths stay in dataset.json. */
static json_t *sources_of(const json_t *manifest)
{
    json_t *out = json_array(), *input;
    size_t i;
    json_array_foreach(json_object_get(manifest, "inputs"), i, input) {
        static const char *const kept[] = { "bytes", "sha256", "records" };
        const char *file = json_string_value(json_object_get(input, "file"));
        json_t *source = json_object();
        const char *name = file ? lineage_base_name(file) : "";
        json_t *read = json_pack("[{s:s, s:O*}]", "name", name, "sha256", json_object_get(input, "sha256"));
        lineage_describe(source, file ? file : "", read, NULL);
        json_object_set_new(source, "name", json_string(name));
        json_decref(read);
        for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
            if (json_object_get(input, kept[k])) json_object_set(source, kept[k], json_object_get(input, kept[k]));
        json_array_append_new(out, source);
    }
    return out;
}

/* tokens.bin and the shards, as the manifest has them. */
static json_t *files_of(const sc_dataset *d)
{
    json_t *out = json_pack("[{s:s, s:O}]", "name", "tokens.bin", "sha256", json_object_get(json_object_get(d->manifest, "tokenizer"), "sha256")), *split, *shard;
    const char *name;
    size_t i;
    json_object_foreach(json_object_get(d->manifest, "splits"), name, split)
        json_array_foreach(json_object_get(split, "shards"), i, shard)
            json_array_append_new(out, json_pack("{s:O, s:O}", "name", json_object_get(shard, "file"), "sha256", json_object_get(shard, "sha256")));
    return out;
}

/* Samples, tokens and trained tokens of each split. */
static json_t *splits_of(const json_t *manifest)
{
    static const char *const members[] = { "rows", "samples", "tokens", "trained" };
    json_t *out = json_object(), *split, *shard;
    const char *name;
    size_t i;
    json_object_foreach(json_object_get(manifest, "splits"), name, split) {
        json_int_t sum[4] = { 0 };
        json_array_foreach(json_object_get(split, "shards"), i, shard)
            for (size_t k = 0; k < 4; k++) sum[k] += json_integer_value(json_object_get(shard, members[k]));
        json_t *counts = json_object();
        for (size_t k = 0; k < 4; k++) json_object_set_new(counts, members[k], json_integer(sum[k]));
        json_object_set_new(out, name, counts);
    }
    return out;
}

static json_t *counts_of(const json_t *manifest)
{
    static const char *const members[] = { "records", "dialogues", "turns", "samples", "tokens", "trained", "duplicates", "overlaps", "emails", "ips", "keys", "dropped", "per_language" };
    const json_t *stats = json_object_get(manifest, "stats");
    json_t *out = json_object();
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (json_object_get(stats, members[i])) json_object_set(out, members[i], json_object_get(stats, members[i]));
    return out;
}

static sc_status add_dataset(json_t *record, const char *role, const sc_dataset *d, sc_error *err)
{
    static const char *const kept[] = { "program", "options" };
    char *path = path_join(d->path, "dataset.json"), hex[65];
    json_t *origin = json_pack("{s:s, s:s}", "role", role, "kind", "dataset"), *dataset = json_object();
    const json_t *template = json_object_get(d->manifest, "template");
    sc_status status = lineage_digest(hex, NULL, path, err);
    json_t *read = json_pack("[{s:s, s:s}]", "name", "dataset.json", "sha256", status == SC_OK ? hex : "");
    lineage_describe(origin, d->path, read, json_string_value(json_object_get(record, "place")));
    json_decref(read);
    json_object_set_new(dataset, "sha256", json_string(status == SC_OK ? hex : ""));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (json_object_get(d->manifest, kept[i])) json_object_set(dataset, kept[i], json_object_get(d->manifest, kept[i]));
    json_object_set_new(dataset, "template", json_pack("{s:O*, s:O*}", "name", json_object_get(template, "name"), "sha256", json_object_get(template, "sha256")));
    json_object_set_new(dataset, "files", files_of(d));
    json_object_set_new(dataset, "splits", splits_of(d->manifest));
    json_object_set_new(dataset, "counts", counts_of(d->manifest));
    json_object_set_new(dataset, "sources", sources_of(d->manifest));
    json_object_set_new(origin, "dataset", dataset);
    json_array_append_new(json_object_get(record, "inputs"), origin);
    mem_free(path);
    return status;
}

/* ---- recipe ----------------------------------------------------------------------------------------------------------------------- */

static json_t *name_of(const json_t *path)
{
    const char *text = json_string_value(path);
    json_t *origin = text && *text && path_exists(text) ? json_object() : NULL;
    if (!origin) return text && strchr(text, '/') && *text == '/' ? json_string(lineage_base_name(text)) : json_copy((json_t *)(uintptr_t)path);
    lineage_describe(origin, text, NULL, NULL);
    json_t *name = json_incref(json_object_get(origin, "name"));
    json_decref(origin);
    return name;
}

static const char *const paths[] = { "model_name_or_path", "dialogue_template", "init_adapter", "eval_data", "output_dir" }, *const lists[] = { "dataset_name", "eval_dataset_name" };
enum { N_PATHS = sizeof paths / sizeof *paths, N_LISTS = sizeof lists / sizeof *lists };

bool lineage_recipe_names(const char *key)
{
    for (size_t k = 0; k < N_PATHS; k++)
        if (strcmp(key, paths[k]) == 0) return true;
    for (size_t k = 0; k < N_LISTS; k++)
        if (strcmp(key, lists[k]) == 0) return true;
    return false;
}

json_t *lineage_recipe(const json_t *recipe)
{
    json_t *out = json_copy((json_t *)(uintptr_t)recipe), *one;
    size_t i;
    for (size_t k = 0; k < N_PATHS; k++)
        if (json_is_string(json_object_get(out, paths[k]))) json_object_set_new(out, paths[k], name_of(json_object_get(recipe, paths[k])));
    for (size_t k = 0; k < N_LISTS; k++) {
        json_t *names = json_array();
        json_array_foreach(json_object_get(recipe, lists[k]), i, one) json_array_append_new(names, name_of(one));
        json_object_set_new(out, lists[k], names);
    }
    return out;
}

/* ---- the record --------------------------------------------------------------------------------------------------------------------- */

static json_t *machine_of(const sc_runtime *rt)
{
    return json_pack("{s:s, s:i, s:i, s:i, s:I, s:I, s:s}", "processor", system_cpu()->model, "cores", system_cores(), "threads", pool_threads(rt->pool), "ranks", rt->comm.size, "memory_bytes",
                     (json_int_t)system_memory(), "peak_memory_bytes", (json_int_t)system_peak_memory(), "kernels", rt->backend->kernels_name(rt->kernels));
}

static json_t *cost_of(const struct run_state *s)
{
    json_t *out = json_pack("{s:f, s:f, s:f}", "wall_seconds", s->wall_seconds, "step_seconds", s->seconds, "processor_seconds", s->processor_seconds);
    if (s->metered_seconds > 0)
        json_object_set_new(out, "energy", json_pack("{s:s, s:f, s:f}", "method", "powercap counters of processor packages and memory, of the whole machine", "joules", s->joules, "seconds", s->metered_seconds));
    return out;
}

sc_status train_lineage(json_t **out, const struct learner *l, const struct corpus *data, const struct run_state *s, const json_t *recipe, sc_error *err)
{
    const sc_train_config *c = l->config;
    char when[32] = "";
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc)) strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    *out = lineage_new("train");
    json_object_set_new(*out, "place", json_string(c->output_dir));
    TRY(lineage_add_model(*out, "base", c->model_name_or_path, c->output_dir, err));
    if (c->init_adapter && *c->init_adapter) TRY(lineage_add_model(*out, "adapter", c->init_adapter, c->output_dir, err));
    TRY(add_dataset(*out, "data", data->train_data, err));
    if (data->eval_data && data->eval_data != data->train_data) TRY(add_dataset(*out, "eval_data", data->eval_data, err));
    json_object_del(*out, "place");
    json_object_set_new(*out, "recipe", lineage_recipe(recipe));
    json_object_set_new(*out, "seed", json_integer((json_int_t)(c->seed & INT64_MAX)));
    json_object_set_new(*out, "steps", json_integer(s->step));
    json_object_set_new(*out, "tokens", json_integer((json_int_t)s->tokens));
    json_object_set_new(*out, "trained_parameters", json_integer((json_int_t)l->n_trained));
    json_object_set_new(*out, "parameters", json_integer((json_int_t)l->model->model.parameters));
    json_object_set_new(*out, "ended", json_string(when));
    json_object_set_new(*out, "machine", machine_of(l->rt));
    json_object_set_new(*out, "cost", cost_of(s));
    return SC_OK;
}
