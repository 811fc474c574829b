/* gold.c - items whose best and worst answer are known beforehand: they check raters, not models. */
#include "rank/rank.h"

#include <stdio.h>
#include <string.h>

static void item_release(struct gold_item *g)
{
    mem_free(g->id);
    mem_free(g->prompt);
    for (size_t i = 0; i < g->n; i++) mem_free(g->answer[i]);
}

void gold_release(struct gold_list *g)
{
    for (size_t i = 0; i < g->n; i++) item_release(&g->at[i]);
    mem_free(g->at);
    *g = (struct gold_list){ 0 };
}

static sc_status need_text(char **out, const json_t *o, const char *key, size_t line, const char *path, sc_error *err)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_string(v) || !json_string_length(v)) return FAIL(err, SC_E_FORMAT, "%s, line %zu: \"%s\" is %s, expected text", path, line, key, v ? "no text or empty" : "missing");
    if (strlen(json_string_value(v)) != json_string_length(v)) return FAIL(err, SC_E_FORMAT, "%s, line %zu: \"%s\" holds a NUL", path, line, key);
    *out = mem_strdup(json_string_value(v));
    return SC_OK;
}

static sc_status read_others(struct gold_item *g, const json_t *o, size_t line, const char *path, sc_error *err)
{
    const json_t *others = json_object_get(o, "others"), *v;
    size_t i;
    if (!others || json_is_null(others)) return SC_OK;
    if (!json_is_array(others) || json_array_size(others) > RANK_SHOWN_MAX - 2)
        return FAIL(err, SC_E_FORMAT, "%s, line %zu: \"others\" is no list of at most %d texts", path, line, RANK_SHOWN_MAX - 2);
    json_array_foreach(others, i, v) {
        if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v)) return FAIL(err, SC_E_FORMAT, "%s, line %zu: \"others\" holds something that is no text", path, line);
        g->answer[g->n++] = mem_strdup(json_string_value(v));
    }
    return SC_OK;
}

static sc_status item_read(struct gold_item *g, const json_t *o, size_t line, const char *path, sc_error *err)
{
    char name[40];
    const json_t *id = json_object_get(o, "id");
    if (!json_is_object(o)) return FAIL(err, SC_E_FORMAT, "%s, line %zu is no JSON object, expected {\"prompt\",\"best\",\"worst\"}", path, line);
    snprintf(name, sizeof name, "gold-%zu", line);
    if (id && !json_is_null(id)) TRY(need_text(&g->id, o, "id", line, path, err));
    else g->id = mem_strdup(name);
    TRY(need_text(&g->prompt, o, "prompt", line, path, err));
    TRY(need_text(&g->answer[0], o, "best", line, path, err));
    g->n = 1;
    TRY(need_text(&g->answer[1], o, "worst", line, path, err));
    g->n = 2;
    if (strcmp(g->answer[0], g->answer[1]) == 0) return FAIL(err, SC_E_FORMAT, "%s, line %zu: \"best\" and \"worst\" are the same text", path, line);
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
