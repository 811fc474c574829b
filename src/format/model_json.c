/* model_json.c - the JSON objects that belong to a model: files of a Hugging Face directory, or texts that a GGUF file
 * carries under keys of their own (see format.h). */
#include "format/format_internal.h"

#include <stddef.h>

#define KEY "starchat.file."
enum { SMALL = 4 << 20, LARGE = 16 << 20 };

const struct model_json model_jsons[] = {
    { "config.json", offsetof(struct model_file, config), SMALL },
    { "generation_config.json", offsetof(struct model_file, generation_config), SMALL },
    { "tokenizer_config.json", offsetof(struct model_file, tokenizer_config), LARGE },
    { "special_tokens_map.json", offsetof(struct model_file, special_tokens_map), SMALL },
    { "added_tokens.json", offsetof(struct model_file, added_tokens), LARGE },
    { "dialogue_template.json", offsetof(struct model_file, dialogue_template), SMALL },
    { "tokenizer.json", offsetof(struct model_file, tokenizer), 0 },
    { NULL, 0, 0 },
};

static json_t **slot(struct model_file *m, const struct model_json *j) { return (json_t **)(void *)((char *)m + j->member); }

sc_status model_json_file(json_t **out, const struct model_file *m, const char *name, size_t max_bytes, sc_error *err)
{
    char *path = path_join(m->path, name);
    sc_status status = SC_OK;
    if (path_exists(path)) {
        status = json_read_file(out, path, max_bytes, err);
        if (status == SC_OK && !json_is_object(*out)) status = FAIL(err, SC_E_FORMAT, "%s is no JSON object", path);
    }
    mem_free(path);
    return status;
}

/* A tokenizer.json is left to the tokenizer, which reads its vocabulary in place. */
sc_status model_json_files(struct model_file *m, const char *config, sc_error *err)
{
    for (const struct model_json *j = model_jsons; j->name; j++) {
        bool is_config = j == model_jsons;
        if (j->max_bytes) TRY(model_json_file(slot(m, j), m, is_config ? config : j->name, j->max_bytes, err));
        if (m->config) continue;
        if (adapter_is_at(m->path)) return FAIL(err, SC_E_UNSUPPORTED, "%s is an adapter, not a whole model; merge it into its base first", m->path);
        return FAIL(err, SC_E_IO, "%s has no %s, so it is no %s directory", m->path, config, strcmp(config, j->name) ? "adapter" : "model");
    }
    return SC_OK;
}

static sc_status key_read(json_t **out, const struct model_file *m, const char *key, sc_error *err)
{
    struct gguf_string text;
    TRY(gguf_opt_string(&text, m, key, err));
    if (!text.text) return SC_OK;
    sc_status status = json_read(out, text.text, text.len, key, err);
    if (status == SC_OK && !json_is_object(*out)) status = FAIL(err, SC_E_FORMAT, "%s is no JSON object", key);
    return status == SC_OK ? SC_OK : error_prefix(err, status, "%s", m->path);
}

sc_status model_json_keys(struct model_file *m, sc_error *err)
{
    sc_status status = SC_OK;
    for (const struct model_json *j = model_jsons; j->name && status == SC_OK; j++) {
        struct buf key;
        buf_init(&key, 0);
        buf_printf(&key, KEY "%s", j->name);
        status = key_read(slot(m, j), m, key.data, err);
        buf_release(&key);
    }
    return status;
}

void model_json_release(struct model_file *m)
{
    for (const struct model_json *j = model_jsons; j->name; j++) json_decref(*slot(m, j));
}

void gguf_put_json(struct gguf_writer *w, const char *name, const json_t *value)
{
    sc_text text = { 0 };
    struct buf key;
    if (!value || json_write(&text, value, false) != SC_OK) return;
    buf_init(&key, 0);
    buf_printf(&key, KEY "%s", name);
    gguf_put_string(w, key.data, text.data, text.len);
    buf_release(&key);
    sc_text_free(&text);
}

void gguf_put_jsons(struct gguf_writer *w, const struct model_file *from)
{
    for (const struct model_json *j = model_jsons; j->name; j++)
        if (j->max_bytes) gguf_put_json(w, j->name, *slot((struct model_file *)from, j));
}
