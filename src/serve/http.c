/* http.c - connections: from bytes to exchanges and back. See http.h. */
#include "serve/http.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INPUT_AHEAD = 65536, OUTPUT_MAX = 8 << 20, LINGER_BYTES = 64 << 20, BODY_TICK = 10, BODY_RATE = 1024 };
static const double LINGER_SECONDS = 2;

/* PHASE_IDLE: nothing of a request is here. LINGER: the answer is out and the connection ends once the client has seen it. */
enum phase { PHASE_IDLE, PHASE_HEAD, PHASE_BODY, PHASE_BUSY, PHASE_LINGER };
struct connection {
    struct http *http;
    struct connection *next, *prev;
    struct bufferevent *buffers;
    struct event *timer;
    enum phase phase;
    struct http_exchange *x;            /* from PHASE_BODY on */
    struct http_chunks chunks;
    struct buf body;
    uint64_t taken, at_tick;            /* bytes of the body; at the last tick of the timer */
    size_t lingered;
    bool is_closing;                    /* once the output is out */
    bool has_ended;                     /* the client has closed its side: nothing more comes */
    char address[64];
    bool is_loopback;
};
struct post { struct post *next; void (*fn)(void *arg); void *arg; };
struct repeat { struct event *timer; void (*fn)(void *arg); void *arg; struct repeat *next; };
struct http {
    struct http_config c;
    struct event_base *base;
    struct evconnlistener *listener;
    struct event *wake, *resume;
    int wake_fd, port;
    char *socket_path;
    struct connection *first;
    size_t n_connections, n_busy;
    uint64_t accepted, refused, requests;
    struct repeat *repeats;
    pthread_mutex_t lock;
    struct post *posts, **posts_end;
    volatile sig_atomic_t stops;        /* 1: soon, 2: now */
    bool is_draining;
};

/* ---- connections --------------------------------------------------------------------------------------------------------------- */

static void set_timer(struct connection *c, double seconds)
{
    struct timeval t = { (time_t)seconds, (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6) };
    evtimer_add(c->timer, &t);
}

/* All are answered, and the answers are out: what is in a buffer when the loop ends is lost. */
static void maybe_finish(struct http *h)
{
    bool is_out = h->n_busy == 0;
    for (const struct connection *c = h->first; c && h->is_draining && is_out; c = c->next) is_out = evbuffer_get_length(bufferevent_get_output(c->buffers)) == 0;
    if (h->is_draining && is_out) event_base_loopbreak(h->base);
}

static void exchange_free(struct http_exchange *x)
{
    mem_free(x->body);
    mem_free(x->head_bytes);
    mem_free(x);
}

/* Lets go of a connection; an exchange that is being answered learns that its client has left. */
static void drop(struct connection *c)
{
    struct http *h = c->http;
    struct http_exchange *x = c->x;
    if (c->prev) c->prev->next = c->next;
    else h->first = c->next;
    if (c->next) c->next->prev = c->prev;
    h->n_connections--;
    event_free(c->timer);
    bufferevent_free(c->buffers);
    buf_release(&c->body);
    bool was_busy = c->phase == PHASE_BUSY;
    mem_free(c);
    if (x) x->connection = NULL;
    if (x && !was_busy) exchange_free(x);
    else if (x && x->on_gone) x->on_gone(x);
    maybe_finish(h);
}

/* The client is told that nothing more comes, and has a moment to read: a socket closed with unread input would take the answer along. */
static void linger(struct connection *c)
{
    if (c->has_ended) { drop(c); return; }                     /* it will not write any more */
    c->phase = PHASE_LINGER;
    shutdown(bufferevent_getfd(c->buffers), SHUT_WR);
    bufferevent_disable(c->buffers, EV_WRITE);
    set_timer(c, LINGER_SECONDS);
}

static void close_when_sent(struct connection *c)
{
    c->is_closing = true;
    c->phase = PHASE_LINGER;
    if (evbuffer_get_length(bufferevent_get_output(c->buffers)) == 0) linger(c);
}

/* Behind an answer: the next request, or the end. What has come of it already is read from the loop, not from here: a thousand
 * small requests in one packet would call each other otherwise. */
static void next_request(struct connection *c)
{
    c->phase = PHASE_IDLE;
    c->x = NULL;
    c->chunks = (struct http_chunks){ 0 };
    c->taken = c->at_tick = 0;
    set_timer(c, c->http->c.idle_seconds);
    if (c->http->is_draining) c->is_closing = true;
    bool has_more = evbuffer_get_length(bufferevent_get_input(c->buffers)) > 0;
    if (c->has_ended && !has_more) close_when_sent(c);
    else if (has_more) bufferevent_trigger(c->buffers, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
}

/* ---- answers ---------------------------------------------------------------------------------------------------------------------- */

enum stay { CLOSES, STAYS, STAYS_TOLD };                       /* to HTTP/1.0 it must be said that a connection stays */
static void put_head(struct evbuffer *out, int status, const char *type, const char *headers, enum stay stay)
{
    char date[64];
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\nX-Content-Type-Options: nosniff\r\n", status, http_reason(status), date);
    if (type) evbuffer_add_printf(out, "Content-Type: %s\r\n", type);
    if (headers) evbuffer_add(out, headers, strlen(headers));
    if (stay != STAYS) evbuffer_add_printf(out, "Connection: %s\r\n", stay == CLOSES ? "close" : "keep-alive");
}

static enum stay stays(const struct http_exchange *x) { return !x->head.keeps_alive ? CLOSES : x->head.minor == 0 ? STAYS_TOLD : STAYS; }

/* The answer is complete: frees the exchange, and the connection waits for the next request or ends. */
static void finish(struct http_exchange *x, bool is_whole)
{
    struct http *h = x->http;
    struct connection *c = x->connection;
    bool keeps_alive = x->head.keeps_alive && is_whole;
    h->n_busy--;
    exchange_free(x);
    if (c) {
        c->x = NULL;
        if (!is_whole) drop(c);
        else if (!keeps_alive || h->is_draining) close_when_sent(c);
        else next_request(c);
    }
    maybe_finish(h);
}

void http_begin(struct http_exchange *x, int status, const char *type, const char *headers)
{
    x->status = status;
    x->is_head_only = http_is(x->head.method, "HEAD");
    x->is_chunked = x->head.minor == 1;
    if (x->http->is_draining || !x->is_chunked) x->head.keeps_alive = false;
    if (!x->connection) return;
    struct evbuffer *out = bufferevent_get_output(x->connection->buffers);
    put_head(out, status, type, headers, stays(x));
    if (x->is_chunked) evbuffer_add_printf(out, "Transfer-Encoding: chunked\r\n");
    evbuffer_add_printf(out, "\r\n");
}

bool http_write(struct http_exchange *x, const void *data, size_t len)
{
    if (!x->connection) return false;
    if (!len || x->is_head_only) return true;
    struct evbuffer *out = bufferevent_get_output(x->connection->buffers);
    if (evbuffer_get_length(out) + len > OUTPUT_MAX) { drop(x->connection); return false; }
    if (x->is_chunked) evbuffer_add_printf(out, "%zx\r\n", len);
    evbuffer_add(out, data, len);
    if (x->is_chunked) evbuffer_add(out, "\r\n", 2);
    x->sent += len;
    return true;
}

void http_end(struct http_exchange *x)
{
    if (x->connection && x->is_chunked && !x->is_head_only) evbuffer_add(bufferevent_get_output(x->connection->buffers), "0\r\n\r\n", 5);
    finish(x, true);
}

void http_abort(struct http_exchange *x) { finish(x, false); }

void http_reply(struct http_exchange *x, int status, const char *type, const char *headers, const void *body, size_t len)
{
    x->status = status;
    if (x->http->is_draining) x->head.keeps_alive = false;
    if (x->connection) {
        struct evbuffer *out = bufferevent_get_output(x->connection->buffers);
        put_head(out, status, type, headers, stays(x));
        if (status != 204 && status != 304) evbuffer_add_printf(out, "Content-Length: %zu\r\n", len);
        evbuffer_add_printf(out, "\r\n");
        if (!http_is(x->head.method, "HEAD")) evbuffer_add(out, body, len);
        x->sent = len;
    }
    finish(x, true);
}

/* ---- requests ------------------------------------------------------------------------------------------------------------------------ */

/* Bytes that are no request get an answer and the end of the connection. */
static void refuse(struct connection *c, int status, const char *why)
{
    struct http *h = c->http;
    struct buf body;
    buf_init(&body, 0);
    h->refused++;
    if (h->c.on_refused) h->c.on_refused(h->c.user, c->address, status, why);
    if (c->x) exchange_free(c->x);
    c->x = NULL;
    h->c.error_body(&body, status, why);
    struct evbuffer *out = bufferevent_get_output(c->buffers), *in = bufferevent_get_input(c->buffers);
    put_head(out, status, "application/json", NULL, CLOSES);
    evbuffer_add_printf(out, "Content-Length: %zu\r\n\r\n", body.len);
    evbuffer_add(out, body.data, body.len);
    evbuffer_drain(in, evbuffer_get_length(in));
    buf_release(&body);
    close_when_sent(c);
}

static struct http_exchange *exchange_new(struct connection *c, const char *bytes, size_t n)
{
    struct http_exchange *x = mem_zero(1, sizeof *x);
    x->http = c->http;
    x->connection = c;
    x->began = clock_seconds();
    x->head_bytes = mem_strndup(bytes, n);
    x->is_loopback = c->is_loopback;
    memcpy(x->address, c->address, sizeof x->address);
    size_t used;
    const char *why;
    (void)http_parse_head(&x->head, x->head_bytes, n, &used, &why);   /* again, so that spans point into our copy */
    return x;
}

static void dispatch(struct connection *c)
{
    struct http_exchange *x = c->x;
    struct http *h = c->http;
    sc_text body = { 0 };
    c->phase = PHASE_BUSY;
    evtimer_del(c->timer);
    x->body_len = c->body.len;
    buf_take(&c->body, &body);                                 /* a NUL follows what a buf holds */
    x->body = body.data;
    buf_init(&c->body, 0);
    h->n_busy++;
    h->requests++;
    h->c.on_request(h->c.user, x);
}

/* Takes what is here of the body. */
static void read_body(struct connection *c)
{
    struct evbuffer *in = bufferevent_get_input(c->buffers);
    size_t len = evbuffer_get_length(in), used = 0;
    const char *why;
    if (c->x->head.is_chunked) {
        int status = len ? http_chunks_put(&c->chunks, &c->body, (const char *)evbuffer_pullup(in, -1), len, &used, &why) : 0;
        evbuffer_drain(in, used);
        c->taken += used;
        if (status == 200) dispatch(c);
        else if (status) refuse(c, status, why);
        return;
    }
    uint64_t left = c->x->head.length - c->taken;
    size_t n = left < len ? (size_t)left : len;
    if (n) buf_append(&c->body, evbuffer_pullup(in, (ev_ssize_t)n), n);
    evbuffer_drain(in, n);
    c->taken += n;
    if (c->taken == c->x->head.length) dispatch(c);
}

static void begin_body(struct connection *c, const char *bytes, size_t used)
{
    struct http *h = c->http;
    c->x = exchange_new(c, bytes, used);
    evbuffer_drain(bufferevent_get_input(c->buffers), used);
    if (c->x->head.length > h->c.body_bytes) { refuse(c, 413, "the body is larger than this server takes"); return; }
    c->phase = PHASE_BODY;
    buf_init(&c->body, h->c.body_bytes);
    bool has_body = c->x->head.is_chunked || c->x->head.length;
    if (has_body) set_timer(c, BODY_TICK);
    if (has_body && c->x->head.expects_continue && !evbuffer_get_length(bufferevent_get_input(c->buffers)))
        evbuffer_add_printf(bufferevent_get_output(c->buffers), "HTTP/1.1 100 Continue\r\n\r\n");
    read_body(c);
}

static void read_head(struct connection *c)
{
    struct evbuffer *in = bufferevent_get_input(c->buffers);
    size_t len = evbuffer_get_length(in), used;
    struct http_head head;
    const char *why = "";
    if (!len) return;
    if (c->phase == PHASE_IDLE) {
        c->phase = PHASE_HEAD;
        set_timer(c, c->http->c.head_seconds);
    }
    size_t look = len < HTTP_HEAD_MAX + 2 ? len : HTTP_HEAD_MAX + 2;
    const char *bytes = (const char *)evbuffer_pullup(in, (ev_ssize_t)look);
    int status = http_parse_head(&head, bytes, look, &used, &why);
    if (status == 200) begin_body(c, bytes, used);
    else if (status) refuse(c, status, why);
    else if (c->has_ended) close_when_sent(c);                 /* half a request, and no more comes */
}

static void read_on(struct connection *c)
{
    if (c->is_closing && c->phase == PHASE_IDLE) { linger(c); return; }
    if (c->phase == PHASE_IDLE || c->phase == PHASE_HEAD) read_head(c);
    else if (c->phase == PHASE_BODY) read_body(c);
}

static void on_read(struct bufferevent *b, void *arg)
{
    struct connection *c = arg;
    if (c->phase != PHASE_LINGER) { read_on(c); return; }
    struct evbuffer *in = bufferevent_get_input(b);
    c->lingered += evbuffer_get_length(in);
    evbuffer_drain(in, evbuffer_get_length(in));
    if (c->lingered > LINGER_BYTES) drop(c);
}

static void on_written(struct bufferevent *b, void *arg)
{
    struct connection *c = arg;
    struct http *h = c->http;
    (void)b;
    if (c->is_closing && c->phase != PHASE_BUSY && c->phase != PHASE_BODY) linger(c);
    maybe_finish(h);
}

/* The client closed its side. What it had asked before is still answered; only who waits for an answer alone has left. */
static void end_input(struct connection *c)
{
    bool has_input = evbuffer_get_length(bufferevent_get_input(c->buffers)) > 0;
    c->has_ended = true;
    bufferevent_disable(c->buffers, EV_READ);
    if (c->phase == PHASE_IDLE && has_input) return;           /* requests that came together: next_request has seen to it */
    close_when_sent(c);
}

/* The client closed its side, broke off, or took nothing for too long. */
static void on_event(struct bufferevent *b, short what, void *arg)
{
    struct connection *c = arg;
    (void)b;
    bool is_end = (what & BEV_EVENT_EOF) && !(what & BEV_EVENT_ERROR) && c->phase != PHASE_BUSY && c->phase != PHASE_BODY;
    if (is_end) end_input(c);
    else if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)) drop(c);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct connection *c = arg;
    (void)fd; (void)what;
    if (c->phase == PHASE_HEAD) { refuse(c, 408, "the head of the request did not come in time"); return; }
    if (c->phase != PHASE_BODY) { drop(c); return; }
    if (c->taken - c->at_tick < BODY_TICK * BODY_RATE) { refuse(c, 408, "the body of the request came too slowly"); return; }
    c->at_tick = c->taken;
    set_timer(c, BODY_TICK);
}

/* ---- accepting ------------------------------------------------------------------------------------------------------------------------- */

static void name_address(struct connection *c, const struct sockaddr *a)
{
    const struct sockaddr_in *four = (const void *)a;
    const struct sockaddr_in6 *six = (const void *)a;
    if (a->sa_family == AF_INET) {
        evutil_inet_ntop(AF_INET, &four->sin_addr, c->address, sizeof c->address);
        c->is_loopback = (ntohl(four->sin_addr.s_addr) >> 24) == 127;
    } else if (a->sa_family == AF_INET6) {
        evutil_inet_ntop(AF_INET6, &six->sin6_addr, c->address, sizeof c->address);
        c->is_loopback = IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) || strncmp(c->address, "::ffff:127.", 11) == 0;
    } else {
        snprintf(c->address, sizeof c->address, "unix");
        c->is_loopback = true;
    }
}

/* The connection that has waited longest for a request makes room. */
static bool make_room(struct http *h)
{
    struct connection *last = NULL;
    for (struct connection *c = h->first; c; c = c->next)
        if (c->phase == PHASE_IDLE || c->phase == PHASE_HEAD) last = c;      /* new ones stand in front */
    if (last) drop(last);
    return last != NULL;
}

static size_t count_address(const struct http *h, const struct connection *of)
{
    size_t n = 0;
    for (const struct connection *c = h->first; c; c = c->next) n += strcmp(c->address, of->address) == 0;
    return n;
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *a, int len, void *arg)
{
    struct http *h = arg;
    struct timeval write_time = { (time_t)h->c.write_seconds, 0 };
    int on = 1;
    (void)l; (void)len;
    if (h->n_connections >= h->c.connections && !make_room(h)) { h->refused++; close(fd); return; }
    struct connection *c = mem_zero(1, sizeof *c);
    c->http = h;
    name_address(c, a);
    if (a->sa_family != AF_UNIX) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->buffers = bufferevent_socket_new(h->base, fd, BEV_OPT_CLOSE_ON_FREE);
    c->timer = evtimer_new(h->base, on_timer, c);
    bufferevent_setcb(c->buffers, on_read, on_written, on_event, c);
    bufferevent_setwatermark(c->buffers, EV_READ, 0, INPUT_AHEAD);
    bufferevent_set_timeouts(c->buffers, NULL, &write_time);
    bool is_one_too_many = !c->is_loopback && count_address(h, c) >= h->c.connections_each;
    if ((c->next = h->first)) c->next->prev = c;
    h->first = c;
    h->n_connections++;
    h->accepted++;
    bufferevent_enable(c->buffers, EV_READ | EV_WRITE);
    if (is_one_too_many) refuse(c, 429, "there are too many connections from this address");
    else set_timer(c, h->c.head_seconds);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct http *h = arg;
    (void)fd; (void)what;
    if (h->listener && !h->is_draining) evconnlistener_enable(h->listener);
}

/* Out of descriptors: a pause, and idle connections make room. */
static void on_accept_error(struct evconnlistener *l, void *arg)
{
    struct http *h = arg;
    struct timeval pause = { 0, 100000 };
    evconnlistener_disable(l);
    make_room(h);
    evtimer_add(h->resume, &pause);
}

/* ---- the loop --------------------------------------------------------------------------------------------------------------------------- */

static void begin_draining(struct http *h)
{
    if (!h->is_draining && h->listener) evconnlistener_disable(h->listener);
    h->is_draining = true;
    for (struct connection *c = h->first, *next; c; c = next) {
        next = c->next;
        if (c->phase == PHASE_BUSY || c->phase == PHASE_BODY || c->phase == PHASE_LINGER) continue;
        if (evbuffer_get_length(bufferevent_get_output(c->buffers))) close_when_sent(c);
        else drop(c);
    }
    maybe_finish(h);
}

static void run_posts(struct http *h)
{
    pthread_mutex_lock(&h->lock);
    struct post *p = h->posts;
    h->posts = NULL;
    h->posts_end = &h->posts;
    pthread_mutex_unlock(&h->lock);
    for (struct post *next; p; p = next) {
        next = p->next;
        p->fn(p->arg);
        mem_free(p);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct http *h = arg;
    uint64_t n;
    (void)what;
    if (read(fd, &n, sizeof n) < 0 && errno != EAGAIN) return;
    run_posts(h);
    if (h->stops) begin_draining(h);
    if (h->stops > 1) event_base_loopbreak(h->base);
}

static void wake(struct http *h)
{
    uint64_t one = 1;
    if (write(h->wake_fd, &one, sizeof one) < 0) return;        /* full: it is awake anyway */
}

void http_post(struct http *h, void (*fn)(void *arg), void *arg)
{
    struct post *p = mem_alloc(sizeof *p);
    *p = (struct post){ NULL, fn, arg };
    pthread_mutex_lock(&h->lock);
    bool was_empty = !h->posts;
    *h->posts_end = p;
    h->posts_end = &p->next;
    pthread_mutex_unlock(&h->lock);
    if (was_empty) wake(h);
}

void http_stop(struct http *h, bool now)
{
    h->stops = now ? 2 : h->stops ? h->stops : 1;
    wake(h);
}

static void on_repeat(evutil_socket_t fd, short what, void *arg)
{
    struct repeat *r = arg;
    (void)fd; (void)what;
    r->fn(r->arg);
}

void http_every(struct http *h, double seconds, void (*fn)(void *arg), void *arg)
{
    struct repeat *r = mem_zero(1, sizeof *r);
    struct timeval t = { (time_t)seconds, (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6) };
    *r = (struct repeat){ event_new(h->base, -1, EV_PERSIST, on_repeat, r), fn, arg, h->repeats };
    h->repeats = r;
    event_add(r->timer, &t);
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------------------ */

sc_status http_listen(struct http **out, const struct http_config *c, sc_error *err)
{
    struct http *h = mem_zero(1, sizeof *h);
    *out = NULL;
    h->c = *c;
    h->posts_end = &h->posts;
    pthread_mutex_init(&h->lock, NULL);
    h->base = event_base_new();
    h->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (!h->base || h->wake_fd < 0) {
        http_release(h);
        return FAIL(err, SC_E_IO, "the event loop cannot be made: %s", strerror(errno));
    }
    h->wake = event_new(h->base, h->wake_fd, EV_READ | EV_PERSIST, on_wake, h);
    h->resume = evtimer_new(h->base, on_resume, h);
    event_add(h->wake, NULL);
    int fd = -1;
    sc_status status = http_bind(&fd, &h->port, &h->socket_path, c->host, c->port, err);
    if (status == SC_OK) h->listener = evconnlistener_new(h->base, on_accept, h, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (status != SC_OK) { http_release(h); return status; }
    evconnlistener_set_error_cb(h->listener, on_accept_error);
    *out = h;
    return SC_OK;
}

int http_port(const struct http *h) { return h->port; }
void http_run(struct http *h) { event_base_loop(h->base, EVLOOP_NO_EXIT_ON_EMPTY); }
struct http_counts http_count(const struct http *h) { return (struct http_counts){ h->n_connections, h->n_busy, h->accepted, h->refused, h->requests }; }

void http_release(struct http *h)
{
    if (!h) return;
    run_posts(h);
    while (h->first) drop(h->first);
    run_posts(h);
    for (struct repeat *r = h->repeats, *next; r; r = next) { next = r->next; event_free(r->timer); mem_free(r); }
    if (h->listener) evconnlistener_free(h->listener);
    if (h->wake) event_free(h->wake);
    if (h->resume) event_free(h->resume);
    if (h->base) event_base_free(h->base);
    if (h->wake_fd >= 0) close(h->wake_fd);
    if (h->socket_path) unlink(h->socket_path);
    mem_free(h->socket_path);
    pthread_mutex_destroy(&h->lock);
    mem_free(h);
}
