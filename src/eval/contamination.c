/* contamination.c - which questions stand in the training data, word for word or nearly, and what the scores are without them. */
#include "eval/eval_internal.h"

#include "data/dataset.h"

#include <string.h>

static const double LEAST_SHARE = 0.5;            /* of an item's 5-word shingles in one training text; see data/overlap.c */

struct contamination {
    struct overlap *overlap;
    struct overlap_mark *mark;
    uint64_t texts;
};

static void check_text(void *user, const char *text, size_t len)
{
    struct contamination *c = user;
    if (len) overlap_mark_items(c->mark, c->overlap, text, len);
    c->texts++;
}

/* ---- the questions ---------------------------------------------------------------------------------------------------------------------------- */

static sc_status item_texts(char **text, const struct eval_task_run *k, sc_error *err)
{
    const struct eval_template *t = k->task->query.jinja ? &k->task->query : k->task->text.jinja ? &k->task->text : &k->task->target;
    for (size_t i = 0; i < k->n_asks; i++) {
        json_t *v = NULL;
        TRY(eval_template_value(&v, t, k->documents.at[k->ask[i].document], "doc_to_decontamination_query", err));
        text[i] = mem_strdup(json_is_string(v) ? json_string_value(v) : "");
        json_decref(v);
    }
    return SC_OK;
}

/* The scores over those that are not found. */
static json_t *clean_results(const struct eval_task_run *k, const bool *is_found, struct pool *pool)
{
    json_t *out = json_object();
    struct eval_number *x = mem_alloc((k->n_asks + 1) * sizeof *x);
    for (size_t m = 0; m < k->n_results; m++) {
        size_t n = 0;
        for (size_t i = 0; i < k->n_asks; i++)
            if (!is_found[i]) x[n++] = k->number[m * k->n_asks + i];
        const struct eval_metric_row *row = k->metric[m % k->n_metrics];
        struct eval_result r = { 0 };
        if (n) r = eval_aggregate(row->how, x, n, pool);
        eval_set_result(out, row->shown, k->task->n_filters ? k->task->filter[m / k->n_metrics].name : "none", n ? &r : NULL);
    }
    mem_free(x);
    return out;
}

static json_t *report(const struct contamination *c, const struct eval_task_run *k, const bool *is_checked, struct pool *pool)
{
    size_t checked = 0, exact = 0, close = 0, found = 0;
    bool *is_found = mem_zero(k->n_asks + 1, 1);
    json_t *documents = json_array();
    for (size_t i = 0; i < k->n_asks; i++) {
        const struct overlap_mark *m = &c->mark[i];
        checked += is_checked[i];
        exact += m->is_exact;
        close += m->share >= LEAST_SHARE;
        is_found[i] = m->is_exact || m->share >= LEAST_SHARE;
        found += is_found[i];
        if (is_found[i]) json_array_append_new(documents, json_pack("{s:I, s:f, s:b}", "doc_id", (json_int_t)k->ask[i].document, "share", m->share, "is_exact", m->is_exact));
    }
    json_t *out = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "training_texts", (json_int_t)c->texts, "documents", (json_int_t)k->n_asks, "checked", (json_int_t)checked, "exact_13_words", (json_int_t)exact, "half_of_5_word_shingles",
                            (json_int_t)close, "found", (json_int_t)found, "without_found", clean_results(k, is_found, pool), "found_documents", documents);
    mem_free(is_found);
    return out;
}

sc_status eval_contamination(json_t **out, const struct eval_task_run *k, const char *paths, struct pool *pool, sc_error *err)
{
    struct contamination c = { .mark = mem_zero(k->n_asks + 1, sizeof *c.mark) };
    char **text = mem_zero(k->n_asks + 1, sizeof *text);
    bool *is_checked = mem_zero(k->n_asks + 1, 1);
    sc_status status = item_texts(text, k, err);
    if (status == SC_OK) status = overlap_open_items(&c.overlap, (const char *const *)text, k->n_asks, err);
    for (const char *at = paths; status == SC_OK && *at;) {
        size_t len = strcspn(at, ",");
        char *path = mem_strndup(at, len);
        if (len) status = training_texts_each(path, check_text, &c, err);
        mem_free(path);
        at += len + (at[len] == ',');
    }
    if (status == SC_OK) {
        overlap_checked_items(is_checked, c.overlap);
        *out = report(&c, k, is_checked, pool);
    }
    overlap_close(c.overlap);
    for (size_t i = 0; i < k->n_asks; i++) mem_free(text[i]);
    void *all[] = { text, is_checked, c.mark };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    return status;
}
