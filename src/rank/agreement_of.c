/* agreement_of.c - how far raters agree: on pairs of answers, and on scores. Of items that more than one rater did, gold and repeats left out; raters who are left out by
 * the rules do not count. */
#include "rank/rank.h"
#include "stats/stats.h"

#include <math.h>
#include <string.h>

void set_number(json_t *o, const char *key, double x) { json_object_set_new(o, key, isfinite(x) ? json_real(x) : json_null()); }

/* ---- two raters --------------------------------------------------------------------------------------------------------------------------- */

enum { CLASSES = 3 };                                          /* of a pair of answers: 0 the first is better, 1 the second, 2 a tie */
static int class_of(int compare) { return compare < 0 ? 0 : compare > 0 ? 1 : 2; }

/* Counts of what the first said against what the second said. */
struct tally { size_t preference[CLASSES * CLASSES], score[RANK_SCORES * RANK_SCORES], pairs, scores; };
/* of_prompt: of pairs, how many both order alike; clear: without those in which anybody sees a tie. As sums of clusters, the side b. */
struct agreeing { struct tally all, *with; struct stats_pair *of_prompt, *clear; };

/* A rating by the answers' places among the item's numbers, which are the same for all raters; rank 0: not shown. */
struct opinion { int rank[RANK_SHOWN_MAX], score[RANK_SHOWN_MAX]; };

static void add_same(struct stats_pair *sum, bool is_same)
{
    sum->a_weight++;
    sum->b_weight++;
    sum->b += is_same;
}

static void compare_opinions(struct agreeing *g, struct tally *t, const struct opinion *x, const struct opinion *y, size_t prompt)
{
    for (size_t i = 0; i < RANK_SHOWN_MAX; i++) {
        if (!x->rank[i] || !y->rank[i]) continue;
        t->score[(x->score[i] - 1) * RANK_SCORES + y->score[i] - 1]++;
        t->scores++;
        for (size_t j = i + 1; j < RANK_SHOWN_MAX; j++) {
            if (!x->rank[j] || !y->rank[j]) continue;
            int a = class_of((x->rank[i] > x->rank[j]) - (x->rank[i] < x->rank[j])), b = class_of((y->rank[i] > y->rank[j]) - (y->rank[i] < y->rank[j]));
            t->preference[a * CLASSES + b]++;
            t->pairs++;
            add_same(&g->of_prompt[prompt], a == b);
            if (a != 2 && b != 2) add_same(&g->clear[prompt], a == b);
        }
    }
}

static void add_tally(struct tally *to, const struct tally *t)
{
    for (size_t i = 0; i < CLASSES * CLASSES; i++) to->preference[i] += t->preference[i];
    for (size_t i = 0; i < RANK_SCORES * RANK_SCORES; i++) to->score[i] += t->score[i];
    to->pairs += t->pairs;
    to->scores += t->scores;
}

static double share_of(const struct tally *t)
{
    size_t same = 0;
    for (size_t i = 0; i < CLASSES; i++) same += t->preference[i * CLASSES + i];
    return (double)same / (double)t->pairs;
}

static void tell_pair(json_t *list, const struct results *r, size_t a, size_t b, const struct tally *t)
{
    json_t *row = json_pack("{s:s, s:s, s:I, s:f}", "a", r->rater[a].name, "b", r->rater[b].name, "pairs", (json_int_t)t->pairs, "share", share_of(t));
    set_number(row, "kappa", stats_kappa_table(t->preference, CLASSES));
    set_number(row, "score_kappa", stats_kappa_table_weighted(t->score, RANK_SCORES));
    json_array_append_new(list, row);
}

/* All that two raters both did: work in proportion to the pairs of ratings of one item, memory to the raters. */
static void compare_raters(struct agreeing *g, json_t *list, const struct results *r, const struct rated_index *index, const struct opinion *opinion)
{
    for (size_t a = 0; a < r->n_raters; a++) {
        memset(g->with, 0, r->n_raters * sizeof *g->with);
        for (size_t i = index->of_rater[a]; i < index->of_rater[a + 1]; i++) {
            size_t x = index->by_rater[i], item = r->rated[x].item;
            for (size_t k = index->of_item[item]; k < index->of_item[item + 1]; k++) {
                size_t y = index->by_item[k], b = r->rated[y].rater;
                if (b > a) compare_opinions(g, &g->with[b], &opinion[x], &opinion[y], r->item[item].prompt);
            }
        }
        for (size_t b = a + 1; b < r->n_raters; b++) {
            if (!g->with[b].pairs) continue;
            tell_pair(list, r, a, b, &g->with[b]);
            add_tally(&g->all, &g->with[b]);
        }
    }
}

/* first[item]: the item's first answer; answers of an item lie together, in the order of their numbers. The caller's. */
static size_t *first_answers(const struct results *r)
{
    size_t *first = mem_alloc((r->n_items + 1) * sizeof *first);
    for (size_t i = r->n_answers; i-- > 0;) first[r->answer[i].item] = i;
    return first;
}

static struct opinion *opinions_of(const struct results *r, const size_t *first)
{
    struct opinion *out = mem_zero(r->n_rated + 1, sizeof *out);
    for (size_t i = 0; i < r->n_rated; i++)
        for (size_t k = 0; k < r->rated[i].n; k++) {
            size_t at = r->rated[i].answer[k] - first[r->rated[i].item];
            out[i].rank[at] = r->rated[i].rating.answer[k].rank;
            out[i].score[at] = r->rated[i].rating.answer[k].score;
        }
    return out;
}

/* The share of comparisons on which both agree, with an interval over prompts. */
static void set_share(json_t *o, const char *name, const struct stats_pair *of_prompt, size_t n_prompts, uint64_t seed, size_t draws)
{
    struct stats_difference d = stats_paired_clusters(of_prompt, n_prompts, seed, draws);
    char low[64], high[64];
    snprintf(low, sizeof low, "%s_low", name);
    snprintf(high, sizeof high, "%s_high", name);
    set_number(o, name, d.value);
    set_number(o, low, d.interval.low);
    set_number(o, high, d.interval.high);
}

/* ---- all raters: Krippendorff's alpha of preferences (nominal), ranks (ordinal), scores (interval) ------------------------------------------------------ */

/* Units are answers; raters who did not see one are missing. Who ranks 1, 1, 2 says what another says by 1, 1, 3: ties take the middle of their places. */
static double alpha_of_answers(const struct results *r, bool ranks)
{
    double *x = mem_alloc((r->n_answers * r->n_raters + 1) * sizeof *x), out;
    for (size_t i = 0; i < r->n_answers * r->n_raters; i++) x[i] = (double)NAN;
    for (size_t i = 0; i < r->n_rated; i++) {
        const struct rated *one = &r->rated[i];
        double middle[RANK_SHOWN_MAX];
        if (!rated_counts(r, one)) continue;
        rated_places(middle, one);
        for (size_t k = 0; k < one->n; k++) x[one->answer[k] * r->n_raters + one->rater] = ranks ? middle[k] : one->rating.answer[k].score;
    }
    out = stats_alpha(x, r->n_answers, r->n_raters, ranks ? STATS_ORDINAL : STATS_INTERVAL);
    mem_free(x);
    return out;
}

/* Units are pairs of answers. */
static double alpha_of_pairs(const struct results *r, const struct opinion *opinion)
{
    enum { PAIRS = RANK_SHOWN_MAX * (RANK_SHOWN_MAX - 1) / 2 };
    size_t cells = r->n_items * PAIRS * r->n_raters;
    double *x = mem_alloc((cells + 1) * sizeof *x), out;
    for (size_t i = 0; i < cells; i++) x[i] = (double)NAN;
    for (size_t i = 0; i < r->n_rated; i++) {
        const struct rated *one = &r->rated[i];
        const int *rank = opinion[i].rank;
        size_t at = 0;
        for (size_t a = 0; a < RANK_SHOWN_MAX && rated_counts(r, one); a++)
            for (size_t b = a + 1; b < RANK_SHOWN_MAX; b++, at++)
                if (rank[a] && rank[b]) x[(one->item * PAIRS + at) * r->n_raters + one->rater] = class_of((rank[a] > rank[b]) - (rank[a] < rank[b]));
    }
    out = stats_alpha(x, r->n_items * PAIRS, r->n_raters, STATS_NOMINAL);
    mem_free(x);
    return out;
}

/* ---- both ------------------------------------------------------------------------------------------------------------------------------------------ */

json_t *agreement_of(const struct results *r, uint64_t seed, size_t draws)
{
    struct agreeing g = { .with = mem_zero(r->n_raters + 1, sizeof *g.with), .of_prompt = mem_zero(r->n_prompts + 1, sizeof *g.of_prompt), .clear = mem_zero(r->n_prompts + 1, sizeof *g.clear) };
    struct rated_index index;
    json_t *out = json_object(), *list = json_array();
    size_t *first = first_answers(r);
    struct opinion *opinion = opinions_of(r, first);
    rated_index_init(&index, r);
    compare_raters(&g, list, r, &index, opinion);
    bool is_any = g.all.pairs > 0;
    json_object_set_new(out, "pairs", json_integer((json_int_t)g.all.pairs));
    set_share(out, "share", g.of_prompt, r->n_prompts, seed, draws);
    set_share(out, "share_without_ties", g.clear, r->n_prompts, seed, draws);
    set_number(out, "kappa", stats_kappa_table(g.all.preference, CLASSES));
    set_number(out, "score_kappa", stats_kappa_table_weighted(g.all.score, RANK_SCORES));
    set_number(out, "alpha_preferences", is_any ? alpha_of_pairs(r, opinion) : (double)NAN);
    set_number(out, "alpha_ranks", is_any ? alpha_of_answers(r, true) : (double)NAN);
    set_number(out, "alpha_scores", is_any ? alpha_of_answers(r, false) : (double)NAN);
    json_object_set_new(out, "raters", list);
    rated_index_release(&index);
    mem_free(opinion);
    mem_free(first);
    mem_free(g.with);
    mem_free(g.of_prompt);
    mem_free(g.clear);
    return out;
}
