/* markdown.c - colours Markdown while it streams. Conservative: fenced code, inline code, bold, headings and list
 * markers, nothing else; and lossless: markers stay, dimmed, since in talk about code a dropped `**` or backtick changes
 * the meaning. Only characters that may become a marker wait for the next piece. Rules follow CommonMark 0.31 where
 * they can be decided without reading ahead (sections 4.2, 4.5, 5.2, 6.1); inline styles end with their line. */
#include "cmd/chat.h"

#include <string.h>

enum { PLACE_BEGIN, PLACE_TEXT, PLACE_CODE_BEGIN, PLACE_CODE };
enum { STYLE_PLAIN, STYLE_MARK, STYLE_CODE, STYLE_BOLD };
static const char *const style_codes[] = { "\033[0m", "\033[0;2m", "\033[0;36m", "\033[0;1m" };

static void set_style(struct markdown *m, int style)
{
    if (m->style == style) return;
    fputs(style_codes[style], m->to);
    m->style = style;
}

/* No style lasts over a line end: what follows in the terminal is never coloured by accident. */
static void put(struct markdown *m, int style, const char *text, size_t len)
{
    while (len) {
        const char *end = memchr(text, '\n', len);
        size_t n = end ? (size_t)(end - text) : len;
        if (n) {
            set_style(m, style);
            print_safe(m->to, text, n);
        }
        if (end) {
            set_style(m, STYLE_PLAIN);
            fputc('\n', m->to);
            n++;
        }
        text += n;
        len -= n;
    }
}

static int style_here(const struct markdown *m) { return m->ticks ? STYLE_CODE : m->is_bold ? STYLE_BOLD : m->base; }

/* ---- inside a line --------------------------------------------------------------------------------------------------------- */

static bool is_word(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || (c & 0x80); }
static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == 0; }

static void put_run(struct markdown *m, int style)
{
    for (; m->run_len; m->run_len--) put(m, style, &m->run, 1);
}

/* Decides what the waiting markers mean, now that the character after them is known. */
static void resolve_run(struct markdown *m, char next)
{
    if (!m->run_len) return;
    char before = m->before;
    m->before = m->run;
    if (m->run == '`') {
        bool closes = m->ticks == m->run_len, opens = m->ticks == 0;
        if (opens) m->ticks = m->run_len;
        put_run(m, opens || closes ? STYLE_MARK : STYLE_CODE);
        if (closes) m->ticks = 0;
        return;
    }
    bool is_pair = m->run_len == 2 || m->run_len == 3;
    bool closes = m->is_bold && is_pair && !is_space(before);
    bool opens = !m->is_bold && is_pair && !is_space(next) && !is_word(before);
    put_run(m, closes || opens ? STYLE_MARK : style_here(m));
    if (closes || opens) m->is_bold = opens;
}

static void put_inline(struct markdown *m, const char *text, size_t len)
{
    size_t plain = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i], before = i > plain ? text[i - 1] : m->before;
        if (m->run_len && c == m->run) {
            m->run_len++;
            plain = i + 1;
            continue;
        }
        resolve_run(m, c);
        bool is_marker = m->ticks ? c == '`' : before != '\\' && (c == '`' || c == '*');
        if (!is_marker) {
            m->before = c;
            continue;
        }
        put(m, style_here(m), text + plain, i - plain);
        m->before = before;
        m->run = c;
        m->run_len = 1;
        plain = i + 1;
    }
    if (plain < len) {
        put(m, style_here(m), text + plain, len - plain);
        m->before = text[len - 1];
    }
}

static void end_line(struct markdown *m)
{
    resolve_run(m, '\n');
    put(m, STYLE_PLAIN, "\n", 1);
    m->ticks = 0;
    m->is_bold = false;
    m->base = STYLE_PLAIN;
    m->before = 0;
    m->item_width = 0;
    m->place = PLACE_BEGIN;
}

/* ---- line beginnings ------------------------------------------------------------------------------------------------------ */

enum block { BLOCK_UNDECIDED, BLOCK_NONE, BLOCK_FENCE, BLOCK_HEADING, BLOCK_ITEM };

static size_t run_of(const char *s, size_t len, char c)
{
    size_t n = 0;
    while (n < len && s[n] == c) n++;
    return n;
}

static size_t indent_of(const char *s, size_t len)
{
    size_t n = 0;
    while (n < len && (s[n] == ' ' || s[n] == '\t')) n++;
    return n;
}

/* "```info" waits for its line end: with another backtick in the line it is inline code. */
static enum block classify_fence(const char *s, size_t len, size_t run)
{
    if (run == len) return BLOCK_UNDECIDED;
    if (run < 3 || (s[0] == '`' && memchr(s + run, '`', len - run))) return BLOCK_NONE;
    return s[len - 1] == '\n' ? BLOCK_FENCE : BLOCK_UNDECIDED;
}

static enum block classify_item(const char *s, size_t len)
{
    size_t digits = 0;
    while (digits < len && s[digits] >= '0' && s[digits] <= '9') digits++;
    if (digits > 4) return BLOCK_NONE;
    if (digits == len) return BLOCK_UNDECIDED;
    if (digits ? s[digits] != '.' && s[digits] != ')' : !s[0] || !strchr("-*+>", s[0])) return BLOCK_NONE;
    if (len == digits + 1) return BLOCK_UNDECIDED;
    return is_space(s[digits + 1]) ? BLOCK_ITEM : BLOCK_NONE;
}

/* What the held beginning of a line is; a newline may be its last character. */
static enum block classify(const char *held, size_t len)
{
    size_t indent = indent_of(held, len);
    const char *s = held + indent;
    len -= indent;
    if (len == 0) return BLOCK_UNDECIDED;
    if (s[0] == '`' || s[0] == '~') return classify_fence(s, len, run_of(s, len, s[0]));
    if (s[0] == '#') {
        size_t run = run_of(s, len, '#');
        if (run == len && run <= 6) return BLOCK_UNDECIDED;
        return run <= 6 && is_space(s[run]) ? BLOCK_HEADING : BLOCK_NONE;
    }
    return classify_item(s, len);
}

static void open_fence(struct markdown *m)
{
    size_t indent = indent_of(m->held, m->n_held);
    m->fence_indent = m->item_width + indent;
    m->fence = m->held[indent];
    m->fence_len = run_of(m->held + indent, m->n_held - indent, m->fence);
    m->item_width = 0;
    put(m, STYLE_MARK, m->held, m->n_held);
    m->n_held = 0;
    m->place = PLACE_CODE_BEGIN;
}

static void flush_begin(struct markdown *m, enum block block)
{
    char held[MARKDOWN_HELD];
    size_t n = m->n_held;
    memcpy(held, m->held, n);
    m->n_held = 0;
    m->place = PLACE_TEXT;
    if (block == BLOCK_HEADING) m->base = STYLE_BOLD;
    if (block == BLOCK_ITEM && held[n - 1] != '\n') {
        put(m, STYLE_BOLD, held, n);                 /* what follows the marker may be a block again: "- ```c" */
        m->item_width += n;
        m->place = PLACE_BEGIN;
        return;
    }
    bool is_ended = n && held[n - 1] == '\n';
    put_inline(m, held, is_ended ? n - 1 : n);
    if (is_ended) end_line(m);
}

/* One whole character of `n` bytes. */
static void put_begin(struct markdown *m, const char *c, size_t n)
{
    memcpy(m->held + m->n_held, c, n);
    m->n_held += n;
    enum block block = classify(m->held, m->n_held);
    if (block == BLOCK_UNDECIDED && (*c == '\n' || m->n_held + 4 > MARKDOWN_HELD)) block = BLOCK_NONE;
    if (block == BLOCK_FENCE) open_fence(m);
    else if (block != BLOCK_UNDECIDED) flush_begin(m, block);
}

/* ---- code ---------------------------------------------------------------------------------------------------------------------- */

/* Is the held line (without its newline) a closing fence, or may it become one? */
static bool is_closing(const struct markdown *m, bool is_whole)
{
    size_t indent = indent_of(m->held, m->n_held), run = run_of(m->held + indent, m->n_held - indent, m->fence);
    size_t after = indent_of(m->held + indent + run, m->n_held - indent - run);
    if (indent > m->fence_indent + 3 || indent + run + after != m->n_held) return false;
    return run >= m->fence_len || (!is_whole && after == 0);
}

static void close_fence(struct markdown *m)
{
    put(m, STYLE_MARK, m->held, m->n_held);
    m->n_held = 0;
    m->fence = 0;
    m->place = PLACE_TEXT;
}

static void put_code_begin(struct markdown *m, const char *c, size_t n)
{
    if (*c == '\n' && is_closing(m, true)) {
        close_fence(m);
        end_line(m);
        return;
    }
    memcpy(m->held + m->n_held, c, n);
    m->n_held += n;
    if (*c != '\n' && m->n_held + 4 <= MARKDOWN_HELD && is_closing(m, false)) return;
    put(m, STYLE_CODE, m->held, m->n_held);
    m->n_held = 0;
    m->place = *c == '\n' ? PLACE_CODE_BEGIN : PLACE_CODE;
}

/* ---- the stream ------------------------------------------------------------------------------------------------------------------ */

static size_t character_bytes(const char *s, size_t len)
{
    size_t n = 1;
    while (n < len && n < 4 && (*s & 0x80) && (s[n] & 0xc0) == 0x80) n++;
    return n;
}

/* Text of a line whose beginning is known, up to its end. Returns the bytes used. */
static size_t put_rest(struct markdown *m, const char *text, size_t len)
{
    const char *end = memchr(text, '\n', len);
    size_t n = end ? (size_t)(end - text) : len, used = n + (end != NULL);
    if (m->place == PLACE_CODE) {
        put(m, STYLE_CODE, text, used);
        if (end) m->place = PLACE_CODE_BEGIN;
        return used;
    }
    put_inline(m, text, n);
    if (end) end_line(m);
    return used;
}

void markdown_begin(struct markdown *m, FILE *to, bool is_on) { *m = (struct markdown){ .to = to, .is_on = is_on }; }

void markdown_put(struct markdown *m, const char *utf8, size_t len)
{
    if (!m->is_on) {
        print_text(m->to, utf8, len);
        return;
    }
    while (len) {
        size_t n = character_bytes(utf8, len);
        if (m->place == PLACE_BEGIN) put_begin(m, utf8, n);
        else if (m->place == PLACE_CODE_BEGIN) put_code_begin(m, utf8, n);
        else n = put_rest(m, utf8, len);
        utf8 += n;
        len -= n;
    }
}

void markdown_end(struct markdown *m)
{
    if (!m->is_on) return;
    if (m->place == PLACE_CODE_BEGIN && m->n_held && is_closing(m, true)) close_fence(m);
    else if (m->place == PLACE_CODE_BEGIN) put(m, STYLE_CODE, m->held, m->n_held);
    else if (m->place == PLACE_BEGIN) put_inline(m, m->held, m->n_held);
    m->n_held = 0;
    resolve_run(m, '\n');
    set_style(m, STYLE_PLAIN);
}
