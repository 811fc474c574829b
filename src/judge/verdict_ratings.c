/* verdict_ratings.c - one number for each model: strengths from all comparisons, and means of scores. */
#include "judge/verdict_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ELO_K 4
#define SCALE (400 / 2.302585092994045684)     /* of natural log-strengths, to what Elo's are counted in */
enum { DRAWS_MANY_MODELS = 200, MANY_MODELS = 30 };

/* ---- ratings ------------------------------------------------------------------------------------------------------------------------------------------- */

/* The matches of some judges, with the models that play in them renumbered: model[player]. */
struct games { struct stats_match *at; size_t n, *model, n_models; bool is_weighted; };

static struct games games_of(const struct verdict *v, const bool *is_in)
{
    size_t *player = mem_alloc((v->n_models + 1) * sizeof *player);
    struct games g = { mem_alloc((v->n + 1) * sizeof *g.at), 0, mem_alloc((v->n_models + 1) * sizeof *g.model), 0, false };
    bool *plays = mem_zero(v->n_models + 1, sizeof *plays);
    for (size_t i = 0; i < v->n; i++)
        if (is_in[v->at[i].judge]) plays[v->at[i].base] = plays[v->at[i].tuned] = true;
    for (size_t m = 0; m < v->n_models; m++)
        if (plays[m]) {
            player[m] = g.n_models;
            g.model[g.n_models++] = m;
        }
    for (size_t i = 0; i < v->n; i++) {
        const struct comparison *c = &v->at[i];
        if (is_in[c->judge]) g.at[g.n++] = (struct stats_match){ player[c->tuned], player[c->base], c->prompt, c->share, c->weight };
    }
    mem_free(plays);
    mem_free(player);
    return g;
}

static void games_release(struct games *g)
{
    mem_free(g->at);
    mem_free(g->model);
}

/* Why there are no finite strengths, in a note with names. */
static void note_apart(struct verdict *v, enum stats_apart how, const bool *group, const struct games *g, const char *judge)
{
    struct buf names;
    size_t n = 0;
    buf_init(&names, 400);
    for (size_t i = 0; i < g->n_models; i++)
        if (group[i]) buf_printf(&names, "%s%s", n++ ? ", " : "", v->model[g->model[i]]);
    verdict_note(v, "ratings by %s: %s%s %s the others, so Bradley and Terry's strengths have no finite maximum; a ridge of %g keeps them finite, and %s", judge, names.data ? names.data : "", names.is_full ? " ..." : "",
                 how == STATS_NEVER_MET ? "never met" : how == STATS_NEVER_WON ? "never won against" : "never lost against", STATS_RIDGE,
                 how == STATS_NEVER_MET ? "ratings of the two sides cannot be compared" : "how far apart they are is not to be relied on");
    buf_release(&names);
}

static void add_row(json_t *out, const json_t *base, const char *model, const double *x)
{
    static const char *const keys[] = { "bradley_terry", "low", "high", "strength", "elo", "elo_low", "elo_high" };
    json_t *row = json_copy((json_t *)(uintptr_t)base);
    json_object_set_new(row, "model", json_string(model));
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) json_put_real(row, keys[k], x[k]);
    json_array_append_new(out, row);
}

void verdict_ratings(json_t *out, struct verdict *v, const bool *is_in, const json_t *base)
{
    struct games g = games_of(v, is_in);
    size_t n = g.n_models, draws = n > MANY_MODELS ? DRAWS_MANY_MODELS : VERDICT_DRAWS;
    if (g.n > 0) {
        double *r = mem_alloc(2 * n * sizeof *r), *elo = r + n, gradient = 0;
        struct stats_interval *interval = mem_alloc(2 * n * sizeof *interval), *elo_interval = interval + n;
        bool *group = mem_zero(n, sizeof *group);
        enum stats_apart how = stats_apart(group, g.at, g.n, n);
        double ridge = how == STATS_JOINED ? 0 : STATS_RIDGE;
        sc_error err = { 0 };
        const char *name = json_string_value(json_object_get(base, "judge"));
        if (how != STATS_JOINED) note_apart(v, how, group, &g, *name ? name : "the judge without a name");
        if (stats_bradley_terry(r, &gradient, g.at, g.n, n, ridge, &err) != SC_OK) {
            verdict_note(v, "ratings by %s: %s", name, err.message);
            for (size_t i = 0; i < n; i++) r[i] = (double)NAN;
        }
        stats_bradley_terry_bootstrap(interval, g.at, g.n, n, v->n_prompts, ridge, v->seed, draws);
        stats_elo_bootstrap(elo, elo_interval, g.at, g.n, n, ELO_K, v->seed, draws);
        for (size_t i = 0; i < n; i++)
            add_row(out, base, v->model[g.model[i]], (double[]){ 1000 + SCALE * r[i], 1000 + SCALE * interval[i].low, 1000 + SCALE * interval[i].high, r[i], elo[i], elo_interval[i].low, elo_interval[i].high });
        mem_free(group);
        mem_free(interval);
        mem_free(r);
    }
    games_release(&g);
}

/* ---- scores --------------------------------------------------------------------------------------------------------------------------------------------- */

/* The scores that a model got: turn 0: of all turns. Where answers were judged two at a time, each comparison gives one. */
static size_t scores_of(double *x, size_t *prompt, const struct verdict *v, const bool *is_in, size_t model, int turn)
{
    size_t n = 0;
    for (size_t i = 0; i < v->n_scores; i++) {
        const struct scored *s = &v->score[i];
        if (!is_in[s->judge] || s->model != model || !s->n_calls || (turn && s->turn != turn)) continue;
        x[n] = s->score;
        prompt[n++] = s->prompt;
    }
    for (size_t i = 0; i < v->n; i++) {
        const struct comparison *c = &v->at[i];
        int side = c->tuned == model;
        if (c->is_alone || !is_in[c->judge] || (c->base != model && c->tuned != model) || (turn && c->turn != turn) || isnan(c->score[side])) continue;
        x[n] = c->score[side];
        prompt[n++] = c->prompt;
    }
    return n;
}

static int last_turn(const struct verdict *v)
{
    int last = 1;
    for (size_t i = 0; i < v->n; i++) last = v->at[i].turn > last ? v->at[i].turn : last;
    for (size_t i = 0; i < v->n_scores; i++) last = v->score[i].turn > last ? v->score[i].turn : last;
    return last < 100 ? last : 100;
}

void verdict_scores(json_t *out, const struct verdict *v, const bool *is_in, const json_t *base)
{
    size_t room = v->n + v->n_scores + 1, *prompt = mem_alloc(room * sizeof *prompt);
    double *x = mem_alloc(2 * room * sizeof *x), *zero = x + room;
    int turns = last_turn(v);
    for (size_t i = 0; i < room; i++) zero[i] = 0;
    for (size_t m = 0; m < v->n_models; m++)
        for (int turn = 0; turn <= (turns > 1 ? turns : 0); turn++) {
            size_t n = scores_of(x, prompt, v, is_in, m, turn);
            if (n == 0) continue;
            struct stats_difference mean = stats_paired(zero, x, prompt, n, v->n_prompts, v->seed, VERDICT_DRAWS);
            json_t *row = json_copy((json_t *)(uintptr_t)base);
            json_object_set_new(row, "model", json_string(v->model[m]));
            if (turn) json_object_set_new(row, "turn", json_integer(turn));
            json_object_set_new(row, "n", json_integer((json_int_t)n));
            json_put_real(row, "mean", mean.value);
            json_put_real(row, "low", mean.interval.low);
            json_put_real(row, "high", mean.interval.high);
            json_put_real(row, "sd", stats_sd(x, n));
            json_put_real(row, "median", stats_quantile(x, n, 0.5));
            json_array_append_new(out, row);
        }
    mem_free(x);
    mem_free(prompt);
}
