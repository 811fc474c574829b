/* talks_messages.c - messages of a conversation: added, written while they are generated, and read as a prompt. */
#include "talks/talks.h"

#include <string.h>

/* ---- adding ------------------------------------------------------------------------------------------------------------------ */

struct addition { const char *id; const sc_talks_message *given; struct talk talk; char parent_role[16]; };

static sc_status check_given(const sc_talks_message *m, sc_error *err)
{
    char quoted[48];
    if (!m->role || !talk_role_is_known(m->role))
        return FAIL(err, SC_E_ARGUMENT, "the role is \"%s\", expected user or assistant", error_quote(quoted, sizeof quoted, m->role ? m->role : "", m->role ? strlen(m->role) : 0));
    if (m->status && !talk_status_is_known(m->status))
        return FAIL(err, SC_E_ARGUMENT, "the status is \"%s\", expected done, generating, stopped, length, error or filtered", error_quote(quoted, sizeof quoted, m->status, strlen(m->status)));
    return SC_OK;
}

static sc_status take_stats(char **out, const char *stats, sc_error *err)
{
    json_t *o = NULL;
    char *text;
    if (!stats) return SC_OK;
    if (json_read(&o, stats, strlen(stats), "stats", err) != SC_OK) return SC_E_ARGUMENT;
    sc_status status = talk_object(&text, o, "stats", err);
    json_decref(o);
    if (status != SC_OK) return SC_E_ARGUMENT;
    talk_set(out, text);
    return SC_OK;
}

/* The new message, last of a talk that holds nothing else but, before it, what its parent is called. */
static sc_status fill_message(struct talk *k, const sc_talks_message *given, sc_error *err)
{
    char id[TALK_ID_BYTES + 1];
    if (given->parent) talk_add(k, "user")->id = mem_strdup(given->parent);
    struct talk_message *m = talk_add(k, given->role);
    talk_new_id(id);
    m->id = mem_strdup(id);
    m->parent = (ptrdiff_t)k->n - 2;
    m->created = talk_now();
    talk_set(&m->content, talk_text(given->content ? given->content : "", given->content ? given->len : 0));
    if (given->model) m->model = talk_text(given->model, strlen(given->model));
    if (given->status) talk_set(&m->status, mem_strdup(given->status));
    if (given->error) m->error = talk_text(given->error, strlen(given->error));
    return take_stats(&m->stats, given->stats, err);
}

/* An answer answers a message of the user. */
static sc_status check_parent(sc_talks *t, const char *role, int64_t parent, sc_error *err)
{
    int64_t of_user = 0;
    if (strcmp(role, "assistant") != 0) return SC_OK;
    if (parent) TRY(talks_number(&of_user, 0, t, err, "SELECT role = 'user' FROM messages WHERE n = ?1", "i", parent));
    return of_user ? SC_OK : FAIL(err, SC_E_ARGUMENT, "the parent of an answer is %s, expected a message of the user", parent ? "an answer" : "missing");
}

static void remember(sc_talks *t, const char *id)
{
    struct talks_answer *a = mem_zero(1, sizeof *a);
    memcpy(a->id, id, strlen(id) + 1);
    a->next = t->answers;
    t->answers = a;
}

static sc_status do_add(sc_talks *t, void *arg, sc_error *err)
{
    struct addition *c = arg;
    struct talk *k = &c->talk;
    struct talk_message *m = &k->message[k->n - 1];
    int64_t parent, owner = strcmp(m->status, "generating") == 0 ? t->owner : 0;
    TRY(talks_find(&k->number, t, c->id, err));
    TRY(talks_find_message(&parent, t, k->number, c->given->parent, err));
    TRY(check_parent(t, m->role, parent, err));
    TRY(talks_run(t, err, "INSERT INTO messages(id, talk, parent, role, content, created, model, status, stats, error, owner)"
                  " VALUES(?1, ?2, nullif(?3, 0), ?4, ?5, ?6, ?7, ?8, ?9, ?10, nullif(?11, 0))", "tiittitttti",
                  m->id, k->number, parent, m->role, m->content, m->created, m->model, m->status, m->stats, m->error, owner));
    int64_t number = sqlite3_last_insert_rowid(t->db);
    TRY(talks_run(t, err, "UPDATE talks SET leaf = ?2, updated = max(?3, updated + 1) WHERE n = ?1", "iii", k->number, number, m->created));
    if (owner) remember(t, m->id);
    if (strcmp(m->role, "user") != 0) return SC_OK;
    talk_title_from_messages(k);
    return talks_run(t, err, "UPDATE talks SET title = ?2 WHERE n = ?1 AND title = ''", "it", k->number, k->title);
}

static void forget(sc_talks *t, const char *id)
{
    for (struct talks_answer **at = &t->answers; *at; at = &(*at)->next) {
        if (strcmp((*at)->id, id) != 0) continue;
        struct talks_answer *gone = *at;
        *at = gone->next;
        mem_free(gone);
        return;
    }
}

sc_status sc_talks_add(sc_text *json, sc_talks *t, const char *id, const sc_talks_message *given, sc_error *err)
{
    struct addition c = { .id = id, .given = given };
    struct buf b;
    *json = (sc_text){ 0 };
    TRY(check_given(given, err));
    talk_init(&c.talk);
    sc_status status = fill_message(&c.talk, given, err);
    if (status == SC_OK) status = talks_write(t, do_add, &c, err);
    buf_init(&b, 0);
    if (status == SC_OK) talk_put_message(&b, &c.talk, c.talk.n - 1);
    if (status == SC_OK) buf_take(&b, json);
    talk_release(&c.talk);
    return status;
}

/* ---- one message ---------------------------------------------------------------------------------------------------------------- */

struct lookup { const char *id; struct talk talk; size_t place; };

static sc_status unknown_message(const char *id, sc_error *err)
{
    char quoted[80];
    return FAIL(err, SC_E_ARGUMENT, "there is no message \"%s\"; it may have been deleted", error_quote(quoted, sizeof quoted, id ? id : "", id ? strlen(id) : 0));
}

static sc_status do_message(sc_talks *t, void *arg, sc_error *err)
{
    struct lookup *c = arg;
    int64_t talk;
    TRY(talks_number(&talk, 0, t, err, "SELECT talk FROM messages WHERE id = ?1", "t", c->id));
    if (!talk) return unknown_message(c->id, err);
    TRY(talks_load_at(&c->talk, t, talk, true, err));
    for (c->place = 0; c->place < c->talk.n && strcmp(c->talk.message[c->place].id, c->id) != 0;) c->place++;
    return c->place < c->talk.n ? SC_OK : unknown_message(c->id, err);
}

sc_status sc_talks_message_get(sc_text *json, sc_talks *t, const char *message, sc_error *err)
{
    struct lookup c = { .id = message ? message : "" };
    struct buf b;
    *json = (sc_text){ 0 };
    sc_status status = talks_look(t, do_message, &c, err);
    if (status == SC_OK) {
        buf_init(&b, 0);
        buf_puts(&b, "{\"conversation\":");
        buf_put_json_string(&b, c.talk.id, strlen(c.talk.id));
        size_t at = b.len;
        talk_put_message(&b, &c.talk, c.place);
        b.data[at] = ',';                             /* in place of the message's '{' */
        buf_take(&b, json);
    }
    talk_release(&c.talk);
    return status;
}

/* ---- answers while they are written ------------------------------------------------------------------------------------------------- */

static sc_status do_continue(sc_talks *t, void *arg, sc_error *err)
{
    struct lookup *c = arg;
    TRY(talks_sweep(t, err));
    TRY(do_message(t, arg, err));
    struct talk_message *m = &c->talk.message[c->place];
    if (strcmp(m->role, "assistant") != 0) return FAIL(err, SC_E_ARGUMENT, "only an answer can go on, and this is a message of the user");
    if (strcmp(m->status, "generating") == 0) return FAIL(err, SC_E_ARGUMENT, "this answer is being written already");
    TRY(talks_run(t, err, "UPDATE messages SET status = 'generating', owner = ?2, error = NULL WHERE n = ?1", "ii", m->number, t->owner));
    TRY(talks_run(t, err, "UPDATE talks SET leaf = ?2, updated = max(?3, updated + 1) WHERE n = ?1", "iii", c->talk.number, m->number, talk_now()));
    talk_set(&m->status, mem_strdup("generating"));
    talk_set(&m->error, NULL);
    remember(t, c->id);
    return SC_OK;
}

sc_status sc_talks_answer_continue(sc_text *json, sc_talks *t, const char *message, sc_error *err)
{
    struct lookup c = { .id = message && strlen(message) <= TALK_ID_MAX ? message : "" };
    struct buf b;
    *json = (sc_text){ 0 };
    sc_status status = talks_write(t, do_continue, &c, err);
    buf_init(&b, 0);
    if (status == SC_OK) talk_put_message(&b, &c.talk, c.place);
    if (status == SC_OK) buf_take(&b, json);
    talk_release(&c.talk);
    return status;
}

struct writing { const char *id, *status, *error; char *text, *stats; };

static sc_status write_row(sc_talks *t, const struct writing *w, sc_error *err)
{
    int64_t owner = strcmp(w->status, "generating") == 0 ? t->owner : 0;
    TRY(talks_run(t, err, "UPDATE messages SET content = ?2, status = ?3, stats = coalesce(?4, stats), error = ?5, owner = nullif(?6, 0) WHERE id = ?1 AND owner = ?7",
                  "tttttii", w->id, w->text, w->status, w->stats, w->error, owner, t->owner));
    return sqlite3_changes(t->db) ? SC_OK : unknown_message(w->id, err);
}

static sc_status do_end(sc_talks *t, void *arg, sc_error *err)
{
    const struct writing *w = arg;
    TRY(write_row(t, w, err));
    return talks_run(t, err, "UPDATE talks SET updated = max(?2, updated + 1) WHERE n = (SELECT talk FROM messages WHERE id = ?1)", "ti", w->id, talk_now());
}

/* Not now, if somebody else is at work: nothing is lost, each call brings the whole text. */
static sc_status write_partial(sc_talks *t, const char *id, const char *text, size_t len, char *stats, sc_error *err)
{
    struct talks_answer *a;
    sc_status status = SC_OK;
    if (pthread_mutex_trylock(&t->mutex) != 0) return SC_OK;
    int64_t now = talk_now();
    for (a = t->answers; a && strcmp(a->id, id) != 0;) a = a->next;
    bool is_due = a && (now - a->written >= TALKS_WRITE_MS || now < a->written);
    if (!a) status = unknown_message(id, err);
    else if (t->is_broken) status = FAIL(err, SC_E_FORMAT, "%s is damaged; start the program again to begin a new one", t->path);
    else if (is_due) {
        struct writing w = { id, "generating", NULL, talk_text(text, len), stats };
        sqlite3_busy_timeout(t->db, TALKS_PARTIAL_WAIT_MS);
        status = write_row(t, &w, err);
        if (status != SC_OK && (sqlite3_errcode(t->db) & 0xff) == SQLITE_BUSY) status = SC_OK;
        sqlite3_busy_timeout(t->db, TALKS_WAIT_MS);
        a->written = now;
        mem_free(w.text);
    }
    pthread_mutex_unlock(&t->mutex);
    return status;
}

sc_status sc_talks_answer_write(sc_talks *t, const char *message, const char *text, size_t len, const char *status, const char *stats, const char *error, sc_error *err)
{
    char *object = NULL;
    if (!status || !talk_status_is_known(status)) return FAIL(err, SC_E_ARGUMENT, "the status of an answer is one of done, generating, stopped, length, error, filtered");
    if (!message) return unknown_message(message, err);
    TRY(take_stats(&object, stats, err));
    sc_status result;
    if (strcmp(status, "generating") == 0) {
        result = write_partial(t, message, text, len, object, err);
    } else {
        struct writing w = { message, status, error, talk_text(text, len), object };
        result = talks_write(t, do_end, &w, err);
        mem_free(w.text);
        pthread_mutex_lock(&t->mutex);
        if (result == SC_OK || result == SC_E_ARGUMENT) forget(t, message);
        pthread_mutex_unlock(&t->mutex);
    }
    mem_free(object);
    return result;
}

/* ---- the path --------------------------------------------------------------------------------------------------------------------- */

struct way { const char *id, *leaf; struct talk talk; sc_talks_path *out; };

static char *joined(const char *a, const char *b)
{
    struct buf both;
    buf_init(&both, 0);
    buf_puts(&both, a);
    if (*a && *b) buf_puts(&both, "\n\n");
    buf_puts(&both, b);
    return both.data ? both.data : mem_strdup("");
}

static void add_to_path(sc_talks_path *p, const char *role, const char *content, const char *id)
{
    sc_message *last = p->n ? &p->message[p->n - 1] : NULL;
    if (last && strcmp(last->role, role) == 0) {
        char *both = joined(last->content, content);
        mem_free((char *)last->content);
        mem_free((char *)p->id[p->n - 1]);
        last->content = both;
        p->id[p->n - 1] = mem_strdup(id);
        return;
    }
    /* Roles are constants, so that callers may compare and keep them. */
    const char *constant = strcmp(role, "user") == 0 ? "user" : strcmp(role, "system") == 0 ? "system" : "assistant";
    p->message[p->n] = (sc_message){ constant, mem_strdup(content) };
    p->id[p->n++] = id ? mem_strdup(id) : NULL;
}

static sc_status do_path(sc_talks *t, void *arg, sc_error *err)
{
    struct way *w = arg;
    struct talk *k = &w->talk;
    TRY(talks_load(k, t, w->id, true, err));
    ptrdiff_t leaf = k->leaf;
    if (w->leaf) {
        for (leaf = (ptrdiff_t)k->n - 1; leaf >= 0 && strcmp(k->message[leaf].id, w->leaf) != 0;) leaf--;
        if (leaf < 0) return unknown_message(w->leaf, err);
    }
    size_t *path = mem_alloc((k->n + 1) * sizeof *path), n = talk_path(k, leaf, path);
    *w->out = (sc_talks_path){ mem_zero(n + 1, sizeof(sc_message)), mem_zero(n + 1, sizeof(char *)), 0 };
    if (k->system && *k->system) add_to_path(w->out, "system", k->system, NULL);
    for (size_t i = 0; i < n; i++) {
        const struct talk_message *m = &k->message[path[i]];
        if (!*m->content && strcmp(m->status, "error") == 0) continue;
        add_to_path(w->out, m->role, m->content, m->id);
    }
    mem_free(path);
    return SC_OK;
}

sc_status sc_talks_path_get(sc_talks_path *out, sc_talks *t, const char *id, const char *leaf, sc_error *err)
{
    struct way w = { .id = id, .leaf = leaf, .out = out };
    *out = (sc_talks_path){ 0 };
    sc_status status = talks_look(t, do_path, &w, err);
    talk_release(&w.talk);
    if (status != SC_OK) sc_talks_path_free(out);
    return status;
}

void sc_talks_path_free(sc_talks_path *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->n; i++) {
        mem_free((char *)p->message[i].content);
        mem_free((char *)p->id[i]);
    }
    mem_free(p->message);
    mem_free((void *)p->id);
    *p = (sc_talks_path){ 0 };
}
