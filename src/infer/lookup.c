/* lookup.c - guesses what comes next from what was there before (prompt lookup decoding, Saxena 2023; Yang et al. 2023,
 * "Inference with reference"): where the last tokens stand earlier in the text, the tokens behind them may follow again,
 * as in edits of code. A pass that computes several guesses costs less than as many passes, so guesses that come true
 * save time and wrong ones cost some. How often guesses of each kind came true, whether they were computed or not, and
 * how long passes took decides how many are computed; what is generated never depends on it. */
#include "infer/infer.h"

#include <string.h>

enum { MATCH_MIN = 2, MATCH_MAX = 16 };
static const double RATE = 0.08, GAIN_MIN = 1.06;        /* of the running means; speed-up below which nothing is guessed */

void lookup_init(struct lookup *l)
{
    static const double usual[LOOKUP_KINDS] = { 0.2, 0.35, 0.6, 0.85 };
    *l = (struct lookup){ 0 };
    for (size_t i = 0; i < LOOKUP_KINDS; i++) l->accepted[i] = usual[i];
}

/* By the length of the match. */
static size_t kind_of(size_t match) { return match < 3 ? 0 : match < 4 ? 1 : match < 8 ? 2 : 3; }

/* Length of the match that ends before `at`: history[at - k] = history[n - k] for k = 1 .. */
static size_t match_length(const int32_t *history, size_t n, size_t at)
{
    size_t k = 0;
    while (k < MATCH_MAX && k < at && history[at - 1 - k] == history[n - 1 - k]) k++;
    return k;
}

void lookup_find(struct lookup *l, const int32_t *history, size_t n, size_t most)
{
    size_t best = MATCH_MIN - 1, place = 0;
    l->n = l->seen = 0;
    for (size_t at = n - 1; n && at > 0 && best < MATCH_MAX; at--) {
        if (history[at - 1] != history[n - 1]) continue;
        size_t k = match_length(history, n, at);
        if (k > best) { best = k; place = at; }
    }
    if (!place) return;
    l->kind = kind_of(best);
    l->n = n - place < most ? n - place : most;
    if (l->n > LOOKUP_MAX) l->n = LOOKUP_MAX;
    memcpy(l->guess, history + place, l->n * sizeof *l->guess);
}

void lookup_see(struct lookup *l, int32_t id)
{
    if (l->seen >= l->n) return;
    bool came = l->guess[l->seen] == id;
    double *rate = &l->accepted[l->kind];
    *rate += RATE * ((came ? 1 : 0) - *rate);
    l->seen = came ? l->seen + 1 : l->n;                  /* behind a wrong guess the others mean nothing */
}

void lookup_time(struct lookup *l, size_t rows, double seconds)
{
    if (rows > LOOKUP_MAX + 1) return;
    double *mean = &l->seconds[rows];
    *mean = *mean > 0 ? *mean + 0.2 * (seconds - *mean) : seconds;
}

/* Time of a pass over `rows` rows, in passes over one. Until it was measured: memory bounds few rows, arithmetic many. */
static double cost(const struct lookup *l, size_t rows)
{
    if (l->seconds[rows] > 0 && l->seconds[1] > 0) return l->seconds[rows] / l->seconds[1];
    double few = 1 + 0.15 * (double)(rows - 1), many = 0.36 * (double)rows;
    return few > many ? few : many;
}

size_t lookup_worth(const struct lookup *l)
{
    size_t best = 0;
    double most = GAIN_MIN, tokens = 1, likely = 1;
    for (size_t m = 1; m <= l->n; m++) {
        likely *= l->accepted[l->kind];
        tokens += likely;
        double gain = tokens / cost(l, m + 1);
        if (gain > most) { most = gain; best = m; }
    }
    return best;
}
