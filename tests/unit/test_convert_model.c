/* test_convert_model.c - converted models compute what the original computes: every tiny model of tests/golden/models as
 * GGUF and back as a directory, against the logits of transformers; and in each storage type, within what rounding does. */
#include "test.h"

#include <dirent.h>

#include "infer/infer.h"

struct golden { int32_t prompt[256]; size_t n, vocab; float *logits; };

static struct golden read_golden(const char *directory)
{
    struct golden g = { 0 };
    char *path = path_join(directory, "golden.json");
    json_t *o = NULL;
    sc_text t;
    CHECK_OK(json_read_file(&o, path, 1 << 20, err));
    for (; g.n < json_array_size(json_object_get(o, "prompt")); g.n++) g.prompt[g.n] = (int32_t)json_integer_value(json_array_get(json_object_get(o, "prompt"), g.n));
    g.vocab = (size_t)json_integer_value(json_array_get(json_object_get(o, "logits_shape"), 1));
    mem_free(path);
    path = path_join(directory, "logits.f32");
    CHECK_OK(file_read(&t, path, 1 << 24, err));
    g.logits = (float *)t.data;
    json_decref(o);
    mem_free(path);
    return g;
}

static sc_runtime *open_runtime(void)
{
    sc_runtime *rt = NULL;
    sc_runtime_config c;
    sc_options_defaults(&runtime_options, &c);
    c.threads = 1;
    c.activations = "f32";
    CHECK_OK(sc_runtime_open(&rt, &c, err));
    return rt;
}

/* Largest difference over all positions, relative to the range of the expected row. */
static double logits_error(sc_runtime *rt, const char *path, const struct golden *g)
{
    sc_model *m = NULL;
    sc_session *s = NULL;
    double worst = 0;
    CHECK_OK(sc_model_open(&m, rt, &(sc_model_config){ .path = path }, err));
    CHECK_OK(sc_session_open(&s, m, &(sc_session_config){ .cache_type = "f32", .chunk = 64 }, err));
    for (size_t n = 1; n <= g->n; n++) {
        size_t vocab;
        CHECK_OK(sc_session_sync(s, g->prompt, n, err));
        const float *found = sc_session_logits(s, &vocab), *expected = g->logits + (n - 1) * g->vocab;
        float low = expected[0], high = expected[0], difference = 0;
        CHECK_INT(vocab, g->vocab);
        for (size_t i = 0; i < vocab; i++) {
            low = fminf(low, expected[i]);
            high = fmaxf(high, expected[i]);
            difference = fmaxf(difference, found[i] == found[i] ? fabsf(found[i] - expected[i]) : INFINITY);
        }
        worst = fmax(worst, (double)(difference / (high - low)));
    }
    sc_session_close(s);
    sc_model_close(m);
    return worst;
}

static void convert(sc_runtime *rt, const char *in, const char *out, const char *type)
{
    CHECK_OK(sc_convert(rt, &(sc_convert_config){ .in = in, .out = out, .type = type, .overwrite = true }, err));
}

static void check_both_ways(sc_runtime *rt, const char *path)
{
    struct golden g = read_golden(path);
    char *gguf = path_join(test_scratch(), "model.gguf"), *back = path_join(test_scratch(), "back");
    convert(rt, path, gguf, "");
    double there = logits_error(rt, gguf, &g);
    convert(rt, gguf, back, "");
    double and_back = logits_error(rt, back, &g);
    printf("       %-24s GGUF %.1e, directory %.1e of the logit range\n", strrchr(path, '/') + 1, there, and_back);
    if (!(there <= 1e-4) || !(and_back <= 1e-4)) test_failed(__FILE__, __LINE__, "%s: %g as GGUF, %g as a directory again, expected at most 1e-4", path, there, and_back);
    mem_free(gguf);
    mem_free(back);
    mem_free(g.logits);
}

TEST(converted_models_match_the_reference)
{
    const char *root = getenv("STARCHAT_GOLDEN_MODELS") ? getenv("STARCHAT_GOLDEN_MODELS") : test_path("tests/golden/models");
    sc_runtime *rt = open_runtime();
    DIR *d = opendir(root);
    int n = 0;
    CHECK(d);
    for (struct dirent *e; (e = readdir(d));) {
        char *path = path_join(root, e->d_name), *golden = path_join(path, "golden.json");
        if (e->d_name[0] != '.' && path_exists(golden)) { check_both_ways(rt, path); n++; }
        mem_free(path);
        mem_free(golden);
    }
    closedir(d);
    CHECK(n >= 16);
    sc_runtime_close(rt);
}

/* What four positions compute, as golden values for the same model in other types. */
static struct golden first_logits(sc_runtime *rt, const char *path)
{
    struct golden g = { .prompt = { 7, 3, 11, 5 }, .n = 4 };
    sc_model *m = NULL;
    sc_session *s = NULL;
    CHECK_OK(sc_model_open(&m, rt, &(sc_model_config){ .path = path }, err));
    CHECK_OK(sc_session_open(&s, m, &(sc_session_config){ .cache_type = "f32", .chunk = 64 }, err));
    for (size_t n = 1; n <= g.n; n++) {
        CHECK_OK(sc_session_sync(s, g.prompt, n, err));
        const float *logits = sc_session_logits(s, &g.vocab);
        g.logits = mem_grow(g.logits, g.n * g.vocab * sizeof *g.logits);
        memcpy(g.logits + (n - 1) * g.vocab, logits, g.vocab * sizeof *g.logits);
    }
    sc_session_close(s);
    sc_model_close(m);
    return g;
}

/* Rows of 256 elements, so that every type is used as it is. Weights of one normal distribution are the hardest case: the
 * bounds are twice what the bits of a type let expect. A directory holds the values of a block type exactly. */
TEST(each_type_computes_within_its_rounding)
{
    static const struct { const char *type; double most; } rows[] = {
        { "f32", 1e-6 }, { "f16", 2e-3 }, { "bf16", 1e-2 }, { "q8_0", 2e-2 }, { "q6_k", 5e-2 }, { "q5_1", 1.5e-1 }, { "q5_0", 1.5e-1 }, { "q5_k_m", 1.5e-1 },
        { "q4_1", 3e-1 }, { "q4_0", 3e-1 }, { "q4_k_m", 3e-1 },
    };
    static const char config[] = "{\"model_type\":\"llama\",\"vocab_size\":64,\"hidden_size\":256,\"intermediate_size\":512,\"num_hidden_layers\":2,\"num_attention_heads\":4,"
                                 "\"num_key_value_heads\":2,\"max_position_embeddings\":64,\"initializer_range\":0.06,\"tie_word_embeddings\":false}";
    sc_runtime *rt = open_runtime();
    char *json = path_join(test_scratch(), "config.json"), *model = path_join(test_scratch(), "model"), *direct = path_join(test_scratch(), "direct.gguf");
    char *from_q8 = path_join(test_scratch(), "again.gguf"), *q8 = path_join(test_scratch(), "q8.gguf"), *back = path_join(test_scratch(), "back");
    CHECK_OK(file_write(json, config, sizeof config - 1, err));
    CHECK_OK(sc_init(rt, &(sc_init_config){ .config = json, .out = model, .type = "f32", .seed = 4 }, err));
    struct golden g = first_logits(rt, model);
    convert(rt, model, q8, "q8_0");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        convert(rt, model, direct, rows[i].type);
        convert(rt, q8, from_q8, rows[i].type);
        convert(rt, direct, back, "");
        double e = logits_error(rt, direct, &g), again = logits_error(rt, from_q8, &g), expanded = logits_error(rt, back, &g);
        printf("       %-7s %.1e, by way of q8_0 %.1e, as a directory %.1e\n", rows[i].type, e, again, expanded);
        if (e > rows[i].most || (i && e < 1e-6)) test_failed(__FILE__, __LINE__, "%s: error %g, expected at most %g", rows[i].type, e, rows[i].most);
        CHECK(again <= rows[i].most + 3e-2);
        CHECK(fabs(expanded - e) <= 1e-5);
    }
    mem_free(g.logits);
    char *const paths[] = { json, model, direct, from_q8, q8, back };
    for (size_t i = 0; i < 6; i++) mem_free(paths[i]);
    sc_runtime_close(rt);
}
