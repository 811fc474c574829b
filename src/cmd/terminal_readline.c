/* terminal_readline.c - line editing by GNU readline: history, search, completion, pastes of several lines as one
 * (bracketed paste). Its callback interface is used, so that one poll waits for keys and for Ctrl-C. Left out when
 * built with READLINE=0; terminal_plain.c takes its place. */
#include "cmd/chat.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

/* Readline's callbacks carry no argument: the one place that needs a static. Set only inside terminal_read. */
static struct terminal *reading;

static void on_line(char *line)
{
    rl_callback_handler_remove();
    reading->line = line;
    reading->is_done = true;
}

static int insert_newline(int count, int key)
{
    (void)count; (void)key;
    rl_insert_text("\n");
    return 0;
}

/* ---- completion ---------------------------------------------------------------------------------------------------------- */

struct matches { char **list; size_t n; };

static void add_match(struct matches *m, const char *text, const char *prefix, const char *candidate)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s", prefix, candidate);
    if (strncmp(name, text, strlen(text)) != 0) return;
    char **list = realloc(m->list, (m->n + 3) * sizeof *list);
    char *copy = list ? strdup(name) : NULL;
    if (list) m->list = list;
    if (!copy) return;
    m->list[m->n + 1] = copy;        /* slot 0 is for what all have in common */
    m->list[m->n + 2] = NULL;
    m->n++;
}

static char **finish_matches(struct matches *m)
{
    if (!m->n) return NULL;
    size_t same = strlen(m->list[1]);
    for (size_t i = 2; i <= m->n; i++)
        for (size_t k = 0; k < same; k++)
            if (m->list[i][k] != m->list[1][k]) same = k;
    m->list[0] = strndup(m->list[1], same);
    return m->list[0] ? m->list : NULL;
}

/* Names of commands, of options behind /set; elsewhere readline's own completion of file names. */
static char **complete(const char *text, int start, int end)
{
    (void)end;
    struct matches m = { 0 };
    sc_option_row row;
    if (start == 0 && *text == '/') {
        for (const struct chat_command *c = chat_commands; c->name; c++) add_match(&m, text, "/", c->name);
    } else if (strncmp(rl_line_buffer, "/set ", 5) == 0 && start == 5) {
        for (size_t i = 0; sc_options_row(&row, sc_options_for("sample"), i); i++) add_match(&m, text, "", row.name);
    }
    return finish_matches(&m);
}

/* ---- reading --------------------------------------------------------------------------------------------------------------- */

static void prepare(struct terminal *t)
{
    if (t->is_prepared) return;
    t->is_prepared = true;
    rl_readline_name = "starchat";
    rl_outstream = t->out;
    rl_attempted_completion_function = complete;
    rl_persistent_signal_handlers = 1;               /* also while poll waits: a stop leaves the terminal in order */
    rl_variable_bind("enable-bracketed-paste", "on");
    rl_initialize();
    rl_bind_keyseq("\\e\\C-m", insert_newline);      /* Alt-Enter */
    rl_bind_keyseq("\\e\\C-j", insert_newline);
}

/* Ctrl-C at the prompt: the line is given up and stays readable above. */
static enum terminal_event give_up(struct terminal *t)
{
    bool is_empty = rl_end == 0;
    rl_point = rl_end;
    rl_redisplay();
    fprintf(t->out, "%s%s\n", is_empty ? "" : "^C", t->has_escapes ? "\033[K" : "");
    rl_free_line_state();
    rl_callback_sigcleanup();
    rl_callback_handler_remove();
    return is_empty ? TERMINAL_INTERRUPT : TERMINAL_CLEARED;
}

/* A new window size, a stop, an end. Readline changes the signal mask when it is stopped (8.2), which would let SIGINT
 * through. */
static void check_signals(void)
{
    sigset_t mask;
    bool was_stopped = rl_pending_signal() == SIGTSTP;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    rl_check_signals();
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (was_stopped) rl_forced_update_display();
}

enum terminal_event terminal_read(struct terminal *t, const char *prompt, char **line)
{
    char styled[64];
    prepare(t);
    *line = NULL;
    t->line = NULL;
    t->is_done = false;
    reading = t;
    snprintf(styled, sizeof styled, t->is_colored ? "\001\033[1m\002%s\001\033[0m\002" : "%s", prompt);
    rl_reset_screen_size();                          /* the window may have changed during the answer */
    rl_callback_handler_install(styled, on_line);
    while (!t->is_done) {
        struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = t->signals, .events = POLLIN } };
        if (poll(fds, 2, -1) < 0) {
            if (errno != EINTR) break;
            check_signals();
            continue;
        }
        if (fds[0].revents) rl_callback_read_char();   /* what was typed before Ctrl-C comes first */
        else if (fds[1].revents && terminal_take_interrupt(t)) return give_up(t);
    }
    if (!t->is_done) rl_callback_handler_remove();
    if (!t->line) {
        fputc('\n', t->out);
        return TERMINAL_END;
    }
    *line = t->line;
    return TERMINAL_LINE;
}

void terminal_history_add(const char *text)
{
    const HIST_ENTRY *last = history_length ? history_get(history_base + history_length - 1) : NULL;
    if (!last || strcmp(last->line, text) != 0) add_history(text);
    stifle_history(HISTORY_KEPT);
}
