/* test_talks_files.c - conversations out and in: our JSON, Markdown, exports of ChatGPT, what earlier versions kept. */
#include "talks_fixture.h"

#include <sys/stat.h>

static json_t *import_text(sc_talks *t, const char *text, size_t len)
{
    sc_text json;
    CHECK_OK(sc_talks_import(&json, t, text, len, "file", err));
    stays(json.data);
    return tree(&json);
}

static void check_counts(const json_t *result, int imported, int skipped)
{
    CHECK_INT(json_integer_value(json_object_get(result, "imported")), imported);
    CHECK_INT(json_integer_value(json_object_get(result, "skipped")), skipped);
    CHECK_INT(json_array_size(json_object_get(result, "ids")), imported);
}

static char *export_all(sc_talks *t)
{
    sc_text all;
    CHECK_OK(sc_talks_export(&all, t, NULL, "json", err));
    json_t *o = tree(&all);
    json_object_del(o, "exported");
    return stays(json_dumps(o, JSON_INDENT(1)));
}

TEST(talks_json_round_trips)
{
    sc_text json;
    sc_talks *t = open_talks(home_file("one")), *u = open_talks(home_file("two"));
    const char *id = str(create(t, "{\"title\":\"caf\xc3\xa9 \\\"x\\\"\",\"model\":\"m\",\"system\":\"s\",\"few_shot\":\"ta\",\"settings\":{\"stop\":[\"a\\u0001\"],\"seed\":18446744073709551615}}"), "id");
    char *q = add(t, id, NULL, "user", "\x01\x7f \xf0\x9f\x99\x82 </script>"), *a = add(t, id, q, "assistant", "one");
    CHECK_OK(sc_talks_add(&json, t, id, &(sc_talks_message){ .parent = q, .role = "assistant", .content = "", .status = "error", .error = "why", .stats = "{\"tokens\":1.5}", .model = "other" }, err));
    stays(json.data);
    add(t, id, NULL, "user", "another root");
    char fields[64];
    snprintf(fields, sizeof fields, "{\"leaf\":\"%s\"}", a);
    CHECK_OK(sc_talks_update(&json, t, id, fields, err));
    stays(json.data);
    create(t, "{\"title\":\"empty\"}");
    CHECK_OK(sc_talks_export(&json, t, NULL, "json", err));
    stays(json.data);
    check_counts(import_text(u, json.data, json.len), 2, 0);
    CHECK_STR(export_all(u), export_all(t));
    check_counts(import_text(u, json.data, json.len), 0, 2);
    CHECK_STR(titles(u, "root"), "caf\xc3\xa9 \"x\"");
    CHECK_STR(str(get(u, id), "leaf"), a);
    /* What was gone on with since is not doubled by the older file; what differs becomes a copy, once. */
    add(u, id, a, "user", "later");
    check_counts(import_text(u, json.data, json.len), 0, 2);
    char *changed = json.data, *at = strstr(changed, "another root");
    memcpy(at, "ANOTHER", 7);
    check_counts(import_text(u, changed, json.len), 1, 1);
    check_counts(import_text(u, changed, json.len), 0, 2);
    CHECK_INT(json_array_size(json_object_get(list(u, "root", 0, 0), "conversations")), 2);
    sc_talks_close(t);
    sc_talks_close(u);
}

TEST(talks_markdown_round_trips)
{
    static const char *const texts[] = { "plain", "", "\n", "ends\n", "\n\nbegins", "## User", "a\n## Assistant  \n\\## System\n\\\\## User\n### User\n# Title\n-->",
                                         "```\n## User\n```\n\n", "<!-- starchat: {} -->", "tab\t\r\nx", "\\", "## Users" };
    enum { N = sizeof texts / sizeof *texts };
    sc_talks *t = open_talks(home_file("one")), *other = open_talks(home_file("two"));
    sc_text text, again;
    for (int system = 0; system < 2; system++) {
        const char *id = str(create(t, system ? "{\"title\":\"## User\",\"model\":\"a-->b\",\"system\":\"\\n## User\\n\",\"settings\":{\"stop\":[\"-->\"]}}" : NULL), "id");
        char *at = NULL;
        for (int i = 0; i < N; i++) at = add(t, id, at, i % 2 ? "assistant" : "user", texts[i]);
        CHECK_OK(sc_talks_export(&text, t, id, "markdown", err));
    stays(text.data);
        check_counts(import_text(t, text.data, text.len), 0, 1);        /* it is there */
        json_t *result = import_text(other, text.data, text.len);
        check_counts(result, 1, 0);
        json_t *copy = get(other, json_string_value(json_array_get(json_object_get(result, "ids"), 0)));
        for (size_t i = 0; i < N; i++) CHECK_STR(str(message(copy, i), "content"), texts[i]);
        CHECK_INT(json_array_size(json_object_get(copy, "messages")), N);
        CHECK_STR(str(copy, "title"), system ? "## User" : "plain");
        CHECK_STR(str(copy, "model"), system ? "a-->b" : "(none)");
        CHECK_STR(str(copy, "system"), system ? "\n## User\n" : "(none)");
        CHECK_OK(sc_talks_export(&again, other, str(copy, "id"), "markdown", err));
    stays(again.data);
        CHECK_STR(again.data, text.data);
        check_counts(import_text(other, text.data, text.len), 0, 1);
    }
    const char *by_hand = "## User\nhello\nthere\n\n## Assistant\nhi\n";
    json_t *hand = import_text(t, by_hand, strlen(by_hand));
    CHECK_STR(path(t, json_string_value(json_array_get(json_object_get(hand, "ids"), 0)), NULL), "u:hello\nthere|a:hi");
    const char *windows = "# T\r\n\r\n## User\r\n\r\nhello\r\nthere\r\n\r\n## Assistant\r\n\r\nhi\r\n";
    hand = import_text(t, windows, strlen(windows));
    CHECK_STR(path(t, json_string_value(json_array_get(json_object_get(hand, "ids"), 0)), NULL), "u:hello\nthere|a:hi");
    sc_talks_close(t);
    sc_talks_close(other);
}

TEST(talks_read_exports_of_chatgpt)
{
    sc_text file;
    sc_talks *t = open_talks(test_scratch());
    CHECK_OK(file_read(&file, test_path("tests/golden/talks/chatgpt.json"), 1 << 20, err));
    stays(file.data);
    check_counts(import_text(t, file.data, file.len), 4, 0);
    check_counts(import_text(t, file.data, file.len), 0, 4);
    CHECK_STR(titles(t, NULL), "Nothing said,A branch of the first,What is six times seven?,Sorting in C");
    json_t *k = get(t, "6553a1b2-0000-4000-8000-000000000001");
    CHECK_INT(json_array_size(json_object_get(k, "messages")), 4);
    CHECK_STR(str(k, "leaf"), "a1");
    CHECK_STR(str(k, "model"), "gpt-4");
    CHECK(json_is_null(json_object_get(k, "system")));
    CHECK(fabs(json_number_value(json_object_get(k, "created")) - 1700000000.123) < 1e-6);
    CHECK(fabs(json_number_value(json_object_get(k, "updated")) - 1700000100.5) < 1e-6);
    CHECK_STR(path(t, str(k, "id"), NULL), "u:Sort an array.|a:Use qsort.");
    CHECK_STR(path(t, str(k, "id"), "u2"), "u:Sort an array.|a:Write a \n\nloop.|u:[image]\n\nWhat is this?");
    CHECK_STR(str(message(k, 2), "status"), "stopped");
    CHECK_STR(path(t, "6553a1b2-0000-4000-8000-000000000002", NULL), "s:Be brief.|u:\n  What is six times seven?\nAnswer shortly.|a:It is 42.");
    k = get(t, "6553a1b2-0000-4000-8000-000000000003");
    CHECK_STR(path(t, str(k, "id"), NULL), "u:Sort an array.");
    CHECK_INT(strlen(str(message(k, 0), "id")), 22);  /* u1 is taken by the first */
    /* One conversation alone, as other programs cut them out. */
    json_error_t e;
    json_t *all = stays(json_loadb(file.data, file.len, 0, &e));
    char *one = stays(json_dumps(json_array_get(all, 0), 0));
    check_counts(import_text(t, one, strlen(one)), 0, 1);
    sc_talks_close(t);
}

TEST(talks_import_all_or_nothing)
{
    static const struct { const char *text, *part; } rows[] = {
        { "", "is no file of conversations" },
        { "hello", "is no file of conversations" },
        { "[", "ends at byte 1" },
        { "[{\"messages\":[]},5]", "conversation 2: it has neither" },
        { "[{\"messages\":[]},{}]", "conversation 2: it has neither" },
        { "[{\"messages\":[]}] x", "byte 18" },
        { "{\"conversations\":[{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}]}", "conversation 1: message 1: its role is \"tool\"" },
        { "[{\"messages\":[{\"role\":\"user\",\"content\":5}]}]", "message 1: it has no \"content\"" },
        { "[{\"messages\":[{\"id\":\"a b\",\"role\":\"user\",\"content\":\"\"}]}]", "is no id" },
        { "[{\"messages\":[{\"id\":\"a\",\"parent\":\"b\",\"role\":\"user\",\"content\":\"\"}]}]", "\"parent\" is no message that stands before it" },
        { "[{\"messages\":[{\"id\":\"a\",\"role\":\"user\",\"content\":\"\"},{\"id\":\"a\",\"role\":\"user\",\"content\":\"\"}]}]", "its id is that of another" },
        { "[{\"messages\":[],\"leaf\":\"x\"}]", "leaf" },
        { "[{\"messages\":[],\"created\":-1}]", "created" },
        { "[{\"messages\":[],\"created\":\"now\"}]", "created" },
        { "[{\"messages\":[],\"settings\":{\"a\":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}}]", "nested deeper" },
        { "[{\"mapping\":{\"a\":{\"message\":{\"create_time\":1e300,\"author\":{\"role\":\"user\"},\"content\":{\"parts\":[\"x\"]}}}}}]", "create_time" },
        { "{\"conversations\":5}", "expected '['" },
        { "[{\"messages\":[],\"title\":\"\xff\"}]", "UTF-8" },
        { "## User\n\nx\n\n## System\n\ny\n", "System" },
        { "<!-- starchat: {x} -->\n## User\nx\n", "comment" },
    };
    sc_talks *t = open_talks(test_scratch());
    sc_text json;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sc_error e = { 0 };
        sc_status status = sc_talks_import(&json, t, rows[i].text, strlen(rows[i].text), "file", &e);
        if (status != SC_E_FORMAT || !strstr(e.message, rows[i].part)) test_failed(__FILE__, __LINE__, "%s: %s, \"%s\", expected \"%s\"", rows[i].text, sc_status_name(status), e.message, rows[i].part);
    }
    CHECK_STR(titles(t, NULL), "");
    sc_talks_close(t);
}

TEST(talks_import_what_earlier_versions_kept)
{
    sc_text note;
    sc_talks *t = open_talks(test_scratch());
    CHECK_OK(sc_talks_import_kept(&note, t, err));
    stays(note.data);
    CHECK(note.data == NULL);
    const char *one = "{\"model\":\"m\",\"few_shot\":null,\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":\"ho\"}],\"settings\":{\"top_k\":5}}";
    CHECK(mkdir(home_file("conversations"), 0700) == 0);
    put_file("conversations/a.json", one, strlen(one));
    put_file("conversations/b.json", one, strlen(one));         /* another conversation with the same words */
    put_file("conversations/c.json", "{", 1);
    put_file("conversations/d.txt", "x", 1);
    CHECK_OK(sc_talks_import_kept(&note, t, err));
    stays(note.data);
    CHECK(note.data && strstr(note.data, "2 conversations") && strstr(note.data, "1 could not be read") && strstr(note.data, "conversations.imported"));
    CHECK(!path_exists(home_file("conversations")) && path_exists(home_file("conversations.imported/c.json")));
    json_t *k = json_array_get(json_object_get(list(t, NULL, 0, 0), "conversations"), 0);
    CHECK_STR(str(k, "title"), "hi");
    CHECK_STR(path(t, str(k, "id"), NULL), "s:s|u:hi|a:ho");
    CHECK_OK(sc_talks_import_kept(&note, t, err));
    stays(note.data);
    CHECK(note.data == NULL);
    CHECK(mkdir(home_file("conversations"), 0700) == 0);        /* an old program is still in use */
    put_file("conversations/a.json", one, strlen(one));
    CHECK_OK(sc_talks_import_kept(&note, t, err));
    stays(note.data);
    CHECK(strstr(note.data, "0 conversations") && strstr(note.data, "conversations.imported-"));
    sc_talks_close(t);
}
