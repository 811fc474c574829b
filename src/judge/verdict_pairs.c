/* verdict_pairs.c - one row of the verdict: two models, by one judge or several, on all prompts or some. */
#include "judge/verdict_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void set_int(json_t *o, const char *key, size_t n) { json_object_set_new(o, key, json_integer((json_int_t)n)); }

/* ---- a share with its interval ------------------------------------------------------------------------------------------------------------------------ */

/* Of one prompt: sums of weights and of what was won; how many comparisons. */
struct prompt_sum { size_t prompt, n; double weight, won; };
static int by_prompt(const void *a, const void *b)
{
    const struct prompt_sum *x = a, *y = b;
    return (x->prompt > y->prompt) - (x->prompt < y->prompt);
}

/* Sums in the order of prompts; the caller frees them. */
static struct prompt_sum *prompt_sums(size_t *n_prompts, const struct comparison *const *at, size_t n)
{
    struct prompt_sum *s = mem_alloc((n + 1) * sizeof *s);
    size_t top = 0;
    for (size_t i = 0; i < n; i++) s[i] = (struct prompt_sum){ at[i]->prompt, 1, at[i]->weight, at[i]->weight * at[i]->share };
    qsort(s, n, sizeof *s, by_prompt);
    for (size_t i = 0; i < n; i++) {
        if (top > 0 && s[top - 1].prompt == s[i].prompt) {
            s[top - 1].n++;
            s[top - 1].weight += s[i].weight;
            s[top - 1].won += s[i].won;
        } else {
            s[top++] = s[i];
        }
    }
    *n_prompts = top;
    return s;
}

/* Wilson's interval of as many independent comparisons as the n at hand are worth. Each prompt once, all of one weight: n. Else the variance over prompts tells (Korn and
 * Graubard, "Confidence intervals for proportions with small expected number of positive counts estimated from survey data", 1998), with t's wider reach for few prompts.
 * Ties count half, which varies less than winning and losing do, so with many ties the interval is wider than it need be. Only probabilities use their own variance, since
 * all of them can lie close together. */
struct verdict_rate verdict_rate_of(const struct comparison *const *at, size_t n, bool is_probability)
{
    struct verdict_rate out = { (double)NAN, 0, { (double)NAN, (double)NAN }, 0 };
    double weight = 0, won = 0, squares = 0, variance = 0;
    if (n == 0) return out;
    struct prompt_sum *s = prompt_sums(&out.n_prompts, at, n);
    for (size_t i = 0; i < n; i++) {
        weight += at[i]->weight;
        won += at[i]->weight * at[i]->share;
        squares += at[i]->weight * at[i]->weight;
    }
    double p = won / weight, prompts = (double)out.n_prompts, plain = weight * weight / squares;
    for (size_t c = 0; c < out.n_prompts; c++) variance += (s[c].won - p * s[c].weight) * (s[c].won - p * s[c].weight) / (weight * weight);
    mem_free(s);
    out.share = p;
    out.n_effective = plain;
    if (n > out.n_prompts || squares * (double)n > weight * weight * (1 + 1e-12) || is_probability) {
        double reach = prompts > 1 ? STATS_Z / stats_t_quantile(0.975, prompts - 1) : 1;
        if (prompts < 2) out.n_effective = 1;
        else if (variance <= 0) out.n_effective = fmin(plain, prompts);
        else out.n_effective = p * (1 - p) / (variance * prompts / (prompts - 1));
        if (!is_probability) out.n_effective = fmin(out.n_effective, plain);
        out.n_effective *= reach * reach;
    }
    out.interval = stats_wilson(p * out.n_effective, out.n_effective);
    return out;
}

/* ---- what a row tells ---------------------------------------------------------------------------------------------------------------------------------- */

/* The exact sign test: by prompt, because comparisons of one prompt go together; a prompt counts for whom it has more wins. Which of the two it speaks for is not always who has the
 * larger share: that counts comparisons. */
static void set_sign_test(json_t *row, const struct comparison *const *at, size_t n)
{
    size_t n_prompts;
    uint64_t tuned = 0, base = 0;
    struct prompt_sum *s = prompt_sums(&n_prompts, at, n);
    for (size_t c = 0; c < n_prompts; c++) {
        double net = s[c].won - 0.5 * s[c].weight;
        tuned += net > 1e-12 * s[c].weight;
        base += net < -1e-12 * s[c].weight;
    }
    mem_free(s);
    set_int(row, "prompts_won", (size_t)tuned);
    set_int(row, "prompts_lost", (size_t)base);
    json_put_real(row, "p", stats_mcnemar(tuned, base));
}

static void set_scores(json_t *row, const struct verdict *v, const struct comparison *const *at, size_t n)
{
    double *base = mem_alloc((2 * n + 1) * sizeof *base), *tuned = base + n;
    size_t *prompt = mem_alloc((n + 1) * sizeof *prompt), used = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(at[i]->score[0]) || isnan(at[i]->score[1])) continue;
        base[used] = at[i]->score[0];
        tuned[used] = at[i]->score[1];
        prompt[used++] = at[i]->prompt;
    }
    if (used > 0) {
        struct stats_difference d = stats_paired(base, tuned, prompt, used, v->n_prompts, v->seed, VERDICT_DRAWS);
        json_put_real(row, "score_base", stats_mean(base, used));
        json_put_real(row, "score_tuned", stats_mean(tuned, used));
        json_put_real(row, "score_difference", d.value);
        json_put_real(row, "score_low", d.interval.low);
        json_put_real(row, "score_high", d.interval.high);
    }
    mem_free(prompt);
    mem_free(base);
}

static bool is_of(const struct verdict *v, const struct verdict_part *part, const struct comparison *c)
{
    const struct verdict_prompt *q = &v->prompt[c->prompt];
    return part->is_in[c->judge] && (!part->slice || !strcmp(q->slice, part->slice)) && (!part->language || !strcmp(q->language, part->language));
}

static const struct comparison **members(size_t *n, const struct verdict *v, const struct verdict_part *part)
{
    const struct comparison **out = mem_alloc((part->n_of + 1) * sizeof *out);
    *n = 0;
    for (size_t i = 0; i < part->n_of; i++)
        if (is_of(v, part, part->of[i])) out[(*n)++] = part->of[i];
    return out;
}

static size_t incomplete_of(const struct verdict *v, const struct verdict_part *part)
{
    size_t n = 0;
    for (size_t i = 0; i < v->n_incomplete; i++) n += v->incomplete[i].base == part->of[0]->base && v->incomplete[i].tuned == part->of[0]->tuned && is_of(v, part, &v->incomplete[i]);
    return n;
}

json_t *verdict_rates(size_t *prompts, const struct verdict *v, const struct verdict_part *part)
{
    size_t n, count[3] = { 0, 0, 0 }, inconsistent = 0, calls = 0;
    bool is_probability = false, is_weighted = false;
    const struct comparison **at = members(&n, v, part);
    json_t *row = NULL;
    *prompts = 0;
    if (n > 0) {
        for (size_t i = 0; i < n; i++) {
            count[at[i]->won + 1]++;
            inconsistent += at[i]->is_inconsistent;
            calls += at[i]->n_calls;
            is_probability = is_probability || v->judge[at[i]->judge].is_probability;
            is_weighted = is_weighted || v->judge[at[i]->judge].is_weighted;
        }
        struct verdict_rate r = verdict_rate_of(at, n, is_probability);
        *prompts = r.n_prompts;
        row = json_object();
        set_int(row, "comparisons", n);
        set_int(row, "incomplete", incomplete_of(v, part));
        set_int(row, "calls", calls);
        set_int(row, "win", count[2]);
        set_int(row, "tie", count[1]);
        set_int(row, "loss", count[0]);
        set_int(row, "inconsistent", inconsistent);
        json_object_set_new(row, "rule", json_string(is_probability ? "probability" : is_weighted ? "strength" : "orders"));
        json_put_real(row, "win_rate", r.share);
        json_put_real(row, "low", r.interval.low);
        json_put_real(row, "high", r.interval.high);
        json_put_real(row, "n_effective", r.n_effective);
        set_sign_test(row, at, n);
        json_put_real(row, "smallest", stats_smallest_difference((r.interval.high - r.interval.low) / 2 / STATS_Z));
        if (part->has_one_scale) set_scores(row, v, at, n);
        verdict_controls(row, v, at, n);
    }
    mem_free(at);
    return row;
}
