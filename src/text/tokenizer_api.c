/* tokenizer_api.c - the public functions on tokenizers. An sc_tokenizer is a struct tokenizer under another name
 * (tokenizer_public in text.h), so a model can lend its own. */
#include "text_internal.h"

#include <string.h>

static const struct tokenizer *inner(const sc_tokenizer *t) { return (const struct tokenizer *)t; }

sc_status sc_tokenizer_open(sc_tokenizer **out, const char *path, sc_error *err)
{
    struct tokenizer *t = NULL;
    sc_status status = tokenizer_open(&t, path, err);
    *out = (sc_tokenizer *)t;
    return status;
}

void sc_tokenizer_close(sc_tokenizer *t) { tokenizer_close((struct tokenizer *)t); }

size_t sc_tokenizer_vocab(const sc_tokenizer *t) { return tokenizer_vocab(inner(t)); }

sc_status sc_encode(sc_tokens *out, const sc_tokenizer *t, const char *text, size_t len, bool allow_special, sc_error *err)
{
    (void)err;      /* encoding cannot fail; the argument is there for tokenizers that can */
    struct token_list list = { 0 };
    struct span whole = { 0, len };
    tokenizer_encode(inner(t), &list, text, len, &whole, allow_special ? 1 : 0);
    *out = (sc_tokens){ list.id, list.len };
    return SC_OK;
}

sc_status sc_decode(sc_text *out, const sc_tokenizer *t, const int32_t *id, size_t n, bool skip_special, sc_error *err)
{
    (void)err;      /* ids without a text add nothing, as in the reference */
    struct buf raw, text;
    buf_init(&raw, 0);
    buf_init(&text, 0);
    tokenizer_decode(inner(t), &raw, id, n, skip_special);
    utf8_repair(&text, raw.data, raw.len);
    buf_take(&text, out);
    buf_release(&raw);
    return SC_OK;
}

int32_t sc_token_id(const sc_tokenizer *t, const char *content) { return tokenizer_find(inner(t), content, strlen(content)); }
