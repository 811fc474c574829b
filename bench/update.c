/* update.c - times what a step of full training does to all parameters: clearing and adding gradients, clipping, the
 * update, for every storage; and what the machine could do if memory were the only limit.
 * Usage: bench_update [MILLIONS OF PARAMETERS [THREADS]] (135, all cores) */
#include <stdio.h>
#include <stdlib.h>

#include "cpu/cpu.h"
#include "train/train.h"

enum { RUNS = 3 };

static void fail(const sc_error *e)
{
    fprintf(stderr, "bench_update: %s\n", e->message);
    exit(1);
}

static void *reserve(size_t bytes)
{
    sc_error e = { 0 };
    void *p;
    if (mem_reserve(&p, bytes, "parameters", &e) != SC_OK) fail(&e);
    return p;
}

/* One tensor that is all of the model, and all of one group; n: whole grains. */
static void make(struct trainable *t, struct tensor *tensor, enum value_storage values, enum moment_storage moments, size_t n)
{
    static struct parameter parameter;
    static size_t group_begin[2];
    static float *group_grad[1];
    static struct moments8 m8, v8;
    *tensor = (struct tensor){ .dtype = values == VALUE_F32 ? DTYPE_F32 : DTYPE_BF16, .rows = 1, .cols = n };
    parameter = (struct parameter){ .rows = 1, .cols = n, .decays = true, .tensor = tensor, .own_n = n, .sum = reserve(4 * n) };
    parameter.value = values == VALUE_BF16_STOCHASTIC ? NULL : reserve(4 * n);
    parameter.half = values == VALUE_F32 ? NULL : reserve(2 * n);
    tensor->data = values == VALUE_F32 ? (void *)parameter.value : parameter.half;
    tensor->grad = reserve(4 * n);
    group_begin[1] = n;
    group_grad[0] = tensor->grad;
    if (moments == MOMENT_8BIT) {
        m8 = (struct moments8){ reserve(n), reserve(n / 64 + 4) };
        v8 = (struct moments8){ reserve(n), reserve(n / 64 + 4) };
        parameter.m8 = &m8;
        parameter.v8 = &v8;
    } else {
        parameter.m = reserve(4 * n);
        parameter.v = reserve(4 * n);
    }
    *t = (struct trainable){ .parameter = &parameter, .n = 1, .n_groups = 1, .group_begin = group_begin, .own_begin = group_begin, .group_grad = group_grad, .elements = n, .trained = n, .sum = parameter.sum,
                             .sharing = { .size = 1 }, .values = values, .moments = moments };
}

static void release(struct trainable *t, struct tensor *tensor)
{
    struct parameter *p = t->parameter;
    size_t n = t->elements;
    if (tensor->data != p->value) mem_unreserve(tensor->data, 2 * n);
    if (p->value) mem_unreserve(p->value, 4 * n);
    if (p->m) { mem_unreserve(p->m, 4 * n); mem_unreserve(p->v, 4 * n); }
    else {
        mem_unreserve(p->m8->code, n); mem_unreserve(p->m8->largest, n / 64 + 4);
        mem_unreserve(p->v8->code, n); mem_unreserve(p->v8->largest, n / 64 + 4);
    }
    mem_unreserve(t->sum, 4 * n);
    mem_unreserve(tensor->grad, 4 * n);
}

static void report(const char *what, double seconds, double bytes, size_t n)
{
    printf("%-34s %6.0f ms  %5.2f ns a parameter  %5.1f GB/s\n", what, seconds * 1e3, seconds * 1e9 / (double)n, bytes * (double)n / seconds / 1e9);
}

static double best_of(void (*work)(void *), void *arg)
{
    double best = 1e9;
    for (int i = 0; i <= RUNS; i++) {               /* the first one takes the memory */
        double from = clock_seconds();
        work(arg);
        double took = clock_seconds() - from;
        if (i && took < best) best = took;
    }
    return best;
}

struct work { struct trainable t; struct pool *pool; struct optimizer_config c; struct comm ranks; const struct optimizer *o; int64_t step; };

static void begin_leaf(void *arg) { struct work *w = arg; trainable_begin_leaf(&w->t, w->pool); }
static void end_leaf(void *arg) { struct work *w = arg; trainable_end_leaf(&w->t, w->pool); }

static void clip(void *arg)
{
    struct work *w = arg;
    sc_error e;
    double norm;
    if (gradient_clip(&norm, &w->t, 0, &w->ranks, w->pool, &e) != SC_OK) fail(&e);
}

static void update(void *arg) { struct work *w = arg; w->o->update(&w->t, &w->c, ++w->step, w->pool); }

int main(int argc, char **argv)
{
    static const char *const names[] = { "f32", "bf16 + master", "bf16 at random" };
    size_t millions = argc > 1 ? strtoul(argv[1], NULL, 10) : 135, n = (millions * 1000000 + SLICE_GRAIN - 1) / SLICE_GRAIN * SLICE_GRAIN;
    sc_error e = { 0 };
    struct work w = { .c = { .learning_rate = 1e-4, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.01, .momentum = 0.9, .seed = 1 } };
    struct machine_limits limits;
    struct tensor tensor;
    if (pool_open(&w.pool, argc > 2 ? (int)strtol(argv[2], NULL, 10) : system_cores(), &e) != SC_OK || comm_open(&w.ranks, "auto", &e) != SC_OK) fail(&e);
    cpu_measure(&limits, w.pool);
    printf("%zu million parameters, %d threads, memory reads %.1f GB/s\n", n / 1000000, pool_threads(w.pool), limits.read_bytes / 1e9);
    for (int values = 0; values < 3; values++)
        for (int moments = 0; moments < 2; moments++) {
            static const double value_bytes[] = { 8, 10, 4 };
            char what[64];
            make(&w.t, &tensor, (enum value_storage)values, (enum moment_storage)moments, n);
            for (size_t i = 0; i < n; i++) w.t.sum[i] = 1e-3f * (float)((i * 2654435761u & 0xffff) / 32768.0 - 1);
            if (!values && !moments) {
                report("begin_leaf", best_of(begin_leaf, &w), 4, n);
                report("end_leaf", best_of(end_leaf, &w), 12, n);
                report("norm of the gradient", best_of(clip, &w), 4, n);
            }
            for (w.o = optimizers; w.o->name; w.o++) {
                bool is_adam = w.o == optimizers;
                snprintf(what, sizeof what, "%s, %s, %s moments", w.o->name, names[values], moments ? "8-bit" : "f32");
                report(what, best_of(update, &w), 4 + value_bytes[values] + (is_adam ? 2 : 1) * (moments ? 2.03 : 8), n);
            }
            release(&w.t, &tensor);
        }
    pool_close(w.pool);
    return 0;
}
