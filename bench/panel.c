/* panel.c - speed of the int8 panel kernels alone, on one thread and in cache: operations a second of processor time, for each
 * type and number of activation rows, beside the burst of int8 products that the set can do at most.
 * Usage: bench_panel [KERNELS] */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cpu/cpu.h"

enum { COLS = 2048, ROWS = 32, MOST_X = 64 };

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { ROUNDS = 41 };

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double burst_rate(const struct cpu_kernels *k)
{
    double begin = cpu_seconds(), ops = k->burst_i8(100000);
    return ops / (cpu_seconds() - begin);
}

static double panel_rate(const struct cpu_kernels *k, enum dtype t, const char *packed, const struct i8_rows *x, size_t n_x)
{
    static float out[MOST_X * ROWS];
    double ops = 2.0 * COLS * ROWS * (double)n_x, begin = cpu_seconds();
    size_t times = 64 / n_x * 4 + 1;
    for (size_t i = 0; i < times; i++)
        for (size_t j = 0; j < ROWS; j += PANEL) k->dot_panel[t](out + j, ROWS, packed + j / PANEL * panel_bytes(t, COLS), PANEL, x, 0, n_x);
    return ops * (double)times / (cpu_seconds() - begin);
}

/* Median share of the burst's rate, both measured in turn: the clock of a shared machine wanders. */
static double share(double *rate, const struct cpu_kernels *k, enum dtype t, const char *packed, const struct i8_rows *x, size_t n_x)
{
    double shares[ROUNDS], rates[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        double limit = burst_rate(k);
        rates[i] = panel_rate(k, t, packed, x, n_x);
        shares[i] = 2 * rates[i] / (limit + burst_rate(k));
    }
    qsort(shares, ROUNDS, sizeof *shares, compare);
    qsort(rates, ROUNDS, sizeof *rates, compare);
    *rate = rates[ROUNDS / 2];
    return shares[ROUNDS / 2];
}

int main(int argc, char **argv)
{
    static const enum dtype types[] = { DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K };
    static const size_t counts[] = { 1, 2, 4, 16, 64 };
    static int8_t q[MOST_X * COLS];
    static float scale[MOST_X * COLS / 32], sum[MOST_X * COLS / 32], x[COLS], w[COLS];
    static int16_t sum16[MOST_X * COLS / 16];
    const void *set;
    sc_error e = { 0 };
    if (cpu_backend.kernels(&set, argc > 1 ? argv[1] : "auto", &e) != SC_OK) { fprintf(stderr, "bench_panel: %s\n", e.message); return 1; }
    const struct cpu_kernels *k = set;
    for (size_t r = 0; r < MOST_X; r++) {
        random_normal(x, COLS, 1, 1, r * COLS);
        k->quantize_row(q + r * COLS, scale + r * COLS / 32, sum + r * COLS / 32, sum16 + r * COLS / 16, x, COLS);
    }
    const struct i8_rows rows = { q, scale, sum, sum16, COLS };
    printf("%s: GOP/s and share of the burst\n%-6s", k->name, "type");
    for (size_t i = 0; i < 5; i++) printf(" %9zu rows", counts[i]);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        enum dtype t = types[i];
        char *raw = mem_alloc(ROWS * dtype_row_bytes(t, COLS)), *packed = mem_alloc(ROWS / PANEL * panel_bytes(t, COLS));
        for (size_t r = 0; r < ROWS; r++) {
            random_normal(w, COLS, 2, 1, r * COLS);
            dtypes[t].from_f32(raw + r * dtype_row_bytes(t, COLS), w, COLS);
        }
        for (size_t j = 0; j < ROWS; j += PANEL) panel_pack(packed + j / PANEL * panel_bytes(t, COLS), t, raw + j * dtype_row_bytes(t, COLS), PANEL, COLS);
        printf("\n%-6s", dtypes[t].name);
        for (size_t c = 0; c < 5; c++) {
            double rate, part = share(&rate, k, t, packed, &rows, counts[c]);
            printf("  %6.0f %3.0f %%", rate * 1e-9, 100 * part);
        }
        mem_free(raw);
        mem_free(packed);
    }
    printf("\n");
    return 0;
}
