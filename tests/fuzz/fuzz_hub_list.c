/* fuzz_hub_list.c - any bytes as what is told of a repository's files: a page of the Hub's tree, the list that the cache
 * keeps of a commit. What is accepted has paths that stay in their folder, no path twice, and survives the choice of files. */
#include <string.h>

#include "fuzz_memory.h"
#include "hub/hub.h"

static void check_files(const struct pull_plan *p)
{
    for (size_t i = 0; i < p->n_files; i++) {
        const struct hub_file *f = &p->files[i];
        if (!f->path || strcmp(f->path, f->name) != 0 || repo_path_check(f->path, strlen(f->path), NULL) != SC_OK) abort();
        if (f->path[0] == '/' || strstr(f->path, "/../") || strncmp(f->path, "../", 3) == 0) abort();
        if (f->sha256[0] && !hex_is_valid(f->sha256, 64)) abort();
        if (f->git_sha1[0] && !hex_is_valid(f->git_sha1, 40)) abort();
        if (f->blob[0] && !hex_is_valid(f->blob, 40) && !hex_is_valid(f->blob, 64)) abort();
        for (size_t k = 0; k < i && i < 50; k++) if (strcmp(p->files[k].path, f->path) == 0) abort();
    }
}

static void choose(struct pull_plan *p, bool is_dataset)
{
    struct model_source s = { .kind = SOURCE_HUB, .repo = (char *)"o/r", .revision = (char *)"main", .is_dataset = is_dataset };
    sc_error err = { 0 };
    if (plan_select_for(p, &s, &err) != SC_OK) {
        if (!err.message[0]) abort();
        return;
    }
    for (size_t i = 0; i < p->n_files; i++) if (strchr(p->files[i].name, '/') || p->files[i].name[0] == '.') abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pull_plan p = { .revision = mem_strdup("c") };
    sc_error err = { 0 };
    if (size == 0 || size > 200000) {
        plan_release(&p);
        return 0;
    }
    fuzz_memory_begin(size * 600 + 100000);
    bool is_page = data[0] & 1;
    sc_status status = is_page ? tree_page_read(&p, (const char *)data + 1, size - 1, "https://h.example/o/r", &err) : listing_read(&p, (const char *)data + 1, size - 1, &err);
    if (status != SC_OK && !err.message[0]) abort();
    if (status == SC_OK && p.n_files < 300) {
        check_files(&p);
        choose(&p, data[0] & 2);
    }
    plan_release(&p);
    fuzz_memory_end();
    return 0;
}
