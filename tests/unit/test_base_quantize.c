/* test_base_quantize.c - NF4 against bitsandbytes' arithmetic, products with block types, and bases quantised at opening. */
#include "parameters_fixture.h"

static const char *const SETS[] = { "scalar", "avx2", "avx512" };

TEST(nf4_equals_bitsandbytes_arithmetic)
{
    struct golden g = { 0 };
    const json_t *run;
    size_t i, n;
    golden_open(&g);
    json_array_foreach(json_object_get(g.json, "nf4"), i, run) {
        const float *in = golden_array(&g, run, "input", &n), *expected = golden_array(&g, run, "output", NULL);
        uint8_t *row = mem_alloc(dtype_row_bytes(DTYPE_NF4, n));
        float *found = mem_alloc(n * sizeof *found);
        dtypes[DTYPE_NF4].from_f32(row, in, n);
        dtypes[DTYPE_NF4].to_f32(found, row, n);
        for (size_t k = 0; k < n; k++)
            if (found[k] != expected[k]) { test_failed(__FILE__, __LINE__, "case %zu, element %zu is %.9g, expected %.9g", i, k, (double)found[k], (double)expected[k]); break; }
        mem_free(row);
        mem_free(found);
    }
    CHECK_INT(i, 3);
    golden_close(&g);
}

/* A row longer than a group is two groups, and any part of it unpacks alone. */
TEST(nf4_rows_and_parts)
{
    enum { N = NF4_GROUP + 8192 };
    static float x[N], whole[N], part[N], alone[N];
    static uint8_t row[N], group[N];
    CHECK_INT(dtype_row_bytes(DTYPE_NF4, N), 384 * 33 + 16);
    CHECK_INT(dtype_row_bytes(DTYPE_NF4, 6144), 96 * 33 + 8);
    random_normal(x, N, 1, 2, 0);
    dtypes[DTYPE_NF4].from_f32(row, x, N);
    dtypes[DTYPE_NF4].to_f32(whole, row, N);
    dtypes[DTYPE_NF4].from_f32(group, x + NF4_GROUP, N - NF4_GROUP);
    dtypes[DTYPE_NF4].to_f32(alone, group, N - NF4_GROUP);
    CHECK(!memcmp(whole + NF4_GROUP, alone, (N - NF4_GROUP) * sizeof *alone));
    double error = 0;
    for (size_t i = 0; i < N; i++) error += (double)(x[i] - whole[i]) * (double)(x[i] - whole[i]) / N;
    printf("relative error %.4f\n", sqrt(error));
    CHECK(sqrt(error) < 0.1);
    for (size_t s = 0; s < 3; s++) {
        const void *k;
        if (cpu_backend.kernels(&k, SETS[s], NULL) != SC_OK) continue;
        const struct cpu_kernels *kernels = k;
        kernels->unpack_f32[DTYPE_NF4](part, row, N);
        for (size_t i = 0; i < N; i++) CHECK(part[i] == whole[i]);
        kernels->unpack_part[DTYPE_NF4](part, row, NF4_GROUP - 128, 320);
        for (size_t i = 0; i < 320; i++) CHECK(part[i] == whole[NF4_GROUP - 128 + i]);
    }
}

/* ---- products with block types: results and gradients are those of the same numbers in f32 ---------------------------------- */

enum { ROWS = 70, OUT = 288 };

static void product(struct arena *a, const void *kernels, struct pool *pool, const struct tensor *w, const float *in, const float *down, float *out, float *grad)
{
    struct tensor x = { .dtype = DTYPE_F32, .rows = ROWS, .cols = w->cols, .data = (void *)(uintptr_t)in, .grad = grad };
    struct tensor y = { .dtype = DTYPE_F32, .rows = ROWS, .cols = OUT, .data = out, .grad = (float *)(uintptr_t)down };
    struct exec e = { .pool = pool, .backend = &cpu_backend, .kernels = kernels, .step = a, .many_rows = true };
    const struct op_call c = { .out = &y, .in = { &x, w } };
    cpu_linear(&e, &c);
    cpu_linear_backward(&e, &c);
}

TEST(products_with_block_types_equal_those_with_their_numbers)
{
    struct pool *pool;
    struct arena a;
    CHECK_OK(pool_open(&pool, 2, err));
    arena_init(&a);
    for (int t = DTYPE_F16; t <= DTYPE_NF4; t++)
        for (size_t s = 0; s < 3; s++) {
            const void *k;
            size_t cols = dtypes[t].block == 256 ? 768 : 576;
            if (cpu_backend.kernels(&k, SETS[s], NULL) != SC_OK) continue;
            struct tensor packed = { .dtype = (enum dtype)t, .rows = OUT, .cols = cols }, plain = { .dtype = DTYPE_F32, .rows = OUT, .cols = cols };
            float *numbers = arena_take(&a, OUT * cols * sizeof *numbers), *in = arena_take(&a, ROWS * cols * sizeof *in), *down = arena_take(&a, ROWS * OUT * sizeof *down);
            float *out[2], *grad[2];
            packed.data = arena_zero(&a, OUT * tensor_row_bytes(&packed));
            random_normal(numbers, OUT * cols, 1, 1, 0);
            random_normal(in, ROWS * cols, 1, 2, 0);
            random_normal(down, ROWS * OUT, 1, 3, 0);
            for (size_t r = 0; r < OUT; r++) {
                dtypes[t].from_f32((char *)packed.data + r * tensor_row_bytes(&packed), numbers + r * cols, cols);
                dtypes[t].to_f32(numbers + r * cols, tensor_row(&packed, r), cols);
            }
            plain.data = numbers;
            for (int i = 0; i < 2; i++) {
                out[i] = arena_zero(&a, ROWS * OUT * sizeof(float));
                grad[i] = arena_zero(&a, ROWS * cols * sizeof(float));
                product(&a, k, pool, i ? &plain : &packed, in, down, out[i], grad[i]);
            }
            if (memcmp(out[0], out[1], ROWS * OUT * sizeof(float))) test_failed(__FILE__, __LINE__, "%s %s: results differ", SETS[s], dtypes[t].name);
            if (memcmp(grad[0], grad[1], ROWS * cols * sizeof(float))) test_failed(__FILE__, __LINE__, "%s %s: gradients differ", SETS[s], dtypes[t].name);
        }
    arena_release(&a);
    pool_close(pool);
}

/* ---- bases ---------------------------------------------------------------------------------------------------------------------- */

static void learn(struct opened *o, struct trainable *t, float loss[16])
{
    int32_t token[16], position[16], sequence[16] = { 0 }, label[16];
    size_t row[16];
    float weight[16];
    struct arena step;
    const void *k;
    arena_init(&step);
    CHECK_OK(cpu_backend.kernels(&k, "auto", err));
    for (size_t i = 0; i < 16; i++) {
        token[i] = (int32_t)(i * 7 % o->model.config.vocab);
        label[i] = (int32_t)((i * 7 + 3) % o->model.config.vocab);
        position[i] = (int32_t)(row[i] = i);
        weight[i] = 1.0f / 16;
    }
    struct exec e = { .pool = o->pool, .backend = &cpu_backend, .kernels = k, .step = &step, .many_rows = true };
    const struct batch b = { .rows = 16, .token = token, .position = position, .sequence = sequence };
    trainable_begin_step(t, o->pool);
    trainable_begin_leaf(t, o->pool);
    model_learn(&o->model, &e, &b, &(struct learn_rows){ .row = row, .label = label, .weight = weight, .loss = loss, .n = 16 }, true);
    trainable_end_leaf(t, o->pool);
    CHECK(e.status == SC_OK);
    arena_release(&step);
}

static void to_numbers(void *user, const struct model_tensor *t)
{
    struct tensor *w = t->tensor;
    if (dtypes[w->dtype].block == 1) return;
    float *out = arena_take(user, w->rows * w->cols * sizeof *out);
    for (size_t r = 0; r < w->rows; r++) dtypes[w->dtype].to_f32(out + r * w->cols, tensor_row(w, r), w->cols);
    w->data = out;
    w->dtype = DTYPE_F32;
}

static void with_adapters(struct opened *o, struct trainable *t)
{
    const struct adapter_config c = { .r = 4, .alpha = 8, .target_modules = "all-linear", .seed = 3 };
    CHECK_OK(adapter_attach(&o->model, &o->memory, &c, err));
    CHECK_OK(trainable_open(t, &o->model, &(struct trainable_config){ 0 }, err));
    for (size_t i = 1; i < t->n; i += 2) random_normal(t->parameter[i].value, t->parameter[i].rows * t->parameter[i].cols, 5, i, 0);    /* B */
}

TEST(adapters_learn_on_a_quantised_base_as_on_its_numbers)
{
    static const enum dtype types[] = { DTYPE_NF4, DTYPE_Q4_0, DTYPE_Q8_0, DTYPE_Q5_1, DTYPE_BF16 };
    static const char *const names[] = { "llama", "gpt_bigcode" };
    for (size_t i = 0; i < 10; i++) {
        struct opened a, b;
        struct trainable of_a, of_b;
        struct quantized_base base[2];
        float loss[2][16];
        enum dtype type = types[i % 5];
        opened_make(&a, names[i / 5], 2);
        opened_make(&b, names[i / 5], 1);
        size_t said = base_quantized_bytes(&a.model, type);
        CHECK_OK(base_quantize(&base[0], &a.model, type, NULL, a.pool, NULL, err));
        CHECK_OK(base_quantize(&base[1], &b.model, type, NULL, b.pool, NULL, err));
        CHECK(said > 0 && base[0].bytes == said && !memcmp(base[0].memory, base[1].memory, said));      /* on any number of threads */
        CHECK(a.model.layers[0].down.w.dtype == type && a.model.embed.w.dtype == DTYPE_F32 && a.model.head.w.dtype == DTYPE_F32);
        CHECK_INT(base_quantized_bytes(&a.model, type), 0);
        if (type != DTYPE_BF16) model_each(&b.model, to_numbers, &b.memory);
        with_adapters(&a, &of_a);
        with_adapters(&b, &of_b);
        learn(&a, &of_a, loss[0]);
        learn(&b, &of_b, loss[1]);
        CHECK(!memcmp(loss[0], loss[1], sizeof loss[0]) && !memcmp(of_a.sum, of_b.sum, of_a.elements * sizeof(float)));
        double size = 0;
        for (size_t k = 0; k < of_a.elements; k++) size += fabs((double)of_a.sum[k]);
        CHECK(size > 0);
        trainable_close(&of_a);
        trainable_close(&of_b);
        opened_close(&a);
        opened_close(&b);
        base_release(&base[0]);
        base_release(&base[1]);
    }
}

TEST(a_base_whose_rows_do_not_fit_is_refused)
{
    struct opened o;
    struct quantized_base base;
    opened_make(&o, "llama", 1);
    CHECK_FAILS(base_quantize(&base, &o.model, DTYPE_Q4_K, NULL, o.pool, NULL, err), SC_E_ARGUMENT, "needs a multiple of 256");
    CHECK(o.model.layers[0].q.w.dtype == DTYPE_F32 && !base.memory);
    atomic_int cancel = 1;
    CHECK_FAILS(base_quantize(&base, &o.model, DTYPE_Q8_0, NULL, o.pool, &cancel, err), SC_E_CANCELLED, "cancelled");
    base_release(&base);
    opened_close(&o);
}
