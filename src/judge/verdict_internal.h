/* verdict_internal.h - from judgements to who is better. Private to verdict.c and verdict_*.c.
 *
 * A judgement is one call of a judge. All calls about the same two answers (prompt, turn, judge, protocol) become one comparison; statistics count comparisons and draw
 * prompts, because comparisons of one prompt are not independent: two turns of it, or several judges.
 *
 * A judge that shows a liking for a place shows it in one order alone. So of a judge that was shown pairs both ways round a comparison counts only where both orders have a verdict, as
 * FastChat leaves out games of which one failed (show_result.py); the others are incomplete, and counted as such. */
#ifndef VERDICT_INTERNAL_H
#define VERDICT_INTERNAL_H

#include "judge/judge.h"
#include "stats/stats.h"

enum { VERDICT_DRAWS = 1000 };
#define VERDICT_TIE 0.1                        /* scores that differ by no more are a tie, as in FastChat */

#define VERDICT_PEOPLE "people"                /* the protocol of persons' votes: never pooled with judges, and shown in whatever order */

/* A judge with one protocol. withheld: why its rates are not to be shown (owned); NULL: it is trusted, or nobody looked. is_both_ways: some pair was shown to it both ways round, so that
 * was meant for all. */
struct verdict_judge { const char *name, *protocol; char *withheld; bool is_weighted, is_probability, is_both_ways; };
struct verdict_prompt { const char *id, *slice, *language; };          /* "" where there is none */
/* Two models' answers to a turn of a prompt; base is the model that the files name first. share: of the tuned one, 1, 0.5 or 0, in between from probabilities and strengths. won:
 * of the tuned one by the rule of both orders, 1, 0 or -1. score, length, style: of base and tuned; NAN: not known. asked, answered: in which orders a call was made, and gave a verdict. */
enum { ORDER_BASE_FIRST = 1, ORDER_TUNED_FIRST = 2, ORDER_BOTH = 3 };
struct comparison {
    size_t judge, prompt, base, tuned, first;                          /* first: where in the files */
    int turn, won;
    unsigned asked, answered;
    bool is_inconsistent, is_alone;                                    /* is_alone: made from scores of single answers */
    size_t n_calls;
    double share, weight, score[2], length[2];
    struct judge_style style[2];
};
/* A score that one answer got; of several calls about it the mean. NAN, n_calls 0: none of them had a verdict. */
struct scored { size_t judge, prompt, model, first, n_calls; int turn; double score, length; struct judge_style style; };
struct verdict {
    const struct judgements *judgements;
    struct verdict_judge *judge; size_t n_judges;
    struct verdict_prompt *prompt; size_t n_prompts;
    const char **model; size_t n_models;
    struct comparison *at; size_t n;                                   /* complete ones: they alone count */
    struct comparison *incomplete; size_t n_incomplete;                /* an order, or an answer, that was asked for has no verdict */
    struct scored *score; size_t n_scores;
    json_t *notes;
    uint64_t seed;
};

/* ---- verdict_units.c ---- */
/* Strings are borrowed from j. */
void verdict_units(struct verdict *v, const struct judgements *j);
void verdict_release(struct verdict *v);
void verdict_note(struct verdict *v, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- verdict_pairs.c ---- */
/* Which comparisons a row is about: those of one pair of models, of judges with is_in[judge]. slice, language: NULL: all. has_one_scale: scores of these judges can be averaged. */
struct verdict_part { const struct comparison *const *of; size_t n_of; const bool *is_in; const char *slice, *language; bool has_one_scale; };
/* The members of a row that are rates; NULL if the part has no complete comparison. *prompts: how many. */
json_t *verdict_rates(size_t *prompts, const struct verdict *v, const struct verdict_part *part);
/* A share with its interval by prompt; n comparisons at `at`, shares of the model on the tuned side. n_effective: as many independent ones would tell as much. */
struct verdict_rate { double share, n_effective; struct stats_interval interval; size_t n_prompts; };
struct verdict_rate verdict_rate_of(const struct comparison *const *at, size_t n, bool is_probability);

/* ---- verdict_controls.c ---- */
/* Win rates with differences of length, and of style, taken out: members "length_controlled", "style_controlled" and what they were made of. */
void verdict_controls(json_t *row, const struct verdict *v, const struct comparison *const *at, size_t n);

/* ---- verdict_ratings.c ---- */
/* Rows of "ratings" and of "scores" by the judges in is_in; base: what each row begins with (borrowed), with "judge". */
void verdict_ratings(json_t *out, struct verdict *v, const bool *is_in, const json_t *base);
void verdict_scores(json_t *out, const struct verdict *v, const bool *is_in, const json_t *base);

#endif
