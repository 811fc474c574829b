/* completion.c - completion scripts for bash, zsh and fish, written from the same rows as parser and help. Stored models
 * are completed by asking `starchat list --json`. */
#include "cmd/cmd.h"

#include <string.h>

/* ---- what can stand on a command's line ------------------------------------------------------------------------------ */

struct entry { char name[72]; const char *value, *help; };
typedef void on_entry(void *user, const struct entry *e);

static void visit(on_entry *each, void *user, const char *dashes, const char *name, const char *value, const char *help)
{
    struct entry e = { .value = value, .help = help ? help : "" };
    snprintf(e.name, sizeof e.name, "%s%s", dashes, name);
    for (char *c = e.name; *c; c++) if (*c == '_') *c = '-';
    each(user, &e);
}

static void visit_table(on_entry *each, void *user, const struct command *c, const char *table)
{
    const sc_options *o = sc_options_for(table);
    sc_option_row row;
    for (size_t i = 0; o && sc_options_row(&row, o, i); i++)
        if (!c || !option_is_hidden(c, row.name)) visit(each, user, "--", row.name, row.value, row.help);
}

static void visit_flags(on_entry *each, void *user, const struct command *c)
{
    for (const struct flag *f = c->flags; f && (f->name || f->short_name); f++) {
        struct option_ref ref = { .flag = f };
        if (f->same_as && !option_find(&ref, c, f->same_as)) continue;
        const char *value = ref.flag ? ref.flag->value : ref.row.value, *help = ref.flag ? ref.flag->help : ref.row.help;
        if (f->short_name) visit(each, user, "-", f->short_name, value, help);
        if (f->name) visit(each, user, "--", f->name, value, help);
    }
    for (int i = 0; c->tables && c->tables[i]; i++) visit_table(each, user, c, c->tables[i]);
}

static void visit_common(on_entry *each, void *user)
{
    visit_table(each, user, NULL, "runtime");
    visit(each, user, "--", "seed", "N", "seed of everything random");
    visit(each, user, "--", "color", "auto|always|never", "colours");
    visit(each, user, "--", "quiet", NULL, "no messages besides errors");
    visit(each, user, "--", "verbose", NULL, "more messages");
    visit(each, user, "--", "help", NULL, "help");
}

static bool is_choice(const char *value) { return value && strchr(value, '|') && value[0] >= 'a' && value[0] <= 'z'; }

/* Values that are files or models. */
static const char *operand_kind(const struct command *c)
{
    if (strstr(c->operands, "MODEL") || strstr(c->operands, "NAME") || strstr(c->operands, "IN ")) return "model";
    if (strncmp(c->operands, "[COMMAND]", 9) == 0) return "command";
    if (strcmp(c->operands, "bash|zsh|fish") == 0) return "shell";
    return *c->operands ? "file" : "none";
}

/* ---- bash --------------------------------------------------------------------------------------------------------------- */

static void bash_name(void *user, const struct entry *e) { fprintf(user, " %s", e->name); }

static void bash_value(void *user, const struct entry *e)
{
    if (!e->value) return;
    fprintf(user, "        %s) ", e->name);
    if (is_choice(e->value)) {
        fputs("COMPREPLY=($(compgen -W '", user);
        for (const char *c = e->value; *c; c++) putc(*c == '|' ? ' ' : *c, (FILE *)user);
        fputs("' -- \"$word\")) ;;\n", user);
    } else if (strstr(e->value, "FILE")) fputs("COMPREPLY=($(compgen -f -- \"$word\")) ;;\n", user);
    else fputs("COMPREPLY=() ;;\n", user);
}

static void print_commands(FILE *to)
{
    for (size_t i = 0; commands[i]; i++) fprintf(to, "%s%s", i ? " " : "", commands[i]->name);
}

static void bash_options(FILE *to, const struct command *c, const char *word)
{
    const char *kind = operand_kind(c);
    fprintf(to, "    %s)\n        case \"$before\" in\n", word);
    visit_flags(bash_value, to, c);
    visit_common(bash_value, to);
    fputs("        *)\n            if [[ $word == -* ]]; then COMPREPLY=($(compgen -W '", to);
    visit_flags(bash_name, to, c);
    visit_common(bash_name, to);
    fputs("' -- \"$word\"))\n            else ", to);
    if (strcmp(kind, "model") == 0) fputs("COMPREPLY=($(compgen -W \"$(_starchat_models)\" -- \"$word\") $(compgen -f -- \"$word\"))", to);
    else if (strcmp(kind, "file") == 0) fputs("COMPREPLY=($(compgen -f -- \"$word\"))", to);
    else if (strcmp(kind, "shell") == 0) fputs("COMPREPLY=($(compgen -W 'bash zsh fish' -- \"$word\"))", to);
    else if (strcmp(kind, "command") == 0) {
        fputs("COMPREPLY=($(compgen -W '", to);
        print_commands(to);
        fputs("' -- \"$word\"))", to);
    } else fputs("COMPREPLY=()", to);
    fputs("\n            fi ;;\n        esac ;;\n", to);
}

static void print_parts(FILE *to, const struct command *c)
{
    for (size_t i = 0; c->parts[i]; i++) fprintf(to, "%s%s", i ? " " : "", command_word(c->parts[i]));
}

/* A command with parts that does something of its own where the first word is none of them. */
static bool is_both(const struct command *c) { return c->parts && c->run != command_run_part; }

static void bash_command(FILE *to, const struct command *c)
{
    if (!c->parts) {
        bash_options(to, c, command_word(c));
        return;
    }
    fprintf(to, "    %s)\n        if [[ $COMP_CWORD -eq 2 ]]; then COMPREPLY=($(compgen -W '", c->name);
    print_parts(to, c);
    fprintf(to, " --help' -- \"$word\")%s); return; fi\n        case \"${COMP_WORDS[2]}\" in\n", is_both(c) ? " $(compgen -W \"$(_starchat_models)\" -- \"$word\") $(compgen -f -- \"$word\")" : "");
    for (size_t i = 0; c->parts[i]; i++) bash_options(to, c->parts[i], command_word(c->parts[i]));
    if (is_both(c)) bash_options(to, c, "*");
    fputs("        esac ;;\n", to);
}

#define MODEL_NAMES "starchat list --json 2>/dev/null | grep -o '\"name\":\"[^\"]*\"' | cut -d'\"' -f4"

static void print_bash(FILE *to)
{
    fputs("# bash completion of starchat, written by `starchat completion bash`\n"
          "_starchat_models() { " MODEL_NAMES "; }\n"
          "_starchat() {\n"
          "    local word before COMP_WORDBREAKS=${COMP_WORDBREAKS//:/}\n"
          "    _get_comp_words_by_ref -n : -c word -p before 2>/dev/null || { word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}; }\n"
          "    COMPREPLY=()\n"
          "    if [[ $COMP_CWORD -eq 1 ]]; then COMPREPLY=($(compgen -W '", to);
    print_commands(to);
    fputs(" --help --version' -- \"$word\")); return; fi\n    case \"${COMP_WORDS[1]}\" in\n", to);
    for (size_t i = 0; commands[i]; i++) bash_command(to, commands[i]);
    fputs("    esac\n    if declare -F __ltrimcolon_completions >/dev/null; then __ltrimcolon_completions \"$word\"; fi\n}\n"
          "complete -o filenames -F _starchat starchat\n", to);
}

/* ---- zsh ------------------------------------------------------------------------------------------------------------------- */

/* Inside '...' of an _arguments specification: quotes, colons and brackets have meanings of their own. */
static void print_zsh(FILE *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'') fputs("'\\''", to);
        else if (strchr("[]:\\", *text)) fprintf(to, "\\%c", *text);
        else putc(*text, to);
    }
}

static void zsh_entry(void *user, const struct entry *e)
{
    FILE *to = user;
    fprintf(to, "        '*%s[", e->name);
    print_zsh(to, e->help);
    putc(']', to);
    if (e->value) {
        fputs(":value:", to);
        if (is_choice(e->value)) {
            putc('(', to);
            for (const char *c = e->value; *c; c++) putc(*c == '|' ? ' ' : *c, to);
            putc(')', to);
        } else if (strstr(e->value, "FILE")) fputs("_files", to);
        else putc(' ', to);
    }
    fputs("' \\\n", to);
}

static void zsh_options(FILE *to, const struct command *c, const char *word)
{
    const char *kind = operand_kind(c);
    fprintf(to, "    %s) _arguments \\\n", word);
    visit_flags(zsh_entry, to, c);
    visit_common(zsh_entry, to);
    if (strcmp(kind, "model") == 0) fputs("        '*:model:_starchat_models' ;;\n", to);
    else if (strcmp(kind, "file") == 0) fputs("        '*:file:_files' ;;\n", to);
    else if (strcmp(kind, "command") == 0) {
        fputs("        ':command:(", to);
        print_commands(to);
        fputs(")' ;;\n", to);
    } else if (strcmp(kind, "shell") == 0) fputs("        ':shell:(bash zsh fish)' ;;\n", to);
    else fputs("        ;;\n", to);
}

static void zsh_command(FILE *to, const struct command *c)
{
    if (!c->parts) {
        zsh_options(to, c, command_word(c));
        return;
    }
    fprintf(to, "    %s)\n        local -a parts\n        parts=(\n", c->name);
    for (size_t i = 0; c->parts[i]; i++) {
        fprintf(to, "            '%s:", command_word(c->parts[i]));
        print_zsh(to, c->parts[i]->summary);
        fputs("'\n", to);
    }
    fprintf(to, "        )\n        if (( CURRENT == 2 )); then _describe command parts%s; return; fi\n"
                "        local part=$words[2]\n        shift words; (( CURRENT-- ))\n        case $part in\n", is_both(c) ? "; _starchat_models" : "");
    for (size_t i = 0; c->parts[i]; i++) zsh_options(to, c->parts[i], command_word(c->parts[i]));
    if (is_both(c)) zsh_options(to, c, "*");
    fputs("        esac ;;\n", to);
}

static void print_zsh_script(FILE *to)
{
    fputs("#compdef starchat\n# zsh completion of starchat, written by `starchat completion zsh`\n"
          "_starchat_models() {\n    local -a names\n    names=(${(f)\"$(" MODEL_NAMES ")\"})\n"
          "    compadd -a names\n    _files\n}\n"
          "_starchat() {\n    local -a all\n    all=(\n", to);
    for (size_t i = 0; commands[i]; i++) {
        fprintf(to, "        '%s:", commands[i]->name);
        print_zsh(to, commands[i]->summary);
        fputs("'\n", to);
    }
    fputs("    )\n    if (( CURRENT == 2 )); then _describe command all; return; fi\n"
          "    local name=$words[2]\n    shift words; (( CURRENT-- ))\n    case $name in\n", to);
    for (size_t i = 0; commands[i]; i++) zsh_command(to, commands[i]);
    fputs("    esac\n}\nif [[ $funcstack[1] == _starchat ]]; then _starchat \"$@\"; else compdef _starchat starchat; fi\n", to);
}

/* ---- fish ------------------------------------------------------------------------------------------------------------------- */

struct fish { FILE *to; const struct command *command; };   /* command NULL: for all */

/* True on a line of this command: `starchat data show` is none of `starchat show`. */
static void fish_condition(FILE *to, const struct command *c)
{
    const char *word = command_word(c);
    if (word != c->name) {
        fprintf(to, "'__fish_seen_subcommand_from %.*s; and __fish_seen_subcommand_from %s'", (int)(word - c->name) - 1, c->name, word);
        return;
    }
    fprintf(to, "'__fish_seen_subcommand_from %s", word);
    for (size_t i = 0; commands[i]; i++)
        if (command_part(commands[i], word)) fprintf(to, "; and not __fish_seen_subcommand_from %s", commands[i]->name);
    putc('\'', to);
}

static void print_fish(FILE *to, const char *text)
{
    putc('\'', to);
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\') putc('\\', to);
        putc(*text, to);
    }
    putc('\'', to);
}

static void fish_entry(void *user, const struct entry *e)
{
    const struct fish *f = user;
    fputs("complete -c starchat -n ", f->to);
    if (f->command) fish_condition(f->to, f->command);
    else fputs("'not __fish_use_subcommand'", f->to);
    if (e->name[1] == '-') fprintf(f->to, " -l %s", e->name + 2);
    else fprintf(f->to, " -s %s", e->name + 1);
    if (e->value && is_choice(e->value)) {
        fputs(" -x -a '", f->to);
        for (const char *c = e->value; *c; c++) putc(*c == '|' ? ' ' : *c, f->to);
        putc('\'', f->to);
    } else if (e->value) fputs(strstr(e->value, "FILE") ? " -r" : " -x", f->to);
    fputs(" -d ", f->to);
    print_fish(f->to, e->help);
    putc('\n', f->to);
}

/* `values`: after -a, quoted for fish; `only`: files are no values. */
static void fish_values(FILE *to, const struct command *c, const char *values, bool only)
{
    fputs("complete -c starchat -n ", to);
    fish_condition(to, c);
    fprintf(to, "%s -a '%s'\n", only ? " -f" : "", values);
}

static void fish_command(FILE *to, const struct command *c)
{
    const char *kind = operand_kind(c);
    if (strcmp(kind, "model") == 0) fish_values(to, c, "(__starchat_models)", false);
    else if (strcmp(kind, "shell") == 0) fish_values(to, c, "bash zsh fish", true);
    else if (strcmp(kind, "command") == 0) {
        fputs("complete -c starchat -n ", to);
        fish_condition(to, c);
        fputs(" -f -a '", to);
        print_commands(to);
        fputs("'\n", to);
    }
    struct fish f = { to, c };
    visit_flags(fish_entry, &f, c);
}

static void fish_parts(FILE *to, const struct command *c)
{
    for (size_t i = 0; c->parts && c->parts[i]; i++) {
        fprintf(to, "complete -c starchat -n '__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from ", c->name);
        print_parts(to, c);
        fprintf(to, "' -f -a %s -d ", command_word(c->parts[i]));
        print_fish(to, c->parts[i]->summary);
        putc('\n', to);
        fish_command(to, c->parts[i]);
    }
}

static void print_fish_script(FILE *to)
{
    fputs("# fish completion of starchat, written by `starchat completion fish`\n"
          "function __starchat_models\n    " MODEL_NAMES "\nend\n", to);
    for (size_t i = 0; commands[i]; i++) {
        const struct command *c = commands[i];
        fprintf(to, "complete -c starchat -n __fish_use_subcommand -f -a %s -d ", c->name);
        print_fish(to, c->summary);
        putc('\n', to);
        if (c->parts) fish_parts(to, c);
        if (!c->parts || is_both(c)) fish_command(to, c);
    }
    struct fish all = { to, NULL };
    visit_common(fish_entry, &all);
}

/* ---- the command ---------------------------------------------------------------------------------------------------------------- */

static int run_completion(const struct command *self, int argc, char **argv)
{
    struct args a;
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    static const struct { const char *shell; void (*print)(FILE *to); } shells[] = {
        { "bash", print_bash }, { "zsh", print_zsh_script }, { "fish", print_fish_script },
    };
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(a.operand[0], shells[i].shell) != 0) continue;
        shells[i].print(stdout);
        return EXIT_DONE;
    }
    return usage_error(self, "unknown shell \"%s\", expected bash, zsh or fish", a.operand[0]);
}

const struct command command_completion = {
    .name = "completion", .operands = "bash|zsh|fish", .summary = "a completion script for a shell",
    .min_operands = 1, .max_operands = 1, .run = run_completion,
    .details = "  starchat completion bash > ~/.local/share/bash-completion/completions/starchat\n"
               "  starchat completion zsh > \"${fpath[1]}/_starchat\"\n"
               "  starchat completion fish > ~/.config/fish/completions/starchat.fish",
};
