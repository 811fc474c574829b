/* http.h - a small HTTP/1.1 server on libevent's loop and buffers. One thread runs the loop and calls everything here except http_post
 * and http_stop; other threads hand work to it by http_post. TLS is a reverse proxy's affair. */
#ifndef HTTP_H
#define HTTP_H

#include "serve/http_parse.h"

struct http;
/* One request and its answer. The handler owes it exactly one http_reply, or http_begin .. http_end; after that it is gone. Until then the
 * memory stays, also when the client has left: writes do nothing then, and on_gone (if set) was called once. */
struct http_exchange {
    struct http *http;
    struct http_head head;              /* spans point into head_bytes */
    char *body; size_t body_len;        /* a NUL follows */
    char address[64];                   /* of the peer: "127.0.0.1", "unix" */
    bool is_loopback;
    void (*on_gone)(struct http_exchange *x);
    void *user;                         /* the handler's */
    double began;                       /* clock_seconds when the head was complete */
    int status;                         /* of the answer, once it has begun */
    uint64_t sent;                      /* bytes of its body */
    /* private */
    struct connection *connection;      /* NULL: the client has left */
    char *head_bytes;
    bool is_chunked, is_head_only;
};
struct http_config {
    const char *host;                   /* address, name, or "unix:PATH" */
    int port;                           /* 0: any free one */
    size_t connections, connections_each, body_bytes;       /* most at once; of one address that is not loopback; of a body */
    double head_seconds, idle_seconds, write_seconds;
    void (*on_request)(void *user, struct http_exchange *x);
    /* A request that was refused before it was one: its status and why. May be NULL. */
    void (*on_refused)(void *user, const char *address, int status, const char *why);
    /* Text of a refusal: fills `body` with JSON. */
    void (*error_body)(struct buf *body, int status, const char *why);
    void *user;
};
/* A socket that listens at an address, a name or "unix:PATH"; *socket_path is set where a file has to be removed later. http_listen's. */
sc_status http_bind(int *fd, int *port_bound, char **socket_path, const char *host, int port, sc_error *err);
sc_status http_listen(struct http **out, const struct http_config *c, sc_error *err);
int       http_port(const struct http *h);
void      http_run(struct http *h);                          /* until http_stop */
/* Takes no new connections, lets go of idle ones, and ends http_run once all exchanges are answered; with `now`, at once. Any thread; safe in signal handlers. */
void      http_stop(struct http *h, bool now);
void      http_release(struct http *h);                        /* after http_run; cuts what is left */
/* Runs fn(arg) on the loop soon. Any thread. */
void      http_post(struct http *h, void (*fn)(void *arg), void *arg);
/* Calls fn(arg) on the loop every `seconds`, until http_release. */
void      http_every(struct http *h, double seconds, void (*fn)(void *arg), void *arg);
struct http_counts { size_t connections, busy; uint64_t accepted, refused, requests; };
struct http_counts http_count(const struct http *h);

/* `headers`: more lines, each with CR LF; NULL: none. */
void http_reply(struct http_exchange *x, int status, const char *type, const char *headers, const void *body, size_t len);
void http_begin(struct http_exchange *x, int status, const char *type, const char *headers);
/* False: the client has left, or reads so slowly that its connection was cut. */
bool http_write(struct http_exchange *x, const void *data, size_t len);
void http_end(struct http_exchange *x);
void http_abort(struct http_exchange *x);                    /* ends a begun answer so that the client sees that it is not whole */
const char *http_reason(int status);
/* The value of a parameter of the query, percent-decoded; false if it is not there or badly encoded. */
/* Appends what %XX stands for; false if it stands for nothing. A plus is a space in queries alone. */
bool http_decode(struct buf *out, const char *s, size_t n, bool is_query);
bool http_query(struct buf *out, const struct http_exchange *x, const char *name);

#endif
