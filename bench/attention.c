/* attention.c - times attention alone: one token behind a filled cache, all layers, for each type of cache.
 * Usage: bench_attention [THREADS [DEPTH [HEADS [KV_HEADS [HEAD_DIM [LAYERS [CACHE]]]]]]]   StarCoderBase-1B's shape unless told otherwise.
 *
 * What is needed at least: a product of each query with its keys and one of its probabilities with its values, beside the rates of
 * f32 and int8 bursts measured in turn. A cache of a layer is read after all others, as in a pass. */
#include <stdio.h>
#include <stdlib.h>

#include "cpu/cpu.h"
#include "infer/infer.h"

enum { RUNS = 15 };

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static struct tensor normal(struct arena *a, size_t cols, uint64_t stream)
{
    struct tensor t = { .dtype = DTYPE_F32, .rows = 1, .cols = cols, .data = arena_take(a, cols * sizeof(float)) };
    random_normal(t.data, cols, 1, stream, 0);
    return t;
}

static void step(struct exec *e, struct attention *a, struct kv_cache *cache, size_t layers, size_t position, const struct tensor *in[3], struct tensor *out)
{
    int32_t at = (int32_t)position, sequence = 0;
    struct batch b = { .rows = 1, .token = &sequence, .position = &at, .sequence = &sequence, .caches = &cache };
    for (a->layer = 0; a->layer < layers; a->layer++) {
        struct op_call c = { .out = out, .in = { in[0], in[1], in[2] }, .batch = &b, .attr.attention = *a };
        cpu_backend.op[OP_attention].forward(e, &c);
    }
}

static double middle(double *v)
{
    qsort(v, RUNS, sizeof *v, compare);
    return v[RUNS / 2];
}

static void measure(struct exec *e, enum dtype type, struct attention a, size_t layers, size_t depth)
{
    const struct cpu_kernels *k = e->kernels;
    struct kv_cache cache = { type, layers, a.kv_heads, a.head_dim, depth + 1, NULL };
    struct kv_pages pages;
    sc_error err = { 0 };
    if (kv_pages_init(&pages, &cache, kv_page_count(depth + 1), &err) != SC_OK) { fprintf(stderr, "bench_attention: %s\n", err.message); exit(1); }
    kv_cache_open(&cache, &pages, depth + 1);
    kv_cache_room(&pages, &cache, 0, depth + 1, NULL);
    double bytes = 2 * (double)(layers * a.kv_heads * (depth + 1) * dtype_row_bytes(type, a.head_dim));
    struct arena_mark mark = arena_mark(e->step);
    struct tensor q = normal(e->step, a.heads * a.head_dim, 1), key = normal(e->step, a.kv_heads * a.head_dim, 2), value = normal(e->step, a.kv_heads * a.head_dim, 3), out = normal(e->step, q.cols, 4);
    const struct tensor *in[3] = { &q, &key, &value };
    double time[RUNS], f32[RUNS], i8[RUNS], begin;
    for (size_t i = 0; i < kv_page_count(cache.capacity); i++) memset(cache.page[i], 0x11, kv_page_bytes(&cache));      /* small numbers in each type */
    step(e, &a, &cache, layers, depth, in, &out);
    for (size_t i = 0; i < RUNS; i++) {
        begin = clock_seconds();
        double ops = k->burst_f32(1000000);
        f32[i] = ops / (clock_seconds() - begin);
        begin = clock_seconds();
        ops = k->burst_i8(1000000);
        i8[i] = ops / (clock_seconds() - begin);
        begin = clock_seconds();
        step(e, &a, &cache, layers, depth, in, &out);
        time[i] = clock_seconds() - begin;
    }
    double t = middle(time), ops = 4.0 * (double)(layers * a.heads * a.head_dim) * (double)(depth + 1) / pool_threads(e->pool);
    printf("| %s | %.2f | %.2f | %.2f | %.1f |\n", dtypes[type].name, 1e3 * t, ops / t / middle(f32), ops / t / middle(i8), 1e-9 * bytes / t);
    fflush(stdout);
    arena_rewind(e->step, mark);
    kv_cache_close(&pages, &cache);
    kv_pages_release(&pages);
}

int main(int argc, char **argv)
{
    static const enum dtype types[] = { DTYPE_F32, DTYPE_F16, DTYPE_Q8_0 };
    size_t given[6] = { 2, 7000, 16, 1, 128, 24 };
    struct arena step;
    struct exec e = { .backend = &cpu_backend, .step = &step };
    sc_error err = { 0 };
    for (int i = 1; i < argc && i <= 6; i++) given[i - 1] = strtoull(argv[i], NULL, 10);
    struct attention a = { .heads = given[2], .kv_heads = given[3], .head_dim = given[4], .scale = 0.05f };
    if (pool_open(&e.pool, (int)given[0], &err) != SC_OK || cpu_backend.kernels(&e.kernels, "auto", &err) != SC_OK) { fprintf(stderr, "bench_attention: %s\n", err.message); return 1; }
    arena_init(&step);
    printf("%zu threads, one token behind %zu, %zu layers, %zu heads of %zu over %zu\n\n| cache | ms | of f32 burst | of int8 burst | GB/s |\n|---|---|---|---|---|\n", given[0], given[1], given[5], given[2], given[4], given[3]);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (argc < 8 || !strcmp(argv[7], dtypes[types[i]].name)) measure(&e, types[i], a, given[5], given[1]);
    arena_release(&step);
    pool_close(e.pool);
    return 0;
}
