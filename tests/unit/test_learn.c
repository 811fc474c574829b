/* Whole models: loss and every gradient against PyTorch (tests/golden/models, tools/oracle/tiny_gradients.py), LoRA
 * against finite differences, packed sequences against each alone, equal bits on any number of threads. */
#include "cpu/cpu.h"
#include "model/model.h"
#include "test.h"

#include <dirent.h>

struct learner { struct pool *pool; struct arena step, grads; struct exec exec; struct model_file *file; struct model model; int32_t id[256], position[256], sequence[256]; size_t n; };

static void give_gradient(void *user, const struct model_tensor *t)
{
    t->tensor->grad = arena_zero(user, t->tensor->rows * t->tensor->cols * sizeof(float));
}

static void learner_open(struct learner *l, const char *directory, const char *kernels, int threads, bool gradients)
{
    const void *k;
    json_t *golden = NULL;
    char *path = path_join(directory, "golden.json");
    *l = (struct learner){ 0 };
    CHECK_OK(pool_open(&l->pool, threads, err));
    CHECK_OK(cpu_backend.kernels(&k, kernels, err));
    arena_init(&l->step);
    arena_init(&l->grads);
    l->exec = (struct exec){ .pool = l->pool, .backend = &cpu_backend, .kernels = k, .step = &l->step, .many_rows = true };
    CHECK_OK(model_file_open(&l->file, directory, false, err));
    CHECK_OK(model_bind(&l->model, l->file, err));
    if (gradients) model_each(&l->model, give_gradient, &l->grads);
    model_tie(&l->model);
    CHECK_OK(json_read_file(&golden, path, 1 << 20, err));
    const json_t *prompt = json_object_get(golden, "prompt");
    for (; l->n < json_array_size(prompt); l->n++) {
        l->id[l->n] = (int32_t)json_integer_value(json_array_get(prompt, l->n));
        l->position[l->n] = (int32_t)l->n;
    }
    json_decref(golden);
    mem_free(path);
}

static void learner_close(struct learner *l)
{
    model_release(&l->model);
    model_file_close(l->file);
    arena_release(&l->grads);
    arena_release(&l->step);
    pool_close(l->pool);
}

/* Mean loss of every next token in the batch's sequences. */
static double learn(struct learner *l, bool gradients)
{
    size_t row[256], n = 0;
    int32_t label[256];
    float weight[256], loss[256];
    for (size_t i = 0; i + 1 < l->n; i++) {
        if (l->sequence[i] != l->sequence[i + 1]) continue;
        row[n] = i;
        label[n++] = l->id[i + 1];
    }
    for (size_t i = 0; i < n; i++) weight[i] = 1 / (float)n;
    struct batch b = { .rows = l->n, .token = l->id, .position = l->position, .sequence = l->sequence };
    model_learn(&l->model, &l->exec, &b, &(struct learn_rows){ .row = row, .label = label, .weight = weight, .loss = loss, .n = n }, gradients);
    CHECK(l->exec.status == SC_OK);
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)loss[i];
    return sum / (double)n;
}

/* ---- against PyTorch ---------------------------------------------------------------------------------------------------- */

struct comparison { const char *model; const json_t *expected; double worst; size_t n; };

static void compare_tensor(void *user, const struct model_tensor *t)
{
    struct comparison *c = user;
    char name[96];
    weight_name(name, t->row, MODEL_HF, t->layer, t->is_bias);
    const json_t *e = json_object_get(c->expected, name);
    size_t n = t->tensor->rows * t->tensor->cols;
    double norm = 0, along = 0;
    if (!e) { test_failed(__FILE__, __LINE__, "%s: %s has no reference", c->model, name); return; }
    for (size_t i = 0; i < n; i++) {
        norm += (double)t->tensor->grad[i] * (double)t->tensor->grad[i];
        along += (double)t->tensor->grad[i] * sin((double)(i + 1));
    }
    norm = sqrt(norm);
    double want = json_number_value(json_array_get(e, 0)), error = fabs(norm - want);
    error = fmax(error, fabs(along - json_number_value(json_array_get(e, 1))) / 4);
    error = fmax(error, fabs((double)t->tensor->grad[0] - json_number_value(json_array_get(e, 2))));
    error = fmax(error, fabs((double)t->tensor->grad[n - 1] - json_number_value(json_array_get(e, 3))));
    error /= want + 1e-6;
    if (!(error <= 1e-4)) test_failed(__FILE__, __LINE__, "%s: gradient of %s has norm %g, expected %g (relative error %.1e)", c->model, name, norm, want, error);
    c->worst = fmax(c->worst, error);
    c->n++;
}

static void check_model(const char *directory, const char *name, const char *kernels, double *worst)
{
    struct learner l;
    json_t *golden = NULL;
    char *path = path_join(directory, "gradients.json");
    CHECK_OK(json_read_file(&golden, path, 1 << 20, err));
    learner_open(&l, directory, kernels, 2, true);
    double loss = learn(&l, true), want = json_number_value(json_object_get(golden, "loss"));
    if (!(fabs(loss - want) / want < 1e-5)) test_failed(__FILE__, __LINE__, "%s: loss %.7f, expected %.7f", name, loss, want);
    struct comparison c = { name, json_object_get(golden, "gradients"), 0, 0 };
    model_each(&l.model, compare_tensor, &c);
    CHECK_INT(c.n, json_object_size(c.expected));
    *worst = fmax(*worst, c.worst);
    learner_close(&l);
    json_decref(golden);
    mem_free(path);
}

static void check_models(const char *kernels)
{
    const char *root = getenv("STARCHAT_GOLDEN_MODELS") ? getenv("STARCHAT_GOLDEN_MODELS") : test_path("tests/golden/models");
    const void *k;
    DIR *d = opendir(root);
    double worst = 0;
    size_t n = 0;
    if (cpu_backend.kernels(&k, kernels, NULL) != SC_OK) { printf("skipped: this processor lacks %s\n", kernels); closedir(d); return; }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char *directory = path_join(root, e->d_name), *path = path_join(directory, "gradients.json");
        if (path_exists(path)) {
            check_model(directory, e->d_name, kernels, &worst);
            n++;
        }
        mem_free(path);
        mem_free(directory);
    }
    closedir(d);
    CHECK(n >= 20);
    printf("%zu models, largest relative error of a gradient %.1e\n", n, worst);
}

TEST(gradients_scalar) { check_models("scalar"); }
TEST(gradients_avx2) { check_models("avx2"); }
TEST(gradients_avx512) { check_models("avx512"); }

/* ---- equalities -------------------------------------------------------------------------------------------------------------- */

static void sum_gradients(void *user, const struct model_tensor *t)
{
    struct sha256 *h = user;
    sha256_add(h, t->tensor->grad, t->tensor->rows * t->tensor->cols * sizeof(float));
}

TEST(threads_change_no_bit)
{
    char hex[3][65];
    for (int threads = 1; threads <= 3; threads++) {
        struct learner l;
        struct sha256 h;
        learner_open(&l, test_path("tests/golden/models/starcoder2_window"), "auto", threads, true);
        learn(&l, true);
        sha256_begin(&h);
        model_each(&l.model, sum_gradients, &h);
        sha256_end(&h, hex[threads - 1]);
        learner_close(&l);
    }
    CHECK_STR(hex[1], hex[0]);
    CHECK_STR(hex[2], hex[0]);
}

/* Blocks kept, all, some or none, or computed again. */
TEST(keeping_blocks_changes_no_bit)
{
    static const char *const names[] = { "tests/golden/models/bigcode_mqa_erf", "tests/golden/models/llama_gqa_untied" };
    static const size_t keep[] = { 0, 1, 60000, 120000, SIZE_MAX };
    for (size_t i = 0; i < 2; i++) {
        char hex[5][65];
        size_t peak[5];
        for (size_t k = 0; k < 5; k++) {
            struct learner l;
            struct sha256 h;
            learner_open(&l, test_path(names[i]), "auto", 2, true);
            l.exec.keep_bytes = keep[k];
            l.exec.dropout.attention = l.exec.dropout.residual = l.exec.dropout.embedding = 0.2f;
            learn(&l, true);
            peak[k] = l.step.peak;
            sha256_begin(&h);
            model_each(&l.model, sum_gradients, &h);
            sha256_end(&h, hex[k]);
            CHECK_STR(hex[k], hex[0]);
            learner_close(&l);
        }
        CHECK(peak[4] > peak[0]);
    }
}

/* A copy that may be changed. */
static void own_values(void *user, const struct model_tensor *t)
{
    size_t bytes = t->tensor->rows * t->tensor->cols * sizeof(float);
    t->tensor->data = memcpy(arena_take(user, bytes), t->tensor->data, bytes);
}

/* Elements of all tensors in one row: filled with their gradients, or, if it walks, added `by` times to their values. */
struct direction { float *g, by; size_t n; bool walks; };

static void along(void *user, const struct model_tensor *t)
{
    struct direction *d = user;
    size_t n = t->tensor->rows * t->tensor->cols;
    if (d->walks) for (size_t i = 0; i < n; i++) tensor_f32(t->tensor)[i] += d->by * d->g[d->n + i];
    else {
        d->g = mem_grow(d->g, (d->n + n) * sizeof *d->g);
        memcpy(d->g + d->n, t->tensor->grad, n * sizeof *d->g);
    }
    d->n += n;
}

static double loss_along(struct learner *l, struct direction *d, float by)
{
    *d = (struct direction){ d->g, by, 0, true };
    model_each(&l->model, along, d);
    return learn(l, true);
}

/* With its dropout a model is a function of the seed that has a gradient; each of the three changes the loss. */
TEST(dropout_of_models)
{
    static const char *const names[] = { "tests/golden/models/bigcode_mqa_erf", "tests/golden/models/starcoder2_window" };
    for (size_t i = 0; i < 2; i++) {
        struct learner l;
        learner_open(&l, test_path(names[i]), "auto", 2, true);
        model_each(&l.model, own_values, &l.grads);
        model_tie(&l.model);
        double plain = learn(&l, false);
        float *const rates[] = { &l.exec.dropout.attention, &l.exec.dropout.residual, &l.exec.dropout.embedding };
        for (size_t k = 0; k < 3; k++) {
            *rates[k] = 0.2f;
            double dropped = learn(&l, true);
            CHECK(fabs(dropped - plain) > 1e-5 && fabs(learn(&l, true) - dropped) < 1e-12);
            CHECK(fabs(learn(&l, false) - plain) < 1e-12);          /* evaluation has none */
            *rates[k] = 0;
        }
        learner_close(&l);
    }
}

TEST(dropout_of_models_has_its_gradient)
{
    static const char *const names[] = { "tests/golden/models/bigcode_mqa_erf", "tests/golden/models/starcoder2_window" };
    for (size_t i = 0; i < 2; i++) {
        struct learner l;
        struct direction d = { 0 };
        double length = 0;
        learner_open(&l, test_path(names[i]), "auto", 2, true);
        model_each(&l.model, own_values, &l.grads);
        model_tie(&l.model);
        l.exec.dropout.attention = l.exec.dropout.residual = l.exec.dropout.embedding = 0.2f;
        learn(&l, true);
        model_each(&l.model, along, &d);
        for (size_t k = 0; k < d.n; k++) length += (double)d.g[k] * (double)d.g[k];
        float by = (float)(5e-3 / length);
        double up = loss_along(&l, &d, by), down = loss_along(&l, &d, -2 * by), found = (up - down) / (2 * (double)by);
        CHECK(fabs(found / length - 1) < 5e-3);
        mem_free(d.g);
        learner_close(&l);
    }
}

/* Two sequences in one batch: the mean of their losses alone, whatever stands beside. */
TEST(sequences_do_not_see_each_other)
{
    static const char *const names[] = { "tests/golden/models/bigcode_mqa_erf", "tests/golden/models/llama_gqa_untied", "tests/golden/models/qwen2_window" };
    for (size_t i = 0; i < 3; i++) {
        struct learner l;
        learner_open(&l, test_path(names[i]), "auto", 2, false);
        size_t n = l.n, cut = n / 3;
        int32_t all[256];
        memcpy(all, l.id, sizeof all);
        l.n = cut;
        double first = learn(&l, false) * (double)(cut - 1);
        l.n = n - cut;
        memcpy(l.id, all + cut, (n - cut) * sizeof *all);
        double second = learn(&l, false) * (double)(n - cut - 1);
        l.n = n;
        memcpy(l.id, all, sizeof all);
        for (size_t k = 0; k < n; k++) {
            l.sequence[k] = k >= cut;
            l.position[k] = (int32_t)(k >= cut ? k - cut : k);
        }
        double both = learn(&l, false);
        CHECK(fabs(both - (first + second) / (double)(n - 2)) < 1e-6);
        learner_close(&l);
    }
}

/* ---- LoRA ---------------------------------------------------------------------------------------------------------------------- */

enum { RANK = 3 };

static struct tensor random_tensor(struct arena *a, size_t rows, size_t cols, uint64_t stream)
{
    struct tensor t = { .dtype = DTYPE_F32, .rows = rows, .cols = cols, .data = arena_take(a, rows * cols * sizeof(float)), .grad = arena_zero(a, rows * cols * sizeof(float)) };
    random_normal(t.data, rows * cols, 21, stream, 0);
    for (size_t i = 0; i < rows * cols; i++) tensor_f32(&t)[i] *= 0.1f;
    return t;
}

static struct lora *attach(struct learner *l, struct weight *w, uint64_t stream)
{
    struct lora *lora = arena_zero(&l->grads, sizeof *lora);
    lora->a.w = random_tensor(&l->grads, RANK, w->w.cols, stream);
    lora->b.w = random_tensor(&l->grads, w->w.rows, RANK, stream + 1);
    lora->scale = 0.7f;
    w->lora = lora;
    return lora;
}

static double move_and_learn(struct learner *l, struct lora **lora, size_t n, float by)
{
    for (size_t i = 0; i < 2 * n; i++) {
        struct tensor *t = i % 2 ? &lora[i / 2]->b.w : &lora[i / 2]->a.w;
        for (size_t k = 0; k < t->rows * t->cols; k++) tensor_f32(t)[k] += by * sinf((float)(k + i));
    }
    return learn(l, false);
}

/* Frozen weights, adapters on two matrices of the second layer: only these get gradients. */
TEST(adapters)
{
    struct learner l;
    learner_open(&l, test_path("tests/golden/models/llama_gqa_untied"), "auto", 2, false);
    struct lora *lora[] = { attach(&l, &l.model.layers[1].q, 1), attach(&l, &l.model.layers[1].down, 5) };
    double along = 0;
    learn(&l, true);
    for (size_t i = 0; i < 4; i++) {
        const struct tensor *t = i % 2 ? &lora[i / 2]->b.w : &lora[i / 2]->a.w;
        for (size_t k = 0; k < t->rows * t->cols; k++) along += (double)t->grad[k] * (double)sinf((float)(k + i));
    }
    const float h = 0.01f;
    double up = move_and_learn(&l, lora, 2, h), down = move_and_learn(&l, lora, 2, -2 * h), measured = (up - down) / (2 * (double)h);
    if (!(fabs(measured - along) < 2e-3 * fabs(along))) test_failed(__FILE__, __LINE__, "derivative %g, gradient says %g", measured, along);
    learner_close(&l);
}
