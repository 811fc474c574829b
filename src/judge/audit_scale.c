/* audit_scale.c - how a judge uses its scale: what it gives, how often it fails, whether it can tell answers apart at all. */
#include "judge_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/stats.h"

/* ---- groups ---------------------------------------------------------------------------------------------------------------------------------------- */

static struct audit_group *group_of(struct audit_groups *all, const struct judgement *j)
{
    bool is_pair = j->model[1] != NULL;
    for (size_t i = 0; i < all->n; i++)
        if (!strcmp(all->at[i].judge, j->judge) && !strcmp(all->at[i].protocol, j->protocol) && all->at[i].is_pair == is_pair) return &all->at[i];
    all->at = mem_grow(all->at, (all->n + 1) * sizeof *all->at);
    all->at[all->n] = (struct audit_group){ .judge = j->judge, .protocol = j->protocol, .is_pair = is_pair, .is_people = !strcmp(j->protocol, "people"), .low = (double)NAN, .high = (double)NAN };
    return &all->at[all->n++];
}

static int text_order(const char *a, const char *b) { return a && b ? strcmp(a, b) : (a != NULL) - (b != NULL); }

/* By what was asked, then in the order of the files. */
static int by_question(const void *a, const void *b)
{
    const struct judgement *x = *(const struct judgement *const *)a, *y = *(const struct judgement *const *)b;
    const char *const of_x[] = { x->judge, x->protocol, x->id, x->model[0], x->model[1], x->canary }, *const of_y[] = { y->judge, y->protocol, y->id, y->model[0], y->model[1], y->canary };
    int order = (x->turn > y->turn) - (x->turn < y->turn);
    for (size_t i = 0; i < sizeof of_x / sizeof *of_x && !order; i++) order = text_order(of_x[i], of_y[i]);
    if (!order) order = x->canary_slot - y->canary_slot;
    return order ? order : (x > y) - (x < y);
}

static bool is_same_question(const struct judgement *x, const struct judgement *y)
{
    return x->turn == y->turn && x->canary_slot == y->canary_slot && !text_order(x->judge, y->judge) && !text_order(x->protocol, y->protocol) && !text_order(x->id, y->id) && !text_order(x->model[0], y->model[0])
        && !text_order(x->model[1], y->model[1]) && !text_order(x->canary, y->canary);
}

/* Of each judgement whether it had no verdict and the same was asked again; the caller's. */
static bool *superseded(const struct judgements *j)
{
    const struct judgement **at = mem_alloc((j->n + 1) * sizeof *at);
    bool *out = mem_zero(j->n + 1, sizeof *out);
    for (size_t i = 0; i < j->n; i++) at[i] = &j->at[i];
    qsort(at, j->n, sizeof *at, by_question);
    for (size_t i = 0; i + 1 < j->n; i++) out[at[i] - j->at] = at[i]->error && is_same_question(at[i], at[i + 1]);
    mem_free(at);
    return out;
}

/* Was a pair shown in both orders? Calls without a verdict count too. */
static bool shows_both_ways(const struct audit_group *g)
{
    json_t *seen = json_object();
    bool is_found = false;
    struct buf key;
    buf_init(&key, 0);
    for (size_t i = 0; i < g->n && !is_found; i++) {
        const struct judgement *j = g->at[i];
        if (j->canary || !strcmp(j->model[0], j->model[1])) continue;
        bool is_swapped = strcmp(j->model[0], j->model[1]) > 0;
        for (int turned = 1; turned >= 0; turned--) {
            key.len = 0;
            buf_printf(&key, "%s\n%d\n%s\n%s\n%d", j->id, j->turn, j->model[is_swapped], j->model[!is_swapped], is_swapped != turned);
            if (turned) is_found = json_object_getn(seen, key.data, key.len) != NULL;
            else json_object_setn_new_nocheck(seen, key.data, key.len, json_true());
        }
    }
    buf_release(&key);
    json_decref(seen);
    return is_found;
}

void audit_groups_make(struct audit_groups *out, const struct judgements *j)
{
    struct protocol_cache protocols = { .n = 0 };
    bool *is_old = superseded(j);
    *out = (struct audit_groups){ 0 };
    for (size_t i = 0; i < j->n; i++) {
        struct audit_group *g = group_of(out, &j->at[i]);
        if (is_old[i]) { g->asked_again++; continue; }
        if (g->n == g->cap) g->at = mem_grow(g->at, (g->cap = g->cap ? 2 * g->cap : 64) * sizeof *g->at);
        g->at[g->n++] = &j->at[i];
        if (isfinite(g->low)) continue;
        const struct judge_protocol *p = protocol_cached(&protocols, g->protocol);
        if (p) judge_protocol_range(p, &g->low, &g->high);
        else if (!j->at[i].error && j->at[i].opinion.n_scores) { g->low = j->low; g->high = j->high; }           /* a protocol of the user's */
    }
    for (size_t i = 0; i < out->n; i++) out->at[i].is_both_ways = out->at[i].is_pair && !out->at[i].is_people && shows_both_ways(&out->at[i]);
    protocol_cache_release(&protocols);
    mem_free(is_old);
}

void audit_groups_release(struct audit_groups *g)
{
    for (size_t i = 0; i < g->n; i++) mem_free(g->at[i].at);
    mem_free(g->at);
    *g = (struct audit_groups){ 0 };
}

/* ---- scores ----------------------------------------------------------------------------------------------------------------------------------------- */

static bool is_outside(const struct judgement *j, const struct audit_group *g)
{
    for (int i = 0; i < j->opinion.n_scores; i++)
        if (j->opinion.score[i] < g->low || j->opinion.score[i] > g->high) return true;
    return false;
}

static void count_score(json_t *histogram, const char *model, double score)
{
    char key[40];
    json_t *one = json_object_get(histogram, model);
    if (!one) json_object_set_new(histogram, model, one = json_object());
    snprintf(key, sizeof key, "%g", score);
    json_object_set_new(one, key, json_integer(json_integer_value(json_object_get(one, key)) + 1));
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of sorted scores: the most frequent value with its count, and the entropy of their distribution in bits. */
static void describe(json_t *out, const double *sorted, size_t n)
{
    double entropy = 0, mode = (double)NAN;
    size_t most = 0;
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i; end < n && !(sorted[end] > sorted[i]);) end++;
        double share = (double)(end - i) / (double)n;
        entropy -= share * log2(share);
        if (end - i > most) { most = end - i; mode = sorted[i]; }
    }
    json_put_real(out, "mode", mode);
    json_object_set_new(out, "mode_count", json_integer((json_int_t)most));
    json_put_real(out, "entropy", n ? entropy + 0.0 : (double)NAN);
}

/* What counts as an end of the scale: of 1 to 10 what the published measurements take, 3 and less or 9 and more; of other scales their two last values. The middle is the two values
 * (or the one) around the centre. */
static void shares(json_t *out, const struct audit_group *g, const double *x, size_t n)
{
    bool is_ten = g->low == 1 && g->high == 10;
    double low = is_ten ? 3 : g->low, high = is_ten ? 9 : g->high, centre = (g->low + g->high) / 2;
    size_t extreme = 0, middle = 0;
    for (size_t i = 0; i < n; i++) {
        extreme += x[i] <= low || x[i] >= high;
        middle += fabs(x[i] - centre) < 1;
    }
    bool is_known = n && isfinite(g->low);
    json_put_real(out, "extreme_share", is_known ? (double)extreme / (double)n : (double)NAN);
    json_put_real(out, "middle_share", is_known ? (double)middle / (double)n : (double)NAN);
}

void audit_scale(json_t *out, const struct audit_group *g)
{
    double *x = mem_alloc((2 * g->n + 1) * sizeof *x);
    size_t n = 0, calls = 0, failed = 0, outside = 0, marked = 0;
    json_t *histogram = json_object();
    for (size_t i = 0; i < g->n; i++) {
        const struct judgement *j = g->at[i];
        if (j->canary) continue;
        calls++;
        failed += j->error != NULL;
        outside += is_outside(j, g);
        marked += j->marks != 0;
        for (int side = 0; !j->error && side < j->opinion.n_scores; side++) {
            x[n++] = j->opinion.score[side];
            count_score(histogram, j->model[side] ? j->model[side] : "", j->opinion.score[side]);
        }
    }
    json_object_set_new(out, "calls", json_integer((json_int_t)calls));
    json_object_set_new(out, "ok", json_integer((json_int_t)(calls - failed)));
    json_object_set_new(out, "failed", json_integer((json_int_t)failed));
    json_object_set_new(out, "asked_again", json_integer((json_int_t)g->asked_again));
    json_object_set_new(out, "out_of_range", json_integer((json_int_t)outside));
    json_object_set_new(out, "marked", json_integer((json_int_t)marked));
    if (n) {
        json_object_set(out, "histogram", histogram);
        json_object_set_new(out, "range", json_pack("[o, o]", json_real_or_null(g->low), json_real_or_null(g->high)));
        json_object_set_new(out, "scores", json_integer((json_int_t)n));
        json_put_real(out, "mean", stats_mean(x, n));
        json_put_real(out, "sd", n > 1 ? stats_sd(x, n) : (double)NAN);
        json_put_real(out, "median", stats_quantile(x, n, 0.5));
        shares(out, g, x, n);
        qsort(x, n, sizeof *x, by_value);
        describe(out, x, n);
    }
    json_decref(histogram);
    mem_free(x);
}
