/* test_dtype.c - storage types against the gguf package's numbers (tests/golden/quants) and against their definitions. */
#include "test.h"
#include "tensor/tensor.h"

enum { N = 1024 };

/* Reads a golden file whole; *bytes is its size. */
static void *golden(const char *name, const char *suffix, size_t *bytes)
{
    char relative[128];
    snprintf(relative, sizeof relative, "tests/golden/quants/%s%s", name, suffix);
    const char *path = test_path(relative);
    if (!path) test_failed(__FILE__, __LINE__, "%s is missing", relative);
    FILE *f = fopen(path, "rb");
    fseek(f, 0, SEEK_END);
    *bytes = (size_t)ftell(f);
    rewind(f);
    void *data = malloc(*bytes);
    if (fread(data, 1, *bytes, f) != *bytes) test_failed(__FILE__, __LINE__, "%s cannot be read", path);
    fclose(f);
    return data;
}

static const enum dtype GOLDEN[] = { DTYPE_F16, DTYPE_BF16, DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q5_0, DTYPE_Q5_1, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K };

TEST(dtype_dequantise_equals_gguf)
{
    for (size_t k = 0; k < sizeof GOLDEN / sizeof GOLDEN[0]; k++) {
        const struct dtype_row *t = &dtypes[GOLDEN[k]];
        size_t q_bytes, x_bytes;
        void *q = golden(t->name, ".q", &q_bytes);
        float *expected = golden(t->name, ".f32", &x_bytes), *found = malloc(x_bytes);
        size_t n = x_bytes / sizeof *expected;
        CHECK_INT(q_bytes, n / t->block * t->bytes);
        t->to_f32(found, q, n);
        for (size_t i = 0; i < n; i++)
            if (!(found[i] == expected[i]))
                test_failed(__FILE__, __LINE__, "%s element %zu is %.9g, expected %.9g", t->name, i, (double)found[i], (double)expected[i]);
        free(q); free(expected); free(found);
    }
}

TEST(dtype_quantise_equals_gguf)
{
    size_t bytes;
    float *x = golden("input", ".f32", &bytes);
    CHECK_INT(bytes, N * sizeof *x);
    for (size_t k = 0; k < sizeof GOLDEN / sizeof GOLDEN[0]; k++) {
        const struct dtype_row *t = &dtypes[GOLDEN[k]];
        if (t->block == 256) continue;
        uint8_t *expected = golden(t->name, ".q", &bytes), *found = calloc(1, bytes);
        t->from_f32(found, x, N);
        for (size_t i = 0; i < bytes; i++)
            if (found[i] != expected[i])
                test_failed(__FILE__, __LINE__, "%s byte %zu is %02x, expected %02x", t->name, i, found[i], expected[i]);
        free(expected); free(found);
    }
    free(x);
}

/* Error of one round trip, relative to the row's own size. */
static double round_trip_error(enum dtype type, const float *x, size_t n)
{
    void *q = malloc(dtype_row_bytes(type, n));
    float *y = malloc(n * sizeof *y);
    dtypes[type].from_f32(q, x, n);
    dtypes[type].to_f32(y, q, n);
    double error = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        double e = (double)(y[i] - x[i]);
        error += e * e;
        size += (double)x[i] * (double)x[i];
    }
    free(q); free(y);
    return size > 0 ? sqrt(error / size) : sqrt(error);
}

/* Sum of 12 uniform numbers: near enough to a normal distribution, and the same everywhere. */
static float normal(uint64_t *state)
{
    double sum = -6;
    for (int i = 0; i < 12; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        sum += (double)(*state >> 40) / 16777216;
    }
    return (float)sum;
}

TEST(dtype_round_trip_error_is_bounded)
{
    static const struct { enum dtype type; double bound; } row[] = {
        { DTYPE_F32, 0 }, { DTYPE_F64, 0 }, { DTYPE_F16, 3e-4 }, { DTYPE_BF16, 2e-3 }, { DTYPE_Q8_0, 6e-3 }, { DTYPE_Q4_0, 0.1 },
        { DTYPE_Q4_1, 0.09 }, { DTYPE_Q5_0, 0.05 }, { DTYPE_Q5_1, 0.045 }, { DTYPE_Q4_K, 0.0740 }, { DTYPE_Q5_K, 0.0370 }, { DTYPE_Q6_K, 0.0180 },
        { DTYPE_NF4, 0.095 },
    };
    enum { MANY = 64 * 256 };
    float *x = malloc(MANY * sizeof *x);
    uint64_t state = 7;
    for (int i = 0; i < MANY; i++) x[i] = 0.02f * normal(&state);
    for (size_t k = 0; k < sizeof row / sizeof row[0]; k++) {
        double error = round_trip_error(row[k].type, x, MANY);
        printf("%s %.5f\n", dtypes[row[k].type].name, error);
        if (!(error <= row[k].bound)) test_failed(__FILE__, __LINE__, "%s: error %.5f, bound %.5f", dtypes[row[k].type].name, error, row[k].bound);
    }
    free(x);
}

/* Rows that end in corners: zeros, one value, subnormal steps, values beyond half range, not numbers. */
TEST(dtype_quantise_survives_corners)
{
    static const float corner[] = { 0, -0.0f, 1, -1, 1e-45f, -1e-40f, 6e-8f, 65504, -1e30f, 3e38f, INFINITY, -INFINITY, NAN };
    float x[256], y[256];
    uint8_t q[2048];
    for (size_t a = 0; a < sizeof corner / sizeof corner[0]; a++)
        for (size_t b = 0; b < sizeof corner / sizeof corner[0]; b++) {
            for (int i = 0; i < 256; i++) x[i] = corner[i % 3 ? a : b];
            for (int t = 0; t < DTYPE_COUNT; t++) {
                if (!dtypes[t].from_f32) continue;
                dtypes[t].from_f32(q, x, 256);
                dtypes[t].to_f32(y, q, 256);
                if (a == b && fabsf(corner[a]) == 1) CHECK(fabsf(y[0] - x[0]) < 0.001f);
                if (a == b && corner[a] == 0) CHECK(y[255] == 0);
            }
        }
}

/* A packed block that is dequantised and packed again keeps its values: integers lie on the grid already. */
TEST(dtype_k_types_keep_representable_rows)
{
    for (int k = 7; k < 10; k++) {
        const struct dtype_row *t = &dtypes[GOLDEN[k]];
        size_t bytes;
        float *x = golden(t->name, ".f32", &bytes);
        double error = round_trip_error(GOLDEN[k], x, bytes / sizeof *x);
        printf("%s %.6f\n", t->name, error);
        CHECK(error < 0.02);
        free(x);
    }
}

TEST(f16_every_value)
{
    for (uint32_t h = 0; h < 65536; h++) {
        int exponent = h >> 10 & 31, fraction = h & 1023;
        float f = f16_to_f32((uint16_t)h);
        if (exponent == 31) {
            CHECK(fraction ? isnan(f) : isinf(f));
            CHECK(!fraction == !isnan(f16_to_f32(f32_to_f16(f))));
            if (!fraction) CHECK_INT(f32_to_f16(f), h);
            continue;
        }
        double expected = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
        CHECK((double)f == (h & 0x8000 ? -expected : expected));
        CHECK_INT(f32_to_f16(f), h);
        if ((h & 0x7fff) >= 0x7bff) continue;
        float next = f16_to_f32((uint16_t)(h + 1)), middle = (f + next) / 2;     /* exact: 12 bits of fraction */
        CHECK_INT(f32_to_f16(middle), h & 1 ? h + 1 : h);
        CHECK_INT(f32_to_f16(nextafterf(middle, f)), h);
        CHECK_INT(f32_to_f16(nextafterf(middle, next)), h + 1);
    }
    CHECK_INT(f32_to_f16(65519.996f), 0x7bff);
    CHECK_INT(f32_to_f16(65520), 0x7c00);
    CHECK_INT(f32_to_f16(-1e30f), 0xfc00);
    CHECK_INT(f32_to_f16(1e-30f), 0);
    CHECK_INT(f32_to_f16(-1e-30f), 0x8000);
}

TEST(bf16_rounds_to_even)
{
    CHECK_INT(f32_to_bf16(1), 0x3f80);
    CHECK_INT(f32_to_bf16(1.00390625f), 0x3f80);       /* half way, even below */
    CHECK_INT(f32_to_bf16(1.01171875f), 0x3f82);       /* half way, even above */
    CHECK_INT(f32_to_bf16(3.4e38f), 0x7f80);
    CHECK(isnan(bf16_to_f32(f32_to_bf16(NAN))));
    for (uint32_t h = 0; h < 65536; h++)
        if (!isnan(bf16_to_f32((uint16_t)h))) CHECK_INT(f32_to_bf16(bf16_to_f32((uint16_t)h)), h);
}

TEST(dtype_names)
{
    enum dtype t;
    CHECK(dtype_by_name(&t, "Q4_K") && t == DTYPE_Q4_K);
    CHECK(!dtype_by_name(&t, "q4"));
    CHECK(dtype_by_safetensors(&t, "BF16") && t == DTYPE_BF16);
    CHECK(!dtype_by_safetensors(&t, "bf16"));
    CHECK(dtype_by_gguf(&t, 14) && t == DTYPE_Q6_K);
    CHECK(!dtype_by_gguf(&t, 10));
    CHECK_INT(dtype_row_bytes(DTYPE_Q6_K, 512), 420);
    for (int i = 0; i < DTYPE_COUNT; i++) {
        CHECK(dtype_by_name(&t, dtypes[i].name) && (int)t == i);
        CHECK(dtype_by_gguf(&t, (uint32_t)dtypes[i].gguf) ? (int)t == i : dtypes[i].gguf < 0);
    }
}
