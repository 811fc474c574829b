/* results.c - what a run found, in the shape of lm-eval 0.4's results and samples, and groups of tasks. */
#include "eval/eval_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void eval_event(const sc_runtime *rt, const char *format, ...)
{
    va_list ap;
    char text[4096];
    if (!rt->on_event) return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    rt->on_event(rt->user, text);
}

static const char *filter_name(const struct eval_task *t, size_t i) { return t->n_filters ? t->filter[i].name : "none"; }
static const struct eval_metric_row *metric_of(const struct eval_task_run *k, size_t result) { return k->metric[result % k->n_metrics]; }

/* "acc,none", "acc_stderr,none" */
static void set_value(json_t *out, const char *metric, const char *part, const char *filter, json_t *value)
{
    char key[160];
    snprintf(key, sizeof key, "%s%s,%s", metric, part, filter);
    json_object_set_new(out, key, value);
}

void eval_set_result(json_t *out, const char *metric, const char *filter, const struct eval_result *r)
{
    set_value(out, metric, "", filter, r && isfinite(r->value) ? json_real(r->value) : json_string("N/A"));
    set_value(out, metric, "_stderr", filter, r && r->has_error && isfinite(r->error) ? json_real(r->error) : json_string("N/A"));
}

static json_t *task_results(const struct eval_task_run *k)
{
    json_t *out = json_pack("{s:s, s:s, s:I}", "name", k->task->name, "alias", k->task->name, "sample_len", (json_int_t)k->n_asks);
    for (size_t i = 0; i < k->n_results; i++) eval_set_result(out, metric_of(k, i)->shown, filter_name(k->task, i / k->n_metrics), &k->result[i]);
    json_t *judged = k->task->code && k->task->code->is_picture ? json_object() : NULL;
    for (size_t m = 0; judged && m < k->n_results; m++) {
        size_t n = 0;
        for (size_t i = 0; i < k->n_asks; i++) n += k->number[m * k->n_asks + i].weight > 0;
        json_object_set_new(judged, metric_of(k, m)->shown, json_integer((json_int_t)n));
    }
    if (judged) json_object_set_new(out, "judged", judged);
    return out;
}

void eval_event_result(const struct eval_run *r, const struct eval_task_run *k)
{
    json_t *results = task_results(k), *event;
    event = json_pack("{s:s, s:s, s:I, s:I, s:f, s:I, s:I, s:I, s:o}", "event", "eval_result", "task", k->task->name, "documents", (json_int_t)k->n_asks, "examples", (json_int_t)k->examples.wanted, "seconds", k->seconds,
                      "requests", (json_int_t)k->requests.n, "tokens", (json_int_t)k->counts.tokens, "rows", (json_int_t)k->counts.rows, "results", results);
    char *text = json_dumps(event, JSON_COMPACT);
    if (r->runtime->on_event) r->runtime->on_event(r->runtime->user, text);
    free(text);
    json_decref(event);
}

/* ---- samples -------------------------------------------------------------------------------------------------------------------------------- */

static json_t *hash_of(const char *text, size_t len)
{
    struct sha256 s;
    char hex[65];
    sha256_begin(&s);
    sha256_add(&s, text, len);
    sha256_end(&s, hex);
    return json_string(hex);
}

/* str() of what a target template gives. */
static json_t *target_text(const json_t *target)
{
    if (json_is_string(target)) return json_copy((json_t *)(uintptr_t)target);
    char *dump = json_dumps(target, JSON_ENCODE_ANY);
    json_t *out = json_string(dump ? dump : "");
    free(dump);
    return out;
}

static void set_hashes(json_t *s, const json_t *document, const char *prompt, const json_t *target)
{
    char *dump = json_dumps(document, JSON_INDENT(2));
    json_object_set_new(s, "doc_hash", hash_of(dump ? dump : "", dump ? strlen(dump) : 0));
    json_object_set_new(s, "prompt_hash", hash_of(prompt, strlen(prompt)));
    json_object_set_new(s, "target_hash", hash_of(json_string_value(target), json_string_length(target)));
    free(dump);
}

static json_t *likelihood_resp(double sum, bool greedy)
{
    char number[40];
    snprintf(number, sizeof number, "%.17g", sum);
    return json_pack("[s, s]", number, greedy ? "True" : "False");
}

/* Arguments and responses of the options of ask i. */
static void set_options(json_t *s, const struct eval_task_run *k, size_t i)
{
    const struct eval_ask *a = &k->ask[i];
    json_t *arguments = json_object(), *resps = json_array(), *filtered = json_array();
    for (size_t o = 0; o < a->n_options; o++) {
        char key[40];
        snprintf(key, sizeof key, "gen_args_%zu", o);
        const char *context = a->context[a->n_contexts > 1 ? o : 0].text, *continuation = a->n_continuations ? a->continuation[a->n_continuations > 1 ? o : 0] : "";
        if (eval_is_whole(k->task->output)) json_object_set_new(arguments, key, json_pack("{s:s}", "arg_0", continuation));
        else json_object_set_new(arguments, key, json_pack("{s:s, s:s}", "arg_0", context, "arg_1", continuation));
        json_t *resp = likelihood_resp(k->logprob[k->first[i] + o], k->greedy[k->first[i] + o]);
        json_array_append_new(resps, json_pack("[O]", resp));
        json_array_append_new(filtered, resp);
    }
    json_object_set_new(s, "arguments", arguments);
    json_object_set_new(s, "resps", resps);
    json_object_set_new(s, "filtered_resps", filtered);
}

static json_t *list_of(const struct strings *s)
{
    json_t *out = json_array();
    for (size_t i = 0; i < s->n; i++) json_array_append_new(out, json_string(s->at[i]));
    return out;
}

static void set_written(json_t *s, const struct eval_task_run *k, size_t i, size_t filter)
{
    const sc_text *text = &k->written[i].text, *kept = &k->filtered[filter * k->n_written + i];
    json_object_set_new(s, "arguments", json_pack("{s:{s:s, s:{s:o, s:b, s:f, s:I}}}", "gen_args_0", "arg_0", k->ask[i].context[0].text, "arg_1", "until", list_of(&k->task->until), "do_sample", k->task->samples, "temperature", k->task->temperature,
                                                  "max_gen_toks", (json_int_t)k->task->most_tokens));
    json_object_set_new(s, "resps", json_pack("[[s%]]", text->data ? text->data : "", text->len));
    json_object_set_new(s, "filtered_resps", json_pack("[s%]", kept->data ? kept->data : "", kept->len));
}

/* All programs of ask i: as they were written, as they were run, and what became of them. */
static void set_programs(json_t *s, const struct eval_task_run *k, size_t i)
{
    json_t *resps = json_array(), *sources = json_array(), *programs = json_array();
    for (size_t p = 0; p < k->n_programs; p++) {
        const struct eval_program *one = &k->program[p];
        if (one->ask != i) continue;
        const sc_text *w = k->written ? &k->written[p].text : NULL;
        json_array_append_new(resps, w ? json_stringn(w->data ? w->data : "", w->len) : json_incref(one->answer));
        json_array_append(sources, one->source);
        json_array_append_new(programs, eval_program_record(one));
    }
    json_object_set_new(s, "arguments", json_pack("{s:{s:s, s:{s:o, s:b, s:f, s:I}}}", "gen_args_0", "arg_0", k->ask[i].context[0].text, "arg_1", "until", list_of(&k->task->until), "do_sample", k->task->samples, "temperature",
                                                  k->task->temperature, "max_gen_toks", (json_int_t)k->task->most_tokens));
    json_object_set_new(s, "resps", json_pack("[o]", resps));
    json_object_set_new(s, "filtered_resps", json_pack("[o]", sources));
    json_object_set_new(s, "programs", programs);
}

static json_t *sample_of(const struct eval_task_run *k, size_t i, size_t filter)
{
    const struct eval_ask *a = &k->ask[i];
    json_t *document = k->documents.at[a->document], *target = target_text(a->target), *names = json_array();
    json_t *s = json_pack("{s:I, s:O, s:O}", "doc_id", (json_int_t)a->document, "doc", document, "target", target);
    if (k->task->output == EVAL_GENERATE) set_written(s, k, i, filter);
    else if (k->task->output == EVAL_CODE) set_programs(s, k, i);
    else set_options(s, k, i);
    if (k->first_steps) json_object_set(s, "first", json_array_get(k->first_steps, i));
    json_object_set_new(s, "filter", json_string(filter_name(k->task, filter)));
    for (size_t m = 0; m < k->n_metrics; m++) json_array_append_new(names, json_string(k->metric[m]->shown));
    json_object_set_new(s, "metrics", names);
    set_hashes(s, document, eval_is_whole(k->task->output) ? a->continuation[0] : a->context[0].text, target);
    for (size_t m = 0; m < k->n_metrics; m++) {
        const struct eval_number *x = &k->number[(filter * k->n_metrics + m) * k->n_asks + i];
        bool is_pair = k->metric[m]->how >= AGGREGATE_WORDS;
        json_object_set_new(s, k->metric[m]->shown, is_pair ? json_pack("[f, f]", x->value, x->weight) : x->weight > 0 ? json_real(x->value) : json_null());
    }
    json_decref(target);
    return s;
}

json_t *eval_samples(const struct eval_task_run *k)
{
    json_t *out = json_array();
    for (size_t f = 0; f < (k->task->n_filters ? k->task->n_filters : 1); f++)
        for (size_t i = 0; i < k->n_asks; i++) json_array_append_new(out, sample_of(k, i, f));
    return out;
}

/* ---- groups ----------------------------------------------------------------------------------------------------------------------------------- */

static bool is_member(const struct eval_task_run *k, const char *group)
{
    for (size_t i = 0; i < k->task->groups.n; i++)
        if (!strcmp(k->task->groups.at[i], group)) return true;
    return false;
}

/* Means of tasks weighted by their documents; the error as for one sample that is divided into strata (lm-eval 0.4, pooled_sample_stderr). */
static struct eval_result pool_results(const struct eval_run *r, const char *group, const char *metric, size_t *documents)
{
    struct eval_result out = { .has_error = true };
    double n = 0, sum = 0, variance = 0, tasks = 0;
    for (size_t i = 0; i < r->n_tasks; i++) {
        const struct eval_task_run *k = &r->task[i];
        if (!is_member(k, group)) continue;
        for (size_t m = 0; m < k->n_results; m++) {
            if (strcmp(metric_of(k, m)->shown, metric) != 0 || m >= k->n_metrics) continue;
            double docs = (double)k->n_asks, error = k->result[m].error;
            n += docs;
            tasks++;
            sum += docs * k->result[m].value;
            variance += (docs - 1) * error * error * docs;
            out.has_error = out.has_error && k->result[m].has_error;
        }
    }
    out.value = sum / n;
    out.error = n > tasks ? sqrt(variance / (n - tasks) / n) : 0;
    *documents = (size_t)n;
    return out;
}

/* Groups whose tasks measure the same and can be averaged: named by the user, or groups of several tasks that ran inside of such. */
static json_t *group_results(const struct eval_run *r, const char *group)
{
    const struct eval_task_run *first = NULL;
    size_t documents = 0;
    for (size_t i = 0; i < r->n_tasks && !first; i++)
        if (is_member(&r->task[i], group)) first = &r->task[i];
    json_t *out = json_pack("{s:s, s:s}", "name", group, "alias", group);
    for (size_t m = 0; first && m < first->n_metrics; m++) {
        if (first->metric[m]->how != AGGREGATE_MEAN) continue;
        struct eval_result one = pool_results(r, group, first->metric[m]->shown, &documents);
        eval_set_result(out, first->metric[m]->shown, filter_name(first->task, 0), &one);
    }
    json_object_set_new(out, "sample_len", json_integer((json_int_t)documents));
    return out;
}

static void add_groups(json_t *groups, json_t *subtasks, const struct eval_run *r)
{
    for (size_t i = 0; i < r->n_tasks; i++) {
        const struct eval_task *t = r->task[i].task;
        bool is_asked = false;
        for (size_t a = 0; a < r->selection.groups.n; a++) is_asked = is_asked || is_member(&r->task[i], r->selection.groups.at[a]);
        for (size_t g = 0; is_asked && g < t->groups.n; g++) {
            const char *group = t->groups.at[g];
            if (!json_object_get(subtasks, group)) {
                json_object_set_new(subtasks, group, json_array());
                if (r->task[i].result) json_object_set_new(groups, group, group_results(r, group));
            }
            json_array_append_new(json_object_get(subtasks, group), json_string(t->name));
        }
    }
}

/* ---- everything --------------------------------------------------------------------------------------------------------------------------------- */

json_t *eval_weights_of(const struct model_file *m)
{
    json_t *out = json_array();
    char hex[65];
    for (size_t i = 0; model_file_digest(hex, m, i); i++) json_array_append_new(out, json_string(hex));
    return out;
}

static json_t *model_record(const struct eval_run *r)
{
    const sc_model *m = r->model;
    if (!m) return json_null();
    json_t *out = json_pack("{s:s, s:s, s:I, s:I}", "path", m->file->path, "architecture", m->model.config.arch->name, "parameters", (json_int_t)m->model.parameters, "context", (json_int_t)m->model.config.context);
    if (m->adapter) json_object_set_new(out, "adapter", json_string(m->adapter->path));
    json_object_set_new(out, "weights", eval_weights_of(m->file));
    if (m->adapter) json_object_set_new(out, "adapter_weights", eval_weights_of(m->adapter));
    struct sha256 s;
    char identity[65];
    sha256_begin(&s);
    model_file_identify(m->file, &s);
    if (m->adapter) model_file_identify(m->adapter, &s);
    sha256_end(&s, identity);
    json_object_set_new(out, "identity", json_string(identity));       /* of names, shapes, configs and a sample of every tensor; see model_file_identify */
    return out;
}

static json_t *config_record(const struct eval_run *r)
{
    sc_text text = { 0 };
    json_t *out = json_pack("{s:s, s:o, s:s, s:s, s:s, s:i, s:i}", "program", "starchat " SC_VERSION, "model", model_record(r), "activations", r->runtime->activations, "kernels",
                            r->runtime->backend->kernels_name(r->runtime->kernels), "backend", r->runtime->backend->name, "threads", pool_threads(r->runtime->pool), "ranks", r->runtime->comm.size);
    if (sc_options_record(&text, &eval_options, r->config) == SC_OK) {
        json_t *options = json_loadb(text.data, text.len, 0, NULL);
        if (options) json_object_update(out, options);
        json_decref(options);
    }
    sc_text_free(&text);
    return out;
}

static json_t *hash_or_null(const char *text) { return text ? hash_of(text, strlen(text)) : json_null(); }
static json_t *text_or_null(const char *text) { return text ? json_string(text) : json_null(); }

/* What lm-eval writes of how questions were asked. */
static void add_asking(json_t *out, const struct eval_run *r)
{
    const struct eval_chat *c = &r->chat;
    const char *system = *c->system ? c->system : NULL, *source = c->chat_template ? c->chat_template->source : NULL;
    json_object_set_new(out, "system_instruction", text_or_null(system));
    json_object_set_new(out, "system_instruction_sha", hash_or_null(system));
    json_object_set_new(out, "fewshot_as_multiturn", source ? json_boolean(c->is_multiturn) : json_null());
    json_object_set_new(out, "chat_template", text_or_null(source));
    json_object_set_new(out, "chat_template_sha", hash_or_null(source));
    if (c->leaves_out_system) json_object_set_new(out, "system_message_left_out", json_true());
}

struct tables { json_t *results, *configs, *versions, *shots, *higher, *counts, *samples, *data, *speed, *contamination, *programs; };

static void add_task(struct tables *t, const struct eval_task_run *k)
{
    const char *name = k->task->name;
    json_t *higher = json_object();
    for (size_t m = 0; m < k->n_metrics; m++) json_object_set_new(higher, k->metric[m]->shown, json_boolean(k->metric[m]->higher_is_better));
    json_object_set_new(t->results, name, task_results(k));
    json_object_set(t->configs, name, k->task->source);
    json_object_set_new(t->versions, name, json_real(k->task->version));
    json_object_set_new(t->shots, name, json_integer((json_int_t)k->examples.wanted));
    json_object_set_new(t->higher, name, higher);
    json_object_set_new(t->counts, name, json_pack("{s:I, s:I}", "original", (json_int_t)k->n_documents, "effective", (json_int_t)k->n_asks));
    if (k->samples) json_object_set(t->samples, name, k->samples);
    if (k->files) json_object_set(t->data, name, k->files);
    if (k->contamination) json_object_set(t->contamination, name, k->contamination);
    if (k->programs) json_object_set(t->programs, name, k->programs);
    json_object_set_new(t->speed, name, json_pack("{s:f, s:I, s:I, s:I}", "seconds", k->seconds, "tokens", (json_int_t)k->counts.tokens, "rows", (json_int_t)k->counts.rows, "passes", (json_int_t)k->counts.passes));
}

json_t *eval_results(const struct eval_run *r)
{
    struct tables t = { json_object(), json_object(), json_object(), json_object(), json_object(), json_object(), json_object(), json_object(), json_object(), json_object(), json_object() };
    json_t *groups = json_object(), *subtasks = json_object(), *value;
    const char *name;
    for (size_t i = 0; i < r->n_tasks; i++) add_task(&t, &r->task[i]);
    add_groups(groups, subtasks, r);
    json_object_foreach(groups, name, value)
        if (!json_object_get(t.results, name)) json_object_set(t.results, name, value);
    json_t *out = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:f, s:o, s:o}", "results", t.results, "groups", groups, "group_subtasks", subtasks, "configs", t.configs, "versions", t.versions,
                            "n-shot", t.shots, "higher_is_better", t.higher, "n-samples", t.counts, "config", config_record(r), "data", t.data, "date", (json_int_t)r->began, "total_evaluation_time_seconds",
                            clock_seconds() - r->clock, "speed", t.speed, "samples", t.samples);
    add_asking(out, r);
    if (json_object_size(t.contamination)) json_object_set(out, "contamination", t.contamination);
    if (json_object_size(t.programs)) json_object_set(out, "programs", t.programs);
    json_decref(t.contamination);
    json_decref(t.programs);
    return out;
}

sc_status sc_eval_tasks(sc_text *out, sc_error *err)
{
    struct eval_tasks all = { 0 };
    json_t *list = json_array();
    sc_status status = eval_tasks_builtin(&all, err);
    for (size_t i = 0; i < all.n && status == SC_OK; i++) {
        const struct eval_task *t = all.at[i];
        json_t *groups = json_array(), *files = json_object();
        for (size_t k = 0; k < t->groups.n; k++) json_array_append_new(groups, json_string(t->groups.at[k]));
        for (int s = 0; s < SPLITS; s++) {
            if (!t->files[s].n) continue;
            json_t *patterns = json_array();
            for (size_t k = 0; k < t->files[s].n; k++) json_array_append_new(patterns, json_string(t->files[s].at[k]));
            json_object_set_new(files, split_names[s], patterns);
        }
        json_array_append_new(list, json_pack("{s:s, s:o, s:s, s:s, s:o, s:s}", "task", t->name, "groups", groups, "about", t->about ? t->about : "", "output_type", eval_outputs[t->output], "files", files, "licence", t->licence ? t->licence : ""));
    }
    if (status == SC_OK) status = json_write(out, list, true);
    json_decref(list);
    eval_tasks_release(&all);
    return status;
}
