/* training_texts.c - training data as texts, to look in them for questions that measure: prepared directories and files of dialogues alike. */
#include "data/dataset.h"

#include <string.h>

struct walk { training_text *each; void *user; struct buf text; };

static void tell(struct walk *w)
{
    w->each(w->user, w->text.len ? w->text.data : "", w->text.len);
    buf_clear(&w->text);
}

static void take_token(void *user, const struct token_view *t)
{
    struct walk *w = user;
    if (t->who != WHO_TEMPLATE && t->who != WHO_PADDING) buf_append(&w->text, t->piece, t->len);
    else if (w->text.len && w->text.data[w->text.len - 1] != '\n') buf_putc(&w->text, '\n');
}

static sc_status walk_dataset(struct walk *w, const char *directory, sc_error *err)
{
    sc_dataset *d = NULL;
    TRY(sc_dataset_open(&d, directory, err));
    uint64_t n = sc_dataset_samples(d, NULL);
    sc_status status = SC_OK;
    for (uint64_t i = 0; i < n && status == SC_OK; i++) {
        struct sample_place p;
        status = dataset_find(&p, d, NULL, i, err);
        if (status == SC_OK) status = dataset_tokens(d, &p, take_token, w, err);
        tell(w);
    }
    sc_dataset_close(d);
    return status;
}

static sc_status walk_record(struct walk *w, const struct record *r, sc_error *err)
{
    struct dialogue_list list = { 0 };
    const struct tree_config tree = { .all_states = true, .keep_deleted = true, .keep_synthetic = true };
    const char *format;
    TRY(dialogues_from_record(&list, r, &tree, &format, err));
    for (size_t i = 0; i < list.len; i++) {
        const json_t *messages = list.dialogue[i].messages;
        for (size_t k = 0; k < json_array_size(messages); k++) {
            const json_t *content = json_object_get(json_array_get(messages, k), "content");
            if (json_is_string(content)) buf_append(&w->text, json_string_value(content), json_string_length(content));
            buf_putc(&w->text, '\n');
        }
        if (list.dialogue[i].text) buf_puts(&w->text, list.dialogue[i].text);
        tell(w);
    }
    dialogue_list_release(&list);
    return SC_OK;
}

static sc_status walk_files(struct walk *w, const char *path, sc_error *err)
{
    struct reader *r;
    TRY(reader_open(&r, &(struct reader_config){ .inputs = &path, .n_inputs = 1 }, err));
    bool more = true;
    sc_status status = SC_OK;
    while (status == SC_OK && more) {
        struct record record = { 0 };
        status = reader_next(r, &record, &more, err);
        if (status == SC_OK && more) status = walk_record(w, &record, err);
        record_release(&record);
    }
    reader_close(r);
    return status;
}

sc_status training_texts_each(const char *path, training_text *each, void *user, sc_error *err)
{
    char *manifest = path_join(path, "dataset.json");
    bool is_prepared = path_exists(manifest);
    struct walk w = { .each = each, .user = user };
    mem_free(manifest);
    buf_init(&w.text, 0);
    sc_status status = is_prepared ? walk_dataset(&w, path, err) : walk_files(&w, path, err);
    buf_release(&w.text);
    return status;
}
