/* help_markdown.c - the reference of commands as Markdown (tables as GitHub has them): from the same rows as --help. */
#include "cmd/help.h"

#include <ctype.h>
#include <string.h>

/* Text with nothing in it that Markdown would take for its own but `code`, in which only a bar is escaped; options become code. */
static void print_escaped(FILE *to, const char *text)
{
    bool in_code = false, at_word = true;
    for (; *text; text++) {
        if (!in_code && at_word && strncmp(text, "--", 2) == 0 && islower((unsigned char)text[2])) {
            int n = 2 + (int)strspn(text + 2, "abcdefghijklmnopqrstuvwxyz0123456789-");
            fprintf(to, "`%.*s`", n, text);
            text += n - 1;
            at_word = false;
            continue;
        }
        at_word = strchr(" \n(", *text) != NULL;
        if (*text == '`') in_code = !in_code;
        else if (*text == '|' || (!in_code && strchr("\\*_[]<>", *text))) putc('\\', to);
        putc(*text == '\n' ? ' ' : *text, to);
    }
}

static void print_code(FILE *to, const char *text)
{
    putc('`', to);
    for (; *text; text++) {
        if (*text == '|') putc('\\', to);
        putc(*text, to);
    }
    putc('`', to);
}

static void option_row(FILE *to, const struct option_text *t)
{
    fputs("| ", to);
    print_code(to, t->names);
    fputs(" | ", to);
    print_escaped(to, t->help);
    fputs(" | ", to);
    if (t->fallback) print_code(to, t->fallback);
    fputs(" |\n", to);
}

static const char table_head[] = "| option | what it does | default |\n|---|---|---|\n";

/* Paragraphs; indented lines are examples. */
static void print_details(FILE *to, const char *text)
{
    bool in_example = false, is_blank = true;
    char line[512];
    while (*text) {
        int n = (int)strcspn(text, "\n");
        bool is_example = strncmp(text, "  ", 2) == 0;
        if (is_example != in_example) fputs(is_example ? is_blank ? "```text\n" : "\n```text\n" : "```\n\n", to);
        in_example = is_example;
        snprintf(line, sizeof line, "%.*s", n, is_example ? text + 2 : text);
        if (is_example) {
            if (n > 1) line[n - 2] = 0;
            fputs(line, to);
        } else print_escaped(to, line);
        putc('\n', to);
        is_blank = n == 0;
        text += n + (text[n] == '\n');
    }
    fputs(in_example ? "```\n" : "", to);
}

static void print_command(FILE *to, const struct command *c, const char *level)
{
    fprintf(to, "%s starchat %s\n\n", level, c->name);
    putc(toupper((unsigned char)c->summary[0]), to);
    print_escaped(to, c->summary + 1);
    fprintf(to, ".\n\n```text\nstarchat %s%s%s%s\n```\n", c->name, *c->operands ? " " : "", c->operands, help_has_options(c) ? " [options]" : "");
    if (c->details) {
        putc('\n', to);
        print_details(to, c->details);
    }
    if (!help_has_options(c)) return;
    fprintf(to, "\n%s# Options%s%s\n\n%s", level, level[1] ? " of " : "", level[1] ? c->name : "", table_head);
    help_visit_options(c, option_row, to);
}

/* Rows of the table "train" as a recipe has them. */
static void print_recipe_keys(FILE *to)
{
    sc_option_row row;
    const sc_options *o = sc_options_for("train");
    fputs("\n## Recipe keys\n\nIn the file a line `key: value` each. Besides these, which have one value, `dataset_name` and `eval_dataset_name` are a path, a pattern, a "
          "name of the Hub, or a list of these.\n\n| key | what it does | value | default |\n|---|---|---|---|\n", to);
    for (size_t i = 0; sc_options_row(&row, o, i); i++) {
        fputs("| ", to);
        print_code(to, row.name);
        fputs(" | ", to);
        print_escaped(to, row.help ? row.help : "");
        fputs(" | ", to);
        print_code(to, row.value ? row.value : "true|false");
        fputs(" | ", to);
        if (row.fallback && *row.fallback) print_code(to, row.fallback);
        fputs(" |\n", to);
    }
}

void help_markdown_command(FILE *to, const struct command *c)
{
    print_command(to, c, "#");
    if (c == &command_train) print_recipe_keys(to);
    for (size_t i = 0; c->parts && c->parts[i]; i++) {
        putc('\n', to);
        print_command(to, c->parts[i], "##");
    }
    fputs("\nWhat every command understands, the environment and exit codes: [all commands](commands.md).\n", to);
}

void help_markdown_overview(FILE *to)
{
    fputs("# Commands\n\nThis page and those of the commands are printed by the program itself (`starchat help --markdown`).\n\n"
          "| command | what it does |\n|---|---|\n", to);
    for (size_t i = 0; commands[i]; i++) {
        fprintf(to, "| [%s](command-%s.md) | ", commands[i]->name, commands[i]->name);
        print_escaped(to, commands[i]->summary);
        fputs(" |\n", to);
    }
    fprintf(to, "\n## Common options\n\n%s", table_head);
    help_visit_common(command_find("help"), option_row, to);
    fputs("\n## Environment\n\n| variable | what it does |\n|---|---|\n", to);
    for (const struct help_variable *v = help_environment; v->name; v++) {
        fputs("| ", to);
        print_code(to, v->name);
        fputs(" | ", to);
        print_escaped(to, v->help);
        fputs(" |\n", to);
    }
    fputs("\n## Exit codes\n\n| code | means |\n|---|---|\n| 0 | done |\n| 1 | failed; one sentence on standard error says what, and what helps |\n"
          "| 2 | wrong usage: an unknown command, option, value or key |\n| 130 | interrupted by Ctrl-C |\n\n"
          "Results go to standard output, messages and progress to standard error. `--json` is there where a machine reads.\n", to);
}
