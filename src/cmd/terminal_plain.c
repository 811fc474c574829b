/* terminal_plain.c - reading lines without readline (READLINE=0): the terminal's own line editing, and bracketed paste
 * so that a paste of several lines is one message. */
#include "cmd/chat.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define PASTE_BEGIN "\033[200~"
#define PASTE_END "\033[201~"

/* Takes the marker at the end of `s` off, if it is there. */
static bool take_end(struct string *s, const char *marker)
{
    size_t n = strlen(marker);
    if (s->len < n || memcmp(s->data + s->len - n, marker, n) != 0) return false;
    s->data[s->len -= n] = 0;
    return true;
}

/* One byte of input. Returns true at the end of the line. */
static bool put_byte(struct string *s, bool *is_pasting, char c)
{
    if (c == '\r') c = '\n';
    if (c == '\n' && !*is_pasting) return true;
    string_add(s, &c, 1);
    if (!*is_pasting && take_end(s, PASTE_BEGIN)) *is_pasting = true;
    else if (*is_pasting && take_end(s, PASTE_END)) *is_pasting = false;
    return false;
}

/* The escape sequences of a paste would be echoed as ^[[200~. */
static bool hide_controls(struct termios *saved)
{
    if (tcgetattr(STDIN_FILENO, saved) != 0) return false;
    struct termios t = *saved;
    t.c_lflag &= ~(tcflag_t)ECHOCTL;
    return tcsetattr(STDIN_FILENO, TCSADRAIN, &t) == 0;
}

static enum terminal_event read_line(struct terminal *t, struct string *s)
{
    bool is_pasting = false;
    for (;;) {
        struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = t->signals, .events = POLLIN } };
        if (poll(fds, 2, -1) < 0 && errno != EINTR) return TERMINAL_END;
        if (fds[1].revents && terminal_take_interrupt(t)) {
            fputc('\n', t->out);
            return s->len ? TERMINAL_CLEARED : TERMINAL_INTERRUPT;
        }
        if (!fds[0].revents) continue;
        char c;                                       /* one by one: what follows the line is the next one's */
        ssize_t n = read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            if (s->len) return TERMINAL_LINE;
            fputc('\n', t->out);
            return TERMINAL_END;
        }
        if (put_byte(s, &is_pasting, c)) return TERMINAL_LINE;
    }
}

enum terminal_event terminal_read(struct terminal *t, const char *prompt, char **line)
{
    struct string s = { 0 };
    struct termios saved;
    bool is_hidden = hide_controls(&saved);
    string_add(&s, "", 0);
    fprintf(t->out, "%s%s", t->has_escapes ? "\033[?2004h" : "", prompt);
    fflush(t->out);
    enum terminal_event event = read_line(t, &s);
    if (t->has_escapes) fputs("\033[?2004l", t->out);
    fflush(t->out);
    if (is_hidden) tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
    *line = event == TERMINAL_LINE ? string_take(&s) : NULL;
    string_release(&s);
    return event;
}

void terminal_history_add(const char *text) { (void)text; }
