/* buf.c - growable bytes with a ceiling given at init: one overflow flag instead of a status at every append. */
#include "base/base.h"

#include <stdio.h>
#include <string.h>

void buf_init(struct buf *b, size_t max) { *b = (struct buf){ .max = max }; }

void buf_release(struct buf *b)
{
    mem_free(b->data);
    *b = (struct buf){ .max = b->max };
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->is_full = false;
    if (b->data) b->data[0] = 0;
}

void buf_append(struct buf *b, const void *bytes, size_t len)
{
    if (b->is_full) return;
    size_t need;
    if (!size_add(b->len, len, &need) || need == SIZE_MAX || (b->max && need > b->max)) { b->is_full = true; return; }
    if (need + 1 > b->cap) {
        size_t cap = b->cap ? b->cap : 64;
        while (cap < need + 1) cap = cap > SIZE_MAX / 2 ? need + 1 : cap * 2;
        b->data = mem_grow(b->data, cap);
        b->cap = cap;
    }
    if (len) memcpy(b->data + b->len, bytes, len);
    b->len = need;
    b->data[need] = 0;
}

void buf_puts(struct buf *b, const char *text) { buf_append(b, text, strlen(text)); }

void buf_putc(struct buf *b, char c) { buf_append(b, &c, 1); }

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    char small[256];
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof small) {
        buf_append(b, small, (size_t)n);
    } else if (n >= 0) {
        char *large = mem_alloc((size_t)n + 1);
        vsnprintf(large, (size_t)n + 1, format, again);
        buf_append(b, large, (size_t)n);
        mem_free(large);
    }
    va_end(again);
}

void buf_put_utf8(struct buf *b, uint32_t code_point)
{
    char bytes[4];
    buf_append(b, bytes, (size_t)utf8_put(bytes, code_point));
}

/* High bits of the bytes of `x` that are zero, or of some behind such a byte. */
static uint64_t zero_bytes(uint64_t x) { return (x - 0x0101010101010101u) & ~x & 0x8080808080808080u; }

/* Bytes at the begin, eight at a time, among which none needs an escape. */
static size_t plain_length(const char *s, size_t len)
{
    size_t i = 0;
    for (uint64_t eight; len - i >= 8; i += 8) {
        memcpy(&eight, s + i, 8);
        uint64_t controls = (eight - 0x2020202020202020u) & ~eight & 0x8080808080808080u;
        if (controls | zero_bytes(eight ^ 0x2222222222222222u) | zero_bytes(eight ^ 0x5C5C5C5C5C5C5C5Cu) | zero_bytes(eight ^ 0x7F7F7F7F7F7F7F7Fu)) break;
    }
    return i;
}

void buf_put_json_string(struct buf *b, const char *utf8, size_t len)
{
    buf_putc(b, '"');
    size_t from = 0;
    for (size_t i = plain_length(utf8, len); i < len; i++, i += plain_length(utf8 + i, len - i)) {
        unsigned char c = (unsigned char)utf8[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) continue;
        buf_append(b, utf8 + from, i - from);
        from = i + 1;
        switch (c) {
        case '"': buf_puts(b, "\\\""); break;
        case '\\': buf_puts(b, "\\\\"); break;
        case '\n': buf_puts(b, "\\n"); break;
        case '\r': buf_puts(b, "\\r"); break;
        case '\t': buf_puts(b, "\\t"); break;
        default: buf_printf(b, "\\u%04x", c);
        }
    }
    buf_append(b, utf8 + from, len - from);
    buf_putc(b, '"');
}

void buf_take(struct buf *b, sc_text *out)
{
    if (!b->data) buf_append(b, "", 0);
    out->data = b->data;
    out->len = b->len;
    *b = (struct buf){ .max = b->max };
}

void sc_text_free(sc_text *t)
{
    if (!t) return;
    mem_free(t->data);
    *t = (sc_text){ 0 };
}

void sc_tokens_free(sc_tokens *t)
{
    if (!t) return;
    mem_free(t->id);
    *t = (sc_tokens){ 0 };
}
