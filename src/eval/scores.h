/* scores.h - what is made of results that were written: statistics, comparisons, reports. Private to the folder: statistics.c, results_read.c, compare.c,
 * compare_pairs.c, sheet.c, compare_page.c, score_page.c, score_samples.c. */
#ifndef SCORES_H
#define SCORES_H

#include "eval/eval.h"

/* ---- statistics.c: exact where that is possible, else seeded draws ------------------------------------------------------------------ */

struct eval_interval { double low, high; };
/* Two-sided 95 % throughout. */
#define EVAL_Z 1.959963984540054
/* McNemar's exact two-sided test: b and c questions that only one of the two had right are b heads and c tails of a fair coin. */
double eval_mcnemar(uint64_t b, uint64_t c);
/* Wilson's interval of a share: `right` of n, n > 0. */
struct eval_interval eval_wilson(double right, double n);
/* The difference that a two-sided test at 5 % sees in 80 % of all repetitions, from the standard error of the difference. */
double eval_smallest_difference(double error);
/* Holm's step-down correction: adjusted[i] belongs to p[i]. */
void   eval_holm(double *adjusted, const double *p, size_t n);
/* Chance that at least one of k answers is right, without bias from n of which c were (Chen et al., "Evaluating large language models trained on code").
 * c <= n and 1 <= k <= n. */
double eval_pass_at_k(size_t n, size_t c, size_t k);

/* Sums over the questions of one cluster, of both sides. A side's value is sum of a / sum of a_weight: a mean where weights count questions. */
struct eval_pair { double a, a_weight, b, b_weight; };
/* difference: scale * (b - a). error: of the difference, as of clusters drawn from many; NaN for fewer than two. interval: of `draws` samples of clusters with
 * replacement (percentiles). */
struct eval_paired { double a, b, difference, error; struct eval_interval interval; };
struct eval_paired eval_paired(const struct eval_pair *x, size_t n, double scale, uint64_t seed, size_t draws);
/* p of "the sides are alike": how often the difference is as large when the two sides of each cluster are swapped by a coin. */
double eval_sign_flip(const struct eval_pair *x, size_t n, double scale, uint64_t seed, size_t draws);

#endif
