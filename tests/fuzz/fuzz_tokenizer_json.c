/* fuzz_tokenizer_json.c - any bytes as a tokenizer.json. One that is accepted must encode a text to ids of its vocabulary
 * and decode them, and take one more token. Memory: the fixed tables of a tokenizer, and so many times the input. */
#include <string.h>

#include "fuzz_memory.h"
#include "text/text.h"

enum { FIXED = 4 << 20, TIMES = 256 };

static void use(struct tokenizer *t)
{
    static const char text[] = "The 12 \xC3\xA9lans'll\r\n\tx  <|a|> \xE6\xBC\xA2\xF0\x9F\x98\x80\xff aaa";
    static const char *const more[] = { "<|a|>" };
    struct token_list l = { 0 };
    struct buf out = { 0 };
    struct span part = { 3, sizeof text - 4 };
    tokenizer_encode(t, &l, text, sizeof text - 1, NULL, 0);
    tokenizer_add(t, more, 1);
    tokenizer_encode(t, &l, text, sizeof text - 1, &part, 1);
    for (size_t i = 0; i < l.len; i++)
        if (l.id[i] < 0 || (size_t)l.id[i] >= tokenizer_vocab(t)) abort();
    tokenizer_decode(t, &out, l.id, l.len, false);
    buf_release(&out);
    token_list_release(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tokenizer *t = NULL;
    sc_error err = { 0 };
    fuzz_memory_begin(FIXED / 8 + size * TIMES / 8);
    sc_status status = tokenizer_open_json(&t, (const char *)data, size, "fuzz", &err);
    if ((status == SC_OK) != (t != NULL) || (status != SC_OK && !err.message[0])) abort();
    if (t) use(t);
    tokenizer_close(t);
    fuzz_memory_end();
    return 0;
}
