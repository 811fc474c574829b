/* card_text.c - texts of strangers in YAML and Markdown: nothing that they hold can end what they stand in. */
#include "card/card.h"

#include <string.h>

#include "data/dataset.h"

/* ---- YAML ------------------------------------------------------------------------------------------------------------------------- */

/* Characters that YAML does not allow as they are (1.2, section 5.1), or that turn the direction of text. */
static bool is_escaped(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || (c >= 0x200e && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff || c == 0xfffe || c == 0xffff;
}

void yaml_put_string(struct buf *out, const char *text)
{
    size_t len = strlen(text);
    buf_putc(out, '"');
    for (size_t at = 0; at < len;) {
        uint32_t c;
        int n = utf8_next(text + at, len - at, &c);
        if (n < 0) buf_puts(out, "\xEF\xBF\xBD");
        else if (c == '"' || c == '\\') buf_printf(out, "\\%c", (char)c);
        else if (is_escaped(c)) buf_printf(out, "\\u%04x", c);
        else buf_append(out, text + at, (size_t)n);
        at += (size_t)(n < 0 ? -n : n);
    }
    buf_putc(out, '"');
}

static void put_scalar(struct buf *out, const json_t *value)
{
    if (json_is_string(value)) { yaml_put_string(out, json_string_value(value)); return; }
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(12));
    buf_puts(out, text ? text : "null");
    mem_free(text);
}

void yaml_put_object(struct buf *out, const json_t *object)
{
    const char *key;
    const json_t *value, *item;
    size_t i;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) {
        if (json_is_object(value)) continue;
        bool is_plain = *key && strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(key);
        if (is_plain) buf_puts(out, key);
        else yaml_put_string(out, key);
        buf_putc(out, ':');
        if (!json_array_size(value)) buf_putc(out, ' ');
        if (!json_is_array(value)) put_scalar(out, value);
        else if (!json_array_size(value)) buf_puts(out, "[]");
        buf_putc(out, '\n');
        json_array_foreach(value, i, item) {
            buf_puts(out, "  - ");
            put_scalar(out, item);
            buf_putc(out, '\n');
        }
    }
}

/* ---- Markdown ----------------------------------------------------------------------------------------------------------------------- */

void markdown_put_fence(struct buf *out, const char *language, const char *text, size_t len)
{
    size_t longest = 0, run = 0;
    for (size_t i = 0; i < len; i++) {
        run = text[i] == '`' ? run + 1 : 0;
        if (run > longest) longest = run;
    }
    size_t ticks = longest < 3 ? 3 : longest + 1;
    buf_putc(out, '\n');
    for (size_t i = 0; i < ticks; i++) buf_putc(out, '`');
    buf_printf(out, "%s\n", language);
    for (size_t at = 0, n; at < len; at += n + 1) {                /* lines stay lines; other control characters become visible */
        const char *end = memchr(text + at, '\n', len - at);
        n = end ? (size_t)(end - text) - at : len - at;
        visible_put(out, text + at, n, NULL);
        buf_putc(out, '\n');
    }
    for (size_t i = 0; i < ticks; i++) buf_putc(out, '`');
    buf_putc(out, '\n');
}
