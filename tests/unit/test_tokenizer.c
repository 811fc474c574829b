/* Tokenizers by what lies in the source tree: each family's small vocabulary against the reference, from JSON and from
 * GGUF, the rule of trust, streams, and the scanners against the patterns they stand for. */
#include "tokenizer_fixture.h"
#include "text/text_internal.h"

#define FAMILIES "tests/golden/tokenizers/families/"

/* ---- families ---- */

static struct tokenizer *family_open(const char *name)
{
    char path[96];
    snprintf(path, sizeof path, FAMILIES "%s.json", name);
    return fixture_open(test_path(path));
}

static void family_check(const struct tokenizer *t, const char *name)
{
    char path[96];
    snprintf(path, sizeof path, FAMILIES "%s.jsonl", name);
    CHECK(test_path(path) != NULL);
    check_golden(t, test_path(path), 250);
}

/* The vocabulary of `t` as GGUF files hold it. */
static const char *gguf_write(const struct tokenizer *t)
{
    struct gguf_writer *w;
    size_t n = tokenizer_vocab(t), n_merges = tokenizer_merges(t);
    struct gguf_string *s = mem_zero(n + n_merges, sizeof *s);
    int32_t *type = mem_alloc(n * sizeof *type);
    struct buf *merge = mem_zero(n_merges, sizeof *merge);
    static char path[256];
    snprintf(path, sizeof path, "%s/vocabulary.gguf", test_scratch());
    for (size_t i = 0; i < n; i++) s[i].text = tokenizer_gguf_token(t, i, &s[i].len, &type[i]);
    for (size_t i = 0; i < n_merges; i++) {
        tokenizer_merge(t, i, &merge[i]);
        s[n + i] = (struct gguf_string){ merge[i].data, merge[i].len };
    }
    CHECK_OK(gguf_writer_open(&w, path, true, err));
    gguf_put_string(w, "general.architecture", "llama", 5);
    gguf_put_string(w, "tokenizer.ggml.model", "gpt2", 4);
    gguf_put_string(w, "tokenizer.ggml.pre", tokenizer_pre_name(t), strlen(tokenizer_pre_name(t)));
    gguf_put_string_array(w, "tokenizer.ggml.tokens", s, n);
    gguf_put_string_array(w, "tokenizer.ggml.merges", s + n, n_merges);
    gguf_put_int32_array(w, "tokenizer.ggml.token_type", type, n);
    CHECK_OK(gguf_writer_begin(w, NULL, 0, err));
    CHECK_OK(gguf_writer_finish(w, err));
    for (size_t i = 0; i < n_merges; i++) buf_release(&merge[i]);
    mem_free(merge);
    mem_free(type);
    mem_free(s);
    return path;
}

/* `pre`: what GGUF calls the pre-tokeniser. */
static void check_family(const char *name, const char *pre)
{
    struct tokenizer *t = family_open(name);
    CHECK_STR(tokenizer_pre_name(t), pre);
    family_check(t, name);
    if (strcmp(pre, "custom") != 0) {
        struct tokenizer *from_gguf = fixture_open(gguf_write(t));
        CHECK_STR(tokenizer_pre_name(from_gguf), pre);
        CHECK_INT(tokenizer_vocab(from_gguf), tokenizer_vocab(t));
        family_check(from_gguf, name);
        tokenizer_close(from_gguf);
    }
    tokenizer_close(t);
}

TEST(family_gpt2) { check_family("gpt2", "gpt-2"); }
TEST(family_starcoder) { check_family("starcoder", "starcoder"); }
TEST(family_llama3) { check_family("llama3", "llama-bpe"); }
TEST(family_qwen2) { check_family("qwen2", "qwen2"); }
TEST(family_deepseek_coder) { check_family("deepseek-coder", "deepseek-coder"); }
TEST(family_command_r) { check_family("command-r", "command-r"); }
TEST(family_custom) { check_family("custom", "custom"); }
TEST(family_words) { check_family("words", "custom"); }

/* ---- roles and added tokens ---- */

TEST(begin_token_of_a_template)
{
    struct tokenizer *t = family_open("llama3");
    CHECK(tokenizer_adds_bos(t));
    CHECK_INT(tokenizer_role(t, TOKEN_BOS), tokenizer_find(t, "<|begin_of_text|>", 17));
    tokenizer_close(t);
    t = family_open("starcoder");
    CHECK(!tokenizer_adds_bos(t));
    CHECK_INT(tokenizer_role(t, TOKEN_FIM_MIDDLE), tokenizer_find(t, "<fim_middle>", 12));
    tokenizer_close(t);
}

TEST(added_tokens_follow_the_last_id)
{
    static const char *const tokens[] = { "<|system|>", "<|user|>", "<fim_prefix>", "<|system|>" };
    struct tokenizer *t = family_open("starcoder");
    size_t before = tokenizer_vocab(t);
    CHECK_INT(tokenizer_add(t, tokens, 4), 2);
    CHECK_INT(tokenizer_vocab(t), before + 2);
    CHECK_INT(tokenizer_find(t, "<|system|>", 10), before);
    CHECK_INT(tokenizer_find(t, "<|user|>", 8), before + 1);
    CHECK(tokenizer_is_special(t, (int32_t)before));
    CHECK_INT(tokenizer_add(t, tokens, 4), 0);
    family_check(t, "starcoder");
    tokenizer_close(t);
}

/* ---- trust ---- */

/* Which of the tokens is `id`; -1: none. */
static long find_id(const struct token_list *l, int32_t id)
{
    for (size_t i = 0; i < l->len; i++)
        if (l->id[i] == id) return (long)i;
    return -1;
}

static void check_trust(const struct tokenizer *t, const char *text, struct span trusted, bool is_seen)
{
    struct token_list l = { 0 };
    struct buf back = { 0 };
    tokenizer_encode(t, &l, text, strlen(text), &trusted, 1);
    CHECK((find_id(&l, tokenizer_find(t, "<|endoftext|>", 13)) >= 0) == is_seen);
    tokenizer_decode(t, &back, l.id, l.len, false);
    CHECK_STR(back.data, text);
    buf_release(&back);
    token_list_release(&l);
}

TEST(special_tokens_in_trusted_text_only)
{
    struct tokenizer *t = family_open("starcoder");
    const char *text = "ab<|endoftext|>cd";
    check_trust(t, text, (struct span){ 0, 17 }, true);
    check_trust(t, text, (struct span){ 2, 15 }, true);
    check_trust(t, text, (struct span){ 0, 999 }, true);
    check_trust(t, text, (struct span){ 3, 15 }, false);
    check_trust(t, text, (struct span){ 2, 14 }, false);
    check_trust(t, text, (struct span){ 0, 2 }, false);
    check_trust(t, text, (struct span){ 15, 17 }, false);
    check_trust(t, text, (struct span){ 9, 3 }, false);
    tokenizer_close(t);
}

TEST(touching_spans_count_as_one)
{
    struct tokenizer *t = family_open("starcoder");
    struct span two[] = { { 0, 5 }, { 5, 13 } }, apart[] = { { 0, 5 }, { 6, 13 } };
    struct token_list l = { 0 };
    tokenizer_encode(t, &l, "<|endoftext|>", 13, two, 2);
    CHECK_INT(l.len, 1);
    l.len = 0;
    tokenizer_encode(t, &l, "<|endoftext|>", 13, apart, 2);
    CHECK(l.len > 1);
    token_list_release(&l);
    tokenizer_close(t);
}

/* Merges cannot spell a special token either: here the vocabulary has the merges to do it. */
TEST(no_merge_makes_a_special_token)
{
    static const char json[] =
        "{\"added_tokens\":[{\"id\":5,\"content\":\"<a>\",\"special\":true,\"normalized\":false}],\"normalizer\":null,"
        "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false},\"decoder\":{\"type\":\"ByteLevel\"},"
        "\"model\":{\"type\":\"BPE\",\"vocab\":{\"<\":0,\"a\":1,\">\":2,\"<a\":3,\"a>\":4,\"<a>\":5},\"merges\":[\"< a\",\"<a >\"]}}";
    struct tokenizer *t = NULL;
    struct token_list l = { 0 };
    struct span all = { 0, 3 };
    CHECK_OK(tokenizer_open_json(&t, json, sizeof json - 1, "a.json", err));
    tokenizer_encode(t, &l, "<a>", 3, &all, 1);
    CHECK_INT(l.len, 1);
    CHECK_INT(l.id[0], 5);
    l.len = 0;
    tokenizer_encode(t, &l, "<a>", 3, NULL, 0);
    CHECK_INT(l.len, 2);
    CHECK_INT(l.id[0], 3);
    CHECK_INT(l.id[1], 2);
    token_list_release(&l);
    tokenizer_close(t);
}

TEST(trust_ends_at_broken_bytes)
{
    struct tokenizer *t = family_open("starcoder");
    const char text[] = "\xff<|endoftext|>\xf0\x9f<|endoftext|>\xed\xa0\x80";
    struct token_list l = { 0 };
    struct span first = { 1, 14 };
    int32_t id = tokenizer_find(t, "<|endoftext|>", 13);
    tokenizer_encode(t, &l, text, sizeof text - 1, &first, 1);
    long at = find_id(&l, id);
    CHECK(at > 0);
    struct token_list rest = { l.id + at + 1, l.len - (size_t)at - 1, 0 };
    CHECK(find_id(&rest, id) < 0);
    token_list_release(&l);
    tokenizer_close(t);
}

/* ---- streams ---- */

/* Any cutting of the bytes gives the same text. */
TEST(streams_put_whole_characters)
{
    static const char bytes[] = "a\xC3\xA9\xE6\xBC\xA2\xF0\x9F\x98\x80\xFF\xE2\x82z\xF0\x9F\xC3";
    struct buf whole = { 0 };
    utf8_repair(&whole, bytes, sizeof bytes - 1);
    for (unsigned cuts = 0; cuts < 1u << 10; cuts++) {
        struct text_stream s = { 0 };
        struct buf out = { 0 };
        size_t from = 0;
        for (size_t i = 1; i <= sizeof bytes - 1; i++) {
            if (i < sizeof bytes - 1 && !(cuts >> (i % 10) & 1)) continue;
            text_stream_put(&s, &out, bytes + from, i - from);
            CHECK(s.n_held <= 3);
            CHECK(utf8_is_valid(out.data ? out.data : "", out.len));
            from = i;
        }
        text_stream_end(&s, &out);
        CHECK_STR(out.data, whole.data);
        buf_release(&out);
    }
    buf_release(&whole);
}

/* ---- long input ---- */

static void check_long(const struct tokenizer *t, const char *unit, size_t len)
{
    struct buf text = { 0 }, back = { 0 };
    struct token_list l = { 0 };
    struct span all = { 0, len };
    while (text.len < len) buf_puts(&text, unit);
    double begin = clock_seconds();
    tokenizer_encode(t, &l, text.data, text.len, &all, 1);
    CHECK(clock_seconds() - begin < 20);        /* linear takes a fraction of a second, quadratic minutes */
    tokenizer_decode(t, &back, l.id, l.len, false);
    if (!t->normalizers.len) CHECK(back.len == text.len && memcmp(back.data, text.data, text.len) == 0);
    buf_release(&text);
    buf_release(&back);
    token_list_release(&l);
}

TEST(long_pieces_take_linear_time)
{
    static const char *const units[] = { "a", " ", "\n", "ab", "e\xCC\x81", "=*", "1", "\xE6\xBC\xA2", " <mask>", "<sep> ", " \n", "<|endoftext", "'" };
    static const char *const names[] = { "starcoder", "qwen2", "deepseek-coder", "llama3", "custom" };
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        struct tokenizer *t = family_open(names[k]);
        for (size_t i = 0; i < sizeof units / sizeof *units; i++)
            if (k != 4 || strcmp(units[i], "e\xCC\x81") != 0) check_long(t, units[i], 300000);
        tokenizer_close(t);
    }
}

/* ---- scanners against PCRE2 ---- */

static const char *const pieces[] = {
    "a", "Z", "'s", "'T", "'ll", "'RE", "\xC5\xBF", "'\xC5\xBF", "e\xCC\x81", "\xC3\xBC", "\xE6\xBC\xA2", "\xE0\xA0\x80", "\xEA\xB0\x80", "\xED\x9F\xBF", "\xD0\xB8",
    "1", "23", "\xC2\xBD", "\xD9\xA3", " ", "  ", "\t", "\n", "\r", "\r\n", "\x0b", "\xC2\x85", "\xC2\xA0", "\xE3\x80\x80", "\xE2\x80\xA8", "\xE2\x80\x8B", "\xEF\xBB\xBF",
    ".", "!?", "_", "-", "(", "\xE3\x80\x82", "\xE2\x80\x99", "$", "\xF0\x9F\x98\x80", "\xE2\x80\x8D", "\x01",
};

/* All matches of a stage, as numbers. */
static void matches_put(struct buf *out, const struct stage *st, struct encoder *e, const char *s, size_t len)
{
    struct matches m = { .stage = st, .e = e, .s = s, .len = len };
    struct span match;
    while (matches_next(&m, &match)) buf_printf(out, "%zu-%zu ", match.begin, match.end);
}

static void check_scanner(const struct scanner_row *row, struct encoder *e)
{
    struct stage scanner = { .next = row->next, .mask = row->mask }, regex = { .next = scan_regex };
    struct buf text = { 0 }, found = { 0 }, expected = { 0 };
    CHECK_OK(regex_compile(&regex.regex, row->pattern, strlen(row->pattern), "a.json", err));
    for (uint64_t i = 0; i < 4000; i++) {
        uint32_t n = 1 + random_u32(21, i, 0) % 24;
        buf_clear(&text);
        buf_clear(&found);
        buf_clear(&expected);
        for (uint32_t k = 1; k <= n; k++) buf_puts(&text, pieces[random_u32(21, i, k) % (sizeof pieces / sizeof *pieces)]);
        matches_put(&found, &scanner, e, text.data, text.len);
        matches_put(&expected, &regex, e, text.data, text.len);
        if (found.len != expected.len || (found.len && memcmp(found.data, expected.data, found.len) != 0))
            test_failed(__FILE__, __LINE__, "\"%s\" matches %s, expected %s, in \"%s\"", row->pattern, found.data, expected.data, text.data);
    }
    buf_release(&text);
    buf_release(&found);
    buf_release(&expected);
    pcre2_code_free(regex.regex);
}

TEST(scanners_do_what_their_patterns_say)
{
    struct tokenizer *t = family_open("gpt2");
    struct encoder e = { .t = t };
    for (const struct scanner_row *row = scanners; row->pattern; row++) check_scanner(row, &e);
    encoder_release(&e);
    tokenizer_close(t);
}

/* ---- alignment ---- */

TEST(tokens_lie_where_they_came_from)
{
    struct tokenizer *t = family_open("starcoder");
    const char text[] = "def f(x):\n    return x + 42  # <|endoftext|> \xE6\xBC\xA2\xE5\xAD\x97";
    struct token_list l = { 0 };
    tokenizer_encode(t, &l, text, sizeof text - 1, NULL, 0);
    size_t *begin = mem_alloc((l.len + 1) * sizeof *begin), len;
    CHECK_OK(tokenizer_align(begin, t, l.id, l.len, text, sizeof text - 1, err));
    CHECK_INT(begin[0], 0);
    CHECK_INT(begin[l.len], sizeof text - 1);
    for (size_t i = 0; i < l.len; i++) {
        const char *bytes = tokenizer_bytes(t, l.id[i], &len);
        CHECK(begin[i] + len == begin[i + 1] && memcmp(text + begin[i], bytes, len) == 0);
    }
    mem_free(begin);
    token_list_release(&l);
    tokenizer_close(t);
}
