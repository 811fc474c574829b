/* rank_server.c - the page of a study and what it asks, on the HTTP server of src/serve. One thread does all: raters are few, and each saved change is one commit. */
#include "base/lockdown.h"
#include "rank/rank.h"
#include "serve/http.h"
#include "serve/page.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct page_file rank_page_files[];      /* web/rank, by tools/embed_page.sh */

enum { BODY_BYTES = 256 << 10, POSITION_DIGITS = 9 };
static const double HEAD_SECONDS = 10, IDLE_SECONDS = 60, WRITE_SECONDS = 30;

/* ---- answers ------------------------------------------------------------------------------------------------------------------------------ */

static void reply_json(struct rank_call *c, const char *headers)
{
    struct buf all;
    sc_text text = { 0 };
    buf_init(&all, 0);
    buf_printf(&all, "Cache-Control: no-store\r\n%s%s", c->status == 401 ? "WWW-Authenticate: Bearer\r\n" : c->status == 429 ? "Retry-After: 60\r\n" : "", headers ? headers : "");
    if (json_write(&text, c->body, false) != SC_OK) c->status = 500;
    http_reply(c->x, c->status, "application/json", all.data, text.data ? text.data : "{}", text.data ? text.len : 2);
    sc_text_free(&text);
    json_decref(c->body);
    buf_release(&all);
}

static void error_body(struct buf *body, int status, const char *why)
{
    struct rank_call c = { 0 };
    sc_text text = { 0 };
    call_fail(&c, status, "%s", why);
    if (json_write(&text, c.body, false) == SC_OK) buf_append(body, text.data, text.len);
    sc_text_free(&text);
    json_decref(c.body);
}

/* ---- calls ------------------------------------------------------------------------------------------------------------------------------------- */

static void log_line(struct sc_rank_server *s, const char *level, const char *event, const char *key, const char *text)
{
    if (!s->c.on_log) return;
    json_t *line = json_pack("{s:s, s:s, s:s}", "level", level, "event", event, key, text);
    char *out = line ? json_dumps(line, JSON_COMPACT) : NULL;
    if (out) s->c.on_log(s->c.user, out);
    mem_free(out);
    json_decref(line);
}

/* The rater that the token means; 0 after an answer was put. */
static int64_t rater_of(struct rank_call *c)
{
    struct sc_rank_server *s = c->server;
    struct http_span field = http_field(&c->x->head, "Authorization");
    uint8_t digest[32];
    int64_t rater = 0;
    sc_error err = { 0 };
    double now = clock_seconds();
    bool is_bearer = field.len > 7 && strncasecmp(field.at, "Bearer ", 7) == 0;
    if (!is_bearer) { call_fail(c, 401, "this needs an invitation: open the link that you were sent"); return 0; }
    token_digest(digest, field.at + 7, field.len - 7);
    if (sql_number(&rater, 0, s->study, &err, "SELECT n FROM raters WHERE token = ?1 AND revoked IS NULL", "b", digest, sizeof digest) != SC_OK) { call_error(c, &err); return 0; }
    if (rater) return rater;
    if (gate_is_blocked(&s->gate, c->x->address, now)) { call_fail(c, 429, "this invitation is not valid, and there were many such from this address; try again in a minute, or ask whoever sent it for a new link"); return 0; }
    gate_wrong(&s->gate, c->x->address, now);
    log_line(s, "warn", "wrong_token", "address", c->x->address);
    call_fail(c, 401, "this invitation is not valid, or no longer; ask whoever sent it for a new link");
    return 0;
}

static bool is_json(const struct http_head *h)
{
    struct http_span type = http_field(h, "Content-Type");
    const char *semicolon = type.at ? memchr(type.at, ';', type.len) : NULL;
    if (semicolon) type.len = (size_t)(semicolon - type.at);
    while (type.len && type.at[type.len - 1] == ' ') type.len--;
    return http_is_like(type, "application/json");
}

/* "/api/items/N" or "/api/items/N/shown": N, or 0. */
static int64_t position_of(struct http_span path, bool *is_shown)
{
    static const char prefix[] = "/api/items/", suffix[] = "/shown";
    enum { PREFIX = sizeof prefix - 1, SUFFIX = sizeof suffix - 1 };
    int64_t out = 0;
    *is_shown = path.len > SUFFIX && memcmp(path.at + path.len - SUFFIX, suffix, SUFFIX) == 0;
    if (*is_shown) path.len -= SUFFIX;
    if (path.len <= PREFIX || path.len > PREFIX + POSITION_DIGITS || memcmp(path.at, prefix, PREFIX) != 0) return 0;
    for (size_t i = PREFIX; i < path.len; i++) {
        if (path.at[i] < '0' || path.at[i] > '9') return 0;
        out = 10 * out + (path.at[i] - '0');
    }
    return out;
}

static void route(struct rank_call *c)
{
    const struct http_head *h = &c->x->head;
    bool is_get = http_is(h->method, "GET") || http_is(h->method, "HEAD"), is_put = http_is(h->method, "PUT"), is_study = http_is(h->path, "/api/study");
    const char *headers = NULL;
    c->position = position_of(h->path, &c->is_shown);
    if (!is_study && !c->position) call_fail(c, 404, "there is no such address here");
    else if (!(is_get && !c->is_shown) && !(is_put && c->position)) {
        call_fail(c, 405, "this address does not know that method");
        headers = c->is_shown ? "Allow: PUT\r\n" : c->position ? "Allow: GET, HEAD, PUT\r\n" : "Allow: GET, HEAD\r\n";
    } else if (is_put && !is_json(h)) call_fail(c, 415, "Content-Type is not application/json");
    else if ((c->rater = rater_of(c)) != 0) {
        if (c->is_shown) call_shown(c);
        else if (is_put) call_rate(c);
        else if (is_study) call_study(c);
        else call_item(c);
    }
    reply_json(c, headers);
}

static void reply_file(struct http_exchange *x, const struct page_file *f)
{
    struct page_answer a = page_choose(f, &x->head);
    page_send(x, f, &a);
}

static void on_request(void *user, struct http_exchange *x)
{
    struct sc_rank_server *s = user;
    struct rank_call c = { .server = s, .x = x };
    const struct page_file *f = page_file_of(rank_page_files, x->head.path);
    const char *why = gate_refuses(&x->head, s->c.host, s->c.allowed_hosts, s->c.url);
    if (why) { call_fail(&c, 403, "%s", why); reply_json(&c, NULL); }
    else if (f && (http_is(x->head.method, "GET") || http_is(x->head.method, "HEAD"))) reply_file(x, f);
    else if (f) { call_fail(&c, 405, "this address does not know that method"); reply_json(&c, "Allow: GET, HEAD\r\n"); }
    else route(&c);
}

/* ---- the server ------------------------------------------------------------------------------------------------------------------------------------ */

static bool is_wildcard(const char *host) { return !strcmp(host, "0.0.0.0") || !strcmp(host, "::"); }

/* What links begin with: --url, or where it listens. A wildcard is no address to go to, so the machine's name stands there. */
static char *address_of(const sc_rank_server_config *c, int port)
{
    char name[256] = "localhost";
    struct buf b;
    sc_text out;
    buf_init(&b, 0);
    if (c->url && *c->url) {
        size_t n = strlen(c->url);
        while (n && c->url[n - 1] == '/') n--;
        buf_append(&b, c->url, n);
    } else if (strncmp(c->host, "unix:", 5) == 0) {
        buf_puts(&b, "http://localhost");
    } else {
        bool is_six = strchr(c->host, ':') != NULL && !is_wildcard(c->host);
        if (is_wildcard(c->host) && gethostname(name, sizeof name - 1) != 0) snprintf(name, sizeof name, "localhost");
        buf_printf(&b, "http://%s%s%s:%d", is_six ? "[" : "", is_wildcard(c->host) ? name : c->host, is_six ? "]" : "", port);
    }
    buf_take(&b, &out);
    return out.data;
}

/* --allowed-hosts and the name in the address. */
static char *hosts_of(const sc_rank_server_config *c, const char *address)
{
    const char *begin = strstr(address, "://");
    struct buf b;
    sc_text out;
    begin = begin ? begin + 3 : address;
    buf_init(&b, 0);
    buf_printf(&b, "%s,%.*s", c->allowed_hosts ? c->allowed_hosts : "", (int)strcspn(begin, ":/"), begin);
    buf_take(&b, &out);
    return out.data;
}

sc_status sc_rank_server_open(sc_rank_server **out, const char *path, const sc_rank_server_config *c, sc_error *err)
{
    sc_rank_server *s = mem_zero(1, sizeof *s);
    int64_t closed = 0;
    *out = NULL;
    s->c = *c;
    const struct http_config h = { .host = c->host, .port = (int)c->port, .connections = (size_t)c->connections, .connections_each = (size_t)c->connections_each, .body_bytes = BODY_BYTES, .head_seconds = HEAD_SECONDS,
                                   .idle_seconds = IDLE_SECONDS, .write_seconds = WRITE_SECONDS, .on_request = on_request, .error_body = error_body, .user = s };
    s->c.allowed_hosts = NULL;
    if (c->url && *c->url && !strstr(c->url, "://")) { mem_free(s); return FAIL(err, SC_E_ARGUMENT, "--url is \"%s\", expected an address such as https://rank.example.org", c->url); }
    sc_status status = study_open(&s->study, path, err);
    if (status == SC_OK) status = study_closed(&closed, s->study, err);
    if (status == SC_OK && closed) status = FAIL(err, SC_E_ARGUMENT, "%s is closed; `rank report` and `rank export` tell what came of it", path);
    if (status == SC_OK) status = calls_open(s->study, err);
    if (status == SC_OK) status = http_listen(&s->http, &h, err);
    if (status == SC_OK) {
        s->address = address_of(c, http_port(s->http));
        s->c.allowed_hosts = s->hosts = hosts_of(c, s->address);
        status = study_set(s->study, "address", s->address, err);        /* for invitations; makes the files of the write-ahead log, too */
    }
    if (status != SC_OK) sc_rank_server_close(s);
    else *out = s;
    return status;
}

int sc_rank_server_port(const sc_rank_server *s) { return http_port(s->http); }
const char *sc_rank_server_address(const sc_rank_server *s) { return s->address; }

sc_status sc_rank_server_lock_down(sc_rank_server *s, sc_error *err)
{
    static const char *const ends[] = { "", "-wal", "-shm" };
    struct lockdown_path all[5];
    struct lockdown_state is;
    struct buf names[3];
    char *socket = NULL;
    size_t n = 0;
    for (size_t i = 0; i < 3; i++) {
        buf_init(&names[i], 0);
        buf_printf(&names[i], "%s%s", s->study->path, ends[i]);
        if (path_exists(names[i].data)) all[n++] = (struct lockdown_path){ names[i].data, LOCKDOWN_WRITE };
    }
    if (strncmp(s->c.host, "unix:", 5) == 0) {
        const char *slash = strrchr(s->c.host + 5, '/');
        socket = slash ? mem_strndup(s->c.host + 5, slash == s->c.host + 5 ? 1 : (size_t)(slash - s->c.host - 5)) : mem_strdup(".");
        all[n++] = (struct lockdown_path){ socket, LOCKDOWN_REMOVE };
    }
    if (path_exists("/dev/urandom")) all[n++] = (struct lockdown_path){ "/dev/urandom", LOCKDOWN_READ };      /* SQLite's random numbers */
    (void)OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);     /* reads openssl.cnf while it can be read */
    sc_status status = process_lock_down(&is, LOCKDOWN_ALL, all, n, err);
    if (status == SC_OK) log_line(s, is.missing[0] ? "warn" : "info", "lockdown", "missing", is.missing);
    for (size_t i = 0; i < 3; i++) buf_release(&names[i]);
    mem_free(socket);
    return status;
}

sc_status sc_rank_server_run(sc_rank_server *s, sc_error *err)
{
    (void)err;
    log_line(s, "info", "ready", "address", s->address);
    http_run(s->http);
    log_line(s, "info", "stopped", "address", s->address);
    return SC_OK;
}

void sc_rank_server_stop(sc_rank_server *s, bool now) { http_stop(s->http, now); }

void sc_rank_server_close(sc_rank_server *s)
{
    if (!s) return;
    http_release(s->http);
    study_close(s->study);
    mem_free(s->address);
    mem_free(s->hosts);
    mem_free(s);
}
