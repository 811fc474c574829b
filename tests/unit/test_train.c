/* test_train.c - what is trained: the list of parameters, adapters, memory; optimisers, schedules and clipping against
 * PyTorch, transformers and DeepSpeed's formula (tests/golden/training, tools/oracle/optimizers.py). */
#include "parameters_fixture.h"

/* ---- parameters ------------------------------------------------------------------------------------------------------------ */

static const struct trainable_config FULL = { .is_full = true }, LORA = { .new_rows = true };

TEST(full_training_lists_every_tensor_once_in_a_fixed_order)
{
    struct opened o;
    struct trainable t;
    opened_open(&o, "bigcode_mqa_erf", 1);
    model_add_rows(&o.model, 4);
    CHECK_INT(trainable_size(&o.model, &FULL).all % 64, 0);
    size_t said = trainable_size(&o.model, &FULL).all, at = 0, trained = 0;
    CHECK_OK(trainable_open(&t, &o.model, &FULL, err));
    CHECK_INT(t.memory_bytes, said);
    CHECK_STR(t.parameter[0].name, "transformer.wte.weight");
    CHECK(parameter_find(&t, "new_tokens")->group == 0 && parameter_find(&t, "transformer.h.1.mlp.c_fc.bias")->group == 0);
    CHECK(parameter_find(&t, "transformer.wte.weight")->is_embedding && parameter_find(&t, "transformer.wpe.weight")->is_embedding);
    CHECK(!parameter_find(&t, "transformer.h.0.attn.c_attn.weight")->is_embedding);
    CHECK(parameter_find(&t, "transformer.h.1.mlp.c_fc.weight")->decays && !parameter_find(&t, "transformer.h.1.mlp.c_fc.bias")->decays);
    CHECK(!parameter_find(&t, "transformer.h.0.ln_1.weight")->decays && parameter_find(&t, "new_tokens")->decays && !parameter_find(&t, "new_tokens")->is_matrix);
    for (size_t i = 0; i < t.n; i++) {
        const struct parameter *p = &t.parameter[i];
        CHECK_INT(p->begin, at);
        CHECK(p->tensor->grad == t.group_grad[0] + at && p->sum == t.sum + at && p->tensor->data == p->value && p->tensor->dtype == DTYPE_F32);
        CHECK(p->own_first == 0 && p->own_n == p->rows * p->cols && p->group >= (i ? t.parameter[i - 1].group : 0));
        at += (p->rows * p->cols + SLICE_GRAIN - 1) / SLICE_GRAIN * SLICE_GRAIN;
        trained += p->rows * p->cols;
        for (size_t k = 0; k < i; k++) CHECK(strcmp(p->name, t.parameter[k].name) != 0);
    }
    CHECK_INT(at, t.elements);
    CHECK_INT(t.trained, o.model.parameters + 4 * o.model.config.embd);
    CHECK_INT(t.trained, trained);
    CHECK(o.model.head.w.data == o.model.embed.w.data && o.model.head.w.grad == o.model.embed.w.grad);
    trainable_close(&t);
    opened_close(&o);
}

/* Values of the copy are those of the file, whatever its type. */
TEST(full_training_starts_from_the_file)
{
    static const char *const names[] = { "bigcode_mqa_f16", "llama_bf16", "qwen2_untied" };
    for (size_t i = 0; i < 3; i++) {
        struct opened a, b;
        struct trainable t;
        opened_open(&a, names[i], 1);
        opened_open(&b, names[i], 1);
        CHECK_OK(trainable_open(&t, &a.model, &FULL, err));
        const struct tensor *copy = &a.model.layers[1].down.w, *file = &b.model.layers[1].down.w;
        float *row = mem_alloc(file->cols * sizeof *row);
        for (size_t r = 0; r < file->rows; r++) {
            dtypes[file->dtype].to_f32(row, tensor_row(file, r), file->cols);
            CHECK(!memcmp(row, tensor_row(copy, r), file->cols * sizeof *row));
        }
        mem_free(row);
        trainable_close(&t);
        opened_close(&a);
        opened_close(&b);
    }
}

static size_t attach(struct opened *o, struct trainable *t, const char *targets, int64_t r)
{
    const struct adapter_config c = { .r = r, .alpha = 32, .target_modules = targets, .seed = 5 };
    CHECK_OK(adapter_attach(&o->model, &o->memory, &c, err));
    CHECK_OK(trainable_open(t, &o->model, &LORA, err));
    return t->n;
}

TEST(adapters_have_the_names_of_peft)
{
    static const struct { const char *model, *targets; size_t n; } row[] = {
        { "bigcode_mqa_erf", "c_attn", 2 }, { "bigcode_mqa_erf", "c_proj,c_attn", 6 }, { "bigcode_mqa_erf", "attn.c_proj", 2 }, { "bigcode_mqa_erf", "all-linear", 8 },
        { "llama_gqa_untied", "q_proj, v_proj", 4 }, { "llama_gqa_untied", "all-linear", 14 }, { "starcoder2_window", "mlp.c_fc", 2 }, { "qwen2_tied", "layers.1.mlp.down_proj", 1 },
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct opened o;
        struct trainable t;
        opened_open(&o, row[i].model, 1);
        size_t n = attach(&o, &t, row[i].targets, 3), layers = o.model.config.layers, per_layer = row[i].n / (i == 7 ? 1 : 2);
        CHECK_INT(n, 2 * per_layer * (i == 7 ? 1 : layers));
        if (i == 1) CHECK(parameter_find(&t, "transformer.h.0.mlp.c_proj.lora_B.weight")->cols == 3);
        if (i == 4) CHECK(parameter_find(&t, "model.layers.1.self_attn.v_proj.lora_A.weight")->rows == 3);
        trainable_close(&t);
        opened_close(&o);
    }
}

TEST(adapters_begin_as_peft_draws_them_and_the_rest_is_frozen)
{
    struct opened o;
    struct trainable t;
    opened_open(&o, "llama_gqa_untied", 1);
    model_add_rows(&o.model, 2);
    size_t n = attach(&o, &t, "down_proj", 8), extras = 2;                /* untied: rows of the embedding and of the head */
    CHECK_INT(n, 2 * o.model.config.layers + extras);
    for (size_t i = 0; i < n; i++) {
        const struct parameter *p = &t.parameter[i];
        if (!strstr(p->name, ".lora_")) continue;
        double bound = 1 / sqrt((double)p->cols), most = 0;
        for (size_t k = 0; k < p->rows * p->cols; k++) most = fmax(most, fabs((double)p->value[k]));
        if (strstr(p->name, "lora_A")) CHECK(most <= bound && most > 0.95 * bound); else CHECK(most == 0);
        CHECK(p->decays && p->tensor->dtype == DTYPE_F32);
    }
    const struct layer *l = &o.model.layers[0];
    CHECK(!l->down.w.grad && !l->q.w.grad && !l->norm1.gain.grad && !o.model.embed.w.grad && o.model.extra.grad && o.model.extra_head.grad);
    CHECK(fabsf(l->down.lora->scale - 4) < 1e-6f && l->q.lora == NULL);
    CHECK_INT(t.memory_bytes, trainable_size(&o.model, &LORA).all);
    CHECK(t.memory_bytes < 17 * t.elements + 64 * 2 * (t.n + 1));         /* sum, grad, m, v; nothing for what is frozen */
    trainable_close(&t);
    const struct adapter_config wrong = { .r = 4, .alpha = 8, .target_modules = "c_attn" }, none = { .r = 0, .target_modules = "down_proj" };
    CHECK_FAILS(adapter_attach(&o.model, &o.memory, &wrong, err), SC_E_ARGUMENT, "c_attn");
    CHECK_FAILS(adapter_attach(&o.model, &o.memory, &none, err), SC_E_ARGUMENT, "expected 1 to 4096");
    opened_close(&o);
    opened_open(&o, "llama_gqa_untied", 1);
    CHECK_FAILS(trainable_open(&t, &o.model, &LORA, err), SC_E_ARGUMENT, "nothing");
    opened_close(&o);
}

TEST(leaves_are_added_in_order)
{
    struct made m;
    struct pool *pool;
    made_open(&m);
    made_add(&m, 300, 311, VALUE_F32, MOMENT_F32, true);
    made_add(&m, 1, 5, VALUE_F32, MOMENT_F32, false);
    made_finish(&m);
    CHECK_OK(pool_open(&pool, 3, err));
    trainable_begin_step(&m.t, pool);
    float expected = 0;
    for (int leaf = 0; leaf < 4; leaf++) {
        const float gradient = 0.1f * powf(1000, (float)leaf) - 7;
        trainable_begin_leaf(&m.t, pool);
        for (size_t i = 0; i < m.t.elements; i++) m.t.group_grad[0][i] += gradient;
        trainable_end_leaf(&m.t, pool);
        expected += gradient;
    }
    for (size_t i = 0; i < m.t.elements; i++)
        if (m.t.sum[i] != expected) { test_failed(__FILE__, __LINE__, "element %zu is %g, expected %g", i, (double)m.t.sum[i], (double)expected); break; }
    trainable_begin_step(&m.t, pool);
    for (size_t i = 0; i < m.t.elements; i++) CHECK(m.t.sum[i] == 0);
    pool_close(pool);
    arena_release(&m.memory);
}

/* ---- optimisers against PyTorch ---------------------------------------------------------------------------------------------- */

static double worst_difference(const float *found, const float *expected, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) worst = fmax(worst, fabs((double)found[i] - (double)expected[i]) / (fabs((double)expected[i]) + 1e-3));
    return worst;
}

static double compare_moments(const struct made *m, const float *expected, bool second)
{
    double worst = 0;
    for (size_t i = 0, at = 0; expected && i < m->t.n; i++) {
        const struct parameter *p = &m->t.parameter[i];
        worst = fmax(worst, worst_difference(second ? p->v : p->m, expected + at, parameter_elements(p)));
        at += parameter_elements(p);
    }
    return worst;
}

static void check_optimizer(const struct golden *g, const json_t *run, struct pool *pool)
{
    struct made m;
    const json_t *shape, *options = json_object_get(run, "options"), *betas = json_object_get(options, "betas");
    size_t i, n, steps;
    double worst = 0;
    made_open(&m);
    json_array_foreach(json_object_get(run, "shapes"), i, shape) {
        bool is_matrix = json_array_size(shape) == 2;
        size_t first = (size_t)json_integer_value(json_array_get(shape, 0));
        made_add(&m, is_matrix ? first : 1, is_matrix ? (size_t)json_integer_value(json_array_get(shape, 1)) : first, VALUE_F32, MOMENT_F32, is_matrix);
    }
    made_finish(&m);
    const float *value = golden_array(g, run, "value", &n), *gradients = golden_array(g, run, "gradients", &steps), *after = golden_array(g, run, "after", NULL);
    size_t at[8] = { 0 };                                  /* in the golden arrays, which have no gaps */
    for (i = 0; i < m.t.n; i++) at[i + 1] = at[i] + parameter_elements(&m.t.parameter[i]);
    CHECK_INT(n, at[m.t.n]);
    steps /= n;
    for (i = 0; i < m.t.n; i++) memcpy(m.t.parameter[i].value, value + at[i], parameter_elements(&m.t.parameter[i]) * sizeof *value);
    struct optimizer_config c = { .beta1 = json_number_value(json_array_get(betas, 0)), .beta2 = json_number_value(json_array_get(betas, 1)), .epsilon = golden_real(options, "eps"),
                                  .weight_decay = golden_real(run, "weight_decay"), .momentum = golden_real(options, "momentum") };
    for (size_t step = 1; step <= steps; step++) {
        c.learning_rate = golden_real(options, "lr") * (double)step / (double)steps;
        for (i = 0; i < m.t.n; i++) memcpy(m.t.parameter[i].sum, gradients + (step - 1) * n + at[i], parameter_elements(&m.t.parameter[i]) * sizeof *gradients);
        double norm = clip_alone(&m.t, 1, pool), want = json_number_value(json_array_get(json_object_get(run, "norms"), step - 1));
        if (!(fabs(norm - want) <= 1e-5 * want)) test_failed(__FILE__, __LINE__, "norm %.8g, expected %.8g", norm, want);
        optimizer_named(json_string_value(json_object_get(run, "kind")))->update(&m.t, &c, (int64_t)step, pool);
        for (i = 0; i < m.t.n; i++) worst = fmax(worst, worst_difference(m.t.parameter[i].value, after + (step - 1) * n + at[i], m.t.parameter[i].rows * m.t.parameter[i].cols));
    }
    double moments = fmax(compare_moments(&m, golden_array(g, run, "m", NULL), false), compare_moments(&m, golden_array(g, run, "v", NULL), true));
    printf("%s weight decay %g: largest difference of a value %.1e, of a moment %.1e\n", json_string_value(json_object_get(run, "kind")), c.weight_decay, worst, moments);
    CHECK(worst < 1e-5 && moments < 1e-5);
    arena_release(&m.memory);
}

TEST(optimizers_equal_pytorch)
{
    struct golden g = { 0 };
    struct pool *pool;
    const json_t *run;
    size_t i;
    golden_open(&g);
    CHECK_OK(pool_open(&pool, 2, err));
    json_array_foreach(json_object_get(g.json, "optimizers"), i, run) check_optimizer(&g, run, pool);
    CHECK_INT(i, 5);
    pool_close(pool);
    golden_close(&g);
}

TEST(schedules_equal_transformers_and_deepspeed)
{
    struct golden g = { 0 };
    const json_t *s, *factor;
    size_t i, k;
    golden_open(&g);
    json_array_foreach(json_object_get(g.json, "schedules"), i, s) {
        const struct schedule *ours = schedules;
        const char *name = json_string_value(json_object_get(s, "name"));
        while (ours->name && strcmp(ours->name, name)) ours++;
        CHECK(ours->name != NULL);
        json_array_foreach(json_object_get(s, "factors"), k, factor) {
            double found = ours->factor((int64_t)k, json_integer_value(json_object_get(s, "warmup")), json_integer_value(json_object_get(s, "total")));
            if (!(fabs(found - json_number_value(factor)) < 1e-12)) test_failed(__FILE__, __LINE__, "%s at %zu is %.15g, expected %.15g", name, k, found, json_number_value(factor));
        }
    }
    CHECK_INT(i, 20);
    golden_close(&g);
}

TEST(clipping_leaves_small_gradients_alone)
{
    struct made m;
    struct pool *pool;
    made_open(&m);
    made_add(&m, 1, 4, VALUE_F32, MOMENT_F32, true);
    made_finish(&m);
    CHECK_OK(pool_open(&pool, 1, err));
    memcpy(m.t.sum, (const float[]){ 3, 0, 0, 4 }, 16);
    CHECK(clip_alone(&m.t, 0, pool) == 5 && m.t.sum[3] == 4);
    CHECK(clip_alone(&m.t, 6, pool) == 5 && m.t.sum[3] == 4);
    CHECK(clip_alone(&m.t, 2.5, pool) == 5 && fabsf(m.t.sum[3] - 2) < 1e-6f);
    m.t.sum[0] = NAN;
    CHECK(isnan(clip_alone(&m.t, 1, pool)));
    pool_close(pool);
    arena_release(&m.memory);
}
