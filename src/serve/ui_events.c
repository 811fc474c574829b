/* ui_events.c - who listens to an answer of the page: each gets all of it from the byte it asks for, whenever it comes, and then the end. What another
 * process writes (a second server on the same conversations) is looked at once a second. */
#include <stdlib.h>
#include <string.h>

#include "serve/ui.h"

static const struct dialect listening = { .name = "events", .ping = ": still here\n\n" };

/* ---- life ---------------------------------------------------------------------------------------------------------------------------- */

static void listener_free(void *arg)
{
    struct listener *l = arg;
    json_decref(l->found);
    mem_free(l);
}

static void unlink_listener(struct listener *l)
{
    struct listener **at = l->answer ? &l->answer->listeners : &l->call->server->watches;
    while (*at && *at != l) at = &(*at)->next;
    if (*at) *at = l->next;
    l->answer = NULL;
}

static void leave(void *arg)
{
    struct call *c = arg;
    struct listener *l = c->state;
    struct http_exchange *x = c->x;
    unlink_listener(l);
    l->is_left = true;
    if (l->is_asking) return;                                  /* ends when the store has answered */
    call_over(c, 499, x->sent);
    http_end(x);
    call_free(c);
}

/* Comes from inside of writing, too, so nothing is freed here. */
static void on_gone(struct http_exchange *x)
{
    struct call *c = x->user;
    c->is_cut = true;
    http_post(x->http, leave, c);
}

static struct listener *listen_to(struct call *c, struct answer *a)
{
    struct listener *l = mem_zero(1, sizeof *l);
    struct listener **list = a ? &a->listeners : &c->server->watches;
    l->call = c;
    l->answer = a;
    l->next = *list;
    *list = l;
    c->state = l;
    c->state_free = listener_free;
    c->x->on_gone = on_gone;
    return l;
}

/* A client that left meanwhile, or took nothing of what was written, has its `leave` on the way. */
static void end_listening(struct listener *l)
{
    struct call *c = l->call;
    unlink_listener(l);
    if (c->is_cut) return;
    call_end_stream(c);
    call_free(c);
}

/* ---- events --------------------------------------------------------------------------------------------------------------------------- */

static void send_event(struct call *c, struct buf *b)
{
    buf_puts(b, "}\n\n");
    call_write(c, b);
    buf_release(b);
}

static void begin_event(struct buf *b)
{
    buf_init(b, 0);
    buf_puts(b, "data: {");
}

static void send_text(struct listener *l, const char *text, size_t len, size_t tokens)
{
    struct buf b;
    if (l->at >= len) return;
    begin_event(&b);
    buf_puts(&b, "\"text\":");
    buf_put_json_string(&b, text + l->at, len - l->at);
    buf_printf(&b, ",\"at\":%zu", l->at);
    if (tokens) buf_printf(&b, ",\"tokens\":%zu", tokens);
    l->at = len;
    send_event(l->call, &b);
}

static void send_prompt(struct listener *l, const struct answer *a)
{
    struct buf b;
    if (l->is_stop || !a->task) return;
    begin_event(&b);
    buf_printf(&b, "\"prompt\":{\"tokens\":%zu,\"done\":%zu,\"cached\":%zu}", a->task->n_prompt, a->read, a->has_begun ? a->task->cached : 0);
    send_event(l->call, &b);
}

static void send_done(struct call *c, const char *status, const char *stats, const char *error)
{
    struct buf b;
    begin_event(&b);
    buf_printf(&b, "\"done\":{\"status\":\"%s\",\"stats\":%s", status, stats);
    if (error && *error) {
        buf_puts(&b, ",\"error\":");
        buf_put_json_string(&b, error, strlen(error));
    }
    buf_putc(&b, '}');
    send_event(c, &b);
}

void ui_tell_prompt(const struct answer *a)
{
    for (struct listener *l = a->listeners; l; l = l->next) send_prompt(l, a);
}

void ui_tell_text(const struct answer *a)
{
    for (struct listener *l = a->listeners; l; l = l->next)
        if (!l->is_stop) send_text(l, a->text.data, a->text.len, a->tokens);
}

static void reply_stopped(struct call *c)
{
    struct buf b;
    buf_init(&b, 0);
    buf_puts(&b, "{\"stopped\":true}");
    call_reply_buf(c, 200, "application/json", &b);
}

void ui_tell_end(struct answer *a)
{
    while (a->listeners) {
        struct listener *l = a->listeners;
        struct call *c = l->call;
        unlink_listener(l);
        if (l->is_stop && !c->is_cut) {
            reply_stopped(c);
            call_free(c);
        } else {
            if (!l->is_stop) send_done(c, a->status, a->stats.data, a->error);
            end_listening(l);
        }
    }
}

/* One whose end was told, and could not be written yet, is asked of the store. */
static struct answer *running(const struct call *c)
{
    struct answer *a = ui_find(c->server, c->arg);
    return a && a->retry_at > 0 ? NULL : a;
}

/* ---- stopping -------------------------------------------------------------------------------------------------------------------------- */

/* The reply comes when the answer has ended, and is written. */
bool ui_stop_running(struct call *c)
{
    struct answer *a = running(c);
    if (!a) return false;
    listen_to(c, a)->is_stop = true;
    ui_stop_answer(a);
    return true;
}

bool ui_stop(struct call *c, struct api_error *e)
{
    sc_text json;
    sc_error err;
    sc_status status = sc_talks_message_get(&json, c->server->talks, c->arg, &err);
    if (status != SC_OK) return ui_failed(e, status, &err, status == SC_E_ARGUMENT);
    json_t *message = json_tree(json.data, json.len, 64);
    const char *now = json_string_value(json_object_get(message, "status"));
    bool is_running = now && strcmp(now, "generating") == 0;
    sc_text_free(&json);
    json_decref(message);
    if (is_running) return api_fail(e, 409, "invalid_request_error", "is_foreign", NULL, "this answer is written by another program on the same conversations; stop it there");
    buf_puts(&c->reply.body, "{\"stopped\":true}");
    return true;
}

/* ---- listening --------------------------------------------------------------------------------------------------------------------------- */

/* A whole character begins at the place; beyond the end is the end. */
static size_t place(const char *text, size_t len, size_t at)
{
    if (at >= len) return len;
    while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80) at--;
    return at;
}

static bool read_from(size_t *from, const struct call *c)
{
    struct buf text;
    char *end = NULL;
    buf_init(&text, 0);
    *from = 0;
    bool is_given = http_query(&text, c->x, "from"), ok = true;
    if (is_given) {
        ok = text.len > 0 && text.len < 16 && text.data[0] >= '0' && text.data[0] <= '9';
        if (ok) *from = (size_t)strtoull(text.data, &end, 10);
        ok = ok && !*end;
    }
    buf_release(&text);
    return ok;
}

static bool refuse_from(struct call *c)
{
    struct api_error e;
    api_bad(&e, "from", "from is no number of bytes");
    call_reply_error(c, &e);
    call_free(c);
    return true;
}

static void begin_stream(struct call *c)
{
    c->dialect = &listening;
    call_begin_stream(c, "text/event-stream; charset=utf-8");
}

bool ui_events_running(struct call *c)
{
    size_t from;
    struct answer *a = running(c);
    if (!read_from(&from, c)) return refuse_from(c);
    if (!a || http_is(c->x->head.method, "HEAD")) return false;
    struct listener *l = listen_to(c, a);
    begin_stream(c);
    l->at = place(a->text.data, a->text.len, from);
    if (!a->has_text) send_prompt(l, a);
    send_text(l, a->text.data, a->text.len, a->tokens);
    return true;
}

static bool find_message(json_t **out, struct call *c, struct api_error *e)
{
    sc_text json;
    sc_error err;
    sc_status status = sc_talks_message_get(&json, c->server->talks, c->arg, &err);
    if (status != SC_OK) return ui_failed(e, status, &err, status == SC_E_ARGUMENT);
    *out = json_tree(json.data, json.len, 64);
    sc_text_free(&json);
    return true;
}

bool ui_events(struct call *c, struct api_error *e)
{
    json_t *m;
    if (!find_message(&m, c, e)) return false;
    json_decref(c->body);
    c->body = m;
    const char *role = json_string_value(json_object_get(m, "role"));
    return (role && strcmp(role, "assistant") == 0) || api_fail(e, 404, "invalid_request_error", "not_found", NULL, "this message is none of the assistant");
}

/* More of a message of the store; true: it was all. */
static bool tell_found(struct listener *l, const json_t *m)
{
    sc_text stats = { 0 };
    const json_t *text = json_object_get(m, "content");
    const char *status = json_string_value(json_object_get(m, "status"));
    send_text(l, json_string_value(text), json_string_length(text), 0);
    if (!status || strcmp(status, "generating") == 0) return false;
    json_write(&stats, json_object_get(m, "stats"), false);
    send_done(l->call, status, stats.data ? stats.data : "{}", json_string_value(json_object_get(m, "error")));
    sc_text_free(&stats);
    return true;
}

/* The store knew it. It may have begun to go on since. */
bool ui_events_begin(struct call *c)
{
    size_t from;
    json_t *m = c->body;
    const json_t *text = json_object_get(m, "content");
    if (c->is_cut) return false;
    if (http_is(c->x->head.method, "HEAD")) { c->reply.type = "text/event-stream; charset=utf-8"; return false; }
    if (running(c)) return ui_events_running(c);
    (void)read_from(&from, c);
    struct listener *l = listen_to(c, NULL);
    begin_stream(c);
    l->at = place(json_string_value(text), json_string_length(text), from);
    if (tell_found(l, m)) end_listening(l);
    return true;
}

/* ---- answers of other processes -------------------------------------------------------------------------------------------------------------- */

static void watch_work(void *arg)
{
    struct call *c = arg;
    struct listener *l = c->state;
    struct api_error e;
    json_decref(l->found);
    l->found = NULL;
    if (!find_message(&l->found, c, &e)) c->error = e;
}

static void watch_done(void *arg)
{
    struct call *c = arg;
    struct listener *l = c->state;
    l->is_asking = false;
    if (c->is_cut && l->is_left) leave(c);
    else if (c->is_cut) return;
    else if (c->error.status) {
        send_done(c, "error", "{}", c->error.message);
        end_listening(l);
    } else if (tell_found(l, l->found)) end_listening(l);
}

void ui_watch(struct sc_server *s)
{
    for (struct listener *l = s->watches, *next; l; l = next) {
        next = l->next;
        if (l->is_asking || l->call->is_cut) continue;
        if (s->asked) {                                        /* whoever listens asks again */
            end_listening(l);
            continue;
        }
        l->is_asking = true;
        errands_must(&s->store, watch_work, watch_done, l->call);
    }
}
