/* jinja_arguments.c - arguments of filters, tests, methods and functions by place or name. */
#include "jinja_internal.h"

#include <string.h>

const struct value *arg(const struct call_args *args, size_t i, const char *name)
{
    if (i < args->len) return &args->value[i];
    for (size_t k = 0; name && k < args->n_keywords; k++)
        if (str_is(args->keyword[k].key.s, name)) return &args->keyword[k].value;
    return NULL;
}

/* The place of `name` among the parameters that go by name; `n`: how many there are at all. */
static size_t parameter_place(const char *parameters, const struct str *name, size_t *n)
{
    size_t place = SIZE_MAX, i = 0;
    for (const char *p = parameters; *p; i++) {
        size_t len = strcspn(p, " ");
        if (name && len == name->len && memcmp(p, name->s, len) == 0) place = i;
        p += len + (p[len] == ' ');
    }
    *n = i;
    return place;
}

bool args_fit(struct render *r, const struct call_args *args, const char *parameters, const char *name)
{
    size_t n;
    if (failed(r) || !parameters) return !failed(r);
    parameter_place(parameters, NULL, &n);
    if (args->len > n) fail(r, "%s takes at most %zu argument%s, found %zu", name, n, n == 1 ? "" : "s", args->len);
    for (size_t k = 0; k < args->n_keywords && !failed(r); k++) {
        const struct str *key = args->keyword[k].key.s;
        size_t place = parameter_place(parameters, key, &n);
        int shown = (int)(key->len < 60 ? key->len : 60);
        if (place == SIZE_MAX) fail(r, "%s has no parameter '%.*s'", name, shown, key->s);
        else if (place < args->len) fail(r, "%s got two values for '%.*s'", name, shown, key->s);
    }
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
