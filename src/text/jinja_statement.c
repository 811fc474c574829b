/* jinja_statement.c - tokens to the tree of a template: text, {{ }}, and one row for each tag. */
#include "jinja_internal.h"

#include <string.h>

static struct node *parse_body(struct parser *p, const char *const *ends);

static void need_block_end(struct parser *p)
{
    char q[64];
    if (p->at->kind == T_BLOCK_END) p->at++;
    else parse_failed(p, "found %s, expected '%%}'", token_show(p->at, q, sizeof q));
}

/* The body up to {% end %}, whose name is taken, and its '%}'. */
static struct node *parse_block(struct parser *p, const char *end)
{
    const char *ends[] = { end, NULL };
    need_block_end(p);
    struct node *body = parse_body(p, ends);
    p->at += p->status == SC_OK;
    need_block_end(p);
    return body;
}

static struct node *parse_if(struct parser *p)
{
    static const char *const ends[] = { "elif", "else", "endif", NULL };
    struct node *n = node_new(p, N_IF), **tail = &n->a;
    for (;;) {
        struct node *branch = *tail = node_new(p, N_BRANCH);
        tail = &branch->next;
        branch->a = parse_tuple(p, false, NULL);
        need_block_end(p);
        branch->b = parse_body(p, ends);
        if (p->status != SC_OK || !parse_take_name(p, "elif")) break;
    }
    if (parse_take_name(p, "else")) {
        need_block_end(p);
        static const char *const end[] = { "endif", NULL };
        *tail = node_new(p, N_BRANCH);
        (*tail)->b = parse_body(p, end);
    }
    p->at += p->status == SC_OK;
    need_block_end(p);
    return n;
}

static bool names_loop(const struct node *target)
{
    if (target->kind == N_NAME) return str_is(target->name, "loop");
    for (const struct node *n = target->kind == N_TUPLE ? target->a : NULL; n; n = n->next)
        if (names_loop(n)) return true;
    return false;
}

/* a: target, b: items, c: filter or NULL, d: N_BRANCH with a = body, b = else body; op: recursive. */
static struct node *parse_for(struct parser *p)
{
    static const char *const ends[] = { "else", "endfor", NULL };
    struct node *n = node_new(p, N_FOR);
    n->a = parse_target(p);
    if (names_loop(n->a)) return parse_failed(p, "a 'for' cannot give values to 'loop'");
    if (!parse_take_name(p, "in")) return parse_failed(p, "expected 'in' behind the variables of 'for'");
    n->b = parse_tuple(p, false, "recursive");
    if (parse_take_name(p, "if")) n->c = parse_expression(p, true);
    n->op = parse_take_name(p, "recursive");
    need_block_end(p);
    n->d = node_new(p, N_BRANCH);
    p->loops++;
    n->d->a = parse_body(p, ends);
    p->loops--;
    if (parse_take_name(p, "else")) n->d->b = parse_block(p, "endfor");
    else {
        p->at += p->status == SC_OK;
        need_block_end(p);
    }
    return n;
}

/* a: target, b: value, or for a block: b: filters (their innermost operand NULL), c: body. */
static struct node *parse_set(struct parser *p)
{
    struct node *n = node_new(p, N_SET);
    n->a = parse_target(p);
    if (parse_take_op(p, '=')) {
        n->b = parse_tuple(p, true, NULL);
        need_block_end(p);
        return n;
    }
    n->kind = N_SET_BLOCK;
    n->b = parse_filters(p, NULL, false);
    n->c = parse_block(p, "endset");
    return n;
}

/* a: parameters (N_ARGUMENT with name and default in a). */
static void parse_parameters(struct parser *p, struct node *n)
{
    struct node **tail = &n->a;
    bool has_default = false;
    while (p->status == SC_OK && !parse_is_op(p, ')')) {
        if (n->a) parse_need_op(p, ',');
        if (parse_is_op(p, ')')) break;
        if (p->at->kind != T_NAME) { parse_failed(p, "expected the name of a parameter"); return; }
        *tail = node_new(p, N_ARGUMENT);
        (*tail)->name = parse_intern(p, &p->at->text);
        for (const struct node *other = n->a; other != *tail; other = other->next)
            if (other->name == (*tail)->name) { parse_failed(p, "the parameter '%s' is there twice", other->name->s); return; }
        p->at++;
        if (parse_take_op(p, '=')) (*tail)->a = parse_expression(p, true);
        else if (has_default) { parse_failed(p, "the parameter '%s' has no default and follows one that has", (*tail)->name->s); return; }
        has_default = (*tail)->a;
        tail = &(*tail)->next;
    }
    parse_need_op(p, ')');
}

/* Loops around a macro cannot be left from inside it. */
static struct node *parse_macro_body(struct parser *p, struct node *n, const char *end)
{
    struct node *outer = p->macro;
    int loops = p->loops;
    p->macro = n;
    p->loops = 0;
    n->b = parse_block(p, end);
    p->loops = loops;
    p->macro = outer;
    if (outer) outer->uses_caller |= n->kind == N_CALL_BLOCK && n->uses_caller;
    return n;
}

static struct node *parse_macro(struct parser *p)
{
    struct node *n = node_new(p, N_MACRO);
    if (p->at->kind != T_NAME) return parse_failed(p, "expected the name of the macro");
    n->name = parse_intern(p, &p->at->text);
    p->at++;
    parse_need_op(p, '(');
    parse_parameters(p, n);
    return parse_macro_body(p, n, "endmacro");
}

/* {% call(parameters) f(...) %}: c holds the call; the rest is as in a macro. */
static struct node *parse_call_block(struct parser *p)
{
    struct node *n = node_new(p, N_CALL_BLOCK);
    if (parse_take_op(p, '(')) parse_parameters(p, n);
    n->c = parse_expression(p, true);
    if (p->status == SC_OK && n->c->kind != N_CALL) return parse_failed(p, "expected the call of a macro behind 'call'");
    n->name = parse_intern(p, &(struct str) { "caller", NULL, 6, MARK_TRUSTED });
    return parse_macro_body(p, n, "endcall");
}

static struct node *parse_filter_block(struct parser *p)
{
    struct node *n = node_new(p, N_FILTER_BLOCK);
    n->a = parse_filters(p, NULL, true);
    n->b = parse_block(p, "endfilter");
    return n;
}

static struct node *parse_with(struct parser *p)
{
    struct node *n = node_new(p, N_WITH), **tail = &n->a;
    while (p->status == SC_OK && p->at->kind != T_BLOCK_END) {
        if (n->a) parse_need_op(p, ',');
        struct node *set = *tail = node_new(p, N_SET);
        tail = &set->next;
        set->a = parse_target(p);
        parse_need_op(p, '=');
        set->b = parse_expression(p, true);
    }
    n->b = parse_block(p, "endwith");
    return n;
}

/* What the assistant said, for labels (transformers' extension). A block that prints nothing would mark the template's
 * own words alone, which is a mistake. */
static struct node *parse_generation(struct parser *p)
{
    struct node *n = node_new(p, N_GENERATION);
    size_t prints = p->prints;
    n->a = parse_block(p, "endgeneration");
    p->j->has_generation = true;
    if (p->status == SC_OK && p->prints == prints) return parse_failed(p, "the generation block prints nothing of a message, expected a {{ }} inside it");
    return n;
}

static struct node *parse_jump(struct parser *p, enum node_kind kind)
{
    struct node *n = node_new(p, kind);
    if (!p->loops) return parse_failed(p, "'%s' stands outside of a loop", kind == N_BREAK ? "break" : "continue");
    need_block_end(p);
    return n;
}
static struct node *parse_break(struct parser *p) { return parse_jump(p, N_BREAK); }
static struct node *parse_continue(struct parser *p) { return parse_jump(p, N_CONTINUE); }

static const struct { const char *name; struct node *(*parse)(struct parser *p); } tags[] = {
    { "if", parse_if }, { "for", parse_for }, { "set", parse_set }, { "macro", parse_macro }, { "call", parse_call_block },
    { "filter", parse_filter_block }, { "with", parse_with }, { "generation", parse_generation }, { "break", parse_break },
    { "continue", parse_continue },
};

static struct node *parse_tag(struct parser *p)
{
    char q[64];
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (parse_take_name(p, tags[i].name)) {
            if (!parse_enter(p)) break;
            struct node *n = tags[i].parse(p);
            p->depth--;
            return n;
        }
    bool closes = p->at->kind == T_NAME && (parse_is_name(p, "else") || parse_is_name(p, "elif") || (p->at->text.len > 3 && memcmp(p->at->text.s, "end", 3) == 0));
    if (closes) return parse_failed(p, "%s does not belong to the block that is open here", token_show(p->at, q, sizeof q));
    return parse_failed(p, "unknown tag %s, expected one of if, for, set, macro, call, filter, with, generation, break, continue", token_show(p->at, q, sizeof q));
}

static struct node *parse_text(struct parser *p)
{
    struct node *n = node_new(p, N_TEXT);
    struct str *s = arena_take(&p->j->arena, sizeof *s);
    *s = p->at->text;
    n->value = value_str(s);
    p->at++;
    return n;
}

static struct node *parse_print(struct parser *p)
{
    struct node *n = node_new(p, N_PRINT);
    char q[64];
    p->at++;
    p->prints++;
    n->a = parse_tuple(p, true, NULL);
    if (p->at->kind == T_PRINT_END) p->at++;
    else parse_failed(p, "found %s, expected '}}'", token_show(p->at, q, sizeof q));
    return n;
}

static bool at_end_tag(const struct parser *p, const char *const *ends)
{
    for (; *ends; ends++)
        if (p->at[1].kind == T_NAME && str_is(&p->at[1].text, *ends)) return true;
    return false;
}

/* Nodes up to a tag named in `ends` (NULL: to the end of the template); then p->at is at that name. */
static struct node *parse_body(struct parser *p, const char *const *ends)
{
    struct node *first = NULL, **tail = &first;
    for (; p->status == SC_OK; tail = &(*tail)->next) {
        if (p->at->kind == T_END) {
            if (ends) parse_failed(p, "the template ends inside a block, expected '{%% %s %%}'", ends[1] ? ends[2] ? ends[2] : ends[1] : ends[0]);
            break;
        }
        if (p->at->kind == T_TEXT) *tail = parse_text(p);
        else if (p->at->kind == T_PRINT_BEGIN) *tail = parse_print(p);
        else if (ends && at_end_tag(p, ends)) {
            p->at++;
            break;
        } else {
            p->at++;
            *tail = parse_tag(p);
        }
    }
    return first;
}

void parse_template(struct parser *p) { p->j->body = parse_body(p, NULL); }
