/* kl.c - what storage types and int8 activations change: Kullback-Leibler divergence of the next-token distribution from that
 * of a reference model with f32 activations, perplexities, and how often both say the same token first.
 * Usage: bench_kl REFERENCE TEXT MODEL... [--activations f32|int8] [--cache f32|f16|q8_0] [--tokens N]
 * The text is read by windows of WINDOW tokens; the first half of each is context alone. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "infer/infer.h"

enum { WINDOW = 512, ROWS = 256 };

static void fail(const char *text)
{
    fprintf(stderr, "bench_kl: %s\n", text);
    exit(1);
}

struct side { sc_runtime *rt; sc_model *model; struct arena step; struct kv_cache cache; };

static void side_open(struct side *s, const char *path, const char *activations, enum dtype cache)
{
    sc_error e = { 0 };
    arena_init(&s->step);
    if (sc_runtime_open(&s->rt, &(sc_runtime_config){ .activations = activations }, &e) != SC_OK || sc_model_open(&s->model, s->rt, &(sc_model_config){ .path = path }, &e) != SC_OK) fail(e.message);
    const struct model_config *c = &s->model->model.config;
    kv_cache_init(&s->cache, cache, c->layers, c->kv_heads, c->head_dim, WINDOW);
}

static void side_close(struct side *s)
{
    kv_cache_release(&s->cache);
    arena_release(&s->step);
    sc_model_close(s->model);
    sc_runtime_close(s->rt);
}

/* Logits behind `rows` tokens from position `at` on; `logits` NULL: the tokens are context alone. */
static void run(struct side *s, const int32_t *id, size_t at, size_t rows, float *logits)
{
    int32_t position[ROWS], sequence[ROWS] = { 0 };
    size_t row[ROWS];
    struct kv_cache *caches[] = { &s->cache };
    struct exec e = { .pool = s->rt->pool, .backend = s->rt->backend, .kernels = s->rt->kernels, .int8_activations = !strcmp(s->rt->activations, "int8"), .many_rows = !strcmp(s->rt->activations, "f32"), .step = &s->step };
    struct arena_mark mark = arena_mark(&s->step);
    for (size_t i = 0; i < rows; i++) row[i] = (size_t)(position[i] = (int32_t)(at + i)) - at;
    const struct tensor *hidden = model_forward(&s->model->model, &e, &(struct batch){ .rows = rows, .token = id + at, .position = position, .sequence = sequence, .caches = caches }, row, rows);
    if (!hidden) fail("the forward pass failed");
    if (logits) model_logits(&s->model->model, &e, hidden, logits);
    arena_rewind(&s->step, mark);
}

struct sums { double kl, square, worst, loss, reference_loss; size_t n, same; };

static double log_normaliser(const float *x, size_t n)
{
    float max;
    double rest = log_sum(x, n, &max);
    return rest + (double)max;
}

static size_t first_of(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) best = x[i] > x[best] ? i : best;
    return best;
}

static void compare(struct sums *s, const float *p, const float *q, size_t vocab, int32_t next)
{
    double lp = log_normaliser(p, vocab), lq = log_normaliser(q, vocab), kl = 0;
    for (size_t i = 0; i < vocab; i++) kl += exp((double)p[i] - lp) * (((double)p[i] - lp) - ((double)q[i] - lq));
    s->kl += kl;
    s->square += kl * kl;
    s->worst = kl > s->worst ? kl : s->worst;
    s->loss += lq - (double)q[next];
    s->reference_loss += lp - (double)p[next];
    s->same += first_of(p, vocab) == first_of(q, vocab);
    s->n++;
}

enum { MOST = 64 };

/* The reference computes each window once, whatever the number of models. */
static void measure(struct sums *s, struct side *reference, struct side *other, size_t n, const sc_tokens *text, size_t most)
{
    size_t vocab = model_vocab(&reference->model->model);
    float *p = mem_alloc(ROWS * vocab * sizeof *p), *q = mem_alloc(ROWS * vocab * sizeof *q);
    for (size_t begin = 0; begin + WINDOW < text->len && s[0].n < most; begin += WINDOW)
        for (size_t at = 0; at < WINDOW; at += ROWS) {
            bool is_context = at < WINDOW / 2;
            run(reference, text->id + begin, at, ROWS, is_context ? NULL : p);
            for (size_t k = 0; k < n; k++) {
                run(&other[k], text->id + begin, at, ROWS, is_context ? NULL : q);
                for (size_t i = 0; !is_context && i < ROWS; i++) compare(&s[k], p + i * vocab, q + i * vocab, vocab, text->id[begin + at + i + 1]);
            }
        }
    mem_free(p);
    mem_free(q);
}

int main(int argc, char **argv)
{
    const char *activations = "f32", *path[MOST];
    size_t n = 0, tokens = 2048;
    enum dtype cache = DTYPE_F32;
    sc_text text = { 0 };
    sc_tokens ids = { 0 };
    sc_error e = { 0 };
    static struct side reference, other[MOST];
    static struct sums sums[MOST];
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--activations") && i + 1 < argc) activations = argv[++i];
        else if (!strcmp(argv[i], "--cache") && i + 1 < argc) { if (!dtype_by_name(&cache, argv[++i])) fail("no such type of cache"); }
        else if (!strcmp(argv[i], "--tokens") && i + 1 < argc) tokens = strtoull(argv[++i], NULL, 10);
        else if (n < MOST) path[n++] = argv[i];
    }
    if (n < 3) { printf("bench_kl: nothing measured; give REFERENCE TEXT MODEL...\n"); return 0; }
    side_open(&reference, path[0], "f32", DTYPE_F32);
    if (file_read(&text, path[1], 64 << 20, &e) != SC_OK || sc_encode(&ids, sc_model_tokenizer(reference.model), text.data, text.len, false, &e) != SC_OK) fail(e.message);
    for (size_t i = 2; i < n; i++) {
        side_open(&other[i - 2], path[i], activations, cache);
        if (model_vocab(&other[i - 2].model->model) != model_vocab(&reference.model->model)) fail("the models have different vocabularies");
    }
    measure(sums, &reference, other, n - 2, &ids, tokens);
    printf("| model | bytes | activations | cache | KL, mean | standard error | KL, largest | same first token | perplexity | reference |\n|---|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 2; i < n; i++) {
        const struct sums *s = &sums[i - 2];
        double count = s->n ? (double)s->n : 1, mean = s->kl / count, spread = sqrt((s->square / count - mean * mean) / count);
        printf("| %s | %zu | %s | %s | %.5f | %.5f | %.3f | %.1f %% | %.3f | %.3f |\n", strrchr(path[i], '/') ? strrchr(path[i], '/') + 1 : path[i], other[i - 2].model->file->bytes, activations, dtypes[cache].name, mean, spread, s->worst,
               100 * (double)s->same / count, exp(s->loss / count), exp(s->reference_loss / count));
        side_close(&other[i - 2]);
    }
    side_close(&reference);
    sc_tokens_free(&ids);
    sc_text_free(&text);
    return 0;
}
