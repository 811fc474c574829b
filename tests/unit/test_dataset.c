/* test_dataset.c - shards and prepared directories: what is written is read back, and 60 kinds of damage are one sentence
 * each. */
#include "dataset_fixture.h"

#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

static size_t files_in(const char *directory)
{
    size_t n = 0;
    DIR *d = opendir(directory);
    while (d && readdir(d)) n++;
    if (d) closedir(d);
    return n - 2;
}

TEST(shard_round_trip)
{
    struct shard s;
    char *path = fixture_path("train-00000.sct");
    json_t *entry = fixture_shard("train-00000.sct", 3, fixture_id, fixture_flag, FIXTURE_TOKENS);
    CHECK_OK(shard_open(&s, path, err));
    CHECK_INT(s.n_rows, 3);
    CHECK_INT(s.n_segments, 6);
    CHECK_INT(s.n_tokens, 6 * FIXTURE_TOKENS);
    CHECK_INT(s.row_length, 3 * FIXTURE_TOKENS);
    CHECK_INT(s.row_begin[1], 3);
    CHECK_INT(s.row_begin[3], 6);
    for (size_t i = 0; i < s.n_segments; i++) {
        CHECK_INT(s.segment[i].line, i + 1);
        CHECK_INT(s.segment[i].length, FIXTURE_TOKENS);
        CHECK(memcmp(s.id + s.segment[i].token_begin, fixture_id, sizeof fixture_id) == 0);
        CHECK(memcmp(s.flag + s.segment[i].token_begin, fixture_flag, sizeof fixture_flag) == 0);
    }
    char hex[65];
    fixture_hash(hex, s.map.data, s.map.size);
    CHECK_STR(hex, json_string_value(json_object_get(entry, "sha256")));
    shard_close(&s);
    json_decref(entry);
    mem_free(path);
}

/* More than the spools hold in memory, with rows of their own lengths. */
TEST(shard_of_many_tokens)
{
    enum { N = 300000 };
    struct shard_writer *w = NULL;
    struct shard s;
    char *path = fixture_path("big.sct"), hex[65];
    int32_t *id = mem_alloc(N * sizeof *id);
    uint8_t *flag = mem_alloc(N);
    uint64_t rows;
    for (int32_t i = 0; i < N; i++) { id[i] = i; flag[i] = (uint8_t)(i % 7); }
    CHECK_OK(shard_writer_open(&w, path, 0, err));
    for (uint32_t at = 0, len = 1; at < N; at += len, len = len % 1000 + 1) {
        struct sample one = { .id = id + at, .flag = flag + at, .len = at + len < N ? len : N - at, .file = 3, .index = 2, .piece = 1, .line = at + 1 };
        CHECK_OK(shard_writer_put(w, &(struct row){ &one, 1, one.len }, err));
    }
    CHECK_INT(files_in(test_scratch()), 1);
    CHECK_OK(shard_writer_finish(w, hex, &rows, err));
    CHECK_OK(shard_open(&s, path, err));
    CHECK_INT(s.n_rows, rows);
    CHECK_INT(s.n_tokens, N);
    CHECK(memcmp(s.id, id, N * sizeof *id) == 0 && memcmp(s.flag, flag, N) == 0);
    CHECK(s.segment[5].file == 3 && s.segment[5].index == 2 && s.segment[5].piece == 1 && s.segment[5].line == s.segment[5].token_begin + 1);
    shard_close(&s);
    mem_free(id);
    mem_free(flag);
    mem_free(path);
}

TEST(shard_writer_leaves_nothing)
{
    struct shard_writer *w = NULL;
    char *path = fixture_path("gone.sct"), hex[65];
    struct sample one = { .id = (int32_t *)(uintptr_t)fixture_id, .flag = (uint8_t *)(uintptr_t)fixture_flag, .len = FIXTURE_TOKENS };
    CHECK_OK(shard_writer_open(&w, path, 0, err));
    CHECK_OK(shard_writer_put(w, &(struct row){ &one, 1, FIXTURE_TOKENS }, err));
    CHECK(!path_exists(path));
    shard_writer_discard(w);
    CHECK_INT(files_in(test_scratch()), 0);
    CHECK_FAILS(shard_writer_open(&w, "/nowhere/at/all.sct", 0, err), SC_E_IO, "/nowhere/at/all.sct");
    CHECK(w == NULL);
    /* An empty shard is well formed. */
    CHECK_OK(shard_writer_open(&w, path, 8, err));
    CHECK_OK(shard_writer_finish(w, hex, NULL, err));
    struct shard s;
    CHECK_OK(shard_open(&s, path, err));
    CHECK_INT(s.n_rows, 0);
    shard_close(&s);
    mem_free(path);
}

TEST(dataset_opens)
{
    sc_dataset *d = NULL;
    struct sample_place p;
    size_t len;
    fixture_write(fixture_id, fixture_flag, FIXTURE_TOKENS);
    CHECK_OK(sc_dataset_open(&d, test_scratch(), err));
    CHECK_INT(sc_dataset_samples(d, NULL), 4);
    CHECK_INT(sc_dataset_samples(d, "train"), 3);
    CHECK_INT(sc_dataset_samples(d, "test"), 1);
    CHECK_INT(sc_dataset_samples(d, "other"), 0);
    CHECK_OK(dataset_find(&p, d, NULL, 2, err));
    CHECK(p.shard == 0 && p.segment == 2 && p.row == 1);
    CHECK_OK(dataset_find(&p, d, NULL, 3, err));
    CHECK(p.shard == 1 && p.segment == 0 && p.row == 0);
    CHECK_OK(dataset_find(&p, d, "test", 0, err));
    CHECK_INT(p.shard, 1);
    CHECK_FAILS(dataset_find(&p, d, NULL, 4, err), SC_E_ARGUMENT, "no sample 4");
    CHECK_FAILS(dataset_find(&p, d, "train", 3, err), SC_E_ARGUMENT, "has 3 in split train");
    CHECK_FAILS(dataset_find(&p, d, "dev", 0, err), SC_E_ARGUMENT, "has no split \"dev\"; it has: train, test");
    const char *end = dataset_piece(d, END, &len);
    CHECK(end && len == 7 && memcmp(end, "<|end|>", len) == 0);
    CHECK(dataset_piece(d, UNKNOWN, &len) == NULL);
    CHECK(dataset_piece(d, FIXTURE_VOCAB, &len) == NULL && dataset_piece(d, -1, &len) == NULL);
    CHECK_STR(dataset_file(d, 0), "chat.jsonl");
    CHECK_STR(dataset_file(d, 1), "");
    sc_dataset_close(d);
    sc_dataset_close(NULL);
}

TEST(dataset_is_not_there)
{
    sc_dataset *d = NULL;
    char *path = fixture_path("nowhere");
    CHECK_FAILS(sc_dataset_open(&d, path, err), SC_E_IO, "does not exist; expected a directory written by `starchat data prepare`");
    CHECK_FAILS(sc_dataset_open(&d, test_scratch(), err), SC_E_IO, "has no dataset.json");
    CHECK(d == NULL);
    mem_free(path);
}

/* ---- damage ------------------------------------------------------------------------------------------------------------ */

/* Opens the directory, expects a refusal with `part` in one sentence. */
static void refused(int line, const char *part)
{
    sc_dataset *d = NULL;
    sc_error err = { 0 };
    sc_status status = sc_dataset_open(&d, test_scratch(), &err);
    bool is_fine = status != SC_OK && strstr(err.message, part) && !strchr(err.message, '\n');
    if (!is_fine) test_failed(__FILE__, line, "status %s, message \"%s\", expected one sentence with \"%s\"", sc_status_name(status), err.message, part);
    sc_dataset_close(d);
}

static void put_bytes(const char *name, size_t at, const void *bytes, size_t len)
{
    char *path = fixture_path(name);
    FILE *f = fopen(path, "r+b");
    CHECK(f && fseek(f, (long)at, SEEK_SET) == 0 && fwrite(bytes, 1, len, f) == len && fclose(f) == 0);
    mem_free(path);
}

static void cut(const char *name, long size)
{
    char *path = fixture_path(name);
    CHECK(truncate(path, size) == 0);
    mem_free(path);
}

/* Shard of the split train: 64 of header, 3 row begins, 3 segments of 32 from 88 on, 48 ids from 184 on, 48 flags. */
enum { ROWS_AT = 64, SEGMENTS_AT = 88, IDS_AT = 184, SHARD_BYTES = 184 + 48 * 5 };

TEST(damaged_shards)
{
    static const struct { size_t at; uint64_t value; size_t bytes; const char *part; } rows[] = {
        { 0, 0x4e454b4f54435331, 8, "does not begin with SCTOKENS" }, { 8, 2, 4, "has version 2" }, { 8, 0, 4, "has version 0" },
        { 12, 31, 4, "row 0 has 32 tokens, expected at most 31" }, { 16, 3, 8, "is torn" }, { 16, 1, 8, "is torn" }, { 16, UINT64_MAX, 8, "more rows" },
        { 16, UINT64_MAX / 8, 8, "more rows" }, { 16, (uint64_t)1 << 61, 8, "more rows" }, { 24, 2, 8, "is torn" }, { 24, UINT64_MAX, 8, "more rows" }, { 24, (uint64_t)1 << 59, 8, "more rows" },
        { 32, 47, 8, "is torn" }, { 32, UINT64_MAX, 8, "more rows" }, { 32, UINT64_MAX / 5 + 1, 8, "more rows" }, { 40, 1, 8, "not zero" }, { 56, 7, 8, "not zero" },
        { ROWS_AT, 1, 8, "rows go from sample 1" }, { ROWS_AT + 8, 0, 8, "row 0 goes from sample 0 to 0" }, { ROWS_AT + 8, 3, 8, "row 0 has 48 tokens, expected at most 32" },
        { ROWS_AT + 8, UINT64_MAX, 8, "row 0 goes from sample 0 to 18446744073709551615 of 3" }, { ROWS_AT + 16, 2, 8, "rows go from sample 0 to 2, expected 0 to 3" },
        { ROWS_AT + 8, 4, 8, "to 4 of 3" }, { SEGMENTS_AT, 1, 8, "sample 0 begins at token 1" }, { SEGMENTS_AT + 32, 0, 8, "sample 1 begins at token 0, expected 16" },
        { SEGMENTS_AT + 32, UINT64_MAX, 8, "sample 1 begins" }, { SEGMENTS_AT + 16, 0, 4, "sample 0 has 0 tokens" }, { SEGMENTS_AT + 16, 49, 4, "sample 0 has 49 tokens, expected 1 to 48" },
        { SEGMENTS_AT + 16, UINT32_MAX, 4, "sample 0 has 4294967295 tokens" }, { SEGMENTS_AT + 64 + 16, 15, 4, "its samples have 47 tokens" }, { SEGMENTS_AT + 64 + 16, 17, 4, "sample 2 has 17 tokens" },
        { SEGMENTS_AT + 20, 1, 4, "sample 0 comes from file 1, dataset.json names 1" }, { SEGMENTS_AT + 84, UINT32_MAX, 4, "sample 2 comes from file 4294967295" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture_write(fixture_id, fixture_flag, FIXTURE_TOKENS);
        put_bytes("train-00000.sct", rows[i].at, &rows[i].value, rows[i].bytes);
        refused(__LINE__, rows[i].part);
    }
    static const long sizes[] = { 0, 1, 63, 64, 65, SEGMENTS_AT, IDS_AT, SHARD_BYTES - 1, SHARD_BYTES + 1 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        fixture_write(fixture_id, fixture_flag, FIXTURE_TOKENS);
        cut("train-00000.sct", sizes[i]);
        refused(__LINE__, "is torn");
    }
}

TEST(damaged_tokens)
{
    enum { TABLE = 16 };
    static const struct { size_t at; uint64_t value; size_t bytes; const char *part; } rows[] = {
        { 0, 0, 8, "does not begin with SCPIECES" }, { 8, 2, 4, "has version 2" }, { 12, FIXTURE_VOCAB + 1, 4, "tokens.bin" }, { 12, FIXTURE_VOCAB - 1, 4, "tokens.bin" },
        { 12, UINT32_MAX, 4, "is torn" }, { 12, INT32_MAX, 4, "is torn" }, { TABLE, 1, 8, "token 0 begins at byte 1" }, { TABLE + 8, 1000, 8, "token 1 begins at byte 1000" },
        { TABLE + 16, 3, 8, "token 2 begins at byte 3, expected 7" }, { TABLE + 8 * FIXTURE_VOCAB, UINT64_MAX, 8, "token 11 begins" }, { TABLE + 8 * FIXTURE_VOCAB, 53, 8, "tokens.bin" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture_write(fixture_id, fixture_flag, FIXTURE_TOKENS);
        put_bytes("tokens.bin", rows[i].at, &rows[i].value, rows[i].bytes);
        refused(__LINE__, rows[i].part);
    }
    for (long size = 0; size < 150; size += 7) {
        fixture_write(fixture_id, fixture_flag, FIXTURE_TOKENS);
        cut("tokens.bin", size);
        refused(__LINE__, "tokens.bin");
    }
}

/* `path`: members to follow; the last is set to `value` (JSON), or taken away if that is NULL. */
static void damage_manifest(json_t *m, const char *path, const char *value)
{
    char key[40];
    json_t *at = m;
    for (size_t n; ; path += n + 1) {
        n = strcspn(path, "/");
        snprintf(key, sizeof key, "%.*s", (int)n, path);
        if (!path[n]) break;
        at = json_is_array(at) ? json_array_get(at, strtoul(key, NULL, 10)) : json_object_get(at, key);
    }
    json_t *v = value ? json_loads(value, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    CHECK(!value || v);
    if (json_is_array(at)) json_array_set_new(at, strtoul(key, NULL, 10), v);
    else if (v) json_object_set_new(at, key, v);
    else CHECK(json_object_del(at, key) == 0);
}

TEST(damaged_manifests)
{
    static const struct { const char *path, *value, *part; } rows[] = {
        { "format", NULL, "\"format\" is not" }, { "format", "\"other\"", "\"format\" is not" }, { "format", "3", "expected a string" }, { "version", "2", "has version 2" },
        { "version", NULL, "version" }, { "version", "\"1\"", "version" }, { "version", "-1", "version" }, { "options", NULL, "\"options\" is missing" }, { "stats", "[]", "\"stats\" is missing or not an object" },
        { "template", "null", "\"template\"" }, { "tokenizer", "3", "\"tokenizer\"" }, { "tokenizer/vocab", "0", "vocab" }, { "tokenizer/vocab", "12", "tokens.bin has 11 tokens, dataset.json counts 12" },
        { "tokenizer/vocab", "1e99", "vocab" }, { "tokenizer/sha256", "\"abc\"", "sha256" }, { "tokenizer/sha256", NULL, "sha256" }, { "tokenizer/added", "[3]", "id" },
        { "tokenizer/added", "[{\"id\":11,\"content\":\"x\"}]", "id" }, { "tokenizer/added", "[{\"id\":1,\"content\":7}]", "content" }, { "end_token", "-2", "end_token" }, { "end_token", "11", "end_token" },
        { "end_token", "\"<|end|>\"", "end_token" }, { "files", "{}", "\"files\"" }, { "files", "[1]", "files[0] is not a string" }, { "files", "[]", "comes from file 0, dataset.json names 0" },
        { "splits", NULL, "\"splits\"" }, { "splits", "[]", "\"splits\"" }, { "splits/train", "{}", "split \"train\" has no list" }, { "splits/train", "[]", "split \"train\" has no list" },
        { "splits/train/shards", "{}", "has no list" }, { "splits/train/shards/0", "3", "shard 0 of split train is not an object" }, { "splits/train/shards/0/file", NULL, "\"file\" is \"\"" },
        { "splits/train/shards/0/file", "7", "expected a string" }, { "splits/train/shards/0/file", "\"../train-00000.sct\"", "name of a file in the same directory" },
        { "splits/train/shards/0/file", "\"/dev/zero\"", "name of a file in the same directory" }, { "splits/train/shards/0/file", "\"..\"", "name of a file" },
        { "splits/train/shards/0/file", "\"a\\u0000b\"", "" }, { "splits/train/shards/0/file", "\"dataset.json\"", "SCTOKENS" }, { "splits/train/shards/0/file", "\"missing.sct\"", "cannot open" },
        { "splits/train/shards/0/sha256", "\"ABC\"", "64 hexadecimal" }, { "splits/train/shards/0/rows", "3", "has 2 rows, dataset.json counts 3" }, { "splits/train/shards/0/rows", "-1", "rows" },
        { "splits/train/shards/0/rows", "\"2\"", "rows" }, { "splits/train/shards/0/samples", "9", "has 3 samples, dataset.json counts 9" }, { "splits/train/shards/0/tokens", NULL, "tokens" },
        { "splits/train/shards/0/tokens", "4000000000000000000", "has 48 tokens" }, { "splits/train/shards/0/trained", "1.5", "trained" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *m = fixture_manifest(fixture_shard("train-00000.sct", 2, fixture_id, fixture_flag, FIXTURE_TOKENS), NULL);
        damage_manifest(m, rows[i].path, rows[i].value);
        fixture_write_manifest(m);
        refused(__LINE__, rows[i].part);
    }
}

TEST(damaged_json)
{
    static const struct { const char *text, *part; } rows[] = {
        { "", "not valid JSON" }, { "{", "not valid JSON" }, { "[]", "not a JSON object" }, { "3", "not a JSON object" }, { "{}", "\"format\" is not" }, { "{\"format\":\"starchat-tokens\",\"format\":1}", "not valid JSON" },
        { "\xff\xfe", "not valid JSON" },
    };
    char *path = fixture_path("dataset.json"), *deep = mem_alloc(100000);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_OK(file_write(path, rows[i].text, strlen(rows[i].text), err));
        refused(__LINE__, rows[i].part);
    }
    memset(deep, '[', 100000);
    CHECK_OK(file_write(path, deep, 100000, err));
    refused(__LINE__, "deeper than");
    fixture_write(fixture_id, fixture_flag, FIXTURE_TOKENS);
    for (long size = 1; size < 2000; size += 97) {
        fixture_write(fixture_id, fixture_flag, FIXTURE_TOKENS);
        cut("dataset.json", size);
        refused(__LINE__, "dataset.json: not valid JSON");
    }
    mem_free(path);
    mem_free(deep);
}

/* A process that dies while it writes leaves no shard and no spool, at most the file under its temporary name. */
TEST(shard_writer_dies)
{
    char *path = fixture_path("train-00000.sct");
    pid_t child = fork();
    if (child == 0) {
        struct shard_writer *w = NULL;
        struct sample one = { .id = (int32_t *)(uintptr_t)fixture_id, .flag = (uint8_t *)(uintptr_t)fixture_flag, .len = FIXTURE_TOKENS };
        if (shard_writer_open(&w, path, 0, NULL) != SC_OK) _exit(1);
        for (int i = 0; i < 100000; i++) (void)shard_writer_put(w, &(struct row){ &one, 1, FIXTURE_TOKENS }, NULL);
        _exit(7);
    }
    int how = 0;
    CHECK(waitpid(child, &how, 0) == child && WIFEXITED(how) && WEXITSTATUS(how) == 7);
    CHECK(!path_exists(path));
    CHECK(files_in(test_scratch()) <= 1);
    mem_free(path);
}
