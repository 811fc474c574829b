/* models_of.c - what people think of each model: best-worst score, rank, score, strength, flags; of each pair of models; of each slice. Intervals draw prompts. */
#include "rank/rank.h"
#include "stats/stats.h"

#include <math.h>
#include <string.h>

/* Ridge of strengths: of a model that won or lost everything there is no finite maximum. */
static const double RIDGE = STATS_RIDGE;
enum { STRENGTH_DRAWS = 300 };

/* Values of one model, one for each time that it was shown. */
struct values { double *x; size_t *prompt, n; };
struct table { struct values best_worst, rank, score; size_t flags[RANK_FLAGS_MAX], shown; };

static void values_open(struct values *v, size_t most) { *v = (struct values){ mem_alloc((most + 1) * sizeof *v->x), mem_alloc((most + 1) * sizeof *v->prompt), 0 }; }
static void values_add(struct values *v, double x, size_t prompt) { v->x[v->n] = x; v->prompt[v->n++] = prompt; }
static void values_close(struct values *v) { mem_free(v->x); mem_free(v->prompt); }

static bool is_of_slice(const struct results *r, const struct rated *x, const char *slice)
{
    const char *own = r->prompt[r->item[x->item].prompt].slice;
    return !slice || strcmp(own ? own : "", slice) == 0;
}

static bool is_told(const struct results *r, const struct rated *x, const char *slice) { return rated_counts(r, x) && is_of_slice(r, x, slice); }

/* Ranks from 1 with ties in their middle; best and worst are shared among those that tie there, so that they sum to 0. */
static void add_rated(struct table *t, const struct results *r, const struct rated *x)
{
    double middle[RANK_SHOWN_MAX];
    int best = RANK_SHOWN_MAX, worst = 0, n_best = 0, n_worst = 0;
    size_t prompt = r->item[x->item].prompt;
    for (size_t i = 0; i < x->n; i++) {
        int rank = x->rating.answer[i].rank;
        if (rank < best) best = rank;
        if (rank > worst) worst = rank;
    }
    for (size_t i = 0; i < x->n; i++) {
        n_best += x->rating.answer[i].rank == best;
        n_worst += x->rating.answer[i].rank == worst;
    }
    rated_places(middle, x);
    for (size_t i = 0; i < x->n; i++) {
        struct table *own = &t[r->answer[x->answer[i]].model];
        const struct rating_answer *a = &x->rating.answer[i];
        own->shown++;
        values_add(&own->best_worst, (a->rank == best ? 1.0 / n_best : 0) - (a->rank == worst ? 1.0 / n_worst : 0), prompt);
        values_add(&own->rank, middle[i], prompt);
        values_add(&own->score, a->score, prompt);
        for (size_t f = 0; f < RANK_FLAGS_MAX; f++) own->flags[f] += a->flags >> f & 1;
    }
}

static void set_mean(json_t *o, const char *name, const struct values *v, size_t n_prompts, uint64_t seed, size_t draws)
{
    double *zero = mem_zero(v->n + 1, sizeof *zero);
    char low[64], high[64];
    struct stats_difference d = stats_paired(zero, v->x, v->prompt, v->n, n_prompts, seed, draws);
    snprintf(low, sizeof low, "%s_low", name);
    snprintf(high, sizeof high, "%s_high", name);
    set_number(o, name, d.value);
    set_number(o, low, d.interval.low);
    set_number(o, high, d.interval.high);
    mem_free(zero);
}

/* Rows of models with at least one showing. */
static json_t *tell_models(const struct results *r, const char *slice, uint64_t seed, size_t draws)
{
    struct table *t = mem_zero(r->n_models + 1, sizeof *t);
    json_t *list = json_array();
    for (size_t m = 0; m < r->n_models; m++) {
        values_open(&t[m].best_worst, r->n_rated * RANK_SHOWN_MAX);
        values_open(&t[m].rank, r->n_rated * RANK_SHOWN_MAX);
        values_open(&t[m].score, r->n_rated * RANK_SHOWN_MAX);
    }
    for (size_t i = 0; i < r->n_rated; i++)
        if (is_told(r, &r->rated[i], slice)) add_rated(t, r, &r->rated[i]);
    for (size_t m = 0; m < r->n_models; m++) {
        json_t *row = json_pack("{s:s, s:I}", "model", r->model[m], "shown", (json_int_t)t[m].shown), *flags = json_object();
        set_mean(row, "best_worst", &t[m].best_worst, r->n_prompts, seed, draws);
        set_mean(row, "mean_rank", &t[m].rank, r->n_prompts, seed, draws);
        set_mean(row, "mean_score", &t[m].score, r->n_prompts, seed, draws);
        for (size_t f = 0; f < r->study->flags.n; f++) json_object_set_new(flags, r->study->flags.name[f], json_pack("{s:I, s:f}", "n", (json_int_t)t[m].flags[f], "share", t[m].shown ? (double)t[m].flags[f] / (double)t[m].shown : 0.0));
        json_object_set_new(row, "flags", flags);
        if (t[m].shown) json_array_append_new(list, row);
        else json_decref(row);
        values_close(&t[m].best_worst);
        values_close(&t[m].rank);
        values_close(&t[m].score);
    }
    mem_free(t);
    return list;
}

/* ---- strengths ---------------------------------------------------------------------------------------------------------------------------------- */

struct rankings { int *rank; size_t *prompt, n, models; };

static void rankings_read(struct rankings *out, const struct results *r)
{
    *out = (struct rankings){ mem_zero(r->n_rated * r->n_models + 1, sizeof *out->rank), mem_alloc((r->n_rated + 1) * sizeof *out->prompt), 0, r->n_models };
    for (size_t i = 0; i < r->n_rated; i++) {
        const struct rated *x = &r->rated[i];
        if (!is_told(r, x, NULL)) continue;
        for (size_t k = 0; k < x->n; k++) out->rank[out->n * r->n_models + r->answer[x->answer[k]].model] = x->rating.answer[k].rank;
        out->prompt[out->n++] = r->item[x->item].prompt;
    }
}

/* Strengths of drawn prompts: draws[d * models + m]. */
static size_t draw_strengths(double *draws, const struct rankings *k, size_t n_prompts, uint64_t seed, size_t n_draws)
{
    size_t *count = mem_alloc((n_prompts + 1) * sizeof *count), *used = mem_alloc((n_prompts + 1) * sizeof *used), n_used = 0, done = 0, cap = k->n + 1;
    bool *has = mem_zero(n_prompts + 1, sizeof *has);
    int *rank = mem_alloc(cap * k->models * sizeof *rank);
    for (size_t i = 0; i < k->n; i++)
        if (!has[k->prompt[i]]) { has[k->prompt[i]] = true; used[n_used++] = k->prompt[i]; }
    for (size_t d = 0; d < n_draws && n_used > 1; d++) {
        size_t n = 0;
        memset(count, 0, n_prompts * sizeof *count);
        for (size_t i = 0; i < n_used; i++) count[used[(size_t)(random_unit(seed, d, i) * (double)n_used)]]++;
        for (size_t i = 0; i < k->n; i++)
            for (size_t c = 0; c < count[k->prompt[i]]; c++, n++) {
                if (n == cap) rank = mem_grow(rank, (cap *= 2) * k->models * sizeof *rank);
                memcpy(rank + n * k->models, k->rank + i * k->models, k->models * sizeof *rank);
            }
        done += stats_plackett_luce(draws + done * k->models, rank, n, k->models, RIDGE, NULL) == SC_OK;
    }
    mem_free(count);
    mem_free(used);
    mem_free(has);
    mem_free(rank);
    return done;
}

static size_t prompts_of(const struct rankings *k, size_t n_prompts)
{
    bool *has = mem_zero(n_prompts + 1, sizeof *has);
    size_t n = 0;
    for (size_t i = 0; i < k->n; i++) { n += !has[k->prompt[i]]; has[k->prompt[i]] = true; }
    mem_free(has);
    return n;
}

static sc_status tell_strengths(json_t *models, const struct results *r, uint64_t seed, size_t draws, sc_error *err)
{
    struct rankings k;
    const json_t *name;
    json_t *row;
    size_t i;
    rankings_read(&k, r);
    size_t most = draws < STRENGTH_DRAWS ? draws : STRENGTH_DRAWS;
    double *strength = mem_zero(r->n_models + 1, sizeof *strength), *drawn = mem_alloc((most * r->n_models + 1) * sizeof *drawn), *one = mem_alloc((most + 1) * sizeof *one);
    sc_status status = k.n ? stats_plackett_luce(strength, k.rank, k.n, r->n_models, RIDGE, err) : SC_OK;
    size_t n = status == SC_OK && k.n ? draw_strengths(drawn, &k, r->n_prompts, seed, most) : 0;
    double cut = stats_cut(prompts_of(&k, r->n_prompts));
    json_array_foreach(models, i, row) {
        size_t m = 0;
        name = json_object_get(row, "model");
        while (strcmp(r->model[m], json_string_value(name)) != 0) m++;
        for (size_t d = 0; d < n; d++) one[d] = drawn[d * r->n_models + m];
        set_number(row, "strength", strength[m]);
        set_number(row, "strength_low", n ? stats_quantile(one, n, cut) : (double)NAN);
        set_number(row, "strength_high", n ? stats_quantile(one, n, 1 - cut) : (double)NAN);
    }
    mem_free(strength);
    mem_free(drawn);
    mem_free(one);
    mem_free(k.rank);
    mem_free(k.prompt);
    return status;
}

/* ---- pairs of models ------------------------------------------------------------------------------------------------------------------------------ */

static json_t *tell_pair(const struct results *r, size_t a, size_t b, uint64_t seed, size_t draws)
{
    struct values v;
    size_t win = 0, tie = 0, loss = 0;
    values_open(&v, r->n_rated);
    for (size_t i = 0; i < r->n_rated; i++) {
        const struct rated *x = &r->rated[i];
        size_t at = RANK_NONE, other = RANK_NONE;
        for (size_t k = 0; k < x->n && is_told(r, x, NULL); k++) {
            if (r->answer[x->answer[k]].model == a) at = k;
            if (r->answer[x->answer[k]].model == b) other = k;
        }
        if (at == RANK_NONE || other == RANK_NONE) continue;
        int c = rated_compare(x, at, other);
        win += c < 0;
        tie += c == 0;
        loss += c > 0;
        values_add(&v, c < 0 ? 1 : c > 0 ? 0 : 0.5, r->item[x->item].prompt);
    }
    json_t *row = v.n ? json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "a", r->model[a], "b", r->model[b], "ratings", (json_int_t)v.n, "win", (json_int_t)win, "tie", (json_int_t)tie, "loss", (json_int_t)loss) : NULL;
    if (row) set_mean(row, "win_rate", &v, r->n_prompts, seed, draws);
    values_close(&v);
    return row;
}

static json_t *tell_slices(const struct results *r, uint64_t seed, size_t draws)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->n_prompts; i++) {
        const char *slice = r->prompt[i].slice;
        bool is_new = slice != NULL;
        for (size_t k = 0; k < i && is_new; k++) is_new = !r->prompt[k].slice || strcmp(r->prompt[k].slice, slice) != 0;
        if (!is_new) continue;
        json_t *models = tell_models(r, slice, seed, draws);
        if (json_array_size(models)) json_array_append_new(list, json_pack("{s:s, s:O}", "slice", slice, "models", models));
        json_decref(models);
    }
    return list;
}

sc_status models_of(json_t *report, const struct results *r, uint64_t seed, size_t draws, sc_error *err)
{
    json_t *models = tell_models(r, NULL, seed, draws), *pairs = json_array();
    json_object_set_new(report, "models", models);
    json_object_set_new(report, "pairs", pairs);
    for (size_t a = 0; a < r->n_models; a++)
        for (size_t b = a + 1; b < r->n_models; b++) {
            json_t *row = tell_pair(r, a, b, seed, draws);
            if (row) json_array_append_new(pairs, row);
        }
    json_object_set_new(report, "slices", tell_slices(r, seed, draws));
    return tell_strengths(models, r, seed, draws, err);
}
