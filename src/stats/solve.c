/* solve.c - small dense systems by Cholesky's factorisation. */
#include "stats/stats_internal.h"

#include <float.h>
#include <math.h>

bool cholesky(double *a, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        double before = a[j * n + j], d = before;
        for (size_t k = 0; k < j; k++) d -= a[j * n + k] * a[j * n + k];
        if (!(d > before * (double)n * 8 * DBL_EPSILON)) return false;       /* what is left is rounding: the column depends on those before */
        d = sqrt(d);
        a[j * n + j] = d;
        for (size_t i = j + 1; i < n; i++) {
            double x = a[i * n + j];
            for (size_t k = 0; k < j; k++) x -= a[i * n + k] * a[j * n + k];
            a[i * n + j] = x / d;
        }
    }
    return true;
}

void cholesky_solve(const double *factor, size_t n, double *x)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) x[i] -= factor[i * n + k] * x[k];
        x[i] /= factor[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++) x[i] -= factor[k * n + i] * x[k];
        x[i] /= factor[i * n + i];
    }
}
