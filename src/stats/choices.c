/* choices.c - the most likely strengths, by Newton's method; and when there are none. */
#include "stats/choices.h"

#include <math.h>
#include <string.h>

void choices_init(struct choices *c, size_t n_players) { *c = (struct choices){ .n_players = n_players, .chosen = mem_zero(n_players + 1, sizeof *c->chosen) }; }

void choices_release(struct choices *c)
{
    mem_free(c->chosen);
    mem_free(c->set);
    mem_free(c->member);
    *c = (struct choices){ 0 };
}

void choices_add(struct choices *c, const size_t *member, size_t n, double weight)
{
    if (c->n_sets == c->cap_sets) c->set = mem_grow(c->set, (c->cap_sets = 2 * c->cap_sets + 16) * sizeof *c->set);
    if (c->n_members + n > c->cap_members) c->member = mem_grow(c->member, (c->cap_members = 2 * c->cap_members + n + 16) * sizeof *c->member);
    c->set[c->n_sets++] = (struct choice_set){ weight, c->n_members, n };
    for (size_t i = 0; i < n; i++) c->member[c->n_members++] = member[i];
}

/* ---- Newton ------------------------------------------------------------------------------------------------------------------------------------ */

/* *size: of what was summed up, which its rounding goes by. */
static double likelihood(double *size, const struct choices *c, const double *r, double ridge)
{
    struct sum s = { 0, 0 };
    *size = 0;
    for (size_t i = 0; i < c->n_players; i++) {
        sum_add(&s, c->chosen[i] * r[i] - 0.5 * ridge * r[i] * r[i]);
        *size += fabs(c->chosen[i] * r[i]);
    }
    for (size_t k = 0; k < c->n_sets; k++) {
        const size_t *m = c->member + c->set[k].first;
        double most = r[m[0]], e = 0;
        if (c->set[k].weight == 0) continue;
        for (size_t i = 1; i < c->set[k].n; i++) most = fmax(most, r[m[i]]);
        for (size_t i = 0; i < c->set[k].n; i++) e += exp(r[m[i]] - most);
        sum_add(&s, -c->set[k].weight * (most + log(e)));
        *size += fabs(c->set[k].weight * most) + c->set[k].weight * log(e);
    }
    return sum_of(&s);
}

/* Gradient, and the negative of the second derivatives. share: room for a set. */
static void slopes(double *g, double *h, double *share, const struct choices *c, const double *r, double ridge)
{
    size_t n = c->n_players;
    double heavy = 0;
    memset(h, 0, n * n * sizeof *h);
    for (size_t i = 0; i < n; i++) g[i] = c->chosen[i] - ridge * r[i];
    for (size_t k = 0; k < c->n_sets; k++) {
        const size_t *m = c->member + c->set[k].first;
        size_t size = c->set[k].n;
        double most = r[m[0]], all = 0, w = c->set[k].weight;
        if (w == 0) continue;
        for (size_t i = 1; i < size; i++) most = fmax(most, r[m[i]]);
        for (size_t i = 0; i < size; i++) all += share[i] = exp(r[m[i]] - most);
        for (size_t i = 0; i < size; i++) share[i] /= all;
        for (size_t i = 0; i < size; i++) {
            double others = 0;                                 /* 1 - share, of a share near 1 too */
            g[m[i]] -= w * share[i];
            for (size_t j = 0; j < size; j++) {
                if (j == i) continue;
                others += share[j];
                h[m[i] * n + m[j]] -= w * share[i] * share[j];
            }
            h[m[i] * n + m[i]] += w * share[i] * others;
        }
    }
    for (size_t i = 0; i < n; i++) heavy = fmax(heavy, h[i * n + i]);
    /* All strengths shifted alike are as likely: that direction, in which the gradient is 0, gets a slope so that the system has one solution. */
    for (size_t i = 0; i < n * n; i++) h[i] += heavy / (double)n;
    for (size_t i = 0; i < n; i++) h[i * n + i] += ridge;
}

static double norm_of(const double *x, size_t n)
{
    double squares = 0;
    for (size_t i = 0; i < n; i++) squares += x[i] * x[i];
    return sqrt(squares);
}

static void centre(double *r, size_t n)
{
    double mean = 0;
    for (size_t i = 0; i < n; i++) mean += r[i] / (double)n;
    for (size_t i = 0; i < n; i++) r[i] -= mean;
}

/* r moves along `step` as far as the likelihood does not fall; false if it would everywhere. */
static bool move(double *r, double *tried, const double *step, const struct choices *c, double ridge)
{
    double size, before = likelihood(&size, c, r, ridge), slack = 1e-15 * size;
    for (double scale = 1; scale > 1e-12; scale /= 2) {
        for (size_t i = 0; i < c->n_players; i++) tried[i] = r[i] + scale * step[i];
        centre(tried, c->n_players);
        if (likelihood(&size, c, tried, ridge) >= before - slack) {
            memcpy(r, tried, c->n_players * sizeof *r);
            return true;
        }
    }
    return false;
}

bool choices_fit(double *r, double *gradient, const struct choices *c, double ridge, double tolerance)
{
    size_t n = c->n_players;
    double *room = mem_alloc((n * n + 4 * n + 1) * sizeof *room), *h = room, *g = h + n * n, *share = g + n, *tried = share + n, *best = tried + n, least = (double)INFINITY;
    centre(r, n);
    memcpy(best, r, n * sizeof *r);
    for (int round = 0; round < 200; round++) {
        slopes(g, h, share, c, r, ridge);
        double norm = norm_of(g, n);
        bool better = norm < least;
        if (better) {
            least = norm;
            memcpy(best, r, n * sizeof *r);
        }
        /* Near the end each step squares the error: below the tolerance go on as long as that is so. */
        if (norm == 0 || (least < tolerance && !better) || !cholesky(h, n)) break;
        cholesky_solve(h, n, g);
        if (!move(r, tried, g, c, ridge)) break;
    }
    memcpy(r, best, n * sizeof *r);
    mem_free(room);
    *gradient = least;
    return n == 0 || least < tolerance;
}

/* ---- players that nothing finite joins ---------------------------------------------------------------------------------------------------------------- */

/* Who can be reached from player 0 by steps from i to j with over[i][j] > 0, or against them. */
static size_t reach(bool *seen, size_t *list, const double *over, size_t n, bool is_back)
{
    size_t n_list = 1;
    for (size_t i = 0; i < n; i++) seen[i] = i == 0;
    list[0] = 0;
    for (size_t k = 0; k < n_list; k++)
        for (size_t j = 0; j < n; j++)
            if (!seen[j] && over[is_back ? j * n + list[k] : list[k] * n + j] > 0) {
                seen[j] = true;
                list[n_list++] = j;
            }
    return n_list;
}

/* Finite strengths exist where each player can be reached from each other by wins (Ford 1957). Whoever player 0's wins do not lead to was never beaten by those that they
 * do; whoever has no way of wins to player 0 never beat those that have. */
enum stats_apart choices_apart(bool *group, const double *over, size_t n)
{
    size_t *list = mem_alloc((n + 1) * sizeof *list), size = 0;
    enum stats_apart how = STATS_JOINED;
    bool crossed = false;
    for (int back = 0; n > 0 && back < 2 && how == STATS_JOINED; back++) {
        size = reach(group, list, over, n, back == 1);
        if (size < n) how = back ? STATS_NEVER_LOST : STATS_NEVER_WON;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) crossed = crossed || (group[i] != group[j] && over[i * n + j] > 0);
    if (how != STATS_JOINED && 2 * size > n) {                 /* the smaller side is easier to name */
        for (size_t i = 0; i < n; i++) group[i] = !group[i];
        how = how == STATS_NEVER_LOST ? STATS_NEVER_WON : STATS_NEVER_LOST;
    }
    mem_free(list);
    return how != STATS_JOINED && !crossed ? STATS_NEVER_MET : how;
}

sc_status choices_say_apart(enum stats_apart how, const bool *group, size_t n, const char *what, sc_error *err)
{
    struct buf names;
    size_t size = 0, rest;
    buf_init(&names, 200);
    for (size_t i = 0; i < n; i++)
        if (group[i]) buf_printf(&names, "%s%zu", size++ ? ", " : "", i);
    rest = n - size;
    sc_status status = FAIL(err, SC_E_ARGUMENT, "%s: player%s %s%s (counted from 0) %s the other %zu, so no finite strengths are the most likely ones; compare them more, leave one side out, or take a ridge above 0",
                            what, size == 1 ? "" : "s", names.data ? names.data : "", names.is_full ? " ..." : "",
                            how == STATS_NEVER_MET ? "never met" : how == STATS_NEVER_WON ? "never won against" : "never lost against", rest);
    buf_release(&names);
    return status;
}
