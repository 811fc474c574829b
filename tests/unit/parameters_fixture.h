/* parameters_fixture.h - parameters without a model, golden arrays of tools/oracle/optimizers.py, and an opened tiny model. */
#ifndef PARAMETERS_FIXTURE_H
#define PARAMETERS_FIXTURE_H

#include "cpu/cpu.h"
#include "test.h"
#include "train/train.h"

/* ---- golden arrays ------------------------------------------------------------------------------------------------------ */

struct golden { json_t *json; sc_text bytes; };

static inline void golden_open(struct golden *g)
{
    CHECK_OK(json_read_file(&g->json, test_path("tests/golden/training/optimizers.json"), 1 << 20, err));
    CHECK_OK(file_read(&g->bytes, test_path("tests/golden/training/optimizers.bin"), 8 << 20, err));
}

static inline void golden_close(struct golden *g)
{
    json_decref(g->json);
    sc_text_free(&g->bytes);
}

/* The array that `object` names under `key`; NULL where it is null. */
static inline const void *golden_array(const struct golden *g, const json_t *object, const char *key, size_t *n)
{
    const json_t *place = json_object_get(object, key);
    if (n) *n = (size_t)json_integer_value(json_array_get(place, 1));
    return json_is_array(place) ? g->bytes.data + json_integer_value(json_array_get(place, 0)) : NULL;
}

static inline double golden_real(const json_t *object, const char *key) { return json_number_value(json_object_get(object, key)); }

/* ---- a model of the golden set --------------------------------------------------------------------------------------------- */

struct opened { struct model_file *file; struct model model; struct pool *pool; struct arena memory; };

static inline void opened_open(struct opened *o, const char *name, int threads)
{
    char relative[128];
    snprintf(relative, sizeof relative, "tests/golden/models/%s", name);
    *o = (struct opened){ 0 };
    arena_init(&o->memory);
    CHECK_OK(model_file_open(&o->file, test_path(relative), false, err));
    CHECK_OK(model_bind(&o->model, o->file, err));
    CHECK_OK(pool_open(&o->pool, threads, err));
}

/* A model made here, with matrices large enough for blocks of every kind but those of 256: "llama" or "gpt_bigcode". */
static inline void opened_make(struct opened *o, const char *family, int threads)
{
    bool is_llama = !strcmp(family, "llama");
    char *config = path_join(test_scratch(), "config.json"), *directory = path_join(test_scratch(), family);
    const char *text = is_llama ? "{\"model_type\": \"llama\", \"architectures\": [\"LlamaForCausalLM\"], \"hidden_size\": 64, \"intermediate_size\": 192, \"num_hidden_layers\": 2, \"num_attention_heads\": 4,"
                                  " \"num_key_value_heads\": 2, \"max_position_embeddings\": 64, \"rms_norm_eps\": 1e-5, \"vocab_size\": 101, \"tie_word_embeddings\": false, \"initializer_range\": 0.1}"
                                : "{\"model_type\": \"gpt_bigcode\", \"architectures\": [\"GPTBigCodeForCausalLM\"], \"n_embd\": 64, \"n_inner\": 192, \"n_layer\": 2, \"n_head\": 4, \"n_positions\": 64,"
                                  " \"layer_norm_epsilon\": 1e-5, \"activation_function\": \"gelu\", \"multi_query\": true, \"vocab_size\": 97, \"initializer_range\": 0.1}";
    *o = (struct opened){ 0 };
    arena_init(&o->memory);
    CHECK_OK(pool_open(&o->pool, threads, err));
    CHECK_OK(file_write(config, text, strlen(text), err));
    if (!path_exists(directory)) CHECK_OK(model_init(&(sc_init_config){ .config = config, .out = directory, .type = "f32", .seed = 8 }, o->pool, NULL, err));
    CHECK_OK(model_file_open(&o->file, directory, false, err));
    CHECK_OK(model_bind(&o->model, o->file, err));
    mem_free(config);
    mem_free(directory);
}

static inline void opened_close(struct opened *o)
{
    model_release(&o->model);
    model_file_close(o->file);
    pool_close(o->pool);
    arena_release(&o->memory);
}

static inline const struct parameter *parameter_find(const struct trainable *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (!strcmp(t->parameter[i].name, name)) return &t->parameter[i];
    test_failed(__FILE__, __LINE__, "no parameter %s", name);
    exit(1);
}

/* ---- parameters made by hand -------------------------------------------------------------------------------------------------- */

/* As trainable_open would lay them out, without a model. */
struct made { struct trainable t; struct tensor tensor[8]; struct arena memory; };

static inline struct moments8 *made_moments8(struct arena *a, size_t n)
{
    struct moments8 *m = arena_take(a, sizeof *m);
    *m = (struct moments8){ arena_zero(a, n), arena_zero(a, (n / MOMENT_BLOCK + 1) * sizeof(float)) };
    return m;
}

static inline void made_add(struct made *m, size_t rows, size_t cols, enum value_storage values, enum moment_storage moments, bool decays)
{
    struct trainable *t = &m->t;
    size_t n = rows * cols;
    struct tensor *tensor = &m->tensor[t->n];
    *tensor = (struct tensor){ .dtype = values == VALUE_F32 ? DTYPE_F32 : DTYPE_BF16, .rows = rows, .cols = cols };
    tensor->data = arena_zero(&m->memory, n * (values == VALUE_F32 ? sizeof(float) : 2));
    struct parameter *p = &t->parameter[t->n++];
    *p = (struct parameter){ .rows = rows, .cols = cols, .decays = decays, .tensor = tensor, .begin = t->elements, .own_n = n };
    if (values == VALUE_F32) p->value = tensor->data; else p->half = tensor->data;
    if (values == VALUE_BF16_MASTER) p->value = arena_zero(&m->memory, n * sizeof(float));
    if (moments == MOMENT_8BIT) {
        p->m8 = made_moments8(&m->memory, n);
        p->v8 = made_moments8(&m->memory, n);
    } else {
        p->m = arena_zero(&m->memory, n * sizeof(float));
        p->v = arena_zero(&m->memory, n * sizeof(float));
    }
    t->elements += (n + SLICE_GRAIN - 1) / SLICE_GRAIN * SLICE_GRAIN;
    t->moments = moments;
}

static inline void made_open(struct made *m)
{
    *m = (struct made){ 0 };
    arena_init(&m->memory);
    m->t.parameter = arena_zero(&m->memory, 8 * sizeof *m->t.parameter);
}

/* When all are added. */
static inline void made_finish(struct made *m)
{
    struct trainable *t = &m->t;
    t->n_groups = 1;
    t->group_begin = arena_zero(&m->memory, 2 * sizeof *t->group_begin);
    t->own_begin = arena_zero(&m->memory, 2 * sizeof *t->own_begin);
    t->group_grad = arena_zero(&m->memory, sizeof *t->group_grad);
    t->group_begin[1] = t->own_begin[1] = t->elements;
    t->sum = arena_zero(&m->memory, t->elements * sizeof(float));
    t->group_grad[0] = arena_zero(&m->memory, t->elements * sizeof(float));
    for (size_t i = 0; i < t->n; i++) t->parameter[i].sum = t->sum + t->parameter[i].begin;
}

static inline double clip_alone(struct trainable *t, double max_norm, struct pool *pool)
{
    double norm = 0;
    CHECK_OK(gradient_clip(&norm, t, max_norm, NULL, pool, err));
    return norm;
}

/* One rank's state in a file, and back. */
static inline sc_status state_write(const struct trainable *t, const char *path, sc_error *err)
{
    json_t *first = NULL;
    sc_status status = trainable_write(t, path, &first, err);
    json_decref(first);
    return status;
}
static inline sc_status state_read(struct trainable *t, const char *path, sc_error *err) { return trainable_read(t, &(struct state_file){ path, NULL }, 1, err); }

static inline const struct optimizer *optimizer_named(const char *name)
{
    const struct optimizer *o = optimizers;
    while (o->name && strcmp(o->name, name)) o++;
    if (!o->name) test_failed(__FILE__, __LINE__, "no optimizer %s", name);
    return o;
}

#endif
