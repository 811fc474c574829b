/* dataset.h - what the files that read a prepared directory share: dataset.c, show.c, stats.c, verify.c, report_html.c.
 *
 * dataset.json: {"format":"starchat-tokens","version":1,"program","tokenizer":{"name","sha256" of tokens.bin,"vocab",
 * "added":[{"id","content"}]},"template":{"name","sha256","source"},"end_token","options":{},"inputs":[{"file","bytes",
 * "sha256","records"}],"files":[name by segment.file],"splits":{"train":{"shards":[{"file","sha256","rows","samples",
 * "tokens","trained"}]},"test":{}},"stats":{}}. */
#ifndef DATASET_H
#define DATASET_H

#include "data/data.h"

enum { MANIFEST_BYTES_MAX = 256 << 20 };

/* ---- dataset.c ------------------------------------------------------------------------------------------------------- */

/* Checks types and ranges of all that is read from a manifest, and counts its shards. `what` names it in messages. */
sc_status manifest_check(const json_t *manifest, const char *what, size_t *n_shards, sc_error *err);
/* Checks every offset of the file tokens.bin; `out` borrows nothing, *n becomes the number of ids. */
sc_status pieces_check(const uint8_t *data, size_t size, const char *what, uint32_t *n, sc_error *err);
/* The manifest's entry of shard i: {"file","sha256",...}. */
const json_t *dataset_shard_entry(const struct sc_dataset *d, size_t i);
/* Name of a segment's source file; "" for an unknown one. */
const char *dataset_file(const struct sc_dataset *d, uint32_t file);
bool      dataset_has_split(const struct sc_dataset *d, const char *split);
sc_status dataset_need_split(const struct sc_dataset *d, const char *split, sc_error *err);   /* NULL: all, always there */

/* Where a sample lies: segment of a shard; `row` counts through its split. */
struct sample_place { size_t shard; uint64_t segment, row; };
sc_status dataset_find(struct sample_place *out, const struct sc_dataset *d, const char *split, uint64_t i, sc_error *err);

/* ---- show.c ---------------------------------------------------------------------------------------------------------- */

/* One token of a sample. `piece`: the text that became complete with it, valid UTF-8; all pieces of a sample joined are its
 * text, with U+FFFD for bytes that are no character. */
struct token_view { int32_t id; const char *piece; size_t len; enum token_who who; enum token_why why; bool is_trained; };
typedef void on_token(void *user, const struct token_view *t);
/* SC_E_FORMAT for an id or a label that does not exist. */
sc_status dataset_tokens(const struct sc_dataset *d, const struct sample_place *p, on_token *each, void *user, sc_error *err);

/* ---- stats.c --------------------------------------------------------------------------------------------------------- */

/* Everything of `data stats`; the caller owns it. Fails as dataset_tokens does. */
sc_status dataset_count(json_t **out, const struct sc_dataset *d, sc_error *err);

/* ---- report_html.c, report_plots.c ----------------------------------------------------------------------------------- */

/* A page that needs nothing besides itself, light or dark as the browser asks. */
void page_begin(struct buf *out, const char *title);
void page_end(struct buf *out);
/* Text between tags or in a quoted attribute; characters that would act on their surroundings become visible. */
void html_put(struct buf *out, const char *text, size_t len);
void html_puts(struct buf *out, const char *text);
void html_put_count(struct buf *out, uint64_t n);         /* 1,234,567 */
/* The last `most` characters of a name: the end of a long one says more than its beginning, which is often a path. */
void html_put_tail(struct buf *out, const char *name, size_t most);
/* Text in which control characters and such that turn its direction are shown as [U+202E]. escape(c): what stands for a character, NULL for itself; may be
 * NULL. */
void visible_put(struct buf *out, const char *text, size_t len, const char *(*escape)(uint32_t c));
/* The statistics as sections with plots; `stats` of dataset_count. */
void report_stats(struct buf *out, const struct sc_dataset *d, const json_t *stats);

/* ---- shard.c --------------------------------------------------------------------------------------------------------- */

/* A shard in memory (8-byte aligned): every count and offset checked. `out` borrows `data`. */
sc_status shard_parse(struct shard *out, const uint8_t *data, size_t size, const char *what, sc_error *err);
/* Lets go of the memory behind the labels and ids of tokens that were read. */
void      shard_forget(const struct shard *s, uint64_t from, uint64_t to);

#endif
