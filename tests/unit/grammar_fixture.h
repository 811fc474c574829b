/* grammar_fixture.h - grammars asked about whole texts: byte by byte with a tokenizer of bytes, and with a real one where the
 * shared data folder is there. */
#ifndef GRAMMAR_FIXTURE_H
#define GRAMMAR_FIXTURE_H

#include <time.h>

#include "grammar/grammar.h"
#include "test.h"

/* Processor time, so that other work on the machine counts less. */
static inline double fixture_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

enum answer { REFUSED, BEGUN, WHOLE };       /* the text cannot come; it can go on but not end; it may end */

static inline struct tokenizer *fixture_bytes(void)
{
    static struct tokenizer *t;
    if (!t) CHECK_OK(tokenizer_open(&t, test_path("tests/golden/tokenizers/bytes/tokenizer.json"), err));
    return t;
}

/* StarCoder's, or NULL after saying that it is not here. */
static inline struct tokenizer *fixture_real(void)
{
    static struct tokenizer *t;
    const char *path = test_path("../shared/data/tokenizers/starcoder/tokenizer.json");
    if (!path) { puts("skipped: the shared data is not there"); return NULL; }
    if (!t) CHECK_OK(tokenizer_open(&t, path, err));
    return t;
}

/* The token that is this byte alone. */
static inline int32_t byte_id(const struct tokenizer *t, char byte)
{
    for (size_t id = 0; id < tokenizer_vocab(t); id++) {
        size_t len = 0;
        const char *bytes = tokenizer_bytes(t, (int32_t)id, &len);
        if (bytes && len == 1 && bytes[0] == byte && !tokenizer_is_special(t, (int32_t)id)) return (int32_t)id;
    }
    return -1;
}

static inline bool take(struct matcher *m, const struct tokenizer *t, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!matcher_accept(m, byte_id(t, text[i]))) return false;
    return true;
}

static inline enum answer answer_of(struct grammar *g, const struct tokenizer *t, const struct token_tree *tree, const char *text, size_t len)
{
    struct matcher *m = matcher_open(g, tree);
    enum answer a = !take(m, t, text, len) ? REFUSED : matcher_may_end(m) ? WHOLE : BEGUN;
    matcher_close(m);
    return a;
}

static inline void check_answer(const char *file, int line, struct grammar *g, const char *text, enum answer expected)
{
    static const char *const names[] = { "refused", "begun", "whole" };
    static struct token_tree *tree;
    if (!tree) tree = token_tree_make(fixture_bytes());
    enum answer a = answer_of(g, fixture_bytes(), tree, text, strlen(text));
    if (a != expected) test_failed(file, line, "\"%.200s\" is %s, expected %s", text, names[a], names[expected]);
}
#define YES(g, text) check_answer(__FILE__, __LINE__, (g), (text), WHOLE)
#define NO(g, text) check_answer(__FILE__, __LINE__, (g), (text), REFUSED)
#define NOT_YET(g, text) check_answer(__FILE__, __LINE__, (g), (text), BEGUN)

static inline sc_status gbnf_try(struct grammar **out, const char *text, sc_error *err) { return grammar_from_gbnf(out, text, strlen(text), err); }
static inline struct grammar *gbnf(const char *text)
{
    struct grammar *g = NULL;
    CHECK_OK(gbnf_try(&g, text, err));
    return g;
}

static inline sc_status regex_try(struct grammar **out, const char *text, sc_error *err) { return grammar_from_regex(out, text, strlen(text), err); }
static inline struct grammar *regex(const char *text)
{
    struct grammar *g = NULL;
    CHECK_OK(regex_try(&g, text, err));
    return g;
}

static inline sc_status schema_try(struct grammar **out, const char *text, sc_error *err)
{
    json_t *o = NULL;
    TRY(json_read(&o, text, strlen(text), "the schema", err));
    sc_status status = grammar_from_schema(out, o, err);
    json_decref(o);
    return status;
}
static inline struct grammar *schema(const char *text)
{
    struct grammar *g = NULL;
    sc_error e = { 0 };
    if (schema_try(&g, text, &e) != SC_OK) test_failed(__FILE__, __LINE__, "%.200s: %s", text, e.message);
    return g;
}

/* Every bit of the mask is what matcher_allows says. */
static inline void check_mask(struct matcher *m, const struct tokenizer *t)
{
    size_t words, n = 0;
    const uint64_t *mask = matcher_mask(m, &words);
    CHECK_INT(words, (tokenizer_vocab(t) + 63) / 64);
    for (size_t id = 0; id < words * 64; id++) {
        bool in = mask[id / 64] >> id % 64 & 1;
        n += in;
        if (in != matcher_allows(m, (int32_t)id)) test_failed(__FILE__, __LINE__, "token %zu is%s in the mask", id, in ? "" : " not");
    }
    CHECK(n > 0 || matcher_may_end(m));
    CHECK((n == 0) == matcher_must_end(m));
}

/* A token drawn from the mask: any one, or (`closes`) one of the first that end things. -1: none. */
static inline int32_t draw(struct matcher *m, const struct tokenizer *t, uint64_t seed, uint64_t at, bool closes)
{
    size_t words, n = 0;
    const uint64_t *mask = matcher_mask(m, &words);
    for (const char *c = "\"}]:,0"; closes && *c; c++) {
        int32_t id = byte_id(t, *c);
        if (id >= 0 && matcher_allows(m, id)) return id;
    }
    for (size_t i = 0; i < words; i++) n += (size_t)__builtin_popcountll(mask[i]);
    if (!n) return -1;
    size_t want = random_u32(seed, 1, at) % n;
    for (size_t i = 0; i < words; i++) {
        size_t here = (size_t)__builtin_popcountll(mask[i]);
        if (want >= here) { want -= here; continue; }
        for (int bit = 0; bit < 64; bit++)
            if (mask[i] >> bit & 1 && want-- == 0) return (int32_t)(i * 64 + (size_t)bit);
    }
    return -1;
}

/* A text drawn by masks, ended where it may with one chance in two, and made short after 40 tokens. False: not ended in 400. */
static inline bool draw_text(struct grammar *g, const struct tokenizer *t, const struct token_tree *tree, uint64_t seed, size_t check_every, struct buf *out)
{
    struct matcher *m = matcher_open(g, tree);
    bool has_ended = false;
    for (uint64_t i = 0; i < 400 && !has_ended; i++) {
        if (check_every && i % check_every == 0) check_mask(m, t);
        if (matcher_may_end(m) && (i > 40 || random_u32(seed, 2, i) % 2)) { has_ended = true; break; }
        int32_t id = draw(m, t, seed, i, i > 40 || random_u32(seed, 3, i) % 3 == 0);
        if (id < 0) { CHECK(matcher_must_end(m)); has_ended = true; break; }
        CHECK(matcher_accept(m, id));
        tokenizer_decode(t, out, &id, 1, false);
    }
    matcher_close(m);
    return has_ended;
}

#endif
