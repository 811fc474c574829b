/* parameters.c - what is trained: all weights, expanded to f32, or low-rank adapters on a frozen model; with one gradient
 * of a leaf, the step's sum, and the optimiser's two moments for each. Frozen parts have none of these. */
#include "train/train.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- adapters ---------------------------------------------------------------------------------------------------------- */

struct attaching { const struct adapter_config *c; struct arena *memory; size_t n; };

/* PEFT: a target is the last part of a module's name, or several parts with dots. */
static bool is_target(const char *targets, const char *module)
{
    if (strcmp(targets, "all-linear") == 0) return true;
    size_t len = strlen(module);
    for (const char *at = targets; *at;) {
        at += strspn(at, ", ");
        size_t n = strcspn(at, ", ");
        if (n && n <= len && memcmp(module + len - n, at, n) == 0 && (n == len || module[len - n - 1] == '.')) return true;
        at += n;
    }
    return false;
}

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
    if (!is_target(a->c->target_modules, module)) return;
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

static void put(struct collecting *c, struct tensor *tensor, bool decays, const char *format, const char *name)
{
    struct trainable *t = c->t;
    if (t->n == c->cap) {
        c->cap = 2 * c->cap + 64;
        t->parameter = mem_grow(t->parameter, c->cap * sizeof *t->parameter);
    }
    struct parameter *p = &t->parameter[t->n];
    *p = (struct parameter){ .rows = tensor->rows, .cols = tensor->cols, .decays = decays, .tensor = tensor, .begin = t->elements };
    snprintf(p->name, sizeof p->name, "%s%s", name, format);
    t->n++;
    t->elements += tensor->rows * tensor->cols;
}

static void collect_one(void *user, const struct model_tensor *t)
{
    struct collecting *c = user;
    char name[96];
    weight_name(name, t->row, MODEL_HF, t->layer, t->is_bias);
    bool is_matrix = !t->is_bias && !(t->row->flags & WF_NORM);
    if (c->config->is_full) { put(c, t->tensor, is_matrix, "", name); return; }
    const struct lora *l = is_matrix && role_is_per_layer(t->row->role) ? ((const struct weight *)t->tensor)->lora : NULL;
    if (!l) return;
    name[strlen(name) - strlen(".weight")] = 0;
    put(c, (struct tensor *)(uintptr_t)&l->a.w, true, ".lora_A.weight", name);
    put(c, (struct tensor *)(uintptr_t)&l->b.w, true, ".lora_B.weight", name);
}

/* Weights of a file are read-only and of any type: full training works on a copy in f32. */
static float *expand(const struct tensor *t, float *to)
{
    for (size_t r = 0; r < t->rows; r++) dtypes[t->dtype].to_f32(to + r * t->cols, tensor_row(t, r), t->cols);
    return to;
}

static void give_memory(struct collecting *c)
{
    struct trainable *t = c->t;
    float *at = t->memory;
    t->sum = at;
    at += t->elements;
    for (size_t i = 0; i < t->n; i++) {
        struct parameter *p = &t->parameter[i];
        size_t n = p->rows * p->cols;
        p->grad = at;
        p->m = at + n;
        p->v = at + 2 * n;
        at += 3 * n;
        if (c->config->is_full) {
            p->tensor->data = expand(p->tensor, at);
            p->tensor->dtype = DTYPE_F32;
            at += n;
        }
        p->value = p->tensor->data;
        p->tensor->grad = p->grad;
    }
}

static void collect(struct collecting *c, struct model *m)
{
    *c->t = (struct trainable){ .values = c->config->values, .moments = c->config->moments };
    model_each(m, collect_one, c);
    bool has_rows = m->extra.rows && (c->config->new_rows || c->config->is_full);
    if (has_rows) put(c, &m->extra, false, "", "new_tokens");
    if (has_rows && m->extra_head.data != m->extra.data) put(c, &m->extra_head, false, "", "new_tokens.head");
    c->t->memory_bytes = c->t->elements * (c->config->is_full ? 5 : 4) * sizeof(float);
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
    mem_free(t.parameter);
    return t.memory_bytes;
}

sc_status trainable_open(struct trainable *out, struct model *m, const struct trainable_config *config, sc_error *err)
{
    struct collecting c = { .t = out, .config = config };
    collect(&c, m);
    sc_status status = out->n ? mem_reserve(&out->memory, out->memory_bytes, config->is_full ? "weights, gradients and moments of full training" : "gradients and moments of the adapters", err)
                              : FAIL(err, SC_E_ARGUMENT, "nothing of this model is to be trained");
    if (status == SC_OK) {
        give_memory(&c);
        model_tie(m);
    } else trainable_close(out);
    return status;
}

void trainable_close(struct trainable *t)
{
    mem_unreserve(t->memory, t->memory_bytes);
    mem_free(t->parameter);
    *t = (struct trainable){ 0 };
}

void trainable_begin_step(struct trainable *t, struct pool *pool)
{
    (void)pool;
    memset(t->sum, 0, t->elements * sizeof *t->sum);
}

static void clear_leaf(void *arg, size_t i, int worker)
{
    const struct parameter *p = &((struct trainable *)arg)->parameter[i];
    (void)worker;
    memset(p->grad, 0, p->rows * p->cols * sizeof(float));
}

void trainable_begin_leaf(struct trainable *t, struct pool *pool) { pool_run(pool, t->n, clear_leaf, t); }

static void add_leaf(void *arg, size_t i, int worker)
{
    const struct trainable *t = arg;
    const struct parameter *p = &t->parameter[i];
    float *to = t->sum + p->begin;
    (void)worker;
    for (size_t k = 0; k < p->rows * p->cols; k++) to[k] += p->grad[k];
}

void trainable_end_leaf(struct trainable *t, struct pool *pool) { pool_run(pool, t->n, add_leaf, t); }
