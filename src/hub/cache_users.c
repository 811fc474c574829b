/* cache_users.c - who uses a repository's folder of the cache, so that nothing is taken away from them. A store leaves a
 * mark in the folder: .starchat-users/<SHA-256 of the store's path> holds that path. A pull under way leaves notes in its
 * work directory: the folder, then a line for each blob of its plan. The reference client looks at neither. */
#include "hub/hub.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOTES_MAX = 16 << 20 };

/* ---- notes of pulls ------------------------------------------------------------------------------------------------------------- */

bool fetched_read(struct buf *repo, struct pull_plan *blobs, const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t n = newline ? (size_t)(newline - text) - at : len - at;
        if (at == 0) buf_append(repo, text, n);
        else {
            char line[65] = "", mark = n ? text[at] : 0;
            size_t skip = mark == '+' || mark == '=', digits = n - skip;
            if (digits != 40 && digits != 64) return false;
            memcpy(line, text + at + skip, digits);
            if (!hex_is_valid(line, digits)) return false;
            struct hub_file *f = plan_add(blobs, line, digits);
            memcpy(f->blob, line, digits + 1);
            f->is_ours = mark != '=';
            f->is_sure = mark == '+';
        }
        at += n + 1;
    }
    return repo->len > 0 && strlen(repo->data) == repo->len;
}

sc_status fetched_write(const struct pull_plan *p, const char *repo, const char *work, sc_error *err)
{
    struct buf text;
    char *path = path_join(work, FETCHED_NAME);
    buf_init(&text, 0);
    buf_printf(&text, "%s\n", repo);
    for (size_t i = 0; i < p->n_files; i++) {
        const struct hub_file *f = &p->files[i];
        if (f->blob[0]) buf_printf(&text, "%s%s\n", !f->is_ours ? "=" : f->is_sure ? "+" : "", f->blob);
    }
    sc_status status = file_write(path, text.data, text.len, err);
    mem_free(path);
    buf_release(&text);
    return status;
}

bool fetched_find(struct buf *repo, struct pull_plan *blobs, const char *work)
{
    char *path = path_join(work, FETCHED_NAME);
    sc_text text = { 0 };
    bool is_found = path_exists(path) && file_read(&text, path, NOTES_MAX, NULL) == SC_OK && fetched_read(repo, blobs, text.data ? text.data : "", text.len);
    sc_text_free(&text);
    mem_free(path);
    return is_found;
}

size_t cache_pulls(json_t *used, const char *home, const char *repo, const char *work)
{
    const char *own = work ? strrchr(work, '/') : NULL;
    char *tmp = path_join(home, "tmp");
    size_t n = 0;
    DIR *d = opendir(tmp);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.' || (own && strcmp(e->d_name, own + 1) == 0)) continue;
        char *path = path_join(tmp, e->d_name);
        struct pull_plan blobs = { 0 };
        struct buf of;
        buf_init(&of, 0);
        if (fetched_find(&of, &blobs, path) && strcmp(of.data, repo) == 0) {
            n++;
            for (size_t i = 0; i < blobs.n_files; i++) {
                const struct hub_file *f = &blobs.files[i];
                (void)json_object_set_new_nocheck(used, f->blob, json_boolean(f->is_ours || json_is_true(json_object_get(used, f->blob))));
            }
        }
        plan_release(&blobs);
        buf_release(&of);
        mem_free(path);
    }
    if (d) closedir(d);
    mem_free(tmp);
    return n;
}

/* ---- marks of stores --------------------------------------------------------------------------------------------------------------- */

char *store_real_home(const char *home)
{
    char *real = realpath(home, NULL), *copy = mem_strdup(real ? real : home);
    free(real);
    return copy;
}

static void mark_name(char name[65], const char *home)
{
    struct sha256 sha;
    sha256_begin(&sha);
    sha256_add(&sha, home, strlen(home));
    sha256_end(&sha, name);
}

bool store_mark_read(char **home, const char *name, const char *text, size_t len)
{
    char wanted[65];
    *home = NULL;
    if (!len || len >= PATH_MAX || text[0] != '/' || memchr(text, 0, len)) return false;
    char *found = mem_strndup(text, len);
    mark_name(wanted, found);
    if (strcmp(wanted, name) == 0) *home = found;
    else mem_free(found);
    return *home != NULL;
}

sc_status cache_mark(const struct hub_cache *c, const char *home, sc_error *err)
{
    char name[65], *directory, *real = store_real_home(home);
    if (access(c->repo, W_OK) != 0 && (errno == EACCES || errno == EROFS)) {     /* shared by readers alone: nobody takes anything out */
        mem_free(real);
        return SC_OK;
    }
    mark_name(name, real);
    sc_status status = hub_cache_make(&directory, c, CACHE_USERS, err);
    if (status == SC_OK) {
        char *path = path_join(directory, name);
        if (!path_exists(path)) status = file_write(path, real, strlen(real), err);
        mem_free(path);
    }
    mem_free(directory);
    mem_free(real);
    return status;
}

void cache_unmark(const char *repo, const char *home)
{
    char name[65], *real = store_real_home(home), *directory = path_join(repo, CACHE_USERS);
    mark_name(name, real);
    char *path = path_join(directory, name);
    (void)unlink(path);
    (void)rmdir(directory);     /* stays while another store has a mark in it */
    mem_free(path);
    mem_free(directory);
    mem_free(real);
}

void cache_marks_walk(const char *repo, void (*visit)(void *user, const char *home), void *user)
{
    char *directory = path_join(repo, CACHE_USERS);
    struct stat st;
    DIR *d = lstat(directory, &st) == 0 && S_ISDIR(st.st_mode) ? opendir(directory) : NULL;
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        char *path = path_join(directory, e->d_name), *home;
        sc_text text = { 0 };
        if (hex_is_valid(e->d_name, 64) && file_read(&text, path, PATH_MAX, NULL) == SC_OK && store_mark_read(&home, e->d_name, text.data ? text.data : "", text.len)) {
            visit(user, home);
            mem_free(home);
        }
        sc_text_free(&text);
        mem_free(path);
    }
    if (d) closedir(d);
    mem_free(directory);
}
