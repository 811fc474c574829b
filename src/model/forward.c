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

struct tensor *model_forward(const struct model *m, struct exec *e, const struct batch *batch, const size_t *row, size_t n)
{
    struct run run = { .exec = e, .batch = batch }, chosen = { .exec = e, .batch = &(struct batch){ .rows = n } };
    struct tensor *x = embed_tokens(m, &run);
    for (size_t i = 0; i < m->config.layers; i++) {
        if (e->cancel && *e->cancel) e->status = SC_E_CANCELLED;
        block_needed(m, e, i, i + 1 < m->config.layers ? i + 1 : SIZE_MAX, false);
        if (e->status != SC_OK) return NULL;
        struct arena_mark mark = arena_mark(e->step);
        const struct block b = { &m->config, &m->layers[i], i };
        keep_stream(e, x, m->config.arch->block(&run, &b, x), mark);
        block_done(m, e, i, false);
    }
    if (e->status != SC_OK || n == 0) return NULL;
    x = select_rows(&run, x, row, n);
    return m->final_norm.bias.data ? layer_norm(&chosen, x, &m->final_norm) : rms_norm(&chosen, x, &m->final_norm);
}

void model_logits(const struct model *m, struct exec *e, const struct tensor *hidden, float *out)
{
    struct run run = { .exec = e, .batch = &(struct batch){ .rows = hidden->rows } };
    struct arena_mark mark = arena_mark(e->step);
    const struct tensor *known = linear(&run, hidden, &m->head);
    const struct weight extra = { .w = m->extra_head };
    const struct tensor *added = extra.w.rows ? linear(&run, hidden, &extra) : NULL;
    size_t vocab = model_vocab(m);
    for (size_t r = 0; r < hidden->rows && e->status == SC_OK; r++) {
        memcpy(out + r * vocab, tensor_f32(known) + r * known->cols, known->cols * sizeof(float));
        if (added) memcpy(out + r * vocab + known->cols, tensor_f32(added) + r * added->cols, added->cols * sizeof(float));
    }
    arena_rewind(e->step, mark);
}
