/* fuzz_prompt_set.c - any bytes as a record of a file of prompts, and as a model's answer that should hold one. What is taken is a whole row of a set, which reads back as itself. */
#include "judge/prompt_set.h"

#include <stdlib.h>
#include <string.h>

static const char *need(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    if (!text) abort();
    return text;
}

static void check_row(json_t *row)
{
    struct prompt_set s;
    struct buf lines;
    json_t *again;
    const char *why;
    need(row, "slice");
    need(row, "language");
    need(row, "source");
    need(row, "licence");
    prompt_set_open(&s, 1);
    if (!prompt_set_add(&s, json_deep_copy(row)) || prompt_set_add(&s, json_deep_copy(row)) || !*need(s.at[0].row, "id")) abort();
    buf_init(&lines, 0);
    prompt_set_lines(&lines, &s);
    json_t *line = json_loadb(lines.data, lines.len, 0, NULL);
    if (!line || prompt_set_row(&again, &why, line, "fuzz", 1, NULL) != SC_OK) abort();
    if (again && strcmp(need(again, "source"), need(row, "source")) != 0) abort();
    json_decref(again);
    json_decref(line);
    buf_release(&lines);
    prompt_set_close(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *row = NULL, *record = json_tree((const char *)data, size, 64);
    const char *why = NULL;
    sc_error err = { 0 };
    if (record) {
        sc_status status = prompt_set_row(&row, &why, record, "dir/fuzz.jsonl", 1, &err);
        if ((status == SC_OK) != !err.message[0] || (status == SC_OK && !row != !!why)) abort();
        if (row) check_row(row);
        json_decref(row);
        json_decref(record);
    }
    err = (sc_error){ 0 };
    row = NULL;
    if (prompt_set_reply(&row, (const char *)data, size, &err) == SC_OK) {
        if (strcmp(need(row, "review"), "pending") != 0) abort();
        check_row(row);
    } else if (!err.message[0] || row) {
        abort();
    }
    json_decref(row);
    return 0;
}
