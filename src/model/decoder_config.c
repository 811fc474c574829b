/* decoder_config.c - the config keys that llama, qwen2 and starcoder2 share: Hugging Face's hidden_size family, and
 * GGUF's embedding_length family. */
#include "model/model_internal.h"

#include <string.h>

/* Old files say rope_theta and rope_scaling; new ones nest both in rope_parameters. */
static sc_status read_rope(struct model_config *c, const json_t *config, const char *what, sc_error *err)
{
    const json_t *scaling = json_object_get(config, "rope_scaling"), *nested = json_object_get(config, "rope_parameters");
    if (json_is_object(nested)) scaling = nested;
    if (scaling && !json_is_null(scaling) && !json_is_object(scaling)) return FAIL(err, SC_E_FORMAT, "%s: rope_scaling is not an object", what);
    if (json_is_null(scaling)) scaling = NULL;
    TRY(json_opt_real(&c->rope_theta, config, "rope_theta", 10000, 1, 1e12, what, err));
    if (scaling) TRY(json_opt_real(&c->rope_theta, scaling, "rope_theta", c->rope_theta, 1, 1e12, what, err));
    c->rope_scaling = json_deep_copy(scaling);
    double partial;
    TRY(json_opt_real(&partial, config, "partial_rotary_factor", 1, 0, 1, what, err));
    return rope_init(&c->rope, (size_t)((double)c->head_dim * partial), c->rope_theta, c->context, scaling, what, err);
}

sc_status read_decoder_json(struct model_config *c, const json_t *config, const char *what, sc_error *err)
{
    TRY(need_size(&c->vocab, config, "vocab_size", 1 << 24, what, err));
    TRY(need_size(&c->embd, config, "hidden_size", MAX_DIM, what, err));
    TRY(need_size(&c->inner, config, "intermediate_size", MAX_DIM, what, err));
    TRY(need_size(&c->layers, config, "num_hidden_layers", MAX_LAYERS, what, err));
    TRY(need_size(&c->heads, config, "num_attention_heads", MAX_DIM, what, err));
    TRY(opt_size(&c->kv_heads, config, "num_key_value_heads", c->heads, MAX_DIM, what, err));
    TRY(opt_size(&c->head_dim, config, "head_dim", head_dim_of(c->embd, c->heads), MAX_DIM, what, err));
    TRY(opt_size(&c->context, config, "max_position_embeddings", 2048, MAX_CONTEXT, what, err));
    TRY(json_opt_bool(&c->is_tied, config, "tie_word_embeddings", c->is_tied, what, err));
    return read_rope(c, config, what, err);
}

/* Wave factors of llama3 scaling travel as a tensor of divisors. */
static sc_status read_rope_gguf(struct model_config *c, const struct model_file *f, sc_error *err)
{
    size_t dims;
    double factor, attention_factor;
    struct gguf_string type = { 0 };
    TRY(gguf_opt_size(&dims, f, "rope.dimension_count", c->head_dim, MAX_DIM, err));
    TRY(gguf_arch_real(&c->rope_theta, f, "rope.freq_base", 10000, 1, 1e12, err));
    TRY(gguf_arch_real(&factor, f, "rope.scaling.factor", 1, 1e-6, 1e6, err));
    TRY(gguf_arch_real(&attention_factor, f, "rope.scaling.attn_factor", 0, 0, 1e6, err));
    char key[128];
    struct gguf_string arch;
    TRY(gguf_opt_string(&arch, f, "general.architecture", err));
    struct buf name;
    buf_init(&name, sizeof key - 1);
    buf_append(&name, arch.text, arch.len);
    buf_puts(&name, ".rope.scaling.type");
    sc_status status = gguf_opt_string(&type, f, name.data, err);
    buf_release(&name);
    TRY(status);
    size_t original;
    TRY(gguf_opt_size(&original, f, "rope.scaling.original_context_length", c->context, MAX_CONTEXT, err));
    json_t *scaling = type.text ? json_pack("{s:s%, s:f, s:I}", "type", type.text, type.len, "factor", factor,
                                            "original_max_position_embeddings", (json_int_t)original) : NULL;
    if (scaling && attention_factor > 0) json_object_set_new(scaling, "attention_factor", json_real(attention_factor));
    status = rope_init(&c->rope, dims, c->rope_theta, c->context, scaling, f->path, err);
    c->rope_scaling = scaling;
    TRY(status);
    const struct file_tensor *divisors = model_file_find(f, "rope_freqs.weight");
    if (!divisors) return SC_OK;
    if (divisors->dtype != DTYPE_F32 || divisors->n_dims != 1 || divisors->dims[0] != dims / 2)
        return FAIL(err, SC_E_FORMAT, "%s: rope_freqs.weight is not a vector of %zu f32 numbers", f->path, dims / 2);
    double *frequency = (double *)c->rope.frequency;
    for (size_t i = 0; i < dims / 2; i++) frequency[i] = (double)(float)(frequency[i] / (double)((const float *)divisors->data)[i]);
    return SC_OK;
}

sc_status read_decoder_gguf(struct model_config *c, const struct model_file *f, sc_error *err)
{
    TRY(gguf_need_size(&c->embd, f, "embedding_length", MAX_DIM, err));
    TRY(gguf_need_size(&c->inner, f, "feed_forward_length", MAX_DIM, err));
    TRY(gguf_need_size(&c->layers, f, "block_count", MAX_LAYERS, err));
    TRY(gguf_need_size(&c->heads, f, "attention.head_count", MAX_DIM, err));
    TRY(gguf_opt_size(&c->kv_heads, f, "attention.head_count_kv", c->heads, MAX_DIM, err));
    TRY(gguf_opt_size(&c->head_dim, f, "attention.key_length", head_dim_of(c->embd, c->heads), MAX_DIM, err));
    TRY(gguf_need_size(&c->context, f, "context_length", MAX_CONTEXT, err));
    c->attention_bias = model_file_find(f, "blk.0.attn_q.bias") != NULL;
    c->mlp_bias = model_file_find(f, "blk.0.ffn_up.bias") != NULL;
    return read_rope_gguf(c, f, err);
}

void write_decoder_json(const struct model_config *c, json_t *config)
{
    json_object_set_new(config, "vocab_size", json_integer((json_int_t)c->vocab));
    json_object_set_new(config, "hidden_size", json_integer((json_int_t)c->embd));
    json_object_set_new(config, "intermediate_size", json_integer((json_int_t)c->inner));
    json_object_set_new(config, "num_hidden_layers", json_integer((json_int_t)c->layers));
    json_object_set_new(config, "num_attention_heads", json_integer((json_int_t)c->heads));
    json_object_set_new(config, "num_key_value_heads", json_integer((json_int_t)c->kv_heads));
    if (c->head_dim * c->heads != c->embd) json_object_set_new(config, "head_dim", json_integer((json_int_t)c->head_dim));
    json_object_set_new(config, "max_position_embeddings", json_integer((json_int_t)c->context));
    json_object_set_new(config, "rope_theta", json_real(c->rope_theta));
    if (c->rope_scaling) json_object_set(config, "rope_scaling", c->rope_scaling);
    json_object_set_new(config, "tie_word_embeddings", json_boolean(c->is_tied));
}

/* GGUF has keys for linear and yarn; llama3 goes into the rope_freqs.weight tensor, which the converter writes. */
static void write_scaling_gguf(const struct model_config *c, struct gguf_writer *w)
{
    const char *type = json_string_value(json_object_get(c->rope_scaling, "rope_type"));
    if (!type) type = json_string_value(json_object_get(c->rope_scaling, "type"));
    if (!type || (strcmp(type, "linear") && strcmp(type, "yarn"))) return;
    struct buf key;
    buf_init(&key, 0);
    buf_printf(&key, "%s.rope.scaling.type", c->arch->gguf);
    gguf_put_string(w, key.data, type, strlen(type));
    buf_release(&key);
    gguf_put_arch_float32(w, c, "rope.scaling.factor", json_number_value(json_object_get(c->rope_scaling, "factor")));
    const json_t *original = json_object_get(c->rope_scaling, "original_max_position_embeddings");
    if (original) gguf_put_arch_uint32(w, c, "rope.scaling.original_context_length", (size_t)json_integer_value(original));
}

void write_decoder_gguf(const struct model_config *c, struct gguf_writer *w)
{
    gguf_put_arch_uint32(w, c, "context_length", c->context);
    gguf_put_arch_uint32(w, c, "embedding_length", c->embd);
    gguf_put_arch_uint32(w, c, "block_count", c->layers);
    gguf_put_arch_uint32(w, c, "feed_forward_length", c->inner);
    gguf_put_arch_uint32(w, c, "attention.head_count", c->heads);
    gguf_put_arch_uint32(w, c, "attention.head_count_kv", c->kv_heads);
    if (c->head_dim * c->heads != c->embd) {
        gguf_put_arch_uint32(w, c, "attention.key_length", c->head_dim);
        gguf_put_arch_uint32(w, c, "attention.value_length", c->head_dim);
    }
    gguf_put_arch_uint32(w, c, "rope.dimension_count", c->rope.dims);
    gguf_put_arch_float32(w, c, "rope.freq_base", c->rope_theta);
    write_scaling_gguf(c, w);
}
