/* enter.c - the first program inside a sandbox: bubblewrap has made the namespaces, this sets what can only be set inside them (limits that count per
 * user namespace, Landlock, which would have kept bubblewrap from mounting), starts the program and tells how it ended.
 *
 * It is linked without libc, so that it is a few kilobytes that start in a fraction of a millisecond and need no library of the host. What is told goes
 * through a pipe that the program never holds; killing this helper yields no record, which counts as killed.
 * Sources: landlock(7), setrlimit(2), user_namespaces(7). */
#include "enter.h"

#include <asm/unistd.h>
#include <linux/landlock.h>

typedef long word;
struct limit { uint64_t soft, hard; };
struct usage { int64_t user_s, user_us, system_s, system_us, peak_kb, other[13]; };

enum { WRITE_ONLY = 1, CREATE = 0100, O_PATH_ = 010000000, CLOEXEC = 02000000, AT_CWD = -100, CLOSE_ON_EXEC = 4, SIGCHLD_ = 17 };
enum { LIMIT_CPU = 0, LIMIT_FILE = 1, LIMIT_CORE = 4, LIMIT_PROCESSES = 6, LIMIT_OPEN = 7, LIMIT_MEMLOCK = 8, LIMIT_ADDRESS_SPACE = 9, LIMIT_QUEUES = 12 };
enum { NAMESPACE_USER = 0x10000000, SET_DUMPABLE = 4, GET_SECCOMP = 21, SET_NO_NEW_PRIVS = 38, GET_NO_NEW_PRIVS = 39, EINTR_ = 4, POLL_IN_ = 1, WITH_PIDFD = 0x1000 };

#if defined(__x86_64__)
static word call(word n, word a, word b, word c, word d, word e, word f)
{
    word out;
    register word r10 __asm__("r10") = d;
    register word r8 __asm__("r8") = e;
    register word r9 __asm__("r9") = f;
    __asm__ volatile("syscall" : "=a"(out) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
    return out;
}
__asm__(".globl _start\n_start:\n xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call enter_main\n hlt\n");
#elif defined(__aarch64__)
static word call(word n, word a, word b, word c, word d, word e, word f)
{
    register word x8 __asm__("x8") = n;
    register word x0 __asm__("x0") = a;
    register word x1 __asm__("x1") = b;
    register word x2 __asm__("x2") = c;
    register word x3 __asm__("x3") = d;
    register word x4 __asm__("x4") = e;
    register word x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
__asm__(".globl _start\n_start:\n mov x29,#0\n mov x0,sp\n bl enter_main\n");
#else
#error "the sandbox knows the system calls of x86-64 and arm64 alone"
#endif

#define CALL0(n) call((n), 0, 0, 0, 0, 0, 0)
#define CALL1(n, a) call((n), (word)(a), 0, 0, 0, 0, 0)
#define CALL2(n, a, b) call((n), (word)(a), (word)(b), 0, 0, 0, 0)
#define CALL3(n, a, b, c) call((n), (word)(a), (word)(b), (word)(c), 0, 0, 0)
#define CALL4(n, a, b, c, d) call((n), (word)(a), (word)(b), (word)(c), (word)(d), 0, 0)
#define CALL5(n, a, b, c, d, e) call((n), (word)(a), (word)(b), (word)(c), (word)(d), (word)(e), 0)

void enter_main(word *stack);
void *memset(void *to, int byte, unsigned long n);

/* Compilers call it for empty structs, libc or not. The barrier keeps them from finding it in its own loop. */
__attribute__((used)) void *memset(void *to, int byte, unsigned long n)
{
    for (unsigned long i = 0; i < n; i++) {
        ((char *)to)[i] = (char)byte;
        __asm__ volatile("" : : : "memory");
    }
    return to;
}

static uint64_t number(const char *text)
{
    uint64_t out = 0;
    while (*text >= '0' && *text <= '9') out = out * 10 + (uint64_t)(*text++ - '0');
    return out;
}

static void tell(word fd, uint32_t kind, int32_t value, const struct usage *u)
{
    struct enter_record r = { kind, value, 0, 0 };
    if (u) {
        r.cpu_us = (uint64_t)(u->user_s + u->system_s) * 1000000u + (uint64_t)(u->user_us + u->system_us);
        r.peak_kb = (uint64_t)u->peak_kb;
    }
    CALL3(__NR_write, fd, &r, sizeof r);
}

static void limit(int what, uint64_t value)
{
    struct limit l = { value, value + (what == LIMIT_CPU) };   /* SIGXCPU first, which tells what happened */
    CALL4(__NR_prlimit64, 0, what, &l, 0);
}

static void allow(word rules, const char *path, uint64_t rights)
{
    struct landlock_path_beneath_attr rule;
    word fd = CALL4(__NR_openat, AT_CWD, path, O_PATH_ | CLOEXEC, 0);
    rule.allowed_access = rights;
    rule.parent_fd = (int)fd;
    if (fd < 0) return;
    CALL4(__NR_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    CALL1(__NR_close, fd);
}

/* A second wall behind the mounts: writing in /tmp alone, no TCP, no signals to processes outside. Older headers know ABI 1 or 2 alone. */
static int landlock(void)
{
    struct { uint64_t fs, net, scoped; } attr = { (1u << 13) - 1, 0, 0 };
    const uint64_t read = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    word abi = CALL3(__NR_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1) return 0;
    if (abi >= 2) attr.fs |= 1u << 13;                        /* moving between directories */
    if (abi >= 3) attr.fs |= 1u << 14;                        /* truncating                 */
    if (abi >= 4) attr.net = 3;                               /* TCP: bind and connect      */
    if (abi >= 6) attr.scoped = 3;                            /* abstract sockets, signals  */
    word rules = CALL3(__NR_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (rules < 0) return 0;
    allow(rules, "/", read);
    allow(rules, "/tmp", attr.fs & ~(uint64_t)(LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK));
    allow(rules, "/dev/null", LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | (attr.fs & 1u << 14));
    word failed = CALL2(__NR_landlock_restrict_self, rules, 0);
    CALL1(__NR_close, rules);
    return failed == 0;
}

static int can_open(const char *path, word flags)
{
    word fd = CALL4(__NR_openat, AT_CWD, path, flags | CLOEXEC, 0600);
    if (fd >= 0) CALL1(__NR_close, fd);
    return fd >= 0;
}

/* Tries what has to fail. Each of these is one wall alone; the programs in tests/sandbox/hostile try many more. */
static int32_t probe(void)
{
    int32_t open = 0;
    if (CALL0(__NR_getuid) != 65534 || CALL0(__NR_geteuid) != 65534) open |= ENTER_OPEN_USER;
    if (CALL0(__NR_getppid) != 1) open |= ENTER_OPEN_PID;
    if (can_open("/etc/shadow", 0) || can_open("/home", 0) || can_open("/sys", 0) || can_open("/proc", 0)) open |= ENTER_OPEN_FILES_READ;
    if (can_open("/starchat-probe", WRITE_ONLY | CREATE) || can_open("/usr/starchat-probe", WRITE_ONLY | CREATE)) open |= ENTER_OPEN_ROOT_WRITE;
    if (CALL3(__NR_socket, 2, 1, 0) >= 0 || CALL3(__NR_socket, 1, 1, 0) >= 0 || CALL3(__NR_socket, 16, 3, 0) >= 0) open |= ENTER_OPEN_SOCKET;
    if (CALL1(__NR_unshare, NAMESPACE_USER) == 0) open |= ENTER_OPEN_NAMESPACE;
    if (CALL5(__NR_mount, "none", "/tmp", "tmpfs", 0, 0) == 0) open |= ENTER_OPEN_MOUNT;
    if (CALL4(__NR_ptrace, 16, 1, 0, 0) == 0) open |= ENTER_OPEN_PTRACE;
    if (CALL5(__NR_prctl, GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) open |= ENTER_OPEN_PRIVILEGES;
    if (CALL5(__NR_prctl, GET_SECCOMP, 0, 0, 0, 0) != 2) open |= ENTER_OPEN_SECCOMP;
    return open;
}

/* The program's descriptors are 0..2 and 3..3+n-1; all others end with exec. */
static void begin(char **argv, char **environment, uint64_t n_fds, word status)
{
    if (CALL3(__NR_close_range, 3 + n_fds, ~0u, CLOSE_ON_EXEC) < 0)
        for (word fd = (word)(3 + n_fds); fd < 64; fd++) CALL3(__NR_fcntl, fd, 2, 1);
    word failed = CALL3(__NR_execve, argv[ENTER_PROGRAM], argv + ENTER_PROGRAM, environment);
    tell(status, ENTER_FAILED, (int32_t)-failed, 0);
    CALL1(__NR_exit_group, 127);
}

/* Until the child has ended, or the program outside, the only one who reads the status: leaving then ends the sandbox with all that is in it. */
static void follow(word child, int32_t child_fd, word status, uint64_t n_fds)
{
    struct { int32_t fd; int16_t events, revents; } p[2] = { { child_fd, POLL_IN_, 0 }, { (int32_t)status, 0, 0 } };
    int32_t how = 0;
    struct usage u = { 0 };
    for (word fd = 0; fd < (word)(3 + n_fds); fd++) CALL1(__NR_close, fd);     /* so that the other end sees when the program closes its own */
    while (CALL5(__NR_ppoll, p, 2, 0, 0, 0) < 0) continue;
    if (p[1].revents && !p[0].revents) CALL1(__NR_exit_group, 1);
    while (CALL4(__NR_wait4, child, &how, 0, &u) == -EINTR_) continue;
    if ((how & 0x7f) == 0) tell(status, ENTER_EXITED, how >> 8 & 0xff, &u);
    else tell(status, ENTER_KILLED, how & 0x7f, &u);
}

void enter_main(word *stack)
{
    int argc = (int)stack[0];
    char **argv = (char **)(stack + 1), **environment = argv + argc + 1;
    if (argc <= ENTER_PROGRAM) CALL1(__NR_exit_group, 125);
    word status = (word)number(argv[ENTER_STATUS_FD]);
    uint64_t n_fds = number(argv[ENTER_N_FDS]), address_space = number(argv[ENTER_ADDRESS_SPACE]);
    CALL5(__NR_prctl, SET_DUMPABLE, 0, 0, 0, 0);               /* nobody looks into this process or its descriptors */
    CALL5(__NR_prctl, SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    CALL3(__NR_fcntl, status, 2, 1);
    int has_landlock = landlock();
    if (number(argv[ENTER_IS_PROBE])) {
        tell(status, ENTER_PROBED, probe() | (has_landlock ? ENTER_HAS_LANDLOCK : 0), 0);
        CALL1(__NR_exit_group, 0);
    }
    limit(LIMIT_CORE, 0);
    limit(LIMIT_MEMLOCK, 0);
    limit(LIMIT_QUEUES, 0);
    limit(LIMIT_FILE, number(argv[ENTER_FILE_BYTES]));
    limit(LIMIT_OPEN, number(argv[ENTER_OPEN_FILES]));
    limit(LIMIT_CPU, number(argv[ENTER_CPU]));
    limit(LIMIT_PROCESSES, number(argv[ENTER_PROCESSES]) + 2);  /* bubblewrap's and this one */
    tell(status, ENTER_STARTED, 0, 0);                         /* SIGPIPE if nobody is there any more */
    int32_t child_fd = -1;
    word child = CALL5(__NR_clone, WITH_PIDFD | SIGCHLD_, 0, &child_fd, 0, 0);
    if (child == 0) {
        if (address_space) limit(LIMIT_ADDRESS_SPACE, address_space);
        begin(argv, environment, n_fds, status);
    }
    if (child < 0) tell(status, ENTER_FAILED, (int32_t)-child, 0);
    else follow(child, child_fd, status, n_fds);
    CALL1(__NR_exit_group, 0);
}
