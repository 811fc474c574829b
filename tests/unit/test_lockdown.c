/* test_lockdown.c - each thing that a locked-down process must not do: a child that is not locked down does it (else the test would be
 * worthless), one that is cannot, by Landlock and by the list of system calls each alone where both forbid it. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/lockdown.h"
#include "test.h"

/* What a child does. True: it worked. */
static char inside[300], outside[300];
static int port;

static bool opens(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static char *in(const char *directory, const char *name)
{
    static char path[400];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static bool reads_passwd(void) { return opens("/etc/passwd", O_RDONLY); }
static bool lists_root(void) { return opens("/", O_RDONLY | O_DIRECTORY); }
static bool reads_proc(void) { return opens("/proc/self/environ", O_RDONLY); }
static bool writes_outside(void) { return opens(in(outside, "new"), O_WRONLY | O_CREAT); }
static bool cuts_outside(void) { return truncate(in(outside, "old"), 0) == 0; }
static bool removes_outside(void) { return unlink(in(outside, "old")) == 0; }
static bool links_outside(void) { return symlink("/etc/passwd", in(outside, "link")) == 0; }
static bool makes_directory(void) { return mkdir(in(inside, "directory"), 0700) == 0; }
static bool forks(void)
{
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    return pid > 0 && waitpid(pid, NULL, 0) == pid;
}
static bool executes(void)
{
    execl("/bin/true", "true", (char *)NULL);
    return false;                                              /* where it works, the exit status of `true` says so */
}
static bool traces(void) { return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0; }
static bool kills(void) { return kill(getppid(), 0) == 0; }
static bool unshares(void) { return unshare(CLONE_FS) == 0; }
static bool makes_code(void) { return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED; }
static bool makes_socket(void) { return socket(AF_INET, SOCK_STREAM, 0) >= 0; }
static bool limits(void)
{
    const struct rlimit { unsigned long now, most; } many = { 100, 100 };
    return syscall(SYS_prlimit64, 0, 7, &many, NULL) == 0;
}
/* The socket is from before, as a server's would be. */
static int early = -1;
static struct sockaddr_in at(int number) { return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)number), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }; }
static bool connects(void)
{
    struct sockaddr_in a = at(port);
    return connect(early, (struct sockaddr *)&a, sizeof a) == 0;
}
static bool binds(void)
{
    struct sockaddr_in a = at(0);
    return bind(early, (struct sockaddr *)&a, sizeof a) == 0;
}
/* Of a thread that ran before: Landlock has to reach it too. */
static atomic_bool may_go, has_read;
static void *read_late(void *arg)
{
    (void)arg;
    while (!atomic_load(&may_go)) sched_yield();
    atomic_store(&has_read, reads_passwd());
    return NULL;
}
static pthread_t late;
static bool reads_in_older_thread(void)
{
    atomic_store(&may_go, true);
    pthread_join(late, NULL);
    return atomic_load(&has_read);
}
/* What stays. */
static bool reads_inside(void) { return opens(in(inside, "old"), O_RDONLY); }
static bool writes_inside(void) { return opens(in(inside, "new"), O_WRONLY | O_CREAT); }
static bool cuts_inside(void) { return truncate(in(inside, "old"), 0) == 0 || opens(in(inside, "old"), O_WRONLY | O_TRUNC); }
static bool renames_inside(void)
{
    char to[400];
    snprintf(to, sizeof to, "%s/other", inside);
    return rename(in(inside, "old"), to) == 0 && unlink(to) == 0;
}
static bool starts_thread(void)
{
    pthread_t t;
    return pthread_create(&t, NULL, read_late, NULL) == 0 && reads_in_older_thread() + pthread_join(t, NULL) >= 0;
}
/* As the server's thread that waits for signals. */
static void *wait_for_signal(void *arg)
{
    int number;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigwait(&set, &number);
    return arg;
}
static bool cancels_thread(void)
{
    pthread_t t;
    return pthread_create(&t, NULL, wait_for_signal, NULL) == 0 && pthread_cancel(t) == 0 && pthread_join(t, NULL) == 0;
}
static bool raises(void)
{
    signal(SIGUSR1, SIG_IGN);
    return raise(SIGUSR1) == 0;
}

enum { NOTHING = 0 };
static struct lockdown_state state;

static int child_of(bool (*does)(void), unsigned parts)
{
    static struct lockdown_state *shared;
    if (!shared) shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        const struct lockdown_path path = { inside, LOCKDOWN_WRITE };
        sc_error err;
        early = socket(AF_INET, SOCK_STREAM, 0);
        pthread_create(&late, NULL, read_late, NULL);
        if (parts && process_lock_down(shared, parts, &path, 1, &err) != SC_OK) _exit(9);
        _exit(does() ? 0 : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (parts) state = *shared;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static void put_file(const char *directory, const char *name)
{
    int fd = open(in(directory, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, "text", 4) != 4) CHECK(false);
    if (fd >= 0) close(fd);
}

static void set_up(void)
{
    snprintf(inside, sizeof inside, "%s/in", test_scratch());
    snprintf(outside, sizeof outside, "%s/out", test_scratch());
    mkdir(inside, 0700);
    mkdir(outside, 0700);
    put_file(inside, "old");
    put_file(outside, "old");
    unlink(in(outside, "new"));
    unlink(in(outside, "link"));
    rmdir(in(inside, "directory"));
}

/* Which parts this machine has, told once. */
static unsigned parts_here(void)
{
    set_up();
    int code = child_of(raises, LOCKDOWN_ALL);
    CHECK_INT(code, 0);
    unsigned parts = (state.landlock ? LOCKDOWN_FILES : 0u) | (state.seccomp ? LOCKDOWN_CALLS : 0u);
    if (state.missing[0]) printf("skipped: this machine lacks %s\n", state.missing);
    return parts;
}

struct probe { const char *what; bool (*does)(void); unsigned by; };      /* by: the parts each of which forbids it alone */

static void must_fail(const struct probe *p, size_t n)
{
    unsigned here = parts_here();
    for (size_t i = 0; i < n; i++) {
        set_up();
        int before = child_of(p[i].does, NOTHING);
        if (before != 0) test_failed(__FILE__, __LINE__, "%s: an ordinary process cannot do it either (%d)", p[i].what, before);
        for (unsigned part = 1; part <= LOCKDOWN_CALLS; part <<= 1) {
            if (!(p[i].by & part & here)) continue;
            set_up();
            int after = child_of(p[i].does, part);
            if (after != 1) test_failed(__FILE__, __LINE__, "%s: with part %u alone it gave %d, expected that it fails", p[i].what, part, after);
        }
        set_up();
        if ((p[i].by & here) && child_of(p[i].does, LOCKDOWN_ALL) != 1) test_failed(__FILE__, __LINE__, "%s: works in a locked-down process", p[i].what);
    }
}

#define MUST_FAIL(...) do { static const struct probe list[] = { __VA_ARGS__ }; must_fail(list, sizeof list / sizeof *list); } while (0)

TEST(files_outside)
{
    MUST_FAIL({ "reading /etc/passwd", reads_passwd, LOCKDOWN_FILES }, { "listing /", lists_root, LOCKDOWN_FILES }, { "reading /proc", reads_proc, LOCKDOWN_FILES },
              { "writing outside", writes_outside, LOCKDOWN_FILES }, { "removing outside", removes_outside, LOCKDOWN_FILES }, { "a symbolic link", links_outside, LOCKDOWN_ALL },
              { "a directory inside", makes_directory, LOCKDOWN_FILES }, { "reading in a thread from before", reads_in_older_thread, LOCKDOWN_FILES });
    CHECK(state.landlock == 0 || state.landlock >= 1);
    if (state.landlock >= 3) MUST_FAIL({ "truncating outside", cuts_outside, LOCKDOWN_FILES });
}

TEST(programs_and_processes)
{
    MUST_FAIL({ "execve", executes, LOCKDOWN_ALL }, { "fork", forks, LOCKDOWN_CALLS }, { "ptrace", traces, LOCKDOWN_CALLS }, { "a signal to another process", kills, LOCKDOWN_CALLS },
              { "unshare", unshares, LOCKDOWN_CALLS }, { "memory with code", makes_code, LOCKDOWN_CALLS }, { "a new limit", limits, LOCKDOWN_CALLS });
}

TEST(connections)
{
    struct sockaddr_in a = at(0);
    socklen_t len = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof a) != 0 || listen(listener, 100) != 0 || getsockname(listener, (struct sockaddr *)&a, &len) != 0) {
        printf("skipped: nothing can listen here\n");
        return;
    }
    port = ntohs(a.sin_port);
    (void)parts_here();
    unsigned tcp = state.landlock >= 4 ? LOCKDOWN_ALL : LOCKDOWN_CALLS;
    const struct probe list[] = { { "a TCP connection", connects, tcp }, { "another port", binds, tcp }, { "another socket", makes_socket, LOCKDOWN_CALLS } };
    must_fail(list, sizeof list / sizeof *list);
    close(listener);
}

TEST(what_stays)
{
    static const struct { const char *what; bool (*does)(void); } list[] = {
        { "reading inside", reads_inside }, { "writing inside", writes_inside }, { "truncating inside", cuts_inside }, { "renaming and removing inside", renames_inside },
        { "a thread", starts_thread }, { "cancelling a thread", cancels_thread }, { "a signal to itself", raises },
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        for (unsigned parts = 0; parts <= LOCKDOWN_ALL; parts++) {
            set_up();
            int code = child_of(list[i].does, parts);
            if (code != 0) test_failed(__FILE__, __LINE__, "%s: gave %d with parts %u", list[i].what, code, parts);
        }
}

static bool is_without_core(void)
{
    unsigned long now[2] = { 1, 1 };
    return syscall(SYS_prlimit64, 0, 4, NULL, now) == 0 && now[0] == 0;
}

TEST(no_core_file)
{
    (void)parts_here();
    if (!state.landlock && !state.seccomp) return;
    CHECK_INT(child_of(is_without_core, LOCKDOWN_ALL), 0);
}

TEST(missing_paths_are_named)
{
    struct lockdown_state is;
    const struct lockdown_path path = { "/nowhere/at/all", LOCKDOWN_WRITE };
    (void)parts_here();
    if (state.landlock) CHECK_FAILS(process_lock_down(&is, LOCKDOWN_FILES, &path, 1, err), SC_E_IO, "/nowhere/at/all, which stays open");
}
