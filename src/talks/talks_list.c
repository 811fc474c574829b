/* talks_list.c - the newest conversations, and those with certain words. Plain words go to the indices; a query with other
 * characters (C++, a_b, scripts without blanks) is looked for in the texts themselves, since the indices cut words there. */
#include "talks/talks.h"

#include <math.h>
#include <string.h>

enum { WORDS_MAX = 16, QUERY_BYTES_MAX = 1000, LIMIT_DEFAULT = 50, LIMIT_MAX = 1000, TIES_MAX = 10000, SNIPPET_BEFORE = 40, SNIPPET_BYTES = 160 };

/* Conversations with the first message that fits; 0: the title alone does. */
#define COLUMNS "SELECT t.n, t.id, t.title, t.created, t.updated, t.model, (SELECT count(*) FROM messages m WHERE m.talk = t.n)"
#define HITS "WITH hit(talk, first) AS (SELECT talk, min(n) FROM messages WHERE %s GROUP BY talk UNION ALL SELECT n, 0 FROM talks WHERE %s) " \
             COLUMNS ", max(hit.first) FROM hit JOIN talks t ON t.n = hit.talk WHERE t.updated < ?1 GROUP BY t.n"
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
    struct buf sql, title, text;
    if (!l->n) return talks_query(q, t, err, COLUMNS ", 0 FROM talks t WHERE t.updated < ?1" NEWEST, "i", l->before);
    buf_init(&sql, 0);
    buf_init(&title, 0);
    buf_init(&text, 0);
    if (l->is_plain) {
        buf_puts(&title, "n IN (SELECT rowid FROM title_words WHERE title_words MATCH ?2)");
        buf_puts(&text, "n IN (SELECT rowid FROM text_words WHERE text_words MATCH ?2)");
    } else {
        put_like(&title, l->n, "title");
        put_like(&text, l->n, "content");
    }
    buf_printf(&sql, HITS NEWEST, text.data, title.data);
    sc_status status = l->is_plain ? talks_query(q, t, err, sql.data, "it", l->before, l->match.data) : talks_query(q, t, err, sql.data, "i", l->before);
    if (status == SC_OK && !l->is_plain) bind_words(*q, l);
    buf_release(&sql);
    buf_release(&title);
    buf_release(&text);
    return status;
}

/* ---- snippets ----------------------------------------------------------------------------------------------------------------- */

static bool is_inside(char c) { return (c & 0x80) || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* Where the word stands: at the beginning of a word rather than inside one; where it has other letters (accents), the begin. */
static size_t find_word(const char *text, const char *word)
{
    const char *first = strcasestr(text, word), *at = first;
    while (at && at > text && is_inside(at[-1])) at = strcasestr(at + 1, word);
    return at ? (size_t)(at - text) : first ? (size_t)(first - text) : 0;
}

static bool is_middle(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

static void put_part(struct buf *out, const char *text, const char *word)
{
    size_t at = find_word(text, word), len = strlen(text), begin = at > SNIPPET_BEFORE ? at - SNIPPET_BEFORE : 0, end = begin + SNIPPET_BYTES;
    while (begin < at && begin && text[begin - 1] != ' ') begin++;             /* whole words before it */
    if (begin && begin == at) for (begin = at - SNIPPET_BEFORE; is_middle(text[begin]);) begin++;
    if (end > len) end = len;
    while (end < len && end > begin && is_middle(text[end])) end--;
    char *line = talk_title(text + begin, end - begin, SNIPPET_BYTES);
    struct buf part;
    buf_init(&part, 0);
    buf_printf(&part, "%s%s%s", begin ? "..." : "", line, end < len ? "..." : "");
    buf_puts(out, ",\"snippet\":");
    buf_put_json_string(out, part.data, part.len);
    buf_release(&part);
    mem_free(line);
}

static sc_status put_snippet(sc_talks *t, struct listing *l, int64_t message, sc_error *err)
{
    sqlite3_stmt *q;
    bool row;
    TRY(talks_query(&q, t, err, "SELECT content FROM messages WHERE n = ?1", "i", message));
    TRY(talks_step(t, &q, &row, err));
    if (!row) return SC_OK;
    put_part(&l->out, talks_column(q, 0), l->word[0]);
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
    if (sqlite3_column_int64(q, 7)) TRY(put_snippet(t, l, sqlite3_column_int64(q, 7), err));
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
