/* judge_run.h - what the files that run judges and assistants share. */
#ifndef JUDGE_RUN_H
#define JUDGE_RUN_H

#include "judge/endpoint.h"
#include "judge/judge.h"

extern const struct sc_options judge_options;

/* ---- judge_run_list.c: small things ------------------------------------------------------------------------------------------------------ */

struct text_list { char **at; size_t n; };
void      text_list_of(struct text_list *out, const char *commas);         /* blanks around are cut, empty ones left out */
void      text_list_release(struct text_list *l);
void      sha256_of_text(char hex[65], const char *text, size_t len);
sc_status sha256_of_file(char hex[65], const char *path, sc_error *err);
struct talk_limits talk_limits_of(const sc_judge_config *c);
struct budget budget_of(const sc_judge_config *c);
sc_status cache_open_of(struct cache *out, const sc_judge_config *c, sc_error *err);
/* {"calls","unusable","cached","here","tokens_in","tokens_out","cost"} into `out`. */
void      budget_tell(json_t *out, const struct budget *b);
/* {"event":"judge","what":what,"done":n,"total":n} */
void      tell_progress(const sc_runtime *rt, const char *what, size_t done, size_t total);
/* The first n prompts alone. */
void      prompts_cut(struct judge_prompts *p, size_t n);

/* ---- answer_run_speaker.c: who is asked --------------------------------------------------------------------------------------------------- */

enum speaker_kind { SPEAKER_FILE, SPEAKER_SERVER, SPEAKER_MODEL };
/* All owned. name: what it is called in files; who: identity of a model, once it is open. */
struct speaker {
    enum speaker_kind kind;
    char *spec, *name, *file, *of_file;          /* of_file: whose answers of the file; NULL: it holds one model's */
    struct endpoint endpoint;
    sc_text path, adapter;
    sc_model *model; char *who;
    bool uses_few_shot; char examples[65];       /* their digest */
};
/* A SPEC of sc_judge_config. A server's key is asked for. A model of here is found, not opened. */
sc_status speaker_read(struct speaker *out, const char *spec, const sc_judge_config *c, sc_error *err);
/* m (may be NULL): template and adapter. wants_few_shot: even if it has a template. Nothing for others than models of here. */
sc_status speaker_open(struct speaker *s, sc_runtime *rt, const sc_model_config *m, bool wants_few_shot, const sc_judge_config *c, sc_error *err);
void      speaker_close_model(struct speaker *s);
void      speaker_release(struct speaker *s);
/* What tells it from others: the address and name of a server, the identity of a model (read from its headers), the digest of a file. The caller's. */
sc_status speaker_identity(json_t **out, const struct speaker *s, sc_error *err);
/* Of the words and ends of the prompt of examples, c->few_shot. */
sc_status few_shot_digest(char hex[65], const sc_judge_config *c, sc_error *err);
struct talk speaker_talk(const struct speaker *s, sc_runtime *rt, const sc_judge_config *c, struct cache *cache, struct budget *budget);
/* The request in the words of who is asked: name of the model, fields left out or renamed, a prompt of examples in place of messages. Takes `request`; the text is the caller's. */
sc_status speaker_request(char **out, const struct speaker *s, json_t *request, const sc_judge_config *c, sc_error *err);

/* ---- answer_run_text.c: where an answer ends ------------------------------------------------------------------------------------------------ */

/* Bytes of the answer before the first marker of a template or label of another turn, and blanks at its end cut; *leaked: there was one. */
size_t    answer_end(const char *text, size_t len, bool *leaked);

/* ---- answer_run.c: answers of one model ------------------------------------------------------------------------------------------------------- */

/* How `s` is asked, whatever the prompt; the caller's. Answers have it with "prompt_sha256", of the prompt's turns. */
json_t   *answer_settings(const struct speaker *s, const sc_judge_config *c);
void      prompt_digest(char hex[65], const struct judge_prompt *p);
/* Adds an answer for each prompt that all turns came of, in the order of prompts, and what was refused. known: answers of `s` that need not be asked for. *left: ids of the others, an array, the caller's,
 * also after a failure. *why: "budget", "failed", or NULL; a failure's sentence is in t->last. is_dry: nothing is asked; what is not in the cache counts as paid, and its answer is as long as may be. */
sc_status answers_make(struct judge_answers *out, json_t **left, const char **why, struct talk *t, const struct speaker *s, const struct judge_prompts *p, const struct judge_answers *known, const sc_judge_config *c, bool is_dry,
                       sc_error *err);

/* ---- answer_run_file.c: `judge answers` ------------------------------------------------------------------------------------------------------- */

void      answers_text(struct buf *out, const struct judge_answers *a);          /* lines of JSON; makes `out` */
sc_status answers_write(const char *path, const struct judge_answers *a, sc_error *err);

/* As sc_judge_answers, out of a budget that others share. */
sc_status answers_run(sc_text *out, sc_runtime *rt, const char *spec, const sc_model_config *m, const sc_judge_config *c, struct budget *budget, sc_error *err);

/* ---- answer_run_dry.c: what a run would cost -------------------------------------------------------------------------------------------------- */

/* As talk_run without asking: what is not in the cache is counted in the budget with the longest answer, and answered with one. */
sc_status talk_run_dry(struct talk *t, const struct asker *a, sc_error *err);

/* ---- canaries.c: trick questions ---------------------------------------------------------------------------------------------------------------- */

/* bad: what stands in `slot` (0 or 1) in place of the model's own answer `good`, which stands in the other. */
struct canary { const char *kind; size_t prompt; int slot; const struct judge_answer *good; struct judge_answer bad; };
struct canaries { struct canary *at; size_t n; };
/* `each` of each kind, fewer where there are not as many prompts with an answer that can be spoilt; the same for the same seed. Of single answers there is no identical pair. */
void      canaries_make(struct canaries *out, const struct judge_prompts *p, const struct judge_answers *a, bool is_pair, bool can_tie, size_t each, uint64_t seed);
void      canaries_release(struct canaries *c);

/* done: of the lines that are there {key: true: a verdict, false: none, null: refused}. */
struct run_files { char *directory; int lock, lines; json_t *done; };

/* ---- judge_run_plan.c: what is judged ------------------------------------------------------------------------------------------------------------ */

/* One question to a judge. a, b: in the order they are shown; b NULL: of one answer. canary NULL: nothing is wrong. again: 1 where the first answer had no verdict. */
struct question { size_t prompt; const struct judge_answer *a, *b; int turn, again; const struct canary *canary; };
struct questions { struct question *at; size_t n; struct canaries canaries; };
/* names[0] is the base, or the baseline with is_baseline. */
void      questions_make(struct questions *out, const struct judge_protocol *protocol, const struct judge_prompts *p, const struct judge_answers *a, char *const *names, size_t n_names, const sc_judge_config *c);
void      questions_release(struct questions *p);
/* What tells a question from all others of a run, the caller's. */
char     *question_key(const struct question *q, const struct judge_prompts *p, const char *judge);

/* ---- judge_run_ask.c: asking one judge ------------------------------------------------------------------------------------------------------------ */

/* Questions of one judge: left, with the ids of their prompts (as keys); refused; asked for the second time by a dry run. */
struct asked { size_t left, refused, again; json_t *ids; };
/* Asks what has no line yet; an answer without a verdict is asked for once more, with another seed. f NULL: a dry run, in which whatever is not known already may have to be asked again. Adds to out->again. */
sc_status judge_ask(struct asked *out, struct talk *t, const struct speaker *judge, const struct judge_protocol *protocol, const struct judge_prompts *p, const struct questions *plan, struct run_files *f, const sc_judge_config *c,
                    sc_error *err);
/* Adds what is left and what was refused. */
void      judge_left(struct asked *out, const struct speaker *judge, const struct judge_prompts *p, const struct questions *plan, const struct run_files *f);

/* ---- judge_run_files.c: the directory of a run ----------------------------------------------------------------------------------------------------- */

/* Makes it, or goes on with one of the same settings: SC_E_ARGUMENT names what differs. What another process works on is SC_E_ARGUMENT too. */
sc_status run_files_open(struct run_files *out, const char *directory, const json_t *settings, bool overwrite, sc_error *err);
sc_status run_files_put(struct run_files *f, json_t *line, sc_error *err);     /* a line of judgements.jsonl, on disk when it returns; takes `line` */
sc_status run_files_write(const struct run_files *f, const char *name, const json_t *value, sc_error *err);
/* Where two settings differ, as "seed is 1 there and 2 here"; `out` stays where they do not. */
void      settings_difference(char out[200], const json_t *there, const json_t *here);
void      prompts_text(struct buf *out, const struct judge_prompts *p);          /* as lines of prompts.jsonl */
sc_status run_files_prompts(const struct run_files *f, const struct judge_prompts *p, sc_error *err);
void      run_files_close(struct run_files *f);

#endif
