/* config.c - from a config.json or GGUF keys to struct model_config: finds the architecture's row, lets it read, and
 * checks what all architectures must hold. */
#include "model/model_internal.h"

#include <string.h>

sc_status opt_size(size_t *out, const json_t *config, const char *key, size_t fallback, size_t max, const char *what, sc_error *err)
{
    int64_t n;
    TRY(json_opt_int(&n, config, key, (int64_t)fallback, 0, (int64_t)max, what, err));
    *out = (size_t)n;
    return SC_OK;
}

sc_status need_size(size_t *out, const json_t *config, const char *key, size_t max, const char *what, sc_error *err)
{
    int64_t n;
    TRY(json_need_int(&n, config, key, 1, (int64_t)max, what, err));
    *out = (size_t)n;
    return SC_OK;
}

static void arch_key(char out[128], const struct model_file *f, const char *key)
{
    struct gguf_string arch = { 0 };
    struct buf b;
    buf_init(&b, 127);
    if (gguf_opt_string(&arch, f, "general.architecture", NULL) == SC_OK && arch.text) buf_append(&b, arch.text, arch.len);
    buf_printf(&b, ".%s", key);
    memcpy(out, b.data, b.len + 1);
    buf_release(&b);
}

sc_status gguf_need_size(size_t *out, const struct model_file *f, const char *key, size_t max, sc_error *err)
{
    char name[128];
    arch_key(name, f, key);
    int64_t n;
    TRY(gguf_need_int(&n, f, name, 1, (int64_t)max, err));
    *out = (size_t)n;
    return SC_OK;
}

sc_status gguf_opt_size(size_t *out, const struct model_file *f, const char *key, size_t fallback, size_t max, sc_error *err)
{
    char name[128];
    arch_key(name, f, key);
    int64_t n;
    TRY(gguf_opt_int(&n, f, name, (int64_t)fallback, 0, (int64_t)max, err));
    *out = (size_t)n;
    return SC_OK;
}

sc_status gguf_arch_real(double *out, const struct model_file *f, const char *key, double fallback, double min, double max, sc_error *err)
{
    char name[128];
    arch_key(name, f, key);
    TRY(gguf_opt_real(out, f, name, fallback, err));
    if (*out >= min && *out <= max) return SC_OK;
    return FAIL(err, SC_E_FORMAT, "%s: key \"%s\" is %g, expected %g to %g", f->path, name, *out, min, max);
}

void gguf_put_arch_uint32(struct gguf_writer *w, const struct model_config *c, const char *key, size_t v)
{
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "%s.%s", c->arch->gguf, key);
    gguf_put_uint32(w, b.data, (uint32_t)v);
    buf_release(&b);
}

void gguf_put_arch_float32(struct gguf_writer *w, const struct model_config *c, const char *key, double v)
{
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "%s.%s", c->arch->gguf, key);
    gguf_put_float32(w, b.data, (float)v);
    buf_release(&b);
}

static const struct { const char *name; enum gelu_form form; } gelu_forms[] = {
    { "gelu", GELU_ERF }, { "gelu_python", GELU_ERF }, { "gelu_pytorch_tanh", GELU_TANH }, { "gelu_new", GELU_TANH }, { "gelu_fast", GELU_TANH },
};

sc_status gelu_by_name(enum gelu_form *out, const char *name, const char *what, sc_error *err)
{
    for (size_t i = 0; i < sizeof gelu_forms / sizeof *gelu_forms; i++)
        if (!strcmp(gelu_forms[i].name, name)) { *out = gelu_forms[i].form; return SC_OK; }
    return FAIL(err, SC_E_UNSUPPORTED, "%s: activation function \"%s\" is not supported for this architecture; known are gelu and gelu_pytorch_tanh", what, name);
}

const char *gelu_name(enum gelu_form form) { return form == GELU_ERF ? "gelu" : "gelu_pytorch_tanh"; }

sc_status gguf_gelu(enum gelu_form *out, const struct model_file *f, sc_error *err)
{
    char key[128];
    struct gguf_string form;
    *out = GELU_TANH;
    arch_key(key, f, "activation_function");
    TRY(gguf_opt_string(&form, f, key, err));
    if (!form.text) return SC_OK;
    char *name = mem_strndup(form.text, form.len);
    sc_status status = gelu_by_name(out, name, f->path, err);
    mem_free(name);
    return status;
}

void gguf_put_gelu(struct gguf_writer *w, const struct model_config *c)
{
    struct buf key;
    buf_init(&key, 0);
    buf_printf(&key, "%s.activation_function", c->arch->gguf);
    gguf_put_string(w, key.data, gelu_name(c->gelu), strlen(gelu_name(c->gelu)));
    buf_release(&key);
}

size_t head_dim_of(size_t embd, size_t heads) { return embd % heads ? 0 : embd / heads; }

size_t extent_of(const struct model_config *c, enum extent e)
{
    switch (e) {
    case E_VOCAB: return c->vocab;
    case E_CONTEXT: return c->context;
    case E_EMBD: return c->embd;
    case E_HEADS: return c->heads * c->head_dim;
    case E_KV: return c->kv_heads * c->head_dim;
    case E_QKV: return (c->heads + 2 * c->kv_heads) * c->head_dim;
    case E_INNER: return c->inner;
    default: return 1;
    }
}

void weight_name(char out[96], const struct weight_row *row, enum model_kind kind, size_t layer, bool is_bias)
{
    const char *pattern = kind == MODEL_GGUF ? row->gguf : row->hub, *at = strstr(pattern, "%zu");
    struct buf b;
    buf_init(&b, 95);
    buf_append(&b, pattern, at ? (size_t)(at - pattern) : strlen(pattern));
    if (at) buf_printf(&b, "%zu%s", layer, at + 3);
    buf_puts(&b, is_bias ? ".bias" : ".weight");
    memcpy(out, b.data, b.len + 1);
    buf_release(&b);
}

static sc_status check_config(const struct model_config *c, const char *what, sc_error *err)
{
    if (!c->vocab || !c->context || !c->inner)
        return FAIL(err, SC_E_FORMAT, "%s: a vocabulary of %zu, a context of %zu and a feed-forward width of %zu, expected at least 1 each", what, c->vocab, c->context, c->inner);
    if (!c->head_dim && c->heads && c->embd % c->heads)
        return FAIL(err, SC_E_FORMAT, "%s: the width %zu is not a multiple of %zu attention heads, and no head dimension is given", what, c->embd, c->heads);
    if (!c->heads || !c->kv_heads || c->heads % c->kv_heads)
        return FAIL(err, SC_E_FORMAT, "%s: %zu attention heads cannot share %zu key/value heads, expected a divisor", what, c->heads, c->kv_heads);
    if (!c->head_dim || c->head_dim > 4096)
        return FAIL(err, SC_E_FORMAT, "%s: head dimension is %zu, expected 1 to 4096", what, c->head_dim);
    if (c->rope.dims > c->head_dim)
        return FAIL(err, SC_E_FORMAT, "%s: rotary dimensions are %zu, more than the head dimension %zu", what, c->rope.dims, c->head_dim);
    for (size_t i = 0; i < c->rope.dims / 2; i++)
        if (!(c->rope.frequency[i] > 0 && c->rope.frequency[i] < 1e9))
            return FAIL(err, SC_E_FORMAT, "%s: rotary frequency %zu is %g, expected a positive number", what, i, c->rope.frequency[i]);
    return SC_OK;
}

static void list_archs(struct buf *b)
{
    for (size_t i = 0; archs[i]; i++) buf_printf(b, "%s%s", i ? ", " : "", archs[i]->name);
}

static sc_status unknown_arch(const char *name, const char *what, sc_error *err)
{
    struct buf b;
    char quoted[64];
    buf_init(&b, 0);
    list_archs(&b);
    sc_status status = FAIL(err, SC_E_UNSUPPORTED, "%s: the architecture \"%s\" is not supported; supported are %s", what,
                            error_quote(quoted, sizeof quoted, name, strlen(name)), b.data);
    buf_release(&b);
    return status;
}

sc_status model_config_from_json(struct model_config *out, const json_t *config, const char *what, sc_error *err)
{
    *out = (struct model_config){ .eps = 1e-5f, .is_tied = true, .init_residual_scale = 1 };
    if (!json_is_object(config)) return FAIL(err, SC_E_FORMAT, "%s: expected a JSON object", what);
    const char *type;
    TRY(json_opt_string(&type, config, "model_type", "", what, err));
    for (size_t i = 0; archs[i] && !out->arch; i++)
        if (!strcmp(archs[i]->name, type)) out->arch = archs[i];
    if (!out->arch) return unknown_arch(type, what, err);
    sc_status status = json_opt_real(&out->initializer_range, config, "initializer_range", 0.02, 0, 10, what, err);
    if (status == SC_OK) status = out->arch->read_json(out, config, what, err);
    if (status == SC_OK && out->attention_scale == 0) out->attention_scale = (float)(1 / __builtin_sqrt((double)out->head_dim));
    if (status == SC_OK) status = check_config(out, what, err);
    if (status != SC_OK) model_config_release(out);
    return status;
}

static sc_status read_gguf(struct model_config *c, const struct model_file *f, sc_error *err)
{
    struct gguf_string name;
    TRY(gguf_opt_string(&name, f, "general.architecture", err));
    if (!name.text) return FAIL(err, SC_E_FORMAT, "%s: the key general.architecture is missing", f->path);
    for (size_t i = 0; archs[i] && !c->arch; i++)
        if (strlen(archs[i]->gguf) == name.len && !memcmp(archs[i]->gguf, name.text, name.len)) c->arch = archs[i];
    if (!c->arch) {
        char text[64];
        return unknown_arch(error_quote(text, sizeof text, name.text, name.len), f->path, err);
    }
    TRY(c->arch->read_gguf(c, f, err));
    const struct file_tensor *embed = model_file_find(f, "token_embd.weight");
    if (!embed || embed->n_dims != 2) return FAIL(err, SC_E_FORMAT, "%s: the tensor token_embd.weight is missing or not a matrix", f->path);
    c->vocab = embed->dims[0];
    c->is_tied = !model_file_find(f, "output.weight");
    return SC_OK;
}

sc_status model_config_read(struct model_config *out, const struct model_file *f, sc_error *err)
{
    if (f->kind == MODEL_HF) {
        sc_status status = model_config_from_json(out, f->config, "config.json", err);
        return status == SC_OK ? SC_OK : error_prefix(err, status, "%s", f->path);
    }
    *out = (struct model_config){ .eps = 1e-5f, .init_residual_scale = 1, .initializer_range = 0.02 };
    sc_status status = read_gguf(out, f, err);
    if (status == SC_OK) out->attention_scale = (float)(1 / __builtin_sqrt((double)out->head_dim));
    if (status == SC_OK) status = check_config(out, f->path, err);
    if (status != SC_OK) model_config_release(out);
    return status;
}

void model_config_release(struct model_config *c)
{
    mem_free((void *)c->rope.frequency);
    c->rope = (struct rope){ 0 };
    mem_free(c->is_windowed);
    c->is_windowed = NULL;
    json_decref(c->rope_scaling);
    c->rope_scaling = NULL;
}
