/* fuzz_chat_text.c - any bytes as a model's answer on a terminal, streamed in pieces. Whatever comes: nothing but the
 * chat's own styles can reach the terminal as an escape sequence, and cutting the text into other pieces changes
 * nothing. The first byte sets the size of the pieces. */
#include <string.h>

#include "base/base.h"
#include "cmd/chat.h"
#include "fuzz_memory.h"

/* The answer arrives in whole characters, as a session's do. */
static char *show(const char *text, size_t len, size_t step, bool is_styled, size_t *n)
{
    char *out = NULL;
    FILE *to = open_memstream(&out, n);
    struct markdown m;
    markdown_begin(&m, to, is_styled);
    for (size_t at = 0, end; at < len; at = end) {
        end = len - at > step ? at + step : len;
        while (end < len && ((unsigned char)text[end] & 0xc0) == 0x80) end++;
        if (is_styled) markdown_put(&m, text + at, end - at);
        else print_safe(to, text + at, end - at);
    }
    markdown_end(&m);
    fclose(to);
    return out;
}

static size_t style_bytes(const char *s)
{
    static const char *const codes[] = { "\033[0m", "\033[0;2m", "\033[0;36m", "\033[0;1m" };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strncmp(s, codes[i], strlen(codes[i])) == 0) return strlen(codes[i]);
    return 0;
}

/* Valid UTF-8 without controls besides newline, tab and, if allowed, the styles; bidirectional controls are three bytes
 * E2 80 AA..AE, E2 81 A6..A9 and a few more. Returns the text without styles. */
static char *check(const char *out, size_t n, bool is_styled)
{
    struct string plain = { 0 };
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)out[i], d = (unsigned char)out[i + 1], e = d ? (unsigned char)out[i + 2] : 0;
        size_t style = is_styled ? style_bytes(out + i) : 0;
        if (style) {
            i += style - 1;
            continue;
        }
        if ((c < 32 && c != '\n' && c != '\t') || c == 127 || (c == 0xc2 && d < 0xa0)) abort();
        if (c == 0xe2 && ((d == 0x80 && e >= 0xaa && e <= 0xae) || (d == 0x81 && e >= 0xa6 && e <= 0xa9))) abort();
        string_add(&plain, out + i, 1);
    }
    string_add(&plain, "", 0);
    if (!utf8_is_valid(plain.data, plain.len)) abort();
    return string_take(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 20000) return 0;
    const char *text = (const char *)data + 1;
    struct string whole = { 0 };
    size_t len = size - 1, n_pieces, n_once, n_safe;
    fuzz_memory_begin(size * 16);                    /* an escape for each byte, four times, growing by doubling */
    string_add_repaired(&whole, text, len);          /* the session writes whole characters */
    char *pieces = show(whole.data, whole.len, 1 + data[0] % 32, true, &n_pieces);
    char *once = show(whole.data, whole.len, whole.len, true, &n_once);
    char *safe = show(text, len, len, false, &n_safe);
    char *safe_whole = NULL;
    size_t n_whole;
    safe_whole = show(whole.data, whole.len, whole.len, false, &n_whole);
    if (n_pieces != n_once || memcmp(pieces, once, n_once) != 0) abort();
    free(check(safe, n_safe, false));
    char *plain = check(once, n_once, true);
    if (strlen(plain) != n_whole || memcmp(plain, safe_whole, n_whole) != 0) abort();   /* lossless */
    fuzz_memory_end();
    free(plain);
    free(pieces);
    free(once);
    free(safe);
    free(safe_whole);
    string_release(&whole);
    return 0;
}
