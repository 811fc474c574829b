/* calibrate.c - the importance matrix of a model: what its matrices are multiplied with while it reads a text.
 *
 * The text is read by windows that know nothing of each other, in f32 and by the operations of training, whose results do
 * not depend on the number of threads. A head of its own sees every position; one that is the embedding is left alone, for
 * rows are read of that table too. */
#include "infer/infer.h"

#include <string.h>

enum { WINDOW = 512, LEAST_TOKENS = 64, MAX_BYTES = 1 << 28 };

struct calibration {
    sc_model *model;
    struct imatrix *out;
    const void **data;               /* of the matrix behind each row of `out` */
    struct arena step;
    bool has_bad_number;
};

static void add_matrix(void *user, const struct model_tensor *t)
{
    struct calibration *k = user;
    char name[96];
    if (t->is_bias || t->row->flags & WF_NORM || t->row->role == W_EMBED || t->row->role == W_POSITION) return;
    weight_name(name, t->row, MODEL_GGUF, t->layer, false);
    imatrix_add(k->out, name, t->tensor->cols);
    k->data = mem_grow(k->data, k->out->n * sizeof *k->data);
    k->data[k->out->n - 1] = t->tensor->data;
}

static void see_linear(void *user, const struct tensor *x, const struct tensor *w)
{
    struct calibration *k = user;
    size_t i = 0;
    while (i < k->out->n && k->data[i] != w->data) i++;
    if (i == k->out->n) return;
    struct imatrix_row *row = &k->out->rows[i];
    double total = 0;
    for (size_t r = 0; r < x->rows; r++) {
        const float *in = tensor_f32(x) + r * x->cols;
        for (size_t j = 0; j < x->cols; j++) row->sum[j] += (double)in[j] * (double)in[j];
    }
    for (size_t j = 0; j < x->cols; j++) total += row->sum[j];
    k->has_bad_number |= !(total <= 3e38);
    row->count += (double)x->rows;
}

static sc_status read_window(struct calibration *k, const int32_t *id, size_t n, sc_error *err)
{
    sc_runtime *rt = k->model->runtime;
    struct model *m = &k->model->model;
    struct exec e = { .pool = rt->pool, .backend = rt->backend, .kernels = rt->kernels, .many_rows = true, .step = &k->step, .cancel = &rt->cancel, .on_linear = see_linear, .on_linear_user = k };
    struct arena_mark mark = arena_mark(&k->step);
    int32_t *position = arena_take(&k->step, n * sizeof *position), *sequence = arena_zero(&k->step, n * sizeof *sequence);
    size_t *row = arena_take(&k->step, n * sizeof *row);
    for (size_t i = 0; i < n; i++) row[i] = (size_t)(position[i] = (int32_t)i);
    const struct tensor *hidden = model_forward(m, &e, &(struct batch){ .rows = n, .token = id, .position = position, .sequence = sequence }, row, n);
    if (hidden) see_linear(k, hidden, &m->head.w);      /* its product, a row of the vocabulary for each token, is not needed */
    arena_rewind(&k->step, mark);
    if (e.status != SC_OK) return FAIL(err, e.status, "convert was cancelled");
    if (k->has_bad_number) return FAIL(err, SC_E_FORMAT, "%s gives numbers that are infinite or not a number on the calibration text; convert it without --calibrate", k->model->file->path);
    return SC_OK;
}

static void report(const sc_convert_config *c, size_t done, size_t total)
{
    if (!c->on_event) return;
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "{\"event\":\"progress\",\"what\":\"calibrate\",\"done\":%zu,\"total\":%zu}", done, total);
    c->on_event(c->user, b.data);
    buf_release(&b);
}

static sc_status read_text(sc_tokens *out, const struct calibration *k, const sc_convert_config *c, sc_error *err)
{
    sc_text text = { 0 };
    if (!k->model->tokenizer) return FAIL(err, SC_E_UNSUPPORTED, "%s has no tokenizer to read the calibration text with; give --imatrix FILE instead", c->in);
    TRY(file_read(&text, c->calibrate, MAX_BYTES, err));
    sc_status status = sc_encode(out, sc_model_tokenizer(k->model), text.data, text.len, false, err);
    sc_text_free(&text);
    TRY(status);
    if (c->calibrate_tokens > 0 && (uint64_t)c->calibrate_tokens < out->len) out->len = (size_t)c->calibrate_tokens;
    if (out->len < LEAST_TOKENS) return FAIL(err, SC_E_ARGUMENT, "%s gives %zu tokens for calibration, at least %d are needed; some ten thousand are good", c->calibrate, out->len, LEAST_TOKENS);
    return SC_OK;
}

sc_status model_calibrate(struct imatrix *out, sc_runtime *rt, const sc_convert_config *c, sc_error *err)
{
    struct calibration k = { .out = out };
    sc_tokens text = { 0 };
    int32_t bos = 0, window[WINDOW];
    const char *slash = strrchr(c->calibrate, '/');
    *out = (struct imatrix){ .dataset = mem_strdup(slash ? slash + 1 : c->calibrate) };
    arena_init(&k.step);
    sc_status status;
    TRY_DONE(sc_model_open(&k.model, rt, &(sc_model_config){ .path = c->in }, err));
    TRY_DONE(read_text(&text, &k, c, err));
    model_each(&k.model->model, add_matrix, &k);
    size_t most = sc_model_context(k.model) < WINDOW ? sc_model_context(k.model) : WINDOW, first = sc_model_adds_bos(k.model, &bos) ? 1 : 0;
    if (most > text.len + first) most = text.len + first;
    if (most <= first) TRY_DONE(FAIL(err, SC_E_UNSUPPORTED, "%s has a context of %zu tokens, too short to calibrate; give --imatrix FILE instead", c->in, most));
    size_t step = most - first, windows = text.len / step;
    window[0] = bos;
    out->chunk = most;
    while (out->chunks < windows) {
        memcpy(window + first, text.id + out->chunks * step, step * sizeof *window);
        TRY_DONE(read_window(&k, window, most, err));
        report(c, ++out->chunks * step, windows * step);
    }
done:
    arena_release(&k.step);
    mem_free(k.data);
    sc_tokens_free(&text);
    sc_model_close(k.model);
    if (status != SC_OK) imatrix_release(out);
    return status;
}
