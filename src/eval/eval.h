/* eval.h - benchmarks: the scores that EleutherAI's lm-evaluation-harness gives (version 0.4), from one program. Layer 5.
 *
 * The line: a task (a YAML file) -> documents (rows of the user's data files) -> asks (a document as text: context and continuations, with examples
 * before it) -> requests (tokens) -> scores or answers of the model -> metrics of a document -> results of a task -> of a group. */
#ifndef EVAL_H
#define EVAL_H

#include "data/data.h"
#include "infer/infer.h"

/* ---- python_random.c -------------------------------------------------------------------------------------------------------- */

/* CPython's random.Random(seed). */
struct python_random { uint32_t state[624]; uint32_t at; };
void     python_random_seed(struct python_random *r, uint64_t seed);
uint32_t python_random_u32(struct python_random *r);
uint32_t python_random_below(struct python_random *r, uint32_t n);                 /* randbelow: [0, n), n >= 1 */
/* out[0..k): the indices that random.sample(range(n), k) gives; k <= n. */
void     python_random_sample(size_t *out, struct python_random *r, size_t n, size_t k);

/* ---- task.c, task_file.c, task_list.c: what is asked ----------------------------------------------------------------------------- */

struct strings { char **at; size_t n; };
/* A Jinja template over the columns of a document. gives_json: it ends with "| tojson }}", and its text is a JSON value. */
struct eval_template { struct jinja *jinja; bool gives_json; };
/* ORDER eval_outputs. */
enum eval_output { EVAL_CHOICE, EVAL_LIKELIHOOD, EVAL_ROLLING, EVAL_DIALOGUE, EVAL_GENERATE, EVAL_CODE, EVAL_OUTPUTS };
extern const char *const eval_outputs[EVAL_OUTPUTS];               /* lm-eval's names; of a dialogue ours */
/* A document is a whole: nothing stands before it. */
static inline bool eval_is_whole(enum eval_output o) { return o == EVAL_ROLLING || o == EVAL_DIALOGUE; }
/* A data file of another shape than the task's templates expect: where its first row lacks some of the task's columns and has all of `needs`, each row gets
 * the columns `set`. */
struct eval_shape { struct strings needs; struct { char *column; struct eval_template value; } *set; size_t n_set; };
enum { SPLIT_TRAIN, SPLIT_VALIDATION, SPLIT_TEST, SPLITS };
extern const char *const split_names[SPLITS];
struct eval_metric_row;
struct eval_code;
/* Only the rows whose `column` is the text `is`, or (NULL) a whole number from `least` to `most`; column NULL: all. For data sets of which one file holds several parts. */
struct eval_where { char *column, *is; int64_t least, most; };
/* The beginning of every answer; jinja NULL: none. ends_blank: its source ends with white space, so that no delimiter stands before choices. */
struct eval_prefix { struct eval_template text; bool ends_blank; };
struct eval_filter { char *name; json_t *steps; };                   /* steps: [{"function":...}] */
struct eval_task {
    char *name, *about, *licence;
    struct strings groups;
    enum eval_output output;
    struct strings files[SPLITS];          /* patterns below the data directory, the first that is there counts */
    json_t *documents;                     /* of the evaluated split, in place of files: array of rows; NULL: none */
    struct strings columns;                /* that every document must have */
    struct eval_where where[SPLITS];
    int evaluated, examples;               /* splits; examples -1: not named, see eval_examples_split */
    struct eval_shape *shape; size_t n_shapes;
    const struct eval_process *process;    /* changes documents in C; NULL: none */
    struct eval_template text, target, query; struct eval_template *choice; size_t n_choice;     /* query: what is searched for in training data; jinja NULL: the text */
    struct eval_prefix prefix;             /* gen_prefix */
    struct eval_template chat_text; struct eval_prefix chat_prefix;    /* of `chat`: in their place through a chat template; jinja NULL: the same there */
    bool has_choice, choices_are_contexts; /* contexts: each choice stands before the one continuation */
    char *target_delimiter, *example_delimiter;
    struct eval_template description;
    int64_t examples_wanted;               /* default number of examples; a task whose file says 0 is never asked with any */
    bool takes_examples;
    bool examples_are_first;               /* the first of the split, in order; otherwise drawn */
    json_t *fixed_examples;                /* array of documents that take the place of a split; NULL: none */
    const struct eval_metric_row **metric; size_t n_metrics;
    struct strings until; int64_t most_tokens; double temperature, top_p; int64_t top_k; bool samples;       /* of EVAL_GENERATE and EVAL_CODE */
    int64_t repeats;                       /* answers to each question */
    struct eval_template suffix;           /* of EVAL_GENERATE and EVAL_CODE: what stands behind the gap that is to be filled; jinja NULL: there is no gap */
    struct eval_first *first;              /* what is asked before; NULL: nothing */
    struct eval_code *code;                /* of EVAL_CODE: how what was written is run */
    struct eval_filter *filter; size_t n_filters;
    bool ignore_case, ignore_punctuation; struct strings ignored_patterns;                 /* of exact_match */
    double version;
    json_t *source;                        /* the file, of this task */
};
/* The key `first`: `ask` (EVAL_GENERATE, of text and generation alone) is asked of every document, and `value`, a template over the document and `answer`, becomes its `column`. */
struct eval_first { char *column; struct eval_task *ask; struct eval_template value; };
/* Tasks of a text in YAML, several with `each`. Appends to the list. `what` names it in messages. */
/* A list of tasks or groups by name, each asked in its own way; split, shots -1: as the task says. */
struct eval_suite { char *name; struct eval_suite_row { char *task; int64_t shots; int split; } *row; size_t n; };
struct eval_tasks { struct eval_task **at; size_t n; struct eval_suite *suite; size_t n_suites; };
sc_status eval_tasks_parse(struct eval_tasks *out, const char *text, size_t len, const char *what, sc_error *err);
void      eval_tasks_release(struct eval_tasks *t);
/* All that come with the program. */
sc_status eval_tasks_builtin(struct eval_tasks *out, sc_error *err);
/* What the user named, "a,b,group,file.yaml": tasks in the order of `all`'s rows for each name, each once. Files are added to `all`, which lends the tasks. */
struct eval_chosen { const struct eval_task *task; int64_t shots; int split; };
struct eval_selection { struct eval_chosen *at; size_t n; struct strings groups; };
sc_status eval_select(struct eval_selection *out, struct eval_tasks *all, const char *names, sc_error *err);
void      eval_selection_release(struct eval_selection *s);
/* The value of a template for a document; a string unless it gives JSON. `what` names the template. The caller owns *out. */
sc_status eval_template_value(json_t **out, const struct eval_template *t, const json_t *document, const char *what, sc_error *err);
void      eval_template_release(struct eval_template *t);

/* process.c: what no template can make of a row. Appends documents made of it to the array *out; `row` may change. */
struct eval_process { const char *name, *help; sc_status (*run)(json_t *out, json_t *row, sc_error *err); };
extern const struct eval_process eval_processes[];                   /* ends with name NULL */

/* ---- documents.c: rows of data files -------------------------------------------------------------------------------------------------- */

struct eval_documents { json_t **at; size_t n; char *file; json_t *files; };      /* files: [{"file","bytes","sha256","records"}] */
/* The rows of a split, in the order of the file, in the shape that the task expects. SC_E_IO names all places that were looked at. */
sc_status eval_documents_read(struct eval_documents *out, const struct eval_task *t, int split, const char *directory, sc_error *err);
void      eval_documents_release(struct eval_documents *d);

/* ---- turns.c: through a chat template, or not ------------------------------------------------------------------------------------------------- */

/* How a run asks. chat_template NULL: texts without one. leaves_out_system becomes true where the template refused a system message and went without. */
struct eval_chat {
    const struct chat_template *chat_template; json_t *tokens; int64_t now;
    bool is_multiturn, leaves_out_system;      /* examples as turns of their own */
    const char *system;                        /* --system-instruction, borrowed; "": none */
    char *end;                                 /* the token that ends an answer in the template; NULL: none */
};
/* SC_E_ARGUMENT: there is no template, or options contradict each other. m may be NULL where no template is asked for. */
sc_status eval_chat_open(struct eval_chat *out, const sc_model *m, const sc_eval_config *c, sc_error *err);
void      eval_chat_release(struct eval_chat *c);

/* ---- ask.c: a document as text ------------------------------------------------------------------------------------------------------------- */

/* What stands before an answer. trusted: bytes that a chat template wrote, where special tokens count; all others are text, whatever they say. */
struct eval_context { char *text; struct span *trusted; size_t n_trusted; };
/* What the model is asked of one document. EVAL_CHOICE: option i is context[i] or the one context, and continuation[i] or the one continuation. */
struct eval_ask {
    size_t document;
    struct eval_context *context; size_t n_contexts;
    char **continuation; size_t n_continuations;
    size_t n_options;
    char *suffix;                           /* behind the gap that an answer fills; NULL: the answer continues the context */
    int64_t gold;                           /* EVAL_CHOICE: index of the right option; -1 where several may be right */
    json_t *target;                         /* what the template says */
    json_t *choices;                        /* EVAL_CHOICE: their texts, without delimiter */
};
void eval_ask_release(struct eval_ask *a);
/* Where examples come from, borrowed, and how many. draws_spare: one more, so that the document itself can be left out. */
struct eval_examples { const struct eval_documents *from; size_t wanted; bool draws_spare; struct python_random random; };
enum { EVAL_SEED = 1234 };                  /* of the examples, as in the reference */
/* Documents must be asked for in rising order: each draws from `x`. chat NULL: without template and instruction. */
sc_status eval_ask_document(struct eval_ask *out, const struct eval_task *t, const struct eval_documents *d, size_t i, struct eval_examples *x, struct eval_chat *chat, sc_error *err);
/* split: what a suite says, -1 nothing. */
bool      eval_draws_spare(const struct eval_task *t, int split);
int       eval_examples_split(const struct eval_task *t, int split);

/* ---- requests.c: tokens, and what the model says of them ----------------------------------------------------------------------------------------- */

/* One continuation of an ask; parts of a long text (EVAL_ROLLING) are several requests. alone: without its context. */
struct eval_request { size_t ask, option; bool is_alone, is_known; struct score_request score; sc_tokens tokens; double sum; bool is_greedy; };
struct eval_requests { struct eval_request *at; size_t n, cap; };
/* All requests of the asks of a task. What is longer than the model's context loses its beginning. Uses the runtime's threads. */
sc_status eval_requests_make(struct eval_requests *out, const struct eval_task *t, const struct eval_ask *ask, size_t n, const sc_model *m, sc_error *err);
void      eval_requests_release(struct eval_requests *r);
/* Fills sum and is_greedy of all that are not known, on all ranks. c->on_done tells the index of a request that this process has computed. c->size 1: this
 * process does them all, whatever the others do. */
sc_status eval_requests_score(struct score_counts *counts, struct eval_requests *r, sc_model *m, const struct score_config *c, sc_error *err);

/* ---- generate.c: what the model writes ------------------------------------------------------------------------------------------------------------------ */

/* until: ends before the first of these, and with the model's own end tokens. All is the caller's. */
struct eval_prompt { sc_tokens tokens; struct strings until; int64_t most_tokens, top_k; double temperature, top_p; uint64_t seed; };
struct eval_written { sc_text text; size_t tokens; };
typedef void eval_on_written(void *user, size_t i, const struct eval_written *w);     /* by this process; i counts its own prompts */
/* One answer for each prompt, the caller's. A prompt that is too long for the context loses its beginning. */
sc_status eval_generate(struct eval_written *out, const struct eval_prompt *p, size_t n, sc_model *m, const sc_eval_config *c, eval_on_written *on_done, void *user, sc_error *err);
/* The same with a share for each rank; all get all. */
sc_status eval_generate_all(struct eval_written *out, const struct eval_prompt *p, size_t n, sc_model *m, const sc_eval_config *c, eval_on_written *on_done, void *user, sc_error *err);

/* ---- eval_run.c: the job ------------------------------------------------------------------------------------------------------------------------------- */

extern const struct sc_options eval_options, eval_compare_options;
/* sc_eval with results as a value, the caller's. is_alone: on this process, without the others of its job. */
sc_status eval_run_all(json_t **out, sc_runtime *rt, sc_model *m, const sc_eval_config *c, bool is_alone, sc_error *err);
/* live.c: for training (train.h, measure_live). */
struct live_tasks;
sc_status eval_live(json_t **out, sc_model *m, const struct live_tasks *t, sc_error *err);

#endif
