/* arrow_schema.c - the schema of an Arrow file as a tree of columns. What cannot become JSON is refused here, before the
 * first row, with the name of the column and of its type. Extension types are read as what they are stored as. */
#include "arrow_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Schema.fbs: numbers of fields in their tables. */
enum { SCHEMA_ENDIANNESS = 0, SCHEMA_FIELDS = 1 };
enum { FIELD_NAME = 0, FIELD_TYPE_TYPE = 2, FIELD_TYPE = 3, FIELD_DICTIONARY = 4, FIELD_CHILDREN = 5 };
enum { DICTIONARY_ID = 0, DICTIONARY_INDEX = 1 };
enum { DECIMAL_DIGITS_MAX = 38, KEY_MAX = 1 << 20 };

typedef sc_status type_reader(struct arrow_field *f, const struct flat_table *type, sc_error *err);

/* "column a.b" in front of a message. */
static sc_status column_failed(const struct arrow_field *f, const char *why, sc_error *err)
{
    char path[200];
    return FAIL(err, SC_E_FORMAT, "column %s: %s", arrow_field_path(path, sizeof path, f), why);
}

const char *arrow_field_path(char *out, size_t out_bytes, const struct arrow_field *f)
{
    const struct arrow_field *up[ARROW_DEPTH_MAX + 1];
    struct buf b;
    size_t n = 0;
    for (; f && f->parent && n <= ARROW_DEPTH_MAX; f = f->parent) up[n++] = f;
    buf_init(&b, 0);
    while (n--) buf_printf(&b, "%s%s", b.len ? "." : "", up[n]->name);
    error_quote(out, out_bytes, b.data ? b.data : "", b.len);
    buf_release(&b);
    return out;
}

/* ---- types ------------------------------------------------------------------------------------------------------------------- */

static sc_status bits_read(struct arrow_field *f, const struct flat_table *type, unsigned field, int64_t fallback, int64_t least, int64_t most, sc_error *err)
{
    char why[120];
    int64_t bits = flat_int(type, field, 4, fallback);
    bool is_power = bits > 0 && (bits & (bits - 1)) == 0;
    snprintf(why, sizeof why, "%s of %lld bits, expected %lld to %lld bits and a power of two", f->type, (long long)bits, (long long)least, (long long)most);
    if (!is_power || bits < least || bits > most) return column_failed(f, why, err);
    f->bytes = (unsigned)bits / 8;
    return SC_OK;
}

static sc_status read_int(struct arrow_field *f, const struct flat_table *type, sc_error *err)
{
    f->is_signed = flat_int(type, 1, 1, 0) != 0;
    return bits_read(f, type, 0, 0, 8, 64, err);
}

static sc_status read_float(struct arrow_field *f, const struct flat_table *type, sc_error *err)
{
    int64_t precision = flat_int(type, 0, 2, 0);          /* half, single, double */
    if (precision < 0 || precision > 2) return column_failed(f, "FloatingPoint of unknown precision", err);
    f->bytes = 2u << precision;
    return SC_OK;
}

static sc_status read_decimal(struct arrow_field *f, const struct flat_table *type, sc_error *err)
{
    int64_t digits = flat_int(type, 1, 4, 0);
    if (digits < -DECIMAL_DIGITS_MAX || digits > DECIMAL_DIGITS_MAX) return column_failed(f, "Decimal with more than 38 digits behind the point", err);
    f->digits = (int)digits;
    return bits_read(f, type, 2, 128, 32, 128, err);
}

/* Units are seconds and their thousandths, millionths and billionths. */
static sc_status unit_read(struct arrow_field *f, int64_t unit, sc_error *err)
{
    if (unit < 0 || unit > 3) return column_failed(f, "a time in an unknown unit", err);
    f->digits = 3 * (int)unit;
    return SC_OK;
}

static sc_status read_date(struct arrow_field *f, const struct flat_table *type, sc_error *err)
{
    int64_t unit = flat_int(type, 0, 2, 1);               /* days, milliseconds */
    if (unit < 0 || unit > 1) return column_failed(f, "Date in an unknown unit", err);
    f->bytes = unit ? 8 : 4;
    return SC_OK;
}

static sc_status read_time(struct arrow_field *f, const struct flat_table *type, sc_error *err)
{
    TRY(unit_read(f, flat_int(type, 0, 2, 1), err));
    return bits_read(f, type, 1, 32, 32, 64, err);
}

static sc_status read_timestamp(struct arrow_field *f, const struct flat_table *type, sc_error *err)
{
    size_t len;
    f->has_zone = flat_text(type, 1, &len) != NULL && len;
    f->bytes = 8;
    return unit_read(f, flat_int(type, 0, 2, 0), err);
}

/* A plain number, as in Parquet, which has no such type. */
static sc_status read_duration(struct arrow_field *f, const struct flat_table *type, sc_error *err)
{
    (void)type, (void)err;
    f->is_signed = true;
    f->bytes = 8;
    return SC_OK;
}

static sc_status length_read(struct arrow_field *f, int64_t length, sc_error *err)
{
    if (length < 0) return column_failed(f, "a fixed size below 0", err);
    f->list_length = (uint64_t)length;
    return SC_OK;
}

static sc_status read_fixed_bytes(struct arrow_field *f, const struct flat_table *type, sc_error *err)
{
    TRY(length_read(f, flat_int(type, 0, 4, 0), err));
    f->bytes = (unsigned)f->list_length;
    return SC_OK;
}

static sc_status read_fixed_list(struct arrow_field *f, const struct flat_table *type, sc_error *err) { return length_read(f, flat_int(type, 0, 4, 0), err); }

/* By the number of the type in Schema.fbs. `bytes`: of offsets. `children`: how many there must be; -1: any number. A row
 * without kind stands for a type that is known and not read. */
static const struct { const char *name; bool is_read; enum arrow_kind kind; unsigned bytes; bool is_text; int children; type_reader *read; } types[] = {
    [1] = { "Null", true, ARROW_NULL, 0, false, 0, NULL },
    [2] = { "Int", true, ARROW_INT, 0, false, 0, read_int },
    [3] = { "FloatingPoint", true, ARROW_FLOAT, 0, false, 0, read_float },
    [4] = { "Binary", true, ARROW_BYTES, 4, false, 0, NULL },
    [5] = { "Utf8", true, ARROW_BYTES, 4, true, 0, NULL },
    [6] = { "Bool", true, ARROW_BOOL, 0, false, 0, NULL },
    [7] = { "Decimal", true, ARROW_DECIMAL, 0, false, 0, read_decimal },
    [8] = { "Date", true, ARROW_DATE, 0, false, 0, read_date },
    [9] = { "Time", true, ARROW_TIME, 0, false, 0, read_time },
    [10] = { "Timestamp", true, ARROW_TIMESTAMP, 0, false, 0, read_timestamp },
    [11] = { "Interval", .is_read = false },
    [12] = { "List", true, ARROW_LIST, 4, false, 1, NULL },
    [13] = { "Struct", true, ARROW_STRUCT, 0, false, -1, NULL },
    [14] = { "Union", .is_read = false },
    [15] = { "FixedSizeBinary", true, ARROW_FIXED_BYTES, 0, false, 0, read_fixed_bytes },
    [16] = { "FixedSizeList", true, ARROW_FIXED_LIST, 0, false, 1, read_fixed_list },
    [17] = { "Map", true, ARROW_MAP, 4, false, 1, NULL },
    [18] = { "Duration", true, ARROW_INT, 0, false, 0, read_duration },
    [19] = { "LargeBinary", true, ARROW_BYTES, 8, false, 0, NULL },
    [20] = { "LargeUtf8", true, ARROW_BYTES, 8, true, 0, NULL },
    [21] = { "LargeList", true, ARROW_LIST, 8, false, 1, NULL },
    [22] = { "RunEndEncoded", .is_read = false },
    [23] = { "BinaryView", true, ARROW_VIEW, 16, false, 0, NULL },
    [24] = { "Utf8View", true, ARROW_VIEW, 16, true, 0, NULL },
    [25] = { "ListView", .is_read = false },
    [26] = { "LargeListView", .is_read = false },
};

static sc_status type_read(struct arrow_field *f, const struct flat_table *field, sc_error *err)
{
    char why[160];
    size_t number = (size_t)flat_int(field, FIELD_TYPE_TYPE, 1, 0) & 255;
    struct flat_table type = flat_child(field, FIELD_TYPE);
    bool is_known = number && number < sizeof types / sizeof *types && type.at;
    if (!is_known) {
        snprintf(why, sizeof why, "type number %zu is none of the Arrow format", number);
        return column_failed(f, why, err);
    }
    snprintf(why, sizeof why, "the type %s cannot be read; cast the column to another type, or leave it out", types[number].name);
    if (!types[number].is_read) return column_failed(f, why, err);
    f->type = types[number].name;
    f->kind = types[number].kind;
    f->bytes = types[number].bytes;
    f->is_text = types[number].is_text;
    snprintf(why, sizeof why, "%s with %zu columns inside, expected %d", f->type, f->n_children, types[number].children);
    if (types[number].children >= 0 && f->n_children != (size_t)types[number].children) return column_failed(f, why, err);
    return types[number].read ? types[number].read(f, &type, err) : SC_OK;
}

/* ---- dictionaries ------------------------------------------------------------------------------------------------------------ */

static struct arrow_dictionary *dictionary_of(struct arrow_schema *s, int64_t id, const struct arrow_field *f)
{
    for (struct arrow_dictionary *d = s->dictionaries; d; d = d->next) if (d->id == id) return d;
    struct arrow_dictionary *d = arena_zero(&s->memory, sizeof *d);
    *d = (struct arrow_dictionary) { .id = id, .field = f, .next = s->dictionaries };
    return s->dictionaries = d;
}

static sc_status dictionary_read(struct arrow_schema *s, struct arrow_field *f, const struct flat_table *field, sc_error *err)
{
    struct flat_table encoding = flat_child(field, FIELD_DICTIONARY), index = flat_child(&encoding, DICTIONARY_INDEX);
    if (!encoding.at) return SC_OK;
    int64_t bits = flat_int(&index, 0, 4, 0);             /* without a type: signed, 32 bits */
    if (!index.at) { f->index_bytes = 4; f->index_is_signed = true; }
    else if (bits == 8 || bits == 16 || bits == 32 || bits == 64) { f->index_bytes = (unsigned)bits / 8; f->index_is_signed = flat_int(&index, 1, 1, 0) != 0; }
    else return column_failed(f, "its dictionary has indices of an unknown number of bits", err);
    f->dictionary = dictionary_of(s, flat_int(&encoding, DICTIONARY_ID, 8, 0), f);
    return f->dictionary->field->kind == f->kind ? SC_OK : column_failed(f, "shares the dictionary of a column that has another type", err);
}

/* ---- the tree ---------------------------------------------------------------------------------------------------------------- */

static sc_status name_read(struct arrow_schema *s, struct arrow_field *f, const char *name, size_t len, sc_error *err)
{
    struct buf key;
    bool is_good = len < KEY_MAX && utf8_is_valid(name, len) && !memchr(name, 0, len);
    if ((s->name_bytes += len) > ARROW_METADATA_MAX) is_good = false;     /* many columns can share one text */
    f->name = arena_strndup(&s->memory, name, is_good ? len : 0);
    if (!is_good) return FAIL(err, SC_E_FORMAT, "the name of a column is no text of UTF-8 of less than 1 MiB; the file is damaged");
    buf_init(&key, 0);
    buf_put_json_string(&key, name, len);
    buf_putc(&key, ':');
    f->key = arena_strndup(&s->memory, key.data, key.len);
    f->key_len = key.len;
    buf_release(&key);
    return SC_OK;
}

/* Members of one object must have names of their own. Sorted, so that thousands of columns are no matter. */
static int by_name(const void *a, const void *b) { return strcmp((*(const struct arrow_field *const *)a)->name, (*(const struct arrow_field *const *)b)->name); }

static sc_status names_check(const struct arrow_field *f, sc_error *err)
{
    const struct arrow_field **sorted = mem_alloc((f->n_children + 1) * sizeof *sorted), *twice = NULL;
    for (size_t i = 0; i < f->n_children; i++) sorted[i] = &f->child[i];
    qsort(sorted, f->n_children, sizeof *sorted, by_name);
    for (size_t i = 1; i < f->n_children && !twice; i++) if (strcmp(sorted[i]->name, sorted[i - 1]->name) == 0) twice = sorted[i];
    mem_free(sorted);
    return twice ? column_failed(twice, "two columns have this name; rename one", err) : SC_OK;
}

/* Keys of a map become names of members. */
static sc_status map_check(const struct arrow_field *f, sc_error *err)
{
    const struct arrow_field *entry = &f->child[0];
    if (entry->kind != ARROW_STRUCT || entry->n_children != 2 || entry->dictionary) return column_failed(f, "Map without pairs of key and value", err);
    enum arrow_kind key = entry->child[0].kind;
    bool is_plain = key != ARROW_NULL && key != ARROW_LIST && key != ARROW_FIXED_LIST && key != ARROW_STRUCT && key != ARROW_MAP;
    return is_plain ? SC_OK : column_failed(f, "Map whose keys are no texts or numbers cannot become JSON", err);
}

static sc_status children_read(struct arrow_schema *s, struct arrow_field *f, const struct flat_vector *list, int depth, sc_error *err);

static sc_status field_read(struct arrow_schema *s, struct arrow_field *f, const struct flat_table *field, int depth, sc_error *err)
{
    size_t len;
    const char *name = flat_text(field, FIELD_NAME, &len);
    struct flat_vector children = flat_list(field, FIELD_CHILDREN, 4);
    TRY(name_read(s, f, name ? name : "", name ? len : 0, err));
    TRY(children_read(s, f, &children, depth, err));
    TRY(type_read(f, field, err));
    if (f->kind == ARROW_STRUCT) TRY(names_check(f, err));
    if (f->kind == ARROW_MAP) TRY(map_check(f, err));
    return dictionary_read(s, f, field, err);
}

static sc_status children_read(struct arrow_schema *s, struct arrow_field *f, const struct flat_vector *list, int depth, sc_error *err)
{
    if (list->n > ARROW_FIELDS_MAX - s->n_fields) return FAIL(err, SC_E_FORMAT, "the schema has more than %d columns, counting those inside of others", ARROW_FIELDS_MAX);
    if (list->n && depth > ARROW_DEPTH_MAX) return FAIL(err, SC_E_FORMAT, "columns stand inside of columns more than %d levels deep", ARROW_DEPTH_MAX);
    s->n_fields += list->n;
    f->child = arena_zero(&s->memory, (list->n + 1) * sizeof *f->child);
    f->n_children = list->n;
    for (size_t i = 0; i < list->n; i++) {
        struct flat_table field = flat_element(list, i);
        f->child[i].parent = f;
        f->child[i].name = "";
        if (!list->in->is_broken) TRY(field_read(s, &f->child[i], &field, depth + 1, err));
        if (list->in->is_broken) return FAIL(err, SC_E_FORMAT, "its tables lead beyond its end; the file is damaged");
    }
    return SC_OK;
}

sc_status arrow_schema_read(struct arrow_schema *out, const struct flat_table *schema, sc_error *err)
{
    struct flat_vector fields = flat_list(schema, SCHEMA_FIELDS, 4);
    if (flat_int(schema, SCHEMA_ENDIANNESS, 2, 0) != 0) return FAIL(err, SC_E_FORMAT, "the numbers are big-endian, expected little-endian; write the file on another machine");
    out->row = (struct arrow_field) { .kind = ARROW_STRUCT, .type = "Struct", .name = "" };
    TRY(children_read(out, &out->row, &fields, 1, err));
    return names_check(&out->row, err);
}

void arrow_schema_release(struct arrow_schema *s)
{
    for (struct arrow_dictionary *d = s->dictionaries; d; d = d->next) arrow_dictionary_add(d, NULL, false);
    for (struct arrow_dictionary *d = s->dictionaries; d; d = d->next) mem_free(d->part);
    arena_release(&s->memory);
    *s = (struct arrow_schema) { 0 };
}
