/* json_scan.c - reads JSON once from left to right without building a tree.
 *
 * Why not the JSON library: a tree takes up to fifty times the bytes of a hostile header, and accepts numbers that
 * tensor headers must not have. Here a header of 100 MB costs only what its tensors cost. Grammar: RFC 8259; the
 * caller has checked that the text is UTF-8. */
#include "base/base.h"

#include <string.h>

enum { SCAN_DEPTH = 64 };

static void skip_space(struct json_scan *s)
{
    while (s->at < s->len && (s->text[s->at] == ' ' || s->text[s->at] == '\n' || s->text[s->at] == '\r' || s->text[s->at] == '\t')) s->at++;
}

static sc_status unexpected(struct json_scan *s, const char *expected)
{
    char q[32];
    if (s->at >= s->len) return FAIL(s->err, SC_E_FORMAT, "%s: the JSON ends at byte %zu, expected %s", s->what, s->len, expected);
    return FAIL(s->err, SC_E_FORMAT, "%s: JSON has '%s' at byte %zu, expected %s", s->what, error_quote(q, sizeof q, s->text + s->at, 1), s->at, expected);
}

bool scan_peek(struct json_scan *s, char c)
{
    skip_space(s);
    return s->at < s->len && s->text[s->at] == c;
}

bool scan_take(struct json_scan *s, char c)
{
    if (!scan_peek(s, c)) return false;
    s->at++;
    return true;
}

sc_status scan_need(struct json_scan *s, char c)
{
    char expected[4] = { '\'', c, '\'', 0 };
    return scan_take(s, c) ? SC_OK : unexpected(s, expected);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Four hexadecimal digits at p, or -1. */
static int32_t hex_unit(const char *p, size_t left)
{
    int32_t unit = 0;
    if (left < 4) return -1;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(p[i]);
        if (d < 0) return -1;
        unit = unit * 16 + d;
    }
    return unit;
}

/* High bits of the bytes of `x` that are zero, or of some behind such a byte. */
static uint64_t zero_bytes(uint64_t x) { return (x - 0x0101010101010101u) & ~x & 0x8080808080808080u; }

/* Goes on, eight bytes at a time, while nothing in them could end a string or be an escape. */
static void skip_plain(struct json_scan *s)
{
    uint64_t eight;
    for (; s->len - s->at >= 8; s->at += 8) {
        memcpy(&eight, s->text + s->at, 8);
        uint64_t controls = (eight - 0x2020202020202020u) & ~eight & 0x8080808080808080u;
        if (controls | zero_bytes(eight ^ 0x2222222222222222u) | zero_bytes(eight ^ 0x5C5C5C5C5C5C5C5Cu)) return;
    }
}

sc_status scan_string(struct json_scan *s, struct scan_string *out)
{
    if (!scan_take(s, '"')) return unexpected(s, "a string");
    size_t begin = s->at;
    *out = (struct scan_string) { s->text + begin, 0, false };
    for (skip_plain(s); s->at < s->len; s->at++, skip_plain(s)) {
        unsigned char c = (unsigned char)s->text[s->at];
        if (c == '"') { out->len = s->at++ - begin; return SC_OK; }
        if (c < 0x20) return unexpected(s, "no control character inside a string");
        if (c != '\\') continue;
        out->has_escape = true;
        if (++s->at >= s->len) break;
        char e = s->text[s->at];
        if (e == 'u' ? hex_unit(s->text + s->at + 1, s->len - s->at - 1) < 0 : !e || !strchr("\"\\/bfnrt", e)) return unexpected(s, "a known escape after '\\'");
    }
    return unexpected(s, "the end of a string");
}

sc_status scan_uint(struct json_scan *s, uint64_t *out)
{
    skip_space(s);
    size_t begin = s->at;
    *out = 0;
    while (s->at < s->len && s->text[s->at] >= '0' && s->text[s->at] <= '9') {
        if (__builtin_mul_overflow(*out, 10u, out) || __builtin_add_overflow(*out, (uint64_t)(s->text[s->at] - '0'), out))
            return FAIL(s->err, SC_E_FORMAT, "%s: the number at byte %zu needs more than 64 bits", s->what, begin);
        s->at++;
    }
    bool has_leading_zero = s->at > begin + 1 && s->text[begin] == '0';
    bool is_other_number = s->at < s->len && s->text[s->at] && strchr(".eE+-", s->text[s->at]);
    if (s->at == begin || has_leading_zero || is_other_number) return unexpected(s, "a whole number that is not negative");
    return SC_OK;
}

sc_status scan_more(struct json_scan *s, char close, bool *more)
{
    *more = scan_take(s, ',');
    if (*more) return SC_OK;
    return scan_need(s, close);
}

/* Numbers and the three words, loosely: they are not used. */
static sc_status skip_word(struct json_scan *s)
{
    size_t begin = s->at;
    while (s->at < s->len) {
        char c = s->text[s->at];
        bool is_word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == 'E' || c == '+' || c == '-' || c == '.';
        if (!is_word) break;
        s->at++;
    }
    return s->at > begin ? SC_OK : unexpected(s, "a value");
}

sc_status scan_skip(struct json_scan *s)
{
    char open[SCAN_DEPTH];
    int depth = 0;
    struct scan_string name;
    for (;;) {
        bool is_empty = false;
        if (scan_peek(s, '{') || scan_peek(s, '[')) {
            if (depth == SCAN_DEPTH) return FAIL(s->err, SC_E_FORMAT, "%s: JSON nested deeper than %d levels", s->what, SCAN_DEPTH);
            open[depth++] = s->text[s->at++] == '{' ? '}' : ']';
            is_empty = scan_take(s, open[depth - 1]);
            if (is_empty) depth--;
        } else if (scan_peek(s, '"')) {
            TRY(scan_string(s, &name));
            is_empty = true;
        } else {
            TRY(skip_word(s));
            is_empty = true;
        }
        bool more = !is_empty;
        while (is_empty && depth && !more) {
            TRY(scan_more(s, open[depth - 1], &more));
            if (!more) depth--;
        }
        if (!depth) return SC_OK;
        if (open[depth - 1] == '}') {
            TRY(scan_string(s, &name));
            TRY(scan_need(s, ':'));
        }
    }
}

sc_status scan_end(struct json_scan *s)
{
    skip_space(s);
    return s->at == s->len ? SC_OK : unexpected(s, "nothing more");
}

bool scan_equals(const struct scan_string *s, const char *text)
{
    return !s->has_escape && strlen(text) == s->len && memcmp(s->raw, text, s->len) == 0;
}

/* One escape at p (after the backslash) into out; bytes of p used, 0 when it stands for no character. */
static size_t unescape(struct buf *out, const char *p, size_t left)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (*p != 'u') { buf_putc(out, to[strchr(from, *p) - from]); return 1; }
    int32_t unit = hex_unit(p + 1, left - 1), low;
    if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff)) return 0;
    if (unit < 0xd800 || unit > 0xdfff) { buf_put_utf8(out, (uint32_t)unit); return 5; }
    if (left < 11 || p[5] != '\\' || p[6] != 'u') return 0;
    low = hex_unit(p + 7, left - 7);
    if (low < 0xdc00 || low > 0xdfff) return 0;
    buf_put_utf8(out, 0x10000u + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00));
    return 11;
}

static bool unescape_all(struct buf *out, const struct scan_string *s)
{
    for (size_t i = 0; i < s->len;) {
        const char *escape = memchr(s->raw + i, '\\', s->len - i);
        size_t plain = escape ? (size_t)(escape - s->raw) - i : s->len - i;
        buf_append(out, s->raw + i, plain);
        i += plain;
        if (!escape) break;
        size_t used = unescape(out, s->raw + i + 1, s->len - i - 1);
        if (!used) return false;
        i += 1 + used;
    }
    return true;
}

bool scan_text(const struct scan_string *s, struct buf *scratch, const char **text, size_t *len)
{
    *text = s->raw;
    *len = s->len;
    if (!s->has_escape) return true;
    buf_clear(scratch);
    bool is_whole = unescape_all(scratch, s);
    *text = scratch->len ? scratch->data : "";
    *len = scratch->len;
    return is_whole;
}
