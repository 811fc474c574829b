/* train_internal.h - what the files of the training job share: the data, one step, evaluation, the journal, checkpoints.
 * Private to src/train. */
#ifndef TRAIN_INTERNAL_H
#define TRAIN_INTERNAL_H

#include <stdio.h>

#include "data/dataset.h"
#include "train/train.h"

/* ---- corpus.c: the rows of a prepared directory, and their order ------------------------------------------------------------- */

/* Rows of one split over all its shards. */
struct corpus_split { const struct shard **shard; uint64_t *first; size_t n; uint64_t rows, trained; size_t longest; };   /* longest: tokens of a row */
struct corpus { sc_dataset *train_data, *eval_data; struct corpus_split train, eval; bool joined, has_pairs; };   /* eval_data: may be train_data */
/* Opens the prepared directory that the recipe names, or prepares its dialogues under output_dir/data (and
 * output_dir/eval_data) where that was not done yet. */
sc_status corpus_open(struct corpus *out, sc_runtime *rt, const sc_train_config *c, sc_error *err);
/* The template to open the model with: the recipe's, else a built-in one that the data were prepared with; NULL: the
 * model's own. */
const char *corpus_template(const struct corpus *c, const sc_train_config *config);
/* Ids must spell in the model what they spell in the data, the template must be the same, something must be trained. */
sc_status corpus_check(const struct corpus *c, const sc_model *m, sc_error *err);
void      corpus_close(struct corpus *c);
/* Row i of a split: which shard, which of its rows. */
const struct shard *corpus_row(const struct corpus_split *s, uint64_t i, uint64_t *row);
/* Place k of epoch e: a permutation of the rows drawn by the seed. */
struct order { uint64_t *row, n, epoch, seed; bool shuffles; };
void     order_init(struct order *o, uint64_t n, uint64_t seed, bool shuffles);
uint64_t order_row(struct order *o, uint64_t position);    /* position: counted over all epochs */
void     order_release(struct order *o);

/* ---- losses.c: sums of losses by where they come from -------------------------------------------------------------------------- */

enum { LOSS_TURNS = 8, LOSS_SOURCES = 16 };
struct loss_sum { double loss; uint64_t n; };
/* All trained tokens; those of the first, second, ... answer of a dialogue; those of each source file. */
struct losses { struct loss_sum all, turn[LOSS_TURNS], source[LOSS_SOURCES]; };
void losses_add(struct losses *l, const struct leaf *leaf);
json_t *losses_describe(const struct losses *l, const sc_dataset *d);      /* {"by_turn":{..},"by_source":{..}} */

/* ---- trace.c: what was done when, for Perfetto and Chrome ------------------------------------------------------------------------- */

enum trace_lane { TRACE_WORK, TRACE_LEAF, TRACE_MESSAGES };
struct trace;
struct trace *trace_open(void);
void      trace_close(struct trace *t);                                       /* NULL allowed, here and below */
/* group: -1 for none. From any thread. What comes after some hundred thousand is left out, and counted. */
void      trace_add(struct trace *t, enum trace_lane lane, const char *what, int64_t group, double begin, double end);
/* Collective: all ranks' into one file of rank 0, in the Trace Event Format. */
sc_status trace_write(struct trace *t, struct comm *c, const char *path, sc_error *err);

/* ---- shards.c: several ranks ------------------------------------------------------------------------------------------------------- */

struct learner;
struct meter;
struct shards;                          /* NULL: one rank */
/* Seconds, and bytes sent. gather, reduce: of the queue, beside the work; wait_*: what the work stood still for. */
struct shard_times { uint64_t leaves; double compute, wait_values, wait_gradients, wait_ranks, update, gather, reduce; uint64_t sent_bytes; double *seconds_of; /* compute, of each rank */ };
/* One leaf for each of the first n ranks: `pass` runs leaf[k] on rank k alone. */
struct round { struct leaf *const *leaf; size_t n; bool wants_gradient; sc_status (*pass)(void *user, size_t k, sc_error *err); void *user; };
/* After learner's parameters are there. Collective, as all that follows. */
sc_status shards_open(struct shards **out, struct learner *l, sc_error *err);
void      shards_close(struct shards *s);
size_t    shards_bytes(int size);       /* memory besides the parameters' */
/* Runs a round; gradients are added to the owners' sums, and all ranks have the losses of all leaves. SC_E_CANCELLED on all when one was asked to stop. */
sc_status shards_round(struct shards *s, const struct round *r, sc_error *err);
sc_status shards_end_gradient(struct shards *s, sc_error *err);       /* after the last round of a step, before clipping */
sc_status shards_publish(struct shards *s, sc_error *err);            /* after values changed */
/* Rank 0 works with the whole model, whose blocks the others send when it asks. s NULL: just works. */
sc_status shards_alone(struct shards *s, sc_status (*work)(void *user, sc_error *err), void *user, sc_error *err);
struct shard_times *shards_times(struct shards *s);
void      shards_set_trace(struct shards *s, struct trace *trace);
bool      shards_failed(const struct shards *s, sc_error *err);       /* why a pass was ended, if messages were the reason */

/* ---- agree.c: what must be the same on all ranks; collective ------------------------------------------------------------------------- */

/* The program, its kernels and the recipe. */
sc_status agree_on_job(struct comm *c, const sc_runtime *rt, const sc_train_config *config, sc_error *err);
struct corpus;
/* The data, and the model as far as samples of its tensors tell. */
sc_status agree_on_files(struct comm *c, const struct corpus *data, const sc_model *m, sc_error *err);

/* ---- ranks.c: where the time of each rank went ------------------------------------------------------------------------------------------ */

/* What was told before; the rank of the last note about a slow one. */
struct ranks_report { struct shard_times before; int64_t step; int slow; };
struct journal;
/* Collective. An event "ranks" since the last one, and a note when one rank is much slower than the others. */
sc_status ranks_log(struct ranks_report *r, struct learner *l, struct journal *j, int64_t step, sc_error *err);

/* ---- learner.c: model, parameters and memory of a run ---------------------------------------------------------------------------- */

struct learner {
    sc_runtime *rt; const sc_train_config *config;
    sc_model *model;
    struct adapter_config adapter; char *targets;
    struct trainable_config what;
    struct trainable trainable;
    struct quantized_base base; enum dtype base_type; bool quantizes;
    const struct optimizer *optimizer; const struct schedule *schedule;
    struct arena memory, step;          /* adapters; scratch of a pass */
    size_t step_bytes;                  /* most that a pass takes      */
    size_t n_trained;                   /* elements                    */
    struct leaf *leaf; size_t n_leaves; /* of one step                 */
    struct shards *shards;              /* NULL: one rank              */
    struct meter *meter;                /* read between rounds of long work; NULL: nothing is metered */
};
/* Opens the model and its adapters; nothing large is taken yet. */
sc_status learner_open(struct learner *out, sc_runtime *rt, const sc_train_config *c, const char *chat_template, sc_error *err);
/* What the largest pass takes: a dry one over `rows` rows that are all trained. */
void      learner_measure(struct learner *l, size_t rows);
/* Takes and touches all memory that any later step can need. */
sc_status learner_reserve(struct learner *l, sc_error *err);
void      learner_close(struct learner *l);
/* Losses (and gradient, added to those of the parameters) of a leaf. weigh: see struct learn_rows; NULL: leaf->weight as it is. */
/* Runs a round of leaves, whatever the number of ranks (never more leaves than these). */
sc_status learner_round(struct learner *l, const struct round *r, sc_error *err);
sc_status learner_pass(struct learner *l, const struct leaf *leaf, uint64_t seed, bool wants_gradient, void (*weigh)(void *user), void *user, sc_error *err);

/* ---- preference.c: DPO (Rafailov et al. 2023) and ORPO (Hong et al. 2024), as TRL computes them ----------------------------------- */

enum preference_kind { PREFERENCE_NONE, PREFERENCE_DPO, PREFERENCE_ORPO };
/* reference: log-probabilities of chosen and rejected under the model before training, 2 a row (DPO). */
struct preference { enum preference_kind kind; double beta; double *train_reference, *eval_reference; };
/* Sums over pairs. */
struct rewards { double loss, chosen, rejected, right, nll; uint64_t pairs; };
/* DPO: reads reference.bin of the output directory, or makes it with one pass over the data. */
sc_status preference_open(struct preference *out, struct learner *l, const struct corpus *data, const char *output, struct journal *j, sc_error *err);
void      preference_close(struct preference *p);
/* The pass over one pair; `reference` its two (NULL: ORPO); pairs: in the step; tokens: all targets of chosen samples in it. */
struct pair_of { struct leaf *leaf; const double *reference; double pairs, tokens; };
sc_status preference_pass(struct learner *l, const struct preference *p, const struct pair_of *pair, uint64_t seed, bool wants_gradient, sc_error *err);
void      preference_count(struct rewards *sum, const struct preference *p, const struct pair_of *pair);      /* once the pair's losses are known */

/* ---- step.c: one optimiser step ------------------------------------------------------------------------------------------------------ */

struct step_result { double loss, grad_norm, learning_rate, seconds; uint64_t tokens, trained; const char *skipped; struct rewards rewards; };   /* skipped: why the update was left out; NULL */
/* The last losses, for the spike guard. */
enum { LOSS_WINDOW = 128 };
struct loss_window { double loss[LOSS_WINDOW]; int64_t n, skipped_in_a_row; };
/* All that a checkpoint must know besides the parameters. */
/* rows: of a step. */
struct run_state { int64_t step, updates, total, warmup, best_step, last_eval, evals_without_gain, rows; double best_loss, seconds, wall_seconds, processor_seconds, joules, metered_seconds; uint64_t tokens; struct loss_window window; };   /* see meter.c */
sc_status step_run(struct step_result *out, struct losses *losses, struct learner *l, const struct corpus *data, const struct preference *p, struct order *order, struct run_state *s, sc_error *err);

/* ---- meter.c: what it costs ------------------------------------------------------------------------------------------------------------- */

/* Energy counters of the processor (micro-joules), and clocks, as they were read last. n 0: there are none that may be read. */
#define METER_ROOT "/sys/class/powercap"
enum { METER_ZONES = 16 };
struct meter_zone { char name[48]; uint64_t last, range; };
struct meter { struct meter_zone zone[METER_ZONES]; const char *root; int n; double processor, clock; struct run_state *to; };
void meter_begin(struct meter *m, const char *root);      /* root: where the kernel shows counters, METER_ROOT */
void meter_add(struct meter *m, struct run_state *s);     /* what was used since, to s; a time so long that a counter may have gone round more than once adds no energy and is not metered */
void meter_tick(struct meter *m);                         /* meter_add to m->to; m NULL: nothing */

/* ---- train_plan.c ------------------------------------------------------------------------------------------------------------------------ */

/* Bytes: after opening; weights that passes read; values, gradients and moments; scratch of a pass; rows of a step; sample
 * answers; of `trained`, what is sliced over ranks; buffers of messages. */
struct memory_plan { uint64_t opened, weights, trained, pass, rows, samples, state, messages, peak; };
void      plan_memory(struct memory_plan *out, struct learner *l, size_t rows);   /* before learner_reserve */
json_t   *plan_describe(const struct memory_plan *p);
sc_status plan_check(const struct memory_plan *p, const sc_runtime *rt, sc_error *err);

/* ---- evaluate.c ---------------------------------------------------------------------------------------------------------------------- */

struct eval_result { double loss, low, high, seconds; uint64_t rows, dialogues, trained; struct losses losses; struct rewards rewards; };   /* low, high: 95 % over dialogues */
/* Benchmarks of the recipe under the weights as they are; with adapters those of the base too, once: *base is kept. One event a number. */
sc_status evaluate_tasks(struct learner *l, json_t **base, struct journal *j, int64_t step, sc_error *err);
sc_status evaluate(struct eval_result *out, struct learner *l, const struct corpus *data, const struct preference *p, sc_error *err);
enum { SAMPLE_TOKENS = 96, SAMPLE_PROMPT = 512, SAMPLE_CONTEXT = SAMPLE_TOKENS + SAMPLE_PROMPT, SAMPLE_CHUNK = 256 };
/* Greedy answers to the first held-out prompts, from the weights as they are; each goes to the journal. */
sc_status evaluate_samples(struct learner *l, const struct corpus *data, struct journal *j, int64_t step, sc_error *err);

/* ---- journal.c, tensorboard.c: what happened ---------------------------------------------------------------------------------------------- */

struct tensorboard;
sc_status tensorboard_open(struct tensorboard **out, const char *directory, int64_t from_step, sc_error *err);
sc_status tensorboard_scalar(struct tensorboard *t, const char *tag, double value, int64_t step, sc_error *err);
sc_status tensorboard_flush(struct tensorboard *t, sc_error *err);
void      tensorboard_close(struct tensorboard *t);

/* events.jsonl in the output directory, the caller's on_event, and TensorBoard's files. */
struct journal { FILE *file; char *path; const sc_train_config *config; sc_runtime *rt; struct tensorboard *board; };
/* Keeps what happened up to `step` of an earlier run. */
sc_status journal_open(struct journal *j, sc_runtime *rt, const sc_train_config *c, int64_t step, sc_error *err);
void      journal_close(struct journal *j);
sc_status journal_sync(struct journal *j, sc_error *err);
/* Takes over `event`. Numbers of step and eval events become scalars. */
sc_status journal_put(struct journal *j, json_t *event, sc_error *err);
void      journal_note(const struct journal *j, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- checkpoint.c: crash-safe state ------------------------------------------------------------------------------------------------------- */

/* output_dir/checkpoint-N: state.safetensors and checkpoint.json (digests, position, guards). Complete or absent. */
sc_status checkpoint_save(const struct learner *l, const struct run_state *s, const char *output, sc_error *err);
/* The newest one that is whole; *found false: none. Damaged ones are told and passed over. */
sc_status checkpoint_load(struct learner *l, struct run_state *s, const char *output, struct journal *j, bool *found, sc_error *err);
sc_status checkpoint_load_step(struct learner *l, const char *output, int64_t step, sc_error *err);
/* Removes all but the newest `keep` and the best; and what dead saves left behind. */
void      checkpoint_sweep(const char *output, int64_t keep, int64_t best);
int64_t   checkpoint_newest(const char *output);           /* step, -1: none */

/* ---- train_report.c ----------------------------------------------------------------------------------------------------------------------- */

/* report.html with curves, from events.jsonl; and trainer_state.json, all_results.json as transformers writes them. Adds the
 * evaluations before and after to `results`. */
sc_status report_write(const char *output, const sc_train_config *c, const json_t *recipe, json_t *results, sc_error *err);

/* ---- result.c: what others can use ------------------------------------------------------------------------------------------------------------ */

/* The adapter or the model into output_dir (and a GGUF file if wanted), each read back and compared by its logits. */
sc_status result_write(struct learner *l, struct journal *j, json_t *lineage, sc_error *err);     /* lineage: for what is one file */
/* The adapter or the model alone as it is now, not read back: for a push beside the training. */
sc_status result_write_now(struct learner *l, sc_error *err);

/* ---- publish.c: push_to_hub, of rank 0 ---------------------------------------------------------------------------------------------------------- */

struct publisher;
/* *out NULL: nothing is published. Fails where a push would: no token, no right to write, a recipe that may not be seen. After run_open. */
sc_status publisher_open(struct publisher **out, const sc_train_config *c, sc_error *err);
bool      publisher_wants(struct publisher *p, struct journal *j);                    /* whether a checkpoint made now is to be published */
void      publisher_begin(struct publisher *p, struct journal *j, int64_t step);      /* beside the training; the result's files stay as they are until it is settled */
void      publisher_settle(struct publisher *p, struct journal *j);                   /* waits and tells; p may be NULL in all that follow */
void      publisher_end(struct publisher *p, struct journal *j, int64_t step);        /* the result; step: of the newest checkpoint */
void      publisher_close(struct publisher *p);

/* ---- train_lineage.c: how it was made ---------------------------------------------------------------------------------------------------------- */

/* The record of the run (lineage.h) without its outputs; the caller's. Reads all of the base where no manifest knows its digests. */
sc_status train_lineage(json_t **out, const struct learner *l, const struct corpus *data, const struct run_state *s, const json_t *recipe, sc_error *err);

/* ---- run.c: the output directory ------------------------------------------------------------------------------------------------------------ */

/* run.json: the recipe, the program, and how far it is: opening (another recipe may still take its place), running, finished. A lock keeps a second process out while `lock` is open. */
enum run_found { RUN_NEW, RUN_RESUMES, RUN_FINISHED };
sc_status run_open(enum run_found *found, json_t **recipe, int *lock, const sc_train_config *c, sc_error *err);
sc_status run_write(const sc_train_config *c, const json_t *recipe, const char *state, const json_t *results, sc_error *err);
sc_status run_check_visible(const char *output, sc_error *err);       /* that rank 0's run is where this rank looks */
sc_status run_check_space(const char *output, uint64_t bytes, sc_error *err);

#endif
