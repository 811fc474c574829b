/* test_model.c - the architectures against transformers in float32 (tests/golden/models, tools/oracle/tiny_models.py):
 * whole prompts, token by token, in chunks, after rewinding, with both cache types; and equal bits among ourselves. */
#include "test.h"

#include <dirent.h>

#include "infer/infer.h"

struct golden { int32_t prompt[256]; size_t n, vocab; float *logits; int32_t greedy[64]; size_t n_greedy; };

static struct golden read_golden(const char *directory)
{
    struct golden g = { 0 };
    char *path = path_join(directory, "golden.json");
    json_t *o = NULL;
    CHECK_OK(json_read_file(&o, path, 1 << 20, err));
    const json_t *prompt = json_object_get(o, "prompt"), *greedy = json_object_get(o, "greedy");
    for (g.n = 0; g.n < json_array_size(prompt); g.n++) g.prompt[g.n] = (int32_t)json_integer_value(json_array_get(prompt, g.n));
    for (; g.n_greedy < json_array_size(greedy); g.n_greedy++) g.greedy[g.n_greedy] = (int32_t)json_integer_value(json_array_get(greedy, g.n_greedy));
    g.vocab = (size_t)json_integer_value(json_array_get(json_object_get(o, "logits_shape"), 1));
    json_decref(o);
    mem_free(path);
    path = path_join(directory, "logits.f32");
    sc_text t;
    CHECK_OK(file_read(&t, path, 1 << 24, err));
    CHECK_INT(t.len, g.n * g.vocab * sizeof(float));
    g.logits = (float *)t.data;
    mem_free(path);
    return g;
}

static sc_runtime *open_runtime(const char *kernels, int threads)
{
    sc_runtime *rt = NULL;
    sc_runtime_config c;
    sc_options_defaults(&runtime_options, &c);
    c.kernels = kernels;
    c.threads = threads;
    c.activations = "f32";
    CHECK_OK(sc_runtime_open(&rt, &c, err));
    return rt;
}

static sc_session *open_session(sc_model *m, const char *cache, int64_t chunk)
{
    sc_session *s = NULL;
    CHECK_OK(sc_session_open(&s, m, &(sc_session_config){ .cache_type = cache, .chunk = chunk }, err));
    return s;
}

/* Largest difference relative to the range of the reference row. */
static double row_error(const float *found, const float *expected, size_t n)
{
    float low = expected[0], high = expected[0], worst = 0;
    for (size_t i = 0; i < n; i++) {
        low = fminf(low, expected[i]);
        high = fmaxf(high, expected[i]);
        worst = fmaxf(worst, fabsf(found[i] - expected[i]));
        if (!(found[i] == found[i])) return INFINITY;
    }
    return (double)worst / (double)(high - low);
}

/* Syncs to every prefix in turn and keeps all logits. */
static float *all_logits(sc_session *s, const struct golden *g, size_t step)
{
    float *out = mem_alloc(g->n * g->vocab * sizeof *out);
    for (size_t n = 1; n <= g->n; n += step) {
        size_t vocab;
        CHECK_OK(sc_session_sync(s, g->prompt, n, err));
        memcpy(out + (n - 1) * g->vocab, sc_session_logits(s, &vocab), g->vocab * sizeof *out);
        CHECK_INT(vocab, g->vocab);
    }
    return out;
}

static double check_prompt(sc_model *m, const struct golden *g, const char *cache)
{
    double worst = 0;
    for (size_t n = 1; n <= g->n; n++) {   /* each prefix as one fresh prompt */
        sc_session *s = open_session(m, cache, 256);
        CHECK_OK(sc_session_sync(s, g->prompt, n, err));
        double e = row_error(sc_session_logits(s, NULL), g->logits + (n - 1) * g->vocab, g->vocab);
        worst = e > worst ? e : worst;
        sc_session_close(s);
    }
    return worst;
}

/* Token by token, in chunks, and after a rewind: the same bits as the whole prompt at once. */
static void check_same_bits(sc_model *m, const struct golden *g, const char *cache)
{
    static const int64_t chunks[] = { 1, 3, 7, 16 };
    sc_session *s = open_session(m, cache, 256);
    float *expected = all_logits(s, g, 1);
    size_t bytes = g->vocab * sizeof *expected, last = (g->n - 1) * g->vocab;
    for (size_t i = 0; i < 4; i++) {
        sc_session *t = open_session(m, cache, chunks[i]);
        CHECK_OK(sc_session_sync(t, g->prompt, g->n, err));
        CHECK(memcmp(sc_session_logits(t, NULL), expected + last, bytes) == 0);
        int32_t other[256];
        memcpy(other, g->prompt, sizeof other);
        other[g->n / 2] = (other[g->n / 2] + 1) % (int32_t)g->vocab;   /* another middle, then back */
        CHECK_OK(sc_session_sync(t, other, g->n, err));
        CHECK_INT(sc_session_reused(t), g->n / 2);
        CHECK(memcmp(sc_session_logits(t, NULL), expected + last, bytes) != 0);
        CHECK_OK(sc_session_sync(t, g->prompt, g->n, err));
        CHECK(memcmp(sc_session_logits(t, NULL), expected + last, bytes) == 0);
        CHECK_OK(sc_session_sync(t, g->prompt, 5, err));
        CHECK(memcmp(sc_session_logits(t, NULL), expected + 4 * g->vocab, bytes) == 0);
        sc_session_close(t);
    }
    mem_free(expected);
    sc_session_close(s);
}

static void check_greedy(sc_model *m, const struct golden *g)
{
    sc_session *s = open_session(m, "f32", 256);
    int32_t all[512];
    memcpy(all, g->prompt, g->n * sizeof *all);
    memcpy(all + g->n, g->greedy, g->n_greedy * sizeof *all);
    double logprob[64];
    bool greedy[64];
    CHECK_OK(sc_session_score(logprob, greedy, s, all, g->n + g->n_greedy, g->n, err));
    for (size_t i = 0; i < g->n_greedy; i++) CHECK(greedy[i] && logprob[i] < 0);
    sc_session_close(s);
}

static int check_model(const char *path, const char *kernels)
{
    sc_runtime *rt = open_runtime(kernels, 2);
    sc_model *m = NULL;
    CHECK_OK(sc_model_open(&m, rt, &(sc_model_config){ .path = path }, err));
    struct golden g = read_golden(path);
    double e = check_prompt(m, &g, "f32");
    printf("       %-8s %-24s %.1e of the logit range\n", kernels, strrchr(path, '/') + 1, e);
    if (!(e <= 1e-4)) test_failed(__FILE__, __LINE__, "%s: error %g, expected at most 1e-4", path, e);
    if (!(check_prompt(m, &g, "f16") <= 5e-3)) test_failed(__FILE__, __LINE__, "%s: f16 cache", path);
    check_same_bits(m, &g, "f32");
    check_same_bits(m, &g, "f16");
    sc_session *none = NULL;
    CHECK_FAILS(sc_session_open(&none, m, &(sc_session_config){ .cache_type = "q8_0" }, err), SC_E_ARGUMENT, "multiple of 32");
    check_greedy(m, &g);
    mem_free(g.logits);
    sc_model_close(m);
    sc_runtime_close(rt);
    return 1;
}

static void check_all(const char *kernels)
{
    const char *root = getenv("STARCHAT_GOLDEN_MODELS") ? getenv("STARCHAT_GOLDEN_MODELS") : test_path("tests/golden/models");
    CHECK(root);
    DIR *d = opendir(root);
    CHECK(d);
    int n = 0;
    for (struct dirent *e; (e = readdir(d)); ) {
        char *path = path_join(root, e->d_name), *golden = path_join(path, "golden.json");
        if (e->d_name[0] != '.' && path_exists(golden)) n += check_model(path, kernels);
        mem_free(path);
        mem_free(golden);
    }
    closedir(d);
    CHECK(n >= 16);
}

TEST(tiny_models_match_the_reference_scalar) { check_all("scalar"); }

TEST(tiny_models_match_the_reference_avx2)
{
    if (system_cpu()->avx2) check_all("avx2"); else printf("skipped: no AVX2\n");
}

TEST(tiny_models_match_the_reference_avx512)
{
    if (system_cpu()->avx512bw && system_cpu()->avx512vl) check_all("avx512"); else printf("skipped: no AVX-512\n");
}
