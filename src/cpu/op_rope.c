/* op_rope.c - rotary positions. */
#include "cpu/cpu.h"

#include <math.h>
#include <string.h>

enum { ROW_TILE = 8 };

struct rope_job { const struct op_call *c; float *cosine, *sine; };   /* (R, dims/2) */

static void rope_angles(void *arg, size_t from, size_t to, int worker)
{
    const struct rope_job *job = arg;
    const struct rope *p = job->c->attr.rope.rope;
    size_t half = p->dims / 2;
    (void)worker;
    for (size_t r = from; r < to; r++)
        for (size_t i = 0; i < half; i++) {
            double angle = (double)job->c->batch->position[r] * p->frequency[i];
            job->cosine[r * half + i] = (float)cos(angle) * p->magnitude;
            job->sine[r * half + i] = (float)sin(angle) * p->magnitude;
        }
}

static void rope_rows(void *arg, size_t from, size_t to, int worker)
{
    const struct rope_job *job = arg;
    const struct rope *p = job->c->attr.rope.rope;
    size_t d = job->c->attr.rope.head_dim, cols = job->c->out->cols, half = p->dims / 2;
    size_t step = p->is_interleaved ? 2 : 1, other = p->is_interleaved ? 1 : half;
    (void)worker;
    for (size_t r = from; r < to; r++) {
        const float *in = tensor_f32(job->c->in[0]) + r * cols, *c = job->cosine + r * half, *s = job->sine + r * half;
        float *out = tensor_f32(job->c->out) + r * cols;
        for (size_t at = 0; at < cols; at += d) {
            for (size_t i = 0; i < half; i++) {
                float a = in[at + i * step], b = in[at + i * step + other];
                out[at + i * step] = a * c[i] - b * s[i];
                out[at + i * step + other] = b * c[i] + a * s[i];
            }
            memcpy(out + at + p->dims, in + at + p->dims, (d - p->dims) * sizeof *out);
        }
    }
}

/* A rotation's backward pass is the rotation the other way. */
static void rope_backward_rows(void *arg, size_t from, size_t to, int worker)
{
    const struct rope_job *job = arg;
    const struct rope *p = job->c->attr.rope.rope;
    size_t d = job->c->attr.rope.head_dim, cols = job->c->out->cols, half = p->dims / 2;
    size_t step = p->is_interleaved ? 2 : 1, other = p->is_interleaved ? 1 : half;
    bool stores = job->c->in[0]->is_fresh;
    (void)worker;
    for (size_t r = from; r < to; r++) {
        const float *in = job->c->out->grad + r * cols, *c = job->cosine + r * half, *s = job->sine + r * half;
        float *out = job->c->in[0]->grad + r * cols;
        if (stores) memset(out, 0, cols * sizeof *out);
        for (size_t at = 0; at < cols; at += d) {
            for (size_t i = 0; i < half; i++) {
                float a = in[at + i * step], b = in[at + i * step + other];
                out[at + i * step] += a * c[i] + b * s[i];
                out[at + i * step + other] += b * c[i] - a * s[i];
            }
            for (size_t i = p->dims; i < d; i++) out[at + i] += in[at + i];
        }
    }
}

static void rope_run(struct exec *e, const struct op_call *c, void (*rows_fn)(void *arg, size_t from, size_t to, int worker))
{
    const struct rope *p = c->attr.rope.rope;
    size_t rows = c->out->rows, half = p->dims / 2;
    struct arena_mark mark = arena_mark(e->step);
    struct exec_angles *kept = &e->angles;
    struct rope_job job = { c, kept->cosine, kept->sine };
    if (!kept->cosine) {
        job.cosine = arena_take(e->step, rows * half * sizeof(float));
        job.sine = arena_take(e->step, rows * half * sizeof(float));
    }
    if (!kept->cosine || kept->batch != c->batch || kept->rope != p) cpu_split(e, rows, ROW_TILE, (double)half * 50, rope_angles, &job);
    kept->batch = c->batch;
    kept->rope = p;
    cpu_split(e, rows, ROW_TILE, (double)c->out->cols, rows_fn, &job);
    arena_rewind(e->step, mark);
}

void cpu_rope(struct exec *e, const struct op_call *c) { rope_run(e, c, rope_rows); }
void cpu_rope_backward(struct exec *e, const struct op_call *c) { rope_run(e, c, rope_backward_rows); }
