/* task.c - what tasks are made of: lists of texts, templates, and the end of a task. */
#include "eval/eval_internal.h"

#include <stdlib.h>
#include <string.h>

void strings_add(struct strings *s, const char *text)
{
    s->at = mem_grow(s->at, (s->n + 1) * sizeof *s->at);
    s->at[s->n++] = mem_strdup(text);
}

void strings_release(struct strings *s)
{
    for (size_t i = 0; i < s->n; i++) mem_free(s->at[i]);
    mem_free(s->at);
    *s = (struct strings){ 0 };
}

void text_replace(struct buf *b, const char *from, const char *to)
{
    size_t len = strlen(from);
    const char *at = b->data ? strstr(b->data, from) : NULL, *begin = b->data;
    if (!at) return;
    struct buf out;
    buf_init(&out, b->max);
    for (; at; at = strstr(begin, from)) {
        buf_append(&out, begin, (size_t)(at - begin));
        buf_puts(&out, to);
        begin = at + len;
    }
    buf_puts(&out, begin);
    buf_release(b);
    *b = out;
}

/* ---- templates ------------------------------------------------------------------------------------------------------------------------- */

void eval_template_release(struct eval_template *t)
{
    jinja_free(t->jinja);
    *t = (struct eval_template){ 0 };
}

sc_status eval_template_value(json_t **out, const struct eval_template *t, const json_t *document, const char *what, sc_error *err)
{
    static const char *const trusted[] = { NULL };
    struct rendered r;
    *out = NULL;
    sc_status status = jinja_render(&r, t->jinja, document, 0, trusted, err);
    if (status != SC_OK) return error_prefix(err, status, "%s", what);
    if (t->gives_json) status = json_read(out, r.text.data, r.text.len, what, err);
    else *out = json_stringn(r.text.data ? r.text.data : "", r.text.len);
    rendered_release(&r);
    return status;
}

/* ---- the end --------------------------------------------------------------------------------------------------------------------------------- */

static void shape_release(struct eval_shape *s)
{
    strings_release(&s->needs);
    for (size_t i = 0; i < s->n_set; i++) {
        mem_free(s->set[i].column);
        eval_template_release(&s->set[i].value);
    }
    mem_free(s->set);
}

void eval_task_free(struct eval_task *t)
{
    if (!t) return;
    char *const text[] = { t->name, t->about, t->licence, t->target_delimiter, t->example_delimiter };
    struct strings *const lists[] = { &t->groups, &t->files[0], &t->files[1], &t->files[2], &t->columns, &t->until, &t->ignored_patterns };
    struct eval_template *const templates[] = { &t->text, &t->target, &t->query, &t->description, &t->prefix.text, &t->chat_text, &t->chat_prefix.text, &t->suffix };
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) mem_free(text[i]);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) strings_release(lists[i]);
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++) eval_template_release(templates[i]);
    for (size_t i = 0; i < t->n_choice; i++) eval_template_release(&t->choice[i]);
    for (size_t i = 0; i < t->n_shapes; i++) shape_release(&t->shape[i]);
    for (size_t i = 0; i < t->n_filters; i++) {
        mem_free(t->filter[i].name);
        json_decref(t->filter[i].steps);
    }
    for (int i = 0; i < SPLITS; i++) {
        mem_free(t->where[i].column);
        mem_free(t->where[i].is);
    }
    if (t->code) eval_code_free(t->code);
    if (t->first) eval_first_free(t->first);
    mem_free(t->choice);
    mem_free(t->shape);
    mem_free(t->filter);
    mem_free(t->metric);
    json_decref(t->documents);
    json_decref(t->fixed_examples);
    json_decref(t->source);
    mem_free(t);
}

void eval_tasks_release(struct eval_tasks *t)
{
    for (size_t i = 0; i < t->n; i++) eval_task_free(t->at[i]);
    for (size_t i = 0; i < t->n_suites; i++) {
        for (size_t k = 0; k < t->suite[i].n; k++) mem_free(t->suite[i].row[k].task);
        mem_free(t->suite[i].row);
        mem_free(t->suite[i].name);
    }
    mem_free(t->suite);
    mem_free(t->at);
    *t = (struct eval_tasks){ 0 };
}
