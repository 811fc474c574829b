/* agreement.c - how far raters agree beyond chance. */
#include "stats/stats_internal.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* ---- two raters, classes ---------------------------------------------------------------------------------------------------------------------- */

/* 1 - disagreement found / disagreement expected of independent raters; of different classes i and j it is (i - j)^2 or 1. */
static double kappa_of(const size_t *table, int k, bool is_quadratic)
{
    double *left = mem_zero(2 * (size_t)k + 1, sizeof *left), *right = left + k, found = 0, expected = 0, n = 0;
    for (int i = 0; i < k; i++)
        for (int j = 0; j < k; j++) {
            double x = (double)table[i * k + j], d = i - j;
            left[i] += x;
            right[j] += x;
            n += x;
            found += x * (is_quadratic ? d * d : d != 0);
        }
    for (int i = 0; i < k; i++)
        for (int j = 0; j < k; j++) expected += left[i] * right[j] * (is_quadratic ? (double)(i - j) * (i - j) : i != j);
    mem_free(left);
    return expected > 0 ? 1 - found * n / expected : (double)NAN;
}

static double kappa(const int *a, const int *b, size_t n, int k, bool is_quadratic)
{
    size_t *table = mem_zero((size_t)k * (size_t)k + 1, sizeof *table);
    for (size_t i = 0; i < n; i++) {
        assert(a[i] >= 0 && a[i] < k && b[i] >= 0 && b[i] < k);
        table[a[i] * k + b[i]]++;
    }
    double out = kappa_of(table, k, is_quadratic);
    mem_free(table);
    return out;
}

double stats_kappa(const int *a, const int *b, size_t n, int k) { return kappa(a, b, n, k, false); }
double stats_kappa_weighted(const int *a, const int *b, size_t n, int k) { return kappa(a, b, n, k, true); }
double stats_kappa_table(const size_t *table, int k) { return kappa_of(table, k, false); }
double stats_kappa_table_weighted(const size_t *table, int k) { return kappa_of(table, k, true); }

/* ---- several raters -------------------------------------------------------------------------------------------------------------------------------- */

/* Fleiss, "Measuring nominal scale agreement among many raters" (1971). */
double stats_fleiss(const int *counts, size_t items, int k)
{
    double *share = mem_zero((size_t)k + 1, sizeof *share), raters = 0, agree = 0, chance = 0;
    for (size_t i = 0; i < items; i++) {
        double squares = 0, sum = 0;
        for (int c = 0; c < k; c++) {
            double x = counts[i * (size_t)k + (size_t)c];
            squares += x * x;
            sum += x;
            share[c] += x;
        }
        assert(i == 0 || sum == raters);
        raters = sum;
        agree += squares - sum;
    }
    double n = (double)items;
    for (int c = 0; c < k; c++) chance += share[c] * share[c];
    chance /= n * n * raters * raters;
    mem_free(share);
    return raters > 1 && chance < 1 ? (agree / (n * raters * (raters - 1)) - chance) / (1 - chance) : (double)NAN;
}

/* ---- Krippendorff, "Content analysis" (2004), chapter 11 -------------------------------------------------------------------------------------------- */

/* Ratings of items that have at least two, one after another. */
struct rating { double value; size_t item; };
static int by_rating(const void *a, const void *b)
{
    const struct rating *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}
static int by_item(const void *a, const void *b)
{
    const struct rating *x = a, *y = b;
    return (x->item > y->item) - (x->item < y->item);
}

/* Sum of squared differences over ordered pairs: 2 n times the squares around the mean. */
static double pair_squares(const struct rating *r, size_t n)
{
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++) mean += r[i].value / (double)n;
    for (size_t i = 0; i < n; i++) squares += (r[i].value - mean) * (r[i].value - mean);
    return 2 * (double)n * squares;
}

/* Ordered pairs that differ, of sorted ratings. */
static double pair_differences(const struct rating *r, size_t n)
{
    double same = 0;
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && r[end].value == r[i].value; end++) {}
        same += (double)(end - i) * (double)(end - i);
    }
    return (double)n * (double)n - same;
}

/* The distance of two ranks is how many ratings lie between them, each end counted half: that is the distance of their middle places, so ordinal is interval of these. */
static void places_of(struct rating *r, size_t n)
{
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && r[end].value == r[i].value; end++) {}
        double place = 0.5 * (double)(i + end);
        for (size_t k = i; k < end; k++) r[k].value = place;
    }
}

static size_t pairable(struct rating *out, const double *ratings, size_t items, size_t raters)
{
    size_t n = 0;
    for (size_t i = 0; i < items; i++) {
        size_t before = n;
        for (size_t j = 0; j < raters; j++)
            if (!isnan(ratings[i * raters + j])) out[n++] = (struct rating){ ratings[i * raters + j], i };
        if (n < before + 2) n = before;
    }
    return n;
}

double stats_alpha(const double *ratings, size_t items, size_t raters, enum stats_level level)
{
    struct rating *r = mem_alloc((items * raters + 1) * sizeof *r);
    double (*disagreement)(const struct rating *r, size_t n) = level == STATS_NOMINAL ? pair_differences : pair_squares;
    size_t n = pairable(r, ratings, items, raters);
    double found = 0;
    qsort(r, n, sizeof *r, by_rating);
    bool varies = n > 0 && r[0].value != r[n - 1].value;
    if (level == STATS_ORDINAL) places_of(r, n);
    double expected = varies ? disagreement(r, n) : 0;
    qsort(r, n, sizeof *r, by_item);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && r[end].item == r[i].item; end++) {}
        qsort(r + i, end - i, sizeof *r, by_rating);
        found += disagreement(r + i, end - i) / (double)(end - i - 1);
    }
    mem_free(r);
    return varies ? 1 - found * (double)(n - 1) / expected : (double)NAN;
}

/* ---- numbers ------------------------------------------------------------------------------------------------------------------------------------------ */

/* Bland and Altman, "Statistical methods for assessing agreement between two methods of clinical measurement" (1986). */
struct stats_bland_altman stats_bland_altman(const double *a, const double *b, size_t n)
{
    double *d = mem_alloc((n + 1) * sizeof *d);
    for (size_t i = 0; i < n; i++) d[i] = a[i] - b[i];
    struct stats_bland_altman out = { .bias = stats_mean(d, n), .sd = stats_sd(d, n) };
    out.limits = (struct stats_interval){ out.bias - STATS_Z * out.sd, out.bias + STATS_Z * out.sd };
    mem_free(d);
    return out;
}
