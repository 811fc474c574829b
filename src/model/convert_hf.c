/* convert_hf.c - the JSON files of a Hugging Face directory: made from GGUF keys, or taken over from a directory.
 * File names and keys: transformers. */
#include "model/convert_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fifteen digits: what people write ("1e-5") comes back as they wrote it. */
sc_status hf_write_json(const char *directory, const char *name, const json_t *value, sc_error *err)
{
    char *path = path_join(directory, name), *text = json_dumps(value, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    sc_status status = text ? file_write(path, text, strlen(text), err) : FAIL(err, SC_E_FORMAT, "%s cannot be written as JSON", path);
    free(text);
    mem_free(path);
    return status;
}

/* ---- config.json ------------------------------------------------------------------------------------------------------------- */

static const char *torch_dtype(const struct job *j)
{
    size_t elements[3] = { 0 };
    for (size_t i = 0; i < j->n; i++)
        if (!j->tensors[i].is_vector && j->tensors[i].dtype <= DTYPE_BF16) elements[j->tensors[i].dtype] += j->tensors[i].rows * j->tensors[i].cols;
    if (elements[DTYPE_F32] >= elements[DTYPE_F16] && elements[DTYPE_F32] >= elements[DTYPE_BF16]) return "float32";
    return elements[DTYPE_F16] >= elements[DTYPE_BF16] ? "float16" : "bfloat16";
}

/* Values that say the same stay as they were written ("1e-05", not what a float makes of it). */
static bool says_the_same(const json_t *a, const json_t *b)
{
    if (!json_is_number(a) || !json_is_number(b)) return json_equal(a, b);
    return (float)json_number_value(a) == (float)json_number_value(b);
}

/* The shortest decimal that gives the same float: config values are floats inside. */
static json_t *short_real(double v)
{
    char text[32];
    for (int digits = 1; digits < 10; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if ((float)strtod(text, NULL) == (float)v) break;
    }
    return json_real(strtod(text, NULL));
}

sc_status hf_write_config(const char *directory, const struct job *j, json_t *config, sc_error *err)
{
    json_t *fresh = json_object(), *value;
    const char *key;
    json_object_set_new(fresh, "model_type", json_string(j->config->arch->name));
    if (!json_object_get(config, "architectures")) json_object_set_new(fresh, "architectures", json_pack("[s]", j->config->arch->hub_class));
    j->config->arch->write_json(j->config, fresh);
    if (json_is_object(json_object_get(config, "rope_parameters"))) {       /* the newer place of both */
        json_object_del(fresh, "rope_theta");
        json_object_del(fresh, "rope_scaling");
    }
    json_object_set_new(fresh, json_object_get(config, "dtype") ? "dtype" : "torch_dtype", json_string(torch_dtype(j)));
    json_object_foreach(fresh, key, value)
        if (!says_the_same(json_object_get(config, key), value))
            json_object_set_new(config, key, json_is_real(value) ? short_real(json_real_value(value)) : json_incref(value));
    json_decref(fresh);
    return hf_write_json(directory, "config.json", config, err);
}

/* ---- from GGUF ----------------------------------------------------------------------------------------------------------------- */

/* Id under a key, or -1. */
static sc_status token_key(int64_t *out, const struct model_file *in, const char *name, sc_error *err)
{
    struct buf key;
    buf_init(&key, 0);
    buf_printf(&key, "tokenizer.ggml.%s", name);
    sc_status status = gguf_opt_int(out, in, key.data, -1, -1, INT32_MAX, err);
    buf_release(&key);
    return status;
}

/* The special tokens that both formats name. */
static const struct { const char *gguf, *hub, *id_key; } SPECIAL[] = {
    { "bos_token_id", "bos_token", "bos_token_id" }, { "eos_token_id", "eos_token", "eos_token_id" },
    { "unknown_token_id", "unk_token", NULL },       { "padding_token_id", "pad_token", "pad_token_id" },
};
enum { N_SPECIAL = sizeof SPECIAL / sizeof *SPECIAL };

/* Sets ids in config or generation config; `both_ends`: end of turn besides end of text, as a list. */
static sc_status set_ids(json_t *object, const struct model_file *in, bool both_ends, sc_error *err)
{
    int64_t id, eot, eos;
    for (size_t i = 0; i < N_SPECIAL; i++) {
        TRY(token_key(&id, in, SPECIAL[i].gguf, err));
        if (id >= 0 && SPECIAL[i].id_key && !json_object_get(object, SPECIAL[i].id_key)) json_object_set_new(object, SPECIAL[i].id_key, json_integer(id));
    }
    TRY(token_key(&eos, in, "eos_token_id", err));
    TRY(token_key(&eot, in, "eot_token_id", err));
    if (both_ends && eot >= 0 && eot != eos && eos >= 0) json_object_set_new(object, "eos_token_id", json_pack("[I, I]", (json_int_t)eos, (json_int_t)eot));
    return SC_OK;
}

static sc_status write_configs(const char *directory, const struct job *j, const struct model_file *in, sc_error *err)
{
    json_t *config = in->config ? json_deep_copy(in->config) : json_object(), *generation = in->generation_config ? json_incref(in->generation_config) : json_object();
    sc_status status;
    TRY_DONE(set_ids(config, in, false, err));
    TRY_DONE(hf_write_config(directory, j, config, err));
    if (!in->generation_config) TRY_DONE(set_ids(generation, in, true, err));
    TRY_DONE(hf_write_json(directory, "generation_config.json", generation, err));
done:
    json_decref(config);
    json_decref(generation);
    return status;
}

/* bos_token and the like, by content. */
static sc_status special_map(json_t *object, const struct model_file *in, sc_error *err)
{
    const struct gguf_value *tokens = gguf_find(in, "tokenizer.ggml.tokens");
    for (size_t i = 0; i < N_SPECIAL; i++) {
        int64_t id;
        TRY(token_key(&id, in, SPECIAL[i].gguf, err));
        if (id < 0) continue;
        if (!tokens || !tokens->strings || (size_t)id >= tokens->count)
            return FAIL(err, SC_E_FORMAT, "%s: tokenizer.ggml.%s is %lld, but there is no such token", in->path, SPECIAL[i].gguf, (long long)id);
        json_object_set_new(object, SPECIAL[i].hub, json_stringn(tokens->strings[id].text, tokens->strings[id].len));
    }
    return SC_OK;
}

sc_status model_special_tokens(json_t **out, const struct model_file *in, sc_error *err)
{
    *out = in->special_tokens_map ? json_deep_copy(in->special_tokens_map) : json_object();
    return in->special_tokens_map ? SC_OK : special_map(*out, in, err);
}

json_t *model_added_tokens_decoder(const json_t *tokenizer)
{
    json_t *decoder = json_object();
    size_t i;
    json_t *token;
    json_array_foreach(json_object_get(tokenizer, "added_tokens"), i, token) {
        struct buf id;
        buf_init(&id, 0);
        buf_printf(&id, "%lld", (long long)json_integer_value(json_object_get(token, "id")));
        json_t *entry = json_copy(token);
        json_object_del(entry, "id");
        json_object_set_new(decoder, id.data, entry);
        buf_release(&id);
    }
    return decoder;
}

/* The template in the place that readers look at first, unless a carried tokenizer_config.json says the same. */
static sc_status write_template(const char *directory, json_t *config, const char *source, sc_error *err)
{
    const json_t *own = json_object_get(config, "chat_template"), *entry;
    bool is_same = json_is_string(own) && !strcmp(json_string_value(own), source);
    size_t i;
    if (!own) { json_object_set_new(config, "chat_template", json_string(source)); return SC_OK; }
    json_array_foreach(own, i, entry) {
        const char *name = json_string_value(json_object_get(entry, "name")), *text = json_string_value(json_object_get(entry, "template"));
        is_same |= name && text && !strcmp(name, "default") && !strcmp(text, source);
    }
    if (is_same) return SC_OK;
    char *path = path_join(directory, "chat_template.jinja");
    sc_status status = file_write(path, source, strlen(source), err);
    mem_free(path);
    return status;
}

sc_status model_tokenizer_config(json_t **out, const struct model_file *in, size_t context, const json_t *tokenizer, sc_error *err)
{
    bool adds_bos;
    *out = in->tokenizer_config ? json_deep_copy(in->tokenizer_config) : json_object();
    if (in->tokenizer_config) return SC_OK;
    TRY(special_map(*out, in, err));
    TRY(gguf_opt_bool(&adds_bos, in, "tokenizer.ggml.add_bos_token", false, err));
    if (gguf_find(in, "tokenizer.ggml.add_bos_token")) json_object_set_new(*out, "add_bos_token", json_boolean(adds_bos));
    json_object_set_new(*out, "added_tokens_decoder", model_added_tokens_decoder(tokenizer));
    json_object_set_new(*out, "clean_up_tokenization_spaces", json_false());
    json_object_set_new(*out, "model_max_length", json_integer((json_int_t)context));
    json_object_set_new(*out, "tokenizer_class", json_string("PreTrainedTokenizerFast"));
    return SC_OK;
}

static sc_status write_tokenizer(const char *directory, const struct job *j, const struct model_file *in, sc_error *err)
{
    json_t *tokenizer = NULL, *config = NULL, *map = NULL;
    sc_status status;
    TRY_DONE(tokenizer_json_from_gguf(&tokenizer, in, err));
    if (!tokenizer) {
        job_note(j, "%s has no tokenizer, so the directory gets none", in->path);
        goto done;
    }
    TRY_DONE(hf_write_json(directory, "tokenizer.json", tokenizer, err));
    TRY_DONE(model_tokenizer_config(&config, in, j->config->context, tokenizer, err));
    if (in->chat_template) TRY_DONE(write_template(directory, config, in->chat_template, err));
    TRY_DONE(hf_write_json(directory, "tokenizer_config.json", config, err));
    TRY_DONE(model_special_tokens(&map, in, err));
    TRY_DONE(hf_write_json(directory, "special_tokens_map.json", map, err));
    if (in->added_tokens) TRY_DONE(hf_write_json(directory, "added_tokens.json", in->added_tokens, err));
    if (in->dialogue_template) TRY_DONE(hf_write_json(directory, "dialogue_template.json", in->dialogue_template, err));
done:
    json_decref(tokenizer);
    json_decref(config);
    json_decref(map);
    return status;
}

sc_status hf_write_from_gguf(const char *directory, const struct job *j, const struct model_file *in, sc_error *err)
{
    TRY(write_configs(directory, j, in, err));
    return write_tokenizer(directory, j, in, err);
}

/* ---- from a directory ------------------------------------------------------------------------------------------------------------- */

sc_status hf_copy_file(const char *to_directory, const char *from_directory, const char *name, sc_error *err)
{
    char *from = path_join(from_directory, name), *to = path_join(to_directory, name);
    struct mapped_file f = { 0 };
    sc_status status = SC_OK;
    if (!path_exists(from)) goto done;
    TRY_DONE(file_map(&f, from, err));
    TRY_DONE(file_write(to, f.data, f.size, err));
done:
    file_unmap(&f);
    mem_free(from);
    mem_free(to);
    return status;
}

const char *const hf_companions[] = {
    "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "dialogue_template.json",
    "chat_template.jinja", "chat_template.json", "vocab.json", "merges.txt", NULL,
};

sc_status hf_write_from_hf(const char *directory, const struct job *j, const struct model_file *in, sc_error *err)
{
    for (size_t i = 0; hf_companions[i]; i++) TRY(hf_copy_file(directory, in->path, hf_companions[i], err));
    json_t *config = json_deep_copy(in->config);
    sc_status status = hf_write_config(directory, j, config, err);
    json_decref(config);
    return status;
}
