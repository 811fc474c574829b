/* trainable_file.c - what a rank keeps of what is trained as one safetensors file: values (with a master copy only that, since the
 * bf16 copy is its rounding), and moments as they are kept, bit for bit. Names: the parameter's, with .m and .v behind it,
 * for 8-bit moments also .m.largest and .v.largest. Each holds the elements from some first one on, which the checkpoint's
 * manifest tells, so that any number of ranks can read what any other wrote. */
#include "train/train.h"

#include <stdio.h>

/* Items `first` to first + n of `all`; an item is an element, or for .largest a block. */
struct part { char name[160]; const char *parameter; enum dtype dtype; size_t unit, first, n, all; void *data; };
struct parts { struct part *item; size_t n; };

static void add_part(struct parts *s, const struct parameter *p, const char *end, enum dtype dtype, size_t per_item, void *data)
{
    if (!p->own_n) return;
    struct part *part = &s->item[s->n++];
    *part = (struct part){ .parameter = p->name, .dtype = dtype, .unit = dtype_row_bytes(dtype, 1), .first = p->own_first / per_item, .n = (p->own_n + per_item - 1) / per_item,
                           .all = (parameter_elements(p) + per_item - 1) / per_item, .data = data };
    snprintf(part->name, sizeof part->name, "%s%s", p->name, end);
}

static void add_moment(struct parts *s, const struct parameter *p, const char *end, float *whole, const struct moments8 *m)
{
    char largest[16];
    if (!m) { add_part(s, p, end, DTYPE_F32, 1, whole); return; }
    snprintf(largest, sizeof largest, "%s.largest", end);
    add_part(s, p, end, DTYPE_I8, 1, m->code);
    add_part(s, p, largest, DTYPE_F32, MOMENT_BLOCK, m->largest);
}

static struct parts parts_of(const struct trainable *t)
{
    struct parts s = { mem_alloc((5 * t->n + 1) * sizeof *s.item), 0 };
    for (size_t i = 0; i < t->n; i++) {
        const struct parameter *p = &t->parameter[i];
        if (p->value) add_part(&s, p, "", DTYPE_F32, 1, p->value);
        else add_part(&s, p, "", DTYPE_BF16, 1, p->half);
        add_moment(&s, p, ".m", p->m, p->m8);
        add_moment(&s, p, ".v", p->v, p->v8);
    }
    return s;
}

sc_status trainable_write(const struct trainable *t, const char *path, json_t **first, sc_error *err)
{
    struct safetensors_writer *w = NULL;
    struct parts s = parts_of(t);
    struct tensor_plan *plan = mem_zero(s.n + 1, sizeof *plan);
    *first = json_object();
    for (size_t i = 0; i < s.n; i++) {
        plan[i] = (struct tensor_plan){ s.item[i].name, s.item[i].dtype, 1, { s.item[i].n } };
        json_object_set_new(*first, s.item[i].name, json_integer((json_int_t)s.item[i].first));
    }
    sc_status status;
    TRY_DONE(safetensors_writer_open_file(&w, path, plan, s.n, err));
    for (size_t i = 0; i < s.n; i++) TRY_DONE(safetensors_writer_data(w, s.item[i].data, s.item[i].n * s.item[i].unit, err));
    status = safetensors_writer_finish(w, err);
    w = NULL;
done:
    safetensors_writer_discard(w);
    mem_free(plan);
    mem_free(s.item);
    return status;
}

/* ---- reading --------------------------------------------------------------------------------------------------------------- */

static sc_status check(const struct model_file *f, const struct part *p, const struct file_tensor *t, size_t first, sc_error *err)
{
    size_t n = t->n_dims == 1 ? (size_t)t->dims[0] : 0;
    if (t->dtype == p->dtype && t->n_dims == 1 && first <= p->all && n <= p->all - first) return SC_OK;
    return FAIL(err, SC_E_FORMAT, "%s: tensor %s holds %zu items of %s from %zu on (%d dimensions), but this run has %zu of %s; it was saved with another model, rank or precision", f->path, p->name, n,
                dtypes[t->dtype].name, first, t->n_dims, p->all, dtypes[p->dtype].name);
}

/* Copies what a file has of a part; *found: how many items. */
static sc_status read_part(const struct part *p, const struct model_file *f, const json_t *firsts, size_t *found, sc_error *err)
{
    const struct file_tensor *t = model_file_find(f, p->name);
    json_int_t at = json_integer_value(json_object_get(firsts, p->name));
    if (!t) return SC_OK;
    size_t first = at < 0 ? SIZE_MAX : (size_t)at;
    TRY(check(f, p, t, first, err));
    size_t low = first > p->first ? first : p->first, end = first + (size_t)t->dims[0], high = end < p->first + p->n ? end : p->first + p->n;
    if (low >= high) return SC_OK;
    memcpy((char *)p->data + (low - p->first) * p->unit, (const char *)t->data + (low - first) * p->unit, (high - low) * p->unit);
    *found += high - low;
    return SC_OK;
}

/* Whether all names of the file are of this run: its ranks together keep the same tensors, whoever keeps which. */
static sc_status check_names(const struct trainable *t, const struct model_file *f, sc_error *err)
{
    for (size_t i = 0; i < f->n_tensors; i++) {
        bool is_known = false;
        for (size_t k = 0; k < t->n && !is_known; k++) {
            size_t n = strlen(t->parameter[k].name);
            const char *rest = f->tensors[i].name + n;
            is_known = !strncmp(f->tensors[i].name, t->parameter[k].name, n) && (!*rest || !strcmp(rest, ".m") || !strcmp(rest, ".v") || !strcmp(rest, ".m.largest") || !strcmp(rest, ".v.largest"));
        }
        if (!is_known) return FAIL(err, SC_E_FORMAT, "%s has the tensor %s, which this run does not keep; it was saved by a run that trains something else", f->path, f->tensors[i].name);
    }
    return SC_OK;
}

static sc_status read_file(const struct trainable *t, const struct parts *s, const struct state_file *file, size_t *found, sc_error *err)
{
    struct model_file *f = NULL;
    sc_status status;
    TRY_DONE(tensor_file_open(&f, file->path, err));
    TRY_DONE(check_names(t, f, err));
    for (size_t i = 0; i < s->n; i++) TRY_DONE(read_part(&s->item[i], f, file->first, &found[i], err));
done:
    model_file_close(f);
    return status;
}

/* The copy that the kernels read, where there is a master. */
static void round_values(const struct parameter *p)
{
    if (p->half && p->value) dtypes[DTYPE_BF16].from_f32(p->half, p->value, p->own_n);
}

sc_status trainable_read(struct trainable *t, const struct state_file *file, size_t n, sc_error *err)
{
    struct parts s = parts_of(t);
    size_t *found = mem_zero(s.n + 1, sizeof *found);
    sc_status status = SC_OK;
    for (size_t i = 0; i < n && status == SC_OK; i++) status = read_file(t, &s, &file[i], found, err);
    for (size_t i = 0; i < s.n && status == SC_OK; i++)
        if (found[i] != s.item[i].n)
            status = FAIL(err, SC_E_FORMAT, "%s and the files beside it hold %zu items of the tensor %s where this run keeps %zu; they were saved by a run that trains something else", n ? file[0].path : "the checkpoint",
                          found[i], s.item[i].name, s.item[i].n);
    for (size_t i = 0; i < t->n && status == SC_OK; i++) round_values(&t->parameter[i]);
    mem_free(found);
    mem_free(s.item);
    return status;
}
