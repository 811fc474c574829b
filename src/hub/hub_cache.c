/* hub_cache.c - the cache that huggingface_hub keeps, read and written as it does, so that what one program fetched the
 * other finds: bytes under their digest, snapshots of links to them, refs from names to commits, a lock for each blob.
 * Nothing is read or written through a link that leads out of the cache.
 * Source: huggingface_hub file_download, _tree_cache, utils/_fixes (locks), guide "Understand caching"; bford.info/cachedir. */
#include "hub/hub.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { REF_MAX = 256 };

static const char cachedir_tag[] =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This file is a cache directory tag created by huggingface_hub.\n"
    "# For information about cache directory tags, see:\n"
    "#\thttps://bford.info/cachedir/\n";

/* The path with links resolved; as it is where it does not exist. */
static char *resolved(const char *path)
{
    char *real = realpath(path, NULL), *copy = mem_strdup(real ? real : path);
    free(real);
    return copy;
}

/* The same for a root that may not exist yet: the front that does is resolved, so that a path is the same before and after. */
static char *resolved_root(const char *path)
{
    char *front = mem_strdup(path), *real = NULL;
    size_t n = strlen(front);
    while (n && !(real = realpath(front, NULL)) && errno == ENOENT) {
        while (n && front[n - 1] != '/') n--;
        while (n > 1 && front[n - 1] == '/') n--;
        front[n] = 0;
    }
    if (!n) real = realpath(".", NULL);
    const char *rest = path + n + strspn(path + n, "/");
    char *whole = !real ? mem_strdup(path) : *rest ? path_join(real, rest) : mem_strdup(real);
    free(real);
    mem_free(front);
    return whole;
}

sc_status hub_cache_open(struct hub_cache *out, bool is_dataset, const char *repo, sc_error *err)
{
    struct buf name;
    char *root = hub_cache_directory();
    const char *slash = strchr(repo, '/');
    *out = (struct hub_cache){ 0 };
    if (!root || !slash) {
        mem_free(root);
        return FAIL(err, SC_E_ARGUMENT, "no place for what comes from the Hub: HOME is not set; set HF_HOME to a directory");
    }
    buf_init(&name, 0);
    buf_printf(&name, "%s--%.*s--%s", is_dataset ? "datasets" : "models", (int)(slash - repo), repo, slash + 1);
    out->root = resolved_root(root);
    char *locks = path_join(out->root, ".locks");
    out->repo = path_join(out->root, name.data);
    out->locks = path_join(locks, name.data);
    mem_free(locks);
    mem_free(root);
    buf_release(&name);
    return SC_OK;
}

void hub_cache_release(struct hub_cache *c)
{
    mem_free(c->root);
    mem_free(c->repo);
    mem_free(c->locks);
    *c = (struct hub_cache){ 0 };
}

sc_status hub_cache_check_inside(const struct hub_cache *c, const char *path, sc_error *err)
{
    char *root = resolved(c->root), *real = resolved(path);
    size_t n = strlen(root);
    bool is_inside = strncmp(real, root, n) == 0 && (real[n] == '/' || real[n] == 0);
    sc_status status = is_inside ? SC_OK : FAIL(err, SC_E_FORMAT, "%s is a link to %s, out of the cache %s: nothing is read or written there; remove the link", path, real, root);
    mem_free(root);
    mem_free(real);
    return status;
}

static sc_status make_inside(const struct hub_cache *c, const char *path, sc_error *err)
{
    /* From the front, so that no directory is made behind a link to outside. */
    for (const char *p = path + strlen(c->root); (p = strchr(p + 1, '/')) != NULL;) {
        char *front = mem_strndup(path, (size_t)(p - path));
        sc_status status = path_make_directories(front, err);
        if (status == SC_OK) status = hub_cache_check_inside(c, front, err);
        mem_free(front);
        TRY(status);
    }
    TRY(path_make_directories(path, err));
    return hub_cache_check_inside(c, path, err);
}

/* ---- small files ------------------------------------------------------------------------------------------------------------- */

#define TEMPORARY ".starchat-"

/* Removes what killed processes left: the living hold locks on theirs. */
void hub_cache_sweep(const char *repo)
{
    DIR *d = opendir(repo);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (strncmp(e->d_name, TEMPORARY, strlen(TEMPORARY)) != 0) continue;
        int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) (void)unlinkat(dirfd(d), e->d_name, 0);
        if (fd >= 0) close(fd);
    }
    if (d) closedir(d);
}

/* A file that is there whole or not at all; a link in its place is replaced, not followed. The repository's folder exists. */
static sc_status write_whole(const struct hub_cache *c, const char *path, const char *text, size_t len, sc_error *err)
{
    struct buf temporary;
    uint64_t random;
    system_random(&random, sizeof random);
    buf_init(&temporary, 0);
    buf_printf(&temporary, "%s/" TEMPORARY "%016llx", c->repo, (unsigned long long)random);
    int fd = open(temporary.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool is_fine = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
    for (size_t done = 0; is_fine && done < len;) {
        ssize_t n = write(fd, text + done, len - done);
        if (n > 0) done += (size_t)n;
        else is_fine = n < 0 && errno == EINTR;
    }
    is_fine = is_fine && rename(temporary.data, path) == 0;
    sc_status status = is_fine ? SC_OK : FAIL(err, SC_E_IO, "cannot write %s: %s", path, strerror(errno));
    if (!is_fine && fd >= 0) (void)unlink(temporary.data);
    if (fd >= 0) close(fd);
    buf_release(&temporary);
    return status;
}

sc_status hub_cache_make(char **path, const struct hub_cache *c, const char *part, sc_error *err)
{
    char *wanted = part ? path_join(c->repo, part) : mem_strdup(c->repo), *tag = path_join(c->root, "CACHEDIR.TAG");
    *path = NULL;
    sc_status status = path_make_directories(c->root, err);
    if (status == SC_OK) status = make_inside(c, wanted, err);
    if (status == SC_OK) *path = resolved(wanted);
    if (status == SC_OK && !path_exists(tag)) (void)write_whole(c, tag, cachedir_tag, sizeof cachedir_tag - 1, NULL);   /* as the reference: best effort */
    if (status == SC_OK) hub_cache_sweep(c->repo);
    mem_free(wanted);
    mem_free(tag);
    return status;
}

/* ---- refs --------------------------------------------------------------------------------------------------------------------- */

bool ref_read(char commit[41], const char *text, size_t len)
{
    while (len > 40 && (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' ')) len--;
    if (len != 40) return false;
    memcpy(commit, text, 40);
    commit[40] = 0;
    return hex_is_valid(commit, 40);
}

static char *ref_path(const struct hub_cache *c, const char *revision)
{
    if (repo_path_check(revision, strlen(revision), NULL) != SC_OK) return NULL;
    struct buf path;
    buf_init(&path, 0);
    buf_printf(&path, "%s/refs/%s", c->repo, revision);
    return path.data;
}

bool hub_cache_commit(char commit[41], const struct hub_cache *c, const char *revision)
{
    sc_text text = { 0 };
    if (hex_is_valid(revision, 40)) {
        memcpy(commit, revision, 41);
        return true;
    }
    char *path = ref_path(c, revision);
    bool is_known = path && hub_cache_check_inside(c, path, NULL) == SC_OK && file_read(&text, path, REF_MAX, NULL) == SC_OK && ref_read(commit, text.data ? text.data : "", text.len);
    sc_text_free(&text);
    mem_free(path);
    return is_known;
}

sc_status hub_cache_set_ref(const struct hub_cache *c, const char *revision, const char *commit, sc_error *err)
{
    char old[41];
    if (strcmp(revision, commit) == 0 || (hub_cache_commit(old, c, revision) && strcmp(old, commit) == 0)) return SC_OK;
    char *path = ref_path(c, revision), *directory = path ? mem_strndup(path, (size_t)(strrchr(path, '/') - path)) : NULL;
    sc_status status = path ? make_inside(c, directory, err) : FAIL(err, SC_E_ARGUMENT, "\"%s\" cannot be the name of a revision", revision);
    if (status == SC_OK) status = write_whole(c, path, commit, 40, err);
    mem_free(directory);
    mem_free(path);
    return status;
}

/* ---- files ---------------------------------------------------------------------------------------------------------------------- */

static char *snapshot_path(const struct hub_cache *c, const char *commit, const char *path)
{
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "%s/snapshots/%s/%s", c->repo, commit, path);
    return b.data;
}

sc_status hub_cache_find_file(char **path, const struct hub_cache *c, const char *commit, const struct hub_file *f, sc_error *err)
{
    struct buf blob;
    buf_init(&blob, 0);
    buf_printf(&blob, "%s/blobs/%s", c->repo, f->blob);
    char *candidate[] = { f->blob[0] ? blob.data : NULL, snapshot_path(c, commit, f->path) };
    sc_status status = SC_OK;
    *path = NULL;
    for (int i = 0; i < 2 && !*path && status == SC_OK; i++) {
        if (!candidate[i] || !path_exists(candidate[i])) continue;
        status = hub_cache_check_inside(c, candidate[i], err);
        if (status == SC_OK) *path = mem_strdup(candidate[i]);
    }
    mem_free(candidate[1]);
    buf_release(&blob);
    return status;
}

/* A link at `path`, whatever was there. */
static sc_status put_link(const char *target, const char *path, sc_error *err)
{
    bool is_fine = symlink(target, path) == 0 || (errno == EEXIST && unlink(path) == 0 && symlink(target, path) == 0) || errno == EEXIST;   /* the last: another process was faster */
    return is_fine ? SC_OK : FAIL(err, SC_E_IO, "cannot make the link %s: %s; the cache needs a file system with symbolic links (HF_HUB_CACHE)", path, strerror(errno));
}

sc_status hub_cache_link(const struct hub_cache *c, const char *commit, const struct hub_file *f, sc_error *err)
{
    struct buf target, blob;
    char *path = snapshot_path(c, commit, f->path), *directory = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
    char there[256];
    buf_init(&target, 0);
    buf_init(&blob, 0);
    buf_puts(&target, "../../");
    for (const char *p = f->path; *p; p++) if (*p == '/') buf_puts(&target, "../");
    buf_printf(&target, "blobs/%s", f->blob);
    buf_printf(&blob, "%s/blobs/%s", c->repo, f->blob);
    sc_status status = make_inside(c, directory, err);
    if (status == SC_OK && path_exists(blob.data)) {       /* else the snapshot holds the file itself */
        ssize_t n = readlink(path, there, sizeof there);
        bool is_same = n > 0 && (size_t)n == target.len && memcmp(there, target.data, target.len) == 0;
        if (!is_same) status = put_link(target.data, path, err);
    }
    mem_free(path);
    mem_free(directory);
    buf_release(&target);
    buf_release(&blob);
    return status;
}

static int compare_names(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

sc_status hub_cache_set_listing(const struct hub_cache *c, const char *commit, const json_t *files, sc_error *err)
{
    char *directory;
    struct buf path;
    size_t i = 0, n = 0;
    const char *key;
    const json_t *entry;
    json_object_foreach((json_t *)files, key, entry) n += json_is_object(entry), i++;
    if (!files || n != i) return SC_OK;                   /* a list without sizes is not worth remembering */
    TRY(hub_cache_make(&directory, c, "trees", err));
    buf_init(&path, 0);
    buf_printf(&path, "%s/%s.json", directory, commit);
    json_t *root = json_pack("{s:i, s:o}", "format_version", 1, "files", json_object());
    const char **keys = mem_zero(n + 1, sizeof *keys);
    i = 0;
    json_object_foreach((json_t *)files, key, entry) keys[i++] = key;
    qsort(keys, n, sizeof *keys, compare_names);
    for (i = 0; i < n; i++) json_object_set_nocheck(json_object_get(root, "files"), keys[i], json_object_get(files, keys[i]));
    char *text = json_dumps(root, JSON_INDENT(1) | JSON_ENSURE_ASCII);
    sc_status status = path_exists(path.data) ? SC_OK : write_whole(c, path.data, text ? text : "", text ? strlen(text) : 0, err);
    free(text);
    json_decref(root);
    mem_free(keys);
    mem_free(directory);
    buf_release(&path);
    return status;
}

/* ---- locks ------------------------------------------------------------------------------------------------------------------------ */

static bool is_still_there(int fd, const char *path)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

int hub_cache_lock_now(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0 || (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_still_there(fd, path))) return fd;
    close(fd);
    errno = EWOULDBLOCK;
    return -1;
}

sc_status hub_cache_lock(int *fd, const struct hub_cache *c, const char *blob, const struct http *h, sc_error *err)
{
    struct buf path;
    bool was_told = false;
    buf_init(&path, 0);
    buf_printf(&path, "%s/%s.lock", c->locks, blob);
    *fd = -1;
    sc_status status = make_inside(c, c->locks, err);
    while (status == SC_OK && *fd < 0) {
        *fd = hub_cache_lock_now(path.data);
        if (*fd < 0 && errno == ENOENT) status = make_inside(c, c->locks, err);         /* a removal took the empty folder away */
        else if (*fd < 0 && errno != EWOULDBLOCK) status = FAIL(err, SC_E_IO, "cannot open %s: %s", path.data, strerror(errno));
        else if (*fd < 0) {
            if (!was_told) http_note(h, "another process fetches the same file; waiting for it");
            was_told = true;
            struct timespec pause = { 0, 100 * 1000 * 1000 };
            (void)nanosleep(&pause, NULL);
            if (h->is_over && atomic_load(h->is_over)) status = FAIL(err, SC_E_CANCELLED, "stopped, because another file failed");
        }
    }
    buf_release(&path);
    return status;
}
