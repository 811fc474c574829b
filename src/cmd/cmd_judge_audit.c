/* cmd_judge_audit.c - `starchat judge audit`: what judges said, and whether they are to be trusted. */
#include "cmd/cmd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_COLUMNS = 26, MODEL_COLUMNS = 34, DIFFERENCES_SHOWN = 200 };

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}
static long long count_of(const json_t *o, const char *key) { return (long long)json_integer_value(json_object_get(o, key)); }

/* A name from a file, at most `columns` wide, padded. */
static void print_name(const char *name, int columns)
{
    char cut[160];
    size_t n = 0;
    int shown = 0;
    for (; name[n] && shown < columns && n + 5 < sizeof cut; shown++) {
        size_t next = n + 1;
        while ((name[next] & 0xC0) == 0x80 && next + 5 < sizeof cut) next++;
        memcpy(cut + n, name + n, next - n);
        n = next;
    }
    print_safe(stdout, cut, n);
    printf("%*s", columns - shown, "");
}

static void print_real(const json_t *o, const char *key, int columns, int digits)
{
    const json_t *v = json_object_get(o, key);
    if (json_is_number(v)) printf(" %*.*f", columns, digits, json_number_value(v));
    else printf(" %*s", columns, "-");
}

static void print_line(const char *text)
{
    print_safe(stdout, text, strlen(text));
    putchar('\n');
}

/* ---- tables of all judges ----------------------------------------------------------------------------------------------------------------------------- */

static void print_judge_name(const json_t *judge)
{
    print_name(text_of(judge, "judge"), NAME_COLUMNS);
    putchar(' ');
    print_name(text_of(judge, "protocol"), NAME_COLUMNS);
    printf(" %6lld %6lld", count_of(judge, "calls"), count_of(judge, "ok"));
}

static void print_scales(const json_t *judges)
{
    const json_t *judge;
    size_t i;
    bool has_title = false;
    json_array_foreach(judges, i, judge) {
        if (!json_object_get(judge, "mean")) continue;
        if (!has_title) printf("%-*s %-*s %6s %6s %7s %7s %7s %6s %6s  %s\n", NAME_COLUMNS, "Scores of", NAME_COLUMNS, "asked by", "calls", "ok", "mean", "sd", "median", "ends", "middle", "mode, bits");
        has_title = true;
        print_judge_name(judge);
        print_real(judge, "mean", 7, 3);
        print_real(judge, "sd", 7, 3);
        print_real(judge, "median", 7, 1);
        print_real(judge, "extreme_share", 6, 3);
        print_real(judge, "middle_share", 6, 3);
        printf("  %g (%lld)", json_number_value(json_object_get(judge, "mode")), count_of(judge, "mode_count"));
        print_real(judge, "entropy", 0, 2);
        putchar('\n');
    }
    if (has_title) printf("ends: scores of 3 and less or 9 and more on a scale of 1 to 10, on others the two last values; middle: within 1 of the centre\n\n");
}

static void print_verdicts(const json_t *judges)
{
    const json_t *judge;
    size_t i;
    bool has_title = false;
    json_array_foreach(judges, i, judge) {
        const json_t *slot = json_object_get(judge, "slot"), *swap = json_object_get(judge, "swap"), *words = json_object_get(judge, "contradictions");
        char kept[60] = "-", first[60], against[40] = "-";
        if (!slot) continue;
        if (!has_title) printf("%-*s %-*s %6s %6s  %-19s %-15s %-8s %s\n", NAME_COLUMNS, "Verdicts of", NAME_COLUMNS, "asked by", "calls", "ok", "same when swapped", "first place", "longer", "words against");
        has_title = true;
        if (swap) snprintf(kept, sizeof kept, "%lld/%lld %.3f", count_of(swap, "consistent"), count_of(swap, "pairs"), json_number_value(json_object_get(swap, "share")));
        snprintf(first, sizeof first, "%lld of %lld", count_of(slot, "first"), count_of(slot, "verdicts"));
        if (count_of(words, "of")) snprintf(against, sizeof against, "%lld of %lld", count_of(words, "n"), count_of(words, "of"));
        print_judge_name(judge);
        printf("  %-19s %-15s", kept, first);
        print_real(json_object_get(judge, "length"), "longer_share", 5, 3);
        printf("    %s\n", against);
    }
    if (has_title) printf("longer: share of the longer answer among verdicts that were no tie; words against: explanations that call the other answer better\n\n");
}

/* ---- each judge ------------------------------------------------------------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    double x = atof(*(const char *const *)a), y = atof(*(const char *const *)b);
    return (x > y) - (x < y);
}

/* Counts of each value for each model; scales with many halves are left to --json. */
static void print_histogram(const json_t *histogram)
{
    const char *values[24], *model, *value;
    size_t n = 0;
    json_t *counts, *v;
    json_object_foreach((json_t *)(uintptr_t)histogram, model, counts) {
        json_object_foreach(counts, value, v) {
            bool is_new = true;
            for (size_t i = 0; i < n && is_new; i++) is_new = strcmp(values[i], value) != 0;
            if (is_new && n == sizeof values / sizeof *values) return;
            if (is_new) values[n++] = value;
        }
    }
    qsort(values, n, sizeof *values, by_number);
    printf("  %-*s", MODEL_COLUMNS, "times given to");
    for (size_t i = 0; i < n; i++) printf(" %5s", values[i]);
    putchar('\n');
    json_object_foreach((json_t *)(uintptr_t)histogram, model, counts) {
        printf("  ");
        print_name(model, MODEL_COLUMNS);
        for (size_t i = 0; i < n; i++) printf(" %5lld", count_of(counts, values[i]));
        putchar('\n');
    }
}

/* Of pairs shown both ways round the verdict tells, who is better; in one order this is all there is. */
static void print_meetings(const json_t *meetings)
{
    const json_t *m;
    size_t i;
    bool has_means = json_object_get(json_array_get(meetings, 0), "first_mean");
    if (!json_array_size(meetings) || json_array_size(meetings) > 40) return;
    printf("  %-*s %-*s %6s %8s %8s %6s%s\n", MODEL_COLUMNS, "shown first", MODEL_COLUMNS, "shown second", "n", "1st wins", "2nd wins", "tie", has_means ? "  mean 1  mean 2" : "");
    json_array_foreach(meetings, i, m) {
        printf("  ");
        print_name(text_of(m, "first"), MODEL_COLUMNS);
        putchar(' ');
        print_name(text_of(m, "second"), MODEL_COLUMNS);
        printf(" %6lld %8lld %8lld %6lld", count_of(m, "n"), count_of(m, "first_better"), count_of(m, "second_better"), count_of(m, "tie"));
        if (has_means) print_real(m, "first_mean", 7, 3);
        if (has_means) print_real(m, "second_mean", 7, 3);
        putchar('\n');
    }
}

static void print_details(const json_t *judge)
{
    const json_t *slot = json_object_get(judge, "slot"), *length = json_object_get(judge, "length"), *repeats = json_object_get(judge, "repeats"), *canary;
    const char *kind;
    if (json_is_number(json_object_get(slot, "share")))
        printf("  place: the first won %.1f %% of decided verdicts (95 %%: %.1f to %.1f, p %.2g)%s\n", 100 * json_number_value(json_object_get(slot, "share")), 100 * json_number_value(json_object_get(slot, "low")), 100 * json_number_value(json_object_get(slot, "high")),
               json_number_value(json_object_get(slot, "p")), json_is_true(json_object_get(slot, "both_orders")) ? ", of pairs shown both ways round" : "; shown in one order alone, this is also what the answers did");
    if (length)
        printf("  length: slope %+.3f (95 %%: %+.3f to %+.3f) %s\n", json_number_value(json_object_get(length, "slope")), json_number_value(json_object_get(length, "low")), json_number_value(json_object_get(length, "high")),
               slot ? "of the first answer's wins on (a - b) / (a + b)" : "of the score on 1000 characters");
    if (repeats) printf("  asked again: the same in %lld of %lld calls, mean difference %.3f\n", count_of(repeats, "same"), count_of(repeats, "pairs"), json_number_value(json_object_get(repeats, "mean_difference")));
    json_object_foreach(json_object_get(judge, "canaries"), kind, canary) {
        char line[200];
        snprintf(line, sizeof line, "  trick questions, %.60s: saw %lld of %lld", kind, count_of(canary, "caught"), count_of(canary, "n"));
        print_line(line);
    }
}

static void print_judge(const json_t *judge)
{
    const json_t *finding;
    size_t i;
    bool is_people = !strcmp(text_of(judge, "kind"), "people"), is_trusted = json_is_true(json_object_get(judge, "is_calibrated"));
    if (is_people) return;
    size_t warnings = json_array_size(json_object_get(judge, "findings"));
    print_safe(stdout, text_of(judge, "judge"), strlen(text_of(judge, "judge")));
    printf(", ");
    print_safe(stdout, text_of(judge, "protocol"), strlen(text_of(judge, "protocol")));
    puts(!is_trusted ? ": REFUSED, what it says is not to be used" : warnings ? ": passes, with warnings" : ": passes");
    json_array_foreach(json_object_get(judge, "findings"), i, finding) {
        printf("  %s %s: ", json_is_true(json_object_get(finding, "refuses")) ? "refused," : "warning,", text_of(finding, "name"));
        print_line(text_of(finding, "sentence"));
    }
    print_details(judge);
    if (json_object_get(judge, "histogram")) print_histogram(json_object_get(judge, "histogram"));
    if (!json_object_get(judge, "swap")) print_meetings(json_object_get(judge, "meetings"));
    putchar('\n');
}

/* ---- judges with each other ------------------------------------------------------------------------------------------------------------------------------------- */

static void print_agreement(const json_t *rows, bool of_scores)
{
    const json_t *row;
    size_t i;
    bool has_title = false;
    json_array_foreach(rows, i, row) {
        if (!strcmp(text_of(row, "kind"), "scores") != of_scores) continue;
        if (!has_title && of_scores) printf("%-*s %-*s %6s %6s %6s %6s %6s %8s %7s %6s %6s\n", NAME_COLUMNS, "Scores of", NAME_COLUMNS, "and", "n", "exact", "near", "kappa", "wkappa", "spearman", "kendall", "alpha", "bias");
        if (!has_title && !of_scores) printf("%-*s %-*s %6s %6s %6s %6s %8s %7s\n", NAME_COLUMNS, "Verdicts of", NAME_COLUMNS, "and", "n", "exact", "kappa", "alpha", "no ties", "exact");
        has_title = true;
        print_name(text_of(row, "a"), NAME_COLUMNS);
        putchar(' ');
        print_name(text_of(row, "b"), NAME_COLUMNS);
        printf(" %6lld", count_of(row, "n"));
        print_real(row, "exact", 6, 3);
        if (of_scores) print_real(row, "within_1", 6, 3);
        print_real(row, "kappa", 6, 3);
        if (of_scores) print_real(row, "weighted_kappa", 6, 3);
        if (of_scores) print_real(row, "spearman", 8, 3);
        if (of_scores) print_real(row, "kendall", 7, 3);
        print_real(row, "alpha", 6, 3);
        if (of_scores) print_real(row, "bias", 6, 2);
        else printf(" %8lld", count_of(row, "decided"));
        if (!of_scores) print_real(row, "decided_exact", 7, 3);
        putchar('\n');
    }
    if (has_title) puts(of_scores ? "near: at most 1 apart; bias: mean of the first less the second\n" : "no ties: both decided; of two orders that disagree a tie is made\n");
}

static void print_panels(const json_t *panels)
{
    const json_t *p;
    size_t i;
    json_array_foreach(panels, i, p) {
        printf("All %zu under ", json_array_size(json_object_get(p, "judges")));
        print_safe(stdout, text_of(p, "protocol"), strlen(text_of(p, "protocol")));
        printf(", %lld things judged: Krippendorff's alpha", count_of(p, "items"));
        print_real(p, "alpha", 0, 3);
        if (json_is_number(json_object_get(p, "fleiss"))) printf(", Fleiss' kappa %.3f", json_number_value(json_object_get(p, "fleiss")));
        putchar('\n');
    }
    if (json_array_size(panels)) putchar('\n');
}

static void print_calibration(const json_t *rows)
{
    const json_t *row, *step;
    size_t i, k;
    json_array_foreach(rows, i, row) {
        bool of_scores = !strcmp(text_of(row, "kind"), "scores");
        print_safe(stdout, text_of(row, "judge"), strlen(text_of(row, "judge")));
        printf(" to people, %lld %s: error (root mean square) %.3f as it is, %.3f mapped, on prompts that the map was not made of;", count_of(row, "n"), text_of(row, "kind"), json_number_value(json_object_get(row, "raw_rms")), json_number_value(json_object_get(row, "mapped_rms")));
        json_array_foreach(json_object_get(row, "map"), k, step)
            if (k < 12) printf(" %g->%.2f", json_number_value(json_array_get(step, 0)), json_number_value(json_array_get(step, 1)));
        puts(of_scores ? "" : " (0: the first is better, 1: tie, 2: the second)");
    }
    if (json_array_size(rows)) putchar('\n');
}

static void print_differences(const json_t *d)
{
    const json_t *row;
    size_t i;
    if (!d) return;
    printf("%lld texts read again, %zu give another verdict than their file holds\n", count_of(d, "checked"), json_array_size(json_object_get(d, "rows")));
    json_array_foreach(json_object_get(d, "rows"), i, row) {
        if (i == DIFFERENCES_SHOWN) {
            printf("... and %zu more (--json has all)\n", json_array_size(json_object_get(d, "rows")) - i);
            break;
        }
        char *stored = json_dumps(json_object_get(row, "stored"), JSON_ENCODE_ANY | JSON_REAL_PRECISION(6)), *found = json_dumps(json_object_get(row, "found"), JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        char line[600];
        const json_t *models = json_object_get(row, "models");
        const char *b = json_string_value(json_array_get(models, 1));
        snprintf(line, sizeof line, "  %.60s, %.60s%s%.60s, prompt %.60s, turn %lld: stored %.40s, text %.40s: %.200s", text_of(row, "judge"), json_string_value(json_array_get(models, 0)), b ? " and " : "", b ? b : "", text_of(row, "id"), count_of(row, "turn"), stored, found, text_of(row, "reason"));
        print_line(line);
        free(stored);
        free(found);
    }
}

static void print_audit(const json_t *all)
{
    const json_t *judges = json_object_get(all, "judges"), *judge;
    size_t i;
    print_scales(judges);
    print_verdicts(judges);
    json_array_foreach(judges, i, judge) print_judge(judge);
    print_agreement(json_object_get(all, "agreement"), true);
    print_agreement(json_object_get(all, "agreement"), false);
    print_panels(json_object_get(all, "panels"));
    print_calibration(json_object_get(all, "calibration"));
    print_differences(json_object_get(all, "differences"));
}

static int run_audit(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_judge_audit_config config;
    sc_text text = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, (void *const[]){ &config });
    if (code != ARGS_GO) return code;
    if (sc_judge_audit(&text, a.operand, (size_t)a.n_operands, &config, &err) != SC_OK) return fail_with(&a.common, &err);
    json_t *all = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
    if (a.common.json) printf("%s\n", text.data);
    else print_audit(all);
    json_decref(all);
    sc_text_free(&text);
    return EXIT_DONE;
}

static const char *const audit_tables[] = { "judge_audit", NULL };
static const struct flag audit_flags[] = { FLAG_JSON, FLAG_END };
const struct command command_judge_audit = {
    .name = "judge audit", .operands = "FILE|DIR...", .summary = "are judges to be trusted: scale, place, length, words, trick questions, agreement",
    .min_operands = 1, .max_operands = ARGS_MAX_OPERANDS, .run = run_audit, .tables = audit_tables, .flags = audit_flags,
    .details = "Reads directories of `starchat judge run`, and judgements of FastChat, Vicuna (review_A_B.jsonl),\n"
               "PandaLM and of mt-bench-judged's shape, also .gz. A judge that fails a test is refused.\n\n"
               "  starchat judge audit DIR\n"
               "  starchat judge audit judgments/ --answers llama=llama.jsonl,gemma.jsonl --differences\n"
               "  starchat judge audit results.json --labels testset-v1.json --calibrate",
};
