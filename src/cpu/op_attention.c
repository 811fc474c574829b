/* op_attention.c - rotary positions and attention over a cache.
 *
 * Attention with a running maximum (Milakov and Gimelshein 2018; FlashAttention): key positions are taken in tiles of 64
 * at absolute multiples of 64, so the score matrix never exists, and each (row, head) meets the same tiles in the same
 * order whether it comes in a prompt, alone, or after a rewind. A piece of work is some rows and some query heads that
 * share a key/value head: they share the tile once it is converted to f32. */
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
    float *scratch; size_t scratch_floats;  /* per worker */
};

static size_t cache_at(const struct kv_cache *cache, size_t layer, size_t head, size_t position)
{
    return ((layer * cache->kv_heads + head) * cache->capacity + position) * cache->head_dim;
}

static void store_row(const struct op_call *c, size_t r)
{
    const struct attention *a = &c->attr.attention;
    const struct kv_cache *cache = c->batch->caches[c->batch->sequence[r]];
    const struct dtype_row *type = &dtypes[cache->dtype];
    for (size_t g = 0; g < a->kv_heads; g++) {
        size_t at = cache_at(cache, a->layer, g, (size_t)c->batch->position[r]) * type->bytes;
        type->from_f32((char *)cache->keys + at, tensor_f32(c->in[1]) + r * c->in[1]->cols + g * a->head_dim, a->head_dim);
        type->from_f32((char *)cache->values + at, tensor_f32(c->in[2]) + r * c->in[2]->cols + g * a->head_dim, a->head_dim);
    }
}

/* n rows of keys or values from `position` on, as f32: converted into scratch, or where they are. */
static const float *tile_rows(const struct attention_job *job, const struct kv_cache *cache, const void *base, size_t head, size_t position, size_t n, float *scratch)
{
    size_t at = cache_at(cache, job->c->attr.attention.layer, head, position);
    if (cache->dtype == DTYPE_F32) return (const float *)base + at;
    job->k->unpack_f32[cache->dtype](scratch, (const uint16_t *)base + at, n * cache->head_dim);
    return scratch;
}

struct running { float max, sum; float *acc; };   /* of one row and head */

/* Adds keys [low, high) of a tile that begins at `start`. scores: 64 products, valid in that range. */
static void absorb_tile(const struct attention_job *job, struct running *s, float *scores, const float *values, size_t low, size_t high)
{
    const struct attention *a = &job->c->attr.attention;
    float max = s->max;
    for (size_t j = 0; j < KEY_TILE; j++) {
        scores[j] = j >= low && j < high ? scores[j] * a->scale : -INFINITY;
        max = scores[j] > max ? scores[j] : max;
    }
    float keep = expf(s->max - max);
    s->sum = s->sum * keep + job->k->exp_tile(scores, max);
    s->max = max;
    job->k->accumulate(s->acc, keep, scores + low, values + low * a->head_dim, high - low, a->head_dim);
}

/* Positions a row sees: [*low, *high). */
static void row_range(const struct op_call *c, size_t r, size_t *low, size_t *high)
{
    size_t p = (size_t)c->batch->position[r], window = c->attr.attention.window;
    *high = p + 1;
    *low = window && window < *high ? *high - window : 0;
}

/* One tile of keys for `heads` heads from h of the rows [from, to) of one sequence. */
static void attend_tile(const struct attention_job *job, size_t start, size_t from, size_t to, size_t h, size_t heads, struct running *state, float *scratch)
{
    const struct op_call *c = job->c;
    const struct attention *a = &c->attr.attention;
    const struct kv_cache *cache = c->batch->caches[c->batch->sequence[from]];
    size_t d = a->head_dim, g = h / (a->heads / a->kv_heads), low, high, last = 0;
    for (size_t r = from; r < to; r++) { row_range(c, r, &low, &high); last = high > last ? high : last; }
    size_t n = last - start < KEY_TILE ? last - start : KEY_TILE;
    const float *keys = tile_rows(job, cache, cache->keys, g, start, n, scratch);
    const float *values = tile_rows(job, cache, cache->values, g, start, n, scratch + KEY_TILE * d);
    float *scores = scratch + 2 * KEY_TILE * d;
    for (size_t r = from; r < to; r++) {
        row_range(c, r, &low, &high);
        if (high <= start || low >= start + KEY_TILE) continue;
        low = low > start ? low - start : 0;
        high = high - start < KEY_TILE ? high - start : KEY_TILE;
        const float *q = tensor_f32(c->in[0]) + r * c->in[0]->cols + h * d;
        for (size_t i = 0; i < heads; i += TILE_X)
            for (size_t j = 0; j < n; j += TILE_W)
                job->k->dot_f32(scores + i * KEY_TILE + j, KEY_TILE, keys + j * d, d, n - j < TILE_W ? n - j : TILE_W,
                                q + i * d, d, heads - i < TILE_X ? heads - i : TILE_X, d);
        for (size_t i = 0; i < heads; i++)
            absorb_tile(job, &state[(r - from) * heads + i], scores + i * KEY_TILE, values, low, high);
    }
}

/* Rows [from, to) of one sequence, `heads` heads from h on. */
static void attend(const struct attention_job *job, size_t from, size_t to, size_t h, size_t heads, float *scratch)
{
    const struct op_call *c = job->c;
    size_t d = c->attr.attention.head_dim, low, high, first = SIZE_MAX, last = 0;
    struct running state[ROW_TILE * HEAD_TILE];
    for (size_t r = from; r < to; r++) {
        row_range(c, r, &low, &high);
        first = low < first ? low : first;
        last = high > last ? high : last;
        for (size_t i = 0; i < heads; i++) {
            float *acc = tensor_f32(c->out) + r * c->out->cols + (h + i) * d;
            memset(acc, 0, d * sizeof *acc);
            state[(r - from) * heads + i] = (struct running){ -INFINITY, 0, acc };
        }
    }
    for (size_t start = first / KEY_TILE * KEY_TILE; start < last; start += KEY_TILE) attend_tile(job, start, from, to, h, heads, state, scratch);
    for (size_t i = 0; i < (to - from) * heads; i++)
        for (size_t j = 0; j < d; j++) state[i].acc[j] /= state[i].sum;
}

/* Piece i: rows of tile i / (kv_heads * head_tiles), then the key/value head and its part of the query heads. */
static void attention_pieces(void *arg, size_t from, size_t to, int worker)
{
    const struct attention_job *job = arg;
    const struct op_call *c = job->c;
    const struct attention *a = &c->attr.attention;
    size_t group = a->heads / a->kv_heads, per_tile = a->kv_heads * job->head_tiles;
    float *scratch = job->scratch + (size_t)worker * job->scratch_floats;
    for (size_t i = from; i < to; i++) {
        size_t row = i / per_tile * ROW_TILE, end = row + ROW_TILE < c->out->rows ? row + ROW_TILE : c->out->rows;
        size_t g = i % per_tile / job->head_tiles, part = i % job->head_tiles * HEAD_TILE;
        size_t heads = group - part < HEAD_TILE ? group - part : HEAD_TILE;
        while (row < end) {   /* a tile of rows may hold several sequences */
            size_t next = row + 1;
            while (next < end && c->batch->sequence[next] == c->batch->sequence[row]) next++;
            attend(job, row, next, g * group + part, heads, scratch);
            row = next;
        }
    }
}

void cpu_attention(struct exec *e, const struct op_call *c)
{
    if (!c->batch->caches) { cpu_attention_in_batch(e, c); return; }
    const struct attention *a = &c->attr.attention;
    size_t rows = c->out->rows, group = a->heads / a->kv_heads, longest = 0;
    for (size_t r = 0; r < rows; r++) {
        store_row(c, r);
        longest = (size_t)c->batch->position[r] > longest ? (size_t)c->batch->position[r] : longest;
    }
    struct arena_mark mark = arena_mark(e->step);
    struct attention_job job = { .c = c, .k = e->kernels, .head_tiles = (group + HEAD_TILE - 1) / HEAD_TILE };
    job.scratch_floats = KEY_TILE * (2 * a->head_dim + HEAD_TILE);
    job.scratch = arena_take(e->step, job.scratch_floats * (size_t)pool_threads(e->pool) * sizeof(float));
    size_t pieces = (rows + ROW_TILE - 1) / ROW_TILE * a->kv_heads * job.head_tiles;
    cpu_split(e, pieces, 1, (double)(longest + 1) * (double)(a->head_dim * (group < HEAD_TILE ? group : HEAD_TILE)), attention_pieces, &job);
    arena_rewind(e->step, mark);
}
