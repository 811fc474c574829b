/* test_rank.c - human evaluation: plans, seals, what raters send, who may ask, and studies from files to reports. */
#include "rank/rank.h"
#include "serve/http_parse.h"
#include "test.h"

#include <sys/stat.h>

static void near(int line, double found, double expected, double within)
{
    if (!(fabs(found - expected) <= within)) test_failed(__FILE__, line, "%.12g, expected %.12g", found, expected);
}
#define NEAR(...) near(__LINE__, __VA_ARGS__)

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
    uint8_t digest[32] = { 1 };
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
    CHECK(!gate_knows(&g, digest));
    gate_right(&g, digest);
    CHECK(gate_knows(&g, digest));
}

/* ---- studies ------------------------------------------------------------------------------------------------------------------------------------- */

enum { PROMPTS = 40, MODELS = 3, GOLD = 4 };
static const char *const names[MODELS] = { "alpha-model", "beta-model", "gamma-model" };
static const double truth[MODELS] = { 1.0, 0.0, -1.0 };

static char *scratch(const char *name) { return path_join(test_scratch(), name); }

static void write_files(void)
{
    struct buf b;
    sc_error problem = { 0 };
    char *path;
    buf_init(&b, 0);
    for (int i = 0; i < PROMPTS; i++) buf_printf(&b, "{\"id\":\"p%d\",\"slice\":\"%s\",\"prompt\":\"Question %d\"}\n", i, i % 2 ? "odd" : "even", i);
    CHECK_INT(file_write(path = scratch("prompts.jsonl"), b.data, b.len, &problem), SC_OK);
    mem_free(path);
    for (int m = 0; m < MODELS; m++) {
        buf_clear(&b);
        for (int i = 0; i < PROMPTS; i++) buf_printf(&b, "{\"id\":\"p%d\",\"model\":\"%s\",\"turns\":[\"text %d of %c\"]}\n", i, names[m], i, 'x' + m);
        CHECK_INT(file_write(path = scratch(names[m]), b.data, b.len, &problem), SC_OK);
        mem_free(path);
    }
    buf_clear(&b);
    for (int i = 0; i < GOLD; i++) buf_printf(&b, "{\"prompt\":\"Gold %d\",\"best\":\"good %d\",\"worst\":\"poor %d\",\"others\":[\"fair %d\",\"unused %d\"]}\n", i, i, i, i, i);
    CHECK_INT(file_write(path = scratch("gold.jsonl"), b.data, b.len, &problem), SC_OK);
    mem_free(path);
    buf_release(&b);
}

/* A study of all files; key: the owner's. The path is the caller's. */
static char *make_study(char key[RANK_KEY_TEXT], int raters, int overlap)
{
    sc_rank_config c;
    sc_text text = { 0 };
    char *a = scratch(names[0]), *b = scratch(names[1]), *d = scratch(names[2]), *prompts = scratch("prompts.jsonl"), *gold = scratch("gold.jsonl"), *out = scratch("study.sqlite");
    struct buf answers;
    buf_init(&answers, 0);
    buf_printf(&answers, "%s,%s,%s", a, b, d);
    write_files();
    sc_options_defaults(sc_options_for("rank"), &c);
    c.prompts = prompts;
    c.answers = answers.data;
    c.gold = gold;
    c.out = out;
    c.raters = raters;
    c.overlap = overlap;
    c.duplicates = 0.2;
    c.repeats_min = 0.2;                                       /* people of this model order a pair alike in about 60 % */
    CHECK_OK(sc_rank_make(&text, &c, err));
    json_t *all = json_loads(text.data ? text.data : "{}", 0, NULL);
    const char *got = json_string_value(json_object_get(all, "key"));
    snprintf(key, RANK_KEY_TEXT, "%s", got ? got : "");
    CHECK_INT(json_array_size(json_object_get(all, "raters")), raters);
    sc_text again = { 0 };
    CHECK_FAILS(sc_rank_make(&again, &c, err), SC_E_ARGUMENT, "already there");
    json_decref(all);
    sc_text_free(&text);
    buf_release(&answers);
    mem_free(a);
    mem_free(b);
    mem_free(d);
    mem_free(prompts);
    mem_free(gold);
    return out;
}

/* How good the texts are that this test wrote: a rater who can read. */
static double worth(const char *turns)
{
    for (int m = 0; m < MODELS; m++) {
        char end[16];
        snprintf(end, sizeof end, "of %c\"]", 'x' + m);
        if (strstr(turns, end)) return truth[m];
    }
    return strstr(turns, "good") ? 3 : strstr(turns, "fair") ? 0 : -3;
}

/* Which of them it is, whatever place it was shown in: the key, and so the places, are new in each run, the noise must not be. */
static uint64_t kind_of(const char *turns) { return strstr(turns, "good") ? 3 : strstr(turns, "poor") ? 4 : strstr(turns, "fair") ? 5 : (uint64_t)(1 - worth(turns)); }

static double gumbel(uint64_t seed, uint64_t stream, uint64_t i) { return -log(-log(random_unit(seed, stream, i) + 1e-18)); }

/* Rates everything as people of Plackett and Luce's model do; rater `random` gives ranks by chance. */
static void rate_all(const char *path, int random)
{
    struct study *s;
    sqlite3_stmt *q;
    sc_error problem = { 0 };
    bool row = true;
    struct { int64_t n, rater; char *shown; } at[1000];
    size_t n = 0;
    CHECK_OK(study_open(&s, path, err));
    CHECK_OK(sql_query(&q, s, err, "SELECT n, rater, shown FROM assignments", ""));
    while (sql_step(s, &q, &row, &problem) == SC_OK && row) { at[n].n = sqlite3_column_int64(q, 0); at[n].rater = sqlite3_column_int64(q, 1); at[n++].shown = sql_copy(q, 2); }
    CHECK_OK(sql_begin(s, err));
    for (size_t i = 0; i < n; i++) {
        json_t *shown = json_loads(at[i].shown, 0, NULL), *answers = json_array();
        size_t k = json_array_size(shown);
        double value[RANK_SHOWN_MAX];
        for (size_t j = 0; j < k; j++) {
            CHECK_OK(sql_query(&q, s, err, "SELECT turns FROM answers WHERE n = ?1", "i", (int64_t)json_integer_value(json_array_get(shown, j))));
            CHECK_OK(sql_step(s, &q, &row, err));
            double noise = gumbel(9, (uint64_t)at[i].n, kind_of(sql_text(q, 0)));
            value[j] = at[i].rater == random ? noise : worth(sql_text(q, 0)) * (strstr(sql_text(q, 0), "of ") ? 1 : 10) + noise;
            sqlite3_finalize(q);
        }
        for (size_t j = 0; j < k; j++) {
            int rank = 1;
            for (size_t l = 0; l < k; l++) rank += value[l] > value[j];
            json_array_append_new(answers, json_pack("{s:i, s:i, s:[s]}", "rank", rank, "score", 8 - 2 * rank, "flags", "wrong"));
        }
        json_t *rating = json_pack("{s:o, s:i}", "answers", answers, "active", 20000);
        char *text = json_dumps(rating, JSON_COMPACT);
        CHECK_OK(sql_run(s, err, "INSERT INTO revisions(assignment, id, received, is_done, rating) VALUES(?1, 'abcdefgh', 1, 1, ?2)", "it", at[i].n, text));
        mem_free(text);
        json_decref(rating);
        json_decref(shown);
        mem_free(at[i].shown);
    }
    CHECK_OK(sql_end(s, SC_OK, err));
    study_close(s);
}

static json_t *report_of(const char *path)
{
    sc_rank_report_config c;
    sc_text text = { 0 };
    sc_options_defaults(sc_options_for("rank_report"), &c);
    CHECK_OK(sc_rank_report(&text, path, &c, err));
    json_t *all = json_loads(text.data ? text.data : "{}", 0, NULL);
    sc_text_free(&text);
    return all;
}

static double real_of(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

/* The file says nothing of whose an answer is, nor of links, before it is closed. */
TEST(study_is_sealed)
{
    char key[RANK_KEY_TEXT], wrong[RANK_KEY_TEXT];
    uint8_t other[RANK_KEY_BYTES];
    char *path = make_study(key, 2, 0);
    sc_text file = { 0 }, out = { 0 };
    struct stat is;
    CHECK_OK(file_read(&file, path, 1 << 24, err));
    for (int m = 0; m < MODELS; m++) CHECK(!memmem(file.data, file.len, names[m], strlen(names[m])));
    CHECK(!memmem(file.data, file.len, key, strlen(key)));
    CHECK(!memmem(file.data, file.len, "rater-0", 7));        /* tokens; names begin with rater-1 */
    CHECK(stat(path, &is) == 0 && (is.st_mode & 077) == 0);
    sc_text_free(&file);
    json_t *report = report_of(path);
    CHECK(!json_object_get(report, "models") && json_array_size(json_object_get(json_object_get(report, "study"), "models")) == 0);
    json_decref(report);
    sc_rank_export_config e = { .pairs = "x" };
    CHECK_FAILS(sc_rank_export(&out, path, &e, err), SC_E_ARGUMENT, "is open");
    key_new(other, wrong);
    CHECK_FAILS(sc_rank_close(&out, path, wrong, err), SC_E_ARGUMENT, "does not open");
    CHECK_OK(sc_rank_close(&out, path, key, err));
    sc_text_free(&out);
    CHECK_FAILS(sc_rank_close(&out, path, key, err), SC_E_ARGUMENT, "closed already");
    CHECK_FAILS(sc_rank_invite(&out, path, "late", SC_RANK_NEW, err), SC_E_ARGUMENT, "is closed");
    struct study *s;
    CHECK_OK(study_open(&s, path, err));
    CHECK_FAILS(sql_run(s, err, "INSERT INTO revisions(assignment, id, received, is_done, rating) VALUES(1, 'late', 1, 0, '{}')", ""), SC_E_IO, "closed");
    study_close(s);
    mem_free(path);
}

TEST(revisions_stay)
{
    char key[RANK_KEY_TEXT];
    char *path = make_study(key, 1, 0);
    struct study *s;
    CHECK_OK(study_open(&s, path, err));
    CHECK_OK(sql_run(s, err, "INSERT INTO revisions(assignment, id, received, is_done, rating) VALUES(1, 'one', 1, 0, '{}')", ""));
    CHECK_FAILS(sql_run(s, err, "UPDATE revisions SET rating = 'x'", ""), SC_E_IO, "never changed");
    CHECK_FAILS(sql_run(s, err, "DELETE FROM revisions", ""), SC_E_IO, "never taken away");
    study_close(s);
    mem_free(path);
}

/* Answers are numbered by the key, not by the seed: over many items each model stands at each place about as often. */
TEST(numbers_tell_nothing)
{
    char key[RANK_KEY_TEXT];
    char *path = make_study(key, 1, 0);
    struct study *s;
    sqlite3_stmt *q;
    sc_error problem = { 0 };
    bool row = true;
    size_t first[MODELS] = { 0 };
    CHECK_OK(study_open(&s, path, err));
    CHECK_OK(sql_query(&q, s, err, "SELECT a.turns FROM answers a JOIN items i ON i.n = a.item WHERE NOT i.is_gold AND a.n = (SELECT min(n) FROM answers WHERE item = i.n)", ""));
    while (sql_step(s, &q, &row, &problem) == SC_OK && row)
        for (int m = 0; m < MODELS; m++) first[m] += worth(sql_text(q, 0)) == truth[m];
    CHECK_INT(first[0] + first[1] + first[2], PROMPTS);
    for (int m = 0; m < MODELS; m++) CHECK(first[m] >= 2);
    study_close(s);
    mem_free(path);
}

TEST(report_finds_the_truth)
{
    char key[RANK_KEY_TEXT];
    char *path = make_study(key, 6, 0), *page = scratch("r.html"), *ratings = scratch("ratings.jsonl"), *pairs = scratch("pairs.jsonl");
    sc_text out = { 0 }, text = { 0 };
    rate_all(path, 0);
    json_t *open = report_of(path);
    CHECK(json_number_value(json_object_get(json_object_get(open, "agreement"), "share")) > 0.4);
    json_decref(open);
    CHECK_OK(sc_rank_close(&out, path, key, err));
    sc_text_free(&out);
    json_t *report = report_of(path);
    const json_t *raters = json_object_get(report, "raters"), *models = json_object_get(report, "models");
    for (size_t i = 0; i < 6; i++) {
        const json_t *w = json_array_get(raters, i);
        CHECK_INT(json_integer_value(json_object_get(w, "done")), PROMPTS + GOLD + 8);
        CHECK_INT(json_integer_value(json_object_get(json_object_get(w, "gold"), "items")), GOLD);
        CHECK_INT(json_integer_value(json_object_get(json_object_get(w, "repeats"), "pairs")), 8 * 3);
        NEAR(real_of(w, "median_seconds"), 20, 1e-9);
        CHECK_INT(json_array_size(json_object_get(w, "excluded")), 0);
        NEAR(real_of(json_object_get(w, "gold"), "share"), 1, 0);
    }
    CHECK_INT(json_array_size(models), MODELS);
    double best_worst = 0, ranks = 0;
    for (size_t m = 0; m < MODELS; m++) {
        const json_t *row = json_array_get(models, m);
        CHECK_STR(json_string_value(json_object_get(row, "model")), names[m]);
        NEAR(real_of(row, "strength"), truth[m], real_of(row, "strength_high") - real_of(row, "strength_low"));      /* four standard errors */
        CHECK(real_of(row, "strength_low") < real_of(row, "strength") && real_of(row, "strength") < real_of(row, "strength_high"));
        CHECK(real_of(row, "strength_high") - real_of(row, "strength_low") < 1);
        CHECK(real_of(row, "mean_score_low") < real_of(row, "mean_score") && real_of(row, "mean_score") < real_of(row, "mean_score_high"));
        NEAR(real_of(row, "mean_score"), 8 - 2 * real_of(row, "mean_rank"), 1e-9);
        NEAR(real_of(json_object_get(json_object_get(row, "flags"), "wrong"), "share"), 1, 0);
        best_worst += real_of(row, "best_worst");
        ranks += real_of(row, "mean_rank");
    }
    NEAR(best_worst, 0, 1e-9);
    NEAR(ranks, 6, 1e-9);
    const json_t *pair = json_array_get(json_object_get(report, "pairs"), 0);
    NEAR(real_of(pair, "win_rate"), 1 / (1 + exp(-1)), real_of(pair, "win_rate_high") - real_of(pair, "win_rate_low"));
    CHECK_INT(json_array_size(json_object_get(report, "slices")), 2);
    size_t counted = (size_t)json_integer_value(json_object_get(json_array_get(models, 0), "shown"));
    json_decref(report);
    sc_rank_export_config e = { .pairs = pairs, .ratings = ratings };
    CHECK_OK(sc_rank_export(&out, path, &e, err));
    json_t *exported = json_loads(out.data, 0, NULL);
    CHECK_INT(json_integer_value(json_object_get(exported, "pairs")), counted * 3);      /* K (K - 1) / 2, no ties */
    CHECK_INT(json_integer_value(json_object_get(exported, "ratings")), 6 * (PROMPTS + GOLD + 8));
    json_decref(exported);
    sc_text_free(&out);
    sc_rank_report_config c;
    sc_options_defaults(sc_options_for("rank_report"), &c);
    c.out = page;
    CHECK_OK(sc_rank_report(&out, path, &c, err));
    CHECK_OK(file_read(&text, page, 1 << 24, err));
    CHECK(strstr(text.data, "alpha-model") && strstr(text.data, "Krippendorff"));
    sc_text_free(&text);
    sc_text_free(&out);
    char *all[] = { page, ratings, pairs, path };
    for (size_t i = 0; i < 4; i++) mem_free(all[i]);
}

/* Who answers by chance has gold items wrong half of the time: with rules that ask for all, the rule names it. */
TEST(rules_leave_out)
{
    char key[RANK_KEY_TEXT];
    char *path = make_study(key, 3, 0);
    struct study *s;
    struct results r;
    sc_text out = { 0 };
    rate_all(path, 2);
    CHECK_OK(sc_rank_close(&out, path, key, err));
    sc_text_free(&out);
    CHECK_OK(study_open(&s, path, err));
    CHECK_OK(results_read(&r, s, err));
    CHECK_INT(r.rater[0].gold_right, GOLD);
    CHECK_INT(r.rater[0].excluded, 0);
    double own = (double)r.rater[0].repeat_same / r.rater[0].repeat_pairs;
    r.rules = (struct rank_rules){ .gold = 1, .repeats = own + 0.01, .seconds = 20.5, .least = 1 };
    for (size_t i = 0; i < 3; i++) {                           /* counts anew */
        char *name = r.rater[i].name;
        r.rater[i] = (struct result_rater){ .name = name };
    }
    results_judge_raters(&r);
    CHECK_INT(r.rater[0].excluded, EXCLUDED_REPEATS | EXCLUDED_SPEED);
    CHECK_INT(!!(r.rater[1].excluded & EXCLUDED_GOLD), r.rater[1].gold_right < GOLD);
    CHECK(!rated_counts(&r, &r.rated[0]));
    results_release(&r);
    study_close(s);
    mem_free(path);
}

TEST(invitations)
{
    char key[RANK_KEY_TEXT];
    char *path = make_study(key, 4, 2);
    sc_text out = { 0 };
    struct study *s;
    int64_t n, least, most;
    CHECK_OK(sc_rank_invite(&out, path, "anna", SC_RANK_NEW, err));
    CHECK(strstr(out.data, "\"anna\"") && strstr(out.data, "rater-"));
    sc_text_free(&out);
    CHECK_FAILS(sc_rank_invite(&out, path, "anna", SC_RANK_NEW, err), SC_E_ARGUMENT, "already a rater anna");
    CHECK_OK(sc_rank_invite(&out, path, "anna", SC_RANK_AGAIN, err));
    sc_text_free(&out);
    CHECK_OK(sc_rank_invite(&out, path, "anna", SC_RANK_REVOKE, err));
    sc_text_free(&out);
    CHECK_FAILS(sc_rank_invite(&out, path, "nobody", SC_RANK_REVOKE, err), SC_E_ARGUMENT, "no rater nobody");
    CHECK_FAILS(sc_rank_invite(&out, path, "a\tb", SC_RANK_NEW, err), SC_E_ARGUMENT, "cannot be printed");
    CHECK_OK(study_open(&s, path, err));
    CHECK_OK(sql_number(&n, 0, s, err, "SELECT count(*) FROM assignments a JOIN items i ON i.n = a.item WHERE rater = 5 AND repeats IS NULL AND NOT is_gold", ""));
    CHECK_INT(n, PROMPTS / 2);
    CHECK_OK(sql_number(&least, 0, s, err, "SELECT min(k) FROM (SELECT count(*) AS k FROM assignments a JOIN items i ON i.n = a.item WHERE rater < 5 AND repeats IS NULL AND NOT is_gold GROUP BY a.item)", ""));
    CHECK_OK(sql_number(&most, 0, s, err, "SELECT max(k) FROM (SELECT count(*) AS k FROM assignments a JOIN items i ON i.n = a.item WHERE rater < 5 AND repeats IS NULL AND NOT is_gold GROUP BY a.item)", ""));
    CHECK_INT(least, 2);
    CHECK_INT(most, 2);
    study_close(s);
    mem_free(path);
}

TEST(what_cannot_be_made)
{
    sc_rank_config c;
    sc_text out = { 0 };
    char *prompts = scratch("prompts.jsonl"), *a = scratch(names[0]), *b = scratch(names[1]), *study = scratch("s.sqlite"), *few = scratch("few");
    char both[2000], part[2000];
    struct study *s;
    sc_error problem = { 0 };
    write_files();
    snprintf(both, sizeof both, "%s,%s", a, b);
    snprintf(part, sizeof part, "%s,%s", a, few);
    CHECK_INT(file_write(few, "{\"id\":\"p0\",\"model\":\"few\",\"turns\":[\"x\"]}\n", 40, &problem), SC_OK);
    sc_options_defaults(sc_options_for("rank"), &c);
    c.out = study;
    CHECK_FAILS(sc_rank_make(&out, &c, err), SC_E_ARGUMENT, "--prompts is missing");
    c.prompts = prompts;
    CHECK_FAILS(sc_rank_make(&out, &c, err), SC_E_ARGUMENT, "--answers is missing");
    c.answers = a;
    CHECK_FAILS(sc_rank_make(&out, &c, err), SC_E_ARGUMENT, "answers of 1 model");
    c.answers = part;
    CHECK_FAILS(sc_rank_make(&out, &c, err), SC_E_ARGUMENT, "few has no answer to the prompt \"p1\"");
    CHECK(!path_exists(study));                                /* nothing is left behind */
    c.partial = true;
    CHECK_OK(sc_rank_make(&out, &c, err));
    CHECK(strstr(out.data, "\"items\":1,"));
    sc_text_free(&out);
    CHECK_FAILS(study_open(&s, prompts, err), SC_E_FORMAT, "not a SQLite file");
    CHECK_FAILS(study_open(&s, "/nowhere/x", err), SC_E_IO, "no study");
    mem_free(prompts);
    mem_free(a);
    mem_free(b);
    mem_free(study);
    mem_free(few);
}
