/* agreement_items.c - what a judge said of each thing, so that it can be held against what another said of the same. */
#include "judge_internal.h"

#include <stdlib.h>
#include <string.h>

int agreement_item_order(const void *a, const void *b)
{
    const struct agreement_item *x = a, *y = b;
    int order = strcmp(x->id, y->id);
    if (!order) order = (x->turn > y->turn) - (x->turn < y->turn);
    if (!order) order = strcmp(x->model, y->model);
    if (!order) order = x->other && y->other ? strcmp(x->other, y->other) : (x->other != NULL) - (y->other != NULL);
    return order;
}

bool audit_has_scores(const struct audit_group *g)
{
    for (size_t i = 0; i < g->n; i++)
        if (!g->at[i]->error && !g->at[i]->canary && g->at[i]->opinion.n_scores) return true;
    return false;
}

static size_t scores_of(struct agreement_item *out, const struct judgement *j)
{
    int n = j->opinion.n_scores;
    for (int side = 0; side < n; side++) out[side] = (struct agreement_item){ j->id, j->model[side], n == 2 ? j->model[!side] : NULL, j->turn, 1u << side, j->opinion.score[side] };
    return (size_t)n;
}

static size_t verdict_of(struct agreement_item *out, const struct judgement *j)
{
    enum judge_winner w = j->opinion.winner;
    if (!j->model[1] || w == WINNER_NONE) return 0;
    bool is_swapped = strcmp(j->model[0], j->model[1]) > 0;
    double value = w == WINNER_TIE ? 1 : (w == WINNER_B) != is_swapped ? 2 : 0;
    *out = (struct agreement_item){ j->id, j->model[is_swapped], j->model[!is_swapped], j->turn, 1u << is_swapped, value };
    return 1;
}

static double mean_of(const struct agreement_item *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i].value;
    return sum / (double)n;
}

/* A judge's verdicts that differ become a tie; of people more count than fewer. */
static double class_of(const struct agreement_item *x, size_t n, bool is_people)
{
    size_t votes[3] = { 0 };
    for (size_t i = 0; i < n; i++) votes[(size_t)x[i].value]++;
    for (size_t k = 0; k < 3; k += 2)
        if (is_people ? votes[k] > votes[1] && votes[k] > votes[2 - k] : votes[k] == n) return (double)k;
    return 1;
}

void agreement_items_of(struct agreement_items *out, const struct audit_group *g, enum agreement_of of)
{
    size_t n = 0, to = 0;
    out->at = mem_alloc((2 * g->n + 1) * sizeof *out->at);
    for (size_t i = 0; i < g->n; i++) {
        const struct judgement *j = g->at[i];
        if (!j->canary && !j->error) n += of == OF_SCORES ? scores_of(&out->at[n], j) : verdict_of(&out->at[n], j);
    }
    qsort(out->at, n, sizeof *out->at, agreement_item_order);
    for (size_t i = 0, end; i < n; i = end) {
        unsigned orders = 0;
        for (end = i; end < n && !agreement_item_order(&out->at[i], &out->at[end]); end++) orders |= out->at[end].orders;
        if (g->is_both_ways && orders != 3) continue;
        double value = of == OF_CLASSES ? class_of(&out->at[i], end - i, g->is_people) : mean_of(&out->at[i], end - i);
        out->at[to] = out->at[i];
        out->at[to++].value = value;
    }
    out->n = to;
}
