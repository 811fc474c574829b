/* report_summary.c - a run in one page of Markdown: who is better, whether each judge is to be trusted, agreement, settings. */
#include "report.h"

#include "eval/scores.h"

#include <string.h>

enum { LANGUAGE_PROMPTS = 5 };                    /* rows of languages with fewer say little */

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static void cell_text(struct sheet *s, const char *text) { sheet_cell(s, false, text, strlen(text)); }

/* A number, a share in percent where scale is 100; a dash where there is none. */
static void cell_number(struct sheet *s, const json_t *o, const char *key, double scale, int digits)
{
    const json_t *v = json_object_get(o, key);
    if (json_is_number(v)) sheet_cellf(s, true, "%.*f%s", digits, scale * json_number_value(v), scale > 1 ? " %" : "");
    else sheet_cell(s, true, "\xE2\x80\x93", 3);
}

static void cell_range(struct sheet *s, const json_t *o, const char *low, const char *high, double scale, int digits)
{
    const json_t *a = json_object_get(o, low), *b = json_object_get(o, high);
    if (json_is_number(a) && json_is_number(b)) sheet_cellf(s, true, "%.*f to %.*f%s", digits, scale * json_number_value(a), digits, scale * json_number_value(b), scale > 1 ? " %" : "");
    else sheet_cell(s, true, "\xE2\x80\x93", 3);
}

static const char *judge_of(const json_t *row) { return *text_of(row, "judge") ? text_of(row, "judge") : "all judges"; }

static bool is_overall(const json_t *p)
{
    const char *by = text_of(p, "by"), *slice = text_of(p, "slice");
    return *by ? !strcmp(by, "all") : !*slice || !strcmp(slice, "all");
}

static void put_pair(struct sheet *s, const json_t *p, bool has_slice)
{
    cell_text(s, judge_of(p));
    cell_text(s, text_of(p, "tuned"));
    cell_text(s, text_of(p, "base"));
    if (has_slice) cell_text(s, text_of(p, "slice"));
    cell_number(s, p, "prompts", 1, 0);
    cell_number(s, p, "win", 1, 0);
    cell_number(s, p, "tie", 1, 0);
    cell_number(s, p, "loss", 1, 0);
    cell_number(s, p, "win_rate", 100, 1);
    cell_range(s, p, "low", "high", 100, 1);
    if (!has_slice) cell_number(s, p, "length_controlled", 100, 1);
    cell_number(s, p, "score_difference", 1, 2);
    cell_range(s, p, "score_low", "score_high", 1, 2);
    sheet_row_end(s);
}

static void put_pairs(struct sheet *s, const json_t *pairs)
{
    static const char *const columns[] = { "judge", "tuned", "base", ">prompts", ">won", ">tied", ">lost", ">win rate", ">95 % interval", ">equal length", ">score difference", ">95 % interval" };
    const json_t *p;
    size_t i;
    if (!json_array_size(pairs)) {
        sheet_text(s, "No two models were compared with each other.");
        return;
    }
    sheet_text(s, "A tie counts half. Verdicts that turned round with the order are ties, where the protocol gives no probabilities or strengths.");
    sheet_table(s, columns, sizeof columns / sizeof *columns);
    json_array_foreach(pairs, i, p)
        if (is_overall(p) && !*text_of(p, "withheld")) put_pair(s, p, false);
    sheet_table_end(s);
    json_array_foreach(pairs, i, p)
        if (is_overall(p) && *text_of(p, "withheld")) sheet_text(s, "%s, %s against %s: no verdict: %s", judge_of(p), text_of(p, "tuned"), text_of(p, "base"), text_of(p, "withheld"));
}

static bool is_slice(const json_t *p)
{
    bool is_small = !strcmp(text_of(p, "by"), "language") && json_number_value(json_object_get(p, "prompts")) < LANGUAGE_PROMPTS;
    return !is_overall(p) && !is_small && !*text_of(p, "withheld");
}

static void put_slices(struct sheet *s, const json_t *pairs)
{
    static const char *const columns[] = { "judge", "tuned", "base", "slice", ">prompts", ">won", ">tied", ">lost", ">win rate", ">95 % interval", ">score difference", ">95 % interval" };
    const json_t *p;
    size_t i, n = 0;
    json_array_foreach(pairs, i, p) n += is_slice(p);
    if (!n) return;
    sheet_heading(s, "Slices and languages");
    sheet_table(s, columns, sizeof columns / sizeof *columns);
    json_array_foreach(pairs, i, p)
        if (is_slice(p)) put_pair(s, p, true);
    sheet_table_end(s);
}

static void put_audit(struct sheet *s, const json_t *judges)
{
    static const char *const columns[] = { "judge", "protocol", ">calls", ">no verdict", ">mean", ">sd", ">at the ends", ">in the middle", ">same verdict on swap", ">first wins", "to be trusted" };
    const json_t *j, *finding;
    size_t i, k;
    sheet_table(s, columns, sizeof columns / sizeof *columns);
    json_array_foreach(judges, i, j) {
        const json_t *calibrated = json_object_get(j, "is_calibrated");
        cell_text(s, judge_of(j));
        cell_text(s, text_of(j, "protocol"));
        cell_number(s, j, "calls", 1, 0);
        cell_number(s, j, "failed", 1, 0);
        cell_number(s, j, "mean", 1, 2);
        cell_number(s, j, "sd", 1, 2);
        cell_number(s, j, "extreme_share", 100, 1);
        cell_number(s, j, "middle_share", 100, 1);
        cell_number(s, json_object_get(j, "swap"), "share", 100, 1);
        cell_number(s, json_object_get(j, "slot"), "share", 100, 1);
        cell_text(s, !calibrated ? "not known" : json_is_true(calibrated) ? "yes" : "no");
        sheet_row_end(s);
    }
    sheet_table_end(s);
    json_array_foreach(judges, i, j) {
        if (json_array_size(json_object_get(j, "findings"))) sheet_part(s, "%s", judge_of(j));
        json_array_foreach(json_object_get(j, "findings"), k, finding) sheet_text(s, "%s: %s", text_of(finding, "name"), text_of(finding, "sentence"));
    }
}

static void put_ratings(struct sheet *s, const json_t *ratings)
{
    static const char *const columns[] = { "judge", "model", ">Bradley-Terry", ">95 % interval", ">Elo", ">95 % interval" };
    const json_t *r;
    size_t i;
    if (!json_array_size(ratings)) return;
    sheet_heading(s, "Ratings");
    sheet_table(s, columns, sizeof columns / sizeof *columns);
    json_array_foreach(ratings, i, r) {
        cell_text(s, judge_of(r));
        cell_text(s, text_of(r, "model"));
        cell_number(s, r, "bradley_terry", 1, 3);
        cell_range(s, r, "low", "high", 1, 3);
        cell_number(s, r, "elo", 1, 0);
        cell_range(s, r, "elo_low", "elo_high", 1, 0);
        sheet_row_end(s);
    }
    sheet_table_end(s);
}

static void put_agreement(struct sheet *s, const json_t *agreement)
{
    static const char *const columns[] = { "judge", "judge", "on", ">both", ">same", ">within 1", ">kappa", ">weighted kappa", ">Spearman", ">Kendall", ">alpha" }, *const keys[] = { "kappa", "weighted_kappa", "spearman", "kendall", "alpha" };
    const json_t *a;
    size_t i;
    if (!json_array_size(agreement)) return;
    sheet_heading(s, "Agreement");
    sheet_table(s, columns, sizeof columns / sizeof *columns);
    json_array_foreach(agreement, i, a) {
        cell_text(s, text_of(a, "a"));
        cell_text(s, text_of(a, "b"));
        cell_text(s, text_of(a, "kind"));
        cell_number(s, a, "n", 1, 0);
        cell_number(s, a, "exact", 100, 1);
        cell_number(s, a, "within_1", 100, 1);
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) cell_number(s, a, keys[k], 1, 3);
        sheet_row_end(s);
    }
    sheet_table_end(s);
}

static void put_settings(struct sheet *s, const json_t *run)
{
    static const char *const columns[] = { "setting", "value" };
    const json_t *settings = json_is_object(json_object_get(run, "settings")) ? json_object_get(run, "settings") : run;
    const char *key;
    json_t *value;
    if (!json_object_size(settings)) return;
    sheet_heading(s, "To repeat the run");
    sheet_table(s, columns, sizeof columns / sizeof *columns);
    json_object_foreach((json_t *)(uintptr_t)settings, key, value) sheet_value_row(s, key, value);
    sheet_table_end(s);
}

void report_verdict(struct sheet *s, const struct report *r)
{
    put_pairs(s, json_object_get(r->verdict, "pairs"));
    put_audit(s, json_object_get(r->audit, "judges"));
}

void report_summary(struct buf *out, const struct report *r)
{
    struct sheet s;
    char title[300];
    const char *slash = strrchr(r->directory, '/');
    snprintf(title, sizeof title, "Judged: %s", slash && slash[1] ? slash + 1 : r->directory);
    sheet_begin(&s, false, title);
    sheet_text(&s, "%zu prompts, %zu judgements, by starchat %s.", r->prompts.n, r->judgements.n, SC_VERSION);
    sheet_heading(&s, "Verdict");
    put_pairs(&s, json_object_get(r->verdict, "pairs"));
    sheet_heading(&s, "Judges");
    put_audit(&s, json_object_get(r->audit, "judges"));
    put_slices(&s, json_object_get(r->verdict, "pairs"));
    put_ratings(&s, json_object_get(r->verdict, "ratings"));
    put_agreement(&s, json_object_get(r->audit, "agreement"));
    put_settings(&s, r->run);
    sheet_end(&s);
    *out = s.out;
}
