/* cmd_keep.c - keeping the store in order: alias, import, disk. */
#include "cmd/cmd.h"

#include <stdlib.h>
#include <string.h>

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void print_size(const json_t *row, const char *key, size_t width)
{
    char text[32];
    format_bytes(text, sizeof text, json_number_value(json_object_get(row, key)));
    print_column(text, width);
}

/* ---- alias ------------------------------------------------------------------------------------------------------------------ */

static int list_aliases(const struct args_common *c)
{
    sc_text text = { 0 };
    sc_error err = { 0 };
    if (sc_store_list(&text, NULL, &err) != SC_OK) return fail_with(c, &err);
    json_t *all = json_loadb(text.data, text.len, 0, NULL), *out = json_array(), *row;
    size_t i;
    json_array_foreach(all, i, row) if (json_object_get(row, "alias_of")) json_array_append(out, row);
    char *dump = c->json ? json_dumps(out, 0) : NULL;
    if (dump) printf("%s\n", dump);
    else if (!json_array_size(out)) note(c, "There are no aliases; `starchat alias NAME MODEL` makes one.");
    json_array_foreach(out, i, row) {
        if (dump) break;
        print_column(member(row, "name"), 24);
        printf(" -> ");
        print_column(member(row, "alias_of"), 0);
        puts(json_is_true(json_object_get(row, "gone")) ? "  (gone)" : "");
    }
    free(dump);
    json_decref(out);
    json_decref(all);
    sc_text_free(&text);
    return EXIT_DONE;
}

static int run_alias(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    bool forgets = args_has(&a, "remove");
    if (!a.n_operands && !forgets) return list_aliases(&a.common);
    if (forgets && a.n_operands != 1) return usage_error(self, "--remove takes one NAME");
    if (!forgets && a.n_operands != 2) return usage_error(self, "MODEL is missing: what %s is to stand for", a.operand[0]);
    if (sc_store_alias(a.operand[0], forgets ? NULL : a.operand[1], NULL, &err) != SC_OK) return fail_with(&a.common, &err);
    return EXIT_DONE;
}

static const struct flag alias_flags[] = {
    { "remove", NULL, NULL, "forget the alias NAME; the model stays", NULL },
    FLAG_JSON,
    FLAG_END,
};
const struct command command_alias = {
    .name = "alias", .operands = "[NAME MODEL]", .summary = "a name of your own for a model",
    .max_operands = 2, .run = run_alias, .flags = alias_flags,
    .details = "NAME can be used wherever a MODEL is asked for, and may have a tag, as in mine:v2. MODEL is a stored name, org/repo in\n"
               "huggingface_hub's cache, or a path, which is kept absolute. Nothing is copied. Without NAME the aliases are listed.\n\n"
               "  starchat alias mine:v1 runs/demo && starchat chat mine:v1",
};

/* ---- import --------------------------------------------------------------------------------------------------------------------- */

static json_t *stored_names(void)
{
    sc_text text = { 0 };
    json_t *names = json_object(), *all = sc_store_list(&text, NULL, NULL) == SC_OK ? json_loadb(text.data, text.len, 0, NULL) : NULL, *row;
    size_t i;
    json_array_foreach(all, i, row) json_object_set_new(names, member(row, "name"), json_true());
    json_decref(all);
    sc_text_free(&text);
    return names;
}

static void list_found(const struct args_common *c, const json_t *rows)
{
    json_t *stored = stored_names(), *row;
    size_t i, name = 4;
    json_array_foreach(rows, i, row) if (strlen(member(row, "name")) > name) name = strlen(member(row, "name"));
    if (json_array_size(rows)) {
        print_column("NAME", name + 2);
        printf("%-11s%-17s%s\n", "SIZE", "OF", "HERE");
    } else note(c, "Ollama, llama.cpp, LM Studio and huggingface_hub have no models on this machine.");
    json_array_foreach(rows, i, row) {
        print_column(member(row, "name"), name + 2);
        print_size(row, "bytes", 11);
        print_column(member(row, "from"), 17);
        puts(json_is_true(json_object_get(row, "ready")) ? "by this name, nothing to do" : json_object_get(stored, member(row, "name")) ? "imported" : "no");
    }
    json_decref(stored);
}

static sc_status import_one(struct args_common *c, const json_t *row, sc_error *err)
{
    sc_text path = { 0 };
    if (json_is_true(json_object_get(row, "ready"))) {
        note(c, "%s can be used as it is.", member(row, "name"));
        return SC_OK;
    }
    const char *sha256 = member(row, "sha256");
    sc_status status = sc_pull(&path, &(sc_pull_config){ .source = member(row, "path"), .name = member(row, "name"), .sha256 = sha256, .link = true, .jobs = 1, .on_event = draw_event, .user = c }, err);
    progress_clear(c);
    if (status == SC_OK) note(c, "%s is here now, as a link to %s's file.", member(row, "name"), member(row, "from"));
    sc_text_free(&path);
    return status;
}

/* The first of that name; the others can be reached by `starchat pull PATH --link --name NAME`. */
static const json_t *find_row(const json_t *rows, const char *name)
{
    const json_t *row;
    size_t i;
    json_array_foreach(rows, i, row) if (!strcmp(member(row, "name"), name)) return row;
    return NULL;
}

/* One that cannot be used here does not keep the others out. */
static int import_all(struct args *a, const json_t *rows)
{
    int code = EXIT_DONE;
    const json_t *row;
    size_t i;
    json_array_foreach(rows, i, row) {
        sc_error err = { 0 };
        if (!json_is_true(json_object_get(row, "ready")) && import_one(&a->common, row, &err) != SC_OK) code = fail_text("%s: %s", member(row, "name"), err.message);
    }
    return code;
}

static int import_named(struct args *a, const json_t *rows)
{
    for (int i = 0; i < a->n_operands; i++) {
        sc_error err = { 0 };
        const json_t *row = find_row(rows, a->operand[i]);
        if (!row) return fail_text("no other program on this machine has %s; `starchat import` lists what they have", a->operand[i]);
        if (import_one(&a->common, row, &err) != SC_OK) return fail_text("%s: %s", a->operand[i], err.message);
    }
    return EXIT_DONE;
}

static int run_import(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_text text = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    if (args_has(&a, "all") && a.n_operands) return usage_error(self, "--all stands in place of names");
    if (sc_store_found(&text, &err) != SC_OK) return fail_with(&a.common, &err);
    json_t *rows = json_loadb(text.data, text.len, 0, NULL);
    if (args_has(&a, "all")) code = import_all(&a, rows);
    else if (a.n_operands) code = import_named(&a, rows);
    else {
        if (a.common.json) printf("%s\n", text.data);
        else list_found(&a.common, rows);
        code = EXIT_DONE;
    }
    json_decref(rows);
    sc_text_free(&text);
    return code;
}

static const struct flag import_flags[] = {
    { "all", NULL, NULL, "all that are listed", NULL },
    FLAG_JSON,
    FLAG_END,
};
const struct command command_import = {
    .name = "import", .operands = "[NAME...]", .summary = "use models that Ollama, llama.cpp, LM Studio or Python have here",
    .max_operands = ARGS_MAX_OPERANDS, .run = run_import, .flags = import_flags,
    .details = "Nothing is copied: the store gets a hard link where it lies on the same file system and may have one, so that the\n"
               "model stays when the other program removes it; else a symbolic link. The model keeps its name, as in\n"
               "qwen2.5-coder:0.5b. Template and system prompt are those in the .gguf file; what Ollama keeps beside it (Modelfile)\n"
               "is not read. Without NAME the models there are listed. Files elsewhere: starchat pull PATH --link --name NAME.",
};

/* ---- disk ------------------------------------------------------------------------------------------------------------------------ */

static int show_usage(const struct args_common *c)
{
    sc_text text = { 0 };
    sc_error err = { 0 };
    if (sc_store_usage(&text, NULL, &err) != SC_OK) return fail_with(c, &err);
    json_t *all = json_loadb(text.data, text.len, 0, NULL), *rows = json_object_get(all, "rows"), *row;
    size_t i;
    if (c->json) printf("%s\n", text.data);
    else if (!json_array_size(rows)) note(c, "Nothing is stored yet.");
    else printf("%-26s%-11s%-11s%s\n", "WHAT", "ON DISK", "OWN", "WHERE");
    json_array_foreach(rows, i, row) {
        if (c->json) break;
        print_column(member(row, "what"), 26);
        print_size(row, "bytes", 11);
        print_size(row, "freed", 11);
        print_column(member(row, "path"), 0);
        putchar('\n');
    }
    json_decref(all);
    sc_text_free(&text);
    return EXIT_DONE;
}

static int free_space(const struct args *a, double days)
{
    sc_text text = { 0 };
    sc_error err = { 0 };
    bool is_dry = args_has(a, "dry-run");
    double sum = 0;
    char total[32];
    if (sc_store_free(&text, NULL, days, is_dry, &err) != SC_OK) return fail_with(&a->common, &err);
    json_t *rows = json_loadb(text.data, text.len, 0, NULL), *row;
    size_t i;
    if (a->common.json) printf("%s\n", text.data);
    json_array_foreach(rows, i, row) {
        sum += json_number_value(json_object_get(row, "bytes"));
        if (a->common.json) continue;
        print_column(member(row, "what"), 40);
        putchar(' ');
        print_size(row, "bytes", 11);
        print_column(member(row, "why"), 0);
        putchar('\n');
    }
    format_bytes(total, sizeof total, sum);
    if (json_array_size(rows)) note(&a->common, is_dry ? "%zu would be removed: %s. Without --dry-run it is done." : "%zu removed: %s.", json_array_size(rows), total);
    else note(&a->common, "There is nothing that nothing needs.");
    json_decref(rows);
    sc_text_free(&text);
    return EXIT_DONE;
}

static int run_disk(const struct command *self, int argc, char **argv)
{
    struct args a;
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    const char *given = args_value(&a, "days");
    char *end = NULL;
    double days = given ? strtod(given, &end) : 7;
    if (given && (end == given || *end || !(days >= 0))) return usage_error(self, "--days is %s, expected a number of days", given);
    if (!args_has(&a, "free") && (given || args_has(&a, "dry-run"))) return usage_error(self, "--days and --dry-run belong to --free");
    return args_has(&a, "free") ? free_space(&a, days) : show_usage(&a.common);
}

static const struct flag disk_flags[] = {
    { "free", NULL, NULL, "remove downloads left unfinished, what a killed removal left, and aliases of what is gone", NULL },
    { "days", NULL, "N", "with --free: downloads that nothing was added to for so long (default: 7)", NULL },
    { "dry-run", NULL, NULL, "with --free: say what would be removed", NULL },
    FLAG_JSON,
    FLAG_END,
};
const struct command command_disk = {
    .name = "disk", .operands = "", .summary = "what the store takes on disk; --free removes what nothing needs",
    .run = run_disk, .flags = disk_flags,
    .details = "OWN is what removing it would give back: a file that another program's store shares stays until\nthat one removes it too. "
               "Models, conversations and the prompt cache are never removed by --free:\n`starchat rm`, `talks` and `cache` do that.",
};
