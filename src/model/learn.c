/* learn.c - forward and backward through a model: the loss of some rows, and the gradient of everything that has one.
 *
 * Of the last blocks, as many as exec->keep_bytes has room for, all is kept. Of the others only the input is: they are
 * computed again, with a tape, when the backward pass comes to them (Chen et al. 2016, "Training deep nets with sublinear
 * memory cost"). Both give the same bits. */
#include "model/model_internal.h"

#include <math.h>
#include <string.h>

/* What a block that is kept left: its tape and result, and where its memory begins. */
struct kept { struct tape tape; struct tensor *out; struct arena_mark mark; };
/* The streams between blocks: x[0] is the embedding, x[layers] what the final norm gets. Blocks below `from` learn
 * nothing, those from `first_kept` on are kept. */
struct streams { struct tensor *x; struct kept *kept; size_t layers, from, first_kept; };

static struct tensor *new_stream(struct exec *e, struct tensor *t, size_t rows, size_t cols)
{
    *t = (struct tensor){ .dtype = DTYPE_F32, .rows = rows, .cols = cols, .data = arena_take(e->step, rows * cols * sizeof(float)) };
    return t;
}

static bool any_gradient(const struct tensor *const *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (t[i]->grad) return true;
    return false;
}

static bool weight_learns(const struct weight *w)
{
    return w->w.grad || w->bias.grad || (w->lora && (w->lora->a.w.grad || w->lora->b.w.grad));
}

static bool layer_learns(const struct layer *l)
{
    const struct tensor *const norms[] = { &l->norm1.gain, &l->norm1.bias, &l->norm2.gain, &l->norm2.bias };
    const struct weight *const weights[] = { &l->qkv, &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };
    bool learns = any_gradient(norms, 4);
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) learns |= weight_learns(weights[i]);
    return learns;
}

static bool embedding_learns(const struct model *m)
{
    const struct tensor *const t[] = { &m->embed.w, &m->extra, &m->position.w };
    return any_gradient(t, 3);
}

/* Those below it are only run forward. */
size_t model_first_learning(const struct model *m)
{
    if (embedding_learns(m)) return 0;
    for (size_t i = 0; i < m->config.layers; i++)
        if (layer_learns(&m->layers[i])) return i;
    return m->config.layers;
}

static struct tensor *embed_tokens(const struct model *m, struct run *r)
{
    struct tensor *x = embed(r, &m->embed, &m->extra, false);
    if (m->position.w.data) x = add(r, x, embed(r, &m->position, NULL, true));
    float p = r->exec->dropout.embedding;
    return r->is_training && p > 0 ? dropout(r, x, p, dropout_stream(0, DROP_EMBEDDING)) : x;
}

static bool is_cancelled(struct exec *e)
{
    if (e->cancel && *e->cancel) e->status = SC_E_CANCELLED;
    return e->status != SC_OK;
}

static struct tensor *run_block(const struct model *m, struct run *r, struct streams *s, size_t i, struct tape *tape)
{
    const struct block b = { &m->config, &m->layers[i], i };
    r->tape = tape;
    struct tensor *out = m->config.arch->block(r, &b, &s->x[i]);
    r->tape = NULL;
    return out;
}

/* Takes `out` over as stream i and gives back what was taken since. */
static void keep_stream(const struct model *m, struct run *r, struct streams *s, size_t i, const struct tensor *out, struct arena_mark mark)
{
    if (r->exec->status == SC_OK) memcpy(s->x[i].data, out->data, r->batch->rows * m->config.embd * sizeof(float));
    arena_rewind(r->exec->step, mark);
}

/* Runs block i with a tape and keeps it, or, being the first that learns, finds how many blocks behind it can be kept. */
static void run_kept(const struct model *m, struct run *r, struct streams *s, size_t i)
{
    struct arena *step = r->exec->step;
    struct kept *k = &s->kept[i];
    struct tensor *next = &s->x[i + 1];
    if (i == s->from) new_stream(r->exec, next, r->batch->rows, m->config.embd);
    k->mark = arena_mark(step);
    k->out = run_block(m, r, s, i, &k->tape);
    if (i == s->from) {
        size_t room = r->exec->keep_bytes / (step->used - k->mark.used + 1);
        s->first_kept = room < s->layers - s->from ? s->layers - room : s->from;
    }
    if (i >= s->first_kept) { *next = *k->out; return; }
    k->tape.len = 0;
    keep_stream(m, r, s, i + 1, k->out, k->mark);
}

/* Runs block i without a tape. */
static void run_passing(const struct model *m, struct run *r, struct streams *s, size_t i)
{
    new_stream(r->exec, &s->x[i + 1], r->batch->rows, m->config.embd);
    struct arena_mark mark = arena_mark(r->exec->step);
    keep_stream(m, r, s, i + 1, run_block(m, r, s, i, NULL), mark);
}

/* NEFTune (Jain et al. 2023): x += uniform(-1, 1) alpha / sqrt(L d) in training, L being the length of the row's sequence. */
static void add_noise(const struct exec *e, const struct batch *batch, struct tensor *x)
{
    for (size_t begin = 0, end; begin < batch->rows; begin = end) {
        for (end = begin + 1; end < batch->rows && batch->sequence[end] == batch->sequence[begin];) end++;
        float size = e->embedding_noise / sqrtf((float)((end - begin) * x->cols));
        for (size_t i = begin * x->cols; i < end * x->cols; i++) tensor_f32(x)[i] += size * (float)(2 * random_unit(batch->seed, STREAM_NOISE, i) - 1);
    }
}

static void run_forward(const struct model *m, struct run *r, struct streams *s)
{
    struct exec *e = r->exec;
    new_stream(e, &s->x[0], r->batch->rows, m->config.embd);
    struct arena_mark mark = arena_mark(e->step);
    keep_stream(m, r, s, 0, embed_tokens(m, r), mark);
    if (r->is_training && e->embedding_noise > 0 && e->status == SC_OK) add_noise(e, r->batch, &s->x[0]);
    for (size_t i = 0; i < s->layers && !is_cancelled(e); i++) {
        s->x[i].learns = i > s->from || (i == s->from && embedding_learns(m));
        block_needed(m, e, i, i + 1 < s->layers ? i + 1 : SIZE_MAX, false);
        if (i >= s->first_kept || (i == s->from && e->keep_bytes)) run_kept(m, r, s, i);
        else run_passing(m, r, s, i);
        block_done(m, e, i, false);
    }
    s->x[s->layers].learns = s->from < s->layers || embedding_learns(m);
}

static void keep_losses(const struct exec *e, const struct learn_rows *rows, const struct tensor *loss)
{
    if (e->status == SC_OK) memcpy(rows->loss, loss->data, rows->n * sizeof(float));
}

/* Norm, head and loss of the chosen rows; the gradient of the last stream is in its grad afterwards. */
static void run_loss(const struct model *m, struct run *r, struct tensor *x, const struct learn_rows *rows)
{
    struct run chosen = { .exec = r->exec, .batch = &(struct batch){ .rows = rows->n }, .tape = r->tape };
    struct arena_mark mark = arena_mark(r->exec->step);
    struct tensor *h = select_rows(r, x, rows->row, rows->n);
    h = m->final_norm.bias.data ? layer_norm(&chosen, h, &m->final_norm) : rms_norm(&chosen, h, &m->final_norm);
    if (r->tape && rows->weigh) {                       /* the head once more: cheap beside the blocks */
        struct run forward = chosen;
        forward.tape = NULL;
        keep_losses(r->exec, rows, head_loss(&forward, h, &m->head, &m->extra_head, rows->label, rows->weight));
        rows->weigh(rows->user);
    }
    struct tensor *loss = head_loss(&chosen, h, &m->head, &m->extra_head, rows->label, rows->weight);
    keep_losses(r->exec, rows, loss);
    if (r->tape) {
        tape_gradients(&chosen, loss, NULL);
        tape_backward(&chosen);
    }
    arena_rewind(r->exec->step, mark);
}

/* From the gradient of stream i + 1, in `grad`, to that of stream i in its place. */
static void run_block_backward(const struct model *m, struct run *r, struct streams *s, size_t i, float *grad)
{
    struct kept again = { .mark = arena_mark(r->exec->step) }, *k = i >= s->first_kept ? &s->kept[i] : &again;
    s->x[i].grad = NULL;
    if (k == &again) again.out = run_block(m, r, s, i, &again.tape);
    r->tape = &k->tape;
    tape_gradients(r, k->out, grad);
    tape_backward(r);
    if (s->x[i].learns && s->x[i].grad != grad) memcpy(grad, s->x[i].grad, r->batch->rows * m->config.embd * sizeof(float));
    r->tape = NULL;
    tape_release(&k->tape);
    arena_rewind(r->exec->step, k->mark);
}

static void run_embedding_backward(const struct model *m, struct run *r, float *grad, struct tape *tape)
{
    struct arena_mark mark = arena_mark(r->exec->step);
    r->tape = tape;
    tape_gradients(r, embed_tokens(m, r), grad);
    tape_backward(r);
    arena_rewind(r->exec->step, mark);
}

static void run_backward(const struct model *m, struct run *r, struct streams *s, const struct learn_rows *rows, float *grad)
{
    struct tape tape = { 0 };
    r->tape = &tape;
    s->x[s->layers].grad = grad;
    run_loss(m, r, &s->x[s->layers], rows);
    r->tape = NULL;
    for (size_t i = s->layers; i-- > s->from && !is_cancelled(r->exec);) {
        block_needed(m, r->exec, i, i > s->from ? i - 1 : SIZE_MAX, true);
        run_block_backward(m, r, s, i, grad);
        block_done(m, r->exec, i, true);
    }
    if (embedding_learns(m) && r->exec->status == SC_OK) run_embedding_backward(m, r, grad, &tape);
    tape_release(&tape);
}

void model_learn(const struct model *m, struct exec *e, const struct batch *batch, const struct learn_rows *rows, bool wants_gradient)
{
    struct arena_mark mark = arena_mark(e->step);
    struct run r = { .exec = e, .batch = batch, .is_training = wants_gradient };
    size_t layers = m->config.layers, floats = batch->rows * m->config.embd;
    bool goes_back = wants_gradient && rows->n;
    struct streams s = { .layers = layers, .from = goes_back ? model_first_learning(m) : layers, .first_kept = layers };
    s.x = arena_zero(e->step, (layers + 1) * sizeof *s.x);
    s.kept = arena_zero(e->step, (layers + 1) * sizeof *s.kept);
    float *grad = goes_back ? arena_zero(e->step, floats * sizeof *grad) : NULL;
    run_forward(m, &r, &s);
    if (goes_back && e->status == SC_OK) run_backward(m, &r, &s, rows, grad);
    else if (rows->n && e->status == SC_OK) run_loss(m, &r, &s.x[layers], rows);
    for (size_t i = 0; i < layers; i++) tape_release(&s.kept[i].tape);
    arena_rewind(e->step, mark);
}
