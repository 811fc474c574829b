/* bootstrap.c - how sure a difference is, by drawing clusters again (Efron 1979) or by swapping sides. */
#include "stats/stats_internal.h"

#include <math.h>
#include <stdlib.h>

/* ---- draws ---------------------------------------------------------------------------------------------------------------------------------- */

uint32_t draws_next(struct draws *w)
{
    if (w->next % 4 == 0) {
        uint64_t i = w->next / 4;
        philox(w->word, (uint32_t[4]){ (uint32_t)i, (uint32_t)(i >> 32), w->stream, 0 }, w->key);
    }
    return w->word[w->next++ % 4];
}

struct draws draws_of(uint64_t seed, uint32_t stream) { return (struct draws){ .key = { (uint32_t)seed, (uint32_t)(seed >> 32) }, .stream = stream }; }

size_t draws_below(struct draws *w, size_t n) { return (uint64_t)draws_next(w) * n >> 32; }

void draws_shuffle(struct draws *w, size_t *x, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = draws_below(w, i), kept = x[j];
        x[j] = x[i - 1];
        x[i - 1] = kept;
    }
}

int stats_by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which `q` of the sorted ones lie, linear between two. */
double stats_quantile_sorted(const double *sorted, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t below = (size_t)at, above = below + 1 < n ? below + 1 : below;
    return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

double stats_cut(size_t n_clusters)
{
    double n = (double)n_clusters;
    return n_clusters < 2 ? 0 : 0.5 * erfc(sqrt(n / (n - 1)) * stats_t_quantile(0.975, n - 1) / sqrt(2));
}

/* ---- sums of clusters -------------------------------------------------------------------------------------------------------------------------- */

static void add_pair(struct stats_pair *sum, const struct stats_pair *x)
{
    sum->a += x->a;
    sum->a_weight += x->a_weight;
    sum->b += x->b;
    sum->b_weight += x->b_weight;
}

static double difference(const struct stats_pair *sum, double scale) { return scale * (sum->b / sum->b_weight - sum->a / sum->a_weight); }

static struct stats_interval bootstrap(const struct stats_pair *x, size_t n, double scale, uint64_t seed, size_t draws, double cut)
{
    struct draws w = draws_of(seed, STREAM_BOOTSTRAP);
    double *found = mem_alloc((draws + 1) * sizeof *found);
    for (size_t d = 0; d < draws; d++) {
        struct stats_pair sum = { 0 };
        for (size_t i = 0; i < n; i++) add_pair(&sum, &x[draws_below(&w, n)]);
        found[d] = difference(&sum, scale);
    }
    qsort(found, draws, sizeof *found, stats_by_value);
    struct stats_interval out = { stats_quantile_sorted(found, draws, cut), stats_quantile_sorted(found, draws, 1 - cut) };
    mem_free(found);
    return out;
}

static struct stats_sums sums_of(const struct stats_pair *x, size_t n, double scale, uint64_t seed, size_t draws, double cut)
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
    out.interval = bootstrap(x, n, scale, seed, draws, cut);
    return out;
}

struct stats_sums stats_paired_sums(const struct stats_pair *x, size_t n, double scale, uint64_t seed, size_t draws) { return sums_of(x, n, scale, seed, draws, 0.025); }

struct stats_difference stats_paired_clusters(const struct stats_pair *sums, size_t n_clusters, uint64_t seed, size_t draws)
{
    const double nan = (double)NAN;
    struct stats_pair *kept = mem_alloc((n_clusters + 1) * sizeof *kept);
    struct stats_difference out = { nan, nan, { nan, nan } };
    size_t used = 0;
    for (size_t c = 0; c < n_clusters; c++)
        if (sums[c].a_weight > 0) kept[used++] = sums[c];
    if (used > 0) {
        struct stats_sums s = sums_of(kept, used, 1, seed, used > 1 ? draws : 1, stats_cut(used));
        out.value = s.difference;
        out.error = s.error;
        if (used > 1) out.interval = s.interval;
    }
    mem_free(kept);
    return out;
}

struct stats_difference stats_paired(const double *a, const double *b, const size_t *cluster, size_t n, size_t n_clusters, uint64_t seed, size_t draws)
{
    struct stats_pair *sums = mem_zero(n_clusters + 1, sizeof *sums);
    for (size_t i = 0; i < n; i++) add_pair(&sums[cluster[i]], &(struct stats_pair){ a[i], 1, b[i], 1 });
    struct stats_difference out = stats_paired_clusters(sums, n_clusters, seed, draws);
    mem_free(sums);
    return out;
}

double stats_sign_flip(const struct stats_pair *x, size_t n, double scale, uint64_t seed, size_t draws)
{
    struct draws w = draws_of(seed, STREAM_FLIPS);
    struct stats_pair sum = { 0 };
    size_t as_large = 0;
    for (size_t i = 0; i < n; i++) add_pair(&sum, &x[i]);
    double found = fabs(difference(&sum, scale)) * (1 - 1e-12);      /* other orders of the sum round differently */
    for (size_t d = 0; d < draws; d++) {
        uint32_t coins = 0;
        sum = (struct stats_pair){ 0 };
        for (size_t i = 0; i < n; i++, coins >>= 1) {
            if (i % 32 == 0) coins = draws_next(&w);
            if (coins & 1) add_pair(&sum, &(struct stats_pair){ x[i].b, x[i].b_weight, x[i].a, x[i].a_weight });
            else add_pair(&sum, &x[i]);
        }
        as_large += fabs(difference(&sum, scale)) >= found;
    }
    return (double)(as_large + 1) / (double)(draws + 1);
}
