/* evaluate.c - the held-out rows under the weights as they are: loss with an interval over dialogues, and sample answers. */
#include "train/train_internal.h"

#include <math.h>
#include <string.h>

/* ---- the loss ------------------------------------------------------------------------------------------------------------- */

/* Sums over dialogues for a ratio of sums (Cochran 1977, chapter 6): loss = sum of losses / sum of tokens. */
struct ratio { double loss, n, loss2, n2, both; uint64_t dialogues; };

static void ratio_add(struct ratio *r, double loss, double n)
{
    r->loss += loss;
    r->n += n;
    r->loss2 += loss * loss;
    r->n2 += n * n;
    r->both += loss * n;
    r->dialogues++;
}

static void add_dialogues(struct ratio *r, const struct leaf *leaf)
{
    for (size_t i = 0; i < leaf->n;) {
        uint32_t sample = leaf->of[i].sample;
        double loss = 0, n = 0;
        for (; i < leaf->n && leaf->of[i].sample == sample; i++, n++) loss += (double)leaf->loss[i];
        ratio_add(r, loss, n);
    }
}

static void set_interval(struct eval_result *out, const struct ratio *r)
{
    double mean = r->n > 0 ? r->loss / r->n : 0, d = (double)r->dialogues, spread = r->loss2 - 2 * mean * r->both + mean * mean * r->n2;
    double half = d > 1 && spread > 0 ? 1.96 * sqrt(spread * d / (d - 1)) / r->n : 0;
    out->loss = mean;
    out->low = mean - half;
    out->high = mean + half;
    out->dialogues = r->dialogues;
}

/* ORPO's likelihood is a mean over the targets of one pair here. */
static double chosen_targets(const struct leaf *leaf)
{
    double n = 0;
    for (size_t i = 0; i < leaf->n; i++) n += leaf->of[i].sample == 0;
    return n > 0 ? n : 1;
}

/* Held-out rows of one round. */
struct evaluating { struct learner *l; const struct corpus *data; const struct preference *p; struct leaf *leaf; uint64_t *row; };

static struct pair_of pair_of(const struct evaluating *e, size_t k)
{
    return (struct pair_of){ &e->leaf[k], e->p->eval_reference ? e->p->eval_reference + 2 * e->row[k] : NULL, 1, chosen_targets(&e->leaf[k]) };
}

static sc_status run_row(void *user, size_t k, sc_error *err)
{
    const struct evaluating *e = user;
    const struct pair_of pair = pair_of(e, k);
    if (e->p->kind != PREFERENCE_NONE) return preference_pass(e->l, e->p, &pair, 0, false, err);
    return learner_pass(e->l, &e->leaf[k], 0, false, NULL, NULL, err);
}

static void count_row(struct eval_result *out, struct ratio *ratio, const struct evaluating *e, size_t k)
{
    const struct pair_of pair = pair_of(e, k);
    if (e->p->kind != PREFERENCE_NONE) { preference_count(&out->rewards, e->p, &pair); return; }
    losses_add(&out->losses, &e->leaf[k]);
    add_dialogues(ratio, &e->leaf[k]);
    out->trained += e->leaf[k].n;
}

/* Fills up to `ranks` leaves from row *at on, those without a target left out; returns how many. */
static size_t fill_round(const struct evaluating *e, uint64_t *at, size_t ranks)
{
    size_t n = 0;
    for (; *at < e->data->eval.rows && n < ranks; ++*at) {
        uint64_t row;
        const struct shard *s = corpus_row(&e->data->eval, *at, &row);
        if (e->p->kind != PREFERENCE_NONE) leaf_fill_pair(&e->leaf[n], s, row, e->p->kind == PREFERENCE_ORPO);
        else leaf_fill(&e->leaf[n], s, row, e->data->joined);
        e->row[n] = *at;
        n += e->leaf[n].n > 0;
    }
    return n;
}

static void tell_progress(const sc_train_config *c, uint64_t done, uint64_t total)
{
    char text[120];
    snprintf(text, sizeof text, "{\"event\":\"progress\",\"what\":\"held-out rows\",\"done\":%llu,\"total\":%llu}", (unsigned long long)done, (unsigned long long)total);
    if (c->on_event) c->on_event(c->user, text);
}

static sc_status run_rows(struct eval_result *out, struct ratio *ratio, const struct evaluating *e, struct leaf **leaf, size_t ranks, sc_error *err)
{
    for (uint64_t at = 0; at < e->data->eval.rows;) {
        tell_progress(e->l->config, at, e->data->eval.rows);
        struct round round = { leaf, fill_round(e, &at, ranks), false, run_row, (void *)(uintptr_t)e };
        if (round.n) TRY(learner_round(e->l, &round, err));
        for (size_t k = 0; k < round.n; k++) count_row(out, ratio, e, k);
        meter_tick(e->l->meter);
    }
    return SC_OK;
}

sc_status evaluate(struct eval_result *out, struct learner *l, const struct corpus *data, const struct preference *p, sc_error *err)
{
    size_t ranks = (size_t)l->rt->comm.size;
    struct leaf **leaf = mem_zero(ranks, sizeof *leaf);
    struct evaluating e = { l, data, p, mem_zero(ranks, sizeof *e.leaf), mem_zero(ranks, sizeof *e.row) };
    struct ratio ratio = { 0 };
    double begin = clock_seconds();
    *out = (struct eval_result){ .rows = data->eval.rows };
    for (size_t k = 0; k < ranks; k++) leaf_init(leaf[k] = &e.leaf[k], data->eval.longest + 1);
    sc_status status = run_rows(out, &ratio, &e, leaf, ranks, err);
    for (size_t k = 0; k < ranks; k++) leaf_release(&e.leaf[k]);
    mem_free(e.leaf);
    mem_free(e.row);
    mem_free(leaf);
    TRY(status);
    set_interval(out, &ratio);
    if (p->kind != PREFERENCE_NONE && out->rewards.pairs) {
        out->loss = out->low = out->high = out->rewards.loss / (double)out->rewards.pairs;
        out->dialogues = out->rewards.pairs;
    }
    out->seconds = clock_seconds() - begin;
    return SC_OK;
}

/* ---- sample answers ----------------------------------------------------------------------------------------------------------- */

static int collect_text(void *user, const char *utf8, size_t len)
{
    buf_append(user, utf8, len);
    return 0;
}

/* Tokens of a sample before its first answer; 0: too long, or it begins with one. */
static size_t prompt_of(const struct shard *s, uint64_t k)
{
    const struct shard_segment *g = &s->segment[k];
    for (uint32_t i = 0; i < g->length; i++)
        if (flag_trained(s->flag[g->token_begin + i])) return i <= SAMPLE_PROMPT ? i : 0;
    return 0;
}

static sc_status answer(struct learner *l, sc_session *session, const int32_t *prompt, size_t n, struct journal *j, int64_t step, sc_error *err)
{
    sc_sample_config sample;
    sc_generation made;
    struct buf text, asked;
    sc_options_defaults(sc_options_for("sample"), &sample);
    sample.temperature = 0;
    sample.max_tokens = SAMPLE_TOKENS;
    buf_init(&text, 0);
    buf_init(&asked, 0);
    sc_status status = sc_session_sync(session, prompt, n, err);
    if (status == SC_OK) status = sc_session_generate(&made, session, &sample, collect_text, &text, err);
    if (status == SC_OK) {
        struct buf raw;
        buf_init(&raw, 0);
        tokenizer_decode(l->model->tokenizer, &raw, prompt, n, false);
        utf8_repair(&asked, raw.data ? raw.data : "", raw.len);
        buf_release(&raw);
        status = journal_put(j, json_pack("{s:s, s:I, s:s%, s:s%, s:b, s:I}", "event", "sample", "step", (json_int_t)step, "prompt", asked.data ? asked.data : "", asked.len,
                                          "answer", text.data ? text.data : "", text.len, "ended", made.reason == SC_STOP_END, "tokens", (json_int_t)made.tokens), err);
    }
    buf_release(&text);
    buf_release(&asked);
    return status;
}

sc_status evaluate_samples(struct learner *l, const struct corpus *data, struct journal *j, int64_t step, sc_error *err)
{
    const struct corpus_split *s = data->eval.rows ? &data->eval : &data->train;
    sc_session *session = NULL;
    sc_status status = SC_OK;
    int64_t left = l->config->eval_samples;
    size_t context = l->model->model.config.context, wanted = SAMPLE_CONTEXT;
    if (left <= 0) return SC_OK;
    TRY(sc_session_open(&session, l->model, &(sc_session_config){ .context = (int64_t)(wanted < context ? wanted : context), .cache_type = "f32", .chunk = SAMPLE_CHUNK }, err));
    for (uint64_t i = 0, row; i < s->rows && left > 0 && status == SC_OK; i++) {
        const struct shard *shard = corpus_row(s, i, &row);
        uint64_t k = shard->row_begin[row];
        size_t n = prompt_of(shard, k);
        if (!n || n >= sc_session_capacity(session)) continue;
        left--;
        status = answer(l, session, shard->id + shard->segment[k].token_begin, n, j, step, err);
    }
    sc_session_close(session);
    return status;
}
