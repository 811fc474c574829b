/* fuzz_tokenizer_text.c - any bytes as a text. The first byte chooses the tokenizer, the second how much is trusted.
 * Where all 256 bytes are in the vocabulary and nothing is normalised, decoding gives the text back, whole and as a
 * stream; untrusted text gives no special token; and a text encodes the same in the whole as it does again. */
#include <stdio.h>
#include <string.h>

#include "fuzz_memory.h"
#include "text/text.h"

/* is_whole: every byte has a token and the text stays as it is. */
static const struct { const char *name; bool is_whole; } families[] = {
    { "gpt2", true }, { "starcoder", false }, { "llama3", true }, { "qwen2", false }, { "deepseek-coder", false },
    { "command-r", false }, { "custom", false }, { "words", false },
};
enum { FAMILIES = sizeof families / sizeof *families };

static struct tokenizer *family(size_t i)
{
    static struct tokenizer *open[FAMILIES];
    char path[96];
    sc_error err = { 0 };
    snprintf(path, sizeof path, "tests/golden/tokenizers/families/%s.json", families[i].name);
    if (!open[i] && tokenizer_open(&open[i], path, &err) != SC_OK) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    return open[i];
}

static void check_back(const struct tokenizer *t, const struct token_list *l, const struct buf *text)
{
    struct buf back = { 0 }, streamed = { 0 }, one = { 0 };
    struct text_stream s = { 0 };
    tokenizer_decode(t, &back, l->id, l->len, false);
    if (back.len != text->len || (back.len && memcmp(back.data, text->data, back.len) != 0)) abort();
    for (size_t i = 0; i < l->len; i++) {
        buf_clear(&one);
        tokenizer_decode(t, &one, &l->id[i], 1, false);
        text_stream_put(&s, &streamed, one.data, one.len);
    }
    text_stream_end(&s, &streamed);
    if (streamed.len != text->len || (text->len && memcmp(streamed.data, text->data, text->len) != 0)) abort();
    buf_release(&back);
    buf_release(&streamed);
    buf_release(&one);
}

static void check_ids(const struct tokenizer *t, const struct token_list *l, bool is_trusted)
{
    for (size_t i = 0; i < l->len; i++) {
        if (l->id[i] < 0 || (size_t)l->id[i] >= tokenizer_vocab(t)) abort();
        if (!is_trusted && tokenizer_is_special(t, l->id[i])) abort();
    }
}

static void check_aligned(const struct tokenizer *t, const struct token_list *l, const struct buf *text)
{
    size_t *begin = mem_alloc((l->len + 1) * sizeof *begin);
    sc_error err = { 0 };
    if (tokenizer_align(begin, t, l->id, l->len, text->data ? text->data : "", text->len, &err) != SC_OK) abort();
    if (begin[l->len] != text->len) abort();
    for (size_t i = 0; i < l->len; i++)
        if (begin[i] > begin[i + 1]) abort();
    mem_free(begin);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 100000) return 0;
    size_t which = data[0] % FAMILIES, len = size - 2, cut = data[1] * len / 255;
    const struct tokenizer *t = family(which);
    struct span trusted[] = { { 0, cut / 2 }, { len - cut / 2, len } };
    struct token_list plain = { 0 }, again = { 0 };
    struct buf text = { 0 };
    char *exact = malloc(len ? len : 1);
    memcpy(exact, data + 2, len);
    fuzz_memory_begin(40000 + size * 32);
    utf8_repair(&text, exact, len);
    tokenizer_encode(t, &plain, exact, len, NULL, 0);
    check_ids(t, &plain, false);
    if (text.len) tokenizer_encode(t, &again, text.data, text.len, NULL, 0);
    if (again.len != plain.len || (plain.len && memcmp(again.id, plain.id, plain.len * sizeof *plain.id) != 0)) abort();
    if (families[which].is_whole) {
        check_back(t, &plain, &text);
        check_aligned(t, &plain, &text);
    }
    again.len = 0;
    tokenizer_encode(t, &again, exact, len, trusted, 2);
    check_ids(t, &again, true);
    if (families[which].is_whole) check_back(t, &again, &text);
    token_list_release(&plain);
    token_list_release(&again);
    buf_release(&text);
    fuzz_memory_end();
    free(exact);
    return 0;
}
