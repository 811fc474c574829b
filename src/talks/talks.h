/* talks.h - conversations: trees of messages, kept by all processes of one person in one SQLite file, and their other
 * forms (our JSON, Markdown, exports of ChatGPT).
 *
 * The public side is sc_talks_* of starchat.h. A `struct talk` is one conversation in memory: what the file holds, what
 * an importer reads and what an exporter writes. Everything an importer sees comes from strangers. Layer 4: base. */
#ifndef TALKS_H
#define TALKS_H

#include <pthread.h>
#include <sqlite3.h>

#include "base/base.h"

/* ---- talk.c: one conversation in memory --------------------------------------------------------------------------------- */

enum {
    TALK_MESSAGES_MAX = 100000, TALK_ID_BYTES = 22, TALK_ID_MAX = 64, TALK_TITLE_MAX = 400, TALK_FIRST_LINE_MAX = 80,
    TALK_OBJECT_MAX = 64 << 10,                   /* bytes of settings and of stats */
    TALK_SEPARATOR_MAX = 8
};
/* Strings are owned, whole UTF-8 without NUL. Times are milliseconds since 1970. A parent stands before its children. */
struct talk_message {
    char *id; ptrdiff_t parent;                   /* id NULL: none yet; parent -1: a root */
    char *role, *content;                         /* role: user, assistant */
    int64_t created;
    char *model, *status, *stats, *error;         /* stats: a JSON object; model and error may be NULL */
    int64_t number;                               /* row of the file */
    bool is_foreign;                              /* being written by another process */
};
struct talk {
    char *id, *title, *model, *system, *settings, *few_shot;      /* id, model, system and few_shot may be NULL; settings: a JSON object */
    int64_t created, updated, number;
    ptrdiff_t leaf;                               /* -1: none */
    struct talk_message *message; size_t n, cap;
};
void talk_init(struct talk *k);
void talk_release(struct talk *k);
/* Zeroed but for parent -1, status "done" and stats "{}". Borrowed until the next add. */
struct talk_message *talk_add(struct talk *k, const char *role);
char *talk_text(const char *text, size_t len);                     /* repaired, without NUL; mem_free it */
char *talk_title(const char *text, size_t len, size_t max);        /* one line of at most `max` bytes; mem_free it */
void  talk_set(char **field, char *owned);                         /* frees what was there */
void  talk_title_from_messages(struct talk *k);                    /* if it has none: the first line of the first message */
int64_t talk_now(void);
void  talk_new_id(char out[TALK_ID_BYTES + 1]);                    /* 128 random bits */
bool  talk_id_is_valid(const char *id);
/* The same for the same two texts. */
void  talk_derived_id(char out[TALK_ID_BYTES + 1], const char *a, const char *b);
bool  talk_role_is_known(const char *role);
bool  talk_status_is_known(const char *status);
/* Indices of the messages from the root to `leaf`, in `out` of k->n places; returns how many. */
size_t talk_path(const struct talk *k, ptrdiff_t leaf, size_t *out);
/* Is every message of `a` in `b`, at the same place of the tree? */
bool  talk_is_part(const struct talk *a, const struct talk *b);

/* ---- talk_json.c -------------------------------------------------------------------------------------------------------------- */

void talk_put_json(struct buf *out, const struct talk *k, bool messages);      /* shapes of docs/page-api.md */
void talk_put_message(struct buf *out, const struct talk *k, size_t i);
void talk_put_time(struct buf *out, int64_t ms);
void talk_put_head(struct buf *out, int64_t now);                  /* of a file of conversations, then those with commas, then the tail */
void talk_put_tail(struct buf *out);
/* A conversation as the page has it, or as /save writes it (messages in one line, no ids). Times that are missing are `now`. */
sc_status talk_from_json(struct talk *out, const json_t *o, int64_t now, sc_error *err);
/* Milliseconds of the member, a number of seconds; `fallback` if it is absent or null. */
sc_status talk_time(int64_t *out, const json_t *o, const char *key, int64_t fallback, sc_error *err);
/* An object as compact text, at most TALK_OBJECT_MAX bytes; NULL or null: "{}". */
sc_status talk_object(char **out, const json_t *value, const char *what, sc_error *err);

/* ---- talk_chatgpt.c, talk_markdown.c --------------------------------------------------------------------------------------------- */

bool      chatgpt_is(const json_t *o);
sc_status chatgpt_read(struct talk *out, const json_t *o, int64_t now, sc_error *err);
void      markdown_write(struct buf *out, const struct talk *k);   /* the path to the leaf */
bool      markdown_is(const char *text, size_t len);
sc_status markdown_read(struct talk *out, const char *text, size_t len, int64_t now, sc_error *err);

/* ---- talk_read.c: any of these files, one conversation in memory at a time ---------------------------------------------------------- */

/* Hands each conversation to `take`, which may empty it; ends with its failure. */
typedef sc_status (*talk_sink)(void *user, struct talk *k, sc_error *err);
sc_status talk_read_file(const char *text, size_t len, const char *what, int64_t now, talk_sink take, void *user, sc_error *err);

/* ---- talks_sql.c: the file ------------------------------------------------------------------------------------------------------------ */

struct talks_answer { char id[TALK_ID_MAX + 1]; int64_t written; struct talks_answer *next; };    /* being written by this handle */
struct sc_talks {
    sqlite3 *db;
    pthread_mutex_t mutex;
    char *path;
    int lock;                                     /* file whose bytes say which handles live */
    int64_t owner;                                /* this handle's byte */
    uint64_t device, inode;                       /* of the file, to know it from one that took its name */
    bool is_broken;                               /* damaged and set aside */
    bool wants_index;                             /* the index of words is damaged: it is made anew before the next call */
    struct talks_answer *answers;
};
/* The sentence for what SQLite says; what is damaged is set aside. */
sc_status talks_fail(sc_talks *t, int code, const char *doing, sc_error *err);
/* Values for ?1, ?2 ...: types 't' const char * (NULL: null), 'i' int64_t. */
sc_status talks_run(sc_talks *t, sc_error *err, const char *sql, const char *types, ...);
sc_status talks_query(sqlite3_stmt **out, sc_talks *t, sc_error *err, const char *sql, const char *types, ...);
/* *row: there is one. Finalises the statement, and empties *q, when there is none or it failed. */
sc_status talks_step(sc_talks *t, sqlite3_stmt **q, bool *row, sc_error *err);
/* The first column of the first row, `fallback` without one. */
sc_status talks_number(int64_t *out, int64_t fallback, sc_talks *t, sc_error *err, const char *sql, const char *types, ...);
const char *talks_column(sqlite3_stmt *q, int column);             /* "" for null */
char *talks_column_copy(sqlite3_stmt *q, int column);              /* NULL for null; mem_free it */
/* `work` in a transaction, alone in this process; all of it happens or nothing. */
typedef sc_status (*talks_work)(sc_talks *t, void *arg, sc_error *err);
sc_status talks_write(sc_talks *t, talks_work work, void *arg, sc_error *err);
sc_status talks_look(sc_talks *t, talks_work work, void *arg, sc_error *err);       /* reads one moment of the file */

/* ---- talks_open.c ------------------------------------------------------------------------------------------------------------------------ */

enum { TALKS_FORMAT = 1, TALKS_APPLICATION = 0x53746368, TALKS_WAIT_MS = 15000, TALKS_PARTIAL_WAIT_MS = 50, TALKS_WRITE_MS = 250 };
/* Answers whose writer is gone become "stopped". Within a transaction that writes. */
sc_status talks_sweep(sc_talks *t, sc_error *err);
bool      talks_owner_lives(const sc_talks *t, int64_t owner);
void      talks_set_aside(const sc_talks *t, struct buf *name);    /* renames the file; `name` empty: it could not */

/* ---- talks.c, talks_messages.c: within a transaction -------------------------------------------------------------------------------------- */

sc_status talks_load(struct talk *out, sc_talks *t, const char *id, bool messages, sc_error *err);
sc_status talks_load_at(struct talk *out, sc_talks *t, int64_t number, bool messages, sc_error *err);
sc_status talks_find(int64_t *number, sc_talks *t, const char *id, sc_error *err);
/* Row of a message of the conversation; `id` NULL: 0. */
sc_status talks_find_message(int64_t *number, sc_talks *t, int64_t talk, const char *id, sc_error *err);
/* New rows; ids that are NULL are made. Fills the numbers. */
sc_status talks_insert(sc_talks *t, struct talk *k, sc_error *err);

#endif
