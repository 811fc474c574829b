/* mask.c - all tokens that may come, by walking the tree of their bytes.
 *
 * Two things make that short. Where every letter leads on and on (in a string), whole branches of plain text are taken at once.
 * And what a rule takes does not depend on who called it: the walk inside the rule is made once, with an empty stack, and only the
 * branches behind the places where the rule may end (behind a closing quote) are walked for each caller. */
#include "memo_internal.h"

#include <string.h>

enum { RUN_MAX = 2 * PLAIN_LEN_MAX, RUN_FOR_EVER = INT16_MAX, PLAIN_FEW = 4, GROUPS_MAX = 4, EXITS_MAX = 2048, TOO_MANY = UINT32_MAX };
#define MASK_WORK_MAX (UINT64_C(1) << 20)     /* visits of states for one mask: about a tenth of a second */

/* Where every plain byte leads, if that is one place; else &no_way. */
static struct configuration *plain_step(struct memo *m, struct configuration *c)
{
    struct configuration *all = NULL;
    for (unsigned i = 0; i < m->n_plain; i++) {
        struct configuration *next = memo_step(m, c, m->plain[i]);
        if (next == &no_way || (all && next != all)) return &no_way;
        all = next;
    }
    return all ? all : &no_way;
}

/* How many plain bytes, whichever they are, can follow at least. A chain is followed for RUN_MAX steps; only what is surely right
 * is kept. */
static int run_of(struct memo *m, struct configuration *c)
{
    struct configuration *chain[RUN_MAX], *x = c;
    int n = 0;
    while (x->run < 0 && n < RUN_MAX) {
        struct configuration *next = plain_step(m, x);
        if (next == &no_way) x->run = 0;
        else if (next == x) x->run = RUN_FOR_EVER;
        else { chain[n++] = x; x = next; }
    }
    if (x->run < 0) { c->run = RUN_MAX; return c->run; }
    for (int i = n - 1, run = x->run; i >= 0; i--) {
        if (run < RUN_FOR_EVER) run++;
        chain[i]->run = (int16_t)run;
    }
    return c->run;
}

static void allow(uint64_t *mask, const struct token_tree *t, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        uint32_t id = (uint32_t)t->order[i];
        mask[id / 64] |= UINT64_C(1) << id % 64;
    }
}

struct exits { uint32_t node[EXITS_MAX], n; };

/* A walk through the nodes below `from`, where m->path[its depth] is the configuration there. The configurations on the way are
 * roots, so that memory can be trimmed in between. What is not looked at within the limit on work is left out, once there is
 * something in the mask. `exits`, if not NULL, gets the nodes where the text may be whole; the walk ends when there are too many. */
struct walk { struct memo *m; const struct token_tree *t; uint64_t *mask, work_max; bool has_some; struct exits *exits; };

/* Takes the whole branch at node i, if it is sure that all of it may come. */
static bool take_branch(struct walk *w, uint32_t i, struct configuration *at)
{
    const struct token_tree *t = w->t;
    const struct tree_node *node = &t->node[i];
    if (node->plain_height == NOT_PLAIN || node->skip - i <= PLAIN_FEW) return false;
    int run = run_of(w->m, at);
    if (run < node->plain_height || (w->exits && (run != RUN_FOR_EVER || plain_step(w->m, at) != at || at->may_end))) return false;
    allow(w->mask, t, node->token, t->node[node->skip].token);
    w->has_some = true;
    return true;
}

static void walk_below(struct walk *w, uint32_t from)
{
    struct memo *m = w->m;
    const struct token_tree *t = w->t;
    uint32_t end = t->node[from].skip;
    for (uint32_t i = from + 1; i < end && !(w->has_some && m->work > w->work_max);) {
        const struct tree_node *node = &t->node[i];
        struct configuration *c = m->path[node->depth - 1].at, *next = c->next[m->p->class_of[node->byte]];
        if (!next) {
            m->path[node->depth].at = memo_step(m, c, node->byte);
            memo_trim(m);
            next = m->path[node->depth].at;
        }
        if (next == &no_way) { i = node->skip; continue; }
        m->path[node->depth].at = next;
        if (w->exits && next->may_end) {
            if (w->exits->n == EXITS_MAX) { w->exits->n = TOO_MANY; return; }
            w->exits->node[w->exits->n++] = i;
        }
        if (take_branch(w, i, next)) { i = node->skip; continue; }
        allow(w->mask, t, node->token, node[1].token);
        w->has_some = w->has_some || node[1].token > node->token;
        i++;
    }
}

static uint64_t *keep_mask(struct memo *m, const uint64_t *mask)
{
    uint64_t *kept = arena_take(&m->arena, m->tree->words * sizeof *kept + 8);
    memcpy(kept, mask, m->tree->words * sizeof *kept);
    return kept;
}

/* ---- by rules ----------------------------------------------------------------------------------------------------------------- */

/* The places of a configuration that have one stack. inside: they alone, with an empty stack; behind: where that stack leads. */
struct group { struct root inside, behind; };

/* Cuts a configuration by stacks; 0 if that is no use: nothing below, or too many. */
static int cut(struct memo *m, struct configuration *c, struct group *group)
{
    uint32_t stack[GROUPS_MAX];
    int n = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        int k = 0;
        while (k < n && stack[k] != c->place[i].stack) k++;
        if (k < n) continue;
        if (n == GROUPS_MAX || c->place[i].stack == 0) return 0;
        stack[n++] = c->place[i].stack;
    }
    for (int k = 0; k < n; k++) {
        set_begin(m);
        for (uint32_t i = 0; i < c->n; i++)
            if (c->place[i].stack == stack[k]) set_put(m, (struct place) { c->place[i].state, 0 });
        memo_keep(m, &group[k].inside, set_end(m));
        set_begin(m);
        set_add(m, (struct place) { m->stack[stack[k]].state, m->stack[stack[k]].below });
        memo_keep(m, &group[k].behind, set_end(m));
    }
    return n;
}

/* Mask and exits of what is inside, from memory if they are there. */
static void look_inside(struct walk *w, struct root *inside, struct exits *exits)
{
    struct memo *m = w->m;
    exits->n = 0;
    if (!inside->at->exits) {
        size_t words = m->tree->words;
        uint64_t *mask = mem_zero(words + 1, sizeof *mask);
        struct walk own = { m, m->tree, mask, w->work_max, false, exits };
        m->path[0].at = inside->at;
        walk_below(&own, 0);
        size_t bytes = exits->n == TOO_MANY ? 0 : exits->n * sizeof *exits->node;
        struct configuration *c = inside->at;
        c->exits = arena_take(&m->arena, bytes + 4);
        memcpy(c->exits, exits->node, bytes);
        c->n_exits = exits->n;
        if (exits->n != TOO_MANY && !c->mask) c->mask = keep_mask(m, mask);
        mem_free(mask);
    } else {
        exits->n = inside->at->n_exits;
        if (exits->n != TOO_MANY) memcpy(exits->node, inside->at->exits, exits->n * sizeof *exits->node);
    }
}

/* False: not worth it, the mask is to be made by one walk. */
static bool walk_by_groups(struct walk *w, struct root *r)
{
    struct memo *m = w->m;
    struct group group[GROUPS_MAX];
    struct exits exits;
    int n = cut(m, r->at, group);
    bool ok = n > 0;
    for (int k = 0; k < n && ok; k++) {
        look_inside(w, &group[k].inside, &exits);
        ok = exits.n != TOO_MANY;
        if (!ok) break;
        const uint64_t *inside = group[k].inside.at->mask;
        for (size_t i = 0; i < m->tree->words; i++) {
            w->mask[i] |= inside[i];
            w->has_some = w->has_some || inside[i];
        }
        for (uint32_t i = 0; i < exits.n; i++) {
            m->path[m->tree->node[exits.node[i]].depth].at = group[k].behind.at;
            walk_below(w, exits.node[i]);
        }
    }
    for (int k = 0; k < n; k++) {
        memo_drop(m, &group[k].inside);
        memo_drop(m, &group[k].behind);
    }
    return ok;
}

const uint64_t *memo_mask(struct memo *m, struct root *r)
{
    if (r->at->mask) return r->at->mask;
    const struct token_tree *t = m->tree;
    uint64_t *mask = mem_zero(t->words + 1, sizeof *mask);
    struct walk w = { m, t, mask, m->work + MASK_WORK_MAX, false, NULL };
    for (uint32_t i = 0; i <= t->depth; i++) memo_keep(m, &m->path[i], &no_way);
    if (!walk_by_groups(&w, r)) {
        w.has_some = run_of(m, r->at) >= PLAIN_LEN_MAX;
        if (w.has_some) {
            memcpy(mask, t->plain, t->words * sizeof *mask);
            w.t = t->mixed;
        } else memset(mask, 0, t->words * sizeof *mask);
        m->path[0].at = r->at;
        walk_below(&w, 0);
    }
    for (uint32_t i = 0; i <= t->depth; i++) memo_drop(m, &m->path[i]);
    r->at->mask = keep_mask(m, mask);
    mem_free(mask);
    return r->at->mask;
}
