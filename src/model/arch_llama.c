/* arch_llama.c - Llama and its relatives with RMS norm, rotary positions, grouped-query attention and a SiLU-gated
 * feed-forward: the rows llama (SmolLM2, Llama 2/3, DeepSeek-Coder) and qwen2 (biases on q, k, v; sliding window in
 * the upper layers by config). Touvron et al. 2023; Qwen2 report 2024. GGUF of llama permutes the rows of q and k. */
#include "model/model_internal.h"

#include <string.h>

#define ROWS(qkv_bias, o_bias, mlp_bias, permuted) { \
    { W_EMBED,      "model.embed_tokens",                        "token_embd",          E_VOCAB, E_EMBD,  0 }, \
    { W_FINAL_NORM, "model.norm",                                "output_norm",         E_ONE,   E_EMBD,  WF_NORM }, \
    { W_HEAD,       "lm_head",                                   "output",              E_VOCAB, E_EMBD,  WF_OPTIONAL }, \
    { W_NORM1,      "model.layers.%zu.input_layernorm",          "blk.%zu.attn_norm",   E_ONE,   E_EMBD,  WF_NORM }, \
    { W_Q,          "model.layers.%zu.self_attn.q_proj",         "blk.%zu.attn_q",      E_HEADS, E_EMBD,  (qkv_bias) | (permuted) }, \
    { W_K,          "model.layers.%zu.self_attn.k_proj",         "blk.%zu.attn_k",      E_KV,    E_EMBD,  (qkv_bias) | (permuted) }, \
    { W_V,          "model.layers.%zu.self_attn.v_proj",         "blk.%zu.attn_v",      E_KV,    E_EMBD,  (qkv_bias) }, \
    { W_O,          "model.layers.%zu.self_attn.o_proj",         "blk.%zu.attn_output", E_EMBD,  E_HEADS, (o_bias) | WF_RESIDUAL }, \
    { W_NORM2,      "model.layers.%zu.post_attention_layernorm", "blk.%zu.ffn_norm",    E_ONE,   E_EMBD,  WF_NORM }, \
    { W_GATE,       "model.layers.%zu.mlp.gate_proj",            "blk.%zu.ffn_gate",    E_INNER, E_EMBD,  (mlp_bias) }, \
    { W_UP,         "model.layers.%zu.mlp.up_proj",              "blk.%zu.ffn_up",      E_INNER, E_EMBD,  (mlp_bias) }, \
    { W_DOWN,       "model.layers.%zu.mlp.down_proj",            "blk.%zu.ffn_down",    E_EMBD,  E_INNER, (mlp_bias) | WF_RESIDUAL }, \
}
static const struct weight_row llama_rows[] = ROWS(WF_MAYBE_BIAS, WF_MAYBE_BIAS, WF_MAYBE_BIAS, WF_ROPE_ROWS);
static const struct weight_row qwen2_rows[] = ROWS(WF_BIAS, 0, 0, 0);

static sc_status read_json(struct model_config *c, const json_t *config, const char *what, sc_error *err)
{
    double eps;
    const char *activation;
    c->is_tied = false;
    TRY(read_decoder_json(c, config, what, err));
    TRY(json_opt_real(&eps, config, "rms_norm_eps", 1e-6, 0, 1, what, err));
    TRY(json_opt_string(&activation, config, "hidden_act", "silu", what, err));
    TRY(json_opt_bool(&c->attention_bias, config, "attention_bias", false, what, err));
    TRY(json_opt_bool(&c->mlp_bias, config, "mlp_bias", false, what, err));
    if (strcmp(activation, "silu")) return FAIL(err, SC_E_UNSUPPORTED, "%s: hidden_act \"%s\" is not supported, expected silu", what, activation);
    c->eps = (float)eps;
    return SC_OK;
}

static sc_status qwen2_read_json(struct model_config *c, const json_t *config, const char *what, sc_error *err)
{
    bool use_window;
    TRY(read_json(c, config, what, err));
    c->attention_bias = true;
    c->mlp_bias = false;
    TRY(json_opt_bool(&use_window, config, "use_sliding_window", false, what, err));
    if (!use_window) return SC_OK;
    size_t from;
    TRY(opt_size(&c->window, config, "sliding_window", 4096, MAX_CONTEXT, what, err));
    TRY(opt_size(&from, config, "max_window_layers", 28, MAX_LAYERS, what, err));
    const json_t *types = json_object_get(config, "layer_types");
    if (json_is_array(types) && json_array_size(types) != c->layers)
        return FAIL(err, SC_E_FORMAT, "%s: layer_types has %zu entries for %zu layers", what, json_array_size(types), c->layers);
    c->is_windowed = mem_alloc(c->layers);
    for (size_t i = 0; i < c->layers; i++) {
        const char *type = json_string_value(json_array_get(types, i));
        char quoted[48];
        if (type && strcmp(type, "sliding_attention") && strcmp(type, "full_attention"))
            return FAIL(err, SC_E_UNSUPPORTED, "%s: entry %zu of layer_types is \"%s\", expected full_attention or sliding_attention", what, i,
                        error_quote(quoted, sizeof quoted, type, strlen(type)));
        c->is_windowed[i] = type ? !strcmp(type, "sliding_attention") : i >= from;
    }
    return SC_OK;
}

static sc_status read_gguf(struct model_config *c, const struct model_file *f, sc_error *err)
{
    double eps;
    TRY(read_decoder_gguf(c, f, err));
    TRY(gguf_arch_real(&eps, f, "attention.layer_norm_rms_epsilon", 1e-5, 0, 1, err));
    c->eps = (float)eps;
    return SC_OK;
}

static sc_status llama_read_gguf(struct model_config *c, const struct model_file *f, sc_error *err)
{
    TRY(read_gguf(c, f, err));
    c->rope.is_interleaved = true;
    return SC_OK;
}

/* Which layers have a window is a key of ours beside the usual one for its size; files of others have neither. */
static const char WINDOW_LAYERS[] = "qwen2.attention.sliding_window_pattern";

static sc_status qwen2_read_gguf(struct model_config *c, const struct model_file *f, sc_error *err)
{
    TRY(read_gguf(c, f, err));
    const struct gguf_value *layers = gguf_find(f, WINDOW_LAYERS);
    if (!layers) return SC_OK;
    if (layers->type != GGUF_ARRAY || layers->element != GGUF_BOOL || layers->count != c->layers)
        return FAIL(err, SC_E_FORMAT, "%s: %s does not have one truth value for each of the %zu layers", f->path, WINDOW_LAYERS, c->layers);
    TRY(gguf_opt_size(&c->window, f, "attention.sliding_window", 0, MAX_CONTEXT, err));
    c->is_windowed = mem_alloc(c->layers);
    for (size_t i = 0; i < c->layers; i++) c->is_windowed[i] = gguf_array_int(layers, i);
    return SC_OK;
}

static void write_json(const struct model_config *c, json_t *config)
{
    write_decoder_json(c, config);
    json_object_set_new(config, "rms_norm_eps", json_real((double)c->eps));
    json_object_set_new(config, "hidden_act", json_string("silu"));
}

static void llama_write_json(const struct model_config *c, json_t *config)
{
    write_json(c, config);
    json_object_set_new(config, "attention_bias", json_boolean(c->attention_bias));
    json_object_set_new(config, "mlp_bias", json_boolean(c->mlp_bias));
}

static void qwen2_write_json(const struct model_config *c, json_t *config)
{
    write_json(c, config);
    json_object_set_new(config, "use_sliding_window", json_boolean(c->window > 0));
    if (!c->window) return;
    json_object_set_new(config, "sliding_window", json_integer((json_int_t)c->window));
    json_t *types = json_array();
    for (size_t i = 0; i < c->layers; i++)
        json_array_append_new(types, json_string(c->is_windowed[i] ? "sliding_attention" : "full_attention"));
    json_object_set_new(config, "max_window_layers", json_integer(0));
    json_object_set_new(config, "layer_types", types);
}

static void write_gguf(const struct model_config *c, struct gguf_writer *w)
{
    write_decoder_gguf(c, w);
    gguf_put_arch_float32(w, c, "attention.layer_norm_rms_epsilon", (double)c->eps);
}

static void qwen2_write_gguf(const struct model_config *c, struct gguf_writer *w)
{
    write_gguf(c, w);
    if (!c->window || !c->is_windowed) return;
    struct gguf_value layers = { .key = WINDOW_LAYERS, .type = GGUF_ARRAY, .element = GGUF_BOOL, .count = c->layers, .raw = (const uint8_t *)c->is_windowed };
    gguf_put_arch_uint32(w, c, "attention.sliding_window", c->window);
    gguf_put_value(w, &layers);
}

/* x, result: (R, embd) */
static struct tensor *block(struct run *r, const struct block *b, struct tensor *x)
{
    const struct model_config *c = b->config;
    const struct layer *l = b->layer;
    const size_t window = !c->is_windowed || c->is_windowed[b->index] ? c->window : 0;
    const struct attention a = { b->index, c->heads, c->kv_heads, c->head_dim, window, c->attention_scale, 0 };
    struct tensor *h = rms_norm(r, x, &l->norm1), *qkv[3], *inner[2];
    linear_each(r, qkv, h, (const struct weight *[]){ &l->q, &l->k, &l->v }, 3);
    struct tensor *q = rope(r, qkv[0], c->head_dim, &c->rope);
    struct tensor *k = rope(r, qkv[1], c->head_dim, &c->rope);
    x = linear_residual(r, x, attention(r, q, k, qkv[2], &a), &l->o, b->index, DROP_AFTER_ATTENTION);
    linear_each(r, inner, rms_norm(r, x, &l->norm2), (const struct weight *[]){ &l->gate, &l->up }, 2);
    return linear_residual(r, x, silu_gate(r, inner[0], inner[1]), &l->down, b->index, DROP_AFTER_MLP);
}

const struct arch arch_llama = {
    "llama", "llama", "LlamaForCausalLM", llama_rows, sizeof llama_rows / sizeof *llama_rows,
    read_json, llama_read_gguf, llama_write_json, write_gguf, block,
};
const struct arch arch_qwen2 = {
    "qwen2", "qwen2", "Qwen2ForCausalLM", qwen2_rows, sizeof qwen2_rows / sizeof *qwen2_rows,
    qwen2_read_json, qwen2_read_gguf, qwen2_write_json, qwen2_write_gguf, block,
};
