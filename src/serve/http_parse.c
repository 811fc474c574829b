/* http_parse.c - heads and chunked bodies of requests: see http_parse.h. */
#include "serve/http_parse.h"

#include <string.h>
#include <strings.h>

static bool is_token_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}
static bool is_token(struct http_span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_token_char((unsigned char)s.at[i])) return false;
    return s.len > 0;
}
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_control(char c) { return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f; }

bool http_is(struct http_span s, const char *text) { return s.len == strlen(text) && memcmp(s.at, text, s.len) == 0; }
bool http_is_like(struct http_span s, const char *text) { return s.len == strlen(text) && strncasecmp(s.at, text, s.len) == 0; }

/* Fields of that name: how many, and the first one's value. */
static size_t count_fields(const struct http_head *h, const char *name, struct http_span *value)
{
    size_t n = 0;
    for (size_t i = 0; i < h->n_fields; i++) {
        if (!http_is_like(h->field[i].name, name)) continue;
        if (n++ == 0) *value = h->field[i].value;
    }
    return n;
}

struct http_span http_field(const struct http_head *h, const char *name)
{
    struct http_span value = { 0 };
    return count_fields(h, name, &value) == 1 ? value : (struct http_span){ 0 };
}

/* ---- lines ------------------------------------------------------------------------------------------------------------------ */

/* The end of the head, behind its empty line: 0 if it is not here yet. A line ends with CR LF and with nothing else. */
static int find_end(const char *data, size_t len, size_t *end, const char **why)
{
    size_t line = 0;
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n') return *why = "a line of the head ends with a line feed alone, expected CR LF", 400;
        if (data[i] == 0) return *why = "the head holds a NUL byte", 400;
        if (data[i] != '\r') continue;
        if (i + 1 >= len) return 0;
        if (data[i + 1] != '\n') return *why = "the head holds a carriage return that ends no line", 400;
        if (i == line) return *end = i + 2, 200;
        line = i + 2;
        i++;
    }
    return 0;
}

/* ---- request line ------------------------------------------------------------------------------------------------------------- */

static bool is_target_char(unsigned char c) { return c > 0x20 && c < 0x7f && !strchr("\"<>\\^`{|}#", c); }

/* host[:port] of an address or a Host field. An IPv6 address stands in brackets. */
static bool is_host(struct http_span s)
{
    size_t i = 0;
    if (i < s.len && s.at[i] == '[') {
        for (i++; i < s.len && s.at[i] != ']'; i++)
            if (!is_digit(s.at[i]) && !strchr("abcdefABCDEF:.", s.at[i])) return false;
        if (i == 1 || i++ >= s.len) return false;
    } else {
        for (; i < s.len && s.at[i] != ':'; i++)
            if (!is_digit(s.at[i]) && !((s.at[i] | 32) >= 'a' && (s.at[i] | 32) <= 'z') && !strchr("-._~%!$&'()*+,;=", s.at[i])) return false;
    }
    if (i == s.len) return true;
    if (s.at[i++] != ':') return false;
    size_t digits = s.len - i;
    for (; i < s.len; i++)
        if (!is_digit(s.at[i])) return false;
    return digits <= 5;
}

static int read_target(struct http_head *h, const char **why)
{
    struct http_span t = h->target;
    for (size_t i = 0; i < t.len; i++)
        if (!is_target_char((unsigned char)t.at[i])) return *why = "the address of the request holds a byte that an address cannot hold", 400;
    if (t.len > 7 && strncasecmp(t.at, "http://", 7) == 0) {       /* absolute form: what a proxy is sent */
        const char *slash = memchr(t.at + 7, '/', t.len - 7);
        size_t n = slash ? (size_t)(slash - t.at) : t.len;
        h->host = (struct http_span){ t.at + 7, n - 7 };
        if (!h->host.len || !is_host(h->host)) return *why = "the host of the request's address is none", 400;
        t = slash ? (struct http_span){ slash, t.len - n } : (struct http_span){ "/", 1 };
    }
    bool is_asterisk = http_is(t, "*") && http_is(h->method, "OPTIONS");
    if (!is_asterisk && (!t.len || t.at[0] != '/')) return *why = "the address of the request must begin with \"/\"", 400;
    const char *mark = memchr(t.at, '?', t.len);
    h->path = (struct http_span){ t.at, mark ? (size_t)(mark - t.at) : t.len };
    h->query = mark ? (struct http_span){ mark + 1, t.len - h->path.len - 1 } : (struct http_span){ "", 0 };
    return 200;
}

static int read_version(struct http_head *h, struct http_span v, const char **why)
{
    if (v.len != 8 || memcmp(v.at, "HTTP/", 5) != 0 || !is_digit(v.at[5]) || v.at[6] != '.' || !is_digit(v.at[7]))
        return *why = "the request line does not end with a version such as HTTP/1.1", 400;
    if (v.at[5] != '1') return *why = "the version of the request is not HTTP/1.0 or HTTP/1.1", 505;
    h->minor = v.at[7] == '0' ? 0 : 1;                             /* a later 1.x is answered as 1.1 */
    return 200;
}

static int read_request_line(struct http_head *h, struct http_span line, const char **why)
{
    if (line.len > HTTP_LINE_MAX) return *why = "the request line is longer than 8192 bytes", 414;
    const char *first = memchr(line.at, ' ', line.len), *second = first ? memchr(first + 1, ' ', (size_t)(line.at + line.len - first - 1)) : NULL;
    if (!second) return *why = "the request line is not: method, space, address, space, version", 400;
    h->method = (struct http_span){ line.at, (size_t)(first - line.at) };
    h->target = (struct http_span){ first + 1, (size_t)(second - first - 1) };
    struct http_span version = { second + 1, (size_t)(line.at + line.len - second - 1) };
    if (!is_token(h->method)) return *why = "the request line begins with no method", 400;
    int status = read_version(h, version, why);
    return status == 200 ? read_target(h, why) : status;
}

/* ---- fields ------------------------------------------------------------------------------------------------------------------------ */

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static int read_field(struct http_field *out, struct http_span line, const char **why)
{
    if (is_blank(line.at[0])) return *why = "a field of the head is continued on the next line, which is no longer allowed", 400;
    const char *colon = memchr(line.at, ':', line.len);
    if (!colon) return *why = "a line of the head has no colon", 400;
    struct http_span name = { line.at, (size_t)(colon - line.at) }, value = { colon + 1, line.len - (size_t)(colon - line.at) - 1 };
    if (!is_token(name)) return *why = "the name of a field holds a byte that a name cannot hold, or there is a space before its colon", 400;
    while (value.len && is_blank(value.at[0])) value.at++, value.len--;
    while (value.len && is_blank(value.at[value.len - 1])) value.len--;
    for (size_t i = 0; i < value.len; i++)
        if (is_control(value.at[i])) return *why = "the value of a field holds a control character", 400;
    *out = (struct http_field){ name, value };
    return 200;
}

static int check_host(struct http_head *h, const char **why)
{
    struct http_span host = { "", 0 };
    size_t n = count_fields(h, "Host", &host);
    if (n > 1) return *why = "there is more than one Host field", 400;
    if (n == 0 && h->minor == 1) return *why = "there is no Host field", 400;
    if (!is_host(host)) return *why = "the Host field holds no host", 400;
    if (!h->host.at) h->host = host;                               /* an address with a host wins (RFC 9112, 3.2.2) */
    return 200;
}

static int read_length(struct http_head *h, struct http_span v, const char **why)
{
    h->length = 0;
    if (!v.len || v.len > 15) return *why = "Content-Length is no number of 1 to 15 digits", 400;
    for (size_t i = 0; i < v.len; i++) {
        if (!is_digit(v.at[i])) return *why = "Content-Length is no number of 1 to 15 digits", 400;
        h->length = 10 * h->length + (uint64_t)(v.at[i] - '0');
    }
    return 200;
}

static int check_framing(struct http_head *h, const char **why)
{
    struct http_span length = { 0 }, coding = { 0 };
    size_t lengths = count_fields(h, "Content-Length", &length), codings = count_fields(h, "Transfer-Encoding", &coding);
    if (lengths > 1) return *why = "there is more than one Content-Length", 400;
    if (codings > 1) return *why = "there is more than one Transfer-Encoding", 400;
    if (codings && lengths) return *why = "there are both Content-Length and Transfer-Encoding", 400;
    if (codings && h->minor == 0) return *why = "HTTP/1.0 has no Transfer-Encoding", 400;
    if (codings && !http_is_like(coding, "chunked")) return *why = "Transfer-Encoding is something else than \"chunked\"", 501;
    h->is_chunked = codings == 1;
    return lengths ? read_length(h, length, why) : 200;
}

/* A list of words with commas holds `word`. */
static bool has_word(struct http_span list, const char *word)
{
    for (size_t i = 0, end; i <= list.len; i = end + 1) {
        for (end = i; end < list.len && list.at[end] != ','; end++) { }
        struct http_span part = { list.at + i, end - i };
        while (part.len && is_blank(part.at[0])) part.at++, part.len--;
        while (part.len && is_blank(part.at[part.len - 1])) part.len--;
        if (http_is_like(part, word)) return true;
    }
    return false;
}

static int check_rest(struct http_head *h, const char **why)
{
    bool closes = false, keeps = false;
    for (size_t i = 0; i < h->n_fields; i++) {                     /* each of several fields of a name counts */
        struct http_span name = h->field[i].name, value = h->field[i].value;
        if (http_is_like(name, "Connection")) {
            closes |= has_word(value, "close");
            keeps |= has_word(value, "keep-alive");
        } else if (http_is_like(name, "Expect")) {
            if (!http_is_like(value, "100-continue")) return *why = "Expect is something else than \"100-continue\"", 417;
            h->expects_continue = h->minor == 1;
        } else if (http_is_like(name, "Content-Encoding") && !http_is_like(value, "identity"))
            return *why = "the body is compressed (Content-Encoding), which this server does not take", 415;
    }
    h->keeps_alive = !closes && (keeps || h->minor == 1);
    return 200;
}

static int read_fields(struct http_head *h, const char *at, const char *end, const char **why)
{
    int status = 200;
    while (at < end && status == 200) {
        const char *stop = memchr(at, '\r', (size_t)(end - at));
        if (stop == at) break;
        if (h->n_fields == HTTP_FIELDS_MAX) return *why = "the head has more than 64 fields", 431;
        status = read_field(&h->field[h->n_fields++], (struct http_span){ at, (size_t)(stop - at) }, why);
        at = stop + 2;
    }
    if (status == 200) status = check_host(h, why);
    if (status == 200) status = check_framing(h, why);
    return status == 200 ? check_rest(h, why) : status;
}

int http_parse_head(struct http_head *out, const char *data, size_t len, size_t *used, const char **why)
{
    size_t skip = len >= 2 && data[0] == '\r' && data[1] == '\n' ? 2 : 0, end = 0;    /* an empty line before a request is allowed */
    size_t most = len - skip < HTTP_HEAD_MAX ? len - skip : HTTP_HEAD_MAX;
    *out = (struct http_head){ 0 };
    if (len - skip == 1 && data[skip] == '\r') return 0;
    int status = find_end(data + skip, most, &end, why);
    if (status == 0 && len - skip < HTTP_HEAD_MAX) return 0;
    if (status == 0) {
        bool is_line = !memchr(data + skip, '\r', HTTP_LINE_MAX);
        *why = is_line ? "the request line is longer than 8192 bytes" : "the head is longer than 16384 bytes";
        return is_line ? 414 : 431;
    }
    if (status != 200) return status;
    const char *line_end = memchr(data + skip, '\r', end);
    if (line_end == data + skip) return *why = "the request is empty", 400;
    *used = skip + end;
    status = read_request_line(out, (struct http_span){ data + skip, (size_t)(line_end - data) - skip }, why);
    return status == 200 ? read_fields(out, line_end + 2, data + *used, why) : status;
}

/* ---- chunks -------------------------------------------------------------------------------------------------------------------------- */

enum { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_SIZE_LF, CHUNK_DATA, CHUNK_DATA_CR, CHUNK_DATA_LF, CHUNK_TRAILER, CHUNK_TRAILER_LF, CHUNK_END };
enum { EXTENSION_MAX = 256, SIZE_DIGITS = 15 };

static int hex_value(char c)
{
    if (is_digit(c)) return c - '0';
    return (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static int size_char(struct http_chunks *c, char at, const char **why)
{
    int v = hex_value(at);
    if (v >= 0) {
        if (++c->digits > SIZE_DIGITS) return *why = "the size of a chunk has more than 15 digits", 400;
        c->size = 16 * c->size + (uint64_t)v;
        return 0;
    }
    if (!c->digits) return *why = "a chunk begins with no size", 400;
    if (at != '\r' && at != ';') return *why = "the size of a chunk is no hexadecimal number", 400;
    c->state = at == '\r' ? CHUNK_SIZE_LF : CHUNK_EXTENSION;
    c->line = 0;
    return 0;
}

/* Trailers are passed over: nothing here has a use for them. */
static int trailer_char(struct http_chunks *c, char at, const char **why)
{
    if (at == '\r') { c->state = CHUNK_TRAILER_LF; return 0; }
    if (at == '\n') return *why = "a line behind the last chunk does not end with CR LF", 400;
    if (is_control(at)) return *why = "a line behind the last chunk holds a control character", 400;
    c->line++;
    return ++c->digits > HTTP_TRAILER_MAX ? (*why = "there are more than 4096 bytes behind the last chunk", 431) : 0;
}

/* One byte of framing. */
static int framing_char(struct http_chunks *c, char at, const char **why)
{
    switch (c->state) {
    case CHUNK_SIZE: return size_char(c, at, why);
    case CHUNK_EXTENSION:
        if (at == '\r') c->state = CHUNK_SIZE_LF;
        else if (is_control(at)) return *why = "the extension of a chunk holds a control character", 400;
        else if (++c->line > EXTENSION_MAX) return *why = "the extension of a chunk is longer than 256 bytes", 400;
        return 0;
    case CHUNK_SIZE_LF:
        c->left = c->size;
        c->state = c->size ? CHUNK_DATA : CHUNK_TRAILER;
        c->digits = c->line = 0;
        return at == '\n' ? 0 : (*why = "the size of a chunk does not end with CR LF", 400);
    case CHUNK_DATA_CR: c->state = CHUNK_DATA_LF; return at == '\r' ? 0 : (*why = "the data of a chunk does not end with CR LF", 400);
    case CHUNK_DATA_LF:
        c->state = CHUNK_SIZE;
        c->size = 0;
        return at == '\n' ? 0 : (*why = "the data of a chunk does not end with CR LF", 400);
    case CHUNK_TRAILER: return trailer_char(c, at, why);
    default:                                                       /* CHUNK_TRAILER_LF */
        if (at != '\n') return *why = "a line behind the last chunk does not end with CR LF", 400;
        c->state = c->line ? CHUNK_TRAILER : CHUNK_END;
        c->line = 0;
        return 0;
    }
}

int http_chunks_put(struct http_chunks *c, struct buf *body, const char *data, size_t len, size_t *used, const char **why)
{
    for (size_t i = 0; i < len;) {
        if (c->state == CHUNK_DATA) {
            size_t n = c->left < len - i ? (size_t)c->left : len - i;
            buf_append(body, data + i, n);
            if (body->is_full) return *why = "the body is larger than this server takes", 413;
            c->left -= n;
            i += n;
            if (!c->left) c->state = CHUNK_DATA_CR;
            continue;
        }
        int status = framing_char(c, data[i++], why);
        if (status) return status;
        if (c->size > body->max && body->max && c->state == CHUNK_DATA) return *why = "the body is larger than this server takes", 413;
        if (c->state == CHUNK_END) { *used = i; return 200; }
    }
    *used = len;
    return 0;
}
