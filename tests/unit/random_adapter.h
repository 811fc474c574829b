/* random_adapter.h - PEFT adapters with random numbers, for any model: to try what golden ones do not combine. */
#ifndef RANDOM_ADAPTER_H
#define RANDOM_ADAPTER_H

#include "test.h"

#include "infer/infer.h"

/* every, phase: matrix i of the layers is adapted where i % every == phase. rows: ids of tokens with rows of their own; ids
 * from the model's vocabulary on are new ones. save: a module that is replaced as a whole; NULL: none. */
struct random_adapter { int rank, every, phase; bool use_rslora; int64_t rows[4]; size_t n_rows; const char *save; uint64_t seed; };

enum { RANDOM_TENSORS = 64, RANDOM_FLOATS = 1 << 16 };
struct random_writing { struct tensor_plan plan[RANDOM_TENSORS]; char name[RANDOM_TENSORS][160]; size_t n; json_t *targets; };

static inline void random_tensor(struct random_writing *w, const char *module, const char *ending, size_t rows, size_t cols)
{
    CHECK(w->n < RANDOM_TENSORS && rows * cols <= RANDOM_FLOATS);
    snprintf(w->name[w->n], sizeof w->name[w->n], "base_model.model.%s%s", module, ending);
    w->plan[w->n] = (struct tensor_plan){ w->name[w->n], DTYPE_F32, 2, { rows, cols } };
    w->n++;
}

/* The name of a role's module: that of its tensor without ".weight". */
static inline void random_module(char out[96], const struct weight_row *row, size_t layer)
{
    weight_name(out, row, MODEL_HF, layer, false);
    out[strlen(out) - strlen(".weight")] = 0;
}

static inline void random_list(struct random_writing *w, const struct random_adapter *a, const struct model *m)
{
    const struct model_config *c = &m->config;
    int count = 0;
    for (size_t layer = 0; layer < c->layers; layer++)
        for (size_t i = 0; i < c->arch->n_rows; i++) {
            const struct weight_row *row = &c->arch->rows[i];
            char module[96];
            if (!role_is_per_layer(row->role) || row->flags & WF_NORM || count++ % a->every != a->phase) continue;
            random_module(module, row, layer);
            json_array_append_new(w->targets, json_string(module));
            random_tensor(w, module, ".lora_A.weight", (size_t)a->rank, extent_of(c, row->cols));
            random_tensor(w, module, ".lora_B.weight", extent_of(c, row->rows), (size_t)a->rank);
        }
    for (size_t i = 0; i < c->arch->n_rows; i++) {
        char module[96];
        random_module(module, &c->arch->rows[i], 0);
        if (c->arch->rows[i].role == W_EMBED && a->n_rows) random_tensor(w, module, ".token_adapter.trainable_tokens_delta", a->n_rows, c->embd);
        if (a->save && path_ends_with(module, a->save)) random_tensor(w, module, ".weight", extent_of(c, c->arch->rows[i].rows), extent_of(c, c->arch->rows[i].cols));
    }
}

static inline void random_config(const char *directory, const struct random_adapter *a, json_t *targets)
{
    sc_text text;
    char *path = path_join(directory, "adapter_config.json");
    json_t *config = json_pack("{s:s, s:i, s:i, s:b, s:O}", "peft_type", "LORA", "r", a->rank, "lora_alpha", 6, "use_rslora", a->use_rslora, "target_modules", targets), *ids = json_array();
    for (size_t i = 0; i < a->n_rows; i++) json_array_append_new(ids, json_integer(a->rows[i]));
    if (a->n_rows) json_object_set(config, "trainable_token_indices", ids);
    if (a->save) json_object_set_new(config, "modules_to_save", json_pack("[s]", a->save));
    CHECK(json_write(&text, config, false) == SC_OK);
    CHECK_OK(file_write(path, text.data, text.len, err));
    sc_text_free(&text);
    json_decref(config);
    json_decref(ids);
    mem_free(path);
}

/* The directory's path; mem_free it. */
static inline char *random_adapter(const struct random_adapter *a, const char *name, const sc_model *m)
{
    static float values[RANDOM_FLOATS];
    char *directory = path_join(test_scratch(), name), *file = path_join(directory, "adapter_model.safetensors");
    struct random_writing *w = mem_zero(1, sizeof *w);
    struct safetensors_writer *out = NULL;
    w->targets = json_array();
    random_list(w, a, &m->model);
    CHECK_OK(path_make_directories(directory, err));
    random_config(directory, a, w->targets);
    CHECK_OK(safetensors_writer_open_file(&out, file, w->plan, w->n, err));
    for (size_t i = 0; i < w->n; i++) {
        size_t n = w->plan[i].dims[0] * w->plan[i].dims[1];
        random_normal(values, n, a->seed, i, 0);
        for (size_t k = 0; k < n; k++) values[k] *= 0.2f;
        CHECK_OK(safetensors_writer_data(out, values, n * sizeof *values, err));
    }
    CHECK_OK(safetensors_writer_finish(out, err));
    json_decref(w->targets);
    mem_free(w);
    mem_free(file);
    return directory;
}

#endif
