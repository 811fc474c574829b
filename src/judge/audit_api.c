/* audit_api.c - protocols, parsing and audits for users of the library. */
#include "judge_internal.h"

#include <math.h>
#include <string.h>

#define ROW(field, kind, low, high, fallback_, help_) { #field, kind, offsetof(sc_judge_audit_config, field), low, high, fallback_, NULL, help_ }
static const struct option rows[] = {
    ROW(answers, OPT_STRING, 0, 0, "", "what was judged, for lengths: FILE or NAME=FILE, several with commas"),
    ROW(protocol, OPT_STRING, 0, 0, "", "read the texts of others' files again by this protocol"),
    ROW(labels, OPT_STRING, 0, 0, "", "people's verdicts of the same answers"),
    ROW(calibrate, OPT_BOOL, 0, 0, "false", "maps each judge's scale to people's, with the error on other prompts"),
    ROW(differences, OPT_BOOL, 0, 0, "false", "list where a file's verdict is not what its text says"),
    ROW(seed, OPT_INT, 0, 4294967295.0, "1234", "seed of the folds"),
};
const struct sc_options judge_audit_options = { "judge_audit", sizeof(sc_judge_audit_config), rows, sizeof rows / sizeof *rows };

/* ---- protocols -------------------------------------------------------------------------------------------------------------------------------------- */

static const struct judge_protocol *inside(const sc_judge_protocol *p) { return (const struct judge_protocol *)p; }

sc_status sc_judge_protocol_open(sc_judge_protocol **out, const char *name_or_file, sc_error *err)
{
    struct judge_protocol *p;
    sc_status status = judge_protocol_open(&p, name_or_file, err);
    *out = (sc_judge_protocol *)p;
    return status;
}

void sc_judge_protocol_close(sc_judge_protocol *p) { judge_protocol_close((struct judge_protocol *)p); }

sc_status sc_judge_protocols(sc_text *out, sc_error *err)
{
    json_t *list = json_array();
    sc_status status = SC_OK;
    for (size_t i = 0; judge_protocol_builtin(i) && status == SC_OK; i++) {
        struct judge_protocol *p;
        status = judge_protocol_open(&p, judge_protocol_builtin(i), err);
        if (status != SC_OK) break;
        json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i}", "name", p->name, "about", p->about, "source", p->source, "licence", p->licence, "kind", p->is_pair ? "pair" : "single", "form", judge_form_names[p->form], "turns", p->turns);
        if (p->has_range) json_object_set_new(row, "range", json_pack("[f, f]", p->low, p->high));
        json_array_append_new(list, row);
        judge_protocol_close(p);
    }
    if (status == SC_OK) status = json_write(out, list, true);
    json_decref(list);
    return status;
}

/* ---- parsing ------------------------------------------------------------------------------------------------------------------------------------------ */

static json_t *number(double x) { return fabs(x) < 1e15 && x == floor(x) ? json_integer((json_int_t)x) : json_real(x); }

static json_t *verdict_of(const struct judge_opinion *o)
{
    json_t *out = json_object();
    if (o->n_scores) {
        json_t *scores = json_array();
        for (int i = 0; i < o->n_scores; i++) json_array_append_new(scores, number(o->score[i]));
        json_object_set_new(out, "scores", scores);
        return out;
    }
    json_object_set_new(out, "winner", json_string(winner_name(o->winner)));
    if (o->strength > 1) json_object_set_new(out, "strength", json_integer(o->strength));
    if (isfinite(o->share)) json_object_set_new(out, "share", json_real(o->share));
    return out;
}

sc_status sc_judge_parse(sc_text *out, const sc_judge_protocol *p, const char *line, size_t len, sc_error *err)
{
    json_t *o = NULL;
    struct judge_opinion opinion;
    *out = (sc_text){ 0 };
    size_t blank = 0;
    while (blank < len && (line[blank] == ' ' || line[blank] == '\t' || line[blank] == '\r')) blank++;
    if (blank == len) return FAIL(err, SC_E_FORMAT, "the line is empty, expected an object with \"text\"");
    sc_status status = json_read(&o, line, len, "the line", err);
    if (status != SC_OK) return status;
    const json_t *text = json_object_get(o, "text"), *logprobs = json_object_get(o, "logprobs");
    if (!json_is_object(o)) status = FAIL(err, SC_E_FORMAT, "the line is %s, expected an object with \"text\"", json_type_words(o));
    else if (!json_is_string(text)) status = FAIL(err, SC_E_FORMAT, "\"text\" is %s, expected a text", json_type_words(text));
    else if (logprobs && !json_is_object(logprobs) && !json_is_null(logprobs)) status = FAIL(err, SC_E_FORMAT, "\"logprobs\" is %s, expected {\"m\": -0.1, \"M\": -2.3}", json_type_words(logprobs));
    else status = judge_parse(&opinion, inside(p), json_string_value(text), json_string_length(text), json_is_object(logprobs) ? logprobs : NULL, err);
    json_decref(o);
    if (status != SC_OK) return status;
    json_t *verdict = verdict_of(&opinion);
    status = json_write(out, verdict, false);
    json_decref(verdict);
    return status;
}

/* ---- audits --------------------------------------------------------------------------------------------------------------------------------------------- */

/* FILE or NAME=FILE, with commas between them; a file whose own name has a "=" is given with its directory, "./a=b.jsonl". */
static sc_status read_answers(struct judge_answers *out, const char *list, sc_error *err)
{
    for (const char *at = list; *at;) {
        size_t len = strcspn(at, ",");
        char *one = mem_strndup(at, len), *equals = strchr(one, '=');
        bool is_named = equals && equals > one && !memchr(one, '/', (size_t)(equals - one));
        if (is_named) *equals = 0;
        sc_status status = len ? judge_answers_read(out, is_named ? equals + 1 : one, is_named ? one : NULL, err) : SC_OK;
        mem_free(one);
        if (status != SC_OK) return status;
        at += len + (at[len] == ',');
    }
    return SC_OK;
}

static sc_status check_labels(const struct judgements *j, size_t from, const char *path, sc_error *err)
{
    for (size_t i = from; i < j->n; i++)
        if (strcmp(j->at[i].protocol, "people") != 0) return FAIL(err, SC_E_ARGUMENT, "%s holds judgements of %s, expected people's labels: PandaLM's annotators, or lines of {\"id\",\"model_a\",\"model_b\",\"winner\"} or {\"id\",\"model\",\"score\"}", path, j->at[i].judge);
    return SC_OK;
}

static sc_status read_all(struct judgements *j, const char *const *paths, size_t n, const sc_judge_audit_config *c, sc_error *err)
{
    struct judge_answers answers = { 0 };
    sc_status status = SC_OK;
    TRY_DONE(read_answers(&answers, c->answers ? c->answers : "", err));
    for (size_t i = 0; i < n; i++) TRY_DONE(judgements_read(j, paths[i], answers.n ? &answers : NULL, c->protocol && *c->protocol ? c->protocol : NULL, err));
    if (c->labels && *c->labels) {
        size_t from = j->n;
        TRY_DONE(judgements_read(j, c->labels, NULL, NULL, err));
        TRY_DONE(check_labels(j, from, c->labels, err));
        judgements_name_pairs(j);
    }
done:
    judge_answers_release(&answers);
    return status;
}

sc_status sc_judge_audit(sc_text *out, const char *const *paths, size_t n, const sc_judge_audit_config *c, sc_error *err)
{
    struct judgements j = { 0 };
    json_t *all = NULL, *calibration = NULL;
    *out = (sc_text){ 0 };
    sc_status status = read_all(&j, paths, n, c, err);
    if (status == SC_OK) status = judge_audit(&all, &j, (uint64_t)c->seed, err);
    if (status == SC_OK && c->calibrate) status = judge_calibrate(&calibration, &j, (uint64_t)c->seed, err);
    if (status == SC_OK && calibration) json_object_set(all, "calibration", calibration);
    if (status == SC_OK && c->differences) {
        size_t checked;
        json_t *list = judge_differences(&j, &checked);
        json_object_set_new(all, "differences", json_pack("{s:I, s:o}", "checked", (json_int_t)checked, "rows", list));
    }
    if (status == SC_OK) status = json_write(out, all, true);
    json_decref(calibration);
    json_decref(all);
    judgements_release(&j);
    return status;
}
