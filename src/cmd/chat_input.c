/* chat_input.c - what people type: lines become messages, and messages that begin with a slash become commands. */
#include "cmd/chat.h"

#include <string.h>

static bool starts_with(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

static size_t ticks_at(const char *s)
{
    size_t n = 0;
    while (s[n] == '`') n++;
    return n;
}

static const char *skip_spaces(const char *s)
{
    while (*s == ' ' || *s == '\t') s++;
    return s;
}

/* Is the text from `s` to its line end a word or nothing, as after an opening fence? */
static bool is_info(const char *s, size_t len)
{
    while (len && (s[len - 1] == ' ' || s[len - 1] == '\r')) len--;
    for (size_t i = 0; i < len; i++)
        if (strchr(" `\t", s[i])) return false;
    return true;
}

/* Follows one line: a fence opens at a line's begin or end ("explain: ```c") and closes on a line of its own. */
static void follow_line(struct collector *c, const char *line, size_t len)
{
    const char *s = skip_spaces(line), *end = line + len;
    if (c->mode == COLLECT_FENCE) {
        size_t n = ticks_at(s);
        if (n >= c->fence && is_info(s + n, (size_t)(end - s) - n) && (skip_spaces(s + n) >= end || s[n] == '\r')) c->mode = COLLECT_PLAIN;
        return;
    }
    for (; s < end; s++) {
        size_t n = ticks_at(s);
        if (n < 3) { s += n ? n - 1 : 0; continue; }
        if (is_info(s + n, (size_t)(end - s) - n)) {
            c->mode = COLLECT_FENCE;
            c->fence = n;
            return;
        }
        s += n - 1;
    }
}

static void follow(struct collector *c, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        follow_line(c, text, len);
        text += len + (text[len] == '\n');
    }
}

/* A backslash that is not itself escaped. */
static bool ends_in_backslash(const char *s, size_t len)
{
    size_t n = 0;
    while (n < len && s[len - 1 - n] == '\\') n++;
    return n % 2 == 1;
}

/* Within """ ... """: the text, without the quotes. */
static bool add_quoted(struct collector *c, const char *line)
{
    const char *end = strstr(line, "\"\"\"");
    string_add(&c->text, line, end ? (size_t)(end - line) : strlen(line));
    if (!end) return false;
    string_puts(&c->text, end + 3);
    if (c->text.len && c->text.data[c->text.len - 1] == '\n') c->text.data[--c->text.len] = 0;
    c->mode = COLLECT_PLAIN;
    return true;
}

bool collector_add(struct collector *c, const char *line)
{
    bool is_first = !c->is_begun;
    if (is_first) {
        collector_reset(c);
        c->is_begun = true;
        if (starts_with(skip_spaces(line), "\"\"\"")) {
            c->mode = COLLECT_QUOTES;
            line = skip_spaces(line) + 3;
            if (!*line) return false;                 /* the text begins on the next line */
            is_first = true;
        }
    }
    if (!is_first && c->text.len) string_puts(&c->text, "\n");
    bool is_done;
    if (c->mode == COLLECT_QUOTES) is_done = add_quoted(c, line);
    else {
        size_t len = strlen(line);
        follow(c, line);
        bool goes_on = c->mode == COLLECT_PLAIN && ends_in_backslash(line, len);
        string_add(&c->text, line, goes_on ? len - 1 : len);
        is_done = c->mode == COLLECT_PLAIN && !goes_on;
    }
    if (is_done) c->is_begun = false;
    return is_done;
}

void collector_reset(struct collector *c)
{
    string_clear(&c->text);
    c->mode = COLLECT_PLAIN;
    c->fence = 0;
    c->is_begun = false;
}

void collector_release(struct collector *c) { string_release(&c->text); }

/* ---- commands ----------------------------------------------------------------------------------------------------------------- */

static const struct chat_command *command_named(const char *name)
{
    for (const struct chat_command *r = chat_commands; r->name; r++)
        if (strcmp(r->name, name) == 0 || (r->alias && strcmp(r->alias, name) == 0)) return r;
    return NULL;
}

static const char *nearest_command(const char *name)
{
    const char *best = NULL;
    int best_distance = 3;
    for (const struct chat_command *r = chat_commands; r->name; r++) {
        int d = starts_with(r->name, name) ? 0 : sc_name_distance(r->name, name);
        if (d < best_distance && d < (int)strlen(name)) { best = r->name; best_distance = d; }
    }
    return best;
}

bool chat_command_parse(const char *text, const struct chat_command **row, const char **rest, const char **nearest)
{
    char name[24];
    size_t n = 0;
    if (*text != '/') return false;
    text++;
    while (n < sizeof name - 1 && ((text[n] >= 'a' && text[n] <= 'z') || text[n] == '?')) { name[n] = text[n]; n++; }
    name[n] = 0;
    if (n == 0 || (text[n] && !strchr(" \t\r\n", text[n]))) return false;
    *row = command_named(name);
    *nearest = *row ? NULL : nearest_command(name);
    *rest = text + n + strspn(text + n, " \t\r\n");
    return *row || !strchr(text, '\n');              /* a paste with an unknown word is a message */
}
