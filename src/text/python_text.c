/* python_text.c - what Python's str does with white space and case, for rules that the reference states by it. */
#include "text_internal.h"
#include "jinja_characters.h"

size_t text_space_at_begin(const char *text, size_t len)
{
    uint32_t c = 0;
    if (!len) return 0;
    int n = utf8_next(text, len, &c);
    return n > 0 && char_is_space(c) ? (size_t)n : 0;
}

size_t text_space_at_end(const char *text, size_t len)
{
    size_t n = 1;
    if (!len) return 0;
    while (n < 4 && n < len && ((unsigned char)text[len - n] & 0xC0) == 0x80) n++;
    return text_space_at_begin(text + len - n, n) == n ? n : 0;
}

struct span text_strip(const char *text, size_t len)
{
    struct span s = { 0, len };
    size_t n;
    while ((n = text_space_at_begin(text + s.begin, s.end - s.begin)) > 0) s.begin += n;
    while ((n = text_space_at_end(text + s.begin, s.end - s.begin)) > 0) s.end -= n;
    return s;
}

void text_put_case(struct buf *out, const char *text, size_t len, bool upper)
{
    char mapped[CHAR_MAPPED_MAX];
    for (size_t at = 0; at < len;) {
        uint32_t c = 0;
        int n = utf8_next(text + at, len - at, &c);
        size_t bytes = n > 0 ? (size_t)n : (size_t)-n;
        if (n > 0) buf_append(out, mapped, char_map(mapped, c, upper ? CHAR_UPPER : CHAR_LOWER));
        else buf_append(out, text + at, bytes);
        at += bytes;
    }
}
