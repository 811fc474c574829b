/* grammar.h - constrained output: which tokens may come next. Layer 4: text, base.
 *
 * A grammar is a set of rules over bytes, from a GBNF text (llama.cpp's notation), a JSON schema (draft 2020-12, the subset
 * that docs/grammar.md lists) or a regular expression. It is compiled once and never changes; any number of matchers follow
 * it, one for each text that is being written. A matcher keeps the set of places in the grammar where the text can be, and
 * answers for all tokens at once by walking the tree of their bytes. Places that were asked before are remembered, so the
 * usual token costs a lookup. */
#ifndef GRAMMAR_H
#define GRAMMAR_H

#include "text/text.h"

struct grammar;
/* All refuse with a sentence that says where: SC_E_FORMAT what breaks the notation, SC_E_UNSUPPORTED what cannot be done here (left
 * recursion, keywords, too large). Limits hold whatever the input: 256 KiB of text, 64 levels, 65,536 repetitions, 262,144 states.
 * Release with grammar_release; a grammar is shared by counting, from any thread. */
sc_status grammar_from_gbnf(struct grammar **out, const char *text, size_t len, sc_error *err);
/* What has no meaning here (a keyword that is not supported) is refused by name and path: "properties.age.multipleOf". */
sc_status grammar_from_schema(struct grammar **out, const json_t *schema, sc_error *err);
sc_status grammar_from_regex(struct grammar **out, const char *pattern, size_t len, sc_error *err);   /* the whole text matches */
sc_status grammar_any_object(struct grammar **out, sc_error *err);                                    /* response_format json_object */
struct grammar *grammar_share(struct grammar *g);
void      grammar_release(struct grammar *g);                                                         /* NULL allowed */

/* The tree of all tokens' bytes; special tokens are not in it. Made once for a tokenizer, which must outlive it. */
struct token_tree;
struct token_tree *token_tree_make(const struct tokenizer *t);
void      token_tree_free(struct token_tree *t);

struct matcher;
/* Grammar and tree must outlive it. A matcher belongs to one thread at a time; several may share a grammar from several threads. */
struct matcher *matcher_open(struct grammar *g, const struct token_tree *t);
struct matcher *matcher_copy(const struct matcher *m);
void      matcher_close(struct matcher *m);
/* Bit id % 64 of word id / 64: token id may come next. `vocab` / 64 rounded up words, until the next call. End tokens are not in it: see
 * matcher_may_end. No bit set and not matcher_may_end: cannot happen, every place leads on by bytes; tokens of one byte exist. */
const uint64_t *matcher_mask(struct matcher *m, size_t *words);
bool      matcher_allows(struct matcher *m, int32_t id);       /* one token, cheaper than the mask */
bool      matcher_accept(struct matcher *m, int32_t id);       /* goes on behind it; false, and nothing changed, where it may not come */
bool      matcher_may_end(const struct matcher *m);            /* the text is whole here */
bool      matcher_must_end(struct matcher *m);                 /* and nothing can follow */
/* The bytes that must come next, if the grammar leaves no choice: up to `cap`; 0: there is a choice. */
size_t    matcher_forced(struct matcher *m, char *out, size_t cap);

#endif
