/* run.c - the output directory of a run: run.json says which recipe it belongs to and whether it is finished, so that a
 * run is resumed only by its own recipe. */
#include "lineage/lineage.h"
#include "train/train_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Keys that change nothing in what is learned. */
static const char *const free_keys[] = { "output_dir", "overwrite_output_dir", "report_to", "logging_steps", "logging_first_step", "save_steps", "save_strategy", "save_total_limit", "eval_samples", "eval_tasks", "eval_data", "eval_tasks_limit", "eval_tasks_num_fewshot", "eval_tasks_apply_chat_template",
                                         "push_to_hub", "hub_model_id", "hub_strategy", "hub_private_repo", "hub_revision", "hub_always_push", "hub_allow", "export_gguf", "per_device_eval_batch_size", "zero", "heartbeat_seconds", "trace", NULL };

static bool is_free(const char *key)
{
    for (size_t i = 0; free_keys[i]; i++)
        if (strcmp(free_keys[i], key) == 0) return true;
    return false;
}

static json_t *list_of(const char *const *text, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, json_string(text[i]));
    return list;
}

static sc_status describe(json_t **out, const sc_train_config *c, sc_error *err)
{
    sc_text text = { 0 };
    TRY(sc_options_record(&text, &train_options, c));
    sc_status status = json_read(out, text.data, text.len, "the recipe", err);
    sc_text_free(&text);
    TRY(status);
    json_object_set_new(*out, "dataset_name", list_of(c->datasets, c->n_datasets));
    json_object_set_new(*out, "eval_dataset_name", list_of(c->eval_datasets, c->n_eval_datasets));
    return SC_OK;
}

/* The first key whose value is another one; NULL if none. */
static const char *first_difference(const json_t *a, const json_t *b)
{
    const char *key;
    const json_t *value;
    json_object_foreach((json_t *)(uintptr_t)a, key, value)
        if (!is_free(key) && !json_equal(value, json_object_get(b, key))) return key;
    return NULL;
}

static sc_status other_recipe(const char *path, const char *key, const json_t *before, const json_t *now, sc_error *err)
{
    char *a = json_dumps(json_object_get(before, key), JSON_COMPACT | JSON_ENCODE_ANY), *b = json_dumps(json_object_get(now, key), JSON_COMPACT | JSON_ENCODE_ANY);
    sc_status status = FAIL(err, SC_E_ARGUMENT, "%s holds a run of another recipe: its %s is %.60s, now it is %.60s; choose another output_dir, or set overwrite_output_dir to true", path, key,
                            a ? a : "absent", b ? b : "absent");
    mem_free(a);
    mem_free(b);
    return status;
}

/* The same recipe goes on, also where overwriting is allowed: what was computed is not thrown away. */
static sc_status read_run(enum run_found *found, const json_t *recipe, const char *file, const char *directory, bool may_overwrite, sc_error *err)
{
    json_t *run = NULL;
    const char *state;
    TRY(json_read_file(&run, file, 1 << 24, err));
    const json_t *before = json_object_get(run, "recipe");
    const char *key = first_difference(recipe, before);
    sc_status status = json_opt_string(&state, run, "state", "", file, err);
    bool has_begun = status == SC_OK && strcmp(state, "opening") != 0;
    if (key && has_begun && !may_overwrite) status = other_recipe(directory, key, before, recipe, err);
    if (status == SC_OK) *found = key ? RUN_NEW : strcmp(state, "finished") == 0 ? RUN_FINISHED : RUN_RESUMES;
    json_decref(run);
    return status;
}

static const char *const directories[] = { "data", "eval_data", "runs", NULL };

/* model-00001-of-00003.safetensors and the like: a model beside an adapter would be read in its place. */
static void clear_parts(const char *output)
{
    unsigned i, n;
    DIR *d = opendir(output);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        int end = 0;
        if (sscanf(e->d_name, "model-%5u-of-%5u.safetensors%n", &i, &n, &end) != 2 || !end || e->d_name[end]) continue;
        char *path = path_join(output, e->d_name);
        unlink(path);
        mem_free(path);
    }
    if (d) closedir(d);
}

/* What an earlier run of another recipe made; nothing else is touched. */
static void clear(const char *output)
{
    static const char *const files[] = { "reference.bin", "events.jsonl", "report.html", "adapter_config.json", "adapter_model.safetensors", "trainer_state.json", "all_results.json", "trace.json", "config.json", "generation_config.json",
                                         "model.safetensors", "model.safetensors.index.json", "model.gguf", LINEAGE_FILE, NULL };
    checkpoint_sweep(output, 0, -1);
    for (size_t i = 0; directories[i]; i++) {
        char *path = path_join(output, directories[i]);
        remove_plain_directory(path);
        mem_free(path);
    }
    for (size_t i = 0; files[i]; i++) {
        char *path = path_join(output, files[i]);
        unlink(path);
        mem_free(path);
    }
    clear_parts(output);
}

/* Files and directories whose name goes on with ".tmp-" or ".part" behind `begin`: a process that was killed left them. */
static void sweep(const char *directory, const char *begin)
{
    DIR *d = opendir(directory);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        const char *rest = e->d_name + strlen(begin);
        if (strncmp(e->d_name, begin, strlen(begin)) != 0 || !(*begin ? strncmp(rest, ".tmp-", 5) == 0 : strstr(rest, ".tmp-") || strstr(rest, ".part"))) continue;
        char *path = path_join(directory, e->d_name);
        if (unlink(path) != 0) remove_plain_directory(path);
        mem_free(path);
    }
    if (d) closedir(d);
}

static void sweep_leftovers(const char *output)
{
    char *parent = mem_strdup(output), *slash;
    size_t n = strlen(parent);
    while (n > 1 && parent[n - 1] == '/') parent[--n] = 0;
    sweep(output, "");
    slash = strrchr(parent, '/');
    if (slash) *slash = 0;
    sweep(!slash ? "." : slash == parent ? "/" : parent, slash ? slash + 1 : parent);
    mem_free(parent);
}

/* A place that no run has used: directories of the user's must not be taken for its own. */
static sc_status check_fresh(const char *output, sc_error *err)
{
    for (size_t i = 0; directories[i]; i++) {
        char *path = path_join(output, directories[i]);
        bool exists = path_exists(path);
        mem_free(path);
        if (exists) return FAIL(err, SC_E_ARGUMENT, "%s has a %s that is not of a run, and a run would write there; choose another output_dir", output, directories[i]);
    }
    return SC_OK;
}

static sc_status take_lock(int *lock, const char *output, sc_error *err)
{
    char *path = path_join(output, "run.lock");
    *lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    sc_status status = *lock >= 0 ? SC_OK : FAIL(err, SC_E_IO, "cannot write in %s: %s; choose an output_dir that can be written", output, strerror(errno));
    if (status == SC_OK && flock(*lock, LOCK_EX | LOCK_NB) != 0) status = FAIL(err, SC_E_ARGUMENT, "another run is at work in %s; wait for it, or choose another output_dir", output);
    mem_free(path);
    return status;
}

sc_status run_open(enum run_found *found, json_t **recipe, int *lock, const sc_train_config *c, sc_error *err)
{
    *found = RUN_NEW;
    *recipe = NULL;
    *lock = -1;
    TRY(describe(recipe, c, err));
    TRY(path_make_directories(c->output_dir, err));
    TRY(take_lock(lock, c->output_dir, err));
    sweep_leftovers(c->output_dir);
    char *file = path_join(c->output_dir, "run.json");
    sc_status status = SC_OK;
    bool was_used = path_exists(file);
    status = was_used ? read_run(found, *recipe, file, c->output_dir, c->overwrite_output_dir, err) : check_fresh(c->output_dir, err);
    if (status == SC_OK && *found == RUN_NEW) {
        if (was_used) clear(c->output_dir);
        status = run_write(c, *recipe, "opening", NULL, err);
    }
    mem_free(file);
    return status;
}

sc_status run_write(const sc_train_config *c, const json_t *recipe, const char *state, const json_t *results, sc_error *err)
{
    sc_text text = { 0 };
    char *file = path_join(c->output_dir, "run.json");
    json_t *run = json_pack("{s:s, s:s, s:O}", "program", SC_VERSION, "state", state, "recipe", recipe);
    if (results) json_object_set(run, "results", (json_t *)(uintptr_t)results);
    sc_status status = json_write(&text, run, true);
    if (status == SC_OK) status = file_write(file, text.data, text.len, err);
    json_decref(run);
    sc_text_free(&text);
    mem_free(file);
    return status;
}

sc_status run_check_visible(const char *output, sc_error *err)
{
    char *file = path_join(output, "run.json");
    sc_status status = path_exists(file) ? SC_OK : FAIL(err, SC_E_IO, "%s, which rank 0 made, is not there on this machine; choose an output_dir on a file system that all machines share", file);
    mem_free(file);
    return status;
}

sc_status run_check_space(const char *output, uint64_t bytes, sc_error *err)
{
    struct statvfs v;
    if (statvfs(output, &v) != 0) return FAIL(err, SC_E_IO, "cannot tell how much room there is at %s: %s", output, strerror(errno));
    uint64_t room = (uint64_t)v.f_bavail * v.f_frsize;
    if (room >= bytes + bytes / 20) return SC_OK;
    return FAIL(err, SC_E_IO, "the checkpoints and the result of this run need %.2f GB at %s, but there is room for %.2f GB; free some, or lower save_total_limit", (double)bytes * 1.05e-9, output,
                (double)room * 1e-9);
}
