/* fuzz_tokenizer_gguf.c - any bytes as a GGUF file with a vocabulary. One that is accepted must encode a text to ids of its
 * vocabulary, and give back its tokens and merges as the file has them. */
#include <string.h>

#include "format/format_internal.h"
#include "fuzz_memory.h"
#include "text/text.h"

enum { FIXED = 4 << 20, TIMES = 256 };

static void use(const struct tokenizer *t)
{
    static const char text[] = "The 12 \xC3\xA9lans'll\r\n\tx  <|a|> \xE6\xBC\xA2 aaa";
    struct token_list l = { 0 };
    struct span all = { 0, sizeof text - 1 };
    tokenizer_encode(t, &l, text, sizeof text - 1, &all, 1);
    for (size_t i = 0; i < l.len; i++)
        if (l.id[i] < 0 || (size_t)l.id[i] >= tokenizer_vocab(t)) abort();
    for (int role = 0; role < TOKEN_ROLE_COUNT; role++)
        if (tokenizer_role(t, (enum token_role)role) >= (int32_t)tokenizer_vocab(t)) abort();
    token_list_release(&l);
}

static void read_back(const struct tokenizer *t, const struct model_file *m)
{
    const struct gguf_value *tokens = gguf_find(m, "tokenizer.ggml.tokens"), *merges = gguf_find(m, "tokenizer.ggml.merges");
    struct buf line = { 0 };
    size_t len;
    int type;
    for (size_t i = 0; i < tokens->count; i++) {
        const char *text = tokenizer_gguf_token(t, i, &len, &type);
        if (len && (len != tokens->strings[i].len || memcmp(text, tokens->strings[i].text, len) != 0)) abort();
    }
    if (tokenizer_merges(t) != merges->count) abort();
    for (size_t i = 0; i < merges->count; i++) {
        buf_clear(&line);
        tokenizer_merge(t, i, &line);
        if (line.len != merges->strings[i].len || memcmp(line.data, merges->strings[i].text, line.len) != 0) abort();
    }
    buf_release(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tokenizer *t = NULL;
    sc_error err = { 0 };
    fuzz_memory_begin(FIXED / 8 + size * TIMES / 8);
    struct model_file *m = model_file_new(MODEL_GGUF, "fuzz");
    if (gguf_parse(m, data, size, "fuzz", &err) == SC_OK) {
        sc_status status = tokenizer_open_gguf(&t, m, &err);
        if ((status == SC_OK) != (t != NULL) || (status != SC_OK && !err.message[0])) abort();
    }
    if (t) {
        use(t);
        read_back(t, m);
    }
    tokenizer_close(t);
    model_file_close(m);
    fuzz_memory_end();
    return 0;
}
