/* trainable_file.c - the state of what is trained as one safetensors file: values (with a master copy only that, since the
 * bf16 copy is its rounding), and moments as they are kept, bit for bit. Names: the parameter's, with .m and .v behind it,
 * for 8-bit moments also .m.largest and .v.largest. */
#include "train/train.h"

#include <stdio.h>

struct part { char name[160]; enum dtype dtype; size_t rows, cols; void *data; };
struct parts { struct part *item; size_t n; };

static void add_part(struct parts *s, const struct parameter *p, const char *end, enum dtype dtype, size_t rows, size_t cols, void *data)
{
    struct part *part = &s->item[s->n++];
    *part = (struct part){ .dtype = dtype, .rows = rows, .cols = cols, .data = data };
    snprintf(part->name, sizeof part->name, "%s%s", p->name, end);
}

static void add_moment(struct parts *s, const struct parameter *p, const char *end, float *whole, const struct moments8 *m)
{
    char largest[16];
    if (!m) { add_part(s, p, end, DTYPE_F32, p->rows, p->cols, whole); return; }
    snprintf(largest, sizeof largest, "%s.largest", end);
    add_part(s, p, end, DTYPE_I8, p->rows, p->cols, m->code);
    add_part(s, p, largest, DTYPE_F32, 1, (p->rows * p->cols + MOMENT_BLOCK - 1) / MOMENT_BLOCK, m->largest);
}

static struct parts parts_of(const struct trainable *t)
{
    struct parts s = { mem_alloc(5 * t->n * sizeof *s.item), 0 };
    for (size_t i = 0; i < t->n; i++) {
        const struct parameter *p = &t->parameter[i];
        if (p->value) add_part(&s, p, "", DTYPE_F32, p->rows, p->cols, p->value);
        else add_part(&s, p, "", DTYPE_BF16, p->rows, p->cols, p->tensor->data);
        add_moment(&s, p, ".m", p->m, p->m8);
        add_moment(&s, p, ".v", p->v, p->v8);
    }
    return s;
}

static size_t part_bytes(const struct part *p) { return p->rows * dtype_row_bytes(p->dtype, p->cols); }

sc_status trainable_write(const struct trainable *t, const char *path, sc_error *err)
{
    struct safetensors_writer *w = NULL;
    struct parts s = parts_of(t);
    struct tensor_plan *plan = mem_zero(s.n, sizeof *plan);
    for (size_t i = 0; i < s.n; i++) {
        const struct part *p = &s.item[i];
        plan[i] = (struct tensor_plan){ p->name, p->dtype, p->rows == 1 ? 1 : 2, { p->rows == 1 ? p->cols : p->rows, p->cols } };
    }
    sc_status status;
    TRY_DONE(safetensors_writer_open_file(&w, path, plan, s.n, err));
    for (size_t i = 0; i < s.n; i++) TRY_DONE(safetensors_writer_data(w, s.item[i].data, part_bytes(&s.item[i]), err));
    status = safetensors_writer_finish(w, err);
    w = NULL;
done:
    safetensors_writer_discard(w);
    mem_free(plan);
    mem_free(s.item);
    return status;
}

static sc_status check(const struct model_file *f, const struct part *p, sc_error *err)
{
    const struct file_tensor *t = model_file_find(f, p->name);
    if (!t) return FAIL(err, SC_E_FORMAT, "%s lacks the tensor %s; it was saved by a run that trains something else", f->path, p->name);
    size_t rows = t->n_dims == 2 ? (size_t)t->dims[0] : 1, cols = t->n_dims ? (size_t)t->dims[t->n_dims - 1] : 1;
    if (t->dtype == p->dtype && t->n_dims <= 2 && rows == p->rows && cols == p->cols) return SC_OK;
    return FAIL(err, SC_E_FORMAT, "%s: tensor %s is %s %zu x %zu in %d dimensions, but this run keeps %s %zu x %zu; it was saved with another model, rank or precision", f->path, p->name,
                dtypes[t->dtype].name, rows, cols, t->n_dims, dtypes[p->dtype].name, p->rows, p->cols);
}

/* The copy that the kernels read, where there is a master. */
static void round_values(const struct parameter *p)
{
    if (p->tensor->dtype == DTYPE_BF16 && p->value) dtypes[DTYPE_BF16].from_f32(p->tensor->data, p->value, p->rows * p->cols);
}

sc_status trainable_read(struct trainable *t, const char *path, sc_error *err)
{
    struct model_file *f = NULL;
    struct parts s = parts_of(t);
    sc_status status;
    TRY_DONE(tensor_file_open(&f, path, err));
    for (size_t i = 0; i < s.n; i++) TRY_DONE(check(f, &s.item[i], err));
    if (f->n_tensors != s.n) {
        status = FAIL(err, SC_E_FORMAT, "%s has %zu tensors, but this run keeps %zu; it was saved by a run that trains something else", path, f->n_tensors, s.n);
        goto done;
    }
    for (size_t i = 0; i < s.n; i++) memcpy(s.item[i].data, model_file_find(f, s.item[i].name)->data, part_bytes(&s.item[i]));
    for (size_t i = 0; i < t->n; i++) round_values(&t->parameter[i]);
done:
    model_file_close(f);
    mem_free(s.item);
    return status;
}
