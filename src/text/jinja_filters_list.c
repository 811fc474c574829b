/* jinja_filters_list.c - filters that go through lists: map, select, sort, join, ... Lazy ones give a generator, which
 * can be read once and not printed or indexed, as in the reference. */
#include "jinja_filters.h"

#include <stdlib.h>
#include <string.h>

/* item.a.b.0 for the attribute "a.b.0"; a number takes that element. */
static struct value attribute_of(struct render *r, const struct value *item, const struct value *attribute)
{
    if (attribute->kind != V_STRING) return get_item(r, item, attribute);
    struct value v = *item;
    const struct str *s = attribute->s;
    for (size_t at = 0; at <= s->len && !failed(r);) {
        size_t dot = str_find(s, &(struct str) { ".", NULL, 1, 0 }, at), end = dot == SIZE_MAX ? s->len : dot, digits = at;
        while (digits < end && s->s[digits] >= '0' && s->s[digits] <= '9') digits++;
        struct value key = digits == end && end > at && end - at < 10 ? value_int(strtol(s->s + at, NULL, 10)) : value_str(str_view(r, s, at, end - at));
        v = get_item(r, &v, &key);
        at = end + 1;
    }
    return v;
}

/* The value that comparing looks at. */
static struct value sort_key(struct render *r, const struct value *item, const struct value *attribute, bool case_sensitive)
{
    struct value v = attribute && attribute->kind != V_NONE ? attribute_of(r, item, attribute) : *item;
    return v.kind == V_STRING && !case_sensitive ? value_str(str_case(r, v.s, CASE_LOWER)) : v;
}

/* The list of values that sorting looks at: one for each of "a,b.c". */
static struct value sort_keys(struct render *r, const struct value *item, const struct value *attribute, bool case_sensitive)
{
    size_t n = 1, at = 0;
    const struct str *s = attribute && attribute->kind == V_STRING ? attribute->s : NULL;
    for (size_t i = 0; s && i < s->len; i++) n += s->s[i] == ',';
    struct value keys = value_list(r, n, LIST_PLAIN);
    for (size_t i = 0; i < n && step(r, 1); i++) {
        size_t comma = s ? str_find(s, &(struct str) { ",", NULL, 1, 0 }, at) : 0, end = comma == SIZE_MAX ? s->len : comma;
        struct value part = s ? value_str(str_view(r, s, at, end - at)) : value_none();
        keys.l->item[i] = sort_key(r, item, s ? &part : attribute, case_sensitive);
        at = end + 1;
    }
    return keys;
}

static bool is_on(const struct value *v) { return v && value_true(v); }

static struct value copy_list(struct render *r, const struct value *from, enum list_flavour flavour)
{
    const struct list *l = value_items(r, from);
    struct value v = value_list(r, l->len, flavour);
    if (!step(r, l->len / 4)) return value_none();
    for (size_t i = 0; i < l->len; i++) v.l->item[i] = l->item[i];
    return v;
}

FILTER(f_list) { (void)a; return copy_list(r, self, LIST_PLAIN); }

FILTER(f_first)
{
    (void)a;
    const struct list *l = value_items(r, self);
    return l->len ? l->item[0] : value_undefined("the first item of nothing");
}
FILTER(f_last)
{
    (void)a;
    if (self->kind == V_LIST && self->l->flavour == LIST_GENERATOR) return fail(r, "last cannot read a generator from its end: put |list before it");
    const struct list *l = value_items(r, self);
    return l->len ? l->item[l->len - 1] : value_undefined("the last item of nothing");
}

FILTER(f_join)
{
    const struct value *by = arg(a, 0, "d"), *attribute = arg(a, 1, "attribute");
    const struct str *separator = by ? value_to_str(r, by) : NULL;
    const struct list *l = value_items(r, self);
    struct builder b = { .r = r };
    for (size_t i = 0; i < l->len && step(r, 1); i++) {
        struct value v = attribute && attribute->kind != V_NONE ? attribute_of(r, &l->item[i], attribute) : l->item[i];
        if (i && separator) builder_put_str(&b, separator);
        builder_put_str(&b, value_to_str(r, &v));
    }
    return value_str(builder_end(&b));
}

FILTER(f_reverse)
{
    (void)a;
    bool is_generator = self->kind == V_LIST && self->l->flavour == LIST_GENERATOR;
    struct value v = copy_list(r, self, is_generator ? LIST_PLAIN : LIST_GENERATOR);
    for (size_t i = 0; !failed(r) && i < v.l->len / 2; i++) {
        struct value swap = v.l->item[i];
        v.l->item[i] = v.l->item[v.l->len - 1 - i];
        v.l->item[v.l->len - 1 - i] = swap;
    }
    if (self->kind != V_STRING || failed(r)) return v;
    struct builder b = { .r = r };
    for (size_t i = 0; i < v.l->len; i++) builder_put_str(&b, v.l->item[i].s);
    v = value_str(builder_end(&b));
    v.is_safe = self->is_safe;
    return v;
}

/* ---- sorting ------------------------------------------------------------------------------------------------------------- */

struct keyed { struct value key, item; };

/* Stable merge sort of k[0..n) by key, so that a failing comparison ends it and equal keys keep their order. */
static void merge_sort(struct render *r, struct keyed *k, struct keyed *scratch, size_t n, bool reverse)
{
    for (size_t width = 1; width < n && !failed(r); width *= 2) {
        for (size_t begin = 0; begin < n; begin += 2 * width) {
            size_t middle = begin + width < n ? begin + width : n, end = begin + 2 * width < n ? begin + 2 * width : n, i = begin, j = middle, out = begin;
            while (i < middle || j < end) {
                bool left = j == end;
                if (i < middle && j < end && step(r, 1)) {
                    int order = value_compare(r, &k[i].key, &k[j].key);
                    left = reverse ? order >= 0 : order <= 0;
                } else if (i < middle) left = true;
                scratch[out++] = left ? k[i++] : k[j++];
            }
        }
        memcpy(k, scratch, n * sizeof *k);
    }
}

/* The items with their keys; NULL after a failure. */
static struct keyed *keyed_items(struct render *r, const struct list *l, const struct value *attribute, bool case_sensitive)
{
    struct keyed *k = take(r, (l->len + 1) * sizeof *k);
    for (size_t i = 0; k && i < l->len && step(r, 1); i++) k[i] = (struct keyed) { sort_key(r, &l->item[i], attribute, case_sensitive), l->item[i] };
    return failed(r) ? NULL : k;
}

/* The items of k[0..n) in the order of their keys. */
static struct value sorted_items(struct render *r, struct keyed *k, size_t n, bool reverse)
{
    struct keyed *scratch = take(r, (n + 1) * sizeof *k);
    struct value v = value_list(r, n, LIST_PLAIN);
    if (!failed(r)) merge_sort(r, k, scratch, n, reverse);
    for (size_t i = 0; !failed(r) && i < n; i++) v.l->item[i] = k[i].item;
    return v;
}

const struct entry *entries_by_key(struct render *r, const struct dict *d)
{
    struct keyed *k = take(r, (d->len + 1) * sizeof *k), *scratch = take(r, (d->len + 1) * sizeof *k);
    struct entry *sorted = take(r, (d->len + 1) * sizeof *sorted);
    if (failed(r)) return NULL;
    for (size_t i = 0; i < d->len; i++) k[i] = (struct keyed) { d->entry[i].key, value_int((int64_t)i) };
    merge_sort(r, k, scratch, d->len, false);
    for (size_t i = 0; i < d->len; i++) sorted[i] = d->entry[k[i].item.i];
    return failed(r) ? NULL : sorted;
}

FILTER(f_sort)
{
    const struct list *l = value_items(r, self);
    const struct value *reverse = arg(a, 0, "reverse"), *attribute = arg(a, 2, "attribute");
    struct keyed *k = take(r, (l->len + 1) * sizeof *k);
    for (size_t i = 0; k && i < l->len && step(r, 1); i++) k[i] = (struct keyed) { sort_keys(r, &l->item[i], attribute, is_on(arg(a, 1, "case_sensitive"))), l->item[i] };
    return failed(r) ? value_none() : sorted_items(r, k, l->len, is_on(reverse));
}

FILTER(f_dictsort)
{
    const struct str *by = arg_str(r, a, 1, "by");
    if (self->kind != V_DICT) return fail(r, "dictsort needs a dict, found %s", value_type(self));
    if (by && !str_is(by, "key") && !str_is(by, "value")) return fail(r, "dictsort can go by 'key' or 'value'");
    struct value pairs = method_find(self, &(struct str) { "items", NULL, 5, 0 })->call(r, self, &(struct call_args) { 0 }), place = value_int(by && str_is(by, "value"));
    if (failed(r)) return value_none();
    struct keyed *k = keyed_items(r, pairs.l, &place, is_on(arg(a, 0, "case_sensitive")));
    return k ? sorted_items(r, k, pairs.l->len, is_on(arg(a, 2, "reverse"))) : value_none();
}

static struct value extreme(struct render *r, const struct value *self, const struct call_args *a, int wanted)
{
    const struct list *l = value_items(r, self);
    struct keyed *k = keyed_items(r, l, arg(a, 1, "attribute"), is_on(arg(a, 0, "case_sensitive")));
    size_t best = 0;
    if (!k) return value_none();
    for (size_t i = 1; i < l->len && !failed(r); i++)
        if (value_compare(r, &k[i].key, &k[best].key) * wanted > 0) best = i;
    return l->len ? l->item[best] : value_undefined("the extreme of nothing");
}
FILTER(f_min) { return extreme(r, self, a, -1); }
FILTER(f_max) { return extreme(r, self, a, 1); }

FILTER(f_unique)
{
    const struct list *l = value_items(r, self);
    struct keyed *k = keyed_items(r, l, arg(a, 1, "attribute"), is_on(arg(a, 0, "case_sensitive")));
    struct value v = value_list(r, l->len, LIST_GENERATOR);
    if (!k || failed(r)) return value_none();
    v.l->len = 0;
    size_t n = 0;
    for (size_t i = 0; i < l->len; i++) {
        size_t at = 0;
        if (!value_need_hash(r, &k[i].key)) return value_none();
        while (at < n && step(r, 1) && !value_equal(r, &k[at].key, &k[i].key)) at++;
        if (failed(r)) return value_none();
        if (at < n) continue;
        k[n++] = k[i];
        v.l->item[v.l->len++] = l->item[i];
    }
    return v;
}

FILTER(f_groupby)
{
    const struct value *attribute = arg(a, 0, "attribute"), *fallback = arg(a, 1, "default");
    bool case_sensitive = is_on(arg(a, 2, "case_sensitive"));
    if (!attribute) return fail(r, "groupby needs an attribute");
    const struct list *l = value_items(r, self);
    struct keyed *k = keyed_items(r, l, attribute, case_sensitive), *scratch = take(r, (l->len + 1) * sizeof *k);
    struct value out = value_list(r, l->len, LIST_PLAIN);
    if (!k || !scratch || failed(r)) return value_none();
    for (size_t i = 0; i < l->len && fallback; i++)
        if (k[i].key.kind == V_UNDEFINED) k[i].key = *fallback;
    merge_sort(r, k, scratch, l->len, false);
    out.l->len = 0;
    for (size_t i = 0, end; i < l->len && !failed(r); i = end) {
        for (end = i + 1; end < l->len && value_equal(r, &k[i].key, &k[end].key);) end++;
        struct value group = value_list(r, 2, LIST_TUPLE), items = value_list(r, end - i, LIST_PLAIN);
        if (failed(r)) return value_none();
        group.l->is_group = true;
        for (size_t j = i; j < end; j++) items.l->item[j - i] = k[j].item;
        group.l->item[0] = sort_key(r, &k[i].item, attribute, true);
        if (group.l->item[0].kind == V_UNDEFINED) group.l->item[0] = k[i].key;
        group.l->item[1] = items;
        out.l->item[out.l->len++] = group;
    }
    return out;
}

/* ---- map and select ------------------------------------------------------------------------------------------------------- */

/* map and select take anything empty, None too, for an empty list. */
static const struct list *items_or_none(struct render *r, const struct value *v)
{
    const struct value nothing = value_undefined("nothing");
    return value_items(r, value_true(v) ? v : &nothing);
}

static struct call_args args_from(const struct call_args *a, size_t n)
{
    struct call_args rest = *a;
    rest.value = a->len > n ? a->value + n : NULL;
    rest.len = a->len > n ? a->len - n : 0;
    return rest;
}

static struct value map_attribute(struct render *r, const struct list *l, const struct call_args *a)
{
    const struct value *attribute = arg(a, 0, "attribute"), *fallback = arg(a, 1, "default");
    if (!args_fit(r, a, "attribute default", "map")) return value_none();
    if (!attribute) return fail(r, "map needs attribute=... or the name of a filter");
    struct value v = value_list(r, l->len, LIST_GENERATOR);
    for (size_t i = 0; i < l->len && step(r, 1); i++) {
        v.l->item[i] = attribute_of(r, &l->item[i], attribute);
        if (fallback && fallback->kind != V_NONE && v.l->item[i].kind == V_UNDEFINED) v.l->item[i] = *fallback;
    }
    return v;
}

FILTER(f_map)
{
    const struct list *l = items_or_none(r, self);
    if (!a->len) return map_attribute(r, l, a);
    const struct str *name = arg_str(r, a, 0, "the filter");
    const struct filter_row *row = name ? filter_find(name->s, name->len) : NULL;
    if (!row) return fail(r, "there is no filter named '%.*s'", name && name->len < 60 ? (int)name->len : 0, name ? name->s : "");
    struct call_args rest = args_from(a, 1);
    struct value v = value_list(r, l->len, LIST_GENERATOR);
    for (size_t i = 0; i < l->len && step(r, 1); i++) v.l->item[i] = filter_apply(r, row, &l->item[i], &rest);
    return v;
}

static struct value choose(struct render *r, const struct value *self, const struct call_args *a, bool by_attribute, bool wanted)
{
    const struct value *attribute = by_attribute ? arg(a, 0, NULL) : NULL;
    size_t at = by_attribute ? 1 : 0;
    const struct str *name = a->len > at ? arg_str(r, a, at, "the test") : NULL;
    const struct test_row *row = name ? test_find(name->s, name->len) : NULL;
    if (by_attribute && !attribute) return fail(r, "selectattr and rejectattr need an attribute");
    if (name && !row) return fail(r, "there is no test named '%.*s'", (int)(name->len < 60 ? name->len : 60), name->s);
    const struct list *l = items_or_none(r, self);
    struct call_args rest = args_from(a, at + 1);
    struct value v = value_list(r, l->len, LIST_GENERATOR);
    if (failed(r)) return v;
    v.l->len = 0;
    for (size_t i = 0; i < l->len && step(r, 1); i++) {
        struct value item = attribute ? attribute_of(r, &l->item[i], attribute) : l->item[i];
        if (failed(r)) break;
        bool holds = row ? test_apply(r, row, &item, &rest) : value_true(&item);
        if (holds == wanted) v.l->item[v.l->len++] = l->item[i];
    }
    return v;
}
FILTER(f_select) { return choose(r, self, a, false, true); }
FILTER(f_reject) { return choose(r, self, a, false, false); }
FILTER(f_selectattr) { return choose(r, self, a, true, true); }
FILTER(f_rejectattr) { return choose(r, self, a, true, false); }

/* ---- others ----------------------------------------------------------------------------------------------------------------- */

FILTER(f_sum)
{
    const struct value *attribute = arg(a, 0, "attribute"), *start = arg(a, 1, "start");
    const struct list *l = value_items(r, self);
    struct value v = start ? *start : value_int(0);
    if (v.kind == V_STRING) return fail(r, "sum adds numbers or lists, for strings use join");
    for (size_t i = 0; i < l->len && step(r, 1); i++) {
        struct value item = attribute && attribute->kind != V_NONE ? attribute_of(r, &l->item[i], attribute) : l->item[i];
        v = eval_binary(r, '+', &v, &item);
    }
    return v;
}

FILTER(f_items)
{
    (void)a;
    if (self->kind == V_UNDEFINED) return value_list(r, 0, LIST_GENERATOR);
    if (self->kind != V_DICT) return fail(r, "items needs a dict, found %s", value_type(self));
    struct value pairs = method_find(self, &(struct str) { "items", NULL, 5, 0 })->call(r, self, &(struct call_args) { 0 });
    if (!failed(r)) pairs.l->flavour = LIST_GENERATOR;
    return pairs;
}

/* Puts l[begin..end) and `n_fill` times `fill` into a list. */
static struct value part_of(struct render *r, const struct list *l, size_t begin, size_t end, const struct value *fill, size_t n_fill)
{
    struct value v = value_list(r, end - begin + n_fill, LIST_PLAIN);
    for (size_t i = 0; !failed(r) && i < v.l->len; i++) v.l->item[i] = begin + i < end ? l->item[begin + i] : *fill;
    return v;
}

FILTER(f_batch)
{
    const struct list *l = value_items(r, self);
    int64_t n = arg_int(r, a, 0, "linecount", 0);
    const struct value *fill = arg(a, 1, "fill_with");
    if (n < 1 || n > 1000000) return fail(r, "batch needs how many items go into one part");
    size_t size = (size_t)n, parts = (l->len + size - 1) / size;
    struct value v = value_list(r, parts, LIST_GENERATOR);
    for (size_t i = 0; i < parts && step(r, 1); i++) {
        size_t end = (i + 1) * size < l->len ? (i + 1) * size : l->len;
        v.l->item[i] = part_of(r, l, i * size, end, fill, fill && fill->kind != V_NONE ? (i + 1) * size - end : 0);
    }
    return v;
}

FILTER(f_slice)
{
    const struct list *l = value_items(r, self);
    int64_t n = arg_int(r, a, 0, "slices", 0);
    const struct value *fill = arg(a, 1, "fill_with");
    if (n < 1 || n > 1000000) return fail(r, "slice needs how many parts to make");
    size_t parts = (size_t)n, each = l->len / parts, longer = l->len % parts, at = 0;
    struct value v = value_list(r, parts, LIST_GENERATOR);
    for (size_t i = 0; i < parts && step(r, 1); i++) {
        size_t end = at + each + (i < longer);
        v.l->item[i] = part_of(r, l, at, end, fill, fill && fill->kind != V_NONE && i >= longer && longer ? 1 : 0);
        at = end;
    }
    return v;
}

FILTER(f_attr)
{
    const struct str *name = arg_str(r, a, 0, "name");
    if (!name) return fail(r, "attr needs a name");
    return self->kind == V_DICT && !method_find(self, name) ? value_undefined("an attribute of a dict") : get_attribute(r, self, name);
}

const struct filter_row list_filter_rows[] = {
    { "attr", f_attr, "name" }, { "batch", f_batch, "linecount fill_with" }, { "dictsort", f_dictsort, "case_sensitive by reverse" },
    { "first", f_first, "" }, { "groupby", f_groupby, "attribute default case_sensitive" }, { "items", f_items, "" },
    { "join", f_join, "d attribute" }, { "last", f_last, "" }, { "list", f_list, "" }, { "map", f_map, NULL },
    { "max", f_max, "case_sensitive attribute" }, { "min", f_min, "case_sensitive attribute" }, { "reject", f_reject, NULL },
    { "rejectattr", f_rejectattr, NULL }, { "reverse", f_reverse, "" }, { "select", f_select, NULL }, { "selectattr", f_selectattr, NULL },
    { "slice", f_slice, "slices fill_with" }, { "sort", f_sort, "reverse case_sensitive attribute" }, { "sum", f_sum, "attribute start" },
    { "unique", f_unique, "case_sensitive attribute" }, { NULL, NULL, NULL },
};
