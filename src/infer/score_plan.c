/* score_plan.c - texts as a tree of their beginnings. A text's last token predicts nothing that is asked for, so texts that differ in it alone are
 * one: the answers "A" to "D" behind one question cost one pass over the question. */
#include "infer/score_internal.h"

#include <stdlib.h>
#include <string.h>

/* Less in common is computed again: a beginning of its own costs a copy of a page and a place in a later pass. */
enum { LEAST_SHARED = 4 };

struct place { const struct score_request *r; size_t index; };

static size_t input_length(const struct score_request *r) { return r->n - 1; }

static size_t common(const struct score_request *a, const struct score_request *b)
{
    size_t n = input_length(a) < input_length(b) ? input_length(a) : input_length(b), i = 0;
    while (i < n && a->id[i] == b->id[i]) i++;
    return i;
}

static int by_tokens(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    size_t n = input_length(x->r), m = input_length(y->r), i = common(x->r, y->r);
    if (i < n && i < m) return x->r->id[i] < y->r->id[i] ? -1 : 1;
    if (n != m) return n < m ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Neighbours [*from, *to) of the sorted texts that take about a share of the rows. Depends on the texts and the share alone. */
static void choose_share(size_t *from, size_t *to, const struct place *p, size_t n, int rank, int size)
{
    size_t all = 0, at = 0, i = 0;
    *from = 0;
    *to = n;
    if (size <= 1) return;
    for (size_t k = 0; k < n; k++) all += input_length(p[k].r) - (k ? common(p[k - 1].r, p[k].r) : 0);
    for (int r = 0; r <= rank; r++) {
        size_t end = all / (size_t)size * (size_t)(r + 1) + all % (size_t)size * (size_t)(r + 1) / (size_t)size;
        *from = i;
        while (i < n && (r == size - 1 || at < end)) {
            at += input_length(p[i].r) - (i ? common(p[i - 1].r, p[i].r) : 0);
            i++;
        }
        *to = i;
    }
}

/* ---- the tree ------------------------------------------------------------------------------------------------------------------ */

struct growth { struct score_tree *t; size_t cap, *path, depth; };      /* path: from node 0 to where the last text ended */

static size_t add_node(struct growth *g, struct score_node node)
{
    struct score_tree *t = g->t;
    if (t->n_nodes == g->cap) t->node = mem_grow(t->node, (g->cap = g->cap ? 2 * g->cap : 64) * sizeof *t->node);
    t->node[t->n_nodes] = node;
    return t->n_nodes++;
}

/* Leaves on the path what the next text has in common with the last one; a node that only begins alike is divided. */
static void step_back(struct growth *g, size_t shared)
{
    struct score_node *node = g->t->node;
    while (g->depth > 1 && node[g->path[g->depth - 1]].begin >= shared) g->depth--;
    size_t top = g->path[g->depth - 1];
    if (shared >= node[top].end) return;
    if (shared - node[top].begin < LEAST_SHARED) { g->depth--; return; }
    struct score_node head = node[top];
    head.end = shared;
    size_t middle = add_node(g, head);
    g->t->node[top].begin = shared;
    g->t->node[top].parent = middle;
    g->path[g->depth - 1] = middle;
}

/* leaf[i]: where text i of the share ends. */
static void grow(struct score_tree *t, const struct place *p, size_t n, size_t *leaf)
{
    struct growth g = { .t = t, .path = mem_alloc((t->longest + 2) * sizeof *g.path), .depth = 1 };
    g.path[0] = add_node(&g, (struct score_node){ .key = 0 });
    for (size_t i = 0; i < n; i++) {
        size_t length = input_length(p[i].r);
        step_back(&g, i ? common(p[i - 1].r, p[i].r) : 0);
        size_t top = g.path[g.depth - 1], end = t->node[top].end;
        if (length > end) g.path[g.depth++] = add_node(&g, (struct score_node){ .id = p[i].r->id, .begin = end, .end = length, .parent = top, .key = i });
        leaf[i] = g.path[g.depth - 1];
    }
    mem_free(g.path);
}

/* ---- who wants what -------------------------------------------------------------------------------------------------------------- */

struct want_of_node { size_t node; struct score_want want; };

static int by_node(const void *a, const void *b)
{
    const struct want_of_node *x = a, *y = b;
    if (x->node != y->node) return x->node < y->node ? -1 : 1;
    if (x->want.position != y->want.position) return x->want.position < y->want.position ? -1 : 1;
    return x->want.request < y->want.request ? -1 : x->want.request > y->want.request;
}

static void list_wants(struct score_tree *t, const struct place *p, size_t n, const size_t *leaf)
{
    struct want_of_node *all = mem_alloc((t->n_wants + 1) * sizeof *all);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        const struct score_request *r = p[i].r;
        for (size_t position = r->n - 1, node = leaf[i]; position-- > r->from - 1;) {
            while (t->node[node].begin > position) node = t->node[node].parent;
            all[count++] = (struct want_of_node){ node, { position, p[i].index, position - (r->from - 1) } };
        }
    }
    qsort(all, count, sizeof *all, by_node);
    t->want = mem_alloc((count + 1) * sizeof *t->want);
    for (size_t i = 0; i < count; i++) {
        struct score_node *node = &t->node[all[i].node];
        if (!node->n_wants++) node->first_want = i;
        t->want[i] = all[i].want;
    }
    mem_free(all);
}

struct keyed { size_t key, node; };
static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    return x->key < y->key ? 1 : x->key > y->key ? -1 : 0;
}

/* Children in the order of their texts: each is put before those that come later. */
static void link_children(struct score_tree *t)
{
    struct keyed *k = mem_alloc(t->n_nodes * sizeof *k);
    for (size_t i = 0; i < t->n_nodes; i++) k[i] = (struct keyed){ t->node[i].key, i };
    qsort(k, t->n_nodes, sizeof *k, by_key);
    for (size_t i = 0; i < t->n_nodes; i++) {
        struct score_node *node = &t->node[k[i].node];
        if (k[i].node == 0) continue;
        struct score_node *parent = &t->node[node->parent];
        node->sibling = parent->child;
        parent->child = k[i].node;
        parent->open_children++;
        node->done = node->begin;
    }
    mem_free(k);
}

void score_tree_plan(struct score_tree *t, const struct score_request *r, size_t n, int rank, int size)
{
    *t = (struct score_tree){ 0 };
    struct place *p = mem_alloc((n + 1) * sizeof *p);
    size_t from, to, *leaf = mem_alloc((n + 1) * sizeof *leaf);
    for (size_t i = 0; i < n; i++) p[i] = (struct place){ &r[i], i };
    qsort(p, n, sizeof *p, by_tokens);
    choose_share(&from, &to, p, n, rank, size);
    for (size_t i = from; i < to; i++) {
        size_t length = input_length(p[i].r);
        t->tokens += length;
        t->n_wants += p[i].r->n - p[i].r->from;
        t->longest = length > t->longest ? length : t->longest;
    }
    t->requests = to - from;
    grow(t, p + from, to - from, leaf);
    link_children(t);
    list_wants(t, p + from, to - from, leaf);
    for (size_t i = 1; i < t->n_nodes; i++) t->rows += t->node[i].end - t->node[i].begin;
    mem_free(leaf);
    mem_free(p);
}

void score_tree_release(struct score_tree *t)
{
    mem_free(t->node);
    mem_free(t->want);
    *t = (struct score_tree){ 0 };
}
