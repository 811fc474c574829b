/* starchat.h - the whole public interface of libstarchat.
 *
 * Ownership: what `*_open` returns is yours until `*_close` (NULL allowed). A `const` pointer is borrowed for the
 * call. Results are plain values, each with one `_free`. Outputs come first, `err` last; it may be NULL.
 * Threads: a model and a tokenizer never change after open and may be shared; a session belongs to one thread at a
 * time; a runtime may be used from many threads, calls queue on it; `sc_cancel` may be called from anywhere, also
 * from a signal handler. No function prints, exits or reads the environment, except where its comment says so. */
#ifndef STARCHAT_H
#define STARCHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SC_API __attribute__((visibility("default")))   /* what leaves the library */

/* ---- results and errors ------------------------------------------------------------------------------------- */

typedef enum {
    SC_OK,
    SC_E_ARGUMENT,    /* a value given by the caller is out of its range        */
    SC_E_IO,          /* a file or connection could not be read or written      */
    SC_E_FORMAT,      /* bytes that break the rules of their format             */
    SC_E_UNSUPPORTED, /* well formed, but nothing here can handle it            */
    SC_E_MEMORY,      /* more memory needed than there is or than was allowed   */
    SC_E_DEVICE,      /* a device failed                                        */
    SC_E_PEER,        /* another process or machine failed                      */
    SC_E_CANCELLED    /* sc_cancel was called, or a callback asked to stop      */
} sc_status;         /* how a call ended; all but SC_OK come with an sc_error  */

/* Yours, on the stack; filled only on failure. `message` is one sentence for people: the object, the value found,
 * the value expected and, where there is one, the remedy. `where` is file:line for developers. */
typedef struct { sc_status status; char where[48]; char message[480]; } sc_error;

typedef struct { char *data; size_t len; } sc_text;      /* result bytes; a NUL follows data[len-1] */
typedef struct { int32_t *id; size_t len; } sc_tokens;   /* result tokens                           */
typedef struct { const char *role, *content; } sc_message; /* borrowed; role: system, user, assistant, ... */

typedef int  (*sc_on_text)(void *user, const char *utf8, size_t len); /* whole characters; nonzero ends generation */
typedef void (*sc_on_event)(void *user, const char *json);            /* one JSON object: log, progress, result    */

SC_API const char *sc_version(void);               /* "0.1.0"                              */
SC_API const char *sc_status_name(sc_status s);    /* "format"; never NULL                 */
SC_API void        sc_text_free(sc_text *t);       /* empties it; safe twice, NULL allowed */
SC_API void        sc_tokens_free(sc_tokens *t);   /* likewise                             */

/* ---- options: one table per config struct gives flags, help, defaults and the run record ---------- */

typedef struct sc_options sc_options;                         /* one table; constant, never closed */
SC_API const sc_options *sc_options_for(const char *name);   /* "runtime", "model", "session", "prompt_cache", "sample", "pull", "push", "convert", "init", "merge", "prepare", "serve", "eval", "eval_compare", "judge", "judge_audit", "judge_prompts", "rank", "rank_server", "rank_export", "rank_report", "card", "lineage"; NULL if unknown */
SC_API void      sc_options_defaults(const sc_options *o, void *config);   /* `config`: the struct that the table is for */
/* Sets one field by name ('-' and '_' are the same). Strings are borrowed: `value` must outlive `config`. */
SC_API sc_status sc_options_set(const sc_options *o, void *config, const char *key, const char *value, sc_error *err);
SC_API bool      sc_options_has(const sc_options *o, const char *key, bool *is_flag); /* is_flag: takes no value */
SC_API const char *sc_options_nearest(const sc_options *o, const char *key, int *distance); /* closest name, for messages */
SC_API sc_status sc_options_help(sc_text *out, const sc_options *o);   /* the lines of --help                   */
/* Row i for help, manuals and completion; false beyond the last. Strings live as long as the table. */
typedef struct {
    const char *name;      /* with '_'                                          */
    const char *value;     /* what its value is called: "N", "TEXT", "a|b|c"; NULL: a flag */
    const char *fallback;  /* default; NULL: none                               */
    const char *help;
} sc_option_row;
SC_API bool      sc_options_row(sc_option_row *out, const sc_options *o, size_t i);    /* as sc_option_row says */
SC_API int       sc_name_distance(const char *a, const char *b);       /* single-letter mistakes between two names, for "did you mean" */
SC_API sc_status sc_options_record(sc_text *out, const sc_options *o, const void *config); /* JSON object       */

/* A file of settings: YAML, one map. Scalars are as they are written, lists become "a,b", maps of scalars "a=b,c=d"; what is empty is left out. */
typedef enum { SC_SETTING_TEXT, SC_SETTING_LIST, SC_SETTING_MAP } sc_setting_kind;
typedef struct { const char *key, *value; sc_setting_kind kind; int line; } sc_setting;   /* and where it stands, from 1 */
typedef struct { sc_setting *at; size_t n; void *memory; } sc_settings;   /* in the order of the file */
SC_API sc_status sc_settings_read(sc_settings *out, const char *path, sc_error *err);   /* SC_E_FORMAT names the line */
SC_API void      sc_settings_free(sc_settings *s);

/* ---- runtime ------------------------------------------------------------------------------------------------- */

typedef struct sc_runtime sc_runtime;   /* threads, kernels, event sink; the root of everything else */
typedef struct {
    int64_t     threads;      /* 0: one per core                                              */
    const char *kernels;      /* "auto", "scalar", "avx2", "avx512"                            */
    const char *activations;  /* "auto", "f32", "int8": what matrix products multiply with     */
    uint64_t    memory_limit; /* bytes; 0: what the machine has                                */
    const char *mpi;          /* "none", "auto" (the launcher that started this process), "openmpi", "mpich": ranks that work together; NULL: none */
    sc_on_event on_event;     /* may be NULL                                                   */
    void       *user;
} sc_runtime_config;          /* options "runtime" */
SC_API sc_status sc_runtime_open(sc_runtime **out, const sc_runtime_config *c, sc_error *err);   /* starts the threads */
/* The MPIs that this program can open: "openmpi, mpich", "" for none. Reads STARCHAT_MODULES. */
SC_API void      sc_mpi_modules(char out[32]);
/* Which of the processes that work together this one is, from 0, and how many there are. */
SC_API void      sc_runtime_ranks(const sc_runtime *rt, int *rank, int *size);
SC_API bool      sc_runtime_failed_together(const sc_runtime *rt);   /* whether the last failure is that of all of them */
/* After a failure: ends the other processes too, if they do not know of it; returns only if they do. */
SC_API void      sc_runtime_abandon(sc_runtime *rt);
SC_API void      sc_runtime_close(sc_runtime *rt);        /* after all models and sessions          */
SC_API void      sc_cancel(sc_runtime *rt);               /* running work returns SC_E_CANCELLED soon */
SC_API void      sc_cancel_reset(sc_runtime *rt);         /* allows new work after a cancel         */
SC_API sc_status sc_runtime_describe(sc_text *out, const sc_runtime *rt);  /* JSON: threads, kernels, CPU features, memory */
SC_API sc_status sc_runtime_measure(sc_text *out, sc_runtime *rt, sc_error *err); /* JSON: read bandwidth GB/s, f32 and int8 peak; takes about a second */

/* ---- tokenizer ----------------------------------------------------------------------------------------------- */

typedef struct sc_tokenizer sc_tokenizer;       /* vocabulary and merges of a byte-level BPE; immutable */
/* `path`: tokenizer.json, a directory that holds one, or a .gguf file. */
SC_API sc_status sc_tokenizer_open(sc_tokenizer **out, const char *path, sc_error *err);
SC_API void      sc_tokenizer_close(sc_tokenizer *t);
SC_API size_t    sc_tokenizer_vocab(const sc_tokenizer *t);   /* ids are 0 .. vocab-1 */
/* Text to ids. Without `allow_special` no byte of `text` can become a special token. Invalid UTF-8 is replaced by
 * U+FFFD as the reference does. Adds no begin or end token. */
SC_API sc_status sc_encode(sc_tokens *out, const sc_tokenizer *t, const char *text, size_t len, bool allow_special, sc_error *err);
/* Ids to bytes; broken characters become U+FFFD; special tokens are written unless `skip_special`. */
SC_API sc_status sc_decode(sc_text *out, const sc_tokenizer *t, const int32_t *id, size_t n, bool skip_special, sc_error *err);
SC_API int32_t   sc_token_id(const sc_tokenizer *t, const char *content);   /* a whole token's text; -1 if none */

/* ---- chat templates ------------------------------------------------------------------------------------------ */

typedef struct sc_template sc_template;         /* a chat template without a model; immutable */
/* `name`: a built-in (no_system = starchat, starchat-blog, default, alpaca, chatml), a Jinja file, a model directory
 * or .gguf that carries one. */
SC_API sc_status sc_template_open(sc_template **out, const char *name, sc_error *err);
SC_API void      sc_template_close(sc_template *t);
/* `request`: JSON {"messages":[...],"add_generation_prompt":bool,"now":"2024-07-26T13:45:09"?, any other variable}. */
SC_API sc_status sc_template_render(sc_text *out, const sc_template *t, const char *request, size_t len, sc_error *err);

/* ---- model --------------------------------------------------------------------------------------------------- */

typedef struct sc_model sc_model;   /* weights + tokenizer + template; immutable */
typedef struct {
    const char *path;          /* Hugging Face directory or .gguf file                                 */
    const char *chat_template; /* built-in name or Jinja file; NULL or "": the model's own             */
    const char *adapter;       /* PEFT adapter directory on top; NULL or "": none                      */
    bool        no_tokenizer;  /* open weights alone (speed tests)                                     */
} sc_model_config;             /* options "model" */
/* The base that the adapter directory at `path` is for (base_model_name_or_path): a path if one is there, seen from the
 * adapter or from here, else the name as it stands. data NULL: `path` is no adapter. sc_model_open opens such a directory
 * with its base when that is a path. */
SC_API sc_status sc_adapter_base(sc_text *out, const char *path, sc_error *err);
SC_API sc_status sc_model_open(sc_model **out, sc_runtime *rt, const sc_model_config *c, sc_error *err);   /* weights stay in the mapped file until they are used */
/* A PEFT adapter on an open model without one, as a model of its own (tokenizer, template, end tokens ...) that shares the weights:
 * they are in memory once, and sc_sessions_append takes sessions of the base and its variants together. Its logits have the
 * bits of the adapter opened alone. What it replaces beyond low-rank pairs, token rows and the tables of tokens is
 * SC_E_UNSUPPORTED. `chat_template` as of sc_model_config. Base and variants may be closed in any order. */
SC_API sc_status sc_model_open_variant(sc_model **out, sc_model *base, const char *adapter, const char *chat_template, sc_error *err);
SC_API void      sc_model_close(sc_model *m);
SC_API sc_status sc_model_describe(sc_text *out, const char *path, sc_error *err); /* JSON of `show`; reads headers only */
SC_API const sc_tokenizer *sc_model_tokenizer(const sc_model *m);   /* borrowed; NULL if opened without    */
SC_API size_t    sc_model_context(const sc_model *m);               /* longest context it was trained for  */
SC_API sc_status sc_encode_chat(sc_tokens *out, const sc_model *m, const sc_message *msg, size_t n, sc_error *err); /* ends where the assistant begins */
SC_API bool      sc_model_has_chat(const sc_model *m);               /* a chat template is there             */
SC_API bool      sc_model_adds_bos(const sc_model *m, int32_t *id); /* the model file wants its begin token before plain prompts */
SC_API int32_t   sc_model_first_token(const sc_model *m);           /* what an empty text begins with: the begin token, else the end token; -1: none */
/* text[0..context_len) and what follows it, as lm-evaluation-harness encodes them: white space at the end of the context goes to the continuation; both
 * are encoded together and divided behind the context's own number of tokens; an empty context is sc_model_first_token. *from: where the continuation
 * begins in *out; it may be empty. */
SC_API sc_status sc_encode_pair(sc_tokens *out, size_t *from, const sc_model *m, const char *text, size_t context_len, size_t len, sc_error *err);
SC_API const char *sc_model_notice(const sc_model *m);              /* what opening had to add or change, one sentence a line; "" if nothing */

/* ---- session: one timeline of tokens and their cache ---------------------------------------------------------- */

typedef struct sc_session sc_session;   /* opened on a model, which must outlive it */
typedef struct {
    int64_t     context;     /* most tokens it can hold; 0: the model's own, capped at 8192 */
    const char *cache_type;  /* "f16", "f32" or "q8_0"                   */
    int64_t     chunk;       /* most rows in one forward pass            */
} sc_session_config;         /* options "session" */
SC_API sc_status sc_session_open(sc_session **out, sc_model *m, const sc_session_config *c, sc_error *err);   /* its past is empty */
SC_API void      sc_session_close(sc_session *s);
/* Makes the past equal to id[0..n): keeps the common prefix, rewinds what differs, computes the rest. n >= 1.
 * More tokens than the context holds is SC_E_ARGUMENT with both numbers; nothing is cut silently. */
SC_API sc_status sc_session_sync(sc_session *s, const int32_t *id, size_t n, sc_error *err);
/* Appends id[i] to session i of n, of one model and its variants, in one pass: the weights are read once for all. Each gets the logits that
 * it would get alone. Every session needs room for one more token. */
SC_API sc_status sc_sessions_append(sc_session *const *s, const int32_t *id, size_t n, sc_error *err);
SC_API size_t    sc_session_length(const sc_session *s);     /* tokens of the past */
SC_API size_t    sc_session_capacity(const sc_session *s);   /* most it can hold   */
SC_API size_t    sc_session_reused(const sc_session *s);   /* tokens the last sync did not have to compute */
SC_API const float *sc_session_logits(const sc_session *s, size_t *vocab);   /* after the last token; until the next call */
/* Log-probabilities of id[from..n) each given all before it; leaves the past at id[0..n). logprob has room for
 * n-from, and greedy (may be NULL) says for each whether it was the most probable. from >= 1. */
SC_API sc_status sc_session_score(double *logprob, bool *greedy, sc_session *s, const int32_t *id, size_t n, size_t from, sc_error *err);

typedef struct { int32_t id; float logprob; } sc_candidate;   /* a token that might have come; natural logarithm */
/* One generated token: its text bytes as decoded so far may be incomplete characters. */
typedef struct { int32_t id; double logprob; const sc_candidate *top; size_t n_top; } sc_step;   /* logprob: NaN without config.logprobs */
typedef int (*sc_on_step)(void *user, const sc_step *step);   /* nonzero ends generation */

typedef struct {
    int64_t  max_tokens;         /* -1: until the context is full                                             */
    double   temperature;        /* 0: greedy                                                                 */
    int64_t  top_k;              /* 0: off                                                                    */
    double   top_p;              /* 1: off                                                                    */
    double   min_p;              /* 0: off                                                                    */
    double   typical_p;          /* 1: off                                                                    */
    double   repeat_penalty;     /* 1: off; divides positive and multiplies negative logits of seen tokens    */
    double   frequency_penalty;  /* 0: off                                                                    */
    double   presence_penalty;   /* 0: off                                                                    */
    int64_t  repeat_last_n;      /* window of the three penalties; -1: all                                    */
    uint64_t seed;
    int64_t  logprobs;           /* how many alternatives a step reports                                      */
    bool     ignore_eos;         /* end tokens do not end generation                                          */
    int64_t  speculate;          /* most tokens guessed ahead from the text so far; changes speed alone; 0: none */
    const char *const *stop;     /* n_stop strings; the answer ends before the first that appears             */
    size_t   n_stop;
    const int32_t *stop_id;      /* besides the model's own end tokens                                        */
    size_t   n_stop_id;
    const sc_candidate *logit_bias; /* id and a number added to its logit                                     */
    size_t   n_logit_bias;
    sc_on_step on_step;          /* may be NULL                                                               */
} sc_sample_config;              /* options "sample" (numbers only) */

/* Overwrites the values that the model's generation_config.json gives (temperature, top_k, top_p, min_p, penalty). */
SC_API sc_status sc_model_sample_defaults(const sc_model *m, sc_sample_config *c, sc_error *err);

typedef enum { SC_STOP_END, SC_STOP_STRING, SC_STOP_LENGTH, SC_STOP_CONTEXT, SC_STOP_CALLBACK } sc_stop;   /* why generation ended */
typedef struct {
    sc_stop reason;
    size_t  tokens;              /* generated, the end token not counted          */
    size_t  passes, guessed;     /* passes through the model; tokens that had been guessed right and took none */
    double  seconds;             /* of generating                                 */
    const char *stop_string;     /* borrowed from the config, with SC_STOP_STRING */
} sc_generation;                 /* what sc_session_generate did                  */
/* Continues from the present past (which needs at least one token). Text goes to `emit` in whole characters, held
 * back while it may be the start of a stop string. After return the past ends with the last token whose text was
 * not cut off. Samplers run in the order documented in docs/sampling.md. */
SC_API sc_status sc_session_generate(sc_generation *out, sc_session *s, const sc_sample_config *c, sc_on_text emit, void *user, sc_error *err);
/* Tokens of a fill-in-the-middle prompt in the model's own form; SC_E_UNSUPPORTED if it has none. */
SC_API sc_status sc_encode_fim(sc_tokens *out, const sc_model *m, const char *prefix, const char *suffix, sc_error *err);

/* ---- prompt cache: what sessions have read, on disk ------------------------------------------------------------- */

/* A directory of files for the owner alone. They hold the state of prompts, from which their text can be found out. Any
 * number of processes may use one. What is damaged, or of another model, version or machine, is never used. A cache belongs
 * to one thread at a time. */
typedef struct sc_prompt_cache sc_prompt_cache;
typedef struct {
    const char *directory;            /* as of sc_prompt_cache_home                                            */
    bool        prompt_cache;         /* for commands: whether to use one                                      */
    int64_t     prompt_cache_mib;     /* most MiB of all files; what was used longest ago is removed           */
    double      prompt_cache_seconds; /* what takes less to read again is not kept                             */
} sc_prompt_cache_config;             /* options "prompt_cache" */
SC_API sc_status sc_prompt_cache_home(sc_text *out, sc_error *err);   /* reads STARCHAT_HOME, XDG_CACHE_HOME, HOME */
/* SC_E_IO: others than the owner may write there. The directory is made when something is kept. */
SC_API sc_status sc_prompt_cache_open(sc_prompt_cache **out, const sc_prompt_cache_config *c, sc_error *err);
SC_API void      sc_prompt_cache_close(sc_prompt_cache *c);
/* Takes into the past what is kept of the longest beginning of id[0..n-1), if that is more than the session has of it. Sync
 * then computes the rest, with the same bits as without. Returns how many tokens came from disk. `c` NULL: none. Files that
 * are no use are removed; events of the runtime tell: {"event":"detail","text":...}. */
SC_API size_t    sc_session_restore(sc_session *s, sc_prompt_cache *c, const int32_t *id, size_t n);
/* Tokens of the past that sc_session_keep would keep; 0 where they are few or quick to read again. */
SC_API size_t    sc_session_unkept(const sc_session *s, const sc_prompt_cache *c);
/* Writes the past, if that pays; *kept: tokens that are on disk now, 0: it does not pay. `is_over` (may be NULL) is asked
 * between files: true ends it early. */
SC_API sc_status sc_session_keep(size_t *kept, sc_session *s, sc_prompt_cache *c, bool (*is_over)(void *user), void *user, sc_error *err);
SC_API sc_status sc_prompt_cache_describe(sc_text *json, const sc_prompt_cache *c);   /* {"directory","files","bytes","max_bytes"} */
SC_API uint64_t  sc_prompt_cache_clear(sc_prompt_cache *c);                           /* removes all; returns bytes   */

/* ---- conversations: trees of messages, shared by all processes of one person ------------------------------------ */

/* One SQLite file, HOME/conversations.db, for the owner alone. Any number of processes and threads may use it; a handle may
 * be shared by threads. Texts given are repaired: whole UTF-8, no NUL. JSON results have the shapes of docs/page-api.md;
 * times are seconds since 1970, ids are strings without meaning. */
typedef struct sc_talks sc_talks;
/* `home`: as of sc_store_home; made if it is not there; ":memory:": of this handle alone, gone when it is closed. Answers
 * whose writer died become "stopped". A damaged file is set aside (SC_E_FORMAT, the message says where), the next open begins
 * a new one; one of a newer version is SC_E_UNSUPPORTED. */
SC_API sc_status sc_talks_open(sc_talks **out, const char *home, sc_error *err);
SC_API void      sc_talks_close(sc_talks *t);         /* answers still being written by it become "stopped" */
/* {"conversations":[{"id","title","created","updated","model","messages","snippet"?}],"more"}, newest first. `query`: words
 * (beginnings of them are enough) that stand in the title or in one message; NULL or "": all. `limit`: 0: 50. `before`:
 * only what was updated before that time; 0: all. Conversations of the same time as the last one come with it. */
SC_API sc_status sc_talks_list(sc_text *json, sc_talks *t, const char *query, int64_t limit, double before, sc_error *err);
/* `fields`: NULL, or a JSON object with any of title, model, system, settings and few_shot (name of the few-shot prompt, of
 * the terminal chat); *json: the conversation with its messages, none. */
SC_API sc_status sc_talks_create(sc_text *json, sc_talks *t, const char *fields, sc_error *err);
/* An unknown id is SC_E_ARGUMENT, here and below. */
SC_API sc_status sc_talks_get(sc_text *json, sc_talks *t, const char *id, sc_error *err);
/* As for create, and leaf (id of a message, or null). *json: the conversation without messages. */
SC_API sc_status sc_talks_update(sc_text *json, sc_talks *t, const char *id, const char *fields, sc_error *err);
SC_API sc_status sc_talks_delete(sc_talks *t, const char *id, sc_error *err);   /* with all branches */
typedef struct {
    const char *parent;          /* id; NULL: a root                                                       */
    const char *role;            /* "user", "assistant" (whose parent is a message of the user)            */
    const char *content; size_t len;
    const char *model;           /* NULL: none                                                             */
    const char *status;          /* NULL: "done"; "generating": begins an answer, to be written by this handle */
    const char *stats, *error;   /* stats: a JSON object; NULL: none                                       */
} sc_talks_message;              /* a message to be added                                                  */
/* A new message; the leaf moves to it, and the first one of the user gives the title if there is none. *json: the message. */
SC_API sc_status sc_talks_add(sc_text *json, sc_talks *t, const char *id, const sc_talks_message *m, sc_error *err);
/* One message, with the id of its conversation: {"conversation","id","parent","role","content",...}. */
SC_API sc_status sc_talks_message_get(sc_text *json, sc_talks *t, const char *message, sc_error *err);
/* An answer that is whole is "generating" again, written by this handle. *json: the message. */
SC_API sc_status sc_talks_answer_continue(sc_text *json, sc_talks *t, const char *message, sc_error *err);
/* The whole text so far of an answer that this handle writes. Cheap with status "generating": goes to the file every 250 ms at
 * most, never waits for others, and what is left out comes with a later call. Any other status ends the answer and waits until
 * it is written. `stats` (JSON object) and `error` may be NULL. SC_E_ARGUMENT: it is not being written by this handle, or was deleted. */
SC_API sc_status sc_talks_answer_write(sc_talks *t, const char *message, const char *text, size_t len, const char *status, const char *stats, const char *error, sc_error *err);
/* What stands before an answer, for the prompt: messages from the root to `leaf` (NULL: the conversation's own), the system
 * message first if there is one. Neighbours of one role are one message, its id that of the last; answers that are empty
 * because they failed are left out. id of a system message: NULL. */
typedef struct { sc_message *message; const char **id; size_t n; } sc_talks_path;
SC_API sc_status sc_talks_path_get(sc_talks_path *out, sc_talks *t, const char *id, const char *leaf, sc_error *err);   /* of conversation `id` */
SC_API void      sc_talks_path_free(sc_talks_path *p);
/* `id` NULL: all. `format`: "json" (nothing is lost), "markdown" (one conversation, the path to its leaf). */
SC_API sc_status sc_talks_export(sc_text *out, sc_talks *t, const char *id, const char *format, sc_error *err);
/* Such an export, a file of `chat` (/save), Markdown as exported, or conversations.json of ChatGPT; all of it or nothing.
 * What is there already is skipped; the same id with other messages becomes a copy. `what` names the file in messages.
 * *json: {"imported","skipped","ids"}. */
SC_API sc_status sc_talks_import(sc_text *json, sc_talks *t, const char *text, size_t len, const char *what, sc_error *err);
/* Files that `chat` of version 0.1.0 kept in HOME/conversations: imports them once, then the directory is called
 * conversations.imported. *note: a sentence for people; data NULL: there was nothing to do. */
SC_API sc_status sc_talks_import_kept(sc_text *note, sc_talks *t, sc_error *err);

/* ---- jobs on model files ---------------------------------------------------------------------------------------- */

typedef struct {
    const char *in, *out;  /* Hugging Face directory or .gguf                                 */
    const char *type;      /* f32 f16 bf16 q8_0 q4_0 q4_1 q5_0 q5_1 q4_k_m q5_k_m q6_k; "": keep */
    bool        overwrite;
    const char *calibrate; /* text that tells by running the model over it which columns matter; NULL or "": none */
    int64_t     calibrate_tokens; /* most tokens of it that are read; 0: all                  */
    const char *imatrix;   /* file of an importance matrix (GGUF): written with `calibrate`, else read; NULL or "": none */
    sc_on_event on_event; void *user;
} sc_convert_config;       /* options "convert" */
SC_API sc_status sc_convert(sc_runtime *rt, const sc_convert_config *c, sc_error *err);   /* tensor by tensor; `out` appears when it is whole */

typedef struct {
    const char *config, *out; /* config.json; a directory or a .gguf file                      */
    const char *tokenizer;    /* tokenizer.json to copy in; "": none                           */
    const char *type;         /* storage type of the matrices                                  */
    uint64_t    seed;
    bool        overwrite;
    sc_on_event on_event; void *user;
} sc_init_config;             /* options "init" */
SC_API sc_status sc_init(sc_runtime *rt, const sc_init_config *c, sc_error *err);   /* a model with random weights, by `seed` */

/* ---- dialogues ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *const *inputs; size_t n_inputs; /* files, directories, globs; with ":0.5" behind one a weight     */
    const char *out;           /* directory (prepare) or .jsonl file (convert)                                 */
    const char *tokenizer;     /* model, directory or tokenizer.json                                           */
    const char *chat_template; /* built-in name or Jinja file; NULL or "": the model's own                     */
    int64_t     block_size;    /* tokens of a packed row, and most tokens of a sample                          */
    const char *packing;       /* best_fit, none, chop                                                         */
    const char *overlength;    /* split, truncate, drop, error                                                 */
    const char *train_on;      /* assistant, last, all, blog                                                   */
    double      test_size;     /* share of the test split; 0: none                                             */
    const char *split_by;      /* tree, row                                                                    */
    const char *on_error;      /* stop, skip                                                                   */
    const char *dedup;         /* exact, near, none                                                            */
    const char *turns;         /* merge, drop, error: empty or one-sided turns                                 */
    bool        redact;        /* replace secrets and personal data                                            */
    const char *lang;          /* "en", "en,de"; NULL or "": all                                               */
    bool        best_only, drop_user_end, reviewed_only, keep_deleted, keep_synthetic, all_states; /* OpenAssistant trees */
    int64_t     min_turns;
    const char *overlap;       /* file or directory of evaluation sets to compare with; NULL or "": none       */
    bool        drop_overlap;  /* leave dialogues that overlap out                                             */
    uint64_t    seed;
    bool        overwrite;
    sc_on_event on_event; void *user;
} sc_prepare_config;          /* options "prepare" */
/* Dialogues to token shards with labels and dataset.json; the same config and files give the same bytes for any number
 * of threads. Tables need DuckDB's library: reads STARCHAT_DUCKDB (its path) and HOME. Events: {"event":"progress",...}, {"event":"dropped",...}, {"event":"done","stats":{...}}. */
SC_API sc_status sc_prepare(sc_runtime *rt, const sc_prepare_config *c, sc_error *err);
/* The same reading and cleaning, written as lines {"messages":[...]}. */
SC_API sc_status sc_data_convert(sc_runtime *rt, const sc_prepare_config *c, sc_error *err);
/* SC_OK if tables (Parquet, CSV) can be read: DuckDB's library is there. Reads STARCHAT_DUCKDB and HOME. */
SC_API sc_status sc_tables_check(sc_error *err);
typedef struct sc_dataset sc_dataset;    /* a prepared directory, memory-mapped */
SC_API sc_status sc_dataset_open(sc_dataset **out, const char *directory, sc_error *err);   /* as docs/dataset.md describes it */
SC_API void      sc_dataset_close(sc_dataset *d);
SC_API uint64_t  sc_dataset_samples(const sc_dataset *d, const char *split);   /* split NULL: all */
/* JSON {"split","row","sample","source","line","tokens":[{"id","piece","role","trained","why"}...]}. Pieces joined are
 * the exact text: bytes that are no whole character stand with the token that completes it. */
SC_API sc_status sc_dataset_sample(sc_text *json, const sc_dataset *d, const char *split, uint64_t i, sc_error *err);
SC_API sc_status sc_dataset_stats(sc_text *json, const sc_dataset *d, sc_error *err);   /* of `data stats --json` */
SC_API sc_status sc_dataset_html(sc_text *html, const sc_dataset *d, const char *split, uint64_t from, uint64_t n, sc_error *err);   /* n samples as a page; n 0: the statistics with plots */
/* Checks checksums and labels: no untrained shard, no trained user token, no untrained end token, no unknown id. */
SC_API sc_status sc_dataset_verify(const sc_dataset *d, sc_error *err);

/* ---- training ------------------------------------------------------------------------------------------------------- */

/* One recipe, as the YAML of `starchat train` has it; names and meanings are those of the original StarChat config.yaml
 * and of Hugging Face's TrainingArguments where they exist there. Strings belong to the recipe (or the caller). */
typedef struct {
    /* what is trained on what */
    const char *model_name_or_path;      /* Hugging Face directory, .gguf file or stored name                    */
    const char *const *datasets; size_t n_datasets;           /* dataset_name: files, directories, globs, a prepared
                                            directory; ":0.5" behind one is its weight                            */
    const char *const *eval_datasets; size_t n_eval_datasets; /* eval_dataset_name: held-out dialogues; none: the
                                            test split of the data (test_size)                                    */
    const char *dialogue_template;       /* built-in name or Jinja file; "": the model's own                     */
    int64_t     block_size;              /* tokens of a packed row                                               */
    const char *packing, *overlength, *train_on, *dedup, *lang;   /* as of sc_prepare_config                     */
    double      test_size;               /* share of the dialogues held out                                      */
    const char *loss_type;               /* sft, dpo, orpo                                                       */
    double      beta;                    /* of dpo and orpo                                                      */
    /* which parameters, how stored */
    int64_t     lora_r;                  /* 0: no adapters, everything is trained                                */
    const char *init_adapter;            /* PEFT directory to go on from; "": a fresh adapter                    */
    double      lora_alpha, lora_dropout;
    const char *lora_target_modules;     /* PEFT's names with commas, or all-linear                              */
    bool        use_rslora;
    const char *train_new_tokens;        /* auto (if the template added tokens), true, false                     */
    const char *init_new_tokens;         /* mean (of all rows, as transformers); end: the template's end token begins as the model's own */
    const char *quantize_base;           /* "" as stored; nf4, q8_0, q4_0 ...: of the frozen base under LoRA     */
    const char *weights;                 /* f32, bf16 (with f32 master), bf16_stochastic (without)               */
    bool        bf16;                    /* the original's key: weights bf16                                     */
    const char *optim;                   /* adamw_torch, adamw_8bit, sgd ...                                     */
    bool        recompute;               /* gradient_checkpointing: blocks are computed again going backward     */
    /* how much */
    double      num_train_epochs;
    int64_t     max_steps;               /* -1: as num_train_epochs says                                         */
    int64_t     per_device_train_batch_size, gradient_accumulation_steps;
    int64_t     total_train_batch_size;  /* rows of an optimiser step, instead of the two; 0: their product      */
    int64_t     per_device_eval_batch_size;
    bool        rows_per_rank;           /* set by sc_recipe_config where no total was given: total_train_batch_size counts once for each rank */
    /* over several processes */
    int64_t     zero;                    /* stage of ZeRO: what is shared out over ranks; one rank keeps everything */
    int64_t     heartbeat_seconds;       /* a rank that was silent for so long is dead                           */
    bool        trace;                   /* output_dir/trace.json: what each rank did when                       */
    /* optimisation */
    double      learning_rate, weight_decay, max_grad_norm, adam_beta1, adam_beta2, adam_epsilon, momentum;
    const char *lr_scheduler_type;       /* cosine, linear, constant, constant_with_warmup, warmup_lr            */
    double      warmup_ratio;
    int64_t     warmup_steps;            /* above 0 it wins over warmup_ratio                                    */
    double      attn_pdrop, resid_pdrop, embd_pdrop;   /* the model's own dropout; 0: none, whatever its config says */
    double      neftune_noise_alpha;     /* 0: off                                                               */
    /* when what is looked at and kept */
    const char *evaluation_strategy, *save_strategy;   /* no, steps, epoch                                       */
    int64_t     eval_steps, logging_steps, save_steps, save_total_limit;   /* save_total_limit 0: all are kept   */
    bool        logging_first_step, load_best_model_at_end;
    int64_t     early_stopping_patience; /* evaluations without a better loss; 0: never                          */
    int64_t     eval_samples;            /* answers generated at every evaluation                                */
    const char *eval_tasks, *eval_data;  /* benchmarks at every evaluation, as sc_eval_config's tasks and data; "": none */
    int64_t     eval_tasks_limit, eval_tasks_num_fewshot;   /* documents of each; examples, -1: as the task says */
    bool        eval_tasks_apply_chat_template;             /* asked through the chat template                   */
    double      max_loss_spike;          /* a step whose loss is this many standard deviations above the mean of
                                            the last 128 is left out; 0: never                                   */
    uint64_t    seed;
    bool        shuffle;                 /* false: rows in the order of the data, as tests need it               */
    const char *output_dir;
    bool        overwrite_output_dir;
    const char *report_to;               /* none, tensorboard, all                                               */
    const char *activations;             /* f32                                                                  */
    const char *export_gguf;             /* "": none; storage type of a GGUF file beside the result              */
    bool push_to_hub; const char *hub_model_id, *hub_strategy, *hub_revision, *hub_allow; bool hub_private_repo, hub_always_push;   /* publishing by sc_push, as transformers does: docs/push.md */
    sc_on_event on_event; void *user;
} sc_train_config;                       /* options "train"; lists are filled by sc_recipe */

typedef struct sc_recipe sc_recipe;      /* a recipe and all its strings */
/* Reads a YAML file (NULL: defaults alone). Unknown keys are SC_E_ARGUMENT with the nearest known one; keys of the
 * original that mean nothing here are told by sc_recipe_notes. */
SC_API sc_status sc_recipe_open(sc_recipe **out, const char *path, sc_error *err);
SC_API void      sc_recipe_close(sc_recipe *r);
SC_API sc_status sc_recipe_set(sc_recipe *r, const char *key, const char *value, sc_error *err);    /* value: as in YAML   */
SC_API sc_status sc_recipe_deepspeed(sc_recipe *r, const char *path, sc_error *err);                 /* a DeepSpeed JSON    */
SC_API const char *sc_recipe_notes(const sc_recipe *r);                                              /* one sentence a line */
/* Checks what belongs together and fills what follows from other keys. Borrowed, until the recipe is closed. */
SC_API sc_status sc_recipe_config(const sc_train_config **out, sc_recipe *r, sc_error *err);
SC_API sc_status sc_recipe_record(sc_text *json, const sc_recipe *r, sc_error *err);                 /* all effective keys  */
/* Fine-tunes; resumes by itself. Events: {"event":"step","step":n,"loss":x,...}, "eval", "sample", "save", "done". */
SC_API sc_status sc_train(sc_runtime *rt, const sc_train_config *c, sc_error *err);
typedef struct { int64_t ranks; double network_gbits; } sc_plan_config;      /* network_gbits: of each rank, 10^9 bits a second; 0: not asked */
/* JSON: peak memory of a rank and what it is made of, before anything is loaded; for several ranks what they send, and with the speed
 * of their network how long that takes beside the computing, for which this machine is measured (about a second). */
SC_API sc_status sc_train_plan(sc_text *json, sc_runtime *rt, const sc_train_config *c, const sc_plan_config *plan, sc_error *err);

typedef struct { const char *base, *adapter, *out, *type; bool overwrite; sc_on_event on_event; void *user; } sc_merge_config;   /* options "merge" */
/* Adds an adapter to its base: a Hugging Face directory or, if `out` ends in .gguf, that. */
SC_API sc_status sc_merge(sc_runtime *rt, const sc_merge_config *c, sc_error *err);

/* ---- server: OpenAI's API and others', and the chat page ------------------------------------------------------------------- */

typedef struct {
    const char *host;             /* address, name, or "unix:PATH"                                             */
    int64_t     port;             /* 0: any free one                                                           */
    const char *name;             /* what the model is called in answers; NULL or "": the name given by the caller is the path's last part */
    const char *alias;            /* further names, with commas                                                */
    const char *adapters;         /* "NAME=DIRECTORY,..." PEFT adapters of the model, chosen by the field "model" */
    const char *api_key_file;     /* who may ask; NULL or "": everybody who reaches the address                */
    const char *allowed_hosts, *allowed_origins;   /* with commas; "*": any                                    */
    const char *filter;           /* YAML of rules for answers and prompts, and a classifier; NULL or "": none */
    bool        allow_public;     /* listen beyond this machine without a key                                  */
    int64_t     parallel;         /* answers computed at once; 0: 32                                           */
    int64_t     queue;            /* requests that may wait                                                    */
    int64_t     context;          /* most tokens of prompt and answer; 0: the model's, at most 8192            */
    const char *cache_type;       /* as of sc_session_config                                                   */
    int64_t     cache_mib;        /* of all keys and values; 0: a quarter of the memory, at most what `parallel` contexts take */
    int64_t     chunk;            /* most rows in one pass                                                     */
    double      stretch;          /* a pass of running answers may take this many times as long because of prompts */
    int64_t     connections, connections_each;     /* at once; from one other address                          */
    int64_t     body_mib;
    double      head_seconds, idle_seconds, write_seconds, ping_seconds, request_seconds, stop_seconds;
    bool        page;             /* the chat page at /, and /ui/...                                           */
    bool        keep_talks;       /* its conversations are kept; false: until the server ends                  */
    const char *talks_home;       /* where, as of sc_talks_open; NULL or "": nowhere, as with keep_talks false */
    bool        lockdown;         /* whether the caller means to call sc_server_lock_down; nothing happens by itself */
    const char *log_level;        /* debug, info, warn, error, none                                            */
    const char *chat_template;    /* of adapters without one of their own: as the model's sc_model_config; may be NULL */
    sc_on_event on_log;           /* one JSON object a line of the log; any thread; may be NULL                */
    void       *user;
} sc_server_config;               /* options "serve" */
typedef struct sc_server sc_server;   /* of one model and its adapters */
/* What can be seen to be wrong without a model: a public address without keys, a key file that cannot be used. */
SC_API sc_status sc_server_check(const sc_server_config *c, sc_error *err);
/* The model, and `cache` (NULL: none), must outlive the server. It listens when this returns. SC_E_ARGUMENT: a public address without keys. */
SC_API sc_status sc_server_open(sc_server **out, sc_runtime *rt, sc_model *m, sc_prompt_cache *cache, const sc_server_config *c, sc_error *err);
SC_API int       sc_server_port(const sc_server *s);   /* where it listens */
/* Gives up for the whole process and for good what a server does not need (Landlock, seccomp): no files but conversations, the prompt cache, the key file, the removing
 * of its socket, and all beneath `paths` (files or directories, which must be there); no programs, no processes, no connections to others, no code that was not
 * there before. Call it when all is open, before sc_server_run. What this kernel cannot do is logged and is no failure. */
SC_API sc_status sc_server_lock_down(sc_server *s, const char *const *paths, size_t n, sc_error *err);
SC_API sc_status sc_server_run(sc_server *s, sc_error *err);       /* until it is stopped */
/* Takes no more requests, finishes those that run for up to stop_seconds, then ends sc_server_run; with `now` it ends at once. Any thread. */
SC_API void      sc_server_stop(sc_server *s, bool now);
/* Reads the key file again; requests that run and connections stay. Any thread. If it cannot be used, the keys from before stay. */
SC_API sc_status sc_server_reload(sc_server *s, sc_error *err);
SC_API void      sc_server_close(sc_server *s);
/* Makes a key of 192 bits and appends the line "sha256:HEX NAME" to a file of keys (made 0600 if it is not there); only *key, which is kept nowhere,
 * has the key itself. name: printable, at most 47 bytes; NULL or "": none. */
SC_API sc_status sc_key_new(sc_text *key, const char *path, const char *name, sc_error *err);

/* ---- evaluation: benchmarks as EleutherAI's lm-evaluation-harness measures them ------------------------------------------------- */

typedef struct {
    const char *tasks;            /* "arc_challenge,mmlu,my.yaml": tasks, groups and files of tasks          */
    const char *data;             /* directory with the data files                                            */
    const char *out;              /* results as JSON, all samples in them; NULL or "": not written          */
    const char *report;           /* results as a page, .html or .md; NULL or "": not written                 */
    const char *requests;         /* every request as a line of JSON, for comparisons; NULL or "": not written */
    int64_t     num_fewshot;      /* examples before a question; -1: as the task says                        */
    bool        apply_chat_template;      /* asks through the model's chat template (sc_model_config)        */
    const char *fewshot_as_multiturn;     /* auto (true), true, false: with a template, each example is a turn */
    const char *system_instruction;       /* before all else, with a template the system's message; NULL or "": none */
    double      limit;            /* only the first so many documents, below 1: such a share; 0: all         */
    bool        log_samples;      /* with every sample                                                        */
    const char *samples;          /* stored programs of a task of code, which are run instead of asking the model (which may be NULL then); NULL or "": none */
    int64_t     fewshot_seed;     /* of which examples                                                         */
    int64_t     chunk;            /* most rows in one forward pass                                              */
    const char *cache_type;       /* as of sc_session_config                                                    */
    const char *contamination;    /* training data, "a,b": prepared directories or files of dialogues; NULL or "": not checked */
    const char *python;           /* the interpreter of programs in Python, such as a virtual environment's with libraries; NULL or "": python3 of program_path */
    const char *program_path;     /* where compilers and interpreters of tasks of code are looked for, as in $PATH; NULL: the system's; no option */
    bool        dry_run;          /* makes the requests, asks no model (which may be NULL then)                  */
} sc_eval_config;                 /* options "eval" */
/* Runs the tasks; *out becomes the results in lm-eval's shape (JSON). Events tell of progress. Works over the runtime's ranks. */
SC_API sc_status sc_eval(sc_text *out, sc_runtime *rt, sc_model *m, const sc_eval_config *c, sc_error *err);
/* What there is to run: JSON [{"task","groups":[],"about","output_type","files":{},"licence"}]. */
SC_API sc_status sc_eval_tasks(sc_text *out, sc_error *err);

typedef struct {
    const char *out;              /* the comparison as a page, .html or .md; NULL or "": not written           */
    const char *metric;           /* "acc" or "acc,none"; NULL or "": all                                       */
    const char *cluster;          /* questions with the same value of this column of a document are drawn together; "COLUMN:X": up to its last X */
    int64_t     seed;             /* of the draws                                                               */
    int64_t     draws;            /* of the bootstrap                                                           */
    bool        allow_different_prompts;
} sc_eval_compare_config;         /* options "eval_compare" */
/* Two files of results, of sc_eval or of lm-eval (results_DATE.json with samples_TASK_DATE.jsonl beside it), question by question. *out: JSON {"a":{"file",
 * "model"},"b":{},"tasks":[{"name","metric","filter","pairs","a","b","difference" (b - a; log of b / a for perplexities),"stderr","low","high" (95 %),"test",
 * "p","p_holm","smallest" (difference that would have been seen),"verdict"}],"groups":[],"notes":[]}. SC_E_ARGUMENT where the prompts differ. */
SC_API sc_status sc_eval_compare(sc_text *out, const char *a, const char *b, const sc_eval_compare_config *c, sc_error *err);
/* A page (.html or .md) about a file of results: scores with intervals, settings, data, instructive samples, limits. */
SC_API sc_status sc_eval_report(const char *results, const char *out, sc_error *err);

#ifdef __cplusplus
}
#endif

#include "starchat_doctor.h"    /* what the machine has */
#include "starchat_hub.h"       /* the account on the Hub */
#include "starchat_judge.h"     /* judging */
#include "starchat_push.h"      /* publishing */
#include "starchat_card.h"      /* model cards and lineage */
#include "starchat_rank.h"      /* human evaluation */
#include "starchat_store.h"     /* the store of models */
#endif
