/* judge_run_ask.c - one judge and all its questions. An answer is a line of judgements.jsonl before the next is looked at. */
#include "judge/judge_run.h"

#include <math.h>
#include <string.h>

struct asking {
    const struct talk *t; const struct speaker *judge; const struct judge_protocol *protocol; const struct judge_prompts *p; const struct questions *plan; struct run_files *f; const sc_judge_config *c;
    struct question *again;            /* of each question, for the second time */
    size_t *retry, n_retry, next, n_done;
    bool *is_done;                     /* answered, with a verdict or twice without */
    sc_error error; sc_status status;
};

/* What earlier starts have of a question: 0 nothing, 1 an answer without a verdict, 2 all there will be. */
static int state_of(const struct asking *w, size_t i)
{
    char *first = question_key(&w->plan->at[i], w->p, w->judge->name), *second = question_key(&w->again[i], w->p, w->judge->name);
    const json_t *done = w->f ? w->f->done : NULL, *one = json_object_get(done, first);
    int state = !one ? 0 : json_is_true(one) || json_object_get(done, second) ? 2 : 1;
    mem_free(first);
    mem_free(second);
    return state;
}

static const struct question *next_of(struct asking *w)
{
    if (w->n_retry) return &w->again[w->retry[--w->n_retry]];
    while (w->next < w->plan->n) {
        size_t i = w->next++;
        int state = state_of(w, i);
        if (state == 0) return &w->plan->at[i];
        if (state == 1) return &w->again[i];
        w->is_done[i] = true;
        w->n_done++;
    }
    return NULL;
}

static bool next_question(void *user, struct ask *out)
{
    struct asking *w = user;
    json_t *request;
    const struct question *q = w->status == SC_OK ? next_of(w) : NULL;
    if (!q) return false;
    w->status = judge_request(&request, w->protocol, &w->p->at[q->prompt], q->a, q->b, q->turn, &w->error);
    if (w->status != SC_OK) return false;
    json_object_set_new(request, "seed", json_integer(w->c->seed + q->again));
    w->status = speaker_request(&out->request, w->judge, request, w->c, &w->error);
    out->item = (void *)(uintptr_t)q;
    return w->status == SC_OK;
}

/* ---- what the judge said -------------------------------------------------------------------------------------------------------------------------- */

static bool has_marks(const struct asking *w, const struct judge_answer *a, int turn)
{
    json_t *marks = judge_marks(w->protocol, a, turn);
    bool any = json_array_size(marks) != 0;
    json_decref(marks);
    return any;
}

/* Borrows all its texts. */
static struct judgement judgement_of(const struct asking *w, const struct question *q, const struct reply *r, sc_error *why)
{
    const struct judge_prompt *p = &w->p->at[q->prompt];
    const struct judge_answer *side[2] = { q->a, q->b };
    struct judgement j = { .judge = w->judge->name, .protocol = (char *)(uintptr_t)judge_protocol_name(w->protocol), .id = p->id, .slice = p->slice, .language = p->language, .text = r->text, .turn = q->turn };
    if (judge_parse(&j.opinion, w->protocol, r->text, strlen(r->text), r->logprobs, why) != SC_OK) {
        j.error = why->message;
        /* A verdict may be missing because there was no room for it. */
        if (!strcmp(r->finish, "length")) error_prefix(why, why->status, "cut off at the end");
    }
    if (q->canary) {
        j.canary = (char *)(uintptr_t)q->canary->kind;
        j.canary_slot = q->canary->slot;
    }
    for (int i = 0; i < 2; i++) {
        j.length[i] = j.style[i].tokens = (double)NAN;
        if (!side[i]) continue;
        const char *text = side[i]->turn[q->turn - 1];
        j.model[i] = side[i]->model;
        j.length[i] = (double)utf8_count(text, strlen(text));
        j.style[i] = judge_style_of(text, strlen(text));
        j.marks |= has_marks(w, side[i], q->turn) << i;
    }
    return j;
}

static json_t *line_of(const struct asking *w, const struct question *q, const struct judgement *j, const struct reply *r)
{
    json_t *out = judgement_json(j);
    char *key = question_key(q, w->p, w->judge->name);
    json_object_set_new(out, "key", json_string(key));
    mem_free(key);
    if (q->again) json_object_set_new(out, "again", json_integer(q->again));
    if (r->logprobs) json_object_set(out, "logprobs", r->logprobs);
    json_object_set_new(out, "finish", json_string(r->finish));
    if (r->tokens_in >= 0) json_object_set_new(out, "tokens_in", json_integer(r->tokens_in));
    if (r->tokens_out >= 0) json_object_set_new(out, "tokens_out", json_integer(r->tokens_out));
    json_object_set_new(out, "cached", json_boolean(r->is_kept));
    return out;
}

static sc_status take_verdict(void *user, void *item, const struct reply *r, sc_error *err)
{
    struct asking *w = user;
    const struct question *q = item;
    size_t i = q->again ? (size_t)(q - w->again) : (size_t)(q - w->plan->at);
    sc_error why = { 0 };
    bool has_verdict = true;
    if (w->f) {
        struct judgement j = judgement_of(w, q, r, &why);
        has_verdict = !j.error;
        TRY(run_files_put(w->f, line_of(w, q, &j, r), err));
    }
    if (!has_verdict && !q->again) {
        w->retry[w->n_retry++] = i;
        return SC_OK;
    }
    w->is_done[i] = true;
    w->n_done++;
    char what[120];
    snprintf(what, sizeof what, "judged by %s", w->judge->name);
    if (w->f) tell_progress(w->t->runtime, what, w->n_done, w->plan->n);
    return SC_OK;
}

/* ---- all questions ---------------------------------------------------------------------------------------------------------------------------------- */

static void name_left(struct asked *out, json_t *left, const struct asking *w)
{
    for (size_t i = 0; i < w->plan->n; i++) {
        const char *id = w->p->at[w->plan->at[i].prompt].id;
        if (w->is_done[i] || state_of(w, i) == 2) continue;
        out->left++;
        json_object_set_new(left, id, json_true());
    }
}

sc_status judge_ask(struct asked *out, json_t *left, struct talk *t, const struct speaker *judge, const struct judge_protocol *protocol, const struct judge_prompts *p, const struct questions *plan, struct run_files *f,
                    const sc_judge_config *c, sc_error *err)
{
    struct asking w = { .t = t, .judge = judge, .protocol = protocol, .p = p, .plan = plan, .f = f, .c = c, .again = mem_alloc((plan->n + 1) * sizeof *w.again), .retry = mem_alloc((plan->n + 1) * sizeof *w.retry),
                        .is_done = mem_zero(plan->n + 1, sizeof *w.is_done) };
    struct asker asker = { next_question, take_verdict, &w };
    *out = (struct asked){ 0 };
    for (size_t i = 0; i < plan->n; i++) {
        w.again[i] = plan->at[i];
        w.again[i].again = 1;
    }
    sc_status status = f ? talk_run(t, &asker, err) : talk_run_dry(t, &asker, err);
    if (status == SC_OK && w.status != SC_OK) {
        status = w.status;
        if (err) *err = w.error;
    }
    name_left(out, left, &w);
    mem_free(w.again);
    mem_free(w.retry);
    mem_free(w.is_done);
    return status;
}
