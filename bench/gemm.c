/* gemm.c - times products of training shapes (1024 rows of SmolLM2-135M and StarCoder-1B) in their three forms: forward
 * x w', gradient of the input y w, gradient of the weight y' x. Usage: bench_gemm [THREADS [LIBRARY]]   With the path of a
 * library that has cblas_sgemm (OpenBLAS) its time stands beside ours, run in turn. Prints one JSON object.
 *
 * `share` is of the f32 peak measured in the same seconds, by processor time, so that other work counts less. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cpu/cpu.h"

enum { RUNS = 3, ROWS = 1024, NO_TRANSPOSE = 111, TRANSPOSE = 112, ROW_MAJOR = 101 };
#define RUN_SECONDS 0.1

typedef void sgemm(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);

static const struct { const char *name; size_t in, out; } shapes[] = {
    { "smollm2 q, o", 576, 576 }, { "smollm2 k, v", 576, 192 }, { "smollm2 gate, up", 576, 1536 }, { "smollm2 down", 1536, 576 }, { "adapter", 576, 16 },
    { "starcoder-1b qkv", 2048, 2304 }, { "starcoder-1b up", 2048, 8192 }, { "starcoder-1b down", 8192, 2048 },
};

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void blas(sgemm *fn, const struct gemm *g)
{
    fn(ROW_MAJOR, g->a.transposed ? TRANSPOSE : NO_TRANSPOSE, g->b.transposed ? TRANSPOSE : NO_TRANSPOSE, (int)g->m, (int)g->n, (int)g->k, 1, g->a.data, (int)g->a.stride,
       g->b.data, (int)g->b.stride, g->add ? 1 : 0, g->c, (int)g->ldc);
}

/* Operations a second and core. */
static double rate(struct exec *e, sgemm *fn, const struct gemm *g)
{
    double begin = processor_seconds(), ops = 0, seconds;
    do {
        if (fn) blas(fn, g); else gemm_run(e, g);
        ops += 2 * (double)g->m * (double)g->n * (double)g->k;
        seconds = processor_seconds() - begin;
    } while (seconds < RUN_SECONDS);
    return ops / seconds;
}

static double peak(const struct cpu_kernels *k)
{
    double begin = processor_seconds(), ops = k->burst_f32(4000000);
    return ops / (processor_seconds() - begin);
}

static void time_form(struct exec *e, sgemm *fn, const char *shape, const char *form, const struct gemm *g)
{
    double ours[RUNS], theirs[RUNS], limit[RUNS];
    for (int i = 0; i < RUNS; i++) {
        limit[i] = peak(e->kernels);
        ours[i] = rate(e, NULL, g) / limit[i];
        theirs[i] = fn ? rate(e, fn, g) / limit[i] : 0;
    }
    qsort(ours, RUNS, sizeof *ours, compare);
    qsort(theirs, RUNS, sizeof *theirs, compare);
    qsort(limit, RUNS, sizeof *limit, compare);
    printf("  {\"shape\": \"%s\", \"form\": \"%s\", \"m\": %zu, \"n\": %zu, \"k\": %zu, \"peak_gflops\": %.1f, \"share\": %.3f", shape, form, g->m, g->n, g->k, limit[RUNS / 2] / 1e9, ours[RUNS / 2]);
    if (fn) printf(", \"blas_share\": %.3f", theirs[RUNS / 2]);
    printf("},\n");
}

static void time_shape(struct exec *e, sgemm *fn, const char *name, size_t in, size_t out)
{
    float *x = mem_alloc(ROWS * in * sizeof *x), *y = mem_alloc(ROWS * out * sizeof *y), *w = mem_alloc(in * out * sizeof *w);
    random_normal(x, ROWS * in, 1, 1, 0);
    random_normal(y, ROWS * out, 1, 2, 0);
    random_normal(w, in * out, 1, 3, 0);
    struct gemm forward = { y, out, ROWS, out, in, { x, DTYPE_F32, in, false }, { w, DTYPE_F32, in, true }, false };
    struct gemm input = { x, in, ROWS, in, out, { y, DTYPE_F32, out, false }, { w, DTYPE_F32, in, false }, false };
    struct gemm weight = { w, in, out, in, ROWS, { y, DTYPE_F32, out, true }, { x, DTYPE_F32, in, false }, false };
    time_form(e, fn, name, "forward", &forward);
    memset(y, 0, ROWS * out * sizeof *y);
    time_form(e, fn, name, "input gradient", &input);
    time_form(e, fn, name, "weight gradient", &weight);
    mem_free(x);
    mem_free(y);
    mem_free(w);
}

int main(int argc, char **argv)
{
    sc_error e;
    struct arena step;
    const void *kernels;
    int threads = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1;
    void *library = argc > 2 ? dlopen(argv[2], RTLD_NOW) : NULL;
    if (argc > 2 && !library) { fprintf(stderr, "bench_gemm: %s\n", dlerror()); return 1; }
    sgemm *fn = NULL;
    if (library) *(void **)&fn = dlsym(library, "cblas_sgemm");
    arena_init(&step);
    struct exec exec = { .backend = &cpu_backend, .step = &step, .many_rows = true };
    if (pool_open(&exec.pool, threads, &e) != SC_OK || cpu_backend.kernels(&kernels, "auto", &e) != SC_OK) { fprintf(stderr, "bench_gemm: %s\n", e.message); return 1; }
    exec.kernels = kernels;
    printf("{\"bench\": \"gemm\", \"version\": \"%s\", \"cpu\": \"%s\", \"threads\": %d, \"runs\": %d, \"products\": [\n", sc_version(), system_cpu()->model, threads, RUNS);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) time_shape(&exec, fn, shapes[i].name, shapes[i].in, shapes[i].out);
    printf("  {}]}\n");
    pool_close(exec.pool);
    arena_release(&step);
    return 0;
}
