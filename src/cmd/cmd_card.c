/* cmd_card.c - `card` and `lineage`: what a model is, and what it was made of. */
#include "cmd/cmd.h"

#include <string.h>

static int run_card(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_card_config config = { 0 };
    sc_error err = { 0 };
    sc_text text = { 0 };
    int code = args_parse(&a, self, argc, argv, (void *const[]){ &config });
    if (code != ARGS_GO) return code;
    const char *directory = a.operand[0];
    if (args_has(&a, "print")) {
        if (sc_card_text(&text, directory, &config, &err) != SC_OK) return fail_with(&a.common, &err);
        print_text(stdout, text.data, text.len);
        sc_text_free(&text);
        return EXIT_DONE;
    }
    if (sc_card_write(directory, &config, &err) != SC_OK) return fail_with(&a.common, &err);
    size_t len = strlen(directory);
    note(&a.common, "Wrote %s%sREADME.md.", directory, len && directory[len - 1] == '/' ? "" : "/");
    return EXIT_DONE;
}

static const char *const card_tables[] = { "card", NULL };
static const struct flag card_flags[] = { { "print", NULL, NULL, "print the page and write nothing", NULL }, FLAG_END };
const struct command command_card = {
    .name = "card", .operands = "DIR", .summary = "write a model's README.md from what was measured and stored",
    .min_operands = 1, .max_operands = 1, .run = run_card, .tables = card_tables, .flags = card_flags,
    .details = "DIR holds a model or an adapter, as train, merge or convert wrote it. The page tells the base, data with their\n"
               "versions and digests, template, recipe, hardware, time and energy, curves, scores with intervals, verdicts of\n"
               "judges, limits, and what was not measured. Nothing is asked of the net. A page that somebody wrote or changed\n"
               "stays, unless --overwrite is given.\n\n"
               "  starchat card runs/demo\n"
               "  starchat card runs/demo --eval scores.json --judge judged/ --repo me/demo",
};

static int run_lineage(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_lineage_config config = { 0 };
    sc_error err = { 0 };
    sc_text json = { 0 }, text = { 0 };
    int code = args_parse(&a, self, argc, argv, (void *const[]){ &config });
    if (code != ARGS_GO) return code;
    config.on_event = draw_event;
    config.user = &a.common;
    sc_status status = sc_lineage(&json, a.operand[0], &config, &err);
    progress_clear(&a.common);
    if (status == SC_OK && !a.common.json) status = sc_lineage_text(&text, json.data, json.len, &err);
    code = status == SC_OK ? EXIT_DONE : fail_with(&a.common, &err);
    json_t *all = code == EXIT_DONE ? json_loadb(json.data, json.len, 0, NULL) : NULL;
    json_int_t changed = json_integer_value(json_object_get(all, "changed"));
    if (code == EXIT_DONE && a.common.json) {
        fwrite(json.data, 1, json.len, stdout);
        if (!json.len || json.data[json.len - 1] != '\n') putchar('\n');
    } else if (code == EXIT_DONE) print_text(stdout, text.data, text.len);
    if (code == EXIT_DONE && changed > 0) code = fail_text("%lld %s not what the lineage of %s says", (long long)changed, changed == 1 ? "part is" : "parts are", a.operand[0]);
    json_decref(all);
    sc_text_free(&json);
    sc_text_free(&text);
    return code;
}

static const char *const lineage_tables[] = { "lineage", NULL };
static const struct flag lineage_flags[] = { FLAG_JSON, FLAG_END };
const struct command command_lineage = {
    .name = "lineage", .operands = "MODEL", .summary = "what a model was made of, and whether all of it is still the same",
    .min_operands = 1, .max_operands = 1, .run = run_lineage, .tables = lineage_tables, .flags = lineage_flags,
    .details = "Prints the line from data files over the prepared data set, recipe and base to the weights, and the steps after\n"
               "that (merge, convert), as each step recorded it. With --verify all that is at hand is read and compared with\n"
               "the recorded digests: verified, changed, or not here. Exit 1 when anything has changed.\n\n"
               "  starchat lineage runs/demo --verify\n"
               "  starchat lineage merged.gguf --verify --near data,runs",
};
