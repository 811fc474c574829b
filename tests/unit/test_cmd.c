/* The parts of the command line that text from models, files and pipes passes through. The program's sources are
 * included here, because the library does not hold them. */
#include "test.h"

#include "cmd/input.c"
#include "cmd/output.c"

/* ---- output ---------------------------------------------------------------------------------------------------------- */

typedef void printer(FILE *to, const char *utf8, size_t len);

static char *printed(printer *print, const char *text, size_t len)
{
    char *data = NULL;
    size_t n;
    FILE *to = open_memstream(&data, &n);
    print(to, text, len);
    fclose(to);
    return data;
}

static void check_printed(printer *print, const char *text, size_t len, const char *expected)
{
    char *found = printed(print, text, len);
    CHECK_STR(found, expected);
    free(found);
}
#define CHECK_SAFE(text, expected) check_printed(print_safe, text, sizeof text - 1, expected)
#define CHECK_JSON(text, expected) check_printed(print_json_string, text, sizeof text - 1, expected)

TEST(safe_text_passes)
{
    CHECK_SAFE("", "");
    CHECK_SAFE("if (a < b)\n\treturn;\n", "if (a < b)\n\treturn;\n");
    CHECK_SAFE("na\xC3\xAFve \xE4\xB8\xAD\xE6\x96\x87 \xF0\x9F\x98\x80", "na\xC3\xAFve \xE4\xB8\xAD\xE6\x96\x87 \xF0\x9F\x98\x80");
    CHECK_SAFE("\xE2\x80\xA8\xC2\xA0", "\xE2\x80\xA8\xC2\xA0");   /* separators and no-break space are text */
}

TEST(safe_text_shows_controls)
{
    CHECK_SAFE("\x1b[2J", "^[[2J");
    CHECK_SAFE("\x1b]0;title\x07", "^[]0;title^G");
    CHECK_SAFE("a\rb\bc\x7f" "d", "a^Mb^Hc^?d");
    CHECK_SAFE("a\0b", "a^@b");
    CHECK_SAFE("\xC2\x9B" "31m", "<U+009B>31m");                /* C1 as a character */
    CHECK_SAFE("\x9B" "31m", "<9B>31m");                         /* C1 as a bare byte */
}

TEST(safe_text_shows_direction_and_tags)
{
    CHECK_SAFE("a\xE2\x80\xAE" "b", "a<U+202E>b");
    CHECK_SAFE("\xE2\x81\xA6\xE2\x81\xA9", "<U+2066><U+2069>");
    CHECK_SAFE("\xF3\xA0\x81\x81", "<U+E0041>");
    CHECK_SAFE("\xEF\xBB\xBFx", "<U+FEFF>x");
}

TEST(safe_text_shows_broken_bytes)
{
    CHECK_SAFE("\xC3", "<C3>");
    CHECK_SAFE("\xE2\x80", "<E2><80>");
    CHECK_SAFE("\xED\xA0\x80", "<ED><A0><80>");                  /* surrogate */
    CHECK_SAFE("\xC0\xAF", "<C0><AF>");                          /* too long a form */
    CHECK_SAFE("\xF0\x80\x80\xAF", "<F0><80><80><AF>");
    CHECK_SAFE("\xF4\x90\x80\x80", "<F4><90><80><80>");          /* beyond U+10FFFF */
}

TEST(json_string)
{
    CHECK_JSON("", "\"\"");
    CHECK_JSON("a\"\\/\b\t\n\f\r", "\"a\\\"\\\\/\\b\\t\\n\\f\\r\"");
    CHECK_JSON("\0\x1b\x0b", "\"\\u0000\\u001b\\u000b\"");
    CHECK_JSON("\xC3\xA9\xF0\x9F\x98\x80", "\"\xC3\xA9\xF0\x9F\x98\x80\"");
    CHECK_JSON("a\xFF", "\"a\xEF\xBF\xBD\"");
}

/* What the writer makes, a strict reader takes back, for every byte. */
TEST(json_string_round_trip)
{
    char text[128];
    for (int i = 0; i < 128; i++) text[i] = (char)i;
    char *json = printed(print_json_string, text, sizeof text);
    json_t *back = json_loads(json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    CHECK(json_is_string(back) && json_string_length(back) == sizeof text && memcmp(json_string_value(back), text, sizeof text) == 0);
    json_decref(back);
    free(json);
}

TEST(byte_counts)
{
    static const struct { double bytes; const char *text; } rows[] = {
        { 0, "0 B" }, { 999, "999 B" }, { 1000, "1.0 kB" }, { 98362432, "98.4 MB" }, { 138e6, "138 MB" }, { 999.6e6, "1.0 GB" }, { 13.2e9, "13.2 GB" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[32];
        format_bytes(text, sizeof text, rows[i].bytes);
        CHECK_STR(text, rows[i].text);
    }
}

TEST(colors)
{
    struct args_common c = { .color = "auto" };
    FILE *file = tmpfile();
    CHECK(!use_color(&c, file));
    c.color = "always";
    CHECK(use_color(&c, file));
    c.color = "never";
    CHECK(!use_color(&c, file));
    fclose(file);
}

/* ---- input -------------------------------------------------------------------------------------------------------------- */

static int file_with(const char *text, size_t len)
{
    FILE *f = tmpfile();
    fwrite(text, 1, len, f);
    fflush(f);
    int fd = dup(fileno(f));
    fclose(f);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static void check_lines(const char *text, size_t len, const char *const *expected, size_t n)
{
    struct line_reader r;
    char *line;
    size_t line_len;
    line_open(&r, file_with(text, len));
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(line_next(&r, &line, &line_len), 1);
        CHECK_STR(line, expected[i]);
        CHECK_INT(line_len, strlen(expected[i]));
        CHECK_INT(r.number, i + 1);
    }
    CHECK_INT(line_next(&r, &line, &line_len), 0);
    close(r.fd);
    line_close(&r);
}

TEST(lines)
{
    check_lines("", 0, NULL, 0);
    check_lines("\n", 1, (const char *const[]){ "" }, 1);
    check_lines("a\nbc\r\n\nd", 8, (const char *const[]){ "a", "bc", "", "d" }, 4);
    check_lines("a\n", 2, (const char *const[]){ "a" }, 1);
    check_lines("a\r", 2, (const char *const[]){ "a\r" }, 1);
}

/* Lines around and far beyond the size of the buffer. */
TEST(long_lines)
{
    for (size_t n = 65530; n < 65545; n++) {
        char *text = mem_alloc(3 * n + 8);
        memset(text, 'x', n);
        text[n] = '\n';
        memset(text + n + 1, 'y', 2 * n);
        struct line_reader r;
        char *line;
        size_t len;
        line_open(&r, file_with(text, 3 * n + 1));
        CHECK(line_next(&r, &line, &len) == 1 && len == n && line[0] == 'x' && line[n - 1] == 'x');
        CHECK(line_next(&r, &line, &len) == 1 && len == 2 * n && line[0] == 'y' && line[2 * n - 1] == 'y');
        CHECK_INT(line_next(&r, &line, &len), 0);
        close(r.fd);
        line_close(&r);
        mem_free(text);
    }
}

TEST(line_objects)
{
    static const char text[] = "{\"a\":1}\n\n  \n{\"b\":\"x\\u0000y\"}\n[1]\n{\"c\":1,\"c\":2}\n{\n";
    struct line_reader r;
    json_t *object;
    line_open(&r, file_with(text, sizeof text - 1));
    CHECK_INT(line_next_object(&r, &object), 1);
    CHECK_INT(json_integer_value(json_object_get(object, "a")), 1);
    json_decref(object);
    CHECK_INT(line_next_object(&r, &object), 1);
    CHECK_INT(json_string_length(json_object_get(object, "b")), 3);
    CHECK_INT(r.number, 4);
    json_decref(object);
    for (int i = 0; i < 3; i++) {   /* an array, a key twice, a broken one */
        CHECK_INT(line_next_object(&r, &object), -1);
        CHECK(object == NULL);
    }
    CHECK_INT(line_next_object(&r, &object), 0);
    close(r.fd);
    line_close(&r);
}

TEST(whole_input)
{
    FILE *f = tmpfile();
    size_t len;
    for (int i = 0; i < 100000; i++) putc(i % 251, f);
    rewind(f);
    char *data = read_all(f, 1 << 20, &len, "the file");
    CHECK(data && len == 100000 && data[99999] == (char)(99999 % 251) && data[100000] == 0);
    free(data);
    rewind(f);
    CHECK(read_all(f, 99999, &len, "the file") == NULL);
    fclose(f);
}
