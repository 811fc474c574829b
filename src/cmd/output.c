/* output.c - what people see: messages, progress bars, and text of models and files made harmless for a terminal
 * (control sequences: ECMA-48; bidirectional controls: Unicode UAX #9; tag characters: block E0000). */
#include "cmd/cmd.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* ---- text ------------------------------------------------------------------------------------------------------------- */

/* Bytes of the character at s and its code point; 1 and -1 for a byte that begins none. */
static int next_character(const char *text, size_t len, int32_t *code_point)
{
    const unsigned char *s = (const unsigned char *)text;
    static const unsigned char least[] = { 0, 0, 0xC2, 0xE0, 0xF0 };
    int n = s[0] < 0x80 ? 1 : s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : s[0] < 0xF5 ? 4 : 0;
    *code_point = -1;
    if (n == 0 || (size_t)n > len) return 1;
    if (n == 1) {
        *code_point = s[0];
        return 1;
    }
    int32_t c = s[0] & (0x7F >> n);
    for (int i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80) return 1;
        c = c << 6 | (s[i] & 0x3F);
    }
    bool is_short = s[0] == least[n] && ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000));
    if (is_short || (c >= 0xD800 && c < 0xE000) || c > 0x10FFFF) return 1;
    *code_point = c;
    return n;
}

static bool is_harmless(int32_t c)
{
    if (c < 0x20) return c == '\n' || c == '\t';
    if (c >= 0x7F && c < 0xA0) return false;
    if (c == 0x61C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069)) return false;
    return c != 0xFEFF && !(c >= 0xE0000 && c <= 0xE007F);
}

void print_safe(FILE *to, const char *utf8, size_t len)
{
    size_t begin = 0;
    for (size_t i = 0; i < len;) {
        int32_t c;
        int n = next_character(utf8 + i, len - i, &c);
        if (c >= 0 && is_harmless(c)) {
            i += (size_t)n;
            continue;
        }
        fwrite(utf8 + begin, 1, i - begin, to);
        if (c < 0) fprintf(to, "<%02X>", (unsigned char)utf8[i]);
        else if (c < 0x20) fprintf(to, "^%c", (char)(c + 64));
        else if (c == 0x7F) fputs("^?", to);
        else fprintf(to, "<U+%04X>", (unsigned)c);
        i += (size_t)n;
        begin = i;
    }
    fwrite(utf8 + begin, 1, len - begin, to);
}

void print_column(const char *text, size_t width)
{
    size_t n = strlen(text);
    print_safe(stdout, text, n);
    for (; n < width; n++) putchar(' ');
}

void print_text(FILE *to, const char *utf8, size_t len)
{
    if (isatty(fileno(to))) print_safe(to, utf8, len);
    else fwrite(utf8, 1, len, to);
}

void print_json_string(FILE *to, const char *utf8, size_t len)
{
    static const char letters[] = "btn\0fr";   /* of 8..13 */
    size_t begin = 0;
    putc('"', to);
    for (size_t i = 0; i < len;) {
        int32_t c;
        int n = next_character(utf8 + i, len - i, &c);
        if (c >= 0x20 && c != '"' && c != '\\' && is_harmless(c)) {
            i += (size_t)n;
            continue;
        }
        fwrite(utf8 + begin, 1, i - begin, to);
        if (c < 0) fputs("\xEF\xBF\xBD", to);
        else if (c == '"' || c == '\\') fprintf(to, "\\%c", (char)c);
        else if (c >= 8 && c <= 13 && letters[c - 8]) fprintf(to, "\\%c", letters[c - 8]);
        else if (c > 0xFFFF) fprintf(to, "\\u%04x\\u%04x", 0xD7C0u + ((unsigned)c >> 10), 0xDC00u | ((unsigned)c & 0x3FF));
        else fprintf(to, "\\u%04x", (unsigned)c);
        i += (size_t)n;
        begin = i;
    }
    fwrite(utf8 + begin, 1, len - begin, to);
    putc('"', to);
}

void print_text_line(const char *key, const char *utf8, size_t len)
{
    printf("{\"%s\":", key);
    print_json_string(stdout, utf8, len);
    fputs("}\n", stdout);
}

void format_bytes(char *out, size_t out_bytes, double bytes)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
    size_t u = 0;
    while (bytes >= 999.5 && u + 1 < sizeof units / sizeof *units) {
        bytes /= 1000;
        u++;
    }
    snprintf(out, out_bytes, "%.*f %s", u > 0 && bytes < 99.5 ? 1 : 0, bytes, units[u]);
}

bool is_able_terminal(FILE *to)
{
    const char *term = getenv("TERM");
    return term && strcmp(term, "dumb") != 0 && isatty(fileno(to));
}

bool use_color(const struct args_common *c, FILE *to)
{
    if (strcmp(c->color, "auto") != 0) return strcmp(c->color, "always") == 0;
    const char *no = getenv("NO_COLOR");
    return !(no && *no) && is_able_terminal(to);
}

/* ---- messages ------------------------------------------------------------------------------------------------------------ */

void tell_whole(const char *message, const char *rest)
{
    char *line = NULL;
    size_t bytes = 0;
    FILE *f = open_memstream(&line, &bytes);
    if (!f) f = stderr;
    fputs("starchat: ", f);
    print_safe(f, message, strlen(message));
    fputs(rest, f);
    putc('\n', f);
    if (f != stderr && fclose(f) == 0) fwrite(line, 1, bytes, stderr);
    free(line);
    fflush(stderr);
}

int fail_with(const struct args_common *c, const sc_error *err)
{
    char where[256] = "";
    fflush(stdout);
    if (c && c->verbose && err->where[0]) snprintf(where, sizeof where, " [%s, %s]", err->where, sc_status_name(err->status));
    tell_whole(err->message, where);
    return err->status == SC_E_CANCELLED ? EXIT_INTERRUPTED : EXIT_FAILED;
}

int fail_text(const char *format, ...)
{
    sc_error err = { .status = SC_E_ARGUMENT };
    va_list ap;
    va_start(ap, format);
    vsnprintf(err.message, sizeof err.message, format, ap);
    va_end(ap);
    return fail_with(NULL, &err);
}

void note(const struct args_common *c, const char *format, ...)
{
    if (c->quiet) return;
    char text[2048];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    print_safe(stderr, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
    putc('\n', stderr);
}

/* ---- progress -------------------------------------------------------------------------------------------------------------- */

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int terminal_columns(void)
{
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

struct measure { double done, total, speed; bool is_bytes; const char *what; };

static void format_amount(char *out, size_t out_bytes, double n, bool is_bytes)
{
    if (is_bytes) format_bytes(out, out_bytes, n);
    else snprintf(out, out_bytes, "%.0f", n);
}

/* name [####....] 45 %  62 MB of 138 MB  11.2 MB/s  0:07 left */
static void progress_draw(const struct measure *m)
{
    char done[32], total[32], speed[32] = "", left[48] = "", tail[192], bar[41] = "", line[512];
    int columns = terminal_columns();
    format_amount(done, sizeof done, m->done, m->is_bytes);
    format_amount(total, sizeof total, m->total, m->is_bytes);
    if (m->is_bytes && m->speed > 0) format_bytes(speed, sizeof speed, m->speed);
    double seconds = m->speed > 0 && m->total > m->done ? (m->total - m->done) / m->speed : 0;
    if (seconds >= 1 && seconds < 1e6) snprintf(left, sizeof left, "  %d:%02d left", (int)seconds / 60, (int)seconds % 60);
    if (m->total > 0)
        snprintf(tail, sizeof tail, " %3.0f %%  %s of %s%s%s%s%s", 100 * m->done / m->total, done, total, *speed ? "  " : "", speed, *speed ? "/s" : "", left);
    else snprintf(tail, sizeof tail, "  %s%s%s%s", done, *speed ? "  " : "", speed, *speed ? "/s" : "");
    int room = columns - 1 - (int)strlen(tail), name = room > 44 ? 32 : room > 12 ? room / 2 : 0;
    int width = room - name - 3 > 40 ? 40 : room - name - 3;
    int filled = m->total > 0 ? (int)(width * (m->done < m->total ? m->done / m->total : 1)) : 0;
    for (int i = 0; i < width; i++) bar[i] = i < filled ? '#' : '.';
    int n = snprintf(line, sizeof line, "\r%-*.*s", name < 16 ? name : 16, name, m->what);
    if (width > 4 && m->total > 0) n += snprintf(line + n, sizeof line - (size_t)n, " [%s]", bar);
    snprintf(line + n, sizeof line - (size_t)n, "%s\033[K", tail);
    fputs(line, stderr);
}

void progress_clear(struct args_common *c)
{
    if (c->progress.is_drawn) fputs("\r\033[K", stderr);
    c->progress.is_drawn = false;
}

static const char *member_text(const json_t *event, const char *key) { return json_string_value(json_object_get(event, key)); }

/* The name comes from files and servers: keep what a terminal shows as one column each. */
static void plain_name(char *out, size_t out_bytes, const char *name)
{
    size_t n = 0;
    for (; *name && n + 1 < out_bytes; name++) out[n++] = *name >= ' ' && *name < 127 ? *name : '?';
    out[n] = 0;
}

static void progress_event(struct args_common *c, const json_t *event, const json_t *done, bool is_bytes)
{
    struct progress *p = &c->progress;
    const char *file = member_text(event, "file"), *what = file;
    if (!what) what = member_text(event, "tensor");
    if (!what) what = member_text(event, "what");
    if (!what) what = member_text(event, "event");
    char name[sizeof p->what];
    plain_name(name, sizeof name, what ? what : "");
    struct measure m = { .done = json_number_value(done), .total = json_number_value(json_object_get(event, "total")),
                         .speed = json_number_value(json_object_get(event, "speed")), .is_bytes = is_bytes, .what = name };
    double now = seconds_now();
    bool is_new = p->began <= 0 || (file && strcmp(name, p->what) != 0), is_complete = m.total > 0 && m.done >= m.total;
    if (is_new) {
        if (p->is_drawn) putc('\n', stderr);
        *p = (struct progress){ .began = now, .first = (unsigned long long)m.done };
        memcpy(p->what, name, sizeof name);
    } else if (!is_complete && now - p->last < 0.1) return;
    if (m.speed <= 0 && now - p->began > 0.5) m.speed = (m.done - (double)p->first) / (now - p->began);
    p->last = now;
    progress_draw(&m);
    p->is_drawn = !is_complete;
    if (is_complete) {
        putc('\n', stderr);
        p->began = 0;
    }
}

void draw_event(void *user, const char *json)
{
    struct args_common *c = user;
    if (c->quiet) return;
    json_t *event = json_loads(json, 0, NULL);
    const json_t *bytes = json_object_get(event, "bytes"), *done = bytes ? bytes : json_object_get(event, "done");
    const char *text = member_text(event, "text"), *kind = member_text(event, "event");
    bool is_wanted = c->verbose || !kind || strcmp(kind, "detail") != 0;
    if (!text) text = member_text(event, "message");
    if (json_is_number(done)) {
        if (isatty(STDERR_FILENO)) progress_event(c, event, done, bytes != NULL);
    } else if (text && is_wanted) {
        progress_clear(c);
        note(c, "%s", text);
    }
    json_decref(event);
}
