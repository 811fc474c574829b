/* test_format_write.c - what is written reads back the same: random tensors and keys, from printed seeds. */
#include "test.h"
#include "format/format.h"

enum { ROUNDS = 40, MOST = 12 };

/* A random file: tensors of any type, some empty, some scalar. */
struct sample { struct tensor_plan plan[MOST]; char names[MOST][64]; uint8_t *data[MOST]; size_t bytes[MOST], n; };

static uint32_t pick(uint64_t seed, uint64_t *at, uint32_t n) { return random_u32(seed, 1, (*at)++) % n; }

static void sample_make(struct sample *s, uint64_t seed, bool safetensors_only)
{
    uint64_t at = 0;
    s->n = 1 + pick(seed, &at, MOST);
    for (size_t i = 0; i < s->n; i++) {
        struct tensor_plan *t = &s->plan[i];
        snprintf(s->names[i], sizeof s->names[i], i % 3 ? "blk.%zu.weight" : "t\"%zu\\é\n", i);
        *t = (struct tensor_plan) { .name = s->names[i], .n_dims = (int)pick(seed, &at, 5) };
        do t->dtype = (enum dtype)pick(seed, &at, DTYPE_COUNT); while (safetensors_only ? !dtypes[t->dtype].safetensors : dtypes[t->dtype].gguf < 0);
        if (dtypes[t->dtype].block > 1 && t->n_dims == 0) t->n_dims = 1;
        size_t rows = 1;
        for (int d = 0; d < t->n_dims; d++) {
            t->dims[d] = pick(seed, &at, 4) + (d ? 1 : 0);
            if (d + 1 == t->n_dims) t->dims[d] *= dtypes[t->dtype].block; else rows *= t->dims[d];
        }
        s->bytes[i] = rows * dtype_row_bytes(t->dtype, t->n_dims ? t->dims[t->n_dims - 1] : 1);
        s->data[i] = malloc(s->bytes[i] + 1);
        for (size_t b = 0; b < s->bytes[i]; b++) s->data[i][b] = (uint8_t)random_u32(seed, 2 + i, b);
    }
}

static void sample_free(struct sample *s)
{
    for (size_t i = 0; i < s->n; i++) free(s->data[i]);
}

static void sample_check(const struct sample *s, const struct model_file *m)
{
    CHECK_INT(m->n_tensors, s->n);
    for (size_t i = 0; i < s->n; i++) {
        const struct file_tensor *t = model_file_find(m, s->names[i]);
        CHECK(t != NULL);
        CHECK(t->dtype == s->plan[i].dtype && t->n_dims == s->plan[i].n_dims);
        CHECK(memcmp(t->dims, s->plan[i].dims, (size_t)t->n_dims * sizeof t->dims[0]) == 0);
        CHECK_INT(t->bytes, s->bytes[i]);
        CHECK(memcmp(t->data, s->data[i], t->bytes) == 0);
    }
}

static char *scratch(const char *name, uint64_t seed)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s-%llu", test_scratch(), name, (unsigned long long)seed);
    return path;
}

static void put_keys(struct gguf_writer *w)
{
    static const struct gguf_string strings[] = { { "a", 1 }, { "", 0 }, { "\0x", 2 }, { "Ġthe", 5 } };
    static const int32_t ints[] = { -1, 0, 2147483647 };
    static const float floats[] = { 0.5f, -1e30f };
    gguf_put_uint32(w, "x.u32", 4000000000u);
    gguf_put_float32(w, "x.f32", 1e-5f);
    gguf_put_bool(w, "x.yes", true);
    gguf_put_bool(w, "x.no", false);
    gguf_put_string(w, "tokenizer.chat_template", "{{ x }}", 7);
    gguf_put_string_array(w, "x.strings", strings, 4);
    gguf_put_int32_array(w, "x.ints", ints, 3);
    gguf_put_float32_array(w, "x.floats", floats, 2);
    gguf_put_int32_array(w, "x.none", NULL, 0);
}

static void check_keys(const struct model_file *m)
{
    int64_t i;
    double d;
    bool b;
    struct gguf_string s;
    CHECK_OK(gguf_need_int(&i, m, "x.u32", 0, UINT32_MAX, err));
    CHECK_INT(i, 4000000000);
    CHECK_FAILS(gguf_need_int(&i, m, "x.u32", 0, 100, err), SC_E_FORMAT, "expected 0 to 100");
    CHECK_FAILS(gguf_need_int(&i, m, "x.f32", 0, 100, err), SC_E_FORMAT, "expected an integer");
    CHECK_FAILS(gguf_need_int(&i, m, "x.absent", 0, 100, err), SC_E_FORMAT, "no key");
    CHECK_OK(gguf_opt_int(&i, m, "x.absent", 7, 0, 1, err));
    CHECK_INT(i, 7);
    CHECK_OK(gguf_opt_real(&d, m, "x.f32", 0, err));
    CHECK(d == (double)1e-5f);
    CHECK_OK(gguf_opt_real(&d, m, "x.u32", 0, err));
    CHECK(d == 4e9);
    CHECK_OK(gguf_opt_bool(&b, m, "x.yes", false, err));
    CHECK(b);
    CHECK_OK(gguf_opt_bool(&b, m, "x.no", true, err));
    CHECK(!b);
    CHECK_FAILS(gguf_opt_bool(&b, m, "x.u32", true, err), SC_E_FORMAT, "expected true or false");
    CHECK_FAILS(gguf_opt_string(&s, m, "x.u32", err), SC_E_FORMAT, "expected a string");
    CHECK_STR(m->chat_template, "{{ x }}");
    const struct gguf_value *v = gguf_find(m, "x.strings");
    CHECK(v && v->count == 4 && v->strings[2].len == 2 && memcmp(v->strings[2].text, "\0x", 2) == 0 && v->strings[1].len == 0);
    v = gguf_find(m, "x.ints");
    CHECK(v && gguf_array_int(v, 0) == -1 && gguf_array_int(v, 2) == 2147483647);
    v = gguf_find(m, "x.floats");
    CHECK(v && gguf_array_real(v, 1) == (double)-1e30f);
    CHECK(gguf_find(m, "x.none")->count == 0);
}

TEST(gguf_write_then_read)
{
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct sample s;
        struct gguf_writer *w = NULL;
        struct model_file *m = NULL;
        char *path = scratch("g", seed);
        printf("seed %llu\n", (unsigned long long)seed);
        sample_make(&s, seed, false);
        CHECK_OK(gguf_writer_open(&w, path, false, err));
        put_keys(w);
        CHECK_OK(gguf_writer_begin(w, s.plan, s.n, err));
        for (size_t i = 0; i < s.n; i++) {                       /* whole, and in two pieces */
            size_t first = seed % 2 ? s.bytes[i] / 3 : 0;
            CHECK_OK(gguf_writer_data(w, s.data[i], first, err));
            CHECK_OK(gguf_writer_data(w, s.data[i] + first, s.bytes[i] - first, err));
        }
        CHECK(!path_exists(path));
        CHECK_OK(gguf_writer_finish(w, err));
        CHECK_OK(model_file_open(&m, path, false, err));
        sample_check(&s, m);
        check_keys(m);
        model_file_close(m);
        sample_free(&s);
    }
}

TEST(gguf_values_copy)
{
    struct gguf_writer *w = NULL;
    struct model_file *a = NULL, *b = NULL;
    char from[256];
    snprintf(from, sizeof from, "%s", scratch("from", 0));
    CHECK_OK(gguf_writer_open(&w, from, false, err));
    put_keys(w);
    CHECK_OK(gguf_writer_begin(w, NULL, 0, err));
    CHECK_OK(gguf_writer_finish(w, err));
    CHECK_OK(model_file_open(&a, from, false, err));
    CHECK_OK(gguf_writer_open(&w, scratch("to", 0), false, err));
    for (size_t i = 0; i < a->n_values; i++) gguf_put_value(w, &a->values[i]);
    CHECK_OK(gguf_writer_begin(w, NULL, 0, err));
    CHECK_OK(gguf_writer_finish(w, err));
    CHECK_OK(model_file_open(&b, scratch("to", 0), false, err));
    CHECK_INT(b->n_values, a->n_values);
    check_keys(b);
    model_file_close(a);
    model_file_close(b);
}

TEST(gguf_writer_refuses_misuse)
{
    struct gguf_writer *w = NULL;
    struct tensor_plan plan = { "t", DTYPE_F32, 1, { 2 } };
    float data[3] = { 0 };
    char *path = scratch("misuse", 0);
    CHECK_OK(gguf_writer_open(&w, path, false, err));
    CHECK_OK(gguf_writer_begin(w, &plan, 1, err));
    CHECK_OK(gguf_writer_data(w, data, 4, err));
    CHECK_FAILS(gguf_writer_finish(w, err), SC_E_ARGUMENT, "is missing");
    CHECK(!path_exists(path));
    CHECK_OK(gguf_writer_open(&w, path, false, err));
    CHECK_OK(gguf_writer_begin(w, &plan, 1, err));
    CHECK_FAILS(gguf_writer_data(w, data, 12, err), SC_E_ARGUMENT, "more than");
    gguf_writer_discard(w);
    CHECK_OK(gguf_writer_open(&w, path, false, err));
    gguf_put_uint32(w, "a", 1);
    gguf_put_uint32(w, "a", 1);
    CHECK_FAILS(gguf_writer_begin(w, &plan, 1, err), SC_E_ARGUMENT, "twice");
    gguf_writer_discard(w);
    plan.dtype = DTYPE_Q4_0;
    CHECK_OK(gguf_writer_open(&w, path, false, err));
    CHECK_FAILS(gguf_writer_begin(w, &plan, 1, err), SC_E_ARGUMENT, "blocks");
    gguf_writer_discard(w);
    CHECK_OK(file_write(path, "x", 1, err));
    CHECK_FAILS(gguf_writer_open(&w, path, false, err), SC_E_ARGUMENT, "exists already");
    gguf_writer_discard(NULL);
}

/* shard_bytes 0: one file. */
static void safetensors_round(uint64_t seed, uint64_t shard_bytes)
{
    struct sample s;
    struct safetensors_writer *w = NULL;
    struct model_file *m = NULL;
    char directory[256], config[300];
    snprintf(directory, sizeof directory, "%s", scratch(shard_bytes ? "shards" : "single", seed));
    printf("seed %llu, shards of %llu\n", (unsigned long long)seed, (unsigned long long)shard_bytes);
    CHECK_OK(path_make_directories(directory, err));
    snprintf(config, sizeof config, "%s/config.json", directory);
    CHECK_OK(file_write(config, "{}", 2, err));
    sample_make(&s, seed, true);
    CHECK_OK(safetensors_writer_open(&w, directory, s.plan, s.n, shard_bytes, err));
    for (size_t i = 0; i < s.n; i++) CHECK_OK(safetensors_writer_data(w, s.data[i], s.bytes[i], err));
    CHECK_OK(safetensors_writer_finish(w, err));
    CHECK_OK(model_file_open(&m, directory, false, err));
    sample_check(&s, m);
    model_file_close(m);
    sample_free(&s);
}

TEST(safetensors_write_then_read)
{
    for (uint64_t seed = 100; seed < 100 + ROUNDS; seed++) {
        safetensors_round(seed, 0);
        safetensors_round(seed, 1 + seed % 97);
    }
}

TEST(safetensors_writer_refuses_misuse)
{
    struct safetensors_writer *w = NULL;
    struct tensor_plan plan = { "t", DTYPE_Q4_0, 1, { 32 } };
    CHECK_FAILS(safetensors_writer_open(&w, test_scratch(), &plan, 1, 0, err), SC_E_ARGUMENT, "q4_0");
    plan.dtype = DTYPE_F16;
    CHECK_OK(safetensors_writer_open(&w, test_scratch(), &plan, 1, 0, err));
    CHECK_FAILS(safetensors_writer_finish(w, err), SC_E_ARGUMENT, "is missing");
    CHECK_FAILS(safetensors_writer_open(&w, test_scratch(), NULL, 0, 0, err), SC_E_ARGUMENT, "at least one");
    CHECK_FAILS(safetensors_writer_open(&w, "/nowhere/at/all", &plan, 1, 0, err), SC_E_IO, "/nowhere/at/all");
    safetensors_writer_discard(NULL);
}
