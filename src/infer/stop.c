/* stop.c - stop strings across token borders: text is held back while its end may be the beginning of a stop string. */
#include "infer/infer.h"

#include <string.h>

void stop_scanner_init(struct stop_scanner *s, const char *const *stop, size_t n_stop)
{
    *s = (struct stop_scanner){ .stop = stop, .n_stop = n_stop };
    buf_init(&s->text, 0);
}

void stop_scanner_release(struct stop_scanner *s) { buf_release(&s->text); }

/* Earliest complete stop string at or after `from`: its index, and where it begins. */
static int find_stop(const struct stop_scanner *s, size_t from, size_t *at)
{
    int found = -1;
    for (size_t i = 0; i < s->n_stop; i++) {
        size_t n = strlen(s->stop[i]);
        const char *hit = n ? memmem(s->text.data + from, s->text.len - from, s->stop[i], n) : NULL;
        if (hit && (found < 0 || (size_t)(hit - s->text.data) < *at)) {
            found = (int)i;
            *at = (size_t)(hit - s->text.data);
        }
    }
    return found;
}

/* Longest end of the text that is a beginning of some stop string. */
static size_t held_back(const struct stop_scanner *s)
{
    size_t longest = 0;
    for (size_t i = 0; i < s->n_stop; i++) {
        size_t n = strlen(s->stop[i]), pending = s->text.len - s->emitted;
        for (size_t k = n ? n - 1 : 0; k > longest; k--)
            if (k <= pending && !memcmp(s->text.data + s->text.len - k, s->stop[i], k)) longest = k;
    }
    return longest;
}

int stop_scanner_put(struct stop_scanner *s, const char *bytes, size_t len, bool at_end, size_t *emit_from, size_t *emit_to)
{
    text_stream_put(&s->stream, &s->text, bytes, len);
    if (at_end) text_stream_end(&s->stream, &s->text);
    *emit_from = *emit_to = s->emitted;
    if (!s->text.data) return -1;
    size_t at = 0;
    int found = find_stop(s, s->emitted, &at);
    *emit_to = found >= 0 ? at : at_end ? s->text.len : s->text.len - held_back(s);
    s->emitted = *emit_to;
    return found;
}
