/* Tokenizers against ids that the reference gave: Hugging Face tokenizers' for whole vocabularies, and llama.cpp's test
 * vectors. The large vocabularies lie in the shared data folder; without it those tests are skipped. */
#include "test.h"
#include "text/text.h"

#define DATA "../shared/data/tokenizers/"

/* Path in the shared data, or NULL after a line that says what is skipped. */
static const char *shared(const char *name)
{
    char relative[256];
    snprintf(relative, sizeof relative, DATA "%s", name);
    const char *path = test_path(relative);
    if (!path) printf("skipped: %s is not there\n", relative);
    return path;
}

static struct tokenizer *open_path(const char *path)
{
    struct tokenizer *t = NULL;
    CHECK_OK(tokenizer_open(&t, path, err));
    return t;
}

static void check_ids(const struct tokenizer *t, const char *text, size_t len, const json_t *expected, const char *where, size_t line)
{
    struct token_list l = { 0 };
    struct span all = { 0, len };
    tokenizer_encode(t, &l, text, len, &all, 1);
    bool is_same = l.len == json_array_size(expected);
    size_t i = 0;
    for (; i < l.len && i < json_array_size(expected); i++)
        if (l.id[i] != json_integer_value(json_array_get(expected, i))) { is_same = false; break; }
    if (!is_same)
        test_failed(where, (int)line, "token %zu is %d of %zu, expected %lld of %zu, in \"%.60s\"", i, i < l.len ? l.id[i] : -1, l.len,
                    (long long)json_integer_value(json_array_get(expected, i)), json_array_size(expected), text);
    token_list_release(&l);
}

static void check_decoded(const struct tokenizer *t, const json_t *ids, size_t n, bool skip_special, const json_t *expected, const char *where, size_t line)
{
    int32_t *id = mem_alloc((n + 1) * sizeof *id);
    struct buf raw = { 0 }, text = { 0 };
    for (size_t i = 0; i < n; i++) id[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    tokenizer_decode(t, &raw, id, n, skip_special);
    utf8_repair(&text, raw.data, raw.len);
    bool is_same = text.len == json_string_length(expected) && (!text.len || memcmp(text.data, json_string_value(expected), text.len) == 0);
    if (!is_same) test_failed(where, (int)line, "decoded \"%.60s\", expected \"%.60s\"", text.data ? text.data : "", json_string_value(expected));
    buf_release(&raw);
    buf_release(&text);
    mem_free(id);
}

static void check_line(const struct tokenizer *t, const json_t *j, const char *where, size_t line)
{
    const json_t *text = json_object_get(j, "text"), *ids = json_object_get(j, "ids"), *decoded = json_object_get(j, "decoded");
    const json_t *skipped = json_object_get(j, "decoded_skip_special"), *prefixes = json_object_get(j, "prefix_decodes");
    check_ids(t, json_string_value(text), json_string_length(text), ids, where, line);
    check_decoded(t, ids, json_array_size(ids), false, decoded ? decoded : text, where, line);
    if (skipped) check_decoded(t, ids, json_array_size(ids), true, skipped, where, line);
    for (size_t n = 1; n <= json_array_size(prefixes); n++) check_decoded(t, ids, n, false, json_array_get(prefixes, n - 1), where, line);
}

/* Every line of a golden file. */
static void check_golden(const struct tokenizer *t, const char *path, size_t at_least)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0, n = 0;
    CHECK(f != NULL);
    for (ssize_t len; (len = getline(&line, &cap, f)) > 0; ) {
        json_t *j = NULL;
        CHECK_OK(json_read(&j, line, (size_t)len, path, err));
        check_line(t, j, path, ++n);
        json_decref(j);
    }
    CHECK(n >= at_least);
    free(line);
    fclose(f);
}

static void check_vocabulary(const char *name, size_t at_least)
{
    char json[64], golden[64];
    snprintf(json, sizeof json, "%s/tokenizer.json", name);
    snprintf(golden, sizeof golden, "golden/%s.jsonl", name);
    const char *path = shared(json), *lines = shared(golden);
    if (!path || !lines) return;
    struct tokenizer *t = open_path(path);
    check_golden(t, lines, at_least);
    tokenizer_close(t);
}

TEST(starcoder) { check_vocabulary("starcoder", 1081); }
TEST(starcoder2) { check_vocabulary("starcoder2", 1081); }
TEST(gpt2) { check_vocabulary("gpt2", 1081); }
TEST(deepseek_coder) { check_vocabulary("deepseek-coder", 1081); }
TEST(qwen3) { check_vocabulary("qwen3", 1081); }

/* StarChat's four tokens, in the orders of the article and of the published training code. */
static void check_starchat(const char *golden, const char *const *tokens)
{
    const char *path = shared("starcoder/tokenizer.json"), *lines = shared(golden);
    if (!path || !lines) return;
    struct tokenizer *t = open_path(path);
    CHECK_INT(tokenizer_vocab(t), 49152);
    CHECK_INT(tokenizer_add(t, tokens, 4), 4);
    CHECK_INT(tokenizer_add(t, tokens, 4), 0);
    CHECK_INT(tokenizer_vocab(t), 49156);
    for (int i = 0; i < 4; i++) CHECK_INT(tokenizer_find(t, tokens[i], strlen(tokens[i])), 49152 + i);
    check_golden(t, lines, 181);
    tokenizer_close(t);
}

TEST(starchat_blog)
{
    static const char *const tokens[] = { "<|system|>", "<|assistant|>", "<|user|>", "<|end|>" };
    check_starchat("golden/starchat-blog.jsonl", tokens);
}

TEST(starchat_repository)
{
    static const char *const tokens[] = { "<|system|>", "<|user|>", "<|assistant|>", "<|end|>" };
    check_starchat("golden/starchat-repo.jsonl", tokens);
}

TEST(starcoder_prefixes)
{
    const char *path = shared("starcoder/tokenizer.json"), *lines = shared("golden/starcoder-prefix-decode.jsonl");
    if (!path || !lines) return;
    struct tokenizer *t = open_path(path);
    check_golden(t, lines, 3);
    tokenizer_close(t);
}

/* ---- llama.cpp's vectors: texts parted by a marker line, one line of ids each ---- */

static json_t *ids_of_line(const char *line)
{
    json_t *ids = json_array();
    char *end;
    while (*line == ' ') {
        long id = strtol(line, &end, 10);
        if (end == line) break;
        json_array_append_new(ids, json_integer(id));
        line = end;
    }
    return ids;
}

static void check_vectors(const struct tokenizer *t, const char *name)
{
    static const char marker[] = "\n__ggml_vocab_test__\n";
    char relative[96];
    sc_text texts = { 0 }, lines = { 0 };
    snprintf(relative, sizeof relative, "llamacpp-vocab/ggml-vocab-%s.gguf.inp", name);
    const char *inp = shared(relative);
    snprintf(relative, sizeof relative, "llamacpp-vocab/ggml-vocab-%s.gguf.out", name);
    const char *out = shared(relative);
    if (!inp || !out) return;
    CHECK_OK(file_read(&texts, inp, 1 << 20, err));
    CHECK_OK(file_read(&lines, out, 1 << 20, err));
    const char *text = texts.data, *line = lines.data;
    size_t n = 0;
    while (*line) {
        const char *end = strstr(text, marker);
        json_t *ids = ids_of_line(line);
        check_ids(t, text, end ? (size_t)(end - text) : strlen(text), ids, inp, ++n);
        json_decref(ids);
        line = strchr(line, '\n') + 1;
        if (!end) break;
        text = end + sizeof marker - 1;
    }
    CHECK(n >= 40);
    sc_text_free(&texts);
    sc_text_free(&lines);
}

static void check_file_vectors(const char *file, const char *vectors)
{
    const char *path = shared(file);
    if (!path) return;
    struct tokenizer *t = open_path(path);
    check_vectors(t, vectors);
    tokenizer_close(t);
}

TEST(vectors_of_json)
{
    check_file_vectors("gpt2/tokenizer.json", "gpt-2");
    check_file_vectors("starcoder/tokenizer.json", "refact");
    check_file_vectors("starcoder2/tokenizer.json", "starcoder");
    check_file_vectors("deepseek-coder/tokenizer.json", "deepseek-coder");
    check_file_vectors("qwen3/tokenizer.json", "qwen2");
}

TEST(vectors_of_gguf)
{
    static const char *const names[] = { "gpt-2", "starcoder", "refact", "deepseek-coder" };
    for (int i = 0; i < 4; i++) {
        char file[64];
        snprintf(file, sizeof file, "llamacpp-vocab/ggml-vocab-%s.gguf", names[i]);
        check_file_vectors(file, names[i]);
    }
}

/* The vocabularies inside GGUF files give the same ids as the tokenizer.json files rebuilt from them. */
TEST(golden_of_gguf)
{
    static const char *const pairs[][2] = { { "gpt-2", "gpt2" }, { "starcoder", "starcoder2" }, { "refact", "starcoder" }, { "deepseek-coder", "deepseek-coder" } };
    for (int i = 0; i < 4; i++) {
        char file[64], golden[64];
        snprintf(file, sizeof file, "llamacpp-vocab/ggml-vocab-%s.gguf", pairs[i][0]);
        snprintf(golden, sizeof golden, "golden/%s.jsonl", pairs[i][1]);
        const char *path = shared(file), *lines = shared(golden);
        if (!path || !lines) continue;
        struct tokenizer *t = open_path(path);
        check_golden(t, lines, 1081);
        tokenizer_close(t);
    }
}

TEST(sentencepiece_is_refused)
{
    static const char *const names[] = { "llama-spm", "phi-3" };
    for (int i = 0; i < 2; i++) {
        char file[64];
        snprintf(file, sizeof file, "llamacpp-vocab/ggml-vocab-%s.gguf", names[i]);
        const char *path = shared(file);
        struct tokenizer *t = NULL;
        if (path) CHECK_FAILS(tokenizer_open(&t, path, err), SC_E_UNSUPPORTED, "a SentencePiece vocabulary");
        CHECK(t == NULL);
    }
}
