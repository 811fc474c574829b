/* jinja_tests.c - what may follow `is`: one row a test. */
#include "jinja_internal.h"

#include <string.h>
#include <utf8proc.h>

#define val const struct value
#define args_in const struct call_args

static bool needs(struct render *r, args_in *a, size_t n)
{
    if (a->len != n) fail(r, "this test needs %zu argument%s, found %zu", n, n == 1 ? "" : "s", a->len);
    return !failed(r);
}

static bool is_defined(struct render *r, val *v, args_in *a) { (void)r; (void)a; return v->kind != V_UNDEFINED; }
static bool is_undefined(struct render *r, val *v, args_in *a) { return !is_defined(r, v, a); }
static bool is_none(struct render *r, val *v, args_in *a) { (void)r; (void)a; return v->kind == V_NONE; }
static bool is_boolean(struct render *r, val *v, args_in *a) { (void)r; (void)a; return v->kind == V_BOOL; }
static bool is_true(struct render *r, val *v, args_in *a) { (void)r; (void)a; return v->kind == V_BOOL && v->b; }
static bool is_false(struct render *r, val *v, args_in *a) { (void)r; (void)a; return v->kind == V_BOOL && !v->b; }
static bool is_integer(struct render *r, val *v, args_in *a) { (void)r; (void)a; return v->kind == V_INT; }
static bool is_float(struct render *r, val *v, args_in *a) { (void)r; (void)a; return v->kind == V_FLOAT; }
static bool is_number(struct render *r, val *v, args_in *a) { (void)r; (void)a; return value_is_number(v); }
static bool is_string(struct render *r, val *v, args_in *a) { (void)r; (void)a; return v->kind == V_STRING; }
static bool is_mapping(struct render *r, val *v, args_in *a) { (void)r; (void)a; return v->kind == V_DICT; }
static bool is_iterable(struct render *r, val *v, args_in *a)
{
    (void)r; (void)a;
    return v->kind == V_STRING || v->kind == V_LIST || v->kind == V_DICT || v->kind == V_UNDEFINED || v->kind == V_LOOP;
}
/* Has a length and items by key. */
static bool is_sequence(struct render *r, val *v, args_in *a)
{
    (void)r; (void)a;
    if (v->kind == V_LIST) return v->l->flavour == LIST_PLAIN || v->l->flavour == LIST_TUPLE || v->l->flavour == LIST_RANGE;
    return v->kind == V_STRING || v->kind == V_DICT || v->kind == V_UNDEFINED;
}
static bool is_callable(struct render *r, val *v, args_in *a) { (void)r; (void)a; return v->kind == V_CALLABLE || v->kind == V_UNDEFINED || v->kind == V_LOOP; }
static bool is_escaped(struct render *r, val *v, args_in *a) { (void)r; (void)a; return v->is_safe; }

static bool rest_of(struct render *r, val *v, int64_t by, int64_t rest)
{
    struct value n = value_int(by), result;
    if (v->kind == V_STRING) { fail(r, "this test needs a number, found str"); return false; }
    result = eval_binary(r, '%', v, &n);
    n = value_int(rest);
    return !failed(r) && value_equal(r, &result, &n);
}
static bool is_even(struct render *r, val *v, args_in *a) { (void)a; return rest_of(r, v, 2, 0); }
static bool is_odd(struct render *r, val *v, args_in *a) { (void)a; return rest_of(r, v, 2, 1); }
static bool is_divisible(struct render *r, val *v, args_in *a)
{
    if (!needs(r, a, 1)) return false;
    struct value rest = v->kind == V_STRING ? fail(r, "this test needs a number, found str") : eval_binary(r, '%', v, &a->value[0]), zero = value_int(0);
    return !failed(r) && value_equal(r, &rest, &zero);
}

static bool compare(struct render *r, int op, val *v, args_in *a) { return needs(r, a, 1) && eval_compare(r, op, v, &a->value[0]); }
static bool is_equal(struct render *r, val *v, args_in *a) { return compare(r, OP2('=', '='), v, a); }
static bool is_not_equal(struct render *r, val *v, args_in *a) { return compare(r, OP2('!', '='), v, a); }
static bool is_less(struct render *r, val *v, args_in *a) { return compare(r, '<', v, a); }
static bool is_greater(struct render *r, val *v, args_in *a) { return compare(r, '>', v, a); }
static bool is_less_equal(struct render *r, val *v, args_in *a) { return compare(r, OP2('<', '='), v, a); }
static bool is_greater_equal(struct render *r, val *v, args_in *a) { return compare(r, OP2('>', '='), v, a); }
static bool is_in(struct render *r, val *v, args_in *a) { return compare(r, OPERAND_IN, v, a); }

static bool is_same(struct render *r, val *v, args_in *a)
{
    if (!needs(r, a, 1)) return false;
    val *w = &a->value[0];
    if (v->kind != w->kind) return false;
    switch (v->kind) {
    case V_LIST: return v->l == w->l;
    case V_DICT: case V_NAMESPACE: return v->d == w->d;
    default: return value_equal(r, v, w);
    }
}

static bool has_case(struct render *r, val *v, int wanted)
{
    const struct str *s = value_to_str(r, v);
    bool any = false;
    for (size_t at = 0; at < s->len && step(r, 0);) {
        uint32_t c = 0;
        int n = utf8_next(s->s + at, s->len - at, &c), category = char_category(c);
        if (category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL) {
            if (category != wanted) return false;
            any = true;
        }
        at += n > 0 ? (size_t)n : 1;
    }
    return any;
}
static bool is_upper(struct render *r, val *v, args_in *a) { (void)a; return has_case(r, v, UTF8PROC_CATEGORY_LU); }
static bool is_lower(struct render *r, val *v, args_in *a) { (void)a; return has_case(r, v, UTF8PROC_CATEGORY_LL); }

static bool is_filter(struct render *r, val *v, args_in *a) { (void)r; (void)a; return v->kind == V_STRING && filter_find(v->s->s, v->s->len); }
static bool is_test(struct render *r, val *v, args_in *a) { (void)r; (void)a; return v->kind == V_STRING && test_find(v->s->s, v->s->len); }

static const struct test_row rows[] = {
    { "defined", is_defined }, { "undefined", is_undefined }, { "none", is_none }, { "boolean", is_boolean }, { "true", is_true },
    { "false", is_false }, { "integer", is_integer }, { "float", is_float }, { "number", is_number }, { "string", is_string },
    { "mapping", is_mapping }, { "iterable", is_iterable }, { "sequence", is_sequence }, { "callable", is_callable },
    { "escaped", is_escaped }, { "even", is_even }, { "odd", is_odd }, { "divisibleby", is_divisible }, { "eq", is_equal },
    { "equalto", is_equal }, { "==", is_equal }, { "ne", is_not_equal }, { "!=", is_not_equal }, { "lt", is_less }, { "lessthan", is_less },
    { "<", is_less }, { "gt", is_greater }, { "greaterthan", is_greater }, { ">", is_greater }, { "le", is_less_equal }, { "<=", is_less_equal },
    { "ge", is_greater_equal }, { ">=", is_greater_equal }, { "in", is_in }, { "sameas", is_same }, { "upper", is_upper }, { "lower", is_lower },
    { "filter", is_filter }, { "test", is_test },
};

const struct test_row *test_find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0) return &rows[i];
    return NULL;
}
