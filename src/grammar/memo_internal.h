/* memo_internal.h - between memo.c (what is remembered) and mask.c (what is asked of it). */
#ifndef MEMO_INTERNAL_H
#define MEMO_INTERNAL_H

#include "grammar_internal.h"

struct stack_node { uint64_t hash; uint32_t state, below, chain; };
struct place_list { struct place *place; size_t n, cap; };
struct seen { struct place place; uint32_t stamp; };

struct memo {
    struct memo *next;
    const struct program *p;
    const struct token_tree *tree;
    struct arena arena;
    struct stack_node *stack; uint32_t n_stacks, stacks_cap, *stack_table, stack_slots;       /* stack 0 is the empty one */
    struct configuration **table; size_t n_slots, n_configurations;
    struct root *roots, start;
    uint8_t plain[256]; unsigned n_plain;               /* a byte of each class with plain bytes */
    struct place_list todo, found; struct seen *seen; size_t n_seen, seen_slots; uint32_t stamp; bool may_end;
    struct root *path;                                  /* of the walk through the tree */
    size_t bytes_max; uint64_t work;
};

/* One set of places at a time: begin, add, end. */
void set_begin(struct memo *m);
void set_put(struct memo *m, struct place x);           /* x alone, which waits for a byte; each once */
void set_add(struct memo *m, struct place x);           /* all that wait for a byte and are reached from x without one */
struct configuration *set_end(struct memo *m);          /* the configuration of what was added */

#endif
