/* study_open.c - the file of a study: its tables, opening, values. A revision is never changed or taken away, and none comes after the end: the tables
 * themselves see to it, whichever program writes. */
#include "rank/rank.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Format 1. Times are milliseconds since 1970. answers.n says nothing of the model: it is drawn by the owner's key. `opened` and `gold` fill when the study closes. */
static const char schema[] =
    "CREATE TABLE study(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE sealed(value BLOB NOT NULL);"
    "CREATE TABLE prompts(n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, slice TEXT, language TEXT, turns TEXT NOT NULL);"
    "CREATE TABLE items(n INTEGER PRIMARY KEY, prompt INTEGER NOT NULL REFERENCES prompts(n), is_gold INTEGER NOT NULL);"
    "CREATE TABLE answers(n INTEGER PRIMARY KEY, item INTEGER NOT NULL REFERENCES items(n), turns TEXT NOT NULL);"
    "CREATE INDEX answers_item ON answers(item, n);"
    "CREATE TABLE raters(n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, token BLOB NOT NULL UNIQUE, created INTEGER NOT NULL, revoked INTEGER);"
    "CREATE TABLE assignments(n INTEGER PRIMARY KEY, rater INTEGER NOT NULL REFERENCES raters(n), position INTEGER NOT NULL, item INTEGER NOT NULL REFERENCES items(n),"
    " repeats INTEGER REFERENCES assignments(n), shown TEXT NOT NULL, opened INTEGER, UNIQUE(rater, position));"
    "CREATE INDEX assignments_item ON assignments(item);"
    "CREATE TABLE revisions(n INTEGER PRIMARY KEY, assignment INTEGER NOT NULL REFERENCES assignments(n), id TEXT NOT NULL, received INTEGER NOT NULL, is_done INTEGER NOT NULL,"
    " rating TEXT NOT NULL, UNIQUE(assignment, id));"
    "CREATE TABLE opened(answer INTEGER PRIMARY KEY REFERENCES answers(n), model TEXT NOT NULL);"
    "CREATE TABLE gold(item INTEGER PRIMARY KEY REFERENCES items(n), best INTEGER NOT NULL REFERENCES answers(n), worst INTEGER NOT NULL REFERENCES answers(n));"
    "CREATE TRIGGER revisions_stay BEFORE UPDATE ON revisions BEGIN SELECT RAISE(ABORT, 'revisions are never changed'); END;"
    "CREATE TRIGGER revisions_remain BEFORE DELETE ON revisions BEGIN SELECT RAISE(ABORT, 'revisions are never taken away'); END;"
    "CREATE TRIGGER revisions_end BEFORE INSERT ON revisions WHEN EXISTS(SELECT 1 FROM study WHERE name = 'closed') BEGIN SELECT RAISE(ABORT, 'the study is closed'); END;";

/* Every commit is on the disk before a rater is told that it is saved. Sorting makes no files, which a locked-down server may not. */
static const char pragmas[] = "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;";
/* Readers beside the writer. A file that is being made has none, and no second file beside it either: if it cannot be completed, it is thrown away. */
static const char log_ahead[] = "PRAGMA journal_mode = WAL", no_log[] = "PRAGMA journal_mode = MEMORY";

static sc_status open_file(struct study *s, const char *file, const char *journal, sc_error *err)
{
    int code = sqlite3_open_v2(file, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) {
        sqlite3_extended_result_codes(s->db, 1);
        sqlite3_busy_timeout(s->db, STUDY_WAIT_MS);
        (void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        code = sqlite3_exec(s->db, journal, NULL, NULL, NULL);
        if (code == SQLITE_OK) code = sqlite3_exec(s->db, pragmas, NULL, NULL, NULL);
        if (code != SQLITE_OK) code = sqlite3_extended_errcode(s->db);
    }
    return code == SQLITE_OK ? SC_OK : sql_fail(s, code, "open it", err);
}

void study_close(struct study *s)
{
    if (!s) return;
    sqlite3_close(s->db);
    if (s->temporary) unlink(s->temporary);
    json_decref(s->settings);
    mem_free(s->temporary);
    mem_free(s->path);
    mem_free(s);
}

sc_status study_get(char **out, struct study *s, const char *name, sc_error *err)
{
    sqlite3_stmt *q;
    bool row;
    *out = NULL;
    TRY(sql_query(&q, s, err, "SELECT value FROM study WHERE name = ?1", "t", name));
    TRY(sql_step(s, &q, &row, err));
    if (row) *out = sql_copy(q, 0);
    sqlite3_finalize(row ? q : NULL);
    return SC_OK;
}

sc_status study_set(struct study *s, const char *name, const char *value, sc_error *err)
{
    return sql_run(s, err, "INSERT INTO study(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value = ?2", "tt", name, value);
}

sc_status study_closed(int64_t *when, struct study *s, sc_error *err)
{
    return sql_number(when, 0, s, err, "SELECT CAST(value AS INTEGER) FROM study WHERE name = 'closed'", "");
}

sc_status study_load(struct study *s, sc_error *err)
{
    char *id = NULL, *settings = NULL;
    sc_status status = study_get(&id, s, "id", err);
    if (status == SC_OK) status = study_get(&settings, s, "settings", err);
    if (status == SC_OK && (!id || strlen(id) != sizeof s->id - 1 || !settings)) status = FAIL(err, SC_E_FORMAT, "%s is not a whole study; make it anew with `rank serve --prompts ... --out`", s->path);
    if (status == SC_OK) status = json_read(&s->settings, settings, strlen(settings), s->path, err);
    if (status == SC_OK) {
        const char *flags = NULL;
        int64_t seed = 0;
        memcpy(s->id, id, sizeof s->id);
        status = json_opt_string(&flags, s->settings, "flags", "", s->path, err);
        if (status == SC_OK) status = flags_read(&s->flags, flags, err);
        if (status == SC_OK) status = json_need_int(&seed, s->settings, "seed", 0, UINT32_MAX, s->path, err);
        s->seed = (uint64_t)seed;
    }
    mem_free(id);
    mem_free(settings);
    return status;
}

sc_status study_open(struct study **out, const char *path, sc_error *err)
{
    struct study *s = mem_zero(1, sizeof *s);
    int64_t application = 0, format = 0;
    *out = NULL;
    s->path = mem_strdup(path);
    sc_status status = path_exists(path) ? open_file(s, path, log_ahead, err) : FAIL(err, SC_E_IO, "there is no study %s; `rank serve --prompts F --answers A,B --out %s` makes one", path, path);
    if (status == SC_OK) status = sql_number(&application, 0, s, err, "PRAGMA application_id", "");
    if (status == SC_OK) status = sql_number(&format, 0, s, err, "PRAGMA user_version", "");
    if (status == SC_OK && application != STUDY_APPLICATION) status = FAIL(err, SC_E_FORMAT, "%s is a database of another program, no study", path);
    if (status == SC_OK && format != STUDY_FORMAT) status = FAIL(err, SC_E_UNSUPPORTED, "%s was written by another version of starchat (format %lld, this one knows %d)", path, (long long)format, STUDY_FORMAT);
    if (status == SC_OK) status = study_load(s, err);
    if (status != SC_OK) study_close(s);
    else *out = s;
    return status;
}

/* ---- a new one ------------------------------------------------------------------------------------------------------------------------------ */

/* Its owner's alone: who can read it has all answers and, once it is closed, whose they are. */
static sc_status make_file(struct study *s, sc_error *err)
{
    struct buf name;
    sc_text text;
    buf_init(&name, 0);
    buf_printf(&name, "%s.tmp-%ld", s->path, (long)getpid());
    buf_take(&name, &text);
    int fd = open(text.data, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        sc_status status = FAIL(err, SC_E_IO, "cannot make %s: %s", errno == EEXIST ? text.data : s->path, strerror(errno));
        sc_text_free(&text);
        return status;
    }
    close(fd);
    s->temporary = text.data;
    return SC_OK;
}

sc_status study_new(struct study **out, const char *path, sc_error *err)
{
    struct study *s = mem_zero(1, sizeof *s);
    char sql[96];
    *out = NULL;
    s->path = mem_strdup(path);
    sc_status status = path_exists(path) ? FAIL(err, SC_E_ARGUMENT, "%s is already there", path) : make_file(s, err);
    if (status == SC_OK) status = open_file(s, s->temporary, no_log, err);
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d", STUDY_APPLICATION, STUDY_FORMAT);
    if (status == SC_OK && (sqlite3_exec(s->db, schema, NULL, NULL, NULL) != SQLITE_OK || sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK))
        status = sql_fail(s, sqlite3_extended_errcode(s->db), "make the tables", err);
    if (status != SC_OK) study_close(s);
    else *out = s;
    return status;
}

sc_status study_publish(struct study *s, sc_error *err)
{
    int code = sqlite3_close(s->db);
    if (code != SQLITE_OK) return sql_fail(s, code, "close it", err);
    s->db = NULL;
    /* A name that somebody took meanwhile stays theirs; file systems that cannot see to that at once are asked first. */
    bool failed = renameat2(AT_FDCWD, s->temporary, AT_FDCWD, s->path, RENAME_NOREPLACE) != 0;
    if (failed && errno == EINVAL) {
        errno = EEXIST;
        failed = path_exists(s->path) || rename(s->temporary, s->path) != 0;
    }
    if (failed && errno == EEXIST) return FAIL(err, SC_E_ARGUMENT, "%s is already there", s->path);
    if (failed) return FAIL(err, SC_E_IO, "cannot give %s its name: %s", s->path, strerror(errno));
    mem_free(s->temporary);
    s->temporary = NULL;
    return SC_OK;
}
