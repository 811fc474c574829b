/* test_adapter_damage.c - adapters that are damaged, of another model, or of a kind that is not done here: one sentence
 * each, and nothing is opened. Each case changes a good adapter in one place. */
#include "adapter_fixture.h"

static char *directory;

/* A tensor of the damaged file: of the good one, with another name, shape or type. */
struct edit { const char *from, *to; int rows, cols; bool is_left_out, is_nan; };

static void copy_tensors(const struct model_file *f, const struct edit *e)
{
    struct safetensors_writer *w = NULL;
    struct tensor_plan *plan = mem_zero(f->n_tensors, sizeof *plan);
    static float values[65536];
    size_t n = 0, k = 0;
    for (size_t i = 0; i < f->n_tensors; i++) {
        const struct file_tensor *t = &f->tensors[i];
        bool is_edited = e->from && !strcmp(t->name, e->from);
        if (is_edited && e->is_left_out) continue;
        plan[n] = (struct tensor_plan){ t->name, t->dtype, t->n_dims, { t->dims[0], t->dims[1] } };
        if (is_edited && e->to) plan[n].name = e->to;
        if (is_edited && e->rows) plan[n].dims[0] = (uint64_t)e->rows;
        if (is_edited && e->cols) plan[n].dims[1] = (uint64_t)e->cols;
        n++;
    }
    CHECK_OK(safetensors_writer_open(&w, directory, plan, n, 0, err));
    for (size_t i = 0; i < f->n_tensors; i++) {
        const struct file_tensor *t = &f->tensors[i];
        bool is_edited = e->from && !strcmp(t->name, e->from);
        if (is_edited && e->is_left_out) continue;
        memset(values, 0, sizeof values);
        memcpy(values, t->data, t->bytes);
        if (is_edited && e->is_nan) values[3] = NAN;
        CHECK_OK(safetensors_writer_data(w, values, plan[k].dims[0] * plan[k].dims[1] * sizeof *values, err));
        k++;
    }
    CHECK_OK(safetensors_writer_finish(w, err));
    char *from = path_join(directory, "model.safetensors"), *to = path_join(directory, "adapter_model.safetensors");
    CHECK(rename(from, to) == 0);
    mem_free(from);
    mem_free(to);
    mem_free(plan);
}

/* The config of the good adapter with the members of `change` (JSON) over it. */
static void copy_config(const struct model_file *f, const char *change)
{
    json_t *config = json_deep_copy(f->config), *over = NULL;
    sc_text text;
    char *path = path_join(directory, "adapter_config.json");
    CHECK_OK(json_read(&over, change ? change : "{}", strlen(change ? change : "{}"), "test", err));
    json_object_update(config, over);
    CHECK(json_write(&text, config, false) == SC_OK);
    CHECK_OK(file_write(path, text.data, text.len, err));
    sc_text_free(&text);
    json_decref(config);
    json_decref(over);
    mem_free(path);
}

static void check_refused(sc_runtime *rt, const char *name, const char *base, const char *config, const struct edit *e, const char *part)
{
    struct golden g;
    struct model_file *f = NULL;
    sc_model *m = NULL;
    sc_error err = { 0 };
    golden_read(&g, name);
    CHECK(adapter_file_open(&f, g.adapter, &err) == SC_OK);
    copy_tensors(f, e);
    copy_config(f, config);
    char *other = base ? path_join(test_path("tests/golden/models"), base) : NULL;
    sc_status status = sc_model_open(&m, rt, &(sc_model_config){ .path = other ? other : g.base, .adapter = directory }, &err);
    if (part && (status == SC_OK || !strstr(err.message, part)))
        test_failed(__FILE__, __LINE__, "%s with %s: \"%s\", expected \"%s\"", name, config ? config : e->from ? e->from : base, err.message, part);
    if (!part && status != SC_OK) test_failed(__FILE__, __LINE__, "%s unchanged: %s", name, err.message);
    CHECK(strchr(err.message, '\n') == NULL);
    sc_model_close(m);
    model_file_close(f);
    golden_release(&g);
    mem_free(other);
}

#define QV "llama_qv"
#define P "base_model.model."
#define A P "model.layers.0.self_attn.q_proj.lora_A.weight"
#define B P "model.layers.0.self_attn.q_proj.lora_B.weight"
#define ROWS P "transformer.wte.token_adapter.trainable_tokens_delta"

TEST(bad_configs_are_refused)
{
    static const struct { const char *name, *config, *part; } cases[] = {
        { QV, "{\"peft_type\":\"IA3\"}", "peft_type is \"IA3\", expected LORA" }, { QV, "{\"peft_type\":null}", "peft_type is \"\"" }, { QV, "{\"peft_type\":7}", "peft_type" },
        { QV, "{\"task_type\":\"SEQ_CLS\"}", "task_type is \"SEQ_CLS\"" }, { QV, "{\"bias\":\"all\"}", "bias is \"all\"" },
        { QV, "{\"use_dora\":true}", "uses DoRA" }, { QV, "{\"lora_bias\":true}", "lora_bias" }, { QV, "{\"use_qalora\":true}", "QA-LoRA" },
        { QV, "{\"alora_invocation_tokens\":[1]}", "activated LoRA" }, { QV, "{\"layer_replication\":[[0,2]]}", "repeated layers" },
        { QV, "{\"target_parameters\":[\"x\"]}", "single parameters" }, { QV, "{\"use_quantum\":true}", "sets use_quantum" },
        { QV, "{\"init_lora_weights\":\"pissa_niter_4\"}", "changes the base as well" }, { QV, "{\"init_lora_weights\":\"loftq\"}", "changes the base as well" },
        { QV, "{\"r\":0}", "\"r\" is 0" }, { QV, "{\"r\":\"four\"}", "\"r\" is a string" }, { QV, "{\"r\":8}", "has rank 4, but adapter_config.json says 8" },
        { QV, "{\"lora_alpha\":\"x\"}", "lora_alpha" }, { QV, "{\"lora_alpha\":-1}", "lora_alpha" }, { QV, "{\"lora_dropout\":2}", "lora_dropout" },
        { QV, "{\"target_modules\":7}", "target_modules is neither a string" }, { QV, "{\"target_modules\":[1]}", "target_modules is neither a string" },
        { QV, "{\"target_modules\":[\"q_proj\"]}", "does not name (target_modules)" }, { QV, "{\"target_modules\":[\"q_proj\",\"v_proj\",\"k_proj\"]}", "is missing" },
        { QV, "{\"target_modules\":null}", "does not name (target_modules)" }, { QV, "{\"target_modules\":\"(\"}", "no regular expression" },
        { QV, "{\"target_modules\":\"((.*)*)*x(.*)*y\"}", "too many steps" }, { QV, "{\"target_modules\":\"all-linear\"}", "is missing" },
        { QV, "{\"exclude_modules\":[\"v_proj\"]}", "does not name" }, { QV, "{\"layers_to_transform\":[1]}", "does not name" }, { QV, "{\"layers_to_transform\":\"1\"}", "layers_to_transform" },
        { QV, "{\"rank_pattern\":{\"q_proj\":2}}", "says 2" }, { QV, "{\"rank_pattern\":[1]}", "rank_pattern" }, { QV, "{\"rank_pattern\":{\"q_proj\":0}}", "rank_pattern of \"q_proj\"" },
        { QV, "{\"alpha_pattern\":{\"q_proj\":\"x\"}}", "alpha_pattern" }, { QV, "{\"alpha_pattern\":{\"[\":3}}", "no regular expression" }, { QV, "{\"modules_to_save\":3}", "modules_to_save" },
        { "bigcode_lora_rows", "{\"trainable_token_indices\":null}", "does not say which" }, { "bigcode_lora_rows", "{\"trainable_token_indices\":[1,2]}", "expected 2 x 48" },
        { "bigcode_lora_rows", "{\"trainable_token_indices\":[-1,2,3,4]}", "trained token 0 is no id" }, { "bigcode_lora_rows", "{\"trainable_token_indices\":\"x\"}", "no list" },
        { "bigcode_lora_rows", "{\"trainable_token_indices\":[1,2,3,9999999]}", "is it an adapter of another one?" }, { "bigcode_lora_rows", "{\"trainable_token_indices\":[1,2,3,99999999]}", "is no id" },
        { QV, "{\"trainable_token_indices\":[1]}", "are missing" },
    };
    sc_runtime *rt = open_runtime();
    directory = path_join(test_scratch(), "bad");
    CHECK_OK(path_make_directories(directory, err));
    check_refused(rt, QV, NULL, NULL, &(struct edit){ 0 }, NULL);
    check_refused(rt, "bigcode_lora_rows", NULL, NULL, &(struct edit){ 0 }, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_refused(rt, cases[i].name, NULL, cases[i].config, &(struct edit){ 0 }, cases[i].part);
    mem_free(directory);
    sc_runtime_close(rt);
}

TEST(bad_tensors_are_refused)
{
    static const struct { const char *name, *base; struct edit edit; const char *part; } cases[] = {
        { QV, NULL, { .from = A, .is_left_out = true }, "q_proj.lora_A.weight is missing" }, { QV, NULL, { .from = B, .is_left_out = true }, "q_proj.lora_B.weight is missing" },
        { QV, NULL, { .from = A, .cols = 39 }, "expected 4 x 40" }, { QV, NULL, { .from = B, .rows = 41 }, "expected 40 x 4" }, { QV, NULL, { .from = A, .rows = 3 }, "has rank 3" },
        { QV, NULL, { .from = A, .is_nan = true }, "infinite or not a number" }, { QV, NULL, { .from = B, .is_nan = true }, "infinite or not a number" },
        { QV, NULL, { .from = A, .to = "model.layers.0.self_attn.q_proj.lora_A.weight" }, "belongs to no module" },
        { QV, NULL, { .from = A, .to = P "model.layers.9.self_attn.q_proj.lora_A.weight" }, "belongs to no module" },
        { QV, NULL, { .from = A, .to = P "model.layers.0.self_attn.q_proj.lora_magnitude_vector" }, "belongs to DoRA" },
        { QV, NULL, { .from = A, .to = P "model.embed_tokens.lora_embedding_A" }, "adapts the embedding by low rank" },
        { QV, NULL, { .from = A, .to = P "lm_head.lora_A.weight" }, "adapts a table of tokens" },
        { QV, NULL, { .from = A, .to = P "model.norm.lora_A.weight" }, "no matrix" },
        { QV, NULL, { .from = A, .to = P "model.layers.0.self_attn.q_proj.trainable_tokens_delta" }, "no embedding and no head" },
        { QV, NULL, { .from = A, .to = P "model.layers.0.self_attn.o_proj.weight" }, "expected 40 x 40" },
        { QV, NULL, { .from = A, .to = P "model.layers.0.self_attn.q_proj.bias" }, "belongs to no module" },
        { QV, NULL, { .from = A, .to = P }, "belongs to no module" },
        { QV, "bigcode_mqa_erf", { 0 }, "belongs to no module of this gpt_bigcode model" }, { QV, "llama_mqa", { 0 }, "expected" }, { QV, "llama_head_dim", { 0 }, "expected" },
        { "bigcode_lora_rows", NULL, { .from = ROWS, .is_left_out = true }, "are missing" }, { "bigcode_lora_rows", NULL, { .from = ROWS, .cols = 47 }, "expected 4 x 48" },
        { "bigcode_lora_rows", NULL, { .from = ROWS, .is_nan = true }, "infinite or not a number" },
        { "llama_save_both", NULL, { .from = P "lm_head.weight", .rows = 102 }, "but the head has 102" },
        { "llama_save_both", NULL, { .from = P "model.embed_tokens.weight", .is_left_out = true, .rows = 0 }, NULL },
    };
    sc_runtime *rt = open_runtime();
    directory = path_join(test_scratch(), "bad");
    CHECK_OK(path_make_directories(directory, err));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_refused(rt, cases[i].name, cases[i].base, NULL, &cases[i].edit, cases[i].part);
    mem_free(directory);
    sc_runtime_close(rt);
}

static void put(const char *name, const char *text)
{
    char *path = path_join(directory, name);
    CHECK_OK(file_write(path, text, strlen(text), err));
    mem_free(path);
}

TEST(bad_directories_are_refused)
{
    struct model_file *f = NULL;
    sc_text base;
    directory = path_join(test_scratch(), "bad");
    CHECK_FAILS(adapter_file_open(&f, directory, err), SC_E_IO, "is no directory");
    CHECK_OK(path_make_directories(directory, err));
    CHECK_FAILS(adapter_file_open(&f, directory, err), SC_E_IO, "has no adapter_config.json");
    put("adapter_config.json", "[]");
    CHECK_FAILS(adapter_file_open(&f, directory, err), SC_E_FORMAT, "is no JSON object");
    put("adapter_config.json", "{");
    CHECK_FAILS(adapter_file_open(&f, directory, err), SC_E_FORMAT, "adapter_config.json");
    put("adapter_config.json", "{}");
    CHECK_FAILS(adapter_file_open(&f, directory, err), SC_E_IO, "has no adapter_model.safetensors");
    CHECK_FAILS(sc_adapter_base(&base, directory, err), SC_E_FORMAT, "names no base");
    put("adapter_config.json", "{\"base_model_name_or_path\":5}");
    CHECK_FAILS(sc_adapter_base(&base, directory, err), SC_E_FORMAT, "base_model_name_or_path");
    put("adapter_model.bin", "x");
    CHECK_FAILS(adapter_file_open(&f, directory, err), SC_E_UNSUPPORTED, "a pickle");
    put("adapter_model.safetensors", "short");
    CHECK_FAILS(adapter_file_open(&f, directory, err), SC_E_FORMAT, "adapter_model.safetensors");
    mem_free(directory);
}
