/* tokenizer_config.c - opening by path, and what stands beside a tokenizer.json in a model directory: added_tokens.json
 * {content: id}, tokenizer_config.json and special_tokens_map.json (transformers' tokenization_utils_base). They add
 * tokens, correct flags and say which content plays which role. A role whose content the tokenizer lacks is left open:
 * nothing is added for it, since the model would have no row for the id. */
#include "text_internal.h"

#include <string.h>

#define CONFIG_MAX ((size_t)64 << 20)
enum { ADDED_MAX = 65536 };      /* ids that the files beside a tokenizer.json may add, gaps counted */

static const struct { const char *key; int role; } role_keys[] = {
    { "bos_token", TOKEN_BOS }, { "eos_token", TOKEN_EOS }, { "unk_token", TOKEN_UNK }, { "pad_token", TOKEN_PAD },
    { "sep_token", -1 }, { "cls_token", -1 }, { "mask_token", -1 },
};
enum { N_ROLE_KEYS = sizeof role_keys / sizeof *role_keys };

/* A token is given as a string or as an object with "content"; NULL: neither. */
static const json_t *content_of(const json_t *token)
{
    const json_t *content = json_is_object(token) ? json_object_get(token, "content") : token;
    return json_is_string(content) ? content : NULL;
}

static sc_status flags_read(struct added_flags *f, const json_t *token, bool special, const char *what, sc_error *err)
{
    *f = (struct added_flags){ .special = special };
    if (!json_is_object(token)) return SC_OK;
    TRY(json_opt_bool(&f->special, token, "special", special, what, err));
    TRY(json_opt_bool(&f->single_word, token, "single_word", false, what, err));
    TRY(json_opt_bool(&f->lstrip, token, "lstrip", false, what, err));
    TRY(json_opt_bool(&f->rstrip, token, "rstrip", false, what, err));
    return json_opt_bool(&f->normalized, token, "normalized", !f->special, what, err);
}

/* Makes the token special if it is not an added token yet; with `is_known` only where the vocabulary has it. */
static sc_status special_put(struct tokenizer *t, const json_t *token, bool is_known, const char *what, sc_error *err)
{
    struct added_flags f;
    const json_t *content = content_of(token);
    if (!content) return SC_OK;
    const char *s = json_string_value(content);
    size_t len = json_string_length(content);
    if (added_find(t, s, len) >= 0 || (is_known && vocabulary_find(&t->vocabulary, s, len) < 0)) return SC_OK;
    TRY(flags_read(&f, token, true, what, err));
    f.special = true;
    return added_tokens_put(t, -1, s, len, &f, NULL, what, err);
}

static sc_status roles_read(struct tokenizer *t, const json_t *config, const char *what, sc_error *err)
{
    static const char *const lists[] = { "additional_special_tokens", "extra_special_tokens" };
    for (size_t i = 0; i < N_ROLE_KEYS; i++) {
        const json_t *token = json_object_get(config, role_keys[i].key), *content = content_of(token);
        if (!content) continue;
        TRY(special_put(t, token, true, what, err));
        int32_t id = tokenizer_find(t, json_string_value(content), json_string_length(content));
        if (role_keys[i].role >= 0 && id >= 0) t->role[role_keys[i].role] = id;
    }
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
        size_t i;
        json_t *each;
        json_array_foreach(json_object_get(config, lists[k]), i, each) TRY(special_put(t, each, false, what, err));
    }
    return SC_OK;
}

/* An id written as a key: digits alone, below the vocabulary's limit; -1: not one. */
static int64_t id_of_key(const char *key)
{
    int64_t id = 0;
    if (!*key) return -1;
    for (; *key; key++) {
        if (*key < '0' || *key > '9' || id > VOCABULARY_MAX) return -1;
        id = id * 10 + (*key - '0');
    }
    return id;
}

/* {"49152": {"content": ..., flags}, ...} */
static sc_status decoder_read(struct tokenizer *t, const json_t *decoder, const char *what, sc_error *err)
{
    const char *key;
    json_t *token;
    json_object_foreach((json_t *)decoder, key, token) {
        struct added_flags f;
        const json_t *content = content_of(token);
        int64_t id = id_of_key(key);
        char quote[80];
        if (!content || id < 0)
            return FAIL(err, SC_E_FORMAT, "%s: added_tokens_decoder has an entry \"%s\" without an id or a content", what, error_quote(quote, sizeof quote, key, strlen(key)));
        TRY(flags_read(&f, token, false, what, err));
        TRY(added_tokens_put(t, id, json_string_value(content), json_string_length(content), &f, NULL, what, err));
    }
    return SC_OK;
}

/* {"<|end|>": 49155, ...}: what the tokenizer already has stays as it is. */
static sc_status added_read(struct tokenizer *t, const json_t *added, const char *what, sc_error *err)
{
    static const struct added_flags plain = { 0 };
    const char *key;
    json_t *id;
    json_object_foreach((json_t *)added, key, id) {
        int64_t number = json_integer_value(id);
        if (!json_is_integer(id)) return FAIL(err, SC_E_FORMAT, "%s: an id is not an integer; expected {\"token\": id}", what);
        if (number < 0) return FAIL(err, SC_E_FORMAT, "%s: the id %lld is out of range; expected 0 or more", what, (long long)number);
        int32_t known = added_find(t, key, strlen(key));
        if (known < 0) TRY(added_tokens_put(t, number, key, strlen(key), &plain, NULL, what, err));
        else if (known != number) {
            char quote[80];
            return FAIL(err, SC_E_FORMAT, "%s: \"%s\" has id %lld, but %d in tokenizer.json", what,
                        error_quote(quote, sizeof quote, key, strlen(key)), (long long)number, known);
        }
    }
    return SC_OK;
}

static sc_status config_read(struct tokenizer *t, const json_t *config, const char *what, sc_error *err)
{
    bool adds_bos;
    TRY(decoder_read(t, json_object_get(config, "added_tokens_decoder"), what, err));
    TRY(roles_read(t, config, what, err));
    TRY(json_opt_bool(&adds_bos, config, "add_bos_token", t->adds_bos, what, err));
    t->adds_bos = adds_bos;
    return SC_OK;
}

static sc_status directory_read(struct tokenizer *t, const char *directory, sc_error *err)
{
    static const struct { const char *name; sc_status (*read)(struct tokenizer *, const json_t *, const char *, sc_error *); } files[] = {
        { "added_tokens.json", added_read }, { "special_tokens_map.json", roles_read }, { "tokenizer_config.json", config_read },
    };
    sc_status status = SC_OK;
    t->vocabulary.limit = t->vocabulary.len + ADDED_MAX;
    for (size_t i = 0; i < sizeof files / sizeof *files && status == SC_OK; i++) {
        json_t *json = NULL;
        char *path = path_join(directory, files[i].name);
        if (path_exists(path)) {
            status = json_read_file(&json, path, CONFIG_MAX, err);
            if (status == SC_OK && !json_is_object(json)) status = FAIL(err, SC_E_FORMAT, "%s: expected a JSON object", path);
            if (status == SC_OK) status = files[i].read(t, json, path, err);
        }
        json_decref(json);
        mem_free(path);
    }
    return status;
}

sc_status tokenizer_read_carried(struct tokenizer *t, const struct model_file *m, sc_error *err)
{
    TRY(added_read(t, m->added_tokens, m->path, err));
    TRY(roles_read(t, m->special_tokens_map, m->path, err));
    return config_read(t, m->tokenizer_config, m->path, err);
}

static sc_status open_gguf_file(struct tokenizer **out, const char *path, sc_error *err)
{
    struct model_file *file;
    TRY(model_file_open(&file, path, true, err));
    sc_status status = tokenizer_open_gguf(out, file, err);
    model_file_close(file);
    return status;
}

/* A SentencePiece model is a protocol buffer that begins with its first piece: field 1 of n bytes, in it field 1, the
 * text, then field 2, a float. */
static bool is_sentencepiece(const uint8_t *p, size_t size)
{
    return size > 4 && p[0] == 0x0A && p[2] == 0x0A && p[3] < p[1] && (size_t)p[3] + 4 < size && p[p[3] + 4] == 0x15;
}

static sc_status refuse_sentencepiece(const char *path, const char *detail, sc_error *err)
{
    return FAIL(err, SC_E_UNSUPPORTED, "%s: a SentencePiece vocabulary%s; starchat reads byte-level BPE, as in StarCoder, Llama 3, Qwen and DeepSeek", path, detail);
}

static sc_status open_file(struct tokenizer **out, const char *path, sc_error *err)
{
    struct mapped_file file = { 0 };
    TRY(file_map(&file, path, err));
    bool is_gguf = file.size >= 4 && memcmp(file.data, "GGUF", 4) == 0;
    sc_status status = is_gguf ? SC_OK : is_sentencepiece(file.data, file.size) ? refuse_sentencepiece(path, "", err)
                     : tokenizer_open_json(out, (const char *)file.data, file.size, path, err);
    file_unmap(&file);
    return is_gguf ? open_gguf_file(out, path, err) : status;
}

static sc_status refuse_directory(const char *path, sc_error *err)
{
    char *model = path_join(path, "tokenizer.model");
    sc_status status = path_exists(model) ? refuse_sentencepiece(path, " (tokenizer.model)", err)
        : FAIL(err, SC_E_IO, "%s holds no tokenizer.json; with vocab.json and merges.txt alone, let transformers save a fast tokenizer first", path);
    mem_free(model);
    return status;
}

static sc_status open_directory(struct tokenizer **out, const char *path, const char *json, sc_error *err)
{
    struct mapped_file file = { 0 };
    if (!path_exists(json)) return refuse_directory(path, err);
    TRY(file_map(&file, json, err));
    sc_status status = tokenizer_read_json(out, (const char *)file.data, file.size, json, err);
    file_unmap(&file);
    if (status == SC_OK) status = directory_read(*out, path, err);
    if (status == SC_OK) tokenizer_finish(*out);
    return status;
}

sc_status tokenizer_open(struct tokenizer **out, const char *path, sc_error *err)
{
    *out = NULL;
    if (!path_is_directory(path)) return open_file(out, path, err);
    char *json = path_join(path, "tokenizer.json");
    sc_status status = open_directory(out, path, json, err);
    mem_free(json);
    if (status != SC_OK) { tokenizer_close(*out); *out = NULL; }
    return status;
}
