/* ui_answers.c - answers of the page while they are written: from asking to the last write. Events of the engine make the text grow on the loop;
 * the store's thread writes it, the whole of it each time, so that a write which is left out costs nothing. */
#include <math.h>
#include <string.h>

#include "serve/moderate.h"
#include "serve/ui.h"

static const double RETRY_SECONDS = 5;

/* ---- life ------------------------------------------------------------------------------------------------------------------------- */

static void answer_free(void *arg)
{
    struct answer *a = arg;
    struct sc_server *s = a->server;
    if (a->task) moderate_drop(a->task);
    task_free(a->task);
    buf_release(&a->text);
    buf_release(&a->stats);
    mem_free(a);
    atomic_fetch_sub(&s->n_answers, 1);
}

static void unlink_answer(struct answer *a)
{
    if (a->prev) a->prev->next = a->next;
    else a->server->answers = a->next;
    if (a->next) a->next->prev = a->prev;
}

struct answer *ui_find(const struct sc_server *s, const char *id)
{
    struct answer *a = s->answers;
    while (a && strcmp(a->id, id) != 0) a = a->next;
    return a;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------------------- */

struct writing { struct answer *answer; char *text; size_t len; const char *status; sc_status result; sc_error err; };

static void write_work(void *arg)
{
    struct writing *w = arg;
    struct answer *a = w->answer;
    bool is_end = strcmp(w->status, "generating") != 0;
    w->result = sc_talks_answer_write(a->server->talks, a->id, w->text, w->len, w->status, is_end ? a->stats.data : NULL, is_end && a->error[0] ? a->error : NULL, &w->err);
}

static void write_answer(struct answer *a);

/* The end is written, or cannot be. What another program's writing held up is tried again; listeners hear the reason at once. */
static void ended(struct answer *a, const struct writing *w)
{
    struct sc_server *s = a->server;
    if (w->result != SC_OK) {
        server_log(s, "warn", "answer_not_kept", ",\"reason\":\"%s\"", sc_status_name(w->result));
        if (w->result != SC_E_ARGUMENT) a->status = "error";      /* else: its conversation was deleted */
        snprintf(a->error, sizeof a->error, "%s", w->err.message);
    }
    ui_tell_end(a);
    if (w->result == SC_E_IO && !s->asked) { a->retry_at = clock_seconds() + RETRY_SECONDS; return; }
    unlink_answer(a);
    answer_free(a);
}

static void write_done(void *arg)
{
    struct writing *w = arg;
    struct answer *a = w->answer;
    a->is_being_written = false;
    if (strcmp(w->status, "generating") != 0) ended(a, w);
    else if (a->is_ended) write_answer(a);
    else if (w->result == SC_E_ARGUMENT) ui_stop_answer(a);       /* deleted by another process: nobody wants it any more */
    mem_free(w->text);
    mem_free(w);
}

static void write_answer(struct answer *a)
{
    struct writing *w = mem_zero(1, sizeof *w);
    w->answer = a;
    w->len = a->text.len;
    w->text = mem_strndup(a->text.data ? a->text.data : "", w->len);
    w->status = a->is_ended ? a->status : "generating";
    a->is_being_written = true;
    a->is_unwritten = false;
    errands_must(&a->server->store, write_work, write_done, w);
}

/* ---- the end ---------------------------------------------------------------------------------------------------------------------------- */

static void make_stats(struct answer *a)
{
    const struct task *t = a->task;
    double first = t->first > 0 ? t->first : t->ended, seconds = t->ended > a->asked ? t->ended - a->asked : 0, writing = t->ended > first ? t->ended - first : 0;
    size_t fresh = a->tokens - a->tokens_before;
    buf_printf(&a->stats, "{\"prompt_tokens\":%zu,\"cached_tokens\":%zu,\"tokens\":%zu,\"seconds\":%.3f,\"first_seconds\":%.3f,\"tokens_per_second\":%.2f,\"context\":%zu}", t->n_prompt, t->cached, a->tokens,
               a->seconds_before + seconds, first > a->asked ? first - a->asked : 0, writing > 0 ? (double)fresh / writing : 0, engine_context(a->server->engine));
}

/* `a` may be gone behind this. */
static void end_answer(struct answer *a, const char *status)
{
    make_stats(a);
    if (a->task) moderate_drop(a->task);
    task_free(a->task);
    a->task = NULL;
    a->status = status;
    a->is_ended = true;
    if (!a->is_being_written) write_answer(a);
}

#define BROKEN "\xef\xbf\xbd"

static bool ends_broken(const struct buf *b) { return b->len >= 3 && memcmp(b->data + b->len - 3, BROKEN, 3) == 0; }

static void release_held(struct answer *a)
{
    for (; a->n_held; a->n_held--) buf_puts(&a->text, BROKEN);
}

/* The store keeps no NUL and no broken text; what listeners get has the same bytes. An answer that is cut in the middle of a character
 * ends before it, so that it can go on with that character. */
static void add_text(struct answer *a, const char *bytes, size_t len)
{
    char *text = talk_text(bytes, len);
    size_t before = a->text.len;
    if (*text) release_held(a);
    buf_puts(&a->text, text);
    while (a->text.len > before && ends_broken(&a->text)) {
        a->n_held++;
        a->text.len -= 3;
        a->text.data[a->text.len] = 0;
    }
    mem_free(text);
}

static void on_text(struct answer *a, const struct event_of_task *v)
{
    struct figures *f = &a->server->figures;
    double now = clock_seconds();
    if (!a->has_text) histogram_add(&f->first_token, now - a->asked);
    else for (size_t i = 0; i < v->records.len; i++) histogram_add(&f->token_gap, (now - a->last) / (double)v->records.len);
    a->has_text = true;
    a->last = now;
    a->tokens += v->records.len;
    if (v->text_len) add_text(a, v->text, v->text_len);
    a->is_unwritten = true;
    ui_tell_text(a);
}

static void on_end(struct answer *a, const struct event_of_task *v)
{
    if (v->end == TASK_FAILED) snprintf(a->error, sizeof a->error, "%s", v->error.message);
    if (v->end == TASK_DONE) histogram_add(&a->server->figures.whole, clock_seconds() - a->asked);
    bool is_whole = a->finish == FINISH_END || a->finish == FINISH_STOP;
    if (is_whole && v->end == TASK_DONE && a->n_held) {
        release_held(a);
        ui_tell_text(a);
    }
    end_answer(a, v->end == TASK_FAILED ? "error" : v->end == TASK_CANCELLED ? "stopped" : a->finish == FINISH_FILTER ? "filtered" : is_whole ? "done" : "length");
}

static void on_event(struct task *t, struct event_of_task *v)
{
    struct answer *a = t->user;
    switch (v->kind) {
    case EVENT_BEGIN:
        histogram_add(&a->server->figures.queued, t->started - t->queued);
        a->has_begun = true;
        a->read = t->cached;
        ui_tell_prompt(a);
        break;
    case EVENT_PROMPT:
        a->read = v->done;
        ui_tell_prompt(a);
        break;
    case EVENT_TEXT: on_text(a, v); break;
    case EVENT_FINISH:
        a->finish = v->finish;
        a->tokens = a->tokens_before + v->tokens;
        a->server->figures.finished[v->finish]++;
        break;
    case EVENT_END: on_end(a, v); break;
    }
}

/* ---- the beginning ----------------------------------------------------------------------------------------------------------------------- */

static struct answer *answer_new(struct call *c)
{
    struct answer *a = mem_zero(1, sizeof *a);
    a->server = c->server;
    a->asked = clock_seconds();
    buf_init(&a->text, 0);
    buf_init(&a->stats, 0);
    return a;
}

/* A place for one more; it is given back when the answer is freed. */
static bool take_place(struct sc_server *s, struct api_error *e)
{
    struct engine_counts n;
    engine_count(s->engine, &n);
    if (s->asked) return api_fail(e, 503, "unavailable_error", NULL, NULL, "the server is shutting down");
    if (n.waiting < (size_t)s->c.queue && atomic_fetch_add(&s->n_answers, 1) < ANSWERS_MAX) return true;
    if (n.waiting < (size_t)s->c.queue) atomic_fetch_sub(&s->n_answers, 1);
    return api_fail(e, 429, "overloaded_error", "queue_full", NULL, "the server is writing as many answers as it can; try again when one of them is complete");
}

/* With its task, and what the store says of it: the message as the page gets it. */
static bool keep(struct call *c, struct answer *a, sc_text *json)
{
    a->task = c->tasks[0];
    a->task->user = a;
    a->task->on_event = on_event;
    c->n_tasks = 0;
    c->state = a;
    c->state_free = answer_free;
    ui_reply(c, 202, json);
    return true;
}

static bool add_answer(struct call *c, const char *parent, struct api_error *e)
{
    sc_text json;
    sc_error err;
    const sc_talks_message m = { .parent = parent, .role = "assistant", .content = "", .model = c->model_name, .status = "generating" };
    if (!take_place(c->server, e)) return false;
    struct answer *a = answer_new(c);
    sc_status status = sc_talks_add(&json, c->server->talks, c->arg, &m, &err);
    json_t *made = status == SC_OK ? json_tree(json.data, json.len, 64) : NULL;
    snprintf(a->id, sizeof a->id, "%s", made ? json_string_value(json_object_get(made, "id")) : "");
    snprintf(a->talk, sizeof a->talk, "%s", c->arg);
    json_decref(made);
    if (status == SC_OK) return keep(c, a, &json);
    answer_free(a);
    return ui_failed(e, status, &err, false);
}

bool ui_answer(struct call *c, struct api_error *e)
{
    struct talk head;
    const char *parent;
    if (!ui_body(c, e) || !ui_id(&parent, c->body, "parent", e)) return false;
    if (!parent) return api_bad(e, "parent", "parent is missing, expected the id of the message to answer");
    if (!ui_head(&head, c, c->arg, e)) return false;
    bool ok = ui_ask(c, &head, parent, json_string_value(json_object_get(c->body, "model")), NULL, e) && add_answer(c, parent, e);
    talk_release(&head);
    return ok;
}

/* ---- going on -------------------------------------------------------------------------------------------------------------------------------- */

static bool go_on(struct call *c, const json_t *message, struct api_error *e)
{
    sc_text json;
    sc_error err;
    const json_t *stats = json_object_get(message, "stats"), *text = json_object_get(message, "content");
    if (!take_place(c->server, e)) return false;
    struct answer *a = answer_new(c);
    snprintf(a->id, sizeof a->id, "%s", c->arg);
    snprintf(a->talk, sizeof a->talk, "%s", json_string_value(json_object_get(message, "conversation")));
    buf_append(&a->text, json_string_value(text), json_string_length(text));
    double tokens = json_number_value(json_object_get(stats, "tokens")), seconds = json_number_value(json_object_get(stats, "seconds"));
    a->tokens = a->tokens_before = tokens > 0 && tokens < 1e9 ? (size_t)tokens : 0;
    a->seconds_before = seconds > 0 && seconds < 1e9 ? seconds : 0;
    sc_status status = sc_talks_answer_continue(&json, c->server->talks, c->arg, &err);
    if (status == SC_OK) return keep(c, a, &json);
    answer_free(a);
    return ui_failed(e, status, &err, false);
}

static bool ask_on(struct call *c, const json_t *message, struct api_error *e)
{
    struct talk head;
    const char *role = json_string_value(json_object_get(message, "role")), *status = json_string_value(json_object_get(message, "status")), *model = json_string_value(json_object_get(message, "model"));
    if (!role || strcmp(role, "assistant") != 0) return api_bad(e, NULL, "only an answer can go on, and this is a message of the user");
    if (!status || strcmp(status, "generating") == 0) return api_fail(e, 409, "invalid_request_error", "is_generating", NULL, "this answer is being written already");
    if (!ui_head(&head, c, json_string_value(json_object_get(message, "conversation")), e)) return false;
    if (model && !server_model(c->server, model)) model = NULL;
    bool ok = ui_ask(c, &head, json_string_value(json_object_get(message, "parent")), model, json_string_value(json_object_get(message, "content")), e) && go_on(c, message, e);
    talk_release(&head);
    return ok;
}

bool ui_continue(struct call *c, struct api_error *e)
{
    sc_text json;
    sc_error err;
    if (!ui_body(c, e)) return false;
    sc_status status = sc_talks_message_get(&json, c->server->talks, c->arg, &err);
    if (status != SC_OK) return ui_failed(e, status, &err, status == SC_E_ARGUMENT);
    json_t *message = json_tree(json.data, json.len, 64);
    sc_text_free(&json);
    bool ok = ask_on(c, message, e);
    json_decref(message);
    return ok;
}

/* ---- on the loop --------------------------------------------------------------------------------------------------------------------------------- */

/* The queue may have filled since: then it waits here. */
static void submit(struct answer *a)
{
    if (a->server->asked || a->is_told_to_stop) end_answer(a, "stopped");
    else {
        if (!a->task->moderator) moderate(a->server, a->task);
        a->is_submitted = engine_submit(a->server->engine, a->task);
    }
}

bool ui_answer_begin(struct call *c)
{
    struct answer *a = c->state;
    c->state = NULL;
    c->state_free = NULL;
    if ((a->next = a->server->answers)) a->next->prev = a;
    a->server->answers = a;
    submit(a);
    return false;
}

void ui_stop_answer(struct answer *a)
{
    if (a->is_ended || a->is_told_to_stop) return;
    a->is_told_to_stop = true;
    if (a->is_submitted) engine_cancel(a->server->engine, a->task);
    else end_answer(a, "stopped");
}

bool ui_deleted(struct call *c)
{
    for (struct answer *a = c->server->answers, *next; a; a = next) {
        next = a->next;
        if (strcmp(a->talk, c->arg) == 0) ui_stop_answer(a);
    }
    return false;
}

void ui_tick(void *server)
{
    struct sc_server *s = server;
    for (struct answer *a = s->answers, *next; a; a = next) {
        next = a->next;
        if (s->asked) ui_stop_answer(a);                       /* it can go on when the server is back */
        else if (a->is_ended && a->retry_at > 0 && clock_seconds() > a->retry_at && !a->is_being_written) write_answer(a);
        else if (!a->is_ended && !a->is_submitted) submit(a);
        else if (!a->is_ended && a->is_unwritten && !a->is_being_written) write_answer(a);
    }
    if (s->n_ticks++ % 4 == 0) ui_watch(s);
}

/* ---- the store ------------------------------------------------------------------------------------------------------------------------------------- */

void ui_open(struct sc_server *s)
{
    sc_error err = { 0 };
    sc_text note = { 0 };
    char quoted[480];
    bool is_kept = s->c.keep_talks && s->c.talks_home && *s->c.talks_home;
    sc_status status = sc_talks_open(&s->talks, is_kept ? s->c.talks_home : ":memory:", &err);
    if (status == SC_OK && is_kept && sc_talks_import_kept(&note, s->talks, &err) == SC_OK && note.data) server_log(s, "info", "conversations", ",\"note\":\"%s\"", error_quote(quoted, sizeof quoted, note.data, note.len));
    sc_text_free(&note);
    if (status == SC_OK) return;
    snprintf(s->talks_problem, sizeof s->talks_problem, "%s", err.message);
    server_log(s, "warn", "no_conversations", ",\"reason\":\"%s\"", error_quote(quoted, sizeof quoted, err.message, strlen(err.message)));
}

/* All threads have ended, and every answer that could be written has been. */
void ui_close(struct sc_server *s)
{
    for (struct answer *a = s->answers, *next; a; a = next) {
        next = a->next;
        answer_free(a);
    }
    sc_talks_close(s->talks);
}
