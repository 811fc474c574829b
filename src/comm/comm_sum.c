/* comm_sum.c - gradients travel to who owns a slice of them and are added there in the order of ranks, so that a sum has the bits
 * that one rank alone would give it. (A ring or a tree would add in an order that depends on the number of ranks.) Slices travel
 * in buckets; those of the next turns are on their way while these are added: many, so that a far network is kept busy, in as much
 * memory whatever the number of ranks. */
#include "comm/comm.h"

#include <assert.h>

enum { MOST_BUCKET = 1 << 16, LEAST_BUCKET = 1 << 12, MOST_TURNS = 16, SCRATCH = 1 << 21, TAG_SUM = COMM_TAGS + 2 };      /* floats */

/* One turn: bucket `turn` of every slice. */
struct turn { struct comm_pending *pending; size_t n_pending; float *buffer; };
struct summing { struct comm *c; float *sum; const float *x; size_t n, bucket, n_turns; int givers; struct turn turn[MOST_TURNS]; };

/* Elements of a bucket: all ranks' buckets of two turns fit into the scratch, as long as they are not tiny. */
static size_t bucket_elements(const struct comm *c)
{
    size_t n = SCRATCH / 2 / (size_t)c->size;
    return n > MOST_BUCKET ? MOST_BUCKET : n < LEAST_BUCKET ? LEAST_BUCKET : n;
}

static size_t turns_at_once(const struct comm *c)
{
    size_t n = SCRATCH / ((size_t)c->size * bucket_elements(c));
    return n > MOST_TURNS ? MOST_TURNS : n < 2 ? 2 : n;
}

size_t comm_sum_floats(const struct comm *c) { return c->size > 1 ? turns_at_once(c) * (size_t)c->size * bucket_elements(c) : 0; }

/* Elements of bucket `turn` of a rank's slice; *begin: its first one. */
static size_t bucket_of(const struct summing *s, int rank, size_t turn, size_t *begin)
{
    size_t end = slice_begin(s->n, s->c->size, rank + 1);
    *begin = slice_begin(s->n, s->c->size, rank) + turn * s->bucket;
    if (*begin >= end) return 0;
    return end - *begin < s->bucket ? end - *begin : s->bucket;
}

static sc_status begin_turn(struct summing *s, size_t turn, sc_error *err)
{
    struct turn *t = &s->turn[turn % s->n_turns];
    struct comm *c = s->c;
    size_t at, own = bucket_of(s, c->rank, turn, &at);
    t->n_pending = 0;
    for (int r = 0; r < s->givers && own; r++)
        if (r != c->rank) TRY(comm_receive(c, &t->pending[t->n_pending++], r, TAG_SUM, t->buffer + (size_t)r * s->bucket, own * sizeof(float), err));
    for (int i = 1; i < c->size && c->rank < s->givers; i++) {           /* beginning behind oneself, so that not all send to one */
        int to = (c->rank + i) % c->size;
        size_t n = bucket_of(s, to, turn, &at);
        if (n) TRY(comm_send(c, &t->pending[t->n_pending++], to, TAG_SUM, s->x + at, n * sizeof(float), err));
    }
    return SC_OK;
}

static sc_status end_turn(struct summing *s, size_t turn, sc_error *err)
{
    struct turn *t = &s->turn[turn % s->n_turns];
    struct comm *c = s->c;
    size_t at, own = bucket_of(s, c->rank, turn, &at);
    TRY(comm_wait(c, t->pending, t->n_pending, err));
    float *restrict to = s->sum + turn * s->bucket;
    for (int r = 0; r < s->givers && own; r++) {
        const float *restrict x = r == c->rank ? s->x + at : t->buffer + (size_t)r * s->bucket;
        for (size_t i = 0; i < own; i++) to[i] += x[i];
    }
    return SC_OK;
}

sc_status comm_sum_slices(struct comm *c, float *sum, const float *x, size_t n, int givers, float *scratch, sc_error *err)
{
    struct summing s = { .c = c, .sum = sum, .x = x, .n = n, .bucket = bucket_elements(c), .n_turns = turns_at_once(c), .givers = givers };
    size_t longest = 0, turns;
    assert(givers >= 0 && givers <= c->size && (x || c->rank >= givers));
    for (int r = 0; r < c->size; r++) {
        size_t slice = slice_begin(n, c->size, r + 1) - slice_begin(n, c->size, r);
        longest = slice > longest ? slice : longest;
    }
    turns = (longest + s.bucket - 1) / s.bucket;
    for (size_t i = 0; i < s.n_turns; i++) {
        s.turn[i].pending = mem_alloc(2 * (size_t)c->size * sizeof *s.turn[i].pending);
        s.turn[i].buffer = scratch ? scratch + i * (size_t)c->size * s.bucket : NULL;
    }
    sc_status status = SC_OK;
    for (size_t t = 0, begun = 0; t < turns && status == SC_OK; t++) {
        for (; begun < turns && begun < t + s.n_turns && status == SC_OK; begun++) status = begin_turn(&s, begun, err);
        if (status == SC_OK) status = end_turn(&s, t, err);
    }
    for (size_t i = 0; i < s.n_turns; i++) mem_free(s.turn[i].pending);
    return status;
}
