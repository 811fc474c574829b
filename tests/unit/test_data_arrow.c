/* test_data_arrow.c - Arrow IPC files that pyarrow and datasets wrote (tests/golden/arrow, tools/oracle/make_arrow.py): every
 * row is as the file beside it says; what is cut off, changed or not readable is refused in a clear sentence. */
#include "data_read_fixture.h"

#include <ctype.h>
#include <sys/stat.h>

struct rows { json_t *records, *errors; };

static void rows_release(struct rows *r)
{
    json_decref(r->records);
    json_decref(r->errors);
}

/* One line that can be printed and names the file. */
static void check_sentence(const char *message, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t len = strlen(message);
    bool is_printable = utf8_is_valid(message, len);
    for (size_t i = 0; i < len; i++) is_printable &= !iscntrl((unsigned char)message[i]);
    if (!is_printable || len < 30 || !strstr(message, slash + 1)) test_failed(__FILE__, __LINE__, "%s: the message is \"%s\"", path, message);
}

/* All records of `path`, and what is refused, until the end. `is_json` false: keys of a damaged file may stand twice. */
static void rows_read(struct rows *r, const char *path, bool is_json)
{
    const struct reader_config config = { &path, 1, 42 };
    struct reader *reader;
    bool more = true;
    *r = (struct rows){ json_array(), json_array() };
    CHECK_OK(reader_open(&reader, &config, err));
    while (more) {
        struct record record;
        sc_error e = { 0 };
        sc_status status = reader_next(reader, &record, &more, &e);
        if (status != SC_OK) {
            if (status != SC_E_FORMAT) test_failed(__FILE__, __LINE__, "%s: status %s: %s", path, sc_status_name(status), e.message);
            check_sentence(e.message, path);
            json_array_append_new(r->errors, json_string(e.message));
            if (json_array_size(r->errors) > 1000) test_failed(__FILE__, __LINE__, "%s: errors without end: %s", path, e.message);
        } else if (more) {
            json_t *value = json_true();
            if (is_json) CHECK_OK(json_read(&value, record.text, record.len, path, err));
            CHECK(record.line > 0 && record.text[record.len] == 0 && utf8_is_valid(record.text, record.len));
            json_array_append_new(r->records, value);
            record_release(&record);
        }
    }
    reader_close(reader);
}

static json_t *lines_read(const char *path)
{
    json_t *list = json_array();
    sc_text text = { 0 };
    CHECK_OK(file_read(&text, path, 1 << 20, err));
    for (const char *at = text.data, *feed; (feed = strchr(at, '\n')); at = feed + 1) {
        json_t *value;
        CHECK_OK(json_read(&value, at, (size_t)(feed - at), path, err));
        json_array_append_new(list, value);
    }
    sc_text_free(&text);
    return list;
}

static const char *golden(const char *name)
{
    static char relative[NAME_BYTES + 32];
    snprintf(relative, sizeof relative, "tests/golden/arrow/%s", name);
    return test_path(relative);
}

static void golden_read(sc_text *out, const char *name) { CHECK_OK(file_read(out, golden(name), 1 << 20, err)); }

/* As put_file, without waiting for the disk. */
static void put_bytes(char path[NAME_BYTES], const char *name, const void *bytes, size_t len)
{
    snprintf(path, NAME_BYTES, "%s/%s", test_scratch(), name);
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(bytes, 1, len, f) == len && fclose(f) == 0);
}

static void check_equal(const struct rows *r, const json_t *expected, const char *what)
{
    size_t i;
    const json_t *row;
    if (json_array_size(r->errors)) test_failed(__FILE__, __LINE__, "%s: refused: %s", what, json_string_value(json_array_get(r->errors, 0)));
    json_array_foreach(expected, i, row) {
        const json_t *found = json_array_get(r->records, i);
        if (!found || !json_equal(row, found)) test_failed(__FILE__, __LINE__, "%s: row %zu is\n  %s\nexpected\n  %s", what, i + 1, found ? json_dumps(found, 0) : "missing", json_dumps(row, 0));
    }
    CHECK_INT(json_array_size(r->records), json_array_size(expected));
}

/* ---- what is read ------------------------------------------------------------------------------------------------------------ */

static const struct { const char *name, *rows; } files[] = {
    { "types.arrow", "types.jsonl" }, { "types.file.arrow", "types.jsonl" }, { "types.v4.arrow", "types.jsonl" }, { "types.lz4.arrow", "types.jsonl" }, { "types.zstd.arrow", "types.jsonl" },
    { "nested.arrow", "nested.jsonl" }, { "nested.file.arrow", "nested.jsonl" }, { "dictionary_delta.arrow", "dictionary_delta.jsonl" }, { "dictionary_replaced.arrow", "dictionary_replaced.jsonl" },
    { "views.arrow", "views.jsonl" },
};

TEST(arrow_rows_are_as_written)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct rows r;
        json_t *expected = lines_read(golden(files[i].rows));
        rows_read(&r, golden(files[i].name), true);
        check_equal(&r, expected, files[i].name);
        rows_release(&r);
        json_decref(expected);
    }
}

/* Known by its first bytes under any name, also packed; without a mark in front (before version 5) by its name. */
TEST(arrow_is_known_by_content)
{
    static const char *const names[] = { "x.json", "x", "x.csv", "x.parquet", "x.feather", "x.arrow.gz", "x.zst" };
    json_t *expected = lines_read(golden("nested.jsonl"));
    for (int how = 0; how < 2; how++)
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            sc_text text = { 0 };
            struct buf packed;
            struct rows r;
            char path[NAME_BYTES];
            golden_read(&text, how ? "nested.file.arrow" : "nested.arrow");
            buf_init(&packed, 0);
            if (i < 5) buf_append(&packed, text.data, text.len);
            else (i == 5 ? gzip_append : zstd_append)(&packed, text.data, text.len);
            put_bytes(path, names[i], packed.data, packed.len);
            rows_read(&r, path, true);
            check_equal(&r, expected, names[i]);
            rows_release(&r);
            buf_release(&packed);
            sc_text_free(&text);
        }
    json_decref(expected);
}

/* What datasets keeps beside the rows is not read: descriptions, and results of map. */
TEST(arrow_directory_of_save_to_disk)
{
    struct rows r;
    sc_text text = { 0 };
    char path[NAME_BYTES];
    json_t *expected = lines_read(golden("dialogues.jsonl"));
    rows_read(&r, golden("dialogues"), true);
    check_equal(&r, expected, "dialogues");
    rows_release(&r);
    golden_read(&text, "dialogues/test/data-00000-of-00001.arrow");
    put_file(path, "set/state.json", "{}", 2);
    put_file(path, "set/dataset_info.json", "{}", 2);
    put_file(path, "set/cache-0123456789abcdef.arrow", text.data, text.len);
    put_file(path, "set/data-00000-of-00001.arrow", text.data, text.len);
    put_file(path, "other/cache-1.arrow", text.data, text.len);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", test_scratch(), i ? "other" : "set");
        rows_read(&r, path, true);
        CHECK_INT(json_array_size(r.records), 2);
        CHECK_INT(json_array_size(r.errors), 0);
        rows_release(&r);
    }
    sc_text_free(&text);
    json_decref(expected);
}

TEST(arrow_dialogues_of_a_directory)
{
    struct read_back b;
    read_file(&b, golden("dialogues"), NULL);
    CHECK_INT(json_array_size(b.errors), 0);
    CHECK_INT(json_array_size(b.dialogues), 9);
    CHECK_STR(b.places.data, "1.0 2.0 1.0 2.0 3.0 4.0 1.0 2.0 3.0");
    read_back_release(&b);
}

/* ---- what is refused --------------------------------------------------------------------------------------------------------- */

TEST(arrow_types_that_are_refused)
{
    static const char *const cases[][3] = {
        { "union", "column here", "Union" }, { "interval", "column here", "Interval" }, { "run_end", "column here", "RunEndEncoded" }, { "list_view", "column here", "ListView" },
        { "decimal256", "column here", "Decimal of 256 bits" }, { "twice", "column a", "two columns" }, { "key", "column here", "keys" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rows r;
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "refused/%s.arrow", cases[i][0]);
        rows_read(&r, golden(name), true);
        CHECK_INT(json_array_size(r.records), 0);
        CHECK_INT(json_array_size(r.errors), 1);
        const char *message = json_string_value(json_array_get(r.errors, 0));
        if (!strstr(message, cases[i][1]) || !strstr(message, cases[i][2])) test_failed(__FILE__, __LINE__, "%s: \"%s\"", name, message);
        rows_release(&r);
    }
}

/* A file of these bytes gives so many rows, and one message with these words. */
static void check_told(const void *bytes, size_t len, size_t n_rows, const char *words)
{
    struct rows r;
    char path[NAME_BYTES];
    put_bytes(path, "told.arrow", bytes, len);
    rows_read(&r, path, true);
    CHECK_INT(json_array_size(r.errors), 1);
    const char *message = json_string_value(json_array_get(r.errors, 0));
    if (!strstr(message, words)) test_failed(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", message, words);
    CHECK_INT(json_array_size(r.records), n_rows);
    rows_release(&r);
}

TEST(arrow_ends_that_are_refused)
{
    sc_text text = { 0 }, file = { 0 };
    struct buf b;
    golden_read(&text, "nested.arrow");
    golden_read(&file, "nested.file.arrow");
    buf_init(&b, 0);
    check_told(text.data, text.len - 8, 8, "without the end mark");
    check_told(text.data, text.len - 1, 8, "ends in the middle");
    buf_append(&b, text.data, text.len);
    buf_append(&b, text.data, text.len);
    check_told(b.data, b.len, 8, "behind the end of the stream");
    check_told(file.data, file.len - 1, 8, "does not end with ARROW1");
    buf_clear(&b);
    buf_append(&b, file.data, 8);                         /* a stream between the marks that lacks the last batch */
    buf_append(&b, text.data, text.len);
    buf_append(&b, file.data + 8 + text.len, file.len - 8 - text.len);
    struct rows r;
    char path[NAME_BYTES];
    put_bytes(path, "whole.arrow", b.data, b.len);
    rows_read(&r, path, true);
    CHECK_INT(json_array_size(r.records), 8);
    CHECK_INT(json_array_size(r.errors), 0);
    rows_release(&r);
    check_told("PK\3\4 no table", 13, 0, "no Arrow file");
    check_told("{\"messages\":[]}\n", 16, 0, "no Arrow file");
    check_told("FEA1\1\2\3\4\5\6\7\x08", 12, 0, "no Arrow file");
    check_told("", 0, 0, "ends without");
    buf_release(&b);
    sc_text_free(&text);
    sc_text_free(&file);
}

/* Text that is no UTF-8 costs its row alone. */
TEST(arrow_row_that_is_refused)
{
    sc_text text = { 0 };
    golden_read(&text, "dialogues/train/data-00000-of-00002.arrow");
    char *at = memmem(text.data, text.len, "question 1", 10);
    CHECK(at);
    at[3] = (char)0xC3;
    check_told(text.data, text.len, 3, "row 2 (batch 1): column messages.");
    sc_text_free(&text);
}

/* The length of the only batch, changed where it stands in the table of its message. */
TEST(arrow_batch_that_is_too_large)
{
    sc_text text = { 0 };
    golden_read(&text, "views.arrow");
    size_t at = text.len, found = 0;
    int32_t table;
    while (memcmp(text.data + at - 16, "\xFF\xFF\xFF\xFF", 4) != 0) at -= 8;             /* the message of the batch: before the end mark */
    memcpy(&table, text.data + at - 12, sizeof table);
    int64_t body = (int64_t)(text.len - 8 - (at - 8) - (size_t)table), large = (int64_t)1 << 31;
    for (size_t i = at; i < at + (size_t)table - 8 && !found; i += 8) if (memcmp(text.data + i, &body, sizeof body) == 0) found = i;
    CHECK(found);
    memcpy(text.data + found, &large, sizeof large);
    check_told(text.data, text.len, 0, "batch 1: it has 2048 MiB, more than the 1024 MiB that a batch may have");
    sc_text_free(&text);
}

/* ---- damage ------------------------------------------------------------------------------------------------------------------ */

/* Small files at every byte, larger ones at every `step`: reading opens a file twice, which takes the time. */
static const struct { const char *name; size_t step; } small[] = { { "views.arrow", 1 }, { "dictionary_delta.arrow", 1 }, { "nested.arrow", 7 }, { "nested.file.arrow", 7 }, { "types.lz4.arrow", 7 }, { "types.zstd.arrow", 7 } };

/* Cut off at any byte: told once, and never more rows than there were. */
TEST(arrow_cut_off_at_every_byte)
{
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        sc_text text = { 0 };
        size_t last = 0;
        golden_read(&text, small[i].name);
        for (size_t cut = 0; cut < text.len; cut += small[i].step) {
            struct rows r;
            char path[NAME_BYTES];
            put_bytes(path, "cut.arrow", text.data, cut);
            rows_read(&r, path, true);
            if (json_array_size(r.errors) != 1) test_failed(__FILE__, __LINE__, "%s cut at %zu: %zu errors", small[i].name, cut, json_array_size(r.errors));
            CHECK(json_array_size(r.records) >= last);
            last = json_array_size(r.records);
            rows_release(&r);
        }
        CHECK(last > 0);
        sc_text_free(&text);
    }
}

/* One bit or all bits of any byte: reading ends, and what is refused is told in a sentence. */
TEST(arrow_changed_at_every_byte)
{
    size_t n_told = 0;
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        sc_text text = { 0 };
        golden_read(&text, small[i].name);
        for (size_t at = 0; at < text.len; at += small[i].step) {
            struct rows r;
            char path[NAME_BYTES], was = text.data[at];
            text.data[at] ^= at % 3 ? (char)(1 << at % 8) : (char)0xFF;
            put_bytes(path, "hurt.arrow", text.data, text.len);
            text.data[at] = was;
            rows_read(&r, path, false);
            n_told += json_array_size(r.errors) > 0;
            rows_release(&r);
        }
        sc_text_free(&text);
    }
    CHECK(n_told > 1000);
}
