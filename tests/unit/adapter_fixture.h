/* adapter_fixture.h - adapters of tests/golden/adapters with the logits of PEFT, and logits of an opened model; for
 * test_adapter.c and test_adapter_save.c. */
#ifndef ADAPTER_FIXTURE_H
#define ADAPTER_FIXTURE_H

#include "test.h"

#include <dirent.h>

#include "infer/infer.h"

struct golden { char name[64]; char *adapter, *base; int32_t prompt[64]; size_t n, vocab; float *logits; };

static inline void golden_read(struct golden *g, const char *name)
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

static inline void golden_release(struct golden *g)
{
    mem_free(g->adapter);
    mem_free(g->base);
    mem_free(g->logits);
}

static inline sc_runtime *open_runtime(void)
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
static inline float *all_logits(sc_model *m, const struct golden *g, bool at_once)
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
static inline double difference(const float *found, const float *expected, size_t n, size_t vocab)
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

#endif
