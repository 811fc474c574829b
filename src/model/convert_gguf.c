/* convert_gguf.c - the keys of a GGUF file made from a Hugging Face directory: sizes, tokenizer, chat template, and the
 * JSON files that say more than GGUF has keys for (see model_jsons). Key names: ggml docs/gguf.md; token types as
 * llama.cpp numbers them. */
#include "model/convert_internal.h"

#include <string.h>

#include "text/text.h"

static void put_text(struct gguf_writer *w, const char *key, const char *text) { gguf_put_string(w, key, text, strlen(text)); }

void gguf_put_file_type(struct gguf_writer *w, int file_type)
{
    gguf_put_uint32(w, "general.file_type", (uint32_t)file_type);
    gguf_put_uint32(w, "general.quantization_version", 2);
}

/* Without a target: the type that most matrix elements have. */
int file_type_of(const struct job *j, const struct target *target)
{
    static const int by_dtype[] = { [DTYPE_F32] = 0, [DTYPE_F16] = 1, [DTYPE_BF16] = 32, [DTYPE_Q8_0] = 7, [DTYPE_Q4_0] = 2, [DTYPE_Q4_1] = 3,
                                    [DTYPE_Q5_0] = 8, [DTYPE_Q5_1] = 9, [DTYPE_Q4_K] = 15, [DTYPE_Q5_K] = 17, [DTYPE_Q6_K] = 18 };
    if (target) return target->file_type;
    size_t elements[DTYPE_Q6_K + 1] = { 0 };
    enum dtype most = DTYPE_F32;
    for (size_t i = 0; i < j->n; i++) {
        const struct out_tensor *t = &j->tensors[i];
        if (t->is_vector || t->dtype > DTYPE_Q6_K) continue;
        elements[t->dtype] += t->rows * t->cols;
        if (elements[t->dtype] > elements[most]) most = t->dtype;
    }
    return by_dtype[most];
}

/* tokenizer.json without what the token and merge arrays say: see model_jsons. */
static sc_status put_tokenizer_rest(struct gguf_writer *w, const char *path, sc_error *err)
{
    json_t *rest = NULL, *added, *kept = json_object(), *first = json_array();
    TRY(json_read_file(&rest, path, 64u << 20, err));
    json_t *model = json_object_get(rest, "model"), *vocab = json_object_get(model, "vocab");
    size_t i;
    json_array_foreach(json_object_get(rest, "added_tokens"), i, added) {
        const char *content = json_string_value(json_object_get(added, "content"));
        json_t *id = content ? json_object_get(vocab, content) : NULL;
        if (id) json_object_set(kept, content, id);
    }
    json_array_append(first, json_array_get(json_object_get(model, "merges"), 0));
    json_object_set_new(model, "vocab", kept);
    json_object_set_new(model, "merges", first);
    gguf_put_json(w, "tokenizer.json", rest);
    json_decref(rest);
    return SC_OK;
}

/* One entry for each row of the embedding; ids that the tokenizer lacks are unused padding. */
static void put_tokens(struct gguf_writer *w, const struct tokenizer *t, size_t vocab)
{
    struct arena memory;
    arena_init(&memory);
    struct gguf_string *tokens = arena_take(&memory, vocab * sizeof *tokens);
    int32_t *types = arena_take(&memory, vocab * sizeof *types);
    for (size_t id = 0; id < vocab; id++) {
        int type = GGUF_TOKEN_UNUSED;
        size_t len = 0;
        const char *text = id < tokenizer_vocab(t) ? tokenizer_gguf_token(t, id, &len, &type) : NULL;
        struct buf pad;
        buf_init(&pad, 0);
        if (!text) {
            type = GGUF_TOKEN_UNUSED;
            buf_printf(&pad, "[PAD%zu]", id);
            len = pad.len;
        }
        tokens[id] = (struct gguf_string){ text ? text : arena_strndup(&memory, pad.data, pad.len), len };
        types[id] = type;
        buf_release(&pad);
    }
    gguf_put_string_array(w, "tokenizer.ggml.tokens", tokens, vocab);
    gguf_put_int32_array(w, "tokenizer.ggml.token_type", types, vocab);
    arena_release(&memory);
}

static void put_merges(struct gguf_writer *w, const struct tokenizer *t)
{
    size_t n = tokenizer_merges(t), *ends = mem_alloc((n + 1) * sizeof *ends);
    struct gguf_string *merges = mem_alloc(n * sizeof *merges);
    struct buf all;
    buf_init(&all, 0);
    ends[0] = 0;
    for (size_t rank = 0; rank < n; rank++) {
        tokenizer_merge(t, rank, &all);
        ends[rank + 1] = all.len;
    }
    for (size_t rank = 0; rank < n; rank++) merges[rank] = (struct gguf_string){ all.data + ends[rank], ends[rank + 1] - ends[rank] };
    gguf_put_string_array(w, "tokenizer.ggml.merges", merges, n);
    buf_release(&all);
    mem_free(merges);
    mem_free(ends);
}

/* ORDER token_role */
static const char *const ROLE_KEYS[TOKEN_ROLE_COUNT] = {
    "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.padding_token_id",
    "tokenizer.ggml.eot_token_id", "tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.fim_mid_token_id",
};

static sc_status put_tokenizer(struct gguf_writer *w, const struct job *j, const struct model_file *in, sc_error *err)
{
    struct tokenizer *t = NULL;
    char *path = path_join(in->path, "tokenizer.json");
    sc_status status = SC_OK;
    if (!path_exists(path)) {
        job_note(j, "there is no tokenizer.json, so the GGUF file gets no tokenizer");
        goto done;
    }
    TRY_DONE(tokenizer_open(&t, in->path, err));
    if (tokenizer_vocab(t) > j->config->vocab) {
        status = FAIL(err, SC_E_FORMAT, "%s: the tokenizer has %zu tokens, but the embedding has only %zu rows (vocab_size)", path, tokenizer_vocab(t), j->config->vocab);
        goto done;
    }
    put_text(w, "tokenizer.ggml.model", "gpt2");
    put_text(w, "tokenizer.ggml.pre", tokenizer_pre_name(t));
    put_tokens(w, t, j->config->vocab);
    put_merges(w, t);
    for (int role = 0; role < TOKEN_ROLE_COUNT; role++) {
        int32_t id = tokenizer_role(t, (enum token_role)role);
        if (id >= 0 && (size_t)id < j->config->vocab) gguf_put_uint32(w, ROLE_KEYS[role], (uint32_t)id);
    }
    gguf_put_bool(w, "tokenizer.ggml.add_bos_token", tokenizer_adds_bos(t));
    TRY_DONE(put_tokenizer_rest(w, path, err));
done:
    tokenizer_close(t);
    mem_free(path);
    return status;
}

/* The last part of a path, without ".gguf". */
static void put_name(struct gguf_writer *w, const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    size_t begin = n;
    while (begin > 0 && path[begin - 1] != '/') begin--;
    if (n - begin > 5 && !strncmp(path + n - 5, ".gguf", 5)) n -= 5;
    gguf_put_string(w, "general.name", path + begin, n - begin);
}

sc_status gguf_put_from_hf(struct gguf_writer *w, const struct job *j, const struct model_file *in, sc_error *err)
{
    const struct model_config *c = j->config;
    put_text(w, "general.architecture", c->arch->gguf);
    put_text(w, "general.type", "model");
    put_name(w, j->path);
    c->arch->write_gguf(c, w);
    gguf_put_arch_uint32(w, c, "vocab_size", c->vocab);
    TRY(put_tokenizer(w, j, in, err));
    if (in->chat_template) put_text(w, "tokenizer.chat_template", in->chat_template);
    gguf_put_jsons(w, in);
    return SC_OK;
}
