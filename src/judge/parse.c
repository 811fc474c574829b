/* parse.c - what a judge said. Texts of models are anything: every form takes what its row says and names what it found otherwise.
 *
 * Differences from the programs whose protocols these are: infinite and unreadably large numbers are no scores (Python's float takes inf and nan); of several
 * verdicts [[A]] .. [[C]] the last counts, since judges name the others while they weigh (FastChat looks for [[A]] first, anywhere). */
#include "judge_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 64 };
static const double score_max = 1e9;                    /* above: no score of any scale, but a year's or an identifier's digits */

struct text { const char *at; size_t len; };

/* ---- numbers -------------------------------------------------------------------------------------------------------------------------------------- */

/* All of text[0..len) as a decimal number: sign, digits, point, exponent. */
static bool number_of(double *out, const char *text, size_t len)
{
    char copy[NUMBER_MAX], *end;
    size_t digits = 0;
    if (!len || len >= sizeof copy) return false;
    for (size_t i = 0; i < len; i++) {
        if (!text[i] || !strchr("0123456789.+-eE", text[i])) return false;
        digits += text[i] >= '0' && text[i] <= '9';
        copy[i] = text[i];
    }
    copy[len] = 0;
    *out = digits ? strtod(copy, &end) : (double)NAN;
    return digits && !*end;
}

/* Digits, or digits and a point with digits or none behind it: what stands in brackets. Length, 0: none. */
static size_t plain_number(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && text[n] >= '0' && text[n] <= '9') n++;
    if (!n) return 0;
    if (n < len && text[n] == '.')
        for (n++; n < len && text[n] >= '0' && text[n] <= '9';) n++;
    return n;
}

static sc_status check_score(double x, const char *digits, size_t len, const struct judge_protocol *p, sc_error *err)
{
    char quoted[60];
    error_quote(quoted, sizeof quoted, digits, len);
    if (!isfinite(x) || fabs(x) > score_max) return FAIL(err, SC_E_FORMAT, "the score %s is no number that a scale has, expected %g to %g", quoted, p->low, p->high);
    if (p->is_strict && (x < p->low || x > p->high)) return FAIL(err, SC_E_FORMAT, "the score %s is outside the range, expected %g to %g", quoted, p->low, p->high);
    return SC_OK;
}

static enum judge_winner by_scores(double a, double b, double tie)
{
    return fabs(a - b) <= tie ? WINNER_TIE : a > b ? WINNER_A : WINNER_B;
}

/* ---- forms ---------------------------------------------------------------------------------------------------------------------------------------------- */

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == ',' || c == '\r' || c == '\f' || c == '\v'; }

static sc_status parse_first_line(struct judge_opinion *out, const struct judge_protocol *p, struct text t, sc_error *err)
{
    struct text part[2] = { { 0 } };
    double score[2];
    char quoted[100];
    const char *newline = memchr(t.at, '\n', t.len);
    size_t len = newline ? (size_t)(newline - t.at) : t.len, fields = 0;
    for (size_t i = 0; i < len;) {
        while (i < len && is_blank(t.at[i])) i++;
        size_t begin = i;
        while (i < len && !is_blank(t.at[i])) i++;
        if (i == begin) continue;
        if (fields < 2) part[fields] = (struct text){ t.at + begin, i - begin };
        fields++;
    }
    bool are_numbers = fields == 2 && number_of(&score[0], part[0].at, part[0].len) && number_of(&score[1], part[1].at, part[1].len);
    if (!are_numbers && len) return FAIL(err, SC_E_FORMAT, "the first line is \"%s\", expected two scores from %g to %g and nothing else, such as \"%g %g\"", error_quote(quoted, sizeof quoted, t.at, len), p->low, p->high, p->high - 1, p->low + 2);
    if (!are_numbers) return FAIL(err, SC_E_FORMAT, "the first line is empty, expected two scores from %g to %g", p->low, p->high);
    out->n_scores = 2;
    for (int i = 0; i < 2; i++) out->score[i] = score[i];
    for (int i = 0; i < 2; i++) TRY(check_score(score[i], part[i].at, part[i].len, p, err));
    out->winner = by_scores(score[0], score[1], 0);
    return SC_OK;
}

/* The first number in so many brackets. */
static bool find_rating(struct text *out, struct text t, size_t brackets)
{
    for (size_t i = 0; i + 2 * brackets < t.len; i++) {
        if (t.at[i] != '[' || (brackets == 2 && t.at[i + 1] != '[')) continue;
        size_t n = plain_number(t.at + i + brackets, t.len - i - brackets), end = i + brackets + n;
        if (!n || end + brackets > t.len || t.at[end] != ']' || (brackets == 2 && t.at[end + 1] != ']')) continue;
        *out = (struct text){ t.at + i + brackets, n };
        return true;
    }
    return false;
}

/* What a text ends with, for messages: verdicts are expected there. */
static const char *ending(char *out, size_t out_bytes, struct text t)
{
    size_t shown = t.len < 40 ? t.len : 40;
    while (shown && shown < t.len && (t.at[t.len - shown] & 0xC0) == 0x80) shown--;
    return error_quote(out, out_bytes, t.at + t.len - shown, shown);
}

static sc_status no_verdict(struct text t, const char *expected, sc_error *err)
{
    char quoted[180];
    if (!t.len) return FAIL(err, SC_E_FORMAT, "the text is empty, expected %s", expected);
    return FAIL(err, SC_E_FORMAT, "there is no verdict in the text, which ends with \"%s\"; expected %s", ending(quoted, sizeof quoted, t), expected);
}

static sc_status parse_rating(struct judge_opinion *out, const struct judge_protocol *p, struct text t, sc_error *err)
{
    struct text digits;
    if (!find_rating(&digits, t, 2) && !find_rating(&digits, t, 1)) return no_verdict(t, "a rating such as [[7]]", err);
    if (!number_of(&out->score[0], digits.at, digits.len)) out->score[0] = HUGE_VAL;       /* too many digits */
    out->n_scores = isfinite(out->score[0]) ? 1 : 0;
    return check_score(out->score[0], digits.at, digits.len, p, err);
}

static sc_status parse_letter(struct judge_opinion *out, struct text t, sc_error *err)
{
    for (size_t i = t.len; i-- > 0;) {
        if (t.len - i < 5 || memcmp(t.at + i, "[[", 2) != 0 || memcmp(t.at + i + 3, "]]", 2) != 0) continue;
        char c = t.at[i + 2];
        if (c < 'A' || c > 'C') continue;
        out->winner = c == 'A' ? WINNER_A : c == 'B' ? WINNER_B : WINNER_TIE;
        return SC_OK;
    }
    return no_verdict(t, "[[A]], [[B]] or [[C]]", err);
}

/* FastChat's two scores in one pair of brackets: closer than 0.1 is a tie. */
static sc_status parse_ratings(struct judge_opinion *out, const struct judge_protocol *p, struct text t, sc_error *err)
{
    for (size_t i = 0; i + 6 < t.len; i++) {
        if (memcmp(t.at + i, "[[", 2) != 0) continue;
        const char *a = t.at + i + 2;
        size_t left = t.len - i - 2, n = plain_number(a, left), at = n + 1;
        if (!n || at >= left || a[n] != ',') continue;
        while (at < left && a[at] == ' ') at++;
        size_t m = plain_number(a + at, left - at);
        if (!m || at + m + 2 > left || memcmp(a + at + m, "]]", 2) != 0) continue;
        if (!number_of(&out->score[0], a, n)) out->score[0] = HUGE_VAL;
        if (!number_of(&out->score[1], a + at, m)) out->score[1] = HUGE_VAL;
        out->n_scores = isfinite(out->score[0]) && isfinite(out->score[1]) ? 2 : 0;
        TRY(check_score(out->score[0], a, n, p, err));
        TRY(check_score(out->score[1], a + at, m, p, err));
        out->winner = by_scores(out->score[0], out->score[1], 0.1);
        return SC_OK;
    }
    return no_verdict(t, "two ratings such as [[7,5]]", err);
}

/* ---- rankings: {'model': 'model_1', 'rank': 1}, as Python or JSON writes it ------------------------------------------------------------------------------- */

static const char *find_text(struct text t, const char *what)
{
    return t.len ? memmem(t.at, t.len, what, strlen(what)) : NULL;
}

/* The number behind the word `rank` in an object; 0: none. */
static int rank_in(struct text t)
{
    const char *at = find_text(t, "rank");
    if (!at) return 0;
    for (at += 4; at < t.at + t.len && (strchr("'\": \t\r\n", *at) && *at); at++) {}
    bool is_alone = at + 1 >= t.at + t.len || at[1] < '0' || at[1] > '9';
    return at < t.at + t.len && (*at == '1' || *at == '2') && is_alone ? *at - '0' : 0;
}

static sc_status parse_ranking(struct judge_opinion *out, struct text t, sc_error *err)
{
    int rank[2] = { 0 };
    for (size_t i = 0; i < t.len; i++) {
        if (t.at[i] != '{') continue;
        const char *end = memchr(t.at + i, '}', t.len - i);
        if (!end) break;
        struct text object = { t.at + i, (size_t)(end - t.at) - i };
        int which = find_text(object, "model_1") ? 0 : find_text(object, "model_2") ? 1 : -1, found = rank_in(object);
        if (which < 0 || !found) continue;
        if (rank[which] && rank[which] != found) return FAIL(err, SC_E_FORMAT, "model_%d has the ranks %d and %d, expected one", which + 1, rank[which], found);
        rank[which] = found;
    }
    if (!rank[0] && !rank[1]) return no_verdict(t, "[{'model': 'model_1', 'rank': 1}, {'model': 'model_2', 'rank': 2}]", err);
    if (rank[0] == rank[1]) return FAIL(err, SC_E_FORMAT, "both models have rank %d, expected 1 and 2", rank[0]);
    int first = rank[0] ? rank[0] : 3 - rank[1];
    out->winner = first == 1 ? WINNER_A : WINNER_B;
    return SC_OK;
}

/* ---- labels: [[A>>B]] ------------------------------------------------------------------------------------------------------------------------------------------ */

static const struct { const char *text; enum judge_winner winner; int strength; } labels[] = {
    { "A>>B", WINNER_A, 2 }, { "A>B", WINNER_A, 1 }, { "A=B", WINNER_TIE, 1 }, { "B>A", WINNER_B, 1 }, { "B>>A", WINNER_B, 2 },
    { "B<<A", WINNER_A, 2 }, { "B<A", WINNER_A, 1 }, { "B=A", WINNER_TIE, 1 }, { "A<B", WINNER_B, 1 }, { "A<<B", WINNER_B, 2 },
};

static bool find_label(struct judge_opinion *out, struct text t, size_t brackets)
{
    for (size_t i = t.len; i-- > 0;) {
        if (t.at[i] != '[' || (brackets == 2 && (i + 1 >= t.len || t.at[i + 1] != '['))) continue;
        for (size_t k = 0; k < sizeof labels / sizeof *labels; k++) {
            size_t n = strlen(labels[k].text);
            if (i + n + 2 * brackets > t.len || strncasecmp(t.at + i + brackets, labels[k].text, n) != 0 || memcmp(t.at + i + brackets + n, "]]", brackets) != 0) continue;
            out->winner = labels[k].winner;
            out->strength = labels[k].strength;
            return true;
        }
    }
    return false;
}

static sc_status parse_label(struct judge_opinion *out, struct text t, sc_error *err)
{
    return find_label(out, t, 2) || find_label(out, t, 1) ? SC_OK : no_verdict(t, "[[A>>B]], [[A>B]], [[A=B]], [[B>A]] or [[B>>A]]", err);
}

/* ---- one token: "m" the first answer, "M" the second ------------------------------------------------------------------------------------------------------------ */

static double mass_of(const json_t *logprobs, const char *token)
{
    const char *key;
    json_t *v;
    double sum = 0;
    json_object_foreach((json_t *)(uintptr_t)logprobs, key, v) {
        const char *bare = key + strspn(key, " \n\t");
        double x = json_number_value(v);
        if (!strcmp(bare, token) && json_is_number(v) && x <= 0) sum += exp(x);
    }
    return sum;
}

static sc_status parse_token(struct judge_opinion *out, struct text t, const json_t *logprobs, sc_error *err)
{
    while (t.len && strchr(" \t\r\n\"'", *t.at) && *t.at) { t.at++; t.len--; }
    while (t.len && strchr(" \t\r\n\"'.", t.at[t.len - 1]) && t.at[t.len - 1]) t.len--;
    double m = logprobs ? mass_of(logprobs, "m") : 0, M = logprobs ? mass_of(logprobs, "M") : 0;
    if (logprobs && !(m + M > 0)) return FAIL(err, SC_E_FORMAT, "neither \"m\" nor \"M\" is among the likeliest first tokens");
    if (!logprobs && (t.len != 1 || (*t.at != 'm' && *t.at != 'M'))) return no_verdict(t, "the one token m or M", err);
    out->share = logprobs ? m / (m + M) : *t.at == 'm' ? 1 : 0;
    out->winner = out->share > 0.5 ? WINNER_A : out->share < 0.5 ? WINNER_B : WINNER_TIE;
    return SC_OK;
}

sc_status judge_parse(struct judge_opinion *out, const struct judge_protocol *p, const char *text, size_t len, const json_t *logprobs, sc_error *err)
{
    struct text t = { text, len };
    *out = (struct judge_opinion){ .strength = 1, .share = (double)NAN };
    switch (p->form) {
    case JUDGE_FIRST_LINE: return parse_first_line(out, p, t, err);
    case JUDGE_RATING: return parse_rating(out, p, t, err);
    case JUDGE_LETTER: return parse_letter(out, t, err);
    case JUDGE_RATINGS: return parse_ratings(out, p, t, err);
    case JUDGE_RANKING: return parse_ranking(out, t, err);
    case JUDGE_LABEL: return parse_label(out, t, err);
    default: return parse_token(out, t, logprobs, err);
    }
}
