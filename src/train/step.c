/* step.c - one optimiser step: its leaves in rounds of one for each rank, each gradient computed alone and added in their order;
 * the norm clipped; the parameters changed, unless the step looks broken. */
#include "train/train_internal.h"

#include <math.h>
#include <string.h>

static bool is_pairs(const struct preference *p) { return p->kind != PREFERENCE_NONE; }

/* Fills the step's leaves; which row of the split each one is goes to `row`. */
static void fill_leaves(struct step_result *out, struct learner *l, const struct corpus *data, const struct preference *p, struct order *order, int64_t step, uint64_t *row)
{
    for (size_t i = 0; i < l->n_leaves; i++) {
        uint64_t in_shard;
        row[i] = order_row(order, (uint64_t)step * l->n_leaves + i);
        const struct shard *s = corpus_row(&data->train, row[i], &in_shard);
        if (is_pairs(p)) leaf_fill_pair(&l->leaf[i], s, in_shard, p->kind == PREFERENCE_ORPO);
        else leaf_fill(&l->leaf[i], s, in_shard, data->joined);
        out->tokens += l->leaf[i].rows;
        out->trained += l->leaf[i].n;
    }
}

/* Targets of the chosen samples, over which ORPO's likelihood is a mean. */
static double chosen_targets(const struct learner *l)
{
    uint64_t n = 0;
    for (size_t i = 0; i < l->n_leaves; i++)
        for (size_t k = 0; k < l->leaf[i].n; k++) n += l->leaf[i].of[k].sample == 0;
    return (double)n;
}

/* The seed of a leaf's random numbers: another one for each leaf of the run. */
static uint64_t leaf_seed(const struct learner *l, int64_t step, size_t i) { return l->config->seed * 0x9E3779B97F4A7C15u + (uint64_t)step * l->n_leaves + i + 1; }

/* The leaves of one step, and those of the present round. */
struct running { struct learner *l; const struct preference *p; const uint64_t *row; int64_t step; size_t *index; uint64_t trained; double chosen; };

static struct pair_of pair_of(const struct running *r, size_t i)
{
    return (struct pair_of){ &r->l->leaf[i], r->p->train_reference ? r->p->train_reference + 2 * r->row[i] : NULL, (double)r->l->n_leaves, r->chosen };
}

static sc_status run_leaf(void *user, size_t k, sc_error *err)
{
    const struct running *r = user;
    size_t i = r->index[k];
    struct leaf *leaf = &r->l->leaf[i];
    const struct pair_of pair = pair_of(r, i);
    if (is_pairs(r->p)) return preference_pass(r->l, r->p, &pair, leaf_seed(r->l, r->step, i), true, err);
    for (size_t j = 0; j < leaf->n; j++) leaf->weight[j] = (float)(1 / (double)r->trained);
    return learner_pass(r->l, leaf, leaf_seed(r->l, r->step, i), true, NULL, NULL, err);
}

static void count_leaf(struct step_result *out, struct losses *losses, const struct running *r, size_t i)
{
    const struct leaf *leaf = &r->l->leaf[i];
    const struct pair_of pair = pair_of(r, i);
    if (is_pairs(r->p)) { preference_count(&out->rewards, r->p, &pair); return; }
    losses_add(losses, leaf);
    for (size_t k = 0; k < leaf->n; k++) out->loss += (double)leaf->loss[k];
}

/* Leaves that learn nothing are left out; the others are dealt to the ranks in turn. */
static sc_status run_leaves(struct step_result *out, struct losses *losses, struct learner *l, const struct preference *p, const uint64_t *row, int64_t step, sc_error *err)
{
    size_t ranks = (size_t)l->rt->comm.size, *index = mem_alloc(ranks * sizeof *index);
    struct leaf **leaf = mem_alloc(ranks * sizeof *leaf);
    struct running r = { l, p, row, step, index, out->trained, is_pairs(p) ? chosen_targets(l) : 0 };
    sc_status status = SC_OK;
    trainable_begin_step(&l->trainable, l->rt->pool);
    for (size_t i = 0; i < l->n_leaves && status == SC_OK;) {
        struct round round = { leaf, 0, true, run_leaf, &r };
        for (; i < l->n_leaves && round.n < ranks; i++) {
            if (!l->leaf[i].n) continue;
            leaf[round.n] = &l->leaf[i];
            index[round.n++] = i;
        }
        if (round.n) status = learner_round(l, &round, err);
        for (size_t k = 0; k < round.n && status == SC_OK; k++) count_leaf(out, losses, &r, index[k]);
    }
    mem_free(index);
    mem_free(leaf);
    if (is_pairs(p)) out->loss = out->rewards.loss;
    else out->loss /= out->trained ? (double)out->trained : 1;
    return status;
}

/* ---- guards ----------------------------------------------------------------------------------------------------------------- */

/* How many standard deviations the loss lies above the mean of the last ones; 0 until the window is full. */
static double spike_of(const struct loss_window *w, double loss)
{
    double mean = 0, square = 0;
    if (w->n < LOSS_WINDOW) return 0;
    for (size_t i = 0; i < LOSS_WINDOW; i++) mean += w->loss[i] / LOSS_WINDOW;
    for (size_t i = 0; i < LOSS_WINDOW; i++) square += (w->loss[i] - mean) * (w->loss[i] - mean) / LOSS_WINDOW;
    return square > 0 ? (loss - mean) / sqrt(square) : 0;
}

enum { SKIPS_MAX = 8 };

static sc_status guard(struct step_result *r, struct run_state *s, double max_spike, sc_error *err)
{
    if (!isfinite(r->loss) || !isfinite(r->grad_norm)) r->skipped = "loss or gradient is not a number";
    else if (!r->trained) r->skipped = "no token of its rows is trained";
    else if (max_spike > 0 && spike_of(&s->window, r->loss) > max_spike) r->skipped = "the loss is far above those before";
    if (!r->skipped) {
        s->window.loss[s->window.n++ % LOSS_WINDOW] = r->loss;
        s->window.skipped_in_a_row = 0;
    } else if (++s->window.skipped_in_a_row >= SKIPS_MAX)
        return FAIL(err, SC_E_ARGUMENT, "step %lld is the %dth in a row that cannot be used (%s, loss %g); lower learning_rate, or go back to an earlier checkpoint", (long long)s->step + 1, SKIPS_MAX,
                    r->skipped, r->loss);
    return SC_OK;
}

/* ---- the step ------------------------------------------------------------------------------------------------------------------ */

sc_status step_run(struct step_result *out, struct losses *losses, struct learner *l, const struct corpus *data, const struct preference *p, struct order *order, struct run_state *s, sc_error *err)
{
    const sc_train_config *c = l->config;
    uint64_t *row = mem_alloc(l->n_leaves * sizeof *row);
    double begin = clock_seconds();
    *out = (struct step_result){ 0 };
    fill_leaves(out, l, data, p, order, s->step, row);
    sc_status status = run_leaves(out, losses, l, p, row, s->step, err);
    mem_free(row);
    TRY(status);
    double computed = clock_seconds();
    if (l->shards) TRY(shards_end_gradient(l->shards, err));
    TRY(gradient_clip(&out->grad_norm, &l->trainable, c->max_grad_norm, &l->rt->comm, l->rt->pool, err));
    out->learning_rate = c->learning_rate * l->schedule->factor(s->step, s->warmup, s->total);
    status = guard(out, s, c->max_loss_spike, err);
    l->rt->comm.failed_together = status != SC_OK;          /* all ranks see the same numbers */
    TRY(status);
    if (!out->skipped) {
        const struct optimizer_config o = { out->learning_rate, c->adam_beta1, c->adam_beta2, c->adam_epsilon, c->weight_decay, c->momentum, c->seed };
        l->optimizer->update(&l->trainable, &o, ++s->updates, l->rt->pool);
        if (l->shards) TRY(shards_publish(l->shards, err));
    }
    if (l->shards) shards_times(l->shards)->update += clock_seconds() - computed;
    s->step++;
    s->tokens += out->tokens;
    out->seconds = clock_seconds() - begin;
    s->seconds += out->seconds;
    return SC_OK;
}
