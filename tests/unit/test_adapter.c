/* test_adapter.c - adapters that PEFT wrote (tests/golden/adapters, tools/oracle/peft_adapters.py) compute here what they
 * compute there, on the base as a directory and as GGUF; damaged ones are refused with a sentence. */
#include "adapter_fixture.h"

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
