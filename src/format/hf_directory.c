/* hf_directory.c - a model directory as the Hugging Face Hub lays it out: config.json, its companions, the chat
 * template in one of its three places, and model.safetensors or shards with an index. Pickles (pytorch_model.bin) are
 * not read: unpickling can run code. Source: transformers and huggingface_hub conventions. */
#include "format/format_internal.h"

static const size_t MAX_TEMPLATE = 4u << 20, MAX_INDEX = 128u << 20;

/* A string, or a list of {name, template} of which "default" counts; none of them leaves the model without. */
static sc_status template_from_json(struct model_file *m, const json_t *value, const char *where, sc_error *err)
{
    if (!value || json_is_null(value)) return SC_OK;
    if (json_is_string(value)) return model_file_set_template(m, json_string_value(value), json_string_length(value), where, err);
    if (!json_is_array(value)) return FAIL(err, SC_E_FORMAT, "%s: \"chat_template\" is neither a string nor a list", where);
    size_t i;
    json_t *item;
    json_array_foreach(value, i, item) {
        const json_t *name = json_object_get(item, "name"), *source = json_object_get(item, "template");
        if (!json_is_string(name) || !json_is_string(source))
            return FAIL(err, SC_E_FORMAT, "%s: entry %zu of \"chat_template\" has no name and template", where, i);
        if (strcmp(json_string_value(name), "default") == 0)
            return model_file_set_template(m, json_string_value(source), json_string_length(source), where, err);
    }
    return SC_OK;
}

static sc_status template_from_file(struct model_file *m, const char *path, sc_error *err)
{
    sc_text text = { 0 };
    TRY(file_read(&text, path, MAX_TEMPLATE, err));
    sc_status status = SC_OK;
    if (!utf8_is_valid(text.data, text.len)) status = FAIL(err, SC_E_FORMAT, "%s is not UTF-8", path);
    else status = model_file_set_template(m, text.data, text.len, path, err);
    sc_text_free(&text);
    return status;
}

static sc_status template_read(struct model_file *m, sc_error *err)
{
    char *jinja = path_join(m->path, "chat_template.jinja"), *where = NULL;
    json_t *file = NULL;
    sc_status status = SC_OK;
    if (path_exists(jinja)) {
        status = template_from_file(m, jinja, err);
        goto done;
    }
    TRY_DONE(model_json_file(&file, m, "chat_template.json", MAX_TEMPLATE, err));
    where = path_join(m->path, file ? "chat_template.json" : "tokenizer_config.json");
    status = template_from_json(m, json_object_get(file ? file : m->tokenizer_config, "chat_template"), where, err);
done:
    json_decref(file);
    mem_free(where);
    mem_free(jinja);
    return status;
}

static sc_status file_append(struct model_file *m, const char *name, sc_error *err)
{
    char *path = path_join(m->path, name);
    struct mapped_file f;
    sc_status status = model_file_map(m, &f, path, err);
    if (status == SC_OK) status = safetensors_parse(m, f.data, f.size, path, err);
    mem_free(path);
    return status;
}

/* Some writers list a tied output matrix in the index although it is stored once, under the embedding's name. */
static bool may_be_alias(const char *tensor) { return strcmp(tensor, "lm_head.weight") == 0; }

/* Tensors first..m->n_tensors-1 came from one shard; entries begin..end-1 are what the index says of it. */
static sc_status shard_compare(struct model_file *m, size_t first, const struct shard_entry *e, size_t n, const char *what, sc_error *err)
{
    char q[96];
    size_t count = m->n_tensors - first;
    struct name_entry *held = mem_alloc(count * sizeof *held);
    struct name_entry *listed = mem_alloc(n * sizeof *listed);
    sc_status status = SC_OK;
    for (size_t i = 0; i < count; i++) held[i] = (struct name_entry) { m->tensors[first + i].name, i };
    for (size_t i = 0; i < n; i++) listed[i] = (struct name_entry) { e[i].tensor, i };    /* sorted already */
    (void)name_index_sort(held, count);              /* doubles are found by the index over all tensors */
    for (size_t i = 0; i < n && status == SC_OK; i++)
        if (!name_index_find(held, count, e[i].tensor) && !may_be_alias(e[i].tensor))
            status = FAIL(err, SC_E_FORMAT, "%s: tensor \"%s\" is said to be in %s, which does not hold it", what, error_quote(q, sizeof q, e[i].tensor, strlen(e[i].tensor)), e[0].file);
    for (size_t i = 0; i < count && status == SC_OK; i++)
        if (!name_index_find(listed, n, held[i].name))
            status = FAIL(err, SC_E_FORMAT, "%s does not list the tensor \"%s\", which is in %s", what, error_quote(q, sizeof q, held[i].name, strlen(held[i].name)), e[0].file);
    mem_free(held);
    mem_free(listed);
    return status;
}

static sc_status shards_read(struct model_file *m, const char *index_path, sc_error *err)
{
    struct shard_index index = { 0 };
    struct mapped_file text = { 0 };
    sc_status status;
    TRY_DONE(file_map(&text, index_path, err));
    if (text.size > MAX_INDEX) { status = FAIL(err, SC_E_FORMAT, "%s is larger than the %zu bytes allowed for an index", index_path, MAX_INDEX); goto done; }
    TRY_DONE(shard_index_parse(&index, text.data ? (const char *)text.data : "", text.size, index_path, err));
    for (size_t i = 0, end; i < index.n; i = end) {
        size_t first = m->n_tensors;
        for (end = i + 1; end < index.n && strcmp(index.entries[end].file, index.entries[i].file) == 0;) end++;
        TRY_DONE(file_append(m, index.entries[i].file, err));
        TRY_DONE(shard_compare(m, first, index.entries + i, end - i, index_path, err));
    }
done:
    shard_index_release(&index);
    file_unmap(&text);
    return status;
}

static bool has_pickle(const struct model_file *m)
{
    static const char *const names[] = { "pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth" };
    bool found = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !found; i++) {
        char *path = path_join(m->path, names[i]);
        found = path_exists(path);
        mem_free(path);
    }
    return found;
}

static sc_status weights_read(struct model_file *m, bool headers_only, sc_error *err)
{
    char *single = path_join(m->path, "model.safetensors"), *index = path_join(m->path, "model.safetensors.index.json");
    sc_status status = SC_OK;
    if (path_exists(single)) status = file_append(m, "model.safetensors", err);
    else if (path_exists(index)) status = shards_read(m, index, err);
    else if (has_pickle(m))
        status = FAIL(err, SC_E_UNSUPPORTED, "%s has its weights as pytorch_model.bin, a pickle that can run code when read; save them as safetensors "
                      "(transformers: model.save_pretrained(directory, safe_serialization=True))", m->path);
    else if (!headers_only) status = FAIL(err, SC_E_IO, "%s has neither model.safetensors nor model.safetensors.index.json", m->path);
    mem_free(single);
    mem_free(index);
    return status;
}

sc_status hf_directory_open(struct model_file *m, bool headers_only, sc_error *err)
{
    TRY(model_json_files(m, "config.json", err));
    TRY(template_read(m, err));
    return weights_read(m, headers_only, err);
}

/* ---- adapters --------------------------------------------------------------------------------------------------------------- */

static bool holds(const char *directory, const char *name)
{
    char *path = path_join(directory, name);
    bool there = path_exists(path);
    mem_free(path);
    return there;
}

bool adapter_is_at(const char *path)
{
    return path_is_directory(path) && holds(path, "adapter_config.json") && !holds(path, "config.json");
}

sc_status hf_adapter_open(struct model_file *m, sc_error *err)
{
    TRY(model_json_files(m, "adapter_config.json", err));
    TRY(template_read(m, err));
    if (holds(m->path, "adapter_model.safetensors")) return file_append(m, "adapter_model.safetensors", err);
    if (holds(m->path, "adapter_model.bin"))
        return FAIL(err, SC_E_UNSUPPORTED, "%s has its tensors as adapter_model.bin, a pickle that can run code when read; save them as safetensors "
                    "(PEFT: model.save_pretrained(directory, safe_serialization=True))", m->path);
    return FAIL(err, SC_E_IO, "%s has no adapter_model.safetensors", m->path);
}
