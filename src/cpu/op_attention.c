/* op_attention.c - rotary positions and attention over a cache.
 *
 * Attention with a running maximum (Milakov and Gimelshein 2018; FlashAttention): key positions are taken in tiles of 64
 * at absolute multiples of 64, so the score matrix never exists, and each (row, head) meets the same tiles in the same
 * order whether it comes in a prompt, alone, or after a rewind. A piece of work is some rows and some query heads that
 * share a key/value head; four of them at a time are multiplied with each vector of keys or values that is loaded. */
#include "cpu/cpu.h"

#include <math.h>
#include <string.h>

enum { KEY_TILE = 64, ROW_TILE = 8, HEAD_TILE = 8 };

/* ---- rope --------------------------------------------------------------------------------------------------------------- */

struct rope_job { const struct op_call *c; float *cosine, *sine; };   /* (R, dims/2) */

static void rope_angles(void *arg, size_t from, size_t to, int worker)
{
    const struct rope_job *job = arg;
    const struct rope *p = job->c->attr.rope.rope;
    size_t half = p->dims / 2;
    (void)worker;
    for (size_t r = from; r < to; r++)
        for (size_t i = 0; i < half; i++) {
            double angle = (double)job->c->batch->position[r] * p->frequency[i];
            job->cosine[r * half + i] = (float)cos(angle) * p->magnitude;
            job->sine[r * half + i] = (float)sin(angle) * p->magnitude;
        }
}

static void rope_rows(void *arg, size_t from, size_t to, int worker)
{
    const struct rope_job *job = arg;
    const struct rope *p = job->c->attr.rope.rope;
    size_t d = job->c->attr.rope.head_dim, cols = job->c->out->cols, half = p->dims / 2;
    size_t step = p->is_interleaved ? 2 : 1, other = p->is_interleaved ? 1 : half;
    (void)worker;
    for (size_t r = from; r < to; r++) {
        const float *in = tensor_f32(job->c->in[0]) + r * cols, *c = job->cosine + r * half, *s = job->sine + r * half;
        float *out = tensor_f32(job->c->out) + r * cols;
        for (size_t at = 0; at < cols; at += d) {
            for (size_t i = 0; i < half; i++) {
                float a = in[at + i * step], b = in[at + i * step + other];
                out[at + i * step] = a * c[i] - b * s[i];
                out[at + i * step + other] = b * c[i] + a * s[i];
            }
            memcpy(out + at + p->dims, in + at + p->dims, (d - p->dims) * sizeof *out);
        }
    }
}

/* A rotation's backward pass is the rotation the other way. */
static void rope_backward_rows(void *arg, size_t from, size_t to, int worker)
{
    const struct rope_job *job = arg;
    const struct rope *p = job->c->attr.rope.rope;
    size_t d = job->c->attr.rope.head_dim, cols = job->c->out->cols, half = p->dims / 2;
    size_t step = p->is_interleaved ? 2 : 1, other = p->is_interleaved ? 1 : half;
    bool stores = job->c->in[0]->is_fresh;
    (void)worker;
    for (size_t r = from; r < to; r++) {
        const float *in = job->c->out->grad + r * cols, *c = job->cosine + r * half, *s = job->sine + r * half;
        float *out = job->c->in[0]->grad + r * cols;
        if (stores) memset(out, 0, cols * sizeof *out);
        for (size_t at = 0; at < cols; at += d) {
            for (size_t i = 0; i < half; i++) {
                float a = in[at + i * step], b = in[at + i * step + other];
                out[at + i * step] += a * c[i] + b * s[i];
                out[at + i * step + other] += b * c[i] - a * s[i];
            }
            for (size_t i = p->dims; i < d; i++) out[at + i] += in[at + i];
        }
    }
}

static void rope_run(struct exec *e, const struct op_call *c, void (*rows_fn)(void *arg, size_t from, size_t to, int worker))
{
    const struct rope *p = c->attr.rope.rope;
    size_t rows = c->out->rows, half = p->dims / 2;
    struct arena_mark mark = arena_mark(e->step);
    struct rope_job job = { c, arena_take(e->step, rows * half * sizeof(float)), arena_take(e->step, rows * half * sizeof(float)) };
    cpu_split(e, rows, ROW_TILE, (double)half * 50, rope_angles, &job);
    cpu_split(e, rows, ROW_TILE, (double)c->out->cols, rows_fn, &job);
    arena_rewind(e->step, mark);
}

void cpu_rope(struct exec *e, const struct op_call *c) { rope_run(e, c, rope_rows); }
void cpu_rope_backward(struct exec *e, const struct op_call *c) { rope_run(e, c, rope_backward_rows); }

/* ---- attention ------------------------------------------------------------------------------------------------------------ */

struct attention_job {
    const struct op_call *c;
    const struct cpu_kernels *k;
    size_t head_tiles;                      /* pieces of the query heads of one key/value head */
    char *scratch; size_t scratch_bytes;    /* per worker: queries as int8, of a Q8_0 cache */
};

/* First element of a layer and head. */
static size_t cache_at(const struct kv_cache *cache, size_t layer, size_t head) { return (layer * cache->kv_heads + head) * kv_rows(cache->capacity) * cache->head_dim; }

/* A key goes to its place in the tile, element by element. */
static void store_key(const struct kv_cache *cache, size_t at, size_t position, const float *key)
{
    size_t d = cache->head_dim;
    at += position / KV_TILE * KV_TILE * d + position % KV_TILE;
    for (size_t i = 0; i < d; i++) {
        if (cache->dtype == DTYPE_F32) ((float *)cache->keys)[at + i * KV_TILE] = key[i];
        else ((uint16_t *)cache->keys)[at + i * KV_TILE] = f32_to_f16(key[i]);
    }
}

static void store_rows(void *arg, size_t from, size_t to, int worker)
{
    const struct op_call *c = arg;
    const struct attention *a = &c->attr.attention;
    size_t d = a->head_dim;
    (void)worker;
    for (size_t r = from; r < to; r++) {
        const struct kv_cache *cache = c->batch->caches[c->batch->sequence[r]];
        size_t position = (size_t)c->batch->position[r];
        for (size_t g = 0; g < a->kv_heads; g++) {
            const float *key = tensor_f32(c->in[1]) + r * c->in[1]->cols + g * d, *value = tensor_f32(c->in[2]) + r * c->in[2]->cols + g * d;
            if (cache->dtype == DTYPE_Q8_0) { q8_cache_store(cache, a->layer, g, position, key, value); continue; }
            size_t at = cache_at(cache, a->layer, g);
            store_key(cache, at, position, key);
            dtypes[cache->dtype].from_f32((char *)cache->values + (at + position * d) * dtypes[cache->dtype].bytes, value, d);
        }
    }
}

/* A row and head: what is summed so far, and where its query is. */
struct running { float max, sum; float *acc; const float *q; size_t low, high; };

/* Positions a row sees: [*low, *high). */
static void row_range(const struct op_call *c, size_t r, size_t *low, size_t *high)
{
    size_t p = (size_t)c->batch->position[r], window = c->attr.attention.window;
    *high = p + 1;
    *low = window && window < *high ? *high - window : 0;
}

/* What a piece works on: a layer and key/value head of a cache; of a Q8_0 cache its queries too, one row for each state. */
struct head_cache { const struct kv_cache *cache; size_t layer, head, at; struct i8_rows q; };

/* Scores of up to OUTER neighbouring states, beginning with row `first`, and keys [begin, end) of a tile, whole blocks of them. */
static void make_scores(const struct attention_job *job, const struct head_cache *h, struct running *state, size_t first, size_t n, size_t start, size_t begin, size_t end,
                        float (*score)[KEY_TILE])
{
    const struct kv_cache *cache = h->cache;
    size_t d = cache->head_dim, bytes = dtypes[cache->dtype].bytes, panel = panel_bytes(DTYPE_Q8_0, d);
    float *to[OUTER];
    const float *q[OUTER];
    if (cache->dtype == DTYPE_Q8_0) {
        for (size_t j = begin / PANEL * PANEL; j < end; j += PANEL)
            job->k->dot_panel[DTYPE_Q8_0](score[0] + j, KEY_TILE, q8_cache_keys(cache, h->layer, h->head, (start + j) / KV_BLOCK) + j % KV_BLOCK / PANEL * panel, PANEL, &h->q, first, n);
        return;
    }
    const char *keys = (const char *)cache->keys + (h->at + start * d) * bytes;
    for (size_t t = 0; t < n; t++) q[t] = state[t].q;
    for (size_t block = begin / KV_TILE * KV_TILE; block < end; block += KV_TILE) {
        for (size_t t = 0; t < n; t++) to[t] = score[t] + block;
        job->k->outer[cache->dtype == DTYPE_F32](to, NULL, q, n, keys + block * d * bytes, KV_TILE, d, KV_TILE);
    }
}

/* acc = acc keep + score values, whose positions outside [begin, end) score 0. */
static void add_values(const struct attention_job *job, const struct head_cache *h, struct running *state, size_t n, size_t start, size_t begin, size_t end,
                       float (*score)[KEY_TILE], const float *keep)
{
    static const float all[OUTER] = { 1, 1, 1, 1 };
    const struct kv_cache *cache = h->cache;
    size_t d = cache->head_dim;
    float *acc[OUTER];
    const float *p[OUTER];
    for (size_t t = 0; t < n; t++) { acc[t] = state[t].acc; p[t] = score[t] + begin; }
    if (cache->dtype != DTYPE_Q8_0) {
        job->k->outer[cache->dtype == DTYPE_F32](acc, keep, p, n, (const char *)cache->values + (h->at + (start + begin) * d) * dtypes[cache->dtype].bytes, d, end - begin, d);
        return;
    }
    for (size_t j = begin / KV_BLOCK * KV_BLOCK; j < end; j += KV_BLOCK, keep = all) {
        for (size_t t = 0; t < n; t++) p[t] = score[t] + j;
        job->k->mix_q8(acc, keep, p, n, q8_cache_values(cache, h->layer, h->head, (start + j) / KV_BLOCK), d);
    }
}

/* Up to OUTER neighbouring states, from row `first` on, with keys [begin, end) of the tile that begins at `start`; each sees its
 * part of them. */
static void absorb(const struct attention_job *job, const struct head_cache *h, struct running *state, size_t first, size_t n, size_t start, size_t begin, size_t end)
{
    const struct attention *a = &job->c->attr.attention;
    float score[OUTER][KEY_TILE], keep[OUTER];
    make_scores(job, h, state, first, n, start, begin, end, score);
    for (size_t t = 0; t < n; t++) {
        struct running *s = &state[t];
        size_t low = s->low > start + begin ? s->low - start : begin, high = s->high < start + end ? s->high - start : end;
        float max = job->k->largest(score[t] + low, high - low) * a->scale;
        max = max > s->max ? max : s->max;
        keep[t] = expf(s->max - max);
        s->sum = s->sum * keep[t] + job->k->exp_row(score[t] + low, high - low, a->scale, max);
        s->max = max;
        memset(score[t], 0, low * sizeof score[t][0]);
        memset(score[t] + high, 0, (KEY_TILE - high) * sizeof score[t][0]);
    }
    add_values(job, h, state, n, start, begin, end, score, keep);
}

/* One tile of keys for all rows and heads of a piece, OUTER neighbours that see some of it at a time. */
static void attend_tile(const struct attention_job *job, const struct head_cache *h, struct running *state, size_t n, size_t start)
{
    size_t k = 0, begin = KEY_TILE, end = 0;
    for (size_t i = 0; i < n; i++) {
        struct running *s = &state[i];
        bool sees = s->high > start && s->low < start + KEY_TILE;
        if (sees) {
            size_t low = s->low > start ? s->low - start : 0, high = s->high - start < KEY_TILE ? s->high - start : KEY_TILE;
            begin = low < begin ? low : begin;
            end = high > end ? high : end;
            k++;
        }
        if (!k || (sees && k < OUTER && i + 1 < n)) continue;
        size_t first = i + sees - k;
        absorb(job, h, state + first, first, k, start, begin, end);
        k = 0, begin = KEY_TILE, end = 0;
    }
}

enum { CACHE_LINE = 64 };

/* Asks for the next tile of keys and values while this one is worked on: with few rows a pass waits for memory otherwise. */
static void fetch_tile(const struct head_cache *h, size_t start, size_t last)
{
    const struct kv_cache *cache = h->cache;
    size_t row = dtype_row_bytes(cache->dtype, cache->head_dim), n = kv_rows(last) - start < KEY_TILE ? kv_rows(last) - start : KEY_TILE, begin = (h->at / cache->head_dim + start) * row;
    for (size_t i = 0; i < n * row; i += CACHE_LINE) {
        __builtin_prefetch((const char *)cache->keys + begin + i);
        __builtin_prefetch((const char *)cache->values + begin + i);
    }
}

/* The queries of n states as int8, in a worker's scratch. */
static struct i8_rows round_queries(const struct attention_job *job, const struct running *state, size_t n, size_t d, int worker)
{
    float *scale = (float *)(job->scratch + (size_t)worker * job->scratch_bytes), *sum = scale + n * d / 32;
    int16_t *sum16 = (int16_t *)(sum + n * d / 32);
    int8_t *q = (int8_t *)(sum16 + n * d / 16);
    for (size_t i = 0; i < n; i++) job->k->quantize_row(q + i * d, scale + i * d / 32, sum + i * d / 32, sum16 + i * d / 16, state[i].q, d);
    return (struct i8_rows){ q, scale, sum, sum16, d };
}
static size_t round_bytes(size_t n, size_t d) { return n * d / 32 * (2 * sizeof(float) + 2 * sizeof(int16_t)) + n * d; }

/* Rows [from, to) of one sequence, `heads` heads from h on. */
static void attend(const struct attention_job *job, size_t from, size_t to, size_t h, size_t heads, int worker)
{
    const struct op_call *c = job->c;
    const struct attention *a = &c->attr.attention;
    const struct kv_cache *cache = c->batch->caches[c->batch->sequence[from]];
    size_t d = a->head_dim, first = SIZE_MAX, last = 0, n = 0;
    struct running state[ROW_TILE * HEAD_TILE];
    for (size_t r = from; r < to; r++)
        for (size_t i = 0; i < heads; i++) {
            struct running *s = &state[n++];
            *s = (struct running){ -INFINITY, 0, tensor_f32(c->out) + r * c->out->cols + (h + i) * d, tensor_f32(c->in[0]) + r * c->in[0]->cols + (h + i) * d, 0, 0 };
            memset(s->acc, 0, d * sizeof *s->acc);
            row_range(c, r, &s->low, &s->high);
            first = s->low < first ? s->low : first;
            last = s->high > last ? s->high : last;
        }
    size_t g = h / (a->heads / a->kv_heads);
    struct head_cache head = { cache, a->layer, g, cache_at(cache, a->layer, g), { 0 } };
    if (cache->dtype == DTYPE_Q8_0) head.q = round_queries(job, state, n, d, worker);
    for (size_t start = first / KEY_TILE * KEY_TILE; start < last; start += KEY_TILE) {
        if (start + KEY_TILE < last) fetch_tile(&head, start + KEY_TILE, last);
        attend_tile(job, &head, state, n, start);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++) state[i].acc[j] /= state[i].sum;
}

/* Piece i: rows of tile i / (kv_heads * head_tiles), then the key/value head and its part of the query heads. */
static void attention_pieces(void *arg, size_t from, size_t to, int worker)
{
    const struct attention_job *job = arg;
    const struct op_call *c = job->c;
    const struct attention *a = &c->attr.attention;
    size_t group = a->heads / a->kv_heads, per_tile = a->kv_heads * job->head_tiles;
    for (size_t i = from; i < to; i++) {
        size_t row = i / per_tile * ROW_TILE, end = row + ROW_TILE < c->out->rows ? row + ROW_TILE : c->out->rows;
        size_t g = i % per_tile / job->head_tiles, part = i % job->head_tiles * HEAD_TILE;
        size_t heads = group - part < HEAD_TILE ? group - part : HEAD_TILE;
        while (row < end) {   /* a tile of rows may hold several sequences */
            size_t next = row + 1;
            while (next < end && c->batch->sequence[next] == c->batch->sequence[row]) next++;
            attend(job, row, next, g * group + part, heads, worker);
            row = next;
        }
    }
}

void cpu_attention(struct exec *e, const struct op_call *c)
{
    if (!c->batch->caches) { cpu_attention_in_batch(e, c); return; }
    const struct attention *a = &c->attr.attention;
    size_t rows = c->out->rows, group = a->heads / a->kv_heads, longest = 0;
    cpu_split(e, rows, ROW_TILE, (double)(8 * a->kv_heads * a->head_dim), store_rows, (void *)(uintptr_t)c);
    for (size_t r = 0; r < rows; r++) longest = (size_t)c->batch->position[r] > longest ? (size_t)c->batch->position[r] : longest;
    struct attention_job job = { .c = c, .k = e->kernels, .head_tiles = (group + HEAD_TILE - 1) / HEAD_TILE };
    struct arena_mark mark = arena_mark(e->step);
    job.scratch_bytes = (round_bytes(ROW_TILE * HEAD_TILE, a->head_dim) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    job.scratch = arena_take(e->step, job.scratch_bytes * (size_t)pool_threads(e->pool));
    size_t pieces = (rows + ROW_TILE - 1) / ROW_TILE * a->kv_heads * job.head_tiles;
    cpu_split(e, pieces, 1, (double)(longest + 1) * (double)(a->head_dim * (group < HEAD_TILE ? group : HEAD_TILE)), attention_pieces, &job);
    arena_rewind(e->step, mark);
}
