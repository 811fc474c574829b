/* align.c - which bytes of a text each of its tokens stands for: labels are given to bytes, and tokens take them over. */
#include "text_internal.h"

#include <string.h>

const char *tokenizer_bytes(const struct tokenizer *t, int32_t id, size_t *len)
{
    const struct vocabulary *v = &t->vocabulary;
    *len = 0;
    if (id < 0 || (size_t)id >= v->len || !(v->token[id].flags & TOKEN_USED)) return NULL;
    *len = v->token[id].bytes_len;
    return v->pool.data + v->token[id].bytes;
}

static bool stands_at(const char *text, size_t len, size_t at, const char *bytes, size_t n) { return n <= len - at && memcmp(text + at, bytes, n) == 0; }

/* Where the token's bytes begin at or behind `at`, with only white space before them; SIZE_MAX: nowhere. */
static size_t find_token(const char *text, size_t len, size_t at, const char *bytes, size_t n)
{
    for (size_t i = at; i <= len; i++) {
        if (stands_at(text, len, i, bytes, n)) return i;
        if (i < len && !strchr(" \t\r\n\f\v", text[i])) break;
    }
    return SIZE_MAX;
}

sc_status tokenizer_align(size_t *begin, const struct tokenizer *t, const int32_t *id, size_t n, const char *text, size_t len, sc_error *err)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        size_t n_bytes, found;
        const char *bytes = tokenizer_bytes(t, id[i], &n_bytes);
        if (!bytes) bytes = "";
        begin[i] = at;
        if (stands_at(text, len, at, bytes, n_bytes)) { at += n_bytes; continue; }
        /* A tokenizer may put a space before the text that is not there. */
        if (n_bytes && bytes[0] == ' ' && stands_at(text, len, at, bytes + 1, n_bytes - 1)) { at += n_bytes - 1; continue; }
        if ((found = find_token(text, len, at, bytes, n_bytes)) == SIZE_MAX) {
            char q[40];
            return FAIL(err, SC_E_FORMAT, "token %d ('%s') does not spell the text at byte %zu: the tokenizer changes texts before it cuts them", id[i], error_quote(q, sizeof q, bytes, n_bytes), at);
        }
        at = found + n_bytes;
    }
    begin[n] = len;
    return SC_OK;
}

bool tokenizer_is_normal(const struct tokenizer *t, const char *text, size_t len) { return is_normal(&t->normalizers, &t->unicode, text, len); }

void tokenizer_normalize(const struct tokenizer *t, struct buf *out, const char *text, size_t len)
{
    struct marked_text m = { 0 };
    struct token_list none = { 0 };
    struct encoder e = { .t = t, .out = &none };
    buf_init(&m.text, 0);
    buf_init(&m.trust, 0);
    utf8_repair(&m.text, text, len);
    bool only_forms = true;                       /* the others may not be applied twice */
    for (size_t i = 0; i < t->normalizers.len; i++) only_forms &= t->normalizers.step[i].kind <= NORMALIZE_NFKD;
    if (only_forms && !is_normal(&t->normalizers, &t->unicode, m.text.data ? m.text.data : "", m.text.len)) {
        for (size_t i = 0; i < m.text.len; i++) buf_putc(&m.trust, 0);
        normalize(&t->normalizers, &e, &m);
    }
    buf_append(out, m.text.data ? m.text.data : "", m.text.len);
    marked_text_release(&m);
    encoder_release(&e);
}
