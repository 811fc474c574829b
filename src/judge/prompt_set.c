/* prompt_set.c - prompts of many files as one set: nothing twice, nothing that was trained on, a share of questions about code that somebody has, languages in turn. */
#include "prompt_set.h"

#include "data/data.h"
#include "judge_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double LEAST_SHARE = 0.5;            /* of a prompt's 5-word shingles in one training text; see data/overlap.c */

void prompt_set_open(struct prompt_set *s, uint64_t seed)
{
    static const char *const counted[] = { "read", "duplicate", "near_duplicate", "overlap", "empty", "too_long", "not_about_code", "rejected", "written", "invalid" };
    *s = (struct prompt_set){ .seen = dedup_open(true), .counts = json_object(), .ids = json_object(), .seed = seed };
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) prompt_set_count(s, counted[i], 0);
}

void prompt_set_close(struct prompt_set *s)
{
    for (size_t i = 0; i < s->n; i++) json_decref(s->at[i].row);
    mem_free(s->at);
    dedup_close(s->seen);
    json_decref(s->counts);
    json_decref(s->ids);
    *s = (struct prompt_set){ 0 };
}

void prompt_set_count(struct prompt_set *s, const char *name, int64_t n)
{
    json_object_set_new(s->counts, name, json_integer(json_integer_value(json_object_get(s->counts, name)) + n));
}

/* ---- adding ------------------------------------------------------------------------------------------------------------------------------------ */

static enum drop_reason check(struct prompt_set *s, const json_t *row)
{
    struct buf text;
    struct dialogue d = { 0 };
    struct minhash near;
    uint64_t digest[2];
    buf_init(&text, 0);
    prompt_set_text(&text, row);
    d.text = text.data;
    dialogue_digest(digest, &d);
    dialogue_minhash(&near, &d);
    enum drop_reason why = dedup_check(s->seen, digest, &near);
    buf_release(&text);
    return why;
}

static bool has_id(const struct prompt_set *s, const char *id) { return json_object_get(s->ids, id) != NULL; }

/* An id that no other has: the row's own, or what it is with a number. */
static void set_free_id(const struct prompt_set *s, json_t *row)
{
    const char *own = json_string_value(json_object_get(row, "id"));
    char id[200];
    if (own && *own && !has_id(s, own)) return;
    for (size_t n = own && *own ? 2 : s->n + 1;; n++) {
        snprintf(id, sizeof id, "%.160s-%zu", own && *own ? own : json_string_value(json_object_get(row, "slice")), n);
        if (!has_id(s, id)) break;
    }
    struct buf whole;                                         /* a long id may have been cut inside a character */
    buf_init(&whole, 0);
    utf8_repair(&whole, id, strlen(id));
    json_object_set_new(row, "id", json_stringn(whole.data, whole.len));
    buf_release(&whole);
}

bool prompt_set_add(struct prompt_set *s, json_t *row)
{
    enum drop_reason why = check(s, row);
    if (why != KEEP) {
        prompt_set_count(s, why == DROP_DUPLICATE ? "duplicate" : "near_duplicate", 1);
        json_decref(row);
        return false;
    }
    set_free_id(s, row);
    json_object_set_new(s->ids, json_string_value(json_object_get(row, "id")), json_true());
    s->at = mem_grow(s->at, (s->n + 1) * sizeof *s->at);
    const char *slice = json_string_value(json_object_get(row, "slice"));
    s->at[s->n] = (struct set_row){ .row = row, .is_feedback = !strcmp(slice, "feedback"), .language = json_string_value(json_object_get(row, "language")), .draw = random_u32(s->seed, 0, s->n) };
    s->n++;
    return true;
}

static sc_status take_row(void *user, json_t *record, const char *file, uint64_t line, sc_error *err)
{
    struct prompt_set *s = user;
    json_t *row;
    const char *why;
    prompt_set_count(s, "read", 1);
    TRY(prompt_set_row(&row, &why, record, file, line, err));
    if (row) prompt_set_add(s, row);
    else prompt_set_count(s, why, 1);
    return SC_OK;
}

sc_status prompt_set_read(struct prompt_set *s, const char *path, sc_error *err) { return judge_read_rows(path, take_row, s, err); }

/* ---- against training data ------------------------------------------------------------------------------------------------------------------------ */

struct against { struct overlap *overlap; struct overlap_mark *mark; };

static void check_text(void *user, const char *text, size_t len)
{
    struct against *a = user;
    if (len) overlap_mark_items(a->mark, a->overlap, text, len);
}

static void drop_marked(struct prompt_set *s, size_t first, const struct overlap_mark *mark)
{
    size_t kept = first;
    for (size_t i = first; i < s->n; i++) {
        bool is_found = mark[i - first].is_exact || mark[i - first].share >= LEAST_SHARE;
        if (is_found) json_decref(s->at[i].row);
        else s->at[kept++] = s->at[i];
    }
    prompt_set_count(s, "overlap", (int64_t)(s->n - kept));
    s->n = kept;
}

sc_status prompt_set_against(struct prompt_set *s, size_t first, const char *paths, sc_error *err)
{
    size_t n = s->n - first;
    struct against a = { .mark = mem_zero(n + 1, sizeof *a.mark) };
    char **text = mem_zero(n + 1, sizeof *text);
    for (size_t i = 0; i < n; i++) {
        struct buf b;
        buf_init(&b, 0);
        prompt_set_text(&b, s->at[first + i].row);
        text[i] = b.data;
    }
    sc_status status = overlap_open_items(&a.overlap, (const char *const *)text, n, err);
    for (const char *at = paths; status == SC_OK && *at;) {
        size_t len = strcspn(at, ",");
        char *path = mem_strndup(at, len);
        if (len) status = training_texts_each(path, check_text, &a, err);
        mem_free(path);
        at += len + (at[len] == ',');
    }
    if (status == SC_OK) drop_marked(s, first, a.mark);
    overlap_close(a.overlap);
    for (size_t i = 0; i < n; i++) mem_free(text[i]);
    mem_free(text);
    mem_free(a.mark);
    return status;
}

/* ---- choosing ----------------------------------------------------------------------------------------------------------------------------------------- */

/* By slice, language, then drawn order. */
static int pool_order(const void *a, const void *b)
{
    const struct set_row *x = *(const struct set_row *const *)a, *y = *(const struct set_row *const *)b;
    if (x->is_feedback != y->is_feedback) return x->is_feedback ? 1 : -1;
    int by_language = strcmp(x->language, y->language);
    if (by_language) return by_language;
    return x->draw != y->draw ? x->draw < y->draw ? -1 : 1 : (x > y) - (x < y);
}

/* One of each language in turn, until `wanted` of at[0..n) are taken. */
static void take_in_turn(bool *is_taken, const struct prompt_set *s, struct set_row **at, size_t n, size_t wanted)
{
    size_t *next = mem_alloc((n + 1) * sizeof *next), *end = mem_alloc((n + 1) * sizeof *end), groups = 0;
    for (size_t i = 0; i < n; i++) {
        if (!i || strcmp(at[i]->language, at[i - 1]->language) != 0) next[groups++] = i;
        end[groups - 1] = i + 1;
    }
    while (wanted)
        for (size_t g = 0; g < groups && wanted; g++) {
            if (next[g] == end[g]) continue;
            is_taken[at[next[g]++] - s->at] = true;
            wanted--;
        }
    mem_free(next);
    mem_free(end);
}

sc_status prompt_set_choose(struct prompt_set *s, size_t count, double share, sc_error *err)
{
    size_t feedback = (size_t)lround(share * (double)count), of[2] = { 0 }, wanted[2] = { count - feedback, feedback };
    struct set_row **pool = mem_alloc((s->n + 1) * sizeof *pool);
    bool *is_taken = mem_zero(s->n + 1, 1);
    for (size_t i = 0; i < s->n; i++) {
        pool[i] = &s->at[i];
        of[s->at[i].is_feedback]++;
    }
    qsort(pool, s->n, sizeof *pool, pool_order);
    bool is_enough = of[0] >= wanted[0] && of[1] >= wanted[1];
    if (is_enough) {
        take_in_turn(is_taken, s, pool, of[0], wanted[0]);
        take_in_turn(is_taken, s, pool + of[0], of[1], wanted[1]);
        size_t kept = 0;
        for (size_t i = 0; i < s->n; i++) {
            if (is_taken[i]) s->at[kept++] = s->at[i];
            else json_decref(s->at[i].row);
        }
        s->n = kept;
    }
    mem_free(pool);
    mem_free(is_taken);
    if (is_enough) return SC_OK;
    return FAIL(err, SC_E_ARGUMENT, "there are %zu instructions and %zu questions about somebody's code, but %zu prompts with --feedback %g need %zu and %zu; name more files with --from, or a smaller --count", of[0], of[1], count, share, wanted[0],
                wanted[1]);
}

void prompt_set_lines(struct buf *out, const struct prompt_set *s)
{
    static const char *const order[] = { "id", "slice", "language", "kind", "level", "category", "prompt", "turns", "reference", "source", "licence", "review" };
    for (size_t i = 0; i < s->n; i++) {
        json_t *line = json_object();
        for (size_t k = 0; k < sizeof order / sizeof *order; k++) {
            json_t *v = json_object_get(s->at[i].row, order[k]);
            if (v) json_object_set(line, order[k], v);
        }
        char *text = json_dumps(line, JSON_COMPACT);
        buf_puts(out, text);
        buf_putc(out, '\n');
        mem_free(text);
        json_decref(line);
    }
}
