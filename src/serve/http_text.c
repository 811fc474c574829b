/* http_text.c - words of HTTP that need no connection: reasons of statuses, parameters of queries. */
#include "serve/http.h"

#include <string.h>

const char *http_reason(int status)
{
    static const struct { int status; const char *reason; } rows[] = {
        { 200, "OK" }, { 202, "Accepted" }, { 204, "No Content" }, { 304, "Not Modified" }, { 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" }, { 404, "Not Found" },
        { 405, "Method Not Allowed" }, { 408, "Request Timeout" }, { 409, "Conflict" }, { 413, "Content Too Large" }, { 414, "URI Too Long" }, { 415, "Unsupported Media Type" },
        { 417, "Expectation Failed" }, { 422, "Unprocessable Content" }, { 424, "Failed Dependency" }, { 429, "Too Many Requests" }, { 431, "Request Header Fields Too Large" }, { 500, "Internal Server Error" },
        { 501, "Not Implemented" }, { 503, "Service Unavailable" }, { 505, "HTTP Version Not Supported" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == status) return rows[i].reason;
    return "Unknown";
}

/* ---- queries ------------------------------------------------------------------------------------------------------------------------------- */

static int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1; }

bool http_decode(struct buf *out, const char *s, size_t n, bool is_query)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] != '%') { buf_putc(out, is_query && s[i] == '+' ? ' ' : s[i]); continue; }
        int a = i + 2 < n ? hex_digit(s[i + 1]) : -1, b = i + 2 < n ? hex_digit(s[i + 2]) : -1;
        if (a < 0 || b < 0) return false;
        buf_putc(out, (char)(16 * a + b));
        i += 2;
    }
    return true;
}

bool http_query(struct buf *out, const struct http_exchange *x, const char *name)
{
    struct http_span q = x->head.query;
    size_t len = strlen(name);
    buf_clear(out);
    for (size_t i = 0, end; i < q.len; i = end + 1) {
        for (end = i; end < q.len && q.at[end] != '&'; end++) { }
        if (end - i > len && q.at[i + len] == '=' && memcmp(q.at + i, name, len) == 0) return http_decode(out, q.at + i + len + 1, end - i - len - 1, true);
    }
    return false;
}
