/* fuzz_adapter.c - any adapter_config.json and any tensor names, on a tiny model. The input is the config, a line with a
 * NUL, then a header of safetensors; an adapter that is accepted must leave a model whose tables agree. */
#include "format/format_internal.h"
#include "model/model.h"

#include <stdlib.h>

static const char MODEL[] = "{\"model_type\":\"llama\",\"vocab_size\":8,\"hidden_size\":4,\"intermediate_size\":4,\"num_hidden_layers\":1,\"num_attention_heads\":2,"
                            "\"num_key_value_heads\":1,\"max_position_embeddings\":8,\"tie_word_embeddings\":true}";
static float zeros[4096];

/* A model of zeros, bound by hand. */
static void bind(struct model *m, const json_t *config)
{
    *m = (struct model){ 0 };
    arena_init(&m->memory);
    if (model_config_from_json(&m->config, config, "fuzz", NULL) != SC_OK) abort();
    m->layers = arena_zero(&m->memory, sizeof *m->layers);
    struct layer *l = m->layers;
    struct { struct tensor *t; size_t rows, cols; } all[] = { { &m->embed.w, 8, 4 }, { &l->q.w, 4, 4 }, { &l->k.w, 2, 4 }, { &l->v.w, 2, 4 }, { &l->o.w, 4, 4 }, { &l->gate.w, 4, 4 },
        { &l->up.w, 4, 4 }, { &l->down.w, 4, 4 }, { &l->norm1.gain, 1, 4 }, { &l->norm2.gain, 1, 4 }, { &m->final_norm.gain, 1, 4 } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) *all[i].t = (struct tensor){ .dtype = DTYPE_F32, .rows = all[i].rows, .cols = all[i].cols, .data = zeros };
    m->head = m->embed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *middle = size ? memchr(data, 0, size) : NULL;
    sc_error err = { 0 };
    struct model m;
    json_t *config = NULL;
    if (!middle || json_read(&config, MODEL, sizeof MODEL - 1, "fuzz", NULL) != SC_OK) return 0;
    struct model_file *f = model_file_new(MODEL_HF, "fuzz");
    bind(&m, config);
    sc_status status = json_read(&f->config, (const char *)data, (size_t)(middle - data), "fuzz", &err);
    if (status == SC_OK && !json_is_object(f->config)) status = FAIL(&err, SC_E_FORMAT, "no object");
    if (status == SC_OK) status = safetensors_parse(f, middle + 1, size - (size_t)(middle - data) - 1, "fuzz", &err);
    if (status == SC_OK) status = model_file_index_tensors(f, &err);
    if (status == SC_OK) status = adapter_load(&m, f, &err);
    if (status != SC_OK && !err.message[0]) abort();
    if (status == SC_OK && (m.embed.w.rows != m.head.w.rows || m.config.vocab != m.embed.w.rows || m.extra.rows != m.extra_head.rows)) abort();
    model_release(&m);
    model_file_close(f);
    json_decref(config);
    return 0;
}
