/* audit_canaries.c - trick questions: answers that are wrong on purpose. A judge that does not see these sees nothing finer. */
#include "judge_internal.h"

#include <math.h>
#include <string.h>

/* A bad answer's score counts as low up to a seventh of the scale from its lower end: 2 of 1 to 8 and of 1 to 10. */
static const double low_share = 1.0 / 7;

/* The judge's own score of the same model's answer when nothing was wrong with it; NAN: it gave none. */
static double usual_score(const struct audit_group *g, const struct judgement *bad)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++) {
        const struct judgement *j = g->at[i];
        if (j->canary || j->error || j->opinion.n_scores != 1 || j->turn != bad->turn || strcmp(j->id, bad->id) != 0 || strcmp(j->model[0], bad->model[0]) != 0) continue;
        sum += j->opinion.score[0];
        n++;
    }
    return n ? sum / (double)n : (double)NAN;
}

/* 1: seen, 0: not seen, -1: nothing to compare with. No verdict is not seen. */
static int is_caught(const struct audit_group *g, const struct judgement *j)
{
    int slot = j->canary_slot;
    bool is_truncated = !strcmp(j->canary, "truncated"), has_scores = j->opinion.n_scores > 0;
    if (j->error) return 0;
    if (!strcmp(j->canary, "identical")) return j->opinion.winner == WINNER_TIE;
    if (!j->model[1]) {
        double usual = is_truncated ? usual_score(g, j) : (double)NAN;
        if (is_truncated) return isfinite(usual) ? j->opinion.score[0] < usual : -1;
        return j->opinion.score[0] <= g->low + low_share * (g->high - g->low);
    }
    bool is_low = has_scores && j->opinion.score[slot] <= g->low + low_share * (g->high - g->low);
    /* The model's own answer may be as bad: that a judge finds both worthless tells nothing against it. */
    if (j->opinion.winner == WINNER_TIE && is_low) return -1;
    if (j->opinion.winner != (slot ? WINNER_A : WINNER_B)) return 0;
    return is_truncated || is_low || !has_scores;
}

void audit_canaries(json_t *out, const struct audit_group *g)
{
    json_t *all = json_object();
    for (size_t i = 0; i < g->n; i++) {
        const struct judgement *j = g->at[i];
        if (!j->canary) continue;
        json_t *one = json_object_get(all, j->canary);
        if (!one) json_object_set_new(all, j->canary, one = json_pack("{s:i, s:i, s:[]}", "n", 0, "caught", 0, "scores"));
        int caught = is_caught(g, j);
        if (caught < 0) continue;
        json_object_set_new(one, "n", json_integer(json_integer_value(json_object_get(one, "n")) + 1));
        json_object_set_new(one, "caught", json_integer(json_integer_value(json_object_get(one, "caught")) + caught));
        int slot = j->model[1] ? j->canary_slot : 0;
        if (!j->error && j->opinion.n_scores > slot) json_array_append_new(json_object_get(one, "scores"), json_real(j->opinion.score[slot]));
    }
    if (json_object_size(all)) json_object_set(out, "canaries", all);
    json_decref(all);
}
