/* arrow_values.c - a row of a batch as a JSON object: structs and maps become objects, lists arrays. Each value is checked
 * when it is read: offsets against what they lead into, text for UTF-8. Every call puts something out, so that the ceiling
 * of the record ends also what lists that lie about their length would make endless. */
#include "arrow_internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { VIEW_INLINE = 12, NEST_MAX = 2 * ARROW_DEPTH_MAX };

struct row_writer { struct buf *out; sc_error *err; };

static sc_status put_value(struct row_writer *w, const struct arrow_column *c, uint64_t i, int depth);

static sc_status value_failed(struct row_writer *w, const struct arrow_column *c, const char *format, ...) __attribute__((format(printf, 3, 4)));
static sc_status value_failed(struct row_writer *w, const struct arrow_column *c, const char *format, ...)
{
    char path[200], why[200];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    return FAIL(w->err, SC_E_FORMAT, "column %s: %s", arrow_field_path(path, sizeof path, c->field), why);
}

static bool bit(const uint8_t *bits, uint64_t i) { return bits[i / 8] >> (i % 8) & 1; }
static bool is_null(const struct arrow_column *c, uint64_t i) { return c->field->kind == ARROW_NULL || (c->valid.data && !bit(c->valid.data, i)); }
static const uint8_t *fixed(const struct arrow_column *c, uint64_t i) { return c->values.data + i * c->field->bytes; }

/* ---- numbers and times ----------------------------------------------------------------------------------------------------------- */

static sc_status put_null(struct row_writer *w, const struct arrow_column *c, uint64_t i, int depth)
{
    (void)c, (void)i, (void)depth;
    buf_puts(w->out, "null");
    return SC_OK;
}

static sc_status put_bool(struct row_writer *w, const struct arrow_column *c, uint64_t i, int depth)
{
    (void)depth;
    buf_puts(w->out, bit(c->values.data, i) ? "true" : "false");
    return SC_OK;
}

static sc_status put_int(struct row_writer *w, const struct arrow_column *c, uint64_t i, int depth)
{
    (void)depth;
    if (c->field->is_signed) buf_printf(w->out, "%lld", (long long)arrow_int(fixed(c, i), c->field->bytes));
    else buf_printf(w->out, "%llu", (unsigned long long)arrow_uint(fixed(c, i), c->field->bytes));
    return SC_OK;
}

static sc_status put_float(struct row_writer *w, const struct arrow_column *c, uint64_t i, int depth)
{
    (void)depth;
    arrow_put_float(w->out, fixed(c, i), c->field->bytes);
    return SC_OK;
}

static sc_status put_decimal(struct row_writer *w, const struct arrow_column *c, uint64_t i, int depth)
{
    (void)depth;
    arrow_put_decimal(w->out, fixed(c, i), c->field->bytes, c->field->digits);
    return SC_OK;
}

/* Days, or milliseconds in 8 bytes. */
static sc_status put_date(struct row_writer *w, const struct arrow_column *c, uint64_t i, int depth)
{
    static const int64_t day = 86400000;
    int64_t value = arrow_int(fixed(c, i), c->field->bytes);
    (void)depth;
    arrow_put_date(w->out, c->field->bytes == 4 ? value : value / day - (value % day < 0));
    return SC_OK;
}

static sc_status put_time(struct row_writer *w, const struct arrow_column *c, uint64_t i, int depth)
{
    int64_t value = arrow_int(fixed(c, i), c->field->bytes);
    (void)depth;
    return arrow_put_time(w->out, value, c->field->digits) ? SC_OK : value_failed(w, c, "the time of day %lld is not within 24 hours", (long long)value);
}

static sc_status put_timestamp(struct row_writer *w, const struct arrow_column *c, uint64_t i, int depth)
{
    (void)depth;
    arrow_put_timestamp(w->out, arrow_int(fixed(c, i), c->field->bytes), c->field->digits, c->field->has_zone);
    return SC_OK;
}

/* ---- text ------------------------------------------------------------------------------------------------------------------------ */

/* Binary columns too: data sets keep text in them. */
static sc_status put_text(struct row_writer *w, const struct arrow_column *c, const uint8_t *text, uint64_t len)
{
    const char *s = (const char *)text;
    if (len > RECORD_MAX) { w->out->is_full = true; return SC_OK; }
    if (!utf8_is_valid(s, (size_t)len)) {
        size_t at = 0;
        uint32_t unused;
        for (int n; at < len && (n = utf8_next(s + at, (size_t)len - at, &unused)) > 0;) at += (size_t)n;
        return value_failed(w, c, "the value is no UTF-8 (byte 0x%02X), expected text; %s", text[at], c->field->is_text ? "the file is damaged" : "leave the column out if it holds no text");
    }
    buf_put_json_string(w->out, s, (size_t)len);
    return SC_OK;
}

static sc_status put_fixed_bytes(struct row_writer *w, const struct arrow_column *c, uint64_t i, int depth)
{
    (void)depth;
    return put_text(w, c, fixed(c, i), c->field->bytes);
}

/* Offsets i and i + 1, in order and at most `limit`. */
static sc_status range_read(struct row_writer *w, const struct arrow_column *c, uint64_t i, uint64_t limit, uint64_t *begin, uint64_t *end)
{
    *begin = (uint64_t)arrow_int(fixed(c, i), c->field->bytes);              /* below 0 becomes too large */
    *end = (uint64_t)arrow_int(fixed(c, i + 1), c->field->bytes);
    if (*begin <= *end && *end <= limit) return SC_OK;
    return value_failed(w, c, "the value reaches from %lld to %lld, expected a range within 0 and %llu; the file is damaged", (long long)*begin, (long long)*end, (unsigned long long)limit);
}

static sc_status put_bytes(struct row_writer *w, const struct arrow_column *c, uint64_t i, int depth)
{
    uint64_t begin, end;
    (void)depth;
    TRY(range_read(w, c, i, c->bytes.len, &begin, &end));
    return put_text(w, c, c->bytes.data + begin, end - begin);
}

/* Short text stands in the view itself; of longer text it holds 4 bytes, the buffer and the place. */
static sc_status put_view(struct row_writer *w, const struct arrow_column *c, uint64_t i, int depth)
{
    const uint8_t *view = fixed(c, i);
    int64_t len = arrow_int(view, 4), buffer = arrow_int(view + 8, 4), at = arrow_int(view + 12, 4);
    (void)depth;
    if (len < 0) return value_failed(w, c, "the value has length %lld; the file is damaged", (long long)len);
    if (len <= VIEW_INLINE) return put_text(w, c, view + 4, (uint64_t)len);
    if (buffer < 0 || (uint64_t)buffer >= c->n_buffers) return value_failed(w, c, "the value stands in buffer %lld of %zu; the file is damaged", (long long)buffer, c->n_buffers);
    const struct arrow_span *in = &c->buffer[buffer];
    if (at < 0 || (uint64_t)at > in->len || (uint64_t)len > in->len - (uint64_t)at)
        return value_failed(w, c, "the value stands at byte %lld with length %lld, expected within %zu bytes; the file is damaged", (long long)at, (long long)len, in->len);
    return put_text(w, c, in->data + at, (uint64_t)len);
}

/* ---- lists, structs, maps -------------------------------------------------------------------------------------------------------- */

static sc_status put_elements(struct row_writer *w, const struct arrow_column *elements, uint64_t begin, uint64_t end, int depth)
{
    buf_putc(w->out, '[');
    for (uint64_t i = begin; i < end && !w->out->is_full; i++) {
        if (i > begin) buf_putc(w->out, ',');
        TRY(put_value(w, elements, i, depth));
    }
    buf_putc(w->out, ']');
    return SC_OK;
}

static sc_status put_list(struct row_writer *w, const struct arrow_column *c, uint64_t i, int depth)
{
    uint64_t begin, end;
    TRY(range_read(w, c, i, c->child[0].n, &begin, &end));
    return put_elements(w, &c->child[0], begin, end, depth);
}

static sc_status put_fixed_list(struct row_writer *w, const struct arrow_column *c, uint64_t i, int depth)
{
    return put_elements(w, &c->child[0], i * c->field->list_length, (i + 1) * c->field->list_length, depth);
}

static sc_status put_struct(struct row_writer *w, const struct arrow_column *c, uint64_t i, int depth)
{
    buf_putc(w->out, '{');
    for (size_t k = 0; k < c->field->n_children; k++) {
        const struct arrow_field *f = &c->field->child[k];
        if (k) buf_putc(w->out, ',');
        buf_append(w->out, f->key, f->key_len);
        TRY(put_value(w, &c->child[k], i, depth));
    }
    buf_putc(w->out, '}');
    return SC_OK;
}

/* A key that is no text becomes one. */
static sc_status put_key(struct row_writer *w, const struct arrow_column *keys, uint64_t i, int depth)
{
    enum arrow_kind kind = keys->field->kind;
    bool has_quotes = kind == ARROW_BYTES || kind == ARROW_VIEW || kind == ARROW_FIXED_BYTES || kind == ARROW_DATE || kind == ARROW_TIME || kind == ARROW_TIMESTAMP;
    if (!has_quotes) buf_putc(w->out, '"');
    size_t begin = w->out->len;
    TRY(put_value(w, keys, i, depth));
    if (!w->out->is_full && w->out->data[begin] == 'n') return value_failed(w, keys, "a key of the map is null, expected a value");
    buf_puts(w->out, has_quotes ? ":" : "\":");
    return SC_OK;
}

static sc_status put_map(struct row_writer *w, const struct arrow_column *c, uint64_t i, int depth)
{
    const struct arrow_column *entries = &c->child[0];
    uint64_t begin, end;
    TRY(range_read(w, c, i, entries->n, &begin, &end));
    buf_putc(w->out, '{');
    for (uint64_t k = begin; k < end && !w->out->is_full; k++) {
        if (k > begin) buf_putc(w->out, ',');
        TRY(put_key(w, &entries->child[0], k, depth));
        TRY(put_value(w, &entries->child[1], k, depth));
    }
    buf_putc(w->out, '}');
    return SC_OK;
}

/* ---- any value ------------------------------------------------------------------------------------------------------------------- */

static sc_status (*const put[ARROW_KINDS])(struct row_writer *, const struct arrow_column *, uint64_t, int) = {
    [ARROW_NULL] = put_null, [ARROW_BOOL] = put_bool, [ARROW_INT] = put_int, [ARROW_FLOAT] = put_float, [ARROW_DECIMAL] = put_decimal, [ARROW_DATE] = put_date, [ARROW_TIME] = put_time,
    [ARROW_TIMESTAMP] = put_timestamp, [ARROW_BYTES] = put_bytes, [ARROW_VIEW] = put_view, [ARROW_FIXED_BYTES] = put_fixed_bytes, [ARROW_LIST] = put_list, [ARROW_FIXED_LIST] = put_fixed_list,
    [ARROW_STRUCT] = put_struct, [ARROW_MAP] = put_map };

/* The value that index i leads to. */
static sc_status put_indexed(struct row_writer *w, const struct arrow_column *c, uint64_t i, int depth)
{
    const struct arrow_field *f = c->field;
    const struct arrow_dictionary *d = f->dictionary;
    const uint8_t *at = c->values.data + i * f->index_bytes;
    uint64_t index = f->index_is_signed ? (uint64_t)arrow_int(at, f->index_bytes) : arrow_uint(at, f->index_bytes);
    if (index >= d->n) return value_failed(w, c, "the value has index %lld, but its dictionary has %llu values so far; the file is damaged", (long long)index, (unsigned long long)d->n);
    size_t low = 0, high = d->n_parts;
    while (high - low > 1) {                              /* the last part that begins at or before it */
        size_t middle = low + (high - low) / 2;
        if (d->part[middle].begin <= index) low = middle;
        else high = middle;
    }
    return put_value(w, &d->part[low].batch->column, index - d->part[low].begin, depth);
}

/* Deeper than the schema it goes only where a dictionary holds indices into itself. */
static sc_status put_value(struct row_writer *w, const struct arrow_column *c, uint64_t i, int depth)
{
    assert(i < c->n);
    if (depth > NEST_MAX) return value_failed(w, c, "the values of its dictionary lead to each other without end; the file is damaged");
    if (w->out->is_full) return SC_OK;
    if (is_null(c, i)) return put_null(w, c, i, depth);
    return c->is_index ? put_indexed(w, c, i, depth + 1) : put[c->field->kind](w, c, i, depth + 1);
}

sc_status arrow_row_put(struct buf *out, const struct arrow_column *row, uint64_t i, sc_error *err)
{
    struct row_writer w = { out, err };
    return put_struct(&w, row, i, 0);
}
