/* saved_check.c - reads back what was written and lets it compute: a file that computes something else than the model it
 * came from must be known before anyone relies on it. Logits of a fixed prompt are compared, and the tokens of a fixed
 * dialogue, so that tokenizer and template are known to be whole too. */
#include "train/train.h"

#include <math.h>
#include <string.h>

enum { PROMPT_MAX = 16, NEW_TOKENS_SHOWN = 4 };

/* Ids spread over the vocabulary; the last ones, where new tokens stand, come at the end. */
static size_t make_prompt(int32_t id[PROMPT_MAX], const struct model *m)
{
    size_t vocab = model_vocab(m), n = m->config.context < PROMPT_MAX ? m->config.context : PROMPT_MAX;
    for (size_t i = 0; i < n; i++) {
        size_t from_end = n - 1 - i;
        id[i] = (int32_t)(from_end < NEW_TOKENS_SHOWN && from_end < vocab ? vocab - 1 - from_end : (i * 7919 + 3) % vocab);
    }
    return n;
}

/* Logits of all positions, computed as a session does with f32 activations. */
static sc_status prompt_logits(float *out, sc_runtime *rt, const struct model *m, const int32_t *id, size_t n, sc_error *err)
{
    const struct model_config *c = &m->config;
    size_t row[PROMPT_MAX];
    int32_t position[PROMPT_MAX], sequence[PROMPT_MAX] = { 0 };
    struct kv_cache cache, *caches[] = { &cache };
    struct arena step;
    kv_cache_init(&cache, DTYPE_F32, c->layers, c->kv_heads, c->head_dim, n);
    arena_init(&step);
    struct exec e = { .pool = rt->pool, .backend = rt->backend, .kernels = rt->kernels, .step = &step, .cancel = &rt->cancel };
    for (size_t i = 0; i < n; i++) row[i] = (size_t)(position[i] = (int32_t)i);
    struct batch batch = { .rows = n, .token = id, .position = position, .sequence = sequence, .caches = caches };
    const struct tensor *hidden = model_forward(m, &e, &batch, row, n);
    if (hidden && e.status == SC_OK) model_logits(m, &e, hidden, out);
    arena_release(&step);
    kv_cache_release(&cache);
    if (e.status == SC_E_CANCELLED) return FAIL(err, e.status, "checking what was written was cancelled");
    return e.status == SC_OK ? SC_OK : FAIL(err, e.status, "the forward pass of what was written failed");
}

/* Largest difference over a row's range. */
static double logits_difference(const float *found, const float *expected, size_t n, size_t vocab)
{
    double worst = 0;
    for (size_t r = 0; r < n; r++) {
        float low = INFINITY, high = -INFINITY, d = 0;
        for (size_t i = r * vocab; i < (r + 1) * vocab; i++) {
            low = fminf(low, expected[i]);
            high = fmaxf(high, expected[i]);
            d = isfinite(found[i]) ? fmaxf(d, fabsf(found[i] - expected[i])) : INFINITY;
        }
        worst = fmax(worst, d == 0 ? 0 : (double)d / (double)fmaxf(high - low, 1e-30f));
    }
    return worst;
}

/* A block of the model that is read back, once it was computed with: its pages would count as memory of the run. */
static sc_status need_nothing(void *user, size_t block, size_t next, bool goes_back) { (void)user; (void)block; (void)next; (void)goes_back; return SC_OK; }
static sc_status forget_block(void *user, size_t block, bool goes_back)
{
    const struct layer *l = &((const struct model *)user)->layers[block];
    const struct weight *const w[] = { &l->qkv, &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };
    (void)goes_back;
    for (size_t i = 0; i < sizeof w / sizeof *w; i++)
        if (w[i]->w.data) file_forget(w[i]->w.data, w[i]->w.rows * tensor_row_bytes(&w[i]->w));
    return SC_OK;
}

static sc_status compare(double *difference, sc_runtime *rt, const struct model *live, const struct model *saved, double most, const char *path, sc_error *err)
{
    int32_t id[PROMPT_MAX];
    size_t vocab = model_vocab(live), n = make_prompt(id, live);
    if (model_vocab(saved) != vocab) return FAIL(err, SC_E_FORMAT, "%s was written, but has %zu tokens instead of %zu; do not use it", path, model_vocab(saved), vocab);
    float *expected = mem_alloc(2 * n * vocab * sizeof *expected), *found = expected + n * vocab;
    sc_status status = prompt_logits(expected, rt, live, id, n, err);
    if (status == SC_OK) status = prompt_logits(found, rt, saved, id, n, err);
    if (status == SC_OK) {
        *difference = logits_difference(found, expected, n, vocab);
        if (!(*difference <= most))
            status = FAIL(err, SC_E_FORMAT, "%s was written, but computes something else than the model it comes from: logits differ by %.2g of their range, at most %.2g is rounding; do not use it", path, *difference, most);
    }
    mem_free(expected);
    return status;
}

/* ---- text ------------------------------------------------------------------------------------------------------------------------ */

static sc_status compare_text(const sc_model *live, const sc_model *saved, const char *path, sc_error *err)
{
    static const sc_message dialogue[] = { { "user", "Wie geht's? 1 + 1 = 2\n\tif (x) { return \"y\"; }" }, { "assistant", "Fine." }, { "user", "again" } };
    sc_tokens a = { 0 }, b = { 0 };
    if (!live->tokenizer) return SC_OK;
    if (!saved->tokenizer) return FAIL(err, SC_E_FORMAT, "%s was written, but has no tokenizer; do not use it", path);
    if (!live->has_template || sc_encode_chat(&a, live, dialogue, 3, NULL) != SC_OK) return SC_OK;      /* some templates want other roles */
    sc_status status = sc_encode_chat(&b, saved, dialogue, 3, err);
    if (status == SC_OK && (a.len != b.len || memcmp(a.id, b.id, a.len * sizeof *a.id)))
        status = FAIL(err, SC_E_FORMAT, "%s was written, but its tokenizer or chat template turns a dialogue into other tokens; do not use it", path);
    sc_tokens_free(&a);
    sc_tokens_free(&b);
    return status == SC_OK ? SC_OK : error_prefix(err, status, "reading back %s", path);
}

/* ---- what was written ---------------------------------------------------------------------------------------------------------------- */

/* What rounding to the coarsest type of the layers can do. In f32 PyTorch's own merged and unmerged SmolLM2 differ by 1e-4 on
 * such a prompt, ours by up to 6e-4: this model's large activations magnify what is rounded. */
static double tolerance_for(struct model *m)
{
    static const double most[DTYPE_COUNT] = { [DTYPE_F32] = 2e-3, [DTYPE_F16] = 1e-2, [DTYPE_BF16] = 6e-2, [DTYPE_Q8_0] = 8e-2, [DTYPE_Q6_K] = 2e-1 };
    const struct layer *l = &m->layers[0];
    const struct tensor *const w[] = { &m->embed.w, &l->q.w, &l->qkv.w, &l->o.w, &l->up.w, &l->down.w };
    double worst = 0;
    for (size_t i = 0; i < sizeof w / sizeof *w; i++)
        if (w[i]->data) worst = fmax(worst, most[w[i]->dtype] > 0 ? most[w[i]->dtype] : 0.5);
    return worst;
}

/* The live model as it is without what was trained, with the adapter that was saved. */
static sc_status check_adapter(double *difference, const sc_model *live, const char *path, sc_error *err)
{
    struct model_file *f = NULL;
    struct model copy = live->model;
    size_t bytes = copy.config.layers * sizeof *copy.layers;
    sc_status status;
    arena_init(&copy.memory);
    copy.layers = memcpy(arena_take(&copy.memory, bytes), live->model.layers, bytes);
    copy.extra = copy.extra_head = (struct tensor){ 0 };
    for (size_t i = 0; i < copy.config.layers; i++) {
        struct layer *l = &copy.layers[i];
        struct weight *const w[] = { &l->qkv, &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };
        for (size_t k = 0; k < sizeof w / sizeof *w; k++) w[k]->lora = NULL;
    }
    TRY_DONE(adapter_file_open(&f, path, err));
    TRY_DONE(adapter_load(&copy, f, err));
    if (model_vocab(&copy) < model_vocab(&live->model)) model_add_rows(&copy, model_vocab(&live->model) - model_vocab(&copy));
    TRY_DONE(compare(difference, live->runtime, &live->model, &copy, 1e-6, path, err));
done:
    model_file_close(f);
    arena_release(&copy.memory);
    return status;
}

sc_status saved_model_check(double *difference, const sc_model *live, const char *path, sc_error *err)
{
    sc_model *saved = NULL;
    bool is_adapter = adapter_is_at(path);
    sc_model_config c = { .path = is_adapter ? live->file->path : path, .adapter = is_adapter ? path : NULL, .no_tokenizer = !live->tokenizer };
    *difference = 0;
    sc_status status = sc_model_open(&saved, live->runtime, &c, err);
    if (status != SC_OK) return error_prefix(err, status, "reading back %s", path);
    if (is_adapter) status = check_adapter(difference, live, path, err);
    else {
        const struct model_residency forgets = { need_nothing, forget_block, &saved->model };
        saved->model.residency = &forgets;
        status = compare(difference, live->runtime, &live->model, &saved->model, tolerance_for(&saved->model), path, err);
    }
    if (status == SC_OK) status = compare_text(live, saved, path, err);
    sc_model_close(saved);
    return status;
}
