/* server.h - private to this folder: the server itself, its keys, its log, its figures. */
#ifndef SERVER_H
#define SERVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "serve/api.h"
#include "serve/filter.h"

/* ---- keys.c ---------------------------------------------------------------------------------------------------------------------- */

/* SHA-256 of keys, never the keys. */
struct api_keys { struct api_key { uint8_t digest[32]; char name[48]; } *at; size_t n; };
/* Lines "KEY", or "sha256:HEX NAME"; '#' begins a comment. Refuses files that others may read, and keys of less than 16 characters. */
sc_status api_keys_read(struct api_keys *out, const char *path, sc_error *err);
void      api_keys_release(struct api_keys *k);
/* The index of the key, compared with all in the same time; -1: none of them. */
int       api_keys_find(const struct api_keys *k, const char *key, size_t len);

/* ---- figures.c: what /metrics tells -------------------------------------------------------------------------------------------------- */

enum { HISTOGRAM_MAX = 16 };
struct histogram { const double *bound; size_t n; uint64_t count[HISTOGRAM_MAX + 1]; double sum; uint64_t total; };
void histogram_add(struct histogram *h, double x);
struct figures {
    struct histogram first_token, token_gap, whole, queued;
    struct { int status; uint64_t n; } status[32];
    uint64_t finished[8];                /* ORDER finish */
    double started;
};
void figures_init(struct figures *f);
void figures_status(struct figures *f, int status);

/* ---- errand.c: work off the loop --------------------------------------------------------------------------------------------------------- */

enum { ERRAND_THREADS = 2 };
struct errand;
struct errands { pthread_mutex_t lock; pthread_cond_t wake; struct errand *first, **end; size_t n, most; pthread_t thread[ERRAND_THREADS]; size_t n_threads; bool stops, is_open; struct http *http; };
void errands_open(struct errands *e, size_t most);
bool errands_start(struct errands *e, struct http *http, size_t threads);
/* From the loop: work(arg) on a thread, then done(arg) on the loop. With one thread everything happens in the order in which it was asked for.
 * False: `most` wait already. errands_must takes any number. Once the threads are stopped, both are called at once. */
bool errands_add(struct errands *e, void (*work)(void *arg), void (*done)(void *arg), void *arg);
void errands_must(struct errands *e, void (*work)(void *arg), void (*done)(void *arg), void *arg);
void errands_stop(struct errands *e);                            /* what waits is done first */
void errands_release(struct errands *e);

/* ---- the server ------------------------------------------------------------------------------------------------------------------------ */

struct served_model { char *name; sc_model *model; bool is_adapter, is_owned; };
struct sc_server {
    sc_server_config c;
    sc_runtime *runtime;
    struct served_model models[MOST_VARIANTS]; size_t n_models;
    char **aliases; size_t n_aliases;
    struct engine *engine;
    sc_prompt_cache *prompt_cache;       /* borrowed; NULL: none */
    sc_model **engine_models;
    struct http *http;
    struct api_keys keys;
    struct filter *filter; sc_model *classifier;       /* NULL: none */
    uint64_t filtered[3];                /* ORDER filter_action */
    struct figures figures;
    struct call *calls;                  /* all that are not over */
    size_t n_calls;
    char fingerprint[24];
    uint64_t n_ids;
    struct errands readers, store;       /* requests of dialects, on two threads; conversations, on one, so that what was asked first is done first */
    sc_talks *talks; char talks_problem[480];        /* used by the store's thread alone; NULL: why not */
    struct answer *answers;              /* of the page, that are being written */
    struct listener *watches;            /* who listens to answers that other processes write */
    atomic_size_t n_answers;
    size_t n_ticks;
    volatile int asked;                  /* to stop: 1 soon, 2 now */
    double stop_at;
    size_t parallel;
    int64_t created;
    int log_fd;
};
/* One line of the log: level "debug", "info", "warn", "error"; more members as JSON (", \"key\":value ..."), may be NULL. */
void server_log(struct sc_server *s, const char *level, const char *event, const char *members, ...) __attribute__((format(printf, 4, 5)));
bool server_logs(const struct sc_server *s, const char *level);
/* A line with one text from outside, of any bytes and any length. */
void server_log_text(struct sc_server *s, const char *level, const char *event, const char *members, const char *key, const char *text, size_t len);
/* Host, Origin and key of a request; fills the client and the salt of the call. */
bool gate(struct call *c, struct api_error *e);
bool origin_is_allowed(const struct sc_server *s, struct http_span origin);              /* by --allowed-origins */
const struct served_model *server_model(const struct sc_server *s, const char *name);        /* by name or alias; NULL: none */
void route_allow(struct buf *headers, struct http_span path);                          /* the field that must stand beside 405 */
const struct route *route_find(const struct sc_server *s, struct call *c, bool *knows_path);      /* fills c->arg */
/* lockdown.c */
void server_raise_files(struct sc_server *s);                    /* as many files as connections need */
/* call.c */
void call_open(struct sc_server *s, struct http_exchange *x);
void call_every_second(struct sc_server *s);                     /* pings, deadlines */
void call_cancel_all(struct sc_server *s);
/* ui_answers.c */
void ui_open(struct sc_server *s);                               /* the store; without one the page says why */
void ui_tick(void *server);                                      /* four times a second */
void ui_close(struct sc_server *s);

#endif
