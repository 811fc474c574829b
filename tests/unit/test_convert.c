/* test_convert.c - models from one form to another and back (tests/golden/models), and random models from a config. */
#include "test.h"
#include "model/convert_internal.h"

static struct pool *pool;
static struct buf notes;

static void on_event(void *user, const char *json)
{
    (void)user;
    if (strstr(json, "\"note\"")) buf_puts(&notes, json);
}

static void begin(int threads)
{
    CHECK_OK(pool_open(&pool, threads, err));
    buf_init(&notes, 0);
    buf_puts(&notes, "");
}

static void end(void)
{
    pool_close(pool);
    buf_release(&notes);
}

static const char *golden(const char *name)
{
    char relative[128];
    snprintf(relative, sizeof relative, "tests/golden/models/%s", name);
    const char *path = test_path(relative);
    if (!path) test_failed(__FILE__, __LINE__, "%s is missing", relative);
    return path;
}

/* A name in the scratch directory; four of them may be in use at once. */
static const char *scratch(const char *name)
{
    static char path[4][256];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", test_scratch(), name);
    return p;
}

static sc_status convert(const char *in, const char *out, const char *type, sc_error *err)
{
    sc_convert_config c = { .in = in, .out = out, .type = type, .on_event = on_event };
    buf_clear(&notes);
    return model_convert(&c, NULL, pool, NULL, err);
}

static struct model_file *open_model(const char *path)
{
    struct model_file *m = NULL;
    CHECK_OK(model_file_open(&m, path, false, err));
    return m;
}

/* Masks that old files store, and a copy of a tied head: not weights. */
static bool may_be_left_out(const char *name) { return strstr(name, ".attn.bias") || strstr(name, "masked_bias") || !strcmp(name, "lm_head.weight"); }

/* Same tensors, bit for bit, whatever their order. */
static void same_tensors(const char *a_path, const char *b_path)
{
    struct model_file *a = open_model(a_path), *b = open_model(b_path);
    size_t n = 0;
    for (size_t i = 0; i < a->n_tensors; i++) {
        const struct file_tensor *x = &a->tensors[i], *y = model_file_find(b, x->name);
        if (!y && may_be_left_out(x->name)) continue;
        if (!y || x->dtype != y->dtype || x->bytes != y->bytes || memcmp(x->data, y->data, x->bytes))
            test_failed(__FILE__, __LINE__, "%s: tensor %s is not the same in %s", a_path, x->name, b_path);
        n++;
    }
    CHECK_INT(b->n_tensors, n);
    model_file_close(a);
    model_file_close(b);
}

static void same_config(const char *a_path, const char *b_path)
{
    struct model_file *fa = open_model(a_path), *fb = open_model(b_path);
    struct model_config a, b;
    CHECK_OK(model_config_read(&a, fa, err));
    CHECK_OK(model_config_read(&b, fb, err));
    CHECK(a.arch == b.arch && a.vocab == b.vocab && a.embd == b.embd && a.layers == b.layers && a.heads == b.heads && a.kv_heads == b.kv_heads);
    CHECK(a.head_dim == b.head_dim && a.inner == b.inner && a.context == b.context && a.eps == b.eps && a.is_tied == b.is_tied && a.gelu == b.gelu);
    CHECK(a.attention_bias == b.attention_bias && a.mlp_bias == b.mlp_bias);
    CHECK(a.window == b.window && a.attention_scale == b.attention_scale && a.rope.dims == b.rope.dims);
    for (size_t i = 0; i < a.rope.dims / 2; i++) CHECK(fabs(a.rope.frequency[i] - b.rope.frequency[i]) <= 1e-6 * a.rope.frequency[i]);
    model_config_release(&a);
    model_config_release(&b);
    model_file_close(fa);
    model_file_close(fb);
}

static const char *const MODELS[] = {
    "bigcode_mha", "bigcode_mqa_erf", "bigcode_mqa_f16", "bigcode_mqa_tanh", "llama_bf16", "llama_biases", "llama_gqa_sharded", "llama_gqa_untied", "llama_head_dim",
    "llama_mha_tied", "llama_mqa", "llama_rope_linear", "llama_rope_llama3", "llama_rope_llama3_new", "qwen2_layer_types", "qwen2_tied", "qwen2_untied", "qwen2_window", "starcoder2_mha",
    "starcoder2_nobias", "starcoder2_untied", "starcoder2_window",
};

/* Sixteen-bit models have their vectors widened on the way to GGUF, so only the first leg back to a directory is
 * compared for them by narrowing again. */
TEST(convert_there_and_back)
{
    begin(2);
    for (size_t i = 0; i < sizeof MODELS / sizeof *MODELS; i++) {
        char gguf[256], back[256];
        const char *type = strstr(MODELS[i], "bf16") ? "bf16" : strstr(MODELS[i], "_f16") ? "f16" : "";
        printf("%s\n", MODELS[i]);
        snprintf(gguf, sizeof gguf, "%s.gguf", scratch(MODELS[i]));
        snprintf(back, sizeof back, "%s", scratch(MODELS[i]));
        CHECK_OK(convert(golden(MODELS[i]), gguf, "", err));
        if (strstr(notes.data, "cannot express")) test_failed(__FILE__, __LINE__, "%s: %s", MODELS[i], notes.data);
        same_config(golden(MODELS[i]), gguf);
        CHECK_OK(convert(gguf, back, type, err));
        same_tensors(golden(MODELS[i]), back);
        same_config(golden(MODELS[i]), back);
    }
    end();
}

/* Without the files it carries, a GGUF gives a directory that reads the same. */
TEST(convert_from_plain_gguf)
{
    begin(1);
    for (size_t i = 0; i < sizeof MODELS / sizeof *MODELS; i++) {
        char gguf[256], plain[256], back[256];
        struct gguf_writer *w = NULL;
        snprintf(gguf, sizeof gguf, "%s", scratch("a.gguf"));
        snprintf(plain, sizeof plain, "%s", scratch("plain.gguf"));
        snprintf(back, sizeof back, "%s", scratch(MODELS[i]));
        sc_convert_config c = { .in = golden(MODELS[i]), .out = gguf, .overwrite = true };
        CHECK_OK(model_convert(&c, NULL, pool, NULL, err));
        struct model_file *m = open_model(gguf);
        CHECK_OK(gguf_writer_open(&w, plain, true, err));
        for (size_t k = 0; k < m->n_values; k++)
            if (strncmp(m->values[k].key, "starchat.", 9)) gguf_put_value(w, &m->values[k]);
        struct tensor_plan *plan = mem_zero(m->n_tensors, sizeof *plan);
        for (size_t k = 0; k < m->n_tensors; k++) {
            plan[k] = (struct tensor_plan){ m->tensors[k].name, m->tensors[k].dtype, m->tensors[k].n_dims, { 0 } };
            memcpy(plan[k].dims, m->tensors[k].dims, sizeof plan[k].dims);
        }
        CHECK_OK(gguf_writer_begin(w, plan, m->n_tensors, err));
        for (size_t k = 0; k < m->n_tensors; k++) CHECK_OK(gguf_writer_data(w, m->tensors[k].data, m->tensors[k].bytes, err));
        CHECK_OK(gguf_writer_finish(w, err));
        mem_free(plan);
        model_file_close(m);
        CHECK_OK(convert(plain, back, "f32", err));
        same_config(golden(MODELS[i]), back);
    }
    end();
}

TEST(convert_gguf_to_gguf_keeps_everything)
{
    begin(2);
    const char *a = scratch("a.gguf"), *b = scratch("b.gguf");
    CHECK_OK(convert(golden("llama_rope_llama3"), a, "q8_0", err));
    CHECK_OK(convert(a, b, "", err));
    same_tensors(a, b);
    struct model_file *x = open_model(a), *y = open_model(b);
    CHECK_INT(x->n_values, y->n_values);
    CHECK(model_file_find(y, "rope_freqs.weight") != NULL);
    model_file_close(x);
    model_file_close(y);
    end();
}

/* Row r of every matrix holds the number r. */
static void rows_are_numbered(const char *directory)
{
    struct safetensors_writer *w = NULL;
    struct model_file *m = open_model(golden("llama_gqa_untied"));
    struct tensor_plan *plan = mem_zero(m->n_tensors, sizeof *plan);
    CHECK_OK(path_make_directories(directory, err));
    char *config = path_join(directory, "config.json");
    sc_text text;
    CHECK(json_write(&text, m->config, false) == SC_OK);
    CHECK_OK(file_write(config, text.data, text.len, err));
    sc_text_free(&text);
    mem_free(config);
    for (size_t i = 0; i < m->n_tensors; i++) {
        plan[i] = (struct tensor_plan){ m->tensors[i].name, DTYPE_F32, m->tensors[i].n_dims, { m->tensors[i].dims[0], m->tensors[i].dims[1] } };
    }
    CHECK_OK(safetensors_writer_open(&w, directory, plan, m->n_tensors, 0, err));
    for (size_t i = 0; i < m->n_tensors; i++) {
        size_t n = m->tensors[i].bytes / 4, cols = plan[i].n_dims == 2 ? plan[i].dims[1] : 1;
        float *data = mem_alloc(n * sizeof *data);
        for (size_t k = 0; k < n; k++) data[k] = (float)(k / cols);
        CHECK_OK(safetensors_writer_data(w, data, n * sizeof *data, err));
        mem_free(data);
    }
    CHECK_OK(safetensors_writer_finish(w, err));
    mem_free(plan);
    model_file_close(m);
}

TEST(convert_permutes_rows_of_q_and_k)
{
    begin(1);
    const char *in = scratch("numbered"), *out = scratch("numbered.gguf");
    rows_are_numbered(in);
    CHECK_OK(convert(in, out, "", err));
    struct model_file *m = open_model(out);
    struct model_config c;
    CHECK_OK(model_config_read(&c, m, err));
    const struct file_tensor *q = model_file_find(m, "blk.1.attn_q.weight"), *v = model_file_find(m, "blk.1.attn_v.weight");
    const float *rows = q->data, *plain = v->data;
    for (size_t head = 0; head < c.heads; head++)
        for (size_t half = 0; half < 2; half++)
            for (size_t pair = 0; pair < c.head_dim / 2; pair++)       /* where HF keeps it = what stands at 2 * pair + half */
                CHECK(rows[(head * c.head_dim + 2 * pair + half) * c.embd] == (float)(head * c.head_dim + half * (c.head_dim / 2) + pair));
    for (size_t r = 0; r < v->dims[0]; r++) CHECK(plain[r * c.embd] == (float)r);
    model_config_release(&c);
    model_file_close(m);
    end();
}

TEST(convert_separates_heads_of_fused_qkv)
{
    struct model_config c = { .heads = 3, .kv_heads = 3, .head_dim = 2 };
    static const size_t expected[18] = { 0, 1, 6, 7, 12, 13, 2, 3, 8, 9, 14, 15, 4, 5, 10, 11, 16, 17 };
    for (size_t r = 0; r < 18; r++) {
        CHECK_INT(row_source(&c, ROWS_TO_BLOCKS, r), expected[r]);
        CHECK_INT(row_source(&c, ROWS_TO_HEADS, expected[r]), r);
    }
}

TEST(convert_chooses_types)
{
    static const struct weight_row embed = { W_EMBED, "", "", E_VOCAB, E_EMBD, 0 }, down = { W_DOWN, "", "", E_EMBD, E_INNER, 0 }, o = { W_O, "", "", E_EMBD, E_EMBD, 0 };
    struct model_config c = { .layers = 32, .is_tied = true };
    struct job j = { .config = &c };
    const struct target *q4 = target_by_name("q4_k_m");
    struct out_tensor t = { .row = &embed, .cols = 512, .rows = 9 };
    size_t n = 0;
    CHECK(type_for(&j, &t, q4, MODEL_GGUF) == DTYPE_Q6_K);
    t.row = &o;
    CHECK(type_for(&j, &t, q4, MODEL_GGUF) == DTYPE_Q4_K);
    t.cols = 288;
    CHECK(type_for(&j, &t, q4, MODEL_GGUF) == DTYPE_Q5_0);
    t.cols = 100;
    CHECK(type_for(&j, &t, q4, MODEL_GGUF) == DTYPE_F16);
    t.cols = 512;
    t.row = &down;
    for (t.layer = 0; t.layer < 32; t.layer++) n += type_for(&j, &t, q4, MODEL_GGUF) == DTYPE_Q6_K;
    CHECK_INT(n, 16);
    t.is_vector = true;
    CHECK(type_for(&j, &t, q4, MODEL_GGUF) == DTYPE_F32);
    CHECK(type_for(&j, &t, target_by_name("bf16"), MODEL_HF) == DTYPE_BF16);
    CHECK(!target_by_name("q4_k"));
}

TEST(convert_quantises_alike_on_any_number_of_threads)
{
    const char *types[] = { "q8_0", "q4_k_m", "q5_0" };
    for (size_t i = 0; i < 3; i++) {
        char one[256], many[256];
        snprintf(one, sizeof one, "%s-1.gguf", scratch(types[i]));
        snprintf(many, sizeof many, "%s-3.gguf", scratch(types[i]));
        begin(1);
        CHECK_OK(convert(golden("starcoder2_mha"), one, types[i], err));
        end();
        begin(3);
        CHECK_OK(convert(golden("starcoder2_mha"), many, types[i], err));
        end();
        same_tensors(one, many);
    }
}

TEST(convert_says_what_falls_back)
{
    begin(1);
    CHECK_OK(convert(golden("llama_gqa_untied"), scratch("fallback.gguf"), "q4_k_m", err));
    CHECK(strstr(notes.data, "no whole number of q") != NULL);
    end();
}

TEST(convert_refuses)
{
    begin(1);
    const char *model = golden("llama_mqa"), *out = scratch("x.gguf");
    CHECK_FAILS(convert(model, out, "q3_k", err), SC_E_ARGUMENT, "unknown storage type q3_k");
    CHECK_FAILS(convert(model, scratch("dir"), "q4_0", err), SC_E_ARGUMENT, "f32, f16 or bf16");
    CHECK(!path_exists(scratch("dir")));
    CHECK_FAILS(convert(model, model, "", err), SC_E_ARGUMENT, "exists already");
    CHECK_FAILS(convert("/nowhere", out, "", err), SC_E_IO, "/nowhere");
    CHECK_OK(convert(model, out, "", err));
    CHECK_FAILS(convert(model, out, "", err), SC_E_ARGUMENT, "exists already");
    sc_convert_config same = { .in = out, .out = out, .overwrite = true };
    CHECK_FAILS(model_convert(&same, NULL, pool, NULL, err), SC_E_ARGUMENT, "onto itself");
    sc_convert_config again = { .in = model, .out = out, .overwrite = true };
    CHECK_OK(model_convert(&again, NULL, pool, NULL, err));
    atomic_int cancel = 1;
    again.out = scratch("cancelled");
    CHECK_FAILS(model_convert(&again, NULL, pool, &cancel, err), SC_E_CANCELLED, "cancelled");
    CHECK(!path_exists(again.out));
    end();
}

TEST(convert_overwrites_a_directory)
{
    begin(1);
    const char *out = scratch("over");
    CHECK_OK(convert(golden("llama_mqa"), out, "", err));
    sc_convert_config c = { .in = golden("qwen2_tied"), .out = out, .overwrite = true };
    CHECK_OK(model_convert(&c, NULL, pool, NULL, err));
    same_tensors(golden("qwen2_tied"), out);
    same_config(golden("qwen2_tied"), out);
    end();
}

TEST(convert_refuses_numbers_that_are_not)
{
    begin(1);
    const char *in = scratch("nan");
    rows_are_numbered(in);
    char *path = path_join(in, "model.safetensors");
    FILE *f = fopen(path, "r+b");
    float bad = NAN;
    fseek(f, -4, SEEK_END);
    fwrite(&bad, sizeof bad, 1, f);
    fclose(f);
    struct model_file *m = open_model(in);
    bool last_is_matrix = m->tensors[m->n_tensors - 1].n_dims == 2 && m->tensors[m->n_tensors - 1].dims[1] % 32 == 0;
    model_file_close(m);
    mem_free(path);
    if (last_is_matrix) CHECK_FAILS(convert(in, scratch("nan.gguf"), "q8_0", err), SC_E_FORMAT, "infinite or not a number");
    CHECK_OK(convert(in, scratch("nan.gguf"), "f16", err));
    end();
}

/* ---- init --------------------------------------------------------------------------------------------------------------------- */

static sc_status init(const char *name, const char *out, const char *type, uint64_t seed, sc_error *err)
{
    char *config = path_join(golden(name), "config.json");
    sc_init_config c = { .config = config, .out = out, .type = type, .seed = seed, .on_event = on_event };
    sc_status status = model_init(&c, pool, NULL, err);
    mem_free(config);
    return status;
}

TEST(init_has_the_right_moments)
{
    begin(2);
    const char *out = scratch("random");
    CHECK_OK(init("bigcode_mqa_tanh", out, "f32", 3, err));
    struct model_file *m = open_model(out);
    double range = json_number_value(json_object_get(m->config, "initializer_range")), layers = json_number_value(json_object_get(m->config, "n_layer"));
    if (range == 0) range = 0.02;
    for (size_t i = 0; i < m->n_tensors; i++) {
        const struct file_tensor *t = &m->tensors[i];
        const float *x = t->data;
        size_t n = t->bytes / 4;
        double sum = 0, squares = 0, expected = strstr(t->name, "c_proj") ? range / sqrt(2 * layers) : range;
        for (size_t k = 0; k < n; k++) { sum += (double)x[k]; squares += (double)x[k] * (double)x[k]; }
        if (t->n_dims == 1) {
            bool is_gain = strstr(t->name, "ln_") && strstr(t->name, "weight");
            CHECK(sum == (is_gain ? (double)n : 0));
            continue;
        }
        CHECK(fabs(sum / (double)n) < 5 * expected / sqrt((double)n));
        CHECK(fabs(sqrt(squares / (double)n) / expected - 1) < 4 / sqrt((double)n));
    }
    struct model_config c;
    CHECK_OK(model_config_read(&c, m, err));
    model_config_release(&c);
    model_file_close(m);
    end();
}

TEST(init_depends_on_the_seed_alone)
{
    begin(1);
    CHECK_OK(init("llama_gqa_untied", scratch("a"), "bf16", 5, err));
    end();
    begin(4);
    CHECK_OK(init("llama_gqa_untied", scratch("b"), "bf16", 5, err));
    CHECK_OK(init("llama_gqa_untied", scratch("c"), "bf16", 6, err));
    same_tensors(scratch("a"), scratch("b"));
    struct model_file *a = open_model(scratch("a")), *c = open_model(scratch("c"));
    const struct file_tensor *x = model_file_find(a, "model.embed_tokens.weight"), *y = model_file_find(c, "model.embed_tokens.weight");
    CHECK(memcmp(x->data, y->data, x->bytes) != 0);
    model_file_close(a);
    model_file_close(c);
    end();
}

/* Biases are there where the config has them, and nowhere else. */
TEST(init_makes_biases_by_config)
{
    static const struct { const char *model, *tensor; bool is_there; } rows[] = {
        { "starcoder2_mha", "model.layers.1.mlp.c_fc.bias", true }, { "starcoder2_mha", "model.layers.0.self_attn.o_proj.bias", true },
        { "starcoder2_nobias", "model.layers.1.mlp.c_fc.bias", false }, { "starcoder2_nobias", "model.norm.bias", true },
        { "llama_biases", "model.layers.1.mlp.gate_proj.bias", true }, { "llama_biases", "model.layers.1.self_attn.k_proj.bias", true },
        { "llama_mqa", "model.layers.1.self_attn.k_proj.bias", false }, { "qwen2_tied", "model.layers.1.self_attn.k_proj.bias", true },
        { "qwen2_tied", "model.layers.1.self_attn.o_proj.bias", false }, { "bigcode_mha", "transformer.h.1.attn.c_attn.bias", true },
    };
    begin(1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *out = scratch(rows[i].model);
        if (!path_exists(out)) CHECK_OK(init(rows[i].model, out, "f32", 1, err));
        struct model_file *m = open_model(out);
        bool is_there = model_file_find(m, rows[i].tensor) != NULL;
        if (is_there != rows[i].is_there) test_failed(__FILE__, __LINE__, "%s: %s is %s", rows[i].model, rows[i].tensor, is_there ? "there" : "missing");
        model_file_close(m);
    }
    end();
}

TEST(init_every_architecture_straight_to_gguf)
{
    begin(2);
    static const char *const names[] = { "bigcode_mha", "llama_rope_llama3", "qwen2_untied", "starcoder2_window" };
    for (size_t i = 0; i < 4; i++) {
        char out[256];
        snprintf(out, sizeof out, "%s.gguf", scratch(names[i]));
        CHECK_OK(init(names[i], out, "q4_0", 1, err));
        same_config(golden(names[i]), out);
        struct model_file *m = open_model(out);
        for (size_t k = 0; k < m->n_tensors; k++) CHECK(m->tensors[k].n_dims == 2 || m->tensors[k].dtype == DTYPE_F32);
        model_file_close(m);
    }
    CHECK_FAILS(init("bigcode_mha", scratch("dir"), "q4_0", 1, err), SC_E_ARGUMENT, "f32, f16 or bf16");
    CHECK_FAILS(init("bigcode_mha", scratch("x.gguf"), "q9", 1, err), SC_E_ARGUMENT, "unknown storage type");
    end();
}
