/* sandbox_host.c - how a run leaves this process.
 *
 * Root would stay root of the host inside a sandbox (its files open, its processes uncounted), so it becomes an ordinary user before bubblewrap starts.
 * That user may not reach an interpreter under /root, so root prepares a mount namespace once in which every place has a path in the open, and each
 * run begins there. An ordinary user needs none of this.
 *
 * When we are killed: bubblewrap dies with us (--die-with-parent) once it has set that up, and the helper inside ends the sandbox when nobody reads its
 * status any more (enter.c), which covers the time before. Asking for the signal here, earlier, would kill bubblewrap before it has released its process 1,
 * which then waits for ever.
 *
 * A run is started by vfork: copying the page tables of a process that holds a model would take longer than the run. */
#include "sandbox/sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COPIES_FROM = 256, PLACES_MAX = TOOLS_MAX * TOOL_PLACES };

/* ---- the namespace for root ---------------------------------------------------------------------------------------------------- */

/* In a child of its own. Nothing of it is seen outside: the namespace is private from its first line on. Places are opened before /tmp is covered, and
 * after the namespace is there: what was opened in another one cannot be mounted. */
static bool lay_out(struct place *const *place, size_t n)
{
    int fd[PLACES_MAX];
    char from[32], to[32];
    struct stat is;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return false;
    for (size_t i = 0; i < n; i++)
        if ((fd[i] = open(place[i]->target, O_PATH | O_CLOEXEC)) < 0) return false;
    if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m") != 0) return false;
    for (size_t i = 0; i < n; i++) {
        snprintf(from, sizeof from, "/proc/self/fd/%d", fd[i]);
        snprintf(to, sizeof to, "/tmp/%zu", i);
        if (fstat(fd[i], &is) != 0) return false;
        int made = S_ISDIR(is.st_mode) ? mkdir(to, 0755) : open(to, O_CREAT | O_CLOEXEC, 0644);
        if (made < 0 || mount(from, to, NULL, MS_BIND | MS_REC, NULL) != 0) return false;
    }
    return true;
}

static int make_namespace(struct place *const *place, size_t n)
{
    int ready[2], leave[2], fd = -1;
    char byte = 0, path[48];
    if (pipe2(ready, O_CLOEXEC) != 0) return -1;
    if (pipe2(leave, O_CLOEXEC) != 0) { close(ready[0]); close(ready[1]); return -1; }
    pid_t child = fork();
    if (child == 0) {
        close(leave[1]);
        if (lay_out(place, n) && write(ready[1], "y", 1) == 1) (void)!read(leave[0], &byte, 1);
        _exit(0);
    }
    close(ready[1]);
    close(leave[0]);
    if (child > 0 && read(ready[0], &byte, 1) == 1) {
        snprintf(path, sizeof path, "/proc/%d/ns/mnt", (int)child);
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    close(ready[0]);
    close(leave[1]);
    if (child > 0) waitpid(child, NULL, 0);
    return fd;
}

void host_open(struct sandbox *s)
{
    struct place *place[PLACES_MAX];
    size_t n = 0;
    char name[32];
    s->host = -1;
    if (!s->is_root) return;
    for (size_t i = 0; i < s->n_tools; i++)
        for (size_t j = 0; j < s->tool[i].n_places; j++) place[n++] = &s->tool[i].place[j];
    s->host = make_namespace(place, n);
    if (s->host < 0) s->is_root = false;                       /* root of a container that may not mount: bubblewrap starts as it is */
    for (size_t i = 0; s->host >= 0 && i < n; i++) {
        snprintf(name, sizeof name, "/tmp/%zu", i);
        mem_free(place[i]->source);
        place[i]->source = mem_strdup(name);
    }
}

/* ---- starting ---------------------------------------------------------------------------------------------------------------------- */

/* Runs in the child of vfork, on our memory: system calls only, nothing that glibc remembers. */
static void become(const struct sandbox *s, char *const *argv, const int *fd, size_t n)
{
    static char *const no_environment[] = { NULL };
    struct sigaction usual = { .sa_handler = SIG_DFL };
    sigset_t none;
    int copy[DESCRIPTORS_MAX];
    for (int i = 1; i < NSIG; i++) sigaction(i, &usual, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (size_t i = 0; i < n; i++)                             /* first out of the way of each other */
        if ((copy[i] = fcntl(fd[i], F_DUPFD_CLOEXEC, COPIES_FROM)) < 0) _exit(126);
    if (s->is_root && syscall(SYS_setns, s->host, CLONE_NEWNS) != 0) _exit(126);
    for (size_t i = 0; i < n; i++)                             /* from here on our own descriptors may be overwritten */
        if (dup2(copy[i], (int)i) < 0) _exit(126);
    if (s->is_root) {
        gid_t group = SANDBOX_USER;
        if (syscall(SYS_setgroups, 1, &group) != 0 || syscall(SYS_setresgid, SANDBOX_USER, SANDBOX_USER, SANDBOX_USER) != 0) _exit(126);
        if (syscall(SYS_setresuid, SANDBOX_USER, SANDBOX_USER, SANDBOX_USER) != 0) _exit(126);
    }
    execve(argv[0], argv, no_environment);
    _exit(126);
}

pid_t host_spawn(const struct sandbox *s, char *const *argv, const int *fd, size_t n)
{
    sigset_t all, before;
    int was_dumpable = prctl(PR_GET_DUMPABLE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t child = vfork();
    if (child == 0) become(s, argv, fd, n);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (s->is_root && was_dumpable == 1) prctl(PR_SET_DUMPABLE, 1);   /* the child's change of user marked the memory that it shared */
    return child;
}
