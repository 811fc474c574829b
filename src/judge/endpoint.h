/* endpoint.h - asking models, servers or our own: what came back is kept and never paid twice, what may be paid is bounded. */
#ifndef ENDPOINT_H
#define ENDPOINT_H

#include "infer/infer.h"

#include <sqlite3.h>

/* ---- endpoint.c: a server that speaks OpenAI's chat completions -------------------------------------------------------------------------- */

/* All owned. base: as given, without a slash at its end; address: base/chat/completions; name: of the model there; key NULL: none. */
struct endpoint { char *base, *address, *origin, *host, *name, *key; bool is_loopback; };
bool      endpoint_is_spec(const char *text);                      /* begins with http:// or https:// */
/* URL#NAME. SC_E_ARGUMENT: malformed, no NAME, or with a password or a query in it, which would be written to files. */
sc_status endpoint_open(struct endpoint *out, const char *spec, sc_error *err);
void      endpoint_release(struct endpoint *e);
/* The key's text is replaced by "***" wherever it stands in `text`; what servers say may repeat it. */
void      endpoint_hide_key(const struct endpoint *e, char *text);

/* ---- endpoint_reply.c: what a server says ------------------------------------------------------------------------------------------------- */

/* An answer; texts are owned. finish: "stop", "length", ... or ""; tokens -1: not told. logprobs: of what the first token could have been, {"m": -0.1}; NULL: none. */
struct reply { char *text, *finish; int64_t tokens_in, tokens_out; json_t *logprobs; double seconds; bool is_kept; };
void      reply_release(struct reply *r);
/* SC_E_FORMAT: no JSON, or not that of a chat completion; such an answer may come whole the next time, but was paid: *out then holds its tokens alone, as far as they are told. */
sc_status reply_read(struct reply *out, const char *body, size_t len, sc_error *err);
int64_t   request_limit(const char *request);                     /* most tokens of the answer that it asks for; 4096 where it names none */
bool      reply_is_passing(long status);                          /* trying again may help */
bool      reply_is_of_request(long status);                       /* of this request perhaps, which may be too long for the model; another may pass */
/* The sentence for a status that is no success; `fields`: names of the request's fields, to say which the server refuses. Returns the error's status. */
sc_status reply_refusal(const struct endpoint *e, long status, const char *body, size_t len, const char *location, sc_error *err);

/* ---- cache.c: what was answered ------------------------------------------------------------------------------------------------------------ */

/* One SQLite file that any number of processes may use. A key is the SHA-256 of who is asked (a server's address or the identity of a model), the model's name and the
 * whole request. Who is about to ask holds a lock on the key's place in FILE.lock, which the system lets go of however the process ends: so of several that ask the
 * same, one pays. */
struct cache { sqlite3 *db; sqlite3_stmt *find, *put; char *path; int lock; };
sc_status cache_open(struct cache *c, const char *path, sc_error *err);     /* ":memory:": of this process alone */
void      cache_close(struct cache *c);
void      cache_key(char key[65], const char *who, const char *model, const char *request);
/* *found: *out is filled, the caller's, is_kept. */
sc_status cache_find(bool *found, struct reply *out, struct cache *c, const char *key, sc_error *err);
/* On disk when it returns. */
sc_status cache_put(struct cache *c, const char *key, const char *who, const char *model, const struct reply *r, sc_error *err);
bool      cache_claim(struct cache *c, const char *key);            /* false: another process is asking this now */
void      cache_unclaim(struct cache *c, const char *key);

/* ---- budget.c: what may be paid ------------------------------------------------------------------------------------------------------------- */

/* Of this start. Tokens of a request that is on its way are reckoned high: a token for each byte, and the longest answer. unusable: those of `calls` that were paid and gave nothing. */
struct budget {
    int64_t most_calls; double most_cost, price_in, price_out;     /* 0: any; prices of 10^6 tokens */
    int64_t calls, unusable, kept, here, tokens_in, tokens_out; double cost; /* kept: from the cache; here: of models of here; both cost nothing */
    int64_t reserved_calls; double reserved;
};
double    budget_price(const struct budget *b, double tokens_in, double tokens_out);
/* False: it might be too much. *reserved is given back by budget_settle. */
bool      budget_reserve(struct budget *b, double *reserved, size_t request_bytes, int64_t most_tokens);
void      budget_settle(struct budget *b, double reserved, size_t request_bytes, const struct reply *r);     /* r NULL: no answer came */

/* ---- endpoint_run.c, answer_run_local.c: many requests -------------------------------------------------------------------------------------------- */

/* A request as text of JSON, which talk_run frees; item is the asker's. */
struct ask { char *request; void *item; };
/* next: the next request; false: there is none, or none before another answer has come. answered: called on the same thread, for each at most once. refused: in its place, where this request alone is
 * refused for good. */
struct asker {
    bool (*next)(void *user, struct ask *out);
    sc_status (*answered)(void *user, void *item, const struct reply *r, sc_error *err);
    sc_status (*refused)(void *user, void *item, const char *why, sc_error *err);
    void *user;
};
struct talk_limits { size_t parallel, message_max; int tries; double rate, connect_seconds, idle_seconds, request_seconds, retry_seconds; };
/* Who is asked: a server, or else `model` with the identity `who`. */
struct talk {
    sc_runtime *runtime;
    const struct endpoint *endpoint; sc_model *model; const char *who, *name;
    struct cache *cache; struct budget *budget;
    struct talk_limits limits;
    size_t failed; sc_error last;      /* requests without an answer after all tries, and what happened last */
    bool is_spent;                     /* the budget ended it before next had no more */
    bool has_answered;                 /* it took such requests, now or in an earlier start: the caller may know */
    sc_error refusal;                  /* the last request that was refused alone; no message: none was */
};
/* Asks until next has no more. SC_OK also with failed requests or a spent budget. What is on its way when it stops is waited for, as it is paid. SC_E_CANCELLED, SC_E_PEER
 * (a server refuses, or answers nothing at all). */
sc_status talk_run(struct talk *t, const struct asker *a, sc_error *err);
sc_status talk_run_local(struct talk *t, const struct asker *a, sc_error *err);

/* ---- endpoint_refused.c: whose fault a refusal is ------------------------------------------------------------------------------------------------- */

/* Where requests of this kind were answered, a refusal is the request's own, and `refused` is called; before, it waits. most_in_a_row 0: any. */
struct refusals { struct talk *t; const struct asker *asker; size_t most_in_a_row, in_a_row, n; struct refused_ask *at; };
sc_status refusals_add(struct refusals *r, void *item, const sc_error *why, sc_error *err);      /* SC_E_PEER: too many in a row */
sc_status refusals_answered(struct refusals *r, bool is_kept, sc_error *err);      /* is_kept: from the cache, which tells nothing of now */
/* SC_E_PEER: some were refused and none was answered. Releases `r`, as refusals_release does without a word. */
sc_status refusals_end(struct refusals *r, sc_error *err);
void      refusals_release(struct refusals *r);

#endif
