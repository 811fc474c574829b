/* http_parse.h - requests of HTTP/1.1, read strictly (RFC 9112, RFC 9110): what two servers could frame differently is refused, not
 * guessed at. libevent's own evhttp takes bare line feeds, folded fields and a length beside chunks, so its loop and its buffers are
 * used here, but not its parser. Pure functions over bytes, for http.c and the fuzzer. */
#ifndef HTTP_PARSE_H
#define HTTP_PARSE_H

#include "base/base.h"

enum { HTTP_LINE_MAX = 8192, HTTP_HEAD_MAX = 16384, HTTP_FIELDS_MAX = 64, HTTP_TRAILER_MAX = 4096 };

struct http_span { const char *at; size_t len; };              /* borrowed; not terminated */
struct http_field { struct http_span name, value; };           /* value without white space around it */
struct http_head {
    struct http_span method, target, path, query, host;        /* query without '?'; host as the target or the field names it, "" in HTTP/1.0 without one */
    int minor;                                                 /* of HTTP/1.x: 0 or 1 */
    struct http_field field[HTTP_FIELDS_MAX]; size_t n_fields;
    bool is_chunked, keeps_alive, expects_continue;
    uint64_t length;                                           /* of the body; 0 when chunked or absent */
};
/* Reads the head at the beginning of data[0..len). Returns 0 if it is not complete yet, 200 if it is (*used bytes with the empty line; spans
 * point into data), else the status to refuse it with (400, 414, 415, 417, 431, 501, 505) and a sentence in *why. */
int http_parse_head(struct http_head *out, const char *data, size_t len, size_t *used, const char **why);
/* Value of the only field of that name; NULL data if there is none or more than one. */
struct http_span http_field(const struct http_head *h, const char *name);
bool http_is(struct http_span s, const char *text);                             /* the same bytes */
bool http_is_like(struct http_span s, const char *text);                        /* the same letters in any case */

/* A chunked body: takes bytes, appends what they carry to `body`. */
struct http_chunks { int state; uint64_t size, left; size_t digits, line; };      /* zero at first */
/* 0: goes on, all `len` bytes were taken; 200: complete, *used bytes were taken; else a status and *why. body->max is the limit (413). */
int http_chunks_put(struct http_chunks *c, struct buf *body, const char *data, size_t len, size_t *used, const char **why);

#endif
