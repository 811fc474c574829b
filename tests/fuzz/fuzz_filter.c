/* fuzz_filter.c - a filter's file, and texts through its rules: the first line that begins with "---" parts the two. */
#include <stdint.h>
#include <string.h>

#include "serve/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const struct filter *f, const char *text, size_t len, size_t step, struct buf *out)
{
    struct filter_stream *s = filter_begin(f, false);
    for (size_t i = 0; i < len;) {
        size_t end = i + step < len ? i + step : len;
        while (end < len && (text[end] & 0xc0) == 0x80) end++;
        filter_put(s, text + i, end - i, false, out);
        i = end;
    }
    filter_put(s, "", 0, true, out);
    filter_end(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *mark = memmem(data, size, "\n---\n", 5), *text = mark ? mark + 5 : (const char *)data + size;
    size_t len = size - (size_t)(text - (const char *)data);
    struct filter *f = NULL;
    sc_error err;
    if (filter_read(&f, (const char *)data, mark ? (size_t)(mark - (const char *)data) : size, "fuzz", &err) != SC_OK) return 0;
    if (utf8_is_valid(text, len) && len < 2000) {
        struct buf a;
        buf_init(&a, 0);
        run(f, text, len, 1, &a);
        run(f, text, len, 7, &a);
        buf_release(&a);
    }
    filter_close(f);
    return 0;
}
