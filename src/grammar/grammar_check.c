/* grammar_check.c - what a program must keep to before it runs: every rule ends some day, and none comes to itself again
 * without a byte in between (the stack would grow for ever). Calls of rules that are always empty are taken out, and so are
 * alternatives that never end, so that every place in a text leads on. All in time linear in the states. */
#include "grammar_internal.h"

#include <string.h>

/* For each state, the states whose answer depends on it. */
struct users { uint32_t *first, *user; };

static void users_make(struct users *u, const struct program *p)
{
    u->first = mem_zero(p->n + 2, sizeof *u->first);
    for (int fill = 0; fill < 2; fill++) {
        for (uint32_t s = 1; s < p->n; s++) {
            const struct state *x = &p->state[s];
            uint32_t on[2] = { x->a, x->b };
            for (int k = 0; k < (x->kind == STATE_BYTE ? 1 : 2); k++) {
                if (fill) u->user[u->first[on[k]]++] = s;
                else u->first[on[k] + 1]++;
            }
        }
        if (fill) break;
        for (uint32_t s = 0; s < p->n; s++) u->first[s + 1] += u->first[s];
        u->user = mem_alloc((u->first[p->n] + 1) * sizeof *u->user);
    }
    memmove(u->first + 1, u->first, p->n * sizeof *u->first);
    u->first[0] = 0;
}

static void users_free(struct users *u)
{
    mem_free(u->first);
    mem_free(u->user);
}

/* ENDS: comes to the end by some text. EMPTY: by the empty one. READS: can take a byte. */
enum question { ENDS, EMPTY, READS };

static bool answer(const struct program *p, uint32_t s, enum question q, const bool *yes)
{
    const struct state *x = &p->state[s];
    switch (x->kind) {
    case STATE_END: return q != READS;
    case STATE_BYTE: return q == READS ? true : q == ENDS && x->lo <= x->hi && yes[x->a];
    case STATE_SPLIT: return yes[x->a] || yes[x->b];
    default: return q == READS ? yes[x->a] || yes[x->b] : yes[x->a] && yes[x->b];
    }
}

/* The least solution: begins with what is clear, and goes to the users of what has become clear. */
static bool *solve(const struct program *p, const struct users *u, enum question q)
{
    bool *yes = mem_zero(p->n, 1);
    uint32_t *todo = mem_alloc((p->n + 1) * sizeof *todo), n = 0;
    for (uint32_t s = 0; s < p->n; s++)
        if (p->state[s].kind <= STATE_BYTE && answer(p, s, q, yes)) { yes[s] = true; todo[n++] = s; }
    while (n) {
        uint32_t s = todo[--n];
        for (uint32_t i = u->first[s]; i < u->first[s + 1]; i++) {
            uint32_t user = u->user[i];
            if (yes[user] || !answer(p, user, q, yes)) continue;
            yes[user] = true;
            todo[n++] = user;
        }
    }
    mem_free(todo);
    return yes;
}

/* Takes out what never ends. */
static void prune(struct program *p, const bool *ends)
{
    for (uint32_t s = 1; s < p->n; s++) {
        struct state *x = &p->state[s];
        if (x->kind == STATE_BYTE && !ends[x->a]) { x->lo = 1; x->hi = 0; }
        if (x->kind != STATE_SPLIT) continue;
        if (!ends[x->a]) x->a = x->b;
        if (!ends[x->b]) x->b = x->a;
    }
}

/* ---- left recursion: strongly connected parts by Tarjan's algorithm, with a stack of its own ------------------------------ */

struct components { const struct program *p; const bool *empty; uint32_t *order, *low, *of, *open, *path; uint8_t *step; uint32_t n_open, n_order, n_found; };

/* Where state s leads without a byte, edge k; false: no such edge. */
static bool edge(const struct components *t, uint32_t s, unsigned k, uint32_t *to)
{
    const struct state *x = &t->p->state[s];
    if (x->kind < STATE_SPLIT || k > 1) return false;
    if (x->kind == STATE_CALL && k == 1 && !t->empty[x->a]) return false;
    *to = k ? x->b : x->a;
    return true;
}

static void close_component(struct components *t, uint32_t s)
{
    uint32_t member;
    t->n_found++;
    do {
        member = t->open[--t->n_open];
        t->of[member] = t->n_found;
    } while (member != s);
}

static void visit(struct components *t, uint32_t root)
{
    uint32_t depth = 0;
    t->path[depth++] = root;
    while (depth) {
        uint32_t s = t->path[depth - 1], to;
        if (!t->order[s]) {
            t->order[s] = t->low[s] = ++t->n_order;
            t->open[t->n_open++] = s;
        }
        if (edge(t, s, t->step[s], &to)) {
            t->step[s]++;
            if (!t->order[to]) t->path[depth++] = to;
            else if (!t->of[to] && t->order[to] < t->low[s]) t->low[s] = t->order[to];
            continue;
        }
        if (t->low[s] == t->order[s]) close_component(t, s);
        depth--;
        if (depth && t->low[s] < t->low[t->path[depth - 1]]) t->low[t->path[depth - 1]] = t->low[s];
    }
}

static sc_status refuse_left_recursion(const struct components *t, const struct build *b, const uint32_t *start, const char *what, sc_error *err)
{
    for (uint32_t s = 1; s < t->p->n; s++) {
        const struct state *x = &t->p->state[s];
        if (x->kind != STATE_CALL || t->of[x->a] != t->of[s]) continue;
        const char *name = "";
        size_t len = 0;
        char quoted[80];
        for (size_t r = 0; r < b->n_rules && !len; r++)
            if (start[r] && t->of[start[r]] == t->of[s]) { name = b->rule[r].name; len = b->rule[r].name_len; }
        return FAIL(err, SC_E_UNSUPPORTED, "%s: \"%s\" leads to itself before any character (left recursion), so its beginning is never known; put the repeated part behind a character, or use * or +",
                    what, error_quote(quoted, sizeof quoted, name, len));
    }
    return SC_OK;
}

static sc_status check_left_recursion(const struct program *p, const bool *empty, const struct build *b, const uint32_t *start, const char *what, sc_error *err)
{
    uint32_t *memory = mem_zero(5 * (size_t)p->n, sizeof *memory);
    struct components t = { .p = p, .empty = empty, .order = memory, .low = memory + p->n, .of = memory + 2 * (size_t)p->n, .open = memory + 3 * (size_t)p->n,
                            .path = memory + 4 * (size_t)p->n, .step = mem_zero(p->n, 1) };
    for (uint32_t s = 0; s < p->n; s++)
        if (!t.order[s]) visit(&t, s);
    sc_status status = refuse_left_recursion(&t, b, start, what, err);
    mem_free(memory);
    mem_free(t.step);
    return status;
}

sc_status program_check(struct program *p, const struct build *b, const uint32_t *start, const char *what, sc_error *err)
{
    sc_status status = SC_OK;
    struct users u = { 0 };
    users_make(&u, p);
    bool *ends = solve(p, &u, ENDS), *reads = solve(p, &u, READS), *empty = NULL;
    for (size_t r = 0; r < b->n_rules && status == SC_OK; r++) {
        char quoted[80];
        if (start[r] && !ends[start[r]])
            status = FAIL(err, SC_E_UNSUPPORTED, "%s: \"%s\" can never be finished: every way through it leads on for ever, or to a choice of nothing; add an alternative that ends", what,
                          error_quote(quoted, sizeof quoted, b->rule[r].name, b->rule[r].name_len));
    }
    if (status == SC_OK) {
        prune(p, ends);
        for (uint32_t s = 1; s < p->n; s++) {
            struct state *x = &p->state[s];
            if (x->kind == STATE_CALL && ends[x->a] && !reads[x->a]) { x->kind = STATE_SPLIT; x->a = x->b; }
        }
        users_free(&u);
        users_make(&u, p);
        empty = solve(p, &u, EMPTY);
        status = check_left_recursion(p, empty, b, start, what, err);
    }
    users_free(&u);
    mem_free(ends);
    mem_free(reads);
    mem_free(empty);
    return status;
}
