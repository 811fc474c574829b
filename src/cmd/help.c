/* help.c - the overview, --help, and the manual pages (man(7) macros): all from the rows of commands and options. */
#include "cmd/cmd.h"

#include <string.h>

enum { HELP_COLUMN = 30, HELP_WIDTH = 100 };

/* ---- one option ---------------------------------------------------------------------------------------------------------- */

struct option_text { char names[160]; const char *help, *fallback; };

static void append(char *out, size_t out_bytes, const char *a, const char *b)
{
    size_t n = strlen(out);
    snprintf(out + n, out_bytes - n, "%s%s", a, b);
}

static void append_dashed(char *out, size_t out_bytes, const char *dashes, const char *name)
{
    size_t n = strlen(out);
    append(out, out_bytes, *out ? ", " : "", dashes);
    append(out, out_bytes, name, "");
    for (n += 2; n < strlen(out); n++) if (out[n] == '_') out[n] = '-';
}

static bool same_option(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if ((*a == '_' ? '-' : *a) != (*b == '_' ? '-' : *b)) return false;
    return *a == *b;
}

/* "-n, --temp, --temperature X": first the other names the command gives to it. */
static struct option_text describe(const struct command *c, const char *name, const char *short_name, const char *value)
{
    struct option_text t = { .names = "" };
    if (short_name) append_dashed(t.names, sizeof t.names, "-", short_name);
    for (const struct flag *f = c ? c->flags : NULL; name && f && (f->name || f->short_name); f++) {
        if (!f->same_as || !same_option(f->same_as, name)) continue;
        if (f->short_name) append_dashed(t.names, sizeof t.names, "-", f->short_name);
        if (f->name) append_dashed(t.names, sizeof t.names, "--", f->name);
    }
    if (name) append_dashed(t.names, sizeof t.names, "--", name);
    if (value) append(t.names, sizeof t.names, " ", value);
    return t;
}

static const char *fallback_of(const struct command *c, const sc_option_row *row)
{
    if (!row->value) return NULL;
    for (const struct row_default *d = c->defaults; d && d->row; d++)
        if (same_option(d->row, row->name)) return d->value;
    return row->fallback && *row->fallback ? row->fallback : NULL;
}

/* Calls `each` for every own flag, then every row of the command's tables. */
static void visit_options(const struct command *c, void (*each)(FILE *to, const struct option_text *t), FILE *to)
{
    for (const struct flag *f = c->flags; f && (f->name || f->short_name); f++) {
        if (f->same_as || !f->help) continue;
        struct option_text t = describe(c, f->name, f->short_name, f->value);
        t.help = f->help;
        each(to, &t);
    }
    sc_option_row row;
    for (int k = 0; c->tables && c->tables[k]; k++) {
        const sc_options *o = sc_options_for(c->tables[k]);
        for (size_t i = 0; o && sc_options_row(&row, o, i); i++) {
            if (!row.help || !*row.help || option_is_hidden(c, row.name)) continue;
            struct option_text t = describe(c, row.name, NULL, row.value);
            t.help = row.help;
            t.fallback = fallback_of(c, &row);
            each(to, &t);
        }
    }
}

static void visit_common(const struct command *c, void (*each)(FILE *to, const struct option_text *t), FILE *to)
{
    static const char *const rows[][2] = {
        { "--seed N", "seed of everything random" },   /* first: left out where a table has its own */
        { "--color auto|always|never", "colours; NO_COLOR is honoured" },
        { "-q, --quiet", "no messages besides errors" },
        { "-v, --verbose", "more messages" },
        { "-h, --help", "this help" },
    };
    static const struct command none = { .flags = NULL };
    sc_option_row row;
    const sc_options *o = sc_options_for("runtime");
    for (size_t i = 0; o && sc_options_row(&row, o, i); i++) {
        if (!row.help || !*row.help) continue;
        struct option_text t = describe(&none, row.name, NULL, row.value);
        t.help = row.help;
        t.fallback = fallback_of(&none, &row);
        each(to, &t);
    }
    struct option_ref seed;
    bool has_seed = option_find(&seed, c, "seed") && !seed.flag;
    for (size_t i = has_seed; i < sizeof rows / sizeof *rows; i++) {
        struct option_text t = { .names = "" };
        append(t.names, sizeof t.names, rows[i][0], "");
        t.help = rows[i][1];
        each(to, &t);
    }
}

/* ---- plain help ------------------------------------------------------------------------------------------------------------ */

/* Words from `column` on, broken before HELP_WIDTH; the cursor stands at `at`. */
static void print_wrapped(FILE *to, const char *text, int at, int column)
{
    while (*text) {
        int n = (int)strcspn(text, " "), gap = at > column;
        if (gap && at + gap + n > HELP_WIDTH) {
            fprintf(to, "\n%*s", column, "");
            at = column;
            gap = 0;
        }
        fprintf(to, "%s%.*s", gap ? " " : "", n, text);
        at += gap + n;
        text += n + (int)strspn(text + n, " ");
    }
}

static void option_plain(FILE *to, const struct option_text *t)
{
    char help[1024];
    int n = fprintf(to, "  %s", t->names);
    if (n > HELP_COLUMN - 2) n = fprintf(to, "\n") - 1;
    fprintf(to, "%*s", HELP_COLUMN - n, "");
    snprintf(help, sizeof help, t->fallback ? "%s [%s]" : "%s", t->help, t->fallback);
    print_wrapped(to, help, HELP_COLUMN, HELP_COLUMN);
    putc('\n', to);
}

static bool has_options(const struct command *c)
{
    return (c->tables && c->tables[0]) || (c->flags && (c->flags->name || c->flags->short_name));
}

void help_command(FILE *to, const struct command *c)
{
    fprintf(to, "starchat %s - %s\n\nusage: starchat %s%s%s%s\n", c->name, c->summary, c->name, *c->operands ? " " : "", c->operands,
            has_options(c) ? " [options]" : "");
    if (c->details) fprintf(to, "\n%s\n", c->details);
    if (c->parts) fputs("\nCommands:\n", to);
    for (size_t i = 0; c->parts && c->parts[i]; i++) fprintf(to, "  %-12s %s\n", command_word(c->parts[i]), c->parts[i]->summary);
    if (has_options(c)) fputs("\nOptions:\n", to);
    visit_options(c, option_plain, to);
    fputs("\nCommon options:\n", to);
    visit_common(c, option_plain, to);
}

void help_overview(FILE *to)
{
    fputs("starchat - run, measure and talk to code models on this machine\n\n"
          "First steps:\n"
          "  starchat pull smollm2:135m-instruct      fetch a small model\n"
          "  starchat chat smollm2:135m-instruct      talk to it\n"
          "  starchat doctor                          see what this machine can do\n\n"
          "Commands:\n", to);
    for (size_t i = 0; commands[i]; i++) fprintf(to, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\nstarchat help COMMAND tells more about one; MODEL is a directory, a .gguf file or a name from `starchat list`.\n", to);
}

/* ---- manual pages ------------------------------------------------------------------------------------------------------------- */

/* man(7) text: backslashes and dashes escaped, no line begins with a control character. */
static void print_roff(FILE *to, const char *text)
{
    bool at_start = true;
    for (; *text; text++) {
        if (at_start && (*text == '.' || *text == '\'')) fputs("\\&", to);
        if (*text == '\\') fputs("\\e", to);
        else if (*text == '-') fputs("\\-", to);
        else putc(*text, to);
        at_start = *text == '\n';
    }
}

static void option_roff(FILE *to, const struct option_text *t)
{
    fputs(".TP\n.B ", to);
    print_roff(to, t->names);
    putc('\n', to);
    print_roff(to, t->help);
    if (t->fallback) {
        fputs(" [", to);
        print_roff(to, t->fallback);
        putc(']', to);
    }
    putc('\n', to);
}

/* Paragraphs as they are; indented lines are examples. */
static void details_roff(FILE *to, const char *text)
{
    bool in_example = false;
    char line[512];
    while (*text) {
        int n = (int)strcspn(text, "\n");
        bool is_example = text[0] == ' ' && text[1] == ' ';
        if (is_example != in_example) fputs(is_example ? ".PP\n.nf\n" : ".fi\n.PP\n", to);
        in_example = is_example;
        snprintf(line, sizeof line, "%.*s", n, text);
        if (n == 0 && !in_example) fputs(".PP", to);
        else print_roff(to, line);
        putc('\n', to);
        text += n + (text[n] == '\n');
    }
    if (in_example) fputs(".fi\n", to);
}

static void manual_head(FILE *to, const char *page, const char *summary)
{
    fprintf(to, ".TH \"%s\" 1 \"\" \"starchat %s\" \"User Commands\"\n.SH NAME\n", page, sc_version());
    print_roff(to, page);
    fputs(" \\- ", to);
    print_roff(to, summary);
    fputs("\n.SH SYNOPSIS\n", to);
}

/* "starchat-data-show" */
static void page_name(char *out, size_t out_bytes, const struct command *c)
{
    snprintf(out, out_bytes, "starchat-%s", c->name);
    for (; *out; out++) if (*out == ' ') *out = '-';
}

static void manual_parts(FILE *to, const struct command *c)
{
    if (c->parts) fputs(".SH COMMANDS\n", to);
    for (size_t i = 0; c->parts && c->parts[i]; i++) {
        char page[64];
        page_name(page, sizeof page, c->parts[i]);
        fputs(".TP\n.BR ", to);
        print_roff(to, page);
        fputs(" (1)\n", to);
        print_roff(to, c->parts[i]->summary);
        putc('\n', to);
    }
}

static void manual_command(FILE *to, const struct command *c)
{
    char page[64];
    page_name(page, sizeof page, c);
    manual_head(to, page, c->summary);
    fprintf(to, ".B starchat %s\n.RI ", c->name);
    print_roff(to, *c->operands ? c->operands : "\"\"");
    fputs(has_options(c) ? "\n[options]\n" : "\n", to);
    if (c->details) {
        fputs(".SH DESCRIPTION\n", to);
        details_roff(to, c->details);
    }
    manual_parts(to, c);
    if (has_options(c)) fputs(".SH OPTIONS\n", to);
    visit_options(c, option_roff, to);
    fputs(".SH COMMON OPTIONS\n", to);
    visit_common(c, option_roff, to);
    fputs(".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 130 interrupted.\n.SH SEE ALSO\n.BR starchat (1)\n", to);
}

static void manual_overview(FILE *to)
{
    manual_head(to, "starchat", "run, measure and talk to code models");
    fputs(".B starchat\n.I COMMAND\n[options]\n.SH COMMANDS\n", to);
    for (size_t i = 0; commands[i]; i++) {
        fprintf(to, ".TP\n.BR starchat\\-%s (1)\n", commands[i]->name);
        print_roff(to, commands[i]->summary);
        putc('\n', to);
    }
    fputs(".SH ENVIRONMENT\n"
          ".TP\n.B STARCHAT_HOME\nwhere models, conversations and the prompt cache are; otherwise the XDG data directory, and the XDG cache directory for the prompt cache\n"
          ".TP\n.B STARCHAT_SERVE_PORT, ...\neach option of `serve`, below its flags and above --config\n"
          ".TP\n.B HF_TOKEN, HF_TOKEN_PATH, HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE\nas in the Hugging Face client\n"
          ".TP\n.B NO_COLOR\nno colours\n"
          ".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 130 interrupted.\n", to);
}

/* ---- the command ---------------------------------------------------------------------------------------------------------------- */

static int run_help(const struct command *self, int argc, char **argv)
{
    struct args a;
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    bool is_manual = args_has(&a, "man");
    if (a.n_operands == 0) {
        if (is_manual) manual_overview(stdout);
        else help_overview(stdout);
        return EXIT_DONE;
    }
    const struct command *c = command_find(a.operand[0]);
    if (!c) {
        const char *nearest = command_nearest(a.operand[0]);
        if (nearest) return usage_error(self, "unknown command \"%s\"; did you mean \"%s\"?", a.operand[0], nearest);
        return usage_error(self, "unknown command \"%s\"", a.operand[0]);
    }
    if (a.n_operands > 1 && !command_part(c, a.operand[1])) return usage_error(self, "%s has no command \"%s\"", c->name, a.operand[1]);
    if (a.n_operands > 1) c = command_part(c, a.operand[1]);
    if (is_manual) manual_command(stdout, c);
    else help_command(stdout, c);
    return EXIT_DONE;
}

static const struct flag flags[] = {
    { "man", NULL, NULL, "print the manual page (roff), for man -l", NULL },
    FLAG_END,
};
const struct command command_help = {
    .name = "help", .operands = "[COMMAND] [PART]", .summary = "this overview, or all about one command",
    .max_operands = 2, .run = run_help, .flags = flags,
    .details = "  starchat help complete\n  starchat help data show\n  starchat help --man complete | man -l -",
};
