/* words.c - the words of a text, as hashes: what near-duplicates, overlaps and languages are measured in.
 *
 * Why hashes: nothing here needs the letters, and 32 bits a word keep millions of test items in memory. ASCII goes
 * through a table; other characters through utf8proc (categories and lower case of Unicode). */
#include "clean_internal.h"

#include <string.h>
#include <utf8proc.h>

enum { WORD_BETWEEN = 0, WORD_WIDE = 1 };    /* other values: the lower-case letter or digit */
static const uint8_t word_byte[256] = {
    ['0'] = '0', '1', '2', '3', '4', '5', '6', '7', '8', '9',
    ['A'] = 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z',
    ['a'] = 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z',
    [0x80 ... 0xFF] = WORD_WIDE,
};

enum wide { WIDE_BETWEEN, WIDE_LETTER, WIDE_ALONE };

/* Thai, Lao, Myanmar, Khmer; kana and Chinese characters. */
static bool is_written_without_spaces(uint32_t c)
{
    return (c >= 0x0E00 && c <= 0x0EFF) || (c >= 0x1000 && c <= 0x109F) || (c >= 0x1780 && c <= 0x17FF)
        || (c >= 0x3040 && c <= 0x30FF) || (c >= 0x3400 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x20000 && c <= 0x3FFFF);
}

/* Kind of the character at p and its bytes; *c in lower case. */
static enum wide wide_char(const char *p, size_t left, uint32_t *c, size_t *bytes)
{
    int n = utf8_next(p, left, c);
    *bytes = (size_t)(n < 0 ? -n : n);
    if (n < 0) return WIDE_BETWEEN;
    int category = utf8proc_category((utf8proc_int32_t)*c);
    if (category < UTF8PROC_CATEGORY_LU || category > UTF8PROC_CATEGORY_NO) return WIDE_BETWEEN;
    if (is_written_without_spaces(*c)) return WIDE_ALONE;
    *c = (uint32_t)utf8proc_tolower((utf8proc_int32_t)*c);
    return WIDE_LETTER;
}

bool word_next(struct word_reader *r, uint32_t *hash)
{
    const uint64_t prime = 0x9E3779B97F4A7C15u;
    const char *p = r->at, *end = r->end;
    uint64_t h = 0;
    bool inside = false;
    while (p < end) {
        uint8_t kind = word_byte[(unsigned char)*p];
        if (kind > WORD_WIDE) { h = (h ^ kind) * prime; inside = true; p++; continue; }
        if (kind == WORD_BETWEEN) { p++; if (inside) break; continue; }
        uint32_t c;
        size_t bytes;
        enum wide wide = wide_char(p, (size_t)(end - p), &c, &bytes);
        if (inside && wide != WIDE_LETTER) break;
        p += bytes;
        if (wide == WIDE_BETWEEN) continue;
        h = (h ^ c) * prime;
        inside = true;
        if (wide == WIDE_ALONE) break;
    }
    r->at = p;
    *hash = (uint32_t)(hash_mix(h) >> 32);
    return inside;
}

bool dialogue_part(const struct dialogue *d, size_t i, const char **text, size_t *len)
{
    const json_t *content = json_object_get(json_array_get(d->messages, i), "content");
    if (d->text && i == 0) { *text = d->text; *len = strlen(d->text); return true; }
    if (d->text || i >= json_array_size(d->messages)) return false;
    *text = json_is_string(content) ? json_string_value(content) : "";
    *len = json_string_length(content);
    return true;
}

bool dialogue_word(struct dialogue_words *w, uint32_t *hash)
{
    while (!word_next(&w->reader, hash)) {
        const char *text;
        size_t len;
        if (!dialogue_part(w->dialogue, w->part, &text, &len)) return false;
        w->part++;
        w->reader = (struct word_reader) { text, text + len };
    }
    return true;
}
