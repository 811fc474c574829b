/* test_imatrix.c - the search of quantisation steps, with and without importance of columns; the importance matrix itself:
 * what is gathered, its file, and what convert makes of it. */
#include "test.h"
#include "infer/infer.h"

enum { COLS = 1024 };
static const enum dtype SEARCHED[] = { DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q5_0, DTYPE_Q5_1, DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K };
enum { N_SEARCHED = sizeof SEARCHED / sizeof *SEARCHED };

static uint64_t state;
static double uniform(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 40) / 16777216;
}

/* Near enough to normal. */
static float normal(void)
{
    double sum = -6;
    for (int i = 0; i < 12; i++) sum += uniform();
    return (float)sum;
}

static double weighted_error(const float *x, const void *q, const float *w, enum dtype type)
{
    float y[COLS];
    double sum = 0;
    dtypes[type].to_f32(y, q, COLS);
    for (int i = 0; i < COLS; i++) sum += (double)w[i] * (double)(y[i] - x[i]) * (double)(y[i] - x[i]);
    return sum;
}

/* Importance as it is in models: a few columns weigh a thousand times what others do. */
static void make_row(float *x, float *w, float *ones)
{
    for (int i = 0; i < COLS; i++) {
        x[i] = 0.02f * normal();
        w[i] = (float)exp(2 * (double)normal());
        ones[i] = 1;
    }
}

TEST(quantise_heeds_importance)
{
    float x[COLS], w[COLS], ones[COLS];
    uint8_t with[4096], without[4096], alike[4096], reference[4096];
    for (int k = 0; k < N_SEARCHED; k++) {
        enum dtype type = SEARCHED[k];
        const struct dtype_row *t = &dtypes[type];
        double lower = 0, plain = 0, searched = 0, rounded = 0;
        state = 5;
        for (int row = 0; row < 16; row++) {
            make_row(x, w, ones);
            t->quantise(with, x, w, COLS);
            t->quantise(without, x, NULL, COLS);
            t->quantise(alike, x, ones, COLS);
            t->from_f32(reference, x, COLS);
            lower += weighted_error(x, with, w, type);
            plain += weighted_error(x, alike, w, type);
            searched += weighted_error(x, alike, ones, type);
            rounded += weighted_error(x, reference, ones, type);
            CHECK(!memcmp(without, type == DTYPE_Q4_0 || type == DTYPE_Q5_0 ? reference : alike, dtype_row_bytes(type, COLS)));
        }
        printf("%s: with importance %.3f of the weighted error without; %.3f of the error of plain rounding\n", t->name, lower / plain, searched / rounded);
        CHECK(lower < 0.85 * plain);
        CHECK(searched < (t->block == 32 ? 0.92 : 1 + 1e-9) * rounded);
    }
}

/* What lies on a type's grid already comes back. */
TEST(quantise_keeps_the_grid)
{
    float x[COLS], w[COLS], ones[COLS], grid[COLS];
    uint8_t q[4096];
    state = 9;
    make_row(x, w, ones);
    for (int k = 0; k < 4; k++) {
        dtypes[SEARCHED[k]].from_f32(q, x, COLS);
        dtypes[SEARCHED[k]].to_f32(grid, q, COLS);
        double size = 0;
        for (int i = 0; i < COLS; i++) size += (double)w[i] * (double)grid[i] * (double)grid[i];
        dtypes[SEARCHED[k]].quantise(q, grid, w, COLS);
        CHECK(weighted_error(grid, q, w, SEARCHED[k]) < 1e-7 * size);
    }
}

TEST(quantise_survives_corners)
{
    static const float corner[] = { 0, -0.0f, 1, -1, 1e-45f, 6e-8f, 65504, -1e30f, 3e38f, INFINITY, NAN }, weight[] = { 0, 1e-6f, 1, 1e6f, 1e38f };
    enum { CORNERS = sizeof corner / sizeof *corner, WEIGHTS = sizeof weight / sizeof *weight };
    float x[256], w[256], y[256];
    uint8_t q[1024];
    for (int a = 0; a < CORNERS * CORNERS; a++)
        for (int b = 0; b < WEIGHTS * WEIGHTS; b++) {
            for (int i = 0; i < 256; i++) {
                x[i] = corner[i % 3 ? a / CORNERS : a % CORNERS];
                w[i] = weight[i % 5 ? b / WEIGHTS : b % WEIGHTS];
            }
            for (int k = 0; k < N_SEARCHED; k++) {
                dtypes[SEARCHED[k]].quantise(q, x, w, 256);
                dtypes[SEARCHED[k]].to_f32(y, q, 256);
                if (a / CORNERS == a % CORNERS && corner[a % CORNERS] == 0) CHECK(y[255] == 0);
            }
        }
}

/* ---- the matrix and its file ------------------------------------------------------------------------------------------------ */

static const char *scratch(const char *name)
{
    static char path[8][256];
    static int next;
    char *p = path[next++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", test_scratch(), name);
    return p;
}

static void write_text(const char *path, const char *text, int times)
{
    FILE *f = fopen(path, "wb");
    for (int i = 0; i < times; i++) fputs(text, f);
    fclose(f);
}

/* A model of random weights with a tokenizer of bytes. */
static const char *small_model(sc_runtime *rt)
{
    const char *out = scratch("model"), *config = test_path("tests/golden/tokenizers/bytes/config.json");
    char tokenizer[512];
    snprintf(tokenizer, sizeof tokenizer, "%s", test_path("tests/golden/tokenizers/bytes/tokenizer.json"));
    CHECK_OK(sc_init(rt, &(sc_init_config){ .config = config, .out = out, .tokenizer = tokenizer, .type = "f32", .overwrite = true }, err));
    return out;
}

static sc_runtime *open_runtime(int threads)
{
    sc_runtime *rt = NULL;
    CHECK_OK(sc_runtime_open(&rt, &(sc_runtime_config){ .threads = threads }, err));
    return rt;
}

/* The first layer reads normed embeddings: what is gathered for it can be told from the file alone. */
TEST(calibrate_sums_squares_of_inputs)
{
    sc_runtime *rt = open_runtime(2);
    struct imatrix m;
    sc_model *model;
    sc_tokens id = { 0 };
    sc_convert_config c = { .in = small_model(rt), .calibrate = scratch("text.txt"), .calibrate_tokens = 0 };
    write_text(c.calibrate, "for i in range(10): print(i)\n", 20);
    CHECK_OK(model_calibrate(&m, rt, &c, err));
    CHECK_OK(sc_model_open(&model, rt, &(sc_model_config){ .path = c.in }, err));
    sc_text text = { 0 };
    CHECK_OK(file_read(&text, c.calibrate, 1 << 20, err));
    CHECK_OK(sc_encode(&id, sc_model_tokenizer(model), text.data, text.len, false, err));
    const struct imatrix_row *q = imatrix_find(&m, "blk.0.attn_q.weight"), *k = imatrix_find(&m, "blk.0.attn_k.weight");
    const struct model_config *config = &model->model.config;
    double *sum = calloc(config->embd, sizeof *sum);
    size_t n = id.len / m.chunk * m.chunk;
    CHECK(q && k && q->cols == config->embd && imatrix_find(&m, "output.weight") && !imatrix_find(&m, "token_embd.weight"));
    CHECK_INT(m.n, 2 * 7 + 1);
    CHECK_INT(m.chunk, 256);
    CHECK_INT(q->count, n);
    for (size_t i = 0; i < n; i++) {
        const float *x = tensor_row(&model->model.embed.w, (size_t)id.id[i]), *gain = tensor_f32(&model->model.layers[0].norm1.gain);
        double square = 0;
        for (size_t j = 0; j < config->embd; j++) square += (double)x[j] * (double)x[j];
        for (size_t j = 0; j < config->embd; j++) {
            double in = (double)x[j] / sqrt(square / (double)config->embd + (double)config->eps) * (double)gain[j];
            sum[j] += in * in;
        }
    }
    for (size_t j = 0; j < config->embd; j++) {
        CHECK(fabs(sum[j] - q->sum[j]) < 1e-4 * sum[j]);
        CHECK(q->sum[j] == k->sum[j]);
    }
    free(sum);
    sc_text_free(&text);
    sc_tokens_free(&id);
    sc_model_close(model);
    imatrix_release(&m);
    sc_runtime_close(rt);
}

static void same_bytes(const char *a, const char *b)
{
    sc_text x = { 0 }, y = { 0 };
    CHECK_OK(file_read(&x, a, 1 << 26, err));
    CHECK_OK(file_read(&y, b, 1 << 26, err));
    CHECK(x.len == y.len && !memcmp(x.data, y.data, x.len));
    sc_text_free(&x);
    sc_text_free(&y);
}

/* The same bytes by one thread and by three, by a kept matrix and by a new one; others without. */
TEST(convert_with_importance)
{
    sc_runtime *one = open_runtime(1), *three = open_runtime(3);
    const char *model = small_model(one), *text = scratch("text.txt"), *kept = scratch("kept.gguf"), *a = scratch("a.gguf"), *b = scratch("b.gguf");
    write_text(text, "def add(a, b):\n    return a + b\n", 30);
    CHECK_OK(sc_convert(one, &(sc_convert_config){ .in = model, .out = a, .type = "q4_0", .calibrate = text, .imatrix = kept }, err));
    CHECK_OK(sc_convert(three, &(sc_convert_config){ .in = model, .out = b, .type = "q4_0", .calibrate = text }, err));
    same_bytes(a, b);
    CHECK_OK(sc_convert(three, &(sc_convert_config){ .in = model, .out = b, .type = "q4_0", .imatrix = kept, .overwrite = true }, err));
    same_bytes(a, b);
    struct model_file *f = NULL;
    int64_t entries;
    CHECK_OK(model_file_open(&f, a, false, err));
    CHECK_OK(gguf_need_int(&entries, f, "quantize.imatrix.entries_count", 15, 15, err));
    model_file_close(f);
    CHECK_OK(sc_convert(one, &(sc_convert_config){ .in = a, .out = b, .type = "q8_0", .overwrite = true }, err));
    CHECK_OK(model_file_open(&f, b, false, err));
    CHECK(!gguf_find(f, "quantize.imatrix.entries_count"));
    model_file_close(f);
    CHECK_FAILS(sc_convert(one, &(sc_convert_config){ .in = model, .out = b, .type = "q4_0", .calibrate = text, .imatrix = kept, }, err), SC_E_ARGUMENT, "exists already");
    sc_runtime_close(one);
    sc_runtime_close(three);
}

TEST(convert_refuses_useless_calibration)
{
    sc_runtime *rt = open_runtime(1);
    const char *model = small_model(rt), *text = scratch("text.txt"), *out = scratch("out.gguf");
    write_text(text, "x = 1\n", 3);
    CHECK_FAILS(sc_convert(rt, &(sc_convert_config){ .in = model, .out = out, .type = "q4_0", .calibrate = text }, err), SC_E_ARGUMENT, "at least 64 are needed");
    CHECK_FAILS(sc_convert(rt, &(sc_convert_config){ .in = model, .out = out, .type = "q8_0", .calibrate = text }, err), SC_E_ARGUMENT, "changes nothing of type q8_0");
    CHECK_FAILS(sc_convert(rt, &(sc_convert_config){ .in = model, .out = out, .imatrix = text }, err), SC_E_ARGUMENT, "type \"keep\"");
    CHECK_FAILS(sc_convert(rt, &(sc_convert_config){ .in = model, .out = out, .type = "q4_0", .calibrate = "/nowhere" }, err), SC_E_IO, "/nowhere");
    CHECK_FAILS(sc_convert(rt, &(sc_convert_config){ .in = model, .out = out, .type = "q4_0", .imatrix = model }, err), SC_E_FORMAT, "model directory");
    CHECK(!path_exists(out));
    sc_runtime_close(rt);
}

/* A file with one matrix, of which the given parts are wrong. */
struct damage { const char *type, *sums, *counts; enum dtype dtype; size_t n_counts; float first, count; };

static const char *damaged(const struct damage *d)
{
    const char *path = scratch("bad.gguf");
    float data[32] = { d->first }, counts[2] = { d->count, 1 };
    struct gguf_writer *w;
    struct tensor_plan plan[2] = { { d->sums, d->dtype, 1, { 32 } }, { d->counts, DTYPE_F32, 1, { d->n_counts } } };
    CHECK_OK(gguf_writer_open(&w, path, true, err));
    if (d->type) gguf_put_string(w, "general.type", d->type, strlen(d->type));
    CHECK_OK(gguf_writer_begin(w, plan, 2, err));
    CHECK_OK(gguf_writer_data(w, data, 32 * dtypes[d->dtype].bytes, err));
    CHECK_OK(gguf_writer_data(w, counts, d->n_counts * sizeof *counts, err));
    CHECK_OK(gguf_writer_finish(w, err));
    return path;
}

TEST(imatrix_files_with_damage)
{
    static const char NAME[] = "blk.0.attn_q.weight.in_sum2", COUNTS[] = "blk.0.attn_q.weight.counts";
    static const struct { struct damage d; const char *message; } bad[] = {
        { { NULL, NAME, COUNTS, DTYPE_F32, 1, 1, 1 }, "general.type is missing" },
        { { "model", NAME, COUNTS, DTYPE_F32, 1, 1, 1 }, "general.type is model" },
        { { "imatrix", "sums", COUNTS, DTYPE_F32, 1, 1, 1 }, "holds no importance" },
        { { "imatrix", NAME, "rows", DTYPE_F32, 1, 1, 1 }, "no numbers blk.0.attn_q.weight.counts" },
        { { "imatrix", NAME, COUNTS, DTYPE_F16, 1, 1, 1 }, "f16, not f32" },
        { { "imatrix", NAME, COUNTS, DTYPE_F32, 2, 1, 1 }, "2 experts" },
        { { "imatrix", NAME, COUNTS, DTYPE_F32, 1, -1, 1 }, "column 0 of blk.0.attn_q.weight.in_sum2 is -1" },
        { { "imatrix", NAME, COUNTS, DTYPE_F32, 1, NAN, 1 }, "nan" },
        { { "imatrix", NAME, COUNTS, DTYPE_F32, 1, INFINITY, 1 }, "inf" },
        { { "imatrix", NAME, COUNTS, DTYPE_F32, 1, 1, -3 }, "is -3" },
        { { "imatrix", NAME, COUNTS, DTYPE_F32, 1, 1, 0 }, "holds no importance" },
    };
    struct imatrix m;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sc_error e = { 0 };
        if (imatrix_read(&m, damaged(&bad[i].d), &e) == SC_OK || !strstr(e.message, bad[i].message)) test_failed(__FILE__, __LINE__, "\"%s\", expected \"%s\"", e.message, bad[i].message);
        CHECK_INT(m.n, 0);
    }
    CHECK_OK(imatrix_read(&m, damaged(&(struct damage){ "imatrix", NAME, COUNTS, DTYPE_F32, 1, 4, 2 }), err));
    CHECK(m.n == 1 && m.rows[0].cols == 32 && m.rows[0].sum[0] == 4 && m.rows[0].count == 2);
    imatrix_release(&m);
}

TEST(imatrix_of_another_model)
{
    sc_runtime *rt = open_runtime(1);
    const char *model = small_model(rt), *out = scratch("out.gguf");
    static const char COUNTS[] = "a.counts";
    const char *longer = damaged(&(struct damage){ "imatrix", "blk.0.ffn_down.weight.in_sum2", "blk.0.ffn_down.weight.counts", DTYPE_F32, 1, 1, 1 });
    CHECK_FAILS(sc_convert(rt, &(sc_convert_config){ .in = model, .out = out, .type = "q4_0", .imatrix = longer }, err), SC_E_FORMAT, "32 columns for blk.0.ffn_down.weight, which has 64");
    const char *other = damaged(&(struct damage){ "imatrix", "a.in_sum2", COUNTS, DTYPE_F32, 1, 1, 1 });
    CHECK_FAILS(sc_convert(rt, &(sc_convert_config){ .in = model, .out = out, .type = "q4_0", .imatrix = other }, err), SC_E_FORMAT, "none of this model");
    CHECK(!path_exists(out));
    sc_runtime_close(rt);
}

TEST(imatrix_round_trip)
{
    struct imatrix m = { .dataset = mem_strdup("text.txt"), .chunks = 3, .chunk = 512 }, back;
    struct imatrix_row *r = imatrix_add(&m, "blk.1.ffn_up.weight", 40);
    r->count = 1536;
    for (size_t i = 0; i < r->cols; i++) r->sum[i] = (double)i * 0.25;
    imatrix_add(&m, "output.weight", 8)->count = 5;
    CHECK_OK(imatrix_write(&m, scratch("m.gguf"), false, err));
    CHECK_OK(imatrix_read(&back, scratch("m.gguf"), err));
    CHECK_INT(back.n, 2);
    CHECK(back.chunks == 3 && back.chunk == 512);
    CHECK_STR(back.dataset, "text.txt");
    const struct imatrix_row *found = imatrix_find(&back, "blk.1.ffn_up.weight");
    float w[40];
    CHECK(found && found->count == 1536 && !memcmp(found->sum, m.rows[0].sum, 40 * sizeof(double)));
    CHECK(imatrix_weights(w, found) && w[0] > 0 && w[0] < 1e-5f && fabsf(w[39] / w[1] - 39) < 1e-4f);
    CHECK(!imatrix_weights(w, imatrix_find(&back, "output.weight")));       /* all sums are 0 */
    imatrix_release(&m);
    imatrix_release(&back);
}
