/* stats_internal.h - what the files of this folder share: sums, draws, small systems of equations. Private to the folder. */
#ifndef STATS_INTERNAL_H
#define STATS_INTERNAL_H

#include "stats/stats.h"

/* ---- sums that lose nothing to their order: Neumaier 1974 -------------------------------------------------------------------------------------- */

struct sum { double value, lost; };
static inline void sum_add(struct sum *s, double x)
{
    double t = s->value + x;
    s->lost += (s->value < 0 ? -s->value : s->value) >= (x < 0 ? -x : x) ? (s->value - t) + x : (x - t) + s->value;
    s->value = t;
}
static inline double sum_of(const struct sum *s) { return s->value + s->lost; }

/* ---- beta.c ------------------------------------------------------------------------------------------------------------------------------------------ */

/* The regularised incomplete beta function I_x(a, b), a, b > 0. x + y = 1: both are given, because the smaller one would lose its digits. */
double beta_share(double x, double y, double a, double b);
double beta_quantile(double share, double a, double b);        /* its inverse in x */

/* ---- bootstrap.c: draws ----------------------------------------------------------------------------------------------------------------------------- */

/* The streams of a seed, so that no two uses of one seed draw alike. */
enum { STREAM_BOOTSTRAP, STREAM_FLIPS, STREAM_RATINGS, STREAM_ELO, STREAM_TIES, STREAM_FOLDS };
/* The words of a stream in order, as random_u32 numbers them, four from each block. */
struct draws { uint32_t key[2], stream, word[4]; uint64_t next; };
struct draws draws_of(uint64_t seed, uint32_t stream);
uint32_t     draws_next(struct draws *w);
size_t       draws_below(struct draws *w, size_t n);           /* 0..n-1, n < 2^32 */
void         draws_shuffle(struct draws *w, size_t *x, size_t n);

int    stats_by_value(const void *a, const void *b);           /* for qsort of doubles */
double stats_quantile_sorted(const double *sorted, size_t n, double q);

/* ---- solve.c: Newton's systems ------------------------------------------------------------------------------------------------------------------------- */

/* The lower triangle of a symmetric a[n * n] becomes its Cholesky factor; false where it is not positive definite beyond rounding. */
bool cholesky(double *a, size_t n);
/* x becomes the solution of (factor factor') y = x. */
void cholesky_solve(const double *factor, size_t n, double *x);

#endif
