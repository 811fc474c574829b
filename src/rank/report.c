/* report.c - what came of a study, as JSON: raters, agreement, models, judges. */
#include "eval/scores.h"
#include "rank/rank.h"
#include "stats/stats.h"

#include <math.h>
#include <string.h>

static json_t *excluded_of(const struct result_rater *w)
{
    json_t *list = json_array();
    for (int k = 0; k < EXCLUDED_BITS; k++)
        if (w->excluded >> k & 1) json_array_append_new(list, json_string(exclusion_name(k)));
    return list;
}

static json_t *raters_of(const struct results *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->n_raters; i++) {
        const struct result_rater *w = &r->rater[i];
        json_t *row = json_pack("{s:s, s:I, s:I, s:b, s:i}", "rater", w->name, "assigned", (json_int_t)w->assigned, "done", (json_int_t)w->done, "revoked", w->is_revoked, "contradictions", w->contradictions);
        json_t *gold = json_pack("{s:i, s:i}", "items", w->gold, "right", w->gold_right), *repeats = json_pack("{s:i, s:i}", "pairs", w->repeat_pairs, "same", w->repeat_same);
        set_number(gold, "share", w->gold ? (double)w->gold_right / w->gold : (double)NAN);
        set_number(repeats, "share", w->repeat_pairs ? (double)w->repeat_same / w->repeat_pairs : (double)NAN);
        set_number(repeats, "score_difference", w->repeat_scores ? w->repeat_difference : (double)NAN);
        set_number(row, "median_seconds", w->median_seconds);
        json_object_set_new(row, "gold", gold);
        json_object_set_new(row, "repeats", repeats);
        json_object_set_new(row, "excluded", excluded_of(w));
        json_array_append_new(list, row);
    }
    return list;
}

static sc_status study_of(json_t **out, const struct results *r, sc_error *err)
{
    static const char *const texts[] = { "id", "version", "answers", "created", "closed" };      /* answers: files, once they are no secret; then numbers */
    size_t gold = 0;
    json_t *models = json_array(), *o = json_object();
    *out = o;
    for (size_t i = 0; i < r->n_items; i++) gold += r->item[i].is_gold;
    for (size_t i = 0; i < r->n_models; i++) json_array_append_new(models, json_string(r->model[i]));
    json_object_set_new(o, "file", json_string(r->study->path));
    for (size_t i = 0; i < 5; i++) {
        char *value;
        TRY(study_get(&value, r->study, texts[i], err));
        if (value && i >= 3) json_object_set_new(o, texts[i], json_integer((json_int_t)strtoll(value, NULL, 10)));
        else json_object_set_new(o, texts[i], value ? json_string(value) : json_null());
        mem_free(value);
    }
    json_object_set_new(o, "settings", json_incref(r->study->settings));
    json_object_set_new(o, "items", json_integer((json_int_t)(r->n_items - gold)));
    json_object_set_new(o, "gold", json_integer((json_int_t)gold));
    json_object_set_new(o, "ratings", json_integer((json_int_t)r->n_rated));
    json_object_set_new(o, "models", models);
    return SC_OK;
}

static void pool(json_t *report, const struct results *r)
{
    int gold = 0, right = 0, pairs = 0, same = 0, scores = 0;
    double difference = 0;
    for (size_t i = 0; i < r->n_raters; i++) {
        const struct result_rater *w = &r->rater[i];
        gold += w->gold;
        right += w->gold_right;
        pairs += w->repeat_pairs;
        same += w->repeat_same;
        scores += w->repeat_scores;
        difference += w->repeat_difference * w->repeat_scores;
    }
    json_t *g = json_pack("{s:i, s:i}", "items", gold, "right", right), *s = json_pack("{s:i, s:i}", "pairs", pairs, "same", same);
    set_number(g, "share", gold ? (double)right / gold : (double)NAN);
    set_number(s, "share", pairs ? (double)same / pairs : (double)NAN);
    set_number(s, "score_difference", scores ? difference / scores : (double)NAN);
    json_object_set_new(report, "gold", g);
    json_object_set_new(report, "self_consistency", s);
}

static void note_add(json_t *notes, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note_add(json_t *notes, const char *format, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    json_t *v = json_string(text);
    json_array_append_new(notes, v ? v : json_string("(a note that is no UTF-8)"));
}

static void set_notes(json_t *report, const struct results *r)
{
    json_t *notes = json_array();
    size_t left_out = 0, counted = 0;
    for (size_t i = 0; i < r->n_raters; i++) left_out += r->rater[i].excluded != 0;
    for (size_t i = 0; i < r->n_rated; i++) counted += rated_counts(r, &r->rated[i]);
    if (!r->is_closed) note_add(notes, "The study is open: whose the answers are is sealed, so nothing is told of models and gold items; `rank close` ends it.");
    if (left_out) note_add(notes, "%zu of %zu raters are left out of agreement and models by the rules that were fixed when the study was made.", left_out, r->n_raters);
    if (!counted) note_add(notes, "No rating counts yet.");
    if (r->is_closed && counted) note_add(notes, "Strengths are of Plackett and Luce's model with a ridge of %g, which keeps them finite where a model won or lost everything.", STATS_RIDGE);
    json_object_set_new(report, "notes", notes);
}

sc_status rank_report_of(json_t **out, struct results *r, const sc_rank_report_config *c, sc_error *err)
{
    json_t *report = json_object(), *study = NULL, *judges = NULL;
    sc_status status = study_of(&study, r, err);
    json_object_set_new(report, "study", study);
    json_object_set_new(report, "rules", json_pack("{s:f, s:f, s:f, s:I}", "gold", r->rules.gold, "repeats", r->rules.repeats, "seconds", r->rules.seconds, "least", (json_int_t)r->rules.least));
    json_object_set_new(report, "raters", raters_of(r));
    json_object_set_new(report, "agreement", agreement_of(r, (uint64_t)c->seed, (size_t)c->draws));
    pool(report, r);
    if (status == SC_OK && r->is_closed) status = models_of(report, r, (uint64_t)c->seed, (size_t)c->draws, err);
    if (status == SC_OK && c->judgements && *c->judgements) {
        if (!r->is_closed) status = FAIL(err, SC_E_ARGUMENT, "%s is open, so no judge can be compared with it; close it first: starchat rank close %s", r->study->path, r->study->path);
        else status = judged_of(&judges, r, c->judgements, (uint64_t)c->seed, (size_t)c->draws, err);
        if (judges) json_object_set_new(report, "judges", judges);
    }
    json_object_set_new(report, "draws", json_integer((json_int_t)c->draws));
    json_object_set_new(report, "seed", json_integer((json_int_t)c->seed));
    set_notes(report, r);
    if (status != SC_OK) json_decref(report);
    else *out = report;
    return status;
}

sc_status sc_rank_report(sc_text *out, const char *path, const sc_rank_report_config *c, sc_error *err)
{
    struct study *s;
    struct results r;
    json_t *report = NULL;
    bool is_html;
    *out = (sc_text){ 0 };
    if (c->out && *c->out) TRY(sheet_check(c->out, &is_html, err));
    TRY(study_open(&s, path, err));
    sc_status status = results_read(&r, s, err);
    if (status == SC_OK) {
        status = rank_report_of(&report, &r, c, err);
        if (status == SC_OK && c->out && *c->out) status = rank_page_write(report, c->out, err);
        if (status == SC_OK) status = json_write(out, report, true);
        json_decref(report);
        results_release(&r);
    }
    study_close(s);
    return status;
}
