/* sandbox_calls.c - the system calls of programs in a sandbox, as a filter that bubblewrap loads. Interpreters and compilers of a dozen languages ask for
 * much; the list is what they need. What is not on it fails with EPERM. Calls of another instruction set (32 bit, x32) end the process. */
#include "sandbox/sandbox_internal.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const allowed[] = {
    /* files: which ones is decided by mounts and Landlock */
    "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "lseek", "close", "close_range", "open", "openat", "creat", "fstat", "stat", "lstat", "newfstatat", "statx",
    "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getcwd", "chdir", "fchdir", "getdents", "getdents64", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename",
    "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "truncate", "ftruncate", "fallocate", "fsync", "fdatasync", "chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown",
    "fchownat", "utime", "utimes", "utimensat", "futimesat", "umask", "fcntl", "flock", "statfs", "fstatfs", "fadvise64", "readahead", "sendfile", "copy_file_range", "splice", "tee",
    "dup", "dup2", "dup3", "pipe", "pipe2", "fgetxattr", "getxattr", "lgetxattr", "listxattr", "flistxattr", "llistxattr",
    /* memory */
    "mmap", "mprotect", "munmap", "mremap", "madvise", "brk", "mincore", "msync", "pkey_alloc", "pkey_free", "pkey_mprotect", "membarrier",
    /* threads, processes, signals; clone, prctl below */
    "fork", "vfork", "execve", "exit", "exit_group", "wait4", "waitid", "futex", "set_robust_list", "get_robust_list", "set_tid_address", "rseq", "arch_prctl", "sched_yield",
    "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_getscheduler", "sched_get_priority_max", "sched_get_priority_min", "getcpu", "getpid", "getppid", "gettid", "getpgid", "getpgrp",
    "getsid", "setsid", "setpgid", "kill", "tkill", "tgkill", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "rt_sigsuspend", "rt_sigpending", "rt_sigqueueinfo",
    "rt_tgsigqueueinfo", "sigaltstack", "restart_syscall", "pause", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
    /* time */
    "nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "time", "times", "alarm", "getitimer", "setitimer", "timer_create", "timer_settime", "timer_gettime",
    "timer_getoverrun", "timer_delete", "timerfd_create", "timerfd_settime", "timerfd_gettime",
    /* waiting; pairs of sockets below, none that could reach anyone */
    "poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2", "signalfd", "signalfd4",
    "shutdown", "recvfrom", "recvmsg", "sendto", "sendmsg", "getsockopt", "setsockopt", "getsockname", "getpeername",
    /* who and where we are */
    "getrandom", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "capget", "sysinfo", "uname", "getrusage", "getrlimit", "getpriority",
};

/* A call whose arguments decide: argument `arg` under `mask` has to be `value`. */
struct condition { const char *name; unsigned arg; uint64_t mask, value; };

static const struct condition conditions[] = {
    { "clone", 0, CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET, 0 },      /* no namespaces */
    { "prlimit64", 0, UINT32_MAX, 0 }, { "setrlimit", 0, 0, 0 },                                                                       /* its own; hard limits only fall */
    { "socketpair", 0, UINT32_MAX, AF_UNIX },
    { "ioctl", 1, UINT32_MAX, TCGETS }, { "ioctl", 1, UINT32_MAX, TIOCGWINSZ }, { "ioctl", 1, UINT32_MAX, FIONREAD }, { "ioctl", 1, UINT32_MAX, FIONBIO },
    { "ioctl", 1, UINT32_MAX, FIOCLEX }, { "ioctl", 1, UINT32_MAX, FIONCLEX },                                                         /* not TIOCSTI, TIOCLINUX */
    { "prctl", 0, UINT32_MAX, PR_SET_NAME }, { "prctl", 0, UINT32_MAX, PR_GET_NAME }, { "prctl", 0, UINT32_MAX, PR_SET_DUMPABLE }, { "prctl", 0, UINT32_MAX, PR_GET_DUMPABLE },
    { "prctl", 0, UINT32_MAX, PR_SET_NO_NEW_PRIVS }, { "prctl", 0, UINT32_MAX, PR_GET_NO_NEW_PRIVS }, { "prctl", 0, UINT32_MAX, PR_GET_SECCOMP }, { "prctl", 0, UINT32_MAX, PR_CAPBSET_READ },
    { "prctl", 0, UINT32_MAX, PR_SET_PDEATHSIG }, { "prctl", 0, UINT32_MAX, 0x53564d41 },                                             /* names of memory (glibc 2.38, Go) */
    { "mknod", 1, S_IFMT, S_IFREG }, { "mknodat", 2, S_IFMT, S_IFREG }, { "mknod", 1, S_IFMT, S_IFIFO }, { "mknodat", 2, S_IFMT, S_IFIFO },
};

static int add(scmp_filter_ctx f, uint32_t action, const char *name, const struct condition *c)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number < 0) return 0;                                  /* not on this kind of machine */
    if (!c || !c->mask) return seccomp_rule_add(f, action, number, 0);
    return seccomp_rule_add(f, action, number, 1, SCMP_CMP64(c->arg, SCMP_CMP_MASKED_EQ, c->mask, c->value));
}

static int fill(scmp_filter_ctx f)
{
    int failed = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);          /* a tree: programs under test make many calls */
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed && !failed; i++) failed = add(f, SCMP_ACT_ALLOW, allowed[i], NULL);
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions && !failed; i++) failed = add(f, SCMP_ACT_ALLOW, conditions[i].name, &conditions[i]);
    /* Its flags lie in memory, where a filter cannot look; without it libraries take clone. */
    return failed ? failed : add(f, SCMP_ACT_ERRNO(ENOSYS), "clone3", NULL);
}

sc_status sandbox_calls(int fd, sc_error *err)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int failed = f ? fill(f) : -ENOMEM;
    if (!failed) failed = seccomp_export_bpf(f, fd);
    if (f) seccomp_release(f);
    if (failed) return FAIL(err, SC_E_UNSUPPORTED, "the sandbox cannot build its filter of system calls: libseccomp says %s", strerror(-failed));
    return SC_OK;
}
