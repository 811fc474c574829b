/* op_norm.c - layer norm (Ba et al. 2016) and RMS norm (Zhang and Sennrich 2019). Means are summed in double along the row. */
#include "cpu/cpu.h"

#include <math.h>

static void layer_norm_rows(void *arg, size_t from, size_t to, int worker)
{
    const struct op_call *c = arg;
    const float *gain = tensor_f32(c->in[1]), *bias = c->in[2] ? tensor_f32(c->in[2]) : NULL;
    size_t n = c->out->cols;
    (void)worker;
    for (size_t r = from; r < to; r++) {
        const float *x = tensor_f32(c->in[0]) + r * n;
        float *out = tensor_f32(c->out) + r * n;
        double mean = 0, square = 0;
        for (size_t i = 0; i < n; i++) mean += (double)x[i];
        mean /= (double)n;
        for (size_t i = 0; i < n; i++) square += ((double)x[i] - mean) * ((double)x[i] - mean);
        float m = (float)mean, s = (float)(1 / sqrt(square / (double)n + (double)c->attr.norm.eps));
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
        double square = 0;
        for (size_t i = 0; i < n; i++) square += (double)x[i] * (double)x[i];
        float s = (float)(1 / sqrt(square / (double)n + (double)c->attr.norm.eps));
        for (size_t i = 0; i < n; i++) out[i] = x[i] * s * gain[i];
    }
}

void cpu_layer_norm(struct exec *e, const struct op_call *c) { cpu_split(e, c->out->rows, 4, (double)c->out->cols, layer_norm_rows, (void *)c); }
void cpu_rms_norm(struct exec *e, const struct op_call *c) { cpu_split(e, c->out->rows, 4, (double)c->out->cols, rms_norm_rows, (void *)c); }
