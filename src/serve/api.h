/* api.h - requests of several dialects (OpenAI, Mistral, llama.cpp, TGI, Ollama) and their answers. A request goes through three hands: the
 * loop's thread checks who asks, a thread of its own reads the body and makes tokens of it, the engine answers; formatting is the
 * loop's again. A dialect is a row of functions, a route is a row of the table in routes.c. */
#ifndef API_H
#define API_H

#include "engine/engine.h"
#include "serve/http.h"

struct sc_server;
struct call;

/* ---- errors ---------------------------------------------------------------------------------------------------------------------- */

/* `param` and `code` may be NULL. Constant strings, but for the message and, where it comes from the request, the param. */
struct api_error { int status; const char *type, *code; char param[64], message[512]; size_t n_prompt, n_context; };
/* All return false, so that a reader can say `return api_fail(...)`. */
bool api_fail(struct api_error *e, int status, const char *type, const char *code, const char *param, const char *format, ...) __attribute__((format(printf, 6, 7)));
bool api_bad(struct api_error *e, const char *param, const char *format, ...) __attribute__((format(printf, 3, 4)));       /* 400 invalid_request_error */
bool api_failed(struct api_error *e, const sc_error *err);       /* of the library: its status decides */
void api_error_json(struct buf *out, const struct api_error *e);                          /* OpenAI's shape */
void api_put_text(struct buf *out, const char *text);            /* a JSON string; what was cut in the middle of a character is repaired */

/* ---- wishes: wish.c ------------------------------------------------------------------------------------------------------------------ */

/* What a request asks for, in whatever dialect. */
struct wish {
    sc_sample_config sample;         /* numbers only */
    int64_t max_tokens, n, best_of, logprobs, top_logprobs, min_tokens, seed, n_probs;         /* logprobs, n_probs, seed -1: not given */
    double milliseconds_max;
    bool stream, echo, has_logprobs, keeps_stop, caches, timings, progress, include_usage, raw, parses_special, truncate, return_full_text, details, decoder_details;
    bool does_sample, has_does_sample, has_temperature;
    const json_t *stop, *stop_ids, *bias, *allowed, *bad_words, *response_format, *grammar, *json_schema, *prediction, *tools, *tool_choice, *format, *response_fields;   /* borrowed from the body */
};
/* Sets what the object has of the known fields, each within its bounds; a null counts as absent. */
bool wish_read(struct wish *w, const json_t *object, struct api_error *e);
bool wish_knows(const char *key);                                /* some dialect has a field of that name */

/* How: TOOLS_SCHEMA_ONE, the answer is the arguments of one function, held to its schema; SCHEMA_ANY, name and arguments; TEMPLATE, in the words of the model's
 * own template, which knows tools (<tool_call>{"name", "arguments"}</tool_call>). */
enum tool_mode { TOOLS_NONE, TOOLS_SCHEMA_ONE, TOOLS_SCHEMA_ANY, TOOLS_TEMPLATE };

/* ---- calls ----------------------------------------------------------------------------------------------------------------------------- */

struct choice { struct buf text; struct token_records records; struct buf held; enum finish finish; const char *stop_string; size_t tokens, guessed, rejected, task; double logprob; float *embedding; bool has_begun, is_done, is_timed; double last; size_t written; struct token_record last_token; bool has_last; };
struct dialect {
    const char *name;
    /* On the reading thread: fills c->tasks, or says what is wrong. */
    bool (*read)(struct call *c, const json_t *body, struct api_error *e);
    /* On the loop. Of a stream: headers and what comes first; progress of reading; more text of a choice; its end; the end of all.
     * Of an answer in one piece only `end` is called. */
    void (*begin)(struct call *c);
    void (*progress)(struct call *c, size_t done);               /* may be NULL */
    void (*piece)(struct call *c, size_t choice, const char *text, size_t len, const struct token_records *records);
    void (*finish)(struct call *c, size_t choice);
    void (*end)(struct call *c);
    void (*error)(struct call *c, const struct api_error *e);    /* also in the middle of a stream, which it ends; NULL: OpenAI's shape */
    const char *ping;                                            /* sent while nothing else is; NULL: nothing */
};
struct call {
    struct sc_server *server;
    struct http_exchange *x;
    const struct route *route;
    const struct dialect *dialect;
    struct call *next, *prev;            /* of all calls */
    char id[40];                         /* "chatcmpl-..." */
    int64_t created;
    uint64_t client, salt;
    struct wish wish;
    json_t *body;                        /* strings of the wish and of the tasks' sources live here */
    sc_model *model; const char *model_name;
    struct task **tasks; size_t n_tasks, n_ended, n_submitted;
    enum tool_mode tools; const char *tool_name; json_t *tool_schema;
    struct choice *choices; size_t n_choices, per_task;       /* choice = task * per_task + k */
    size_t context;                      /* most tokens of prompt and answer */
    struct buf echo_text;                /* text before the answer: for each task its length and its bytes, which may hold NUL */
    struct buf answer;                   /* what was made while reading, for requests that need no engine */
    void *state; void (*state_free)(void *state);     /* the dialect's own */
    bool is_stream, has_begun, is_over, is_cut, was_truncated;
    double last_sent, began;
    struct api_error error;
    enum task_end task_end;
    char arg[65];                        /* of the path: what stands for the '*' */
    struct { int status; const char *type; struct buf body, headers; } reply;       /* filled by a route's work */
};
/* A '*' in the path stands for an id of at most 64 letters, digits, '-' and '_'. What a route does is one of: read (a dialect), handle (on the loop), work. */
struct route {
    const char *method, *path;
    bool is_public, is_prefix;
    const struct dialect *dialect;
    void (*handle)(struct call *c);
    const char *id_prefix;
    /* On the loop, before the work; true: the call is taken over, and there is no work to do. May be NULL. */
    bool (*first)(struct call *c);
    /* On the store's thread: fills c->reply, or says what is wrong. */
    bool (*work)(struct call *c, struct api_error *e);
    /* Behind it, on the loop, also when the client has left; true: the call is taken over, and the reply not sent. May be NULL. */
    bool (*then)(struct call *c);
};
extern const struct route routes[];                              /* ends with method NULL */

/* ---- prompt.c: from a request to tokens ---------------------------------------------------------------------------------------------------- */

/* Messages as a model's template wants them. A last message of the assistant is the beginning of the answer. */
bool prompt_chat(struct call *c, struct token_list *out, const json_t *messages, const json_t *tools, struct api_error *e);
bool prompt_rendered(struct call *c, struct rendered *r, const json_t *messages, size_t n, const json_t *tools, struct api_error *e);     /* the text alone, of n messages */
bool prompt_text(struct call *c, struct token_list *out, const char *text, size_t len, struct api_error *e);     /* with the begin token, if the model wants one */
/* Of a prompt that its sender wrote whole: the marks of code with a hole count as such, all special tokens if the wish says so. */
void prompt_encode(const struct call *c, struct token_list *out, const char *text, size_t len);
bool prompt_ids(struct call *c, struct token_list *out, const json_t *ids, struct api_error *e);
bool prompt_fim(struct call *c, struct token_list *out, const char *prefix, const char *suffix, const json_t *extra, struct api_error *e);
/* The text of a message's content: a string, or a list of parts of which only text is taken. */
bool content_text(struct buf *out, const json_t *content, const char *what, struct api_error *e);

/* ---- call.c ------------------------------------------------------------------------------------------------------------------------------------ */

void call_echo(struct call *c, const char *text, size_t len);                               /* what the next task's answer begins with; broken UTF-8 is repaired */
bool call_model(struct call *c, const json_t *body, struct api_error *e);                  /* by the field "model" */
/* A task of the call's wish over these tokens, which it takes; false: the call's error says why, nothing was taken. */
bool call_add_task(struct call *c, struct token_list *prompt, struct api_error *e);
bool call_add_embedding(struct call *c, struct token_list *prompt, struct api_error *e);
void call_reply_json(struct call *c, int status, json_t *value);                            /* takes the value; the call is over */
void call_reply_buf(struct call *c, int status, const char *type, struct buf *body);        /* releases the buffer; the call is over */
void call_reply_error(struct call *c, const struct api_error *e);
bool call_answer(struct call *c, json_t *value);                                            /* takes the value: it is replied when reading is done. True */
void call_begin_stream(struct call *c, const char *type);
void call_write(struct call *c, const struct buf *b);
void call_end_stream(struct call *c);
void call_over(struct call *c, int status, uint64_t bytes);                                 /* before the exchange is answered by hand; nothing may be written behind it */
void call_free(struct call *c);                                                             /* once it is over and has no tasks that run */
void call_wish_defaults(struct call *c);
void call_last(struct call *c, struct buf *b);                                              /* call_write, then call_end_stream; releases the buffer */
double call_now(void);
/* Sums over a call for its usage. */
struct call_usage { size_t prompt, cached, completion, accepted, rejected; double prompt_seconds, seconds, first_seconds; };
struct call_usage call_usage(const struct call *c);
void put_usage(struct buf *b, const struct call_usage *u, bool has_prediction);             /* OpenAI's object */
void put_timings(struct buf *b, const struct call *c);                                      /* llama.cpp's object */
/* The n of choices of a task that are answered: the best by mean log-probability. */
void call_best(struct call *c, size_t task, size_t *index, size_t n);

const char *server_fingerprint(const struct sc_server *s);
size_t api_context(const struct call *c);
const sc_model *api_base_model(const struct call *c);
const char *api_base_name(const struct call *c);

/* ---- tools.c: functions that the model may call ------------------------------------------------------------------------------------------------- */

bool tools_choose(struct call *c, const json_t *body, struct api_error *e);
const json_t *tools_for_template(const struct call *c);
bool tools_grammar(struct call *c, struct grammar **out, struct api_error *e);              /* *out untouched where tools ask for none */
bool tools_is_call(const struct call *c);                                                   /* what is written now are arguments */
bool tools_hold(struct call *c, size_t choice, const char *text, size_t len);               /* true: this text is told at the end */
bool tools_delta(struct buf *b, struct call *c, size_t choice, const char **finish);        /* what was held, inside of a chunk */
bool tools_message(struct buf *b, struct call *c, const struct choice *ch, const char **finish);

/* ---- dialects ------------------------------------------------------------------------------------------------------------------------------------ */

extern const struct dialect dialect_chat, dialect_completion, dialect_fim, dialect_infill, dialect_llama, dialect_tgi, dialect_tgi_stream, dialect_tgi_any, dialect_ollama_chat, dialect_ollama_generate, dialect_embedding, dialect_ollama_embed, dialect_ollama_show, dialect_tokenize, dialect_detokenize, dialect_apply_template;
void handle_health(struct call *c);
void handle_models(struct call *c);
void handle_model(struct call *c);
void handle_metrics(struct call *c);
void handle_props(struct call *c);
void handle_slots(struct call *c);
void handle_tgi_info(struct call *c);
void ollama_error(struct call *c, const struct api_error *e);
void handle_ollama_tags(struct call *c);
void handle_ollama_version(struct call *c);
void handle_ollama_ps(struct call *c);
void handle_page(struct call *c);
void put_token_text(struct buf *out, const struct call *c, int32_t id);                     /* a token's bytes as they are */
void put_token_json(struct buf *out, const struct call *c, int32_t id);                     /* as a JSON string; broken bytes replaced */
void openai_chunk(struct call *c, size_t choice, const struct buf *inside);               /* of a stream: a chunk without an end */
const char *finish_name(enum finish f);                                                     /* OpenAI's: stop, length */

#endif
