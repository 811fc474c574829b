/* prompt_set_job.c - `judge prompts`: a set is made, written on, and reviewed. */
#include "prompt_set.h"

#include "judge_internal.h"

#include <string.h>

#define ROW(field, kind, low, high, fallback_, choices_, help_) { #field, kind, offsetof(sc_judge_prompts_config, field), low, high, fallback_, choices_, help_ }

static const struct option rows[] = {
    ROW(from, OPT_STRING, 0, 0, "", NULL, "files of prompts, with commas: lines {\"prompt\"}, or as MBPP, HumanEvalPack, Code Alpaca, Arena-Hard or FastChat have them; empty: the 115 of the program"),
    ROW(count, OPT_INT, 1, 100000, "115", NULL, "prompts of the set, one of each language in turn while there are any"),
    ROW(feedback, OPT_REAL, 0, 1, "0.25", NULL, "share of \"here is my code, what is wrong with it\""),
    ROW(against, OPT_STRING, 0, 0, "", NULL, "training data, with commas (prepared directories or files): prompts that stand in it are left out"),
    ROW(write, OPT_INT, 0, 10000, "0", NULL, "lets --model write so many more, which wait for --review"),
    ROW(model, OPT_STRING, 0, 0, "", NULL, "who writes them: a MODEL, or URL#NAME of a server that speaks OpenAI's chat completions"),
};

const struct sc_options judge_prompts_options = { "judge_prompts", sizeof(sc_judge_prompts_config), rows, sizeof rows / sizeof *rows };

/* ---- making a set ---------------------------------------------------------------------------------------------------------------------------- */

static sc_status add_ready(void *user, json_t *record, const char *file, uint64_t line, sc_error *err)
{
    const char *why;
    json_t *row = NULL;
    TRY(prompt_set_row(&row, &why, record, file, line, err));
    if (row) prompt_set_add(user, row);
    return SC_OK;
}

static sc_status read_all(struct prompt_set *s, const char *from, sc_error *err)
{
    if (!from || !*from) return judge_ready_rows(add_ready, s, err);
    for (const char *at = from; *at;) {
        size_t len = strcspn(at, ",");
        char *path = mem_strndup(at, len);
        sc_status status = len ? prompt_set_read(s, path, err) : SC_OK;
        mem_free(path);
        if (status != SC_OK) return status;
        at += len + (at[len] == ',');
    }
    return SC_OK;
}

static json_t *summary_of(const struct prompt_set *s, const char *path)
{
    json_t *out = json_deep_copy(s->counts), *languages = json_object();
    int64_t n[4] = { 0 };                                      /* instruction, feedback, unknown licence, pending */
    for (size_t i = 0; i < s->n; i++) {
        const json_t *row = s->at[i].row;
        const char *licence = json_string_value(json_object_get(row, "licence")), *review = json_string_value(json_object_get(row, "review"));
        n[s->at[i].is_feedback]++;
        n[2] += licence && !strcmp(licence, "unknown");
        n[3] += review && !strcmp(review, "pending");
        json_object_set_new(languages, s->at[i].language, json_integer(json_integer_value(json_object_get(languages, s->at[i].language)) + 1));
    }
    static const char *const names[] = { "instruction", "feedback", "unknown_licence", "pending" };
    for (size_t i = 0; i < 4; i++) json_object_set_new(out, names[i], json_integer(n[i]));
    json_object_set_new(out, "languages", languages);
    json_object_set_new(out, "out", json_string(path));
    return out;
}

static sc_status check(const sc_judge_config *j, const sc_judge_prompts_config *c, sc_error *err)
{
    if (!j->out || !*j->out) return FAIL(err, SC_E_ARGUMENT, "--out is missing: the file of lines of JSON that the prompts are written to");
    if (!j->overwrite && path_exists(j->out)) return FAIL(err, SC_E_ARGUMENT, "%s is there already, with reviews perhaps; name another --out, or add --overwrite", j->out);
    if (c->write && (!c->model || !*c->model)) return FAIL(err, SC_E_ARGUMENT, "--write %lld needs --model: who is to write the prompts", (long long)c->write);
    return SC_OK;
}

sc_status sc_judge_prompts(sc_text *out, sc_runtime *rt, const sc_model_config *m, const sc_judge_config *j, const sc_judge_prompts_config *c, sc_error *err)
{
    struct prompt_set s;
    struct buf lines;
    sc_status status;
    *out = (sc_text){ 0 };
    TRY(check(j, c, err));
    prompt_set_open(&s, (uint64_t)j->seed);
    buf_init(&lines, 0);
    TRY_DONE(read_all(&s, c->from, err));
    if (c->against && *c->against) TRY_DONE(prompt_set_against(&s, 0, c->against, err));
    TRY_DONE(prompt_set_choose(&s, (size_t)c->count, c->feedback, err));
    if (c->write) {
        struct prompt_writer w = { .runtime = rt, .model = m, .judge = j, .spec = c->model, .against = c->against, .feedback = c->feedback };
        status = prompt_set_write(&s, &w, (size_t)c->write, err);
        if (status != SC_OK) (void)json_write(out, s.counts, false);        /* what was paid */
        TRY_DONE(status);
    }
    prompt_set_lines(&lines, &s);
    TRY_DONE(file_write(j->out, lines.data, lines.len, err));
    json_t *summary = summary_of(&s, j->out);
    status = json_write(out, summary, false);
    json_decref(summary);
done:
    buf_release(&lines);
    prompt_set_close(&s);
    return status;
}

/* ---- review -------------------------------------------------------------------------------------------------------------------------------------- */

static bool is_pending(const json_t *row)
{
    const char *review = json_string_value(json_object_get(row, "review"));
    return review && !strcmp(review, "pending");
}

static sc_status keep_record(void *user, json_t *row, const char *file, uint64_t line, sc_error *err)
{
    (void)file;
    (void)line;
    (void)err;
    json_array_append(user, row);
    return SC_OK;
}

static sc_status write_rows(const char *file, const json_t *rows_, sc_error *err)
{
    struct buf b;
    size_t i;
    const json_t *row;
    buf_init(&b, 0);
    json_array_foreach(rows_, i, row) {
        char *text = json_dumps(row, JSON_COMPACT);
        buf_puts(&b, text);
        buf_putc(&b, '\n');
        mem_free(text);
    }
    sc_status status = file_write(file, b.data, b.len, err);
    buf_release(&b);
    return status;
}

/* What was decided, in the row. SC_E_FORMAT: a changed prompt that is none. */
static sc_status decide_row(json_t *row, sc_review review, const sc_text *text, sc_error *err)
{
    if (review == SC_REVIEW_CHANGE) {
        size_t len = text->len;
        while (len && strchr(" \t\r\n", text->data[len - 1])) len--;
        if (!len || len > PROMPT_BYTES_MAX || !utf8_is_valid(text->data, len) || memchr(text->data, 0, len))
            return FAIL(err, SC_E_FORMAT, "the changed prompt is empty, longer than %d bytes or no UTF-8; it waits still", PROMPT_BYTES_MAX);
        json_object_set_new(row, "prompt", json_stringn(text->data, len));
        json_object_del(row, "turns");
        json_object_del(row, "reference");                     /* it answered another question */
    }
    json_object_set_new(row, "review", json_string(review == SC_REVIEW_REJECT ? "rejected" : "accepted"));
    return SC_OK;
}

sc_status sc_judge_prompts_review(size_t *left, const char *file, sc_on_review decide, void *user, sc_error *err)
{
    json_t *all = json_array(), *row;
    size_t i, at = 0, n = 0;
    bool is_end = false;
    if (left) *left = 0;
    if (!path_ends_with(file, ".jsonl")) {
        json_decref(all);
        return FAIL(err, SC_E_ARGUMENT, "%s is no .jsonl file; a review writes lines of JSON", file);
    }
    sc_status status = judge_read_rows(file, keep_record, all, err);
    json_array_foreach(all, i, row) n += is_pending(row);
    size_t waiting = n;
    json_array_foreach(all, i, row) {
        if (status != SC_OK || is_end || !is_pending(row)) continue;
        sc_text text = { 0 };
        char *line = json_dumps(row, JSON_COMPACT);
        sc_review review = decide(user, line, at++, n, &text);
        mem_free(line);
        is_end = review == SC_REVIEW_END;
        if (!is_end && review != SC_REVIEW_SKIP) {
            status = decide_row(row, review, &text, err);
            if (status == SC_OK) status = write_rows(file, all, err);
            waiting -= status == SC_OK;
        }
        sc_text_free(&text);
    }
    if (left) *left = waiting;
    json_decref(all);
    return status;
}
