/* cache_release.c - takes out of huggingface_hub's cache what this program brought in and nothing else uses: links of the
 * snapshot, blobs that no other snapshot links to, then what has become empty. What another stored model uses stays and is
 * that model's from then on, also one of another store that left its mark; what a pull under way uses stays, and what was in
 * the cache before is never touched. */
#include "hub/hub.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 8 };

/* ---- who else uses a blob -------------------------------------------------------------------------------------------------------- */

struct release {
    struct giving_back *g;
    char *home;                /* the store's, resolved                          */
    json_t *ours, *paths;      /* blob, path -> its place in files               */
    json_t *used;              /* blobs that snapshots and pulls under way use   */
    bool *is_stored;           /* by files: another stored model has the blob    */
    bool *has_link;            /* and even the same path of the same snapshot    */
    size_t n_models, n_pulls;  /* of the store, that use the repository's folder */
    size_t n_foreign;          /* pulls of other stores                          */
    bool is_kept;              /* another store cannot be read: all stays        */
};

/* Notes in `used` the blobs to which links below a directory lead; `parent` is taken over. */
static void links_below(json_t *used, int parent, int depth)
{
    DIR *d = parent < 0 ? NULL : fdopendir(parent);
    char target[512];
    if (!d && parent >= 0) close(parent);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
        if (n > 0) {
            target[n] = 0;
            const char *slash = strrchr(target, '/');
            (void)json_object_set_new_nocheck(used, slash ? slash + 1 : target, json_true());
        } else if (depth < DEPTH_MAX) links_below(used, openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), depth + 1);
    }
    if (d) closedir(d);
}

void cache_links(json_t *used, const char *repo)
{
    char *snapshots = path_join(repo, "snapshots");
    links_below(used, open(snapshots, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), 0);
    mem_free(snapshots);
}

/* A stored model with the same blobs becomes their owner. */
static void release_visit(void *user, const struct manifest *m, const char *directory)
{
    struct release *r = user;
    bool is_changed = false;
    if (strcmp(m->cache, r->g->repo) != 0) return;
    r->n_models++;
    for (size_t i = 0; i < m->n_files; i++) {
        const json_t *place = json_object_get(r->ours, m->files[i].blob);
        if (!place) continue;
        is_changed = is_changed || !m->files[i].is_ours;
        m->files[i].is_ours = true;
        r->is_stored[json_integer_value(place)] = true;
        place = strcmp(m->revision, r->g->commit) == 0 ? json_object_get(r->paths, m->files[i].path) : NULL;
        if (place) r->has_link[json_integer_value(place)] = true;
    }
    if (is_changed && !r->g->is_dry) (void)manifest_write(m, directory, NULL);   /* where it fails the blobs stay, which harms nobody */
}

/* Another store with a mark: its models and pulls count as this store's do. A mark of a store that is gone is removed. */
static void foreign_visit(void *user, const char *home)
{
    struct release *r = user;
    struct stat st;
    if (strcmp(home, r->home) == 0) return;
    if (stat(home, &st) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
        if (!r->g->is_dry) cache_unmark(r->g->repo, home);
        return;
    }
    size_t own = r->n_models;
    r->is_kept = store_walk(home, release_visit, r, NULL) != SC_OK || r->is_kept;
    r->n_models = own;
    r->n_foreign += cache_pulls(r->used, home, r->g->repo, NULL);
}

/* ---- taking away ------------------------------------------------------------------------------------------------------------------- */

/* Removes the link and the folders that become empty, up to the snapshot itself. */
static void unlink_upwards(const char *snapshot, const char *path)
{
    char *full = path_join(snapshot, path);
    struct stat st;
    if (lstat(full, &st) == 0 && S_ISLNK(st.st_mode)) (void)unlink(full);
    for (char *slash = strrchr(full, '/'); slash && (size_t)(slash - full) >= strlen(snapshot); slash = strrchr(full, '/')) {
        *slash = 0;
        if (rmdir(full) != 0) break;
    }
    mem_free(full);
}

/* Removes refs to the commit below `directory`, and folders that become empty. */
static void drop_refs(const char *directory, const char *commit, int depth)
{
    DIR *d = depth > DEPTH_MAX ? NULL : opendir(directory);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        char *path = path_join(directory, e->d_name), found[41];
        struct stat st;
        sc_text text = { 0 };
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) drop_refs(path, commit, depth + 1);
        else if (S_ISREG(st.st_mode) && file_read(&text, path, 256, NULL) == SC_OK && ref_read(found, text.data ? text.data : "", text.len) && strcmp(found, commit) == 0) (void)unlink(path);
        sc_text_free(&text);
        mem_free(path);
    }
    if (d) closedir(d);
    (void)rmdir(directory);
}

static char *below(const char *repo, const char *part, const char *name)
{
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "%s/%s%s%s", repo, part, *name ? "/" : "", name);
    return b.data;
}

/* What is left of a repository whose snapshot is gone, and of the repository when nothing is left and no pull is about to
 * put something there. */
static void tidy(const char *repo, const char *commit, bool is_unused)
{
    static const char *const parts[] = { "trees", ".no_exist", "snapshots", "blobs", "refs" };
    char *snapshot = below(repo, "snapshots", commit), *listing = below(repo, "trees", commit), *absent = below(repo, ".no_exist", commit), *refs = below(repo, "refs", "");
    struct buf json;
    hub_cache_sweep(repo);
    buf_init(&json, 0);
    buf_printf(&json, "%s.json", listing);
    if (*commit && !path_exists(snapshot)) {
        (void)unlink(json.data);
        (void)tree_remove(absent, NULL);
        drop_refs(refs, commit, 0);
    }
    for (size_t i = 0; is_unused && i < sizeof parts / sizeof *parts; i++) {
        char *path = below(repo, parts[i], "");
        (void)rmdir(path);
        mem_free(path);
    }
    if (is_unused) (void)rmdir(repo);      /* stays while something is in it */
    buf_release(&json);
    mem_free(snapshot);
    mem_free(listing);
    mem_free(absent);
    mem_free(refs);
}

static char *lock_path(const char *repo, const char *blob)
{
    const char *slash = strrchr(repo, '/');
    struct buf path;
    buf_init(&path, 0);
    buf_printf(&path, "%.*s/.locks%s/%s.lock", (int)(slash - repo), repo, slash, blob);
    return path.data;
}

/* Takes the lock of a blob, or -1: somebody is about to use the blob, or the cache cannot be written. */
static int take_lock(const char *repo, const char *blob)
{
    char *path = lock_path(repo, blob), *folder = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
    int fd = path_make_directories(folder, NULL) == SC_OK ? hub_cache_lock_now(path) : -1;
    mem_free(folder);
    mem_free(path);
    return fd;
}

/* The lock file of a blob, and the folder of locks when it was the last. */
static void drop_lock(const char *repo, const char *blob, int fd)
{
    char *path = lock_path(repo, blob);
    (void)unlink(path);
    *strrchr(path, '/') = 0;
    (void)rmdir(path);
    close(fd);
    mem_free(path);
}

static uint64_t disk_bytes(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static char *partial_path(const char *repo, const struct hub_file *f)
{
    struct buf partial;
    buf_init(&partial, 0);
    download_partial_name(&partial, f);
    char *path = below(repo, "blobs", partial.data);
    buf_release(&partial);
    return path;
}

void cache_drop_partial(const char *repo, const struct hub_file *f)
{
    int fd = take_lock(repo, f->blob);
    if (fd < 0) return;
    char *path = partial_path(repo, f);
    (void)unlink(path);
    drop_lock(repo, f->blob, fd);
    mem_free(path);
}

/* A blob that nothing uses any more, its partial file and its lock; it stays while somebody holds that. */
static sc_status drop_blob(struct giving_back *g, const struct hub_file *f, sc_error *err)
{
    char *blob = below(g->repo, "blobs", f->blob), *incomplete = partial_path(g->repo, f);
    uint64_t bytes = disk_bytes(blob) + disk_bytes(incomplete);
    int fd = g->is_dry ? -1 : take_lock(g->repo, f->blob);
    sc_status status = SC_OK;
    if (fd >= 0) {
        (void)unlink(incomplete);
        if (unlink(blob) != 0 && errno != ENOENT) status = FAIL(err, SC_E_IO, "cannot remove %s: %s", blob, strerror(errno));
        drop_lock(g->repo, f->blob, fd);
    }
    if (status == SC_OK && (fd >= 0 || g->is_dry)) g->freed += bytes;
    mem_free(blob);
    mem_free(incomplete);
    return status;
}

static sc_status drop_unused(struct release *r, sc_error *err)
{
    struct giving_back *g = r->g;
    char *snapshot = below(g->repo, "snapshots", g->commit);
    sc_status status = SC_OK;
    for (size_t i = 0; i < g->n && !g->is_dry; i++)
        if (g->files[i].is_ours && *g->commit && g->files[i].path && !r->has_link[i]) unlink_upwards(snapshot, g->files[i].path);
    cache_links(r->used, g->repo);
    for (size_t i = 0; i < g->n && status == SC_OK; i++) {
        const char *blob = g->files[i].blob;
        const json_t *place = json_object_get(r->ours, blob);
        if (!place || r->is_stored[json_integer_value(place)] || json_object_get(r->used, blob)) continue;
        status = drop_blob(g, &g->files[i], err);
        (void)json_object_set_new_nocheck(r->used, blob, json_true());     /* the same content may come again */
    }
    mem_free(snapshot);
    return status;
}

static sc_status release_all(struct release *r, sc_error *err)
{
    struct giving_back *g = r->g;
    TRY(store_walk(g->home, release_visit, r, err));
    r->n_pulls = cache_pulls(r->used, g->home, g->repo, g->work);
    cache_marks_walk(g->repo, foreign_visit, r);
    sc_status status = r->is_kept ? SC_OK : drop_unused(r, err);
    if (g->is_dry) return status;
    if (!r->n_models && !r->n_pulls) cache_unmark(g->repo, g->home);
    if (!r->is_kept) tidy(g->repo, g->commit, !r->n_pulls && !r->n_foreign);
    return status;
}

sc_status cache_release(struct giving_back *g, sc_error *err)
{
    struct release r = { .g = g, .home = store_real_home(g->home), .ours = json_object(), .paths = json_object(), .used = json_object(), .is_stored = mem_zero(g->n + 1, sizeof(bool)), .has_link = mem_zero(g->n + 1, sizeof(bool)) };
    for (size_t i = 0; i < g->n; i++) {
        const struct hub_file *f = &g->files[i];
        if (!f->is_ours || !f->blob[0]) continue;
        (void)json_object_set_new_nocheck(r.ours, f->blob, json_integer((json_int_t)i));
        if (f->path) (void)json_object_set_new_nocheck(r.paths, f->path, json_integer((json_int_t)i));
    }
    sc_status status = release_all(&r, err);
    json_decref(r.ours);
    json_decref(r.paths);
    json_decref(r.used);
    mem_free(r.is_stored);
    mem_free(r.has_link);
    mem_free(r.home);
    return status;
}
