/* optimizer.c - the update of all parameters from the step's gradient: AdamW (Loshchilov and Hutter 2019) and SGD with
 * momentum, in the order of operations of PyTorch's single-tensor versions; and clipping by the norm of all gradients.
 *
 * Parameters are cut into pieces of a fixed size, so that threads change no bit. */
#include "train/train.h"

#include <math.h>

enum { PIECE = 1 << 14 };

/* The pieces of all parameters, one after the other. */
struct pieces { struct trainable *t; size_t *first; size_t n; };

static void pieces_init(struct pieces *p, struct trainable *t)
{
    *p = (struct pieces){ t, mem_alloc((t->n + 1) * sizeof *p->first), 0 };
    for (size_t i = 0; i < t->n; i++) {
        p->first[i] = p->n;
        p->n += (t->parameter[i].rows * t->parameter[i].cols + PIECE - 1) / PIECE;
    }
    p->first[t->n] = p->n;
}

/* Elements [*from, *to) of parameter *which are piece i. */
static void piece_find(const struct pieces *p, size_t i, size_t *which, size_t *from, size_t *to)
{
    size_t low = 0, high = p->t->n;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (p->first[middle] <= i) low = middle; else high = middle;
    }
    size_t n = p->t->parameter[low].rows * p->t->parameter[low].cols;
    *which = low;
    *from = (i - p->first[low]) * PIECE;
    *to = *from + PIECE < n ? *from + PIECE : n;
}

struct update { struct pieces pieces; const struct optimizer_config *c; double size, correction; };

static void adamw_piece(void *arg, size_t i, int worker)
{
    const struct update *u = arg;
    size_t which, from, to;
    (void)worker;
    piece_find(&u->pieces, i, &which, &from, &to);
    const struct parameter *p = &u->pieces.t->parameter[which];
    const float *g = u->pieces.t->sum + p->begin;
    float beta2 = (float)u->c->beta2, size = (float)u->size, eps = (float)u->c->epsilon, root = (float)u->correction;
    float keep = p->decays ? (float)(1 - u->c->learning_rate * u->c->weight_decay) : 1, fresh1 = (float)(1 - u->c->beta1), fresh2 = (float)(1 - u->c->beta2);
    for (size_t k = from; k < to; k++) {
        float value = p->value[k] * keep;
        p->m[k] += fresh1 * (g[k] - p->m[k]);
        p->v[k] = p->v[k] * beta2 + fresh2 * g[k] * g[k];
        p->value[k] = value - size * (p->m[k] / (sqrtf(p->v[k]) / root + eps));
    }
}

static void adamw_update(struct trainable *t, const struct optimizer_config *c, int64_t step, struct pool *pool)
{
    struct update u = { .c = c, .size = c->learning_rate / (1 - pow(c->beta1, (double)step)), .correction = sqrt(1 - pow(c->beta2, (double)step)) };
    pieces_init(&u.pieces, t);
    pool_run(pool, u.pieces.n, adamw_piece, &u);
    mem_free(u.pieces.first);
}

static void sgd_piece(void *arg, size_t i, int worker)
{
    const struct update *u = arg;
    size_t which, from, to;
    (void)worker;
    piece_find(&u->pieces, i, &which, &from, &to);
    const struct parameter *p = &u->pieces.t->parameter[which];
    const float *g = u->pieces.t->sum + p->begin;
    float decay = p->decays ? (float)u->c->weight_decay : 0, momentum = (float)u->c->momentum, rate = (float)u->c->learning_rate;
    for (size_t k = from; k < to; k++) {
        p->m[k] = momentum * p->m[k] + (g[k] + decay * p->value[k]);
        p->value[k] -= rate * p->m[k];
    }
}

static void sgd_update(struct trainable *t, const struct optimizer_config *c, int64_t step, struct pool *pool)
{
    struct update u = { .c = c };
    (void)step;
    pieces_init(&u.pieces, t);
    pool_run(pool, u.pieces.n, sgd_piece, &u);
    mem_free(u.pieces.first);
}

const struct optimizer optimizers[] = { { "adamw", adamw_update }, { "sgd", sgd_update }, { 0 } };

/* ---- clipping ------------------------------------------------------------------------------------------------------------- */

struct squares { const float *g; size_t n; double *sum; float scale; };

static void square_piece(void *arg, size_t i, int worker)
{
    const struct squares *s = arg;
    double sum = 0;
    (void)worker;
    for (size_t k = i * PIECE; k < s->n && k < (i + 1) * PIECE; k++) sum += (double)s->g[k] * (double)s->g[k];
    s->sum[i] = sum;
}

static void scale_piece(void *arg, size_t i, int worker)
{
    const struct squares *s = arg;
    float *g = (float *)(uintptr_t)s->g;
    (void)worker;
    for (size_t k = i * PIECE; k < s->n && k < (i + 1) * PIECE; k++) g[k] *= s->scale;
}

double gradient_clip(struct trainable *t, double max_norm, struct pool *pool)
{
    size_t n = (t->elements + PIECE - 1) / PIECE;
    struct squares s = { t->sum, t->elements, mem_alloc((n + 1) * sizeof(double)), 1 };
    double total = 0;
    pool_run(pool, n, square_piece, &s);
    for (size_t i = 0; i < n; i++) total += s.sum[i];
    mem_free(s.sum);
    double norm = sqrt(total), factor = max_norm > 0 ? max_norm / (norm + 1e-6) : 1;      /* as torch.nn.utils.clip_grad_norm_ */
    if (factor < 1) {
        s.scale = (float)factor;
        pool_run(pool, n, scale_piece, &s);
    }
    return norm;
}
