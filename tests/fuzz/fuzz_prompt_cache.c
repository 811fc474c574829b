/* fuzz_prompt_cache.c - any bytes as a file of the prompt cache. The first says whether the checksum is to be right, so that
 * what stands behind it is met too. What is accepted belongs to its place and gives back the same bytes. */
#include "infer/prompt_cache.h"
#include "fuzz_memory.h"

enum { LAYERS = 2, HEADS = 1, DIM = 4, POSITIONS = 70 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char pages[2][2 * LAYERS * HEADS * KV_PAGE * DIM * 2];
    char *page[] = { pages[0], pages[1] };
    const struct kv_cache cache = { DTYPE_F16, LAYERS, HEADS, DIM, POSITIONS, page };
    char parent[CHUNK_NAME];
    int32_t token[CHUNK_ROWS];
    if (!size) return 0;
    bool is_sealed = *data++ & 1;
    size--;
    uint8_t *copy = malloc(size ? size : 1);               /* its end is watched */
    if (size) memcpy(copy, data, size);
    memset(parent, 'a', sizeof parent);
    for (size_t i = 0; i < CHUNK_ROWS; i++) token[i] = (int32_t)i;
    size_t whole = chunk_bytes(&cache);
    if (is_sealed && size == whole) chunk_seal(copy, size);
    fuzz_memory_begin(size);
    const char *wrong = chunk_check(copy, size, &cache, parent, token);
    fuzz_memory_end();
    if (!wrong) {
        uint8_t *again = malloc(whole);
        if (size != whole) abort();
        chunk_decode(&cache, 32, copy);
        chunk_encode(again, &cache, 32, parent, token);
        if (memcmp(again, copy, whole) != 0) abort();
        free(again);
    }
    free(copy);
    return 0;
}
