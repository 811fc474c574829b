/* Every operator's backward pass against finite differences of its forward pass, on every kernel set and odd shapes.
 *
 * f = sum of out * u for random u; its derivative along random v (all inputs at once) is the dot product of gradient
 * and v. Two step sizes and one Richardson step remove the second-order error; what is left is the rounding of float32
 * forward passes, so the error is measured relative to the size that a sum of such terms has. */
#include "cpu/cpu.h"
#include "test.h"

struct shape { size_t rows, cols, heads, kv_heads, head_dim, window; };
static const struct shape shapes[] = { { 1, 5, 1, 1, 2, 0 }, { 7, 33, 6, 2, 4, 3 }, { 150, 64, 4, 1, 16, 0 }, { 131, 70, 2, 2, 10, 40 } };

enum { IN_MAX = 6 };
/* One operator on one shape: its inputs, and how it is called. */
struct gradient_case {
    const char *name; enum op op; const struct shape *shape; int variant;
    struct tensor in[IN_MAX]; size_t n_in;
    struct weight w; struct norm n; struct rope rope; struct lora lora;      /* what the tape points at must outlive the call */
    struct tensor *(*run)(struct gradient_case *g, struct run *r);
};

static double rope_frequencies[32];

static float normal(uint64_t stream, size_t i)
{
    float x;
    random_normal(&x, 1, 5, stream, i);
    return x;
}

static void input(struct gradient_case *g, size_t rows, size_t cols)
{
    struct tensor *t = &g->in[g->n_in++];
    *t = (struct tensor){ .dtype = DTYPE_F32, .rows = rows, .cols = cols, .data = mem_alloc(rows * cols * sizeof(float)), .grad = mem_zero(rows * cols, sizeof(float)) };
    for (size_t i = 0; i < rows * cols; i++) tensor_f32(t)[i] = normal(g->n_in + 10 * (uint64_t)g->op, i);
}

/* ---- one row for each operator --------------------------------------------------------------------------------------------- */

static int32_t small_ids[1024], labels[1024];
static float weights[1024];

static void make_embed(struct gradient_case *g) { input(g, 8, g->shape->cols); input(g, 3, g->shape->cols); }
static struct tensor *run_embed(struct gradient_case *g, struct run *r) { g->w = (struct weight){ .w = g->in[0] }; return embed(r, &g->w, &g->in[1], g->variant == 1); }

static void make_linear(struct gradient_case *g)
{
    size_t n = g->shape->heads * 5 + 1, k = g->shape->cols;
    input(g, g->shape->rows, k); input(g, n, k); input(g, 1, n); input(g, g->shape->rows, n); input(g, 3, k); input(g, n, 3);
}
/* Variant 1: onto something, with an adapter. */
static struct tensor *run_linear(struct gradient_case *g, struct run *r)
{
    g->w = (struct weight){ .w = g->in[1], .bias = g->in[2] };
    if (g->variant == 0) return linear(r, &g->in[0], &g->w);
    g->lora = (struct lora){ .a.w = g->in[4], .b.w = g->in[5], .scale = 0.6f };
    g->w.lora = &g->lora;
    return linear_onto(r, &g->in[3], &g->in[0], &g->w);
}

static void make_norm(struct gradient_case *g) { input(g, g->shape->rows, g->shape->cols); input(g, 1, g->shape->cols); input(g, 1, g->shape->cols); }
static struct tensor *run_layer_norm(struct gradient_case *g, struct run *r) { g->n = (struct norm){ g->in[1], g->in[2], 1e-5f }; return layer_norm(r, &g->in[0], &g->n); }
static void make_rms(struct gradient_case *g) { input(g, g->shape->rows, g->shape->cols); input(g, 1, g->shape->cols); }
static struct tensor *run_rms_norm(struct gradient_case *g, struct run *r) { g->n = (struct norm){ .gain = g->in[1], .eps = 1e-5f }; return rms_norm(r, &g->in[0], &g->n); }

static void make_rope(struct gradient_case *g) { input(g, g->shape->rows, g->shape->heads * g->shape->head_dim); }
static struct tensor *run_rope(struct gradient_case *g, struct run *r)
{
    size_t dims = g->shape->head_dim > 4 ? g->shape->head_dim - 2 : g->shape->head_dim;
    g->rope = (struct rope){ dims, rope_frequencies, 1.25f, g->variant == 1 };
    return rope(r, &g->in[0], g->shape->head_dim, &g->rope);
}

static void make_attention(struct gradient_case *g)
{
    input(g, g->shape->rows, g->shape->heads * g->shape->head_dim);
    input(g, g->shape->rows, g->shape->kv_heads * g->shape->head_dim);
    input(g, g->shape->rows, g->shape->kv_heads * g->shape->head_dim);
}
static struct tensor *run_attention(struct gradient_case *g, struct run *r)
{
    const struct shape *s = g->shape;
    return attention(r, &g->in[0], &g->in[1], &g->in[2], &(struct attention){ 0, s->heads, s->kv_heads, s->head_dim, s->window, 0.4f, g->variant ? 0.3f : 0 });
}

static void make_one(struct gradient_case *g) { input(g, g->shape->rows, g->shape->cols); }
static void make_two(struct gradient_case *g) { make_one(g); make_one(g); }
static struct tensor *run_add(struct gradient_case *g, struct run *r) { return add_scaled(r, &g->in[0], &g->in[1], 0.3f); }
/* Without a tape activation functions write over their input, which is needed again here. */
static struct tensor *to_spend(struct run *r, struct tensor *x)
{
    if (r->tape) return x;
    struct tensor *copy = arena_take(r->exec->step, sizeof *copy);
    *copy = *x;
    copy->data = memcpy(arena_take(r->exec->step, x->rows * x->cols * sizeof(float)), x->data, x->rows * x->cols * sizeof(float));
    return copy;
}
static struct tensor *run_gelu(struct gradient_case *g, struct run *r) { return gelu(r, to_spend(r, &g->in[0]), g->variant ? GELU_TANH : GELU_ERF); }
static struct tensor *run_silu_gate(struct gradient_case *g, struct run *r) { return silu_gate(r, to_spend(r, &g->in[0]), &g->in[1]); }
static struct tensor *run_select(struct gradient_case *g, struct run *r)
{
    static const size_t some[] = { 0, 0 };
    return select_rows(r, &g->in[0], some, 2);
}
static struct tensor *run_columns(struct gradient_case *g, struct run *r)
{
    size_t n = g->shape->cols;
    return select_columns(r, &g->in[0], g->variant ? &(struct columns){ 1, 2, 1, 2 } : &(struct columns){ n / 3, n / 2, 0, 0 });
}
static struct tensor *run_dropout(struct gradient_case *g, struct run *r) { return dropout(r, &g->in[0], 0.3f, 7); }

static void make_loss(struct gradient_case *g) { input(g, g->shape->rows, g->shape->cols); input(g, 67, g->shape->cols); input(g, 4, g->shape->cols); }
static struct tensor *run_head_loss(struct gradient_case *g, struct run *r) { g->w = (struct weight){ .w = g->in[1] }; return head_loss(r, &g->in[0], &g->w, &g->in[2], labels, weights); }

static const struct { void (*make)(struct gradient_case *g); struct tensor *(*run)(struct gradient_case *g, struct run *r); int variants; } rows[] = {
    [OP_embed] = { make_embed, run_embed, 2 },       [OP_linear] = { make_linear, run_linear, 2 },     [OP_layer_norm] = { make_norm, run_layer_norm, 1 },
    [OP_rms_norm] = { make_rms, run_rms_norm, 1 },   [OP_rope] = { make_rope, run_rope, 2 },           [OP_attention] = { make_attention, run_attention, 2 },
    [OP_add] = { make_two, run_add, 1 },             [OP_gelu] = { make_one, run_gelu, 2 },            [OP_silu_gate] = { make_two, run_silu_gate, 1 },
    [OP_select] = { make_one, run_select, 1 },       [OP_columns] = { make_one, run_columns, 2 },      [OP_dropout] = { make_one, run_dropout, 1 },
    [OP_head_loss] = { make_loss, run_head_loss, 1 },
};
_Static_assert(sizeof rows / sizeof *rows == OP_COUNT, "every operator needs a row here");
#define X(name) #name,
static const char *const op_names[] = { OPS(X) };
#undef X

/* ---- the check ------------------------------------------------------------------------------------------------------------------ */

struct machine { struct pool *pool; struct arena step; struct exec exec; int32_t position[1024], sequence[1024]; };

/* sum of out * u; for the loss, what its gradient is of. */
static double objective(struct gradient_case *g, struct machine *m, struct tape *tape)
{
    struct batch b = { .rows = g->shape->rows, .token = small_ids, .position = m->position, .sequence = m->sequence, .seed = 3 };
    struct run r = { .exec = &m->exec, .batch = &b, .tape = tape };
    struct arena_mark mark = arena_mark(&m->step);
    struct tensor *out = g->run(g, &r);
    double f = 0;
    if (tape) tape_gradients(&r, out, NULL);
    for (size_t i = 0; i < out->rows * out->cols; i++) {
        float u = g->op == OP_head_loss ? weights[i] : normal(99, i);
        f += (double)tensor_f32(out)[i] * (double)u;
        if (out->grad) out->grad[i] = u;
    }
    if (tape) tape_backward(&r);
    CHECK(m->exec.status == SC_OK);
    arena_rewind(&m->step, mark);
    return f;
}

/* Moves all inputs by `by` times the direction. */
static void move_inputs(struct gradient_case *g, float by)
{
    for (size_t k = 0; k < g->n_in; k++)
        for (size_t i = 0; i < g->in[k].rows * g->in[k].cols; i++) tensor_f32(&g->in[k])[i] += by * normal(50 + k, i);
}

static double slope(struct gradient_case *g, struct machine *m, float h)
{
    move_inputs(g, h);
    double up = objective(g, m, NULL);
    move_inputs(g, -2 * h);
    double down = objective(g, m, NULL);
    move_inputs(g, h);
    return (up - down) / (2 * (double)h);
}

static void check_case(struct gradient_case *g, struct machine *m)
{
    struct tape tape = { 0 };
    double along = 0, size = 0, terms = 0;
    rows[g->op].make(g);
    objective(g, m, &tape);
    for (size_t k = 0; k < g->n_in; k++)
        for (size_t i = 0; i < g->in[k].rows * g->in[k].cols; i++) {
            double term = (double)g->in[k].grad[i] * (double)normal(50 + k, i);
            along += term;
            size += fabs(term);
            terms++;
        }
    double h = 1e-2, measured = (4 * slope(g, m, (float)h / 2) - slope(g, m, (float)h)) / 3, error = fabs(measured - along) / (size / sqrt(terms) + 1e-9);
    if (!(error < 2e-3)) test_failed(__FILE__, __LINE__, "%s of shape %zu, variant %d: derivative %g, gradient says %g (relative error %.1e)", op_names[g->op], (size_t)(g->shape - shapes), g->variant, measured, along, error);
    for (size_t k = 0; k < g->n_in; k++) {
        mem_free(g->in[k].data);
        mem_free(g->in[k].grad);
    }
    tape_release(&tape);
}

static void machine_init(struct machine *m, const char *kernels, int threads, const struct shape *s)
{
    const void *k = NULL;
    CHECK_OK(pool_open(&m->pool, threads, err));
    CHECK_OK(cpu_backend.kernels(&k, kernels, err));
    arena_init(&m->step);
    m->exec = (struct exec){ .pool = m->pool, .backend = &cpu_backend, .kernels = k, .step = &m->step, .many_rows = true };
    /* Two sequences in the batch, the first of a third of the rows. */
    for (size_t i = 0; i < s->rows; i++) {
        bool second = i >= s->rows / 3;
        m->sequence[i] = second;
        m->position[i] = (int32_t)(second ? i - s->rows / 3 : i);
    }
}

static void check_all(const char *kernels)
{
    for (size_t i = 0; i < 32; i++) rope_frequencies[i] = 0.7 / (double)(i + 1);
    for (size_t i = 0; i < 1024; i++) {
        small_ids[i] = (int32_t)random_u32(1, 2, i) % 11;
        small_ids[i] = small_ids[i] < 0 ? -small_ids[i] : small_ids[i];
        labels[i] = (int32_t)(random_u32(1, 3, i) % 71);
        weights[i] = 0.1f + (float)random_unit(1, 4, i);
    }
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int op = 0; op < OP_COUNT; op++)
            for (int variant = 0; variant < rows[op].variants; variant++) {
                struct machine m;
                struct gradient_case g = { .op = (enum op)op, .shape = &shapes[s], .variant = variant, .run = rows[op].run };
                if (op == OP_embed && variant == 1 && shapes[s].rows > 7) continue;      /* positions beyond the table */
                machine_init(&m, kernels, 2, &shapes[s]);
                check_case(&g, &m);
                arena_release(&m.step);
                pool_close(m.pool);
            }
}

static bool has(const char *kernels)
{
    const void *k;
    if (cpu_backend.kernels(&k, kernels, NULL) == SC_OK) return true;
    printf("skipped: this processor lacks %s\n", kernels);
    return false;
}

TEST(finite_differences_scalar) { check_all("scalar"); }
TEST(finite_differences_avx2) { if (has("avx2")) check_all("avx2"); }
TEST(finite_differences_avx512) { if (has("avx512")) check_all("avx512"); }

/* A planted error of one per cent must be seen. */
TEST(the_check_sees_an_error)
{
    struct machine m;
    struct gradient_case g = { .op = OP_rms_norm, .shape = &shapes[1], .run = run_rms_norm };
    struct tape tape = { 0 };
    double along = 0, size = 0, terms = 0;
    machine_init(&m, "scalar", 1, g.shape);
    make_rms(&g);
    objective(&g, &m, &tape);
    for (size_t i = 0; i < g.in[0].rows * g.in[0].cols; i++) g.in[0].grad[i] *= 1.01f;
    for (size_t k = 0; k < g.n_in; k++)
        for (size_t i = 0; i < g.in[k].rows * g.in[k].cols; i++) {
            double term = (double)g.in[k].grad[i] * (double)normal(50 + k, i);
            along += term;
            size += fabs(term);
            terms++;
        }
    double measured = (4 * slope(&g, &m, 5e-3f) - slope(&g, &m, 1e-2f)) / 3;
    CHECK(fabs(measured - along) / (size / sqrt(terms)) > 4e-3);
    for (size_t k = 0; k < g.n_in; k++) { mem_free(g.in[k].data); mem_free(g.in[k].grad); }
    tape_release(&tape);
    arena_release(&m.step);
    pool_close(m.pool);
}

/* Few rows, many, one: the same bits for a row, whatever is beside it; onto what stands there, too. */
TEST(few_rows_of_large_products)
{
    static const size_t counts[] = { 1, 5, 6, 7, 31, 96, 97, 131 };
    const size_t n = 300, k = 544;
    for (int set = 0; set < 3; set++)
        for (int packed = 0; packed < 2; packed++) {
            static const char *const sets[] = { "scalar", "avx2", "avx512" };
            const void *kernels;
            if (cpu_backend.kernels(&kernels, sets[set], NULL) != SC_OK) continue;
            enum dtype dtype = packed ? DTYPE_Q8_0 : DTYPE_F32;
            float *a = mem_alloc(131 * k * sizeof *a), *w = mem_alloc(n * k * sizeof *w), *all = mem_alloc(131 * n * sizeof *all), *some = mem_alloc(131 * n * sizeof *some);
            char *b = mem_zero(n, dtype_row_bytes(dtype, k));
            random_normal(a, 131 * k, 1, 3, 0);
            random_normal(w, n * k, 1, 4, 0);
            for (size_t j = 0; j < n && packed; j++) dtypes[dtype].from_f32(b + j * dtype_row_bytes(dtype, k), w + j * k, k);
            for (size_t r = 0; r < sizeof counts / sizeof *counts; r++)
                for (int threads = 1; threads <= 3; threads += 2) {
                    struct machine machine;
                    const size_t m = counts[sizeof counts / sizeof *counts - 1 - r];
                    machine_init(&machine, sets[set], threads, &shapes[0]);
                    for (size_t i = 0; i < m * n; i++) some[i] = (float)(i % 7);
                    const struct gemm g = { some, n, m, n, k, { a, DTYPE_F32, k, false }, { packed ? (const void *)b : w, dtype, k, true }, true };
                    const struct cpu_kernels *kernels_of = kernels;
                    float *panels = mem_alloc((n + kernels_of->gemm_n) * k * sizeof *panels);       /* of weights that were packed once */
                    if (!packed) gemm_pack_b(kernels_of, panels, &g, 0, n);
                    gemm_run_packed(&machine.exec, &g, !packed && threads == 3 ? panels : NULL);
                    mem_free(panels);
                    if (!r && threads == 1) memcpy(all, some, m * n * sizeof *all);
                    CHECK(memcmp(some, all, m * n * sizeof *some) == 0);
                    arena_release(&machine.step);
                    pool_close(machine.pool);
                }
            mem_free(a); mem_free(b); mem_free(w); mem_free(all); mem_free(some);
        }
}

/* Products of panels against double sums, all four ways of turning, block types, and the same bits on any threads. */
TEST(large_products)
{
    for (int turn = 0; turn < 4; turn++)
        for (int set = 0; set < 3; set++) {
            static const char *const sets[] = { "scalar", "avx2", "avx512" };
            const size_t m = 131, n = 300, k = 515;
            struct machine machine;
            const void *kernels;
            if (cpu_backend.kernels(&kernels, sets[set], NULL) != SC_OK) continue;
            float *a = mem_alloc(m * k * sizeof *a), *b = mem_alloc(n * k * sizeof *b), *c = mem_zero(m * n, sizeof *c), *d = mem_zero(m * n, sizeof *d);
            random_normal(a, m * k, 1, 1, 0);
            random_normal(b, n * k, 1, 2, 0);
            struct gemm g = { c, n, m, n, k, { a, DTYPE_F32, turn & 1 ? m : k, turn & 1 }, { b, DTYPE_F32, turn & 2 ? k : n, turn & 2 }, true };
            for (int threads = 1; threads <= 3; threads++) {
                machine_init(&machine, sets[set], threads, &shapes[0]);
                memset(c, 0, m * n * sizeof *c);
                gemm_run(&machine.exec, &g);
                if (threads == 1) memcpy(d, c, m * n * sizeof *c);
                CHECK(memcmp(c, d, m * n * sizeof *c) == 0);
                arena_release(&machine.step);
                pool_close(machine.pool);
            }
            float *scratch = mem_alloc(gemm_scratch(kernels, m, n) * sizeof *scratch);
            memset(c, 0, m * n * sizeof *c);
            gemm_serial(kernels, scratch, &g);
            CHECK(memcmp(c, d, m * n * sizeof *c) == 0);
            double worst = 0;
            for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < n; j++) {
                    double sum = 0;
                    for (size_t p = 0; p < k; p++) sum += (double)(turn & 1 ? a[p * m + i] : a[i * k + p]) * (double)(turn & 2 ? b[j * k + p] : b[p * n + j]);
                    worst = fabs(sum - (double)c[i * n + j]) > worst ? fabs(sum - (double)c[i * n + j]) : worst;
                }
            if (!(worst < 3e-4)) test_failed(__FILE__, __LINE__, "%s, turned %d: error %g", sets[set], turn, worst);
            mem_free(a); mem_free(b); mem_free(c); mem_free(d); mem_free(scratch);
        }
}
