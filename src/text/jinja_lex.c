/* jinja_lex.c - template source to tokens: text, {{ }}, {% %}, {# #}, raw blocks, and what is inside tags.
 *
 * White space around tags follows Jinja2's lexer with trim_blocks and lstrip_blocks: '-' strips all of it, '+' none,
 * else a newline behind a block tag goes, and so do blanks before one that begins its line. */
#include "jinja_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct lexer {
    const char *s; size_t len, at; uint32_t line;
    bool at_line_start;                  /* what was taken last ended with a newline, or nothing was                  */
    struct arena *arena; struct jinja_token *token; size_t n, cap;
    char bracket[JINJA_NESTING_MAX + 1]; size_t n_brackets;
    const char *what; sc_error *err;
};

static struct jinja_token *push(struct lexer *x, enum token_kind kind)
{
    if (x->n == x->cap) {
        size_t cap = x->cap ? 2 * x->cap : 256;
        struct jinja_token *t = arena_take(x->arena, cap * sizeof *t);
        if (x->n) memcpy(t, x->token, x->n * sizeof *t);
        x->token = t;
        x->cap = cap;
    }
    x->token[x->n] = (struct jinja_token) { .kind = kind, .line = x->line };
    return &x->token[x->n++];
}

static void advance(struct lexer *x, size_t to)
{
    for (; x->at < to; x->at++)
        if (x->s[x->at] == '\n') x->line++;
}

static size_t skip_space(const struct lexer *x, size_t at)
{
    while (at < x->len) {
        uint32_t c;
        int n = utf8_next(x->s + at, x->len - at, &c);
        if (n < 0 || !char_is_space(c)) break;
        at += (size_t)n;
    }
    return at;
}

/* Text before a tag, without the white space that the tag takes away. `sign`: of the tag; `is_block`: not {{. */
static void push_text(struct lexer *x, size_t end, char sign, bool is_block)
{
    size_t begin = x->at, cut = end;
    if (sign == '-') {
        while (cut > begin) {
            size_t p = cut - 1;
            uint32_t c;
            while (p > begin && ((unsigned char)x->s[p] & 0xC0) == 0x80) p--;
            utf8_next(x->s + p, cut - p, &c);
            if (!char_is_space(c)) break;
            cut = p;
        }
    } else if (sign != '+' && is_block) {
        size_t line = end;
        while (line > begin && x->s[line - 1] != '\n') line--;
        if ((line > begin || x->at_line_start) && skip_space(x, line) >= end) cut = line;
    }
    if (cut > begin) push(x, T_TEXT)->text = (struct str) { x->s + begin, NULL, cut - begin, MARK_TRUSTED };
    advance(x, end);
}

/* Takes `n` bytes of the end of a tag, and the white space that goes with them: all (sign '-'), or a newline. */
static void take_end(struct lexer *x, size_t n, bool strips, bool trims_newline)
{
    size_t to = x->at + n;
    if (strips) to = skip_space(x, to);
    else if (trims_newline && to < x->len && x->s[to] == '\n') to++;
    advance(x, to);
    x->at_line_start = x->s[to - 1] == '\n';
}

static sc_status lex_failed(struct lexer *x, const char *problem) { return FAIL(x->err, SC_E_FORMAT, "%s, line %u: %s", x->what, x->line, problem); }

static sc_status lex_comment(struct lexer *x)
{
    const char *p = x->s + x->at, *end = memmem(p, x->len - x->at, "#}", 2);
    if (!end) return lex_failed(x, "this comment has no end, expected '#}'");
    bool strips = end > p && end[-1] == '-', keeps = end > p && end[-1] == '+';
    advance(x, (size_t)(end - x->s));
    take_end(x, 2, strips, !keeps);
    return SC_OK;
}

/* Length of "{%- name -%}" at `at`, 0 if it is something else. Signs: of begin and end. */
static size_t match_tag(const struct lexer *x, size_t at, const char *name, char *begin_sign, char *end_sign)
{
    size_t p = at + 2, n = strlen(name);
    *begin_sign = *end_sign = 0;
    if (at + 2 > x->len || memcmp(x->s + at, "{%", 2) != 0) return 0;
    if (p < x->len && (x->s[p] == '-' || x->s[p] == '+')) *begin_sign = x->s[p++];
    p = skip_space(x, p);
    if (x->len - p < n || memcmp(x->s + p, name, n) != 0) return 0;
    p = skip_space(x, p + n);
    if (p < x->len && (x->s[p] == '-' || x->s[p] == '+')) *end_sign = x->s[p++];
    return x->len - p >= 2 && memcmp(x->s + p, "%}", 2) == 0 ? p + 2 - at : 0;
}

static sc_status lex_raw(struct lexer *x, size_t tag, char end_sign)
{
    char begin, end;
    take_end(x, tag, end_sign == '-', false);
    for (size_t at = x->at; at + 2 <= x->len; at++) {
        size_t n = x->s[at] == '{' ? match_tag(x, at, "endraw", &begin, &end) : 0;
        if (!n) continue;
        push_text(x, at, begin, true);
        take_end(x, n, end == '-', end != '+');
        return SC_OK;
    }
    return lex_failed(x, "this raw block has no end, expected '{% endraw %}'");
}

/* ---- inside tags ---------------------------------------------------------------------------------------------------------- */

static int hex_value(const char *p, size_t n, uint32_t *out)
{
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        char c = p[i];
        uint32_t d = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10) : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10) : 16;
        if (d == 16) return -1;
        *out = *out * 16 + d;
    }
    return 0;
}

/* One escape of a Python string literal behind the backslash; returns its bytes, 0 if it is broken. */
static size_t unescape_one(struct buf *out, const char *p, size_t len)
{
    static const char from[] = "ntr\\'\"abfv", to[] = "\n\t\r\\'\"\a\b\f\v";
    const char *known = *p ? strchr(from, *p) : NULL;
    uint32_t c = 0;
    if (known) { buf_putc(out, to[known - from]); return 1; }
    if (*p == '\n') return 1;
    if (*p >= '0' && *p <= '7') {
        size_t n = 0;
        while (n < 3 && n < len && p[n] >= '0' && p[n] <= '7') c = c * 8 + (uint32_t)(p[n++] - '0');
        buf_put_utf8(out, c);
        return n;
    }
    size_t n = *p == 'x' ? 2 : *p == 'u' ? 4 : *p == 'U' ? 8 : 0;
    if (*p == 'N') return 0;                              /* characters by their names are not supported */
    if (!n) { buf_putc(out, '\\'); return SIZE_MAX; }
    if (len < n + 1 || hex_value(p + 1, n, &c) < 0 || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) return 0;
    buf_put_utf8(out, c);
    return n + 1;
}

static sc_status lex_string(struct lexer *x)
{
    char quote = x->s[x->at];
    size_t end = x->at + 1;
    while (end < x->len && x->s[end] != quote) end += x->s[end] == '\\' && end + 1 < x->len ? 2 : 1;
    if (end >= x->len) return lex_failed(x, "this string has no end, expected its closing quote");
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = x->at + 1; i < end;) {
        if (x->s[i] != '\\') { buf_putc(&b, x->s[i++]); continue; }
        size_t n = unescape_one(&b, x->s + i + 1, end - i - 1);
        if (n == 0) { buf_release(&b); return lex_failed(x, "a string has a broken escape, expected \\xNN, \\uNNNN or \\UNNNNNNNN with the number of a character (names as in \\N{...} are not supported)"); }
        i += n == SIZE_MAX ? 1 : n + 1;
    }
    struct jinja_token *t = push(x, T_STRING);
    t->text = (struct str) { arena_strndup(x->arena, b.data ? b.data : "", b.len), NULL, b.len, MARK_TRUSTED };
    buf_release(&b);
    advance(x, end + 1);
    return SC_OK;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80; }

static size_t skip_digits(const struct lexer *x, size_t at)
{
    while (at < x->len && (is_digit(x->s[at]) || (x->s[at] == '_' && at + 1 < x->len && is_digit(x->s[at + 1])))) at++;
    return at;
}

/* Where the fraction and exponent behind the digits at x->at end; 0 if the number has neither. */
static size_t float_end(const struct lexer *x)
{
    size_t end = skip_digits(x, x->at);
    bool is_float = false;
    if (x->at && x->s[x->at - 1] == '.') return 0;        /* a.1.5 is a, .1, .5 */
    if (end + 1 < x->len && x->s[end] == '.' && is_digit(x->s[end + 1])) { is_float = true; end = skip_digits(x, end + 1); }
    size_t e = end;
    if (e + 1 < x->len && (x->s[e] == 'e' || x->s[e] == 'E')) {
        e += x->s[e + 1] == '+' || x->s[e + 1] == '-' ? 2 : 1;
        if (e < x->len && is_digit(x->s[e])) { is_float = true; end = skip_digits(x, e); }
    }
    return is_float ? end : 0;
}

/* End of a whole number, and what its digits are. One that begins with 0 is 0: other digits begin the next number. */
static size_t whole_end(const struct lexer *x, size_t *begin, int *base)
{
    const char *s = x->s;
    size_t end = x->at, from = x->at + 2;
    *begin = x->at;
    *base = 10;
    if (s[end] != '0') return skip_digits(x, end);
    const char *kinds = "xXoObB", *kind = from < x->len && s[x->at + 1] ? strchr(kinds, s[x->at + 1]) : NULL;
    int wanted = !kind ? 1 : kind < kinds + 2 ? 16 : kind < kinds + 4 ? 8 : 2;
    for (end = kind ? from : end; end < x->len; end++) {
        size_t at = end + (s[end] == '_' && end + 1 < x->len);
        int digit = is_digit(s[at]) ? s[at] - '0' : s[at] >= 'a' && s[at] <= 'f' ? s[at] - 'a' + 10 : s[at] >= 'A' && s[at] <= 'F' ? s[at] - 'A' + 10 : 99;
        if (digit >= wanted) break;
        end = at;
    }
    if (kind && end > from) { *begin = from; *base = wanted; }
    return kind && end == from ? x->at + 1 : end;
}

static sc_status lex_number(struct lexer *x)
{
    char digits[400], *rest;
    int base = 10;
    size_t begin = x->at, end = float_end(x), n = 0;
    bool is_float = end != 0;
    if (!is_float) end = whole_end(x, &begin, &base);
    for (size_t i = begin; i < end && n + 1 < sizeof digits; i++)
        if (x->s[i] != '_') digits[n++] = x->s[i];
    digits[n] = 0;
    struct jinja_token *t = push(x, is_float ? T_FLOAT : T_INT);
    errno = 0;
    if (is_float) t->f = strtod(digits, &rest);
    else t->i = strtoll(digits, &rest, base);
    if (n + 1 == sizeof digits || *rest || (!is_float && errno == ERANGE)) return lex_failed(x, "this number does not fit into 64 bits");
    advance(x, end);
    return SC_OK;
}

static sc_status lex_operator(struct lexer *x)
{
    static const char two[][3] = { "//", "**", "==", "!=", ">=", "<=" };
    const char *p = x->s + x->at;
    size_t left = x->len - x->at;
    for (size_t i = 0; i < sizeof two / sizeof *two; i++)
        if (left >= 2 && memcmp(p, two[i], 2) == 0) { push(x, T_OPERATOR)->op = OP2(p[0], p[1]); x->at += 2; return SC_OK; }
    if (!*p || !strchr("+-/*%~[](){}><=.:|,;", *p)) {
        char q[24];
        uint32_t c;
        int n = utf8_next(p, left, &c);
        return FAIL(x->err, SC_E_FORMAT, "%s, line %u: unexpected character '%s' in a tag", x->what, x->line, error_quote(q, sizeof q, p, n > 0 ? (size_t)n : 1));
    }
    if (strchr("([{", *p)) {
        if (x->n_brackets == JINJA_NESTING_MAX) return lex_failed(x, "brackets are nested too deeply, at most 100 levels are supported");
        x->bracket[x->n_brackets++] = *p == '(' ? ')' : *p == '[' ? ']' : '}';
    } else if (strchr(")]}", *p)) {
        if (!x->n_brackets) return FAIL(x->err, SC_E_FORMAT, "%s, line %u: unexpected '%c', which closes nothing that is open here", x->what, x->line, *p);
        char open = x->bracket[--x->n_brackets];
        if (open != *p) return FAIL(x->err, SC_E_FORMAT, "%s, line %u: found '%c', expected '%c'", x->what, x->line, *p, open);
    }
    push(x, T_OPERATOR)->op = *p;
    x->at++;
    return SC_OK;
}

static bool tag_ends(struct lexer *x, bool is_block)
{
    const char *p = x->s + x->at, *close = is_block ? "%}" : "}}";
    size_t left = x->len - x->at, sign = left && (*p == '-' || (is_block && *p == '+')) ? 1 : 0;
    if (x->n_brackets || left < sign + 2 || memcmp(p + sign, close, 2) != 0) return false;
    push(x, is_block ? T_BLOCK_END : T_PRINT_END);
    take_end(x, sign + 2, sign && *p == '-', is_block && !sign);
    return true;
}

static sc_status lex_tag(struct lexer *x, bool is_block)
{
    push(x, is_block ? T_BLOCK_BEGIN : T_PRINT_BEGIN);
    x->at += 2;
    if (x->at < x->len && (x->s[x->at] == '-' || x->s[x->at] == '+')) x->at++;
    for (;;) {
        advance(x, skip_space(x, x->at));
        if (x->at >= x->len) return lex_failed(x, is_block ? "this tag has no end, expected '%}'" : "this tag has no end, expected '}}'");
        if (tag_ends(x, is_block)) return SC_OK;
        char c = x->s[x->at];
        if (c == '"' || c == '\'') TRY(lex_string(x));
        else if (is_digit(c)) TRY(lex_number(x));
        else if (is_name_start(c)) {
            size_t end = x->at;
            while (end < x->len && (is_name_start(x->s[end]) || is_digit(x->s[end]))) end++;
            push(x, T_NAME)->text = (struct str) { x->s + x->at, NULL, end - x->at, MARK_TRUSTED };
            x->at = end;
        } else TRY(lex_operator(x));
    }
}

/* Next place where a tag begins, or the end. */
static size_t next_tag(const struct lexer *x)
{
    for (size_t at = x->at; at + 1 < x->len; at++)
        if (x->s[at] == '{' && (x->s[at + 1] == '{' || x->s[at + 1] == '%' || x->s[at + 1] == '#')) return at;
    return x->len;
}

static sc_status lex_all(struct lexer *x)
{
    while (x->at < x->len) {
        size_t tag = next_tag(x), raw;
        char begin, end;
        if (tag == x->len) { push_text(x, tag, '+', false); break; }
        char kind = x->s[tag + 1], sign = tag + 2 < x->len && (x->s[tag + 2] == '-' || x->s[tag + 2] == '+') ? x->s[tag + 2] : 0;
        push_text(x, tag, sign, kind != '{');
        if (kind == '#') {
            x->at += sign ? 3 : 2;
            TRY(lex_comment(x));
        } else if (kind == '%' && (raw = match_tag(x, tag, "raw", &begin, &end)) != 0 && end != '+') TRY(lex_raw(x, raw, end));
        else TRY(lex_tag(x, kind == '%'));
    }
    return SC_OK;
}

/* Newlines become \n, and one at the end goes. */
static size_t normalize_newlines(char *out, const char *s, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '\r' && i + 1 < len && s[i + 1] == '\n') continue;
        out[n++] = s[i] == '\r' ? '\n' : s[i];
    }
    if (n && out[n - 1] == '\n') n--;
    out[n] = 0;
    return n;
}

sc_status jinja_lex(struct jinja_lexed *out, struct arena *arena, const char *source, size_t len, const char *what, sc_error *err)
{
    *out = (struct jinja_lexed) { 0 };
    if (len > JINJA_SOURCE_MAX) return FAIL(err, SC_E_FORMAT, "%s: the template has %zu bytes, at most %d are supported", what, len, JINJA_SOURCE_MAX);
    if (!utf8_is_valid(source, len)) return FAIL(err, SC_E_FORMAT, "%s: the template is not UTF-8 text", what);
    char *s = arena_take(arena, len + 1);
    struct lexer x = { .s = s, .len = normalize_newlines(s, source, len), .line = 1, .at_line_start = true, .arena = arena, .what = what, .err = err };
    TRY(lex_all(&x));
    push(&x, T_END);
    *out = (struct jinja_lexed) { x.token, x.n };
    return SC_OK;
}
