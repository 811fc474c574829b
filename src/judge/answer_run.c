/* answer_run.c - what one model answers to all prompts, turn by turn: each turn is asked with the answers before it. */
#include "judge/judge_run.h"

#include <string.h>

/* One conversation. refused: why it ended before its end. */
struct talking { struct judge_answer answer; char *refused; bool is_done; };
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

json_t *answer_settings(const struct speaker *s, const sc_judge_config *c)
{
    json_t *out = json_pack("{s:f, s:f, s:I, s:I, s:I}", "temperature", c->temperature, "top_p", c->top_p, "top_k", (json_int_t)c->top_k, "max_new_tokens", (json_int_t)c->max_new_tokens, "seed", (json_int_t)c->seed);
    json_object_set_new(out, "asked_by", json_string(s->uses_few_shot ? "examples" : s->kind == SPEAKER_SERVER ? "server" : "template"));
    if (s->uses_few_shot) json_object_set_new(out, "examples_sha256", json_string(s->examples));
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

void prompt_digest(char hex[65], const struct judge_prompt *p)
{
    struct sha256 h;
    sha256_begin(&h);
    for (size_t i = 0; i < p->n_turns; i++) sha256_add(&h, p->turn[i], strlen(p->turn[i]) + 1);
    sha256_end(&h, hex);
}

static json_t *settings_for(const json_t *all, const struct judge_prompt *p)
{
    char hex[65];
    json_t *out = json_copy((json_t *)(uintptr_t)all);
    prompt_digest(hex, p);
    json_object_set_new(out, "prompt_sha256", json_string(hex));
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

static void tell_done(const struct answering *w)
{
    char what[120];
    snprintf(what, sizeof what, "answers of %s", w->s->name);
    if (!w->is_dry) tell_progress(w->rt, what, w->n_done, w->p->n);
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
    tell_done(w);
    return SC_OK;
}

static sc_status refuse_turn(void *user, void *item, const char *why, sc_error *err)
{
    struct answering *w = user;
    struct talking *one = item;
    (void)err;
    one->refused = mem_strdup(why);
    w->n_done++;
    tell_done(w);
    return SC_OK;
}

/* Whole conversations and refusals go to `out`, ids of the others to `left`. */
static void collect(struct judge_answers *out, json_t *left, struct answering *w)
{
    out->at = mem_grow(out->at, (out->n + w->p->n + 1) * sizeof *out->at);
    for (size_t i = 0; i < w->p->n; i++) {
        struct talking *one = &w->at[i];
        if (one->is_done) {
            out->at[out->n++] = one->answer;
            continue;
        }
        if (one->refused) judge_answers_refuse(out, w->s->name, w->p->at[i].id, one->refused, one->answer.settings);
        else json_array_append_new(left, json_string(w->p->at[i].id));
        mem_free(one->refused);
        answer_release(&one->answer);
    }
}

/* What is known already is done; the others may be asked. */
static void begin_talks(struct answering *w, const struct judge_answers *known, struct budget *b)
{
    for (size_t i = 0; i < w->p->n; i++) {
        const struct judge_prompt *q = &w->p->at[i];
        struct talking *one = &w->at[i];
        const struct judge_answer *was = known ? judge_answers_find(known, w->s->name, q->id) : NULL;
        const json_t *refused = known && !was ? judge_answers_refused(known, w->s->name, q->id) : NULL;
        if (was) {
            one->answer = judge_answer_copy(was, w->s->name);
            b->kept += (int64_t)was->n_turns;
        } else {
            one->answer = (struct judge_answer){ .id = mem_strdup(q->id), .model = mem_strdup(w->s->name), .turn = mem_zero(q->n_turns, sizeof(char *)), .settings = settings_for(w->settings, q) };
        }
        one->is_done = was != NULL;
        one->refused = refused ? mem_strdup(json_string_value(json_object_get(refused, "refused"))) : NULL;
        if (was || refused) w->n_done++;
        else w->ready[w->n_ready++] = i;
    }
}

sc_status answers_make(struct judge_answers *out, json_t **left, const char **why, struct talk *t, const struct speaker *s, const struct judge_prompts *p, const struct judge_answers *known, const sc_judge_config *c, bool is_dry,
                       sc_error *err)
{
    struct answering w = { .p = p, .s = s, .c = c, .rt = t->runtime, .at = mem_zero(p->n + 1, sizeof *w.at), .ready = mem_alloc((p->n + 1) * sizeof *w.ready), .is_dry = is_dry, .settings = answer_settings(s, c) };
    struct asker asker = { next_turn, take_turn, refuse_turn, &w };
    begin_talks(&w, known, t->budget);
    if (known && known->n) t->has_answered = true;
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
