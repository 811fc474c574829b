/* report_page.c - the report as a page. */
#include "eval/scores.h"
#include "rank/rank.h"

#include <math.h>
#include <string.h>

static const json_t *at(const json_t *o, const char *key) { return json_object_get(o, key); }
static const char *text_of(const json_t *o, const char *key) { const char *t = json_string_value(at(o, key)); return t ? t : ""; }
static json_int_t whole(const json_t *o, const char *key) { return json_integer_value(at(o, key)); }

static void put_text(struct sheet *s, const char *text) { sheet_cell(s, false, text, strlen(text)); }
static void put_whole(struct sheet *s, const json_t *o, const char *key) { sheet_cellf(s, true, "%" JSON_INTEGER_FORMAT, whole(o, key)); }

static void put_real(struct sheet *s, const json_t *o, const char *key, const char *format)
{
    char text[40];
    const json_t *v = at(o, key);
    if (!json_is_number(v)) { sheet_cellf(s, true, "unknown"); return; }
    if (format[0] == '%') snprintf(text, sizeof text, "%.1f %%", 100 * json_number_value(v));
    else if (format[0] == '1') snprintf(text, sizeof text, "%.1f", json_number_value(v));
    else snprintf(text, sizeof text, format[0] == '+' ? "%+.2f" : "%.2f", json_number_value(v));
    sheet_cellf(s, true, "%s", text);
}

/* "0.43 (0.31 to 0.55)" */
static void put_interval(struct sheet *s, const json_t *o, const char *key, const char *format)
{
    char low[64], high[64], text[120];
    snprintf(low, sizeof low, "%s_low", key);
    snprintf(high, sizeof high, "%s_high", key);
    const json_t *v = at(o, key), *l = at(o, low), *h = at(o, high);
    double k = format[0] == '%' ? 100 : 1;
    const char *unit = format[0] == '%' ? " %" : "";
    if (!json_is_number(v)) snprintf(text, sizeof text, "unknown");
    else if (!json_is_number(l) || !json_is_number(h)) snprintf(text, sizeof text, k > 1 ? "%.1f%s" : "%.2f%s", k * json_number_value(v), unit);
    else if (k > 1) snprintf(text, sizeof text, "%.1f%s (%.1f to %.1f)", k * json_number_value(v), unit, k * json_number_value(l), k * json_number_value(h));
    else snprintf(text, sizeof text, format[0] == '+' ? "%+.2f (%+.2f to %+.2f)" : "%.2f (%.2f to %.2f)", json_number_value(v), json_number_value(l), json_number_value(h));
    sheet_cellf(s, true, "%s", text);
}

/* ---- parts ---------------------------------------------------------------------------------------------------------------------------------- */

static void put_raters(struct sheet *s, const json_t *report)
{
    static const char *const columns[] = { "rater", ">done", ">seconds (median)", ">gold right", ">same again", ">score apart", ">against own scores", "left out by" };
    const json_t *row, *name;
    size_t i, k;
    sheet_heading(s, "Raters");
    sheet_table(s, columns, sizeof columns / sizeof *columns);
    json_array_foreach(at(report, "raters"), i, row) {
        const json_t *gold = at(row, "gold"), *repeats = at(row, "repeats");
        struct buf left;
        buf_init(&left, 0);
        json_array_foreach(at(row, "excluded"), k, name) buf_printf(&left, "%s%s", k ? ", " : "", json_string_value(name));
        put_text(s, text_of(row, "rater"));
        sheet_cellf(s, true, "%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT, whole(row, "done"), whole(row, "assigned"));
        put_real(s, row, "median_seconds", "1");
        sheet_cellf(s, true, "%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT, whole(gold, "right"), whole(gold, "items"));
        sheet_cellf(s, true, "%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " pairs", whole(repeats, "same"), whole(repeats, "pairs"));
        put_real(s, repeats, "score_difference", "");
        put_whole(s, row, "contradictions");
        put_text(s, left.data ? left.data : json_is_true(at(row, "revoked")) ? "(invitation taken back)" : "");
        sheet_row_end(s);
        buf_release(&left);
    }
    sheet_table_end(s);
}

static void put_agreement(struct sheet *s, const json_t *report)
{
    static const char *const measures[] = { "measure", ">value" }, *const columns[] = { "rater", "rater", ">pairs", ">agree", ">kappa", ">kappa of scores" };
    static const struct { const char *key, *name, *format; } rows[] = {
        { "share", "pairs ordered alike (a tie is an answer too)", "%" }, { "share_without_ties", "the same without pairs in which anybody sees a tie", "%" }, { "kappa", "Cohen's kappa of preferences, all pairs of raters", "" },
        { "alpha_preferences", "Krippendorff's alpha of preferences (nominal)", "" }, { "alpha_ranks", "Krippendorff's alpha of ranks (ordinal)", "" }, { "alpha_scores", "Krippendorff's alpha of scores (interval)", "" },
        { "score_kappa", "quadratic-weighted kappa of scores", "" },
    };
    const json_t *agreement = at(report, "agreement"), *self = at(report, "self_consistency"), *gold = at(report, "gold"), *row;
    size_t i;
    sheet_heading(s, "Agreement");
    sheet_table(s, measures, 2);
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        put_text(s, rows[i].name);
        put_interval(s, agreement, rows[i].key, rows[i].format);
        sheet_row_end(s);
    }
    put_text(s, "with oneself, on repeated items");
    put_interval(s, self, "share", "%");
    sheet_row_end(s);
    put_text(s, "gold items with the best above the worst");
    put_interval(s, gold, "share", "%");
    sheet_row_end(s);
    sheet_table_end(s);
    if (!json_array_size(at(agreement, "raters"))) return;
    sheet_part(s, "Two by two");
    sheet_table(s, columns, sizeof columns / sizeof *columns);
    json_array_foreach(at(agreement, "raters"), i, row) {
        put_text(s, text_of(row, "a"));
        put_text(s, text_of(row, "b"));
        put_whole(s, row, "pairs");
        put_real(s, row, "share", "%");
        put_real(s, row, "kappa", "");
        put_real(s, row, "score_kappa", "");
        sheet_row_end(s);
    }
    sheet_table_end(s);
}

static void put_intervals(struct sheet *s, const json_t *models)
{
    size_t n = json_array_size(models), i, drawn = 0;
    struct sheet_interval *x = mem_zero(n + 1, sizeof *x);
    const json_t *row;
    double most = 0;
    json_array_foreach(models, i, row) {
        if (!json_is_number(at(row, "strength_low")) || !json_is_number(at(row, "strength_high"))) continue;
        x[drawn] = (struct sheet_interval){ text_of(row, "model"), json_number_value(at(row, "strength")), { json_number_value(at(row, "strength_low")), json_number_value(at(row, "strength_high")) } };
        most = fmax(most, fmax(fabs(x[drawn].interval.low), fabs(x[drawn].interval.high)));
        drawn++;
    }
    if (drawn && most > 0) sheet_intervals(s, "Strengths with 95 % intervals", x, drawn, -most, most);
    mem_free(x);
}

static void put_model_rows(struct sheet *s, const json_t *models, bool has_strength)
{
    static const char *const columns[] = { "model", ">shown", ">best - worst", ">mean rank", ">mean score", ">strength" };
    const json_t *row;
    size_t i;
    sheet_table(s, columns, has_strength ? 6 : 5);
    json_array_foreach(models, i, row) {
        put_text(s, text_of(row, "model"));
        put_whole(s, row, "shown");
        put_interval(s, row, "best_worst", "+");
        put_interval(s, row, "mean_rank", "");
        put_interval(s, row, "mean_score", "");
        if (has_strength) put_interval(s, row, "strength", "+");
        sheet_row_end(s);
    }
    sheet_table_end(s);
}

static void put_flags(struct sheet *s, const json_t *models)
{
    const char *columns[RANK_FLAGS_MAX + 1] = { "model" };
    char names[RANK_FLAGS_MAX][RANK_FLAG_BYTES + 2];
    const json_t *row, *flag;
    const char *name;
    size_t i, n = 0;
    json_object_foreach((json_t *)(uintptr_t)at(json_array_get(models, 0), "flags"), name, flag) {
        if (n == RANK_FLAGS_MAX) break;
        snprintf(names[n], sizeof names[n], ">%s", name);
        columns[n + 1] = names[n];
        n++;
    }
    if (!n) return;
    sheet_part(s, "Flags");
    sheet_table(s, columns, n + 1);
    json_array_foreach(models, i, row) {
        put_text(s, text_of(row, "model"));
        json_object_foreach((json_t *)(uintptr_t)at(row, "flags"), name, flag) sheet_cellf(s, true, "%" JSON_INTEGER_FORMAT " (%.1f %%)", whole(flag, "n"), 100 * json_number_value(at(flag, "share")));
        sheet_row_end(s);
    }
    sheet_table_end(s);
}

static void put_models(struct sheet *s, const json_t *report)
{
    static const char *const columns[] = { "A", "B", ">ratings", ">A better", ">tie", ">B better", ">A's win rate" };
    const json_t *models = at(report, "models"), *row;
    size_t i;
    if (!json_array_size(models)) return;
    sheet_heading(s, "Models");
    put_model_rows(s, models, true);
    put_intervals(s, models);
    put_flags(s, models);
    sheet_part(s, "Each against each");
    sheet_table(s, columns, sizeof columns / sizeof *columns);
    json_array_foreach(at(report, "pairs"), i, row) {
        put_text(s, text_of(row, "a"));
        put_text(s, text_of(row, "b"));
        put_whole(s, row, "ratings");
        put_whole(s, row, "win");
        put_whole(s, row, "tie");
        put_whole(s, row, "loss");
        put_interval(s, row, "win_rate", "%");
        sheet_row_end(s);
    }
    sheet_table_end(s);
    json_array_foreach(at(report, "slices"), i, row) {
        sheet_part(s, "Slice: %s", text_of(row, "slice"));
        put_model_rows(s, at(row, "models"), false);
    }
}

static void put_judges(struct sheet *s, const json_t *report)
{
    static const char *const columns[] = { "judge", "protocol", ">pairs", ">as the majority", ">without ties", ">as each rater", ">kappa", ">scores (Spearman)" };
    const json_t *row;
    size_t i;
    if (!json_array_size(at(report, "judges"))) return;
    sheet_heading(s, "Judges beside people");
    sheet_table(s, columns, sizeof columns / sizeof *columns);
    json_array_foreach(at(report, "judges"), i, row) {
        const json_t *most = at(row, "with_majority");
        put_text(s, text_of(row, "judge"));
        put_text(s, text_of(row, "protocol"));
        put_whole(s, most, "pairs");
        put_interval(s, most, "share", "%");
        put_real(s, most, "share_without_ties", "%");
        put_interval(s, at(row, "with_each"), "share", "%");
        put_real(s, most, "kappa", "");
        put_real(s, row, "score_spearman", "");
        sheet_row_end(s);
    }
    sheet_table_end(s);
    sheet_text(s, "A judge agrees with a rater about as well as it can where \"as each rater\" comes near to how well two raters agree with each other (above). Where it judged both orders and they differ, its verdict is a tie.");
}

static void put_end(struct sheet *s, const json_t *report)
{
    const json_t *rules = at(report, "rules"), *note;
    size_t i;
    if (json_array_size(at(report, "notes"))) sheet_heading(s, "Notes");
    json_array_foreach(at(report, "notes"), i, note) sheet_text(s, "%s", json_string_value(note));
    sheet_heading(s, "How this was computed");
    sheet_text(s, "Answers were ranked blind, in an order drawn anew for each rater. Left out are raters with less than %.0f %% of gold items right, or less than %.0f %% of pairs ordered alike the second time (each after at least %" JSON_INTEGER_FORMAT
                  " such items), or a median time below %.0f s. These rules were fixed when the study was made.", 100 * json_number_value(at(rules, "gold")), 100 * json_number_value(at(rules, "repeats")), whole(rules, "least"), json_number_value(at(rules, "seconds")));
    sheet_text(s, "Gold items and repeats count for raters alone. Best - worst is how often a model was ranked first, less how often last, of the times it was shown. Strengths are logarithms, of Plackett and Luce's model: "
                  "of two models with a difference of d the first is preferred with a chance of 1 / (1 + exp(-d)).");
    sheet_text(s, "Intervals are of %" JSON_INTEGER_FORMAT " draws of prompts (strengths: at most 300), seed %" JSON_INTEGER_FORMAT ": all ratings of one prompt are drawn together. They are about other prompts of this kind, rated by people like these.", whole(report, "draws"), whole(report, "seed"));
}

sc_status rank_page_write(const json_t *report, const char *path, sc_error *err)
{
    struct sheet s;
    bool is_html;
    const json_t *study = at(report, "study");
    TRY(sheet_check(path, &is_html, err));
    sheet_begin(&s, is_html, text_of(at(study, "settings"), "title"));
    sheet_text(&s, "%s: %" JSON_INTEGER_FORMAT " items, %" JSON_INTEGER_FORMAT " ratings, %zu raters, %zu models; seed %" JSON_INTEGER_FORMAT ".", text_of(study, "file"), whole(study, "items"), whole(study, "ratings"),
               json_array_size(at(report, "raters")), json_array_size(at(study, "models")), whole(at(study, "settings"), "seed"));
    put_models(&s, report);
    put_judges(&s, report);
    put_agreement(&s, report);
    put_raters(&s, report);
    put_end(&s, report);
    sheet_end(&s);
    sc_status status = file_write(path, s.out.data, s.out.len, err);
    buf_release(&s.out);
    return status;
}
