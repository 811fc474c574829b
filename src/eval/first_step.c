/* first_step.c - tasks in two steps (key `first`): what the model answers to the first becomes a column of the document, of which the second is made. */
#include "eval/eval_internal.h"

void eval_first_free(struct eval_first *f)
{
    eval_task_free(f->ask);
    eval_template_release(&f->value);
    mem_free(f->column);
    mem_free(f);
}

static sc_status keep_one(json_t *document, const struct eval_first *f, const json_t *answer, sc_error *err)
{
    json_t *all = json_copy(document), *value = NULL;
    json_object_set(all, "answer", (json_t *)(uintptr_t)answer);
    sc_status status = eval_template_value(&value, &f->value, all, "doc_to_value of first", err);
    json_decref(all);
    if (status == SC_OK) json_object_set_new(document, f->column, value);
    return status;
}

sc_status eval_first_keep(struct eval_task_run *k, const struct eval_task_run *f, sc_error *err)
{
    k->first_steps = json_array();
    for (size_t i = 0; i < f->n_asks; i++) {
        const sc_text *w = &f->written[i].text;
        struct buf text;
        buf_init(&text, 0);
        utf8_repair(&text, w->data ? w->data : "", w->len);
        json_t *answer = json_stringn(text.data ? text.data : "", text.len);
        buf_release(&text);
        json_array_append_new(k->first_steps, json_pack("{s:s, s:o}", "arg_0", f->ask[i].context[0].text, "resp", answer));
        TRY(keep_one(k->documents.at[f->ask[i].document], k->task->first, answer, err));
    }
    return SC_OK;
}

void eval_first_skip(struct eval_task_run *k)
{
    for (size_t i = 0; i < k->documents.n; i++) json_object_set_new(k->documents.at[i], k->task->first->column, json_string(""));
}
