/* verdict.c - who is better: for each judge that is to be trusted, and for all of them together. */
#include "judge/verdict_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ALL_JUDGES "all judges"

struct judge_power judge_power_of(size_t n, double p)
{
    if (n == 0) return (struct judge_power){ (double)NAN, (double)NAN };
    struct stats_interval w = stats_wilson(p * (double)n, (double)n);
    double half = (w.high - w.low) / 2;
    return (struct judge_power){ half, stats_smallest_difference(half / STATS_Z) };
}

/* ---- whom to trust --------------------------------------------------------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static const json_t *audit_of(const json_t *audit, const struct verdict_judge *j)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(audit, "judges"), i, row)
        if (!strcmp(text_of(row, "judge"), j->name) && (!json_object_get(row, "protocol") || !strcmp(text_of(row, "protocol"), j->protocol))) return row;
    return NULL;
}

/* Why a judge's rates are withheld, warnings left out; NULL: they are not. */
static char *withheld_of(const json_t *audit, const struct verdict_judge *j)
{
    const json_t *row = audit_of(audit, j);
    struct buf why;
    size_t i;
    json_t *finding;
    if (!audit || !strcmp(j->protocol, VERDICT_PEOPLE) || json_is_true(json_object_get(row, "is_calibrated"))) return NULL;
    buf_init(&why, 0);
    json_array_foreach(json_object_get(row, "findings"), i, finding)
        if (*text_of(finding, "sentence") && !json_is_false(json_object_get(finding, "refuses"))) buf_printf(&why, "%s%s", why.len ? "; " : "", text_of(finding, "sentence"));
    if (!why.len) buf_puts(&why, row ? "the audit calls this judge not calibrated" : "the audit knows nothing of this judge");
    char *out = mem_strdup(why.data);
    buf_release(&why);
    return out;
}

/* ---- rows ------------------------------------------------------------------------------------------------------------------------------------------------- */

/* A judge, or all: name, protocol, whose comparisons count, why they are withheld. has_one_scale: all of one protocol, so that scores can be averaged. */
struct panel { const char *name, *protocol, *withheld; const bool *is_in; json_t *judges; bool has_one_scale; };

static json_t *base_of(const struct panel *p)
{
    json_t *out = json_pack("{s:s, s:s}", "judge", p->name, "protocol", p->protocol);
    if (p->judges) json_object_set(out, "judges", p->judges);
    return out;
}

static void add_row(json_t *pairs, const struct verdict *v, const struct panel *p, const struct verdict_part *part, const char *by)
{
    size_t prompts;
    json_t *rates = verdict_rates(&prompts, v, part);
    if (!rates) return;
    json_t *row = base_of(p);
    json_object_set_new(row, "base", json_string(v->model[part->of[0]->base]));
    json_object_set_new(row, "tuned", json_string(v->model[part->of[0]->tuned]));
    json_object_set_new(row, "by", json_string(by));
    json_object_set_new(row, "slice", json_string(part->slice ? part->slice : part->language ? part->language : ""));
    json_object_set_new(row, "prompts", json_integer((json_int_t)prompts));
    if (p->withheld) json_object_set_new(row, "withheld", json_string(p->withheld));
    if (p->withheld) json_object_set_new(row, "raw", rates);
    else json_object_update(row, rates);
    if (!p->withheld) json_decref(rates);
    json_array_append_new(pairs, row);
}

static json_t *rates_of(json_t *row) { return json_object_get(row, "raw") ? json_object_get(row, "raw") : row; }
static double number_of(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

/* Holm's correction over rows from `first` on that are by the same: a panel's pairs of models on all prompts, or on all slices, or in all languages. Each of these asks one question as often
 * as it has rows, and one of many is bound to look sure. */
static void adjust(json_t *pairs, size_t first, const char *by)
{
    size_t n = json_array_size(pairs), used = 0;
    double *p = mem_alloc((2 * (n - first) + 1) * sizeof *p), *adjusted = p + (n - first);
    json_t **row = mem_alloc((n - first + 1) * sizeof *row);
    for (size_t i = first; i < n; i++) {
        json_t *one = json_array_get(pairs, i);
        if (strcmp(text_of(one, "by"), by) != 0) continue;
        p[used] = number_of(rates_of(one), "p");
        row[used++] = rates_of(one);
    }
    stats_holm(adjusted, p, used);
    for (size_t i = 0; i < used; i++) {
        json_put_real(row[i], "p_adjusted", adjusted[i]);
        json_object_set_new(row[i], "tests", json_integer((json_int_t)used));
    }
    mem_free(row);
    mem_free(p);
}

/* Better or worse by the sign test, adjusted: it leaves ties out, where the interval grows with them. Where the share, which counts comparisons, points the other way, neither. */
static void set_sentence(json_t *row)
{
    json_t *rates = rates_of(row);
    char text[800], chance[80];
    double p = number_of(rates, "p_adjusted"), share = number_of(rates, "win_rate"), won = number_of(rates, "prompts_won"), lost = number_of(rates, "prompts_lost"), tests = number_of(rates, "tests");
    bool is_better = p < 0.05 && share > 0.5 && won > lost, is_worse = p < 0.05 && share < 0.5 && won < lost;
    int n = p < 1e-4 ? snprintf(chance, sizeof chance, "below 0.0001") : snprintf(chance, sizeof chance, "%.4f", p);
    if (tests > 1) snprintf(chance + n, sizeof chance - (size_t)n, " by Holm for %.0f tests", tests);
    double prompts = number_of(row, "prompts"), incomplete = number_of(rates, "incomplete");
    char rest[80] = "";
    if (incomplete > 0) snprintf(rest, sizeof rest, "; %.0f comparison%s incomplete and left out", incomplete, incomplete > 1 ? "s are" : " is");
    json_object_set_new(rates, "result", json_string(is_better ? "better" : is_worse ? "worse" : "open"));
    snprintf(text, sizeof text, "%s%.200s %s %.200s: it wins %.1f %% (95 %% interval %.1f to %.1f %%) on %.0f prompt%s, p %s%s", rates == row ? "" : "if this judge were to be trusted, which it is not: ", text_of(row, "tuned"),
             is_better ? "is better than" : is_worse ? "is worse than" : "cannot be told from", text_of(row, "base"), 100 * share, 100 * number_of(rates, "low"), 100 * number_of(rates, "high"), prompts, prompts > 1 ? "s" : "", chance, rest);
    struct buf whole;
    buf_init(&whole, 0);
    utf8_repair(&whole, text, strlen(text));                   /* names may be cut in a character */
    json_object_set_new(rates, "sentence", json_stringn(whole.data, whole.len));
    buf_release(&whole);
    if (rates != row) json_object_set_new(row, "sentence", json_sprintf("%s gives no verdict: %s", *text_of(row, "judge") ? text_of(row, "judge") : "the judge", text_of(row, "withheld")));
}

static void finish_rows(json_t *pairs, size_t first)
{
    static const char *const by[] = { "all", "slice", "language" };
    for (size_t i = 0; i < sizeof by / sizeof *by; i++) adjust(pairs, first, by[i]);
    for (size_t i = first; i < json_array_size(pairs); i++) set_sentence(json_array_get(pairs, i));
}

/* What there is of slices and languages, as keys in the order of prompts. */
struct parts { json_t *slices, *languages; };
static struct parts parts_of(const struct verdict *v)
{
    struct parts out = { json_object(), json_object() };
    for (size_t i = 0; i < v->n_prompts; i++) {
        json_object_set_new(out.slices, v->prompt[i].slice, json_null());
        json_object_set_new(out.languages, v->prompt[i].language, json_null());
    }
    return out;
}

static void add_pair(json_t *pairs, const struct verdict *v, const struct panel *p, struct verdict_part part, const struct parts *parts)
{
    const char *name;
    json_t *unused;
    add_row(pairs, v, p, &part, "all");
    /* One slice, or none, is all again. */
    if (json_object_size(parts->slices) > 1)
        json_object_foreach(parts->slices, name, unused) {
            part.slice = name;
            if (*name) add_row(pairs, v, p, &part, "slice");
        }
    part.slice = NULL;
    if (json_object_size(parts->languages) > 1)
        json_object_foreach(parts->languages, name, unused) {
            part.language = name;
            if (*name) add_row(pairs, v, p, &part, "language");
        }
}

static int by_pair(const void *a, const void *b)
{
    const struct comparison *x = *(const struct comparison *const *)a, *y = *(const struct comparison *const *)b;
    if (x->base != y->base) return x->base < y->base ? -1 : 1;
    if (x->tuned != y->tuned) return x->tuned < y->tuned ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

/* All that a panel says. raw: where ratings and scores of one that is withheld go. */
static void add_panel(json_t *out, json_t *raw, struct verdict *v, const struct panel *p, const struct comparison *const *order, const struct parts *parts)
{
    json_t *pairs = json_object_get(out, "pairs"), *to = p->withheld ? raw : out, *base = base_of(p);
    size_t first = json_array_size(pairs);
    for (size_t i = 0, end; i < v->n; i = end) {
        for (end = i + 1; end < v->n && order[end]->base == order[i]->base && order[end]->tuned == order[i]->tuned; end++) {}
        add_pair(pairs, v, p, (struct verdict_part){ order + i, end - i, p->is_in, NULL, NULL, p->has_one_scale }, parts);
    }
    finish_rows(pairs, first);
    verdict_ratings(json_object_get(to, "ratings"), v, p->is_in, base);
    if (p->has_one_scale) verdict_scores(json_object_get(to, "scores"), v, p->is_in, base);
    json_decref(base);
}

/* Names what a judge left open. */
static void note_incomplete(struct verdict *v, size_t judge)
{
    enum { NAMED = 10 };
    struct buf names;
    size_t n = 0;
    buf_init(&names, 500);
    for (size_t i = 0; i < v->n_incomplete; i++) {
        const struct comparison *c = &v->incomplete[i];
        if (c->judge != judge || n++ >= NAMED) continue;
        buf_printf(&names, "%s%s%s", n > 1 ? ", " : "", v->prompt[c->prompt].id, c->turn > 1 ? " (a later turn)" : "");
    }
    if (n) verdict_note(v, "%s: %zu comparison%s incomplete and left out, since one of the orders or answers has no verdict: %s%s", *v->judge[judge].name ? v->judge[judge].name : "the judge without a name", n,
                        n == 1 ? " is" : "s are", names.data ? names.data : "", n > NAMED || names.is_full ? " ..." : "");
    buf_release(&names);
}

/* ---- all together --------------------------------------------------------------------------------------------------------------------------------------------- */

static void add_all(json_t *out, struct verdict *v, const struct comparison *const *order, const struct parts *parts, bool is_audited)
{
    bool *is_in = mem_zero(v->n_judges + 1, sizeof *is_in);
    size_t n = 0, people = 0;
    const char *protocol = NULL;
    bool has_one_scale = true;
    json_t *names = json_array();
    for (size_t g = 0; g < v->n_judges; g++) {
        const struct verdict_judge *j = &v->judge[g];
        bool is_person = !strcmp(j->protocol, VERDICT_PEOPLE);
        people += is_person;
        is_in[g] = !j->withheld && !is_person;
        if (!is_in[g]) continue;
        has_one_scale = has_one_scale && (!protocol || !strcmp(protocol, j->protocol));
        protocol = j->protocol;
        json_array_append_new(names, json_string(j->name));
        n++;
    }
    if (n > 0 && v->n_judges - people > 1) add_panel(out, NULL, v, &(struct panel){ ALL_JUDGES, "", NULL, is_in, names, has_one_scale }, order, parts);
    if (n == 0 && v->n_judges > people) verdict_note(v, "no judge may be trusted, so there is no verdict; what the judges said stands under \"raw\"");
    if (!is_audited) verdict_note(v, "the judges were not audited, so nothing was withheld");
    json_decref(names);
    mem_free(is_in);
}

sc_status judge_verdict(json_t **out, const struct judgements *j, const json_t *audit, uint64_t seed, sc_error *err)
{
    struct verdict v;
    verdict_units(&v, j);
    v.seed = seed;
    if (v.n == 0 && v.n_scores == 0) {
        sc_status status = v.n_incomplete ? FAIL(err, SC_E_ARGUMENT, "none of %zu judgements says who is better: all %zu comparisons lack the verdict of an order or an answer; look at their \"error\" with judge audit, or let a run that stopped go on", j->n, v.n_incomplete)
                                          : FAIL(err, SC_E_ARGUMENT, "none of %zu judgements says who is better: expected at least one with a verdict that is no canary; look at their \"error\" with judge audit", j->n);
        verdict_release(&v);
        return status;
    }
    const struct comparison **order = mem_alloc((v.n + 1) * sizeof *order);
    for (size_t i = 0; i < v.n; i++) order[i] = &v.at[i];
    if (v.n) qsort(order, v.n, sizeof *order, by_pair);
    struct parts parts = parts_of(&v);
    json_t *raw = json_pack("{s:[], s:[]}", "ratings", "scores"), *models = json_array(), *withheld = json_array();
    *out = json_pack("{s:[], s:[], s:[]}", "pairs", "ratings", "scores");
    for (size_t m = 0; m < v.n_models; m++) json_array_append_new(models, json_string(v.model[m]));
    json_object_set_new(*out, "models", models);
    bool *is_in = mem_zero(v.n_judges + 1, sizeof *is_in);
    for (size_t g = 0; g < v.n_judges; g++) {
        struct verdict_judge *one = &v.judge[g];
        one->withheld = withheld_of(audit, one);
        if (one->withheld) json_array_append_new(withheld, json_pack("{s:s, s:s, s:s}", "judge", one->name, "protocol", one->protocol, "why", one->withheld));
        is_in[g] = true;
        note_incomplete(&v, g);
        add_panel(*out, raw, &v, &(struct panel){ one->name, one->protocol, one->withheld, is_in, NULL, true }, order, &parts);
        is_in[g] = false;
    }
    add_all(*out, &v, order, &parts, audit != NULL);
    json_object_set_new(*out, "withheld", withheld);
    json_object_set_new(*out, "raw", raw);
    json_object_set(*out, "notes", v.notes);
    json_object_set_new(*out, "seed", json_integer((json_int_t)(seed & INT64_MAX)));
    json_object_set_new(*out, "draws", json_integer(VERDICT_DRAWS));
    json_decref(parts.slices);
    json_decref(parts.languages);
    mem_free(is_in);
    mem_free(order);
    verdict_release(&v);
    return SC_OK;
}
