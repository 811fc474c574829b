/* clean_internal.h - what cleaning, comparing and language detection share: the parts of a dialogue, and words. */
#ifndef CLEAN_INTERNAL_H
#define CLEAN_INTERNAL_H

#include "data/data.h"

/* ---- words.c ---------------------------------------------------------------------------------------------------------- */

/* Text `i` of a dialogue in reading order: contents of the messages, or its plain text. False behind the last. */
bool dialogue_part(const struct dialogue *d, size_t i, const char **text, size_t *len);

/* Words are runs of letters, marks and digits of any script, in lower case; all else lies between them. In scripts
 * that write no spaces every character is a word. Broken UTF-8 counts as space. */
struct word_reader { const char *at, *end; };
bool word_next(struct word_reader *r, uint32_t *hash);
/* The same over all parts of a dialogue. */
struct dialogue_words { const struct dialogue *dialogue; size_t part; struct word_reader reader; };
bool dialogue_word(struct dialogue_words *w, uint32_t *hash);
/* Spreads all bits of x over the result (the finaliser of MurmurHash3). */
static inline uint64_t hash_mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xFF51AFD7ED558CCDu;
    x = (x ^ x >> 33) * 0xC4CEB9FE1A85EC53u;
    return x ^ x >> 33;
}

/* ---- redact.c ---------------------------------------------------------------------------------------------------------- */

/* Counts what is found; with `out` (empty) also writes the text with a placeholder for each find, but leaves `out`
 * empty if there was none. */
void text_redact(struct buf *out, struct clean_notes *notes, const char *text, size_t len);

/* ---- dedup.c ------------------------------------------------------------------------------------------------------------ */

enum { MINHASH_SIZE = MINHASH_BANDS * MINHASH_ROWS, NEAR_ROWS = 87 };   /* rows that agree from Jaccard 0.68 on */
/* How many of the MINHASH_SIZE rows agree. */
int minhash_agree(const struct minhash *a, const struct minhash *b);

/* ---- overlap_read.c ----------------------------------------------------------------------------------------------------- */

/* Names of files under a path, sorted: the path itself, or all files of known kinds in a directory. */
struct path_list { char **path; size_t len, cap; };
sc_status path_list_add(struct path_list *l, const char *path, sc_error *err);
void      path_list_release(struct path_list *l);
/* Hands every text of a file to `put`: strings of JSON values at any depth (keys left out), fields of CSV and TSV, lines
 * of other text; files may be gzipped. `line` is where the text begins, for CSV where its row begins. */
typedef void text_sink(void *user, const char *text, size_t len, uint64_t line);
sc_status texts_read(const char *path, text_sink *put, void *user, sc_error *err);

/* ---- language_table.c (generated) ------------------------------------------------------------------------------------- */

enum { LANGUAGE_COUNT = 50 };
/* A word of at most 8 bytes (first byte highest) or a letter, and which languages have it: bit i for language i. */
struct language_mark { uint64_t key, languages; };
extern const char *const language_codes[LANGUAGE_COUNT];
extern const uint8_t language_scripts[LANGUAGE_COUNT];      /* as the first of enum script: Latin, Cyrillic, Arabic, Devanagari */
extern const struct language_mark language_words[], language_letters[];
extern const size_t language_n_words, language_n_letters;

#endif
