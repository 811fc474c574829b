/* imatrix.c - the importance of the columns of a model's matrices, and the file that keeps it.
 *
 * The importance of a column is the mean square of what it was multiplied with over a calibration text. Files are those of
 * llama.cpp: GGUF with general.type "imatrix", for each matrix NAME of the model's GGUF form NAME.in_sum2 (sums of squares,
 * f32) and NAME.counts (rows that were summed, f32), and the keys imatrix.datasets, imatrix.chunk_count, imatrix.chunk_size. */
#include "model/model_internal.h"

#include <math.h>
#include <string.h>

static const char SUMS[] = ".in_sum2", COUNTS[] = ".counts";
/* Least weight of a column against the mean of all: what the text never moved is kept as well as that allows. */
static const double LEAST = 1e-6;

struct imatrix_row *imatrix_add(struct imatrix *m, const char *name, size_t cols)
{
    if (m->n == m->cap) m->rows = mem_grow(m->rows, (m->cap = 2 * m->cap + 16) * sizeof *m->rows);
    struct imatrix_row *r = &m->rows[m->n++];
    *r = (struct imatrix_row){ .name = mem_strdup(name), .cols = cols, .sum = mem_zero(cols, sizeof *r->sum) };
    return r;
}

void imatrix_release(struct imatrix *m)
{
    for (size_t i = 0; i < m->n; i++) {
        mem_free(m->rows[i].name);
        mem_free(m->rows[i].sum);
    }
    mem_free(m->rows);
    mem_free(m->dataset);
    *m = (struct imatrix){ 0 };
}

const struct imatrix_row *imatrix_find(const struct imatrix *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++)
        if (!strcmp(m->rows[i].name, name)) return &m->rows[i];
    return NULL;
}

bool imatrix_weights(float *out, const struct imatrix_row *r)
{
    double sum = 0;
    for (size_t i = 0; i < r->cols; i++) sum += r->sum[i];
    if (!(sum > 0)) return false;
    for (size_t i = 0; i < r->cols; i++) {
        double weight = r->sum[i] / sum * (double)r->cols;
        out[i] = (float)(weight > LEAST ? weight : LEAST);
    }
    return true;
}

/* ---- file --------------------------------------------------------------------------------------------------------------- */

static sc_status check_kind(const struct model_file *f, sc_error *err)
{
    struct gguf_string type = { 0 };
    char quoted[64];
    if (f->kind != MODEL_GGUF) return FAIL(err, SC_E_FORMAT, "%s is a model directory, no importance matrix; make one with --calibrate TEXT --imatrix FILE", f->path);
    TRY(gguf_opt_string(&type, f, "general.type", err));
    if (type.text && type.len == 7 && !memcmp(type.text, "imatrix", 7)) return SC_OK;
    return FAIL(err, SC_E_FORMAT, "%s is no importance matrix: its general.type is %s, not imatrix; make one with --calibrate TEXT --imatrix FILE", f->path,
                type.text ? error_quote(quoted, sizeof quoted, type.text, type.len) : "missing");
}

static size_t elements_of(const struct file_tensor *t) { return t->dtype == DTYPE_F32 ? t->bytes / sizeof(float) : 0; }

static float element(const struct file_tensor *t, size_t i)
{
    float x;
    memcpy(&x, (const char *)t->data + i * sizeof x, sizeof x);
    return x;
}

static sc_status read_sums(struct imatrix_row *r, const struct file_tensor *t, const char *path, sc_error *err)
{
    for (size_t i = 0; i < r->cols; i++) {
        r->sum[i] = (double)element(t, i);
        if (!(r->sum[i] >= 0 && r->sum[i] <= (double)3.4e38f))
            return FAIL(err, SC_E_FORMAT, "%s: column %zu of %s is %g, but a sum of squares is neither negative nor infinite; make the file again", path, i, t->name, r->sum[i]);
    }
    return SC_OK;
}

/* `t` is NAME.in_sum2. A matrix that no row reached says nothing and is left out. */
static sc_status read_row(struct imatrix *m, const struct model_file *f, const struct file_tensor *t, sc_error *err)
{
    size_t n = strlen(t->name) - strlen(SUMS), cols = elements_of(t);
    struct buf name;
    buf_init(&name, 0);
    buf_append(&name, t->name, n);
    buf_puts(&name, COUNTS);
    const struct file_tensor *counts = model_file_find(f, name.data);
    sc_status status = SC_OK;
    if (!cols) status = FAIL(err, SC_E_FORMAT, "%s: %s is empty or %s, not f32; make the file again", f->path, t->name, dtypes[t->dtype].name);
    else if (!counts || !elements_of(counts)) status = FAIL(err, SC_E_FORMAT, "%s has no numbers %s beside %s; make the file again", f->path, name.data, t->name);
    else if (elements_of(counts) > 1) status = FAIL(err, SC_E_UNSUPPORTED, "%s: %s is of %zu experts; models with experts are not supported", f->path, t->name, elements_of(counts));
    else if (!(element(counts, 0) >= 0)) status = FAIL(err, SC_E_FORMAT, "%s: %s is %g, but a number of rows is not negative; make the file again", f->path, counts->name, (double)element(counts, 0));
    else if (element(counts, 0) > 0) {
        name.data[n] = 0;
        struct imatrix_row *r = imatrix_add(m, name.data, cols);
        r->count = (double)element(counts, 0);
        status = read_sums(r, t, f->path, err);
    }
    buf_release(&name);
    return status;
}

sc_status imatrix_from_file(struct imatrix *out, const struct model_file *f, sc_error *err)
{
    int64_t chunks, chunk;
    *out = (struct imatrix){ 0 };
    sc_status status;
    TRY_DONE(check_kind(f, err));
    TRY_DONE(gguf_opt_int(&chunks, f, "imatrix.chunk_count", 0, 0, INT32_MAX, err));
    TRY_DONE(gguf_opt_int(&chunk, f, "imatrix.chunk_size", 0, 0, INT32_MAX, err));
    out->chunks = (size_t)chunks;
    out->chunk = (size_t)chunk;
    const struct gguf_value *sets = gguf_find(f, "imatrix.datasets");
    if (sets && sets->strings && sets->count) out->dataset = mem_strndup(sets->strings[0].text, sets->strings[0].len);
    for (size_t i = 0; i < f->n_tensors; i++)
        if (path_ends_with(f->tensors[i].name, SUMS)) TRY_DONE(read_row(out, f, &f->tensors[i], err));
    if (!out->n) status = FAIL(err, SC_E_FORMAT, "%s holds no importance: none of its %zu tensors is named NAME%s and has rows; make the file again", f->path, f->n_tensors, SUMS);
done:
    if (status != SC_OK) imatrix_release(out);
    return status;
}

sc_status imatrix_read(struct imatrix *out, const char *path, sc_error *err)
{
    struct model_file *f = NULL;
    *out = (struct imatrix){ 0 };
    TRY(model_file_open(&f, path, false, err));
    sc_status status = imatrix_from_file(out, f, err);
    model_file_close(f);
    return status;
}

static sc_status write_rows(struct gguf_writer *w, const struct imatrix *m, sc_error *err)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct imatrix_row *r = &m->rows[i];
        float *sums = mem_alloc(r->cols * sizeof *sums), count = (float)r->count;
        for (size_t k = 0; k < r->cols; k++) sums[k] = (float)r->sum[k];
        sc_status status = gguf_writer_data(w, sums, r->cols * sizeof *sums, err);
        if (status == SC_OK) status = gguf_writer_data(w, &count, sizeof count, err);
        mem_free(sums);
        TRY(status);
    }
    return SC_OK;
}

sc_status imatrix_write(const struct imatrix *m, const char *path, bool overwrite, sc_error *err)
{
    struct gguf_writer *w = NULL;
    TRY(gguf_writer_open(&w, path, overwrite, err));
    struct tensor_plan *plan = mem_zero(2 * m->n, sizeof *plan);
    struct gguf_string dataset = { m->dataset ? m->dataset : "", m->dataset ? strlen(m->dataset) : 0 };
    gguf_put_string(w, "general.type", "imatrix", 7);
    gguf_put_string_array(w, "imatrix.datasets", &dataset, 1);
    gguf_put_uint32(w, "imatrix.chunk_count", (uint32_t)m->chunks);
    gguf_put_uint32(w, "imatrix.chunk_size", (uint32_t)m->chunk);
    struct arena names;
    arena_init(&names);
    for (size_t i = 0; i < m->n; i++) {
        size_t n = strlen(m->rows[i].name);
        char *sums = arena_take(&names, n + sizeof SUMS), *counts = arena_take(&names, n + sizeof COUNTS);
        memcpy(sums, m->rows[i].name, n);
        memcpy(sums + n, SUMS, sizeof SUMS);
        memcpy(counts, m->rows[i].name, n);
        memcpy(counts + n, COUNTS, sizeof COUNTS);
        plan[2 * i] = (struct tensor_plan){ sums, DTYPE_F32, 2, { 1, m->rows[i].cols } };
        plan[2 * i + 1] = (struct tensor_plan){ counts, DTYPE_F32, 2, { 1, 1 } };
    }
    sc_status status = gguf_writer_begin(w, plan, 2 * m->n, err);
    if (status == SC_OK) status = write_rows(w, m, err);
    arena_release(&names);
    mem_free(plan);
    if (status != SC_OK) { gguf_writer_discard(w); return status; }
    return gguf_writer_finish(w, err);
}
