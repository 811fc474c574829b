/* test_adapter.c - adapters that PEFT wrote (tests/golden/adapters, tools/oracle/peft_adapters.py) compute here what they
 * compute there, on the base as a directory and as GGUF; damaged ones are refused with a sentence. */
#include "test.h"

#include <dirent.h>

#include "infer/infer.h"

struct golden { char name[64]; char *adapter, *base; int32_t prompt[64]; size_t n, vocab; float *logits; };

static void golden_read(struct golden *g, const char *name)
{
    json_t *o = NULL;
    sc_text t;
    *g = (struct golden){ 0 };
    snprintf(g->name, sizeof g->name, "%s", name);
    g->adapter = path_join(test_path("tests/golden/adapters"), name);
    char *path = path_join(g->adapter, "golden.json"), *logits = path_join(g->adapter, "logits.f32");
    CHECK_OK(json_read_file(&o, path, 1 << 16, err));
    const json_t *prompt = json_object_get(o, "prompt");
    for (; g->n < json_array_size(prompt); g->n++) g->prompt[g->n] = (int32_t)json_integer_value(json_array_get(prompt, g->n));
    g->vocab = (size_t)json_integer_value(json_object_get(o, "vocab"));
    g->base = path_join(test_path("tests/golden/models"), json_string_value(json_object_get(o, "base")));
    CHECK_OK(file_read(&t, logits, 1 << 20, err));
    CHECK_INT(t.len, g->n * g->vocab * sizeof(float));
    g->logits = (float *)t.data;
    json_decref(o);
    mem_free(path);
    mem_free(logits);
}

static void golden_release(struct golden *g)
{
    mem_free(g->adapter);
    mem_free(g->base);
    mem_free(g->logits);
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

/* Logits of every position: one token at a time, or each from a new session (all rows at once). */
static float *all_logits(sc_model *m, const struct golden *g, bool at_once)
{
    float *out = mem_zero(g->n * g->vocab, sizeof *out);
    sc_session *s = NULL;
    for (size_t n = 1; n <= g->n; n++) {
        size_t vocab;
        if (!s) CHECK_OK(sc_session_open(&s, m, &(sc_session_config){ .cache_type = "f32", .chunk = 64 }, err));
        CHECK_OK(sc_session_sync(s, g->prompt, n, err));
        const float *found = sc_session_logits(s, &vocab);
        CHECK_INT(vocab, g->vocab);
        if (vocab == g->vocab) memcpy(out + (n - 1) * vocab, found, vocab * sizeof *out);
        if (at_once) { sc_session_close(s); s = NULL; }
    }
    sc_session_close(s);
    return out;
}

/* Largest difference relative to the range of the expected row. */
static double difference(const float *found, const float *expected, size_t n, size_t vocab)
{
    double worst = 0;
    for (size_t r = 0; r < n; r++) {
        float low = INFINITY, high = -INFINITY, d = 0;
        for (size_t i = r * vocab; i < (r + 1) * vocab; i++) {
            low = fminf(low, expected[i]);
            high = fmaxf(high, expected[i]);
            d = fmaxf(d, found[i] == found[i] ? fabsf(found[i] - expected[i]) : INFINITY);
        }
        worst = fmax(worst, (double)(d / (high - low)));
    }
    return worst;
}

static double adapter_error(sc_runtime *rt, const char *base, const struct golden *g)
{
    sc_model *m = NULL;
    CHECK_OK(sc_model_open(&m, rt, &(sc_model_config){ .path = base, .adapter = g->adapter }, err));
    if (!m) return INFINITY;
    float *by_token = all_logits(m, g, false), *at_once = all_logits(m, g, true);
    CHECK(memcmp(by_token, at_once, g->n * g->vocab * sizeof *by_token) == 0);
    double error = difference(by_token, g->logits, g->n, g->vocab);
    mem_free(by_token);
    mem_free(at_once);
    sc_model_close(m);
    return error;
}

static void check_golden(sc_runtime *rt, const char *name)
{
    struct golden g;
    char *gguf = path_join(test_scratch(), "base.gguf");
    golden_read(&g, name);
    CHECK_OK(sc_convert(rt, &(sc_convert_config){ .in = g.base, .out = gguf, .type = "", .overwrite = true }, err));
    double there = adapter_error(rt, g.base, &g), in_gguf = adapter_error(rt, gguf, &g);
    printf("       %-20s directory %.1e, GGUF %.1e of the logit range\n", name, there, in_gguf);
    if (!(there <= 1e-4) || !(in_gguf <= 1e-4)) test_failed(__FILE__, __LINE__, "%s: %g, on GGUF %g, expected at most 1e-4", name, there, in_gguf);
    golden_release(&g);
    mem_free(gguf);
}

TEST(adapters_of_peft_give_its_logits)
{
    sc_runtime *rt = open_runtime();
    DIR *d = opendir(test_path("tests/golden/adapters"));
    int n = 0;
    CHECK(d);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.') { check_golden(rt, e->d_name); n++; }
    closedir(d);
    CHECK_INT(n, 20);
    sc_runtime_close(rt);
}

TEST(an_adapter_opens_with_the_base_it_names)
{
    struct golden g;
    sc_model *m = NULL;
    sc_text base;
    sc_runtime *rt = open_runtime();
    golden_read(&g, "llama_qv");
    CHECK_OK(sc_adapter_base(&base, g.adapter, err));
    CHECK(base.data && path_ends_with(base.data, "models/llama_gqa_untied"));
    sc_text_free(&base);
    CHECK_OK(sc_adapter_base(&base, g.base, err));
    CHECK(!base.data);
    CHECK_OK(sc_model_open(&m, rt, &(sc_model_config){ .path = g.adapter }, err));
    float *logits = all_logits(m, &g, false);
    CHECK(difference(logits, g.logits, g.n, g.vocab) <= 1e-4);
    mem_free(logits);
    sc_model_close(m);
    CHECK_FAILS(sc_model_open(&m, rt, &(sc_model_config){ .path = g.adapter, .adapter = g.adapter }, err), SC_E_ARGUMENT, "is an adapter itself");
    CHECK_FAILS(sc_model_open(&m, rt, &(sc_model_config){ .path = g.base, .adapter = g.base }, err), SC_E_IO, "has no adapter_config.json");
    CHECK_FAILS(sc_convert(rt, &(sc_convert_config){ .in = g.adapter, .out = "x", .type = "" }, err), SC_E_UNSUPPORTED, "is an adapter, not a whole model");
    golden_release(&g);
    sc_runtime_close(rt);
}
