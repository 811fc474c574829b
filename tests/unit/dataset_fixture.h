/* dataset_fixture.h - a small prepared directory for tests: two samples in a row of 32, one more in a row of its own, and
 * one of the test split. A test may change the manifest, a file or a token before it opens the directory. */
#ifndef DATASET_FIXTURE_H
#define DATASET_FIXTURE_H

#include "data/dataset.h"
#include "test.h"

enum { END, USER, ASSISTANT, NEWLINE, HI, E_FIRST, E_SECOND, UNKNOWN, THERE, ESCAPE, SYSTEM, FIXTURE_VOCAB };
static const char *const fixture_pieces[FIXTURE_VOCAB] = { "<|end|>", "<|user|>", "<|assistant|>", "\n", "Hi", "\xC3", "\xA9", "", " there", "\x1b[31m", "<|system|>" };

#define FLAG(who, trained, why) (uint8_t)((who) | ((trained) ? FLAG_TRAINED : 0) | (why) << FLAG_WHY_SHIFT)
#define TEMPLATE FLAG(WHO_TEMPLATE, 0, WHY_NOT_ASSISTANT)
#define ASKED    FLAG(WHO_USER, 0, WHY_NOT_ASSISTANT)
#define PROMPT   FLAG(WHO_ASSISTANT, 0, WHY_IN_PROMPT)
#define ANSWER   FLAG(WHO_ASSISTANT, 1, WHY_ANSWER)
#define ENDS     FLAG(WHO_ASSISTANT, 1, WHY_END)
#define BEHIND   FLAG(WHO_ASSISTANT, 0, WHY_BEHIND_END)

static const int32_t fixture_id[] = { SYSTEM, NEWLINE, END, NEWLINE, USER, NEWLINE, HI, THERE, END, NEWLINE, ASSISTANT, NEWLINE, E_FIRST, E_SECOND, END, NEWLINE };
static const uint8_t fixture_flag[] = { TEMPLATE, TEMPLATE, TEMPLATE, TEMPLATE, ASKED, ASKED, ASKED, ASKED, ASKED, ASKED, PROMPT, ANSWER, ANSWER, ANSWER, ENDS, BEHIND };
enum { FIXTURE_TOKENS = sizeof fixture_flag, FIXTURE_TRAINED = 4 };

static inline void fixture_hash(char hex[65], const void *data, size_t len)
{
    struct sha256 h;
    sha256_begin(&h);
    sha256_add(&h, data, len);
    sha256_end(&h, hex);
}

static inline char *fixture_path(const char *name) { return path_join(test_scratch(), name); }

/* tokens.bin by hand; returns its digest. */
static inline void fixture_tokens(char hex[65])
{
    struct buf b;
    uint32_t head[2] = { 1, FIXTURE_VOCAB };
    uint64_t at = 0;
    buf_init(&b, 0);
    buf_append(&b, "SCPIECES", 8);
    buf_append(&b, head, sizeof head);
    for (size_t i = 0; i <= FIXTURE_VOCAB; i++) {
        buf_append(&b, &at, sizeof at);
        if (i < FIXTURE_VOCAB) at += strlen(fixture_pieces[i]);
    }
    for (size_t i = 0; i < FIXTURE_VOCAB; i++) buf_puts(&b, fixture_pieces[i]);
    char *path = fixture_path("tokens.bin");
    CHECK_OK(file_write(path, b.data, b.len, err));
    fixture_hash(hex, b.data, b.len);
    mem_free(path);
    buf_release(&b);
}

/* A shard of `rows` rows, row i with rows - i copies of the sample, from lines 1, 2, ... of the only file. */
static inline json_t *fixture_shard(const char *name, size_t rows, const int32_t *id, const uint8_t *flag, uint32_t len)
{
    struct shard_writer *w = NULL;
    char *path = fixture_path(name), hex[65] = "";
    uint64_t line = 0, written = 0, trained = 0;
    CHECK_OK(shard_writer_open(&w, path, rows * len, err));
    for (size_t i = 0; i < rows; i++) {
        struct sample s[8];
        size_t n = rows - i;
        for (size_t k = 0; k < n; k++) s[k] = (struct sample){ .id = (int32_t *)(uintptr_t)id, .flag = (uint8_t *)(uintptr_t)flag, .len = len, .line = ++line };
        CHECK_OK(shard_writer_put(w, &(struct row){ s, n, (uint32_t)n * len }, err));
    }
    uint64_t tokens = shard_writer_tokens(w);
    CHECK_OK(shard_writer_finish(w, hex, &written, err));
    CHECK_INT(written, rows);
    for (size_t i = 0; i < len; i++) trained += flag_trained(flag[i]);
    mem_free(path);
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "file", name, "sha256", hex, "rows", (json_int_t)rows, "samples", (json_int_t)line, "tokens", (json_int_t)tokens, "trained",
                     (json_int_t)(trained * line));
}

static inline json_t *fixture_stats(void)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:{s:i, s:i, s:i}, s:{s:{s:i, s:i, s:i, s:i}}, s:{s:{s:i, s:i, s:i, s:i}}, s:[i,i,i,i,i], s:{s:i}, s:i, s:i, s:i, s:i, s:i, s:i}", "rows", 3, "dialogues", 4, "turns", 8,
                     "tokens", 4 * FIXTURE_TOKENS, "trained", 4 * FIXTURE_TRAINED, "per_role", "template", 16, "user", 24, "assistant", 24, "per_source", "chat.jsonl", "dialogues", 4, "samples", 4, "tokens", 64,
                     "trained", 16, "per_language", "en", "dialogues", 4, "samples", 4, "tokens", 64, "trained", 16, "lengths", 0, 0, 0, 0, 4, "dropped", "duplicate", 1, "truncated", 0, "duplicates", 1, "merged_turns", 2,
                     "emails", 0, "ips", 0, "keys", 0);
}

/* A manifest of the shards; the caller changes and writes it. */
static inline json_t *fixture_manifest(json_t *train, json_t *test)
{
    char hex[65], zero[65];
    fixture_tokens(hex);
    fixture_hash(zero, "", 0);
    json_t *m = json_pack("{s:s, s:i, s:s, s:{s:s, s:s, s:i, s:[{s:i, s:s}, {s:i, s:s}]}, s:{s:s, s:s, s:s}, s:i, s:{s:s}, s:[{s:s, s:i, s:s, s:i}], s:[s], s:{s:{s:[o]}}, s:o}", "format", "starchat-tokens", "version", 1,
                          "program", "0.1.0", "tokenizer", "name", "tiny", "sha256", hex, "vocab", FIXTURE_VOCAB, "added", "id", END, "content", "<|end|>", "id", USER, "content", "<|user|>", "template", "name",
                          "no_system", "sha256", zero, "source", "", "end_token", END, "options", "train_on", "assistant", "inputs", "file", "chat.jsonl", "bytes", 100, "sha256", zero, "records", 4, "files",
                          "chat.jsonl", "splits", "train", "shards", train, "stats", fixture_stats());
    if (test) json_object_set_new(json_object_get(m, "splits"), "test", json_pack("{s:[o]}", "shards", test));
    return m;
}

static inline void fixture_write_manifest(json_t *m)
{
    sc_text text = { 0 };
    char *path = fixture_path("dataset.json");
    CHECK(json_write(&text, m, true) == SC_OK);
    CHECK_OK(file_write(path, text.data, text.len, err));
    sc_text_free(&text);
    mem_free(path);
    json_decref(m);
}

/* The whole directory with these tokens in every sample of the split "train". */
static inline void fixture_write(const int32_t *id, const uint8_t *flag, uint32_t len)
{
    json_t *train = fixture_shard("train-00000.sct", 2, id, flag, len);
    fixture_write_manifest(fixture_manifest(train, fixture_shard("test-00000.sct", 1, fixture_id, fixture_flag, FIXTURE_TOKENS)));
}

#endif
