/* cache_release.c - takes out of huggingface_hub's cache what this program brought in and nothing else uses: links of the
 * snapshot, blobs that no other snapshot links to, then what has become empty. What another stored model uses stays and is
 * that model's from then on; what was in the cache before is never touched. */
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
    const char *repo, *commit;
    const struct hub_file *files; size_t n;
    json_t *ours, *paths;      /* blob, path -> its place in files */
    bool *is_stored;           /* by files: another stored model has the blob    */
    bool *has_link;            /* and even the same path of the same snapshot    */
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

/* A stored model with the same blobs becomes their owner. */
static void release_visit(void *user, const struct manifest *m, const char *directory)
{
    struct release *r = user;
    bool is_changed = false;
    if (strcmp(m->cache, r->repo) != 0) return;
    for (size_t i = 0; i < m->n_files; i++) {
        const json_t *place = json_object_get(r->ours, m->files[i].blob);
        if (!place) continue;
        is_changed = is_changed || !m->files[i].is_ours;
        m->files[i].is_ours = true;
        r->is_stored[json_integer_value(place)] = true;
        place = strcmp(m->revision, r->commit) == 0 ? json_object_get(r->paths, m->files[i].path) : NULL;
        if (place) r->has_link[json_integer_value(place)] = true;
    }
    if (is_changed) (void)manifest_write(m, directory, NULL);   /* where it fails the blobs stay, which harms nobody */
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

/* What is left of a repository whose snapshot is gone, and of the repository when nothing is left. */
static void tidy(const char *repo, const char *commit)
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
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char *path = below(repo, parts[i], "");
        (void)rmdir(path);
        mem_free(path);
    }
    (void)rmdir(repo);      /* stays while something is in it */
    buf_release(&json);
    mem_free(snapshot);
    mem_free(listing);
    mem_free(absent);
    mem_free(refs);
}

/* The lock file of a blob, and the folder of locks when it was the last. */
static void drop_lock(const char *repo, const char *blob)
{
    const char *slash = strrchr(repo, '/');
    struct buf path;
    buf_init(&path, 0);
    buf_printf(&path, "%.*s/.locks%s/%s.lock", (int)(slash - repo), repo, slash, blob);
    (void)unlink(path.data);
    *strrchr(path.data, '/') = 0;
    (void)rmdir(path.data);
    buf_release(&path);
}

/* A blob that nothing uses any more, its partial file and its lock. */
static sc_status drop_blob(const char *repo, const struct hub_file *f, sc_error *err)
{
    struct buf partial;
    buf_init(&partial, 0);
    download_partial_name(&partial, f);
    char *blob = below(repo, "blobs", f->blob), *incomplete = below(repo, "blobs", partial.data);
    (void)unlink(incomplete);
    sc_status status = unlink(blob) == 0 || errno == ENOENT ? SC_OK : FAIL(err, SC_E_IO, "cannot remove %s: %s", blob, strerror(errno));
    drop_lock(repo, f->blob);
    mem_free(blob);
    mem_free(incomplete);
    buf_release(&partial);
    return status;
}

static sc_status release_all(struct release *r, const char *home, sc_error *err)
{
    char *snapshot = below(r->repo, "snapshots", r->commit), *snapshots = below(r->repo, "snapshots", "");
    json_t *used = json_object();
    sc_status status = home ? store_walk(home, release_visit, r, err) : SC_OK;
    for (size_t i = 0; i < r->n && status == SC_OK; i++)
        if (r->files[i].is_ours && *r->commit && r->files[i].path && !r->has_link[i]) unlink_upwards(snapshot, r->files[i].path);
    links_below(used, open(snapshots, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), 0);
    for (size_t i = 0; i < r->n && status == SC_OK; i++) {
        const json_t *place = json_object_get(r->ours, r->files[i].blob);
        if (place && !r->is_stored[json_integer_value(place)] && !json_object_get(used, r->files[i].blob)) status = drop_blob(r->repo, &r->files[i], err);
    }
    json_decref(used);
    mem_free(snapshot);
    mem_free(snapshots);
    return status;
}

sc_status cache_release(const char *repo, const char *commit, const struct hub_file *files, size_t n, const char *home, sc_error *err)
{
    struct release r = { .repo = repo, .commit = commit, .files = files, .n = n, .ours = json_object(), .paths = json_object(), .is_stored = mem_zero(n + 1, sizeof(bool)), .has_link = mem_zero(n + 1, sizeof(bool)) };
    for (size_t i = 0; i < n; i++)
        if (files[i].is_ours && files[i].blob[0]) {
            (void)json_object_set_new_nocheck(r.ours, files[i].blob, json_integer((json_int_t)i));
            if (files[i].path) (void)json_object_set_new_nocheck(r.paths, files[i].path, json_integer((json_int_t)i));
        }
    sc_status status = release_all(&r, home, err);
    tidy(repo, commit);
    json_decref(r.ours);
    json_decref(r.paths);
    mem_free(r.is_stored);
    mem_free(r.has_link);
    return status;
}

bool fetched_read(struct buf *repo, struct pull_plan *blobs, const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t n = newline ? (size_t)(newline - text) - at : len - at;
        char line[66] = "";
        if (at == 0) buf_append(repo, text, n);
        else if (n == 40 || n == 64) {
            memcpy(line, text + at, n);
            if (!hex_is_valid(line, n)) return false;
            struct hub_file *f = plan_add(blobs, line, n);
            memcpy(f->blob, line, n + 1);
            f->is_ours = true;
        } else return false;
        at += n + 1;
    }
    return repo->len > 0 && strlen(repo->data) == repo->len;
}
