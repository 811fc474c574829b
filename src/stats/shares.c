/* shares.c - exact statements on a share k of n. */
#include "stats/stats_internal.h"

#include <math.h>

/* Of p and q = 1 - p the smaller one keeps its digits: both are handed on. */
static double log_share(double p, double q) { return p < 0.5 ? log(p) : log1p(-q); }

static double log_chance(uint64_t k, uint64_t n, double p, double q)
{
    int sign;
    double a = (double)k, b = (double)(n - k);
    return lgamma_r(a + b + 1, &sign) - lgamma_r(a + 1, &sign) - lgamma_r(b + 1, &sign) + a * log_share(p, q) + b * log_share(q, p);
}

/* The first k in (low, n] that is no likelier than `limit`, where chances fall from low on; n + 1: none is. */
static uint64_t first_unlikely(uint64_t low, uint64_t n, double p, double q, double limit)
{
    uint64_t past = n + 1;
    while (low + 1 < past) {
        uint64_t middle = low + (past - low) / 2;
        if (log_chance(middle, n, p, q) <= limit) past = middle;
        else low = middle;
    }
    return past;
}

static double two_sided(uint64_t k, uint64_t n, double p, double q)
{
    double mean = (double)n * p, limit = log_chance(k, n, p, q) + 1e-7;      /* as likely but for rounding is as likely */
    if ((double)k == mean) return 1;
    if ((double)k > mean) return two_sided(n - k, n, q, p);
    uint64_t top = (uint64_t)ceil(mean), other = first_unlikely(top > 0 ? top - 1 : 0, n, p, q, limit);
    double sum = beta_share(q, p, (double)(n - k), (double)k + 1) + (other <= n ? beta_share(p, q, (double)other, (double)(n - other) + 1) : 0);
    return sum < 1 ? sum : 1;
}

double stats_binomial_test(uint64_t k, uint64_t n, double p)
{
    if (n == 0) return 1;
    if (p <= 0) return k == 0;
    if (p >= 1) return k == n;
    return two_sided(k, n, p, 1 - p);
}

struct stats_interval stats_clopper_pearson(uint64_t k, uint64_t n)
{
    struct stats_interval out = { 0, 1 };
    if (k > 0) out.low = beta_quantile(0.025, (double)k, (double)(n - k) + 1);
    if (k < n) out.high = 1 - beta_quantile(0.025, (double)(n - k), (double)k + 1);
    return out;
}
