/* cmd_template.c - chat requests to the prompt that a model sees. */
#include "cmd/cmd.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REQUEST_BYTES_MAX = 64 << 20 };

/* A built-in name, a file or a model directory as it is; else a name of the store. */
static sc_status template_open(sc_template **out, const char *name, sc_error *err)
{
    sc_text path = { 0 };
    sc_status status = sc_template_open(out, name, err);
    if (status == SC_OK || access(name, F_OK) == 0) return status;
    if (sc_store_resolve(&path, name, NULL, NULL) == SC_OK) status = sc_template_open(out, path.data, err);
    sc_text_free(&path);
    return status;
}

static int render_all(const sc_template *t, const struct args_common *c)
{
    sc_text out = { 0 };
    sc_error err = { 0 };
    size_t len;
    char *request = read_all(stdin, REQUEST_BYTES_MAX, &len, "the request");
    if (!request) return EXIT_FAILED;
    sc_status status = sc_template_render(&out, t, request, len, &err);
    free(request);
    if (status != SC_OK) return fail_with(c, &err);
    if (c->json) print_text_line("text", out.data, out.len);
    else print_text(stdout, out.data, out.len);
    sc_text_free(&out);
    return EXIT_DONE;
}

/* A request that cannot be rendered is a result too: its line holds the error. */
static int render_lines(const sc_template *t)
{
    struct line_reader r;
    char *line;
    size_t len;
    int got;
    line_open(&r, STDIN_FILENO);
    while ((got = line_next(&r, &line, &len)) > 0) {
        sc_text out = { 0 };
        sc_error err = { 0 };
        if (strspn(line, " \t") == len) continue;
        if (sc_template_render(&out, t, line, len, &err) == SC_OK) print_text_line("text", out.data, out.len);
        else print_text_line("error", err.message, strlen(err.message));
        sc_text_free(&out);
    }
    line_close(&r);
    return got < 0 ? EXIT_FAILED : EXIT_DONE;
}

static int run_template(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_template *t = NULL;
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    if (template_open(&t, a.operand[0], &err) != SC_OK) return fail_with(&a.common, &err);
    code = args_has(&a, "jsonl") ? render_lines(t) : render_all(t, &a.common);
    sc_template_close(t);
    return code;
}

static const struct flag flags[] = {
    { "jsonl", NULL, NULL, "one request a line to lines {\"text\":...} or {\"error\":...}", NULL },
    FLAG_JSON,
    FLAG_END,
};
const struct command command_template = {
    .name = "template", .operands = "NAME|FILE|MODEL", .summary = "render a chat request from stdin to a prompt",
    .min_operands = 1, .max_operands = 1, .run = run_template, .flags = flags,
    .details = "Built-in names: no_system (or starchat), starchat-blog, default, alpaca, chatml. FILE is a Jinja template.\n\n"
               "  echo '{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"add_generation_prompt\":true}' |\n"
               "    starchat template chatml",
};
