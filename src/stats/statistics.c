/* statistics.c - how sure a difference is. */
#include "stats/stats.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_BOOTSTRAP, STREAM_FLIPS };

/* ---- exact ---------------------------------------------------------------------------------------------------------------------------- */

static double log_factorial(double n)
{
    int sign;
    return lgamma_r(n + 1, &sign);
}

/* Twice the lower tail of a fair coin. The terms are summed from the largest down, each from the one before, so that only the first needs logarithms. */
double stats_mcnemar(uint64_t b, uint64_t c)
{
    double n = (double)b + (double)c, k = (double)(b < c ? b : c), term = 1, sum = 0;
    if (b == c) return 1;
    double log_first = log_factorial(n) - log_factorial(k) - log_factorial(n - k) - n * log(2);
    for (double i = k; i >= 0 && term > 0; i--) {
        sum += term;
        if (term < sum * 1e-18) break;
        term *= i / (n - i + 1);
    }
    double p = 2 * exp(log_first + log(sum));
    return p < 1 ? p : 1;
}

struct stats_interval stats_wilson(double right, double n)
{
    double share = right / n, z2 = STATS_Z * STATS_Z, middle = (share + z2 / (2 * n)) / (1 + z2 / n);
    double half = STATS_Z / (1 + z2 / n) * sqrt(share * (1 - share) / n + z2 / (4 * n * n));
    return (struct stats_interval){ right > 0 ? middle - half : 0, right < n ? middle + half : 1 };
}

double stats_smallest_difference(double error) { return (STATS_Z + 0.8416212335729143) * error; }

struct ranked { double p; size_t at; };
static int by_p(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return (x->p > y->p) - (x->p < y->p);
}

void stats_holm(double *adjusted, const double *p, size_t n)
{
    struct ranked *r = mem_alloc((n + 1) * sizeof *r);
    double most = 0;
    for (size_t i = 0; i < n; i++) r[i] = (struct ranked){ p[i], i };
    qsort(r, n, sizeof *r, by_p);
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fmin(1, (double)(n - i) * r[i].p));
        adjusted[r[i].at] = most;
    }
    mem_free(r);
}

double stats_pass_at_k(size_t n, size_t c, size_t k)
{
    double all_wrong = 1;
    assert(c <= n && k >= 1 && k <= n);
    if (c > n - k) return 1;
    for (size_t i = n - c + 1; i <= n; i++) all_wrong *= (double)(i - k) / (double)i;
    return c ? 1 - all_wrong : 0;
}

/* ---- by drawing ------------------------------------------------------------------------------------------------------------------------- */

/* The words of a stream in order, as random_u32 numbers them, four from each block. */
struct words { uint32_t key[2], stream, word[4]; uint64_t next; };

static uint32_t next_word(struct words *w)
{
    if (w->next % 4 == 0) {
        uint64_t i = w->next / 4;
        philox(w->word, (uint32_t[4]){ (uint32_t)i, (uint32_t)(i >> 32), w->stream, 0 }, w->key);
    }
    return w->word[w->next++ % 4];
}

static struct words words_of(uint64_t seed, uint32_t stream) { return (struct words){ .key = { (uint32_t)seed, (uint32_t)(seed >> 32) }, .stream = stream }; }

static void add_pair(struct stats_pair *sum, const struct stats_pair *x)
{
    sum->a += x->a;
    sum->a_weight += x->a_weight;
    sum->b += x->b;
    sum->b_weight += x->b_weight;
}

static double difference(const struct stats_pair *sum, double scale) { return scale * (sum->b / sum->b_weight - sum->a / sum->a_weight); }

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which `share` of the sorted ones lie, linear between two. */
static double quantile(const double *sorted, size_t n, double share)
{
    double at = share * (double)(n - 1);
    size_t below = (size_t)at, above = below + 1 < n ? below + 1 : below;
    return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

static struct stats_interval bootstrap(const struct stats_pair *x, size_t n, double scale, uint64_t seed, size_t draws)
{
    struct words w = words_of(seed, STREAM_BOOTSTRAP);
    double *found = mem_alloc((draws + 1) * sizeof *found);
    for (size_t d = 0; d < draws; d++) {
        struct stats_pair sum = { 0 };
        for (size_t i = 0; i < n; i++) add_pair(&sum, &x[(uint64_t)next_word(&w) * n >> 32]);
        found[d] = difference(&sum, scale);
    }
    qsort(found, draws, sizeof *found, by_value);
    struct stats_interval out = { quantile(found, draws, 0.025), quantile(found, draws, 0.975) };
    mem_free(found);
    return out;
}

struct stats_sums stats_paired_sums(const struct stats_pair *x, size_t n, double scale, uint64_t seed, size_t draws)
{
    struct stats_pair sum = { 0 };
    double squares = 0;
    for (size_t i = 0; i < n; i++) add_pair(&sum, &x[i]);
    struct stats_sums out = { .a = sum.a / sum.a_weight, .b = sum.b / sum.b_weight, .difference = difference(&sum, scale), .error = (double)NAN };
    for (size_t i = 0; i < n; i++) {
        /* What the cluster moves the difference by, to first order; of means (x - mean) / n. */
        double pull = scale * ((x[i].b - out.b * x[i].b_weight) / sum.b_weight - (x[i].a - out.a * x[i].a_weight) / sum.a_weight);
        squares += pull * pull;
    }
    if (n > 1) out.error = sqrt(squares * (double)n / (double)(n - 1));
    out.interval = bootstrap(x, n, scale, seed, draws);
    return out;
}

double stats_sign_flip(const struct stats_pair *x, size_t n, double scale, uint64_t seed, size_t draws)
{
    struct words w = words_of(seed, STREAM_FLIPS);
    struct stats_pair sum = { 0 };
    size_t as_large = 0;
    for (size_t i = 0; i < n; i++) add_pair(&sum, &x[i]);
    double found = fabs(difference(&sum, scale)) * (1 - 1e-12);      /* other orders of the sum round differently */
    for (size_t d = 0; d < draws; d++) {
        uint32_t coins = 0;
        sum = (struct stats_pair){ 0 };
        for (size_t i = 0; i < n; i++, coins >>= 1) {
            if (i % 32 == 0) coins = next_word(&w);
            if (coins & 1) add_pair(&sum, &(struct stats_pair){ x[i].b, x[i].b_weight, x[i].a, x[i].a_weight });
            else add_pair(&sum, &x[i]);
        }
        as_large += fabs(difference(&sum, scale)) >= found;
    }
    return (double)(as_large + 1) / (double)(draws + 1);
}
