/* test_base.c - errors, arenas, buffers, UTF-8, JSON, threads, files, random numbers. */
#include "test.h"

TEST(error_prefix_names_the_object)
{
    sc_error err = { 0 };
    FAIL(&err, SC_E_FORMAT, "length is %d, expected %d", 3, 4);
    error_prefix(&err, SC_E_FORMAT, "file %s", "a.gguf");
    CHECK_STR(err.message, "file a.gguf: length is 3, expected 4");
    CHECK(strstr(err.where, ":"));
    char long_name[900];
    memset(long_name, 'x', sizeof long_name);
    long_name[899] = 0;
    error_prefix(&err, SC_E_FORMAT, "%s", long_name);
    CHECK(strstr(err.message, "length is 3, expected 4"));
}

TEST(error_quote_hides_control_characters)
{
    char out[32];
    CHECK_STR(error_quote(out, sizeof out, "a\x1b[2J", 5), "a\\x1B[2J");
    CHECK(strlen(error_quote(out, sizeof out, "0123456789012345678901234567890123456789", 40)) < sizeof out);
}

TEST(arena_rewind_reuses_memory)
{
    struct arena a;
    arena_init(&a);
    arena_take(&a, 10);
    struct arena_mark m = arena_mark(&a);
    char *first = arena_take(&a, 1000);
    arena_take(&a, 1 << 20);
    arena_rewind(&a, m);
    CHECK(arena_take(&a, 1000) == (void *)first);
    CHECK(((uintptr_t)arena_take(&a, 3) & 63) == 0);
    CHECK(a.peak >= (1 << 20) && a.used < 4096);
    arena_release(&a);
}

/* Steps of 1, 2, 4 ... rows must not leave blocks behind that the next step cannot use. */
TEST(arena_rewound_to_its_begin_is_one_block)
{
    struct arena a;
    arena_init(&a);
    struct arena_mark empty = arena_mark(&a);
    for (size_t bytes = 1 << 16; bytes <= 1 << 20; bytes *= 2) {
        for (int pass = 0; pass < 2; pass++) {
            char *p[4];
            for (int i = 0; i < 4; i++) p[i] = arena_take(&a, bytes);
            for (int i = 1; i < 4 && pass == 1; i++) CHECK_INT(p[i] - p[i - 1], bytes);
            arena_rewind(&a, empty);
            CHECK_INT(a.used, 0);
        }
    }
    arena_release(&a);
}

TEST(buf_stops_at_its_ceiling)
{
    struct buf b;
    buf_init(&b, 8);
    buf_puts(&b, "12345");
    buf_puts(&b, "6789");
    CHECK(b.is_full && b.len == 5);
    buf_release(&b);
}

TEST(utf8_repair_replaces_maximal_subparts)
{
    static const struct { const char *in, *out; } rows[] = {
        { "a\xC3", "a\xEF\xBF\xBD" }, { "\xE2\x82z", "\xEF\xBF\xBDz" }, { "\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD" },
        { "\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD" }, { "\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80" },
        { "\xF0\x9F\x98", "\xEF\xBF\xBD" }, { "\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b;
        buf_init(&b, 0);
        utf8_repair(&b, rows[i].in, strlen(rows[i].in));
        CHECK_STR(b.data, rows[i].out);
        buf_release(&b);
    }
}

TEST(utf8_incomplete_tail_counts_held_bytes)
{
    CHECK_INT(utf8_incomplete_tail("a\xF0\x9F\x98", 4), 3);
    CHECK_INT(utf8_incomplete_tail("a\xC3\xA9", 3), 0);
    CHECK_INT(utf8_incomplete_tail("\xE2", 1), 1);
    CHECK_INT(utf8_incomplete_tail("\xC0", 1), 0);       /* can begin nothing */
    CHECK_INT(utf8_incomplete_tail("\xED\xA0", 2), 0);
}

/* Every byte of ASCII at every place of a string reads back as itself, and nothing that needs an escape is without. */
TEST(buf_json_strings_read_back)
{
    for (int c = 0; c < 128; c++)
        for (size_t at = 0; at < 20; at++) {
            struct buf b;
            char text[] = "\xC3\xA9" "bcdefghijklmnop\xF0\x9F\x98\x80xy";
            if (at < 2 || at > 16) memset(text, 'x', sizeof text - 1);
            text[at] = (char)c;
            buf_init(&b, 0);
            buf_put_json_string(&b, text, sizeof text - 1);
            for (size_t i = 0; i < b.len; i++) CHECK((unsigned char)b.data[i] >= 0x20 && b.data[i] != 0x7f);
            json_t *read = json_tree(b.data, b.len, 1);
            json_t *theirs = json_loadb(b.data, b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
            CHECK(theirs && json_string_length(theirs) == sizeof text - 1 && memcmp(json_string_value(theirs), text, sizeof text - 1) == 0);
            CHECK(!read || json_equal(read, theirs));
            json_decref(read);
            json_decref(theirs);
            buf_release(&b);
        }
}

TEST(json_messages_name_file_and_key)
{
    json_t *o = NULL;
    CHECK_OK(json_read(&o, "{\"a\":5,\"b\":\"x\",\"c\":8192.0}", 26, "config.json", err));
    int64_t n;
    CHECK_OK(json_need_int(&n, o, "c", 1, 10000, "config.json", err));
    CHECK_INT(n, 8192);
    CHECK_FAILS(json_need_int(&n, o, "a", 6, 9, "config.json", err), SC_E_FORMAT, "config.json: \"a\" is 5, expected 6 to 9");
    CHECK_FAILS(json_need_int(&n, o, "b", 6, 9, "config.json", err), SC_E_FORMAT, "\"b\" is a string, expected an integer");
    CHECK_FAILS(json_need_int(&n, o, "zz", 6, 9, "config.json", err), SC_E_FORMAT, "\"zz\" is missing");
    json_decref(o);
    CHECK_FAILS(json_read(&o, "{\"a\":1,\"a\":2}", 13, "t", err), SC_E_FORMAT, "duplicate");
    static const char big[] = "{\"m\":1000000000000000019884624838656,\"s\":\"\\\"99999999999999999999\",\"n\":-99999999999999999999,\"e\":0.5e-00000000000000000003,\"i\":7}";
    CHECK_OK(json_read(&o, big, sizeof big - 1, "t", err));
    CHECK(json_real_value(json_object_get(o, "m")) == 1000000000000000019884624838656.0 && json_real_value(json_object_get(o, "n")) == -1e20);
    CHECK(json_real_value(json_object_get(o, "e")) == 0.5e-3 && json_is_integer(json_object_get(o, "i")));
    CHECK_STR(json_string_value(json_object_get(o, "s")), "\"99999999999999999999");
    json_decref(o);
    char deep[400];
    memset(deep, '[', sizeof deep);
    CHECK_FAILS(json_read(&o, deep, sizeof deep, "t", err), SC_E_FORMAT, "deeper than 128");
}

/* What the tree builder takes has jansson's value; `is_taken`: it must take it. */
static bool tree_agrees(const char *text, size_t len, bool is_taken)
{
    json_t *ours = json_tree(text, len, 128), *theirs = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    bool is_good = ours ? theirs && json_equal(ours, theirs) : !is_taken && !theirs;
    json_decref(ours);
    json_decref(theirs);
    return is_good;
}

TEST(json_holds_no_number_that_is_none)
{
    json_t *o = json_object(), *list = json_array();
    json_put_real(o, "x", 0.5);
    json_put_real(o, "nan", (double)NAN);
    json_put_real(o, "far", (double)INFINITY);
    CHECK(json_real_value(json_object_get(o, "x")) == 0.5 && json_is_null(json_object_get(o, "nan")) && json_is_null(json_object_get(o, "far")));
    CHECK_STR(json_type_words(NULL), "missing");
    CHECK_STR(json_type_words(json_object_get(o, "nan")), "null");
    CHECK_STR(json_type_words(json_object_get(o, "x")), "a number");
    CHECK_STR(json_type_words(o), "an object");
    CHECK_STR(json_type_words(list), "a list");
    json_decref(list);
    json_decref(o);
}

TEST(json_tree_equals_jansson)
{
    static const char *const good[] = { "null", " true ", "false", "0", "-0", "-17", "123456789012345678", "1234567890123456789", "-9223372036854775808", "1.5e-3", "1E2", "\"\"", "\"a\\u00e9\\ud83d\\ude00\\n\\/\"",
        "\"\\u0000x\"", "\"twelve bytes \\\" and then more of them, \xC3\xA9\"", "[]", "[1,[2,{}],\"x\"]", "{}", "{\"a\":{\"a\":1},\"b\":[{\"a\":2}],\"\":null}", "{\"a key of more than sixty-four bytes, which no longer fits the one on the stack\":1}" };
    static const char *const bad[] = { "", " ", "nul", "nulll", "+1", "01", "-", "1.", ".5", "1e", "1e999", "99999999999999999999", "\"", "\"\\x\"", "\"\\ud800\"", "\"\\ude00\\ud83d\"", "\"a\nb\"", "\"\xFF\"", "[1,]", "[,1]", "[1 2]", "[", "{\"a\"}",
        "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\":1,\"\\u0061\":2}", "{\"\\u0000\":1}", "1 2", "{}{}", "tru", "--1", "1-1", "[1}", "\x1F\"\"" };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) CHECK(tree_agrees(good[i], strlen(good[i]), true));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(tree_agrees(bad[i], strlen(bad[i]), false));
    CHECK(!json_tree("[[1]]", 5, 1));
}

TEST(json_tree_equals_jansson_on_damaged_text)
{
    static const char whole[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"a \\\"b\\\" \\u00e9 \\ud83d\\ude00 \xC3\xA9\"},{\"n\":[-1.5e3,12,null,true,{}]}],\"x\":[[],\"\"]}";
    static const char bytes[] = "{}[]\",:\\ue0-1.\n\x80 tnd";
    char text[sizeof whole];
    for (uint64_t i = 0; i < 20000; i++) {
        memcpy(text, whole, sizeof text);
        for (uint64_t k = 0; k <= i % 3; k++) text[random_u32(7, i, 2 * k) % (sizeof whole - 1)] = bytes[random_u32(7, i, 2 * k + 1) % (sizeof bytes - 1)];
        if (!tree_agrees(text, sizeof whole - 1, false)) { CHECK_STR(text, "taken by both or by neither"); return; }
    }
}

static void count(void *arg, size_t i, int worker) { (void)worker; ((int *)arg)[i]++; }

TEST(pool_runs_each_index_once)
{
    for (int threads = 1; threads <= 5; threads++) {
        struct pool *p;
        CHECK_OK(pool_open(&p, threads, err));
        for (int round = 0; round < 300; round++) {
            int hits[97] = { 0 };
            size_t n = (size_t)round % 97;
            pool_run(p, n, count, hits);
            for (size_t i = 0; i < 97; i++) CHECK_INT(hits[i], i < n);
        }
        pool_close(p);
    }
}

TEST(file_writer_publishes_or_leaves_nothing)
{
    char *path = path_join(test_scratch(), "f");
    struct file_writer w;
    CHECK_OK(file_writer_open(&w, path, err));
    CHECK_OK(file_writer_put(&w, "abc", 3, err));
    CHECK(!path_exists(path));
    CHECK_OK(file_writer_publish(&w, err));
    sc_text t;
    CHECK_OK(file_read(&t, path, 100, err));
    CHECK_STR(t.data, "abc");
    sc_text_free(&t);
    CHECK_FAILS(file_read(&t, path, 2, err), SC_E_FORMAT, "larger than the 2 bytes");
    CHECK_OK(file_writer_open(&w, path, err));
    CHECK_OK(file_writer_put(&w, "zzz", 3, err));
    file_writer_discard(&w);
    CHECK_OK(file_read(&t, path, 100, err));
    CHECK_STR(t.data, "abc");
    sc_text_free(&t);
    mem_free(path);
}

/* Known answers of the authors' Random123 distribution (kat_vectors, philox4x32-10). */
TEST(philox_matches_published_vectors)
{
    static const struct { uint32_t c[4], k[2], out[4]; } rows[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { ~0u, ~0u, ~0u, ~0u }, { ~0u, ~0u }, { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 }, { 0xa4093822, 0x299f31d0 }, { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (size_t i = 0; i < 3; i++) {
        uint32_t out[4];
        philox(out, rows[i].c, rows[i].k);
        CHECK(memcmp(out, rows[i].out, sizeof out) == 0);
    }
}

TEST(random_normal_is_the_same_in_any_slices)
{
    float all[1000], part[1000];
    random_normal(all, 1000, 7, 3, 0);
    for (size_t at = 0, n = 1; at < 1000; at += n, n = n * 2 + 1) {
        if (n > 1000 - at) n = 1000 - at;
        random_normal(part + at, n, 7, 3, at);
    }
    CHECK(memcmp(all, part, sizeof all) == 0);
    double mean = 0, square = 0;
    for (int i = 0; i < 1000; i++) { mean += (double)all[i] / 1000; square += (double)all[i] * (double)all[i] / 1000; }
    CHECK(fabs(mean) < 0.15 && fabs(square - 1) < 0.2);
}

TEST(sha256_of_abc)
{
    struct sha256 s;
    char hex[65];
    sha256_begin(&s);
    sha256_add(&s, "abc", 3);
    sha256_end(&s, hex);
    CHECK_STR(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(text_distance_counts_swaps_once)
{
    CHECK_INT(text_distance("chat", "caht"), 1);
    CHECK_INT(text_distance("temperature", "temprature"), 1);
    CHECK_INT(text_distance("", "abc"), 3);
}
