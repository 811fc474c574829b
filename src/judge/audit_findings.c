/* audit_findings.c - what the measurements say about a judge: findings with names, and whether it is to be trusted at all.
 *
 * A finding is a refusal ("refuses") or a warning. One refusal makes a judge uncalibrated: its win rates are withheld. The thresholds, and why these:
 *
 *   unparseable      more than 10 % of calls without a verdict refuse: which calls fail is no accident, so a tenth left out can turn a result. Above 2 % a warning.
 *   out-of-range     more than 5 % refuse, any at all is a warning: the judge does not use the scale that it was given.
 *   always-first     of the decided verdicts of pairs shown both ways round, the first place's share, by its 95 % interval over pairs: wholly above 0.75 refuses (place outweighs
 *   always-second    the answers three to one), not containing 0.5 is the warning prefers-first. A judge without favour has 0.5. Qwen2.5-7B on mt-bench-judged: 0.88, refused; 32B: 0.60, a warning.
 *   inconsistent     a pair shown both ways round gets the same verdict: below half of them refuses, and so does an agreement beyond chance below 0.2 ("random" where the interval of
 *                    the share contains what chance gives), as kappa below 0.2 is called slight at most. Below 0.75 is a warning. GPT-4 of 2023 kept 65 %; 7B: 20.8 %, 32B: 69.0 %.
 *   always-longer    the longer answer wins at least 90 % of decided verdicts (from 30 on), and at least 75 % where it is the answer of the model that wins less often (from 5 on): refuses. Without
 *                    the second a better model that writes more would make any judge of worth look so. By its interval more than 64 %, what people did on AlpacaEval, is a warning.
 *   middle-only      at least 80 % of scores on the two middle values refuse; same-score: 90 % on one value. An sd below an eighth of the scale's width is the warning narrow.
 *   contradictory    words against verdict in more than 10 % of what can be read (from 20 on) refuse, more than 3 % are a warning. Published judges: at most 2.2 %.
 *   fails-canaries   fewer than 80 % of mismatched and empty answers seen (from 5 on) refuse; fewer than half of truncated or identical ones are a warning.
 *   few              fewer than 30 calls: most tests have their own least number, below which they say nothing, and none refuses on fewer than 10 calls, unless no call at all gave a verdict.
 *   random           under protocols of one answer: with every other judge of the same answers (from 50 on) no rank correlation at p < 0.01; refuses where there are two others or more. No repeats, swaps or canaries at all: unchecked. */
#include "judge_internal.h"

#include <math.h>
#include <string.h>

enum { CALLS_LEAST = 10, PAIRS_LEAST = 10, VERDICTS_LEAST = 20, LENGTHS_LEAST = 30, SCORES_LEAST = 20, CALLS_FEW = 30, WORDS_LEAST = 20, CANARIES_LEAST = 5, WEAKER_LEAST = 5, SHARED_LEAST = 50 };

struct findings { json_t *list; bool refuses; };

static void finding(struct findings *f, const char *name, bool refuses, const char *format, ...) __attribute__((format(printf, 4, 5)));
static void finding(struct findings *f, const char *name, bool refuses, const char *format, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    f->refuses = f->refuses || refuses;
    json_array_append_new(f->list, json_pack("{s:s, s:b, s:s}", "name", name, "refuses", refuses, "sentence", text));
}

static double real(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}
static long long whole(const json_t *o, const char *key) { return (long long)json_integer_value(json_object_get(o, key)); }

/* ---- one by one ---------------------------------------------------------------------------------------------------------------------------------------- */

static void of_calls(struct findings *f, const json_t *m)
{
    long long calls = whole(m, "calls"), failed = whole(m, "failed"), outside = whole(m, "out_of_range"), marked = whole(m, "marked");
    double share = calls ? (double)failed / (double)calls : 0, outside_share = calls ? (double)outside / (double)calls : 0;
    if (share > 0.02) finding(f, "unparseable", share > 0.1 && (calls >= CALLS_LEAST || failed == calls), "%lld of %lld calls (%.1f %%) gave no verdict", failed, calls, 100 * share);
    if (outside) finding(f, "out-of-range", outside_share > 0.05 && calls >= CALLS_LEAST, "%lld of %lld calls (%.1f %%) gave a score outside the range %g to %g", outside, calls, 100 * outside_share, json_number_value(json_array_get(json_object_get(m, "range"), 0)), json_number_value(json_array_get(json_object_get(m, "range"), 1)));
    if (marked) finding(f, "marked-answers", false, "%lld of %lld calls were about an answer that holds words of the protocol itself, such as a verdict; read them before they count", marked, calls);
}

static void of_places(struct findings *f, const json_t *m)
{
    const json_t *slot = json_object_get(m, "slot");
    double share = real(slot, "share"), low = real(slot, "low"), high = real(slot, "high");
    long long first = whole(slot, "first"), second = whole(slot, "second"), verdicts = whole(slot, "verdicts");
    if (!json_is_true(json_object_get(slot, "both_orders")) || first + second < VERDICTS_LEAST) return;
    if (low > 0.75) finding(f, "always-first", true, "the first place won %lld of %lld verdicts, %.1f %% of those that were no tie (95 %% interval %.1f to %.1f), whatever stood there", first, verdicts, 100 * share, 100 * low, 100 * high);
    else if (high < 0.25) finding(f, "always-second", true, "the second place won %lld of %lld verdicts, %.1f %% of those that were no tie (95 %% interval %.1f to %.1f), whatever stood there", second, verdicts, 100 * (1 - share), 100 * (1 - high), 100 * (1 - low));
    else if (low > 0.5) finding(f, "prefers-first", false, "the first place won %.1f %% of verdicts that were no tie (95 %% interval %.1f to %.1f; %lld of %lld verdicts), a judge without favour gives it 50", 100 * share, 100 * low, 100 * high, first, verdicts);
    else if (high < 0.5) finding(f, "prefers-second", false, "the second place won %.1f %% of verdicts that were no tie (95 %% interval %.1f to %.1f; %lld of %lld verdicts), a judge without favour gives it 50", 100 * (1 - share), 100 * (1 - high), 100 * (1 - low), second, verdicts);
}

static void of_swaps(struct findings *f, const json_t *m, bool is_by_place)
{
    const json_t *swap = json_object_get(m, "swap");
    double share = real(swap, "share"), beyond = real(swap, "beyond_chance"), chance = real(swap, "chance"), low = real(swap, "low"), high = real(swap, "high");
    long long pairs = whole(swap, "pairs"), kept = whole(swap, "consistent");
    if (pairs < PAIRS_LEAST) return;
    if (beyond < 0.2 && chance >= low && chance <= high && !is_by_place) finding(f, "random", true, "shown the other way round, the same answer won in %lld of %lld pairs (%.1f %%), which is what chance gives (%.1f %%)", kept, pairs, 100 * share, 100 * chance);
    else if (share < 0.5 || beyond < 0.2) finding(f, "inconsistent", true, "shown the other way round, the same answer won in %lld of %lld pairs (%.1f %%; chance gives %.1f %%)", kept, pairs, 100 * share, 100 * chance);
    else if (share < 0.75) finding(f, "inconsistent", false, "shown the other way round, the same answer won in %lld of %lld pairs (%.1f %%; chance gives %.1f %%); the others count as ties", kept, pairs, 100 * share, 100 * chance);
}

static void of_lengths(struct findings *f, const json_t *m)
{
    const json_t *length = json_object_get(m, "length");
    double share = real(length, "longer_share"), low = real(length, "longer_low");
    long long longer = whole(length, "longer"), all = longer + whole(length, "shorter"), weaker = whole(length, "weaker_longer"), weaker_won = whole(length, "weaker_longer_won");
    bool is_blind = weaker >= WEAKER_LEAST && 4 * weaker_won >= 3 * weaker;
    if (all < LENGTHS_LEAST) return;
    if (share >= 0.9 && is_blind) finding(f, "always-longer", true, "the longer answer won %lld of %lld verdicts that were no tie (%.1f %%), and %lld of %lld where it was of the model that wins less often", longer, all, 100 * share, weaker_won, weaker);
    else if (low > 0.64) finding(f, "prefers-longer", false, "the longer answer won %lld of %lld verdicts that were no tie (%.1f %%; people on AlpacaEval chose it in 64 %%), and %lld of %lld where it was of the model that wins less often", longer, all, 100 * share, weaker_won, weaker);
}

static void of_scale(struct findings *f, const json_t *m, const struct audit_group *g)
{
    long long n = whole(m, "scores"), mode = whole(m, "mode_count");
    double middle = real(m, "middle_share"), sd = real(m, "sd");
    if (n < SCORES_LEAST) return;
    if ((double)mode >= 0.9 * (double)n) finding(f, "same-score", true, "%lld of %lld scores are %g: the judge does not tell answers apart", mode, n, real(m, "mode"));
    else if (middle >= 0.8) finding(f, "middle-only", true, "%.1f %% of %lld scores lie within 1 of the middle of the scale, %g to %g", 100 * middle, n, g->low, g->high);
    else if (sd < (g->high - g->low) / 8) finding(f, "narrow", false, "scores differ little: their standard deviation is %.2f on a scale of %g to %g, %lld of %lld are %g", sd, g->low, g->high, mode, n, real(m, "mode"));
}

static void of_words(struct findings *f, const json_t *m)
{
    const json_t *c = json_object_get(m, "contradictions");
    double share = real(c, "share");
    if (whole(c, "of") < WORDS_LEAST || !(share > 0.03)) return;
    finding(f, "contradictory", share > 0.1, "in %lld of %lld explanations (%.1f %%) the words call one answer better and the verdict the other", whole(c, "n"), whole(c, "of"), 100 * share);
}

static void of_canaries(struct findings *f, const json_t *m)
{
    const json_t *all = json_object_get(m, "canaries");
    static const char *const plain[] = { "mismatched", "empty" }, *const fine[] = { "truncated", "identical" };
    long long n = 0, caught = 0;
    for (size_t i = 0; i < 2; i++) {
        n += whole(json_object_get(all, plain[i]), "n");
        caught += whole(json_object_get(all, plain[i]), "caught");
    }
    if (n >= CANARIES_LEAST && (double)caught < 0.8 * (double)n) finding(f, "fails-canaries", true, "of %lld answers that were empty or belonged to another question it saw %lld; it does not read what it judges", n, caught);
    for (size_t i = 0; i < 2; i++) {
        long long of = whole(json_object_get(all, fine[i]), "n"), seen = whole(json_object_get(all, fine[i]), "caught");
        if (of >= CANARIES_LEAST && 2 * seen < of) finding(f, i ? "misses-identical" : "misses-truncated", false, "of %lld %s it saw %lld", of, i ? "pairs of the same answer twice" : "answers that end in the middle", seen);
    }
}

static void of_others(struct findings *f, const struct audit_group *g, const json_t *agreement)
{
    const json_t *row;
    size_t i, others = 0, related = 0;
    double most = -1;
    json_array_foreach(agreement, i, row) {
        const char *a = json_string_value(json_object_get(row, "a")), *b = json_string_value(json_object_get(row, "b")), *protocol = json_string_value(json_object_get(row, "protocol"));
        if (strcmp(protocol, g->protocol) != 0 || (strcmp(a, g->judge) != 0 && strcmp(b, g->judge) != 0) || !json_object_get(row, "spearman") || whole(row, "n") < SHARED_LEAST) continue;
        if (!isfinite(real(row, "spearman"))) continue;             /* the other gives all the same */
        others++;
        most = fmax(most, real(row, "spearman"));
        related += real(row, "spearman_p") < 0.01 && real(row, "spearman") > 0;
    }
    /* Of two that differ nobody can say which is the noise. */
    if (others && !related) finding(f, "random", others > 1, "its scores follow those of none of %zu other judge%s of the same answers: the highest rank correlation is %.3f", others, others > 1 ? "s" : "", most);
}

static bool has_finding(const struct findings *f, const char *beginning)
{
    const json_t *one;
    size_t i;
    json_array_foreach(f->list, i, one)
        if (!strncmp(json_string_value(json_object_get(one, "name")), beginning, strlen(beginning))) return true;
    return false;
}

/* ---- all ----------------------------------------------------------------------------------------------------------------------------------------------------- */

void audit_findings(json_t *out, const struct audit_group *g, const json_t *agreement)
{
    struct findings f = { .list = json_array() };
    if (!g->is_people) {
        of_calls(&f, out);
        of_places(&f, out);
        of_swaps(&f, out, has_finding(&f, "always-"));
        of_lengths(&f, out);
        of_scale(&f, out, g);
        of_words(&f, out);
        of_canaries(&f, out);
        if (!g->is_pair) of_others(&f, g, agreement);
        bool is_checked = json_object_get(out, "swap") || json_object_get(out, "canaries") || json_object_get(out, "repeats");
        if (g->is_pair && !json_object_get(out, "swap")) finding(&f, "one-order", false, "each pair was shown in one order alone, so what the place did cannot be told from what the answers did");
        if (whole(out, "calls") > 0 && whole(out, "calls") < CALLS_FEW) finding(&f, "few", false, "there are %lld calls: too few for most of these tests to find anything", whole(out, "calls"));
        if (!is_checked) finding(&f, "unchecked", false, "there are no canaries, no pairs shown both ways round and no call made twice: nothing here puts the judge to the test");
    }
    json_object_set_new(out, "findings", f.list);
    json_object_set_new(out, "is_calibrated", json_boolean(!f.refuses));
}
