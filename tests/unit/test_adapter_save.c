/* test_adapter_save.c - what is written computes what it was written from: adapters (also read by PEFT, see below), merged
 * models, models changed in memory, with their tokenizers and templates; and damage in a written file is found.
 *
 * STARCHAT_ADAPTER_OUT=DIR keeps the saved adapters with their logits for `tools/oracle/peft_adapters.py check DIR`. */
#include "adapter_fixture.h"

#include <unistd.h>

#include "train/train.h"

static char *scratch(const char *name) { return path_join(test_scratch(), name); }

static sc_model *open_model(sc_runtime *rt, const char *path, const char *adapter, const char *template)
{
    sc_model *m = NULL;
    CHECK_OK(sc_model_open(&m, rt, &(sc_model_config){ .path = path, .adapter = adapter, .chat_template = template }, err));
    return m;
}

static double error_of(sc_model *m, const struct golden *g)
{
    float *found = all_logits(m, g, false);
    double e = difference(found, g->logits, g->n, g->vocab);
    mem_free(found);
    return e;
}

static void each_golden(void (*check)(sc_runtime *rt, const char *name))
{
    sc_runtime *rt = open_runtime();
    DIR *d = opendir(test_path("tests/golden/adapters"));
    int n = 0;
    CHECK(d);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.') { check(rt, e->d_name); n++; }
    closedir(d);
    CHECK_INT(n, 20);
    sc_runtime_close(rt);
}

/* ---- merge --------------------------------------------------------------------------------------------------------------------- */

static void check_merged(sc_runtime *rt, const char *name)
{
    static const struct { const char *out, *type; double most; } rows[] = {
        { "merged", "", 1e-4 }, { "merged.gguf", "", 1e-4 }, { "merged", "f32", 1e-4 }, { "merged.gguf", "f16", 1e-2 }, { "merged", "bf16", 6e-2 },
    };
    struct golden g;
    char *gguf = scratch("base.gguf");
    golden_read(&g, name);
    CHECK_OK(sc_convert(rt, &(sc_convert_config){ .in = g.base, .out = gguf, .type = "", .overwrite = true }, err));
    for (size_t i = 0; i < 2 * (sizeof rows / sizeof *rows); i++) {
        const char *base = i % 2 ? gguf : g.base;
        char *out = scratch(rows[i / 2].out);
        bool is_half = !strcmp(name, "bigcode_f16") && !rows[i / 2].type[0];
        CHECK_OK(sc_merge(rt, &(sc_merge_config){ .base = base, .adapter = g.adapter, .out = out, .type = rows[i / 2].type, .overwrite = true }, err));
        sc_model *m = open_model(rt, out, NULL, NULL);
        double e = m ? error_of(m, &g) : 1, most = is_half ? 1e-2 : rows[i / 2].most;
        if (!(e <= most)) test_failed(__FILE__, __LINE__, "%s merged from %s into %s as \"%s\": %g, expected at most %g", name, i % 2 ? "GGUF" : "a directory", rows[i / 2].out, rows[i / 2].type, e, most);
        sc_model_close(m);
        mem_free(out);
    }
    golden_release(&g);
    mem_free(gguf);
}

TEST(merged_models_give_the_logits_of_peft) { each_golden(check_merged); }

/* ---- adapters -------------------------------------------------------------------------------------------------------------------- */

static void keep_for_peft(sc_runtime *rt, const struct golden *g, const char *adapter)
{
    const char *root = getenv("STARCHAT_ADAPTER_OUT");
    if (!root) return;
    char *directory = path_join(root, g->name), *json = path_join(directory, "saved.json"), *logits = path_join(directory, "saved.f32");
    struct buf b;
    sc_model *m = open_model(rt, g->base, adapter, NULL);
    float *found = all_logits(m, g, false);
    buf_init(&b, 0);
    buf_printf(&b, "{\"base\":\"%s\",\"vocab\":%zu,\"prompt\":[", strrchr(g->base, '/') + 1, g->vocab);
    for (size_t i = 0; i < g->n; i++) buf_printf(&b, "%s%d", i ? "," : "", g->prompt[i]);
    buf_puts(&b, "]}\n");
    CHECK_OK(file_write(json, b.data, b.len, err));
    CHECK_OK(file_write(logits, found, g->n * g->vocab * sizeof *found, err));
    buf_release(&b);
    mem_free(found);
    sc_model_close(m);
    mem_free(directory);
    mem_free(json);
    mem_free(logits);
}

static bool has_whole_tensors(const sc_model *m)
{
    for (size_t i = 0; i < m->adapter->n_tensors; i++) {
        const char *name = m->adapter->tensors[i].name;
        if (strstr(name, "trainable_tokens_delta") ? m->adapter->tensors[i].dims[0] != m->model.extra.rows : !strstr(name, ".lora_")) return true;
    }
    return false;
}

static void check_saved(sc_runtime *rt, const char *name)
{
    struct golden g;
    char *gguf = scratch("base.gguf");
    const char *root = getenv("STARCHAT_ADAPTER_OUT") ? getenv("STARCHAT_ADAPTER_OUT") : test_scratch();
    golden_read(&g, name);
    char *out = path_join(root, g.name);
    CHECK_OK(sc_convert(rt, &(sc_convert_config){ .in = g.base, .out = gguf, .type = "", .overwrite = true }, err));
    for (int i = 0; i < 2; i++) {
        double d = 1;
        sc_model *m = open_model(rt, i ? gguf : g.base, g.adapter, NULL);
        struct adapter_config c = { .r = 4, .alpha = 6, .use_rslora = !strcmp(name, "bigcode_suffix") || !strcmp(name, "llama_all") };
        if (has_whole_tensors(m)) CHECK_FAILS(adapter_save(out, m, &c, g.base, true, err), SC_E_UNSUPPORTED, "cannot be saved again as an adapter");
        else {
            CHECK_OK(adapter_save(out, m, &c, g.base, true, err));
            CHECK_OK(saved_model_check(&d, m, out, err));
            CHECK(d <= 1e-6);
            sc_model *back = open_model(rt, out, NULL, NULL);
            if (back) CHECK(error_of(back, &g) <= 1e-4);
            sc_model_close(back);
            if (i == 0) keep_for_peft(rt, &g, out);
        }
        sc_model_close(m);
    }
    golden_release(&g);
    mem_free(gguf);
    mem_free(out);
}

TEST(adapters_saved_here_come_back) { each_golden(check_saved); }

/* ---- models changed in memory -------------------------------------------------------------------------------------------------- */

static void change(void *user, const struct model_tensor *t)
{
    struct arena *memory = user;
    struct tensor *x = t->tensor;
    float *data = arena_take(memory, x->rows * x->cols * sizeof *data);
    for (size_t r = 0; r < x->rows; r++) dtypes[x->dtype].to_f32(data + r * x->cols, tensor_row(x, r), x->cols);
    for (size_t i = 0; i < x->rows * x->cols; i++) data[i] = data[i] * 0.9f + 0.01f * (float)sin((double)i);
    x->data = data;
    x->dtype = DTYPE_F32;
}

static void save_and_check(sc_model *m, const char *name, const char *type)
{
    double d = 1;
    char *out = scratch(name);
    CHECK_OK(model_save(&m->model, m->file, &(struct model_save_config){ .out = out, .type = type, .overwrite = true, .pool = m->runtime->pool }, err));
    CHECK_OK(saved_model_check(&d, m, out, err));
    if (!strcmp(type, "f32")) CHECK(d <= 1e-5);
    mem_free(out);
}

static void check_changed(sc_runtime *rt, const char *path)
{
    struct arena memory;
    char *gguf = scratch("base.gguf");
    arena_init(&memory);
    CHECK_OK(sc_convert(rt, &(sc_convert_config){ .in = path, .out = gguf, .type = "", .overwrite = true }, err));
    for (int i = 0; i < 2; i++) {
        sc_model *m = open_model(rt, i ? gguf : path, NULL, NULL);
        model_add_rows(&m->model, 3);
        for (size_t k = 0; k < 3 * m->model.extra.cols; k++) tensor_f32(&m->model.extra)[k] += 0.02f * (float)cos((double)k);
        save_and_check(m, "rows", "f32");                     /* unchanged but for the rows */
        save_and_check(m, "rows.gguf", "");
        model_each(&m->model, change, &memory);
        model_tie(&m->model);
        save_and_check(m, "changed", "f32");
        save_and_check(m, "changed.gguf", "f32");
        save_and_check(m, "kept", "");
        save_and_check(m, "kept.gguf", "q8_0");
        sc_model_close(m);
    }
    arena_release(&memory);
    mem_free(gguf);
}

TEST(changed_models_are_saved)
{
    sc_runtime *rt = open_runtime();
    DIR *d = opendir(test_path("tests/golden/models"));
    int n = 0;
    CHECK(d);
    for (struct dirent *e; d && (e = readdir(d));) {
        char *path = path_join(test_path("tests/golden/models"), e->d_name);
        if (e->d_name[0] != '.') { check_changed(rt, path); n++; }
        mem_free(path);
    }
    closedir(d);
    CHECK(n >= 16);
    sc_runtime_close(rt);
}

/* ---- with a tokenizer and a template ----------------------------------------------------------------------------------------------- */

static const char CONFIG[] = "{\"model_type\":\"llama\",\"vocab_size\":%d,\"hidden_size\":32,\"intermediate_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":4,"
                             "\"num_key_value_heads\":2,\"max_position_embeddings\":256,\"initializer_range\":0.1,\"tie_word_embeddings\":%s,\"use_cache\":false}";

static void check_generation(const char *directory, int32_t end)
{
    json_t *g = NULL, *d = NULL;
    char *path = path_join(directory, "generation_config.json"), *dialogue = path_join(directory, "dialogue_template.json");
    CHECK_OK(json_read_file(&g, path, 1 << 16, err));
    const json_t *eos = json_object_get(g, "eos_token_id");
    CHECK_INT(json_integer_value(json_is_array(eos) ? json_array_get(eos, 0) : eos), end);
    CHECK_OK(json_read_file(&d, dialogue, 1 << 16, err));
    CHECK_STR(json_string_value(json_object_get(d, "end_token")), "<|end|>");
    json_decref(g);
    json_decref(d);
    mem_free(path);
    mem_free(dialogue);
}

static void check_assistant(sc_runtime *rt, const char *base)
{
    sc_model *m = open_model(rt, base, NULL, "no_system");
    struct adapter_config c = { .r = 3, .alpha = 5, .target_modules = "q_proj,o_proj", .seed = 9 };
    char *adapter = scratch("adapter"), *directory = scratch("whole"), *gguf = scratch("whole.gguf");
    double d;
    int32_t end = tokenizer_find(m->tokenizer, "<|end|>", 7);
    CHECK(end >= 0);
    CHECK_OK(adapter_attach(&m->model, &m->model.memory, &c, err));
    for (size_t i = 0; i < m->model.config.layers; i++) {
        struct layer *l = &m->model.layers[i];
        for (size_t k = 0; k < l->q.w.rows * 3; k++) tensor_f32(&l->q.lora->b.w)[k] = 0.1f * (float)sin((double)(k + i));
    }
    for (size_t k = 0; k < m->model.extra.rows * m->model.extra.cols; k++) tensor_f32(&m->model.extra)[k] += 0.05f * (float)cos((double)k);
    CHECK_OK(adapter_save(adapter, m, &c, base, true, err));
    CHECK_OK(saved_model_check(&d, m, adapter, err));
    check_generation(adapter, end);
    struct companions companions;
    CHECK_OK(companions_make(&companions, m, err));
    struct model_save_config save = { .out = directory, .type = "", .overwrite = true, .with_adapters = true, .extras = companions.extra, .pool = rt->pool };
    CHECK_OK(model_save(&m->model, m->file, &save, err));
    CHECK_OK(saved_model_check(&d, m, directory, err));
    check_generation(directory, end);
    save.out = gguf;
    CHECK_OK(model_save(&m->model, m->file, &save, err));
    CHECK_OK(saved_model_check(&d, m, gguf, err));
    sc_model *back = open_model(rt, gguf, NULL, NULL);
    CHECK_INT(back->end[0], end);
    CHECK_INT(tokenizer_find(back->tokenizer, "<|end|>", 7), end);
    CHECK(back->has_template);
    sc_model_close(back);
    CHECK_OK(sc_merge(rt, &(sc_merge_config){ .base = base, .adapter = adapter, .out = directory, .type = "", .overwrite = true }, err));
    CHECK_OK(saved_model_check(&d, m, directory, err));
    companions_release(&companions);
    sc_model_close(m);
    mem_free(adapter);
    mem_free(directory);
    mem_free(gguf);
}

/* Embeddings with exactly as many rows as tokens, and padded ones, in which the new tokens find rows. */
TEST(an_assistant_is_saved_whole)
{
    static const char *const families[] = { "starcoder", "qwen2", "llama3" };
    sc_runtime *rt = open_runtime();
    char *config = scratch("config.json"), *base = scratch("base"), *gguf = scratch("base.gguf");
    for (size_t i = 0; i < 2 * (sizeof families / sizeof *families); i++) {
        struct tokenizer *t = NULL;
        char relative[128], text[512];
        snprintf(relative, sizeof relative, "tests/golden/tokenizers/families/%s.json", families[i / 2]);
        char *tokenizer = mem_strdup(test_path(relative));
        CHECK_OK(tokenizer_open(&t, tokenizer, err));
        snprintf(text, sizeof text, CONFIG, (int)tokenizer_vocab(t) + (i % 2 ? 30 : 0), i / 2 == 1 ? "false" : "true");
        CHECK_OK(file_write(config, text, strlen(text), err));
        CHECK_OK(sc_init(rt, &(sc_init_config){ .config = config, .out = base, .tokenizer = tokenizer, .type = "f32", .seed = 3, .overwrite = true }, err));
        CHECK_OK(sc_convert(rt, &(sc_convert_config){ .in = base, .out = gguf, .type = "", .overwrite = true }, err));
        check_assistant(rt, base);
        check_assistant(rt, gguf);
        tokenizer_close(t);
        mem_free(tokenizer);
    }
    mem_free(config);
    mem_free(base);
    mem_free(gguf);
    sc_runtime_close(rt);
}

/* ---- damage in what was written -------------------------------------------------------------------------------------------------------- */

static void damage(const char *directory, const char *name, size_t from_end)
{
    sc_text t;
    char *path = path_join(directory, name);
    CHECK_OK(file_read(&t, path, 1 << 24, err));
    for (size_t i = 1; i <= 400 && i + from_end < t.len; i++) t.data[t.len - from_end - i] ^= 0x21;
    CHECK_OK(file_write(path, t.data, t.len, err));
    sc_text_free(&t);
    mem_free(path);
}

TEST(damage_is_found_when_reading_back)
{
    sc_runtime *rt = open_runtime();
    struct golden g;
    double d;
    char *adapter = scratch("adapter"), *whole = scratch("whole");
    golden_read(&g, "llama_qv");
    sc_model *m = open_model(rt, g.base, g.adapter, NULL);
    CHECK_OK(adapter_save(adapter, m, &(struct adapter_config){ .r = 4, .alpha = 6 }, g.base, false, err));
    damage(adapter, "adapter_model.safetensors", 0);
    CHECK_FAILS(saved_model_check(&d, m, adapter, err), SC_E_FORMAT, "do not use it");
    CHECK_OK(model_save(&m->model, m->file, &(struct model_save_config){ .out = whole, .with_adapters = true, .pool = rt->pool }, err));
    CHECK_OK(saved_model_check(&d, m, whole, err));
    damage(whole, "model.safetensors", 0);
    CHECK_FAILS(saved_model_check(&d, m, whole, err), SC_E_FORMAT, "do not use it");
    CHECK_FAILS(model_save(&m->model, m->file, &(struct model_save_config){ .out = whole, .pool = rt->pool }, err), SC_E_ARGUMENT, "exists already");
    CHECK_FAILS(model_save(&m->model, m->file, &(struct model_save_config){ .out = g.base, .overwrite = true, .pool = rt->pool }, err), SC_E_ARGUMENT, "onto itself");
    CHECK_FAILS(model_save(&m->model, m->file, &(struct model_save_config){ .out = whole, .type = "q8_0", .overwrite = true, .pool = rt->pool }, err), SC_E_ARGUMENT, "a directory holds");
    CHECK_FAILS(model_save(&m->model, m->file, &(struct model_save_config){ .out = whole, .type = "q9", .overwrite = true, .pool = rt->pool }, err), SC_E_ARGUMENT, "unknown storage type");
    tensor_f32(&((struct lora *)(uintptr_t)m->model.layers[1].q.lora)->a.w)[5] = NAN;
    CHECK_FAILS(model_save(&m->model, m->file, &(struct model_save_config){ .out = whole, .overwrite = true, .with_adapters = true, .pool = rt->pool }, err), SC_E_FORMAT, "infinite or not a number");
    sc_model_close(m);
    m = open_model(rt, g.base, NULL, NULL);
    CHECK_FAILS(adapter_save(adapter, m, &(struct adapter_config){ .r = 4, .alpha = 6 }, g.base, false, err), SC_E_ARGUMENT, "no adapter and no trained token rows");
    CHECK_FAILS(sc_merge(rt, &(sc_merge_config){ .base = g.base, .adapter = "", .out = whole, .type = "" }, err), SC_E_ARGUMENT, "the name of the adapter is empty");
    sc_model_close(m);
    golden_release(&g);
    mem_free(adapter);
    mem_free(whole);
    sc_runtime_close(rt);
}
