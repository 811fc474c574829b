/* cmd_talks.c - conversations that `chat` and the page keep: listed, shown, written to files and read from them, removed. */
#include "cmd/cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { IMPORT_BYTES_MAX = 1 << 30, NUMBER_MAX = 1000, NUMBER_DIGITS = 4, LIST_DEFAULT = 20 };

static int open_talks(sc_talks **t, const struct args_common *c)
{
    sc_error err = { 0 };
    sc_text home = { 0 }, told = { 0 };
    sc_status status = sc_store_home(&home, &err);
    if (status == SC_OK) status = sc_talks_open(t, home.data, &err);
    if (status == SC_OK) status = sc_talks_import_kept(&told, *t, &err);
    if (told.data) note(c, "%s", told.data);
    sc_text_free(&told);
    sc_text_free(&home);
    return status == SC_OK ? ARGS_GO : fail_with(c, &err);
}

static const char *member(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static void print_line(const char *text)
{
    print_safe(stdout, text, strlen(text));
    putchar('\n');
}

/* The id that is meant: a number of the list, or the id itself; *id NULL: no such number. */
static sc_status find_id(char **id, sc_talks *t, const char *operand, sc_error *err)
{
    sc_text text = { 0 };
    size_t digits = strspn(operand, "0123456789");
    unsigned long n = strtoul(operand, NULL, 10);
    *id = NULL;
    if (operand[digits] || digits > NUMBER_DIGITS) {
        *id = strdup(operand);
        return SC_OK;
    }
    sc_status status = sc_talks_list(&text, t, NULL, NUMBER_MAX, 0, err);
    json_t *o = status == SC_OK ? json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL) : NULL;
    const char *found = n ? json_string_value(json_object_get(json_array_get(json_object_get(o, "conversations"), n - 1), "id")) : NULL;
    if (found) *id = strdup(found);
    json_decref(o);
    sc_text_free(&text);
    return status;
}

/* ARGS_GO or an exit code after a message. */
static int need_id(char **id, sc_talks *t, const struct args *a, const char *operand)
{
    sc_error err = { 0 };
    if (find_id(id, t, operand, &err) != SC_OK) return fail_with(&a->common, &err);
    return *id ? ARGS_GO : fail_text("there is no conversation %s; `starchat talks list` numbers them", operand);
}

/* ---- list --------------------------------------------------------------------------------------------------------------------- */

static void print_list(const json_t *rows, bool is_numbered)
{
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row) {
        struct tm t;
        char when[32] = "";
        time_t updated = (time_t)json_number_value(json_object_get(row, "updated"));
        long long n = json_integer_value(json_object_get(row, "messages"));
        strftime(when, sizeof when, "%Y-%m-%d %H:%M", localtime_r(&updated, &t));
        if (is_numbered) printf("%4zu  ", i + 1);
        else printf("%s  ", member(row, "id"));
        printf("%s  %4lld message%s  ", when, n, n == 1 ? " " : "s");
        print_line(*member(row, "title") ? member(row, "title") : "(no title)");
        if (!*member(row, "snippet")) continue;
        fputs("      ", stdout);
        print_line(member(row, "snippet"));
    }
}

/* Operands with blanks between them; malloc'ed. */
static char *joined(const struct args *a)
{
    size_t len = 1;
    for (int i = 0; i < a->n_operands; i++) len += strlen(a->operand[i]) + 1;
    char *text = calloc(len, 1), *at = text;
    if (!text) abort();
    for (int i = 0; i < a->n_operands; i++) at += snprintf(at, len - (size_t)(at - text), "%s%s", i ? " " : "", a->operand[i]);
    return text;
}

static int run_list(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_talks *t = NULL;
    sc_text text = { 0 };
    sc_error err = { 0 };
    long long limit = LIST_DEFAULT;
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code == ARGS_GO) code = args_integer(&a, "limit", &limit, LIST_DEFAULT, 1, NUMBER_MAX);
    if (code == ARGS_GO) code = open_talks(&t, &a.common);
    if (code != ARGS_GO) return code;
    char *query = joined(&a);
    sc_status status = sc_talks_list(&text, t, query, limit, 0, &err);
    code = status == SC_OK ? EXIT_DONE : fail_with(&a.common, &err);
    if (status == SC_OK && a.common.json) printf("%s\n", text.data);
    else if (status == SC_OK) {
        json_t *o = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
        print_list(json_object_get(o, "conversations"), !*query);
        if (!json_array_size(json_object_get(o, "conversations"))) note(&a.common, *query ? "No conversation has these words." : "No conversation is kept yet.");
        else if (json_is_true(json_object_get(o, "more"))) note(&a.common, "There are more; --limit N shows N of them.");
        json_decref(o);
    }
    free(query);
    sc_text_free(&text);
    sc_talks_close(t);
    return code;
}

static const struct flag list_flags[] = { { "limit", "n", "N", "at most N conversations (default: 20)", NULL }, FLAG_JSON, FLAG_END };
static const struct command talks_list = {
    .name = "talks list", .operands = "[WORD...]", .summary = "the newest conversations, or those with all the words",
    .max_operands = ARGS_MAX_OPERANDS, .run = run_list, .flags = list_flags,
    .details = "Words stand in the title or in one message; the beginning of a word is enough.",
};

/* ---- show, export ----------------------------------------------------------------------------------------------------------------- */

static int write_out(const struct args *a, const char *format, const char *operand)
{
    sc_talks *t = NULL;
    sc_text text = { 0 };
    sc_error err = { 0 };
    char *id = NULL;
    int code = open_talks(&t, &a->common);
    if (code == ARGS_GO && operand) code = need_id(&id, t, a, operand);
    if (code == ARGS_GO) code = sc_talks_export(&text, t, id, format, &err) == SC_OK ? EXIT_DONE : fail_with(&a->common, &err);
    if (code == EXIT_DONE) print_text(stdout, text.data, text.len);
    free(id);
    sc_text_free(&text);
    sc_talks_close(t);
    return code;
}

static int run_show(const struct command *self, int argc, char **argv)
{
    struct args a;
    int code = args_parse(&a, self, argc, argv, NULL);
    return code == ARGS_GO ? write_out(&a, a.common.json ? "json" : "markdown", a.operand[0]) : code;
}

static const struct flag json_flags[] = { FLAG_JSON, FLAG_END };
static const struct command talks_show = {
    .name = "talks show", .operands = "ID|N", .summary = "one conversation as Markdown: the branch looked at last",
    .min_operands = 1, .max_operands = 1, .run = run_show, .flags = json_flags,
    .details = "N is a number of `talks list` without words, 1 the newest. --json prints all branches.",
};

static int run_export(const struct command *self, int argc, char **argv)
{
    struct args a;
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    bool is_markdown = args_has(&a, "markdown");
    if (is_markdown && !a.n_operands) return usage_error(self, "--markdown writes one conversation: ID, or N of `talks list`");
    return write_out(&a, is_markdown ? "markdown" : "json", a.n_operands ? a.operand[0] : NULL);
}

static const struct flag export_flags[] = { { "markdown", NULL, NULL, "one conversation as Markdown: the branch looked at last", NULL }, FLAG_END };
static const struct command talks_export = {
    .name = "talks export", .operands = "[ID|N]", .summary = "all conversations, or one, as JSON on standard output",
    .max_operands = 1, .run = run_export, .flags = export_flags,
    .details = "  starchat talks export > conversations.json\n  starchat talks export 1 --markdown > talk.md\nNothing is lost in JSON; `talks import` reads both.",
};

/* ---- import --------------------------------------------------------------------------------------------------------------------------- */

static int import_one(const struct args *a, sc_talks *t, const char *path)
{
    sc_text out = { 0 };
    sc_error err = { 0 };
    size_t len = 0;
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *from = is_stdin ? stdin : fopen(path, "rb");
    if (!from) return fail_text("%s: %s", path, strerror(errno));
    char *text = read_all(from, IMPORT_BYTES_MAX, &len, path);
    if (!is_stdin) fclose(from);
    if (!text) return EXIT_FAILED;
    sc_status status = sc_talks_import(&out, t, text, len, is_stdin ? "standard input" : path, &err);
    free(text);
    if (status != SC_OK) return fail_with(&a->common, &err);
    json_t *o = json_loadb(out.data, out.len, 0, NULL);
    if (a->common.json) printf("%s\n", out.data);
    else printf("%lld imported, %lld there already\n", (long long)json_integer_value(json_object_get(o, "imported")), (long long)json_integer_value(json_object_get(o, "skipped")));
    json_decref(o);
    sc_text_free(&out);
    return ARGS_GO;
}

static int run_import(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_talks *t = NULL;
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code == ARGS_GO) code = open_talks(&t, &a.common);
    for (int i = 0; i < a.n_operands && code == ARGS_GO; i++) code = import_one(&a, t, a.operand[i]);
    sc_talks_close(t);
    return code == ARGS_GO ? EXIT_DONE : code;
}

static const struct command talks_import = {
    .name = "talks import", .operands = "FILE...", .summary = "read exports of starchat or ChatGPT, files of /save, Markdown",
    .min_operands = 1, .max_operands = ARGS_MAX_OPERANDS, .run = run_import, .flags = json_flags,
    .details = "ChatGPT: conversations.json of \"Export data\". Each file is read whole or not at all; what is there already is left\nout. - is standard input.",
};

/* ---- rm ---------------------------------------------------------------------------------------------------------------------------------- */

static int remove_one(const struct args *a, sc_talks *t, const char *id)
{
    sc_text text = { 0 };
    sc_error err = { 0 };
    sc_status status = sc_talks_get(&text, t, id, &err);
    if (status == SC_OK) status = sc_talks_delete(t, id, &err);
    if (status == SC_OK) {
        json_t *o = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
        note(&a->common, "Removed: %s", *member(o, "title") ? member(o, "title") : "(no title)");
        json_decref(o);
    }
    sc_text_free(&text);
    return status == SC_OK ? ARGS_GO : fail_with(&a->common, &err);
}

/* All numbers are looked up before the first is removed and the others move up. */
static int run_rm(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_talks *t = NULL;
    char *id[ARGS_MAX_OPERANDS] = { NULL };
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    code = open_talks(&t, &a.common);
    for (int i = 0; i < a.n_operands && code == ARGS_GO; i++) code = need_id(&id[i], t, &a, a.operand[i]);
    for (int i = 0; i < a.n_operands && code == ARGS_GO; i++) code = remove_one(&a, t, id[i]);
    for (int i = 0; i < a.n_operands; i++) free(id[i]);
    sc_talks_close(t);
    return code == ARGS_GO ? EXIT_DONE : code;
}

static const struct command talks_rm = {
    .name = "talks rm", .operands = "ID|N...", .summary = "remove conversations with all their branches",
    .min_operands = 1, .max_operands = ARGS_MAX_OPERANDS, .run = run_rm,
    .details = "N is a number of `talks list` without words, 1 the newest. The texts are overwritten in the file.",
};

/* ---- talks ----------------------------------------------------------------------------------------------------------------------------------- */

static const struct command *const parts[] = { &talks_list, &talks_show, &talks_export, &talks_import, &talks_rm, NULL };
const struct command command_talks = {
    .name = "talks", .operands = "list|show|export|import|rm", .summary = "conversations that `chat` keeps: find, show, export, import, remove",
    .min_operands = 1, .max_operands = ARGS_MAX_OPERANDS, .run = command_run_part, .parts = parts,
    .details = "They are one file in the store's home, which the page of `starchat serve` uses too.\n  starchat talks list sorting\n  starchat talks import conversations.json",
};
