/* test_filter.c - the content filter: actions, what is held back, the same result for every way to cut a text, and what a file may say. */
#include "test.h"

#include "serve/filter.h"

static struct filter *read_rules(const char *yaml)
{
    struct filter *f = NULL;
    CHECK_OK(filter_read(&f, yaml, strlen(yaml), "filter.yaml", err));
    return f;
}

/* The text in pieces of `step` characters; *stopped: the name of the rule that ended it. */
static char *run(const struct filter *f, const char *text, size_t step, const char **stopped)
{
    struct filter_stream *s = filter_begin(f, false);
    struct buf out;
    size_t len = strlen(text);
    buf_init(&out, 0);
    buf_puts(&out, "");
    for (size_t i = 0; i < len;) {
        size_t end = i + step < len ? i + step : len;
        while (end < len && (text[end] & 0xc0) == 0x80) end++;
        filter_put(s, text + i, end - i, false, &out);
        i = end;
    }
    filter_put(s, "", 0, true, &out);
    *stopped = filter_stopped(s) ? filter_stopped(s)->name : NULL;
    filter_end(s);
    char *result = mem_strdup(out.data ? out.data : "");
    buf_release(&out);
    return result;
}

static const char rules[] =
    "rules:\n"
    "  - {name: keys, pattern: 'sk-[A-Za-z0-9]{8,}', action: redact, replace: '[key]'}\n"
    "  - {name: mail, pattern: '\\b[\\w.]+@[\\w.]+\\w\\b', action: redact}\n"
    "  - {name: rude, words: [darn, heck it, Fußball], action: redact, replace: '***'}\n"
    "  - {name: note, pattern: 'TODO', action: flag}\n"
    "  - {name: bomb, pattern: '(?s)BEGIN.{0,40}END', action: stop, message: 'Enough.'}\n";

static const struct { const char *in, *out, *stopped; } rows[] = {
    { "nothing here", "nothing here", NULL },
    { "a sk-abcdEFGH1234 b", "a [key] b", NULL },
    { "sk-short sk-", "sk-short sk-", NULL },
    { "ends with sk-abcdefgh", "ends with [key]", NULL },
    { "to me@example.org.", "to [removed].", NULL },
    { "me@", "me@", NULL },
    { "Darn! darning HECK IT heckit", "***! darning *** heckit", NULL },
    { "Fußball, fußball", "***, ***", NULL },
    { "TODO: TODO", "TODO: TODO", NULL },
    { "x BEGIN some END y", "x ", "bomb" },
    { "x BEGIN some", "x BEGIN some", NULL },
    { "BEGIN 0123456789012345678901234567890123456789012345 END", "BEGIN 0123456789012345678901234567890123456789012345 END", NULL },
    { "sk-12345678@mail.de", "[key]@mail.de", NULL },
    { "", "", NULL },
    { "日本語 darn 日本語", "日本語 *** 日本語", NULL },
};

TEST(every_way_to_cut_a_text_gives_the_same)
{
    struct filter *f = read_rules(rules);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t step = 1; step < 60; step++) {
            const char *stopped;
            char *out = run(f, rows[i].in, step, &stopped);
            CHECK_STR(out, rows[i].out);
            CHECK((stopped != NULL) == (rows[i].stopped != NULL));
            if (stopped && rows[i].stopped) CHECK_STR(stopped, rows[i].stopped);
            mem_free(out);
        }
    filter_close(f);
}

TEST(random_texts_too)
{
    static const char *const parts[] = { "sk-", "abcdefgh", "12345678", " ", "me", "@", "ex.org", "darn", "heck", " it", "BEGIN", "END", "ß", ".", "\n" };
    struct filter *f = read_rules(rules);
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct buf text;
        const char *stopped;
        buf_init(&text, 0);
        for (uint64_t i = 0; i < 24; i++) buf_puts(&text, parts[random_u32(seed, 1, i) % (sizeof parts / sizeof *parts)]);
        char *whole = run(f, text.data, 10000, &stopped);
        for (size_t step = 1; step < 12; step += 2) {
            char *out = run(f, text.data, step, &stopped);
            CHECK_STR(out, whole);
            mem_free(out);
        }
        mem_free(whole);
        buf_release(&text);
    }
    filter_close(f);
}

TEST(what_cannot_match_is_not_held)
{
    struct filter *f = read_rules(rules);
    struct filter_stream *s = filter_begin(f, false);
    struct buf out;
    buf_init(&out, 0);
    filter_put(s, "a plain sentence, ", 18, false, &out);
    CHECK_STR(out.data, "a plain sentence, ");
    filter_put(s, "sk-ab", 5, false, &out);
    CHECK_STR(out.data, "a plain sentence, ");
    filter_put(s, "!", 1, false, &out);
    CHECK_STR(out.data, "a plain sentence, sk-ab!");
    filter_end(s);
    buf_release(&out);
    filter_close(f);
}

TEST(an_open_end_is_held_only_so_long)
{
    struct filter *f = read_rules("rules: [{pattern: '(?s)<secret>.*</secret>', action: redact}]");
    struct filter_stream *s = filter_begin(f, false);
    struct buf out, in;
    buf_init(&out, 0);
    buf_init(&in, 0);
    buf_puts(&in, "<secret>");
    for (int i = 0; i < 3 * FILTER_HOLD_MAX; i++) buf_putc(&in, 'x');
    filter_put(s, in.data, in.len, false, &out);
    CHECK(out.len > FILTER_HOLD_MAX);
    CHECK(in.len - out.len <= FILTER_HOLD_MAX);
    filter_end(s);
    buf_release(&out);
    buf_release(&in);
    filter_close(f);
}

TEST(prompts_have_rules_of_their_own)
{
    struct filter *f = read_rules("rules:\n  - {pattern: one, action: stop, on: prompts}\n  - {pattern: two, action: stop}\n  - {pattern: three, action: stop, on: both}\n");
    static const struct { const char *text; bool of_prompt, of_answer; } cases[] = { { "one", true, false }, { "two", false, true }, { "three", true, true }, { "four", false, false } };
    for (size_t i = 0; i < 4; i++)
        for (int is_prompt = 0; is_prompt < 2; is_prompt++) {
            struct filter_stream *s = filter_begin(f, is_prompt);
            struct buf out;
            buf_init(&out, 0);
            filter_put(s, cases[i].text, strlen(cases[i].text), true, &out);
            CHECK_INT(filter_stopped(s) != NULL, is_prompt ? cases[i].of_prompt : cases[i].of_answer);
            filter_end(s);
            buf_release(&out);
        }
    filter_close(f);
}

TEST(mistakes_in_a_file_are_told)
{
    static const struct { const char *yaml, *message; } bad[] = {
        { "", "expected \"rules:\"" }, { "rules: 3", "no list" }, { "rules: []", "neither rules nor" }, { "rules: [{pattern: a}]", "\"action\"" }, { "rules: [{action: stop}]", "either \"pattern\" or \"words\"" },
        { "rules: [{pattern: 'a(', action: stop}]", "pattern is wrong" }, { "rules: [{pattern: a, words: [b], action: stop}]", "either" }, { "rules: [{words: [], action: stop}]", "1 to" },
        { "rules: [{pattern: a, action: drop}]", "\"drop\"" }, { "rules: [{pattern: a, action: stop, on: sundays}]", "\"sundays\"" }, { "rules: [{pattern: a, action: stop, wen: x}]", "\"wen\"" }, { "rule: []", "\"rule\"" },
        { "classifier: {action: redact, prompt: '{text}'}", "no place to redact" }, { "classifier: {action: stop}", "{text}" }, { "classifier: {action: stop, prompt: '{text}', threshold: 2}", "threshold" },
        { "rules: [{pattern: '(?<=abcdefghijklmnopqrs)x', action: stop}]", "looks back" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct filter *f = NULL;
        CHECK_FAILS(filter_read(&f, bad[i].yaml, strlen(bad[i].yaml), "filter.yaml", err), i == 15 ? SC_E_UNSUPPORTED : SC_E_FORMAT, bad[i].message);
        CHECK(f == NULL);
    }
}
