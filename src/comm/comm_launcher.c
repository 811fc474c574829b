/* comm_launcher.c - Open MPI's mpirun waits for ever for the daemon of a host that is cut off, although it knows that the job has
 * failed. Who lost a rank therefore leaves a child behind that looks after the launcher. */
#include "comm/comm.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Is process `pid` one that starts jobs? Its name in /proc tells. */
static bool is_launcher(pid_t pid)
{
    static const char *const names[] = { "mpirun", "mpiexec", "orterun", "prterun" };
    char path[32], name[32] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, name, sizeof name - 1);
    close(fd);
    for (size_t i = 0; n > 0 && i < sizeof names / sizeof *names; i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0) return true;
    return false;
}

static int signal_process(int pidfd, int number) { return (int)syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0); }

void comm_end_launcher(double seconds)
{
    pid_t parent = getppid();
    if (!is_launcher(parent)) return;
    int pidfd = (int)syscall(SYS_pidfd_open, parent, 0);       /* holds on to this very process, whoever gets its number later */
    if (pidfd < 0 || fork() != 0) return;
    struct timespec pause = { (time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9) }, second = { 1, 0 };
    for (int fd = 0; fd < 3; fd++) close(fd);                  /* the launcher waits for their ends */
    setsid();
    nanosleep(&pause, NULL);
    if (signal_process(pidfd, SIGTERM) == 0) {
        nanosleep(&second, NULL);
        signal_process(pidfd, SIGKILL);
    }
    _exit(0);
}
