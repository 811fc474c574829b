/* optimizer.c - the update of all parameters from the step's gradient: AdamW (Loshchilov and Hutter 2019) and SGD with
 * momentum, in the order of operations of PyTorch's single-tensor versions; and clipping by the norm of all gradients.
 *
 * Parameters are cut into pieces of a fixed size, so that threads change no bit. The arithmetic is f32 in every case:
 * values and moments that are kept otherwise are widened for a block at a time and narrowed again. 8-bit moments are
 * those of bitsandbytes' blockwise Adam (Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization"). */
#include "train/train.h"

#include <float.h>
#include <math.h>

enum { PIECE = 1 << 14 };                    /* a multiple of MOMENT_BLOCK */

/* ---- 8-bit moments ----------------------------------------------------------------------------------------------------- */

/* The nearest code by the upper half of a float: code[h] is that of the least float with this half. Halves are narrower
 * than the cells of the map, so the rest of the float decides between this code and the next. */
struct code_finder { uint8_t code[1 << 16]; float middle[256]; unsigned zero; };      /* zero: the code of 0 */

static void code_finder_init(struct code_finder *f, const float map[256])
{
    f->zero = (unsigned)dynamic_nearest(map, 0);
    for (int i = 0; i < 255; i++) f->middle[i] = (map[i] + map[i + 1]) / 2;
    f->middle[255] = INFINITY;
    for (uint32_t h = 0; h < 1 << 16; h++) {
        uint32_t bits = h >> 15 ? h << 16 | 0xffff : h << 16;
        float least;
        memcpy(&least, &bits, sizeof least);
        f->code[h] = (h & 0x7fff) > 0x3f80 ? (h >> 15 ? 0 : 255) : (uint8_t)dynamic_nearest(map, least);     /* beyond 1: rounding only */
    }
}

static float *moments8_read(float *restrict out, const struct moments8 *m, const float map[256], size_t at, size_t n)
{
    const uint8_t *code = m->code + at;
    float largest = m->largest[at / MOMENT_BLOCK];
    for (size_t i = 0; i < n; i++) out[i] = map[code[i]] * largest;
    return out;
}

/* A moment that is not finite becomes zero. A negative one never does: its sign is that of the coming steps. The largest
 * is sought by the bits of magnitudes, which rise as these do. */
static void moments8_write(struct moments8 *m, const struct code_finder *f, size_t at, const float *restrict x, size_t n)
{
    uint8_t *restrict code = m->code + at;
    uint32_t bits[MOMENT_BLOCK];
    float scaled[MOMENT_BLOCK], largest;
    int32_t most = 0;
    memcpy(bits, x, n * sizeof *bits);
    for (size_t i = 0; i < n; i++) {
        int32_t size = (int32_t)(bits[i] & 0x7fffffff);
        bits[i] = size < 0x7f800000 ? bits[i] : 0;
        size = size < 0x7f800000 ? size : 0;
        most = size > most ? size : most;
    }
    memcpy(&largest, &most, sizeof largest);
    memcpy(scaled, bits, n * sizeof *bits);
    m->largest[at / MOMENT_BLOCK] = largest;
    float divisor = largest > 0 ? largest : 1;
    for (size_t i = 0; i < n; i++) scaled[i] /= divisor;
    memcpy(bits, scaled, n * sizeof *bits);
    for (size_t i = 0; i < n; i++) {
        unsigned c = f->code[bits[i] >> 16];
        c += scaled[i] > f->middle[c];
        code[i] = (uint8_t)(c - (scaled[i] < 0 && c == f->zero));
    }
}

/* ---- the update ------------------------------------------------------------------------------------------------------------ */

/* Elements that are updated together; all f32. */
struct stretch { float *value; const float *grad; float *m, *v; size_t n; bool decays; };

struct update {
    struct trainable *t; size_t *first, n;       /* pieces before each parameter; all pieces                */
    const struct optimizer_config *c; int64_t step;
    double size, root;                           /* of Adam: step size and square root of the corrections   */
    bool has_second;                             /* whether the second moment is used                       */
    void (*arithmetic)(const struct update *u, const struct stretch *s);
    struct code_finder *finder[2];               /* of the moments; NULL when none is in 8 bits             */
};

static void adamw_arithmetic(const struct update *u, const struct stretch *s)
{
    float *restrict value = s->value, *restrict m = s->m, *restrict v = s->v;
    const float *restrict g = s->grad;
    float beta2 = (float)u->c->beta2, size = (float)u->size, eps = (float)u->c->epsilon, root = (float)u->root;
    float keep = s->decays ? (float)(1 - u->c->learning_rate * u->c->weight_decay) : 1, fresh1 = (float)(1 - u->c->beta1), fresh2 = (float)(1 - u->c->beta2);
    for (size_t k = 0; k < s->n; k++) {
        m[k] += fresh1 * (g[k] - m[k]);
        v[k] = v[k] * beta2 + fresh2 * g[k] * g[k];
        value[k] = value[k] * keep - size * (m[k] / (sqrtf(v[k]) / root + eps));
    }
}

static void sgd_arithmetic(const struct update *u, const struct stretch *s)
{
    float *restrict value = s->value, *restrict m = s->m;
    const float *restrict g = s->grad;
    float decay = s->decays ? (float)u->c->weight_decay : 0, momentum = (float)u->c->momentum, rate = (float)u->c->learning_rate;
    for (size_t k = 0; k < s->n; k++) {
        m[k] = momentum * m[k] + (g[k] + decay * value[k]);
        value[k] -= rate * m[k];
    }
}

static float *widen(float *restrict out, const uint16_t *restrict in, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = bf16_to_f32(in[i]);
    return out;
}

/* As f32_to_bf16, on whole vectors. */
static void narrow(uint16_t *restrict out, const float *restrict in, size_t n)
{
    uint32_t bits[MOMENT_BLOCK];
    memcpy(bits, in, n * sizeof *bits);
    for (size_t i = 0; i < n; i++) {
        uint32_t b = bits[i], is_nan = (b & 0x7fffffff) > 0x7f800000;
        out[i] = (uint16_t)(is_nan ? b >> 16 | 64 : (b + 0x7fff + (b >> 16 & 1)) >> 16);
    }
}

enum { LANES = MOMENT_BLOCK / 8 };          /* Philox blocks of 128 bits for MOMENT_BLOCK elements */

/* philox() for LANES counters beside each other: { first + lane, parameter, step, a word of its own }. */
static void random_lanes(uint32_t out[4][LANES], uint32_t first, uint32_t parameter, uint32_t step, uint64_t seed)
{
    uint32_t *restrict c0 = out[0], *restrict c1 = out[1], *restrict c2 = out[2], *restrict c3 = out[3], k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (uint32_t l = 0; l < LANES; l++) {
        c0[l] = first + l;
        c1[l] = parameter;
        c2[l] = step;
        c3[l] = 0x726f756e;
    }
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
        for (size_t l = 0; l < LANES; l++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c0[l], p1 = (uint64_t)0xCD9E8D57u * c2[l];
            c0[l] = (uint32_t)(p1 >> 32) ^ c1[l] ^ k0;
            c2[l] = (uint32_t)(p0 >> 32) ^ c3[l] ^ k1;
            c1[l] = (uint32_t)p1;
            c3[l] = (uint32_t)p0;
        }
}

/* Adds 16 random bits below the 16 that stay, so the value is the true one on average. Element i of the block takes half
 * of word i / LANES / 2 of lane i % LANES. */
static void narrow_at_random(uint16_t *restrict out, const float *restrict in, size_t n, const struct update *u, size_t parameter, size_t at)
{
    uint32_t random[4][LANES], bits[MOMENT_BLOCK] = { 0 };
    random_lanes(random, (uint32_t)(at / 8), (uint32_t)parameter, (uint32_t)u->step, u->c->seed);
    memcpy(bits, in, n * sizeof *bits);
    for (size_t part = 0; part < 8; part++)
        for (size_t l = 0; l < LANES; l++) {
            uint32_t b = bits[part * LANES + l], noise = random[part / 2][l] >> (part % 2 * 16) & 0xffff, is_number = (b & 0x7f800000) != 0x7f800000;
            bits[part * LANES + l] = (is_number ? b + noise : b | (b & 0x7fffff ? 1 << 22 : 0)) >> 16;
        }
    for (size_t i = 0; i < n; i++) out[i] = (uint16_t)bits[i];
}

/* At most MOMENT_BLOCK elements from `at` of those that this rank keeps: one block of moments. */
static void update_block(const struct update *u, size_t which, size_t at, size_t n)
{
    const struct parameter *p = &u->t->parameter[which];
    uint16_t *half = p->half ? p->half + at : NULL;
    float value[MOMENT_BLOCK], m[MOMENT_BLOCK], v[MOMENT_BLOCK];
    struct stretch s = { .grad = p->sum + at, .n = n, .decays = p->decays };
    s.value = p->value ? p->value + at : widen(value, half, n);
    s.m = p->m8 ? moments8_read(m, p->m8, dynamic_signed, at, n) : p->m + at;
    if (u->has_second) s.v = p->v8 ? moments8_read(v, p->v8, dynamic_unsigned, at, n) : p->v + at;
    u->arithmetic(u, &s);
    if (p->m8) moments8_write(p->m8, u->finder[0], at, s.m, n);
    if (p->v8 && u->has_second) moments8_write(p->v8, u->finder[1], at, s.v, n);
    if (half && p->value) narrow(half, s.value, n);
    else if (half) narrow_at_random(half, s.value, n, u, which, p->own_first + at);
}

static void update_piece(void *arg, size_t i, int worker)
{
    const struct update *u = arg;
    size_t low = 0, high = u->t->n;
    (void)worker;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (u->first[middle] <= i) low = middle; else high = middle;
    }
    const struct parameter *p = &u->t->parameter[low];
    size_t from = (i - u->first[low]) * PIECE, n = p->own_n - from < PIECE ? p->own_n - from : PIECE;
    if (p->m && p->value && !p->half) {
        u->arithmetic(u, &(struct stretch){ p->value + from, p->sum + from, p->m + from, p->v + from, n, p->decays });
        return;
    }
    for (size_t at = 0; at < n; at += MOMENT_BLOCK) update_block(u, low, from + at, n - at < MOMENT_BLOCK ? n - at : MOMENT_BLOCK);
}

static void update_all(struct update *u, struct pool *pool)
{
    u->first = mem_alloc((u->t->n + 1) * sizeof *u->first);
    for (size_t i = 0; i < u->t->n; i++) {
        u->first[i] = u->n;
        u->n += (u->t->parameter[i].own_n + PIECE - 1) / PIECE;
    }
    for (size_t k = 0; k < 2 && u->t->moments == MOMENT_8BIT; k++) code_finder_init(u->finder[k] = mem_alloc(sizeof **u->finder), k ? dynamic_unsigned : dynamic_signed);
    pool_run(pool, u->n, update_piece, u);
    for (size_t k = 0; k < 2; k++) mem_free(u->finder[k]);
    mem_free(u->first);
}

static void adamw_update(struct trainable *t, const struct optimizer_config *c, int64_t step, struct pool *pool)
{
    struct update u = { .t = t, .c = c, .step = step, .arithmetic = adamw_arithmetic, .has_second = true };
    u.size = c->learning_rate / (1 - pow(c->beta1, (double)step));
    u.root = sqrt(1 - pow(c->beta2, (double)step));
    update_all(&u, pool);
}

static void sgd_update(struct trainable *t, const struct optimizer_config *c, int64_t step, struct pool *pool)
{
    struct update u = { .t = t, .c = c, .step = step, .arithmetic = sgd_arithmetic };
    update_all(&u, pool);
}

const struct optimizer optimizers[] = { { "adamw", adamw_update }, { "sgd", sgd_update }, { 0 } };

/* ---- clipping ------------------------------------------------------------------------------------------------------------- */

struct squares { float *g; size_t n; double *sum; float scale; };

static size_t end_of(const struct squares *s, size_t i) { return (i + 1) * SLICE_GRAIN < s->n ? (i + 1) * SLICE_GRAIN : s->n; }

/* Eight sums beside each other, so that additions need not wait for each other. */
static void square_grain(void *arg, size_t i, int worker)
{
    const struct squares *s = arg;
    const float *g = s->g;
    double sum[8] = { 0 };
    size_t k = i * SLICE_GRAIN, end = end_of(s, i);
    (void)worker;
    for (; k + 8 <= end; k += 8)
        for (size_t l = 0; l < 8; l++) sum[l] += (double)g[k + l] * (double)g[k + l];
    for (; k < end; k++) sum[0] += (double)g[k] * (double)g[k];
    s->sum[i] = ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

static void scale_grain(void *arg, size_t i, int worker)
{
    const struct squares *s = arg;
    float *g = s->g;
    (void)worker;
    for (size_t k = i * SLICE_GRAIN, end = end_of(s, i); k < end; k++) g[k] *= s->scale;
}

/* Grains of rank `rank` in group g. */
static size_t grains_of(const struct trainable *t, size_t g, int size, int rank)
{
    size_t n = group_elements(t, g);
    return (slice_begin(n, size, rank + 1) - slice_begin(n, size, rank)) / SLICE_GRAIN;
}

/* Sums of grains in the order of all elements: groups, and in each the slices of the ranks. */
static sc_status add_grains(double *total, const struct trainable *t, const double *own, struct comm *c, sc_error *err)
{
    int size = shares_state(&t->sharing) ? t->sharing.size : 1;
    size_t most = 0, *next = mem_zero((size_t)size, sizeof *next);
    for (int r = 0; r < size; r++) {
        size_t n = 0;
        for (size_t g = 0; g < t->n_groups; g++) n += grains_of(t, g, size, r);
        most = n > most ? n : most;
    }
    double *all = mem_zero((size_t)size * most + 1, sizeof *all);
    memcpy(all + (size_t)(size > 1 ? t->sharing.rank : 0) * most, own, t->own_begin[t->n_groups] / SLICE_GRAIN * sizeof *own);
    sc_status status = size > 1 ? comm_gather(c, all, most * sizeof *all, err) : SC_OK;
    *total = 0;
    for (size_t g = 0; g < t->n_groups; g++)
        for (int r = 0; r < size; r++)
            for (size_t i = grains_of(t, g, size, r); i > 0; i--) *total += all[(size_t)r * most + next[r]++];
    mem_free(all);
    mem_free(next);
    return status;
}

sc_status gradient_clip(double *norm, struct trainable *t, double max_norm, struct comm *c, struct pool *pool, sc_error *err)
{
    size_t elements = t->own_begin[t->n_groups], n = elements / SLICE_GRAIN;
    struct squares s = { t->sum, elements, mem_alloc((n + 1) * sizeof(double)), 1 };
    double total = 0;
    pool_run(pool, n, square_grain, &s);
    sc_status status = add_grains(&total, t, s.sum, c, err);
    mem_free(s.sum);
    TRY(status);
    *norm = sqrt(total);
    double factor = max_norm > 0 ? max_norm / (*norm + 1e-6) : 1;      /* as torch.nn.utils.clip_grad_norm_ */
    if (factor < 1) {
        s.scale = (float)factor;
        pool_run(pool, n, scale_grain, &s);
    }
    return SC_OK;
}
