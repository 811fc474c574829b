/* talks_sql.c - SQLite with our errors: statements with values, transactions, sentences. */
#include "talks/talks.h"

#include <string.h>

static bool is_damage(int code) { return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB; }

/* An index of words that is wrong is made anew and loses nothing; all else that is damaged goes out of the way. */
static sc_status fail_damaged(sc_talks *t, int code, sc_error *err)
{
    if (code == SQLITE_CORRUPT_VTAB) {
        t->wants_index = true;
        return FAIL(err, SC_E_IO, "the index of words in %s is damaged; it is made anew, try again", t->path);
    }
    struct buf name;
    buf_init(&name, 0);
    if (!t->is_broken) talks_set_aside(t, &name);
    t->is_broken = true;
    sc_status status;
    if (name.len)
        status = FAIL(err, SC_E_FORMAT, "%s is damaged (%s), so it was set aside as %s and the next start begins a new one; `sqlite3 %s .recover` prints what can be saved of it",
                      t->path, sqlite3_errstr(code), name.data, name.data);
    else status = FAIL(err, SC_E_FORMAT, "%s is damaged (%s); move it away, and `sqlite3 FILE .recover` prints what can be saved of it", t->path, sqlite3_errstr(code));
    buf_release(&name);
    return status;
}

sc_status talks_fail(sc_talks *t, int code, const char *doing, sc_error *err)
{
    int kind = code & 0xff;
    if (is_damage(code)) return fail_damaged(t, code, err);
    if (kind == SQLITE_FULL) return FAIL(err, SC_E_IO, "%s: cannot write, the disk is full; make room, nothing that was written before is lost", t->path);
    if (kind == SQLITE_IOERR) return FAIL(err, SC_E_IO, "%s: cannot %s (%s); the disk may be full or failing, nothing that was written before is lost", t->path, doing, sqlite3_errstr(code));
    if (kind == SQLITE_BUSY || kind == SQLITE_LOCKED)
        return FAIL(err, SC_E_IO, "%s: cannot %s, another program has been writing for %d seconds; try again when it is done", t->path, doing, TALKS_WAIT_MS / 1000);
    if (kind == SQLITE_READONLY || kind == SQLITE_CANTOPEN || kind == SQLITE_PERM)
        return FAIL(err, SC_E_IO, "%s: cannot %s (%s); make the file and its directory writable, or set STARCHAT_HOME to another one", t->path, doing, sqlite3_errstr(code));
    if (kind == SQLITE_NOMEM) return FAIL(err, SC_E_MEMORY, "%s: cannot %s, there is no memory left", t->path, doing);
    return FAIL(err, SC_E_IO, "%s: cannot %s: %s", t->path, doing, t->db ? sqlite3_errmsg(t->db) : sqlite3_errstr(code));
}

/* ---- statements ----------------------------------------------------------------------------------------------------------------- */

static int bind(sqlite3_stmt *q, const char *types, va_list values)
{
    int code = SQLITE_OK;
    for (int i = 0; types[i] && code == SQLITE_OK; i++) {
        if (types[i] == 'i') code = sqlite3_bind_int64(q, i + 1, va_arg(values, int64_t));
        else code = sqlite3_bind_text(q, i + 1, va_arg(values, const char *), -1, SQLITE_STATIC);      /* NULL: null */
    }
    return code;
}

static sc_status query(sqlite3_stmt **out, sc_talks *t, sc_error *err, const char *sql, const char *types, va_list values)
{
    *out = NULL;
    int code = sqlite3_prepare_v2(t->db, sql, -1, out, NULL);
    if (code == SQLITE_OK) code = bind(*out, types, values);
    if (code == SQLITE_OK) return SC_OK;
    sc_status status = talks_fail(t, code, "prepare a query", err);
    sqlite3_finalize(*out);
    *out = NULL;
    return status;
}

sc_status talks_query(sqlite3_stmt **out, sc_talks *t, sc_error *err, const char *sql, const char *types, ...)
{
    va_list values;
    va_start(values, types);
    sc_status status = query(out, t, err, sql, types, values);
    va_end(values);
    return status;
}

sc_status talks_step(sc_talks *t, sqlite3_stmt **q, bool *row, sc_error *err)
{
    int code = sqlite3_step(*q);
    *row = code == SQLITE_ROW;
    if (*row) return SC_OK;
    sc_status status = code == SQLITE_DONE ? SC_OK : talks_fail(t, sqlite3_extended_errcode(t->db), sqlite3_stmt_readonly(*q) ? "read" : "write", err);
    sqlite3_finalize(*q);
    *q = NULL;
    return status;
}

sc_status talks_run(sc_talks *t, sc_error *err, const char *sql, const char *types, ...)
{
    sqlite3_stmt *q;
    va_list values;
    va_start(values, types);
    sc_status status = query(&q, t, err, sql, types, values);
    va_end(values);
    for (bool row = true; status == SC_OK && row;) status = talks_step(t, &q, &row, err);
    return status;
}

sc_status talks_number(int64_t *out, int64_t fallback, sc_talks *t, sc_error *err, const char *sql, const char *types, ...)
{
    sqlite3_stmt *q;
    bool row = false;
    va_list values;
    va_start(values, types);
    sc_status status = query(&q, t, err, sql, types, values);
    va_end(values);
    *out = fallback;
    if (status == SC_OK) status = talks_step(t, &q, &row, err);
    if (status != SC_OK || !row) return status;
    if (sqlite3_column_type(q, 0) != SQLITE_NULL) *out = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return SC_OK;
}

const char *talks_column(sqlite3_stmt *q, int column)
{
    const char *text = (const char *)sqlite3_column_text(q, column);
    return text ? text : "";
}

/* The file may have been written by others: what it holds is repaired as what comes from outside. */
char *talks_column_copy(sqlite3_stmt *q, int column)
{
    const char *text = (const char *)sqlite3_column_text(q, column);
    return text ? talk_text(text, (size_t)sqlite3_column_bytes(q, column)) : NULL;
}

/* ---- transactions ------------------------------------------------------------------------------------------------------------------ */

static sc_status make_index(sc_talks *t, sc_error *err)
{
    t->wants_index = false;
    TRY(talks_run(t, err, "INSERT INTO text_words(text_words) VALUES('delete-all')", ""));
    TRY(talks_run(t, err, "INSERT INTO text_words(rowid, content) SELECT n, content FROM messages WHERE status <> 'generating'", ""));
    return talks_run(t, err, "INSERT INTO title_words(title_words) VALUES('rebuild')", "");
}

static sc_status transact(sc_talks *t, const char *begin, talks_work work, void *arg, sc_error *err)
{
    pthread_mutex_lock(&t->mutex);
    sc_status status = SC_OK;
    if (t->is_broken) status = FAIL(err, SC_E_FORMAT, "%s is damaged; start the program again to begin a new one", t->path);
    if (status == SC_OK) status = talks_run(t, err, t->wants_index ? "BEGIN IMMEDIATE" : begin, "");
    if (status == SC_OK) {
        if (t->wants_index) status = make_index(t, err);
        if (status == SC_OK) status = work(t, arg, err);
        if (status == SC_OK) status = talks_run(t, err, "COMMIT", "");
        /* SQLite has rolled back by itself after some failures. */
        if (status != SC_OK && !sqlite3_get_autocommit(t->db)) sqlite3_exec(t->db, "ROLLBACK", NULL, NULL, NULL);
    }
    pthread_mutex_unlock(&t->mutex);
    return status;
}

sc_status talks_write(sc_talks *t, talks_work work, void *arg, sc_error *err) { return transact(t, "BEGIN IMMEDIATE", work, arg, err); }
sc_status talks_look(sc_talks *t, talks_work work, void *arg, sc_error *err) { return transact(t, "BEGIN", work, arg, err); }
