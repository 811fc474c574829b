/* tokenizer_gguf.c - the vocabulary inside a GGUF file (ggml docs/gguf.md, "Tokenizer"): byte-level BPE, that is
 * tokenizer.ggml.model "gpt2". Tokens are byte symbols, added ones plain text; the pre-tokeniser is given by name.
 * A file that carries its tokenizer.json and the files beside it (format.h, model_jsons) is read as those would be. */
#include "text_internal.h"

#include <stdio.h>
#include <string.h>

struct reader { struct tokenizer *t; const struct model_file *m; const struct gguf_value *tokens, *types, *merges; };

static sc_status array_find(const struct gguf_value **out, const struct model_file *m, const char *key, bool is_text, bool is_needed, sc_error *err)
{
    *out = gguf_find(m, key);
    if (!*out) return is_needed ? FAIL(err, SC_E_FORMAT, "%s: the key %s is missing, so the file has no vocabulary", m->path, key) : SC_OK;
    enum gguf_type element = (*out)->element;
    bool is_integer = element != GGUF_STRING && element != GGUF_ARRAY && element != GGUF_F32 && element != GGUF_F64 && element != GGUF_BOOL;
    bool is_right = (*out)->type == GGUF_ARRAY && (is_text ? element == GGUF_STRING : is_integer);
    return is_right ? SC_OK : FAIL(err, SC_E_FORMAT, "%s: the key %s is not an array of %s", m->path, key, is_text ? "strings" : "integers");
}

static sc_status model_check(const struct model_file *m, sc_error *err)
{
    struct gguf_string model;
    char quote[80];
    TRY(gguf_opt_string(&model, m, "tokenizer.ggml.model", err));
    if (!model.text) return FAIL(err, SC_E_FORMAT, "%s: the key tokenizer.ggml.model is missing, so the file has no vocabulary", m->path);
    if (model.len == 4 && memcmp(model.text, "gpt2", 4) == 0) return SC_OK;
    bool is_spm = (model.len == 5 && memcmp(model.text, "llama", 5) == 0) || (model.len == 2 && memcmp(model.text, "t5", 2) == 0);
    return FAIL(err, SC_E_UNSUPPORTED, "%s: %s (tokenizer.ggml.model is \"%s\"); starchat reads byte-level BPE (\"gpt2\"), as in StarCoder, Llama 3, Qwen and DeepSeek",
                m->path, is_spm ? "a SentencePiece vocabulary" : "a vocabulary of another kind", error_quote(quote, sizeof quote, model.text, model.len));
}

static sc_status pre_read(struct tokenizer *t, const struct model_file *m, sc_error *err)
{
    struct gguf_string name;
    char quote[80];
    TRY(gguf_opt_string(&name, m, "tokenizer.ggml.pre", err));
    const struct pre_row *row = name.text ? pre_row_find(name.text, name.len) : NULL;
    if (!name.text || (name.len == 7 && memcmp(name.text, "default", 7) == 0)) {
        row = pre_rows;
        t->notice = mem_strdup("The file does not name its pre-tokeniser (tokenizer.ggml.pre); GPT-2's is used.");
    }
    if (!row) {
        struct buf known;
        buf_init(&known, 0);
        pre_names_list(&known);
        sc_status status = FAIL(err, SC_E_UNSUPPORTED, "%s: the pre-tokeniser \"%s\" (tokenizer.ggml.pre) is not known; known are %s", m->path,
                                error_quote(quote, sizeof quote, name.text, name.len), known.data);
        buf_release(&known);
        return status;
    }
    t->pre_name = row->name;
    t->bpe.ignore_merges = row->ignore_merges;
    if (row->nfc) t->normalizers = (struct normalizers){ .step = { { .kind = NORMALIZE_NFC } }, .len = 1 };
    return pre_row_build(&t->pipeline, row, err);
}

static int64_t type_of(const struct reader *r, size_t id) { return r->types ? gguf_array_int(r->types, id) : GGUF_TOKEN_NORMAL; }

static sc_status counts_check(const struct reader *r, sc_error *err)
{
    size_t n = r->tokens->count;
    if (!n) return FAIL(err, SC_E_FORMAT, "%s: the vocabulary is empty (tokenizer.ggml.tokens)", r->m->path);
    if (n > VOCABULARY_MAX) return FAIL(err, SC_E_UNSUPPORTED, "%s: a vocabulary of %zu tokens; at most %d are supported", r->m->path, n, VOCABULARY_MAX);
    if (r->types && r->types->count != n)
        return FAIL(err, SC_E_FORMAT, "%s: tokenizer.ggml.token_type has %zu entries, expected %zu, one for each token", r->m->path, r->types->count, n);
    for (size_t i = 0; i < n; i++)
        if (type_of(r, i) < GGUF_TOKEN_NORMAL || type_of(r, i) > GGUF_TOKEN_BYTE)
            return FAIL(err, SC_E_FORMAT, "%s: token %zu has the type %lld (tokenizer.ggml.token_type), expected 1 to 6", r->m->path, i, (long long)type_of(r, i));
    return SC_OK;
}

/* Converters fill up a vocabulary with "[PAD123]", typed as user-defined. */
static bool is_filler(const struct gguf_string *s, size_t id)
{
    char filler[32];
    int n = snprintf(filler, sizeof filler, "[PAD%zu]", id);
    return (size_t)n == s->len && memcmp(filler, s->text, s->len) == 0;
}

static bool is_added(const struct reader *r, size_t id)
{
    int64_t type = type_of(r, id);
    return type == GGUF_TOKEN_CONTROL || type == GGUF_TOKEN_UNKNOWN || (type == GGUF_TOKEN_USER_DEFINED && !is_filler(&r->tokens->strings[id], id));
}

static sc_status text_check(const struct reader *r, const struct gguf_string *s, const char *kind, size_t i, sc_error *err)
{
    return utf8_is_valid(s->text, s->len) ? SC_OK : FAIL(err, SC_E_FORMAT, "%s: %s %zu is not UTF-8", r->m->path, kind, i);
}

static sc_status tokens_read(struct reader *r, sc_error *err)
{
    struct vocabulary *v = &r->t->vocabulary;
    const json_t *known = json_object_get(json_object_get(r->m->tokenizer, "model"), "vocab");
    for (size_t i = 0; i < r->tokens->count; i++) {
        const struct gguf_string *s = &r->tokens->strings[i];
        int64_t type = type_of(r, i);
        TRY(text_check(r, s, "token", i, err));
        if (is_added(r, i) && !json_object_getn(known, s->text, s->len)) continue;
        if (type == GGUF_TOKEN_UNUSED || type == GGUF_TOKEN_USER_DEFINED) TRY(vocabulary_set(v, (int64_t)i, s->text, s->len, TOKEN_UNUSED, r->m->path, err));
        else TRY(vocabulary_put(v, (int64_t)i, s->text, s->len, r->m->path, err));
    }
    return SC_OK;
}

static sc_status merges_read(struct reader *r, sc_error *err)
{
    for (size_t i = 0; i < r->merges->count; i++) {
        const struct gguf_string *s = &r->merges->strings[i];
        TRY(text_check(r, s, "merge", i, err));
        TRY(bpe_put_line(&r->t->bpe, &r->t->vocabulary, s->text, s->len, r->m->path, err));
    }
    return SC_OK;
}

static sc_status added_read(struct reader *r, sc_error *err)
{
    for (size_t i = 0; i < r->tokens->count; i++) {
        const struct gguf_string *s = &r->tokens->strings[i];
        struct added_flags f = { .special = type_of(r, i) != GGUF_TOKEN_USER_DEFINED };
        if (is_added(r, i)) TRY(added_tokens_put(r->t, (int64_t)i, s->text, s->len, &f, NULL, r->m->path, err));
    }
    return SC_OK;
}

static sc_status roles_read(struct reader *r, sc_error *err)
{
    static const struct { const char *key; enum token_role role; } rows[] = {
        { "tokenizer.ggml.bos_token_id", TOKEN_BOS }, { "tokenizer.ggml.eos_token_id", TOKEN_EOS },
        { "tokenizer.ggml.unknown_token_id", TOKEN_UNK }, { "tokenizer.ggml.padding_token_id", TOKEN_PAD },
        { "tokenizer.ggml.eot_token_id", TOKEN_EOT }, { "tokenizer.ggml.prefix_token_id", TOKEN_FIM_PREFIX },
        { "tokenizer.ggml.suffix_token_id", TOKEN_FIM_SUFFIX }, { "tokenizer.ggml.middle_token_id", TOKEN_FIM_MIDDLE },
        { "tokenizer.ggml.fim_pre_token_id", TOKEN_FIM_PREFIX }, { "tokenizer.ggml.fim_suf_token_id", TOKEN_FIM_SUFFIX },
        { "tokenizer.ggml.fim_mid_token_id", TOKEN_FIM_MIDDLE },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t id;
        bool is_used = rows[i].role != TOKEN_UNK && rows[i].role != TOKEN_PAD;      /* converters leave wrong numbers in these */
        TRY(gguf_opt_int(&id, r->m, rows[i].key, -1, -1, UINT32_MAX, err));
        if (id < 0 || id == UINT32_MAX) continue;                                   /* so files say that there is none */
        if ((size_t)id < r->t->vocabulary.len) r->t->role[rows[i].role] = (int32_t)id;
        else if (is_used) return FAIL(err, SC_E_FORMAT, "%s: %s is %lld, but the vocabulary has %zu tokens", r->m->path, rows[i].key, (long long)id, r->t->vocabulary.len);
    }
    return gguf_opt_bool(&r->t->adds_bos, r->m, "tokenizer.ggml.add_bos_token", false, err);
}

/* What the carried files say about tokens; they can name no others than the arrays have. */
static sc_status carried_read(struct reader *r, sc_error *err)
{
    size_t *limit = &r->t->vocabulary.limit, before = *limit;
    *limit = r->tokens->count;
    if (r->m->tokenizer) TRY(tokenizer_json_names(r->t, r->m->tokenizer, r->m->path, err));
    TRY(tokenizer_read_carried(r->t, r->m, err));
    *limit = before;
    return SC_OK;
}

sc_status tokenizer_open_gguf(struct tokenizer **out, const struct model_file *m, sc_error *err)
{
    sc_status status = SC_OK;
    struct reader r = { .t = tokenizer_new(), .m = m };
    *out = NULL;
    TRY_DONE(model_check(m, err));
    TRY_DONE(array_find(&r.tokens, m, "tokenizer.ggml.tokens", true, true, err));
    TRY_DONE(array_find(&r.merges, m, "tokenizer.ggml.merges", true, true, err));
    TRY_DONE(array_find(&r.types, m, "tokenizer.ggml.token_type", false, false, err));
    TRY_DONE(counts_check(&r, err));
    TRY_DONE(m->tokenizer ? tokenizer_json_settings(r.t, m->tokenizer, m->path, err) : pre_read(r.t, m, err));
    TRY_DONE(tokens_read(&r, err));
    TRY_DONE(merges_read(&r, err));
    TRY_DONE(added_read(&r, err));
    TRY_DONE(roles_read(&r, err));
    TRY_DONE(carried_read(&r, err));
    tokenizer_finish(r.t);
    *out = r.t;
    r.t = NULL;
done:
    tokenizer_close(r.t);
    return status;
}
