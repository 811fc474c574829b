/* bind.c - finds the tensors of every weight role in an open file, checks type and shape, and turns the vectors
 * (norms, biases) into f32. Matrices stay where they are: in the mapping. */
#include "model/model_internal.h"

#include <string.h>

const struct file_tensor *weight_find(const struct model_file *f, const char *name)
{
    const struct file_tensor *t = model_file_find(f, name);
    const char *dot = strchr(name, '.');
    return t || f->kind == MODEL_GGUF || !dot ? t : model_file_find(f, dot + 1);
}

void tensor_shape_text(char out[64], const struct file_tensor *t)
{
    struct buf b;
    buf_init(&b, 63);
    for (int i = 0; i < t->n_dims; i++) buf_printf(&b, "%s%llu", i ? " x " : "", (unsigned long long)t->dims[i]);
    memcpy(out, b.data ? b.data : "", b.len + 1);
    buf_release(&b);
}

sc_status weight_check_shape(const struct file_tensor *t, size_t rows, size_t cols, const char *path, sc_error *err)
{
    bool is_vector = rows == 1 && t->n_dims == 1 && t->dims[0] == cols;
    bool is_matrix = t->n_dims == 2 && t->dims[0] == rows && t->dims[1] == cols;
    if (!is_vector && !is_matrix) {
        char shape[64];
        tensor_shape_text(shape, t);
        return FAIL(err, SC_E_FORMAT, "%s: tensor %s is %s, but the config says %zu x %zu", path, t->name, shape, rows, cols);
    }
    if (!dtypes[t->dtype].to_f32 || t->dtype == DTYPE_F64)
        return FAIL(err, SC_E_UNSUPPORTED, "%s: tensor %s has type %s, which no kernel computes with", path, t->name, dtypes[t->dtype].name);
    return SC_OK;
}

static sc_status bind_vector(struct model *m, struct tensor *out, const struct model_file *f, const struct file_tensor *t, size_t n, sc_error *err)
{
    TRY(weight_check_shape(t, 1, n, f->path, err));
    float *data = arena_take(&m->memory, n * sizeof *data);
    dtypes[t->dtype].to_f32(data, t->data, n);
    *out = (struct tensor){ .dtype = DTYPE_F32, .rows = 1, .cols = n, .data = data };
    m->parameters += n;
    return SC_OK;
}

static sc_status bind_matrix(struct model *m, struct tensor *out, const struct model_file *f, const struct file_tensor *t, size_t rows, size_t cols, sc_error *err)
{
    TRY(weight_check_shape(t, rows, cols, f->path, err));
    *out = (struct tensor){ .dtype = t->dtype, .rows = rows, .cols = cols, .data = (void *)t->data };
    m->parameters += rows * cols;
    return SC_OK;
}

static sc_status bind_bias(struct model *m, struct tensor *out, const struct model_file *f, const struct weight_row *row, size_t layer, size_t n, sc_error *err)
{
    char name[96];
    weight_name(name, row, f->kind, layer, true);
    const struct file_tensor *t = weight_find(f, name);
    if (!t && row->flags & WF_BIAS) return FAIL(err, SC_E_FORMAT, "%s: the tensor %s is missing", f->path, name);
    return t ? bind_vector(m, out, f, t, n, err) : SC_OK;
}

/* ORDER ROLE */
void *model_role(struct model *m, enum role role, size_t layer)
{
    struct layer *l = m->layers + layer;
    switch (role) {
    case W_EMBED: return &m->embed;
    case W_POSITION: return &m->position;
    case W_FINAL_NORM: return &m->final_norm;
    case W_HEAD: return &m->head;
    case W_NORM1: return &l->norm1;
    case W_QKV: return &l->qkv;
    case W_Q: return &l->q;
    case W_K: return &l->k;
    case W_V: return &l->v;
    case W_O: return &l->o;
    case W_NORM2: return &l->norm2;
    case W_GATE: return &l->gate;
    case W_UP: return &l->up;
    case W_DOWN: return &l->down;
    default: return NULL;
    }
}

static sc_status bind_role(struct model *m, const struct model_file *f, const struct weight_row *row, size_t layer, sc_error *err)
{
    char name[96];
    weight_name(name, row, f->kind, layer, false);
    const struct file_tensor *t = weight_find(f, name);
    if (!t && row->flags & WF_OPTIONAL) return SC_OK;
    if (!t) return FAIL(err, SC_E_FORMAT, "%s: the tensor %s is missing", f->path, name);
    size_t rows = extent_of(&m->config, row->rows), cols = extent_of(&m->config, row->cols);
    if (row->flags & WF_NORM) {
        struct norm *n = model_role(m, row->role, layer);
        n->eps = m->config.eps;
        TRY(bind_vector(m, &n->gain, f, t, cols, err));
        return row->flags & (WF_BIAS | WF_MAYBE_BIAS) ? bind_bias(m, &n->bias, f, row, layer, cols, err) : SC_OK;
    }
    struct weight *w = model_role(m, row->role, layer);
    TRY(bind_matrix(m, &w->w, f, t, rows, cols, err));
    if (role_is_per_layer(row->role)) m->weight_bytes += tensor_row_bytes(&w->w) * rows;
    return row->flags & (WF_BIAS | WF_MAYBE_BIAS) ? bind_bias(m, &w->bias, f, row, layer, rows, err) : SC_OK;
}

/* A head is tied when the config says so or the file has none; a stored copy of a tied head is ignored. */
static sc_status bind_head(struct model *m, const struct model_file *f, sc_error *err)
{
    if (m->config.is_tied && m->head.w.data) {
        m->parameters -= m->head.w.rows * m->head.w.cols;
        m->head = (struct weight){ 0 };
    }
    if (!m->head.w.data && !m->config.is_tied)
        return FAIL(err, SC_E_FORMAT, "%s: the tensor lm_head.weight is missing and the config says it is not tied to the embedding", f->path);
    if (!m->head.w.data) m->head = m->embed;
    m->weight_bytes += tensor_row_bytes(&m->head.w) * m->head.w.rows;
    return SC_OK;
}

sc_status model_bind(struct model *out, const struct model_file *f, sc_error *err)
{
    *out = (struct model){ 0 };
    arena_init(&out->memory);
    sc_status status = SC_OK;
    out->kind = f->kind;
    TRY_DONE(model_config_read(&out->config, f, err));
    const struct arch *arch = out->config.arch;
    out->layers = arena_zero(&out->memory, out->config.layers * sizeof *out->layers);
    for (size_t i = 0; i < arch->n_rows; i++) {
        size_t n = role_is_per_layer(arch->rows[i].role) ? out->config.layers : 1;
        for (size_t layer = 0; layer < n; layer++) TRY_DONE(bind_role(out, f, &arch->rows[i], layer, err));
    }
    TRY_DONE(bind_head(out, f, err));
    return SC_OK;
done:
    model_release(out);
    return status;
}

void model_release(struct model *m)
{
    if (!m->base) model_config_release(&m->config);
    mem_unreserve(m->packed, m->packed_bytes);
    arena_release(&m->memory);
    *m = (struct model){ 0 };
}

/* The rows that there are, then `n` times the mean of all rows of the table. */
static struct tensor more_rows(struct arena *memory, const struct tensor *old, const struct tensor *table, size_t n)
{
    size_t cols = table->cols;
    double *sum = mem_zero(cols, sizeof *sum);
    float *row = mem_alloc(cols * sizeof *row), *out = arena_take(memory, (old->rows + n) * cols * sizeof *out);
    if (old->rows) memcpy(out, old->data, old->rows * cols * sizeof *out);
    for (size_t i = 0; i < table->rows; i++) {
        dtypes[table->dtype].to_f32(row, tensor_row(table, i), cols);
        for (size_t j = 0; j < cols; j++) sum[j] += (double)row[j];
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < cols; j++) out[(old->rows + i) * cols + j] = (float)(sum[j] / (double)table->rows);
    mem_free(sum);
    mem_free(row);
    return (struct tensor){ .dtype = DTYPE_F32, .rows = old->rows + n, .cols = cols, .data = out };
}

void model_add_rows(struct model *m, size_t n)
{
    if (!n) return;
    bool is_shared = m->head.w.data == m->embed.w.data && m->extra_head.data == m->extra.data;
    m->extra = more_rows(&m->memory, &m->extra, &m->embed.w, n);
    m->extra_head = is_shared ? m->extra : more_rows(&m->memory, &m->extra_head, &m->head.w, n);
}

size_t model_vocab(const struct model *m) { return m->config.vocab + m->extra.rows; }
