/* documents.c - the rows of a task's data file: found below the directory that the user names, read by the reader of src/data, brought into the
 * task's shape. */
#include "eval/eval_internal.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- which file ------------------------------------------------------------------------------------------------------------------------- */

/* Files that a pattern names below `directory`, in order; all of them belong together (a data set in several parts). */
static bool find_pattern(struct strings *out, const char *directory, const char *pattern)
{
    char *path = path_join(directory, pattern);
    glob_t g = { 0 };
    bool found = glob(path, 0, NULL, &g) == 0;
    for (size_t i = 0; found && i < g.gl_pathc; i++) strings_add(out, g.gl_pathv[i]);
    globfree(&g);
    mem_free(path);
    return found;
}

static sc_status find_files(struct strings *out, const struct eval_task *t, int split, const char *directory, sc_error *err)
{
    struct stat s;
    if (stat(directory, &s) == 0 && S_ISREG(s.st_mode)) {
        if (split != t->evaluated) return FAIL(err, SC_E_IO, "%s needs its split \"%s\" too, for examples, but --data %s is one file; name a directory, or ask with --num-fewshot 0", t->name, split_names[split], directory);
        strings_add(out, directory);
        return SC_OK;
    }
    char *below = path_join(directory, t->name);
    struct buf looked;
    buf_init(&looked, 300);
    bool found = false;
    for (size_t i = 0; i < t->files[split].n && !found; i++) {
        const char *pattern = t->files[split].at[i];
        found = find_pattern(out, directory, pattern) || find_pattern(out, below, pattern);
        buf_printf(&looked, "%s%s", i ? ", " : "", pattern);
    }
    if (!found)
        FAIL(err, SC_E_IO, "%s needs its split \"%s\", but none of %s%s is in %s or %s; put the file there, or name another directory with --data", t->name, split_names[split],
             looked.data ? looked.data : "its files", looked.is_full ? " ..." : "", directory, below);
    buf_release(&looked);
    mem_free(below);
    return found ? SC_OK : SC_E_IO;
}

/* ---- rows to documents ---------------------------------------------------------------------------------------------------------------------- */

static bool has_columns(const json_t *row, const struct strings *columns)
{
    for (size_t i = 0; i < columns->n; i++)
        if (!json_object_get(row, columns->at[i])) return false;
    return true;
}

static const struct eval_shape *choose_shape(const struct eval_task *t, const json_t *row)
{
    if (t->columns.n && has_columns(row, &t->columns)) return NULL;
    for (size_t i = 0; i < t->n_shapes; i++)
        if (has_columns(row, &t->shape[i].needs)) return &t->shape[i];
    return NULL;
}

static sc_status set_columns(json_t *row, const struct eval_shape *s, sc_error *err)
{
    json_t *values = json_object(), *all = json_copy(row);
    sc_status status = SC_OK;
    json_object_set(all, "_doc", row);                  /* for columns whose names are no names of Jinja */
    for (size_t i = 0; i < s->n_set && status == SC_OK; i++) {
        json_t *v = NULL;
        status = eval_template_value(&v, &s->set[i].value, all, s->set[i].column, err);
        if (status == SC_OK) json_object_set_new(values, s->set[i].column, v);
    }
    if (status == SC_OK) json_object_update(row, values);
    json_decref(values);
    json_decref(all);
    return status;
}

static sc_status check_columns(const json_t *row, const struct eval_task *t, sc_error *err)
{
    for (size_t i = 0; i < t->columns.n; i++) {
        if (json_object_get(row, t->columns.at[i])) continue;
        const char *key;
        json_t *v;
        struct buf has;
        buf_init(&has, 200);
        json_object_foreach((json_t *)(uintptr_t)row, key, v) buf_printf(&has, "%s%s", has.len ? ", " : "", key);
        FAIL(err, SC_E_FORMAT, "%s wants a column \"%s\", but this row has %s; bring the file into that shape, or add the shape to the task's file", t->name, t->columns.at[i], has.len ? has.data : "no columns");
        buf_release(&has);
        return SC_E_FORMAT;
    }
    return SC_OK;
}

struct loading { const struct eval_task *t; const struct eval_where *where; const struct eval_shape *shape; size_t rows, cap; };

static void add_document(struct eval_documents *out, struct loading *l, json_t *document)
{
    if (out->n == l->cap) out->at = mem_grow(out->at, (l->cap = l->cap ? 2 * l->cap : 256) * sizeof *out->at);
    out->at[out->n++] = json_incref(document);
}

static bool is_wanted(const struct eval_where *w, const json_t *row)
{
    const json_t *v = w->column ? json_object_get(row, w->column) : NULL;
    if (w->is) return json_is_string(v) && !strcmp(json_string_value(v), w->is);
    return !w->column || (json_is_integer(v) && json_integer_value(v) >= w->least && json_integer_value(v) <= w->most);
}

static sc_status add_row(struct eval_documents *out, struct loading *l, json_t *row, sc_error *err)
{
    if (!l->rows++) l->shape = choose_shape(l->t, row);
    if (l->shape) TRY(set_columns(row, l->shape, err));
    TRY(check_columns(row, l->t, err));
    if (!is_wanted(l->where, row)) return SC_OK;
    if (!l->t->process) { add_document(out, l, row); return SC_OK; }
    json_t *made = json_array();
    sc_status status = l->t->process->run(made, row, err);
    for (size_t i = 0; status == SC_OK && i < json_array_size(made); i++) add_document(out, l, json_array_get(made, i));
    json_decref(made);
    return status;
}

static sc_status read_rows(struct eval_documents *out, struct loading *l, struct reader *r, sc_error *err)
{
    for (;;) {
        struct record record = { 0 };
        bool more;
        json_t *row = NULL;
        TRY(reader_next(r, &record, &more, err));
        if (!more) return SC_OK;
        uint64_t line = record.line;
        sc_status status = json_read_line(&row, record.text, record.len, line, err);
        if (status == SC_OK && !json_is_object(row)) status = FAIL(err, SC_E_FORMAT, "row %llu is no object with columns", (unsigned long long)line);
        else if (status == SC_OK && (status = add_row(out, l, row, err)) != SC_OK) error_prefix(err, status, "row %llu", (unsigned long long)line);
        if (row) json_decref(row);
        if (status != SC_OK) error_prefix(err, status, "%s", record.file);
        record_release(&record);
        if (status != SC_OK) return status;
    }
}

static sc_status read_own(struct eval_documents *out, struct loading *l, sc_error *err)
{
    size_t i;
    json_t *row;
    out->files = json_array();
    out->file = mem_strdup(l->t->name);
    json_array_foreach(l->t->documents, i, row) {
        json_t *copy = json_deep_copy(row);
        sc_status status = add_row(out, l, copy, err);
        json_decref(copy);
        if (status != SC_OK) return error_prefix(err, status, "document %zu of the task's own", i + 1);
    }
    return SC_OK;
}

sc_status eval_documents_read(struct eval_documents *out, const struct eval_task *t, int split, const char *directory, sc_error *err)
{
    struct strings files = { 0 };
    struct reader *r = NULL;
    struct loading l = { .t = t, .where = &t->where[split] };
    *out = (struct eval_documents){ 0 };
    if (t->documents && split == t->evaluated) {
        sc_status own = read_own(out, &l, err);
        if (own != SC_OK) eval_documents_release(out);
        return own;
    }
    sc_status status = find_files(&files, t, split, directory, err);
    if (status == SC_OK) status = reader_open(&r, &(struct reader_config){ .inputs = (const char *const *)files.at, .n_inputs = files.n }, err);
    if (status == SC_OK) status = read_rows(out, &l, r, err);
    if (status == SC_OK) {
        out->files = reader_describe(r);
        out->file = mem_strdup(files.at[0]);
        if (!out->n) status = FAIL(err, SC_E_FORMAT, l.rows ? "%s has no rows of this split" : "%s has no rows", files.at[0]);
    }
    reader_close(r);
    strings_release(&files);
    if (status != SC_OK) eval_documents_release(out);
    return status;
}

void eval_documents_release(struct eval_documents *d)
{
    for (size_t i = 0; i < d->n; i++) json_decref(d->at[i]);
    mem_free(d->at);
    mem_free(d->file);
    json_decref(d->files);
    *d = (struct eval_documents){ 0 };
}
