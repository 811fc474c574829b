/* duckdb.c - rows of Parquet, CSV and TSV files as JSON, through DuckDB's C library opened at run time: Debian has no
 * Parquet library in C, and who has no such files needs none. The few declarations used are of DuckDB's C API 1.x; it is
 * given one thread and little memory, and hands out rows in the order of the file. Fields of CSV stay texts. */
#include "reader_internal.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_MAX = 64 << 10 };

/* Handles are pointers; a result is a struct of six words, whose last one the library uses. */
struct duck_result { uint64_t columns, rows, changed; void *old_columns; char *old_error; void *data; };
union duck_string { struct { uint32_t length; char text[12]; } inlined; struct { uint32_t length; char prefix[4]; const char *data; } pointer; };

struct duck {
    void *library;
    int (*open_ext)(const char *path, void **database, void *config, char **error);
    int (*connect)(void *database, void **connection);
    int (*query)(void *connection, const char *sql, struct duck_result *result);
    int (*prepare)(void *connection, const char *sql, void **statement);
    const char *(*prepare_error)(void *statement);
    int (*pending_prepared_streaming)(void *statement, void **pending);
    int (*execute_pending)(void *pending, struct duck_result *result);
    const char *(*pending_error)(void *pending);
    const char *(*result_error)(struct duck_result *result);
    void *(*fetch_chunk)(struct duck_result result);
    uint64_t (*data_chunk_get_size)(void *chunk);
    void *(*data_chunk_get_vector)(void *chunk, uint64_t column);
    void *(*vector_get_data)(void *vector);
    void (*destroy_data_chunk)(void **chunk);
    void (*destroy_result)(struct duck_result *result);
    void (*destroy_pending)(void **pending);
    void (*destroy_prepare)(void **statement);
    void (*disconnect)(void **connection);
    void (*close)(void **database);
    void (*free)(void *memory);
};

struct table_source {
    struct record_source base;
    struct byte_source *bytes;                            /* for the hash, and to look at the head */
    struct duck d;
    void *database, *connection, *statement, *pending, *chunk;
    struct duck_result result;
    bool has_result, is_open, is_broken;
    uint64_t at, n, row;                                  /* of the chunk; of the file */
    enum name_kind name;
    char *path;
};

/* ---- the library ------------------------------------------------------------------------------------------------------------------------ */

static bool load_symbols(struct duck *d)
{
    const struct { const char *name; void *to; } symbols[] = {
        { "duckdb_open_ext", &d->open_ext }, { "duckdb_connect", &d->connect }, { "duckdb_query", &d->query }, { "duckdb_prepare", &d->prepare }, { "duckdb_prepare_error", &d->prepare_error },
        { "duckdb_pending_prepared_streaming", &d->pending_prepared_streaming }, { "duckdb_execute_pending", &d->execute_pending }, { "duckdb_pending_error", &d->pending_error },
        { "duckdb_result_error", &d->result_error }, { "duckdb_fetch_chunk", &d->fetch_chunk }, { "duckdb_data_chunk_get_size", &d->data_chunk_get_size },
        { "duckdb_data_chunk_get_vector", &d->data_chunk_get_vector }, { "duckdb_vector_get_data", &d->vector_get_data }, { "duckdb_destroy_data_chunk", &d->destroy_data_chunk },
        { "duckdb_destroy_result", &d->destroy_result }, { "duckdb_destroy_pending", &d->destroy_pending }, { "duckdb_destroy_prepare", &d->destroy_prepare },
        { "duckdb_disconnect", &d->disconnect }, { "duckdb_close", &d->close }, { "duckdb_free", &d->free },
    };
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *found = dlsym(d->library, symbols[i].name);
        if (!found) return false;
        memcpy(symbols[i].to, &found, sizeof found);
    }
    return true;
}

/* $STARCHAT_DUCKDB names the library; else it is the system's, or where `tools/setup.sh duckdb` puts it. It stays loaded:
 * it keeps threads of its own. */
static sc_status duck_load(struct duck *d, sc_error *err)
{
    const char *named = getenv("STARCHAT_DUCKDB"), *home = getenv("HOME");
    char in_home[1024];
    snprintf(in_home, sizeof in_home, "%s/.local/lib/libduckdb.so", home ? home : "");
    const char *const places[] = { named && *named ? named : "libduckdb.so", named && *named ? NULL : in_home };
    for (size_t i = 0; i < 2 && !d->library && places[i]; i++) d->library = dlopen(places[i], RTLD_NOW | RTLD_LOCAL);
    if (!d->library) return FAIL(err, SC_E_UNSUPPORTED, "reading Parquet and CSV needs DuckDB's libduckdb.so, which is not there; get it with tools/setup.sh duckdb, or set STARCHAT_DUCKDB to its path");
    if (!load_symbols(d)) return FAIL(err, SC_E_UNSUPPORTED, "the libduckdb.so found lacks functions of DuckDB's C API 1.x; use a newer one");
    return SC_OK;
}

sc_status sc_tables_check(sc_error *err)
{
    struct duck d = { 0 };
    return duck_load(&d, err);
}

/* ---- the query -------------------------------------------------------------------------------------------------------------------------------- */

/* The path as text of SQL that matches itself only: quotes doubled, wildcards in brackets. */
static void put_path(struct buf *b, const char *path)
{
    for (; *path; path++) {
        if (strchr("*?[", *path)) buf_printf(b, "[%c]", *path);
        else buf_printf(b, *path == '\'' ? "''" : "%c", *path);
    }
}

/* The mark that the line of names has most of. */
static char delimiter_of(const char *head, size_t len)
{
    static const char marks[] = ",;\t|";
    size_t end = 0, best = 0, count[sizeof marks] = { 0 };
    bool in_quotes = false;
    for (; end < len && head[end] != '\n' && head[end] != '\r'; end++) {
        const char *mark = head[end] ? strchr(marks, head[end]) : NULL;
        if (head[end] == '"') in_quotes = !in_quotes;
        else if (mark && !in_quotes) count[mark - marks]++;
    }
    for (size_t i = 1; i < sizeof marks - 1; i++) if (count[i] > count[best]) best = i;
    return marks[best];
}

static void put_csv_options(struct buf *b, const struct table_source *s, const char *head, size_t len)
{
    static const char *const packings[] = { "none", "gzip", "zstd" };
    char delimiter = s->name == NAME_TSV ? '\t' : delimiter_of(head, len);
    buf_printf(b, ", header=true, all_varchar=true, delim='%c', quote='\"', escape='\"', nullstr='\x01', compression='%s', max_line_size=%d", delimiter, packings[byte_source_packing(s->bytes)], 16 << 20);
}

static sc_status query_make(struct buf *b, struct table_source *s, sc_error *err)
{
    char *head = mem_alloc(HEADER_MAX);
    size_t len = 0, n = 1;
    bool is_csv = s->name == NAME_CSV || s->name == NAME_TSV;
    sc_status status = SC_OK;
    while (is_csv && status == SC_OK && n && len < HEADER_MAX && !memchr(head, '\n', len)) {
        status = byte_source_read(s->bytes, head + len, HEADER_MAX - len, &n, err);
        len += n;
    }
    if (is_csv && status == SC_OK && !len) status = FAIL(err, SC_E_FORMAT, "line 1: the file is empty, expected a line with the names of the columns");
    buf_printf(b, "SELECT CAST(to_json(t) AS VARCHAR) FROM %s('", is_csv ? "read_csv" : "read_parquet");
    put_path(b, s->path);
    buf_puts(b, "', hive_partitioning=false");
    if (is_csv) put_csv_options(b, s, head, len);
    else buf_puts(b, ", binary_as_string=true");
    buf_puts(b, ") t");
    mem_free(head);
    return status;
}

/* The first sentence of DuckDB's message, without its kind of error and the file, which stand before it already. */
static const char *reason_in(const char *message, size_t *len)
{
    const char *line_end = message + strcspn(message, "\n"), *kind = strstr(message, "Error: "), *file = strstr(message, "Failed to read file \"");
    const char *begin = kind && kind < line_end ? kind + strlen("Error: ") : message;
    const char *behind = file && file < line_end ? strstr(file, "\": ") : NULL;
    if (behind && behind < line_end) begin = behind + strlen("\": ");
    const char *end = strstr(begin, ". ");
    *len = (size_t)((end && end < line_end ? end : line_end) - begin);
    return begin;
}

/* What the file uses and DuckDB lacks: a codec, an encoding. */
static const char *remedy_for(const char *reason, size_t len)
{
    bool is_lacking = memmem(reason, len, "nsupported", strlen("nsupported")) || memmem(reason, len, "only supported", strlen("only supported"));
    return is_lacking ? "; write the file anew with zstd and usual encodings, for example by pyarrow" : "";
}

static sc_status failed(struct table_source *s, const char *why, sc_error *err)
{
    char q[200], line[40] = "";
    size_t len = 0;
    const char *reason = reason_in(why && *why ? why : "no reason given", &len);
    s->is_broken = true;
    if (s->row) snprintf(line, sizeof line, "line %llu: ", (unsigned long long)s->row + 1);
    return FAIL(err, SC_E_FORMAT, "%sDuckDB cannot read the table%s: %s%s", line, s->row ? " from here on" : "", error_quote(q, sizeof q, reason, len), remedy_for(reason, len));
}

/* Needs no network, and no more than it must. */
static sc_status settings_apply(struct table_source *s, sc_error *err)
{
    static const char *const settings[] = { "SET autoinstall_known_extensions=false", "SET autoload_known_extensions=false", "SET threads=1", "SET memory_limit='1GB'" };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct duck_result result = { 0 };
        sc_status status = s->d.query(s->connection, settings[i], &result) ? failed(s, s->d.result_error(&result), err) : SC_OK;
        s->d.destroy_result(&result);
        TRY(status);
    }
    return SC_OK;
}

static sc_status table_begin(struct table_source *s, sc_error *err)
{
    char *problem = NULL;
    struct buf query;
    sc_status status;
    s->is_open = true;
    s->is_broken = true;                                  /* until all went well */
    TRY(duck_load(&s->d, err));
    if (s->d.open_ext(NULL, &s->database, NULL, &problem) || s->d.connect(s->database, &s->connection)) {
        status = failed(s, problem, err);
        if (problem) s->d.free(problem);
        return status;
    }
    TRY(settings_apply(s, err));
    buf_init(&query, 0);
    TRY_DONE(query_make(&query, s, err));
    if (s->d.prepare(s->connection, query.data, &s->statement)) { status = failed(s, s->d.prepare_error(s->statement), err); goto done; }
    if (s->d.pending_prepared_streaming(s->statement, &s->pending)) { status = failed(s, s->d.pending_error(s->pending), err); goto done; }
    s->has_result = true;
    if (s->d.execute_pending(s->pending, &s->result)) status = failed(s, s->d.result_error(&s->result), err);
    else s->is_broken = false;
done:
    buf_release(&query);
    return status;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------------------------------- */

static sc_status table_next(struct record_source *source, struct record *out, bool *more, sc_error *err)
{
    struct table_source *s = (struct table_source *)source;
    *more = true;
    if (!s->is_open) TRY(table_begin(s, err));
    while (!s->is_broken && s->at == s->n) {
        if (s->chunk) s->d.destroy_data_chunk(&s->chunk);
        s->chunk = s->d.fetch_chunk(s->result);
        s->at = 0;
        s->n = s->chunk ? s->d.data_chunk_get_size(s->chunk) : 0;
        const char *problem = s->chunk ? NULL : s->d.result_error(&s->result);
        if (problem && *problem) return failed(s, problem, err);
        if (!s->n) s->is_broken = true;                   /* the end */
    }
    *more = !s->is_broken;
    if (!*more) return SC_OK;
    const union duck_string *text = (const union duck_string *)s->d.vector_get_data(s->d.data_chunk_get_vector(s->chunk, 0)) + s->at++;
    size_t len = text->inlined.length;
    s->row++;
    if (len > RECORD_MAX) return FAIL(err, SC_E_FORMAT, "line %llu: the row has more than the %d MiB that a record may have", (unsigned long long)s->row, RECORD_MAX >> 20);
    *out = (struct record) { .text = mem_strndup(len <= 12 ? text->inlined.text : text->pointer.data, len), .len = len, .line = s->row };
    return SC_OK;
}

static sc_status table_finish(struct record_source *source, char sha256[65], sc_error *err)
{
    return byte_source_finish(((struct table_source *)source)->bytes, sha256, err);
}

static uint64_t table_stored(const struct record_source *source)
{
    return byte_source_stored(((const struct table_source *)source)->bytes);
}

static void table_close(struct record_source *source)
{
    struct table_source *s = (struct table_source *)source;
    if (s->chunk) s->d.destroy_data_chunk(&s->chunk);
    if (s->has_result) s->d.destroy_result(&s->result);
    if (s->pending) s->d.destroy_pending(&s->pending);
    if (s->statement) s->d.destroy_prepare(&s->statement);
    if (s->connection) s->d.disconnect(&s->connection);
    if (s->database) s->d.close(&s->database);
    byte_source_close(s->bytes);
    mem_free(s->path);
    mem_free(s);
}

bool table_is_known(const char *path, const uint8_t *first, size_t len)
{
    enum name_kind kind = name_kind_of(path);
    return kind == NAME_CSV || kind == NAME_TSV || kind == NAME_TABLE || (len >= 4 && memcmp(first, "PAR1", 4) == 0);
}

sc_status table_source_open(struct record_source **out, const char *path, sc_error *err)
{
    struct byte_source *bytes;
    *out = NULL;
    TRY(byte_source_open(&bytes, path, err));
    struct table_source *s = mem_zero(1, sizeof *s);
    *s = (struct table_source) { .base = { table_next, table_finish, table_stored, NULL, table_close }, .bytes = bytes, .path = mem_strdup(path), .name = name_kind_of(path) };
    *out = &s->base;
    return SC_OK;
}
