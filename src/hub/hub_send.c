/* hub_send.c - what a request carries: bytes in memory, or a part of a file that is read as it is sent, so that a part of any
 * size needs no memory and can be sent again. Source: libcurl's documentation of CURLOPT_READFUNCTION and CURLOPT_SEEKFUNCTION. */
#include "hub/hub.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* A server may think about a large commit for minutes without a byte. */
enum { PATIENCE_SECONDS = 300 };

static size_t on_read(char *out, size_t size, size_t n, void *user)
{
    struct http_body *b = user;
    uint64_t left = b->bytes - b->at, want = size * n < left ? size * n : left;
    ssize_t got;
    if (!want) return 0;
    do got = pread(b->fd, out, want, (off_t)(b->from + b->at));
    while (got < 0 && errno == EINTR);
    if (got <= 0) return CURL_READFUNC_ABORT;          /* the file became shorter */
    b->at += (uint64_t)got;
    if (b->on_sent) b->on_sent(b->user, got);
    return (size_t)got;
}

static void go_to(struct http_body *b, uint64_t at)
{
    if (b->on_sent && b->at != at) b->on_sent(b->user, (int64_t)at - (int64_t)b->at);
    b->at = at;
}

static int on_seek(void *user, curl_off_t at, int origin)
{
    struct http_body *b = user;
    if (origin != SEEK_SET || at < 0 || (uint64_t)at > b->bytes) return CURL_SEEKFUNC_FAIL;
    go_to(b, (uint64_t)at);
    return CURL_SEEKFUNC_OK;
}

static struct curl_slist *add(struct curl_slist *list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(list, line);
    return longer ? longer : list;
}

struct curl_slist *http_body_headers(struct curl_slist *list, const struct http_body *b)
{
    struct buf line;
    buf_init(&line, 0);
    buf_puts(&line, "Content-Type:");                  /* without a value libcurl leaves its own one out */
    if (b->type) buf_printf(&line, " %s", b->type);
    list = add(list, line.data);
    list = add(list, "Expect:");
    for (size_t i = 0; b->headers && b->headers[i]; i++) list = add(list, b->headers[i]);
    buf_release(&line);
    return list;
}

void http_body_options(CURL *c, struct http_body *b)
{
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)PATIENCE_SECONDS);
    curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, b->is_once ? 1L : 0L);
    if (!b->is_file) {
        curl_easy_setopt(c, CURLOPT_POST, 1L);
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, b->data ? b->data : "");
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)b->len);
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, b->method);
        return;
    }
    go_to(b, 0);
    curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, b->method);
    curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)b->bytes);
    curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(c, CURLOPT_READDATA, b);
    curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(c, CURLOPT_SEEKDATA, b);
    curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, 512 * 1024L);
}

void base64_put(struct buf *out, const void *data, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t x = (uint32_t)p[i] << 16 | (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (n > 2 ? p[i + 2] : 0);
        char four[4] = { digits[x >> 18], digits[x >> 12 & 63], n > 1 ? digits[x >> 6 & 63] : '=', n > 2 ? digits[x & 63] : '=' };
        buf_append(out, four, 4);
    }
}
