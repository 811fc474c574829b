/* token_tree.c - the tree of all tokens' bytes, as an array in the order of a walk. */
#include "grammar_internal.h"

#include <stdlib.h>
#include <string.h>

struct entry { const char *bytes; size_t len; int32_t id; };

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int c = memcmp(x->bytes, y->bytes, x->len < y->len ? x->len : y->len);
    if (c) return c;
    if (x->len != y->len) return x->len < y->len ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static struct entry *sorted_entries(const struct tokenizer *t, size_t vocab, size_t *n)
{
    struct entry *e = mem_alloc((vocab + 1) * sizeof *e);
    *n = 0;
    for (size_t id = 0; id < vocab; id++) {
        size_t len = 0;
        const char *text = tokenizer_bytes(t, (int32_t)id, &len);
        if (!text || len == 0 || len > DEPTH_MAX || tokenizer_is_special(t, (int32_t)id)) continue;
        e[(*n)++] = (struct entry) { text, len, (int32_t)id };
    }
    qsort(e, *n, sizeof *e, compare_entries);
    return e;
}

/* From the last node to the first: what lies below is known before. */
static void find_plain(struct token_tree *t)
{
    for (uint32_t i = t->n_nodes; i-- > 0;) {
        unsigned height = 0;
        for (uint32_t k = i + 1; k < t->node[i].skip; k = t->node[k].skip) {
            unsigned below = t->node[k].plain_height;
            if (!tree_is_plain(t->node[k].byte) || below >= NOT_PLAIN - 1) { height = NOT_PLAIN; break; }
            if (below + 1 > height) height = below + 1;
        }
        t->node[i].plain_height = (uint8_t)height;
    }
}

static struct token_tree *tree_of(const struct tokenizer *tokenizer, const struct entry *e, size_t n)
{
    struct token_tree *t = mem_zero(1, sizeof *t);
    uint32_t open[DEPTH_MAX + 1] = { 0 }, depth = 0;     /* the path to the node made last */
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += e[i].len;
    t->tokenizer = tokenizer;
    t->vocab = tokenizer_vocab(tokenizer);
    t->words = (t->vocab + 63) / 64;
    t->order = mem_alloc((n + 1) * sizeof *t->order);
    t->node = mem_alloc((bytes + 2) * sizeof *t->node);
    t->node[t->n_nodes++] = (struct tree_node) { 0 };
    for (size_t i = 0; i < n; i++) {
        uint32_t common = 0;
        while (i && common < e[i].len && common < e[i - 1].len && e[i].bytes[common] == e[i - 1].bytes[common]) common++;
        for (; depth > common; depth--) t->node[open[depth]].skip = t->n_nodes;
        while (depth < e[i].len) {
            uint8_t byte = (uint8_t)e[i].bytes[depth++];
            open[depth] = t->n_nodes;
            t->node[t->n_nodes++] = (struct tree_node) { .token = t->n_tokens, .depth = (uint16_t)depth, .byte = byte };
        }
        if (depth > t->depth) t->depth = depth;
        t->order[t->n_tokens++] = e[i].id;
    }
    for (;; depth--) {
        t->node[open[depth]].skip = t->n_nodes;
        if (depth == 0) break;
    }
    t->node[t->n_nodes] = (struct tree_node) { .token = t->n_tokens };      /* behind the last, for the ends of ranges */
    t->node = mem_grow(t->node, (t->n_nodes + 1) * sizeof *t->node);
    find_plain(t);
    return t;
}

static bool is_plain(const struct entry *e)
{
    if (e->len > PLAIN_LEN_MAX) return false;
    for (size_t i = 0; i < e->len; i++)
        if (!tree_is_plain((unsigned char)e->bytes[i])) return false;
    return true;
}

struct token_tree *token_tree_make(const struct tokenizer *tokenizer)
{
    size_t n = 0, n_mixed = 0;
    struct entry *e = sorted_entries(tokenizer, tokenizer_vocab(tokenizer), &n);
    struct token_tree *t = tree_of(tokenizer, e, n);
    t->plain = mem_zero(t->words + 1, sizeof *t->plain);
    for (size_t i = 0; i < n; i++) {
        if (is_plain(&e[i])) t->plain[e[i].id / 64] |= UINT64_C(1) << e[i].id % 64;
        else e[n_mixed++] = e[i];
    }
    t->mixed = tree_of(tokenizer, e, n_mixed);
    mem_free(e);
    return t;
}

void token_tree_free(struct token_tree *t)
{
    if (!t) return;
    if (t->mixed) {
        mem_free(t->mixed->node);
        mem_free(t->mixed->order);
    }
    mem_free(t->mixed);
    mem_free(t->plain);
    mem_free(t->node);
    mem_free(t->order);
    mem_free(t);
}
