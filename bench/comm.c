/* comm.c - checks and times the transport between ranks: messages there and back, gathering, broadcasting, and sums in the order
 * of ranks, for several sizes.
 * Usage: mpirun -n N build/bench_comm [MPI]   Without a launcher there is one rank and nothing to time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "comm/comm.h"

enum { RUNS = 11, MOST = 16 << 20 };

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static uint8_t byte_of(int rank, size_t i, int run) { return (uint8_t)(7 * (size_t)rank + 13 * i + (size_t)run); }

static void fill(uint8_t *to, size_t n, int rank, int run) { for (size_t i = 0; i < n; i++) to[i] = byte_of(rank, i, run); }

static sc_status check(const uint8_t *found, size_t n, int rank, int run, sc_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (found[i] != byte_of(rank, i, run)) return FAIL(err, SC_E_PEER, "byte %zu of %zu of rank %d is %d, expected %d", i, n, rank, found[i], byte_of(rank, i, run));
    return SC_OK;
}

/* Rank 0 and the last one send each other a message at the same time. */
static sc_status exchange(struct comm *c, uint8_t *data, size_t n, int run, sc_error *err)
{
    int other = c->rank ? 0 : c->size - 1;
    struct comm_pending p[2];
    if (c->rank && c->rank != c->size - 1) return SC_OK;
    fill(data, n, c->rank, run);
    TRY(comm_send(c, &p[0], other, 1, data, n, err));
    TRY(comm_receive(c, &p[1], other, 1, data + n, n, err));
    TRY(comm_wait(c, p, 2, err));
    return check(data + n, n, other, run, err);
}

static sc_status gather(struct comm *c, uint8_t *data, size_t n, int run, sc_error *err)
{
    size_t part = n / (size_t)c->size;
    fill(data + (size_t)c->rank * part, part, c->rank, run);
    TRY(comm_gather(c, data, part, err));
    for (int r = 0; r < c->size; r++) TRY(check(data + (size_t)r * part, part, r, run, err));
    return SC_OK;
}

static sc_status broadcast(struct comm *c, uint8_t *data, size_t n, int run, sc_error *err)
{
    int root = run % c->size;
    if (c->rank == root) fill(data, n, root, run);
    TRY(comm_broadcast(c, root, data, n, err));
    return check(data, n, root, run, err);
}

/* n bytes of numbers on each rank, added by the owners of their slices. */
static sc_status sum(struct comm *c, uint8_t *data, size_t n, int run, sc_error *err)
{
    float *x = (float *)data, *total = (float *)(data + MOST), *scratch = mem_alloc(comm_sum_floats(c) * sizeof *scratch);
    size_t count = n / sizeof *x, begin = slice_begin(count, c->size, c->rank), own = slice_begin(count, c->size, c->rank + 1) - begin;
    for (size_t i = 0; i < count; i++) x[i] = (float)((size_t)c->rank + i % 1000 + (size_t)run);
    memset(total, 0, own * sizeof *total);
    sc_status status = comm_sum_slices(c, total, x, count, c->size, scratch, err);
    for (size_t i = 0; i < own && status == SC_OK; i++) {
        size_t expected = (size_t)c->size * ((begin + i) % 1000 + (size_t)run) + (size_t)(c->size * (c->size - 1) / 2);
        if ((size_t)total[i] != expected) status = FAIL(err, SC_E_PEER, "sum %zu is %g, expected %zu", begin + i, (double)total[i], expected);
    }
    mem_free(scratch);
    return status;
}

static const struct { const char *name; sc_status (*run)(struct comm *c, uint8_t *data, size_t n, int run, sc_error *err); } tests[] = { { "exchange", exchange }, { "gather", gather }, { "broadcast", broadcast }, { "sum", sum } };

static sc_status measure(struct comm *c, uint8_t *data, sc_error *err)
{
    if (c->rank == 0) printf("%d ranks, %s\n\n| what | bytes | microseconds, filling and checking in it |\n|---|---|---|\n", c->size, c->ops->name);
    for (size_t t = 0; t < sizeof tests / sizeof *tests; t++)
        for (size_t n = 64; n <= MOST; n *= 64) {
            double time[RUNS];
            for (int i = 0; i < RUNS; i++) {
                TRY(comm_barrier(c, err));
                double begin = clock_seconds();
                TRY(tests[t].run(c, data, n, i, err));
                time[i] = clock_seconds() - begin;
            }
            qsort(time, RUNS, sizeof *time, compare);
            if (c->rank == 0) printf("| %s | %zu | %.1f |\n", tests[t].name, n, 1e6 * time[RUNS / 2]);
        }
    int word = 1;
    return comm_agree(c, "the number 1", &word, sizeof word, err);
}

int main(int argc, char **argv)
{
    struct comm c;
    sc_error e = { 0 };
    sc_status status = comm_open(&c, argc > 1 ? argv[1] : "auto", &e);
    if (status != SC_OK) { fprintf(stderr, "bench_comm: %s\n", e.message); return 1; }
    if (c.size == 1) printf("bench_comm: one rank, nothing to time; start it with mpirun -n 2\n");
    uint8_t *data = mem_zero(2, MOST);
    if (c.size > 1) status = measure(&c, data, &e);
    mem_free(data);
    if (status != SC_OK) {
        fprintf(stderr, "bench_comm: rank %d: %s\n", c.rank, e.message);
        comm_abort(&c);
        return 1;
    }
    comm_close(&c);
    return 0;
}
