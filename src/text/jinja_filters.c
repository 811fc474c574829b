/* jinja_filters.c - what may follow `|`: one row a filter, named and behaving as in Jinja2; lists are in
 * jinja_filters_list.c. `self` is the value on the left. */
#include "jinja_filters.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct str *text_of(struct render *r, const struct value *v) { return value_to_str(r, v); }

/* Text made of `self` that is HTML if `self` is. */
static struct value as_safe_as(const struct value *self, const struct str *s)
{
    struct value v = value_str(s);
    v.is_safe = self->is_safe;
    return v;
}

FILTER(f_upper) { (void)a; return as_safe_as(self, str_case(r, text_of(r, self), CASE_UPPER)); }
FILTER(f_lower) { (void)a; return as_safe_as(self, str_case(r, text_of(r, self), CASE_LOWER)); }
FILTER(f_capitalize) { (void)a; return as_safe_as(self, str_case(r, text_of(r, self), CASE_CAPITALIZE)); }
FILTER(f_title) { (void)a; return value_str(str_case(r, text_of(r, self), CASE_TITLE_WORDS)); }
FILTER(f_trim) { return as_safe_as(self, str_strip(r, text_of(r, self), arg_str(r, a, 0, "chars"), true, true)); }
FILTER(f_string) { (void)a; return as_safe_as(self, text_of(r, self)); }

static struct value safe(const struct str *s) { return as_safe_as(&(struct value) { .is_safe = true }, s); }
FILTER(f_safe) { (void)a; return safe(text_of(r, self)); }
FILTER(f_escape) { (void)a; return safe(self->is_safe ? self->s : str_escape_html(r, text_of(r, self))); }
FILTER(f_forceescape) { (void)a; return safe(str_escape_html(r, text_of(r, self))); }

FILTER(f_replace)
{
    const struct value *old = arg(a, 0, "old"), *new_text = arg(a, 1, "new");
    int64_t count = arg_int(r, a, 2, "count", -1);
    if (!old || !new_text) return fail(r, "replace needs two strings");
    return value_str(str_replace(r, text_of(r, self), text_of(r, old), text_of(r, new_text), count));
}

FILTER(f_length)
{
    int64_t n = value_length(r, self);
    (void)a;
    return value_int(n);
}

FILTER(f_default)
{
    const struct value *fallback = arg(a, 0, "default_value"), *boolean = arg(a, 1, "boolean");
    bool use = self->kind == V_UNDEFINED || (boolean && value_true(boolean) && !value_true(self));
    return !use ? *self : fallback ? *fallback : value_text(r, "", MARK_TRUSTED);
}

FILTER(f_format)
{
    if (a->len && a->n_keywords) return fail(r, "format takes values or names with values, not both");
    struct value args = a->n_keywords ? value_dict(r, 0) : value_list(r, a->len, LIST_TUPLE);
    if (failed(r)) return value_none();
    if (a->n_keywords) *args.d = (struct dict) { a->keyword, a->n_keywords, a->n_keywords };
    for (size_t i = 0; !a->n_keywords && i < a->len; i++) args.l->item[i] = a->value[i];
    return format_percent(r, &(struct value) { .kind = V_STRING, .is_safe = self->is_safe, .s = text_of(r, self) }, &args);
}

FILTER(f_tojson)
{
    const struct value *ascii = arg(a, 0, "ensure_ascii"), *indent = arg(a, 1, "indent"), *separators = arg(a, 2, "separators"), *sort = arg(a, 3, "sort_keys");
    const struct str comma = { ",", NULL, 1, 0 }, comma_space = { ", ", NULL, 2, 0 }, colon_space = { ": ", NULL, 2, 0 };
    struct json_style style = { .indent = NULL, .item = &comma_space, .key = &colon_space, .sorts = sort && value_true(sort), .is_ascii = ascii && value_true(ascii) };
    if (indent && indent->kind != V_NONE) {
        int64_t width = indent->kind == V_STRING ? 0 : arg_int(r, a, 1, "indent", 0);
        if (width > 100) return fail(r, "an indent of %lld is too large for tojson, at most 100 is supported", (long long)width);
        style.indent = indent->kind == V_STRING ? indent->s : str_repeat(r, &(struct str) { " ", NULL, 1, 0 }, width);
        style.item = &comma;
    }
    if (separators && separators->kind != V_NONE) {
        const struct list *l = value_items(r, separators);
        if (failed(r) || l->len != 2 || l->item[0].kind != V_STRING || l->item[1].kind != V_STRING) return fail(r, "the separators of tojson must be two strings");
        style.item = l->item[0].s;
        style.key = l->item[1].s;
    }
    return failed(r) ? value_none() : value_str(value_json_text(r, self, &style));
}

/* Splits into lines as str.splitlines does. */
static const struct list *lines_of(struct render *r, const struct str *s)
{
    struct value v = value_str(s);
    const struct call_args none = { 0 };
    struct value lines = method_find(&v, &(struct str) { "splitlines", NULL, 10, 0 })->call(r, &v, &none);
    return value_items(r, &lines);
}

FILTER(f_indent)
{
    const struct value *width = arg(a, 0, "width"), *first = arg(a, 1, "first"), *blank = arg(a, 2, "blank");
    const struct str newline = { "\n", NULL, 1, MARK_TRUSTED }, space = { " ", NULL, 1, MARK_TRUSTED };
    if (self->kind != V_STRING) return fail(r, "indent needs a string, found %s", value_type(self));
    if (width && width->kind == V_NONE) return fail(r, "the width of indent must be a number or a string, found None");
    const struct str *by = width && width->kind == V_STRING ? width->s : str_repeat(r, &space, arg_int(r, a, 0, "width", 4));
    const struct list *lines = lines_of(r, str_join2(r, self->s, &newline));
    struct builder b = { .r = r };
    for (size_t i = 0; i < lines->len && step(r, 1); i++) {
        bool indents = i ? lines->item[i].s->len || (blank && value_true(blank)) : first && value_true(first);
        if (i) builder_put_str(&b, &newline);
        if (indents) builder_put_str(&b, by);
        builder_put_str(&b, lines->item[i].s);
    }
    return as_safe_as(self, builder_end(&b));
}

FILTER(f_center)
{
    struct value s = as_safe_as(self, text_of(r, self)), width = value_int(arg_int(r, a, 0, "width", 80));
    const struct call_args args = { &width, 1, NULL, 0 };
    return failed(r) ? value_none() : method_call(r, method_find(&s, &(struct str) { "center", NULL, 6, 0 }), &s, &args);
}

FILTER(f_wordcount)
{
    const struct str *s = text_of(r, self);
    int64_t n = 0;
    bool inside = false;
    (void)a;
    if (!step(r, s->len / 16)) return value_none();
    for (size_t at = 0; at < s->len;) {
        uint32_t c = 0;
        at += (size_t)utf8_next(s->s + at, s->len - at, &c);
        bool word = c == '_' || char_is_alnum(c);
        n += word && !inside;
        inside = word;
    }
    return value_int(n);
}

FILTER(f_truncate)
{
    const struct str *end = arg_str(r, a, 2, "end");
    const struct str dots = { "...", NULL, 3, MARK_TRUSTED };
    int64_t length = arg_int(r, a, 0, "length", 255), leeway = arg_int(r, a, 3, "leeway", 5), has = value_length(r, self);
    const struct value *kill = arg(a, 1, "killwords"), *end_value = arg(a, 2, "end");
    if (!end) end = &dots;
    int64_t end_length = (int64_t)str_length(end);
    if (failed(r)) return value_none();
    if (length < end_length || leeway < 0) return fail(r, "truncate needs a length of at least %lld", (long long)end_length);
    if (has <= leeway || has - leeway <= length) return *self;
    if (self->kind != V_STRING) return fail(r, "truncate needs a string, found %s", value_type(self));
    const struct str *cut = str_view(r, self->s, 0, str_offset(self->s, (size_t)(length - end_length)));
    if (!kill || !value_true(kill)) {
        size_t space = str_find_last(cut, &(struct str) { " ", NULL, 1, 0 }, cut->len);
        if (space != SIZE_MAX) cut = str_view(r, cut, 0, space);
    }
    const struct value head = as_safe_as(self, cut), tail = as_safe_as(end_value ? end_value : self, end);
    return eval_binary(r, '+', &head, &tail);
}

/* ---- numbers ---------------------------------------------------------------------------------------------------------- */

/* Text without the underscores that stand alone between digits; false if Python allows no number like it. */
static bool plain_digits(const struct str *s, char *out, size_t out_bytes)
{
    size_t n = 0;
    for (size_t i = 0; i < s->len; i++) {
        if (s->s[i] == '_' && i && i + 1 < s->len && isalnum((unsigned char)s->s[i - 1]) && isalnum((unsigned char)s->s[i + 1])) continue;
        if (n + 1 == out_bytes || (unsigned char)s->s[i] <= ' ' || (unsigned char)s->s[i] >= 0x7F || s->s[i] == '_') return false;
        out[n++] = s->s[i];
    }
    out[n] = 0;
    return n != 0;
}

/* int(text, base): true if it is a number; fails if that does not fit. Base 0: by its prefix. */
static bool read_whole(struct render *r, const struct str *s, int base, struct value *out)
{
    char text[200];
    int64_t n = 0;
    if (!plain_digits(s, text, sizeof text)) return false;
    const char *p = text + (text[0] == '-' || text[0] == '+');
    int prefix = p[0] != '0' ? 0 : p[1] == 'x' || p[1] == 'X' ? 16 : p[1] == 'o' || p[1] == 'O' ? 8 : p[1] == 'b' || p[1] == 'B' ? 2 : 0;
    if (prefix && (base == 0 || base == prefix)) { p += 2; base = prefix; }
    if (base == 0 && p[0] == '0' && strspn(p, "0") != strlen(p)) return false;
    if (base == 0) base = 10;
    if (!*p) return false;
    bool fits = true;
    for (; *p; p++) {
        int digit = *p >= '0' && *p <= '9' ? *p - '0' : isalpha((unsigned char)*p) ? tolower((unsigned char)*p) - 'a' + 10 : 99;
        if (digit >= base) return false;
        if (__builtin_mul_overflow(n, base, &n) || __builtin_sub_overflow(n, digit, &n)) fits = false;
    }
    if (text[0] != '-' && n == INT64_MIN) fits = false;
    if (!fits) fail(r, "the number '%.40s' does not fit into 64 bits", text);
    *out = value_int(!fits ? 0 : text[0] == '-' ? n : -n);
    return true;
}

static bool read_real(const struct str *s, struct value *out)
{
    char text[400], *end;
    if (!plain_digits(s, text, sizeof text) || strpbrk(text, "xX(")) return false;
    *out = value_float(strtod(text, &end));
    return *end == 0;
}

static bool to_float(struct render *r, const struct value *v, struct value *out)
{
    if (value_is_number(v)) { *out = value_float(value_number(v)); return true; }
    if (v->kind == V_UNDEFINED) fail(r, "'%s' is undefined and no number", v->missing);
    return v->kind == V_STRING && read_real(str_strip(r, v->s, NULL, true, true), out);
}

FILTER(f_int)
{
    const struct value *fallback = arg(a, 0, "default");
    int64_t base = arg_int(r, a, 1, "base", 10);
    struct value v;
    if (self->kind == V_INT || self->kind == V_BOOL) return value_int(value_integer(self));
    if (self->kind == V_STRING && (base == 0 || (base >= 2 && base <= 36)) && read_whole(r, str_strip(r, self->s, NULL, true, true), (int)base, &v)) return v;
    if (!to_float(r, self, &v) || isnan(v.f) || (isinf(v.f) && self->kind == V_STRING)) return fallback ? *fallback : value_int(0);
    if (fabs(v.f) >= 9223372036854775808.0) return fail(r, "the number does not fit into 64 bits");
    return value_int((int64_t)v.f);
}

FILTER(f_float)
{
    const struct value *fallback = arg(a, 0, "default");
    struct value v;
    return to_float(r, self, &v) ? v : fallback ? *fallback : value_float(0);
}

FILTER(f_abs)
{
    (void)a;
    if (self->kind == V_FLOAT) return value_float(fabs(self->f));
    if (!value_is_number(self) || value_integer(self) == INT64_MIN) return fail(r, "abs needs a number, found %s", value_type(self));
    return value_int(llabs(value_integer(self)));
}

/* Rounds the decimal digits half to even, as Python does: through the shortest text that is exact enough. */
static double round_real(double x, int64_t places)
{
    char text[700];
    if (places > 300 || !isfinite(x)) return x;
    if (places < -308) return 0 * x;
    if (places < 0) {
        double unit = pow(10, (double)-places);
        return nearbyint(x / unit) * unit;
    }
    snprintf(text, sizeof text, "%.*f", (int)places, x);
    return strtod(text, NULL);
}

/* Half to even at a digit before the point. */
static struct value round_whole(struct render *r, int64_t n, int64_t places)
{
    int64_t unit = 1, rest, up;
    for (; places < 0; places++)
        if (__builtin_mul_overflow(unit, 10, &unit)) return value_int(0);
    rest = n % unit;
    if (rest < 0) rest += unit;
    up = rest > unit - rest || (rest == unit - rest && (n / unit - (n < 0)) % 2);
    return __builtin_add_overflow(n, up * unit - rest, &n) ? fail(r, "the rounded number does not fit into 64 bits") : value_int(n);
}

FILTER(f_round)
{
    int64_t places = arg_int(r, a, 0, "precision", 0);
    const struct str *method = arg_str(r, a, 1, "method");
    if (failed(r)) return value_none();
    if (!value_is_number(self)) return fail(r, "round needs a number, found %s", value_type(self));
    if (!method || str_is(method, "common")) {
        return self->kind == V_FLOAT ? value_float(round_real(self->f, places)) : round_whole(r, value_integer(self), places);
    }
    double unit = pow(10, (double)places);
    if (str_is(method, "ceil")) return value_float(ceil(value_number(self) * unit) / unit);
    if (str_is(method, "floor")) return value_float(floor(value_number(self) * unit) / unit);
    return fail(r, "the method of round must be 'common', 'ceil' or 'floor'");
}

/* re.sub, as templates of benchmarks have it. */
FILTER(f_regex_replace)
{
    const struct str *pattern = arg_str(r, a, 0, "the pattern"), *by = arg_str(r, a, 1, "the replacement"), *s = text_of(r, self);
    if (failed(r)) return value_none();
    if (!pattern || !by) return fail(r, "regex_replace needs a pattern and a replacement");
    if (!step(r, s->len / 16)) return value_none();
    char *source = mem_strndup(pattern->s, pattern->len), *replacement = mem_strndup(by->s, by->len);
    struct pattern *p = NULL;
    sc_error err = { 0 };
    struct buf out;
    buf_init(&out, JINJA_OUTPUT_MAX);
    buf_puts(&out, "");
    if (pattern_open(&p, source, "regex_replace", &err) == SC_OK) pattern_replace(&out, p, replacement, s->s, s->len);
    else fail(r, "%s", err.message);
    pattern_close(p);
    mem_free(source);
    mem_free(replacement);
    struct builder b = { .r = r };
    builder_put_str(&b, &(struct str) { out.data, NULL, out.len, 0 });
    struct value v = value_str(builder_end(&b));
    buf_release(&out);
    return failed(r) ? value_none() : v;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------- */

static const struct filter_row text_rows[] = {
    { "abs", f_abs, "" }, { "capitalize", f_capitalize, "" }, { "center", f_center, "width" }, { "count", f_length, "" },
    { "d", f_default, "default_value boolean" }, { "default", f_default, "default_value boolean" }, { "e", f_escape, "" },
    { "escape", f_escape, "" }, { "float", f_float, "default" }, { "forceescape", f_forceescape, "" }, { "format", f_format, NULL },
    { "indent", f_indent, "width first blank" }, { "int", f_int, "default base" }, { "length", f_length, "" }, { "lower", f_lower, "" },
    { "regex_replace", f_regex_replace, "pattern replacement" }, { "replace", f_replace, "old new count" }, { "round", f_round, "precision method" }, { "safe", f_safe, "" }, { "string", f_string, "" },
    { "title", f_title, "" }, { "tojson", f_tojson, "ensure_ascii indent separators sort_keys" }, { "trim", f_trim, "chars" },
    { "truncate", f_truncate, "length killwords end leeway" }, { "upper", f_upper, "" }, { "wordcount", f_wordcount, "" },
    { NULL, NULL, NULL },
};

const struct filter_row *filter_find(const char *name, size_t len)
{
    const struct filter_row *const tables[] = { text_rows, list_filter_rows };
    for (size_t i = 0; i < 2; i++)
        for (const struct filter_row *row = tables[i]; row->name; row++)
            if (strlen(row->name) == len && memcmp(row->name, name, len) == 0) return row;
    return NULL;
}

struct value filter_apply(struct render *r, const struct filter_row *row, const struct value *v, const struct call_args *args)
{
    if (!args_fit(r, args, row->parameters, row->name)) return value_none();
    if (r->depth >= JINJA_DEPTH_MAX) return fail(r, "filters are nested more than %d levels deep", JINJA_DEPTH_MAX);
    r->depth++;
    struct value out = row->call(r, v, args);
    r->depth--;
    return out;
}
