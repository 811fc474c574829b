/* test_dataset_show.c - what show, stats and verify say of a prepared directory, and what verify refuses. */
#include "dataset_fixture.h"

#include <stdlib.h>

static sc_dataset *open_fixture(void)
{
    sc_dataset *d = NULL;
    CHECK_OK(sc_dataset_open(&d, test_scratch(), err));
    return d;
}

static json_t *sample_of(const sc_dataset *d, const char *split, uint64_t i)
{
    sc_text text = { 0 };
    CHECK_OK(sc_dataset_sample(&text, d, split, i, err));
    json_t *sample = json_loadb(text.data, text.len, 0, NULL);
    sc_text_free(&text);
    return sample;
}

static const char *text_at(const json_t *sample, size_t token, const char *key)
{
    const char *text = json_string_value(json_object_get(json_array_get(json_object_get(sample, "tokens"), token), key));
    return text ? text : "(none)";
}

static json_int_t number(const json_t *o, const char *key) { return json_integer_value(json_object_get(o, key)); }

/* ---- show ---------------------------------------------------------------------------------------------------------------- */

TEST(sample_shows_every_token)
{
    fixture_write(fixture_id, fixture_flag, FIXTURE_TOKENS);
    sc_dataset *d = open_fixture();
    json_t *s = sample_of(d, NULL, 2);
    struct buf all;
    buf_init(&all, 0);
    CHECK_STR(json_string_value(json_object_get(s, "split")), "train");
    CHECK_STR(json_string_value(json_object_get(s, "source")), "chat.jsonl");
    CHECK_INT(number(s, "row"), 1);
    CHECK_INT(number(s, "sample"), 2);
    CHECK_INT(number(s, "line"), 3);
    CHECK_INT(json_array_size(json_object_get(s, "tokens")), FIXTURE_TOKENS);
    for (size_t i = 0; i < FIXTURE_TOKENS; i++) {
        const json_t *token = json_array_get(json_object_get(s, "tokens"), i);
        CHECK_INT(number(token, "id"), fixture_id[i]);
        CHECK(json_is_true(json_object_get(token, "trained")) == flag_trained(fixture_flag[i]));
        CHECK_STR(text_at(s, i, "role"), who_names[flag_who(fixture_flag[i])]);
        CHECK_STR(text_at(s, i, "why"), why_help[flag_why(fixture_flag[i])]);
        buf_puts(&all, text_at(s, i, "piece"));
    }
    CHECK_STR(all.data, "<|system|>\n<|end|>\n<|user|>\nHi there<|end|>\n<|assistant|>\n\xC3\xA9<|end|>\n");
    CHECK_STR(text_at(s, 12, "piece"), "");              /* the first byte of a character stands with the second */
    CHECK_STR(text_at(s, 13, "piece"), "\xC3\xA9");
    buf_release(&all);
    json_decref(s);
    sc_dataset_close(d);
}

TEST(sample_of_broken_bytes)
{
    static const int32_t id[] = { ASSISTANT, E_SECOND, E_FIRST, HI, ESCAPE, E_FIRST, END, E_FIRST };
    static const uint8_t flag[] = { PROMPT, ANSWER, ANSWER, ANSWER, ANSWER, ANSWER, ENDS, ANSWER };
    fixture_write(id, flag, 8);
    sc_dataset *d = open_fixture();
    json_t *s = sample_of(d, "train", 0);
    CHECK_STR(text_at(s, 1, "piece"), "\xEF\xBF\xBD");
    CHECK_STR(text_at(s, 2, "piece"), "");
    CHECK_STR(text_at(s, 3, "piece"), "\xEF\xBF\xBDHi");
    CHECK_STR(text_at(s, 4, "piece"), "\x1b[31m");
    CHECK_STR(text_at(s, 6, "piece"), "\xEF\xBF\xBD<|end|>");
    CHECK_STR(text_at(s, 7, "piece"), "\xEF\xBF\xBD");
    json_decref(s);
    sc_text text = { 0 };
    CHECK_FAILS(sc_dataset_sample(&text, d, "train", 99, err), SC_E_ARGUMENT, "no sample 99");
    CHECK_FAILS(sc_dataset_sample(&text, d, "tset", 0, err), SC_E_ARGUMENT, "no split \"tset\"");
    CHECK(text.data == NULL);
    sc_dataset_close(d);
}

static void join_piece(void *user, const struct token_view *t)
{
    CHECK(utf8_is_valid(t->piece, t->len));
    buf_append(user, t->piece, t->len);
}

/* 20,000 random tokens, one for each byte, so that characters break everywhere: the pieces joined are the bytes with every
 * broken part replaced, as a decoder of the whole would do it. */
TEST(pieces_joined_are_the_text)
{
    enum { VOCAB = 256, ROUNDS = 200, TOKENS = 100, TABLE = 16 + 8 * (VOCAB + 1) };
    static const unsigned char leads[] = { 0xC3, 0xE6, 0xBC, 0xA2, 0xF0, 0x9F, 0x98, 0x80, 0xED, 0xA0, 0xF4, 0x90, 'a', '\n', 0xFF, 0xA9 };
    uint8_t pieces[TABLE + VOCAB] = "SCPIECES", flag[TOKENS];
    uint32_t head[2] = { 1, VOCAB }, n;
    int32_t id[TOKENS];
    uint64_t row_begin[2] = { 0, 1 };
    struct shard_segment segment = { .length = TOKENS };
    struct shard s = { .n_rows = 1, .n_segments = 1, .n_tokens = TOKENS, .row_begin = row_begin, .segment = &segment, .id = id, .flag = flag };
    struct sc_dataset d = { .path = (char *)(uintptr_t)"random", .shard = &s, .n_shards = 1, .pieces = { pieces, sizeof pieces }, .n_pieces = VOCAB };
    memcpy(pieces + 8, head, sizeof head);
    for (uint64_t i = 0; i <= VOCAB; i++) memcpy(pieces + 16 + 8 * i, &i, sizeof i);
    for (size_t i = 0; i < VOCAB; i++) pieces[TABLE + i] = (uint8_t)i;
    CHECK_OK(pieces_check(pieces, sizeof pieces, "random", &n, err));
    memset(flag, ANSWER, sizeof flag);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct buf joined, bytes, expected;
        buf_init(&joined, 0);
        buf_init(&bytes, 0);
        buf_init(&expected, 0);
        for (size_t i = 0; i < TOKENS; i++) {
            uint32_t r = random_u32(7, round, i);
            id[i] = r & 1 ? leads[(r >> 8) % sizeof leads] : (int32_t)(r >> 8) % VOCAB;
            buf_putc(&bytes, (char)id[i]);
        }
        CHECK_OK(dataset_tokens(&d, &(struct sample_place){ 0, 0, 0 }, join_piece, &joined, err));
        utf8_repair(&expected, bytes.data, bytes.len);
        CHECK(joined.len == expected.len && memcmp(joined.data, expected.data, expected.len) == 0);
        buf_release(&joined);
        buf_release(&bytes);
        buf_release(&expected);
    }
}

/* ---- stats --------------------------------------------------------------------------------------------------------------- */

TEST(stats_count_the_shards)
{
    sc_text text = { 0 };
    fixture_write(fixture_id, fixture_flag, FIXTURE_TOKENS);
    sc_dataset *d = open_fixture();
    CHECK_OK(sc_dataset_stats(&text, d, err));
    json_t *s = json_loadb(text.data, text.len, 0, NULL), *train = json_object_get(json_object_get(s, "splits"), "train");
    CHECK_INT(number(s, "samples"), 4);
    CHECK_INT(number(s, "tokens"), 4 * FIXTURE_TOKENS);
    CHECK_INT(number(s, "trained"), 4 * FIXTURE_TRAINED);
    CHECK(fabs(json_real_value(json_object_get(s, "trained_share")) - 0.25) < 1e-9);
    CHECK(fabs(json_real_value(json_object_get(train, "fill")) - 0.75) < 1e-9);
    CHECK_INT(number(s, "packed_rows"), 3);
    CHECK_INT(number(train, "packed_rows"), 2);
    CHECK_INT(number(train, "samples"), 3);
    CHECK_INT(number(s, "median"), FIXTURE_TOKENS);
    CHECK_INT(number(s, "longest"), FIXTURE_TOKENS);
    CHECK_INT(number(s, "turns"), 8);
    CHECK_INT(number(s, "duplicates"), 1);
    CHECK_INT(number(json_object_get(s, "per_role"), "user"), 24);
    CHECK_INT(number(json_object_get(s, "trained_per_role"), "assistant"), 16);
    CHECK(json_object_get(json_object_get(s, "trained_per_role"), "user") == NULL);
    CHECK_INT(number(json_object_get(json_object_get(s, "per_source"), "chat.jsonl"), "trained"), 16);
    CHECK_INT(json_array_size(json_object_get(s, "lengths")), 5);
    CHECK_INT(json_integer_value(json_array_get(json_object_get(s, "lengths"), 4)), 4);
    json_decref(s);
    sc_text_free(&text);
    sc_dataset_close(d);
}

/* ---- pages --------------------------------------------------------------------------------------------------------------- */

static size_t occurrences(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part)) n++;
    return n;
}

/* A page asks for nothing from outside and runs nothing. */
static void check_harmless(const sc_text *page)
{
    static const char *const parts[] = { "http:", "https:", "<script", "src=", "url(", "@import", "onload", "javascript:" };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(page->data, parts[i])) test_failed(__FILE__, __LINE__, "the page contains %s", parts[i]);
    CHECK(strncmp(page->data, "<!doctype html>", 15) == 0);
    CHECK(strstr(page->data, "default-src 'none'") != NULL);
    CHECK(strstr(page->data, "prefers-color-scheme:dark") != NULL);
    CHECK(utf8_is_valid(page->data, page->len));
}

TEST(page_of_samples)
{
    sc_text page = { 0 };
    fixture_write(fixture_id, fixture_flag, FIXTURE_TOKENS);
    sc_dataset *d = open_fixture();
    CHECK_OK(sc_dataset_html(&page, d, "train", 1, 2, err));
    check_harmless(&page);
    CHECK_INT(occurrences(page.data, "<section>"), 2);
    CHECK_INT(occurrences(page.data, "</section>"), 2);
    CHECK(strstr(page.data, "sample 1 of train") && strstr(page.data, "sample 2 of train") && !strstr(page.data, "sample 0 of"));
    CHECK_INT(occurrences(page.data, "<div"), occurrences(page.data, "</div>"));
    CHECK_INT(occurrences(page.data, "title=\"10, not trained: not the assistant&#39;s\""), 2);
    CHECK_INT(occurrences(page.data, "<|user|>"), 0);     /* in one piece only as text */
    CHECK_INT(occurrences(page.data, "&lt;|user|&gt;"), 4);
    CHECK_INT(occurrences(page.data, "16 tokens, 4 trained (25.0 %)"), 2);
    sc_text_free(&page);
    CHECK_FAILS(sc_dataset_html(&page, d, "train", 2, 2, err), SC_E_ARGUMENT, "no sample 3");
    CHECK_FAILS(sc_dataset_html(&page, d, NULL, 0, 1001, err), SC_E_ARGUMENT, "too much for a browser");
    CHECK(page.data == NULL);
    sc_dataset_close(d);
}

/* Names and texts of the data can be anything. */
TEST(page_of_hostile_names)
{
    static const char evil[] = "<script>alert(1)</script>\"'&\xE2\x80\xAE\x1b[2J";
    sc_text page = { 0 };
    json_t *m = fixture_manifest(fixture_shard("train-00000.sct", 2, fixture_id, fixture_flag, FIXTURE_TOKENS), NULL), *stats = json_object_get(m, "stats");
    json_object_set_new(json_object_get(m, "tokenizer"), "name", json_string(evil));
    json_object_set_new(json_object_get(m, "template"), "name", json_string(evil));
    json_object_set_new(json_object_get(m, "options"), evil, json_string(evil));
    json_array_set_new(json_object_get(m, "files"), 0, json_string(evil));
    json_object_set_new(json_array_get(json_object_get(m, "inputs"), 0), "file", json_string(evil));
    json_object_set_new(json_object_get(stats, "per_language"), evil, json_pack("{s:i}", "tokens", 5));
    json_object_set_new(json_object_get(stats, "dropped"), evil, json_integer(3));
    json_object_set_new(stats, evil, json_integer(3));
    fixture_write_manifest(m);
    sc_dataset *d = open_fixture();
    for (uint64_t n = 0; n < 2; n++) {
        CHECK_OK(sc_dataset_html(&page, d, NULL, 0, n, err));
        check_harmless(&page);
        CHECK(!strchr(page.data, 0x1b) && !strstr(page.data, "\xE2\x80\xAE"));
        CHECK(strstr(page.data, "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;[U+202E][U+001B][2J") != NULL);
        sc_text_free(&page);
    }
    sc_dataset_close(d);
}

/* Whatever a manifest says of the statistics, the page and the counts survive it. */
TEST(stats_of_strange_manifests)
{
    static const char *const values[] = { "null", "true", "-5", "9223372036854775807", "1e300", "\"x\"", "[]", "[1,-2,\"x\",null,{}]", "{}", "{\"a\":null,\"b\":[],\"c\":{\"tokens\":-1,\"trained\":9}}" };
    static const char *const keys[] = { "rows", "tokens", "per_role", "per_source", "per_language", "lengths", "dropped", "duplicates", "splits", "fill" };
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            sc_text page = { 0 }, json = { 0 };
            json_t *m = fixture_manifest(fixture_shard("train-00000.sct", 2, fixture_id, fixture_flag, FIXTURE_TOKENS), NULL);
            json_object_set_new(json_object_get(m, "stats"), keys[k], json_loads(values[v], JSON_DECODE_ANY, NULL));
            fixture_write_manifest(m);
            sc_dataset *d = open_fixture();
            CHECK_OK(sc_dataset_html(&page, d, NULL, 0, 0, err));
            CHECK_OK(sc_dataset_stats(&json, d, err));
            check_harmless(&page);
            sc_text_free(&page);
            sc_text_free(&json);
            sc_dataset_close(d);
        }
}

/* ---- verify -------------------------------------------------------------------------------------------------------------- */

/* Writes the fixture with one token changed, under a policy, and verifies it; NULL: it must pass. */
static void verify(int line, const char *train_on, size_t token, int32_t id, uint8_t flag, const char *part)
{
    int32_t ids[FIXTURE_TOKENS];
    uint8_t flags[FIXTURE_TOKENS];
    sc_error err = { 0 };
    memcpy(ids, fixture_id, sizeof ids);
    memcpy(flags, fixture_flag, sizeof flags);
    if (token < FIXTURE_TOKENS) { ids[token] = id; flags[token] = flag; }
    json_t *m = fixture_manifest(fixture_shard("train-00000.sct", 2, ids, flags, FIXTURE_TOKENS), NULL);
    json_object_set_new(json_object_get(m, "options"), "train_on", json_string(train_on));
    fixture_write_manifest(m);
    sc_dataset *d = open_fixture();
    sc_status status = sc_dataset_verify(d, &err);
    bool is_fine = part ? status == SC_E_FORMAT && strstr(err.message, part) && !strchr(err.message, '\n') : status == SC_OK;
    if (!is_fine) test_failed(__FILE__, line, "status %s, message \"%s\", expected \"%s\"", sc_status_name(status), err.message, part ? part : "no failure");
    sc_dataset_close(d);
}
#define VERIFY(...) verify(__LINE__, __VA_ARGS__)

TEST(verify_labels)
{
    enum { NONE = FIXTURE_TOKENS, ASKED_AT = 6, PROMPT_AT = 10, ANSWER_AT = 12, END_AT = 14 };
    VERIFY("assistant", NONE, 0, 0, NULL);
    VERIFY("last", NONE, 0, 0, NULL);
    VERIFY("assistant", ASKED_AT, HI, FLAG(WHO_USER, 1, WHY_ANSWER), "token 6 of sample 0 (chat.jsonl, line 1) is of role user and trained");
    VERIFY("last", ASKED_AT, HI, FLAG(WHO_USER, 1, WHY_POLICY), "role user and trained, which train_on last does not allow");
    VERIFY("assistant", 0, SYSTEM, FLAG(WHO_SYSTEM, 1, WHY_POLICY), "role system and trained");
    VERIFY("assistant", 0, SYSTEM, FLAG(WHO_TEMPLATE, 1, WHY_POLICY), "role template and trained");
    VERIFY("assistant", 0, SYSTEM, FLAG(WHO_TOOL, 1, WHY_POLICY), "role tool and trained");
    VERIFY("assistant", 0, SYSTEM, FLAG(WHO_PADDING, 1, WHY_PADDING), "role padding and trained");
    VERIFY("assistant", END_AT, END, BEHIND, "token 14 of sample 0 (chat.jsonl, line 1) ends a trained answer and is not trained");
    VERIFY("assistant", END_AT, END, PROMPT, "ends a trained answer and is not trained");
    VERIFY("assistant", END_AT - 1, END, BEHIND, "ends a trained answer and is not trained");
    VERIFY("assistant", ANSWER_AT, FIXTURE_VOCAB, ANSWER, "token 12 of sample 0 (chat.jsonl, line 1) has the unknown id 11");
    VERIFY("assistant", ANSWER_AT, UNKNOWN, ANSWER, "has the unknown id 7");
    VERIFY("assistant", ANSWER_AT, -1, ANSWER, "has the unknown id -1");
    VERIFY("assistant", ANSWER_AT, INT32_MIN, ANSWER, "has the unknown id -2147483648");
    VERIFY("assistant", ANSWER_AT, HI, 0x07, "has the unknown label 7");
    VERIFY("assistant", ANSWER_AT, HI, 0xF3, "has the unknown label 243");
    VERIFY("assistant", ANSWER_AT, HI, FLAG(WHO_TEXT, 1, WHY_TEXT), NULL);
    VERIFY("all", NONE, 0, 0, "role template and not trained, which train_on all does not allow");
    VERIFY("blog", NONE, 0, 0, "role template and not trained, which train_on blog does not allow");
}

TEST(verify_policies)
{
    uint8_t flags[FIXTURE_TOKENS];
    json_t *m;
    sc_dataset *d;
    for (size_t i = 0; i < FIXTURE_TOKENS; i++) flags[i] = fixture_flag[i] | FLAG_TRAINED;
    m = fixture_manifest(fixture_shard("train-00000.sct", 2, fixture_id, flags, FIXTURE_TOKENS), NULL);
    json_object_set_new(json_object_get(m, "options"), "train_on", json_string("all"));
    fixture_write_manifest(json_incref(m));
    CHECK_OK(sc_dataset_verify(d = open_fixture(), err));
    sc_dataset_close(d);
    json_object_set_new(json_object_get(m, "options"), "train_on", json_string("blog"));
    fixture_write_manifest(m);
    CHECK_FAILS(sc_dataset_verify(d = open_fixture(), err), SC_E_FORMAT, "role user and trained, which train_on blog does not allow");
    sc_dataset_close(d);
    for (size_t i = 0; i < FIXTURE_TOKENS; i++) flags[i] = fixture_flag[i] | (flag_who(fixture_flag[i]) == WHO_USER ? 0 : FLAG_TRAINED);
    m = fixture_manifest(fixture_shard("train-00000.sct", 2, fixture_id, flags, FIXTURE_TOKENS), NULL);
    json_object_set_new(json_object_get(m, "options"), "train_on", json_string("blog"));
    fixture_write_manifest(m);
    CHECK_OK(sc_dataset_verify(d = open_fixture(), err));
    sc_dataset_close(d);
}

/* Without a trained token: a sample, a shard, the whole of it. */
TEST(verify_wants_something_to_learn)
{
    uint8_t none[FIXTURE_TOKENS];
    json_t *m;
    sc_dataset *d;
    for (size_t i = 0; i < FIXTURE_TOKENS; i++) none[i] = fixture_flag[i] & (uint8_t)~FLAG_TRAINED;
    m = fixture_manifest(fixture_shard("train-00000.sct", 2, fixture_id, none, FIXTURE_TOKENS), NULL);
    fixture_write_manifest(json_incref(m));
    CHECK_FAILS(sc_dataset_verify(d = open_fixture(), err), SC_E_FORMAT, "sample 0 (chat.jsonl, line 1) has no trained token");
    sc_dataset_close(d);
    json_object_set_new(json_object_get(m, "options"), "packing", json_string("chop"));
    fixture_write_manifest(m);
    CHECK_FAILS(sc_dataset_verify(d = open_fixture(), err), SC_E_FORMAT, "train-00000.sct has no trained token, so nothing can be learned from it");
    sc_dataset_close(d);
    m = fixture_manifest(fixture_shard("train-00000.sct", 2, fixture_id, fixture_flag, FIXTURE_TOKENS), NULL);
    json_array_clear(json_object_get(json_object_get(json_object_get(m, "splits"), "train"), "shards"));
    fixture_write_manifest(m);
    CHECK_FAILS(sc_dataset_verify(d = open_fixture(), err), SC_E_FORMAT, "holds no sample");
    sc_dataset_close(d);
}

/* Any byte that is changed is noticed. */
TEST(verify_checksums)
{
    static const char *const files[] = { "train-00000.sct", "test-00000.sct", "tokens.bin" };
    static const size_t sizes[] = { 424, 192, 166 };
    for (size_t f = 0; f < 3; f++)
        for (size_t at = 0; at < sizes[f]; at += 5) {
            sc_text text = { 0 };
            sc_dataset *d = NULL;
            sc_error err = { 0 };
            char *path = fixture_path(files[f]);
            fixture_write(fixture_id, fixture_flag, FIXTURE_TOKENS);
            CHECK(file_read(&text, path, 1000, NULL) == SC_OK);
            CHECK_INT(text.len, sizes[f]);
            text.data[at] ^= 0x10;
            CHECK(file_write(path, text.data, text.len, NULL) == SC_OK);
            sc_status status = sc_dataset_open(&d, test_scratch(), &err);
            if (status == SC_OK) status = sc_dataset_verify(d, &err);
            if (status == SC_OK || !strstr(err.message, files[f])) test_failed(__FILE__, __LINE__, "%s, byte %zu: status %s, \"%s\"", files[f], at, sc_status_name(status), err.message);
            sc_dataset_close(d);
            sc_text_free(&text);
            mem_free(path);
        }
}

TEST(verify_added_tokens_and_counts)
{
    sc_dataset *d;
    json_t *m = fixture_manifest(fixture_shard("train-00000.sct", 2, fixture_id, fixture_flag, FIXTURE_TOKENS), NULL);
    json_t *entry = json_array_get(json_object_get(json_object_get(json_object_get(m, "splits"), "train"), "shards"), 0);
    json_object_set_new(entry, "trained", json_integer(11));
    fixture_write_manifest(json_incref(m));
    CHECK_FAILS(sc_dataset_verify(d = open_fixture(), err), SC_E_FORMAT, "has 12 trained tokens, dataset.json counts 11");
    sc_dataset_close(d);
    json_object_set_new(json_array_get(json_object_get(json_object_get(m, "tokenizer"), "added"), 0), "content", json_string("<|stop|>"));
    fixture_write_manifest(m);
    CHECK_FAILS(sc_dataset_verify(d = open_fixture(), err), SC_E_FORMAT, "token 0 is \"<|stop|>\", tokens.bin spells it otherwise");
    sc_dataset_close(d);
}
