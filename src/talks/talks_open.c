/* talks_open.c - the file of conversations: where it is, what is in it, who is using it.
 *
 * Who writes an answer lives: each handle holds a lock on a byte of its own of conversations.lock (F_OFD_SETLK), and its
 * answers carry the number of that byte. The system lets go of the lock however the process ends, on every kind of machine
 * or container that shares the file, where a process id would mean another process or none. A number that nobody holds
 * belongs to somebody who died; only those answers are ended.
 * Sources: SQLite documentation, "Write-Ahead Logging" and "FTS5"; fcntl_locking(2), open file description locks. */
#include "talks/talks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TALKS_FILE "conversations.db"
#define TALKS_LOCK "conversations.lock"

/* Format 1. Words are indexed when an answer has ended, by triggers, so that nothing can forget it. */
static const char schema[] =
    "CREATE TABLE talks(n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL,"
    " model TEXT, system TEXT, settings TEXT NOT NULL, few_shot TEXT, leaf INTEGER);"
    "CREATE INDEX talks_updated ON talks(updated, n);"
    "CREATE TABLE messages(n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, talk INTEGER NOT NULL REFERENCES talks(n) ON DELETE CASCADE,"
    " parent INTEGER REFERENCES messages(n), role TEXT NOT NULL, content TEXT NOT NULL, created INTEGER NOT NULL, model TEXT, status TEXT NOT NULL,"
    " stats TEXT NOT NULL, error TEXT, owner INTEGER);"
    "CREATE INDEX messages_talk ON messages(talk, n);"
    "CREATE INDEX messages_parent ON messages(parent);"
    "CREATE INDEX messages_owner ON messages(owner) WHERE owner IS NOT NULL;"
    "CREATE VIRTUAL TABLE title_words USING fts5(title, content='talks', content_rowid='n', tokenize='unicode61 remove_diacritics 2');"
    "CREATE VIRTUAL TABLE text_words USING fts5(content, content='messages', content_rowid='n', tokenize='unicode61 remove_diacritics 2');"
    "CREATE TRIGGER talks_new AFTER INSERT ON talks BEGIN INSERT INTO title_words(rowid, title) VALUES(new.n, new.title); END;"
    "CREATE TRIGGER talks_gone AFTER DELETE ON talks BEGIN INSERT INTO title_words(title_words, rowid, title) VALUES('delete', old.n, old.title); END;"
    "CREATE TRIGGER talks_titled AFTER UPDATE OF title ON talks BEGIN INSERT INTO title_words(title_words, rowid, title) VALUES('delete', old.n, old.title);"
    " INSERT INTO title_words(rowid, title) VALUES(new.n, new.title); END;"
    "CREATE TRIGGER messages_new AFTER INSERT ON messages WHEN new.status <> 'generating' BEGIN INSERT INTO text_words(rowid, content) VALUES(new.n, new.content); END;"
    "CREATE TRIGGER messages_gone AFTER DELETE ON messages WHEN old.status <> 'generating' BEGIN"
    " INSERT INTO text_words(text_words, rowid, content) VALUES('delete', old.n, old.content); END;"
    "CREATE TRIGGER messages_out AFTER UPDATE OF content, status ON messages WHEN old.status <> 'generating' BEGIN"
    " INSERT INTO text_words(text_words, rowid, content) VALUES('delete', old.n, old.content); END;"
    "CREATE TRIGGER messages_in AFTER UPDATE OF content, status ON messages WHEN new.status <> 'generating' BEGIN"
    " INSERT INTO text_words(rowid, content) VALUES(new.n, new.content); END;";

/* ---- files ---------------------------------------------------------------------------------------------------------------- */

static bool is_memory(const char *home) { return strcmp(home, ":memory:") == 0; }      /* SQLite's own name for it */

static sc_status make_home(const char *home, sc_error *err)
{
    char *p = mem_strdup(home);
    sc_status status = SC_OK;
    for (char *at = p; *at && status == SC_OK;) {
        at++;
        at += strcspn(at, "/");
        char old = *at;
        *at = 0;
        if (mkdir(p, 0700) != 0 && !path_is_directory(p))
            status = FAIL(err, SC_E_IO, "cannot make the directory %s for conversations: %s; set STARCHAT_HOME to another one", p, strerror(errno));
        *at = old;
    }
    mem_free(p);
    return status;
}

/* Who opens the file or closes it does so alone: SQLite makes, turns into a write-ahead log and deletes its other files then, and where many do that at
 * once one of them can find a file gone ("disk I/O error"). Whoever holds this for long is stopped; then it goes on without, by SQLite's own locks. */
static void door(const sc_talks *t, short type)
{
    struct flock byte = { .l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };
    double until = clock_seconds() + TALKS_WAIT_MS / 1000.0;
    while (fcntl(t->lock, F_OFD_SETLK, &byte) != 0 && type != F_UNLCK && clock_seconds() < until) nanosleep(&(struct timespec){ 0, 2000000 }, NULL);
}

/* Makes the file without opening it: whoever closes a descriptor of it lets go of all locks that this process has on it, those
 * of SQLite for another handle too. SQLite gives its other files the same rights. */
static sc_status make_file(sc_talks *t, sc_error *err)
{
    struct stat st;
    bool ok = (mknod(t->path, S_IFREG | 0600, 0) == 0 || errno == EEXIST) && access(t->path, R_OK | W_OK) == 0 && stat(t->path, &st) == 0;
    if (ok && !S_ISREG(st.st_mode)) {
        ok = false;
        errno = EISDIR;
    }
    if (!ok) return FAIL(err, SC_E_IO, "%s cannot be written (%s), so no conversation is kept; make it writable, or set STARCHAT_HOME to another directory", t->path, strerror(errno));
    if (st.st_uid == geteuid() && (st.st_mode & 077)) (void)chmod(t->path, 0600);
    t->device = st.st_dev;
    t->inode = st.st_ino;
    return SC_OK;
}

/* The name and those of SQLite's other files, while `conversations.lock` is held: two that find the damage move it once. */
void talks_set_aside(const sc_talks *t, struct buf *name)
{
    static const char *const parts[] = { "", "-wal", "-shm" };
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };
    char stamp[32], path[4096];
    struct tm tm;
    time_t now = time(NULL);
    struct buf to;
    struct stat st;
    buf_init(&to, 0);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", localtime_r(&now, &tm));
    buf_printf(name, "%s.damaged-%s", t->path, stamp);
    if (fcntl(t->lock, F_OFD_SETLKW, &whole) != 0 || path_exists(name->data) || stat(t->path, &st) != 0 || st.st_ino != t->inode || st.st_dev != t->device) buf_clear(name);
    for (size_t i = 0; i < 3 && name->len; i++) {
        buf_clear(&to);
        buf_printf(&to, "%s%s", name->data, parts[i]);
        snprintf(path, sizeof path, "%s%s", t->path, parts[i]);
        if (rename(path, to.data) != 0 && i == 0) buf_clear(name);
    }
    whole.l_type = F_UNLCK;
    (void)fcntl(t->lock, F_OFD_SETLK, &whole);
    buf_release(&to);
}

/* ---- owners ------------------------------------------------------------------------------------------------------------------ */

static sc_status take_owner(sc_talks *t, const char *home, sc_error *err)
{
    char *path = path_join(home, TALKS_LOCK);
    sc_status status = SC_OK;
    t->lock = is_memory(home) ? memfd_create(TALKS_LOCK, MFD_CLOEXEC) : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (t->lock < 0)
        status = FAIL(err, SC_E_IO, "%s cannot be written (%s), so no conversation is kept; make it writable, or set STARCHAT_HOME to another directory", path, strerror(errno));
    while (status == SC_OK) {
        system_random(&t->owner, sizeof t->owner);
        t->owner = (t->owner & INT64_C(0x3fffffffffffffff)) + 1;
        struct flock byte = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = t->owner, .l_len = 1 };
        if (fcntl(t->lock, F_OFD_SETLK, &byte) == 0) break;
        if (errno != EAGAIN && errno != EACCES) status = FAIL(err, SC_E_IO, "%s cannot be locked (%s); set STARCHAT_HOME to a directory on a file system with locks", path, strerror(errno));
    }
    mem_free(path);
    return status;
}

/* Where locks cannot be asked about, everybody lives. */
bool talks_owner_lives(const sc_talks *t, int64_t owner)
{
    struct flock byte = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = owner, .l_len = 1 };
    if (owner == t->owner) return true;
    if (owner <= 0) return false;
    return fcntl(t->lock, F_OFD_GETLK, &byte) != 0 || byte.l_type != F_UNLCK;
}

sc_status talks_sweep(sc_talks *t, sc_error *err)
{
    sqlite3_stmt *q;
    int64_t dead[64];
    size_t n = 0;
    bool row = true;
    TRY(talks_query(&q, t, err, "SELECT DISTINCT owner FROM messages WHERE owner IS NOT NULL", ""));
    while (q && row) {
        TRY(talks_step(t, &q, &row, err));
        if (row && n < 64 && !talks_owner_lives(t, sqlite3_column_int64(q, 0))) dead[n++] = sqlite3_column_int64(q, 0);
    }
    for (size_t i = 0; i < n; i++) TRY(talks_run(t, err, "UPDATE messages SET status = 'stopped', owner = NULL WHERE owner = ?1", "i", dead[i]));
    return SC_OK;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------ */

static sc_status check_format(sc_talks *t, int64_t *format, sc_error *err)
{
    int64_t application, tables;
    TRY(talks_number(format, 0, t, err, "PRAGMA user_version", ""));
    TRY(talks_number(&application, 0, t, err, "PRAGMA application_id", ""));
    TRY(talks_number(&tables, 0, t, err, "SELECT count(*) FROM sqlite_schema", ""));
    if (tables && application != TALKS_APPLICATION)
        return FAIL(err, SC_E_FORMAT, "%s is a database of another program; move it away, or set STARCHAT_HOME to another directory", t->path);
    if (*format > TALKS_FORMAT)
        return FAIL(err, SC_E_UNSUPPORTED, "%s was written by a newer starchat (format %lld, this one knows %d); install that version, or set STARCHAT_HOME to another directory",
                    t->path, (long long)*format, TALKS_FORMAT);
    return SC_OK;
}

static sc_status prepare_file(sc_talks *t, void *unused, sc_error *err)
{
    int64_t format;
    (void)unused;
    TRY(check_format(t, &format, err));
    if (format == 0) {
        char *reason = NULL;
        if (sqlite3_exec(t->db, schema, NULL, NULL, &reason) != SQLITE_OK) {
            int code = sqlite3_extended_errcode(t->db);
            sc_status status = reason && strstr(reason, "fts5")
                ? FAIL(err, SC_E_UNSUPPORTED, "SQLite %s on this machine was built without FTS5, by which conversations are searched; install one with it (Debian's libsqlite3-0 has it)", sqlite3_libversion())
                : talks_fail(t, code, "make the tables", err);
            sqlite3_free(reason);
            return status;
        }
        char pragmas[96];
        snprintf(pragmas, sizeof pragmas, "PRAGMA application_id = %d; PRAGMA user_version = %d", TALKS_APPLICATION, TALKS_FORMAT);
        if (sqlite3_exec(t->db, pragmas, NULL, NULL, NULL) != SQLITE_OK) return talks_fail(t, sqlite3_extended_errcode(t->db), "make the tables", err);
    }
    return talks_sweep(t, err);
}

/* Is there something to do that needs the right to write? Most starts find nothing. */
static sc_status needs_work(sc_talks *t, void *arg, sc_error *err)
{
    int64_t format, owned = 0;
    TRY(check_format(t, &format, err));
    if (format == TALKS_FORMAT) TRY(talks_number(&owned, 0, t, err, "SELECT count(*) FROM messages WHERE owner IS NOT NULL", ""));
    *(bool *)arg = format != TALKS_FORMAT || owned;
    return SC_OK;
}

/* A small cache: the chat has little room, and conversations are read once. Sorting makes no files in /tmp, where a locked-down server may
 * not. A commit is safe from a crash of the program; after one of the machine the file is whole, the last moments may miss. */
static sc_status open_database(sc_talks *t, sc_error *err)
{
    static const char settings[] = "PRAGMA synchronous = NORMAL; PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -256;"
                                   "PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 4194304; PRAGMA secure_delete = FAST; PRAGMA cell_size_check = ON;";
    bool is_work = false;
    if (!is_memory(t->path)) TRY(make_file(t, err));
    int code = sqlite3_open_v2(t->path, &t->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) {
        sqlite3_extended_result_codes(t->db, 1);
        sqlite3_busy_timeout(t->db, TALKS_WAIT_MS);
        (void)sqlite3_db_config(t->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        code = sqlite3_exec(t->db, settings, NULL, NULL, NULL);
        if (code != SQLITE_OK) code = sqlite3_extended_errcode(t->db);
    }
    if (code != SQLITE_OK) return talks_fail(t, code, "open it", err);
    TRY(talks_look(t, needs_work, &is_work, err));
    return is_work ? talks_write(t, prepare_file, NULL, err) : SC_OK;
}

static void close_files(sc_talks *t)
{
    if (t->lock >= 0) door(t, F_WRLCK);
    sqlite3_close(t->db);
    if (t->lock >= 0) close(t->lock);                   /* lets go of all locks */
    for (struct talks_answer *a = t->answers, *next; a; a = next) {
        next = a->next;
        mem_free(a);
    }
    pthread_mutex_destroy(&t->mutex);
    mem_free(t->path);
    mem_free(t);
}

sc_status sc_talks_open(sc_talks **out, const char *home, sc_error *err)
{
    *out = NULL;
    if (!home || !*home) return FAIL(err, SC_E_ARGUMENT, "no directory for conversations was given; sc_store_home tells the usual one");
    if (!is_memory(home)) TRY(make_home(home, err));
    sc_talks *t = mem_zero(1, sizeof *t);
    t->lock = -1;
    t->path = is_memory(home) ? mem_strdup(home) : path_join(home, TALKS_FILE);
    pthread_mutex_init(&t->mutex, NULL);
    sc_status status = take_owner(t, home, err);
    if (status == SC_OK) {
        door(t, F_WRLCK);
        status = open_database(t, err);
        door(t, F_UNLCK);
    }
    if (status != SC_OK) close_files(t);
    else *out = t;
    return status;
}

static sc_status end_own(sc_talks *t, void *unused, sc_error *err)
{
    (void)unused;
    return talks_run(t, err, "UPDATE messages SET status = 'stopped', owner = NULL WHERE owner = ?1", "i", t->owner);
}

void sc_talks_close(sc_talks *t)
{
    if (!t) return;
    if (t->answers && !t->is_broken) (void)talks_write(t, end_own, NULL, NULL);
    close_files(t);
}
