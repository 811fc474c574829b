/* study_raters.c - raters and their lines of items: when a study is made, and later, by invitation. */
#include "rank/rank.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 60 };

sc_status study_items(size_t **out, size_t *n, struct study *s, bool is_gold, sc_error *err)
{
    sqlite3_stmt *q;
    bool row = true;
    size_t cap = 0;
    *out = NULL;
    *n = 0;
    TRY(sql_query(&q, s, err, "SELECT n FROM items WHERE is_gold = ?1 ORDER BY n", "i", (int64_t)is_gold));
    while (row) {
        TRY(sql_step(s, &q, &row, err));
        if (!row) break;
        if (*n == cap) *out = mem_grow(*out, (cap = cap ? 2 * cap : 64) * sizeof **out);
        (*out)[(*n)++] = (size_t)sqlite3_column_int64(q, 0);
    }
    if (!*out) *out = mem_alloc(sizeof **out);
    return SC_OK;
}

static sc_status answers_of(int64_t out[RANK_SHOWN_MAX], size_t *n, struct study *s, size_t item, sc_error *err)
{
    sqlite3_stmt *q;
    bool row = true;
    *n = 0;
    TRY(sql_query(&q, s, err, "SELECT n FROM answers WHERE item = ?1 ORDER BY n", "i", (int64_t)item));
    while (row) {
        TRY(sql_step(s, &q, &row, err));
        if (row && *n < RANK_SHOWN_MAX) out[(*n)++] = sqlite3_column_int64(q, 0);
    }
    return SC_OK;
}

/* What was put so far of a rater's line, to show it again in another order. */
struct placed { size_t item, order[RANK_SHOWN_MAX]; int64_t assignment; };

static sc_status put_place(struct study *s, int64_t rater, size_t position, const struct plan_entry *e, struct placed *line, sc_error *err)
{
    int64_t answers[RANK_SHOWN_MAX];
    const struct placed *first = NULL;
    struct placed *at = &line[position];
    size_t n;
    json_t *shown = json_array();
    for (size_t i = 0; i < position && e->is_repeat && !first; i++)
        if (line[i].item == e->item) first = &line[i];
    sc_status status = answers_of(answers, &n, s, e->item, err);
    at->item = e->item;
    plan_order(at->order, n, first ? first->order : NULL, s->seed, ((uint64_t)rater << 24) ^ position);
    for (size_t i = 0; i < n; i++) json_array_append_new(shown, json_integer((json_int_t)answers[at->order[i]]));
    char *text = json_dumps(shown, JSON_COMPACT);
    if (status == SC_OK && first)
        status = sql_run(s, err, "INSERT INTO assignments(rater, position, item, repeats, shown) VALUES(?1, ?2, ?3, ?4, ?5)", "iiiit", rater, (int64_t)position + 1, (int64_t)e->item, first->assignment, text);
    else if (status == SC_OK)
        status = sql_run(s, err, "INSERT INTO assignments(rater, position, item, shown) VALUES(?1, ?2, ?3, ?4)", "iiit", rater, (int64_t)position + 1, (int64_t)e->item, text);
    at->assignment = sqlite3_last_insert_rowid(s->db);
    mem_free(text);
    json_decref(shown);
    return status;
}

static sc_status put_line(struct study *s, int64_t rater, const size_t *items, size_t n, sc_error *err)
{
    size_t *gold, n_gold;
    double share = 0;
    TRY(json_opt_real(&share, s->settings, "duplicates", 0, 0, 0.5, s->path, err));
    TRY(study_items(&gold, &n_gold, s, true, err));
    size_t repeats = plan_repeats(n, share);
    struct plan_entry *line = mem_alloc((n + n_gold + repeats + 1) * sizeof *line);
    size_t len = plan_line(line, items, n, gold, n_gold, repeats, s->seed, (uint64_t)rater);
    struct placed *placed = mem_zero(len + 1, sizeof *placed);
    sc_status status = SC_OK;
    for (size_t i = 0; i < len && status == SC_OK; i++) status = put_place(s, rater, i, &line[i], placed, err);
    mem_free(placed);
    mem_free(line);
    mem_free(gold);
    return status;
}

static sc_status check_name(struct study *s, const char *name, sc_error *err)
{
    size_t n = strlen(name);
    int64_t taken;
    bool ok = n && n <= NAME_BYTES && utf8_is_valid(name, n);
    for (size_t i = 0; ok && i < n; i++) ok = (unsigned char)name[i] >= 32 && name[i] != 127;
    if (!ok) return FAIL(err, SC_E_ARGUMENT, "the name of a rater is empty, longer than %d bytes, or holds characters that cannot be printed", NAME_BYTES);
    TRY(sql_number(&taken, 0, s, err, "SELECT count(*) FROM raters WHERE name = ?1", "t", name));
    return taken ? FAIL(err, SC_E_ARGUMENT, "there is already a rater %s; --again makes a new link for them", name) : SC_OK;
}

sc_status study_add_rater(json_t **token, struct study *s, const char *name, const size_t *items, size_t n, sc_error *err)
{
    char text[RANK_TOKEN_TEXT];
    uint8_t digest[32];
    *token = NULL;
    TRY(check_name(s, name, err));
    token_new(text, digest);
    TRY(sql_run(s, err, "INSERT INTO raters(name, token, created) VALUES(?1, ?2, ?3)", "tbi", name, digest, sizeof digest, time_ms()));
    TRY(put_line(s, sqlite3_last_insert_rowid(s->db), items, n, err));
    *token = json_pack("{s:s, s:s}", "name", name, "token", text);
    return SC_OK;
}

sc_status study_add_raters(json_t **list, struct study *s, size_t raters, sc_error *err)
{
    size_t *items, n, *own;
    int64_t overlap = 0;
    *list = NULL;
    TRY(json_opt_int(&overlap, s->settings, "overlap", 0, 0, 1000, s->path, err));
    TRY(study_items(&items, &n, s, false, err));
    bool *given = mem_alloc((n * raters + 1) * sizeof *given);
    sc_status status = SC_OK;
    own = mem_alloc((n + 1) * sizeof *own);
    plan_share(given, n, raters, (size_t)overlap, s->seed);
    *list = json_array();
    for (size_t r = 0; r < raters && status == SC_OK; r++) {
        char name[32];
        size_t k = 0;
        json_t *token;
        for (size_t i = 0; i < n; i++)
            if (given[i * raters + r]) own[k++] = items[i];
        snprintf(name, sizeof name, "rater-%zu", r + 1);
        status = study_add_rater(&token, s, name, own, k, err);
        if (token) json_array_append_new(*list, token);
    }
    mem_free(own);
    mem_free(given);
    mem_free(items);
    return status;
}

/* ---- sc_rank_invite ------------------------------------------------------------------------------------------------------------------------ */

/* The items that fewest have, as many as the others have each. */
static sc_status items_for_one_more(size_t **out, size_t *n, struct study *s, sc_error *err)
{
    sqlite3_stmt *q;
    bool row = true;
    int64_t most;
    size_t all;
    TRY(sql_number(&most, 0, s, err, "SELECT max(k) FROM (SELECT count(*) AS k FROM assignments a JOIN items i ON i.n = a.item WHERE a.repeats IS NULL AND NOT i.is_gold GROUP BY a.rater)", ""));
    TRY(study_items(out, &all, s, false, err));
    *n = 0;
    TRY(sql_query(&q, s, err, "SELECT i.n FROM items i LEFT JOIN assignments a ON a.item = i.n AND a.repeats IS NULL LEFT JOIN raters r ON r.n = a.rater AND r.revoked IS NULL"
                              " WHERE NOT i.is_gold GROUP BY i.n ORDER BY count(r.n), (i.n * 7919) % 10007 LIMIT ?1", "i", most > 0 ? most : (int64_t)all));
    while (row) {
        TRY(sql_step(s, &q, &row, err));
        if (row && *n < all) (*out)[(*n)++] = (size_t)sqlite3_column_int64(q, 0);
    }
    return SC_OK;
}

static sc_status invite_again(json_t **token, struct study *s, const char *name, sc_error *err)
{
    char text[RANK_TOKEN_TEXT];
    uint8_t digest[32];
    token_new(text, digest);
    TRY(sql_run(s, err, "UPDATE raters SET token = ?1, revoked = NULL WHERE name = ?2", "bt", digest, sizeof digest, name));
    if (!sqlite3_changes(s->db)) return FAIL(err, SC_E_ARGUMENT, "there is no rater %s", name);
    *token = json_pack("{s:s, s:s}", "name", name, "token", text);
    return SC_OK;
}

static sc_status invite(json_t **token, struct study *s, const char *name, sc_rank_invitation kind, sc_error *err)
{
    int64_t closed;
    *token = NULL;
    TRY(study_closed(&closed, s, err));
    if (closed) return FAIL(err, SC_E_ARGUMENT, "%s is closed, nobody can rate any more", s->path);
    if (kind == SC_RANK_AGAIN) return invite_again(token, s, name, err);
    if (kind == SC_RANK_REVOKE) {
        TRY(sql_run(s, err, "UPDATE raters SET revoked = ?1 WHERE name = ?2", "it", time_ms(), name));
        return sqlite3_changes(s->db) ? SC_OK : FAIL(err, SC_E_ARGUMENT, "there is no rater %s", name);
    }
    size_t *items = NULL, n;
    sc_status status = items_for_one_more(&items, &n, s, err);
    if (status == SC_OK) status = study_add_rater(token, s, name, items, n, err);
    mem_free(items);
    return status;
}

sc_status sc_rank_invite(sc_text *out, const char *path, const char *name, sc_rank_invitation kind, sc_error *err)
{
    struct study *s;
    json_t *token = NULL;
    char *address = NULL;
    *out = (sc_text){ 0 };
    TRY(study_open(&s, path, err));
    sc_status status = sql_begin(s, err);
    if (status == SC_OK) status = sql_end(s, invite(&token, s, name, kind, err), err);
    if (status == SC_OK) status = study_get(&address, s, "address", err);
    if (status == SC_OK) {
        json_t *all = token ? json_incref(token) : json_pack("{s:s}", "name", name);
        json_object_set_new(all, "address", address ? json_string(address) : json_null());
        status = json_write(out, all, false);
        json_decref(all);
    }
    mem_free(address);
    json_decref(token);
    study_close(s);
    return status;
}
