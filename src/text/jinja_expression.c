/* jinja_expression.c - tokens to the tree of an expression; precedence and oddities as in Jinja2's parser: `**` binds
 * to the left, `~` between + and *, a filter behind an unary minus takes the whole of it. */
#include "jinja_internal.h"

#include <stdio.h>
#include <string.h>

struct node *node_new(struct parser *p, enum node_kind kind)
{
    struct node *n = arena_zero(&p->j->arena, sizeof *n);
    n->kind = kind;
    n->line = p->at->line;
    return n;
}

const char *token_show(const struct jinja_token *t, char *out, size_t out_bytes)
{
    static const char *const names[] = { "the end of the template", "text", "'{%'", "'%}'", "'{{'", "'}}'" };
    char q[40];
    if (t->kind <= T_PRINT_END) snprintf(out, out_bytes, "%s", names[t->kind]);
    else if (t->kind == T_OPERATOR) snprintf(out, out_bytes, "'%c%s'", (char)t->op, t->op >> 8 ? (char[2]) { (char)(t->op >> 8), 0 } : "");
    else if (t->kind == T_NAME) snprintf(out, out_bytes, "'%s'", error_quote(q, sizeof q, t->text.s, t->text.len));
    else snprintf(out, out_bytes, "%s", t->kind == T_STRING ? "a string" : "a number");
    return out;
}

struct node *parse_failed(struct parser *p, const char *format, ...)
{
    char text[JINJA_MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    jinja_message(text, format, args);
    va_end(args);
    if (p->status == SC_OK) p->status = FAIL(p->err, SC_E_FORMAT, "%s, line %u: %s", p->j->what, p->at->line, text);
    while (p->at->kind != T_END) p->at++;                 /* so that every loop ends */
    return node_new(p, N_CONST);
}

static struct node *unexpected(struct parser *p, const char *expected)
{
    char q[64];
    return parse_failed(p, "found %s, expected %s", token_show(p->at, q, sizeof q), expected);
}

/* Equal names become one pointer, so that scopes compare pointers; s is NUL-terminated. Templates have few names. */
const struct str *parse_intern(struct parser *p, const struct str *text)
{
    struct jinja *j = p->j;
    for (size_t i = 0; i < j->n_names; i++)
        if (str_equal(j->name[i], text)) return j->name[i];
    if (j->n_names == j->cap_names) {
        size_t cap = j->cap_names ? 2 * j->cap_names : 64;
        const struct str **grown = arena_take(&j->arena, cap * sizeof *grown);
        if (j->n_names) memcpy(grown, j->name, j->n_names * sizeof *grown);
        j->name = grown;
        j->cap_names = cap;
    }
    struct str *s = arena_take(&j->arena, sizeof *s);
    *s = (struct str) { arena_strndup(&j->arena, text->s, text->len), NULL, text->len, MARK_TRUSTED };
    return j->name[j->n_names++] = s;
}

bool parse_is_op(const struct parser *p, int op) { return p->at->kind == T_OPERATOR && p->at->op == op; }
bool parse_is_name(const struct parser *p, const char *name) { return p->at->kind == T_NAME && str_is(&p->at->text, name); }
bool parse_take_op(struct parser *p, int op)
{
    if (!parse_is_op(p, op)) return false;
    p->at++;
    return true;
}
bool parse_take_name(struct parser *p, const char *name)
{
    if (!parse_is_name(p, name)) return false;
    p->at++;
    return true;
}
void parse_need_op(struct parser *p, int op)
{
    char expected[4] = { '\'', (char)op, '\'', 0 };
    if (!parse_take_op(p, op)) unexpected(p, expected);
}
bool parse_enter(struct parser *p)
{
    if (p->depth++ < JINJA_PARSE_DEPTH_MAX) return true;
    parse_failed(p, "brackets or blocks are nested too deeply");
    return false;
}

static struct node *binary(struct parser *p, enum node_kind kind, int op, struct node *a, struct node *b)
{
    struct node *n = node_new(p, kind);
    n->op = op;
    n->a = a;
    n->b = b;
    return n;
}

static struct node *constant(struct parser *p, struct value v)
{
    struct node *n = node_new(p, N_CONST);
    n->value = v;
    p->at++;
    return n;
}

static struct value token_value(struct parser *p, const struct str *text)
{
    struct str *s = arena_take(&p->j->arena, sizeof *s);
    *s = *text;
    return (struct value) { .kind = V_STRING, .s = s };
}

/* Strings that follow each other are one. */
static struct node *parse_string(struct parser *p)
{
    struct node *n = node_new(p, N_CONST);
    size_t len = 0, at = 0;
    const struct jinja_token *t = p->at;
    for (; t->kind == T_STRING; t++) len += t->text.len;
    char *joined = arena_take(&p->j->arena, len + 1);
    for (; p->at < t; p->at++) {
        memcpy(joined + at, p->at->text.s, p->at->text.len);
        at += p->at->text.len;
    }
    joined[len] = 0;
    n->value = token_value(p, &(struct str) { joined, NULL, len, MARK_TRUSTED });
    return n;
}

static struct node *parse_name(struct parser *p)
{
    if (parse_is_name(p, "true") || parse_is_name(p, "True")) return constant(p, value_bool(true));
    if (parse_is_name(p, "false") || parse_is_name(p, "False")) return constant(p, value_bool(false));
    if (parse_is_name(p, "none") || parse_is_name(p, "None")) return constant(p, value_none());
    struct node *n = node_new(p, N_NAME);
    n->name = parse_intern(p, &p->at->text);
    if (p->macro) {
        if (str_is(n->name, "varargs")) p->macro->uses_varargs = true;
        if (str_is(n->name, "kwargs")) p->macro->uses_kwargs = true;
        if (str_is(n->name, "caller")) p->macro->uses_caller = true;
    }
    p->at++;
    return n;
}

/* [a, b] behind the '['. */
static struct node *parse_list(struct parser *p)
{
    struct node *n = node_new(p, N_LIST), **tail = &n->a;
    while (p->status == SC_OK && !parse_is_op(p, ']')) {
        if (n->a) parse_need_op(p, ',');
        if (parse_is_op(p, ']')) break;
        *tail = parse_expression(p, true);
        tail = &(*tail)->next;
    }
    parse_need_op(p, ']');
    return n;
}

static struct node *parse_dict(struct parser *p)
{
    struct node *n = node_new(p, N_DICT), **tail = &n->a;
    while (p->status == SC_OK && !parse_is_op(p, '}')) {
        if (n->a) parse_need_op(p, ',');
        if (parse_is_op(p, '}')) break;
        struct node *pair = node_new(p, N_PAIR);
        pair->a = parse_expression(p, true);
        parse_need_op(p, ':');
        pair->b = parse_expression(p, true);
        *tail = pair;
        tail = &pair->next;
    }
    parse_need_op(p, '}');
    return n;
}

/* "(" behind it: a tuple, also the empty one, or an expression in brackets. */
static struct node *parse_bracketed(struct parser *p)
{
    if (parse_take_op(p, ')')) return node_new(p, N_TUPLE);
    struct node *n = parse_tuple(p, true, NULL);
    parse_need_op(p, ')');
    return n;
}

static struct node *parse_primary(struct parser *p)
{
    const struct jinja_token *t = p->at;
    if (t->kind == T_NAME) return parse_name(p);
    if (t->kind == T_STRING) return parse_string(p);
    if (t->kind == T_INT) return constant(p, value_int(t->i));
    if (t->kind == T_FLOAT) return constant(p, value_float(t->f));
    struct node *n;
    if (!parse_enter(p)) return node_new(p, N_CONST);
    if (parse_take_op(p, '(')) n = parse_bracketed(p);
    else if (parse_take_op(p, '[')) n = parse_list(p);
    else if (parse_take_op(p, '{')) n = parse_dict(p);
    else n = unexpected(p, "an expression");
    p->depth--;
    return n;
}

struct node *parse_arguments(struct parser *p)
{
    struct node *first = NULL, **tail = &first;
    bool has_keyword = false;
    while (p->status == SC_OK && !parse_is_op(p, ')')) {
        if (first) parse_need_op(p, ',');
        if (parse_is_op(p, ')')) break;
        struct node *n = node_new(p, N_ARGUMENT);
        if (parse_take_op(p, OP2('*', '*'))) n->op = ARGUMENT_SPREAD_KEYWORDS;
        else if (parse_take_op(p, '*')) n->op = ARGUMENT_SPREAD;
        else if (p->at->kind == T_NAME && p->at[1].kind == T_OPERATOR && p->at[1].op == '=') {
            n->op = ARGUMENT_KEYWORD;
            n->name = parse_intern(p, &p->at->text);
            p->at += 2;
            has_keyword = true;
        } else if (has_keyword) return parse_failed(p, "an argument without a name follows one with a name");
        n->a = parse_expression(p, true);
        *tail = n;
        tail = &n->next;
    }
    parse_need_op(p, ')');
    return first;
}

static struct node *parse_call(struct parser *p, struct node *a)
{
    struct node *n = binary(p, N_CALL, 0, a, NULL);
    if (!parse_enter(p)) return n;
    n->b = parse_arguments(p);
    p->depth--;
    return n;
}

/* One key or slice of a[...]. */
static struct node *parse_key(struct parser *p)
{
    struct node *n = node_new(p, N_SLICE);
    if (!parse_is_op(p, ':')) {
        struct node *key = parse_expression(p, true);
        if (!parse_is_op(p, ':')) return key;
        n->a = key;
    }
    parse_need_op(p, ':');
    if (!parse_is_op(p, ':') && !parse_is_op(p, ']')) n->b = parse_expression(p, true);
    if (parse_take_op(p, ':') && !parse_is_op(p, ']')) n->c = parse_expression(p, true);
    return n;
}

/* The keys of a[b, c] are one tuple. */
static struct node *parse_keys(struct parser *p)
{
    struct node *first = parse_key(p), *n, **tail = &first->next;
    if (!parse_is_op(p, ',')) return first;
    n = node_new(p, N_TUPLE);
    n->a = first;
    while (p->status == SC_OK && parse_take_op(p, ',')) {
        *tail = parse_key(p);
        if ((*tail)->kind == N_SLICE || first->kind == N_SLICE) return parse_failed(p, "a slice cannot be one of several keys");
        tail = &(*tail)->next;
    }
    return n;
}

static struct node *parse_subscript(struct parser *p, struct node *a)
{
    if (parse_take_op(p, '[')) {
        if (!parse_enter(p)) return a;
        struct node *n = binary(p, N_ITEM, 0, a, parse_keys(p));
        parse_need_op(p, ']');
        p->depth--;
        return n;
    }
    p->at++;                                              /* the dot */
    if (p->at->kind == T_INT) return binary(p, N_ITEM, 0, a, constant(p, value_int(p->at->i)));
    if (p->at->kind != T_NAME) return unexpected(p, "a name or number behind '.'");
    struct node *n = binary(p, N_ATTRIBUTE, 0, a, NULL);
    n->name = parse_intern(p, &p->at->text);
    p->at++;
    return n;
}

static struct node *parse_postfix(struct parser *p, struct node *n)
{
    for (int chain = 0; p->status == SC_OK; chain++) {
        if (chain == JINJA_NESTING_MAX) return parse_failed(p, "this chain of '.', '[]' and '()' is too long, at most %d parts are supported", JINJA_NESTING_MAX);
        if (parse_is_op(p, '.') || parse_is_op(p, '[')) n = parse_subscript(p, n);
        else if (parse_take_op(p, '(')) n = parse_call(p, n);
        else break;
    }
    return n;
}

/* name.name of a filter or test, as one. */
static struct str parse_dotted(struct parser *p)
{
    struct str s = p->at->text;
    if (p->at->kind != T_NAME) { unexpected(p, "the name of a filter or test"); return (struct str) { .s = "" }; }
    for (p->at++; parse_is_op(p, '.') && p->at[1].kind == T_NAME; p->at += 2)
        s.len = (size_t)(p->at[1].text.s + p->at[1].text.len - s.s);
    return s;
}

/* a|name(...)|name; `starts_inline`: the first stands without '|' (filter blocks). */
struct node *parse_filters(struct parser *p, struct node *a, bool starts_inline)
{
    for (int chain = 0; p->status == SC_OK && (starts_inline || parse_take_op(p, '|')); starts_inline = false, chain++) {
        if (chain == JINJA_NESTING_MAX) return parse_failed(p, "this chain of filters is too long, at most %d are supported", JINJA_NESTING_MAX);
        struct node *n = binary(p, N_FILTER, 0, a, NULL);
        struct str name = parse_dotted(p);
        n->name = parse_intern(p, &name);
        n->row = filter_find(name.s, name.len);
        if (parse_take_op(p, '(')) n = (n->b = parse_call(p, NULL)->b, n);
        a = n;
    }
    return a;
}

static bool starts_test_argument(const struct parser *p)
{
    const struct jinja_token *t = p->at;
    if (t->kind == T_NAME) return !str_is(&t->text, "else") && !str_is(&t->text, "or") && !str_is(&t->text, "and");
    return t->kind == T_STRING || t->kind == T_INT || t->kind == T_FLOAT || (t->kind == T_OPERATOR && (t->op == '(' || t->op == '[' || t->op == '{'));
}

static struct node *parse_test(struct parser *p, struct node *a)
{
    struct node *n = binary(p, N_TEST, 0, a, NULL);
    n->op = parse_take_name(p, "not");
    struct str name = parse_dotted(p);
    n->name = parse_intern(p, &name);
    n->row = test_find(name.s, name.len);
    if (parse_take_op(p, '(')) n->b = parse_call(p, NULL)->b;
    else if (starts_test_argument(p)) {
        if (parse_is_name(p, "is")) return parse_failed(p, "tests cannot be chained with 'is'");
        n->b = node_new(p, N_ARGUMENT);
        n->b->a = parse_postfix(p, parse_primary(p));
    }
    return n;
}

static struct node *parse_filters_and_tests(struct parser *p, struct node *n)
{
    for (int chain = 0; p->status == SC_OK; chain++) {
        if (chain == JINJA_NESTING_MAX) return parse_failed(p, "this chain of filters is too long, at most %d are supported", JINJA_NESTING_MAX);
        if (parse_is_op(p, '|')) n = parse_filters(p, n, false);
        else if (parse_take_name(p, "is")) n = parse_test(p, n);
        else if (parse_take_op(p, '(')) n = parse_call(p, n);
        else break;
    }
    return n;
}

static struct node *parse_unary(struct parser *p, bool with_filter)
{
    struct node *n;
    if (!parse_enter(p)) return node_new(p, N_CONST);
    if (parse_take_op(p, '-')) n = binary(p, N_MINUS, 0, parse_unary(p, false), NULL);
    else if (parse_take_op(p, '+')) n = binary(p, N_PLUS, 0, parse_unary(p, false), NULL);
    else n = parse_primary(p);
    n = parse_postfix(p, n);
    if (with_filter) n = parse_filters_and_tests(p, n);
    p->depth--;
    return n;
}

/* Binary operators that join to the left, loosest first. */
static const int level_ops[][4] = { { '+', '-' }, { '~' }, { '*', '/', OP2('/', '/'), '%' }, { OP2('*', '*') } };
enum { LEVELS = sizeof level_ops / sizeof *level_ops };

static struct node *parse_level(struct parser *p, int level)
{
    if (level == LEVELS) return parse_unary(p, true);
    struct node *n = parse_level(p, level + 1);
    for (bool found = true; found && p->status == SC_OK;) {
        found = false;
        for (int i = 0; i < 4 && level_ops[level][i] && !found; i++)
            if (parse_take_op(p, level_ops[level][i])) {
                n = binary(p, N_BINARY, level_ops[level][i], n, parse_level(p, level + 1));
                found = true;
            }
    }
    return n;
}

static int take_comparison(struct parser *p)
{
    static const int ops[] = { OP2('=', '='), OP2('!', '='), '<', OP2('<', '='), '>', OP2('>', '=') };
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (parse_take_op(p, ops[i])) return ops[i];
    if (parse_take_name(p, "in")) return OPERAND_IN;
    if (parse_is_name(p, "not") && p->at[1].kind == T_NAME && str_is(&p->at[1].text, "in")) {
        p->at += 2;
        return OPERAND_NOT_IN;
    }
    return 0;
}

static struct node *parse_compare(struct parser *p)
{
    struct node *a = parse_level(p, 0), *n = NULL, **tail = NULL;
    for (int op; p->status == SC_OK && (op = take_comparison(p)) != 0;) {
        if (!n) {
            n = binary(p, N_COMPARE, 0, a, NULL);
            tail = &n->b;
        }
        *tail = binary(p, N_OPERAND, op, parse_level(p, 0), NULL);
        tail = &(*tail)->next;
    }
    return n ? n : a;
}

static struct node *parse_not(struct parser *p)
{
    if (!parse_is_name(p, "not")) return parse_compare(p);
    if (!parse_enter(p)) return node_new(p, N_CONST);
    p->at++;
    struct node *n = binary(p, N_NOT, 0, parse_not(p), NULL);
    p->depth--;
    return n;
}

/* Operands of a chain of `and` (or of `or`) are a list, so that long chains need no deep tree. */
static struct node *parse_chain(struct parser *p, const char *word, enum node_kind kind)
{
    struct node *first = kind == N_OR ? parse_chain(p, "and", N_AND) : parse_not(p), *n = NULL, *last = first;
    while (p->status == SC_OK && parse_take_name(p, word)) {
        if (!n) n = binary(p, kind, 0, first, NULL);
        struct node *wrapped = kind == N_OR ? parse_chain(p, "and", N_AND) : parse_not(p);
        last = last->next = wrapped;
    }
    return n ? n : first;
}

struct node *parse_expression(struct parser *p, bool allow_conditional)
{
    if (!parse_enter(p)) return node_new(p, N_CONST);
    struct node *n = parse_chain(p, "or", N_OR);
    for (int chain = 0; allow_conditional && p->status == SC_OK && parse_take_name(p, "if"); chain++) {
        if (chain == JINJA_NESTING_MAX) { n = parse_failed(p, "too many 'if' follow each other in this expression"); break; }
        n = binary(p, N_CONDITIONAL, 0, n, NULL);
        n->b = parse_chain(p, "or", N_OR);
        if (parse_take_name(p, "else")) n->c = parse_expression(p, true);
    }
    p->depth--;
    return n;
}

static bool tuple_ends(const struct parser *p, const char *end_name)
{
    return p->at->kind == T_BLOCK_END || p->at->kind == T_PRINT_END || p->at->kind == T_END || parse_is_op(p, ')') || (end_name && parse_is_name(p, end_name));
}

struct node *parse_tuple(struct parser *p, bool allow_conditional, const char *end_name)
{
    struct node *first = parse_expression(p, allow_conditional);
    if (!parse_is_op(p, ',')) return first;
    struct node *n = node_new(p, N_TUPLE), **tail = &first->next;
    n->a = first;
    while (p->status == SC_OK && parse_take_op(p, ',') && !tuple_ends(p, end_name)) {
        *tail = parse_expression(p, allow_conditional);
        tail = &(*tail)->next;
    }
    return n;
}

static struct node *parse_target_name(struct parser *p)
{
    static const char *const reserved[] = { "true", "false", "none", "True", "False", "None" };
    if (p->at->kind != T_NAME) return unexpected(p, "the name of a variable");
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (parse_is_name(p, reserved[i])) return parse_failed(p, "cannot assign to '%s'", reserved[i]);
    struct node *n = node_new(p, N_NAME);
    n->name = parse_intern(p, &p->at->text);
    p->at++;
    if (parse_take_op(p, '.')) {
        struct node *attribute = binary(p, N_ATTRIBUTE, 0, n, NULL);
        if (p->at->kind != T_NAME) return unexpected(p, "the name of an attribute");
        attribute->name = parse_intern(p, &p->at->text);
        p->at++;
        return attribute;
    }
    return n;
}

struct node *parse_target(struct parser *p)
{
    if (!parse_enter(p)) return node_new(p, N_CONST);
    struct node *first = NULL, **tail = &first, *n = NULL;
    bool is_tuple = false;
    do {
        if (first && (parse_is_op(p, '=') || parse_is_op(p, ')') || parse_is_name(p, "in"))) break;
        if (parse_take_op(p, '(')) {
            *tail = parse_target(p);
            parse_need_op(p, ')');
        } else *tail = parse_target_name(p);
        tail = &(*tail)->next;
    } while (p->status == SC_OK && parse_take_op(p, ',') && (is_tuple = true));
    if (is_tuple) {
        n = node_new(p, N_TUPLE);
        n->a = first;
    }
    p->depth--;
    return n ? n : first;
}
