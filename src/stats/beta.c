/* beta.c - the incomplete beta function, of which binomial tails and Student's t are cases. */
#include "stats/stats_internal.h"

#include <float.h>
#include <math.h>

/* ---- the factor in front, without the cancellation of three logarithms of gamma: Loader, "Fast and accurate computation of binomial probabilities" (2000) ---- */

/* log(n!) minus Stirling's formula; n > 0, also no whole number. */
static double stirling_error(double n)
{
    int sign;
    if (n < 15) return lgamma_r(n + 1, &sign) - (n + 0.5) * log(n) + n - 0.91893853320467274178;
    double n2 = n * n;
    return (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - (1.0 / 1680 - 1.0 / 1188 / n2) / n2) / n2) / n2) / n;
}

/* x log(x / m) + m - x; by a series where x is near m. */
static double deviance(double x, double m)
{
    if (fabs(x - m) >= 0.1 * (x + m)) return x * log(x / m) + m - x;
    double v = (x - m) / (x + m), sum = (x - m) * v, term = 2 * x * v;
    for (int j = 1; j < 1000; j++) {
        double before = sum;
        term *= v * v;
        sum += term / (2 * j + 1);
        if (sum == before) break;
    }
    return sum;
}

/* x^a y^b Gamma(a + b) / (Gamma(a) Gamma(b)), x + y = 1; a, b > 0 and 0 < x, y. */
static double front(double x, double y, double a, double b)
{
    double n = a + b, log_term = stirling_error(n) - stirling_error(a) - stirling_error(b) - deviance(a, n * x) - deviance(b, n * y);
    return exp(log_term) * sqrt(a / n * b / 6.28318530717958647693);
}

/* ---- continued fraction: DLMF 8.17.22, by Lentz's method ----------------------------------------------------------------------------------------- */

static double fraction(double x, double a, double b)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int m = 1; m < 100000; m++) {
        for (int odd = 0; odd < 2; odd++) {
            double k = m, e = odd ? -(a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1)) : k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k));
            d = 1 + e * d;
            c = 1 + e / c;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            if (fabs(c) < tiny) c = tiny;
            h *= d * c;
        }
        if (fabs(d * c - 1) < 2 * DBL_EPSILON) break;
    }
    return h;
}

double beta_share(double x, double y, double a, double b)
{
    if (x <= 0) return 0;
    if (y <= 0) return 1;
    if (x <= (a + 1) / (a + b + 2)) return front(x, y, a, b) / a * fraction(x, a, b);
    return 1 - front(x, y, a, b) / b * fraction(y, b, a);
}

/* By halving until no number is left between the ends: some hundred steps, but nothing that can fail to converge. */
double beta_quantile(double share, double a, double b)
{
    double low = 0, high = 1;
    for (;;) {
        double middle = 0.5 * (low + high);
        if (middle <= low || middle >= high) return middle;
        if (beta_share(middle, 1 - middle, a, b) < share) low = middle;
        else high = middle;
    }
}

double stats_t_test(double t, double freedom)
{
    double t2 = t * t;
    if (!(freedom > 0) || isnan(t)) return (double)NAN;
    if (isinf(t2)) return 0;
    return beta_share(freedom / (freedom + t2), t2 / (freedom + t2), freedom / 2, 0.5);
}

double stats_t_quantile(double share, double freedom)
{
    double y = beta_quantile(fabs(2 * share - 1), 0.5, freedom / 2);       /* t^2 / (freedom + t^2) */
    return copysign(sqrt(freedom * y / (1 - y)), share - 0.5);
}
