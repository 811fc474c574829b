/* tensors.c - visits all tensors of a bound model by role, for training and saving. */
#include "model/model_internal.h"

static bool is_tied(const struct model *m) { return m->config.is_tied || m->head.w.data == m->embed.w.data; }

static void visit_row(struct model *m, const struct weight_row *row, size_t layer, void (*visit)(void *user, const struct model_tensor *t), void *user)
{
    void *at = model_role(m, row->role, layer);
    struct norm *norm = at;
    struct weight *weight = at;
    struct tensor *main = row->flags & WF_NORM ? &norm->gain : &weight->w, *bias = row->flags & WF_NORM ? &norm->bias : &weight->bias;
    if (row->role == W_HEAD && is_tied(m)) return;
    if (main->data) visit(user, &(struct model_tensor){ main, row, layer, false });
    if (bias->data) visit(user, &(struct model_tensor){ bias, row, layer, true });
}

void model_each(struct model *m, void (*visit)(void *user, const struct model_tensor *t), void *user)
{
    const struct arch *arch = m->config.arch;
    for (size_t i = 0; i < arch->n_rows; i++) {
        size_t n = role_is_per_layer(arch->rows[i].role) ? m->config.layers : 1;
        for (size_t layer = 0; layer < n; layer++) visit_row(m, &arch->rows[i], layer, visit, user);
    }
}

void model_tie(struct model *m)
{
    if (!m->config.is_tied) return;
    m->head = m->embed;
    m->extra_head = m->extra;
}

sc_status model_fetch_block(const struct model *m, size_t block, sc_error *err)
{
    const struct model_residency *r = m->residency;
    if (!r) return SC_OK;
    sc_status status = r->need(r->user, block, SIZE_MAX, false);
    if (status == SC_OK) status = r->done(r->user, block, false);
    return status == SC_OK ? SC_OK : FAIL(err, status, "the weights of layer %zu did not come from the other ranks", block);
}
