/* infer.h - the runtime, the opened model and its sessions: what stands behind the public types. Layer 4. */
#ifndef INFER_H
#define INFER_H

#include "comm/comm.h"
#include "model/model.h"
#include "text/text.h"

struct sc_runtime {
    struct comm comm;                 /* with the other processes of the job; of one rank unless mpi was asked for */
    struct pool *pool;
    const struct backend *backend;
    const void *kernels;
    const char *activations;          /* auto, f32, int8 */
    uint64_t memory_limit;
    sc_on_event on_event;
    void *user;
    atomic_int cancel;
};
void runtime_note(const sc_runtime *rt, const char *format, ...) __attribute__((format(printf, 2, 3)));  /* {"event":"note","text":...} */
void runtime_detail(const sc_runtime *rt, const char *format, ...) __attribute__((format(printf, 2, 3)));  /* the same, "detail": for who asks */

enum { MAX_END_TOKENS = 16 };
struct sc_model {
    sc_runtime *runtime;
    sc_model *base;                   /* of a variant: whose weights it uses */
    atomic_size_t users;              /* of the weights: itself and its variants, until they are closed */
    struct model_file *file;
    struct model_file *adapter;       /* NULL: none; the model is that of `file` with it on top */
    struct model model;
    struct tokenizer *tokenizer;      /* NULL: opened without */
    struct chat_template chat_template;
    bool has_template, no_tokenizer;  /* no_tokenizer: opened so */
    int32_t end[MAX_END_TOKENS]; size_t n_end;    /* ids that end an answer */
    char *notice;
};

/* Where tokenizer files, template and generation config come from: the adapter as far as it has them, else the model. */
const struct model_file *model_tokenizer_file(const sc_model *m);
const json_t *model_generation_config(const sc_model *m);

/* sc_encode_pair, where special tokens count in `trusted` bytes of the text (pair.c). */
sc_status encode_pair(sc_tokens *out, size_t *from, const sc_model *m, const char *text, size_t context_len, size_t len, const struct span *trusted, size_t n_trusted, sc_error *err);

/* ---- sample.c: from logits to a token -------------------------------------------------------------------------------- */

/* Scratch of one generation. Logits are changed in place. */
struct sampler { const sc_sample_config *config; sc_candidate *candidate; size_t vocab; };
void    sampler_init(struct sampler *s, const sc_sample_config *c, size_t vocab);
void    sampler_release(struct sampler *s);
/* history: all tokens so far, the window of the penalties is its end. `draw`: uniform in [0, 1). */
int32_t sampler_pick(struct sampler *s, float *logits, const int32_t *history, size_t n_history, double draw);
/* log softmax of one entry; sums in double over the whole row. */
double  log_probability(const float *logits, size_t n, int32_t id);
/* The parts of it that entries have in common: log_probability is logits[id] - max - log_sum. */
double  log_sum(const float *logits, size_t n, float *max);

/* ---- lookup.c: guesses of what comes next -------------------------------------------------------------------------------- */

enum { LOOKUP_MAX = 15, LOOKUP_KINDS = 4 };
/* guess[0..n): what may follow, of which `seen` came true; accepted: how often guesses of a kind do; seconds[r]: of a pass over r rows, 0: unknown. */
struct lookup { int32_t guess[LOOKUP_MAX]; size_t n, seen, kind; double accepted[LOOKUP_KINDS], seconds[LOOKUP_MAX + 2]; };
void   lookup_init(struct lookup *l);
/* Guesses at most `most` tokens behind history[0..n). */
void   lookup_find(struct lookup *l, const int32_t *history, size_t n, size_t most);
size_t lookup_worth(const struct lookup *l);                     /* how many of the guesses to compute */
void   lookup_see(struct lookup *l, int32_t id);                 /* what really came next */
void   lookup_time(struct lookup *l, size_t rows, double seconds);

/* ---- kv_pages.c: pages of key/value caches, which several may hold ------------------------------------------------------------ */

/* Pages for caches of one shape, `most` of them. Address space for all is reserved, memory is taken as a page is first written to
 * and stays with the pool. Belongs to one thread at a time, as do all caches with pages of it. */
struct kv_pages {
    struct kv_cache shape;            /* dtype, layers, kv_heads, head_dim of the caches */
    size_t page_bytes, most;
    size_t used, shared, made;        /* pages that caches hold, of which more than one does; that ever had memory. most - used are free */
    char *memory;
    uint32_t *holders;                /* of each page */
    char **back; size_t n_back;       /* pages with memory that nobody holds */
};
sc_status kv_pages_init(struct kv_pages *p, const struct kv_cache *shape, size_t most, sc_error *err);
void      kv_pages_release(struct kv_pages *p);                              /* nobody holds a page any more */
sc_status kv_pages_take(struct kv_pages *p, char **page, sc_error *err);     /* of anything; SC_E_MEMORY: all are in use */
size_t    kv_page_holders(const struct kv_pages *p, const char *page);
char     *kv_page_share(struct kv_pages *p, char *page);                     /* one more holder; returns the page */
void      kv_page_drop(struct kv_pages *p, char *page);                      /* one holder less; NULL: nothing */

/* Caches of a pool. What fails changes nothing. */
void      kv_cache_open(struct kv_cache *out, const struct kv_pages *p, size_t capacity);     /* without pages */
void      kv_cache_close(struct kv_pages *p, struct kv_cache *c);
/* How many pages kv_cache_room takes. */
size_t    kv_cache_needs(const struct kv_pages *p, const struct kv_cache *c, size_t from, size_t to);
/* Makes positions [from, to), to <= capacity, ready to be written to: their pages are there and nobody else's; what stood in a page that others
 * hold too is copied. Those before `from` are there already. */
sc_status kv_cache_room(struct kv_pages *p, struct kv_cache *c, size_t from, size_t to, sc_error *err);
void      kv_cache_cut(struct kv_pages *p, struct kv_cache *c, size_t length);                /* drops pages without positions below `length` */
/* c, whatever it was, holds the first `pages` pages of `from`, another cache, and no others. */
void      kv_cache_share(struct kv_pages *p, struct kv_cache *c, const struct kv_cache *from, size_t pages);
/* c, whatever it was, has the first `length` positions of `from`: whole pages are shared, of the last one it takes a copy. */
sc_status kv_cache_fork(struct kv_pages *p, struct kv_cache *c, const struct kv_cache *from, size_t length, sc_error *err);

/* ---- session.c: sessions that share pages, and what prompt_cache.c needs -------------------------------------------------------- */

/* A pool with room for so many positions of sessions of m, within the runtime's memory limit; cache_type NULL or "": f16. */
sc_status session_pages_init(struct kv_pages *out, const sc_model *m, const char *cache_type, size_t positions, sc_error *err);
/* As sc_session_open, with pages of a pool for this model, whose type of cache counts; NULL: a pool of its own with all that its context
 * can need. When a pool has no more pages, what needs them fails with SC_E_MEMORY; then the past is what was computed before, as after a cancel. */
sc_status session_open(sc_session **out, sc_model *m, const sc_session_config *c, struct kv_pages *pages, sc_error *err);
/* The past becomes id[0..length), whose rows `from`, a cache with pages of the same pool, holds; [0, kept) of it is on disk. */
sc_status session_fork(sc_session *s, const struct kv_cache *from, const int32_t *id, size_t length, size_t kept, sc_error *err);
/* Positions [from, to) may be written to. SC_E_MEMORY: no more pages, nothing has changed. */
sc_status session_room(sc_session *s, size_t from, size_t to, sc_error *err);
/* token[0..length) is the past, [0, kept) of it is on disk; seconds_a_token: of reading a prompt here, 0: unknown. */
struct session_past { const sc_model *model; struct kv_cache *cache; const int32_t *token; size_t length, kept; double seconds_a_token; };
void   session_past(struct session_past *out, sc_session *s);
void   session_cut(sc_session *s, size_t length);                           /* forgets what is behind */
void   session_adopt(sc_session *s, const int32_t *id, size_t length);       /* id[0..length) is the past, its rows stand in the cache */
void   session_set_kept(sc_session *s, size_t kept);
void   session_set_speed(sc_session *s, double seconds_a_token);            /* of reading, where another did it */
/* The directory, made if it was not there; NULL where it cannot be used. */
const char *prompt_cache_directory(const sc_prompt_cache *c);
double prompt_cache_least_seconds(const sc_prompt_cache *c);                 /* what takes less to read is not kept */

/* ---- score_plan.c, score_tree.c: many texts whose beginnings are computed once ---------------------------------------------------- */

/* Log-probabilities of id[from..n), each given all before it; 1 <= from < n. logprob has n - from entries, and greedy (NULL: not asked for) says for
 * each whether it was the most probable. All is the caller's. */
struct score_request { const int32_t *id; size_t n, from; double *logprob; bool *greedy; };
struct score_config {
    const char *cache_type;           /* as of sc_session_config; "f32" for the reference's bits */
    size_t chunk;                     /* most rows of a pass; 0: 576 */
    int rank, size;                   /* this process does its share of `size`; size 0: all */
    void (*on_done)(void *user, size_t request);      /* its numbers are there; on the calling thread; may be NULL */
    void *user;
};
struct score_counts { size_t requests, tokens, rows, passes; double seconds; };     /* of this process: tokens of its texts; rows that were computed for them */
/* Each result has the same bits whatever the other requests, chunk, threads and ranks are. Products are packed ones where activations are f32, which
 * round otherwise than those of a session. */
sc_status scores_compute(struct score_counts *out, sc_model *m, const struct score_request *r, size_t n, const struct score_config *c, sc_error *err);

/* ---- stop.c: text until a stop string ------------------------------------------------------------------------------------ */

/* Collects decoded bytes, hands out whole characters, holds back what may become a stop string. */
struct stop_scanner { const char *const *stop; size_t n_stop; struct text_stream stream; struct buf text; size_t emitted; };
void   stop_scanner_init(struct stop_scanner *s, const char *const *stop, size_t n_stop);
void   stop_scanner_release(struct stop_scanner *s);
/* Adds bytes. Returns the index of a stop string that is complete now, or -1. *emit_from, *emit_to: range of
 * s->text.data that may go out. With a stop string the range ends where it begins. */
int    stop_scanner_put(struct stop_scanner *s, const char *bytes, size_t len, bool at_end, size_t *emit_from, size_t *emit_to);

/* ---- calibrate.c: what convert needs of the running model ------------------------------------------------------------------ */

/* The importance matrix of the model at c->in by c->calibrate. Released by the caller unless it fails. */
sc_status model_calibrate(struct imatrix *out, sc_runtime *rt, const sc_convert_config *c, sc_error *err);

/* ---- infer_options.c ------------------------------------------------------------------------------------------------------- */

extern const struct sc_options runtime_options, model_options, session_options, sample_options, prompt_cache_options;

#endif
