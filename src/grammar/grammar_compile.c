/* grammar_compile.c - trees of code points to a program over bytes.
 *
 * Made from the end: a node is compiled with the state that follows it, so sequences need no patching and alternatives that
 * go on alike share what follows. What is repeated often and is long becomes a rule of its own, called once for each time:
 * {4000} of a character is 4,000 states, not 80,000. */
#include "grammar_internal.h"

#include <string.h>

enum { COPIES_MAX = 256, COMPILE_DEPTH_MAX = 16 * NESTING_MAX, RANGES_MAX = 16 };

struct compiler { struct program p; uint32_t cap; const struct build *b; uint32_t *start; bool is_full; int depth; };

static uint32_t add_state(struct compiler *c, enum state_kind kind, uint8_t lo, uint8_t hi, uint32_t a, uint32_t b)
{
    if (c->p.n >= STATES_MAX) { c->is_full = true; return 0; }
    if (c->p.n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 256;
        c->p.state = mem_grow(c->p.state, c->cap * sizeof *c->p.state);
    }
    c->p.state[c->p.n] = (struct state) { (uint8_t)kind, lo, hi, a, b };
    return c->p.n++;
}

/* Alternatives; `a` 0: none yet. */
static uint32_t join(struct compiler *c, uint32_t a, bool has_a, uint32_t b) { return has_a ? add_state(c, STATE_SPLIT, 0, 0, a, b) : b; }

/* ---- classes ------------------------------------------------------------------------------------------------------------ */

/* Alternatives that begin with a byte, and what was made last to share it: ends of characters are alike. */
struct class_maker { struct compiler *c; uint32_t entry; bool has_entry; struct { uint8_t lo, hi; uint32_t next, state; } made[RANGES_MAX]; size_t n_made; };

static uint32_t byte_state(struct class_maker *m, uint8_t lo, uint8_t hi, uint32_t next)
{
    size_t n = m->n_made < RANGES_MAX ? m->n_made : RANGES_MAX;
    for (size_t i = 0; i < n; i++)
        if (m->made[i].lo == lo && m->made[i].hi == hi && m->made[i].next == next) return m->made[i].state;
    uint32_t s = add_state(m->c, STATE_BYTE, lo, hi, next, 0);
    size_t at = m->n_made++ % RANGES_MAX;
    m->made[at].lo = lo;
    m->made[at].hi = hi;
    m->made[at].next = next;
    m->made[at].state = s;
    return s;
}

/* Bytes 0..n-1 each within their own limits, as one alternative. */
static void add_alternative(struct class_maker *m, const uint8_t *lo, const uint8_t *hi, int n, uint32_t next)
{
    for (int i = n - 1; i > 0; i--) next = byte_state(m, lo[i], hi[i], next);
    uint32_t s = byte_state(m, lo[0], hi[0], next);
    m->entry = join(m->c, m->entry, m->has_entry, s);
    m->has_entry = true;
}

/* All byte strings of length n from lo to hi, which begin alike up to byte `from`. Calls itself at most once for each byte on
 * either side. */
static void add_byte_range(struct class_maker *m, uint8_t *lo, uint8_t *hi, int from, int n, uint32_t next)
{
    while (from < n - 1 && lo[from] == hi[from]) from++;
    uint8_t low[4], high[4];
    memcpy(low, lo, sizeof low);
    memcpy(high, hi, sizeof high);
    bool cuts_low = false, cuts_high = false;
    for (int i = from + 1; i < n; i++) {
        if (lo[i] != 0x80) cuts_low = true;
        if (hi[i] != 0xBF) cuts_high = true;
        low[i] = 0x80;
        high[i] = 0xBF;
    }
    if (cuts_low && lo[from] < hi[from]) {
        uint8_t end[4];
        memcpy(end, high, sizeof end);
        end[from] = lo[from];
        add_byte_range(m, lo, end, from + 1, n, next);
        low[from]++;
    } else if (cuts_low) memcpy(low, lo, sizeof low);
    if (cuts_high && lo[from] < hi[from]) {
        uint8_t begin[4];
        memcpy(begin, low, sizeof begin);
        begin[from] = hi[from];
        add_byte_range(m, begin, hi, from + 1, n, next);
        high[from]--;
    } else if (cuts_high) memcpy(high, hi, sizeof high);
    if (low[from] <= high[from]) add_alternative(m, low, high, n, next);
}

static uint32_t compile_class(struct compiler *c, const struct node *x, uint32_t next)
{
    static const uint32_t last_of_length[] = { 0x7F, 0x7FF, 0xFFFF, CODE_POINT_MAX };
    struct class_maker m = { .c = c };
    for (uint32_t i = 0; i < x->n && !c->is_full; i++) {
        uint32_t lo = x->range[i].lo;
        for (int k = 0; k < 4; k++) {
            if (lo > last_of_length[k] || lo > x->range[i].hi) continue;
            uint32_t hi = x->range[i].hi < last_of_length[k] ? x->range[i].hi : last_of_length[k];
            uint8_t low[4] = { 0 }, high[4] = { 0 };
            utf8_put((char *)low, lo);
            utf8_put((char *)high, hi);
            add_byte_range(&m, low, high, 0, k + 1, next);
            lo = hi + 1;
        }
    }
    /* No character at all: a byte from 1 to 0 never comes, and program_check says that the rule never ends. */
    return m.has_entry ? m.entry : add_state(c, STATE_BYTE, 1, 0, next, 0);
}

/* ---- everything else ---------------------------------------------------------------------------------------------------- */

static uint32_t compile(struct compiler *c, const struct node *x, uint32_t next);

static uint64_t copies_of(const struct node *x) { return x->max == REPEAT_FOREVER ? (uint64_t)x->min + 1 : x->max; }

/* States of one copy, roughly; stops counting at `max`. */
static uint32_t weight(const struct node *x, uint32_t max, int depth)
{
    uint32_t sum = 0;
    if (depth > 8) return max;
    switch (x->kind) {
    case NODE_EMPTY: return 0;
    case NODE_TEXT: return x->n;
    case NODE_CLASS: return x->n == 0 ? 1 : x->range[x->n - 1].hi < 0x80 ? x->n : 16 + 4 * x->n;
    case NODE_RULE: return 1;
    case NODE_REPEAT: {
        uint64_t all = copies_of(x) * (1 + weight(x->child[0], max, depth + 1));
        return all < max ? (uint32_t)all : max;
    }
    case NODE_SEQUENCE: case NODE_CHOICE:
        for (uint32_t i = 0; i < x->n && sum < max; i++) sum += 1 + weight(x->child[i], max, depth + 1);
        break;
    }
    return sum < max ? sum : max;
}

/* Surely matches the empty text, as far as can be seen without looking into rules. */
static bool is_nullable(const struct node *x, int depth)
{
    if (depth > NESTING_MAX) return false;
    switch (x->kind) {
    case NODE_EMPTY: return true;
    case NODE_REPEAT: return x->min == 0 || is_nullable(x->child[0], depth + 1);
    case NODE_SEQUENCE: case NODE_CHOICE:
        for (uint32_t i = 0; i < x->n; i++)
            if (is_nullable(x->child[i], depth + 1) == (x->kind == NODE_CHOICE)) return x->kind == NODE_CHOICE;
        return x->kind == NODE_SEQUENCE;
    default: return false;
    }
}

/* One time of what is repeated: itself, or a call of it (`body`). */
static uint32_t compile_copy(struct compiler *c, const struct node *child, bool is_call, uint32_t body, uint32_t next)
{
    return is_call ? add_state(c, STATE_CALL, 0, 0, body, next) : compile(c, child, next);
}

static uint32_t compile_repeat(struct compiler *c, const struct node *x, uint32_t next)
{
    const struct node *child = x->child[0];
    uint64_t copies = copies_of(x);
    /* What may be empty may as well be left out, and then the way out need not lead through all copies. */
    uint32_t min = is_nullable(child, 0) ? 0 : x->min;
    uint32_t each = weight(child, COPIES_MAX, 0), body = 0;
    bool is_call = copies > 2 && each > 1 && copies * each > COPIES_MAX && child->kind != NODE_RULE;
    if (is_call) body = compile(c, child, 0);
    uint32_t at = next;
    if (x->max == REPEAT_FOREVER) {
        uint32_t loop = add_state(c, STATE_SPLIT, 0, 0, next, next);
        uint32_t entry = compile_copy(c, child, is_call, body, loop);
        if (c->is_full) return 0;
        c->p.state[loop].a = entry;
        at = loop;
        if (min) {      /* the last one that must be there is the loop's own */
            at = entry;
            for (uint32_t i = 1; i < min && !c->is_full; i++) at = compile_copy(c, child, is_call, body, at);
        }
        return at;
    }
    /* The way out comes first, so that a walk that is cut short has found it (memo.c). */
    for (uint32_t i = x->max; i > min && !c->is_full; i--) at = add_state(c, STATE_SPLIT, 0, 0, next, compile_copy(c, child, is_call, body, at));
    for (uint32_t i = 0; i < min && !c->is_full; i++) at = compile_copy(c, child, is_call, body, at);
    return at;
}

static uint32_t compile(struct compiler *c, const struct node *x, uint32_t next)
{
    uint32_t at = next;
    if (c->is_full || c->depth >= COMPILE_DEPTH_MAX) { c->is_full = true; return 0; }
    c->depth++;
    switch (x->kind) {
    case NODE_EMPTY: break;
    case NODE_TEXT:
        for (uint32_t i = x->n; i-- > 0 && !c->is_full;) at = add_state(c, STATE_BYTE, (uint8_t)x->text[i], (uint8_t)x->text[i], at, 0);
        break;
    case NODE_CLASS: at = compile_class(c, x, next); break;
    case NODE_SEQUENCE:
        for (uint32_t i = x->n; i-- > 0 && !c->is_full;) at = compile(c, x->child[i], at);
        break;
    case NODE_CHOICE:
        for (uint32_t i = x->n; i-- > 0 && !c->is_full;) {
            uint32_t entry = compile(c, x->child[i], next);
            at = i + 1 == x->n ? entry : add_state(c, STATE_SPLIT, 0, 0, entry, at);
        }
        break;
    case NODE_REPEAT: at = compile_repeat(c, x, next); break;
    /* Where rules begin is known when all are compiled: until then the number of the rule, marked by `lo`. */
    case NODE_RULE: at = add_state(c, STATE_CALL, 1, 0, x->n, next); break;
    }
    c->depth--;
    return at;
}

/* Bytes that no state tells apart are one class. */
static void find_byte_classes(struct program *p)
{
    bool begins[257] = { true };
    for (uint32_t i = 0; i < p->n; i++)
        if (p->state[i].kind == STATE_BYTE && p->state[i].lo <= p->state[i].hi) begins[p->state[i].lo] = begins[p->state[i].hi + 1] = true;
    p->n_classes = 0;
    for (unsigned byte = 0; byte < 256; byte++) {
        if (begins[byte]) {
            p->class_size[p->n_classes] = 0;
            p->first_of[p->n_classes++] = (uint8_t)byte;
        }
        p->class_of[byte] = (uint8_t)(p->n_classes - 1);
        p->class_size[p->n_classes - 1]++;
    }
}

/* Rules that can be reached from the root alone, each when a call of it was met. */
static void compile_rules(struct compiler *c, uint32_t root)
{
    uint32_t *wanted = mem_alloc((c->b->n_rules + 1) * sizeof *wanted), n_wanted = 1;
    bool *is_known = mem_zero(c->b->n_rules + 1, 1);
    wanted[0] = root;
    is_known[root] = true;
    for (uint32_t i = 0; i < n_wanted && !c->is_full; i++) {
        uint32_t from = c->p.n;
        c->start[wanted[i]] = compile(c, c->b->rule[wanted[i]].body, 0);
        for (uint32_t s = from; s < c->p.n; s++) {
            const struct state *x = &c->p.state[s];
            if (x->kind != STATE_CALL || !x->lo || is_known[x->a]) continue;
            is_known[x->a] = true;
            wanted[n_wanted++] = x->a;
        }
    }
    for (uint32_t s = 0; s < c->p.n && !c->is_full; s++) {
        struct state *x = &c->p.state[s];
        if (x->kind == STATE_CALL && x->lo) { x->a = c->start[x->a]; x->lo = 0; }
    }
    c->p.start = c->start[root];
    mem_free(wanted);
    mem_free(is_known);
}

sc_status build_finish(struct grammar **out, struct build *b, uint32_t root, const char *what, sc_error *err)
{
    sc_status status = SC_OK;
    struct compiler c = { .b = b, .start = mem_zero(b->n_rules + 1, sizeof(uint32_t)) };
    *out = NULL;
    add_state(&c, STATE_END, 0, 0, 0, 0);
    if (!b->is_full) compile_rules(&c, root);
    if (b->is_full || c.is_full) {
        status = FAIL(err, SC_E_UNSUPPORTED, "the %s is too large: more than %d states; make repetitions, lists of values or nesting smaller", what, STATES_MAX);
        goto done;
    }
    TRY_DONE(program_check(&c.p, b, c.start, what, err));
    find_byte_classes(&c.p);
    struct grammar *g = mem_zero(1, sizeof *g);
    atomic_init(&g->users, 1);
    g->program = c.p;
    pthread_mutex_init(&g->lock, NULL);
    c.p.state = NULL;
    *out = g;
done:
    mem_free(c.p.state);
    mem_free(c.start);
    return status;
}

struct grammar *grammar_share(struct grammar *g)
{
    atomic_fetch_add(&g->users, 1);
    return g;
}

void grammar_release(struct grammar *g)
{
    if (!g || atomic_fetch_sub(&g->users, 1) > 1) return;
    memo_free_all(g);
    pthread_mutex_destroy(&g->lock);
    mem_free(g->program.state);
    mem_free(g);
}
