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

/* least: tensors of no more elements are whole on all ranks, as DeepSpeed's persistence threshold has it by default. */
enum { WHOLE_PER_WIDTH = 10 };
struct collecting { struct trainable *t; const struct trainable_config *config; size_t cap, least; };

static struct parameter *put(struct collecting *c, struct tensor *tensor, size_t group, bool decays, const char *name, const char *end)
{
    struct trainable *t = c->t;
    if (t->n == c->cap) {
        c->cap = 2 * c->cap + 64;
        t->parameter = mem_grow(t->parameter, c->cap * sizeof *t->parameter);
    }
    struct parameter *p = &t->parameter[t->n];
    size_t elements = tensor->rows * tensor->cols;
    *p = (struct parameter){ .rows = tensor->rows, .cols = tensor->cols, .decays = decays, .tensor = tensor, .group = elements > c->least ? group : 0 };
    snprintf(p->name, sizeof p->name, "%s%s", name, end);
    t->n++;
    t->trained += elements;
    return p;
}

/* Of a model's tensor: that of its block. */
static size_t group_of(const struct model_tensor *t) { return role_is_per_layer(t->row->role) ? 1 + t->layer : 0; }

static void collect_one(void *user, const struct model_tensor *t)
{
    struct collecting *c = user;
    char name[96];
    weight_name(name, t->row, MODEL_HF, t->layer, t->is_bias);
    bool is_matrix = !t->is_bias && !(t->row->flags & WF_NORM);
    if (c->config->is_full) {
        struct parameter *p = put(c, t->tensor, group_of(t), is_matrix, name, "");
        p->is_embedding = t->row->role == W_EMBED || t->row->role == W_POSITION;
        p->is_matrix = is_matrix;
        return;
    }
    const struct lora *l = is_matrix && role_is_per_layer(t->row->role) ? ((const struct weight *)t->tensor)->lora : NULL;
    if (!l) return;
    name[strlen(name) - strlen(".weight")] = 0;
    put(c, (struct tensor *)(uintptr_t)&l->a.w, group_of(t), true, name, ".lora_A.weight");
    put(c, (struct tensor *)(uintptr_t)&l->b.w, group_of(t), true, name, ".lora_B.weight");
}

/* By groups; within one, as they were found. */
static void sort_by_group(struct trainable *t)
{
    struct parameter *sorted = mem_alloc((t->n + 1) * sizeof *sorted);
    size_t n = 0;
    for (size_t g = 0; g < t->n_groups; g++)
        for (size_t i = 0; i < t->n; i++)
            if (t->parameter[i].group == g) sorted[n++] = t->parameter[i];
    mem_free(t->parameter);
    t->parameter = sorted;
}

static size_t whole_grains(size_t n) { return (n + SLICE_GRAIN - 1) / SLICE_GRAIN * SLICE_GRAIN; }

/* Where each parameter begins among all elements, and which of them this rank owns. */
static void place(struct trainable *t)
{
    const struct sharing *s = &t->sharing;
    int size = shares_state(s) ? s->size : 1, rank = size > 1 ? s->rank : 0;
    t->group_begin = mem_zero(t->n_groups + 1, sizeof *t->group_begin);
    t->own_begin = mem_zero(t->n_groups + 1, sizeof *t->own_begin);
    for (size_t i = 0; i < t->n; i++) {
        t->parameter[i].begin = t->elements;
        t->elements += whole_grains(parameter_elements(&t->parameter[i]));
        t->group_begin[t->parameter[i].group + 1] = t->elements;
    }
    for (size_t g = 0; g < t->n_groups; g++) {
        if (t->group_begin[g + 1] < t->group_begin[g]) t->group_begin[g + 1] = t->group_begin[g];      /* no parameter */
        size_t n = group_elements(t, g);
        t->own_begin[g + 1] = t->own_begin[g] + slice_begin(n, size, rank + 1) - slice_begin(n, size, rank);
        if (g && n > t->block_grad_elements) t->block_grad_elements = n;
    }
    for (size_t i = 0; i < t->n; i++) {
        struct parameter *p = &t->parameter[i];
        size_t base = t->group_begin[p->group], n = group_elements(t, p->group), end = p->begin + parameter_elements(p);
        size_t low = base + slice_begin(n, size, rank), high = base + slice_begin(n, size, rank + 1);
        if (low < p->begin) low = p->begin;
        if (high > end) high = end;
        p->own_first = low < high ? low - p->begin : 0;
        p->own_n = low < high ? high - low : 0;
    }
}

static void collect(struct collecting *c, struct model *m)
{
    struct trainable *t = c->t;
    *t = (struct trainable){ .values = c->config->values, .moments = c->config->moments, .sharing = c->config->sharing, .n_groups = 1 + m->config.layers };
    c->least = WHOLE_PER_WIDTH * m->config.embd;
    model_each(m, collect_one, c);
    bool has_rows = m->extra.rows && (c->config->new_rows || c->config->is_full);
    if (has_rows) put(c, &m->extra, 0, true, "new_tokens", "")->is_embedding = true;
    if (has_rows && m->extra_head.data != m->extra.data) put(c, &m->extra_head, 0, true, "new_tokens.head", "")->is_embedding = true;
    sort_by_group(t);
    place(t);
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

/* Elements [first, first + n) of a tensor as f32 and, if wanted, bf16. */
static void copy_values(const struct tensor *t, size_t first, size_t n, float *value, uint16_t *half)
{
    float *row = mem_alloc((t->cols + 1) * sizeof *row);
    for (size_t done = 0; done < n;) {
        size_t at = (first + done) % t->cols, count = t->cols - at < n - done ? t->cols - at : n - done;
        dtypes[t->dtype].to_f32(row, tensor_row(t, (first + done) / t->cols), t->cols);
        if (value) memcpy(value + done, row + at, count * sizeof *row);
        if (half) dtypes[DTYPE_BF16].from_f32(half + done, row + at, count);
        done += count;
    }
    mem_free(row);
}

/* Full training works on a copy: weights of a file are read-only and of any type. Its pages are let go of. A rank that keeps a
 * slice reads that alone. Returns where the tensor's data are from now on, if they are in this memory and not in that of live values. */
static void *move_values(struct parameter *p, const struct sharing *s, float *value, uint16_t *half)
{
    struct tensor *t = p->tensor;
    bool is_sliced = shares_values(s), has_whole = !is_sliced && !half;
    size_t first = is_sliced ? p->own_first : 0, n = is_sliced ? p->own_n : parameter_elements(p);
    if (half && value && !is_sliced) {                       /* a whole rounded copy, and the master of the own slice */
        copy_values(t, 0, n, NULL, half);
        copy_values(t, p->own_first, p->own_n, value, NULL);
    } else copy_values(t, first, n, value, half);
    if (p->is_matrix) file_forget(t->data, t->rows * tensor_row_bytes(t));    /* others are not in the file's memory */
    t->dtype = half ? DTYPE_BF16 : DTYPE_F32;
    return has_whole ? (void *)value : (void *)half;
}

/* Values of a parameter: whole or of the own slice, as the sharing says. */
static void lay_out_values(struct layout *l, struct parameter *p, const struct trainable *t, bool is_full)
{
    const struct sharing *s = &t->sharing;
    bool is_half = is_full && t->values != VALUE_F32 && p->is_matrix, is_sliced = shares_values(s), has_master = !is_half || t->values != VALUE_BF16_STOCHASTIC;
    size_t all = is_sliced ? p->own_n : parameter_elements(p);
    if (!is_full && !is_sliced) { p->value = l->base ? tensor_f32(p->tensor) + p->own_first : NULL; return; }      /* adapters stay where they are */
    float *value = has_master ? take(l, is_half ? p->own_n : all, sizeof *value) : NULL;
    uint16_t *half = is_half ? take(l, all, sizeof *half) : NULL;
    if (!l->base) return;
    void *data = move_values(p, s, value, half);
    if (!is_sliced) p->tensor->data = data;
    p->value = value && !is_sliced && !is_half ? value + p->own_first : value;
    p->half = half && !is_sliced ? half + p->own_first : half;
}

static void lay_out_moments(struct layout *l, struct parameter *p, const struct trainable *t)
{
    if (t->moments == MOMENT_8BIT && parameter_elements(p) >= MOMENT_8BIT_LEAST && !p->is_embedding) {
        p->m8 = take_moments8(l, p->own_n);
        p->v8 = take_moments8(l, p->own_n);
    } else {
        p->m = take(l, p->own_n, sizeof *p->m);
        p->v = take(l, p->own_n, sizeof *p->v);
    }
}

/* The leaf's gradient: of all groups; or of group 0 and of two blocks, one being computed and one on its way. */
static void lay_out_gradients(struct layout *l, struct trainable *t)
{
    bool is_shared = shares_gradient(&t->sharing);
    float *whole = take(l, is_shared ? group_elements(t, 0) : t->elements, sizeof *whole);
    float *block[2] = { NULL, NULL };
    for (size_t i = 0; i < 2 && is_shared; i++) block[i] = take(l, t->block_grad_elements, sizeof *whole);
    for (size_t g = 0; g < t->n_groups && l->base; g++) t->group_grad[g] = g && is_shared ? block[g % 2] : whole + t->group_begin[g];
    for (size_t i = 0; i < t->n && l->base; i++) t->parameter[i].tensor->grad = t->group_grad[t->parameter[i].group] + (t->parameter[i].begin - t->group_begin[t->parameter[i].group]);
}

/* Bytes of each group's values, and where each lies in them. */
static size_t place_live(struct trainable *t, size_t group, bool is_full)
{
    size_t bytes = 0;
    for (size_t i = 0; i < t->n; i++) {
        struct parameter *p = &t->parameter[i];
        if (p->group != group) continue;
        p->live_at = bytes;
        bytes += (parameter_elements(p) * (is_full && t->values != VALUE_F32 && p->is_matrix ? sizeof(uint16_t) : sizeof(float)) + 63) / 64 * 64;
    }
    return bytes;
}

/* Stage 3: room for the values of group 0 and of two blocks, one being computed with and one on its way. */
static void lay_out_live(struct layout *l, struct trainable *t, bool is_full)
{
    if (!shares_values(&t->sharing)) return;
    t->live_bytes[0] = t->live_bytes[1] = 0;
    for (size_t g = 0; g < t->n_groups; g++) {
        size_t bytes = place_live(t, g, is_full);
        if (bytes > t->live_bytes[g > 0]) t->live_bytes[g > 0] = bytes;
    }
    char *outside = take(l, t->live_bytes[0], 1), *block[2] = { take(l, t->live_bytes[1], 1), take(l, t->live_bytes[1], 1) };
    for (size_t g = 0; g < t->n_groups && l->base; g++) t->group_live[g] = g ? block[g % 2] : outside;
    for (size_t i = 0; i < t->n && l->base; i++) t->parameter[i].tensor->data = t->group_live[t->parameter[i].group] + t->parameter[i].live_at;
}

/* Returns the bytes of all. base NULL: nothing else is done. */
static size_t lay_out(const struct collecting *c, void *base)
{
    struct trainable *t = c->t;
    struct layout l = { base, 0 };
    t->sum = take(&l, t->own_begin[t->n_groups], sizeof *t->sum);
    for (size_t i = 0; i < t->n; i++) {
        struct parameter *p = &t->parameter[i];
        size_t first = p->begin + p->own_first - t->group_begin[p->group];         /* in the group; the slice begins there or before */
        const struct sharing *s = &t->sharing;
        if (base && p->own_n) p->sum = t->sum + t->own_begin[p->group] + first - (shares_state(s) ? slice_begin(group_elements(t, p->group), s->size, s->rank) : 0);
        lay_out_moments(&l, p, t);
        lay_out_values(&l, p, t, c->config->is_full);
    }
    t->state_bytes = l.used;
    lay_out_gradients(&l, t);
    lay_out_live(&l, t, c->config->is_full);
    return l.used;
}

void trainable_list(struct trainable *out, struct model *m, const struct trainable_config *config)
{
    struct collecting c = { .t = out, .config = config };
    collect(&c, m);
    out->memory_bytes = 0;
}

struct trainable_size trainable_size(struct model *m, const struct trainable_config *config)
{
    struct trainable t;
    struct collecting c = { .t = &t, .config = config };
    collect(&c, m);
    struct trainable_size size = { .trained = t.trained };
    size.all = lay_out(&c, NULL);
    size.state = t.state_bytes;
    trainable_close(&t);
    return size;
}

sc_status trainable_open(struct trainable *out, struct model *m, const struct trainable_config *config, sc_error *err)
{
    struct collecting c = { .t = out, .config = config };
    collect(&c, m);
    out->memory_bytes = lay_out(&c, NULL);
    sc_status status = out->n ? mem_reserve(&out->memory, out->memory_bytes, config->is_full ? "weights, gradients and moments of full training" : "gradients and moments of the adapters", err)
                              : FAIL(err, SC_E_ARGUMENT, "nothing of this model is to be trained");
    if (status == SC_OK) {
        out->group_grad = mem_zero(out->n_groups, sizeof *out->group_grad);
        out->group_live = mem_zero(out->n_groups, sizeof *out->group_live);
        lay_out(&c, out->memory);
        model_tie(m);
    } else trainable_close(out);
    return status;
}

void trainable_rest(struct trainable *t)
{
    if (!t->memory) return;
    file_forget(t->sum, t->own_begin[t->n_groups] * sizeof *t->sum);
    for (size_t g = 0; g < t->n_groups; g++) file_forget(t->group_grad[g], group_elements(t, g) * sizeof(float));
}

void trainable_close(struct trainable *t)
{
    mem_unreserve(t->memory, t->memory_bytes);
    mem_free(t->parameter);
    mem_free(t->group_begin);
    mem_free(t->own_begin);
    mem_free(t->group_grad);
    mem_free(t->group_live);
    *t = (struct trainable){ 0 };
}

/* ---- gradients ---------------------------------------------------------------------------------------------------------------- */

/* Gradients in pieces of a fixed size, since one tensor can be most of a model. */
enum { PIECE = 1 << 16 };
struct stretch { float *to; const float *from; size_t n; };

static size_t piece_count(size_t n) { return (n + PIECE - 1) / PIECE; }
static size_t piece_elements(const struct stretch *s, size_t i) { return s->n - i * PIECE < PIECE ? s->n - i * PIECE : PIECE; }

static void clear_piece(void *arg, size_t i, int worker)
{
    const struct stretch *s = arg;
    (void)worker;
    memset(s->to + i * PIECE, 0, piece_elements(s, i) * sizeof *s->to);
}

static void clear(float *to, size_t n, struct pool *pool) { pool_run(pool, piece_count(n), clear_piece, &(struct stretch){ to, NULL, n }); }

static void add_piece(void *arg, size_t i, int worker)
{
    const struct stretch *s = arg;
    float *restrict to = s->to + i * PIECE;
    const float *restrict from = s->from + i * PIECE;
    (void)worker;
    for (size_t k = 0, n = piece_elements(s, i); k < n; k++) to[k] += from[k];
}

void trainable_begin_step(struct trainable *t, struct pool *pool) { clear(t->sum, t->own_begin[t->n_groups], pool); }

void trainable_begin_leaf(struct trainable *t, struct pool *pool) { clear(t->group_grad[0], shares_gradient(&t->sharing) ? group_elements(t, 0) : t->elements, pool); }

void trainable_begin_block(struct trainable *t, size_t group, struct pool *pool) { clear(t->group_grad[group], group_elements(t, group), pool); }

void trainable_end_leaf(struct trainable *t, struct pool *pool) { pool_run(pool, piece_count(t->elements), add_piece, &(struct stretch){ t->sum, t->group_grad[0], t->elements }); }
