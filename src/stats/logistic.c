/* logistic.c - logistic regression by Newton's method (iteratively reweighted least squares). */
#include "stats/stats_internal.h"

#include <math.h>
#include <string.h>

struct fit { const double *x, *y, *weight; size_t rows, k; const bool *penalised; double ridge; double *g, *h; };

static double predict(const double *x, const double *b, size_t k)
{
    double sum = 0;
    for (size_t f = 0; f < k; f++) sum += x[f] * b[f];
    return sum;
}

static double weight_of(const struct fit *m, size_t i) { return m->weight ? m->weight[i] : 1; }
static double penalty_of(const struct fit *m, size_t f) { return m->penalised && m->penalised[f] ? m->ridge : 0; }

/* log(1 + e^z) */
static double softplus(double z) { return z > 0 ? z + log1p(exp(-z)) : log1p(exp(z)); }

/* y - p, of a p near 0 or 1 too. */
static double missed_by(double z, double y)
{
    double e = exp(-fabs(z)), high = 1 / (1 + e), low = e * high;
    return z > 0 ? y * low - (1 - y) * high : y * high - (1 - y) * low;
}

static double loss_of(const struct fit *m, const double *b)
{
    struct sum s = { 0, 0 };
    for (size_t i = 0; i < m->rows; i++) {
        double z = predict(m->x + i * m->k, b, m->k);
        sum_add(&s, weight_of(m, i) * (m->y[i] * softplus(-z) + (1 - m->y[i]) * softplus(z)));
    }
    for (size_t f = 0; f < m->k; f++) sum_add(&s, 0.5 * penalty_of(m, f) * b[f] * b[f]);
    return sum_of(&s);
}

/* Negative gradient and second derivatives of the loss; returns the gradient's norm. */
static double slopes(const struct fit *m, const double *b)
{
    size_t k = m->k;
    double squares = 0;
    memset(m->h, 0, k * k * sizeof *m->h);
    for (size_t f = 0; f < k; f++) {
        m->g[f] = -penalty_of(m, f) * b[f];
        m->h[f * k + f] = penalty_of(m, f);
    }
    for (size_t i = 0; i < m->rows; i++) {
        const double *x = m->x + i * k;
        double z = predict(x, b, k), e = exp(-fabs(z)), w = weight_of(m, i), bend = w * e / ((1 + e) * (1 + e)), missed = missed_by(z, m->y[i]);
        for (size_t f = 0; f < k; f++) {
            m->g[f] += w * missed * x[f];
            for (size_t j = 0; j <= f; j++) m->h[f * k + j] += bend * x[f] * x[j];
        }
    }
    for (size_t f = 0; f < k; f++) squares += m->g[f] * m->g[f];
    return sqrt(squares);
}

/* b moves by the step in m->g, halved until the loss does not rise. Returns the largest change, or -1. */
static double move(const struct fit *m, double *b, double *tried)
{
    double before = loss_of(m, b), most = 0;
    for (double scale = 1; scale > 1e-12; scale /= 2) {
        for (size_t f = 0; f < m->k; f++) tried[f] = b[f] + scale * m->g[f];
        if (!(loss_of(m, tried) <= before + 1e-14 * fabs(before))) continue;
        for (size_t f = 0; f < m->k; f++) {
            most = fmax(most, fabs(tried[f] - b[f]) / (1 + fabs(tried[f])));
            b[f] = tried[f];
        }
        return most;
    }
    return -1;
}

/* b becomes the maximum; m->h stays factored as it was one last step before, where it differs by rounding. */
static sc_status newton(const struct fit *m, double *b, double *tried, sc_error *err)
{
    for (int round = 0; round < 100; round++) {
        double norm = slopes(m, b);
        if (!cholesky(m->h, m->k)) {
            if (round == 0) return FAIL(err, SC_E_ARGUMENT, "logistic regression: of %zu features some follow from others or are always 0 in the %zu rows; leave them out or penalise them", m->k, m->rows);
            break;
        }
        if (norm == 0) return SC_OK;
        cholesky_solve(m->h, m->k, m->g);
        double most = move(m, b, tried);
        if (most < 1e-7) {                                     /* each step squares the error, so one more is the last; -1: sums can tell no better place */
            slopes(m, b);
            if (!cholesky(m->h, m->k)) break;
            cholesky_solve(m->h, m->k, m->g);
            move(m, b, tried);
            return SC_OK;
        }
    }
    return FAIL(err, SC_E_ARGUMENT, "logistic regression: the %zu features tell all of the %zu outcomes apart, so no finite coefficients are the most likely ones; take a ridge above 0", m->k, m->rows);
}

/* Standard errors from m->h alone, or by clusters: with the sums of each cluster's residuals times features between two inverses ("sandwich"; Liang and Zeger, "Longitudinal
 * data analysis using generalized linear models", 1986). column: room. */
static void errors_of(double *error, double *column, const struct fit *m, const double *b, const size_t *cluster)
{
    size_t k = m->k, n_clusters = 0, used = 0;
    for (size_t i = 0; cluster && i < m->rows; i++) n_clusters = cluster[i] >= n_clusters ? cluster[i] + 1 : n_clusters;
    double *pull = mem_zero(n_clusters + 1, sizeof *pull);
    bool *is_used = mem_zero(n_clusters + 1, sizeof *is_used);
    for (size_t i = 0; cluster && i < m->rows; i++) {
        used += !is_used[cluster[i]];
        is_used[cluster[i]] = true;
    }
    for (size_t f = 0; f < k; f++) {
        double squares = 0;
        for (size_t j = 0; j < k; j++) column[j] = j == f;
        cholesky_solve(m->h, k, column);
        error[f] = sqrt(column[f]);
        if (!cluster) continue;
        for (size_t c = 0; c < n_clusters; c++) pull[c] = 0;
        for (size_t i = 0; i < m->rows; i++) {
            const double *x = m->x + i * k;
            pull[cluster[i]] += weight_of(m, i) * missed_by(predict(x, b, k), m->y[i]) * predict(x, column, k);
        }
        for (size_t c = 0; c < n_clusters; c++) squares += pull[c] * pull[c];
        error[f] = used > 1 ? sqrt(squares * (double)used / (double)(used - 1)) : (double)NAN;
    }
    mem_free(is_used);
    mem_free(pull);
}

sc_status stats_logistic_clusters(double *b, double *error, const double *x, const double *y, const double *weight, size_t rows, size_t k, const bool *penalised, double ridge, const size_t *cluster, sc_error *err)
{
    double *room = mem_alloc((k * k + 3 * k + 1) * sizeof *room);
    struct fit m = { x, y, weight, rows, k, penalised, ridge, room + k * k, room };
    double *tried = m.g + k, *column = tried + k;
    for (size_t f = 0; f < k; f++) b[f] = 0;
    sc_status status = newton(&m, b, tried, err);
    if (status == SC_OK && error) errors_of(error, column, &m, b, cluster);
    mem_free(room);
    return status;
}

sc_status stats_logistic(double *b, double *error, const double *x, const double *y, const double *weight, size_t rows, size_t k, const bool *penalised, double ridge, sc_error *err)
{
    return stats_logistic_clusters(b, error, x, y, weight, rows, k, penalised, ridge, NULL, err);
}
