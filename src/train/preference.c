/* preference.c - learning from pairs of answers. lw, ll: log-probabilities of the chosen and the rejected completion.
 *
 * DPO (Rafailov et al. 2023): D = (lw - lw') - (ll - ll'), ' under the model before training; loss -log s(beta D), with
 * d loss / d lw = -beta s(-beta D), d loss / d ll = +beta s(-beta D). ORPO (Hong et al. 2024): lw, ll are means over
 * tokens; o = (lw - ll) - (log(1 - e^lw) - log(1 - e^ll)); loss = mean -log p of all chosen tokens (prompt included, as
 * in TRL) - beta log s(o), with do/dlw = 1 / (1 - e^lw), do/dll = -1 / (1 - e^ll). */
#include "train/train_internal.h"

#include <math.h>
#include <string.h>

static double log_sigmoid(double x) { return x > 0 ? -log1p(exp(-x)) : x - log1p(exp(x)); }
static double sigmoid(double x) { return x > 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }

/* What one pair's losses say; sum NULL: only their weights are set. */
struct pair { const struct preference *p; const struct pair_of *of; struct rewards *sum; };

/* Sums of log-probabilities of the two completions and their lengths; nll: over all targets of the chosen sample. */
struct pair_sums { double log_p[2], n[2], nll; };

static struct pair_sums sums_of(const struct leaf *leaf)
{
    struct pair_sums s = { { 0, 0 }, { 0, 0 }, 0 };
    for (size_t i = 0; i < leaf->n; i++) {
        uint32_t side = leaf->of[i].sample;
        if (side == 0) s.nll += (double)leaf->loss[i];
        if (!leaf->of[i].is_completion) continue;
        s.log_p[side] -= (double)leaf->loss[i];
        s.n[side]++;
    }
    return s;
}

/* Weight of each loss: the derivative by the log-probability of its side, with the sign of a loss; `nll` for all chosen. */
static void set_weights(struct leaf *leaf, double chosen, double rejected, double nll)
{
    for (size_t i = 0; i < leaf->n; i++) {
        const struct target_of *of = &leaf->of[i];
        double w = of->is_completion ? (of->sample == 0 ? chosen : rejected) : 0;
        leaf->weight[i] = (float)(w + (of->sample == 0 ? nll : 0));
    }
}

static void count(struct rewards *sum, double loss, double nll, double chosen, double rejected)
{
    sum->loss += loss;
    sum->nll += nll;
    sum->chosen += chosen;
    sum->rejected += rejected;
    sum->right += chosen > rejected;
    sum->pairs++;
}

static void weigh_dpo(const struct pair *p, const struct pair_sums *s)
{
    double beta = p->p->beta, chosen = beta * (s->log_p[0] - p->of->reference[0]), rejected = beta * (s->log_p[1] - p->of->reference[1]), slope = beta * sigmoid(rejected - chosen) / p->of->pairs;
    if (!p->sum) set_weights(p->of->leaf, slope, -slope, 0);
    else count(p->sum, -log_sigmoid(chosen - rejected) / p->of->pairs, 0, chosen, rejected);
}

static void weigh_orpo(const struct pair *p, const struct pair_sums *s)
{
    double beta = p->p->beta, lw = s->log_p[0] / fmax(s->n[0], 1), ll = s->log_p[1] / fmax(s->n[1], 1);
    double rest_w = -expm1(lw), rest_l = -expm1(ll), odds = (lw - ll) - (log(rest_w) - log(rest_l)), slope = beta * sigmoid(-odds) / p->of->pairs;
    if (!p->sum) set_weights(p->of->leaf, slope / rest_w / fmax(s->n[0], 1), -slope / rest_l / fmax(s->n[1], 1), 1 / p->of->tokens);
    else count(p->sum, s->nll / p->of->tokens - beta * log_sigmoid(odds) / p->of->pairs, s->nll / p->of->tokens, beta * lw, beta * ll);
}

static void weigh(void *user)
{
    const struct pair *p = user;
    const struct pair_sums s = sums_of(p->of->leaf);
    if (p->p->kind == PREFERENCE_DPO) weigh_dpo(p, &s); else weigh_orpo(p, &s);
}

sc_status preference_pass(struct learner *l, const struct preference *p, const struct pair_of *of, uint64_t seed, bool wants_gradient, sc_error *err)
{
    struct pair pair = { p, of, NULL };
    for (size_t i = 0; i < of->leaf->n; i++) of->leaf->weight[i] = 0;
    return learner_pass(l, of->leaf, seed, wants_gradient, weigh, &pair, err);
}

void preference_count(struct rewards *sum, const struct preference *p, const struct pair_of *of) { weigh(&(struct pair){ p, of, sum }); }

/* ---- log-probabilities before training ------------------------------------------------------------------------------------------ */

struct scoring { struct learner *l; struct leaf *leaf; };

static sc_status score_pass(void *user, size_t k, sc_error *err)
{
    const struct scoring *s = user;
    return learner_pass(s->l, &s->leaf[k], 0, false, NULL, NULL, err);
}

static sc_status score_split(double *out, struct learner *l, const struct corpus_split *s, sc_error *err)
{
    size_t ranks = (size_t)l->rt->comm.size;
    struct leaf *leaf = mem_zero(ranks, sizeof *leaf), **given = mem_zero(ranks, sizeof *given);
    struct scoring scoring = { l, leaf };
    sc_status status = SC_OK;
    for (size_t k = 0; k < ranks; k++) leaf_init(given[k] = &leaf[k], s->longest + 1);
    for (uint64_t i = 0; i < s->rows && status == SC_OK; i += ranks) {
        struct round round = { given, 0, false, score_pass, &scoring };
        for (uint64_t row; round.n < ranks && i + round.n < s->rows; round.n++) {
            const struct shard *shard = corpus_row(s, i + round.n, &row);
            leaf_fill_pair(&leaf[round.n], shard, row, false);
        }
        status = learner_round(l, &round, err);
        meter_tick(l->meter);
        for (size_t k = 0; k < round.n; k++) {
            const struct pair_sums sums = sums_of(&leaf[k]);
            out[2 * (i + k)] = sums.log_p[0];
            out[2 * (i + k) + 1] = sums.log_p[1];
        }
    }
    for (size_t k = 0; k < ranks; k++) leaf_release(&leaf[k]);
    mem_free(leaf);
    mem_free(given);
    return status;
}

static sc_status read_reference(double *out, size_t n, const char *path, sc_error *err)
{
    struct mapped_file f;
    TRY(file_map(&f, path, err));
    bool fits = f.size == n * sizeof *out;
    if (fits) memcpy(out, f.data, f.size);
    size_t size = f.size;
    file_unmap(&f);
    return fits ? SC_OK : FAIL(err, SC_E_FORMAT, "%s has %zu bytes, but the pairs of the data need %zu; remove it to have it made anew", path, size, n * sizeof *out);
}

sc_status preference_open(struct preference *out, struct learner *l, const struct corpus *data, const char *output, struct journal *j, sc_error *err)
{
    const sc_train_config *c = l->config;
    *out = (struct preference){ .kind = strcmp(c->loss_type, "dpo") == 0 ? PREFERENCE_DPO : strcmp(c->loss_type, "orpo") == 0 ? PREFERENCE_ORPO : PREFERENCE_NONE, .beta = c->beta };
    if (out->kind != PREFERENCE_DPO) return SC_OK;
    size_t n = 2 * (data->train.rows + data->eval.rows);
    char *path = path_join(output, "reference.bin");
    sc_status status = SC_OK;
    out->train_reference = mem_alloc((n + 1) * sizeof(double));
    out->eval_reference = out->train_reference + 2 * data->train.rows;
    int32_t exists = path_exists(path);
    status = comm_broadcast(&l->rt->comm, 0, &exists, sizeof exists, err);
    if (status == SC_OK && exists) status = comm_all_ok(&l->rt->comm, read_reference(out->train_reference, n, path, err), err);
    else if (status == SC_OK) {
        journal_note(j, "scoring %llu pairs with the model as it is, once", (unsigned long long)(data->train.rows + data->eval.rows));
        status = score_split(out->train_reference, l, &data->train, err);
        if (status == SC_OK) status = score_split(out->eval_reference, l, &data->eval, err);
        if (status == SC_OK) status = comm_all_ok(&l->rt->comm, l->rt->comm.rank ? SC_OK : file_write(path, out->train_reference, n * sizeof(double), err), err);
    }
    mem_free(path);
    return status;
}

void preference_close(struct preference *p)
{
    mem_free(p->train_reference);
    *p = (struct preference){ 0 };
}
