/* rank_calls.c - what the page asks: the study, an item, and to save what a rater says of it. Nothing that is answered tells whose an answer is, which item checks
 * the rater, or which comes again. */
#include "rank/rank.h"
#include "serve/http.h"

#include <string.h>

static const int64_t AGO_MAX_MS = INT64_C(30) * 24 * 3600 * 1000;

void call_fail(struct rank_call *c, int status, const char *format, ...)
{
    char text[500];
    struct buf whole;
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    buf_init(&whole, 0);
    utf8_repair(&whole, text, strlen(text));
    json_decref(c->body);
    c->status = status;
    c->body = json_pack("{s:{s:s, s:i}}", "error", "message", whole.data ? whole.data : "", "status", status);
    buf_release(&whole);
}

void call_error(struct rank_call *c, const sc_error *err)
{
    sc_rank_server_config *config = &c->server->c;
    if (err->status == SC_E_ARGUMENT || err->status == SC_E_FORMAT) { call_fail(c, 400, "%s", err->message); return; }
    json_t *line = json_pack("{s:s, s:s, s:s}", "event", "failed", "level", "error", "text", err->message);
    char *text = json_dumps(line, JSON_COMPACT);
    if (config->on_log && text) config->on_log(config->user, text);
    mem_free(text);
    json_decref(line);
    call_fail(c, 500, "the study cannot be read or written at the moment; what was saved before is safe");
}

static json_t *json_of(const char *text)
{
    json_t *v = json_loads(text, JSON_DECODE_ANY, NULL);
    return v ? v : json_null();
}

/* ---- the study -------------------------------------------------------------------------------------------------------------------------- */

/* The newest revision is what counts. */
#define NEWEST_DONE "(SELECT is_done FROM revisions WHERE assignment = a.n ORDER BY n DESC LIMIT 1)"

static sc_status states(json_t *out, struct rank_call *c, sc_error *err)
{
    struct study *s = c->server->study;
    sqlite3_stmt *q;
    bool row = true;
    int64_t done = 0;
    json_t *list = json_array();
    json_object_set_new(out, "items", list);
    TRY(sql_query(&q, s, err, "SELECT " NEWEST_DONE " FROM assignments a WHERE a.rater = ?1 ORDER BY a.position", "i", c->rater));
    while (row) {
        TRY(sql_step(s, &q, &row, err));
        if (!row) break;
        bool is_new = sqlite3_column_type(q, 0) == SQLITE_NULL, is_done = sqlite3_column_int64(q, 0) == 1;
        json_array_append_new(list, json_string(is_new ? "new" : is_done ? "done" : "begun"));
        done += is_done;
    }
    json_object_set_new(out, "done", json_integer(done));
    return SC_OK;
}

static sc_status study_of(json_t *out, struct rank_call *c, sc_error *err)
{
    struct study *s = c->server->study;
    char *instructions = NULL, *name = NULL;
    int64_t closed;
    sqlite3_stmt *q;
    bool row;
    json_t *flags = json_array();
    for (size_t i = 0; i < s->flags.n; i++) json_array_append_new(flags, json_string(s->flags.name[i]));
    json_object_set_new(out, "flags", flags);
    json_object_set_new(out, "study", json_string(s->id));
    json_object_set_new(out, "number", json_integer((json_int_t)c->rater));      /* with the study's id: whose changes a browser keeps, whatever link they came by */
    json_object_set(out, "title", json_object_get(s->settings, "title"));
    json_object_set_new(out, "scores", json_integer(RANK_SCORES));
    json_object_set_new(out, "text_bytes", json_integer(RANK_TEXT_BYTES));
    TRY(study_get(&instructions, s, "instructions", err));
    json_object_set_new(out, "instructions", json_string(instructions ? instructions : ""));
    mem_free(instructions);
    TRY(study_closed(&closed, s, err));
    json_object_set_new(out, "closed", json_boolean(closed));
    TRY(sql_query(&q, s, err, "SELECT name FROM raters WHERE n = ?1", "i", c->rater));
    TRY(sql_step(s, &q, &row, err));
    if (row) name = sql_copy(q, 0);
    sqlite3_finalize(row ? q : NULL);
    json_object_set_new(out, "rater", json_string(name ? name : ""));
    mem_free(name);
    return states(out, c, err);
}

void call_study(struct rank_call *c)
{
    sc_error err = { 0 };
    c->body = json_object();
    c->status = 200;
    if (study_of(c->body, c, &err) != SC_OK) call_error(c, &err);
}

/* ---- an item ------------------------------------------------------------------------------------------------------------------------------ */

struct place { int64_t assignment; json_t *shown, *turns; };

/* *has: false where the rater has no such position. place->turns and shown: the caller's. */
static sc_status find_place(struct place *out, bool *has, struct rank_call *c, sc_error *err)
{
    struct study *s = c->server->study;
    sqlite3_stmt *q;
    *out = (struct place){ 0 };
    TRY(sql_query(&q, s, err, "SELECT a.n, a.shown, p.turns FROM assignments a JOIN items i ON i.n = a.item JOIN prompts p ON p.n = i.prompt WHERE a.rater = ?1 AND a.position = ?2", "ii", c->rater, c->position));
    TRY(sql_step(s, &q, has, err));
    if (!*has) return SC_OK;
    *out = (struct place){ sqlite3_column_int64(q, 0), json_of(sql_text(q, 1)), json_of(sql_text(q, 2)) };
    sqlite3_finalize(q);
    if (json_array_size(out->shown) >= 1 && json_array_size(out->shown) <= RANK_SHOWN_MAX) return SC_OK;
    return FAIL(err, SC_E_IO, "%s: the answers of assignment %lld cannot be read", s->path, (long long)out->assignment);
}

static void place_release(struct place *p)
{
    json_decref(p->shown);
    json_decref(p->turns);
}

static sc_status put_answers(json_t *list, const struct place *p, struct study *s, sc_error *err)
{
    const json_t *number;
    size_t i;
    json_array_foreach(p->shown, i, number) {
        sqlite3_stmt *q;
        bool row;
        TRY(sql_query(&q, s, err, "SELECT turns FROM answers WHERE n = ?1", "i", (int64_t)json_integer_value(number)));
        TRY(sql_step(s, &q, &row, err));
        json_array_append_new(list, json_pack("{s:o}", "turns", row ? json_of(sql_text(q, 0)) : json_array()));
        sqlite3_finalize(row ? q : NULL);
    }
    return SC_OK;
}

static sc_status newest(json_t **out, int64_t assignment, struct study *s, sc_error *err)
{
    sqlite3_stmt *q;
    bool row;
    *out = json_null();
    TRY(sql_query(&q, s, err, "SELECT rating FROM revisions WHERE assignment = ?1 ORDER BY n DESC LIMIT 1", "i", assignment));
    TRY(sql_step(s, &q, &row, err));
    if (row) *out = json_of(sql_text(q, 0));
    sqlite3_finalize(row ? q : NULL);
    return SC_OK;
}

static sc_status item_of(struct rank_call *c, const struct place *p, sc_error *err)
{
    struct study *s = c->server->study;
    json_t *rating, *list = json_array();
    json_object_set_new(c->body, "answers", list);
    json_object_set_new(c->body, "position", json_integer((json_int_t)c->position));
    json_object_set(c->body, "turns", p->turns);
    TRY(put_answers(list, p, s, err));
    TRY(newest(&rating, p->assignment, s, err));
    json_object_set_new(c->body, "rating", rating);
    return SC_OK;
}

void call_item(struct rank_call *c)
{
    sc_error err = { 0 };
    struct place p;
    bool has = false;
    c->body = json_object();
    c->status = 200;
    sc_status status = find_place(&p, &has, c, &err);
    if (status == SC_OK && has) status = item_of(c, &p, &err);
    if (status != SC_OK) call_error(c, &err);
    else if (!has) call_fail(c, 404, "you have no item %lld", (long long)c->position);
    place_release(&p);
}

/* The page asks for an item before it is wanted, so only the page knows when it was seen: so many ms ago. What the first time was stays. */
static sc_status note_shown(struct rank_call *c, const struct place *p, sc_error *err)
{
    json_t *body = NULL;
    int64_t ago = 0;
    TRY(json_read(&body, c->x->body, c->x->body_len, "the request", err));
    sc_status status = json_need_int(&ago, body, "ago", 0, AGO_MAX_MS, "the request", err);
    json_decref(body);
    TRY(status);
    TRY(sql_run(c->server->study, err, "UPDATE assignments SET opened = ?1 WHERE n = ?2 AND opened IS NULL AND NOT EXISTS(SELECT 1 FROM study WHERE name = 'closed')", "ii", time_ms() - ago, p->assignment));
    c->status = 200;
    c->body = json_pack("{s:I}", "position", (json_int_t)c->position);
    return SC_OK;
}

void call_shown(struct rank_call *c)
{
    sc_error err = { 0 };
    struct place p;
    bool has = false;
    sc_status status = find_place(&p, &has, c, &err);
    if (status == SC_OK && has) status = note_shown(c, &p, &err);
    if (status != SC_OK) call_error(c, &err);
    else if (!has) call_fail(c, 404, "you have no item %lld", (long long)c->position);
    place_release(&p);
}

/* ---- saving ---------------------------------------------------------------------------------------------------------------------------------- */

sc_status calls_open(struct study *s, sc_error *err)
{
    TRY(sql_run(s, err, "CREATE TABLE IF NOT EXISTS written(rater INTEGER PRIMARY KEY REFERENCES raters(n), revisions INTEGER NOT NULL, bytes INTEGER NOT NULL)", ""));
    return sql_run(s, err, "INSERT OR IGNORE INTO written SELECT a.rater, count(v.n), total(length(CAST(v.rating AS BLOB))) FROM assignments a JOIN revisions v ON v.assignment = a.n GROUP BY a.rater", "");
}

/* Nobody's page comes near these numbers: they keep a program that has a link from filling the disk. Puts the refusal. */
static sc_status refuse_much(struct rank_call *c, const struct place *p, size_t bytes, sc_error *err)
{
    struct study *s = c->server->study;
    int64_t of_item, revisions, kept;
    TRY(sql_number(&of_item, 0, s, err, "SELECT count(*) FROM revisions WHERE assignment = ?1", "i", p->assignment));
    TRY(sql_number(&revisions, 0, s, err, "SELECT revisions FROM written WHERE rater = ?1", "i", c->rater));
    TRY(sql_number(&kept, 0, s, err, "SELECT bytes FROM written WHERE rater = ?1", "i", c->rater));
    if (of_item >= RANK_ITEM_REVISIONS) call_fail(c, 409, "this item was changed %d times, and more changes of it are not kept; the last one that was saved counts", RANK_ITEM_REVISIONS);
    else if (revisions >= RANK_RATER_REVISIONS) call_fail(c, 409, "you changed your ratings %d times, and more changes are not kept; ask whoever invited you", RANK_RATER_REVISIONS);
    else if (kept + (int64_t)bytes > (int64_t)RANK_RATER_MIB << 20) call_fail(c, 409, "what you wrote fills %d MiB, and more is not kept; ask whoever invited you", RANK_RATER_MIB);
    return SC_OK;
}

/* In a transaction. The same revision once more changes nothing: the page sends again what it had no answer to. */
static sc_status keep(struct rank_call *c, const struct place *p, const struct rating *r, int64_t *number, sc_error *err)
{
    struct study *s = c->server->study;
    int64_t closed;
    TRY(sql_number(number, 0, s, err, "SELECT n FROM revisions WHERE assignment = ?1 AND id = ?2", "it", p->assignment, r->id));
    if (*number) return SC_OK;
    TRY(study_closed(&closed, s, err));
    if (closed) { call_fail(c, 409, "the study is closed; nothing can be changed any more"); return SC_OK; }
    json_t *rating = rating_json(r, &s->flags);
    char *text = json_dumps(rating, JSON_COMPACT);
    sc_status status = refuse_much(c, p, strlen(text), err);
    if (status == SC_OK && !c->body) status = sql_run(s, err, "INSERT INTO revisions(assignment, id, received, is_done, rating) VALUES(?1, ?2, ?3, ?4, ?5)", "itiit", p->assignment, r->id, time_ms(), (int64_t)rating_is_done(r), text);
    *number = sqlite3_last_insert_rowid(s->db);
    if (status == SC_OK && !c->body)
        status = sql_run(s, err, "INSERT INTO written(rater, revisions, bytes) VALUES(?1, 1, ?2) ON CONFLICT(rater) DO UPDATE SET revisions = revisions + 1, bytes = bytes + ?2", "ii", c->rater, (int64_t)strlen(text));
    mem_free(text);
    json_decref(rating);
    return status;
}

static sc_status save(struct rank_call *c, const struct place *p, const struct rating *r, sc_error *err)
{
    struct study *s = c->server->study;
    int64_t number, done = 0;
    TRY(sql_begin(s, err));
    TRY(sql_end(s, keep(c, p, r, &number, err), err));
    if (c->body) return SC_OK;                                 /* refused */
    TRY(sql_number(&done, 0, s, err, "SELECT count(*) FROM assignments a WHERE a.rater = ?1 AND " NEWEST_DONE " = 1", "i", c->rater));
    c->status = 200;
    c->body = json_pack("{s:I, s:b, s:I}", "saved", (json_int_t)number, "is_done", rating_is_done(r), "done", (json_int_t)done);
    return SC_OK;
}

void call_rate(struct rank_call *c)
{
    sc_error err = { 0 };
    struct place p;
    struct rating r = { 0 };
    json_t *body = NULL;
    bool has = false;
    sc_status status = find_place(&p, &has, c, &err);
    if (status == SC_OK && has) status = json_read(&body, c->x->body, c->x->body_len, "the rating", &err);
    if (status == SC_OK && has) status = rating_read(&r, body, json_array_size(p.shown), &c->server->study->flags, &err);
    if (status == SC_OK && has) status = save(c, &p, &r, &err);
    if (status != SC_OK) call_error(c, &err);
    else if (!has) call_fail(c, 404, "you have no item %lld", (long long)c->position);
    rating_release(&r);
    json_decref(body);
    place_release(&p);
}
