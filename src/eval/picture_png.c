/* picture_png.c - is this a PNG, how large is it, is there anything to see? Its bytes come from a program of a model, so all of it is checked before any of it is shown:
 * chunks with their sums, and every row of pixels. Pure, fuzzed. Source: PNG Specification, third edition. */
#include "eval/eval_internal.h"

#include <string.h>
#include <zlib.h>

enum { SIDE_MAX = 10000, PIXELS_MAX = 40000000, HEAD_BYTES = 13, CHUNK_BYTES = 12 };

struct png { struct picture_size size; unsigned depth, color, interlace, bits; bool has_head, has_palette, has_end, is_blank; z_stream z; bool is_open, is_over; uint8_t *row[2], first[8]; size_t row_bytes, filled; uint32_t rows; };

static uint32_t u32(const uint8_t *at) { return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]; }

static const char *read_head(struct png *p, const uint8_t *at, size_t len)
{
    static const struct { uint8_t color, channels, depths; } kinds[] = { { 0, 1, 31 }, { 2, 3, 24 }, { 3, 1, 15 }, { 4, 2, 24 }, { 6, 4, 24 } };      /* depths: bits 1, 2, 4, 8, 16 */
    unsigned channels = 0;
    if (len != HEAD_BYTES || p->has_head) return "its header is damaged";
    p->has_head = true;
    p->size = (struct picture_size){ u32(at), u32(at + 4) };
    p->depth = at[8];
    p->color = at[9];
    p->interlace = at[12];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (unsigned d = 0; d < 5; d++)
            if (kinds[i].color == p->color && (kinds[i].depths & 1u << d) && p->depth == 1u << d) channels = kinds[i].channels;
    if (!channels || at[10] || at[11] || p->interlace > 1) return "its header names no kind of PNG";
    if (p->interlace) return "it is interlaced, which is not shown here";
    if (!p->size.width || !p->size.height || p->size.width > SIDE_MAX || p->size.height > SIDE_MAX || (uint64_t)p->size.width * p->size.height > PIXELS_MAX) return "it is empty or larger than 10,000 by 10,000 or 40 million pixels";
    p->bits = channels * p->depth;
    p->row_bytes = 1 + ((size_t)p->size.width * p->bits + 7) / 8;
    for (int i = 0; i < 2; i++) p->row[i] = mem_zero(p->row_bytes, 1);
    p->is_blank = true;
    p->is_open = inflateInit(&p->z) == Z_OK;
    return p->is_open ? NULL : "it cannot be unpacked";
}

static uint8_t paeth(int a, int b, int c)
{
    int p = a + b - c, da = p > a ? p - a : a - p, db = p > b ? p - b : b - p, dc = p > c ? p - c : c - p;
    return (uint8_t)(da <= db && da <= dc ? a : db <= dc ? b : c);
}

static bool unfilter(struct png *p)
{
    uint8_t *now = p->row[0] + 1;
    const uint8_t *above = p->row[1] + 1;
    size_t n = p->row_bytes - 1, back = p->bits < 8 ? 1 : p->bits / 8;
    for (size_t i = 0; i < n; i++) {
        uint8_t a = i >= back ? now[i - back] : 0, c = i >= back ? above[i - back] : 0;
        switch (p->row[0][0]) {
        case 0: return true;
        case 1: now[i] = (uint8_t)(now[i] + a); break;
        case 2: now[i] = (uint8_t)(now[i] + above[i]); break;
        case 3: now[i] = (uint8_t)(now[i] + (a + above[i]) / 2); break;
        case 4: now[i] = (uint8_t)(now[i] + paeth(a, above[i], c)); break;
        default: return false;
        }
    }
    return p->row[0][0] <= 4;
}

/* Are all pixels of this row the first one of the picture? Where a pixel has less than a byte, `first` is a byte full of it. */
static bool is_even(struct png *p)
{
    const uint8_t *now = p->row[1] + 1;
    size_t step = p->bits < 8 ? 1 : p->bits / 8, whole = (size_t)p->size.width * p->bits / 8;
    unsigned tail = (unsigned)((size_t)p->size.width * p->bits % 8);
    if (p->rows == 1) memcpy(p->first, now, step);
    for (unsigned i = 0, pixel = now[0] >> (8 - p->bits % 8); p->rows == 1 && p->bits < 8 && i < 8; i += p->bits) p->first[0] = (uint8_t)((i ? p->first[0] : 0u) | pixel << i);
    for (size_t i = 0; i < whole; i++)
        if (now[i] != p->first[i % step]) return false;
    return !tail || (now[whole] ^ p->first[0]) >> (8 - tail) == 0;
}

static const char *take_row(struct png *p)
{
    if (p->rows == p->size.height) return "it has more rows than its header says";
    if (!unfilter(p)) return "a row of it is damaged";
    uint8_t *above = p->row[1];
    p->row[1] = p->row[0];
    p->row[0] = above;
    p->filled = 0;
    p->rows++;
    p->is_blank = p->is_blank && is_even(p);
    return NULL;
}

static const char *read_pixels(struct png *p, const uint8_t *at, size_t len)
{
    if (!p->has_head || (p->color == 3 && !p->has_palette)) return "its pixels come before its header";
    p->z.next_in = (Bytef *)(uintptr_t)at;
    p->z.avail_in = (uInt)len;
    while (!p->is_over) {
        p->z.next_out = p->row[0] + p->filled;
        p->z.avail_out = (uInt)(p->row_bytes - p->filled);
        int got = inflate(&p->z, Z_NO_FLUSH);
        if (got != Z_OK && got != Z_STREAM_END && got != Z_BUF_ERROR) return "its pixels cannot be unpacked";
        p->is_over = got == Z_STREAM_END;
        p->filled = p->row_bytes - p->z.avail_out;
        const char *wrong = p->filled == p->row_bytes ? take_row(p) : NULL;
        if (wrong) return wrong;
        if (p->z.avail_out) break;                            /* it wants the next chunk */
    }
    return p->z.avail_in ? "something follows its pixels" : NULL;
}

static const char *read_chunk(struct png *p, const uint8_t *at, size_t len)
{
    const uint8_t *data = at + 8;
    if (u32(data + len) != crc32(crc32(0, NULL, 0), at + 4, (uInt)len + 4)) return "the sum of a chunk is wrong";
    if (memcmp(at + 4, "IHDR", 4) == 0) return read_head(p, data, len);
    if (!p->has_head) return "it does not begin with a header";
    if (memcmp(at + 4, "PLTE", 4) == 0) p->has_palette = len && len % 3 == 0 && len <= 768;
    else if (memcmp(at + 4, "IDAT", 4) == 0) return read_pixels(p, data, len);
    else if (memcmp(at + 4, "IEND", 4) == 0) p->has_end = true;
    else if (!(at[4] & 32)) return "it has a part that no PNG has";
    return NULL;
}

const char *picture_png(struct picture_size *size, bool *is_blank, const void *data, size_t len)
{
    static const uint8_t sign[8] = { 137, 80, 78, 71, 13, 10, 26, 10 };
    const uint8_t *at = data;
    struct png p = { 0 };
    const char *wrong = len < sizeof sign || memcmp(at, sign, sizeof sign) != 0 ? "it is no PNG" : NULL;
    for (size_t i = sizeof sign; !wrong && !p.has_end;) {
        size_t left = len - i;
        if (left < CHUNK_BYTES || u32(at + i) > left - CHUNK_BYTES) { wrong = "it is torn"; break; }
        size_t n = u32(at + i);
        wrong = read_chunk(&p, at + i, n);
        i += n + CHUNK_BYTES;
        if (!wrong && p.has_end && i != len) wrong = "something follows its end";
    }
    if (!wrong && (p.rows != p.size.height || p.filled || !p.is_over)) wrong = "rows of it are missing";
    if (p.is_open) inflateEnd(&p.z);
    for (int i = 0; i < 2; i++) mem_free(p.row[i]);
    *size = p.size;
    *is_blank = p.is_blank;
    return wrong;
}
