/* arrow.c - Arrow IPC files as records: the streaming format, which Hugging Face's datasets writes, and the random-access
 * format, which is a stream between two marks with a table of contents behind it. Both are read from front to back, one batch
 * in memory at a time, so a torn file gives all rows before the tear, and a packed file needs no place to be unpacked to.
 * A batch that is damaged inside is left out; where the lengths of the stream itself are wrong, reading ends. */
#include "arrow_internal.h"

#include <string.h>

/* Message.fbs and File.fbs: numbers of fields in their tables, kinds of messages, versions. */
enum { MESSAGE_VERSION = 0, MESSAGE_KIND = 1, MESSAGE_HEADER = 2, MESSAGE_BODY_BYTES = 3 };
enum { DICTIONARY_ID = 0, DICTIONARY_DATA = 1, DICTIONARY_IS_DELTA = 2 };
enum { FOOTER_DICTIONARIES = 2, FOOTER_BATCHES = 3, BLOCK_BYTES = 24 };
enum message_kind { MESSAGE_NONE, MESSAGE_SCHEMA, MESSAGE_DICTIONARY, MESSAGE_BATCH };
enum { VERSION_4 = 3, VERSION_5 = 4, TAIL_BYTES = 10 };
static const char MARK[] = "ARROW1";

struct arrow_source {
    struct record_source base;
    struct byte_source *bytes;
    struct arrow_schema schema;
    struct arrow_batch batch;
    struct arrow_region metadata;
    struct flat flat;                                     /* over `metadata` */
    bool is_begun, is_end, is_file;                       /* `is_file`: the random-access format */
    uint64_t n_batches, n_dictionaries, dictionary_bytes;
    uint64_t at, first_row;                               /* row of the batch; rows before it */
    struct buf row;
};

/* ---- bytes ------------------------------------------------------------------------------------------------------------------- */

/* Up to `len` bytes; fewer only at the end. */
static sc_status bytes_take(struct arrow_source *s, void *out, size_t len, size_t *taken, sc_error *err)
{
    size_t n = 1;
    for (*taken = 0; *taken < len && n; *taken += n) TRY(byte_source_read(s->bytes, (uint8_t *)out + *taken, len - *taken, &n, err));
    return SC_OK;
}

static sc_status cut_off(size_t found, uint64_t expected, const char *of, sc_error *err)
{
    return FAIL(err, SC_E_FORMAT, "the file ends in the middle: %zu bytes of the %llu of %s are there; it is cut off, so write or fetch it again", found, (unsigned long long)expected, of);
}

static sc_status bytes_need(struct arrow_source *s, void *out, size_t len, const char *of, sc_error *err)
{
    size_t n;
    TRY(bytes_take(s, out, len, &n, err));
    return n == len ? SC_OK : cut_off(n, len, of, err);
}

static sc_status region_fill(struct arrow_source *s, struct arrow_region *r, size_t len, const char *of, sc_error *err)
{
    TRY(arrow_region_take(r, len, of, err));
    return bytes_need(s, r->data, len, of, err);
}

/* ---- messages ---------------------------------------------------------------------------------------------------------------- */

/* *length 0: the end of the stream. Before format version 5 the mark in front of the length was missing. */
static sc_status length_read(struct arrow_source *s, int64_t *length, sc_error *err)
{
    uint8_t word[4];
    size_t n;
    TRY(bytes_take(s, word, sizeof word, &n, err));
    if (!n) return FAIL(err, SC_E_FORMAT, "the file ends without the end mark of the stream; it is cut off, or its writer was not closed, so write or fetch it again");
    if (n < sizeof word) return cut_off(n, sizeof word, "the length of a message", err);
    *length = arrow_int(word, sizeof word);
    if (*length != -1) return SC_OK;
    TRY(bytes_need(s, word, sizeof word, "the length of a message", err));
    *length = arrow_int(word, sizeof word);
    return SC_OK;
}

/* The next message, without its body. */
static sc_status message_read(struct arrow_source *s, struct flat_table *message, bool *is_end, sc_error *err)
{
    int64_t length = 0;
    TRY(length_read(s, &length, err));
    *is_end = length == 0;
    if (*is_end) return SC_OK;
    if (length < 8 || length > ARROW_METADATA_MAX) return FAIL(err, SC_E_FORMAT, "the length of a message is %lld, expected 8 to %d; the file is damaged or no Arrow file", (long long)length, ARROW_METADATA_MAX);
    TRY(region_fill(s, &s->metadata, (size_t)length, "a message", err));
    s->flat = (struct flat) { s->metadata.data, s->metadata.len, false };
    *message = flat_root(&s->flat);
    int64_t version = flat_int(message, MESSAGE_VERSION, 2, 0);
    if (s->flat.is_broken) return FAIL(err, SC_E_FORMAT, "the table of a message leads beyond its end; the file is damaged or no Arrow file");
    if (version != VERSION_4 && version != VERSION_5) return FAIL(err, SC_E_FORMAT, "a message has format version %lld, expected V4 or V5; write the file with a newer program", (long long)version + 1);
    return SC_OK;
}

static sc_status body_read(struct arrow_source *s, struct arrow_region *body, const struct flat_table *message, sc_error *err)
{
    int64_t length = flat_int(message, MESSAGE_BODY_BYTES, 8, 0);
    if (length < 0) return FAIL(err, SC_E_FORMAT, "its body has %lld bytes; the file is damaged", (long long)length);
    if (length > ARROW_BATCH_MAX)
        return FAIL(err, SC_E_FORMAT, "it has %lld MiB, more than the %d MiB that a batch may have; write the file with smaller batches", (long long)length >> 20, ARROW_BATCH_MAX >> 20);
    return region_fill(s, body, (size_t)length, "the body of a batch", err);
}

/* ---- the schema -------------------------------------------------------------------------------------------------------------- */

/* The mark of the random-access format is 6 bytes and 2 to fill up. */
static sc_status mark_read(struct arrow_source *s, sc_error *err)
{
    char first[8];
    TRY(bytes_need(s, first, sizeof first, "the mark ARROW1", err));
    return memcmp(first, MARK, strlen(MARK)) == 0 ? SC_OK : FAIL(err, SC_E_FORMAT, "the file does not begin with ARROW1");
}

static sc_status schema_read(struct arrow_source *s, sc_error *err)
{
    struct flat_table message;
    bool is_end = false;
    s->is_begun = true;
    s->is_end = true;                                     /* until all went well */
    if (s->is_file) TRY(mark_read(s, err));
    TRY(message_read(s, &message, &is_end, err));
    if (is_end || (flat_int(&message, MESSAGE_KIND, 1, 0) != MESSAGE_SCHEMA)) return FAIL(err, SC_E_FORMAT, "the file does not begin with a schema, expected an Arrow stream or file");
    struct flat_table schema = flat_child(&message, MESSAGE_HEADER);
    sc_status status = arrow_schema_read(&s->schema, &schema, err);
    if (status != SC_OK) return error_prefix(err, status, "the schema");
    s->is_end = false;
    return SC_OK;
}

/* ---- batches ----------------------------------------------------------------------------------------------------------------- */

static struct arrow_dictionary *dictionary_with(struct arrow_source *s, int64_t id)
{
    struct arrow_dictionary *d = s->schema.dictionaries;
    while (d && d->id != id) d = d->next;
    return d;
}

/* Rows behind a dictionary that could not be read would lack its values, so it ends the reading. */
static sc_status dictionary_read(struct arrow_source *s, const struct flat_table *message, sc_error *err)
{
    struct flat_table header = flat_child(message, MESSAGE_HEADER), data = flat_child(&header, DICTIONARY_DATA);
    struct arrow_dictionary *d = dictionary_with(s, flat_int(&header, DICTIONARY_ID, 8, 0));
    struct arrow_batch *batch = mem_zero(1, sizeof *batch);
    bool is_delta = flat_int(&header, DICTIONARY_IS_DELTA, 1, 0) != 0;
    sc_status status = d ? body_read(s, &batch->body, message, err) : FAIL(err, SC_E_FORMAT, "it is of no column of the schema; the file is damaged");
    if (status == SC_OK) status = arrow_batch_read(batch, d->field, &data, err);
    s->dictionary_bytes += batch->body.len + batch->unpacked.len;
    if (status == SC_OK && s->dictionary_bytes > ARROW_BATCH_MAX) status = FAIL(err, SC_E_FORMAT, "all dictionaries together have more than the %d MiB they may have", ARROW_BATCH_MAX >> 20);
    s->n_dictionaries++;
    if (status == SC_OK) { arrow_dictionary_add(d, batch, is_delta); return SC_OK; }
    arrow_batch_release(batch);
    mem_free(batch);
    s->is_end = true;
    return error_prefix(err, status, "dictionary %llu", (unsigned long long)s->n_dictionaries);
}

static sc_status rows_read(struct arrow_source *s, const struct flat_table *message, sc_error *err)
{
    struct flat_table header = flat_child(message, MESSAGE_HEADER);
    s->first_row += s->batch.n;
    s->batch.n = s->at = 0;
    s->n_batches++;
    sc_status status = body_read(s, &s->batch.body, message, err);
    s->is_end = status != SC_OK;
    if (status == SC_OK) status = arrow_batch_read(&s->batch, &s->schema.row, &header, err);
    if (status == SC_OK) return SC_OK;
    s->at = s->batch.n;                                   /* its rows are counted all the same */
    return error_prefix(err, status, "batch %llu", (unsigned long long)s->n_batches);
}

/* ---- the end ----------------------------------------------------------------------------------------------------------------- */

/* The table of contents: as many batches as were read. */
static sc_status footer_check(struct arrow_source *s, const uint8_t *tail, size_t len, sc_error *err)
{
    size_t whole = strlen(MARK) + 4, footer = len < TAIL_BYTES ? 0 : (size_t)arrow_uint(tail + len - TAIL_BYTES, 4);
    if (len < TAIL_BYTES || memcmp(tail + len - strlen(MARK), MARK, strlen(MARK)) != 0) return FAIL(err, SC_E_FORMAT, "the file does not end with ARROW1; it is cut off or something is behind it, so write or fetch it again");
    if (footer > len - whole) return FAIL(err, SC_E_FORMAT, "the table of contents has %zu bytes, expected at most %zu; the file is damaged", footer, len - whole);
    struct flat flat = { tail + len - whole - footer, footer, false };
    struct flat_table table = flat_root(&flat);
    struct flat_vector batches = flat_list(&table, FOOTER_BATCHES, BLOCK_BYTES), dictionaries = flat_list(&table, FOOTER_DICTIONARIES, BLOCK_BYTES);
    if (flat.is_broken) return FAIL(err, SC_E_FORMAT, "the table of contents leads beyond its end; the file is damaged");
    if (batches.n == s->n_batches && dictionaries.n == s->n_dictionaries) return SC_OK;
    return FAIL(err, SC_E_FORMAT, "the table of contents names %zu batches and %zu dictionaries, but %llu and %llu were found; the file is damaged", batches.n, dictionaries.n, (unsigned long long)s->n_batches,
                (unsigned long long)s->n_dictionaries);
}

/* Behind a stream nothing may follow, behind a file its table of contents. */
static sc_status end_check(struct arrow_source *s, sc_error *err)
{
    struct buf tail;
    uint8_t block[4096];
    size_t n = 1;
    sc_status status = SC_OK;
    buf_init(&tail, ARROW_METADATA_MAX);
    while (status == SC_OK && n && !tail.is_full) {
        status = bytes_take(s, block, sizeof block, &n, err);
        if (status == SC_OK) buf_append(&tail, block, n);
    }
    if (status == SC_OK && tail.is_full) status = FAIL(err, SC_E_FORMAT, "more than %d MiB stand behind the end of the stream", ARROW_METADATA_MAX >> 20);
    else if (status == SC_OK && s->is_file) status = footer_check(s, (const uint8_t *)tail.data, tail.len, err);
    else if (status == SC_OK && tail.len) status = FAIL(err, SC_E_FORMAT, "%zu bytes stand behind the end of the stream and are not read; where files were joined, name them one by one", tail.len);
    buf_release(&tail);
    return status;
}

/* ---- records ----------------------------------------------------------------------------------------------------------------- */

/* The next message: afterwards there are rows, or it was a dictionary, or the end. */
static sc_status message_next(struct arrow_source *s, sc_error *err)
{
    struct flat_table message;
    bool is_end = false;
    s->is_end = true;                                     /* until the lengths are known to be good */
    sc_status status = message_read(s, &message, &is_end, err);
    if (status == SC_OK && is_end) status = end_check(s, err);
    if (status != SC_OK) return error_prefix(err, status, "behind batch %llu", (unsigned long long)s->n_batches);
    if (is_end) return SC_OK;
    s->is_end = false;
    int64_t kind = flat_int(&message, MESSAGE_KIND, 1, 0);
    if (kind == MESSAGE_BATCH) return rows_read(s, &message, err);
    if (kind == MESSAGE_DICTIONARY) return dictionary_read(s, &message, err);
    s->is_end = true;
    return FAIL(err, SC_E_FORMAT, "behind batch %llu: a message of kind %lld, expected a batch or a dictionary; the file is damaged", (unsigned long long)s->n_batches, (long long)kind);
}

static sc_status row_next(struct arrow_source *s, struct record *out, sc_error *err)
{
    uint64_t row = s->first_row + s->at + 1;
    buf_clear(&s->row);
    sc_status status = arrow_row_put(&s->row, &s->batch.column, s->at++, err);
    if (status == SC_OK && s->row.is_full) status = FAIL(err, SC_E_FORMAT, "the row has more than the %d MiB that a record may have", RECORD_MAX >> 20);
    if (status != SC_OK) return error_prefix(err, status, "row %llu (batch %llu)", (unsigned long long)row, (unsigned long long)s->n_batches);
    *out = (struct record) { .text = mem_strndup(s->row.data, s->row.len), .len = s->row.len, .line = row };
    return SC_OK;
}

static sc_status arrow_next(struct record_source *source, struct record *out, bool *more, sc_error *err)
{
    struct arrow_source *s = (struct arrow_source *)source;
    *more = true;
    if (!s->is_begun) TRY(schema_read(s, err));
    for (;;) {
        if (s->at < s->batch.n) return row_next(s, out, err);
        if (s->is_end) break;
        TRY(message_next(s, err));
    }
    *more = false;
    return SC_OK;
}

/* ---- open and close ---------------------------------------------------------------------------------------------------------- */

static sc_status arrow_finish(struct record_source *source, char sha256[65], sc_error *err)
{
    return byte_source_finish(((struct arrow_source *)source)->bytes, sha256, err);
}

static uint64_t arrow_stored(const struct record_source *source)
{
    return byte_source_stored(((const struct arrow_source *)source)->bytes);
}

static void arrow_close(struct record_source *source)
{
    struct arrow_source *s = (struct arrow_source *)source;
    byte_source_close(s->bytes);
    arrow_schema_release(&s->schema);
    arrow_batch_release(&s->batch);
    arrow_region_release(&s->metadata);
    buf_release(&s->row);
    mem_free(s);
}

static bool begins_as_file(const uint8_t *first, size_t len) { return len >= strlen(MARK) && memcmp(first, MARK, strlen(MARK)) == 0; }

bool arrow_is_known(const char *path, const uint8_t *first, size_t len)
{
    bool is_other = len >= 4 && memcmp(first, "PAR1", 4) == 0;
    return begins_as_file(first, len) || (len >= 4 && memcmp(first, "\xFF\xFF\xFF\xFF", 4) == 0) || (name_kind_of(path) == NAME_ARROW && !is_other);
}

sc_status arrow_source_open(struct record_source **out, const char *path, const uint8_t *first, size_t len, sc_error *err)
{
    struct byte_source *bytes;
    *out = NULL;
    TRY(byte_source_open(&bytes, path, err));
    struct arrow_source *s = mem_zero(1, sizeof *s);
    *s = (struct arrow_source) { .base = { arrow_next, arrow_finish, arrow_stored, NULL, arrow_close }, .bytes = bytes, .is_file = begins_as_file(first, len) };
    buf_init(&s->row, RECORD_MAX);
    *out = &s->base;
    return SC_OK;
}
