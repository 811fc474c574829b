/* eval_internal.h - private to the folder. */
#ifndef EVAL_INTERNAL_H
#define EVAL_INTERNAL_H

#include "eval/eval.h"

#include <stdio.h>

/* ---- task.c ----------------------------------------------------------------------------------------------------------------------- */

void strings_add(struct strings *s, const char *text);
void strings_release(struct strings *s);
/* Every `from` in b becomes `to`. */
void text_replace(struct buf *b, const char *from, const char *to);

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
enum eval_aggregation { AGGREGATE_MEAN, AGGREGATE_PERPLEXITY, AGGREGATE_WORDS, AGGREGATE_BYTES, AGGREGATE_BITS };
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
void      eval_unfinished_close(struct eval_unfinished *u, bool is_finished);       /* finished: the file goes */

/* ---- run.c, results.c ------------------------------------------------------------------------------------------------------------------------ */

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
    struct eval_written *written;             /* EVAL_GENERATE: of each ask */
    sc_text *filtered;                        /* EVAL_GENERATE: of each filter all asks */
    struct eval_number *number;               /* of each result all asks */
    struct eval_result *result; size_t n_results;   /* of each filter all metrics */
    double seconds;
    json_t *samples, *files, *contamination;
};
struct eval_run {
    sc_runtime *runtime; sc_model *model; const sc_eval_config *config;
    struct eval_tasks tasks; struct eval_selection selection;
    struct eval_task_run *task; size_t n_tasks;
    FILE *requests;
    struct eval_unfinished unfinished;
    bool is_alone;
    char digest[65];                          /* of the requests of the task that runs */
    struct eval_task_run *now;
    size_t done, of, *which; double told;
    int64_t began; double clock;
};
struct eval_answer eval_answer_of(const struct eval_task_run *k, size_t i, size_t filter);
void    eval_event(const sc_runtime *rt, const char *format, ...) __attribute__((format(printf, 2, 3)));
void    eval_event_result(const struct eval_run *r, const struct eval_task_run *k);
/* contamination.c: which questions stand in the training data at `paths` (prepared directories, or files of dialogues), and the scores without them. */
sc_status eval_contamination(json_t **out, const struct eval_task_run *k, const char *paths, struct pool *pool, sc_error *err);
void    eval_set_result(json_t *out, const char *metric, const char *filter, const struct eval_result *r);      /* "acc,none", "acc_stderr,none"; r NULL: "N/A" */
json_t *eval_samples(const struct eval_task_run *k);
json_t *eval_results(const struct eval_run *r);

#endif
