/* server.c - opening, running and stopping; the log. Threads: the loop (the caller's), the engine, two that read requests, one
 * for the conversations of the page. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "serve/moderate.h"

enum { PARALLEL = 32, DEFAULT_CONTEXT = 8192, READERS = 2, STOP_WRITE_SECONDS = 2 };

/* ---- log ------------------------------------------------------------------------------------------------------------------------- */

static int level_of(const char *name)
{
    static const char *const levels[] = { "debug", "info", "warn", "error", "none" };
    int i = 0;
    while (i < 4 && strcmp(levels[i], name) != 0) i++;
    return i;
}

bool server_logs(const struct sc_server *s, const char *level) { return s->c.on_log && level_of(level) >= level_of(s->c.log_level ? s->c.log_level : "info"); }

void server_log(struct sc_server *s, const char *level, const char *event, const char *members, ...)
{
    struct buf line;
    struct timespec now;
    struct tm tm;
    char stamp[40];
    va_list ap;
    if (!server_logs(s, level)) return;
    buf_init(&line, 0);
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(&line, "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"event\":\"%s\"", stamp, now.tv_nsec / 1000000, level, event);
    if (members) {
        char text[1024];
        va_start(ap, members);
        vsnprintf(text, sizeof text, members, ap);
        va_end(ap);
        buf_puts(&line, text);
    }
    buf_puts(&line, "}");
    s->c.on_log(s->c.user, line.data);
    buf_release(&line);
}

void server_log_text(struct sc_server *s, const char *level, const char *event, const char *members, const char *key, const char *text, size_t len)
{
    enum { TEXT_MAX = 100 };
    struct buf whole, quoted;
    if (!server_logs(s, level)) return;
    buf_init(&whole, 0);
    buf_init(&quoted, 0);
    utf8_repair(&whole, text, len < TEXT_MAX ? len : TEXT_MAX);
    buf_put_json_string(&quoted, whole.data ? whole.data : "", whole.len);
    server_log(s, level, event, ",%s\"%s\":%s", members, key, quoted.data);
    buf_release(&whole);
    buf_release(&quoted);
}

/* ---- models ------------------------------------------------------------------------------------------------------------------------ */

static void add_model(struct sc_server *s, char *name, sc_model *m, bool is_adapter)
{
    s->models[s->n_models++] = (struct served_model){ name, m, is_adapter, is_adapter };
}

/* The last part of a path, without ".gguf". */
static char *short_name(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    size_t from = n;
    while (from > 0 && path[from - 1] != '/') from--;
    if (n - from > 5 && memcmp(path + n - 5, ".gguf", 5) == 0) n -= 5;
    return mem_strndup(path + from, n - from);
}

/* "NAME=DIRECTORY", or a directory whose last part is the name. */
static sc_status add_adapter(struct sc_server *s, const char *item, size_t len, sc_error *err)
{
    const char *equals = memchr(item, '=', len);
    char *path = equals ? mem_strndup(equals + 1, len - (size_t)(equals + 1 - item)) : mem_strndup(item, len);
    char *name = equals ? mem_strndup(item, (size_t)(equals - item)) : short_name(path);
    sc_model *m = NULL;
    sc_status status = SC_OK;
    if (s->n_models == MOST_VARIANTS) status = FAIL(err, SC_E_ARGUMENT, "there are more than %d adapters", MOST_VARIANTS - 1);
    else if (!*name || server_model(s, name)) status = FAIL(err, SC_E_ARGUMENT, "the adapter name \"%s\" is empty or already taken; write NAME=DIRECTORY", name);
    else status = sc_model_open_variant(&m, s->models[0].model, path, s->c.chat_template ? s->c.chat_template : "", err);
    if (status == SC_OK) add_model(s, name, m, true);
    else mem_free(name);
    mem_free(path);
    return status;
}

/* Calls `each` for each part between commas. */
static sc_status each_item(struct sc_server *s, const char *list, sc_status (*each)(struct sc_server *s, const char *item, size_t len, sc_error *err), sc_error *err)
{
    for (const char *at = list; at && *at;) {
        size_t n = strcspn(at, ",");
        if (n) TRY(each(s, at, n, err));
        at += n + (at[n] == ',');
    }
    return SC_OK;
}

static sc_status add_alias(struct sc_server *s, const char *item, size_t len, sc_error *err)
{
    (void)err;
    s->aliases = mem_grow(s->aliases, (s->n_aliases + 1) * sizeof *s->aliases);
    s->aliases[s->n_aliases++] = mem_strndup(item, len);
    return SC_OK;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------------- */

static bool is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 || strcmp(host, "localhost") == 0 || strncmp(host, "unix:", 5) == 0;
}

static bool has_key_file(const sc_server_config *c) { return c->api_key_file && *c->api_key_file; }

static sc_status read_keys(struct api_keys *out, const sc_server_config *c, sc_error *err)
{
    *out = (struct api_keys){ 0 };
    if (has_key_file(c)) return api_keys_read(out, c->api_key_file, err);
    if (is_loopback(c->host) || c->allow_public) return SC_OK;
    return FAIL(err, SC_E_ARGUMENT, "the address %s can be reached from other machines, and there are no keys; give --api-key-file FILE, or --allow-public if everybody there may use it", c->host);
}

sc_status sc_server_check(const sc_server_config *c, sc_error *err)
{
    struct api_keys keys;
    TRY(read_keys(&keys, c, err));
    api_keys_release(&keys);
    return SC_OK;
}

/* On the loop, as all that looks at keys. */
struct new_keys { struct sc_server *server; struct api_keys keys; };
static void take_keys(void *arg)
{
    struct new_keys *new = arg;
    struct sc_server *s = new->server;
    api_keys_release(&s->keys);
    s->keys = new->keys;
    mem_free(new);
    server_log(s, "info", "keys", ",\"keys\":%zu", s->keys.n);
}

sc_status sc_server_reload(sc_server *s, sc_error *err)
{
    sc_error failed = { 0 };
    if (!has_key_file(&s->c)) return FAIL(err, SC_E_ARGUMENT, "there is no key file to read again; start the server with --api-key-file");
    struct new_keys *new = mem_zero(1, sizeof *new);
    new->server = s;
    if (api_keys_read(&new->keys, s->c.api_key_file, &failed) == SC_OK) {
        http_post(s->http, take_keys, new);
        return SC_OK;
    }
    mem_free(new);
    server_log_text(s, "error", "keys", "", "text", failed.message, strlen(failed.message));
    return FAIL(err, failed.status, "%s; the keys from before stay. A locked-down server can read the file that it had at the start, not another of that name", failed.message);
}

static void on_notify(void *user);
static void deliver(void *arg) { engine_deliver(((struct sc_server *)arg)->engine); }
static void on_notify(void *user)
{
    struct sc_server *s = user;
    if (s->http) http_post(s->http, deliver, s);
}

static sc_status open_engine(struct sc_server *s, sc_prompt_cache *cache, sc_error *err)
{
    sc_model *models[MOST_VARIANTS];
    size_t most = s->models[0].model->model.config.context, context = s->c.context > 0 ? (size_t)s->c.context : most < DEFAULT_CONTEXT ? most : DEFAULT_CONTEXT;
    if (context > most) return FAIL(err, SC_E_ARGUMENT, "context is %zu tokens, but %s was made for at most %zu", context, s->models[0].name, most);
    for (size_t i = 0; i < s->n_models; i++) models[i] = s->models[i].model;
    s->engine_models = mem_alloc(s->n_models * sizeof *s->engine_models);
    memcpy(s->engine_models, models, s->n_models * sizeof *models);
    const struct engine_config c = { .runtime = s->runtime, .models = s->engine_models, .n_models = s->n_models, .slots = s->parallel, .queue = (size_t)s->c.queue, .context = context, .cache_type = s->c.cache_type,
                                     .chunk = (size_t)s->c.chunk, .cache_bytes = (uint64_t)s->c.cache_mib << 20, .decode_stretch = s->c.stretch, .prompt_cache = cache, .notify = on_notify, .user = s };
    return engine_open(&s->engine, &c, err);
}

static void on_request(void *user, struct http_exchange *x) { call_open(user, x); }

static void on_refused(void *user, const char *address, int status, const char *why)
{
    struct sc_server *s = user;
    figures_status(&s->figures, status);
    char members[100];
    snprintf(members, sizeof members, "\"address\":\"%s\",\"status\":%d,", address, status);
    server_log_text(s, "debug", "refused", members, "why", why, strlen(why));
}

static void error_body(struct buf *body, int status, const char *why)
{
    struct api_error e;
    api_fail(&e, status, "invalid_request_error", NULL, NULL, "%s", why);
    api_error_json(body, &e);
}

static void every_second(void *arg)
{
    struct sc_server *s = arg;
    call_every_second(s);
    if (s->asked && clock_seconds() > s->stop_at) call_cancel_all(s);
    if (s->asked && clock_seconds() > s->stop_at + STOP_WRITE_SECONDS) http_stop(s->http, true);      /* who reads too slowly does not hold it up */
}

static sc_status open_http(struct sc_server *s, sc_error *err)
{
    const sc_server_config *c = &s->c;
    const struct http_config h = { .host = c->host, .port = (int)c->port, .connections = (size_t)c->connections, .connections_each = (size_t)c->connections_each, .body_bytes = (size_t)c->body_mib << 20,
                                   .head_seconds = c->head_seconds, .idle_seconds = c->idle_seconds, .write_seconds = c->write_seconds, .on_request = on_request, .on_refused = on_refused, .error_body = error_body, .user = s };
    TRY(http_listen(&s->http, &h, err));
    http_every(s->http, 1, every_second, s);
    if (c->page) http_every(s->http, 0.25, ui_tick, s);
    return SC_OK;
}

/* What the bytes of an answer depend on besides the request. */
static void make_fingerprint(struct sc_server *s)
{
    char build[48], hex[65];
    struct sha256 hash;
    sha256_begin(&hash);
    system_build(build);
    sha256_add(&hash, build, strlen(build));
    sha256_add(&hash, s->runtime->activations, strlen(s->runtime->activations));
    model_file_identify(s->models[0].model->file, &hash);
    sha256_end(&hash, hex);
    snprintf(s->fingerprint, sizeof s->fingerprint, "fp_%.12s", hex);
}

sc_status sc_server_open(sc_server **out, sc_runtime *rt, sc_model *m, sc_prompt_cache *cache, const sc_server_config *c, sc_error *err)
{
    sc_server *s = mem_zero(1, sizeof *s);
    sc_status status = SC_OK;
    *out = NULL;
    s->c = *c;
    s->runtime = rt;
    s->created = time(NULL);
    s->parallel = c->parallel > 0 ? (size_t)c->parallel : PARALLEL;
    errands_open(&s->readers, (size_t)c->queue + 16);
    errands_open(&s->store, (size_t)c->queue + 16);
    figures_init(&s->figures);
    add_model(s, c->name && *c->name ? mem_strdup(c->name) : short_name(m->file->path), m, false);
    if (m->base) TRY_DONE(FAIL(err, SC_E_ARGUMENT, "%s is a variant of another model; serve that one", s->models[0].name));
    s->prompt_cache = cache;
    server_raise_files(s);
    TRY_DONE(read_keys(&s->keys, c, err));
    TRY_DONE(each_item(s, c->alias, add_alias, err));
    TRY_DONE(each_item(s, c->adapters, add_adapter, err));
    TRY_DONE(moderate_open(s, err));
    make_fingerprint(s);
    if (c->page) ui_open(s);
    TRY_DONE(open_engine(s, cache, err));
    TRY_DONE(open_http(s, err));
    *out = s;
    return SC_OK;
done:
    sc_server_close(s);
    return status;
}

int sc_server_port(const sc_server *s) { return http_port(s->http); }
const char *server_fingerprint(const struct sc_server *s) { return s->fingerprint; }
size_t api_context(const struct call *c) { return engine_context(c->server->engine); }
const sc_model *api_base_model(const struct call *c) { return c->server->models[0].model; }
const char *api_base_name(const struct call *c) { return c->server->models[0].name; }

/* ---- running --------------------------------------------------------------------------------------------------------------------------- */

sc_status sc_server_run(sc_server *s, sc_error *err)
{
    TRY(engine_start(s->engine, err));
    if (!errands_start(&s->readers, s->http, READERS) || !errands_start(&s->store, s->http, 1)) {
        engine_stop(s->engine);
        return FAIL(err, SC_E_MEMORY, "the threads that read requests cannot be started");
    }
    server_log(s, "info", "ready", ",\"port\":%d,\"slots\":%zu,\"context\":%zu", sc_server_port(s), s->parallel, engine_context(s->engine));
    http_run(s->http);
    errands_stop(&s->readers);
    engine_stop(s->engine);
    engine_deliver(s->engine);
    errands_stop(&s->store);                                   /* what answers of the page have become is written */
    server_log(s, "info", "stopped", NULL);
    return SC_OK;
}

void sc_server_stop(sc_server *s, bool now)
{
    s->stop_at = clock_seconds() + s->c.stop_seconds;
    s->asked = now ? 2 : 1;
    http_stop(s->http, now);
}

void sc_server_close(sc_server *s)
{
    if (!s) return;
    http_release(s->http);
    if (s->engine) engine_deliver(s->engine);
    engine_close(s->engine);
    ui_close(s);
    for (size_t i = 0; i < s->n_models; i++) {
        if (s->models[i].is_owned) sc_model_close(s->models[i].model);
        mem_free(s->models[i].name);
    }
    for (size_t i = 0; i < s->n_aliases; i++) mem_free(s->aliases[i]);
    mem_free(s->aliases);
    mem_free(s->engine_models);
    filter_close(s->filter);
    api_keys_release(&s->keys);
    errands_release(&s->readers);
    errands_release(&s->store);
    mem_free(s);
}
