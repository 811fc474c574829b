/* engine.h - many answers at once on one model: continuous batching (Yu et al., Orca, OSDI 2022) with prompts read in chunks beside
 * decoding (Agrawal et al., Sarathi, 2023) and a key/value cache in shared pages (Kwon et al., PagedAttention, SOSP 2023).
 *
 * A task is what a request asks for; each of its choices is a sequence. One thread runs the engine: it admits tasks, makes one pass
 * over the rows of all sequences, samples, and tells what happened as events. Because rows do not influence each other's bits, what a
 * task gets depends on its tokens, its options and its seed alone: not on neighbours, chunks, cache hits, guesses or preemption. */
#ifndef ENGINE_H
#define ENGINE_H

#include "grammar/grammar.h"
#include "infer/infer.h"

enum { MOST_VARIANTS = 64 };              /* models of an engine */
struct engine;
struct event_of_task;
enum task_kind { TASK_GENERATE, TASK_EMBED };
enum task_end { TASK_DONE, TASK_CANCELLED, TASK_FAILED };
/* ORDER finish: names in api.c. */
enum finish { FINISH_NONE, FINISH_END, FINISH_STOP, FINISH_LENGTH, FINISH_CONTEXT, FINISH_TIME, FINISH_FILTER };    /* FINISH_FILTER: see moderate.h */

/* One token of an answer or of the prompt; logprob NaN if it was not asked for. top: the likeliest, n_top of them. */
struct token_record { int32_t id; double logprob; sc_candidate *top; size_t n_top; };
struct token_records { struct token_record *at; size_t len, cap; };
void token_records_add(struct token_records *r, int32_t id, double logprob, const sc_candidate *top, size_t n_top);
void token_records_release(struct token_records *r);

struct task {
    /* set by who makes it; owned */
    enum task_kind kind;
    sc_model *model;                     /* of the engine's: the base or a variant */
    int32_t *prompt; size_t n_prompt;
    size_t choices;
    sc_sample_config sample;             /* stop, stop_id, logit_bias are owned; seed of choice i is seed + i */
    int64_t min_tokens;
    size_t prompt_records;               /* 0, or 1: log-probabilities of the prompt's tokens are wanted */
    bool keeps_stop, greedy_check;       /* the stop string stays in the text */
    const int32_t *allowed; size_t n_allowed;     /* if not 0: only these ids; owned */
    struct grammar *grammar;             /* NULL: none; a share */
    int32_t *prediction; size_t n_prediction;     /* what the answer will probably be */
    double seconds_max;                  /* of generating; 0: no limit */
    uint64_t client, salt;               /* who asks, for fairness; who may share the cache */
    bool no_cache;                       /* reads everything anew */
    void *user, *moderator;              /* the maker's; see moderate.h */
    /* Called on the thread that calls engine_deliver, in order. The last one has kind EVENT_END; the task belongs to its maker again then. */
    void (*on_event)(struct task *t, struct event_of_task *e);
    atomic_bool is_cancelled;            /* set from any thread */
    /* filled by the engine; readable when EVENT_BEGIN or later was delivered */
    size_t cached;                       /* prompt tokens that were not computed */
    double queued, started, first, ended;        /* clock_seconds */
    struct task *next;                   /* of a queue */
};
struct task *task_new(void);
void         task_free(struct task *t);  /* with all it owns; before it was submitted or after its end */

/* EVENT_BEGIN: reading begins. EVENT_PROMPT: `done` tokens of the prompt are read. EVENT_TEXT: more text (whole characters) and the records of the tokens.
 * EVENT_FINISH: a choice is complete. EVENT_END: the task is. */
enum event_kind { EVENT_BEGIN, EVENT_PROMPT, EVENT_TEXT, EVENT_FINISH, EVENT_END };
struct event_of_task {
    struct event_of_task *next;
    struct task *task;
    enum event_kind kind;
    size_t choice, done;
    char *text; size_t text_len;
    struct token_records records;        /* EVENT_TEXT: of the tokens; EVENT_FINISH of choice 0: none; EVENT_PROMPT with prompt_records: of the prompt, from its second token on */
    enum finish finish; const char *stop_string;         /* EVENT_FINISH; borrowed from the task */
    size_t tokens, guessed, rejected;    /* EVENT_FINISH: generated; predicted ones that came true, and that did not */
    double logprob;                      /* EVENT_FINISH: sum over the tokens, if records were asked for */
    float *embedding;                    /* EVENT_FINISH of TASK_EMBED: embd floats */
    enum task_end end; sc_error error;   /* EVENT_END */
};

struct engine_config {
    sc_runtime *runtime;
    sc_model *const *models; size_t n_models;    /* the base first; variants of it */
    size_t slots, queue;                 /* sequences that run at once; tasks that may wait */
    size_t context;                      /* most tokens of a sequence */
    const char *cache_type;
    size_t chunk;                        /* most rows of a pass */
    uint64_t cache_bytes;                /* of key/value pages; 0: a quarter of the memory */
    double decode_stretch;               /* a pass with decoding rows may take this many times as long because of prompts */
    size_t pass_rows;                    /* for whom only the end counts: a pass takes rows of prompts until it has so many in all; 0: by decode_stretch */
    bool gemm_f32;                       /* see struct exec */
    sc_prompt_cache *prompt_cache;       /* NULL: nothing is kept on disk; borrowed */
    void (*notify)(void *user);          /* events wait for engine_deliver; from the engine's thread */
    void *user;
};
sc_status engine_open(struct engine **out, const struct engine_config *c, sc_error *err);
sc_status engine_start(struct engine *e, sc_error *err);         /* its thread */
/* False: the queue is full; the task stays the caller's. */
bool      engine_submit(struct engine *e, struct task *t);
void      engine_submit_now(struct engine *e, struct task *t);   /* however many wait: a part of what is being answered already */
bool      engine_submit_all(struct engine *e, struct task *const *t, size_t n);      /* all or none; while nothing waits, any number */
void      engine_cancel(struct engine *e, struct task *t);         /* its EVENT_END comes soon; any thread, until that was delivered */
void      engine_deliver(struct engine *e);                      /* calls on_event for all that waits */
void      engine_stop(struct engine *e);                         /* ends all tasks as cancelled, joins the thread; events stay to be delivered */
void      engine_close(struct engine *e);
size_t    engine_context(const struct engine *e);

/* Sums since the start, and what is now. */
struct engine_counts {
    size_t running, waiting, pages, pages_used, pages_cached, slots;
    uint64_t tasks, prompt_tokens, cached_tokens, generated_tokens, guessed_tokens, guesses, passes, rows, preempted, cancelled, failed, disk_tokens;
    double prompt_seconds, decode_seconds, wait_seconds;
};
void engine_count(struct engine *e, struct engine_counts *out);
/* Runs one pass; false when there was nothing to do. For tests without a thread. */
bool engine_step(struct engine *e);

#endif
