/* jinja_filters.c - what may follow `|`: one row a filter, named and behaving as in Jinja2; lists are in
 * jinja_filters_list.c. `self` is the value on the left. */
#include "jinja_filters.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct str *text_of(struct render *r, const struct value *v) { return value_to_str(r, v); }

FILTER(f_upper) { (void)a; return value_str(str_case(r, text_of(r, self), CASE_UPPER)); }
FILTER(f_lower) { (void)a; return value_str(str_case(r, text_of(r, self), CASE_LOWER)); }
FILTER(f_capitalize) { (void)a; return value_str(str_case(r, text_of(r, self), CASE_CAPITALIZE)); }
FILTER(f_title) { (void)a; return value_str(str_case(r, text_of(r, self), CASE_TITLE_WORDS)); }
FILTER(f_trim) { return value_str(str_strip(r, text_of(r, self), arg_str(r, a, 0, "chars"), true, true)); }

FILTER(f_string)
{
    (void)a;
    struct value v = value_str(text_of(r, self));
    v.is_safe = self->is_safe;
    return v;
}

FILTER(f_safe)
{
    (void)a;
    struct value v = value_str(text_of(r, self));
    v.is_safe = true;
    return v;
}

FILTER(f_escape)
{
    (void)a;
    struct value v = value_str(self->is_safe ? self->s : str_escape_html(r, text_of(r, self)));
    v.is_safe = true;
    return v;
}

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
    return value_str(format_percent(r, text_of(r, self), &args));
}

FILTER(f_tojson)
{
    const struct value *ascii = arg(a, 0, "ensure_ascii"), *separators = arg(a, 2, "separators"), *sort = arg(a, 3, "sort_keys");
    int64_t indent = arg_int(r, a, 1, "indent", -1);
    char item[16] = ", ", key[16] = ": ";
    if (indent > 100) return fail(r, "an indent of %lld is too large for tojson, at most 100 is supported", (long long)indent);
    if (indent >= 0) memcpy(item, ",", 2);
    if (separators && separators->kind != V_NONE) {
        const struct list *l = value_items(r, separators);
        if (failed(r) || l->len != 2 || l->item[0].kind != V_STRING || l->item[1].kind != V_STRING || l->item[0].s->len >= sizeof item || l->item[1].s->len >= sizeof key)
            return fail(r, "the separators of tojson must be two short strings");
        memcpy(item, l->item[0].s->s, l->item[0].s->len);
        item[l->item[0].s->len] = 0;
        memcpy(key, l->item[1].s->s, l->item[1].s->len);
        key[l->item[1].s->len] = 0;
    }
    return value_str(value_json_text(r, self, indent < 0 ? -1 : (int)indent, item, key, sort && value_true(sort), ascii && value_true(ascii)));
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
    static const char spaces[] = "                                                                                                    ";
    const struct value *width = arg(a, 0, "width"), *first = arg(a, 1, "first"), *blank = arg(a, 2, "blank");
    struct str by = { spaces, NULL, 4, MARK_TRUSTED };
    if (width && width->kind == V_STRING) by = *width->s;
    else by.len = (size_t)arg_int(r, a, 0, "width", 4);
    if (failed(r) || (by.s == spaces && by.len >= sizeof spaces)) return fail(r, "the width of indent must be 0 to 100");
    const struct str newline = { "\n", NULL, 1, MARK_TRUSTED };
    const struct list *lines = lines_of(r, str_join2(r, text_of(r, self), &newline));
    struct builder b = { .r = r };
    for (size_t i = 0; i < lines->len && step(r, 1); i++) {
        bool indents = i ? lines->item[i].s->len || (blank && value_true(blank)) : first && value_true(first);
        if (i) builder_put_str(&b, &newline);
        if (indents) builder_put_str(&b, &by);
        builder_put_str(&b, lines->item[i].s);
    }
    return value_str(builder_end(&b));
}

FILTER(f_center)
{
    struct value s = value_str(text_of(r, self)), width = value_int(arg_int(r, a, 0, "width", 80));
    const struct call_args args = { &width, 1, NULL, 0 };
    return failed(r) ? value_none() : method_find(&s, &(struct str) { "center", NULL, 6, 0 })->call(r, &s, &args);
}

FILTER(f_wordcount)
{
    const struct str *s = text_of(r, self);
    int64_t n = 0;
    bool inside = false;
    (void)a;
    for (size_t at = 0; at < s->len && step(r, 0);) {
        uint32_t c = 0;
        int bytes = utf8_next(s->s + at, s->len - at, &c);
        struct value one = value_str(str_view(r, s, at, bytes > 0 ? (size_t)bytes : 1));
        const struct call_args none = { 0 };
        bool word = c == '_' || (c < 0x80 ? (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
                                          : !failed(r) && method_find(&one, &(struct str) { "isalnum", NULL, 7, 0 })->call(r, &one, &none).b);
        n += word && !inside;
        inside = word;
        at += bytes > 0 ? (size_t)bytes : 1;
    }
    return value_int(n);
}

FILTER(f_truncate)
{
    const struct str *s = text_of(r, self), *end = arg_str(r, a, 2, "end");
    const struct str dots = { "...", NULL, 3, MARK_TRUSTED };
    int64_t length = arg_int(r, a, 0, "length", 255), leeway = arg_int(r, a, 3, "leeway", 5);
    const struct value *kill = arg(a, 1, "killwords");
    if (!end) end = &dots;
    int64_t end_length = (int64_t)str_length(end);
    if (length < end_length || leeway < 0) return fail(r, "truncate needs a length of at least %lld", (long long)end_length);
    if ((int64_t)str_length(s) <= length + leeway) return value_str(s);
    const struct str *cut = str_view(r, s, 0, str_offset(s, (size_t)(length - end_length)));
    if (!kill || !value_true(kill)) {
        size_t space = str_find_last(cut, &(struct str) { " ", NULL, 1, 0 }, cut->len);
        if (space != SIZE_MAX) cut = str_view(r, cut, 0, space);
    }
    return value_str(str_join2(r, cut, end));
}

/* ---- numbers ---------------------------------------------------------------------------------------------------------- */

/* The number that Python's float() or int() reads from text: digits with single underscores between them. */
static bool read_text(const struct str *s, bool whole, int base, struct value *out)
{
    char text[64], *end;
    size_t n = 0;
    for (size_t i = 0; i < s->len; i++) {
        if (s->s[i] == '_' && i && i + 1 < s->len && s->s[i - 1] != '_' && s->s[i + 1] != '_') continue;
        if (n + 1 == sizeof text || (unsigned char)s->s[i] >= 0x80 || s->s[i] == '_' || !s->s[i]) return false;
        text[n++] = s->s[i];
    }
    text[n] = 0;
    if (!n || char_is_space((unsigned char)text[0]) || (!whole && strpbrk(text, "xX"))) return false;
    if (whole) *out = value_int(strtoll(text, &end, base));
    else *out = value_float(strtod(text, &end));
    return *end == 0;
}

static bool to_float(struct render *r, const struct value *v, struct value *out)
{
    if (value_is_number(v)) { *out = value_float(value_number(v)); return true; }
    return v->kind == V_STRING && read_text(str_strip(r, v->s, NULL, true, true), false, 10, out);
}

FILTER(f_int)
{
    const struct value *fallback = arg(a, 0, "default");
    int64_t base = arg_int(r, a, 1, "base", 10);
    struct value v;
    if (base < 2 || base > 36) return fail(r, "the base of int must be 2 to 36");
    if (self->kind == V_INT || self->kind == V_BOOL) return value_int(value_integer(self));
    if (self->kind == V_STRING && read_text(str_strip(r, self->s, NULL, true, true), true, (int)base, &v)) return v;
    if (to_float(r, self, &v) && isfinite(v.f) && fabs(v.f) < 9.2e18) return value_int((int64_t)v.f);
    return fallback ? *fallback : value_int(0);
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
static double round_common(double x, int64_t places)
{
    char text[400];
    if (places > 300 || places < -300 || !isfinite(x)) return x;
    if (places < 0) {
        double unit = pow(10, (double)-places);
        return nearbyint(x / unit) * unit;
    }
    snprintf(text, sizeof text, "%.*f", (int)places, x);
    return strtod(text, NULL);
}

FILTER(f_round)
{
    int64_t places = arg_int(r, a, 0, "precision", 0);
    const struct str *method = arg_str(r, a, 1, "method");
    if (failed(r)) return value_none();
    if (!value_is_number(self)) return fail(r, "round needs a number, found %s", value_type(self));
    if (!method || str_is(method, "common")) {
        if (self->kind != V_FLOAT && places >= 0) return value_int(value_integer(self));
        double x = round_common(value_number(self), places);
        return self->kind == V_FLOAT ? value_float(x) : value_int((int64_t)x);
    }
    double unit = pow(10, (double)places);
    if (str_is(method, "ceil")) return value_float(ceil(value_number(self) * unit) / unit);
    if (str_is(method, "floor")) return value_float(floor(value_number(self) * unit) / unit);
    return fail(r, "the method of round must be 'common', 'ceil' or 'floor'");
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------- */

static const struct filter_row text_rows[] = {
    { "abs", f_abs }, { "capitalize", f_capitalize }, { "center", f_center }, { "count", f_length }, { "d", f_default }, { "default", f_default },
    { "e", f_escape }, { "escape", f_escape }, { "float", f_float }, { "forceescape", f_escape }, { "format", f_format }, { "indent", f_indent },
    { "int", f_int }, { "length", f_length }, { "lower", f_lower }, { "replace", f_replace }, { "round", f_round }, { "safe", f_safe },
    { "string", f_string }, { "title", f_title }, { "tojson", f_tojson }, { "trim", f_trim }, { "truncate", f_truncate }, { "upper", f_upper },
    { "wordcount", f_wordcount }, { NULL, NULL },
};

const struct filter_row *filter_find(const char *name, size_t len)
{
    const struct filter_row *const tables[] = { text_rows, list_filter_rows };
    for (size_t i = 0; i < 2; i++)
        for (const struct filter_row *row = tables[i]; row->name; row++)
            if (strlen(row->name) == len && memcmp(row->name, name, len) == 0) return row;
    return NULL;
}
