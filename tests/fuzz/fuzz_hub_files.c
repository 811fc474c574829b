/* fuzz_hub_files.c - any bytes as the small files that the Hub's client finds on disk: a ref, a token, stored_tokens, the
 * notes of a pull or a store's mark, the counters of a partial download, the manifest of a stored model. The first byte chooses. */
#include <string.h>

#include "fuzz_memory.h"
#include "hub/hub.h"

static void try_stored(const char *text, size_t len)
{
    struct stored_token s;
    size_t before = 0;
    for (size_t at = 0; stored_token_next(&s, text, len, &at); before = at) {
        if (at <= before || at > len || s.begin < text + before || s.end != text + at || !s.name_len) abort();
        if (s.name < s.begin || s.name + s.name_len > s.end) abort();
        if (s.token_len && (s.token < s.begin || s.token + s.token_len > s.end)) abort();
    }
}

static void try_token(const char *text, size_t len)
{
    char *token = token_clean(text, len);
    if (token && (!*token || strchr(token, '\n') || strchr(token, '\r'))) abort();
    if (token && token_is_valid(token) && strlen(token) > len) abort();
    mem_free(token);
}

static void try_notes(const char *text, size_t len)
{
    struct buf repo;
    struct pull_plan blobs = { 0 };
    buf_init(&repo, 0);
    if (fetched_read(&repo, &blobs, text, len))
        for (size_t i = 0; i < blobs.n_files; i++) if (!hex_is_valid(blobs.files[i].blob, strlen(blobs.files[i].blob))) abort();
    plan_release(&blobs);
    buf_release(&repo);
}

static void try_mark(const char *text, size_t len)
{
    char *home, *name = mem_strndup(text, len < 64 ? len : 64);
    if (store_mark_read(&home, name, text + strlen(name), len - strlen(name)) && home[0] != '/') abort();
    mem_free(home);
    mem_free(name);
}

static void try_parts(const char *text, size_t len)
{
    uint64_t size, done[66];
    if (len < sizeof size) return;
    memcpy(&size, text, sizeof size);
    if (parts_count(size) < 1 || parts_count(size) > 65) abort();
    if (!parts_read(done, text + sizeof size, len - sizeof size, size)) return;
    uint64_t sum = 0;
    for (size_t i = 0; i < parts_count(size); i++) sum += done[i];
    if (sum > size) abort();
}

static void try_manifest(const char *text, size_t len)
{
    struct manifest m;
    sc_error err = { 0 };
    if (manifest_parse(&m, text, len, "fuzz", &err) != SC_OK) {
        if (!err.message[0]) abort();
        return;
    }
    for (size_t i = 0; i < m.n_files; i++) {
        if (file_name_check(m.files[i].name, strlen(m.files[i].name), NULL) != SC_OK) abort();
        if (*m.cache && (m.cache[0] != '/' || repo_path_check(m.files[i].path, strlen(m.files[i].path), NULL) != SC_OK)) abort();
    }
    manifest_release(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char commit[41];
    if (size == 0 || size > 100000) return 0;
    char *text = malloc(size);
    memcpy(text, data + 1, size - 1);
    fuzz_memory_begin(size * 100 + 4096);
    switch (data[0] % 6) {
    case 0: if (ref_read(commit, text, size - 1) && !hex_is_valid(commit, 40)) abort(); break;
    case 1: try_token(text, size - 1); break;
    case 2: try_stored(text, size - 1); break;
    case 3: try_notes(text, size - 1); try_mark(text, size - 1); break;
    case 4: try_manifest(text, size - 1); break;
    default: try_parts(text, size - 1); break;
    }
    fuzz_memory_end();
    free(text);
    return 0;
}
