/* text_internal.h - what the tokenizer files of this folder share: characters, vocabulary, pre-tokeniser stages,
 * added tokens. One struct tokenizer holds it all; after opening nothing in it changes, so threads may share it.
 *
 * Reading order: unicode.c, vocabulary.c, bpe.c (a piece to ids), split.c and scan.c (a text to pieces), normalize.c,
 * added_tokens.c, encode.c (all of it in order), decode.c, then the readers tokenizer_json.c and tokenizer_gguf.c. */
#ifndef TEXT_INTERNAL_H
#define TEXT_INTERNAL_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "text/text.h"

/* ---- characters (unicode.c, unicode_table.c) ------------------------------------------------------------------------- */

/* ORDER FLAGS in tools/make_unicode.py. */
enum unicode_flag {
    U_LETTER = 1, U_NUMBER = 2, U_SPACE = 4, U_MARK = 8, U_PUNCTUATION = 16, /* as the split patterns see them        */
    U_DIGIT = 32,             /* what Digits parts off (newer data than U_NUMBER)                                      */
    U_WORD = 64,              /* \w of the added tokens and of Whitespace                                              */
    U_OLD_PUNCTUATION = 128,  /* what Punctuation parts off                                                            */
    U_CANONICAL = 256,        /* decomposes, reorders, or composes with a character before it                          */
    U_COMPATIBLE = 512,       /* has a compatibility decomposition                                                     */
    U_NFC_CHECK = 1024        /* text without any such character is its own NFC                                        */
};
extern const uint32_t unicode_runs[];
extern const uint16_t unicode_classes[];
extern const size_t unicode_n_runs, unicode_n_classes;

/* The runs spread out for constant-time lookup: 40 KB. */
struct unicode { uint16_t latin[256], kind[64]; uint8_t block_of[0x110000 >> 8]; uint8_t *blocks; };
void unicode_open(struct unicode *u);
void unicode_close(struct unicode *u);
static inline uint32_t unicode_flags(const struct unicode *u, uint32_t c)
{
    return u->kind[u->blocks[(size_t)u->block_of[c >> 8] << 8 | (c & 0xff)]];
}
/* The character at s of valid UTF-8, and its bytes in *n. */
static inline uint32_t utf8_char(const char *s, size_t *n)
{
    const unsigned char *p = (const unsigned char *)s;
    if (p[0] < 0x80) { *n = 1; return p[0]; }
    if (p[0] < 0xE0) { *n = 2; return (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu); }
    if (p[0] < 0xF0) { *n = 3; return (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu); }
    *n = 4;
    return (p[0] & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
}
static inline uint32_t utf8_flags(const struct unicode *u, const char *s, size_t *n)
{
    if ((unsigned char)*s < 0x80) { *n = 1; return u->latin[(unsigned char)*s]; }
    uint32_t c = utf8_char(s, n);
    return unicode_flags(u, c);
}
/* The same for the character that ends at s[at]; at > 0. */
uint32_t utf8_flags_before(const struct unicode *u, const char *s, size_t at, size_t *n);

/* ---- byte symbols (vocabulary.c) --------------------------------------------------------------------------------------- */

/* GPT-2's printable stand-in for each byte; a vocabulary of byte-level BPE is written in them. */
uint32_t byte_symbol(unsigned char byte);
/* Symbols to bytes; false, with nothing of use in out, if a character is none. */
bool symbols_to_bytes(struct buf *out, const char *text, size_t len);

/* ---- vocabulary (vocabulary.c) ------------------------------------------------------------------------------------------ */

enum token_flag {
    TOKEN_USED = 1,     /* the id has a text                                                                         */
    TOKEN_MODEL = 2,    /* of the BPE vocabulary                                                                     */
    TOKEN_RAW = 4,      /* its text has characters that are no byte symbols, so no text is merged to it              */
    TOKEN_ADDED = 8, TOKEN_SPECIAL = 16,
    TOKEN_GATED = 32,   /* recognised in trusted text only, and never the result of a merge                          */
    TOKEN_UNUSED = 64   /* a filler entry of a GGUF file                                                             */
};
/* Offsets into the pool; `bytes` is what decoding writes. */
struct token { uint32_t text, text_len, bytes, bytes_len; uint32_t flags; };
struct vocabulary {
    struct token *token; size_t len, cap;       /* by id; len = highest id + 1                                       */
    struct buf pool;
    struct vocabulary_slot *slot; size_t n_slots, n_filled;   /* from bytes to ids of the BPE vocabulary             */
    size_t limit;                               /* ids below this are accepted: set from the size of the input       */
    uint64_t seed;                              /* of the hashes: drawn anew, so that no file can aim at collisions  */
};
/* `is_direct`: merging the bytes of this token yields this token, so that a piece equal to it needs no merging. */
struct vocabulary_slot { uint32_t tag, id : 31, is_direct : 1; };
enum { VOCABULARY_MAX = (1 << 21) - 1, MERGES_MAX = 1 << 22 };     /* ORDER pair_key in bpe.c */

void vocabulary_init(struct vocabulary *v);
void vocabulary_release(struct vocabulary *v);
/* Adds an entry of the BPE vocabulary, written in byte symbols. Ids may come in any order. */
sc_status vocabulary_put(struct vocabulary *v, int64_t id, const char *text, size_t len, const char *what, sc_error *err);
/* Gives `id` this text and what it decodes to; for added tokens. */
sc_status vocabulary_set(struct vocabulary *v, int64_t id, const char *text, size_t len, uint32_t flags, const char *what, sc_error *err);
/* Replaces what an id decodes to. */
void      vocabulary_set_bytes(struct vocabulary *v, int32_t id, const char *bytes, size_t len);
/* Entry of the BPE vocabulary by its text as written in the file; -1 if none. */
int32_t   vocabulary_find(const struct vocabulary *v, const char *text, size_t len);
uint64_t  hash_bytes(uint64_t seed, const char *s, size_t len);
static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}
/* Slot of the token that is merged to these bytes, NULL if none. */
struct vocabulary_slot *vocabulary_slot(const struct vocabulary *v, uint64_t hash, const char *bytes, size_t len);

/* ---- merges (bpe.c) ------------------------------------------------------------------------------------------------------- */

struct merge { int32_t left, right, result; };
struct bpe {
    struct merge *merge; size_t len, cap;       /* by rank                                                           */
    uint64_t *pair; size_t n_pairs;             /* open addressing; see pair_key                                     */
    uint64_t seed;                              /* of the vocabulary                                                 */
    int32_t byte_id[256];                       /* -1: the vocabulary lacks it                                       */
    int32_t unk;                                /* -1: such bytes are dropped                                        */
    bool fuse_unk, ignore_merges;
};
void bpe_release(struct bpe *b);
/* Merges are put in rank order, by the texts of their parts. */
sc_status bpe_put(struct bpe *b, struct vocabulary *v, const char *left, size_t left_len, const char *right, size_t right_len, const char *what, sc_error *err);
sc_status bpe_put_line(struct bpe *b, struct vocabulary *v, const char *line, size_t len, const char *what, sc_error *err);  /* "left right" */
/* Builds the tables once vocabulary, merges and added tokens are complete; again after tokens became gated. */
void      bpe_finish(struct tokenizer *t);

/* ---- one encoding in progress (encode.c) ------------------------------------------------------------------------------------ */

struct piece_slot;
struct encoder {
    const struct tokenizer *t;
    struct token_list *out;
    const struct span *trusted; size_t n_trusted;     /* of the text as it is encoded                                 */
    struct piece_slot *cache; size_t cache_mask;       /* pieces seen in this call; NULL for short texts              */
    bool is_stable;                                    /* the text at work lives as long as this call                 */
    struct merge_work *work; size_t work_cap;          /* for long pieces                                             */
    uint64_t *heap; size_t heap_cap;
    pcre2_match_data *match; pcre2_match_context *match_context; pcre2_jit_stack *jit_stack;
};
void encoder_piece(struct encoder *e, const char *s, size_t len);           /* bpe.c: bytes of one piece to ids        */
void encoder_stages(struct encoder *e, size_t stage, const char *s, size_t len); /* split.c: pre-tokenise, then pieces */
void encoder_cache_open(struct encoder *e, size_t text_len);                /* bpe.c                                   */
void encoder_release(struct encoder *e);                                    /* encode.c                                */

/* ---- pre-tokenisers (split.c, scan.c, regex.c) ------------------------------------------------------------------------------- */

enum split_behaviour { SPLIT_ISOLATED, SPLIT_REMOVED, SPLIT_MERGED_WITH_PREVIOUS, SPLIT_MERGED_WITH_NEXT, SPLIT_CONTIGUOUS };
struct stage;
/* Next match of a stage's pattern in s[0..len) at or behind `at`; false: none. Matches may be empty only for a regex. */
typedef bool stage_next(const struct stage *st, struct encoder *e, const char *s, size_t len, size_t at, struct span *match);
struct stage {
    stage_next *next;               /* NULL: `prefix_space` alone                                                      */
    uint32_t mask;                  /* characters that a scanner of one class looks for                                */
    enum split_behaviour behaviour;
    bool invert;
    bool prefix_space;              /* puts a space before pieces that lack one                                        */
    char *pattern; size_t pattern_len; bool is_literal;   /* as written, to compare pipelines                          */
    pcre2_code *regex;
};
enum { STAGES_MAX = 16 };
struct pipeline { struct stage stage[STAGES_MAX]; size_t len; };
void      pipeline_release(struct pipeline *p);
/* `is_literal`: the pattern is a plain string. Known patterns get a hand-written scanner, others PCRE2. */
sc_status pipeline_put_split(struct pipeline *p, const char *pattern, size_t len, bool is_literal, enum split_behaviour behaviour, bool invert, const char *what, sc_error *err);
sc_status pipeline_put_class(struct pipeline *p, uint32_t mask, enum split_behaviour behaviour, const char *what, sc_error *err);
sc_status pipeline_put_words(struct pipeline *p, const char *what, sc_error *err);          /* Whitespace              */
sc_status pipeline_put_prefix_space(struct pipeline *p, const char *what, sc_error *err);
bool      pipeline_equal(const struct pipeline *a, const struct pipeline *b);

/* All matches of a stage in s[0..len), as the reference's iterator finds them. */
struct matches { const struct stage *stage; struct encoder *e; const char *s; size_t len, from, done; bool any; };
bool      matches_next(struct matches *m, struct span *match);

struct scanner_row { const char *pattern; stage_next *next; uint32_t mask; };
extern const struct scanner_row scanners[];           /* scan.c; ends with pattern NULL                                */
extern const char pattern_gpt2[], pattern_llama3[], pattern_qwen2[];
stage_next scan_class_char, scan_words, scan_literal, scan_regex;
sc_status regex_compile(pcre2_code **out, const char *pattern, size_t len, const char *what, sc_error *err);

/* A pipeline with a name in GGUF's tokenizer.ggml.pre. */
struct pre_row { const char *name; const char *split[5]; bool digits, gpt2, nfc, ignore_merges; };
extern const struct pre_row pre_rows[];               /* pre_names.c; ends with name NULL                              */
const struct pre_row *pre_row_find(const char *name, size_t len);                /* NULL if unknown                    */
sc_status pre_row_build(struct pipeline *p, const struct pre_row *row, sc_error *err);
const char *pre_name_of(const struct tokenizer *t);            /* first row that does the same, else "custom"         */
void pre_names_list(struct buf *out);                 /* "gpt-2, starcoder, ..."                                       */

/* ---- normalisers (normalize.c) ------------------------------------------------------------------------------------------------- */

enum normalizer_kind { NORMALIZE_NFC, NORMALIZE_NFD, NORMALIZE_NFKC, NORMALIZE_NFKD, NORMALIZE_LOWERCASE, NORMALIZE_STRIP, NORMALIZE_REPLACE, NORMALIZE_PREPEND };
struct normalizer {
    enum normalizer_kind kind;
    bool left, right;                                  /* strip                                                        */
    struct stage find;                                 /* replace                                                      */
    char *content; size_t content_len;                 /* replace, prepend                                             */
};
struct normalizers { struct normalizer step[STAGES_MAX]; size_t len; };
void normalizers_release(struct normalizers *n);
/* A text with a byte of trust for each of its bytes: 1 where it came from trusted text. */
struct marked_text { struct buf text, trust; };
void marked_text_release(struct marked_text *m);
/* Normalises in place; true if the text changed. */
bool normalize(const struct normalizers *n, struct encoder *e, struct marked_text *text);
/* Whether normalize would leave the text as it is; may say no for a text that is normal. */
bool is_normal(const struct normalizers *n, const struct unicode *u, const char *s, size_t len);

/* ---- added tokens (added_tokens.c) ------------------------------------------------------------------------------------------------ */

struct added_token { int32_t id; bool single_word, lstrip, rstrip, normalized, special; char *match; size_t match_len; };
/* Tokens of one matcher, sorted by what they match. */
struct added_set { struct added_token **sorted; size_t len; bool first[256]; bool is_all_gated; };
struct added_tokens {
    struct added_token *token; size_t len, cap;
    uint32_t *slot; size_t n_slots;                    /* from contents to index + 1                                   */
    struct added_set raw, normalized;                  /* `normalized` is matched behind the normalisers               */
};
struct added_flags { bool single_word, lstrip, rstrip, normalized, special; };
void added_tokens_release(struct added_tokens *a);
/* Adds or updates one. id < 0: the vocabulary's own id, else the next free one. `is_new` may be NULL. */
sc_status added_tokens_put(struct tokenizer *t, int64_t id, const char *content, size_t len, const struct added_flags *flags, bool *is_new, const char *what, sc_error *err);
/* Sorts the matchers and gates the tokens; then bpe_finish. */
void added_tokens_finish(struct tokenizer *t);
/* Which bytes of the text at work may be part of a gated token: `trust` a byte a byte, or NULL, then its place
 * `origin` in the whole text decides. */
struct text_part { const char *s; size_t len, origin; const char *trust; };
struct added_match { int32_t id; size_t begin, end; };          /* with swallowed space                                 */
struct added_search { const struct added_set *set; const struct text_part *part; size_t at, done, space_begin, space_end; };
bool added_next(const struct encoder *e, struct added_search *search, struct added_match *match);
int32_t added_find(const struct tokenizer *t, const char *content, size_t len);      /* -1: none                       */

/* ---- the tokenizer ------------------------------------------------------------------------------------------------------------------ */

struct tokenizer {
    struct unicode unicode;
    struct vocabulary vocabulary;
    struct bpe bpe;
    struct normalizers normalizers;
    struct pipeline pipeline;
    struct added_tokens added;
    int32_t role[TOKEN_ROLE_COUNT];
    bool adds_bos;
    const char *pre_name;               /* of a table row                                                              */
    char *notice;                       /* what had to be guessed; NULL: nothing                                       */
};
struct tokenizer *tokenizer_new(void);
/* After vocabulary, merges and added tokens: builds what encoding needs and fills roles that are still -1 by
 * well-known contents (roles.c). */
void tokenizer_finish(struct tokenizer *t);
void roles_guess(struct tokenizer *t);
/* added_tokens.json, special_tokens_map.json and tokenizer_config.json as a GGUF file carries them (tokenizer_config.c). */
sc_status tokenizer_read_carried(struct tokenizer *t, const struct model_file *m, sc_error *err);
/* A tokenizer.json whose vocabulary and merges come from elsewhere: what is needed before them, and then what names
 * their tokens (tokenizer_json.c). */
sc_status tokenizer_json_settings(struct tokenizer *t, const json_t *root, const char *what, sc_error *err);
sc_status tokenizer_json_names(struct tokenizer *t, const json_t *root, const char *what, sc_error *err);
/* As tokenizer_open_json, but not finished: more tokens follow (tokenizer_json.c). */
sc_status tokenizer_read_json(struct tokenizer **out, const char *json, size_t len, const char *what, sc_error *err);

#endif
