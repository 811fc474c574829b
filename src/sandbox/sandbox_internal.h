/* sandbox_internal.h - shared by the files of this folder. */
#ifndef SANDBOX_INTERNAL_H
#define SANDBOX_INTERNAL_H

#include <sys/types.h>

#include "sandbox/inside/enter.h"
#include "sandbox/sandbox.h"

enum { TOOL_PLACES = 12, TOOLS_MAX = 24, SANDBOX_USER = 65534, DESCRIPTORS_MAX = 96 };
#define SANDBOX_WORK "/tmp/job"

/* A part of the host that jobs may see: at `target` inside, found by bubblewrap at `source` (elsewhere than at `target` when we are root: see sandbox_host.c). */
struct place { char *target, *source; };
struct tool { const char *name; char *program; struct place place[TOOL_PLACES]; size_t n_places; bool has_proc; };

struct sandbox {
    char *bwrap;
    bool is_root;                            /* then programs run as SANDBOX_USER of the host too, and bubblewrap begins in `host` */
    int host;                                /* mount namespace in which that user can reach every place; -1: none */
    int calls, helper, accounts;             /* files in memory: filter, enter.c, /etc/passwd */
    int candidate, checker, plain;           /* the Python drivers, compiled; -1 until then */
    struct tool tool[TOOLS_MAX];
    size_t n_tools;
    bool has_libraries;                      /* a Python was named: what is installed for it is there */
    char describe[256];
};

/* sandbox_memory.c: files without a name. -1 with err set if the kernel has none. Readers get a position of their own by memory_reader. */
int memory_file(const void *data, size_t len, const char *what, sc_error *err);
int memory_reader(int fd);

/* sandbox_calls.c: writes the filter to fd. */
sc_status sandbox_calls(int fd, sc_error *err);

/* sandbox_tools.c */
void tools_find(struct sandbox *s, const struct sandbox_config *config);
void tools_release(struct sandbox *s);
const struct tool *tool_named(const struct sandbox *s, const char *name);
char *program_find(const char *path, const char *name, size_t skip);   /* the skip+1st executable of that name; NULL: none */

/* sandbox_host.c */
void host_open(struct sandbox *s);                       /* sets s->host and the sources of places */
/* A child without a copy of our memory: `fd[i]` become i, then argv[0] is executed. -1 with errno. */
pid_t host_spawn(const struct sandbox *s, char *const *argv, const int *fd, size_t n);

/* sandbox_arguments.c: bubblewrap's command line for one job. Descriptors in fd[0..n_fds-1] take their number inside; those from `owned` on are ours to close. */
struct arguments { struct buf text; size_t *at, n, cap; int fd[DESCRIPTORS_MAX]; size_t n_fds, owned; char **argv; };
sc_status arguments_build(struct arguments *a, const struct sandbox *s, const struct sandbox_job *job, const struct sandbox_limits *limits, bool is_probe, int status, sc_error *err);
void      arguments_release(struct arguments *a);

/* sandbox_tree.c: what the descendants of a process use. */
struct tree_use { uint64_t bytes; int processes; };
bool  tree_use(struct tree_use *out, pid_t root);        /* false: /proc does not tell children */
pid_t tree_child(pid_t parent);                          /* its first child, 0: none */

/* sandbox_run.c: a run in pieces, for those who follow several at once. */
struct run {
    struct sandbox_result *result;
    struct sandbox_limits limits;
    pid_t monitor;                           /* bubblewrap; 0: ended */
    int monitor_fd, init_fd;                 /* of it and of process 1 inside, which is the last to go; -1 */
    int status, output, errors;              /* -1: closed */
    double began, started;                   /* by clock_seconds; started 0: not yet */
    bool is_probe, is_decided, is_over;
    int32_t probed;
    pid_t init;
};
/* *result is set up by this. Descriptors of the job stay the caller's. */
sc_status run_begin(struct run *run, struct sandbox *s, const struct sandbox_job *job, struct sandbox_result *result, bool is_probe, sc_error *err);
/* Handles what has happened, waiting a little while if nothing has; true when `extra` (-1: none) can be read. Ends waiting at `until`. */
bool runs_poll(struct run *const *run, size_t n, int extra, double until);
void run_kill(struct run *run, enum sandbox_outcome outcome);   /* the outcome is set unless there is one */
void run_end(struct run *run);                                  /* nothing of it is left after this */

/* sandbox_python.c */
sc_status python_open(struct sandbox *s, sc_error *err);        /* compiles the drivers, in a sandbox */

/* sandbox_verdict.c: what the checker wrote. Pure, fuzzed. */
enum { NONCE_DIGITS = 32, VERDICT_MAX = 1024 };
/* is_lost: the candidate's process ended early, how is known outside. is_again: the plus inputs need a candidate of their own. is_forged: a whole line, but
 * by someone who did not know the nonce. */
struct verdict { struct python_verdict found; bool is_lost, is_plus_lost, is_again, is_forged; };
/* One line: nonce, outcome, plus, n_base, n_plus, detail. False: it is not that, or is_forged. */
bool verdict_read(struct verdict *out, const char *bytes, size_t len, const char *nonce);

#endif
