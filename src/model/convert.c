/* convert.c - a model from one form to another: Hugging Face directory or GGUF file, any storage type.
 *
 * One walk over the architecture's weight roles gives the list of tensors, where each comes from, in which type it goes
 * out and how its rows are ordered there. "Keep" (no type given) keeps the type of every matrix; a directory cannot
 * hold block types, so they become f32, which represents every one of their values exactly. */
#include "model/convert_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TYPES "|f32|f16|bf16|q8_0|q4_0|q4_1|q5_0|q5_1|q4_k_m|q5_k_m|q6_k"
static const struct option rows[] = {
    { "type", OPT_CHOICE, offsetof(sc_convert_config, type), 0, 0, "", TYPES, "storage type of the matrices; empty: keep (a directory holds f32 instead of block types)" },
    { "calibrate", OPT_STRING, offsetof(sc_convert_config, calibrate), 0, 0, "", NULL, "text file; columns that it makes large lose least: an importance matrix" },
    { "calibrate_tokens", OPT_INT, offsetof(sc_convert_config, calibrate_tokens), 0, 1 << 30, "16384", NULL, "most tokens of that text; 0: all" },
    { "imatrix", OPT_STRING, offsetof(sc_convert_config, imatrix), 0, 0, "", NULL, "GGUF file of the importance matrix: written with --calibrate, else read" },
    { "overwrite", OPT_BOOL, offsetof(sc_convert_config, overwrite), 0, 0, "false", NULL, "replace what is there" },
};
const struct sc_options convert_options = { "convert", sizeof(sc_convert_config), rows, sizeof rows / sizeof *rows };

/* ---- tensors ------------------------------------------------------------------------------------------------------------------ */

/* Keeps the type of a matrix as far as the output can hold it. */
static enum dtype kept_type(const struct out_tensor *t, enum model_kind to)
{
    if (t->is_vector && to == MODEL_GGUF) return DTYPE_F32;
    return to == MODEL_HF && !dtypes[t->source->dtype].safetensors ? DTYPE_F32 : t->source->dtype;
}

/* Finds the source of every listed tensor and drops optional ones that the input lacks. */
static sc_status bind_sources(struct job *j, const struct model_file *in, const struct target *target, enum model_kind to, sc_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < j->n; i++) {
        struct out_tensor t = j->tensors[i];
        char name[96];
        weight_name(name, t.row, in->kind, t.layer, t.is_bias);
        t.source = weight_find(in, name);
        if (!t.source && t.is_bias && !(t.row->flags & WF_BIAS)) continue;
        if (!t.source) return FAIL(err, SC_E_FORMAT, "%s: the tensor %s is missing", in->path, name);
        TRY(weight_check_shape(t.source, t.rows, t.cols, in->path, err));
        t.order = row_order_between(j->config, t.row, in->kind, to);
        t.dtype = target ? type_for(j, &t, target, to) : kept_type(&t, to);
        j->tensors[n++] = t;
    }
    j->n = n;
    return SC_OK;
}

static void make_divisors(const struct job *j, const struct out_tensor *t, size_t row, float *out)
{
    (void)t; (void)row;
    rope_divisors(j->config, out);
}

/* Tensors that no role names are not carried over: say so, apart from those that are expected. */
static void note_unused(const struct job *j, const struct model_file *in)
{
    size_t n = 0;
    const char *first = NULL;
    for (size_t i = 0; i < in->n_tensors; i++) {
        bool is_used = j->config->is_tied && !strcmp(in->tensors[i].name, "lm_head.weight");
        for (size_t k = 0; k < j->n && !is_used; k++) is_used = j->tensors[k].source == &in->tensors[i];
        if (is_used || !strcmp(in->tensors[i].name, "rope_freqs.weight")) continue;
        if (!first) first = in->tensors[i].name;
        n++;
    }
    char q[96];
    if (first) job_note(j, "%zu tensors that the architecture does not use are left out, the first is %s", n, error_quote(q, sizeof q, first, strlen(first)));
}

/* ---- output --------------------------------------------------------------------------------------------------------------------- */

static bool is_key_renewed(const char *key)
{
    return !strcmp(key, "general.file_type") || !strcmp(key, "general.quantization_version") || !strncmp(key, "split.", 6) || !strncmp(key, "quantize.imatrix.", 17) || !strcmp(key, LINEAGE_KEY) || !strcmp(key, GGUF_SEAL_KEY);
}

/* Where the weights of the columns came from, as llama.cpp tells it. */
static void put_importance(struct gguf_writer *w, const struct imatrix *m)
{
    if (m->dataset) gguf_put_string(w, "quantize.imatrix.dataset", m->dataset, strlen(m->dataset));
    gguf_put_uint32(w, "quantize.imatrix.entries_count", (uint32_t)m->n);
    gguf_put_uint32(w, "quantize.imatrix.chunks_count", (uint32_t)m->chunks);
}

static sc_status write_gguf(struct job *j, const struct model_file *in, const struct target *target, const struct imatrix *importance, json_t *lineage, const char *path, sc_error *err)
{
    struct gguf_writer *w = NULL;
    TRY(gguf_writer_open(&w, path, true, err));
    sc_status status = SC_OK;
    if (in->kind == MODEL_HF) status = gguf_put_from_hf(w, j, in, err);
    else
        for (size_t i = 0; i < in->n_values; i++)
            if (!is_key_renewed(in->values[i].key)) gguf_put_value(w, &in->values[i]);
    if (status != SC_OK) { gguf_writer_discard(w); return status; }
    gguf_put_file_type(w, file_type_of(j, target));
    if (importance->n) put_importance(w, importance);
    lineage_put(w, lineage);
    return output_put_gguf(j, w, err);
}

static sc_status write_directory(struct job *j, const struct model_file *in, json_t *lineage, const char *directory, sc_error *err)
{
    TRY(output_put_safetensors(j, directory, err));
    TRY(in->kind == MODEL_HF ? hf_write_from_hf(directory, j, in, err) : hf_write_from_gguf(directory, j, in, err));
    return lineage_write(directory, lineage, err);
}

/* First setting that reads differently from the result; NULL if none. */
static const char *changed_setting(const struct model_config *a, const struct model_config *b)
{
    if (a->vocab != b->vocab || a->embd != b->embd || a->layers != b->layers || a->inner != b->inner || a->context != b->context) return "a size";
    if (a->heads != b->heads || a->kv_heads != b->kv_heads || a->head_dim != b->head_dim) return "the number of attention heads";
    if (a->eps != b->eps) return "the epsilon of the norms";
    if (a->gelu != b->gelu) return "the form of the activation function";
    if (a->attention_scale != b->attention_scale) return "the attention scale";
    if (a->is_tied != b->is_tied) return "the tied head";
    for (size_t i = 0; i < a->layers; i++) {
        bool wa = a->window && (!a->is_windowed || a->is_windowed[i]), wb = b->window && (!b->is_windowed || b->is_windowed[i]);
        if (wa != wb || (wa && a->window != b->window)) return "the sliding window";
    }
    if (a->rope.dims != b->rope.dims || a->rope.magnitude != b->rope.magnitude) return "the rotary scaling";
    for (size_t i = 0; i < a->rope.dims / 2; i++)
        if (fabs(a->rope.frequency[i] - b->rope.frequency[i]) > 1e-6 * fabs(a->rope.frequency[i])) return "the rotary frequencies";
    return NULL;
}

sc_status job_check_result(const struct job *j, const char *path, sc_error *err)
{
    struct model_file *f = NULL;
    struct model_config c;
    TRY(model_file_open(&f, path, false, err));
    sc_status status = model_config_read(&c, f, err);
    if (status == SC_OK) {
        const char *what = changed_setting(j->config, &c);
        if (what) job_note(j, "%s cannot express %s of this model: results will differ", f->kind == MODEL_GGUF ? "GGUF" : "config.json", what);
        model_config_release(&c);
    }
    model_file_close(f);
    return status;
}

sc_status job_check_paths(const char *in, const char *out, enum model_kind to, const struct target *target, sc_error *err)
{
    char *real_in = realpath(in, NULL), *real_out = realpath(out, NULL);
    bool is_same = real_in && real_out && !strcmp(real_in, real_out);
    free(real_in);
    free(real_out);
    if (is_same) return FAIL(err, SC_E_ARGUMENT, "%s cannot be converted onto itself; choose another name for the result", in);
    if (to == MODEL_HF && target && !dtypes[target->matrix].safetensors)
        return FAIL(err, SC_E_ARGUMENT, "a directory holds f32, f16 or bf16, not %s; give the result a name that ends in .gguf", target->name);
    return SC_OK;
}

sc_status job_restore_scaling(struct model_config *c, const struct model_file *in, sc_error *err)
{
    const struct file_tensor *divisors = in->kind == MODEL_GGUF ? model_file_find(in, "rope_freqs.weight") : NULL;
    if (!divisors || c->rope_scaling) return SC_OK;
    c->rope_scaling = rope_scaling_from_divisors(c, divisors->data, c->rope.dims / 2);
    if (!c->rope_scaling) return FAIL(err, SC_E_UNSUPPORTED, "%s: no rope scaling of config.json gives its rope_freqs.weight; convert it to GGUF only", in->path);
    return SC_OK;
}

/* ---- importance ----------------------------------------------------------------------------------------------------------------- */

static bool is_given(const char *s) { return s && s[0]; }

static sc_status check_importance(const sc_convert_config *c, const struct target *target, sc_error *err)
{
    if (!is_given(c->calibrate) && !is_given(c->imatrix)) return SC_OK;
    if (!target || !dtypes[target->matrix].quantise)
        return FAIL(err, SC_E_ARGUMENT, "an importance matrix changes nothing of type %s; give a --type of fewer bits, for example q4_k_m", target ? target->name : "\"keep\"");
    if (is_given(c->calibrate) && is_given(c->imatrix) && path_exists(c->imatrix) && !c->overwrite)
        return FAIL(err, SC_E_ARGUMENT, "%s exists already; leave out --calibrate to use it, or add --overwrite to replace it", c->imatrix);
    return SC_OK;
}

static sc_status get_importance(struct imatrix *out, const sc_convert_config *c, const struct calibrator *calibrator, sc_error *err)
{
    if (!is_given(c->calibrate)) return is_given(c->imatrix) ? imatrix_read(out, c->imatrix, err) : SC_OK;
    TRY(calibrator->run(out, calibrator->user, c, err));
    return is_given(c->imatrix) ? imatrix_write(out, c->imatrix, c->overwrite, err) : SC_OK;
}

/* Gives each tensor that is to be quantised the weights of its columns, in the job's memory. A table that rows are read of
 * is not multiplied column by column. */
static sc_status bind_importance(struct job *j, const struct imatrix *m, const char *path, sc_error *err)
{
    size_t found = 0, missing = 0;
    const struct out_tensor *first = NULL;
    for (size_t i = 0; i < j->n && m->n; i++) {
        struct out_tensor *t = &j->tensors[i];
        if (!t->row || t->is_vector || !dtypes[t->dtype].quantise || t->source->dtype == t->dtype) continue;
        const struct imatrix_row *r = imatrix_find(m, t->name);
        if (r && r->cols != t->cols)
            return FAIL(err, SC_E_FORMAT, "the importance matrix %s has %zu columns for %s, which has %zu; it is of another model", path, r->cols, t->name, t->cols);
        float *weights = r ? arena_take(&j->memory, t->cols * sizeof *weights) : NULL;
        if (r && imatrix_weights(weights, r)) { t->importance = weights; found++; }
        else if (t->row->role != W_EMBED && missing++ == 0) first = t;
    }
    if (m->n && !found && first) return FAIL(err, SC_E_FORMAT, "the importance matrix %s has %zu tensors, the first is %s, but none of this model, as %s; it is of another model", path, m->n, m->rows[0].name, first->name);
    if (missing) job_note(j, "the importance matrix lacks %zu tensors, whose columns count alike; the first is %s", missing, first->name);
    return SC_OK;
}

/* What columns were weighed by: of the values themselves as a file of them has them, so that it is the same whether they were computed or read. */
static json_t *describe_importance(const struct imatrix *m)
{
    struct sha256 h;
    char hex[65];
    sha256_begin(&h);
    for (size_t i = 0; i < m->n; i++) {
        sha256_add(&h, m->rows[i].name, strlen(m->rows[i].name) + 1);
        for (size_t k = 0; k <= m->rows[i].cols; k++) {
            float value = (float)(k < m->rows[i].cols ? m->rows[i].sum[k] : m->rows[i].count);
            sha256_add(&h, &value, sizeof value);
        }
    }
    sha256_end(&h, hex);
    return json_pack("{s:s, s:s}", "name", m->dataset ? lineage_base_name(m->dataset) : "", "sha256", hex);
}

static sc_status describe_lineage(json_t **out, const sc_convert_config *c, const struct imatrix *importance, sc_error *err)
{
    *out = lineage_new("convert");
    if (is_given(c->type)) json_object_set_new(*out, "type", json_string(c->type));
    json_t *weighed = importance->n ? describe_importance(importance) : NULL;
    if (weighed) json_object_set_new(*out, "columns_weighed_by", weighed);
    return lineage_add_model(*out, "model", c->in, c->out, err);
}

sc_status model_convert(const sc_convert_config *c, const struct calibrator *calibrator, struct pool *pool, const atomic_int *cancel, sc_error *err)
{
    const struct target *target = c->type && c->type[0] ? target_by_name(c->type) : NULL;
    struct model_file *in = NULL;
    struct model_config config = { 0 };
    struct output out = { 0 };
    struct imatrix importance = { 0 };
    json_t *lineage = NULL;
    struct job j = { .what = "convert", .path = c->in, .config = &config, .pool = pool, .cancel = cancel, .on_event = c->on_event, .user = c->user, .make_row = make_divisors };
    sc_status status;
    if (c->type && c->type[0] && !target) return FAIL(err, SC_E_ARGUMENT, "unknown storage type %s; known are f32 f16 bf16 q8_0 q4_0 q4_1 q5_0 q5_1 q4_k_m q5_k_m q6_k", c->type);
    TRY_DONE(check_importance(c, target, err));
    TRY_DONE(model_file_open(&in, c->in, false, err));
    TRY_DONE(model_config_read(&config, in, err));
    TRY_DONE(output_open(&out, c->out, c->overwrite, err));
    TRY_DONE(job_check_paths(c->in, c->out, out.kind, target, err));
    if (out.kind == MODEL_HF) TRY_DONE(job_restore_scaling(&config, in, err));
    job_list(&j, out.kind);
    TRY_DONE(bind_sources(&j, in, target, out.kind, err));
    TRY_DONE(get_importance(&importance, c, calibrator, err));
    TRY_DONE(bind_importance(&j, &importance, is_given(c->imatrix) ? c->imatrix : c->calibrate, err));
    if (out.kind == MODEL_GGUF) job_add_divisors(&j, in);
    note_unused(&j, in);
    TRY_DONE(describe_lineage(&lineage, c, &importance, err));
    if (target) job_note_fallbacks(&j, target, out.kind);
    if (out.kind == MODEL_GGUF) TRY_DONE(write_gguf(&j, in, target, &importance, lineage, out.path, err));
    else TRY_DONE(write_directory(&j, in, lineage, out.building, err));
    TRY_DONE(output_publish(&out, err));
    TRY_DONE(job_check_result(&j, out.path, err));
done:
    output_discard(&out);
    job_release(&j);
    imatrix_release(&importance);
    json_decref(lineage);
    model_config_release(&config);
    model_file_close(in);
    return status;
}
