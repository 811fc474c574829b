/* contamination.c - which questions stand in the training data, word for word or nearly, and what the scores are without them. */
#include "eval/eval_internal.h"

#include "data/dataset.h"

#include <string.h>

static const double LEAST_SHARE = 0.5;            /* of an item's 5-word shingles in one training text; see data/overlap.c */

struct contamination {
    struct overlap *overlap;
    struct overlap_mark *mark;
    struct buf text;
    uint64_t texts;
};

/* ---- training data as texts ---------------------------------------------------------------------------------------------------------------- */

static void check_text(struct contamination *c)
{
    if (c->text.len) overlap_mark_items(c->mark, c->overlap, c->text.data, c->text.len);
    c->texts++;
    buf_clear(&c->text);
}

static void take_token(void *user, const struct token_view *t)
{
    struct contamination *c = user;
    if (t->who != WHO_TEMPLATE && t->who != WHO_PADDING) buf_append(&c->text, t->piece, t->len);
    else if (c->text.len && c->text.data[c->text.len - 1] != '\n') buf_putc(&c->text, '\n');
}

static sc_status check_dataset(struct contamination *c, const char *directory, sc_error *err)
{
    sc_dataset *d = NULL;
    TRY(sc_dataset_open(&d, directory, err));
    uint64_t n = sc_dataset_samples(d, NULL);
    sc_status status = SC_OK;
    for (uint64_t i = 0; i < n && status == SC_OK; i++) {
        struct sample_place p;
        status = dataset_find(&p, d, NULL, i, err);
        if (status == SC_OK) status = dataset_tokens(d, &p, take_token, c, err);
        check_text(c);
    }
    sc_dataset_close(d);
    return status;
}

static sc_status check_record(struct contamination *c, const struct record *r, sc_error *err)
{
    struct dialogue_list list = { 0 };
    const struct tree_config tree = { .all_states = true, .keep_deleted = true, .keep_synthetic = true };
    const char *format;
    TRY(dialogues_from_record(&list, r, &tree, &format, err));
    for (size_t i = 0; i < list.len; i++) {
        const json_t *messages = list.dialogue[i].messages;
        for (size_t k = 0; k < json_array_size(messages); k++) {
            const json_t *content = json_object_get(json_array_get(messages, k), "content");
            if (json_is_string(content)) buf_append(&c->text, json_string_value(content), json_string_length(content));
            buf_putc(&c->text, '\n');
        }
        if (list.dialogue[i].text) buf_puts(&c->text, list.dialogue[i].text);
        check_text(c);
    }
    dialogue_list_release(&list);
    return SC_OK;
}

static sc_status check_files(struct contamination *c, const char *path, sc_error *err)
{
    struct reader *r;
    TRY(reader_open(&r, &(struct reader_config){ .inputs = &path, .n_inputs = 1 }, err));
    bool more = true;
    sc_status status = SC_OK;
    while (status == SC_OK && more) {
        struct record record = { 0 };
        status = reader_next(r, &record, &more, err);
        if (status == SC_OK && more) status = check_record(c, &record, err);
        record_release(&record);
    }
    reader_close(r);
    return status;
}

static sc_status check_path(struct contamination *c, const char *path, sc_error *err)
{
    char *manifest = path_join(path, "dataset.json");
    bool is_prepared = path_exists(manifest);
    mem_free(manifest);
    return is_prepared ? check_dataset(c, path, err) : check_files(c, path, err);
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
    buf_init(&c.text, 0);
    sc_status status = item_texts(text, k, err);
    if (status == SC_OK) status = overlap_open_items(&c.overlap, (const char *const *)text, k->n_asks, err);
    for (const char *at = paths; status == SC_OK && *at;) {
        size_t len = strcspn(at, ",");
        char *path = mem_strndup(at, len);
        if (len) status = check_path(&c, path, err);
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
    buf_release(&c.text);
    return status;
}
