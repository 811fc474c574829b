/* decode.c - ids to bytes, and bytes to whole characters for streams: what could still become a character waits. */
#include "text_internal.h"

#include <string.h>

void tokenizer_decode(const struct tokenizer *t, struct buf *out, const int32_t *id, size_t n, bool skip_special)
{
    const struct vocabulary *v = &t->vocabulary;
    for (size_t i = 0; i < n; i++) {
        if (id[i] < 0 || (size_t)id[i] >= v->len) continue;
        const struct token *token = &v->token[id[i]];
        if (!(token->flags & TOKEN_USED) || (skip_special && token->flags & TOKEN_SPECIAL)) continue;
        buf_append(out, v->pool.data + token->bytes, token->bytes_len);
    }
}

/* Appends all but an unfinished character at the end, which it keeps. */
static void stream_put(struct text_stream *s, struct buf *out, const char *bytes, size_t len)
{
    size_t tail = utf8_incomplete_tail(bytes, len);
    utf8_repair(out, bytes, len - tail);
    memcpy(s->held, bytes + len - tail, tail);
    s->n_held = tail;
}

void text_stream_put(struct text_stream *s, struct buf *out, const char *bytes, size_t len)
{
    if (!len) return;
    if (!s->n_held) { stream_put(s, out, bytes, len); return; }
    struct buf all;
    buf_init(&all, 0);
    buf_append(&all, s->held, s->n_held);
    buf_append(&all, bytes, len);
    stream_put(s, out, all.data, all.len);
    buf_release(&all);
}

void text_stream_end(struct text_stream *s, struct buf *out)
{
    utf8_repair(out, s->held, s->n_held);
    s->n_held = 0;
}
