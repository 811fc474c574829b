/* moderate.c - between the engine and who asked: see moderate.h. A choice's text passes the rules at once; with a classifier it then waits until the
 * model has judged all of it so far, which it is asked every so many characters and at the end. */
#include <math.h>
#include <string.h>

#include "serve/moderate.h"

enum { CONTEXT_CHARS = 4000, TOPS = 20 };

/* waiting: what passed the rules and is not judged yet; shown: the end of what was shown, which the classifier sees before it. */
struct part { struct moderated *of; size_t choice; struct filter_stream *rules; struct buf waiting, shown; size_t asked; struct task *judge; double verdict; bool is_written, is_told; struct event_of_task finish; };
struct moderated { struct sc_server *s; struct task *task; void (*on_event)(struct task *t, struct event_of_task *v); struct part *parts; size_t n_parts, n_judging; bool has_ended, is_over; struct event_of_task end; };

static void advance(struct part *p);

static void release(struct moderated *m)
{
    for (size_t i = 0; i < m->n_parts; i++) {
        filter_end(m->parts[i].rules);
        buf_release(&m->parts[i].waiting);
        buf_release(&m->parts[i].shown);
    }
    mem_free(m->parts);
    mem_free(m);
}

/* ---- to who asked ------------------------------------------------------------------------------------------------------------------- */

static void tell_text(struct part *p, const char *text, size_t len)
{
    struct event_of_task v = { .task = p->of->task, .kind = EVENT_TEXT, .choice = p->choice, .text = (char *)(uintptr_t)text, .text_len = len };
    if (len && !p->of->is_over) p->of->on_event(p->of->task, &v);
}

static void tell_finish(struct part *p)
{
    if (p->is_told) return;
    p->is_told = true;
    if (!p->of->is_over) p->of->on_event(p->of->task, &p->finish);
}

/* The last word of the engine goes on once every choice was told; then the task belongs to who asked. */
static void maybe_end(struct moderated *m)
{
    bool is_told = true;
    for (size_t i = 0; i < m->n_parts; i++) is_told &= m->parts[i].is_told;
    if (!m->has_ended || m->n_judging) return;
    if (!m->is_over) {
        m->is_over = true;
        if (is_told) m->end.end = TASK_DONE;           /* stopped choices cancel the rest of their own writing */
        m->task->moderator = NULL;
        m->on_event(m->task, &m->end);
    }
    release(m);
}

static void stop_part(struct part *p, const char *message)
{
    struct moderated *m = p->of;
    bool all = true;
    if (message) tell_text(p, message, strlen(message));
    p->finish.kind = EVENT_FINISH;
    p->finish.task = m->task;
    p->finish.choice = p->choice;
    p->finish.finish = FINISH_FILTER;
    p->is_written = true;
    buf_clear(&p->waiting);
    tell_finish(p);
    m->s->filtered[FILTER_STOP]++;
    for (size_t i = 0; i < m->n_parts; i++) all &= m->parts[i].is_told;
    if (all && !m->has_ended) engine_cancel(m->s->engine, m->task);
}

static void show(struct part *p, size_t len)
{
    tell_text(p, p->waiting.data, len);
    buf_append(&p->shown, p->waiting.data, len);
    if (p->shown.len > 2 * CONTEXT_CHARS) {
        size_t cut = p->shown.len - CONTEXT_CHARS;
        while (cut < p->shown.len && (p->shown.data[cut] & 0xc0) == 0x80) cut++;
        memmove(p->shown.data, p->shown.data + cut, p->shown.len - cut);
        p->shown.len -= cut;
    }
    memmove(p->waiting.data, p->waiting.data + len, p->waiting.len - len);
    p->waiting.len -= len;
}

/* ---- the classifier -------------------------------------------------------------------------------------------------------------------- */

static int32_t first_token(const sc_model *m, const char *word)
{
    struct token_list ids = { 0 };
    tokenizer_encode(m->tokenizer, &ids, word, strlen(word), NULL, 0);
    int32_t id = ids.len ? ids.id[0] : -1;
    token_list_release(&ids);
    return id;
}

static double probability_of_yes(const struct part *p, const struct token_record *t)
{
    const struct filter_classifier *c = &p->of->s->filter->classifier;
    const sc_model *m = p->of->s->classifier;
    int32_t yes = first_token(m, c->yes), no = first_token(m, c->no);
    double of_yes = -30, of_no = -30;
    for (size_t i = 0; i < t->n_top; i++) {
        if (t->top[i].id == yes) of_yes = (double)t->top[i].logprob;
        if (t->top[i].id == no) of_no = (double)t->top[i].logprob;
    }
    if (t->id == yes) of_yes = t->logprob;
    if (t->id == no) of_no = t->logprob;
    return 1 / (1 + exp(of_no - of_yes));
}

static void on_verdict(struct task *t, struct event_of_task *v)
{
    struct part *p = t->user;
    struct moderated *m = p->of;
    const struct filter_classifier *c = &m->s->filter->classifier;
    if (v->kind == EVENT_TEXT && v->records.len) p->verdict = probability_of_yes(p, &v->records.at[0]);
    if (v->kind != EVENT_END) return;
    p->judge = NULL;
    m->n_judging--;
    bool is_hit = v->end != TASK_DONE || p->verdict < 0 || p->verdict >= c->threshold;       /* what could not be judged is not shown */
    bool is_failed = v->end != TASK_DONE || p->verdict < 0;
    task_free(t);
    if (p->is_told) { maybe_end(m); return; }
    if (is_hit && (c->action == FILTER_STOP || is_failed)) stop_part(p, c->message);
    else {
        if (is_hit) m->s->filtered[FILTER_FLAG]++;
        show(p, p->asked);
        advance(p);
    }
    maybe_end(m);
}

/* The classifier's prompt with the text in place of {text}, as a message where its model has a template. */
static bool judge_prompt(const struct part *p, struct token_list *out)
{
    const struct sc_server *s = p->of->s;
    const struct filter_classifier *c = &s->filter->classifier;
    const char *hole = strstr(c->prompt, "{text}");
    struct buf text;
    sc_tokens ids = { 0 };
    sc_error err;
    buf_init(&text, 0);
    buf_append(&text, c->prompt, (size_t)(hole - c->prompt));
    if (p->shown.len) buf_append(&text, p->shown.data, p->shown.len);
    buf_append(&text, p->waiting.data, p->asked);
    buf_puts(&text, hole + strlen("{text}"));
    bool ok = true;
    if (s->classifier->has_template) {
        const sc_message message = { "user", text.data };
        ok = sc_encode_chat(&ids, s->classifier, &message, 1, &err) == SC_OK;
        for (size_t i = 0; i < ids.len; i++) token_list_push(out, ids.id[i]);
        sc_tokens_free(&ids);
    } else tokenizer_encode(s->classifier->tokenizer, out, text.data, text.len, NULL, 0);
    buf_release(&text);
    return ok && out->len && out->len < engine_context(s->engine);
}

static void ask(struct part *p)
{
    struct moderated *m = p->of;
    struct sc_server *s = m->s;
    struct token_list prompt = { 0 };
    p->asked = p->waiting.len;
    p->verdict = -1;
    if (!judge_prompt(p, &prompt)) {
        token_list_release(&prompt);
        stop_part(p, s->filter->classifier.message);
        return;
    }
    struct task *t = task_new();
    t->model = s->classifier;
    t->prompt = prompt.id;
    t->n_prompt = prompt.len;
    t->sample.max_tokens = 1;
    t->sample.logprobs = 1 + TOPS;
    t->sample.ignore_eos = true;
    t->client = m->task->client;
    t->salt = m->task->salt;
    t->user = p;
    t->on_event = on_verdict;
    p->judge = t;
    m->n_judging++;
    engine_submit_now(s->engine, t);
}

/* ---- from the engine ----------------------------------------------------------------------------------------------------------------------- */

static void advance(struct part *p)
{
    struct moderated *m = p->of;
    if (p->is_told || p->judge) return;
    if (!m->s->classifier) {
        if (p->waiting.len) show(p, p->waiting.len);
        if (p->is_written) tell_finish(p);
        return;
    }
    bool is_enough = p->waiting.len >= (size_t)m->s->filter->classifier.every || p->is_written;
    if (p->waiting.len && is_enough) ask(p);
    else if (!p->waiting.len && p->is_written) tell_finish(p);
}

static void take_text(struct part *p, const char *text, size_t len, bool at_end)
{
    struct sc_server *s = p->of->s;
    uint64_t flags = filter_hits(p->rules, FILTER_FLAG), redacted = filter_hits(p->rules, FILTER_REDACT);
    if (p->is_told) return;
    filter_put(p->rules, text, len, at_end, &p->waiting);
    s->filtered[FILTER_FLAG] += filter_hits(p->rules, FILTER_FLAG) - flags;
    s->filtered[FILTER_REDACT] += filter_hits(p->rules, FILTER_REDACT) - redacted;
    const struct filter_rule *r = filter_stopped(p->rules);
    if (!r) return;
    server_log(s, "warn", "filter", ",\"rule\":\"%s\",\"action\":\"stop\"", r->name);
    if (p->waiting.len && !s->classifier) show(p, p->waiting.len);
    stop_part(p, r->message);
}

static void on_event(struct task *t, struct event_of_task *v)
{
    struct moderated *m = t->moderator;
    struct part *p = v->choice < m->n_parts ? &m->parts[v->choice] : NULL;
    switch (v->kind) {
    case EVENT_TEXT:
        take_text(p, v->text, v->text_len, false);
        advance(p);
        break;
    case EVENT_FINISH:
        if (p->is_told) break;
        p->finish = *v;
        v->embedding = NULL;
        take_text(p, "", 0, true);
        p->is_written = true;
        advance(p);
        break;
    case EVENT_END:
        m->has_ended = true;
        m->end = *v;
        if (v->end != TASK_DONE)                               /* the client has left, or it failed: nothing is judged any more */
            for (size_t i = 0; i < m->n_parts; i++)
                if (m->parts[i].judge) engine_cancel(m->s->engine, m->parts[i].judge);
        maybe_end(m);
        break;
    default: m->on_event(t, v); break;
    }
}

void moderate(struct sc_server *s, struct task *t)
{
    if (!s->filter || t->kind != TASK_GENERATE) return;
    struct moderated *m = mem_zero(1, sizeof *m);
    m->s = s;
    m->task = t;
    m->on_event = t->on_event;
    m->n_parts = t->choices;
    m->parts = mem_zero(t->choices, sizeof *m->parts);
    for (size_t i = 0; i < t->choices; i++) {
        struct part *p = &m->parts[i];
        p->of = m;
        p->choice = i;
        p->rules = filter_begin(s->filter, false);
        buf_init(&p->waiting, 0);
        buf_init(&p->shown, 0);
    }
    t->moderator = m;
    t->on_event = on_event;
}

/* A task that was moderated and never submitted. */
void moderate_drop(struct task *t)
{
    if (t->moderator) release(t->moderator);
    t->moderator = NULL;
}

const struct filter_rule *moderate_prompt(struct sc_server *s, const char *text, size_t len)
{
    struct buf ignored;
    if (!s->filter) return NULL;
    struct filter_stream *f = filter_begin(s->filter, true);
    buf_init(&ignored, 0);
    filter_put(f, text, len, true, &ignored);
    const struct filter_rule *r = filter_stopped(f);
    buf_release(&ignored);
    filter_end(f);
    return r;
}

sc_status moderate_open(struct sc_server *s, sc_error *err)
{
    if (!s->c.filter || !*s->c.filter) return SC_OK;
    TRY(filter_open(&s->filter, s->c.filter, err));
    const struct filter_classifier *c = &s->filter->classifier;
    if (!c->model) return SC_OK;
    const struct served_model *m = *c->model ? server_model(s, c->model) : &s->models[0];
    if (!m) return FAIL(err, SC_E_ARGUMENT, "%s: the classifier's model \"%s\" is none of those that are served", s->c.filter, c->model);
    s->classifier = m->model;
    if (first_token(m->model, c->yes) == first_token(m->model, c->no))
        return FAIL(err, SC_E_ARGUMENT, "%s: \"%s\" and \"%s\" begin with the same token of %s; choose other words for yes and no", s->c.filter, c->yes, c->no, m->name);
    return SC_OK;
}
