/* jinja_methods.c - Python's methods of strings: one row each. */
#include "jinja_methods.h"

#include <string.h>

METHOD(s_strip) { return value_str(str_strip(r, self->s, arg_str(r, a, 0, NULL), true, true)); }
METHOD(s_lstrip) { return value_str(str_strip(r, self->s, arg_str(r, a, 0, NULL), true, false)); }
METHOD(s_rstrip) { return value_str(str_strip(r, self->s, arg_str(r, a, 0, NULL), false, true)); }
METHOD(s_upper) { (void)a; return value_str(str_case(r, self->s, CASE_UPPER)); }
METHOD(s_lower) { (void)a; return value_str(str_case(r, self->s, CASE_LOWER)); }
METHOD(s_title) { (void)a; return value_str(str_case(r, self->s, CASE_TITLE)); }
METHOD(s_capitalize) { (void)a; return value_str(str_case(r, self->s, CASE_CAPITALIZE)); }
METHOD(s_swapcase) { (void)a; return value_str(str_case(r, self->s, CASE_SWAP)); }
METHOD(s_casefold) { (void)a; return value_str(str_case(r, self->s, CASE_FOLD)); }
METHOD(s_format) { return format_braces(r, self, a); }

/* Parts are gathered in a list that is cut to size at the end. */
struct parts { struct render *r; struct value list; size_t cap; };

static void parts_put(struct parts *p, const struct str *s)
{
    if (failed(p->r)) return;
    if (p->list.kind != V_LIST || p->list.l->len == p->cap) {
        size_t len = p->list.kind == V_LIST ? p->list.l->len : 0;
        struct value grown = value_list(p->r, 2 * len + 4, LIST_PLAIN);
        if (failed(p->r)) return;
        for (size_t i = 0; i < len; i++) grown.l->item[i] = p->list.l->item[i];
        p->cap = grown.l->len;
        grown.l->len = len;
        p->list = grown;
    }
    p->list.l->item[p->list.l->len++] = value_str(s);
    step(p->r, 1);
}

static struct value parts_end(struct parts *p, bool reversed)
{
    if (failed(p->r)) return value_none();
    if (p->list.kind != V_LIST) return value_list(p->r, 0, LIST_PLAIN);
    struct list *l = p->list.l;
    for (size_t i = 0; reversed && i < l->len / 2; i++) {
        struct value swap = l->item[i];
        l->item[i] = l->item[l->len - 1 - i];
        l->item[l->len - 1 - i] = swap;
    }
    return p->list;
}

static size_t char_bytes(const struct str *s, size_t at, uint32_t *c)
{
    int n = utf8_next(s->s + at, s->len - at, c);
    return n > 0 ? (size_t)n : 1;
}

/* Where the white space from `at` on ends, or where what is not ends. */
static size_t skip(const struct str *s, size_t at, bool spaces)
{
    for (uint32_t c = 0; at < s->len;) {
        size_t n = char_bytes(s, at, &c);
        if (char_is_space(c) != spaces) break;
        at += n;
    }
    return at;
}

static void split_words(struct parts *p, const struct str *s, int64_t limit)
{
    size_t at = skip(s, 0, true);
    for (; at < s->len && limit != 0 && !failed(p->r); limit--) {
        size_t end = skip(s, at, false);
        parts_put(p, str_view(p->r, s, at, end - at));
        at = skip(s, end, true);
    }
    if (at < s->len) parts_put(p, str_view(p->r, s, at, s->len - at));    /* with the white space at its end */
}

static size_t skip_back(const struct str *s, size_t end, bool spaces)
{
    while (end) {
        size_t at = end - 1;
        uint32_t c = 0;
        while (at && ((unsigned char)s->s[at] & 0xC0) == 0x80) at--;
        char_bytes(s, at, &c);
        if (char_is_space(c) != spaces) break;
        end = at;
    }
    return end;
}

static void split_words_back(struct parts *p, const struct str *s, int64_t limit)
{
    size_t end = skip_back(s, s->len, true);
    for (; end && limit != 0 && !failed(p->r); limit--) {
        size_t at = skip_back(s, end, false);
        parts_put(p, str_view(p->r, s, at, end - at));
        end = skip_back(s, at, true);
    }
    if (end) parts_put(p, str_view(p->r, s, 0, end));
}

static struct value split(struct render *r, const struct value *self, const struct call_args *a, bool from_end)
{
    const struct str *s = self->s, *by = arg_str(r, a, 0, "sep");
    int64_t limit = arg_int(r, a, 1, "maxsplit", -1);
    struct parts p = { .r = r };
    if (!step(r, s->len / 64)) return value_none();
    if (by && !by->len) return fail(r, "split() needs a separator that is not empty");
    if (!by) {
        if (from_end) split_words_back(&p, s, limit);
        else split_words(&p, s, limit);
        return parts_end(&p, from_end);
    }
    size_t at = 0, end = s->len, found;
    while (!from_end && limit-- != 0 && !failed(r) && (found = str_find(s, by, at)) != SIZE_MAX) {
        parts_put(&p, str_view(r, s, at, found - at));
        at = found + by->len;
    }
    while (from_end && limit-- != 0 && !failed(r) && (found = str_find_last(s, by, end)) != SIZE_MAX) {
        parts_put(&p, str_view(r, s, found + by->len, end - found - by->len));
        end = found;
    }
    parts_put(&p, str_view(r, s, at, end - at));
    return parts_end(&p, from_end);
}
METHOD(s_split) { return split(r, self, a, false); }
METHOD(s_rsplit) { return split(r, self, a, true); }

METHOD(s_splitlines)
{
    const struct str *s = self->s;
    const struct value *v = arg(a, 0, "keepends");
    bool keeps = v && value_true(v);
    struct parts p = { .r = r };
    for (size_t begin = 0, at = 0; begin < s->len && step(r, 0);) {
        uint32_t c = 0;
        size_t n = 0;
        for (at = begin; at < s->len; at += n) {
            n = char_bytes(s, at, &c);
            if ((c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029) break;
        }
        size_t end = at < s->len ? at + n + (c == '\r' && at + 1 < s->len && s->s[at + 1] == '\n') : at;
        parts_put(&p, str_view(r, s, begin, (keeps ? end : at) - begin));
        begin = end;
    }
    return parts_end(&p, false);
}

static struct value partition(struct render *r, const struct value *self, const struct call_args *a, bool from_end)
{
    const struct str *s = self->s, *by = arg_str(r, a, 0, "sep");
    if (!by || !by->len) return fail(r, "partition() needs a separator that is not empty");
    size_t found = from_end ? str_find_last(s, by, s->len) : str_find(s, by, 0);
    size_t cut[4] = { 0, found, found == SIZE_MAX ? 0 : found + by->len, s->len };
    if (found == SIZE_MAX) cut[1] = cut[2] = from_end ? 0 : s->len;
    struct value v = value_list(r, 3, LIST_TUPLE);
    for (size_t i = 0; i < 3 && !failed(r); i++) v.l->item[i] = value_str(str_view(r, s, cut[i], cut[i + 1] - cut[i]));
    return v;
}
METHOD(s_partition) { return partition(r, self, a, false); }
METHOD(s_rpartition) { return partition(r, self, a, true); }

/* Bounds [start, end) in characters, of the methods that search; as byte offsets. */
static bool search_range(struct render *r, const struct value *self, const struct call_args *a, size_t *begin, size_t *end)
{
    int64_t len = value_length(r, self), from = arg_int(r, a, 1, "start", 0), to = arg_int(r, a, 2, "end", len);
    if (from < 0) from = from < -len ? 0 : from + len;
    if (to < 0) to = to < -len ? 0 : to + len;
    if (to > len) to = len;
    if (from > to) return false;
    *begin = str_offset(self->s, (size_t)from);
    *end = str_offset(self->s, (size_t)to);
    return !failed(r);
}

static struct value affix(struct render *r, const struct value *self, const struct call_args *a, bool at_end)
{
    size_t begin, end;
    if (!a->len) return fail(r, "startswith() and endswith() need a string, or a tuple of strings");
    const struct value *wanted = &a->value[0];
    size_t n = wanted->kind == V_LIST && wanted->l->flavour == LIST_TUPLE ? wanted->l->len : 1;
    if (!search_range(r, self, a, &begin, &end)) return value_bool(false);
    for (size_t i = 0; i < n; i++) {
        const struct value *w = wanted->kind == V_LIST && wanted->l->flavour == LIST_TUPLE ? &wanted->l->item[i] : wanted;
        if (w->kind != V_STRING) return fail(r, "startswith() and endswith() need a string, or a tuple of strings, found %s", value_type(w));
        if (w->s->len <= end - begin && memcmp(self->s->s + (at_end ? end - w->s->len : begin), w->s->s, w->s->len) == 0) return value_bool(true);
    }
    return value_bool(false);
}
METHOD(s_startswith) { return affix(r, self, a, false); }
METHOD(s_endswith) { return affix(r, self, a, true); }

static int64_t find(struct render *r, const struct value *self, const struct call_args *a, bool from_end)
{
    size_t begin, end, found;
    const struct str *wanted = arg_str(r, a, 0, "sub");
    if (!wanted) { fail(r, "find() needs a string"); return -1; }
    if (!search_range(r, self, a, &begin, &end) || !step(r, (end - begin) / 64)) return -1;
    struct str part = { self->s->s, NULL, end, 0 };
    found = from_end ? str_find_last(&part, wanted, end) : str_find(&part, wanted, begin);
    if (found == SIZE_MAX || found < begin) return -1;
    part.len = found;
    return (int64_t)str_length(&part);
}
METHOD(s_find) { return value_int(find(r, self, a, false)); }
METHOD(s_rfind) { return value_int(find(r, self, a, true)); }
METHOD(s_index)
{
    int64_t at = find(r, self, a, false);
    return at < 0 ? fail(r, "index() did not find the text") : value_int(at);
}
METHOD(s_rindex)
{
    int64_t at = find(r, self, a, true);
    return at < 0 ? fail(r, "rindex() did not find the text") : value_int(at);
}

METHOD(s_count)
{
    size_t begin, end, n = 0;
    const struct str *wanted = arg_str(r, a, 0, "sub");
    if (!wanted) return fail(r, "count() needs a string");
    if (!search_range(r, self, a, &begin, &end) || !step(r, (end - begin) / 16)) return value_int(0);
    struct str part = { self->s->s + begin, NULL, end - begin, 0 };
    if (!wanted->len) return value_int((int64_t)str_length(&part) + 1);
    for (size_t at = 0; (at = str_find(&part, wanted, at)) != SIZE_MAX; at += wanted->len) n++;
    return value_int((int64_t)n);
}

METHOD(s_replace)
{
    const struct str *old = arg_str(r, a, 0, "old"), *new_text = arg_str(r, a, 1, "new");
    int64_t count = arg_int(r, a, 2, "count", -1);
    if (!old || !new_text) return fail(r, "replace() needs two strings");
    if (self->is_safe && !arg(a, 1, NULL)->is_safe) new_text = str_escape_html(r, new_text);
    return value_str(str_replace(r, self->s, old, new_text, count));
}

METHOD(s_join)
{
    struct builder b = { .r = r };
    if (a->len != 1) return fail(r, "join() needs one list of strings");
    const struct list *l = value_items(r, &a->value[0]);
    for (size_t i = 0; i < l->len && step(r, 1); i++) {
        if (l->item[i].kind != V_STRING) return fail(r, "join() needs strings, item %zu is %s", i, value_type(&l->item[i]));
        if (i) builder_put_str(&b, self->s);
        builder_put_str(&b, self->is_safe && !l->item[i].is_safe ? str_escape_html(r, l->item[i].s) : l->item[i].s);
    }
    return value_str(builder_end(&b));
}

static void put_filling(struct render *r, struct builder *b, const struct str *fill, size_t n)
{
    if (!step(r, n / 64)) return;
    if (!fill) builder_pad(b, ' ', n, MARK_TRUSTED);
    for (size_t i = 0; fill && i < n && step(r, 0); i++) builder_put_str(b, fill);
}

static struct value pad(struct render *r, const struct value *self, const struct call_args *a, int sides)
{
    int64_t width = arg_int(r, a, 0, "width", 0), len = value_length(r, self);
    const struct str *fill = arg_str(r, a, 1, "fillchar");
    struct builder b = { .r = r };
    if (!a->len) return fail(r, "a width is needed to center or justify a string");
    if (width > 1 << 20) return fail(r, "a width of %lld is too large", (long long)width);
    if (fill && str_length(fill) != 1) return fail(r, "the fill character must be one character");
    int64_t n = width > len ? width - len : 0, left = sides == 0 ? n / 2 + (n & width & 1) : sides > 0 ? n : 0;
    put_filling(r, &b, fill, (size_t)left);
    builder_put_str(&b, self->s);
    put_filling(r, &b, fill, (size_t)(n - left));
    return value_str(builder_end(&b));
}
METHOD(s_center) { return pad(r, self, a, 0); }
METHOD(s_ljust) { return pad(r, self, a, -1); }
METHOD(s_rjust) { return pad(r, self, a, 1); }

METHOD(s_zfill)
{
    int64_t width = arg_int(r, a, 0, "width", 0), len = value_length(r, self);
    struct builder b = { .r = r };
    if (!a->len) return fail(r, "zfill() needs a width");
    bool has_sign = self->s->len && (self->s->s[0] == '-' || self->s->s[0] == '+');
    if (width > 1 << 20) return fail(r, "a width of %lld is too large", (long long)width);
    if (has_sign) builder_put_str(&b, str_view(r, self->s, 0, 1));
    builder_pad(&b, '0', width > len ? (size_t)(width - len) : 0, MARK_TRUSTED);
    builder_put_str(&b, str_view(r, self->s, has_sign, self->s->len - has_sign));
    return value_str(builder_end(&b));
}

METHOD(s_removeprefix)
{
    const struct str *s = self->s, *w = arg_str(r, a, 0, "prefix");
    if (!w) return fail(r, "removeprefix() needs a string");
    bool has = s->len >= w->len && memcmp(s->s, w->s, w->len) == 0;
    return value_str(has ? str_view(r, s, w->len, s->len - w->len) : s);
}
METHOD(s_removesuffix)
{
    const struct str *s = self->s, *w = arg_str(r, a, 0, "suffix");
    if (!w) return fail(r, "removesuffix() needs a string");
    bool has = s->len >= w->len && memcmp(s->s + s->len - w->len, w->s, w->len) == 0;
    return value_str(has ? str_view(r, s, 0, s->len - w->len) : s);
}

/* True if the string has characters and all are of a kind. */
static struct value all_are(struct render *r, const struct str *s, bool (*test)(uint32_t))
{
    for (size_t at = 0; at < s->len && step(r, 0);) {
        uint32_t c = 0;
        at += char_bytes(s, at, &c);
        if (!test(c)) return value_bool(false);
    }
    return value_bool(s->len != 0);
}
static bool c_ascii(uint32_t c) { return c < 0x80; }
METHOD(s_isdigit) { (void)a; return all_are(r, self->s, char_is_digit); }
METHOD(s_isnumeric) { (void)a; return all_are(r, self->s, char_is_numeric); }
METHOD(s_isdecimal) { (void)a; return all_are(r, self->s, char_is_decimal); }
METHOD(s_isalpha) { (void)a; return all_are(r, self->s, char_is_alpha); }
METHOD(s_isalnum) { (void)a; return all_are(r, self->s, char_is_alnum); }
METHOD(s_isspace) { (void)a; return all_are(r, self->s, char_is_space); }
METHOD(s_isascii) { (void)a; return self->s->len ? all_are(r, self->s, c_ascii) : value_bool(true); }
METHOD(s_isprintable) { (void)a; return self->s->len ? all_are(r, self->s, char_is_printable) : value_bool(true); }
METHOD(s_isupper) { (void)a; return value_bool(test_find("upper", 5)->test(r, self, NULL)); }
METHOD(s_islower) { (void)a; return value_bool(test_find("lower", 5)->test(r, self, NULL)); }

METHOD(s_isidentifier)
{
    const struct str *s = self->s;
    uint32_t c = 0;
    (void)a;
    if (!s->len) return value_bool(false);
    size_t first = char_bytes(s, 0, &c);
    if (!char_is_name_start(c)) return value_bool(false);
    return first == s->len ? value_bool(true) : all_are(r, str_view(r, s, first, s->len - first), char_is_name);
}

/* Upper and title case only behind uncased characters, lower case only behind cased ones. */
METHOD(s_istitle)
{
    bool any = false, is_inside = false;
    (void)a;
    if (!step(r, self->s->len / 64)) return value_none();
    for (size_t at = 0; at < self->s->len;) {
        uint32_t c = 0;
        at += char_bytes(self->s, at, &c);
        bool begins = char_is_upper(c) || char_is_title(c);
        if (begins ? is_inside : char_is_lower(c) && !is_inside) return value_bool(false);
        is_inside = char_is_cased(c);
        any |= is_inside;
    }
    return value_bool(any);
}

METHOD(s_expandtabs)
{
    int64_t size = arg_int(r, a, 0, "tabsize", 8), column = 0;
    struct builder b = { .r = r };
    if (size > 1000) return fail(r, "a tab of %lld is too wide, at most 1000 is supported", (long long)size);
    for (size_t at = 0; at < self->s->len && step(r, 0);) {
        uint32_t c = 0;
        size_t n = char_bytes(self->s, at, &c);
        int64_t wide = size > 0 ? size - column % size : 0;
        if (c != '\t') builder_put_str(&b, str_view(r, self->s, at, n));
        builder_pad(&b, ' ', c == '\t' ? (size_t)wide : 0, str_mark(self->s, at));
        column = c == '\n' || c == '\r' ? 0 : column + (c == '\t' ? wide : 1);
        at += n;
    }
    return value_str(builder_end(&b));
}

#define FIND "/sub /start /end"
#define SAFE true                            /* HTML stays HTML */
const struct callable_row string_method_rows[] = {
    { "strip", s_strip, "/chars", SAFE }, { "lstrip", s_lstrip, "/chars", SAFE }, { "rstrip", s_rstrip, "/chars", SAFE },
    { "split", s_split, "sep maxsplit", SAFE }, { "rsplit", s_rsplit, "sep maxsplit", SAFE }, { "splitlines", s_splitlines, "keepends", SAFE },
    { "startswith", s_startswith, FIND, false }, { "endswith", s_endswith, FIND, false }, { "replace", s_replace, "/old /new /count", SAFE },
    { "upper", s_upper, "", SAFE }, { "lower", s_lower, "", SAFE }, { "title", s_title, "", SAFE }, { "capitalize", s_capitalize, "", SAFE },
    { "swapcase", s_swapcase, "", SAFE }, { "casefold", s_casefold, "", SAFE }, { "find", s_find, FIND, false }, { "rfind", s_rfind, FIND, false },
    { "index", s_index, FIND, false }, { "rindex", s_rindex, FIND, false }, { "count", s_count, FIND, false }, { "join", s_join, "/iterable", SAFE },
    { "format", s_format, NULL, SAFE }, { "partition", s_partition, "/sep", SAFE }, { "rpartition", s_rpartition, "/sep", SAFE },
    { "center", s_center, "/width /fillchar", SAFE }, { "ljust", s_ljust, "/width /fillchar", SAFE }, { "rjust", s_rjust, "/width /fillchar", SAFE },
    { "zfill", s_zfill, "/width", SAFE }, { "expandtabs", s_expandtabs, "tabsize", SAFE }, { "removeprefix", s_removeprefix, "/prefix", SAFE },
    { "removesuffix", s_removesuffix, "/suffix", SAFE }, { "isdigit", s_isdigit, "", false }, { "isnumeric", s_isnumeric, "", false },
    { "isdecimal", s_isdecimal, "", false }, { "isalpha", s_isalpha, "", false }, { "isalnum", s_isalnum, "", false },
    { "isspace", s_isspace, "", false }, { "isascii", s_isascii, "", false }, { "isprintable", s_isprintable, "", false },
    { "isidentifier", s_isidentifier, "", false }, { "istitle", s_istitle, "", false }, { "isupper", s_isupper, "", false },
    { "islower", s_islower, "", false }, { NULL, NULL, NULL, false },
};
