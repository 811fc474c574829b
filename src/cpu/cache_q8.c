/* cache_q8.c - keys and values in Q8_0: half the memory of f16, and int8 products for both sides of attention.
 *
 * KV_BLOCK positions of a layer and head stand together, with as many bytes as so many rows of Q8_0. Their keys are four panels of
 * eight rows (panel.c), so scores are the same products as those of weights. Their values are multiplied along positions, so
 * a value has one scale: KV_BLOCK scales, f16 (at the beginning of KV_HEAD bytes for each 32 elements), then for each eight
 * elements 8 x (4 positions of each), int8. */
#include "cpu/cpu.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { MOST_DIM = 1024, Q8_BYTES = 34, LANES = 8 };

/* Row `r` of a panel. */
static void put_key(char *panel, size_t r, const uint8_t *q8, size_t blocks)
{
    for (size_t b = 0; b < blocks; b++, panel += PANEL * Q8_BYTES, q8 += Q8_BYTES) {
        memcpy(panel + 2 * r, q8, 2);
        for (size_t v = 0; v < 8; v++) memcpy(panel + 2 * PANEL + (v * PANEL + r) * 4, q8 + 2 + 4 * v, 4);
    }
}

static void put_value(char *block, size_t j, const float *value, size_t d)
{
    char *codes = block + KV_HEAD * d / 32 + j / 4 * LANES * 4 + j % 4;
    float most = 0;
    for (size_t i = 0; i < d; i++) most = fmaxf(most, fabsf(value[i]));
    uint16_t scale = f32_to_f16(most / 127);
    float inverse = most > 0 ? 127 / most : 0;
    memcpy(block + 2 * j, &scale, sizeof scale);
    for (size_t i = 0; i < d; i++) codes[i / LANES * LANES * KV_BLOCK + i % LANES * 4] = (char)lrintf(value[i] * inverse);
}

void q8_cache_store(const struct kv_cache *c, size_t layer, size_t head, size_t position, const float *key, const float *value)
{
    uint8_t q8[MOST_DIM / 32 * Q8_BYTES];
    size_t d = c->head_dim, j = position % KV_BLOCK;
    assert(d <= MOST_DIM);
    dtypes[DTYPE_Q8_0].from_f32(q8, key, d);
    put_key(kv_keys(c, layer, head, position - j) + j / PANEL * panel_bytes(DTYPE_Q8_0, d), j % PANEL, q8, d / 32);
    put_value(kv_values(c, layer, head, position - j), j, value, d);
}
