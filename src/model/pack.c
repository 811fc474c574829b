/* pack.c - room for the form of the weights that a backend reads best. It is address space: each part takes memory when a
 * pass first uses it, and the file's pages for it are let go of, so that weights are in memory once. */
#include "model/model_internal.h"

struct packing { const struct backend *backend; bool gemm_f32; char *at; size_t bytes; };

static void pack_one(struct packing *p, struct tensor *t)
{
    size_t bytes = t->data ? p->backend->packed_bytes(t, p->gemm_f32) : 0;
    if (p->at && bytes) {
        t->packed = p->at + p->bytes;
        t->packed_from = t->data;
    }
    p->bytes += bytes;
}

static void pack_layer_tensor(void *user, const struct model_tensor *t)
{
    if (!t->is_bias && !(t->row->flags & WF_NORM) && role_is_per_layer(t->row->role)) pack_one(user, t->tensor);
}

/* The matrices of the blocks and the head; embeddings are read by row. */
static void pack_all(struct packing *p, struct model *m)
{
    model_each(m, pack_layer_tensor, p);
    pack_one(p, &m->head.w);
}

sc_status model_pack(struct model *m, const struct backend *backend, bool gemm_f32, uint64_t limit, bool *too_large, sc_error *err)
{
    struct packing p = { .backend = backend, .gemm_f32 = gemm_f32 };
    *too_large = false;
    if (!backend->packed_bytes) return SC_OK;
    pack_all(&p, m);
    *too_large = p.bytes > limit;
    if (!p.bytes || *too_large) return SC_OK;
    TRY(mem_reserve(&m->packed, p.bytes, "the packed weights", err));
    m->packed_bytes = p.bytes;
    mem_prefer_large_pages(m->packed, p.bytes);
    p = (struct packing){ backend, gemm_f32, m->packed, 0 };
    pack_all(&p, m);
    return SC_OK;
}
