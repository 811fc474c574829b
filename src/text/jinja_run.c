/* jinja_run.c - statements: scopes, output, loops, macros, blocks.
 *
 * Scopes as in Jinja2: a loop's body, a macro and a block that is captured have their own, an `if` has not; what is
 * set inside is gone outside, except in a namespace. A macro sees the scope that it was written in. */
#include "jinja_internal.h"

#include <string.h>

/* ---- scopes ---------------------------------------------------------------------------------------------------------- */

struct scope *scope_push(struct render *r)
{
    struct scope *outer = r->scope, *s = take(r, sizeof *s);
    if (!s) return outer;
    *s = (struct scope) { .parent = outer };
    r->scope = s;
    return outer;
}

void scope_set(struct render *r, struct scope *s, const struct str *name, struct value v)
{
    if (failed(r)) return;
    for (size_t i = 0; i < s->len; i++)
        if (s->binding[i].name == name) { s->binding[i].value = v; return; }
    if (s->len == s->cap) {
        size_t cap = 2 * s->cap + 4;
        struct binding *grown = take(r, cap * sizeof *grown);
        if (!grown) return;
        if (s->len) memcpy(grown, s->binding, s->len * sizeof *grown);
        s->binding = grown;
        s->cap = cap;
    }
    s->binding[s->len++] = (struct binding) { name, v };
}

const struct value *scope_get(const struct scope *s, const struct str *name)
{
    for (; s; s = s->parent)
        for (size_t i = 0; i < s->len; i++)
            if (s->binding[i].name == name) return &s->binding[i].value;
    return NULL;
}

/* ---- output ------------------------------------------------------------------------------------------------------------ */

void output_put(struct render *r, const struct str *s)
{
    struct output *o = r->out;
    if (failed(r) || !s->len || !step(r, s->len / 256)) return;
    if (o->text.len + s->len > JINJA_OUTPUT_MAX) { fail(r, "the output grows beyond %d MiB", JINJA_OUTPUT_MAX >> 20); return; }
    size_t at = o->mark.len;
    buf_append(&o->text, s->s, s->len);
    buf_append(&o->mark, s->mark ? (const char *)s->mark : s->s, s->len);
    if (!s->mark) memset(o->mark.data + at, s->fill, s->len);
    if (r->mark)
        for (size_t i = at; i < o->mark.len; i++) o->mark.data[i] = (char)((unsigned char)o->mark.data[i] | r->mark);
}

/* What `body` writes, as a string. */
static struct value capture(struct render *r, const struct node *body)
{
    struct output o, *outer = r->out;
    uint8_t mark = r->mark;
    struct builder b = { .r = r };
    buf_init(&o.text, 0);
    buf_init(&o.mark, 0);
    r->out = &o;
    r->mark = 0;
    run_nodes(r, body);
    r->out = outer;
    r->mark = mark;
    struct str s = { o.text.data ? o.text.data : "", (uint8_t *)o.mark.data, o.text.len, 0 };
    if (!s.mark) s.fill = MARK_TRUSTED;
    builder_put_str(&b, &s);
    struct value v = value_str(builder_end(&b));
    buf_release(&o.text);
    buf_release(&o.mark);
    return v;
}

/* ---- assignment ---------------------------------------------------------------------------------------------------------- */

static void assign(struct render *r, const struct node *target, const struct value *v)
{
    if (failed(r)) return;
    r->line = target->line;
    if (target->kind == N_NAME) { scope_set(r, r->scope, target->name, *v); return; }
    if (target->kind == N_ATTRIBUTE) {
        const struct value *object = scope_get(r->scope, target->a->name);
        if (!object || object->kind != V_NAMESPACE) fail(r, "cannot set '%s.%s', expected a namespace: {%% set %s = namespace() %%}", target->a->name->s, target->name->s, target->a->name->s);
        else if (namespace_allows(r, target->name)) dict_set(r, object->d, value_str(target->name), *v);
        return;
    }
    size_t want = 0, i = 0;
    for (const struct node *n = target->a; n; n = n->next) want++;
    const struct list *l = value_items(r, v);
    if (!failed(r) && l->len != want) fail(r, "%zu values cannot be given to %zu names", l->len, want);
    for (const struct node *n = target->a; n && !failed(r); n = n->next) assign(r, n, &l->item[i++]);
}

/* ---- loops ------------------------------------------------------------------------------------------------------------------ */

static const struct list *filter_items(struct render *r, const struct node *n, const struct list *items)
{
    struct value kept = value_list(r, items->len, LIST_PLAIN);
    size_t len = 0;
    for (size_t i = 0; i < items->len && !failed(r); i++) {
        struct scope *outer = scope_push(r);
        assign(r, n->a, &items->item[i]);
        struct value test = eval(r, n->c);
        r->scope = outer;
        if (!failed(r) && value_true(&test)) kept.l->item[len++] = items->item[i];
    }
    if (failed(r)) return items;
    kept.l->len = len;
    return kept.l;
}

/* Returns whether a turn came to its end: after a break or continue it did not, and `else` is for when none did. */
static bool run_items(struct render *r, const struct node *n, const struct list *items, int depth)
{
    struct loop *loop = take(r, sizeof *loop);
    bool any = false;
    if (!loop) return true;
    *loop = (struct loop) { .list = items, .depth = depth, .node = n, .scope = r->scope };
    for (size_t i = 0; i < items->len && step(r, 1); i++) {
        struct scope *outer = scope_push(r);
        loop->at = i;
        scope_set(r, r->scope, r->j->loop, (struct value) { .kind = V_LOOP, .loop = loop });
        assign(r, n->a, &items->item[i]);
        run_nodes(r, n->d->a);
        r->scope = outer;
        enum flow flow = r->flow;
        r->flow = FLOW_ON;
        any |= flow == FLOW_ON;
        if (flow == FLOW_BREAK) break;
    }
    return any;
}

static void run_loop_here(struct render *r, const struct node *n, const struct value *from, int depth)
{
    const struct list *items = value_items(r, from);
    if (n->c) items = filter_items(r, n, items);
    if (failed(r) || run_items(r, n, items, depth) || failed(r)) return;
    struct scope *outer = scope_push(r);
    run_nodes(r, n->d->b);
    r->scope = outer;
}

static void run_for(struct render *r, const struct node *n)
{
    struct value from = eval(r, n->b);
    if (!failed(r)) run_loop_here(r, n, &from, 1);
}

/* loop(items) inside a recursive loop. */
struct value run_loop(struct render *r, const struct node *n, struct value items, int depth, struct scope *scope)
{
    struct output o, *outer_out = r->out;
    struct scope *outer = r->scope;
    struct builder b = { .r = r };
    if (r->calls >= JINJA_CALLS_MAX) return fail(r, "calls are nested more than %d levels deep", JINJA_CALLS_MAX);
    r->calls++;
    buf_init(&o.text, 0);
    buf_init(&o.mark, 0);
    r->out = &o;
    r->scope = scope;
    run_loop_here(r, n, &items, depth);
    r->scope = outer;
    r->out = outer_out;
    r->calls--;
    if (o.text.len) builder_put_str(&b, &(struct str) { o.text.data, (uint8_t *)o.mark.data, o.text.len, 0 });
    struct value v = value_str(builder_end(&b));
    buf_release(&o.text);
    buf_release(&o.mark);
    return v;
}

/* ---- macros -------------------------------------------------------------------------------------------------------------------- */

static size_t find_keyword(const struct call_args *args, const struct str *name)
{
    for (size_t i = 0; i < args->n_keywords; i++)
        if (str_equal(args->keyword[i].key.s, name)) return i;
    return SIZE_MAX;
}

/* Arguments that no parameter took. */
static void bind_rest(struct render *r, const struct node *macro, const struct call_args *args, size_t n_positional, const bool *taken)
{
    struct value rest = value_list(r, args->len - n_positional, LIST_TUPLE), named = value_dict(r, 0);
    for (size_t i = n_positional; i < args->len && !failed(r); i++) rest.l->item[i - n_positional] = args->value[i];
    for (size_t i = 0; i < args->n_keywords && !failed(r); i++) {
        if (taken[i]) continue;
        const struct str *name = args->keyword[i].key.s;
        if (str_equal(name, r->j->caller) && macro->uses_caller) scope_set(r, r->scope, r->j->caller, args->keyword[i].value);
        else if (macro->uses_kwargs) dict_set(r, named.d, args->keyword[i].key, args->keyword[i].value);
        else fail(r, "the macro '%s' has no parameter '%.*s'", macro->name->s, (int)name->len, name->s);
    }
    if (failed(r)) return;
    if (rest.l->len && !macro->uses_varargs) fail(r, "the macro '%s' takes at most %zu arguments, found %zu", macro->name->s, n_positional, args->len);
    if (macro->uses_varargs) scope_set(r, r->scope, r->j->varargs, rest);
    if (macro->uses_kwargs) scope_set(r, r->scope, r->j->kwargs, named);
}

static void bind_parameters(struct render *r, const struct node *macro, const struct call_args *args)
{
    size_t i = 0;
    bool *taken = take(r, args->n_keywords + 1);
    if (!taken) return;
    memset(taken, 0, args->n_keywords + 1);
    for (const struct node *p = macro->a; p && !failed(r); p = p->next, i++) {
        size_t keyword = find_keyword(args, p->name);
        if (keyword != SIZE_MAX) taken[keyword] = true;
        if (keyword != SIZE_MAX && i < args->len) { fail(r, "the macro '%s' got two values for '%s'", macro->name->s, p->name->s); return; }
        if (i < args->len) scope_set(r, r->scope, p->name, args->value[i]);
        else if (keyword != SIZE_MAX) scope_set(r, r->scope, p->name, args->keyword[keyword].value);
        else scope_set(r, r->scope, p->name, p->a ? eval(r, p->a) : value_undefined(p->name->s));
    }
    if (!failed(r)) bind_rest(r, macro, args, i < args->len ? i : args->len, taken);
}

struct value run_macro(struct render *r, const struct callable *c, const struct call_args *args)
{
    struct scope *outer = r->scope;
    enum flow flow = r->flow;
    if (r->calls >= JINJA_CALLS_MAX) return fail(r, "calls are nested more than %d levels deep, macro '%s' may call itself without end", JINJA_CALLS_MAX, c->macro->name->s);
    r->calls++;
    r->scope = c->scope;
    scope_push(r);
    bind_parameters(r, c->macro, args);
    struct value v = failed(r) ? value_none() : capture(r, c->macro->b);
    r->scope = outer;
    r->flow = flow;
    r->calls--;
    return v;
}

static struct value make_macro(struct render *r, const struct node *n)
{
    struct callable *c = take(r, sizeof *c);
    if (!c) return value_none();
    *c = (struct callable) { .macro = n, .scope = r->scope };
    return (struct value) { .kind = V_CALLABLE, .c = c };
}

static void run_macro_definition(struct render *r, const struct node *n) { scope_set(r, r->scope, n->name, make_macro(r, n)); }

static void run_call_block(struct render *r, const struct node *n)
{
    struct value f = eval(r, n->c->a), caller = make_macro(r, n);
    struct call_args args = eval_arguments(r, n->c->b);
    struct entry *keyword = take(r, (args.n_keywords + 1) * sizeof *keyword);
    if (!keyword) return;
    if (args.n_keywords) memcpy(keyword, args.keyword, args.n_keywords * sizeof *keyword);
    keyword[args.n_keywords++] = (struct entry) { value_str(r->j->caller), caller };
    args.keyword = keyword;
    struct value v = call_value(r, &f, &args, n->c->a->name ? n->c->a->name->s : "this");
    output_put(r, value_to_str(r, &v));
}

/* ---- one function a kind of node ------------------------------------------------------------------------------------------------- */

static void run_text(struct render *r, const struct node *n) { output_put(r, n->value.s); }

static void run_print(struct render *r, const struct node *n)
{
    struct value v = eval(r, n->a);
    if (!failed(r)) output_put(r, value_to_str(r, &v));
}

static void run_if(struct render *r, const struct node *n)
{
    for (const struct node *branch = n->a; branch && !failed(r); branch = branch->next) {
        struct value test = branch->a ? eval(r, branch->a) : value_bool(true);
        if (failed(r) || !value_true(&test)) continue;
        run_nodes(r, branch->b);
        return;
    }
}

static void run_set(struct render *r, const struct node *n)
{
    struct value v = eval(r, n->b);
    assign(r, n->a, &v);
}

static struct value capture_scoped(struct render *r, const struct node *body)
{
    struct scope *outer = scope_push(r);
    struct value v = capture(r, body);
    r->scope = outer;
    return v;
}

static void run_set_block(struct render *r, const struct node *n)
{
    struct value v = capture_scoped(r, n->c);
    if (n->b && !failed(r)) v = apply_filter(r, n->b, v);
    assign(r, n->a, &v);
}

static void run_filter_block(struct render *r, const struct node *n)
{
    struct value v = capture_scoped(r, n->b);
    if (!failed(r)) v = apply_filter(r, n->a, v);
    if (!failed(r)) output_put(r, value_to_str(r, &v));
}

static void run_with(struct render *r, const struct node *n)
{
    struct scope *outer = r->scope, *inner;
    scope_push(r);
    inner = r->scope;
    for (const struct node *set = n->a; set && !failed(r); set = set->next) {
        r->scope = outer;                                 /* values are those of outside */
        struct value v = eval(r, set->b);
        r->scope = inner;
        assign(r, set->a, &v);
    }
    run_nodes(r, n->b);
    r->scope = outer;
}

static void run_generation(struct render *r, const struct node *n)
{
    struct scope *outer = scope_push(r);
    uint8_t mark = r->mark;
    r->mark |= MARK_GENERATED;
    run_nodes(r, n->a);
    r->mark = mark;
    r->scope = outer;
}

static void run_jump(struct render *r, const struct node *n) { r->flow = n->kind == N_BREAK ? FLOW_BREAK : FLOW_CONTINUE; }

void run_nodes(struct render *r, const struct node *list)
{
    static void (*const rows[])(struct render *, const struct node *) = {
        [N_TEXT] = run_text, [N_PRINT] = run_print, [N_IF] = run_if, [N_FOR] = run_for, [N_SET] = run_set, [N_SET_BLOCK] = run_set_block,
        [N_MACRO] = run_macro_definition, [N_CALL_BLOCK] = run_call_block, [N_FILTER_BLOCK] = run_filter_block, [N_WITH] = run_with,
        [N_GENERATION] = run_generation, [N_BREAK] = run_jump, [N_CONTINUE] = run_jump,
    };
    if (r->depth >= JINJA_DEPTH_MAX) { fail(r, "blocks and calls are nested more than %d levels deep", JINJA_DEPTH_MAX); return; }
    r->depth++;
    for (const struct node *n = list; n && r->flow == FLOW_ON && step(r, 1); n = n->next) {
        r->line = n->line;
        rows[n->kind](r, n);
    }
    r->depth--;
}
