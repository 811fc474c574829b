/* help.h - what the forms of help (plain, manual pages, Markdown) share. */
#ifndef CMD_HELP_H
#define CMD_HELP_H

#include "cmd/cmd.h"

/* One option as it is shown: "-n, --temp, --temperature X"; fallback NULL: it has no default. */
struct option_text { char names[160]; const char *help, *fallback; };
/* Calls `each` for every own flag of the command, then every row of its tables. */
void help_visit_options(const struct command *c, void (*each)(FILE *to, const struct option_text *t), FILE *to);
/* The same for what every command understands. */
void help_visit_common(const struct command *c, void (*each)(FILE *to, const struct option_text *t), FILE *to);
bool help_has_options(const struct command *c);

/* All variables of the environment that the program reads; several that belong together are one row. Ends with name NULL. */
struct help_variable { const char *name, *help; };
extern const struct help_variable help_environment[];

/* help_markdown.c: the pages of the reference. Links between them are to command-NAME.md and commands.md. */
void help_markdown_overview(FILE *to);
void help_markdown_command(FILE *to, const struct command *c);   /* with its parts */

#endif
