/* op_pointwise.c - add, gelu (Hendrycks and Gimpel 2016; exact or tanh form), the SiLU gate (Shazeer 2020), dropout
 * (Srivastava et al. 2014), copies of rows and columns; each with its backward pass behind it.
 *
 * gelu: x Phi(x); derivative Phi(x) + x phi(x); in tanh form with u = sqrt(2/pi) (x + 0.044715 x^3) and t = tanh(u):
 * (1 + t) / 2 + x (1 - t^2) u' / 2. Gate: out = up g s(g), s the logistic function; up' += out' g s, g' += out' up s (1 + g (1 - s)).
 * Dropout draws by element from (seed, stream), so that backward draws the same again. */
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
    float factor = c->attr.add.factor;
    for (size_t i = from; i < to; i++) out[i] = a[i] + factor * b[i];
}

void cpu_add(struct exec *e, const struct op_call *c) { cpu_split(e, c->out->rows * c->out->cols, GRAIN, 1, add_range, (void *)c); }

static void add_backward_range(void *arg, size_t from, size_t to, int worker)
{
    const struct op_call *c = arg;
    const float *g = c->out->grad, factor = c->attr.add.factor;
    (void)worker;
    for (size_t i = from; c->in[0]->grad && c->in[0]->grad != g && i < to; i++) c->in[0]->grad[i] += g[i];
    for (size_t i = from; c->in[1]->grad && i < to; i++) c->in[1]->grad[i] += factor * g[i];
}

void cpu_add_backward(struct exec *e, const struct op_call *c) { cpu_split(e, c->out->rows * c->out->cols, GRAIN, 1, add_backward_range, (void *)c); }

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

static float gelu_slope(float x, enum gelu_form form)
{
    if (form == GELU_ERF) return 0.5f * (1 + erff(x * 0.70710678f)) + x * 0.39894228f * expf(-0.5f * x * x);
    float t = tanhf(0.79788456f * (x + 0.044715f * x * x * x));
    return 0.5f * (1 + t) + 0.5f * x * (1 - t * t) * 0.79788456f * (1 + 3 * 0.044715f * x * x);
}

static void gelu_backward_range(void *arg, size_t from, size_t to, int worker)
{
    const struct op_call *c = arg;
    const float *x = tensor_f32(c->in[0]);
    (void)worker;
    for (size_t i = from; i < to; i++) c->in[0]->grad[i] += c->out->grad[i] * gelu_slope(x[i], c->attr.gelu);
}

void cpu_gelu_backward(struct exec *e, const struct op_call *c) { cpu_split(e, c->out->rows * c->out->cols, GRAIN, 16, gelu_backward_range, (void *)c); }

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

static void silu_backward_range(void *arg, size_t from, size_t to, int worker)
{
    const struct pointwise *p = arg;
    const struct tensor *gate = p->c->in[0], *up = p->c->in[1];
    float to_gate[64], to_up[64];
    (void)worker;
    for (size_t at = from; at < to; at += 64) {
        size_t n = to - at < 64 ? to - at : 64;
        p->k->silu_gate_backward(to_gate, to_up, tensor_f32(gate) + at, tensor_f32(up) + at, p->c->out->grad + at, n);
        cpu_accumulate(gate, at, to_gate, n);
        cpu_accumulate(up, at, to_up, n);
    }
}

void cpu_silu_gate_backward(struct exec *e, const struct op_call *c)
{
    struct pointwise p = { c, e->kernels };
    cpu_split(e, c->out->rows * c->out->cols, GRAIN, 16, silu_backward_range, &p);
}

/* ---- dropout ---------------------------------------------------------------------------------------------------------------- */

enum { DROP_AT_ONCE = 256 };
/* to[i] += from_values[i] * mask / (1 - p) */
struct dropping { const struct op_call *c; const float *from_values; float *to; };

static void dropout_range(void *arg, size_t from, size_t to, int worker)
{
    const struct dropping *d = arg;
    float kept[DROP_AT_ONCE];
    (void)worker;
    for (size_t n; from < to; from += n) {
        n = to - from < DROP_AT_ONCE ? to - from : DROP_AT_ONCE;
        memcpy(kept, d->from_values + from, n * sizeof *kept);
        random_drop(kept, n, d->c->attr.dropout.p, d->c->attr.dropout.seed, d->c->attr.dropout.stream, from);
        for (size_t i = 0; i < n; i++) d->to[from + i] += kept[i];
    }
}

void cpu_dropout(struct exec *e, const struct op_call *c)
{
    struct dropping d = { c, tensor_f32(c->in[0]), tensor_f32(c->out) };
    memset(d.to, 0, c->out->rows * c->out->cols * sizeof(float));
    cpu_split(e, c->out->rows * c->out->cols, GRAIN, 16, dropout_range, &d);
}

void cpu_dropout_backward(struct exec *e, const struct op_call *c)
{
    struct dropping d = { c, c->out->grad, c->in[0]->grad };
    cpu_split(e, c->out->rows * c->out->cols, GRAIN, 16, dropout_range, &d);
}

/* ---- copies ------------------------------------------------------------------------------------------------------------------ */

void cpu_select_backward(struct exec *e, const struct op_call *c)
{
    size_t cols = c->out->cols;
    (void)e;
    for (size_t i = 0; i < c->attr.select.n; i++)
        for (size_t j = 0; j < cols; j++) c->in[0]->grad[c->attr.select.row[i] * cols + j] += c->out->grad[i * cols + j];
}

void cpu_columns_backward(struct exec *e, const struct op_call *c)
{
    const struct columns *a = &c->attr.columns;
    size_t width = a->stride ? a->width : a->n;
    (void)e;
    for (size_t r = 0; r < c->out->rows; r++)
        for (size_t g = 0; g < a->n / width; g++) {
            float *to = c->in[0]->grad + r * c->in[0]->cols + a->first + g * a->stride;
            for (size_t i = 0; i < width; i++) to[i] += c->out->grad[r * a->n + g * width + i];
        }
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
