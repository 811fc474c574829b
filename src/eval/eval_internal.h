/* eval_internal.h - private to the folder. */
#ifndef EVAL_INTERNAL_H
#define EVAL_INTERNAL_H

#include "eval/eval.h"
#include "sandbox/sandbox.h"

#include <stdio.h>

/* ---- task.c ----------------------------------------------------------------------------------------------------------------------- */

void strings_add(struct strings *s, const char *text);
void strings_release(struct strings *s);
/* Every `from` in b becomes `to`. */
void text_replace(struct buf *b, const char *from, const char *to);
void eval_task_free(struct eval_task *t);              /* NULL: nothing */

/* ---- first_step.c: what is asked before the question ------------------------------------------------------------------------------------------ */

struct eval_task_run;
void eval_first_free(struct eval_first *f);
/* Of k's documents with the answers of f, which asked for k->task->first: the column; k->first_steps. */
sc_status eval_first_keep(struct eval_task_run *k, const struct eval_task_run *f, sc_error *err);
/* The same where nothing was asked: the column is empty. */
void eval_first_skip(struct eval_task_run *k);

/* ---- turns.c: messages -------------------------------------------------------------------------------------------------------------------- */

enum turn_role { TURN_SYSTEM, TURN_USER, TURN_ASSISTANT };
/* delimiter: what follows where all is one text; borrowed. */
struct turn { enum turn_role role; char *text; const char *delimiter; };
struct turns { struct turn *at; size_t n; };
void  turns_add(struct turns *t, enum turn_role role, const char *text, const char *delimiter);
void  turns_cut(struct turns *t, size_t n);                          /* keeps the first n */
void  turns_release(struct turns *t);
bool  turns_want_delimiter(const char *before, const char *behind);  /* no white space where they meet, and something before it */
char *turns_join(const char *before, const char *behind, const char *delimiter);       /* with the delimiter where it is wanted; the caller's */
/* As the chat's template writes them, the last one unfinished where it is the assistant's; without a template one text. The caller owns what *out holds. */
sc_status turns_write(struct eval_context *out, const struct turns *t, struct eval_chat *c, sc_error *err);

/* ---- filters.c: from what a model wrote to its answer ------------------------------------------------------------------------------------ */

/* Are these steps known, with patterns that compile? `what` names the file. */
sc_status eval_filter_check(const json_t *steps, const char *what, sc_error *err);
/* The answer of one text. */
void      eval_filter_run(struct buf *out, const json_t *steps, const char *text, size_t len);

/* ---- metrics.c, aggregate.c: from what the model said of a document to numbers ---------------------------------------------------------------- */

/* What came back for one document. */
struct eval_answer {
    const struct eval_task *task;
    const struct eval_ask *ask;
    const json_t *document;
    const double *logprob;             /* of each option, natural log; of ROLLING the whole text */
    const double *alone;               /* of each option without its context; NULL: was not computed */
    const bool *greedy;
    const size_t *tokens;              /* of each continuation */
    const char *text; size_t text_len; /* EVAL_GENERATE: behind a filter */
};
enum eval_aggregation { AGGREGATE_MEAN, AGGREGATE_PERPLEXITY, AGGREGATE_WORDS, AGGREGATE_BYTES, AGGREGATE_TOKENS, AGGREGATE_BITS };
/* A row for each metric: a value of a document and how those become one. weight: what the value is spread over, 1 if nothing. */
struct eval_metric_row {
    const char *name, *shown;          /* in task files; in results */
    unsigned outputs;                  /* 1 << enum eval_output each */
    bool higher_is_better, needs_alone;
    enum eval_aggregation how;
    double (*value)(const struct eval_answer *a, double *weight);
};
const struct eval_metric_row *eval_metric_find(const char *name, enum eval_output output);       /* NULL: unknown for that output */
struct eval_number { double value, weight; };
struct eval_result { double value, error; bool has_error; };
/* n >= 1 documents. Bootstraps use `pool`. */
struct eval_result eval_aggregate(enum eval_aggregation how, const struct eval_number *x, size_t n, struct pool *pool);

/* ---- code_task.c, code_languages.c: tasks whose answers are programs --------------------------------------------------------------------------- */

enum picture_form { PICTURE_PYTHON, PICTURE_TIKZ, PICTURE_SVG };
/* ORDER picture_level: what is asked of an answer that draws, each only where the one before is so. */
enum picture_level { PICTURE_RUNS, PICTURE_DRAWS, PICTURE_MATCHES, PICTURE_LEVELS };
enum { PICTURE_UNJUDGED = -1 };
/* A program that was written for ask `ask`, and what became of it. */
struct eval_program {
    size_t ask;
    json_t *answer;                        /* text, as the model or the file of samples has it */
    json_t *source;                        /* text: the candidate */
    bool is_whole;                         /* the answer is the candidate, not what continues the prompt */
    enum python_outcome outcome, plus;     /* PYTHON_SKIPPED: has none */
    int n_base, n_plus;
    double seconds;
    char detail[256];
    enum picture_form form;                /* of a task of pictures, the rest too */
    signed char level[PICTURE_LEVELS];     /* 0, 1, PICTURE_UNJUDGED */
    json_t *pictures;                      /* [{"type","width","height","is_blank","data" (base64)} or {"type","refused"}]; NULL: none */
};

enum { CODE_ARGV = 14 };
/* How a program in a language other than Python is compiled and run: pass is exit code 0, and the nonce behind the tests where there is one. */
struct code_language {
    const char *name, *file;               /* name in task files; of the source in the sandbox */
    const char *tools[3];                  /* rows of sandbox_tools, NULL at the end; the first is needed */
    const char *compile[CODE_ARGV], *keep[2], *run[CODE_ARGV];      /* "@node" is where that tool is; compile[0] NULL: the source is run */
    const char *beside_compile, *beside_run[3];   /* files of src/eval/beside that lie beside the source; NULL: none */
    const char *environment[5];
    const char *warm_files[8], *warm[CODE_ARGV], *warm_keep[3];      /* made once, of files of src/eval/beside: what every compilation begins from; warm[0] NULL: nothing */
    bool has_end;                          /* a file of src/eval/beside gets a nonce through descriptor 3 and prints it behind the tests */
    const char *epilogue;                  /* the same by source behind the tests, "NONCE" in it is replaced; neither: the tests end with the program */
    double compile_seconds;
    uint64_t memory, work_bytes;
    bool has_wide_addresses;
};
const struct code_language *code_language_find(const char *name);       /* NULL: unknown; "python" is a row without argv */
void code_language_names(struct buf *out);
/* A program with its tests, in a sandbox. warm: what code_language_warm made. */
sc_status code_language_run(struct eval_program *p, struct sandbox *s, const struct eval_code *c, const char *source, size_t len, const struct sandbox_carry *warm, sc_error *err);
sc_status code_language_warm(struct sandbox_carry *out, struct sandbox *s, const struct code_language *l, sc_error *err);

/* A metric "pass@K" or "pass_at_K" of a task: of all tests, or ("base_" before it) of the base inputs alone. */
struct code_metric { struct eval_metric_row row; char *name; size_t k; bool is_base; enum picture_level level; };       /* k 0: the share of answers with that level */
struct eval_code {
    const struct code_language *language;
    enum python_mode mode;
    struct eval_template id, program, tests, helper, entry, reference, oracle, needs;       /* over the columns and, of program, `completion` */
    char *inputs, *more_inputs;            /* columns, of PYTHON_DIFFERENTIAL */
    struct strings cut;                    /* an answer ends before the first of these */
    double seconds, total_seconds;         /* of a call, of all; 0: the sandbox's */
    bool is_picture;                       /* the answer draws: picture.c */
    int64_t open_braces;                   /* an answer ends with the brace that closes the last of those that the prompt left open; 0: not so */
    bool is_indented;                      /* an answer ends before the first line that is not indented */
    struct code_metric **metric; size_t n_metrics;
};
struct eval_code *eval_code_new(void);
void      eval_code_free(struct eval_code *c);
sc_status eval_code_read(struct eval_task *t, const json_t *v, const char *what, sc_error *err);        /* the key `execution` */
sc_status eval_code_check(const struct eval_task *t, const char *what, sc_error *err);
const struct eval_metric_row *eval_code_metric(struct eval_code *c, const char *name);                  /* NULL: no name of a metric of code */
const struct code_metric *eval_code_metric_of(const struct eval_metric_row *row);

/* ---- picture.c, picture_answer.c, picture_png.c, picture_files.c: answers that draw ------------------------------------------------------------- */

struct span_text { const char *at; size_t len; };
struct picture_size { uint32_t width, height; };
/* What of an answer is the program, and in which form it draws. *out points into the text, which a zero byte ends. */
enum picture_form picture_answer(struct span_text *out, const char *text, size_t len, enum picture_form asked);
/* TikZ with what LaTeX needs around it. */
void        picture_document(struct buf *out, const char *text, size_t len);
/* NULL: it is a PNG that can be shown; else what is wrong with it. */
const char *picture_png(struct picture_size *size, bool *is_blank, const void *data, size_t len);
bool        picture_decode(struct buf *out, const char *text, size_t len);       /* base64 */
void        picture_encode(struct buf *out, const void *data, size_t len);
/* Checks the documents and that Python has the libraries they need; *libraries: {name: version}, NULL if none is needed. fonts: what every run begins from. */
struct eval_task_run;
sc_status   picture_open(json_t **libraries, struct sandbox_carry *fonts, struct sandbox *s, const struct eval_task_run *k, sc_error *err);
sc_status   picture_source(struct eval_program *p, const json_t *document, sc_error *err);      /* p->form and p->source */
struct picture_run { struct sandbox *sandbox; const json_t *document; const struct sandbox_carry *fonts; double seconds; };
sc_status   picture_judge(struct eval_program *p, const struct picture_run *x, sc_error *err);
json_t     *picture_record(const struct eval_program *p);
/* How a model is asked. */
void        picture_open_fences(struct eval_task_run *k, const sc_model *m);
const char *picture_asked(const sc_model *m);
sc_status   picture_prompt(struct eval_prompt *p, const sc_model *m, const struct eval_ask *a, sc_error *err);
/* Moves pictures out of the samples of results into files beside `path`, STEM.images/. */
sc_status   picture_files_write(json_t *results, const char *path, sc_error *err);

/* ---- bleu.c, rouge.c: how alike two texts are, 0 to 100 ------------------------------------------------------------------------------------ */

/* Pieces of a text between white space. */
struct words { const char *text; struct span *at; size_t n; };
size_t words_of(struct span **out, const char *text, size_t len);       /* mem_free *out */
size_t words_common(const struct words *a, const struct words *b, size_t n);     /* n-grams of a that b has, each of b's once */
double text_bleu(const char *text, size_t len, const char *reference, size_t reference_len);
struct rouge { double one, two, lsum; };
struct rouge text_rouge(const char *text, size_t len, const char *reference, size_t reference_len);

/* ---- unfinished.c: answers of an interrupted run --------------------------------------------------------------------------------------------- */

struct eval_unfinished { FILE *file; char *path; json_t *known; size_t n_known; double flushed; };     /* zeroed: nothing is kept */
/* Beside `out`. key: of all that answers depend on. *is_other: one of other settings was there and is replaced. */
sc_status eval_unfinished_open(struct eval_unfinished *u, const char *out, const char *key, bool *is_other, sc_error *err);
void      eval_unfinished_begin(struct eval_unfinished *u);
void      eval_unfinished_put(struct eval_unfinished *u, json_t *line);             /* {"task","digest","i",...} */
const json_t *eval_unfinished_of(const struct eval_unfinished *u, const char *task);    /* its lines; NULL: none */
void      eval_unfinished_close(struct eval_unfinished *u);             /* the file stays */
void      eval_unfinished_remove(const char *out);                      /* once the results are written */

/* ---- eval_run.c, results.c ------------------------------------------------------------------------------------------------------------------------ */

/* A task while it runs, and what stays of it. */
struct eval_task_run {
    const struct eval_task *task;
    struct eval_chosen chosen;
    struct eval_documents documents, example_documents;
    struct eval_examples examples;
    struct eval_ask *ask; size_t n_asks, n_documents;
    struct eval_requests requests;
    struct score_counts counts;
    size_t *first;                            /* of each ask's options in the next four */
    double *logprob, *alone; bool *greedy; size_t *tokens;
    const struct eval_metric_row **metric; size_t n_metrics;      /* the task's, or own_metrics */
    struct eval_written *written; size_t n_written;      /* EVAL_GENERATE: of each ask; EVAL_CODE: of each ask its repeats */
    struct eval_program *program; size_t n_programs;     /* EVAL_CODE, in the order of asks */
    struct eval_code *own_metrics;            /* of a file of solutions: pass@k for what it has */
    json_t *not_judged;                       /* questions that were left out since libraries are missing, {id: [names]}; NULL: nobody looked */
    json_t *first_steps;                      /* of each ask what was asked before: [{"arg_0","resp"}]; NULL: nothing was */
    json_t *programs;                         /* how many ended how */
    sc_text *filtered;                        /* EVAL_GENERATE: of each filter all asks */
    struct eval_number *number;               /* of each result all asks */
    struct eval_result *result; size_t n_results;   /* of each filter all metrics */
    double seconds;
    json_t *samples, *files, *contamination;
};
struct eval_run {
    sc_runtime *runtime; sc_model *model; const sc_eval_config *config;
    struct eval_tasks tasks; struct eval_selection selection;
    struct eval_chat chat;
    struct strings until;                     /* texts that end an answer of the task that runs */
    struct eval_task_run *task; size_t n_tasks;
    FILE *requests;
    struct eval_unfinished unfinished;
    bool is_alone;
    char digest[65];                          /* of the requests of the task that runs */
    struct eval_task_run *now;
    size_t done, of, *which; double told;
    struct sandbox *sandbox;
    int64_t began; double clock;
};
struct eval_answer eval_answer_of(const struct eval_task_run *k, size_t i, size_t filter);
void    eval_event(const sc_runtime *rt, const char *format, ...) __attribute__((format(printf, 2, 3)));
void    eval_progress_begin(struct eval_run *r, struct eval_task_run *k, size_t known, size_t n);
void    eval_progress_step(struct eval_run *r);

/* code_run.c, code_samples.c: answers as programs. */
/* The task asks of code, or SC_E_ARGUMENT where it needs what is not here. Opens r->sandbox. */
sc_status eval_code_open(struct eval_run *r, const struct eval_task *t, sc_error *err);
/* Leaves out asks whose programs need libraries that are not there. */
sc_status eval_needs_check(struct eval_run *r, struct eval_task_run *k, sc_error *err);
/* What a stored answer names a document by; a text. */
sc_status eval_code_id(json_t **out, const struct eval_task *t, const json_t *document, sc_error *err);
/* Programs of what the model wrote (k->filtered), or of a file; asks without solutions are left out then. */
void      eval_programs_written(struct eval_task_run *k);
sc_status eval_programs_read(struct eval_run *r, struct eval_task_run *k, const char *path, sc_error *err);
/* Runs all of them and fills their outcomes, on rank 0. */
sc_status eval_programs_run(struct eval_run *r, struct eval_task_run *k, sc_error *err);
void      eval_programs_count(struct eval_run *r, struct eval_task_run *k);       /* k->number, k->result */
void      eval_programs_release(struct eval_task_run *k);
json_t   *eval_program_record(const struct eval_program *p);

void    eval_event_result(const struct eval_run *r, const struct eval_task_run *k);
/* contamination.c: which questions stand in the training data at `paths` (prepared directories, or files of dialogues), and the scores without them. */
sc_status eval_contamination(json_t **out, const struct eval_task_run *k, const char *paths, struct pool *pool, sc_error *err);
void    eval_set_result(json_t *out, const char *metric, const char *filter, const struct eval_result *r);      /* "acc,none", "acc_stderr,none"; r NULL: "N/A" */
json_t *eval_samples(const struct eval_task_run *k);
json_t *eval_results(const struct eval_run *r);
/* Digests (SHA-256) of the files that the tensors lie in, as results name them: config.model.weights, and adapter_weights of an adapter. The caller's. Reads all of them. */
json_t *eval_weights_of(const struct model_file *m);

#endif
