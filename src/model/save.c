/* save.c - writes a model as it stands in memory: trained weights, adapters added to their matrices, token rows behind
 * the vocabulary. What is still as the base file has it is copied from there, bit for bit; the rest is made row by row,
 * so that memory stays small. */
#include "model/convert_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ADDED_COLUMNS = 256 };

struct saving { const struct model *m; bool with_adapters; };

/* ---- rows --------------------------------------------------------------------------------------------------------------------- */

/* out += scale * (row `row` of B) A; the change is summed by itself first. */
static void add_adapter(float *out, const struct lora *l, size_t row)
{
    size_t cols = l->a.w.cols, r = l->a.w.rows;
    const float *b = tensor_f32(&l->b.w) + row * r, *a = tensor_f32(&l->a.w);
    for (size_t from = 0; from < cols; from += ADDED_COLUMNS) {
        size_t n = cols - from < ADDED_COLUMNS ? cols - from : ADDED_COLUMNS;
        float change[ADDED_COLUMNS] = { 0 };
        for (size_t k = 0; k < r; k++)
            for (size_t j = 0; j < n; j++) change[j] += b[k] * a[k * cols + from + j];
        for (size_t j = 0; j < n; j++) out[from + j] += l->scale * change[j];
    }
}

static const struct tensor *vector_of(const struct model *m, const struct out_tensor *t)
{
    const void *at = model_role((struct model *)(uintptr_t)m, t->row->role, t->layer);
    const struct norm *norm = at;
    const struct weight *weight = at;
    if (t->row->flags & WF_NORM) return t->is_bias ? &norm->bias : &norm->gain;
    return &weight->bias;
}

static const struct weight *weight_of(const struct model *m, const struct out_tensor *t)
{
    return model_role((struct model *)(uintptr_t)m, t->row->role, t->layer);
}

static void make_row(const struct job *j, const struct out_tensor *t, size_t row, float *out)
{
    const struct saving *s = j->from;
    if (!t->row) { rope_divisors(j->config, out); return; }
    if (t->is_vector) {
        const float *v = tensor_f32(vector_of(s->m, t));
        for (size_t i = 0; i < t->cols; i++) out[i] = v[row_source(j->config, t->order, i)];
        return;
    }
    const struct weight *w = weight_of(s->m, t);
    const struct tensor *extra = t->row->role == W_HEAD ? &s->m->extra_head : &s->m->extra;
    size_t from = row_source(j->config, t->order, row);
    if (row >= w->w.rows) { memcpy(out, tensor_f32(extra) + (row - w->w.rows) * t->cols, t->cols * sizeof *out); return; }
    dtypes[w->w.dtype].to_f32(out, tensor_row(&w->w, from), t->cols);
    if (s->with_adapters && w->lora) add_adapter(out, w->lora, from);
}

/* ---- tensors ------------------------------------------------------------------------------------------------------------------ */

static enum dtype kept_type(const struct out_tensor *t, const struct file_tensor *base, enum model_kind to)
{
    if (t->is_vector && to == MODEL_GGUF) return DTYPE_F32;
    return to == MODEL_HF && !dtypes[base->dtype].safetensors ? DTYPE_F32 : base->dtype;
}

static const struct file_tensor *base_tensor(const struct model_file *base, const struct out_tensor *t)
{
    char name[96];
    weight_name(name, t->row, base->kind, t->layer, t->is_bias);
    return weight_find(base, name);
}

static bool is_there(const struct model *m, const struct out_tensor *t)
{
    return t->is_vector ? vector_of(m, t)->data != NULL : weight_of(m, t)->w.data != NULL;
}

static sc_status be_there(const struct job *j, const struct out_tensor *t, sc_error *err)
{
    bool is_of_block = t->row && role_is_per_layer(t->row->role);
    return is_of_block ? model_fetch_block(((const struct saving *)j->from)->m, t->layer, err) : SC_OK;
}

static void list_tensors(struct job *j, const struct model_file *base, const struct target *target, enum model_kind to)
{
    const struct saving *s = j->from;
    const struct file_tensor *embedding = NULL;
    size_t n = 0;
    job_list(j, to);
    for (size_t i = 0; i < j->n; i++) {
        struct out_tensor t = j->tensors[i];
        if (!is_there(s->m, &t)) continue;
        t.source = base_tensor(base, &t);
        if (t.row->role == W_EMBED) embedding = t.source;
        t.order = row_order_between(j->config, t.row, s->m->kind, to);
        t.dtype = target ? type_for(j, &t, target, to) : kept_type(&t, t.source ? t.source : embedding, to);   /* a head of its own was tied before */
        const struct weight *w = t.is_vector ? NULL : weight_of(s->m, &t);
        t.is_made = !w || !t.source || w->w.data != t.source->data || (s->with_adapters && w->lora);
        j->tensors[n++] = t;
    }
    j->n = n;
    if (to == MODEL_GGUF) job_add_divisors(j, base);
}

/* ---- files beside the weights ----------------------------------------------------------------------------------------------------- */

/* Training switches the cache off in memory and in some bases' files; a finished model is for generating. */
static sc_status allow_cache(const char *directory, sc_error *err)
{
    json_t *config = NULL;
    char *path = path_join(directory, "config.json");
    sc_status status = json_read_file(&config, path, 4u << 20, err);
    if (status == SC_OK && json_is_false(json_object_get(config, "use_cache"))) {
        json_object_set_new(config, "use_cache", json_true());
        status = hf_write_json(directory, "config.json", config, err);
    }
    json_decref(config);
    mem_free(path);
    return status;
}

/* A template of the base in a file of its own would win over the one in a new tokenizer_config.json. */
static void remove_templates(const char *directory)
{
    static const char *const names[] = { "chat_template.jinja", "chat_template.json" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = path_join(directory, names[i]);
        unlink(path);
        mem_free(path);
    }
}

static sc_status write_jsons(const char *directory, const struct job *j, const struct model_file *base, const struct save_extra *extras, sc_error *err)
{
    TRY(base->kind == MODEL_HF ? hf_write_from_hf(directory, j, base, err) : hf_write_from_gguf(directory, j, base, err));
    TRY(allow_cache(directory, err));
    for (const struct save_extra *e = extras; e && e->name; e++) {
        if (!strcmp(e->name, "tokenizer_config.json")) remove_templates(directory);
        TRY(hf_write_json(directory, e->name, e->value, err));
    }
    return SC_OK;
}

static bool is_kept_key(const char *key)
{
    static const char *const made[] = { "general.architecture", "general.type", "general.name", "general.file_type", "general.quantization_version", "general.alignment" };
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        if (!strcmp(key, made[i])) return false;
    return !strncmp(key, "general.", 8);
}

/* The keys of a GGUF file come from a directory that holds everything but weights, for as long as it takes to read it. */
static sc_status put_keys(struct gguf_writer *w, struct job *j, const char *path, const struct model_file *base, const struct save_extra *extras, sc_error *err)
{
    struct output source = { 0 };
    struct model_file *in = NULL;
    struct buf name;
    buf_init(&name, 0);
    buf_printf(&name, "%s.source", path);
    sc_status status;
    TRY_DONE(output_open(&source, name.data, true, err));
    TRY_DONE(write_jsons(source.building, j, base, extras, err));
    TRY_DONE(model_file_open(&in, source.building, true, err));
    TRY_DONE(gguf_put_from_hf(w, j, in, err));
    for (size_t i = 0; i < base->n_values; i++)
        if (is_kept_key(base->values[i].key)) gguf_put_value(w, &base->values[i]);
done:
    model_file_close(in);
    output_discard(&source);
    buf_release(&name);
    return status;
}

static sc_status write_gguf(struct job *j, const char *path, const struct model_file *base, const struct target *target, const struct model_save_config *c, sc_error *err)
{
    struct gguf_writer *w = NULL;
    TRY(gguf_writer_open(&w, path, true, err));
    sc_status status = put_keys(w, j, path, base, c->extras, err);
    if (status != SC_OK) { gguf_writer_discard(w); return status; }
    gguf_put_file_type(w, file_type_of(j, target));
    if (c->lineage) lineage_put(w, c->lineage);
    return output_put_gguf(j, w, err);
}

sc_status model_save(const struct model *m, const struct model_file *base, const struct model_save_config *c, sc_error *err)
{
    const struct target *target = c->type && c->type[0] ? target_by_name(c->type) : NULL;
    struct saving s = { m, c->with_adapters };
    struct model_config config = m->config;
    struct output out = { 0 };
    struct job j = { .what = "save", .path = c->out, .config = &config, .pool = c->pool, .cancel = c->cancel, .on_event = c->on_event, .user = c->user, .make_row = make_row, .before = be_there, .from = &s };
    sc_status status;
    if (c->type && c->type[0] && !target) return FAIL(err, SC_E_ARGUMENT, "unknown storage type %s; known are f32 f16 bf16 q8_0 q4_0 q4_1 q5_0 q5_1 q4_k_m q5_k_m q6_k", c->type);
    config.vocab = model_vocab(m);
    TRY_DONE(output_open(&out, c->out, c->overwrite, err));
    TRY_DONE(job_check_paths(base->path, c->out, out.kind, target, err));
    if (out.kind == MODEL_HF) TRY_DONE(job_restore_scaling(&config, base, err));
    list_tensors(&j, base, target, out.kind);
    if (target) job_note_fallbacks(&j, target, out.kind);
    if (out.kind == MODEL_GGUF) {
        TRY_DONE(write_gguf(&j, out.path, base, target, c, err));
    } else {
        TRY_DONE(output_put_safetensors(&j, out.building, err));
        TRY_DONE(write_jsons(out.building, &j, base, c->extras, err));
        if (c->lineage) TRY_DONE(lineage_write(out.building, c->lineage, err));
    }
    TRY_DONE(output_publish(&out, err));
    TRY_DONE(job_check_result(&j, out.path, err));
done:
    output_discard(&out);
    job_release(&j);
    if (config.rope_scaling != m->config.rope_scaling) json_decref(config.rope_scaling);
    return status;
}
