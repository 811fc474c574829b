/* lockdown.c - a process that has opened all it needs gives the rest up, for all its threads and for good: files by Landlock, everything else
 * of the kernel by a list of system calls (lockdown_calls.c). What an attacker gains by a fault of ours is then what a server needs anyway.
 *
 * Landlock binds one thread and those it starts later; the kernel of today knows no way to bind the others (seccomp does). So each of them is
 * sent a signal whose handler does it. Source: landlock(7); Documentation/userspace-api/landlock.rst, ABI 1 (Linux 5.13) to 7 (6.15). */
#include "base/lockdown.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Debian 12's headers know ABI 2 alone; numbers are the same on all machines. */
enum { CREATE_RULESET = 444, ADD_RULE = 445, RESTRICT_SELF = 446, RULE_PATH_BENEATH = 1, CREATE_VERSION = 1 };
enum {
    FS_WRITE_FILE = 1 << 1, FS_READ_FILE = 1 << 2, FS_READ_DIR = 1 << 3, FS_REMOVE_FILE = 1 << 5, FS_MAKE_REG = 1 << 8,
    FS_REFER = 1 << 13, FS_TRUNCATE = 1 << 14, FS_IOCTL_DEV = 1 << 15, FS_FIRST = (1 << 13) - 1,      /* what ABI 1 knows */
    NET_ALL = 3, SCOPE_ABSTRACT_SOCKET = 1,
};
enum { ABI_REFER = 2, ABI_TRUNCATE = 3, ABI_NET = 4, ABI_IOCTL = 5, ABI_SCOPE = 6, ABI_GOOD = ABI_NET, THREADS_MAX = 4096, PATIENCE = 2 };
struct ruleset_attr { uint64_t fs, net, scoped; };
struct path_attr { uint64_t access; int32_t fd; } __attribute__((packed));

/* ---- every thread ----------------------------------------------------------------------------------------------------------------- */

/* What the handler needs; a signal has no argument. */
static struct { int ruleset; atomic_int failed; sem_t answered; } binding;

static int bind_self(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
    return syscall(RESTRICT_SELF, binding.ruleset, 0) == 0 ? 0 : errno;
}

static void on_bind(int number)
{
    int before = errno, failed = bind_self();
    (void)number;
    if (failed) atomic_store(&binding.failed, failed);
    sem_post(&binding.answered);
    errno = before;
}

static bool is_among(const pid_t *list, size_t n, pid_t tid)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == tid) return true;
    return false;
}

static bool ask_thread(pid_t tid, int number)
{
    struct timespec until;
    if (syscall(SYS_tgkill, getpid(), tid, number) != 0) return errno == ESRCH;        /* it has just ended */
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE;
    while (sem_timedwait(&binding.answered, &until) != 0)
        if (errno != EINTR) return false;
    return true;
}

/* Until a look at the list finds none that was not asked: those that are asked start only bound ones. */
static const char *bind_others(int number)
{
    pid_t asked[THREADS_MAX];
    size_t n = 1;
    bool has_new = true;
    asked[0] = gettid();
    while (has_new) {
        DIR *d = opendir("/proc/self/task");
        if (!d) return "threads that ran before (/proc is not there to find them)";
        has_new = false;
        for (const struct dirent *e; (e = readdir(d)) != NULL;) {
            pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);
            if (tid <= 0 || is_among(asked, n, tid)) continue;
            if (n == THREADS_MAX || !ask_thread(tid, number)) { closedir(d); return "a thread that did not answer"; }
            asked[n++] = tid;
            has_new = true;
        }
        closedir(d);
    }
    return NULL;
}

static void bind_all(struct lockdown_state *out)
{
    struct sigaction ours = { .sa_handler = on_bind, .sa_flags = SA_RESTART }, before;
    int number = SIGRTMAX - 1;
    sem_init(&binding.answered, 0, 0);
    atomic_store(&binding.failed, 0);
    sigaction(number, &ours, &before);
    const char *left = bind_others(number);
    sigaction(number, &before, NULL);
    int failed = bind_self();
    if (!failed) failed = atomic_load(&binding.failed);
    if (failed) lockdown_lacks(out, "Landlock (%s)", strerror(failed));
    else if (left) lockdown_lacks(out, "Landlock of %s", left);
    sem_destroy(&binding.answered);
}

/* ---- files and TCP ----------------------------------------------------------------------------------------------------------------- */

static uint64_t rights_of(enum lockdown_rights rights, bool is_directory, uint64_t handled)
{
    static const uint64_t of[] = { FS_READ_FILE | FS_READ_DIR, FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE | FS_TRUNCATE | FS_REMOVE_FILE | FS_MAKE_REG, FS_REMOVE_FILE };   /* ORDER lockdown_rights */
    uint64_t most = is_directory ? UINT64_MAX : FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE;
    return of[rights] & most & handled;
}

static sc_status allow_path(int ruleset, const struct lockdown_path *p, uint64_t handled, sc_error *err)
{
    struct stat is;
    int fd = open(p->path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &is) != 0) {
        sc_status status = FAIL(err, SC_E_IO, "%s, which stays open to the locked-down program, cannot be found: %s", p->path, strerror(errno));
        if (fd >= 0) close(fd);
        return status;
    }
    struct path_attr rule = { rights_of(p->rights, S_ISDIR(is.st_mode), handled), fd };
    sc_status status = SC_OK;
    if (rule.access && syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0) != 0) status = FAIL(err, SC_E_IO, "%s cannot be kept open to the locked-down program: %s", p->path, strerror(errno));
    close(fd);
    return status;
}

static void tell_gaps(struct lockdown_state *out)
{
    if (out->landlock < ABI_TRUNCATE) lockdown_lacks(out, "Landlock for truncating files (Linux 6.2)");
    if (out->landlock < ABI_NET) lockdown_lacks(out, "Landlock for TCP (Linux 6.7)");
}

static sc_status lock_files(struct lockdown_state *out, const struct lockdown_path *path, size_t n, sc_error *err)
{
    long abi = syscall(CREATE_RULESET, NULL, 0, CREATE_VERSION);
    if (abi < 1) {
        lockdown_lacks(out, "Landlock (%s)", errno == EOPNOTSUPP ? "switched off when the machine was started; lsm= has to name it" : "Linux 5.13 or later has it");
        return SC_OK;
    }
    out->landlock = (int)abi;
    struct ruleset_attr attr = { .fs = FS_FIRST, .net = abi >= ABI_NET ? NET_ALL : 0, .scoped = abi >= ABI_SCOPE ? SCOPE_ABSTRACT_SOCKET : 0 };
    if (abi >= ABI_REFER) attr.fs |= FS_REFER;
    if (abi >= ABI_TRUNCATE) attr.fs |= FS_TRUNCATE;
    if (abi >= ABI_IOCTL) attr.fs |= FS_IOCTL_DEV;
    binding.ruleset = (int)syscall(CREATE_RULESET, &attr, sizeof attr, 0);
    if (binding.ruleset < 0) return FAIL(err, SC_E_IO, "Landlock makes no set of rules: %s", strerror(errno));
    sc_status status = SC_OK;
    for (size_t i = 0; i < n && status == SC_OK; i++) status = allow_path(binding.ruleset, &path[i], attr.fs, err);
    if (status == SC_OK) {
        bind_all(out);
        tell_gaps(out);
    }
    close(binding.ruleset);
    return status;
}

/* ---- all together -------------------------------------------------------------------------------------------------------------------- */

void lockdown_lacks(struct lockdown_state *s, const char *format, ...)
{
    va_list ap;
    size_t n = strlen(s->missing);
    if (n) n += (size_t)snprintf(s->missing + n, sizeof s->missing - n, "; ");
    va_start(ap, format);
    if (n < sizeof s->missing) vsnprintf(s->missing + n, sizeof s->missing - n, format, ap);
    va_end(ap);
}

/* Address and thread sanitizers look into /proc and trace the process themselves. */
static bool is_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
    return true;
#else
    return false;
#endif
#else
    return false;
#endif
}

sc_status process_lock_down(struct lockdown_state *out, unsigned parts, const struct lockdown_path *path, size_t n, sc_error *err)
{
    const struct rlimit none = { 0, 0 };
    *out = (struct lockdown_state){ 0 };
    if (is_sanitized()) {
        lockdown_lacks(out, "all of it (this program was built with a sanitizer, which could not work any more)");
        return SC_OK;
    }
    tzset();                                                   /* reads /etc/localtime while it can be read */
    (void)dlopen("libgcc_s.so.1", RTLD_NOW);                   /* glibc opens it when a thread is cancelled, and ends the process without */
    (void)setrlimit(RLIMIT_CORE, &none);                       /* a core file would hold keys and prompts */
    if (parts & LOCKDOWN_FILES) TRY(lock_files(out, path, n, err));
    if (parts & LOCKDOWN_CALLS) lock_calls(out);
    return SC_OK;
}
