/* choices.h - strengths from choices: what Bradley and Terry's and Plackett and Luce's models share. Private to the folder.
 *
 * Of a set of players one is chosen with a chance proportional to e^r. The log-likelihood of all choices is concave in r:
 *     sum of chosen[i] r[i]  -  sum over sets of weight * log(sum of e^r over its members)  -  ridge / 2 * sum of r^2. */
#ifndef CHOICES_H
#define CHOICES_H

#include "stats/stats_internal.h"

struct choice_set { double weight; size_t first, n; };         /* member[first..first + n) */
struct choices { size_t n_players; double *chosen; struct choice_set *set; size_t n_sets, cap_sets; size_t *member; size_t n_members, cap_members; };
void choices_init(struct choices *c, size_t n_players);
void choices_release(struct choices *c);
void choices_add(struct choices *c, const size_t *member, size_t n, double weight);
/* r: where to begin, then the maximum, mean 0. *gradient: norm at the end. False where Newton's method came to no gradient below `tolerance`. There must be a finite
 * maximum: ridge > 0, or choices_apart says STATS_JOINED. */
bool choices_fit(double *r, double *gradient, const struct choices *c, double ridge, double tolerance);
/* over[i * n + j] > 0: i was chosen where j could have been. */
enum stats_apart choices_apart(bool *group, const double *over, size_t n);
/* The sentence for it. */
sc_status choices_say_apart(enum stats_apart how, const bool *group, size_t n, const char *what, sc_error *err);

#endif
