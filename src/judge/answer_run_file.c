/* answer_run_file.c - `judge answers`: what one model answers, as a file. What stands there already of the same model asked the same way is taken over. */
#include "judge/judge_run.h"

#include <string.h>

/* ---- the file ------------------------------------------------------------------------------------------------------------------------------ */

static void put_line(struct buf *b, json_t *line)
{
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    if (text) buf_puts(b, text);
    buf_putc(b, '\n');
    mem_free(text);
}

void answers_text(struct buf *out, const struct judge_answers *a)
{
    const char *model, *id;
    json_t *of_model, *line;
    buf_init(out, 0);
    buf_puts(out, "");
    for (size_t i = 0; i < a->n; i++) {
        line = judge_answer_json(&a->at[i]);
        put_line(out, line);
        json_decref(line);
    }
    json_object_foreach(a->refused, model, of_model)
        json_object_foreach(of_model, id, line) put_line(out, line);
}

sc_status answers_write(const char *path, const struct judge_answers *a, sc_error *err)
{
    struct buf b;
    answers_text(&b, a);
    sc_status status = file_write(path, b.data, b.len, err);
    buf_release(&b);
    return status;
}

/* ---- what is there already --------------------------------------------------------------------------------------------------------------------- */

/* One line, of model `name` asked about `id` with these settings. wanted: settings of now. */
static sc_status check_line(const char *path, const struct speaker *s, const struct judge_prompts *p, const json_t *wanted, const char *name, const char *id, const json_t *settings, sc_error *err)
{
    char difference[200] = "they are not told", hex[65], quoted[260];
    const struct judge_prompt *q = judge_prompts_find(p, id);
    if (strcmp(name, s->name) != 0) return FAIL(err, SC_E_ARGUMENT, "%s has answers of %s, not of %s; name another file, or --overwrite it", path, error_quote(quoted, sizeof quoted, name, strlen(name)), s->name);
    json_t *rest = settings ? json_copy((json_t *)(uintptr_t)settings) : NULL;
    json_object_del(rest, "prompt_sha256");
    bool is_same = json_equal(rest, wanted);
    if (!is_same && rest) settings_difference(difference, rest, wanted);
    json_decref(rest);
    if (!is_same) return FAIL(err, SC_E_ARGUMENT, "%s has answers of %s with other settings: %s; name another file, or --overwrite it", path, s->name, error_quote(quoted, sizeof quoted, difference, strlen(difference)));
    const char *digest = json_string_value(json_object_get(settings, "prompt_sha256"));
    if (q) prompt_digest(hex, q);
    if (q && !digest) return FAIL(err, SC_E_ARGUMENT, "%s does not tell to which prompt called %s it has an answer; name another file, or --overwrite it", path, error_quote(quoted, sizeof quoted, id, strlen(id)));
    if (!q || !strcmp(digest, hex)) return SC_OK;
    return FAIL(err, SC_E_ARGUMENT, "%s answers another prompt that was called %s too; name another file, or --overwrite it", path, error_quote(quoted, sizeof quoted, id, strlen(id)));
}

/* What stands in c->out, all of which this run could have written. */
static sc_status take_over(struct judge_answers *known, const struct speaker *s, const struct judge_prompts *p, const sc_judge_config *c, sc_error *err)
{
    const char *model, *id;
    json_t *of_model, *line;
    if (c->dry_run && (!c->out || !*c->out)) return SC_OK;
    if (!c->out || !*c->out) return FAIL(err, SC_E_ARGUMENT, "--out is missing: the file for the answers, such as answers.jsonl");
    if (path_is_directory(c->out)) return FAIL(err, SC_E_ARGUMENT, "%s is a directory, expected a file such as answers.jsonl", c->out);
    if (c->overwrite || !path_exists(c->out)) return SC_OK;
    if (judge_answers_read(known, c->out, NULL, NULL) != SC_OK) return FAIL(err, SC_E_ARGUMENT, "%s is there and holds no answers; name another file, or --overwrite it", c->out);
    json_t *wanted = answer_settings(s, c);
    sc_status status = SC_OK;
    for (size_t i = 0; i < known->n && status == SC_OK; i++) status = check_line(c->out, s, p, wanted, known->at[i].model, known->at[i].id, known->at[i].settings, err);
    json_object_foreach(known->refused, model, of_model)
        json_object_foreach(of_model, id, line)
            if (status == SC_OK) status = check_line(c->out, s, p, wanted, model, id, json_object_get(line, "settings"), err);
    json_decref(wanted);
    return status;
}

/* Answers to prompts that this run does not ask stay in the file, behind its own. */
static void keep_others(struct judge_answers *a, const struct judge_answers *known, const struct judge_prompts *p)
{
    const char *model, *id;
    json_t *of_model, *line;
    a->at = mem_grow(a->at, (a->n + known->n + 1) * sizeof *a->at);
    for (size_t i = 0; i < known->n; i++)
        if (!judge_prompts_find(p, known->at[i].id)) a->at[a->n++] = judge_answer_copy(&known->at[i], known->at[i].model);
    json_object_foreach(known->refused, model, of_model)
        json_object_foreach(of_model, id, line)
            if (!judge_prompts_find(p, id)) judge_answers_refuse(a, model, id, json_string_value(json_object_get(line, "refused")), json_object_get(line, "settings"));
}

/* ---- the command --------------------------------------------------------------------------------------------------------------------------------- */

static json_t *report(const struct speaker *s, const struct judge_answers *a, const struct judge_prompts *p, json_t *left, const char *why, const struct talk *t)
{
    json_int_t leaks = 0, cut = 0;
    for (size_t i = 0; i < a->n; i++) {
        leaks += a->at[i].leaks;
        cut += a->at[i].cut;
    }
    json_t *all = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "model", s->name, "prompts", (json_int_t)p->n, "answered", (json_int_t)a->n, "refused", (json_int_t)judge_answers_n_refused(a), "leaks", leaks, "cut", cut);
    budget_tell(all, t->budget);
    json_object_set(all, "left", left);
    if (why) json_object_set_new(all, "why", json_string(why));
    if (why && t->failed) json_object_set_new(all, "last_failure", json_string(t->last.message));
    if (t->refusal.message[0]) json_object_set_new(all, "last_refusal", json_string(t->refusal.message));
    return all;
}

/* What came before a failure is written and told too. */
static sc_status answer_all(sc_text *out, sc_runtime *rt, struct speaker *s, const struct judge_prompts *p, const struct judge_answers *known, const sc_judge_config *c, struct budget *budget, sc_error *err)
{
    struct cache cache;
    struct judge_answers a = { 0 };
    json_t *left = NULL;
    const char *why = NULL;
    sc_status after = SC_OK;
    TRY(cache_open_of(&cache, c, err));
    struct talk t = speaker_talk(s, rt, c, &cache, budget);
    sc_status status = answers_make(&a, &left, &why, &t, s, p, known, c, c->dry_run, err);
    if (status != SC_OK && !why) why = status == SC_E_CANCELLED ? "stopped" : "failed";
    json_t *all = report(s, &a, p, left, why, &t);
    keep_others(&a, known, p);
    if (!c->dry_run && a.n) after = answers_write(c->out, &a, status == SC_OK ? err : NULL);
    if (after == SC_OK) after = json_write(out, all, false);
    json_decref(all);
    json_decref(left);
    judge_answers_release(&a);
    cache_close(&cache);
    return status != SC_OK ? status : after;
}

sc_status answers_run(sc_text *out, sc_runtime *rt, const char *spec, const sc_model_config *m, const sc_judge_config *c, struct budget *budget, sc_error *err)
{
    struct speaker s;
    struct judge_prompts p = { 0 };
    struct judge_answers known = { 0 };
    *out = (sc_text){ 0 };
    TRY(speaker_read(&s, spec, c, err));
    sc_status status = SC_OK;
    if (s.kind == SPEAKER_FILE) status = FAIL(err, SC_E_ARGUMENT, "%s is a file of answers, expected a MODEL or URL#NAME", spec);
    else status = judge_prompts_read(&p, c->prompts, err);
    if (status == SC_OK) {
        prompts_cut(&p, (size_t)c->limit);
        status = speaker_open(&s, rt, m, c->few_shot != NULL, c, err);
    }
    if (status == SC_OK) status = take_over(&known, &s, &p, c, err);
    if (status == SC_OK) status = answer_all(out, rt, &s, &p, &known, c, budget, err);
    judge_answers_release(&known);
    judge_prompts_release(&p);
    speaker_release(&s);
    return status;
}

sc_status sc_judge_answers(sc_text *out, sc_runtime *rt, const char *spec, const sc_model_config *m, const sc_judge_config *c, sc_error *err)
{
    struct budget budget = budget_of(c);
    return answers_run(out, rt, spec, m, c, &budget, err);
}
