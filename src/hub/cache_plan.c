/* cache_plan.c - plans without the net: what the cache has of a repository. The listing that was kept of a commit tells
 * what is missing; without one, the files of the snapshot are all that is known.
 * Source: huggingface_hub _tree_cache, _snapshot_download. */
#include "hub/hub.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LISTING_MAX = 64 << 20, DEPTH_MAX = 8, FILES_MAX = 100000 };

sc_status listing_read(struct pull_plan *out, const char *text, size_t len, sc_error *err)
{
    json_t *root = NULL;
    const char *path;
    const json_t *entry;
    TRY(json_read(&root, text, len, "the cache's list of files", err));
    json_t *files = json_object_get(root, "files");
    sc_status status = json_integer_value(json_object_get(root, "format_version")) == 1 && json_is_object(files) && json_object_size(files) <= FILES_MAX
                     ? SC_OK : FAIL(err, SC_E_FORMAT, "the cache's list of files has another form than format_version 1");
    json_object_foreach(files, path, entry) {
        if (status == SC_OK) status = repo_path_check(path, strlen(path), err);
        if (status != SC_OK) break;
        struct hub_file *f = plan_add(out, path, strlen(path));
        f->path = mem_strdup(path);
        const char *sha256 = json_string_value(json_object_get(entry, "lfs_sha256"));
        const json_t *size = json_object_get(entry, sha256 ? "lfs_size" : "size");
        tree_entry_facts(f, size, sha256, json_string_value(json_object_get(entry, "blob_id")));
        memcpy(f->blob, f->sha256[0] ? f->sha256 : f->git_sha1, f->sha256[0] ? 65 : 41);
    }
    json_decref(root);
    return status;
}

/* What the name of a blob says of its content. */
static void take_digest(struct hub_file *f, const char *blob)
{
    if (hex_is_valid(blob, 64)) memcpy(f->sha256, blob, 65);
    else if (hex_is_valid(blob, 40)) memcpy(f->git_sha1, blob, 41);
    else return;
    memcpy(f->blob, blob, strlen(blob) + 1);
}

/* Adds the files below root/path; `path` is "" or ends with a slash. */
static void walk(struct pull_plan *out, const char *root, const char *path, int depth)
{
    char *directory = path_join(root, path), target[512];
    DIR *d = depth > DEPTH_MAX ? NULL : opendir(directory);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL && out->n_files < FILES_MAX;) {
        struct stat st;
        struct buf inner;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        buf_init(&inner, 0);
        buf_printf(&inner, "%s%s", path, e->d_name);
        if (repo_path_check(inner.data, inner.len, NULL) == SC_OK && fstatat(dirfd(d), e->d_name, &st, 0) == 0) {
            if (S_ISREG(st.st_mode)) {
                struct hub_file *f = plan_add(out, inner.data, inner.len);
                ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
                f->path = mem_strdup(f->name);
                f->size = (uint64_t)st.st_size;
                if (n > 0) {
                    target[n] = 0;
                    take_digest(f, strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
                }
            } else if (S_ISDIR(st.st_mode)) {
                buf_putc(&inner, '/');
                walk(out, root, inner.data, depth + 1);
            }
        }
        buf_release(&inner);
    }
    if (d) closedir(d);
    mem_free(directory);
}

/* All files that are known of a commit. */
static sc_status list_cached(struct pull_plan *out, const struct hub_cache *c, const char *commit, sc_error *err)
{
    struct buf path;
    sc_text text = { 0 };
    sc_status status = SC_E_IO;
    buf_init(&path, 0);
    buf_printf(&path, "%s/trees/%s.json", c->repo, commit);
    if (path_exists(path.data) && hub_cache_check_inside(c, path.data, NULL) == SC_OK && file_read(&text, path.data, LISTING_MAX, NULL) == SC_OK)
        status = listing_read(out, text.data ? text.data : "", text.len, NULL);
    sc_text_free(&text);
    if (status != SC_OK) {
        plan_release(out);
        buf_clear(&path);
        buf_printf(&path, "%s/snapshots/%s", c->repo, commit);
        status = path_is_directory(path.data) ? hub_cache_check_inside(c, path.data, err) : FAIL(err, SC_E_IO, "the cache has nothing of commit %s", commit);
        if (status == SC_OK) walk(out, path.data, "", 0);
    }
    buf_release(&path);
    return status;
}

/* Every file chosen must be there with its size; names those that are not. */
static sc_status check_present(struct pull_plan *p, const struct hub_cache *c, sc_error *err)
{
    struct buf missing;
    size_t n = 0;
    sc_status status = SC_OK;
    buf_init(&missing, 0);
    for (size_t i = 0; i < p->n_files && status == SC_OK; i++) {
        struct hub_file *f = &p->files[i];
        char *path;
        struct stat st;
        status = hub_cache_find_file(&path, c, p->revision, f, err);
        bool is_there = status == SC_OK && path && stat(path, &st) == 0 && (f->size == SIZE_UNKNOWN || f->size == (uint64_t)st.st_size);
        if (is_there) f->size = (uint64_t)st.st_size;
        else if (++n <= 4) buf_printf(&missing, "%s%.80s", n > 1 ? ", " : "", f->path);
        mem_free(path);
    }
    if (status == SC_OK && n)
        status = FAIL(err, SC_E_IO, "%s is in the cache in part: %zu of %zu files are missing (%s%s), and offline nothing can be fetched; pull it once without --offline (and HF_HUB_OFFLINE)", p->source, n, p->n_files, missing.data, n > 4 ? ", ..." : "");
    buf_release(&missing);
    return status;
}

sc_status cache_plan(struct pull_plan *out, const struct hub_cache *c, const struct model_source *s, sc_error *err)
{
    char commit[41];
    struct buf what;
    buf_init(&what, 0);
    source_what(&what, s);
    *out = (struct pull_plan){ 0 };
    sc_status status = hub_cache_commit(commit, c, s->revision) ? SC_OK
                     : FAIL(err, SC_E_IO, "%s is not on this machine, neither in the store nor in huggingface_hub's cache, and offline nothing can be fetched: pull it once without --offline (and HF_HUB_OFFLINE)", what.data);
    if (status == SC_OK) status = list_cached(out, c, commit, err);
    if (status == SC_OK) {
        out->revision = mem_strdup(commit);
        status = plan_select_for(out, s, err);
    }
    if (status == SC_OK) status = check_present(out, c, err);
    buf_release(&what);
    if (status != SC_OK) plan_release(out);
    return status;
}

/* ---- for who only wants to use it ---------------------------------------------------------------------------------------------------- */

/* Whether a directory holds what a model needs, all inside the cache. */
static bool is_model_directory(const struct hub_cache *c, const char *directory)
{
    char *config = path_join(directory, "config.json");
    bool has_config = path_exists(config), has_weights = false, is_inside = true;
    DIR *d = has_config ? opendir(directory) : NULL;
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        char *path = path_join(directory, e->d_name);
        has_weights = has_weights || path_ends_with(e->d_name, ".safetensors");
        is_inside = is_inside && hub_cache_check_inside(c, path, NULL) == SC_OK;
        mem_free(path);
    }
    if (d) closedir(d);
    mem_free(config);
    return has_weights && is_inside;
}

char *cache_find_model(const struct model_source *s)
{
    struct hub_cache c;
    char commit[41];
    struct buf path;
    if (!s->repo || s->is_dataset || hub_cache_open(&c, false, s->repo, NULL) != SC_OK) return NULL;
    buf_init(&path, 0);
    bool is_found = hub_cache_commit(commit, &c, s->revision);
    if (is_found) {
        buf_printf(&path, "%s/snapshots/%s", c.repo, commit);
        is_found = path_is_directory(path.data) && hub_cache_check_inside(&c, path.data, NULL) == SC_OK;
    }
    if (is_found && s->file) {
        is_found = path_ends_with(s->file, ".gguf") && repo_path_check(s->file, strlen(s->file), NULL) == SC_OK;
        buf_printf(&path, "/%s", s->file);
        is_found = is_found && path_exists(path.data) && hub_cache_check_inside(&c, path.data, NULL) == SC_OK;
    } else if (is_found) is_found = is_model_directory(&c, path.data);
    hub_cache_release(&c);
    if (is_found) return path.data;
    buf_release(&path);
    return NULL;
}
