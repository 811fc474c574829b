/* convert_tokenizer.c - tokenizer.json rebuilt from the keys of a GGUF file.
 *
 * GGUF names the pre-tokenizer ("starcoder", "qwen2" ...); the rules behind each name are the text layer's. A file that
 * this program wrote carries its own tokenizer.json without vocabulary, which then is filled again. */
#include "model/convert_internal.h"
#include "text/text.h"

#include <string.h>

static sc_status settings_build(json_t **out, const struct model_file *in, sc_error *err)
{
    struct gguf_string pre;
    struct pre_json j;
    char quoted[64];
    TRY(gguf_opt_string(&pre, in, "tokenizer.ggml.pre", err));
    if (!pre.text) return FAIL(err, SC_E_UNSUPPORTED, "%s has no key tokenizer.ggml.pre, so its tokenizer cannot be written as tokenizer.json", in->path);
    if (!tokenizer_pre_json(&j, pre.text, pre.len))
        return FAIL(err, SC_E_UNSUPPORTED, "%s: the pre-tokenizer \"%s\" has no known form in tokenizer.json", in->path, error_quote(quoted, sizeof quoted, pre.text, pre.len));
    *out = json_pack("{s:s, s:n, s:n, s:[], s:o, s:o, s:{s:s, s:b, s:b, s:b}, s:{s:s, s:b, s:b, s:b}, s:{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:b}}",
                     "version", "1.0", "truncation", "padding", "added_tokens", "normalizer", j.normalizer, "pre_tokenizer", j.pre_tokenizer,
                     "post_processor", "type", "ByteLevel", "add_prefix_space", 1, "trim_offsets", 0, "use_regex", 1,
                     "decoder", "type", "ByteLevel", "add_prefix_space", 1, "trim_offsets", 1, "use_regex", 1,
                     "model", "type", "BPE", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0,
                     "byte_fallback", 0, "ignore_merges", (int)j.ignore_merges);
    return SC_OK;
}

/* The arrays, checked against each other. types may be NULL. */
struct vocabulary { const struct gguf_value *tokens, *types, *merges; };

static sc_status vocabulary_read(struct vocabulary *v, const struct model_file *in, sc_error *err)
{
    struct gguf_string model;
    *v = (struct vocabulary){ gguf_find(in, "tokenizer.ggml.tokens"), gguf_find(in, "tokenizer.ggml.token_type"), gguf_find(in, "tokenizer.ggml.merges") };
    if (!v->tokens) return SC_OK;
    TRY(gguf_opt_string(&model, in, "tokenizer.ggml.model", err));
    if (!model.text || model.len != 4 || memcmp(model.text, "gpt2", 4))
        return FAIL(err, SC_E_UNSUPPORTED, "%s: the tokenizer is no byte-level BPE (tokenizer.ggml.model is not \"gpt2\")", in->path);
    if (!v->tokens->strings || !v->merges || !v->merges->strings)
        return FAIL(err, SC_E_FORMAT, "%s: tokenizer.ggml.tokens or tokenizer.ggml.merges is missing or no array of strings", in->path);
    if (v->types && (v->types->type != GGUF_ARRAY || v->types->strings || v->types->count != v->tokens->count))
        return FAIL(err, SC_E_FORMAT, "%s: tokenizer.ggml.token_type does not have one number for each of the %zu tokens", in->path, v->tokens->count);
    return SC_OK;
}

static int token_type(const struct vocabulary *v, size_t id) { return v->types ? (int)gguf_array_int(v->types, id) : 1; }

/* Rows of the embedding that no text ever uses. */
static bool is_padding(const struct vocabulary *v, size_t id)
{
    char name[32];
    struct buf b;
    buf_init(&b, sizeof name - 1);
    buf_printf(&b, "[PAD%zu]", id);
    const struct gguf_string *s = &v->tokens->strings[id];
    bool is = token_type(v, id) == GGUF_TOKEN_UNUSED || (token_type(v, id) == GGUF_TOKEN_USER_DEFINED && s->len == b.len && !memcmp(s->text, b.data, b.len));
    buf_release(&b);
    return is;
}

static bool is_added(const struct vocabulary *v, size_t id)
{
    int type = token_type(v, id);
    return (type == GGUF_TOKEN_CONTROL || type == GGUF_TOKEN_USER_DEFINED) && !is_padding(v, id);
}

/* Appends the added tokens that the list lacks, in order of id. */
static void fill_added(json_t *added, const struct vocabulary *v)
{
    bool *known = mem_zero(v->tokens->count, sizeof *known);
    size_t i;
    json_t *token;
    json_array_foreach(added, i, token) {
        json_int_t id = json_integer_value(json_object_get(token, "id"));
        if (id >= 0 && (size_t)id < v->tokens->count) known[id] = true;
    }
    for (size_t id = 0; id < v->tokens->count; id++) {
        if (known[id] || !is_added(v, id)) continue;
        const struct gguf_string *s = &v->tokens->strings[id];
        json_array_append_new(added, json_pack("{s:I, s:s%, s:b, s:b, s:b, s:b, s:b}", "id", (json_int_t)id, "content", s->text, s->len, "single_word", 0,
                                               "lstrip", 0, "rstrip", 0, "normalized", 0, "special", token_type(v, id) == GGUF_TOKEN_CONTROL));
    }
    mem_free(known);
}

/* Added tokens are part of the BPE model where `known`, what a carried tokenizer.json keeps of its vocabulary, has them;
 * without one, those before the last normal token are. */
static sc_status fill_vocab(json_t *vocab, const json_t *known, const struct vocabulary *v, const struct model_file *in, sc_error *err)
{
    size_t end = v->tokens->count;
    while (end > 0 && (is_added(v, end - 1) || is_padding(v, end - 1))) end--;
    for (size_t id = 0; id < v->tokens->count; id++) {
        const struct gguf_string *s = &v->tokens->strings[id];
        if (is_padding(v, id)) continue;
        if (memchr(s->text, 0, s->len) || !utf8_is_valid(s->text, s->len)) return FAIL(err, SC_E_FORMAT, "%s: token %zu is not clean UTF-8", in->path, id);
        char *name = mem_strndup(s->text, s->len);
        bool twice = json_object_get(vocab, name) != NULL, is_part = !is_added(v, id) || (known ? json_object_get(known, name) != NULL : id < end);
        if (is_part) json_object_set_new(vocab, name, json_integer((json_int_t)id));
        mem_free(name);
        if (twice) return FAIL(err, SC_E_FORMAT, "%s: token %zu has the same text as an earlier one", in->path, id);
    }
    return SC_OK;
}

/* In one string, or as a pair like `first`. */
static json_t *merge_json(const struct gguf_string *s, const json_t *first)
{
    const char *space = s->len ? memchr(s->text + 1, ' ', s->len - 1) : NULL;
    if (!json_is_array(first) || !space) return json_stringn(s->text, s->len);
    return json_pack("[s%, s%]", s->text, (size_t)(space - s->text), space + 1, (size_t)(s->text + s->len - space - 1));
}

static sc_status fill_model(json_t *model, const struct vocabulary *v, const struct model_file *in, sc_error *err)
{
    json_t *vocab = json_object(), *merges = json_array(), *first = json_incref(json_array_get(json_object_get(model, "merges"), 0));
    sc_status status = fill_vocab(vocab, json_object_get(model, "vocab"), v, in, err);
    for (size_t i = 0; i < v->merges->count && status == SC_OK; i++)
        if (json_array_append_new(merges, merge_json(&v->merges->strings[i], first)) != 0)
            status = FAIL(err, SC_E_FORMAT, "%s: merge %zu is not UTF-8", in->path, i);
    json_object_set_new(model, "vocab", vocab);
    json_object_set_new(model, "merges", merges);
    json_decref(first);
    return status;
}

sc_status tokenizer_json_from_gguf(json_t **out, const struct model_file *in, sc_error *err)
{
    struct vocabulary v;
    *out = NULL;
    TRY(vocabulary_read(&v, in, err));
    if (!v.tokens) return SC_OK;
    sc_status status;
    if (in->tokenizer) *out = json_deep_copy(in->tokenizer);
    else TRY_DONE(settings_build(out, in, err));
    json_t *model = json_object_get(*out, "model"), *added = json_object_get(*out, "added_tokens");
    if (!json_is_object(model) || !json_is_array(added)) {
        status = FAIL(err, SC_E_FORMAT, "%s: the tokenizer.json it carries has no model or no added_tokens", in->path);
        goto done;
    }
    TRY_DONE(fill_model(model, &v, in, err));
    fill_added(added, &v);
    return SC_OK;
done:
    json_decref(*out);
    *out = NULL;
    return status;
}

sc_status model_tokenizer_json(json_t **out, const struct model_file *f, sc_error *err)
{
    if (f->kind == MODEL_GGUF) return tokenizer_json_from_gguf(out, f, err);
    char *path = path_join(f->path, "tokenizer.json");
    *out = NULL;
    sc_status status = path_exists(path) ? json_read_file(out, path, 64u << 20, err) : SC_OK;
    mem_free(path);
    return status;
}
