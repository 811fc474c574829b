/* study_sql.c - SQLite with our errors: statements with values, transactions, sentences. One thread a handle. */
#include "rank/rank.h"

#include <string.h>
#include <time.h>

int64_t time_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

sc_status sql_fail(struct study *s, int code, const char *doing, sc_error *err)
{
    int kind = code & 0xff;
    if (kind == SQLITE_NOTADB) return FAIL(err, SC_E_FORMAT, "%s is no study: it is not a SQLite file", s->path);
    if (kind == SQLITE_CORRUPT) return FAIL(err, SC_E_IO, "%s is damaged (%s); `sqlite3 FILE .recover` prints what can be saved of it", s->path, sqlite3_errstr(code));
    if (kind == SQLITE_FULL) return FAIL(err, SC_E_IO, "%s: cannot write, the disk is full; make room, nothing that was saved before is lost", s->path);
    if (kind == SQLITE_BUSY || kind == SQLITE_LOCKED) return FAIL(err, SC_E_IO, "%s: cannot %s, another program has been writing for %d seconds; try again", s->path, doing, STUDY_WAIT_MS / 1000);
    if (kind == SQLITE_READONLY || kind == SQLITE_CANTOPEN || kind == SQLITE_PERM) return FAIL(err, SC_E_IO, "%s: cannot %s (%s); make the file and its directory writable", s->path, doing, sqlite3_errstr(code));
    if (kind == SQLITE_NOMEM) return FAIL(err, SC_E_MEMORY, "%s: cannot %s, there is no memory left", s->path, doing);
    return FAIL(err, SC_E_IO, "%s: cannot %s: %s", s->path, doing, s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(code));
}

static int bind(sqlite3_stmt *q, const char *types, va_list values)
{
    int code = SQLITE_OK;
    for (int i = 0; types[i] && code == SQLITE_OK; i++) {
        if (types[i] == 'i') code = sqlite3_bind_int64(q, i + 1, va_arg(values, int64_t));
        else if (types[i] == 't') code = sqlite3_bind_text(q, i + 1, va_arg(values, const char *), -1, SQLITE_TRANSIENT);
        else if (types[i] == 'r') code = sqlite3_bind_double(q, i + 1, va_arg(values, double));
        else {
            const void *bytes = va_arg(values, const void *);
            code = sqlite3_bind_blob64(q, i + 1, bytes, va_arg(values, size_t), SQLITE_TRANSIENT);
        }
    }
    return code;
}

static sc_status query(sqlite3_stmt **out, struct study *s, sc_error *err, const char *sql, const char *types, va_list values)
{
    *out = NULL;
    int code = sqlite3_prepare_v2(s->db, sql, -1, out, NULL);
    if (code == SQLITE_OK) code = bind(*out, types, values);
    if (code == SQLITE_OK) return SC_OK;
    sc_status status = sql_fail(s, code, "prepare a query", err);
    sqlite3_finalize(*out);
    *out = NULL;
    return status;
}

sc_status sql_query(sqlite3_stmt **out, struct study *s, sc_error *err, const char *sql, const char *types, ...)
{
    va_list values;
    va_start(values, types);
    sc_status status = query(out, s, err, sql, types, values);
    va_end(values);
    return status;
}

sc_status sql_step(struct study *s, sqlite3_stmt **q, bool *row, sc_error *err)
{
    int code = sqlite3_step(*q);
    *row = code == SQLITE_ROW;
    if (*row) return SC_OK;
    sc_status status = code == SQLITE_DONE ? SC_OK : sql_fail(s, sqlite3_extended_errcode(s->db), sqlite3_stmt_readonly(*q) ? "read" : "write", err);
    sqlite3_finalize(*q);
    *q = NULL;
    return status;
}

sc_status sql_run(struct study *s, sc_error *err, const char *sql, const char *types, ...)
{
    sqlite3_stmt *q;
    va_list values;
    va_start(values, types);
    sc_status status = query(&q, s, err, sql, types, values);
    va_end(values);
    for (bool row = true; status == SC_OK && row;) status = sql_step(s, &q, &row, err);
    return status;
}

sc_status sql_number(int64_t *out, int64_t fallback, struct study *s, sc_error *err, const char *sql, const char *types, ...)
{
    sqlite3_stmt *q;
    bool row = false;
    va_list values;
    va_start(values, types);
    sc_status status = query(&q, s, err, sql, types, values);
    va_end(values);
    *out = fallback;
    if (status == SC_OK) status = sql_step(s, &q, &row, err);
    if (status != SC_OK || !row) return status;
    if (sqlite3_column_type(q, 0) != SQLITE_NULL) *out = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return SC_OK;
}

const char *sql_text(sqlite3_stmt *q, int column)
{
    const char *text = (const char *)sqlite3_column_text(q, column);
    return text ? text : "";
}

char *sql_copy(sqlite3_stmt *q, int column)
{
    const char *text = (const char *)sqlite3_column_text(q, column);
    return text ? mem_strdup(text) : NULL;
}

sc_status sql_begin(struct study *s, sc_error *err) { return sql_run(s, err, "BEGIN IMMEDIATE", ""); }

sc_status sql_end(struct study *s, sc_status status, sc_error *err)
{
    if (status == SC_OK) status = sql_run(s, err, "COMMIT", "");
    /* SQLite has rolled back by itself after some failures. */
    if (status != SC_OK && !sqlite3_get_autocommit(s->db)) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}
