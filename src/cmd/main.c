/* main.c - the program `starchat`: finds the command's row and runs it. */
#include "cmd/cmd.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* Until a runtime exists that could be cancelled, Ctrl-C ends the program at once. */
static void interrupted(int signal_number)
{
    (void)signal_number;
    _exit(EXIT_INTERRUPTED);
}

/* What was printed must have arrived; a reader that left (EPIPE) wanted no more. */
static int finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    if (errno != EPIPE) fprintf(stderr, "starchat: standard output cannot be written: %s\n", strerror(errno));
    return code == EXIT_DONE ? EXIT_FAILED : code;
}

static int unknown_command(const char *name)
{
    bool is_option = name[0] == '-';
    const char *nearest = is_option ? NULL : command_nearest(name), *what = is_option ? "option" : "command";
    if (sc_name_distance(name, "--version") <= 3) nearest = "--version";
    if (sc_name_distance(name, "--help") <= 2) nearest = "--help";
    fprintf(stderr, "starchat: unknown %s \"", what);
    print_safe(stderr, name, strlen(name));
    if (nearest) fprintf(stderr, "\"; did you mean \"%s\"? (see: starchat help)\n", nearest);
    else fputs("\" (see: starchat help)\n", stderr);
    return EXIT_USAGE;
}

static int run(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        help_overview(stdout);
        return EXIT_DONE;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("starchat %s\n", sc_version());
        return EXIT_DONE;
    }
    const struct command *c = command_find(name);
    return c ? c->run(c, argc - 2, argv + 2) : unknown_command(name);
}

int main(int argc, char **argv)
{
    /* For line editing; numbers keep the point. A machine without any locale set still has a UTF-8 terminal. */
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "ANSI_X3.4-1968") == 0) setlocale(LC_CTYPE, "C.UTF-8");
    signal(SIGINT, interrupted);
    return finish(run(argc, argv));
}
