/* gguf_values.c - typed access to the metadata of a GGUF file. Writers disagree on widths (u32, u64, i32), so any
 * integer type of a fitting value is accepted; everything else is refused with a message that names file and key. */
#include "format/format_internal.h"

#include <inttypes.h>

static const char *const TYPE_NAMES[GGUF_TYPE_COUNT] = { /* ORDER gguf_type */
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64",
};

const struct gguf_value *gguf_find(const struct model_file *m, const char *key)
{
    const struct name_entry *e = m->private->by_key ? name_index_find(m->private->by_key, m->n_values, key) : NULL;
    return e ? &m->values[e->i] : NULL;
}

static bool is_integer(enum gguf_type t)
{
    return t != GGUF_F32 && t != GGUF_F64 && t != GGUF_BOOL && t != GGUF_STRING && t != GGUF_ARRAY;
}

static sc_status wrong_type(const struct model_file *m, const struct gguf_value *v, const char *expected, sc_error *err)
{
    return FAIL(err, SC_E_FORMAT, "%s: key \"%s\" is of type %s, expected %s", m->path, v->key, TYPE_NAMES[v->type], expected);
}

sc_status gguf_opt_int(int64_t *out, const struct model_file *m, const char *key, int64_t fallback, int64_t min, int64_t max, sc_error *err)
{
    const struct gguf_value *v = gguf_find(m, key);
    *out = fallback;
    if (!v) return SC_OK;
    if (!is_integer(v->type)) return wrong_type(m, v, "an integer", err);
    bool is_huge = v->type == GGUF_U64 && v->v.u > INT64_MAX;
    if (is_huge || v->v.i < min || v->v.i > max)
        return FAIL(err, SC_E_FORMAT, "%s: key \"%s\" is %s%" PRId64 ", expected %" PRId64 " to %" PRId64, m->path, key,
                    is_huge ? "more than " : "", is_huge ? INT64_MAX : v->v.i, min, max);
    *out = v->v.i;
    return SC_OK;
}

sc_status gguf_need_int(int64_t *out, const struct model_file *m, const char *key, int64_t min, int64_t max, sc_error *err)
{
    if (!gguf_find(m, key)) return FAIL(err, SC_E_FORMAT, "%s has no key \"%s\"", m->path, key);
    return gguf_opt_int(out, m, key, 0, min, max, err);
}

sc_status gguf_opt_real(double *out, const struct model_file *m, const char *key, double fallback, sc_error *err)
{
    const struct gguf_value *v = gguf_find(m, key);
    *out = fallback;
    if (!v) return SC_OK;
    if (v->type == GGUF_F32 || v->type == GGUF_F64) *out = v->v.f;
    else if (is_integer(v->type)) *out = v->type == GGUF_U64 ? (double)v->v.u : (double)v->v.i;
    else return wrong_type(m, v, "a number", err);
    if (!(*out - *out == 0)) return FAIL(err, SC_E_FORMAT, "%s: key \"%s\" is not a finite number", m->path, key);
    return SC_OK;
}

sc_status gguf_opt_bool(bool *out, const struct model_file *m, const char *key, bool fallback, sc_error *err)
{
    const struct gguf_value *v = gguf_find(m, key);
    *out = fallback;
    if (!v) return SC_OK;
    if (v->type != GGUF_BOOL) return wrong_type(m, v, "true or false", err);
    *out = v->v.b;
    return SC_OK;
}

sc_status gguf_opt_string(struct gguf_string *out, const struct model_file *m, const char *key, sc_error *err)
{
    const struct gguf_value *v = gguf_find(m, key);
    *out = (struct gguf_string) { 0 };
    if (!v) return SC_OK;
    if (v->type != GGUF_STRING) return wrong_type(m, v, "a string", err);
    *out = v->v.s;
    return SC_OK;
}

/* Elements stand at any address. */
#define ELEMENT(type, array, i) ({ type e_; memcpy(&e_, (array)->raw + (i) * sizeof e_, sizeof e_); e_; })

int64_t gguf_array_int(const struct gguf_value *a, size_t i)
{
    switch (a->element) {
    case GGUF_U8: case GGUF_BOOL: return a->raw[i];
    case GGUF_I8: return (int8_t)a->raw[i];
    case GGUF_U16: return ELEMENT(uint16_t, a, i);
    case GGUF_I16: return ELEMENT(int16_t, a, i);
    case GGUF_U32: return ELEMENT(uint32_t, a, i);
    case GGUF_I32: return ELEMENT(int32_t, a, i);
    case GGUF_U64: case GGUF_I64: return ELEMENT(int64_t, a, i);
    default: return 0;
    }
}

double gguf_array_real(const struct gguf_value *a, size_t i)
{
    if (a->element == GGUF_F32) return (double)ELEMENT(float, a, i);
    if (a->element == GGUF_F64) return ELEMENT(double, a, i);
    if (a->element == GGUF_U64) return (double)ELEMENT(uint64_t, a, i);
    return (double)gguf_array_int(a, i);
}
