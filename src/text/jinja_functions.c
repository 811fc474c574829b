/* jinja_functions.c - the functions that every template may call: range, namespace, dict, raise_exception, strftime_now. */
#include "jinja_internal.h"

#include <string.h>
#include <time.h>

static struct value call_range(struct render *r, const struct value *self, const struct call_args *a)
{
    int64_t start = 0, stop, by = 1;
    (void)self;
    if (a->len < 1 || a->len > 3 || a->n_keywords) return fail(r, "range() takes one to three whole numbers");
    stop = arg_int(r, a, a->len > 1, "stop", 0);
    if (a->len > 1) start = arg_int(r, a, 0, "start", 0);
    if (a->len > 2) by = arg_int(r, a, 2, "step", 1);
    if (failed(r)) return value_none();
    if (by == 0) return fail(r, "the step of range() cannot be 0");
    __int128 span = by > 0 ? (__int128)stop - start : (__int128)start - stop, wide = by > 0 ? by : -(__int128)by;
    int64_t n = span > 0 ? (int64_t)((span + wide - 1) / wide > JINJA_RANGE_MAX ? JINJA_RANGE_MAX + 1 : (span + wide - 1) / wide) : 0;
    if (n > JINJA_RANGE_MAX) return fail(r, "range() gives more than %d numbers", JINJA_RANGE_MAX);
    struct value v = value_list(r, (size_t)n, LIST_RANGE);
    if (!step(r, (uint64_t)n / 8)) return value_none();
    v.l->start = start;
    v.l->stop = stop;
    v.l->step = by;
    for (int64_t i = 0; i < n; i++) v.l->item[i] = value_int(start + i * by);
    return v;
}

/* dict(pairs or dict, name=value ...), also for namespace(). */
static struct value make_dict(struct render *r, const struct call_args *a)
{
    struct value v = value_dict(r, 4);
    if (a->len > 1) return fail(r, "dict() takes one dict or list of pairs, and names with values");
    if (a->len && a->value[0].kind == V_DICT) {
        const struct dict *from = a->value[0].d;
        for (size_t i = 0; i < from->len && !failed(r); i++) dict_set(r, v.d, from->entry[i].key, from->entry[i].value);
    } else if (a->len) {
        const struct list *pairs = value_items(r, &a->value[0]);
        for (size_t i = 0; i < pairs->len && !failed(r); i++) {
            const struct list *pair = value_items(r, &pairs->item[i]);
            if (!failed(r) && pair->len != 2) return fail(r, "dict() takes pairs, found %zu values", pair->len);
            if (!failed(r)) dict_set(r, v.d, pair->item[0], pair->item[1]);
        }
    }
    for (size_t i = 0; i < a->n_keywords && !failed(r); i++) dict_set(r, v.d, a->keyword[i].key, a->keyword[i].value);
    return v;
}

static struct value call_dict(struct render *r, const struct value *self, const struct call_args *a) { (void)self; return make_dict(r, a); }

bool namespace_allows(struct render *r, const struct str *name)
{
    if (name->len && name->s[0] == '_') fail(r, "a namespace takes no names that begin with '_', found '%.*s'", (int)(name->len < 60 ? name->len : 60), name->s);
    return !failed(r);
}

static struct value call_namespace(struct render *r, const struct value *self, const struct call_args *a)
{
    struct value v = make_dict(r, a);
    (void)self;
    for (size_t i = 0; !failed(r) && i < v.d->len; i++)
        if (v.d->entry[i].key.kind == V_STRING && !namespace_allows(r, v.d->entry[i].key.s)) return value_none();
    if (!failed(r)) v.kind = V_NAMESPACE;
    return v;
}

static struct value call_raise(struct render *r, const struct value *self, const struct call_args *a)
{
    const struct value *v = arg(a, 0, "message");
    (void)self;
    if (!v) return fail(r, "raise_exception() needs a message");
    const struct str *s = value_to_str(r, v);
    return fail(r, "the template refuses these messages: %.*s", s->len < JINJA_MESSAGE_BYTES ? (int)s->len : JINJA_MESSAGE_BYTES, s->s);
}

/* The C library's format: without the microseconds and the zone that Python's datetime.now() has or lacks. */
static bool plain_format(char *out, size_t out_bytes, const struct str *format)
{
    size_t n = 0;
    for (size_t i = 0; i < format->len; i++) {
        char c = format->s[i], next = i + 1 < format->len ? format->s[i + 1] : 0;
        if (n + 8 >= out_bytes || !c) return false;
        if (c == '%' && next == 'f') { memcpy(out + n, "000000", 6); n += 6; }
        else if (c != '%' || (next != 'Z' && next != 'z')) out[n++] = c;
        if (c == '%' && next == '%') out[n++] = '%';
        i += c == '%' && next && strchr("fZz%", next) != NULL;
    }
    out[n] = 0;
    return true;
}

static struct value call_strftime(struct render *r, const struct value *self, const struct call_args *a)
{
    const struct str *format = arg_str(r, a, 0, "format");
    char text[1024], c_format[400];
    time_t now = (time_t)r->now;
    struct tm tm;
    (void)self;
    if (!format || failed(r)) return fail(r, "strftime_now() needs a format such as '%%d %%b %%Y'");
    if (!plain_format(c_format, sizeof c_format, format) || !gmtime_r(&now, &tm)) return fail(r, "the format of strftime_now() is too long");
    size_t n = c_format[0] ? strftime(text, sizeof text, c_format, &tm) : 0;
    return value_str(str_new(r, text, n, 0));
}

static struct value call_fromkeys(struct render *r, const struct value *self, const struct call_args *a)
{
    struct value v = value_dict(r, 4);
    (void)self;
    if (!a->len) return fail(r, "fromkeys() needs the keys");
    const struct list *keys = value_items(r, &a->value[0]);
    for (size_t i = 0; i < keys->len && step(r, 1); i++) dict_set(r, v.d, keys->item[i], a->len > 1 ? a->value[1] : value_none());
    return v;
}

static const struct callable_row fromkeys_row = { "fromkeys", call_fromkeys, "/iterable /value", false };

const struct callable_row *function_member(const struct callable_row *function, const struct str *name)
{
    return function->call == call_dict && str_is(name, "fromkeys") ? &fromkeys_row : NULL;
}

static const struct callable_row rows[] = {
    { "range", call_range, "/start /stop /step", false }, { "dict", call_dict, NULL, false }, { "namespace", call_namespace, NULL, false },
    { "raise_exception", call_raise, "message", false }, { "strftime_now", call_strftime, "format", false },
};

const struct callable_row *global_find(const struct str *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (str_is(name, rows[i].name)) return &rows[i];
    return NULL;
}
