/* init.c - a model with random weights from a config.json: to train from nothing, and to try a geometry without its
 * weights. Numbers follow transformers: matrices and embeddings from N(0, initializer_range), matrices that write into
 * the residual stream divided by sqrt(2 * layers) where the architecture does so, norms one, biases zero. Number i of
 * tensor t is number i of the Philox stream (seed, t), so the result does not depend on threads. */
#include "model/convert_internal.h"

#include <string.h>

#define TYPES "f32|f16|bf16|q8_0|q4_0|q4_1|q5_0|q5_1|q4_k_m|q5_k_m|q6_k"
static const struct option rows[] = {
    { "tokenizer", OPT_STRING, offsetof(sc_init_config, tokenizer), 0, 0, "", NULL, "tokenizer.json to take in, or a directory that holds one" },
    { "type", OPT_CHOICE, offsetof(sc_init_config, type), 0, 0, "f32", TYPES, "storage type of the matrices; a directory holds f32, f16 or bf16" },
    { "seed", OPT_UINT, offsetof(sc_init_config, seed), 0, 0, "0", NULL, "the same seed gives the same weights" },
    { "overwrite", OPT_BOOL, offsetof(sc_init_config, overwrite), 0, 0, "false", NULL, "replace what is there" },
};
const struct sc_options init_options = { "init", sizeof(sc_init_config), rows, sizeof rows / sizeof *rows };

static void make_random(const struct job *j, const struct out_tensor *t, size_t row, float *out)
{
    if (t->is_vector) {
        float value = !t->row ? 0 : t->is_bias ? 0 : 1;
        for (size_t i = 0; i < t->cols; i++) out[i] = value;
        if (!t->row) rope_divisors(j->config, out);
        return;
    }
    double scale = j->config->initializer_range * (t->row->flags & WF_RESIDUAL ? j->config->init_residual_scale : 1);
    uint64_t stream = (uint64_t)t->layer * ROLE_COUNT + (uint64_t)t->row->role;
    random_normal(out, t->cols, j->seed, stream, (uint64_t)row * t->cols);
    for (size_t i = 0; i < t->cols; i++) out[i] *= (float)scale;
}

/* Without a class, transformers takes one by the architecture, and some of these put their own rules in place of the file's. */
static sc_status write_tokenizer_class(const struct job *j, const char *directory, sc_error *err)
{
    char *path = path_join(directory, "tokenizer_config.json");
    sc_status status = SC_OK;
    if (!path_exists(path)) {
        json_t *config = json_pack("{s:s, s:I}", "tokenizer_class", "PreTrainedTokenizerFast", "model_max_length", (json_int_t)j->config->context);
        status = hf_write_json(directory, "tokenizer_config.json", config, err);
        json_decref(config);
    }
    mem_free(path);
    return status;
}

/* tokenizer.json, and the files of its directory that a model directory has too. */
static sc_status copy_tokenizer(const struct job *j, const char *tokenizer, const char *directory, sc_error *err)
{
    sc_text text = { 0 };
    bool is_directory = path_is_directory(tokenizer);
    char *from = is_directory ? path_join(tokenizer, "tokenizer.json") : mem_strdup(tokenizer), *to = path_join(directory, "tokenizer.json");
    sc_status status = file_read(&text, from, 64u << 20, err);
    if (status == SC_OK) status = file_write(to, text.data, text.len, err);
    mem_free(from);
    mem_free(to);
    sc_text_free(&text);
    for (size_t i = 0; is_directory && status == SC_OK && hf_companions[i]; i++) status = hf_copy_file(directory, tokenizer, hf_companions[i], err);
    return status == SC_OK ? write_tokenizer_class(j, directory, err) : status;
}

/* config.json and the tokenizer in a directory, which then also serves as the source of GGUF keys. */
static sc_status write_files(struct job *j, const char *directory, json_t *config, const char *tokenizer, sc_error *err)
{
    TRY(hf_write_config(directory, j, config, err));
    return tokenizer && tokenizer[0] ? copy_tokenizer(j, tokenizer, directory, err) : SC_OK;
}

/* The keys of a GGUF file come from a directory that holds everything but weights, for as long as it takes to read it. */
static sc_status put_keys(struct gguf_writer *w, struct job *j, const char *path, json_t *config, const sc_init_config *c, sc_error *err)
{
    struct output source = { 0 };
    struct model_file *in = NULL;
    struct buf name;
    buf_init(&name, 0);
    buf_printf(&name, "%s.source", path);
    sc_status status;
    TRY_DONE(output_open(&source, name.data, true, err));
    TRY_DONE(write_files(j, source.building, config, c->tokenizer, err));
    TRY_DONE(model_file_open(&in, source.building, true, err));
    TRY_DONE(gguf_put_from_hf(w, j, in, err));
done:
    model_file_close(in);
    output_discard(&source);
    buf_release(&name);
    return status;
}

/* Nothing went in: weights are drawn. */
static json_t *describe_lineage(const sc_init_config *c)
{
    json_t *record = lineage_new("init");
    json_object_set_new(record, "seed", json_integer((json_int_t)(c->seed & INT64_MAX)));
    return record;
}

static sc_status write_directory(struct job *j, const char *directory, json_t *config, const sc_init_config *c, sc_error *err)
{
    TRY(output_put_safetensors(j, directory, err));
    TRY(write_files(j, directory, config, c->tokenizer, err));
    json_t *lineage = describe_lineage(c);
    sc_status status = lineage_write(directory, lineage, err);
    json_decref(lineage);
    return status;
}

static sc_status write_gguf(struct job *j, const char *path, json_t *config, const sc_init_config *c, const struct target *target, sc_error *err)
{
    struct gguf_writer *w = NULL;
    TRY(gguf_writer_open(&w, path, true, err));
    sc_status status = put_keys(w, j, path, config, c, err);
    if (status != SC_OK) { gguf_writer_discard(w); return status; }
    gguf_put_file_type(w, file_type_of(j, target));
    json_t *lineage = describe_lineage(c);
    lineage_put(w, lineage);
    json_decref(lineage);
    return output_put_gguf(j, w, err);
}

static void list_tensors(struct job *j, const struct target *target, enum model_kind kind)
{
    size_t n = 0;
    job_list(j, kind);
    for (size_t i = 0; i < j->n; i++) {
        struct out_tensor t = j->tensors[i];
        bool is_mlp = t.row->role >= W_NORM2;
        if (t.is_bias && !(t.row->flags & WF_BIAS) && !(is_mlp ? j->config->mlp_bias : j->config->attention_bias)) continue;
        t.dtype = type_for(j, &t, target, kind);
        j->tensors[n++] = t;
    }
    j->n = n;
    if (kind == MODEL_GGUF) job_add_divisors(j, NULL);
}

sc_status model_init(const sc_init_config *c, struct pool *pool, const atomic_int *cancel, sc_error *err)
{
    const struct target *target = target_by_name(c->type && c->type[0] ? c->type : "f32");
    struct model_config config = { 0 };
    struct output out = { 0 };
    struct job j = { .what = "init", .path = c->out, .config = &config, .pool = pool, .cancel = cancel, .on_event = c->on_event, .user = c->user, .make_row = make_random, .seed = c->seed };
    json_t *json = NULL;
    sc_status status;
    if (!target) return FAIL(err, SC_E_ARGUMENT, "unknown storage type %s; known are " TYPES, c->type);
    TRY_DONE(json_read_file(&json, c->config, 4u << 20, err));
    TRY_DONE(model_config_from_json(&config, json, c->config, err));
    TRY_DONE(output_open(&out, c->out, c->overwrite, err));
    if (out.kind == MODEL_HF && !dtypes[target->matrix].safetensors) {
        status = FAIL(err, SC_E_ARGUMENT, "a directory holds f32, f16 or bf16, not %s; give the result a name that ends in .gguf", target->name);
        goto done;
    }
    list_tensors(&j, target, out.kind);
    job_note_fallbacks(&j, target, out.kind);
    TRY_DONE(out.kind == MODEL_GGUF ? write_gguf(&j, out.path, json, c, target, err) : write_directory(&j, out.building, json, c, err));
    TRY_DONE(output_publish(&out, err));
done:
    json_decref(json);
    output_discard(&out);
    job_release(&j);
    model_config_release(&config);
    return status;
}
