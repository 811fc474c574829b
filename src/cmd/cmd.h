/* cmd.h - the command line: a client of starchat.h and nothing else. Data goes to stdout, messages and progress to
 * stderr; exit 0 done, 1 failed, 2 usage, 130 interrupted. A command is one row, defined in its own file and listed in
 * commands.c; flags, help, manual pages and shell completion all come from these rows and from the option tables. */
#ifndef CMD_H
#define CMD_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

#include "starchat.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

/* ---- commands.c: the rows -------------------------------------------------------------------------------------------- */

/* A flag of one command. With `same_as` it is another name for that row of an option table (or of this list), and
 * value and help are taken from there. Rows end with both names NULL. */
struct flag {
    const char *name, *short_name;   /* without dashes: "stop", "s"; one of them may be NULL     */
    const char *value;               /* what --help calls its value; NULL: it takes none         */
    const char *help;
    const char *same_as;
};
/* A command's own default for a row of its tables. `is_text`: only what --help says, the command sets the value. */
struct row_default { const char *row, *value; bool is_text; };
struct command {
    const char *name, *operands, *summary;   /* operands as shown in usage: "MODEL [OUT]"         */
    int min_operands, max_operands;
    int (*run)(const struct command *self, int argc, char **argv);  /* argv[0] is the first after the command's name */
    const char *const *tables;               /* option tables whose rows are flags; ends with NULL; may be NULL */
    const struct flag *flags;                /* its own; may be NULL                              */
    const char *const *hidden;               /* rows of the tables that mean nothing here: not in help; ends with NULL; may be NULL */
    const char *details;                     /* more help: what it does, examples; may be NULL    */
    const struct row_default *defaults;      /* ends with row NULL; may be NULL                   */
    /* A command of several parts: their rows, named "data show"; ends with NULL. Its run is command_run_part. */
    const struct command *const *parts;
};
extern const struct command *const commands[];        /* ends with NULL */
const struct command *command_find(const char *name); /* NULL if unknown */
const char *command_nearest(const char *name);        /* for "did you mean"; NULL if none is near */
const struct command *command_part(const struct command *c, const char *word);   /* the part that `word` means; NULL if unknown */
const char *command_word(const struct command *c);    /* what is typed: "show" of "data show" */
int  command_run_part(const struct command *self, int argc, char **argv);

/* ORDER commands.c */
extern const struct command command_pull, command_push, command_list, command_show, command_rm, command_alias, command_import, command_disk, command_init, command_convert, command_merge,
    command_tokenize, command_template, command_complete, command_score, command_eval, command_judge, command_rank, command_card, command_lineage, command_chat, command_talks, command_serve, command_key, command_data, command_train, command_plan, command_bench,
    command_cache, command_doctor, command_help, command_completion;
extern const struct command command_login, command_logout, command_whoami;
extern const struct command command_eval_compare, command_eval_report;   /* parts of command_eval: a MODEL of that name is ./compare */

extern const struct command command_judge_run, command_judge_answers, command_judge_audit, command_judge_prompts, command_judge_report;     /* parts of command_judge */

/* ---- args.c: flags from the rows --------------------------------------------------------------------------------------- */

/* What every command understands; --json only where it is among the command's flags (FLAG_JSON). */
struct progress { double last, began; unsigned long long first; bool is_drawn; char what[96]; };
struct args_common {
    sc_runtime_config runtime;
    bool json, quiet, verbose;
    bool saves_on_term;              /* SIGTERM cancels as Ctrl-C does: of launchers and batch systems, before they kill */
    const char *color;               /* auto, always, never */
    const char *seed;                /* --seed of a command without an own one; NULL if not given */
    struct progress progress;        /* of draw_event */
};
#define FLAG_JSON { "json", NULL, NULL, "print JSON", NULL }
#define FLAG_END  { NULL, NULL, NULL, NULL, NULL }

enum { ARGS_GO = -1, ARGS_MAX_OPERANDS = 64, ARGS_MAX_GIVEN = 256 };
struct args {
    const struct command *command;
    struct args_common common;
    const char *operand[ARGS_MAX_OPERANDS]; int n_operands;
    struct { const struct flag *flag; const char *value; } given[ARGS_MAX_GIVEN]; int n_given;  /* own flags, in order */
    const char *row[ARGS_MAX_GIVEN]; int n_rows;                                               /* rows of tables that were set */
};
/* Fills `a` and the config structs: configs[i] belongs to command->tables[i] and gets its defaults first. Accepted are
 * --name value, --name=value, --flag, --no-flag, -n value, -nvalue; "--" ends the flags. ARGS_GO: go on; otherwise the
 * exit code: a mistake was reported in one sentence, with the nearest name, or --help was printed. Checks the number
 * of operands. */
int  args_parse(struct args *a, const struct command *command, int argc, char **argv, void *const *configs);
bool args_has(const struct args *a, const char *flag);
bool args_sets(const struct args *a, const char *row);               /* was this row of a table given? */
const char *args_value(const struct args *a, const char *flag);      /* the last one given; NULL if none */
/* All values of a repeatable flag in order; returns how many, at most `max`. */
int  args_values(const struct args *a, const char *flag, const char **values, int max);
/* A whole number in [min, max], `fallback` if not given: ARGS_GO or EXIT_USAGE after a message. */
int  args_integer(const struct args *a, const char *flag, long long *out, long long fallback, long long min, long long max);
int  args_real(const struct args *a, const char *flag, double *out, double fallback, double min, double max);
/* "starchat COMMAND: message", EXIT_USAGE. */
int  usage_error(const struct command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The row of command's own flags or tables that `name` means; used by help and parser. */
struct option_ref { const struct flag *flag; int table; sc_option_row row; };   /* flag NULL: row of tables[table]; -1: runtime */
bool option_is_hidden(const struct command *command, const char *row);
bool option_find(struct option_ref *out, const struct command *command, const char *name);

/* Sampling flags beside the table "sample": add SAMPLE_FLAGS to the command's rows, call sample_from_args after parsing.
 * The arrays live as long as `x`. */
#define SAMPLE_FLAGS \
    { NULL, "n", NULL, NULL, "max_tokens" }, \
    { "temp", NULL, NULL, NULL, "temperature" }, \
    { "stop", NULL, "TEXT", "end before this text; may be given several times", NULL }, \
    { "logit-bias", NULL, "ID=X", "add X to the logit of token ID; may be given several times", NULL }
struct sample_extra { const char *stop[ARGS_MAX_GIVEN]; sc_candidate bias[ARGS_MAX_GIVEN]; };
int  sample_from_args(sc_sample_config *c, struct sample_extra *x, const struct args *a);   /* ARGS_GO or EXIT_USAGE */

/* ---- help.c -------------------------------------------------------------------------------------------------------------- */

void help_overview(FILE *to);
void help_command(FILE *to, const struct command *c);

/* ---- output.c: messages, progress, safe text ----------------------------------------------------------------------------- */

/* "starchat: message" on stderr; EXIT_FAILED (EXIT_INTERRUPTED if cancelled). `c` may be NULL; --verbose adds file:line. */
int  fail_with(const struct args_common *c, const sc_error *err);
/* "starchat: message", `rest` as it is and the end of the line on stderr by one write, so that a launcher that ends the process
 * meanwhile lets through all of it or nothing. */
void tell_whole(const char *message, const char *rest);
int  fail_text(const char *format, ...) __attribute__((format(printf, 1, 2)));   /* the same for messages of cmd itself */
void note(const struct args_common *c, const char *format, ...) __attribute__((format(printf, 2, 3)));  /* stderr unless --quiet */
bool is_able_terminal(FILE *to);         /* a terminal that understands escape sequences (TERM) */
bool use_color(const struct args_common *c, FILE *to);   /* --color, NO_COLOR, TERM, terminal or not */
/* sc_on_event; `user` is the struct args_common. Notes become lines; an event with "bytes" (or "done") and "total" moves
 * a bar, on a terminal only; "file", "tensor" or "what" names what is under way. */
void draw_event(void *user, const char *json);
int  terminal_columns(void);                             /* of standard error; 80 if unknown */
double seconds_now(void);                                /* of a clock that only rises */
void progress_clear(struct args_common *c);              /* takes the bar off before other output */
/* Text of a model or a file for a terminal: control characters other than newline and tab, C1, bidirectional controls,
 * tag characters and broken bytes become visible (^[, <U+202E>, <9B>), so that it can move no cursor and set no title. */
void print_safe(FILE *to, const char *utf8, size_t len);
void print_text(FILE *to, const char *utf8, size_t len); /* print_safe on a terminal, the bytes themselves elsewhere */
void print_column(const char *text, size_t width);         /* print_safe on stdout, then blanks up to `width`; 0: none */
void print_json_string(FILE *to, const char *utf8, size_t len);   /* with quotes; what print_safe shows is escaped, other non-ASCII kept */
void print_text_line(const char *key, const char *utf8, size_t len);   /* {"KEY":"..."} and the end of the line on stdout */
void format_bytes(char *out, size_t out_bytes, double bytes);     /* "138 MB", "13.2 GB" (powers of 1000) */

/* ---- input.c ----------------------------------------------------------------------------------------------------------------- */

/* Whole of stdin (or a file), with a ceiling; malloc'ed, NUL-terminated, caller frees. NULL after a message. */
char *read_all(FILE *from, size_t max_bytes, size_t *len, const char *what);
/* Lines of a descriptor one by one, up to LINE_BYTES_MAX each. Flushes stdout before it waits for more, so that a
 * program at the other end can talk line by line. */
#define LINE_BYTES_MAX ((size_t)64 << 20)
struct line_reader { int fd; char *data; size_t begin, end, cap; bool is_ended; unsigned long long number; };
void line_open(struct line_reader *r, int fd);
/* 1: the next line without its newline (and CR), valid until the next call, NUL after it; 0: the end; -1: failed, after
 * a message. */
int  line_next(struct line_reader *r, char **line, size_t *len);
/* The next line as a JSON object (new reference; NULL unless 1 is returned), blank lines left out; -1 after a message
 * that names the line. */
int  line_next_object(struct line_reader *r, json_t **object);
void line_close(struct line_reader *r);
const char *json_kind(const json_t *value);   /* "a string", "missing", ...: for messages */

/* ---- open.c: what several commands begin with ----------------------------------------------------------------------------------- */

/* Ctrl-C while a runtime works: the first cancels it, the second ends the program with 130. SIGINT is blocked in this
 * thread and those it starts while a watcher waits for it. */
struct interrupt { sc_runtime *runtime; pthread_t watcher; bool is_on, and_term; };     /* and_term: SIGTERM too */
void interrupt_begin(struct interrupt *i, sc_runtime *runtime);
void interrupt_end(struct interrupt *i);                        /* SIGINT is as before, for this thread; safe twice */

/* Resolves MODEL (path, stored name), opens runtime and model, prints the model's notices. Ctrl-C cancels the runtime
 * until interrupt_end(&o->interrupt). `pull_missing`: asks on a terminal whether to pull a known name. ARGS_GO or an
 * exit code after a message; close_model in any case (zero-initialise *o). --activations auto means int8 here. */
struct opened { sc_runtime *runtime; sc_model *model; sc_text path, adapter; struct interrupt interrupt; };   /* adapter.data NULL: none */
int  open_runtime(struct opened *o, struct args_common *c);     /* runtime and interrupt alone */
int  open_model(struct opened *o, struct args_common *c, sc_model_config *m, const char *name, bool pull_missing);
void close_model(struct opened *o);
/* The prompt cache of the store's home; NULL where it is switched off or cannot be used, which --verbose tells. */
sc_prompt_cache *open_prompt_cache(const struct args_common *c, sc_prompt_cache_config *config);
/* Keeps the session's past if that pays; failures are told with --verbose alone. */
void keep_prompt(const struct args_common *c, sc_session *s, sc_prompt_cache *cache, bool (*is_over)(void *user), void *user);
/* Yes or no on the terminal; false without one. */
bool ask(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
