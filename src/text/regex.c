/* regex.c - split patterns without a hand-written scanner, through PCRE2 with JIT. The reference uses Oniguruma with
 * Ruby's syntax (its doc/RE), which differs in a few places: those are rewritten here, or refused where PCRE2 10.42 has
 * no equal. Patterns come from files, so matching has limits; text behind a match that passes them stays unsplit.
 * PCRE2's character data may be one Unicode version behind; the scanners of scan.c are exact. */
#include "text_internal.h"

#include <string.h>

enum { MATCH_LIMIT = 10000000, DEPTH_LIMIT = 10000, HEAP_LIMIT_KIB = 65536, PATTERN_MAX = 65536, STACK_MIN = 32768, STACK_MAX = 1 << 20 };

/* Inside brackets: the White_Space characters, all others, and Oniguruma's word characters. */
#define SPACE_SET "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define NON_SPACE_SET "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}" \
    "\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{10ffff}"
#define WORD_SET "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}"

/* The escapes that mean something else there; `set` goes between brackets, `negated` outside them only. */
struct escape_row { char letter; const char *set; bool negated; };
static const struct escape_row escapes[] = {
    { 's', SPACE_SET, false }, { 'S', NON_SPACE_SET, false }, { 'w', WORD_SET, false }, { 'W', WORD_SET, true },
    { 'h', "0-9A-Fa-f", false }, { 'H', "0-9A-Fa-f", true },
};

struct rewrite { struct buf out; const char *what, *pattern; size_t len; };

static sc_status refuse(const struct rewrite *r, const char *feature, sc_error *err)
{
    char quote[160];
    return FAIL(err, SC_E_UNSUPPORTED, "%s: the split pattern \"%s\" uses %s, which starchat does not support", r->what,
                error_quote(quote, sizeof quote, r->pattern, r->len), feature);
}

/* Writes the escape at p[0] == '\\'; *used is how many bytes it took. */
static sc_status rewrite_escape(struct rewrite *r, const char *p, size_t left, bool in_class, size_t *used, sc_error *err)
{
    *used = left < 2 ? left : 2;
    for (size_t i = 0; left >= 2 && i < sizeof escapes / sizeof *escapes; i++) {
        const struct escape_row *row = &escapes[i];
        if (row->letter != p[1]) continue;
        if (in_class && row->negated) return refuse(r, "\\W or \\H inside brackets", err);
        if (!in_class) buf_puts(&r->out, row->negated ? "[^" : "[");
        buf_puts(&r->out, row->set);
        if (!in_class) buf_putc(&r->out, ']');
        return SC_OK;
    }
    buf_append(&r->out, p, *used);
    return SC_OK;
}

/* Options as in (?mi-x: with Ruby's m, "dot matches newline", as PCRE2's s. */
static size_t rewrite_options(struct rewrite *r, const char *p, size_t left)
{
    size_t i = 2;
    buf_puts(&r->out, "(?");
    while (i < left && strchr("imx-", p[i]) && p[i]) {
        buf_putc(&r->out, p[i] == 'm' ? 's' : p[i]);
        i++;
    }
    return i;
}

static sc_status rewrite_pattern(struct rewrite *r, sc_error *err)
{
    const char *p = r->pattern;
    bool in_class = false;
    for (size_t i = 0, used; i < r->len; i += used) {
        size_t left = r->len - i;
        used = 1;
        if (p[i] == '\\') {
            TRY(rewrite_escape(r, p + i, left, in_class, &used, err));
        } else if (in_class) {
            if (p[i] == '[') return refuse(r, "brackets inside brackets", err);
            if (left > 1 && p[i] == '&' && p[i + 1] == '&') return refuse(r, "&& inside brackets", err);
            if (p[i] == ']') in_class = false;
            buf_putc(&r->out, p[i]);
        } else if (p[i] == '[') {
            /* A ] right behind the opening is a plain character in both. */
            in_class = true;
            used = left > 1 && p[i + 1] == '^' ? 2 : 1;
            if (used < left && p[i + used] == ']') used++;
            buf_append(&r->out, p + i, used);
        } else if (left > 1 && p[i] == '(' && p[i + 1] == '?') {
            used = rewrite_options(r, p + i, left);
        } else {
            if (left > 1 && p[i] == '}' && p[i + 1] == '+' && i > 0 && strchr("0123456789,", p[i - 1]))
                return refuse(r, "{n,m}+", err);
            buf_putc(&r->out, p[i]);
        }
    }
    return SC_OK;
}

sc_status regex_compile(pcre2_code **out, const char *pattern, size_t len, const char *what, sc_error *err)
{
    sc_status status = SC_OK;
    struct rewrite r = { .what = what, .pattern = pattern, .len = len };
    int code;
    PCRE2_SIZE at;
    *out = NULL;
    buf_init(&r.out, 0);
    if (len > PATTERN_MAX) return FAIL(err, SC_E_UNSUPPORTED, "%s: a split pattern of %zu bytes is longer than %d", what, len, PATTERN_MAX);
    TRY_DONE(rewrite_pattern(&r, err));
    *out = pcre2_compile((PCRE2_SPTR)(r.out.data ? r.out.data : ""), r.out.len, PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
    if (!*out) {
        PCRE2_UCHAR text[128];
        char quote[160];
        pcre2_get_error_message(code, text, sizeof text);
        status = FAIL(err, SC_E_UNSUPPORTED, "%s: the split pattern \"%s\" cannot be compiled: %s", what,
                      error_quote(quote, sizeof quote, pattern, len), (const char *)text);
        goto done;
    }
    pcre2_jit_compile(*out, PCRE2_JIT_COMPLETE);     /* without JIT matching is slower, not different */
done:
    buf_release(&r.out);
    return status;
}

static void match_open(struct encoder *e)
{
    if (e->match) return;
    e->match = pcre2_match_data_create(1, NULL);
    e->match_context = pcre2_match_context_create(NULL);
    e->jit_stack = pcre2_jit_stack_create(STACK_MIN, STACK_MAX, NULL);
    if (!e->match_context) return;
    pcre2_set_match_limit(e->match_context, MATCH_LIMIT);
    pcre2_set_depth_limit(e->match_context, DEPTH_LIMIT);
    pcre2_set_heap_limit(e->match_context, HEAP_LIMIT_KIB);
    pcre2_jit_stack_assign(e->match_context, NULL, e->jit_stack);
}

bool scan_regex(const struct stage *st, struct encoder *e, const char *s, size_t len, size_t at, struct span *match)
{
    match_open(e);
    if (!e->match || at > len) return false;
    int found = pcre2_match(st->regex, (PCRE2_SPTR)s, len, at, PCRE2_NO_UTF_CHECK, e->match, e->match_context);
    if (found < 0) return false;
    const PCRE2_SIZE *pair = pcre2_get_ovector_pointer(e->match);
    /* \K inside a look-around can turn the pair round or place it before the start. */
    if (pair[0] < at || pair[1] < pair[0]) return false;
    *match = (struct span){ pair[0], pair[1] };
    return true;
}
