/* aggregate.c - one number from those of all documents, with its standard error, as lm-eval 0.4 computes both (lm_eval/api/metrics.py). */
#include "eval/eval_internal.h"

#include <math.h>

enum { BOOTSTRAPS = 100000, OF_ONE_SEED = 1000 };

static double sum_of(const struct eval_number *x, size_t n, bool weights)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += weights ? x[i].weight : x[i].value;
    return sum;
}

/* sqrt(sum (x - mean)^2 / (n - 1)) */
static double deviation(const double *x, size_t n)
{
    double mean = 0, sum = 0;
    for (size_t i = 0; i < n; i++) mean += x[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++) sum += (x[i] - mean) * (x[i] - mean);
    return sqrt(sum / (double)(n - 1));
}

/* random.random(): 53 bits. */
static double unit(struct python_random *r)
{
    uint32_t a = python_random_u32(r) >> 5, b = python_random_u32(r) >> 6;
    return ((double)a * 67108864.0 + (double)b) * (1.0 / 9007199254740992.0);
}

struct bootstrap { const struct eval_number *x; size_t n; double *out; };

/* Seed i makes draws [1000 i, 1000 i + 1000): the reference's chunks, so that threads change nothing. */
static void draw_chunk(void *arg, size_t i, int worker)
{
    struct bootstrap *b = arg;
    struct python_random r;
    (void)worker;
    python_random_seed(&r, i);
    for (size_t k = 0; k < OF_ONE_SEED; k++) {
        double sum = 0;
        for (size_t j = 0; j < b->n; j++) sum += b->x[(size_t)(unit(&r) * (double)b->n)].value;
        b->out[i * OF_ONE_SEED + k] = exp(-(sum / (double)b->n));
    }
}

static double perplexity_error(const struct eval_number *x, size_t n, struct pool *pool)
{
    struct bootstrap b = { x, n, mem_alloc(BOOTSTRAPS * sizeof *b.out) };
    pool_run(pool, BOOTSTRAPS / OF_ONE_SEED, draw_chunk, &b);
    double error = deviation(b.out, BOOTSTRAPS);
    mem_free(b.out);
    return error;
}

static double mean_error(const struct eval_number *x, size_t n)
{
    double *v = mem_alloc(n * sizeof *v);
    for (size_t i = 0; i < n; i++) v[i] = x[i].value;
    double error = deviation(v, n) / sqrt((double)n);
    mem_free(v);
    return error;
}

struct eval_result eval_aggregate(enum eval_aggregation how, const struct eval_number *x, size_t n, struct pool *pool)
{
    struct eval_result r = { .has_error = n > 1 && (how == AGGREGATE_MEAN || how == AGGREGATE_PERPLEXITY) };
    double sum = sum_of(x, n, false);
    switch (how) {
    case AGGREGATE_MEAN:
        r.value = sum / (double)n;
        if (r.has_error) r.error = mean_error(x, n);
        break;
    case AGGREGATE_PERPLEXITY:
        r.value = exp(-(sum / (double)n));
        if (r.has_error) r.error = perplexity_error(x, n, pool);
        break;
    case AGGREGATE_WORDS:
    case AGGREGATE_TOKENS:
    case AGGREGATE_BYTES: r.value = exp(-(sum / sum_of(x, n, true))); break;
    case AGGREGATE_BITS: r.value = -(sum / sum_of(x, n, true)) / log(2); break;
    }
    return r;
}
