/* test_kernels.c - the contract of the CPU backend: one row, two, 7, 16 and 512 give the same bits, on any number of
 * threads; every vector kernel against the scalar one, the scalar one against double arithmetic. */
#include "test.h"

#include "cpu/cpu.h"

static const char *const set_names[] = { "scalar", "avx2", "avx512" };

/* Kernels of a set, or NULL where the processor lacks them. */
static const struct cpu_kernels *kernels(const char *name)
{
    const void *k = NULL;
    return cpu_backend.kernels(&k, name, NULL) == SC_OK ? k : NULL;
}

static float *normals(size_t n, uint64_t stream)
{
    float *x = mem_alloc(n * sizeof *x);
    random_normal(x, n, 11, stream, 0);
    return x;
}

static void *quantized(enum dtype t, const float *w, size_t rows, size_t cols)
{
    char *out = mem_alloc(rows * dtype_row_bytes(t, cols));
    for (size_t r = 0; r < rows; r++) dtypes[t].from_f32(out + r * dtype_row_bytes(t, cols), w + r * cols, cols);
    return out;
}

struct bench { struct pool *pool; struct arena step; struct exec exec; };

static void bench_init(struct bench *b, const struct cpu_kernels *k, int threads, bool int8)
{
    CHECK_OK(pool_open(&b->pool, threads, err));
    arena_init(&b->step);
    b->exec = (struct exec){ .pool = b->pool, .backend = &cpu_backend, .kernels = k, .int8_activations = int8, .step = &b->step };
}

static void bench_release(struct bench *b)
{
    arena_release(&b->step);
    pool_close(b->pool);
}

static float *run_linear(const struct cpu_kernels *k, int threads, bool int8, const struct weight *w, const float *x, size_t rows)
{
    struct bench b;
    bench_init(&b, k, threads, int8);
    struct run r = { .exec = &b.exec, .batch = &(struct batch){ .rows = rows } };
    const struct tensor in = { .dtype = DTYPE_F32, .rows = rows, .cols = w->w.cols, .data = (void *)x };
    const struct tensor *out = linear(&r, &in, w);
    float *copy = mem_alloc(rows * w->w.rows * sizeof *copy);
    memcpy(copy, out->data, rows * w->w.rows * sizeof *copy);
    bench_release(&b);
    return copy;
}

/* Rows of the big product against products of few rows at a time. */
static void check_row_counts(const struct cpu_kernels *k, bool int8, const struct weight *w, const float *x)
{
    static const size_t counts[] = { 1, 2, 7, 16 };
    size_t n = w->w.rows, cols = w->w.cols;
    float *all = run_linear(k, 1, int8, w, x, 512), *threaded = run_linear(k, 3, int8, w, x, 512);
    CHECK(memcmp(all, threaded, 512 * n * sizeof *all) == 0);
    for (size_t i = 0; i < 4; i++)
        for (size_t at = 0; at + counts[i] <= 512; at += 101) {
            float *some = run_linear(k, 2, int8, w, x + at * cols, counts[i]);
            if (memcmp(some, all + at * n, counts[i] * n * sizeof *some))
                test_failed(__FILE__, __LINE__, "%s %s%s: %zu rows differ from 512", k->name, dtypes[w->w.dtype].name, int8 ? " int8" : "", counts[i]);
            mem_free(some);
        }
    mem_free(all);
    mem_free(threaded);
}

/* Largest error of a product relative to sum |x||w|, against doubles. */
static double linear_error(const struct cpu_kernels *k, bool int8, const struct weight *w, const float *x)
{
    size_t n = w->w.rows, cols = w->w.cols;
    float *row = mem_alloc(cols * sizeof *row), *found = run_linear(k, 2, int8, w, x, 5);
    double worst = 0;
    for (size_t j = 0; j < n; j++) {
        dtypes[w->w.dtype].to_f32(row, tensor_row(&w->w, j), cols);
        for (size_t r = 0; r < 5; r++) {
            double sum = (double)tensor_f32(&w->bias)[j], size = fabs(sum);
            for (size_t i = 0; i < cols; i++) {
                sum += (double)row[i] * (double)x[r * cols + i];
                size += fabs((double)row[i] * (double)x[r * cols + i]);
            }
            worst = fmax(worst, fabs(sum - (double)found[r * n + j]) / size);
        }
    }
    mem_free(row);
    mem_free(found);
    return worst;
}

static void check_linear(const char *set, enum dtype t, size_t rows, size_t cols)
{
    const struct cpu_kernels *k = kernels(set);
    if (!k) return;
    float *plain = normals(rows * cols, 1), *x = normals(512 * cols, 2), *bias = normals(rows, 3);
    void *data = quantized(t, plain, rows, cols);
    struct weight w = { { .dtype = t, .rows = rows, .cols = cols, .data = data }, { .dtype = DTYPE_F32, .rows = 1, .cols = rows, .data = bias }, NULL };
    for (int int8 = 0; int8 <= (k->unpack_i8[t] != NULL); int8++) {
        check_row_counts(k, int8, &w, x);
        double e = linear_error(k, int8, &w, x), bound = int8 ? 1e-2 : 1e-6;
        if (!(e <= bound)) test_failed(__FILE__, __LINE__, "%s %s %zu x %zu: error %g, bound %g", k->name, dtypes[t].name, rows, cols, e, bound);
    }
    mem_free(plain);
    mem_free(x);
    mem_free(bias);
    mem_free(data);
}

TEST(linear_is_the_same_for_1_2_7_16_and_512_rows)
{
    for (size_t s = 0; s < 3; s++)
        for (int t = DTYPE_F32; t <= DTYPE_NF4; t++) {
            size_t block = dtypes[t].block;
            check_linear(set_names[s], (enum dtype)t, 37, block == 1 ? 93 : block == 32 ? 160 : 512);
            check_linear(set_names[s], (enum dtype)t, 5, block == 1 ? 7 : block);
        }
}

/* A weight in a mapped file, since what is packed is let go of there, with room for its packed form. */
static void packed_open(struct weight *w, struct mapped_file *f, enum dtype t, size_t rows, size_t cols)
{
    float *plain = normals(rows * cols, 1);
    void *data = quantized(t, plain, rows, cols);
    char *path = path_join(test_scratch(), "weight");
    CHECK_OK(file_write(path, data, rows * dtype_row_bytes(t, cols), err));
    CHECK_OK(file_map(f, path, err));
    *w = (struct weight){ { .dtype = t, .rows = rows, .cols = cols, .data = (void *)(uintptr_t)f->data }, { .dtype = DTYPE_F32, .rows = 1, .cols = rows, .data = normals(rows, 3) }, NULL };
    CHECK(cpu_backend.packed_bytes(&w->w, false) > 0);
    w->w.packed = mem_zero(1, cpu_backend.packed_bytes(&w->w, false));
    w->w.packed_from = w->w.data;
    mem_free(plain);
    mem_free(data);
    mem_free(path);
}

static void packed_close(struct weight *w, struct mapped_file *f)
{
    mem_free(w->w.packed);
    mem_free(w->bias.data);
    file_unmap(f);
}

/* Panels: any number of rows and threads, and every set, give the scalar kernels' bits; and these are right. */
TEST(packed_weights_multiply_alike_in_all_sets)
{
    static const enum dtype types[] = { DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K };
    static const size_t sizes[][2] = { { 21, 2 }, { 5, 1 } };      /* rows; columns in units of 256 or 96 */
    for (size_t i = 0; i < 12; i++) {
        enum dtype t = types[i / 2];
        size_t rows = sizes[i % 2][0], cols = sizes[i % 2][1] * (dtypes[t].block == 32 ? 96 : 256);
        float *x = normals(512 * cols, 2), *first = NULL;
        for (size_t s = 0; s < 3; s++) {
            const struct cpu_kernels *k = kernels(set_names[s]);
            struct weight w;
            struct mapped_file f;
            if (!k) continue;
            packed_open(&w, &f, t, rows, cols);
            float *found = run_linear(k, 2, true, &w, x, 11);
            check_row_counts(k, true, &w, x);
            double e = linear_error(k, true, &w, x);
            if (!(e <= 1e-2)) test_failed(__FILE__, __LINE__, "%s %s: error %g", k->name, dtypes[t].name, e);
            if (first && memcmp(first, found, 11 * rows * sizeof *found)) test_failed(__FILE__, __LINE__, "%s %s %zu x %zu differs from scalar", k->name, dtypes[t].name, rows, cols);
            if (first) mem_free(found);
            else first = found;
            packed_close(&w, &f);
        }
        mem_free(first);
        mem_free(x);
    }
}

TEST(vector_unpacking_equals_scalar)
{
    enum { N = 1024 };
    float *w = normals(N, 4);
    for (size_t s = 1; s < 3; s++) {
        const struct cpu_kernels *k = kernels(set_names[s]), *scalar = kernels("scalar");
        for (int t = DTYPE_F16; k && t <= DTYPE_NF4; t++) {
            void *data = quantized((enum dtype)t, w, 1, N);
            static float a[N], b[N], scale[2][N / 16], min[2][N / 32];
            static int8_t q[2][N];
            k->unpack_f32[t](a, data, N);
            scalar->unpack_f32[t](b, data, N);
            for (int i = 0; i < N; i++)   /* by value: the sign of a zero may differ */
                if (a[i] != b[i]) test_failed(__FILE__, __LINE__, "%s %s to f32", k->name, dtypes[t].name);
            if (k->unpack_i8[t]) {
                memset(min, 0, sizeof min);
                k->unpack_i8[t](q[0], scale[0], min[0], data, N);
                scalar->unpack_i8[t](q[1], scale[1], min[1], data, N);
                CHECK(!memcmp(q[0], q[1], N) && !memcmp(scale[0], scale[1], sizeof scale[0]) && !memcmp(min[0], min[1], sizeof min[0]));
                for (int i = 0; i < N; i++)   /* and both say what to_f32 says */
                    CHECK(fabsf(scale[1][i / 16] * q[1][i] + min[1][i / 32] - b[i]) <= 1e-6f * (fabsf(b[i]) + 1));
            }
            mem_free(data);
        }
    }
    mem_free(w);
}

TEST(vector_functions_are_close_to_double)
{
    for (size_t s = 0; s < 3; s++) {
        const struct cpu_kernels *k = kernels(set_names[s]);
        if (!k) continue;
        double exp_error = 0, silu_error = 0, gelu_error = 0;
        for (int i = -2000; i <= 2000; i++) {
            float tile[64], x[1] = { (float)i * 0.011f }, one[1] = { 1 }, y[1];
            for (int j = 0; j < 64; j++) tile[j] = -INFINITY;
            tile[3] = x[0];
            k->exp_tile(tile, 0);
            CHECK(tile[0] == 0);
            exp_error = fmax(exp_error, fabs((double)tile[3] / exp((double)x[0]) - 1));
            k->silu_gate(y, x, one, 1);
            silu_error = fmax(silu_error, fabs((double)y[0] - (double)x[0] / (1 + exp(-(double)x[0]))));
            k->gelu_tanh(y, x, 1);
            double u = 0.7978845608028654 * ((double)x[0] + 0.044715 * pow((double)x[0], 3));
            gelu_error = fmax(gelu_error, fabs((double)y[0] - 0.5 * (double)x[0] * (1 + tanh(u))));
        }
        CHECK(exp_error < 3e-7 && silu_error < 3e-6 && gelu_error < 3e-6);
    }
}

TEST(quantize_row_is_the_same_in_all_sets)
{
    float *x = normals(320, 5);
    memset(x + 64, 0, 32 * sizeof *x);   /* a block of zeros has scale 0 */
    int8_t q[3][320];
    float scale[3][10], sum[3][10];
    int16_t sum16[3][20];
    for (size_t s = 0; s < 3; s++) {
        const struct cpu_kernels *k = kernels(set_names[s]);
        if (!k) continue;
        k->quantize_row(q[s], scale[s], sum[s], sum16[s], x, 320);
        CHECK(!memcmp(q[s], q[0], sizeof q[0]) && !memcmp(scale[s], scale[0], sizeof scale[0]) && !memcmp(sum[s], sum[0], sizeof sum[0]) && !memcmp(sum16[s], sum16[0], sizeof sum16[0]));
    }
    CHECK(scale[0][2] == 0 && q[0][64] == 0);
    mem_free(x);
}

/* ---- attention ---------------------------------------------------------------------------------------------------------- */

enum { MOST_POSITIONS = 1200, MOST_DIM = 64 };
struct attention_case { size_t heads, kv_heads, window; enum dtype cache; size_t dim, positions; };

/* Runs all positions through the cache, `chunk` rows a pass; the result is (positions, heads * dim). */
static float *run_attention(const struct cpu_kernels *k, const struct attention_case *a, size_t chunk, int threads)
{
    struct bench b;
    bench_init(&b, k, threads, false);
    size_t qc = a->heads * a->dim, kc = a->kv_heads * a->dim;
    float *q = normals(a->positions * qc, 6), *key = normals(a->positions * kc, 7), *v = normals(a->positions * kc, 8), *out = mem_alloc(a->positions * qc * sizeof *out);
    struct kv_cache cache, *caches[] = { &cache };
    kv_cache_init(&cache, a->cache, 1, a->kv_heads, a->dim, a->positions);
    for (size_t i = 0; i < kv_page_count(a->positions); i++) memset(cache.page[i], 0xFF, kv_page_bytes(&cache));     /* what was never written is not a number */
    int32_t position[MOST_POSITIONS], sequence[MOST_POSITIONS] = { 0 };
    for (int i = 0; i < MOST_POSITIONS; i++) position[i] = i;
    const struct attention attr = { 0, a->heads, a->kv_heads, a->dim, a->window, 0.2f, 0 };
    for (size_t at = 0, n; at < a->positions; at += n) {
        n = a->positions - at < chunk ? a->positions - at : chunk;
        struct batch batch = { .rows = n, .token = position + at, .position = position + at, .sequence = sequence, .caches = caches };
        struct run r = { .exec = &b.exec, .batch = &batch };
        const struct tensor tq = { .dtype = DTYPE_F32, .rows = n, .cols = qc, .data = q + at * qc };
        const struct tensor tk = { .dtype = DTYPE_F32, .rows = n, .cols = kc, .data = key + at * kc }, tv = { .dtype = DTYPE_F32, .rows = n, .cols = kc, .data = v + at * kc };
        memcpy(out + at * qc, attention(&r, &tq, &tk, &tv, &attr)->data, n * qc * sizeof *out);
    }
    bench_release(&b);
    kv_cache_release(&cache);
    mem_free(q);
    mem_free(key);
    mem_free(v);
    return out;
}

/* The definition, in double, of one row and head. */
static double attention_error(const struct attention_case *a, const float *found, size_t row, size_t head)
{
    size_t qc = a->heads * a->dim, kc = a->kv_heads * a->dim, g = head / (a->heads / a->kv_heads);
    float *q = normals(a->positions * qc, 6), *key = normals(a->positions * kc, 7), *v = normals(a->positions * kc, 8);
    double acc[MOST_DIM] = { 0 }, sum = 0, worst = 0;
    for (size_t j = a->window && row + 1 > a->window ? row + 1 - a->window : 0; j <= row; j++) {
        double s = 0;
        for (size_t i = 0; i < a->dim; i++) s += (double)q[row * qc + head * a->dim + i] * (double)key[j * kc + g * a->dim + i];
        sum += s = exp(s * 0.2);
        for (size_t i = 0; i < a->dim; i++) acc[i] += s * (double)v[j * kc + g * a->dim + i];
    }
    for (size_t i = 0; i < a->dim; i++) worst = fmax(worst, fabs(acc[i] / sum - (double)found[row * qc + head * a->dim + i]));
    mem_free(q);
    mem_free(key);
    mem_free(v);
    return worst;
}

TEST(attention_is_the_same_in_any_chunks_and_right)
{
    static const struct attention_case cases[] = {
        { 16, 1, 0, DTYPE_F16, 24, 300 }, { 9, 3, 0, DTYPE_F32, 24, 300 }, { 4, 4, 70, DTYPE_F16, 24, 300 }, { 6, 2, 5, DTYPE_F32, 24, 300 },
        { 16, 1, 0, DTYPE_Q8_0, 64, 300 }, { 9, 3, 70, DTYPE_Q8_0, 32, 300 }, { 3, 3, 5, DTYPE_Q8_0, 64, 300 },
        { 3, 1, 0, DTYPE_F16, 8, 1200 }, { 2, 1, 600, DTYPE_F32, 8, 1200 }, { 3, 1, 0, DTYPE_Q8_0, 32, 1200 },      /* three segments, whose sums are joined */
    };
    for (size_t s = 0; s < 3; s++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const struct cpu_kernels *k = kernels(set_names[s]);
            if (!k) continue;
            const struct attention_case *a = &cases[i];
            size_t bytes = a->positions * a->heads * a->dim * sizeof(float);
            float *whole = run_attention(k, a, a->positions, 1);
            static const size_t chunks[] = { 1, 2, 7, 16, 65 };
            for (size_t j = 0; j < 5; j++) {
                float *part = run_attention(k, a, chunks[j], 1 + (int)j % 3);
                if (memcmp(part, whole, bytes)) test_failed(__FILE__, __LINE__, "%s case %zu: chunks of %zu differ", k->name, i, chunks[j]);
                mem_free(part);
            }
            double bound = a->cache == DTYPE_Q8_0 ? 4e-2 : a->cache == DTYPE_F16 ? 3e-3 : 1e-5;
            static const size_t rows[] = { 0, 1, 63, 64, 200, 299, 511, 512, 1023, 1024, 1199 };
            for (size_t j = 0; j < sizeof rows / sizeof *rows && rows[j] < a->positions; j++) CHECK(attention_error(a, whole, rows[j], a->heads - 1) < bound);
            mem_free(whole);
        }
}

TEST(mixing_values_is_the_same_in_all_sets)
{
    enum { D = 96, LENGTH = 50 };       /* the second block is not full */
    static float expect[2 * OUTER][OUTER * D];
    float *p = normals(OUTER * KV_TURN, 9), *x = normals(2 * KV_TURN * D, 10), found[3][OUTER * D], keep[OUTER] = { 0, 1, 0.3f, 0.7f };
    struct kv_cache cache;
    kv_cache_init(&cache, DTYPE_Q8_0, 1, 1, D, KV_TURN);
    memset(cache.page[0], 0xFF, kv_page_bytes(&cache));
    for (size_t i = 0; i < OUTER * KV_TURN; i++) p[i] = i % 5 && i % KV_TURN < LENGTH ? p[i] * p[i] : 0;
    for (size_t i = 0; i < LENGTH; i++) q8_cache_store(&cache, 0, 0, i, x + i * D, x + (KV_TURN + i) * D);
    for (size_t s = 0; s < 3; s++) {
        const struct cpu_kernels *k = kernels(set_names[s]);
        if (!k) continue;
        for (size_t i = 0; i < 2 * OUTER; i++) {
            float *acc[OUTER];
            const float *row[OUTER];
            size_t n = i % OUTER + 1, blocks = 1 + i / OUTER;
            for (size_t t = 0; t < n; t++) {
                acc[t] = found[s] + t * D;
                row[t] = p + t * KV_TURN;
                for (size_t j = 0; j < D; j++) acc[t][j] = (float)j;
            }
            k->mix_q8(acc, keep, row, n, kv_values(&cache, 0, 0, 0), blocks, D);
            if (s == 0) memcpy(expect[i], found[s], sizeof expect[i]);
            CHECK(!memcmp(found[s], expect[i], n * D * sizeof(float)));
        }
        for (size_t t = 0; t < OUTER; t++)
            for (size_t i = 0; i < D; i++) {
                double expected = (double)keep[t] * (double)i;
                for (size_t j = 0; j < LENGTH; j++) expected += (double)p[t * KV_TURN + j] * (double)x[(KV_TURN + j) * D + i];
                CHECK(fabs((double)found[s][t * D + i] - expected) < 1);
            }
    }
    kv_cache_release(&cache);
    mem_free(p);
    mem_free(x);
}

/* The vector sets give the same bits; the scalar one rounds products. */
TEST(outer_products_are_the_same_in_vector_sets)
{
    enum { MOST = 70, K = 5 };
    float *a = normals(OUTER * K, 12), *b = normals(K * MOST, 13), *c = normals(OUTER * MOST, 14), keep[OUTER] = { 0, 1, 0.3f, 0.7f }, found[3][OUTER * MOST];
    uint16_t half[K * MOST];
    kernels("scalar")->pack_f16(half, b, K * MOST);
    for (size_t i = 0; i < 2 * 2 * OUTER * MOST; i++) {
        size_t is_f32 = i % 2, keeps = i / 2 % 2, n = i / 4 % OUTER + 1, cols = i / 4 / OUTER + 1;
        for (size_t s = 0; s < 3; s++) {
            const struct cpu_kernels *k = kernels(set_names[s]);
            float *to[OUTER];
            const float *row[OUTER];
            if (!k) continue;
            for (size_t t = 0; t < n; t++) to[t] = found[s] + t * MOST, row[t] = a + t * K;
            memcpy(found[s], c, sizeof found[s]);
            k->outer[is_f32](to, keeps ? keep : NULL, row, n, is_f32 ? (const void *)b : half, MOST, K, cols);
            for (size_t t = 0; t < OUTER * MOST; t++) CHECK(fabsf(found[s][t] - found[0][t]) < 1e-5f);
        }
        if (kernels("avx2") && kernels("avx512")) CHECK(!memcmp(found[1], found[2], sizeof found[1]));
    }
    mem_free(a);
    mem_free(b);
    mem_free(c);
}

TEST(missing_kernel_sets_are_named)
{
    const void *k = NULL;
    CHECK_FAILS(cpu_backend.kernels(&k, "sse9", err), SC_E_ARGUMENT, "expected auto, scalar, avx2 or avx512");
    CHECK_OK(cpu_backend.kernels(&k, "auto", err));
}

TEST(panels_interleave_lines)
{
    static const size_t widths[] = { 4, 6, 12, 16, 32 };
    enum { LENGTH = 41 };
    float *x = normals(32 * LENGTH, 9);
    const float *line[32];
    for (size_t i = 0; i < 32; i++) line[i] = x + i * LENGTH;
    for (size_t s = 0; s < 3; s++)
        for (size_t w = 0; kernels(set_names[s]) && w < 5; w++)
            for (size_t lines = widths[w] - 1; lines <= widths[w]; lines++)
                for (size_t n = 0; n <= LENGTH; n += n < 16 ? 1 : 5) {
                    size_t width = widths[w], wrong = 0;
                    float *out = mem_zero(n * width + 1, sizeof *out);      /* exactly as large: the sanitizer sees more */
                    out[n * width] = 7;
                    kernels(set_names[s])->interleave(out, width, line, lines, n);
                    for (size_t p = 0; p < n; p++)
                        for (size_t i = 0; i < width; i++) wrong += out[p * width + i] != (i < lines ? line[i][p] : 0);
                    if (wrong || out[n * width] != 7) test_failed(__FILE__, __LINE__, "%s: %zu of %zu lines, %zu long: %zu elements differ", set_names[s], lines, width, n, wrong);
                    mem_free(out);
                }
    mem_free(x);
}

/* The vector kernels of the gate's gradient against the scalar one. */
TEST(gate_gradients_agree)
{
    enum { N = 203 };
    float *gate = normals(N, 1), *up = normals(N, 2), *g = normals(N, 3), found[2][N], want[2][N];
    kernels("scalar")->silu_gate_backward(want[0], want[1], gate, up, g, N);
    for (size_t s = 1; s < 3; s++) {
        if (!kernels(set_names[s])) continue;
        kernels(set_names[s])->silu_gate_backward(found[0], found[1], gate, up, g, N);
        for (size_t k = 0; k < 2; k++)
            for (size_t i = 0; i < N; i++) CHECK(fabsf(found[k][i] - want[k][i]) < 2e-6f * (1 + fabsf(want[k][i])));
    }
    mem_free(gate);
    mem_free(up);
    mem_free(g);
}

/* Maximum, exponentials and gradient of a softmax row, any length, against the scalar kernels. */
TEST(softmax_rows_agree)
{
    enum { N = 203 };
    const struct cpu_kernels *scalar = kernels("scalar");
    float *x = normals(N, 1), *y = normals(N, 2), found[N], want[N];
    for (size_t s = 0; s < 3; s++)
        for (size_t n = 0; kernels(set_names[s]) && n <= N; n += n < 70 ? 1 : 19) {
            const struct cpu_kernels *k = kernels(set_names[s]);
            CHECK(k->largest(x, n) == scalar->largest(x, n));
            memcpy(found, x, sizeof found);
            memcpy(want, x, sizeof want);
            float a = k->exp_row(found, n, 0.7f, 1.5f), b = scalar->exp_row(want, n, 0.7f, 1.5f);
            CHECK(fabsf(a - b) <= 1e-5f * fabsf(b));
            for (size_t i = 0; i < N; i++) CHECK(fabsf(found[i] - want[i]) <= (i < n ? 1e-6f * want[i] : 0));
            memcpy(found, y, sizeof found);
            memcpy(want, y, sizeof want);
            k->softmax_gradient(found, x, n, 0.3f, 0.9f);
            scalar->softmax_gradient(want, x, n, 0.3f, 0.9f);
            for (size_t i = 0; i < N; i++) CHECK(fabsf(found[i] - want[i]) <= 1e-6f * (1 + fabsf(want[i])));
        }
    mem_free(x);
    mem_free(y);
}
