/* jinja_containers.c - Python's methods of dicts, lists, tuples, floats and of `loop`, and how a method is found and
 * called. */
#include "jinja_methods.h"

#include <math.h>

/* ---- dicts and lists ------------------------------------------------------------------------------------------------------- */

static struct value view(struct render *r, const struct dict *d, enum list_flavour flavour)
{
    struct value v = value_list(r, d->len, flavour);
    if (!step(r, d->len / 4)) return value_none();
    for (size_t i = 0; i < d->len && !failed(r); i++) {
        struct value pair = flavour == LIST_ITEMS ? value_list(r, 2, LIST_TUPLE) : flavour == LIST_KEYS ? d->entry[i].key : d->entry[i].value;
        if (flavour == LIST_ITEMS && !failed(r)) {
            pair.l->item[0] = d->entry[i].key;
            pair.l->item[1] = d->entry[i].value;
        }
        v.l->item[i] = pair;
    }
    return v;
}
METHOD(d_items) { (void)a; return view(r, self->d, LIST_ITEMS); }
METHOD(d_keys) { (void)a; return view(r, self->d, LIST_KEYS); }
METHOD(d_values) { (void)a; return view(r, self->d, LIST_VALUES); }
METHOD(d_get)
{
    if (!a->len) return fail(r, "get() needs a key");
    if (!value_need_hash(r, &a->value[0])) return value_none();
    const struct value *v = dict_get(r, self->d, &a->value[0]);
    return v ? *v : a->len > 1 ? a->value[1] : value_none();
}
METHOD(d_copy)
{
    struct value v = value_dict(r, self->d->len);
    (void)a;
    for (size_t i = 0; i < self->d->len && !failed(r); i++) v.d->entry[v.d->len++] = self->d->entry[i];
    return v;
}

METHOD(l_index)
{
    if (!a->len) return fail(r, "index() needs a value");
    for (size_t i = 0; i < self->l->len && !failed(r); i++)
        if (value_equal(r, &self->l->item[i], &a->value[0])) return value_int((int64_t)i);
    return fail(r, "index() did not find the value in the list");
}
METHOD(l_count)
{
    int64_t n = 0;
    if (!a->len) return fail(r, "count() needs a value");
    for (size_t i = 0; i < self->l->len && !failed(r); i++) n += value_equal(r, &self->l->item[i], &a->value[0]);
    return value_int(n);
}
METHOD(l_copy)
{
    struct value v = value_list(r, self->l->len, LIST_PLAIN);
    (void)a;
    for (size_t i = 0; i < self->l->len && step(r, 0); i++) v.l->item[i] = self->l->item[i];
    return v;
}
METHOD(f_is_integer) { (void)a; return failed(r) ? value_none() : value_bool(isfinite(self->f) && !(floor(self->f) < self->f)); }

/* Without a function: what would change the list or dict, which is not there in the reference's immutable sandbox. */
static const struct callable_row dict_rows[] = {
    { "items", d_items, "", false }, { "keys", d_keys, "", false }, { "values", d_values, "", false }, { "get", d_get, "/key /default", false },
    { "copy", d_copy, "", false }, { "clear", NULL, NULL, false }, { "pop", NULL, NULL, false }, { "popitem", NULL, NULL, false },
    { "setdefault", NULL, NULL, false }, { "update", NULL, NULL, false }, { NULL, NULL, NULL, false },
};
static const struct callable_row tuple_rows[] = { { "index", l_index, "/value", false }, { "count", l_count, "/value", false }, { NULL, NULL, NULL, false } };
static const struct callable_row list_rows[] = {
    { "index", l_index, "/value", false }, { "count", l_count, "/value", false }, { "copy", l_copy, "", false }, { "append", NULL, NULL, false },
    { "clear", NULL, NULL, false }, { "extend", NULL, NULL, false }, { "insert", NULL, NULL, false }, { "pop", NULL, NULL, false },
    { "remove", NULL, NULL, false }, { "reverse", NULL, NULL, false }, { "sort", NULL, NULL, false }, { NULL, NULL, NULL, false },
};
static const struct callable_row float_rows[] = { { "is_integer", f_is_integer, "", false }, { NULL, NULL, NULL, false } };

/* ---- loop ------------------------------------------------------------------------------------------------------------------- */

METHOD(loop_cycle) { return a->len ? a->value[self->loop->at % a->len] : fail(r, "loop.cycle() needs at least one value"); }
METHOD(loop_changed)
{
    struct value now = value_list(r, a->len, LIST_TUPLE);
    for (size_t i = 0; i < a->len && !failed(r); i++) now.l->item[i] = a->value[i];
    bool changed = !self->loop->has_changed || !value_equal(r, &self->loop->changed, &now);
    self->loop->changed = now;
    self->loop->has_changed = true;
    return value_bool(changed);
}
static const struct callable_row loop_rows[] = { { "cycle", loop_cycle, NULL, false }, { "changed", loop_changed, NULL, false }, { NULL, NULL, NULL, false } };

/* ---- all of them ------------------------------------------------------------------------------------------------------- */

static const struct callable_row *rows_of(const struct value *v)
{
    static const struct callable_row none = { 0 };
    switch (v->kind) {
    case V_STRING: return string_method_rows;
    case V_DICT: return dict_rows;
    case V_FLOAT: return float_rows;
    case V_LOOP: return loop_rows;
    case V_LIST: return v->l->flavour == LIST_PLAIN ? list_rows : v->l->flavour == LIST_TUPLE || v->l->flavour == LIST_RANGE ? tuple_rows : &none;
    default: return &none;
    }
}

const struct callable_row *method_find(const struct value *v, const struct str *name)
{
    if (v->kind == V_CALLABLE && v->c->row) return function_member(v->c->row, name);
    for (const struct callable_row *row = rows_of(v); row->name; row++)
        if (str_is(name, row->name)) return row;
    return NULL;
}

bool method_is_refused(const char *name)
{
    const struct callable_row *const tables[] = { dict_rows, list_rows };
    for (size_t i = 0; i < 2; i++)
        for (const struct callable_row *row = tables[i]; row->name; row++)
            if (row->name == name && !row->call) return true;
    return false;
}

struct value method_call(struct render *r, const struct callable_row *row, const struct value *self, const struct call_args *args)
{
    if (!args_fit(r, args, row->parameters, row->name)) return value_none();
    struct value v = row->call(r, self, args);
    if (failed(r) || !row->keeps_safe || !self->is_safe) return v;
    if (v.kind == V_STRING) v.is_safe = true;
    for (size_t i = 0; v.kind == V_LIST && i < v.l->len; i++) v.l->item[i].is_safe = v.l->item[i].kind == V_STRING;
    return v;
}
