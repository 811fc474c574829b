/* store.c - the models on this machine: HOME/models/<name>/ holds a model's files and a manifest.json that says what
 * they are and where they come from; HOME/tmp/<name>/ is where one grows. A model is in models/ complete or not at all.
 * What comes from the Hub lies in huggingface_hub's cache, and the files here are links to it. */
#include "hub/hub.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MANIFEST_MAX = 16 << 20, TREE_DEPTH = 8 };

/* ---- where things are -------------------------------------------------------------------------------------------------- */

sc_status store_find_home(char **out, const char *home, sc_error *err)
{
    sc_text text = { 0 };
    *out = NULL;
    if (home && *home) {
        *out = mem_strdup(home);
        return SC_OK;
    }
    TRY(sc_store_home(&text, err));
    *out = mem_strdup(text.data);
    sc_text_free(&text);
    return SC_OK;
}

static char *directory_of(const char *home, const char *part, const char *name)
{
    char *encoded = name_encode(name);
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "%s/%s/%s", home, part, encoded);
    mem_free(encoded);
    return b.data;
}

char *store_directory(const char *home, const char *name) { return directory_of(home, "models", name); }
char *store_work_directory(const char *home, const char *name) { return directory_of(home, "tmp", name); }

/* ---- manifests ----------------------------------------------------------------------------------------------------------- */

void manifest_release(struct manifest *m)
{
    for (size_t i = 0; i < m->n_files; i++) {
        mem_free(m->files[i].name);
        mem_free(m->files[i].path);
    }
    mem_free(m->files);
    mem_free(m->cache);
    mem_free(m->name);
    mem_free(m->source);
    mem_free(m->revision);
    mem_free(m->model);
    mem_free(m->pulled);
    *m = (struct manifest){ 0 };
}

static sc_status read_text(char **out, const json_t *object, const char *key, const char *what, sc_error *err)
{
    const char *text;
    TRY(json_opt_string(&text, object, key, "", what, err));
    *out = mem_strdup(text);
    return SC_OK;
}

static sc_status read_file_row(struct hub_file *f, const json_t *row, const char *what, sc_error *err)
{
    const char *name, *sha256;
    int64_t bytes;
    TRY(json_opt_string(&name, row, "name", "", what, err));
    TRY(json_opt_string(&sha256, row, "sha256", "", what, err));
    TRY(json_need_int(&bytes, row, "bytes", 0, INT64_MAX, what, err));
    TRY(file_name_check(name, strlen(name), err));
    if (!hex_is_valid(sha256, 64)) return FAIL(err, SC_E_FORMAT, "%s: \"sha256\" of %s is not 64 hex digits", what, name);
    *f = (struct hub_file){ .name = mem_strdup(name), .size = (uint64_t)bytes };
    memcpy(f->sha256, sha256, 65);
    return SC_OK;
}

/* Where a file lies in the cache: both members or neither. */
static sc_status read_cache_row(struct hub_file *f, const json_t *row, const char *what, sc_error *err)
{
    const char *path, *blob;
    TRY(json_opt_string(&path, row, "path", "", what, err));
    TRY(json_opt_string(&blob, row, "blob", "", what, err));
    TRY(json_opt_bool(&f->is_ours, row, "fetched", false, what, err));
    TRY(repo_path_check(path, strlen(path), err));
    if (!hex_is_valid(blob, 64) && !hex_is_valid(blob, 40)) return FAIL(err, SC_E_FORMAT, "%s: \"blob\" of %s is no digest", what, path);
    f->path = mem_strdup(path);
    memcpy(f->blob, blob, strlen(blob) + 1);
    return SC_OK;
}

/* A repository's folder of a cache: absolute, and named as one. */
static bool is_cache_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    return path[0] == '/' && !strstr(path, "/../") && slash && (strncmp(slash, "/models--", 9) == 0 || strncmp(slash, "/datasets--", 11) == 0);
}

static sc_status read_manifest_json(struct manifest *out, const json_t *root, const char *what, sc_error *err)
{
    const json_t *files = json_object_get(root, "files"), *row;
    size_t i;
    TRY(read_text(&out->name, root, "name", what, err));
    TRY(read_text(&out->source, root, "source", what, err));
    TRY(read_text(&out->revision, root, "revision", what, err));
    TRY(read_text(&out->model, root, "model", what, err));
    TRY(read_text(&out->pulled, root, "pulled", what, err));
    TRY(read_text(&out->cache, root, "cache", what, err));
    if (strcmp(out->model, ".") != 0) TRY(file_name_check(out->model, strlen(out->model), err));
    if (*out->cache && (!is_cache_folder(out->cache) || !hex_is_valid(out->revision, 40))) return FAIL(err, SC_E_FORMAT, "%s: \"cache\" is no repository of a cache, or \"revision\" no commit", what);
    if (!json_is_array(files)) return FAIL(err, SC_E_FORMAT, "%s: \"files\" is missing", what);
    out->files = mem_zero(json_array_size(files) + 1, sizeof *out->files);
    json_array_foreach(files, i, row) {
        TRY(read_file_row(&out->files[i], row, what, err));
        out->n_files++;
        out->bytes += out->files[i].size;
        if (*out->cache) TRY(read_cache_row(&out->files[i], row, what, err));
    }
    return SC_OK;
}

sc_status manifest_parse(struct manifest *out, const char *text, size_t len, const char *what, sc_error *err)
{
    json_t *root = NULL;
    *out = (struct manifest){ 0 };
    sc_status status = json_read(&root, text, len, what, err);
    if (status == SC_OK) status = read_manifest_json(out, root, what, err);
    json_decref(root);
    if (status != SC_OK) manifest_release(out);
    return status;
}

sc_status manifest_read(struct manifest *out, const char *directory, sc_error *err)
{
    char *path = path_join(directory, "manifest.json");
    sc_text text = { 0 };
    *out = (struct manifest){ 0 };
    sc_status status = file_read(&text, path, MANIFEST_MAX, err);
    if (status == SC_OK) status = manifest_parse(out, text.data ? text.data : "", text.len, path, err);
    sc_text_free(&text);
    mem_free(path);
    return status;
}

sc_status manifest_write(const struct manifest *m, const char *directory, sc_error *err)
{
    json_t *files = json_array();
    bool is_cached = m->cache && *m->cache;
    for (size_t i = 0; i < m->n_files; i++) {
        const struct hub_file *f = &m->files[i];
        json_t *row = json_pack("{s:s, s:I, s:s}", "name", f->name, "bytes", (json_int_t)f->size, "sha256", f->sha256);
        if (row && is_cached) json_object_update_new(row, json_pack("{s:s, s:s, s:b}", "path", f->path, "blob", f->blob, "fetched", (int)f->is_ours));
        json_array_append_new(files, row);
    }
    json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o}", "name", m->name, "source", m->source, "revision", m->revision, "model", m->model,
                             "pulled", m->pulled, "bytes", (json_int_t)m->bytes, "files", files);
    if (!root) return FAIL(err, SC_E_FORMAT, "the source of %s cannot be written down: it is not valid UTF-8", m->name);
    if (is_cached) json_object_set_new(root, "cache", json_string(m->cache));
    sc_text text = { 0 };
    char *path = path_join(directory, "manifest.json");
    sc_status status = json_write(&text, root, true);
    if (status == SC_OK) status = file_write(path, text.data, text.len, err);
    sc_text_free(&text);
    mem_free(path);
    json_decref(root);
    return status;
}

sc_status manifest_verify(const struct manifest *m, const char *directory, sc_error *err)
{
    sc_status status = SC_OK;
    for (size_t i = 0; i < m->n_files && status == SC_OK; i++) {
        char *path = path_join(directory, m->files[i].name);
        struct stat st;
        if (stat(path, &st) != 0) status = FAIL(err, SC_E_IO, "%s is missing", path);
        else if ((uint64_t)st.st_size != m->files[i].size)
            status = FAIL(err, SC_E_IO, "%s has %lld bytes, expected %llu", path, (long long)st.st_size, (unsigned long long)m->files[i].size);
        mem_free(path);
    }
    return status;
}

/* ---- looking -------------------------------------------------------------------------------------------------------------- */

sc_status store_walk(const char *home, void (*visit)(void *user, const struct manifest *m, const char *directory), void *user, sc_error *err)
{
    char *models = path_join(home, "models");
    DIR *d = opendir(models);
    sc_status status = SC_OK;
    if (!d && errno != ENOENT) status = FAIL(err, SC_E_IO, "cannot read %s: %s", models, strerror(errno));
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        char *name = name_decode(e->d_name), *directory = path_join(models, e->d_name);
        struct manifest m;
        if (name && manifest_read(&m, directory, NULL) == SC_OK) {
            /* The directory is what `rm` and `show` find a model by. */
            mem_free(m.name);
            m.name = mem_strdup(name);
            visit(user, &m, directory);
            manifest_release(&m);
        }
        mem_free(name);
        mem_free(directory);
    }
    if (d) closedir(d);
    mem_free(models);
    return status;
}

static char *model_path(const struct manifest *m, const char *directory)
{
    return strcmp(m->model, ".") == 0 ? mem_strdup(directory) : path_join(directory, m->model);
}

char *store_model_path(const char *home, const char *name)
{
    struct manifest m;
    char *directory = store_directory(home, name), *path = NULL;
    if (manifest_read(&m, directory, NULL) == SC_OK) {
        path = model_path(&m, directory);
        manifest_release(&m);
    }
    mem_free(directory);
    return path;
}

/* Keeps the array sorted by name. */
static void put_in_order(json_t *list, json_t *row)
{
    size_t at = 0;
    while (row && at < json_array_size(list) && strcmp(json_string_value(json_object_get(json_array_get(list, at), "name")), json_string_value(json_object_get(row, "name"))) < 0) at++;
    if (row) json_array_insert_new(list, at, row);
}

static void list_visit(void *user, const struct manifest *m, const char *directory)
{
    json_t *list = user;
    char *path = model_path(m, directory);
    json_t *row = json_pack("{s:s, s:s, s:I, s:s, s:s, s:s}", "name", m->name, "path", path, "bytes", (json_int_t)m->bytes,
                            "source", m->source, "revision", m->revision, "pulled", m->pulled);
    put_in_order(list, row);
    mem_free(path);
}

struct aliases { json_t *list; const char *home; };

static void alias_visit(void *user, const char *name, const char *target)
{
    const struct aliases *a = user;
    sc_text path = { 0 };
    bool is_there = sc_store_resolve(&path, name, a->home, NULL) == SC_OK;
    put_in_order(a->list, json_pack("{s:s, s:s, s:I, s:s, s:b}", "name", name, "path", is_there ? path.data : "", "bytes", (json_int_t)0, "alias_of", target, "gone", !is_there));
    sc_text_free(&path);
}

sc_status sc_store_list(sc_text *json, const char *home, sc_error *err)
{
    char *found = NULL;
    *json = (sc_text){ 0 };
    TRY(store_find_home(&found, home, err));
    json_t *list = json_array();
    sc_status status = store_walk(found, list_visit, list, err);
    alias_walk(found, alias_visit, &(struct aliases){ list, found });
    if (status == SC_OK) status = json_write(json, list, false);
    json_decref(list);
    mem_free(found);
    return status;
}

/* ---- resolve ------------------------------------------------------------------------------------------------------------------ */

/* By the name it is stored or cached under. */
static char *find_named(const char *name, const char *home)
{
    struct model_source s = { 0 };
    const struct builtin_model *builtin = builtin_find(name);
    char *path = store_model_path(home, builtin ? builtin->name : name);
    if (!path && source_parse(&s, name, home, NULL) == SC_OK && s.kind == SOURCE_HUB) path = cache_find_model(&s);
    source_release(&s);
    return path;
}

static char *find_model(const char *name, const char *home)
{
    if (path_exists(name)) return mem_strdup(name);
    if (name_check(name, NULL) != SC_OK) return NULL;
    char *target = alias_target(home, name), *path = NULL;
    if (!target) return find_named(name, home);
    if (target[0] != '/') path = find_named(target, home);
    else if (path_exists(target)) path = mem_strdup(target);
    mem_free(target);
    return path;
}

/* Says how to get what is not here. */
static sc_status not_stored(const char *name, const char *home, sc_error *err)
{
    char quoted[120], *target = alias_target(home, name);
    struct model_source s = { 0 };
    if (target) {
        sc_status status = FAIL(err, SC_E_IO, "%s is an alias of %.200s, which is gone; bring that back, or give the name to another model with `starchat alias %s MODEL`", name, target, name);
        mem_free(target);
        return status;
    }
    error_quote(quoted, sizeof quoted, name, strlen(name));
    bool can_pull = source_parse(&s, name, home, NULL) == SC_OK;
    source_release(&s);
    if (can_pull) return FAIL(err, SC_E_IO, "the model %s is not on this machine: get it with `starchat pull %s`", quoted, quoted);
    char *near = name_nearest(name, home);
    sc_status status = near
        ? FAIL(err, SC_E_ARGUMENT, "no model \"%s\": no such path, nothing stored under this name; did you mean %s (`starchat pull %s`)?", quoted, near, near)
        : FAIL(err, SC_E_ARGUMENT, "no model \"%s\": no such path, nothing stored under this name; get one with `starchat pull NAME`, such as %s", quoted, builtin_models[0].name);
    mem_free(near);
    return status;
}

sc_status sc_store_resolve(sc_text *path, const char *name, const char *home, sc_error *err)
{
    char *store = NULL;
    *path = (sc_text){ 0 };
    if (!name || !*name) return FAIL(err, SC_E_ARGUMENT, "the name of the model is empty");
    TRY(store_find_home(&store, home, err));
    char *found = find_model(name, store);
    sc_status status = found ? SC_OK : not_stored(name, store, err);
    if (found) *path = (sc_text){ found, strlen(found) };
    mem_free(store);
    return status;
}

/* ---- remove ------------------------------------------------------------------------------------------------------------------- */

static sc_status tree_remove_at(int parent, const char *name, int depth, sc_error *err)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT || ((errno == ENOTDIR || errno == ELOOP) && unlinkat(parent, name, 0) == 0)) return SC_OK;
        return FAIL(err, SC_E_IO, "cannot remove %s: %s", name, strerror(errno));
    }
    DIR *d = fdopendir(fd);
    sc_status status = SC_OK;
    if (!d) {
        close(fd);
        return FAIL(err, SC_E_IO, "cannot read %s: %s", name, strerror(errno));
    }
    if (depth > TREE_DEPTH) status = FAIL(err, SC_E_IO, "%s is nested deeper than anything this program writes; remove it by hand", name);
    for (const struct dirent *e; status == SC_OK && (e = readdir(d)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) status = tree_remove_at(dirfd(d), e->d_name, depth + 1, err);
    closedir(d);
    if (status == SC_OK && unlinkat(parent, name, AT_REMOVEDIR) != 0) status = FAIL(err, SC_E_IO, "cannot remove %s: %s", name, strerror(errno));
    return status;
}

sc_status tree_remove(const char *path, sc_error *err) { return tree_remove_at(AT_FDCWD, path, 0, err); }

static sc_status not_removable(const char *name, const char *home, sc_error *err)
{
    char quoted[120];
    error_quote(quoted, sizeof quoted, name, strlen(name));
    char *near = name_nearest(name, home), *near_path = near ? store_model_path(home, near) : NULL;
    sc_status status = near_path ? FAIL(err, SC_E_ARGUMENT, "no model %s is stored here; did you mean %s?", quoted, near)
                                 : FAIL(err, SC_E_ARGUMENT, "no model %s is stored here; `starchat list` shows what is", quoted);
    mem_free(near);
    mem_free(near_path);
    return status;
}

/* Fails while another process fetches into this directory. */
static sc_status require_idle(const char *work, const char *name, sc_error *err)
{
    int fd = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return SC_OK;
    bool is_busy = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return is_busy ? FAIL(err, SC_E_IO, "%s is being fetched by another process; stop that first", name) : SC_OK;
}

void store_sweep(const char *home)
{
    char *tmp = path_join(home, "tmp");
    DIR *d = opendir(tmp);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;)
        if (strncmp(e->d_name, ".removed-", 9) == 0) (void)tree_remove_at(dirfd(d), e->d_name, 0, NULL);
    if (d) closedir(d);
    mem_free(tmp);
}

/* Out of sight in one step, then piece by piece, so that a kill never leaves half a model under its name. */
static sc_status remove_model(const char *home, const char *directory, sc_error *err)
{
    uint64_t random;
    struct buf trash;
    char *tmp = path_join(home, "tmp");
    system_random(&random, sizeof random);
    buf_init(&trash, 0);
    buf_printf(&trash, "%s/.removed-%016llx", tmp, (unsigned long long)random);
    sc_status status = path_make_directories(tmp, err);
    if (status == SC_OK && rename(directory, trash.data) != 0) status = FAIL(err, SC_E_IO, "cannot remove %s: %s", directory, strerror(errno));
    if (status == SC_OK) status = tree_remove(trash.data, err);
    store_sweep(home);
    buf_release(&trash);
    mem_free(tmp);
    return status;
}

struct naming { const char *home, *target; };

static void forget_alias(void *user, const char *name, const char *target)
{
    const struct naming *n = user;
    if (strcmp(target, n->target) == 0) (void)alias_remove(n->home, name);
}

sc_status store_drop_work(const char *home, const char *work, bool is_dry, uint64_t *freed, sc_error *err)
{
    struct pull_plan blobs = { 0 };
    struct buf repo;
    sc_status status = SC_OK;
    buf_init(&repo, 0);
    if (fetched_find(&repo, &blobs, work) && is_cache_folder(repo.data)) {
        struct giving_back g = { .repo = repo.data, .commit = "", .files = blobs.files, .n = blobs.n_files, .home = home, .work = work, .is_dry = is_dry };
        status = cache_release(&g, err);
        *freed += g.freed;
    }
    plan_release(&blobs);
    buf_release(&repo);
    return status == SC_OK && !is_dry ? tree_remove(work, err) : status;
}

/* The links, then what they lead to, where nothing else uses it. */
static sc_status remove_stored(const char *home, const char *directory, sc_error *err)
{
    struct manifest m = { 0 };
    bool has_manifest = manifest_read(&m, directory, NULL) == SC_OK;
    sc_status status = remove_model(home, directory, err);
    if (status == SC_OK && has_manifest && *m.cache) {
        struct giving_back g = { .repo = m.cache, .commit = m.revision, .files = m.files, .n = m.n_files, .home = home };
        status = cache_release(&g, err);
    }
    if (has_manifest) manifest_release(&m);
    return status;
}

sc_status sc_store_remove(const char *name, const char *home, sc_error *err)
{
    char *store = NULL;
    if (!name) return FAIL(err, SC_E_ARGUMENT, "the name of the model is empty");
    TRY(name_check(name, err));
    TRY(store_find_home(&store, home, err));
    const struct builtin_model *builtin = builtin_find(name);
    if (builtin) name = builtin->name;
    char *directory = store_directory(store, name), *work = store_work_directory(store, name);
    bool has_model = path_is_directory(directory), has_work = path_is_directory(work), was_alias = !has_model && alias_remove(store, name);
    sc_status status = was_alias ? SC_OK : has_model || has_work ? require_idle(work, name, err) : not_removable(name, store, err);
    uint64_t freed = 0;
    if (status == SC_OK && has_work) status = store_drop_work(store, work, false, &freed, err);    /* first: what its notes name the model keeps until it goes */
    if (status == SC_OK && has_model) status = remove_stored(store, directory, err);
    if (status == SC_OK && has_model) alias_walk(store, forget_alias, &(struct naming){ store, name });
    mem_free(directory);
    mem_free(work);
    mem_free(store);
    return status;
}
