/* source_json.c - the values of one JSON file, one after the other, without a tree of the whole: the elements of an
 * array, of a member of the outermost object, or values written one behind the other. Brackets and quotes tell where a
 * value ends; whether it is good JSON shows when it is parsed. Where the file is torn, reading goes on at the next line
 * on which an object begins. */
#include "source_text.h"

#include <string.h>

enum { REPAIRS_MAX = 100 };

/* ---- the end of a value --------------------------------------------------------------------------------------------------------- */

/* Behind the closing quote, or `len`. */
static size_t string_end(const char *text, size_t at, size_t len, bool *is_inside)
{
    while (at < len) {
        char c = text[at];
        if (c == '"') { *is_inside = false; return at + 1; }
        if (c == '\\') {
            if (at + 1 >= len) return at;                 /* looks again when there is more */
            at++;
        }
        at++;
    }
    return at;
}

static bool is_word_end(char c) { return c == ',' || c == ']' || c == '}' || c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

size_t json_value_length(const char *text, size_t len, struct value_look *look)
{
    struct value_look fresh = { 0 };
    struct value_look *l = look ? look : &fresh;
    while (l->at < len) {
        if (l->is_string) {
            size_t end = string_end(text, l->at, len, &l->is_string);
            if (l->is_string) { l->at = end; return 0; }
            l->at = end;
            if (!l->depth) return end;
            continue;
        }
        char c = text[l->at];
        if (l->is_word && is_word_end(c)) return l->at;
        l->at++;
        if (c == '"' && !l->is_word) l->is_string = true;
        else if (c == '{' || c == '[') l->depth++;
        else if (c == '}' || c == ']') { if (--l->depth <= 0) return l->at; }
        else if (!l->depth) l->is_word = true;
    }
    return 0;
}

/* ---- damage ------------------------------------------------------------------------------------------------------------------------ */

/* Goes on at the next line that begins with an object; the line at the window's begin does not count. */
static sc_status repair(struct text_source *s, sc_error *err)
{
    struct window *w = &s->window;
    bool is_enough = ++s->n_repairs > REPAIRS_MAX;
    for (;;) {
        const char *text = window_text(w), *feed = w->len ? memchr(text, '\n', w->len) : NULL;
        window_take(w, feed ? (size_t)(feed - text) + 1 : w->len);
        if (!feed && w->is_end) { s->place = BEHIND; return SC_OK; }
        TRY(window_fill(w, 4096, err));
        size_t space = space_length(window_text(w), w->len);
        if (!feed || is_enough || space >= w->len || window_text(w)[space] != '{') continue;
        window_take(w, space);
        s->place = BEFORE_FIRST;
        return SC_OK;
    }
}

/* What becomes of the rest, for messages. */
static const char *rest_of(const struct text_source *s) { return s->place == BEHIND ? "; nothing behind it in this file can be read" : ""; }

static sc_status misplaced(struct text_source *s, const char *expected, sc_error *err)
{
    char quote[40];
    struct window *w = &s->window;
    uint64_t line = w->line;
    error_quote(quote, sizeof quote, window_text(w), w->len < 12 ? w->len : 12);
    TRY(repair(s, err));
    return FAIL(err, SC_E_FORMAT, "line %llu: found '%s', expected %s%s", (unsigned long long)line, quote, expected, rest_of(s));
}

/* ---- the way from value to value ----------------------------------------------------------------------------------------------------- */

static sc_status space_skip(struct window *w, sc_error *err)
{
    for (;;) {
        TRY(window_fill(w, 1, err));
        size_t space = space_length(window_text(w), w->len);
        window_take(w, space);
        if (w->len || w->is_end) return SC_OK;
    }
}

static sc_status torn(struct text_source *s, sc_error *err)
{
    uint64_t line = s->window.line;
    s->place = BEHIND;
    return FAIL(err, SC_E_FORMAT, "line %llu: the file ends inside the %s, expected '%s'", (unsigned long long)line, s->kind == TEXT_MEMBER ? "object with the list of records" : "list of records", s->kind == TEXT_MEMBER ? "]}" : "]");
}

/* The whole value at the window's begin. *len 0: it has no end. */
static sc_status value_read(struct window *w, size_t *len, sc_error *err)
{
    struct value_look look = { 0 };
    for (;;) {
        *len = json_value_length(window_text(w), w->len, &look);
        if (*len || w->len > RECORD_MAX) return SC_OK;
        if (w->is_end) { *len = look.is_word && !w->is_cut ? w->len : 0; return SC_OK; }
        TRY(window_fill(w, w->len + 1, err));
    }
}

/* Takes the value at the window's begin without keeping it. */
static sc_status value_skip(struct text_source *s, sc_error *err)
{
    struct window *w = &s->window;
    struct value_look look = { 0 };
    for (;;) {
        size_t end = json_value_length(window_text(w), w->len, &look);
        window_take(w, end ? end : look.at);
        look.at = 0;
        if (end) return SC_OK;
        if (w->len > 1 || w->is_end) return torn(s, err);
        TRY(window_fill(w, w->len + 1, err));
    }
}

/* One member behind the list; *line is set if it is another list of records, which would be left out in silence. */
static sc_status member_skip(struct text_source *s, uint64_t *line, sc_error *err)
{
    struct window *w = &s->window;
    size_t len;
    TRY(value_read(w, &len, err));
    struct json_scan scan = { window_text(w), len, 0, "", NULL };
    struct scan_string name;
    bool is_list = len && scan_string(&scan, &name) == SC_OK && list_name_is_known(&name);
    window_take(w, len);
    TRY(space_skip(w, err));
    if (!len || !w->len || *window_text(w) != ':') return torn(s, err);
    window_take(w, 1);
    TRY(space_skip(w, err));
    TRY(window_fill(w, 64, err));
    if (is_list && w->len && *window_text(w) == '[' && 1 + space_length(window_text(w) + 1, w->len - 1) < w->len && window_text(w)[1 + space_length(window_text(w) + 1, w->len - 1)] == '{') *line = w->line;
    return value_skip(s, err);
}

/* The other members behind the list, up to the end of the object. */
static sc_status object_close(struct text_source *s, uint64_t *line, sc_error *err)
{
    struct window *w = &s->window;
    for (;;) {
        TRY(space_skip(w, err));
        if (!w->len) return w->is_cut ? SC_OK : torn(s, err);
        char c = *window_text(w);
        window_take(w, 1);
        if (c == '}') return SC_OK;
        TRY(space_skip(w, err));
        if (c != ',' || !w->len || *window_text(w) != '"') return torn(s, err);
        TRY(member_skip(s, line, err));
    }
}

static sc_status list_close(struct text_source *s, sc_error *err)
{
    struct window *w = &s->window;
    uint64_t second = 0;
    window_take(w, 1);
    s->place = BEHIND;
    if (s->kind == TEXT_MEMBER) TRY(object_close(s, &second, err));
    TRY(space_skip(w, err));
    if (!w->len && second) return FAIL(err, SC_E_FORMAT, "line %llu: another list of records stands behind the first; only the first is read, so give it a file of its own", (unsigned long long)second);
    if (!w->len) return SC_OK;
    uint64_t line = w->line;
    window_take(w, w->len);
    return FAIL(err, SC_E_FORMAT, "line %llu: there is more behind the end of the list of records; it is left out", (unsigned long long)line);
}

/* To the begin of the next value; *more false: there is none. */
static sc_status value_find(struct text_source *s, bool *more, sc_error *err)
{
    struct window *w = &s->window;
    bool is_list = s->kind != TEXT_VALUES;
    *more = false;
    TRY(space_skip(w, err));
    if (s->place == BEHIND || (!w->len && (w->is_cut || !is_list))) return SC_OK;
    if (!w->len) return torn(s, err);
    char c = *window_text(w);
    if (is_list && c == ']') return list_close(s, err);
    if (is_list && s->place == BETWEEN) {
        if (c != ',') return misplaced(s, "',' or ']' behind a record", err);
        window_take(w, 1);
        TRY(space_skip(w, err));
        if (!w->len) return w->is_cut ? SC_OK : torn(s, err);
        c = *window_text(w);
    }
    if (c == ',' || c == ']' || c == '}' || c == ':') return misplaced(s, "a record", err);
    *more = true;
    return SC_OK;
}

sc_status elements_next(struct text_source *s, struct record *out, bool *more, sc_error *err)
{
    struct window *w = &s->window;
    size_t len;
    TRY(value_find(s, more, err));
    if (!*more) return SC_OK;
    uint64_t line = w->line;
    TRY(value_read(w, &len, err));
    if (!len && w->is_cut) { window_take(w, w->len); *more = false; return SC_OK; }
    if (!len || len > RECORD_MAX) {
        bool is_long = w->len > RECORD_MAX;
        TRY(repair(s, err));
        *more = true;
        return FAIL(err, SC_E_FORMAT, "line %llu: the record that begins here has no end%s%s", (unsigned long long)line, is_long ? " within the 64 MiB that a record may have" : "", rest_of(s));
    }
    s->place = BETWEEN;
    sc_status status = text_check(window_text(w), len, line, err);
    if (status == SC_OK) record_fill(out, window_text(w), len, line);
    window_take(w, len);
    return status;
}
