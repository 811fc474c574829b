/* jinja_format.c - Python's two ways to fill a string: '%s' % args, and '{}'.format(args). */
#include "jinja_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH_MAX = 1000 };
struct directive { bool left, plus, space, zero, alternate; int width, precision; char type; };
struct percent { struct render *r; struct builder b; const struct str *format; size_t at; const struct value *args; size_t n_used; };

static const struct value *next_argument(struct percent *p, const struct str *key)
{
    if (key) {
        struct value k = value_str(key);
        const struct value *v = p->args->kind == V_DICT ? dict_get(p->r, p->args->d, &k) : NULL;
        if (!v) fail(p->r, "the format needs a value for '%.*s'", (int)key->len, key->s);
        return v;
    }
    bool is_tuple = p->args->kind == V_LIST && p->args->l->flavour == LIST_TUPLE;
    size_t n = is_tuple ? p->args->l->len : 1;
    if (p->n_used >= n) { fail(p->r, "the format needs more values than the %zu given", n); return NULL; }
    return is_tuple ? &p->args->l->item[p->n_used++] : (p->n_used++, p->args);
}

static int read_number(const struct str *s, size_t *at)
{
    int n = 0;
    for (; *at < s->len && s->s[*at] >= '0' && s->s[*at] <= '9'; ++*at)
        if (n <= WIDTH_MAX) n = n * 10 + (s->s[*at] - '0');
    return n;
}

static void put_padded(struct builder *b, const struct str *s, const struct directive *d)
{
    size_t len = str_length(s), pad = d->width > 0 && (size_t)d->width > len ? (size_t)d->width - len : 0;
    for (size_t i = 0; !d->left && i < pad; i++) builder_put(b, " ", 1, MARK_TRUSTED);
    builder_put_str(b, s);
    for (size_t i = 0; d->left && i < pad; i++) builder_put(b, " ", 1, MARK_TRUSTED);
}

static void put_number(struct percent *p, const struct directive *d, const struct value *v)
{
    char format[40], text[WIDTH_MAX + 400];
    bool is_real = strchr("eEfFgG", d->type) != NULL;
    if (!value_is_number(v)) { fail(p->r, "'%%%c' needs a number, found %s", d->type, value_type(v)); return; }
    if (v->kind == V_FLOAT && !is_real && !strchr("diu", d->type)) { fail(p->r, "'%%%c' needs a whole number", d->type); return; }
    if (v->kind == V_FLOAT && !is_real && (!isfinite(v->f) || fabs(v->f) > 9e18)) { fail(p->r, "'%%%c' needs a number that fits into 64 bits", d->type); return; }
    int n = snprintf(format, sizeof format, "%%%s%s%s%s%s", d->left ? "-" : "", d->plus ? "+" : "", d->space ? " " : "", d->zero ? "0" : "", d->alternate ? "#" : "");
    if (d->width) n += snprintf(format + n, sizeof format - (size_t)n, "%d", d->width);
    if (d->precision >= 0) n += snprintf(format + n, sizeof format - (size_t)n, ".%d", d->precision);
    snprintf(format + n, sizeof format - (size_t)n, "%s%c", is_real ? "" : "ll", d->type == 'u' ? 'd' : d->type);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (is_real) snprintf(text, sizeof text, format, value_number(v));
    else snprintf(text, sizeof text, format, (long long)(v->kind == V_FLOAT ? (int64_t)v->f : value_integer(v)));
#pragma GCC diagnostic pop
    builder_puts(&p->b, text);
}

static void put_directive(struct percent *p)
{
    const struct str *f = p->format, *key = NULL;
    struct directive d = { .precision = -1 };
    if (p->at < f->len && f->s[p->at] == '(') {
        size_t end = str_find(f, &(struct str) { ")", NULL, 1, 0 }, p->at);
        if (end == SIZE_MAX) { fail(p->r, "the format has '%%(' without ')'"); return; }
        key = str_view(p->r, f, p->at + 1, end - p->at - 1);
        p->at = end + 1;
    }
    for (; p->at < f->len && strchr("-+ 0#", f->s[p->at]) && f->s[p->at]; p->at++) {
        char c = f->s[p->at];
        d.left |= c == '-'; d.plus |= c == '+'; d.space |= c == ' '; d.zero |= c == '0'; d.alternate |= c == '#';
    }
    d.width = read_number(f, &p->at);
    if (p->at < f->len && f->s[p->at] == '.') { p->at++; d.precision = read_number(f, &p->at); }
    if (p->at >= f->len) { fail(p->r, "the format ends inside a '%%'"); return; }
    if (d.width > WIDTH_MAX || d.precision > WIDTH_MAX) { fail(p->r, "a width in the format is beyond %d", WIDTH_MAX); return; }
    d.type = f->s[p->at++];
    if (d.type == '%') { builder_put(&p->b, "%", 1, str_mark(f, p->at - 1)); return; }
    if (!strchr("srdiuoxXeEfFgG", d.type)) { fail(p->r, "the format has an unknown '%%%c'", d.type); return; }
    const struct value *v = next_argument(p, key);
    if (!v) return;
    if (d.type != 's' && d.type != 'r') { put_number(p, &d, v); return; }
    struct builder repr = { .r = p->r };
    if (d.type == 'r') value_repr(&repr, v, 0);
    const struct str *s = d.type == 'r' ? builder_end(&repr) : value_to_str(p->r, v);
    if (d.precision >= 0) s = str_view(p->r, s, 0, str_offset(s, (size_t)d.precision));
    put_padded(&p->b, s, &d);
}

const struct str *format_percent(struct render *r, const struct str *format, const struct value *args)
{
    struct percent p = { .r = r, .b.r = r, .format = format, .args = args };
    while (p.at < format->len && step(r, 1)) {
        size_t percent = str_find(format, &(struct str) { "%", NULL, 1, 0 }, p.at), end = percent == SIZE_MAX ? format->len : percent;
        builder_put_str(&p.b, str_view(r, format, p.at, end - p.at));
        p.at = end + 1;
        if (percent != SIZE_MAX) put_directive(&p);
    }
    bool is_tuple = args->kind == V_LIST && args->l->flavour == LIST_TUPLE;
    if (!failed(r) && args->kind != V_DICT && p.n_used < (is_tuple ? args->l->len : 1)) fail(r, "the format has no place for all its values");
    return builder_end(&p.b);
}

/* {}, {0}, {name}, {0.attribute}; what follows a ':' or '!' is not supported. */
static const struct value *brace_value(struct render *r, const struct str *field, const struct call_args *args, size_t *n_auto)
{
    size_t digits = 0;
    if (memchr(field->s, ':', field->len) || memchr(field->s, '!', field->len) || memchr(field->s, '.', field->len) || memchr(field->s, '[', field->len)) {
        fail(r, "format() supports only {}, {0} and {name}, found {%.*s}", (int)(field->len < 40 ? field->len : 40), field->s);
        return NULL;
    }
    while (digits < field->len && field->s[digits] >= '0' && field->s[digits] <= '9') digits++;
    if (digits == field->len) {
        size_t at = 0, i = field->len ? (size_t)read_number(field, &at) : (*n_auto)++;
        if (i < args->len) return &args->value[i];
        fail(r, "format() needs at least %zu values, found %zu", i + 1, args->len);
        return NULL;
    }
    for (size_t k = 0; k < args->n_keywords; k++)
        if (str_equal(args->keyword[k].key.s, field)) return &args->keyword[k].value;
    fail(r, "format() needs a value for '%.*s'", (int)(field->len < 40 ? field->len : 40), field->s);
    return NULL;
}

const struct str *format_braces(struct render *r, const struct str *format, const struct call_args *args)
{
    struct builder b = { .r = r };
    size_t n_auto = 0;
    for (size_t at = 0; at < format->len && step(r, 0);) {
        char c = format->s[at];
        bool doubled = at + 1 < format->len && format->s[at + 1] == c;
        if ((c != '{' && c != '}') || doubled) {
            builder_put(&b, &c, 1, str_mark(format, at));
            at += c == '{' || c == '}' ? 2 : 1;
            continue;
        }
        size_t end = c == '{' ? str_find(format, &(struct str) { "}", NULL, 1, 0 }, at) : SIZE_MAX;
        if (end == SIZE_MAX) { fail(r, "the format has a single '%c'", c); break; }
        const struct value *v = brace_value(r, str_view(r, format, at + 1, end - at - 1), args, &n_auto);
        if (v) builder_put_str(&b, value_to_str(r, v));
        at = end + 1;
    }
    return builder_end(&b);
}
