/* grammar_build.c - trees of rules, and the arithmetic of character classes. */
#include "grammar_internal.h"

#include <stdlib.h>
#include <string.h>

static const struct node nothing = { .kind = NODE_EMPTY };

void build_init(struct build *b)
{
    *b = (struct build) { 0 };
    arena_init(&b->arena);
}

void build_release(struct build *b)
{
    arena_release(&b->arena);
    mem_free(b->rule);
    *b = (struct build) { 0 };
}

uint32_t build_rule(struct build *b, const char *name, size_t len)
{
    if (b->n_rules >= NODES_MAX) { b->is_full = true; return 0; }
    if (b->n_rules == b->rules_cap) {
        b->rules_cap = b->rules_cap ? 2 * b->rules_cap : 64;
        b->rule = mem_grow(b->rule, b->rules_cap * sizeof *b->rule);
    }
    b->rule[b->n_rules] = (struct rule) { arena_strndup(&b->arena, name, len), len, NULL };
    return (uint32_t)b->n_rules++;
}

/* `weight`: what it holds besides itself, so that the limit is one of memory. */
static struct node *new_node(struct build *b, enum node_kind kind, size_t weight)
{
    b->n_nodes += 1 + weight;
    if (b->n_nodes > NODES_MAX) { b->is_full = true; return NULL; }
    struct node *x = arena_zero(&b->arena, sizeof *x);
    x->kind = kind;
    return x;
}

const struct node *node_empty(struct build *b)
{
    (void)b;
    return &nothing;
}

const struct node *node_text(struct build *b, const char *bytes, size_t len)
{
    if (len == 0) return &nothing;
    struct node *x = new_node(b, NODE_TEXT, len / 16);
    if (!x) return &nothing;
    x->n = (uint32_t)len;
    x->text = arena_strndup(&b->arena, bytes, len);
    return x;
}

static int compare_ranges(const void *a, const void *b)
{
    uint32_t x = ((const struct code_range *)a)->lo, y = ((const struct code_range *)b)->lo;
    return (x > y) - (x < y);
}

/* Takes the surrogates, which are no characters, out of sorted ranges; one range may become two. */
static size_t remove_surrogates(struct code_range *range, size_t n)
{
    enum { FIRST = 0xD800, LAST = 0xDFFF };
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        struct code_range r = range[i];
        if (r.lo < FIRST && r.hi > LAST) {
            memmove(range + kept + 2, range + i + 1, (n - i - 1) * sizeof *range);
            range[kept] = (struct code_range) { r.lo, FIRST - 1 };
            range[kept + 1] = (struct code_range) { LAST + 1, r.hi };
            return kept + 2 + (n - i - 1);      /* those behind lie higher */
        }
        if (r.lo >= FIRST && r.lo <= LAST) r.lo = LAST + 1;
        if (r.hi >= FIRST && r.hi <= LAST) r.hi = FIRST - 1;
        if (r.lo <= r.hi) range[kept++] = r;
    }
    return kept;
}

size_t ranges_normalize(struct code_range *range, size_t n)
{
    size_t kept = 0;
    if (n) qsort(range, n, sizeof *range, compare_ranges);
    for (size_t i = 0; i < n; i++) {
        if (kept && range[i].lo <= range[kept - 1].hi + 1) {
            if (range[i].hi > range[kept - 1].hi) range[kept - 1].hi = range[i].hi;
        } else range[kept++] = range[i];
    }
    return remove_surrogates(range, kept);
}

const struct node *node_class(struct build *b, const struct code_range *range, size_t n, bool is_negated)
{
    struct code_range *r = mem_alloc((n + 3) * sizeof *r), *other = mem_alloc((n + 4) * sizeof *other);
    if (n) memcpy(r, range, n * sizeof *r);
    n = ranges_normalize(r, n);
    if (is_negated) {
        size_t k = 0;
        uint32_t from = 0;
        for (size_t i = 0; i < n; i++) {
            if (r[i].lo > from) other[k++] = (struct code_range) { from, r[i].lo - 1 };
            from = r[i].hi + 1;
        }
        if (from <= CODE_POINT_MAX) other[k++] = (struct code_range) { from, CODE_POINT_MAX };
        n = ranges_normalize(other, k);
    }
    struct node *x = new_node(b, NODE_CLASS, n / 4);
    if (x) {
        struct code_range *kept = arena_take(&b->arena, (n + 1) * sizeof *kept);
        if (n) memcpy(kept, is_negated ? other : r, n * sizeof *kept);
        x->n = (uint32_t)n;
        x->range = kept;
    }
    mem_free(r);
    mem_free(other);
    return x ? x : &nothing;
}

static const struct node *with_children(struct build *b, enum node_kind kind, const struct node *const *child, size_t n)
{
    if (n == 1) return child[0];
    struct node *x = new_node(b, kind, n / 4);
    if (!x) return &nothing;
    x->n = (uint32_t)n;
    x->child = arena_take(&b->arena, (n + 1) * sizeof *x->child);
    if (n) memcpy(x->child, child, n * sizeof *child);
    return x;
}

const struct node *node_sequence(struct build *b, const struct node *const *child, size_t n)
{
    return n ? with_children(b, NODE_SEQUENCE, child, n) : &nothing;
}

/* A choice of nothing is a class without characters: it matches no text. */
const struct node *node_choice(struct build *b, const struct node *const *child, size_t n)
{
    return n ? with_children(b, NODE_CHOICE, child, n) : node_class(b, NULL, 0, false);
}

const struct node *node_repeat(struct build *b, const struct node *child, uint32_t min, uint32_t max)
{
    if (max == 0 || child->kind == NODE_EMPTY) return &nothing;
    if (min == 1 && max == 1) return child;
    struct node *x = new_node(b, NODE_REPEAT, 0);
    if (!x) return &nothing;
    x->n = 1;
    x->min = min;
    x->max = max;
    x->child = arena_take(&b->arena, sizeof *x->child);
    x->child[0] = child;
    return x;
}

const struct node *node_rule(struct build *b, uint32_t rule)
{
    struct node *x = new_node(b, NODE_RULE, 0);
    if (!x) return &nothing;
    x->n = rule;
    return x;
}

void node_list_push(struct node_list *l, const struct node *x)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 16;
        l->node = mem_grow(l->node, l->cap * sizeof *l->node);
    }
    l->node[l->n++] = x;
}

void node_list_release(struct node_list *l)
{
    mem_free(l->node);
    *l = (struct node_list) { 0 };
}
