/* fuzz_eval_task.c - any bytes as a file of tasks: refused in one sentence, or tasks that are whole, whose templates, filters and metrics run on a
 * small document without harm. */
#include <stdlib.h>
#include <string.h>

#include "eval/eval_internal.h"

static void ask(const struct eval_task *t, struct eval_chat *chat)
{
    json_t *row = json_pack("{s:s, s:s, s:[s,s], s:i, s:s}", "question", "a [b] c", "text", "d e", "choices", "x", "y", "answer", 1, "page", " = T = \n u ");
    struct eval_documents d = { .at = &row, .n = 1, .file = (char *)(uintptr_t)"fuzz" };
    struct eval_examples x = { .from = &d, .wanted = 1 };
    struct eval_ask a;
    sc_error err = { 0 };
    python_random_seed(&x.random, 1);
    if (eval_ask_document(&a, t, &d, 0, &x, chat, &err) == SC_OK) {
        if (!a.n_options || a.n_contexts > a.n_options) abort();
        eval_ask_release(&a);
    } else if (!err.message[0]) abort();
    for (size_t i = 0; i < t->n_filters; i++) {
        struct buf b;
        buf_init(&b, 1 << 20);
        eval_filter_run(&b, t->filter[i].steps, "It is $1,200. #### 7", 20);
        buf_release(&b);
    }
    json_decref(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eval_tasks t = { 0 };
    sc_error err = { 0 };
    if (size > 16384) return 0;
    struct chat_template chatml;
    if (chat_template_open(&chatml, "chatml", &err) != SC_OK) abort();
    struct eval_chat chat = { .chat_template = &chatml, .tokens = json_object(), .is_multiturn = size % 2, .system = "s" };
    sc_status status = eval_tasks_parse(&t, (const char *)data, size, "fuzz", &err);
    if (status != SC_OK && !err.message[0]) abort();
    for (size_t i = 0; i < t.n && status == SC_OK && i < 4; i++) {
        if (!t.at[i]->name || !t.at[i]->n_metrics || !t.at[i]->target.jinja) abort();
        ask(t.at[i], NULL);
        ask(t.at[i], &chat);
        if (t.at[i]->first) ask(t.at[i]->first->ask, NULL);
    }
    json_decref(chat.tokens);
    chat_template_release(&chatml);
    eval_tasks_release(&t);
    return 0;
}
