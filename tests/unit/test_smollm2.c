/* test_smollm2.c - SmolLM2-135M-Instruct from its GGUF file against transformers on the same file
 * (tests/golden/smollm2, tools/oracle/smollm2_reference.py): greedy tokens of 20 prompts, log-probabilities of 2,000
 * tokens. Needs the model (`starchat pull smollm2:135m-instruct`, or STARCHAT_SMOLLM2=file); says so when it is absent. */
#include "test.h"

#include "infer/infer.h"

static json_t *reference(void)
{
    json_t *o = NULL;
    CHECK_OK(json_read_file(&o, test_path("tests/golden/smollm2/reference.json"), 1 << 22, err));
    return o;
}

/* The file the reference was made from, or NULL after saying that it is not here. */
static const char *model_path(sc_text *path)
{
    const char *given = getenv("STARCHAT_SMOLLM2");
    if (given) return given;
    if (sc_store_resolve(path, "smollm2:135m-instruct", NULL, NULL) == SC_OK && path_ends_with(path->data, ".gguf")) return path->data;
    printf("skipped: SmolLM2 is not here; run build/starchat pull smollm2:135m-instruct\n");
    return NULL;
}

static sc_model *open_model(sc_runtime **rt, const char *path)
{
    sc_model *m = NULL;
    sc_runtime_config c;
    sc_options_defaults(&runtime_options, &c);
    c.activations = "f32";
    CHECK_OK(sc_runtime_open(rt, &c, err));
    CHECK_OK(sc_model_open(&m, *rt, &(sc_model_config){ .path = path }, err));
    return m;
}

static size_t read_ids(int32_t *out, const json_t *array, size_t max)
{
    size_t n = json_array_size(array);
    CHECK(n <= max);
    for (size_t i = 0; i < n; i++) out[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return n;
}

TEST(smollm2_continues_20_prompts_like_the_reference)
{
    sc_text found = { 0 };
    const char *path = model_path(&found);
    if (!path) return;
    sc_runtime *rt = NULL;
    sc_model *m = open_model(&rt, path);
    json_t *o = reference();
    const json_t *prompts = json_object_get(o, "prompts");
    CHECK_INT(json_array_size(prompts), 20);
    sc_session *s = NULL;
    CHECK_OK(sc_session_open(&s, m, &(sc_session_config){ .context = 2048, .cache_type = "f32" }, err));
    for (size_t i = 0; i < 20; i++) {
        static int32_t id[2048];
        bool greedy[64];
        double logprob[64];
        size_t n = read_ids(id, json_object_get(json_array_get(prompts, i), "ids"), 1900);
        size_t k = read_ids(id + n, json_object_get(json_array_get(prompts, i), "greedy"), 64);
        CHECK_INT(k, 64);
        CHECK_OK(sc_session_score(logprob, greedy, s, id, n + k, n, err));
        for (size_t j = 0; j < k; j++)
            if (!greedy[j]) test_failed(__FILE__, __LINE__, "prompt %zu: token %zu differs from the reference", i, j);
    }
    printf("       20 prompts x 64 greedy tokens equal\n");
    json_decref(o);
    sc_session_close(s);
    sc_model_close(m);
    sc_runtime_close(rt);
    sc_text_free(&found);
}

TEST(smollm2_scores_2000_tokens_like_the_reference)
{
    sc_text found = { 0 };
    const char *path = model_path(&found);
    if (!path) return;
    sc_runtime *rt = NULL;
    sc_model *m = open_model(&rt, path);
    json_t *o = reference();
    const json_t *windows = json_object_get(json_object_get(o, "logprobs"), "windows");
    sc_session *s = NULL;
    CHECK_OK(sc_session_open(&s, m, &(sc_session_config){ .context = 1024, .cache_type = "f32" }, err));
    double worst = 0;
    size_t scored = 0;
    for (size_t i = 0; i < json_array_size(windows); i++) {
        const json_t *w = json_array_get(windows, i), *expected = json_object_get(w, "logprobs");
        static int32_t id[1024];
        static double logprob[1024];
        size_t n = read_ids(id, json_object_get(w, "ids"), 1024);
        CHECK_OK(sc_session_score(logprob, NULL, s, id, n, 1, err));
        size_t skip = json_array_size(expected) - (n - 1);   /* a leading null stands for the first token */
        for (size_t j = 0; j + 1 < n; j++) worst = fmax(worst, fabs(logprob[j] - json_number_value(json_array_get(expected, j + skip))));
        scored += n - 1;
    }
    printf("       %zu tokens, largest difference %.1e\n", scored, worst);
    CHECK_INT(scored, 2000);
    CHECK(worst <= 1e-3);
    json_decref(o);
    sc_session_close(s);
    sc_model_close(m);
    sc_runtime_close(rt);
    sc_text_free(&found);
}
