/* judge.h - which assistant is better: prompts, answers, judgements of them by models, and what those are worth. Layer 7.
 *
 * The line: prompts (what is asked) -> answers (of each assistant) -> questions to a judge (a protocol's words around one or two answers) -> judgements -> audit (is the
 * judge to be trusted) -> verdict (who is better, how surely) -> page. Files are lines of JSON at every border, so that each part can be done elsewhere. */
#ifndef JUDGE_H
#define JUDGE_H

#include "base/base.h"

/* ---- prompts.c: what is asked -------------------------------------------------------------------------------------------------------- */

/* One conversation: what the user says in each turn. Texts are owned; NULL where the file has none. */
struct judge_prompt {
    char *id, *slice, *language;           /* slice: "instruction", "feedback", or the category that the file names */
    char **turn; size_t n_turns;           /* at least one */
    char **reference; size_t n_references; /* the right answer to each turn */
};
struct judge_prompts { struct judge_prompt *at; size_t n; };
/* Lines of {"id","slice","language","prompt" | "turns","reference"}, or the shapes of FastChat (question_id, category, turns, reference), Vicuna (question_id,
 * text, category) and Arena-Hard (uid, cluster | subcategory, prompt | turns); an array of such objects too. SC_E_FORMAT names the line; ids are unique. */
/* path NULL or "": the set that comes with the program. */
sc_status judge_prompts_read(struct judge_prompts *out, const char *path, sc_error *err);
const struct judge_prompt *judge_prompts_find(const struct judge_prompts *p, const char *id);       /* NULL: not there */
void      judge_prompts_release(struct judge_prompts *p);

/* ---- answers.c: what each assistant said ------------------------------------------------------------------------------------------------- */

/* leaks: turns in which text ran on past the end of the answer (markers of the template), which was cut off. cut: turns that ended for length. */
struct judge_answer { char *id, *model; char **turn; size_t n_turns; int leaks, cut; json_t *settings; };
/* refused: {MODEL: {ID: {"id","model","refused": why,"settings"}}} of what the model's server refused to answer; NULL: nothing. */
struct judge_answers { struct judge_answer *at; size_t n; json_t *refused; };
/* Lines of {"id","model","turns":[...],"leaks","cut","settings"} or {"id","model","refused","settings"}, or FastChat's ({"question_id","model_id","choices":[{"turns"}]}) and Vicuna's ({"question_id",
 * "model_id","text"}). Appends; `model` (may be NULL) takes the place of the name that stands there. A model answers each prompt once. */
sc_status judge_answers_read(struct judge_answers *out, const char *path, const char *model, sc_error *err);
const struct judge_answer *judge_answers_find(const struct judge_answers *a, const char *model, const char *id);
json_t   *judge_answer_json(const struct judge_answer *a);         /* the line; the caller's */
struct judge_answer judge_answer_copy(const struct judge_answer *a, const char *model);
/* settings (may be NULL): borrowed. */
void      judge_answers_refuse(struct judge_answers *a, const char *model, const char *id, const char *why, json_t *settings);
const json_t *judge_answers_refused(const struct judge_answers *a, const char *model, const char *id);       /* the line; NULL: it was not refused */
size_t    judge_answers_n_refused(const struct judge_answers *a);
void      judge_answers_release(struct judge_answers *a);

/* ---- protocol.c: how a judge is asked; parse.c: what it said --------------------------------------------------------------------------------- */

/* ORDER judge_forms of protocol.c: where the verdict stands in the judge's text. */
enum judge_form {
    JUDGE_FIRST_LINE,       /* two numbers alone on the first line */
    JUDGE_RATING,           /* [[n]], else [n] */
    JUDGE_LETTER,           /* [[A]], [[B]], [[C]]: C is a tie */
    JUDGE_RATINGS,          /* [[a,b]] */
    JUDGE_RANKING,          /* a list of {"model","rank"}: AlpacaEval 1 */
    JUDGE_LABEL,            /* [[A>>B]], [[A>B]], [[A=B]], [[B>A]], [[B>>A]]: Arena-Hard */
    JUDGE_TOKEN,            /* one token, "m" or "M", by its probabilities: AlpacaEval 2 */
    JUDGE_FORMS
};
enum judge_winner { WINNER_NONE, WINNER_A, WINNER_B, WINNER_TIE };     /* A: the answer that stood first */
/* What a judge said of one answer or two. has_scores: score[0..n_scores). strength: 2 where the label says much better, else 1. share: of A, JUDGE_TOKEN. */
struct judge_opinion { enum judge_winner winner; int n_scores; double score[2]; int strength; double share; };
struct judge_protocol;                                              /* private to protocol.c and parse.c, see judge_internal.h */
/* A built-in protocol (protocols/NAME.yaml) or a file. */
sc_status judge_protocol_open(struct judge_protocol **out, const char *name_or_file, sc_error *err);
void      judge_protocol_close(struct judge_protocol *p);
const char *judge_protocol_name(const struct judge_protocol *p);
bool      judge_protocol_is_pair(const struct judge_protocol *p);
bool      judge_protocol_can_tie(const struct judge_protocol *p);    /* a judge may call two answers equal */
bool      judge_protocol_range(const struct judge_protocol *p, double *low, double *high);      /* false: it gives no scores */
int       judge_protocol_turns(const struct judge_protocol *p);      /* judged of each conversation: 1, or 2 */
/* SC_E_FORMAT with the sentence that `judge parse` shows where the text has no verdict, one outside the range, or contradicts itself. logprobs: the
 * tokens that could have been first, {"m": -0.1, "M": -2.3}, for JUDGE_TOKEN; NULL else. */
sc_status judge_parse(struct judge_opinion *out, const struct judge_protocol *p, const char *text, size_t len, const json_t *logprobs, sc_error *err);
/* The request: {"messages":[...],"temperature","max_tokens",...}, the caller's. b NULL: of one answer. turn: from 1. Texts of answers go in as they are. */
sc_status judge_request(json_t **out, const struct judge_protocol *p, const struct judge_prompt *q, const struct judge_answer *a, const struct judge_answer *b, int turn, sc_error *err);
/* What of the protocol's own text (borders, verdicts such as [[A]]) stands in an answer's turns up to `turn`, so that a judge could take it for the protocol's: a list of texts, empty: nothing; the
 * caller's. For judgement.marks: such a judgement is kept, and the audit tells of it. */
json_t   *judge_marks(const struct judge_protocol *p, const struct judge_answer *a, int turn);

/* ---- judgements.c: what was judged, in files --------------------------------------------------------------------------------------------------- */

struct judge_style { double tokens, headers, lists, bold; };         /* of an answer, code blocks left out; tokens: characters / 4 where no tokenizer is at hand */
/* One call of a judge. Texts are owned. */
struct judgement {
    char *judge, *protocol, *id, *slice, *language, *text, *error;  /* error: why the text has no verdict; NULL: it has one */
    char *canary;                          /* what was wrong with an answer on purpose: mismatched, empty, truncated, identical; NULL: nothing */
    int   canary_slot;                     /* 0 or 1: which of the answers */
    int   marks;                           /* bit 0, 1: the answer in that place holds marks of the protocol (judge_marks) */
    int   turn;
    char *model[2];                        /* in the order they were shown; [1] NULL: of one answer */
    struct judge_opinion opinion;
    double length[2];                      /* of the answers, in characters; NAN: not known */
    struct judge_style style[2];           /* tokens NAN: not known */
    double stored_score[2]; enum judge_winner stored_winner; bool has_stored;     /* what a foreign file says was found in the text */
};
struct judgements { struct judgement *at; size_t n; double low, high; };     /* low, high: the protocol's range; NAN: no scores */
/* Appends a file's. Of our own runs (judgements.jsonl or the directory it lies in), of FastChat (single and pair, old and of mt-bench-judged's shape), of Vicuna (review_*.jsonl), of
 * PandaLM; also .gz. answers (may be NULL): for lengths and styles. protocol (may be NULL): to parse texts of foreign files by; else what the shape says. */
sc_status judgements_read(struct judgements *out, const char *path, const struct judge_answers *answers, const char *protocol, sc_error *err);
json_t   *judgement_json(const struct judgement *j);                  /* the line of judgements.jsonl; the caller's */
void      judgements_release(struct judgements *j);
struct judge_style judge_style_of(const char *text, size_t len);

/* ---- audit.c: is the judge to be trusted ------------------------------------------------------------------------------------------------------- */

/* *out, the caller's: {"judges":[{"judge","protocol","calls","failed","out_of_range","histogram":{MODEL:{"1":n}},"mean","sd","median","mode","extreme_share","middle_share",
 * "entropy","swap":{"pairs","consistent","share","low","high"},"slot":{"first","second","tie","share","low","high","p"},"length":{"slope","low","high","p","longer","shorter","longer_share","weaker_longer","weaker_longer_won"},
 * "canaries":{KIND:{"n","caught","scores"}},"contradictions":{"n","of","share"},"findings":[{"name","sentence"}],"is_calibrated":bool}],"agreement":[{"a","b","n","exact",
 * "within_1","kappa","weighted_kappa","spearman","kendall","alpha"}]}. findings: names always-first, always-longer, middle-only, contradictory, random, ... */
sc_status judge_audit(json_t **out, const struct judgements *j, uint64_t seed, sc_error *err);
extern const struct sc_options judge_audit_options;

/* ---- verdict.c: who is better ---------------------------------------------------------------------------------------------------------------------- */

/* *out, the caller's. Of judgements that are no canaries, by each judge with each protocol, and by "all judges" that may be trusted ("judges" names them; "people" never among them):
 * {"models":[NAME],"pairs":[PAIR],"ratings":[RATING],"scores":[SCORE],"withheld":[{"judge","protocol","why"}],"raw":{"ratings","scores"},"notes":[SENTENCE],"seed","draws"}.
 * PAIR: {"judge","protocol","base","tuned" (base: the model that the files name first),"by":"all"|"slice"|"language","slice" ("" for all),"prompts","sentence"} and rates of the tuned one:
 * "comparisons" (both orders of a prompt's turn are one: a winner if both name it, else a tie),"incomplete" (left out: an order or an answer has no verdict),"calls","win","tie","loss",
 * "inconsistent","rule":"orders"|"probability"|"strength" (how calls count: AlpacaEval's shares, Arena-Hard's "much better" three times),"win_rate","low","high" (Wilson; by prompt where one
 * has several comparisons),"n_effective","prompts_won","prompts_lost","p" (exact sign test of these),"p_adjusted" (Holm, over "tests" rows: a judge's pairs that are by the same),
 * "result":"better"|"worse"|"open" (by p_adjusted, as the sentence),"smallest","score_base","score_tuned","score_difference","score_low","score_high" (only with scores, of one protocol),
 * "length_controlled","style_controlled" (each with _low, _high, _extrapolated and _effects, or null and _why). RATING: {"judge","protocol","model","bradley_terry","low","high" (Elo's scale, mean 1000),"strength"
 * (natural logarithm),"elo","elo_low","elo_high"}. SCORE: {"judge","protocol","model","turn" (absent: all),"n","mean","low","high","sd","median"}.
 * audit: what judge_audit gave, or NULL: nothing is withheld. A judge that it does not call calibrated has "withheld": why, in place of rates, which stand under "raw" of its rows; its ratings and
 * scores stand under "raw" of the whole. SC_E_ARGUMENT if no judgement says anything. */
sc_status judge_verdict(json_t **out, const struct judgements *j, const json_t *audit, uint64_t seed, sc_error *err);
/* Half width of the 95 % interval and smallest difference seen with power 0.8, for n prompts around a win rate of p. */
struct judge_power { double half_width, smallest; };
struct judge_power judge_power_of(size_t n, double p);

/* ---- prompt_set_job.c (public interface in starchat_judge.h) --------------------------------------------------------------------------------------- */

extern const struct sc_options judge_prompts_options;

/* ---- report.c ------------------------------------------------------------------------------------------------------------------------------------------ */

/* One self-contained page (.html) or a summary (.md) of a run's directory: run.json, judgements.jsonl, answers.jsonl, prompts.jsonl, audit.json, verdict.json. */
sc_status judge_report(const char *directory, const char *out, sc_error *err);

#endif
