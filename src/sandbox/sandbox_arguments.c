/* sandbox_arguments.c - a job as bubblewrap's command line: which parts of the host are seen, which files are laid in, which descriptors pass.
 *
 * Few mounts: each costs bubblewrap a walk over all others, and a run is started for every answer of a model. There is no /proc and no /sys; /dev is three
 * devices; / and all of the host is read-only, /tmp is in memory and of limited size. */
#include "sandbox/sandbox_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 128, FILES_MAX = 40 };

/* ---- words ------------------------------------------------------------------------------------------------------------------------- */

static void add(struct arguments *a, const char *word)
{
    if (a->n == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 128;
        a->at = mem_grow(a->at, a->cap * sizeof *a->at);
    }
    a->at[a->n++] = a->text.len;
    buf_append(&a->text, word, strlen(word) + 1);
}

static void add_number(struct arguments *a, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    add(a, text);
}

static void add_words(struct arguments *a, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) add(a, words[i]);
}

#define ADD(a, ...) add_words((a), (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))

/* A descriptor's number inside. Ours to close when the child has it. */
static size_t pass(struct arguments *a, int fd) { a->fd[a->n_fds] = fd; return a->n_fds++; }

static sc_status pass_reader(struct arguments *a, size_t *number, int memory, sc_error *err)
{
    int fd = memory_reader(memory);
    if (fd < 0) return FAIL(err, SC_E_IO, "a file for the sandbox cannot be opened again: %s (is /proc mounted?)", strerror(errno));
    *number = pass(a, fd);
    return SC_OK;
}

/* ---- what is seen ------------------------------------------------------------------------------------------------------------------- */

/* /lib and its like: links into /usr on a merged system, directories elsewhere. */
static void add_root_directory(struct arguments *a, const char *path)
{
    struct stat is;
    char target[256];
    if (lstat(path, &is) != 0) return;
    ssize_t n = S_ISLNK(is.st_mode) ? readlink(path, target, sizeof target - 1) : -1;
    if (n > 0) {
        target[n] = 0;
        ADD(a, "--symlink", target, path);
    } else if (S_ISDIR(is.st_mode)) {
        ADD(a, "--ro-bind", path, path);
    }
}

static bool is_mounted_before(const struct arguments *a, const char *target)
{
    for (size_t i = 0; i + 2 < a->n; i++)
        if (strcmp(a->text.data + a->at[i], "--ro-bind") == 0 && strcmp(a->text.data + a->at[i + 2], target) == 0) return true;
    return false;
}

static sc_status check_tools(const struct sandbox *s, const char *const *names, sc_error *err)
{
    for (; names && *names; names++)
        if (!tool_named(s, *names)) return FAIL(err, SC_E_ARGUMENT, "the job needs %s, which is not installed or was not named when the sandbox was opened", *names);
    return SC_OK;
}

static void add_tools(struct arguments *a, const struct sandbox *s, const char *const *names)
{
    for (; names && *names; names++) {
        const struct tool *t = tool_named(s, *names);
        for (size_t i = 0; i < t->n_places; i++)
            if (!is_mounted_before(a, t->place[i].target)) ADD(a, "--ro-bind", t->place[i].source, t->place[i].target);
    }
}

/* Of the namespace's own processes, with what tells of the host's kernel covered. Writing there is shut by Landlock and by user 65534 owning nothing. */
static void add_proc(struct arguments *a, const struct sandbox *s, const char *const *names)
{
    static const char *const covered[] = { "/proc/cmdline", "/proc/version", "/proc/kcore", "/proc/kallsyms", "/proc/keys", "/proc/key-users", "/proc/config.gz", "/proc/modules", "/proc/kmsg",
                                           "/proc/timer_list", "/proc/sched_debug", "/proc/sysrq-trigger" };
    bool has_proc = false;
    for (; names && *names; names++) has_proc = has_proc || tool_named(s, *names)->has_proc;
    if (!has_proc) return;
    ADD(a, "--proc", "/proc");
    for (size_t i = 0; i < sizeof covered / sizeof *covered; i++)
        if (path_exists(covered[i])) ADD(a, "--ro-bind", "/dev/null", covered[i]);
}

static sc_status add_view(struct arguments *a, const struct sandbox *s, const struct sandbox_job *job, const struct sandbox_limits *limits, sc_error *err)
{
    static const char *const roots[] = { "/bin", "/lib", "/lib32", "/lib64" };
    ADD(a, "--ro-bind", "/usr/bin", "/usr/bin", "--ro-bind", "/usr/lib", "/usr/lib");
    if (path_is_directory("/usr/lib64")) ADD(a, "--ro-bind", "/usr/lib64", "/usr/lib64");
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) add_root_directory(a, roots[i]);
    TRY(check_tools(s, job->tools, err));
    add_proc(a, s, job->tools);
    ADD(a, "--dev-bind", "/dev/null", "/dev/null", "--dev-bind", "/dev/urandom", "/dev/urandom", "--symlink", "urandom", "/dev/random");
    ADD(a, "--size");
    add_number(a, limits->work_bytes);
    ADD(a, "--tmpfs", "/tmp", "--dir", SANDBOX_WORK, "--chdir", SANDBOX_WORK);
    add_tools(a, s, job->tools);                               /* after /tmp: a virtual environment may lie there, and stays read-only */
    return SC_OK;
}

static bool is_good_name(const char *name)
{
    size_t n = strlen(name);
    return n && n <= NAME_MAX_BYTES && *name != '/' && *name != '-' && !strstr(name, "..");
}

static sc_status lay(struct arguments *a, int memory, const char *mode, const char *path, sc_error *err)
{
    size_t number = 0;
    TRY(pass_reader(a, &number, memory, err));
    ADD(a, "--perms", mode, "--file");
    add_number(a, number);
    add(a, path);
    return SC_OK;
}

static sc_status add_files(struct arguments *a, const struct sandbox *s, const struct sandbox_job *job, sc_error *err)
{
    char path[sizeof SANDBOX_WORK + NAME_MAX_BYTES + 2];
    TRY(lay(a, s->helper, "0555", "/enter", err));
    TRY(lay(a, s->accounts, "0444", "/etc/passwd", err));
    if (job->n_files > FILES_MAX) return FAIL(err, SC_E_ARGUMENT, "the job has %zu files, more than %d", job->n_files, FILES_MAX);
    for (size_t i = 0; i < job->n_files; i++) {
        const struct sandbox_file *f = &job->files[i];
        if (!is_good_name(f->name)) return FAIL(err, SC_E_ARGUMENT, "\"%.130s\" is no name for a file in a sandbox; a plain relative name of up to %d bytes is", f->name, NAME_MAX_BYTES);
        int memory = memory_file(f->data, f->len, f->name, err);
        if (memory < 0) return SC_E_IO;
        snprintf(path, sizeof path, SANDBOX_WORK "/%s", f->name);
        sc_status status = lay(a, memory, "0644", path, err);
        close(memory);
        TRY(status);
    }
    return SC_OK;
}

static void add_environment(struct arguments *a, const struct sandbox_job *job)
{
    static const char *const usual[] = { "PATH=/usr/bin:/bin", "HOME=" SANDBOX_WORK, "TMPDIR=/tmp", "PYTHONHASHSEED=0", "OMP_NUM_THREADS=1", "TZ=UTC", "LC_ALL=C.UTF-8", NULL };
    const char *const *lists[] = { usual, job->environment };
    for (size_t i = 0; i < 2; i++)
        for (const char *const *e = lists[i]; e && *e; e++) {
            const char *equals = strchr(*e, '=');
            if (!equals) continue;
            char *name = mem_strndup(*e, (size_t)(equals - *e));
            ADD(a, "--setenv", name, equals + 1);
            mem_free(name);
        }
}

/* ---- what is run -------------------------------------------------------------------------------------------------------------------- */

/* Unpacks what the step before left, runs the program, packs what it leaves; the shell's descriptors for that are closed to the program. */
static void add_steps(struct arguments *a, const struct sandbox_job *job, size_t from, size_t to)
{
    struct buf script;
    buf_init(&script, 0);
    if (job->from) buf_printf(&script, "tar -xf - -C " SANDBOX_WORK " <&%zu || exit 126\nexec %zu<&-\n", from, from);
    if (job->to) {
        buf_printf(&script, "\"$@\" %zu>&- || exit $?\ntar -cf - --ignore-failed-read", to);
        for (const char *const *name = job->keep; name && *name; name++) buf_printf(&script, " '%s'", *name);
        buf_printf(&script, " >&%zu 2>/dev/null || :\n", to);
    } else {
        buf_puts(&script, "exec \"$@\"\n");
    }
    ADD(a, "/bin/sh", "-c", script.data, "sh");
    buf_release(&script);
}

static sc_status pass_carry(struct arguments *a, const struct sandbox_job *job, size_t *from, size_t *to, sc_error *err)
{
    for (const char *const *name = job->to ? job->keep : NULL; name && *name; name++)
        if ((!is_good_name(*name) && strcmp(*name, ".") != 0) || strchr(*name, '\'')) return FAIL(err, SC_E_ARGUMENT, "\"%.130s\" is no name of a file that a sandbox could keep", *name);
    if (job->from) {
        if (!job->from->is_held) return FAIL(err, SC_E_ARGUMENT, "the step before left nothing to continue with");
        TRY(pass_reader(a, from, job->from->fd, err));
    }
    if (job->to) {
        int fd = memory_file("", 0, "what a step leaves", err);
        if (fd < 0) return SC_E_IO;
        *job->to = (struct sandbox_carry){ fd, true };
        if ((fd = dup(fd)) < 0) return FAIL(err, SC_E_IO, "no descriptor for what a step leaves: %s", strerror(errno));
        *to = pass(a, fd);
    }
    return SC_OK;
}

static void add_helper(struct arguments *a, const struct sandbox_limits *l, size_t status, size_t n_fds, bool is_probe)
{
    const uint64_t numbers[] = { status, n_fds, l->has_wide_addresses ? 0 : l->memory, (uint64_t)l->processes, (uint64_t)l->cpu, l->file_bytes, (uint64_t)l->open_files, is_probe };  /* ORDER ENTER_STATUS_FD */
    ADD(a, "--", "/enter");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) add_number(a, numbers[i]);
}

/* Standard input first, the job's descriptors, what is carried, then what bubblewrap alone reads. */
static sc_status add_all(struct arguments *a, const struct sandbox *s, const struct sandbox_job *job, const struct sandbox_limits *limits, bool is_probe, int status_fd, sc_error *err)
{
    size_t from = 0, to = 0, calls = 0;
    for (size_t i = 0; i < job->n_descriptors; i++) pass(a, job->descriptors[i]);
    a->owned = a->n_fds;
    TRY(pass_carry(a, job, &from, &to, err));
    size_t n_fds = a->n_fds - 3, status = pass(a, dup(status_fd));
    if (a->fd[status] < 0) return FAIL(err, SC_E_IO, "no descriptor for a sandbox: %s", strerror(errno));
    ADD(a, s->bwrap, "--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox", "--clearenv", "--new-session", "--die-with-parent");
    TRY(add_view(a, s, job, limits, err));
    TRY(add_files(a, s, job, err));
    ADD(a, "--remount-ro", "/");
    TRY(pass_reader(a, &calls, s->calls, err));
    ADD(a, "--seccomp");
    add_number(a, calls);
    add_environment(a, job);
    add_helper(a, limits, status, n_fds, is_probe);
    if (job->from || job->to) add_steps(a, job, from, to);
    for (const char *const *word = job->argv; *word; word++) add(a, *word);
    return SC_OK;
}

/* fd[0..2] are set by the caller. */
sc_status arguments_build(struct arguments *a, const struct sandbox *s, const struct sandbox_job *job, const struct sandbox_limits *limits, bool is_probe, int status, sc_error *err)
{
    buf_init(&a->text, 0);
    a->at = NULL;
    a->argv = NULL;
    a->n = a->cap = 0;
    a->n_fds = a->owned = 3;
    if (!job->argv || !job->argv[0]) return FAIL(err, SC_E_ARGUMENT, "the job for a sandbox names no program");
    if (job->n_descriptors > 16) return FAIL(err, SC_E_ARGUMENT, "%zu descriptors are to be kept open in a sandbox, more than 16", job->n_descriptors);
    TRY(add_all(a, s, job, limits, is_probe, status, err));
    a->argv = mem_zero(a->n + 1, sizeof *a->argv);
    for (size_t i = 0; i < a->n; i++) a->argv[i] = a->text.data + a->at[i];
    return SC_OK;
}

void arguments_release(struct arguments *a)
{
    for (size_t i = a->owned; i < a->n_fds; i++)
        if (a->fd[i] >= 0) close(a->fd[i]);
    mem_free(a->argv);
    mem_free(a->at);
    buf_release(&a->text);
}
