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

/* ---- shard.c --------------------------------------------------------------------------------------------------------- */

/* A shard in memory (8-byte aligned): every count and offset checked. `out` borrows `data`. */
sc_status shard_parse(struct shard *out, const uint8_t *data, size_t size, const char *what, sc_error *err);

#endif
