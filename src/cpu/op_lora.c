/* op_lora.c - what low-rank adapters add to some rows of a product: out += scale (x a') b' (Hu et al. 2021).
 *
 * One batch holds rows of several adapters. Each part's rows are multiplied with its own a and b alone, a piece of work being
 * a strip of one part's a or b, so that threads share all parts at once. The kernel sums each element along k in one order:
 * what is beside a row does not change its bits. Both products are one job, which costs less than two where adapters are
 * small: pieces of b stand behind all pieces of a, and wait for those. */
#include "cpu/cpu.h"

#include <sched.h>
#include <stdatomic.h>

enum { STRIP_A = TILE_W, STRIP_B = 64 };       /* rows of a, of b in one piece */

/* t[i]: (rows, rank) of part i. Pieces count through the parts, first of a, then of b, so many strips each. */
struct lora_job {
    const struct cpu_kernels *k;
    const struct op_call *c;
    float **t;
    size_t strips_a, strips_b, pieces_a;
    atomic_size_t done_a;
    float *scratch; size_t scratch_floats;     /* per worker: TILE_W rows, where adapters in training are not f32 */
};

static const float *weight_rows(const struct lora_job *job, const struct tensor *w, size_t first, size_t n, int worker)
{
    if (w->dtype == DTYPE_F32) return tensor_row(w, first);
    float *out = job->scratch + (size_t)worker * job->scratch_floats;
    for (size_t i = 0; i < n; i++) job->k->unpack_f32[w->dtype](out + i * w->cols, tensor_row(w, first + i), w->cols);
    return out;
}

/* t = x a', rows [from, to) of a. */
static void strip_a(const struct lora_job *job, size_t i, size_t from, size_t to, int worker)
{
    const struct lora_rows *part = &job->c->attr.linear.part[i];
    const struct tensor *a = &part->lora->a.w;
    size_t rows = part->end - part->first, k = a->cols;
    const float *x = tensor_f32(job->c->in[0]) + part->first * k;
    const float *w = weight_rows(job, a, from, to - from, worker);
    for (size_t r = 0; r < rows; r += TILE_X)
        job->k->dot_f32(job->t[i] + r * a->rows + from, a->rows, w, k, to - from, x + r * k, k, rows - r < TILE_X ? rows - r : TILE_X, k);
}

/* out += scale t b', rows [from, to) of b. */
static void strip_b(const struct lora_job *job, size_t i, size_t from, size_t to, int worker)
{
    const struct lora_rows *part = &job->c->attr.linear.part[i];
    const struct tensor *b = &part->lora->b.w;
    size_t rank = b->cols, cols = job->c->out->cols, rows = part->end - part->first;
    float scale = part->lora->scale, *out = tensor_f32(job->c->out) + part->first * cols, v[TILE_X * TILE_W];
    for (size_t j = from; j < to; j += TILE_W) {
        size_t n = to - j < TILE_W ? to - j : TILE_W;
        const float *w = weight_rows(job, b, j, n, worker);
        for (size_t r = 0; r < rows; r += TILE_X) {
            size_t n_x = rows - r < TILE_X ? rows - r : TILE_X;
            job->k->dot_f32(v, TILE_W, w, rank, n, job->t[i] + r * rank, rank, n_x, rank);
            for (size_t t = 0; t < n_x; t++)
                for (size_t s = 0; s < n; s++) out[(r + t) * cols + j + s] += scale * v[t * TILE_W + s];
        }
    }
}

static void piece_a(struct lora_job *job, size_t piece, int worker)
{
    size_t i = piece / job->strips_a, from = piece % job->strips_a * STRIP_A, rank = job->c->attr.linear.part[i].lora->a.w.rows;
    if (from < rank) strip_a(job, i, from, from + STRIP_A < rank ? from + STRIP_A : rank, worker);
    atomic_fetch_add_explicit(&job->done_a, 1, memory_order_release);
}

/* All pieces of a were begun before, by threads that do not wait: this one does not wait for ever. */
static void piece_b(struct lora_job *job, size_t piece, int worker)
{
    size_t from = piece % job->strips_b * STRIP_B, n = job->c->out->cols;
    while (atomic_load_explicit(&job->done_a, memory_order_acquire) < job->pieces_a) sched_yield();
    strip_b(job, piece / job->strips_b, from, from + STRIP_B < n ? from + STRIP_B : n, worker);
}

static void run_pieces(void *arg, size_t piece, size_t end, int worker)
{
    struct lora_job *job = arg;
    for (; piece < end; piece++) {
        if (piece < job->pieces_a) piece_a(job, piece, worker);
        else piece_b(job, piece - job->pieces_a, worker);
    }
}

void cpu_add_lora(struct exec *e, const struct op_call *c)
{
    size_t n = c->attr.linear.n_parts, highest = 0, in = c->in[0]->cols, out = c->out->cols;
    double work = 0;
    bool is_f32 = true;
    struct arena_mark mark = arena_mark(e->step);
    struct lora_job job = { .k = e->kernels, .c = c, .t = arena_take(e->step, n * sizeof *job.t) };
    for (size_t i = 0; i < n; i++) {
        const struct lora_rows *part = &c->attr.linear.part[i];
        const struct tensor *a = &part->lora->a.w, *b = &part->lora->b.w;
        job.t[i] = arena_take(e->step, (part->end - part->first) * a->rows * sizeof(float));
        work += (double)(part->end - part->first) * (double)a->rows * (double)(in + out);
        highest = a->rows > highest ? a->rows : highest;
        is_f32 &= a->dtype == DTYPE_F32 && b->dtype == DTYPE_F32;
    }
    if (!is_f32) {
        job.scratch_floats = TILE_W * (in > highest ? in : highest);
        job.scratch = arena_take(e->step, job.scratch_floats * (size_t)pool_threads(e->pool) * sizeof *job.scratch);
    }
    job.strips_a = (highest + STRIP_A - 1) / STRIP_A;
    job.strips_b = (out + STRIP_B - 1) / STRIP_B;
    job.pieces_a = n * job.strips_a;
    size_t pieces = job.pieces_a + n * job.strips_b;
    cpu_split(e, pieces, 1, work / (double)pieces, run_pieces, &job);
    arena_rewind(e->step, mark);
}
