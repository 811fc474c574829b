/* push_lfs.c - sends large files to the store that the Hub names for each, in one piece or in parts, several at a time. The Hub's
 * token never goes there: the addresses carry their own permission. Which parts were taken is written down after each, so
 * that a push that was killed goes on with the next. Addresses expire; then new ones are asked for. Source: huggingface_hub lfs. */
#include "hub/push.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OBJECTS_AT_A_TIME = 100, ROUNDS = 3, REPLY_MAX = 64 << 20, STORE_REPLY_MAX = 1 << 20, MAX_THREADS = 16 };
static const char lfs_type[] = "application/vnd.git-lfs+json";

enum job_state { JOB_WAITS, JOB_DONE, JOB_REFUSED /* the address is not good any more */ };
struct job { struct push_file *file; struct lfs_action *action; size_t part; enum job_state state; };
struct upload {
    struct push *p;
    struct hub_env env;                  /* borrowed strings; without the token */
    pthread_mutex_t lock;
    struct job *job; size_t n, next;
    sc_status status; sc_error err;
    uint64_t total, sent; double began, last_event;
};

/* ---- events, from several threads ----------------------------------------------------------------------------------------------------- */

static void on_event(void *user, const char *json)
{
    struct upload *u = user;
    if (!u->p->config->on_event) return;
    pthread_mutex_lock(&u->lock);
    u->p->config->on_event(u->p->config->user, json);
    pthread_mutex_unlock(&u->lock);
}

static void tell_progress(struct upload *u, bool is_last)
{
    double now = clock_seconds();
    if (!u->p->config->on_event || (!is_last && now - u->last_event < 0.2)) return;
    u->last_event = now;
    json_t *event = json_pack("{s:s, s:s, s:I, s:I, s:f}", "event", "push", "file", u->p->repo, "bytes", (json_int_t)u->sent, "total", (json_int_t)u->total, "speed", (double)u->sent / (now - u->began + 1e-9));
    char *text = json_dumps(event, JSON_COMPACT);
    if (text) u->p->config->on_event(u->p->config->user, text);
    mem_free(text);
    json_decref(event);
}

static void on_sent(void *user, int64_t bytes)
{
    struct upload *u = user;
    pthread_mutex_lock(&u->lock);
    u->sent += (uint64_t)bytes;
    tell_progress(u, false);
    pthread_mutex_unlock(&u->lock);
}

/* ---- what is remembered ------------------------------------------------------------------------------------------------------------------ */

/* HOME/push/DIGEST OF THE REPOSITORY/OID.json; addresses in it let anyone send that part, so the directory is the user's alone. */
static char *state_path(const struct push *p, const char *oid)
{
    char digest[65];
    struct sha256 sha;
    struct buf b;
    sha256_begin(&sha);
    sha256_add(&sha, p->api, strlen(p->api));
    sha256_end(&sha, digest);
    buf_init(&b, 0);
    buf_printf(&b, "%s/push/%.16s", p->home, digest);
    if (path_make_directories(b.data, NULL) == SC_OK) (void)chmod(b.data, 0700);
    buf_printf(&b, "/%s.json", oid);
    return b.data;
}

/* Under the lock. What cannot be remembered is sent again, no more. */
static void remember(const struct push *p, const struct lfs_action *a)
{
    sc_text text;
    char *path = state_path(p, a->oid);
    lfs_state_write(&text, a);
    if (text.len) (void)file_write(path, text.data, text.len, NULL);
    sc_text_free(&text);
    mem_free(path);
}

/* With what a killed writing left of it. */
static void forget(const struct push *p, const char *oid)
{
    char *path = state_path(p, oid), *slash = strrchr(path, '/');
    *slash = 0;
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        if (strncmp(e->d_name, oid, strlen(oid)) == 0) (void)unlinkat(dirfd(d), e->d_name, 0);
    if (d) closedir(d);
    mem_free(path);
}

static bool is_secure(const struct push *p) { return strncmp(p->env.endpoint, "https:", 6) == 0; }

static bool recall(struct lfs_action *out, const struct push *p, const struct push_file *f)
{
    sc_text text = { 0 };
    char *path = state_path(p, f->sha256);
    bool is = file_read(&text, path, STORE_REPLY_MAX << 4, NULL) == SC_OK && lfs_state_read(out, text.data ? text.data : "", text.len, is_secure(p), NULL) == SC_OK;
    if (is && (out->size != f->size || strcmp(out->oid, f->sha256) != 0)) {
        lfs_action_release(out);
        is = false;
    }
    sc_text_free(&text);
    mem_free(path);
    return is;
}

/* ---- one piece ------------------------------------------------------------------------------------------------------------------------------ */

static bool is_done(const struct http_reply *r) { return r->status / 100 == 2; }
/* How stores say that an address has expired or an upload is gone. */
static bool is_stale(const struct http_reply *r) { return r->status == 400 || r->status == 403 || r->status == 404 || r->status == 410; }

static sc_status send_piece(struct upload *u, struct http *h, struct job *j, sc_error *err)
{
    const struct lfs_action *a = j->action;
    struct push_file *f = j->file;
    uint64_t from = a->part_bytes ? j->part * a->part_bytes : 0, left = f->size - from, bytes = a->part_bytes && a->part_bytes < left ? a->part_bytes : left;
    struct http_reply r = { 0 };
    struct http_body body = { .method = "PUT", .headers = a->part_bytes ? NULL : (const char *const *)a->header, .is_file = true, .from = from, .bytes = bytes, .on_sent = on_sent, .user = u };
    if (f->has_content) body = (struct http_body){ .method = "PUT", .headers = body.headers, .data = f->content.data + from, .len = (size_t)bytes };
    else body.fd = open(f->local, O_RDONLY | O_CLOEXEC);
    if (!f->has_content && body.fd < 0) return FAIL(err, SC_E_IO, "cannot read %s: %s", f->local, strerror(errno));
    const struct http_request q = { .url = a->part_bytes ? a->part[j->part] : a->href, .max_body = STORE_REPLY_MAX, .body = &body };
    sc_status status = http_fetch(h, &q, &r, err);
    if (!f->has_content) close(body.fd);
    if (status != SC_OK && push_file_changed(f)) status = push_file_refuse(f, err);
    if (status == SC_OK && is_done(&r) && a->part_bytes && !r.header[HTTP_ETAG]) status = FAIL(err, SC_E_FORMAT, "%s: the store took a part without naming it", f->path);
    else if (status == SC_OK && !is_done(&r) && !is_stale(&r)) status = push_refusal(u->p, &r, f->path, err);
    pthread_mutex_lock(&u->lock);
    j->state = status == SC_OK && is_done(&r) ? JOB_DONE : JOB_REFUSED;
    if (j->state == JOB_DONE) u->p->sent += bytes;
    if (j->state == JOB_DONE && a->part_bytes) {
        a->etag[j->part] = mem_strdup(r.header[HTTP_ETAG]);
        remember(u->p, a);
    }
    pthread_mutex_unlock(&u->lock);
    http_reply_release(&r);
    return status;
}

static void *work(void *user)
{
    struct upload *u = user;
    struct http h;
    sc_error err = { 0 };
    sc_status status = http_open(&h, &u->env, on_event, u, &err);
    while (status == SC_OK) {
        pthread_mutex_lock(&u->lock);
        struct job *j = u->status == SC_OK && u->next < u->n ? &u->job[u->next++] : NULL;
        pthread_mutex_unlock(&u->lock);
        if (!j) break;
        status = send_piece(u, &h, j, &err);
    }
    pthread_mutex_lock(&u->lock);
    if (status != SC_OK && u->status == SC_OK) {
        u->status = status;
        u->err = err;
    }
    pthread_mutex_unlock(&u->lock);
    http_close(&h);
    return NULL;
}

/* All jobs, several at a time; this thread works too. */
static sc_status run_jobs(struct upload *u, sc_error *err)
{
    pthread_t thread[MAX_THREADS];
    int n = 0;
    u->next = 0;
    u->status = SC_OK;
    for (int64_t i = 1; i < u->p->config->connections && i < MAX_THREADS && (size_t)i < u->n; i++)
        if (pthread_create(&thread[n], NULL, work, u) == 0) n++;
    work(u);
    for (int i = 0; i < n; i++) pthread_join(thread[i], NULL);
    if (u->status != SC_OK && err) *err = u->err;
    return u->status;
}

/* ---- the end of one file ---------------------------------------------------------------------------------------------------------------------- */

static sc_status post(struct push *p, struct http *h, const char *url, json_t *value, const char *what, bool *stale, sc_error *err)
{
    struct http_reply r = { 0 };
    sc_text text = { 0 };
    sc_status status = json_write(&text, value, false);
    struct http_body body = { .method = "POST", .type = lfs_type, .data = text.data, .len = text.len };
    const struct http_request q = { .url = url, .accept = lfs_type, .max_body = REPLY_MAX, .body = &body };
    if (status == SC_OK) status = http_fetch(h, &q, &r, err);
    *stale = status == SC_OK && is_stale(&r);
    if (status == SC_OK && !is_done(&r) && !*stale) status = push_refusal(p, &r, what, err);
    json_decref(value);
    sc_text_free(&text);
    http_reply_release(&r);
    return status;
}

/* Joins the parts; then the Hub looks at the object where it wants to. */
static sc_status complete(struct upload *u, struct push_file *f, struct lfs_action *a, sc_error *err)
{
    struct push *p = u->p;
    bool stale = false;
    if (push_file_changed(f)) return push_file_refuse(f, err);
    if (a->part_bytes) {
        struct http h;
        json_t *parts = json_array();
        for (size_t i = 0; i < a->n_parts; i++) json_array_append_new(parts, json_pack("{s:I, s:s}", "partNumber", (json_int_t)i + 1, "etag", a->etag[i]));
        json_t *value = json_pack("{s:s, s:o}", "oid", a->oid, "parts", parts);
        sc_status status = http_open(&h, &u->env, on_event, u, err);
        if (status == SC_OK) status = post(p, &h, a->href, value, f->path, &stale, err);
        else json_decref(value);
        http_close(&h);
        TRY(status);
        forget(p, a->oid);
    }
    if (!stale && a->verify) TRY(post(p, &p->http, a->verify, json_pack("{s:s, s:I}", "oid", a->oid, "size", (json_int_t)a->size), f->path, &stale, err));
    f->is_sent = !stale;
    return SC_OK;
}

/* Sends what actions say of their files; those that stay unsent have bad addresses. */
static sc_status run_actions(struct upload *u, struct push_file **file, struct lfs_action **action, size_t n, sc_error *err)
{
    size_t jobs = 0;
    for (size_t i = 0; i < n; i++) jobs += action[i]->part_bytes ? action[i]->n_parts : 1;
    u->job = mem_zero(jobs + 1, sizeof *u->job);
    u->n = 0;
    for (size_t i = 0; i < n; i++) {
        size_t parts = action[i]->part_bytes ? action[i]->n_parts : 1;
        for (size_t k = 0; k < parts; k++)
            if (!action[i]->part_bytes || !action[i]->etag[k]) u->job[u->n++] = (struct job){ file[i], action[i], k, JOB_WAITS };
    }
    sc_status status = run_jobs(u, err);
    for (size_t i = 0; status == SC_OK && i < n; i++) {
        bool is_whole = true;
        for (size_t k = 0; k < u->n; k++) is_whole &= u->job[k].action != action[i] || u->job[k].state == JOB_DONE;
        if (is_whole) status = complete(u, file[i], action[i], err);
        if (status == SC_OK && !file[i]->is_sent) forget(u->p, action[i]->oid);
    }
    mem_free(u->job);
    u->job = NULL;
    return status;
}

/* ---- rounds ------------------------------------------------------------------------------------------------------------------------------------ */

static bool is_pending(const struct push_file *f) { return f->is_lfs && !f->is_ignored && !f->is_same && !f->is_sent; }

/* What an earlier push left half sent. */
static sc_status go_on(struct upload *u, sc_error *err)
{
    struct push *p = u->p;
    sc_status status = SC_OK;
    for (size_t i = 0; status == SC_OK && i < p->files.n; i++) {
        struct lfs_action a;
        struct push_file *f = &p->files.at[i];
        if (!is_pending(f) || !recall(&a, p, f)) continue;
        size_t done = 0;
        for (size_t k = 0; k < a.n_parts; k++) done += a.etag[k] != NULL;
        http_note(&p->http, "%s: going on after the %zu of %zu parts already there", f->path, done, a.n_parts);
        u->sent += done * a.part_bytes;
        status = run_actions(u, &f, (struct lfs_action *[]){ &a }, 1, err);
        lfs_action_release(&a);
    }
    return status;
}

static sc_status ask_batch(struct lfs_batch *out, struct push *p, struct push_file **file, size_t n, sc_error *err)
{
    struct http_reply r = { 0 };
    sc_text text = { 0 };
    struct buf url;
    json_t *objects = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(objects, json_pack("{s:s, s:I}", "oid", file[i]->sha256, "size", (json_int_t)file[i]->size));
    json_t *wish = json_pack("{s:s, s:[s, s], s:o, s:s}", "operation", "upload", "transfers", "basic", "multipart", "objects", objects, "hash_algo", "sha256");
    if (!p->config->pull_request) json_object_set_new(wish, "ref", json_pack("{s:s}", "name", p->branch));
    buf_init(&url, 0);
    buf_printf(&url, "%s/%s%s.git/info/lfs/objects/batch", p->env.endpoint, p->is_dataset ? "datasets/" : "", p->repo);
    sc_status status = json_write(&text, wish, false);
    struct http_body body = { .method = "POST", .type = lfs_type, .data = text.data, .len = text.len };
    const struct http_request q = { .url = url.data, .accept = lfs_type, .max_body = REPLY_MAX, .body = &body };
    if (status == SC_OK) status = http_fetch(&p->http, &q, &r, err);
    if (status == SC_OK && !is_done(&r)) status = push_refusal(p, &r, "the large files", err);
    if (status == SC_OK) status = lfs_parse_batch(out, r.body.data ? r.body.data : "", r.body.len, is_secure(p), err);
    json_decref(wish);
    sc_text_free(&text);
    buf_release(&url);
    http_reply_release(&r);
    return status;
}

static struct lfs_action *action_of(const struct lfs_batch *b, const struct push_file *f)
{
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->at[i].oid, f->sha256) == 0) return &b->at[i];
    return NULL;
}

/* At most OBJECTS_AT_A_TIME different objects. */
static sc_status send_some(struct upload *u, struct push_file **file, size_t n, sc_error *err)
{
    struct lfs_batch batch = { 0 };
    struct lfs_action *action[OBJECTS_AT_A_TIME];
    size_t wanted = 0;
    TRY(ask_batch(&batch, u->p, file, n, err));
    sc_status status = SC_OK;
    for (size_t i = 0; status == SC_OK && i < n; i++) {
        struct lfs_action *a = action_of(&batch, file[i]);
        if (!a || a->size != file[i]->size) status = FAIL(err, SC_E_FORMAT, "the Hub does not say how the large file %s is to be sent", file[i]->path);
        else if (!a->href) file[i]->is_sent = true;
        else {
            action[wanted] = a;
            file[wanted++] = file[i];
        }
    }
    if (status == SC_OK && wanted) status = run_actions(u, file, action, wanted, err);
    lfs_batch_release(&batch);
    return status;
}

static bool is_first(const struct push_files *f, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (f->at[k].is_lfs && strcmp(f->at[k].sha256, f->at[i].sha256) == 0 && !f->at[k].is_ignored && !f->at[k].is_same) return false;
    return true;
}

static sc_status send_round(struct upload *u, sc_error *err)
{
    struct push_files *f = &u->p->files;
    struct push_file *some[OBJECTS_AT_A_TIME];
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        if (is_pending(&f->at[i]) && is_first(f, i)) some[n++] = &f->at[i];
        if (n == OBJECTS_AT_A_TIME || (n && i + 1 == f->n)) {
            TRY(send_some(u, some, n, err));
            n = 0;
        }
    }
    return SC_OK;
}

static size_t count_pending(struct push *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->files.n; i++) n += is_pending(&p->files.at[i]) && is_first(&p->files, i);
    return n;
}

sc_status push_large(struct push *p, sc_error *err)
{
    struct upload u = { .p = p, .env = p->env, .began = clock_seconds() };
    u.env.token = NULL;
    for (size_t i = 0; i < p->files.n; i++)
        if (is_pending(&p->files.at[i]) && is_first(&p->files, i)) u.total += p->files.at[i].size;
    if (!count_pending(p)) return SC_OK;
    pthread_mutex_init(&u.lock, NULL);
    sc_status status = go_on(&u, err);
    for (int round = 0; status == SC_OK && round < ROUNDS && count_pending(p); round++) {
        if (round) u.sent = 0;
        status = send_round(&u, err);
    }
    if (status == SC_OK && count_pending(p)) status = FAIL(err, SC_E_PEER, "the store of large files refuses what the Hub sent there, %d times; run the command again later", ROUNDS);
    if (status == SC_OK && u.sent) tell_progress(&u, true);
    pthread_mutex_destroy(&u.lock);
    return status;
}
