/* verdict_controls.c - what the win rate would be of answers of one length, or one style: logistic regression of who won on the difference, read off where the difference is 0.
 * After Dubois et al., "Length-controlled AlpacaEval" (2024) and Chatbot Arena's style control (2024), without what only their data give: no difficulty of instructions; terms are
 * divided by their standard deviation but not centred, so that 0 is "alike". */
#include "judge/verdict_internal.h"

#include <math.h>
#include <string.h>

enum { STYLE_TERMS = 4, TERMS_MOST = 1 + STYLE_TERMS };
#define RIDGE 0.5                              /* on terms, not on the constant, as in the arena's */
static const char *const style_names[STYLE_TERMS] = { "tokens", "headers", "lists", "bold" };

/* Rows that have what is needed: x[row * k + term], the first term 1. is_fixed: a term that is the same everywhere, and not 0: it cannot be told from being better. */
struct control { size_t k, n, *prompt; double *x, *share, *weight; bool is_fixed; };

static double apart(double a, double b) { return (a - b) / (a + b + 1); }

static bool length_terms(double *x, const struct comparison *c)
{
    x[0] = c->length[1] - c->length[0];
    return isfinite(x[0]);
}

static bool style_terms(double *x, const struct comparison *c)
{
    const struct judge_style *b = &c->style[0], *t = &c->style[1];
    x[0] = apart(t->tokens, b->tokens);
    x[1] = apart(t->headers, b->headers);
    x[2] = apart(t->lists, b->lists);
    x[3] = apart(t->bold, b->bold);
    return isfinite(x[0]) && isfinite(x[1]) && isfinite(x[2]) && isfinite(x[3]);
}

static void control_init(struct control *c, size_t terms, bool (*read)(double *x, const struct comparison *c), const struct comparison *const *at, size_t n)
{
    *c = (struct control){ .k = terms + 1, .prompt = mem_alloc((n + 1) * sizeof *c->prompt), .x = mem_alloc((n + 1) * (terms + 1) * sizeof *c->x), .share = mem_alloc((2 * n + 1) * sizeof *c->share) };
    c->weight = c->share + n;
    for (size_t i = 0; i < n; i++) {
        double *x = c->x + c->n * c->k;
        if (!read(x + 1, at[i])) continue;
        x[0] = 1;
        c->prompt[c->n] = at[i]->prompt;
        c->share[c->n] = at[i]->share;
        c->weight[c->n++] = at[i]->weight;
    }
}

static void control_release(struct control *c)
{
    mem_free(c->prompt);
    mem_free(c->x);
    mem_free(c->share);
}

/* Divides a term by its standard deviation; one that never varies from 0 stays 0. */
static void scale_term(struct control *c, size_t term)
{
    double mean = 0, squares = 0;
    for (size_t i = 0; i < c->n; i++) mean += c->x[i * c->k + term] / (double)c->n;
    for (size_t i = 0; i < c->n; i++) squares += (c->x[i * c->k + term] - mean) * (c->x[i * c->k + term] - mean) / (double)c->n;
    if (squares <= 1e-20 * mean * mean) {                      /* beside rounding */
        c->is_fixed = c->is_fixed || fabs(mean) > 0;
        for (size_t i = 0; i < c->n; i++) c->x[i * c->k + term] = 0;
        return;
    }
    for (size_t i = 0; i < c->n; i++) c->x[i * c->k + term] /= sqrt(squares);
}

static size_t distinct_prompts(const struct control *c, size_t n_prompts)
{
    bool *is_there = mem_zero(n_prompts + 1, sizeof *is_there);
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        n += !is_there[c->prompt[i]];
        is_there[c->prompt[i]] = true;
    }
    mem_free(is_there);
    return n;
}

/* Is the answer to "what if they were alike" beyond what was seen: one side always longer, say? */
static bool is_beyond(const struct control *c)
{
    for (size_t f = 1; f < c->k; f++) {
        bool above = false, below = false, zero = false;
        for (size_t i = 0; i < c->n; i++) {
            double x = c->x[i * c->k + f];
            above = above || x > 0;
            below = below || x < 0;
            zero = zero || x == 0;
        }
        if (above != below && !zero) return true;
    }
    return false;
}

static double logistic(double z) { return 1 / (1 + exp(-z)); }

/* The regression and its interval by prompts, as members `name`, name_low, name_high, name_extrapolated and name_effects; null with name_why where it says nothing. */
static void control_fit(json_t *row, const char *name, const char *const *terms, const struct control *c, size_t n_prompts)
{
    double b[TERMS_MOST], error[TERMS_MOST];
    bool penalised[TERMS_MOST] = { false, true, true, true, true };
    char key[80];
    sc_error err = { 0 };
    size_t prompts = distinct_prompts(c, n_prompts), least = 5 * c->k;
    const char *why = NULL;
    double all = 0;
    for (size_t i = 0; i < c->n; i++) all += c->share[i];
    if (prompts < least) why = "too few prompts with known answers";
    else if (c->is_fixed) why = "the answers differ by the same everywhere, which cannot be told from being better";
    else if (all <= 0 || all >= (double)c->n) why = "one side won every time, so nothing can be told of what helped it";
    else if (stats_logistic_clusters(b, error, c->x, c->share, c->weight, c->n, c->k, penalised, RIDGE, c->prompt, &err) != SC_OK) why = err.message;
    json_object_set_new(row, name, why ? json_null() : json_real(logistic(b[0])));
    if (why) {
        snprintf(key, sizeof key, "%s_why", name);
        json_object_set_new(row, key, json_string(why));
        return;
    }
    double reach = stats_t_quantile(0.975, (double)prompts - 1);
    json_t *effects = json_object();
    snprintf(key, sizeof key, "%s_low", name);
    json_put_real(row, key, logistic(b[0] - reach * error[0]));
    snprintf(key, sizeof key, "%s_high", name);
    json_put_real(row, key, logistic(b[0] + reach * error[0]));
    snprintf(key, sizeof key, "%s_extrapolated", name);
    json_object_set_new(row, key, json_boolean(is_beyond(c)));
    for (size_t f = 1; f < c->k; f++) {
        json_t *one = json_object();
        json_put_real(one, "coefficient", b[f]);
        json_put_real(one, "low", b[f] - reach * error[f]);
        json_put_real(one, "high", b[f] + reach * error[f]);
        json_object_set_new(effects, terms[f - 1], one);
    }
    snprintf(key, sizeof key, "%s_effects", name);
    json_object_set_new(row, key, effects);
}

void verdict_controls(json_t *row, const struct verdict *v, const struct comparison *const *at, size_t n)
{
    struct control c;
    control_init(&c, 1, length_terms, at, n);
    scale_term(&c, 1);
    for (size_t i = 0; i < c.n; i++) c.x[i * c.k + 1] = tanh(c.x[i * c.k + 1]);
    control_fit(row, "length_controlled", (const char *const[]){ "length" }, &c, v->n_prompts);
    control_release(&c);
    control_init(&c, STYLE_TERMS, style_terms, at, n);
    for (size_t f = 1; f <= STYLE_TERMS; f++) scale_term(&c, f);
    control_fit(row, "style_controlled", style_names, &c, v->n_prompts);
    control_release(&c);
}
