/* adapter.c - puts the tensors of a PEFT adapter on a bound model (Hu et al. 2021; PEFT's file format).
 *
 * Names are those of the Hugging Face model behind "base_model.model."; a model from GGUF has the same roles, but some of
 * its matrices have their rows in another order, which the rows of lora_B and of whole tensors then follow. */
#include "model/adapter_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "base_model.model."
enum { NEW_TOKENS_MAX = 65536, MODULE_MAX = 96 };

/* One tensor of the model by its name, and what the adapter has for it. */
struct place {
    char name[96];
    const struct weight_row *row;
    size_t layer;
    bool is_bias;
    const struct file_tensor *a, *b, *whole, *rows;
};
struct loading { struct model *m; const struct model_file *f; struct adapter_settings s; struct place *place; size_t n, n_pairs; };

static int place_compare(const void *a, const void *b) { return strcmp(((const struct place *)a)->name, ((const struct place *)b)->name); }

static void add_place(struct loading *l, const struct weight_row *row, size_t layer, bool is_bias)
{
    struct place *p = &l->place[l->n++];
    *p = (struct place){ .row = row, .layer = layer, .is_bias = is_bias };
    weight_name(p->name, row, MODEL_HF, layer, is_bias);
}

static void list_places(struct loading *l)
{
    const struct arch *arch = l->m->config.arch;
    l->place = mem_alloc(2 * arch->n_rows * l->m->config.layers * sizeof *l->place);
    for (size_t i = 0; i < arch->n_rows; i++) {
        size_t n = role_is_per_layer(arch->rows[i].role) ? l->m->config.layers : 1;
        for (size_t layer = 0; layer < n; layer++) {
            add_place(l, &arch->rows[i], layer, false);
            if (arch->rows[i].flags & (WF_BIAS | WF_MAYBE_BIAS)) add_place(l, &arch->rows[i], layer, true);
        }
    }
    qsort(l->place, l->n, sizeof *l->place, place_compare);
}

static struct place *find_place(const struct loading *l, const char *module, size_t len, const char *ending)
{
    struct place key = { 0 };
    if (len + strlen(ending) >= sizeof key.name) return NULL;
    memcpy(key.name, module, len);
    memcpy(key.name + len, ending, strlen(ending));
    return bsearch(&key, l->place, l->n, sizeof *l->place, place_compare);
}

static struct place *place_of_role(struct loading *l, enum role role)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->place[i].row->role == role && !l->place[i].is_bias) return &l->place[i];
    return NULL;
}

static void module_of(char out[MODULE_MAX], const struct place *p)
{
    size_t n = strlen(p->name) - strlen(".weight");
    memcpy(out, p->name, n);
    out[n] = 0;
}

/* ---- whose tensor is it ------------------------------------------------------------------------------------------------------- */

static bool is_matrix(const struct place *p) { return !p->is_bias && !(p->row->flags & WF_NORM); }
static bool is_table(const struct place *p) { return p->row->role == W_EMBED || p->row->role == W_HEAD; }

static sc_status unknown_tensor(const struct loading *l, const struct file_tensor *t, sc_error *err)
{
    char q[120];
    error_quote(q, sizeof q, t->name, strlen(t->name));
    if (strstr(t->name, "lora_magnitude_vector")) return FAIL(err, SC_E_UNSUPPORTED, "%s: %s belongs to DoRA, which is not supported; merge it into its base with PEFT", l->f->path, q);
    if (strstr(t->name, "lora_embedding_")) return FAIL(err, SC_E_UNSUPPORTED, "%s: %s adapts the embedding by low rank, which is not supported; train rows (trainable_token_indices) or the whole (modules_to_save)", l->f->path, q);
    return FAIL(err, SC_E_FORMAT, "%s: the tensor %s belongs to no module of this %s model; is it an adapter of another one?", l->f->path, q, l->m->config.arch->name);
}

static sc_status place_tensor(struct loading *l, const struct file_tensor *t, sc_error *err)
{
    static const struct { const char *ending; size_t member; } forms[] = {
        { ".lora_A.weight", offsetof(struct place, a) }, { ".lora_B.weight", offsetof(struct place, b) },
        { ".token_adapter.trainable_tokens_delta", offsetof(struct place, rows) }, { ".trainable_tokens_delta", offsetof(struct place, rows) },
    };
    size_t prefix = strlen(PREFIX), len = strlen(t->name);
    if (strncmp(t->name, PREFIX, prefix) != 0) return unknown_tensor(l, t, err);
    const char *name = t->name + prefix;
    size_t member = offsetof(struct place, whole);
    struct place *p = NULL;
    len -= prefix;
    for (size_t i = 0; i < sizeof forms / sizeof *forms && !p; i++) {
        if (!path_ends_with(name, forms[i].ending)) continue;
        member = forms[i].member;
        p = find_place(l, name, len - strlen(forms[i].ending), ".weight");
        if (!p) return unknown_tensor(l, t, err);
    }
    if (!p) p = find_place(l, name, len, "");
    if (!p) return unknown_tensor(l, t, err);
    *(const struct file_tensor **)(void *)((char *)p + member) = t;
    if (p->rows && !is_table(p)) return FAIL(err, SC_E_FORMAT, "%s: %s replaces token rows, but is no embedding and no head", l->f->path, t->name);
    if ((p->a || p->b) && is_table(p))
        return FAIL(err, SC_E_UNSUPPORTED, "%s: %s adapts a table of tokens by low rank, which is not supported; merge it into its base with PEFT", l->f->path, t->name);
    if ((p->a || p->b) && !is_matrix(p)) return FAIL(err, SC_E_FORMAT, "%s: %s adapts something that is no matrix", l->f->path, t->name);
    return SC_OK;
}

/* ---- values ------------------------------------------------------------------------------------------------------------------------ */

static sc_status check_shape(const struct loading *l, const struct file_tensor *t, size_t rows, size_t cols, sc_error *err)
{
    char shape[64];
    tensor_shape_text(shape, t);
    if (t->n_dims != 2 || t->dims[0] != rows || t->dims[1] != cols)
        return FAIL(err, SC_E_FORMAT, "%s: %s is %s, expected %zu x %zu for this model; is it an adapter of another one?", l->f->path, t->name, shape, rows, cols);
    if (!dtypes[t->dtype].to_f32 || t->dtype == DTYPE_F64)
        return FAIL(err, SC_E_UNSUPPORTED, "%s: %s has type %s, expected f32, f16 or bf16", l->f->path, t->name, dtypes[t->dtype].name);
    return SC_OK;
}

/* Row i of the result is row row_source(order, i) of the file, in f32. */
static sc_status take_f32(const struct loading *l, float *out, const struct file_tensor *t, size_t rows, size_t cols, enum row_order order, sc_error *err)
{
    size_t bytes = dtype_row_bytes(t->dtype, cols);
    bool is_finite = true;
    for (size_t i = 0; i < rows; i++) {
        float *row = out + i * cols;
        dtypes[t->dtype].to_f32(row, (const char *)t->data + row_source(&l->m->config, order, i) * bytes, cols);
        for (size_t j = 0; j < cols; j++) is_finite &= isfinite(row[j]) != 0;
    }
    return is_finite ? SC_OK : FAIL(err, SC_E_FORMAT, "%s: %s holds a number that is infinite or not a number", l->f->path, t->name);
}

/* ---- low-rank pairs ------------------------------------------------------------------------------------------------------------------ */

static sc_status new_matrix(struct loading *l, struct tensor *out, const struct file_tensor *t, size_t rows, size_t cols, enum row_order order, sc_error *err)
{
    TRY(check_shape(l, t, rows, cols, err));
    *out = (struct tensor){ .dtype = DTYPE_F32, .rows = rows, .cols = cols, .data = arena_take(&l->m->memory, rows * cols * sizeof(float)) };
    l->m->weight_bytes += rows * cols * sizeof(float);
    return take_f32(l, out->data, t, rows, cols, order, err);
}

static sc_status attach_pair(struct loading *l, const struct place *p, const char *module, sc_error *err)
{
    int64_t r;
    double alpha;
    struct weight *w = model_role(l->m, p->row->role, p->layer);
    struct lora *lora = arena_zero(&l->m->memory, sizeof *lora);
    TRY(adapter_rank_of(&r, &alpha, &l->s, module, err));
    if (p->a->n_dims == 2 && p->a->dims[0] != (uint64_t)r)
        return FAIL(err, SC_E_FORMAT, "%s: %s has rank %llu, but adapter_config.json says %lld", l->f->path, p->a->name, (unsigned long long)p->a->dims[0], (long long)r);
    TRY(new_matrix(l, &lora->a.w, p->a, (size_t)r, w->w.cols, ROWS_SAME, err));
    TRY(new_matrix(l, &lora->b.w, p->b, w->w.rows, (size_t)r, row_order_between(&l->m->config, p->row, MODEL_HF, l->m->kind), err));
    lora->scale = (float)(alpha / (l->s.use_rslora ? sqrt((double)r) : (double)r));
    lora->dropout = (float)l->s.dropout;
    lora->stream = 1000 + l->n_pairs++;
    w->lora = lora;
    return SC_OK;
}

static sc_status attach_pairs(struct loading *l, sc_error *err)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct place *p = &l->place[i];
        bool is_named;
        char module[MODULE_MAX];
        if (!is_matrix(p) || !role_is_per_layer(p->row->role)) continue;
        module_of(module, p);
        TRY(adapter_names_module(&is_named, &l->s, module, p->layer, err));
        if ((p->a || p->b) && !is_named)
            return FAIL(err, SC_E_FORMAT, "%s: it has tensors for %s, which adapter_config.json does not name (target_modules)", l->f->path, module);
        if (is_named && (!p->a || !p->b))
            return FAIL(err, SC_E_FORMAT, "%s: the tensor " PREFIX "%s.%s.weight is missing", l->f->path, module, p->a ? "lora_B" : "lora_A");
        if (is_named) TRY(attach_pair(l, p, module, err));
    }
    return SC_OK;
}

/* ---- whole tensors ------------------------------------------------------------------------------------------------------------------------ */

/* The bytes as they lie in the file, in the model's order of rows; a copy only where that or the alignment asks for it. */
static void *matrix_data(struct loading *l, const struct file_tensor *t, size_t rows, enum row_order order)
{
    size_t element = dtypes[t->dtype].bytes, bytes = t->bytes / rows;
    if (order == ROWS_SAME && (uintptr_t)t->data % element == 0) return (void *)t->data;
    char *out = arena_take(&l->m->memory, t->bytes);
    for (size_t i = 0; i < rows; i++) memcpy(out + i * bytes, (const char *)t->data + row_source(&l->m->config, order, i) * bytes, bytes);
    return out;
}

static sc_status replace_vector(struct loading *l, struct tensor *to, const struct place *p, sc_error *err)
{
    const struct file_tensor *t = p->whole;
    size_t n = to->cols;
    if (!to->data) return unknown_tensor(l, t, err);
    TRY(weight_check_shape(t, 1, n, l->f->path, err));
    float *values = mem_alloc(n * sizeof *values), *out = arena_take(&l->m->memory, n * sizeof *out);
    sc_status status = take_f32(l, values, t, 1, n, ROWS_SAME, err);
    enum row_order order = p->row->flags & WF_NORM ? ROWS_SAME : row_order_between(&l->m->config, p->row, MODEL_HF, l->m->kind);
    for (size_t i = 0; i < n; i++) out[i] = values[row_source(&l->m->config, order, i)];
    mem_free(values);
    to->data = out;
    return status;
}

static sc_status check_variant(const struct loading *l, const struct place *p, sc_error *err)
{
    if (!l->m->base || !(role_is_per_layer(p->row->role) || p->row->role == W_FINAL_NORM)) return SC_OK;
    return FAIL(err, SC_E_UNSUPPORTED, "%s: it replaces the whole of %s, which all adapters on one base have in common; merge it into its base (starchat merge) and open the result, or open it alone",
                l->f->path, p->whole->name);
}

static sc_status replace_one(struct loading *l, struct place *p, sc_error *err)
{
    TRY(check_variant(l, p, err));
    void *at = model_role(l->m, p->row->role, p->layer);
    struct norm *norm = at;
    struct weight *w = at;
    if (p->row->flags & WF_NORM) return replace_vector(l, p->is_bias ? &norm->bias : &norm->gain, p, err);
    if (p->is_bias) return replace_vector(l, &w->bias, p, err);
    size_t rows = is_table(p) && p->whole->n_dims == 2 ? p->whole->dims[0] : w->w.rows;
    TRY(check_shape(l, p->whole, rows, w->w.cols, err));
    if (!rows || rows > (size_t)1 << 24) return FAIL(err, SC_E_FORMAT, "%s: %s has %zu rows, expected one for each token", l->f->path, p->whole->name, rows);
    w->w = (struct tensor){ .dtype = p->whole->dtype, .rows = rows, .cols = w->w.cols,
                            .data = matrix_data(l, p->whole, rows, row_order_between(&l->m->config, p->row, MODEL_HF, l->m->kind)) };
    return SC_OK;
}

static bool are_equal(const struct tensor *a, const struct tensor *b)
{
    return a->dtype == b->dtype && a->rows == b->rows && memcmp(a->data, b->data, a->rows * tensor_row_bytes(a)) == 0;
}

/* Embedding and head after a replacement. PEFT keeps a tied partner as it was, unless it had to grow or asked for tying. */
static sc_status settle_tables(struct loading *l, bool was_tied, sc_error *err)
{
    struct model *m = l->m;
    const struct place *embed = place_of_role(l, W_EMBED), *head = place_of_role(l, W_HEAD);
    bool has_embed = embed && embed->whole, has_head = head && head->whole;
    if (was_tied && has_embed && !has_head && (l->s.ties_whole || m->embed.w.rows != m->head.w.rows)) m->head = m->embed;
    if (was_tied && has_head && !has_embed && (l->s.ties_whole || m->embed.w.rows != m->head.w.rows)) m->embed = m->head;
    if (was_tied && has_embed && has_head && are_equal(&m->embed.w, &m->head.w)) m->head = m->embed;
    if (m->embed.w.rows != m->head.w.rows)
        return FAIL(err, SC_E_FORMAT, "%s: the embedding has %zu rows, but the head has %zu", l->f->path, m->embed.w.rows, m->head.w.rows);
    m->config.vocab = m->embed.w.rows;
    m->config.is_tied = was_tied && m->head.w.data == m->embed.w.data;
    return SC_OK;
}

static sc_status replace_whole(struct loading *l, sc_error *err)
{
    bool was_tied = l->m->head.w.data == l->m->embed.w.data;
    for (size_t i = 0; i < l->n; i++)
        if (l->place[i].whole) TRY(replace_one(l, &l->place[i], err));
    return settle_tables(l, was_tied, err);
}

/* ---- token rows ------------------------------------------------------------------------------------------------------------------------------ */

/* A copy that may be changed. Rows of blocks become f32, so that a replaced row is kept exactly. */
static void copy_table(struct loading *l, struct tensor *t)
{
    const struct tensor old = *t;
    if (dtypes[t->dtype].block > 1) t->dtype = DTYPE_F32;
    t->data = arena_take(&l->m->memory, t->rows * tensor_row_bytes(t));
    for (size_t i = 0; i < t->rows; i++) {
        void *row = (char *)t->data + i * tensor_row_bytes(t);
        if (t->dtype == old.dtype) memcpy(row, tensor_row(&old, i), tensor_row_bytes(t));
        else dtypes[old.dtype].to_f32(row, tensor_row(&old, i), t->cols);
    }
}

static sc_status put_rows(struct loading *l, struct tensor *table, struct tensor *extra, const struct place *p, const json_t *ids, sc_error *err)
{
    size_t n = json_array_size(ids), cols = table->cols;
    bool is_copied = false;
    float *rows = mem_alloc(n * cols * sizeof *rows);
    sc_status status = check_shape(l, p->rows, n, cols, err);
    if (status == SC_OK) status = take_f32(l, rows, p->rows, n, cols, ROWS_SAME, err);
    for (size_t i = 0; i < n && status == SC_OK; i++) {
        size_t id = (size_t)json_integer_value(json_array_get(ids, i));
        if (id >= table->rows) { memcpy(tensor_f32(extra) + (id - table->rows) * cols, rows + i * cols, cols * sizeof *rows); continue; }
        if (!is_copied) copy_table(l, table);
        is_copied = true;
        dtypes[table->dtype].from_f32((char *)table->data + id * tensor_row_bytes(table), rows + i * cols, cols);
    }
    mem_free(rows);
    return status;
}

static bool have_same_bytes(const struct file_tensor *a, const struct file_tensor *b)
{
    return a->dtype == b->dtype && a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0;
}

/* The ids of a table, for which the file must have the rows, and the highest of them. */
static sc_status find_ids(struct loading *l, const json_t **ids, const struct place *p, size_t *end, sc_error *err)
{
    char module[MODULE_MAX];
    *ids = NULL;
    if (!p) return SC_OK;
    module_of(module, p);
    TRY(adapter_ids_of(ids, &l->s, module, p->row->role == W_EMBED, err));
    if (p->rows && !*ids) return FAIL(err, SC_E_FORMAT, "%s: it has rows for tokens of %s, but adapter_config.json does not say which", l->f->path, module);
    const struct place *embed = place_of_role(l, W_EMBED);
    bool is_tied = p->row->role == W_HEAD && l->m->head.w.data == l->m->embed.w.data;
    if (p->row->role == W_HEAD && !p->rows && (is_tied || l->s.is_rows_only)) *ids = NULL;
    if (is_tied && p->rows && embed->rows && have_same_bytes(p->rows, embed->rows)) *ids = NULL;     /* PEFT may write both */
    if (is_tied && p->rows && !*ids) return SC_OK;
    if (*ids && !p->rows) return FAIL(err, SC_E_FORMAT, "%s: the rows of the trained tokens (" PREFIX "%s.token_adapter.trainable_tokens_delta) are missing", l->f->path, module);
    for (size_t i = 0; i < json_array_size(*ids); i++) {
        size_t id = (size_t)json_integer_value(json_array_get(*ids, i));
        if (id >= *end) *end = id + 1;
    }
    return SC_OK;
}

static sc_status replace_rows(struct loading *l, sc_error *err)
{
    struct model *m = l->m;
    struct place *embed = place_of_role(l, W_EMBED), *head = place_of_role(l, W_HEAD);
    const json_t *embed_ids, *head_ids;
    size_t end = m->config.vocab;
    TRY(find_ids(l, &embed_ids, embed, &end, err));
    TRY(find_ids(l, &head_ids, head, &end, err));
    if (end - m->config.vocab > NEW_TOKENS_MAX)
        return FAIL(err, SC_E_FORMAT, "%s: it trains token %zu, but this model has %zu tokens; is it an adapter of another one?", l->f->path, end - 1, m->config.vocab);
    model_add_rows(m, end - m->config.vocab);
    if (head_ids && m->head.w.data == m->embed.w.data) {       /* a head with rows of its own is tied no more */
        copy_table(l, &m->head.w);
        if (m->extra.rows) copy_table(l, &m->extra_head);
        m->config.is_tied = false;
    }
    bool is_tied = m->head.w.data == m->embed.w.data;
    if (embed_ids) TRY(put_rows(l, &m->embed.w, &m->extra, embed, embed_ids, err));
    if (head_ids) return put_rows(l, &m->head.w, &m->extra_head, head, head_ids, err);
    if (is_tied) { m->head = m->embed; m->extra_head = m->extra; }
    return SC_OK;
}

sc_status adapter_load(struct model *m, const struct model_file *f, sc_error *err)
{
    struct loading l = { .m = m, .f = f };
    sc_status status;
    TRY_DONE(adapter_settings_read(&l.s, f, err));
    list_places(&l);
    for (size_t i = 0; i < f->n_tensors; i++) TRY_DONE(place_tensor(&l, &f->tensors[i], err));
    TRY_DONE(replace_whole(&l, err));
    TRY_DONE(replace_rows(&l, err));
    TRY_DONE(attach_pairs(&l, err));
done:
    mem_free(l.place);
    return status;
}

sc_status adapter_variant(struct model *out, const struct model *base, const struct model_file *f, sc_error *err)
{
    *out = *base;
    arena_init(&out->memory);
    out->base = base;
    out->packed = NULL;
    out->packed_bytes = 0;
    out->extra = out->extra_head = (struct tensor){ 0 };
    out->layers = arena_take(&out->memory, base->config.layers * sizeof *out->layers);
    memcpy(out->layers, base->layers, base->config.layers * sizeof *out->layers);
    TRY(adapter_load(out, f, err));
    if (out->head.w.data == base->head.w.data) out->head = base->head;     /* also where it was tied anew: with its packed form */
    return SC_OK;
}
