/* gold.c - items whose best and worst answer are known beforehand: they check raters, not models. */
#include "rank/rank.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void item_release(struct gold_item *g)
{
    mem_free(g->id);
    json_decref(g->prompt);
    for (size_t i = 0; i < g->n; i++) json_decref(g->answer[i]);
}

void gold_release(struct gold_list *g)
{
    for (size_t i = 0; i < g->n; i++) item_release(&g->at[i]);
    mem_free(g->at);
    *g = (struct gold_list){ 0 };
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------------------ */

static bool is_text(const json_t *v) { return json_is_string(v) && json_string_length(v) && strlen(json_string_value(v)) == json_string_length(v); }

/* A text, or a list of texts for several turns; turns 0: any number of them. */
static sc_status need_turns(json_t **out, const json_t *v, const char *key, size_t turns, size_t line, const char *path, sc_error *err)
{
    const json_t *one;
    size_t i;
    if (!v || json_is_null(v)) return FAIL(err, SC_E_FORMAT, "%s, line %zu: \"%s\" is missing, expected text", path, line, key);
    if (!json_is_array(v) && !is_text(v)) return FAIL(err, SC_E_FORMAT, "%s, line %zu: \"%s\" is empty, holds a NUL or is no text, expected a text or a list with one for each turn", path, line, key);
    json_array_foreach(v, i, one)
        if (!is_text(one)) return FAIL(err, SC_E_FORMAT, "%s, line %zu: turn %zu of \"%s\" is empty, holds a NUL or is no text", path, line, i + 1, key);
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    if (!n || (turns && n != turns)) return FAIL(err, SC_E_FORMAT, "%s, line %zu: \"%s\" has %zu turns, expected %zu, one for each of the prompt's", path, line, key, n, turns ? turns : 1);
    *out = json_is_array(v) ? json_deep_copy(v) : json_pack("[O]", v);
    return SC_OK;
}

static sc_status read_others(struct gold_item *g, const json_t *o, size_t line, const char *path, sc_error *err)
{
    const json_t *others = json_object_get(o, "others"), *v;
    size_t i;
    if (!others || json_is_null(others)) return SC_OK;
    if (!json_is_array(others) || json_array_size(others) > RANK_SHOWN_MAX - 2)
        return FAIL(err, SC_E_FORMAT, "%s, line %zu: \"others\" is no list of at most %d answers", path, line, RANK_SHOWN_MAX - 2);
    json_array_foreach(others, i, v) {
        TRY(need_turns(&g->answer[g->n], v, "others", json_array_size(g->prompt), line, path, err));
        g->n++;
    }
    return SC_OK;
}

static sc_status read_id(struct gold_item *g, const json_t *id, const char *path, sc_error *err)
{
    char name[40];
    snprintf(name, sizeof name, "gold-%zu", g->line);
    if (id && !json_is_null(id) && !is_text(id)) return FAIL(err, SC_E_FORMAT, "%s, line %zu: \"id\" is empty, holds a NUL or is no text", path, g->line);
    g->id = mem_strdup(is_text(id) ? json_string_value(id) : name);
    return SC_OK;
}

static sc_status item_read(struct gold_item *g, const json_t *o, size_t line, const char *path, sc_error *err)
{
    if (!json_is_object(o)) return FAIL(err, SC_E_FORMAT, "%s, line %zu is no JSON object, expected {\"prompt\",\"best\",\"worst\"}", path, line);
    g->line = line;
    TRY(read_id(g, json_object_get(o, "id"), path, err));
    TRY(need_turns(&g->prompt, json_object_get(o, "prompt"), "prompt", 0, line, path, err));
    TRY(need_turns(&g->answer[0], json_object_get(o, "best"), "best", json_array_size(g->prompt), line, path, err));
    g->n = 1;
    TRY(need_turns(&g->answer[1], json_object_get(o, "worst"), "worst", json_array_size(g->prompt), line, path, err));
    g->n = 2;
    if (json_equal(g->answer[0], g->answer[1])) return FAIL(err, SC_E_FORMAT, "%s, line %zu: \"best\" and \"worst\" are the same text", path, line);
    return read_others(g, o, line, path, err);
}

static bool is_blank(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r') return false;
    return true;
}

sc_status gold_read(struct gold_list *out, const char *text, size_t len, const char *path, sc_error *err)
{
    sc_status status = SC_OK;
    size_t line = 0, cap = 0;
    *out = (struct gold_list){ 0 };
    for (size_t at = 0, n; at < len && status == SC_OK; at += n + 1) {
        const char *end = memchr(text + at, '\n', len - at);
        json_t *o = NULL;
        char what[300];
        n = end ? (size_t)(end - text) - at : len - at;
        line++;
        if (is_blank(text + at, n)) continue;
        if (out->n == cap) out->at = mem_grow(out->at, (cap = cap ? 2 * cap : 16) * sizeof *out->at);
        struct gold_item *g = &out->at[out->n];
        *g = (struct gold_item){ 0 };
        snprintf(what, sizeof what, "%s, line %zu", path, line);
        status = json_read(&o, text + at, n, what, err);
        if (status == SC_OK) { out->n++; status = item_read(g, o, line, path, err); }
        json_decref(o);
    }
    if (status == SC_OK && !out->n) status = FAIL(err, SC_E_FORMAT, "%s has no items, expected lines of {\"prompt\",\"best\",\"worst\"}", path);
    if (status != SC_OK) gold_release(out);
    return status;
}

/* ---- sizes -------------------------------------------------------------------------------------------------------------------------------- */

static int most_first(const void *a, const void *b)
{
    const struct gold_item *const *x = a, *const *y = b;
    if ((*x)->n != (*y)->n) return (*x)->n < (*y)->n ? 1 : -1;
    return (*x > *y) - (*x < *y);
}

/* How many of n gold items show k answers: shares of the ordinary ones, whole numbers by largest remainder (the larger k where two are equal). */
static void share_sizes(size_t share[RANK_SHOWN_MAX + 1], const size_t ordinary[RANK_SHOWN_MAX + 1], size_t n)
{
    size_t all = 0, given = 0, rest[RANK_SHOWN_MAX + 1] = { 0 };
    for (size_t k = 0; k <= RANK_SHOWN_MAX; k++) all += ordinary[k];
    for (size_t k = 0; k <= RANK_SHOWN_MAX; k++) {
        share[k] = n * ordinary[k] / all;
        rest[k] = n * ordinary[k] % all;
        given += share[k];
    }
    for (; given < n; given++) {
        size_t most = RANK_SHOWN_MAX;
        for (size_t k = RANK_SHOWN_MAX; k-- > 0;)
            if (rest[k] > rest[most]) most = k;
        share[most]++;
        rest[most] = 0;
    }
}

sc_status gold_sizes(size_t *sizes, const struct gold_list *g, const size_t ordinary[RANK_SHOWN_MAX + 1], const char *path, sc_error *err)
{
    size_t share[RANK_SHOWN_MAX + 1], k = RANK_SHOWN_MAX;
    const struct gold_item **order = mem_alloc((g->n + 1) * sizeof *order);
    sc_status status = SC_OK;
    for (size_t i = 0; i < g->n; i++) order[i] = &g->at[i];
    qsort(order, g->n, sizeof *order, most_first);
    share_sizes(share, ordinary, g->n);
    for (size_t i = 0; i < g->n && status == SC_OK; i++) {
        while (!share[k]) k--;
        share[k]--;
        sizes[order[i] - g->at] = k;
        if (order[i]->n < k)
            status = FAIL(err, SC_E_ARGUMENT, "%s, line %zu: the gold item has %zu answers and has to show %zu, as prompts of this study do, or raters could tell it; put more into \"others\", or show fewer of each prompt (--shown)",
                          path, order[i]->line, order[i]->n, k);
    }
    mem_free(order);
    return status;
}
