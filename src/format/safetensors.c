/* safetensors.c - reads safetensors files and the index of sharded ones.
 *
 * Layout (safetensors README, "Format"): u64 header size, JSON header, bytes. The rules are those of the reference
 * reader: tensors sorted by offset must join exactly from 0 to the end of the file, sizes must equal shape times
 * element size, keys must not repeat. Sharding: model.safetensors.index.json of the Hugging Face Hub. */
#include "format/format_internal.h"

#include <inttypes.h>
#include <stdlib.h>

enum { MAX_HEADER = 100000000, MAX_TENSORS = 1000000, MAX_FILE_DIMS = 8, QUOTE = 96 };

/* Element types of the format that nothing here computes with. */
static const char *const OTHER_TYPES[] = {
    "C64", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F4", "F6_E2M3", "F6_E3M2",
};

/* One entry while it is read; offsets are relative to the byte section. */
struct entry { struct file_tensor t; uint64_t begin, end; };
struct entry_list { struct entry *items; size_t n, cap; };

static sc_status read_dtype(struct json_scan *s, const char *q, enum dtype *out)
{
    struct scan_string name;
    char text[16] = "", quoted[32];
    TRY(scan_string(s, &name));
    if (!name.has_escape && name.len < sizeof text) memcpy(text, name.raw, name.len);
    if (dtype_by_safetensors(out, text)) return SC_OK;
    for (size_t i = 0; i < sizeof OTHER_TYPES / sizeof OTHER_TYPES[0]; i++)
        if (scan_equals(&name, OTHER_TYPES[i]))
            return FAIL(s->err, SC_E_UNSUPPORTED, "%s: tensor \"%s\" is stored as %s, which is not supported; convert it to F32, F16 or BF16", s->what, q, OTHER_TYPES[i]);
    return FAIL(s->err, SC_E_FORMAT, "%s: tensor \"%s\" has dtype \"%s\", which the format does not know", s->what, q, error_quote(quoted, sizeof quoted, name.raw, name.len));
}

static sc_status read_shape(struct json_scan *s, const char *q, struct file_tensor *t)
{
    uint64_t dims[MAX_FILE_DIMS];
    int n = 0;
    bool more = true;
    TRY(scan_need(s, '['));
    if (scan_take(s, ']')) more = false;
    while (more) {
        if (n == MAX_FILE_DIMS) return FAIL(s->err, SC_E_FORMAT, "%s: tensor \"%s\" has more than %d dimensions", s->what, q, MAX_FILE_DIMS);
        TRY(scan_uint(s, &dims[n++]));
        TRY(scan_more(s, ']', &more));
    }
    if (n > 4) return FAIL(s->err, SC_E_UNSUPPORTED, "%s: tensor \"%s\" has %d dimensions, at most 4 are supported", s->what, q, n);
    t->n_dims = n;
    memcpy(t->dims, dims, (size_t)n * sizeof dims[0]);
    return SC_OK;
}

static sc_status read_offsets(struct json_scan *s, struct entry *e)
{
    TRY(scan_need(s, '['));
    TRY(scan_uint(s, &e->begin));
    TRY(scan_need(s, ','));
    TRY(scan_uint(s, &e->end));
    return scan_need(s, ']');
}

/* {"dtype":...,"shape":[...],"data_offsets":[b,e]}, each exactly once. */
static sc_status read_entry(struct json_scan *s, struct entry *e)
{
    static const char *const keys[] = { "dtype", "shape", "data_offsets" };
    unsigned seen = 0;
    bool more = true;
    char q[QUOTE];
    error_quote(q, sizeof q, e->t.name, strlen(e->t.name));
    TRY(scan_need(s, '{'));
    if (scan_take(s, '}')) more = false;
    while (more) {
        struct scan_string key;
        unsigned k = 0;
        TRY(scan_string(s, &key));
        TRY(scan_need(s, ':'));
        while (k < 3 && !scan_equals(&key, keys[k])) k++;
        if (k == 3 || (seen & 1u << k))
            return FAIL(s->err, SC_E_FORMAT, "%s: tensor \"%s\" has an unknown or repeated key before byte %zu", s->what, q, s->at);
        seen |= 1u << k;
        TRY(k == 0 ? read_dtype(s, q, &e->t.dtype) : k == 1 ? read_shape(s, q, &e->t) : read_offsets(s, e));
        TRY(scan_more(s, '}', &more));
    }
    for (unsigned k = 0; k < 3; k++)
        if (!(seen & 1u << k)) return FAIL(s->err, SC_E_FORMAT, "%s: tensor \"%s\" has no \"%s\"", s->what, q, keys[k]);
    if (!tensor_bytes(&e->t.bytes, e->t.dtype, e->t.n_dims, e->t.dims))
        return FAIL(s->err, SC_E_FORMAT, "%s: the shape of tensor \"%s\" overflows", s->what, q);
    if (e->end < e->begin || e->end - e->begin != e->t.bytes)
        return FAIL(s->err, SC_E_FORMAT, "%s: tensor \"%s\" has data_offsets [%" PRIu64 ", %" PRIu64 "], its shape and dtype need %zu bytes", s->what, q, e->begin, e->end, e->t.bytes);
    return SC_OK;
}

/* String to string; what it says is not used. */
static sc_status read_metadata(struct json_scan *s)
{
    struct scan_string key, value;
    bool more = true;
    TRY(scan_need(s, '{'));
    if (scan_take(s, '}')) return SC_OK;
    while (more) {
        TRY(scan_string(s, &key));
        TRY(scan_need(s, ':'));
        if (!scan_peek(s, '"')) return FAIL(s->err, SC_E_FORMAT, "%s: __metadata__ holds something else than strings at byte %zu", s->what, s->at);
        TRY(scan_string(s, &value));
        TRY(scan_more(s, '}', &more));
    }
    return SC_OK;
}

static sc_status read_header(struct json_scan *s, struct name_store *names, struct entry_list *list)
{
    bool more = true, has_metadata = false;
    TRY(scan_need(s, '{'));
    if (scan_take(s, '}')) more = false;
    while (more) {
        struct scan_string name;
        TRY(scan_string(s, &name));
        TRY(scan_need(s, ':'));
        if (scan_equals(&name, "__metadata__")) {
            if (has_metadata) return FAIL(s->err, SC_E_FORMAT, "%s: __metadata__ occurs twice", s->what);
            has_metadata = true;
            TRY(read_metadata(s));
        } else {
            if (list->n == MAX_TENSORS) return FAIL(s->err, SC_E_FORMAT, "%s lists more than %d tensors", s->what, MAX_TENSORS);
            if (list->n == list->cap) {
                list->cap = list->cap ? list->cap + list->cap / 2 : 16;
                list->items = mem_grow(list->items, list->cap * sizeof *list->items);
            }
            struct entry *e = &list->items[list->n];
            *e = (struct entry) { .t.name = scan_keep(names, &name) };
            if (!e->t.name || !*e->t.name) return FAIL(s->err, SC_E_FORMAT, "%s: a tensor name before byte %zu is empty or broken", s->what, s->at);
            list->n++;
            TRY(read_entry(s, e));
        }
        TRY(scan_more(s, '}', &more));
    }
    return SC_OK;
}

static int entry_compare(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return strcmp(x->t.name, y->t.name);
}

/* Checks that the entries tile [0, size) and hands them to the model in the order of their data. */
static sc_status place_entries(struct model_file *m, struct entry_list *list, const uint8_t *data, size_t size, const char *what, sc_error *err)
{
    uint64_t at = 0;
    char q[QUOTE];
    if (list->n) qsort(list->items, list->n, sizeof *list->items, entry_compare);
    m->tensors = mem_grow(m->tensors, (m->n_tensors + list->n) * sizeof *m->tensors);
    for (size_t i = 0; i < list->n; i++) {
        struct entry *e = &list->items[i];
        error_quote(q, sizeof q, e->t.name, strlen(e->t.name));
        if (e->begin != at)
            return FAIL(err, SC_E_FORMAT, "%s: the data of tensor \"%s\" begins at %" PRIu64 ", expected %" PRIu64 " (tensors follow each other without overlap or hole)", what, q, e->begin, at);
        if (e->end > size)
            return FAIL(err, SC_E_FORMAT, "%s is cut off: tensor \"%s\" ends at byte %" PRIu64 " of the data, the file has %zu", what, q, e->end, size);
        at = e->end;
        e->t.data = data + e->begin;
        m->tensors[m->n_tensors++] = e->t;
    }
    if (at != size) return FAIL(err, SC_E_FORMAT, "%s: %zu bytes follow the last tensor and belong to nothing", what, size - (size_t)at);
    return SC_OK;
}

sc_status safetensors_parse(struct model_file *m, const uint8_t *data, size_t size, const char *what, sc_error *err)
{
    uint64_t header;
    struct entry_list list = { 0 };
    if (size < 8) return FAIL(err, SC_E_FORMAT, "%s has %zu bytes, too few for a safetensors file", what, size);
    memcpy(&header, data, sizeof header);
    if (header > MAX_HEADER || header > size - 8)
        return FAIL(err, SC_E_FORMAT, "%s is cut off or no safetensors file: its header claims %" PRIu64 " bytes, the file has %zu (at most %d are allowed)", what, header, size, MAX_HEADER);
    struct json_scan s = { (const char *)data + 8, (size_t)header, 0, what, err };
    if (header == 0 || s.text[0] != '{') return FAIL(err, SC_E_FORMAT, "%s: the header does not start with '{'", what);
    if (!utf8_is_valid(s.text, s.len)) return FAIL(err, SC_E_FORMAT, "%s: the header is not UTF-8", what);
    sc_status status;
    TRY_DONE(read_header(&s, &m->private->names, &list));
    TRY_DONE(scan_end(&s));
    TRY_DONE(place_entries(m, &list, data + 8 + header, size - 8 - (size_t)header, what, err));
done:
    mem_free(list.items);
    return status;
}

/* ---- index ---------------------------------------------------------------------------------------------------------------- */

static int shard_compare(const void *a, const void *b)
{
    const struct shard_entry *x = a, *y = b;
    int by_file = strcmp(x->file, y->file);
    return by_file ? by_file : strcmp(x->tensor, y->tensor);
}

static sc_status read_weight_map(struct json_scan *s, struct shard_index *out)
{
    bool more = true;
    size_t cap = 0;
    char q[QUOTE];
    const char *last = NULL;
    TRY(scan_need(s, '{'));
    if (scan_take(s, '}')) more = false;
    while (more) {
        struct scan_string tensor, file;
        TRY(scan_string(s, &tensor));
        TRY(scan_need(s, ':'));
        TRY(scan_string(s, &file));
        if (out->n == MAX_TENSORS) return FAIL(s->err, SC_E_FORMAT, "%s lists more than %d tensors", s->what, MAX_TENSORS);
        if (out->n == cap) {
            cap = cap ? cap + cap / 2 : 16;
            out->entries = mem_grow(out->entries, cap * sizeof *out->entries);
        }
        bool is_same = last && scan_equals(&file, last);       /* neighbours mostly share a file: keep its name once */
        struct shard_entry *e = &out->entries[out->n];
        *e = (struct shard_entry) { scan_keep(&out->names, &tensor), is_same ? last : scan_keep(&out->names, &file) };
        if (!e->tensor || !*e->tensor) return FAIL(s->err, SC_E_FORMAT, "%s: a tensor name before byte %zu is empty or broken", s->what, s->at);
        if (!e->file || !name_is_plain_file(e->file))
            return FAIL(s->err, SC_E_FORMAT, "%s: tensor \"%s\" is said to be in \"%.60s\", expected a plain file name", s->what,
                        error_quote(q, sizeof q, e->tensor, strlen(e->tensor)), e->file ? e->file : "");
        last = e->file;
        out->n++;
        TRY(scan_more(s, '}', &more));
    }
    return SC_OK;
}

static sc_status check_doubles(struct json_scan *s, struct shard_index *index)
{
    char q[QUOTE];
    struct name_entry *names = mem_alloc(index->n * sizeof *names);
    for (size_t i = 0; i < index->n; i++) names[i] = (struct name_entry) { index->entries[i].tensor, i };
    const char *twice = name_index_sort(names, index->n);
    sc_status status = SC_OK;
    if (twice) status = FAIL(s->err, SC_E_FORMAT, "%s lists the tensor \"%s\" twice", s->what, error_quote(q, sizeof q, twice, strlen(twice)));
    mem_free(names);
    return status;
}

sc_status shard_index_parse(struct shard_index *out, const char *text, size_t len, const char *what, sc_error *err)
{
    struct json_scan s = { text, len, 0, what, err };
    bool more = true, has_map = false;
    *out = (struct shard_index) { 0 };
    if (!utf8_is_valid(text, len)) return FAIL(err, SC_E_FORMAT, "%s is not UTF-8", what);
    TRY(scan_need(&s, '{'));
    if (scan_take(&s, '}')) more = false;
    while (more) {
        struct scan_string key;
        TRY(scan_string(&s, &key));
        TRY(scan_need(&s, ':'));
        if (scan_equals(&key, "weight_map")) {
            if (has_map) return FAIL(err, SC_E_FORMAT, "%s has two weight maps", what);
            has_map = true;
            TRY(read_weight_map(&s, out));
        } else {
            TRY(scan_skip(&s));
        }
        TRY(scan_more(&s, '}', &more));
    }
    TRY(scan_end(&s));
    if (out->n == 0) return FAIL(err, SC_E_FORMAT, "%s has no \"weight_map\" that names tensors", what);
    TRY(check_doubles(&s, out));
    qsort(out->entries, out->n, sizeof *out->entries, shard_compare);
    return SC_OK;
}

void shard_index_release(struct shard_index *s)
{
    mem_free(s->entries);
    name_store_release(&s->names);
    *s = (struct shard_index) { 0 };
}

bool name_is_plain_file(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n > 255 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f || name[i] == '/' || name[i] == '\\') return false;
    return true;
}
