/* job.c - the common part of convert and init: which tensors a file gets, in which types, and the loop that makes them.
 *
 * Tensors are made in slices of rows, each slice on one thread, and written in order, so memory is a few slices however
 * large the model is. Mixed types follow the files people know from llama.cpp: Q4_K_M keeps half of the value and
 * down matrices and the head in Q6_K. */
#include "model/convert_internal.h"

#include <stdatomic.h>
#include <string.h>

enum { SLICE_ELEMENTS = 1 << 17, SLICES_PER_THREAD = 4 };

static const struct target targets[] = {
    { "f32",    DTYPE_F32,  DTYPE_F32,  DTYPE_F32,  DTYPE_F32,  0 },
    { "f16",    DTYPE_F16,  DTYPE_F16,  DTYPE_F16,  DTYPE_F16,  1 },
    { "bf16",   DTYPE_BF16, DTYPE_BF16, DTYPE_BF16, DTYPE_BF16, 32 },
    { "q8_0",   DTYPE_Q8_0, DTYPE_Q8_0, DTYPE_Q8_0, DTYPE_Q8_0, 7 },
    { "q4_0",   DTYPE_Q4_0, DTYPE_Q6_K, DTYPE_Q4_0, DTYPE_Q4_0, 2 },
    { "q4_1",   DTYPE_Q4_1, DTYPE_Q6_K, DTYPE_Q4_1, DTYPE_Q4_1, 3 },
    { "q5_0",   DTYPE_Q5_0, DTYPE_Q6_K, DTYPE_Q5_0, DTYPE_Q5_0, 8 },
    { "q5_1",   DTYPE_Q5_1, DTYPE_Q6_K, DTYPE_Q5_1, DTYPE_Q5_1, 9 },
    { "q4_k_m", DTYPE_Q4_K, DTYPE_Q6_K, DTYPE_Q5_K, DTYPE_Q6_K, 15 },
    { "q5_k_m", DTYPE_Q5_K, DTYPE_Q6_K, DTYPE_Q6_K, DTYPE_Q6_K, 17 },
    { "q6_k",   DTYPE_Q6_K, DTYPE_Q6_K, DTYPE_Q6_K, DTYPE_Q6_K, 18 },
};

const struct target *target_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        if (!strcmp(targets[i].name, name)) return &targets[i];
    return NULL;
}

void job_release(struct job *j)
{
    mem_free(j->tensors);
    arena_release(&j->memory);
    j->tensors = NULL;
    j->n = j->cap = 0;
}

struct out_tensor *job_add(struct job *j)
{
    if (j->n == j->cap) {
        j->cap = j->cap ? 2 * j->cap : 64;
        j->tensors = mem_grow(j->tensors, j->cap * sizeof *j->tensors);
    }
    struct out_tensor *t = &j->tensors[j->n++];
    *t = (struct out_tensor){ 0 };
    return t;
}

static void add_role(struct job *j, const struct weight_row *row, enum model_kind kind, size_t layer, bool is_bias)
{
    struct out_tensor *t = job_add(j);
    size_t rows = extent_of(j->config, row->rows), cols = extent_of(j->config, row->cols);
    t->row = row;
    t->layer = layer;
    t->is_bias = is_bias;
    t->is_vector = is_bias || row->flags & WF_NORM;
    t->rows = t->is_vector ? 1 : rows;
    t->cols = is_bias && !(row->flags & WF_NORM) ? rows : cols;
    weight_name(t->name, row, kind, layer, is_bias);
}

void job_list(struct job *j, enum model_kind kind)
{
    const struct arch *arch = j->config->arch;
    for (size_t layer = 0; layer <= j->config->layers; layer++)          /* first what occurs once, then layer by layer */
        for (size_t i = 0; i < arch->n_rows; i++) {
            const struct weight_row *row = &arch->rows[i];
            if (role_is_per_layer(row->role) != (layer > 0) || (row->role == W_HEAD && j->config->is_tied)) continue;
            add_role(j, row, kind, layer ? layer - 1 : 0, false);
            if (row->flags & (WF_BIAS | WF_MAYBE_BIAS)) add_role(j, row, kind, layer ? layer - 1 : 0, true);
        }
}

/* The layers that matter most for accuracy: the first and last eighth, and every third between. */
static bool deserves_more(size_t layer, size_t layers)
{
    size_t eighth = layers / 8;
    return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
}

enum dtype type_for_row(enum dtype type, size_t cols)
{
    if (cols % dtypes[type].block == 0) return type;
    static const struct { enum dtype from, to; } instead[] = {
        { DTYPE_Q4_K, DTYPE_Q5_0 }, { DTYPE_Q5_K, DTYPE_Q5_1 }, { DTYPE_Q6_K, DTYPE_Q8_0 },
    };
    for (size_t i = 0; i < sizeof instead / sizeof *instead; i++)
        if (instead[i].from == type && cols % dtypes[instead[i].to].block == 0) return instead[i].to;
    return DTYPE_F16;
}

static enum dtype wanted_type(const struct job *j, const struct out_tensor *t, const struct target *target)
{
    bool is_head = t->row->role == W_HEAD || (t->row->role == W_EMBED && j->config->is_tied);
    if (is_head) return target->head;
    if (t->row->role == W_QKV) return target->fused;
    if (t->row->role == W_V || t->row->role == W_DOWN) return deserves_more(t->layer, j->config->layers) ? target->more : target->matrix;
    if (t->row->role == W_POSITION && dtypes[target->matrix].block > 1) return DTYPE_F16;    /* one row a token is read: no gain in less */
    return target->matrix;
}

enum dtype type_for(const struct job *j, const struct out_tensor *t, const struct target *target, enum model_kind kind)
{
    if (!t->row) return DTYPE_F32;
    if (t->is_vector) return kind == MODEL_GGUF ? DTYPE_F32 : target->matrix;
    return type_for_row(wanted_type(j, t, target), t->cols);
}

void job_note_fallbacks(const struct job *j, const struct target *target, enum model_kind kind)
{
    size_t n = 0;
    const struct out_tensor *first = NULL;
    for (size_t i = 0; i < j->n; i++) {
        const struct out_tensor *t = &j->tensors[i];
        if (!t->row || t->is_vector || kind != MODEL_GGUF || type_for(j, t, target, kind) == wanted_type(j, t, target)) continue;
        if (!first) first = t;
        n++;
    }
    if (first)
        job_note(j, "%zu tensors have rows that are no whole number of %s blocks and take another type, for example %s with %zu columns: %s", n,
                 dtypes[wanted_type(j, first, target)].name, first->name, first->cols, dtypes[first->dtype].name);
}

struct tensor_plan *job_plan(struct job *j)
{
    struct tensor_plan *plan = mem_zero(j->n, sizeof *plan);
    j->total = 0;
    for (size_t i = 0; i < j->n; i++) {
        const struct out_tensor *t = &j->tensors[i];
        plan[i] = (struct tensor_plan){ t->name, t->dtype, t->is_vector ? 1 : 2, { t->rows, t->cols } };
        if (t->is_vector) plan[i].dims[0] = t->cols;
        j->total += dtype_row_bytes(t->dtype, t->cols) * t->rows;
    }
    return plan;
}

/* ---- making rows ------------------------------------------------------------------------------------------------------------ */

/* What one pool_run works on: rows first .. of one tensor, cut in slices. */
struct batch_work {
    const struct job *job;
    const struct out_tensor *t;
    size_t first, rows, slice, row_bytes;
    uint8_t *out;
    float *scratch;                          /* cols floats for each thread */
    atomic_bool has_bad_number;
};

static bool all_finite(const float *x, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * 0;
    return sum == 0;
}

/* A vector is one row of `cols` elements whose order may change element by element. */
static void vector_read(const struct job *j, const struct out_tensor *t, float *x)
{
    dtypes[t->source->dtype].to_f32(x, t->source->data, t->cols);
    if (t->order == ROWS_SAME) return;
    float *old = mem_alloc(t->cols * sizeof *old);
    memcpy(old, x, t->cols * sizeof *old);
    for (size_t i = 0; i < t->cols; i++) x[i] = old[row_source(j->config, t->order, i)];
    mem_free(old);
}

static void make_row(struct batch_work *w, size_t row, float *x)
{
    const struct out_tensor *t = w->t;
    uint8_t *out = w->out + (row - w->first) * w->row_bytes;
    bool is_made = !t->source || t->is_made || (!t->is_vector && row >= t->source->dims[0]);
    if (is_made) w->job->make_row(w->job, t, row, x);
    else if (t->is_vector) vector_read(w->job, t, x);
    else {
        size_t bytes = dtype_row_bytes(t->source->dtype, t->cols);
        const uint8_t *from = (const uint8_t *)t->source->data + row_source(w->job->config, t->order, row) * bytes;
        if (t->source->dtype == t->dtype) { memcpy(out, from, bytes); return; }
        dtypes[t->source->dtype].to_f32(x, from, t->cols);
    }
    if ((is_made || dtypes[t->dtype].block > 1) && !all_finite(x, t->cols)) atomic_store(&w->has_bad_number, true);
    if (dtypes[t->dtype].quantise) dtypes[t->dtype].quantise(out, x, t->importance, t->cols);
    else dtypes[t->dtype].from_f32(out, x, t->cols);
}

static void make_slice(void *arg, size_t i, int worker)
{
    struct batch_work *w = arg;
    size_t begin = w->first + i * w->slice, end = begin + w->slice, last = w->first + w->rows;
    for (size_t row = begin; row < end && row < last; row++) make_row(w, row, w->scratch + (size_t)worker * w->t->cols);
}

static void job_progress(const struct job *j, const struct out_tensor *t)
{
    if (!j->on_event) return;
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "{\"event\":\"progress\",\"what\":\"%s\",\"bytes\":%llu,\"total\":%llu,\"tensor\":", j->what, (unsigned long long)j->done, (unsigned long long)j->total);
    buf_put_json_string(&b, t->name, strlen(t->name));
    buf_putc(&b, '}');
    j->on_event(j->user, b.data);
    buf_release(&b);
}

void job_note(const struct job *j, const char *format, ...)
{
    if (!j->on_event) return;
    char text[400];
    struct buf b;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_init(&b, 0);
    buf_puts(&b, "{\"event\":\"note\",\"text\":");
    buf_put_json_string(&b, text, strlen(text));
    buf_putc(&b, '}');
    j->on_event(j->user, b.data);
    buf_release(&b);
}

static sc_status run_tensor(struct job *j, const struct out_tensor *t, sc_status (*put)(void *, const void *, size_t, sc_error *), void *writer, sc_error *err)
{
    int threads = pool_threads(j->pool);
    struct batch_work w = { .job = j, .t = t, .row_bytes = dtype_row_bytes(t->dtype, t->cols) };
    w.slice = t->cols ? SLICE_ELEMENTS / t->cols + 1 : 1;
    size_t most = w.slice * (size_t)threads * SLICES_PER_THREAD;
    if (most > t->rows) most = t->rows;
    w.out = mem_alloc(most * w.row_bytes);
    w.scratch = mem_alloc((size_t)threads * t->cols * sizeof *w.scratch);
    sc_status status = SC_OK;
    for (size_t row = 0; row < t->rows && status == SC_OK; row += w.rows) {
        w.first = row;
        w.rows = t->rows - row < most ? t->rows - row : most;
        pool_run(j->pool, (w.rows + w.slice - 1) / w.slice, make_slice, &w);
        if (j->cancel && *j->cancel) status = FAIL(err, SC_E_CANCELLED, "%s was cancelled", j->what);
        else if (atomic_load(&w.has_bad_number))
            status = FAIL(err, SC_E_FORMAT, "tensor %s holds a number that is infinite or not a number, which %s cannot store", t->name, dtypes[t->dtype].name);
        else status = put(writer, w.out, w.rows * w.row_bytes, err);
        j->done += w.rows * w.row_bytes;
    }
    if (t->source) file_forget(t->source->data, t->source->bytes);
    mem_free(w.out);
    mem_free(w.scratch);
    return status;
}

sc_status job_run(struct job *j, sc_status (*put)(void *writer, const void *data, size_t bytes, sc_error *err), void *writer, sc_error *err)
{
    j->done = 0;
    for (size_t i = 0; i < j->n; i++) {
        if (j->before) TRY(j->before(j, &j->tensors[i], err));
        TRY(run_tensor(j, &j->tensors[i], put, writer, err));
        job_progress(j, &j->tensors[i]);
    }
    return SC_OK;
}
