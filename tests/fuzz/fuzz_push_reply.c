/* fuzz_push_reply.c - any bytes as what a Hub answers to a push: modes, head, commit, large files, what is remembered. The first byte chooses. What is
 * taken holds together: addresses of http(s), as many parts as the size asks for. */
#include "hub/push.h"

#include <stdlib.h>
#include <string.h>

static void check_action(const struct lfs_action *a, bool is_secure)
{
    if (a->href && strncmp(a->href, is_secure ? "https://" : "http", is_secure ? 8 : 4) != 0) abort();
    if (a->part_bytes && a->n_parts != a->size / a->part_bytes + (a->size % a->part_bytes != 0)) abort();
    for (size_t i = 0; i < a->n_parts; i++)
        if (!a->part[i] || strncmp(a->part[i], "http", 4) != 0 || strpbrk(a->part[i], " \r\n")) abort();
    for (size_t i = 0; i < a->n_headers; i++)
        if (strpbrk(a->header[i], "\r\n")) abort();
}

static sc_status try_modes(const char *text, size_t len, sc_error *err)
{
    static const char *const names[] = { "a", "b/c", "d" };
    struct push_files f = { 0 };
    for (size_t i = 0; i < 3; i++) push_files_add(&f, names[i])->size = i;
    sc_status status = push_parse_modes(&f, 1, 3, text, len, err);
    if (f.at[0].is_lfs) abort();
    push_files_release(&f);
    return status;
}

static sc_status try_state(const char *text, size_t len, bool is_secure, sc_error *err)
{
    struct lfs_action a, b;
    sc_text again;
    sc_status status = lfs_state_read(&a, text, len, is_secure, err);
    if (status != SC_OK) return status;
    check_action(&a, is_secure);
    lfs_state_write(&again, &a);
    if (lfs_state_read(&b, again.data, again.len, is_secure, err) != SC_OK || b.n_parts != a.n_parts || strcmp(a.href, b.href) != 0) abort();
    sc_text_free(&again);
    lfs_action_release(&a);
    lfs_action_release(&b);
    return SC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sc_error err = { 0 };
    sc_status status = SC_OK;
    struct lfs_batch batch;
    struct push_commit commit;
    struct push_head head;
    if (size == 0 || size > 100000) return 0;
    const char *text = (const char *)data + 1;
    size_t len = size - 1;
    bool is_secure = data[0] & 8;
    switch (data[0] % 8) {
    case 0: status = try_modes(text, len, &err); break;
    case 1:
        status = push_parse_head(&head, text, len, &err);
        if (status == SC_OK && !hex_is_valid(head.commit, 40) && !hex_is_valid(head.commit, 64)) abort();
        push_head_release(&head);
        break;
    case 2:
        status = push_parse_commit(&commit, text, len, &err);
        push_commit_release(&commit);
        break;
    case 3: status = try_state(text, len, is_secure, &err); break;
    case 4: mem_free(push_parse_created(text, len, "https://h.example", is_secure)); break;
    default:
        status = lfs_parse_batch(&batch, text, len, is_secure, &err);
        for (size_t i = 0; status == SC_OK && i < batch.n; i++) check_action(&batch.at[i], is_secure);
        lfs_batch_release(&batch);
    }
    if (status != SC_OK && !err.message[0]) abort();
    return 0;
}
