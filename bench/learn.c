/* learn.c - times a training step of one packed row: loss, gradients, update; and where the time goes.
 * Usage: bench_learn MODEL DATASET [lora|full] [STEPS] [FIRST-ROW] [KEEP-MB]   Prints one JSON object. Every 37th row is taken;
 * KEEP-MB: activations kept instead of being computed again.
 *
 * `needed` counts the multiply-adds that the result needs (forward, gradients of inputs and of what learns; of the head
 * only the trained rows; of attention only visible keys), two operations each: computing a block again is not needed.
 * The profile is wall time by operator and direction, seconds a step. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cpu/cpu.h"
#include "train/train.h"

enum { LENGTH = 4096, STEPS_MAX = 100 };

/* ---- the backend with a clock ----------------------------------------------------------------------------------------- */

/* Inputs of a linear: x and w; its backward is timed for each alone. */
enum lap { LAP_FORWARD, LAP_BACKWARD, LAP_WEIGHT, LAPS };
static double seconds[OP_COUNT][LAPS];

static void timed(void (*fn)(struct exec *e, const struct op_call *c), struct exec *e, const struct op_call *c, enum op op, enum lap lap)
{
    double begin = clock_seconds();
    fn(e, c);
    seconds[op][lap] += clock_seconds() - begin;
}

static void backward(struct exec *e, const struct op_call *c, enum op op, void (*fn)(struct exec *e, const struct op_call *c));
#define X(name) \
    static void forward_##name(struct exec *e, const struct op_call *c) { timed(cpu_##name, e, c, OP_##name, LAP_FORWARD); } \
    static void backward_##name(struct exec *e, const struct op_call *c) { backward(e, c, OP_##name, cpu_##name##_backward); }
OPS(X)
#undef X

static void backward(struct exec *e, const struct op_call *c, enum op op, void (*fn)(struct exec *e, const struct op_call *c))
{
    if (op != OP_linear) { timed(fn, e, c, op, LAP_BACKWARD); return; }
    struct tensor x = *c->in[0], w = *c->in[1];
    struct op_call part = *c;
    x.grad = w.grad = NULL;
    part.in[1] = &w;
    timed(fn, e, &part, op, LAP_BACKWARD);
    part.in[0] = &x;
    part.in[1] = c->in[1];
    part.in[2] = part.in[3] = NULL;
    part.attr.linear.lora = NULL;
    if (c->in[1]->grad) timed(fn, e, &part, op, LAP_WEIGHT);
}

static const struct backend timed_backend = {
    .name = "timed", .op = {
#define X(name) [OP_##name] = { forward_##name, backward_##name, OP_##name == OP_linear || OP_##name == OP_silu_gate || OP_##name == OP_rope },
        OPS(X)
#undef X
    },
};

/* ---- needed operations ---------------------------------------------------------------------------------------------------- */

struct counting { double frozen, learned, adapters; };      /* elements of the blocks' matrices */

static void count_matrix(void *user, const struct model_tensor *t)
{
    struct counting *c = user;
    double n = (double)(t->tensor->rows * t->tensor->cols);
    if (t->is_bias || t->row->flags & WF_NORM || !role_is_per_layer(t->row->role)) return;
    const struct lora *l = ((const struct weight *)t->tensor)->lora;
    if (t->tensor->grad) c->learned += n; else c->frozen += n;
    if (l) c->adapters += (double)(l->a.w.rows * (t->tensor->cols + t->tensor->rows));
}

/* Keys that the rows of a batch may see, in all. */
static double visible_keys(const struct leaf *l)
{
    double n = 0;
    for (size_t i = 0; i < l->rows; i++) n += l->position[i] + 1;
    return n;
}

static double needed_operations(struct model *m, const struct leaf *l)
{
    struct counting c = { 0 };
    const struct model_config *config = &m->config;
    model_each(m, count_matrix, &c);
    double rows = (double)l->rows, head = (double)(config->vocab * config->embd) * (double)l->n;
    /* Attention: two products forward, four backward. */
    double attention = visible_keys(l) * (double)(config->heads * config->head_dim * config->layers) * 6;
    return 2 * (rows * (2 * c.frozen + 3 * (c.learned + c.adapters)) + head * (m->head.w.grad ? 3 : 2) + attention);
}

/* ---- the step ---------------------------------------------------------------------------------------------------------------- */

struct bench {
    struct model_file *file; struct model model; struct trainable trainable; struct arena adapters, step; struct leaf leaf; struct exec exec;
    struct optimizer_config optimizer; struct comm ranks;      /* one */
    double learn[STEPS_MAX], all[STEPS_MAX], processor, rows, trained, segments, needed, loss;
};

static void fail(const sc_error *e)
{
    fprintf(stderr, "bench_learn: %s\n", e->message);
    exit(1);
}

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Once without computing, so that the arena is one piece from the first step on. */
static void dry_step(struct bench *b)
{
    struct leaf *l = &b->leaf;
    const struct batch batch = { .rows = l->rows, .token = l->token, .position = l->position, .sequence = l->sequence };
    b->exec.is_dry = true;
    model_learn(&b->model, &b->exec, &batch, &(struct learn_rows){ .row = l->row, .label = l->label, .weight = l->weight, .loss = l->loss, .n = l->n }, true);
    b->exec.is_dry = false;
}

static void step(struct bench *b, size_t i)
{
    struct leaf *l = &b->leaf;
    for (size_t k = 0; k < l->n; k++) l->weight[k] = 1 / (float)l->n;
    const struct batch batch = { .rows = l->rows, .token = l->token, .position = l->position, .sequence = l->sequence, .seed = i };
    double begin = clock_seconds(), processor = processor_seconds();
    trainable_begin_step(&b->trainable, b->exec.pool);
    trainable_begin_leaf(&b->trainable, b->exec.pool);
    double before = clock_seconds();
    model_learn(&b->model, &b->exec, &batch, &(struct learn_rows){ .row = l->row, .label = l->label, .weight = l->weight, .loss = l->loss, .n = l->n }, true);
    b->learn[i] = clock_seconds() - before;
    trainable_end_leaf(&b->trainable, b->exec.pool);
    sc_error e;
    double norm;
    if (gradient_clip(&norm, &b->trainable, 1, &b->ranks, b->exec.pool, &e) != SC_OK) fail(&e);
    optimizers[0].update(&b->trainable, &b->optimizer, (int64_t)i + 1, b->exec.pool);
    b->all[i] = clock_seconds() - begin;
    b->processor += processor_seconds() - processor;
    b->rows += (double)l->rows;
    b->trained += (double)l->n;
    b->segments += (double)l->sequence[l->rows - 1] + 1;
    b->needed += needed_operations(&b->model, l);
    b->loss = 0;
    for (size_t k = 0; k < l->n; k++) b->loss += (double)l->loss[k] / (double)l->n;
}

static double sum(const double *x, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++) s += x[i];
    return s;
}

static void report(const struct bench *b, size_t steps, const struct machine_limits *limits)
{
    static const char *const laps[] = { "forward", "backward", "weights" };
#define X(name) #name,
    static const char *const names[] = { OPS(X) };
#undef X
    double n = (double)steps, learn = sum(b->learn, steps), all = sum(b->all, steps), known = 0;
    printf("  \"rows\": %.1f, \"trained\": %.1f, \"segments\": %.2f, \"loss\": %.4f,\n", b->rows / n, b->trained / n, b->segments / n, b->loss);
    printf("  \"tokens_per_second\": %.1f, \"model_learn_tokens_per_second\": %.1f, \"step_seconds\": %.3f, \"step_processor_seconds\": %.3f,\n", b->rows / all, b->rows / learn, all / n, b->processor / n);
    printf("  \"needed_gflop\": %.1f, \"f32_peak_gflops\": %.1f, \"share_of_peak\": %.3f,\n", b->needed / n / 1e9, limits->f32_ops / 1e9, b->needed / all / limits->f32_ops);
    printf("  \"memory\": {\"activations_and_scratch\": %.1f, \"weights_gradients_moments\": %.1f, \"peak\": %.1f, \"unit\": \"MB\"},\n",
           (double)b->step.peak / 1e6, (double)b->trainable.memory_bytes / 1e6, (double)system_peak_memory() / 1e6);
    printf("  \"profile\": {");
    for (int op = 0; op < OP_COUNT; op++)
        for (int lap = 0; lap < LAPS; lap++) {
            known += seconds[op][lap];
            if (seconds[op][lap] > 0) printf("\"%s.%s\": %.3f, ", names[op], laps[lap], seconds[op][lap] / n);
        }
    printf("\"rest of model_learn\": %.3f, \"update\": %.3f}\n", (learn - known) / n, (all - learn) / n);
}

static void open_all(struct bench *b, const char *path, bool full)
{
    sc_error e;
    const void *kernels;
    arena_init(&b->step);
    arena_init(&b->adapters);
    b->exec = (struct exec){ .backend = &timed_backend, .step = &b->step, .many_rows = true };
    if (pool_open(&b->exec.pool, system_cores(), &e) != SC_OK || cpu_backend.kernels(&kernels, "auto", &e) != SC_OK) fail(&e);
    b->exec.kernels = kernels;
    if (comm_open(&b->ranks, "auto", &e) != SC_OK) fail(&e);
    if (model_file_open(&b->file, path, false, &e) != SC_OK || model_bind(&b->model, b->file, &e) != SC_OK) fail(&e);
    const struct adapter_config adapter = { .r = 16, .alpha = 32, .target_modules = "all-linear", .seed = 1 };
    if (!full && adapter_attach(&b->model, &b->adapters, &adapter, &e) != SC_OK) fail(&e);
    if (trainable_open(&b->trainable, &b->model, &(struct trainable_config){ .is_full = full }, &e) != SC_OK) fail(&e);
    b->optimizer = (struct optimizer_config){ .learning_rate = 1e-4, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8 };
    leaf_init(&b->leaf, LENGTH);
}

int main(int argc, char **argv)
{
    static struct bench b;
    struct machine_limits limits;
    sc_dataset *data = NULL;
    sc_error e;
    if (argc < 3) { printf("skipped: bench_learn needs MODEL and DATASET\n"); return 0; }
    bool full = argc > 3 && !strcmp(argv[3], "full");
    size_t steps = argc > 4 ? strtoul(argv[4], NULL, 10) : 3, first = argc > 5 ? strtoul(argv[5], NULL, 10) : 0;
    if (steps < 1 || steps > STEPS_MAX) { fprintf(stderr, "bench_learn: %zu steps, expected 1 to %d\n", steps, STEPS_MAX); return 2; }
    open_all(&b, argv[1], full);
    b.exec.keep_bytes = (argc > 6 ? strtoul(argv[6], NULL, 10) : 0) * 1000000;
    if (sc_dataset_open(&data, argv[2], &e) != SC_OK) fail(&e);
    printf("{\n  \"bench\": \"learn\", \"version\": \"%s\", \"cpu\": \"%s\", \"threads\": %d, \"mode\": \"%s\",\n", sc_version(), system_cpu()->model, pool_threads(b.exec.pool), full ? "full" : "lora");
    cpu_measure(&limits, b.exec.pool);
    for (size_t i = 0; i <= steps; i++) {     /* the first one warms up */
        leaf_fill(&b.leaf, &data->shard[0], (first + 37 * i) % data->shard[0].n_rows, false);
        if (i == 1) {
            memset(seconds, 0, sizeof seconds);
            b.rows = b.trained = b.segments = b.needed = b.processor = 0;
        }
        if (i == 0) dry_step(&b);
        step(&b, i ? i - 1 : 0);
    }
    report(&b, steps, &limits);
    printf("}\n");
    sc_dataset_close(data);
    trainable_close(&b.trainable);
    leaf_release(&b.leaf);
    model_release(&b.model);
    model_file_close(b.file);
    arena_release(&b.adapters);
    arena_release(&b.step);
    pool_close(b.exec.pool);
    return 0;
}
