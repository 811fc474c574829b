/* tokenizer_fixture.h - golden files of tokenizers: a line holds a text, the ids that the reference gave, and what they
 * decode to where it is not the text. */
#ifndef TOKENIZER_FIXTURE_H
#define TOKENIZER_FIXTURE_H

#include "test.h"
#include "text/text.h"

static inline struct tokenizer *fixture_open(const char *path)
{
    struct tokenizer *t = NULL;
    CHECK(path != NULL);
    CHECK_OK(tokenizer_open(&t, path, err));
    return t;
}

/* All of the text is trusted, or none of it. */
static inline void check_ids(const struct tokenizer *t, const char *text, size_t len, bool is_trusted, const json_t *expected, const char *where, size_t line)
{
    struct token_list l = { 0 };
    struct span all = { 0, len };
    tokenizer_encode(t, &l, text, len, &all, is_trusted ? 1 : 0);
    bool is_same = l.len == json_array_size(expected);
    size_t i = 0;
    for (; i < l.len && i < json_array_size(expected); i++)
        if (l.id[i] != json_integer_value(json_array_get(expected, i))) { is_same = false; break; }
    if (!is_same)
        test_failed(where, (int)line, "token %zu is %d of %zu, expected %lld of %zu, in \"%.60s\"", i, i < l.len ? l.id[i] : -1, l.len,
                    (long long)json_integer_value(json_array_get(expected, i)), json_array_size(expected), text);
    token_list_release(&l);
}

static inline void check_decoded(const struct tokenizer *t, const json_t *ids, size_t n, bool skip_special, const json_t *expected, const char *where, size_t line)
{
    int32_t *id = mem_alloc((n + 1) * sizeof *id);
    struct buf raw = { 0 }, text = { 0 };
    for (size_t i = 0; i < n; i++) id[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    tokenizer_decode(t, &raw, id, n, skip_special);
    utf8_repair(&text, raw.data, raw.len);
    bool is_same = text.len == json_string_length(expected) && (!text.len || memcmp(text.data, json_string_value(expected), text.len) == 0);
    if (!is_same) test_failed(where, (int)line, "decoded \"%.60s\", expected \"%.60s\"", text.data ? text.data : "", json_string_value(expected));
    buf_release(&raw);
    buf_release(&text);
    mem_free(id);
}

static inline void check_line(const struct tokenizer *t, const json_t *j, const char *where, size_t line)
{
    const json_t *text = json_object_get(j, "text"), *ids = json_object_get(j, "ids"), *decoded = json_object_get(j, "decoded");
    const json_t *skipped = json_object_get(j, "decoded_skip_special"), *prefixes = json_object_get(j, "prefix_decodes"), *plain = json_object_get(j, "plain");
    check_ids(t, json_string_value(text), json_string_length(text), true, ids, where, line);
    if (plain) check_ids(t, json_string_value(text), json_string_length(text), false, plain, where, line);
    check_decoded(t, ids, json_array_size(ids), false, decoded ? decoded : text, where, line);
    if (skipped) check_decoded(t, ids, json_array_size(ids), true, skipped, where, line);
    for (size_t n = 1; n <= json_array_size(prefixes); n++) check_decoded(t, ids, n, false, json_array_get(prefixes, n - 1), where, line);
}

/* Every line of a golden file. */
static inline void check_golden(const struct tokenizer *t, const char *path, size_t at_least)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0, n = 0;
    CHECK(f != NULL);
    for (ssize_t len; (len = getline(&line, &cap, f)) > 0; ) {
        json_t *j = NULL;
        CHECK_OK(json_read(&j, line, (size_t)len, path, err));
        check_line(t, j, path, ++n);
        json_decref(j);
    }
    CHECK(n >= at_least);
    free(line);
    fclose(f);
}

#endif
