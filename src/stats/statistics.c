/* statistics.c - how sure a share or a difference is, by formulas. */
#include "stats/stats.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

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
