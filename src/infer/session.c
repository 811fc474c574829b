/* session.c - one timeline of tokens and its key/value cache. Every way to reach a past (at once, token by token,
 * after a rewind, from a kept prefix) gives the same bits, because no kernel's sums depend on how rows were grouped. */
#include "infer/infer.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { DEFAULT_CONTEXT = 8192, SCORE_ROWS = 32 };

struct sc_session {
    sc_model *model;
    struct kv_cache cache;
    struct kv_pages own, *pages;      /* of the cache: those of its own, or of a pool that others use too */
    int32_t *token;                   /* the past: length of capacity */
    size_t length, reused, chunk;
    size_t kept;                      /* of the past, on disk: see prompt_cache.c */
    size_t read_tokens; double read_seconds;      /* of all syncs */
    size_t logits_at;                 /* logits belong to a past of this length; 0: none */
    float *logits;
    struct arena step;
    int32_t *position, *sequence;     /* of a chunk */
    struct lookup lookup;
};

static sc_status choose_type(enum dtype *out, const sc_model *m, const char *name, sc_error *err)
{
    size_t head = m->model.config.head_dim;
    *out = DTYPE_F16;
    if (name && *name && (!dtype_by_name(out, name) || (*out != DTYPE_F16 && *out != DTYPE_F32 && *out != DTYPE_Q8_0)))
        return FAIL(err, SC_E_ARGUMENT, "cache type is \"%s\", expected f16, f32 or q8_0", name);
    if (*out == DTYPE_Q8_0 && (head % 32 || head > 1024))
        return FAIL(err, SC_E_ARGUMENT, "a cache in q8_0 takes heads of a multiple of 32 dimensions, up to 1024, and those of %s have %zu; choose f16", m->file->path, head);
    return SC_OK;
}

sc_status session_pages_init(struct kv_pages *out, const sc_model *m, const char *cache_type, size_t positions, sc_error *err)
{
    const struct model_config *c = &m->model.config;
    struct kv_cache shape = { DTYPE_F16, c->layers, c->kv_heads, c->head_dim, 0, NULL };
    size_t pages = kv_page_count(positions), bytes;
    *out = (struct kv_pages){ 0 };
    TRY(choose_type(&shape.dtype, m, cache_type, err));
    if (!size_mul(kv_page_bytes(&shape), pages, &bytes))
        return FAIL(err, SC_E_ARGUMENT, "a context of %zu tokens is too large for this model's cache", positions);
    uint64_t limit = m->runtime->memory_limit;
    if (limit && bytes > limit)
        return FAIL(err, SC_E_MEMORY, "the cache for %zu tokens needs %.2f GiB, but the memory limit is %.2f GiB; choose a smaller --context", positions,
                    (double)bytes / (1 << 30), (double)limit / (1 << 30));
    return kv_pages_init(out, &shape, pages, err);
}

static sc_status choose_context(size_t *out, const sc_model *m, int64_t asked, sc_error *err)
{
    size_t most = m->model.config.context;
    *out = asked > 0 ? (size_t)asked : most < DEFAULT_CONTEXT ? most : DEFAULT_CONTEXT;
    if (*out > most)
        return FAIL(err, SC_E_ARGUMENT, "context is %zu tokens, but %s was made for at most %zu", *out, m->file->path, most);
    return SC_OK;
}

/* The pool that the session takes pages from. */
static sc_status choose_pages(sc_session *s, const sc_session_config *c, struct kv_pages *pages, size_t context, sc_error *err)
{
    const struct model_config *m = &s->model->model.config;
    enum dtype type;
    TRY(choose_type(&type, s->model, c->cache_type, err));
    if (!pages) {
        TRY(session_pages_init(&s->own, s->model, c->cache_type, context, err));
        pages = &s->own;
    }
    const struct kv_cache *shape = &pages->shape;
    assert(shape->layers == m->layers && shape->kv_heads == m->kv_heads && shape->head_dim == m->head_dim);
    if (c->cache_type && *c->cache_type && type != shape->dtype)
        return FAIL(err, SC_E_ARGUMENT, "cache type is \"%s\", but the cache that sessions share is %s; ask for that", c->cache_type, dtypes[shape->dtype].name);
    s->pages = pages;
    kv_cache_open(&s->cache, pages, context);
    return SC_OK;
}

sc_status session_open(sc_session **out, sc_model *m, const sc_session_config *c, struct kv_pages *pages, sc_error *err)
{
    *out = NULL;
    size_t context;
    TRY(choose_context(&context, m, c->context, err));
    sc_session *s = mem_zero(1, sizeof *s);
    s->model = m;
    s->chunk = c->chunk > 0 ? (size_t)c->chunk : 256;
    arena_init(&s->step);
    sc_status status = choose_pages(s, c, pages, context, err);
    if (status != SC_OK) { sc_session_close(s); return status; }
    s->token = mem_alloc(context * sizeof *s->token);
    s->logits = mem_alloc(model_vocab(&m->model) * sizeof *s->logits);
    s->position = mem_alloc(s->chunk * sizeof *s->position);
    s->sequence = mem_zero(s->chunk, sizeof *s->sequence);
    lookup_init(&s->lookup);
    *out = s;
    return SC_OK;
}

sc_status sc_session_open(sc_session **out, sc_model *m, const sc_session_config *c, sc_error *err) { return session_open(out, m, c, NULL, err); }

void sc_session_close(sc_session *s)
{
    if (!s) return;
    kv_cache_close(s->pages, &s->cache);
    kv_pages_release(&s->own);
    arena_release(&s->step);
    mem_free(s->token);
    mem_free(s->logits);
    mem_free(s->position);
    mem_free(s->sequence);
    mem_free(s);
}

size_t sc_session_length(const sc_session *s) { return s->length; }
size_t sc_session_capacity(const sc_session *s) { return s->cache.capacity; }
size_t sc_session_reused(const sc_session *s) { return s->reused; }

const float *sc_session_logits(const sc_session *s, size_t *vocab)
{
    if (vocab) *vocab = model_vocab(&s->model->model);
    return s->logits_at && s->logits_at == s->length ? s->logits : NULL;
}

static sc_status check_tokens(const sc_session *s, const int32_t *id, size_t n, sc_error *err)
{
    size_t vocab = model_vocab(&s->model->model);
    if (n == 0) return FAIL(err, SC_E_ARGUMENT, "the prompt has no tokens");
    if (n > s->cache.capacity)
        return FAIL(err, SC_E_ARGUMENT, "the prompt has %zu tokens, but the context holds %zu; shorten it or raise --context", n, s->cache.capacity);
    for (size_t i = 0; i < n; i++)
        if (id[i] < 0 || (size_t)id[i] >= vocab)
            return FAIL(err, SC_E_ARGUMENT, "token %zu of the prompt is %d, but ids go from 0 to %zu", i, id[i], vocab - 1);
    return SC_OK;
}

static struct exec session_exec(sc_session *s)
{
    sc_runtime *rt = s->model->runtime;
    return (struct exec){ .pool = rt->pool, .backend = rt->backend, .kernels = rt->kernels,
                          .int8_activations = !strcmp(rt->activations, "int8"), .step = &s->step, .cancel = &rt->cancel };
}

/* Called for hidden rows [first, first + rows) of a chunk. */
typedef void on_hidden(sc_session *s, struct exec *e, const struct tensor *hidden, size_t first, void *arg);

/* Computes id[0..n) at the end of the past, chunk by chunk; `want(arg)` gets the hidden states of the rows >= from_row
 * (counted from the old end). What was computed before a cancel, or before there were no more pages, stays. */
static sc_status extend(sc_session *s, const int32_t *id, size_t n, size_t from_row, on_hidden *want, void *arg, sc_error *err)
{
    size_t *row = mem_alloc(s->chunk * sizeof *row);
    struct kv_cache *caches[] = { &s->cache };
    sc_status status = SC_OK;
    for (size_t at = 0, rows; at < n && status == SC_OK; at += rows) {
        rows = n - at < s->chunk ? n - at : s->chunk;
        status = session_room(s, s->length, s->length + rows, err);
        if (status != SC_OK) break;
        struct batch batch = { .rows = rows, .token = id + at, .position = s->position, .sequence = s->sequence, .caches = caches };
        size_t n_row = 0, first = from_row > at ? from_row : at;
        for (size_t i = 0; i < rows; i++) s->position[i] = (int32_t)(s->length + i);
        for (size_t i = first; i < at + rows; i++) row[n_row++] = i - at;
        struct exec e = session_exec(s);
        struct arena_mark mark = arena_mark(&s->step);
        const struct tensor *hidden = model_forward(&s->model->model, &e, &batch, row, n_row);
        if (n_row && e.status == SC_OK) want(s, &e, hidden, first, arg);
        arena_rewind(&s->step, mark);
        status = e.status;
        if (status != SC_OK) break;
        memcpy(s->token + s->length, id + at, rows * sizeof *id);
        s->length += rows;
    }
    mem_free(row);
    if (status == SC_E_MEMORY) return status;
    if (status == SC_E_CANCELLED) return FAIL(err, status, "cancelled after %zu tokens", s->length);
    return status == SC_OK ? SC_OK : FAIL(err, status, "the forward pass failed");
}

static void keep_logits(sc_session *s, struct exec *e, const struct tensor *hidden, size_t first, void *arg)
{
    (void)first; (void)arg;
    model_logits(&s->model->model, e, hidden, s->logits);
}

static size_t common_prefix(const sc_session *s, const int32_t *id, size_t n)
{
    size_t same = 0;
    while (same < n && same < s->length && s->token[same] == id[same]) same++;
    return same;
}

/* Forgets everything behind `length`. */
static void rewind_to(sc_session *s, size_t length)
{
    kv_cache_cut(s->pages, &s->cache, length);
    s->length = length;
    if (s->logits_at > length) s->logits_at = 0;
    if (s->kept > length) s->kept = length;
}

void session_past(struct session_past *out, sc_session *s)
{
    *out = (struct session_past){ s->model, &s->cache, s->token, s->length, s->kept, s->read_tokens ? s->read_seconds / (double)s->read_tokens : 0 };
}

void session_cut(sc_session *s, size_t length) { rewind_to(s, length); }

void session_adopt(sc_session *s, const int32_t *id, size_t length)
{
    memcpy(s->token, id, length * sizeof *id);
    s->length = s->kept = length;
    s->logits_at = 0;
}

sc_status session_room(sc_session *s, size_t from, size_t to, sc_error *err) { return kv_cache_room(s->pages, &s->cache, from, to, err); }

sc_status session_fork(sc_session *s, const struct kv_cache *from, const int32_t *id, size_t length, size_t kept, sc_error *err)
{
    if (length > s->cache.capacity)
        return FAIL(err, SC_E_ARGUMENT, "the past to begin from has %zu tokens, but the context holds %zu; raise --context", length, s->cache.capacity);
    TRY(kv_cache_fork(s->pages, &s->cache, from, length, err));
    session_adopt(s, id, length);
    s->kept = kept;
    return SC_OK;
}

void session_set_kept(sc_session *s, size_t kept) { s->kept = kept; }

void session_set_speed(sc_session *s, double seconds_a_token)
{
    s->read_tokens = 1;
    s->read_seconds = seconds_a_token;
}

sc_status sc_session_sync(sc_session *s, const int32_t *id, size_t n, sc_error *err)
{
    TRY(check_tokens(s, id, n, err));
    size_t same = common_prefix(s, id, n);
    rewind_to(s, same);
    s->reused = same;
    if (same == n && s->logits_at == n) return SC_OK;
    if (same == n) rewind_to(s, same - 1);   /* the logits are gone: the last token is computed again */
    s->reused = s->length;
    size_t rest = n - s->length;
    s->logits_at = 0;
    double begin = clock_seconds();
    sc_status status = extend(s, id + s->length, rest, rest - 1, keep_logits, NULL, err);
    s->read_seconds += clock_seconds() - begin;
    s->read_tokens += s->length - s->reused;
    TRY(status);
    s->logits_at = n;
    return SC_OK;
}

/* ---- several sessions together ---------------------------------------------------------------------------------------- */

static const sc_model *base_of(const sc_model *m) { return m->base ? m->base : m; }

static sc_status check_together(sc_session *const *s, const int32_t *id, size_t n, sc_error *err)
{
    for (size_t i = 0; i < n; i++) {
        size_t vocab = model_vocab(&s[i]->model->model);
        if (base_of(s[i]->model) != base_of(s[0]->model)) return FAIL(err, SC_E_ARGUMENT, "session %zu is of another model than the first, expected one model and its variants", i);
        if (s[i]->length >= s[i]->cache.capacity) return FAIL(err, SC_E_ARGUMENT, "session %zu is full: its context holds %zu tokens", i, s[i]->cache.capacity);
        if (id[i] < 0 || (size_t)id[i] >= vocab) return FAIL(err, SC_E_ARGUMENT, "token %d of session %zu is none, ids go from 0 to %zu", id[i], i, vocab - 1);
        for (size_t k = 0; k < i; k++)
            if (s[k] == s[i]) return FAIL(err, SC_E_ARGUMENT, "sessions %zu and %zu are the same", k, i);
    }
    return n ? SC_OK : FAIL(err, SC_E_ARGUMENT, "there is no session to append to");
}

/* Sessions of one variant stand together in a pass, so that its adapter is read once. */
static sc_session **by_variant(struct arena *step, sc_session *const *s, size_t n, size_t *from)
{
    sc_session **out = arena_take(step, n * sizeof *out);
    bool *is_placed = arena_zero(step, n * sizeof *is_placed);
    for (size_t i = 0, at = 0; i < n; i++)
        for (size_t k = i; !is_placed[i] && k < n; k++) {
            if (is_placed[k] || s[k]->model != s[i]->model) continue;
            is_placed[k] = k > i;
            from[at] = k;
            out[at++] = s[k];
        }
    return out;
}

static void list_variants(struct batch *b, struct arena *step, sc_session *const *s)
{
    struct variant_rows *v = arena_take(step, b->rows * sizeof *v);
    b->variant = v;
    for (size_t i = 0; i < b->rows; i++) {
        const struct model *m = s[i]->model->base ? &s[i]->model->model : NULL;
        if (i && s[i]->model == s[i - 1]->model) { if (m) v[b->n_variants - 1].end = i + 1; }
        else if (m) v[b->n_variants++] = (struct variant_rows){ i, i + 1, m };
    }
}

sc_status sc_sessions_append(sc_session *const *asked, const int32_t *id, size_t n, sc_error *err)
{
    TRY(check_together(asked, id, n, err));
    for (size_t i = 0; i < n; i++) TRY(session_room(asked[i], asked[i]->length, asked[i]->length + 1, err));
    struct arena *step = &asked[0]->step;
    struct arena_mark mark = arena_mark(step);
    struct exec e = session_exec(asked[0]);
    size_t *row = arena_take(step, n * sizeof *row), *from = arena_take(step, n * sizeof *from);
    int32_t *token = arena_take(step, n * sizeof *token), *position = arena_take(step, n * sizeof *position), *sequence = arena_take(step, n * sizeof *sequence);
    struct kv_cache **caches = arena_take(step, n * sizeof *caches);
    const struct model **of = arena_take(step, n * sizeof *of);
    float **logits = arena_take(step, n * sizeof *logits);
    sc_session **s = by_variant(step, asked, n, from);
    for (size_t i = 0; i < n; i++) {
        row[i] = i;
        token[i] = id[from[i]];
        position[i] = (int32_t)s[i]->length;
        sequence[i] = (int32_t)i;
        caches[i] = &s[i]->cache;
        of[i] = &s[i]->model->model;
        logits[i] = s[i]->logits;
        s[i]->logits_at = 0;
    }
    struct batch batch = { .rows = n, .token = token, .position = position, .sequence = sequence, .caches = caches };
    list_variants(&batch, step, s);
    const struct tensor *hidden = model_forward(&base_of(s[0]->model)->model, &e, &batch, row, n);
    if (e.status == SC_OK) model_logits_each(of, &e, hidden, logits);
    for (size_t i = 0; i < n && e.status == SC_OK; i++) {
        s[i]->token[s[i]->length++] = token[i];
        s[i]->logits_at = s[i]->length;
    }
    arena_rewind(step, mark);
    if (e.status == SC_E_CANCELLED) return FAIL(err, e.status, "cancelled");
    return e.status == SC_OK ? SC_OK : FAIL(err, e.status, "the forward pass failed");
}

/* ---- scoring -------------------------------------------------------------------------------------------------------- */

struct scoring { const int32_t *next; double *logprob; bool *greedy; size_t first; float *logits; };

/* Hidden row i predicts the token behind it. Logits are made for few rows at a time: a vocabulary is wide. */
static void score_rows(sc_session *s, struct exec *e, const struct tensor *hidden, size_t first, void *arg)
{
    struct scoring *g = arg;
    size_t vocab = model_vocab(&s->model->model);
    for (size_t at = 0; at < hidden->rows; at += SCORE_ROWS) {
        struct tensor part = *hidden;
        part.rows = hidden->rows - at < SCORE_ROWS ? hidden->rows - at : SCORE_ROWS;
        part.data = tensor_f32(hidden) + at * hidden->cols;
        model_logits(&s->model->model, e, &part, g->logits);
        for (size_t i = 0; i < part.rows && e->status == SC_OK; i++) {
            size_t k = first + at + i - g->first;
            const float *row = g->logits + i * vocab;
            g->logprob[k] = log_probability(row, vocab, g->next[k]);
            if (!g->greedy) continue;
            g->greedy[k] = true;
            for (size_t j = 0; j < vocab && g->greedy[k]; j++)
                g->greedy[k] = row[j] < row[g->next[k]] || (row[j] == row[g->next[k]] && (int32_t)j >= g->next[k]);
        }
    }
}

sc_status sc_session_score(double *logprob, bool *greedy, sc_session *s, const int32_t *id, size_t n, size_t from, sc_error *err)
{
    TRY(check_tokens(s, id, n, err));
    if (from < 1 || from > n) return FAIL(err, SC_E_ARGUMENT, "scoring from token %zu of %zu, expected 1 to %zu", from, n, n);
    size_t same = common_prefix(s, id, n);
    rewind_to(s, same < from - 1 ? same : from - 1);   /* row from-1 predicts token from */
    s->reused = s->length;
    s->logits_at = 0;
    size_t base = s->length, first = from - 1 - base;
    float *logits = mem_alloc(SCORE_ROWS * model_vocab(&s->model->model) * sizeof *logits);
    struct scoring g = { id + from, logprob, greedy, first, logits };
    /* The last token predicts nothing that is asked for. */
    sc_status status = extend(s, id + base, n - 1 - base, first, score_rows, &g, err);
    mem_free(logits);
    return status;
}

/* ---- generation ------------------------------------------------------------------------------------------------------- */

struct generation {
    sc_session *s;
    const sc_sample_config *c;
    struct sampler sampler;
    struct stop_scanner scanner;
    float *logits;             /* scratch that penalties may change      */
    size_t start, *end_byte;   /* of the text after each generated token */
    sc_candidate *top;
    sc_on_text emit;
    void *user;
    size_t most;               /* tokens of the answer */
    size_t ahead, used;        /* guesses that were computed behind the past; how many of them came true */
    float *rows;               /* logits of the last pass: behind its token, behind each guess */
};

static bool is_end(const struct generation *g, int32_t id)
{
    const sc_model *m = g->s->model;
    for (size_t i = 0; i < g->c->n_stop_id; i++)
        if (g->c->stop_id[i] == id) return true;
    for (size_t i = 0; i < m->n_end && !g->c->ignore_eos; i++)
        if (m->end[i] == id) return true;
    return false;
}

/* The likeliest alternatives, by repeated selection: there are few. */
static void fill_top(struct generation *g, size_t vocab)
{
    const float *x = g->s->logits;
    for (int64_t k = 0; k < g->c->logprobs; k++) {
        int32_t best = -1;
        for (size_t i = 0; i < vocab; i++) {
            bool taken = false;
            for (int64_t j = 0; j < k && !taken; j++) taken = g->top[j].id == (int32_t)i;
            if (!taken && (best < 0 || x[i] > x[best])) best = (int32_t)i;
        }
        g->top[k] = (sc_candidate){ best, best < 0 ? 0 : (float)log_probability(x, vocab, best) };
    }
}

static int32_t pick(struct generation *g)
{
    sc_session *s = g->s;
    size_t vocab = model_vocab(&s->model->model);
    memcpy(g->logits, s->logits, vocab * sizeof *g->logits);
    double draw = random_unit(g->c->seed, 0, s->length);   /* by position: the same past and seed draw the same */
    return sampler_pick(&g->sampler, g->logits, s->token, s->length, draw);
}

/* Hands new text to the caller. Returns true when generation ends here. */
static bool put_text(struct generation *g, sc_generation *out, const char *bytes, size_t len, bool at_end)
{
    size_t from, to;
    int stop = stop_scanner_put(&g->scanner, bytes, len, at_end, &from, &to);
    int asked = to > from && g->emit ? g->emit(g->user, g->scanner.text.data + from, to - from) : 0;
    if (stop >= 0) {
        out->reason = SC_STOP_STRING;
        out->stop_string = g->c->stop[stop];
    } else if (asked) out->reason = SC_STOP_CALLBACK;
    return stop >= 0 || asked;
}

static void keep_rows(sc_session *s, struct exec *e, const struct tensor *hidden, size_t first, void *arg)
{
    struct generation *g = arg;
    model_logits(&s->model->model, e, hidden, g->rows + first * model_vocab(&s->model->model));
}

/* The pass over a token and guesses of what follows. All are in the cache then, but the past ends with the token. */
static sc_status compute_ahead(struct generation *g, const sc_generation *out, int32_t id, sc_error *err)
{
    sc_session *s = g->s;
    struct lookup *l = &s->lookup;
    int32_t ids[LOOKUP_MAX + 1] = { id };
    size_t room = s->cache.capacity - s->length - 1, left = g->most - out->tokens, most = g->c->speculate < 0 ? 0 : (size_t)g->c->speculate;
    most = most < room ? most : room;
    s->token[s->length] = id;
    lookup_find(l, s->token, s->length + 1, most < left ? most : left);
    size_t m = lookup_worth(l), before = s->length;
    if (session_room(s, before, before + 1 + m, NULL) != SC_OK) m = 0;       /* guesses are not worth failing */
    memcpy(ids + 1, l->guess, m * sizeof *ids);
    double begin = clock_seconds();
    sc_status status = extend(s, ids, 1 + m, 0, keep_rows, g, err);
    if (s->length > before + 1) s->length = before + 1;   /* also where it was cancelled between chunks */
    TRY(status);
    lookup_time(l, 1 + m, clock_seconds() - begin);
    g->ahead = m;
    g->used = 0;
    return SC_OK;
}

/* Makes `id` part of the past; where it was guessed right its logits are there already. */
static sc_status append(struct generation *g, sc_generation *out, int32_t id, sc_error *err)
{
    sc_session *s = g->s;
    size_t vocab = model_vocab(&s->model->model);
    s->logits_at = 0;
    bool is_known = g->used < g->ahead && s->token[s->length] == id;
    lookup_see(&s->lookup, id);
    if (is_known) {
        s->length++;
        g->used++;
        out->guessed++;
    } else TRY(compute_ahead(g, out, id, err));
    out->passes += !is_known;
    memcpy(s->logits, g->rows + g->used * vocab, vocab * sizeof *s->logits);
    s->logits_at = s->length;
    return SC_OK;
}

/* One token: picks it, reports it, hands its text on, computes what follows it. True in *done when it was the last. */
static sc_status step(struct generation *g, sc_generation *out, bool *done, sc_error *err)
{
    sc_session *s = g->s;
    int32_t id = pick(g);
    if (is_end(g, id)) { out->reason = SC_STOP_END; *done = true; return SC_OK; }
    if (g->c->on_step) {
        size_t vocab = model_vocab(&s->model->model);
        bool is_asked = g->c->logprobs > 0;   /* a sum over the whole vocabulary */
        fill_top(g, vocab);
        const sc_step report = { id, is_asked ? log_probability(s->logits, vocab, id) : (double)NAN, g->top, (size_t)g->c->logprobs };
        if (g->c->on_step(g->user, &report)) { out->reason = SC_STOP_CALLBACK; *done = true; return SC_OK; }
    }
    struct buf piece;
    buf_init(&piece, 0);
    if (s->model->tokenizer) tokenizer_decode(s->model->tokenizer, &piece, &id, 1, true);
    *done = put_text(g, out, piece.data ? piece.data : "", piece.len, false);
    buf_release(&piece);
    g->end_byte[out->tokens++] = g->scanner.text.len + g->scanner.stream.n_held;
    return append(g, out, id, err);
}

/* The past keeps only tokens whose text went out whole. */
static void cut_past(struct generation *g, sc_generation *out)
{
    if (out->reason != SC_STOP_STRING) return;
    while (out->tokens && g->end_byte[out->tokens - 1] > g->scanner.emitted) out->tokens--;
    rewind_to(g->s, g->start + out->tokens);
}

static sc_status check_sampling(const sc_session *s, const sc_sample_config *c, sc_error *err)
{
    if (!s->length || s->logits_at != s->length) return FAIL(err, SC_E_ARGUMENT, "nothing to continue from: sync a prompt first");
    if (!(c->temperature >= 0) || !(c->top_p > 0 && c->top_p <= 1) || !(c->min_p >= 0 && c->min_p <= 1) ||
        !(c->typical_p > 0 && c->typical_p <= 1) || !(c->repeat_penalty > 0) || c->top_k < 0 || c->logprobs < 0 || c->logprobs > 100)
        return FAIL(err, SC_E_ARGUMENT, "a sampling value is out of range (temperature %g >= 0, top_p %g and typical_p %g in (0, 1], min_p %g in [0, 1], repeat_penalty %g > 0, top_k %lld >= 0, logprobs %lld in 0..100)",
                    c->temperature, c->top_p, c->typical_p, c->min_p, c->repeat_penalty, (long long)c->top_k, (long long)c->logprobs);
    return SC_OK;
}

sc_status sc_session_generate(sc_generation *out, sc_session *s, const sc_sample_config *c, sc_on_text emit, void *user, sc_error *err)
{
    *out = (sc_generation){ 0 };
    TRY(check_sampling(s, c, err));
    size_t room = s->cache.capacity - s->length, vocab = model_vocab(&s->model->model);
    size_t most = c->max_tokens >= 0 && (size_t)c->max_tokens <= room ? (size_t)c->max_tokens : room;
    struct generation g = { .s = s, .c = c, .start = s->length, .emit = emit, .user = user, .most = most };
    g.rows = mem_alloc((size_t)(1 + (c->speculate > 0 ? LOOKUP_MAX : 0)) * vocab * sizeof *g.rows);
    g.logits = mem_alloc(vocab * sizeof *g.logits);
    g.end_byte = mem_alloc((most + 1) * sizeof *g.end_byte);
    g.top = mem_alloc((size_t)(c->logprobs + 1) * sizeof *g.top);
    sampler_init(&g.sampler, c, vocab);
    stop_scanner_init(&g.scanner, c->stop, c->n_stop);
    double begin = clock_seconds();
    bool done = false;
    sc_status status = SC_OK;
    out->reason = c->max_tokens >= 0 && most == (size_t)c->max_tokens ? SC_STOP_LENGTH : SC_STOP_CONTEXT;
    while (status == SC_OK && !done && out->tokens < most) status = step(&g, out, &done, err);
    if (out->reason != SC_STOP_STRING && out->reason != SC_STOP_CALLBACK) put_text(&g, out, "", 0, true);
    cut_past(&g, out);
    out->seconds = clock_seconds() - begin;
    stop_scanner_release(&g.scanner);
    sampler_release(&g.sampler);
    mem_free(g.logits);
    mem_free(g.rows);
    mem_free(g.end_byte);
    mem_free(g.top);
    return status;
}
