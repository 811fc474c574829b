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
};
/* Opens the model and its adapters; nothing large is taken yet. */
sc_status learner_open(struct learner *out, sc_runtime *rt, const sc_train_config *c, const char *chat_template, sc_error *err);
/* What the largest pass takes: a dry one over `rows` rows that are all trained. */
void      learner_measure(struct learner *l, size_t rows);
/* Takes and touches all memory that any later step can need. */
sc_status learner_reserve(struct learner *l, sc_error *err);
void      learner_close(struct learner *l);
/* Losses (and gradient, added to those of the parameters) of a leaf. weigh: see struct learn_rows; NULL: leaf->weight as it is. */
sc_status learner_pass(struct learner *l, const struct leaf *leaf, uint64_t seed, bool wants_gradient, void (*weigh)(void *user), void *user, sc_error *err);

/* ---- preference.c: DPO (Rafailov et al. 2023) and ORPO (Hong et al. 2024), as TRL computes them ----------------------------------- */

enum preference_kind { PREFERENCE_NONE, PREFERENCE_DPO, PREFERENCE_ORPO };
/* reference: log-probabilities of chosen and rejected under the model before training, 2 a row (DPO). */
struct preference { enum preference_kind kind; double beta; double *train_reference, *eval_reference; };
/* Sums over pairs. */
struct rewards { double loss, chosen, rejected, right, nll; uint64_t pairs; };
struct journal;
/* DPO: reads reference.bin of the output directory, or makes it with one pass over the data. */
sc_status preference_open(struct preference *out, struct learner *l, const struct corpus *data, const char *output, struct journal *j, sc_error *err);
void      preference_close(struct preference *p);
/* The pass over one pair; `reference` its two (NULL: ORPO); pairs: in the step; tokens: all targets of chosen samples in it. */
sc_status preference_pass(struct rewards *sum, struct learner *l, const struct preference *p, struct leaf *leaf, const double *reference, double pairs, double tokens, uint64_t seed, bool wants_gradient, sc_error *err);

/* ---- step.c: one optimiser step ------------------------------------------------------------------------------------------------------ */

struct step_result { double loss, grad_norm, learning_rate, seconds; uint64_t tokens, trained; const char *skipped; struct rewards rewards; };   /* skipped: why the update was left out; NULL */
/* The last losses, for the spike guard. */
enum { LOSS_WINDOW = 128 };
struct loss_window { double loss[LOSS_WINDOW]; int64_t n, skipped_in_a_row; };
/* All that a checkpoint must know besides the parameters. */
struct run_state { int64_t step, updates, total, warmup, best_step, last_eval, evals_without_gain; double best_loss, seconds; uint64_t tokens; struct loss_window window; };
sc_status step_run(struct step_result *out, struct losses *losses, struct learner *l, const struct corpus *data, const struct preference *p, struct order *order, struct run_state *s, sc_error *err);

/* ---- train_plan.c ------------------------------------------------------------------------------------------------------------------------ */

/* Bytes: after opening; weights that passes read; values, gradients and moments; scratch of a pass; rows of a step; sample
 * answers. */
struct memory_plan { uint64_t opened, weights, trained, pass, rows, samples, peak; };
void      plan_memory(struct memory_plan *out, struct learner *l, size_t rows);   /* before learner_reserve */
json_t   *plan_describe(const struct memory_plan *p);
sc_status plan_check(const struct memory_plan *p, const sc_runtime *rt, sc_error *err);

/* ---- evaluate.c ---------------------------------------------------------------------------------------------------------------------- */

struct eval_result { double loss, low, high, seconds; uint64_t rows, dialogues, trained; struct losses losses; struct rewards rewards; };   /* low, high: 95 % over dialogues */
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
sc_status result_write(struct learner *l, struct journal *j, sc_error *err);

/* ---- run.c: the output directory ------------------------------------------------------------------------------------------------------------ */

/* run.json: the recipe, the program, and how far it is: opening (another recipe may still take its place), running, finished. A lock keeps a second process out while `lock` is open. */
enum run_found { RUN_NEW, RUN_RESUMES, RUN_FINISHED };
sc_status run_open(enum run_found *found, json_t **recipe, int *lock, const sc_train_config *c, sc_error *err);
sc_status run_write(const sc_train_config *c, const json_t *recipe, const char *state, const json_t *results, sc_error *err);
sc_status run_check_space(const char *output, uint64_t bytes, sc_error *err);

#endif
