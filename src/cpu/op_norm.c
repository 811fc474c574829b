/* op_norm.c - layer norm (Ba et al. 2016) and RMS norm (Zhang and Sennrich 2019). Means are summed in double along the row.
 *
 * With n = (x - mean) s (layer) or x s (RMS), s = 1 / sqrt(variance or mean square + eps), out = n gain + bias and
 * g = out' gain: x' += s (g - mean(g) - n mean(g n)), for RMS without mean(g); gain' += sum over rows of out' n,
 * bias' += of out'. */
#include "cpu/cpu.h"

#include <math.h>

/* Mean (0 for RMS) and s of a row. */
static void row_scale(const struct op_call *c, bool centred, const float *x, float *mean, float *scale)
{
    size_t n = c->out->cols;
    double m = 0, square = 0;
    for (size_t i = 0; centred && i < n; i++) m += (double)x[i];
    m /= (double)n;
    for (size_t i = 0; i < n; i++) square += ((double)x[i] - m) * ((double)x[i] - m);
    *mean = (float)m;
    *scale = (float)(1 / sqrt(square / (double)n + (double)c->attr.norm.eps));
}

static void layer_norm_rows(void *arg, size_t from, size_t to, int worker)
{
    const struct op_call *c = arg;
    const float *gain = tensor_f32(c->in[1]), *bias = c->in[2] ? tensor_f32(c->in[2]) : NULL;
    size_t n = c->out->cols;
    (void)worker;
    for (size_t r = from; r < to; r++) {
        const float *x = tensor_f32(c->in[0]) + r * n;
        float *out = tensor_f32(c->out) + r * n;
        float m, s;
        row_scale(c, true, x, &m, &s);
        for (size_t i = 0; i < n; i++) out[i] = (x[i] - m) * s * gain[i];
        for (size_t i = 0; bias && i < n; i++) out[i] += bias[i];
    }
}

static void rms_norm_rows(void *arg, size_t from, size_t to, int worker)
{
    const struct op_call *c = arg;
    const float *gain = tensor_f32(c->in[1]);
    size_t n = c->out->cols;
    (void)worker;
    for (size_t r = from; r < to; r++) {
        const float *x = tensor_f32(c->in[0]) + r * n;
        float *out = tensor_f32(c->out) + r * n;
        float m, s;
        row_scale(c, false, x, &m, &s);
        for (size_t i = 0; i < n; i++) out[i] = x[i] * s * gain[i];
    }
}

void cpu_layer_norm(struct exec *e, const struct op_call *c) { cpu_split(e, c->out->rows, 4, (double)c->out->cols, layer_norm_rows, (void *)c); }
void cpu_rms_norm(struct exec *e, const struct op_call *c) { cpu_split(e, c->out->rows, 4, (double)c->out->cols, rms_norm_rows, (void *)c); }

struct norm_job { const struct op_call *c; bool centred; float *mean, *scale; };   /* of each row */

static void norm_backward_rows(void *arg, size_t from, size_t to, int worker)
{
    const struct norm_job *job = arg;
    const struct op_call *c = job->c;
    const float *gain = tensor_f32(c->in[1]);
    size_t n = c->out->cols;
    (void)worker;
    for (size_t r = from; r < to; r++) {
        const float *x = tensor_f32(c->in[0]) + r * n, *g = c->out->grad + r * n;
        row_scale(c, job->centred, x, &job->mean[r], &job->scale[r]);
        float m = job->mean[r], s = job->scale[r], *to_x = c->in[0]->grad ? c->in[0]->grad + r * n : NULL;
        double sum = 0, along = 0;
        for (size_t i = 0; i < n; i++) {
            double gi = (double)(g[i] * gain[i]);
            sum += gi;
            along += gi * (double)((x[i] - m) * s);
        }
        float mean_g = job->centred ? (float)(sum / (double)n) : 0, mean_gn = (float)(along / (double)n);
        for (size_t i = 0; to_x && i < n; i++) to_x[i] += s * (g[i] * gain[i] - mean_g - (x[i] - m) * s * mean_gn);
    }
}

/* Sums over rows, each column by itself in rising order of rows. */
static void norm_backward_columns(void *arg, size_t from, size_t to, int worker)
{
    const struct norm_job *job = arg;
    const struct op_call *c = job->c;
    float *gain = c->in[1]->grad, *bias = c->in[2] ? c->in[2]->grad : NULL;
    (void)worker;
    for (size_t r = 0; r < c->out->rows; r++) {
        const float *x = tensor_f32(c->in[0]) + r * c->out->cols, *g = c->out->grad + r * c->out->cols;
        for (size_t i = from; gain && i < to; i++) gain[i] += g[i] * (x[i] - job->mean[r]) * job->scale[r];
        for (size_t i = from; bias && i < to; i++) bias[i] += g[i];
    }
}

static void norm_backward(struct exec *e, const struct op_call *c, bool centred)
{
    struct arena_mark mark = arena_mark(e->step);
    size_t rows = c->out->rows;
    struct norm_job job = { c, centred, arena_take(e->step, rows * sizeof(float)), arena_take(e->step, rows * sizeof(float)) };
    cpu_split(e, rows, 4, (double)c->out->cols * 3, norm_backward_rows, &job);
    if (c->in[1]->grad || (c->in[2] && c->in[2]->grad)) cpu_split(e, c->out->cols, 64, (double)rows, norm_backward_columns, &job);
    arena_rewind(e->step, mark);
}

void cpu_layer_norm_backward(struct exec *e, const struct op_call *c) { norm_backward(e, c, true); }
void cpu_rms_norm_backward(struct exec *e, const struct op_call *c) { norm_backward(e, c, false); }
