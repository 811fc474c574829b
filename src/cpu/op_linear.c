/* op_linear.c - embed and linear.
 *
 * embed: out[r] = table[id[r]]. Backward: table'[id[r]] += out'[r], in rising r.
 * linear: out = to + x w' + bias. Backward: x' += out' w, w' += (out')' x, bias' += column sums of out', to' += out'.
 * Adapters of some rows: op_lora.c. With one of all, in training, t = scale x a' and out has t b' besides: b' += (out')' t, t' = scale out' b, a' += (t')' x, x' += t' a.
 * Weights that are packed are multiplied by panels of eight rows (panel.c); a strip of them is packed when it is first used.
 * For many rows (training) these are products of packed panels (gemm.c). For inference a piece of work is a strip of weight rows: four rows at a time are
 * unpacked into scratch (to f32, or to int8 with block scales) and multiplied with every row of x while they are in the
 * cache. The kernel sums each element along k in one order, so one row and many give the same bits. */
#include "cpu/cpu.h"

#include <assert.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

void cpu_embed(struct exec *e, const struct op_call *c)
{
    const struct cpu_kernels *k = e->kernels;
    const struct tensor *table = c->in[0], *extra = c->in[1];
    const int32_t *id = c->attr.embed.by_position ? c->batch->position : c->batch->token;
    for (size_t r = 0; r < c->out->rows; r++) {
        float *out = tensor_f32(c->out) + r * table->cols;
        size_t row = (size_t)id[r];
        assert(row < table->rows + (extra ? extra->rows : 0));
        if (row >= table->rows) memcpy(out, tensor_f32(extra) + (row - table->rows) * table->cols, table->cols * sizeof *out);
        else k->unpack_f32[table->dtype](out, tensor_row(table, row), table->cols);
    }
}

void cpu_embed_backward(struct exec *e, const struct op_call *c)
{
    const struct tensor *table = c->in[0], *extra = c->in[1];
    const int32_t *id = c->attr.embed.by_position ? c->batch->position : c->batch->token;
    if (e->is_dry) return;
    for (size_t r = 0; r < c->out->rows; r++) {
        size_t row = (size_t)id[r];
        float *to = row < table->rows ? table->grad : extra->grad;
        if (!to) continue;
        to += (row < table->rows ? row : row - table->rows) * table->cols;
        for (size_t i = 0; i < table->cols; i++) to[i] += c->out->grad[r * table->cols + i];
    }
}

enum { STRIP = 16 };   /* weight rows of one piece of work: fixed, so that pieces do not depend on threads */

struct linear_job {
    const struct cpu_kernels *k;
    const struct tensor *x, *w, *bias;
    struct tensor *out;
    struct i8_rows x8;                  /* q NULL: f32 activations */
    char *scratch; size_t scratch_bytes; /* per worker */
};

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

/* Four weight rows [first, first + n) against all rows of x, f32. */
static void tile_f32(const struct linear_job *job, size_t first, size_t n, float *scratch)
{
    size_t k = job->x->cols, stride = k;
    const float *w = scratch;
    if (job->w->dtype == DTYPE_F32) w = tensor_row(job->w, first);
    else for (size_t j = 0; j < n; j++) job->k->unpack_f32[job->w->dtype](scratch + j * stride, tensor_row(job->w, first + j), k);
    for (size_t r = 0; r < job->x->rows; r += TILE_X) {
        size_t rows = job->x->rows - r < TILE_X ? job->x->rows - r : TILE_X;
        job->k->dot_f32(tensor_f32(job->out) + r * job->out->cols + first, job->out->cols, w, stride, n, tensor_f32(job->x) + r * k, k, rows, k);
    }
}

static void tile_i8(const struct linear_job *job, size_t first, size_t n, char *scratch)
{
    size_t k = job->x->cols, blocks = k / 32;
    int8_t *q = (int8_t *)scratch;
    float *scale = (float *)(scratch + TILE_W * k), *min = scale + TILE_W * 2 * blocks;
    const struct i8_weights w = { q, scale, min, k, job->k->i8_has_min[job->w->dtype] };
    for (size_t j = 0; j < n; j++)
        job->k->unpack_i8[job->w->dtype](q + j * k, scale + j * 2 * blocks, min + j * blocks, tensor_row(job->w, first + j), k);
    for (size_t r = 0; r < job->x->rows; r += TILE_X) {
        size_t rows = job->x->rows - r < TILE_X ? job->x->rows - r : TILE_X;
        job->k->dot_i8(tensor_f32(job->out) + r * job->out->cols + first, job->out->cols, &w, 0, n, &job->x8, r, rows);
    }
}

static void add_bias(const struct linear_job *job, size_t from, size_t to)
{
    const float *bias = tensor_f32(job->bias);
    for (size_t r = 0; r < job->out->rows; r++) {
        float *out = tensor_f32(job->out) + r * job->out->cols;
        for (size_t j = from; j < to; j++) out[j] += bias[j];
    }
}

static void linear_strip(void *arg, size_t from, size_t to, int worker)
{
    const struct linear_job *job = arg;
    char *scratch = job->scratch + (size_t)worker * job->scratch_bytes;
    for (size_t j = from; j < to; j += TILE_W) {
        size_t n = to - j < TILE_W ? to - j : TILE_W;
        if (job->x8.q) tile_i8(job, j, n, scratch);
        else tile_f32(job, j, n, (float *)scratch);
    }
    if (job->bias) add_bias(job, from, to);
}

/* ---- panels -------------------------------------------------------------------------------------------------------------- */

enum { PANEL_STRIP = 4 * PANEL, TILE_BYTES = 160 << 10 };   /* rows of one piece; activations that stay in the cache meanwhile */
enum { STRIP_RAW, STRIP_BEGUN, STRIP_DONE };

/* Behind the panels of gemm.c, which all kernels' panels divide GEMM_LINES evenly for: whether they are there. */
enum { GEMM_LINES = 64 };
struct gemm_panels { _Alignas(64) atomic_int state; };

/* Behind the panels: how many rows are packed, and the state of each strip. */
struct strips { atomic_size_t rows; atomic_uchar state[]; };

static struct strips *strips_of(const struct tensor *w) { return (struct strips *)((char *)w->packed + round_up(cpu_panels_bytes(w->dtype, w->rows, w->cols), 64)); }

size_t cpu_packed_bytes(const struct tensor *t, bool gemm_f32)
{
    if (gemm_f32) return t->dtype == DTYPE_F32 ? round_up(t->rows, GEMM_LINES) * t->cols * sizeof(float) + sizeof(struct gemm_panels) : 0;
    size_t bytes = t->cols % dtypes[t->dtype].block ? 0 : cpu_panels_bytes(t->dtype, t->rows, t->cols);
    return bytes ? round_up(bytes, 64) + round_up(sizeof(struct strips) + t->rows / PANEL_STRIP + 1, 64) : 0;
}

enum { FORGET_BYTES = 128 << 10 };

/* Lets go of the file's pages behind a packed strip, 128 KiB at a time, and of all behind the last one: a strip alone shares its
 * first and last page with others. What another thread still reads comes back by itself. */
static void forget_packed(const struct tensor *w, size_t from, size_t to)
{
    size_t row = tensor_row_bytes(w), end = to * row, begin = end > 2 * FORGET_BYTES ? end - 2 * FORGET_BYTES : 0;
    bool is_last = atomic_fetch_add(&strips_of(w)->rows, to - from) + (to - from) == w->rows;
    if (is_last) file_forget(w->data, w->rows * row);
    else if (end / FORGET_BYTES != from * row / FORGET_BYTES) file_forget((const char *)w->data + begin, end - begin);
}

/* The first to need a strip packs it; another thread that comes meanwhile waits. */
static void pack_strip(const struct tensor *w, size_t strip, size_t from, size_t to)
{
    atomic_uchar *state = &strips_of(w)->state[strip];
    unsigned char raw = STRIP_RAW;
    if (atomic_load_explicit(state, memory_order_acquire) == STRIP_DONE) return;
    if (!atomic_compare_exchange_strong(state, &raw, STRIP_BEGUN)) {
        while (atomic_load_explicit(state, memory_order_acquire) != STRIP_DONE) sched_yield();
        return;
    }
    size_t bytes = panel_bytes(w->dtype, w->cols);
    for (size_t r = from; r < to; r += PANEL)
        panel_pack((char *)w->packed + r / PANEL * bytes, w->dtype, tensor_row(w, r), to - r < PANEL ? to - r : PANEL, w->cols);
    atomic_store_explicit(state, STRIP_DONE, memory_order_release);
    forget_packed(w, from, to);
}

static void panel_strip(void *arg, size_t from, size_t to, int worker)
{
    const struct linear_job *job = arg;
    const struct tensor *w = job->w;
    size_t bytes = panel_bytes(w->dtype, w->cols), rows = job->x->rows, tile = TILE_BYTES / w->cols / PANEL_X * PANEL_X;
    if (tile < PANEL_X) tile = PANEL_X;
    (void)worker;
    pack_strip(w, from / PANEL_STRIP, from, to);
    for (size_t r = 0; r < rows; r += tile)
        for (size_t j = from; j < to; j += PANEL)
            job->k->dot_panel[w->dtype](tensor_f32(job->out) + r * job->out->cols + j, job->out->cols, (const char *)w->packed + j / PANEL * bytes, to - j < PANEL ? to - j : PANEL, &job->x8, r,
                                        rows - r < tile ? rows - r : tile);
    if (job->bias) add_bias(job, from, to);
}

static void quantize_rows(void *arg, size_t from, size_t to, int worker)
{
    const struct linear_job *job = arg;
    size_t k = job->x->cols, blocks = k / 32;
    (void)worker;
    for (size_t r = from; r < to; r++)
        job->k->quantize_row((int8_t *)job->x8.q + r * k, (float *)job->x8.scale + r * blocks, (float *)job->x8.sum + r * blocks,
                             (int16_t *)job->x8.sum16 + r * 2 * blocks, tensor_f32(job->x) + r * k, k);
}

/* ---- panels of f32 for gemm.c -------------------------------------------------------------------------------------------- */

static struct gemm_panels *gemm_panels_of(const struct tensor *w) { return (struct gemm_panels *)(void *)((float *)w->packed + round_up(w->rows, GEMM_LINES) * w->cols); }

struct packing { const struct cpu_kernels *k; const struct gemm *g; float *out; };

static void pack_lines(void *arg, size_t from, size_t to, int worker)
{
    const struct packing *p = arg;
    size_t width = p->k->gemm_n, end = to * width < p->g->n ? to * width : p->g->n;
    (void)worker;
    gemm_pack_b(p->k, p->out, p->g, from * width, end - from * width);
}

/* The first product with a matrix packs it; who comes meanwhile does without, which gives the same bits. */
static const float *gemm_packed(struct exec *e, const struct gemm *g, const struct tensor *w)
{
    if (!e->gemm_f32 || !w->packed || w->packed_from != w->data || w->dtype != DTYPE_F32) return NULL;
    atomic_int *state = &gemm_panels_of(w)->state;
    int raw = STRIP_RAW;
    if (atomic_load_explicit(state, memory_order_acquire) == STRIP_DONE) return w->packed;
    if (e->is_dry || !atomic_compare_exchange_strong(state, &raw, STRIP_BEGUN)) return NULL;
    struct packing p = { e->kernels, g, w->packed };
    cpu_split(e, (w->rows + p.k->gemm_n - 1) / p.k->gemm_n, 1, (double)(p.k->gemm_n * w->cols), pack_lines, &p);
    atomic_store_explicit(state, STRIP_DONE, memory_order_release);
    file_forget(w->data, w->rows * tensor_row_bytes(w));
    return w->packed;
}

/* ---- many rows ---------------------------------------------------------------------------------------------------------- */

static struct gemm_side side(const void *data, enum dtype dtype, size_t cols, bool transposed) { return (struct gemm_side){ data, dtype, cols, transposed }; }

static struct gemm_side matrix(const struct tensor *t, bool transposed) { return side(t->data, t->dtype, t->cols, transposed); }
static struct gemm_side gradient(const struct tensor *t, bool transposed) { return side(t->grad, DTYPE_F32, t->cols, transposed); }

static void bias_rows(void *arg, size_t from, size_t to, int worker)
{
    const struct op_call *c = arg;
    size_t n = c->out->cols;
    const float *bias = tensor_f32(c->in[2]);
    (void)worker;
    for (size_t r = from; r < to; r++) {
        float *out = tensor_f32(c->out) + r * n;
        for (size_t j = 0; j < n; j++) out[j] += bias[j];
    }
}

struct scaling { float *x; float factor; };

static void scale_range(void *arg, size_t from, size_t to, int worker)
{
    const struct scaling *s = arg;
    (void)worker;
    for (size_t i = from; i < to; i++) s->x[i] *= s->factor;
}

static void copy_range(void *arg, size_t from, size_t to, int worker)
{
    const struct op_call *c = arg;
    (void)worker;
    memcpy(tensor_f32(c->out) + from, tensor_f32(c->in[3]) + from, (to - from) * sizeof(float));
}

enum { GRAIN = 4096 };

static void linear_many(struct exec *e, const struct op_call *c)
{
    const struct tensor *x = c->in[0], *w = c->in[1];
    const struct lora *l = c->attr.linear.lora;
    float *out = tensor_f32(c->out);
    if (c->in[3]) cpu_split(e, c->out->rows * c->out->cols, GRAIN, 1, copy_range, (void *)c);
    struct gemm g = { .c = out, .ldc = w->rows, .m = x->rows, .n = w->rows, .k = x->cols, .a = matrix(x, false), .b = matrix(w, true), .add = c->in[3] != NULL };
    gemm_run_packed(e, &g, gemm_packed(e, &g, w));
    if (l) {
        struct arena_mark mark = arena_mark(e->step);
        size_t rank = l->a.w.rows;
        float *t = c->aux ? tensor_f32(c->aux) : arena_take(e->step, x->rows * rank * sizeof *t);
        gemm_run(e, &(struct gemm){ t, rank, x->rows, rank, x->cols, matrix(x, false), matrix(&l->a.w, true), false });
        cpu_split(e, x->rows * rank, GRAIN, 1, scale_range, &(struct scaling){ t, l->scale });
        gemm_run(e, &(struct gemm){ out, w->rows, x->rows, w->rows, rank, side(t, DTYPE_F32, rank, false), matrix(&l->b.w, true), true });
        arena_rewind(e->step, mark);
    }
    if (c->in[2]) cpu_split(e, x->rows, 16, (double)w->rows, bias_rows, (void *)c);
}

static void bias_columns(void *arg, size_t from, size_t to, int worker)
{
    const struct op_call *c = arg;
    (void)worker;
    for (size_t r = 0; r < c->out->rows; r++)
        for (size_t j = from; j < to; j++) c->in[2]->grad[j] += c->out->grad[r * c->out->cols + j];
}

static void add_gradient(void *arg, size_t from, size_t to, int worker)
{
    const struct op_call *c = arg;
    const float *g = c->out->grad;
    float *sum = c->in[3]->grad;
    (void)worker;
    if (c->in[3]->is_fresh) { memcpy(sum + from, g + from, (to - from) * sizeof *sum); return; }
    for (size_t i = from; i < to; i++) sum[i] += g[i];
}

/* Behind the matrix's part of x'. */
static void adapter_backward(struct exec *e, const struct op_call *c, const struct lora *l)
{
    struct arena_mark mark = arena_mark(e->step);
    const struct tensor *x = c->in[0], *out = c->out;
    size_t rows = x->rows, rank = l->a.w.rows;
    float *t = arena_take(e->step, rows * rank * sizeof *t);
    const struct gemm_side dt = side(t, DTYPE_F32, rank, false), dt_turned = side(t, DTYPE_F32, rank, true);
    if (l->b.w.grad) gemm_run(e, &(struct gemm){ l->b.w.grad, rank, out->cols, rank, rows, gradient(out, true), matrix(c->aux, false), true });
    gemm_run(e, &(struct gemm){ t, rank, rows, rank, out->cols, gradient(out, false), matrix(&l->b.w, false), false });
    cpu_split(e, rows * rank, GRAIN, 1, scale_range, &(struct scaling){ t, l->scale });
    if (l->a.w.grad) gemm_run(e, &(struct gemm){ l->a.w.grad, x->cols, rank, x->cols, rows, dt_turned, matrix(x, false), true });
    if (x->grad) gemm_run(e, &(struct gemm){ x->grad, x->cols, rows, x->cols, rank, dt, matrix(&l->a.w, false), true });
    arena_rewind(e->step, mark);
}

void cpu_linear_backward(struct exec *e, const struct op_call *c)
{
    const struct tensor *x = c->in[0], *w = c->in[1], *out = c->out;
    if (x->grad) gemm_run(e, &(struct gemm){ x->grad, x->cols, x->rows, x->cols, w->rows, gradient(out, false), matrix(w, false), !x->is_fresh });
    if (c->attr.linear.lora) adapter_backward(e, c, c->attr.linear.lora);
    if (w->grad) gemm_run(e, &(struct gemm){ w->grad, w->cols, w->rows, w->cols, x->rows, gradient(out, true), matrix(x, false), true });
    if (c->in[2] && c->in[2]->grad) cpu_split(e, out->cols, 64, (double)out->rows, bias_columns, (void *)c);
    if (c->in[3] && c->in[3]->grad && c->in[3]->grad != out->grad) cpu_split(e, out->rows * out->cols, GRAIN, 1, add_gradient, (void *)c);
}

/* x as int8; in the arena until the caller rewinds it. */
static void round_input(struct exec *e, struct linear_job *job)
{
    size_t k = job->x->cols, rows = job->x->rows, blocks = rows * k / 32;
    int8_t *q = arena_take(e->step, rows * k);
    float *scale = arena_take(e->step, blocks * sizeof *scale), *sum = arena_take(e->step, blocks * sizeof *sum);
    int16_t *sum16 = arena_take(e->step, 2 * blocks * sizeof *sum16);
    job->x8 = (struct i8_rows){ q, scale, sum, sum16, k };
    cpu_split(e, rows, 8, (double)k, quantize_rows, job);
}

/* For several products with the same x it is rounded once. */
static void round_shared(struct exec *e, struct linear_job *job)
{
    struct exec_input *in = e->input;
    if (in->x == job->x) { job->x8 = *(const struct i8_rows *)in->rounded; return; }
    struct i8_rows *kept = arena_take(e->step, sizeof *kept);
    round_input(e, job);
    *kept = job->x8;
    *in = (struct exec_input){ job->x, kept };
}

static void linear_few(struct exec *e, const struct op_call *c)
{
    const struct cpu_kernels *kernels = e->kernels;
    struct linear_job job = { .k = kernels, .x = c->in[0], .w = c->in[1], .bias = c->in[2], .out = c->out };
    size_t k = job.x->cols, rows = job.x->rows;
    bool is_rounded = e->int8_activations && kernels->unpack_i8[job.w->dtype];
    if (e->gemm_f32 && !is_rounded) { linear_many(e, c); return; }
    if (is_rounded && e->input) round_shared(e, &job);
    struct arena_mark mark = arena_mark(e->step);
    if (is_rounded && !e->input) round_input(e, &job);
    if (job.x8.q && job.w->packed && job.w->packed_from == job.w->data) {
        cpu_split(e, job.w->rows, PANEL_STRIP, (double)k * (double)rows, panel_strip, &job);
        arena_rewind(e->step, mark);
        return;
    }
    job.scratch_bytes = round_up(TILE_W * k * sizeof(float), 64);   /* the int8 form is smaller: 1 + 1/4 + 1/8 bytes */
    job.scratch = arena_take(e->step, job.scratch_bytes * (size_t)pool_threads(e->pool));
    cpu_split(e, job.w->rows, STRIP, (double)k * (double)rows, linear_strip, &job);
    arena_rewind(e->step, mark);
}

void cpu_linear(struct exec *e, const struct op_call *c)
{
    if (e->many_rows) { linear_many(e, c); return; }
    linear_few(e, c);
    if (c->attr.linear.n_parts) cpu_add_lora(e, c);
}
