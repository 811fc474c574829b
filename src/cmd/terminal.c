/* terminal.c - Ctrl-C without a signal handler and without a global: SIGINT is blocked and read from a signalfd
 * (signalfd(2)), by the line editor while it waits and by a watcher thread during an answer. */
#include "cmd/chat.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

int terminal_open(struct terminal *t)
{
    *t = (struct terminal){ .signals = -1, .wake = -1 };
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    t->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    t->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (t->signals < 0 || t->wake < 0) return fail_text("no signal descriptor: %s", strerror(errno));
    t->out = isatty(STDOUT_FILENO) ? stdout : stderr;
    t->has_escapes = is_able_terminal(t->out);
    return ARGS_GO;
}

void terminal_close(struct terminal *t)
{
    if (t->signals >= 0) close(t->signals);
    if (t->wake >= 0) close(t->wake);
    t->signals = t->wake = -1;
}

bool terminal_take_interrupt(struct terminal *t)
{
    struct signalfd_siginfo info;
    bool is_interrupted = t->is_interrupted;
    while (t->signals >= 0 && read(t->signals, &info, sizeof info) == sizeof info) is_interrupted = true;
    t->is_interrupted = false;
    return is_interrupted;
}

/* Waits for Ctrl-C, again and again, until the answer's end wakes it. */
static void *watch(void *arg)
{
    struct terminal *t = arg;
    struct pollfd fds[] = { { .fd = t->signals, .events = POLLIN }, { .fd = t->wake, .events = POLLIN } };
    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR) return NULL;
        struct signalfd_siginfo info;
        if (fds[0].revents && read(t->signals, &info, sizeof info) == sizeof info) {
            t->is_interrupted = true;
            sc_cancel(t->runtime);
        }
        if (fds[1].revents) return NULL;
    }
}

/* What is typed meanwhile is not shown and waits for the prompt; a paste keeps its brackets. */
static void echo_off(struct terminal *t)
{
    t->has_saved = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &t->saved) == 0;
    if (!t->has_saved) return;
    struct termios quiet = t->saved;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
    quiet.c_cc[VMIN] = 1;
    quiet.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet);
    if (t->has_escapes) fputs("\033[?2004h", t->out);
    fflush(t->out);
}

static void echo_on(struct terminal *t)
{
    if (!t->has_saved) return;
    if (t->has_escapes) fputs("\033[?2004l", t->out);
    fflush(t->out);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &t->saved);
    t->has_saved = false;
}

void terminal_answer_begin(struct terminal *t, sc_runtime *runtime)
{
    uint64_t old;
    if (t->signals < 0) return;
    t->runtime = runtime;
    (void)terminal_take_interrupt(t);
    if (read(t->wake, &old, sizeof old) < 0 && errno != EAGAIN) return;
    sc_cancel_reset(runtime);
    echo_off(t);
    t->is_watched = pthread_create(&t->watcher, NULL, watch, t) == 0;
}

void terminal_answer_end(struct terminal *t)
{
    uint64_t one = 1;
    if (t->is_watched && write(t->wake, &one, sizeof one) == sizeof one) pthread_join(t->watcher, NULL);
    t->is_watched = false;
    echo_on(t);
    if (t->runtime) sc_cancel_reset(t->runtime);
}
