/* order.c - means, ranks, and how two rows of numbers go together. */
#include "stats/stats_internal.h"

#include <math.h>
#include <stdlib.h>

double stats_mean(const double *x, size_t n)
{
    struct sum s = { 0, 0 };
    for (size_t i = 0; i < n; i++) sum_add(&s, x[i]);
    return sum_of(&s) / (double)n;
}

/* Sum of (x - mean_x) (y - mean_y). */
static double products(const double *x, double mean_x, const double *y, double mean_y, size_t n)
{
    struct sum s = { 0, 0 };
    for (size_t i = 0; i < n; i++) sum_add(&s, (x[i] - mean_x) * (y[i] - mean_y));
    return sum_of(&s);
}

double stats_sd(const double *x, size_t n)
{
    double mean = stats_mean(x, n);
    return n > 1 ? sqrt(products(x, mean, x, mean, n) / (double)(n - 1)) : (double)NAN;
}

double stats_quantile(const double *x, size_t n, double q)
{
    double *sorted = mem_alloc((n + 1) * sizeof *sorted), out = (double)NAN;
    for (size_t i = 0; i < n; i++) sorted[i] = x[i];
    qsort(sorted, n, sizeof *sorted, stats_by_value);
    if (n) out = stats_quantile_sorted(sorted, n, q);
    mem_free(sorted);
    return out;
}

struct placed { double x; size_t at; };
static int by_x(const void *a, const void *b)
{
    const struct placed *p = a, *q = b;
    return (p->x > q->x) - (p->x < q->x);
}

void stats_ranks(double *out, const double *x, size_t n)
{
    struct placed *p = mem_alloc((n + 1) * sizeof *p);
    for (size_t i = 0; i < n; i++) p[i] = (struct placed){ x[i], i };
    qsort(p, n, sizeof *p, by_x);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && p[end].x == p[i].x; end++) {}
        for (size_t k = i; k < end; k++) out[p[k].at] = 0.5 * (double)(i + 1 + end);
    }
    mem_free(p);
}

/* ---- correlation ------------------------------------------------------------------------------------------------------------------------------- */

static bool is_constant(const double *x, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (x[i] != x[0]) return false;
    return true;
}

/* p of a correlation r by t with n - 2 degrees of freedom; two points always lie on a line. */
static double correlation_p(double r, size_t n)
{
    if (n == 2) return 1;
    double freedom = (double)n - 2, rest = (1 - r) * (1 + r);
    return rest > 0 ? stats_t_test(r * sqrt(freedom / rest), freedom) : 0;
}

struct stats_correlation stats_pearson(const double *x, const double *y, size_t n)
{
    if (n < 2 || is_constant(x, n) || is_constant(y, n)) return (struct stats_correlation){ (double)NAN, (double)NAN };
    double mean_x = stats_mean(x, n), mean_y = stats_mean(y, n);
    double r = products(x, mean_x, y, mean_y, n) / (sqrt(products(x, mean_x, x, mean_x, n)) * sqrt(products(y, mean_y, y, mean_y, n)));
    r = r > 1 ? 1 : r < -1 ? -1 : r;
    if (n == 2) r = r > 0 ? 1 : -1;
    return (struct stats_correlation){ r, correlation_p(r, n) };
}

struct stats_correlation stats_spearman(const double *x, const double *y, size_t n)
{
    double *ranks = mem_alloc((2 * n + 1) * sizeof *ranks);
    stats_ranks(ranks, x, n);
    stats_ranks(ranks + n, y, n);
    struct stats_correlation out = stats_pearson(ranks, ranks + n, n);
    mem_free(ranks);
    return out;
}

/* ---- Kendall's tau-b by sorting: Knight, "A computer method for calculating Kendall's tau with ungrouped data" (1966) ------------------------------ */

struct point { double x, y; };
static int by_x_then_y(const void *a, const void *b)
{
    const struct point *p = a, *q = b;
    return p->x != q->x ? (p->x > q->x) - (p->x < q->x) : (p->y > q->y) - (p->y < q->y);
}

/* Sorts p by y and returns how many pairs stood the wrong way round. */
static double count_swaps(struct point *p, struct point *room, size_t n)
{
    double swaps = 0;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t start = 0; start < n; start += 2 * width) {
            size_t middle = start + width < n ? start + width : n, end = start + 2 * width < n ? start + 2 * width : n, l = start, r = middle;
            for (size_t k = start; k < end; k++) {
                bool right = l >= middle || (r < end && p[r].y < p[l].y);
                if (right) swaps += (double)(middle - l);
                room[k] = p[right ? r++ : l++];
            }
        }
        for (size_t k = 0; k < n; k++) p[k] = room[k];
    }
    return swaps;
}

/* Sums over groups of t equal ones: of pairs t (t - 1) / 2, of t (t - 1) (t - 2), and of t (t - 1) (2 t + 5), as the variance needs them. */
struct ties { double pairs, triples, spread; };
static void add_ties(struct ties *s, size_t t)
{
    double k = (double)t;
    s->pairs += k * (k - 1) / 2;
    s->triples += k * (k - 1) * (k - 2);
    s->spread += k * (k - 1) * (2 * k + 5);
}

/* Of points sorted by x, then y: equal in x, equal in both. */
static void ties_of_x(struct ties *x, struct ties *both, const struct point *p, size_t n)
{
    for (size_t i = 0, end; i < n; i = end) {
        size_t from = i;
        for (end = i + 1; end < n && p[end].x == p[i].x; end++) {
            if (p[end].y == p[from].y) continue;
            add_ties(both, end - from);
            from = end;
        }
        add_ties(both, end - from);
        add_ties(x, end - i);
    }
}

static struct ties ties_of_y(const struct point *p, size_t n)
{
    struct ties out = { 0 };
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && p[end].y == p[i].y; end++) {}
        add_ties(&out, end - i);
    }
    return out;
}

struct stats_correlation stats_kendall(const double *x, const double *y, size_t n)
{
    struct point *p = mem_alloc((2 * n + 1) * sizeof *p);
    struct ties tx = { 0 }, both = { 0 };
    for (size_t i = 0; i < n; i++) p[i] = (struct point){ x[i], y[i] };
    qsort(p, n, sizeof *p, by_x_then_y);
    ties_of_x(&tx, &both, p, n);
    double swaps = count_swaps(p, p + n, n), m = (double)n, all = m * (m - 1) / 2;
    struct ties ty = ties_of_y(p, n);
    mem_free(p);
    double left = all - tx.pairs, right = all - ty.pairs;
    if (n < 2 || left == 0 || right == 0) return (struct stats_correlation){ (double)NAN, (double)NAN };
    double score = all - tx.pairs - ty.pairs + both.pairs - 2 * swaps;       /* agreeing less disagreeing pairs */
    double value = score / sqrt(left * right);
    double variance = (2 * all * (2 * m + 5) - tx.spread - ty.spread) / 18 + tx.pairs * ty.pairs / all + (n > 2 ? tx.triples * ty.triples / (18 * all * (m - 2)) : 0);
    return (struct stats_correlation){ value > 1 ? 1 : value < -1 ? -1 : value, erfc(fabs(score) / sqrt(2 * variance)) };
}

/* ---- a line ---------------------------------------------------------------------------------------------------------------------------------------- */

struct stats_slope stats_line(const double *x, const double *y, size_t n)
{
    const double nan = (double)NAN;
    struct stats_slope out = { nan, nan, nan, nan, { nan, nan } };
    if (n < 2 || is_constant(x, n)) return out;
    double mean_x = stats_mean(x, n), mean_y = stats_mean(y, n), squares = products(x, mean_x, x, mean_x, n), freedom = (double)n - 2;
    out.slope = products(x, mean_x, y, mean_y, n) / squares;
    out.intercept = mean_y - out.slope * mean_x;
    if (n < 3) return out;
    struct sum rest = { 0, 0 };
    for (size_t i = 0; i < n; i++) {
        double e = (y[i] - mean_y) - out.slope * (x[i] - mean_x);
        sum_add(&rest, e * e);
    }
    out.error = sqrt(sum_of(&rest) / freedom / squares);
    out.p = out.slope == 0 ? 1 : stats_t_test(out.slope / out.error, freedom);
    double half = stats_t_quantile(0.975, freedom) * out.error;
    out.interval = (struct stats_interval){ out.slope - half, out.slope + half };
    return out;
}
