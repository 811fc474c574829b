/* model.h - architectures: how a config is read, which weights a model has, and one block of its forward pass.
 *
 * An architecture is a row: config readers (config.json and GGUF keys), a table of weight roles with their names in
 * both formats, and a block function. Loading, converting, initialising and (later) saving and sharding loop over the
 * roles and never name an architecture. Layer 3: format, text (for conversion), tensor, base. */
#ifndef MODEL_H
#define MODEL_H

#include "format/format.h"

/* ---- configuration ------------------------------------------------------------------------------------------------- */

struct arch;
struct model_config {
    const struct arch *arch;
    size_t vocab, embd, layers, heads, kv_heads, head_dim, inner, context;
    float eps;                       /* of the norms                                                              */
    bool is_tied;                    /* the head is the embedding                                                 */
    enum gelu_form gelu;             /* of the two-matrix feed-forward                                            */
    bool attention_bias, mlp_bias;   /* whether matrices that may have a bias (WF_MAYBE_BIAS) have one            */
    bool qkv_interleaved;            /* fused qkv by head: q0 k0 v0 q1 k1 v1 ... (gpt_bigcode without multi-query) */
    float attention_scale;           /* on q k'                                                                   */
    size_t window;                   /* sliding window in tokens; 0: none                                         */
    bool *is_windowed;               /* which layers use it (owned); NULL: all                                    */
    double rope_theta;
    struct rope rope;                /* dims 0: none; frequencies belong to the config                            */
    json_t *rope_scaling;            /* as config.json has it (owned), NULL: none; GGUF keys are turned into it, but
                                        divisors from a rope_freqs.weight tensor stand only in rope.frequency     */
    double initializer_range;
    double init_residual_scale;      /* factor on the matrices that write into the residual stream, for `init`    */
};
/* Reads the config of an open file (either format) and checks every size. Release with model_config_release. */
sc_status model_config_read(struct model_config *out, const struct model_file *f, sc_error *err);
/* The same from a config.json alone (for `init`). `what` names it in messages. */
sc_status model_config_from_json(struct model_config *out, const json_t *config, const char *what, sc_error *err);
void      model_config_release(struct model_config *c);

/* ---- weight roles ---------------------------------------------------------------------------------------------------- */

/* ORDER ROLE: the members of struct layer and struct weights are found by role in bind.c. */
enum role {
    W_EMBED, W_POSITION, W_FINAL_NORM, W_HEAD,                                       /* once    */
    W_NORM1, W_QKV, W_Q, W_K, W_V, W_O, W_NORM2, W_GATE, W_UP, W_DOWN,                /* a layer */
    ROLE_COUNT
};
static inline bool role_is_per_layer(enum role r) { return r >= W_NORM1; }
/* Sizes that rows and columns of a weight are made of. */
enum extent { E_ONE, E_VOCAB, E_CONTEXT, E_EMBD, E_HEADS /* heads * head_dim */, E_KV /* kv_heads * head_dim */, E_QKV /* E_HEADS + 2 E_KV */, E_INNER };
size_t extent_of(const struct model_config *c, enum extent e);
enum weight_flags {
    WF_NORM = 1,           /* a vector of `cols`: gain, and bias if WF_BIAS                                          */
    WF_BIAS = 2,           /* a bias must be there                                                                   */
    WF_MAYBE_BIAS = 4,     /* a bias may be there                                                                    */
    WF_OPTIONAL = 8,       /* the whole weight may be absent (a tied head)                                           */
    WF_RESIDUAL = 16,      /* writes into the residual stream                                                        */
    WF_ROPE_ROWS = 32,     /* GGUF of this architecture stores the rows of each head permuted for interleaved pairs: HF rows
                              (half h, pair i) of a head stand at 2i + h                                                */
    WF_QKV_ROWS = 64       /* GGUF stores q, k, v rows as three blocks also where HF interleaves them by head           */
};
/* Names without ".weight" / ".bias"; %zu is the layer. rows x cols = out features x in features. */
struct weight_row { enum role role; const char *hub, *gguf; enum extent rows, cols; unsigned flags; };

struct block;
struct arch {
    const char *name;                /* model_type of config.json          */
    const char *gguf;                /* general.architecture               */
    const char *hub_class;           /* architectures[0] of config.json    */
    const struct weight_row *rows; size_t n_rows;
    sc_status (*read_json)(struct model_config *c, const json_t *config, const char *what, sc_error *err);
    sc_status (*read_gguf)(struct model_config *c, const struct model_file *f, sc_error *err);
    /* The other direction, for conversion: all keys that the reader above reads. */
    void (*write_json)(const struct model_config *c, json_t *config);
    void (*write_gguf)(const struct model_config *c, struct gguf_writer *w);
    struct tensor *(*block)(struct run *r, const struct block *b, struct tensor *x);
};
extern const struct arch *const archs[];     /* rows.c; NULL at the end */
/* Name of a role's tensor in a file of this kind, into out (never longer than 96 bytes). */
void weight_name(char out[96], const struct weight_row *row, enum model_kind kind, size_t layer, bool is_bias);
/* How the rows of one form stand in the other: row i of form `to` is row row_source(c, order, i) of form `from`.
 * ORDER row_order: row_source. */
enum row_order { ROWS_SAME, ROWS_TO_PAIRS /* half-split -> interleaved rope */, ROWS_TO_HALVES, ROWS_TO_BLOCKS /* by head -> q, k, v */, ROWS_TO_HEADS };
enum row_order row_order_between(const struct model_config *c, const struct weight_row *row, enum model_kind from, enum model_kind to);
size_t row_source(const struct model_config *c, enum row_order order, size_t row);

/* ---- weights and forward pass ---------------------------------------------------------------------------------------- */

struct layer { struct norm norm1, norm2; struct weight qkv, q, k, v, o, gate, up, down; };
/* What a block function sees. */
struct block { const struct model_config *config; const struct layer *layer; size_t index; };

/* For a model whose blocks are not all in memory at once. `need` returns once the weights of `block` are in their places, and, going
 * back, zero gradients in theirs; `next` is the block that will be wanted then (SIZE_MAX: nobody knows). `done`: they may go, and
 * going back the gradients are complete. Both are called on the thread that runs the model; a failure ends the pass. */
struct model_residency {
    sc_status (*need)(void *user, size_t block, size_t next, bool goes_back);
    sc_status (*done)(void *user, size_t block, bool goes_back);
    void *user;
};

struct model {
    struct model_config config;
    enum model_kind kind;                    /* of the file it came from: how rows stand (WF_ROPE_ROWS, WF_QKV_ROWS) */
    struct weight embed, position, head;     /* head: the embedding's tensor when tied */
    struct norm final_norm;
    struct layer *layers;
    /* Rows of tokens that the file does not have (ids vocab .. vocab + extra.rows - 1), f32: each the mean of the old
     * rows. extra_head is the same tensor when tied. */
    struct tensor extra, extra_head;
    struct arena memory;                     /* layers, converted vectors, extra rows */
    void *packed; size_t packed_bytes;       /* see model_pack; NULL: none */
    const struct model_residency *residency; /* NULL: everything is there */
    const struct model *base;                /* of a variant: whose matrices and config these are, see adapter_variant */
    size_t weight_bytes, parameters;         /* bytes read by a decode step; all parameters, a tied head once */
};
/* Binds the weights of an open file, which must outlive the model. Every tensor is checked for shape and type; a
 * missing or unknown one is named. */
sc_status model_bind(struct model *out, const struct model_file *f, sc_error *err);
void      model_release(struct model *m);
/* Makes room for `n` more tokens behind the vocabulary; those that are there keep their rows. */
void      model_add_rows(struct model *m, size_t n);
/* Gives the matrices room for the form that the backend reads best, unless that takes more than `limit` bytes (*too_large):
 * then they are read as they lie in the file. For models that run with int8 activations, or (gemm_f32) in passes with exec->gemm_f32: those of f32. Once for a model whose weights
 * stay as they are. */
sc_status model_pack(struct model *m, const struct backend *backend, bool gemm_f32, uint64_t limit, bool *too_large, sc_error *err);
size_t    model_vocab(const struct model *m);                 /* with the extra rows */

/* Runs the batch through all blocks, rows of variants (batch->variant) with what they change; returns the normed hidden rows `row[0..n)` as (n, embd), in exec->step. NULL when
 * exec->status was set (cancelled). Positions must be below config.context where learned positions are used. */
struct tensor *model_forward(const struct model *m, struct exec *e, const struct batch *batch, const size_t *row, size_t n);
/* Logits of hidden rows: out has rows * model_vocab floats. */
void model_logits(const struct model *m, struct exec *e, const struct tensor *hidden, float *out);
/* The same for rows of a model and its variants: row r is of[r]'s, and out[r] has model_vocab(of[r]) floats. A head that several
 * have in common is read once. */
void model_logits_each(const struct model *const *of, struct exec *e, const struct tensor *hidden, float *const *out);

/* One tensor of a model with its place in it. A tied head is visited as the embedding alone. */
struct model_tensor { struct tensor *tensor; const struct weight_row *row; size_t layer; bool is_bias; };
void      model_each(struct model *m, void (*visit)(void *user, const struct model_tensor *t), void *user);
/* After tensors were changed or given a grad: a tied head follows the embedding, and its extra rows theirs. */
void      model_tie(struct model *m);

/* For readers of weights outside of a pass: afterwards those of `block` are there, until the next is fetched. */
sc_status model_fetch_block(const struct model *m, size_t block, sc_error *err);

/* Rows of a batch whose next token is to be learned: row[i] shall give label[i], and counts weight[i] in the sum whose
 * gradient is sought; loss[i] becomes its cross-entropy. */
struct learn_rows {
    const size_t *row; const int32_t *label; const float *weight; float *loss; size_t n;
    void (*weigh)(void *user); void *user;       /* NULL, or: sets the weights once all losses are known, before the gradient */
};
/* The first block that learns; model_learn goes back that far. The number of blocks if none does. */
size_t    model_first_learning(const struct model *m);
/* Losses of the rows and, if wanted, the gradient of sum of weight[i] loss[i], added to the `grad` of all weights, norms,
 * adapters and extra rows that have one. The batch has no caches. Needs exec->many_rows. */
void model_learn(const struct model *m, struct exec *e, const struct batch *batch, const struct learn_rows *rows, bool wants_gradient);

/* ---- adapters: adapter.c, adapter_config.c ------------------------------------------------------------------------------ */

/* Puts a PEFT adapter on a bound model: low-rank pairs beside the matrices of the layers, whole tensors and single token
 * rows in place of the model's; token ids behind the vocabulary become extra rows. `f` comes from adapter_file_open and
 * must outlive the model. Every name and shape is checked; what PEFT has and this program does not is refused by name.
 * After a failure the model can only be released. */
sc_status adapter_load(struct model *m, const struct model_file *f, sc_error *err);
/* The same as a variant of a model without adapter, which it shares matrices with and which must outlive it. One pass through
 * the model computes rows of all its variants (struct variant_rows), each with the bits of its adapter opened alone. What an
 * adapter replaces inside of the blocks, or in the final norm, is SC_E_UNSUPPORTED. Rows added to the model's vocabulary
 * (model_add_rows) are not the variant's. The caller releases *out, also after a failure. */
sc_status adapter_variant(struct model *out, const struct model *base, const struct model_file *f, sc_error *err);
/* Is a module ("model.layers.0.mlp.down_proj") among PEFT's target modules? Names parted by commas or spaces, each the
 * end of a module's name, or "all-linear". */
bool      adapter_is_target(const char *targets, const char *module);

/* Rope frequencies: theta^(-2j/dims), scaled as config.json's rope_scaling says (linear, llama3, yarn; "dynamic" is
 * exact up to the original context). NULL scaling: none. */
sc_status rope_init(struct rope *out, size_t dims, double theta, size_t context, const json_t *scaling, const char *what, sc_error *err);

/* ---- the JSON files of a tokenizer, whichever form the model has: convert_tokenizer.c, convert_hf.c -------------------------- */

/* tokenizer.json of a directory, or rebuilt from GGUF keys; *out NULL when there is none. The caller owns it. */
sc_status model_tokenizer_json(json_t **out, const struct model_file *f, sc_error *err);
/* tokenizer_config.json and special_tokens_map.json likewise, at least {}. `context`: of the model. */
sc_status model_tokenizer_config(json_t **out, const struct model_file *f, size_t context, const json_t *tokenizer, sc_error *err);
sc_status model_special_tokens(json_t **out, const struct model_file *f, sc_error *err);
json_t   *model_added_tokens_decoder(const json_t *tokenizer);    /* {id: token} of its added_tokens */

/* ---- importance of columns: imatrix.c --------------------------------------------------------------------------------------- */

/* Of one matrix: sums of squares of what each column was multiplied with, over `count` rows. */
struct imatrix_row { char *name; size_t cols; double *sum, count; };        /* name: in GGUF, "blk.0.attn_q.weight" */
struct imatrix { struct imatrix_row *rows; size_t n, cap, chunks, chunk; char *dataset; };   /* all owned; dataset NULL: unknown; chunk: tokens */
struct imatrix_row *imatrix_add(struct imatrix *m, const char *name, size_t cols);   /* all zero; good until the next is added */
const struct imatrix_row *imatrix_find(const struct imatrix *m, const char *name);   /* NULL if absent */
/* What each column counts: 1 on average, never 0. False when all sums are 0. */
bool      imatrix_weights(float *out, const struct imatrix_row *r);
void      imatrix_release(struct imatrix *m);
/* Files of llama.cpp's form. */
sc_status imatrix_read(struct imatrix *out, const char *path, sc_error *err);
sc_status imatrix_from_file(struct imatrix *out, const struct model_file *f, sc_error *err);
sc_status imatrix_write(const struct imatrix *m, const char *path, bool overwrite, sc_error *err);

/* ---- jobs on files: convert.c, init.c (public: sc_convert, sc_init) ---------------------------------------------------- */

/* Writes a bound (and changed) model: weights from memory (adapters of linear matrices added: W + scale B A), extra rows
 * behind the vocabulary, the files beside them from the file it came from. Block types become f32 in a directory; `type`
 * as of sc_convert_config. `extras`: JSON files that replace or join those of the base (tokenizer.json,
 * generation_config.json ...), name and value; NULL at the end. */
struct save_extra { const char *name; const json_t *value; };
struct model_save_config { const char *out, *type; bool overwrite, with_adapters; const struct save_extra *extras; json_t *lineage; /* record without outputs, sealed and written beside the result or into the file; NULL: none */ struct pool *pool; const atomic_int *cancel; sc_on_event on_event; void *user; };
sc_status model_save(const struct model *m, const struct model_file *base, const struct model_save_config *c, sc_error *err);
/* The work behind them; a runtime lends its threads and its cancel flag. */
/* `calibrator` runs the model at c->in over c->calibrate where that is given: NULL allowed where it is not. */
struct calibrator { sc_status (*run)(struct imatrix *out, void *user, const sc_convert_config *c, sc_error *err); void *user; };
sc_status model_convert(const sc_convert_config *c, const struct calibrator *calibrator, struct pool *pool, const atomic_int *cancel, sc_error *err);
sc_status model_init(const sc_init_config *c, struct pool *pool, const atomic_int *cancel, sc_error *err);
extern const struct sc_options convert_options, init_options;

#endif
