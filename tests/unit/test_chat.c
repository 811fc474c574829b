/* test_chat.c - the parts of the terminal chat that know neither model nor terminal: text, collecting of lines,
 * commands, few-shot prompt, streaming Markdown, saved conversations. */
#include "test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "cmd/chat.h"

/* ---- text --------------------------------------------------------------------------------------------------------------- */

TEST(chat_text_is_repaired)
{
    static const struct { const char *in; size_t len; const char *out; size_t broken; } rows[] = {
        { "plain \xc3\xa9 \xf0\x9f\x99\x82", 13, "plain \xc3\xa9 \xf0\x9f\x99\x82", 0 },
        { "a\0b", 3, "a\xef\xbf\xbd" "b", 1 },
        { "\xff", 1, "\xef\xbf\xbd", 1 },
        { "x\xc3", 2, "x\xef\xbf\xbd", 1 },
        { "\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 3 },   /* a surrogate */
        { "\xc0\xaf", 2, "\xef\xbf\xbd\xef\xbf\xbd", 2 },                   /* an overlong slash */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct string s = { 0 };
        CHECK_INT(string_add_repaired(&s, rows[i].in, rows[i].len), rows[i].broken);
        CHECK_STR(s.data, rows[i].out);
        string_release(&s);
    }
}

TEST(chat_conversation_keeps_the_system_message_first)
{
    struct conversation c = { 0 };
    conversation_add(&c, "user", "one", 3);
    conversation_add(&c, "assistant", "two", 3);
    conversation_set_system(&c, "be brief");
    CHECK_INT(c.n, 3);
    CHECK_STR(c.message[0].role, "system");
    CHECK_STR(c.message[1].content, "one");
    conversation_set_system(&c, "be long");
    CHECK_INT(c.n, 3);
    CHECK_STR(conversation_system(&c), "be long");
    CHECK_INT(conversation_last_user(&c), 1);
    conversation_cut(&c, 1);
    CHECK_INT(conversation_last_user(&c), 1);
    conversation_set_system(&c, "");
    CHECK_INT(c.n, 0);
    CHECK(conversation_system(&c) == NULL);
    conversation_release(&c);
}

/* ---- collector ------------------------------------------------------------------------------------------------------------- */

/* Lines separated by '|' go in; each but the last must ask for more. */
static void collects(const char *lines, const char *expected)
{
    struct collector c = { 0 };
    char copy[256], *at = copy;
    snprintf(copy, sizeof copy, "%s", lines);
    for (char *next; at; at = next) {
        next = strchr(at, '|');
        if (next) *next++ = 0;
        bool is_whole = collector_add(&c, at);
        if (is_whole != (next == NULL)) test_failed(__FILE__, __LINE__, "\"%s\": \"%s\" %s", lines, at, is_whole ? "ended the message" : "asked for more");
    }
    CHECK_STR(c.text.data, expected);
    CHECK(collector_add(&c, "next"));          /* a new message begins */
    CHECK_STR(c.text.data, "next");
    collector_release(&c);
}

TEST(chat_collector_joins_lines)
{
    collects("one line", "one line");
    collects("a\\|b\\|c", "a\nb\nc");
    collects("C:\\\\", "C:\\\\");
    collects("a\\\\\\|b", "a\\\\\nb");
    collects("```|int x;|```", "```\nint x;\n```");
    collects("```c|a \\|```", "```c\na \\\n```");
    collects("explain: ```c|x;|```", "explain: ```c\nx;\n```");
    collects("````|```|````", "````\n```\n````");
    collects("use ```x``` here", "use ```x``` here");
    collects("what does ``` mean in a line?", "what does ``` mean in a line?");
    collects("a `b` c", "a `b` c");
    collects("\"\"\"|one|two\\|\"\"\"", "one\ntwo\\");
    collects("\"\"\"one|two\"\"\"", "one\ntwo");
    collects("\"\"\"one\"\"\"", "one");
    collects("\"\"\"|```|\"\"\"", "```");
}

TEST(chat_collector_takes_a_paste_as_one_message)
{
    collects("int f(void)\n{\n    return 1; \\\n}", "int f(void)\n{\n    return 1; \\\n}");
    collects("fix:\n```c\nx\n```\nplease", "fix:\n```c\nx\n```\nplease");
    collects("fix:\n```c\nx|```", "fix:\n```c\nx\n```");
    collects("a\nb \\|c", "a\nb \nc");
}

/* ---- commands ------------------------------------------------------------------------------------------------------------------ */

TEST(chat_commands_are_told_from_messages)
{
    static const struct { const char *text; bool is_command; const char *name, *rest, *nearest; } rows[] = {
        { "/help", true, "help", "", NULL },
        { "/?", true, "help", "", NULL },
        { "/exit", true, "quit", "", NULL },
        { "/system  be brief\nand kind", true, "system", "be brief\nand kind", NULL },
        { "/save a b.json", true, "save", "a b.json", NULL },
        { "/regn", true, NULL, "", "regen" },
        { "/token", true, NULL, "", "tokens" },
        { "/frobnicate now", true, NULL, "now", NULL },
        { "/usr/bin/env fails, why?", false, NULL, NULL, NULL },
        { "// a comment", false, NULL, NULL, NULL },
        { "/* a comment */", false, NULL, NULL, NULL },
        { "/ is a slash", false, NULL, NULL, NULL },
        { "/foo pasted\nin two lines", false, NULL, NULL, NULL },
        { "help", false, NULL, NULL, NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct chat_command *row = NULL;
        const char *rest = NULL, *nearest = NULL;
        bool is_command = chat_command_parse(rows[i].text, &row, &rest, &nearest);
        if (is_command != rows[i].is_command) test_failed(__FILE__, __LINE__, "\"%s\" is %sa command", rows[i].text, is_command ? "" : "not ");
        if (!is_command) continue;
        CHECK_STR(rest, rows[i].rest);
        CHECK_STR(row ? row->name : "none", rows[i].name ? rows[i].name : "none");
        CHECK_STR(nearest ? nearest : "none", rows[i].nearest ? rows[i].nearest : "none");
    }
}

TEST(chat_message_of_a_pipe)
{
    struct string s = { 0 };
    CHECK(chat_compose(&s, "review this", "-a\n+b\n", 6));
    CHECK_STR(s.data, "review this\n\n```\n-a\n+b\n```");
    string_clear(&s);
    CHECK(chat_compose(&s, "read", "```c\nx\n```", 10));       /* a longer fence around it */
    CHECK_STR(s.data, "read\n\n````\n```c\nx\n```\n````");
    string_clear(&s);
    CHECK(chat_compose(&s, NULL, "\n hello \n", 9));
    CHECK_STR(s.data, "hello");
    string_clear(&s);
    CHECK(chat_compose(&s, "only this", "", 0));
    CHECK_STR(s.data, "only this");
    string_clear(&s);
    CHECK(!chat_compose(&s, NULL, " \n", 2));
    CHECK(!chat_compose(&s, "", "", 0));
    string_release(&s);
}

/* ---- few-shot -------------------------------------------------------------------------------------------------------------------- */

static const char *write_scratch(const char *name, const char *text)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", test_scratch(), name);
    FILE *f = fopen(path, "wb");
    if (!f || fputs(text, f) < 0 || fclose(f)) test_failed(__FILE__, __LINE__, "%s cannot be written", path);
    return path;
}

TEST(fewshot_continues_the_prompt_in_its_own_spacing)
{
    const char *path = write_scratch("two.txt", "Dialogues.\r\n\r\nHuman:  Hi\r\n\r\nAssistant:  Hello\r\n\r\n-----\r\n");
    struct fewshot f;
    struct string s = { 0 };
    CHECK_INT(fewshot_open(&f, path), ARGS_GO);
    CHECK_INT(f.human_spaces, 2);
    CHECK_INT(f.assistant_spaces, 2);
    const sc_message talk[] = { { "system", "not used" }, { "user", "  What?\n" }, { "assistant", "\nThat. \n" }, { "user", "Why?" } };
    fewshot_render(&s, &f, talk, 4);
    CHECK_STR(s.data, "Dialogues.\n\nHuman:  Hi\n\nAssistant:  Hello\n\n-----\n"
                      "\n\nHuman:  What?\n\nAssistant:  That.\n\nHuman:  Why?\n\nAssistant:  ");
    string_clear(&s);
    fewshot_render(&s, &f, talk, 3);
    CHECK(s.len > 20 && strcmp(s.data + s.len - 7, "  That.") == 0);
    string_release(&s);
    fewshot_release(&f);
}

TEST(fewshot_built_in_prompt_is_the_whole_file)
{
    struct fewshot f;
    struct string s = { 0 };
    CHECK_INT(fewshot_open(&f, "ta"), ARGS_GO);
    CHECK_INT(f.len, 11775);
    CHECK_INT(f.human_spaces, 1);
    CHECK(strncmp(f.prompt, "Below are a series of dialogues", 31) == 0);
    CHECK(strcmp(f.prompt + f.len - 7, "\n-----\n") == 0);
    const sc_message talk[] = { { "user", "Hi" } };
    fewshot_render(&s, &f, talk, 1);
    CHECK_STR(s.data + f.len, "\n\nHuman: Hi\n\nAssistant: ");
    string_release(&s);
    fewshot_release(&f);
}

TEST(fewshot_refuses_what_is_no_dialogue)
{
    static const char *const texts[] = { "", "Some text.\n", "Human: only one side\n", "the Human: and the Assistant: in a sentence\n" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct fewshot f;
        CHECK_INT(fewshot_open(&f, write_scratch("none.txt", texts[i])), EXIT_FAILED);
        fewshot_release(&f);
    }
    struct fewshot f;
    CHECK_INT(fewshot_open(&f, "/nowhere/at/all.txt"), EXIT_FAILED);
    fewshot_release(&f);
}

/* ---- Markdown ---------------------------------------------------------------------------------------------------------------------- */

/* The output of `text` cut into pieces of `step` characters; styles as letters: . plain, m marker, c code, b bold. */
static char *styled(const char *text, size_t step)
{
    char *out = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&out, &len);
    struct markdown m;
    markdown_begin(&m, to, true);
    for (size_t n = strlen(text), i = 0, end; i < n; i = end) {
        end = i + step < n ? i + step : n;
        while (end < n && ((unsigned char)text[end] & 0xc0) == 0x80) end++;
        markdown_put(&m, text + i, end - i);
    }
    markdown_end(&m);
    fclose(to);
    return out;
}

static void split_styles(const char *out, struct string *text, struct string *styles)
{
    static const char *const codes[] = { "\033[0m", ".", "\033[0;2m", "m", "\033[0;36m", "c", "\033[0;1m", "b" };
    const char *style = ".";
    string_clear(text);
    string_clear(styles);
    while (*out) {
        size_t k = 0;
        while (k < 8 && strncmp(out, codes[k], strlen(codes[k])) != 0) k += 2;
        if (k < 8) {
            style = codes[k + 1];
            out += strlen(codes[k]);
            continue;
        }
        string_add(text, out, 1);
        string_puts(styles, *out == '\n' ? "\n" : style);
        out++;
    }
    CHECK_STR(style, ".");
}

/* Whatever the pieces: the text itself comes out, styled alike. */
static void renders(const char *text, const char *expected)
{
    struct string plain = { 0 }, styles = { 0 };
    for (size_t step = 1; step < 40; step = step < 8 ? step + 1 : step * 2) {
        char *out = styled(text, step);
        split_styles(out, &plain, &styles);
        CHECK_STR(plain.data, text);
        CHECK_STR(styles.data, expected);
        free(out);
    }
    string_release(&plain);
    string_release(&styles);
}

TEST(markdown_styles_what_is_certain)
{
    renders("plain text", "..........");
    renders("a `code` b", "..mccccm..");
    renders("a ``c`d`` b", "..mmcccmm..");
    renders("**bold** no", "mmbbbbmm...");
    renders("a ** b ** c", "...........");
    renders("2**3**4", ".......");
    renders("`**x**`", "mcccccm");
    renders("open ` to the end\nnext", ".....mccccccccccc\n....");
    renders("\\`not code\\`", "............");
    renders("# Head `x`\ntext", "bbbbbbbmcm\n....");
    renders("#include <x>", "............");
    renders("####### seven", ".............");
    renders("- item\n* **b**\n12. x\n1) y", "bb....\nbbmmbmm\nbbbb.\nbbb.");
    renders("-5 and *x*", "..........");
    renders("1.5 is", "......");
    renders("\n\n", "\n\n");
    renders("\xc3\xa9 `\xc3\xa9`", "...mccm");
}

TEST(markdown_shows_code_blocks)
{
    renders("```python\nx = `1`  # **\n```\nend", "mmmmmmmmm\nccccccccccccc\nmmm\n...");
    renders("```\n  ```\n``\n```", "mmm\nmmmmm\nmm\nmmm");
    renders("````\n```\n````\nx", "mmmm\nccc\nmmmm\n.");
    renders("~~~\na\n~~~", "mmm\nc\nmmm");
    renders("```c\nint a;", "mmmm\ncccccc");
    renders("```x``` inline", "mmmcmmm.......");
    renders("1. ```sh\n   ls\n   ```\nx", "bbbmmmmm\nccccc\nmmmmmm\n.");
    renders("```\n        ```\n```\nx", "mmm\nccccccccccc\nmmm\n.");   /* too far in to close it */
    renders("```\na\n``` \nx", "mmm\nc\nmmmm\n.");
    renders("```\n```python\n```", "mmm\nccccccccc\nmmm");
}

TEST(markdown_output_is_harmless)
{
    char *out = styled("a\033]0;title\007b\n```\n\033[2J\n```\n", 3);
    CHECK(strstr(out, "\033]") == NULL);
    CHECK(strstr(out, "\033[2J") == NULL);
    CHECK(strstr(out, "^[]0;title^Gb") != NULL);
    free(out);
}

/* Random texts of markers: nothing is lost or added, whatever the pieces. */
TEST(markdown_loses_nothing)
{
    static const char *const atoms[] = { "`", "``", "```", "~~~", "*", "**", "#", "# ", "- ", "1. ", "\n", "\n\n", " ", "    ", "x", "word ", "\\", "\xe2\x82\xac", ">", "\t" };
    struct string text = { 0 }, plain = { 0 }, styles = { 0 };
    for (uint64_t round = 0; round < 400; round++) {
        string_clear(&text);
        for (uint64_t i = 0; i < 30; i++) string_puts(&text, atoms[random_u32(7, round, i) % (sizeof atoms / sizeof *atoms)]);
        char *whole = styled(text.data, text.len), *pieces = styled(text.data, 1 + round % 5);
        split_styles(whole, &plain, &styles);
        CHECK_STR(plain.data, text.data);
        CHECK_STR(pieces, whole);
        free(whole);
        free(pieces);
    }
    string_release(&text);
    string_release(&plain);
    string_release(&styles);
}

/* ---- what is kept -------------------------------------------------------------------------------------------------------------------- */

TEST(chat_history_lines_round_trip)
{
    static const char *const texts[] = { "plain", "two\nlines", "a \\n that is none", "end \\", "\n", "tab\there" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct string line = { 0 }, back = { 0 };
        history_escape(&line, texts[i]);
        CHECK(strchr(line.data, '\n') == NULL);
        history_unescape(&back, line.data, line.len);
        CHECK_STR(back.data, texts[i]);
        string_release(&line);
        string_release(&back);
    }
}

TEST(chat_saved_conversation_round_trips)
{
    struct saved s = { .model = "m", .few_shot = "ta" }, t = { 0 };
    struct string json = { 0 };
    sc_error err = { 0 };
    sc_options_defaults(sc_options_for("sample"), &s.sample);
    s.sample.temperature = 0.1;
    s.sample.seed = UINT64_C(1) << 40;
    t.sample = s.sample;
    t.sample.temperature = 0.9;
    conversation_add(&s.talk, "system", "be \"brief\"", 10);
    conversation_add(&s.talk, "user", "caf\xc3\xa9\n\x1b", 7);
    saved_write(&json, &s);
    CHECK(saved_read(&t, json.data, json.len, "file", &err));
    CHECK_STR(t.model, "m");
    CHECK_STR(t.few_shot, "ta");
    CHECK_INT(t.talk.n, 2);
    CHECK_STR(t.talk.message[0].role, "system");
    CHECK_STR(t.talk.message[1].content, "caf\xc3\xa9\n\x1b");
    CHECK(t.sample.temperature == 0.1);
    CHECK(t.sample.seed == s.sample.seed);
    conversation_release(&s.talk);
    saved_release(&t);
    string_release(&json);
}

TEST(chat_saves_under_any_file_name)
{
    char *const names[] = { NULL, (char *)"caf\xe9.gguf" };       /* a path in Latin-1 */
    static const char *const expected[] = { "none", "caf\xef\xbf\xbd.gguf" };
    for (size_t i = 0; i < 2; i++) {
        struct saved s = { .model = names[i] }, t = { 0 };
        struct string json = { 0 };
        sc_error err = { 0 };
        sc_options_defaults(sc_options_for("sample"), &s.sample);
        t.sample = s.sample;
        conversation_add(&s.talk, "user", "hello", 5);
        saved_write(&json, &s);
        CHECK(saved_read(&t, json.data, json.len, "file", &err));
        CHECK_STR(t.model ? t.model : "none", expected[i]);
        CHECK_INT(t.talk.n, 1);
        conversation_release(&s.talk);
        saved_release(&t);
        string_release(&json);
    }
}

TEST(chat_refuses_what_is_no_saved_conversation)
{
    static const struct { const char *json, *part; } rows[] = {
        { "", "line 1" },
        { "[]", "expected an object" },
        { "{}", "no list \"messages\"" },
        { "{\"messages\":{}}", "no list \"messages\"" },
        { "{\"messages\":[1]}", "message 1" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":5}]}", "message 1" },
        { "{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "\"tool\"" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"system\",\"content\":\"x\"}]}", "message 2 is \"system\"" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"a\\u0000b\"}]}", "line 1" },
        { "{\"messages\":[],\"settings\":{\"temperature\":-1}}", "temperature" },
        { "{\"messages\":[],\"messages\":[]}", "line 1" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct saved s = { 0 };
        sc_error err = { 0 };
        sc_options_defaults(sc_options_for("sample"), &s.sample);
        bool ok = saved_read(&s, rows[i].json, strlen(rows[i].json), "file", &err);
        if (ok || !strstr(err.message, rows[i].part)) test_failed(__FILE__, __LINE__, "%s: %s", rows[i].json, ok ? "accepted" : err.message);
        CHECK_INT(s.talk.n, 0);
        saved_release(&s);
    }
}

TEST(chat_files_appear_whole_and_private)
{
    char path[256], text[16] = "";
    struct stat st;
    snprintf(path, sizeof path, "%s/saved.json", test_scratch());
    CHECK(file_replace(path, "first", 5));
    CHECK(file_replace(path, "second", 6));
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    FILE *f = fopen(path, "rb");
    CHECK(f && fread(text, 1, sizeof text - 1, f) == 6);
    fclose(f);
    CHECK_STR(text, "second");
    CHECK(!file_replace("/nowhere/at/all", "x", 1));
}
