/* arch_starcoder2.c - StarCoder2: rotary positions, grouped-query attention with a sliding window, layer norms and a
 * two-matrix feed-forward, all with biases. Lozhkov et al. 2024, "StarCoder 2 and The Stack v2"; GGUF "starcoder2". */
#include "model/model_internal.h"

#include <string.h>

static const struct weight_row rows[] = {
    { W_EMBED,      "model.embed_tokens",                        "token_embd",          E_VOCAB, E_EMBD,  0 },
    { W_FINAL_NORM, "model.norm",                                "output_norm",         E_ONE,   E_EMBD,  WF_NORM | WF_BIAS },
    { W_HEAD,       "lm_head",                                   "output",              E_VOCAB, E_EMBD,  WF_OPTIONAL },
    { W_NORM1,      "model.layers.%zu.input_layernorm",          "blk.%zu.attn_norm",   E_ONE,   E_EMBD,  WF_NORM | WF_BIAS },
    { W_Q,          "model.layers.%zu.self_attn.q_proj",         "blk.%zu.attn_q",      E_HEADS, E_EMBD,  WF_MAYBE_BIAS },
    { W_K,          "model.layers.%zu.self_attn.k_proj",         "blk.%zu.attn_k",      E_KV,    E_EMBD,  WF_MAYBE_BIAS },
    { W_V,          "model.layers.%zu.self_attn.v_proj",         "blk.%zu.attn_v",      E_KV,    E_EMBD,  WF_MAYBE_BIAS },
    { W_O,          "model.layers.%zu.self_attn.o_proj",         "blk.%zu.attn_output", E_EMBD,  E_HEADS, WF_MAYBE_BIAS | WF_RESIDUAL },
    { W_NORM2,      "model.layers.%zu.post_attention_layernorm", "blk.%zu.ffn_norm",    E_ONE,   E_EMBD,  WF_NORM | WF_BIAS },
    { W_UP,         "model.layers.%zu.mlp.c_fc",                 "blk.%zu.ffn_up",      E_INNER, E_EMBD,  WF_MAYBE_BIAS },
    { W_DOWN,       "model.layers.%zu.mlp.c_proj",               "blk.%zu.ffn_down",    E_EMBD,  E_INNER, WF_MAYBE_BIAS | WF_RESIDUAL },
};

static sc_status read_json(struct model_config *c, const json_t *config, const char *what, sc_error *err)
{
    double eps;
    const char *activation, *norm, *mlp;
    TRY(read_decoder_json(c, config, what, err));
    TRY(json_opt_bool(&c->attention_bias, config, "use_bias", true, what, err));
    c->mlp_bias = c->attention_bias;
    TRY(json_opt_real(&eps, config, "norm_epsilon", 1e-5, 0, 1, what, err));
    TRY(json_opt_string(&activation, config, "hidden_act", "gelu_pytorch_tanh", what, err));
    TRY(gelu_by_name(&c->gelu, activation, what, err));
    TRY(opt_size(&c->window, config, "sliding_window", 0, MAX_CONTEXT, what, err));
    TRY(json_opt_string(&norm, config, "norm_type", "layer_norm", what, err));
    TRY(json_opt_string(&mlp, config, "mlp_type", "default", what, err));
    if (strcmp(norm, "layer_norm") || strcmp(mlp, "default"))
        return FAIL(err, SC_E_UNSUPPORTED, "%s: norm_type \"%s\" with mlp_type \"%s\" is not supported, expected layer_norm and default", what, norm, mlp);
    c->eps = (float)eps;
    return SC_OK;
}

static sc_status read_gguf(struct model_config *c, const struct model_file *f, sc_error *err)
{
    double eps;
    TRY(read_decoder_gguf(c, f, err));
    TRY(gguf_arch_real(&eps, f, "attention.layer_norm_epsilon", 1e-5, 0, 1, err));
    TRY(gguf_opt_size(&c->window, f, "attention.sliding_window", 0, MAX_CONTEXT, err));
    c->eps = (float)eps;
    return gguf_gelu(&c->gelu, f, err);
}

static void write_json(const struct model_config *c, json_t *config)
{
    write_decoder_json(c, config);
    json_object_set_new(config, "norm_epsilon", json_real((double)c->eps));
    json_object_set_new(config, "hidden_act", json_string(gelu_name(c->gelu)));
    json_object_set_new(config, "use_bias", json_boolean(c->attention_bias || c->mlp_bias));
    json_object_set_new(config, "sliding_window", c->window ? json_integer((json_int_t)c->window) : json_null());
}

static void write_gguf(const struct model_config *c, struct gguf_writer *w)
{
    write_decoder_gguf(c, w);
    gguf_put_arch_float32(w, c, "attention.layer_norm_epsilon", (double)c->eps);
    if (c->window) gguf_put_arch_uint32(w, c, "attention.sliding_window", c->window);
    gguf_put_gelu(w, c);
}

/* x, result: (R, embd) */
static struct tensor *block(struct run *r, const struct block *b, struct tensor *x)
{
    const struct model_config *c = b->config;
    const struct layer *l = b->layer;
    const struct attention a = { b->index, c->heads, c->kv_heads, c->head_dim, c->window, c->attention_scale, 0 };
    struct tensor *h = layer_norm(r, x, &l->norm1), *qkv[3];
    linear_each(r, qkv, h, (const struct weight *[]){ &l->q, &l->k, &l->v }, 3);
    struct tensor *q = rope(r, qkv[0], c->head_dim, &c->rope);
    struct tensor *k = rope(r, qkv[1], c->head_dim, &c->rope);
    x = linear_residual(r, x, attention(r, q, k, qkv[2], &a), &l->o, b->index, DROP_AFTER_ATTENTION);
    h = gelu(r, linear(r, layer_norm(r, x, &l->norm2), &l->up), c->gelu);
    return linear_residual(r, x, h, &l->down, b->index, DROP_AFTER_MLP);
}

const struct arch arch_starcoder2 = {
    "starcoder2", "starcoder2", "Starcoder2ForCausalLM", rows, sizeof rows / sizeof *rows,
    read_json, read_gguf, write_json, write_gguf, block,
};
