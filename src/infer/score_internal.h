/* score_internal.h - between score_plan.c (what is computed) and score_tree.c (which computes it). */
#ifndef SCORE_INTERNAL_H
#define SCORE_INTERNAL_H

#include "infer/infer.h"

/* Tokens id[begin..end) of all texts below, behind those of its parents. Node 0 is the empty beginning. */
struct score_node {
    const int32_t *id;
    size_t begin, end, done;          /* done: computed up to here */
    size_t parent, child, sibling;    /* 0: none */
    size_t key;                       /* place of the first text that goes through it */
    size_t first_want, n_wants;
    size_t open_children;             /* whose beginning is still this node's cache */
    struct kv_cache cache;            /* page NULL: not there */
};
/* The row at `position` of its node predicts entry k of a request. */
struct score_want { size_t position, request, k; };
struct score_tree {
    struct score_node *node; size_t n_nodes;
    struct score_want *want; size_t n_wants;      /* by node, in it by position */
    size_t requests, tokens, rows, longest;       /* of this share */
};
void score_tree_plan(struct score_tree *out, const struct score_request *r, size_t n, int rank, int size);
void score_tree_release(struct score_tree *t);

#endif
