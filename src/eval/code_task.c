/* code_task.c - the key `execution` of a task: what of a document becomes a program, its tests, and the limits; and the metrics pass@k. */
#include "eval/eval_internal.h"

#include <stdlib.h>
#include <string.h>

struct eval_code *eval_code_new(void)
{
    struct eval_code *c = mem_zero(1, sizeof *c);
    c->language = code_language_find("python");
    return c;
}

void eval_code_free(struct eval_code *c)
{
    struct eval_template *const templates[] = { &c->id, &c->program, &c->tests, &c->helper, &c->entry, &c->reference, &c->oracle, &c->needs };
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++) eval_template_release(templates[i]);
    for (size_t i = 0; i < c->n_metrics; i++) {
        mem_free(c->metric[i]->name);
        mem_free(c->metric[i]);
    }
    mem_free(c->metric);
    mem_free(c->inputs);
    mem_free(c->more_inputs);
    strings_release(&c->cut);
    mem_free(c);
}

/* ---- metrics ---------------------------------------------------------------------------------------------------------------------------- */

static const struct eval_metric_row *add_metric(struct eval_code *c, const struct code_metric *like, const char *name)
{
    struct code_metric *m = mem_zero(1, sizeof *m);
    *m = *like;
    m->name = mem_strdup(name);
    m->row = (struct eval_metric_row){ .name = m->name, .shown = m->name, .outputs = 1u << EVAL_CODE, .higher_is_better = true, .how = AGGREGATE_MEAN };
    c->metric = mem_grow(c->metric, (c->n_metrics + 1) * sizeof *c->metric);
    c->metric[c->n_metrics++] = m;
    return &m->row;
}

const struct eval_metric_row *eval_code_metric(struct eval_code *c, const char *name)
{
    static const char *const levels[] = { "runs", "draws", "matches" };        /* ORDER picture_level */
    for (int i = 0; i < PICTURE_LEVELS; i++)
        if (!strcmp(name, levels[i])) return add_metric(c, &(struct code_metric){ .level = (enum picture_level)i }, name);
    bool is_base = strncmp(name, "base_", 5) == 0;
    const char *rest = name + (is_base ? 5 : 0);
    size_t n = strncmp(rest, "pass@", 5) == 0 ? 5 : strncmp(rest, "pass_at_", 8) == 0 ? 8 : 0, digits = n ? strspn(rest + n, "0123456789") : 0;
    if (!digits || digits > 5 || rest[n + digits] || rest[n] == '0') return NULL;
    return add_metric(c, &(struct code_metric){ .k = (size_t)strtoul(rest + n, NULL, 10), .is_base = is_base }, name);
}

const struct code_metric *eval_code_metric_of(const struct eval_metric_row *row) { return (const struct code_metric *)(const void *)row; }     /* its first member */

/* ---- the key ------------------------------------------------------------------------------------------------------------------------------- */

static sc_status read_template(struct eval_template *out, const char *key, const json_t *v, const char *what, sc_error *err)
{
    char name[200];
    if (!json_is_string(v)) return FAIL(err, SC_E_FORMAT, "%s: \"%s\" of execution is no template", what, key);
    snprintf(name, sizeof name, "%s, \"%s\" of execution", what, key);
    eval_template_release(out);
    /* Templates lose a newline at their end; programs keep it. */
    struct buf source;
    size_t len = json_string_length(v);
    buf_init(&source, 0);
    buf_append(&source, json_string_value(v), len);
    buf_puts(&source, len && json_string_value(v)[len - 1] == '\n' ? "{{ '' }}" : "");
    sc_status status = jinja_compile(&out->jinja, source.data, source.len, name, err);
    buf_release(&source);
    return status;
}

static sc_status read_mode(struct eval_code *c, const json_t *v, const char *what, sc_error *err)
{
    static const char *const names[] = { "checked", "differential", "plain" };
    static const enum python_mode modes[] = { PYTHON_CHECKED, PYTHON_DIFFERENTIAL, PYTHON_PLAIN };
    for (size_t i = 0; json_is_string(v) && i < 3; i++)
        if (!strcmp(json_string_value(v), names[i])) { c->mode = modes[i]; return SC_OK; }
    c->is_picture = json_is_string(v) && !strcmp(json_string_value(v), "picture");
    return c->is_picture ? SC_OK : FAIL(err, SC_E_FORMAT, "%s: \"mode\" of execution is none of checked, differential, plain and picture", what);
}

static sc_status read_language(struct eval_code *c, const json_t *v, const char *what, sc_error *err)
{
    struct buf names;
    c->language = json_is_string(v) ? code_language_find(json_string_value(v)) : NULL;
    if (c->language) return SC_OK;
    buf_init(&names, 0);
    code_language_names(&names);
    FAIL(err, SC_E_FORMAT, "%s: \"language\" of execution is none of %s", what, names.data);
    buf_release(&names);
    return SC_E_FORMAT;
}

static sc_status read_cut(struct strings *out, const json_t *v, const char *what, sc_error *err)
{
    bool is_good = json_is_array(v);
    for (size_t i = 0; i < json_array_size(v) && is_good; i++) {
        const json_t *one = json_array_get(v, i);
        is_good = json_is_string(one) && json_string_length(one);
        if (is_good) strings_add(out, json_string_value(one));
    }
    return is_good ? SC_OK : FAIL(err, SC_E_FORMAT, "%s: \"cut\" of execution is no list of texts", what);
}

static sc_status read_seconds(double *out, const char *key, const json_t *v, const char *what, sc_error *err)
{
    if (!json_is_number(v) || !(json_number_value(v) > 0) || json_number_value(v) > 3600) return FAIL(err, SC_E_FORMAT, "%s: \"%s\" of execution is no number of seconds from 0 to 3600", what, key);
    *out = json_number_value(v);
    return SC_OK;
}

static sc_status read_column(char **out, const char *key, const json_t *v, const char *what, sc_error *err)
{
    if (!json_is_string(v)) return FAIL(err, SC_E_FORMAT, "%s: \"%s\" of execution is no name of a column", what, key);
    mem_free(*out);
    *out = mem_strdup(json_string_value(v));
    return SC_OK;
}

sc_status eval_code_read(struct eval_task *t, const json_t *v, const char *what, sc_error *err)
{
    struct eval_code *c = t->code;
    const char *key;
    json_t *value;
    if (!c) return FAIL(err, SC_E_FORMAT, "%s has \"execution\", but its output_type is not code", what);
    if (!json_is_object(v)) return FAIL(err, SC_E_FORMAT, "%s: \"execution\" is no map", what);
    struct { const char *key; struct eval_template *out; } templates[] = { { "id", &c->id }, { "program", &c->program }, { "tests", &c->tests }, { "helper", &c->helper },
        { "entry", &c->entry }, { "reference", &c->reference }, { "oracle", &c->oracle }, { "needs", &c->needs } };
    json_object_foreach((json_t *)(uintptr_t)v, key, value) {
        size_t i = 0, n = sizeof templates / sizeof *templates;
        while (i < n && strcmp(templates[i].key, key) != 0) i++;
        if (i < n) TRY(read_template(templates[i].out, key, value, what, err));
        else if (!strcmp(key, "language")) TRY(read_language(c, value, what, err));
        else if (!strcmp(key, "mode")) TRY(read_mode(c, value, what, err));
        else if (!strcmp(key, "inputs")) TRY(read_column(&c->inputs, key, value, what, err));
        else if (!strcmp(key, "more_inputs")) TRY(read_column(&c->more_inputs, key, value, what, err));
        else if (!strcmp(key, "cut")) TRY(read_cut(&c->cut, value, what, err));
        else if (!strcmp(key, "seconds")) TRY(read_seconds(&c->seconds, key, value, what, err));
        else if (!strcmp(key, "total_seconds")) TRY(read_seconds(&c->total_seconds, key, value, what, err));
        else if (!strcmp(key, "open_braces") && json_is_integer(value) && json_integer_value(value) >= 0 && json_integer_value(value) < 10) c->open_braces = json_integer_value(value);
        else if (!strcmp(key, "is_indented") && json_is_boolean(value)) c->is_indented = json_is_true(value);
        else return FAIL(err, SC_E_FORMAT, "%s: execution has no key \"%.60s\" with such a value; known are language, mode, id, program, tests, helper, entry, reference, oracle, needs, inputs, more_inputs, cut, seconds, total_seconds, open_braces and is_indented", what, key);
    }
    return SC_OK;
}

sc_status eval_code_check(const struct eval_task *t, const char *what, sc_error *err)
{
    const struct eval_code *c = t->code;
    bool is_python = !c->language->run[0], is_differential = is_python && c->mode == PYTHON_DIFFERENTIAL;
    const char *missing = !c->program.jinja ? "program" : !is_differential && !c->tests.jinja ? "tests" : is_python && c->mode != PYTHON_PLAIN && !c->entry.jinja ? "entry" : is_differential && !c->reference.jinja ? "reference" :
        is_differential && !c->inputs ? "inputs" : NULL;
    if (c->is_picture && !is_python) return FAIL(err, SC_E_FORMAT, "%s: task %s has pictures, which \"language\" has no part in", what, t->name);
    for (size_t i = 0; i < t->n_metrics; i++)
        if ((eval_code_metric_of(t->metric[i])->k == 0) != c->is_picture) return FAIL(err, SC_E_FORMAT, "%s: task %s has the metric %s; runs, draws and matches are those of mode picture, pass@K those of all others", what, t->name, t->metric[i]->shown);
    if (c->is_picture) missing = NULL;
    if (missing) return FAIL(err, SC_E_FORMAT, "%s: task %s has no \"execution\" with the key \"%s\"", what, t->name, missing);
    if (t->n_filters > 1) return FAIL(err, SC_E_FORMAT, "%s: task %s has %zu filters, a task of code has one at most", what, t->name, t->n_filters);
    for (size_t i = 0; i < t->n_metrics; i++)
        if (eval_code_metric_of(t->metric[i])->k > (size_t)t->repeats)
            return FAIL(err, SC_E_FORMAT, "%s: task %s wants %s of %lld answers; set \"repeats\"", what, t->name, t->metric[i]->shown, (long long)t->repeats);
    return SC_OK;
}
