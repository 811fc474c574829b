/* test_http.c - requests as bytes: the list of RFC 9110 and RFC 9112 as rows, each one whole, cut at every byte and with something behind it.
 * What is refused here is what another server might frame differently. Connections are test_http_server.c's. */
#include "test.h"

#include "serve/http.h"

struct bytes { const char *at; size_t len; };
#define B(literal) { literal, sizeof(literal) - 1 }

/* ---- heads ---------------------------------------------------------------------------------------------------------------------- */

/* The status for the bytes; 200: all of them are used. */
struct head_row { const char *name; struct bytes bytes; int status; };

static int parse(struct http_head *h, const char *data, size_t len, size_t *used)
{
    const char *why = NULL;
    char *copy = malloc(len ? len : 1);                            /* a copy of the right size: a sanitizer sees what is read behind it */
    if (len) memcpy(copy, data, len);
    *used = 0;
    int status = http_parse_head(h, copy, len, used, &why);
    if (status != 0 && status != 200 && !(why && *why)) test_failed(__FILE__, __LINE__, "status %d without a reason", status);
    free(copy);
    return status;
}

/* Bytes that come later never change what is decided, and nothing is decided that a byte less or more would turn round. */
static void check_row(const struct head_row *r)
{
    struct http_head h;
    size_t used, decided = 0;
    int status = parse(&h, r->bytes.at, r->bytes.len, &used);
    if (status != r->status) test_failed(__FILE__, __LINE__, "%s: status %d, expected %d", r->name, status, r->status);
    if (status == 200 && used != r->bytes.len) test_failed(__FILE__, __LINE__, "%s: %zu bytes used of %zu", r->name, used, r->bytes.len);
    for (size_t n = 0; n < r->bytes.len; n++) {
        size_t u;
        int s = parse(&h, r->bytes.at, n, &u);
        if (s == 200 || (decided && s != status) || (s && s != status)) test_failed(__FILE__, __LINE__, "%s: status %d after %zu bytes, %d after all", r->name, s, n, status);
        if (s) decided = n;
    }
    if (!status) return;
    struct buf more;
    buf_init(&more, 0);
    buf_append(&more, r->bytes.at, r->bytes.len);
    buf_append(&more, "GET /\0\n", 7);
    size_t u;
    int s = parse(&h, more.data, more.len, &u);
    if (s != status || (s == 200 && u != used)) test_failed(__FILE__, __LINE__, "%s: status %d with more behind it, %d without", r->name, s, status);
    buf_release(&more);
}

static void check_rows(const struct head_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) check_row(&rows[i]);
}
#define CHECK_ROWS(rows) check_rows(rows, sizeof rows / sizeof *(rows))

#define H "Host: a\r\n"
#define END "\r\n"
#define ONE "GET / HTTP/1.1\r\n"
#define POST_ "POST / HTTP/1.1\r\n" H

TEST(request_lines)
{
    static const struct head_row rows[] = {
        { "plain", B(ONE H END), 200 },
        { "any token is a method", B("BREW-2!#$%&'*+.^_`|~ / HTTP/1.1\r\n" H END), 200 },
        { "methods are case sensitive but any", B("get / HTTP/1.1\r\n" H END), 200 },
        { "empty line before", B("\r\n" ONE H END), 200 },
        { "two empty lines before", B("\r\n\r\n" ONE H END), 400 },
        { "empty line with LF before", B("\n" ONE H END), 400 },
        { "nothing but an empty line and a half", B("\r\n\r"), 0 },
        { "empty", B(""), 0 },
        { "only the line", B(ONE), 0 },
        { "without the empty line", B(ONE H), 0 },
        { "CR of the empty line alone", B(ONE H "\r"), 0 },
        { "space before the method", B(" GET / HTTP/1.1\r\n" H END), 400 },
        { "tab instead of space", B("GET\t/ HTTP/1.1\r\n" H END), 400 },
        { "tab before the version", B("GET /\tHTTP/1.1\r\n" H END), 400 },
        { "two spaces before the target", B("GET  / HTTP/1.1\r\n" H END), 400 },
        { "two spaces before the version", B("GET /  HTTP/1.1\r\n" H END), 400 },
        { "space behind the version", B("GET / HTTP/1.1 \r\n" H END), 400 },
        { "no target", B("GET HTTP/1.1\r\n" H END), 400 },
        { "no method", B("/ HTTP/1.1\r\n" H END), 400 },
        { "only a method", B("GET\r\n" H END), 400 },
        { "a space in the target", B("GET /a b HTTP/1.1\r\n" H END), 400 },
        { "brackets in the method", B("G(T / HTTP/1.1\r\n" H END), 400 },
        { "a colon in the method", B("GET: / HTTP/1.1\r\n" H END), 400 },
        { "a byte over 127 in the method", B("G\xc3\x8bT / HTTP/1.1\r\n" H END), 400 },
        { "bare LF behind the line", B("GET / HTTP/1.1\n" H END), 400 },
        { "bare CR in the line", B("GET /\r HTTP/1.1\r\n" H END), 400 },
        { "two CR", B("GET / HTTP/1.1\r\r\n" H END), 400 },
        { "NUL in the target", B("GET /\0 HTTP/1.1\r\n" H END), 400 },
        { "NUL first", B("\0" ONE H END), 400 },
        { "the preface of HTTP/2", B("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505 },
        { "a handshake of TLS", B("\x16\x03\x01\x02\0\x01\0"), 400 },
        { "an answer instead of a request", B("HTTP/1.1 200 OK\r\n" H END), 400 },
    };
    CHECK_ROWS(rows);
}

TEST(versions)
{
    static const struct head_row rows[] = {
        { "HTTP/1.0", B("GET / HTTP/1.0\r\n\r\n"), 200 },
        { "a later 1.x counts as 1.1", B("GET / HTTP/1.7\r\n" H END), 200 },
        { "HTTP/2.0", B("GET / HTTP/2.0\r\n" H END), 505 },
        { "HTTP/0.9", B("GET / HTTP/0.9\r\n" H END), 505 },
        { "HTTP/0.9 as it was", B("GET /\r\n\r\n"), 400 },
        { "HTTP/3.0", B("GET / HTTP/3.0\r\n" H END), 505 },
        { "small letters", B("GET / http/1.1\r\n" H END), 400 },
        { "one digit", B("GET / HTTP/1\r\n" H END), 400 },
        { "two digits behind the point", B("GET / HTTP/1.10\r\n" H END), 400 },
        { "two digits before it", B("GET / HTTP/11.1\r\n" H END), 400 },
        { "a comma", B("GET / HTTP/1,1\r\n" H END), 400 },
        { "a sign", B("GET / HTTP/+1.1\r\n" H END), 400 },
        { "a letter", B("GET / HTTP/1.x\r\n" H END), 400 },
        { "another protocol", B("GET / RTSP/1.0\r\n" H END), 400 },
        { "HTTPS", B("GET / HTTPS/1.1\r\n" H END), 400 },
    };
    CHECK_ROWS(rows);
}

TEST(targets)
{
    static const struct head_row rows[] = {
        { "a path and a query", B("GET /a/b%20c?d=e&f=%2F HTTP/1.1\r\n" H END), 200 },
        { "no path", B("GET ?a HTTP/1.1\r\n" H END), 400 },
        { "a path without a slash", B("GET a HTTP/1.1\r\n" H END), 400 },
        { "with a host", B("GET http://b:80/c HTTP/1.1\r\n" H END), 200 },
        { "with a host and nothing else", B("GET http://b HTTP/1.1\r\n" H END), 200 },
        { "with a host in large letters", B("GET HTTP://B/c HTTP/1.1\r\n" H END), 200 },
        { "https", B("GET https://b/c HTTP/1.1\r\n" H END), 400 },
        { "ftp", B("GET ftp://b/c HTTP/1.1\r\n" H END), 400 },
        { "with an empty host", B("GET http:///c HTTP/1.1\r\n" H END), 400 },
        { "with a name and a password", B("GET http://u:p@b/c HTTP/1.1\r\n" H END), 400 },
        { "with a host, but without Host", B("GET http://b/c HTTP/1.1\r\n\r\n"), 400 },
        { "asterisk of OPTIONS", B("OPTIONS * HTTP/1.1\r\n" H END), 200 },
        { "asterisk of GET", B("GET * HTTP/1.1\r\n" H END), 400 },
        { "authority of CONNECT", B("CONNECT a:80 HTTP/1.1\r\n" H END), 400 },
        { "a fragment", B("GET /a#b HTTP/1.1\r\n" H END), 400 },
        { "a backslash", B("GET /a\\b HTTP/1.1\r\n" H END), 400 },
        { "a quote", B("GET /a\"b HTTP/1.1\r\n" H END), 400 },
        { "angle brackets", B("GET /<a> HTTP/1.1\r\n" H END), 400 },
        { "a control character", B("GET /a\x01 HTTP/1.1\r\n" H END), 400 },
        { "DEL", B("GET /a\x7f HTTP/1.1\r\n" H END), 400 },
        { "a byte over 127", B("GET /\xc3\xa4 HTTP/1.1\r\n" H END), 400 },
        { "dots stay as they are", B("GET /../../etc/passwd HTTP/1.1\r\n" H END), 200 },
    };
    CHECK_ROWS(rows);
}

TEST(fields)
{
    static const struct head_row rows[] = {
        { "white space around the value", B(ONE H "A: \t b c\t \r\n\r\n"), 200 },
        { "no white space", B(ONE "Host:a\r\nA:b\r\n\r\n"), 200 },
        { "an empty value", B(ONE H "A:\r\n\r\n"), 200 },
        { "a value of white space", B(ONE H "A: \t \r\n\r\n"), 200 },
        { "bytes over 127 in a value", B(ONE H "A: \xe4\xf6\r\n\r\n"), 200 },
        { "all signs of a name", B(ONE H "!#$%&'*+-.^_`|~9Az: x\r\n\r\n"), 200 },
        { "space before the colon", B(ONE H "A : b\r\n\r\n"), 400 },
        { "tab before the colon", B(ONE H "A\t: b\r\n\r\n"), 400 },
        { "no colon", B(ONE H "A\r\n\r\n"), 400 },
        { "no name", B(ONE H ": b\r\n\r\n"), 400 },
        { "a space in the name", B(ONE H "A B: c\r\n\r\n"), 400 },
        { "brackets in the name", B(ONE H "A(B): c\r\n\r\n"), 400 },
        { "a byte over 127 in the name", B(ONE H "\xc3\xa4: c\r\n\r\n"), 400 },
        { "folded with a space", B(ONE H "A: b\r\n c\r\n\r\n"), 400 },
        { "folded with a tab", B(ONE H "A: b\r\n\tc\r\n\r\n"), 400 },
        { "the first field is folded", B(ONE " A: b\r\n" H END), 400 },
        { "a line of a space", B(ONE H " \r\n\r\n"), 400 },
        { "bare LF behind a field", B(ONE H "A: b\n\r\n"), 400 },
        { "bare LF as the end", B(ONE H "\n"), 400 },
        { "CR LF LF", B(ONE H "A: b\r\n\n"), 400 },
        { "bare CR in a value", B(ONE H "A: b\rc\r\n\r\n"), 400 },
        { "CR CR LF", B(ONE H "A: b\r\r\n\r\n"), 400 },
        { "NUL in a value", B(ONE H "A: b\0c\r\n\r\n"), 400 },
        { "NUL in a name", B(ONE H "A\0: b\r\n\r\n"), 400 },
        { "a control character in a value", B(ONE H "A: b\x0b\r\n\r\n"), 400 },
        { "an escape in a value", B(ONE H "A: \x1b[31m\r\n\r\n"), 400 },
        { "DEL in a value", B(ONE H "A: b\x7f\r\n\r\n"), 400 },
    };
    CHECK_ROWS(rows);
}

TEST(hosts)
{
    static const struct head_row rows[] = {
        { "none in HTTP/1.1", B(ONE END), 400 },
        { "none in HTTP/1.0", B("GET / HTTP/1.0\r\n\r\n"), 200 },
        { "two", B(ONE H "Host: a\r\n\r\n"), 400 },
        { "two that differ, in letters too", B(ONE H "hOST: b\r\n\r\n"), 400 },
        { "two in HTTP/1.0", B("GET / HTTP/1.0\r\n" H H END), 400 },
        { "empty", B(ONE "Host:\r\n\r\n"), 200 },
        { "with a port", B(ONE "Host: a.b-c:8080\r\n\r\n"), 200 },
        { "with an empty port", B(ONE "Host: a:\r\n\r\n"), 200 },
        { "a port of letters", B(ONE "Host: a:b\r\n\r\n"), 400 },
        { "a port with a sign", B(ONE "Host: a:-1\r\n\r\n"), 400 },
        { "a port of six digits", B(ONE "Host: a:123456\r\n\r\n"), 400 },
        { "two ports", B(ONE "Host: a:1:2\r\n\r\n"), 400 },
        { "IPv6", B(ONE "Host: [::1]:80\r\n\r\n"), 200 },
        { "IPv6 without brackets", B(ONE "Host: ::1\r\n\r\n"), 400 },
        { "IPv6 that is open", B(ONE "Host: [::1\r\n\r\n"), 400 },
        { "empty brackets", B(ONE "Host: []\r\n\r\n"), 400 },
        { "something behind the brackets", B(ONE "Host: [::1]a\r\n\r\n"), 400 },
        { "letters in brackets", B(ONE "Host: [evil.example]\r\n\r\n"), 400 },
        { "a path", B(ONE "Host: a/b\r\n\r\n"), 400 },
        { "a name and a password", B(ONE "Host: u@a\r\n\r\n"), 400 },
        { "a list", B(ONE "Host: a b\r\n\r\n"), 400 },
        { "a backslash", B(ONE "Host: a\\b\r\n\r\n"), 400 },
        { "another one than in the target", B("GET http://b/ HTTP/1.1\r\nHost: c\r\n\r\n"), 200 },
        { "broken beside a good one in the target", B("GET http://b/ HTTP/1.1\r\nHost: c d\r\n\r\n"), 400 },
    };
    CHECK_ROWS(rows);
}

TEST(lengths)
{
    static const struct head_row rows[] = {
        { "plain", B(POST_ "Content-Length: 5\r\n\r\n"), 200 },
        { "nought", B(POST_ "Content-Length: 0\r\n\r\n"), 200 },
        { "leading noughts", B(POST_ "Content-Length: 005\r\n\r\n"), 200 },
        { "15 digits", B(POST_ "Content-Length: 999999999999999\r\n\r\n"), 200 },
        { "16 digits", B(POST_ "Content-Length: 1000000000000000\r\n\r\n"), 400 },
        { "2^64 + 5", B(POST_ "Content-Length: 18446744073709551621\r\n\r\n"), 400 },
        { "empty", B(POST_ "Content-Length:\r\n\r\n"), 400 },
        { "plus", B(POST_ "Content-Length: +5\r\n\r\n"), 400 },
        { "minus", B(POST_ "Content-Length: -5\r\n\r\n"), 400 },
        { "minus nought", B(POST_ "Content-Length: -0\r\n\r\n"), 400 },
        { "hexadecimal", B(POST_ "Content-Length: 0x5\r\n\r\n"), 400 },
        { "letters", B(POST_ "Content-Length: abc\r\n\r\n"), 400 },
        { "a letter behind", B(POST_ "Content-Length: 5a\r\n\r\n"), 400 },
        { "a point", B(POST_ "Content-Length: 5.0\r\n\r\n"), 400 },
        { "an exponent", B(POST_ "Content-Length: 1e3\r\n\r\n"), 400 },
        { "an underscore", B(POST_ "Content-Length: 1_0\r\n\r\n"), 400 },
        { "a list of equal ones", B(POST_ "Content-Length: 5, 5\r\n\r\n"), 400 },
        { "a list of two", B(POST_ "Content-Length: 5,6\r\n\r\n"), 400 },
        { "a space inside", B(POST_ "Content-Length: 5 5\r\n\r\n"), 400 },
        { "quoted", B(POST_ "Content-Length: \"5\"\r\n\r\n"), 400 },
        { "twice the same", B(POST_ "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"), 400 },
        { "twice", B(POST_ "Content-Length: 5\r\ncontent-length: 6\r\n\r\n"), 400 },
        { "of GET", B(ONE H "Content-Length: 5\r\n\r\n"), 200 },
        { "digits of another script", B(POST_ "Content-Length: \xd9\xa5\r\n\r\n"), 400 },
        { "under another name", B(POST_ "Content_Length: 5\r\n\r\n"), 200 },
    };
    CHECK_ROWS(rows);
    struct http_head h;
    size_t used;
    const char *plain = POST_ "Content-Length: 005\r\n\r\n", *other = POST_ "Content_Length: 5\r\n\r\n";
    CHECK_INT(parse(&h, plain, strlen(plain), &used), 200);
    CHECK_INT(h.length, 5);
    CHECK_INT(parse(&h, other, strlen(other), &used), 200);
    CHECK_INT(h.length, 0);
}

TEST(codings)
{
    static const struct head_row rows[] = {
        { "chunked", B(POST_ "Transfer-Encoding: chunked\r\n\r\n"), 200 },
        { "in other letters", B(POST_ "transfer-encoding: ChunKed\r\n\r\n"), 200 },
        { "identity", B(POST_ "Transfer-Encoding: identity\r\n\r\n"), 501 },
        { "gzip", B(POST_ "Transfer-Encoding: gzip\r\n\r\n"), 501 },
        { "gzip and chunked", B(POST_ "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501 },
        { "chunked and then gzip", B(POST_ "Transfer-Encoding: chunked, gzip\r\n\r\n"), 501 },
        { "chunked twice", B(POST_ "Transfer-Encoding: chunked, chunked\r\n\r\n"), 501 },
        { "in two fields", B(POST_ "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), 400 },
        { "in two fields, one of them gzip", B(POST_ "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"), 400 },
        { "with a letter more", B(POST_ "Transfer-Encoding: xchunked\r\n\r\n"), 501 },
        { "with a letter less", B(POST_ "Transfer-Encoding: chunke\r\n\r\n"), 501 },
        { "with a parameter", B(POST_ "Transfer-Encoding: chunked;q=1\r\n\r\n"), 501 },
        { "quoted", B(POST_ "Transfer-Encoding: \"chunked\"\r\n\r\n"), 501 },
        { "with a comma", B(POST_ "Transfer-Encoding: chunked,\r\n\r\n"), 501 },
        { "empty", B(POST_ "Transfer-Encoding:\r\n\r\n"), 501 },
        { "with a vertical tab", B(POST_ "Transfer-Encoding: \x0b" "chunked\r\n\r\n"), 400 },
        { "with a no-break space", B(POST_ "Transfer-Encoding: \xa0" "chunked\r\n\r\n"), 501 },
        { "space before the colon", B(POST_ "Transfer-Encoding : chunked\r\n\r\n"), 400 },
        { "beside a length", B(POST_ "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), 400 },
        { "before a length", B(POST_ "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"), 400 },
        { "beside a length of nought", B(POST_ "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400 },
        { "unknown beside a length", B(POST_ "Content-Length: 5\r\nTransfer-Encoding: x\r\n\r\n"), 400 },
        { "in HTTP/1.0", B("POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n"), 400 },
        { "a compressed body", B(POST_ "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\n"), 415 },
        { "a body that is not compressed", B(POST_ "Content-Encoding: identity\r\nContent-Length: 5\r\n\r\n"), 200 },
        { "compressed by the second of two fields", B(POST_ "Content-Encoding: identity\r\nContent-Encoding: gzip\r\n\r\n"), 415 },
        { "Expect", B(POST_ "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"), 200 },
        { "Expect of something else", B(POST_ "Expect: 200-ok\r\n\r\n"), 417 },
        { "Expect twice, once of something else", B(POST_ "Expect: 100-continue\r\nExpect: x\r\n\r\n"), 417 },
    };
    CHECK_ROWS(rows);
}

TEST(what_a_head_says)
{
    struct http_head h;
    size_t used;
    const char *text = "POST http://b:81/c?d=1?2 HTTP/1.1\r\nHost: a\r\nX: 1\r\nx: 2\r\nOne:  v \r\nTransfer-Encoding: chunked\r\nExpect: 100-Continue\r\n\r\nrest";
    const char *why;
    CHECK_INT(http_parse_head(&h, text, strlen(text), &used, &why), 200);
    CHECK_INT(used, strlen(text) - 4);
    CHECK(http_is(h.method, "POST") && http_is(h.path, "/c") && http_is(h.query, "d=1?2") && http_is(h.host, "b:81"));
    CHECK(http_is(h.target, "http://b:81/c?d=1?2"));
    CHECK_INT(h.n_fields, 6);
    CHECK(http_is(http_field(&h, "ONE"), "v") && !http_field(&h, "X").at && !http_field(&h, "Y").at);
    CHECK(h.is_chunked && h.keeps_alive && h.expects_continue && h.minor == 1 && h.length == 0);
    text = ONE H "Connection: x , Close\r\n\r\n";
    CHECK_INT(http_parse_head(&h, text, strlen(text), &used, &why), 200);
    CHECK(!h.keeps_alive && http_is(h.host, "a") && http_is(h.path, "/") && h.query.len == 0);
    text = "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n";
    CHECK_INT(http_parse_head(&h, text, strlen(text), &used, &why), 200);
    CHECK(h.keeps_alive && h.minor == 0 && h.host.len == 0);
    text = "GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n";
    CHECK_INT(http_parse_head(&h, text, strlen(text), &used, &why), 200);
    CHECK(!h.keeps_alive && !h.expects_continue);
    text = ONE H "Connection: keep-alive\r\nConnection: close\r\n\r\n";
    CHECK_INT(http_parse_head(&h, text, strlen(text), &used, &why), 200);
    CHECK(!h.keeps_alive);
}

static int status_of_long(const char *before, char c, size_t n, const char *behind)
{
    struct http_head h;
    struct buf b;
    size_t used;
    buf_init(&b, 0);
    buf_puts(&b, before);
    for (size_t i = 0; i < n; i++) buf_putc(&b, c);
    buf_puts(&b, behind);
    int status = parse(&h, b.data, b.len, &used);
    if (status == 200 && used != b.len) test_failed(__FILE__, __LINE__, "%zu bytes used of %zu", used, b.len);
    buf_release(&b);
    return status;
}

static int status_of_fields(size_t n)
{
    struct http_head h;
    struct buf b;
    size_t used;
    buf_init(&b, 0);
    buf_puts(&b, ONE H);
    for (size_t i = 1; i < n; i++) buf_printf(&b, "A%zu: b\r\n", i);
    buf_puts(&b, END);
    int status = parse(&h, b.data, b.len, &used);
    buf_release(&b);
    return status;
}

TEST(bounds_of_heads)
{
    size_t line = strlen("GET / HTTP/1.1"), rest = strlen(ONE H "A: " "\r\n\r\n");
    CHECK_INT(status_of_long("GET /", 'a', HTTP_LINE_MAX - line, " HTTP/1.1\r\n" H END), 200);
    CHECK_INT(status_of_long("GET /", 'a', HTTP_LINE_MAX - line + 1, " HTTP/1.1\r\n" H END), 414);
    CHECK_INT(status_of_long("GET /", 'a', HTTP_HEAD_MAX, ""), 414);
    CHECK_INT(status_of_long("GET /", 'a', HTTP_HEAD_MAX - 6, ""), 0);
    CHECK_INT(status_of_long(ONE H "A: ", 'a', HTTP_HEAD_MAX - rest, "\r\n\r\n"), 200);
    CHECK_INT(status_of_long(ONE H "A: ", 'a', HTTP_HEAD_MAX - rest + 1, "\r\n\r\n"), 431);
    CHECK_INT(status_of_long("\r\n" ONE H "A: ", 'a', HTTP_HEAD_MAX - rest, "\r\n\r\n"), 200);
    CHECK_INT(status_of_long(ONE H "A: ", 'a', HTTP_HEAD_MAX, ""), 431);
    CHECK_INT(status_of_long(ONE H, 'A', HTTP_HEAD_MAX, ": b\r\n\r\n"), 431);
    CHECK_INT(status_of_fields(HTTP_FIELDS_MAX), 200);
    CHECK_INT(status_of_fields(HTTP_FIELDS_MAX + 1), 431);
}

/* ---- chunks ----------------------------------------------------------------------------------------------------------------------- */

struct chunk_row { const char *name; struct bytes bytes; int status; const char *body; };

/* In pieces of `step` bytes; step 0: one cut, at `cut`. Returns the status; *used of the piece's sum. */
static int put_chunks(struct buf *body, const char *data, size_t len, size_t step, size_t cut, size_t *used)
{
    struct http_chunks c = { 0 };
    const char *why = NULL;
    int status = 0;
    *used = 0;
    for (size_t at = 0, n; at < len && status == 0; at += n) {
        size_t u = 0;
        n = step ? step : at < cut ? cut - at : len - at;
        if (n > len - at) n = len - at;
        char *copy = malloc(n);
        memcpy(copy, data + at, n);
        status = http_chunks_put(&c, body, copy, n, &u, &why);
        free(copy);
        if (status == 0 && u != n) test_failed(__FILE__, __LINE__, "%zu bytes taken of %zu, and it goes on", u, n);
        if (status && status != 200 && !why) test_failed(__FILE__, __LINE__, "status %d without a reason", status);
        *used += u;
    }
    return status;
}

static void check_chunks(const struct chunk_row *r)
{
    for (size_t cut = 0; cut <= r->bytes.len + 3; cut++) {
        struct buf body;
        size_t used, step = cut > r->bytes.len ? cut - r->bytes.len : 0;             /* at last in steps of 1, 2 and 3 bytes */
        buf_init(&body, 64);
        int status = put_chunks(&body, r->bytes.at, r->bytes.len, step, cut, &used);
        if (status != r->status) test_failed(__FILE__, __LINE__, "%s: status %d, expected %d, cut at %zu", r->name, status, r->status, cut);
        bool is_same = status == 413 || (body.len == strlen(r->body) && (!body.len || memcmp(body.data, r->body, body.len) == 0));
        if (!is_same) test_failed(__FILE__, __LINE__, "%s: the body has %zu bytes, \"%.40s\", cut at %zu", r->name, body.len, body.data ? body.data : "", cut);
        if (status == 200 && used != r->bytes.len) test_failed(__FILE__, __LINE__, "%s: %zu bytes used of %zu, cut at %zu", r->name, used, r->bytes.len, cut);
        buf_release(&body);
    }
}

#define LAST "0\r\n\r\n"
TEST(chunks)
{
    static const struct chunk_row rows[] = {
        { "one", B("3\r\nabc\r\n" LAST), 200, "abc" },
        { "none", B(LAST), 200, "" },
        { "two", B("1\r\na\r\n2\r\nbc\r\n" LAST), 200, "abc" },
        { "size in small letters", B("b\r\nabcdefghijk\r\n" LAST), 200, "abcdefghijk" },
        { "size in large letters", B("B\r\nabcdefghijk\r\n" LAST), 200, "abcdefghijk" },
        { "leading noughts", B("00003\r\nabc\r\n000\r\n\r\n"), 200, "abc" },
        { "data that looks like framing", B("9\r\n\r\n0\r\n\r\n\r\n\r\n" LAST), 200, "\r\n0\r\n\r\n\r\n" },
        { "an extension", B("3;a=b\r\nabc\r\n" LAST), 200, "abc" },
        { "an extension with a quoted value", B("3;a=\"b c\"\r\nabc\r\n0;x\r\n\r\n"), 200, "abc" },
        { "an empty extension", B("3;\r\nabc\r\n" LAST), 200, "abc" },
        { "a trailer", B("0\r\nA: b\r\nC: d\r\n\r\n"), 200, "" },
        { "incomplete size", B("3"), 0, "" },
        { "incomplete data", B("3\r\nab"), 0, "ab" },
        { "incomplete trailer", B("0\r\nA: b\r\n"), 0, "" },
        { "nothing but the last size", B("0\r\n"), 0, "" },
        { "no size", B("\r\nabc\r\n" LAST), 400, "" },
        { "only an extension", B(";a\r\nabc\r\n" LAST), 400, "" },
        { "plus", B("+3\r\nabc\r\n" LAST), 400, "" },
        { "minus", B("-3\r\nabc\r\n" LAST), 400, "" },
        { "minus nought", B("-0\r\n\r\n"), 400, "" },
        { "prefix 0x", B("0x3\r\nabc\r\n" LAST), 400, "" },
        { "an underscore", B("1_0\r\nabc\r\n" LAST), 400, "" },
        { "space before the size", B(" 3\r\nabc\r\n" LAST), 400, "" },
        { "space behind the size", B("3 \r\nabc\r\n" LAST), 400, "" },
        { "tab behind the size", B("3\t;a\r\nabc\r\n" LAST), 400, "" },
        { "a letter that is no digit", B("g\r\nabc\r\n" LAST), 400, "" },
        { "15 digits", B("000000000000003\r\nabc\r\n" LAST), 200, "abc" },
        { "16 digits", B("0000000000000003\r\nabc\r\n" LAST), 400, "" },
        { "2^64 + 3", B("10000000000000003\r\nabc\r\n" LAST), 400, "" },
        { "bare LF behind the size", B("3\nabc\r\n" LAST), 400, "" },
        { "bare CR behind the size", B("3\rabc\r\n" LAST), 400, "" },
        { "bare LF in an extension", B("3;a\nabc\r\n" LAST), 400, "" },
        { "bare CR in an extension", B("3;a\rb\r\nabc\r\n" LAST), 400, "" },
        { "NUL in an extension", B("3;\0\r\nabc\r\n" LAST), 400, "" },
        { "bare LF behind the data", B("3\r\nabc\n" LAST), 400, "abc" },
        { "no end behind the data", B("3\r\nabc" LAST), 400, "abc" },
        { "more data than told", B("3\r\nabcd\r\n" LAST), 400, "abc" },
        { "less data than told", B("4\r\nabc\r\n" LAST), 400, "abc\r" },
        { "CR CR LF behind the data", B("3\r\nabc\r\r\n" LAST), 400, "abc" },
        { "bare LF in a trailer", B("0\r\nA: b\n\r\n"), 400, "" },
        { "bare LF as the end", B("0\r\n\n"), 400, "" },
        { "bare CR in a trailer", B("0\r\nA: b\rc\r\n\r\n"), 400, "" },
        { "NUL in a trailer", B("0\r\nA: \0\r\n\r\n"), 400, "" },
        { "a control character in a trailer", B("0\r\nA: \x1b\r\n\r\n"), 400, "" },
        { "larger than allowed", B("41\r\n"), 413, "" },
        { "huge", B("fffffffffffffff\r\n"), 413, "" },
        { "larger in two", B("40\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n1\r\na\r\n"), 413, "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) check_chunks(&rows[i]);
}

TEST(bounds_of_chunks)
{
    struct { const char *before; size_t n; const char *behind; int status; } rows[] = {
        { "1;", 256, "\r\na\r\n" LAST, 200 }, { "1;", 257, "\r\na\r\n" LAST, 400 }, { "0\r\nA:", HTTP_TRAILER_MAX - 2, "\r\n\r\n", 200 }, { "0\r\nA:", HTTP_TRAILER_MAX, "\r\n\r\n", 431 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b, body;
        size_t used;
        buf_init(&b, 0);
        buf_init(&body, 64);
        buf_puts(&b, rows[i].before);
        for (size_t k = 0; k < rows[i].n; k++) buf_putc(&b, 'x');
        buf_puts(&b, rows[i].behind);
        CHECK_INT(put_chunks(&body, b.data, b.len, 7, 0, &used), rows[i].status);
        buf_release(&b);
        buf_release(&body);
    }
}

/* ---- queries ------------------------------------------------------------------------------------------------------------------------ */

static const char *query(const char *text, const char *name)
{
    static struct buf out;
    struct http_exchange x = { 0 };
    x.head.query = (struct http_span){ text, strlen(text) };
    return http_query(&out, &x, name) ? (out.data ? out.data : "") : NULL;
}

TEST(queries)
{
    CHECK_STR(query("a=b", "a"), "b");
    CHECK_STR(query("a=b&c=d", "c"), "d");
    CHECK_STR(query("a=b&a=c", "a"), "b");
    CHECK_STR(query("aa=b&a=c", "a"), "c");
    CHECK_STR(query("a=%41%62+%2b", "a"), "Ab +");
    CHECK_STR(query("a=", "a"), "");
    CHECK_STR(query("a=b=c", "a"), "b=c");
    CHECK_STR(query("&&a=b", "a"), "b");
    CHECK_STR(query("a=%4a%4A", "a"), "JJ");
    CHECK(!query("", "a"));
    CHECK(!query("a", "a"));
    CHECK(!query("b=a", "a"));
    CHECK(!query("A=b", "a"));
    CHECK(!query("a=%", "a"));
    CHECK(!query("a=%4", "a"));
    CHECK(!query("a=%4&b=1", "a"));
    CHECK(!query("a=%zz", "a"));
    CHECK(!query("a=%-1", "a"));
}
