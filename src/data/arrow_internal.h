/* arrow_internal.h - what the files of the Arrow reader share. A file is a schema and batches of rows; a batch is a body
 * of buffers and the table that says where each one lies; values are read from the buffers where they stand, one row at
 * a time. Source: "Arrow Columnar Format" 1.5, sections on layout and IPC; Schema.fbs, Message.fbs, File.fbs. */
#ifndef ARROW_INTERNAL_H
#define ARROW_INTERNAL_H

#include "flatbuffer.h"
#include "reader_internal.h"

enum {
    ARROW_METADATA_MAX = 64 << 20,     /* bytes of a schema or of the table of a batch            */
    ARROW_BATCH_MAX = 1 << 30,         /* bytes of the body of a batch, stored and unpacked       */
    ARROW_FIELDS_MAX = 10000,          /* columns, with those inside of others                    */
    ARROW_DEPTH_MAX = 32               /* of columns inside of columns                            */
};
static const uint64_t ARROW_LENGTH_MAX = (uint64_t)1 << 40;   /* values of a column: sizes in bytes fit 64 bits */

/* ---- arrow_schema.c ------------------------------------------------------------------------------------------------------ */

enum arrow_kind {
    ARROW_NULL, ARROW_BOOL, ARROW_INT, ARROW_FLOAT, ARROW_DECIMAL, ARROW_DATE, ARROW_TIME, ARROW_TIMESTAMP, ARROW_BYTES, ARROW_VIEW, ARROW_FIXED_BYTES,
    ARROW_LIST, ARROW_FIXED_LIST, ARROW_STRUCT, ARROW_MAP, ARROW_KINDS
};

struct arrow_field {
    enum arrow_kind kind;
    const char *type, *name;           /* type: as the format names it */
    const char *key; size_t key_len;   /* the name as JSON, with its colon */
    const struct arrow_field *parent;  /* NULL: the row itself, a struct of all columns */
    struct arrow_field *child; size_t n_children;
    unsigned bytes;                    /* of a value, or of an offset */
    bool is_signed;                    /* integers */
    int digits;                        /* behind the point, of a decimal; of the fraction of a second, of times */
    bool has_zone, is_text;            /* timestamps; bytes that are UTF-8 by their type */
    uint64_t list_length;
    struct arrow_dictionary *dictionary;      /* NULL: values stand in the batch, else indices into it */
    unsigned index_bytes; bool index_is_signed;
};

/* Values that several rows share: parts that come one by one, the first value of a part has number `begin`. */
struct arrow_part { struct arrow_batch *batch; uint64_t begin; };
struct arrow_dictionary {
    int64_t id;
    const struct arrow_field *field;   /* the first that uses it: says how its values lie */
    struct arrow_part *part; size_t n_parts, cap;
    uint64_t n;                        /* values */
    struct arrow_dictionary *next;
};

struct arrow_schema { struct arena memory; struct arrow_field row; struct arrow_dictionary *dictionaries; size_t n_fields, name_bytes; };
sc_status arrow_schema_read(struct arrow_schema *out, const struct flat_table *schema, sc_error *err);
void      arrow_schema_release(struct arrow_schema *s);
/* "a.b" for the member b of column a. Returns `out`. */
const char *arrow_field_path(char *out, size_t out_bytes, const struct arrow_field *f);

/* ---- arrow_batch.c ------------------------------------------------------------------------------------------------------- */

/* Reusable memory for large bytes: small ones have their exact size, so that AddressSanitizer sees reads beyond them. */
struct arrow_region { uint8_t *data; size_t len, cap; bool is_mapped; };
sc_status arrow_region_take(struct arrow_region *r, size_t bytes, const char *what, sc_error *err);
void      arrow_region_release(struct arrow_region *r);

struct arrow_span { const uint8_t *data; size_t len; };
struct arrow_column {
    const struct arrow_field *field;
    bool is_index;                     /* indices into field->dictionary */
    uint64_t n;
    struct arrow_span valid;           /* a bit a value; data NULL: all are valid */
    struct arrow_span values;          /* values, offsets or views */
    struct arrow_span bytes;           /* what offsets lead to */
    struct arrow_span *buffer; size_t n_buffers;            /* what views lead to */
    struct arrow_column *child;        /* field->n_children */
};
struct arrow_batch { struct arena memory; struct arrow_region body, unpacked; struct arrow_column column; uint64_t n; };
/* Says where the columns below `field` lie in batch->body, and unpacks them: the children of the row, or the values of a
 * dictionary. After it, what a value needs of the buffers of fixed size is inside of them. */
sc_status arrow_batch_read(struct arrow_batch *b, const struct arrow_field *field, const struct flat_table *record_batch, sc_error *err);
void      arrow_batch_release(struct arrow_batch *b);
/* Takes `batch` over: new values behind the old ones, or in their place. */
void      arrow_dictionary_add(struct arrow_dictionary *d, struct arrow_batch *batch, bool is_delta);

/* ---- arrow_values.c, arrow_numbers.c -------------------------------------------------------------------------------------- */

/* Row i of the batch as a JSON object; the message names the column. `out` may be full afterwards. */
sc_status arrow_row_put(struct buf *out, const struct arrow_column *row, uint64_t i, sc_error *err);

/* Numbers and times as DuckDB writes them in JSON. False: a time of day beyond 24 hours. */
uint64_t arrow_uint(const uint8_t *at, unsigned bytes);
int64_t  arrow_int(const uint8_t *at, unsigned bytes);
void arrow_put_real(struct buf *out, double x);
void arrow_put_float(struct buf *out, const uint8_t *at, unsigned bytes);
void arrow_put_decimal(struct buf *out, const uint8_t *at, unsigned bytes, int digits);
void arrow_put_date(struct buf *out, int64_t days);
bool arrow_put_time(struct buf *out, int64_t time, int digits);
void arrow_put_timestamp(struct buf *out, int64_t time, int digits, bool has_zone);

#endif
