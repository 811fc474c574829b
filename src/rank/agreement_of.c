/* agreement_of.c - how far raters agree: on pairs of answers, and on scores. Of items that more than one rater did, gold and repeats left out; raters who are left out by
 * the rules do not count. */
#include "rank/rank.h"
#include "stats/stats.h"

#include <math.h>
#include <string.h>

void set_number(json_t *o, const char *key, double x) { json_object_set_new(o, key, isfinite(x) ? json_real(x) : json_null()); }

/* One comparison of two raters: classes 0 first, 1 second, 2 tie; the prompt. */
struct seen { int *a, *b; size_t *prompt, n, cap; };

static void seen_add(struct seen *s, int a, int b, size_t prompt)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 256;
        s->a = mem_grow(s->a, s->cap * sizeof *s->a);
        s->b = mem_grow(s->b, s->cap * sizeof *s->b);
        s->prompt = mem_grow(s->prompt, s->cap * sizeof *s->prompt);
    }
    s->a[s->n] = a;
    s->b[s->n] = b;
    s->prompt[s->n++] = prompt;
}

static void seen_release(struct seen *s)
{
    mem_free(s->a);
    mem_free(s->b);
    mem_free(s->prompt);
}

static int class_of(int compare) { return compare < 0 ? 0 : compare > 0 ? 1 : 2; }

static void compare_pairs(struct seen *to, struct seen *scores, const struct results *r, const struct rated *x, const struct rated *y)
{
    size_t prompt = r->item[x->item].prompt;
    for (size_t i = 0; i < x->n; i++) {
        for (size_t k = 0; k < y->n; k++)
            if (y->answer[k] == x->answer[i]) seen_add(scores, x->rating.answer[i].score - 1, y->rating.answer[k].score - 1, prompt);
        for (size_t j = 0; j < x->n; j++)                     /* by the number of the answer, which is the same for both */
            if (x->answer[i] < x->answer[j]) seen_add(to, class_of(rated_compare(x, i, j)), class_of(rated_pair(y, x->answer[i], x->answer[j])), prompt);
    }
}

/* All that raters a and b both did. */
static void compare_raters(struct seen *pairs, struct seen *scores, const struct results *r, size_t a, size_t b)
{
    for (size_t i = 0; i < r->n_rated; i++) {
        const struct rated *x = &r->rated[i];
        if (x->rater != a || !rated_counts(r, x)) continue;
        for (size_t k = 0; k < r->n_rated; k++)
            if (r->rated[k].rater == b && r->rated[k].item == x->item && rated_counts(r, &r->rated[k])) compare_pairs(pairs, scores, r, x, &r->rated[k]);
    }
}

static size_t same(const struct seen *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) n += s->a[i] == s->b[i];
    return n;
}

/* The share of comparisons on which both agree, with an interval over prompts. ties: false leaves those out in which anybody sees a tie. */
static void set_share(json_t *o, const char *name, const struct seen *s, bool ties, size_t n_prompts, uint64_t seed, size_t draws)
{
    double *zero = mem_zero(s->n + 1, sizeof *zero), *is_same = mem_alloc((s->n + 1) * sizeof *is_same);
    size_t *prompt = mem_alloc((s->n + 1) * sizeof *prompt), n = 0;
    char low[64], high[64];
    for (size_t i = 0; i < s->n; i++) {
        if (!ties && (s->a[i] == 2 || s->b[i] == 2)) continue;
        is_same[n] = s->a[i] == s->b[i];
        prompt[n++] = s->prompt[i];
    }
    struct stats_difference d = stats_paired(zero, is_same, prompt, n, n_prompts, seed, draws);
    snprintf(low, sizeof low, "%s_low", name);
    snprintf(high, sizeof high, "%s_high", name);
    set_number(o, name, d.value);
    set_number(o, low, d.interval.low);
    set_number(o, high, d.interval.high);
    mem_free(zero);
    mem_free(is_same);
    mem_free(prompt);
}

/* Krippendorff's alpha of preferences (nominal), ranks (ordinal) and scores (interval): units are pairs of answers, or answers; raters who did not see one are missing. */
static double alpha_of_answers(const struct results *r, bool ranks)
{
    double *x = mem_alloc((r->n_answers * r->n_raters + 1) * sizeof *x), out;
    for (size_t i = 0; i < r->n_answers * r->n_raters; i++) x[i] = (double)NAN;
    for (size_t i = 0; i < r->n_rated; i++) {
        const struct rated *one = &r->rated[i];
        for (size_t k = 0; k < one->n && rated_counts(r, one); k++) x[one->answer[k] * r->n_raters + one->rater] = ranks ? one->rating.answer[k].rank : one->rating.answer[k].score;
    }
    out = stats_alpha(x, r->n_answers, r->n_raters, ranks ? STATS_ORDINAL : STATS_INTERVAL);
    mem_free(x);
    return out;
}

static double alpha_of_pairs(const struct results *r)
{
    enum { PAIRS = RANK_SHOWN_MAX * (RANK_SHOWN_MAX - 1) / 2 };
    size_t *first = mem_alloc((r->n_items + 1) * sizeof *first), units = 0;
    for (size_t i = 0; i < r->n_items; i++) first[i] = RANK_NONE;
    for (size_t i = r->n_answers; i-- > 0;) first[r->answer[i].item] = i;
    double *x = mem_alloc((r->n_items * PAIRS * r->n_raters + 1) * sizeof *x), out;
    for (size_t i = 0; i < r->n_items * PAIRS * r->n_raters; i++) x[i] = (double)NAN;
    for (size_t i = 0; i < r->n_rated; i++) {
        const struct rated *one = &r->rated[i];
        size_t at = 0;
        for (size_t a = 0; a < one->n && rated_counts(r, one); a++)      /* answers of an item lie together, in the order of their numbers */
            for (size_t b = a + 1; b < one->n; b++, at++) x[(one->item * PAIRS + at) * r->n_raters + one->rater] = class_of(rated_pair(one, first[one->item] + a, first[one->item] + b));
    }
    units = r->n_items * PAIRS;
    out = stats_alpha(x, units, r->n_raters, STATS_NOMINAL);
    mem_free(first);
    mem_free(x);
    return out;
}

json_t *agreement_of(const struct results *r, uint64_t seed, size_t draws)
{
    struct seen all = { 0 }, scores = { 0 };
    json_t *out = json_object(), *list = json_array();
    for (size_t a = 0; a < r->n_raters; a++)
        for (size_t b = a + 1; b < r->n_raters; b++) {
            size_t from = all.n, scored = scores.n;
            compare_raters(&all, &scores, r, a, b);
            struct seen own = { all.a + from, all.b + from, all.prompt + from, all.n - from, 0 };
            if (!own.n) continue;
            json_t *row = json_pack("{s:s, s:s, s:I, s:f}", "a", r->rater[a].name, "b", r->rater[b].name, "pairs", (json_int_t)own.n, "share", (double)same(&own) / (double)own.n);
            set_number(row, "kappa", stats_kappa(own.a, own.b, own.n, 3));
            set_number(row, "score_kappa", stats_kappa_weighted(scores.a + scored, scores.b + scored, scores.n - scored, RANK_SCORES));
            json_array_append_new(list, row);
        }
    json_object_set_new(out, "pairs", json_integer((json_int_t)all.n));
    set_share(out, "share", &all, true, r->n_prompts, seed, draws);
    set_share(out, "share_without_ties", &all, false, r->n_prompts, seed, draws);
    set_number(out, "kappa", all.n ? stats_kappa(all.a, all.b, all.n, 3) : (double)NAN);
    set_number(out, "score_kappa", scores.n ? stats_kappa_weighted(scores.a, scores.b, scores.n, RANK_SCORES) : (double)NAN);
    set_number(out, "alpha_preferences", all.n ? alpha_of_pairs(r) : (double)NAN);
    set_number(out, "alpha_ranks", all.n ? alpha_of_answers(r, true) : (double)NAN);
    set_number(out, "alpha_scores", all.n ? alpha_of_answers(r, false) : (double)NAN);
    json_object_set_new(out, "raters", list);
    seen_release(&all);
    seen_release(&scores);
    return out;
}
