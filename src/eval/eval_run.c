/* eval_run.c - the job: task by task from data files to results. */
#include "eval/eval_internal.h"
#include "eval/scores.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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
    k->examples = (struct eval_examples){ .wanted = eval_is_whole(t->output) ? 0 : (size_t)wanted, .draws_spare = eval_draws_spare(t, k->chosen.split) };
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
    bool told = r->chat.leaves_out_system;
    k->n_asks = documents_wanted(r->config, k->documents.n);
    k->ask = mem_zero(k->n_asks + 1, sizeof *k->ask);
    for (size_t i = 0; i < k->n_asks; i++) TRY(eval_ask_document(&k->ask[i], k->task, &k->documents, i, &k->examples, &r->chat, err));
    if (r->chat.leaves_out_system && !told) eval_event(r->runtime, "{\"event\":\"note\",\"text\":\"the chat template refuses a system message: instruction and description of a task are left out, as lm-eval does\"}");
    if (k->task->code && k->task->code->is_picture && r->model) picture_open_fences(k, r->model);
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
            const char *context = a->context[a->n_contexts > 1 ? o : 0].text, *continuation = a->n_continuations ? a->continuation[a->n_continuations > 1 ? o : 0] : NULL;
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

void eval_progress_step(struct eval_run *r)
{
    r->done++;
    double now = clock_seconds();
    if (now - r->told < 0.5 && r->done < r->of) return;
    r->told = now;
    eval_event(r->runtime, "{\"event\":\"eval_progress\",\"what\":\"%s\",\"done\":%zu,\"total\":%zu}", r->now->task->name, r->done, r->of);
}

void eval_progress_begin(struct eval_run *r, struct eval_task_run *k, size_t known, size_t n)
{
    r->now = k;
    r->done = known;
    r->of = n;
    r->told = clock_seconds();
    if (known) eval_event(r->runtime, "{\"event\":\"note\",\"text\":\"%s: %zu of %zu answers are there from an interrupted run\"}", k->task->name, known, n);
}

/* ---- scores ------------------------------------------------------------------------------------------------------------------------------------ */

static void digest_requests(char out[65], const struct eval_requests *q)
{
    struct sha256 s;
    sha256_begin(&s);
    for (size_t i = 0; i < q->n; i++) {
        uint64_t head[2] = { q->at[i].score.n, q->at[i].score.from };
        sha256_add(&s, head, sizeof head);
        sha256_add(&s, q->at[i].score.id, q->at[i].score.n * sizeof *q->at[i].score.id);
    }
    sha256_end(&s, out);
}

/* The lines of the task's digest: the answer of each request that is among them. Returns how many. */
static size_t read_known(const struct eval_run *r, struct eval_task_run *k)
{
    size_t i, n = 0;
    json_t *line;
    json_array_foreach(eval_unfinished_of(&r->unfinished, k->task->name), i, line) {
        const char *digest = json_string_value(json_object_get(line, "digest"));
        size_t at = (size_t)json_integer_value(json_object_get(line, "i"));
        const json_t *sum = json_object_get(line, "sum");
        if (!digest || strcmp(digest, r->digest) != 0 || at >= k->requests.n || !json_is_real(sum) || k->requests.at[at].is_known) continue;
        k->requests.at[at].sum = json_real_value(sum);
        k->requests.at[at].is_greedy = json_is_true(json_object_get(line, "greedy"));
        k->requests.at[at].is_known = true;
        n++;
    }
    return n;
}

static void on_score(void *user, size_t i)
{
    struct eval_run *r = user;
    const struct eval_request *q = &r->now->requests.at[i];
    json_t *line = r->unfinished.file ? json_pack("{s:s, s:s, s:I, s:f, s:b}", "task", r->now->task->name, "digest", r->digest, "i", (json_int_t)i, "sum", q->sum, "greedy", q->is_greedy) : NULL;
    if (line) eval_unfinished_put(&r->unfinished, line);
    json_decref(line);
    eval_progress_step(r);
}

static sc_status score(struct eval_run *r, struct eval_task_run *k, sc_error *err)
{
    struct score_config c = { .cache_type = r->config->cache_type, .chunk = (size_t)r->config->chunk, .size = r->is_alone ? 1 : 0, .on_done = on_score, .user = r };
    TRY(eval_requests_make(&k->requests, k->task, k->ask, k->n_asks, r->model, err));
    digest_requests(r->digest, &k->requests);
    eval_progress_begin(r, k, read_known(r, k), k->requests.n);
    return eval_requests_score(&k->counts, &k->requests, r->model, &c, err);
}

/* ---- answers in writing ----------------------------------------------------------------------------------------------------------------------- */

/* A gap is described by tokens of the model; where all is too long for it, the text before the gap loses its beginning. */
static sc_status encode_gap(struct eval_prompt *p, const struct eval_run *r, const struct eval_ask *a, sc_error *err)
{
    size_t room = sc_model_context(r->model), before;
    sc_tokens text = { 0 };
    if (r->chat.chat_template) return FAIL(err, SC_E_ARGUMENT, "a gap is filled in a text, not in a dialogue; ask tasks of gaps without --apply-chat-template");
    TRY(sc_encode_fim(&p->tokens, r->model, a->context[0].text, a->suffix, err));
    room = room > (size_t)p->most_tokens ? room - (size_t)p->most_tokens : 0;
    if (p->tokens.len <= room) return SC_OK;
    size_t cut = p->tokens.len - room;
    TRY(sc_encode(&text, sc_model_tokenizer(r->model), a->context[0].text, strlen(a->context[0].text), false, err));
    before = text.len;
    sc_tokens_free(&text);
    if (cut > before) return FAIL(err, SC_E_ARGUMENT, "what stands behind the gap of document %zu leaves no room for an answer of %lld tokens in the model's context of %zu", a->document, (long long)p->most_tokens, sc_model_context(r->model));
    memmove(p->tokens.id + 1, p->tokens.id + 1 + cut, (p->tokens.len - 1 - cut) * sizeof *p->tokens.id);
    p->tokens.len -= cut;
    return SC_OK;
}

static sc_status encode_prompt(struct eval_prompt *p, const struct eval_run *r, const struct eval_task *t, const struct eval_ask *a, size_t repeat, sc_error *err)
{
    const struct eval_context *context = &a->context[0];
    struct token_list tokens = { 0 };
    int32_t begin, first = sc_model_first_token(r->model);
    *p = (struct eval_prompt){ .until = r->until, .most_tokens = t->most_tokens, .temperature = t->samples ? t->temperature : 0, .top_p = t->top_p, .top_k = t->top_k, .seed = a->document + ((uint64_t)repeat << 32) };
    if (a->suffix) return encode_gap(p, r, a, err);
    tokenizer_encode(r->model->tokenizer, &tokens, context->text, strlen(context->text), context->trusted, context->n_trusted);
    bool adds_begin = (sc_model_adds_bos(r->model, &begin) || (!tokens.len && (begin = first) >= 0)) && (!tokens.len || tokens.id[0] != begin);
    p->tokens = (sc_tokens){ mem_alloc((tokens.len + 1) * sizeof *p->tokens.id), tokens.len + adds_begin };
    if (adds_begin) p->tokens.id[0] = begin;
    if (tokens.len) memcpy(p->tokens.id + adds_begin, tokens.id, tokens.len * sizeof *tokens.id);
    token_list_release(&tokens);
    return SC_OK;
}

/* Texts that end an answer: the task's, and the template's end of a turn where a model spells it out rather than giving its token. */
static void list_ends(struct strings *out, const struct eval_task *t, const struct eval_chat *c)
{
    for (size_t i = 0; i < t->until.n; i++) strings_add(out, t->until.at[i]);
    if (c->end) strings_add(out, c->end);
}

/* With all that answers depend on: another stop string is another task. */
static void digest_prompts(char out[65], const struct eval_prompt *p, size_t n)
{
    struct sha256 s;
    sha256_begin(&s);
    for (size_t i = 0; n && i < p->until.n; i++) sha256_add(&s, p->until.at[i], strlen(p->until.at[i]) + 1);
    for (size_t i = 0; i < n; i++) {
        const double how[4] = { (double)p[i].most_tokens, (double)p[i].top_k, p[i].temperature, p[i].top_p };
        sha256_add(&s, how, sizeof how);
        uint64_t head[2] = { p[i].tokens.len, p[i].seed };
        sha256_add(&s, head, sizeof head);
        sha256_add(&s, p[i].tokens.id, p[i].tokens.len * sizeof *p[i].tokens.id);
    }
    sha256_end(&s, out);
}

static size_t read_written(const struct eval_run *r, struct eval_task_run *k, bool *is_known)
{
    size_t i, n = 0;
    json_t *line;
    json_array_foreach(eval_unfinished_of(&r->unfinished, k->task->name), i, line) {
        const char *digest = json_string_value(json_object_get(line, "digest"));
        size_t at = (size_t)json_integer_value(json_object_get(line, "i"));
        const json_t *text = json_object_get(line, "text");
        if (!digest || strcmp(digest, r->digest) != 0 || at >= k->n_written || !json_is_string(text) || is_known[at]) continue;
        k->written[at] = (struct eval_written){ { mem_strndup(json_string_value(text), json_string_length(text)), json_string_length(text) }, (size_t)json_integer_value(json_object_get(line, "tokens")) };
        is_known[at] = true;
        n++;
    }
    return n;
}

static void on_written(void *user, size_t i, const struct eval_written *w)
{
    struct eval_run *r = user;
    json_t *line = r->unfinished.file ? json_pack("{s:s, s:s, s:I, s:s%, s:I}", "task", r->now->task->name, "digest", r->digest, "i", (json_int_t)r->which[i], "text", w->text.data, w->text.len, "tokens", (json_int_t)w->tokens) : NULL;
    if (line) eval_unfinished_put(&r->unfinished, line);
    json_decref(line);
    eval_progress_step(r);
}

static sc_status write_answers(struct eval_run *r, struct eval_task_run *k, sc_error *err)
{
    size_t n = 0, repeats = (size_t)k->task->repeats, all = k->n_written = k->n_asks * repeats;
    sc_status status = SC_OK;
    struct eval_prompt *p = mem_zero(all + 1, sizeof *p), *q = mem_alloc((all + 1) * sizeof *q);
    bool *is_known = mem_zero(all + 1, 1);
    k->written = mem_zero(all + 1, sizeof *k->written);
    list_ends(&r->until, k->task, &r->chat);
    r->which = mem_alloc((all + 1) * sizeof *r->which);
    for (size_t i = 0; i < all && status == SC_OK; i++) status = encode_prompt(&p[i], r, k->task, &k->ask[i / repeats], i % repeats, err);
    for (size_t i = 0; i < all && status == SC_OK && k->task->code && k->task->code->is_picture && !r->chat.chat_template; i++) status = picture_prompt(&p[i], r->model, &k->ask[i / repeats], err);
    digest_prompts(r->digest, p, all);
    if (status == SC_OK) eval_progress_begin(r, k, read_written(r, k, is_known), all);
    for (size_t i = 0; i < all; i++)
        if (!is_known[i]) { r->which[n] = i; q[n++] = p[i]; }
    struct eval_written *w = mem_zero(n + 1, sizeof *w);
    if (status == SC_OK) status = r->is_alone ? eval_generate(w, q, n, r->model, r->config, on_written, r, err) : eval_generate_all(w, q, n, r->model, r->config, on_written, r, err);
    for (size_t i = 0; i < n && status == SC_OK; i++) k->written[r->which[i]] = w[i];
    for (size_t i = 0; i < all; i++) {
        k->counts.tokens += p[i].tokens.len + k->written[i].tokens;
        sc_tokens_free(&p[i].tokens);
    }
    void *held[] = { p, q, w, is_known, r->which };
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) mem_free(held[i]);
    strings_release(&r->until);
    return status;
}

static void filter_answers(struct eval_task_run *k)
{
    size_t variants = k->task->n_filters ? k->task->n_filters : 1;
    k->filtered = mem_zero(variants * k->n_written + 1, sizeof *k->filtered);
    for (size_t f = 0; f < variants; f++)
        for (size_t i = 0; i < k->n_written; i++) {
            const sc_text *t = &k->written[i].text;
            struct buf b;
            buf_init(&b, 0);
            buf_puts(&b, "");
            if (k->task->n_filters) eval_filter_run(&b, k->task->filter[f].steps, t->data ? t->data : "", t->len);
            else buf_append(&b, t->data ? t->data : "", t->len);
            buf_take(&b, &k->filtered[f * k->n_written + i]);
        }
}

static void release_answers(struct eval_task_run *k)
{
    size_t variants = k->task->n_filters ? k->task->n_filters : 1;
    for (size_t i = 0; k->written && i < k->n_written; i++) sc_text_free(&k->written[i].text);
    for (size_t i = 0; k->filtered && i < variants * k->n_written; i++) sc_text_free(&k->filtered[i]);
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
    k->n_results = variants * k->n_metrics;
    k->number = mem_alloc((k->n_results * k->n_asks + 1) * sizeof *k->number);
    k->result = mem_zero(k->n_results + 1, sizeof *k->result);
    for (size_t m = 0; m < k->n_results; m++) {
        for (size_t i = 0; i < k->n_asks; i++) {
            struct eval_number *x = &k->number[m * k->n_asks + i];
            struct eval_answer a = eval_answer_of(k, i, m / k->n_metrics);
            x->weight = 1;
            x->value = k->metric[m % k->n_metrics]->value(&a, &x->weight);
        }
        k->result[m] = eval_aggregate(k->metric[m % k->n_metrics]->how, &k->number[m * k->n_asks], k->n_asks, r->runtime->pool);
    }
}

struct eval_answer eval_answer_of(const struct eval_task_run *k, size_t i, size_t filter)
{
    struct eval_answer a = { .task = k->task, .ask = &k->ask[i], .document = k->documents.at[k->ask[i].document] };
    if (k->task->output == EVAL_GENERATE) {
        const sc_text *t = &k->filtered[filter * k->n_written + i];
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

/* Programs: the model's, or stored ones. */
static sc_status answer_in_code(struct eval_run *r, struct eval_task_run *k, sc_error *err)
{
    const char *stored = r->config->samples;
    TRY(eval_code_open(r, k->task, err));
    TRY(eval_needs_check(r, k, err));
    if (stored && *stored) {
        TRY(eval_programs_read(r, k, stored, err));
    } else {
        TRY(write_answers(r, k, err));
        filter_answers(k);
        eval_programs_written(k);
    }
    TRY(eval_programs_run(r, k, err));
    if (k->programs && json_object_size(k->not_judged)) json_object_set(k->programs, "not_judged", k->not_judged);
    eval_programs_count(r, k);
    return SC_OK;
}

static sc_status answer(struct eval_run *r, struct eval_task_run *k, sc_error *err)
{
    switch (k->task->output) {
    case EVAL_CODE: return answer_in_code(r, k, err);
    case EVAL_GENERATE:
        TRY(write_answers(r, k, err));
        filter_answers(k);
        break;
    default:
        TRY(score(r, k, err));
        fill_answers(k);
    }
    count(r, k);
    return SC_OK;
}

/* Nothing is asked where nobody answers: then the requests of the second step are without what the first one finds. */
static sc_status first_step(struct eval_run *r, struct eval_task_run *k, sc_error *err)
{
    struct eval_task_run f = { .task = k->task->first->ask, .documents = k->documents };
    bool is_asked = r->model && !r->config->dry_run && !(r->config->samples && *r->config->samples);
    sc_status status = ask_all(r, &f, err);
    if (status == SC_OK) status = write_requests(r, &f, err);
    if (status == SC_OK && is_asked) status = write_answers(r, &f, err);
    if (status == SC_OK && is_asked) status = eval_first_keep(k, &f, err);
    if (!is_asked) eval_first_skip(k);
    k->counts.tokens += f.counts.tokens;
    release_answers(&f);
    for (size_t i = 0; i < f.n_asks; i++) eval_ask_release(&f.ask[i]);
    mem_free(f.ask);
    return status;
}

static sc_status run_task(struct eval_run *r, struct eval_task_run *k, sc_error *err)
{
    double begin = clock_seconds();
    k->metric = k->task->metric;
    k->n_metrics = k->task->n_metrics;
    TRY(read_data(r, k, err));
    tell_data(r, &k->documents);
    tell_data(r, &k->example_documents);
    if (k->task->first) TRY(first_step(r, k, err));
    TRY(ask_all(r, k, err));
    TRY(write_requests(r, k, err));
    eval_event(r->runtime, "{\"event\":\"eval_begin\",\"task\":\"%s\",\"documents\":%zu,\"examples\":%zu}", k->task->name, k->n_asks, k->examples.wanted);
    if (r->config->dry_run) return SC_OK;
    TRY(answer(r, k, err));
    if (r->config->contamination && *r->config->contamination) TRY(eval_contamination(&k->contamination, k, r->config->contamination, r->runtime->pool, err));
    k->seconds = clock_seconds() - begin;
    eval_event_result(r, k);
    return SC_OK;
}

static void task_run_release(struct eval_task_run *k)
{
    release_answers(k);
    eval_programs_release(k);
    for (size_t i = 0; i < k->n_asks; i++) eval_ask_release(&k->ask[i]);
    void *const all[] = { k->ask, k->logprob, k->alone, k->greedy, k->tokens, k->first, k->number, k->result };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    eval_requests_release(&k->requests);
    eval_documents_release(&k->documents);
    eval_documents_release(&k->example_documents);
    json_decref(k->samples);
    json_decref(k->files);
    json_decref(k->contamination);
    json_decref(k->programs);
    json_decref(k->first_steps);
    json_decref(k->not_judged);
    if (k->metric != k->task->metric) mem_free(k->metric);
    if (k->own_metrics) eval_code_free(k->own_metrics);
}

/* Results stay, what they were made of goes. */
static void keep_results(struct eval_run *r, struct eval_task_run *k)
{
    k->n_documents = k->documents.n;
    k->files = json_deep_copy(k->documents.files);
    if (k->example_documents.files) json_array_extend(k->files, k->example_documents.files);
    if (r->config->log_samples && !r->config->dry_run) k->samples = eval_samples(k);
    release_answers(k);
    eval_programs_release(k);
    for (size_t i = 0; i < k->n_asks; i++) eval_ask_release(&k->ask[i]);
    eval_requests_release(&k->requests);
    eval_documents_release(&k->documents);
    eval_documents_release(&k->example_documents);
}

/* ---- all ------------------------------------------------------------------------------------------------------------------------------------------ */

static sc_status check_config(const sc_eval_config *c, const sc_model *m, sc_error *err)
{
    if (c->data && *c->data && access(c->data, R_OK) != 0) return FAIL(err, SC_E_IO, "--data %s cannot be read: %s; name a directory with the tasks' data files, or the file of a task", c->data, strerror(errno));
    bool needs_model = !c->dry_run && !(c->samples && *c->samples);
    if (!m && needs_model) return FAIL(err, SC_E_ARGUMENT, "there is no model to ask");
    if (m && !m->tokenizer) return FAIL(err, SC_E_ARGUMENT, "%s has no tokenizer, so it cannot read text", m->file->path);
    bool is_html;
    if (c->report && *c->report) TRY(sheet_check(c->report, &is_html, err));
    return SC_OK;
}

static sc_status check_data(const struct eval_run *r, sc_error *err)
{
    bool has_data = r->config->data && *r->config->data;
    for (size_t i = 0; !has_data && i < r->selection.n; i++)
        if (!r->selection.at[i].task->documents) return FAIL(err, SC_E_ARGUMENT, "%s needs its data, but --data is missing: the directory with the data files of the tasks", r->selection.at[i].task->name);
    return SC_OK;
}

static sc_status check_samples(const struct eval_run *r, sc_error *err)
{
    const char *path = r->config->samples;
    for (size_t i = 0; path && *path && i < r->selection.n; i++)
        if (!r->selection.at[i].task->code) return FAIL(err, SC_E_ARGUMENT, "--samples %s holds stored programs, but %s is no task of code", path, r->selection.at[i].task->name);
    return SC_OK;
}

/* Of all that an answer depends on besides its tokens. */
static void run_key(char out[65], const struct eval_run *r)
{
    struct sha256 s;
    char build[48], text[256];
    system_build(build);
    snprintf(text, sizeof text, "%s %s %s %s", build, r->runtime->activations, r->config->cache_type, r->runtime->backend->kernels_name(r->runtime->kernels));
    sha256_begin(&s);
    sha256_add(&s, text, strlen(text));
    model_file_identify(r->model->file, &s);
    if (r->model->adapter) model_file_identify(r->model->adapter, &s);
    const char *asking[] = { r->chat.chat_template ? r->chat.chat_template->source : "", r->chat.chat_template && r->chat.is_multiturn ? "turns" : "", r->chat.system };
    for (size_t i = 0; i < sizeof asking / sizeof *asking; i++) sha256_add(&s, asking[i], strlen(asking[i]) + 1);
    sha256_end(&s, out);
}

static sc_status open_unfinished(struct eval_run *r, sc_error *err)
{
    bool is_other;
    char key[65];
    if (!r->config->out || !*r->config->out || r->config->dry_run || !r->model || r->runtime->comm.size > 1 || r->is_alone) return SC_OK;
    run_key(key, r);
    TRY(eval_unfinished_open(&r->unfinished, r->config->out, key, &is_other, err));
    eval_unfinished_begin(&r->unfinished);
    if (is_other) eval_event(r->runtime, "{\"event\":\"note\",\"text\":\"the unfinished run beside --out is of another model or other settings; it is replaced\"}");
    return SC_OK;
}

static sc_status run_all(struct eval_run *r, sc_error *err)
{
    TRY(open_unfinished(r, err));
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

sc_status eval_run_all(json_t **out, sc_runtime *rt, sc_model *m, const sc_eval_config *c, bool is_alone, sc_error *err)
{
    struct eval_run r = { .runtime = rt, .model = m, .config = c, .is_alone = is_alone, .began = time(NULL), .clock = clock_seconds() };
    sc_status status = SC_OK;
    *out = NULL;
    TRY(check_config(c, m, err));
    TRY_DONE(eval_tasks_builtin(&r.tasks, err));
    TRY_DONE(eval_select(&r.selection, &r.tasks, c->tasks, err));
    TRY_DONE(check_data(&r, err));
    TRY_DONE(check_samples(&r, err));
    TRY_DONE(eval_chat_open(&r.chat, m, c, err));
    if (c->requests && *c->requests && rt->comm.rank == 0 && !(r.requests = fopen(c->requests, "w"))) TRY_DONE(FAIL(err, SC_E_IO, "%s cannot be written", c->requests));
    TRY_DONE(run_all(&r, err));
    *out = eval_results(&r);
done:
    if (r.requests && fclose(r.requests) != 0 && status == SC_OK) status = FAIL(err, SC_E_IO, "%s cannot be written to", c->requests);
    eval_unfinished_close(&r.unfinished);
    for (size_t i = 0; i < r.n_tasks; i++) task_run_release(&r.task[i]);
    mem_free(r.task);
    sandbox_close(r.sandbox);
    eval_chat_release(&r.chat);
    eval_selection_release(&r.selection);
    eval_tasks_release(&r.tasks);
    return status;
}

/* Matrices of f32 in the form that products with many rows read; the file's pages are let go of. Weights that are still trained stay as they are. */
static sc_status pack_weights(sc_model *m, sc_error *err)
{
    sc_model *base = m && m->base ? m->base : m;
    bool too_large = false;
    if (!base || base->model.packed || !strcmp(base->runtime->activations, "int8")) return SC_OK;
    TRY(model_pack(&base->model, base->runtime->backend, true, system_memory() / 10 * 9, &too_large, err));
    if (too_large) eval_event(base->runtime, "{\"event\":\"note\",\"text\":\"the model is too large to be packed in this machine's memory; it is read from the file as it is, which is slower\"}");
    return SC_OK;
}

sc_status sc_eval(sc_text *out, sc_runtime *rt, sc_model *m, const sc_eval_config *c, sc_error *err)
{
    json_t *results;
    *out = (sc_text){ 0 };
    TRY(pack_weights(m, err));
    TRY(eval_run_all(&results, rt, m, c, false, err));
    bool writes = c->out && *c->out && rt->comm.rank == 0;
    sc_status status = writes ? picture_files_write(results, c->out, err) : SC_OK;
    if (status == SC_OK) status = json_write(out, results, true);
    if (status == SC_OK && writes) status = file_write(c->out, out->data, out->len, err);
    if (status == SC_OK && writes) eval_unfinished_remove(c->out);      /* not before: what was found must be somewhere */
    if (status == SC_OK && c->report && *c->report && rt->comm.rank == 0) status = eval_report_write(results, writes ? c->out : NULL, c->report, err);
    json_decref(results);
    if (status != SC_OK) sc_text_free(out);
    return status;
}
