/* cmd_push.c - the command `push`: publishes a directory on the Hugging Face Hub. */
#include "cmd/cmd.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static double number(const json_t *object, const char *key) { return json_number_value(json_object_get(object, key)); }

/* "   138 MB  lfs      model.safetensors" */
static void print_files(const json_t *answer)
{
    const json_t *files = json_object_get(answer, "files"), *file;
    size_t i;
    json_array_foreach(files, i, file) {
        char size[32];
        format_bytes(size, sizeof size, number(file, "bytes"));
        printf("%10s  %-7s  ", size, member(file, "mode"));
        print_safe(stdout, member(file, "path"), strlen(member(file, "path")));
        if (*member(file, "finding")) printf("  << %s", member(file, "finding"));
        putchar('\n');
    }
}

/* Exit code: 1 where something was found that a push would refuse. */
static int tell_dry_run(const struct args_common *c, const json_t *answer)
{
    const json_t *findings = json_object_get(answer, "findings"), *x;
    size_t i, n = json_array_size(json_object_get(answer, "files"));
    char size[32];
    if (!c->json) print_files(answer);
    format_bytes(size, sizeof size, number(answer, "bytes"));
    json_array_foreach(findings, i, x) {
        char key[80] = "", line[32] = "";
        if (*member(x, "key")) snprintf(key, sizeof key, " (%s)", member(x, "key"));
        if (number(x, "line") > 0) snprintf(line, sizeof line, ", line %.0f", number(x, "line"));
        note(c, "%s%s%s: %s", member(x, "path"), line, key, member(x, "kind"));
    }
    if (json_array_size(findings)) note(c, "%zu file%s, %s; a push would refuse this for what is listed above.", n, n == 1 ? "" : "s", size);
    else note(c, "%zu file%s, %s; nothing in them looks like a secret or a place of this machine. Nothing was sent.", n, n == 1 ? "" : "s", size);
    return json_array_size(findings) ? EXIT_FAILED : EXIT_DONE;
}

static void tell_push(const struct args_common *c, const json_t *answer)
{
    char bytes[32], sent[32];
    format_bytes(bytes, sizeof bytes, number(answer, "bytes"));
    format_bytes(sent, sizeof sent, number(answer, "sent"));
    if (json_is_true(json_object_get(answer, "unchanged"))) note(c, "Everything is there already, in commit %.12s.", member(answer, "commit"));
    else {
        char more[120] = "";
        size_t n = 0;
        if (number(answer, "sent") > 0) n += (size_t)snprintf(more, sizeof more, ", %s of it sent to the store of large files now", sent);
        if (number(answer, "removed") > 0) snprintf(more + n, sizeof more - n, "; %.0f removed", number(answer, "removed"));
        note(c, "Commit %.12s: %.0f file%s, %s%s.", member(answer, "commit"), number(answer, "files"), number(answer, "files") == 1 ? "" : "s", bytes, more);
    }
    if (!c->json) {
        print_safe(stdout, member(answer, "url"), strlen(member(answer, "url")));
        putchar('\n');
    }
}

struct patterns { const char *include[ARGS_MAX_GIVEN], *exclude[ARGS_MAX_GIVEN], *remove[ARGS_MAX_GIVEN], *allow[ARGS_MAX_GIVEN]; };

static sc_push_patterns take(const struct args *a, const char *flag, const char **at)
{
    return (sc_push_patterns){ at, (size_t)args_values(a, flag, at, ARGS_MAX_GIVEN) };
}

static int run_push(const struct command *self, int argc, char **argv)
{
    struct args a;
    struct patterns lists;
    sc_push_config push = { 0 };
    sc_text text = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, (void *const[]){ &push });
    if (code != ARGS_GO) return code;
    if (a.n_operands == 1) return usage_error(self, "the repository is missing: starchat push %s org/name", a.operand[0]);
    signal(SIGPIPE, SIG_IGN);   /* a server may hang up */
    push.directory = a.operand[0];
    push.repo = a.operand[1];
    push.include = take(&a, "include", lists.include);
    push.exclude = take(&a, "exclude", lists.exclude);
    push.remove = take(&a, "delete", lists.remove);
    push.allow = take(&a, "allow", lists.allow);
    push.card = !args_has(&a, "no-card");
    push.on_event = draw_event;
    push.user = &a.common;
    sc_status status = sc_push(&text, &push, &err);
    progress_clear(&a.common);
    if (status != SC_OK) return fail_with(&a.common, &err);
    json_t *answer = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
    if (a.common.json) printf("%s\n", text.data);
    code = EXIT_DONE;
    if (push.dry_run) code = tell_dry_run(&a.common, answer);
    else tell_push(&a.common, answer);
    json_decref(answer);
    sc_text_free(&text);
    return code;
}

static const char *const push_tables[] = { "push", NULL };
static const char *const push_hidden[] = { "home", "card", NULL };
static const struct flag push_flags[] = {
    { "include", NULL, "PATTERN", "only files whose path fits, also of what is left out by itself; may be given several times", NULL },
    { "exclude", NULL, "PATTERN", "not these files; may be given several times", NULL },
    { "delete", NULL, "PATTERN", "remove these from the repository unless they are here; may be given several times", NULL },
    { "allow", NULL, "PATTERN", "no secret after all: a path, PATH:LINE, a kind, or the text itself; may be given several times", NULL },
    { "no-card", NULL, NULL, "write no README.md; without this one is written unless somebody else wrote one", NULL },
    FLAG_JSON,
    FLAG_END,
};
const struct command command_push = {
    .name = "push", .operands = "DIR ORG/NAME", .summary = "publish a model, a training's result or data on the Hugging Face Hub",
    .min_operands = 1, .max_operands = 2, .run = run_push, .tables = push_tables, .flags = push_flags, .hidden = push_hidden,
    .details = "Makes the repository if it is not there, private unless --public, and one commit; datasets/ORG/NAME is a data set.\n"
               "Of a training goes what others need: weights or adapter, tokenizer, template, configuration, recipe and curves;\n"
               "not its checkpoints, prepared data and optimiser. A push that was interrupted goes on when the same command is\n"
               "given again: what the Hub has is not sent twice. Files that hold keys, passwords or places of this machine are\n"
               "refused. HF_TOKEN must be a token that may write. Prints the address.\n\n"
               "  starchat push runs/mine org/mine-7b --dry-run\n"
               "  starchat push runs/mine org/mine-7b --public --message \"First version\"\n"
               "  starchat push answers.jsonl datasets/org/answers --pull-request",
};
