/* scores.h - what is made of results that were written: comparisons, reports. Private to the folder. */
#ifndef SCORES_H
#define SCORES_H

#include "eval/eval.h"
#include "stats/stats.h"

/* ---- results_read.c: files of ours and of lm-eval -------------------------------------------------------------------------------------- */

/* Results that were written. all: the whole object; its members other than "results" may be of any shape. samples: {task: [{"doc_id", ...}]}, in which
 * doc_id is a whole number, and filter and hashes, where they are, texts. */
struct eval_record { char *path; json_t *all, *samples; };
/* Our own file with all in it, or lm-eval's results_DATE.json with samples_TASK_DATE.jsonl beside it. */
sc_status eval_record_open(struct eval_record *out, const char *path, sc_error *err);
sc_status eval_record_parse(struct eval_record *out, const char *text, size_t len, const char *path, sc_error *err);
void      eval_record_release(struct eval_record *r);
/* "" if the file does not say. */
const char *eval_record_model(const struct eval_record *r);
/* Member `name` of member `table`; NULL if one of them is not there. */
const json_t *eval_record_get(const struct eval_record *r, const char *table, const char *name);
/* The results' key "acc,none" of a value; false for keys of anything else. metric is the caller's; filter points into key. */
bool eval_score_key(char **metric, const char **filter, const char *key, const json_t *value);
/* How values of a metric become one: as our own metric of that name says, else their mean. */
struct eval_how { bool is_ratio, is_pair; double scale; };      /* is_ratio: sums of log-likelihoods; is_pair: stored as [log-likelihood, weight] */
struct eval_how eval_how_of(const char *metric);
/* The number of a sample and what it is spread over; false if it is none. */
bool eval_sample_number(const json_t *sample, const char *metric, const struct eval_how *how, double *value, double *weight);
/* 1: better is higher, 0: lower, -1: nobody knows. */
int  eval_direction(const struct eval_record *r, const char *task, const char *metric);
bool eval_has_filter(const json_t *sample, const char *filter);
/* The tasks below a group, also in groups of it, each once, as keys of *out. False if `group` is none. */
bool eval_group_tasks(json_t *out, const struct eval_record *r, const char *group);

/* ---- compare_pairs.c: the same question in two files ----------------------------------------------------------------------------------------- */

struct eval_match { const json_t *a, *b; };
struct eval_pairing { struct eval_match *at; size_t n; const json_t **only_a, **only_b; size_t n_only_a, n_only_b, other_prompts, other_targets; };
/* Samples of a task behind a filter, in the order of A's documents: the same document by hash and number, else by hash, without hashes by number. */
void eval_pair_samples(struct eval_pairing *out, const json_t *a, const json_t *b, const char *filter);
void eval_pairing_release(struct eval_pairing *p);
/* What was set differently for a task, in words with commas; nothing if all is alike that could be looked at. */
void eval_say_differences(struct buf *out, const struct eval_record *a, const struct eval_record *b, const char *task);

/* ---- compare.c ------------------------------------------------------------------------------------------------------------------------------------- */

/* What sc_eval_compare gives, as a value; the caller's. */
sc_status eval_compare_records(json_t **out, const struct eval_record *a, const struct eval_record *b, const sc_eval_compare_config *c, sc_error *err);

/* ---- sheet.c: a page for a browser or in Markdown, from the same calls ---------------------------------------------------------------------------- */

/* All text is escaped, whatever it holds. */
struct sheet { struct buf out; bool is_html; char *images; };      /* images: of a page in Markdown, the directory of its pictures, as the page names it */
/* By the ending of `path`: .html or .md; SC_E_ARGUMENT for another one. */
sc_status sheet_check(const char *path, bool *is_html, sc_error *err);
void sheet_begin(struct sheet *s, bool is_html, const char *title);
void sheet_end(struct sheet *s);                               /* the text is in s->out, the caller's */
void sheet_heading(struct sheet *s, const char *text);
void sheet_text(struct sheet *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Columns with a '>' before their name are numbers. */
void sheet_table(struct sheet *s, const char *const *columns, size_t n);
void sheet_cell(struct sheet *s, bool is_number, const char *text, size_t len);
void sheet_cellf(struct sheet *s, bool is_number, const char *format, ...) __attribute__((format(printf, 3, 4)));
void sheet_row_end(struct sheet *s);
void sheet_table_end(struct sheet *s);
void sheet_fold(struct sheet *s, const char *format, ...) __attribute__((format(printf, 2, 3)));      /* what follows is hidden below this title */
void sheet_fold_end(struct sheet *s);
void sheet_block(struct sheet *s, const char *label, const char *text, size_t len);                  /* text as it is, with its lines */
void sheet_part(struct sheet *s, const char *format, ...) __attribute__((format(printf, 2, 3)));      /* a heading below sheet_heading's */
/* In a page for a browser the bytes stand in the page, as a picture that can run nothing; Markdown names the file that picture_files_copy writes. */
struct sheet_picture { const char *name, *type; const void *data; size_t len; json_int_t width; };
void sheet_picture(struct sheet *s, const struct sheet_picture *p);
void sheet_value_row(struct sheet *s, const char *key, const json_t *value);
/* Intervals along one axis; Markdown has none. */
struct sheet_interval { const char *name; double value; struct stats_interval interval; };
void sheet_intervals(struct sheet *s, const char *title, const struct sheet_interval *x, size_t n, double low, double high);

/* ---- picture_files.c, picture_page.c: what tasks of pictures led to ----------------------------------------------------------------------------------- */

struct picture_at { const char *task; json_int_t document; size_t answer, index; const char *type; };
void  picture_name(char *out, size_t bytes, const struct picture_at *p);
char *picture_directory(const char *path);                     /* "r.images" for "DIR/r.json"; mem_free */
/* Every picture that was taken. */
sc_status pictures_each(json_t *samples, sc_status (*what)(void *user, const struct picture_at *at, json_t *picture, sc_error *err), void *user, sc_error *err);
/* NULL: a PNG or SVG; else what is wrong with it. */
const char *picture_bytes(struct buf *out, const struct eval_record *r, const json_t *picture);
sc_status picture_files_copy(const struct eval_record *r, const char *path, sc_error *err);       /* into the directory of pictures beside a page */
bool  eval_has_pictures(const struct eval_record *r, const char *task);
void  eval_score_pictures(struct sheet *s, const struct eval_record *r, const char *task);

/* ---- compare_page.c, score_page.c, score_samples.c --------------------------------------------------------------------------------------------------- */

void eval_compare_page(struct sheet *s, const json_t *comparison);
void eval_score_page(struct sheet *s, const struct eval_record *r);
void eval_score_tables(struct sheet *s, const struct eval_record *r);       /* its tables of scores, and of questions found in training data, without headings */
/* The questions of a task that teach most. */
void eval_score_samples(struct sheet *s, const struct eval_record *r, const char *task);
/* The page of results in memory, written to `path`. out: where the results were written, NULL: nowhere. */
sc_status eval_report_write(const json_t *results, const char *out, const char *path, sc_error *err);

#endif
