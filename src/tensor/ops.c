/* ops.c - the typed wrappers that models are written with: each checks shapes, takes its output from the step's arena
 * and calls one row of the backend's table. After a failure (exec->status) outputs still have their shape, but nothing
 * is computed. */
#include "tensor/tensor.h"

#include <assert.h>

static struct tensor *new_output(struct run *r, size_t rows, size_t cols)
{
    struct tensor *t = arena_take(r->exec->step, sizeof *t);
    *t = (struct tensor){ .dtype = DTYPE_F32, .rows = rows, .cols = cols };
    t->data = arena_take(r->exec->step, rows * cols * sizeof(float));
    return t;
}

static struct tensor *call(struct run *r, enum op op, struct op_call *c)
{
    c->batch = r->batch;
    if (r->exec->status == SC_OK) r->exec->backend->op[op].forward(r->exec, c);
    return c->out;
}

static const struct tensor *if_present(const struct tensor *t) { return t && t->data ? t : NULL; }

struct tensor *embed(struct run *r, const struct weight *table, const struct tensor *extra, bool by_position)
{
    struct op_call c = { .in = { &table->w, extra && extra->rows ? extra : NULL }, .attr.embed.by_position = by_position };
    c.out = new_output(r, r->batch->rows, table->w.cols);
    return call(r, OP_embed, &c);
}

struct tensor *linear(struct run *r, const struct tensor *x, const struct weight *w)
{
    assert(x->dtype == DTYPE_F32 && x->cols == w->w.cols);
    struct op_call c = { .in = { x, &w->w, if_present(&w->bias) }, .out = new_output(r, x->rows, w->w.rows) };
    return call(r, OP_linear, &c);
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
    return call(r, OP_attention, &c);
}

struct tensor *add(struct run *r, const struct tensor *a, const struct tensor *b)
{
    assert(a->rows == b->rows && a->cols == b->cols);
    struct op_call c = { .in = { a, b }, .out = new_output(r, a->rows, a->cols) };
    return call(r, OP_add, &c);
}

struct tensor *gelu(struct run *r, const struct tensor *x, enum gelu_form form)
{
    struct op_call c = { .in = { x }, .out = new_output(r, x->rows, x->cols), .attr.gelu = form };
    return call(r, OP_gelu, &c);
}

struct tensor *silu_gate(struct run *r, const struct tensor *gate, const struct tensor *up)
{
    assert(gate->rows == up->rows && gate->cols == up->cols);
    struct op_call c = { .in = { gate, up }, .out = new_output(r, gate->rows, gate->cols) };
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
