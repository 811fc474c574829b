/* data_read_fixture.h - files for tests of the readers, and what they hold read back as JSON: dialogues (only the members
 * that are set), messages of what was refused, and the description of the files. */
#ifndef DATA_READ_FIXTURE_H
#define DATA_READ_FIXTURE_H

#include "data/data.h"
#include "test.h"

#include <zlib.h>
#include <zstd.h>

enum { NAME_BYTES = 256, ERRORS_MAX = 50000 };

/* What reading gave. `records`: how many; `places`: "line.index" of every dialogue, in order. */
struct read_back { json_t *dialogues, *errors, *files; size_t records; sc_status last; struct buf places; };

static inline void put_file(char path[NAME_BYTES], const char *name, const void *bytes, size_t len)
{
    snprintf(path, NAME_BYTES, "%s/%s", test_scratch(), name);
    char *directory = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
    CHECK_OK(path_make_directories(directory, err));
    CHECK_OK(file_write(path, bytes, len, err));
    mem_free(directory);
}

static inline void put_text(char path[NAME_BYTES], const char *name, const char *text) { put_file(path, name, text, strlen(text)); }

static inline void gzip_append(struct buf *out, const void *bytes, size_t len)
{
    z_stream z = { 0 };
    char *packed = mem_alloc(len + len / 8 + 256);
    CHECK(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_in = (Bytef *)(uintptr_t)bytes;
    z.avail_in = (uInt)len;
    z.next_out = (Bytef *)packed;
    z.avail_out = (uInt)(len + len / 8 + 256);
    CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
    buf_append(out, packed, z.total_out);
    deflateEnd(&z);
    mem_free(packed);
}

static inline void zstd_append(struct buf *out, const void *bytes, size_t len)
{
    size_t cap = ZSTD_compressBound(len);
    char *packed = mem_alloc(cap);
    size_t n = ZSTD_compress(packed, cap, bytes, len, 3);
    CHECK(!ZSTD_isError(n));
    buf_append(out, packed, n);
    mem_free(packed);
}

static inline json_t *dialogue_as_json(const struct dialogue *d)
{
    json_t *o = json_object();
    if (d->messages) json_object_set(o, "messages", d->messages);
    if (d->rejected) json_object_set(o, "rejected", d->rejected);
    if (d->tools) json_object_set(o, "tools", d->tools);
    if (d->text) json_object_set_new(o, "text", json_string(d->text));
    if (d->id) json_object_set_new(o, "id", json_string(d->id));
    if (d->lang) json_object_set_new(o, "lang", json_string(d->lang));
    if (d->licence) json_object_set_new(o, "licence", json_string(d->licence));
    if (d->group) json_object_set_new(o, "group", json_string(d->group));
    return o;
}

static inline void read_record(struct read_back *b, const struct record *record, const struct tree_config *tree)
{
    struct dialogue_list list = { 0 };
    sc_error e = { 0 };
    CHECK(record->text && record->text[record->len] == 0 && record->file && record->line > 0);
    sc_status status = dialogues_from_record(&list, record, tree, NULL, &e);
    if (status != SC_OK) {
        CHECK(status == SC_E_FORMAT && list.len == 0);
        json_array_append_new(b->errors, json_string(e.message));
    }
    for (size_t i = 0; i < list.len; i++) {
        const struct dialogue *d = &list.dialogue[i];
        CHECK(d->index == i && d->line == record->line && d->input == record->input && strcmp(d->file, record->file) == 0);
        CHECK((d->messages != NULL) != (d->text != NULL));
        json_array_append_new(b->dialogues, dialogue_as_json(d));
        buf_printf(&b->places, "%s%llu.%u", b->places.len ? " " : "", (unsigned long long)d->line, d->index);
    }
    dialogue_list_release(&list);
}

/* Reads all; what cannot be read becomes an entry of `errors`, in order. */
static inline void read_inputs(struct read_back *b, const char *const *inputs, size_t n, const struct tree_config *tree, uint64_t seed)
{
    static const struct tree_config usual = { 0 };
    const struct reader_config config = { inputs, n, seed };
    struct reader *r = NULL;
    sc_error e = { 0 };
    *b = (struct read_back){ .dialogues = json_array(), .errors = json_array() };
    buf_init(&b->places, 0);
    b->last = reader_open(&r, &config, &e);
    if (b->last != SC_OK) json_array_append_new(b->errors, json_string(e.message));
    for (bool more = b->last == SC_OK; more;) {
        struct record record;
        e = (sc_error){ 0 };
        sc_status status = reader_next(r, &record, &more, &e);
        if (status != SC_OK) {
            b->last = status;
            CHECK(*e.message);
            json_array_append_new(b->errors, json_string(e.message));
            if (json_array_size(b->errors) > ERRORS_MAX) test_failed(__FILE__, __LINE__, "errors without end: %s", e.message);
            more = status == SC_E_FORMAT;
        } else if (more) {
            b->records++;
            read_record(b, &record, tree ? tree : &usual);
            record_release(&record);
        }
    }
    b->files = r ? reader_describe(r) : json_array();
    reader_close(r);
}

static inline void read_file(struct read_back *b, const char *path, const struct tree_config *tree) { read_inputs(b, &path, 1, tree, 42); }

static inline void read_back_release(struct read_back *b)
{
    json_decref(b->dialogues);
    json_decref(b->errors);
    json_decref(b->files);
    buf_release(&b->places);
}

static inline const char *read_error(const struct read_back *b, size_t i) { return json_string_value(json_array_get(b->errors, i)); }

/* All dialogues are as `expected` says, and nothing was refused. */
static inline void check_dialogues(const struct read_back *b, const char *expected, const char *what)
{
    json_error_t e;
    json_t *wanted = json_loads(expected, 0, &e);
    if (!wanted) test_failed(__FILE__, __LINE__, "%s: the expectation is no JSON: %s", what, e.text);
    char *found = json_dumps(b->dialogues, JSON_COMPACT), *refused = json_dumps(b->errors, JSON_COMPACT);
    if (json_array_size(b->errors)) test_failed(__FILE__, __LINE__, "%s: refused: %s", what, refused);
    if (!json_equal(b->dialogues, wanted)) test_failed(__FILE__, __LINE__, "%s:\n  found    %s\n  expected %s", what, found, expected);
    mem_free(found);
    mem_free(refused);
    json_decref(wanted);
}

#endif
