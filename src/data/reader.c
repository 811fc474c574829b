/* reader.c - files to records, in the order of inputs, files and lines, with memory for one record at a time.
 *
 * What a file holds is told by its content: lines of JSON; an array, whose elements are the records; one object, or one
 * with a list of records inside; a table (through DuckDB); else text. Flat OpenAssistant messages are gathered into
 * trees, file by file. */
#include "data/reader_internal.h"

#include <stdio.h>
#include <string.h>

enum { CHUNK = 256 << 10, RECORD_MAX = 64 << 20, TEXT_MAX = 64 << 20 };
enum mode { MODE_NONE, MODE_LINES, MODE_ELEMENTS, MODE_WHOLE, MODE_TEXT, MODE_TABLE, MODE_FOREST };

struct reader {
    struct input_list inputs; size_t file; uint64_t seed;
    struct stream *stream; enum mode mode; struct table_rows *table; struct forest *forest;
    struct buf pending; size_t at;                        /* bytes of the file not yet taken: pending[at, len)  */
    bool at_end, is_done;                                 /* is_done: the array or object was closed            */
    uint64_t line, done, total;
    struct record copy; unsigned copies;                  /* of a record whose weight is above 1                */
};

void record_release(struct record *r)
{
    mem_free(r->text);
    *r = (struct record){ 0 };
}

sc_status reader_open(struct reader **out, const struct reader_config *c, sc_error *err)
{
    struct reader *r = mem_zero(1, sizeof *r);
    *out = NULL;
    r->seed = c->seed;
    sc_status status = inputs_expand(&r->inputs, c->inputs, c->n_inputs, err);
    if (status != SC_OK) { reader_close(r); return status; }
    for (size_t i = 0; i < r->inputs.len; i++) r->total += r->inputs.file[i].bytes;
    *out = r;
    return SC_OK;
}

static void close_file(struct reader *r)
{
    stream_close(r->stream);
    table_close(r->table);
    forest_close(r->forest);
    r->stream = NULL;
    r->table = NULL;
    r->forest = NULL;
    r->mode = MODE_NONE;
    r->pending.len = r->at = 0;
    r->line = 0;
    r->at_end = r->is_done = false;
}

void reader_close(struct reader *r)
{
    if (!r) return;
    close_file(r);
    record_release(&r->copy);
    buf_release(&r->pending);
    inputs_release(&r->inputs);
    mem_free(r);
}

static const char *path_of(const struct reader *r) { return r->inputs.file[r->file].path; }

/* ---- bytes --------------------------------------------------------------------------------------------------------------- */

/* Reads some more behind what is pending. */
static sc_status more_bytes(struct reader *r, sc_error *err)
{
    char chunk[16 << 10];
    size_t got;
    if (r->at > CHUNK && r->at > r->pending.len / 2) {
        memmove(r->pending.data, r->pending.data + r->at, r->pending.len - r->at);
        r->pending.len -= r->at;
        r->at = 0;
    }
    TRY(stream_read(r->stream, chunk, sizeof chunk, &got, err));
    r->at_end = got == 0;
    buf_append(&r->pending, chunk, got);
    return SC_OK;
}

/* The next byte that is not white space, counted in lines; 0 at the end. Not taken. */
static sc_status peek(struct reader *r, char *out, sc_error *err)
{
    for (;;) {
        for (; r->at < r->pending.len; r->at++) {
            char c = r->pending.data[r->at];
            if (c == '\n') r->line++;
            else if (c != ' ' && c != '\t' && c != '\r') { *out = c; return SC_OK; }
        }
        *out = 0;
        if (r->at_end) return SC_OK;
        TRY(more_bytes(r, err));
    }
}

/* ---- values ---------------------------------------------------------------------------------------------------------------- */

/* Where a value of JSON ends, found as its bytes come. */
struct extent_scan { size_t depth; bool in_string, escaped, is_scalar; };

/* Takes one byte; true if the value ended with it (for a scalar: before it). */
static bool scan_byte(struct extent_scan *s, char c)
{
    if (s->in_string) {
        if (s->escaped) s->escaped = false;
        else if (c == '\\') s->escaped = true;
        else if (c == '"') { s->in_string = false; return s->depth == 0; }
        return false;
    }
    if (c == '"') { s->in_string = true; return false; }
    if (c == '{' || c == '[') { s->depth++; return false; }
    if (c == '}' || c == ']') return s->depth == 0 || --s->depth == 0;
    if (s->depth == 0) s->is_scalar = true;
    return s->is_scalar && (c == ',' || c == '\n');
}

static sc_status too_long(const struct reader *r, uint64_t line, sc_error *err)
{
    return FAIL(err, SC_E_FORMAT, "%s, line %llu: a record has more than %d MiB", path_of(r), (unsigned long long)line, RECORD_MAX >> 20);
}

/* Length of the value that begins at r->at; its bytes are pending then. `lines`: how many it spans. */
static sc_status value_extent(struct reader *r, size_t *len, uint64_t *lines, sc_error *err)
{
    struct extent_scan scan = { 0 };
    *lines = 0;
    for (size_t i = 0;; i++) {
        while (r->at + i >= r->pending.len) {
            if (r->at_end) {
                if (scan.is_scalar && scan.depth == 0) { *len = i; return SC_OK; }
                return FAIL(err, SC_E_FORMAT, "%s, line %llu: the file ends inside a value that begins here", path_of(r), (unsigned long long)r->line + 1);
            }
            TRY(more_bytes(r, err));
        }
        char c = r->pending.data[r->at + i];
        *lines += c == '\n';
        if (i > RECORD_MAX) return too_long(r, r->line + 1, err);
        if (!scan_byte(&scan, c)) continue;
        *len = scan.is_scalar ? i : i + 1;
        return SC_OK;
    }
}

static void take(struct reader *r, struct record *out, size_t len, uint64_t line)
{
    *out = (struct record){ .text = mem_strndup(r->pending.data + r->at, len), .len = len, .file = path_of(r), .line = line, .input = r->file };
    r->at += len;
}

/* One element of an array; *more false behind the last. */
static sc_status next_element(struct reader *r, struct record *out, bool *more, sc_error *err)
{
    char c;
    size_t len;
    uint64_t lines;
    *more = false;
    if (r->is_done) return SC_OK;
    TRY(peek(r, &c, err));
    if (c == ',') {
        r->at++;
        TRY(peek(r, &c, err));
    }
    if (c == ']') { r->is_done = true; return SC_OK; }
    if (c == 0) {
        r->is_done = true;
        return FAIL(err, SC_E_FORMAT, "%s, line %llu: the file ends before its list does, expected ']'", path_of(r), (unsigned long long)r->line + 1);
    }
    sc_status status = value_extent(r, &len, &lines, err);
    if (status != SC_OK) { r->is_done = true; return status; }
    take(r, out, len, r->line + 1);
    r->line += lines;
    *more = true;
    return SC_OK;
}

static sc_status next_line(struct reader *r, struct record *out, bool *more, sc_error *err)
{
    char c;
    *more = false;
    TRY(peek(r, &c, err));
    if (c == 0) return SC_OK;
    size_t len = 0;
    bool is_long = false;
    for (const char *end = NULL;;) {
        end = r->at + len < r->pending.len ? memchr(r->pending.data + r->at + len, '\n', r->pending.len - r->at - len) : NULL;
        if (end) { len = (size_t)(end - r->pending.data) - r->at; break; }
        len = r->pending.len - r->at;
        if (r->at_end) break;
        if (len > RECORD_MAX) { is_long = true; r->at = r->pending.len; len = 0; }
        TRY(more_bytes(r, err));
    }
    if (is_long) { r->at += len; return too_long(r, r->line + 1, err); }
    size_t used = len;
    while (used && (r->pending.data[r->at + used - 1] == '\r' || r->pending.data[r->at + used - 1] == ' ')) used--;
    take(r, out, used, r->line + 1);
    r->at += len - used;
    *more = true;
    return SC_OK;
}

/* ---- whole files --------------------------------------------------------------------------------------------------------------- */

static sc_status next_text(struct reader *r, struct record *out, bool *more, sc_error *err)
{
    struct buf b;
    *more = false;
    if (r->is_done) return SC_OK;
    r->is_done = true;
    while (!r->at_end) {
        if (r->pending.len > TEXT_MAX) return FAIL(err, SC_E_FORMAT, "%s: a text of more than %d MiB, split it into files", path_of(r), TEXT_MAX >> 20);
        TRY(more_bytes(r, err));
    }
    const char *text = r->pending.len > r->at ? r->pending.data + r->at : "";
    size_t len = r->pending.len - r->at;
    if (!utf8_is_valid(text, len) || memchr(text, 0, len)) return FAIL(err, SC_E_FORMAT, "%s: neither JSON nor UTF-8 text", path_of(r));
    if (!len) return SC_OK;
    buf_init(&b, 0);
    buf_puts(&b, "{\"text\":");
    buf_put_json_string(&b, text, len);
    buf_puts(&b, ",\"path\":");
    buf_put_json_string(&b, path_of(r), utf8_is_valid(path_of(r), strlen(path_of(r))) ? strlen(path_of(r)) : 0);
    buf_putc(&b, '}');
    *out = (struct record){ .text = b.data, .len = b.len, .file = path_of(r), .line = 1, .input = r->file };
    *more = true;
    return SC_OK;
}

/* One object: the record itself. */
static sc_status next_whole(struct reader *r, struct record *out, bool *more, sc_error *err)
{
    char c;
    size_t len;
    uint64_t lines;
    *more = false;
    if (r->is_done) return SC_OK;
    r->is_done = true;
    TRY(peek(r, &c, err));
    TRY(value_extent(r, &len, &lines, err));
    take(r, out, len, r->line + 1);
    r->line += lines;
    TRY(peek(r, &c, err));
    if (c) {
        record_release(out);
        return FAIL(err, SC_E_FORMAT, "%s, line %llu: something follows the object, expected the end of the file", path_of(r), (unsigned long long)r->line + 1);
    }
    *more = true;
    return SC_OK;
}

static sc_status next_row(struct reader *r, struct record *out, bool *more, sc_error *err)
{
    const char *text;
    size_t len;
    TRY(table_next(r->table, &text, &len, err));
    *more = text != NULL;
    if (text) *out = (struct record){ .text = mem_strndup(text, len), .len = len, .file = path_of(r), .line = ++r->line, .input = r->file };
    return SC_OK;
}

static sc_status next_tree(struct reader *r, struct record *out, bool *more, sc_error *err)
{
    size_t len;
    uint64_t line;
    (void)err;
    char *text = forest_next(r->forest, &len, &line);
    *more = text != NULL;
    if (text) *out = (struct record){ .text = text, .len = len, .file = path_of(r), .line = line, .input = r->file };
    return SC_OK;
}

/* ---- opening a file --------------------------------------------------------------------------------------------------------------- */

/* In an object of several lines: moves to the first member that is a list of objects and is no conversation. */
static bool find_list(struct reader *r)
{
    static const char *const own[] = { "messages", "conversations", "conversation", "items", "chosen", "rejected", "tools", "replies", "instances", "turns" };
    size_t begin = r->at;
    bool found = false;
    /* Only a look at the head of the file: the list itself may be larger than memory. */
    const char *text = r->pending.data + r->at, *end = r->pending.data + r->pending.len;
    for (const char *p = text + 1; p < end && !found; p++) {
        while (p < end && strchr(" \t\r\n,", *p)) p++;
        const char *name = p;
        if (p >= end || *p++ != '"') break;
        while (p < end && *p != '"') p += *p == '\\' ? 2 : 1;
        size_t name_len = p < end ? (size_t)(p - name - 1) : 0;
        if (p >= end) break;
        for (p++; p < end && strchr(" \t\r\n:", *p); p++) { }
        bool is_own = false;
        for (size_t i = 0; i < sizeof own / sizeof *own; i++) is_own |= strlen(own[i]) == name_len && memcmp(own[i], name + 1, name_len) == 0;
        if (p < end && *p == '[' && !is_own) {
            const char *inside = p + 1;
            while (inside < end && strchr(" \t\r\n", *inside)) inside++;
            found = inside < end && *inside == '{';
            if (found) {
                for (const char *q = text; q < p; q++) r->line += *q == '\n';
                r->at = begin + (size_t)(p + 1 - text);
            }
            break;
        }
        struct extent_scan scan = { 0 };
        while (p < end && !scan_byte(&scan, *p)) p++;
        if (scan.is_scalar) p--;
    }
    return found;
}

/* An object: lines of JSON if it ends on its line and more may follow, else a document. */
static sc_status classify_object(struct reader *r, sc_error *err)
{
    while (!r->at_end && r->pending.len - r->at < CHUNK && !memchr(r->pending.data + r->at, '\n', r->pending.len - r->at)) TRY(more_bytes(r, err));
    const char *newline = memchr(r->pending.data + r->at, '\n', r->pending.len - r->at);
    struct extent_scan scan = { 0 };
    bool ends = false;
    for (const char *p = r->pending.data + r->at; p < r->pending.data + r->pending.len && (!newline || p < newline) && !ends; p++) ends = scan_byte(&scan, *p);
    /* A torn first line is still a line where the second begins an object. */
    bool next_is_object = newline && newline + 1 < r->pending.data + r->pending.len && newline[1] == '{';
    r->mode = ends || !newline || next_is_object ? MODE_LINES : find_list(r) ? MODE_ELEMENTS : MODE_WHOLE;
    return SC_OK;
}

/* Reads all flat messages of the file, if its first record is one. */
static sc_status gather_forest(struct reader *r, sc_error *err)
{
    struct record first = { 0 };
    bool more;
    size_t at = r->at;
    uint64_t line = r->line;
    sc_error ignored = { 0 };
    if (r->mode != MODE_LINES && r->mode != MODE_ELEMENTS) return SC_OK;
    sc_status status = r->mode == MODE_LINES ? next_line(r, &first, &more, &ignored) : next_element(r, &first, &more, &ignored);
    json_t *value = status == SC_OK && more ? json_loadb(first.text, first.len, 0, NULL) : NULL;
    bool is_flat = value && flat_message_probe(value);
    json_decref(value);
    record_release(&first);
    /* Nothing was thrown away: the record is still pending (more_bytes moves it only once it is far behind). */
    r->at = at;
    r->line = line;
    r->is_done = false;
    if (!is_flat) return SC_OK;
    r->forest = forest_open();
    for (;;) {
        struct record record = { 0 };
        TRY(r->mode == MODE_LINES ? next_line(r, &record, &more, err) : next_element(r, &record, &more, err));
        if (!more) break;
        json_t *message = NULL;
        char what[300];
        snprintf(what, sizeof what, "%.200s, line %llu", path_of(r), (unsigned long long)record.line);
        status = json_read(&message, record.text, record.len, what, err);
        uint64_t record_line = record.line;
        record_release(&record);
        TRY(status);
        TRY(error_prefix(err, forest_put(r->forest, message, record_line, err), "%s", what));
    }
    r->mode = MODE_FOREST;
    return SC_OK;
}

static sc_status open_file(struct reader *r, sc_error *err)
{
    char c;
    TRY(stream_open(&r->stream, path_of(r), err));
    if (path_is_table(path_of(r))) {
        r->mode = MODE_TABLE;
        return table_open(&r->table, path_of(r), err);
    }
    TRY(more_bytes(r, err));
    if (r->pending.len >= 4 && (memcmp(r->pending.data, "PAR1", 4) == 0 || memcmp(r->pending.data, "ARRO", 4) == 0)) {
        r->mode = MODE_TABLE;
        return table_open(&r->table, path_of(r), err);
    }
    if (r->pending.len >= 3 && memcmp(r->pending.data, "\xEF\xBB\xBF", 3) == 0) r->at = 3;
    if (path_is_source(path_of(r))) { r->mode = MODE_TEXT; return SC_OK; }
    size_t begin = r->at;
    TRY(peek(r, &c, err));
    if (c == '{') TRY(classify_object(r, err));
    else if (c == '[') { r->at++; r->mode = MODE_ELEMENTS; }
    else { r->at = begin; r->line = 0; r->mode = path_ends_with(path_of(r), ".jsonl") ? MODE_LINES : MODE_TEXT; }
    return gather_forest(r, err);
}

static sc_status finish_file(struct reader *r, sc_error *err)
{
    struct input_file *f = &r->inputs.file[r->file];
    sc_status status = stream_finish(r->stream, f->sha256, err);
    r->done += f->bytes;
    close_file(r);
    r->file++;
    return status;
}

/* ---- records ------------------------------------------------------------------------------------------------------------------------- */

static sc_status next_in_file(struct reader *r, struct record *out, bool *more, sc_error *err)
{
    static sc_status (*const rows[])(struct reader *, struct record *, bool *, sc_error *) = {
        [MODE_LINES] = next_line, [MODE_ELEMENTS] = next_element, [MODE_WHOLE] = next_whole, [MODE_TEXT] = next_text, [MODE_TABLE] = next_row, [MODE_FOREST] = next_tree,
    };
    return rows[r->mode](r, out, more, err);
}

/* How often a record is given out, by the weight of its input: whole repeats, and one more by chance. */
static unsigned times(const struct reader *r, const struct record *record)
{
    double weight = r->inputs.file[r->file].weight, whole = (double)(unsigned)weight;
    return (unsigned)whole + (random_unit(r->seed, (uint64_t)record->input << 40 | record->line, 1) < weight - whole);
}

static bool give_copy(struct reader *r, struct record *out)
{
    if (!r->copies) return false;
    *out = r->copy;
    out->text = mem_strndup(r->copy.text, r->copy.len);
    out->repeat = r->copies--;
    if (!r->copies) record_release(&r->copy);
    return true;
}

/* A file that cannot be read on is left; the next call goes on with the one behind it. */
static sc_status leave_file(struct reader *r, sc_status status)
{
    if (status == SC_OK) return SC_OK;
    r->done += r->inputs.file[r->file].bytes;
    close_file(r);
    r->file++;
    return status;
}

sc_status reader_next(struct reader *r, struct record *out, bool *more, sc_error *err)
{
    *out = (struct record){ 0 };
    *more = true;
    if (give_copy(r, out)) return SC_OK;
    for (; r->file < r->inputs.len;) {
        bool in_file;
        if (r->mode == MODE_NONE) TRY(leave_file(r, open_file(r, err)));
        sc_status status = next_in_file(r, out, &in_file, err);
        if (status != SC_OK) return r->mode == MODE_LINES || r->mode == MODE_ELEMENTS ? status : leave_file(r, status);
        if (!in_file) { TRY(finish_file(r, err)); continue; }
        r->inputs.file[r->file].records++;
        unsigned n = times(r, out);
        if (n == 0) { record_release(out); continue; }
        r->copies = n - 1;
        if (r->copies) {
            r->copy = *out;
            r->copy.text = mem_strndup(out->text, out->len);
        }
        return SC_OK;
    }
    *more = false;
    return SC_OK;
}

void reader_progress(const struct reader *r, uint64_t *done, uint64_t *total)
{
    *done = r->done + (r->stream && r->mode != MODE_TABLE ? stream_done(r->stream) : 0);
    *total = r->total;
}

json_t *reader_describe(const struct reader *r)
{
    json_t *out = json_array();
    for (size_t i = 0; i < r->inputs.len; i++) {
        const struct input_file *f = &r->inputs.file[i];
        json_array_append_new(out, json_pack("{s:s, s:I, s:s, s:I}", "file", f->path, "bytes", (json_int_t)f->bytes, "sha256", f->sha256, "records", (json_int_t)f->records));
    }
    return out;
}
