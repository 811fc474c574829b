/* Tokenizers against ids that the reference gave: Hugging Face tokenizers' for whole vocabularies, and llama.cpp's test
 * vectors. The large vocabularies lie in the shared data folder; without it those tests are skipped. */
#include "tokenizer_fixture.h"

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

static void check_vocabulary(const char *name, size_t at_least)
{
    char json[64], golden[64];
    snprintf(json, sizeof json, "%s/tokenizer.json", name);
    snprintf(golden, sizeof golden, "golden/%s.jsonl", name);
    const char *path = shared(json), *lines = shared(golden);
    if (!path || !lines) return;
    struct tokenizer *t = fixture_open(path);
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
    struct tokenizer *t = fixture_open(path);
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
    struct tokenizer *t = fixture_open(path);
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
        check_ids(t, text, end ? (size_t)(end - text) : strlen(text), true, ids, inp, ++n);
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
    struct tokenizer *t = fixture_open(path);
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
        struct tokenizer *t = fixture_open(path);
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
