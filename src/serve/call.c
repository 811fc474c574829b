/* call.c - the life of a request on the loop: asked, read, waiting, answered, gone. A call lives until all its tasks have ended, also when
 * its client leaves before. */
#include <math.h>
#include <string.h>

#include "serve/moderate.h"

/* ---- life ------------------------------------------------------------------------------------------------------------------------- */

static void choices_free(struct call *c)
{
    for (size_t i = 0; i < c->n_choices; i++) {
        buf_release(&c->choices[i].text);
        buf_release(&c->choices[i].held);
        token_records_release(&c->choices[i].records);
        mem_free(c->choices[i].embedding);
    }
    mem_free(c->choices);
}

static void log_call(struct call *c, int status, uint64_t bytes)
{
    struct sc_server *s = c->server;
    double seconds = clock_seconds() - c->began;
    size_t prompt = 0, tokens = 0;
    for (size_t i = 0; i < c->n_tasks; i++) prompt += c->tasks[i]->n_prompt;
    for (size_t i = 0; i < c->n_choices; i++) tokens += c->choices[i].tokens;
    figures_status(&s->figures, status);
    if (c->n_tasks && c->task_end == TASK_DONE && !c->is_cut) histogram_add(&s->figures.whole, seconds);
    server_log(s, "info", "request", ",\"route\":\"%s\",\"status\":%d,\"seconds\":%.3f,\"bytes\":%llu,\"prompt_tokens\":%zu,\"tokens\":%zu,\"id\":\"%s\"", c->route ? c->route->path : "none", status, seconds,
               (unsigned long long)bytes, prompt, tokens, c->id);
}

void call_free(struct call *c)
{
    struct sc_server *s = c->server;
    if (c->prev) c->prev->next = c->next;
    else s->calls = c->next;
    if (c->next) c->next->prev = c->prev;
    s->n_calls--;
    choices_free(c);
    for (size_t i = 0; i < c->n_tasks; i++) { moderate_drop(c->tasks[i]); task_free(c->tasks[i]); }
    mem_free(c->tasks);
    buf_release(&c->echo_text);
    buf_release(&c->reply.body);
    buf_release(&c->reply.headers);
    buf_release(&c->answer);
    if (c->state_free) c->state_free(c->state);
    json_decref(c->tool_schema);
    json_decref(c->body);
    mem_free(c);
}

/* The exchange is answered or given up; nothing may be written any more. */
void call_over(struct call *c, int status, uint64_t bytes)
{
    c->x = NULL;
    c->is_over = true;
    log_call(c, c->is_cut ? 499 : status, bytes);              /* 499: the client left first, as nginx logs it */
}

static void cors_headers(struct call *c, struct buf *b)
{
    const struct sc_server *s = c->server;
    struct http_span origin = http_field(&c->x->head, "Origin");
    buf_puts(b, "Cache-Control: no-store\r\n");
    if (origin.at && origin_is_allowed(s, origin)) buf_printf(b, "Access-Control-Allow-Origin: %.*s\r\nVary: Origin\r\n", (int)origin.len, origin.at);
}

void call_reply_buf(struct call *c, int status, const char *type, struct buf *body)
{
    struct buf headers;
    buf_init(&headers, 0);
    cors_headers(c, &headers);
    if (c->reply.headers.len && status < 300) buf_puts(&headers, c->reply.headers.data);
    if (status == 429 || status == 503) buf_puts(&headers, "Retry-After: 1\r\n");
    if (status == 401) buf_puts(&headers, "WWW-Authenticate: Bearer\r\n");
    if (status == 405) route_allow(&headers, c->x->head.path);
    struct http_exchange *x = c->x;
    call_over(c, status, body->len);
    http_reply(x, status, type, headers.data, body->data ? body->data : "", body->len);
    buf_release(&headers);
    buf_release(body);
}

void call_reply_json(struct call *c, int status, json_t *value)
{
    sc_text text = { 0 };
    struct buf b;
    buf_init(&b, 0);
    json_write(&text, value, false);
    if (text.data) buf_append(&b, text.data, text.len);
    sc_text_free(&text);
    json_decref(value);
    call_reply_buf(c, status, "application/json", &b);
}

void call_reply_error(struct call *c, const struct api_error *e)
{
    struct buf b;
    if (c->dialect && c->dialect->error) { c->dialect->error(c, e); return; }
    buf_init(&b, 0);
    api_error_json(&b, e);
    if (!c->has_begun) { call_reply_buf(c, e->status, "application/json", &b); return; }
    /* In the middle of a stream: an event that says so, and no [DONE]. */
    struct buf event;
    buf_init(&event, 0);
    buf_printf(&event, "data: %s\n\n", b.data);
    buf_release(&b);
    call_last(c, &event);
}

void call_last(struct call *c, struct buf *b)
{
    call_write(c, b);
    buf_release(b);
    call_end_stream(c);
}

bool call_answer(struct call *c, json_t *value)
{
    sc_text text = { 0 };
    json_write(&text, value, false);
    if (text.data) buf_append(&c->answer, text.data, text.len);
    sc_text_free(&text);
    json_decref(value);
    return true;
}

void call_begin_stream(struct call *c, const char *type)
{
    struct buf headers;
    buf_init(&headers, 0);
    cors_headers(c, &headers);
    buf_puts(&headers, "X-Accel-Buffering: no\r\n");           /* nginx passes it on at once */
    c->has_begun = true;
    c->last_sent = clock_seconds();
    http_begin(c->x, 200, type, headers.data);
    buf_release(&headers);
}

void call_write(struct call *c, const struct buf *b)
{
    c->last_sent = clock_seconds();
    if (c->x && b->len) http_write(c->x, b->data, b->len);
}

void call_end_stream(struct call *c)
{
    struct http_exchange *x = c->x;
    uint64_t sent = x->sent;
    call_over(c, 200, sent);
    http_end(x);
}

/* ---- sums --------------------------------------------------------------------------------------------------------------------------------- */

struct call_usage call_usage(const struct call *c)
{
    struct call_usage u = { 0 };
    for (size_t i = 0; i < c->n_tasks; i++) {
        const struct task *t = c->tasks[i];
        double first = t->first > 0 ? t->first : t->ended, now = t->ended > 0 ? t->ended : clock_seconds();
        u.prompt += t->n_prompt;
        u.cached += t->cached;
        if (t->started > 0 && first > t->started) u.prompt_seconds += first - t->started;
        if (first > 0 && now > first) u.seconds += now - first;
        if (i == 0 && first > t->queued) u.first_seconds = first - t->queued;
    }
    for (size_t i = 0; i < c->n_choices; i++) {
        u.completion += c->choices[i].tokens;
        u.accepted += c->choices[i].guessed;
        u.rejected += c->choices[i].rejected;
    }
    return u;
}

void put_timings(struct buf *b, const struct call *c)
{
    struct call_usage u = call_usage(c);
    size_t computed = u.prompt - u.cached;
    buf_printf(b, "{\"cache_n\":%zu,\"prompt_n\":%zu,\"prompt_ms\":%.3f,\"prompt_per_token_ms\":%.3f,\"prompt_per_second\":%.3f,\"predicted_n\":%zu,\"predicted_ms\":%.3f,\"predicted_per_token_ms\":%.3f,\"predicted_per_second\":%.3f}",
               u.cached, computed, u.prompt_seconds * 1e3, computed ? u.prompt_seconds * 1e3 / (double)computed : 0, u.prompt_seconds > 0 ? (double)computed / u.prompt_seconds : 0, u.completion, u.seconds * 1e3,
               u.completion ? u.seconds * 1e3 / (double)u.completion : 0, u.seconds > 0 ? (double)u.completion / u.seconds : 0);
}

void call_best(struct call *c, size_t task, size_t *index, size_t n)
{
    size_t first = task * c->per_task;
    for (size_t k = 0; k < n; k++) {
        size_t best = SIZE_MAX;
        for (size_t i = first; i < first + c->per_task; i++) {
            bool is_taken = false;
            for (size_t j = 0; j < k; j++) is_taken |= index[j] == i;
            const struct choice *ch = &c->choices[i], *b = best == SIZE_MAX ? NULL : &c->choices[best];
            double mine = ch->tokens ? ch->logprob / (double)ch->tokens : 0, its = b && b->tokens ? b->logprob / (double)b->tokens : 0;
            if (!is_taken && (!b || (c->per_task > n && mine > its))) best = i;
        }
        index[k] = best;
    }
}

/* ---- events --------------------------------------------------------------------------------------------------------------------------------- */

static size_t task_index(const struct call *c, const struct task *t)
{
    size_t i = 0;
    while (c->tasks[i] != t) i++;
    return i;
}

static void append_records(struct token_records *to, struct token_records *from)
{
    for (size_t i = 0; i < from->len; i++) token_records_add(to, from->at[i].id, from->at[i].logprob, from->at[i].top, from->at[i].n_top);
}

void call_echo(struct call *c, const char *text, size_t len)
{
    struct buf whole;
    buf_init(&whole, 0);
    utf8_repair(&whole, text, len);
    buf_append(&c->echo_text, &whole.len, sizeof whole.len);
    buf_append(&c->echo_text, whole.data, whole.len);
    buf_release(&whole);
}

/* The prompt's own text and log-probabilities come first in an echo. */
static void begin_choice(struct call *c, size_t index, size_t task)
{
    struct choice *ch = &c->choices[index];
    const char *at = c->echo_text.data;
    size_t len;
    if (!c->wish.echo || !at || ch->has_begun) return;
    ch->has_begun = true;
    for (size_t i = 0; memcpy(&len, at, sizeof len), at += sizeof len, i < task; i++) at += len;
    buf_append(&ch->text, at, len);
    if (c->is_stream) c->dialect->piece(c, index, at, len, &(struct token_records){ 0 });
}

static void on_prompt(struct call *c, size_t task, struct event_of_task *v)
{
    const struct task *t = c->tasks[task];
    if (c->is_stream && c->dialect->progress && c->x) c->dialect->progress(c, v->done);
    if (v->done < t->n_prompt || !t->prompt_records) return;
    for (size_t k = 0; k < t->choices; k++) {
        struct choice *ch = &c->choices[task * c->per_task + k];
        token_records_add(&ch->records, t->prompt[0], (double)NAN, NULL, 0);
        append_records(&ch->records, &v->records);
    }
}

static void on_text(struct call *c, size_t index, size_t task, struct event_of_task *v)
{
    struct sc_server *s = c->server;
    struct choice *ch = &c->choices[index];
    double now = clock_seconds();
    if (!ch->is_timed) histogram_add(&s->figures.first_token, now - c->began);
    else if (v->records.len) for (size_t i = 0; i < v->records.len; i++) histogram_add(&s->figures.token_gap, (now - ch->last) / (double)v->records.len);
    ch->is_timed = true;
    ch->last = now;
    begin_choice(c, index, task);
    if (c->is_stream) c->dialect->piece(c, index, v->text, v->text_len, &v->records);
    else {
        buf_append(&ch->text, v->text, v->text_len);
        append_records(&ch->records, &v->records);
    }
}

static void on_finish(struct call *c, size_t index, size_t task, struct event_of_task *v)
{
    struct choice *ch = &c->choices[index];
    ch->finish = v->finish;
    ch->stop_string = v->stop_string;
    ch->tokens = v->tokens;
    ch->guessed = v->guessed;
    ch->rejected = v->rejected;
    ch->logprob = v->logprob;
    ch->embedding = v->embedding;
    v->embedding = NULL;
    ch->is_done = true;
    c->server->figures.finished[v->finish]++;
    begin_choice(c, index, task);
    if (c->is_stream && c->x) c->dialect->finish(c, index);
}

static void on_end(struct call *c, struct event_of_task *v)
{
    c->n_ended++;
    if (v->end != TASK_DONE && c->task_end == TASK_DONE) {
        c->task_end = v->end;
        if (v->end == TASK_FAILED) api_failed(&c->error, &v->error);
        else if (!c->error.status) api_fail(&c->error, 503, "unavailable_error", NULL, NULL, "the request was stopped because the server shuts down");
        for (size_t i = 0; i < c->n_submitted; i++) engine_cancel(c->server->engine, c->tasks[i]);
    }
    if (c->n_ended < c->n_submitted) return;
    if (c->is_cut && c->x) {
        struct http_exchange *x = c->x;
        call_over(c, 499, x->sent);
        http_end(x);
    } else if (c->x && c->task_end != TASK_DONE) call_reply_error(c, &c->error);
    else if (c->x) c->dialect->end(c);
    call_free(c);
}

static void on_event(struct task *t, struct event_of_task *v)
{
    struct call *c = t->user;
    size_t task = task_index(c, t), index = task * c->per_task + v->choice;
    switch (v->kind) {
    case EVENT_BEGIN: histogram_add(&c->server->figures.queued, t->started - t->queued); break;
    case EVENT_PROMPT: if (!c->is_cut) on_prompt(c, task, v); break;
    case EVENT_TEXT: if (!c->is_cut) on_text(c, index, task, v); break;
    case EVENT_FINISH: if (!c->is_cut) on_finish(c, index, task, v); break;
    case EVENT_END: on_end(c, v); break;
    }
}

/* ---- asking ------------------------------------------------------------------------------------------------------------------------------------- */

static void on_gone(struct http_exchange *x)
{
    struct call *c = x->user;
    c->is_cut = true;
    for (size_t i = 0; i < c->n_submitted; i++) engine_cancel(c->server->engine, c->tasks[i]);
}

static void submit(struct call *c)
{
    struct sc_server *s = c->server;
    struct api_error e;
    c->n_choices = c->n_tasks * c->per_task;
    c->choices = mem_zero(c->n_choices, sizeof *c->choices);
    for (size_t i = 0; i < c->n_choices; i++) { buf_init(&c->choices[i].text, 0); buf_init(&c->choices[i].held, 0); }
    for (size_t i = 0; i < c->n_tasks; i++) {
        c->tasks[i]->on_event = on_event;
        moderate(s, c->tasks[i]);
    }
    bool fits = engine_submit_all(s->engine, c->tasks, c->n_tasks);
    if (fits) {
        c->n_submitted = c->n_tasks;
        if (c->is_stream) c->dialect->begin(c);
        return;
    }
    api_fail(&e, s->asked ? 503 : 429, s->asked ? "unavailable_error" : "overloaded_error", s->asked ? NULL : "queue_full", NULL, s->asked ? "the server is shutting down" : "the server is busy: its queue of %lld requests is full; try again in a moment", (long long)s->c.queue);
    call_reply_error(c, &e);
    call_free(c);
}

/* The client left before there was an answer. */
static void end_cut(struct call *c)
{
    struct http_exchange *x = c->x;
    call_over(c, 499, 0);
    http_end(x);
    call_free(c);
}

/* Back on the loop with tokens, or with what is wrong. */
static void read_done(void *arg)
{
    struct call *c = arg;
    if (c->is_cut) end_cut(c);
    else if (!c->error.status && c->answer.len) {
        call_reply_buf(c, 200, "application/json", &c->answer);
        call_free(c);
    } else if (c->error.status || !c->n_tasks) {
        if (!c->error.status) api_bad(&c->error, NULL, "the request asks for nothing");
        call_reply_error(c, &c->error);
        call_free(c);
    } else submit(c);
}

/* On a reading thread. */
static void read_call(void *arg)
{
    struct call *c = arg;
    sc_error err;
    if (json_read(&c->body, c->x->body, c->x->body_len, "the body", &err) != SC_OK) api_bad(&c->error, NULL, "%s", err.message);
    else if (!json_is_object(c->body)) api_bad(&c->error, NULL, "the body is no JSON object");
    else c->dialect->read(c, c->body, &c->error);
    if (c->error.status) return;
    const char *key;
    json_t *v;
    if (!server_logs(c->server, "debug")) return;
    json_object_foreach(c->body, key, v) {
        if (!wish_knows(key)) server_log_text(c->server, "debug", "unknown_field", "", "field", key, strlen(key));
    }
}

static bool is_json(const struct http_head *h)
{
    struct http_span type = http_field(h, "Content-Type");
    if (!type.at && !http_field(h, "Origin").at && !http_field(h, "Sec-Fetch-Site").at) return true;      /* no browser; litellm names no type to Ollama's addresses */
    const char *semicolon = type.at ? memchr(type.at, ';', type.len) : NULL;
    if (semicolon) type.len = (size_t)(semicolon - type.at);
    while (type.len && type.at[type.len - 1] == ' ') type.len--;
    return http_is_like(type, "application/json");
}

static void name_call(struct call *c)
{
    uint8_t random[12];
    static const char letters[] = "0123456789abcdefghijklmnopqrstuv";
    size_t n = (size_t)snprintf(c->id, sizeof c->id - 24, "%s", c->route && c->route->id_prefix ? c->route->id_prefix : "req-");
    system_random(random, sizeof random);
    for (size_t i = 0; i < 2 * sizeof random; i++) c->id[n++] = letters[random[i / 2] >> (i % 2 ? 3 : 0) & 31];
    c->id[n] = 0;
}

void call_wish_defaults(struct call *c)
{
    struct wish *w = &c->wish;
    sc_options_defaults(&sample_options, &w->sample);
    w->sample.temperature = 1;
    w->sample.logprobs = 0;
    w->max_tokens = -1;
    w->n = 1;
    w->seed = -1;
    w->n_probs = -1;
    w->caches = true;
}

static void refuse(struct call *c, const struct api_error *e)
{
    call_reply_error(c, e);
    call_free(c);
}

/* A page of another site may send text without asking this server first, JSON not. */
static bool check_type(const struct call *c, struct api_error *e)
{
    return is_json(&c->x->head) || api_fail(e, 415, "invalid_request_error", NULL, NULL, "Content-Type is not application/json");
}

static bool is_busy(struct api_error *e) { return api_fail(e, 429, "overloaded_error", "queue_full", NULL, "the server is busy; try again in a moment"); }

static void ask_dialect(struct call *c)
{
    struct api_error e;
    call_wish_defaults(c);
    if (!check_type(c, &e) || !(errands_add(&c->server->readers, read_call, read_done, c) || is_busy(&e))) refuse(c, &e);
}

/* ---- work ---------------------------------------------------------------------------------------------------------------------------------------- */

static void work_call(void *arg)
{
    struct call *c = arg;
    c->route->work(c, &c->error);
}

static void work_done(void *arg)
{
    struct call *c = arg;
    if (!c->error.status && c->route->then && c->route->then(c)) return;
    if (c->is_cut) { end_cut(c); return; }
    if (c->error.status) call_reply_error(c, &c->error);
    else call_reply_buf(c, c->reply.status ? c->reply.status : 200, c->reply.type ? c->reply.type : "application/json", &c->reply.body);
    call_free(c);
}

static void ask_work(struct call *c)
{
    struct api_error e;
    bool is_get = http_is(c->x->head.method, "GET") || http_is(c->x->head.method, "HEAD");
    if (!is_get && !check_type(c, &e)) { refuse(c, &e); return; }
    if (c->route->first && c->route->first(c)) return;
    bool has_talks = c->server->talks || api_fail(&e, 503, "unavailable_error", "no_conversations", NULL, "%s", c->server->talks_problem);
    if (!has_talks || !(errands_add(&c->server->store, work_call, work_done, c) || is_busy(&e))) refuse(c, &e);
}

/* ---- every call ----------------------------------------------------------------------------------------------------------------------------------- */

static void reply_preflight(struct call *c)
{
    struct buf body, headers;
    struct http_exchange *x = c->x;
    buf_init(&body, 0);
    buf_init(&headers, 0);
    cors_headers(c, &headers);
    buf_puts(&headers, "Access-Control-Allow-Methods: GET, POST, PATCH, DELETE\r\nAccess-Control-Allow-Headers: Authorization, Content-Type, X-Api-Key\r\nAccess-Control-Max-Age: 600\r\n");
    call_over(c, 204, 0);
    http_reply(x, 204, NULL, headers.data, "", 0);
    buf_release(&headers);
}

void call_open(struct sc_server *s, struct http_exchange *x)
{
    bool knows_path;
    struct api_error e;
    struct call *c = mem_zero(1, sizeof *c);
    c->server = s;
    c->x = x;
    c->began = x->began;
    c->created = time(NULL);
    x->user = c;
    x->on_gone = on_gone;
    if ((c->next = s->calls)) c->next->prev = c;
    s->calls = c;
    s->n_calls++;
    c->route = route_find(s, c, &knows_path);
    c->dialect = c->route ? c->route->dialect : NULL;
    buf_init(&c->echo_text, 0);
    buf_init(&c->reply.body, 0);
    buf_init(&c->reply.headers, 0);
    buf_init(&c->answer, 0);
    name_call(c);
    bool is_preflight = http_is(x->head.method, "OPTIONS") && http_field(&x->head, "Origin").at;
    if (!gate(c, &e)) call_reply_error(c, &e);
    else if (is_preflight) reply_preflight(c);
    else if (!c->route) {
        char quoted[160];
        error_quote(quoted, sizeof quoted, x->head.path.at, x->head.path.len);
        if (knows_path) api_fail(&e, 405, "invalid_request_error", NULL, NULL, "%.*s is not a method of %s", (int)(x->head.method.len < 20 ? x->head.method.len : 20), x->head.method.at, quoted);
        else api_fail(&e, 404, "invalid_request_error", "not_found", NULL, "there is no %s here; docs/serving.md lists what there is", quoted);
        call_reply_error(c, &e);
    } else if (c->route->handle) c->route->handle(c);
    else if (c->route->dialect) { ask_dialect(c); return; }
    else { ask_work(c); return; }
    if (c->is_over) call_free(c);
}

/* ---- every second ---------------------------------------------------------------------------------------------------------------------------------- */

void call_every_second(struct sc_server *s)
{
    double now = clock_seconds();
    for (struct call *c = s->calls; c; c = c->next) {
        if (!c->has_begun || c->is_over || c->is_cut || !c->dialect || !c->dialect->ping || now - c->last_sent < s->c.ping_seconds) continue;
        c->last_sent = now;
        http_write(c->x, c->dialect->ping, strlen(c->dialect->ping));
    }
}

void call_cancel_all(struct sc_server *s)
{
    for (struct call *c = s->calls; c; c = c->next)
        for (size_t i = 0; i < c->n_submitted; i++) engine_cancel(s->engine, c->tasks[i]);
}
