/* prompt_chunk.c - one file of the prompt cache: keys and values of CHUNK_ROWS positions in all layers, as they lie in the
 * cache of a session, behind the tokens they belong to. Names form a chain of SHA-256 (as the blocks of a ledger do): equal
 * names mean equal tokens, also where someone wants them not to; the content has XXH3 against damage. */
#include "infer/prompt_cache.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define CHUNK_MAGIC "SCPROMPT"
enum { CHUNK_VERSION = 2 };
_Static_assert(CHUNK_ROWS % KV_BLOCK == 0 && KV_PAGE % CHUNK_ROWS == 0, "positions are kept by whole blocks of the cache, which one page holds");

/* Followed by what stands in the planes of head 0 of layer 0 (keys, values), of head 1, ... */
struct chunk_header {
    char magic[8];
    uint32_t version, rows;
    uint64_t size;                    /* of the file */
    char parent[64];
    int32_t token[CHUNK_ROWS];
    uint64_t check[2];                /* XXH3-128 of all bytes before it and behind it */
};

void chunk_name(char out[CHUNK_NAME], const char parent[CHUNK_NAME], const int32_t *token)
{
    struct sha256 hash;
    sha256_begin(&hash);
    sha256_add(&hash, parent, CHUNK_NAME - 1);
    sha256_add(&hash, token, CHUNK_ROWS * sizeof *token);
    sha256_end(&hash, out);
}

/* Bytes of CHUNK_ROWS positions of one head's keys, or values. Any type of cache whose positions take this many bytes each,
 * tile by tile, is kept by the same code. */
static size_t part_bytes(const struct kv_cache *c) { return CHUNK_ROWS * dtype_row_bytes(c->dtype, c->head_dim); }

size_t chunk_bytes(const struct kv_cache *shape) { return sizeof(struct chunk_header) + 2 * shape->layers * shape->kv_heads * part_bytes(shape); }

static void checksum(uint64_t out[2], const uint8_t *data, size_t size)
{
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    XXH3_128bits_update(&state, data, offsetof(struct chunk_header, check));
    XXH3_128bits_update(&state, data + sizeof(struct chunk_header), size - sizeof(struct chunk_header));
    XXH128_hash_t hash = XXH3_128bits_digest(&state);
    out[0] = hash.low64;
    out[1] = hash.high64;
}

void chunk_seal(uint8_t *data, size_t size)
{
    uint64_t check[2];
    checksum(check, data, size);
    memcpy(data + offsetof(struct chunk_header, check), check, sizeof check);
}

void chunk_encode(uint8_t *out, const struct kv_cache *cache, size_t position, const char parent[CHUNK_NAME], const int32_t *token)
{
    struct chunk_header h = { .magic = { 0 }, .version = CHUNK_VERSION, .rows = CHUNK_ROWS, .size = chunk_bytes(cache) };
    size_t bytes = part_bytes(cache);
    memcpy(h.magic, CHUNK_MAGIC, sizeof h.magic);
    memcpy(h.parent, parent, sizeof h.parent);
    memcpy(h.token, token, sizeof h.token);
    memcpy(out, &h, sizeof h);
    uint8_t *to = out + sizeof h;
    for (size_t head = 0; head < cache->layers * cache->kv_heads; head++) {       /* through all layers */
        memcpy(to, kv_keys(cache, 0, head, position), bytes);
        memcpy(to + bytes, kv_values(cache, 0, head, position), bytes);
        to += 2 * bytes;
    }
    chunk_seal(out, h.size);
}

const char *chunk_check(const uint8_t *data, size_t size, const struct kv_cache *shape, const char parent[CHUNK_NAME], const int32_t *token)
{
    struct chunk_header h;
    uint64_t check[2];
    if (size < sizeof h) return "it is shorter than its header";
    memcpy(&h, data, sizeof h);
    if (memcmp(h.magic, CHUNK_MAGIC, sizeof h.magic) != 0) return "it does not begin as such a file does";
    if (h.version != CHUNK_VERSION || h.rows != CHUNK_ROWS) return "it is of another version";
    if (h.size != size || size != chunk_bytes(shape)) return "its size is not that of this model's cache";
    checksum(check, data, size);
    if (memcmp(check, h.check, sizeof check) != 0) return "its checksum is wrong";
    if (memcmp(h.parent, parent, sizeof h.parent) != 0 || memcmp(h.token, token, sizeof h.token) != 0) return "it belongs to another prompt";
    return NULL;
}

void chunk_decode(const struct kv_cache *cache, size_t position, const uint8_t *data)
{
    size_t bytes = part_bytes(cache);
    const uint8_t *from = data + sizeof(struct chunk_header);
    for (size_t head = 0; head < cache->layers * cache->kv_heads; head++) {       /* through all layers */
        memcpy(kv_keys(cache, 0, head, position), from, bytes);
        memcpy(kv_values(cache, 0, head, position), from + bytes, bytes);
        from += 2 * bytes;
    }
}
