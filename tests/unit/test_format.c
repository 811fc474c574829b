/* test_format.c - reading model files: good ones from tests/golden/models and from the shared data where it is there. */
#include "test.h"
#include "format/format.h"

static const char *need_path(const char *relative)
{
    const char *path = test_path(relative);
    if (!path) test_failed(__FILE__, __LINE__, "%s is missing", relative);
    return path;
}

TEST(format_hf_single)
{
    struct model_file *m = NULL;
    CHECK_OK(model_file_open(&m, need_path("tests/golden/models/bigcode_mqa_tanh"), false, err));
    CHECK_INT(m->kind, MODEL_HF);
    CHECK(m->n_tensors > 10);
    CHECK(json_is_object(m->config));
    const struct file_tensor *t = model_file_find(m, "transformer.wte.weight");
    CHECK(t != NULL);
    CHECK_INT(t->n_dims, 2);
    CHECK_INT(t->dims[0], json_integer_value(json_object_get(m->config, "vocab_size")));
    CHECK_INT(t->bytes, t->dims[0] * t->dims[1] * dtypes[t->dtype].bytes);
    CHECK(!model_file_find(m, "transformer.wte"));
    CHECK(!gguf_find(m, "general.architecture"));
    model_file_close(m);
}

TEST(format_hf_sharded)
{
    struct model_file *one = NULL, *many = NULL;
    CHECK_OK(model_file_open(&one, need_path("tests/golden/models/llama_gqa_untied"), false, err));
    CHECK_OK(model_file_open(&many, need_path("tests/golden/models/llama_gqa_sharded"), false, err));
    CHECK_INT(one->n_tensors, many->n_tensors);
    for (size_t i = 0; i < one->n_tensors; i++) {
        const struct file_tensor *a = &one->tensors[i], *b = model_file_find(many, a->name);
        CHECK(b && a->bytes == b->bytes && a->dtype == b->dtype);
        CHECK(memcmp(a->data, b->data, a->bytes) == 0);
    }
    model_file_close(one);
    model_file_close(many);
}

TEST(format_hf_all_golden_models_open)
{
    static const char *const names[] = { "bigcode_mqa_f16", "llama_bf16", "llama_biases", "qwen2_untied", "starcoder2_mha" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char relative[128];
        struct model_file *m = NULL;
        snprintf(relative, sizeof relative, "tests/golden/models/%s", names[i]);
        CHECK_OK(model_file_open(&m, need_path(relative), false, err));
        model_file_close(m);
    }
}

static void open_vocabulary(const char *name, const char *pre, size_t tokens)
{
    char relative[160];
    snprintf(relative, sizeof relative, "../shared/data/tokenizers/llamacpp-vocab/%s", name);
    const char *path = test_path(relative);
    if (!path) { printf("skipped: %s is not here\n", name); return; }
    struct model_file *m = NULL;
    struct gguf_string s;
    CHECK_OK(model_file_open(&m, path, false, err));
    CHECK_INT(m->kind, MODEL_GGUF);
    CHECK_INT(m->n_tensors, 0);
    const struct gguf_value *list = gguf_find(m, "tokenizer.ggml.tokens");
    CHECK(list && list->type == GGUF_ARRAY && list->element == GGUF_STRING);
    CHECK_INT(list->count, tokens);
    CHECK_OK(gguf_opt_string(&s, m, "tokenizer.ggml.pre", err));
    CHECK_INT(s.len, strlen(pre));
    CHECK(memcmp(s.text, pre, s.len) == 0);
    const struct gguf_value *type = gguf_find(m, "tokenizer.ggml.token_type");
    CHECK(type && type->count == tokens);
    CHECK_INT(gguf_array_int(type, tokens / 2), 1);
    model_file_close(m);
}

TEST(format_gguf_vocabularies)
{
    open_vocabulary("ggml-vocab-starcoder.gguf", "starcoder", 49152);
    open_vocabulary("ggml-vocab-gpt-2.gguf", "gpt-2", 50257);
}

/* Any GGUF file named by STARCHAT_TEST_GGUF; used by hand with models that are too large for the tree. */
TEST(format_gguf_named_file)
{
    const char *path = getenv("STARCHAT_TEST_GGUF");
    if (!path) { printf("skipped: STARCHAT_TEST_GGUF names no file\n"); return; }
    struct model_file *m = NULL;
    CHECK_OK(model_file_open(&m, path, false, err));
    for (size_t i = 0; i < m->n_values; i++) printf("%-45s type %d count %zu\n", m->values[i].key, m->values[i].type, m->values[i].count);
    for (size_t i = 0; i < m->n_tensors; i++)
        printf("%-30s %-5s %d dims %llu x %llu, %zu bytes\n", m->tensors[i].name, dtypes[m->tensors[i].dtype].name, m->tensors[i].n_dims,
               (unsigned long long)m->tensors[i].dims[0], (unsigned long long)m->tensors[i].dims[1], m->tensors[i].bytes);
    model_file_close(m);
}
