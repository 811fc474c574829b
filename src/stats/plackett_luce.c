/* plackett_luce.c - strengths from rankings: the best is chosen of all, the next of the rest, and so on (Luce, "Individual choice behavior", 1959; Plackett, "The analysis of
 * permutations", 1975). */
#include "stats/choices.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EXACT_TIES = 10, DRAWN_ORDERS = 200 };

/* Who was tied, then who came after them. */
struct place { size_t *tied, n_tied, n_after, *set; };

static void add_set(struct choices *c, const size_t *set, size_t n, double weight)
{
    if (n > 1) choices_add(c, set, n, weight);
    else c->chosen[set[0]] -= weight;                          /* a choice of one, which tells nothing */
}

/* The mean over all orders: each part of s of the tied is what is left of them at some moment in 1 / (n over s) of the orders. */
static void add_exact(struct choices *c, const struct place *p)
{
    double share[EXACT_TIES + 1], choose = 1;
    for (size_t s = 1; s <= p->n_tied; s++) {
        choose *= (double)(p->n_tied - s + 1) / (double)s;
        share[s] = 1 / choose;
    }
    for (size_t some = 1; some < (size_t)1 << p->n_tied; some++) {
        size_t n = 0;
        for (size_t i = 0; i < p->n_tied; i++)
            if (some >> i & 1) p->set[n++] = p->tied[i];
        double weight = share[n];
        memcpy(p->set + n, p->tied + p->n_tied, p->n_after * sizeof *p->set);
        add_set(c, p->set, n + p->n_after, weight);
    }
}

static void add_drawn(struct choices *c, const struct place *p, struct draws *w)
{
    for (int order = 0; order < DRAWN_ORDERS; order++) {
        draws_shuffle(w, p->tied, p->n_tied);
        for (size_t s = 0; s < p->n_tied; s++) add_set(c, p->tied + s, p->n_tied + p->n_after - s, 1.0 / DRAWN_ORDERS);
    }
}

/* One ranking: its places from the best on. over: who stood before or beside whom. */
static void add_ranking(struct choices *c, double *over, size_t *list, size_t *set, const int *rank, struct draws *w)
{
    size_t n = c->n_players, n_list = 0;
    for (size_t i = 0; i < n; i++)
        if (rank[i] > 0) {
            size_t at = n_list++;
            for (; at > 0 && rank[list[at - 1]] > rank[i]; at--) list[at] = list[at - 1];
            list[at] = i;
        }
    for (size_t at = 0, end; at < n_list; at = end) {
        for (end = at + 1; end < n_list && rank[list[end]] == rank[list[at]]; end++) {}
        struct place p = { list + at, end - at, n_list - end, set };
        for (size_t i = at; i < end; i++) {
            c->chosen[list[i]] += 1;
            for (size_t j = at; j < n_list; j++)
                if (j != i) over[list[i] * n + list[j]] = 1;
        }
        if (p.n_tied <= EXACT_TIES) add_exact(c, &p);
        else add_drawn(c, &p, w);
    }
}

sc_status stats_plackett_luce(double *r, const int *rank, size_t items, size_t n, double ridge, sc_error *err)
{
    const char *what = "strengths by Plackett and Luce";
    /* The gradient is a sum over rankings and rounds as such: of very many it cannot come below a share of them. Strengths are as exact either way, as slopes grow alike. */
    double *over = mem_zero(n * n + 1, sizeof *over), found = 0, tolerance = fmax(1e-8, 1e-11 * (double)items);
    size_t *list = mem_alloc((2 * n + 1) * sizeof *list);
    bool *group = mem_zero(n + 1, sizeof *group);
    struct draws w = draws_of(0, STREAM_TIES);
    struct choices c;
    sc_status status = SC_OK;
    choices_init(&c, n);
    for (size_t i = 0; i < n; i++) r[i] = 0;
    for (size_t i = 0; i < items; i++) add_ranking(&c, over, list, list + n, rank + i * n, &w);
    enum stats_apart how = ridge > 0 ? STATS_JOINED : choices_apart(group, over, n);
    if (how != STATS_JOINED) status = choices_say_apart(how, group, n, what, err);
    else if (!choices_fit(r, &found, &c, ridge, tolerance))
        status = FAIL(err, SC_E_ARGUMENT, "%s: the gradient came down to %.3g only, expected below %.3g; the rankings are too uneven, take a ridge of 0.01", what, found, tolerance);
    choices_release(&c);
    mem_free(group);
    mem_free(list);
    mem_free(over);
    return status;
}
