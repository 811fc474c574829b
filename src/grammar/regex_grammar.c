/* regex_grammar.c - the regular part of regular expressions as trees: literals, classes, groups, alternatives, counts, and
 * anchors at the ends. What looks around or remembers (lookahead, backreferences, \b) is refused by name.
 *
 * Inside a JSON string a character is what JSON writes for it: a quote is \", a line end \n. */
#include "grammar_internal.h"

#include <string.h>

struct regex { const char *s; size_t len, at; struct build *b; bool is_whole, in_json; int depth; const char *what; sc_error *err; };
struct ranges { struct code_range *range; size_t n, cap; };

static sc_status refuse(struct regex *x, const char *format, ...) __attribute__((format(printf, 2, 3)));
static sc_status refuse(struct regex *x, const char *format, ...)
{
    va_list args;
    char text[256], quoted[64];
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t left = x->len - x->at;
    return FAIL(x->err, SC_E_UNSUPPORTED, "%s: the regular expression, byte %zu (\"%s\"): %s", x->what, x->at, error_quote(quoted, sizeof quoted, x->s + x->at, left < 24 ? left : 24), text);
}

static bool at_char(const struct regex *x, char c) { return x->at < x->len && x->s[x->at] == c; }
static bool at_text(const struct regex *x, const char *text) { size_t n = strlen(text); return x->len - x->at >= n && memcmp(x->s + x->at, text, n) == 0; }

static void ranges_add(struct ranges *r, uint32_t lo, uint32_t hi)
{
    if (r->n + 4 > r->cap) {
        r->cap = r->cap ? 2 * r->cap : 16;
        r->range = mem_grow(r->range, r->cap * sizeof *r->range);
    }
    r->range[r->n++] = (struct code_range) { lo, hi };
}

/* All others instead. */
static void ranges_negate(struct ranges *r)
{
    struct ranges other = { 0 };
    uint32_t from = 0;
    if (r->n) r->n = ranges_normalize(r->range, r->n);
    for (size_t i = 0; i < r->n; i++) {
        if (r->range[i].lo > from) ranges_add(&other, from, r->range[i].lo - 1);
        from = r->range[i].hi + 1;
    }
    if (from <= CODE_POINT_MAX) ranges_add(&other, from, CODE_POINT_MAX);
    mem_free(r->range);
    *r = other;
}

/* The characters below a space, the quote and the backslash, behind a backslash: as a letter or \u00XX. NUL is left out: few
 * readers of JSON take it. */
static const struct node *node_of_escapes(struct regex *x, const struct ranges *r)
{
    static const char name[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt", digit[] = "0123456789abcdef";
    struct ranges letters = { 0 }, row[2] = { { 0 }, { 0 } };
    const struct node *way[3];
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++)
        for (uint32_t c = r->range[i].lo; c <= r->range[i].hi && c <= '\\'; c++) {
            const char *known = c ? strchr(name, (int)c) : NULL;
            if (known) ranges_add(&letters, (uint32_t)letter[known - name], (uint32_t)letter[known - name]);
            else if (c && c < 0x20) ranges_add(&row[c >> 4], (uint32_t)digit[c & 15], (uint32_t)digit[c & 15]);
        }
    if (letters.n) way[n++] = node_class(x->b, letters.range, letters.n, false);
    for (int i = 0; i < 2; i++)
        if (row[i].n) way[n++] = SEQUENCE(x->b, node_text(x->b, i ? "u001" : "u000", 4), node_class(x->b, row[i].range, row[i].n, false));
    mem_free(letters.range);
    mem_free(row[0].range);
    mem_free(row[1].range);
    return n ? SEQUENCE(x->b, node_byte(x->b, '\\'), node_choice(x->b, way, n)) : NULL;
}

/* The characters as they are, or as JSON writes them. */
static const struct node *node_of_ranges(struct regex *x, struct ranges *r)
{
    static const struct code_range allowed[] = { { 0x20, '"' - 1 }, { '"' + 1, '\\' - 1 }, { '\\' + 1, CODE_POINT_MAX } };
    struct ranges plain = { 0 };
    if (!x->in_json) return node_class(x->b, r->range, r->n, false);
    if (r->n) r->n = ranges_normalize(r->range, r->n);
    for (size_t i = 0; i < r->n; i++)
        for (int k = 0; k < 3; k++) {
            uint32_t from = r->range[i].lo > allowed[k].lo ? r->range[i].lo : allowed[k].lo, to = r->range[i].hi < allowed[k].hi ? r->range[i].hi : allowed[k].hi;
            if (from <= to) ranges_add(&plain, from, to);
        }
    const struct node *escapes = node_of_escapes(x, r), *rest = plain.n || !escapes ? node_class(x->b, plain.range, plain.n, false) : NULL;
    mem_free(plain.range);
    return escapes && rest ? CHOICE(x->b, rest, escapes) : escapes ? escapes : rest;
}

static sc_status take_hex(struct regex *x, int min, int max, uint32_t *out)
{
    int n = 0;
    for (*out = 0; n < max && x->at < x->len; n++, x->at++) {
        char c = x->s[x->at];
        int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0) break;
        *out = *out << 4 | (uint32_t)d;
    }
    if (n < min) return refuse(x, "an escape with too few hexadecimal digits");
    if (*out > CODE_POINT_MAX || (*out >= 0xD800 && *out <= 0xDFFF)) return refuse(x, "U+%04X is no character", (unsigned)*out);
    return SC_OK;
}

static void add_shorthand(struct ranges *r, char c)
{
    struct ranges s = { 0 };
    switch (c | 0x20) {
    case 'd': ranges_add(&s, '0', '9'); break;
    case 'w': ranges_add(&s, '0', '9'); ranges_add(&s, 'A', 'Z'); ranges_add(&s, '_', '_'); ranges_add(&s, 'a', 'z'); break;
    default: ranges_add(&s, '\t', '\r'); ranges_add(&s, ' ', ' '); break;
    }
    if (c < 'a') ranges_negate(&s);
    for (size_t i = 0; i < s.n; i++) ranges_add(r, s.range[i].lo, s.range[i].hi);
    mem_free(s.range);
}

/* Behind a backslash: a class (*is_set) or one character. */
static sc_status take_escape(struct regex *x, struct ranges *r, bool *is_set, uint32_t *out)
{
    static const char letter[] = "nrtfv0", value[] = "\n\r\t\f\v\0";
    char c = x->at < x->len ? x->s[x->at] : 0;
    *is_set = c && strchr("dDwWsS", c);
    if (*is_set) {
        x->at++;
        add_shorthand(r, c);
        return SC_OK;
    }
    const char *known = c ? strchr(letter, c) : NULL;
    if (known) *out = (uint32_t)value[known - letter];
    else if (c == 'x' || c == 'u') {
        x->at++;
        bool has_braces = c == 'u' && at_char(x, '{');
        if (has_braces) x->at++;
        TRY(take_hex(x, has_braces ? 1 : c == 'x' ? 2 : 4, has_braces ? 6 : c == 'x' ? 2 : 4, out));
        if (has_braces && !at_char(x, '}')) return refuse(x, "expected } behind \\u{");
        if (has_braces) x->at++;
        return SC_OK;
    }
    else if (c >= '1' && c <= '9') return refuse(x, "backreferences are not supported");
    else if (c == 'b' || c == 'B') return refuse(x, "word borders are not supported");
    else if (c == 'p' || c == 'P') return refuse(x, "Unicode properties are not supported; list the ranges");
    else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80 || !c) return refuse(x, "an escape that has no meaning here");
    else *out = (uint32_t)c;
    x->at++;
    return SC_OK;
}

/* A character or escape of a class. */
static sc_status take_member(struct regex *x, struct ranges *r, bool *is_set, uint32_t *out)
{
    *is_set = false;
    if (at_char(x, '\\')) {
        x->at++;
        if (at_char(x, 'b')) { x->at++; *out = '\b'; return SC_OK; }
        return take_escape(x, r, is_set, out);
    }
    if (at_text(x, "[:")) return refuse(x, "named classes like [:alpha:] are not supported; list the ranges");
    x->at += (size_t)utf8_next(x->s + x->at, x->len - x->at, out);
    return SC_OK;
}

static sc_status parse_class(struct regex *x, const struct node **out)
{
    sc_status status = SC_OK;
    struct ranges r = { 0 };
    size_t from = x->at++;
    bool is_negated = at_char(x, '^');
    if (is_negated) x->at++;
    for (bool is_first = true; is_first || !at_char(x, ']'); is_first = false) {
        uint32_t lo = 0, hi = 0;
        bool is_set = false, is_set_too = false;
        if (x->at >= x->len) { x->at = from; status = refuse(x, "a class without a closing ]"); goto done; }
        if (is_first && at_char(x, ']') && x->at + 1 < x->len && !memchr(x->s + x->at + 1, ']', x->len - x->at - 1)) { status = refuse(x, "an empty class matches nothing"); goto done; }
        TRY_DONE(take_member(x, &r, &is_set, &lo));
        if (is_set) continue;
        hi = lo;
        if (at_char(x, '-') && x->at + 1 < x->len && x->s[x->at + 1] != ']') {
            x->at++;
            TRY_DONE(take_member(x, &r, &is_set_too, &hi));
            if (is_set_too) { ranges_add(&r, '-', '-'); hi = lo; }
        }
        if (hi < lo) { status = refuse(x, "a range of a class runs backwards"); goto done; }
        ranges_add(&r, lo, hi);
    }
    x->at++;
    if (is_negated) ranges_negate(&r);
    *out = node_of_ranges(x, &r);
done:
    mem_free(r.range);
    return status;
}

static sc_status parse_choice(struct regex *x, const struct node **out);

static sc_status parse_group(struct regex *x, const struct node **out)
{
    size_t from = x->at++;
    if (++x->depth > NESTING_MAX) return refuse(x, "groups nested more than %d deep", NESTING_MAX);
    if (at_text(x, "?:")) x->at += 2;
    else if (at_text(x, "?P<") || (at_text(x, "?<") && !at_text(x, "?<=") && !at_text(x, "?<!"))) {
        while (x->at < x->len && !at_char(x, '>')) x->at++;
        if (x->at < x->len) x->at++;
    } else if (at_char(x, '?')) return refuse(x, "groups that look around, compare or set flags are not supported");
    TRY(parse_choice(x, out));
    if (!at_char(x, ')')) { x->at = from; return refuse(x, "a group without a closing )"); }
    x->at++;
    x->depth--;
    return SC_OK;
}

static sc_status parse_item(struct regex *x, const struct node **out)
{
    struct ranges r = { 0 };
    bool is_set = false;
    uint32_t c = 0;
    switch (x->s[x->at]) {
    case '[': return parse_class(x, out);
    case '(': return parse_group(x, out);
    case '*': case '+': case '?': return refuse(x, "nothing stands before the repetition; write \\%c for the character", x->s[x->at]);
    case '^': case '$': return refuse(x, "anchors are supported at the ends of the expression and of its outermost alternatives only");
    case '.':
        x->at++;
        ranges_add(&r, '\n', '\n');
        ranges_add(&r, '\r', '\r');
        ranges_negate(&r);
        break;
    case '\\':
        x->at++;
        sc_status status = take_escape(x, &r, &is_set, &c);
        if (status != SC_OK) { mem_free(r.range); return status; }
        if (!is_set) ranges_add(&r, c, c);
        break;
    default:
        x->at += (size_t)utf8_next(x->s + x->at, x->len - x->at, &c);
        ranges_add(&r, c, c);
    }
    *out = node_of_ranges(x, &r);
    mem_free(r.range);
    return SC_OK;
}

static bool at_counts(const struct regex *x) { return at_char(x, '{') && x->at + 1 < x->len && x->s[x->at + 1] >= '0' && x->s[x->at + 1] <= '9'; }

static uint32_t take_number(struct regex *x)
{
    uint32_t value = 0;
    for (; x->at < x->len && x->s[x->at] >= '0' && x->s[x->at] <= '9'; x->at++)
        if (value <= REPEAT_MAX) value = value * 10 + (uint32_t)(x->s[x->at] - '0');
    return value;
}

/* A repetition mark at the cursor, if there is one. Lazy marks match the same texts. */
static sc_status take_counts(struct regex *x, uint32_t *min, uint32_t *max, bool *is_there)
{
    *is_there = at_char(x, '*') || at_char(x, '+') || at_char(x, '?') || at_counts(x);
    if (!*is_there) return SC_OK;
    *min = at_char(x, '+');
    *max = at_char(x, '?') ? 1 : REPEAT_FOREVER;
    if (at_char(x, '{')) {
        x->at++;
        *max = *min = take_number(x);
        if (at_char(x, ',')) {
            x->at++;
            *max = at_char(x, '}') ? REPEAT_FOREVER : take_number(x);
        }
        if (!at_char(x, '}')) return refuse(x, "expected } behind a repetition");
        if (*min > REPEAT_MAX || (*max > REPEAT_MAX && *max != REPEAT_FOREVER)) return refuse(x, "a repetition of more than %d times", REPEAT_MAX);
        if (*max < *min) return refuse(x, "a repetition whose second number is smaller than the first");
    }
    x->at++;
    if (at_char(x, '?')) x->at++;
    else if (at_char(x, '+') || at_char(x, '*') || at_counts(x)) return refuse(x, "two repetition marks in a row; put the first into a group");
    return SC_OK;
}

/* Is the cursor at an anchor for the end of a branch? */
static size_t end_anchor(const struct regex *x)
{
    size_t n = at_char(x, '$') ? 1 : at_text(x, "\\Z") || at_text(x, "\\z") ? 2 : 0;
    if (!n || x->depth) return 0;
    return x->at + n == x->len || x->s[x->at + n] == '|' ? n : 0;
}

static sc_status parse_sequence(struct regex *x, const struct node **out)
{
    sc_status status = SC_OK;
    struct node_list l = { 0 };
    struct ranges none = { 0 };
    size_t start = x->depth ? 0 : at_char(x, '^') ? 1 : at_text(x, "\\A") ? 2 : 0, end = 0;
    const struct node *any = NULL;
    if (!x->is_whole && !x->depth) {
        ranges_negate(&none);
        any = node_repeat(x->b, node_of_ranges(x, &none), 0, REPEAT_FOREVER);
    }
    x->at += start;
    if (any && !start) node_list_push(&l, any);
    while (x->at < x->len && !at_char(x, '|') && !at_char(x, ')') && !(end = end_anchor(x))) {
        const struct node *item = NULL;
        uint32_t min = 1, max = 1;
        bool is_there = false;
        TRY_DONE(parse_item(x, &item));
        TRY_DONE(take_counts(x, &min, &max, &is_there));
        node_list_push(&l, is_there ? node_repeat(x->b, item, min, max) : item);
    }
    x->at += end;
    if (any && !end) node_list_push(&l, any);
    *out = node_sequence(x->b, l.node, l.n);
done:
    mem_free(none.range);
    node_list_release(&l);
    return status;
}

static sc_status parse_choice(struct regex *x, const struct node **out)
{
    sc_status status = SC_OK;
    struct node_list l = { 0 };
    for (;;) {
        const struct node *sequence = NULL;
        TRY_DONE(parse_sequence(x, &sequence));
        node_list_push(&l, sequence);
        if (!at_char(x, '|')) break;
        x->at++;
    }
    *out = node_choice(x->b, l.node, l.n);
done:
    node_list_release(&l);
    return status;
}

sc_status regex_parse(const struct node **out, struct build *b, const char *pattern, size_t len, bool is_whole, bool in_json, const char *what, sc_error *err)
{
    struct regex x = { .s = pattern, .len = len, .b = b, .is_whole = is_whole, .in_json = in_json, .what = what, .err = err };
    if (len > TEXT_BYTES_MAX) return FAIL(err, SC_E_UNSUPPORTED, "%s: the regular expression has %zu bytes, more than %d", what, len, TEXT_BYTES_MAX);
    if (!utf8_is_valid(pattern, len)) return FAIL(err, SC_E_FORMAT, "%s: the regular expression is not valid UTF-8", what);
    TRY(parse_choice(&x, out));
    return x.at < x.len ? refuse(&x, "a closing ) without its (") : SC_OK;
}

sc_status grammar_from_regex(struct grammar **out, const char *pattern, size_t len, sc_error *err)
{
    struct build b;
    *out = NULL;
    build_init(&b);
    uint32_t root = build_rule(&b, "regular expression", 18);
    sc_status status = regex_parse(&b.rule[root].body, &b, pattern, len, true, false, "grammar", err);
    if (status == SC_OK) status = build_finish(out, &b, root, "grammar", err);
    build_release(&b);
    return status;
}
