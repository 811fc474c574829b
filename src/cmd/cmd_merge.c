/* cmd_merge.c - `merge`: an adapter into its base. */
#include "cmd/cmd.h"

#include <string.h>

static int run_merge(const struct command *self, int argc, char **argv)
{
    struct args a;
    struct opened o = { 0 };
    sc_merge_config config = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, (void *const[]){ &config });
    if (code != ARGS_GO) return code;
    if (sc_store_resolve(&o.path, a.operand[0], NULL, &err) != SC_OK || sc_store_resolve(&o.adapter, a.operand[1], NULL, &err) != SC_OK) code = fail_with(&a.common, &err);
    config.base = o.path.data;
    config.adapter = o.adapter.data;
    config.out = a.operand[2];
    config.on_event = draw_event;
    config.user = &a.common;
    if (code == ARGS_GO) code = open_runtime(&o, &a.common);
    if (code == ARGS_GO) {
        sc_status status = sc_merge(o.runtime, &config, &err);
        progress_clear(&a.common);
        code = status == SC_OK ? EXIT_DONE : fail_with(&a.common, &err);
    }
    if (code == EXIT_DONE && a.common.json) {
        fputs("{\"out\":", stdout);
        print_json_string(stdout, config.out, strlen(config.out));
        fputs("}\n", stdout);
    } else if (code == EXIT_DONE) note(&a.common, "Wrote %s.", config.out);
    close_model(&o);
    return code;
}

static const char *const tables[] = { "merge", NULL };
static const struct flag flags[] = { FLAG_JSON, FLAG_END };
const struct command command_merge = {
    .name = "merge", .operands = "BASE ADAPTER OUT", .summary = "add an adapter (LoRA) to its base model",
    .min_operands = 3, .max_operands = 3, .run = run_merge, .tables = tables, .flags = flags,
    .details = "OUT is a GGUF file if its name ends in .gguf, otherwise a directory. Tensors stream through, so memory stays\n"
               "small. The result is read back and must give the logits of base and adapter together.\n\n"
               "  starchat merge smollm2:135m out/adapter merged.gguf --type q8_0",
};
