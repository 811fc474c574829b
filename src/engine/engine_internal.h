/* engine_internal.h - private to the engine: sequences, the cache of beginnings, and what a pass is made of. */
#ifndef ENGINE_INTERNAL_H
#define ENGINE_INTERNAL_H

#include <pthread.h>

#include "engine/engine.h"

/* ---- prefix.c: beginnings that were computed, by their tokens ------------------------------------------------------------------ */

/* A tree of pages: a node is the tokens of one page behind those of its parents, so that the same beginning is there once. Pages are shared
 * with the sequences that use them. A root stands for a model and a salt: nothing crosses between roots. */
struct prefix_node {
    struct prefix_node *parent, *child, *sibling;      /* sibling: next of the parent's children */
    struct prefix_node *newer, *older;                 /* by last use */
    size_t n;                                          /* tokens, KV_PAGE except of a last one */
    char *page;                                        /* NULL: a root */
    const void *model; uint64_t salt;                  /* of a root */
    bool is_on_disk, is_tried;                         /* see disk.c */
    int32_t token[KV_PAGE];
};
struct prefix_tree { struct kv_pages *pages; struct prefix_node *roots, *newest, *oldest; size_t n_nodes; };
void   prefix_init(struct prefix_tree *t, struct kv_pages *pages);
void   prefix_release(struct prefix_tree *t);
/* c, which has no pages, gets the longest known beginning of id[0..n), at most `most` tokens of it; returns how many. */
size_t prefix_find(struct prefix_tree *t, struct kv_cache *c, const void *model, uint64_t salt, const int32_t *id, size_t n, size_t most);
/* How many tokens prefix_find would give. */
size_t prefix_look(const struct prefix_tree *t, const void *model, uint64_t salt, const int32_t *id, size_t n, size_t most);
/* Positions [0, n) of c hold id[0..n). with_rest: also those of a page that is not full, if nobody will write to it here any more. */
void   prefix_keep(struct prefix_tree *t, const struct kv_cache *c, const void *model, uint64_t salt, const int32_t *id, size_t n, bool with_rest);
bool   prefix_drop_oldest(struct prefix_tree *t);      /* lets go of a page that nobody else holds; false: there is none */
size_t prefix_droppable(const struct prefix_tree *t);  /* pages that only the tree holds */

/* ---- sequence.c: one answer that is being written ---------------------------------------------------------------------------------- */

enum sequence_state { SEQUENCE_WAITING, SEQUENCE_RUNNING, SEQUENCE_DONE };
struct sequence {
    struct sequence *next;                 /* of the running ones, in order of admission */
    struct task *task;
    size_t choice;
    enum sequence_state state;
    struct kv_cache cache;
    int32_t *history, *token;              /* token = history + the task's n_prediction: prompt, then what was generated */
    size_t length, cap, computed;          /* tokens; of those, in the cache. A pass computes [computed, length) or the beginning of it */
    size_t generated, limit, told;         /* told: tokens of the prompt that an event has named */
    bool is_prompt_told;                   /* the prompt's log-probabilities and its end were told */
    sc_candidate *top;
    sc_sample_config sample;               /* the task's, with the seed of this choice */
    struct stop_scanner scanner;
    struct lookup lookup;
    struct matcher *matcher;
    /* of the present pass */
    size_t first, rows, guesses;           /* rows of the batch; guesses among them, behind the tokens */
    size_t row_first, row_count;           /* which of the wanted hidden rows are ours */
    bool is_sampled;                       /* sequence_sample has set `computed` */
    /* since the last event */
    struct buf text; struct token_records records;
    enum finish finish; const char *stop_string;
    size_t came_true, did_not;
    double logprob;
    double *embedding;                     /* sums over rows */
    struct token_records prompt_records;
};
struct sequence *sequence_new(struct task *t, size_t choice, const struct kv_pages *pages, size_t context, const struct token_tree *tree);
void   sequence_free(struct sequence *s, struct kv_pages *pages);
bool   sequence_reads(const struct sequence *s);                    /* more than one token is still to be computed */
/* Guesses what may follow the last token, at most `most` tokens. */
void   sequence_guess(struct sequence *s, size_t most);
/* Scratch of a worker. */
struct sampling { struct sampler sampler; float *logits; size_t vocab; };
/* Takes tokens from the logits of its last rows, one for each guess that comes true and one more; sets finish when the answer ends. */
void   sequence_sample(struct sequence *s, struct sampling *w, float *logits, size_t vocab);
/* Log-probabilities of the prompt's tokens behind rows [from, from + n) of the prompt. */
void   sequence_score(struct sequence *s, size_t from, const float *logits, size_t n, size_t vocab);
void   sequence_flush(struct sequence *s, bool at_end);             /* text held back goes out */

/* ---- disk.c: between runs -------------------------------------------------------------------------------------------------------------- */

/* Takes from disk what is kept of the sequence's tokens beyond what is computed; returns how many tokens. */
size_t disk_restore(struct engine *e, struct sequence *s);
/* Keeps one beginning that is worth it; false if there is none, or something else is to do. */
bool   disk_keep_one(struct engine *e);

/* ---- engine.c, pass.c ------------------------------------------------------------------------------------------------------------------- */

enum { ROWS_TIMED = 96, GUESS_ROWS = 48, LOGIT_ROWS = 64 };
struct engine {
    struct engine_config c;
    struct kv_pages pages;
    struct prefix_tree prefixes;
    struct token_tree *tree[MOST_VARIANTS];   /* made when the first grammar needs it */
    struct sequence *running;
    size_t n_running;
    pthread_t thread; bool has_thread;
    pthread_mutex_t lock; pthread_cond_t wake;
    /* under lock */
    struct task *waiting, **waiting_end; size_t n_waiting;
    struct event_of_task *events, **events_end;
    struct engine_counts counts;
    bool stops; double keep_until;             /* keep_until: once it stops, nothing more is written to disk then */
    atomic_bool has_cancelled;
    /* the engine thread's own */
    struct event_of_task *fresh, **fresh_end;  /* of this step */
    struct arena step;
    struct sampling *sampling; size_t n_sampling;
    float *logits; size_t logits_floats;
    double pass_seconds[ROWS_TIMED + 1], row_seconds;      /* running means: of passes without prompts by rows; of a row of a prompt */
    size_t cap_rows;
    int32_t *row_token, *row_position, *row_sequence; size_t *wanted; struct kv_cache **caches; struct sequence **of_cache;
};
/* One pass over the running sequences; false if there was nothing to compute. */
bool   pass_run(struct engine *e, sc_error *err);
/* Makes positions [from, to) of s writable, at the cost of old beginnings and, if need be, of sequences that began later (they begin again).
 * False: s itself has to wait. */
bool   engine_room(struct engine *e, struct sequence *s, size_t from, size_t to);
struct event_of_task *engine_tell(struct engine *e, struct sequence *s, enum event_kind kind);

#endif
