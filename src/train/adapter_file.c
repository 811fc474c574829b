/* adapter_file.c - writes what was trained beside a frozen base as PEFT's adapter directory: low-rank pairs, and the rows
 * of new tokens as trainable_token_indices. Only the oldest keys of adapter_config.json are written: every version of PEFT
 * reads them. Rows of GGUF bases are put back into the order of Hugging Face's form. */
#include "train/train.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "base_model.model."

/* One tensor of the file. */
struct entry { char name[160]; const struct tensor *tensor; enum row_order order; size_t block; };    /* block: SIZE_MAX for none */
struct writing {
    const sc_model *m;
    const struct adapter_config *config;
    struct entry *entry; size_t n, cap, n_pairs;
    json_t *targets, *modules;             /* names that mean them in every layer; all adapted modules          */
    json_t *ranks, *alphas;                /* of modules that differ from the config                            */
};

static void add_entry(struct writing *w, const char *module, const char *ending, const struct tensor *t, enum row_order order, size_t block)
{
    if (w->n == w->cap) {
        w->cap = 2 * w->cap + 64;
        w->entry = mem_grow(w->entry, w->cap * sizeof *w->entry);
    }
    struct entry *e = &w->entry[w->n++];
    *e = (struct entry){ .tensor = t, .order = order, .block = block };
    snprintf(e->name, sizeof e->name, PREFIX "%s%s", module, ending);
}

static void module_name(char out[96], const struct weight_row *row, size_t layer)
{
    weight_name(out, row, MODEL_HF, layer, false);
    out[strlen(out) - strlen(".weight")] = 0;
}

/* The part of a module's name behind the number of its layer: "attn.c_proj", exact where "c_proj" alone is not. */
static const char *target_of(const char *module)
{
    const char *at = strpbrk(module, "0123456789");
    const char *dot = at ? strchr(at, '.') : NULL;
    return dot ? dot + 1 : module;
}

static void add_target(json_t *targets, const char *name)
{
    for (size_t i = 0; i < json_array_size(targets); i++)
        if (!strcmp(json_string_value(json_array_get(targets, i)), name)) return;
    json_array_append_new(targets, json_string(name));
}

static void add_pair(void *user, const struct model_tensor *t)
{
    struct writing *w = user;
    char module[96];
    if (t->is_bias || t->row->flags & WF_NORM || !role_is_per_layer(t->row->role)) return;
    const struct lora *l = ((const struct weight *)t->tensor)->lora;
    if (!l) return;
    module_name(module, t->row, t->layer);
    size_t r = l->a.w.rows;
    double alpha = (double)l->scale * (w->config->use_rslora ? sqrt((double)r) : (double)r);
    w->n_pairs++;
    add_target(w->targets, target_of(module));
    json_array_append_new(w->modules, json_string(module));
    if (r != (size_t)w->config->r) json_object_set_new(w->ranks, module, json_integer((json_int_t)r));
    if (fabs(alpha - w->config->alpha) > 1e-6 * fabs(alpha)) json_object_set_new(w->alphas, module, json_real(alpha));
    add_entry(w, module, ".lora_A.weight", &l->a.w, ROWS_SAME, t->layer);
    add_entry(w, module, ".lora_B.weight", &l->b.w, row_order_between(&w->m->model.config, t->row, w->m->model.kind, MODEL_HF), t->layer);
}

static const char *last_part(const char *module)
{
    const char *dot = strrchr(module, '.');
    return dot ? dot + 1 : module;
}

/* Rows of the new tokens; *ids is a list, or for a head of its own {module: list}. */
static void add_rows(struct writing *w, bool is_alone, json_t **ids)
{
    const struct model *m = &w->m->model;
    const char *ending = is_alone ? ".trainable_tokens_delta" : ".token_adapter.trainable_tokens_delta";
    bool is_tied = m->extra_head.data == m->extra.data;
    *ids = is_tied || is_alone ? json_array() : json_object();
    json_t *list = is_tied || is_alone ? *ids : json_array();
    for (size_t i = 0; i < m->extra.rows; i++) json_array_append_new(list, json_integer((json_int_t)(m->config.vocab + i)));
    for (size_t i = 0; i < m->config.arch->n_rows; i++) {
        const struct weight_row *row = &m->config.arch->rows[i];
        char module[96];
        if (row->role != W_EMBED && (row->role != W_HEAD || is_tied)) continue;
        module_name(module, row, 0);
        add_entry(w, module, ending, row->role == W_EMBED ? &m->extra : &m->extra_head, ROWS_SAME, SIZE_MAX);
        if (json_is_object(*ids)) json_object_set(*ids, last_part(module), list);
    }
    if (list != *ids) json_decref(list);
}

/* ---- files -------------------------------------------------------------------------------------------------------------------- */

static sc_status put_tensors(struct writing *w, const char *directory, sc_error *err)
{
    struct safetensors_writer *file = NULL;
    struct tensor_plan *plan = mem_zero(w->n, sizeof *plan);
    for (size_t i = 0; i < w->n; i++) plan[i] = (struct tensor_plan){ w->entry[i].name, DTYPE_F32, 2, { w->entry[i].tensor->rows, w->entry[i].tensor->cols } };
    sc_status status = safetensors_writer_open(&file, directory, plan, w->n, 0, err);
    for (size_t i = 0; i < w->n && status == SC_OK; i++) {
        const struct tensor *t = w->entry[i].tensor;
        if (w->entry[i].block != SIZE_MAX) status = model_fetch_block(&w->m->model, w->entry[i].block, err);
        float *row = mem_alloc(t->cols * sizeof *row);
        for (size_t r = 0; r < t->rows && status == SC_OK; r++) {
            dtypes[t->dtype].to_f32(row, tensor_row(t, row_source(&w->m->model.config, w->entry[i].order, r)), t->cols);
            status = safetensors_writer_data(file, row, t->cols * sizeof *row, err);
        }
        mem_free(row);
    }
    if (status == SC_OK) status = safetensors_writer_finish(file, err);
    else safetensors_writer_discard(file);
    mem_free(plan);
    return status;
}

static sc_status put_json(const char *directory, const char *name, const json_t *value, sc_error *err)
{
    char *path = path_join(directory, name), *text = json_dumps(value, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    sc_status status = text ? file_write(path, text, strlen(text), err) : FAIL(err, SC_E_FORMAT, "%s cannot be written as JSON", path);
    free(text);
    mem_free(path);
    return status;
}

/* Old readers want a whole number. */
static json_t *number(double v) { return v == (double)(json_int_t)v ? json_integer((json_int_t)v) : json_real(v); }

static json_t *adapter_json(const struct writing *w, const struct adapter_config *c, const char *base, json_t *ids)
{
    if (!json_array_size(w->targets))
        return json_pack("{s:s, s:s, s:s, s:b, s:n, s:n, s:O}", "peft_type", "TRAINABLE_TOKENS", "task_type", "CAUSAL_LM", "base_model_name_or_path", base,
                         "inference_mode", 1, "revision", "target_modules", "token_indices", ids);
    bool is_everywhere = w->n_pairs == json_array_size(w->targets) * w->m->model.config.layers;
    json_t *o = json_pack("{s:s, s:s, s:s, s:n, s:b, s:I, s:o, s:f, s:O, s:b, s:s, s:b, s:n, s:b, s:n, s:n}",
                          "peft_type", "LORA", "task_type", "CAUSAL_LM", "base_model_name_or_path", base, "revision", "inference_mode", 1, "r", (json_int_t)c->r,
                          "lora_alpha", number(c->alpha), "lora_dropout", c->dropout, "target_modules", is_everywhere ? w->targets : w->modules, "fan_in_fan_out", 0, "bias", "none",
                          "use_rslora", c->use_rslora, "modules_to_save", "init_lora_weights", 1, "layers_to_transform", "layers_pattern");
    json_object_set(o, "rank_pattern", w->ranks);
    json_object_set(o, "alpha_pattern", w->alphas);
    if (ids) json_object_set(o, "trainable_token_indices", ids);
    return o;
}

static sc_status move_file(const char *from_directory, const char *from_name, const char *to_directory, const char *to_name, sc_error *err)
{
    char *from = path_join(from_directory, from_name), *to = path_join(to_directory, to_name);
    sc_status status = rename(from, to) == 0 ? SC_OK : FAIL(err, SC_E_IO, "cannot give %s its name: %s", to, strerror(errno));
    mem_free(from);
    mem_free(to);
    return status;
}

static sc_status sync_directory(const char *directory, sc_error *err)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_synced = fd >= 0 && fsync(fd) == 0;
    sc_status status = is_synced ? SC_OK : FAIL(err, SC_E_IO, "cannot write %s: %s", directory, strerror(errno));
    if (fd >= 0) close(fd);
    return status;
}

static const char TENSORS[] = "adapter_model.safetensors", CONFIG[] = "adapter_config.json";

/* While files change there is no config, so that a half new directory is no adapter. */
static sc_status publish(const char *building, const char *directory, const struct companions *c, sc_error *err)
{
    char *config = path_join(directory, CONFIG);
    unlink(config);
    mem_free(config);
    TRY(move_file(building, "model.safetensors", directory, TENSORS, err));
    for (size_t i = 0; i < c->n; i++) TRY(move_file(building, c->extra[i].name, directory, c->extra[i].name, err));
    TRY(sync_directory(directory, err));
    TRY(move_file(building, CONFIG, directory, CONFIG, err));
    return sync_directory(directory, err);
}

static void discard(const char *building, const struct companions *c)
{
    const char *const names[] = { "model.safetensors", CONFIG };
    for (size_t i = 0; i < c->n + 2; i++) {
        char *path = path_join(building, i < 2 ? names[i] : c->extra[i - 2].name);
        unlink(path);
        mem_free(path);
    }
    rmdir(building);
}

/* Whole tensors and rows of known tokens that another adapter had brought would be lost. */
static sc_status check_origin(const sc_model *m, sc_error *err)
{
    for (size_t i = 0; m->adapter && i < m->adapter->n_tensors; i++) {
        const struct file_tensor *t = &m->adapter->tensors[i];
        bool is_row = strstr(t->name, "trainable_tokens_delta") != NULL;
        if (is_row ? t->dims[0] != m->model.extra.rows : !strstr(t->name, ".lora_"))
            return FAIL(err, SC_E_UNSUPPORTED, "%s replaces %s of its base, which cannot be saved again as an adapter; merge it into the base first", m->adapter->path, t->name);
    }
    return SC_OK;
}

sc_status adapter_save(const char *directory, const sc_model *m, const struct adapter_config *c, const char *base, bool new_rows, sc_error *err)
{
    struct writing w = { .m = m, .config = c, .targets = json_array(), .modules = json_array(), .ranks = json_object(), .alphas = json_object() };
    struct companions companions = { 0 };
    json_t *ids = NULL, *config = NULL;
    struct buf building;
    sc_status status;
    buf_init(&building, 0);
    buf_printf(&building, "%s/adapter.tmp-%ld", directory, (long)getpid());
    TRY_DONE(check_origin(m, err));
    model_each((struct model *)(uintptr_t)&m->model, add_pair, &w);
    if (new_rows && m->model.extra.rows) add_rows(&w, !w.n, &ids);
    if (!w.n) { status = FAIL(err, SC_E_ARGUMENT, "%s: the model has no adapter and no trained token rows to save", directory); goto done; }
    config = adapter_json(&w, c, base, ids);
    TRY_DONE(companions_make(&companions, m, err));
    TRY_DONE(path_make_directories(building.data, err));
    TRY_DONE(put_tensors(&w, building.data, err));
    for (size_t i = 0; i < companions.n; i++) TRY_DONE(put_json(building.data, companions.extra[i].name, companions.extra[i].value, err));
    TRY_DONE(put_json(building.data, CONFIG, config, err));
    TRY_DONE(publish(building.data, directory, &companions, err));
done:
    discard(building.data, &companions);
    companions_release(&companions);
    buf_release(&building);
    json_decref(ids);
    json_decref(config);
    json_decref(w.targets);
    json_decref(w.modules);
    json_decref(w.ranks);
    json_decref(w.alphas);
    mem_free(w.entry);
    return status;
}
