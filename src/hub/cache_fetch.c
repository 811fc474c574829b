/* cache_fetch.c - the files of a plan into the cache: several at once, large ones in parts, all over the same few
 * connections. What the cache already has is taken when its digest is right, whoever fetched it; each blob is fetched
 * under the lock that huggingface_hub takes for it. The first failure ends all. */
#include "hub/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { JOBS_MOST = 32 };

enum stage { STAGE_WAITING, STAGE_OPENING, STAGE_OPEN, STAGE_THERE };
struct fetch_file {
    enum stage stage;
    struct parts parts;        /* when it has several */
    size_t n_parts, left;      /* left: parts that no worker has ended yet */
    int lock;
};
struct fetch {
    struct pull_plan *plan;
    const struct hub_cache *cache;
    const struct hub_env *env;
    const struct http *http;   /* how; each worker has its own */
    struct transfer transfer;
    struct fetch_file *files;  /* as plan->files */
    pthread_mutex_t mutex, events;
    pthread_cond_t changed;
    size_t next_file, next_part;
    atomic_bool is_over;
    sc_status status;
    sc_error error;
    int blobs;                 /* directory */
};

/* ---- what is there ------------------------------------------------------------------------------------------------------------- */

/* Sets *is_right and the SHA-256 when the cache has the file whole; a wrong one is told, and fetched again. */
static sc_status look(bool *is_right, struct hub_file *f, const struct hub_cache *c, const char *commit, const struct http *h, sc_error *err)
{
    char *path, sha256[65], git[41];
    struct stat st;
    sc_error why = { 0 };
    *is_right = false;
    TRY(hub_cache_find_file(&path, c, commit, f, err));
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    mem_free(path);
    if (fd < 0) return SC_OK;
    bool has_size = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == f->size;
    if (!has_size) (void)FAIL(&why, SC_E_FORMAT, "%s in the cache has another size than %llu bytes", f->name, (unsigned long long)f->size);
    sc_status status = has_size ? digest_file(fd, f->size, sha256, f->git_sha1[0] ? git : NULL, &why) : SC_E_FORMAT;
    if (status == SC_OK) status = download_compare(f, sha256, git, &why);
    close(fd);
    *is_right = status == SC_OK;
    if (*is_right) memcpy(f->sha256, sha256, sizeof sha256);
    else if (!h) return FAIL(err, SC_E_FORMAT, "the copy of %s in the cache is damaged, and offline it cannot be fetched again", f->path);
    else http_note(h, "the copy of %s in the cache is damaged; fetching it again", f->path);
    return SC_OK;
}

/* ---- workers -------------------------------------------------------------------------------------------------------------------- */

/* Events of all workers, one at a time. */
static void pass_event(void *user, const char *json)
{
    struct fetch *x = user;
    pthread_mutex_lock(&x->events);
    x->http->on_event(x->http->user, json);
    pthread_mutex_unlock(&x->events);
}

static void give_up(struct fetch *x, const sc_error *why)
{
    pthread_mutex_lock(&x->mutex);
    if (x->status == SC_OK) {
        x->status = why->status;
        x->error = *why;
    }
    atomic_store(&x->is_over, true);
    pthread_cond_broadcast(&x->changed);
    pthread_mutex_unlock(&x->mutex);
}

/* The next part of the next file. */
static bool take(struct fetch *x, size_t *file, size_t *part)
{
    pthread_mutex_lock(&x->mutex);
    bool has_more = !atomic_load(&x->is_over) && x->next_file < x->plan->n_files;
    *file = x->next_file;
    *part = x->next_part;
    if (has_more && ++x->next_part == x->files[x->next_file].n_parts) {
        x->next_file++;
        x->next_part = 0;
    }
    pthread_mutex_unlock(&x->mutex);
    return has_more;
}

/* Under the lock: what an earlier run began and another client ended. */
static void drop_partial(const struct fetch *x, const struct hub_file *f)
{
    struct buf name;
    buf_init(&name, 0);
    download_partial_name(&name, f);
    (void)unlinkat(x->blobs, name.data, 0);
    buf_release(&name);
}

/* The first to come locks the file, looks whether it is there by now, and opens it for all. */
static sc_status open_file(struct fetch *x, size_t i, struct http *h, sc_error *err)
{
    struct fetch_file *s = &x->files[i];
    struct hub_file *f = &x->plan->files[i];
    bool is_there = false;
    TRY(hub_cache_lock(&s->lock, x->cache, f->blob, h, err));
    TRY(look(&is_there, f, x->cache, x->plan->revision, h, err));
    if (is_there) {
        if (f->is_new) drop_partial(x, f);
        transfer_skip(&x->transfer, f->size);
    } else {
        (void)unlinkat(x->blobs, f->blob, 0);            /* damaged, or a link to nothing */
        if (s->n_parts > 1) {
            TRY(parts_open(&s->parts, x->blobs, f, err));
            transfer_skip(&x->transfer, parts_done(&s->parts));
        }
    }
    pthread_mutex_lock(&x->mutex);
    s->stage = is_there ? STAGE_THERE : STAGE_OPEN;
    pthread_cond_broadcast(&x->changed);
    pthread_mutex_unlock(&x->mutex);
    return SC_OK;
}

static sc_status enter(struct fetch *x, size_t i, struct http *h, sc_error *err)
{
    struct fetch_file *s = &x->files[i];
    pthread_mutex_lock(&x->mutex);
    while (s->stage == STAGE_OPENING && !atomic_load(&x->is_over)) pthread_cond_wait(&x->changed, &x->mutex);
    bool is_first = s->stage == STAGE_WAITING, is_over = atomic_load(&x->is_over);
    if (is_first) s->stage = STAGE_OPENING;
    pthread_mutex_unlock(&x->mutex);
    if (is_over) return FAIL(err, SC_E_CANCELLED, "stopped, because another file failed");
    return is_first ? open_file(x, i, h, err) : SC_OK;
}

static void close_file(struct fetch_file *s)
{
    if (s->n_parts > 1) parts_close(&s->parts);
    if (s->lock >= 0) close(s->lock);
    s->lock = -1;
}

static sc_status work(struct fetch *x, size_t i, size_t part, struct http *h, sc_error *err)
{
    struct fetch_file *s = &x->files[i];
    TRY(enter(x, i, h, err));
    if (s->stage == STAGE_OPEN) TRY(s->n_parts > 1 ? parts_fetch(&s->parts, part, h, err) : download_file(h, x->blobs, &x->plan->files[i], err));
    pthread_mutex_lock(&x->mutex);
    bool is_last = --s->left == 0;
    pthread_mutex_unlock(&x->mutex);
    if (!is_last) return SC_OK;
    sc_status status = s->stage == STAGE_OPEN && s->n_parts > 1 ? parts_finish(&s->parts, h, err) : SC_OK;
    close_file(s);
    return status;
}

static void *worker_main(void *user)
{
    struct fetch *x = user;
    struct http h;
    sc_error why = { 0 };
    size_t file, part;
    if (http_open(&h, x->env, x->http->on_event ? pass_event : NULL, x, &why) != SC_OK) {
        give_up(x, &why);
        return NULL;
    }
    h.was_answered = x->http->was_answered;
    h.transfer = &x->transfer;
    h.is_over = &x->is_over;
    while (take(x, &file, &part))
        if (work(x, file, part, &h, &why) != SC_OK) give_up(x, &why);
    http_close(&h);
    return NULL;
}

/* ---- all --------------------------------------------------------------------------------------------------------------------------- */

static void begin_files(struct fetch *x)
{
    x->files = mem_zero(x->plan->n_files + 1, sizeof *x->files);
    for (size_t i = 0; i < x->plan->n_files; i++) {
        struct fetch_file *s = &x->files[i];
        s->lock = -1;
        s->parts.fd = -1;
        s->left = s->n_parts = parts_count(x->plan->files[i].size);
        x->transfer.total += x->plan->files[i].size;
    }
    x->transfer.started = clock_seconds();
}

/* All that is missing must fit before the first byte is fetched. */
static sc_status check_room(const struct fetch *x, sc_error *err)
{
    uint64_t need = 0;
    struct buf name;
    buf_init(&name, 0);
    for (size_t i = 0; i < x->plan->n_files; i++) {
        const struct hub_file *f = &x->plan->files[i];
        struct stat st;
        if (fstatat(x->blobs, f->blob, &st, 0) == 0) continue;
        download_partial_name(&name, f);
        uint64_t there = fstatat(x->blobs, name.data, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
        if (there < f->size && __builtin_add_overflow(need, f->size - there, &need)) need = UINT64_MAX / 2;
    }
    buf_release(&name);
    return space_check(x->blobs, need, err);
}

static void run_workers(struct fetch *x, int jobs)
{
    pthread_t thread[JOBS_MOST];
    int n = 0;
    while (n + 1 < jobs && n + 1 < JOBS_MOST && pthread_create(&thread[n], NULL, worker_main, x) == 0) n++;
    (void)worker_main(x);
    for (int i = 0; i < n; i++) pthread_join(thread[i], NULL);
}

/* What another client fetched while this one waited for the lock is not ours. The same content under another name may
 * have been fetched by this pull, though. */
static void drop_claims(struct fetch *x)
{
    for (size_t i = 0; i < x->plan->n_files; i++) {
        struct hub_file *f = &x->plan->files[i];
        bool is_fetched = false;
        if (x->files[i].stage != STAGE_THERE || !f->is_new) continue;
        for (size_t k = 0; k < x->plan->n_files && !is_fetched; k++) is_fetched = x->files[k].stage == STAGE_OPEN && strcmp(x->plan->files[k].blob, f->blob) == 0;
        f->is_ours = is_fetched;
    }
}

static sc_status fetch_all(struct fetch *x, int jobs, sc_error *err)
{
    char *blobs;
    TRY(hub_cache_make(&blobs, x->cache, "blobs", err));
    x->blobs = open(blobs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sc_status status = x->blobs < 0 ? FAIL(err, SC_E_IO, "cannot open %s: %s", blobs, strerror(errno)) : SC_OK;
    mem_free(blobs);
    if (status == SC_OK) status = check_room(x, err);
    if (status != SC_OK) {
        if (x->blobs >= 0) close(x->blobs);
        return status;
    }
    begin_files(x);
    pthread_mutex_init(&x->mutex, NULL);
    pthread_mutex_init(&x->events, NULL);
    pthread_cond_init(&x->changed, NULL);
    run_workers(x, jobs);
    drop_claims(x);
    for (size_t i = 0; i < x->plan->n_files; i++) close_file(&x->files[i]);
    if (x->status != SC_OK && err) *err = x->error;
    pthread_cond_destroy(&x->changed);
    pthread_mutex_destroy(&x->events);
    pthread_mutex_destroy(&x->mutex);
    mem_free(x->files);
    close(x->blobs);
    return x->status;
}

/* Whether the cache has all files, right: then nothing is written there, which may be shared by readers alone. */
static sc_status look_at_all(bool *has_all, struct pull_plan *p, const struct hub_cache *c, const struct http *h, sc_error *err)
{
    *has_all = true;
    for (size_t i = 0; i < p->n_files && *has_all; i++) {
        char *path;
        TRY(hub_cache_find_file(&path, c, p->revision, &p->files[i], err));
        *has_all = path != NULL;
        mem_free(path);
    }
    for (size_t i = 0; i < p->n_files && *has_all; i++) TRY(look(has_all, &p->files[i], c, p->revision, h, err));
    return SC_OK;
}

sc_status cache_fetch(struct pull_plan *p, const struct hub_cache *c, const struct hub_env *env, const struct http *h, int jobs, sc_error *err)
{
    struct fetch x = { .plan = p, .cache = c, .env = env, .http = h };
    bool has_all;
    TRY(look_at_all(&has_all, p, c, h, err));
    if (has_all) return SC_OK;
    return h ? fetch_all(&x, jobs < 1 ? 1 : jobs, err) : FAIL(err, SC_E_IO, "the files of %s are no longer in the cache", p->source);
}
