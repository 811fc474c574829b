/* test_convert_tokenizer.c - what else travels between a directory and GGUF: tokenizers of every family with their
 * settings, chat templates, generation and dialogue settings. Whatever form it has, the tokenizer gives the reference's
 * ids (tests/golden/tokenizers/families), and the way back gives the same files. */
#include "tokenizer_fixture.h"

#include "model/model.h"

static const char *const FAMILIES[] = { "starcoder", "gpt2", "llama3", "qwen2", "deepseek-coder", "command-r", "custom", "words" };
/* GGUF has no name for the pre-tokenizers of these, so only a file of ours holds them. */
static bool is_custom(const char *family) { return !strcmp(family, "custom") || !strcmp(family, "words"); }

static const char CONFIG[] = "{\"model_type\":\"llama\",\"vocab_size\":600,\"hidden_size\":16,\"intermediate_size\":32,\"num_hidden_layers\":1,"
                             "\"num_attention_heads\":2,\"num_key_value_heads\":1,\"max_position_embeddings\":64,\"eos_token_id\":[1,3]}";
static const char TEMPLATE[] = "{% for m in messages %}<{{ m['role'] }}>{{ m.content }}\n{% endfor %}";
static struct pool *pool;

/* A file below the test's directory; the caller frees it. */
static char *scratch(const char *directory, const char *name)
{
    char *base = path_join(test_scratch(), directory), *path = path_join(base, name);
    mem_free(base);
    return path;
}

static void put(const char *directory, const char *name, const char *text)
{
    char *path = scratch(directory, name);
    CHECK_OK(file_write(path, text, strlen(text), err));
    mem_free(path);
}

static json_t *get(const char *directory, const char *name)
{
    json_t *value = NULL;
    char *path = scratch(directory, name);
    if (path_exists(path)) CHECK_OK(json_read_file(&value, path, 1 << 24, err));
    mem_free(path);
    return value;
}

static void same_file(const char *a, const char *b, const char *name)
{
    json_t *x = get(a, name), *y = get(b, name);
    if (!x || !y || !json_equal(x, y)) {
        char *text = y ? json_dumps(y, JSON_COMPACT) : NULL;
        test_failed(__FILE__, __LINE__, "%s/%s is not the same in %s: %.300s", a, name, b, text ? text : "(missing)");
        free(text);
    }
    json_decref(x);
    json_decref(y);
}

static void convert(const char *from, const char *to, const char *type)
{
    char *in = scratch(from, ""), *out = scratch(to, "");
    in[strlen(in) - 1] = 0;
    out[strlen(out) - 1] = 0;
    CHECK_OK(model_convert(&(sc_convert_config){ .in = in, .out = out, .type = type, .overwrite = true }, NULL, pool, NULL, err));
    mem_free(in);
    mem_free(out);
}

/* A directory "in" with this tokenizer. `id` of the special tokens comes from the family. */
static void make_model(const char *tokenizer, const char *tokenizer_config)
{
    char *config = scratch("", "config.json"), *out = scratch("in", "");
    out[strlen(out) - 1] = 0;
    CHECK_OK(file_write(config, CONFIG, strlen(CONFIG), err));
    CHECK_OK(model_init(&(sc_init_config){ .config = config, .out = out, .tokenizer = tokenizer, .type = "bf16", .overwrite = true }, pool, NULL, err));
    mem_free(config);
    mem_free(out);
    put("in", "generation_config.json", "{\"eos_token_id\":[2,5],\"temperature\":0.7,\"top_p\":0.95,\"transformers_version\":\"4.40.0\"}");
    put("in", "special_tokens_map.json", "{\"bos_token\":{\"content\":\"<s>\",\"lstrip\":false},\"additional_special_tokens\":[]}");
    put("in", "dialogue_template.json", "{\"system\":\"\",\"user_token\":\"<|user|>\"}");
    put("in", "tokenizer_config.json", tokenizer_config);
}

static char *family_file(const char *family, const char *suffix)
{
    char relative[128];
    snprintf(relative, sizeof relative, "tests/golden/tokenizers/families/%s.%s", family, suffix);
    const char *path = test_path(relative);
    CHECK(path != NULL);
    return mem_strdup(path);
}

/* The same file without the keys that only starchat knows. */
static void without_carried(const char *from, const char *to)
{
    char *in = scratch(from, ""), *out = scratch(to, "");
    struct model_file *m = NULL;
    struct gguf_writer *w = NULL;
    in[strlen(in) - 1] = out[strlen(out) - 1] = 0;
    CHECK_OK(model_file_open(&m, in, false, err));
    CHECK_OK(gguf_writer_open(&w, out, true, err));
    for (size_t i = 0; i < m->n_values; i++)
        if (strncmp(m->values[i].key, "starchat.", 9)) gguf_put_value(w, &m->values[i]);
    struct tensor_plan *plan = mem_zero(m->n_tensors, sizeof *plan);
    for (size_t i = 0; i < m->n_tensors; i++) {
        plan[i] = (struct tensor_plan){ m->tensors[i].name, m->tensors[i].dtype, m->tensors[i].n_dims, { 0 } };
        memcpy(plan[i].dims, m->tensors[i].dims, sizeof plan[i].dims);
    }
    CHECK_OK(gguf_writer_begin(w, plan, m->n_tensors, err));
    for (size_t i = 0; i < m->n_tensors; i++) CHECK_OK(gguf_writer_data(w, m->tensors[i].data, m->tensors[i].bytes, err));
    CHECK_OK(gguf_writer_finish(w, err));
    mem_free(plan);
    model_file_close(m);
    mem_free(in);
    mem_free(out);
}

/* Ids of the golden texts, and which tokens are special. */
static void check_tokenizer(const char *name, const char *family, const struct tokenizer *expected)
{
    char *path = scratch(name, ""), *golden = family_file(family, "jsonl");
    path[strlen(path) - 1] = 0;
    struct tokenizer *t = fixture_open(path);
    printf("%s as %s\n", family, name);
    check_golden(t, golden, 50);
    CHECK(tokenizer_vocab(t) >= tokenizer_vocab(expected));
    CHECK_INT(tokenizer_merges(t), tokenizer_merges(expected));
    for (int32_t id = 0; (size_t)id < tokenizer_vocab(expected); id++) CHECK(tokenizer_is_special(t, id) == tokenizer_is_special(expected, id));
    for (int role = 0; role < TOKEN_ROLE_COUNT; role++) CHECK_INT(tokenizer_role(t, (enum token_role)role), tokenizer_role(expected, (enum token_role)role));
    CHECK(tokenizer_adds_bos(t) == tokenizer_adds_bos(expected));
    tokenizer_close(t);
    mem_free(path);
    mem_free(golden);
}

TEST(tokenizers_of_all_families_there_and_back)
{
    CHECK_OK(pool_open(&pool, 1, err));
    for (size_t i = 0; i < sizeof FAMILIES / sizeof *FAMILIES; i++) {
        const char *family = FAMILIES[i];
        char *json = family_file(family, "json");
        make_model(json, "{\"chat_template\":\"x{{ messages }}\",\"model_max_length\":64,\"add_bos_token\":true}");
        struct tokenizer *expected = NULL;
        char *in = scratch("in", "");
        CHECK_OK(tokenizer_open(&expected, in, err));
        convert("in", "a.gguf", "");
        check_tokenizer("a.gguf", family, expected);
        convert("a.gguf", "b.gguf", "q8_0");
        convert("b.gguf", "back", "bf16");
        check_tokenizer("back", family, expected);
        static const char *const same[] = { "tokenizer.json", "tokenizer_config.json", "generation_config.json", "special_tokens_map.json", "dialogue_template.json" };
        for (size_t k = 0; k < sizeof same / sizeof *same; k++) same_file("in", "back", same[k]);
        if (!is_custom(family)) {
            without_carried("a.gguf", "plain.gguf");
            check_tokenizer("plain.gguf", family, expected);
            convert("plain.gguf", "again", "");
            check_tokenizer("again", family, expected);
        }
        tokenizer_close(expected);
        mem_free(in);
        mem_free(json);
    }
    pool_close(pool);
}

static void check_template(const char *name, const char *expected)
{
    struct model_file *m = NULL;
    char *path = scratch(name, "");
    path[strlen(path) - 1] = 0;
    CHECK_OK(model_file_open(&m, path, false, err));
    if (expected) CHECK_STR(m->chat_template, expected);
    else CHECK(!m->chat_template);
    model_file_close(m);
    mem_free(path);
}

/* The template is the one that counts in the directory, wherever it stands there. */
TEST(chat_templates_there_and_back)
{
    static const char *const configs[] = {
        "{}", "{\"chat_template\":\"old\"}", "{\"chat_template\":[{\"name\":\"default\",\"template\":\"old\"},{\"name\":\"tool_use\",\"template\":\"t\"}]}",
    };
    CHECK_OK(pool_open(&pool, 1, err));
    char *json = family_file("qwen2", "json");
    for (size_t i = 0; i < 3; i++) {
        for (int has_file = 0; has_file < 2; has_file++) {
            make_model(json, configs[i]);
            char *jinja = scratch("in", "chat_template.jinja");
            remove(jinja);
            if (has_file) put("in", "chat_template.jinja", TEMPLATE);
            convert("in", "t.gguf", "");
            check_template("t.gguf", has_file ? TEMPLATE : i ? "old" : NULL);
            convert("t.gguf", "back", "");
            check_template("back", has_file ? TEMPLATE : i ? "old" : NULL);
            mem_free(jinja);
        }
    }
    mem_free(json);
    pool_close(pool);
}

TEST(a_tokenizer_larger_than_the_embedding_is_refused)
{
    CHECK_OK(pool_open(&pool, 1, err));
    char *json = family_file("qwen2", "json"), *in = scratch("in", ""), *out = scratch("", "x.gguf"), *config = scratch("in", "added_tokens.json");
    make_model(json, "{}");
    put("in", "added_tokens.json", "{\"<|far|>\":600}");
    CHECK_FAILS(model_convert(&(sc_convert_config){ .in = in, .out = out }, NULL, pool, NULL, err), SC_E_FORMAT, "601 tokens, but the embedding has only 600 rows");
    CHECK(!path_exists(out));
    mem_free(json);
    mem_free(in);
    mem_free(out);
    mem_free(config);
    pool_close(pool);
}
