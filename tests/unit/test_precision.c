/* test_precision.c - values in bf16, moments in 8 bits, NF4, bases quantised at opening, and the file of all this. */
#include "parameters_fixture.h"

static const char *const SETS[] = { "scalar", "avx2", "avx512" };

/* ---- 8-bit moments ------------------------------------------------------------------------------------------------------- */

TEST(dynamic_maps_equal_pytorchs)
{
    struct golden g = { 0 };
    golden_open(&g);
    const float *maps = golden_array(&g, g.json, "maps", NULL);
    CHECK(!memcmp(maps, dynamic_signed, sizeof dynamic_signed) && !memcmp(maps + 256, dynamic_unsigned, sizeof dynamic_unsigned));
    for (int i = 0; i < 256; i++) CHECK(dynamic_nearest(dynamic_signed, dynamic_signed[i]) == i && dynamic_nearest(dynamic_unsigned, dynamic_unsigned[i]) == i);
    golden_close(&g);
}

static void check_adam8(const struct golden *g, const json_t *run, struct pool *pool)
{
    struct made m;
    size_t n, steps, other = 0;
    const float *value = golden_array(g, run, "value", &n), *gradients = golden_array(g, run, "gradients", &steps), *after = golden_array(g, run, "after", NULL);
    const struct optimizer_config c = { .learning_rate = golden_real(run, "lr"), .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = golden_real(run, "weight_decay") };
    made_open(&m);
    made_add(&m, 1, n, VALUE_F32, MOMENT_8BIT, true);
    made_finish(&m);
    const struct parameter *p = &m.t.parameter[0];
    memcpy(p->value, value, n * sizeof *value);
    for (size_t step = 1; step <= steps / n; step++) {
        memcpy(m.t.sum, gradients + (step - 1) * n, n * sizeof *gradients);
        optimizer_named("adamw")->update(&m.t, &c, (int64_t)step, pool);
    }
    const uint8_t *m_code = golden_array(g, run, "m_code", NULL), *v_code = golden_array(g, run, "v_code", NULL);
    const float *m_largest = golden_array(g, run, "m_largest", NULL), *v_largest = golden_array(g, run, "v_largest", NULL);
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs((double)p->value[i] - (double)after[i]));
        other += p->m8->code[i] != m_code[i];
        other += p->v8->code[i] != v_code[i];
        CHECK(abs(p->m8->code[i] - m_code[i]) <= 1 && abs(p->v8->code[i] - v_code[i]) <= 1);
    }
    for (size_t b = 0; b * MOMENT_BLOCK < n; b++) CHECK(fabsf(p->m8->largest[b] / m_largest[b] - 1) < 1e-5f && fabsf(p->v8->largest[b] / v_largest[b] - 1) < 1e-5f);
    printf("%zu elements: largest difference of a value %.1e, %zu codes of %zu are neighbours\n", n, worst, other, 2 * n);
    CHECK(worst < 2e-5 && other < n / 500);          /* a neighbouring code of v, where it is small, moves a value by 1e-5 */
    arena_release(&m.memory);
}

TEST(adam_in_8_bits_equals_bitsandbytes_arithmetic)
{
    struct golden g = { 0 };
    struct pool *pool;
    const json_t *run;
    size_t i;
    golden_open(&g);
    CHECK_OK(pool_open(&pool, 2, err));
    json_array_foreach(json_object_get(g.json, "adam8"), i, run) check_adam8(&g, run, pool);
    CHECK_INT(i, 2);
    pool_close(pool);
    golden_close(&g);
}

TEST(moments_in_8_bits_survive_what_is_no_number)
{
    struct made m;
    struct pool *pool;
    const struct optimizer_config c = { .learning_rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8 };
    made_open(&m);
    made_add(&m, 1, 300, VALUE_F32, MOMENT_8BIT, true);
    made_finish(&m);
    CHECK_OK(pool_open(&pool, 1, err));
    memcpy(m.t.sum, (const float[]){ NAN, INFINITY, -INFINITY, 1e-45f, 3e38f, -1, 1, 0 }, 32);
    optimizer_named("adamw")->update(&m.t, &c, 1, pool);
    const struct parameter *p = &m.t.parameter[0];
    CHECK(isfinite(p->m8->largest[0]) && isfinite(p->v8->largest[0]) && p->m8->largest[1] == 0);
    CHECK(dynamic_signed[p->m8->code[0]] == 0 && dynamic_signed[p->m8->code[1]] == 0 && dynamic_signed[p->m8->code[5]] < 0);
    pool_close(pool);
    arena_release(&m.memory);
}

/* Minimises half the sum of a (x - target)^2, a from 0.1 to 10, from noisy gradients; returns the mean of (x - target)^2. */
static double descend(const char *optimizer, enum value_storage values, enum moment_storage moments, double rate)
{
    enum { N = 128 * 64, STEPS = 300 };
    static float target[N], noise[N];
    struct made m;
    struct pool *pool;
    struct optimizer_config c = { .beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8, .momentum = 0.9, .seed = 3 };
    made_open(&m);
    made_add(&m, 128, 64, values, moments, true);
    made_finish(&m);
    CHECK_OK(pool_open(&pool, 2, err));
    random_normal(target, N, 1, 1, 0);
    const struct tensor *t = m.t.parameter[0].tensor;
    float *x = mem_zero(N, sizeof *x);
    for (int64_t step = 1; step <= STEPS; step++) {
        random_normal(noise, N, 2, (uint64_t)step, 0);
        dtypes[t->dtype].to_f32(x, t->data, N);
        for (size_t i = 0; i < N; i++) m.t.sum[i] = powf(100, (float)(i % 64) / 63) * 0.1f * (x[i] - target[i] + 0.1f * noise[i]);
        c.learning_rate = rate * (double)(STEPS - step) / STEPS;
        optimizer_named(optimizer)->update(&m.t, &c, step, pool);
    }
    dtypes[t->dtype].to_f32(x, t->data, N);
    double sum = 0;
    for (size_t i = 0; i < N; i++) sum += (double)(x[i] - target[i]) * (double)(x[i] - target[i]);
    mem_free(x);
    pool_close(pool);
    arena_release(&m.memory);
    return sum / N;
}

TEST(every_storage_converges)
{
    static const char *const value_names[] = { "f32", "bf16 with master", "bf16 rounded at random" };
    static const struct { const char *name; double rate; } row[] = { { "adamw", 0.05 }, { "sgd", 0.02 } };
    for (size_t o = 0; o < 2; o++) {
        double whole = descend(row[o].name, VALUE_F32, MOMENT_F32, row[o].rate);
        CHECK(whole < 0.01);
        for (int values = 0; values < 3; values++)
            for (int moments = 0; moments < 2; moments++) {
                double error = descend(row[o].name, (enum value_storage)values, (enum moment_storage)moments, row[o].rate);
                printf("%s, %s, %s moments: %.6f (f32: %.6f)\n", row[o].name, value_names[values], moments ? "8-bit" : "f32", error, whole);
                CHECK(error < 1.3 * whole + (values == VALUE_BF16_STOCHASTIC ? 1e-4 : 1e-5));      /* a unit of bf16 at 1 is 2^-7: squared 6e-5 */
            }
    }
}

/* ---- bf16 --------------------------------------------------------------------------------------------------------------------- */

static void fill(struct made *m, uint64_t stream)
{
    random_normal(m->t.sum, m->t.elements, 9, stream, 0);
    for (size_t i = 0; i < m->t.elements; i++) m->t.sum[i] *= 0.01f;
}

TEST(bf16_follows_its_master)
{
    struct made a, b;
    struct pool *pool;
    const struct optimizer_config c = { .learning_rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.1 };
    CHECK_OK(pool_open(&pool, 2, err));
    made_open(&a);
    made_open(&b);
    made_add(&a, 77, 111, VALUE_F32, MOMENT_F32, true);
    made_add(&b, 77, 111, VALUE_BF16_MASTER, MOMENT_F32, true);
    made_finish(&a);
    made_finish(&b);
    for (int64_t step = 1; step <= 5; step++) {
        fill(&a, (uint64_t)step);
        fill(&b, (uint64_t)step);
        optimizer_named("adamw")->update(&a.t, &c, step, pool);
        optimizer_named("adamw")->update(&b.t, &c, step, pool);
    }
    CHECK(!memcmp(a.t.parameter[0].value, b.t.parameter[0].value, parameter_elements(a.t.parameter) * sizeof(float)));
    for (size_t i = 0; i < parameter_elements(b.t.parameter); i++) CHECK(((uint16_t *)b.tensor[0].data)[i] == f32_to_bf16(b.t.parameter[0].value[i]));
    pool_close(pool);
    arena_release(&a.memory);
    arena_release(&b.memory);
}

/* A step of 1/8 of the distance to the next number: one in eight goes there, the others stay. */
TEST(bf16_rounds_at_random_without_bias)
{
    enum { N = 40000 };
    struct made m;
    struct pool *pool;
    struct optimizer_config c = { .learning_rate = 1, .seed = 11 };
    size_t moved[3] = { 0 }, same = 0;
    static uint16_t first[N];
    CHECK_OK(pool_open(&pool, 2, err));
    made_open(&m);
    made_add(&m, 1, N, VALUE_BF16_STOCHASTIC, MOMENT_F32, true);
    made_finish(&m);
    uint16_t *half = m.tensor[0].data;
    for (int64_t step = 1; step <= 3; step++) {
        for (size_t i = 0; i < N; i++) {
            half[i] = f32_to_bf16(i % 2 ? 1.0f : -1.0f);
            m.t.sum[i] = (i % 2 ? -1.0f : 1.0f) * 0x1p-10f;              /* 1 + 2^-7 is next */
        }
        memset(m.t.parameter[0].m, 0, N * sizeof(float));
        optimizer_named("sgd")->update(&m.t, &c, step == 3 ? 1 : step, pool);
        for (size_t i = 0; i < N; i++) {
            uint16_t away = half[i] & 0x7fff;
            CHECK(away == 0x3f80 || away == 0x3f81);
            moved[step - 1] += away == 0x3f81;
            same += step == 2 && half[i] == first[i];
        }
        if (step == 1) memcpy(first, half, sizeof first);
    }
    printf("moved: %zu and %zu of %d, expected %d\n", moved[0], moved[1], N, N / 8);
    for (int k = 0; k < 2; k++) CHECK(fabs((double)moved[k] - N / 8) < 4 * sqrt(N * 0.125 * 0.875));
    CHECK(same < N * 0.85);                                            /* by chance 0.78 */
    CHECK(!memcmp(first, half, sizeof first));                         /* step 1 again */
    memset(m.t.sum, 0, N * sizeof(float));
    memset(m.t.parameter[0].m, 0, N * sizeof(float));
    half[1] = 0xffc0;
    optimizer_named("sgd")->update(&m.t, &c, 7, pool);
    CHECK(half[0] == first[0] && isnan(bf16_to_f32(half[1])) && !memcmp(first + 2, half + 2, sizeof first - 4));      /* what needs no rounding stays */
    pool_close(pool);
    arena_release(&m.memory);
}

static void hash_state(struct made *m, char hex[65])
{
    struct sha256 h;
    sha256_begin(&h);
    for (size_t i = 0; i < m->t.n; i++) {
        const struct parameter *p = &m->t.parameter[i];
        size_t n = p->rows * p->cols;
        sha256_add(&h, p->tensor->data, p->rows * tensor_row_bytes(p->tensor));
        if (p->value) sha256_add(&h, p->value, n * sizeof(float));
        if (p->m) { sha256_add(&h, p->m, n * sizeof(float)); sha256_add(&h, p->v, n * sizeof(float)); }
        else { sha256_add(&h, p->m8->code, n); sha256_add(&h, p->v8->code, n); sha256_add(&h, p->v8->largest, (n + MOMENT_BLOCK - 1) / MOMENT_BLOCK * sizeof(float)); }
    }
    sha256_end(&h, hex);
}

TEST(threads_change_no_bit_of_an_update)
{
    const struct optimizer_config c = { .learning_rate = 1e-2, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.1, .momentum = 0.9, .seed = 4 };
    for (int kind = 0; kind < 12; kind++) {
        char hex[2][65];
        for (int k = 0; k < 2; k++) {
            struct made m;
            struct pool *pool;
            CHECK_OK(pool_open(&pool, k ? 3 : 1, err));
            made_open(&m);
            made_add(&m, 300, 311, (enum value_storage)(kind % 3), (enum moment_storage)(kind / 3 % 2), true);
            made_add(&m, 1, 513, (enum value_storage)(kind % 3), MOMENT_F32, false);
            made_add(&m, 5, 17, (enum value_storage)(kind % 3), (enum moment_storage)(kind / 3 % 2), true);
            m.t.moments = (enum moment_storage)(kind / 3 % 2);
            made_finish(&m);
            for (int64_t step = 1; step <= 3; step++) {
                fill(&m, (uint64_t)step);
                clip_alone(&m.t, 0.5, pool);
                optimizer_named(kind < 6 ? "adamw" : "sgd")->update(&m.t, &c, step, pool);
            }
            hash_state(&m, hex[k]);
            pool_close(pool);
            arena_release(&m.memory);
        }
        CHECK_STR(hex[1], hex[0]);
    }
}

/* ---- models in bf16 ------------------------------------------------------------------------------------------------------------- */

struct lesson { double loss; struct arena memory; };

/* Learns 24 tokens in two sequences; gradients go to the trainable's sum. */
static double learn(struct opened *o, struct trainable *t, const char *kernels)
{
    enum { N = 24 };
    int32_t token[N], position[N], sequence[N], label[N];
    size_t row[N];
    float weight[N], loss[N];
    struct arena step;
    const void *k;
    double sum = 0;
    arena_init(&step);
    CHECK_OK(cpu_backend.kernels(&k, kernels, err));
    for (size_t i = 0; i < N; i++) {
        token[i] = (int32_t)(i * 37 % model_vocab(&o->model));
        position[i] = (int32_t)(i % 12);
        sequence[i] = i >= 12;
        label[i] = (int32_t)((i * 37 + 5) % model_vocab(&o->model));
        row[i] = i;
        weight[i] = 1.0f / N;
    }
    struct exec e = { .pool = o->pool, .backend = &cpu_backend, .kernels = k, .step = &step, .many_rows = true };
    const struct batch b = { .rows = N, .token = token, .position = position, .sequence = sequence };
    const struct learn_rows rows = { .row = row, .label = label, .weight = weight, .loss = loss, .n = N };
    trainable_begin_step(t, o->pool);
    trainable_begin_leaf(t, o->pool);
    model_learn(&o->model, &e, &b, &rows, true);
    trainable_end_leaf(t, o->pool);
    CHECK(e.status == SC_OK);
    for (size_t i = 0; i < N; i++) sum += (double)loss[i] / N;
    arena_release(&step);
    return sum;
}

static const char *const FAMILIES[] = { "bigcode_mqa_erf", "llama_gqa_untied", "qwen2_tied", "starcoder2_untied" };

/* bf16 weights against the same numbers as f32: every loss and gradient, bit for bit. */
TEST(bf16_weights_learn_like_the_same_numbers_in_f32)
{
    for (size_t f = 0; f < 4; f++)
        for (size_t s = 0; s < 2; s++) {
            struct opened a, b;
            struct trainable half, whole;
            const void *k;
            if (cpu_backend.kernels(&k, SETS[s], NULL) != SC_OK) continue;
            opened_open(&a, FAMILIES[f], 2);
            opened_open(&b, FAMILIES[f], 2);
            model_add_rows(&a.model, 2);
            model_add_rows(&b.model, 2);
            CHECK_OK(trainable_open(&half, &a.model, &(struct trainable_config){ .is_full = true, .values = VALUE_BF16_STOCHASTIC }, err));
            CHECK_OK(trainable_open(&whole, &b.model, &(struct trainable_config){ .is_full = true }, err));
            size_t narrow = 0;
            for (size_t i = 0; i < half.n; i++) {
                const struct parameter *p = &half.parameter[i];
                narrow += p->tensor->dtype == DTYPE_BF16;
                CHECK((p->tensor->dtype == DTYPE_BF16) == p->is_matrix && p->is_matrix == (p->decays && strncmp(p->name, "new_tokens", 10) != 0));
                dtypes[p->tensor->dtype].to_f32(whole.parameter[i].value, p->tensor->data, p->rows * p->cols);
            }
            CHECK(narrow > 6);
            double x = learn(&a, &half, SETS[s]), y = learn(&b, &whole, SETS[s]), size = 0;
            CHECK(x == y);
            for (size_t i = 0; i < half.elements; i++) size += fabs((double)half.sum[i]);
            CHECK(size > 0 && !memcmp(half.sum, whole.sum, half.elements * sizeof(float)));
            trainable_close(&half);
            trainable_close(&whole);
            opened_close(&a);
            opened_close(&b);
        }
}

/* ---- memory and files --------------------------------------------------------------------------------------------------------------- */

static size_t rounded(size_t bytes) { return (bytes + 63) / 64 * 64; }

TEST(memory_is_what_was_said_and_each_saver_saves)
{
    size_t bytes[3][2];
    for (int values = 0; values < 3; values++)
        for (int moments = 0; moments < 2; moments++) {
            struct opened o;
            struct trainable t;
            const struct trainable_config c = { .is_full = true, .values = (enum value_storage)values, .moments = (enum moment_storage)moments };
            opened_make(&o, "llama", 1);
            size_t said = trainable_size(&o.model, &c).all, expected = 0, eight = 0;
            CHECK_OK(trainable_open(&t, &o.model, &c, err));
            expected = 2 * rounded(4 * t.elements);
            for (size_t i = 0; i < t.n; i++) {
                const struct parameter *p = &t.parameter[i];
                size_t n = p->rows * p->cols;
                bool is_8 = moments && n >= 4096 && !p->is_embedding;
                CHECK((p->m8 != NULL) == is_8 && (p->m != NULL) == !is_8);
                eight += is_8;
                expected += is_8 ? 2 * (64 + rounded(n) + rounded((n + 255) / 256 * 4)) : 2 * rounded(4 * n);
                expected += !p->is_matrix || values == VALUE_F32 ? rounded(4 * n) : values == VALUE_BF16_MASTER ? rounded(4 * n) + rounded(2 * n) : rounded(2 * n);
            }
            CHECK(!moments || eight > 2);
            CHECK_INT(said, expected);
            CHECK_INT(t.memory_bytes, expected);
            bytes[values][moments] = expected;
            printf("values %d, moments %d: %.2f bytes a parameter\n", values, moments, (double)expected / (double)t.elements);
            trainable_close(&t);
            opened_close(&o);
        }
    CHECK(bytes[VALUE_BF16_STOCHASTIC][1] < bytes[VALUE_BF16_STOCHASTIC][0] && bytes[VALUE_BF16_STOCHASTIC][0] < bytes[VALUE_F32][0]);
}

static char *in_scratch(const char *name) { return path_join(test_scratch(), name); }

static void check_round_trip(const struct trainable_config *c, bool lora)
{
    struct opened o[2];
    struct trainable t[2];
    const struct optimizer_config optimizer = { .learning_rate = 1e-2, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .weight_decay = 0.1, .seed = 6 };
    sc_text written[4] = { 0 };
    char *path[4];
    for (int k = 0; k < 2; k++) {
        opened_make(&o[k], "llama", 1);
        model_add_rows(&o[k].model, 3);
        const struct adapter_config adapters = { .r = 40, .alpha = 8, .target_modules = "all-linear", .seed = (uint64_t)k };
        if (lora) CHECK_OK(adapter_attach(&o[k].model, &o[k].memory, &adapters, err));
        CHECK_OK(trainable_open(&t[k], &o[k].model, c, err));
    }
    for (int k = 0; k < 4; k++) path[k] = in_scratch((const char *[]){ "a", "b", "c", "d" }[k]);
    learn(&o[0], &t[0], "scalar");
    optimizer_named("adamw")->update(&t[0], &optimizer, 1, o[0].pool);
    CHECK_OK(state_write(&t[0], path[0], err));
    CHECK_OK(state_read(&t[1], path[0], err));
    CHECK_OK(state_write(&t[1], path[1], err));
    for (int k = 0; k < 2; k++) {                   /* and both go on alike, which needs the bf16 copies too */
        learn(&o[k], &t[k], "scalar");
        optimizer_named("adamw")->update(&t[k], &optimizer, 2, o[k].pool);
        CHECK_OK(state_write(&t[k], path[2 + k], err));
    }
    for (int k = 0; k < 4; k++) CHECK_OK(file_read(&written[k], path[k], 64 << 20, err));
    for (int k = 0; k < 4; k += 2) CHECK(written[k].len == written[k + 1].len && !memcmp(written[k].data, written[k + 1].data, written[k].len));
    CHECK(memcmp(written[0].data, written[2].data, written[0].len) != 0);
    for (int k = 0; k < 4; k++) { sc_text_free(&written[k]); mem_free(path[k]); }
    for (int k = 0; k < 2; k++) { trainable_close(&t[k]); opened_close(&o[k]); }
}

TEST(state_is_read_as_it_was_written)
{
    for (int values = 0; values < 3; values++)
        for (int moments = 0; moments < 2; moments++) {
            check_round_trip(&(struct trainable_config){ true, true, (enum value_storage)values, (enum moment_storage)moments, { 0 } }, false);
            check_round_trip(&(struct trainable_config){ false, true, (enum value_storage)values, (enum moment_storage)moments, { 0 } }, true);
        }
}

TEST(state_of_another_run_is_refused)
{
    static const struct { struct trainable_config c; const char *model, *part; } row[] = {
        { { .is_full = true, .values = VALUE_BF16_STOCHASTIC }, "llama", "items of f32" }, { { .is_full = true, .moments = MOMENT_8BIT }, "llama", "items of f32" },
        { { .is_full = true }, "gpt_bigcode", "has the tensor model." }, { { .is_full = true, .new_rows = true }, "llama", "hold 0 items of the tensor new_tokens" },
    };
    struct opened o;
    struct trainable t;
    char *path = in_scratch("state"), *cut = in_scratch("cut"), *nowhere = in_scratch("no/where");
    sc_text whole;
    opened_make(&o, "llama", 1);
    CHECK_OK(trainable_open(&t, &o.model, &(struct trainable_config){ .is_full = true }, err));
    CHECK_OK(state_write(&t, path, err));
    CHECK_FAILS(state_write(&t, nowhere, err), SC_E_IO, "no/where");
    CHECK_FAILS(state_read(&t, nowhere, err), SC_E_IO, "no/where");
    CHECK_OK(file_read(&whole, path, 64 << 20, err));
    for (size_t k = 0; k < 3; k++) {
        CHECK_OK(file_write(cut, whole.data, whole.len - (size_t[]){ 1, 100000, whole.len - 7 }[k], err));
        CHECK_FAILS(state_read(&t, cut, err), SC_E_FORMAT, "cut");
    }
    t.n--;
    CHECK_FAILS(state_read(&t, path, err), SC_E_FORMAT, "which this run does not keep");
    t.n++;
    trainable_close(&t);
    opened_close(&o);
    for (size_t i = 0; i < 4; i++) {
        opened_make(&o, row[i].model, 1);
        if (row[i].c.new_rows) model_add_rows(&o.model, 1);
        CHECK_OK(trainable_open(&t, &o.model, &row[i].c, err));
        CHECK_FAILS(state_read(&t, path, err), SC_E_FORMAT, row[i].part);
        trainable_close(&t);
        opened_close(&o);
    }
    sc_text_free(&whole);
    mem_free(path);
    mem_free(cut);
    mem_free(nowhere);
}
