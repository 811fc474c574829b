/* arrow_batch.c - where the columns of a batch lie in its body. A batch names the lengths of all columns and the places of
 * all buffers, in the order of the schema with each column before those inside of it; how many buffers a column has follows
 * from its kind. Buffers may be packed one by one, by LZ4 frames or zstd. */
#include "arrow_internal.h"

#include <lz4frame.h>
#include <stdio.h>
#include <string.h>
#include <zstd.h>

/* Message.fbs: numbers of fields in their tables, and the shape of the structs in its lists. */
enum { BATCH_LENGTH = 0, BATCH_NODES = 1, BATCH_BUFFERS = 2, BATCH_COMPRESSION = 3, BATCH_VIEW_COUNTS = 4 };
enum { NODE_BYTES = 16, NODE_LENGTH = 0, NODE_NULLS = 8, BUFFER_BYTES = 16, BUFFER_OFFSET = 0, BUFFER_LENGTH = 8 };
enum codec { CODEC_LZ4 = 0, CODEC_ZSTD = 1, CODEC_NONE = -1 };
enum { REGION_SMALL = 1 << 16, PACKED_HEAD = 8 };

/* ---- memory ------------------------------------------------------------------------------------------------------------------ */

void arrow_region_release(struct arrow_region *r)
{
    if (r->is_mapped) mem_unreserve(r->data, r->cap);
    else mem_free(r->data);
    *r = (struct arrow_region) { 0 };
}

sc_status arrow_region_take(struct arrow_region *r, size_t bytes, const char *what, sc_error *err)
{
    bool is_small = bytes <= REGION_SMALL;
    if (is_small || !r->is_mapped || bytes > r->cap) arrow_region_release(r);
    if (is_small) *r = (struct arrow_region) { .data = mem_alloc(bytes ? bytes : 1), .cap = bytes };
    else if (!r->data) {
        void *data;
        TRY(mem_reserve(&data, bytes, what, err));
        *r = (struct arrow_region) { .data = data, .cap = bytes, .is_mapped = true };
    }
    r->len = bytes;
    return SC_OK;
}

void arrow_batch_release(struct arrow_batch *b)
{
    arena_release(&b->memory);
    arrow_region_release(&b->body);
    arrow_region_release(&b->unpacked);
    *b = (struct arrow_batch) { 0 };
}

/* ---- buffers ----------------------------------------------------------------------------------------------------------------- */

/* A cursor over the lists of a batch. */
struct batch_scan {
    struct arrow_batch *batch;
    struct flat_vector nodes, buffers, view_counts;
    size_t node, buffer, view_count;   /* the next of each */
    size_t unpacked;                   /* bytes used */
    uint64_t bytes;                    /* of all buffers so far */
    enum codec codec;
    LZ4F_dctx *lz4;
};

static const char *const codec_names[] = { [CODEC_LZ4] = "LZ4", [CODEC_ZSTD] = "zstd" };

static sc_status batch_failed(const char *why, sc_error *err) { return FAIL(err, SC_E_FORMAT, "%s; the file is damaged", why); }

/* Buffer i as it is stored. */
static sc_status stored_buffer(const struct batch_scan *s, size_t i, struct arrow_span *out, sc_error *err)
{
    uint64_t offset = (uint64_t)flat_element_int(&s->buffers, i, BUFFER_OFFSET, 8), length = (uint64_t)flat_element_int(&s->buffers, i, BUFFER_LENGTH, 8);
    size_t body = s->batch->body.len;
    if (offset > body || length > body - offset)
        return FAIL(err, SC_E_FORMAT, "buffer %zu lies at byte %llu with length %llu, expected within the %zu bytes of the batch; the file is damaged", i, (unsigned long long)offset, (unsigned long long)length, body);
    *out = (struct arrow_span) { s->batch->body.data + offset, (size_t)length };
    return SC_OK;
}

/* Before a packed buffer stands how long it is unpacked; -1: it is not packed. */
static sc_status unpacked_length(const struct arrow_span *stored, size_t *length, bool *is_packed, sc_error *err)
{
    *length = 0;
    *is_packed = false;
    if (!stored->len) return SC_OK;
    if (stored->len < PACKED_HEAD) return batch_failed("a packed buffer is shorter than the 8 bytes of its length", err);
    int64_t said = arrow_int(stored->data, PACKED_HEAD);
    *is_packed = said != -1;
    if (said < -1 || said > ARROW_BATCH_MAX) return FAIL(err, SC_E_FORMAT, "a packed buffer says it has %lld bytes, expected at most %d MiB", (long long)said, ARROW_BATCH_MAX >> 20);
    *length = *is_packed ? (size_t)said : stored->len - PACKED_HEAD;
    return SC_OK;
}

static bool unpack_lz4(struct batch_scan *s, uint8_t *out, size_t out_len, const uint8_t *in, size_t in_len)
{
    size_t taken = 0, given = 0, left = 1;
    if (!s->lz4 && LZ4F_isError(LZ4F_createDecompressionContext(&s->lz4, LZ4F_VERSION))) return false;
    LZ4F_resetDecompressionContext(s->lz4);
    while (left) {
        size_t n_in = in_len - taken, n_out = out_len - given;
        left = LZ4F_decompress(s->lz4, out + given, &n_out, in + taken, &n_in, NULL);
        if (LZ4F_isError(left) || (left && !n_in && !n_out)) return false;
        taken += n_in;
        given += n_out;
    }
    return given == out_len && taken == in_len;
}

static bool unpack(struct batch_scan *s, uint8_t *out, size_t out_len, const uint8_t *in, size_t in_len)
{
    return s->codec == CODEC_LZ4 ? unpack_lz4(s, out, out_len, in, in_len) : ZSTD_decompress(out, out_len, in, in_len) == out_len;
}

/* Memory for all buffers of the batch: untouched until something is unpacked, so that a length that lies costs nothing. */
static sc_status unpack_begin(struct batch_scan *s, sc_error *err)
{
    uint64_t total = 0;
    for (size_t i = 0; i < s->buffers.n; i++) {
        struct arrow_span stored;
        size_t length;
        bool is_packed;
        TRY(stored_buffer(s, i, &stored, err));
        TRY(unpacked_length(&stored, &length, &is_packed, err));
        total += is_packed ? length : 0;
    }
    if (total > ARROW_BATCH_MAX)
        return FAIL(err, SC_E_FORMAT, "it has %llu MiB unpacked, more than the %d MiB that a batch may have; write the file with smaller batches", (unsigned long long)total >> 20, ARROW_BATCH_MAX >> 20);
    return arrow_region_take(&s->batch->unpacked, (size_t)total, "a batch of rows", err);
}

/* The next buffer, with at least `need` bytes. */
static sc_status buffer_take(struct batch_scan *s, const struct arrow_field *f, uint64_t need, struct arrow_span *out, sc_error *err)
{
    char path[200];
    bool is_packed = false;
    size_t length;
    if (s->buffer == s->buffers.n) return batch_failed("it has fewer buffers than its columns need", err);
    TRY(stored_buffer(s, s->buffer, out, err));
    if (s->codec != CODEC_NONE) TRY(unpacked_length(out, &length, &is_packed, err));
    if (is_packed) {
        uint8_t *to = s->batch->unpacked.data + s->unpacked;
        if (!unpack(s, to, length, out->data + PACKED_HEAD, out->len - PACKED_HEAD))
            return FAIL(err, SC_E_FORMAT, "column %s: buffer %zu is no %s data of %zu bytes; the file is damaged", arrow_field_path(path, sizeof path, f), s->buffer, codec_names[s->codec], length);
        s->unpacked += length;
        *out = (struct arrow_span) { to, length };
    } else if (s->codec != CODEC_NONE && out->len) *out = (struct arrow_span) { out->data + PACKED_HEAD, length };
    if (out->len < need)
        return FAIL(err, SC_E_FORMAT, "column %s: buffer %zu has %zu bytes, expected at least %llu; the file is damaged", arrow_field_path(path, sizeof path, f), s->buffer, out->len, (unsigned long long)need);
    s->buffer++;
    s->bytes += out->len;
    return SC_OK;
}

/* ---- columns ----------------------------------------------------------------------------------------------------------------- */

enum layout { LAYOUT_NOTHING, LAYOUT_VALID, LAYOUT_BITS, LAYOUT_VALUES, LAYOUT_OFFSETS, LAYOUT_BYTES, LAYOUT_VIEWS };
static const enum layout layouts[ARROW_KINDS] = {
    [ARROW_NULL] = LAYOUT_NOTHING, [ARROW_BOOL] = LAYOUT_BITS, [ARROW_INT] = LAYOUT_VALUES, [ARROW_FLOAT] = LAYOUT_VALUES, [ARROW_DECIMAL] = LAYOUT_VALUES, [ARROW_DATE] = LAYOUT_VALUES,
    [ARROW_TIME] = LAYOUT_VALUES, [ARROW_TIMESTAMP] = LAYOUT_VALUES, [ARROW_BYTES] = LAYOUT_BYTES, [ARROW_VIEW] = LAYOUT_VIEWS, [ARROW_FIXED_BYTES] = LAYOUT_VALUES, [ARROW_LIST] = LAYOUT_OFFSETS,
    [ARROW_FIXED_LIST] = LAYOUT_VALID, [ARROW_STRUCT] = LAYOUT_VALID, [ARROW_MAP] = LAYOUT_OFFSETS };

static sc_status view_buffers(struct batch_scan *s, struct arrow_column *c, sc_error *err)
{
    if (s->view_count == s->view_counts.n) return batch_failed("it does not say how many buffers a column of views has", err);
    int64_t n = flat_element_int(&s->view_counts, s->view_count++, 0, 8);
    if (n < 0 || (uint64_t)n > s->buffers.n - s->buffer) return batch_failed("a column of views has more buffers than there are", err);
    c->n_buffers = (size_t)n;
    c->buffer = arena_zero(&s->batch->memory, (c->n_buffers + 1) * sizeof *c->buffer);
    for (size_t i = 0; i < c->n_buffers; i++) TRY(buffer_take(s, c->field, 0, &c->buffer[i], err));
    return SC_OK;
}

static sc_status buffers_read(struct batch_scan *s, struct arrow_column *c, uint64_t n_nulls, sc_error *err)
{
    const struct arrow_field *f = c->field;
    enum layout layout = c->is_index ? LAYOUT_VALUES : layouts[f->kind];
    uint64_t bits = (c->n + 7) / 8, width = c->is_index ? f->index_bytes : f->bytes;
    if (layout == LAYOUT_NOTHING) return SC_OK;
    TRY(buffer_take(s, f, n_nulls ? bits : 0, &c->valid, err));
    if (!n_nulls) c->valid.data = NULL;
    if (layout == LAYOUT_BITS) return buffer_take(s, f, bits, &c->values, err);
    if (layout == LAYOUT_VALUES) return buffer_take(s, f, c->n * width, &c->values, err);
    if (layout == LAYOUT_OFFSETS || layout == LAYOUT_BYTES) TRY(buffer_take(s, f, c->n ? (c->n + 1) * width : 0, &c->values, err));
    if (layout == LAYOUT_BYTES) return buffer_take(s, f, 0, &c->bytes, err);
    if (layout != LAYOUT_VIEWS) return SC_OK;
    TRY(buffer_take(s, f, c->n * width, &c->values, err));
    return view_buffers(s, c, err);
}

static sc_status column_read(struct batch_scan *s, const struct arrow_field *f, bool is_index, uint64_t need, struct arrow_column *c, sc_error *err);

/* The columns inside of `c`, each with as many values as those of `c` need. */
static sc_status children_read(struct batch_scan *s, struct arrow_column *c, sc_error *err)
{
    const struct arrow_field *f = c->field;
    uint64_t need = 0;
    if (f->kind == ARROW_STRUCT) need = c->n;
    if (f->kind == ARROW_FIXED_LIST && (__builtin_mul_overflow(c->n, f->list_length, &need) || need > ARROW_LENGTH_MAX)) return batch_failed("a column of lists is longer than any can be", err);
    c->child = arena_zero(&s->batch->memory, (f->n_children + 1) * sizeof *c->child);
    for (size_t i = 0; i < f->n_children; i++) TRY(column_read(s, &f->child[i], f->child[i].dictionary != NULL, need, &c->child[i], err));
    return SC_OK;
}

static sc_status column_read(struct batch_scan *s, const struct arrow_field *f, bool is_index, uint64_t need, struct arrow_column *c, sc_error *err)
{
    char path[200];
    if (s->node == s->nodes.n) return batch_failed("it has fewer columns than the schema", err);
    uint64_t n = (uint64_t)flat_element_int(&s->nodes, s->node, NODE_LENGTH, 8), n_nulls = (uint64_t)flat_element_int(&s->nodes, s->node, NODE_NULLS, 8);
    s->node++;
    if (n < need || n > ARROW_LENGTH_MAX || n_nulls > n)
        return FAIL(err, SC_E_FORMAT, "column %s has %lld values and %lld nulls, expected %llu values or more; the file is damaged", arrow_field_path(path, sizeof path, f), (long long)n, (long long)n_nulls,
                    (unsigned long long)need);
    *c = (struct arrow_column) { .field = f, .is_index = is_index, .n = n };
    TRY(buffers_read(s, c, n_nulls, err));
    return is_index ? SC_OK : children_read(s, c, err);
}

/* ---- a batch ----------------------------------------------------------------------------------------------------------------- */

static sc_status scan_begin(struct batch_scan *s, struct arrow_batch *b, const struct flat_table *t, sc_error *err)
{
    struct flat_table compression = flat_child(t, BATCH_COMPRESSION);
    *s = (struct batch_scan) { .batch = b, .nodes = flat_list(t, BATCH_NODES, NODE_BYTES), .buffers = flat_list(t, BATCH_BUFFERS, BUFFER_BYTES), .view_counts = flat_list(t, BATCH_VIEW_COUNTS, 8), .codec = CODEC_NONE };
    int64_t codec = flat_int(&compression, 0, 1, CODEC_LZ4), method = flat_int(&compression, 1, 1, 0), n = flat_int(t, BATCH_LENGTH, 8, 0);
    if (t->in->is_broken || !t->at) return batch_failed("its table leads beyond its end", err);
    if (compression.at && (method != 0 || (codec != CODEC_LZ4 && codec != CODEC_ZSTD))) return FAIL(err, SC_E_FORMAT, "it is packed by codec %lld and method %lld, expected LZ4 (codec 0) or zstd (1) and method 0; write the file with one of them", (long long)codec, (long long)method);
    if (n < 0 || (uint64_t)n > ARROW_LENGTH_MAX) return FAIL(err, SC_E_FORMAT, "it says it has %lld rows; the file is damaged", (long long)n);
    b->n = (uint64_t)n;
    if (!compression.at) return SC_OK;
    s->codec = (enum codec)codec;
    return unpack_begin(s, err);
}

static sc_status root_read(struct batch_scan *s, const struct arrow_field *field, sc_error *err)
{
    struct arrow_batch *b = s->batch;
    b->column = (struct arrow_column) { .field = field, .n = b->n };
    if (field->parent) TRY(column_read(s, field, false, b->n, &b->column, err));
    else TRY(children_read(s, &b->column, err));
    if (s->node != s->nodes.n || s->buffer != s->buffers.n) return batch_failed("it has more columns or buffers than the schema", err);
    /* Rows take a bit at least, save in columns of nulls: a number of rows far beyond is none to believe. */
    if (b->n > (1 << 16) + 8 * s->bytes) return FAIL(err, SC_E_FORMAT, "it says it has %llu rows, more than its %llu bytes can hold; the file is damaged", (unsigned long long)b->n, (unsigned long long)s->bytes);
    return SC_OK;
}

sc_status arrow_batch_read(struct arrow_batch *b, const struct arrow_field *field, const struct flat_table *record_batch, sc_error *err)
{
    struct batch_scan s;
    arena_rewind(&b->memory, (struct arena_mark) { 0 });
    b->n = 0;
    sc_status status = scan_begin(&s, b, record_batch, err);
    if (status == SC_OK) status = root_read(&s, field, err);
    LZ4F_freeDecompressionContext(s.lz4);
    return status;
}

/* ---- dictionaries ------------------------------------------------------------------------------------------------------------ */

void arrow_dictionary_add(struct arrow_dictionary *d, struct arrow_batch *batch, bool is_delta)
{
    for (size_t i = 0; i < d->n_parts && !is_delta; i++) {
        arrow_batch_release(d->part[i].batch);
        mem_free(d->part[i].batch);
    }
    if (!is_delta) d->n_parts = d->n = 0;
    if (!batch) return;
    if (d->n_parts == d->cap) d->part = mem_grow(d->part, (d->cap = 2 * d->cap + 4) * sizeof *d->part);
    d->part[d->n_parts++] = (struct arrow_part) { batch, d->n };
    d->n += batch->n;
}
