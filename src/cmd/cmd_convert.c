/* cmd_convert.c - jobs that write model files: convert and init. Both stream, tensor by tensor. */
#include "cmd/cmd.h"

#include <string.h>

static int report(const struct args *a, struct opened *o, sc_status status, const sc_error *err, const char *out)
{
    progress_clear((struct args_common *)&a->common);
    int code = status == SC_OK ? EXIT_DONE : fail_with(&a->common, err);
    if (status == SC_OK && a->common.json) {
        fputs("{\"out\":", stdout);
        print_json_string(stdout, out, strlen(out));
        fputs("}\n", stdout);
    } else if (status == SC_OK) note(&a->common, "Wrote %s.", out);
    close_model(o);
    return code;
}

static int run_convert(const struct command *self, int argc, char **argv)
{
    struct args a;
    struct opened o = { 0 };
    sc_convert_config config = { 0 };
    sc_text in = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, (void *const[]){ &config });
    if (code != ARGS_GO) return code;
    if (sc_store_resolve(&in, a.operand[0], NULL, &err) != SC_OK) return fail_with(&a.common, &err);
    config.in = in.data;
    config.out = a.operand[1];
    config.on_event = draw_event;
    config.user = &a.common;
    code = open_runtime(&o, &a.common);
    if (code == ARGS_GO) code = report(&a, &o, sc_convert(o.runtime, &config, &err), &err, config.out);
    close_model(&o);
    sc_text_free(&in);
    return code;
}

static const char *const convert_tables[] = { "convert", NULL };
static const struct flag flags[] = { FLAG_JSON, FLAG_END };
const struct command command_convert = {
    .name = "convert", .operands = "IN OUT", .summary = "between Hugging Face directory and GGUF, and quantise",
    .min_operands = 2, .max_operands = 2, .run = run_convert, .tables = convert_tables, .flags = flags,
    .details = "OUT is a GGUF file if its name ends in .gguf, otherwise a directory. Tensors stream through, so memory stays\n"
               "small whatever the model's size.\n\n"
               "  starchat convert MODEL model-q4_k_m.gguf --type q4_k_m\n\n"
               "With --calibrate the model first reads that text (once through the model for each token, in f32, mapped from its\n"
               "file), and the columns of its matrices that matter most for it are rounded with most care. Take a text like what\n"
               "the model will be used for. --imatrix keeps what was measured, or uses what this program or llama.cpp measured.\n\n"
               "  starchat convert MODEL model-q4_k_m.gguf --type q4_k_m --calibrate examples.txt --imatrix model.imatrix.gguf\n"
               "  starchat convert MODEL model-q5_k_m.gguf --type q5_k_m --imatrix model.imatrix.gguf",
};

static int run_init(const struct command *self, int argc, char **argv)
{
    struct args a;
    struct opened o = { 0 };
    sc_init_config config = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, (void *const[]){ &config });
    if (code != ARGS_GO) return code;
    config.config = a.operand[0];
    config.out = a.operand[1];
    config.on_event = draw_event;
    config.user = &a.common;
    code = open_runtime(&o, &a.common);
    if (code == ARGS_GO) code = report(&a, &o, sc_init(o.runtime, &config, &err), &err, config.out);
    close_model(&o);
    return code;
}

static const char *const init_tables[] = { "init", NULL };
const struct command command_init = {
    .name = "init", .operands = "CONFIG.json OUT", .summary = "a randomly initialised model from a config.json",
    .min_operands = 2, .max_operands = 2, .run = run_init, .tables = init_tables, .flags = flags,
    .details = "OUT is a GGUF file if its name ends in .gguf, otherwise a directory. The same --seed gives the same bytes.\n\n"
               "  starchat init config.json tiny --tokenizer tokenizer.json --seed 1",
};
