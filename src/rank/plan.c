/* plan.c - who sees what when. All draws come from the study's seed and stand for themselves, so that the same seed gives the same plan. */
#include "rank/rank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ORDER streams: the upper byte of a stream's number */
enum { STREAM_SHARE = 1, STREAM_LINE, STREAM_REPEAT, STREAM_PLACE, STREAM_ORDER, STREAM_CHOICE };

static uint64_t stream(int kind, uint64_t of) { return ((uint64_t)kind << 56) ^ of; }
static size_t below(uint64_t seed, uint64_t s, uint64_t i, size_t n) { return (size_t)(random_unit(seed, s, i) * (double)n); }

/* Fisher and Yates. */
static void shuffle(size_t *x, size_t n, uint64_t seed, uint64_t s)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = below(seed, s, i, i), old = x[i - 1];
        x[i - 1] = x[k];
        x[k] = old;
    }
}

void plan_share(bool *given, size_t items, size_t raters, size_t overlap, uint64_t seed)
{
    size_t k = overlap && overlap < raters ? overlap : raters;
    size_t *order = mem_alloc((items + 1) * sizeof *order), *load = mem_zero(raters + 1, sizeof *load);
    memset(given, 0, items * raters * sizeof *given);
    for (size_t i = 0; i < items; i++) order[i] = i;
    shuffle(order, items, seed, stream(STREAM_SHARE, 0));
    for (size_t i = 0; i < items; i++)
        for (size_t j = 0; j < k; j++) {
            size_t best = RANK_NONE;
            double best_draw = 0;
            for (size_t r = 0; r < raters; r++) {
                double draw = random_unit(seed, stream(STREAM_SHARE, 1 + order[i]), r);
                if (given[order[i] * raters + r]) continue;
                if (best == RANK_NONE || load[r] < load[best] || (load[r] == load[best] && draw < best_draw)) { best = r; best_draw = draw; }
            }
            given[order[i] * raters + best] = true;
            load[best]++;
        }
    mem_free(order);
    mem_free(load);
}

size_t plan_repeats(size_t items, double share)
{
    size_t n = (size_t)llround(share * (double)items);
    return share > 0 && !n && items > 1 ? 1 : n;
}

/* Puts `item` once more into the line, at least PLAN_GAP others behind its first place if there are so many. */
static void insert_repeat(struct plan_entry *line, size_t len, size_t item, uint64_t seed, uint64_t s, uint64_t i)
{
    size_t first = 0;
    while (line[first].item != item) first++;
    size_t low = first + 1 + PLAN_GAP < len ? first + 1 + PLAN_GAP : len, at = low + below(seed, s, i, len - low + 1);
    memmove(line + at + 1, line + at, (len - at) * sizeof *line);
    line[at] = (struct plan_entry){ item, true };
}

size_t plan_line(struct plan_entry *out, const size_t *items, size_t n, const size_t *gold, size_t n_gold, size_t repeats, uint64_t seed, uint64_t rater)
{
    size_t *all = mem_alloc((n + n_gold + 1) * sizeof *all), *again = mem_alloc((n + 1) * sizeof *again), len = 0;
    if (n) memcpy(all, items, n * sizeof *all);
    if (n_gold) memcpy(all + n, gold, n_gold * sizeof *all);
    shuffle(all, n + n_gold, seed, stream(STREAM_LINE, rater));
    for (size_t i = 0; i < n + n_gold; i++) out[len++] = (struct plan_entry){ all[i], false };
    /* What is shown again comes from the first two thirds, so that something lies between. */
    size_t early = 0;
    for (size_t i = 0; i < len; i++) {
        bool is_plain = false;
        for (size_t k = 0; k < n && !is_plain; k++) is_plain = items[k] == out[i].item;
        if (is_plain && (3 * i < 2 * len || early < repeats)) again[early++] = out[i].item;
    }
    shuffle(again, early, seed, stream(STREAM_REPEAT, rater));
    for (size_t i = 0; i < repeats && i < early; i++, len++) insert_repeat(out, len, again[i], seed, stream(STREAM_PLACE, rater), i);
    mem_free(all);
    mem_free(again);
    return len;
}

void plan_order(size_t *out, size_t n, const size_t *not, uint64_t seed, uint64_t of)
{
    for (size_t i = 0; i < n; i++) out[i] = i;
    shuffle(out, n, seed, stream(STREAM_ORDER, of));
    if (!not || n < 2 || memcmp(out, not, n * sizeof *out) != 0) return;
    size_t first = out[0];                                     /* turned by one place */
    memmove(out, out + 1, (n - 1) * sizeof *out);
    out[n - 1] = first;
}

void plan_choose(size_t *out, size_t shown, const size_t *models, size_t n, size_t *used, uint64_t seed, uint64_t item)
{
    bool *taken = mem_zero(n + 1, sizeof *taken);
    for (size_t k = 0; k < shown; k++) {
        size_t best = RANK_NONE;
        double best_draw = 0;
        for (size_t i = 0; i < n; i++) {
            double draw = random_unit(seed, stream(STREAM_CHOICE, item), models[i]);
            if (taken[i]) continue;
            if (best == RANK_NONE || used[models[i]] < used[models[best]] || (used[models[i]] == used[models[best]] && draw < best_draw)) { best = i; best_draw = draw; }
        }
        taken[best] = true;
        out[k] = models[best];
    }
    for (size_t k = 0; k < shown; k++) used[out[k]]++;
    mem_free(taken);
}
