/* talk_markdown.c - the path of one conversation as Markdown, and back. The form: "# TITLE", a comment with what has no
 * place in the text, then for each message a line "## User" or "## Assistant" (before them, "## System"), an empty line, the
 * text as it is, an empty line. A line of a text that would be such a heading gets a backslash in front, and one that
 * has backslashes before a heading gets one more: Markdown shows both as the heading's own text. */
#include "talks/talks.h"

#include <string.h>

#define COMMENT "<!-- starchat: "
#define COMMENT_END " -->"

static const struct { const char *heading, *role; } headings[] = { { "## User", "user" }, { "## Assistant", "assistant" }, { "## System", "system" } };

/* The role that this line announces, NULL for a line of text. */
static const char *heading_role(const char *line, size_t len)
{
    while (len && (line[len - 1] == ' ' || line[len - 1] == '\t')) len--;
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
        if (strlen(headings[i].heading) == len && memcmp(line, headings[i].heading, len) == 0) return headings[i].role;
    return NULL;
}

static bool is_escaped_heading(const char *line, size_t len)
{
    size_t n = 0;
    while (n < len && line[n] == '\\') n++;
    return n && heading_role(line + n, len - n);
}

static size_t line_length(const char *text, size_t len)
{
    const char *end = memchr(text, '\n', len);
    return end ? (size_t)(end - text) : len;
}

/* ---- writing --------------------------------------------------------------------------------------------------------------- */

static void put_message(struct buf *out, const char *role, const char *text)
{
    const char *heading = "";
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
        if (strcmp(headings[i].role, role) == 0) heading = headings[i].heading;
    buf_printf(out, "\n%s\n\n", heading);
    for (size_t left = strlen(text);;) {
        size_t n = line_length(text, left);
        if (heading_role(text, n) || is_escaped_heading(text, n)) buf_putc(out, '\\');
        buf_append(out, text, n);
        buf_putc(out, '\n');
        if (n == left) break;
        text += n + 1;
        left -= n + 1;
    }
}

/* "-->" cannot stand inside: '>' is spelled out. */
static void put_comment(struct buf *out, const struct talk *k)
{
    json_t *o = json_pack("{s:s*, s:s*, s:s*, s:f}", "id", k->id, "model", k->model, "few_shot", k->few_shot, "created", (double)k->created / 1000);
    json_t *settings = json_loads(k->settings, 0, NULL);
    sc_text text = { 0 };
    if (settings && json_object_size(settings)) json_object_set(o, "settings", settings);
    json_write(&text, o, false);
    buf_puts(out, COMMENT);
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '>') buf_puts(out, "\\u003e");
        else buf_putc(out, text.data[i]);
    }
    buf_puts(out, COMMENT_END "\n");
    sc_text_free(&text);
    json_decref(settings);
    json_decref(o);
}

void markdown_write(struct buf *out, const struct talk *k)
{
    size_t *path = mem_alloc((k->n + 1) * sizeof *path), n = talk_path(k, k->leaf, path);
    buf_printf(out, "# %s\n\n", k->title);
    put_comment(out, k);
    if (k->system) put_message(out, "system", k->system);
    for (size_t i = 0; i < n; i++) put_message(out, k->message[path[i]].role, k->message[path[i]].content);
    mem_free(path);
}

/* ---- reading ----------------------------------------------------------------------------------------------------------------- */

struct reader { const char *text; size_t len, at; bool has_cr; };

/* False at the end. */
static bool next_line(struct reader *r, const char **line, size_t *len)
{
    if (r->at >= r->len) return false;
    *line = r->text + r->at;
    *len = line_length(*line, r->len - r->at);
    r->at += *len + 1;
    if (r->has_cr && *len && (*line)[*len - 1] == '\r') (*len)--;
    return true;
}

bool markdown_is(const char *text, size_t len)
{
    struct reader r = { text, len, 0, true };
    const char *line;
    size_t n;
    while (next_line(&r, &line, &n))
        if (heading_role(line, n)) return true;
    return false;
}

static sc_status read_comment(struct talk *k, const char *line, size_t len, sc_error *err)
{
    json_t *o;
    size_t head = strlen(COMMENT), tail = strlen(COMMENT_END);
    if (len < head + tail || memcmp(line, COMMENT, head) != 0 || memcmp(line + len - tail, COMMENT_END, tail) != 0) return SC_OK;
    TRY(json_read(&o, line + head, len - head - tail, "the comment at its beginning", err));
    const char *model = json_string_value(json_object_get(o, "model")), *few_shot = json_string_value(json_object_get(o, "few_shot"));
    const char *id = json_string_value(json_object_get(o, "id"));
    char *settings = NULL;
    if (id && talk_id_is_valid(id)) talk_set(&k->id, mem_strdup(id));
    if (model) talk_set(&k->model, talk_text(model, strlen(model)));
    if (few_shot) talk_set(&k->few_shot, talk_text(few_shot, strlen(few_shot)));
    sc_status status = talk_time(&k->created, o, "created", k->created, err);
    if (status == SC_OK) status = talk_object(&settings, json_object_get(o, "settings"), "settings", err);
    if (status == SC_OK) talk_set(&k->settings, settings);
    json_decref(o);
    return status;
}

static sc_status read_head(struct talk *k, struct reader *r, const char **role, sc_error *err)
{
    const char *line;
    size_t len;
    while (next_line(r, &line, &len)) {
        if ((*role = heading_role(line, len))) return SC_OK;
        if (!*k->title && len > 2 && line[0] == '#' && line[1] == ' ') talk_set(&k->title, talk_title(line + 2, len - 2, TALK_TITLE_MAX));
        else TRY(read_comment(k, line, len, err));
    }
    return FAIL(err, SC_E_FORMAT, "it has no line \"## User\" or \"## Assistant\"");
}

/* The text behind a heading, up to the next one or the end; *next: its role, NULL at the end. */
static void read_text(struct buf *text, struct reader *r, const char **next)
{
    const char *line;
    size_t len, lines = 0;
    bool has_gap = false;
    *next = NULL;
    buf_clear(text);
    while (!*next && next_line(r, &line, &len)) {
        if ((*next = heading_role(line, len))) break;
        if (lines++ == 0 && len == 0) { has_gap = true; continue; }
        if (lines > (has_gap ? 2u : 1u)) buf_putc(text, '\n');
        size_t skip = is_escaped_heading(line, len) ? 1 : 0;
        buf_append(text, line + skip, len - skip);
    }
    /* The empty line before the next heading is not of the text. */
    if (*next && text->len && text->data[text->len - 1] == '\n') text->len--;
}

static sc_status add_text(struct talk *k, const char *role, const struct buf *text, sc_error *err)
{
    char *content = talk_text(text->data ? text->data : "", text->len);
    if (strcmp(role, "system") == 0) {
        bool is_first = !k->n && !k->system;
        talk_set(&k->system, content);
        return is_first ? SC_OK : FAIL(err, SC_E_FORMAT, "a second \"## System\", or one behind other messages");
    }
    if (k->n == TALK_MESSAGES_MAX) {
        mem_free(content);
        return FAIL(err, SC_E_FORMAT, "it has more than %d messages", TALK_MESSAGES_MAX);
    }
    struct talk_message *m = talk_add(k, role);
    talk_set(&m->content, content);
    m->parent = (ptrdiff_t)k->n - 2;
    m->created = k->created;
    return SC_OK;
}

static sc_status read_talk(struct talk *k, struct reader *r, sc_error *err)
{
    const char *role = NULL, *next;
    struct buf text;
    TRY(read_head(k, r, &role, err));
    buf_init(&text, 0);
    sc_status status = SC_OK;
    while (role && status == SC_OK) {
        read_text(&text, r, &next);
        status = add_text(k, role, &text, err);
        role = next;
    }
    buf_release(&text);
    TRY(status);
    k->leaf = (ptrdiff_t)k->n - 1;
    k->updated = k->created;
    talk_title_from_messages(k);
    return SC_OK;
}

/* Without an id the same text is the same conversation, so that a file read twice is there once. */
sc_status markdown_read(struct talk *out, const char *text, size_t len, int64_t now, sc_error *err)
{
    char id[TALK_ID_BYTES + 1], *whole = talk_text(text, len);
    size_t first = line_length(text, len);
    struct reader r = { text, len, 0, first < len && first && text[first - 1] == '\r' };
    talk_init(out);
    talk_derived_id(id, "markdown", whole);
    out->id = mem_strdup(id);
    out->created = now;
    mem_free(whole);
    sc_status status = read_talk(out, &r, err);
    if (status != SC_OK) talk_release(out);
    return status;
}
