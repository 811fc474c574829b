/* answers_file.c - what each assistant said, from files of several shapes. */
#include "judge_internal.h"

#include <string.h>

static void answer_release(struct judge_answer *a)
{
    mem_free(a->id);
    mem_free(a->model);
    judge_list_release(a->turn, a->n_turns);
    json_decref(a->settings);
    *a = (struct judge_answer){ 0 };
}

void judge_answers_release(struct judge_answers *a)
{
    for (size_t i = 0; i < a->n; i++) answer_release(&a->at[i]);
    mem_free(a->at);
    json_decref(a->refused);
    *a = (struct judge_answers){ 0 };
}

const struct judge_answer *judge_answers_find(const struct judge_answers *a, const char *model, const char *id)
{
    for (size_t i = 0; i < a->n; i++)
        if (!strcmp(a->at[i].id, id) && !strcmp(a->at[i].model, model)) return &a->at[i];
    return NULL;
}

json_t *judge_answer_json(const struct judge_answer *a)
{
    json_t *turns = json_array();
    for (size_t i = 0; i < a->n_turns; i++) json_array_append_new(turns, json_string(a->turn[i]));
    json_t *out = json_pack("{s:s, s:s, s:o, s:i, s:i}", "id", a->id, "model", a->model, "turns", turns, "leaks", a->leaks, "cut", a->cut);
    if (a->settings) json_object_set(out, "settings", a->settings);
    return out;
}

struct judge_answer judge_answer_copy(const struct judge_answer *a, const char *model)
{
    struct judge_answer out = { .id = mem_strdup(a->id), .model = mem_strdup(model), .turn = mem_alloc((a->n_turns + 1) * sizeof(char *)), .n_turns = a->n_turns, .leaks = a->leaks, .cut = a->cut, .settings = json_incref(a->settings) };
    for (size_t i = 0; i < a->n_turns; i++) out.turn[i] = mem_strdup(a->turn[i]);
    return out;
}

/* ---- what was refused -------------------------------------------------------------------------------------------------------------------- */

void judge_answers_refuse(struct judge_answers *a, const char *model, const char *id, const char *why, json_t *settings)
{
    json_t *of_model = json_object_get(a->refused, model), *line = json_pack("{s:s, s:s, s:s}", "id", id, "model", model, "refused", why);
    if (settings) json_object_set(line, "settings", settings);
    if (!a->refused) a->refused = json_object();
    if (!of_model) {
        of_model = json_object();
        json_object_set_new(a->refused, model, of_model);
    }
    json_object_set_new(of_model, id, line);
}

const json_t *judge_answers_refused(const struct judge_answers *a, const char *model, const char *id) { return json_object_get(json_object_get(a->refused, model), id); }

size_t judge_answers_n_refused(const struct judge_answers *a)
{
    const char *model;
    json_t *of_model;
    size_t n = 0;
    json_object_foreach(a->refused, model, of_model) n += json_object_size(of_model);
    return n;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------------------- */

static sc_status take_answer(struct judge_answer *out, const json_t *row, const char *name, sc_error *err)
{
    static const char *const id[] = { "id", "question_id", "uid", "idx", NULL }, *const model[] = { "model", "model_id", "generator", NULL }, *const turns[] = { "turns", "text", "answer", "output", NULL };
    const json_t *choice = json_array_get(json_object_get(row, "choices"), 0);
    int64_t leaks, cut;
    TRY(judge_take_text(&out->id, row, id, err));
    if (!out->id) return FAIL(err, SC_E_FORMAT, "has no \"id\" (or question_id): which prompt is answered");
    if (name) out->model = mem_strdup(name);
    else TRY(judge_take_text(&out->model, row, model, err));
    if (!out->model || !*out->model) return FAIL(err, SC_E_FORMAT, "has no \"model\" (or model_id): whose answer it is; name it as NAME=FILE");
    TRY(judge_take_list(&out->turn, &out->n_turns, choice ? choice : row, turns, err));
    if (!out->n_turns && json_is_string(json_object_get(row, "refused"))) return SC_OK;
    if (!out->n_turns) return FAIL(err, SC_E_FORMAT, "has no answer, expected \"turns\", \"text\" or \"choices\"");
    TRY(json_opt_int(&leaks, row, "leaks", 0, 0, 1 << 20, "an answer", err));
    TRY(json_opt_int(&cut, row, "cut", 0, 0, 1 << 20, "an answer", err));
    out->leaks = (int)leaks;
    out->cut = (int)cut;
    json_t *settings = json_object_get(row, "settings");
    if (json_is_object(settings)) out->settings = json_incref(settings);
    return SC_OK;
}

struct reading { struct judge_answers *out; const char *model; };
static sc_status add_answer(void *user, json_t *row, const char *file, uint64_t line, sc_error *err)
{
    struct reading *r = user;
    struct judge_answer one = { 0 };
    char id[80], model[80];
    (void)file;
    (void)line;
    sc_status status = take_answer(&one, row, r->model, err);
    if (status == SC_OK && judge_answers_find(r->out, one.model, one.id))
        status = FAIL(err, SC_E_FORMAT, "%s answers prompt %s a second time; a model answers each prompt once", error_quote(model, sizeof model, one.model, strlen(one.model)), error_quote(id, sizeof id, one.id, strlen(one.id)));
    if (status != SC_OK || !one.n_turns) {
        if (status == SC_OK) judge_answers_refuse(r->out, one.model, one.id, json_string_value(json_object_get(row, "refused")), json_object_get(row, "settings"));
        answer_release(&one);
        return status;
    }
    r->out->at = mem_grow(r->out->at, (r->out->n + 1) * sizeof *r->out->at);
    r->out->at[r->out->n++] = one;
    return SC_OK;
}

sc_status judge_answers_read(struct judge_answers *out, const char *path, const char *model, sc_error *err)
{
    struct reading r = { out, model };
    size_t before = out->n;
    TRY(judge_read_rows(path, add_answer, &r, err));
    return out->n > before ? SC_OK : FAIL(err, SC_E_FORMAT, "%s has no answers", path);
}
