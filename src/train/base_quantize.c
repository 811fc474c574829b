/* base_quantize.c - a frozen base in less memory (QLoRA): the matrices of the blocks, row by row on all threads, from what
 * the file has to a block type. */
#include "train/train.h"

enum { AT_ONCE = 32 << 20 };                 /* bytes of the file read before their memory is let go of */

static bool is_to_change(const struct model_tensor *t, enum dtype type)
{
    return !t->is_bias && !(t->row->flags & WF_NORM) && role_is_per_layer(t->row->role) && t->tensor->dtype != type;
}

static size_t bytes_as(const struct tensor *t, enum dtype type) { return (t->rows * dtype_row_bytes(type, t->cols) + 63) / 64 * 64; }

struct measuring { enum dtype type; size_t bytes; char name[96]; size_t cols; };     /* name, cols: of a matrix that does not fit */

static void measure(void *user, const struct model_tensor *t)
{
    struct measuring *s = user;
    if (!is_to_change(t, s->type)) return;
    s->bytes += bytes_as(t->tensor, s->type);
    if (t->tensor->cols % dtypes[s->type].block == 0 || s->cols) return;
    weight_name(s->name, t->row, MODEL_HF, t->layer, false);
    s->cols = t->tensor->cols;
}

size_t base_quantized_bytes(struct model *m, enum dtype type)
{
    struct measuring s = { .type = type };
    model_each(m, measure, &s);
    return s.bytes;
}

struct changing { struct quantized_base *base; size_t used; enum dtype type; struct pool *pool; const atomic_int *cancel; float **scratch; sc_status status; int rank, size, next; };   /* of this machine's ranks, which take a matrix each in turn */
struct rows { const struct tensor *from; enum dtype type; char *to; size_t first; float **scratch; };

static void change_row(void *arg, size_t i, int worker)
{
    const struct rows *r = arg;
    size_t row = r->first + i;
    float *x = r->scratch[worker];
    dtypes[r->from->dtype].to_f32(x, tensor_row(r->from, row), r->from->cols);
    dtypes[r->type].from_f32(r->to + row * dtype_row_bytes(r->type, r->from->cols), x, r->from->cols);
}

static void change_matrix(struct changing *c, struct tensor *tensor, char *to)
{
    struct rows r = { tensor, c->type, to, 0, c->scratch };
    size_t row_bytes = tensor_row_bytes(tensor), at_once = AT_ONCE / row_bytes + 1;
    for (int w = 0; w < pool_threads(c->pool); w++) c->scratch[w] = mem_grow(c->scratch[w], tensor->cols * sizeof(float));
    for (; r.first < tensor->rows && c->status == SC_OK; r.first += at_once) {
        size_t n = tensor->rows - r.first < at_once ? tensor->rows - r.first : at_once;
        pool_run(c->pool, n, change_row, &r);
        file_forget(tensor_row(tensor, r.first), n * row_bytes);
        if (c->cancel && *c->cancel) c->status = SC_E_CANCELLED;
    }
}

static void change(void *user, const struct model_tensor *t)
{
    struct changing *c = user;
    if (!is_to_change(t, c->type) || c->status != SC_OK) return;
    char *to = (char *)c->base->memory + c->used;
    if (c->next++ % c->size == c->rank) change_matrix(c, t->tensor, to);
    c->used += bytes_as(t->tensor, c->type);
    t->tensor->data = to;
    t->tensor->dtype = c->type;
}

sc_status base_quantize(struct quantized_base *out, struct model *m, enum dtype type, struct comm *comm, struct pool *pool, const atomic_int *cancel, sc_error *err)
{
    struct measuring s = { .type = type };
    *out = (struct quantized_base){ 0 };
    model_each(m, measure, &s);
    if (s.cols)
        return FAIL(err, SC_E_ARGUMENT, "rows of %s have %zu elements, but %s needs a multiple of %zu; choose %s as quantize_base", s.name, s.cols,
                    dtypes[type].name, dtypes[type].block, s.cols % 64 == 0 ? "nf4 or q4_0" : s.cols % 32 == 0 ? "q4_0 or q8_0" : "bf16");
    if (!s.bytes) return SC_OK;
    out->is_shared = comm && comm->host_size > 1;
    TRY(out->is_shared ? comm_share(comm, &out->memory, s.bytes, err) : mem_reserve(&out->memory, s.bytes, "the quantised base", err));
    out->bytes = s.bytes;
    struct changing c = { .base = out, .type = type, .pool = pool, .cancel = cancel, .scratch = mem_zero((size_t)pool_threads(pool), sizeof *c.scratch), .rank = out->is_shared ? comm->host_rank : 0, .size = out->is_shared ? comm->host_size : 1 };
    model_each(m, change, &c);
    for (int w = 0; w < pool_threads(pool); w++) mem_free(c.scratch[w]);
    mem_free(c.scratch);
    return c.status == SC_OK ? SC_OK : FAIL(err, c.status, "quantising the base was cancelled");
}

void base_release(struct quantized_base *b)
{
    if (!b->is_shared) mem_unreserve(b->memory, b->bytes);
    *b = (struct quantized_base){ 0 };
}
