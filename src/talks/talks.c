/* talks.c - conversations in the file: made, read, changed, found, removed. */
#include "talks/talks.h"

#include <string.h>

/* ---- reading --------------------------------------------------------------------------------------------------------------- */

sc_status talks_find(int64_t *number, sc_talks *t, const char *id, sc_error *err)
{
    char quoted[80];
    *number = 0;
    if (id) TRY(talks_number(number, 0, t, err, "SELECT n FROM talks WHERE id = ?1", "t", id));
    return *number ? SC_OK : FAIL(err, SC_E_ARGUMENT, "there is no conversation \"%s\"; it may have been deleted", error_quote(quoted, sizeof quoted, id ? id : "", id ? strlen(id) : 0));
}

sc_status talks_find_message(int64_t *number, sc_talks *t, int64_t talk, const char *id, sc_error *err)
{
    char quoted[80];
    *number = 0;
    if (!id) return SC_OK;
    TRY(talks_number(number, 0, t, err, "SELECT n FROM messages WHERE id = ?1 AND talk = ?2", "ti", id, talk));
    return *number ? SC_OK : FAIL(err, SC_E_ARGUMENT, "there is no message \"%s\" in this conversation", error_quote(quoted, sizeof quoted, id, strlen(id)));
}

/* Place of the row among those read so far, which rise; -1 if it is not there. */
static ptrdiff_t place_of(const struct talk *k, int64_t number)
{
    size_t low = 0, high = k->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (k->message[middle].number < number) low = middle + 1;
        else high = middle;
    }
    return low < k->n && k->message[low].number == number ? (ptrdiff_t)low : -1;
}

static void take_message(struct talk *k, sc_talks *t, sqlite3_stmt *q)
{
    int64_t number = sqlite3_column_int64(q, 0), parent = sqlite3_column_int64(q, 2);
    ptrdiff_t above = parent ? place_of(k, parent) : -1;
    struct talk_message *m = talk_add(k, talks_column(q, 3));
    m->number = number;
    m->parent = above;
    m->id = talks_column_copy(q, 1);
    talk_set(&m->content, talk_text(talks_column(q, 4), (size_t)sqlite3_column_bytes(q, 4)));
    m->created = sqlite3_column_int64(q, 5);
    m->model = talks_column_copy(q, 6);
    talk_set(&m->status, mem_strdup(talks_column(q, 7)));
    talk_set(&m->stats, mem_strdup(talks_column(q, 8)));
    m->error = talks_column_copy(q, 9);
    /* A writer that died since this handle was opened is seen here, and swept by the next who opens the file. */
    if (sqlite3_column_type(q, 10) != SQLITE_NULL && !talks_owner_lives(t, sqlite3_column_int64(q, 10))) talk_set(&m->status, mem_strdup("stopped"));
}

static sc_status load_messages(struct talk *k, sc_talks *t, sc_error *err)
{
    sqlite3_stmt *q;
    bool row = true;
    TRY(talks_query(&q, t, err, "SELECT n, id, parent, role, content, created, model, status, stats, error, owner FROM messages WHERE talk = ?1 ORDER BY n", "i", k->number));
    while (row) {
        TRY(talks_step(t, &q, &row, err));
        if (row) take_message(k, t, q);
    }
    return SC_OK;
}

/* Without messages the leaf is one message that has nothing but its id, so that it can be written. */
static sc_status load_leaf(struct talk *k, sc_talks *t, int64_t leaf, bool messages, sc_error *err)
{
    sqlite3_stmt *q;
    bool row = false;
    if (messages) k->leaf = leaf ? place_of(k, leaf) : -1;
    if (messages || !leaf) return SC_OK;
    TRY(talks_query(&q, t, err, "SELECT id FROM messages WHERE n = ?1", "i", leaf));
    TRY(talks_step(t, &q, &row, err));
    if (!row) return SC_OK;
    talk_add(k, "user")->id = talks_column_copy(q, 0);
    k->leaf = 0;
    sqlite3_finalize(q);
    return SC_OK;
}

sc_status talks_load_at(struct talk *out, sc_talks *t, int64_t number, bool messages, sc_error *err)
{
    sqlite3_stmt *q;
    bool row;
    talk_init(out);
    TRY(talks_query(&q, t, err, "SELECT id, title, created, updated, model, system, settings, few_shot, leaf FROM talks WHERE n = ?1", "i", number));
    TRY(talks_step(t, &q, &row, err));
    if (!row) return FAIL(err, SC_E_ARGUMENT, "there is no such conversation; it may have been deleted");
    out->number = number;
    out->id = talks_column_copy(q, 0);
    talk_set(&out->title, mem_strdup(talks_column(q, 1)));
    out->created = sqlite3_column_int64(q, 2);
    out->updated = sqlite3_column_int64(q, 3);
    out->model = talks_column_copy(q, 4);
    out->system = talks_column_copy(q, 5);
    talk_set(&out->settings, mem_strdup(talks_column(q, 6)));
    out->few_shot = talks_column_copy(q, 7);
    int64_t leaf = sqlite3_column_int64(q, 8);
    sqlite3_finalize(q);
    if (messages) TRY(load_messages(out, t, err));
    return load_leaf(out, t, leaf, messages, err);
}

sc_status talks_load(struct talk *out, sc_talks *t, const char *id, bool messages, sc_error *err)
{
    int64_t number;
    talk_init(out);
    TRY(talks_find(&number, t, id, err));
    talk_release(out);
    return talks_load_at(out, t, number, messages, err);
}

/* ---- writing ----------------------------------------------------------------------------------------------------------------- */

static sc_status insert_message(sc_talks *t, struct talk *k, struct talk_message *m, sc_error *err)
{
    char id[TALK_ID_BYTES + 1];
    if (!m->id) {
        talk_new_id(id);
        m->id = mem_strdup(id);
    }
    int64_t parent = m->parent >= 0 ? k->message[m->parent].number : 0;
    TRY(talks_run(t, err, "INSERT INTO messages(id, talk, parent, role, content, created, model, status, stats, error, owner)"
                  " VALUES(?1, ?2, nullif(?3, 0), ?4, ?5, ?6, ?7, ?8, ?9, ?10, nullif(?11, 0))", "tiittitttti", m->id, k->number, parent,
                  m->role, m->content, m->created, m->model, m->status, m->stats, m->error, strcmp(m->status, "generating") == 0 ? t->owner : INT64_C(0)));
    m->number = sqlite3_last_insert_rowid(t->db);
    return SC_OK;
}

sc_status talks_insert(sc_talks *t, struct talk *k, sc_error *err)
{
    char id[TALK_ID_BYTES + 1];
    if (!k->id) {
        talk_new_id(id);
        k->id = mem_strdup(id);
    }
    TRY(talks_run(t, err, "INSERT INTO talks(id, title, created, updated, model, system, settings, few_shot) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)", "ttiitttt",
                  k->id, k->title, k->created, k->updated, k->model, k->system, k->settings, k->few_shot));
    k->number = sqlite3_last_insert_rowid(t->db);
    for (size_t i = 0; i < k->n; i++) TRY(insert_message(t, k, &k->message[i], err));
    if (k->leaf >= 0) TRY(talks_run(t, err, "UPDATE talks SET leaf = ?2 WHERE n = ?1", "ii", k->number, k->message[k->leaf].number));
    return SC_OK;
}

/* ---- calls --------------------------------------------------------------------------------------------------------------------- */

struct change { const char *id; json_t *fields; struct talk talk; bool messages; };

static sc_status take_text(char **out, const json_t *value, const char *key, sc_error *err)
{
    if (json_is_null(value)) {
        talk_set(out, NULL);
        return SC_OK;
    }
    if (!json_is_string(value)) return FAIL(err, SC_E_ARGUMENT, "\"%s\" is no text", key);
    talk_set(out, talk_text(json_string_value(value), json_string_length(value)));
    return SC_OK;
}

static sc_status take_field(struct talk *k, const char *key, const json_t *value, sc_error *err)
{
    char *settings, quoted[48];
    if (strcmp(key, "model") == 0) return take_text(&k->model, value, key, err);
    if (strcmp(key, "system") == 0) return take_text(&k->system, value, key, err);
    if (strcmp(key, "few_shot") == 0) return take_text(&k->few_shot, value, key, err);
    if (strcmp(key, "title") == 0) {
        TRY(take_text(&k->title, value, key, err));
        const char *title = k->title ? k->title : "";
        talk_set(&k->title, talk_title(title, strlen(title), TALK_TITLE_MAX));
        return SC_OK;
    }
    if (strcmp(key, "settings") == 0) {
        sc_status status = talk_object(&settings, value, key, err);
        if (status != SC_OK) return error_prefix(err, SC_E_ARGUMENT, "the conversation");
        talk_set(&k->settings, settings);
        return SC_OK;
    }
    return FAIL(err, SC_E_ARGUMENT, "unknown member \"%s\"; a conversation has title, model, system, settings, few_shot, leaf", error_quote(quoted, sizeof quoted, key, strlen(key)));
}

static sc_status read_fields(json_t **out, const char *fields, sc_error *err)
{
    *out = NULL;
    if (fields && json_read(out, fields, strlen(fields), "the conversation", err) != SC_OK) return SC_E_ARGUMENT;
    if (!fields || json_is_object(*out)) return SC_OK;
    json_decref(*out);
    *out = NULL;
    return FAIL(err, SC_E_ARGUMENT, "the conversation is no JSON object");
}

static sc_status apply_fields(struct change *c, sc_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(c->fields, key, value)
        if (strcmp(key, "leaf") != 0) TRY(take_field(&c->talk, key, value, err));
    return SC_OK;
}

static sc_status do_create(sc_talks *t, void *arg, sc_error *err)
{
    struct change *c = arg;
    return talks_insert(t, &c->talk, err);
}

/* "leaf" is null or the id of a message. */
static sc_status move_leaf(sc_talks *t, struct change *c, sc_error *err)
{
    const json_t *leaf = json_object_get(c->fields, "leaf");
    int64_t number;
    if (!leaf) return SC_OK;
    if (!json_is_null(leaf) && !json_is_string(leaf)) return FAIL(err, SC_E_ARGUMENT, "\"leaf\" is neither the id of a message nor null");
    TRY(talks_find_message(&number, t, c->talk.number, json_string_value(leaf), err));
    return talks_run(t, err, "UPDATE talks SET leaf = nullif(?2, 0) WHERE n = ?1", "ii", c->talk.number, number);
}

static sc_status do_update(sc_talks *t, void *arg, sc_error *err)
{
    struct change *c = arg;
    struct talk *k = &c->talk;
    TRY(talks_load(k, t, c->id, false, err));
    TRY(apply_fields(c, err));
    TRY(talks_run(t, err, "UPDATE talks SET title = ?2, model = ?3, system = ?4, settings = ?5, few_shot = ?6 WHERE n = ?1", "ittttt",
                  k->number, k->title, k->model, k->system, k->settings, k->few_shot));
    TRY(move_leaf(t, c, err));
    talk_release(k);
    return talks_load(k, t, c->id, false, err);
}

static sc_status do_get(sc_talks *t, void *arg, sc_error *err)
{
    struct change *c = arg;
    return talks_load(&c->talk, t, c->id, c->messages, err);
}

static sc_status do_delete(sc_talks *t, void *arg, sc_error *err)
{
    struct change *c = arg;
    int64_t number;
    TRY(talks_find(&number, t, c->id, err));
    TRY(talks_run(t, err, "PRAGMA secure_delete = ON", ""));
    return talks_run(t, err, "DELETE FROM talks WHERE n = ?1", "i", number);
}

static sc_status finish(sc_text *json, struct change *c, sc_status status)
{
    struct buf b;
    buf_init(&b, 0);
    if (status == SC_OK) talk_put_json(&b, &c->talk, c->messages);
    if (status == SC_OK) buf_take(&b, json);
    talk_release(&c->talk);
    json_decref(c->fields);
    return status;
}

sc_status sc_talks_create(sc_text *json, sc_talks *t, const char *fields, sc_error *err)
{
    struct change c = { .messages = true };
    *json = (sc_text){ 0 };
    TRY(read_fields(&c.fields, fields, err));
    talk_init(&c.talk);
    c.talk.created = c.talk.updated = talk_now();
    sc_status status = apply_fields(&c, err);
    if (status == SC_OK) status = talks_write(t, do_create, &c, err);
    return finish(json, &c, status);
}

sc_status sc_talks_get(sc_text *json, sc_talks *t, const char *id, sc_error *err)
{
    struct change c = { .id = id, .messages = true };
    *json = (sc_text){ 0 };
    return finish(json, &c, talks_look(t, do_get, &c, err));
}

sc_status sc_talks_update(sc_text *json, sc_talks *t, const char *id, const char *fields, sc_error *err)
{
    struct change c = { .id = id };
    *json = (sc_text){ 0 };
    TRY(read_fields(&c.fields, fields, err));
    return finish(json, &c, talks_write(t, do_update, &c, err));
}

sc_status sc_talks_delete(sc_talks *t, const char *id, sc_error *err)
{
    struct change c = { .id = id };
    TRY(talks_write(t, do_delete, &c, err));
    /* The text is overwritten in the file, and goes from the log as far as nobody reads there. */
    pthread_mutex_lock(&t->mutex);
    (void)sqlite3_exec(t->db, "PRAGMA secure_delete = FAST; PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
    pthread_mutex_unlock(&t->mutex);
    return SC_OK;
}
