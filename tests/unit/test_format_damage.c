/* test_format_damage.c - damaged model files: each must end in one clear sentence with the right status.
 *
 * The files are put together here byte by byte, each with one thing wrong. They are parsed from exactly sized memory,
 * so that a read past the end is seen by AddressSanitizer. */
#include "test.h"
#include "format/format_internal.h"

/* One sentence that names the file. */
static void check_message(const char *name, sc_status found, sc_status expected, const sc_error *e, const char *part)
{
    if (found != expected || !strstr(e->message, part))
        test_failed(__FILE__, __LINE__, "%s: status %s, message \"%s\", expected %s with \"%s\"", name, sc_status_name(found), e->message, sc_status_name(expected), part);
    if (found == SC_OK) return;
    if (strlen(e->message) < 15 || strchr(e->message, '\n') || !strstr(e->message, "a.file"))
        test_failed(__FILE__, __LINE__, "%s: \"%s\" is no clear sentence about the file", name, e->message);
}

typedef sc_status (*parser)(struct model_file *m, const uint8_t *data, size_t size, const char *what, sc_error *err);

static sc_status parse_copy(parser parse, const void *data, size_t size, sc_error *e)
{
    uint8_t *copy = malloc(size);
    if (size) memcpy(copy, data, size);
    struct model_file *m = model_file_new(MODEL_GGUF, "a.file");
    sc_status status = parse(m, copy, size, "a.file", e);
    if (status == SC_OK) status = model_file_index_tensors(m, e);
    model_file_close(m);
    free(copy);
    return status;
}

/* ---- GGUF ------------------------------------------------------------------------------------------------------------------ */

static void u8(struct buf *b, uint8_t v) { buf_append(b, &v, 1); }
static void u32(struct buf *b, uint32_t v) { buf_append(b, &v, 4); }
static void u64(struct buf *b, uint64_t v) { buf_append(b, &v, 8); }
static void text(struct buf *b, const char *s) { u64(b, strlen(s)); buf_puts(b, s); }
static void head(struct buf *b, uint32_t version, uint64_t tensors, uint64_t keys) { buf_puts(b, "GGUF"); u32(b, version); u64(b, tensors); u64(b, keys); }
static void key(struct buf *b, const char *name, uint32_t type) { text(b, name); u32(b, type); }
static void key_u32(struct buf *b, const char *name, uint32_t v) { key(b, name, GGUF_U32); u32(b, v); }
static void array(struct buf *b, const char *name, uint32_t element, uint64_t count) { key(b, name, GGUF_ARRAY); u32(b, element); u64(b, count); }
static void pad(struct buf *b, size_t to) { while (b->len % to) u8(b, 0); }
static void zeros(struct buf *b, size_t n) { while (n--) u8(b, 0); }

/* A vector of f32 or whatever `type` says. */
static void tensor(struct buf *b, const char *name, uint64_t n, uint32_t type, uint64_t offset)
{
    text(b, name); u32(b, 1); u64(b, n); u32(b, type); u64(b, offset);
}

/* Two tensors of 8 and 3 floats: offsets 0 and 32, 44 bytes of data. */
static void two(struct buf *b, uint64_t second)
{
    head(b, 3, 2, 1); key_u32(b, "k", 1);
    tensor(b, "a", 8, 0, 0); tensor(b, "b", 3, 0, second);
    pad(b, 32); zeros(b, 44);
}

static void g_good(struct buf *b) { two(b, 32); }
static void g_good_v2(struct buf *b) { head(b, 2, 0, 0); }
static void g_good_padded(struct buf *b) { two(b, 32); pad(b, 32); }
static void g_empty(struct buf *b) { (void)b; }
static void g_magic(struct buf *b) { buf_puts(b, "GGUP"); u32(b, 3); u64(b, 0); u64(b, 0); }
static void g_version_0(struct buf *b) { head(b, 0, 0, 0); }
static void g_version_1(struct buf *b) { head(b, 1, 0, 0); }
static void g_version_4(struct buf *b) { head(b, 4, 0, 0); }
static void g_big_endian(struct buf *b) { head(b, 3u << 24, 0, 0); }
static void g_many_tensors(struct buf *b) { head(b, 3, 1u << 20, 0); }
static void g_many_tensors_64(struct buf *b) { head(b, 3, UINT64_MAX, 0); }
static void g_many_keys(struct buf *b) { head(b, 3, 0, UINT64_MAX / 2); zeros(b, 100); }
static void g_key_long(struct buf *b) { head(b, 3, 0, 1); u64(b, 1u << 20); zeros(b, 100); }
static void g_key_2_63(struct buf *b) { head(b, 3, 0, 1); u64(b, 1ull << 63); zeros(b, 100); }
static void g_key_minus_1(struct buf *b) { head(b, 3, 0, 1); u64(b, UINT64_MAX); zeros(b, 100); }
static void g_key_empty(struct buf *b) { head(b, 3, 0, 1); key_u32(b, "", 1); }
static void g_key_nul(struct buf *b) { head(b, 3, 0, 1); u64(b, 3); buf_append(b, "a\0b", 3); u32(b, 4); u32(b, 1); }
static void g_key_utf8(struct buf *b) { head(b, 3, 0, 1); key_u32(b, "\xff\xfe", 1); }
static void g_key_twice(struct buf *b) { head(b, 3, 0, 2); key_u32(b, "k", 1); key_u32(b, "k", 1); }
static void g_value_type(struct buf *b) { head(b, 3, 0, 1); key(b, "k", 13); u64(b, 1); }
static void g_value_missing(struct buf *b) { head(b, 3, 0, 1); key(b, "abc", GGUF_U64); u32(b, 1); }
static void g_bool_2(struct buf *b) { head(b, 3, 0, 1); key(b, "k", GGUF_BOOL); u8(b, 2); }
static void g_string_long(struct buf *b) { head(b, 3, 0, 1); key(b, "k", GGUF_STRING); u64(b, 1ull << 40); }
static void g_array_of_arrays(struct buf *b) { head(b, 3, 0, 1); array(b, "k", GGUF_ARRAY, 1); array(b, "x", 4, 0); }
static void g_array_type(struct buf *b) { head(b, 3, 0, 1); array(b, "k", 99, 1); }
static void g_array_long(struct buf *b) { head(b, 3, 0, 1); array(b, "k", GGUF_F64, 1u << 29); zeros(b, 64); }
static void g_array_2_61(struct buf *b) { head(b, 3, 0, 1); array(b, "k", GGUF_F64, 1ull << 61); zeros(b, 64); }
static void g_array_strings(struct buf *b) { head(b, 3, 0, 1); array(b, "k", GGUF_STRING, 1u << 27); zeros(b, 64); }
static void g_array_string_long(struct buf *b) { head(b, 3, 0, 1); array(b, "k", GGUF_STRING, 2); text(b, "x"); u64(b, 1000); }
static void g_alignment(struct buf *b, uint32_t a) { head(b, 3, 1, 1); key_u32(b, "general.alignment", a); tensor(b, "t", 8, 0, 0); pad(b, 32); zeros(b, 32); }
static void g_alignment_0(struct buf *b) { g_alignment(b, 0); }
static void g_alignment_3(struct buf *b) { g_alignment(b, 3); }
static void g_alignment_2_31(struct buf *b) { g_alignment(b, 1u << 31); }
static void g_alignment_type(struct buf *b) { head(b, 3, 0, 1); key(b, "general.alignment", GGUF_STRING); text(b, "32"); }
static void g_template_type(struct buf *b) { head(b, 3, 0, 1); key_u32(b, "tokenizer.chat_template", 32); }
static void g_template_nul(struct buf *b) { head(b, 3, 0, 1); key(b, "tokenizer.chat_template", GGUF_STRING); u64(b, 2); zeros(b, 2); }
static void g_split(struct buf *b) { head(b, 3, 0, 1); key_u32(b, "split.count", 4); }
static void g_overlap(struct buf *b) { two(b, 0); }
static void g_hole(struct buf *b) { two(b, 64); }
static void g_unaligned(struct buf *b) { two(b, 33); }
static void g_offset_huge(struct buf *b) { two(b, UINT64_MAX - 31); }
static void g_same_name(struct buf *b) { head(b, 3, 2, 0); tensor(b, "a", 8, 0, 0); tensor(b, "a", 8, 0, 32); pad(b, 32); zeros(b, 64); }
static void g_long_name(struct buf *b)
{
    head(b, 3, 1, 0);
    tensor(b, "0123456789012345678901234567890123456789012345678901234567890123", 8, 0, 0); pad(b, 32); zeros(b, 32);
}
static void g_no_name(struct buf *b) { head(b, 3, 1, 0); tensor(b, "", 8, 0, 0); pad(b, 32); zeros(b, 32); }
static void g_dims_5(struct buf *b) { head(b, 3, 1, 0); text(b, "t"); u32(b, 5); for (int i = 0; i < 5; i++) u64(b, 1); u32(b, 0); u64(b, 0); }
static void g_dims_overflow(struct buf *b) { head(b, 3, 1, 0); text(b, "t"); u32(b, 3); u64(b, 1u << 30); u64(b, 1u << 30); u64(b, 1u << 30); u32(b, 0); u64(b, 0); zeros(b, 64); }
static void g_dims_bytes(struct buf *b) { head(b, 3, 1, 0); text(b, "t"); u32(b, 2); u64(b, 1ull << 31); u64(b, 1ull << 31); u32(b, 28); u64(b, 0); zeros(b, 64); }
static void g_dims_negative(struct buf *b) { head(b, 3, 1, 0); tensor(b, "t", UINT64_MAX, 0, 0); zeros(b, 64); }
static void g_dims_zero_times_huge(struct buf *b) { head(b, 3, 1, 0); text(b, "t"); u32(b, 3); u64(b, 0); u64(b, INT64_MAX); u64(b, INT64_MAX); u32(b, 0); u64(b, 0); zeros(b, 64); }
static void g_block(struct buf *b) { head(b, 3, 1, 0); tensor(b, "t", 48, 2, 0); zeros(b, 64); }
static void g_type_q2_k(struct buf *b) { head(b, 3, 1, 0); tensor(b, "blk.0.w", 256, 10, 0); zeros(b, 128); }
static void g_type_iq(struct buf *b) { head(b, 3, 1, 0); tensor(b, "blk.0.w", 256, 23, 0); zeros(b, 256); }
static void g_type_unknown(struct buf *b) { head(b, 3, 1, 0); tensor(b, "t", 8, 4000, 0); zeros(b, 64); }
static void g_beyond(struct buf *b) { head(b, 3, 1, 0); tensor(b, "t", 1u << 30, 0, 0); zeros(b, 64); }
static void g_tail(struct buf *b) { two(b, 32); zeros(b, 100); }
static void g_tensor_hidden(struct buf *b) { head(b, 3, 1, 1); key_u32(b, "k", 1); tensor(b, "a", 8, 0, 0); tensor(b, "b", 3, 0, 32); pad(b, 32); zeros(b, 44); }

static const struct { const char *name; void (*make)(struct buf *b); sc_status status; const char *part; } GGUF_CASES[] = {
    { "good", g_good, SC_OK, "" }, { "good v2", g_good_v2, SC_OK, "" }, { "good padded", g_good_padded, SC_OK, "" },
    { "empty", g_empty, SC_E_FORMAT, "cut off" }, { "magic", g_magic, SC_E_FORMAT, "does not start with" },
    { "version 0", g_version_0, SC_E_UNSUPPORTED, "version 0" }, { "version 1", g_version_1, SC_E_UNSUPPORTED, "version 1" },
    { "version 4", g_version_4, SC_E_UNSUPPORTED, "version 4" }, { "big endian", g_big_endian, SC_E_UNSUPPORTED, "big-endian" },
    { "many tensors", g_many_tensors, SC_E_FORMAT, "claims 1048576 tensors" }, { "2^64 tensors", g_many_tensors_64, SC_E_FORMAT, "claims" },
    { "many keys", g_many_keys, SC_E_FORMAT, "claims" }, { "long key", g_key_long, SC_E_FORMAT, "claims 1048576 bytes" },
    { "key of 2^63", g_key_2_63, SC_E_FORMAT, "claims 9223372036854775808 bytes" }, { "key of 2^64-1", g_key_minus_1, SC_E_FORMAT, "claims 18446744073709551615" },
    { "empty key", g_key_empty, SC_E_FORMAT, "is empty" }, { "NUL in key", g_key_nul, SC_E_FORMAT, "not clean UTF-8" },
    { "broken key", g_key_utf8, SC_E_FORMAT, "not clean UTF-8" }, { "key twice", g_key_twice, SC_E_FORMAT, "\"k\" occurs twice" },
    { "value type", g_value_type, SC_E_FORMAT, "value type 13" }, { "no value", g_value_missing, SC_E_FORMAT, "cut off" },
    { "bool 2", g_bool_2, SC_E_FORMAT, "expected 0 or 1" }, { "long string", g_string_long, SC_E_FORMAT, "claims 1099511627776 bytes" },
    { "array of arrays", g_array_of_arrays, SC_E_FORMAT, "array of type 9" }, { "array type", g_array_type, SC_E_FORMAT, "array of type 99" },
    { "long array", g_array_long, SC_E_FORMAT, "has room for 8" }, { "array of 2^61", g_array_2_61, SC_E_FORMAT, "has room for 8" },
    { "many strings", g_array_strings, SC_E_FORMAT, "has room for 8" }, { "string beyond the end", g_array_string_long, SC_E_FORMAT, "claims 1000 bytes" },
    { "alignment 0", g_alignment_0, SC_E_FORMAT, "alignment is 0" }, { "alignment 3", g_alignment_3, SC_E_FORMAT, "alignment is 3" },
    { "alignment 2^31", g_alignment_2_31, SC_E_FORMAT, "alignment is 2147483648" }, { "alignment type", g_alignment_type, SC_E_FORMAT, "alignment has value type" },
    { "template type", g_template_type, SC_E_FORMAT, "expected a string" }, { "template NUL", g_template_nul, SC_E_FORMAT, "NUL" },
    { "split", g_split, SC_E_UNSUPPORTED, "one of 4 parts" },
    { "overlap", g_overlap, SC_E_FORMAT, "offset 0, expected 32" }, { "hole", g_hole, SC_E_FORMAT, "offset 64, expected 32" },
    { "unaligned", g_unaligned, SC_E_FORMAT, "offset 33, expected 32" }, { "huge offset", g_offset_huge, SC_E_FORMAT, "expected 32" },
    { "same name", g_same_name, SC_E_FORMAT, "\"a\" occurs twice" }, { "long name", g_long_name, SC_E_FORMAT, "64 bytes" }, { "no name", g_no_name, SC_E_FORMAT, "is empty" },
    { "5 dimensions", g_dims_5, SC_E_FORMAT, "5 dimensions" }, { "overflow", g_dims_overflow, SC_E_FORMAT, "impossible dimensions" },
    { "bytes overflow", g_dims_bytes, SC_E_FORMAT, "cannot hold" }, { "negative", g_dims_negative, SC_E_FORMAT, "impossible dimensions" },
    { "zero times huge", g_dims_zero_times_huge, SC_E_FORMAT, "impossible dimensions" },
    { "half a block", g_block, SC_E_FORMAT, "rows of 48" }, { "Q2_K", g_type_q2_k, SC_E_UNSUPPORTED, "\"blk.0.w\" is stored as Q2_K" },
    { "IQ4_XS", g_type_iq, SC_E_UNSUPPORTED, "\"blk.0.w\" is stored as IQ4_XS" }, { "type 4000", g_type_unknown, SC_E_UNSUPPORTED, "type 4000" },
    { "data beyond", g_beyond, SC_E_FORMAT, "cut off" }, { "tail", g_tail, SC_E_FORMAT, "follow the last tensor" },
    { "tensor not counted", g_tensor_hidden, SC_E_FORMAT, "follow the last tensor" },
};

TEST(damage_gguf)
{
    for (size_t i = 0; i < sizeof GGUF_CASES / sizeof GGUF_CASES[0]; i++) {
        struct buf b;
        sc_error e = { 0 };
        buf_init(&b, 0);
        GGUF_CASES[i].make(&b);
        sc_status status = parse_copy(gguf_parse, b.data, b.len, &e);
        check_message(GGUF_CASES[i].name, status, GGUF_CASES[i].status, &e, GGUF_CASES[i].part);
        buf_release(&b);
    }
}

TEST(damage_gguf_cut_at_every_byte)
{
    struct buf b;
    buf_init(&b, 0);
    g_good(&b);
    for (size_t n = 0; n < b.len; n++) {
        sc_error e = { 0 };
        check_message("cut", parse_copy(gguf_parse, b.data, n, &e), SC_E_FORMAT, &e, "");
    }
    buf_release(&b);
}

/* Any outcome but a crash; a refusal has a message. */
static void flip_bytes(parser parse, const struct buf *good, uint64_t rounds)
{
    char *copy = malloc(good->len);
    for (uint64_t r = 0; r < rounds; r++) {
        sc_error e = { 0 };
        memcpy(copy, good->data, good->len);
        for (uint64_t k = 0; k <= r % 3; k++) {
            uint32_t at = random_u32(5, r, 2 * k) % (uint32_t)good->len, value = random_u32(5, r, 2 * k + 1);
            copy[at] = (char)(r % 2 ? value : value % 2 ? 0xff : 0);
        }
        if (parse_copy(parse, copy, good->len, &e) != SC_OK) CHECK(strlen(e.message) > 15);
    }
    free(copy);
}

TEST(damage_gguf_flipped_bytes)
{
    struct buf b;
    buf_init(&b, 0);
    g_good(&b);
    flip_bytes(gguf_parse, &b, 20000);
    buf_release(&b);
}

/* ---- safetensors ------------------------------------------------------------------------------------------------------------ */

#define F32_8 "\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[0,32]"
static const char DEEP[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[[[[[[[[[[[[[[[[8";

/* A header and how many bytes follow it. */
static const struct { const char *name, *header; size_t data; sc_status status; const char *part; } SAFETENSORS_CASES[] = {
    { "good", "{\"a\":{" F32_8 "}}", 32, SC_OK, "" }, { "good, nothing", "{}", 0, SC_OK, "" }, { "good, padded", "{\"a\":{" F32_8 "}}      ", 32, SC_OK, "" },
    { "good, scalar and empty", "{\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},\"e\":{\"dtype\":\"F32\",\"shape\":[0,9],\"data_offsets\":[4,4]}}", 4, SC_OK, "" },
    { "good, metadata", "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{" F32_8 "}}", 32, SC_OK, "" },
    { "good, any order", "{\"b\":{\"shape\":[2],\"dtype\":\"F16\",\"data_offsets\":[32,36]},\"a\":{" F32_8 "}}", 36, SC_OK, "" },
    { "hole at start", "{\"a\":{\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[4,36]}}", 36, SC_E_FORMAT, "expected 0" },
    { "hole", "{\"a\":{" F32_8 "},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[36,40]}}", 40, SC_E_FORMAT, "begins at 36, expected 32" },
    { "overlap", "{\"a\":{" F32_8 "},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[28,32]}}", 32, SC_E_FORMAT, "begins at 28, expected 32" },
    { "same data", "{\"a\":{" F32_8 "},\"b\":{" F32_8 "}}", 32, SC_E_FORMAT, "begins at 0, expected 32" },
    { "name twice", "{\"a\":{" F32_8 "},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[32,36]}}", 36, SC_E_FORMAT, "occurs twice" },
    { "name twice by escape", "{\"a\":{" F32_8 "},\"\\u0061\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[32,36]}}", 36, SC_E_FORMAT, "occurs twice" },
    { "key twice", "{\"a\":{\"dtype\":\"F32\"," F32_8 "}}", 32, SC_E_FORMAT, "repeated key" },
    { "unknown key", "{\"a\":{\"x\":1," F32_8 "}}", 32, SC_E_FORMAT, "unknown or repeated" },
    { "no dtype", "{\"a\":{\"shape\":[8],\"data_offsets\":[0,32]}}", 32, SC_E_FORMAT, "has no \"dtype\"" },
    { "no shape", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,32]}}", 32, SC_E_FORMAT, "has no \"shape\"" },
    { "no offsets", "{\"a\":{\"dtype\":\"F32\",\"shape\":[8]}}", 32, SC_E_FORMAT, "has no \"data_offsets\"" },
    { "empty entry", "{\"a\":{}}", 0, SC_E_FORMAT, "has no \"dtype\"" },
    { "wrong dtype", "{\"a\":{\"dtype\":\"F33\",\"shape\":[8],\"data_offsets\":[0,32]}}", 32, SC_E_FORMAT, "dtype \"F33\"" },
    { "lower dtype", "{\"a\":{\"dtype\":\"f32\",\"shape\":[8],\"data_offsets\":[0,32]}}", 32, SC_E_FORMAT, "dtype \"f32\"" },
    { "unsupported dtype", "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[8],\"data_offsets\":[0,8]}}", 8, SC_E_UNSUPPORTED, "F8_E4M3" },
    { "bytes too few", "{\"a\":{\"dtype\":\"F32\",\"shape\":[9],\"data_offsets\":[0,32]}}", 32, SC_E_FORMAT, "need 36 bytes" },
    { "bytes too many", "{\"a\":{\"dtype\":\"F16\",\"shape\":[8],\"data_offsets\":[0,32]}}", 32, SC_E_FORMAT, "need 16 bytes" },
    { "offsets reversed", "{\"a\":{\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[32,0]}}", 32, SC_E_FORMAT, "data_offsets [32, 0]" },
    { "offset negative", "{\"a\":{\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[-0,32]}}", 32, SC_E_FORMAT, "not negative" },
    { "offset real", "{\"a\":{\"dtype\":\"F32\",\"shape\":[8],\"data_offsets\":[0,32.0]}}", 32, SC_E_FORMAT, "whole number" },
    { "shape 1e3", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1e3],\"data_offsets\":[0,32]}}", 32, SC_E_FORMAT, "whole number" },
    { "shape negative", "{\"a\":{\"dtype\":\"F32\",\"shape\":[-8],\"data_offsets\":[0,32]}}", 32, SC_E_FORMAT, "whole number" },
    { "shape string", "{\"a\":{\"dtype\":\"F32\",\"shape\":[\"8\"],\"data_offsets\":[0,32]}}", 32, SC_E_FORMAT, "whole number" },
    { "shape 2^64", "{\"a\":{\"dtype\":\"F32\",\"shape\":[18446744073709551616],\"data_offsets\":[0,32]}}", 32, SC_E_FORMAT, "64 bits" },
    { "shape overflow", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", 0, SC_E_FORMAT, "overflows" },
    { "shape of 9", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, SC_E_FORMAT, "more than 8" },
    { "shape of 5", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, SC_E_UNSUPPORTED, "5 dimensions" },
    { "leading zero", "{\"a\":{\"dtype\":\"F32\",\"shape\":[08],\"data_offsets\":[0,32]}}", 32, SC_E_FORMAT, "whole number" },
    { "deep nesting", DEEP, 32, SC_E_FORMAT, "whole number" },
    { "data cut off", "{\"a\":{" F32_8 "}}", 31, SC_E_FORMAT, "cut off" },
    { "tail", "{\"a\":{" F32_8 "}}", 33, SC_E_FORMAT, "follow the last tensor" },
    { "data for nothing", "{}", 8, SC_E_FORMAT, "follow the last tensor" },
    { "no brace", " {\"a\":{" F32_8 "}}", 32, SC_E_FORMAT, "does not start with '{'" },
    { "array", "[]", 0, SC_E_FORMAT, "does not start with '{'" },
    { "not closed", "{\"a\":{" F32_8 "}", 32, SC_E_FORMAT, "ends at byte" },
    { "text after", "{\"a\":{" F32_8 "}} x", 32, SC_E_FORMAT, "expected nothing more" },
    { "trailing comma", "{\"a\":{" F32_8 "},}", 32, SC_E_FORMAT, "expected a string" },
    { "broken UTF-8", "{\"\xff\":{" F32_8 "}}", 32, SC_E_FORMAT, "not UTF-8" },
    { "empty name", "{\"\":{" F32_8 "}}", 32, SC_E_FORMAT, "empty or broken" },
    { "NUL in name", "{\"a\\u0000b\":{" F32_8 "}}", 32, SC_E_FORMAT, "empty or broken" },
    { "half a surrogate", "{\"\\ud800\":{" F32_8 "}}", 32, SC_E_FORMAT, "empty or broken" },
    { "bad escape", "{\"\\x41\":{" F32_8 "}}", 32, SC_E_FORMAT, "known escape" },
    { "metadata number", "{\"__metadata__\":{\"a\":1}}", 0, SC_E_FORMAT, "__metadata__" },
    { "metadata twice", "{\"__metadata__\":{},\"__metadata__\":{}}", 0, SC_E_FORMAT, "twice" },
    { "metadata list", "{\"__metadata__\":[]}", 0, SC_E_FORMAT, "expected '{'" },
};

static void safetensors_bytes(struct buf *b, const char *header, uint64_t claimed, size_t data)
{
    buf_init(b, 0);
    u64(b, claimed);
    buf_puts(b, header);
    zeros(b, data);
}

TEST(damage_safetensors)
{
    for (size_t i = 0; i < sizeof SAFETENSORS_CASES / sizeof SAFETENSORS_CASES[0]; i++) {
        struct buf b;
        sc_error e = { 0 };
        safetensors_bytes(&b, SAFETENSORS_CASES[i].header, strlen(SAFETENSORS_CASES[i].header), SAFETENSORS_CASES[i].data);
        sc_status status = parse_copy(safetensors_parse, b.data, b.len, &e);
        check_message(SAFETENSORS_CASES[i].name, status, SAFETENSORS_CASES[i].status, &e, SAFETENSORS_CASES[i].part);
        buf_release(&b);
    }
}

TEST(damage_safetensors_header_size)
{
    static const uint64_t sizes[] = { 0, 1, 44, 1000, 100000001, 1ull << 63, UINT64_MAX, UINT64_MAX - 7 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buf b;
        sc_error e = { 0 };
        safetensors_bytes(&b, "{\"a\":{" F32_8 "}}", sizes[i], 32);
        check_message("size", parse_copy(safetensors_parse, b.data, b.len, &e), SC_E_FORMAT, &e, "");
        buf_release(&b);
    }
}

TEST(damage_safetensors_cut_and_flipped)
{
    struct buf b;
    const char *header = "{\"__metadata__\":{\"format\":\"pt\"},\"a\\n\":{" F32_8 "},\"b\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[32,40]}}";
    safetensors_bytes(&b, header, strlen(header), 40);
    for (size_t n = 0; n < b.len; n++) {
        sc_error e = { 0 };
        check_message("cut", parse_copy(safetensors_parse, b.data, n, &e), SC_E_FORMAT, &e, "");
    }
    flip_bytes(safetensors_parse, &b, 20000);
    buf_release(&b);
}

/* ---- Hugging Face directories -------------------------------------------------------------------------------------------------- */

static char directory[256];

static void put(const char *name, const void *data, size_t len)
{
    char *path = path_join(directory, name);
    CHECK_OK(file_write(path, data, len, err));
    mem_free(path);
}

static void put_text(const char *name, const char *s) { put(name, s, strlen(s)); }

/* One f32 tensor with this name. */
static void put_shard(const char *file, const char *tensor_name)
{
    struct buf b;
    char header[200];
    snprintf(header, sizeof header, "{\"%s\":{" F32_8 "}}", tensor_name);
    safetensors_bytes(&b, header, strlen(header), 32);
    put(file, b.data, b.len);
    buf_release(&b);
}

/* Fresh directory with one good config. */
static void begin_directory(void)
{
    static int n;
    snprintf(directory, sizeof directory, "%s/a.file-%d", test_scratch(), n++);
    CHECK_OK(path_make_directories(directory, err));
    put_text("config.json", "{\"model_type\":\"llama\"}");
}

static void open_directory(const char *name, bool headers_only, sc_status expected, const char *part)
{
    struct model_file *m = NULL;
    sc_error e = { 0 };
    sc_status status = model_file_open(&m, directory, headers_only, &e);
    check_message(name, status, expected, &e, part);
    model_file_close(m);
}

#define MAP(entries) "{\"metadata\":{\"total_size\":64,\"x\":[1,{\"y\":[]},null,true,-1.5e3]},\"weight_map\":{" entries "}}"
static const struct { const char *name, *index; sc_status status; const char *part; } INDEX_CASES[] = {
    { "good", MAP("\"a\":\"1.safetensors\",\"b\":\"2.safetensors\""), SC_OK, "" },
    { "good, tied alias", MAP("\"a\":\"1.safetensors\",\"lm_head.weight\":\"1.safetensors\",\"b\":\"2.safetensors\""), SC_OK, "" },
    { "tensor in the wrong shard", MAP("\"a\":\"2.safetensors\",\"b\":\"1.safetensors\""), SC_E_FORMAT, "does not hold it" },
    { "tensor not listed", MAP("\"a\":\"1.safetensors\",\"lm_head.weight\":\"2.safetensors\""), SC_E_FORMAT, "does not list" },
    { "tensor twice", MAP("\"a\":\"1.safetensors\",\"a\":\"2.safetensors\""), SC_E_FORMAT, "twice" },
    { "shard missing", MAP("\"a\":\"1.safetensors\",\"b\":\"3.safetensors\""), SC_E_IO, "cannot open" },
    { "path up", MAP("\"a\":\"../1.safetensors\""), SC_E_FORMAT, "plain file name" },
    { "absolute path", MAP("\"a\":\"/etc/passwd\""), SC_E_FORMAT, "plain file name" },
    { "dot dot", MAP("\"a\":\"..\""), SC_E_FORMAT, "plain file name" },
    { "empty file name", MAP("\"a\":\"\""), SC_E_FORMAT, "plain file name" },
    { "file name with NUL", MAP("\"a\":\"1.safetensors\\u0000\""), SC_E_FORMAT, "plain file name" },
    { "file is a number", MAP("\"a\":1"), SC_E_FORMAT, "expected a string" },
    { "empty map", MAP(""), SC_E_FORMAT, "no \"weight_map\"" },
    { "no map", "{\"metadata\":{}}", SC_E_FORMAT, "no \"weight_map\"" },
    { "map is a list", "{\"weight_map\":[]}", SC_E_FORMAT, "expected '{'" },
    { "two maps", "{\"weight_map\":{\"a\":\"1.safetensors\"},\"weight_map\":{}}", SC_E_FORMAT, "two weight maps" },
    { "not JSON", "weight_map", SC_E_FORMAT, "expected '{'" },
    { "empty", "", SC_E_FORMAT, "ends at byte 0" },
    { "cut", "{\"weight_map\":{\"a\":\"1.safe", SC_E_FORMAT, "end of a string" },
    { "broken UTF-8", "{\"weight_map\":{\"a\":\"\xc3\"}}", SC_E_FORMAT, "not UTF-8" },
};

TEST(damage_index)
{
    for (size_t i = 0; i < sizeof INDEX_CASES / sizeof INDEX_CASES[0]; i++) {
        begin_directory();
        put_shard("1.safetensors", "a");
        put_shard("2.safetensors", "b");
        put_text("model.safetensors.index.json", INDEX_CASES[i].index);
        open_directory(INDEX_CASES[i].name, false, INDEX_CASES[i].status, INDEX_CASES[i].part);
    }
    begin_directory();
    put_shard("1.safetensors", "a");
    put_shard("2.safetensors", "a");
    put_text("model.safetensors.index.json", MAP("\"a\":\"1.safetensors\",\"lm_head.weight\":\"2.safetensors\""));
    open_directory("tensor in two shards", false, SC_E_FORMAT, "\"a\"");
}

TEST(damage_index_deep_nesting)
{
    struct buf b;
    buf_init(&b, 0);
    buf_puts(&b, "{\"metadata\":");
    for (int i = 0; i < 100000; i++) buf_puts(&b, i % 2 ? "{\"a\":" : "[");
    begin_directory();
    put("model.safetensors.index.json", b.data, b.len);
    open_directory("deep", false, SC_E_FORMAT, "nested deeper");
    buf_release(&b);
}

static const struct { const char *name, *file, *text; sc_status status; const char *part; } CONFIG_CASES[] = {
    { "good", "config.json", "{\"a\":1}", SC_OK, "" },
    { "good, template list", "tokenizer_config.json", "{\"chat_template\":[{\"name\":\"tool_use\",\"template\":\"x\"},{\"name\":\"default\",\"template\":\"y\"}]}", SC_OK, "" },
    { "empty", "config.json", "", SC_E_FORMAT, "not valid JSON" },
    { "cut", "config.json", "{\"a\":", SC_E_FORMAT, "not valid JSON" },
    { "array", "config.json", "[1]", SC_E_FORMAT, "no JSON object" },
    { "key twice", "config.json", "{\"a\":1,\"a\":2}", SC_E_FORMAT, "duplicate" },
    { "broken UTF-8", "config.json", "{\"a\":\"\xff\"}", SC_E_FORMAT, "not valid JSON" },
    { "tail", "config.json", "{\"a\":1} x", SC_E_FORMAT, "not valid JSON" },
    { "number too large", "config.json", "{\"a\":1e999}", SC_E_FORMAT, "not valid JSON" },
    { "generation config", "generation_config.json", "[]", SC_E_FORMAT, "generation_config.json" },
    { "tokenizer config", "tokenizer_config.json", "{", SC_E_FORMAT, "tokenizer_config.json" },
    { "special tokens", "special_tokens_map.json", "3", SC_E_FORMAT, "special_tokens_map.json" },
    { "added tokens", "added_tokens.json", "\"x\"", SC_E_FORMAT, "added_tokens.json" },
    { "dialogue template", "dialogue_template.json", "{]", SC_E_FORMAT, "dialogue_template.json" },
    { "template number", "tokenizer_config.json", "{\"chat_template\":3}", SC_E_FORMAT, "neither a string nor a list" },
    { "template list", "tokenizer_config.json", "{\"chat_template\":[{\"name\":\"default\"}]}", SC_E_FORMAT, "no name and template" },
    { "template NUL", "tokenizer_config.json", "{\"chat_template\":\"a\\u0000b\"}", SC_E_FORMAT, "NUL" },
    { "template file", "chat_template.json", "{\"chat_template\":{}}", SC_E_FORMAT, "chat_template.json" },
    { "template UTF-8", "chat_template.jinja", "{{ '\xff' }}", SC_E_FORMAT, "not UTF-8" },
};

TEST(damage_config)
{
    for (size_t i = 0; i < sizeof CONFIG_CASES / sizeof CONFIG_CASES[0]; i++) {
        begin_directory();
        put_text(CONFIG_CASES[i].file, CONFIG_CASES[i].text);
        open_directory(CONFIG_CASES[i].name, true, CONFIG_CASES[i].status, CONFIG_CASES[i].part);
    }
}

TEST(damage_config_deep_nesting)
{
    struct buf b;
    buf_init(&b, 0);
    buf_puts(&b, "{\"a\":");
    for (int i = 0; i < 100000; i++) buf_putc(&b, '[');
    begin_directory();
    put("config.json", b.data, b.len);
    open_directory("deep", true, SC_E_FORMAT, "nested deeper");
    buf_release(&b);
}

TEST(damage_directory_without_parts)
{
    begin_directory();
    open_directory("no weights", false, SC_E_IO, "neither model.safetensors");
    open_directory("no weights needed", true, SC_OK, "");
    put_text("pytorch_model.bin", "PK");
    open_directory("pickle", false, SC_E_UNSUPPORTED, "safetensors");
    put_text("model.safetensors", "");
    open_directory("empty weights", false, SC_E_FORMAT, "too few");
    char *path = path_join(directory, "config.json");
    remove(path);
    mem_free(path);
    open_directory("no config", false, SC_E_IO, "no config.json");
}

TEST(damage_single_files)
{
    struct model_file *m = NULL;
    char *path;
    begin_directory();
    CHECK_FAILS(model_file_open(&m, "/nowhere/a.gguf", false, err), SC_E_IO, "/nowhere/a.gguf");
    put_text("empty.gguf", "");
    path = path_join(directory, "empty.gguf");
    CHECK_FAILS(model_file_open(&m, path, false, err), SC_E_FORMAT, "is no model");
    mem_free(path);
    put_text("x.bin", "PK\3\4");
    path = path_join(directory, "x.bin");
    CHECK_FAILS(model_file_open(&m, path, false, err), SC_E_UNSUPPORTED, "pickle");
    mem_free(path);
    put_text("x.safetensors", "");
    path = path_join(directory, "x.safetensors");
    CHECK_FAILS(model_file_open(&m, path, false, err), SC_E_UNSUPPORTED, "directory that has its config.json");
    mem_free(path);
    CHECK(m == NULL);
}

TEST(chat_template_places)
{
    struct model_file *m = NULL;
    begin_directory();
    put_text("tokenizer_config.json", "{\"chat_template\":[{\"name\":\"tool_use\",\"template\":\"t\"},{\"name\":\"default\",\"template\":\"d\"}]}");
    CHECK_OK(model_file_open(&m, directory, true, err));
    CHECK_STR(m->chat_template, "d");
    model_file_close(m);
    put_text("chat_template.json", "{\"chat_template\":\"j\"}");
    CHECK_OK(model_file_open(&m, directory, true, err));
    CHECK_STR(m->chat_template, "j");
    model_file_close(m);
    put_text("chat_template.jinja", "file");
    CHECK_OK(model_file_open(&m, directory, true, err));
    CHECK_STR(m->chat_template, "file");
    model_file_close(m);
}
