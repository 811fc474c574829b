/* cpu.h - the CPU backend: a table of kernels and the operators built on them.
 *
 * Contract of every kernel: the order in which an output element is summed depends on the inner dimension alone, never on
 * how many rows or weights are handled together. scalar.c is the specification; avx2.c and avx512.c override entries.
 * The number of lanes may differ between sets, so results are equal to the bit within a set and close between sets. */
#ifndef CPU_H
#define CPU_H

#include "tensor/tensor.h"

enum { TILE_W = 4, TILE_X = 4 };     /* most weight rows and activation rows of one tile */

/* Block types times int8 activations. A row of K elements in blocks of 32: value = scale[i / 16] * q[i] + min[i / 32]
 * for weights, value = scale[i / 32] * q[i] for activations. */
struct i8_weights { const int8_t *q; const float *scale, *min; size_t cols; bool has_min; };   /* rows one after the other */
struct i8_rows { const int8_t *q; const float *scale, *sum; const int16_t *sum16; size_t cols; };   /* sum: scale * (sum of q); sum16: sums of q over 16 elements */
enum { OUTER = 4, OUTER_F16 = 0, OUTER_F32 = 1 };
enum { KV_TURN = KV_PAGE, KV_HEAD = 2 * KV_BLOCK };     /* positions of mix_q8 at most; bytes before the codes of a block of values, for each 32 elements */
enum { PANEL = 8, PANEL_X = 4 };     /* weight rows of a panel (panel.c), activation rows of one tile */

struct cpu_kernels {
    const char *name;
    /* out[r * out_stride + j] = x row r . w row j, for n_w <= TILE_W and n_x <= TILE_X; strides in elements. */
    void (*dot_f32)(float *out, size_t out_stride, const float *w, size_t w_stride, size_t n_w, const float *x, size_t x_stride, size_t n_x, size_t k);
    /* The same for rows first_w.. and first_x..; cols is a multiple of 32. */
    void (*dot_i8)(float *out, size_t out_stride, const struct i8_weights *w, size_t first_w, size_t n_w, const struct i8_rows *x, size_t first_x, size_t n_x);
    /* out[t * out_stride + r] = row r of the panel . row first_x + t, for r < n_w <= PANEL and t < n_x; NULL: no panels of this type. */
    void (*dot_panel[DTYPE_COUNT])(float *out, size_t out_stride, const void *panel, size_t n_w, const struct i8_rows *x, size_t first_x, size_t n_x);
    /* A weight row to f32: exactly dtypes[t].to_f32. */
    void (*unpack_f32[DTYPE_COUNT])(float *out, const void *in, size_t n);
    /* Exactly f32_to_f16, of n elements. */
    void (*pack_f16)(uint16_t *out, const float *in, size_t n);
    /* Elements [first, first + n), whole blocks, of a row whose type has bytes at its head; NULL for other types. */
    void (*unpack_part[DTYPE_COUNT])(float *out, const void *row, size_t first, size_t n);
    /* A weight row to the int8 form above; NULL: this type multiplies with f32 activations. min may stay untouched when
     * i8_has_min[t] is false. */
    void (*unpack_i8[DTYPE_COUNT])(int8_t *q, float *scale, float *min, const void *in, size_t n);
    bool i8_has_min[DTYPE_COUNT];
    /* x to int8 blocks: scale = max |x| / 127, q rounded to nearest. */
    void (*quantize_row)(int8_t *q, float *scale, float *sum, int16_t *sum16, const float *x, size_t n);
    /* s[i] = exp(s[i] - max) for i < 64; returns the sum of all. exp(-inf) is 0. */
    float (*exp_tile)(float s[64], float max);
    /* Largest of n (-inf of none). */
    float (*largest)(const float *s, size_t n);
    /* s[i] = exp(s[i] * scale - shift) for i < n; returns the sum, by tiles of 64 as exp_tile makes them. */
    float (*exp_row)(float *s, size_t n, float scale, float shift);
    /* dp[i] = p[i] * (dp[i] - delta) * scale: from the gradient of probabilities to that of scores. */
    void (*softmax_gradient)(float *dp, const float *p, size_t n, float delta, float scale);
    /* c[t][i] = (keep ? c[t][i] * keep[t] : 0) + sum over j < k, in rising order, of a[t][j] * b[j * b_stride + i], for t < n <=
     * OUTER and i < cols; b is f16 or f32. The products of attention: queries with keys, probabilities with values. */
    void (*outer[2])(float *const *c, const float *keep, const float *const *a, size_t n, const void *b, size_t b_stride, size_t k, size_t cols);
    /* acc[t][i] = acc[t][i] * keep[t] + sum over the positions j of n_blocks <= 2 blocks of p[t][j] * value j, for i < d and t < n
     * <= OUTER; blocks of values of a Q8_0 cache (cache_q8.c), one after the other. p times the values' scales, none negative,
     * is rounded to 127 steps of the largest. */
    void (*mix_q8)(float *const *acc, const float *keep, const float *const *p, size_t n, const void *blocks, size_t n_blocks, size_t d);
    void (*silu_gate)(float *out, const float *gate, const float *up, size_t n);
    /* Of g for the gate and for up: g up s (1 + gate (1 - s)) and g gate s, s = 1 / (1 + exp(-gate)). */
    void (*silu_gate_backward)(float *to_gate, float *to_up, const float *gate, const float *up, const float *g, size_t n);
    void (*gelu_tanh)(float *out, const float *x, size_t n);
    /* Products of packed panels: c[i * ldc + j] = or += sum over p of a[p * gemm_m + i] * b[p * gemm_n + j], for all
     * gemm_m x gemm_n elements of the tile. */
    size_t gemm_m, gemm_n;
    void (*gemm_tile)(float *c, size_t ldc, const float *a, const float *b, size_t k, bool add);
    /* A panel of lines: out[p * width + i] = line[i][p] for p < n, 0 where i >= lines. */
    void (*interleave)(float *out, size_t width, const float *const *line, size_t lines, size_t n);
    /* Runs `rounds` of independent multiply-adds in registers; returns how many operations that were. */
    double (*burst_f32)(size_t rounds);
    double (*burst_i8)(size_t rounds);
};
void cpu_fill_scalar(struct cpu_kernels *k);
void cpu_fill_avx2(struct cpu_kernels *k);                    /* called only where the processor has it */
void cpu_fill_avx512(struct cpu_kernels *k);
void cpu_fill_panels_avx2(struct cpu_kernels *k);
void cpu_fill_outer_avx2(struct cpu_kernels *k);
void cpu_outer_f16_avx2(float *const *c, const float *keep, const float *const *a, size_t n, const void *b, size_t b_stride, size_t k, size_t cols);      /* as outer */
void cpu_outer_f32_avx2(float *const *c, const float *keep, const float *const *a, size_t n, const void *b, size_t b_stride, size_t k, size_t cols);
void cpu_fill_mix_avx2(struct cpu_kernels *k);
void cpu_fill_panels_vnni(struct cpu_kernels *k);

extern const struct backend cpu_backend;

/* Operators: op_linear.c, op_norm.c, op_rope.c, op_attention.c, op_attention_batch.c, op_pointwise.c, op_loss.c. */
#define X(name) void cpu_##name(struct exec *e, const struct op_call *c); void cpu_##name##_backward(struct exec *e, const struct op_call *c);
OPS(X)
#undef X
void cpu_add_lora(struct exec *e, const struct op_call *c);              /* op_lora.c: to the output of linear what its parts add */
void cpu_attention_in_batch(struct exec *e, const struct op_call *c);    /* where the batch has no caches */
void cpu_measure(struct machine_limits *out, struct pool *pool);

/* ---- panel.c: block types with eight rows interleaved -------------------------------------------------------------------- */

size_t panel_bytes(enum dtype t, size_t cols);                                          /* of one panel; 0: this type has none */
/* Rows one after the other; those that lack to a whole panel are zero. */
void   panel_pack(void *panel, enum dtype t, const void *rows, size_t n_rows, size_t cols);
size_t cpu_panels_bytes(enum dtype t, size_t rows, size_t cols);
size_t cpu_packed_bytes(const struct tensor *t, bool gemm_f32);                         /* op_linear.c */

/* ---- cache_q8.c: keys and values in Q8_0 ---------------------------------------------------------------------------------- */

/* Puts a key and a value, head_dim elements each, at `position` of a layer and head. */
void q8_cache_store(const struct kv_cache *cache, size_t layer, size_t head, size_t position, const float *key, const float *value);

/* ---- gemm.c: products of large matrices, for training ------------------------------------------------------------------ */

/* A matrix as stored, rows x cols with `stride` elements from row to row (whole rows for block types), used as it is or
 * transposed. */
struct gemm_side { const void *data; enum dtype dtype; size_t stride; bool transposed; };
/* C (m, n) = or += A (m, k) B (k, n), as used. Each element is summed along k in rising order for
 * any m, n and number of threads. */
struct gemm { float *c; size_t ldc, m, n, k; struct gemm_side a, b; bool add; };
enum { GEMM_K = 320 };
/* Lines [first, first + n) of B as panels of k->gemm_n lines, all of g->k each, to out + first * g->k; first is a multiple of gemm_n. Lines are rows of f32. */
void   gemm_pack_b(const struct cpu_kernels *k, float *out, const struct gemm *g, size_t first, size_t n);
void   gemm_run_packed(struct exec *e, const struct gemm *g, const float *b);           /* b: all of B so; NULL: none */
void   gemm_run(struct exec *e, const struct gemm *g);                                  /* on the pool */
size_t gemm_scratch(const struct cpu_kernels *k, size_t m, size_t n);                   /* floats      */
void   gemm_serial(const struct cpu_kernels *k, float *scratch, const struct gemm *g);  /* on one thread */

/* Adds x[0..n) to the gradient of t from element `first` on, if it has one; stores where that is fresh. */
static inline void cpu_accumulate(const struct tensor *t, size_t first, const float *x, size_t n)
{
    if (!t->grad) return;
    float *to = t->grad + first;
    if (t->is_fresh) for (size_t i = 0; i < n; i++) to[i] = x[i];
    else for (size_t i = 0; i < n; i++) to[i] += x[i];
}

/* Splits n items of `work` multiply-adds each over the pool in pieces of `grain` items; small jobs run here. */
void cpu_split(struct exec *e, size_t n, size_t grain, double work, void (*fn)(void *arg, size_t from, size_t to, int worker), void *arg);

#endif
