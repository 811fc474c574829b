/* code_needs.c - libraries that a question's programs need (the key `needs` of execution): what is not there makes no answer wrong, so such questions are not judged. */
#include "eval/eval_internal.h"

#include <string.h>

enum { NAME_BYTES = 64 };

static bool is_name(char c) { return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* Modules in a list as JSON or Python writes it; of "a.b" it is a. */
static json_t *names_in(const char *text)
{
    json_t *out = json_array();
    while (*text) {
        size_t n = 0;
        while (is_name(text[n])) n++;
        if (n && n < NAME_BYTES && (*text < '0' || *text > '9')) json_array_append_new(out, json_stringn(text, n));
        text += n;
        if (*text == '.') text += 1 + strspn(text + 1, "._0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
        else if (!n) text++;
    }
    return out;
}

/* Which are there, as a program in plain mode finds them. */
struct probing { struct sandbox *sandbox; const char **name; bool *is_there; sc_error *error; };

static void probe(void *arg, size_t i, int worker)
{
    struct probing *x = arg;
    struct python_verdict v = { 0 };
    char source[NAME_BYTES + 120];
    (void)worker;
    snprintf(source, sizeof source, "import importlib.util\nif importlib.util.find_spec('%s') is None: raise ImportError\n", x->name[i]);
    const struct python_task task = { .mode = PYTHON_PLAIN, .candidate = source, .tests = "", .entry = x->name[i], .call_seconds = 60, .total_seconds = 60 };
    if (sandbox_python(&v, x->sandbox, &task, &x->error[i]) != SC_OK) return;
    if (v.outcome == PYTHON_SETUP) FAIL(&x->error[i], SC_E_UNSUPPORTED, "no sandbox could be made to look for libraries: %s", v.detail);
    x->is_there[i] = v.outcome == PYTHON_PASS;
}

/* all: {name: null}; true becomes the value of what is there. */
static sc_status probe_all(json_t *all, struct eval_run *r, sc_error *err)
{
    const char *key;
    json_t *value;
    size_t n = 0, size = json_object_size(all);
    struct probing x = { r->sandbox, mem_zero(size + 1, sizeof *x.name), mem_zero(size + 1, sizeof *x.is_there), mem_zero(size + 1, sizeof *x.error) };
    sc_status status = SC_OK;
    json_object_foreach(all, key, value) x.name[n++] = key;
    pool_run(r->runtime->pool, n, probe, &x);
    for (size_t i = 0; i < n && status == SC_OK; i++)
        if (x.error[i].status != SC_OK) { *err = x.error[i]; status = err->status; }
    json_t *found = json_object();
    for (size_t i = 0; i < n; i++) json_object_set_new(found, x.name[i], json_boolean(x.is_there[i]));
    json_object_update(all, found);
    json_decref(found);
    mem_free(x.name);
    mem_free(x.is_there);
    mem_free(x.error);
    return status;
}

static json_t *missing_of(const json_t *names, const json_t *all)
{
    json_t *out = json_array(), *one;
    size_t i;
    json_array_foreach(names, i, one)
        if (!json_is_true(json_object_get(all, json_string_value(one)))) json_array_append(out, one);
    return out;
}

/* Asks whose needs[i] are not all there go; *k->not_judged says which and why. */
static sc_status leave_out(struct eval_task_run *k, const json_t *needs, const json_t *all, sc_error *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < k->n_asks; i++) {
        json_t *missing = missing_of(json_array_get(needs, i), all), *id = NULL;
        struct eval_ask ask = k->ask[i];
        k->ask[i] = (struct eval_ask){ 0 };
        if (!json_array_size(missing)) {
            json_decref(missing);
            k->ask[kept++] = ask;
            continue;
        }
        sc_status status = eval_code_id(&id, k->task, k->documents.at[ask.document], err);
        if (status == SC_OK) json_object_set(k->not_judged, json_string_value(id), missing);
        json_decref(missing);
        json_decref(id);
        eval_ask_release(&ask);
        if (status != SC_OK) return status;
    }
    k->n_asks = kept;
    return SC_OK;
}

static sc_status tell(struct eval_run *r, struct eval_task_run *k, size_t asked, const json_t *all, sc_error *err)
{
    struct buf names;
    const char *key;
    json_t *value;
    sc_status status = SC_OK;
    buf_init(&names, 600);
    json_object_foreach((json_t *)(uintptr_t)all, key, value)
        if (!json_is_true(value)) buf_printf(&names, "%s%s", names.len ? ", " : "", key);
    const char *list = names.data ? names.data : "";
    if (!k->n_asks) status = FAIL(err, SC_E_UNSUPPORTED, "no program of %s can be judged, since Python has not what they need: %s%s; name an interpreter that has it with --python", k->task->name, list, names.is_full ? " ..." : "");
    else if (asked > k->n_asks)
        eval_event(r->runtime, "{\"event\":\"note\",\"text\":\"%s: %zu of %zu questions are not judged and count neither way, since Python has not what their programs need: %s%s (--python names an interpreter)\"}", k->task->name,
                   asked - k->n_asks, asked, list, names.is_full ? " ..." : "");
    buf_release(&names);
    return status;
}

sc_status eval_needs_check(struct eval_run *r, struct eval_task_run *k, sc_error *err)
{
    const struct eval_template *t = &k->task->code->needs;
    json_t *needs, *all, *one, *text = NULL;
    size_t asked = k->n_asks, n;
    sc_status status = SC_OK;
    if (!t->jinja) return SC_OK;
    needs = json_array();
    all = json_object();
    k->not_judged = json_object();
    for (size_t i = 0; i < k->n_asks && status == SC_OK; i++) {
        status = eval_template_value(&text, t, k->documents.at[k->ask[i].document], "needs", err);
        if (status != SC_OK) break;
        json_t *names = names_in(json_is_string(text) ? json_string_value(text) : "");
        json_array_foreach(names, n, one) json_object_set_new(all, json_string_value(one), json_null());
        json_array_append_new(needs, names);
        json_decref(text);
    }
    if (status == SC_OK) status = probe_all(all, r, err);
    if (status == SC_OK) status = leave_out(k, needs, all, err);
    if (status == SC_OK) status = tell(r, k, asked, all, err);
    json_decref(needs);
    json_decref(all);
    return status;
}
