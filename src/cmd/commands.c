/* commands.c - the list of commands, in the order of the overview. A new command: its own file and one line here. */
#include "cmd/cmd.h"

#include <string.h>

const struct command *const commands[] = {
    &command_pull, &command_list, &command_show, &command_rm,
    &command_chat, &command_complete, &command_score, &command_tokenize, &command_template,
    &command_init, &command_convert, &command_bench, &command_doctor,
    &command_help, &command_completion, NULL,
};

const struct command *command_find(const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}

const char *command_nearest(const char *name)
{
    const char *best = NULL;
    int best_distance = 3;
    for (size_t i = 0; commands[i]; i++) {
        int d = sc_name_distance(commands[i]->name, name);
        if (d < best_distance && d < (int)strlen(name)) { best_distance = d; best = commands[i]->name; }
    }
    return best;
}
