/* stats.h - statistics of comparisons: intervals, tests, agreement, ratings, calibration. Pure functions; draws are seeded and the same everywhere. Layer 1.
 * Two-sided 95 % throughout, unless said otherwise. Sources are named where a formula has one. */
#ifndef STATS_H
#define STATS_H

#include "base/base.h"

struct stats_interval { double low, high; };
#define STATS_Z 1.959963984540054

/* ---- statistics.c: by formulas ------------------------------------------------------------------ */

/* McNemar's exact two-sided test: b and c questions that only one of the two had right are b heads and c tails of a fair coin. */
double stats_mcnemar(uint64_t b, uint64_t c);
/* Wilson's interval of a share: `right` of n, n > 0. */
struct stats_interval stats_wilson(double right, double n);
/* The difference that a two-sided test at 5 % sees in 80 % of all repetitions, from the standard error of the difference. */
double stats_smallest_difference(double error);
/* Holm's step-down correction: adjusted[i] belongs to p[i]. */
void   stats_holm(double *adjusted, const double *p, size_t n);
/* Chance that at least one of k answers is right, without bias from n of which c were (Chen et al., "Evaluating large language models trained on code").
 * c <= n and 1 <= k <= n. */
double stats_pass_at_k(size_t n, size_t c, size_t k);

/* ---- shares.c ------------------------------------------------------------------------------------------------------------------------- */

/* Exact binomial test (two-sided: outcomes that are no likelier) of k of n under p. */
double stats_binomial_test(uint64_t k, uint64_t n, double p);
/* Clopper and Pearson's exact interval. */
struct stats_interval stats_clopper_pearson(uint64_t k, uint64_t n);

/* ---- beta.c: Student's t; freedom need not be whole --------------------------------------------------------------------------------------- */

double stats_t_test(double t, double freedom);                 /* two-sided p; NaN for no freedom */
double stats_t_quantile(double share, double freedom);

/* ---- order.c: x[0..n) is not changed ------------------------------------------------------------------------------------------------------ */

double stats_mean(const double *x, size_t n);
double stats_sd(const double *x, size_t n);                    /* n - 1 */
double stats_quantile(const double *x, size_t n, double q);    /* linear between neighbours (type 7) */
void   stats_ranks(double *out, const double *x, size_t n);    /* 1-based, ties share the mean */
/* NaN where one side is constant. p: t distribution; normal with ties' variance. */
struct stats_correlation { double value, p; };
struct stats_correlation stats_pearson(const double *x, const double *y, size_t n);
struct stats_correlation stats_spearman(const double *x, const double *y, size_t n);
struct stats_correlation stats_kendall(const double *x, const double *y, size_t n);     /* tau-b, O(n log n) */
/* Least squares y = a + b x; interval of b by t. */
struct stats_slope { double intercept, slope, error, p; struct stats_interval interval; };
struct stats_slope stats_line(const double *x, const double *y, size_t n);

/* ---- agreement.c: of raters who give classes 0..k-1 or numbers -------------------------------------------------------------------------------- */

double stats_kappa(const int *a, const int *b, size_t n, int k);                       /* Cohen 1960; NaN if undefined */
double stats_kappa_weighted(const int *a, const int *b, size_t n, int k);              /* quadratic weights, Cohen 1968 */
/* The same of counts: table[i * k + j] times the first said i and the second j. */
double stats_kappa_table(const size_t *table, int k);
double stats_kappa_table_weighted(const size_t *table, int k);
double stats_fleiss(const int *counts, size_t items, int k);                            /* counts[item * k + class], each row the same sum */
enum stats_level { STATS_NOMINAL, STATS_ORDINAL, STATS_INTERVAL };
/* Krippendorff's alpha. ratings[item * raters + rater], NaN: missing. */
double stats_alpha(const double *ratings, size_t items, size_t raters, enum stats_level level);
/* Of a - b. */
struct stats_bland_altman { double bias, sd; struct stats_interval limits; };
struct stats_bland_altman stats_bland_altman(const double *a, const double *b, size_t n);

/* ---- bootstrap.c: by clusters ------------------------------------------------------------------------------------------------------------------ */

/* Sums over the questions of one cluster, of both sides. A side's value is sum of a / sum of a_weight: a mean where weights count questions. */
struct stats_pair { double a, a_weight, b, b_weight; };
/* difference: scale * (b - a). error: of the difference, as of clusters drawn from many; NaN for fewer than two. interval: of `draws` samples of clusters with
 * replacement (percentiles). */
struct stats_sums { double a, b, difference, error; struct stats_interval interval; };
struct stats_sums stats_paired_sums(const struct stats_pair *x, size_t n, double scale, uint64_t seed, size_t draws);
/* p of "the sides are alike": how often the difference is as large when the two sides of each cluster are swapped by a coin. */
double stats_sign_flip(const struct stats_pair *x, size_t n, double scale, uint64_t seed, size_t draws);

/* The share of draws to be cut off at each end, so that an interval covers 95 % also of few clusters: "expanded percentiles" (Hesterberg, "What teachers should know about
 * the bootstrap", 2015): plain percentiles are too narrow by sqrt((n - 1) / n) and by what t is wider than normal. 0.025 for many; 0 for fewer than two. */
double stats_cut(size_t n_clusters);
/* Mean difference b - a by question; questions of one cluster are drawn together. cluster: 0..n_clusters-1 of each. error as above; interval: expanded
 * percentiles, NaN of fewer than two clusters. */
struct stats_difference { double value, error; struct stats_interval interval; };
struct stats_difference stats_paired(const double *a, const double *b, const size_t *cluster, size_t n, size_t n_clusters, uint64_t seed, size_t draws);
/* The same of sums of each cluster; those of weight 0 are left out. */
struct stats_difference stats_paired_clusters(const struct stats_pair *sums, size_t n_clusters, uint64_t seed, size_t draws);

/* ---- ratings.c: from comparisons to strengths ------------------------------------------------------------------------------------------------------ */

/* i against j: share of wins of i in `weight` comparisons (1, 0.5 for a tie, 0). cluster: prompt. */
struct stats_match { size_t i, j, cluster; double score, weight; };
/* Why no finite strengths exist; group[0..n): true for the smaller side (of no meaning when joined). */
enum stats_apart { STATS_JOINED, STATS_NEVER_LOST, STATS_NEVER_WON, STATS_NEVER_MET };
enum stats_apart stats_apart(bool *group, const struct stats_match *m, size_t n_matches, size_t n);
/* Bradley and Terry 1952: log-strengths r (natural), mean 0, of n players; Newton. ridge: of -ridge/2 * sum of r^2 in the log-likelihood; 0: maximum likelihood;
 * then SC_E_ARGUMENT names where a player or group never lost or never won against the rest (no finite maximum, Ford 1957). *gradient (may be NULL): norm at the end, in
 * comparisons of the mean weight; it is below 1e-8. */
sc_status stats_bradley_terry(double *r, double *gradient, const struct stats_match *m, size_t n_matches, size_t n, double ridge, sc_error *err);
/* Intervals of r by drawing clusters 0..n_clusters-1 (expanded percentiles, see stats_cut); NaN for fewer than two clusters. A draw that has no finite strengths is
 * fitted with a ridge of STATS_RIDGE, so an end can lie far out but is finite. interval[0..n). */
#define STATS_RIDGE 0.01
void      stats_bradley_terry_bootstrap(struct stats_interval *interval, const struct stats_match *m, size_t n_matches, size_t n, size_t n_clusters, double ridge, uint64_t seed, size_t draws);
/* Elo in the order given: K times the match's weight, scale 400, base 10, start 1000. */
void      stats_elo(double *r, const struct stats_match *m, size_t n_matches, size_t n, double k);
/* Median and percentiles over clusters drawn again, their matches in drawn order; of fewer than two clusters the median over orders alone, and NaN for intervals. */
void      stats_elo_bootstrap(double *median, struct stats_interval *interval, const struct stats_match *m, size_t n_matches, size_t n, double k, uint64_t seed, size_t draws);

/* ---- plackett_luce.c ------------------------------------------------------------------------------------------------------------------------------------- */

/* Plackett and Luce (Luce 1959, Plackett 1975) from rankings with ties: a tie counts as the mean of the log-likelihoods of its orders, exactly up to 10 tied, beyond that of
 * 200 drawn orders; so a tie of two is half a win for each, as in stats_bradley_terry. rank[item * n + player], 1 best, 0: not shown. Log-strengths, mean 0. Errors as above. */
sc_status stats_plackett_luce(double *r, const int *rank, size_t items, size_t n, double ridge, sc_error *err);

/* ---- logistic.c ------------------------------------------------------------------------------------------------------------------------------------------ */

/* y in [0, 1] by rows of x[row * k + feature], weights NULL: 1; penalty ridge/2 * |b|^2 on features with penalised[f]. Newton; *error (may be NULL): standard errors. */
sc_status stats_logistic(double *b, double *error, const double *x, const double *y, const double *weight, size_t rows, size_t k, const bool *penalised, double ridge, sc_error *err);

/* The same, *error by clusters (sandwich, with n / (n - 1) for n clusters): right also where rows of a cluster go together and y is between 0 and 1. NaN for one cluster. */
sc_status stats_logistic_clusters(double *b, double *error, const double *x, const double *y, const double *weight, size_t rows, size_t k, const bool *penalised, double ridge, const size_t *cluster, sc_error *err);

/* ---- calibrate.c: from one rater's scale to another's -------------------------------------------------------------------------------------------------------- */

/* Isotonic regression by pooling neighbours (Ayer et al. 1955): steps of x (rising) with values y. Release with stats_map_release. */
struct stats_map { double *x, *y; size_t n; };
void   stats_isotonic(struct stats_map *out, const double *x, const double *y, const double *weight, size_t n);
double stats_map_at(const struct stats_map *m, double x);                  /* linear between steps, constant beyond; NaN of no steps */
void   stats_map_release(struct stats_map *m);
/* Mean absolute error of the map (raw: of x itself) on folds it has not seen, and root of the mean squared one; folds by cluster, seeded. Mapped values are means, which squared
 * errors are about: of labels of few classes the absolute error praises what is always sure. NaN for fewer than two clusters. */
struct stats_held_out { double raw, mapped, raw_rms, mapped_rms; };
struct stats_held_out stats_isotonic_folds(const double *x, const double *y, const size_t *cluster, size_t n, size_t folds, uint64_t seed);

#endif
