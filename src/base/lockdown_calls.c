/* lockdown_calls.c - the system calls of a running server, by seccomp. The list is what strace saw of a server that answered, kept prompts,
 * read its keys again and stopped, with what glibc, libevent and SQLite may ask for besides.
 *
 * A call that is not on the list fails with EPERM instead of ending the process. It does nothing either way, so an attacker gains nothing; but
 * a library that tries something new on another machine would otherwise take all running answers with it. The kernel logs what was refused
 * (SECCOMP_FILTER_FLAG_LOG). Calls of another instruction set (32 bit, x32) are made by attackers alone and end the process. */
#include "base/lockdown.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static const char *const allowed[] = {
    /* files: which ones is Landlock's affair */
    "read", "write", "readv", "writev", "pread64", "pwrite64", "lseek", "close", "open", "openat", "fstat", "stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2",
    "readlink", "readlinkat", "getcwd", "getdents64", "mkdir", "mkdirat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "ftruncate", "fallocate", "fsync", "fdatasync", "fchmod", "chmod",
    "fchmodat", "fchown", "utimensat", "fcntl", "flock", "statfs", "fstatfs", "fadvise64",
    /* memory; mmap and mprotect below */
    "munmap", "mremap", "madvise", "brk", "mincore", "msync",
    /* threads, time, signals of this process; clone, tgkill, prctl below */
    "futex", "set_robust_list", "rseq", "exit", "exit_group", "getpid", "gettid", "sched_yield", "sched_getaffinity", "membarrier", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait",
    "sigaltstack", "restart_syscall", "nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "time",
    /* connections that are there, and those that come */
    "accept", "accept4", "getsockopt", "setsockopt", "getsockname", "getpeername", "shutdown", "recvfrom", "recvmsg", "sendto", "sendmsg", "epoll_wait", "epoll_pwait", "epoll_pwait2", "epoll_ctl",
    "poll", "ppoll", "eventfd2",
    /* who and where we are */
    "getrandom", "getuid", "geteuid", "getgid", "getegid", "sysinfo", "uname", "getrusage", "getrlimit",
};

/* A call whose arguments decide: argument `arg` under `mask` has to be `value`. */
struct condition { const char *name; unsigned arg; uint64_t mask, value; };

static int add(scmp_filter_ctx f, uint32_t action, const char *name, const struct condition *c)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number < 0) return 0;                                  /* not on this kind of machine */
    if (!c) return seccomp_rule_add(f, action, number, 0);
    return seccomp_rule_add(f, action, number, 1, SCMP_CMP64(c->arg, SCMP_CMP_MASKED_EQ, c->mask, c->value));
}

static int add_conditions(scmp_filter_ctx f)
{
    const uint64_t every = UINT64_MAX, word = UINT32_MAX;
    const struct condition rows[] = {
        { "mmap", 2, PROT_EXEC, 0 }, { "mprotect", 2, PROT_EXEC, 0 },                                  /* no code that was not there */
        { "clone", 0, CLONE_THREAD | CLONE_VM | CLONE_SIGHAND, CLONE_THREAD | CLONE_VM | CLONE_SIGHAND },  /* threads, no processes */
        { "tgkill", 0, word, (uint64_t)getpid() },
        { "prctl", 0, word, PR_SET_NAME }, { "prctl", 0, word, 0x53564d41 },                              /* names of threads, of memory (glibc 2.38) */
        { "prlimit64", 2, every, 0 },                                                                  /* asked, not set */
        { "ioctl", 1, word, FIONREAD }, { "ioctl", 1, word, TCGETS }, { "ioctl", 1, word, TIOCGWINSZ },    /* libevent; is it a terminal, how wide */
        { "mknod", 1, S_IFMT, S_IFREG }, { "mknodat", 2, S_IFMT, S_IFREG },                            /* plain files */
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && !failed; i++) failed = add(f, SCMP_ACT_ALLOW, rows[i].name, &rows[i]);
    /* Its flags lie in memory, where a filter cannot look; without it glibc takes clone. */
    return failed ? failed : add(f, SCMP_ACT_ERRNO(ENOSYS), "clone3", NULL);
}

static int fill(scmp_filter_ctx f)
{
    int failed = 0;
    seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    seccomp_attr_set(f, SCMP_FLTATR_CTL_LOG, 1);
    seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);          /* a tree: a hundred comparisons a call would be felt */
    if ((failed = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1)) != 0) return failed;
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed && !failed; i++) failed = add(f, SCMP_ACT_ALLOW, allowed[i], NULL);
    return failed ? failed : add_conditions(f);
}

void lock_calls(struct lockdown_state *out)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int failed = f ? fill(f) : -ENOMEM;
    if (!failed) failed = seccomp_load(f);
    if (failed) lockdown_lacks(out, "seccomp (%s)", strerror(-failed));
    out->seccomp = !failed;
    if (f) seccomp_release(f);
}
