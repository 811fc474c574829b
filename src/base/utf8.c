/* utf8.c - UTF-8 as the Unicode standard defines it (15.0, table 3-7), with U+FFFD for each maximal subpart of an
 * ill-formed sequence, which is what Rust's from_utf8_lossy and so the reference tokenizers do. */
#include "base/base.h"

#include <string.h>

/* Length and the allowed range of the second byte for each kind of lead byte; 0: never a lead. */
static int lead_info(unsigned char c, unsigned char *low, unsigned char *high)
{
    *low = 0x80;
    *high = 0xBF;
    if (c >= 0xC2 && c <= 0xDF) return 2;
    if (c >= 0xE0 && c <= 0xEF) {
        if (c == 0xE0) *low = 0xA0;
        if (c == 0xED) *high = 0x9F;
        return 3;
    }
    if (c >= 0xF0 && c <= 0xF4) {
        if (c == 0xF0) *low = 0x90;
        if (c == 0xF4) *high = 0x8F;
        return 4;
    }
    return 0;
}

/* As utf8_next, and tells in *is_cut whether only the end of the bytes made it invalid. */
static int decode(const char *s, size_t len, uint32_t *code_point, bool *is_cut)
{
    const unsigned char *p = (const unsigned char *)s;
    *is_cut = false;
    if (p[0] < 0x80) { *code_point = p[0]; return 1; }
    unsigned char low, high;
    int n = lead_info(p[0], &low, &high);
    if (!n) return -1;
    uint32_t c = p[0] & (0xFFu >> (n + 1));
    for (int i = 1; i < n; i++) {
        if ((size_t)i >= len) { *is_cut = true; return -i; }
        if (p[i] < low || p[i] > high) return -i;
        low = 0x80;
        high = 0xBF;
        c = c << 6 | (p[i] & 0x3Fu);
    }
    *code_point = c;
    return n;
}

int utf8_next(const char *s, size_t len, uint32_t *code_point)
{
    bool is_cut;
    return decode(s, len, code_point, &is_cut);
}

int utf8_put(char out[4], uint32_t c)
{
    if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) c = 0xFFFD;
    if (c < 0x80) { out[0] = (char)c; return 1; }
    if (c < 0x800) { out[0] = (char)(0xC0 | c >> 6); out[1] = (char)(0x80 | (c & 0x3F)); return 2; }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12); out[1] = (char)(0x80 | (c >> 6 & 0x3F)); out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18); out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F)); out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* First byte that is not part of valid text; eight ASCII bytes at a time. */
static size_t valid_prefix(const char *s, size_t len)
{
    size_t i = 0;
    while (i < len) {
        uint64_t eight;
        if (len - i >= 8 && (memcpy(&eight, s + i, 8), !(eight & 0x8080808080808080u))) { i += 8; continue; }
        uint32_t c;
        int n = utf8_next(s + i, len - i, &c);
        if (n < 0) return i;
        i += (size_t)n;
    }
    return len;
}

bool utf8_is_valid(const char *s, size_t len) { return valid_prefix(s, len) == len; }

void utf8_repair(struct buf *out, const char *s, size_t len)
{
    for (size_t i = 0; i < len; ) {
        size_t good = valid_prefix(s + i, len - i);
        buf_append(out, s + i, good);
        i += good;
        if (i >= len) break;
        uint32_t c;
        i += (size_t)-utf8_next(s + i, len - i, &c);
        buf_append(out, "\xEF\xBF\xBD", 3);
    }
}

size_t utf8_incomplete_tail(const char *s, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char c = (unsigned char)s[len - back];
        if (c < 0x80) return 0;
        if (c < 0xC0) continue;
        uint32_t code_point;
        bool is_cut;
        int n = decode(s + len - back, back, &code_point, &is_cut);
        return is_cut && n == -(int)back ? back : 0;
    }
    return 0;
}

size_t utf8_count(const char *s, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) n += ((unsigned char)s[i] & 0xC0) != 0x80;
    return n;
}
