/* train.h - fine-tuning: what is trained, how it is changed, and the loop. Layer 5: data, infer, model, format, text,
 * tensor, comm, base.
 *
 * A leaf is one packed row (or one preference pair): its gradient is computed alone into zeroed memory and added once to
 * the step's sum, in the order of leaves, so that a step's result does not depend on how leaves are spread over workers. */
#ifndef TRAIN_H
#define TRAIN_H

#include "comm/comm.h"
#include "data/data.h"
#include "infer/infer.h"

/* ---- parameters.c: what is trained --------------------------------------------------------------------------------------- */

/* How trained values and their moments are kept. The kernels always compute with f32 or with what the tensor's type is. */
enum value_storage { VALUE_F32, VALUE_BF16_MASTER /* bf16 in the model, f32 beside */, VALUE_BF16_STOCHASTIC /* bf16 alone, rounded at random */ };
enum moment_storage { MOMENT_F32, MOMENT_8BIT };
/* Moments in 8 bits as bitsandbytes keeps them: blocks of 256 elements of a tensor, each with its largest magnitude and
 * codes of dynamic_signed (first moment) or dynamic_unsigned (second). Tensors of less than 4096 elements, embeddings
 * and new rows keep theirs in f32. */
enum { MOMENT_BLOCK = 256, MOMENT_8BIT_LEAST = 4096 };
struct moments8 { uint8_t *code; float *largest; };
/* Who keeps what of what is trained, by the stages of ZeRO (Rajbhandari et al. 2020). Every rank owns a slice of each group of
 * parameters; stage 0: all keep everything; 1: moments, masters and the step's gradient of the own slice alone; 2: and the
 * leaf's gradient of two blocks at a time; 3: and the values so. size 1: one rank keeps everything, whatever the stage. */
struct sharing { int stage, rank, size; };
static inline bool shares_state(const struct sharing *s) { return s->size > 1 && s->stage >= 1; }
static inline bool shares_gradient(const struct sharing *s) { return s->size > 1 && s->stage >= 2; }
static inline bool shares_values(const struct sharing *s) { return s->size > 1 && s->stage >= 3; }
/* One trained tensor. grad is the leaf's, in the model's tensor too (f32). Names as in PEFT or Hugging Face files. Norms,
 * biases do not decay (as in Hugging Face's Trainer, where new rows do). Whatever is asked for, adapters, norms, biases and new rows are f32 alone: the
 * kernels read these as f32. */
struct parameter {
    char name[128]; size_t rows, cols; bool decays, is_embedding, is_matrix /* of the file, in full training */;
    size_t group;                      /* 0: embeddings, head, small tensors: whole on all ranks while they compute; 1 + i: of block i */
    size_t begin;                      /* of its elements among all, a multiple of SLICE_GRAIN                           */
    size_t own_first, own_n;           /* which of its elements this rank keeps                                          */
    struct tensor *tensor;             /* of the model; its data changes                                                 */
    size_t live_at;                    /* stage 3: where the tensor's data lie in the memory of its group, in bytes      */
    /* Of the own elements: */
    float *value;                      /* f32 values: the tensor's data or the master; NULL with VALUE_BF16_STOCHASTIC    */
    uint16_t *half;                    /* bf16 values; NULL when they are f32                                            */
    float *sum;                        /* the step's gradient                                                            */
    float *m, *v;                      /* NULL with 8-bit moments                                                        */
    struct moments8 *m8, *v8;
};
static inline size_t parameter_elements(const struct parameter *p) { return p->rows * p->cols; }
static inline size_t parameter_value_bytes(const struct parameter *p) { return p->tensor->dtype == DTYPE_BF16 ? sizeof(uint16_t) : sizeof(float); }
/* Parameters stand by groups; each begins at a whole grain, so that slices end between blocks of 8-bit moments, and groups are
 * whole grains. What lies between two is zero. */
struct trainable {
    struct parameter *parameter; size_t n;
    struct sharing sharing;
    size_t n_groups, *group_begin;     /* of elements; n_groups + 1                                                       */
    size_t *own_begin;                 /* where this rank's slice of a group begins in `sum`; n_groups + 1                */
    size_t elements, trained;          /* with what lies between parameters; of the parameters alone                     */
    float *sum;                        /* the step's gradient of this rank's slices: those of all groups, one behind the other */
    float **group_grad;                /* the leaf's gradient of each group; even and odd blocks share one where it is shared */
    char **group_live;                 /* stage 3: the memory of each group's values, likewise; else NULL                  */
    size_t block_grad_elements, live_bytes[2];   /* of the largest block; of group 0 and the largest block                */
    enum value_storage values; enum moment_storage moments;
    void *memory; size_t memory_bytes, state_bytes;   /* state_bytes: without the leaf's gradients and live values       */
};
static inline size_t group_elements(const struct trainable *t, size_t g) { return t->group_begin[g + 1] - t->group_begin[g]; }
/* What is trained, from a recipe. */
struct trainable_config { bool is_full, new_rows; enum value_storage values; enum moment_storage moments; struct sharing sharing; };
struct adapter_config { int64_t r; double alpha, dropout; bool use_rslora; const char *target_modules; uint64_t seed; };
/* Attaches adapters (A as PEFT draws it: uniform within 1/sqrt(in); B zero) to the frozen model. They live in `memory`. */
sc_status adapter_attach(struct model *m, struct arena *memory, const struct adapter_config *c, sc_error *err);
/* All parameters of the model in a fixed order: full expands every weight first. Memory is reserved before anything is
 * done; SC_E_MEMORY says how much is needed. */
sc_status trainable_open(struct trainable *out, struct model *m, const struct trainable_config *c, sc_error *err);
void      trainable_close(struct trainable *t);
/* Gives the memory of the gradients back, when no step follows; they read as 0. */
void      trainable_rest(struct trainable *t);
/* The list alone, without memory: to see what is trained. Release with trainable_close. */
void      trainable_list(struct trainable *out, struct model *m, const struct trainable_config *c);
/* What trainable_open will take, for the plan: all, and of that the state that is sliced. */
struct trainable_size { size_t all, state, trained; };
struct trainable_size trainable_size(struct model *m, const struct trainable_config *c);
void      trainable_begin_step(struct trainable *t, struct pool *pool);  /* sum = 0            */
void      trainable_begin_leaf(struct trainable *t, struct pool *pool);  /* grads = 0 of all that is not shared by blocks */
void      trainable_begin_block(struct trainable *t, size_t group, struct pool *pool);   /* grads of a group = 0 */
void      trainable_end_leaf(struct trainable *t, struct pool *pool);    /* sum += grads: of one rank */

/* ---- trainable_file.c: values, masters and moments on disk, bit for bit ----------------------------------------------------- */

/* What this rank keeps as one safetensors file; *first: {name: first element} of its parts. */
sc_status trainable_write(const struct trainable *t, const char *path, json_t **first, sc_error *err);
/* Files of any number of ranks. What this rank keeps must be in them, whole. */
struct state_file { const char *path; const json_t *first; };
sc_status trainable_read(struct trainable *t, const struct state_file *file, size_t n, sc_error *err);

/* ---- base_quantize.c: a frozen base in less memory ------------------------------------------------------------------------ */

/* Turns the linear matrices of the blocks (not embeddings, norms, head) of a model as model_bind left it into `type`, any
 * but integers and f64; those that have it already stay in the file. Pages of the file are let go of as it goes.
 * `cancel`: NULL, or as in struct exec. comm: the ranks of one machine make and keep one copy together, which is whole once all of them
 * have returned; NULL: this process alone. */
struct quantized_base { void *memory; size_t bytes; bool is_shared; };
size_t    base_quantized_bytes(struct model *m, enum dtype type);      /* what base_quantize will take, for the plan */
sc_status base_quantize(struct quantized_base *out, struct model *m, enum dtype type, struct comm *comm, struct pool *pool, const atomic_int *cancel, sc_error *err);
void      base_release(struct quantized_base *b);                      /* after the model */

/* ---- benchmarks while it trains: evaluate_tasks.c ------------------------------------------------------------------------------- */

/* Benchmarks of a model in memory, on this process alone: *out becomes [{"task","metric","value","error","documents"}]. Which function does it is said in
 * rows.c, since evaluation stands above training. */
struct live_tasks { const char *tasks, *data; int64_t limit, shots; bool applies_template; };
extern sc_status (*const measure_live)(json_t **out, sc_model *m, const struct live_tasks *t, sc_error *err);

/* ---- optimizer.c --------------------------------------------------------------------------------------------------------- */

/* As PyTorch's AdamW and SGD; a row each. step counts from 1. seed: of stochastic rounding, whose numbers are a function
 * of seed, step, parameter and element. */
struct optimizer_config { double learning_rate, beta1, beta2, epsilon, weight_decay, momentum; uint64_t seed; };
struct optimizer { const char *name; void (*update)(struct trainable *t, const struct optimizer_config *c, int64_t step, struct pool *pool); };
extern const struct optimizer optimizers[];                /* rows end with name NULL: adamw, sgd */
/* Scales the step's gradient so that its norm is at most `max_norm` (0: never); *norm is that before. Sums of SLICE_GRAIN elements
 * in double, added in the order of all elements, for any number of threads and ranks. c: for slices of other ranks. */
sc_status gradient_clip(double *norm, struct trainable *t, double max_norm, struct comm *c, struct pool *pool, sc_error *err);

/* ---- schedule.c ------------------------------------------------------------------------------------------------------------ */

/* Factor on the learning rate for update k = 0, 1, ...: as transformers' get_*_schedule; "warmup_lr" as DeepSpeed's
 * WarmupLR (logarithmic rise, then constant). */
struct schedule { const char *name; double (*factor)(int64_t k, int64_t warmup, int64_t total); };
extern const struct schedule schedules[];                  /* linear, cosine, constant, constant_with_warmup, warmup_lr */

/* ---- adapter_file.c, merge.c: PEFT's files --------------------------------------------------------------------------------- */

/* The JSON files beside saved weights (tokenizer.json, generation_config.json ...) as the model is now: with added tokens,
 * its template and its end tokens. Empty for a model without tokenizer. A row of NULL ends them. */
struct companions { struct save_extra extra[8]; size_t n; };
sc_status companions_make(struct companions *out, const sc_model *m, sc_error *err);
void      companions_release(struct companions *c);
/* adapter_model.safetensors and adapter_config.json as PEFT writes and reads them, new rows as trainable_token_indices, with
 * the companions. `base` goes into base_model_name_or_path. Files appear one by one, adapter_config.json last. */
sc_status adapter_save(const char *directory, const sc_model *m, const struct adapter_config *c, const char *base, bool new_rows, sc_error *err);

/* Reads back what was saved from `live` (an adapter directory, a model directory, a GGUF file): its logits must be those of
 * the live model, apart from the rounding of the type it is stored in, and its dialogues the same tokens. SC_E_FORMAT with
 * both figures otherwise. *difference: of the logits, as part of their range. */
sc_status saved_model_check(double *difference, const sc_model *live, const char *path, sc_error *err);

/* ---- leaves.c: rows of a data set as batches ------------------------------------------------------------------------------------ */

/* What one target is: which answer of its dialogue it belongs to (from 0), its source file, its sample of the leaf, and
 * whether it is of the completion (of a pair; else always). */
struct target_of { uint32_t turn, file, sample; bool is_completion; };
/* One packed row ready to learn: each segment a sequence of its own (all one with `joined`: the chop). label[i] is to be
 * predicted at row[i]. A pair: sample 0 is chosen, 1 is rejected. */
struct leaf { size_t rows, n, capacity; int32_t *token, *position, *sequence, *label; size_t *row; float *weight, *loss; struct target_of *of; uint32_t n_samples; };
void leaf_init(struct leaf *l, size_t capacity);
void leaf_release(struct leaf *l);
/* Fills from row `row` of a shard; weights are left to the caller. */
void leaf_fill(struct leaf *l, const struct shard *s, uint64_t row, bool joined);
/* The same for a pair; `whole_chosen`: all tokens of the chosen sample are targets, as ORPO's likelihood wants it, but for
 * what stands behind the answer's end, which TRL does not have. */
void leaf_fill_pair(struct leaf *l, const struct shard *s, uint64_t row, bool whole_chosen);

/* ---- recipe.c ------------------------------------------------------------------------------------------------------------------- */

extern const struct sc_options train_options, merge_options;

/* The recipe of run.json as the record of the run has it: paths are names. The caller's. (train_lineage.c) */
json_t *lineage_recipe(const json_t *recipe);
bool    lineage_recipe_names(const char *key);               /* whether that is a member that names files or directories */

#endif
