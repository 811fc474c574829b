/* fuzz_talks_import.c - any bytes as a file of conversations. What is accepted is a tree, and survives our JSON, and its path
 * Markdown. */
#include <string.h>

#include "fuzz_memory.h"
#include "talks/talks.h"

static void check_tree(const struct talk *k)
{
    if (k->leaf < -1 || k->leaf >= (ptrdiff_t)k->n || !k->title || !k->settings) abort();
    for (size_t i = 0; i < k->n; i++) {
        const struct talk_message *m = &k->message[i];
        if (m->parent < -1 || m->parent >= (ptrdiff_t)i || !talk_role_is_known(m->role) || !talk_status_is_known(m->status)) abort();
        if (!utf8_is_valid(m->content, strlen(m->content)) || (m->id && !talk_id_is_valid(m->id))) abort();
    }
}

static void give_ids(struct talk *k)
{
    char id[TALK_ID_BYTES + 1];
    talk_new_id(id);
    if (!k->id) k->id = mem_strdup(id);
    for (size_t i = 0; i < k->n; i++) {
        talk_new_id(id);
        if (!k->message[i].id) k->message[i].id = mem_strdup(id);
    }
}

static sc_status compare_json(void *user, struct talk *k, sc_error *err)
{
    struct buf again;
    (void)err;
    buf_init(&again, 0);
    talk_put_json(&again, k, true);
    if (strcmp(again.data, user) != 0) abort();
    buf_release(&again);
    return SC_OK;
}

static sc_status compare_path(void *user, struct talk *k, sc_error *err)
{
    const struct talk *old = user;
    size_t *path = mem_alloc((old->n + 1) * sizeof *path), n = talk_path(old, old->leaf, path);
    (void)err;
    if (k->n != n || (old->system && (!k->system || strcmp(k->system, old->system) != 0))) abort();
    for (size_t i = 0; i < n; i++)
        if (strcmp(k->message[i].content, old->message[path[i]].content) != 0 || strcmp(k->message[i].role, old->message[path[i]].role) != 0) abort();
    mem_free(path);
    return SC_OK;
}

static sc_status take(void *user, struct talk *k, sc_error *err)
{
    struct buf json, markdown;
    (void)user;
    check_tree(k);
    give_ids(k);
    buf_init(&json, 0);
    buf_init(&markdown, 0);
    talk_put_json(&json, k, true);
    if (talk_read_file(json.data, json.len, "again", 0, compare_json, json.data, err) != SC_OK) abort();
    markdown_write(&markdown, k);
    if (k->leaf >= 0 && talk_read_file(markdown.data, markdown.len, "again", 0, compare_path, k, err) != SC_OK) abort();
    buf_release(&json);
    buf_release(&markdown);
    return SC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sc_error err = { 0 };
    if (size > 100000) return 0;
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = 0;
    fuzz_memory_begin(size * 64);
    if (talk_read_file(text, size, "input", 1, take, NULL, &err) != SC_OK && !err.message[0]) abort();
    fuzz_memory_end();
    free(text);
    return 0;
}
