/* test_rank.c - human evaluation: plans, seals, what raters send, who may ask. */
#include "rank/rank.h"
#include "serve/http_parse.h"
#include "test.h"

/* ---- plans -------------------------------------------------------------------------------------------------------------------------------- */

TEST(shares_are_even)
{
    static const struct { size_t items, raters, overlap, each; } rows[] = { { 20, 4, 2, 2 }, { 7, 3, 0, 3 }, { 7, 3, 5, 3 }, { 31, 5, 3, 3 }, { 1, 1, 1, 1 }, { 9, 4, 1, 1 } };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            bool given[200];
            size_t least = 1000, most = 0;
            plan_share(given, rows[k].items, rows[k].raters, rows[k].overlap, seed);
            for (size_t i = 0; i < rows[k].items; i++) {
                size_t n = 0;
                for (size_t r = 0; r < rows[k].raters; r++) n += given[i * rows[k].raters + r];
                CHECK_INT(n, rows[k].each);
            }
            for (size_t r = 0; r < rows[k].raters; r++) {
                size_t n = 0;
                for (size_t i = 0; i < rows[k].items; i++) n += given[i * rows[k].raters + r];
                least = n < least ? n : least;
                most = n > most ? n : most;
            }
            CHECK(most - least <= 1);
        }
}

TEST(lines_hold_all_once_and_repeats_later)
{
    size_t items[30], gold[4];
    for (size_t i = 0; i < 30; i++) items[i] = 100 + i;
    for (size_t i = 0; i < 4; i++) gold[i] = 200 + i;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct plan_entry line[40];
        size_t n = 1 + seed % 30, repeats = plan_repeats(n, 0.2), seen[300] = { 0 }, first[300], len = plan_line(line, items, n, gold, 4, repeats, seed, 3);
        CHECK_INT(len, n + 4 + repeats);
        for (size_t i = 0; i < len; i++) {
            if (line[i].is_repeat) {
                CHECK_INT(seen[line[i].item], 1);
                CHECK(line[i].item < 200);
                CHECK(i > first[line[i].item]);
                if (n >= 20) CHECK(i - first[line[i].item] > PLAN_GAP);
            } else {
                CHECK_INT(seen[line[i].item], 0);
                first[line[i].item] = i;
            }
            seen[line[i].item]++;
        }
        for (size_t i = 0; i < n; i++) CHECK(seen[items[i]] >= 1);
        for (size_t i = 0; i < 4; i++) CHECK_INT(seen[gold[i]], 1);
    }
}

TEST(orders_are_permutations_and_even)
{
    size_t at_first[4] = { 0 }, same = 0;
    for (uint64_t s = 0; s < 4000; s++) {
        size_t order[4], again[4], sum = 0;
        plan_order(order, 4, NULL, 7, s);
        plan_order(again, 4, order, 8, s);
        for (size_t i = 0; i < 4; i++) sum |= (size_t)1 << order[i];
        CHECK_INT(sum, 15);
        at_first[order[0]]++;
        same += memcmp(order, again, sizeof order) == 0;
    }
    CHECK_INT(same, 0);
    for (size_t i = 0; i < 4; i++) CHECK(at_first[i] > 850 && at_first[i] < 1150);      /* 1000 +- 5.5 sd */
}

TEST(choice_is_even)
{
    size_t models[7] = { 0, 1, 2, 3, 4, 5, 6 }, used[7] = { 0 }, out[4];
    for (uint64_t i = 0; i < 70; i++) {
        unsigned seen = 0;
        plan_choose(out, 4, models, 7, used, 5, i);
        for (size_t k = 0; k < 4; k++) seen |= 1u << out[k];
        CHECK_INT(__builtin_popcount(seen), 4);
    }
    for (size_t i = 0; i < 7; i++) CHECK_INT(used[i], 40);
}

/* ---- seals ------------------------------------------------------------------------------------------------------------------------------------ */

TEST(seal_opens_with_its_key_alone)
{
    uint8_t key[RANK_KEY_BYTES], read[RANK_KEY_BYTES];
    char text[RANK_KEY_TEXT], padded[RANK_KEY_TEXT + 4];
    struct buf sealed, out;
    key_new(key, text);
    snprintf(padded, sizeof padded, " %s\n", text);
    CHECK_OK(key_read(read, padded, err));
    CHECK(memcmp(key, read, sizeof key) == 0);
    CHECK_FAILS(key_read(read, "owner-12", err), SC_E_ARGUMENT, "64 hexadecimal digits");
    text[10] = 'x';
    CHECK_FAILS(key_read(read, text, err), SC_E_ARGUMENT, "hexadecimal");
    buf_init(&sealed, 0);
    buf_init(&out, 0);
    seal_make(&sealed, key, "study", "who is who", 10);
    CHECK_INT(sealed.len, 12 + 10 + 16);
    CHECK(!memmem(sealed.data, sealed.len, "who", 3));
    CHECK_OK(seal_open(&out, key, "study", sealed.data, sealed.len, err));
    CHECK_STR(out.data, "who is who");
    CHECK_FAILS(seal_open(&out, key, "other", sealed.data, sealed.len, err), SC_E_ARGUMENT, "does not open");
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.data[i] ^= 1;
        CHECK_FAILS(seal_open(&out, key, "study", sealed.data, sealed.len, err), SC_E_ARGUMENT, "does not open");
        sealed.data[i] ^= 1;
    }
    key[0] ^= 1;
    CHECK_FAILS(seal_open(&out, key, "study", sealed.data, sealed.len, err), SC_E_ARGUMENT, "does not open");
    CHECK_FAILS(seal_open(&out, key, "study", sealed.data, 20, err), SC_E_FORMAT, "20 bytes");
    buf_release(&sealed);
    buf_release(&out);
}

TEST(tokens_are_all_different)
{
    char a[RANK_TOKEN_TEXT], b[RANK_TOKEN_TEXT];
    uint8_t x[32], y[32], again[32];
    token_new(a, x);
    token_new(b, y);
    CHECK(strcmp(a, b) != 0 && memcmp(x, y, 32) != 0);
    CHECK_INT(strlen(a), 6 + 48);                             /* 192 bits */
    token_digest(again, a, strlen(a));
    CHECK(memcmp(x, again, 32) == 0);
}

/* ---- what comes from outside ------------------------------------------------------------------------------------------------------------------- */

TEST(gold_files)
{
    static const char good[] = "{\"prompt\":\"p\",\"best\":\"b\",\"worst\":\"w\"}\n\n{\"id\":\"x\",\"prompt\":\"q\",\"best\":\"1\",\"worst\":\"2\",\"others\":[\"3\",\"4\"]}";
    static const char turns[] = "{\"prompt\":[\"p\",\"q\"],\"best\":[\"a\",\"b\"],\"worst\":[\"c\",\"d\"]}";
    static const struct { const char *text, *part; } bad[] = {
        { "", "no items" }, { "{\"prompt\":\"p\",\"best\":\"b\"}", "line 1: \"worst\" is missing" }, { "[]", "no JSON object" }, { "{", "not valid JSON" },
        { "\n{\"prompt\":\"p\",\"best\":\"b\",\"worst\":\"b\"}", "line 2: \"best\" and \"worst\" are the same" }, { "{\"prompt\":\"p\",\"best\":1,\"worst\":\"b\"}", "\"best\"" },
        { "{\"prompt\":\"p\",\"best\":\"a\",\"worst\":\"b\",\"others\":[1]}", "\"others\"" }, { "{\"prompt\":\"p\",\"best\":\"a\",\"worst\":\"b\",\"others\":[\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"]}", "at most 7" },
        { "{\"prompt\":\"p\",\"best\":[\"a\",\"b\"],\"worst\":\"b\"}", "\"best\" has 2 turns, expected 1" }, { "{\"prompt\":[],\"best\":\"a\",\"worst\":\"b\"}", "\"prompt\" has 0 turns" },
        { "{\"prompt\":[\"p\",\"q\"],\"best\":[\"a\",\"\"],\"worst\":[\"b\",\"c\"]}", "turn 2 of \"best\"" }, { "{\"id\":\"\",\"prompt\":\"p\",\"best\":\"a\",\"worst\":\"b\"}", "\"id\"" },
    };
    struct gold_list g;
    CHECK_OK(gold_read(&g, good, strlen(good), "g", err));
    CHECK_INT(g.n, 2);
    CHECK_STR(g.at[0].id, "gold-1");
    CHECK_STR(g.at[1].id, "x");
    CHECK_INT(g.at[1].n, 4);
    CHECK_STR(json_string_value(json_array_get(g.at[1].answer[3], 0)), "4");
    CHECK_INT(g.at[1].line, 3);
    gold_release(&g);
    CHECK_OK(gold_read(&g, turns, strlen(turns), "g", err));
    CHECK_INT(json_array_size(g.at[0].prompt), 2);
    CHECK_STR(json_string_value(json_array_get(g.at[0].answer[1], 1)), "d");
    gold_release(&g);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK_FAILS(gold_read(&g, bad[i].text, strlen(bad[i].text), "g", err), SC_E_FORMAT, bad[i].part);
}

/* Gold items show as many answers as ordinary ones do, in the same shares. */
TEST(gold_items_have_the_sizes_of_others)
{
    static const char text[] = "{\"prompt\":\"p\",\"best\":\"b\",\"worst\":\"w\"}\n{\"prompt\":\"p\",\"best\":\"b\",\"worst\":\"w\",\"others\":[\"1\",\"2\"]}\n"
                               "{\"prompt\":\"p\",\"best\":\"b\",\"worst\":\"w\",\"others\":[\"1\"]}\n{\"prompt\":\"p\",\"best\":\"b\",\"worst\":\"w\",\"others\":[\"1\",\"2\",\"3\"]}";
    static const struct { size_t ordinary[RANK_SHOWN_MAX + 1], sizes[4]; const char *part; } rows[] = {
        { { [2] = 5 }, { 2, 2, 2, 2 }, NULL }, { { [2] = 30, [3] = 30 }, { 2, 3, 2, 3 }, NULL }, { { [2] = 10, [3] = 10, [4] = 10, [5] = 10 }, { 2, 4, 3, 5 }, NULL },
        { { [2] = 99, [4] = 1 }, { 2, 2, 2, 2 }, NULL }, { { [2] = 6, [4] = 3 }, { 2, 2, 2, 4 }, NULL }, { { [3] = 40 }, { 0 }, "g, line 1: the gold item has 2 answers and has to show 3" },
        { { [2] = 1, [4] = 30 }, { 0 }, "has to show 4" },
    };
    struct gold_list g;
    CHECK_OK(gold_read(&g, text, strlen(text), "g", err));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t sizes[4] = { 0 };
        if (rows[i].part) { CHECK_FAILS(gold_sizes(sizes, &g, rows[i].ordinary, "g", err), SC_E_ARGUMENT, rows[i].part); continue; }
        CHECK_OK(gold_sizes(sizes, &g, rows[i].ordinary, "g", err));
        for (size_t k = 0; k < 4; k++) CHECK_INT(sizes[k], rows[i].sizes[k]);
    }
    gold_release(&g);
}

static sc_status rating_of(struct rating *out, const char *text, size_t n, const struct flag_list *flags, sc_error *err)
{
    json_t *body = json_loads(text, 0, NULL);
    sc_status status = rating_read(out, body, n, flags, err);
    json_decref(body);
    return status;
}

TEST(ratings)
{
    static const char good[] = "{\"id\":\"abcdef12\",\"made\":5,\"active\":1500,\"answers\":[{\"rank\":1,\"score\":7,\"flags\":[]},{\"rank\":1,\"score\":2,\"flags\":[\"bad\",\"odd\"],\"note\":\"hm\"}],\"reason\":\"so\"}";
    static const struct { const char *text, *part; } bad[] = {
        { "[]", "no JSON object" }, { "{}", "no list of 2" }, { "{\"answers\":[{},{}]}", "\"id\"" }, { "{\"id\":\"a b c d e\",\"answers\":[{},{}]}", "\"id\"" },
        { "{\"id\":\"abcdef12\",\"answers\":[{\"rank\":3},{}]}", "rank" }, { "{\"id\":\"abcdef12\",\"answers\":[{\"rank\":0},{}]}", "rank" }, { "{\"id\":\"abcdef12\",\"answers\":[{\"score\":8},{}]}", "score" },
        { "{\"id\":\"abcdef12\",\"answers\":[{\"score\":1.5},{}]}", "score" }, { "{\"id\":\"abcdef12\",\"answers\":[{\"flags\":[\"new\"]},{}]}", "no flag of this study" }, { "{\"id\":\"abcdef12\",\"answers\":[{},{}],\"reason\":5}", "\"reason\"" },
        { "{\"id\":\"abcdef12\",\"answers\":[{},{},{}]}", "no list of 2" }, { "{\"id\":\"abcdef12\",\"answers\":[{},{}],\"active\":-1}", "active" },
    };
    struct flag_list flags;
    struct rating r, again;
    CHECK_OK(flags_read(&flags, " bad, odd ,,", err));
    CHECK_INT(flags.n, 2);
    CHECK_OK(rating_of(&r, good, 2, &flags, err));
    CHECK(rating_is_done(&r));
    CHECK_INT(r.answer[1].flags, 3);
    CHECK_STR(r.answer[1].note, "hm");
    json_t *kept = rating_json(&r, &flags);
    json_object_set_new(kept, "id", json_string("abcdef12"));
    CHECK_OK(rating_read(&again, kept, 2, &flags, err));
    CHECK_STR(again.reason, "so");
    CHECK_INT(again.active, 1500);
    json_decref(kept);
    rating_release(&again);
    rating_release(&r);
    CHECK_OK(rating_of(&r, "{\"id\":\"abcdef12\",\"answers\":[{\"rank\":2},{\"score\":null}]}", 2, &flags, err));
    CHECK(!rating_is_done(&r));
    rating_release(&r);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sc_error e = { 0 };
        if (rating_of(&r, bad[i].text, 2, &flags, &e) == SC_OK || !strstr(e.message, bad[i].part)) test_failed(__FILE__, __LINE__, "%s: \"%s\", expected \"%s\"", bad[i].text, e.message, bad[i].part);
    }
    CHECK_FAILS(flags_read(&flags, "a,b,a", err), SC_E_ARGUMENT, "twice");
    CHECK_FAILS(flags_read(&flags, "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", err), SC_E_ARGUMENT, "more than 16");
}

static const char *asked(const char *head, const char *hosts)
{
    struct http_head h;
    size_t used;
    const char *why = "";
    CHECK_INT(http_parse_head(&h, head, strlen(head), &used, &why), 200);
    return gate_refuses(&h, "127.0.0.1", hosts, "https://rank.example.org/study/");
}

TEST(gate)
{
    static struct gate g;
    char address[64];
    CHECK(!asked("GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n", ""));
    CHECK(!asked("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", ""));
    CHECK(!asked("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", ""));
    CHECK(!asked("GET / HTTP/1.1\r\nHost: rank.example:8\r\n\r\n", "a, rank.example"));
    CHECK(asked("GET / HTTP/1.1\r\nHost: rank.example\r\n\r\n", "a,rank.example.org"));
    CHECK(!asked("PUT / HTTP/1.1\r\nHost: localhost:5\r\nOrigin: http://localhost:5\r\n\r\n", ""));
    CHECK(asked("PUT / HTTP/1.1\r\nHost: localhost:5\r\nOrigin: http://localhost:6\r\n\r\n", ""));
    CHECK(asked("PUT / HTTP/1.1\r\nHost: localhost:5\r\nOrigin: null\r\n\r\n", ""));
    CHECK(!asked("PUT / HTTP/1.1\r\nHost: 127.0.0.1:5\r\nOrigin: https://rank.example.org\r\n\r\n", ""));          /* a proxy that sends its own Host */
    CHECK(asked("PUT / HTTP/1.1\r\nHost: 127.0.0.1:5\r\nOrigin: https://rank.example.org.evil\r\n\r\n", ""));
    CHECK(asked("PUT / HTTP/1.1\r\nHost: localhost:5\r\nSec-Fetch-Site: same-site\r\n\r\n", ""));
    for (int i = 0; i < GATE_WRONG; i++, gate_wrong(&g, "1.2.3.4", 10)) CHECK(!gate_is_blocked(&g, "1.2.3.4", 10));
    CHECK(gate_is_blocked(&g, "1.2.3.4", 69));
    CHECK(!gate_is_blocked(&g, "1.2.3.4", 71));
    CHECK(!gate_is_blocked(&g, "1.2.3.5", 11));
    for (int i = 0; i < 2 * GATE_ADDRESSES; i++) {             /* many addresses take no memory */
        snprintf(address, sizeof address, "2.2.%d.%d", i / 256, i % 256);
        gate_wrong(&g, address, 20);
    }
    CHECK_INT(g.n, GATE_ADDRESSES);
}
