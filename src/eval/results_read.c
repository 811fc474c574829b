/* results_read.c - results that were written: one file of ours, or lm-eval's results with a file of samples for each task beside them. */
#include "eval/eval_internal.h"
#include "eval/scores.h"

#include <ctype.h>
#include <dirent.h>
#include <math.h>
#include <string.h>

#define RECORD_BYTES_MAX ((size_t)4 << 30)
enum { GROUP_DEPTH_MAX = 8 };

/* ---- checks ---------------------------------------------------------------------------------------------------------------------------- */

static sc_status check_sample(const json_t *s, const char *task, size_t i, const char *path, sc_error *err)
{
    static const char *const texts[] = { "filter", "doc_hash", "prompt_hash", "target_hash" };
    char name[120];
    error_quote(name, sizeof name, task, strlen(task));
    const json_t *id = json_object_get(s, "doc_id");
    if (!json_is_integer(id)) return FAIL(err, SC_E_FORMAT, "%s: sample %zu of %s has no whole number \"doc_id\"; is it a file of results?", path, i, name);
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        const json_t *v = json_object_get(s, texts[k]);
        if (v && !json_is_string(v)) return FAIL(err, SC_E_FORMAT, "%s: \"%s\" of sample %zu of %s is no text", path, texts[k], i, name);
    }
    return SC_OK;
}

static sc_status check_samples(json_t *samples, const char *path, sc_error *err)
{
    const char *task;
    json_t *list, *s;
    size_t i;
    if (!json_is_object(samples)) return FAIL(err, SC_E_FORMAT, "%s: \"samples\" is no object with a list for each task", path);
    json_object_foreach(samples, task, list) {
        if (!json_is_array(list)) return FAIL(err, SC_E_FORMAT, "%s: \"samples\" holds something that is no list of samples", path);
        json_array_foreach(list, i, s) TRY(check_sample(s, task, i, path, err));
    }
    return SC_OK;
}

static sc_status check_results(json_t *all, const char *path, sc_error *err)
{
    const char *task;
    json_t *one, *results = json_object_get(all, "results");
    if (!json_is_object(results)) return FAIL(err, SC_E_FORMAT, "%s has no object \"results\", expected a file of `starchat eval --out` or lm-eval's results_DATE.json", path);
    json_object_foreach(results, task, one)
        if (!json_is_object(one)) return FAIL(err, SC_E_FORMAT, "%s: \"results\" holds something that is no object of scores", path);
    return SC_OK;
}

sc_status eval_record_parse(struct eval_record *out, const char *text, size_t len, const char *path, sc_error *err)
{
    *out = (struct eval_record){ .path = mem_strdup(path) };
    sc_status status = json_read(&out->all, text, len, path, err);
    if (status == SC_OK) status = check_results(out->all, path, err);
    json_t *samples = status == SC_OK ? json_object_get(out->all, "samples") : NULL;
    if (samples && !json_is_null(samples)) status = check_samples(samples, path, err);
    if (status == SC_OK) out->samples = samples && !json_is_null(samples) ? json_incref(samples) : json_object();
    else eval_record_release(out);
    return status;
}

void eval_record_release(struct eval_record *r)
{
    mem_free(r->path);
    json_decref(r->all);
    json_decref(r->samples);
    *r = (struct eval_record){ 0 };
}

/* ---- lm-eval's samples ------------------------------------------------------------------------------------------------------------------ */

static sc_status read_lines(json_t *list, const char *path, sc_error *err)
{
    struct mapped_file f;
    uint64_t line = 0;
    sc_status status = SC_OK;
    TRY(file_map(&f, path, err));
    const char *text = (const char *)f.data;
    for (size_t at = 0; at < f.size && status == SC_OK;) {
        const char *end = memchr(text + at, '\n', f.size - at);
        size_t len = end ? (size_t)(end - text) - at : f.size - at;
        json_t *s = NULL;
        line++;
        if (len) status = json_read_line(&s, text + at, len, line, err);
        if (s) json_array_append_new(list, s);
        at += len + 1;
    }
    file_unmap(&f);
    return status == SC_OK ? SC_OK : error_prefix(err, status, "%s", path);
}

/* The file of that run (by its date), else the newest of the task; NULL if there is none. */
static char *find_samples(const char *directory, const char *task, const char *date)
{
    struct buf begin, name;
    struct dirent *e;
    DIR *d = opendir(directory);
    buf_init(&begin, 0);
    buf_init(&name, 0);
    buf_printf(&begin, "samples_%s_", task);
    for (; d && (e = readdir(d));) {
        if (strncmp(e->d_name, begin.data, begin.len) != 0 || !path_ends_with(e->d_name, ".jsonl")) continue;
        const char *rest = e->d_name + begin.len;
        bool is_same = date && strncmp(rest, date, strlen(date)) == 0 && !strcmp(rest + strlen(date), ".jsonl");
        if (!is_same && (!isdigit((unsigned char)*rest) || (name.len && strcmp(name.data, e->d_name) > 0))) continue;
        buf_clear(&name);
        buf_puts(&name, e->d_name);
        if (is_same) break;
    }
    if (d) closedir(d);
    char *path = name.len ? path_join(directory, name.data) : NULL;
    buf_release(&begin);
    buf_release(&name);
    return path;
}

static sc_status add_samples(struct eval_record *r, sc_error *err)
{
    const char *slash = strrchr(r->path, '/'), *name = slash ? slash + 1 : r->path, *task;
    char *directory = slash ? mem_strndup(r->path, (size_t)(slash - r->path) + 1) : mem_strdup("."), *date = NULL;
    json_t *one;
    sc_status status = SC_OK;
    if (!strncmp(name, "results_", 8) && path_ends_with(name, ".json")) date = mem_strndup(name + 8, strlen(name) - 8 - 5);
    json_object_foreach(json_object_get(r->all, "results"), task, one) {
        char *path = strchr(task, '/') ? NULL : find_samples(directory, task, date);
        if (!path) continue;
        json_t *list = json_array();
        json_object_set_new(r->samples, task, list);
        status = read_lines(list, path, err);
        mem_free(path);
        if (status != SC_OK) break;
    }
    mem_free(directory);
    mem_free(date);
    return status == SC_OK ? check_samples(r->samples, r->path, err) : status;
}

sc_status eval_record_open(struct eval_record *out, const char *path, sc_error *err)
{
    sc_text text = { 0 };
    *out = (struct eval_record){ 0 };
    if (path_is_directory(path)) return FAIL(err, SC_E_IO, "%s is a directory, expected a file of results", path);
    TRY(file_read(&text, path, RECORD_BYTES_MAX, err));
    sc_status status = eval_record_parse(out, text.data, text.len, path, err);
    sc_text_free(&text);
    if (status == SC_OK && !json_object_size(out->samples)) status = add_samples(out, err);
    if (status != SC_OK) eval_record_release(out);
    return status;
}

/* ---- what is in it ---------------------------------------------------------------------------------------------------------------------- */

const json_t *eval_record_get(const struct eval_record *r, const char *table, const char *name) { return json_object_get(json_object_get(r->all, table), name); }

const char *eval_record_model(const struct eval_record *r)
{
    const char *path = json_string_value(json_object_get(eval_record_get(r, "config", "model"), "path")), *name = json_string_value(json_object_get(r->all, "model_name"));
    const char *arguments = json_string_value(eval_record_get(r, "config", "model_args"));
    return path ? path : name ? name : arguments ? arguments : "";
}

bool eval_score_key(char **metric, const char **filter, const char *key, const json_t *value)
{
    const char *comma = strrchr(key, ',');
    size_t len = comma ? (size_t)(comma - key) : 0;
    if (!len || !json_is_number(value) || (len > 7 && !memcmp(comma - 7, "_stderr", 7))) return false;
    *metric = mem_strndup(key, len);
    *filter = comma + 1;
    return true;
}

struct eval_how eval_how_of(const char *metric)
{
    for (int output = 0; output < EVAL_OUTPUTS; output++) {
        const struct eval_metric_row *row = eval_metric_find(metric, (enum eval_output)output);
        if (!row || row->how == AGGREGATE_MEAN) continue;
        return (struct eval_how){ row->how != AGGREGATE_BITS, row->how != AGGREGATE_PERPLEXITY, row->how == AGGREGATE_BITS ? -1 / log(2) : -1 };
    }
    return (struct eval_how){ .scale = 1 };
}

bool eval_sample_number(const json_t *sample, const char *metric, const struct eval_how *how, double *value, double *weight)
{
    const json_t *v = json_object_get(sample, metric), *w = json_array_get(v, 1);
    *weight = 1;
    if (how->is_pair) {
        if (json_array_size(v) != 2 || !json_is_number(json_array_get(v, 0)) || !json_is_number(w)) return false;
        *value = json_number_value(json_array_get(v, 0));
        *weight = json_number_value(w);
        return *weight > 0;
    }
    if (!json_is_number(v) && !json_is_boolean(v)) return false;
    *value = json_is_boolean(v) ? json_is_true(v) : json_number_value(v);
    return true;
}

int eval_direction(const struct eval_record *r, const char *task, const char *metric)
{
    const json_t *higher = json_object_get(eval_record_get(r, "higher_is_better", task), metric);
    if (json_is_boolean(higher)) return json_is_true(higher);
    for (int output = 0; output < EVAL_OUTPUTS; output++) {
        const struct eval_metric_row *row = eval_metric_find(metric, (enum eval_output)output);
        if (row) return row->higher_is_better;
    }
    return -1;
}

bool eval_has_filter(const json_t *sample, const char *filter)
{
    const json_t *f = json_object_get(sample, "filter");      /* older files have none */
    return !f || !strcmp(json_string_value(f), filter);
}

static bool add_tasks(json_t *out, const struct eval_record *r, const char *group, int depth)
{
    const json_t *tasks = eval_record_get(r, "group_subtasks", group), *one;
    size_t i;
    if (!json_array_size(tasks) || depth > GROUP_DEPTH_MAX) return false;
    json_array_foreach(tasks, i, one) {
        const char *name = json_string_value(one);
        if (name && !add_tasks(out, r, name, depth + 1)) json_object_set_new(out, name, json_true());
    }
    return true;
}

bool eval_group_tasks(json_t *out, const struct eval_record *r, const char *group) { return add_tasks(out, r, group, 0); }
