/* starchat_judge.h - a part of starchat.h, which includes it. */
#ifndef STARCHAT_JUDGE_H
#define STARCHAT_JUDGE_H

#include "starchat.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- judging: which assistant is better, as other models see it ---------------------------------------------------------------- */

/* A model is asked here or over the net. SPEC: a MODEL as everywhere, "URL#NAME" (a server that speaks OpenAI's chat completions, "http://127.0.0.1:8080/v1#NAME"), or
 * a file of answers (.jsonl, "FILE.jsonl#NAME" where it holds several models'); with "LABEL=" before it, it is called that. */
typedef struct {
    const char *prompts;          /* file of prompts; NULL or "": the 115 of the program                      */
    const char *out;              /* of sc_judge_answers a .jsonl file, of sc_judge_run a directory             */
    const char *base, *tuned;     /* SPECs of the two that are compared                                         */
    const char *models;           /* SPECs of more than two, with commas: each with each other; NULL or "": none */
    const char *baseline;         /* SPEC: instead, each is compared with this one alone; NULL or "": none     */
    const char *judge;            /* SPECs of judges, with commas                                               */
    const char *protocol;         /* how they are asked, see docs/judge.md                                      */
    bool        one_order;        /* each pair is shown once, in a drawn order, instead of both ways round       */
    int64_t     canaries;         /* trick questions of each kind, for each judge                               */
    int64_t     limit;            /* only the first so many prompts; 0: all                                     */
    double      temperature, top_p;          /* of answers                                                       */
    int64_t     top_k, max_new_tokens, seed; /* likewise                                                         */
    const char *system;           /* the system's message before each conversation; NULL or "": none            */
    const char *omit;             /* fields left out of requests to servers, with commas                         */
    const char *max_tokens_name;  /* what servers call the limit of an answer: max_tokens, max_completion_tokens */
    int64_t     parallel;         /* requests to a server at once                                                */
    double      rate;             /* most requests to it a minute; 0: any                                        */
    double      connect_seconds, idle_seconds, request_seconds, retry_seconds;   /* retry: the first pause, doubled each time */
    int64_t     tries;            /* of a request that fails in passing                                          */
    int64_t     message_mib;      /* most of a request or an answer                                              */
    const char *cache;            /* file of what servers and models answered; NULL or "": judge.sqlite of sc_store_home; ":memory:": none */
    int64_t     most_calls;       /* answers of servers that are paid in this run, useless ones too; 0: any      */
    double      most_cost, price_in, price_out;                                  /* prices: of 10^6 tokens; most_cost 0: any */
    bool        dry_run;          /* tells what would be asked and asks nothing                                  */
    bool        overwrite;        /* other settings in the same place: begins anew                                */
    /* no options */
    const char *(*key)(void *user, const char *origin, bool is_loopback);        /* of a server, borrowed; NULL: none; it goes to that origin alone and is kept nowhere */
    sc_status (*few_shot)(void *user, sc_text *prompt, const sc_message *m, size_t n, sc_error *err);   /* how a model without a chat template is asked; NULL: not at all */
    const char *const *few_shot_stops;       /* ends with NULL: where its answers end                            */
    void       *user;             /* given to both                                                               */
} sc_judge_config;                /* options "judge" */
/* Answers of one model (a SPEC that is no file) to all prompts: lines of {"id","model","turns",...} in c->out. `m`: template and adapter of a local model; its path does
 * not count. few_shot is used whenever it is given. *out (JSON): {"model","prompts","answered","refused" (by the server for good),"leaks","cut","calls","unusable","cached","here","tokens_in","tokens_out","cost","left":[ids],"why","last_failure","last_refusal"};
 * with dry_run the estimate. An answer that is there is never asked for again, and those that c->out holds of the same model asked the same way are taken over; others there are SC_E_ARGUMENT. SC_OK
 * also where a budget or failures left some ("left" names them); where it was cancelled or refused, *out and the file tell of what came before. */
SC_API sc_status sc_judge_answers(sc_text *out, sc_runtime *rt, const char *spec, const sc_model_config *m, const sc_judge_config *c, sc_error *err);
/* Judges c->models (or base and tuned) into the directory c->out, where a run with the same settings goes on; other settings are SC_E_ARGUMENT. few_shot is for models
 * without a chat template. *out (JSON): {"directory","questions","left" (both),"answers_left" (while there are any, nobody is asked to judge),"questions_left","left_ids" (of prompts),"answers_refused",
 * "questions_refused","last_refusal","why","last_failure","calls" (of servers),"unusable" (of them),"cached","here" (by models of this machine),"tokens_in","tokens_out","cost","audit","verdict" |
 * "no_verdict"}; with dry_run what would be asked, at most, "again" of it where first answers had no verdict, and "half_width" and "smallest" of a win rate. Where asking ends by a failure or is
 * cancelled, what is there is concluded all the same, *out tells of it, and the failure is returned. */
SC_API sc_status sc_judge_run(sc_text *out, sc_runtime *rt, const sc_judge_config *c, sc_error *err);

/* ---- what judges said, and what it is worth ------------------------------------------------------------------------------------ */

/* How a judge is asked: a built-in protocol's name, or a file (.yaml). */
typedef struct sc_judge_protocol sc_judge_protocol;
SC_API sc_status sc_judge_protocol_open(sc_judge_protocol **out, const char *name_or_file, sc_error *err);   /* SC_E_ARGUMENT: an unknown name, with the nearest */
SC_API void      sc_judge_protocol_close(sc_judge_protocol *p);
/* Built-in ones: JSON [{"name","about","source","licence","kind","form","range"}]. */
SC_API sc_status sc_judge_protocols(sc_text *out, sc_error *err);
/* line: {"text":...}, for protocols of one token with "logprobs": {"m":x,"M":x}. *out: {"scores":[...]}, or {"winner":"A"|"B"|"tie"} with "strength" 2 where the text says much better and
 * "share" where probabilities are known. SC_E_FORMAT: the text has no verdict, in a sentence. Any bytes are fine. */
SC_API sc_status sc_judge_parse(sc_text *out, const sc_judge_protocol *p, const char *line, size_t len, sc_error *err);

typedef struct {
    const char *answers;          /* files of what was judged, FILE or NAME=FILE with commas between them: for lengths; NULL or "": none */
    const char *protocol;         /* reads the texts of others' files again by this protocol; NULL or "": the verdicts that stand there count */
    const char *labels;           /* people's verdicts: PandaLM's file, or lines of {"id","model_a","model_b","winner"} or {"id","model","score"}; NULL or "": none */
    bool        calibrate;        /* maps from each judge's scale to people's, with the error on prompts that were not used for it */
    bool        differences;      /* lists where a file's verdict is not what its text says */
    int64_t     seed;             /* of the folds                                                                */
} sc_judge_audit_config;          /* options "judge_audit" */
/* Judgements of n files or directories (of runs, of FastChat, Vicuna, PandaLM, mt-bench-judged; .gz too), and whether the judges are to be trusted. *out: JSON {"judges":[{"judge","protocol",
 * "calls","ok","failed","out_of_range","mean","sd",...,"swap","slot","length","contradictions","canaries","findings":[{"name","refuses","sentence"}],"is_calibrated"}],"agreement":[],"panels":[],
 * "calibration":[],"differences":{"checked","rows":[]}}. */
SC_API sc_status sc_judge_audit(sc_text *out, const char *const *paths, size_t n, const sc_judge_audit_config *c, sc_error *err);

/* A set of prompts to judge by. */
typedef struct {
    const char *from;             /* files with commas: our own sets, MBPP, HumanEvalPack, Code Alpaca, Arena-Hard, FastChat; NULL or "": the 115 that come with the program */
    int64_t     count;            /* of prompts that are taken, one of each language in turn                    */
    double      feedback;         /* share of questions about code that somebody has                            */
    const char *against;          /* training data with commas, prepared directories or files: what stands in it is left out; NULL or "": none */
    int64_t     write;            /* so many more are written by `model`, and wait for a review                 */
    const char *model;            /* SPEC of the writer, as in sc_judge_config                                  */
} sc_judge_prompts_config;        /* options "judge_prompts" */
/* Makes a set in j->out by j->seed; j: how the writer is asked (temperature, top_p and max_new_tokens are set here), also its key and few_shot. rt and m: for a writer, else NULL. *out (JSON):
 * {"out","read","duplicate","near_duplicate","overlap","empty","too_long","not_about_code","rejected","instruction","feedback","languages":{NAME:n},"unknown_licence","written","invalid","pending"}, and with `write` what was paid in all rounds together, as sc_judge_answers has it, also where that fails (then only
 * counts). */
SC_API sc_status sc_judge_prompts(sc_text *out, sc_runtime *rt, const sc_model_config *m, const sc_judge_config *j, const sc_judge_prompts_config *c, sc_error *err);
typedef enum { SC_REVIEW_SKIP, SC_REVIEW_ACCEPT, SC_REVIEW_REJECT, SC_REVIEW_CHANGE, SC_REVIEW_END } sc_review;   /* what a person decides about a prompt; END: no more questions */
/* A prompt that waits: its line, where it stands among those that wait, and how many there are. For SC_REVIEW_CHANGE `text` becomes the new prompt (malloc), which is accepted. */
typedef sc_review (*sc_on_review)(void *user, const char *json, size_t i, size_t n, sc_text *text);
/* Asks about every prompt of a file that is "pending"; the file is written after each decision. *left (may be NULL): how many wait still. */
SC_API sc_status sc_judge_prompts_review(size_t *left, const char *file, sc_on_review decide, void *user, sc_error *err);
/* A page (.html) about a directory of sc_judge_run with everything in it, or a summary (.md). */
SC_API sc_status sc_judge_report(const char *directory, const char *out, sc_error *err);

#ifdef __cplusplus
}
#endif
#endif
