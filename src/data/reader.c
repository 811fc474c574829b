/* reader.c - all inputs as one stream of records, in the order of inputs, files and lines. A weight repeats an input as a
 * whole, and takes the share that is left by a hash of the record and the seed: the same records for any order of files. */
#include "reader_internal.h"

#include <string.h>

struct file_note { char sha256[65]; uint64_t records, lost; bool is_told; };
struct reader {
    struct input_list list;
    struct file_note *note;            /* one a file */
    uint64_t seed, done, total;        /* bytes of files that are finished, and in all */
    size_t file, pass;                 /* `pass`: how often this input was read to its end */
    size_t input_begin;                /* first file of the input */
    uint64_t read;                     /* records of this file so far, good or bad */
    bool is_known;                     /* whether they are messages to regroup */
    struct record_source *source;
};

/* ---- weights ----------------------------------------------------------------------------------------------------------------------------- */

static size_t pass_count(double weight) { return (size_t)weight + (weight > (double)(size_t)weight); }

static double pass_share(double weight, size_t pass)
{
    double left = weight - (double)pass;
    return left < 1 ? left : 1;
}

static bool is_chosen(const struct reader *r, const struct record *record, double share)
{
    uint64_t h = 1469598103934665603u;                    /* FNV-1a */
    if (share >= 1) return true;
    for (size_t i = 0; i < record->len; i++) h = (h ^ (unsigned char)record->text[i]) * 1099511628211u;
    return random_unit(r->seed, h, r->list.file[r->file].input) < share;
}

/* ---- files ---------------------------------------------------------------------------------------------------------------------------------- */

/* Opens the current file by what it holds. */
static sc_status source_open(struct reader *r, sc_error *err)
{
    const char *path = r->list.file[r->file].path;
    uint8_t first[16] = { 0 };
    struct byte_source *bytes;
    size_t n = 0;
    r->read = 0;
    r->is_known = false;
    TRY(byte_source_open(&bytes, path, err));
    sc_status status = byte_source_read(bytes, first, sizeof first, &n, err);
    byte_source_close(bytes);
    if (status != SC_OK && status != SC_E_FORMAT) return status;         /* damage is told with its line, below */
    if (arrow_is_known(path, first, n)) return arrow_source_open(&r->source, path, first, n, err);
    return table_is_known(path, first, n) ? table_source_open(&r->source, path, err) : text_source_open(&r->source, path, err);
}

/* Looks at the first good record: messages of a tree one by one are read to the end and regrouped. */
static sc_status source_first(struct reader *r, struct record *out, bool *more, sc_error *err)
{
    TRY(r->source->next(r->source, out, more, err));
    r->is_known = true;
    if (!*more || !record_is_flat_message(out)) return SC_OK;
    forest_source_open(&r->source, r->source, out);
    return r->source->next(r->source, out, more, err);
}

static void file_leave(struct reader *r)
{
    const struct input_list *l = &r->list;
    if (r->source) r->source->close(r->source);
    r->source = NULL;
    r->done += l->file[r->file].bytes;
    r->file++;
    bool is_input_end = r->file == l->n_files || l->file[r->file].input != l->file[r->file - 1].input;
    if (!is_input_end) return;
    bool is_again = ++r->pass < pass_count(l->weight[l->file[r->file - 1].input]);
    if (is_again) r->file = r->input_begin;
    else { r->pass = 0; r->input_begin = r->file; }
}

static sc_status file_finish(struct reader *r, sc_error *err)
{
    struct file_note *note = &r->note[r->file];
    const char *path = r->list.file[r->file].path;
    bool is_empty = !r->read && !note->is_told && name_kind_of(path) != NAME_TEXT;
    sc_status status = note->is_told ? SC_OK : r->source->finish(r->source, note->sha256, err);
    if (r->source->lost) note->lost = r->source->lost(r->source);
    note->is_told = true;
    if (status == SC_OK && is_empty && note->lost) status = FAIL(err, SC_E_FORMAT, "%s: has no whole tree: of all its %llu messages the root is missing", path, (unsigned long long)note->lost);
    else if (status == SC_OK && is_empty) status = FAIL(err, SC_E_FORMAT, "%s: is empty: it has no record", path);
    file_leave(r);
    return status;
}

/* ---- the stream ------------------------------------------------------------------------------------------------------------------------------- */

sc_status reader_open(struct reader **out, const struct reader_config *c, sc_error *err)
{
    struct reader *r = mem_zero(1, sizeof *r);
    *out = NULL;
    r->seed = c->seed;
    sc_status status = input_list_read(&r->list, c, err);
    if (status != SC_OK) { reader_close(r); return status; }
    r->note = mem_zero(r->list.n_files + 1, sizeof *r->note);
    for (size_t i = 0; i < r->list.n_files; i++) r->total += r->list.file[i].bytes * pass_count(r->list.weight[r->list.file[i].input]);
    *out = r;
    return SC_OK;
}

static sc_status file_named(const struct reader *r, sc_status status, sc_error *err)
{
    return error_prefix(err, status, "%s", r->list.file[r->file].path);
}

sc_status reader_next(struct reader *r, struct record *out, bool *more, sc_error *err)
{
    for (*more = true; r->file < r->list.n_files;) {
        const struct input_file *file = &r->list.file[r->file];
        bool is_first = !r->source, has_record;
        sc_status status = is_first ? source_open(r, err) : SC_OK;
        if (status != SC_OK) {
            status = file_named(r, status, err);
            file_leave(r);
            return status;
        }
        *out = (struct record) { 0 };
        status = r->is_known ? r->source->next(r->source, out, &has_record, err) : source_first(r, out, &has_record, err);
        r->read += status == SC_OK ? has_record : 1;
        if (status != SC_OK) return file_named(r, status, err);
        if (!has_record) { TRY(file_finish(r, err)); continue; }
        out->file = file->path;
        out->input = r->file;
        out->repeat = (unsigned)r->pass;
        if (!r->note[r->file].is_told) r->note[r->file].records++;
        if (is_chosen(r, out, pass_share(r->list.weight[file->input], r->pass))) return SC_OK;
        record_release(out);
    }
    *more = false;
    return SC_OK;
}

void reader_close(struct reader *r)
{
    if (!r) return;
    if (r->source) r->source->close(r->source);
    input_list_release(&r->list);
    mem_free(r->note);
    mem_free(r);
}

void record_release(struct record *r)
{
    mem_free(r->text);
    *r = (struct record) { 0 };
}

void reader_progress(const struct reader *r, uint64_t *done, uint64_t *total)
{
    *done = r->done + (r->source ? r->source->stored(r->source) : 0);
    *total = r->total;
}

json_t *reader_describe(const struct reader *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->list.n_files; i++) {
        const struct file_note *note = &r->note[i];
        json_t *row = json_pack("{s:s%, s:I, s:s, s:I}", "file", r->list.file[i].path, strlen(r->list.file[i].path), "bytes", (json_int_t)r->list.file[i].bytes, "sha256", note->sha256, "records",
                                (json_int_t)note->records);
        if (!row) row = json_pack("{s:n, s:I, s:s, s:I}", "file", "bytes", (json_int_t)r->list.file[i].bytes, "sha256", note->sha256, "records", (json_int_t)note->records);
        if (note->lost) json_object_set_new(row, "messages_without_tree", json_integer((json_int_t)note->lost));
        json_array_append_new(list, row);
    }
    return list;
}
