/* picture_answer.c - what of an answer is the program that draws: a block of Python, TikZ or SVG between fences, or the text itself. */
#include "eval/eval_internal.h"

#include <string.h>
#include <strings.h>

static const char *find(const struct span_text *t, const char *what) { return t->len ? memmem(t->at, t->len, what, strlen(what)) : NULL; }

/* ---- fences ------------------------------------------------------------------------------------------------------------------------- */

static const char *next_line(const char *at, const char *end)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    return newline ? newline + 1 : end;
}

/* Behind the three marks of a fence; NULL: this line is none. */
static const char *fence(const char *line, const char *end)
{
    while (line < end && (*line == ' ' || *line == '\t')) line++;
    return end - line >= 3 && memcmp(line, "```", 3) == 0 ? line + 3 : NULL;
}

static bool is_tagged(const char *tag, const char *end, const char *const *names)
{
    size_t n = 0;
    while (tag < end && (*tag == ' ' || *tag == '{' || *tag == '.')) tag++;
    while (tag + n < end && !strchr(" \t\r\n}:,", tag[n])) n++;
    for (; *names; names++)
        if (strlen(*names) == n && strncasecmp(*names, tag, n) == 0) return true;
    return false;
}

/* The first block with one of these names behind its fence; an answer that was cut off ends its last block. */
static bool find_block(struct span_text *out, const struct span_text *t, const char *const *names)
{
    const char *end = t->at + t->len, *line = t->at;
    while (line < end) {
        const char *tag = fence(line, end), *body = next_line(line, end), *stop = body;
        if (!tag) { line = body; continue; }
        while (stop < end && !fence(stop, end)) stop = next_line(stop, end);
        if (is_tagged(tag, body, names)) { *out = (struct span_text){ body, (size_t)(stop - body) }; return true; }
        line = next_line(stop, end);
    }
    return false;
}

/* ---- forms ----------------------------------------------------------------------------------------------------------------------------- */

static const char *const python_names[] = { "python", "py", "python3", NULL }, *const tex_names[] = { "latex", "tex", "tikz", NULL }, *const svg_names[] = { "svg", "xml", "html", NULL }, *const no_name[] = { "", NULL };

static bool cut_svg(struct span_text *out, const struct span_text *t)
{
    const char *begin = find(t, "<svg");
    if (!begin) return false;
    struct span_text rest = { begin, (size_t)(t->at + t->len - begin) };
    const char *end = find(&rest, "</svg>"), *last = end;
    while (end) {                                             /* pictures within pictures: up to the last */
        last = end;
        struct span_text more = { end + 6, (size_t)(t->at + t->len - end - 6) };
        end = find(&more, "</svg>");
    }
    *out = (struct span_text){ begin, last ? (size_t)(last + 6 - begin) : rest.len };
    return true;
}

/* From the first command of LaTeX that a picture begins with to the end of what it opened. */
static bool cut_tex(struct span_text *out, const struct span_text *t)
{
    static const char *const begins[] = { "\\documentclass", "\\begin{tikzpicture}", "\\tikz" }, *const ends[] = { "\\end{document}", "\\end{tikzpicture}", NULL };
    for (size_t i = 0; i < 3; i++) {
        const char *begin = find(t, begins[i]);
        if (!begin) continue;
        struct span_text rest = { begin, (size_t)(t->at + t->len - begin) };
        const char *end = ends[i] ? find(&rest, ends[i]) : NULL;
        *out = (struct span_text){ begin, end ? (size_t)(end - begin) + strlen(ends[i]) : rest.len };
        return true;
    }
    return false;
}

static bool block_of(struct span_text *out, const struct span_text *t, enum picture_form form)
{
    struct span_text block;
    switch (form) {
    case PICTURE_PYTHON: return find_block(out, t, python_names);
    case PICTURE_TIKZ: return find_block(out, t, tex_names) && (find(out, "\\draw") || find(out, "tikz"));
    default: return find_block(&block, t, svg_names) && cut_svg(out, &block);
    }
}

static bool text_of(struct span_text *out, const struct span_text *t, enum picture_form form)
{
    return form == PICTURE_TIKZ ? cut_tex(out, t) : form == PICTURE_SVG && cut_svg(out, t);
}

enum picture_form picture_answer(struct span_text *out, const char *text, size_t len, enum picture_form asked)
{
    const struct span_text all = { text, len };
    const enum picture_form other = asked == PICTURE_TIKZ ? PICTURE_SVG : PICTURE_TIKZ, order[] = { asked, PICTURE_PYTHON, other };
    if (asked == PICTURE_PYTHON) {
        if (!find_block(out, &all, python_names) && !find_block(out, &all, no_name)) *out = all;
        return asked;
    }
    for (size_t i = 0; i < 3; i++)
        if (block_of(out, &all, order[i])) return order[i];
    if (asked == PICTURE_TIKZ && find_block(out, &all, no_name) && find(out, "tikz")) return asked;
    if (text_of(out, &all, asked)) return asked;
    if (text_of(out, &all, other)) return other;
    if (!find_block(out, &all, no_name)) *out = all;
    return asked;
}

/* ---- TikZ as a document ------------------------------------------------------------------------------------------------------------------- */

/* Programs that bring their own class are left as they are; a picture alone gets one, and what stands before it (packages, colours) its preamble. */
void picture_document(struct buf *out, const char *text, size_t len)
{
    const struct span_text all = { text, len };
    if (find(&all, "\\documentclass")) { buf_append(out, text, len); return; }
    buf_puts(out, "\\documentclass[tikz]{standalone}\n\\usepackage{tikz}\n");
    if (find(&all, "\\begin{document}")) { buf_append(out, text, len); return; }
    const char *begin = find(&all, "\\begin{tikzpicture}");
    size_t before = begin ? (size_t)(begin - text) : 0, blank = strspn(text, " \t\r\n");
    if (blank < before && (text[blank] == '\\' || text[blank] == '%')) buf_append(out, text, before);
    else before = before < len ? before : 0;
    buf_puts(out, "\n\\begin{document}\n");
    bool is_bare = !begin && !find(&all, "\\tikz");
    if (is_bare) buf_puts(out, "\\begin{tikzpicture}\n");
    buf_append(out, text + before, len - before);
    if (is_bare) buf_puts(out, "\n\\end{tikzpicture}");
    buf_puts(out, "\n\\end{document}\n");
}
