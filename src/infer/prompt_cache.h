/* prompt_cache.h - private to this folder: the files of the prompt cache, a chunk of positions each. */
#ifndef PROMPT_CACHE_H
#define PROMPT_CACHE_H

#include "infer/infer.h"

/* ---- prompt_chunk.c: one file ------------------------------------------------------------------------------------------ */

enum { CHUNK_ROWS = 32, CHUNK_NAME = 65 };          /* positions of a file, whole tiles; a name: 64 hex digits and a NUL */
/* The name of the chunk that holds `token` (CHUNK_ROWS) behind the chunk `parent`: SHA-256 over both, so that a name stands for
 * all tokens from the first on and for what the first parent stands for. `out` and `parent` may be the same. */
void   chunk_name(char out[CHUNK_NAME], const char parent[CHUNK_NAME], const int32_t *token);
size_t chunk_bytes(const struct kv_cache *shape);    /* of a file: layers, kv_heads, head_dim and dtype matter */
/* Positions [position, position + CHUNK_ROWS) of the cache as a file's bytes: chunk_bytes of them. */
void   chunk_encode(uint8_t *out, const struct kv_cache *cache, size_t position, const char parent[CHUNK_NAME], const int32_t *token);
/* NULL if the bytes are whole and of exactly this place and shape, else what is wrong with them. */
const char *chunk_check(const uint8_t *data, size_t size, const struct kv_cache *shape, const char parent[CHUNK_NAME], const int32_t *token);
void   chunk_decode(const struct kv_cache *cache, size_t position, const uint8_t *data);     /* of checked bytes */
void   chunk_seal(uint8_t *data, size_t size);       /* writes the checksum; for size >= that of the header */

/* ---- prompt_store.c: the directory -------------------------------------------------------------------------------------- */

struct sc_prompt_cache {
    char *directory;
    uint64_t max_bytes;
    double least_seconds;
    const sc_model *model; enum dtype dtype; char root[CHUNK_NAME];   /* of which `root` is the name that chunks begin at */
};
char     *chunk_path(const struct sc_prompt_cache *c, const char name[CHUNK_NAME]);          /* mem_free it */
/* Makes a file newest; the more so the nearer `index` is to 0, so that the end of a prompt goes before its beginning. False: there is none. */
bool      chunk_touch(const char *path, size_t index);
/* Whole or not at all, for the owner alone. Not synced to disk: a checksum finds what a crash left. */
sc_status chunk_write(const struct sc_prompt_cache *c, const char *path, const uint8_t *data, size_t size, sc_error *err);
/* Reads a file of exactly `size` bytes; false if it is none. */
bool      chunk_read(uint8_t *out, size_t size, const char *path);
sc_status prompt_store_make(const struct sc_prompt_cache *c, uint64_t bytes, sc_error *err);  /* the directory, with room on the disk */
void      prompt_store_prune(const struct sc_prompt_cache *c);                                /* removes the oldest above max_bytes */

#endif
