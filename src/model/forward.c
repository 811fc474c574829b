/* forward.c - one pass through a model: embed, blocks, final norm, and the head for chosen rows. Scratch of a block is
 * given back before the next one, so memory does not grow with depth. */
#include "model/model_internal.h"

#include <assert.h>
#include <string.h>

/* Copies a block's result over the stream that lives below the mark, and forgets the block's scratch. */
static void keep_stream(struct exec *e, struct tensor *stream, const struct tensor *result, struct arena_mark mark)
{
    if (e->status == SC_OK) memcpy(stream->data, result->data, stream->rows * stream->cols * sizeof(float));
    arena_rewind(e->step, mark);
}

void block_needed(const struct model *m, struct exec *e, size_t block, size_t next, bool goes_back)
{
    if (m->residency && !e->is_dry && e->status == SC_OK) e->status = m->residency->need(m->residency->user, block, next, goes_back);
}

void block_done(const struct model *m, struct exec *e, size_t block, bool goes_back)
{
    if (m->residency && !e->is_dry && e->status == SC_OK) e->status = m->residency->done(m->residency->user, block, goes_back);
}

static struct tensor *embed_tokens(const struct model *m, struct run *r)
{
    struct tensor *x = embed(r, &m->embed, &m->extra, false);
    if (m->position.w.data) x = add(r, x, embed(r, &m->position, NULL, true));
    return x;
}

/* Rows [from, to) of a pass over several variants, by the tables of one. */
static void embed_part(const struct model *m, const struct run *whole, struct tensor *x, size_t from, size_t to)
{
    const struct batch *b = whole->batch;
    if (from == to) return;
    struct run part = { .exec = whole->exec, .batch = &(struct batch){ .rows = to - from, .token = b->token + from, .position = b->position + from } };
    struct arena_mark mark = arena_mark(whole->exec->step);
    const struct tensor *rows = embed_tokens(m, &part);
    if (whole->exec->status == SC_OK) memcpy(tensor_f32(x) + from * x->cols, rows->data, (to - from) * x->cols * sizeof(float));
    arena_rewind(whole->exec->step, mark);
}

static struct tensor *embed_variants(const struct model *m, struct run *r)
{
    const struct batch *b = r->batch;
    struct tensor *x = arena_take(r->exec->step, sizeof *x);
    *x = (struct tensor){ .dtype = DTYPE_F32, .rows = b->rows, .cols = m->config.embd, .data = arena_take(r->exec->step, b->rows * m->config.embd * sizeof(float)) };
    size_t at = 0;
    for (size_t i = 0; i < b->n_variants; i++) {
        const struct variant_rows *v = &b->variant[i];
        assert(v->model->base == m && at <= v->first && v->first < v->end && v->end <= b->rows);
        embed_part(m, r, x, at, v->first);
        embed_part(v->model, r, x, v->first, v->end);
        at = v->end;
    }
    embed_part(m, r, x, at, b->rows);
    return x;
}

static void enter_block(const struct model *m, struct run *r, const void **of, size_t i)
{
    const struct batch *b = r->batch;
    for (size_t k = 0; k < b->n_variants; k++) of[k] = &b->variant[k].model->layers[i];
    r->block = (struct run_block){ &m->layers[i], sizeof m->layers[i], of };
}

/* All blocks; what comes out takes the place of x. */
static void run_blocks(const struct model *m, struct run *r, struct tensor *x)
{
    struct exec *e = r->exec;
    const void **of = arena_take(e->step, (r->batch->n_variants + 1) * sizeof *of);
    for (size_t i = 0; i < m->config.layers; i++) {
        if (e->cancel && *e->cancel) e->status = SC_E_CANCELLED;
        block_needed(m, e, i, i + 1 < m->config.layers ? i + 1 : SIZE_MAX, false);
        if (e->status != SC_OK) return;
        struct arena_mark mark = arena_mark(e->step);
        const struct block b = { &m->config, &m->layers[i], i };
        enter_block(m, r, of, i);
        keep_stream(e, x, m->config.arch->block(r, &b, x), mark);
        block_done(m, e, i, false);
    }
}

struct tensor *model_forward(const struct model *m, struct exec *e, const struct batch *batch, const size_t *row, size_t n)
{
    struct run run = { .exec = e, .batch = batch }, chosen = { .exec = e, .batch = &(struct batch){ .rows = n } };
    struct tensor *x = batch->n_variants ? embed_variants(m, &run) : embed_tokens(m, &run);
    size_t angles = batch->rows * m->config.rope.dims / 2 * sizeof(float);
    e->angles = (struct exec_angles){ arena_take(e->step, angles), arena_take(e->step, angles), NULL, NULL };
    run_blocks(m, &run, x);
    e->angles = (struct exec_angles){ 0 };
    if (e->status != SC_OK || n == 0) return NULL;
    x = select_rows(&run, x, row, n);
    return m->final_norm.bias.data ? layer_norm(&chosen, x, &m->final_norm) : rms_norm(&chosen, x, &m->final_norm);
}

/* Whether what the rows get stands together, row by row as a product writes it. */
static bool stands_together(float *const *out, const size_t *row, size_t n, size_t cols)
{
    for (size_t i = 1; i < n; i++)
        if (out[row[i]] != out[row[0]] + i * cols) return false;
    return true;
}

/* What rows with the same head get from it, to `offset` of their outputs; `row` has room for all rows. */
static void head_logits(struct run *r, const struct weight *head, const struct tensor *hidden, const size_t *row, size_t n, float *const *out, size_t offset)
{
    struct arena_mark mark = arena_mark(r->exec->step);
    struct run chosen = { .exec = r->exec, .batch = &(struct batch){ .rows = n } };
    if (n < hidden->rows) hidden = select_rows(r, hidden, row, n);
    if (!r->exec->many_rows && stands_together(out, row, n, head->w.rows)) linear_into(&chosen, out[row[0]] + offset, hidden, head);
    else {
        const struct tensor *logits = linear(&chosen, hidden, head);
        for (size_t i = 0; i < n && r->exec->status == SC_OK; i++)
            memcpy(out[row[i]] + offset, tensor_f32(logits) + i * logits->cols, logits->cols * sizeof(float));
    }
    arena_rewind(r->exec->step, mark);
}

/* Of the variants' heads, or of the rows behind their vocabularies. */
static struct weight head_of(const struct model *m, bool is_extra) { return is_extra ? (struct weight){ .w = m->extra_head } : m->head; }

static void each_head(const struct model *const *of, struct run *r, const struct tensor *hidden, float *const *out, bool is_extra)
{
    size_t *row = arena_take(r->exec->step, hidden->rows * sizeof *row);
    bool *is_done = arena_zero(r->exec->step, hidden->rows * sizeof *is_done);
    for (size_t first = 0; first < hidden->rows; first++) {
        const struct weight head = head_of(of[first], is_extra);
        size_t n = 0;
        for (size_t i = first; i < hidden->rows && head.w.rows; i++) {
            if (is_done[i] || head_of(of[i], is_extra).w.data != head.w.data) continue;
            row[n++] = i;
            is_done[i] = true;
        }
        if (n) head_logits(r, &head, hidden, row, n, out, is_extra ? of[first]->config.vocab : 0);
    }
}

void model_logits_each(const struct model *const *of, struct exec *e, const struct tensor *hidden, float *const *out)
{
    struct run run = { .exec = e, .batch = &(struct batch){ .rows = hidden->rows } };
    struct arena_mark mark = arena_mark(e->step);
    each_head(of, &run, hidden, out, false);
    each_head(of, &run, hidden, out, true);
    arena_rewind(e->step, mark);
}

void model_logits(const struct model *m, struct exec *e, const struct tensor *hidden, float *out)
{
    struct arena_mark mark = arena_mark(e->step);
    const struct model **of = arena_take(e->step, hidden->rows * sizeof *of);
    float **to = arena_take(e->step, hidden->rows * sizeof *to);
    for (size_t r = 0; r < hidden->rows; r++) {
        of[r] = m;
        to[r] = out + r * model_vocab(m);
    }
    model_logits_each(of, e, hidden, to);
    arena_rewind(e->step, mark);
}
