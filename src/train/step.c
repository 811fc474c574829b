/* step.c - one optimiser step: its leaves one after the other, each gradient computed alone and added in their order;
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

static sc_status run_leaves(struct step_result *out, struct losses *losses, struct learner *l, const struct preference *p, const uint64_t *row, int64_t step, sc_error *err)
{
    struct pool *pool = l->rt->pool;
    double chosen = is_pairs(p) ? chosen_targets(l) : 0;
    trainable_begin_step(&l->trainable, pool);
    for (size_t i = 0; i < l->n_leaves; i++) {
        struct leaf *leaf = &l->leaf[i];
        if (!leaf->n) continue;
        trainable_begin_leaf(&l->trainable, pool);
        if (is_pairs(p))
            TRY(preference_pass(&out->rewards, l, p, leaf, p->train_reference ? p->train_reference + 2 * row[i] : NULL, (double)l->n_leaves, chosen, leaf_seed(l, step, i), true, err));
        else {
            for (size_t k = 0; k < leaf->n; k++) leaf->weight[k] = (float)(1 / (double)out->trained);
            TRY(learner_pass(l, leaf, leaf_seed(l, step, i), true, NULL, NULL, err));
            losses_add(losses, leaf);
            for (size_t k = 0; k < leaf->n; k++) out->loss += (double)leaf->loss[k];
        }
        trainable_end_leaf(&l->trainable, pool);
    }
    if (is_pairs(p)) out->loss = out->rewards.loss;
    else out->loss /= out->trained ? (double)out->trained : 1;
    return SC_OK;
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
    out->grad_norm = gradient_clip(&l->trainable, c->max_grad_norm, l->rt->pool);
    out->learning_rate = c->learning_rate * l->schedule->factor(s->step, s->warmup, s->total);
    TRY(guard(out, s, c->max_loss_spike, err));
    if (!out->skipped) {
        const struct optimizer_config o = { out->learning_rate, c->adam_beta1, c->adam_beta2, c->adam_epsilon, c->weight_decay, c->momentum, c->seed };
        l->optimizer->update(&l->trainable, &o, ++s->updates, l->rt->pool);
    }
    s->step++;
    s->tokens += out->tokens;
    out->seconds = clock_seconds() - begin;
    s->seconds += out->seconds;
    return SC_OK;
}
