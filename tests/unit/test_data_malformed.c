/* test_data_malformed.c - some 800 inputs that are broken, made by rules: every one is refused in a clear sentence that names
 * file and line, the good records around it are read all the same, and reading comes to an end. */
#include "data_read_fixture.h"

#include <ctype.h>
#include <sys/stat.h>
#include <unistd.h>

#define GOOD(text) "{\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]}"
#define DEEP 100000

static size_t n_inputs;

/* One line, printable, not cut in the middle, and it names the file. */
static void check_sentence(const char *message, const char *name, const char *input)
{
    size_t len = strlen(message);
    bool is_printable = utf8_is_valid(message, len);
    for (size_t i = 0; i < len; i++) is_printable &= !iscntrl((unsigned char)message[i]);
    if (!is_printable || len < 20 || !strstr(message, name)) test_failed(__FILE__, __LINE__, "%.200s: the message is \"%s\"", input, message);
}

/* Reads `bytes` as file `name`; checks every message. The caller releases *b. */
static void read_bytes(struct read_back *b, const char *name, const void *bytes, size_t len, const char *what)
{
    char path[NAME_BYTES];
    put_file(path, name, bytes, len);
    read_file(b, path, NULL);
    for (size_t i = 0; i < json_array_size(b->errors); i++) check_sentence(read_error(b, i), name, what);
    n_inputs++;
}

static void check_refused(const struct read_back *b, size_t good, size_t errors, const char *line, const char *what)
{
    if (json_array_size(b->errors) != errors || json_array_size(b->dialogues) != good)
        test_failed(__FILE__, __LINE__, "%.300s: %zu dialogues and %zu errors (\"%s\"), expected %zu and %zu", what, json_array_size(b->dialogues), json_array_size(b->errors),
                    json_array_size(b->errors) ? read_error(b, 0) : "", good, errors);
    if (errors && line && !strstr(read_error(b, 0), line)) test_failed(__FILE__, __LINE__, "%.300s: \"%s\" does not say %s", what, read_error(b, 0), line);
}

/* ---- lines --------------------------------------------------------------------------------------------------------------------- */

struct bytes { const char *data; size_t len; };
#define B(text) { (text), sizeof (text) - 1 }

/* No JSON, or JSON that strict readers refuse. */
static const struct bytes torn[] = {
    B("{"), B("}"), B("["), B("]"), B("\""), B("{\"messages\""), B("{\"messages\":"), B("{\"messages\":["), B("{\"messages\":[}"), B("{\"messages\":[]"), B("{\"messages\":]}"),
    B("{\"messages\":[{\"role\":\"user\",\"content\":\"a"), B("{\"messages\":[{\"role\":\"user\",\"content\":\"a\""), B("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}"),
    B("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]"), B("\"messages\":[]}"), B("{messages:[]}"), B("{'messages':[]}"), B("{\"messages\":[],}"), B("{\"messages\":[{},]}"),
    B("{\"messages\":[] \"id\":1}"), B("{\"messages\" []}"), B("{\"messages\":[]} x"), B("{\"messages\":[]}{\"messages\":[]}"), B("{\"messages\":[]},"), B("// {\"messages\":[]}"),
    B("/* */ {\"messages\":[]}"), B("nul"), B("tru"), B("NaN"), B("Infinity"), B("-Infinity"), B("undefined"), B("None"), B("+1"), B("01"), B("1."), B(".5"), B("1e"), B("0x10"), B("--1"),
    B("{\"messages\":[],\"n\":1e999}"), B("{\"messages\":[],\"n\":-1e999}"), B("{\"messages\":[],\"n\":00}"), B("{\"messages\":[],\"n\":NaN}"), B("{\"messages\":[],\"n\":1.2.3}"),
    B("{\"messages\":[],\"messages\":[]}"), B("{\"messages\":[{\"role\":\"user\",\"role\":\"user\",\"content\":\"\"}]}"), B("{\"text\":\"\\x41\"}"), B("{\"text\":\"\\u12\"}"), B("{\"text\":\"\\u12G4\"}"),
    B("{\"text\":\"\\ud800\"}"), B("{\"text\":\"\\ud800x\"}"), B("{\"text\":\"\\ud800\\u0041\"}"), B("{\"text\":\"\\udc00\"}"), B("{\"text\":\"\\udc00\\ud800\"}"), B("{\"text\":\"a\tb\"}"), B("{\"text\":\"a\x01\"}"),
    B("{\"text\":\"a\x1f\"}"), B("{\"text\":\"a\0b\"}"), B("\0"), B("\0\0\0\0"), B("{\"text\":\"a\"}\0"), B("\0{\"text\":\"a\"}"), B("{\"text\":\"\xff\"}"), B("{\"text\":\"\xc0\x80\"}"), B("{\"text\":\"\xc3\"}"),
    B("{\"text\":\"\xed\xa0\x80\"}"), B("{\"text\":\"\xf4\x90\x80\x80\"}"), B("{\"text\":\"\xf8\x88\x80\x80\x80\"}"), B("{\"text\":\"\xe2\x82\"}"), B("{\"text\":\"\x80\"}"), B("\xff\xfe{\"text\":1}"), B("\xef\xbb\xbf{\"text\":\"a\"}"),
    B("text without braces"), B("id,prompt,completion"), B("<html><body>503</body></html>"), B("version https://git-lfs.github.com/spec/v1"), B("a\rb"), B("{\"text\":\"a\"\r,}"), B("{} {}"), B("[] []"), B("1 2"), B("\"a\" \"b\""),
    B("{\"a\":{\"b\":[1,2}}"), B("{\"a\":[1,2}]"), B("[[[[[["), B("]]]]]]"), B("{{{{{{"), B("}}}}}}"), B("{\"\":"), B("{\"a\":\"b\",\"c\"}"), B("{\"a\",\"b\"}"), B("{:1}"), B("{,}"), B("[,]"), B("{\"a\":1,,\"b\":2}"), B("\\"), B("\"\\\""),
    B("{\"text\":\"a\\\"}"), B("{\"text\":\"\\"), B("\x1b[31m{"), B("\x7f"),
};

/* JSON, but no dialogue. */
static const struct bytes shapeless[] = {
    B("null"), B("true"), B("false"), B("0"), B("17"), B("-1.5e3"), B("123456789012345678901234567890"), B("\"text\""), B("\"\""), B("[]"), B("[1,2]"), B("[{}]"), B("[[]]"), B("{}"), B("{\"a\":1}"), B("{\"\":\"\"}"),
    B("{\"messages\":null}"), B("{\"messages\":{}}"), B("{\"messages\":\"x\"}"), B("{\"messages\":3}"), B("{\"messages\":true}"), B("{\"Messages\":[]}"), B("{\"messages \":[]}"),
    B("{\"messages\":[null]}"), B("{\"messages\":[1]}"), B("{\"messages\":[\"a\"]}"), B("{\"messages\":[[]]}"), B("{\"messages\":[{}]}"), B("{\"messages\":[{\"content\":\"a\"}]}"), B("{\"messages\":[{\"role\":null,\"content\":\"a\"}]}"),
    B("{\"messages\":[{\"role\":1,\"content\":\"a\"}]}"), B("{\"messages\":[{\"role\":[\"user\"],\"content\":\"a\"}]}"), B("{\"messages\":[{\"role\":\"\",\"content\":\"a\"}]}"), B("{\"messages\":[{\"role\":\"users\",\"content\":\"a\"}]}"),
    B("{\"messages\":[{\"role\":\"user \",\"content\":\"a\"}]}"), B("{\"messages\":[{\"role\":\"robot\",\"content\":\"a\"}]}"), B("{\"messages\":[{\"role\":\"\\u0007\\u202e\",\"content\":\"a\"}]}"), B("{\"messages\":[{\"role\":\"user\\u0000x\",\"content\":\"a\"}]}"),
    B("{\"messages\":[{\"role\":\"user\",\"content\":1}]}"), B("{\"messages\":[{\"role\":\"user\",\"content\":true}]}"), B("{\"messages\":[{\"role\":\"user\",\"content\":{}}]}"),
    B("{\"messages\":[{\"role\":\"user\",\"content\":[1]}]}"), B("{\"messages\":[{\"role\":\"user\",\"content\":[null]}]}"), B("{\"messages\":[{\"role\":\"user\",\"content\":[{}]}]}"), B("{\"messages\":[{\"role\":\"user\",\"content\":[[]]}]}"),
    B("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}"), B("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":1}]}]}"), B("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":\"u\"}]}]}"),
    B("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},null]}"), B("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":7}]}"),
    B("{\"conversations\":1}"), B("{\"conversations\":{}}"), B("{\"conversations\":null}"), B("{\"conversations\":[1]}"), B("{\"conversations\":[\"a\",\"b\"]}"), B("{\"conversations\":[{}]}"), B("{\"conversations\":[{\"from\":1,\"value\":\"a\"}]}"),
    B("{\"conversations\":[{\"from\":\"alien\",\"value\":\"a\"}]}"), B("{\"conversations\":[{\"from\":\"human\",\"value\":1}]}"), B("{\"conversations\":[{\"from\":\"human\",\"value\":\"a\"},{\"value\":\"b\"}]}"), B("{\"conversations\":[{\"from\":\"human\",\"value\":\"a\"},7]}"),
    B("{\"data\":1}"), B("{\"data\":[1]}"), B("{\"data\":[\"a\",1]}"), B("{\"data\":[\"a\",null]}"), B("{\"data\":[\"a\",{}]}"), B("{\"data\":[]}"), B("{\"data\":{}}"),
    B("{\"instruction\":1,\"output\":\"a\"}"), B("{\"instruction\":\"a\"}"), B("{\"instruction\":\"a\",\"output\":1}"), B("{\"instruction\":\"a\",\"output\":null}"), B("{\"instruction\":\"a\",\"output\":[\"b\"]}"), B("{\"instruction\":null,\"output\":\"a\"}"), B("{\"output\":\"a\"}"), B("{\"input\":\"a\",\"output\":\"b\"}"),
    B("{\"instruction\":\"a\",\"input\":1,\"output\":\"b\"}"), B("{\"instruction\":\"a\",\"input\":[\"x\"],\"output\":\"b\"}"),
    B("{\"instruction\":\"a\",\"instances\":[1]}"), B("{\"instruction\":\"a\",\"instances\":[null]}"), B("{\"instruction\":\"a\",\"instances\":[{}]}"), B("{\"instruction\":\"a\",\"instances\":[{\"output\":1}]}"), B("{\"instruction\":\"a\",\"instances\":[{\"output\":\"x\"},{}]}"), B("{\"instruction\":\"a\",\"instances\":{}}"),
    B("{\"prompt\":\"a\"}"), B("{\"prompt\":1,\"completion\":\"a\"}"), B("{\"prompt\":\"a\",\"completion\":1}"), B("{\"prompt\":\"a\",\"completion\":null}"), B("{\"prompt\":null,\"completion\":\"a\"}"), B("{\"prompt\":[1],\"completion\":[2]}"), B("{\"completion\":\"a\"}"), B("{\"question\":\"a\"}"),
    B("{\"chosen\":\"a\"}"), B("{\"rejected\":\"a\"}"), B("{\"chosen\":1,\"rejected\":\"a\"}"), B("{\"chosen\":\"a\",\"rejected\":\"b\"}"), B("{\"chosen\":[1],\"rejected\":[2]}"), B("{\"chosen\":[],\"rejected\":\"a\"}"), B("{\"chosen\":\"\",\"rejected\":\"\"}"),
    B("{\"chosen\":[{\"role\":\"user\",\"content\":\"a\"}],\"rejected\":[{\"role\":\"robot\",\"content\":\"a\"}]}"), B("{\"prompt\":1,\"chosen\":\"a\",\"rejected\":\"b\"}"), B("{\"prompt\":[1],\"chosen\":[],\"rejected\":[]}"), B("{\"chosen\":\"\\n\\nHuman: a\\n\\nAssistant: b\",\"rejected\":\"c\"}"),
    B("{\"turns\":[\"a\",\"b\"],\"question_id\":81}"), B("{\"turns\":[]}"), B("{\"text\":1}"), B("{\"text\":null}"), B("{\"text\":[\"a\"]}"), B("{\"content\":1}"), B("{\"text\":\"a\\u0000b\"}"),
    B("{\"prompt\":{}}"), B("{\"prompt\":{\"text\":1,\"role\":\"prompter\"}}"), B("{\"prompt\":{\"text\":\"a\"}}"), B("{\"prompt\":{\"text\":\"a\",\"role\":1}}"), B("{\"prompt\":{\"text\":\"a\",\"role\":\"robot\"}}"),
    B("{\"prompt\":{\"text\":\"a\",\"role\":\"prompter\",\"replies\":[1]}}"), B("{\"prompt\":{\"text\":\"a\",\"role\":\"prompter\",\"replies\":[null]}}"), B("{\"prompt\":{\"text\":\"a\",\"role\":\"prompter\",\"replies\":[[]]}}"), B("{\"prompt\":{\"text\":\"a\",\"role\":\"prompter\",\"replies\":[{}]}}"),
    B("{\"prompt\":{\"text\":\"a\",\"role\":\"prompter\",\"replies\":{}}}"), B("{\"prompt\":{\"text\":\"a\",\"role\":\"prompter\",\"replies\":\"x\"}}"), B("{\"prompt\":{\"text\":\"a\",\"role\":\"prompter\",\"replies\":[{\"text\":\"b\",\"role\":\"assistant\",\"replies\":[{\"text\":\"c\"}]}]}}"),
    B("{\"replies\":[],\"text\":\"a\",\"role\":1}"), B("{\"replies\":[],\"role\":\"prompter\"}"), B("{\"message_tree_id\":\"a\",\"tree_state\":\"ready_for_export\"}"),
};

static void check_line(const struct bytes *bad, bool is_last)
{
    struct read_back b;
    struct buf text;
    buf_init(&text, 0);
    buf_puts(&text, GOOD("a") "\n");
    buf_append(&text, bad->data, bad->len);
    if (!is_last) buf_puts(&text, "\n" GOOD("b") "\n");
    read_bytes(&b, "bad.jsonl", text.data, text.len, bad->data);
    check_refused(&b, is_last ? 1 : 2, 1, "line 2", bad->data);
    read_back_release(&b);
    buf_release(&text);
}

TEST(malformed_lines)
{
    for (size_t i = 0; i < sizeof torn / sizeof *torn; i++) { check_line(&torn[i], false); check_line(&torn[i], true); }
    for (size_t i = 0; i < sizeof shapeless / sizeof *shapeless; i++) check_line(&shapeless[i], false);
    CHECK(n_inputs > 300);
}

/* The first line is bad: the file is still one of lines. */
TEST(malformed_first_lines)
{
    for (size_t i = 0; i < sizeof torn / sizeof *torn; i++) {
        struct read_back b;
        struct buf text;
        if (torn[i].data[0] == '[' || memcmp(torn[i].data, "\xff\xfe", 2) == 0 || memcmp(torn[i].data, "\xef\xbb", 2) == 0) continue;   /* an array; UTF-16; allowed here */
        buf_init(&text, 0);
        buf_append(&text, torn[i].data, torn[i].len);
        buf_puts(&text, "\n" GOOD("a") "\n" GOOD("b") "\n");
        read_bytes(&b, "bad.jsonl", text.data, text.len, torn[i].data);
        check_refused(&b, 2, 1, "line 1", torn[i].data);
        read_back_release(&b);
        buf_release(&text);
    }
}

TEST(malformed_elements_of_an_array)
{
    for (size_t i = 0; i < sizeof shapeless / sizeof *shapeless; i++) {
        struct read_back b;
        struct buf text;
        buf_init(&text, 0);
        buf_puts(&text, "[\n" GOOD("a") ",\n");
        buf_append(&text, shapeless[i].data, shapeless[i].len);
        buf_puts(&text, ",\n" GOOD("b") "\n]\n");
        read_bytes(&b, "bad.json", text.data, text.len, shapeless[i].data);
        check_refused(&b, 2, 1, "line 3", shapeless[i].data);
        read_back_release(&b);
        buf_release(&text);
    }
}

/* Nested 100,000 times, as a line and as an element. */
TEST(malformed_depth)
{
    static const char *const open[] = { "[", "{\"a\":", "{\"messages\":[", "{\"prompt\":{\"text\":\"a\",\"role\":\"prompter\",\"replies\":[", "[{" }, *const close[] = { "]", "}", "]}", "]}}", "}]" };
    for (size_t i = 0; i < 2 * sizeof open / sizeof *open; i++) {
        struct read_back b;
        struct buf text;
        bool is_array = i % 2;
        buf_init(&text, 0);
        buf_puts(&text, is_array ? "[" GOOD("a") ",\n" : GOOD("a") "\n");
        for (int k = 0; k < DEEP; k++) buf_puts(&text, open[i / 2]);
        for (int k = 0; k < DEEP; k++) buf_puts(&text, close[i / 2]);
        buf_puts(&text, is_array ? ",\n" GOOD("b") "]" : "\n" GOOD("b") "\n");
        read_bytes(&b, is_array ? "deep.json" : "deep.jsonl", text.data, text.len, open[i / 2]);
        check_refused(&b, 2, 1, "line 2", open[i / 2]);
        read_back_release(&b);
        buf_release(&text);
    }
}

/* A line or an element of more than 64 MiB is refused, and the next one read. */
TEST(malformed_by_length)
{
    for (int is_array = 0; is_array < 2; is_array++) {
        for (int is_first = 0; is_first < 2; is_first++) {
            struct read_back b;
            struct buf text;
            buf_init(&text, 0);
            buf_puts(&text, is_array ? "[\n" : "");
            if (!is_first) buf_puts(&text, is_array ? GOOD("a") ",\n" : GOOD("a") "\n");
            buf_puts(&text, "{\"text\":\"");
            size_t at = text.len, more = 65u << 20;
            char *filler = mem_alloc(more);
            memset(filler, 'x', more);
            buf_append(&text, filler, more);
            mem_free(filler);
            CHECK(text.len == at + more);
            buf_puts(&text, is_array ? "\"},\n" GOOD("b") "\n]" : "\"}\n" GOOD("b") "\n");
            read_bytes(&b, is_array ? "long.json" : "long.jsonl", text.data, text.len, "long");
            check_refused(&b, is_first ? 1 : 2, 1, is_array == is_first ? "line 2" : is_first ? "line 1" : "line 3", is_array ? "long element" : "long line");
            read_back_release(&b);
            buf_release(&text);
        }
    }
}

/* ---- documents ------------------------------------------------------------------------------------------------------------------ */

/* Cut at every byte, a document is refused, and what came whole before the cut is read. */
TEST(malformed_documents_cut_off)
{
    static const char *const documents[] = { "[\n" GOOD("a") ",\n" GOOD("b") "\n]\n", "{\"about\":{\"a\":[1]},\n\"data\":[" GOOD("a") "\n," GOOD("b") "]\n}", "{\n\"id\":1,\n\"messages\":[{\"role\":\"user\",\n\"content\":\"a\"}]\n}" };
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        size_t len = strlen(documents[i]), whole = len;
        while (documents[i][whole - 1] == '\n') whole--;
        for (size_t cut = 1; cut < whole; cut++) {
            struct read_back b;
            char *part = mem_strndup(documents[i], cut);
            read_bytes(&b, "cut.json", part, cut, part);
            const char *first = strstr(part, GOOD("a")), *second = strstr(part, GOOD("b"));
            size_t good = i < 2 ? (first != NULL) + (second != NULL) : 0;
            if (json_array_size(b.errors) < 1 || json_array_size(b.errors) > 2 || json_array_size(b.dialogues) != good) check_refused(&b, good, 1, "line", part);
            if (!strstr(read_error(&b, 0), "line ")) test_failed(__FILE__, __LINE__, "%s: \"%s\" names no line", part, read_error(&b, 0));
            read_back_release(&b);
            mem_free(part);
        }
    }
}

/* Nothing is left out in silence: what follows a list, a second list, what stands between elements. */
TEST(malformed_documents)
{
    static const struct { const char *bytes; size_t good; const char *line; } cases[] = {
        { "[\n" GOOD("a") "\n]\n" GOOD("b") "\n", 1, "line 4" },
        { "[\n" GOOD("a") "\n]\n]", 1, "line 4" },
        { "[" GOOD("a") "]\n[" GOOD("b") "]", 0, "line 1" },                                       /* lists, a line each, of no messages */
        { "[\n" GOOD("a") "\n" GOOD("b") "\n]", 1, "line 3" },
        { "[\n" GOOD("a") ",\n,\n" GOOD("b") "\n]", 1, "line 3" },
        { "[\n" GOOD("a") ",\n}\n", 1, "line 3" },
        { "[\n" GOOD("a") ":" GOOD("b") "]", 1, "line 2" },
        { "[\n,\n" GOOD("a") "\n]", 0, "line 2" },
        { "{\n\"messages\":[]\n}\nx", 0, "line 4" },
        { "nonsense", 0, "line 1" },
        { "\n\n nonsense", 0, "line 3" },
        { "{\"a\":1}", 0, "line 1" },
        { "\"text\"", 0, "line 1" },
        { "{\n\"data\":[" GOOD("a") "]\n", 1, "line" },
        { "{\n\"data\":[" GOOD("a") "]}\n{}", 0, "line 1" },
        { "{\n\"train\":[" GOOD("a") "],\n\"test\":[{\"foo\":1}]}", 1, "line 3" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct read_back b;
        read_bytes(&b, "bad.json", cases[i].bytes, strlen(cases[i].bytes), cases[i].bytes);
        if (!json_array_size(b.errors)) check_refused(&b, cases[i].good, 1, NULL, cases[i].bytes);
        if (json_array_size(b.dialogues) < cases[i].good) check_refused(&b, cases[i].good, 1, NULL, cases[i].bytes);
        check_refused(&b, json_array_size(b.dialogues), json_array_size(b.errors), cases[i].line, cases[i].bytes);
        read_back_release(&b);
    }
}

/* ---- packed files ---------------------------------------------------------------------------------------------------------------- */

/* Cut at many places, and with a byte changed: refused once, and lines that came whole are read. */
TEST(malformed_packed_files)
{
    struct buf text, packed;
    buf_init(&text, 0);
    for (int i = 0; i < 20000; i++) buf_printf(&text, "{\"text\":\"line %d %08x\"}\n", i, random_u32(1, 2, (uint64_t)i));
    for (int kind = 0; kind < 2; kind++) {
        buf_init(&packed, 0);
        (kind ? zstd_append : gzip_append)(&packed, text.data, text.len);
        for (int i = 1; i < 40; i++) {
            struct read_back b;
            size_t cut = i < 8 ? packed.len - (size_t)i : packed.len * (size_t)i / 40;
            read_bytes(&b, kind ? "cut.jsonl.zst" : "cut.jsonl.gz", packed.data, cut, "cut");
            CHECK(json_array_size(b.errors) >= 1 && json_array_size(b.errors) <= 2);
            if (i > 20) CHECK(json_array_size(b.dialogues) > 5000);
            read_back_release(&b);
        }
        for (int i = 0; i < 20; i++) {
            struct read_back b;
            char *damaged = mem_strndup(packed.data, packed.len);
            damaged[packed.len * (size_t)(i + 1) / 22] ^= (char)(1 << i % 8);
            read_bytes(&b, kind ? "hurt.jsonl.zst" : "hurt.jsonl.gz", damaged, packed.len, "hurt");
            if (kind == 0 && !json_array_size(b.errors)) test_failed(__FILE__, __LINE__, "byte %zu: %zu dialogues", packed.len * (size_t)(i + 1) / 22, json_array_size(b.dialogues));                    /* gzip has a checksum; our zstd frames have none */
            read_back_release(&b);
            mem_free(damaged);
        }
        buf_release(&packed);
    }
    buf_release(&text);
}

TEST(malformed_packed_tails)
{
    static const struct { const char *tail; size_t len; bool is_fine; } tails[] = { { "x", 1, false }, { "garbage behind the end", 22, false }, { "\x1f\x8b", 2, false }, { "\x1f\x8b\x08\0\0\0\0\0\0\0", 10, false }, { "\0\0\0\0\0\0\0\0", 8, true } };
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        struct read_back b;
        struct buf packed;
        buf_init(&packed, 0);
        gzip_append(&packed, GOOD("a") "\n", strlen(GOOD("a") "\n"));
        buf_append(&packed, tails[i].tail, tails[i].len);
        read_bytes(&b, "tail.jsonl.gz", packed.data, packed.len, tails[i].tail);
        CHECK_INT(json_array_size(b.dialogues), 1);
        if (!tails[i].is_fine) CHECK_INT(json_array_size(b.errors), 1);
        read_back_release(&b);
        buf_release(&packed);
    }
}

/* ---- whole files ------------------------------------------------------------------------------------------------------------------ */

TEST(malformed_files)
{
    static const struct { const char *name; struct bytes bytes; } cases[] = {
        { "empty.json", B("") }, { "empty.jsonl", B("") }, { "none.json", B("[]") }, { "nothing", B("") }, { "empty.json.gz", B("") }, { "spaces.json", B(" \n\n ") }, { "bom.json", B("\xEF\xBB\xBF") }, { "utf16.jsonl", B("\xFF\xFE{\0}\0") }, { "utf16be.json", B("\xFE\xFF\0{\0}") }, { "nul.json", B("\0\0\0\0") },
        { "binary.json", B("\x7f""ELF\x02\x01\x01\0") }, { "png.jsonl", B("\x89PNG\r\n\x1a\n\0\0") }, { "latin1.txt", B("caf\xE9\n") }, { "nul.txt", B("a\0b") }, { "binary.c", B("\x80\x81\x82") }, { "other", B("\x01\x02\x03\xff") },
        { "page.json", B("<!DOCTYPE html>\n<html></html>\n") }, { "page.jsonl", B("<!DOCTYPE html>\n") }, { "pointer.jsonl", B("version https://git-lfs.github.com/spec/v1\n") }, { "short.json.gz", B("\x1f\x8b\x08") }, { "short.json.zst", B("\x28\xb5\x2f\xfd") },
        { "bz2.jsonl.bz2", B("BZh91AY&SY\x12\x34\x56") }, { "xz.jsonl", B("\xFD" "7zXZ\0\0\x04") }, { "zip.json", B("PK\x03\x04\x14\0") },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct read_back b;
        read_bytes(&b, cases[i].name, cases[i].bytes.data, cases[i].bytes.len, cases[i].name);
        if (!json_array_size(b.errors) || json_array_size(b.dialogues)) test_failed(__FILE__, __LINE__, "%s: %zu dialogues, no error", cases[i].name, json_array_size(b.dialogues));
        read_back_release(&b);
    }
}

/* Random bytes, and good files with random bytes in them: reading ends, and all is told. */
TEST(malformed_random_files)
{
    static const char *const names[] = { "r.jsonl", "r.json", "r.txt", "r", "r.json.gz" };
    static const char alphabet[] = "{}[]\",:\\ \nabu0";
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct read_back b;
        struct buf text;
        size_t n = random_u32(seed, 1, 0) % 300;
        buf_init(&text, 0);
        if (seed % 3 == 0) buf_puts(&text, "[" GOOD("a") ",\n" GOOD("b") "\n" GOOD("c"));
        for (size_t i = 0; i < n; i++) buf_putc(&text, seed % 2 ? alphabet[random_u32(seed, 2, i) % (sizeof alphabet - 1)] : (char)random_u32(seed, 3, i));
        read_bytes(&b, names[seed % 5], text.data ? text.data : "", text.len, "random");
        read_back_release(&b);
        buf_release(&text);
    }
}

TEST(malformed_tables)
{
    static const struct { const char *name; struct bytes bytes; } cases[] = {
        { "a.parquet", B("") }, { "b.parquet", B("PAR1") }, { "c.parquet", B("PAR1\0\0\0\0PAR1") }, { "d.parquet", B("PAR1xxxxxxxx\xff\xff\xff\x7fPAR1") }, { "e.parquet", B("no table") }, { "f.json", B("PAR1 but named json") }, { "g.arrow", B("ARROW1\0\0") }, { "h.csv", B("") }, { "i.csv", B("prompt,completion\n") }, { "j.csv", B("prompt,completion\na,b\nc,d,e\n") }, { "k.csv", B("prompt,completion\na,\"b\n") },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct read_back b;
        read_bytes(&b, cases[i].name, cases[i].bytes.data, cases[i].bytes.len, cases[i].name);
        if (json_array_size(b.errors) != 1 || json_array_size(b.dialogues)) test_failed(__FILE__, __LINE__, "%s: %zu errors", cases[i].name, json_array_size(b.errors));
        read_back_release(&b);
    }
}

TEST(malformed_file_kinds)
{
    struct read_back b;
    char path[NAME_BYTES];
    if (geteuid() != 0) {                                 /* root may read all */
        put_text(path, "closed.jsonl", GOOD("a") "\n");
        CHECK(chmod(path, 0) == 0);
        read_file(&b, path, NULL);
        CHECK_INT(json_array_size(b.errors), 1);
        check_sentence(read_error(&b, 0), "closed.jsonl", path);
        read_back_release(&b);
    }
    snprintf(path, sizeof path, "%s/gone.jsonl", test_scratch());
    CHECK(symlink("/nowhere/at/all", path) == 0);
    read_file(&b, path, NULL);
    CHECK_INT(json_array_size(b.errors), 1);
    check_sentence(read_error(&b, 0), "gone.jsonl", path);
    read_back_release(&b);
}

/* ---- flat messages ------------------------------------------------------------------------------------------------------------------ */

#define F(id, parent, text) "{\"message_id\":" id ",\"parent_id\":" parent ",\"role\":\"prompter\",\"text\":" text "}\n"
#define ROOT F("\"q\"", "null", "\"Q\"")
#define LAST F("\"z\"", "null", "\"Z\"")

TEST(malformed_flat_messages)
{
    static const struct { const char *lines; size_t good, errors; const char *line; } cases[] = {
        { ROOT F("\"q\"", "null", "\"again\"") LAST, 2, 1, "line 2" },                                        /* the same id twice */
        { ROOT F("\"a\"", "\"a\"", "\"own parent\"") LAST, 2, 1, "line 2" },
        { ROOT F("\"a\"", "\"b\"", "\"A\"") F("\"b\"", "\"a\"", "\"B\"") LAST, 2, 1, "line" },                 /* a circle of two */
        { ROOT F("\"a\"", "\"b\"", "\"A\"") F("\"b\"", "\"c\"", "\"B\"") F("\"c\"", "\"a\"", "\"C\"") F("\"d\"", "\"a\"", "\"below it\"") LAST, 2, 1, "line" },
        { ROOT "{\"message_id\":\"a\",\"parent_id\":\"q\"\n" LAST, 2, 1, "line 2" },                           /* torn */
        { ROOT "\n[1]\n" LAST, 2, 1, "line 3" }, { ROOT "7\n" LAST, 2, 1, "line 2" }, { ROOT "null\n" LAST, 2, 1, "line 2" }, { ROOT "{}\n" LAST, 2, 1, "line 2" },
        { ROOT F("7", "\"q\"", "\"A\"") LAST, 2, 1, "line 2" }, { ROOT F("null", "\"q\"", "\"A\"") LAST, 2, 1, "line 2" }, { ROOT F("\"\"", "\"q\"", "\"A\"") LAST, 2, 1, "line 2" },
        { ROOT F("\"a\"", "7", "\"A\"") LAST, 2, 1, "line 2" }, { ROOT F("\"a\"", "[]", "\"A\"") LAST, 2, 1, "line 2" },
        { ROOT F("\"a\"", "\"q\"", "7") LAST, 2, 1, "line 2" }, { ROOT F("\"a\"", "\"q\"", "null") LAST, 2, 1, "line 2" }, { ROOT "{\"message_id\":\"a\",\"parent_id\":\"q\",\"text\":\"A\"}\n" LAST, 2, 1, "line 2" },
        { ROOT "{\"message_id\":\"a\",\"parent_id\":\"q\",\"role\":1,\"text\":\"A\"}\n" LAST, 2, 1, "line 2" }, { ROOT GOOD("stray") "\n" LAST, 2, 1, "line 2" },
        { ROOT F("\"a\"", "\"q\"", "\"\xff\"") LAST, 2, 1, "line 2" }, { ROOT F("\"a\\u0000\"", "\"q\"", "\"A\"") LAST, 2, 1, "line 2" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct read_back b;
        read_bytes(&b, "flat.jsonl", cases[i].lines, strlen(cases[i].lines), cases[i].lines);
        check_refused(&b, cases[i].good, cases[i].errors, cases[i].line, cases[i].lines);
        read_back_release(&b);
    }
}

/* A thread of 100,000 messages, and one reply to itself 100,000 times: no crash; what is too deep is told. */
TEST(malformed_flat_depth)
{
    for (int is_star = 0; is_star < 2; is_star++) {
        struct read_back b;
        struct buf text;
        buf_init(&text, 0);
        buf_puts(&text, ROOT);
        for (int i = 0; i < (is_star ? DEEP / 10 : DEEP); i++) {
            buf_printf(&text, "{\"message_id\":\"%d\",\"parent_id\":\"", i);
            if (i == 0 || is_star) buf_puts(&text, "q");
            else buf_printf(&text, "%d", i - 1);
            buf_puts(&text, "\",\"role\":\"assistant\",\"text\":\"x\"}\n");
        }
        buf_puts(&text, LAST);
        read_bytes(&b, "flat.jsonl", text.data, text.len, is_star ? "star" : "chain");
        if (is_star) check_refused(&b, DEEP / 10 + 1, 0, NULL, "star");
        else check_refused(&b, 1, 1, "line 1", "chain");
        read_back_release(&b);
        buf_release(&text);
    }
}
