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
    for (int side = 0; side < n; side++) out[side] = (struct agreement_item){ j->id, j->model[side], n == 2 ? j->model[!side] : NULL, j->turn, j->opinion.score[side] };
    return (size_t)n;
}

static size_t verdict_of(struct agreement_item *out, const struct judgement *j)
{
    enum judge_winner w = j->opinion.winner;
    if (!j->model[1] || w == WINNER_NONE) return 0;
    bool is_swapped = strcmp(j->model[0], j->model[1]) > 0;
    double value = w == WINNER_TIE ? 1 : (w == WINNER_B) != is_swapped ? 2 : 0;
    *out = (struct agreement_item){ j->id, j->model[is_swapped], j->model[!is_swapped], j->turn, value };
    return 1;
}

/* Verdicts that differ become a tie; scores, and labels of several people, their mean. */
static double joined(const struct agreement_item *x, size_t n, bool as_mean)
{
    double sum = 0;
    bool is_same = true;
    for (size_t i = 0; i < n; i++) {
        sum += x[i].value;
        is_same = is_same && !(x[i].value < x[0].value) && !(x[i].value > x[0].value);
    }
    return as_mean ? sum / (double)n : is_same ? x[0].value : 1;
}

void agreement_items_of(struct agreement_items *out, const struct audit_group *g, bool of_scores)
{
    size_t n = 0, to = 0;
    out->at = mem_alloc((2 * g->n + 1) * sizeof *out->at);
    for (size_t i = 0; i < g->n; i++) {
        const struct judgement *j = g->at[i];
        if (!j->canary && !j->error) n += of_scores ? scores_of(&out->at[n], j) : verdict_of(&out->at[n], j);
    }
    qsort(out->at, n, sizeof *out->at, agreement_item_order);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i; end < n && !agreement_item_order(&out->at[i], &out->at[end]);) end++;
        double value = joined(&out->at[i], end - i, of_scores || g->is_people);
        out->at[to] = out->at[i];
        out->at[to++].value = value;
    }
    out->n = to;
}
