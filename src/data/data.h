/* data.h - from any chat data to packed rows of tokens with labels that can be trusted. Layer 4: infer (the runtime
 * that lends threads), text, format, base.
 *
 * The line: reader (files to records) -> formats (a record to dialogues) -> clean (roles, duplicates, secrets) -> render
 * (a dialogue to tokens, each with role, label and reason) -> pack (samples to rows) -> shard (rows on disk) -> show,
 * stats, verify. Workers do formats, clean and render, record by record; all that depends on order happens on one
 * thread in the order of the input, so the result never depends on the number of threads. */
#ifndef DATA_H
#define DATA_H

#include "text/text.h"

/* ---- reader.c: files to records ------------------------------------------------------------------------------------------ */

/* One JSON value as text: a line of JSONL, an element of a JSON array, a row of a Parquet, Arrow or CSV file written
 * as JSON, or a rebuilt OpenAssistant tree. Plain text and source files arrive as {"text":...,"path":...}. */
/* line or row from 1; `input`: which file of reader_describe; `repeat`: which pass over its input, 0 the first. */
struct record { char *text; size_t len; const char *file; uint64_t line; size_t input; unsigned repeat; };
void record_release(struct record *r);

enum on_error { ON_ERROR_STOP, ON_ERROR_SKIP };
/* An input as the user named it: a file, a directory (all files of known kinds, sorted), or a glob; with ":0.5" behind
 * it a weight (a share of its records, chosen by hash and seed; above 1 whole repeats). */
struct reader_config { const char *const *inputs; size_t n_inputs; uint64_t seed; };
struct reader;
sc_status reader_open(struct reader **out, const struct reader_config *c, sc_error *err);
/* The next record, in the order of inputs, files and lines; *more false at the end. A broken line is SC_E_FORMAT that
 * names file, line and reason; the reader can go on behind it. */
sc_status reader_next(struct reader *r, struct record *out, bool *more, sc_error *err);
void      reader_close(struct reader *r);
/* For progress: bytes of the files in all (as stored), and read so far. */
void      reader_progress(const struct reader *r, uint64_t *done, uint64_t *total);
/* What was read, for the manifest: [{"file","bytes","sha256","records"}...]; the caller owns it. Valid at the end. */
json_t   *reader_describe(const struct reader *r);

/* ---- formats.c and format_*.c: a record to dialogues ------------------------------------------------------------------------ */

/* Messages are objects {"role","content",...} with roles system, user, assistant, tool and string contents; other
 * members (name, tool_calls, weight) stay for templates. A record for pre-training has `text` and no messages. */
struct dialogue {
    json_t *messages, *rejected;       /* `rejected`: the other answer of a preference pair, same prompt; else NULL    */
    json_t *tools;                     /* or NULL                                                                      */
    char *text;                        /* plain text, or NULL                                                          */
    char *id, *lang, *licence;         /* as the data says; NULL where it does not                                     */
    char *group;                       /* dialogues that must fall on the same side of a split: tree or prompt; NULL   */
    const char *file; uint64_t line; size_t input;
    uint32_t index;                    /* of this dialogue in its record                                               */
};
struct dialogue_list { struct dialogue *dialogue; size_t len, cap; };
struct dialogue *dialogue_list_add(struct dialogue_list *l);          /* zeroed                                        */
void dialogue_release(struct dialogue *d);
void dialogue_list_release(struct dialogue_list *l);

struct tree_config {                   /* how OpenAssistant trees become dialogues; defaults: as the original          */
    bool best_only;                    /* only the best-ranked answer at every branch                                  */
    bool drop_user_end;                /* cut a last user turn off                                                     */
    bool reviewed_only;                /* review_result must be true                                                   */
    bool keep_deleted, keep_synthetic; /* messages so marked end their path                                            */
    bool all_states;                   /* not only ready_for_export                                                    */
    const char *lang;                  /* "en", "en,de"; NULL: all. Of the root; other formats by detection            */
    int64_t min_turns;                 /* shorter paths are left out                                                   */
};
/* A format is a row: how sure it is of a value, and how to turn it into dialogues. */
struct data_format { const char *name, *help; bool (*probe)(const json_t *record); sc_status (*convert)(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err); };
extern const struct data_format data_formats[];                       /* rows end with name NULL; the first that fits wins */
/* Appends the dialogues of a record, which may change; nothing on failure. format_name may be NULL. */
sc_status dialogues_from_json(struct dialogue_list *out, json_t *record, const struct tree_config *c, const char **format_name, sc_error *err);
/* Parses and converts. SC_E_FORMAT with file, line and reason. Appends nothing on failure. */
sc_status dialogues_from_record(struct dialogue_list *out, const struct record *r, const struct tree_config *c, const char **format_name, sc_error *err);

/* ---- clean.c, redact.c, dedup.c, overlap.c ------------------------------------------------------------------------------------- */

enum turns_policy { TURNS_MERGE, TURNS_DROP, TURNS_ERROR };           /* empty or one-sided turns                      */
struct clean_config { enum turns_policy turns; bool redact; };
enum drop_reason { KEEP, DROP_EMPTY, DROP_ROLES, DROP_NO_ANSWER, DROP_DUPLICATE, DROP_NEAR_DUPLICATE, DROP_LANGUAGE, DROP_OVERLAP, DROP_SHORT, DROP_NO_TRAINED, DROP_TOO_LONG, DROP_UNALIGNED, DROP_TEMPLATE, DROP_NO_PAIR, DROP_COUNT };
extern const char *const drop_names[DROP_COUNT];                      /* "empty", "roles", ...                         */
struct clean_notes { uint32_t emails, ips, keys, merged_turns, empty_turns, cut_turns; };   /* `cut`: answers before any user spoke */
/* Changes the dialogue in place; *why says whether it stays. SC_E_FORMAT only with TURNS_ERROR. */
sc_status dialogue_clean(struct dialogue *d, const struct clean_config *c, struct clean_notes *notes, enum drop_reason *why, sc_error *err);
/* Hash of what is said, without case and white space. */
void dialogue_digest(uint64_t out[2], const struct dialogue *d);

enum { MINHASH_BANDS = 16, MINHASH_ROWS = 8 };                        /* likely near-duplicates: Jaccard above 0.7     */
struct minhash { uint64_t band[MINHASH_BANDS]; };
void dialogue_minhash(struct minhash *out, const struct dialogue *d); /* over word 5-grams                             */
/* What was seen before. Not for use by several threads. 16 bytes a dialogue, 128 more with near-duplicates. */
struct dedup;
struct dedup *dedup_open(bool near);
void          dedup_close(struct dedup *s);
/* KEEP and remembered, or DROP_DUPLICATE, DROP_NEAR_DUPLICATE. `near` may be NULL. */
enum drop_reason dedup_check(struct dedup *s, const uint64_t digest[2], const struct minhash *near);

/* Overlap with evaluation sets: 13-grams of words (n-gram), and the share of a test item's 5-word shingles that a
 * dialogue contains (rephrased). */
struct overlap;
sc_status overlap_open(struct overlap **out, const char *const *paths, size_t n, sc_error *err);   /* files or directories of JSON, JSONL, CSV-like items */
void      overlap_close(struct overlap *o);
struct overlap_hit { const char *file; uint64_t line; double share; bool is_exact; };
bool      overlap_find(const struct overlap *o, const struct dialogue *d, struct overlap_hit *hit);        /* the strongest; safe from many threads */
/* The other way round: how much of each of n items (texts) stands in a text. What has fewer than 9 words is not checked. */
struct overlap_mark { double share; bool is_exact; };                 /* of its 5-word shingles, the most in one text; 13 words in a row */
sc_status overlap_open_items(struct overlap **out, const char *const *text, size_t n, sc_error *err);
void      overlap_checked_items(bool *is_checked, const struct overlap *o);                                     /* of n */
void      overlap_mark_items(struct overlap_mark *mark, const struct overlap *o, const char *text, size_t len);  /* mark: n, zeroed at first */
/* training_texts.c: every text of training data, a prepared directory or files of dialogues; of a dialogue all that is said in one. */
typedef void training_text(void *user, const char *text, size_t len);
sc_status training_texts_each(const char *path, training_text *each, void *user, sc_error *err);
/* ISO code of the language that the text seems to be in ("en"), "" if unsure: stop words and scripts. */
const char *language_of(const char *text, size_t len);
/* "en-GB" is wanted by "de,en". */
bool language_is_wanted(const char *wanted, const char *lang);

/* ---- render.c: a dialogue to tokens with labels --------------------------------------------------------------------------------- */

enum token_who { WHO_TEMPLATE, WHO_SYSTEM, WHO_USER, WHO_ASSISTANT, WHO_TOOL, WHO_TEXT, WHO_PADDING, WHO_COUNT };
enum token_why { WHY_NOT_ASSISTANT, WHY_IN_PROMPT, WHY_ANSWER, WHY_END, WHY_CROSSING, WHY_BEHIND_END, WHY_NOT_LAST, WHY_WEIGHT, WHY_POLICY, WHY_TEXT, WHY_PADDING, WHY_COUNT };
extern const char *const who_names[WHO_COUNT], *const why_help[WHY_COUNT];
/* A byte a token: who speaks, trained or not, and why. */
enum { FLAG_WHO = 7, FLAG_TRAINED = 8, FLAG_WHY_SHIFT = 4 };
static inline enum token_who flag_who(uint8_t f) { return (enum token_who)(f & FLAG_WHO); }
static inline enum token_why flag_why(uint8_t f) { return (enum token_why)(f >> FLAG_WHY_SHIFT); }
static inline bool flag_trained(uint8_t f) { return f & FLAG_TRAINED; }

enum train_on { TRAIN_ON_ASSISTANT, TRAIN_ON_LAST, TRAIN_ON_ALL, TRAIN_ON_BLOG };
/* What rendering needs to know of a template, found out once by rendering two small dialogues. */
struct renderer {
    const struct tokenizer *tokenizer; const struct chat_template *chat; json_t *tokens;   /* borrowed, but `tokens`  */
    enum train_on train_on; int64_t now;
    char *prompt;                      /* what add_generation_prompt adds                                              */
    char *end;                         /* the token that ends an answer; NULL: the template has none                   */
};
sc_status renderer_open(struct renderer *out, const struct tokenizer *t, const struct chat_template *chat, enum train_on train_on, sc_error *err);
void      renderer_close(struct renderer *r);
struct token_row { int32_t *id; uint8_t *flag; size_t len; sc_text text; };      /* `text`: what the template gave       */
void      token_row_release(struct token_row *row);
/* Tokens with labels. SC_E_ARGUMENT: the template refuses it; SC_E_FORMAT: it cannot be aligned. Safe from many threads. */
sc_status dialogue_render(struct token_row *out, const struct renderer *r, const struct dialogue *d, sc_error *err);

/* ---- sample.c: the length limit ---------------------------------------------------------------------------------------------------- */

enum overlength { OVERLENGTH_SPLIT, OVERLENGTH_TRUNCATE, OVERLENGTH_DROP, OVERLENGTH_ERROR };
struct sample { int32_t *id; uint8_t *flag; uint32_t len, file, index, piece; uint64_t line; };
struct sample_list { struct sample *sample; size_t len, cap; };
void sample_list_release(struct sample_list *l);
/* Cuts a row into samples of at most `limit` tokens; pieces without a trained token are left out and counted. */
sc_status samples_from_row(struct sample_list *out, const struct token_row *row, size_t limit, enum overlength how, uint64_t *n_dropped, uint64_t *n_cut, sc_error *err);

/* ---- pack.c: samples to rows of fixed length ------------------------------------------------------------------------------------------ */

enum packing { PACKING_BEST_FIT, PACKING_NONE, PACKING_CHOP, PACKING_PAIRS };   /* CHOP: the original's concatenate and cut; PAIRS: two samples a row, chosen and rejected */
struct row { struct sample *sample; size_t len; uint32_t tokens; };   /* samples of one row, in order                  */
struct packer;
typedef sc_status row_sink(void *user, const struct row *row, sc_error *err);
struct packer *packer_open(enum packing how, size_t row_length, row_sink *sink, void *user);
sc_status      packer_put(struct packer *p, struct sample *s, sc_error *err);       /* takes over the sample's memory  */
sc_status      packer_finish(struct packer *p, sc_error *err);                       /* flushes                         */
void           packer_close(struct packer *p);
uint64_t       packer_dropped_tokens(const struct packer *p);                        /* the chop's remainder            */

/* ---- shard.c: rows on disk -------------------------------------------------------------------------------------------------------------- */

/* Little-endian, memory-mapped. Header of 64 bytes: "SCTOKENS", u32 version 1, u32 row_length (0: rows of own lengths),
 * u64 n_rows, u64 n_segments, u64 n_tokens, u64 0, u64 0, u64 0. Then u64 row_begin[n_rows + 1] (segment indices), then
 * n_segments of struct shard_segment, then i32 id[n_tokens], then u8 flag[n_tokens]. */
struct shard_segment { uint64_t token_begin, line; uint32_t length, file, index, piece; };
struct shard {
    struct mapped_file map; uint32_t row_length; uint64_t n_rows, n_segments, n_tokens;
    const uint64_t *row_begin; const struct shard_segment *segment; const int32_t *id; const uint8_t *flag;
};
sc_status shard_open(struct shard *out, const char *path, sc_error *err);            /* every offset checked            */
void      shard_close(struct shard *s);
struct shard_writer;
sc_status shard_writer_open(struct shard_writer **out, const char *path, uint32_t row_length, sc_error *err);
sc_status shard_writer_put(struct shard_writer *w, const struct row *row, sc_error *err);
uint64_t  shard_writer_tokens(const struct shard_writer *w);
sc_status shard_writer_finish(struct shard_writer *w, char sha256[65], uint64_t *rows, sc_error *err);   /* frees w, publishes */
void      shard_writer_discard(struct shard_writer *w);

/* A prepared directory: dataset.json, shards "train-00000.sct" and "test-00000.sct", and tokens.bin: what every id spells
 * ("SCPIECES", u32 version 1, u32 n, u64 begin[n + 1], bytes). */
struct sc_dataset { char *path; json_t *manifest; struct shard *shard; const char **split; size_t n_shards; struct mapped_file pieces; uint32_t n_pieces; };
/* The bytes that an id spells; NULL for an unknown one. */
const char *dataset_piece(const struct sc_dataset *d, int32_t id, size_t *len);
sc_status dataset_write_pieces(const char *path, const struct tokenizer *t, sc_error *err);

/* ---- jobs: prepare.c, show.c, stats.c, verify.c, data_convert.c (public interface in starchat.h) ----------------------------------------- */

extern const struct sc_options prepare_options;

#endif
