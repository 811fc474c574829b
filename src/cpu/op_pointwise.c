/* op_pointwise.c - add, gelu (Hendrycks and Gimpel 2016; exact or tanh form), the SiLU gate (Shazeer 2020), copies of
 * rows and columns. */
#include "cpu/cpu.h"

#include <math.h>
#include <string.h>

enum { GRAIN = 4096 };   /* elements of a piece */

static void add_range(void *arg, size_t from, size_t to, int worker)
{
    const struct op_call *c = arg;
    const float *a = tensor_f32(c->in[0]), *b = tensor_f32(c->in[1]);
    float *out = tensor_f32(c->out);
    (void)worker;
    for (size_t i = from; i < to; i++) out[i] = a[i] + b[i];
}

void cpu_add(struct exec *e, const struct op_call *c) { cpu_split(e, c->out->rows * c->out->cols, GRAIN, 1, add_range, (void *)c); }

struct pointwise { const struct op_call *c; const struct cpu_kernels *k; };

static void gelu_range(void *arg, size_t from, size_t to, int worker)
{
    const struct pointwise *p = arg;
    const float *x = tensor_f32(p->c->in[0]);
    float *out = tensor_f32(p->c->out);
    (void)worker;
    if (p->c->attr.gelu == GELU_TANH) { p->k->gelu_tanh(out + from, x + from, to - from); return; }
    for (size_t i = from; i < to; i++) out[i] = 0.5f * x[i] * (1 + erff(x[i] * 0.70710678f));
}

void cpu_gelu(struct exec *e, const struct op_call *c)
{
    struct pointwise p = { c, e->kernels };
    cpu_split(e, c->out->rows * c->out->cols, GRAIN, 8, gelu_range, &p);
}

static void silu_range(void *arg, size_t from, size_t to, int worker)
{
    const struct pointwise *p = arg;
    (void)worker;
    p->k->silu_gate(tensor_f32(p->c->out) + from, tensor_f32(p->c->in[0]) + from, tensor_f32(p->c->in[1]) + from, to - from);
}

void cpu_silu_gate(struct exec *e, const struct op_call *c)
{
    struct pointwise p = { c, e->kernels };
    cpu_split(e, c->out->rows * c->out->cols, GRAIN, 8, silu_range, &p);
}

void cpu_select(struct exec *e, const struct op_call *c)
{
    size_t cols = c->out->cols;
    (void)e;
    for (size_t i = 0; i < c->attr.select.n; i++)
        memcpy(tensor_f32(c->out) + i * cols, tensor_f32(c->in[0]) + c->attr.select.row[i] * cols, cols * sizeof(float));
}

void cpu_columns(struct exec *e, const struct op_call *c)
{
    const struct columns *a = &c->attr.columns;
    size_t width = a->stride ? a->width : a->n;
    (void)e;
    for (size_t r = 0; r < c->out->rows; r++) {
        const float *in = tensor_f32(c->in[0]) + r * c->in[0]->cols + a->first;
        float *out = tensor_f32(c->out) + r * a->n;
        for (size_t g = 0; g < a->n / width; g++) memcpy(out + g * width, in + g * a->stride, width * sizeof *out);
    }
}
