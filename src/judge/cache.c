/* cache.c - answers by what was asked, in one SQLite file. A commit is on disk before anything else is done with an answer, so a run that is killed pays for nothing
 * twice. Source: SQLite documentation, "Write-Ahead Logging"; fcntl_locking(2), open file description locks. */
#include "judge/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { APPLICATION = 0x73636a63, FORMAT = 1, WAIT_MS = 20000 };

static const char schema[] = "CREATE TABLE answers(key TEXT PRIMARY KEY NOT NULL, who TEXT NOT NULL, model TEXT NOT NULL, text TEXT NOT NULL, finish TEXT NOT NULL,"
                             " tokens_in INTEGER, tokens_out INTEGER, logprobs TEXT, seconds REAL NOT NULL, created INTEGER NOT NULL) WITHOUT ROWID;";

static sc_status cache_fail(const struct cache *c, int code, sc_error *err)
{
    int kind = code & 0xff;
    if (kind == SQLITE_NOTADB || kind == SQLITE_CORRUPT) return FAIL(err, SC_E_FORMAT, "the cache of answers %s is damaged or something else; move it away, or name another with --cache", c->path);
    if (kind == SQLITE_FULL) return FAIL(err, SC_E_IO, "%s: the disk is full; make room and start again, nothing that was answered before is lost", c->path);
    return FAIL(err, SC_E_IO, "the cache of answers %s cannot be used (%s); name another with --cache", c->path, c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(code));
}

static int number_of(sqlite3 *db, const char *pragma, int *out)
{
    sqlite3_stmt *q = NULL;
    int code = sqlite3_prepare_v2(db, pragma, -1, &q, NULL);
    if (code == SQLITE_OK && (code = sqlite3_step(q)) == SQLITE_ROW) {
        *out = sqlite3_column_int(q, 0);
        code = SQLITE_OK;
    }
    sqlite3_finalize(q);
    return code;
}

/* What there is. is_empty: no program has put anything there. Alone in a transaction, so that no half of what another makes is seen. */
struct contents { int application, format; bool is_empty; };
static int look(struct cache *c, struct contents *out)
{
    int tables = 0, code = number_of(c->db, "PRAGMA application_id", &out->application);
    if (code == SQLITE_OK) code = number_of(c->db, "PRAGMA user_version", &out->format);
    if (code == SQLITE_OK) code = number_of(c->db, "SELECT count(*) FROM sqlite_schema", &tables);
    out->is_empty = !out->application && !out->format && !tables;
    return code;
}

static bool is_ours(const struct contents *c) { return c->is_empty || (c->application == APPLICATION && c->format <= FORMAT); }

static int look_alone(struct cache *c, struct contents *out)
{
    int code = sqlite3_exec(c->db, "BEGIN", NULL, NULL, NULL);
    if (code == SQLITE_OK) code = look(c, out);
    (void)sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL);
    return code;
}

/* Tables and mark at once: a file with tables and without the mark is somebody else's. */
static int make(struct cache *c, struct contents *found)
{
    char mark[96];
    snprintf(mark, sizeof mark, "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION, FORMAT);
    int code = sqlite3_exec(c->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (code != SQLITE_OK) return code;
    if ((code = look(c, found)) == SQLITE_OK && found->is_empty) {
        code = sqlite3_exec(c->db, schema, NULL, NULL, NULL);
        if (code == SQLITE_OK) code = sqlite3_exec(c->db, mark, NULL, NULL, NULL);
    }
    if (code == SQLITE_OK) return sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL);
    (void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return code;
}

/* The log is not removed by who closes last: another that opens at that moment would find it gone. */
static int prepare(struct cache *c, struct contents *found)
{
    static const char settings[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -512; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 4194304;";
    int code = sqlite3_open_v2(c->path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) return code;
    sqlite3_extended_result_codes(c->db, 1);
    sqlite3_busy_timeout(c->db, WAIT_MS);
    (void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if ((code = look_alone(c, found)) != SQLITE_OK || !is_ours(found)) return code;       /* nothing of another's file is touched */
    code = sqlite3_exec(c->db, settings, NULL, NULL, NULL);
    if (code == SQLITE_OK && found->is_empty) code = make(c, found);
    if (code != SQLITE_OK || !is_ours(found)) return code;
    code = sqlite3_prepare_v2(c->db, "SELECT text, finish, tokens_in, tokens_out, logprobs, seconds FROM answers WHERE key = ?1", -1, &c->find, NULL);
    if (code == SQLITE_OK) code = sqlite3_prepare_v2(c->db, "INSERT OR IGNORE INTO answers VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)", -1, &c->put, NULL);
    return code;
}

static void close_database(struct cache *c)
{
    sqlite3_finalize(c->find);
    sqlite3_finalize(c->put);
    sqlite3_close(c->db);
    c->find = c->put = NULL;
    c->db = NULL;
}

static sc_status open_lock(struct cache *c, sc_error *err)
{
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "%s.lock", c->path);
    c->lock = open(b.data, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    sc_status status = c->lock >= 0 ? SC_OK : FAIL(err, SC_E_IO, "%s cannot be written (%s); name another file with --cache", b.data, strerror(errno));
    buf_release(&b);
    return status;
}

sc_status cache_open(struct cache *c, const char *path, sc_error *err)
{
    *c = (struct cache){ .path = mem_strdup(path), .lock = -1 };
    sc_status status = SC_OK;
    struct contents found = { 0 };
    int code = SQLITE_OK;
    const char *slash = strrchr(path, '/');
    bool is_file = strcmp(path, ":memory:") != 0;
    char *directory = is_file && slash && slash != path ? mem_strndup(path, (size_t)(slash - path)) : NULL;
    if (directory) status = path_make_directories(directory, err);
    mem_free(directory);
    /* Where several make the file at once, SQLite tells some of them that it is busy without waiting. */
    for (double until = clock_seconds() + WAIT_MS / 1000.0; status == SC_OK;) {
        code = prepare(c, &found);
        int kind = code & 0xff;
        if ((kind != SQLITE_BUSY && kind != SQLITE_LOCKED && kind != SQLITE_IOERR) || clock_seconds() > until) break;
        close_database(c);
        nanosleep(&(struct timespec){ 0, 20000000 }, NULL);
    }
    if (status == SC_OK && code != SQLITE_OK) status = cache_fail(c, code, err);
    else if (status == SC_OK && !found.is_empty && found.application != APPLICATION) status = FAIL(err, SC_E_FORMAT, "%s is a database of another program; name another with --cache", path);
    else if (status == SC_OK && found.format > FORMAT) status = FAIL(err, SC_E_UNSUPPORTED, "%s was written by a newer starchat (format %d, this one knows %d); name another with --cache", path, found.format, FORMAT);
    if (status == SC_OK && is_file) status = open_lock(c, err);
    if (status != SC_OK) cache_close(c);
    return status;
}

void cache_close(struct cache *c)
{
    close_database(c);
    if (c->lock >= 0) close(c->lock);
    mem_free(c->path);
    *c = (struct cache){ .lock = -1 };
}

void cache_key(char key[65], const char *who, const char *model, const char *request)
{
    struct sha256 h;
    const char *const parts[] = { who, model, request };
    sha256_begin(&h);
    for (size_t i = 0; i < 3; i++) sha256_add(&h, parts[i], strlen(parts[i]) + 1);
    sha256_end(&h, key);
}

/* ---- answers ------------------------------------------------------------------------------------------------------------------------------------ */

static char *column(sqlite3_stmt *q, int i)
{
    const char *text = (const char *)sqlite3_column_text(q, i);
    return mem_strndup(text ? text : "", text ? (size_t)sqlite3_column_bytes(q, i) : 0);
}

static int64_t column_count(sqlite3_stmt *q, int i) { return sqlite3_column_type(q, i) == SQLITE_NULL ? -1 : sqlite3_column_int64(q, i); }

sc_status cache_find(bool *found, struct reply *out, struct cache *c, const char *key, sc_error *err)
{
    sqlite3_bind_text(c->find, 1, key, -1, SQLITE_STATIC);
    int code = sqlite3_step(c->find);
    *found = code == SQLITE_ROW;
    if (*found) {
        *out = (struct reply){ .text = column(c->find, 0), .finish = column(c->find, 1), .tokens_in = column_count(c->find, 2), .tokens_out = column_count(c->find, 3), .seconds = sqlite3_column_double(c->find, 5), .is_kept = true };
        if (sqlite3_column_type(c->find, 4) != SQLITE_NULL) out->logprobs = json_loads((const char *)sqlite3_column_text(c->find, 4), 0, NULL);
    }
    sqlite3_reset(c->find);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SC_OK : cache_fail(c, code, err);
}

static void bind_count(sqlite3_stmt *q, int i, int64_t n)
{
    if (n < 0) sqlite3_bind_null(q, i);
    else sqlite3_bind_int64(q, i, n);
}

sc_status cache_put(struct cache *c, const char *key, const char *who, const char *model, const struct reply *r, sc_error *err)
{
    const char *const texts[] = { key, who, model, r->text, r->finish };
    char *logprobs = r->logprobs ? json_dumps(r->logprobs, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    for (int i = 0; i < 5; i++) sqlite3_bind_text(c->put, i + 1, texts[i], -1, SQLITE_STATIC);
    bind_count(c->put, 6, r->tokens_in);
    bind_count(c->put, 7, r->tokens_out);
    sqlite3_bind_text(c->put, 8, logprobs, -1, SQLITE_STATIC);
    sqlite3_bind_double(c->put, 9, r->seconds);
    sqlite3_bind_int64(c->put, 10, (sqlite3_int64)time(NULL));
    int code = sqlite3_step(c->put);
    sqlite3_reset(c->put);
    sqlite3_clear_bindings(c->put);
    mem_free(logprobs);
    return code == SQLITE_DONE ? SC_OK : cache_fail(c, code, err);
}

/* ---- who asks ------------------------------------------------------------------------------------------------------------------------------------- */

static bool lock_place(const struct cache *c, const char *key, short type)
{
    char first[16] = "";
    if (c->lock < 0) return true;
    memcpy(first, key, 15);                                    /* 60 bits: an offset that every file system takes */
    struct flock byte = { .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)strtoull(first, NULL, 16), .l_len = 1 };
    return fcntl(c->lock, F_OFD_SETLK, &byte) == 0 || (errno != EAGAIN && errno != EACCES);
}

bool cache_claim(struct cache *c, const char *key) { return lock_place(c, key, F_WRLCK); }
void cache_unclaim(struct cache *c, const char *key) { (void)lock_place(c, key, F_UNLCK); }
