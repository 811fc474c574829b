/* overlap_read.c - texts of evaluation sets, whatever their layout.
 *
 * Benchmarks come as JSON of every shape, CSV and plain text, and which member holds the question differs. So all texts
 * are taken; what is too short to mean anything is left out later. JSON is scanned from left to right without a tree, so
 * memory is the size of one file. */
#include "clean_internal.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

enum { PATH_DEPTH = 16, VALUE_DEPTH = 64 };
static const size_t most_bytes = (size_t)1 << 29;      /* of one file, unpacked */

/* ---- files ------------------------------------------------------------------------------------------------------------------ */

static void path_list_push(struct path_list *l, char *path)
{
    if (l->len == l->cap) l->path = mem_grow(l->path, (l->cap = l->cap ? l->cap * 2 : 16) * sizeof *l->path);
    l->path[l->len++] = path;
}

void path_list_release(struct path_list *l)
{
    for (size_t i = 0; i < l->len; i++) mem_free(l->path[i]);
    mem_free(l->path);
    *l = (struct path_list) { 0 };
}

static bool has_suffix(const char *path, const char *suffix)
{
    char packed[16];
    snprintf(packed, sizeof packed, "%s.gz", suffix);
    return path_ends_with(path, suffix) || path_ends_with(path, packed);
}

static bool is_known_kind(const char *name)
{
    return has_suffix(name, ".json") || has_suffix(name, ".jsonl") || has_suffix(name, ".csv") || has_suffix(name, ".tsv") || has_suffix(name, ".txt");
}

static int entry_order(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }
static int entry_is_seen(const struct dirent *e) { return e->d_name[0] != '.'; }

static sc_status directory_add(struct path_list *l, const char *path, int depth, sc_error *err)
{
    struct dirent **entries = NULL;
    sc_status status = SC_OK;
    int n = depth < PATH_DEPTH ? scandir(path, &entries, entry_is_seen, entry_order) : 0;
    if (n < 0) return FAIL(err, SC_E_IO, "cannot read the directory %s", path);
    for (int i = 0; i < n; i++) {
        struct stat st;
        char *inner = path_join(path, entries[i]->d_name);
        bool is_there = status == SC_OK && lstat(inner, &st) == 0;
        if (is_there && S_ISDIR(st.st_mode)) status = directory_add(l, inner, depth + 1, err);
        if (is_there && !S_ISDIR(st.st_mode) && !path_is_directory(inner) && is_known_kind(inner)) path_list_push(l, inner);
        else mem_free(inner);
        free(entries[i]);
    }
    free(entries);
    return status;
}

sc_status path_list_add(struct path_list *l, const char *path, sc_error *err)
{
    if (path_is_directory(path)) return directory_add(l, path, 0, err);
    if (!path_exists(path)) return FAIL(err, SC_E_IO, "%s: there is no such file or directory", path);
    path_list_push(l, mem_strdup(path));
    return SC_OK;
}

/* The whole file, unpacked if it is gzipped (zlib looks at its first bytes). */
static sc_status file_unpack(struct buf *out, const char *path, sc_error *err)
{
    char block[65536];
    int n, code = Z_OK;
    gzFile file = gzopen(path, "rb");
    if (!file) return FAIL(err, SC_E_IO, "cannot open %s", path);
    while ((n = gzread(file, block, sizeof block)) > 0 && !out->is_full) buf_append(out, block, (size_t)n);
    if (n < 0) (void)gzerror(file, &code);
    int closed = gzclose(file);
    if (out->is_full) return FAIL(err, SC_E_FORMAT, "%s has more than %zu bytes unpacked, the most allowed for an evaluation file", path, most_bytes);
    if (n < 0 || closed != Z_OK) return FAIL(err, SC_E_FORMAT, "%s cannot be read or unpacked (zlib code %d)", path, n < 0 ? code : closed);
    return SC_OK;
}

/* ---- JSON --------------------------------------------------------------------------------------------------------------------- */

struct walk { struct json_scan scan; text_sink *put; void *user; struct buf text; size_t counted; uint64_t line; };

/* The line of byte `at`, which only moves forward. */
static uint64_t walk_line(struct walk *w, size_t at)
{
    for (; w->counted < at; w->counted++) w->line += w->scan.text[w->counted] == '\n';
    return w->line;
}

/* Numbers that JSON does not know and Python writes. */
static bool take_python_number(struct json_scan *s)
{
    static const char *const names[] = { "NaN", "Infinity", "-Infinity" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t n = strlen(names[i]);
        if (!scan_peek(s, names[i][0]) || n > s->len - s->at || memcmp(s->text + s->at, names[i], n) != 0) continue;
        s->at += n;
        return true;
    }
    return false;
}

static sc_status value_walk(struct walk *w, int depth);

static sc_status list_walk(struct walk *w, char close, int depth)
{
    struct scan_string key;
    bool more = !scan_take(&w->scan, close);
    while (more) {
        if (close == '}') {
            TRY(scan_string(&w->scan, &key));
            TRY(scan_need(&w->scan, ':'));
        }
        TRY(value_walk(w, depth + 1));
        TRY(scan_more(&w->scan, close, &more));
    }
    return SC_OK;
}

static sc_status value_walk(struct walk *w, int depth)
{
    struct scan_string string;
    const char *text;
    size_t len;
    if (depth > VALUE_DEPTH) return FAIL(w->scan.err, SC_E_FORMAT, "%s: JSON is nested deeper than %d levels", w->scan.what, VALUE_DEPTH);
    if (scan_take(&w->scan, '{')) return list_walk(w, '}', depth);
    if (scan_take(&w->scan, '[')) return list_walk(w, ']', depth);
    if (take_python_number(&w->scan)) return SC_OK;
    if (!scan_peek(&w->scan, '"')) return scan_skip(&w->scan);
    uint64_t line = walk_line(w, w->scan.at);
    TRY(scan_string(&w->scan, &string));
    (void)scan_text(&string, &w->text, &text, &len);
    w->put(w->user, text, len, line);
    return SC_OK;
}

/* One value or many, one behind the other: JSON and JSONL alike. */
static sc_status json_walk(const char *text, size_t len, const char *path, text_sink *put, void *user, sc_error *err)
{
    struct walk w = { .scan = { text, len, 0, path, err }, .put = put, .user = user, .line = 1 };
    sc_status status = SC_OK;
    buf_init(&w.text, 0);
    buf_putc(&w.text, ' ');
    while (status == SC_OK && (scan_peek(&w.scan, '\0'), w.scan.at < len)) status = value_walk(&w, 0);
    if (status != SC_OK) status = error_prefix(err, status, "line %llu", (unsigned long long)walk_line(&w, w.scan.at < len ? w.scan.at : len));
    buf_release(&w.text);
    return status;
}

/* ---- CSV and lines --------------------------------------------------------------------------------------------------------------- */

/* RFC 4180: fields may be quoted, "" is a quote, line breaks inside quotes belong to the field. */
static void csv_walk(const char *text, size_t len, char comma, text_sink *put, void *user)
{
    struct buf field;
    uint64_t line = 1, row = 1;
    bool is_quoted = false;
    buf_init(&field, 0);
    for (size_t i = 0; i <= len; i++) {
        char c = i < len ? text[i] : '\n';
        line += c == '\n';
        if (c == '"' && is_quoted && i + 1 < len && text[i + 1] == '"') { buf_putc(&field, c); i++; continue; }
        if (c == '"' && (is_quoted || !field.len)) { is_quoted = !is_quoted; continue; }
        if ((c != comma && c != '\n') || (is_quoted && i < len)) { buf_putc(&field, c); continue; }
        if (field.len) put(user, field.data, field.len, row);
        buf_clear(&field);
        if (c == '\n') row = line;
    }
    buf_release(&field);
}

static void lines_walk(const char *text, size_t len, text_sink *put, void *user)
{
    uint64_t line = 1;
    for (size_t begin = 0; begin < len; line++) {
        const char *feed = memchr(text + begin, '\n', len - begin);
        size_t end = feed ? (size_t)(feed - text) : len;
        put(user, text + begin, end - begin, line);
        begin = end + 1;
    }
}

static char first_char(const char *text, size_t len)
{
    size_t i = 0;
    while (i < len && memchr(" \t\r\n", text[i], 4)) i++;
    return i < len ? text[i] : '\0';
}

sc_status texts_read(const char *path, text_sink *put, void *user, sc_error *err)
{
    struct buf raw, clean;
    sc_status status = SC_OK;
    buf_init(&raw, most_bytes);
    buf_init(&clean, 0);
    TRY_DONE(file_unpack(&raw, path, err));
    if (raw.len && !utf8_is_valid(raw.data, raw.len)) utf8_repair(&clean, raw.data, raw.len);
    const char *text = clean.len ? clean.data : raw.data;
    size_t len = clean.len ? clean.len : raw.len;
    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) { text += 3; len -= 3; }
    char first = len ? first_char(text, len) : '\0';
    if (has_suffix(path, ".csv")) csv_walk(text, len, ',', put, user);
    else if (has_suffix(path, ".tsv")) csv_walk(text, len, '\t', put, user);
    else if (!has_suffix(path, ".txt") && (first == '{' || first == '[')) TRY_DONE(json_walk(text, len, path, put, user, err));
    else lines_walk(text, len, put, user);
done:
    buf_release(&raw);
    buf_release(&clean);
    return status;
}
