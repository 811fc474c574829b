/* memo.c - stacks and configurations, each kept once, and what was found out about them.
 *
 * Everything is a function of the grammar, so all matchers of a grammar share it, under the grammar's lock. Beyond 64 MiB all
 * is forgotten but the configurations where matchers stand (roots).
 *
 * An ambiguous grammar can be at more places than memory holds. Places beyond a limit are then left out, in an order that
 * does not depend on what is remembered: fewer texts are possible, none that the grammar does not have. A limit on places is
 * never below the number of states, so it takes ambiguity in recursion to reach it. */
#include "memo_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MEMO_BYTES_MAX = 64 << 20, SPARE_PLACES = 4096 };

struct configuration no_way;

static uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * UINT64_C(0x9E3779B97F4A7C15);
    return h ^ h >> 29;
}

static void push(struct place_list *l, struct place x)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 256;
        l->place = mem_grow(l->place, l->cap * sizeof *l->place);
    }
    l->place[l->n++] = x;
}

void set_put(struct memo *m, struct place x) { push(&m->found, x); }

/* ---- stacks --------------------------------------------------------------------------------------------------------------- */

static void stacks_grow(struct memo *m)
{
    m->stack_slots = m->stack_slots ? 2 * m->stack_slots : 1024;
    m->stack_table = mem_grow(m->stack_table, m->stack_slots * sizeof *m->stack_table);
    memset(m->stack_table, 0, m->stack_slots * sizeof *m->stack_table);
    m->stacks_cap = m->stack_slots / 2;
    m->stack = mem_grow(m->stack, m->stacks_cap * sizeof *m->stack);
    for (uint32_t i = 1; i < m->n_stacks; i++) {
        uint32_t *slot = &m->stack_table[m->stack[i].hash & (m->stack_slots - 1)];
        m->stack[i].chain = *slot;
        *slot = i;
    }
}

/* The stack `below` with `state` on it. */
static uint32_t stack_push(struct memo *m, uint32_t state, uint32_t below)
{
    uint64_t hash = mix(mix(m->stack[below].hash, state), 1);
    for (uint32_t i = m->stack_table[hash & (m->stack_slots - 1)]; i; i = m->stack[i].chain)
        if (m->stack[i].hash == hash && m->stack[i].state == state && m->stack[i].below == below) return i;
    if (m->n_stacks == m->stacks_cap) stacks_grow(m);
    uint32_t *slot = &m->stack_table[hash & (m->stack_slots - 1)];
    m->stack[m->n_stacks] = (struct stack_node) { hash, state, below, *slot };
    return *slot = m->n_stacks++;
}

/* ---- sets of places ----------------------------------------------------------------------------------------------------------- */

void set_begin(struct memo *m)
{
    m->found.n = m->todo.n = m->n_seen = 0;
    m->may_end = false;
    if (++m->stamp != 0) return;
    memset(m->seen, 0, m->seen_slots * sizeof *m->seen);
    m->stamp = 1;
}

static size_t seen_slot(const struct memo *m, struct place x)
{
    size_t i = mix(mix(0, x.state), x.stack) >> 7 & (m->seen_slots - 1);
    while (m->seen[i].stamp == m->stamp && (m->seen[i].place.state != x.state || m->seen[i].place.stack != x.stack)) i = (i + 1) & (m->seen_slots - 1);
    return i;
}

static void seen_grow(struct memo *m)
{
    struct seen *old = m->seen;
    size_t n = m->seen_slots;
    m->seen_slots = n ? 2 * n : 1024;
    m->seen = mem_zero(m->seen_slots, sizeof *m->seen);
    for (size_t i = 0; i < n; i++)
        if (old[i].stamp == m->stamp) m->seen[seen_slot(m, old[i].place)] = old[i];
    mem_free(old);
}

/* False if it was seen since set_begin. */
static bool see(struct memo *m, struct place x)
{
    if (2 * m->n_seen >= m->seen_slots) seen_grow(m);
    size_t i = seen_slot(m, x);
    if (m->seen[i].stamp == m->stamp) return false;
    m->seen[i] = (struct seen) { x, m->stamp };
    m->n_seen++;
    m->work++;
    return true;
}

/* The limit is reached: of what is still to do, only what waits for a byte. */
static void set_drain(struct memo *m, size_t places_max)
{
    while (m->todo.n) {
        struct place x = m->todo.place[--m->todo.n];
        if (m->p->state[x.state].kind == STATE_BYTE && m->found.n < places_max && see(m, x)) push(&m->found, x);
    }
}

void set_add(struct memo *m, struct place x)
{
    size_t visits_max = 4 * (size_t)m->p->n + 16 * SPARE_PLACES, places_max = m->p->n + SPARE_PLACES;
    push(&m->todo, x);
    while (m->todo.n) {
        x = m->todo.place[--m->todo.n];
        if (m->n_seen >= visits_max || m->found.n >= places_max) { push(&m->todo, x); set_drain(m, places_max); return; }
        if (!see(m, x)) continue;
        const struct state *s = &m->p->state[x.state];
        switch (s->kind) {
        case STATE_BYTE: push(&m->found, x); break;
        case STATE_END:
            if (x.stack) push(&m->todo, (struct place) { m->stack[x.stack].state, m->stack[x.stack].below });
            else m->may_end = true;
            break;
        case STATE_SPLIT:
            push(&m->todo, (struct place) { s->b, x.stack });
            push(&m->todo, (struct place) { s->a, x.stack });
            break;
        default: push(&m->todo, (struct place) { s->a, s->b ? stack_push(m, s->b, x.stack) : x.stack });
        }
    }
}

/* By what stacks are, not by their numbers, which differ after memo_trim. */
static int compare_places(const void *a, const void *b, void *memo)
{
    const struct memo *m = memo;
    const struct place *x = a, *y = b;
    if (x->state != y->state) return x->state < y->state ? -1 : 1;
    uint64_t h = m->stack[x->stack].hash, k = m->stack[y->stack].hash;
    if (h != k) return h < k ? -1 : 1;
    return (x->stack > y->stack) - (x->stack < y->stack);
}

static void sort_found(struct memo *m)
{
    struct place *x = m->found.place;
    if (m->found.n > 24) { qsort_r(x, m->found.n, sizeof *x, compare_places, m); return; }
    for (size_t i = 1; i < m->found.n; i++) {
        struct place moving = x[i];
        size_t k = i;
        for (; k > 0 && compare_places(&x[k - 1], &moving, m) > 0; k--) x[k] = x[k - 1];
        x[k] = moving;
    }
}

static void table_grow(struct memo *m)
{
    struct configuration **old = m->table;
    size_t n = m->n_slots;
    m->n_slots = n ? 2 * n : 256;
    m->table = mem_zero(m->n_slots, sizeof *m->table);
    for (size_t i = 0; i < n; i++)
        for (struct configuration *c = old[i], *next; c; c = next) {
            struct configuration **slot = &m->table[c->hash & (m->n_slots - 1)];
            next = c->chain;
            c->chain = *slot;
            *slot = c;
        }
    mem_free(old);
}

struct configuration *set_end(struct memo *m)
{
    size_t n = m->found.n;
    if (n == 0 && !m->may_end) return &no_way;
    m->work += n;
    sort_found(m);
    uint64_t hash = m->may_end;
    for (size_t i = 0; i < n; i++) hash = mix(mix(hash, m->found.place[i].state), m->found.place[i].stack);
    if (m->n_configurations >= m->n_slots) table_grow(m);
    struct configuration **slot = &m->table[hash & (m->n_slots - 1)], *c = *slot;
    for (; c; c = c->chain)
        if (c->hash == hash && c->n == n && c->may_end == m->may_end && (!n || memcmp(c->place, m->found.place, n * sizeof *c->place) == 0)) return c;
    size_t table = m->p->n_classes * sizeof *c->next;
    c = arena_take(&m->arena, sizeof *c + table + n * sizeof *c->place);
    struct place *place = (struct place *)((char *)(c + 1) + table);
    memset(c, 0, sizeof *c + table);
    if (n) memcpy(place, m->found.place, n * sizeof *place);
    c->hash = hash;
    c->chain = *slot;
    c->place = place;
    c->n = (uint32_t)n;
    c->may_end = m->may_end;
    c->run = -1;
    m->n_configurations++;
    return *slot = c;
}

struct configuration *memo_step(struct memo *m, struct configuration *c, uint8_t byte)
{
    struct configuration **next = &c->next[m->p->class_of[byte]];
    if (*next) return *next;
    set_begin(m);
    for (uint32_t i = 0; i < c->n; i++) {
        const struct state *s = &m->p->state[c->place[i].state];
        if (byte >= s->lo && byte <= s->hi) set_add(m, (struct place) { s->a, c->place[i].stack });
    }
    m->work += 1 + c->n / 8;
    return *next = set_end(m);
}

/* ---- one memo --------------------------------------------------------------------------------------------------------------------- */

static size_t bytes_of(const struct memo *m)
{
    return m->arena.used + m->n_slots * sizeof *m->table + m->stack_slots * sizeof *m->stack_table + m->stacks_cap * sizeof *m->stack;
}

static void forget_all(struct memo *m)
{
    m->stack = NULL;
    m->stack_table = NULL;
    m->table = NULL;
    m->n_stacks = 1;
    m->stack_slots = 0;
    m->n_slots = m->n_configurations = 0;
    arena_init(&m->arena);
    stacks_grow(m);
    m->stack[0] = (struct stack_node) { 0 };
    table_grow(m);
}

void memo_keep(struct memo *m, struct root *r, struct configuration *at)
{
    *r = (struct root) { NULL, m->roots, at };
    if (m->roots) m->roots->before = r;
    m->roots = r;
}

void memo_drop(struct memo *m, struct root *r)
{
    if (r->after) r->after->before = r->before;
    if (r->before) r->before->after = r->after;
    else m->roots = r->after;
}

static struct memo *memo_make(struct grammar *g, const struct token_tree *t)
{
    struct memo *m = mem_zero(1, sizeof *m);
    m->p = &g->program;
    m->tree = t;
    m->bytes_max = MEMO_BYTES_MAX;
    m->path = mem_zero(t->depth + 1, sizeof *m->path);
    forget_all(m);
    for (unsigned byte = 0, last = 256; byte < 256; byte++) {
        if (!tree_is_plain(byte) || m->p->class_of[byte] == last) continue;
        m->plain[m->n_plain++] = (uint8_t)byte;
        last = m->p->class_of[byte];
    }
    set_begin(m);
    set_add(m, (struct place) { m->p->start, 0 });
    memo_keep(m, &m->start, set_end(m));
    m->next = g->memos;
    return g->memos = m;
}

struct memo *memo_for(struct grammar *g, const struct token_tree *t)
{
    for (struct memo *m = g->memos; m; m = m->next)
        if (m->tree == t) return m;
    return memo_make(g, t);
}

void memo_free_all(struct grammar *g)
{
    for (struct memo *m = g->memos, *next; m; m = next) {
        next = m->next;
        arena_release(&m->arena);
        mem_free(m->stack);
        mem_free(m->stack_table);
        mem_free(m->table);
        mem_free(m->todo.place);
        mem_free(m->found.place);
        mem_free(m->seen);
        mem_free(m->path);
        mem_free(m);
    }
    g->memos = NULL;
}

struct configuration *memo_start(struct memo *m) { return m->start.at; }

/* The number now of what was stack x before; moved[x] is 0 for those not looked at yet. */
static uint32_t move_stack(struct memo *m, const struct stack_node *old, uint32_t *moved, uint32_t x)
{
    m->todo.n = 0;
    for (; x && !moved[x]; x = old[x].below) push(&m->todo, (struct place) { x, 0 });
    uint32_t now = moved[x];
    while (m->todo.n) {
        x = m->todo.place[--m->todo.n].state;
        now = moved[x] = stack_push(m, old[x].state, now);
    }
    return now;
}

void memo_trim(struct memo *m)
{
    if (bytes_of(m) <= m->bytes_max) return;
    struct arena arena = m->arena;
    struct stack_node *old = m->stack;
    uint32_t *table = m->stack_table, *moved = mem_zero(m->n_stacks + 1, sizeof *moved);
    mem_free(m->table);
    forget_all(m);
    for (struct root *r = m->roots; r; r = r->after) {
        struct configuration *c = r->at;
        if (c == &no_way) continue;
        set_begin(m);
        for (uint32_t i = 0; i < c->n; i++) {
            struct place x = { c->place[i].state, move_stack(m, old, moved, c->place[i].stack) };
            push(&m->found, x);
        }
        m->may_end = c->may_end;
        m->work += c->n;
        r->at = set_end(m);
    }
    mem_free(moved);
    mem_free(table);
    mem_free(old);
    arena_release(&arena);
    m->bytes_max = 2 * bytes_of(m) > MEMO_BYTES_MAX ? 2 * bytes_of(m) : MEMO_BYTES_MAX;
}
