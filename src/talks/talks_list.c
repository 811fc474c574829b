/* talks_list.c - the newest conversations, and those with certain words. Plain words go to the indices; a query with other
 * characters (C++, a_b, scripts without blanks) is looked for in the texts themselves, since the indices cut words there. */
#include "talks/talks.h"

#include <math.h>
#include <string.h>

enum { WORDS_MAX = 16, QUERY_BYTES_MAX = 1000, LIMIT_DEFAULT = 50, LIMIT_MAX = 1000, TIES_MAX = 10000 };

#define COLUMNS "SELECT t.n, t.id, t.title, t.created, t.updated, t.model, (SELECT count(*) FROM messages m WHERE m.talk = t.n) FROM talks t "
#define WHEN "t.updated < ?1 "
#define NEWEST " ORDER BY t.updated DESC, t.n DESC"

struct listing { char *word[WORDS_MAX]; size_t n; bool is_plain; struct buf match; int64_t limit, before; struct buf out; };

/* ---- queries ----------------------------------------------------------------------------------------------------------------- */

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Does the index cut words as people do here? Letters of the scripts with blanks between words, and digits. */
static bool is_plain_word(const char *word)
{
    uint32_t c;
    for (size_t i = 0, len = strlen(word); i < len;) {
        int n = utf8_next(word + i, len - i, &c);
        bool is_letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c < 0xe00);
        if (n < 1 || !is_letter) return false;
        i += (size_t)n;
    }
    return true;
}

static void split_words(struct listing *l, const char *query)
{
    char *text = talk_text(query, strlen(query));
    l->is_plain = true;
    for (const char *at = text; *at && l->n < WORDS_MAX;) {
        while (is_space(*at)) at++;
        size_t n = 0;
        while (at[n] && !is_space(at[n])) n++;
        if (!n) break;
        l->word[l->n] = mem_strndup(at, n);
        l->is_plain = l->is_plain && is_plain_word(l->word[l->n]);
        l->n++;
        at += n;
    }
    for (size_t i = 0; i < l->n; i++) buf_printf(&l->match, "\"%s\"* ", l->word[i]);
    mem_free(text);
}

/* "(x LIKE ?2 ESCAPE '\' AND ...)" for all words; their values are bound by bind_words. */
static void put_like(struct buf *sql, size_t n, const char *column)
{
    buf_putc(sql, '(');
    for (size_t i = 0; i < n; i++) buf_printf(sql, "%s%s LIKE ?%zu ESCAPE '\\'", i ? " AND " : "", column, i + 2);
    buf_putc(sql, ')');
}

static void bind_words(sqlite3_stmt *q, const struct listing *l)
{
    struct buf pattern;
    buf_init(&pattern, 0);
    for (size_t i = 0; i < l->n; i++) {
        buf_clear(&pattern);
        buf_putc(&pattern, '%');
        for (const char *p = l->word[i]; *p; p++) {
            if (strchr("%_\\", *p)) buf_putc(&pattern, '\\');
            buf_putc(&pattern, *p);
        }
        buf_putc(&pattern, '%');
        sqlite3_bind_text(q, (int)i + 2, pattern.data, -1, SQLITE_TRANSIENT);
    }
    buf_release(&pattern);
}

static sc_status begin_list(sqlite3_stmt **q, sc_talks *t, const struct listing *l, sc_error *err)
{
    if (!l->n) return talks_query(q, t, err, COLUMNS "WHERE " WHEN NEWEST, "i", l->before);
    if (l->is_plain)
        return talks_query(q, t, err, COLUMNS "WHERE " WHEN "AND t.n IN (SELECT talk FROM messages WHERE n IN (SELECT rowid FROM text_words WHERE text_words MATCH ?2)"
                           " UNION SELECT rowid FROM title_words WHERE title_words MATCH ?2)" NEWEST, "it", l->before, l->match.data);
    struct buf sql;
    buf_init(&sql, 0);
    buf_puts(&sql, COLUMNS "WHERE " WHEN "AND (");
    put_like(&sql, l->n, "t.title");
    buf_puts(&sql, " OR t.n IN (SELECT talk FROM messages WHERE ");
    put_like(&sql, l->n, "content");
    buf_puts(&sql, "))" NEWEST);
    sc_status status = talks_query(q, t, err, sql.data, "i", l->before);
    if (status == SC_OK) bind_words(*q, l);
    buf_release(&sql);
    return status;
}

/* ---- snippets ----------------------------------------------------------------------------------------------------------------- */

static sc_status begin_snippet(sqlite3_stmt **q, sc_talks *t, const struct listing *l, int64_t talk, sc_error *err)
{
    if (l->is_plain)
        return talks_query(q, t, err, "SELECT snippet(text_words, 0, '', '', '...', 16) FROM text_words WHERE text_words MATCH ?2 AND rowid IN"
                           " (SELECT n FROM messages WHERE talk = ?1) ORDER BY rowid LIMIT 1", "it", talk, l->match.data);
    struct buf sql;
    buf_init(&sql, 0);
    buf_printf(&sql, "SELECT substr(content, max(1, instr(lower(content), lower(?%zu)) - 40), 120) FROM messages WHERE talk = ?1 AND ", l->n + 2);
    put_like(&sql, l->n, "content");
    buf_puts(&sql, " ORDER BY n LIMIT 1");
    sc_status status = talks_query(q, t, err, sql.data, "i", talk);
    if (status == SC_OK) {
        bind_words(*q, l);
        sqlite3_bind_text(*q, (int)l->n + 2, l->word[0], -1, SQLITE_STATIC);
    }
    buf_release(&sql);
    return status;
}

static sc_status put_snippet(sc_talks *t, struct listing *l, int64_t talk, sc_error *err)
{
    sqlite3_stmt *q;
    bool row;
    TRY(begin_snippet(&q, t, l, talk, err));
    TRY(talks_step(t, &q, &row, err));
    if (!row) return SC_OK;
    char *line = talk_title(talks_column(q, 0), (size_t)sqlite3_column_bytes(q, 0), TALK_TITLE_MAX);
    buf_puts(&l->out, ",\"snippet\":");
    buf_put_json_string(&l->out, line, strlen(line));
    mem_free(line);
    sqlite3_finalize(q);
    return SC_OK;
}

/* ---- the list ------------------------------------------------------------------------------------------------------------------- */

static sc_status put_row(sc_talks *t, struct listing *l, sqlite3_stmt *q, sc_error *err)
{
    struct buf *out = &l->out;
    const char *model = (const char *)sqlite3_column_text(q, 5);
    buf_puts(out, "{\"id\":");
    buf_put_json_string(out, talks_column(q, 1), strlen(talks_column(q, 1)));
    buf_puts(out, ",\"title\":");
    buf_put_json_string(out, talks_column(q, 2), strlen(talks_column(q, 2)));
    buf_puts(out, ",\"created\":");
    talk_put_time(out, sqlite3_column_int64(q, 3));
    buf_puts(out, ",\"updated\":");
    talk_put_time(out, sqlite3_column_int64(q, 4));
    buf_puts(out, ",\"model\":");
    if (model) buf_put_json_string(out, model, strlen(model));
    else buf_puts(out, "null");
    buf_printf(out, ",\"messages\":%lld", (long long)sqlite3_column_int64(q, 6));
    if (l->n) TRY(put_snippet(t, l, sqlite3_column_int64(q, 0), err));
    buf_putc(out, '}');
    return SC_OK;
}

static sc_status do_list(sc_talks *t, void *arg, sc_error *err)
{
    struct listing *l = arg;
    sqlite3_stmt *q;
    int64_t n = 0, last = 0;
    bool row = true, more = false;
    TRY(begin_list(&q, t, l, err));
    buf_puts(&l->out, "{\"conversations\":[");
    while (row && !more) {
        TRY(talks_step(t, &q, &row, err));
        if (!row) break;
        int64_t updated = sqlite3_column_int64(q, 4);
        more = n >= l->limit && (updated != last || n >= l->limit + TIES_MAX);
        if (more) break;
        if (n++) buf_puts(&l->out, ",\n");
        sc_status status = put_row(t, l, q, err);
        if (status != SC_OK) {
            sqlite3_finalize(q);
            return status;
        }
        last = updated;
    }
    sqlite3_finalize(q);
    buf_printf(&l->out, "],\"more\":%s}", more ? "true" : "false");
    return SC_OK;
}

sc_status sc_talks_list(sc_text *json, sc_talks *t, const char *query, int64_t limit, double before, sc_error *err)
{
    struct listing l = { .limit = limit ? limit : LIMIT_DEFAULT, .before = INT64_MAX };
    *json = (sc_text){ 0 };
    if (limit < 0) return FAIL(err, SC_E_ARGUMENT, "the limit is %lld, expected a positive number", (long long)limit);
    if (!(before >= 0 && before < 1e12)) return FAIL(err, SC_E_ARGUMENT, "the time is %g, expected seconds since 1970", before);
    if (query && strlen(query) > QUERY_BYTES_MAX) return FAIL(err, SC_E_ARGUMENT, "the query has %zu bytes, expected at most %d", strlen(query), QUERY_BYTES_MAX);
    if (l.limit > LIMIT_MAX) l.limit = LIMIT_MAX;
    if (before > 0) l.before = (int64_t)llround(before * 1000);
    buf_init(&l.match, 0);
    buf_init(&l.out, 0);
    if (query) split_words(&l, query);
    sc_status status = talks_look(t, do_list, &l, err);
    if (status == SC_OK) buf_take(&l.out, json);
    buf_release(&l.out);
    buf_release(&l.match);
    for (size_t i = 0; i < l.n; i++) mem_free(l.word[i]);
    return status;
}
