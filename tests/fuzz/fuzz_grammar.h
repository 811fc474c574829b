/* fuzz_grammar.h - what must hold for every grammar that is taken: a walk along its masks, led by the bytes of the input. */
#ifndef FUZZ_GRAMMAR_H
#define FUZZ_GRAMMAR_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grammar/grammar.h"

enum { WALK_TOKENS = 24 };

static const struct tokenizer *fuzz_tokenizer(void)
{
    static struct tokenizer *t;
    sc_error err = { 0 };
    if (!t && tokenizer_open(&t, "tests/golden/tokenizers/families/gpt2.json", &err) != SC_OK) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    return t;
}

static const struct token_tree *fuzz_tree(void)
{
    static struct token_tree *t;
    if (!t) t = token_tree_make(fuzz_tokenizer());
    return t;
}

static bool fuzz_is_sentence(const char *s)
{
    for (size_t i = 0; s[i]; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7F) return false;
    return strlen(s) > 12 && utf8_is_valid(s, strlen(s));
}

/* Token number `want` (of those allowed, from 0 again behind the last), -1 where none is. */
static int32_t fuzz_pick(const uint64_t *mask, size_t words, unsigned want)
{
    size_t n = 0;
    for (size_t i = 0; i < words; i++) n += (size_t)__builtin_popcountll(mask[i]);
    if (!n) return -1;
    want %= (unsigned)n;
    for (size_t i = 0; i < words; i++)
        for (int bit = 0; bit < 64; bit++)
            if (mask[i] >> bit & 1 && want-- == 0) return (int32_t)(i * 64 + (size_t)bit);
    return -1;
}

/* What is said to be forced is what can come. */
static void fuzz_forced(const struct matcher *m)
{
    char bytes[16];
    struct matcher *copy = matcher_copy(m);
    size_t n = matcher_forced(copy, bytes, sizeof bytes);
    if (n > sizeof bytes || (n && matcher_may_end(copy))) abort();
    for (size_t i = 0; i < n; i++)
        for (int32_t id = 0; id < (int32_t)tokenizer_vocab(fuzz_tokenizer()); id++) {
            size_t len = 0;
            const char *text = tokenizer_bytes(fuzz_tokenizer(), id, &len);
            if (!text || len != 1 || tokenizer_is_special(fuzz_tokenizer(), id)) continue;
            if (matcher_allows(copy, id) != (text[0] == bytes[i])) abort();
            if (text[0] == bytes[i]) { if (!matcher_accept(copy, id)) abort(); break; }
        }
    matcher_close(copy);
}

/* Appends the text; true if it is whole where the walk ends. */
static bool fuzz_walk(struct grammar *g, const uint8_t *data, size_t size, struct buf *out)
{
    struct matcher *m = matcher_open(g, fuzz_tree());
    double begin = clock_seconds();      /* hard grammars may take a tenth of a second for each mask, and ten times that here */
    for (size_t i = 0; i < WALK_TOKENS && clock_seconds() - begin < 2; i++) {
        unsigned seed = size ? data[i % size] * 31u + data[(i * 7 + 3) % size] : 0;
        size_t words;
        const uint64_t *mask = matcher_mask(m, &words);
        int32_t other = (int32_t)(seed * 7919u % tokenizer_vocab(fuzz_tokenizer())), id = fuzz_pick(mask, words, seed);
        if (mask[other / 64] >> other % 64 & 1 && !matcher_allows(m, other)) abort();
        if (id < 0 && !matcher_may_end(m)) abort();
        if ((id < 0) != matcher_must_end(m)) abort();
        if (id < 0) break;
        if (i % 5 == 0) fuzz_forced(m);
        if (!matcher_accept(m, id)) abort();
        tokenizer_decode(fuzz_tokenizer(), out, &id, 1, false);
    }
    bool is_whole = matcher_may_end(m);
    matcher_close(m);
    return is_whole;
}

#endif
