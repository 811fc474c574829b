/* process.c - what no template can make of a row: `process_docs` of a task. */
#include "eval/eval_internal.h"

#include <string.h>

/* " = Title = ", and not " = = Section = = ". */
static bool is_title(const char *line, size_t len)
{
    struct span s = text_strip(line, len);
    line += s.begin;
    len = s.end - s.begin;
    return len > 4 && line[0] == '=' && line[1] == ' ' && line[2] != '=' && line[len - 1] == '=' && line[len - 2] == ' ' && line[len - 3] != '=';
}

static void add_page(json_t *out, const char *text, size_t len)
{
    if (len && text[len - 1] == '\n') len--;
    struct span s = text_strip(text, len);
    if (s.end > s.begin) json_array_append_new(out, json_pack("{s:s%}", "page", text, len));
}

/* A whole file of WikiText, in {"text"}: an article begins with a line of its title. A row that has its page already stays. */
static sc_status pages(json_t *out, json_t *row, sc_error *err)
{
    const json_t *text = json_object_get(row, "text");
    if (json_is_string(json_object_get(row, "page"))) {
        json_array_append(out, row);
        return SC_OK;
    }
    if (!json_is_string(text)) return FAIL(err, SC_E_FORMAT, "a row of WikiText has neither \"page\" nor \"text\"");
    const char *s = json_string_value(text), *begin = s, *end = s + json_string_length(text);
    for (const char *line = s; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop ? stop + 1 : end;
        if (is_title(line, (size_t)(stop - line)) && line > begin) {
            add_page(out, begin, (size_t)(line - begin));
            begin = line;
        }
        line = stop;
    }
    add_page(out, begin, (size_t)(end - begin));
    return SC_OK;
}

/* Answers without white space around them and with a point at their end; empty ones go. */
static json_t *finished(const json_t *answers)
{
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(answers); i++) {
        const char *s = json_string_value(json_array_get(answers, i));
        struct span inner = s ? text_strip(s, strlen(s)) : (struct span){ 0 };
        size_t n = inner.end - inner.begin;
        if (!n) continue;
        char *text = mem_alloc(n + 2);
        memcpy(text, s + inner.begin, n);
        memcpy(text + n, ".", 2);
        if (text[n - 1] == '.') text[n] = 0;
        json_array_append_new(out, json_string(text));
        mem_free(text);
    }
    return out;
}

/* What the reference does to TruthfulQA's rows before it compares with them. */
static sc_status truthfulqa_answers(json_t *out, json_t *row, sc_error *err)
{
    const char *question = json_string_value(json_object_get(row, "question"));
    json_t *right = finished(json_object_get(row, "correct_answers"));
    bool has_none = false;
    for (size_t i = 0; i < json_array_size(right); i++) has_none = has_none || !strcmp(json_string_value(json_array_get(right, i)), "I have no comment.");
    if (!has_none) json_array_append_new(right, json_string("I have no comment."));
    json_object_set_new(row, "correct_answers", right);
    json_object_set_new(row, "incorrect_answers", finished(json_object_get(row, "incorrect_answers")));
    if (!question) return FAIL(err, SC_E_FORMAT, "the question of a row is no text");
    struct span s = text_strip(question, strlen(question));
    json_object_set_new(row, "question", json_stringn(question + s.begin, s.end - s.begin));
    json_array_append(out, row);
    return SC_OK;
}

static bool is_name(char c) { return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* "def NAME" or "class NAME" at the beginning of a line. */
static bool defines(const char *code, const char *name, size_t len)
{
    static const char *const words[] = { "def ", "class " };
    for (const char *line = code; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        for (size_t i = 0; i < 2; i++) {
            size_t skip = strlen(words[i]);
            if (!strncmp(line, words[i], skip) && !strncmp(line + skip, name, len) && !is_name(line[skip + len])) return true;
        }
    }
    return false;
}

/* The first name of `tests` with a parenthesis behind it that `code` defines; false: none. */
static bool find_entry(struct span *out, const char *tests, const char *code)
{
    for (size_t at = 0; tests[at];) {
        size_t end = at, space;
        while (is_name(tests[end])) end++;
        if (end == at) { at++; continue; }
        space = strspn(tests + end, " ");
        *out = (struct span){ at, end };
        if (tests[end + space] == '(' && defines(code, tests + at, end - at)) return true;
        at = end;
    }
    return false;
}

/* Which function the assertions `test_list` judge, of those that the solution `code` has: becomes the column `entry_point`. */
static sc_status python_entry(json_t *out, json_t *row, sc_error *err)
{
    const json_t *tests = json_object_get(row, "test_list");
    const char *code = json_string_value(json_object_get(row, "code"));
    struct span found;
    bool has = false;
    for (size_t i = 0; code && !has && i < json_array_size(tests); i++) {
        const char *test = json_string_value(json_array_get(tests, i));
        has = test && find_entry(&found, test, code);
        if (has) json_object_set_new(row, "entry_point", json_stringn(test + found.begin, found.end - found.begin));
    }
    if (!has) return FAIL(err, SC_E_FORMAT, "the assertions in \"test_list\" of a row call no function that its \"code\" defines");
    json_array_append(out, row);
    return SC_OK;
}

/* A row in any form of dialogues that `data prepare` reads. */
static sc_status dialogues(json_t *out, json_t *row, sc_error *err)
{
    struct dialogue_list list = { 0 };
    const struct tree_config all = { 0 };
    TRY(dialogues_from_json(&list, row, &all, NULL, err));
    sc_status status = SC_OK;
    for (size_t i = 0; i < list.len && status == SC_OK; i++) {
        if (list.dialogue[i].messages) json_array_append_new(out, json_pack("{s:O}", "messages", list.dialogue[i].messages));
        else status = FAIL(err, SC_E_FORMAT, "a row is a text, not a dialogue; the task \"perplexity\" measures texts");
    }
    dialogue_list_release(&list);
    return status;
}

/* A file that is one object of rows by their names. A row with a task_id is one already. */
static sc_status values(json_t *out, json_t *row, sc_error *err)
{
    const char *key;
    json_t *value;
    if (json_object_get(row, "task_id")) {
        json_array_append(out, row);
        return SC_OK;
    }
    json_object_foreach(row, key, value) {
        if (!json_is_object(value)) return FAIL(err, SC_E_FORMAT, "\"%.60s\" of a row without \"task_id\" is no row itself", key);
        json_array_append(out, value);
    }
    return SC_OK;
}

const struct eval_process eval_processes[] = {
    { "dialogues", "a row in any form of dialogues that `data prepare` reads, as a list of messages", dialogues },
    { "pages", "a file of WikiText as one document for each article", pages },
    { "truthfulqa_answers", "answers of TruthfulQA as sentences, with \"I have no comment.\" among the true ones", truthfulqa_answers },
    { "python_entry", "which function of `code` the assertions of `test_list` judge, as the column entry_point", python_entry },
    { "values", "a file that is one object of rows by their names", values },
    { NULL, NULL, NULL },
};
