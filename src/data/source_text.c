/* source_text.c - a file of text as records: lines of JSON, one JSON array element by element, one object whose member
 * is the list, JSON values one behind the other, or plain text and source code. Which one it is, the first MiB tells.
 * Only one record is in memory at a time. */
#include "source_text.h"

#include <stdio.h>
#include <string.h>

enum { LOOK_BYTES = 1 << 20, READ_BYTES = 1 << 18, TEXT_MAX = 16 << 20 };

/* ---- the window -------------------------------------------------------------------------------------------------------------- */

sc_status window_fill(struct window *w, size_t need, sc_error *err)
{
    while (w->len < need && !w->is_end) {
        if (w->begin && w->begin + w->len + READ_BYTES > w->cap) {
            memmove(w->data, w->data + w->begin, w->len);
            w->begin = 0;
        }
        if (w->len + READ_BYTES > w->cap) w->data = mem_grow(w->data, w->cap = 2 * w->cap + READ_BYTES);
        size_t n;
        sc_status status = byte_source_read(w->from, w->data + w->begin + w->len, READ_BYTES, &n, &w->damage);
        if (status != SC_OK && status != SC_E_FORMAT) { if (err) *err = w->damage; return status; }
        w->is_cut = status != SC_OK;
        w->len += n;
        w->is_end = n == 0 || w->is_cut;                  /* nothing good comes behind damage */
    }
    return SC_OK;
}

const char *window_text(const struct window *w) { return w->data ? w->data + w->begin : ""; }

void window_take(struct window *w, size_t n)
{
    const char *at = window_text(w), *end = at + n;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) { w->line++; at++; }
    w->begin += n;
    w->len -= n;
}

/* ---- lines --------------------------------------------------------------------------------------------------------------------- */

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static bool is_blank(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) if (!is_space(s[i])) return false;
    return true;
}

sc_status text_check(const char *s, size_t len, uint64_t line, sc_error *err)
{
    if (utf8_is_valid(s, len)) return SC_OK;
    size_t at = 0;
    uint32_t unused;
    for (int n; at < len && (n = utf8_next(s + at, len - at, &unused)) > 0; at += (size_t)n) line += s[at] == '\n';
    return FAIL(err, SC_E_FORMAT, "line %llu: not valid UTF-8 (byte 0x%02X); convert the file to UTF-8, for example with iconv", (unsigned long long)line, (unsigned char)s[at]);
}

void record_fill(struct record *out, const char *text, size_t len, uint64_t line)
{
    *out = (struct record) { .text = mem_strndup(text, len), .len = len, .line = line };
}

/* Length of the line at the window's begin, without its line feed. *found false: longer than a record may be. */
static sc_status line_find(struct window *w, size_t *len, bool *found, sc_error *err)
{
    *found = true;
    *len = 0;
    for (size_t seen = 0;;) {
        const char *text = window_text(w), *feed = w->len > seen ? memchr(text + seen, '\n', w->len - seen) : NULL;
        if (feed) { *len = (size_t)(feed - text); return SC_OK; }
        if (w->is_end) { *len = w->len; return SC_OK; }
        seen = w->len;
        if (seen > RECORD_MAX) { *found = false; return SC_OK; }
        TRY(window_fill(w, seen + 1, err));
    }
}

static sc_status line_skip(struct window *w, sc_error *err)
{
    for (;;) {
        const char *feed = w->len ? memchr(window_text(w), '\n', w->len) : NULL;
        window_take(w, feed ? (size_t)(feed - window_text(w)) + 1 : w->len);
        if (feed || w->is_end) return SC_OK;
        TRY(window_fill(w, 1, err));
    }
}

static sc_status lines_next(struct text_source *s, struct record *out, bool *more, sc_error *err)
{
    struct window *w = &s->window;
    for (;;) {
        size_t len = 0;
        bool found;
        TRY(window_fill(w, 1, err));
        if (!w->len) { *more = false; return SC_OK; }
        TRY(line_find(w, &len, &found, err));
        if (found && w->is_cut && len == w->len) { window_take(w, len); *more = false; return SC_OK; }
        uint64_t line = w->line;
        if (!found) {
            TRY(line_skip(w, err));
            return FAIL(err, SC_E_FORMAT, "line %llu: longer than the %d MiB that a record may have", (unsigned long long)line, RECORD_MAX >> 20);
        }
        const char *text = window_text(w);
        size_t whole = len < w->len ? len + 1 : len, used = len;
        while (used && is_space(text[used - 1])) used--;
        sc_status status = is_blank(text, used) ? SC_OK : text_check(text, used, line, err);
        if (status == SC_OK && !is_blank(text, used)) { record_fill(out, text, used, line); window_take(w, whole); return SC_OK; }
        window_take(w, whole);
        TRY(status);
    }
}

/* ---- plain text ------------------------------------------------------------------------------------------------------------------ */

/* Up to 16 MiB, cut behind a line where the file is longer. */
static sc_status plain_next(struct text_source *s, struct record *out, bool *more, sc_error *err)
{
    struct window *w = &s->window;
    struct buf b;
    TRY(window_fill(w, TEXT_MAX, err));
    size_t len = w->len < TEXT_MAX ? w->len : TEXT_MAX;
    const char *text = window_text(w), *feed = len < w->len || !w->is_end ? memrchr(text, '\n', len) : NULL;
    if (feed) len = (size_t)(feed - text) + 1;
    else if (len == TEXT_MAX) len -= utf8_incomplete_tail(text, len);
    if (w->is_cut && len == w->len) window_take(w, len);
    if (!w->len) { *more = false; return SC_OK; }
    uint64_t line = w->line;
    const char *nul = memchr(text, 0, len);
    sc_status status = nul ? FAIL(err, SC_E_FORMAT, "line %llu: holds a NUL byte, so the file is no text", (unsigned long long)line) : text_check(text, len, line, err);
    if (status == SC_OK) {
        buf_init(&b, 0);
        buf_puts(&b, "{\"text\":");
        buf_put_json_string(&b, text, len);
        buf_puts(&b, ",\"path\":");
        if (utf8_is_valid(s->path, strlen(s->path))) buf_put_json_string(&b, s->path, strlen(s->path));
        else buf_puts(&b, "null");
        buf_putc(&b, '}');
        *out = (struct record) { .text = b.data, .len = b.len, .line = line };
    }
    window_take(w, len);
    return status;
}

/* ---- which one it is ----------------------------------------------------------------------------------------------------------------- */

size_t space_length(const char *s, size_t len)
{
    size_t i = 0;
    while (i < len && is_space(s[i])) i++;
    return i;
}

/* Members that may hold the records of a file that is one object. */
bool list_name_is_known(const struct scan_string *name)
{
    static const char *const names[] = { "data", "rows", "records", "examples", "items", "samples", "entries", "train", "test", "validation", "dialogues", "dialogs" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) if (scan_equals(name, names[i])) return true;
    return false;
}

/* Bytes up to the list of objects in an object that begins at `text`; 0: there is none so far. */
static size_t list_member(const char *text, size_t len)
{
    struct json_scan scan = { text, len, 0, "", NULL };
    struct scan_string name;
    bool more = true;
    if (!scan_take(&scan, '{')) return 0;
    while (more) {
        if (scan_string(&scan, &name) != SC_OK || scan_need(&scan, ':') != SC_OK) return 0;
        if (list_name_is_known(&name) && scan_peek(&scan, '[')) {
            size_t at = scan.at++;
            if (scan_peek(&scan, '{')) return at;
            scan.at = at;
        }
        if (scan_skip(&scan) != SC_OK || scan_more(&scan, '}', &more) != SC_OK) return 0;
    }
    return 0;
}

/* Text files that hold JSON all the same: an object with a member, or an array of objects. */
static bool looks_like_json(const char *text, size_t len)
{
    if (len < 2 || (text[0] != '{' && text[0] != '[')) return false;
    size_t second = 1 + space_length(text + 1, len - 1);
    return second < len && (text[0] == '{' ? text[second] == '"' || text[second] == '}' : text[second] == '{');
}

/* An array whose first element is a message: the array is one dialogue. */
static bool looks_like_messages(const char *text, size_t len)
{
    struct json_scan scan = { text, len, 0, "", NULL };
    struct scan_string name;
    if (!scan_take(&scan, '[') || !scan_take(&scan, '{')) return false;
    bool has_role = false, has_content = false;
    for (bool more = true; more;) {
        if (scan_string(&scan, &name) != SC_OK || scan_need(&scan, ':') != SC_OK) return false;
        has_role |= scan_equals(&name, "role") || scan_equals(&name, "from");
        has_content |= scan_equals(&name, "content") || scan_equals(&name, "value");
        if (has_role && has_content) return true;
        if (scan_skip(&scan) != SC_OK || scan_more(&scan, '}', &more) != SC_OK) return false;
    }
    return false;
}

/* The way to read what begins at `text`: `len` bytes of the file, or all of it. */
static enum text_kind kind_find(const char *text, size_t len, bool is_all, enum name_kind name, size_t *list_at)
{
    const char *feed = len ? memchr(text, '\n', len) : NULL;
    size_t first = feed ? (size_t)(feed - text) : len;
    bool is_json = len && (text[0] == '{' || text[0] == '['), is_open = is_json && feed && is_blank(text + 1, first - 1);
    *list_at = 0;
    if (name == NAME_LINES && !is_open && !(is_json && text[0] == '[')) return TEXT_LINES;
    if (name == NAME_TEXT && !looks_like_json(text, len)) return TEXT_PLAIN;
    if (!is_json) return name == NAME_JSON || (len && text[0] == '"') ? TEXT_LINES : TEXT_PLAIN;
    size_t end = json_value_length(text, len, NULL), next = end + space_length(text + end, len - end);
    if (end && end <= first && next > first && next < len) return TEXT_LINES;   /* a second value behind a line that is whole */
    if (text[0] == '[') return !looks_like_messages(text, len) ? TEXT_ARRAY : end && end <= first ? TEXT_LINES : TEXT_VALUES;
    if (end && next < len) return TEXT_VALUES;
    if ((!end || is_all) && (*list_at = list_member(text, len))) return TEXT_MEMBER;
    if (end) return end <= first ? TEXT_LINES : TEXT_VALUES;
    bool is_torn = feed && first > 1 && first + 1 < len && feed[1] == '{';      /* a torn first line, a fresh object behind it */
    return !feed || is_torn ? TEXT_LINES : TEXT_VALUES;
}

/* What other programs pack or encode is named, with the remedy. */
static sc_status encoding_check(const char *text, size_t len, sc_error *err)
{
    static const struct { const char *begin; size_t len; const char *what, *remedy; } known[] = { { "BZh", 3, "bzip2", "bunzip2" }, { "\xFD" "7zXZ", 5, "xz", "unxz" }, { "PK\x03\x04", 4, "zip", "unzip" } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (len < known[i].len || memcmp(text, known[i].begin, known[i].len) != 0) continue;
        return FAIL(err, SC_E_FORMAT, "line 1: the file is packed by %s, expected JSON, text, gzip or zstd; unpack it with %s", known[i].what, known[i].remedy);
    }
    if (len >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0))
        return FAIL(err, SC_E_FORMAT, "line 1: the file is UTF-16, expected UTF-8; convert it with: iconv -f UTF-16 -t UTF-8");
    return SC_OK;
}

static sc_status text_begin(struct text_source *s, sc_error *err)
{
    struct window *w = &s->window;
    s->is_begun = true;
    TRY(window_fill(w, LOOK_BYTES, err));
    if (w->len >= 3 && memcmp(window_text(w), "\xEF\xBB\xBF", 3) == 0) window_take(w, 3);
    sc_status status = encoding_check(window_text(w), w->len, err);
    if (status != SC_OK) { window_take(w, w->len); w->is_end = true; return status; }
    size_t list_at, space = space_length(window_text(w), w->len);
    s->kind = kind_find(window_text(w) + space, w->len - space, w->is_end && !w->is_cut, s->name, &list_at);
    if (s->kind != TEXT_PLAIN) window_take(w, s->kind == TEXT_ARRAY ? space + 1 : s->kind == TEXT_MEMBER ? space + list_at + 1 : space);
    return SC_OK;
}

static sc_status text_next(struct record_source *source, struct record *out, bool *more, sc_error *err)
{
    static sc_status (*const next[])(struct text_source *, struct record *, bool *, sc_error *) = {
        [TEXT_LINES] = lines_next, [TEXT_PLAIN] = plain_next, [TEXT_ARRAY] = elements_next, [TEXT_MEMBER] = elements_next, [TEXT_VALUES] = elements_next };
    struct text_source *s = (struct text_source *)source;
    struct window *w = &s->window;
    *more = true;
    if (!s->is_begun) TRY(text_begin(s, err));
    TRY(next[s->kind](s, out, more, err));
    if (*more || !w->is_cut || s->is_damage_told) return SC_OK;
    s->is_damage_told = *more = true;
    if (err) *err = w->damage;
    return error_prefix(err, SC_E_FORMAT, "line %llu", (unsigned long long)w->line);
}

/* ---- open and close -------------------------------------------------------------------------------------------------------------------- */

static sc_status text_finish(struct record_source *source, char sha256[65], sc_error *err)
{
    return byte_source_finish(((struct text_source *)source)->window.from, sha256, err);
}

static uint64_t text_stored(const struct record_source *source)
{
    return byte_source_stored(((const struct text_source *)source)->window.from);
}

static void text_close(struct record_source *source)
{
    struct text_source *s = (struct text_source *)source;
    byte_source_close(s->window.from);
    mem_free(s->window.data);
    mem_free(s->path);
    mem_free(s);
}

sc_status text_source_open(struct record_source **out, const char *path, sc_error *err)
{
    struct byte_source *from;
    *out = NULL;
    TRY(byte_source_open(&from, path, err));
    struct text_source *s = mem_zero(1, sizeof *s);
    *s = (struct text_source) { .base = { text_next, text_finish, text_stored, NULL, text_close }, .path = mem_strdup(path), .name = name_kind_of(path), .window = { .from = from, .line = 1 } };
    *out = &s->base;
    return SC_OK;
}
