/* op_loss.c - the head and its cross-entropy in one: loss[r] = log sum exp(logits[r]) - logits[r][label[r]].
 *
 * The logits of all rows never exist: some rows at a time are multiplied, turned into their gradient
 * weight (softmax - one-hot) in place, and multiplied on: x' = d head, head' += d' x. What weighs each row is known
 * beforehand (one over the number of trained tokens), so forward leaves the finished gradient for backward to hand on. */
#include "cpu/cpu.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { LOGIT_BYTES = 64 << 20 };

struct loss_job {
    const struct op_call *c; const struct cpu_kernels *k;
    float *logits; size_t vocab, first, rows; bool wants_gradient;
};

static void loss_rows(void *arg, size_t from, size_t to, int worker)
{
    const struct loss_job *job = arg;
    const struct op_call *c = job->c;
    (void)worker;
    for (size_t i = from; i < to; i++) {
        float *s = job->logits + i * job->vocab, max = -INFINITY, weight = c->attr.loss.weight[job->first + i], tile[64];
        size_t label = (size_t)c->attr.loss.label[job->first + i];
        assert(label < job->vocab);
        double sum = 0;
        float chosen = s[label];
        max = job->k->largest(s, job->vocab);
        for (size_t j = 0; j < job->vocab; j += 64) {
            size_t n = job->vocab - j < 64 ? job->vocab - j : 64;
            for (size_t t = 0; t < 64; t++) tile[t] = t < n ? s[j + t] : -INFINITY;
            sum += (double)job->k->exp_tile(tile, max);
            memcpy(s + j, tile, n * sizeof *tile);
        }
        tensor_f32(c->out)[job->first + i] = (float)((double)max + log(sum) - (double)chosen);
        if (!job->wants_gradient) continue;
        float scale = (float)((double)weight / sum);
        for (size_t j = 0; j < job->vocab; j++) s[j] *= scale;
        s[label] -= weight;
    }
}

static struct gemm_side side(const void *data, enum dtype dtype, size_t cols, bool transposed) { return (struct gemm_side){ data, dtype, cols, transposed }; }

/* One part of the head, whose logits begin at column `at`. */
static void head_part(struct exec *e, const struct loss_job *job, const struct tensor *head, size_t at, bool backward)
{
    const struct op_call *c = job->c;
    const struct tensor *x = c->in[0];
    const float *rows = tensor_f32(x) + job->first * x->cols;
    float *logits = job->logits + at;
    if (!backward) {
        gemm_run(e, &(struct gemm){ logits, job->vocab, job->rows, head->rows, x->cols, side(rows, DTYPE_F32, x->cols, false), side(head->data, head->dtype, head->cols, true), false });
        return;
    }
    const struct gemm_side d = side(logits, DTYPE_F32, job->vocab, false), d_turned = side(logits, DTYPE_F32, job->vocab, true);
    gemm_run(e, &(struct gemm){ tensor_f32(c->aux) + job->first * x->cols, x->cols, job->rows, x->cols, head->rows, d, side(head->data, head->dtype, head->cols, false), at > 0 });
    if (head->grad) gemm_run(e, &(struct gemm){ head->grad, x->cols, head->rows, x->cols, job->rows, d_turned, side(rows, DTYPE_F32, x->cols, false), true });
}

void cpu_head_loss(struct exec *e, const struct op_call *c)
{
    struct arena_mark mark = arena_mark(e->step);
    const struct tensor *head = c->in[1], *extra = c->in[2];
    struct loss_job job = { .c = c, .k = e->kernels, .vocab = head->rows + (extra ? extra->rows : 0), .wants_gradient = c->aux != NULL };
    size_t chunk = LOGIT_BYTES / sizeof(float) / job.vocab, rows = c->out->rows;
    chunk = chunk < 16 ? 16 : chunk > rows ? rows : chunk;
    job.logits = arena_take(e->step, chunk * job.vocab * sizeof(float));
    for (job.first = 0; job.first < rows; job.first += chunk) {
        job.rows = rows - job.first < chunk ? rows - job.first : chunk;
        head_part(e, &job, head, 0, false);
        if (extra) head_part(e, &job, extra, head->rows, false);
        cpu_split(e, job.rows, 1, (double)job.vocab * 4, loss_rows, &job);
        if (!job.wants_gradient) continue;
        head_part(e, &job, head, 0, true);
        if (extra) head_part(e, &job, extra, head->rows, true);
    }
    arena_rewind(e->step, mark);
}

void cpu_head_loss_backward(struct exec *e, const struct op_call *c)
{
    (void)e;
    for (size_t i = 0; c->in[0]->grad && i < c->aux->rows * c->aux->cols; i++) c->in[0]->grad[i] += tensor_f32(c->aux)[i];
}
