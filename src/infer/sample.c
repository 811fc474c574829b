/* sample.c - from logits to a token. Order (docs/sampling.md): logit bias, repetition penalty, frequency and presence
 * penalties; then greedy, or temperature, top-k, top-p, min-p, typical, one draw. It is the order of the reference
 * (transformers LogitsProcessor, then warpers); typical: Meister et al. 2022; repetition: Keskar et al. 2019. */
#include "infer/infer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void sampler_init(struct sampler *s, const sc_sample_config *c, size_t vocab)
{
    *s = (struct sampler){ c, mem_alloc(vocab * sizeof *s->candidate), vocab };
}

void sampler_release(struct sampler *s)
{
    mem_free(s->candidate);
    s->candidate = NULL;
}

static void apply_bias(const struct sampler *s, float *logits)
{
    for (size_t i = 0; i < s->config->n_logit_bias; i++) {
        const sc_candidate *b = &s->config->logit_bias[i];
        if (b->id >= 0 && (size_t)b->id < s->vocab) logits[b->id] += b->logprob;
    }
}

static int by_number(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Each seen token once, with its count. */
static void apply_penalties(const struct sampler *s, float *logits, const int32_t *history, size_t n)
{
    const sc_sample_config *c = s->config;
    if (c->repeat_penalty == 1 && c->frequency_penalty == 0 && c->presence_penalty == 0) return;
    if (c->repeat_last_n >= 0 && (size_t)c->repeat_last_n < n) {
        history += n - (size_t)c->repeat_last_n;
        n = (size_t)c->repeat_last_n;
    }
    int32_t *sorted = mem_alloc(n * sizeof *sorted);
    if (n) memcpy(sorted, history, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_number);
    for (size_t i = 0, next; i < n; i = next) {
        for (next = i; next < n && sorted[next] == sorted[i]; next++) { }
        if (sorted[i] < 0 || (size_t)sorted[i] >= s->vocab) continue;
        float *x = &logits[sorted[i]];
        *x = (float)(*x > 0 ? (double)*x / c->repeat_penalty : (double)*x * c->repeat_penalty);
        *x -= (float)(c->frequency_penalty * (double)(next - i) + c->presence_penalty);
    }
    mem_free(sorted);
}

static size_t best_of(const float *logits, size_t best, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}

/* The first of the largest. Most blocks hold nothing larger than what came before: vectors see that quickly. */
static int32_t greedy(const float *logits, size_t n)
{
    enum { BLOCK = 64 };
    size_t best = 0, at = 0;
    for (; at + BLOCK <= n; at += BLOCK) {
        const float top = logits[best], *x = logits + at;
        int is_larger = 0;
        for (size_t i = 0; i < BLOCK; i++) is_larger |= x[i] > top;
        if (is_larger) best = best_of(logits, best, at, at + BLOCK);
    }
    return (int32_t)best_of(logits, best, at, n);
}

static int by_falling_logit(const void *a, const void *b)
{
    const sc_candidate *x = a, *y = b;
    if (x->logprob != y->logprob) return x->logprob > y->logprob ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Restores the heap order (smallest on top by by_falling_logit) below entry i. */
static void sift_down(sc_candidate *heap, size_t n, size_t i)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n) return;
        if (child + 1 < n && by_falling_logit(&heap[child + 1], &heap[child]) > 0) child++;
        if (by_falling_logit(&heap[i], &heap[child]) >= 0) return;
        sc_candidate swap = heap[i];
        heap[i] = heap[child];
        heap[child] = swap;
        i = child;
    }
}

/* The k best of the first n candidates, in place, by a heap of the best so far. */
static size_t keep_best(sc_candidate *c, size_t n, size_t k)
{
    if (k >= n) return n;
    for (size_t i = k / 2 + 1; i-- > 0; ) sift_down(c, k, i);
    for (size_t i = k; i < n; i++) {
        if (by_falling_logit(&c[i], &c[0]) >= 0) continue;
        c[0] = c[i];
        sift_down(c, k, 0);
    }
    return k;
}

/* Sum of exp(logit - max) over a row. */
static double row_mass(const float *logits, size_t n, double max)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += exp((double)logits[i] - max);
    return sum;
}

/* A logit below which no candidate can survive top-p or min-p: those below it together weigh less than 1 - top_p.
 * *mass: the sum over all of them, where top-p needs it. */
static double cut_off(const sc_sample_config *c, const float *logits, size_t n, double *mass)
{
    double max = -HUGE_VAL, low = -HUGE_VAL;
    for (size_t i = 0; i < n; i++) max = (double)logits[i] > max ? (double)logits[i] : max;
    if (c->min_p > 0) low = max + log(c->min_p) - 1e-6;
    if (c->top_p < 1) {
        *mass = row_mass(logits, n, max);
        double rare = max + log(*mass) + log((1 - c->top_p) / (double)n);
        low = rare > low ? rare : low;
    }
    return low < max ? low : max;
}

/* Candidates that can still be drawn, in falling order; in the order of ids when nothing cuts them. */
static size_t best_candidates(struct sampler *s, const float *logits, double *mass)
{
    const sc_sample_config *c = s->config;
    size_t n = 0;
    double low = c->top_k > 0 ? -HUGE_VAL : cut_off(c, logits, s->vocab, mass);
    for (size_t i = 0; i < s->vocab; i++)
        if (logits[i] > -INFINITY && (double)logits[i] >= low) s->candidate[n++] = (sc_candidate){ (int32_t)i, logits[i] };
    if (c->top_k > 0) n = keep_best(s->candidate, n, (size_t)c->top_k);
    else if (c->top_p >= 1 && c->min_p <= 0 && c->typical_p >= 1) return n;
    qsort(s->candidate, n, sizeof *s->candidate, by_falling_logit);
    return n;
}

/* Turns the logits of n candidates into probabilities p. mass: what they are divided by; 0: so that they sum to one. */
static void softmax(const sc_candidate *c, double *p, size_t n, double mass)
{
    double sum = 0, max = -HUGE_VAL;
    for (size_t i = 0; i < n; i++) max = (double)c[i].logprob > max ? (double)c[i].logprob : max;
    for (size_t i = 0; i < n; i++) sum += p[i] = exp((double)c[i].logprob - max);
    for (size_t i = 0; i < n; i++) p[i] /= mass > 0 ? mass : sum;
}

static size_t cut_top_p(const double *p, size_t n, double top_p)
{
    if (top_p >= 1) return n;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        if ((sum += p[i]) >= top_p) return i + 1;
    return n;
}

static size_t cut_min_p(const double *p, size_t n, double min_p)
{
    size_t kept = n;
    while (kept > 1 && p[kept - 1] < min_p * p[0]) kept--;
    return kept;
}

struct deviation { double distance, p; size_t at; };
static int by_rising_distance(const void *a, const void *b)
{
    const struct deviation *x = a, *y = b;
    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* Keeps the candidates whose surprise is nearest to the entropy until their mass reaches `mass`; order stays falling. */
static size_t cut_typical(sc_candidate *c, const double *p, size_t n, double mass)
{
    if (mass >= 1) return n;
    double entropy = 0, sum = 0;
    for (size_t i = 0; i < n; i++) entropy -= p[i] > 0 ? p[i] * log(p[i]) : 0;
    struct deviation *d = mem_alloc(n * sizeof *d);
    bool *keep = mem_zero(n, sizeof *keep);
    for (size_t i = 0; i < n; i++) d[i] = (struct deviation){ fabs(-log(p[i]) - entropy), p[i], i };
    qsort(d, n, sizeof *d, by_rising_distance);
    for (size_t i = 0; i < n; i++) {
        keep[d[i].at] = true;
        if ((sum += d[i].p) >= mass) break;
    }
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (keep[i]) c[kept++] = c[i];
    mem_free(d);
    mem_free(keep);
    return kept;
}

int32_t sampler_pick(struct sampler *s, float *logits, const int32_t *history, size_t n_history, double draw)
{
    const sc_sample_config *c = s->config;
    apply_bias(s, logits);
    apply_penalties(s, logits, history, n_history);
    if (c->temperature == 0) return greedy(logits, s->vocab);
    for (size_t i = 0; i < s->vocab && c->temperature != 1; i++) logits[i] = (float)((double)logits[i] / c->temperature);
    double mass = 0;
    size_t n = best_candidates(s, logits, &mass), before = n;
    if (n == 0) return greedy(logits, s->vocab);   /* every logit is -inf or not a number */
    double *p = mem_alloc(n * sizeof *p);
    softmax(s->candidate, p, n, mass);
    /* Where nothing is cut, the probabilities stay as they are: an exponential for each token of the vocabulary is as dear as the model's own work. */
    n = cut_top_p(p, n, c->top_p);
    if (n < before || mass > 0) softmax(s->candidate, p, n, 0);
    n = cut_min_p(p, before = n, c->min_p);
    if (n < before) softmax(s->candidate, p, n, 0);
    n = cut_typical(s->candidate, p, before = n, c->typical_p);
    if (n < before) softmax(s->candidate, p, n, 0);
    size_t pick = 0;
    for (double sum = p[0]; pick + 1 < n && draw >= sum; sum += p[pick]) pick++;
    mem_free(p);
    return s->candidate[pick].id;
}

double log_probability(const float *logits, size_t n, int32_t id)
{
    float max;
    double sum = log_sum(logits, n, &max);
    return (double)logits[id] - (double)max - sum;
}
