/* op_attention.c - attention over a cache.
 *
 * Attention with a running maximum (Milakov and Gimelshein 2018; FlashAttention): key positions are taken in tiles of 64
 * at absolute multiples of 64, so the score matrix never exists. Every SEGMENT positions the sums begin anew, and the sums of
 * segments are joined in rising order (Flash-Decoding): segments of one row may be worked on by several threads, and each
 * (row, head) meets the same tiles and segments in the same order whether it comes in a prompt, alone, or after a rewind. A
 * piece of work is some rows and some query heads that share a key/value head; four of them at a time are multiplied with each
 * vector of keys or values that is loaded. */
#include "cpu/cpu.h"

#include <math.h>
#include <string.h>

enum { KEY_TILE = KV_PAGE, SEGMENT = 512, ROW_TILE = 8, STATES = 64 };

struct attention_job {
    const struct op_call *c;
    const struct cpu_kernels *k;
    size_t head_tile, head_tiles;           /* query heads of a piece, and pieces of those of one key/value head */
    size_t segments;                        /* a piece each, from the first one of the batch on; 0: a piece takes all */
    size_t first_segment;
    float *partial;                         /* sums of (row, head, segment), sums_floats each */
    char *scratch; size_t scratch_bytes;    /* per worker: sums of a segment, queries as int8 of a Q8_0 cache */
};

/* A key goes to its place in the tile, element by element. */
static void store_key(const struct cpu_kernels *k, const struct kv_cache *cache, size_t layer, size_t head, size_t position, const float *key)
{
    enum { PART = 64 };
    size_t lane = position % KV_TILE, d = cache->head_dim;
    char *tile = kv_keys(cache, layer, head, position - lane);
    uint16_t half[PART], *halves = (uint16_t *)(void *)tile + lane;
    if (cache->dtype == DTYPE_F32) {
        for (size_t i = 0; i < d; i++) ((float *)(void *)tile)[i * KV_TILE + lane] = key[i];
        return;
    }
    for (size_t from = 0; from < d; from += PART) {
        size_t n = d - from < PART ? d - from : PART;
        k->pack_f16(half, key + from, n);
        for (size_t i = 0; i < n; i++) halves[(from + i) * KV_TILE] = half[i];
    }
}

static void store_rows(void *arg, size_t from, size_t to, int worker)
{
    const struct attention_job *job = arg;
    const struct op_call *c = job->c;
    const struct attention *a = &c->attr.attention;
    size_t d = a->head_dim;
    (void)worker;
    for (size_t r = from; r < to; r++) {
        const struct kv_cache *cache = c->batch->caches[c->batch->sequence[r]];
        size_t position = (size_t)c->batch->position[r];
        for (size_t g = 0; g < a->kv_heads; g++) {
            const float *key = tensor_f32(c->in[1]) + r * c->in[1]->cols + g * d, *value = tensor_f32(c->in[2]) + r * c->in[2]->cols + g * d;
            if (cache->dtype == DTYPE_Q8_0) { q8_cache_store(cache, a->layer, g, position, key, value); continue; }
            store_key(job->k, cache, a->layer, g, position, key);
            char *to_value = kv_values(cache, a->layer, g, position);
            if (cache->dtype == DTYPE_F16) job->k->pack_f16((uint16_t *)(void *)to_value, value, d);
            else memcpy(to_value, value, d * sizeof *value);
        }
    }
}

/* A row and head: what is summed so far, where its query is, and which keys it sees. */
struct running { float max, sum, *acc; const float *q; size_t low, high; };

/* Positions a row sees: [*low, *high). */
static void row_range(const struct op_call *c, size_t r, size_t *low, size_t *high)
{
    size_t p = (size_t)c->batch->position[r], window = c->attr.attention.window;
    *high = p + 1;
    *low = window && window < *high ? *high - window : 0;
}

/* What a piece works on: a layer and key/value head of a cache, bytes of a position, where the planes stand in a page; of a Q8_0 cache its
 * queries too, one row for each state. */
struct head_cache { const struct kv_cache *cache; size_t row, keys, values; struct i8_rows q; };

static struct head_cache head_cache(const struct kv_cache *cache, size_t layer, size_t head)
{
    size_t keys = 2 * (layer * cache->kv_heads + head) * kv_plane_bytes(cache);
    return (struct head_cache){ cache, dtype_row_bytes(cache->dtype, cache->head_dim), keys, keys + kv_plane_bytes(cache), { 0 } };
}
static const char *tile_keys(const struct head_cache *h, size_t start) { return h->cache->page[start / KEY_TILE] + h->keys; }
static const char *tile_values(const struct head_cache *h, size_t start) { return h->cache->page[start / KEY_TILE] + h->values; }

/* Scores of up to OUTER neighbouring states, beginning with row `first`, and keys [begin, end) of a tile, whole blocks of them. */
static void make_scores(const struct attention_job *job, const struct head_cache *h, struct running *state, size_t first, size_t n, size_t start, size_t begin, size_t end,
                        float (*score)[KEY_TILE])
{
    const struct kv_cache *cache = h->cache;
    size_t d = cache->head_dim, bytes = dtypes[cache->dtype].bytes, panel = panel_bytes(DTYPE_Q8_0, d);
    const char *keys = tile_keys(h, start);
    float *to[OUTER];
    const float *q[OUTER];
    if (cache->dtype == DTYPE_Q8_0) {
        for (size_t j = begin / PANEL; j * PANEL < end; j++) job->k->dot_panel[DTYPE_Q8_0](score[0] + j * PANEL, KEY_TILE, keys + j * panel, PANEL, &h->q, first, n);
        return;
    }
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
    const struct kv_cache *cache = h->cache;
    size_t d = cache->head_dim;
    float *acc[OUTER];
    const float *p[OUTER];
    for (size_t t = 0; t < n; t++) { acc[t] = state[t].acc; p[t] = score[t] + begin; }
    if (cache->dtype != DTYPE_Q8_0) {
        job->k->outer[cache->dtype == DTYPE_F32](acc, keep, p, n, tile_values(h, start) + begin * h->row, d, end - begin, d);
        return;
    }
    size_t block = begin / KV_BLOCK, blocks = (end + KV_BLOCK - 1) / KV_BLOCK - block;
    for (size_t t = 0; t < n; t++) p[t] = score[t] + block * KV_BLOCK;
    job->k->mix_q8(acc, keep, p, n, tile_values(h, start) + block * KV_BLOCK * h->row, blocks, d);
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
        keep[t] = s->max == max ? 1 : expf(s->max - max);        /* mostly 1, and expf is dear */
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
    size_t n = last - start < KEY_TILE ? (last - start + KV_BLOCK - 1) / KV_BLOCK * KV_BLOCK : KEY_TILE, bytes = n * h->row;
    const char *keys = tile_keys(h, start), *values = tile_values(h, start);
    for (size_t i = 0; i < bytes; i += CACHE_LINE) {
        __builtin_prefetch(keys + i);
        __builtin_prefetch(values + i);
    }
}

/* The queries of n states as int8, in scratch. */
static struct i8_rows round_queries(const struct attention_job *job, const struct running *state, size_t n, size_t d, float *scale)
{
    float *sum = scale + n * d / 32;
    int16_t *sum16 = (int16_t *)(sum + n * d / 32);
    int8_t *q = (int8_t *)(sum16 + n * d / 16);
    for (size_t i = 0; i < n; i++) job->k->quantize_row(q + i * d, scale + i * d / 32, sum + i * d / 32, sum16 + i * d / 16, state[i].q, d);
    return (struct i8_rows){ q, scale, sum, sum16, d };
}
static size_t round_bytes(size_t n, size_t d) { return n * d / 32 * (2 * sizeof(float) + 2 * sizeof(int16_t)) + n * d; }

static size_t round_up(size_t n) { return (n + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE; }
static size_t sums_floats(size_t d) { return round_up((d + 2) * sizeof(float)) / sizeof(float); }      /* acc, max, sum */

/* total and then part, as if the keys of both had been met in one go; a part that saw no key changes nothing. */
static void join(struct running *total, const struct running *part, size_t d)
{
    if (part->max == -INFINITY) return;
    if (total->max == -INFINITY) {
        total->max = part->max;
        total->sum = part->sum;
        memcpy(total->acc, part->acc, d * sizeof *part->acc);
        return;
    }
    float max = part->max > total->max ? part->max : total->max, keep = expf(total->max - max), take = expf(part->max - max);
    for (size_t i = 0; i < d; i++) total->acc[i] = total->acc[i] * keep + part->acc[i] * take;
    total->sum = total->sum * keep + part->sum * take;
    total->max = max;
}

static void finish(const struct running *total, size_t d)
{
    for (size_t i = 0; i < d; i++) total->acc[i] /= total->sum;
}

/* Sums of n states over the keys of a segment that they see; acc is set. */
static void attend_segment(const struct attention_job *job, const struct head_cache *h, struct running *state, size_t n, size_t segment)
{
    size_t low = SIZE_MAX, high = 0, begin = segment * SEGMENT, end = begin + SEGMENT, d = h->cache->head_dim;
    for (size_t i = 0; i < n; i++) {
        struct running *s = &state[i];
        s->max = -INFINITY;
        s->sum = 0;
        memset(s->acc, 0, d * sizeof *s->acc);
        low = s->low < low ? s->low : low;
        high = s->high > high ? s->high : high;
    }
    end = high < end ? high : end;
    for (size_t start = low > begin ? low / KEY_TILE * KEY_TILE : begin; start < end; start += KEY_TILE) {
        if (start + KEY_TILE < high) fetch_tile(h, start + KEY_TILE, high);
        attend_tile(job, h, state, n, start);
    }
}

/* All segments, one after the other. */
static void attend_all(const struct attention_job *job, const struct head_cache *h, struct running *state, struct running *total, size_t n)
{
    size_t low = SIZE_MAX, high = 0, d = h->cache->head_dim;
    for (size_t i = 0; i < n; i++) {
        low = state[i].low < low ? state[i].low : low;
        high = state[i].high > high ? state[i].high : high;
    }
    for (size_t segment = low / SEGMENT; segment * SEGMENT < high; segment++) {
        attend_segment(job, h, state, n, segment);
        for (size_t i = 0; i < n; i++) join(&total[i], &state[i], d);
    }
    for (size_t i = 0; i < n; i++) finish(&total[i], d);
}

static float *partial_of(const struct attention_job *job, size_t row, size_t head, size_t segment)
{
    const struct attention *a = &job->c->attr.attention;
    return job->partial + ((row * a->heads + head) * job->segments + segment) * sums_floats(a->head_dim);
}

/* Rows [from, to) of one sequence, `heads` heads from h on; one segment of them (counted from the first) or all. */
static void attend(const struct attention_job *job, size_t from, size_t to, size_t h, size_t heads, size_t segment, int worker)
{
    const struct op_call *c = job->c;
    const struct attention *a = &c->attr.attention;
    const struct kv_cache *cache = c->batch->caches[c->batch->sequence[from]];
    size_t d = a->head_dim, n = 0;
    struct running state[STATES], total[STATES];
    float *scratch = (float *)(job->scratch + (size_t)worker * job->scratch_bytes);
    for (size_t r = from; r < to; r++)
        for (size_t i = 0; i < heads; i++, n++) {
            struct running *s = &state[n];
            total[n] = (struct running){ -INFINITY, 0, tensor_f32(c->out) + r * c->out->cols + (h + i) * d, NULL, 0, 0 };
            *s = (struct running){ -INFINITY, 0, job->segments ? partial_of(job, r, h + i, segment) : scratch + n * d, tensor_f32(c->in[0]) + r * c->in[0]->cols + (h + i) * d, 0, 0 };
            row_range(c, r, &s->low, &s->high);
        }
    size_t g = h / (a->heads / a->kv_heads);
    struct head_cache head = head_cache(cache, a->layer, g);
    if (cache->dtype == DTYPE_Q8_0) head.q = round_queries(job, state, n, d, scratch + STATES * d);
    if (!job->segments) { attend_all(job, &head, state, total, n); return; }
    attend_segment(job, &head, state, n, job->first_segment + segment);
    for (size_t i = 0; i < n; i++) {
        state[i].acc[d] = state[i].max;
        state[i].acc[d + 1] = state[i].sum;
    }
}

/* Piece i: rows of a tile, then the key/value head, its part of the query heads, and the segment. */
static void attention_pieces(void *arg, size_t from, size_t to, int worker)
{
    const struct attention_job *job = arg;
    const struct op_call *c = job->c;
    const struct attention *a = &c->attr.attention;
    size_t group = a->heads / a->kv_heads, segments = job->segments ? job->segments : 1;
    for (size_t i = from; i < to; i++) {
        size_t segment = i % segments, part = i / segments % job->head_tiles * job->head_tile, g = i / segments / job->head_tiles % a->kv_heads;
        size_t row = i / segments / job->head_tiles / a->kv_heads * ROW_TILE, end = row + ROW_TILE < c->out->rows ? row + ROW_TILE : c->out->rows;
        size_t heads = group - part < job->head_tile ? group - part : job->head_tile;
        while (row < end) {   /* a tile of rows may hold several sequences */
            size_t next = row + 1;
            while (next < end && c->batch->sequence[next] == c->batch->sequence[row]) next++;
            attend(job, row, next, g * group + part, heads, segment, worker);
            row = next;
        }
    }
}

/* Piece i: a row and head, whose segments are joined. */
static void join_pieces(void *arg, size_t from, size_t to, int worker)
{
    const struct attention_job *job = arg;
    const struct attention *a = &job->c->attr.attention;
    size_t d = a->head_dim;
    (void)worker;
    for (size_t i = from; i < to; i++) {
        struct running total = { .max = -INFINITY, .acc = tensor_f32(job->c->out) + i * d };
        for (size_t s = 0; s < job->segments; s++) {
            float *part = partial_of(job, i / a->heads, i % a->heads, s);
            join(&total, &(struct running){ .max = part[d], .sum = part[d + 1], .acc = part }, d);
        }
        finish(&total, d);
    }
}

/* Most neighbouring rows of one sequence that a tile of rows has. */
static size_t longest_run(const struct batch *b)
{
    size_t most = 0, run = 0;
    for (size_t r = 0; r < b->rows && most < ROW_TILE; r++) {
        run = r % ROW_TILE && b->sequence[r] == b->sequence[r - 1] ? run + 1 : 1;
        most = run > most ? run : most;
    }
    return most;
}

/* Few pieces are split by segments, so that all threads have work: which changes no bit. */
static void choose_segments(struct attention_job *job, struct exec *e, size_t pieces)
{
    const struct op_call *c = job->c;
    enum { PIECES_A_THREAD = 4, MOST_ROWS = 64 };
    size_t first = SIZE_MAX, last = 0;
    if (pieces >= (size_t)pool_threads(e->pool) * PIECES_A_THREAD || c->out->rows > MOST_ROWS) return;
    for (size_t r = 0; r < c->out->rows; r++) {
        size_t low, high;
        row_range(c, r, &low, &high);
        first = low / SEGMENT < first ? low / SEGMENT : first;
        last = (high - 1) / SEGMENT > last ? (high - 1) / SEGMENT : last;
    }
    if (last == first) return;
    job->first_segment = first;
    job->segments = last - first + 1;
    job->partial = arena_take(e->step, c->out->rows * c->attr.attention.heads * job->segments * sums_floats(c->attr.attention.head_dim) * sizeof(float));
}

void cpu_attention(struct exec *e, const struct op_call *c)
{
    if (!c->batch->caches) { cpu_attention_in_batch(e, c); return; }
    const struct attention *a = &c->attr.attention;
    size_t rows = c->out->rows, group = a->heads / a->kv_heads, longest = 0;
    for (size_t r = 0; r < rows; r++) longest = (size_t)c->batch->position[r] > longest ? (size_t)c->batch->position[r] : longest;
    struct attention_job job = { .c = c, .k = e->kernels, .head_tile = STATES / longest_run(c->batch) };
    cpu_split(e, rows, ROW_TILE, (double)(8 * a->kv_heads * a->head_dim), store_rows, &job);
    job.head_tile = group < job.head_tile ? group : job.head_tile;
    job.head_tiles = (group + job.head_tile - 1) / job.head_tile;
    struct arena_mark mark = arena_mark(e->step);
    job.scratch_bytes = round_up(STATES * a->head_dim * sizeof(float) + round_bytes(STATES, a->head_dim));
    job.scratch = arena_take(e->step, job.scratch_bytes * (size_t)pool_threads(e->pool));
    size_t pieces = (rows + ROW_TILE - 1) / ROW_TILE * a->kv_heads * job.head_tiles;
    choose_segments(&job, e, pieces);
    if (job.segments) pieces *= job.segments;
    cpu_split(e, pieces, 1, (double)((longest + 1) * a->head_dim * job.head_tile) / (double)(job.segments ? job.segments : 1), attention_pieces, &job);
    if (job.segments) cpu_split(e, rows * a->heads, a->heads, (double)(a->head_dim * job.segments), join_pieces, &job);
    arena_rewind(e->step, mark);
}
