/* jinja_eval.c - expressions to values. Every evaluation counts as a step, and nesting is limited, so that no template
 * runs or recurses without end. */
#include "jinja_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct value fail(struct render *r, const char *format, ...)
{
    char text[JINJA_MESSAGE_BYTES];
    va_list args;
    if (failed(r)) return value_none();
    va_start(args, format);
    jinja_message(text, format, args);
    va_end(args);
    r->status = FAIL(r->err, SC_E_ARGUMENT, "%s, line %u: %s", r->j->what, r->line, text);
    return value_none();
}

bool step(struct render *r, uint64_t n)
{
    if (failed(r)) return false;
    r->steps += n;
    if (r->steps > JINJA_STEPS_MAX) fail(r, "rendering takes more than %d steps, the template may never end", JINJA_STEPS_MAX);
    return !failed(r);
}

void *take(struct render *r, size_t bytes)
{
    if (failed(r)) return NULL;
    if (bytes > JINJA_MEMORY_MAX || r->arena.used + bytes > JINJA_MEMORY_MAX) {
        fail(r, "rendering takes more than %d MiB of memory", JINJA_MEMORY_MAX >> 20);
        return NULL;
    }
    return arena_take(&r->arena, bytes);
}

static struct value not_there(struct render *r, const struct value *v)
{
    const char *quote = strchr(v->missing, ' ') ? "" : "'";
    return fail(r, "%s%s%s is undefined", quote, v->missing, quote);
}

/* ---- attributes, items, slices ---------------------------------------------------------------------------------------- */

static struct value bind(struct render *r, const struct callable_row *row, const struct value *self)
{
    struct callable *c = take(r, sizeof *c);
    if (!c) return value_none();
    *c = (struct callable) { .row = row, .self = *self };
    return (struct value) { .kind = V_CALLABLE, .c = c };
}

static struct value loop_attribute(struct render *r, const struct value *v, const struct str *name)
{
    const struct loop *l = v->loop;
    int64_t at = (int64_t)l->at, len = (int64_t)l->list->len;
    if (str_is(name, "index")) return value_int(at + 1);
    if (str_is(name, "index0")) return value_int(at);
    if (str_is(name, "revindex")) return value_int(len - at);
    if (str_is(name, "revindex0")) return value_int(len - at - 1);
    if (str_is(name, "first")) return value_bool(at == 0);
    if (str_is(name, "last")) return value_bool(at + 1 == len);
    if (str_is(name, "length")) return value_int(len);
    if (str_is(name, "depth")) return value_int(l->depth);
    if (str_is(name, "depth0")) return value_int(l->depth - 1);
    if (str_is(name, "previtem")) return at ? l->list->item[at - 1] : value_undefined("loop.previtem");
    if (str_is(name, "nextitem")) return at + 1 < len ? l->list->item[at + 1] : value_undefined("loop.nextitem");
    const struct callable_row *row = method_find(v, name);
    return row ? bind(r, row, v) : value_undefined(name->s);
}

static struct value macro_attribute(struct render *r, const struct node *macro, const struct str *name)
{
    if (str_is(name, "name")) return value_str(macro->name);
    if (str_is(name, "catch_kwargs")) return value_bool(macro->uses_kwargs);
    if (str_is(name, "catch_varargs")) return value_bool(macro->uses_varargs);
    if (str_is(name, "caller")) return value_bool(macro->uses_caller);
    if (!str_is(name, "arguments")) return value_undefined(name->s);
    size_t n = 0;
    for (const struct node *p = macro->a; p; p = p->next) n++;
    struct value v = value_list(r, n, LIST_TUPLE);
    n = 0;
    for (const struct node *p = macro->a; p && !failed(r); p = p->next) v.l->item[n++] = value_str(p->name);
    return v;
}

struct value get_attribute(struct render *r, const struct value *v, const struct str *name)
{
    if (v->kind == V_UNDEFINED) return not_there(r, v);
    if (v->kind == V_LOOP) return loop_attribute(r, v, name);
    const struct callable_row *row = method_find(v, name);
    if (row) return row->call ? bind(r, row, v) : value_undefined(row->name);
    if (v->kind == V_DICT || v->kind == V_NAMESPACE) {
        struct value key = value_str(name);
        const struct value *found = dict_get(r, v->d, &key);
        if (found) return *found;
    }
    if (v->kind == V_CALLABLE && v->c->macro) return macro_attribute(r, v->c->macro, name);
    if (v->kind == V_LIST && v->l->is_group && (str_is(name, "grouper") || str_is(name, "list"))) return v->l->item[str_is(name, "list")];
    return value_undefined(name->s);
}

/* Others have items in order, but none by number. */
static bool list_has_places(const struct list *l) { return l->flavour == LIST_PLAIN || l->flavour == LIST_TUPLE || l->flavour == LIST_RANGE; }

/* A string made of `v`, HTML if that is. */
static struct value same_safety(const struct value *v, const struct str *s)
{
    struct value out = value_str(s);
    out.is_safe = v->is_safe;
    return out;
}

struct value get_item(struct render *r, const struct value *v, const struct value *key)
{
    if (v->kind == V_UNDEFINED) return not_there(r, v);
    if (v->kind == V_DICT) {
        const struct value *found = dict_get(r, v->d, key);
        if (found) return *found;
    }
    if ((key->kind == V_INT || key->kind == V_BOOL) && (v->kind == V_STRING || v->kind == V_LIST)) {
        int64_t i = value_integer(key), len = v->kind == V_STRING ? value_length(r, v) : (int64_t)v->l->len;
        if (i < 0) i += len;
        if (i < 0 || i >= len || (v->kind == V_LIST && !list_has_places(v->l))) return value_undefined("the element beyond the end");
        if (v->kind == V_LIST) return v->l->item[i];
        size_t at = str_offset(v->s, (size_t)i), end = at + str_offset(&(struct str) { v->s->s + at, NULL, v->s->len - at, 0 }, 1);
        return same_safety(v, str_view(r, v->s, at, end - at));
    }
    if (key->kind == V_STRING) {
        char *name = take(r, key->s->len + 1);
        if (!name) return value_none();
        memcpy(name, key->s->s, key->s->len);
        name[key->s->len] = 0;
        const struct str text = { name, NULL, key->s->len, 0 };
        return v->kind == V_DICT && !method_find(v, &text) ? value_undefined(name) : get_attribute(r, v, &text);
    }
    return value_undefined("the element that is looked for");
}

/* Bound of a slice: absent or None is `fallback`; negative ones count from the end. */
static int64_t bound(struct render *r, const struct node *n, int64_t fallback, int64_t len, int64_t low, int64_t high)
{
    struct value v = n ? eval(r, n) : value_none();
    if (v.kind == V_NONE) return fallback;
    if (v.kind != V_INT && v.kind != V_BOOL) { fail(r, "a slice needs whole numbers, found %s", value_type(&v)); return 0; }
    int64_t i = value_integer(&v);
    if (i < 0) i = i < -len ? low : i + len;
    return i < low ? low : i > high ? high : i;
}

static struct value join_characters(struct render *r, const struct value *from, const struct list *l)
{
    struct builder b = { .r = r };
    for (size_t i = 0; i < l->len; i++) builder_put_str(&b, l->item[i].s);
    return same_safety(from, builder_end(&b));
}

static struct value slice(struct render *r, const struct value *v, const struct node *n)
{
    if (v->kind == V_UNDEFINED) return not_there(r, v);
    if (v->kind != V_STRING && (v->kind != V_LIST || !list_has_places(v->l))) return fail(r, "%s has no slices, expected a list or string", value_type(v));
    struct value by = n->c ? eval(r, n->c) : value_int(1);
    if (by.kind == V_NONE) by = value_int(1);
    if (by.kind != V_INT || by.i == 0) return fail(r, "the step of a slice must be a whole number other than 0");
    int64_t len = value_length(r, v), by_n = by.i > len ? len + 1 : by.i < -len ? -len - 1 : by.i;
    bool forward = by_n > 0;
    int64_t begin = bound(r, n->a, forward ? 0 : len - 1, len, forward ? 0 : -1, forward ? len : len - 1);
    int64_t end = bound(r, n->b, forward ? len : -1, len, forward ? 0 : -1, forward ? len : len - 1);
    int64_t count = forward ? (end > begin ? (end - begin + by_n - 1) / by_n : 0) : (begin > end ? (begin - end - by_n - 1) / -by_n : 0);
    if (failed(r)) return value_none();
    if (v->kind == V_STRING && by_n == 1) {
        size_t at = str_offset(v->s, (size_t)begin), bytes = count ? str_offset(&(struct str) { v->s->s + at, NULL, v->s->len - at, 0 }, (size_t)count) : 0;
        return same_safety(v, str_view(r, v->s, at, bytes));
    }
    const struct list *from = value_items(r, v);
    struct value out = value_list(r, (size_t)count, v->kind == V_LIST ? v->l->flavour : LIST_PLAIN);
    if (!step(r, (uint64_t)count / 4)) return value_none();
    for (int64_t i = 0; i < count; i++) out.l->item[i] = from->item[begin + i * by_n];
    if (v->kind == V_STRING) return join_characters(r, v, out.l);
    if (v->l->flavour == LIST_RANGE) {
        out.l->start = v->l->start + begin * v->l->step;
        out.l->stop = v->l->start + end * v->l->step;
        out.l->step = v->l->step * by_n;
    }
    return out;
}

/* ---- operators ------------------------------------------------------------------------------------------------------------ */

static struct value bad_operands(struct render *r, int op, const struct value *a, const struct value *b)
{
    const struct value *missing = a->kind == V_UNDEFINED ? a : b->kind == V_UNDEFINED ? b : NULL;
    if (missing) return not_there(r, missing);
    char text[3] = { (char)op, (char)(op >> 8), 0 };
    return fail(r, "'%s' does not go with %s and %s", text, value_type(a), value_type(b));
}

static struct value list_plus(struct render *r, const struct list *a, const struct list *b)
{
    struct value out = value_list(r, a->len + b->len, a->flavour);
    if (!step(r, (a->len + b->len) / 4)) return value_none();
    if (a->len) memcpy(out.l->item, a->item, a->len * sizeof *a->item);
    if (b->len) memcpy(out.l->item + a->len, b->item, b->len * sizeof *b->item);
    return out;
}

static struct value repeat(struct render *r, const struct value *v, int64_t times)
{
    if (v->kind == V_STRING) return same_safety(v, str_repeat(r, v->s, times));
    size_t n = times < 0 ? 0 : (size_t)times, len = v->l->len, total;
    if (!size_mul(n, len, &total) || total > JINJA_MEMORY_MAX / 16) return fail(r, "'*' makes a list of more than %d million items", JINJA_MEMORY_MAX / 16 >> 20);
    if (!step(r, total / 16)) return value_none();
    struct value out = value_list(r, total, v->l->flavour);
    for (size_t i = 0; i < total && !failed(r); i++) out.l->item[i] = v->l->item[i % len];
    return out;
}

static struct value string_plus(struct render *r, const struct value *a, const struct value *b)
{
    bool is_safe = a->is_safe || b->is_safe;
    const struct str *x = is_safe && !a->is_safe ? str_escape_html(r, a->s) : a->s, *y = is_safe && !b->is_safe ? str_escape_html(r, b->s) : b->s;
    struct value v = value_str(str_join2(r, x, y));
    v.is_safe = is_safe;
    return v;
}

static bool is_list(const struct value *v) { return v->kind == V_LIST && (v->l->flavour == LIST_PLAIN || v->l->flavour == LIST_TUPLE); }
static bool is_whole(const struct value *v) { return v->kind == V_INT || v->kind == V_BOOL; }

struct value eval_binary(struct render *r, int op, const struct value *a, const struct value *b)
{
    if (op == '~') return value_str(str_join2(r, value_to_str(r, a), value_to_str(r, b)));
    if (value_is_number(a) && value_is_number(b)) return number_operation(r, op, a, b);
    if (op == '+' && a->kind == V_STRING && b->kind == V_STRING) return string_plus(r, a, b);
    if (op == '+' && is_list(a) && is_list(b) && a->l->flavour == b->l->flavour) return list_plus(r, a->l, b->l);
    if (op == '*' && (a->kind == V_STRING || is_list(a)) && is_whole(b)) return repeat(r, a, value_integer(b));
    if (op == '*' && (b->kind == V_STRING || is_list(b)) && is_whole(a)) return repeat(r, b, value_integer(a));
    if (op == '%' && a->kind == V_STRING) return format_percent(r, a, b);
    return bad_operands(r, op, a, b);
}

/* A long chain of + or ~ is a tree that is deep on its left: it is walked in a loop. */
static struct value eval_chain(struct render *r, const struct node *n)
{
    size_t len = 0;
    const struct node *left = n;
    for (; left->kind == N_BINARY; left = left->a) len++;
    const struct node **chain = take(r, len * sizeof *chain);
    if (!chain || !step(r, len)) return value_none();
    for (const struct node *at = n; at->kind == N_BINARY; at = at->a) chain[--len] = at;
    struct value v = eval(r, left);
    for (const struct node *at = left; at != n && !failed(r);) {
        at = chain[len++];
        struct value right = eval(r, at->b);
        r->line = at->line;
        if (!failed(r)) v = eval_binary(r, at->op, &v, &right);
    }
    return v;
}

bool eval_compare(struct render *r, int op, const struct value *a, const struct value *b)
{
    switch (op) {
    case OP2('=', '='): return value_equal(r, a, b);
    case OP2('!', '='): return !value_equal(r, a, b);
    case OPERAND_IN: return value_contains(r, b, a);
    case OPERAND_NOT_IN: return !value_contains(r, b, a);
    default: break;
    }
    if (a->kind == V_UNDEFINED || b->kind == V_UNDEFINED) { bad_operands(r, op, a, b); return false; }
    if ((a->kind == V_FLOAT && isnan(a->f)) || (b->kind == V_FLOAT && isnan(b->f))) return false;
    int order = value_compare(r, a, b);
    return op == '<' ? order < 0 : op == '>' ? order > 0 : op == OP2('<', '=') ? order <= 0 : order >= 0;
}

/* ---- calls -------------------------------------------------------------------------------------------------------------------- */

static void push_keyword(struct render *r, struct call_args *args, struct value key, struct value v)
{
    struct entry *grown = take(r, (args->n_keywords + 1) * sizeof *grown);
    if (!grown) return;
    for (size_t i = 0; i < args->n_keywords; i++)
        if (value_equal(r, &args->keyword[i].key, &key)) { fail(r, "the argument '%.*s' is given twice", (int)key.s->len, key.s->s); return; }
    if (args->n_keywords) memcpy(grown, args->keyword, args->n_keywords * sizeof *grown);
    grown[args->n_keywords++] = (struct entry) { key, v };
    args->keyword = grown;
}

static void push_values(struct render *r, struct call_args *args, const struct value *v, size_t n)
{
    struct value *grown = take(r, (args->len + n + 1) * sizeof *grown);
    if (!grown || !step(r, (args->len + n) / 4)) return;
    if (args->len) memcpy(grown, args->value, args->len * sizeof *grown);
    if (n) memcpy(grown + args->len, v, n * sizeof *grown);
    args->value = grown;
    args->len += n;
}

struct call_args eval_arguments(struct render *r, const struct node *list)
{
    struct call_args args = { 0 };
    for (const struct node *n = list; n && !failed(r); n = n->next) {
        struct value v = eval(r, n->a);
        if (failed(r)) break;
        if (n->op == ARGUMENT_PLAIN) push_values(r, &args, &v, 1);
        else if (n->op == ARGUMENT_KEYWORD) push_keyword(r, &args, value_str(n->name), v);
        else if (n->op == ARGUMENT_SPREAD) {
            const struct list *l = value_items(r, &v);
            push_values(r, &args, l->item, l->len);
        } else if (v.kind != V_DICT) fail(r, "'**' needs a dict, found %s", value_type(&v));
        else
            for (size_t i = 0; i < v.d->len && step(r, 1); i++) {
                if (v.d->entry[i].key.kind == V_STRING) push_keyword(r, &args, v.d->entry[i].key, v.d->entry[i].value);
                else fail(r, "'**' needs a dict with names as keys");
            }
    }
    return args;
}

struct value call_value(struct render *r, const struct value *f, const struct call_args *args, const char *name)
{
    if (failed(r)) return value_none();
    if (f->kind == V_UNDEFINED && method_is_refused(f->missing)) return fail(r, "a template may not change a list or dict with %s(); build a new one with '+', or use a namespace", f->missing);
    if (f->kind == V_UNDEFINED) return not_there(r, f);
    if (f->kind == V_LOOP) {
        if (!f->loop->node->op) return fail(r, "'loop' can be called only in a recursive loop, written {%% for ... recursive %%}");
        if (args->len != 1 || args->n_keywords) return fail(r, "loop() needs one argument: the items to go through");
        return run_loop(r, f->loop->node, args->value[0], f->loop->depth + 1, f->loop->scope);
    }
    if (f->kind != V_CALLABLE) return fail(r, "'%s' is a %s and cannot be called", name, value_type(f));
    return f->c->macro ? run_macro(r, f->c, args) : method_call(r, f->c->row, &f->c->self, args);
}

/* ---- one function a kind of node ------------------------------------------------------------------------------------------------ */

static struct value eval_const(struct render *r, const struct node *n) { (void)r; return n->value; }

static struct value eval_name(struct render *r, const struct node *n)
{
    const struct value *v = scope_get(r->scope, n->name), none = value_none();
    if (v) return *v;
    const struct callable_row *row = global_find(n->name);
    return row ? bind(r, row, &none) : value_undefined(n->name->s);
}

static struct value eval_list(struct render *r, const struct node *n)
{
    size_t len = 0, i = 0;
    for (const struct node *at = n->a; at; at = at->next) len++;
    struct value v = value_list(r, len, n->kind == N_TUPLE ? LIST_TUPLE : LIST_PLAIN);
    for (const struct node *at = n->a; at && !failed(r); at = at->next) v.l->item[i++] = eval(r, at);
    return v;
}

static struct value eval_dict(struct render *r, const struct node *n)
{
    struct value v = value_dict(r, 4);
    for (const struct node *at = n->a; at && !failed(r); at = at->next) {
        struct value key = eval(r, at->a), value = eval(r, at->b);
        if (!failed(r)) dict_set(r, v.d, key, value);
    }
    return v;
}

static struct value eval_attribute(struct render *r, const struct node *n)
{
    struct value v = eval(r, n->a);
    r->line = n->line;
    return failed(r) ? v : get_attribute(r, &v, n->name);
}

static struct value eval_item(struct render *r, const struct node *n)
{
    struct value v = eval(r, n->a);
    if (failed(r)) return v;
    if (n->b->kind == N_SLICE) return slice(r, &v, n->b);
    struct value key = eval(r, n->b);
    r->line = n->line;
    return failed(r) ? v : get_item(r, &v, &key);
}

static struct value eval_call(struct render *r, const struct node *n)
{
    struct value f = eval(r, n->a);
    struct call_args args = eval_arguments(r, n->b);
    r->line = n->line;
    return call_value(r, &f, &args, n->a->name ? n->a->name->s : "this");
}

struct value apply_filter(struct render *r, const struct node *n, struct value v)
{
    const struct filter_row *row = n->row;
    if (n->a) v = n->a->kind == N_FILTER ? apply_filter(r, n->a, v) : eval(r, n->a);
    r->line = n->line;
    if (!row) return fail(r, "there is no filter named '%s'", n->name->s);
    struct call_args args = eval_arguments(r, n->b);
    return failed(r) ? value_none() : filter_apply(r, row, &v, &args);
}
static struct value eval_filter(struct render *r, const struct node *n) { return apply_filter(r, n, value_none()); }

static struct value eval_test(struct render *r, const struct node *n)
{
    const struct test_row *row = n->row;
    struct value v = eval(r, n->a);
    r->line = n->line;
    if (!row) return fail(r, "there is no test named '%s'", n->name->s);
    struct call_args args = eval_arguments(r, n->b);
    return failed(r) ? value_none() : value_bool(test_apply(r, row, &v, &args) != (n->op != 0));
}

static struct value eval_not(struct render *r, const struct node *n)
{
    struct value v = eval(r, n->a);
    return value_bool(!value_true(&v));
}

static struct value eval_sign(struct render *r, const struct node *n)
{
    struct value v = eval(r, n->a);
    if (v.kind == V_UNDEFINED) return not_there(r, &v);
    if (!value_is_number(&v)) return failed(r) ? v : fail(r, "a sign does not go with %s", value_type(&v));
    if (n->kind == N_PLUS) return v.kind == V_BOOL ? value_int(v.b) : v;
    return v.kind == V_FLOAT ? value_float(-v.f) : number_operation(r, '-', &(struct value) { .kind = V_INT }, &v);
}

static struct value eval_comparison(struct render *r, const struct node *n)
{
    struct value left = eval(r, n->a);
    for (const struct node *at = n->b; at && !failed(r); at = at->next) {
        struct value right = eval(r, at->a);
        r->line = n->line;
        if (failed(r) || !eval_compare(r, at->op, &left, &right)) return value_bool(false);
        left = right;
    }
    return value_bool(true);
}

/* The operand that decides, not a bool. */
static struct value eval_logic(struct render *r, const struct node *n)
{
    struct value v = eval(r, n->a);
    for (const struct node *at = n->a->next; at && !failed(r) && value_true(&v) == (n->kind == N_AND); at = at->next) v = eval(r, at);
    return v;
}

static struct value eval_conditional(struct render *r, const struct node *n)
{
    struct value test = eval(r, n->b);
    if (failed(r)) return test;
    if (value_true(&test)) return eval(r, n->a);
    return n->c ? eval(r, n->c) : value_undefined("what an 'if' without 'else' leaves out");
}

struct value eval(struct render *r, const struct node *n)
{
    static struct value (*const rows[])(struct render *, const struct node *) = {
        [N_CONST] = eval_const, [N_NAME] = eval_name, [N_LIST] = eval_list, [N_TUPLE] = eval_list, [N_DICT] = eval_dict,
        [N_ATTRIBUTE] = eval_attribute, [N_ITEM] = eval_item, [N_CALL] = eval_call, [N_FILTER] = eval_filter, [N_TEST] = eval_test,
        [N_NOT] = eval_not, [N_MINUS] = eval_sign, [N_PLUS] = eval_sign, [N_BINARY] = eval_chain, [N_COMPARE] = eval_comparison,
        [N_AND] = eval_logic, [N_OR] = eval_logic, [N_CONDITIONAL] = eval_conditional,
    };
    if (!step(r, 1)) return value_none();
    if (r->depth >= JINJA_DEPTH_MAX) return fail(r, "expressions and calls are nested more than %d levels deep", JINJA_DEPTH_MAX);
    r->depth++;
    r->line = n->line;
    struct value v = rows[n->kind](r, n);
    r->depth--;
    return failed(r) ? value_none() : v;
}
