/* run.c - the job: task by task from data files to results. */
#include "eval/eval_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- one task ------------------------------------------------------------------------------------------------------------------------------ */

static size_t documents_wanted(const sc_eval_config *c, size_t n)
{
    if (c->limit <= 0) return n;
    double most = c->limit < 1 ? ceil(c->limit * (double)n) : c->limit;
    return most < (double)n ? (size_t)most : n;
}

static sc_status read_data(struct eval_run *r, struct eval_task_run *k, sc_error *err)
{
    const struct eval_task *t = k->task;
    int64_t wanted = k->chosen.shots >= 0 ? k->chosen.shots : r->config->num_fewshot >= 0 ? r->config->num_fewshot : t->examples_wanted;
    int split = eval_examples_split(t, k->chosen.split);
    if (!t->takes_examples) wanted = 0;
    TRY(eval_documents_read(&k->documents, t, t->evaluated, r->config->data, err));
    k->examples = (struct eval_examples){ .wanted = t->output == EVAL_ROLLING ? 0 : (size_t)wanted, .draws_spare = eval_draws_spare(t, k->chosen.split) };
    if (k->examples.wanted && !t->fixed_examples && split != t->evaluated) TRY(eval_documents_read(&k->example_documents, t, split, r->config->data, err));
    k->examples.from = split == t->evaluated ? &k->documents : &k->example_documents;
    python_random_seed(&k->examples.random, (uint64_t)r->config->fewshot_seed);
    return SC_OK;
}

static void tell_data(const struct eval_run *r, const struct eval_documents *d)
{
    for (size_t i = 0; i < json_array_size(d->files); i++) {
        const json_t *f = json_array_get(d->files, i);
        json_t *event = json_pack("{s:s, s:O, s:O, s:O}", "event", "eval_data", "file", json_object_get(f, "file"), "records", json_object_get(f, "records"), "sha256", json_object_get(f, "sha256"));
        char *text = json_dumps(event, JSON_COMPACT);
        if (text) eval_event(r->runtime, "%s", text);
        free(text);
        json_decref(event);
    }
}

static sc_status ask_all(struct eval_run *r, struct eval_task_run *k, sc_error *err)
{
    k->n_asks = documents_wanted(r->config, k->documents.n);
    k->ask = mem_zero(k->n_asks + 1, sizeof *k->ask);
    for (size_t i = 0; i < k->n_asks; i++) TRY(eval_ask_document(&k->ask[i], k->task, &k->documents, i, &k->examples, err));
    return SC_OK;
}

/* Lines {"task","doc_id","idx","context","continuation"}. */
static sc_status write_requests(const struct eval_run *r, const struct eval_task_run *k, sc_error *err)
{
    struct buf b;
    if (!r->requests) return SC_OK;
    buf_init(&b, 0);
    for (size_t i = 0; i < k->n_asks; i++)
        for (size_t o = 0; o < k->ask[i].n_options; o++) {
            const struct eval_ask *a = &k->ask[i];
            const char *context = a->context[a->n_contexts > 1 ? o : 0], *continuation = a->n_continuations ? a->continuation[a->n_continuations > 1 ? o : 0] : NULL;
            buf_printf(&b, "{\"task\":\"%s\",\"doc_id\":%zu,\"idx\":%zu,\"context\":", k->task->name, a->document, o);
            buf_put_json_string(&b, context, strlen(context));
            if (continuation) {
                buf_puts(&b, ",\"continuation\":");
                buf_put_json_string(&b, continuation, strlen(continuation));
            }
            buf_puts(&b, "}\n");
        }
    bool is_written = fwrite(b.data ? b.data : "", 1, b.len, r->requests) == b.len;
    buf_release(&b);
    return is_written ? SC_OK : FAIL(err, SC_E_IO, "%s cannot be written to", r->config->requests);
}

static void on_done(void *user, size_t request)
{
    struct eval_run *r = user;
    (void)request;
    r->done++;
    double now = clock_seconds();
    if (now - r->told < 0.5 && r->done < r->of) return;
    r->told = now;
    eval_event(r->runtime, "{\"event\":\"eval_progress\",\"what\":\"%s\",\"done\":%zu,\"total\":%zu}", r->task_name, r->done, r->of);
}

static sc_status score(struct eval_run *r, struct eval_task_run *k, sc_error *err)
{
    struct score_config c = { .cache_type = r->config->cache_type, .chunk = (size_t)r->config->chunk, .on_done = on_done, .user = r };
    TRY(eval_requests_make(&k->requests, k->task, k->ask, k->n_asks, r->model, err));
    r->done = 0;
    r->of = k->requests.n;
    r->told = clock_seconds();
    r->task_name = k->task->name;
    return eval_requests_score(&k->counts, &k->requests, r->model, &c, err);
}

/* ---- answers in writing ----------------------------------------------------------------------------------------------------------------------- */

static void encode_prompt(struct eval_prompt *p, const struct eval_run *r, const struct eval_task *t, const struct eval_ask *a)
{
    struct token_list tokens = { 0 };
    int32_t begin, first = sc_model_first_token(r->model);
    tokenizer_encode(r->model->tokenizer, &tokens, a->context[0], strlen(a->context[0]), NULL, 0);
    bool adds_begin = (sc_model_adds_bos(r->model, &begin) || (!tokens.len && (begin = first) >= 0)) && (!tokens.len || tokens.id[0] != begin);
    *p = (struct eval_prompt){ .until = t->until, .most_tokens = t->most_tokens, .temperature = t->samples ? t->temperature : 0, .top_p = t->top_p, .top_k = t->top_k, .seed = a->document };
    p->tokens = (sc_tokens){ mem_alloc((tokens.len + 1) * sizeof *p->tokens.id), tokens.len + adds_begin };
    if (adds_begin) p->tokens.id[0] = begin;
    if (tokens.len) memcpy(p->tokens.id + adds_begin, tokens.id, tokens.len * sizeof *tokens.id);
    token_list_release(&tokens);
}

static sc_status write_answers(struct eval_run *r, struct eval_task_run *k, sc_error *err)
{
    struct eval_prompt *p = mem_zero(k->n_asks + 1, sizeof *p);
    sc_status status;
    k->written = mem_zero(k->n_asks + 1, sizeof *k->written);
    for (size_t i = 0; i < k->n_asks; i++) encode_prompt(&p[i], r, k->task, &k->ask[i]);
    r->done = 0;
    r->of = k->n_asks;
    r->told = clock_seconds();
    r->task_name = k->task->name;
    status = eval_generate_all(k->written, p, k->n_asks, r->model, r->config, on_done, r, err);
    for (size_t i = 0; i < k->n_asks; i++) {
        k->counts.tokens += p[i].tokens.len + k->written[i].tokens;
        sc_tokens_free(&p[i].tokens);
    }
    mem_free(p);
    return status;
}

static void filter_answers(struct eval_task_run *k)
{
    size_t variants = k->task->n_filters ? k->task->n_filters : 1;
    k->filtered = mem_zero(variants * k->n_asks + 1, sizeof *k->filtered);
    for (size_t f = 0; f < variants; f++)
        for (size_t i = 0; i < k->n_asks; i++) {
            const sc_text *t = &k->written[i].text;
            struct buf b;
            buf_init(&b, 0);
            buf_puts(&b, "");
            if (k->task->n_filters) eval_filter_run(&b, k->task->filter[f].steps, t->data ? t->data : "", t->len);
            else buf_append(&b, t->data ? t->data : "", t->len);
            buf_take(&b, &k->filtered[f * k->n_asks + i]);
        }
}

static void release_answers(struct eval_task_run *k)
{
    size_t variants = k->task->n_filters ? k->task->n_filters : 1;
    for (size_t i = 0; k->written && i < k->n_asks; i++) sc_text_free(&k->written[i].text);
    for (size_t i = 0; k->filtered && i < variants * k->n_asks; i++) sc_text_free(&k->filtered[i]);
    mem_free(k->written);
    mem_free(k->filtered);
    k->written = NULL;
    k->filtered = NULL;
}

/* ---- from scores to numbers --------------------------------------------------------------------------------------------------------------------- */

static void fill_answers(struct eval_task_run *k)
{
    size_t n = 0;
    for (size_t i = 0; i < k->n_asks; i++) n += k->ask[i].n_options;
    k->logprob = mem_zero(n + 1, sizeof *k->logprob);
    k->alone = mem_zero(n + 1, sizeof *k->alone);
    k->greedy = mem_zero(n + 1, sizeof *k->greedy);
    k->tokens = mem_zero(n + 1, sizeof *k->tokens);
    k->first = mem_alloc((k->n_asks + 1) * sizeof *k->first);
    n = 0;
    for (size_t i = 0; i < k->n_asks; i++) { k->first[i] = n; n += k->ask[i].n_options; }
    for (size_t i = 0; i < n; i++) k->greedy[i] = true;
    for (size_t i = 0; i < k->requests.n; i++) {
        const struct eval_request *q = &k->requests.at[i];
        size_t at = k->first[q->ask] + q->option;
        if (q->is_alone) { k->alone[at] += q->sum; continue; }
        k->logprob[at] += q->sum;
        k->greedy[at] = k->greedy[at] && q->is_greedy;
        k->tokens[at] += q->score.n - q->score.from;
    }
}

static void count(struct eval_run *r, struct eval_task_run *k)
{
    size_t variants = k->task->n_filters ? k->task->n_filters : 1;
    k->n_results = variants * k->task->n_metrics;
    k->number = mem_alloc((k->n_results * k->n_asks + 1) * sizeof *k->number);
    k->result = mem_zero(k->n_results + 1, sizeof *k->result);
    for (size_t m = 0; m < k->n_results; m++) {
        for (size_t i = 0; i < k->n_asks; i++) {
            struct eval_number *x = &k->number[m * k->n_asks + i];
            struct eval_answer a = eval_answer_of(k, i, m / k->task->n_metrics);
            x->weight = 1;
            x->value = k->task->metric[m % k->task->n_metrics]->value(&a, &x->weight);
        }
        k->result[m] = eval_aggregate(k->task->metric[m % k->task->n_metrics]->how, &k->number[m * k->n_asks], k->n_asks, r->runtime->pool);
    }
}

struct eval_answer eval_answer_of(const struct eval_task_run *k, size_t i, size_t filter)
{
    struct eval_answer a = { .task = k->task, .ask = &k->ask[i], .document = k->documents.at[k->ask[i].document] };
    if (k->task->output == EVAL_GENERATE) {
        const sc_text *t = &k->filtered[filter * k->n_asks + i];
        a.text = t->data ? t->data : "";
        a.text_len = t->len;
        return a;
    }
    a.logprob = k->logprob + k->first[i];
    a.alone = k->alone + k->first[i];
    a.greedy = k->greedy + k->first[i];
    a.tokens = k->tokens + k->first[i];
    return a;
}

static sc_status run_task(struct eval_run *r, struct eval_task_run *k, sc_error *err)
{
    double begin = clock_seconds();
    TRY(read_data(r, k, err));
    tell_data(r, &k->documents);
    tell_data(r, &k->example_documents);
    TRY(ask_all(r, k, err));
    TRY(write_requests(r, k, err));
    eval_event(r->runtime, "{\"event\":\"eval_task\",\"task\":\"%s\",\"documents\":%zu,\"examples\":%zu}", k->task->name, k->n_asks, k->examples.wanted);
    if (r->config->dry_run) return SC_OK;
    if (k->task->output == EVAL_GENERATE) {
        TRY(write_answers(r, k, err));
        filter_answers(k);
    } else {
        TRY(score(r, k, err));
        fill_answers(k);
    }
    count(r, k);
    k->seconds = clock_seconds() - begin;
    eval_event_result(r, k);
    return SC_OK;
}

static void task_run_release(struct eval_task_run *k)
{
    release_answers(k);
    for (size_t i = 0; i < k->n_asks; i++) eval_ask_release(&k->ask[i]);
    void *const all[] = { k->ask, k->logprob, k->alone, k->greedy, k->tokens, k->first, k->number, k->result };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    eval_requests_release(&k->requests);
    eval_documents_release(&k->documents);
    eval_documents_release(&k->example_documents);
    json_decref(k->samples);
    json_decref(k->files);
}

/* Results stay, what they were made of goes. */
static void keep_results(struct eval_run *r, struct eval_task_run *k)
{
    k->n_documents = k->documents.n;
    k->files = json_deep_copy(k->documents.files);
    if (k->example_documents.files) json_array_extend(k->files, k->example_documents.files);
    if (r->config->samples && !r->config->dry_run) k->samples = eval_samples(k);
    release_answers(k);
    for (size_t i = 0; i < k->n_asks; i++) eval_ask_release(&k->ask[i]);
    eval_requests_release(&k->requests);
    eval_documents_release(&k->documents);
    eval_documents_release(&k->example_documents);
}

/* ---- all ------------------------------------------------------------------------------------------------------------------------------------------ */

static sc_status check_config(const sc_eval_config *c, const sc_model *m, sc_error *err)
{
    if (!c->data || !*c->data) return FAIL(err, SC_E_ARGUMENT, "where the data of the tasks lies is not said; name the directory with --data");
    if (!path_is_directory(c->data)) return FAIL(err, SC_E_IO, "--data %s is no directory", c->data);
    if (!m && !c->dry_run) return FAIL(err, SC_E_ARGUMENT, "there is no model to ask");
    if (m && !m->tokenizer) return FAIL(err, SC_E_ARGUMENT, "%s has no tokenizer, so it cannot read text", m->file->path);
    return SC_OK;
}

static sc_status run_all(struct eval_run *r, sc_error *err)
{
    r->task = mem_zero(r->selection.n + 1, sizeof *r->task);
    for (size_t i = 0; i < r->selection.n; i++) {
        struct eval_task_run *k = &r->task[r->n_tasks++];
        k->chosen = r->selection.at[i];
        k->task = k->chosen.task;
        TRY(run_task(r, k, err));
        keep_results(r, k);
    }
    return SC_OK;
}

static sc_status write_out(const struct eval_run *r, const sc_text *text, sc_error *err)
{
    bool writes = r->config->out && *r->config->out && r->runtime->comm.rank == 0;
    return writes ? file_write(r->config->out, text->data, text->len, err) : SC_OK;
}

sc_status sc_eval(sc_text *out, sc_runtime *rt, sc_model *m, const sc_eval_config *c, sc_error *err)
{
    struct eval_run r = { .runtime = rt, .model = m, .config = c, .began = time(NULL), .clock = clock_seconds() };
    sc_status status = SC_OK;
    json_t *results = NULL;
    *out = (sc_text){ 0 };
    TRY(check_config(c, m, err));
    TRY_DONE(eval_tasks_builtin(&r.tasks, err));
    TRY_DONE(eval_select(&r.selection, &r.tasks, c->tasks, err));
    if (c->requests && *c->requests && !(r.requests = fopen(c->requests, "w"))) TRY_DONE(FAIL(err, SC_E_IO, "%s cannot be written", c->requests));
    TRY_DONE(run_all(&r, err));
    results = eval_results(&r);
    TRY_DONE(json_write(out, results, true));
    TRY_DONE(write_out(&r, out, err));
done:
    if (r.requests && fclose(r.requests) != 0 && status == SC_OK) status = FAIL(err, SC_E_IO, "%s cannot be written to", c->requests);
    for (size_t i = 0; i < r.n_tasks; i++) task_run_release(&r.task[i]);
    mem_free(r.task);
    json_decref(results);
    eval_selection_release(&r.selection);
    eval_tasks_release(&r.tasks);
    if (status != SC_OK) sc_text_free(out);
    return status;
}
