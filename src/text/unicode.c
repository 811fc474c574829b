/* unicode.c - character classes in constant time. The generated runs (unicode_table.c) are spread out to blocks of 256
 * code points when a tokenizer opens: blocks inside one run are shared, so 17 x 65536 code points take 40 KB. */
#include "text_internal.h"

#include <string.h>

enum { CODE_POINTS = 0x110000, BLOCK = 256 };

static uint32_t run_begin(size_t i) { return i < unicode_n_runs ? unicode_runs[i] >> 8 : CODE_POINTS; }

/* Fills one block; `run` is the run that holds its first code point, and afterwards the one of the next block. */
static void block_fill(uint8_t *block, uint32_t first, size_t *run)
{
    for (uint32_t i = 0; i < BLOCK; i++) {
        while (run_begin(*run + 1) <= first + i) (*run)++;
        block[i] = (uint8_t)unicode_runs[*run];
    }
}

void unicode_open(struct unicode *u)
{
    /* Blocks 0..n_classes-1 hold one class each; block numbers fit a byte because the table has few mixed blocks. */
    memset(u, 0, sizeof *u);
    size_t n_blocks = unicode_n_classes;
    u->blocks = mem_alloc(256 * BLOCK);
    for (size_t i = 0; i < unicode_n_classes; i++) {
        u->kind[i] = unicode_classes[i];
        memset(u->blocks + i * BLOCK, (int)i, BLOCK);
    }
    size_t run = 0;
    for (uint32_t b = 0; b < CODE_POINTS / BLOCK; b++) {
        uint32_t first = b * BLOCK;
        while (run_begin(run + 1) <= first) run++;
        if (run_begin(run + 1) >= first + BLOCK) { u->block_of[b] = (uint8_t)unicode_runs[run]; continue; }
        u->block_of[b] = (uint8_t)n_blocks;
        block_fill(u->blocks + n_blocks++ * BLOCK, first, &run);
    }
    u->blocks = mem_grow(u->blocks, n_blocks * BLOCK);
    for (uint32_t c = 0; c < 256; c++) u->latin[c] = (uint16_t)unicode_flags(u, c);
}

void unicode_close(struct unicode *u)
{
    mem_free(u->blocks);
    u->blocks = NULL;
}

uint32_t utf8_flags_before(const struct unicode *u, const char *s, size_t at, size_t *n)
{
    size_t back = 1;
    while (back < 4 && back < at && ((unsigned char)s[at - back] & 0xC0) == 0x80) back++;
    size_t bytes;
    uint32_t flags = utf8_flags(u, s + at - back, &bytes);
    *n = back;
    return flags;
}
