/* jinja_format.c - Python's two ways to fill a string: '%s' % args, and '{}'.format(args). A format that is HTML (|safe)
 * escapes what it takes in, as Markup does. */
#include "jinja_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH_MAX = 1000 };
static bool among(char c, const char *set) { return c && strchr(set, c); }

struct directive { bool left, plus, space, zero, alternate; int width, precision; char type; };
struct percent { struct render *r; struct builder b; const struct str *format; size_t at; const struct value *args; size_t n_used; bool is_safe; };

/* str(v) or repr(v), escaped where the format is HTML and the value is not. */
static const struct str *shown(struct render *r, const struct value *v, bool as_repr, bool is_safe)
{
    struct builder b = { .r = r };
    if (as_repr) value_repr(&b, v, 0);
    const struct str *s = as_repr ? builder_end(&b) : value_to_str(r, v);
    return is_safe && (as_repr || !v->is_safe) ? str_escape_html(r, s) : s;
}

/* One character for %c and {:c}: of a number, or a string that is one. NULL after a failure. */
static const struct str *one_character(struct render *r, const struct value *v)
{
    char text[4];
    if (v->kind == V_STRING && str_length(v->s) == 1) return v->s;
    if ((v->kind == V_INT || v->kind == V_BOOL) && value_integer(v) >= 0 && value_integer(v) < 0x110000 && (value_integer(v) < 0xD800 || value_integer(v) > 0xDFFF))
        return str_new(r, text, (size_t)utf8_put(text, (uint32_t)value_integer(v)), 0);
    fail(r, "'c' in a format needs one character or its number, found %s", value_type(v));
    return NULL;
}

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
    builder_pad(b, ' ', d->left ? 0 : pad, MARK_TRUSTED);
    builder_put_str(b, s);
    builder_pad(b, ' ', d->left ? pad : 0, MARK_TRUSTED);
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
    for (; p->at < f->len && among(f->s[p->at], "-+ 0#"); p->at++) {
        char c = f->s[p->at];
        d.left |= c == '-'; d.plus |= c == '+'; d.space |= c == ' '; d.zero |= c == '0'; d.alternate |= c == '#';
    }
    d.width = read_number(f, &p->at);
    if (p->at < f->len && f->s[p->at] == '.') { p->at++; d.precision = read_number(f, &p->at); }
    if (p->at >= f->len) { fail(p->r, "the format ends inside a '%%'"); return; }
    if (d.width > WIDTH_MAX || d.precision > WIDTH_MAX) { fail(p->r, "a width in the format is beyond %d", WIDTH_MAX); return; }
    d.type = f->s[p->at++];
    if (d.type == '%') { builder_put(&p->b, "%", 1, str_mark(f, p->at - 1)); return; }
    if (!among(d.type, "srcdiuoxXeEfFgG")) { fail(p->r, "the format has an unknown '%%%c'", d.type); return; }
    const struct value *v = next_argument(p, key);
    if (!v) return;
    if (!among(d.type, "src")) { put_number(p, &d, v); return; }
    const struct str *s = d.type == 'c' ? one_character(p->r, v) : shown(p->r, v, d.type == 'r', p->is_safe);
    if (!s) return;
    if (d.precision >= 0 && d.type != 'c') s = str_view(p->r, s, 0, str_offset(s, (size_t)d.precision));
    put_padded(&p->b, s, &d);
}

struct value format_percent(struct render *r, const struct value *format, const struct value *args)
{
    const struct str *f = format->s;
    struct percent p = { .r = r, .b.r = r, .format = f, .args = args, .is_safe = format->is_safe };
    while (p.at < f->len && step(r, 1)) {
        size_t percent = str_find(f, &(struct str) { "%", NULL, 1, 0 }, p.at), end = percent == SIZE_MAX ? f->len : percent;
        builder_put_str(&p.b, str_view(r, f, p.at, end - p.at));
        p.at = end + 1;
        if (percent != SIZE_MAX) put_directive(&p);
    }
    bool is_tuple = args->kind == V_LIST && args->l->flavour == LIST_TUPLE;
    /* What can be looked up by key may go unused: a dict, and by the same rule a list. */
    bool has_keys = args->kind == V_DICT || args->kind == V_UNDEFINED || (args->kind == V_LIST && (args->l->flavour == LIST_PLAIN || args->l->flavour == LIST_RANGE));
    if (!failed(r) && !has_keys && p.n_used < (is_tuple ? args->l->len : 1)) fail(r, "the format has no place for all its values");
    struct value v = value_str(builder_end(&p.b));
    v.is_safe = format->is_safe;
    return v;
}

/* ---- format() ---------------------------------------------------------------------------------------------------------- */

/* [[fill]align][sign][#][0][width][,][.precision][type] (Python's format specification). */
struct spec { struct str fill; char align, sign, group, type; bool alternate, zero; int width, precision; };
struct braces { struct render *r; struct builder b; const struct call_args *args; size_t n_auto; bool has_auto, has_numbers, is_safe; };

static bool read_spec(struct render *r, struct spec *spec, const struct str *s)
{
    size_t at = 0, first = str_offset(s, 1);
    *spec = (struct spec) { .fill = { " ", NULL, 1, MARK_TRUSTED }, .precision = -1 };
    if (first && first < s->len && among(s->s[first], "<>=^")) {
        spec->fill = *str_view(r, s, 0, first);
        spec->align = s->s[first];
        at = first + 1;
    } else if (s->len && among(s->s[0], "<>=^")) spec->align = s->s[at++];
    if (at < s->len && among(s->s[at], "+- ")) spec->sign = s->s[at++];
    if (at < s->len && s->s[at] == '#') { spec->alternate = true; at++; }
    if (at < s->len && s->s[at] == '0') { spec->zero = true; at++; }
    spec->width = read_number(s, &at);
    if (at < s->len && among(s->s[at], ",_")) spec->group = s->s[at++];
    if (at < s->len && s->s[at] == '.') {
        size_t digits = ++at;
        spec->precision = read_number(s, &at);
        if (digits == at) { fail(r, "the format has a '.' without digits"); return false; }
    }
    if (at < s->len) spec->type = s->s[at++];
    if (at == s->len && spec->width <= WIDTH_MAX && spec->precision <= WIDTH_MAX) return !failed(r);
    fail(r, "the format ':%.*s' is not supported", (int)(s->len < 40 ? s->len : 40), s->s);
    return false;
}

/* Digits of the number without its sign. */
static void number_digits(struct render *r, char *out, size_t out_bytes, const struct spec *spec, const struct value *v, bool is_real)
{
    double f = fabs(value_number(v));
    int precision = spec->precision < 0 ? 6 : spec->precision;
    uint64_t n = is_real ? 0 : value_integer(v) < 0 ? 0 - (uint64_t)value_integer(v) : (uint64_t)value_integer(v);
    char letters[64];
    size_t k = sizeof letters;
    if (is_real) {
        switch (spec->type) {
        case 'e': snprintf(out, out_bytes, "%.*e", precision, f); return;
        case 'E': snprintf(out, out_bytes, "%.*E", precision, f); return;
        case 'f': case 'F': snprintf(out, out_bytes, "%.*f", precision, f); return;
        case '%': snprintf(out, out_bytes, "%.*f%%", precision, f * 100); return;
        case 'g': snprintf(out, out_bytes, "%.*g", precision, f); return;
        case 'G': snprintf(out, out_bytes, "%.*G", precision, f); return;
        default: break;
        }
        if (spec->type || spec->precision >= 0) fail(r, "the format of a float must have a type of e, f, g or %%");
        else float_repr(out, f);
        return;
    }
    unsigned base = spec->type == 'b' ? 2 : spec->type == 'o' ? 8 : spec->type == 'x' || spec->type == 'X' ? 16 : 10;
    for (letters[--k] = 0; n || letters[k] == 0; n /= base) letters[--k] = (spec->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[n % base];
    snprintf(out, out_bytes, "%s%s", !spec->alternate || base == 10 ? "" : base == 2 ? "0b" : base == 8 ? "0o" : spec->type == 'X' ? "0X" : "0x", letters + k);
}

/* Puts `group` between each three digits before the point. */
static void group_digits(char *out, const char *digits, char group)
{
    size_t n = strspn(digits, "0123456789"), o = 0;
    for (size_t i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0) out[o++] = group;
        out[o++] = digits[i];
    }
    memcpy(out + o, digits + n, strlen(digits + n) + 1);
}

static void put_aligned(struct builder *b, const char *sign, const struct str *s, const struct spec *spec, char usual)
{
    const struct str zero = { "0", NULL, 1, 0 }, *fill = spec->zero && !spec->align ? &zero : &spec->fill;
    size_t len = str_length(s) + strlen(sign), pad = (size_t)spec->width > len ? (size_t)spec->width - len : 0;
    char align = spec->align ? spec->align : spec->zero ? '=' : usual;
    size_t left = align == '<' ? 0 : align == '^' ? pad / 2 : pad;
    if (align == '=') builder_puts(b, sign);
    for (size_t i = 0; i < left; i++) builder_put_str(b, fill);
    if (align != '=') builder_puts(b, sign);
    builder_put_str(b, s);
    for (size_t i = left; i < pad; i++) builder_put_str(b, fill);
}

static void put_formatted_number(struct braces *f, const struct spec *spec, const struct value *v)
{
    char digits[WIDTH_MAX + 400], grouped[2 * (WIDTH_MAX + 400)];
    bool is_real = v->kind == V_FLOAT || (spec->type && among(spec->type, "eEfFgG%")), is_negative = v->kind == V_FLOAT ? signbit(v->f) : value_integer(v) < 0;
    if ((spec->type && !among(spec->type, is_real ? "eEfFgG%" : "bodxX")) || (!is_real && spec->precision >= 0) || (spec->group && (spec->zero || (spec->type && among(spec->type, "boxX"))))) {
        fail(f->r, "this format of a number is not supported");
        return;
    }
    number_digits(f->r, digits, sizeof digits, spec, v, is_real);
    if (failed(f->r)) return;
    if (spec->group) group_digits(grouped, digits, spec->group);
    const char *text = spec->group ? grouped : digits;
    put_aligned(&f->b, is_negative ? "-" : spec->sign == '+' ? "+" : spec->sign == ' ' ? " " : "", &(struct str) { text, NULL, strlen(text), 0 }, spec, '>');
}

static void put_formatted(struct braces *f, const struct str *text, const struct value *v, char conversion)
{
    struct spec spec;
    if (!text->len || !read_spec(f->r, &spec, text)) {
        if (!failed(f->r)) builder_put_str(&f->b, shown(f->r, v, conversion == 'r', f->is_safe));
        return;
    }
    if (!conversion && value_is_number(v) && spec.type != 'c') { put_formatted_number(f, &spec, v); return; }
    bool is_text = conversion || v->kind == V_STRING;
    if (spec.type == 'c' ? is_text : !is_text || (spec.type && spec.type != 's') || spec.align == '=' || spec.sign || spec.alternate || spec.group) {
        fail(f->r, "the format ':%.*s' does not go with %s", (int)(text->len < 40 ? text->len : 40), text->s, value_type(v));
        return;
    }
    const struct str *s = spec.type == 'c' ? one_character(f->r, v) : shown(f->r, v, conversion == 'r', f->is_safe);
    if (!s) return;
    if (spec.precision >= 0) s = str_view(f->r, s, 0, str_offset(s, (size_t)spec.precision));
    if (spec.zero && !spec.align) spec.align = spec.type == 'c' ? '=' : '<', spec.fill = (struct str) { "0", NULL, 1, 0 };
    put_aligned(&f->b, "", s, &spec, spec.type == 'c' ? '>' : '<');
}

/* {}, {0} or {name}. */
static const struct value *brace_value(struct braces *f, const struct str *field)
{
    size_t digits = 0;
    if (memchr(field->s, '.', field->len) || memchr(field->s, '[', field->len) || memchr(field->s, '{', field->len)) {
        fail(f->r, "format() supports only {}, {0} and {name}, found {%.*s}", (int)(field->len < 40 ? field->len : 40), field->s);
        return NULL;
    }
    while (digits < field->len && field->s[digits] >= '0' && field->s[digits] <= '9') digits++;
    if (digits == field->len) {
        size_t at = 0, i = field->len ? (size_t)read_number(field, &at) : f->n_auto++;
        *(field->len ? &f->has_numbers : &f->has_auto) = true;
        if (f->has_numbers && f->has_auto) fail(f->r, "format() got both {} and {0}, expected one kind");
        else if (i >= f->args->len) fail(f->r, "format() needs at least %zu values, found %zu", i + 1, f->args->len);
        return failed(f->r) ? NULL : &f->args->value[i];
    }
    for (size_t k = 0; k < f->args->n_keywords; k++)
        if (str_equal(f->args->keyword[k].key.s, field)) return &f->args->keyword[k].value;
    fail(f->r, "format() needs a value for '%.*s'", (int)(field->len < 40 ? field->len : 40), field->s);
    return NULL;
}

/* What stands between braces: name[!conversion][:format]. */
static void put_field(struct braces *f, const struct str *field)
{
    size_t colon = str_find(field, &(struct str) { ":", NULL, 1, 0 }, 0), end = colon == SIZE_MAX ? field->len : colon;
    const struct str nothing = { "", NULL, 0, 0 }, *format = colon == SIZE_MAX ? &nothing : str_view(f->r, field, colon + 1, field->len - colon - 1);
    char conversion = 0;
    if (end >= 2 && field->s[end - 2] == '!') {
        conversion = field->s[end - 1];
        end -= 2;
        if (conversion != 'r' && conversion != 's') { fail(f->r, "format() knows the conversions !r and !s, found !%c", conversion); return; }
    }
    const struct value *v = brace_value(f, str_view(f->r, field, 0, end));
    if (v) put_formatted(f, format, v, conversion);
}

struct value format_braces(struct render *r, const struct value *format, const struct call_args *args)
{
    const struct str *s = format->s;
    struct braces f = { .r = r, .b.r = r, .args = args, .is_safe = format->is_safe };
    for (size_t at = 0; at < s->len && step(r, 1);) {
        char c = s->s[at];
        bool doubled = at + 1 < s->len && s->s[at + 1] == c;
        if ((c != '{' && c != '}') || doubled) {
            builder_put(&f.b, &c, 1, str_mark(s, at));
            at += c == '{' || c == '}' ? 2 : 1;
            continue;
        }
        size_t end = c == '{' ? str_find(s, &(struct str) { "}", NULL, 1, 0 }, at) : SIZE_MAX;
        if (end == SIZE_MAX) { fail(r, "the format has a single '%c'", c); break; }
        put_field(&f, str_view(r, s, at + 1, end - at - 1));
        at = end + 1;
    }
    struct value v = value_str(builder_end(&f.b));
    v.is_safe = format->is_safe;
    return v;
}
