/* gguf.c - reads GGUF version 2 and 3, little endian.
 *
 * Layout (ggml docs/gguf.md): "GGUF", version, counts, key-value pairs, tensor infos, padding, tensor data. Nothing is
 * trusted: every count is compared with the bytes that are left before it allocates or loops, every tensor must begin
 * exactly where the one before it ended (rounded up to the alignment), so none overlap and nothing hides in between. */
#include "format/format_internal.h"

#include <inttypes.h>

/* Smallest entries: key or name of one byte; one-byte value; a tensor without dimensions. */
enum { MIN_VALUE_BYTES = 8 + 1 + 4 + 1, MIN_TENSOR_BYTES = 8 + 1 + 4 + 4 + 8, MAX_NAME = 63, QUOTE = 96 };
static const uint64_t MAX_STRING = 64u << 20, MAX_ELEMENTS = 1u << 30;

/* Bytes of one element; 0: strings and arrays, which have none of their own. ORDER gguf_type. */
static const uint8_t ELEMENT_BYTES[GGUF_TYPE_COUNT] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };

/* Types of ggml that have no row in `dtypes`. */
static const struct { uint32_t type; const char *name; } OTHER_TYPES[] = {
    { 9, "Q8_1" }, { 10, "Q2_K" }, { 11, "Q3_K" }, { 15, "Q8_K" }, { 16, "IQ2_XXS" }, { 17, "IQ2_XS" }, { 18, "IQ3_XXS" }, { 19, "IQ1_S" },
    { 20, "IQ4_NL" }, { 21, "IQ3_S" }, { 22, "IQ2_S" }, { 23, "IQ4_XS" }, { 29, "IQ1_M" }, { 34, "TQ1_0" }, { 35, "TQ2_0" }, { 39, "MXFP4" },
};

size_t gguf_element_bytes(enum gguf_type t) { return ELEMENT_BYTES[t]; }

struct reader { const uint8_t *data; size_t size, at; const char *what; sc_error *err; };

static sc_status read_bytes(struct reader *r, void *out, size_t n)
{
    if (r->size - r->at < n)
        return FAIL(r->err, SC_E_FORMAT, "%s is cut off: its header continues beyond the end of the file at byte %zu", r->what, r->size);
    memcpy(out, r->data + r->at, n);
    r->at += n;
    return SC_OK;
}

static sc_status read_u32(struct reader *r, uint32_t *out) { return read_bytes(r, out, sizeof *out); }
static sc_status read_u64(struct reader *r, uint64_t *out) { return read_bytes(r, out, sizeof *out); }

static sc_status read_string(struct reader *r, struct gguf_string *out)
{
    uint64_t len = 0;
    TRY(read_u64(r, &len));
    if (len > r->size - r->at || len > MAX_STRING)
        return FAIL(r->err, SC_E_FORMAT, "%s: a string at byte %zu claims %" PRIu64 " bytes, %zu are left in the file and %" PRIu64 " allowed",
                    r->what, r->at - 8, len, r->size - r->at, MAX_STRING);
    *out = (struct gguf_string) { (const char *)r->data + r->at, (size_t)len };
    r->at += len;
    return SC_OK;
}

/* A key or tensor name: UTF-8 without NUL, not empty. */
static sc_status read_name(struct reader *r, struct model_file *m, const char *kind, const char **out)
{
    struct gguf_string s;
    size_t at = r->at;
    char q[QUOTE];
    TRY(read_string(r, &s));
    if (s.len == 0) return FAIL(r->err, SC_E_FORMAT, "%s: a %s at byte %zu is empty", r->what, kind, at);
    if (memchr(s.text, 0, s.len) || !utf8_is_valid(s.text, s.len))
        return FAIL(r->err, SC_E_FORMAT, "%s: a %s at byte %zu is not clean UTF-8: \"%s\"", r->what, kind, at, error_quote(q, sizeof q, s.text, s.len < 40 ? s.len : 40));
    *out = name_keep(&m->private->names, s.text, s.len);
    return SC_OK;
}

static sc_status read_scalar(struct reader *r, struct gguf_value *v)
{
    uint8_t raw[8];
    TRY(read_bytes(r, raw, ELEMENT_BYTES[v->type]));
    struct gguf_value one = { .type = GGUF_ARRAY, .element = v->type, .count = 1, .raw = raw };
    switch (v->type) {
    case GGUF_F32: case GGUF_F64: v->v.f = gguf_array_real(&one, 0); break;
    case GGUF_BOOL:
        if (raw[0] > 1) return FAIL(r->err, SC_E_FORMAT, "%s: key \"%s\" is a truth value of %d, expected 0 or 1", r->what, v->key, raw[0]);
        v->v.b = raw[0];
        break;
    default: v->v.i = gguf_array_int(&one, 0); break;      /* u64 keeps its bits */
    }
    return SC_OK;
}

static sc_status read_array(struct reader *r, struct gguf_value *v)
{
    uint32_t element = 0;
    uint64_t count = 0;
    TRY(read_u32(r, &element));
    TRY(read_u64(r, &count));
    if (element >= GGUF_TYPE_COUNT || element == GGUF_ARRAY)
        return FAIL(r->err, SC_E_FORMAT, "%s: key \"%s\" is an array of type %" PRIu32 ", expected numbers or strings", r->what, v->key, element);
    size_t left = r->size - r->at, each = ELEMENT_BYTES[element] ? ELEMENT_BYTES[element] : 8;
    if (count > MAX_ELEMENTS || count > left / each)
        return FAIL(r->err, SC_E_FORMAT, "%s: key \"%s\" claims %" PRIu64 " elements, the file has room for %zu", r->what, v->key, count, left / each);
    v->element = (enum gguf_type)element;
    v->count = (size_t)count;
    v->raw = r->data + r->at;
    if (ELEMENT_BYTES[element]) { r->at += v->count * ELEMENT_BYTES[element]; return SC_OK; }
    v->strings = mem_alloc(v->count * sizeof *v->strings);
    for (size_t i = 0; i < v->count; i++) TRY(read_string(r, &v->strings[i]));
    return SC_OK;
}

static sc_status read_value(struct reader *r, struct model_file *m, struct gguf_value *v)
{
    uint32_t type = 0;
    TRY(read_name(r, m, "key", &v->key));
    TRY(read_u32(r, &type));
    if (type >= GGUF_TYPE_COUNT)
        return FAIL(r->err, SC_E_FORMAT, "%s: key \"%s\" has value type %" PRIu32 ", expected 0 to %d", r->what, v->key, type, GGUF_TYPE_COUNT - 1);
    v->type = (enum gguf_type)type;
    if (v->type == GGUF_ARRAY) return read_array(r, v);
    if (v->type == GGUF_STRING) return read_string(r, &v->v.s);
    return read_scalar(r, v);
}

static sc_status read_values(struct reader *r, struct model_file *m, uint64_t count)
{
    struct format_private *p = m->private;
    char q[QUOTE];
    m->values = mem_zero((size_t)count, sizeof *m->values);
    for (uint64_t i = 0; i < count; i++) {
        m->n_values = (size_t)i + 1;               /* so that close releases what a failure leaves behind */
        TRY(read_value(r, m, &m->values[i]));
    }
    p->by_key = mem_alloc(m->n_values * sizeof *p->by_key);
    for (size_t i = 0; i < m->n_values; i++) p->by_key[i] = (struct name_entry) { m->values[i].key, i };
    const char *twice = name_index_sort(p->by_key, m->n_values);
    if (twice) return FAIL(r->err, SC_E_FORMAT, "%s: the key \"%s\" occurs twice", r->what, error_quote(q, sizeof q, twice, strlen(twice)));
    return SC_OK;
}

static sc_status read_alignment(struct reader *r, struct model_file *m)
{
    const struct gguf_value *v = gguf_find(m, "general.alignment");
    m->alignment = 32;
    if (!v) return SC_OK;
    if (v->type != GGUF_U32) return FAIL(r->err, SC_E_FORMAT, "%s: general.alignment has value type %d, expected 4 (32-bit unsigned)", r->what, v->type);
    uint64_t a = v->v.u;
    if (a < 8 || a > 65536 || (a & (a - 1)))
        return FAIL(r->err, SC_E_FORMAT, "%s: general.alignment is %" PRIu64 ", expected a power of two from 8 to 65536", r->what, a);
    m->alignment = (size_t)a;
    return SC_OK;
}

static sc_status unknown_type(struct reader *r, const char *name, uint32_t type)
{
    char q[QUOTE];
    error_quote(q, sizeof q, name, strlen(name));
    for (size_t i = 0; i < sizeof OTHER_TYPES / sizeof OTHER_TYPES[0]; i++)
        if (OTHER_TYPES[i].type == type)
            return FAIL(r->err, SC_E_UNSUPPORTED, "%s: tensor \"%s\" is stored as %s, which is not supported; choose a file in Q4_0 to Q8_0, Q4_K to Q6_K, F16, BF16 or F32",
                        r->what, q, OTHER_TYPES[i].name);
    return FAIL(r->err, SC_E_UNSUPPORTED, "%s: tensor \"%s\" has storage type %" PRIu32 ", which is unknown here", r->what, q, type);
}

/* Size of the tensor from its dimensions, which the file lists fastest first. */
static sc_status read_shape(struct reader *r, struct file_tensor *t, const char *q)
{
    uint32_t n_dims = 0, type = 0;
    uint64_t dims[4] = { 0 }, product = 1;
    TRY(read_u32(r, &n_dims));
    if (n_dims > 4) return FAIL(r->err, SC_E_FORMAT, "%s: tensor \"%s\" has %" PRIu32 " dimensions, expected at most 4", r->what, q, n_dims);
    for (uint32_t i = 0; i < n_dims; i++) {
        TRY(read_u64(r, &dims[i]));
        if (dims[i] > INT64_MAX || __builtin_mul_overflow(product, dims[i] ? dims[i] : 1, &product) || product > INT64_MAX)
            return FAIL(r->err, SC_E_FORMAT, "%s: tensor \"%s\" has impossible dimensions (dimension %" PRIu32 " is %" PRIu64 ")", r->what, q, i, dims[i]);
        t->dims[n_dims - 1 - i] = dims[i];
    }
    t->n_dims = (int)n_dims;
    TRY(read_u32(r, &type));
    if (!dtype_by_gguf(&t->dtype, type)) return unknown_type(r, t->name, type);
    if (!tensor_bytes(&t->bytes, t->dtype, t->n_dims, t->dims))
        return FAIL(r->err, SC_E_FORMAT, "%s: tensor \"%s\" has rows of %" PRIu64 " elements, which %s cannot hold (blocks of %zu)",
                    r->what, q, n_dims ? dims[0] : 1, dtypes[t->dtype].name, dtypes[t->dtype].block);
    return SC_OK;
}

/* *next: where the tensor's data must begin, then where it ended, both relative to the data section. */
static sc_status read_tensor(struct reader *r, struct model_file *m, struct file_tensor *t, size_t *next)
{
    char q[QUOTE];
    uint64_t offset = 0;
    TRY(read_name(r, m, "tensor name", &t->name));
    error_quote(q, sizeof q, t->name, strlen(t->name));
    if (strlen(t->name) > MAX_NAME) return FAIL(r->err, SC_E_FORMAT, "%s: the tensor name \"%s\" has %zu bytes, at most %d are allowed", r->what, q, strlen(t->name), MAX_NAME);
    TRY(read_shape(r, t, q));
    TRY(read_u64(r, &offset));
    if (offset != *next)
        return FAIL(r->err, SC_E_FORMAT, "%s: the data of tensor \"%s\" is said to begin at offset %" PRIu64 ", expected %zu (tensors follow each other without overlap or hole)",
                    r->what, q, offset, *next);
    t->data = (const void *)(uintptr_t)*next;              /* becomes a pointer when the data section is known */
    size_t end;
    if (!size_add(*next, t->bytes, &end) || !size_add(end, m->alignment - 1, &end))
        return FAIL(r->err, SC_E_FORMAT, "%s: tensor \"%s\" of %zu bytes reaches beyond any file", r->what, q, t->bytes);
    *next = end & ~(m->alignment - 1);
    return SC_OK;
}

static sc_status place_tensors(struct reader *r, struct model_file *m, size_t data_bytes)
{
    size_t start;
    char q[QUOTE];
    if (!size_add(r->at, m->alignment - 1, &start)) start = r->size;
    start &= ~(m->alignment - 1);
    m->data_offset = start;
    if (m->n_tensors == 0) start = r->at;                  /* a vocabulary alone need not be padded */
    for (size_t i = 0; i < m->n_tensors; i++) {
        struct file_tensor *t = &m->tensors[i];
        size_t offset = (size_t)(uintptr_t)t->data, end;
        if (!size_add(start, offset, &end) || !size_add(end, t->bytes, &end) || end > r->size)
            return FAIL(r->err, SC_E_FORMAT, "%s is cut off: tensor \"%s\" needs bytes %zu to %zu, the file has %zu", r->what,
                        error_quote(q, sizeof q, t->name, strlen(t->name)), start + offset, start + offset + t->bytes, r->size);
        t->data = r->data + start + offset;
    }
    if (r->size - start > data_bytes && r->size - start - data_bytes >= m->alignment)
        return FAIL(r->err, SC_E_FORMAT, "%s: %zu bytes follow the last tensor and belong to nothing", r->what, r->size - start - data_bytes);
    return SC_OK;
}

static sc_status read_header(struct reader *r, uint64_t *n_tensors, uint64_t *n_values)
{
    char magic[4];
    uint32_t version = 0;
    TRY(read_bytes(r, magic, sizeof magic));
    if (memcmp(magic, "GGUF", 4) != 0) return FAIL(r->err, SC_E_FORMAT, "%s does not start with \"GGUF\"", r->what);
    TRY(read_u32(r, &version));
    if ((version & 0xffff) == 0 && version)
        return FAIL(r->err, SC_E_UNSUPPORTED, "%s is a big-endian GGUF file; convert it to little endian", r->what);
    if (version != 2 && version != 3) return FAIL(r->err, SC_E_UNSUPPORTED, "%s is GGUF version %" PRIu32 ", supported are 2 and 3", r->what, version);
    TRY(read_u64(r, n_tensors));
    TRY(read_u64(r, n_values));
    size_t left = r->size - r->at;
    if (*n_tensors > left / MIN_TENSOR_BYTES || *n_values > left / MIN_VALUE_BYTES)
        return FAIL(r->err, SC_E_FORMAT, "%s claims %" PRIu64 " tensors and %" PRIu64 " keys, more than its %zu bytes can hold", r->what, *n_tensors, *n_values, r->size);
    return SC_OK;
}

sc_status gguf_parse(struct model_file *m, const uint8_t *data, size_t size, const char *what, sc_error *err)
{
    struct reader r = { data, size, 0, what, err };
    uint64_t n_tensors = 0, n_values = 0;
    size_t next = 0;
    int64_t splits = 0;
    TRY(read_header(&r, &n_tensors, &n_values));
    TRY(read_values(&r, m, n_values));
    TRY(read_alignment(&r, m));
    TRY(gguf_opt_int(&splits, m, "split.count", 0, 0, UINT16_MAX, err));
    if (splits > 1)
        return FAIL(err, SC_E_UNSUPPORTED, "%s is one of %" PRId64 " parts of a split model; join them into one file first (llama-gguf-split --merge)", what, splits);
    m->tensors = mem_zero((size_t)n_tensors, sizeof *m->tensors);
    m->n_tensors = (size_t)n_tensors;
    for (size_t i = 0; i < m->n_tensors; i++) TRY(read_tensor(&r, m, &m->tensors[i], &next));
    TRY(place_tensors(&r, m, next));
    TRY(model_json_keys(m, err));
    struct gguf_string source;
    TRY(gguf_opt_string(&source, m, "tokenizer.chat_template", err));
    return source.text ? model_file_set_template(m, source.text, source.len, what, err) : SC_OK;
}
