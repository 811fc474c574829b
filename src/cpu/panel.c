/* panel.c - weights of block types with eight rows interleaved, as the int8 kernels read them best.
 *
 * A panel holds the same blocks of eight rows side by side: first their scales, then their codes, four bytes of each row
 * in turn. So one vector holds four neighbours of all eight rows, every lane sums one row, and no sum goes across lanes.
 * Bytes are those of the file, but for Q4_K and Q5_K, whose 6-bit scales become bytes (2.8 and 2.3 % more). Per block, with r the row:
 *   Q8_0  d[r] f16; 8 x (4 bytes of each r)                         Q4_0  d[r]; 4 x (4 bytes of each r)
 *   Q4_1  d[r], m[r] f16; 4 x (4 bytes of each r)
 *   Q4_K  d[r], dmin[r] f16; for each of 8 groups scale[r], min[r] bytes; 32 x (4 bytes of each r)
 *   Q5_K  the same, then 8 x (4 bytes of fifth bits of each r)
 *   Q6_K  d[r] f16; for each of 8 groups of 32 two scales of each r, int8; 32 x (4 bytes of low bits), 16 x (of high bits)
 * Block layouts: GGUF specification, ggml-common.h. */
#include "cpu/cpu.h"

#include <string.h>

struct panel_row { size_t block_bytes, panel_bytes; void (*pack)(uint8_t *to, const uint8_t *const row[PANEL], size_t blocks); };

/* Four bytes of each row in turn, n times, from byte `at` of each row's block on. */
static uint8_t *put_codes(uint8_t *to, const uint8_t *const row[PANEL], size_t at, size_t n)
{
    for (size_t v = 0; v < n; v++)
        for (size_t r = 0; r < PANEL; r++, to += 4) memcpy(to, row[r] + at + 4 * v, 4);
    return to;
}

static uint8_t *put_half(uint8_t *to, const uint8_t *const row[PANEL], size_t at)
{
    for (size_t r = 0; r < PANEL; r++, to += 2) memcpy(to, row[r] + at, 2);
    return to;
}

/* The same block of all rows, `bytes` behind the one before. */
static void each_block(const uint8_t *block[PANEL], const uint8_t *const row[PANEL], size_t b, size_t bytes)
{
    for (size_t r = 0; r < PANEL; r++) block[r] = row[r] + b * bytes;
}

static void pack_q8_0(uint8_t *to, const uint8_t *const row[PANEL], size_t blocks)
{
    const uint8_t *at[PANEL];
    for (size_t b = 0; b < blocks; b++) {
        each_block(at, row, b, 34);
        to = put_codes(put_half(to, at, 0), at, 2, 8);
    }
}

static void pack_q4_0(uint8_t *to, const uint8_t *const row[PANEL], size_t blocks)
{
    const uint8_t *at[PANEL];
    for (size_t b = 0; b < blocks; b++) {
        each_block(at, row, b, 18);
        to = put_codes(put_half(to, at, 0), at, 2, 4);
    }
}

static void pack_q4_1(uint8_t *to, const uint8_t *const row[PANEL], size_t blocks)
{
    const uint8_t *at[PANEL];
    for (size_t b = 0; b < blocks; b++) {
        each_block(at, row, b, 20);
        to = put_codes(put_half(put_half(to, at, 0), at, 2), at, 4, 4);
    }
}

/* d, dmin, and the 6-bit scales and minima as bytes: the heads of Q4_K and Q5_K. */
static uint8_t *put_k_scales(uint8_t *to, const uint8_t *const row[PANEL])
{
    to = put_half(put_half(to, row, 0), row, 2);
    for (size_t r = 0; r < PANEL; r++)
        for (size_t g = 0; g < 8; g++) {
            const uint8_t *s = row[r] + 4;
            to[2 * PANEL * g + r] = (uint8_t)(g < 4 ? s[g] & 63 : (s[g + 4] & 15) | (s[g - 4] >> 6) << 4);
            to[2 * PANEL * g + PANEL + r] = (uint8_t)(g < 4 ? s[g + 4] & 63 : s[g + 4] >> 4 | (s[g] >> 6) << 4);
        }
    return to + 16 * PANEL;
}

static void pack_q4_k(uint8_t *to, const uint8_t *const row[PANEL], size_t blocks)
{
    const uint8_t *at[PANEL];
    for (size_t b = 0; b < blocks; b++) {
        each_block(at, row, b, 144);
        to = put_codes(put_k_scales(to, at), at, 16, 32);
    }
}

static void pack_q5_k(uint8_t *to, const uint8_t *const row[PANEL], size_t blocks)
{
    const uint8_t *at[PANEL];
    for (size_t b = 0; b < blocks; b++) {
        each_block(at, row, b, 176);
        to = put_codes(put_codes(put_k_scales(to, at), at, 48, 32), at, 16, 8);
    }
}

static void pack_q6_k(uint8_t *to, const uint8_t *const row[PANEL], size_t blocks)
{
    const uint8_t *at[PANEL];
    for (size_t b = 0; b < blocks; b++) {
        each_block(at, row, b, 210);
        to = put_half(to, at, 208);
        for (size_t g = 0; g < 8; g++)
            for (size_t r = 0; r < PANEL; r++, to += 2) memcpy(to, at[r] + 192 + 2 * g, 2);
        to = put_codes(put_codes(to, at, 0, 32), at, 128, 16);
    }
}

static const struct panel_row rows[DTYPE_COUNT] = {
    [DTYPE_Q8_0] = { 34, PANEL * 34, pack_q8_0 }, [DTYPE_Q4_0] = { 18, PANEL * 18, pack_q4_0 }, [DTYPE_Q4_1] = { 20, PANEL * 20, pack_q4_1 },
    [DTYPE_Q4_K] = { 144, PANEL * 148, pack_q4_k }, [DTYPE_Q5_K] = { 176, PANEL * 180, pack_q5_k }, [DTYPE_Q6_K] = { 210, PANEL * 210, pack_q6_k },
};

size_t panel_bytes(enum dtype t, size_t cols) { return cols / dtypes[t].block * rows[t].panel_bytes; }

size_t cpu_panels_bytes(enum dtype t, size_t n_rows, size_t cols) { return (n_rows + PANEL - 1) / PANEL * panel_bytes(t, cols); }

enum { MOST_BLOCK_BYTES = 256 };

/* Rows that are not there are packed as zeros, block by block. */
static void pack_part(void *panel, enum dtype t, const uint8_t *from, size_t n_rows, size_t cols)
{
    static const uint8_t zeros[MOST_BLOCK_BYTES];
    size_t blocks = cols / dtypes[t].block, bytes = rows[t].block_bytes;
    for (size_t b = 0; b < blocks; b++) {
        const uint8_t *row[PANEL];
        for (size_t r = 0; r < PANEL; r++) row[r] = r < n_rows ? from + (r * blocks + b) * bytes : zeros;
        rows[t].pack((uint8_t *)panel + b * rows[t].panel_bytes, row, 1);
    }
}

void panel_pack(void *panel, enum dtype t, const void *from, size_t n_rows, size_t cols)
{
    if (n_rows < PANEL) { pack_part(panel, t, from, n_rows, cols); return; }
    const uint8_t *row[PANEL];
    for (size_t r = 0; r < PANEL; r++) row[r] = (const uint8_t *)from + r * dtype_row_bytes(t, cols);
    rows[t].pack(panel, row, cols / dtypes[t].block);
}
