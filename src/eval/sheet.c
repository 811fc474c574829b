/* sheet.c - one page, for a browser or in Markdown. Text of models and data can act in neither: HTML escapes it, Markdown puts a backslash before whatever
 * could be markup, and long texts stand in indented blocks. */
#include "data/dataset.h"
#include "eval/eval_internal.h"
#include "eval/scores.h"

#include <stdlib.h>
#include <string.h>

enum { WIDTH = 720, NAME_WIDTH = 230, NAME_CHARACTERS = 32, STEP = 24, TOP = 6, AXIS_HEIGHT = 24, MARKS = 4, LONG_BYTES = 32 };

/* ---- text --------------------------------------------------------------------------------------------------------------------------------- */

static const char *markdown_escape(uint32_t c)
{
    switch (c) {
    case '<': return "&lt;";
    case '&': return "&amp;";
    case '\n': case '\t': return " ";
    case '\\': return "\\\\";
    case '`': return "\\`";
    case '*': return "\\*";
    case '_': return "\\_";
    case '[': return "\\[";
    case ']': return "\\]";
    case '#': return "\\#";
    case '|': return "\\|";
    case '!': return "\\!";
    case '~': return "\\~";
    case '$': return "\\$";
    case '@': return "&#64;";                                 /* mentions */
    default: return NULL;
    }
}

static void put(struct sheet *s, const char *text, size_t len)
{
    if (s->is_html) html_put(&s->out, text, len);
    else visible_put(&s->out, text, len, markdown_escape);
}

static void put_formatted(struct sheet *s, const char *format, va_list ap)
{
    char *text = NULL;
    int n = vasprintf(&text, format, ap);
    if (n >= 0) put(s, text, (size_t)n);
    mem_free(text);
}

sc_status sheet_check(const char *path, bool *is_html, sc_error *err)
{
    *is_html = path_ends_with(path, ".html") || path_ends_with(path, ".htm");
    return *is_html || path_ends_with(path, ".md") ? SC_OK : FAIL(err, SC_E_ARGUMENT, "%s names no kind of page; let it end with .html or .md", path);
}

void sheet_begin(struct sheet *s, bool is_html, const char *title)
{
    *s = (struct sheet){ .is_html = is_html };
    buf_init(&s->out, 0);
    if (is_html) page_begin(&s->out, title);
    buf_puts(&s->out, is_html ? "<h1>" : "# ");
    put(s, title, strlen(title));
    buf_puts(&s->out, is_html ? "</h1>\n" : "\n");
}

void sheet_end(struct sheet *s)
{
    if (s->is_html) page_end(&s->out);
}

void sheet_heading(struct sheet *s, const char *text)
{
    buf_puts(&s->out, s->is_html ? "<h2>" : "\n## ");
    put(s, text, strlen(text));
    buf_puts(&s->out, s->is_html ? "</h2>\n" : "\n");
}

void sheet_part(struct sheet *s, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    buf_puts(&s->out, s->is_html ? "<h3>" : "\n### ");
    put_formatted(s, format, ap);
    buf_puts(&s->out, s->is_html ? "</h3>\n" : "\n");
    va_end(ap);
}

void sheet_picture(struct sheet *s, const struct sheet_picture *p)
{
    buf_puts(&s->out, s->is_html ? "<img alt=\"" : "\n![");
    put(s, p->name, strlen(p->name));
    if (s->is_html) {
        buf_printf(&s->out, "\" width=\"%lld\" src=\"data:%s;base64,", (long long)p->width, p->type);       /* type: one of two */
        picture_encode(&s->out, p->data, p->len);
        buf_puts(&s->out, "\">\n");
        return;
    }
    buf_puts(&s->out, "](");
    const char *const parts[] = { s->images ? s->images : "", "/", p->name };
    for (size_t i = 0; i < 3; i++)
        for (const char *at = parts[i]; *at; at++)
            buf_printf(&s->out, (*at >= '0' && *at <= '9') || ((*at | 32) >= 'a' && (*at | 32) <= 'z') || strchr("-_./", *at) ? "%c" : "%%%02X", (unsigned char)*at);
    buf_puts(&s->out, ")\n");
}

void sheet_text(struct sheet *s, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    buf_puts(&s->out, s->is_html ? "<p>" : "\n");
    put_formatted(s, format, ap);
    buf_puts(&s->out, s->is_html ? "</p>\n" : "\n");
    va_end(ap);
}

/* ---- tables -------------------------------------------------------------------------------------------------------------------------------- */

void sheet_table(struct sheet *s, const char *const *columns, size_t n)
{
    buf_puts(&s->out, s->is_html ? "<table><tr>" : "\n|");
    for (size_t i = 0; i < n; i++) {
        bool is_number = columns[i][0] == '>';
        if (s->is_html) buf_puts(&s->out, is_number ? "<th class=\"n\">" : "<th>");
        else buf_putc(&s->out, ' ');
        put(s, columns[i] + is_number, strlen(columns[i] + is_number));
        buf_puts(&s->out, s->is_html ? "</th>" : " |");
    }
    buf_puts(&s->out, s->is_html ? "</tr>\n" : "\n|");
    for (size_t i = 0; i < n && !s->is_html; i++) buf_puts(&s->out, columns[i][0] == '>' ? "---:|" : "---|");
    if (!s->is_html) buf_putc(&s->out, '\n');
}

/* Only what is long may be broken anywhere. */
static void cell_begin(struct sheet *s, bool is_number, size_t len)
{
    size_t n = s->out.len;
    bool is_first = n && s->out.data[n - 1] == '\n';
    if (s->is_html) buf_printf(&s->out, "%s<td class=\"%s\">", is_first ? "<tr>" : "", is_number ? "n" : len > LONG_BYTES ? "long" : "");
    else buf_puts(&s->out, is_first ? "| " : " ");
}

void sheet_cell(struct sheet *s, bool is_number, const char *text, size_t len)
{
    cell_begin(s, is_number, len);
    put(s, text, len);
    buf_puts(&s->out, s->is_html ? "</td>" : " |");
}

void sheet_cellf(struct sheet *s, bool is_number, const char *format, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, format);
    int n = vasprintf(&text, format, ap);
    sheet_cell(s, is_number, n < 0 ? "" : text, n < 0 ? 0 : (size_t)n);
    va_end(ap);
    mem_free(text);
}

void sheet_row_end(struct sheet *s) { buf_puts(&s->out, s->is_html ? "</tr>\n" : "\n"); }
void sheet_table_end(struct sheet *s) { buf_puts(&s->out, s->is_html ? "</table>\n" : "\n"); }

void sheet_value_row(struct sheet *s, const char *key, const json_t *value)
{
    char *dump = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(10));
    const char *text = json_is_string(value) ? json_string_value(value) : dump ? dump : "";
    sheet_cell(s, false, key, strlen(key));
    sheet_cell(s, false, text, json_is_string(value) ? json_string_length(value) : strlen(text));
    sheet_row_end(s);
    mem_free(dump);
}

/* ---- long texts ------------------------------------------------------------------------------------------------------------------------------ */

void sheet_fold(struct sheet *s, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    buf_puts(&s->out, s->is_html ? "<details><summary>" : "\n### ");
    put_formatted(s, format, ap);
    buf_puts(&s->out, s->is_html ? "</summary>\n" : "\n");
    va_end(ap);
}

void sheet_fold_end(struct sheet *s)
{
    if (s->is_html) buf_puts(&s->out, "</details>\n");
}

void sheet_block(struct sheet *s, const char *label, const char *text, size_t len)
{
    if (s->is_html) {
        buf_puts(&s->out, "<p class=\"sub\">");
        put(s, label, strlen(label));
        buf_puts(&s->out, "</p><div class=\"tokens\">");
        put(s, text, len);
        buf_puts(&s->out, "</div>\n");
        return;
    }
    buf_puts(&s->out, "\n");
    put(s, label, strlen(label));
    buf_puts(&s->out, ":\n\n");
    for (size_t at = 0; at <= len;) {                          /* an empty text is an empty line */
        const char *end = len > at ? memchr(text + at, '\n', len - at) : NULL;
        size_t n = end ? (size_t)(end - text) - at : len - at;
        buf_puts(&s->out, "    ");
        visible_put(&s->out, text + at, n, NULL);
        buf_putc(&s->out, '\n');
        at += n + 1;
    }
}

/* ---- intervals -------------------------------------------------------------------------------------------------------------------------------- */

static double place(double x, double low, double high)
{
    double share = high > low ? (x - low) / (high - low) : 0.5;
    return NAME_WIDTH + (share < 0 ? 0 : share > 1 ? 1 : share) * (WIDTH - NAME_WIDTH - 30);
}

void sheet_intervals(struct sheet *s, const char *title, const struct sheet_interval *x, size_t n, double low, double high)
{
    struct buf *out = &s->out;
    double bottom = TOP + (double)(n * STEP);
    if (!s->is_html || !n) return;
    buf_puts(out, "<p class=\"sub\">");
    html_puts(out, title);
    buf_printf(out, "</p>\n<svg viewBox=\"0 0 %d %.0f\" role=\"img\" aria-label=\"", WIDTH, bottom + AXIS_HEIGHT);
    html_puts(out, title);
    buf_puts(out, "\">\n");
    for (int k = 0; k <= MARKS; k++) {
        double at = low + (high - low) * k / MARKS, left = place(at, low, high);
        buf_printf(out, "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%.1f\"/><text class=\"soft\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.3g</text>\n", left, left, TOP, bottom, left, bottom + 17, at);
    }
    for (size_t i = 0; i < n; i++) {
        double y = TOP + ((double)i + 0.5) * STEP, from = place(x[i].interval.low, low, high), to = place(x[i].interval.high, low, high);
        buf_printf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", NAME_WIDTH - 12, y + 5);
        html_put_tail(out, x[i].name, NAME_CHARACTERS);
        buf_printf(out, "</text><rect class=\"rest\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"6\" rx=\"3\"/><circle class=\"plain\" cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\"><title>", from, y - 3, to - from > 1 ? to - from : 1,
                   place(x[i].value, low, high), y);
        html_puts(out, x[i].name);
        buf_printf(out, ": %.4f (%.4f to %.4f)</title></circle>\n", x[i].value, x[i].interval.low, x[i].interval.high);
    }
    buf_puts(out, "</svg>\n");
}
