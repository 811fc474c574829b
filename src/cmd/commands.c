/* commands.c - the list of commands, in the order of the overview. A new command: its own file and one line here. */
#include "cmd/cmd.h"

#include <string.h>

const struct command *const commands[] = {
    &command_pull, &command_list, &command_show, &command_rm, &command_alias, &command_import, &command_disk,
    &command_push, &command_login, &command_logout, &command_whoami,
    &command_chat, &command_talks, &command_serve, &command_key, &command_complete, &command_score, &command_eval, &command_judge, &command_rank, &command_tokenize, &command_template,
    &command_data, &command_train, &command_plan, &command_merge, &command_card, &command_lineage, &command_init, &command_convert, &command_bench, &command_cache, &command_doctor,
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

/* ---- commands of several parts ----------------------------------------------------------------------------------------- */

const char *command_word(const struct command *c)
{
    const char *space = strrchr(c->name, ' ');
    return space ? space + 1 : c->name;
}

const struct command *command_part(const struct command *c, const char *word)
{
    for (size_t i = 0; c->parts && c->parts[i]; i++)
        if (strcmp(command_word(c->parts[i]), word) == 0) return c->parts[i];
    return NULL;
}

int command_run_part(const struct command *self, int argc, char **argv)
{
    struct args a;
    const struct command *part = argc > 0 ? command_part(self, argv[0]) : NULL;
    if (part) return part->run(part, argc - 1, argv + 1);
    if (argc > 0 && argv[0][0] == '-') {                  /* --help, or a mistake */
        int code = args_parse(&a, self, argc, argv, NULL);
        if (code != ARGS_GO) return code;
        return usage_error(self, "%s comes first", self->operands);
    }
    if (argc == 0) return usage_error(self, "%s is missing", self->operands);
    const char *best = NULL;
    int best_distance = 3;
    for (size_t i = 0; self->parts[i]; i++) {
        int d = sc_name_distance(command_word(self->parts[i]), argv[0]);
        if (d < best_distance && d < (int)strlen(argv[0])) { best_distance = d; best = command_word(self->parts[i]); }
    }
    if (best) return usage_error(self, "there is no \"%s\"; did you mean \"%s\"?", argv[0], best);
    return usage_error(self, "there is no \"%s\", expected %s", argv[0], self->operands);
}
