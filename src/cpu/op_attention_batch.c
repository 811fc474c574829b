/* op_attention_batch.c - attention of training: over the rows of the batch, where each sequence is a block of its own.
 *
 * out = P v with P = softmax(scale q k') over the keys a row may see. With the log-sum-exp of each row kept, P is
 * computed again in backward (Dao et al. 2022): v' += P' out', S' = P (out' v' - rowsum(out' out)), q' += scale S' k,
 * k' += scale S' q; with dropout D both P in the products with v and out' v' are multiplied by D. A piece of work is one head and some query rows (forward) or one head of one sequence (backward);
 * no more than QUERY_ROWS rows of scores exist at a time. Heads that share keys add their parts in the order of heads. */
#include "cpu/cpu.h"

#include <math.h>
#include <string.h>

enum { QUERY_ROWS = 128 };

/* Rows [begin, end) of the batch are one sequence. */
struct sequence { size_t begin, end; };
struct batch_attention {
    const struct op_call *c; const struct cpu_kernels *k;
    struct sequence *sequence; size_t n_sequences, longest;
    size_t *piece_sequence, *piece_row, n_pieces;          /* forward: query rows from piece_row on */
    float *scratch; size_t scratch_floats;                 /* per worker */
    float *key_grad, *value_grad;                          /* backward: (heads, rows, head_dim) each */
};

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static void find_sequences(struct batch_attention *a, struct arena *step)
{
    const struct batch *b = a->c->batch;
    a->sequence = arena_take(step, b->rows * sizeof *a->sequence);
    a->piece_sequence = arena_take(step, b->rows * sizeof *a->piece_sequence);
    a->piece_row = arena_take(step, b->rows * sizeof *a->piece_row);
    for (size_t r = 0; r < b->rows; r++) {
        bool starts = r == 0 || b->sequence[r] != b->sequence[r - 1];
        if (starts) a->sequence[a->n_sequences++].begin = r;
        struct sequence *s = &a->sequence[a->n_sequences - 1];
        s->end = r + 1;
        a->longest = s->end - s->begin > a->longest ? s->end - s->begin : a->longest;
        if ((r - s->begin) % QUERY_ROWS) continue;
        a->piece_sequence[a->n_pieces] = a->n_sequences - 1;
        a->piece_row[a->n_pieces++] = r;
    }
}

/* First key that row r of a sequence sees. */
static size_t first_key(const struct batch_attention *a, const struct sequence *s, size_t r)
{
    size_t window = a->c->attr.attention.window, seen = r - s->begin + 1;
    return window && window < seen ? r + 1 - window : s->begin;
}

static struct gemm_side side(const float *data, size_t stride, bool transposed) { return (struct gemm_side){ data, DTYPE_F32, stride, transposed }; }

/* scores (rows, keys) = q k' of head h, rows [from, to), keys [low, to). */
static void make_scores(const struct batch_attention *a, size_t h, size_t from, size_t to, size_t low, float *scores, float *scratch)
{
    const struct attention *p = &a->c->attr.attention;
    const struct tensor *q = a->c->in[0], *k = a->c->in[1];
    size_t d = p->head_dim, g = h / (p->heads / p->kv_heads), n = to - low;
    gemm_serial(a->k, scratch, &(struct gemm){ scores, n, to - from, n, d, side(tensor_f32(q) + from * q->cols + h * d, q->cols, false),
                                              side(tensor_f32(k) + low * k->cols + g * d, k->cols, true), false });
}

/* exp(scale s - shift) of scores[begin, end), zero elsewhere in [0, n); returns the sum. */
static float exp_row(const struct batch_attention *a, float *scores, size_t begin, size_t end, size_t n, float shift)
{
    memset(scores, 0, begin * sizeof *scores);
    memset(scores + end, 0, (n - end) * sizeof *scores);
    return a->k->exp_row(scores + begin, end - begin, a->c->attr.attention.scale, shift);
}

/* Dropout of the probabilities of rows [from, from + m), `n` columns from key `low` on: the same numbers in both directions. */
static void drop(const struct batch_attention *a, size_t h, size_t from, size_t low, float *p, size_t m, size_t n)
{
    const struct attention *t = &a->c->attr.attention;
    uint64_t rows = a->c->out->rows, stream = dropout_stream(t->layer, DROP_ATTENTION);
    for (size_t r = 0; r < m && t->dropout > 0; r++) random_drop(p + r * n, n, t->dropout, a->c->batch->seed, stream, (h * rows + from + r) * rows + low);
}

static void forward_piece(const struct batch_attention *a, size_t piece, size_t h, float *scratch)
{
    const struct op_call *c = a->c;
    const struct attention *p = &c->attr.attention;
    const struct sequence *s = &a->sequence[a->piece_sequence[piece]];
    size_t from = a->piece_row[piece], to = least(from + QUERY_ROWS, s->end), low = first_key(a, s, from), n = to - low, d = p->head_dim;
    float *scores = scratch, *rest = scratch + QUERY_ROWS * a->longest, *out = tensor_f32(c->out) + from * c->out->cols + h * d;
    const struct tensor *v = c->in[2];
    make_scores(a, h, from, to, low, scores, rest);
    float sums[QUERY_ROWS];
    for (size_t r = from; r < to; r++) {
        float *row = scores + (r - from) * n;
        size_t begin = first_key(a, s, r) - low, end = r + 1 - low;
        float max = a->k->largest(row + begin, end - begin) * p->scale;
        sums[r - from] = exp_row(a, row, begin, end, n, max);
        if (c->aux) tensor_f32(c->aux)[r * p->heads + h] = max + logf(sums[r - from]);
    }
    drop(a, h, from, low, scores, to - from, n);
    gemm_serial(a->k, rest, &(struct gemm){ out, c->out->cols, to - from, d, n, side(scores, n, false),
                                           side(tensor_f32(v) + low * v->cols + h / (p->heads / p->kv_heads) * d, v->cols, false), false });
    for (size_t r = 0; r < to - from; r++)
        for (size_t i = 0; i < d; i++) out[r * c->out->cols + i] /= sums[r];
}

static void forward_pieces(void *arg, size_t from, size_t to, int worker)
{
    const struct batch_attention *a = arg;
    size_t heads = a->c->attr.attention.heads;
    for (size_t i = from; i < to; i++) forward_piece(a, i / heads, i % heads, a->scratch + (size_t)worker * a->scratch_floats);
}

/* Scratch of a worker: `n_scores` score blocks, and what one product needs. */
static void take_scratch(struct batch_attention *a, struct exec *e, size_t n_scores)
{
    size_t d = a->c->attr.attention.head_dim, wide = a->longest > d ? a->longest : d;
    a->scratch_floats = n_scores * QUERY_ROWS * a->longest + gemm_scratch(a->k, wide, wide) + 16;
    a->scratch = arena_take(e->step, a->scratch_floats * (size_t)pool_threads(e->pool) * sizeof(float));
}

void cpu_attention_in_batch(struct exec *e, const struct op_call *c)
{
    struct arena_mark mark = arena_mark(e->step);
    struct batch_attention a = { .c = c, .k = e->kernels };
    const struct attention *p = &c->attr.attention;
    find_sequences(&a, e->step);
    take_scratch(&a, e, 1);
    cpu_split(e, a.n_pieces * p->heads, 1, (double)(QUERY_ROWS * a.longest * p->head_dim), forward_pieces, &a);
    arena_rewind(e->step, mark);
}

/* ---- backward ------------------------------------------------------------------------------------------------------------------ */

static void backward_rows(const struct batch_attention *a, const struct sequence *s, size_t h, size_t from, float *scratch)
{
    const struct op_call *c = a->c;
    const struct attention *t = &c->attr.attention;
    const struct tensor *q = c->in[0], *k = c->in[1], *v = c->in[2], *out = c->out;
    size_t to = least(from + QUERY_ROWS, s->end), low = first_key(a, s, from), n = to - low, m = to - from, d = t->head_dim, g = h / (t->heads / t->kv_heads);
    float *p = scratch, *dp = p + QUERY_ROWS * a->longest, *rest = dp + QUERY_ROWS * a->longest;
    const float *dout = out->grad + from * out->cols + h * d;
    make_scores(a, h, from, to, low, p, rest);
    gemm_serial(a->k, rest, &(struct gemm){ dp, n, m, n, d, side(dout, out->cols, false), side(tensor_f32(v) + low * v->cols + g * d, v->cols, true), false });
    drop(a, h, from, low, dp, m, n);
    for (size_t r = 0; r < m; r++) {
        const float *o = tensor_f32(out) + (from + r) * out->cols + h * d, *go = dout + r * out->cols;
        float delta = 0;
        for (size_t i = 0; i < d; i++) delta += o[i] * go[i];
        exp_row(a, p + r * n, first_key(a, s, from + r) - low, from + r + 1 - low, n, tensor_f32(c->aux)[(from + r) * t->heads + h]);
        a->k->softmax_gradient(dp + r * n, p + r * n, n, delta, t->scale);
    }
    drop(a, h, from, low, p, m, n);
    size_t at = (h * out->rows + low) * d;
    if (v->grad) gemm_serial(a->k, rest, &(struct gemm){ a->value_grad + at, d, n, d, m, side(p, n, true), side(dout, out->cols, false), true });
    if (k->grad) gemm_serial(a->k, rest, &(struct gemm){ a->key_grad + at, d, n, d, m, side(dp, n, true), side(tensor_f32(q) + from * q->cols + h * d, q->cols, false), true });
    if (q->grad) gemm_serial(a->k, rest, &(struct gemm){ q->grad + from * q->cols + h * d, q->cols, m, d, n, side(dp, n, false), side(tensor_f32(k) + low * k->cols + g * d, k->cols, false), true });
}

/* Piece i: a sequence and a head. */
static void backward_pieces(void *arg, size_t from, size_t to, int worker)
{
    const struct batch_attention *a = arg;
    size_t heads = a->c->attr.attention.heads;
    for (size_t i = from; i < to; i++) {
        const struct sequence *s = &a->sequence[i / heads];
        for (size_t r = s->begin; r < s->end; r += QUERY_ROWS) backward_rows(a, s, i % heads, r, a->scratch + (size_t)worker * a->scratch_floats);
    }
}

/* Adds the heads' parts to the keys and values they share. */
static void gather_rows(void *arg, size_t from, size_t to, int worker)
{
    const struct batch_attention *a = arg;
    const struct attention *t = &a->c->attr.attention;
    const struct tensor *k = a->c->in[1], *v = a->c->in[2];
    size_t d = t->head_dim, rows = a->c->out->rows, group = t->heads / t->kv_heads;
    (void)worker;
    for (size_t r = from; r < to; r++)
        for (size_t h = 0; h < t->heads; h++)
            for (size_t i = 0; i < d; i++) {
                if (k->grad) k->grad[r * k->cols + h / group * d + i] += a->key_grad[(h * rows + r) * d + i];
                if (v->grad) v->grad[r * v->cols + h / group * d + i] += a->value_grad[(h * rows + r) * d + i];
            }
}

void cpu_attention_backward(struct exec *e, const struct op_call *c)
{
    struct arena_mark mark = arena_mark(e->step);
    struct batch_attention a = { .c = c, .k = e->kernels };
    const struct attention *p = &c->attr.attention;
    size_t floats = p->heads * c->out->rows * p->head_dim;
    find_sequences(&a, e->step);
    take_scratch(&a, e, 2);
    a.key_grad = arena_zero(e->step, floats * sizeof(float));
    a.value_grad = arena_zero(e->step, floats * sizeof(float));
    cpu_split(e, a.n_sequences * p->heads, 1, (double)(QUERY_ROWS * a.longest * p->head_dim), backward_pieces, &a);
    cpu_split(e, c->out->rows, 16, (double)(p->heads * p->head_dim), gather_rows, &a);
    arena_rewind(e->step, mark);
}
