/* filter.h - what an answer may say: rules over the text as it streams, and optionally a model that judges it. Off unless the server is given a
 * file (docs/filter.md). What a rule may still match is held back until it is clear, so that the same text gives the same result
 * however it was cut into pieces; up to 4 KiB. */
#ifndef FILTER_H
#define FILTER_H

#include "base/base.h"

/* Of a rule: the text stays and is counted; a replacement stands in its place; the answer ends before it. */
enum filter_action { FILTER_FLAG, FILTER_REDACT, FILTER_STOP };
enum { FILTER_RULES_MAX = 256, FILTER_HOLD_MAX = 4096 };
struct filter_rule { char *name; enum filter_action action; char *replace, *message; bool of_prompts, of_answers; struct pcre2_real_code_8 *code; };
struct filter_classifier { char *model, *prompt, *yes, *no, *message; double threshold; int64_t every; enum filter_action action; };     /* prompt: holds {text}; model NULL: none */
struct filter { struct filter_rule *rules; size_t n_rules; struct filter_classifier classifier; };
/* Immutable once read; shared by threads. Release with filter_close. */
sc_status filter_open(struct filter **out, const char *path, sc_error *err);
sc_status filter_read(struct filter **out, const char *text, size_t len, const char *what, sc_error *err);
void      filter_close(struct filter *f);

/* One text that is being written. */
struct filter_stream;
struct filter_stream *filter_begin(const struct filter *f, bool is_prompt);
void      filter_end(struct filter_stream *s);
/* Takes more of the text and appends to `out` what may be shown; at_end: there is no more. Nothing comes behind a stop. */
void      filter_put(struct filter_stream *s, const char *text, size_t len, bool at_end, struct buf *out);
const struct filter_rule *filter_stopped(const struct filter_stream *s);                    /* the rule that ended it; NULL: none */
uint64_t  filter_hits(const struct filter_stream *s, enum filter_action action);            /* matches so far */

#endif
