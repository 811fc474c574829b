/* cmd.h - the command line: a client of starchat.h and nothing else. Data goes to stdout, messages and progress to
 * stderr; exit 0 done, 1 failed, 2 usage, 130 interrupted. */
#ifndef CMD_H
#define CMD_H

#include <stdbool.h>
#include <stdio.h>

#include "starchat.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

/* ---- args.c: flags from option tables ----------------------------------------------------------------------------- */

/* A config struct that flags may fill: --name value, --name=value, flags alone for booleans, --no-name. */
struct args_group { const char *options; void *config; };        /* options: name for sc_options_for */
/* A flag that belongs to the command itself; value is borrowed from argv. Repeatable ones collect up to `max`. */
struct args_flag { const char *name, *short_name, *help; bool takes_value; const char **values; int max, n; };

/* What every command understands. */
struct args_common { sc_runtime_config runtime; bool json, quiet, verbose, help; const char *color; };  /* color: auto, always, never */

struct command;
struct args {
    const struct command *command;
    struct args_common common;
    const struct args_group *groups;  /* ends with options NULL */
    struct args_flag *flags;          /* ends with name NULL    */
    const char *operand[64]; int n_operands;
};
/* Parses argv; on a mistake prints one sentence with the nearest name and returns EXIT_USAGE; --help prints and
 * returns EXIT_DONE with common.help set. Reads NO_COLOR. Checks the number of operands against the command's row. */
int args_parse(struct args *a, int argc, char **argv);

struct command {
    const char *name, *operands, *summary;    /* operands as shown in usage: "MODEL [OUT]" */
    int min_operands, max_operands;
    int (*run)(const struct command *self, int argc, char **argv);
    const char *details;                       /* more help: examples; may be NULL          */
};
extern const struct command commands[];        /* commands.c; ends with name NULL */

int run_pull(const struct command *, int, char **);
int run_list(const struct command *, int, char **);
int run_show(const struct command *, int, char **);
int run_rm(const struct command *, int, char **);
int run_init(const struct command *, int, char **);
int run_tokenize(const struct command *, int, char **);
int run_template(const struct command *, int, char **);
int run_complete(const struct command *, int, char **);
int run_score(const struct command *, int, char **);
int run_chat(const struct command *, int, char **);
int run_convert(const struct command *, int, char **);
int run_bench(const struct command *, int, char **);
int run_doctor(const struct command *, int, char **);

/* ---- output.c: messages, progress, safe text ------------------------------------------------------------------------- */

int  fail_with(const sc_error *err);                 /* "starchat: message" on stderr, EXIT_FAILED (EXIT_INTERRUPTED if cancelled) */
void note(const struct args_common *c, const char *format, ...) __attribute__((format(printf, 2, 3)));  /* stderr unless --quiet */
bool use_color(const struct args_common *c, FILE *to);
void draw_event(void *user, const char *json);       /* sc_on_event: user is struct args_common; bars only on a terminal */
/* Text of a model or a file for a terminal: control characters other than newline and tab, C1, bidirectional overrides
 * and tag characters become visible (e.g. ^[ or <U+202E>), so that it can move no cursor and set no title. */
void print_safe(FILE *to, const char *utf8, size_t len);

/* ---- open.c: what several commands begin with --------------------------------------------------------------------------- */

/* Resolves MODEL (path, stored name), opens runtime and model, prints the model's notices. Ctrl-C cancels the runtime.
 * `pull_missing`: asks on a terminal whether to pull a known name. Returns an exit code; close in reverse order. */
struct opened { sc_runtime *runtime; sc_model *model; sc_text path; };
int  open_model(struct opened *o, struct args_common *c, sc_model_config *m, const char *name, bool pull_missing);
void close_model(struct opened *o);
/* Whole of stdin (or a file), with a ceiling; malloc'ed, NUL-terminated, caller frees. NULL after a message. */
char *read_all(FILE *from, size_t max_bytes, size_t *len, const char *what);

#endif
