/* sandbox_run.c - one run from start to end: bubblewrap is started, what the program prints is read, what it uses is watched, and it is not over before
 * the last process of its namespace is gone. */
#include "sandbox/sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WATCH_MS = 20, SETUP_SECONDS = 30, GOING_SECONDS = 10, RUNS_MAX = 4, FILES_MAX = 20000 };

static const char *const sandbox_outcome_text[SANDBOX_OUTCOMES] = { "exited", "signalled", "timeout", "oom", "output-flood", "setup-error" };
const char *sandbox_outcome_name(enum sandbox_outcome outcome) { return outcome < SANDBOX_OUTCOMES ? sandbox_outcome_text[outcome] : "unknown"; }

static struct sandbox_limits with_usual(struct sandbox_limits l)
{
    if (l.wall <= 0) l.wall = 10;
    if (l.cpu <= 0) l.cpu = l.wall;
    l.cpu = ceil(l.cpu);
    if (!l.memory) l.memory = (uint64_t)4 << 30;
    if (l.processes <= 0) l.processes = 64;
    if (l.open_files <= 0) l.open_files = 64;
    if (!l.file_bytes) l.file_bytes = 16 << 20;
    if (!l.work_bytes) l.work_bytes = 64 << 20;
    if (!l.output_kept) l.output_kept = 2048;
    if (!l.output_max) l.output_max = 4 << 20;
    if (l.output_max < l.output_kept) l.output_max = l.output_kept;
    return l;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* ---- start -------------------------------------------------------------------------------------------------------------------------- */

static sc_status open_input(int *fd, const struct sandbox_job *job, sc_error *err)
{
    if (!job->input_len) *fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    else {
        int memory = memory_file(job->input, job->input_len, "the input of a program", err);
        if (memory < 0) return SC_E_IO;
        *fd = memory_reader(memory);
        close(memory);
    }
    return *fd >= 0 ? SC_OK : FAIL(err, SC_E_IO, "the input of a program in a sandbox cannot be opened: %s", strerror(errno));
}

static sc_status open_pipes(int end[3][2], sc_error *err)
{
    for (int i = 0; i < 3; i++)
        if (pipe2(end[i], O_CLOEXEC) != 0) return FAIL(err, SC_E_IO, "no pipe to a sandbox can be made: %s", strerror(errno));
    for (int i = 0; i < 3; i++) fcntl(end[i][0], F_SETFL, O_NONBLOCK);
    return SC_OK;
}

sc_status run_begin(struct run *run, struct sandbox *s, const struct sandbox_job *job, struct sandbox_result *result, bool is_probe, sc_error *err)
{
    int end[3][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } };      /* output, errors, status */
    struct arguments a = { .owned = 0 };
    sc_status status = SC_OK;
    *run = (struct run){ .result = result, .limits = with_usual(job->limits), .is_probe = is_probe, .monitor_fd = -1, .init_fd = -1, .status = -1, .output = -1, .errors = -1 };
    *result = (struct sandbox_result){ .outcome = SANDBOX_SETUP };
    buf_init(&result->output, 0);
    buf_init(&result->errors, 0);
    if (job->to) *job->to = (struct sandbox_carry){ 0 };
    a.fd[0] = -1;
    run->began = clock_seconds();
    TRY_DONE(open_input(&a.fd[0], job, err));
    TRY_DONE(open_pipes(end, err));
    a.fd[1] = end[0][1];
    a.fd[2] = end[1][1];
    TRY_DONE(arguments_build(&a, s, job, &run->limits, is_probe, end[2][1], err));
    run->monitor = host_spawn(s, a.argv, a.fd, a.n_fds);
    if (run->monitor < 0) { run->monitor = 0; status = FAIL(err, SC_E_IO, "%s cannot be started: %s", s->bwrap, strerror(errno)); goto done; }
    run->monitor_fd = (int)syscall(SYS_pidfd_open, run->monitor, 0);
    run->output = end[0][0];
    run->errors = end[1][0];
    run->status = end[2][0];
    end[0][0] = end[1][0] = end[2][0] = -1;
done:
    if (a.owned) arguments_release(&a);
    close_fd(&a.fd[0]);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 2; j++) close_fd(&end[i][j]);
    if (status != SC_OK) {
        if (job->to) sandbox_carry_release(job->to);
        sandbox_result_release(result);
        run->is_over = true;
    }
    return status;
}

/* ---- what happens ------------------------------------------------------------------------------------------------------------------- */

static void decide(struct run *run, enum sandbox_outcome outcome, int code)
{
    if (run->is_decided) return;
    run->is_decided = true;
    run->result->outcome = outcome;
    run->result->code = code;
    run->result->seconds = run->started > 0 ? clock_seconds() - run->started : 0;
}

/* Process 1 inside, seen from here; when it is gone, all are. */
static void find_init(struct run *run)
{
    if (run->init_fd >= 0 || run->monitor <= 0) return;
    run->init = tree_child(run->monitor);
    if (run->init > 0) run->init_fd = (int)syscall(SYS_pidfd_open, run->init, 0);
}

/* bubblewrap killed before it has released its process 1 leaves that waiting for ever; so it is stopped first, and that one looked for. */
static void halt(struct run *run)
{
    if (run->started > 0 || run->init_fd >= 0 || run->monitor <= 0) return;
    siginfo_t how;
    kill(run->monitor, SIGSTOP);
    (void)waitid(P_PID, (id_t)run->monitor, &how, WSTOPPED | WEXITED | WNOWAIT);
    find_init(run);
}

void run_kill(struct run *run, enum sandbox_outcome outcome)
{
    decide(run, outcome, SIGKILL);
    halt(run);
    if (run->init_fd >= 0) (void)syscall(SYS_pidfd_send_signal, run->init_fd, SIGKILL, NULL, 0);
    if (run->monitor > 0) kill(run->monitor, SIGKILL);
}

/* Files of no size are memory too, which no limit of a tmpfs counts in bytes. */
static bool has_many_files(pid_t init)
{
    char path[40];
    struct statvfs fs;
    snprintf(path, sizeof path, "/proc/%d/root%s", (int)init, "/tmp");       /* its own /tmp */
    return statvfs(path, &fs) == 0 && fs.f_files - fs.f_ffree > FILES_MAX;
}

static void take_record(struct run *run, const struct enter_record *r)
{
    switch (r->kind) {
    case ENTER_STARTED:
        run->started = clock_seconds();
        run->result->start_seconds = run->started - run->began;
        find_init(run);
        break;
    case ENTER_PROBED:
        run->probed = r->value;
        decide(run, SANDBOX_EXITED, 0);
        break;
    case ENTER_FAILED:
        decide(run, SANDBOX_SETUP, r->value);
        snprintf(run->result->message, sizeof run->result->message, "the program cannot be started inside the sandbox: %s", strerror(r->value));
        break;
    case ENTER_EXITED: case ENTER_KILLED:
        run->result->cpu_seconds = (double)r->cpu_us * 1e-6;
        run->result->peak_bytes = r->peak_kb << 10;
        if (r->kind == ENTER_EXITED) decide(run, SANDBOX_EXITED, r->value);
        else decide(run, r->value == SIGXCPU ? SANDBOX_TIMEOUT : SANDBOX_SIGNALLED, r->value);
        break;
    default: break;
    }
}

static void read_status(struct run *run)
{
    struct enter_record r;
    ssize_t n;
    while ((n = read(run->status, &r, sizeof r)) == (ssize_t)sizeof r) take_record(run, &r);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) close_fd(&run->status);
}

static void read_stream(struct run *run, int *fd, struct buf *kept, uint64_t *total)
{
    char bytes[16384];
    for (int i = 0; i < 16; i++) {
        ssize_t n = read(*fd, bytes, sizeof bytes);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) close_fd(fd);
        if (n <= 0) return;
        *total += (uint64_t)n;
        size_t room = run->limits.output_kept - kept->len;
        buf_append(kept, bytes, (size_t)n < room ? (size_t)n : room);
        if (*total > run->limits.output_max) { run_kill(run, SANDBOX_FLOOD); return; }
    }
}

static void watch(struct run *run)
{
    double now = clock_seconds();
    struct tree_use use;
    if (!run->started) {
        if (now - run->began <= SETUP_SECONDS) return;
        snprintf(run->result->message, sizeof run->result->message, "the sandbox took longer than %d s to begin; the machine is overloaded", SETUP_SECONDS);
        run_kill(run, SANDBOX_SETUP);
        return;
    }
    if (run->is_decided) return;
    if (now - run->started > run->limits.wall) { run_kill(run, SANDBOX_TIMEOUT); return; }
    find_init(run);
    if (run->init <= 0 || !tree_use(&use, run->init)) return;
    if (use.bytes > run->limits.memory || use.processes > run->limits.processes + 16 || has_many_files(run->init)) run_kill(run, SANDBOX_OOM);
}

/* bubblewrap has ended: whatever it still had to say is in the pipes. */
static void reap(struct run *run)
{
    int how = 0;
    errno = 0;
    if (waitpid(run->monitor, &how, WNOHANG) != run->monitor && errno != ECHILD) return;      /* ECHILD: who embeds us ignores SIGCHLD */
    run->monitor = 0;
    if (run->status >= 0) read_status(run);
    if (run->output >= 0) read_stream(run, &run->output, &run->result->output, &run->result->output_bytes);
    if (run->errors >= 0) read_stream(run, &run->errors, &run->result->errors, &run->result->errors_bytes);
    if (!run->is_decided && run->started) decide(run, SANDBOX_SIGNALLED, SIGKILL);      /* the helper was killed from inside */
    if (!run->is_decided) {
        char said[160];
        size_t n = run->result->errors.len ? strcspn(run->result->errors.data, "\n") : 0;
        decide(run, SANDBOX_SETUP, WIFEXITED(how) ? WEXITSTATUS(how) : WTERMSIG(how));
        snprintf(run->result->message, sizeof run->result->message, "bubblewrap made no sandbox: %s",
                 n ? error_quote(said, sizeof said, run->result->errors.data, n) : "it ended without a word");
    }
    run->is_over = true;
}

static size_t add_poll(struct pollfd *p, size_t n, int fd)
{
    p[n] = (struct pollfd){ .fd = fd, .events = POLLIN };
    return n + 1;
}

bool runs_poll(struct run *const *run, size_t n, int extra, double until)
{
    struct pollfd p[1 + 4 * RUNS_MAX];
    size_t k = add_poll(p, 0, extra);
    double left = until - clock_seconds();
    for (size_t i = 0; i < n; i++) {
        k = add_poll(p, k, run[i]->status);
        k = add_poll(p, k, run[i]->output);
        k = add_poll(p, k, run[i]->errors);
        k = add_poll(p, k, run[i]->is_over ? -1 : run[i]->monitor_fd);
    }
    int wait = left * 1000 < WATCH_MS ? (left > 0 ? (int)(left * 1000) + 1 : 0) : WATCH_MS;
    if (poll(p, k, wait) < 0) return false;
    for (size_t i = 0; i < n; i++) {
        struct run *r = run[i];
        if (r->is_over) continue;
        if (p[1 + 4 * i].revents && r->status >= 0) read_status(r);
        if (p[2 + 4 * i].revents && r->output >= 0) read_stream(r, &r->output, &r->result->output, &r->result->output_bytes);
        if (p[3 + 4 * i].revents && r->errors >= 0) read_stream(r, &r->errors, &r->result->errors, &r->result->errors_bytes);
        watch(r);
        if (p[4 + 4 * i].revents || r->monitor_fd < 0) reap(r);
    }
    return extra >= 0 && p[0].revents;
}

/* ---- end ----------------------------------------------------------------------------------------------------------------------------- */

static void wait_gone(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    double until = clock_seconds() + GOING_SECONDS;
    while (fd >= 0 && poll(&p, 1, 100) != 1 && clock_seconds() < until) continue;
}

void run_end(struct run *run)
{
    halt(run);
    find_init(run);
    if (run->init_fd >= 0) (void)syscall(SYS_pidfd_send_signal, run->init_fd, SIGKILL, NULL, 0);
    if (run->monitor > 0) {
        kill(run->monitor, SIGKILL);
        waitpid(run->monitor, NULL, 0);
        run->monitor = 0;
    }
    wait_gone(run->init_fd);
    if (run->started > 0) decide(run, SANDBOX_SIGNALLED, SIGKILL);       /* nobody waited for its end */
    close_fd(&run->status);
    close_fd(&run->output);
    close_fd(&run->errors);
    close_fd(&run->monitor_fd);
    close_fd(&run->init_fd);
    run->is_over = true;
}

sc_status sandbox_run(struct sandbox_result *out, struct sandbox *s, const struct sandbox_job *job, sc_error *err)
{
    struct run run, *const runs[] = { &run };
    TRY(run_begin(&run, s, job, out, false, err));
    while (!run.is_over) runs_poll(runs, 1, -1, clock_seconds() + 1);
    run_end(&run);
    if (job->to && !(out->outcome == SANDBOX_EXITED && out->code == 0)) sandbox_carry_release(job->to);
    return SC_OK;
}

void sandbox_result_release(struct sandbox_result *r)
{
    buf_release(&r->output);
    buf_release(&r->errors);
}
