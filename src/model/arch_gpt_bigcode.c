/* arch_gpt_bigcode.c - StarCoder, StarCoderBase, StarChat, SantaCoder's successor: GPT-2 blocks with learned positions,
 * fused q, k, v and one key/value head for all query heads (multi-query) or one each. Li et al. 2023, "StarCoder: may
 * the source be with you"; transformers GPTBigCode; GGUF architecture "starcoder". See MODELS.md. */
#include "model/model_internal.h"

static const struct weight_row rows[] = {
    { W_EMBED,      "transformer.wte",               "token_embd",         E_VOCAB,   E_EMBD,  0 },
    { W_POSITION,   "transformer.wpe",               "position_embd",      E_CONTEXT, E_EMBD,  0 },
    { W_FINAL_NORM, "transformer.ln_f",              "output_norm",        E_ONE,     E_EMBD,  WF_NORM | WF_BIAS },
    { W_HEAD,       "lm_head",                       "output",             E_VOCAB,   E_EMBD,  WF_OPTIONAL },
    { W_NORM1,      "transformer.h.%zu.ln_1",        "blk.%zu.attn_norm",  E_ONE,     E_EMBD,  WF_NORM | WF_BIAS },
    { W_QKV,        "transformer.h.%zu.attn.c_attn", "blk.%zu.attn_qkv",   E_QKV,     E_EMBD,  WF_BIAS | WF_QKV_ROWS },
    { W_O,          "transformer.h.%zu.attn.c_proj", "blk.%zu.attn_output", E_EMBD,   E_HEADS, WF_BIAS | WF_RESIDUAL },
    { W_NORM2,      "transformer.h.%zu.ln_2",        "blk.%zu.ffn_norm",   E_ONE,     E_EMBD,  WF_NORM | WF_BIAS },
    { W_UP,         "transformer.h.%zu.mlp.c_fc",    "blk.%zu.ffn_up",     E_INNER,   E_EMBD,  WF_BIAS },
    { W_DOWN,       "transformer.h.%zu.mlp.c_proj",  "blk.%zu.ffn_down",   E_EMBD,    E_INNER, WF_BIAS | WF_RESIDUAL },
};

static sc_status read_json(struct model_config *c, const json_t *config, const char *what, sc_error *err)
{
    bool multi_query, scale_weights;
    double eps;
    const char *activation;
    TRY(need_size(&c->vocab, config, "vocab_size", 1 << 24, what, err));
    TRY(need_size(&c->embd, config, "n_embd", MAX_DIM, what, err));
    TRY(need_size(&c->layers, config, "n_layer", MAX_LAYERS, what, err));
    TRY(need_size(&c->heads, config, "n_head", MAX_DIM, what, err));
    TRY(need_size(&c->context, config, "n_positions", MAX_CONTEXT, what, err));
    TRY(opt_size(&c->inner, config, "n_inner", 4 * c->embd, 4 * MAX_DIM, what, err));
    TRY(json_opt_bool(&multi_query, config, "multi_query", true, what, err));
    TRY(json_opt_bool(&scale_weights, config, "scale_attn_weights", true, what, err));
    TRY(json_opt_bool(&c->is_tied, config, "tie_word_embeddings", true, what, err));
    TRY(json_opt_real(&eps, config, "layer_norm_epsilon", 1e-5, 0, 1, what, err));
    TRY(json_opt_string(&activation, config, "activation_function", "gelu_pytorch_tanh", what, err));
    TRY(gelu_by_name(&c->gelu, activation, what, err));
    c->eps = (float)eps;
    c->head_dim = head_dim_of(c->embd, c->heads);
    c->kv_heads = multi_query ? 1 : c->heads;
    c->qkv_interleaved = !multi_query;
    if (!scale_weights) c->attention_scale = 1;
    c->init_residual_scale = 1 / __builtin_sqrt(2.0 * (double)c->layers);
    return SC_OK;
}

static sc_status read_gguf(struct model_config *c, const struct model_file *f, sc_error *err)
{
    double eps;
    TRY(gguf_need_size(&c->embd, f, "embedding_length", MAX_DIM, err));
    TRY(gguf_need_size(&c->layers, f, "block_count", MAX_LAYERS, err));
    TRY(gguf_need_size(&c->heads, f, "attention.head_count", MAX_DIM, err));
    TRY(gguf_opt_size(&c->kv_heads, f, "attention.head_count_kv", 1, MAX_DIM, err));
    TRY(gguf_need_size(&c->context, f, "context_length", MAX_CONTEXT, err));
    TRY(gguf_opt_size(&c->inner, f, "feed_forward_length", 4 * c->embd, 4 * MAX_DIM, err));
    TRY(gguf_arch_real(&eps, f, "attention.layer_norm_epsilon", 1e-5, 0, 1, err));
    TRY(gguf_gelu(&c->gelu, f, err));
    c->eps = (float)eps;
    c->head_dim = head_dim_of(c->embd, c->heads);
    return SC_OK;
}

static void write_json(const struct model_config *c, json_t *config)
{
    json_object_set_new(config, "vocab_size", json_integer((json_int_t)c->vocab));
    json_object_set_new(config, "n_embd", json_integer((json_int_t)c->embd));
    json_object_set_new(config, "n_layer", json_integer((json_int_t)c->layers));
    json_object_set_new(config, "n_head", json_integer((json_int_t)c->heads));
    json_object_set_new(config, "n_inner", json_integer((json_int_t)c->inner));
    json_object_set_new(config, "n_positions", json_integer((json_int_t)c->context));
    json_object_set_new(config, "multi_query", json_boolean(c->kv_heads == 1));
    json_object_set_new(config, "layer_norm_epsilon", json_real((double)c->eps));
    json_object_set_new(config, "activation_function", json_string(gelu_name(c->gelu)));
    json_object_set_new(config, "scale_attn_weights", json_true());
    json_object_set_new(config, "tie_word_embeddings", json_boolean(c->is_tied));
}

static void write_gguf(const struct model_config *c, struct gguf_writer *w)
{
    gguf_put_arch_uint32(w, c, "context_length", c->context);
    gguf_put_arch_uint32(w, c, "embedding_length", c->embd);
    gguf_put_arch_uint32(w, c, "block_count", c->layers);
    gguf_put_arch_uint32(w, c, "feed_forward_length", c->inner);
    gguf_put_arch_uint32(w, c, "attention.head_count", c->heads);
    gguf_put_arch_uint32(w, c, "attention.head_count_kv", c->kv_heads);
    gguf_put_arch_float32(w, c, "attention.layer_norm_epsilon", (double)c->eps);
    gguf_put_gelu(w, c);
}

/* Splits the fused rows (R, q + k + v): three blocks, or one of each for every head in turn. */
static void split_qkv(struct run *r, const struct model_config *c, const struct tensor *qkv, struct tensor *out[3])
{
    size_t d = c->head_dim, q = c->heads * d, kv = c->kv_heads * d;
    struct columns blocks[3] = { { 0, q, 0, 0 }, { q, kv, 0, 0 }, { q + kv, kv, 0, 0 } };
    struct columns by_head[3] = { { 0, q, d, 3 * d }, { d, q, d, 3 * d }, { 2 * d, q, d, 3 * d } };
    for (int i = 0; i < 3; i++) out[i] = select_columns(r, qkv, c->qkv_interleaved ? &by_head[i] : &blocks[i]);
}

/* x, result: (R, embd) */
static struct tensor *block(struct run *r, const struct block *b, struct tensor *x)
{
    const struct model_config *c = b->config;
    const struct layer *l = b->layer;
    const struct attention a = { b->index, c->heads, c->kv_heads, c->head_dim, 0, c->attention_scale, 0 };
    struct tensor *qkv[3];
    split_qkv(r, c, linear(r, layer_norm(r, x, &l->norm1), &l->qkv), qkv);
    x = linear_residual(r, x, attention(r, qkv[0], qkv[1], qkv[2], &a), &l->o, b->index, DROP_AFTER_ATTENTION);
    struct tensor *h = gelu(r, linear(r, layer_norm(r, x, &l->norm2), &l->up), c->gelu);
    return linear_residual(r, x, h, &l->down, b->index, DROP_AFTER_MLP);
}

const struct arch arch_gpt_bigcode = {
    "gpt_bigcode", "starcoder", "GPTBigCodeForCausalLM", rows, sizeof rows / sizeof *rows,
    read_json, read_gguf, write_json, write_gguf, block,
};
