/* shards.c - training on several ranks: who runs which leaf, when weights and gradients travel, and what was waited for.
 *
 * Leaf i of a step runs on rank i mod N, one round of N leaves after the other. Blocks' weights are gathered one ahead of the
 * pass, forward and back; a block's gradient travels to the owners of its slices as soon as it is complete, while the block
 * below is computed. All messages go through one queue, whose jobs every rank puts in the same order: that order follows from
 * the model alone, so a rank without a leaf goes through it too, computing nothing. Sums are made by owners in the order of
 * ranks, which is the order of leaves: the bits are those of one rank. */
#include "train/train_internal.h"

#include <string.h>

enum { TAG_VALUES = 1, TAG_COMMAND = 2, PIECE_MOST = 1 << 27, NOBODY = -1 };

/* Elements [first, first + n) of a parameter, which `owner` keeps. */
struct piece { size_t parameter, first, n; int owner; };

struct shards {
    struct comm *comm; struct comm_queue *queue;
    struct learner *l; struct trainable *t;
    struct model_residency residency;
    struct piece *piece; size_t *piece_begin;          /* those of group g: piece_begin[g] .. piece_begin[g + 1] */
    struct comm_pending *pending;
    float *scratch;
    int round; bool goes_back, has_leaf;               /* the first `round` ranks have a leaf */
    bool leads;                                        /* rank 0 works alone, the others give it what it asks for */
    int64_t held[2]; int held_by[2];                   /* group in each place of a block's values (NOBODY: none), and on how many ranks */
    uint64_t last, gathered[2], reduced[2];            /* jobs: the last one; the last that fills each place of values, empties each place of gradients */
    struct shard_times times; struct trace *trace;
    sc_status status; sc_error err;                    /* why a pass was ended */
};

/* ---- which rank keeps what ------------------------------------------------------------------------------------------------------ */

static size_t list_pieces(struct piece *out, const struct trainable *t, size_t g, int size)
{
    size_t n = 0, base = t->group_begin[g], elements = group_elements(t, g);
    for (int r = 0; r < size; r++)
        for (size_t i = 0; i < t->n; i++) {
            const struct parameter *p = &t->parameter[i];
            size_t low = base + slice_begin(elements, size, r), high = base + slice_begin(elements, size, r + 1), end = p->begin + parameter_elements(p);
            if (p->group != g) continue;
            low = low > p->begin ? low : p->begin;
            high = high < end ? high : end;
            for (; low < high; low += PIECE_MOST) {
                if (out) out[n] = (struct piece){ i, low - p->begin, high - low < PIECE_MOST ? high - low : PIECE_MOST, r };
                n++;
            }
        }
    return n;
}

static void make_pieces(struct shards *s)
{
    const struct trainable *t = s->t;
    size_t most = 0;
    s->piece_begin = mem_zero(t->n_groups + 1, sizeof *s->piece_begin);
    for (size_t g = 0; g < t->n_groups; g++) {
        size_t n = list_pieces(NULL, t, g, s->comm->size);
        s->piece_begin[g + 1] = s->piece_begin[g] + n;
        most = n > most ? n : most;
    }
    s->piece = mem_alloc((s->piece_begin[t->n_groups] + 1) * sizeof *s->piece);
    for (size_t g = 0; g < t->n_groups; g++) list_pieces(s->piece + s->piece_begin[g], t, g, s->comm->size);
    s->pending = mem_alloc((most * (size_t)s->comm->size + 2 * (size_t)s->comm->size + 1) * sizeof *s->pending);
}

/* ---- jobs of the queue ---------------------------------------------------------------------------------------------------------- */

static void count(struct shards *s, const char *what, int64_t group, double begin, double *seconds)
{
    double end = clock_seconds();
    *seconds += end - begin;
    trace_add(s->trace, TRACE_MESSAGES, what, group, begin, end);
}

/* Where a piece stands among what its owner keeps, and where the kernels read it. */
static const char *kept_at(const struct parameter *p, const struct piece *q)
{
    size_t at = q->first - p->own_first;
    return p->half ? (const char *)(p->half + at) : (const char *)(p->value + at);
}

static char *read_at(const struct parameter *p, const struct piece *q) { return (char *)p->tensor->data + q->first * parameter_value_bytes(p); }

/* The values of a group to the first j->n ranks. */
static sc_status gather_values(void *user, const struct comm_job *j, sc_error *err)
{
    struct shards *s = user;
    struct comm *c = s->comm;
    const struct piece *piece = s->piece + s->piece_begin[j->what];
    size_t n = s->piece_begin[j->what + 1] - s->piece_begin[j->what], n_pending = 0;
    double begin = clock_seconds();
    bool receives = c->rank < j->n;
    for (size_t i = 0; i < n && receives; i++) {
        const struct parameter *p = &s->t->parameter[piece[i].parameter];
        size_t bytes = piece[i].n * parameter_value_bytes(p);
        if (piece[i].owner != c->rank) TRY(comm_receive(c, &s->pending[n_pending++], piece[i].owner, TAG_VALUES, read_at(p, &piece[i]), bytes, err));
        else if (read_at(p, &piece[i]) != kept_at(p, &piece[i])) memcpy(read_at(p, &piece[i]), kept_at(p, &piece[i]), bytes);
    }
    for (size_t i = 0; i < n; i++) {
        const struct parameter *p = &s->t->parameter[piece[i].parameter];
        for (int k = 1; k < c->size && piece[i].owner == c->rank; k++) {
            int to = (c->rank + k) % c->size;
            if (to < j->n) TRY(comm_send(c, &s->pending[n_pending++], to, TAG_VALUES, kept_at(p, &piece[i]), piece[i].n * parameter_value_bytes(p), err));
            if (to < j->n) s->times.sent_bytes += piece[i].n * parameter_value_bytes(p);
        }
    }
    TRY(comm_wait(c, s->pending, n_pending, err));
    count(s, "gather", j->what, begin, &s->times.gather);
    return SC_OK;
}

/* This rank's slice of a group in the step's gradient, which at stage 0 is there whole. */
static float *own_sum(const struct shards *s, size_t g)
{
    const struct trainable *t = s->t;
    return t->sum + t->own_begin[g] + (shares_state(&t->sharing) ? 0 : slice_begin(group_elements(t, g), s->comm->size, s->comm->rank));
}

/* A group's gradient of the first j->n ranks, added by its owners. */
static sc_status reduce_gradient(void *user, const struct comm_job *j, sc_error *err)
{
    struct shards *s = user;
    const struct comm *c = s->comm;
    size_t g = (size_t)j->what, n = group_elements(s->t, g), own = slice_begin(n, c->size, c->rank + 1) - slice_begin(n, c->size, c->rank);
    double begin = clock_seconds();
    bool gives = c->rank < j->n;
    TRY(comm_sum_slices(s->comm, own_sum(s, g), gives ? s->t->group_grad[g] : NULL, n, (int)j->n, s->scratch, err));
    s->times.sent_bytes += gives ? (n - own) * sizeof(float) : 0;
    count(s, "reduce", j->what, begin, &s->times.reduce);
    return SC_OK;
}

static uint64_t put(struct shards *s, sc_status (*run)(void *user, const struct comm_job *j, sc_error *err), size_t group, int n)
{
    return s->last = comm_queue_put(s->queue, (struct comm_job){ run, s, (int64_t)group, n });
}

static sc_status wait(struct shards *s, uint64_t job, const char *what, double *seconds)
{
    double begin = clock_seconds();
    if (s->status == SC_OK) s->status = comm_queue_wait(s->queue, job, &s->err);
    double end = clock_seconds();
    *seconds += end - begin;
    if (end - begin > 1e-4) trace_add(s->trace, TRACE_WORK, what, -1, begin, end);
    return s->status;
}

/* ---- a pass ------------------------------------------------------------------------------------------------------------------------ */

static bool is_held(const struct shards *s, size_t g, int ranks) { return s->held[g % 2] == (int64_t)g && s->held_by[g % 2] >= ranks; }

static void fetch(struct shards *s, size_t g, int ranks)
{
    if (!shares_values(&s->t->sharing) || is_held(s, g, ranks)) return;
    s->held[g % 2] = (int64_t)g;
    s->held_by[g % 2] = ranks;
    s->gathered[g % 2] = put(s, gather_values, g, ranks);
}

/* Rank 0, working alone, asks the others for a group. */
static sc_status ask(struct shards *s, size_t g)
{
    int64_t command = (int64_t)g;
    if (!shares_values(&s->t->sharing) || is_held(s, g, 1)) return SC_OK;
    for (int r = 1; r < s->comm->size && s->status == SC_OK; r++) {
        s->status = comm_send(s->comm, &s->pending[r], r, TAG_COMMAND, &command, sizeof command, &s->err);
        if (s->status == SC_OK) s->status = comm_wait(s->comm, &s->pending[r], 1, &s->err);
    }
    if (s->status == SC_OK) fetch(s, g, 1);
    return s->status == SC_OK ? wait(s, s->last, "wait for weights", &s->times.wait_values) : s->status;
}

static sc_status need(void *user, size_t block, size_t next, bool goes_back)
{
    struct shards *s = user;
    size_t g = block + 1;
    if (s->leads) return ask(s, g);
    fetch(s, g, s->round);
    if (s->has_leaf && shares_values(&s->t->sharing)) TRY(wait(s, s->gathered[g % 2], "wait for weights", &s->times.wait_values));
    if (next != SIZE_MAX) fetch(s, next + 1, s->round);
    if (!goes_back || !s->has_leaf || !shares_gradient(&s->t->sharing)) return SC_OK;
    TRY(wait(s, s->reduced[g % 2], "wait for gradients to leave", &s->times.wait_gradients));
    trainable_begin_block(s->t, g, s->l->rt->pool);
    return SC_OK;
}

static sc_status done(void *user, size_t block, bool goes_back)
{
    struct shards *s = user;
    size_t g = block + 1;
    if (!s->leads && goes_back && group_elements(s->t, g)) s->reduced[g % 2] = put(s, reduce_gradient, g, s->round);
    return SC_OK;
}

/* The way of a pass through the blocks, of a rank that has no leaf in this round. */
static sc_status follow(struct shards *s)
{
    size_t layers = s->l->model->model.config.layers, from = model_first_learning(&s->l->model->model);
    for (size_t i = 0; i < layers; i++) {
        TRY(need(s, i, i + 1 < layers ? i + 1 : SIZE_MAX, false));
        TRY(done(s, i, false));
    }
    for (size_t i = layers; s->goes_back && i-- > from;) {
        TRY(need(s, i, i > from ? i - 1 : SIZE_MAX, true));
        TRY(done(s, i, true));
    }
    return SC_OK;
}

/* ---- losses of all leaves on all ranks --------------------------------------------------------------------------------------------- */

/* What a rank tells behind its losses. */
struct tail { double seconds; int64_t is_cancelled; };

static sc_status share_losses(struct shards *s, struct leaf *const *leaf, double seconds, sc_error *err)
{
    struct comm *c = s->comm;
    size_t most = 0, bytes;
    struct tail tail = { seconds, s->l->rt->cancel };
    bool is_cancelled = false;
    for (int r = 0; r < s->round; r++) most = leaf[r]->n > most ? leaf[r]->n : most;
    bytes = (most * sizeof(float) + 15) / 16 * 16 + sizeof tail;
    char *all = mem_zero((size_t)c->size, bytes), *own = all + (size_t)c->rank * bytes;
    if (s->has_leaf) memcpy(own, leaf[c->rank]->loss, leaf[c->rank]->n * sizeof(float));
    memcpy(own + bytes - sizeof tail, &tail, sizeof tail);
    double begin = clock_seconds();
    sc_status status = comm_gather(c, all, bytes, err);
    s->times.wait_ranks += clock_seconds() - begin;
    trace_add(s->trace, TRACE_WORK, "wait for ranks", -1, begin, clock_seconds());
    for (int r = 0; r < c->size && status == SC_OK; r++) {
        memcpy(&tail, all + (size_t)(r + 1) * bytes - sizeof tail, sizeof tail);
        s->times.seconds_of[r] += tail.seconds;
        is_cancelled |= tail.is_cancelled != 0;
        if (r < s->round) memcpy(leaf[r]->loss, all + (size_t)r * bytes, leaf[r]->n * sizeof(float));
    }
    mem_free(all);
    if (status != SC_OK || !is_cancelled) return status;
    c->failed_together = true;
    return FAIL(err, SC_E_CANCELLED, "training was stopped");
}

sc_status shards_round(struct shards *s, const struct round *r, sc_error *err)
{
    struct comm *c = s->comm;
    double begin = clock_seconds(), waited = s->times.wait_values + s->times.wait_gradients;
    s->round = (int)r->n;
    s->has_leaf = c->rank < s->round;
    s->goes_back = r->wants_gradient;
    if (s->has_leaf && s->goes_back) trainable_begin_leaf(s->t, s->l->rt->pool);
    s->status = s->has_leaf ? r->pass(r->user, (size_t)c->rank, &s->err) : follow(s);
    double worked = clock_seconds() - begin - (s->times.wait_values + s->times.wait_gradients - waited);
    if (s->has_leaf) s->times.compute += worked;
    if (s->has_leaf) s->times.leaves++;
    if (s->has_leaf) trace_add(s->trace, TRACE_LEAF, r->wants_gradient ? "leaf, forward and back" : "leaf, forward", -1, begin, clock_seconds());
    if (s->status == SC_OK && s->goes_back && group_elements(s->t, 0)) put(s, reduce_gradient, 0, s->round);
    wait(s, s->last, "wait for gradients to leave", &s->times.wait_gradients);
    if (s->status != SC_OK) {
        if (err) *err = s->err;
        return s->status;
    }
    return share_losses(s, r->leaf, s->has_leaf ? worked : 0, err);
}

/* ---- between steps -------------------------------------------------------------------------------------------------------------------- */

/* Elements [from, from + PIECE_MOST) of each slice of a group's sum, from its owner to all. */
static sc_status share_sums(struct shards *s, size_t g, size_t from, sc_error *err)
{
    struct comm *c = s->comm;
    float *sum = s->t->sum + s->t->own_begin[g];
    size_t n = group_elements(s->t, g), n_pending = 0;
    for (int pass = 0; pass < 2; pass++)                                   /* what is received first */
        for (int k = 0; k < c->size; k++) {
            int owner = pass ? c->rank : k, to = k;
            size_t low = slice_begin(n, c->size, owner) + from, end = slice_begin(n, c->size, owner + 1), count = low < end ? (end - low < PIECE_MOST ? end - low : PIECE_MOST) : 0;
            if (k == c->rank || !count) continue;
            if (pass == 0) TRY(comm_receive(c, &s->pending[n_pending++], owner, TAG_VALUES, sum + low, count * sizeof *sum, err));
            else TRY(comm_send(c, &s->pending[n_pending++], to, TAG_VALUES, sum + low, count * sizeof *sum, err));
            if (pass) s->times.sent_bytes += count * sizeof *sum;
        }
    return comm_wait(c, s->pending, n_pending, err);
}

/* Stage 0: the sums of all slices to all ranks, which then all change everything. */
sc_status shards_end_gradient(struct shards *s, sc_error *err)
{
    struct comm *c = s->comm;
    const struct trainable *t = s->t;
    if (shares_state(&t->sharing)) return SC_OK;
    for (size_t g = 0; g < t->n_groups; g++)
        for (size_t from = 0, longest = group_elements(t, g) / (size_t)c->size + 2 * SLICE_GRAIN; from < longest; from += PIECE_MOST) TRY(share_sums(s, g, from, err));
    return SC_OK;
}

sc_status shards_publish(struct shards *s, sc_error *err)
{
    const struct trainable *t = s->t;
    s->held[0] = s->held[1] = NOBODY;
    for (size_t g = 0; g < t->n_groups && shares_state(&t->sharing); g++)
        if (g == 0 || !shares_values(&t->sharing)) put(s, gather_values, g, s->comm->size);
    sc_status status = wait(s, s->last, "wait for weights", &s->times.wait_values);
    if (status != SC_OK && err) *err = s->err;
    return status;
}

/* ---- rank 0 alone --------------------------------------------------------------------------------------------------------------------- */

enum { COMMAND_END = -1 };

static sc_status serve(struct shards *s, sc_error *err)
{
    for (;;) {
        int64_t command = COMMAND_END;
        TRY(comm_receive(s->comm, &s->pending[0], 0, TAG_COMMAND, &command, sizeof command, err));
        TRY(comm_wait(s->comm, &s->pending[0], 1, err));
        if (command == COMMAND_END) return SC_OK;
        fetch(s, (size_t)command, 1);
        TRY(comm_queue_wait(s->queue, s->last, err));
    }
}

sc_status shards_alone(struct shards *s, sc_status (*work)(void *user, sc_error *err), void *user, sc_error *err)
{
    int64_t command = COMMAND_END;
    if (!s) return work(user, err);
    sc_status status;
    if (s->comm->rank) {
        status = serve(s, err);
        if (status != SC_OK && err) s->err = *err;
        s->status = status;
    } else {
        s->leads = true;
        status = work(user, err);
        s->leads = false;
        for (int r = 1; r < s->comm->size && s->status == SC_OK; r++) {
            s->status = comm_send(s->comm, &s->pending[r], r, TAG_COMMAND, &command, sizeof command, &s->err);
            if (s->status == SC_OK) s->status = comm_wait(s->comm, &s->pending[r], 1, &s->err);
        }
    }
    if (s->status != SC_OK) {
        if (err) *err = s->err;
        return s->status;
    }
    return comm_all_ok(s->comm, status, err);
}

/* ---- opening ----------------------------------------------------------------------------------------------------------------------------- */

size_t shards_bytes(int size) { struct comm c = { .size = size }; return comm_sum_floats(&c) * sizeof(float); }

sc_status shards_open(struct shards **out, struct learner *l, sc_error *err)
{
    *out = NULL;
    if (l->rt->comm.size == 1) return SC_OK;
    struct shards *s = *out = mem_zero(1, sizeof *s);
    s->comm = &l->rt->comm;
    s->l = l;
    s->t = &l->trainable;
    s->held[0] = s->held[1] = NOBODY;
    s->residency = (struct model_residency){ need, done, s };
    s->scratch = mem_alloc(comm_sum_floats(s->comm) * sizeof *s->scratch);
    s->times.seconds_of = mem_zero((size_t)s->comm->size, sizeof *s->times.seconds_of);
    make_pieces(s);
    TRY(comm_queue_open(&s->queue, err));
    l->model->model.residency = &s->residency;
    return shards_publish(s, err);
}

void shards_close(struct shards *s)
{
    if (!s) return;
    comm_queue_close(s->queue);
    s->l->model->model.residency = NULL;
    mem_free(s->piece);
    mem_free(s->piece_begin);
    mem_free(s->pending);
    mem_free(s->scratch);
    mem_free(s->times.seconds_of);
    mem_free(s);
}

struct shard_times *shards_times(struct shards *s) { return &s->times; }
void shards_set_trace(struct shards *s, struct trace *trace) { s->trace = trace; }
bool shards_failed(const struct shards *s, sc_error *err)
{
    if (!s || s->status == SC_OK) return false;
    if (err) *err = s->err;
    return true;
}
