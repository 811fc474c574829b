/* cmd_judge.c - `starchat judge` and its parts; here: what a judge said, as a verdict. */
#include "cmd/cmd.h"

#include <string.h>
#include <unistd.h>

/* ---- judge parse ---------------------------------------------------------------------------------------------------------------------------------- */

static int list_protocols(const struct args_common *c)
{
    sc_text text = { 0 };
    sc_error err = { 0 };
    const json_t *one;
    size_t i;
    if (sc_judge_protocols(&text, &err) != SC_OK) return fail_with(c, &err);
    json_t *list = json_loadb(text.data, text.len, 0, NULL);
    if (c->json) printf("%s\n", text.data);
    else json_array_foreach(list, i, one) printf("%-27s %-6s %s\n", json_string_value(json_object_get(one, "name")), json_string_value(json_object_get(one, "kind")), json_string_value(json_object_get(one, "about")));
    json_decref(list);
    sc_text_free(&text);
    return EXIT_DONE;
}

/* A text without a verdict is a result too: its line holds the error. */
static int parse_lines(const sc_judge_protocol *p)
{
    struct line_reader r;
    char *line;
    size_t len;
    int got;
    line_open(&r, STDIN_FILENO);
    while ((got = line_next(&r, &line, &len)) > 0) {
        sc_text out = { 0 };
        sc_error err = { 0 };
        if (sc_judge_parse(&out, p, line, len, &err) == SC_OK) puts(out.data);
        else print_text_line("error", err.message, strlen(err.message));
        sc_text_free(&out);
    }
    line_close(&r);
    return got < 0 ? EXIT_FAILED : EXIT_DONE;
}

static int run_parse(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_judge_protocol *p = NULL;
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    if (args_has(&a, "list")) return list_protocols(&a.common);
    const char *name = args_value(&a, "protocol");
    if (!name) return usage_error(self, "--protocol is missing; `starchat judge parse --list` shows what there is");
    if (sc_judge_protocol_open(&p, name, &err) != SC_OK) return fail_with(&a.common, &err);
    code = parse_lines(p);
    sc_judge_protocol_close(p);
    return code;
}

static const struct flag parse_flags[] = {
    { "protocol", NULL, "NAME|FILE", "how the judge was asked", NULL },
    { "list", NULL, NULL, "shows the protocols", NULL },
    FLAG_JSON,
    FLAG_END,
};
static const struct command judge_parse = {
    .name = "judge parse", .operands = "", .summary = "what a judge said, as scores or a winner",
    .min_operands = 0, .max_operands = 0, .run = run_parse, .flags = parse_flags,
    .details = "Lines {\"text\":...} on stdin become {\"scores\":[...]}, {\"winner\":\"A|B|tie\"} or {\"error\":...}, one for\n"
               "each, in the same order. Of several verdicts [[A]], [[B]], [[C]] the last counts, of ratings\n"
               "[[7]] the first. A FILE of your own ends in .yaml; those in protocols/ show the shape.\n\n"
               "  echo '{\"text\":\"7 5\\nAssistant 1 ...\"}' | starchat judge parse --protocol starchat",
};

/* ---- judge ------------------------------------------------------------------------------------------------------------------------------------------ */

static const struct command *const parts[] = { &command_judge_run, &command_judge_answers, &command_judge_audit, &command_judge_report, &command_judge_prompts, &judge_parse, NULL };
const struct command command_judge = {
    .name = "judge", .operands = "run|answers|audit|report|prompts|parse", .summary = "which assistant is better, as other models see it, and what that is worth",
    .min_operands = 1, .max_operands = ARGS_MAX_OPERANDS, .run = command_run_part, .parts = parts,
    .details = "  starchat judge prompts --out prompts.jsonl\n"
               "  starchat judge run --prompts prompts.jsonl --base base.jsonl --tuned tuned.jsonl --judge MODEL --out DIR\n"
               "  starchat judge audit DIR\n  starchat judge report DIR\n  starchat help judge run",
};
