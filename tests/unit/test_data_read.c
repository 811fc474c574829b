/* test_data_read.c - files to records: lines, arrays, documents, text; gzip and zstd; directories, patterns, weights; what is
 * told of the files; tables through DuckDB where its library is there. */
#include "data_read_fixture.h"

#include <unistd.h>

#define U(text) "{\"role\":\"user\",\"content\":\"" text "\"}"
#define R(text) "{\"messages\":[" U(text) "]}"
#define D1(a) "[" R(a) "]"
#define D2(a, b) "[" R(a) "," R(b) "]"
#define D3(a, b, c) "[" R(a) "," R(b) "," R(c) "]"

/* ---- what a file holds -------------------------------------------------------------------------------------------------------- */

static const struct { const char *name, *bytes, *dialogues, *places; } files[] = {
    { "a.jsonl", R("a") "\n" R("b") "\n", D2("a", "b"), "1.0 2.0" },
    { "no_newline.jsonl", R("a") "\n" R("b"), D2("a", "b"), "1.0 2.0" },
    { "crlf.jsonl", R("a") "\r\n" R("b") "\r\n", D2("a", "b"), "1.0 2.0" },
    { "blank_lines.jsonl", "\n\n" R("a") "\n  \n\t\n  " R("b") "  \n\n", D2("a", "b"), "3.0 6.0" },
    { "bom.jsonl", "\xEF\xBB\xBF" R("a") "\n" R("b") "\n", D2("a", "b"), "1.0 2.0" },
    { "one_line.jsonl", R("a"), D1("a"), "1.0" },
    { "a.ndjson", R("a") "\n" R("b") "\n", D2("a", "b"), "1.0 2.0" },
    { "lines.json", R("a") "\n" R("b") "\n", D2("a", "b"), "1.0 2.0" },                /* by content, not by name */
    { "no_ending", R("a") "\n" R("b") "\n", D2("a", "b"), "1.0 2.0" },
    { "lines.txt", R("a") "\n" R("b") "\n", D2("a", "b"), "1.0 2.0" },
    { "array.json", "[\n" R("a") ",\n" R("b") "\n]\n", D2("a", "b"), "2.0 3.0" },
    { "array.jsonl", "[" R("a") ", " R("b") "]", D2("a", "b"), NULL },
    { "bom.json", "\xEF\xBB\xBF[" R("a") "]", D1("a"), NULL },
    { "crlf.json", "[\r\n" R("a") "\r\n,\r\n" R("b") "\r\n]\r\n", D2("a", "b"), "2.0 4.0" },
    { "brackets.json", "[" R("[{\\\"]}") "," R("\\\\") "]", D2("[{\\\"]}", "\\\\"), NULL },
    { "pretty.json", "[\n {\n  \"messages\": [\n   {\n    \"role\": \"user\",\n    \"content\": \"a\"\n   }\n  ]\n },\n {\n  \"messages\": [\n   " U("b") "\n  ]\n }\n]\n", D2("a", "b"), "2.0 10.0" },
    { "object.json", "{\n  \"messages\": [\n    " U("a") "\n  ]\n}\n", D1("a"), "1.0" },
    { "tools.json", "{\n  \"tools\": [\n    {\"name\":\"f\"}\n  ],\n  \"messages\": [\n    " U("a") "\n  ]\n}\n", "[{\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"messages\":[" U("a") "]}]", "1.0" },
    { "list.json", "{\"version\": \"1\",\n \"data\": [\n" R("a") ",\n" R("b") "\n]}\n", D2("a", "b"), "3.0 4.0" },
    { "list_one_line.json", "{\"version\":[1,{}],\"data\":[" R("a") "," R("b") "],\"about\":{\"n\":2}}", D2("a", "b"), NULL },
    { "list_rows.json", "{\n\"rows\": [" R("a") "]\n}", D1("a"), "2.0" },
    { "empty.py", "", "[]", "" },
    { "list.jsonl", "[" U("a") "," U("b") "]\n[" U("c") "]\n", "[{\"messages\":[" U("a") "," U("b") "]},{\"messages\":[" U("c") "]}]", "1.0 2.0" },
    { "list_alone.json", "[\n" U("a") ",\n" U("b") "\n]\n", "[{\"messages\":[" U("a") "," U("b") "]}]", "1.0" },
    { "lists.json", "[\n[" U("a") "," U("b") "],\n[" U("c") "]\n]", "[{\"messages\":[" U("a") "," U("b") "]},{\"messages\":[" U("c") "]}]", "2.0 3.0" },
    { "text.txt", "Hello\n\"world\"\n", "[{\"text\":\"Hello\\n\\\"world\\\"\\n\"}]", "1.0" },
    { "code.c", "{ int x[] = { 1 }; }\n", "[{\"text\":\"{ int x[] = { 1 }; }\\n\"}]", "1.0" },
    { "code.py", "[print(i) for i in (1, 2)]\n", "[{\"text\":\"[print(i) for i in (1, 2)]\\n\"}]", "1.0" },
    { "spaces.py", "\n  x\n", "[{\"text\":\"\\n  x\\n\"}]", "1.0" },
};

TEST(read_files_of_every_kind)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct read_back b;
        char path[NAME_BYTES];
        put_text(path, files[i].name, files[i].bytes);
        read_file(&b, path, NULL);
        check_dialogues(&b, files[i].dialogues, files[i].name);
        if (files[i].places && strcmp(b.places.data ? b.places.data : "", files[i].places) != 0) test_failed(__FILE__, __LINE__, "%s: lines %s, expected %s", files[i].name, b.places.data, files[i].places);
        read_back_release(&b);
    }
}

/* The same files packed: once, in several members (one of them empty), and with a name that says nothing of it. */
TEST(read_gzip_and_zstd_by_content)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        size_t len = strlen(files[i].bytes), half = len / 2;
        bool is_data = strstr(files[i].name, ".json");
        for (int how = 0; how < 5 && is_data; how++) {
            struct read_back b;
            struct buf packed;
            char path[NAME_BYTES], name[80];
            void (*append)(struct buf *, const void *, size_t) = how % 2 ? zstd_append : gzip_append;
            buf_init(&packed, 0);
            if (how < 2) append(&packed, files[i].bytes, len);
            else {
                append(&packed, files[i].bytes, half);
                append(&packed, "", 0);
                append(&packed, files[i].bytes + half, len - half);
            }
            snprintf(name, sizeof name, "%s%s", files[i].name, how == 4 ? "" : how % 2 ? ".zst" : ".gz");
            put_file(path, name, packed.data, packed.len);
            read_file(&b, path, NULL);
            check_dialogues(&b, files[i].dialogues, name);
            CHECK_INT(json_integer_value(json_object_get(json_array_get(b.files, 0), "bytes")), packed.len);
            buf_release(&packed);
            read_back_release(&b);
        }
    }
}

/* Records that lie across every border of the buffers inside. */
TEST(read_records_longer_than_the_buffers)
{
    enum { N = 40 };
    static const char *const shapes[][3] = { { "big.jsonl", "", "" }, { "big.json", "[\n", "]" }, { "big2.json", "{\"a\":{},\"data\":[\n", "],\"b\":1}" } };
    for (size_t shape = 0; shape < sizeof shapes / sizeof *shapes; shape++) {
        struct read_back b;
        struct buf text, packed;
        char path[NAME_BYTES];
        buf_init(&text, 0);
        buf_init(&packed, 0);
        buf_puts(&text, shapes[shape][1]);
        for (int i = 0; i < N; i++) {
            buf_puts(&text, "{\"messages\":[{\"role\":\"user\",\"content\":\"");
            for (int k = 0; k < i * i * 700; k++) buf_putc(&text, (char)('a' + (i + k) % 26));
            buf_printf(&text, "\"}]}%s", i + 1 == N ? "\n" : *shapes[shape][1] ? ",\n" : "\n");
        }
        buf_puts(&text, shapes[shape][2]);
        gzip_append(&packed, text.data, text.len);
        for (int is_packed = 0; is_packed < 2; is_packed++) {
            put_file(path, shapes[shape][0], is_packed ? packed.data : text.data, is_packed ? packed.len : text.len);
            read_file(&b, path, NULL);
            if (json_array_size(b.errors)) test_failed(__FILE__, __LINE__, "%s: %s", shapes[shape][0], read_error(&b, 0));
            CHECK_INT(json_array_size(b.dialogues), N);
            for (int i = 0; i < N; i++) {
                const json_t *content = json_object_get(json_array_get(json_object_get(json_array_get(b.dialogues, (size_t)i), "messages"), 0), "content");
                CHECK_INT(json_string_length(content), i * i * 700);
                if (i) CHECK(json_string_value(content)[i * i * 700 - 1] == (char)('a' + (i + i * i * 700 - 1) % 26));
            }
            read_back_release(&b);
        }
        buf_release(&text);
        buf_release(&packed);
    }
}

/* ---- what the user names ---------------------------------------------------------------------------------------------------------- */

/* Contents of the first messages, in order. */
static void check_contents(const struct read_back *b, const char *expected)
{
    struct buf found;
    size_t i;
    const json_t *d;
    buf_init(&found, 0);
    json_array_foreach(b->dialogues, i, d) buf_puts(&found, json_string_value(json_object_get(json_array_get(json_object_get(d, "messages"), 0), "content")));
    CHECK_STR(found.data ? found.data : "", expected);
    buf_release(&found);
}

static void put_set(void)
{
    char path[NAME_BYTES];
    put_text(path, "set/b.jsonl", R("b") "\n");
    put_text(path, "set/a.json", "[" R("a") "]");
    put_text(path, "set/c/d.jsonl", R("d") "\n");
    put_text(path, "set/c/.hidden.jsonl", "torn");
    put_text(path, "set/.git/x.jsonl", "torn");
    put_text(path, "set/picture.png", "\x89PNG");
}

TEST(read_directories_and_patterns_in_order)
{
    struct read_back b;
    char set[NAME_BYTES], pattern[NAME_BYTES], one[NAME_BYTES];
    put_set();
    snprintf(set, sizeof set, "%s/set", test_scratch());
    snprintf(pattern, sizeof pattern, "%s/set/*.json*", test_scratch());
    snprintf(one, sizeof one, "%s/set/c/../b.jsonl", test_scratch());
    read_file(&b, set, NULL);
    CHECK_INT(json_array_size(b.errors), 0);
    check_contents(&b, "abd");
    CHECK_INT(json_array_size(b.files), 3);
    read_back_release(&b);
    const char *const inputs[] = { one, pattern, set };
    read_inputs(&b, inputs, 3, NULL, 1);
    check_contents(&b, "bababd");
    read_back_release(&b);
}

/* A link that leads back up is no endless directory, and a name with a colon or brackets is a name. */
TEST(read_odd_names)
{
    struct read_back b;
    char path[NAME_BYTES], up[NAME_BYTES], set[NAME_BYTES];
    put_text(path, "odd/x:0.5", R("a") "\n");
    read_file(&b, path, NULL);
    check_contents(&b, "a");
    read_back_release(&b);
    put_text(path, "odd/[x] *.jsonl", R("b") "\n");
    read_file(&b, path, NULL);
    check_contents(&b, "b");
    read_back_release(&b);
    snprintf(set, sizeof set, "%s/loop", test_scratch());
    put_text(path, "loop/a.jsonl", R("c") "\n");
    snprintf(up, sizeof up, "%s/loop/up", test_scratch());
    CHECK(symlink("..", up) == 0);
    snprintf(up, sizeof up, "%s/loop/self", test_scratch());
    CHECK(symlink(".", up) == 0);
    read_file(&b, set, NULL);
    check_contents(&b, "c");
    read_back_release(&b);
}

TEST(read_refuses_inputs_without_data)
{
    struct read_back b;
    char path[NAME_BYTES];
    static const char *const names[] = { "nowhere.jsonl", "nowhere.jsonl:0.5", "*.nothing", "empty", "empty:2", "pictures" };
    put_text(path, "pictures/a.png", "\x89PNG");
    snprintf(path, sizeof path, "%s/empty", test_scratch());
    CHECK_OK(path_make_directories(path, err));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", test_scratch(), names[i]);
        read_file(&b, path, NULL);
        CHECK_INT(json_array_size(b.errors), 1);
        if (!strstr(read_error(&b, 0), test_scratch())) test_failed(__FILE__, __LINE__, "%s: \"%s\" does not name it", names[i], read_error(&b, 0));
        read_back_release(&b);
    }
    read_inputs(&b, NULL, 0, NULL, 1);
    CHECK_INT(json_array_size(b.errors), 1);
    read_back_release(&b);
}

/* ---- weights ------------------------------------------------------------------------------------------------------------------------ */

enum { WEIGHED = 4000 };

static void put_numbers(char path[NAME_BYTES], const char *name, const char *open, const char *separator, const char *close)
{
    struct buf b;
    buf_init(&b, 0);
    buf_puts(&b, open);
    for (int i = 0; i < WEIGHED; i++) buf_printf(&b, "%s{\"messages\":[{\"role\":\"user\",\"content\":\"%d\"}]}", i ? separator : "", i);
    buf_puts(&b, close);
    put_file(path, name, b.data, b.len);
    buf_release(&b);
}

/* How often each number came; the total is returned. */
static size_t count_numbers(unsigned n[WEIGHED], const char *path, const char *weight, uint64_t seed)
{
    struct read_back b;
    char input[NAME_BYTES + 20];
    size_t i;
    const json_t *d;
    snprintf(input, sizeof input, "%s%s", path, weight);
    const char *const inputs[] = { input };
    read_inputs(&b, inputs, 1, NULL, seed);
    CHECK_INT(json_array_size(b.errors), 0);
    memset(n, 0, WEIGHED * sizeof *n);
    json_array_foreach(b.dialogues, i, d) n[strtol(json_string_value(json_object_get(json_array_get(json_object_get(d, "messages"), 0), "content")), NULL, 10)]++;
    i = json_array_size(b.dialogues);
    CHECK_INT(json_integer_value(json_object_get(json_array_get(b.files, 0), "records")), WEIGHED);
    read_back_release(&b);
    return i;
}

TEST(read_weights_choose_a_share_or_repeat)
{
    static const char *const shapes[][4] = { { "n.jsonl", "", "\n", "\n" }, { "n.json", "[", ",", "]" }, { "p.json", "[\n", ",\n", "\n]\n" } };
    static unsigned n[WEIGHED], again[WEIGHED], other[WEIGHED];
    for (size_t shape = 0; shape < sizeof shapes / sizeof *shapes; shape++) {
        char path[NAME_BYTES];
        put_numbers(path, shapes[shape][0], shapes[shape][1], shapes[shape][2], shapes[shape][3]);
        size_t half = count_numbers(n, path, ":0.5", 42);
        CHECK(half > WEIGHED * 45 / 100 && half < WEIGHED * 55 / 100);                   /* 6 standard deviations are 4.7 % */
        CHECK_INT(count_numbers(again, path, ":0.5", 42), half);
        CHECK(memcmp(n, again, sizeof n) == 0);
        count_numbers(other, path, ":0.5", 43);
        CHECK(memcmp(n, other, sizeof n) != 0);
        CHECK_INT(count_numbers(n, path, ":1", 42), WEIGHED);
        CHECK_INT(count_numbers(n, path, ":2", 42), 2 * WEIGHED);
        for (int i = 0; i < WEIGHED; i++) CHECK(n[i] == 2);
        size_t more = count_numbers(n, path, ":2.25", 42);
        CHECK(more > WEIGHED * 220 / 100 && more < WEIGHED * 230 / 100);
        for (int i = 0; i < WEIGHED; i++) CHECK(n[i] == 2 || n[i] == 3);
    }
}

TEST(read_refuses_impossible_weights)
{
    static const char *const weights[] = { ":-1", ":nan", ":inf", ":1e300", ":5000000000" };
    char path[NAME_BYTES], input[NAME_BYTES + 20];
    put_text(path, "w.jsonl", R("a") "\n");
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
        struct read_back b;
        snprintf(input, sizeof input, "%s%s", path, weights[i]);
        read_file(&b, input, NULL);
        if (json_array_size(b.errors) != 1 || json_array_size(b.dialogues)) test_failed(__FILE__, __LINE__, "the weight %s is taken", weights[i]);
        read_back_release(&b);
    }
}

/* ---- what is told ---------------------------------------------------------------------------------------------------------------------- */

TEST(read_describes_its_files)
{
    struct read_back b;
    struct buf packed;
    struct sha256 hash;
    char path[2][NAME_BYTES], hex[65];
    buf_init(&packed, 0);
    gzip_append(&packed, R("a") "\n" R("b") "\n", strlen(R("a") "\n" R("b") "\n"));
    put_file(path[0], "a.jsonl.gz", packed.data, packed.len);
    put_text(path[1], "b.json", "[" R("c") "]\n\n");
    const char *const inputs[] = { path[0], path[1] };
    read_inputs(&b, inputs, 2, NULL, 1);
    const json_t *first = json_array_get(b.files, 0), *second = json_array_get(b.files, 1);
    sha256_begin(&hash);
    sha256_add(&hash, packed.data, packed.len);
    sha256_end(&hash, hex);
    CHECK_STR(json_string_value(json_object_get(first, "file")), path[0]);
    CHECK_STR(json_string_value(json_object_get(first, "sha256")), hex);
    CHECK_INT(json_integer_value(json_object_get(first, "bytes")), packed.len);
    CHECK_INT(json_integer_value(json_object_get(first, "records")), 2);
    sha256_begin(&hash);
    sha256_add(&hash, "[" R("c") "]\n\n", strlen("[" R("c") "]\n\n"));
    sha256_end(&hash, hex);
    CHECK_STR(json_string_value(json_object_get(second, "sha256")), hex);               /* to the last byte */
    CHECK_INT(json_integer_value(json_object_get(second, "records")), 1);
    buf_release(&packed);
    read_back_release(&b);
}

TEST(read_progress_reaches_the_total)
{
    char path[NAME_BYTES];
    uint64_t done = 1, total = 0, last = 0;
    bool more = true;
    struct reader *r = NULL;
    put_numbers(path, "n.jsonl", "", "\n", "\n");
    const char *const inputs[] = { path };
    const struct reader_config config = { inputs, 1, 1 };
    CHECK_OK(reader_open(&r, &config, err));
    reader_progress(r, &done, &total);
    CHECK(done == 0 && total > WEIGHED * 40);
    while (more) {
        struct record record;
        CHECK_OK(reader_next(r, &record, &more, err));
        reader_progress(r, &done, &total);
        CHECK(done >= last && done <= total);
        last = done;
        record_release(&record);
    }
    CHECK_INT(done, total);
    reader_close(r);
}

/* ---- tables ------------------------------------------------------------------------------------------------------------------------------ */

static bool has_duckdb(void)
{
    struct read_back b;
    char path[NAME_BYTES];
    put_text(path, "probe.csv", "prompt,completion\na,b\n");
    read_file(&b, path, NULL);
    bool is_there = b.last != SC_E_UNSUPPORTED;
    if (!is_there) {
        CHECK_INT(json_array_size(b.errors), 1);
        CHECK(strstr(read_error(&b, 0), "setup.sh duckdb") && strstr(read_error(&b, 0), "probe.csv"));
        printf("skipped: tables need DuckDB's library (tools/setup.sh duckdb)\n");
    }
    read_back_release(&b);
    return is_there;
}

#define TOLD(q, a) "{\"messages\":[{\"role\":\"user\",\"content\":\"" q "\"},{\"role\":\"assistant\",\"content\":\"" a "\"}]"
#define ASKED(q, a) TOLD(q, a) ",\"group\":\"" q "\"}"

/* Fields keep every character: numbers, dates and empty fields are texts. */
TEST(read_csv_and_tsv)
{
    static const struct { const char *name, *bytes, *dialogues; } cases[] = {
        { "a.csv", "prompt,completion\nhello,\"two\nlines, \"\"quoted\"\"\"\n007,1.50\n2020-01-02,\n", "[" ASKED("hello", "two\\nlines, \\\"quoted\\\"") "," ASKED("007", "1.50") "," ASKED("2020-01-02", "") "]" },
        { "a.tsv", "instruction\toutput\na, b\tc\"d\n", "[" TOLD("a, b", "c\\\"d") "}]" },
        { "one [1]*'x.csv", "prompt,completion\na,b\n", "[" ASKED("a", "b") "]" },
        { "lang=en/a.csv", "prompt,completion\na,b\n", "[" ASKED("a", "b") "]" },
        { "crlf.csv", "prompt,completion\r\na,b\r\nc,d\r\n", "[" ASKED("a", "b") "," ASKED("c", "d") "]" },
        { "utf8.csv", "\xEF\xBB\xBFprompt,completion\n\xC3\xA9,\xF0\x9F\x98\x80\n", "[" ASKED("\xC3\xA9", "\xF0\x9F\x98\x80") "]" },
    };
    if (!has_duckdb()) return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct read_back b;
        char path[NAME_BYTES];
        put_text(path, cases[i].name, cases[i].bytes);
        read_file(&b, path, NULL);
        check_dialogues(&b, cases[i].dialogues, cases[i].name);
        read_back_release(&b);
    }
}

/* 5,000 rows come in file order, also packed; row numbers are the lines. */
TEST(read_long_csv_in_order)
{
    struct buf text, packed;
    if (!has_duckdb()) return;
    buf_init(&text, 0);
    buf_init(&packed, 0);
    buf_puts(&text, "prompt,completion\n");
    for (int i = 0; i < 5000; i++) buf_printf(&text, "q%d,\"a\nb\"\n", i);
    gzip_append(&packed, text.data, text.len);
    for (int is_packed = 0; is_packed < 2; is_packed++) {
        struct read_back b;
        char path[NAME_BYTES], q[20];
        put_file(path, is_packed ? "n.csv.gz" : "n.csv", is_packed ? packed.data : text.data, is_packed ? packed.len : text.len);
        read_file(&b, path, NULL);
        CHECK_INT(json_array_size(b.errors), 0);
        CHECK_INT(json_array_size(b.dialogues), 5000);
        for (size_t i = 0; i < 5000; i++) {
            snprintf(q, sizeof q, "q%zu", i);
            CHECK_STR(json_string_value(json_object_get(json_array_get(json_object_get(json_array_get(b.dialogues, i), "messages"), 0), "content")), q);
        }
        CHECK(strncmp(b.places.data, "1.0 2.0 3.0 ", 12) == 0);
        read_back_release(&b);
    }
    buf_release(&text);
    buf_release(&packed);
}

/* Flat OpenAssistant messages are a table on the Hub. */
TEST(read_flat_messages_of_a_table)
{
    struct read_back b;
    char path[NAME_BYTES];
    if (!has_duckdb()) return;
    put_text(path, "flat.csv", "message_id,parent_id,text,role,lang\na,q,A,assistant,en\nq,,Q,prompter,en\n");
    read_file(&b, path, NULL);
    check_dialogues(&b, "[{\"messages\":[{\"role\":\"user\",\"content\":\"Q\"},{\"role\":\"assistant\",\"content\":\"A\"}],\"id\":\"a\",\"lang\":\"en\",\"group\":\"q\"}]", "flat table");
    read_back_release(&b);
}
