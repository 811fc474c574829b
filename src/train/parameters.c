/* parameters.c - what is trained: all weights, copied out of the file as f32 or bf16, or low-rank adapters on a frozen
 * model; with one gradient of a leaf, the step's sum, and the optimiser's two moments for each. Frozen parts have none of
 * these. */
#include "train/train.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- adapters ---------------------------------------------------------------------------------------------------------- */

struct attaching { const struct adapter_config *c; struct arena *memory; size_t n; };

static struct tensor new_matrix(struct arena *memory, size_t rows, size_t cols)
{
    return (struct tensor){ .dtype = DTYPE_F32, .rows = rows, .cols = cols, .data = arena_zero(memory, rows * cols * sizeof(float)) };
}

static void attach_one(void *user, const struct model_tensor *t)
{
    struct attaching *a = user;
    char module[96];
    if (t->is_bias || t->row->flags & WF_NORM || !role_is_per_layer(t->row->role)) return;
    weight_name(module, t->row, MODEL_HF, t->layer, false);
    module[strlen(module) - strlen(".weight")] = 0;
    if (!adapter_is_target(a->c->target_modules, module)) return;
    struct weight *w = (struct weight *)t->tensor;        /* the matrix is its first member */
    struct lora *l = arena_zero(a->memory, sizeof *l);
    size_t r = (size_t)a->c->r;
    l->a.w = new_matrix(a->memory, r, t->tensor->cols);
    l->b.w = new_matrix(a->memory, t->tensor->rows, r);
    l->scale = (float)(a->c->alpha / (a->c->use_rslora ? sqrt((double)r) : (double)r));
    l->dropout = (float)a->c->dropout;
    l->stream = 1000 + a->n;
    double bound = 1 / sqrt((double)t->tensor->cols);
    for (size_t i = 0; i < r * t->tensor->cols; i++) tensor_f32(&l->a.w)[i] = (float)((2 * random_unit(a->c->seed, l->stream, i) - 1) * bound);
    w->lora = l;
    a->n++;
}

sc_status adapter_attach(struct model *m, struct arena *memory, const struct adapter_config *c, sc_error *err)
{
    struct attaching a = { c, memory, 0 };
    char q[80];
    if (c->r < 1 || c->r > 4096) return FAIL(err, SC_E_ARGUMENT, "lora_r is %lld, expected 1 to 4096", (long long)c->r);
    model_each(m, attach_one, &a);
    if (!a.n) return FAIL(err, SC_E_ARGUMENT, "no module of this model is named by lora_target_modules \"%s\"; its linear modules end in names such as c_attn, c_proj, q_proj, down_proj; \"all-linear\" means all",
                          error_quote(q, sizeof q, c->target_modules, strlen(c->target_modules)));
    return SC_OK;
}

/* ---- the list ------------------------------------------------------------------------------------------------------------ */

struct collecting { struct trainable *t; const struct trainable_config *config; size_t cap; };

static struct parameter *put(struct collecting *c, struct tensor *tensor, bool decays, const char *name, const char *end)
{
    struct trainable *t = c->t;
    if (t->n == c->cap) {
        c->cap = 2 * c->cap + 64;
        t->parameter = mem_grow(t->parameter, c->cap * sizeof *t->parameter);
    }
    struct parameter *p = &t->parameter[t->n];
    *p = (struct parameter){ .rows = tensor->rows, .cols = tensor->cols, .decays = decays, .tensor = tensor, .begin = t->elements };
    snprintf(p->name, sizeof p->name, "%s%s", name, end);
    t->n++;
    t->elements += tensor->rows * tensor->cols;
    return p;
}

static void collect_one(void *user, const struct model_tensor *t)
{
    struct collecting *c = user;
    char name[96];
    weight_name(name, t->row, MODEL_HF, t->layer, t->is_bias);
    bool is_matrix = !t->is_bias && !(t->row->flags & WF_NORM);
    if (c->config->is_full) {
        struct parameter *p = put(c, t->tensor, is_matrix, name, "");
        p->is_embedding = t->row->role == W_EMBED || t->row->role == W_POSITION;
        p->is_matrix = is_matrix;
        return;
    }
    const struct lora *l = is_matrix && role_is_per_layer(t->row->role) ? ((const struct weight *)t->tensor)->lora : NULL;
    if (!l) return;
    name[strlen(name) - strlen(".weight")] = 0;
    put(c, (struct tensor *)(uintptr_t)&l->a.w, true, name, ".lora_A.weight");
    put(c, (struct tensor *)(uintptr_t)&l->b.w, true, name, ".lora_B.weight");
}

static void collect(struct collecting *c, struct model *m)
{
    *c->t = (struct trainable){ .values = c->config->values, .moments = c->config->moments };
    model_each(m, collect_one, c);
    bool has_rows = m->extra.rows && (c->config->new_rows || c->config->is_full);
    if (has_rows) put(c, &m->extra, true, "new_tokens", "")->is_embedding = true;
    if (has_rows && m->extra_head.data != m->extra.data) put(c, &m->extra_head, true, "new_tokens.head", "")->is_embedding = true;
}

/* ---- memory ---------------------------------------------------------------------------------------------------------------- */

/* Hands out parts of `base`; without one it only counts, so that what is said beforehand is what is taken. */
struct layout { char *base; size_t used; };

static void *take(struct layout *l, size_t count, size_t size)
{
    void *at = l->base ? l->base + l->used : NULL;
    l->used += (count * size + 63) / 64 * 64;
    return at;
}

static struct moments8 *take_moments8(struct layout *l, size_t n)
{
    struct moments8 *m = take(l, 1, sizeof *m), parts = { take(l, n, 1), take(l, (n + MOMENT_BLOCK - 1) / MOMENT_BLOCK, sizeof(float)) };
    if (m) *m = parts;
    return m;
}

/* Full training works on a copy: weights of a file are read-only and of any type. Its pages are let go of. */
static void move_values(struct parameter *p, float *value, uint16_t *half)
{
    struct tensor *t = p->tensor;
    float *scratch = value ? NULL : mem_alloc(t->cols * sizeof *scratch);
    for (size_t r = 0; r < t->rows; r++) {
        float *row = value ? value + r * t->cols : scratch;
        dtypes[t->dtype].to_f32(row, tensor_row(t, r), t->cols);
        if (half) dtypes[DTYPE_BF16].from_f32(half + r * t->cols, row, t->cols);
    }
    mem_free(scratch);
    if (p->is_matrix) file_forget(t->data, t->rows * tensor_row_bytes(t));    /* others are not in the file's memory */
    t->dtype = half ? DTYPE_BF16 : DTYPE_F32;
    t->data = half ? (void *)half : value;
}

static void lay_out_values(struct layout *l, struct parameter *p, enum value_storage values)
{
    size_t n = p->rows * p->cols;
    bool is_half = values != VALUE_F32 && p->is_matrix;
    float *value = is_half && values == VALUE_BF16_STOCHASTIC ? NULL : take(l, n, sizeof *value);
    uint16_t *half = is_half ? take(l, n, sizeof *half) : NULL;
    if (l->base) move_values(p, value, half);
    p->value = value;
}

/* Returns the bytes of all. base NULL: nothing else is done. */
static size_t lay_out(const struct collecting *c, void *base)
{
    struct trainable *t = c->t;
    struct layout l = { base, 0 };
    t->sum = take(&l, t->elements, sizeof *t->sum);
    t->grad = take(&l, t->elements, sizeof *t->grad);
    for (size_t i = 0; i < t->n; i++) {
        struct parameter *p = &t->parameter[i];
        size_t n = p->rows * p->cols;
        if (t->moments == MOMENT_8BIT && n >= MOMENT_8BIT_LEAST && !p->is_embedding) {
            p->m8 = take_moments8(&l, n);
            p->v8 = take_moments8(&l, n);
        } else {
            p->m = take(&l, n, sizeof *p->m);
            p->v = take(&l, n, sizeof *p->v);
        }
        if (c->config->is_full) lay_out_values(&l, p, t->values);
        else p->value = p->tensor->data;
        if (base) p->tensor->grad = p->grad = t->grad + p->begin;
    }
    return l.used;
}

void trainable_list(struct trainable *out, struct model *m, const struct trainable_config *config)
{
    struct collecting c = { .t = out, .config = config };
    collect(&c, m);
    out->memory_bytes = 0;
}

size_t trainable_bytes(struct model *m, const struct trainable_config *config)
{
    struct trainable t;
    struct collecting c = { .t = &t, .config = config };
    collect(&c, m);
    size_t bytes = lay_out(&c, NULL);
    mem_free(t.parameter);
    return bytes;
}

sc_status trainable_open(struct trainable *out, struct model *m, const struct trainable_config *config, sc_error *err)
{
    struct collecting c = { .t = out, .config = config };
    collect(&c, m);
    out->memory_bytes = lay_out(&c, NULL);
    sc_status status = out->n ? mem_reserve(&out->memory, out->memory_bytes, config->is_full ? "weights, gradients and moments of full training" : "gradients and moments of the adapters", err)
                              : FAIL(err, SC_E_ARGUMENT, "nothing of this model is to be trained");
    if (status == SC_OK) {
        lay_out(&c, out->memory);
        model_tie(m);
    } else trainable_close(out);
    return status;
}

void trainable_rest(struct trainable *t)
{
    const char *begin = (const char *)t->sum, *end = (const char *)(t->grad + t->elements);
    if (t->memory) file_forget(begin, (size_t)(end - begin));
}

void trainable_close(struct trainable *t)
{
    mem_unreserve(t->memory, t->memory_bytes);
    mem_free(t->parameter);
    *t = (struct trainable){ 0 };
}

/* ---- gradients ---------------------------------------------------------------------------------------------------------------- */

/* All gradients in pieces of a fixed size, since one tensor can be most of a model. */
enum { PIECE = 1 << 16 };

static size_t piece_count(const struct trainable *t) { return (t->elements + PIECE - 1) / PIECE; }
static size_t piece_elements(const struct trainable *t, size_t i) { return t->elements - i * PIECE < PIECE ? t->elements - i * PIECE : PIECE; }

static void clear_sum(void *arg, size_t i, int worker)
{
    const struct trainable *t = arg;
    (void)worker;
    memset(t->sum + i * PIECE, 0, piece_elements(t, i) * sizeof *t->sum);
}

void trainable_begin_step(struct trainable *t, struct pool *pool) { pool_run(pool, piece_count(t), clear_sum, t); }

static void clear_leaf(void *arg, size_t i, int worker)
{
    const struct trainable *t = arg;
    (void)worker;
    memset(t->grad + i * PIECE, 0, piece_elements(t, i) * sizeof *t->grad);
}

void trainable_begin_leaf(struct trainable *t, struct pool *pool) { pool_run(pool, piece_count(t), clear_leaf, t); }

static void add_leaf(void *arg, size_t i, int worker)
{
    const struct trainable *t = arg;
    float *restrict to = t->sum + i * PIECE;
    const float *restrict grad = t->grad + i * PIECE;
    (void)worker;
    for (size_t k = 0, n = piece_elements(t, i); k < n; k++) to[k] += grad[k];
}

void trainable_end_leaf(struct trainable *t, struct pool *pool) { pool_run(pool, piece_count(t), add_leaf, t); }
