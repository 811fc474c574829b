/* hub_url.c - addresses and header values: joining, comparing, showing them without their secrets.
 * libcurl's own URL parser does the work, so what is compared is what is connected to. Sources: RFC 3986, 8288, 9110. */
#include "hub/hub.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A handle with `url` set, or NULL: malformed, or another scheme than http and https. */
static CURLU *url_parse(const char *url)
{
    CURLU *u = curl_url();
    char *scheme = NULL;
    bool is_fine = u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK && curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK
                && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    curl_free(scheme);
    if (is_fine) return u;
    curl_url_cleanup(u);
    return NULL;
}

/* The whole of `u` as our own string. */
static char *url_text(CURLU *u)
{
    char *text = NULL, *result = NULL;
    if (u && curl_url_get(u, CURLUPART_URL, &text, 0) == CURLUE_OK) result = mem_strdup(text);
    curl_free(text);
    return result;
}

char *url_join(const char *base, const char *reference)
{
    CURLU *u = url_parse(base);
    char *joined = u && curl_url_set(u, CURLUPART_URL, reference, 0) == CURLUE_OK ? url_text(u) : NULL;
    curl_url_cleanup(u);
    CURLU *check = joined ? url_parse(joined) : NULL;
    curl_url_cleanup(check);
    if (check) return joined;
    mem_free(joined);
    return NULL;
}

static char *url_part(const char *url, CURLUPart part, unsigned flags)
{
    CURLU *u = url_parse(url);
    char *text = NULL, *result = NULL;
    if (u && curl_url_get(u, part, &text, flags) == CURLUE_OK) result = mem_strdup(text);
    curl_free(text);
    curl_url_cleanup(u);
    return result;
}

char *url_host(const char *url) { return url_part(url, CURLUPART_HOST, 0); }

char *url_origin(const char *url)
{
    char *scheme = url_part(url, CURLUPART_SCHEME, 0), *host = url_host(url), *port = url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    struct buf b;
    buf_init(&b, 0);
    if (scheme && host && port) buf_printf(&b, "%s://%s:%s", scheme, host, port);
    for (size_t i = 0; i < b.len; i++)
        if (b.data[i] >= 'A' && b.data[i] <= 'Z') b.data[i] = (char)(b.data[i] | 32);
    mem_free(scheme);
    mem_free(host);
    mem_free(port);
    return b.data;
}

char *url_public(const char *url)
{
    CURLU *u = url_parse(url);
    static const CURLUPart secret[] = { CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS, CURLUPART_QUERY, CURLUPART_FRAGMENT };
    for (size_t i = 0; u && i < sizeof secret / sizeof *secret; i++) (void)curl_url_set(u, secret[i], NULL, 0);
    char *result = url_text(u);
    curl_url_cleanup(u);
    return result;
}

char *url_file_name(const char *url)
{
    char *path = url_part(url, CURLUPART_PATH, 0);
    const char *slash = path ? strrchr(path, '/') : NULL;
    struct buf b;
    buf_init(&b, 0);
    bool is_fine = slash && slash[1] && url_unescape(&b, slash + 1, strlen(slash + 1)) && file_name_check(b.data, b.len, NULL) == SC_OK;
    mem_free(path);
    if (is_fine) return b.data;
    buf_release(&b);
    return NULL;
}

void url_escape(struct buf *out, const char *text, size_t len, bool keep_slash)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool is_unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c);
        if ((is_unreserved && c) || (keep_slash && c == '/')) buf_putc(out, (char)c);
        else buf_printf(out, "%%%02X", (unsigned)c);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool url_unescape(struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < len ? hex_digit(text[i + 1]) : -1, low = high >= 0 ? hex_digit(text[i + 2]) : -1;
            if (low < 0) return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == 0) return false;
        buf_putc(out, c);
    }
    return true;
}

char *header_etag(const char *value)
{
    if (strncmp(value, "W/", 2) == 0) value += 2;
    size_t n = strlen(value);
    if (n >= 2 && value[0] == '"' && value[n - 1] == '"') return mem_strndup(value + 1, n - 2);
    return mem_strdup(value);
}

bool etag_is_weak(const char *value) { return strncmp(value, "W/", 2) == 0; }

bool etag_is_strong(const char *value)
{
    size_t n = strlen(value);
    if (n < 2 || value[0] != '"' || value[n - 1] != '"') return false;
    for (size_t i = 1; i + 1 < n; i++)
        if ((unsigned char)value[i] <= ' ' || value[i] == '"' || value[i] == 127) return false;
    return true;
}

/* Whether the parameters of one link say rel="next" (also among several relations, also without quotes). */
static bool link_is_next(const char *p, const char *end)
{
    while (p < end) {
        while (p < end && (*p == ';' || *p == ' ' || *p == '\t')) p++;
        const char *key = p;
        while (p < end && *p != '=' && *p != ';') p++;
        bool is_rel = p - key == 3 && strncasecmp(key, "rel", 3) == 0;
        if (p == end || *p == ';') continue;
        bool is_quoted = ++p < end && *p == '"';
        p += is_quoted;
        const char *word = p;
        for (; p <= end; p++) {
            bool is_end = p == end || (is_quoted ? *p == '"' : *p == ';');
            if (!is_end && *p != ' ') continue;
            if (is_rel && p - word == 4 && strncasecmp(word, "next", 4) == 0) return true;
            word = p + 1;
            if (is_end) break;
        }
        if (p < end && is_quoted) p++;
    }
    return false;
}

char *header_link_next(const char *value)
{
    const char *p = value;
    while ((p = strchr(p, '<')) != NULL) {
        const char *close = strchr(p, '>');
        if (!close) return NULL;
        const char *end = close + 1;
        for (bool in_quotes = false; *end && (in_quotes || *end != ','); end++)
            if (*end == '"') in_quotes = !in_quotes;
        if (link_is_next(close + 1, end)) return mem_strndup(p + 1, (size_t)(close - p - 1));
        p = end;
    }
    return NULL;
}

/* Digits at *p; false if there is none or the number does not fit. */
static bool take_number(const char **p, uint64_t *out)
{
    const char *start = *p;
    *out = 0;
    for (; **p >= '0' && **p <= '9'; ++*p)
        if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, (uint64_t)(**p - '0'), out)) return false;
    return *p != start;
}

bool header_content_range(const char *value, uint64_t *first, uint64_t *total)
{
    uint64_t last;
    if (strncasecmp(value, "bytes ", 6) != 0) return false;
    const char *p = value + 6;
    *first = 0;
    *total = SIZE_UNKNOWN;
    if (!take_number(&p, first) || *p++ != '-' || !take_number(&p, &last) || *p++ != '/' || last < *first) return false;
    if (strcmp(p, "*") == 0) return true;
    return take_number(&p, total) && *p == 0 && *total > last;
}

bool hex_is_valid(const char *text, size_t digits)
{
    for (size_t i = 0; i < digits; i++)
        if (hex_digit(text[i]) < 0) return false;
    return text[digits] == 0;
}
