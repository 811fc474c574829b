/* store_usage.c - what the store and its neighbours take on disk, and what of that nothing needs any more. */
#include "hub/hub.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WALK_DEPTH = 64 };

/* ---- bytes of a tree ------------------------------------------------------------------------------------------------------- */

struct space { uint64_t bytes, freed; double newest; };

static void add_file(struct space *s, const struct stat *st)
{
    uint64_t bytes = (uint64_t)st->st_blocks * 512;
    s->bytes += bytes;
    if (S_ISDIR(st->st_mode) || st->st_nlink == 1) s->freed += bytes;
    if ((double)st->st_mtime > s->newest) s->newest = (double)st->st_mtime;
}

/* Links are not followed: what they point to belongs to somebody else. */
static void add_tree(struct space *s, int parent, const char *name, int depth)
{
    struct stat st;
    if (depth > WALK_DEPTH || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return;
    add_file(s, &st);
    int fd = S_ISDIR(st.st_mode) ? openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) add_tree(s, dirfd(d), e->d_name, depth + 1);
    if (d) closedir(d);
    else if (fd >= 0) close(fd);
}

/* ---- the table ----------------------------------------------------------------------------------------------------------------- */

static void put_row(json_t *rows, const char *what, const char *path, const struct space *s, size_t n)
{
    json_t *row = json_pack("{s:s, s:s, s:I, s:I, s:I}", "what", what, "path", path, "bytes", (json_int_t)s->bytes, "freed", (json_int_t)s->freed, "n", (json_int_t)n);
    if (row && s->bytes) json_array_append_new(rows, row);
    else json_decref(row);
}

static size_t count_entries(const char *directory)
{
    size_t n = 0;
    DIR *d = opendir(directory);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) n += e->d_name[0] != '.';
    if (d) closedir(d);
    return n;
}

static void put_directory(json_t *rows, const char *what, const char *path)
{
    struct space s = { 0 };
    if (!path || !path_is_directory(path)) return;
    add_tree(&s, AT_FDCWD, path, 0);
    put_row(rows, what, path, &s, count_entries(path));
}

/* Files of the home that begin with `prefix`: an SQLite file has neighbours. */
static void put_files(json_t *rows, const char *what, const char *home, const char *prefix)
{
    struct space s = { 0 };
    char *path = path_join(home, prefix);
    size_t n = 0;
    DIR *d = opendir(home);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;)
        if (strncmp(e->d_name, prefix, strlen(prefix)) == 0) {
            add_tree(&s, dirfd(d), e->d_name, 0);
            n++;
        }
    if (d) closedir(d);
    put_row(rows, what, path, &s, n);
    mem_free(path);
}

sc_status sc_store_usage(sc_text *json, const char *home, sc_error *err)
{
    static const struct { const char *what, *name; bool is_directory; } part[] = {
        { "models", "models", true }, { "unfinished downloads", "tmp", true }, { "conversations", "conversations", false }, { "answers of judges", "judge.sqlite", false },
    };
    char *store = NULL, *cache = hub_cache_directory();
    sc_text prompts = { 0 };
    json_t *rows = json_array();
    *json = (sc_text){ 0 };
    sc_status status = store_find_home(&store, home, err);
    for (size_t i = 0; i < sizeof part / sizeof *part && status == SC_OK; i++) {
        char *path = path_join(store, part[i].name);
        if (part[i].is_directory) put_directory(rows, part[i].what, path);
        else put_files(rows, part[i].what, store, part[i].name);
        mem_free(path);
    }
    if (status == SC_OK && sc_prompt_cache_home(&prompts, NULL) == SC_OK) put_directory(rows, "prompt cache", prompts.data);
    if (status == SC_OK) put_directory(rows, "huggingface_hub's cache", cache);
    json_t *all = json_pack("{s:s, s:O}", "home", store ? store : "", "rows", rows);
    if (status == SC_OK) status = json_write(json, all, false);
    json_decref(all);
    json_decref(rows);
    sc_text_free(&prompts);
    mem_free(cache);
    mem_free(store);
    return status;
}

/* ---- what nothing needs ----------------------------------------------------------------------------------------------------------- */

struct freeing { const char *home; double oldest; bool is_dry; json_t *rows; sc_error *err; };

static void put_freed(struct freeing *f, const char *what, const char *path, uint64_t bytes, const char *why)
{
    json_t *row = json_pack("{s:s, s:s, s:I, s:s}", "what", what, "path", path, "bytes", (json_int_t)bytes, "why", why);
    if (row) json_array_append_new(f->rows, row);
}

/* Held while it is removed, so that nobody goes on with it meanwhile. */
static sc_status free_download(struct freeing *f, const char *path, const char *name)
{
    struct space s = { 0 };
    char why[96];
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (fd >= 0) close(fd);
        return SC_OK;
    }
    add_tree(&s, AT_FDCWD, path, 0);
    sc_status status = SC_OK;
    if (s.newest <= f->oldest) {
        snprintf(why, sizeof why, "nothing was added for %.0f days", ((double)time(NULL) - s.newest) / 86400);
        status = store_drop_work(f->home, path, f->is_dry, &s.freed, f->err);
        if (status == SC_OK) put_freed(f, name, path, s.freed, why);
    }
    close(fd);
    return status;
}

static sc_status free_downloads(struct freeing *f)
{
    char *tmp = path_join(f->home, "tmp");
    sc_status status = SC_OK;
    DIR *d = opendir(tmp);
    for (const struct dirent *e; d && status == SC_OK && (e = readdir(d)) != NULL;) {
        char *path = path_join(tmp, e->d_name), *name = name_decode(e->d_name);
        struct space s = { 0 };
        if (strncmp(e->d_name, ".removed-", 9) == 0) {
            add_tree(&s, AT_FDCWD, path, 0);
            if (!f->is_dry) status = tree_remove(path, f->err);
            if (status == SC_OK) put_freed(f, e->d_name, path, s.freed, "a removal did not come to its end");
        } else if (name) status = free_download(f, path, name);
        mem_free(path);
        mem_free(name);
    }
    if (d) closedir(d);
    mem_free(tmp);
    return status;
}

/* A path whose very folder is missing may lie on a disk that is not mounted now. */
static bool may_come_back(const char *target)
{
    const char *slash = target[0] == '/' ? strrchr(target, '/') : NULL;
    if (!slash || slash == target) return false;
    char *parent = mem_strndup(target, (size_t)(slash - target));
    bool has_parent = path_is_directory(parent);
    mem_free(parent);
    return !has_parent;
}

static void free_alias(void *user, const char *name, const char *target)
{
    struct freeing *f = user;
    sc_text path = { 0 };
    char why[200];
    if (sc_store_resolve(&path, name, f->home, NULL) == SC_OK) {
        sc_text_free(&path);
        return;
    }
    if (may_come_back(target)) return;
    snprintf(why, sizeof why, "it stands for %.120s, which is gone", target);
    if (f->is_dry || alias_remove(f->home, name)) put_freed(f, name, "", 0, why);
}

sc_status sc_store_free(sc_text *json, const char *home, double days, bool is_dry, sc_error *err)
{
    char *store = NULL;
    *json = (sc_text){ 0 };
    if (!(days >= 0)) return FAIL(err, SC_E_ARGUMENT, "days is %g, expected 0 or more", days);
    TRY(store_find_home(&store, home, err));
    struct freeing f = { store, (double)time(NULL) - days * 86400, is_dry, json_array(), err };
    sc_status status = free_downloads(&f);
    if (status == SC_OK) alias_walk(store, free_alias, &f);
    if (status == SC_OK) status = json_write(json, f.rows, false);
    json_decref(f.rows);
    mem_free(store);
    return status;
}
