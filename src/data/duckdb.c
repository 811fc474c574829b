/* duckdb.c - rows of Parquet, Arrow and CSV files as JSON, through DuckDB's C library opened at run time: Debian has no
 * Parquet library in C, and who has no such files needs none. The few declarations used are DuckDB's stable C API 1.x. */
#include "data/reader_internal.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Handles are pointers; a result is a struct of six words, whose last one the library uses. */
struct duck_result { uint64_t columns, rows, changed; void *old_columns; char *old_error; void *data; };
union duck_string { struct { uint32_t length; char text[12]; } inlined; struct { uint32_t length; char prefix[4]; const char *data; } pointer; };

struct duck {
    void *library;
    int (*open_ext)(const char *path, void **database, void *config, char **error);
    int (*connect)(void *database, void **connection);
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
};

struct table_rows { struct duck d; void *database, *connection, *statement, *pending, *chunk; struct duck_result result; bool has_result; uint64_t at, n; char *path; };

static bool load_symbols(struct duck *d)
{
    const struct { const char *name; void *to; } symbols[] = {
        { "duckdb_open_ext", &d->open_ext }, { "duckdb_connect", &d->connect }, { "duckdb_prepare", &d->prepare }, { "duckdb_prepare_error", &d->prepare_error },
        { "duckdb_pending_prepared_streaming", &d->pending_prepared_streaming }, { "duckdb_execute_pending", &d->execute_pending }, { "duckdb_pending_error", &d->pending_error },
        { "duckdb_result_error", &d->result_error }, { "duckdb_fetch_chunk", &d->fetch_chunk }, { "duckdb_data_chunk_get_size", &d->data_chunk_get_size },
        { "duckdb_data_chunk_get_vector", &d->data_chunk_get_vector }, { "duckdb_vector_get_data", &d->vector_get_data }, { "duckdb_destroy_data_chunk", &d->destroy_data_chunk },
        { "duckdb_destroy_result", &d->destroy_result }, { "duckdb_destroy_pending", &d->destroy_pending }, { "duckdb_destroy_prepare", &d->destroy_prepare },
        { "duckdb_disconnect", &d->disconnect }, { "duckdb_close", &d->close },
    };
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *found = dlsym(d->library, symbols[i].name);
        if (!found) return false;
        memcpy(symbols[i].to, &found, sizeof found);
    }
    return true;
}

/* $STARCHAT_DUCKDB names the library; else where `tools/setup.sh duckdb` puts it, else the system's. */
static sc_status load(struct duck *d, const char *path, sc_error *err)
{
    const char *named = getenv("STARCHAT_DUCKDB"), *home = getenv("HOME");
    char in_home[1024];
    snprintf(in_home, sizeof in_home, "%s/.local/lib/libduckdb.so", home ? home : "");
    const char *const places[] = { named && *named ? named : "libduckdb.so", named && *named ? named : in_home };
    for (size_t i = 0; i < 2 && !d->library; i++) d->library = dlopen(places[i], RTLD_NOW | RTLD_LOCAL);
    if (!d->library)
        return FAIL(err, SC_E_UNSUPPORTED, "%s: reading Parquet, Arrow and CSV needs DuckDB's libduckdb.so, which is not there; get it with tools/setup.sh duckdb, or set STARCHAT_DUCKDB to its path", path);
    if (!load_symbols(d)) return FAIL(err, SC_E_UNSUPPORTED, "%s: the libduckdb.so found lacks functions of DuckDB's C API 1.x; use a newer one", path);
    return SC_OK;
}

sc_status sc_tables_check(sc_error *err)
{
    struct duck d = { 0 };
    return load(&d, "tables", err);                       /* it stays loaded, as everywhere here */
}

/* The file as a table of SQL, with quotes doubled. */
static char *query_for(const char *path)
{
    size_t len = strlen(path);
    const char *reader = "read_parquet", *options = "";
    if (len > 4 && (strcasecmp(path + len - 4, ".csv") == 0 || strcasecmp(path + len - 7, ".csv.gz") == 0)) reader = "read_csv";
    if (len > 4 && (strcasecmp(path + len - 4, ".tsv") == 0 || strcasecmp(path + len - 7, ".tsv.gz") == 0)) { reader = "read_csv"; options = ", delim='\t'"; }
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "SELECT CAST(to_json(t) AS VARCHAR) FROM %s('", reader);
    for (const char *p = path; *p; p++) {
        if (*p == '\'') buf_putc(&b, '\'');
        buf_putc(&b, *p);
    }
    buf_printf(&b, "'%s) t", options);
    return b.data;
}

static sc_status failed(const struct table_rows *t, const char *why, sc_error *err)
{
    char q[160];
    if (!why) why = "unknown reason";
    return FAIL(err, SC_E_FORMAT, "%s: DuckDB cannot read it: %s", t->path, error_quote(q, sizeof q, why, strcspn(why, "\n")));
}

sc_status table_open(struct table_rows **out, const char *path, sc_error *err)
{
    struct table_rows *t = mem_zero(1, sizeof *t);
    char *query = NULL, *problem = NULL;
    sc_status status = SC_OK;
    *out = NULL;
    t->path = mem_strdup(path);
    if (path_ends_with(path, ".arrow")) { status = FAIL(err, SC_E_UNSUPPORTED, "%s: Arrow files need an extension of DuckDB; convert it to Parquet first", path); goto done; }
    TRY_DONE(load(&t->d, path, err));
    if (t->d.open_ext(NULL, &t->database, NULL, &problem) || t->d.connect(t->database, &t->connection)) { status = failed(t, problem, err); goto done; }
    query = query_for(path);
    if (t->d.prepare(t->connection, query, &t->statement)) { status = failed(t, t->d.prepare_error(t->statement), err); goto done; }
    if (t->d.pending_prepared_streaming(t->statement, &t->pending)) { status = failed(t, t->d.pending_error(t->pending), err); goto done; }
    if (t->d.execute_pending(t->pending, &t->result)) { t->has_result = true; status = failed(t, t->d.result_error(&t->result), err); goto done; }
    t->has_result = true;
    *out = t;
    t = NULL;
done:
    mem_free(query);
    table_close(t);
    return status;
}

sc_status table_next(struct table_rows *t, const char **text, size_t *len, sc_error *err)
{
    *text = NULL;
    while (t->at == t->n) {
        if (t->chunk) t->d.destroy_data_chunk(&t->chunk);
        t->chunk = t->d.fetch_chunk(t->result);
        t->at = 0;
        t->n = t->chunk ? t->d.data_chunk_get_size(t->chunk) : 0;
        const char *problem = t->chunk ? NULL : t->d.result_error(&t->result);
        if (problem && *problem) return failed(t, problem, err);
        if (!t->n) return SC_OK;
    }
    const union duck_string *s = (const union duck_string *)t->d.vector_get_data(t->d.data_chunk_get_vector(t->chunk, 0)) + t->at++;
    *len = s->inlined.length;
    *text = *len <= 12 ? s->inlined.text : s->pointer.data;
    return SC_OK;
}

/* The library stays loaded: it keeps threads of its own. */
void table_close(struct table_rows *t)
{
    if (!t) return;
    if (t->chunk) t->d.destroy_data_chunk(&t->chunk);
    if (t->has_result) t->d.destroy_result(&t->result);
    if (t->pending) t->d.destroy_pending(&t->pending);
    if (t->statement) t->d.destroy_prepare(&t->statement);
    if (t->connection) t->d.disconnect(&t->connection);
    if (t->database) t->d.close(&t->database);
    mem_free(t->path);
    mem_free(t);
}
