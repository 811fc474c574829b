/* requests.c - asks as tokens, and the model's scores of them. */
#include "eval/eval_internal.h"

#include <math.h>
#include <string.h>

/* ---- making them ------------------------------------------------------------------------------------------------------------------------- */

struct making {
    const struct eval_task *t;
    const struct eval_ask *ask;
    const sc_model *m;
    struct eval_requests *out;       /* of each ask */
    sc_error *error;
    struct renderer *renderer;       /* of EVAL_DIALOGUE */
};

static struct eval_request *add_request(struct eval_requests *r)
{
    if (r->n == r->cap) r->at = mem_grow(r->at, (r->cap = r->cap ? 2 * r->cap : 4) * sizeof *r->at);
    r->at[r->n] = (struct eval_request){ 0 };
    return &r->at[r->n++];
}

static void take_tokens(struct eval_request *r, sc_tokens tokens, size_t from)
{
    r->tokens = tokens;
    r->score = (struct score_request){ .id = tokens.id, .n = tokens.len, .from = from };
}

/* The last `most` + 1 tokens: the last one is not read. SC_E_ARGUMENT: the continuation alone is longer. */
static sc_status cut(struct eval_request *r, size_t most, sc_error *err)
{
    size_t n = r->tokens.len, answer = n - r->score.from;
    if (answer > most) return FAIL(err, SC_E_ARGUMENT, "a continuation has %zu tokens, more than the model's context of %zu", answer, most);
    if (!answer) return FAIL(err, SC_E_FORMAT, "a continuation has no tokens");
    size_t skip = n > most + 1 ? n - most - 1 : 0;
    r->score = (struct score_request){ .id = r->tokens.id + skip, .n = n - skip, .from = r->score.from - skip };
    return SC_OK;
}

static sc_status make_pair(struct eval_requests *out, const struct making *m, size_t ask, size_t option, const struct eval_context *context, const char *continuation, bool is_alone, sc_error *err)
{
    size_t n = strlen(context->text), k = strlen(continuation), from;
    char *text = mem_alloc(n + k + 1);
    memcpy(text, context->text, n);
    memcpy(text + n, continuation, k + 1);
    sc_tokens tokens;
    sc_status status = encode_pair(&tokens, &from, m->m, text, n, n + k, context->trusted, context->n_trusted, err);
    mem_free(text);
    if (status != SC_OK) return status;
    struct eval_request *r = add_request(out);
    take_tokens(r, tokens, from);
    r->ask = ask;
    r->option = option;
    r->is_alone = is_alone;
    return cut(r, sc_model_context(m->m), err);
}

/* A long text in windows: each predicts as many new tokens as the context holds, the last one with a full context before it. Source: lm-eval 0.4,
 * lm_eval/utils.py, get_rolling_token_windows with context_len 1. */
static sc_status make_rolling(struct eval_requests *out, const struct making *m, size_t ask, sc_error *err)
{
    struct token_list text = { 0 };
    const char *s = m->ask[ask].continuation[0];
    size_t most = sc_model_context(m->m);
    int32_t first = sc_model_first_token(m->m), begin;
    if (first < 0) return FAIL(err, SC_E_UNSUPPORTED, "the model has no begin or end token for a text to begin with");
    token_list_push(&text, first);
    if (sc_model_adds_bos(m->m, &begin)) token_list_push(&text, begin);
    tokenizer_encode(m->m->tokenizer, &text, s, strlen(s), NULL, 0);
    /* Predicted so far: text.id[1..done]. */
    for (size_t done = 0; done + 1 < text.len;) {
        size_t n = text.len - 1 - done < most ? text.len - 1 - done : most, end = done + n + 1;
        size_t start = done ? end - 1 - most : 0;
        sc_tokens part = { mem_alloc((end - start) * sizeof *part.id), end - start };
        memcpy(part.id, text.id + start, part.len * sizeof *part.id);
        struct eval_request *r = add_request(out);
        take_tokens(r, part, part.len - n);
        r->ask = ask;
        done += n;
    }
    token_list_release(&text);
    return SC_OK;
}

/* A dialogue as training sees it: what is trained on is what counts, each stretch of it behind all that stands before. The ask's text is the list of messages. */
static sc_status make_dialogue(struct eval_requests *out, const struct making *m, size_t ask, sc_error *err)
{
    const char *s = m->ask[ask].continuation[0];
    struct token_row row = { 0 };
    struct dialogue d = { 0 };
    TRY(json_read_line(&d.messages, s, strlen(s), 0, err));
    sc_status status = dialogue_render(&row, m->renderer, &d, err);
    size_t before = out->n;
    for (size_t at = 1, end; at < row.len && status == SC_OK; at = end) {
        for (end = at; end < row.len && flag_trained(row.flag[end]) == flag_trained(row.flag[at]); end++) {}
        if (!flag_trained(row.flag[at])) continue;
        sc_tokens part = { mem_alloc(end * sizeof *part.id), end };
        memcpy(part.id, row.id, end * sizeof *part.id);
        struct eval_request *r = add_request(out);
        take_tokens(r, part, at);
        r->ask = ask;
        status = cut(r, sc_model_context(m->m), err);
    }
    if (status == SC_OK && out->n == before) status = FAIL(err, SC_E_FORMAT, "a dialogue has no answer of an assistant, so there is nothing to measure; leave such rows out");
    token_row_release(&row);
    json_decref(d.messages);
    return status;
}

static bool wants_alone(const struct eval_task *t)
{
    for (size_t i = 0; i < t->n_metrics; i++)
        if (t->metric[i]->needs_alone) return true;
    return false;
}

static sc_status make_one(struct eval_requests *out, const struct making *m, size_t i, sc_error *err)
{
    const struct eval_ask *a = &m->ask[i];
    if (m->t->output == EVAL_ROLLING) return make_rolling(out, m, i, err);
    if (m->t->output == EVAL_DIALOGUE) return make_dialogue(out, m, i, err);
    for (size_t k = 0; k < a->n_options; k++) {
        const struct eval_context *context = &a->context[a->n_contexts > 1 ? k : 0], none = { .text = (char *)(uintptr_t)"" };
        const char *continuation = a->continuation[a->n_continuations > 1 ? k : 0];
        TRY(make_pair(out, m, i, k, context, continuation, false, err));
        if (wants_alone(m->t)) TRY(make_pair(out, m, i, k, &none, continuation, true, err));
    }
    return SC_OK;
}

static void make_job(void *arg, size_t i, int worker)
{
    struct making *m = arg;
    (void)worker;
    make_one(&m->out[i], m, i, &m->error[i]);
}

static sc_status open_renderer(struct making *m, struct renderer *r, sc_error *err)
{
    if (m->t->output != EVAL_DIALOGUE) return SC_OK;
    if (!m->m->has_template) return FAIL(err, SC_E_ARGUMENT, "%s measures dialogues, but the model has no chat template; name one with --template", m->t->name);
    TRY(renderer_open(r, m->m->tokenizer, &m->m->chat_template, TRAIN_ON_ASSISTANT, err));
    m->renderer = r;
    return SC_OK;
}

sc_status eval_requests_make(struct eval_requests *out, const struct eval_task *t, const struct eval_ask *ask, size_t n, const sc_model *model, sc_error *err)
{
    struct making m = { .t = t, .ask = ask, .m = model, .out = mem_zero(n + 1, sizeof *m.out), .error = mem_zero(n + 1, sizeof *m.error) };
    struct renderer renderer = { 0 };
    *out = (struct eval_requests){ 0 };
    sc_status status = open_renderer(&m, &renderer, err);
    if (status == SC_OK) pool_run(model->runtime->pool, n, make_job, &m);
    for (size_t i = 0; i < n; i++) {
        if (status == SC_OK && m.error[i].status != SC_OK) {
            *err = m.error[i];
            status = error_prefix(err, err->status, "%s, document %zu", t->name, ask[i].document);
        }
        for (size_t k = 0; k < m.out[i].n; k++) *add_request(out) = m.out[i].at[k];
        mem_free(m.out[i].at);
    }
    mem_free(m.out);
    mem_free(m.error);
    if (m.renderer) renderer_close(m.renderer);
    if (status != SC_OK) eval_requests_release(out);
    return status;
}

void eval_requests_release(struct eval_requests *r)
{
    for (size_t i = 0; i < r->n; i++) sc_tokens_free(&r->at[i].tokens);
    mem_free(r->at);
    *r = (struct eval_requests){ 0 };
}

/* ---- scoring ------------------------------------------------------------------------------------------------------------------------------------ */

/* What ranks tell each other; is_mine: computed there. */
struct told { double sum; uint8_t is_greedy, is_mine, padding[6]; };

/* which: of each request that is computed its index among all. */
struct scoring { struct eval_requests *r; struct told *told; const struct score_config *c; size_t *which; };

/* Sums in the order of the tokens. */
static void on_done(void *user, size_t i)
{
    struct scoring *s = user;
    struct eval_request *q = &s->r->at[s->which[i]];
    struct told *t = &s->told[s->which[i]];
    t->is_mine = t->is_greedy = 1;
    for (size_t k = 0; k < q->score.n - q->score.from; k++) {
        t->sum += q->score.logprob[k];
        t->is_greedy = t->is_greedy && q->score.greedy[k];
    }
    q->sum = t->sum;
    q->is_greedy = t->is_greedy;
    if (s->c->on_done) s->c->on_done(s->c->user, s->which[i]);
}

static sc_status share(struct eval_requests *r, struct told *told, struct comm *c, sc_error *err)
{
    struct told *all = mem_zero(r->n * (size_t)c->size + 1, sizeof *all);
    memcpy(all + r->n * (size_t)c->rank, told, r->n * sizeof *told);
    sc_status status = comm_gather(c, all, r->n * sizeof *told, err);
    for (int rank = 0; rank < c->size && status == SC_OK; rank++)
        for (size_t i = 0; i < r->n; i++) {
            const struct told *t = &all[(size_t)rank * r->n + i];
            if (!t->is_mine) continue;
            r->at[i].sum = t->sum;
            r->at[i].is_greedy = t->is_greedy;
        }
    mem_free(all);
    return status;
}

/* Requests that are not known yet, with room for their numbers; returns how many. */
static size_t list_unknown(struct score_request *q, size_t *which, double *logprob, bool *greedy, struct eval_requests *r)
{
    size_t at = 0, n = 0;
    for (size_t i = 0; i < r->n; i++) {
        struct eval_request *one = &r->at[i];
        if (one->is_known) continue;
        one->score.logprob = logprob + at;
        one->score.greedy = greedy + at;
        at += one->score.n - one->score.from;
        which[n] = i;
        q[n++] = one->score;
    }
    return n;
}

sc_status eval_requests_score(struct score_counts *counts, struct eval_requests *r, sc_model *m, const struct score_config *c, sc_error *err)
{
    struct score_request *q = mem_alloc((r->n + 1) * sizeof *q);
    struct comm *comm = &m->runtime->comm;
    bool is_shared = comm->size > 1 && c->size != 1;
    size_t total = 0;
    for (size_t i = 0; i < r->n; i++) total += r->at[i].score.n - r->at[i].score.from;
    double *logprob = mem_alloc((total + 1) * sizeof *logprob);
    bool *greedy = mem_alloc(total + 1);
    struct scoring s = { r, mem_zero(r->n + 1, sizeof *s.told), c, mem_alloc((r->n + 1) * sizeof *s.which) };
    size_t n = list_unknown(q, s.which, logprob, greedy, r);
    struct score_config mine = { c->cache_type, c->chunk, is_shared ? comm->rank : 0, is_shared ? comm->size : 1, on_done, &s };
    sc_status status = scores_compute(counts, m, q, n, &mine, err);
    if (is_shared) status = comm_all_ok(comm, status, err);
    if (status == SC_OK && is_shared) status = share(r, s.told, comm, err);
    for (size_t i = 0; i < r->n; i++) r->at[i].score.logprob = NULL, r->at[i].score.greedy = NULL;
    void *all[] = { s.told, s.which, logprob, greedy, q };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    return status;
}
