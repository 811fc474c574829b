/* calibrate.c - isotonic regression by pooling neighbours that stand in the wrong order: Ayer, Brunk, Ewing, Reid and Silverman, "An empirical distribution function for
 * sampling with incomplete information" (1955). */
#include "stats/stats_internal.h"

#include <math.h>
#include <stdlib.h>

/* What was pooled: all from the first x to the last have one mean. */
struct block { double first, last, sum, weight; };
static int by_first(const void *a, const void *b)
{
    const struct block *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

/* a, then b: do their means fall, or stay? */
static bool is_pooled(const struct block *a, const struct block *b) { return a->sum * b->weight >= b->sum * a->weight; }

void stats_isotonic(struct stats_map *out, const double *x, const double *y, const double *weight, size_t n)
{
    struct block *b = mem_alloc((n + 1) * sizeof *b);
    size_t top = 0, used = 0;
    for (size_t i = 0; i < n; i++) {
        double w = weight ? weight[i] : 1;
        if (w > 0) b[used++] = (struct block){ x[i], x[i], y[i] * w, w };
    }
    qsort(b, used, sizeof *b, by_first);
    /* Equal x first: a mean that is still to change must not pool those before it. */
    for (size_t i = 0; i < used; i++) {
        if (top > 0 && b[top - 1].first == b[i].first) {
            b[top - 1].sum += b[i].sum;
            b[top - 1].weight += b[i].weight;
        } else {
            b[top++] = b[i];
        }
    }
    used = top;
    top = 0;
    for (size_t i = 0; i < used; i++) {
        b[top++] = b[i];
        while (top > 1 && is_pooled(&b[top - 2], &b[top - 1])) {
            b[top - 2].last = b[top - 1].last;
            b[top - 2].sum += b[top - 1].sum;
            b[top - 2].weight += b[top - 1].weight;
            top--;
        }
    }
    *out = (struct stats_map){ mem_alloc((2 * top + 1) * sizeof *out->x), mem_alloc((2 * top + 1) * sizeof *out->y), 0 };
    for (size_t i = 0; i < top; i++)
        for (int end = 0; end < (b[i].last > b[i].first ? 2 : 1); end++) {
            out->x[out->n] = end ? b[i].last : b[i].first;
            out->y[out->n++] = b[i].sum / b[i].weight;
        }
    mem_free(b);
}

double stats_map_at(const struct stats_map *m, double x)
{
    size_t low = 0, high = m->n;
    if (m->n == 0 || isnan(x)) return (double)NAN;
    if (x <= m->x[0]) return m->y[0];
    if (x >= m->x[m->n - 1]) return m->y[m->n - 1];
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (m->x[middle] <= x) low = middle;
        else high = middle;
    }
    return m->y[low] + (x - m->x[low]) / (m->x[low + 1] - m->x[low]) * (m->y[low + 1] - m->y[low]);
}

void stats_map_release(struct stats_map *m)
{
    mem_free(m->x);
    mem_free(m->y);
    *m = (struct stats_map){ 0 };
}

/* ---- how well the map does on what it has not seen --------------------------------------------------------------------------------------------------- */

/* The clusters in drawn order, dealt out to the folds: fold[cluster]. Returns how many clusters there are. */
static size_t deal(size_t **fold, const size_t *cluster, size_t n, size_t folds, uint64_t seed)
{
    size_t highest = 0, used = 0;
    for (size_t i = 0; i < n; i++) highest = cluster[i] > highest ? cluster[i] : highest;
    size_t *order = mem_alloc((highest + 2) * sizeof *order);
    *fold = mem_zero(highest + 2, sizeof **fold);
    for (size_t i = 0; i < n; i++) (*fold)[cluster[i]] = 1;
    for (size_t c = 0; n > 0 && c <= highest; c++)
        if ((*fold)[c]) order[used++] = c;
    struct draws w = draws_of(seed, STREAM_FOLDS);
    draws_shuffle(&w, order, used);
    for (size_t i = 0; i < used; i++) (*fold)[order[i]] = i % folds;
    mem_free(order);
    return used;
}

struct stats_held_out stats_isotonic_folds(const double *x, const double *y, const size_t *cluster, size_t n, size_t folds, uint64_t seed)
{
    const double nan = (double)NAN;
    struct stats_held_out out = { nan, nan, nan, nan };
    size_t *fold, used = deal(&fold, cluster, n, folds < 2 ? 2 : folds, seed);
    double *weight = mem_alloc((n + 1) * sizeof *weight), sum[2] = { 0, 0 }, squares[2] = { 0, 0 };        /* raw, mapped */
    for (size_t f = 0; used >= 2 && f < (folds < 2 ? 2 : folds); f++) {
        struct stats_map m;
        for (size_t i = 0; i < n; i++) weight[i] = fold[cluster[i]] != f;
        stats_isotonic(&m, x, y, weight, n);
        for (size_t i = 0; i < n; i++) {
            if (fold[cluster[i]] != f) continue;
            double error[2] = { x[i] - y[i], stats_map_at(&m, x[i]) - y[i] };
            for (int k = 0; k < 2; k++) {
                sum[k] += fabs(error[k]);
                squares[k] += error[k] * error[k];
            }
        }
        stats_map_release(&m);
    }
    if (used >= 2) out = (struct stats_held_out){ sum[0] / (double)n, sum[1] / (double)n, sqrt(squares[0] / (double)n), sqrt(squares[1] / (double)n) };
    mem_free(weight);
    mem_free(fold);
    return out;
}
