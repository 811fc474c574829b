/* jinja_tests.c - what may follow `is`: one row a test. */
#include "jinja_internal.h"

#include <string.h>

#define val const struct value
#define TEST(name) static bool name(struct render *r, val *v, val *other)
#define UNUSED (void)r; (void)v; (void)other

TEST(is_defined) { UNUSED; return v->kind != V_UNDEFINED; }
TEST(is_undefined) { UNUSED; return v->kind == V_UNDEFINED; }
TEST(is_none) { UNUSED; return v->kind == V_NONE; }
TEST(is_boolean) { UNUSED; return v->kind == V_BOOL; }
TEST(is_true) { UNUSED; return v->kind == V_BOOL && v->b; }
TEST(is_false) { UNUSED; return v->kind == V_BOOL && !v->b; }
TEST(is_integer) { UNUSED; return v->kind == V_INT; }
TEST(is_float) { UNUSED; return v->kind == V_FLOAT; }
TEST(is_number) { UNUSED; return value_is_number(v); }
TEST(is_string) { UNUSED; return v->kind == V_STRING; }
TEST(is_mapping) { UNUSED; return v->kind == V_DICT; }
TEST(is_iterable) { UNUSED; return v->kind == V_STRING || v->kind == V_LIST || v->kind == V_DICT || v->kind == V_UNDEFINED || v->kind == V_LOOP; }
/* Has a length and items by key. */
TEST(is_sequence)
{
    UNUSED;
    if (v->kind == V_LIST) return v->l->flavour == LIST_PLAIN || v->l->flavour == LIST_TUPLE || v->l->flavour == LIST_RANGE;
    return v->kind == V_STRING || v->kind == V_DICT || v->kind == V_UNDEFINED;
}
TEST(is_callable) { UNUSED; return v->kind == V_CALLABLE || v->kind == V_UNDEFINED || v->kind == V_LOOP; }
TEST(is_escaped) { UNUSED; return v->is_safe; }

/* A string here is a format, as '%' has it. */
static bool rest_is(struct render *r, val *v, val *by, int64_t wanted)
{
    struct value rest = eval_binary(r, '%', v, by), n = value_int(wanted);
    return !failed(r) && value_equal(r, &rest, &n);
}
TEST(is_even) { (void)other; return rest_is(r, v, &(struct value) { .kind = V_INT, .i = 2 }, 0); }
TEST(is_odd) { (void)other; return rest_is(r, v, &(struct value) { .kind = V_INT, .i = 2 }, 1); }
TEST(is_divisible) { return rest_is(r, v, other, 0); }

TEST(is_equal) { return eval_compare(r, OP2('=', '='), v, other); }
TEST(is_not_equal) { return eval_compare(r, OP2('!', '='), v, other); }
TEST(is_less) { return eval_compare(r, '<', v, other); }
TEST(is_greater) { return eval_compare(r, '>', v, other); }
TEST(is_less_equal) { return eval_compare(r, OP2('<', '='), v, other); }
TEST(is_greater_equal) { return eval_compare(r, OP2('>', '='), v, other); }
TEST(is_in) { return eval_compare(r, OPERAND_IN, v, other); }

TEST(is_same)
{
    if (v->kind != other->kind) return false;
    switch (v->kind) {
    case V_LIST: return v->l == other->l;
    case V_DICT: case V_NAMESPACE: return v->d == other->d;
    default: return value_equal(r, v, other);
    }
}

/* All cased characters are of the one case, and there are some. */
static bool has_case(struct render *r, val *v, bool wants_upper)
{
    const struct str *s = value_to_str(r, v);
    bool any = false;
    if (!step(r, s->len / 64)) return false;
    for (size_t at = 0; at < s->len;) {
        uint32_t c = 0;
        at += (size_t)utf8_next(s->s + at, s->len - at, &c);
        if (!char_is_cased(c)) continue;
        if (char_is_title(c) || char_is_upper(c) != wants_upper) return false;
        any = true;
    }
    return any;
}
TEST(is_upper) { (void)other; return has_case(r, v, true); }
TEST(is_lower) { (void)other; return has_case(r, v, false); }

TEST(is_filter) { UNUSED; return v->kind == V_STRING && filter_find(v->s->s, v->s->len); }
TEST(is_test) { UNUSED; return v->kind == V_STRING && test_find(v->s->s, v->s->len); }

/* With the name of the test's argument, if it takes one. */
static const struct test_row rows[] = {
    { "defined", is_defined, NULL }, { "undefined", is_undefined, NULL }, { "none", is_none, NULL }, { "boolean", is_boolean, NULL },
    { "true", is_true, NULL }, { "false", is_false, NULL }, { "integer", is_integer, NULL }, { "float", is_float, NULL },
    { "number", is_number, NULL }, { "string", is_string, NULL }, { "mapping", is_mapping, NULL }, { "iterable", is_iterable, NULL },
    { "sequence", is_sequence, NULL }, { "callable", is_callable, NULL }, { "escaped", is_escaped, NULL }, { "even", is_even, NULL },
    { "odd", is_odd, NULL }, { "divisibleby", is_divisible, "num" }, { "eq", is_equal, "/b" }, { "equalto", is_equal, "/b" },
    { "==", is_equal, "/b" }, { "ne", is_not_equal, "/b" }, { "!=", is_not_equal, "/b" }, { "lt", is_less, "/b" },
    { "lessthan", is_less, "/b" }, { "<", is_less, "/b" }, { "gt", is_greater, "/b" }, { "greaterthan", is_greater, "/b" },
    { ">", is_greater, "/b" }, { "le", is_less_equal, "/b" }, { "<=", is_less_equal, "/b" }, { "ge", is_greater_equal, "/b" },
    { ">=", is_greater_equal, "/b" }, { "in", is_in, "seq" }, { "sameas", is_same, "other" }, { "upper", is_upper, NULL },
    { "lower", is_lower, NULL }, { "filter", is_filter, NULL }, { "test", is_test, NULL },
};

const struct test_row *test_find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0) return &rows[i];
    return NULL;
}

bool test_apply(struct render *r, const struct test_row *row, val *v, const struct call_args *args)
{
    const char *parameter = row->parameter ? row->parameter : "";
    if (!args_fit(r, args, parameter, row->name)) return false;
    val *other = arg(args, 0, parameter);
    if (row->parameter && !other) { fail(r, "the test '%s' needs a value to compare with", row->name); return false; }
    return row->test(r, v, other);
}
