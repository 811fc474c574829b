/* tensor.h - matrices, storage types, operators, and the interface of a backend.
 *
 * Every activation is a matrix with one row per token; only attention looks across rows. A model is written with the
 * typed wrappers below (linear(), attention() ...), which check shapes, take the output from the step arena and call
 * one row of the backend's operator table. Layer 1: includes base only. */
#ifndef TENSOR_H
#define TENSOR_H

#include <stdatomic.h>
#include <string.h>

#include "base/base.h"

/* ---- dtype.c: storage types -------------------------------------------------------------------------------------- */

/* ORDER DTYPE: rows of `dtypes`. The last five are for reading files; nothing computes with them. NF4 is in no file. */
enum dtype {
    DTYPE_F32, DTYPE_F16, DTYPE_BF16,
    DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q5_0, DTYPE_Q5_1, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K, DTYPE_NF4,
    DTYPE_F64, DTYPE_I8, DTYPE_I16, DTYPE_I32, DTYPE_I64,
    DTYPE_COUNT
};
/* One storage type: `block` elements take `bytes` bytes. Block layouts: GGUF specification and ggml-common.h. */
struct dtype_row {
    const char *name;          /* "q4_0"                                              */
    const char *safetensors;   /* "BF16"; NULL if that format cannot hold it          */
    int gguf;                  /* type number in GGUF, -1: none; general.file_type differs */
    size_t block, bytes;
    void (*to_f32)(float *out, const void *in, size_t n);    /* n: a multiple of block; NULL for integer types */
    void (*from_f32)(void *out, const float *in, size_t n);  /* the reference rounding of each type            */
    /* For files: searches the steps that lose least, where columns count by importance[0..n), the mean square of what each
     * is multiplied with (not negative; NULL: unknown, then all alike, or from_f32 where that loses less). NULL: from_f32 is
     * as good. */
    void (*quantise)(void *out, const float *in, const float *importance, size_t n);
    size_t group, head;        /* each begun `group` elements of a row take `head` bytes more; then to_f32 and from_f32 are for whole rows */
};
extern const struct dtype_row dtypes[DTYPE_COUNT];
bool   dtype_by_name(enum dtype *out, const char *name);          /* "q8_0", any case */
bool   dtype_by_safetensors(enum dtype *out, const char *name);
bool   dtype_by_gguf(enum dtype *out, uint32_t type);
size_t dtype_row_bytes(enum dtype t, size_t cols);                /* cols: a multiple of the block */

/* nf4.c: rows of NF4. Element codes are indices of nf4_value; scales are 8-bit codes of a dynamic map (Dettmers 2015). */
enum { NF4_BLOCK = 64, NF4_BYTES = 33, NF4_GROUP = 256 * NF4_BLOCK, NF4_HEAD = 8 };
extern const float nf4_value[16], dynamic_signed[256], dynamic_unsigned[256];    /* maps: rising */
int  dynamic_nearest(const float map[256], float x);              /* index of the nearest value, the lower of two */
void nf4_part_to_f32(float *out, const void *row, size_t first, size_t n);  /* elements of a row; multiples of NF4_BLOCK */
/* The 32 bytes of codes of the block with element `at` of a row, and the block's scale. */
static inline const uint8_t *nf4_block(const void *row, size_t at, float *scale)
{
    const uint8_t *group = (const uint8_t *)row + at / NF4_GROUP * (NF4_HEAD + NF4_GROUP / NF4_BLOCK * NF4_BYTES);
    const uint8_t *block = group + NF4_HEAD + at % NF4_GROUP / NF4_BLOCK * NF4_BYTES;
    float head[2];
    memcpy(head, group, sizeof head);
    *scale = dynamic_signed[block[0]] * head[0] + head[1];
    return block + 1;
}

float    f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float f);     /* nearest even */
float    bf16_to_f32(uint16_t h);
uint16_t f32_to_bf16(float f);    /* nearest even; NaN stays NaN */

/* ---- tensor.c ------------------------------------------------------------------------------------------------------ */

/* rows x cols, row after row without gaps. A vector has one row. Data belongs to an arena, a mapped file or a cache. */
struct tensor {
    enum dtype dtype;
    size_t rows, cols;
    void *data;
    float *grad;         /* NULL: no gradient wanted, or a recorded result before tape_gradients */
    bool learns;         /* a result, or a block's input, whose gradient is wanted                */
    bool is_fresh;       /* grad holds nothing yet: what is first added to it is stored           */
    void *packed;        /* room for the form that the backend reads best, filled at first use; NULL: none. It */
    const void *packed_from;   /* stands for data only while data is this                         */
};
static inline bool tensor_learns(const struct tensor *t) { return t && (t->grad || t->learns); }
static inline size_t tensor_row_bytes(const struct tensor *t) { return dtype_row_bytes(t->dtype, t->cols); }
static inline const void *tensor_row(const struct tensor *t, size_t row) { return (const char *)t->data + row * tensor_row_bytes(t); }
static inline float *tensor_f32(const struct tensor *t) { return (float *)t->data; }   /* of an f32 tensor */

/* A matrix of a model, (out features, in features), and what belongs to it. */
struct lora;
struct weight { struct tensor w, bias; const struct lora *lora; };   /* bias.data NULL: none; biases and norms are f32 */
/* A low-rank change of a frozen matrix: x w' + scale (x a') b' (Hu et al. 2021). a: (rank, in), b: (out, rank), f32. */
struct lora { struct weight a, b; float scale, dropout; uint64_t stream; };   /* stream: of the dropout's random numbers */
struct norm   { struct tensor gain, bias; float eps; };        /* bias.data NULL: none */

/* ---- what one forward pass works on ----------------------------------------------------------------------------------- */

/* Keys and values of one sequence and all layers, f16, f32 or Q8_0. page[i] holds positions [i, i + 1) * KV_PAGE, and only pages with
 * positions in use need to be there; several caches may hold the same page as long as none of them writes to it. In a page stand
 * for each layer, and in it each key/value head, the keys of its KV_PAGE positions and behind them their values, a plane each.
 * f16, f32: values of a position are head_dim elements, one position after the other; keys stand by tiles of KV_TILE positions,
 * where element i of position p is at i * KV_TILE + p % KV_TILE: one vector holds the same element of neighbouring positions.
 * Q8_0: KV_BLOCK positions stand together as src/cpu/cache_q8.c says; head_dim is a multiple of 32. */
enum { KV_TILE = 16, KV_BLOCK = 32, KV_PAGE = 64 };
struct kv_cache {
    enum dtype dtype;
    size_t layers, kv_heads, head_dim, capacity;
    char **page;                         /* kv_page_count(capacity) of them */
};
static inline size_t kv_page_count(size_t positions) { return (positions + KV_PAGE - 1) / KV_PAGE; }
static inline size_t kv_plane_bytes(const struct kv_cache *c) { return KV_PAGE * dtype_row_bytes(c->dtype, c->head_dim); }
static inline size_t kv_page_bytes(const struct kv_cache *c) { return 2 * c->layers * c->kv_heads * kv_plane_bytes(c); }
/* Keys of a layer and head from `position` on, the first of a tile (Q8_0: of a block), to the end of its page; values from any position on. */
static inline char *kv_keys(const struct kv_cache *c, size_t layer, size_t head, size_t position)
{
    return c->page[position / KV_PAGE] + 2 * (layer * c->kv_heads + head) * kv_plane_bytes(c) + position % KV_PAGE * dtype_row_bytes(c->dtype, c->head_dim);
}
static inline char *kv_values(const struct kv_cache *c, size_t layer, size_t head, size_t position) { return kv_keys(c, layer, head, position) + kv_plane_bytes(c); }
/* kv_cache.c: a cache with all its pages from the start, as one piece of memory that holds anything. */
void kv_cache_init(struct kv_cache *c, enum dtype dtype, size_t layers, size_t kv_heads, size_t head_dim, size_t capacity);
void kv_cache_release(struct kv_cache *c);

/* Rows [first, end) are computed by a variant: the model's matrices, each with a low-rank change of the variant's own. */
struct model;
struct variant_rows { size_t first, end; const struct model *model; };
/* The rows of one forward pass: row r is token[r] at position[r] of cache[sequence[r]]. Rows of one sequence stand in
 * rising position order without gaps, and all positions before its first row are in the cache already. Training has no
 * caches: then every sequence begins in the batch, at position 0. */
struct batch {
    size_t rows;
    const int32_t *token, *position, *sequence;
    struct kv_cache *const *caches;
    uint64_t seed;                       /* of dropout: another one for every pass */
    /* Rows of variants of the model, in rising order; the others are the model's own. None in training. */
    const struct variant_rows *variant; size_t n_variants;
};

/* ---- operators ---------------------------------------------------------------------------------------------------------- */

/* ORDER OP. Inputs in `in[]`, attributes in `attr`. Shapes: R rows of the batch. */
#define OPS(X) \
    X(embed)       /* in: table (vocab, E), extra?    -> (R, E): row token[r] (position[r] if by_position); ids >= vocab: rows of extra, f32 */ \
    X(linear)      /* in: x (R, K), w (N, K), bias?, to (R, N)? -> (R, N): to + x w' + bias + scale (x a') b' with an adapter, or with those of `part`; aux: scale x a' */ \
    X(layer_norm)  /* in: x (R, E), gain, bias?       -> (R, E): (x - mean) / sqrt(variance + eps) * gain + bias                    */ \
    X(rms_norm)    /* in: x (R, E), gain              -> (R, E): x / sqrt(mean(x^2) + eps) * gain                                   */ \
    X(rope)        /* in: x (R, H*D)                  -> (R, H*D): rotates pairs by position[r] * frequency                          */ \
    X(attention)   /* in: q (R, H*D), k (R, G*D), v   -> (R, H*D): causal softmax(q k' * scale) v; stores k, v in the caches, or without caches (training) looks at the batch alone */ \
    X(add)         /* in: a (R, E), b (R, E)          -> (R, E): a + factor * b                                                      */ \
    X(gelu)        /* in: x (R, E)                    -> (R, E): exact (erf) or tanh form                                            */ \
    X(silu_gate)   /* in: gate (R, E), up (R, E)      -> (R, E): gate * sigmoid(gate) * up                                           */ \
    X(select)      /* in: x (R, E)                    -> (n, E): rows attr.select.row[0..n)                                          */ \
    X(columns)     /* in: x (R, E)                    -> (R, n): columns first..first+n, or for interleaved heads n/width of them    */ \
    X(dropout)     /* in: x (R, E)                    -> (R, E): each element 0 with probability p, else x / (1 - p)                 */ \
    X(head_loss)   /* in: x (R, E), head (V, E), extra? -> (R, 1): -log softmax(x head')[label]; with a tape also all its gradients  */
enum op { 
#define X(name) OP_##name,
    OPS(X)
#undef X
    OP_COUNT
};

enum gelu_form { GELU_ERF, GELU_TANH };
/* Rotary positions. Pair i of a head's first `dims` elements turns by position * frequency[i]; pairs are (i, i + dims/2),
 * or (2i, 2i + 1) when interleaved (GGUF's llama). Angles and sines are computed in double and rounded once to f32. */
struct rope { size_t dims; const double *frequency; float magnitude; bool is_interleaved; }; /* magnitude: factor on cos and sin, 1 normally */
struct attention { size_t layer, heads, kv_heads, head_dim, window; float scale, dropout; };  /* window 0: all; else key positions > p - window; dropout: of probabilities, in training */
/* Columns first .. first+n-1 when stride is 0; else group g (of n / width) is columns first + g*stride .. + width. */
struct columns { size_t first, n, width, stride; };

struct lora_rows { size_t first, end; const struct lora *lora; };   /* rows that an adapter changes */

struct op_call {
    struct tensor *out, *aux;            /* aux: what forward leaves for backward; NULL: nothing, or there is no tape */
    const struct tensor *in[4];          /* unused ones NULL */
    const struct batch *batch;
    union {
        struct { bool by_position; } embed;
        struct { const struct lora *lora; const struct lora_rows *part; size_t n_parts; } linear;   /* part: without many_rows, else lora */
        struct { float eps; } norm;
        struct { size_t head_dim; const struct rope *rope; } rope;
        struct attention attention;
        enum gelu_form gelu;
        struct { const size_t *row; size_t n; } select;
        struct columns columns;
        struct { float factor; } add;
        struct { float p; uint64_t seed, stream; } dropout;
        struct { const int32_t *label; const float *weight; } loss;   /* weight: how the sought sum counts each row's loss */
    } attr;
};

/* Streams of random numbers of a pass: adapters' dropout takes those below the first. */
enum { STREAM_NOISE = 1 << 20, STREAM_DROPOUT = 1 << 21, STREAMS_A_LAYER = 4 };
enum dropout_place { DROP_ATTENTION, DROP_AFTER_ATTENTION, DROP_AFTER_MLP, DROP_EMBEDDING };
static inline uint64_t dropout_stream(size_t layer, enum dropout_place place) { return STREAM_DROPOUT + layer * STREAMS_A_LAYER + place; }

/* What a backend runs with. The status is sticky: once set, operators do nothing. */
/* Rotary angles of the rows of a pass, which all its layers share: room for them (NULL: there is none), and of which positions they are. */
struct exec_angles { float *cosine, *sine; const struct batch *batch; const struct rope *rope; };
/* What the backend makes of x for a product, kept for further products with the same x. */
struct exec_input { const struct tensor *x; const void *rounded; };
struct exec {
    struct pool *pool;
    const struct backend *backend;
    const void *kernels;                 /* the backend's own table                           */
    bool int8_activations;               /* linear with block weights rounds x to int8 blocks */
    size_t keep_bytes;                   /* of blocks' activations that model_learn may keep instead of computing them again */
    bool many_rows;                      /* linear by packed panels: for training, rounds otherwise than rows alone do */
    bool gemm_f32;                       /* the same products for passes without gradients, where x is not rounded: faster than strips of weights from some rows on */
    struct arena *step;                  /* outputs and scratch of this pass                  */
    struct exec_input *input;            /* of products that share it; NULL: the next one is alone */
    struct exec_angles angles;
    float embedding_noise;               /* alpha of NEFTune in training; 0: none             */
    struct { float attention, residual, embedding; } dropout;   /* the model's own, in training: GPT-2's attn_pdrop, resid_pdrop, embd_pdrop */
    bool is_dry;                         /* memory is taken, but nothing large is computed: to measure what a pass needs */
    sc_status status;
    const atomic_int *cancel;            /* set from outside: status becomes SC_E_CANCELLED at the next block */
    /* Sees x and w of every linear operation before it runs, on the calling thread; NULL: nobody looks. */
    void (*on_linear)(void *user, const struct tensor *x, const struct tensor *w);
    void *on_linear_user;
};
/* What the machine can do at most with all threads of the pool: bytes read from memory a second, f32 fused multiply-add
 * operations a second (two each), 8-bit integer ones likewise. */
struct machine_limits { double read_bytes, f32_ops, int8_ops; };
/* backward: adds to the `grad` of those inputs that have one, given out->grad. An input's grad is fresh only where
 * `stores` is set: then backward stores instead, all elements. */
struct op_impl { void (*forward)(struct exec *e, const struct op_call *c), (*backward)(struct exec *e, const struct op_call *c); bool stores; };
struct backend {
    const char *name;
    bool (*probe)(void);
    /* Kernel set by name ("auto", "scalar", "avx2", "avx512"); SC_E_UNSUPPORTED names what the machine lacks. */
    sc_status (*kernels)(const void **out, const char *name, sc_error *err);
    const char *(*kernels_name)(const void *kernels);
    /* Bytes that tensor->packed needs, zero at first; 0: the backend reads this type as it is. gemm_f32: for passes of that kind, else for int8 activations. What is packed of a tensor in
     * a mapped file is let go of there. */
    size_t (*packed_bytes)(const struct tensor *t, bool gemm_f32);
    void (*measure)(struct machine_limits *out, struct pool *pool);   /* about a second; for `bench` and `doctor` */
    struct op_impl op[OP_COUNT];
};
extern const struct backend *const backends[];   /* rows.c; NULL at the end */

/* ---- ops.c: typed wrappers. Results live in run->exec->step until it is rewound. ------------------------------------------- */

/* What was computed, in order, to go back through. A result learns where an input does. */
struct tape { struct tape_step { enum op op; struct op_call call; } *step; size_t len, cap; };
void tape_release(struct tape *t);
/* Where the weights of the present block lie, `bytes` together, and where those of each variant of the batch, in the same places. */
struct run_block { const void *own; size_t bytes; const void *const *of; };
struct run { struct exec *exec; const struct batch *batch; struct tape *tape; bool is_training; struct run_block block; };   /* tape NULL: nothing is recorded; is_training: with dropout */
/* Gives all that learns on the tape a grad in the step's arena; `result`, the last one, has `grad` (NULL: zeros of its own),
 * which the caller fills. The first summand of a sum that is not used later shares the grad of the sum. */
void tape_gradients(struct run *r, struct tensor *result, float *grad);
/* Walks the tape from its end and empties it. */
void tape_backward(struct run *r);
struct tensor *embed(struct run *r, const struct weight *table, const struct tensor *extra, bool by_position);   /* extra: rows of ids behind the table, f32; NULL or 0 rows: none */
struct tensor *linear(struct run *r, const struct tensor *x, const struct weight *w);
void linear_into(struct run *r, float *to, const struct tensor *x, const struct weight *w);   /* the result stands at `to`; not for training */
/* out[i] = linear with w[i], of n matrices; what the backend makes of x is made once. */
void linear_each(struct run *r, struct tensor **out, const struct tensor *x, const struct weight *const *w, size_t n);
struct tensor *linear_onto(struct run *r, const struct tensor *to, const struct tensor *x, const struct weight *w);   /* to + linear */
/* to + linear, in training with the residual dropout on linear. */
struct tensor *linear_residual(struct run *r, const struct tensor *to, const struct tensor *x, const struct weight *w, size_t layer, enum dropout_place place);
struct tensor *layer_norm(struct run *r, const struct tensor *x, const struct norm *n);
struct tensor *rms_norm(struct run *r, const struct tensor *x, const struct norm *n);
struct tensor *rope(struct run *r, const struct tensor *x, size_t head_dim, const struct rope *rope);
struct tensor *attention(struct run *r, const struct tensor *q, const struct tensor *k, const struct tensor *v, const struct attention *a);
struct tensor *add(struct run *r, const struct tensor *a, const struct tensor *b);
struct tensor *add_scaled(struct run *r, const struct tensor *a, const struct tensor *b, float factor);   /* a + factor b */
struct tensor *dropout(struct run *r, const struct tensor *x, float p, uint64_t stream);
/* label, weight: a value for each row of x. */
struct tensor *head_loss(struct run *r, const struct tensor *x, const struct weight *head, const struct tensor *extra, const int32_t *label, const float *weight);
/* Without a tape the result takes the place of x, of gate. */
struct tensor *gelu(struct run *r, struct tensor *x, enum gelu_form form);
struct tensor *silu_gate(struct run *r, struct tensor *gate, const struct tensor *up);
struct tensor *select_rows(struct run *r, const struct tensor *x, const size_t *row, size_t n);
struct tensor *select_columns(struct run *r, const struct tensor *x, const struct columns *c);

#endif
