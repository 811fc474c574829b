/* judge_run_ask.c - one judge and all its questions. An answer is a line of judgements.jsonl before the next is looked at. */
#include "judge/judge_run.h"

#include <math.h>
#include <string.h>

struct asking {
    const struct talk *t; const struct speaker *judge; const struct judge_protocol *protocol; const struct judge_prompts *p; const struct questions *plan; struct run_files *f; const sc_judge_config *c;
    struct question *again;            /* of each question, for the second time */
    size_t *retry, n_retry, next, n_done, n_again;
    sc_error error; sc_status status;
};

/* What there is of a question. */
enum state { NOTHING, NO_VERDICT, ALL, REFUSED };
static enum state state_of(const struct question *q, const struct judge_prompts *p, const char *judge, const json_t *done)
{
    struct question other = *q;
    other.again = 1;
    char *first = question_key(q, p, judge), *second = question_key(&other, p, judge);
    const json_t *one = json_object_get(done, first), *two = json_object_get(done, second);
    enum state state = !one ? NOTHING : json_is_null(one) || json_is_null(two) ? REFUSED : json_is_true(one) || two ? ALL : NO_VERDICT;
    mem_free(first);
    mem_free(second);
    return state;
}

static const struct question *next_of(struct asking *w)
{
    if (w->n_retry) return &w->again[w->retry[--w->n_retry]];
    while (w->next < w->plan->n) {
        size_t i = w->next++;
        enum state state = state_of(&w->plan->at[i], w->p, w->judge->name, w->f ? w->f->done : NULL);
        if (state == NOTHING) return &w->plan->at[i];
        if (state == NO_VERDICT) return &w->again[i];
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

static void tell_done(struct asking *w)
{
    char what[120];
    w->n_done++;
    snprintf(what, sizeof what, "judged by %s", w->judge->name);
    if (w->f) tell_progress(w->t->runtime, what, w->n_done, w->plan->n);
}

static sc_status take_verdict(void *user, void *item, const struct reply *r, sc_error *err)
{
    struct asking *w = user;
    const struct question *q = item;
    sc_error why = { 0 };
    struct judgement j = judgement_of(w, q, r, &why);
    bool has_verdict = !j.error && (w->f || r->is_kept);       /* a dry run reckons with none */
    if (w->f) TRY(run_files_put(w->f, line_of(w, q, &j, r), err));
    w->n_again += q->again && !r->is_kept;
    if (!has_verdict && !q->again) w->retry[w->n_retry++] = (size_t)(q - w->plan->at);
    else tell_done(w);
    return SC_OK;
}

static sc_status take_refusal(void *user, void *item, const char *why, sc_error *err)
{
    struct asking *w = user;
    const struct question *q = item;
    struct reply nothing = { .text = (char *)(uintptr_t)"", .finish = (char *)(uintptr_t)"", .tokens_in = -1, .tokens_out = -1 };
    struct judgement j = judgement_of(w, q, &nothing, &(sc_error){ 0 });
    j.error = (char *)(uintptr_t)why;
    json_t *line = line_of(w, q, &j, &nothing);
    json_object_set_new(line, "refused", json_true());
    TRY(run_files_put(w->f, line, err));
    tell_done(w);
    return SC_OK;
}

/* ---- all questions ---------------------------------------------------------------------------------------------------------------------------------- */

void judge_left(struct asked *out, const struct speaker *judge, const struct judge_prompts *p, const struct questions *plan, const struct run_files *f)
{
    for (size_t i = 0; i < plan->n; i++) {
        enum state state = state_of(&plan->at[i], p, judge->name, f->done);
        out->refused += state == REFUSED;
        if (state == ALL || state == REFUSED) continue;
        out->left++;
        json_object_set_new(out->ids, p->at[plan->at[i].prompt].id, json_true());
    }
}

sc_status judge_ask(struct asked *out, struct talk *t, const struct speaker *judge, const struct judge_protocol *protocol, const struct judge_prompts *p, const struct questions *plan, struct run_files *f, const sc_judge_config *c,
                    sc_error *err)
{
    struct asking w = { .t = t, .judge = judge, .protocol = protocol, .p = p, .plan = plan, .f = f, .c = c, .again = mem_alloc((plan->n + 1) * sizeof *w.again), .retry = mem_alloc((plan->n + 1) * sizeof *w.retry) };
    struct asker asker = { next_question, take_verdict, take_refusal, &w };
    for (size_t i = 0; i < plan->n; i++) {
        w.again[i] = plan->at[i];
        w.again[i].again = 1;
        if (f && state_of(&plan->at[i], p, judge->name, f->done) == ALL) t->has_answered = true;
    }
    sc_status status = f ? talk_run(t, &asker, err) : talk_run_dry(t, &asker, err);
    if (status == SC_OK && w.status != SC_OK) {
        status = w.status;
        if (err) *err = w.error;
    }
    out->again += w.n_again;
    mem_free(w.again);
    mem_free(w.retry);
    return status;
}
