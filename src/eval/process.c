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

const struct eval_process eval_processes[] = {
    { "pages", "a file of WikiText as one document for each article", pages },
    { NULL, NULL, NULL },
};
