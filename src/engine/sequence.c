/* sequence.c - one answer that is being written: from logits to tokens, text and records. Several sequences are sampled at the same time
 * by several threads, each with scratch of its own; a sequence touches nothing but itself. */
#include "engine/engine_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- records ---------------------------------------------------------------------------------------------------------------- */

void token_records_add(struct token_records *r, int32_t id, double logprob, const sc_candidate *top, size_t n_top)
{
    if (r->len == r->cap) r->at = mem_grow(r->at, (r->cap = 2 * r->cap + 16) * sizeof *r->at);
    struct token_record *t = &r->at[r->len++];
    *t = (struct token_record){ id, logprob, NULL, n_top };
    if (!n_top) return;
    t->top = mem_alloc(n_top * sizeof *top);
    memcpy(t->top, top, n_top * sizeof *top);
}

void token_records_release(struct token_records *r)
{
    for (size_t i = 0; i < r->len; i++) mem_free(r->at[i].top);
    mem_free(r->at);
    *r = (struct token_records){ 0 };
}

/* ---- life -------------------------------------------------------------------------------------------------------------------- */

static size_t limit_of(const struct task *t, size_t context)
{
    size_t room = context > t->n_prompt ? context - t->n_prompt : 0;
    int64_t asked = t->sample.max_tokens;
    return t->kind == TASK_EMBED ? 0 : asked >= 0 && (size_t)asked < room ? (size_t)asked : room;
}

struct sequence *sequence_new(struct task *t, size_t choice, const struct kv_pages *pages, size_t context, const struct token_tree *tree)
{
    struct sequence *s = mem_zero(1, sizeof *s);
    s->task = t;
    s->choice = choice;
    s->limit = limit_of(t, context);
    s->sample = t->sample;
    s->sample.seed += choice;
    s->cap = t->n_prompt + s->limit + LOOKUP_MAX + 1;
    s->history = mem_alloc((t->n_prediction + s->cap) * sizeof *s->history);
    s->token = s->history + t->n_prediction;
    if (t->n_prediction) memcpy(s->history, t->prediction, t->n_prediction * sizeof *s->history);
    memcpy(s->token, t->prompt, t->n_prompt * sizeof *s->token);
    s->length = t->n_prompt;
    s->top = mem_alloc((size_t)(t->sample.logprobs + 1) * sizeof *s->top);
    kv_cache_open(&s->cache, pages, context);
    stop_scanner_init(&s->scanner, t->sample.stop, t->sample.n_stop);
    buf_init(&s->text, 0);
    lookup_init(&s->lookup);
    if (t->grammar) s->matcher = matcher_open(t->grammar, tree);
    return s;
}

void sequence_free(struct sequence *s, struct kv_pages *pages)
{
    kv_cache_close(pages, &s->cache);
    matcher_close(s->matcher);
    stop_scanner_release(&s->scanner);
    buf_release(&s->text);
    token_records_release(&s->records);
    token_records_release(&s->prompt_records);
    mem_free(s->embedding);
    mem_free(s->top);
    mem_free(s->history);
    mem_free(s);
}

bool sequence_reads(const struct sequence *s) { return s->length - s->computed > 1; }

/* Before anything is written, a prediction is the guess; later the text that is there decides. */
void sequence_guess(struct sequence *s, size_t most)
{
    struct task *t = s->task;
    size_t left = s->limit - s->generated;
    struct lookup *l = &s->lookup;
    most = most < left ? most : left;
    if (t->sample.speculate < (int64_t)most) most = (size_t)t->sample.speculate;
    l->n = l->seen = 0;
    if (!most) return;
    lookup_find(l, s->history, t->n_prediction + s->length, most);
}

/* ---- sampling ---------------------------------------------------------------------------------------------------------------- */

static bool is_end(const struct sequence *s, int32_t id)
{
    const sc_sample_config *c = &s->sample;
    const sc_model *m = s->task->model;
    for (size_t i = 0; i < c->n_stop_id; i++)
        if (c->stop_id[i] == id) return true;
    for (size_t i = 0; i < m->n_end && !c->ignore_eos; i++)
        if (m->end[i] == id) return true;
    return false;
}

static void forbid_ends(const struct sequence *s, float *logits, size_t vocab)
{
    const sc_sample_config *c = &s->sample;
    const sc_model *m = s->task->model;
    for (size_t i = 0; i < c->n_stop_id; i++)
        if (c->stop_id[i] >= 0 && (size_t)c->stop_id[i] < vocab) logits[c->stop_id[i]] = -INFINITY;
    for (size_t i = 0; i < m->n_end; i++)
        if ((size_t)m->end[i] < vocab) logits[m->end[i]] = -INFINITY;
}

/* Only what the grammar lets come next; its end is one of the model's end tokens. False: nothing may come, which ends the answer. */
static bool mask_by_grammar(struct sequence *s, float *logits, size_t vocab)
{
    size_t words;
    const uint64_t *mask = matcher_mask(s->matcher, &words);
    const sc_model *m = s->task->model;
    float end[MAX_END_TOKENS];
    bool may_end = matcher_may_end(s->matcher), may_go_on = false;
    for (size_t i = 0; i < m->n_end; i++) end[i] = (size_t)m->end[i] < vocab ? logits[m->end[i]] : -INFINITY;
    for (size_t w = 0; w * 64 < vocab; w++) {
        uint64_t bits = w < words ? mask[w] : 0;
        may_go_on |= bits != 0;
        size_t n = vocab - w * 64 < 64 ? vocab - w * 64 : 64;
        for (size_t i = 0; i < n; i++)
            if (!(bits >> i & 1)) logits[w * 64 + i] = -INFINITY;
    }
    for (size_t i = 0; i < m->n_end && may_end; i++)
        if ((size_t)m->end[i] < vocab) logits[m->end[i]] = end[i];
    return may_go_on || (may_end && m->n_end);
}

static int compare_ids(const void *a, const void *b) { return (*(const int32_t *)a > *(const int32_t *)b) - (*(const int32_t *)a < *(const int32_t *)b); }

static void allow_only(const struct task *t, float *logits, size_t vocab)
{
    for (size_t i = 0; i < vocab; i++) {
        int32_t id = (int32_t)i;
        if (!bsearch(&id, t->allowed, t->n_allowed, sizeof id, compare_ids)) logits[i] = -INFINITY;
    }
}

static double log_mass(const float *logits, size_t n)
{
    float max = logits[0];
    double sum = 0;
    for (size_t i = 1; i < n; i++) max = logits[i] > max ? logits[i] : max;
    for (size_t i = 0; i < n; i++) sum += exp((double)logits[i] - (double)max);
    return (double)max + log(sum);
}

/* The likeliest n tokens, by repeated selection: there are few. */
static void fill_top(sc_candidate *top, size_t n, const float *x, size_t vocab, double mass)
{
    for (size_t k = 0; k < n; k++) {
        size_t best = vocab;
        for (size_t i = 0; i < vocab; i++) {
            bool is_behind = k == 0 || x[i] < x[top[k - 1].id] || (x[i] == x[top[k - 1].id] && (int32_t)i > top[k - 1].id);
            if (is_behind && (best == vocab || x[i] > x[best])) best = i;
        }
        if (best == vocab) best = (size_t)top[k ? k - 1 : 0].id;
        top[k] = (sc_candidate){ (int32_t)best, 0 };
    }
    for (size_t k = 0; k < n; k++) top[k].logprob = (float)((double)x[top[k].id] - mass);
}

/* The token at the end of the text: from the logits behind it, which are changed. -1: none may come. */
static int32_t pick(struct sequence *s, struct sampling *w, float *logits, size_t vocab)
{
    const struct task *t = s->task;
    if (s->matcher && !mask_by_grammar(s, logits, vocab)) return -1;
    if (t->n_allowed) allow_only(t, logits, vocab);
    if ((int64_t)s->generated < t->min_tokens && !(s->matcher && matcher_must_end(s->matcher))) forbid_ends(s, logits, vocab);
    w->sampler.config = &s->sample;
    w->sampler.vocab = vocab;
    return sampler_pick(&w->sampler, logits, s->token, s->length, random_unit(s->sample.seed, 0, s->length));
}

static void put_text(struct sequence *s, const char *bytes, size_t len, bool at_end)
{
    size_t from, to;
    int stop = stop_scanner_put(&s->scanner, bytes, len, at_end, &from, &to);
    if (to > from) buf_append(&s->text, s->scanner.text.data + from, to - from);
    if (stop < 0) return;
    s->finish = FINISH_STOP;
    s->stop_string = s->sample.stop[stop];
    if (s->task->keeps_stop) buf_puts(&s->text, s->stop_string);
}

void sequence_flush(struct sequence *s, bool at_end)
{
    if (at_end && s->finish != FINISH_STOP) put_text(s, "", 0, true);
}

static void record(struct sequence *s, int32_t id, const float *raw, size_t vocab)
{
    size_t n_top = (size_t)s->sample.logprobs - 1;
    double mass = log_mass(raw, vocab), logprob = (double)raw[id] - mass;
    fill_top(s->top, n_top, raw, vocab, mass);
    s->logprob += logprob;
    token_records_add(&s->records, id, logprob, s->top, n_top);
}

/* One token. `raw` is not changed where records are wanted. */
static int32_t take_token(struct sequence *s, struct sampling *w, float *raw, size_t vocab)
{
    float *logits = raw;
    bool is_recorded = s->sample.logprobs > 0;
    if (is_recorded) memcpy(logits = w->logits, raw, vocab * sizeof *raw);
    int32_t id = pick(s, w, logits, vocab);
    if (id < 0 || is_end(s, id)) { s->finish = FINISH_END; return id; }
    if (is_recorded) record(s, id, raw, vocab);
    else token_records_add(&s->records, id, (double)NAN, NULL, 0);
    s->token[s->length++] = id;
    s->generated++;
    struct buf piece;
    buf_init(&piece, 0);
    tokenizer_decode(s->task->model->tokenizer, &piece, &id, 1, true);
    put_text(s, piece.data ? piece.data : "", piece.len, false);
    buf_release(&piece);
    if (s->matcher) matcher_accept(s->matcher, id);
    if (s->finish == FINISH_NONE && s->matcher && matcher_must_end(s->matcher)) s->finish = FINISH_END;
    if (s->finish == FINISH_NONE && s->generated >= s->limit)
        s->finish = s->task->sample.max_tokens >= 0 && s->generated == (size_t)s->task->sample.max_tokens ? FINISH_LENGTH : FINISH_CONTEXT;
    return id;
}

void sequence_sample(struct sequence *s, struct sampling *w, float *logits, size_t vocab)
{
    size_t known = s->length, used = 0;                      /* rows: behind the last token, behind each guess */
    const int32_t *guess = s->lookup.guess;
    s->is_sampled = true;
    s->computed = known;
    if (s->generated >= s->limit) { s->finish = s->task->sample.max_tokens == (int64_t)s->generated ? FINISH_LENGTH : FINISH_CONTEXT; return; }
    for (;;) {
        int32_t id = take_token(s, w, logits + used * vocab, vocab);
        if (s->finish == FINISH_END && s->length == known + used) break;     /* an end token: nothing was appended */
        lookup_see(&s->lookup, id);
        bool is_right = used < s->guesses && guess[used] == id;
        if (is_right) { used++; s->came_true++; }
        if (!is_right || s->finish != FINISH_NONE) break;
    }
    s->did_not += s->guesses - used;
    s->computed = known + used;
    if (s->computed > s->length) s->computed = s->length;
}

void sequence_score(struct sequence *s, size_t from, const float *logits, size_t n, size_t vocab)
{
    size_t n_top = s->sample.logprobs > 0 ? (size_t)s->sample.logprobs - 1 : 0;
    for (size_t i = 0; i < n && from + i + 1 < s->task->n_prompt; i++) {
        const float *row = logits + i * vocab;
        int32_t id = s->token[from + i + 1];
        double mass = log_mass(row, vocab);
        fill_top(s->top, n_top, row, vocab, mass);
        token_records_add(&s->prompt_records, id, (double)row[id] - mass, s->top, n_top);
    }
}
