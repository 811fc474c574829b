/* answer_run.c - what one model answers to all prompts, turn by turn: each turn is asked with the answers before it. */
#include "judge/judge_run.h"

#include <string.h>

/* One conversation. at_work: a turn is being asked. */
struct talking { struct judge_answer answer; bool is_done; };
struct answering {
    const struct judge_prompts *p; const struct speaker *s; const sc_judge_config *c; const sc_runtime *rt;
    struct talking *at;
    size_t *ready, first, n_ready, n_done, n_calls;   /* a ring: whose next turn may be asked */
    bool is_dry;
    json_t *settings; sc_error error; sc_status status;
};

static void answer_release(struct judge_answer *a)
{
    for (size_t i = 0; i < a->n_turns; i++) mem_free(a->turn[i]);
    mem_free(a->turn);
    mem_free(a->id);
    mem_free(a->model);
    json_decref(a->settings);
    *a = (struct judge_answer){ 0 };
}

static json_t *settings_of(const struct speaker *s, const sc_judge_config *c)
{
    json_t *out = json_pack("{s:f, s:f, s:I, s:I, s:I}", "temperature", c->temperature, "top_p", c->top_p, "top_k", (json_int_t)c->top_k, "max_new_tokens", (json_int_t)c->max_new_tokens, "seed", (json_int_t)c->seed);
    json_object_set_new(out, "asked_by", json_string(s->uses_few_shot ? "examples" : s->kind == SPEAKER_SERVER ? "server" : "template"));
    if (s->kind == SPEAKER_SERVER) json_object_set_new(out, "server", json_string(s->endpoint.base));
    else if (s->model) {
        json_object_set_new(out, "identity", json_string(s->who));
        json_object_set_new(out, "activations", json_string(s->model->runtime->activations));
    }
    if (c->system && *c->system) json_object_set_new(out, "system", json_string(c->system));
    if (c->omit && *c->omit && s->kind == SPEAKER_SERVER) json_object_set_new(out, "omitted", json_string(c->omit));
    json_object_set_new(out, "starchat", json_string(SC_VERSION));
    return out;
}

/* ---- asking ------------------------------------------------------------------------------------------------------------------------------------ */

static void add_message(json_t *list, const char *role, const char *text)
{
    json_array_append_new(list, json_pack("{s:s, s:s}", "role", role, "content", text));
}

static json_t *request_of(const struct answering *w, size_t i)
{
    const struct judge_prompt *q = &w->p->at[i];
    const struct judge_answer *a = &w->at[i].answer;
    const sc_judge_config *c = w->c;
    json_t *messages = json_array();
    if (c->system && *c->system) add_message(messages, "system", c->system);
    for (size_t t = 0; t <= a->n_turns; t++) {
        add_message(messages, "user", q->turn[t]);
        if (t < a->n_turns) add_message(messages, "assistant", a->turn[t]);
    }
    json_t *out = json_pack("{s:o, s:f, s:f, s:I, s:I}", "messages", messages, "temperature", c->temperature, "top_p", c->top_p, "max_tokens", (json_int_t)c->max_new_tokens, "seed", (json_int_t)c->seed);
    if (c->top_k) json_object_set_new(out, "top_k", json_integer(c->top_k));
    return out;
}

static bool next_turn(void *user, struct ask *out)
{
    struct answering *w = user;
    if (!w->n_ready || w->status != SC_OK) return false;
    size_t i = w->ready[w->first];
    w->first = (w->first + 1) % w->p->n;
    w->n_ready--;
    out->item = &w->at[i];
    w->status = speaker_request(&out->request, w->s, request_of(w, i), w->c, &w->error);
    return w->status == SC_OK;
}

static sc_status take_turn(void *user, void *item, const struct reply *r, sc_error *err)
{
    struct answering *w = user;
    struct talking *one = item;
    struct judge_answer *a = &one->answer;
    size_t i = (size_t)(one - w->at);
    bool leaked;
    (void)err;
    const char *text = r->text + (w->s->uses_few_shot ? strspn(r->text, " \t\r\n") : 0);      /* behind a label stands a blank */
    size_t end = answer_end(text, strlen(text), &leaked);
    a->turn[a->n_turns++] = mem_strndup(text, end);
    a->leaks += leaked;
    a->cut += !leaked && !strcmp(r->finish, "length");
    one->is_done = a->n_turns == w->p->at[i].n_turns;
    if (one->is_done) w->n_done++;
    else w->ready[(w->first + w->n_ready++) % w->p->n] = i;
    if (!w->is_dry) {
        char what[120];
        snprintf(what, sizeof what, "answers of %s", w->s->name);
        tell_progress(w->rt, what, w->n_done, w->p->n);
    }
    return SC_OK;
}

/* Whole conversations go to `out`, ids of the others to `left`. */
static void collect(struct judge_answers *out, json_t *left, struct answering *w)
{
    out->at = mem_grow(out->at, (out->n + w->p->n + 1) * sizeof *out->at);
    for (size_t i = 0; i < w->p->n; i++) {
        struct talking *one = &w->at[i];
        if (one->is_done) {
            out->at[out->n++] = one->answer;
        } else {
            json_array_append_new(left, json_string(w->p->at[i].id));
            answer_release(&one->answer);
        }
    }
}

sc_status answers_make(struct judge_answers *out, json_t **left, const char **why, struct talk *t, const struct speaker *s, const struct judge_prompts *p, const sc_judge_config *c, bool is_dry, sc_error *err)
{
    struct answering w = { .p = p, .s = s, .c = c, .rt = t->runtime, .at = mem_zero(p->n + 1, sizeof *w.at), .ready = mem_alloc((p->n + 1) * sizeof *w.ready), .n_ready = p->n, .is_dry = is_dry, .settings = settings_of(s, c) };
    struct asker asker = { next_turn, take_turn, &w };
    for (size_t i = 0; i < p->n; i++) {
        w.at[i].answer = (struct judge_answer){ .id = mem_strdup(p->at[i].id), .model = mem_strdup(s->name), .turn = mem_zero(p->at[i].n_turns, sizeof(char *)), .settings = json_incref(w.settings) };
        w.ready[i] = i;
    }
    sc_status status = is_dry ? talk_run_dry(t, &asker, err) : talk_run(t, &asker, err);
    if (status == SC_OK && w.status != SC_OK) {
        status = w.status;
        if (err) *err = w.error;
    }
    *left = json_array();
    collect(out, *left, &w);
    *why = t->is_spent ? "budget" : t->failed ? "failed" : NULL;
    json_decref(w.settings);
    mem_free(w.ready);
    mem_free(w.at);
    return status;
}

/* ---- the command --------------------------------------------------------------------------------------------------------------------------------- */

sc_status answers_write(const char *path, const struct judge_answers *a, sc_error *err)
{
    struct buf b;
    buf_init(&b, 0);
    buf_puts(&b, "");
    for (size_t i = 0; i < a->n; i++) {
        json_t *line = judge_answer_json(&a->at[i]);
        char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
        if (text) buf_puts(&b, text);
        buf_putc(&b, '\n');
        mem_free(text);
        json_decref(line);
    }
    sc_status status = file_write(path, b.data, b.len, err);
    buf_release(&b);
    return status;
}

/* What is there already may only be of the same model asked the same way: it comes again from the cache. */
static sc_status check_out(const struct speaker *s, const sc_judge_config *c, sc_error *err)
{
    struct judge_answers old = { 0 };
    sc_status status = SC_OK;
    if (!c->out || !*c->out) return FAIL(err, SC_E_ARGUMENT, "--out is missing: the file for the answers, such as answers.jsonl");
    if (path_is_directory(c->out)) return FAIL(err, SC_E_ARGUMENT, "%s is a directory, expected a file such as answers.jsonl", c->out);
    if (c->overwrite || !path_exists(c->out)) return SC_OK;
    json_t *wanted = settings_of(s, c);
    if (judge_answers_read(&old, c->out, NULL, NULL) != SC_OK) status = FAIL(err, SC_E_ARGUMENT, "%s is there and holds no answers; name another file, or --overwrite it", c->out);
    for (size_t i = 0; i < old.n && status == SC_OK; i++)
        if (strcmp(old.at[i].model, s->name) != 0 || !json_equal(old.at[i].settings, wanted))
            status = FAIL(err, SC_E_ARGUMENT, "%s has answers of %s with %s settings; name another file, or --overwrite it", c->out, old.at[i].model, strcmp(old.at[i].model, s->name) ? "its own" : "other");
    json_decref(wanted);
    judge_answers_release(&old);
    return status;
}

static sc_status report(sc_text *out, const struct speaker *s, const struct judge_answers *a, const struct judge_prompts *p, json_t *left, const char *why, const struct talk *t)
{
    json_int_t leaks = 0, cut = 0;
    for (size_t i = 0; i < a->n; i++) {
        leaks += a->at[i].leaks;
        cut += a->at[i].cut;
    }
    json_t *all = json_pack("{s:s, s:I, s:I, s:I, s:I}", "model", s->name, "prompts", (json_int_t)p->n, "answered", (json_int_t)a->n, "leaks", leaks, "cut", cut);
    budget_tell(all, t->budget);
    json_object_set(all, "left", left);
    if (why) json_object_set_new(all, "why", json_string(why));
    if (why && t->failed) json_object_set_new(all, "last_failure", json_string(t->last.message));
    sc_status status = json_write(out, all, false);
    json_decref(all);
    return status;
}

static sc_status answer_all(sc_text *out, sc_runtime *rt, struct speaker *s, const struct judge_prompts *p, const sc_judge_config *c, sc_error *err)
{
    struct cache cache;
    struct budget budget = budget_of(c);
    struct judge_answers a = { 0 };
    json_t *left = NULL;
    const char *why = NULL;
    sc_status written = SC_OK;
    TRY(cache_open_of(&cache, c, err));
    struct talk t = speaker_talk(s, rt, c, &cache, &budget);
    sc_status status = answers_make(&a, &left, &why, &t, s, p, c, c->dry_run, err);
    if (!c->dry_run && a.n) written = answers_write(c->out, &a, status == SC_OK ? err : NULL);      /* also what came before a failure */
    if (status == SC_OK) status = written;
    if (status == SC_OK) status = report(out, s, &a, p, left, why, &t);
    json_decref(left);
    judge_answers_release(&a);
    cache_close(&cache);
    return status;
}

sc_status sc_judge_answers(sc_text *out, sc_runtime *rt, const char *spec, const sc_model_config *m, const sc_judge_config *c, sc_error *err)
{
    struct speaker s;
    struct judge_prompts p = { 0 };
    *out = (sc_text){ 0 };
    TRY(speaker_read(&s, spec, c, err));
    sc_status status = SC_OK;
    if (s.kind == SPEAKER_FILE) status = FAIL(err, SC_E_ARGUMENT, "%s is a file of answers, expected a MODEL or URL#NAME", spec);
    else status = judge_prompts_read(&p, c->prompts, err);
    if (status == SC_OK) {
        prompts_cut(&p, (size_t)c->limit);
        status = speaker_open(&s, rt, m, c->few_shot != NULL, c, err);
    }
    if (status == SC_OK && !c->dry_run) status = check_out(&s, c, err);
    if (status == SC_OK) status = answer_all(out, rt, &s, &p, c, err);
    judge_prompts_release(&p);
    speaker_release(&s);
    return status;
}
