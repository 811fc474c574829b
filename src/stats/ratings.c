/* ratings.c - strengths from comparisons of two: Bradley and Terry, "Rank analysis of incomplete block designs" (1952); Elo, "The rating of chessplayers" (1978). */
#include "stats/choices.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Bradley and Terry ------------------------------------------------------------------------------------------------------------------------------ */

/* over[i * n + j]: wins of i over j, ties half. */
static double *wins_of(const struct stats_match *m, size_t n_matches, size_t n)
{
    double *over = mem_zero(n * n + 1, sizeof *over);
    for (size_t k = 0; k < n_matches; k++) {
        assert(m[k].i < n && m[k].j < n && m[k].i != m[k].j && m[k].score >= 0 && m[k].score <= 1 && m[k].weight >= 0);
        over[m[k].i * n + m[k].j] += m[k].weight * m[k].score;
        over[m[k].j * n + m[k].i] += m[k].weight * (1 - m[k].score);
    }
    return over;
}

/* One set for each pair, in the order of i < j, whether or not they met; weights come by weigh(). */
static void pairs_init(struct choices *c, size_t n)
{
    choices_init(c, n);
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++) choices_add(c, (size_t[]){ i, j }, 2, 0);
}

static void weigh(struct choices *c, const double *over)
{
    size_t n = c->n_players, k = 0;
    for (size_t i = 0; i < n; i++) {
        c->chosen[i] = 0;
        for (size_t j = 0; j < n; j++) c->chosen[i] += over[i * n + j];
        for (size_t j = i + 1; j < n; j++) c->set[k++].weight = over[i * n + j] + over[j * n + i];
    }
}

static double mean_weight(const struct stats_match *m, size_t n_matches)
{
    double sum = 0;
    for (size_t k = 0; k < n_matches; k++) sum += m[k].weight;
    return sum > 0 ? sum / (double)n_matches : 1;
}

enum stats_apart stats_apart(bool *group, const struct stats_match *m, size_t n_matches, size_t n)
{
    double *over = wins_of(m, n_matches, n);
    enum stats_apart how = choices_apart(group, over, n);
    mem_free(over);
    return how;
}

sc_status stats_bradley_terry(double *r, double *gradient, const struct stats_match *m, size_t n_matches, size_t n, double ridge, sc_error *err)
{
    const char *what = "strengths by Bradley and Terry";
    bool *group = mem_zero(n + 1, sizeof *group);
    double *over = wins_of(m, n_matches, n), found = 0, unit = mean_weight(m, n_matches);
    struct choices c;
    sc_status status = SC_OK;
    pairs_init(&c, n);
    weigh(&c, over);
    for (size_t i = 0; i < n; i++) r[i] = 0;
    enum stats_apart how = ridge > 0 ? STATS_JOINED : choices_apart(group, over, n);
    if (how != STATS_JOINED) status = choices_say_apart(how, group, n, what, err);
    else if (!choices_fit(r, &found, &c, ridge, 1e-8 * unit))
        status = FAIL(err, SC_E_ARGUMENT, "%s: the gradient came down to %.3g only, expected below %.3g; numbers of wins are too uneven, take a ridge of 0.01", what, found, 1e-8 * unit);
    if (gradient) *gradient = found / unit;
    choices_release(&c);
    mem_free(over);
    mem_free(group);
    return status;
}

/* ---- drawing clusters ------------------------------------------------------------------------------------------------------------------------------------ */

/* Matches of cluster c: order[first[c]..first[c + 1]), only of the clusters that have any. */
struct clusters { size_t *order, *first, n; };
static struct clusters clusters_of(const struct stats_match *m, size_t n_matches)
{
    size_t highest = 0;
    for (size_t k = 0; k < n_matches; k++) highest = m[k].cluster > highest ? m[k].cluster : highest;
    struct clusters c = { mem_alloc((n_matches + 1) * sizeof *c.order), mem_zero(highest + 3, sizeof *c.first), 0 };
    for (size_t k = 0; k < n_matches; k++) c.first[m[k].cluster + 2]++;
    for (size_t k = 2; k < highest + 3; k++) c.first[k] += c.first[k - 1];
    for (size_t k = 0; k < n_matches; k++) c.order[c.first[m[k].cluster + 1]++] = k;        /* afterwards first[c + 1] is the end of c */
    for (size_t k = 1; k <= highest + 1; k++)
        if (c.first[k] > c.first[c.n]) c.first[++c.n] = c.first[k];
    return c;
}

static void clusters_release(struct clusters *c)
{
    mem_free(c->order);
    mem_free(c->first);
}

/* found[player * draws + draw] to intervals, medians too if wanted. */
static void summarise(struct stats_interval *interval, double *median, double *found, size_t n, size_t draws, double cut)
{
    for (size_t i = 0; i < n; i++) {
        double *x = found + i * draws;
        qsort(x, draws, sizeof *x, stats_by_value);
        interval[i] = (struct stats_interval){ stats_quantile_sorted(x, draws, cut), stats_quantile_sorted(x, draws, 1 - cut) };
        if (median) median[i] = stats_quantile_sorted(x, draws, 0.5);
    }
}

void stats_bradley_terry_bootstrap(struct stats_interval *interval, const struct stats_match *m, size_t n_matches, size_t n, size_t n_clusters, double ridge, uint64_t seed, size_t draws)
{
    struct clusters by = clusters_of(m, n_matches);
    for (size_t i = 0; i < n; i++) interval[i] = (struct stats_interval){ (double)NAN, (double)NAN };
    assert(by.n <= n_clusters || n_matches == 0);
    if (by.n >= 2 && draws > 0) {
        double *found = mem_alloc((n * draws + 1) * sizeof *found), *over = wins_of(m, n_matches, n), *r = mem_zero(2 * n + 1, sizeof *r), *start = r + n, end, unit = mean_weight(m, n_matches);
        bool *group = mem_zero(n + 1, sizeof *group);
        struct draws w = draws_of(seed, STREAM_RATINGS);
        struct choices c;
        pairs_init(&c, n);
        weigh(&c, over);
        /* Each draw begins where all matches lead; a vanishing ridge where that is nowhere. */
        choices_fit(start, &end, &c, ridge > 0 || choices_apart(group, over, n) == STATS_JOINED ? ridge : STATS_RIDGE * unit, 1e-8 * unit);
        for (size_t d = 0; d < draws; d++) {
            memset(over, 0, n * n * sizeof *over);
            for (size_t k = 0; k < by.n; k++) {
                size_t x = draws_below(&w, by.n);
                for (size_t at = by.first[x]; at < by.first[x + 1]; at++) {
                    const struct stats_match *one = &m[by.order[at]];
                    over[one->i * n + one->j] += one->weight * one->score;
                    over[one->j * n + one->i] += one->weight * (1 - one->score);
                }
            }
            weigh(&c, over);
            memcpy(r, start, n * sizeof *r);
            choices_fit(r, &end, &c, ridge > 0 || choices_apart(group, over, n) == STATS_JOINED ? ridge : STATS_RIDGE * unit, 1e-6 * unit);
            for (size_t i = 0; i < n; i++) found[i * draws + d] = r[i];
        }
        summarise(interval, NULL, found, n, draws, stats_cut(by.n));
        choices_release(&c);
        mem_free(group);
        mem_free(r);
        mem_free(over);
        mem_free(found);
    }
    clusters_release(&by);
}

/* ---- Elo -------------------------------------------------------------------------------------------------------------------------------------------------- */

static void play(double *r, const struct stats_match *m, double k)
{
    double expected = 1 / (1 + exp((r[m->j] - r[m->i]) * (2.302585092994045684 / 400))), change = k * m->weight * (m->score - expected);
    r[m->i] += change;
    r[m->j] -= change;
}

void stats_elo(double *r, const struct stats_match *m, size_t n_matches, size_t n, double k)
{
    for (size_t i = 0; i < n; i++) r[i] = 1000;
    for (size_t x = 0; x < n_matches; x++) play(r, &m[x], k);
}

void stats_elo_bootstrap(double *median, struct stats_interval *interval, const struct stats_match *m, size_t n_matches, size_t n, double k, uint64_t seed, size_t draws)
{
    struct clusters by = clusters_of(m, n_matches);
    struct draws w = draws_of(seed, STREAM_ELO);
    double *found = mem_alloc((n * draws + 1) * sizeof *found), *r = mem_alloc((n + 1) * sizeof *r);
    size_t *order = NULL, cap = 0;
    assert(draws > 0);
    for (size_t d = 0; d < draws; d++) {
        size_t n_order = 0;
        for (size_t c = 0; c < by.n; c++) {
            size_t x = draws_below(&w, by.n), size = by.first[x + 1] - by.first[x];
            if (n_order + size > cap) order = mem_grow(order, (cap = 2 * cap + size + n_matches) * sizeof *order);
            memcpy(order + n_order, by.order + by.first[x], size * sizeof *order);
            n_order += size;
        }
        draws_shuffle(&w, order, n_order);
        for (size_t i = 0; i < n; i++) r[i] = 1000;
        for (size_t x = 0; x < n_order; x++) play(r, &m[order[x]], k);
        for (size_t i = 0; i < n; i++) found[i * draws + d] = r[i];
    }
    summarise(interval, median, found, n, draws, stats_cut(by.n));
    for (size_t i = 0; i < n && by.n < 2; i++) interval[i] = (struct stats_interval){ (double)NAN, (double)NAN };
    mem_free(order);
    mem_free(r);
    mem_free(found);
    clusters_release(&by);
}
