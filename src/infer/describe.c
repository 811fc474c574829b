/* describe.c - what `show` tells of a model: read from headers and metadata; of the weights, which must all be there in
 * the right shapes, only norms and biases are touched. */
#include "infer/infer.h"

#include <string.h>

static void put_size(json_t *o, const char *key, size_t n) { json_object_set_new(o, key, json_integer((json_int_t)n)); }

static void put_text(json_t *o, const char *key, const char *text, size_t len)
{
    struct buf b;
    buf_init(&b, 0);
    utf8_repair(&b, text, len);
    json_object_set_new(o, key, json_stringn(b.data ? b.data : "", b.len));
    buf_release(&b);
}

static void put_sizes(json_t *o, const struct model_config *c)
{
    put_size(o, "context", c->context);
    put_size(o, "vocab", c->vocab);
    put_size(o, "layers", c->layers);
    put_size(o, "embd", c->embd);
    put_size(o, "inner", c->inner);
    put_size(o, "heads", c->heads);
    put_size(o, "kv_heads", c->kv_heads);
    put_size(o, "head_dim", c->head_dim);
    json_object_set_new(o, "tied_head", json_boolean(c->is_tied));
    json_object_set_new(o, "positions", json_string(c->rope.dims ? "rotary" : "learned"));
    if (c->rope.dims) json_object_set_new(o, "rope_theta", json_real(c->rope_theta));
    const char *scaling = json_string_value(json_object_get(c->rope_scaling, "rope_type"));
    if (!scaling) scaling = json_string_value(json_object_get(c->rope_scaling, "type"));
    if (scaling && strcmp(scaling, "default")) json_object_set(o, "rope_scaling", c->rope_scaling);
    if (!c->window) return;
    size_t windowed = 0;
    for (size_t i = 0; i < c->layers; i++) windowed += !c->is_windowed || c->is_windowed[i];
    put_size(o, "sliding_window", c->window);
    put_size(o, "sliding_window_layers", windowed);
}

/* Elements and bytes of the stored tensors, by type. A stored copy of a tied head is not counted. */
static void put_tensors(json_t *o, const struct model_file *f, bool is_tied)
{
    size_t parameters = 0, bytes = 0, by_type[DTYPE_COUNT] = { 0 };
    for (size_t i = 0; i < f->n_tensors; i++) {
        const struct file_tensor *t = &f->tensors[i];
        size_t n = 1;
        for (int d = 0; d < t->n_dims; d++) n *= t->dims[d];
        bytes += t->bytes;
        if (!dtypes[t->dtype].to_f32 || (is_tied && !strcmp(t->name, "lm_head.weight"))) continue;
        parameters += n;
        by_type[t->dtype] += n;
    }
    json_t *types = json_object();
    for (int t = 0; t < DTYPE_COUNT; t++)
        if (by_type[t]) put_size(types, dtypes[t].name, by_type[t]);
    put_size(o, "parameters", parameters);
    json_object_set_new(o, "dtypes", types);
    put_size(o, "bytes", bytes);
}

static const struct file_tensor *find_once(const struct model_file *f, const struct arch *arch, enum role role)
{
    char name[96];
    for (size_t i = 0; i < arch->n_rows; i++) {
        if (arch->rows[i].role != role) continue;
        weight_name(name, &arch->rows[i], f->kind, 0, false);
        const struct file_tensor *t = model_file_find(f, name);
        const char *dot = strchr(name, '.');
        return t || f->kind == MODEL_GGUF || !dot ? t : model_file_find(f, dot + 1);   /* base classes lack the first part */
    }
    return NULL;
}

/* What bounds the speed: bytes that a decode step reads, and parameters that every token of a prompt is multiplied
 * with. Tables are only looked up; the head is needed once a prompt. */
static void put_work(json_t *o, const struct model_file *f, const struct model_config *c)
{
    static const enum role outside[] = { W_EMBED, W_POSITION, W_HEAD };
    size_t bytes = 0, parameters = (size_t)json_integer_value(json_object_get(o, "parameters"));
    for (size_t i = 0; i < f->n_tensors; i++) bytes += f->tensors[i].bytes;
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        const struct file_tensor *t = find_once(f, c->arch, outside[i]);
        bool is_copy = outside[i] == W_HEAD && c->is_tied, is_read = outside[i] == W_HEAD || (outside[i] == W_EMBED && c->is_tied);
        if (!t) continue;
        if (!is_copy) parameters -= (size_t)(t->dims[0] * (t->n_dims > 1 ? t->dims[1] : 1));
        if (is_copy || !is_read) bytes -= t->bytes;
    }
    put_size(o, "block_parameters", parameters);
    put_size(o, "decode_bytes", bytes);
}

static void put_special_tokens(json_t *o, const struct tokenizer *t)
{
    static const struct { const char *name; enum token_role role; } roles[] = {
        { "bos", TOKEN_BOS }, { "eos", TOKEN_EOS }, { "unk", TOKEN_UNK }, { "pad", TOKEN_PAD }, { "eot", TOKEN_EOT },
        { "fim_prefix", TOKEN_FIM_PREFIX }, { "fim_suffix", TOKEN_FIM_SUFFIX }, { "fim_middle", TOKEN_FIM_MIDDLE },
    };
    json_t *special = json_object();
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        int32_t id = tokenizer_role(t, roles[i].role);
        if (id < 0) continue;
        struct buf b;
        buf_init(&b, 0);
        tokenizer_decode(t, &b, &id, 1, false);
        json_t *pair = json_object();
        put_size(pair, "id", (size_t)id);
        put_text(pair, "text", b.data ? b.data : "", b.len);
        json_object_set_new(special, roles[i].name, pair);
        buf_release(&b);
    }
    json_object_set_new(o, "special_tokens", special);
    json_object_set_new(o, "pre_tokenizer", json_string(tokenizer_pre_name(t)));
    put_size(o, "tokens", tokenizer_vocab(t));
}

/* "license: x" in the front matter of a model card. */
static void put_card_licence(json_t *o, const char *directory)
{
    char *path = path_join(directory, "README.md");
    sc_text card = { 0 };
    if (path_exists(path) && file_read(&card, path, 1 << 20, NULL) == SC_OK && !strncmp(card.data, "---", 3)) {
        const char *end = strstr(card.data + 3, "\n---"), *at = strstr(card.data, "\nlicense:");
        if (at && end && at < end) {
            at += strlen("\nlicense:");
            at += strspn(at, " \t");
            put_text(o, "licence", at, strcspn(at, "\r\n"));
        }
    }
    sc_text_free(&card);
    mem_free(path);
}

/* Where the store got the model from: manifest.json beside it. */
static void put_source(json_t *o, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory = path_is_directory(path) ? mem_strdup(path) : slash ? mem_strndup(path, (size_t)(slash - path)) : mem_strdup(".");
    char *manifest = path_join(directory, "manifest.json");
    json_t *m = NULL;
    if (path_exists(manifest) && json_read_file(&m, manifest, 1 << 20, NULL) == SC_OK) {
        json_t *source = json_object_get(m, "source");
        if (json_is_string(source)) json_object_set(o, "source", source);
    }
    json_decref(m);
    mem_free(manifest);
    mem_free(directory);
}

static void put_gguf_text(json_t *o, const char *name, const struct model_file *f, const char *key)
{
    struct gguf_string s;
    if (gguf_opt_string(&s, f, key, NULL) == SC_OK && s.text) put_text(o, name, s.text, s.len);
}

static bool has_tokenizer(const struct model_file *f)
{
    char *path = path_join(f->path, "tokenizer.json");
    bool has = f->kind == MODEL_GGUF ? gguf_find(f, "tokenizer.ggml.model") != NULL : path_exists(path);
    mem_free(path);
    return has;
}

/* A tokenizer that cannot be read must not hide the rest: its message stands in its place. */
static void put_tokenizer(json_t *o, const struct model_file *f)
{
    struct tokenizer *t = NULL;
    sc_error err = { 0 };
    if (!has_tokenizer(f)) { json_object_set_new(o, "tokenizer", json_null()); return; }
    sc_status status = f->kind == MODEL_GGUF ? tokenizer_open_gguf(&t, f, &err) : tokenizer_open(&t, f->path, &err);
    if (status == SC_OK) put_special_tokens(o, t);
    else put_text(o, "tokenizer", err.message, strlen(err.message));
    tokenizer_close(t);
}

sc_status sc_model_describe(sc_text *out, const char *path, sc_error *err)
{
    struct model_file *f = NULL;
    struct model m = { 0 };
    const struct model_config *c = &m.config;
    json_t *o = NULL;
    sc_status status = SC_OK;
    TRY_DONE(model_file_open(&f, path, true, err));
    TRY_DONE(f->n_tensors ? model_bind(&m, f, err) : model_config_read(&m.config, f, err));
    o = json_object();
    put_text(o, "path", path, strlen(path));
    json_object_set_new(o, "format", json_string(f->kind == MODEL_GGUF ? "gguf" : "safetensors"));
    json_object_set_new(o, "arch", json_string(c->arch->name));
    put_gguf_text(o, "name", f, "general.name");
    put_tensors(o, f, c->is_tied);
    put_work(o, f, c);
    put_sizes(o, c);
    put_tokenizer(o, f);
    if (f->chat_template) put_text(o, "template", f->chat_template, strlen(f->chat_template));
    else json_object_set_new(o, "template", f->dialogue_template ? json_string("dialogue_template.json") : json_null());
    put_gguf_text(o, "licence", f, "general.license");
    if (f->kind == MODEL_HF) put_card_licence(o, f->path);
    put_source(o, path);
    TRY_DONE(json_write(out, o, false));
done:
    json_decref(o);
    model_release(&m);
    model_file_close(f);
    return status;
}
