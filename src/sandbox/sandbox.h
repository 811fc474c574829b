/* sandbox.h - running programs that nobody trusts: answers of models, with the tests of a benchmark. Layer 1: includes base alone.
 *
 * Each run is a process of its own in namespaces of its own (bubblewrap), without network, with a file system of a read-only /usr and a private /tmp,
 * a list of system calls (seccomp), Landlock where the kernel has it, and limits. Nothing is ever run without all of them: sandbox_open tries them and
 * refuses with a sentence. When a run returns, no process of it is left; when this program is killed, neither. docs/sandbox.md says what this does not give. */
#ifndef SANDBOX_H
#define SANDBOX_H

#include "base/base.h"

/* ---- sandbox_open.c, sandbox_tools.c ------------------------------------------------------------------------------------------------ */

struct sandbox;
struct sandbox_config {
    const char *path;                        /* where programs are looked for, as in $PATH; NULL: /usr/local/bin:/usr/bin:/bin */
    const char *const *tools;                /* rows of sandbox_tools that jobs may name, NULL at the end; python3 always is. One that is not installed is no failure */
    const char *python;                      /* the interpreter that python3 is, by path or name, such as a virtual environment's, with the libraries that are installed for it;
                                                NULL: the first python3 of `path`, with the standard library alone. SC_E_ARGUMENT if it does not run */
};
/* SC_E_UNSUPPORTED: isolation cannot be had here; the message says what is missing and how to get it. */
sc_status sandbox_open(struct sandbox **out, const struct sandbox_config *config, sc_error *err);
void      sandbox_close(struct sandbox *s);
/* One line for people: which bubblewrap, what of Landlock, which Python. */
const char *sandbox_describe(const struct sandbox *s);
/* Path of the real program (not a shim of pyenv or rustup) inside the sandbox; NULL: not installed here, or not in config.tools. */
const char *sandbox_tool(const struct sandbox *s, const char *name);

/* ---- sandbox_run.c ------------------------------------------------------------------------------------------------------------------ */

/* ORDER sandbox_outcome_text */
enum sandbox_outcome { SANDBOX_EXITED, SANDBOX_SIGNALLED, SANDBOX_TIMEOUT, SANDBOX_OOM, SANDBOX_FLOOD, SANDBOX_SETUP, SANDBOX_OUTCOMES };
const char *sandbox_outcome_name(enum sandbox_outcome outcome);

/* Zero is the usual value, given behind each. */
struct sandbox_limits {
    double wall, cpu;                        /* seconds: 10; as many as wall, rounded up, for each process */
    uint64_t memory;                         /* bytes of all processes together, watched: 4 GiB            */
    bool has_wide_addresses;                 /* no limit on address space (go, java, node reserve much more than they use): `memory` is watched all the same */
    int processes, open_files;               /* 64 with threads; 64                                        */
    uint64_t file_bytes, work_bytes;         /* of one file: 16 MiB; of all of /tmp: 64 MiB                */
    size_t output_kept, output_max;          /* bytes of each stream: 2048; more than 4 MiB is a flood     */
};
/* Files appear in /tmp/job, which is where a program starts and the only directory besides /tmp that it may write to. */
struct sandbox_file { const char *name; const void *data; size_t len; };
/* What one step leaves to the next: opaque bytes, never looked at outside a sandbox. */
struct sandbox_carry { int fd; bool is_held; };
void sandbox_carry_release(struct sandbox_carry *c);     /* empties it; {0} is empty */

struct sandbox_job {
    const char *const *argv;                 /* NULL at the end; argv[0] is a path inside */
    const struct sandbox_file *files;
    size_t n_files;
    const char *const *environment;          /* "NAME=value", NULL at the end; added to the usual few */
    const char *const *tools;                /* names whose directories the program needs, NULL at the end; NULL: the C library and /usr/bin alone */
    const void *input;                       /* standard input; NULL: empty */
    size_t input_len;
    const struct sandbox_carry *from;        /* work directory of the step before, NULL: none */
    struct sandbox_carry *to;                /* with `keep`: gets those files if the program exits with 0, else it is empty */
    const char *const *keep;                 /* names in /tmp/job, NULL at the end; "." is everything */
    const int *descriptors;                  /* stay open, as 3, 4, ... */
    size_t n_descriptors;
    struct sandbox_limits limits;
};
struct sandbox_result {
    enum sandbox_outcome outcome;
    int code;                                /* exit code, or the signal */
    double seconds, start_seconds, cpu_seconds;   /* wall time of the program; before it began; what it and those it waited for computed */
    uint64_t peak_bytes;                     /* of the largest process */
    struct buf output, errors;               /* what was kept; sandbox_result_release */
    uint64_t output_bytes, errors_bytes;     /* what was written */
    char message[256];                       /* of SANDBOX_SETUP: a sentence */
};
/* Thread-safe. What goes wrong with the program is an outcome; SC_E_ARGUMENT: the job makes no sense. On SC_OK the caller releases *out. */
sc_status sandbox_run(struct sandbox_result *out, struct sandbox *s, const struct sandbox_job *job, sc_error *err);
void      sandbox_result_release(struct sandbox_result *r);

/* ---- sandbox_python.c: a verdict that the judged program cannot write ------------------------------------------------------------------ */

/* CHECKED: the tests run in one sandbox, the candidate in another; what it returns crosses as plain data. DIFFERENTIAL: the same, where the tests are
 * inputs and a reference (EvalPlus). PLAIN: one program, as human-eval runs it; a program that means to cheat can. */
enum python_mode { PYTHON_CHECKED, PYTHON_DIFFERENTIAL, PYTHON_PLAIN };
/* ORDER python_outcome_text */
enum python_outcome { PYTHON_PASS, PYTHON_FAIL, PYTHON_ERROR, PYTHON_SYNTAX, PYTHON_TIMEOUT, PYTHON_OOM, PYTHON_FLOOD, PYTHON_FORGED, PYTHON_SETUP, PYTHON_SKIPPED, PYTHON_OUTCOMES };
const char *python_outcome_name(enum python_outcome outcome);

struct python_task {
    enum python_mode mode;
    const char *candidate;                   /* source that nobody trusts */
    const char *helper;                      /* trusted source, run by the checker before the tests (imports and functions of the prompt); NULL: none */
    const char *tests;                       /* trusted source: statements that raise when the candidate is wrong. PLAIN: appended to the candidate */
    const char *entry;                       /* the function that is judged */
    /* DIFFERENTIAL: */
    const char *reference;                   /* trusted source that defines `entry` too */
    const char *base_inputs, *plus_inputs;   /* lists of lists of arguments as JSON or Python literals; plus may be NULL */
    const char *oracle;                      /* how to compare: NULL or "", "set", "not-none", "any", "or-zero", "helper" (oracle(arguments, out, expected) of the helper) */
    double atol;                             /* 0: exact unless floats are expected, then 1e-6 */
    /* A helper that defines prepare_inputs(list) turns JSON into what the data set means (tuples, sets). */
    double call_seconds, total_seconds;      /* 0: 3 and 10; DIFFERENTIAL: at least 4 a call, or 4 times the reference, total 61 */
    uint64_t memory;                         /* 0: 4 GiB */
};
struct python_verdict {
    enum python_outcome outcome;             /* DIFFERENTIAL: of the base inputs */
    enum python_outcome plus;                /* of the plus inputs alone; PYTHON_SKIPPED: there were none. EvalPlus wants both */
    int n_base, n_plus;                      /* inputs passed before the first that did not */
    double seconds;
    char detail[256];                        /* last line of the exception, or what else happened; UTF-8 */
};
/* Thread-safe. Failures of the candidate are outcomes; PYTHON_SETUP: no sandbox could be made, the program was not judged. */
sc_status sandbox_python(struct python_verdict *out, struct sandbox *s, const struct python_task *task, sc_error *err);

#endif
