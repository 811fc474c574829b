/* measure.c - what this machine can do: reading memory with every thread, and multiply-adds in registers. The share of
 * these limits that a model reaches is what `bench` reports. */
#include "cpu/cpu.h"

#include <string.h>

enum { READ_BYTES = 256 << 20, PIECES = 64 };

struct read_job { const uint64_t *data; volatile uint64_t sum; };

static void read_piece(void *arg, size_t i, int worker)
{
    struct read_job *job = arg;
    size_t n = READ_BYTES / PIECES / sizeof(uint64_t);
    const uint64_t *p = job->data + i * n;
    uint64_t a[8] = { 0 };
    (void)worker;
    for (size_t j = 0; j < n; j += 8)
        for (size_t l = 0; l < 8; l++) a[l] ^= p[j + l];
    job->sum ^= a[0] ^ a[1] ^ a[2] ^ a[3] ^ a[4] ^ a[5] ^ a[6] ^ a[7];
}

struct burst_job { double (*burst)(size_t); double ops[1024]; };

static void burst_piece(void *arg, size_t i, int worker)
{
    struct burst_job *job = arg;
    (void)worker;
    job->ops[i] = job->burst(4000000);
}

static double best_burst(struct pool *pool, double (*burst)(size_t))
{
    struct burst_job job = { .burst = burst };
    size_t n = (size_t)pool_threads(pool);
    double best = 0;
    for (int round = 0; round < 3; round++) {
        double begin = clock_seconds(), ops = 0;
        pool_run(pool, n, burst_piece, &job);
        double seconds = clock_seconds() - begin;
        for (size_t i = 0; i < n; i++) ops += job.ops[i];
        best = ops / seconds > best ? ops / seconds : best;
    }
    return best;
}

void cpu_measure(struct machine_limits *out, struct pool *pool)
{
    const void *kernels = NULL;
    *out = (struct machine_limits){ 0 };
    if (cpu_backend.kernels(&kernels, "auto", NULL) != SC_OK) return;
    const struct cpu_kernels *k = kernels;
    void *data = NULL;
    if (mem_reserve(&data, READ_BYTES, "the bandwidth measurement", NULL) == SC_OK) {
        mem_prefer_large_pages(data, READ_BYTES);         /* as packed weights have */
        memset(data, 1, READ_BYTES);
        struct read_job job = { data, 0 };
        for (int round = 0; round < 5; round++) {
            double begin = clock_seconds();
            pool_run(pool, PIECES, read_piece, &job);
            double rate = READ_BYTES / (clock_seconds() - begin);
            out->read_bytes = rate > out->read_bytes ? rate : out->read_bytes;
        }
        mem_unreserve(data, READ_BYTES);
    }
    out->f32_ops = best_burst(pool, k->burst_f32);
    out->int8_ops = best_burst(pool, k->burst_i8);
}
