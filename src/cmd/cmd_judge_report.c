/* cmd_judge_report.c - `starchat judge report`: a page about what was judged. */
#include "cmd/cmd.h"

#include <stdlib.h>
#include <string.h>

static int run_report(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    const char *directory = a.operand[0], *out = args_value(&a, "out");
    size_t len = strlen(directory);
    char *own = malloc(len + 16);
    if (!own) return EXIT_FAILED;
    snprintf(own, len + 16, "%s%sreport.html", directory, len && directory[len - 1] == '/' ? "" : "/");
    code = sc_judge_report(directory, out ? out : own, &err) == SC_OK ? EXIT_DONE : fail_with(&a.common, &err);
    if (code == EXIT_DONE) {
        print_safe(stdout, out ? out : own, strlen(out ? out : own));
        putchar('\n');
    }
    free(own);
    return code;
}

static const struct flag flags[] = { { "out", NULL, "FILE.html|FILE.md", "where to; .md is a summary [DIR/report.html]", NULL }, FLAG_END };
const struct command command_judge_report = {
    .name = "judge report", .operands = "DIR", .summary = "a page about a run: who is better, which judges are to be trusted, every judgement",
    .min_operands = 1, .max_operands = 1, .run = run_report, .flags = flags,
    .details = "The page needs nothing besides itself and asks nothing of the net. Prints its name.\n\n"
               "  starchat judge report run/\n"
               "  starchat judge report run/ --out summary.md",
};
