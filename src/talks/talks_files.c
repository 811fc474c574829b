/* talks_files.c - conversations out of the file and into it: exports, imports, and what earlier versions kept. */
#include "talks/talks.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* ---- export ------------------------------------------------------------------------------------------------------------------ */

struct outgoing { const char *id; bool is_markdown; struct buf out; };

static sc_status put_one(sc_talks *t, struct outgoing *o, int64_t number, sc_error *err)
{
    struct talk k;
    sc_status status = talks_load_at(&k, t, number, true, err);
    if (status == SC_OK && o->is_markdown) markdown_write(&o->out, &k);
    else if (status == SC_OK) talk_put_json(&o->out, &k, true);
    talk_release(&k);
    return status;
}

static sc_status put_all(sc_talks *t, struct outgoing *o, sc_error *err)
{
    sqlite3_stmt *q;
    bool row = true, is_first = true;
    TRY(talks_query(&q, t, err, "SELECT n FROM talks ORDER BY n", ""));
    while (row) {
        TRY(talks_step(t, &q, &row, err));
        if (!row) break;
        if (!is_first) buf_puts(&o->out, ",\n");
        is_first = false;
        sc_status status = put_one(t, o, sqlite3_column_int64(q, 0), err);
        if (status != SC_OK) {
            sqlite3_finalize(q);
            return status;
        }
    }
    return SC_OK;
}

static sc_status do_export(sc_talks *t, void *arg, sc_error *err)
{
    struct outgoing *o = arg;
    int64_t number = 0;
    if (o->id) TRY(talks_find(&number, t, o->id, err));
    if (o->is_markdown) return put_one(t, o, number, err);
    talk_put_head(&o->out, talk_now());
    TRY(o->id ? put_one(t, o, number, err) : put_all(t, o, err));
    talk_put_tail(&o->out);
    return SC_OK;
}

sc_status sc_talks_export(sc_text *out, sc_talks *t, const char *id, const char *format, sc_error *err)
{
    struct outgoing o = { .id = id, .is_markdown = strcmp(format, "markdown") == 0 };
    *out = (sc_text){ 0 };
    if (!o.is_markdown && strcmp(format, "json") != 0) return FAIL(err, SC_E_ARGUMENT, "the format is \"%.40s\", expected json or markdown", format);
    if (o.is_markdown && !id) return FAIL(err, SC_E_ARGUMENT, "Markdown holds one conversation; name one, or export all as json");
    buf_init(&o.out, 0);
    sc_status status = talks_look(t, do_export, &o, err);
    if (status == SC_OK) buf_take(&o.out, out);
    buf_release(&o.out);
    return status;
}

enum { LARGE_IMPORT = 1 << 20 };

/* ---- import -------------------------------------------------------------------------------------------------------------------- */

struct incoming {
    sc_talks *t;
    const char *text, *what; size_t len;
    const char *id; int64_t time;                     /* of a file that has none itself; NULL: as the conversation says */
    int64_t now;
    size_t imported, skipped;
    struct buf ids;
};

/* New ids that are the same for the same conversation, so that a second import finds it. */
static void rename_talk(struct talk *k)
{
    struct buf all;
    char id[TALK_ID_BYTES + 1];
    buf_init(&all, 0);
    for (size_t i = 0; i < k->n; i++) buf_printf(&all, "%td %s %zu %s\n", k->message[i].parent, k->message[i].role, strlen(k->message[i].content), k->message[i].content);
    talk_derived_id(id, k->id, all.data ? all.data : "");
    talk_set(&k->id, mem_strdup(id));
    buf_release(&all);
}

static void rename_messages(struct talk *k)
{
    char id[TALK_ID_BYTES + 1], number[32];
    for (size_t i = 0; i < k->n; i++) {
        snprintf(number, sizeof number, "%zu", i);
        talk_derived_id(id, k->id, number);
        talk_set(&k->message[i].id, mem_strdup(id));
    }
}

/* Is one of these ids taken? Ids are the same for all conversations, and exports of ChatGPT share them between branches. */
static sc_status messages_clash(bool *clash, sc_talks *t, const struct talk *k, sc_error *err)
{
    int64_t there = 0;
    *clash = false;
    for (size_t i = 0; i < k->n && !*clash; i++) {
        if (k->message[i].id) TRY(talks_number(&there, 0, t, err, "SELECT 1 FROM messages WHERE id = ?1", "t", k->message[i].id));
        *clash = there != 0;
    }
    return SC_OK;
}

/* *is_there: one with this id is; *is_same: and holds all of it. */
static sc_status compare(bool *is_there, bool *is_same, sc_talks *t, const struct talk *k, sc_error *err)
{
    struct talk old;
    int64_t number;
    *is_same = false;
    TRY(talks_number(&number, 0, t, err, "SELECT n FROM talks WHERE id = ?1", "t", k->id));
    *is_there = number != 0;
    if (!number) return SC_OK;
    sc_status status = talks_load_at(&old, t, number, true, err);
    *is_same = status == SC_OK && talk_is_part(k, &old);
    talk_release(&old);
    return status;
}

static sc_status take_talk(void *user, struct talk *k, sc_error *err)
{
    struct incoming *in = user;
    bool is_there, is_same = false, clash = false;
    if (in->id) {
        talk_set(&k->id, mem_strdup(in->id));
        k->created = k->updated = in->time;
        for (size_t i = 0; i < k->n; i++) k->message[i].created = in->time;
    }
    if (!k->id) {
        k->id = mem_strdup("");
        rename_talk(k);
    }
    TRY(compare(&is_there, &is_same, in->t, k, err));
    if (is_there && !is_same) {
        rename_talk(k);
        TRY(compare(&is_there, &is_same, in->t, k, err));
        clash = true;
    }
    if (is_same || is_there) {
        in->skipped++;
        return SC_OK;
    }
    if (!clash) TRY(messages_clash(&clash, in->t, k, err));
    if (clash) rename_messages(k);
    TRY(talks_insert(in->t, k, err));
    if (in->imported++) buf_putc(&in->ids, ',');
    buf_put_json_string(&in->ids, k->id, strlen(k->id));
    return SC_OK;
}

static sc_status do_import(sc_talks *t, void *arg, sc_error *err)
{
    struct incoming *in = arg;
    in->t = t;
    if (in->len > LARGE_IMPORT) TRY(talks_run(t, err, "PRAGMA cache_size = -16384", ""));
    return talk_read_file(in->text, in->len, in->what, in->now, take_talk, in, err);
}

sc_status sc_talks_import(sc_text *json, sc_talks *t, const char *text, size_t len, const char *what, sc_error *err)
{
    struct incoming in = { .text = text, .what = what ? what : "the file", .len = len, .now = talk_now() };
    struct buf out;
    *json = (sc_text){ 0 };
    buf_init(&in.ids, 0);
    sc_status status = talks_write(t, do_import, &in, err);
    pthread_mutex_lock(&t->mutex);
    (void)sqlite3_exec(t->db, "PRAGMA cache_size = -256", NULL, NULL, NULL);
    pthread_mutex_unlock(&t->mutex);
    if (status == SC_OK) {
        buf_init(&out, 0);
        buf_printf(&out, "{\"imported\":%zu,\"skipped\":%zu,\"ids\":[%s]}", in.imported, in.skipped, in.ids.data ? in.ids.data : "");
        buf_take(&out, json);
    }
    buf_release(&in.ids);
    return status;
}

/* ---- what earlier versions kept ---------------------------------------------------------------------------------------------------- */

enum { KEPT_BYTES_MAX = 64 << 20 };
struct kept { const char *directory; size_t imported, failed; sc_error first; };

/* The time of its last writing is the conversation's, its name the id. */
static sc_status import_file(sc_talks *t, struct kept *kept, const char *name, sc_error *err)
{
    sc_text text = { 0 };
    struct stat st = { 0 };
    char id[TALK_ID_BYTES + 1];
    sc_error reason = { 0 };
    char *path = path_join(kept->directory, name);
    talk_derived_id(id, "kept", name);
    struct incoming in = { .t = t, .what = name, .id = id };
    buf_init(&in.ids, 0);
    sc_status status = stat(path, &st) == 0 && S_ISREG(st.st_mode) ? file_read(&text, path, KEPT_BYTES_MAX, &reason) : SC_E_FORMAT;
    in.time = in.now = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    if (status == SC_OK) status = talk_read_file(text.data, text.len, name, in.now, take_talk, &in, &reason);
    kept->imported += in.imported;
    if (status == SC_E_FORMAT && !t->is_broken) {                      /* of the file; a failure of the store ends it all */
        if (!kept->failed++) kept->first = reason;
        status = SC_OK;
    } else if (status != SC_OK && err) *err = reason;
    buf_release(&in.ids);
    sc_text_free(&text);
    mem_free(path);
    return status;
}

static sc_status do_kept(sc_talks *t, void *arg, sc_error *err)
{
    struct kept *kept = arg;
    DIR *d = opendir(kept->directory);
    sc_status status = SC_OK;
    for (struct dirent *e; d && status == SC_OK && (e = readdir(d));)
        if (e->d_name[0] != '.' && path_ends_with(e->d_name, ".json")) status = import_file(t, kept, e->d_name, err);
    if (d) closedir(d);
    return status;
}

/* Where the name is taken, the time makes another. */
static bool set_away(const char *directory, char *to, size_t to_bytes)
{
    snprintf(to, to_bytes, "%s.imported", directory);
    if (path_exists(to)) snprintf(to, to_bytes, "%s.imported-%lld", directory, (long long)time(NULL));
    return rename(directory, to) == 0;
}

sc_status sc_talks_import_kept(sc_text *note, sc_talks *t, sc_error *err)
{
    char *directory = mem_strndup(t->path, strlen(t->path) - strlen(".db")), to[4096];
    struct kept kept = { .directory = directory };
    struct buf b;
    sc_status status = SC_OK;
    *note = (sc_text){ 0 };
    buf_init(&b, 0);
    if (path_is_directory(directory)) {
        status = talks_write(t, do_kept, &kept, err);
        bool is_away = status == SC_OK && set_away(directory, to, sizeof to);
        if (status == SC_OK && (is_away || errno != ENOENT)) {
            buf_printf(&b, "%zu conversation%s of %s %s now in %s", kept.imported, kept.imported == 1 ? "" : "s", directory, kept.imported == 1 ? "is" : "are", t->path);
            if (kept.failed) buf_printf(&b, "; %zu could not be read (%s)", kept.failed, kept.first.message);
            if (is_away) buf_printf(&b, "; the files are in %s", to);
            else buf_printf(&b, "; the directory cannot be renamed (%s), please move it away", strerror(errno));
            buf_take(&b, note);
        }
    }
    mem_free(directory);
    return status;
}
