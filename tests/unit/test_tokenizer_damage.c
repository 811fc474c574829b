/* test_tokenizer_damage.c - damaged and foreign tokenizer files: each must end in one clear sentence with the right
 * status. JSON is parsed from exactly sized memory, so that a read past its end is seen by AddressSanitizer. */
#include "test.h"
#include "text/text.h"

/* One sentence that names the file. */
static void check_message(const char *name, sc_status found, sc_status expected, const sc_error *e, const char *part)
{
    if (found != expected || !strstr(e->message, part))
        test_failed(__FILE__, __LINE__, "%s: status %s, message \"%s\", expected %s with \"%s\"", name, sc_status_name(found), e->message, sc_status_name(expected), part);
    if (found == SC_OK) return;
    if (strlen(e->message) < 15 || strchr(e->message, '\n') || !strstr(e->message, "a.file"))
        test_failed(__FILE__, __LINE__, "%s: \"%s\" is no clear sentence about the file", name, e->message);
}

/* A tokenizer that opened must work. */
static void use(const struct tokenizer *t)
{
    static const char text[] = "ab<|x|> 12\xff\xC3\xA9\n";
    struct token_list l = { 0 };
    struct buf back = { 0 };
    struct span all = { 0, sizeof text - 1 };
    tokenizer_encode(t, &l, text, sizeof text - 1, &all, 1);
    for (size_t i = 0; i < l.len; i++) CHECK(l.id[i] >= 0 && (size_t)l.id[i] < tokenizer_vocab(t));
    tokenizer_decode(t, &back, l.id, l.len, true);
    buf_release(&back);
    token_list_release(&l);
}

/* ---- tokenizer.json --------------------------------------------------------------------------------------------------------- */

static sc_status open_json_copy(const char *json, size_t len, sc_error *e)
{
    struct tokenizer *t = NULL;
    char *copy = malloc(len ? len : 1);
    if (len) memcpy(copy, json, len);
    sc_status status = tokenizer_open_json(&t, copy, len, "a.file", e);
    free(copy);
    CHECK((status == SC_OK) == (t != NULL));
    if (t) use(t);
    tokenizer_close(t);
    return status;
}

#define LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}"
#define VOCAB "{\"a\":0,\"b\":1,\"ab\":2}"
#define BPE(vocab, merges) "{\"type\":\"BPE\",\"vocab\":" vocab ",\"merges\":" merges "}"
#define FILE_OF(added, normalizer, pre, decoder, model) \
    "{\"added_tokens\":" added ",\"normalizer\":" normalizer ",\"pre_tokenizer\":" pre ",\"decoder\":" decoder ",\"model\":" model "}"
#define MODEL(model) FILE_OF("[]", "null", LEVEL, LEVEL, model)
#define VOCABULARY(vocab) MODEL(BPE(vocab, "[]"))
#define MERGES(merges) MODEL(BPE(VOCAB, merges))
#define ADDED(added) FILE_OF(added, "null", LEVEL, LEVEL, BPE(VOCAB, "[]"))
#define NORMALIZER(n) FILE_OF("[]", n, LEVEL, LEVEL, BPE(VOCAB, "[]"))
#define PRE(pre) FILE_OF("[]", "null", pre, LEVEL, BPE(VOCAB, "[]"))
#define SPLIT(pattern) PRE("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":" pattern ",\"behavior\":\"Isolated\",\"invert\":false}," LEVEL "]}")
#define DEEP_8(x) "[[[[[[[[" x "]]]]]]]]"
#define DEEP_64(x) DEEP_8(DEEP_8(DEEP_8(DEEP_8(DEEP_8(DEEP_8(DEEP_8(DEEP_8(x))))))))

static const struct { const char *name, *json; sc_status status; const char *part; } JSON_CASES[] = {
    { "good", MERGES("[\"a b\"]"), SC_OK, "" }, { "good, pairs", MERGES("[[\"a\",\"b\"]]"), SC_OK, "" },
    { "good, escapes", MODEL(BPE("{\"\\u0061\":0,\"b\":1,\"a\\u0062\":2,\"\\ud83d\\ude00\":3}", "[\"\\u0061 b\"]")), SC_OK, "" },
    { "good, version line", MERGES("[\"#version: 0.2\",\"a b\"]"), SC_OK, "" },
    { "good, gap", VOCABULARY("{\"a\":0,\"b\":900}"), SC_OK, "" }, { "good, added", ADDED("[{\"id\":3,\"content\":\"<|x|>\",\"special\":true}]"), SC_OK, "" },
    { "empty", "", SC_E_FORMAT, "ends at byte 0" }, { "blank", " \n", SC_E_FORMAT, "expected '{'" }, { "no JSON", "hello", SC_E_FORMAT, "expected '{'" },
    { "list", "[]", SC_E_FORMAT, "expected '{'" }, { "nothing in it", "{}", SC_E_FORMAT, "\"model\" is missing" },
    { "cut off", "{\"model\":{\"vocab\":{\"a\":0,", SC_E_FORMAT, "ends at byte" }, { "text behind", MERGES("[]") "x", SC_E_FORMAT, "not valid JSON" },
    { "broken UTF-8", "{\"model\":\"\xff\"}", SC_E_FORMAT, "not UTF-8" }, { "UTF-16", "\xff\xfe{\0}\0", SC_E_FORMAT, "not UTF-8" },
    { "deep", "{\"x\":" DEEP_64("[1]") "}", SC_E_FORMAT, "nested deeper than 64" },
    { "deep in the vocabulary", VOCABULARY(DEEP_64("[1]")), SC_E_FORMAT, "nested deeper than 64" },
    { "key twice", "{\"decoder\":null," "\"decoder\":null,\"model\":{}}", SC_E_FORMAT, "duplicate" },
    { "model twice", "{\"model\":" BPE(VOCAB, "[]") ",\"model\":" BPE(VOCAB, "[]") "}", SC_E_FORMAT, "twice" },
    { "vocab twice", MODEL("{\"vocab\":{},\"merges\":[],\"vocab\":{}}"), SC_E_FORMAT, "twice" },
    /* the model */
    { "model is a list", MODEL("[]"), SC_E_FORMAT, "\"model\" is missing" }, { "model is null", MODEL("null"), SC_E_FORMAT, "\"model\" is missing" },
    { "type is a number", MODEL("{\"type\":5,\"vocab\":{\"a\":0},\"merges\":[]}"), SC_E_FORMAT, "\"type\"" },
    { "WordPiece", MODEL("{\"type\":\"WordPiece\",\"vocab\":{}}"), SC_E_UNSUPPORTED, "type \"WordPiece\"" },
    { "no vocab", MODEL("{\"type\":\"BPE\",\"merges\":[]}"), SC_E_FORMAT, "lacks \"vocab\"" }, { "no merges", MODEL("{\"type\":\"BPE\",\"vocab\":{\"a\":0}}"), SC_E_FORMAT, "lacks \"merges\"" },
    { "vocab is empty", VOCABULARY("{}"), SC_E_FORMAT, "vocabulary is empty" }, { "vocab is null", VOCABULARY("null"), SC_E_FORMAT, "expected '{'" },
    { "vocab is a list", VOCABULARY("[[\"a\",0]]"), SC_E_FORMAT, "expected '{'" }, { "id is a text", VOCABULARY("{\"a\":\"0\"}"), SC_E_FORMAT, "whole number" },
    { "id is negative", VOCABULARY("{\"a\":-1}"), SC_E_FORMAT, "whole number" }, { "id is a fraction", VOCABULARY("{\"a\":0.5}"), SC_E_FORMAT, "whole number" },
    { "id is 1e3", VOCABULARY("{\"a\":1e3}"), SC_E_FORMAT, "whole number" }, { "id is null", VOCABULARY("{\"a\":null}"), SC_E_FORMAT, "whole number" },
    { "id is huge", VOCABULARY("{\"a\":2000000}"), SC_E_FORMAT, "out of range" }, { "id is 2^63", VOCABULARY("{\"a\":9223372036854775808}"), SC_E_FORMAT, "out of range" },
    { "id is 2^64", VOCABULARY("{\"a\":18446744073709551616}"), SC_E_FORMAT, "64 bits" }, { "id twice", VOCABULARY("{\"a\":0,\"b\":0}"), SC_E_FORMAT, "id 0 is given twice" },
    { "token twice", VOCABULARY("{\"a\":0,\"a\":1}"), SC_E_FORMAT, "has \"a\" twice" }, { "token twice by escape", VOCABULARY("{\"a\":0,\"\\u0061\":1}"), SC_E_FORMAT, "has \"a\" twice" },
    { "half a surrogate", VOCABULARY("{\"\\ud83d\":0}"), SC_E_FORMAT, "half a surrogate" }, { "bad escape", VOCABULARY("{\"\\q\":0}"), SC_E_FORMAT, "escape" },
    { "unknown token missing", MODEL("{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"vocab\":{\"a\":0},\"merges\":[]}"), SC_E_FORMAT, "unknown token \"<unk>\"" },
    { "ignore_merges is a text", MODEL("{\"type\":\"BPE\",\"ignore_merges\":\"no\",\"vocab\":{\"a\":0},\"merges\":[]}"), SC_E_FORMAT, "ignore_merges" },
    { "word marks", MODEL("{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\",\"vocab\":{\"a\":0},\"merges\":[]}"), SC_E_UNSUPPORTED, "\"</w>\"" },
    /* merges */
    { "merge of three", MERGES("[\"a b ab\"]"), SC_E_FORMAT, "merge 0 is \"a b ab\"" }, { "merge of one", MERGES("[\"ab\"]"), SC_E_FORMAT, "expected two tokens" },
    { "merge of a stranger", MERGES("[\"a x\"]"), SC_E_FORMAT, "needs the token \"x\"" }, { "merge to a stranger", MERGES("[\"a b\",\"b a\"]"), SC_E_FORMAT, "merge 1 needs the token \"ba\"" },
    { "merge of a number", MERGES("[7]"), SC_E_FORMAT, "expected a string" }, { "pair of three", MERGES("[[\"a\",\"b\",\"a\"]]"), SC_E_FORMAT, "expected ']'" },
    { "pair of one", MERGES("[[\"a\"]]"), SC_E_FORMAT, "expected ','" }, { "empty pair", MERGES("[[]]"), SC_E_FORMAT, "expected a string" },
    { "pair of nothing", MERGES("[[\"\",\"a\"]]"), SC_E_FORMAT, "needs the token \"\"" }, { "merges is an object", MERGES("{}"), SC_E_FORMAT, "expected '['" },
    /* SentencePiece */
    { "Unigram", MODEL("{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0.0]]}"), SC_E_UNSUPPORTED, "a SentencePiece vocabulary (Unigram)" },
    { "byte_fallback", MODEL("{\"type\":\"BPE\",\"byte_fallback\":true,\"vocab\":{\"a\":0},\"merges\":[]}"), SC_E_UNSUPPORTED, "a SentencePiece vocabulary (byte_fallback)" },
    { "Metaspace", PRE("{\"type\":\"Metaspace\",\"replacement\":\"_\"}"), SC_E_UNSUPPORTED, "a SentencePiece vocabulary" },
    /* what stands before the model */
    { "no pre-tokenizer", PRE("null"), SC_E_UNSUPPORTED, "no ByteLevel" }, { "pre-tokenizer is a text", PRE("\"ByteLevel\""), SC_E_FORMAT, "pre_tokenizer" },
    { "unknown pre-tokenizer", PRE("{\"type\":\"Bert\\u001b[2J\"}"), SC_E_UNSUPPORTED, "pre-tokenizer \"Bert\\x1B[2J\"" },
    { "pre-tokenizer behind ByteLevel", PRE("{\"type\":\"Sequence\",\"pretokenizers\":[" LEVEL ",{\"type\":\"Digits\"}]}"), SC_E_UNSUPPORTED, "follows ByteLevel" },
    { "sequence of nothing", PRE("{\"type\":\"Sequence\"}"), SC_E_FORMAT, "pretokenizers" }, { "sequence of numbers", PRE("{\"type\":\"Sequence\",\"pretokenizers\":[1]}"), SC_E_UNSUPPORTED, "(no type)" },
    { "bad regex", SPLIT("{\"Regex\":\"(a\"}"), SC_E_UNSUPPORTED, "cannot be compiled" }, { "regex of another dialect", SPLIT("{\"Regex\":\"[a&&b]\"}"), SC_E_UNSUPPORTED, "&&" },
    { "no pattern", SPLIT("{}"), SC_E_FORMAT, "pattern" }, { "empty pattern", SPLIT("{\"String\":\"\"}"), SC_E_UNSUPPORTED, "empty" },
    { "behaviour", PRE("{\"type\":\"Split\",\"pattern\":{\"String\":\"x\"},\"behavior\":\"Shredded\"}"), SC_E_FORMAT, "\"Shredded\"" },
    { "use_regex is a text", PRE("{\"type\":\"ByteLevel\",\"use_regex\":\"yes\"}"), SC_E_FORMAT, "use_regex" },
    { "unknown normalizer", NORMALIZER("{\"type\":\"BertNormalizer\"}"), SC_E_UNSUPPORTED, "normalizer \"BertNormalizer\"" }, { "normalizer is a text", NORMALIZER("\"NFC\""), SC_E_FORMAT, "normalizer" },
    { "replace by nothing", NORMALIZER("{\"type\":\"Replace\",\"pattern\":{\"String\":\"x\"}}"), SC_E_FORMAT, "\"content\"" },
    { "no decoder", FILE_OF("[]", "null", LEVEL, "null", BPE(VOCAB, "[]")), SC_E_UNSUPPORTED, "decoder" },
    { "another decoder", FILE_OF("[]", "null", LEVEL, "{\"type\":\"WordPiece\"}", BPE(VOCAB, "[]")), SC_E_UNSUPPORTED, "decoder \"WordPiece\"" },
    /* added tokens */
    { "added is an object", ADDED("{}"), SC_E_FORMAT, "added_tokens" }, { "added is a number", ADDED("[1]"), SC_E_FORMAT, "added token" },
    { "added without content", ADDED("[{\"id\":3}]"), SC_E_FORMAT, "no \"content\"" }, { "added without id", ADDED("[{\"content\":\"<x>\"}]"), SC_E_FORMAT, "\"id\"" },
    { "added with a negative id", ADDED("[{\"id\":-1,\"content\":\"<x>\"}]"), SC_E_FORMAT, "-1" }, { "added with a huge id", ADDED("[{\"id\":2000000,\"content\":\"<x>\"}]"), SC_E_FORMAT, "out of range" },
    { "added with a text as id", ADDED("[{\"id\":\"3\",\"content\":\"<x>\"}]"), SC_E_FORMAT, "\"id\"" }, { "added in another's place", ADDED("[{\"id\":1,\"content\":\"<x>\"}]"), SC_E_FORMAT, "which another token has" },
    { "added with a text as flag", ADDED("[{\"id\":3,\"content\":\"<x>\",\"special\":\"true\"}]"), SC_E_FORMAT, "special" },
};

TEST(damage_json)
{
    for (size_t i = 0; i < sizeof JSON_CASES / sizeof JSON_CASES[0]; i++) {
        sc_error e = { 0 };
        sc_status status = open_json_copy(JSON_CASES[i].json, strlen(JSON_CASES[i].json), &e);
        check_message(JSON_CASES[i].name, status, JSON_CASES[i].status, &e, JSON_CASES[i].part);
    }
}

static const char whole[] = FILE_OF("[{\"id\":3,\"content\":\"<|x|>\",\"special\":true}]", "{\"type\":\"NFC\"}",
    "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[0-9]|x?\"},\"behavior\":\"MergedWithNext\",\"invert\":false}," LEVEL "]}",
    LEVEL, BPE("{\"a\":0,\"b\":1,\"ab\":2}", "[\"a b\",[\"a\",\"b\"]]"));

TEST(damage_json_cut_at_every_byte)
{
    sc_error e = { 0 };
    check_message("whole", open_json_copy(whole, sizeof whole - 1, &e), SC_OK, &e, "");
    for (size_t n = 0; n < sizeof whole - 1; n++) check_message("cut", open_json_copy(whole, n, &e), SC_E_FORMAT, &e, "");
}

/* Any outcome but a crash; a refusal has a message. */
TEST(damage_json_flipped_bytes)
{
    static const char signs[] = "\"{}[]:,\\0-9aeu \xff\xC3\0";
    char copy[sizeof whole];
    for (uint64_t r = 0; r < 6000; r++) {
        sc_error e = { 0 };
        memcpy(copy, whole, sizeof whole);
        for (uint64_t k = 0; k <= r % 3; k++)
            copy[random_u32(7, r, 2 * k) % (sizeof whole - 1)] = signs[random_u32(7, r, 2 * k + 1) % (sizeof signs - 1)];
        if (open_json_copy(copy, sizeof whole - 1, &e) != SC_OK) CHECK(strlen(e.message) > 15);
    }
}

/* ---- GGUF -------------------------------------------------------------------------------------------------------------------- */

static char gguf_path[256];

static const struct gguf_string abc[] = { { "a", 1 }, { "b", 1 }, { "ab", 2 }, { "<|x|>", 5 } }, merge[] = { { "a b", 3 } };
static const int32_t types[] = { 1, 1, 1, 3 };

static void put_text(struct gguf_writer *w, const char *key, const char *text) { gguf_put_string(w, key, text, strlen(text)); }
static void put_head(struct gguf_writer *w) { put_text(w, "tokenizer.ggml.model", "gpt2"); put_text(w, "tokenizer.ggml.pre", "gpt-2"); }
static void put_tokens(struct gguf_writer *w) { gguf_put_string_array(w, "tokenizer.ggml.tokens", abc, 4); }
static void put_merges(struct gguf_writer *w) { gguf_put_string_array(w, "tokenizer.ggml.merges", merge, 1); }
static void put_types(struct gguf_writer *w) { gguf_put_int32_array(w, "tokenizer.ggml.token_type", types, 4); }
static void put_all(struct gguf_writer *w) { put_head(w); put_tokens(w); put_merges(w); put_types(w); }

static void g_good(struct gguf_writer *w) { put_all(w); }
static void g_good_no_types(struct gguf_writer *w) { put_head(w); put_tokens(w); put_merges(w); }
static void g_good_no_role(struct gguf_writer *w) { put_all(w); gguf_put_uint32(w, "tokenizer.ggml.bos_token_id", UINT32_MAX); }
static void g_nothing(struct gguf_writer *w) { put_text(w, "general.name", "x"); }
static void g_model(struct gguf_writer *w, const char *name) { put_text(w, "tokenizer.ggml.model", name); put_tokens(w); put_merges(w); }
static void g_spm(struct gguf_writer *w) { g_model(w, "llama"); }
static void g_t5(struct gguf_writer *w) { g_model(w, "t5"); }
static void g_bert(struct gguf_writer *w) { g_model(w, "bert"); }
static void g_model_number(struct gguf_writer *w) { gguf_put_uint32(w, "tokenizer.ggml.model", 2); put_tokens(w); put_merges(w); }
static void g_pre(struct gguf_writer *w) { put_text(w, "tokenizer.ggml.model", "gpt2"); put_text(w, "tokenizer.ggml.pre", "viking"); put_tokens(w); put_merges(w); }
static void g_no_tokens(struct gguf_writer *w) { put_head(w); put_merges(w); }
static void g_no_merges(struct gguf_writer *w) { put_head(w); put_tokens(w); }
static void g_tokens_numbers(struct gguf_writer *w) { put_head(w); gguf_put_int32_array(w, "tokenizer.ggml.tokens", types, 4); put_merges(w); }
static void g_tokens_text(struct gguf_writer *w) { put_head(w); put_text(w, "tokenizer.ggml.tokens", "a b"); put_merges(w); }
static void g_tokens_none(struct gguf_writer *w) { put_head(w); gguf_put_string_array(w, "tokenizer.ggml.tokens", abc, 0); gguf_put_string_array(w, "tokenizer.ggml.merges", merge, 0); }
static void g_types_few(struct gguf_writer *w) { put_head(w); put_tokens(w); put_merges(w); gguf_put_int32_array(w, "tokenizer.ggml.token_type", types, 3); }
static void g_types_texts(struct gguf_writer *w) { put_head(w); put_tokens(w); put_merges(w); gguf_put_string_array(w, "tokenizer.ggml.token_type", abc, 4); }
static void g_types_reals(struct gguf_writer *w) { static const float reals[4]; put_head(w); put_tokens(w); put_merges(w); gguf_put_float32_array(w, "tokenizer.ggml.token_type", reals, 4); }
static void g_type_9(struct gguf_writer *w) { static const int32_t t[] = { 1, 1, 1, 9 }; put_head(w); put_tokens(w); put_merges(w); gguf_put_int32_array(w, "tokenizer.ggml.token_type", t, 4); }
static void g_type_negative(struct gguf_writer *w) { static const int32_t t[] = { 1, -1, 1, 3 }; put_head(w); put_tokens(w); put_merges(w); gguf_put_int32_array(w, "tokenizer.ggml.token_type", t, 4); }
static void g_token_twice(struct gguf_writer *w) { static const struct gguf_string s[] = { { "a", 1 }, { "b", 1 }, { "ab", 2 }, { "a", 1 } }; put_head(w); gguf_put_string_array(w, "tokenizer.ggml.tokens", s, 4); put_merges(w); }
static void g_token_utf8(struct gguf_writer *w) { static const struct gguf_string s[] = { { "a", 1 }, { "b\xff", 2 }, { "ab", 2 } }; put_head(w); gguf_put_string_array(w, "tokenizer.ggml.tokens", s, 3); put_merges(w); }
static void merge_one(struct gguf_writer *w, const char *text, size_t len) { put_head(w); put_tokens(w); gguf_put_string_array(w, "tokenizer.ggml.merges", &(struct gguf_string){ text, len }, 1); }
static void g_merge_stranger(struct gguf_writer *w) { merge_one(w, "a x", 3); }
static void g_merge_one(struct gguf_writer *w) { merge_one(w, "ab", 2); }
static void g_merge_three(struct gguf_writer *w) { merge_one(w, "a b ab", 6); }
static void g_merge_utf8(struct gguf_writer *w) { merge_one(w, "a \xff", 3); }
static void g_merges_numbers(struct gguf_writer *w) { put_head(w); put_tokens(w); gguf_put_int32_array(w, "tokenizer.ggml.merges", types, 4); }
static void g_role_text(struct gguf_writer *w) { put_all(w); put_text(w, "tokenizer.ggml.eos_token_id", "2"); }
static void g_role_beyond(struct gguf_writer *w) { put_all(w); gguf_put_uint32(w, "tokenizer.ggml.eos_token_id", 4); }
static void g_bos_number(struct gguf_writer *w) { put_all(w); gguf_put_uint32(w, "tokenizer.ggml.add_bos_token", 1); }

static const struct { const char *name; void (*make)(struct gguf_writer *w); sc_status status; const char *part; } GGUF_CASES[] = {
    { "good", g_good, SC_OK, "" }, { "good, no types", g_good_no_types, SC_OK, "" }, { "good, no begin token", g_good_no_role, SC_OK, "" },
    { "no vocabulary", g_nothing, SC_E_FORMAT, "tokenizer.ggml.model is missing" }, { "SentencePiece", g_spm, SC_E_UNSUPPORTED, "a SentencePiece vocabulary" },
    { "Unigram", g_t5, SC_E_UNSUPPORTED, "a SentencePiece vocabulary" }, { "WordPiece", g_bert, SC_E_UNSUPPORTED, "another kind (tokenizer.ggml.model is \"bert\")" },
    { "model is a number", g_model_number, SC_E_FORMAT, "expected a string" }, { "unknown pre-tokeniser", g_pre, SC_E_UNSUPPORTED, "\"viking\"" },
    { "no tokens", g_no_tokens, SC_E_FORMAT, "tokenizer.ggml.tokens is missing" }, { "no merges", g_no_merges, SC_E_FORMAT, "tokenizer.ggml.merges is missing" },
    { "tokens are numbers", g_tokens_numbers, SC_E_FORMAT, "not an array of strings" }, { "tokens are a text", g_tokens_text, SC_E_FORMAT, "not an array of strings" },
    { "tokens are none", g_tokens_none, SC_E_FORMAT, "vocabulary is empty" }, { "types are few", g_types_few, SC_E_FORMAT, "3 entries, expected 4" },
    { "types are texts", g_types_texts, SC_E_FORMAT, "not an array of integers" }, { "types are reals", g_types_reals, SC_E_FORMAT, "not an array of integers" },
    { "type 9", g_type_9, SC_E_FORMAT, "token 3 has the type 9" }, { "type -1", g_type_negative, SC_E_FORMAT, "token 1 has the type -1" },
    { "token twice", g_token_twice, SC_E_FORMAT, "\"a\" twice" }, { "token is broken", g_token_utf8, SC_E_FORMAT, "token 1 is not UTF-8" },
    { "merge of a stranger", g_merge_stranger, SC_E_FORMAT, "needs the token \"x\"" }, { "merge of one", g_merge_one, SC_E_FORMAT, "expected two tokens" },
    { "merge of three", g_merge_three, SC_E_FORMAT, "expected two tokens" }, { "merge is broken", g_merge_utf8, SC_E_FORMAT, "merge 0 is not UTF-8" },
    { "merges are numbers", g_merges_numbers, SC_E_FORMAT, "not an array of strings" }, { "role is a text", g_role_text, SC_E_FORMAT, "expected an integer" },
    { "role beyond the vocabulary", g_role_beyond, SC_E_FORMAT, "eos_token_id is 4" }, { "add_bos_token is a number", g_bos_number, SC_E_FORMAT, "expected true or false" },
};

static sc_status open_gguf(void (*make)(struct gguf_writer *w), sc_error *e)
{
    struct gguf_writer *w;
    struct tokenizer *t = NULL;
    CHECK_OK(gguf_writer_open(&w, gguf_path, true, err));
    make(w);
    CHECK_OK(gguf_writer_begin(w, NULL, 0, err));
    CHECK_OK(gguf_writer_finish(w, err));
    sc_status status = tokenizer_open(&t, gguf_path, e);
    CHECK((status == SC_OK) == (t != NULL));
    if (t) use(t);
    tokenizer_close(t);
    return status;
}

TEST(damage_gguf)
{
    snprintf(gguf_path, sizeof gguf_path, "%s/a.file", test_scratch());
    for (size_t i = 0; i < sizeof GGUF_CASES / sizeof GGUF_CASES[0]; i++) {
        sc_error e = { 0 };
        sc_status status = open_gguf(GGUF_CASES[i].make, &e);
        check_message(GGUF_CASES[i].name, status, GGUF_CASES[i].status, &e, GGUF_CASES[i].part);
    }
}

/* ---- what lies at a path -------------------------------------------------------------------------------------------------------- */

static char directory[256];

static void put_file(const char *name, const void *data, size_t len)
{
    char *path = path_join(directory, name);
    CHECK_OK(file_write(path, data, len, err));
    mem_free(path);
}

static void check_directory(const char *name, sc_status expected, const char *part)
{
    struct tokenizer *t = NULL;
    sc_error e = { 0 };
    sc_status status = tokenizer_open(&t, directory, &e);
    check_message(name, status, expected, &e, part);
    tokenizer_close(t);
}

/* The beginning of a SentencePiece model: a list of pieces with scores (protocol buffers). */
static const char sentencepiece[] = "\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02\x0a\x0c\x0a\x03<s>\x15\0\0\0\0\x18\x03";

TEST(sentencepiece_files)
{
    snprintf(directory, sizeof directory, "%s/a.file", test_scratch());
    CHECK_OK(path_make_directories(directory, err));
    check_directory("nothing", SC_E_IO, "holds no tokenizer.json");
    put_file("tokenizer.model", sentencepiece, sizeof sentencepiece - 1);
    check_directory("directory", SC_E_UNSUPPORTED, "a SentencePiece vocabulary (tokenizer.model)");
    char *path = path_join(directory, "tokenizer.model"), *other = path_join(directory, "other.bin");
    struct tokenizer *t = NULL;
    CHECK_FAILS(tokenizer_open(&t, path, err), SC_E_UNSUPPORTED, "tokenizer.model: a SentencePiece vocabulary");
    put_file("other.bin", sentencepiece, sizeof sentencepiece - 1);
    CHECK_FAILS(tokenizer_open(&t, other, err), SC_E_UNSUPPORTED, "other.bin: a SentencePiece vocabulary");
    put_file("other.bin", "\n\n\n\n\n\n\n\n", 8);
    CHECK_FAILS(tokenizer_open(&t, other, err), SC_E_FORMAT, "expected '{'");
    CHECK_FAILS(tokenizer_open(&t, "/nowhere/a.file", err), SC_E_IO, "/nowhere/a.file");
    mem_free(path);
    mem_free(other);
}

static void check_beside(const char *name, const char *file, const char *json, sc_status expected, const char *part)
{
    static const char *const files[] = { "added_tokens.json", "special_tokens_map.json", "tokenizer_config.json" };
    for (int i = 0; i < 3; i++) {
        char *path = path_join(directory, files[i]);
        remove(path);
        mem_free(path);
    }
    put_file(file, json, strlen(json));
    check_directory(name, expected, part);
}

TEST(damage_beside_the_tokenizer)
{
    snprintf(directory, sizeof directory, "%s/a.file", test_scratch());
    CHECK_OK(path_make_directories(directory, err));
    put_file("tokenizer.json", whole, sizeof whole - 1);
    check_directory("alone", SC_OK, "");
    check_beside("added", "added_tokens.json", "{\"<|x|>\":3,\"<|y|>\":4}", SC_OK, "");
    check_beside("cut off", "added_tokens.json", "{\"<|x|>\":", SC_E_FORMAT, "not valid JSON");
    check_beside("list", "added_tokens.json", "[]", SC_E_FORMAT, "expected a JSON object");
    check_beside("id is a text", "added_tokens.json", "{\"<|y|>\":\"4\"}", SC_E_FORMAT, "not an integer");
    check_beside("id is taken", "added_tokens.json", "{\"<|y|>\":2}", SC_E_FORMAT, "which another token has");
    check_beside("id is another", "added_tokens.json", "{\"<|x|>\":9}", SC_E_FORMAT, "has id 9, but 3");
    check_beside("id is negative", "added_tokens.json", "{\"<|y|>\":-5}", SC_E_FORMAT, "out of range");
    check_beside("id is huge", "added_tokens.json", "{\"<|y|>\":4000000000}", SC_E_FORMAT, "out of range");
    check_beside("config", "tokenizer_config.json", "{\"eos_token\":\"<|x|>\",\"model_max_length\":1000000000000000019884624838656}", SC_OK, "");
    check_beside("decoder key", "tokenizer_config.json", "{\"added_tokens_decoder\":{\"x\":{\"content\":\"<|y|>\"}}}", SC_E_FORMAT, "added_tokens_decoder");
    check_beside("decoder without content", "tokenizer_config.json", "{\"added_tokens_decoder\":{\"4\":{}}}", SC_E_FORMAT, "added_tokens_decoder");
    check_beside("decoder flag", "tokenizer_config.json", "{\"added_tokens_decoder\":{\"4\":{\"content\":\"<|y|>\",\"lstrip\":1}}}", SC_E_FORMAT, "lstrip");
    check_beside("bos flag", "tokenizer_config.json", "{\"add_bos_token\":\"yes\"}", SC_E_FORMAT, "add_bos_token");
    check_beside("map", "special_tokens_map.json", "{\"bos_token\":{\"content\":\"<|x|>\"},\"additional_special_tokens\":[\"<|y|>\",5,null]}", SC_OK, "");
}
