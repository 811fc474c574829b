/* audit_pairs.c - what moves a judge besides the answers: places, lengths; whether it keeps its word when asked again, and says in words what it says in its verdict. */
#include "judge_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/stats.h"

enum { LINE_LEAST = 10 };

/* ---- both orders -------------------------------------------------------------------------------------------------------------------------------------- */

/* A call with what it is about: prompt, turn and the two models in the order of their names. */
struct call { const struct judgement *j; const char *first, *second; bool is_swapped; };

static int by_subject(const void *a, const void *b)
{
    const struct call *x = a, *y = b;
    int order = strcmp(x->j->id, y->j->id);
    if (!order) order = (x->j->turn > y->j->turn) - (x->j->turn < y->j->turn);
    if (!order) order = strcmp(x->first, y->first);
    if (!order) order = x->second && y->second ? strcmp(x->second, y->second) : (x->second != NULL) - (y->second != NULL);
    if (!order) order = x->is_swapped - y->is_swapped;
    return order ? order : (x->j > y->j) - (x->j < y->j);
}

static bool is_same_subject(const struct call *x, const struct call *y)
{
    return !strcmp(x->j->id, y->j->id) && x->j->turn == y->j->turn && !strcmp(x->first, y->first) && !x->second == !y->second && (!x->second || !strcmp(x->second, y->second));
}

static size_t sort_calls(struct call *out, const struct audit_group *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++) {
        const struct judgement *j = g->at[i];
        if (j->canary || j->error) continue;
        bool is_swapped = j->model[1] && strcmp(j->model[0], j->model[1]) > 0;
        out[n++] = (struct call){ j, j->model[is_swapped], j->model[1] ? j->model[!is_swapped] : NULL, is_swapped };
    }
    qsort(out, n, sizeof *out, by_subject);
    return n;
}

/* By models instead of places. */
static enum judge_winner of_models(const struct call *c)
{
    enum judge_winner w = c->j->opinion.winner;
    return c->is_swapped && w == WINNER_A ? WINNER_B : c->is_swapped && w == WINNER_B ? WINNER_A : w;
}

/* same_place: pairs in which the first, the second place won both times. won[f][s]: pairs in which the first place won f times and the second s times. */
struct places { size_t pairs, consistent, same_place[2], count[4], won[3][3]; };

static void count_places(struct places *p, const struct call *c, size_t n)
{
    for (size_t i = 0, end; i < n; i = end) {
        size_t plain = 0, swapped;
        for (end = i; end < n && is_same_subject(&c[i], &c[end]); end++) plain += !c[end].is_swapped;
        swapped = end - i - plain;
        for (size_t k = 0; k < plain && k < swapped; k++) {
            const struct call *x = &c[i + k], *y = &c[i + plain + k];
            enum judge_winner a = x->j->opinion.winner, b = y->j->opinion.winner;
            p->pairs++;
            p->consistent += of_models(x) == of_models(y);
            p->same_place[0] += a == WINNER_A && b == WINNER_A;
            p->same_place[1] += a == WINNER_B && b == WINNER_B;
            p->count[a]++;
            p->count[b]++;
            p->won[(a == WINNER_A) + (b == WINNER_A)][(a == WINNER_B) + (b == WINNER_B)]++;
        }
    }
}

static void set_swap(json_t *out, const struct places *p)
{
    double n = (double)p->pairs, all = 2 * n, first = (double)p->count[WINNER_A] / all, second = (double)p->count[WINNER_B] / all, tie = (double)p->count[WINNER_TIE] / all;
    /* Two verdicts drawn apart from each other with the same shares agree so often; a first and a second place, or two ties. */
    double share = (double)p->consistent / n, chance = 2 * first * second + tie * tie;
    struct stats_interval w = stats_wilson((double)p->consistent, n);
    json_object_set_new(out, "swap", json_pack("{s:I, s:I, s:f, s:f, s:f, s:f, s:o, s:I, s:I}", "pairs", (json_int_t)p->pairs, "consistent", (json_int_t)p->consistent, "share", share, "low", w.low, "high", w.high, "chance",
                        chance, "beyond_chance", json_real_or_null(chance < 1 ? (share - chance) / (1 - chance) : (double)NAN), "first_both", (json_int_t)p->same_place[0], "second_both", (json_int_t)p->same_place[1]));
}

/* The two verdicts on a pair are no independent witnesses: Wilson's interval of as many verdicts as the pairs' variance says that they are worth, never more than there are. */
static struct stats_interval place_interval(const struct places *p, double first, double all)
{
    double share = first / all, squares = 0, worth = all;
    for (int f = 0; f < 3; f++)
        for (int s = 0; s < 3; s++) squares += (double)p->won[f][s] * (f * (1 - share) - s * share) * (f * (1 - share) - s * share);
    if (squares > 0) worth = fmin(all, share * (1 - share) * all * all / squares);
    else if (share <= 0 || share >= 1) worth = (double)p->pairs;
    return stats_wilson(share * worth, worth);
}

/* Of pairs shown both ways round where there are any: only these tell place from worth. */
static void set_slot(json_t *out, const struct places *p, const struct call *c, size_t n)
{
    size_t count[4] = { 0 };
    for (size_t i = 0; i < n; i++) count[c[i].j->opinion.winner]++;
    const size_t *of = p->pairs ? p->count : count;
    uint64_t first = of[WINNER_A], second = of[WINNER_B];
    bool is_any = first + second > 0;
    struct stats_interval w = p->pairs && is_any ? place_interval(p, (double)first, (double)(first + second)) : stats_clopper_pearson(first, first + second);
    double chance = p->pairs ? stats_mcnemar(p->same_place[0], p->same_place[1]) : stats_binomial_test(first, first + second, 0.5);
    json_object_set_new(out, "slot", json_pack("{s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:b}", "verdicts", (json_int_t)(first + second + of[WINNER_TIE]), "first", (json_int_t)first, "second", (json_int_t)second, "tie",
                        (json_int_t)of[WINNER_TIE], "share", json_real_or_null(is_any ? (double)first / (double)(first + second) : (double)NAN), "low", json_real_or_null(is_any ? w.low : (double)NAN), "high",
                        json_real_or_null(is_any ? w.high : (double)NAN), "p", json_real_or_null(is_any ? chance : (double)NAN), "both_orders", p->pairs > 0));
}

/* ---- the same call again ------------------------------------------------------------------------------------------------------------------------------- */

static bool is_same_opinion(const struct judge_opinion *a, const struct judge_opinion *b)
{
    bool same = a->winner == b->winner && a->n_scores == b->n_scores;
    for (int i = 0; same && i < a->n_scores; i++) same = fabs(a->score[i] - b->score[i]) < 1e-9;
    return same;
}

static void set_repeats(json_t *out, const struct call *c, size_t n)
{
    size_t pairs = 0, same = 0;
    double apart = 0;
    for (size_t i = 1; i < n; i++) {
        if (!is_same_subject(&c[i - 1], &c[i]) || c[i - 1].is_swapped != c[i].is_swapped) continue;
        pairs++;
        same += is_same_opinion(&c[i - 1].j->opinion, &c[i].j->opinion);
        apart += c[i].j->opinion.n_scores ? fabs(c[i].j->opinion.score[0] - c[i - 1].j->opinion.score[0]) : 0;
    }
    if (!pairs) return;
    json_object_set_new(out, "repeats", json_pack("{s:I, s:I, s:f, s:f}", "pairs", (json_int_t)pairs, "same", (json_int_t)same, "share", (double)same / (double)pairs, "mean_difference", apart / (double)pairs));
}

/* ---- lengths -------------------------------------------------------------------------------------------------------------------------------------------------- */

struct lengths { double x, y; enum judge_winner winner; };

/* Decided verdicts on two models, names in their order: won[model], and of each whose answer was the longer one how many it won. */
struct duel { const char *model[2]; uint64_t won[2], longer[2], longer_won[2]; };
struct duels { struct duel *at; size_t n; };

static void duel_add(struct duels *d, const struct call *c, bool first_is_longer, bool first_won)
{
    size_t k = 0;
    while (k < d->n && (strcmp(d->at[k].model[0], c->first) != 0 || strcmp(d->at[k].model[1], c->second) != 0)) k++;
    if (k == d->n) {
        d->at = mem_grow(d->at, (d->n + 1) * sizeof *d->at);
        d->at[d->n++] = (struct duel){ .model = { c->first, c->second } };
    }
    d->at[k].won[!first_won]++;
    d->at[k].longer[!first_is_longer]++;
    d->at[k].longer_won[!first_is_longer] += first_is_longer == first_won;
}

/* Where the better model also writes more, a judge of worth chooses the longer answers too. What tells are those of the model that wins less often (of both where they win alike). */
static void set_longer(json_t *o, const struct duels *d)
{
    uint64_t longer = 0, shorter = 0, weaker = 0, weaker_won = 0;
    for (size_t k = 0; k < d->n; k++)
        for (int m = 0; m < 2; m++) {
            const struct duel *one = &d->at[k];
            bool is_weaker = one->won[m] <= one->won[!m];
            longer += one->longer_won[m];
            shorter += one->longer[m] - one->longer_won[m];
            weaker += is_weaker ? one->longer[m] : 0;
            weaker_won += is_weaker ? one->longer_won[m] : 0;
        }
    if (!(longer + shorter)) return;
    struct stats_interval w = stats_clopper_pearson(longer, longer + shorter);
    json_object_set_new(o, "longer", json_integer((json_int_t)longer));
    json_object_set_new(o, "shorter", json_integer((json_int_t)shorter));
    json_put_real(o, "longer_share", (double)longer / (double)(longer + shorter));
    json_put_real(o, "longer_low", w.low);
    json_put_real(o, "longer_high", w.high);
    json_object_set_new(o, "weaker_longer", json_integer((json_int_t)weaker));
    json_object_set_new(o, "weaker_longer_won", json_integer((json_int_t)weaker_won));
}

/* What calls [c, c + n) about the same answers say together, models in the order of their names: a winner only where all name it. False: a length is not known, or one of both orders has no
 * verdict, so that the place would count. */
static bool take_lengths(struct lengths *out, const struct call *c, size_t n, const struct audit_group *g)
{
    bool is_pair = g->is_pair;
    const double *l = c->j->length;
    double first = l[c->is_swapped], second = is_pair ? l[!c->is_swapped] : 0, sum = 0;
    if (!isfinite(first) || !isfinite(second)) return false;
    if (g->is_both_ways && c[0].is_swapped == c[n - 1].is_swapped) return false;
    out->winner = of_models(c);
    for (size_t i = 0; i < n; i++) {
        enum judge_winner w = of_models(&c[i]);
        sum += !is_pair ? c[i].j->opinion.score[0] : w == WINNER_A ? 1 : w == WINNER_B ? 0 : 0.5;
        if (w != out->winner) out->winner = WINNER_TIE;
    }
    out->x = !is_pair ? first / 1000 : first + second > 0 ? (first - second) / (first + second) : 0;
    out->y = sum / (double)n;
    return true;
}

/* Two answers: share of wins of one on (a - b) / (a + b). One: score on the length in 1000 characters. Calls about the same answers, both ways round or repeated, are one point. */
static void set_length(json_t *out, const struct call *c, size_t n, const struct audit_group *g)
{
    double *x = mem_alloc((n + 1) * sizeof *x), *y = mem_alloc((n + 1) * sizeof *y);
    size_t m = 0;
    struct duels duels = { NULL, 0 };
    for (size_t i = 0, end; i < n; i = end) {
        struct lengths one;
        for (end = i; end < n && is_same_subject(&c[i], &c[end]);) end++;
        if (!take_lengths(&one, &c[i], end - i, g)) continue;
        x[m] = one.x;
        y[m++] = one.y;
        if (!g->is_pair || one.winner == WINNER_TIE || fabs(one.x) < 1e-9) continue;
        duel_add(&duels, &c[i], one.x > 0, one.winner == WINNER_A);
    }
    if (m >= LINE_LEAST) {
        struct stats_slope s = stats_line(x, y, m);
        json_t *o = json_pack("{s:I, s:o, s:o, s:o, s:o}", "n", (json_int_t)m, "slope", json_real_or_null(s.slope), "low", json_real_or_null(s.interval.low), "high", json_real_or_null(s.interval.high), "p", json_real_or_null(s.p));
        set_longer(o, &duels);
        json_object_set_new(out, "length", o);
    }
    mem_free(duels.at);
    mem_free(x);
    mem_free(y);
}

/* ---- words against verdicts -------------------------------------------------------------------------------------------------------------------------------------- */

static void set_contradictions(json_t *out, const struct call *c, size_t n, struct audit_words *w)
{
    size_t of = 0, found = 0;
    json_t *examples = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct judgement *j = c[i].j;
        if (!j->text || j->opinion.winner == WINNER_TIE) continue;
        enum judge_winner side = audit_words_side(w, j->text, strlen(j->text));
        if (side == WINNER_NONE) continue;
        of++;
        if (side == j->opinion.winner) continue;
        found++;
        if (json_array_size(examples) < 5) json_array_append_new(examples, json_pack("{s:s, s:i, s:[s,s], s:s, s:s}", "id", j->id, "turn", j->turn, "models", j->model[0], j->model[1], "verdict", winner_name(j->opinion.winner), "words", winner_name(side)));
    }
    json_object_set_new(out, "contradictions", json_pack("{s:I, s:I, s:o, s:o}", "n", (json_int_t)found, "of", (json_int_t)of, "share", json_real_or_null(of ? (double)found / (double)of : (double)NAN), "examples", examples));
}

/* ---- means of models that met ------------------------------------------------------------------------------------------------------------------------------------------ */

struct meeting { const char *a, *b; size_t n, count[4]; double sum[2]; bool has_scores; };

static void set_meetings(json_t *out, const struct call *c, size_t n)
{
    struct meeting *m = NULL;
    size_t n_meetings = 0, k;
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct judgement *j = c[i].j;
        for (k = 0; k < n_meetings && (strcmp(m[k].a, j->model[0]) != 0 || strcmp(m[k].b, j->model[1]) != 0);) k++;
        if (k == n_meetings) {
            m = mem_grow(m, (n_meetings + 1) * sizeof *m);
            m[n_meetings++] = (struct meeting){ .a = j->model[0], .b = j->model[1] };
        }
        m[k].n++;
        m[k].count[j->opinion.winner]++;
        m[k].has_scores = j->opinion.n_scores == 2;
        for (int side = 0; side < 2 && m[k].has_scores; side++) m[k].sum[side] += j->opinion.score[side];
    }
    for (k = 0; k < n_meetings; k++) {
        json_t *row = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "first", m[k].a, "second", m[k].b, "n", (json_int_t)m[k].n, "first_better", (json_int_t)m[k].count[WINNER_A], "second_better", (json_int_t)m[k].count[WINNER_B], "tie", (json_int_t)m[k].count[WINNER_TIE]);
        if (m[k].has_scores) json_put_real(row, "first_mean", m[k].sum[0] / (double)m[k].n);
        if (m[k].has_scores) json_put_real(row, "second_mean", m[k].sum[1] / (double)m[k].n);
        json_array_append_new(list, row);
    }
    mem_free(m);
    json_object_set_new(out, "meetings", list);
}

void audit_pairs(json_t *out, const struct audit_group *g, struct audit_words *w)
{
    struct call *c = mem_alloc((g->n + 1) * sizeof *c);
    struct places p = { 0 };
    size_t n = sort_calls(c, g);
    set_repeats(out, c, n);
    set_length(out, c, n, g);
    if (g->is_pair) {
        count_places(&p, c, n);
        if (p.pairs) set_swap(out, &p);
        set_slot(out, &p, c, n);
        set_contradictions(out, c, n, w);
        set_meetings(out, c, n);
    }
    mem_free(c);
}
