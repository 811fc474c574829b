/* matcher.c - one text that is being written, and where in the grammar it is. Every question takes the grammar's lock; what
 * it finds out stays known to all matchers of the grammar. */
#include "grammar_internal.h"

#include <string.h>

struct matcher {
    struct grammar *g; struct memo *memo; const struct token_tree *tree;
    struct root root;
    bool may_end;               /* of root.at, which others may replace by an equal one at any time */
    uint64_t mask[];
};

/* With the lock, until the matching `leave`. */
static void enter(const struct matcher *m)
{
    pthread_mutex_lock(&m->g->lock);
    memo_trim(m->memo);
}

static void leave(const struct matcher *m) { pthread_mutex_unlock(&m->g->lock); }

static struct matcher *new_matcher(struct grammar *g, const struct token_tree *t)
{
    struct matcher *m = mem_zero(1, sizeof *m + (t->words + 1) * sizeof *m->mask);
    m->g = g;
    m->tree = t;
    return m;
}

struct matcher *matcher_open(struct grammar *g, const struct token_tree *t)
{
    struct matcher *m = new_matcher(g, t);
    pthread_mutex_lock(&g->lock);
    m->memo = memo_for(g, t);
    memo_keep(m->memo, &m->root, memo_start(m->memo));
    m->may_end = m->root.at->may_end;
    leave(m);
    return m;
}

struct matcher *matcher_copy(const struct matcher *from)
{
    struct matcher *m = new_matcher(from->g, from->tree);
    m->memo = from->memo;
    enter(m);
    memo_keep(m->memo, &m->root, from->root.at);
    m->may_end = from->may_end;
    leave(m);
    return m;
}

void matcher_close(struct matcher *m)
{
    if (!m) return;
    pthread_mutex_lock(&m->g->lock);
    memo_drop(m->memo, &m->root);
    leave(m);
    mem_free(m);
}

const uint64_t *matcher_mask(struct matcher *m, size_t *words)
{
    enter(m);
    memcpy(m->mask, memo_mask(m->memo, &m->root), m->tree->words * sizeof *m->mask);
    leave(m);
    *words = m->tree->words;
    return m->mask;
}

/* Where the token leads; &no_way for one that may not come, has no bytes or is special. */
static struct configuration *behind(struct matcher *m, int32_t id)
{
    size_t len = 0;
    const char *bytes = id >= 0 && (size_t)id < m->tree->vocab && !tokenizer_is_special(m->tree->tokenizer, id) ? tokenizer_bytes(m->tree->tokenizer, id, &len) : NULL;
    struct configuration *c = m->root.at;
    if (!bytes || len == 0 || len > DEPTH_MAX) return &no_way;
    for (size_t i = 0; i < len && c != &no_way; i++) c = memo_step(m->memo, c, (uint8_t)bytes[i]);
    return c;
}

bool matcher_allows(struct matcher *m, int32_t id)
{
    enter(m);
    bool ok = behind(m, id) != &no_way;
    leave(m);
    return ok;
}

bool matcher_accept(struct matcher *m, int32_t id)
{
    enter(m);
    struct configuration *c = behind(m, id);
    if (c != &no_way) {
        m->root.at = c;
        m->may_end = c->may_end;
    }
    leave(m);
    return c != &no_way;
}

bool matcher_may_end(const struct matcher *m) { return m->may_end; }

bool matcher_must_end(struct matcher *m)
{
    enter(m);
    bool must = m->may_end && m->root.at->n == 0;
    leave(m);
    return must;
}

/* The only byte that may follow c, and where it leads. */
static struct configuration *only_byte(struct matcher *m, struct configuration *c, uint8_t *byte)
{
    const struct program *p = &m->g->program;
    struct configuration *only = &no_way;
    if (c->may_end) return &no_way;
    for (uint32_t k = 0; k < p->n_classes; k++) {
        struct configuration *next = memo_step(m->memo, c, p->first_of[k]);
        if (next == &no_way) continue;
        if (only != &no_way || p->class_size[k] > 1) return &no_way;
        only = next;
        *byte = p->first_of[k];
    }
    return only;
}

size_t matcher_forced(struct matcher *m, char *out, size_t cap)
{
    size_t n = 0;
    uint8_t byte = 0;
    enter(m);
    for (struct configuration *c = m->root.at; n < cap && (c = only_byte(m, c, &byte)) != &no_way;) out[n++] = (char)byte;
    leave(m);
    return n;
}
