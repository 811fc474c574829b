/* jinja_arguments.c - arguments of filters, tests, methods and functions by place or name. */
#include "jinja_internal.h"

const struct value *arg(const struct call_args *args, size_t i, const char *name)
{
    if (i < args->len) return &args->value[i];
    for (size_t k = 0; name && k < args->n_keywords; k++)
        if (str_is(args->keyword[k].key.s, name)) return &args->keyword[k].value;
    return NULL;
}

bool args_at_most(struct render *r, const struct call_args *args, size_t n, const char *name)
{
    if (args->len + args->n_keywords > n) fail(r, "%s takes at most %zu arguments, found %zu", name, n, args->len + args->n_keywords);
    return !failed(r);
}

int64_t arg_int(struct render *r, const struct call_args *args, size_t i, const char *name, int64_t fallback)
{
    const struct value *v = arg(args, i, name);
    if (!v || v->kind == V_NONE) return fallback;
    if (v->kind == V_INT || v->kind == V_BOOL) return value_integer(v);
    fail(r, "argument '%s' must be a whole number, found %s", name, value_type(v));
    return fallback;
}

const struct str *arg_str(struct render *r, const struct call_args *args, size_t i, const char *name)
{
    const struct value *v = arg(args, i, name);
    if (!v || v->kind == V_NONE) return NULL;
    if (v->kind == V_STRING) return v->s;
    fail(r, "argument '%s' must be a string, found %s", name, value_type(v));
    return NULL;
}
