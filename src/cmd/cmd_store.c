/* cmd_store.c - the local store of models: pull, list, rm. */
#include "cmd/cmd.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The text of a library call as JSON; NULL after a message. */
static json_t *parse_answer(const sc_text *text)
{
    json_error_t e;
    json_t *value = json_loadb(text->data, text->len, JSON_ALLOW_NUL, &e);
    if (!value) fail_text("the library's answer is not valid JSON: %s", e.text);
    return value;
}

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static size_t widest(const json_t *rows, const char *key, size_t least)
{
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row) if (strlen(member(row, key)) > least) least = strlen(member(row, key));
    return least;
}

/* ---- pull ---------------------------------------------------------------------------------------------------------------- */

static int list_builtin(const struct args_common *c)
{
    sc_text text = { 0 };
    sc_error err = { 0 };
    if (sc_store_names(&text, &err) != SC_OK) return fail_with(c, &err);
    json_t *rows = c->json ? NULL : parse_answer(&text);
    if (c->json) printf("%s\n", text.data);
    size_t i, name = widest(rows, "name", 4) + 2, licence = widest(rows, "licence", 7) + 2;
    const json_t *row;
    json_array_foreach(rows, i, row) {
        print_column(member(row, "name"), name);
        print_column(member(row, "licence"), licence);
        print_column(member(row, "help"), 0);
        putchar('\n');
    }
    if (rows) note(c, "\nPull one with: starchat pull NAME (or org/repo[@revision], a URL, a path)");
    int code = c->json || rows ? EXIT_DONE : EXIT_FAILED;
    json_decref(rows);
    sc_text_free(&text);
    return code;
}

static int run_pull(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_pull_config pull = { 0 };
    sc_text path = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, (void *const[]){ &pull });
    if (code != ARGS_GO) return code;
    if (a.n_operands == 0) return list_builtin(&a.common);
    signal(SIGPIPE, SIG_IGN);   /* a server may hang up */
    pull.source = a.operand[0];
    pull.on_event = draw_event;
    pull.user = &a.common;
    sc_status status = sc_pull(&path, &pull, &err);
    progress_clear(&a.common);
    if (status != SC_OK) return fail_with(&a.common, &err);
    if (a.common.json) {
        fputs("{\"path\":", stdout);
        print_json_string(stdout, path.data, path.len);
        fputs("}\n", stdout);
    } else printf("%s\n", path.data);
    sc_text_free(&path);
    return EXIT_DONE;
}

static const char *const pull_tables[] = { "pull", NULL };
static const struct flag json_flags[] = { FLAG_JSON, FLAG_END };
const struct command command_pull = {
    .name = "pull", .operands = "[MODEL]", .summary = "fetch a model to the local store",
    .max_operands = 1, .run = run_pull, .tables = pull_tables, .flags = json_flags,
    .details = "MODEL is a built-in name, org/repo[@revision][:file.gguf] on the Hugging Face Hub, a URL or a path; data sets are\n"
               "datasets/org/repo. Without MODEL the built-in names are listed. What comes from the Hub lies in the cache of the\n"
               "Python clients, shared with them. An interrupted download continues where it stopped. Prints the local path.\n\n"
               "  starchat pull smollm2:135m-instruct",
};

/* ---- list ----------------------------------------------------------------------------------------------------------------- */

static int run_list(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_text text = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    if (sc_store_list(&text, NULL, &err) != SC_OK) return fail_with(&a.common, &err);
    json_t *rows = a.common.json ? NULL : parse_answer(&text);
    if (a.common.json) printf("%s\n", text.data);
    size_t i, name = widest(rows, "name", 4) + 2;
    const json_t *row;
    if (json_array_size(rows) > 0) {
        print_column("NAME", name);
        printf("%-10s%s\n", "SIZE", "PULLED");
    } else if (rows) note(&a.common, "No model is stored yet; `starchat pull` lists what can be fetched.");
    json_array_foreach(rows, i, row) {
        char size[32];
        const char *alias_of = json_string_value(json_object_get(row, "alias_of"));
        print_column(member(row, "name"), name);
        if (alias_of) {
            printf("-> ");
            print_column(alias_of, 0);
            puts(json_is_true(json_object_get(row, "gone")) ? " (gone)" : "");
            continue;
        }
        format_bytes(size, sizeof size, json_number_value(json_object_get(row, "bytes")));
        printf("%-10s", size);
        print_column(member(row, "pulled"), 0);
        putchar('\n');
    }
    code = a.common.json || rows ? EXIT_DONE : EXIT_FAILED;
    json_decref(rows);
    sc_text_free(&text);
    return code;
}

const struct command command_list = {
    .name = "list", .operands = "", .summary = "models of the local store", .run = run_list, .flags = json_flags,
};

/* ---- rm --------------------------------------------------------------------------------------------------------------------- */

static int run_rm(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    for (int i = 0; i < a.n_operands; i++) {
        bool asks = !args_has(&a, "yes") && isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
        if (asks && !ask("Remove %s from the store?", a.operand[i])) continue;
        if (sc_store_remove(a.operand[i], NULL, &err) != SC_OK) return fail_with(&a.common, &err);
        note(&a.common, "Removed %s.", a.operand[i]);
    }
    return EXIT_DONE;
}

static const struct flag rm_flags[] = {
    { "yes", "y", NULL, "do not ask", NULL },
    FLAG_END,
};
const struct command command_rm = {
    .name = "rm", .operands = "NAME...", .summary = "remove models from the local store",
    .min_operands = 1, .max_operands = ARGS_MAX_OPERANDS, .run = run_rm, .flags = rm_flags,
};
