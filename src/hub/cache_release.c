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

/* Whether a link below the directory leads to the blob; `parent` is taken over. */
static bool links_below(int parent, const char *blob, int depth)
{
    DIR *d = parent < 0 ? NULL : fdopendir(parent);
    char target[512];
    bool is_used = false;
    if (!d && parent >= 0) close(parent);
    for (const struct dirent *e; d && !is_used && (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
        if (n > 0) {
            target[n] = 0;
            const char *slash = strrchr(target, '/');
            is_used = strcmp(slash ? slash + 1 : target, blob) == 0;
        } else if (depth < DEPTH_MAX) is_used = links_below(openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), blob, depth + 1);
    }
    if (d) closedir(d);
    return is_used;
}

struct search { const char *repo, *commit; const struct hub_file *file; bool is_found, has_link; };   /* has_link: in the same snapshot too */

/* A stored model with the same blob becomes its owner. */
static void search_visit(void *user, const struct manifest *m, const char *directory)
{
    struct search *s = user;
    if (strcmp(m->cache, s->repo) != 0) return;
    for (size_t i = 0; i < m->n_files; i++) {
        if (strcmp(m->files[i].blob, s->file->blob) != 0) continue;
        bool was_ours = m->files[i].is_ours;
        m->files[i].is_ours = true;
        if (!was_ours && manifest_write(m, directory, NULL) != SC_OK) continue;
        s->is_found = true;
        s->has_link = s->has_link || (s->file->path && strcmp(m->revision, s->commit) == 0 && strcmp(m->files[i].path, s->file->path) == 0);
    }
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

static sc_status release_file(const char *repo, const char *commit, const struct hub_file *f, const char *home, sc_error *err)
{
    struct search s = { .repo = repo, .commit = commit, .file = f };
    struct buf partial;
    if (home) TRY(store_walk(home, search_visit, &s, err));
    char *snapshot = below(repo, "snapshots", commit), *snapshots = below(repo, "snapshots", ""), *blob = below(repo, "blobs", f->blob), *blobs = below(repo, "blobs", "");
    sc_status status = SC_OK;
    if (*commit && f->path && !s.has_link) unlink_upwards(snapshot, f->path);
    if (!s.is_found && !links_below(open(snapshots, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), f->blob, 0)) {
        buf_init(&partial, 0);
        download_partial_name(&partial, f);
        char *incomplete = path_join(blobs, partial.data);
        (void)unlink(incomplete);
        if (unlink(blob) != 0 && errno != ENOENT) status = FAIL(err, SC_E_IO, "cannot remove %s: %s", blob, strerror(errno));
        drop_lock(repo, f->blob);
        mem_free(incomplete);
        buf_release(&partial);
    }
    mem_free(snapshot);
    mem_free(snapshots);
    mem_free(blob);
    mem_free(blobs);
    return status;
}

sc_status cache_release(const char *repo, const char *commit, const struct hub_file *files, size_t n, const char *home, sc_error *err)
{
    sc_status status = SC_OK;
    for (size_t i = 0; i < n && status == SC_OK; i++)
        if (files[i].is_ours && files[i].blob[0]) status = release_file(repo, commit, &files[i], home, err);
    tidy(repo, commit);
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
