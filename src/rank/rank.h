/* rank.h - people rank answers blind: a study is one SQLite file, made from prompts and answers, rated through a page of its own, closed, and then told of. Layer 8.
 *
 * The line: files -> study (sealed: nothing in it says whose an answer is) -> pages of raters -> revisions -> closing (the owner's key opens the seal) -> export, report.
 * The public side is sc_rank_* of starchat.h. */
#ifndef RANK_H
#define RANK_H

#include <sqlite3.h>

#include "base/base.h"

extern const struct sc_options rank_options, rank_server_options, rank_export_options, rank_report_options;

enum {
    RANK_SHOWN_MAX = 9,                     /* answers of one item */
    RANK_FLAGS_MAX = 16, RANK_FLAG_BYTES = 60, RANK_TEXT_BYTES = 12000,     /* of a reason or a note: 4,000 characters of any script */
    RANK_TOKEN_BYTES = 24,                  /* 192 bits */
    RANK_KEY_BYTES = 32, RANK_ID_BYTES = 16,
    RANK_SCORES = 7, RANK_ID_MAX = 64,
    RANK_ITEM_REVISIONS = 1000, RANK_RATER_REVISIONS = 100000, RANK_RATER_MIB = 64      /* what is kept of one item of a rater, and of one rater */
};

/* ---- seal.c: keys, tokens, and what is hidden until the end ------------------------------------------------------------------------------ */

/* "rater-" and 48 hexadecimal digits, NUL behind; the digest is what is kept. */
enum { RANK_TOKEN_TEXT = 6 + 2 * RANK_TOKEN_BYTES + 1, RANK_KEY_TEXT = 6 + 2 * RANK_KEY_BYTES + 1 };
void      token_new(char text[RANK_TOKEN_TEXT], uint8_t digest[32]);
void      token_digest(uint8_t digest[32], const char *text, size_t len);
/* "owner-" and 64 hexadecimal digits. key_read: SC_E_ARGUMENT if the text is none; white space around it is left out. */
void      key_new(uint8_t key[RANK_KEY_BYTES], char text[RANK_KEY_TEXT]);
sc_status key_read(uint8_t key[RANK_KEY_BYTES], const char *text, sc_error *err);
/* A number that only who has the key can know, to number answers by. */
uint64_t  key_seed(const uint8_t key[RANK_KEY_BYTES]);
/* AES-256-GCM: nonce, what is hidden, tag. `about` is authenticated with it. seal_open: SC_E_ARGUMENT for another key or changed bytes. */
void      seal_make(struct buf *out, const uint8_t key[RANK_KEY_BYTES], const char *about, const void *text, size_t len);
sc_status seal_open(struct buf *out, const uint8_t key[RANK_KEY_BYTES], const char *about, const void *sealed, size_t len, sc_error *err);

/* ---- plan.c: who sees what when; draws from the study's seed ---------------------------------------------------------------------------------- */

/* given[item * raters + rater]: each item goes to `overlap` raters (0 or more than there are: all), who get as many items as each other, give or take one. */
void   plan_share(bool *given, size_t items, size_t raters, size_t overlap, uint64_t seed);
/* The line of one rater: items[0..n) and gold[0..n_gold) mixed, `repeats` of the items once more, as far behind their first place as the line allows up to
 * PLAN_GAP. out has n + n_gold + repeats places; *len: how many were filled. */
enum { PLAN_GAP = 5 };
struct plan_entry { size_t item; bool is_repeat; };
size_t plan_line(struct plan_entry *out, const size_t *items, size_t n, const size_t *gold, size_t n_gold, size_t repeats, uint64_t seed, uint64_t rater);
size_t plan_repeats(size_t items, double share);
/* An order of n things, another than `not` (NULL: any) where n > 1. */
void   plan_order(size_t *out, size_t n, const size_t *not, uint64_t seed, uint64_t stream);
/* Of `models` (indices), `shown` for one item, those that were taken least so far first; used[] counts. */
void   plan_choose(size_t *out, size_t shown, const size_t *models, size_t n, size_t *used, uint64_t seed, uint64_t item);

/* ---- gold.c: items whose best and worst answer are known ---------------------------------------------------------------------------------------- */

/* prompt and answers are lists of texts, one for each turn, owned. answer[0] is the best, answer[1] the worst; then others. */
struct gold_item { char *id; json_t *prompt, *answer[RANK_SHOWN_MAX]; size_t n, line; };
struct gold_list { struct gold_item *at; size_t n; };
/* Lines of {"id","prompt","best","worst","others":[...]}; id may be absent; prompt and each answer: a text, or a list with one for each turn. */
sc_status gold_read(struct gold_list *out, const char *text, size_t len, const char *path, sc_error *err);
void      gold_release(struct gold_list *g);
/* sizes[i]: how many answers gold item i shows, so that those of gold items are distributed as those of ordinary ones: ordinary[k] of them show k. SC_E_ARGUMENT names an item
 * that has too few. */
sc_status gold_sizes(size_t *sizes, const struct gold_list *g, const size_t ordinary[RANK_SHOWN_MAX + 1], const char *path, sc_error *err);

/* ---- rating.c: what a rater says of one item -------------------------------------------------------------------------------------------------------- */

struct flag_list { char name[RANK_FLAGS_MAX][RANK_FLAG_BYTES]; size_t n; };
sc_status flags_read(struct flag_list *out, const char *list, sc_error *err);       /* "wrong,unsafe" */
struct rating_answer { int rank, score; uint32_t flags; char *note; };               /* 0: not given; rank 1 is best, ties share one; note NULL: none */
struct rating {
    char id[RANK_ID_MAX + 1];               /* made by the page: a revision that is sent twice is one */
    int64_t made, active;                   /* ms since 1970 by the rater's clock; ms spent on the item so far */
    struct rating_answer answer[RANK_SHOWN_MAX]; size_t n;       /* in the order shown */
    char *reason;
};
/* {"id","made","active","answers":[{"rank","score","flags":[...],"note"}],"reason"} of `n` answers. SC_E_ARGUMENT names what is wrong. */
sc_status rating_read(struct rating *out, const json_t *body, size_t n, const struct flag_list *flags, sc_error *err);
json_t   *rating_json(const struct rating *r, const struct flag_list *flags);        /* without the id; the caller's */
bool      rating_is_done(const struct rating *r);                                     /* every answer has rank and score */
void      rating_release(struct rating *r);

/* ---- study_sql.c: SQLite with our errors -------------------------------------------------------------------------------------------------------------- */

enum { STUDY_APPLICATION = 0x53435261, STUDY_FORMAT = 1, STUDY_WAIT_MS = 10000 };
struct study { sqlite3 *db; char *path, *temporary; char id[2 * RANK_ID_BYTES + 1]; struct flag_list flags; json_t *settings; uint64_t seed; };
/* types: i int64_t, t text (NULL: null), b bytes and their size_t, r double. */
sc_status sql_query(sqlite3_stmt **out, struct study *s, sc_error *err, const char *sql, const char *types, ...);
/* Next row; finalizes *q (NULL then) at the end or on failure. */
sc_status sql_step(struct study *s, sqlite3_stmt **q, bool *row, sc_error *err);
sc_status sql_run(struct study *s, sc_error *err, const char *sql, const char *types, ...);
sc_status sql_number(int64_t *out, int64_t fallback, struct study *s, sc_error *err, const char *sql, const char *types, ...);
sc_status sql_begin(struct study *s, sc_error *err);
sc_status sql_end(struct study *s, sc_status status, sc_error *err);       /* commits after SC_OK, else takes all back; returns `status` or the commit's failure */
sc_status sql_fail(struct study *s, int code, const char *doing, sc_error *err);
const char *sql_text(sqlite3_stmt *q, int column);                         /* "" for null; until the next step */
char     *sql_copy(sqlite3_stmt *q, int column);                           /* NULL for null; mem_free */
int64_t   time_ms(void);

/* ---- study_open.c ----------------------------------------------------------------------------------------------------------------------------------------- */

sc_status study_open(struct study **out, const char *path, sc_error *err);               /* one that is there */
/* Empty tables under a temporary name beside `path`; study_publish closes the file and gives it its name, study_close without that takes it away, so that nothing that is
 * not whole is ever at `path`. SC_E_ARGUMENT if the path is taken. */
sc_status study_new(struct study **out, const char *path, sc_error *err);
sc_status study_publish(struct study *s, sc_error *err);                                  /* study_close is still owed */
void      study_close(struct study *s);
sc_status study_get(char **out, struct study *s, const char *name, sc_error *err);        /* a value of the study; NULL: not there; mem_free */
sc_status study_set(struct study *s, const char *name, const char *value, sc_error *err);
sc_status study_closed(int64_t *when, struct study *s, sc_error *err);                    /* 0: open */
sc_status study_load(struct study *s, sc_error *err);                                     /* id, flags, settings, seed, once they are set */

/* ---- study_make.c, study_raters.c ---------------------------------------------------------------------------------------------------------------------------- */

sc_status study_fill(struct study *s, const sc_rank_config *c, const uint8_t key[RANK_KEY_BYTES], sc_error *err);
/* Numbers of items, for shares. */
sc_status study_items(size_t **out, size_t *n, struct study *s, bool is_gold, sc_error *err);     /* mem_free */
/* A rater and its line of items; *token gets {"name","token"}, the caller's. */
sc_status study_add_rater(json_t **token, struct study *s, const char *name, const size_t *items, size_t n, sc_error *err);
sc_status study_add_raters(json_t **list, struct study *s, size_t raters, sc_error *err);

/* ---- results.c: all that was said, in memory ---------------------------------------------------------------------------------------------------------------------- */

#define RANK_NONE SIZE_MAX
struct result_prompt { char *id, *slice, *language; json_t *turns; };
struct result_item { size_t prompt; bool is_gold; size_t best, worst; };              /* best, worst: answers of gold items; RANK_NONE: sealed */
struct result_answer { size_t item, model; json_t *turns; };                          /* model RANK_NONE: of a gold item, or sealed */
/* One rating: the newest revision of an assignment that is done. rank, score, flags by slot. */
struct rated {
    size_t rater, item, n, answer[RANK_SHOWN_MAX];
    int64_t assignment, position, repeats, opened, received, revisions;               /* repeats: assignment that this one shows again; 0: none */
    double seconds;
    struct rating rating;
    size_t first;                                                                     /* of `repeats`, in results.rated; RANK_NONE: none, or not done */
};
enum { EXCLUDED_GOLD = 1, EXCLUDED_REPEATS = 2, EXCLUDED_SPEED = 4, EXCLUDED_BITS = 3 };   /* ORDER exclusion_rules */
struct result_rater { char *name; bool is_revoked; int64_t assigned, done; int gold, gold_right, repeat_pairs, repeat_same, repeat_scores, contradictions; double repeat_difference, median_seconds; unsigned excluded; };
struct rank_rules { double gold, repeats, seconds; int64_t least; };                  /* least: judged gold items (repeated items) before a rule speaks */
struct results {
    struct study *study; bool is_closed; struct rank_rules rules;
    char **model; size_t n_models;
    struct result_prompt *prompt; size_t n_prompts;
    struct result_item *item; size_t n_items;
    struct result_answer *answer; size_t n_answers;
    struct result_rater *rater; size_t n_raters;
    struct rated *rated; size_t n_rated;
};
sc_status results_read(struct results *out, struct study *s, sc_error *err);
void      results_release(struct results *r);
/* -1: the first is better, 1: the second, 0: a tie. */
int       rated_compare(const struct rated *r, size_t a, size_t b);
/* Ranks from 1 as places: ties have the middle of theirs, so that 1, 1, 2 and 1, 1, 3 are both 1.5, 1.5, 3. */
void      rated_places(double places[RANK_SHOWN_MAX], const struct rated *r);
/* Ratings that count, by item: by_item[of_item[i] .. of_item[i + 1]), and by rater; indices of results.rated, rising. */
struct rated_index { size_t *of_item, *by_item, *of_rater, *by_rater; };
void      rated_index_init(struct rated_index *out, const struct results *r);
void      rated_index_release(struct rated_index *x);
/* Gold, repeats, speed of each rater, and who is left out by the rules. */
void      results_judge_raters(struct results *r);
const char *exclusion_name(int bit);
/* Counts for what is told of models: no gold, no repeat, of a rater who is not left out. */
bool      rated_counts(const struct results *r, const struct rated *x);

/* ---- agreement_of.c, models_of.c, judged.c: parts of the report; each value is the caller's ------------------------------------------------------------------------------ */

json_t   *agreement_of(const struct results *r, uint64_t seed, size_t draws);
sc_status models_of(json_t *report, const struct results *r, uint64_t seed, size_t draws, sc_error *err);      /* sets "models", "pairs", "slices" */
sc_status judged_of(json_t **out, const struct results *r, const char *directory, uint64_t seed, size_t draws, sc_error *err);
void      set_number(json_t *o, const char *key, double x);                           /* null where it is not finite */
/* Preference of two answers of an item by one rating: -1, 0, 1, or 2 where it does not show both. */
int       rated_pair(const struct rated *r, size_t a, size_t b);

/* ---- report.c, report_page.c ------------------------------------------------------------------------------------------------------------------------------------------------ */

sc_status rank_report_of(json_t **out, struct results *r, const sc_rank_report_config *c, sc_error *err);
sc_status rank_page_write(const json_t *report, const char *path, sc_error *err);

/* ---- rank_gate.c: who may ask -------------------------------------------------------------------------------------------------------------------------------------------------- */

struct http_head;
/* NULL, or why a request is refused: a Host that is no name of this server (DNS rebinding), another site's page (CSRF). `hosts`: further names, with commas. */
const char *gate_refuses(const struct http_head *h, const char *host, const char *hosts, const char *url);
/* Wrong tokens by address. They alone are limited, and a right one is never refused: many raters may sit behind one proxy. 192 bits cannot be guessed at any rate; what is limited
 * is what a stranger can make the log say. */
enum { GATE_ADDRESSES = 256, GATE_WRONG = 20 };
struct gate {
    struct { char address[64]; double since; int wrong; } at[GATE_ADDRESSES]; size_t n, next;
};
bool gate_is_blocked(const struct gate *g, const char *address, double now);      /* GATE_WRONG within a minute */
void gate_wrong(struct gate *g, const char *address, double now);

/* ---- rank_server.c, rank_calls.c --------------------------------------------------------------------------------------------------------------------------------------------------- */

struct http; struct http_exchange;
struct sc_rank_server { struct study *study; sc_rank_server_config c; struct http *http; struct gate gate; char *address, *hosts; };
/* What a rater asked: a status and a body. position: of an item; is_shown: to note that the rater saw it. */
struct rank_call { struct sc_rank_server *server; struct http_exchange *x; int64_t rater; int64_t position; bool is_shown; int status; json_t *body; };
void call_study(struct rank_call *c);
void call_item(struct rank_call *c);
void call_rate(struct rank_call *c);
void call_shown(struct rank_call *c);
/* Makes the table of what each rater wrote, and fills it for those who are not in it; before the first call. */
sc_status calls_open(struct study *s, sc_error *err);
void call_fail(struct rank_call *c, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
void call_error(struct rank_call *c, const sc_error *err);                             /* 500 and the log, or 400 for what the rater sent */

#endif
