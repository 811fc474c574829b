/* gbnf.c - grammars in llama.cpp's notation.
 *
 *   file     = { NAME "::=" choice NEWLINE }        # to the end of the line is a comment
 *   choice   = sequence { "|" sequence }
 *   sequence = { item [ "*" | "+" | "?" | "{m}" | "{m,}" | "{m,n}" ] }
 *   item     = "text" | [class] | [^class] | "." | NAME | "(" choice ")"
 *
 * A rule ends with its line, except inside parentheses, behind ::= and |, and where the next line begins with |. */
#include "grammar_internal.h"

#include <string.h>

enum { NAME_SLOTS = 1 << 14 };
/* first_use and chain by rule; slot: 1 + the first rule of a chain of names with one hash. */
struct gbnf { const char *s; size_t len, at; struct build b; uint32_t *first_use, *chain, *slot; size_t uses_cap; int depth; sc_error *err; };

static size_t line_of(const struct gbnf *x, size_t at)
{
    size_t line = 1;
    for (size_t i = 0; i < at && i < x->len; i++) line += x->s[i] == '\n';
    return line;
}

#define REFUSE(x, ...) refuse((x), (x)->at, __VA_ARGS__)
static sc_status refuse(struct gbnf *x, size_t at, const char *format, ...) __attribute__((format(printf, 3, 4)));
static sc_status refuse(struct gbnf *x, size_t at, const char *format, ...)
{
    va_list args;
    char text[320];
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return FAIL(x->err, SC_E_FORMAT, "grammar, line %zu: %s", line_of(x, at), text);
}

/* What stands at the cursor, for messages. */
static const char *found(const struct gbnf *x, char out[40])
{
    size_t n = 0;
    if (x->at >= x->len) return "the end of the text";
    if (x->s[x->at] == '\n' || x->s[x->at] == '\r') return "the end of the line";
    while (n < 16 && x->at + n < x->len && x->s[x->at + n] != '\n') n++;
    out[0] = '"';
    error_quote(out + 1, 37, x->s + x->at, n);
    size_t end = strlen(out);
    out[end] = '"';
    out[end + 1] = 0;
    return out;
}

static bool is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; }
static bool at_char(const struct gbnf *x, char c) { return x->at < x->len && x->s[x->at] == c; }

static void skip_space(struct gbnf *x, bool over_lines)
{
    while (x->at < x->len) {
        char c = x->s[x->at];
        if (c == '#') while (x->at < x->len && x->s[x->at] != '\n') x->at++;
        else if (c == ' ' || c == '\t' || c == '\r' || (over_lines && c == '\n')) x->at++;
        else break;
    }
}

static size_t take_name(struct gbnf *x)
{
    size_t from = x->at;
    while (x->at < x->len && is_name(x->s[x->at])) x->at++;
    return x->at - from;
}

/* The number of a rule; a new one for a name that was not met yet. */
static uint32_t rule_named(struct gbnf *x, const char *name, size_t len)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < len; i++) hash = (hash ^ (unsigned char)name[i]) * 16777619u;
    uint32_t *slot = &x->slot[(hash ^ hash >> 15) % NAME_SLOTS];
    for (uint32_t i = *slot; i; i = x->chain[i - 1])
        if (x->b.rule[i - 1].name_len == len && memcmp(x->b.rule[i - 1].name, name, len) == 0) return i - 1;
    if (x->b.n_rules == x->uses_cap) {
        x->uses_cap = x->uses_cap ? 2 * x->uses_cap : 64;
        x->first_use = mem_grow(x->first_use, x->uses_cap * sizeof *x->first_use);
        x->chain = mem_grow(x->chain, x->uses_cap * sizeof *x->chain);
    }
    size_t before = x->b.n_rules;
    uint32_t r = build_rule(&x->b, name, len);
    if (x->b.n_rules == before) return r;       /* full */
    x->first_use[r] = (uint32_t)x->at;
    x->chain[r] = *slot;
    *slot = r + 1;
    return r;
}

static sc_status take_hex(struct gbnf *x, int digits, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++, x->at++) {
        char c = x->at < x->len ? x->s[x->at] : 0;
        int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0) return REFUSE(x, "an escape needs %d hexadecimal digits", digits);
        *out = *out << 4 | (uint32_t)d;
    }
    if (*out > CODE_POINT_MAX || (*out >= 0xD800 && *out <= 0xDFFF)) return REFUSE(x, "the escape names U+%04X, which is no character", (unsigned)*out);
    return SC_OK;
}

/* One character of a text or class, escapes resolved. */
static sc_status take_char(struct gbnf *x, uint32_t *out)
{
    static const char letter[] = "nrt\\\"[]-^'/", value[] = "\n\r\t\\\"[]-^'/";
    if (x->s[x->at] != '\\') {
        int n = utf8_next(x->s + x->at, x->len - x->at, out);
        x->at += n > 0 ? (size_t)n : 1;
        return SC_OK;
    }
    x->at++;
    char c = x->at < x->len ? x->s[x->at] : 0;
    int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    const char *known = c ? strchr(letter, c) : NULL;
    if (!digits && !known) return REFUSE(x, "unknown escape \\%c; known are \\n \\r \\t \\\\ \\\" \\[ \\] \\- \\^ \\xHH \\uHHHH \\UHHHHHHHH", c >= 0x20 && c < 0x7F ? c : '?');
    x->at++;
    if (digits) return take_hex(x, digits, out);
    *out = (uint32_t)(unsigned char)value[known - letter];
    return SC_OK;
}

static sc_status parse_text(struct gbnf *x, const struct node **out)
{
    sc_status status = SC_OK;
    struct buf text;
    size_t from = x->at++;
    buf_init(&text, 0);
    while (!at_char(x, '"')) {
        uint32_t c;
        if (x->at >= x->len || at_char(x, '\n')) { status = refuse(x, from, "the text that begins with \" has no closing \" on its line"); goto done; }
        TRY_DONE(take_char(x, &c));
        buf_put_utf8(&text, c);
    }
    x->at++;
    *out = node_text(&x->b, text.data, text.len);
done:
    buf_release(&text);
    return status;
}

static sc_status parse_class(struct gbnf *x, const struct node **out)
{
    sc_status status = SC_OK;
    struct code_range *range = NULL;
    size_t n = 0, cap = 0, from = x->at++;
    bool is_negated = at_char(x, '^');
    if (is_negated) x->at++;
    while (!at_char(x, ']')) {
        uint32_t lo, hi;
        if (x->at >= x->len || at_char(x, '\n')) { status = refuse(x, from, "the class that begins with [ has no closing ] on its line"); goto done; }
        TRY_DONE(take_char(x, &lo));
        hi = lo;
        if (at_char(x, '-') && x->at + 1 < x->len && x->s[x->at + 1] != ']' && x->s[x->at + 1] != '\n') {
            x->at++;
            TRY_DONE(take_char(x, &hi));
        }
        if (lo > hi) { status = REFUSE(x, "a range of a class runs backwards, from U+%04X to U+%04X", (unsigned)lo, (unsigned)hi); goto done; }
        if (n == cap) {
            cap = cap ? 2 * cap : 16;
            range = mem_grow(range, cap * sizeof *range);
        }
        range[n++] = (struct code_range) { lo, hi };
    }
    x->at++;
    if (n == 0) { status = refuse(x, from, "an empty class matches nothing; use . for any character"); goto done; }
    *out = node_class(&x->b, range, n, is_negated);
done:
    mem_free(range);
    return status;
}

static sc_status parse_choice(struct gbnf *x, const struct node **out, bool is_nested);

static sc_status parse_group(struct gbnf *x, const struct node **out)
{
    size_t from = x->at++;
    if (++x->depth > NESTING_MAX) return REFUSE(x, "parentheses nested more than %d deep; make rules of the inner ones", NESTING_MAX);
    skip_space(x, true);
    TRY(parse_choice(x, out, true));
    if (!at_char(x, ')')) return refuse(x, from, "the group that begins with ( has no closing )");
    x->at++;
    x->depth--;
    return SC_OK;
}

static sc_status parse_item(struct gbnf *x, const struct node **out)
{
    static const struct code_range all = { 0, CODE_POINT_MAX };
    char c = x->s[x->at];
    switch (c) {
    case '"': return parse_text(x, out);
    case '[': return parse_class(x, out);
    case '(': return parse_group(x, out);
    case '.':
        x->at++;
        *out = node_class(&x->b, &all, 1, false);
        return SC_OK;
    case '<': case '!': return REFUSE(x, "tokens by number or name (<[7]>, <think>) are not supported; write the text in quotes");
    default: break;
    }
    const char *name = x->s + x->at;
    uint32_t rule = rule_named(x, name, take_name(x));
    *out = node_rule(&x->b, rule);
    return SC_OK;
}

static sc_status take_number(struct gbnf *x, uint32_t *out)
{
    uint64_t value = 0;
    char shown[40];
    if (x->at >= x->len || x->s[x->at] < '0' || x->s[x->at] > '9') return REFUSE(x, "expected a number in {m,n}, found %s", found(x, shown));
    for (; x->at < x->len && x->s[x->at] >= '0' && x->s[x->at] <= '9'; x->at++)
        if (value <= REPEAT_MAX) value = value * 10 + (uint64_t)(x->s[x->at] - '0');
    if (value > REPEAT_MAX) return REFUSE(x, "a repetition of more than %d times; use * or + for any number", REPEAT_MAX);
    *out = (uint32_t)value;
    return SC_OK;
}

static sc_status parse_counts(struct gbnf *x, uint32_t *min, uint32_t *max)
{
    char shown[40];
    x->at++;
    skip_space(x, false);
    *min = 0;
    if (!at_char(x, ',')) TRY(take_number(x, min));
    *max = *min;
    skip_space(x, false);
    if (at_char(x, ',')) {
        x->at++;
        skip_space(x, false);
        *max = REPEAT_FOREVER;
        if (!at_char(x, '}')) TRY(take_number(x, max));
        skip_space(x, false);
    }
    if (!at_char(x, '}')) return REFUSE(x, "expected } behind a repetition, found %s", found(x, shown));
    x->at++;
    if (*max < *min) return REFUSE(x, "a repetition of {%u,%u}: the second number must not be smaller", (unsigned)*min, (unsigned)*max);
    return SC_OK;
}

static sc_status parse_sequence(struct gbnf *x, const struct node **out, bool is_nested)
{
    sc_status status = SC_OK;
    struct node_list l = { 0 };
    for (;;) {
        char c = x->at < x->len ? x->s[x->at] : 0;
        if (!c || !(is_name(c) || strchr("\"[(.<!", c))) break;
        const struct node *item = NULL;
        TRY_DONE(parse_item(x, &item));
        skip_space(x, is_nested);
        for (int marks = 0; x->at < x->len && strchr("*+?{", x->s[x->at]) && x->s[x->at]; marks++) {
            uint32_t min = x->s[x->at] == '+', max = x->s[x->at] == '?' ? 1 : REPEAT_FOREVER;
            if (marks >= NESTING_MAX) { status = REFUSE(x, "more than %d repetition marks behind one item", NESTING_MAX); goto done; }
            if (x->s[x->at] == '{') TRY_DONE(parse_counts(x, &min, &max));
            else x->at++;
            item = node_repeat(&x->b, item, min, max);
            skip_space(x, is_nested);
        }
        node_list_push(&l, item);
    }
    *out = node_sequence(&x->b, l.node, l.n);
done:
    node_list_release(&l);
    return status;
}

/* Steps over line ends if a | stands behind them. */
static void continue_choice(struct gbnf *x)
{
    size_t at = x->at;
    skip_space(x, true);
    if (!at_char(x, '|')) x->at = at;
}

static sc_status parse_choice(struct gbnf *x, const struct node **out, bool is_nested)
{
    sc_status status = SC_OK;
    struct node_list l = { 0 };
    for (;;) {
        const struct node *sequence = NULL;
        TRY_DONE(parse_sequence(x, &sequence, is_nested));
        node_list_push(&l, sequence);
        continue_choice(x);
        if (!at_char(x, '|')) break;
        x->at++;
        skip_space(x, true);
    }
    *out = node_choice(&x->b, l.node, l.n);
done:
    node_list_release(&l);
    return status;
}

static sc_status parse_rule(struct gbnf *x)
{
    char shown[40], quoted[80];
    const char *name = x->s + x->at;
    size_t len = take_name(x);
    if (!len) return REFUSE(x, "expected the name of a rule, found %s", found(x, shown));
    uint32_t rule = rule_named(x, name, len);
    if (x->b.rule[rule].body) return REFUSE(x, "rule \"%s\" is defined twice; join both with |", error_quote(quoted, sizeof quoted, name, len));
    skip_space(x, false);
    if (x->len - x->at < 3 || memcmp(x->s + x->at, "::=", 3) != 0) return REFUSE(x, "expected ::= behind the rule's name, found %s", found(x, shown));
    x->at += 3;
    skip_space(x, true);
    const struct node *body = NULL;
    TRY(parse_choice(x, &body, false));
    if (x->at < x->len && x->s[x->at] != '\n') return REFUSE(x, "expected an item, | or the end of the line, found %s", found(x, shown));
    x->b.rule[rule].body = body;
    skip_space(x, true);
    return SC_OK;
}

static sc_status parse_file(struct gbnf *x, uint32_t *root)
{
    char quoted[80];
    if (x->len > TEXT_BYTES_MAX) return FAIL(x->err, SC_E_UNSUPPORTED, "the grammar has %zu bytes, more than %d; split or shorten it", x->len, TEXT_BYTES_MAX);
    if (!utf8_is_valid(x->s, x->len)) return FAIL(x->err, SC_E_FORMAT, "the grammar is not valid UTF-8; write other bytes as escapes");
    *root = rule_named(x, "root", 4);
    skip_space(x, true);
    while (x->at < x->len) TRY(parse_rule(x));
    if (!x->b.rule[*root].body) return FAIL(x->err, SC_E_FORMAT, "the grammar has no rule \"root\", where every text begins; add root ::= ...");
    for (size_t i = 0; i < x->b.n_rules; i++)
        if (!x->b.rule[i].body)
            return refuse(x, x->first_use[i], "rule \"%s\" is used but defined nowhere", error_quote(quoted, sizeof quoted, x->b.rule[i].name, x->b.rule[i].name_len));
    return SC_OK;
}

sc_status grammar_from_gbnf(struct grammar **out, const char *text, size_t len, sc_error *err)
{
    struct gbnf x = { .s = text, .len = len, .slot = mem_zero(NAME_SLOTS, sizeof(uint32_t)), .err = err };
    uint32_t root = 0;
    *out = NULL;
    build_init(&x.b);
    sc_status status = parse_file(&x, &root);
    if (status == SC_OK) status = build_finish(out, &x.b, root, "grammar", err);
    mem_free(x.first_use);
    mem_free(x.chain);
    mem_free(x.slot);
    build_release(&x.b);
    return status;
}
