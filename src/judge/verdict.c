/* verdict.c - who is better: for each judge that is to be trusted, and for all of them together. */
#include "judge/verdict_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ALL_JUDGES "all judges"
#define PEOPLE "people"                        /* the protocol of persons' votes: never pooled with judges */

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

/* Why a judge's rates are withheld; NULL: they are not. */
static char *withheld_of(const json_t *audit, const struct verdict_judge *j)
{
    const json_t *row = audit_of(audit, j);
    struct buf why;
    size_t i;
    json_t *finding;
    if (!audit || !strcmp(j->protocol, PEOPLE) || json_is_true(json_object_get(row, "is_calibrated"))) return NULL;
    buf_init(&why, 0);
    json_array_foreach(json_object_get(row, "findings"), i, finding)
        if (*text_of(finding, "sentence")) buf_printf(&why, "%s%s", why.len ? "; " : "", text_of(finding, "sentence"));
    if (!why.len) buf_puts(&why, row ? "the audit calls this judge not calibrated" : "the audit knows nothing of this judge");
    char *out = mem_strdup(why.data);
    buf_release(&why);
    return out;
}

/* ---- rows ------------------------------------------------------------------------------------------------------------------------------------------------- */

/* A judge, or all: name, protocol, whose comparisons count, why they are withheld. */
struct panel { const char *name, *protocol, *withheld; const bool *is_in; json_t *judges; };

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
    if (p->withheld) {
        json_object_set_new(row, "withheld", json_string(p->withheld));
        json_object_set_new(row, "sentence", json_sprintf("%s gives no verdict: %s", *p->name ? p->name : "the judge", p->withheld));
        json_object_set_new(rates, "sentence", json_sprintf("if this judge were to be trusted, which it is not: %s", text_of(rates, "sentence")));
        json_object_set_new(row, "raw", rates);
    } else {
        json_object_update(row, rates);
        json_decref(rates);
    }
    json_array_append_new(pairs, row);
}

/* Holm's correction over the pairs of a panel on all prompts: rows from `first` on. */
static void adjust(json_t *pairs, size_t first)
{
    size_t n = json_array_size(pairs), used = 0;
    double *p = mem_alloc((2 * (n - first) + 1) * sizeof *p), *adjusted = p + (n - first);
    json_t **row = mem_alloc((n - first + 1) * sizeof *row);
    for (size_t i = first; i < n; i++) {
        json_t *one = json_array_get(pairs, i), *rates = json_object_get(one, "raw") ? json_object_get(one, "raw") : one;
        if (strcmp(text_of(one, "by"), "all") != 0) continue;
        p[used] = json_number_value(json_object_get(rates, "p"));
        row[used++] = rates;
    }
    stats_holm(adjusted, p, used);
    for (size_t i = 0; i < used; i++) set_real(row[i], "p_adjusted", adjusted[i]);
    mem_free(row);
    mem_free(p);
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
        add_pair(pairs, v, p, (struct verdict_part){ order + i, end - i, p->is_in, NULL, NULL }, parts);
    }
    adjust(pairs, first);
    verdict_ratings(json_object_get(to, "ratings"), v, p->is_in, base);
    verdict_scores(json_object_get(to, "scores"), v, p->is_in, base);
    json_decref(base);
}

/* ---- all together --------------------------------------------------------------------------------------------------------------------------------------------- */

static void add_all(json_t *out, struct verdict *v, const struct comparison *const *order, const struct parts *parts, bool is_audited)
{
    bool *is_in = mem_zero(v->n_judges + 1, sizeof *is_in);
    size_t n = 0, people = 0;
    json_t *names = json_array();
    for (size_t g = 0; g < v->n_judges; g++) {
        const struct verdict_judge *j = &v->judge[g];
        bool is_person = !strcmp(j->protocol, PEOPLE);
        people += is_person;
        is_in[g] = !j->withheld && !is_person;
        if (!is_in[g]) continue;
        json_array_append_new(names, json_string(j->name));
        n++;
    }
    if (n > 0 && v->n_judges - people > 1) add_panel(out, NULL, v, &(struct panel){ ALL_JUDGES, "", NULL, is_in, names }, order, parts);
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
        verdict_release(&v);
        return FAIL(err, SC_E_ARGUMENT, "none of %zu judgements says who is better: expected at least one with a verdict that is no canary; look at their \"error\" with judge audit", j->n);
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
        add_panel(*out, raw, &v, &(struct panel){ one->name, one->protocol, one->withheld, is_in, NULL }, order, &parts);
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
