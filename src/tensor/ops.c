/* ops.c - the typed wrappers that models are written with: each checks shapes, takes its output from the step's arena
 * and calls one row of the backend's table. After a failure (exec->status) outputs still have their shape, but nothing
 * is computed. */
#include "tensor/tensor.h"

#include <assert.h>
#include <string.h>

static struct tensor *output_at(struct run *r, float *data, size_t rows, size_t cols)
{
    struct tensor *t = arena_take(r->exec->step, sizeof *t);
    *t = (struct tensor){ .dtype = DTYPE_F32, .rows = rows, .cols = cols, .data = data };
    return t;
}

static struct tensor *new_output(struct run *r, size_t rows, size_t cols)
{
    return output_at(r, arena_take(r->exec->step, rows * cols * sizeof(float)), rows, cols);
}

static bool wants_gradient(const struct op_call *c, enum op op)
{
    const struct lora *l = op == OP_linear ? c->attr.linear.lora : NULL;
    for (size_t i = 0; i < 4; i++)
        if (tensor_learns(c->in[i])) return true;
    return l && (l->a.w.grad || l->b.w.grad);
}

static void record(struct run *r, enum op op, const struct op_call *c)
{
    struct tape *t = r->tape;
    c->out->learns = true;
    if (t->len == t->cap) t->step = mem_grow(t->step, (t->cap = 2 * t->cap + 64) * sizeof *t->step);
    t->step[t->len++] = (struct tape_step){ op, *c };
}

/* aux_cols: columns of what backward needs besides inputs and output; 0: nothing. */
static struct tensor *call_with(struct run *r, enum op op, struct op_call *c, size_t aux_rows, size_t aux_cols)
{
    bool is_recorded = r->tape && wants_gradient(c, op);
    c->batch = r->batch;
    if (is_recorded && aux_cols) c->aux = new_output(r, aux_rows, aux_cols);
    if (is_recorded) record(r, op, c);
    if (r->exec->status == SC_OK) r->exec->backend->op[op].forward(r->exec, c);
    return c->out;
}

static struct tensor *call(struct run *r, enum op op, struct op_call *c) { return call_with(r, op, c, 0, 0); }

static bool is_used_from(const struct tape *t, size_t step, const struct tensor *x)
{
    for (; step < t->len; step++)
        for (size_t k = 0; k < 4; k++)
            if (t->step[step].call.in[k] == x) return true;
    return false;
}

/* The summand that a step adds its own part to: its gradient is the result's. */
static struct tensor *summand(const struct tape_step *s)
{
    const struct tensor *t = s->op == OP_add ? s->call.in[0] : s->op == OP_linear ? s->call.in[3] : NULL;
    return t && t->learns && !t->grad ? (struct tensor *)(uintptr_t)t : NULL;
}

static void give_gradient(struct run *r, const struct tensor *x)
{
    struct tensor *t = (struct tensor *)(uintptr_t)x;
    if (!t || !t->learns || t->grad) return;
    t->grad = arena_take(r->exec->step, t->rows * t->cols * sizeof(float));
    t->is_fresh = true;
}

void tape_gradients(struct run *r, struct tensor *result, float *grad)
{
    const struct tape *t = r->tape;
    result->grad = grad ? grad : arena_zero(r->exec->step, result->rows * result->cols * sizeof(float));
    for (size_t i = t->len; i-- > 0;) {
        const struct tape_step *s = &t->step[i];
        give_gradient(r, s->call.out);      /* where no later step gave it one, nothing depends on it */
        struct tensor *to = summand(s);
        if (to && !is_used_from(t, i + 1, to)) to->grad = s->call.out->grad, to->is_fresh = s->call.out->is_fresh;
        for (size_t k = 0; k < 4; k++) give_gradient(r, s->call.in[k]);
    }
}

static void clear_fresh(const struct tensor *x)
{
    struct tensor *t = (struct tensor *)(uintptr_t)x;
    if (!t || !t->is_fresh) return;
    memset(t->grad, 0, t->rows * t->cols * sizeof(float));
    t->is_fresh = false;
}

static bool stands_twice(const struct op_call *c, size_t k)
{
    for (size_t i = 0; i < 4; i++)
        if (i != k && c->in[i] == c->in[k]) return true;
    return false;
}

void tape_backward(struct run *r)
{
    for (struct tape *t = r->tape; t->len; t->len--) {
        const struct tape_step s = t->step[t->len - 1];
        const struct op_impl *op = &r->exec->backend->op[s.op];
        if (r->exec->status != SC_OK) continue;
        clear_fresh(s.call.out);
        for (size_t k = 0; k < 4; k++)
            if (!op->stores || stands_twice(&s.call, k)) clear_fresh(s.call.in[k]);
        op->backward(r->exec, &s.call);
        for (size_t k = 0; k < 4; k++)
            if (s.call.in[k]) ((struct tensor *)(uintptr_t)s.call.in[k])->is_fresh = false;
    }
}

void tape_release(struct tape *t)
{
    mem_free(t->step);
    *t = (struct tape){ 0 };
}

static const struct tensor *if_present(const struct tensor *t) { return t && t->data ? t : NULL; }

struct tensor *embed(struct run *r, const struct weight *table, const struct tensor *extra, bool by_position)
{
    struct op_call c = { .in = { &table->w, extra && extra->rows ? extra : NULL }, .attr.embed.by_position = by_position };
    c.out = new_output(r, r->batch->rows, table->w.cols);
    return call(r, OP_embed, &c);
}

/* Which adapters change which rows of a product with w: of all rows w's own, of a variant's rows that of its matrix in the same place. */
static const struct lora_rows *find_parts(const struct run *r, const struct tensor *x, const struct weight *w, size_t *n)
{
    size_t n_variants = r->batch->n_variants, at = (size_t)((uintptr_t)w - (uintptr_t)r->block.own);
    bool is_varied = n_variants && (uintptr_t)w >= (uintptr_t)r->block.own && at < r->block.bytes;
    *n = 0;
    if (!w->lora && !is_varied) return NULL;
    struct lora_rows *part = arena_take(r->exec->step, (1 + n_variants) * sizeof *part);
    if (w->lora) part[(*n)++] = (struct lora_rows){ 0, x->rows, w->lora };
    for (size_t i = 0; is_varied && i < n_variants; i++) {
        const struct variant_rows *v = &r->batch->variant[i];
        const struct lora *l = ((const struct weight *)(const void *)((const char *)r->block.of[i] + at))->lora;
        if (l) part[(*n)++] = (struct lora_rows){ v->first, v->end, l };
    }
    return part;
}

/* For few rows: adapters work on the rows they are for, behind the one product of all. */
static struct tensor *linear_shared(struct run *r, const struct tensor *to, const struct tensor *x, const struct weight *w, struct tensor *result)
{
    assert(!r->tape);
    struct op_call c = { .in = { x, &w->w, if_present(&w->bias) }, .out = result };
    c.attr.linear.part = find_parts(r, x, w, &c.attr.linear.n_parts);
    struct tensor *out = call(r, OP_linear, &c);
    return to ? add(r, to, out) : out;
}

/* An adapter with dropout, and a sum, by operators of their own. */
static struct tensor *linear_apart(struct run *r, const struct tensor *to, const struct tensor *x, const struct weight *w)
{
    struct op_call c = { .in = { x, &w->w, if_present(&w->bias) }, .out = new_output(r, x->rows, w->w.rows) };
    struct tensor *out = call(r, OP_linear, &c);
    const struct lora *l = w->lora;
    x = dropout(r, x, l->dropout, l->stream);
    out = add_scaled(r, out, linear(r, linear(r, x, &l->a), &l->b), l->scale);
    return to ? add(r, to, out) : out;
}

struct tensor *linear_onto(struct run *r, const struct tensor *to, const struct tensor *x, const struct weight *w)
{
    assert(x->dtype == DTYPE_F32 && x->cols == w->w.cols && (!to || (to->rows == x->rows && to->cols == w->w.rows)));
    const struct lora *l = w->lora;
    assert(!r->batch->n_variants || !(r->exec->many_rows || w->lora));
    if (r->exec->on_linear && r->exec->status == SC_OK) r->exec->on_linear(r->exec->on_linear_user, x, &w->w);
    if (!r->exec->many_rows) return linear_shared(r, to, x, w, new_output(r, x->rows, w->w.rows));
    if (l && r->is_training && l->dropout > 0) return linear_apart(r, to, x, w);
    struct op_call c = { .in = { x, &w->w, if_present(&w->bias), to }, .out = new_output(r, x->rows, w->w.rows), .attr.linear.lora = l };
    return call_with(r, OP_linear, &c, x->rows, l ? l->a.w.rows : 0);
}

struct tensor *linear(struct run *r, const struct tensor *x, const struct weight *w) { return linear_onto(r, NULL, x, w); }

void linear_each(struct run *r, struct tensor **out, const struct tensor *x, const struct weight *const *w, size_t n)
{
    struct exec_input input = { 0 };
    r->exec->input = &input;
    for (size_t i = 0; i < n; i++) out[i] = linear(r, x, w[i]);
    r->exec->input = NULL;
}

void linear_into(struct run *r, float *to, const struct tensor *x, const struct weight *w)
{
    struct exec *e = r->exec;
    if (e->on_linear && e->status == SC_OK) e->on_linear(e->on_linear_user, x, &w->w);
    linear_shared(r, NULL, x, w, output_at(r, to, x->rows, w->w.rows));
}

struct tensor *linear_residual(struct run *r, const struct tensor *to, const struct tensor *x, const struct weight *w, size_t layer, enum dropout_place place)
{
    float p = r->exec->dropout.residual;
    if (!r->is_training || p <= 0) return linear_onto(r, to, x, w);
    return add(r, to, dropout(r, linear(r, x, w), p, dropout_stream(layer, place)));
}

struct tensor *dropout(struct run *r, const struct tensor *x, float p, uint64_t stream)
{
    assert(p >= 0 && p < 1);
    struct op_call c = { .in = { x }, .out = new_output(r, x->rows, x->cols), .attr.dropout = { p, r->batch->seed, stream } };
    return call(r, OP_dropout, &c);
}

struct tensor *head_loss(struct run *r, const struct tensor *x, const struct weight *head, const struct tensor *extra, const int32_t *label, const float *weight)
{
    assert(x->cols == head->w.cols);
    struct op_call c = { .in = { x, &head->w, extra && extra->rows ? extra : NULL }, .out = new_output(r, x->rows, 1), .attr.loss = { label, weight } };
    return call_with(r, OP_head_loss, &c, x->rows, x->cols);
}

static struct tensor *norm(struct run *r, enum op op, const struct tensor *x, const struct norm *n)
{
    assert(x->cols == n->gain.cols);
    struct op_call c = { .in = { x, &n->gain, if_present(&n->bias) }, .out = new_output(r, x->rows, x->cols), .attr.norm.eps = n->eps };
    return call(r, op, &c);
}

struct tensor *layer_norm(struct run *r, const struct tensor *x, const struct norm *n) { return norm(r, OP_layer_norm, x, n); }
struct tensor *rms_norm(struct run *r, const struct tensor *x, const struct norm *n) { return norm(r, OP_rms_norm, x, n); }

struct tensor *rope(struct run *r, const struct tensor *x, size_t head_dim, const struct rope *rope)
{
    assert(x->rows == r->batch->rows && x->cols % head_dim == 0 && rope->dims <= head_dim);
    struct op_call c = { .in = { x }, .out = new_output(r, x->rows, x->cols), .attr.rope = { head_dim, rope } };
    return call(r, OP_rope, &c);
}

struct tensor *attention(struct run *r, const struct tensor *q, const struct tensor *k, const struct tensor *v, const struct attention *a)
{
    assert(q->rows == r->batch->rows && k->rows == q->rows && v->rows == q->rows);
    assert(q->cols == a->heads * a->head_dim && k->cols == a->kv_heads * a->head_dim && v->cols == k->cols);
    struct op_call c = { .in = { q, k, v }, .out = new_output(r, q->rows, q->cols), .attr.attention = *a };
    if (r->is_training) c.attr.attention.dropout = r->exec->dropout.attention;
    return call_with(r, OP_attention, &c, q->rows, a->heads);
}

struct tensor *add_scaled(struct run *r, const struct tensor *a, const struct tensor *b, float factor)
{
    assert(a->rows == b->rows && a->cols == b->cols);
    struct op_call c = { .in = { a, b }, .out = new_output(r, a->rows, a->cols), .attr.add.factor = factor };
    return call(r, OP_add, &c);
}
struct tensor *add(struct run *r, const struct tensor *a, const struct tensor *b) { return add_scaled(r, a, b, 1); }

/* Where nothing goes back through them, activation functions write over their input: the widest rows of a pass are then there once. */
static struct tensor *output_over(struct run *r, struct tensor *x) { return r->tape ? new_output(r, x->rows, x->cols) : x; }

struct tensor *gelu(struct run *r, struct tensor *x, enum gelu_form form)
{
    struct op_call c = { .in = { x }, .out = output_over(r, x), .attr.gelu = form };
    return call(r, OP_gelu, &c);
}

struct tensor *silu_gate(struct run *r, struct tensor *gate, const struct tensor *up)
{
    assert(gate->rows == up->rows && gate->cols == up->cols);
    struct op_call c = { .in = { gate, up }, .out = output_over(r, gate) };
    return call(r, OP_silu_gate, &c);
}

struct tensor *select_rows(struct run *r, const struct tensor *x, const size_t *row, size_t n)
{
    for (size_t i = 0; i < n; i++) assert(row[i] < x->rows);
    struct op_call c = { .in = { x }, .out = new_output(r, n, x->cols), .attr.select = { row, n } };
    return call(r, OP_select, &c);
}

struct tensor *select_columns(struct run *r, const struct tensor *x, const struct columns *columns)
{
    assert(columns->stride ? columns->n % columns->width == 0 : columns->first + columns->n <= x->cols);
    struct op_call c = { .in = { x }, .out = new_output(r, x->rows, columns->n), .attr.columns = *columns };
    return call(r, OP_columns, &c);
}
