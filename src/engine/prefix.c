/* prefix.c - the tree of computed beginnings: see engine_internal.h. Tokens are compared themselves, never hashes of them, so what is found
 * is always what was asked for. */
#include "engine/engine_internal.h"

#include <string.h>

enum { REST_LEAST = 8 };                 /* tokens of a page that is not full worth keeping */

void prefix_init(struct prefix_tree *t, struct kv_pages *pages) { *t = (struct prefix_tree){ .pages = pages }; }

/* ---- order of use -------------------------------------------------------------------------------------------------------------- */

static void unlink_use(struct prefix_tree *t, struct prefix_node *n)
{
    if (n->newer) n->newer->older = n->older;
    else t->newest = n->older;
    if (n->older) n->older->newer = n->newer;
    else t->oldest = n->newer;
    n->newer = n->older = NULL;
}

static void link_newest(struct prefix_tree *t, struct prefix_node *n)
{
    n->older = t->newest;
    n->newer = NULL;
    if (t->newest) t->newest->newer = n;
    else t->oldest = n;
    t->newest = n;
}

/* A node and all it stands behind become newest, the parents last: so the oldest node never has children that are newer. */
static void touch(struct prefix_tree *t, struct prefix_node *n)
{
    for (; n && n->page; n = n->parent) {
        unlink_use(t, n);
        link_newest(t, n);
    }
}

/* ---- finding --------------------------------------------------------------------------------------------------------------------- */

static struct prefix_node *find_root(const struct prefix_tree *t, const void *model, uint64_t salt)
{
    struct prefix_node *r = t->roots;
    while (r && (r->model != model || r->salt != salt)) r = r->sibling;
    return r;
}

static size_t same_tokens(const struct prefix_node *n, const int32_t *id, size_t len)
{
    size_t k = 0, most = n->n < len ? n->n : len;
    while (k < most && n->token[k] == id[k]) k++;
    return k;
}

/* The child that has most of id[0..len), and how much. */
static struct prefix_node *best_child(const struct prefix_node *n, const int32_t *id, size_t len, size_t *same)
{
    struct prefix_node *best = NULL;
    *same = 0;
    for (struct prefix_node *c = n->child; c; c = c->sibling) {
        size_t k = same_tokens(c, id, len);
        if (k > *same) { *same = k; best = c; }
    }
    return best;
}

/* Walks down; calls nothing, gives the nodes in path[] and the tokens of the last one. */
static size_t walk(const struct prefix_tree *t, const void *model, uint64_t salt, const int32_t *id, size_t most, struct prefix_node **path, size_t *n_path)
{
    const struct prefix_node *n = find_root(t, model, salt);
    size_t at = 0, same = 0;
    *n_path = 0;
    while (n && at < most) {
        struct prefix_node *c = best_child(n, id + at, most - at, &same);
        if (!c || same == 0) break;
        if (path) path[*n_path] = c;
        (*n_path)++;
        at += same;
        if (same < KV_PAGE) break;
        n = c;
    }
    return at;
}

size_t prefix_look(const struct prefix_tree *t, const void *model, uint64_t salt, const int32_t *id, size_t n, size_t most)
{
    size_t n_path;
    return walk(t, model, salt, id, most < n ? most : n, NULL, &n_path);
}

size_t prefix_find(struct prefix_tree *t, struct kv_cache *c, const void *model, uint64_t salt, const int32_t *id, size_t n, size_t most)
{
    size_t n_path, limit = most < n ? most : n;
    struct prefix_node **path = mem_alloc((kv_page_count(limit) + 1) * sizeof *path);
    size_t found = walk(t, model, salt, id, limit, path, &n_path);
    for (size_t i = 0; i < n_path; i++) c->page[i] = kv_page_share(t->pages, path[i]->page);
    if (n_path) touch(t, path[n_path - 1]);
    mem_free(path);
    return found;
}

/* ---- keeping ----------------------------------------------------------------------------------------------------------------------- */

static struct prefix_node *need_root(struct prefix_tree *t, const void *model, uint64_t salt)
{
    struct prefix_node *r = find_root(t, model, salt);
    if (r) return r;
    r = mem_zero(1, sizeof *r);
    r->model = model;
    r->salt = salt;
    r->sibling = t->roots;
    return t->roots = r;
}

/* The child that is exactly id[0..n), or becomes it: a shorter one that ended there is replaced by the longer. */
static struct prefix_node *need_child(struct prefix_tree *t, struct prefix_node *parent, const int32_t *id, size_t n, char *page)
{
    size_t same;
    struct prefix_node *c = best_child(parent, id, n, &same);
    if (c && same == n) return c;                                   /* it has this, or more */
    if (c && same == c->n && c->n < KV_PAGE) kv_page_drop(t->pages, c->page);
    else {
        c = mem_zero(1, sizeof *c);
        c->parent = parent;
        c->sibling = parent->child;
        parent->child = c;
        link_newest(t, c);
        t->n_nodes++;
    }
    c->n = n;
    memcpy(c->token, id, n * sizeof *id);
    c->page = kv_page_share(t->pages, page);
    return c;
}

void prefix_keep(struct prefix_tree *t, const struct kv_cache *c, const void *model, uint64_t salt, const int32_t *id, size_t n, bool with_rest)
{
    if (n < KV_PAGE && (!with_rest || n < REST_LEAST)) return;      /* nothing to keep: a root without pages would stay for ever */
    struct prefix_node *at = need_root(t, model, salt);
    for (size_t i = 0; i < n; i += KV_PAGE) {
        size_t len = n - i < KV_PAGE ? n - i : KV_PAGE;
        if (len < KV_PAGE && (!with_rest || len < REST_LEAST)) break;
        at = need_child(t, at, id + i, len, c->page[i / KV_PAGE]);
        if (len < KV_PAGE) break;
    }
    touch(t, at);
}

/* ---- letting go ---------------------------------------------------------------------------------------------------------------------- */

static bool is_alone(const struct prefix_tree *t, const struct prefix_node *n) { return kv_page_holders(t->pages, n->page) == 1; }

static void drop_node(struct prefix_tree *t, struct prefix_node *n)
{
    struct prefix_node **at = &n->parent->child;
    while (*at != n) at = &(*at)->sibling;
    *at = n->sibling;
    struct prefix_node *root = n->parent->page ? NULL : n->parent;
    unlink_use(t, n);
    kv_page_drop(t->pages, n->page);
    mem_free(n);
    t->n_nodes--;
    if (!root || root->child) return;
    for (at = &t->roots; *at != root;) at = &(*at)->sibling;        /* a salt that is not used any more */
    *at = root->sibling;
    mem_free(root);
}

bool prefix_drop_oldest(struct prefix_tree *t)
{
    for (struct prefix_node *n = t->oldest; n; n = n->newer) {
        if (n->child || !is_alone(t, n)) continue;
        drop_node(t, n);
        return true;
    }
    return false;
}

size_t prefix_droppable(const struct prefix_tree *t)
{
    size_t n = 0;
    for (const struct prefix_node *k = t->oldest; k; k = k->newer) n += is_alone(t, k);
    return n;
}

void prefix_release(struct prefix_tree *t)
{
    while (t->oldest) {
        struct prefix_node *n = t->oldest;
        while (n->child) n = n->child;
        drop_node(t, n);
    }
}
