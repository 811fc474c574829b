/* prompts_file.c - what is asked, from files of several shapes; and how rows of files are read, for the files beside this one. */
#include "judge_internal.h"

#include <string.h>

#include "data/data.h"

/* ---- rows and their members --------------------------------------------------------------------------------------------------------------- */

sc_status judge_read_rows(const char *path, judge_each *each, void *user, sc_error *err)
{
    struct reader *r;
    struct record record = { 0 };
    bool more = true;
    TRY(reader_open(&r, &(struct reader_config){ .inputs = &path, .n_inputs = 1 }, err));
    sc_status status = SC_OK;
    while (status == SC_OK) {
        json_t *row = NULL;
        status = reader_next(r, &record, &more, err);
        if (status != SC_OK || !more) break;
        status = json_read_line(&row, record.text, record.len, record.line, err);
        if (status != SC_OK) status = error_prefix(err, status, "%s", record.file);
        else if (!json_is_object(row)) status = FAIL(err, SC_E_FORMAT, "%s: line %llu is no JSON object", record.file, (unsigned long long)record.line);
        else if ((status = each(user, row, record.file, record.line, err)) != SC_OK) status = error_prefix(err, status, "%s: line %llu", record.file, (unsigned long long)record.line);
        json_decref(row);
        record_release(&record);
    }
    reader_close(r);
    return status;
}

static sc_status text_of(char **out, const json_t *v, const char *key, sc_error *err)
{
    char number[40];
    *out = NULL;
    if (json_is_integer(v)) {
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        *out = mem_strdup(number);
        return SC_OK;
    }
    if (!json_is_string(v)) return FAIL(err, SC_E_FORMAT, "\"%s\" is %s, expected text", key, json_is_array(v) ? "a list" : json_is_object(v) ? "an object" : json_is_number(v) ? "a number with a fraction" : "true or false");
    if (strlen(json_string_value(v)) != json_string_length(v)) return FAIL(err, SC_E_FORMAT, "\"%s\" holds a NUL character", key);
    *out = mem_strdup(json_string_value(v));
    return SC_OK;
}

static const json_t *member(const json_t *row, const char *const *keys, const char **key)
{
    for (size_t i = 0; keys[i]; i++) {
        const json_t *v = json_object_get(row, keys[i]);
        *key = keys[i];
        if (v && !json_is_null(v)) return v;
    }
    return NULL;
}

sc_status judge_take_text(char **out, const json_t *row, const char *const *keys, sc_error *err)
{
    const char *key;
    const json_t *v = member(row, keys, &key);
    *out = NULL;
    return v ? text_of(out, v, key, err) : SC_OK;
}

sc_status judge_take_list(char ***out, size_t *n, const json_t *row, const char *const *keys, sc_error *err)
{
    const char *key;
    const json_t *v = member(row, keys, &key);
    size_t len = v ? json_is_array(v) ? json_array_size(v) : 1 : 0;
    *out = NULL;
    *n = 0;
    if (!len) return SC_OK;
    *out = mem_zero(len, sizeof **out);
    for (size_t i = 0; i < len; i++) {
        const json_t *one = json_is_array(v) ? json_array_get(v, i) : v;
        /* Arena-Hard 2 keeps turns as objects with the text inside. */
        if (json_is_object(one) && json_is_string(json_object_get(one, "content"))) one = json_object_get(one, "content");
        sc_status status = text_of(&(*out)[i], one, key, err);
        *n = i + 1;
        if (status == SC_OK) continue;
        judge_list_release(*out, *n);
        *out = NULL;
        *n = 0;
        return status;
    }
    return SC_OK;
}

void judge_list_release(char **at, size_t n)
{
    for (size_t i = 0; i < n; i++) mem_free(at[i]);
    mem_free(at);
}

/* ---- prompts --------------------------------------------------------------------------------------------------------------------------------- */

static void prompt_release(struct judge_prompt *p)
{
    mem_free(p->id);
    mem_free(p->slice);
    mem_free(p->language);
    judge_list_release(p->turn, p->n_turns);
    judge_list_release(p->reference, p->n_references);
    *p = (struct judge_prompt){ 0 };
}

void judge_prompts_release(struct judge_prompts *p)
{
    for (size_t i = 0; i < p->n; i++) prompt_release(&p->at[i]);
    mem_free(p->at);
    *p = (struct judge_prompts){ 0 };
}

const struct judge_prompt *judge_prompts_find(const struct judge_prompts *p, const char *id)
{
    for (size_t i = 0; i < p->n; i++)
        if (!strcmp(p->at[i].id, id)) return &p->at[i];
    return NULL;
}

static sc_status take_prompt(struct judge_prompt *out, const json_t *row, sc_error *err)
{
    static const char *const id[] = { "id", "question_id", "uid", "idx", NULL }, *const slice[] = { "slice", "subcategory", "cluster", "category", NULL }, *const language[] = { "language", "lang", NULL };
    static const char *const turns[] = { "turns", "prompt", "text", "instruction", NULL }, *const reference[] = { "reference", "references", NULL };
    char quoted[80];
    TRY(judge_take_text(&out->id, row, id, err));
    if (!out->id || !*out->id) return FAIL(err, SC_E_FORMAT, "has no \"id\" (or question_id, uid); every prompt needs one, by which its answers are found");
    TRY(judge_take_text(&out->slice, row, slice, err));
    TRY(judge_take_text(&out->language, row, language, err));
    TRY(judge_take_list(&out->turn, &out->n_turns, row, turns, err));
    TRY(judge_take_list(&out->reference, &out->n_references, row, reference, err));
    if (!out->n_turns) return FAIL(err, SC_E_FORMAT, "prompt %s asks nothing, expected \"prompt\" or \"turns\"", error_quote(quoted, sizeof quoted, out->id, strlen(out->id)));
    for (size_t i = 0; i < out->n_turns; i++)
        if (!*out->turn[i]) return FAIL(err, SC_E_FORMAT, "turn %zu of prompt %s is empty", i + 1, error_quote(quoted, sizeof quoted, out->id, strlen(out->id)));
    return SC_OK;
}

static sc_status add_prompt(void *user, json_t *row, const char *file, uint64_t line, sc_error *err)
{
    struct judge_prompts *p = user;
    struct judge_prompt one = { 0 };
    char quoted[80];
    const char *review = json_string_value(json_object_get(row, "review"));
    (void)file;
    (void)line;
    if (review && (!strcmp(review, "pending") || !strcmp(review, "rejected"))) return SC_OK;      /* what a model wrote and nobody took: see prompt_set.h */
    sc_status status = take_prompt(&one, row, err);
    if (status == SC_OK && judge_prompts_find(p, one.id)) status = FAIL(err, SC_E_FORMAT, "prompt %s is there a second time; every id stands for one prompt", error_quote(quoted, sizeof quoted, one.id, strlen(one.id)));
    if (status != SC_OK) {
        prompt_release(&one);
        return status;
    }
    p->at = mem_grow(p->at, (p->n + 1) * sizeof *p->at);
    p->at[p->n++] = one;
    return SC_OK;
}

/* embedded/judge_prompts.c, made of data/judge/prompts-115.jsonl. */
extern const unsigned char judge_prompts_ready[];
extern const size_t judge_prompts_ready_bytes;

sc_status judge_ready_rows(judge_each *each, void *user, sc_error *err)
{
    const char *at = (const char *)judge_prompts_ready, *end = at + judge_prompts_ready_bytes;
    for (uint64_t line = 1; at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        json_t *row = NULL;
        size_t len = (size_t)((stop ? stop : end) - at);
        TRY(json_read_line(&row, at, len, line, err));
        sc_status status = each(user, row, "prompts-115.jsonl", line, err);
        json_decref(row);
        if (status != SC_OK) return status;
        at += len + 1;
    }
    return SC_OK;
}

sc_status judge_prompts_read(struct judge_prompts *out, const char *path, sc_error *err)
{
    *out = (struct judge_prompts){ 0 };
    sc_status status = path && *path ? judge_read_rows(path, add_prompt, out, err) : judge_ready_rows(add_prompt, out, err);
    if (status == SC_OK && !out->n) status = FAIL(err, SC_E_FORMAT, "%s has no prompts", path);
    if (status != SC_OK) judge_prompts_release(out);
    return status;
}
