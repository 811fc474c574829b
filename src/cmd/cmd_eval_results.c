/* cmd_eval_results.c - what is made of results that were written: `starchat eval compare`, `starchat eval report`. */
#include "cmd/cmd.h"

#include <math.h>
#include <string.h>

static const char *text_of(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}
static double real_of(const json_t *row, const char *key) { return json_number_value(json_object_get(row, key)); }

/* ---- compare ------------------------------------------------------------------------------------------------------------------------------ */

static void print_p(const json_t *p)
{
    double x = json_number_value(p);
    if (!json_is_number(p)) printf(" %8s |", "unknown");
    else if (x < 0.0001) printf(" %8.1e |", x);
    else printf(" %8.4f |", x);
}

static void print_row(const json_t *row)
{
    char metric[160], interval[48];
    bool is_plain = !strcmp(text_of(row, "filter"), "none");
    snprintf(metric, sizeof metric, "%s%s%s", text_of(row, "metric"), is_plain ? "" : ",", is_plain ? "" : text_of(row, "filter"));
    snprintf(interval, sizeof interval, "%+.4f to %+.4f", real_of(row, "low"), real_of(row, "high"));
    printf("| %-30s | %-24s | %9" JSON_INTEGER_FORMAT " | %9.4f | %9.4f | %+9.4f | %-20s |", text_of(row, "name"), metric, json_integer_value(json_object_get(row, "pairs")), real_of(row, "a"), real_of(row, "b"),
           real_of(row, "difference"), interval);
    print_p(json_object_get(row, "p"));
    print_p(json_object_get(row, "p_holm"));
    if (json_is_number(json_object_get(row, "smallest"))) printf(" %8.4f | %s |\n", real_of(row, "smallest"), text_of(row, "verdict"));
    else printf(" %8s | %s |\n", "unknown", text_of(row, "verdict"));
}

static void print_rows(const json_t *rows, const char *title)
{
    const json_t *row;
    size_t i;
    if (!json_array_size(rows)) return;
    printf("| %-30s | %-24s | questions | %9s | %9s | %9s | %-20s | %8s | %8s | %8s | in words |\n", title, "Metric", "A", "B", "B - A", "95 % interval", "p", "p (Holm)", "seen");
    printf("|--------------------------------|--------------------------|-----------|-----------|-----------|-----------|----------------------|----------|----------|----------|----------|\n");
    json_array_foreach(rows, i, row) print_row(row);
    putchar('\n');
}

static void print_comparison(const json_t *all)
{
    const json_t *note;
    size_t i;
    static const char *const sides[] = { "a", "b" };
    for (size_t k = 0; k < 2; k++) {
        const char *file = text_of(json_object_get(all, sides[k]), "file"), *model = text_of(json_object_get(all, sides[k]), "model");
        printf("%s: ", k ? "B" : "A");
        print_safe(stdout, model, strlen(model));
        printf(" (");
        print_safe(stdout, file, strlen(file));
        puts(k ? ")\n" : ")");
    }
    print_rows(json_object_get(all, "groups"), "Group");
    print_rows(json_object_get(all, "tasks"), "Task");
    json_array_foreach(json_object_get(all, "notes"), i, note) {
        printf("note: ");
        print_safe(stdout, json_string_value(note), json_string_length(note));
        putchar('\n');
    }
    printf("seen: the difference that so many questions show in four of five repetitions. B - A of perplexities is the logarithm of their ratio.\n");
}

static int run_compare(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_eval_compare_config config;
    sc_text text = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, (void *const[]){ &config });
    if (code != ARGS_GO) return code;
    if (sc_eval_compare(&text, a.operand[0], a.operand[1], &config, &err) != SC_OK) return fail_with(&a.common, &err);
    json_t *all = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
    if (a.common.json) printf("%s\n", text.data);
    else print_comparison(all);
    json_decref(all);
    sc_text_free(&text);
    return EXIT_DONE;
}

static const char *const compare_tables[] = { "eval_compare", NULL };
static const struct flag compare_flags[] = { FLAG_JSON, FLAG_END };
const struct command command_eval_compare = {
    .name = "eval compare", .operands = "A.json B.json", .summary = "is B better than A: question by question, with intervals and exact tests",
    .min_operands = 2, .max_operands = 2, .run = run_compare, .tables = compare_tables, .flags = compare_flags,
    .details = "Reads results of `starchat eval --out`, or lm-eval's results_DATE.json with its samples_TASK_DATE.jsonl beside it. Where the models were\n"
               "asked differently it says what differs and stops.\n\n"
               "  starchat eval compare base.json tuned.json\n"
               "  starchat eval compare base.json tuned.json --metric acc --out comparison.html\n"
               "  starchat eval compare base.json tuned.json --cluster qID:-",
};

/* ---- report -------------------------------------------------------------------------------------------------------------------------------- */

static int run_report(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    return sc_eval_report(a.operand[0], a.operand[1], &err) == SC_OK ? EXIT_DONE : fail_with(&a.common, &err);
}

const struct command command_eval_report = {
    .name = "eval report", .operands = "RESULTS.json OUT.html|OUT.md", .summary = "a page about results: scores, intervals, settings, samples, limits",
    .min_operands = 2, .max_operands = 2, .run = run_report,
    .details = "The page needs nothing besides itself. Of each task it shows the questions that teach most.\n\n"
               "  starchat eval report results.json report.html",
};
