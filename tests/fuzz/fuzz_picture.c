/* fuzz_picture.c - any bytes as a PNG, as base64 and as an answer that draws: no harm, what is coded comes back, and what is found in an answer lies in it. */
#include <stdlib.h>
#include <string.h>

#include "eval/eval_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct picture_size picture;
    struct span_text found;
    struct buf coded, again;
    bool is_blank;
    if (!picture_png(&picture, &is_blank, data, size) && (!picture.width || !picture.height || picture.width > 10000 || picture.height > 10000)) abort();
    buf_init(&coded, 0);
    buf_init(&again, 0);
    (void)picture_decode(&again, (const char *)data, size);
    buf_clear(&again);
    picture_encode(&coded, data, size);
    if (!picture_decode(&again, coded.data ? coded.data : "", coded.len) || again.len != size || (size && memcmp(again.data, data, size) != 0)) abort();
    char *text = mem_strndup((const char *)data, size);
    size_t len = strlen(text);
    for (int asked = 0; asked < 3; asked++) {
        (void)picture_answer(&found, text, len, (enum picture_form)asked);
        if (found.at < text || found.at + found.len > text + len) abort();
        buf_clear(&again);
        picture_document(&again, found.at, found.len);
        if (found.len && !again.len) abort();
    }
    mem_free(text);
    buf_release(&coded);
    buf_release(&again);
    return 0;
}
