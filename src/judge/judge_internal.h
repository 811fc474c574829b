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

#endif
