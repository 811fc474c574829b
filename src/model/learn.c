/* learn.c - forward and backward through a model: the loss of some rows, and the gradient of everything that has one.
 *
 * Only the input of each block is kept; a block is computed again, with a tape, when the backward pass comes to it (Chen
 * et al. 2016, "Training deep nets with sublinear memory cost"), so activations of one block exist at a time. */
#include "model/model_internal.h"

#include <string.h>

/* The streams between blocks: x[0] is the embedding, x[layers] what the final norm gets. */
struct streams { struct tensor *x; size_t n; };

static struct tensor *new_stream(struct exec *e, struct tensor *t, size_t rows, size_t cols)
{
    *t = (struct tensor){ .dtype = DTYPE_F32, .rows = rows, .cols = cols, .data = arena_take(e->step, rows * cols * sizeof(float)) };
    return t;
}

static bool any_gradient(const struct tensor *const *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (t[i]->grad) return true;
    return false;
}

static bool weight_learns(const struct weight *w)
{
    return w->w.grad || w->bias.grad || (w->lora && (w->lora->a.w.grad || w->lora->b.w.grad));
}

static bool layer_learns(const struct layer *l)
{
    const struct tensor *const norms[] = { &l->norm1.gain, &l->norm1.bias, &l->norm2.gain, &l->norm2.bias };
    const struct weight *const weights[] = { &l->qkv, &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };
    bool learns = any_gradient(norms, 4);
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) learns |= weight_learns(weights[i]);
    return learns;
}

static bool embedding_learns(const struct model *m)
{
    const struct tensor *const t[] = { &m->embed.w, &m->extra, &m->position.w };
    return any_gradient(t, 3);
}

/* The first block whose input needs a gradient; those below it are only run forward. */
static size_t first_block(const struct model *m)
{
    if (embedding_learns(m)) return 0;
    for (size_t i = 0; i < m->config.layers; i++)
        if (layer_learns(&m->layers[i])) return i;
    return m->config.layers;
}

static struct tensor *embed_tokens(const struct model *m, struct run *r)
{
    struct tensor *x = embed(r, &m->embed, &m->extra, false);
    if (m->position.w.data) x = add(r, x, embed(r, &m->position, NULL, true));
    return x;
}

static bool is_cancelled(struct exec *e)
{
    if (e->cancel && *e->cancel) e->status = SC_E_CANCELLED;
    return e->status != SC_OK;
}

static void run_forward(const struct model *m, struct run *r, struct streams *s)
{
    size_t bytes = r->batch->rows * m->config.embd * sizeof(float);
    for (size_t i = 0; i <= m->config.layers && !is_cancelled(r->exec); i++) {
        new_stream(r->exec, &s->x[i], r->batch->rows, m->config.embd);
        struct arena_mark mark = arena_mark(r->exec->step);
        const struct block b = { &m->config, &m->layers[i ? i - 1 : 0], i ? i - 1 : 0 };
        const struct tensor *out = i ? m->config.arch->block(r, &b, &s->x[i - 1]) : embed_tokens(m, r);
        if (r->exec->status == SC_OK) memcpy(s->x[i].data, out->data, bytes);
        arena_rewind(r->exec->step, mark);
    }
}

static void keep_losses(const struct exec *e, const struct learn_rows *rows, const struct tensor *loss)
{
    if (e->status == SC_OK) memcpy(rows->loss, loss->data, rows->n * sizeof(float));
}

/* Norm, head and loss of the chosen rows; the gradient of the last stream is in its grad afterwards. */
static void run_loss(const struct model *m, struct run *r, struct tensor *x, const struct learn_rows *rows)
{
    struct run chosen = { .exec = r->exec, .batch = &(struct batch){ .rows = rows->n }, .tape = r->tape };
    struct arena_mark mark = arena_mark(r->exec->step);
    struct tensor *h = select_rows(r, x, rows->row, rows->n);
    h = m->final_norm.bias.data ? layer_norm(&chosen, h, &m->final_norm) : rms_norm(&chosen, h, &m->final_norm);
    if (r->tape && rows->weigh) {                       /* the head once more: cheap beside the blocks */
        struct run forward = chosen;
        forward.tape = NULL;
        keep_losses(r->exec, rows, head_loss(&forward, h, &m->head, &m->extra_head, rows->label, rows->weight));
        rows->weigh(rows->user);
    }
    keep_losses(r->exec, rows, head_loss(&chosen, h, &m->head, &m->extra_head, rows->label, rows->weight));
    if (r->tape) tape_backward(&chosen);
    arena_rewind(r->exec->step, mark);
}

/* From the gradient of stream i + 1 to that of stream i. */
static void run_block_backward(const struct model *m, struct run *r, struct streams *s, size_t i, float *spare)
{
    size_t floats = r->batch->rows * m->config.embd;
    const struct block b = { &m->config, &m->layers[i], i };
    struct arena_mark mark = arena_mark(r->exec->step);
    memset(spare, 0, floats * sizeof(float));
    s->x[i].grad = spare;
    struct tensor *out = m->config.arch->block(r, &b, &s->x[i]);
    memcpy(out->grad, s->x[i + 1].grad, floats * sizeof(float));
    tape_backward(r);
    arena_rewind(r->exec->step, mark);
}

static void run_embedding_backward(const struct model *m, struct run *r, const float *grad)
{
    struct arena_mark mark = arena_mark(r->exec->step);
    struct tensor *out = embed_tokens(m, r);
    memcpy(out->grad, grad, r->batch->rows * m->config.embd * sizeof(float));
    tape_backward(r);
    arena_rewind(r->exec->step, mark);
}

void model_learn(const struct model *m, struct exec *e, const struct batch *batch, const struct learn_rows *rows, bool wants_gradient)
{
    struct arena_mark mark = arena_mark(e->step);
    struct tape tape = { 0 };
    struct run r = { .exec = e, .batch = batch };
    size_t layers = m->config.layers, floats = batch->rows * m->config.embd, from = wants_gradient ? first_block(m) : layers;
    struct streams s = { arena_zero(e->step, (layers + 1) * sizeof *s.x), layers + 1 };
    float *grad[2] = { arena_zero(e->step, floats * sizeof(float)), arena_take(e->step, floats * sizeof(float)) };
    run_forward(m, &r, &s);
    if (wants_gradient) {
        r.tape = &tape;
        s.x[layers].grad = grad[0];
    }
    if (rows->n && e->status == SC_OK) run_loss(m, &r, &s.x[layers], rows);
    for (size_t i = layers; i-- > from && rows->n && !is_cancelled(e);) run_block_backward(m, &r, &s, i, grad[(layers - i) % 2]);
    if (wants_gradient && from == 0 && embedding_learns(m) && rows->n && e->status == SC_OK) run_embedding_backward(m, &r, s.x[0].grad);
    tape_release(&tape);
    arena_rewind(e->step, mark);
}
