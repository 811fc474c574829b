/* ranks.c - where the time of each rank went since the last line of the log: computing, standing still for weights, gradients or
 * other ranks, changing values; and, beside the work, gathering and reducing. */
#include "train/train_internal.h"

#include <stdlib.h>
#include <string.h>

static json_t *describe(const struct shard_times *t, int rank)
{
    return json_pack("{s:i, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I}", "rank", rank, "leaves", (json_int_t)t->leaves, "compute", t->compute, "wait_values", t->wait_values, "wait_gradients", t->wait_gradients,
                     "wait_ranks", t->wait_ranks, "update", t->update, "gather", t->gather, "reduce", t->reduce, "sent_bytes", (json_int_t)t->sent_bytes);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* How much more than the median rank the slowest takes for a leaf; *slow: which it is. */
static double slowness(const struct shard_times *all, int size, int *slow)
{
    double *seconds = mem_zero((size_t)size, sizeof *seconds), most = 0;
    int n = 0;
    for (int r = 0; r < size; r++) {
        double x = all[r].leaves ? all[r].compute / (double)all[r].leaves : 0;
        if (all[r].leaves) seconds[n++] = x;
        if (x > most) { most = x; *slow = r; }
    }
    qsort(seconds, (size_t)n, sizeof *seconds, by_size);
    double middle = n ? seconds[(n - 1) / 2] : 0;
    mem_free(seconds);
    return middle > 0 ? most / middle : 1;
}

static const double SLOW = 1.5;

sc_status ranks_log(struct ranks_report *r, struct learner *l, struct journal *j, int64_t step, sc_error *err)
{
    struct comm *c = &l->rt->comm;
    const struct shard_times *now = shards_times(l->shards), *before = &r->before;
    struct shard_times *all = mem_zero((size_t)c->size, sizeof *all);
    all[c->rank] = (struct shard_times){ .leaves = now->leaves - before->leaves, .compute = now->compute - before->compute, .wait_values = now->wait_values - before->wait_values,
        .wait_gradients = now->wait_gradients - before->wait_gradients, .wait_ranks = now->wait_ranks - before->wait_ranks, .update = now->update - before->update, .gather = now->gather - before->gather,
        .reduce = now->reduce - before->reduce, .sent_bytes = now->sent_bytes - before->sent_bytes };
    r->before = *now;
    sc_status status = comm_gather(c, all, sizeof *all, err);
    int slow = 0;
    double factor = slowness(all, c->size, &slow);
    if (status == SC_OK && step - r->step >= 4 && factor > SLOW && r->slow != slow + 1) {
        journal_note(j, "rank %d takes %.1f times as long for a row as the middle one of %d ranks, and all wait for it; look what else its machine does", slow, factor, c->size);
        r->slow = slow + 1;
    }
    json_t *list = json_array();
    for (int i = 0; i < c->size; i++) json_array_append_new(list, describe(&all[i], i));
    json_t *event = json_pack("{s:s, s:I, s:I, s:o}", "event", "ranks", "step", (json_int_t)step, "steps", (json_int_t)(step - r->step), "ranks", list);
    r->step = step;
    mem_free(all);
    if (status == SC_OK) return journal_put(j, event, err);
    json_decref(event);
    return status;
}
