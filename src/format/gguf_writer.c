/* gguf_writer.c - writes GGUF version 3, little endian, alignment 32.
 *
 * Order of calls: open, put_* for the metadata, begin with the list of tensors, data in that order, finish. The header
 * is complete before the first tensor byte, so nothing is ever held but the header; the file gets its name at finish. */
#include "format/format_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

enum { ALIGNMENT = 32, GGUF_VERSION = 3 };

struct gguf_writer {
    struct file_writer file;
    struct buf values;                      /* encoded pairs */
    struct name_store names;
    struct name_entry *keys; size_t n_keys;
    size_t *bytes, n_tensors;               /* of each tensor */
    size_t at_tensor, at_byte;              /* where the next data goes */
    bool has_begun;
    size_t seal_at;                         /* of the digits in `values`; 0: none */
    struct sha256 digest;                   /* of what was written, while there is a seal */
};

sc_status gguf_writer_open(struct gguf_writer **out, const char *path, bool overwrite, sc_error *err)
{
    *out = NULL;
    if (!overwrite && path_exists(path)) return FAIL(err, SC_E_ARGUMENT, "%s exists already; choose another name or allow overwriting", path);
    struct file_writer file;
    TRY(file_writer_open(&file, path, err));
    struct gguf_writer *w = mem_zero(1, sizeof *w);
    w->file = file;
    buf_init(&w->values, 0);
    *out = w;
    return SC_OK;
}

void gguf_writer_discard(struct gguf_writer *w)
{
    char unused[65];
    if (!w) return;
    if (w->digest.context) sha256_end(&w->digest, unused);
    file_writer_discard(&w->file);
    buf_release(&w->values);
    name_store_release(&w->names);
    mem_free(w->keys);
    mem_free(w->bytes);
    mem_free(w);
}

static void append_u32(struct buf *b, uint32_t v) { buf_append(b, &v, sizeof v); }
static void append_u64(struct buf *b, uint64_t v) { buf_append(b, &v, sizeof v); }

static void append_string(struct buf *b, const char *text, size_t len)
{
    append_u64(b, len);
    buf_append(b, text, len);
}

static void append_key(struct gguf_writer *w, const char *key, enum gguf_type type)
{
    w->keys = mem_grow(w->keys, (w->n_keys + 1) * sizeof *w->keys);
    w->keys[w->n_keys] = (struct name_entry) { name_keep(&w->names, key, strlen(key)), w->n_keys };
    w->n_keys++;
    append_string(&w->values, key, strlen(key));
    append_u32(&w->values, type);
}

static void append_array(struct gguf_writer *w, const char *key, enum gguf_type element, size_t n)
{
    append_key(w, key, GGUF_ARRAY);
    append_u32(&w->values, element);
    append_u64(&w->values, n);
}

void gguf_put_uint32(struct gguf_writer *w, const char *key, uint32_t v)
{
    append_key(w, key, GGUF_U32);
    append_u32(&w->values, v);
}

void gguf_put_float32(struct gguf_writer *w, const char *key, float v)
{
    append_key(w, key, GGUF_F32);
    buf_append(&w->values, &v, sizeof v);
}

void gguf_put_bool(struct gguf_writer *w, const char *key, bool v)
{
    append_key(w, key, GGUF_BOOL);
    buf_putc(&w->values, v ? 1 : 0);
}

void gguf_put_string(struct gguf_writer *w, const char *key, const char *text, size_t len)
{
    append_key(w, key, GGUF_STRING);
    append_string(&w->values, text, len);
}

void gguf_put_string_array(struct gguf_writer *w, const char *key, const struct gguf_string *s, size_t n)
{
    append_array(w, key, GGUF_STRING, n);
    for (size_t i = 0; i < n; i++) append_string(&w->values, s[i].text, s[i].len);
}

void gguf_put_int32_array(struct gguf_writer *w, const char *key, const int32_t *v, size_t n)
{
    append_array(w, key, GGUF_I32, n);
    buf_append(&w->values, v, n * sizeof *v);
}

void gguf_put_float32_array(struct gguf_writer *w, const char *key, const float *v, size_t n)
{
    append_array(w, key, GGUF_F32, n);
    buf_append(&w->values, v, n * sizeof *v);
}

void gguf_put_value(struct gguf_writer *w, const struct gguf_value *v)
{
    if (strcmp(v->key, "general.alignment") == 0) return;       /* this writer's own is the default */
    if (v->type == GGUF_STRING) { gguf_put_string(w, v->key, v->v.s.text, v->v.s.len); return; }
    if (v->type == GGUF_ARRAY && v->element == GGUF_STRING) { gguf_put_string_array(w, v->key, v->strings, v->count); return; }
    if (v->type == GGUF_ARRAY) {
        append_array(w, v->key, v->element, v->count);
        buf_append(&w->values, v->raw, v->count * gguf_element_bytes(v->element));
        return;
    }
    append_key(w, v->key, v->type);
    float f = (float)v->v.f;
    if (v->type == GGUF_F32) buf_append(&w->values, &f, sizeof f);
    else if (v->type == GGUF_BOOL) buf_putc(&w->values, v->v.b ? 1 : 0);
    else buf_append(&w->values, &v->v, gguf_element_bytes(v->type));       /* little endian: the low bytes come first */
}

void gguf_writer_seal(struct gguf_writer *w)
{
    char zeros[GGUF_SEAL_DIGITS];
    memset(zeros, '0', sizeof zeros);
    gguf_put_string(w, GGUF_SEAL_KEY, zeros, sizeof zeros);
    w->seal_at = w->values.len - sizeof zeros;
    sha256_begin(&w->digest);
}

static sc_status write_bytes(struct gguf_writer *w, const void *data, size_t len, sc_error *err)
{
    if (w->seal_at) sha256_add(&w->digest, data, len);
    return file_writer_put(&w->file, data, len, err);
}

static size_t padding(size_t at) { return (ALIGNMENT - at % ALIGNMENT) % ALIGNMENT; }

static sc_status put_padding(struct gguf_writer *w, size_t at, sc_error *err)
{
    static const uint8_t zero[ALIGNMENT];
    return write_bytes(w, zero, padding(at), err);
}

/* Appends the tensor infos; *total: bytes of the data section. */
static sc_status append_infos(struct gguf_writer *w, struct buf *header, const struct tensor_plan *tensors, size_t n, size_t *total, sc_error *err)
{
    size_t offset = 0;
    for (size_t i = 0; i < n; i++) {
        const struct tensor_plan *t = &tensors[i];
        if (strlen(t->name) > 63 || dtypes[t->dtype].gguf < 0 || !tensor_bytes(&w->bytes[i], t->dtype, t->n_dims, t->dims))
            return FAIL(err, SC_E_ARGUMENT, "%s: GGUF cannot hold tensor \"%s\" as %s: its name has more than 63 bytes, its rows are no whole number of blocks, or the type has no number",
                        w->file.path, t->name, dtypes[t->dtype].name);
        append_string(header, t->name, strlen(t->name));
        append_u32(header, (uint32_t)t->n_dims);
        for (int d = t->n_dims; d-- > 0;) append_u64(header, t->dims[d]);
        append_u32(header, (uint32_t)dtypes[t->dtype].gguf);
        append_u64(header, offset);
        if (!size_add(offset, w->bytes[i], &offset) || !size_add(offset, padding(offset), &offset))
            return FAIL(err, SC_E_ARGUMENT, "%s would be larger than any file can be", w->file.path);
    }
    *total = offset;
    return SC_OK;
}

/* Passes over tensors without elements; pads the one that ended. */
static sc_status settle(struct gguf_writer *w, sc_error *err)
{
    while (w->at_tensor < w->n_tensors && w->at_byte == w->bytes[w->at_tensor]) {
        TRY(put_padding(w, w->at_byte, err));
        w->at_tensor++;
        w->at_byte = 0;
    }
    return SC_OK;
}

sc_status gguf_writer_begin(struct gguf_writer *w, const struct tensor_plan *tensors, size_t n, sc_error *err)
{
    struct buf header;
    size_t total = 0;
    sc_status status;
    buf_init(&header, 0);
    const char *twice = name_index_sort(w->keys, w->n_keys);
    if (twice) { status = FAIL(err, SC_E_ARGUMENT, "%s: the key \"%s\" is given twice", w->file.path, twice); goto done; }
    w->n_tensors = n;
    w->bytes = mem_zero(n, sizeof *w->bytes);
    w->has_begun = true;
    buf_puts(&header, "GGUF");
    append_u32(&header, GGUF_VERSION);
    append_u64(&header, n);
    append_u64(&header, w->n_keys);
    buf_append(&header, w->values.data, w->values.len);
    TRY_DONE(append_infos(w, &header, tensors, n, &total, err));
    TRY_DONE(file_writer_reserve(&w->file, header.len + padding(header.len) + total, err));
    TRY_DONE(write_bytes(w, header.data, header.len, err));
    TRY_DONE(put_padding(w, header.len, err));
    TRY_DONE(settle(w, err));
done:
    buf_release(&header);
    return status;
}

sc_status gguf_writer_data(struct gguf_writer *w, const void *data, size_t bytes, sc_error *err)
{
    const char *p = data;
    while (bytes) {
        if (w->at_tensor == w->n_tensors) return FAIL(err, SC_E_ARGUMENT, "%s: %zu bytes more than its tensors hold", w->file.path, bytes);
        size_t room = w->bytes[w->at_tensor] - w->at_byte, now = bytes < room ? bytes : room;
        TRY(write_bytes(w, p, now, err));
        w->at_byte += now;
        p += now;
        bytes -= now;
        TRY(settle(w, err));
    }
    return SC_OK;
}

/* The digest takes the place of its zeros. */
static sc_status put_seal(struct gguf_writer *w, sc_error *err)
{
    char hex[65];
    enum { COUNTS = 24 };                                  /* magic, version, two counts: what stands before the values */
    if (!w->seal_at) return SC_OK;
    sha256_end(&w->digest, hex);
    w->digest.context = NULL;
    if (pwrite(w->file.fd, hex, GGUF_SEAL_DIGITS, (off_t)(COUNTS + w->seal_at)) == GGUF_SEAL_DIGITS) return SC_OK;
    return FAIL(err, SC_E_IO, "cannot write the digest of %s into it: %s", w->file.path, strerror(errno));
}

sc_status gguf_writer_finish(struct gguf_writer *w, sc_error *err)
{
    sc_status status;
    if (!w->has_begun || w->at_tensor != w->n_tensors)
        status = FAIL(err, SC_E_ARGUMENT, "%s: data of tensor %zu of %zu is missing", w->file.path, w->at_tensor + 1, w->n_tensors);
    else if ((status = put_seal(w, err)) == SC_OK)
        status = file_writer_publish(&w->file, err);
    gguf_writer_discard(w);
    return status;
}
