/* live.c - benchmarks of a model that is being trained: the same run as `starchat eval`, on this process alone, without samples. */
#include "eval/eval_internal.h"

#include "train/train.h"

#include <string.h>

static void add_numbers(json_t *out, const char *task, const json_t *results)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)results, key, value) {
        const char *comma = strrchr(key, ',');
        char error[200];
        if (!comma || !json_is_number(value) || strstr(key, "_stderr,")) continue;
        snprintf(error, sizeof error, "%.*s_stderr%s", (int)(comma - key), key, comma);
        json_t *one = json_pack("{s:s, s:s, s:O, s:O}", "task", task, "metric", key, "value", value, "documents", json_object_get(results, "sample_len"));
        if (json_is_number(json_object_get(results, error))) json_object_set(one, "error", json_object_get(results, error));
        json_array_append_new(out, one);
    }
}

sc_status eval_live(json_t **out, sc_model *m, const struct live_tasks *t, sc_error *err)
{
    sc_eval_config c;
    sc_options_defaults(&eval_options, &c);
    c.tasks = t->tasks;
    c.data = t->data;
    c.limit = (double)t->limit;
    c.num_fewshot = t->shots;
    c.apply_chat_template = t->applies_template;
    c.log_samples = false;
    json_t *results = NULL, *one;
    const char *task;
    TRY(eval_run_all(&results, m->runtime, m, &c, true, err));
    *out = json_array();
    json_object_foreach(json_object_get(results, "results"), task, one) add_numbers(*out, task, one);
    json_decref(results);
    return SC_OK;
}
