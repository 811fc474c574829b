/* judge_internal.h - what the files of this folder share about protocols, parsing, files of judgements and the audit. */
#ifndef JUDGE_INTERNAL_H
#define JUDGE_INTERNAL_H

#include "judge/judge.h"
#include "text/text.h"

/* ---- protocol.c --------------------------------------------------------------------------------------------------------------------------- */

struct names { char **at; size_t n; };
/* Words for some prompts: of these categories (none: all), with references for each turn so far or without that being asked, of this turn (0: any). */
struct judge_variant { struct names categories; bool needs_reference; int turn; struct jinja *system, *user; };
struct judge_protocol {
    char *name, *about, *source, *licence;
    enum judge_form form;
    bool is_pair, has_range, is_strict;           /* strict: a score outside the range is no verdict */
    double low, high;
    int turns;
    json_t *settings;                             /* of the request: temperature, max_tokens, logprobs ... */
    struct names marks;                           /* what must not stand in an answer: borders of the protocol's own text */
    struct judge_variant *variant; size_t n_variants;
};
extern const char *const judge_form_names[JUDGE_FORMS];
/* A protocol of YAML text; `what` names it in messages. */
sc_status judge_protocol_parse(struct judge_protocol **out, const char *text, size_t len, const char *what, sc_error *err);
/* Names of the built-in ones, one after the other; NULL behind the last. */
const char *judge_protocol_builtin(size_t i);

/* ---- prompts_file.c ------------------------------------------------------------------------------------------------------------------------- */

/* A text that stands under the first of `keys` (ends with NULL), the caller's; NULL: none of them is there. A number counts as its digits. SC_E_FORMAT: another type, or a NUL in it. */
sc_status judge_take_text(char **out, const json_t *row, const char *const *keys, sc_error *err);
/* The same of a list of texts, or of one. */
sc_status judge_take_list(char ***out, size_t *n, const json_t *row, const char *const *keys, sc_error *err);
void      judge_list_release(char **at, size_t n);
/* Calls `each` for every record of a file (JSON lines, an array; .gz and .zst too). Messages name file and line. */
typedef sc_status judge_each(void *user, json_t *row, const char *file, uint64_t line, sc_error *err);
sc_status judge_read_rows(const char *path, judge_each *each, void *user, sc_error *err);
sc_status judge_ready_rows(judge_each *each, void *user, sc_error *err);            /* of the set that comes with the program */

/* ---- judgements.c, judgements_foreign.c -------------------------------------------------------------------------------------------------------- */

/* Protocols by name, opened once. */
struct protocol_cache { struct judge_protocol *at[16]; char *name[16]; size_t n; };
const struct judge_protocol *protocol_cached(struct protocol_cache *c, const char *name);      /* NULL: none of that name */
void protocol_cache_release(struct protocol_cache *c);

struct judgement_reading {
    struct judgements *out; const struct judge_answers *answers;
    const struct judge_protocol *forced;            /* texts are parsed by it; NULL: what the shape says, and the file's verdict counts */
    struct protocol_cache protocols;
};
judge_each judgements_row;                         /* `user`: a struct judgement_reading; a row of any file */
/* A row of a file that others wrote, as one judgement or several. SC_E_FORMAT: of no known shape. */
sc_status judgement_foreign(struct judgement_reading *r, const json_t *row, const char *file, sc_error *err);
/* Appends one, whose texts become the list's: with the verdict of its text where the reading is forced, else the stored one. */
void      judgement_add(struct judgement_reading *r, struct judgement *j);
void      judgement_release(struct judgement *j);
void      judgement_begin(struct judgement *j);       /* nothing known: lengths NAN, turn 1 */
/* Results of PandaLM name no models and have no answers; both are taken from the labels of the same questions, where they were read. */
void      judgements_name_pairs(struct judgements *all);
const char *winner_name(enum judge_winner w);       /* "A", "B", "tie"; NULL for none */
enum judge_winner winner_of(const char *name);
size_t    text_characters(const char *text);

/* differences.c: judgements whose text gives another verdict than their file holds: [{"judge","protocol","id","turn","models","stored","found","reason"}], the caller's; *checked: texts compared. */
json_t   *judge_differences(const struct judgements *j, size_t *checked);

/* ---- audit*.c ------------------------------------------------------------------------------------------------------------------------------------ */

/* The calls of one judge under one protocol, of one answer each or of two (is_pair), in the order of the files; a call without a verdict that was asked again counts as asked_again, and
 * what came of it stands in `at`. is_both_ways: some pair was shown in both orders, so that was meant for all (people see any). low, high: NAN where there are no scores. */
struct audit_group { const char *judge, *protocol; const struct judgement **at; size_t n, cap, asked_again; bool is_pair, is_people, is_both_ways; double low, high; };
struct audit_groups { struct audit_group *at; size_t n; };
void audit_groups_make(struct audit_groups *out, const struct judgements *j);
void audit_groups_release(struct audit_groups *g);

/* audit_words.c: which of two answers the words of a text call better, WINNER_NONE where they do not say or say both. A reader belongs to one thread. */
struct audit_words;
struct audit_words *audit_words_open(void);
void audit_words_close(struct audit_words *w);
enum judge_winner audit_words_side(struct audit_words *w, const char *text, size_t len);

/* audit_scale.c: calls, failures, scores of a group, into its object. */
void audit_scale(json_t *out, const struct audit_group *g);
/* audit_pairs.c: swap, slot, length, repeats, contradictions; canaries. */
void audit_pairs(json_t *out, const struct audit_group *g, struct audit_words *w);
void audit_canaries(json_t *out, const struct audit_group *g);
/* audit_findings.c: from all that was measured: "findings" and "is_calibrated". agreement: all rows. */
void audit_findings(json_t *out, const struct audit_group *g, const json_t *agreement);

/* agreement_items.c: what a judge said of each thing, once: of a prompt's turn and a model's answer a score (the mean of repeats), or of two models a class: 0 the first by name is better,
 * 1 a tie (also where two orders disagree), 2 the second; or the mean of these, where several people may have chosen. Of people's labels the class is what more chose than each other one, else
 * a tie. Of a judge that was shown pairs both ways round only what has a verdict in both orders. Sorted by subject. orders: bits of the places in which `model` stood. */
enum agreement_of { OF_SCORES, OF_CLASSES, OF_MEANS };
struct agreement_item { const char *id, *model, *other; int turn; unsigned orders; double value; };
struct agreement_items { struct agreement_item *at; size_t n; };
void agreement_items_of(struct agreement_items *out, const struct audit_group *g, enum agreement_of of);
int  agreement_item_order(const void *a, const void *b);
bool audit_has_scores(const struct audit_group *g);

/* agreement.c: judges with each other: [{"a","b","protocol","kind","n","exact",...}]; and all of one protocol together. The caller's. */
json_t *judge_agreement(const struct audit_groups *g);
json_t *judge_panels(const struct audit_groups *g);
/* agreement_map.c: maps from each judge to people's labels: [{"judge","protocol","kind","n","raw","mapped","map":[[x, y], ...]}], the caller's. SC_E_ARGUMENT: no people's labels of the same answers. */
sc_status judge_calibrate(json_t **out, const struct judgements *j, uint64_t seed, sc_error *err);

#endif
