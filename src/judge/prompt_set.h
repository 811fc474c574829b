/* prompt_set.h - a set of prompts to judge by: read from files of several shapes, without duplicates, mixed, written on by a model, reviewed. Private to the folder.
 *
 * A row of a set is {"id","slice" ("instruction" | "feedback"),"language","prompt" | "turns","reference","source","licence","review"} and what else its file says of it. */
#ifndef PROMPT_SET_H
#define PROMPT_SET_H

#include "judge/judge.h"

struct dedup;

enum { PROMPT_BYTES_MAX = 20000 };

/* ---- prompt_set_shapes.c: rows of files ---------------------------------------------------------------------------------------------------- */

/* A record of a file as a row of a set; the caller's. NULL: it is none that one wants: *why says so in two words. SC_E_FORMAT: of no known shape; the message does not name
 * the file. Shapes: our own, MBPP, HumanEvalPack, Code Alpaca (and self-instruct), Arena-Hard, FastChat. */
sc_status   prompt_set_row(json_t **out, const char **why, const json_t *record, const char *file, uint64_t line, sc_error *err);
/* All turns as one text. */
void        prompt_set_text(struct buf *out, const json_t *row);
/* Of the fences, else of the words of a text: "python", "c", ...; "none". */
const char *prompt_set_language(const char *text);
/* Code with a question what is wrong with it, why it fails or how it can be better. */
bool        prompt_set_is_feedback(const char *text);

/* ---- prompt_set.c ------------------------------------------------------------------------------------------------------------------------------ */

/* Kept in this order. row is owned; draw: the place in a shuffled order. */
struct set_row { json_t *row; bool is_feedback; const char *language; uint32_t draw; };
struct prompt_set { struct set_row *at; size_t n; struct dedup *seen; json_t *counts, *ids; uint64_t seed; };
void      prompt_set_open(struct prompt_set *s, uint64_t seed);
void      prompt_set_close(struct prompt_set *s);
/* Takes the row over; gives it a free id. False: it, or something nearly like it, is there already, which `counts` says. */
bool      prompt_set_add(struct prompt_set *s, json_t *row);
void      prompt_set_count(struct prompt_set *s, const char *name, int64_t n);
sc_status prompt_set_read(struct prompt_set *s, const char *path, sc_error *err);
/* Leaves out rows [first, n) that stand in training data, at paths with commas. */
sc_status prompt_set_against(struct prompt_set *s, size_t first, const char *paths, sc_error *err);
/* Keeps `count` rows, round(share * count) of them feedback, languages in turn. SC_E_ARGUMENT: there are too few. */
sc_status prompt_set_choose(struct prompt_set *s, size_t count, double share, sc_error *err);
/* Lines of JSON. */
void      prompt_set_lines(struct buf *out, const struct prompt_set *s);

/* ---- prompt_set_write.c: a model writes more ---------------------------------------------------------------------------------------------------- */

/* The one JSON object {"prompt","language"} of a model's answer, around which words and a fence may stand; the row, marked "pending". SC_E_FORMAT: none. */
sc_status prompt_set_reply(json_t **out, const char *text, size_t len, sc_error *err);
/* Who is asked and how; all borrowed. feedback: the share of it among what is written. */
struct prompt_writer { sc_runtime *runtime; const sc_model_config *model; const sc_judge_config *judge; const char *spec, *against; double feedback; };
/* Adds n prompts that are like none of the set; counts "written", "invalid" and what was paid (budget_tell), out of one budget. SC_E_PEER: the writer gave too few after all rounds, or the budget ended it. */
sc_status prompt_set_write(struct prompt_set *s, const struct prompt_writer *w, size_t n, sc_error *err);

#endif
