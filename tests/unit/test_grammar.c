/* test_grammar.c - GBNF, regular expressions, and matchers: masks against single questions, forced bytes, sharing, limits. */
#include "grammar_fixture.h"

#include <pthread.h>

/* ---- GBNF ---------------------------------------------------------------------------------------------------------------- */

TEST(gbnf_texts_and_alternatives)
{
    struct grammar *g = gbnf("# a comment\nroot ::= \"yes\" | \"no\" tail? # another\n\ntail ::= \"\\x21\" | \"\\u00fc\\n\" | \"\\U0001F600\"\n");
    YES(g, "yes");
    YES(g, "no");
    YES(g, "no!");
    YES(g, "noü\n");
    YES(g, "no😀");
    NOT_YET(g, "");
    NOT_YET(g, "ye");
    NOT_YET(g, "no\xF0\x9F");
    NO(g, "yess");
    NO(g, "no\xF0\x9E");
    NO(g, "yes\n");
    grammar_release(g);
}

TEST(gbnf_repetitions)
{
    struct grammar *g = gbnf("root ::= \"a\"* \"b\"+ \"c\"? \"d\"{2} \"e\"{1,} \"f\"{0,2} \"g\"{,1}");
    YES(g, "bdde");
    YES(g, "aaabbcddeeeeffg");
    NO(g, "dd");
    NO(g, "bddefff");
    NO(g, "bddegg");
    NO(g, "bdddе");
    NOT_YET(g, "bdd");
    grammar_release(g);
    g = gbnf("root ::= ([a-zäöü] [0-9]){3,40}");
    NOT_YET(g, "a1b2");
    YES(g, "a1b2ü3");
    YES(g, "a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1");
    NO(g, "a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1b2ü3a1b");
    grammar_release(g);
}

TEST(gbnf_classes)
{
    struct grammar *g = gbnf("root ::= [a-c\\]\\-x] [^a-z\\n] . [^\\x00-\\x7F] [α-ω] [^€] [-_] [\\U00010000-\\U0001F5FF]");
    YES(g, "]1\nßλx-\xF0\x90\x80\x80");
    YES(g, "-A😀€ωä_\xF0\x9F\x97\xBF");
    NO(g, "d");
    NO(g, "aa");
    NO(g, "a\n");
    NO(g, "a1xx");
    NO(g, "a1xßA");
    NO(g, "a1xßω€");
    NO(g, "a1xßωx-\xF0\x9F\x98\x80");
    NO(g, "a1\xED\xA0");        /* surrogates are no characters */
    NO(g, "a1\xC0");
    NO(g, "a1\xF4\x90");
    grammar_release(g);
}

/* Every code point at the borders of UTF-8's lengths, in and just out of a class. */
TEST(classes_compile_to_exact_bytes)
{
    static const uint32_t border[] = { 0x41, 0x7F, 0x80, 0xFF, 0x7FF, 0x800, 0xFFF, 0x1000, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x3FFFF, 0x40000, 0x10FFFF, 0x12345, 0xABCD, 0x555 };
    enum { N = sizeof border / sizeof *border };
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++) {
            uint32_t lo = border[i], hi = border[k];
            char text[100], c[5] = { 0 };
            if (lo > hi) continue;
            snprintf(text, sizeof text, "root ::= [\\U%08X-\\U%08X]", (unsigned)lo, (unsigned)hi);
            struct grammar *g = gbnf(text);
            for (int at = 0; at < N; at++)
                for (int d = -1; d <= 1; d++) {
                    uint32_t x = border[at] + (uint32_t)d;
                    if (x > 0x10FFFF || (x >= 0xD800 && x <= 0xDFFF)) continue;
                    memset(c, 0, sizeof c);
                    utf8_put(c, x);
                    if (x >= lo && x <= hi) YES(g, c);
                    else check_answer(__FILE__, __LINE__, g, c, REFUSED);
                }
            grammar_release(g);
        }
}

TEST(gbnf_lines_and_groups)
{
    struct grammar *g = gbnf("root ::=\n  (\n \"a\" # one\n | \"b\"\n )\n  | word-2\n\r\nword-2 ::= [0-9]{2}\n  | \"z\" |\n \"y\"");
    YES(g, "a");
    YES(g, "b");
    YES(g, "42");
    YES(g, "y");
    YES(g, "z");
    NO(g, "c");
    grammar_release(g);
}

TEST(gbnf_recursion)
{
    struct grammar *g = gbnf("root ::= sum\nsum ::= term (\"+\" term)*\nterm ::= [0-9]+ | \"(\" sum \")\"");
    YES(g, "1+(2+(33+4))+5");
    NOT_YET(g, "((((1");
    NO(g, "(1))");
    NO(g, "1+)");
    grammar_release(g);
    /* Recursion at the end is a loop: the stack does not grow. */
    g = gbnf("root ::= \"x\" root | \"\"");
    char many[5001];
    memset(many, 'x', 5000);
    many[5000] = 0;
    YES(g, many);
    grammar_release(g);
}

TEST(gbnf_ambiguity_and_empty_rules)
{
    struct grammar *g = gbnf("root ::= a b c* end\na ::= \"x\"?\nb ::= (\"x\" | \"xy\")? nothing nothing\nc ::= b | a\nnothing ::= \"\"\nend ::= \".\"");
    YES(g, ".");
    YES(g, "x.");
    YES(g, "xxyxxxy.");
    NO(g, "yx.");
    grammar_release(g);
    /* Twice as many ways with every letter: what is kept is limited, and the text goes on. */
    g = gbnf("root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"a\" root \"d\" | \"x\"");
    char deep[64] = { 0 };
    memset(deep, 'a', 30);
    NOT_YET(g, deep);
    grammar_release(g);
}

TEST(gbnf_refuses_with_a_sentence)
{
    static const struct { const char *text; sc_status status; const char *part; } bad[] = {
        { "", SC_E_FORMAT, "no rule \"root\"" },
        { "start ::= \"a\"", SC_E_FORMAT, "no rule \"root\"" },
        { "root ::= \"a\"\nroot ::= \"b\"", SC_E_FORMAT, "line 2: rule \"root\" is defined twice" },
        { "root ::= a\nb ::= c", SC_E_FORMAT, "line 1: rule \"a\" is used but defined nowhere" },
        { "root := \"a\"", SC_E_FORMAT, "expected ::=" },
        { "root ::= \"a", SC_E_FORMAT, "no closing \"" },
        { "root ::= [a", SC_E_FORMAT, "no closing ]" },
        { "root ::= []", SC_E_FORMAT, "empty class" },
        { "root ::= [z-a]", SC_E_FORMAT, "backwards" },
        { "root ::= (\"a\"", SC_E_FORMAT, "no closing )" },
        { "root ::= \"a\" )", SC_E_FORMAT, "found \")\"" },
        { "root ::= \"\\q\"", SC_E_FORMAT, "unknown escape \\q" },
        { "root ::= \"\\ud800\"", SC_E_FORMAT, "no character" },
        { "root ::= \"\\x4\"", SC_E_FORMAT, "2 hexadecimal digits" },
        { "root ::= \"a\"{2,1}", SC_E_FORMAT, "must not be smaller" },
        { "root ::= \"a\"{1000000}", SC_E_FORMAT, "more than 65536 times" },
        { "root ::= \"a\"{x}", SC_E_FORMAT, "expected a number" },
        { "root ::= <[7]>", SC_E_FORMAT, "not supported" },
        { "root ::= * \"a\"", SC_E_FORMAT, "found \"*" },
        { "root ::= root \"a\" | \"b\"", SC_E_UNSUPPORTED, "\"root\" leads to itself" },
        { "root ::= \"q\" a\na ::= b? c\nb ::= \"x\"\nc ::= a \"y\" | \"z\"", SC_E_UNSUPPORTED, "left recursion" },
        { "root ::= (root)* \"a\"", SC_E_UNSUPPORTED, "left recursion" },
        { "root ::= root", SC_E_UNSUPPORTED, "can never be finished" },
        { "root ::= \"a\" | \"b\" more\nmore ::= \"c\" more", SC_E_UNSUPPORTED, "\"more\" can never be finished" },
        { "root ::= \"\xFF\"", SC_E_FORMAT, "UTF-8" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct grammar *g = NULL;
        CHECK_FAILS(gbnf_try(&g, bad[i].text, err), bad[i].status, bad[i].part);
        CHECK(g == NULL);
    }
}

/* ---- regular expressions ---------------------------------------------------------------------------------------------------- */

TEST(regex_features)
{
    struct grammar *g = regex("^(?:[+-]?\\d{1,3}|x{2,}?|\\w+@\\w+\\.(?<top>de|com)|\\u00e4\\x41[^\\W_]\\s\\S)$");
    YES(g, "-12");
    YES(g, "xxxx");
    YES(g, "me_1@host.de");
    YES(g, "äAz\t.");
    NO(g, "+x");
    NO(g, "äA_");
    NOT_YET(g, "1234");
    NO(g, "12.");
    grammar_release(g);
    g = regex("a.c|[]x-]|\\.\\[\\]{}|é+");
    YES(g, "aéc");
    YES(g, "]");
    YES(g, "-");
    YES(g, ".[]{}");
    YES(g, "éé");
    NO(g, "a\nc");
    NO(g, "abcd");
    grammar_release(g);
    g = regex("");
    YES(g, "");
    NO(g, "a");
    grammar_release(g);
}

TEST(regex_refuses_with_a_sentence)
{
    static const struct { const char *text, *part; } bad[] = {
        { "(a", "without a closing )" }, { "a)", "without its (" }, { "[a", "without a closing ]" }, { "[b-a]", "backwards" }, { "*a", "nothing stands before" },
        { "a{3,2}", "smaller" }, { "a{70000}", "more than 65536" }, { "(?=a)b", "look around" }, { "(?i)a", "flags" }, { "(a)\\1", "backreferences" }, { "\\bword", "word borders" },
        { "\\p{L}", "Unicode properties" }, { "(^a)", "anchors" }, { "a$b", "anchors" }, { "a++", "two repetition marks" }, { "\\", "escape" }, { "[[:alpha:]]", "named classes" }, { "(((((a{999}){999}){999}){999}){999})", "" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad - 1; i++) {
        struct grammar *g = NULL;
        CHECK_FAILS(regex_try(&g, bad[i].text, err), SC_E_UNSUPPORTED, bad[i].part);
    }
}

/* ---- matchers -------------------------------------------------------------------------------------------------------------------- */

static const char json_like[] = "root ::= value\nvalue ::= object | array | string | number | \"true\" | \"null\"\n"
    "object ::= \"{\" ws (pair (\",\" ws pair)*)? \"}\" ws\npair ::= string \":\" ws value\narray ::= \"[\" ws (value (\",\" ws value)*)? \"]\" ws\n"
    "string ::= \"\\\"\" ([^\"\\\\\\x7F\\x00-\\x1F] | \"\\\\\" ([\"\\\\bfnrt] | \"u\" [0-9a-fA-F]{4}))* \"\\\"\" ws\nnumber ::= \"-\"? [0-9]+ (\".\" [0-9]+)? ws\nws ::= | \" \" | \"\\n\" [ \\t]{0,20}";

static void check_walks(const struct tokenizer *t, uint64_t n, size_t every)
{
    static const char *const grammars[] = { json_like, "root ::= [^\\n]{5,30} \".\"", "root ::= \"\\\"\" [^\\n\\\"]{10,200} \"\\\"!\" [a-z]*", "root ::= (\"for\" | \"form\" | \"format\" [a-z]* | . .){1,9}", "root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"x\" | [α-ω]+ | [\\U00010000-\\U0010FFFF]" };
    struct token_tree *tree = token_tree_make(t);
    for (size_t i = 0; i < sizeof grammars / sizeof *grammars; i++) {
        struct grammar *g = gbnf(grammars[i]);
        for (uint64_t seed = 1; seed <= n; seed++) {
            struct buf text;
            buf_init(&text, 0);
            bool has_ended = draw_text(g, t, tree, seed, every, &text);
            if (has_ended) CHECK_INT(answer_of(g, t, tree, text.data ? text.data : "", text.len), utf8_is_valid(text.data ? text.data : "", text.len) ? WHOLE : REFUSED);
            buf_release(&text);
        }
        grammar_release(g);
    }
    token_tree_free(tree);
}

TEST(masks_are_the_sum_of_single_answers)
{
    check_walks(fixture_bytes(), 20, 1);
    if (fixture_real()) check_walks(fixture_real(), 6, 5);
}

TEST(special_tokens_never_come)
{
    struct tokenizer *t = fixture_real();
    if (!t) return;
    struct token_tree *tree = token_tree_make(t);
    struct grammar *g = gbnf("root ::= .*");
    struct matcher *m = matcher_open(g, tree);
    size_t words;
    const uint64_t *mask = matcher_mask(m, &words);
    for (size_t id = 0; id < tokenizer_vocab(t); id++)
        if (tokenizer_is_special(t, (int32_t)id)) CHECK(!(mask[id / 64] >> id % 64 & 1) && !matcher_accept(m, (int32_t)id));
    CHECK(!matcher_accept(m, -1) && !matcher_accept(m, INT32_MAX));
    CHECK(matcher_may_end(m) && !matcher_must_end(m));
    matcher_close(m);
    grammar_release(g);
    token_tree_free(tree);
}

TEST(forced_bytes_and_copies)
{
    struct tokenizer *t = fixture_bytes();
    struct token_tree *tree = token_tree_make(t);
    struct grammar *g = schema("{\"type\":\"object\",\"properties\":{\"name\":{\"enum\":[\"anna\",\"anton\"]}},\"required\":[\"name\"],\"additionalProperties\":false}");
    struct matcher *m = matcher_open(g, tree);
    char out[64];
    CHECK_INT(matcher_forced(m, out, sizeof out), 1);        /* then white space may come */
    CHECK(take(m, t, "{\"name\":", sizeof "{\"name\":" - 1));
    struct matcher *other = matcher_copy(m);
    CHECK_INT(matcher_forced(m, out, sizeof out), 0);
    CHECK(matcher_accept(m, byte_id(t, '"')));
    CHECK_INT(matcher_forced(m, out, sizeof out), 2);
    CHECK(memcmp(out, "an", 2) == 0);
    CHECK_INT(matcher_forced(m, out, 1), 1);
    CHECK(take(m, t, "ant", sizeof "ant" - 1));
    CHECK_INT(matcher_forced(m, out, sizeof out), 3);
    CHECK(memcmp(out, "on\"", 3) == 0);
    CHECK(!matcher_allows(other, byte_id(t, 'a')));
    CHECK(matcher_allows(other, byte_id(t, ' ')));
    matcher_close(m);
    check_mask(other, t);
    CHECK(take(other, t, "\"anna\"}", sizeof "\"anna\"}" - 1));
    CHECK(matcher_must_end(other));
    CHECK_INT(matcher_forced(other, out, sizeof out), 0);
    matcher_close(other);
    grammar_release(g);
    token_tree_free(tree);
}

struct crew { struct grammar *g; struct tokenizer *t; struct token_tree *tree; uint64_t seed; };

static void *walk_alone(void *arg)
{
    struct crew *c = arg;
    for (uint64_t i = 0; i < 20; i++) {
        struct buf text;
        buf_init(&text, 0);
        draw_text(c->g, c->t, c->tree, c->seed * 100 + i, 7, &text);
        buf_release(&text);
    }
    grammar_release(c->g);
    return NULL;
}

TEST(threads_share_a_grammar)
{
    struct tokenizer *t = fixture_bytes();
    struct token_tree *tree = token_tree_make(t);
    struct grammar *g = gbnf(json_like);
    pthread_t thread[4];
    struct crew crew[4];
    for (uint64_t i = 0; i < 4; i++) {
        crew[i] = (struct crew) { grammar_share(g), t, tree, i };
        CHECK(pthread_create(&thread[i], NULL, walk_alone, &crew[i]) == 0);
    }
    grammar_release(g);
    for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
    token_tree_free(tree);
}

/* More than can be remembered: the memo begins anew, and matchers stay where they are. */
TEST(memory_is_bounded)
{
    struct tokenizer *t = fixture_real();
    if (!t) return;
    struct token_tree *tree = token_tree_make(t);
    struct grammar *g = schema("{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":16000}}");
    struct matcher *m = matcher_open(g, tree), *parked = matcher_open(g, tree);
    CHECK(take(parked, t, "[\"a\", \"bc", 9) && take(m, t, "[\"", 2));
    int32_t a = byte_id(t, 'a');
    size_t words;
    for (int i = 0; i < 12000; i++) {
        const uint64_t *mask = matcher_mask(m, &words);
        CHECK(mask[a / 64] >> a % 64 & 1);
        CHECK(matcher_accept(m, a));
    }
    check_mask(parked, t);
    check_mask(m, t);
    CHECK(take(parked, t, "\"]", 2) && matcher_must_end(parked));
    CHECK(take(m, t, "\", \"", 4));
    matcher_close(m);
    matcher_close(parked);
    grammar_release(g);
    token_tree_free(tree);
    if (system_peak_memory() > (uint64_t)400 << 20) test_failed(__FILE__, __LINE__, "%llu MiB", (unsigned long long)(system_peak_memory() >> 20));
}

/* ---- limits ------------------------------------------------------------------------------------------------------------------------ */

static void check_bomb(const char *text, size_t len, const char *part)
{
    struct grammar *g = NULL;
    sc_error e = { 0 };
    double begin = fixture_seconds();
    sc_status status = grammar_from_gbnf(&g, text, len, &e);
    if (status == SC_OK) test_failed(__FILE__, __LINE__, "a bomb that begins with %.40s was taken", text);
    if (!strstr(e.message, part)) test_failed(__FILE__, __LINE__, "%s", e.message);
    CHECK(fixture_seconds() - begin < 5);
}

TEST(bombs_are_refused)
{
    static char text[300000];
    const char *nested = "root ::= ((((((\"a\"{60000} \"b\"){60000}){60000}){60000}){60000}){60000}){60000}";
    check_bomb(nested, strlen(nested), "too large");
    snprintf(text, sizeof text, "root ::= ");
    memset(text + 9, '(', 1000);
    check_bomb(text, 1009, "nested more than 64");
    memset(text, ' ', sizeof text);
    check_bomb(text, sizeof text, "more than 262144");
    CHECK(system_peak_memory() < (uint64_t)400 << 20);
}

/* Grammars that are small on paper and huge in the places a text can be at: they work, within limits. */
TEST(wide_grammars_stay_quick)
{
    struct tokenizer *t = fixture_bytes();
    struct token_tree *tree = token_tree_make(t);
    static const char *const wide[] = { "root ::= ((\"a\"?){60000} \"b\"?){2000}", "root ::= ((\"\" | \"a\"){300}){300}", "root ::= (([a-z]{0,60000} \"x\"?)* \"y\")*",
        "root ::= a a a a a a a a a\na ::= b b b b b b b b b\nb ::= c c c c c c c c c\nc ::= d d d d d d d d d\nd ::= \"x\"? \"y\"? \"z\"?" };
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        struct grammar *g = NULL;
        sc_error e = { 0 };
        double begin = fixture_seconds();
        if (gbnf_try(&g, wide[i], &e) != SC_OK) { CHECK(strstr(e.message, "too large")); continue; }
        struct matcher *m = matcher_open(g, tree);
        for (int k = 0; k < 3; k++) {
            size_t words;
            matcher_mask(m, &words);
            int32_t id = draw(m, t, 5, (uint64_t)k, false);
            CHECK(id >= 0 && matcher_accept(m, id));
        }
        if (fixture_seconds() - begin > 10) test_failed(__FILE__, __LINE__, "grammar %zu took %.1f s", i, fixture_seconds() - begin);
        matcher_close(m);
        grammar_release(g);
    }
    token_tree_free(tree);
    CHECK(system_peak_memory() < (uint64_t)800 << 20);
}
