/* agreement.c - judges with each other and with people: how often they say the same, and how much of it is not chance. */
#include "judge_internal.h"

#include <math.h>
#include <string.h>

#include "stats/stats.h"

enum { ITEMS_LEAST = 5, CLASSES_MAX = 101 };

/* Values of both on the same things. */
struct common { double *a, *b; size_t n; };

static struct common common_of(const struct agreement_items *a, const struct agreement_items *b)
{
    size_t most = a->n < b->n ? a->n : b->n;
    struct common c = { mem_alloc((most + 1) * sizeof(double)), mem_alloc((most + 1) * sizeof(double)), 0 };
    for (size_t i = 0, k = 0; i < a->n && k < b->n;) {
        int order = agreement_item_order(&a->at[i], &b->at[k]);
        if (!order) {
            c.a[c.n] = a->at[i].value;
            c.b[c.n++] = b->at[k].value;
        }
        i += order <= 0;
        k += order >= 0;
    }
    return c;
}

/* Whole classes from 0; 0: the values have no small range. */
static int classes_of(int *a, int *b, const struct common *c)
{
    double low = HUGE_VAL, high = -HUGE_VAL;
    for (size_t i = 0; i < c->n; i++) {
        low = fmin(low, fmin(c->a[i], c->b[i]));
        high = fmax(high, fmax(c->a[i], c->b[i]));
    }
    low = floor(low + 0.5);
    if (!(high - low < CLASSES_MAX - 1)) return 0;
    for (size_t i = 0; i < c->n; i++) {
        a[i] = (int)(floor(c->a[i] + 0.5) - low);
        b[i] = (int)(floor(c->b[i] + 0.5) - low);
    }
    return (int)(floor(high + 0.5) - low) + 1;
}

static double alpha_of(const struct common *c, enum stats_level level)
{
    double *ratings = mem_alloc((2 * c->n + 1) * sizeof *ratings);
    for (size_t i = 0; i < c->n; i++) {
        ratings[2 * i] = c->a[i];
        ratings[2 * i + 1] = c->b[i];
    }
    double alpha = stats_alpha(ratings, c->n, 2, level);
    mem_free(ratings);
    return alpha;
}

static void set_scores(json_t *row, const struct common *c)
{
    struct stats_correlation spearman = stats_spearman(c->a, c->b, c->n), kendall = stats_kendall(c->a, c->b, c->n);
    struct stats_bland_altman apart = stats_bland_altman(c->a, c->b, c->n);
    size_t near = 0;
    for (size_t i = 0; i < c->n; i++) near += fabs(c->a[i] - c->b[i]) < 1 + 1e-9;
    json_put_real(row, "within_1", (double)near / (double)c->n);
    json_put_real(row, "spearman", spearman.value);
    json_put_real(row, "spearman_p", spearman.p);
    json_put_real(row, "kendall", kendall.value);
    json_put_real(row, "kendall_p", kendall.p);
    json_put_real(row, "bias", apart.bias);
    json_put_real(row, "limits_low", apart.limits.low);
    json_put_real(row, "limits_high", apart.limits.high);
    json_put_real(row, "alpha", alpha_of(c, STATS_INTERVAL));
}

/* Without the things that one of the two calls a tie. */
static void set_verdicts(json_t *row, const struct common *c)
{
    size_t decided = 0, same = 0;
    for (size_t i = 0; i < c->n; i++) {
        bool is_decided = fabs(c->a[i] - 1) > 0.5 && fabs(c->b[i] - 1) > 0.5;
        decided += is_decided;
        same += is_decided && fabs(c->a[i] - c->b[i]) < 0.5;
    }
    json_object_set_new(row, "decided", json_integer((json_int_t)decided));
    json_put_real(row, "decided_exact", decided ? (double)same / (double)decided : (double)NAN);
    json_put_real(row, "alpha", alpha_of(c, STATS_NOMINAL));
}

static json_t *row_of(const struct audit_group *a, const struct audit_group *b, bool of_scores)
{
    struct agreement_items x, y;
    json_t *row = NULL;
    agreement_items_of(&x, a, of_scores ? OF_SCORES : OF_CLASSES);
    agreement_items_of(&y, b, of_scores ? OF_SCORES : OF_CLASSES);
    struct common c = common_of(&x, &y);
    if (c.n >= ITEMS_LEAST) {
        int *i = mem_alloc(c.n * sizeof *i), *k = mem_alloc(c.n * sizeof *k), n = classes_of(i, k, &c);
        size_t same = 0;
        for (size_t at = 0; at < c.n; at++) same += fabs(c.a[at] - c.b[at]) < 1e-9;
        row = json_pack("{s:s, s:s, s:s, s:s, s:I}", "a", a->judge, "b", b->judge, "protocol", a->is_people ? b->protocol : a->protocol, "kind", of_scores ? "scores" : "verdicts", "n", (json_int_t)c.n);
        json_put_real(row, "exact", (double)same / (double)c.n);
        json_put_real(row, "kappa", n ? stats_kappa(i, k, c.n, n) : (double)NAN);
        if (of_scores) json_put_real(row, "weighted_kappa", n ? stats_kappa_weighted(i, k, c.n, n) : (double)NAN);
        if (of_scores) set_scores(row, &c);
        else set_verdicts(row, &c);
        mem_free(i);
        mem_free(k);
    }
    mem_free(x.at);
    mem_free(y.at);
    mem_free(c.a);
    mem_free(c.b);
    return row;
}

/* Who is held against whom: other judges under the same protocol, and people. */
static bool are_comparable(const struct audit_group *a, const struct audit_group *b)
{
    return a->is_people || b->is_people || !strcmp(a->protocol, b->protocol);
}

json_t *judge_agreement(const struct audit_groups *g)
{
    json_t *out = json_array();
    for (size_t i = 0; i < g->n; i++) {
        for (size_t k = i + 1; k < g->n; k++) {
            const struct audit_group *a = &g->at[i], *b = &g->at[k];
            if (!are_comparable(a, b)) continue;
            for (int of_scores = 0; of_scores < 2; of_scores++) {
                json_t *row = NULL;
                if (of_scores ? audit_has_scores(a) && audit_has_scores(b) : a->is_pair && b->is_pair) row = row_of(a, b, of_scores);
                if (row) json_array_append_new(out, row);
            }
        }
    }
    return out;
}

/* ---- more than two -------------------------------------------------------------------------------------------------------------------------------------- */

/* Fleiss' kappa of three classes over the things that all have judged. */
static double fleiss_of(const double *ratings, size_t items, size_t raters)
{
    int *counts = mem_zero(3 * items + 1, sizeof *counts);
    size_t n = 0;
    for (size_t i = 0; i < items; i++) {
        bool is_whole = true;
        for (size_t r = 0; r < raters; r++) is_whole = is_whole && isfinite(ratings[i * raters + r]);
        for (size_t r = 0; is_whole && r < raters; r++) counts[3 * n + (size_t)ratings[i * raters + r]]++;
        n += is_whole;
    }
    double kappa = n ? stats_fleiss(counts, n, 3) : (double)NAN;
    mem_free(counts);
    return kappa;
}

static json_t *panel_of(const struct audit_group *const *g, size_t n, bool of_scores)
{
    struct agreement_items *x = mem_zero(n, sizeof *x);
    size_t total = 0, items = 0;
    for (size_t i = 0; i < n; i++) {
        agreement_items_of(&x[i], g[i], of_scores ? OF_SCORES : OF_CLASSES);
        total += x[i].n;
    }
    double *ratings = mem_alloc((total * n + 1) * sizeof *ratings);
    size_t *at = mem_zero(n, sizeof *at);
    for (;;) {                                                   /* the least subject that is left, and who spoke of it */
        struct agreement_item least = { 0 };
        for (size_t i = 0; i < n; i++)
            if (at[i] < x[i].n && (!least.id || agreement_item_order(&x[i].at[at[i]], &least) < 0)) least = x[i].at[at[i]];
        if (!least.id) break;
        for (size_t i = 0; i < n; i++) {
            bool has = at[i] < x[i].n && !agreement_item_order(&x[i].at[at[i]], &least);
            ratings[items * n + i] = has ? x[i].at[at[i]].value : (double)NAN;
            at[i] += has;
        }
        items++;
    }
    json_t *names = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(names, json_string(g[i]->judge));
    json_t *row = json_pack("{s:s, s:s, s:o, s:I}", "protocol", g[0]->protocol, "kind", of_scores ? "scores" : "verdicts", "judges", names, "items", (json_int_t)items);
    json_put_real(row, "alpha", stats_alpha(ratings, items, n, of_scores ? STATS_INTERVAL : STATS_NOMINAL));
    if (!of_scores) json_put_real(row, "fleiss", fleiss_of(ratings, items, n));
    for (size_t i = 0; i < n; i++) mem_free(x[i].at);
    mem_free(x);
    mem_free(ratings);
    mem_free(at);
    return row;
}

/* Of one protocol, and of as many answers each: people give winners and scores under one name. */
static bool is_alike(const struct audit_group *a, const struct audit_group *b) { return a->is_pair == b->is_pair && !strcmp(a->protocol, b->protocol); }

json_t *judge_panels(const struct audit_groups *g)
{
    json_t *out = json_array();
    const struct audit_group **panel = mem_alloc((g->n + 1) * sizeof *panel);
    for (size_t i = 0; i < g->n; i++) {
        size_t n = 0;
        bool is_first = true;
        for (size_t k = 0; k < i; k++) is_first = is_first && !is_alike(&g->at[k], &g->at[i]);
        for (size_t k = i; is_first && k < g->n; k++)
            if (is_alike(&g->at[k], &g->at[i])) panel[n++] = &g->at[k];
        bool of_scores = n >= 3 && audit_has_scores(panel[0]);
        if (n >= 3) json_array_append_new(out, panel_of(panel, n, of_scores));
    }
    mem_free(panel);
    return out;
}
