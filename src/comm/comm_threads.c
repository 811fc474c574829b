/* comm_threads.c - ranks as threads of one process, to test what runs on ranks. A message is a note in a list: whom it is for, and
 * where its bytes are; who receives copies them and strikes it out. */
#include "comm/comm.h"

#include <pthread.h>
#include <string.h>

struct note { const struct comm_pending *pending; int from, to; bool is_taken; struct note *next; };
struct world {
    int size, waiting, round;               /* ranks in the present barrier, and its number */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct note *first, **last;             /* sends that nobody has received yet, in their order */
    struct note *taken;                     /* those whose sender does not know yet */
    int broken;                             /* a rank that failed, counted from 1; 0: none */
    void **shared; size_t n_shared;         /* memory of thread_share */
};
enum { TAG_GATHER = COMM_TAGS + 1 };

static sc_status broken(const struct world *w, sc_error *err) { return FAIL(err, SC_E_PEER, "rank %d has failed, so the job cannot go on", w->broken - 1); }

static sc_status thread_send(struct comm *c, struct comm_pending *p, sc_error *err)
{
    struct world *w = c->state;
    struct note *n = mem_zero(1, sizeof *n);
    (void)err;
    *n = (struct note){ .pending = p, .from = c->rank, .to = p->peer };
    p->handle = (uint64_t)(uintptr_t)n;
    pthread_mutex_lock(&w->mutex);
    *w->last = n;
    w->last = &n->next;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    return SC_OK;
}

static sc_status thread_receive(struct comm *c, struct comm_pending *p, sc_error *err) { (void)c; (void)p; (void)err; return SC_OK; }

/* The first note for this message, taken out of the list; NULL: none yet. */
static struct note *take_note(struct world *w, int rank, const struct comm_pending *p)
{
    for (struct note **at = &w->first; *at; at = &(*at)->next) {
        struct note *n = *at;
        if (n->to != rank || n->from != p->peer || n->pending->tag != p->tag) continue;
        *at = n->next;
        if (!n->next) w->last = at;
        n->next = w->taken;
        n->is_taken = true;
        return w->taken = n;
    }
    return NULL;
}

static void forget_note(struct world *w, struct note *n)
{
    struct note **at = &w->taken;
    while (*at != n) at = &(*at)->next;
    *at = n->next;
    mem_free(n);
}

static void free_notes(struct note *n)
{
    for (struct note *next; n; n = next) {
        next = n->next;
        mem_free(n);
    }
}

/* With the lock held: is a message done, and if not, can it be now? */
static sc_status advance(struct comm *c, struct comm_pending *p, sc_error *err)
{
    struct world *w = c->state;
    if (w->broken) return broken(w, err);            /* what others sent may be gone */
    struct note *n = p->is_send ? (struct note *)(uintptr_t)p->handle : take_note(w, c->rank, p);
    if (p->is_send ? !n->is_taken : !n) return SC_OK;
    p->is_done = true;
    if (p->is_send) { forget_note(w, n); return SC_OK; }
    pthread_cond_broadcast(&w->changed);
    if (n->pending->bytes == p->bytes) {
        if (p->bytes) memcpy(p->data, n->pending->data, p->bytes);
        return SC_OK;
    }
    w->broken = c->rank + 1;
    return FAIL(err, SC_E_FORMAT, "rank %d sent %zu bytes where rank %d expected %zu; the ranks do not run the same job", p->peer, n->pending->bytes, c->rank, p->bytes);
}

static sc_status thread_test(struct comm *c, struct comm_pending *p, sc_error *err)
{
    struct world *w = c->state;
    pthread_mutex_lock(&w->mutex);
    sc_status status = advance(c, p, err);
    pthread_mutex_unlock(&w->mutex);
    return status;
}

static sc_status thread_wait(struct comm *c, struct comm_pending *p, sc_error *err)
{
    struct world *w = c->state;
    sc_status status;
    pthread_mutex_lock(&w->mutex);
    while ((status = advance(c, p, err)) == SC_OK && !p->is_done) pthread_cond_wait(&w->changed, &w->mutex);
    pthread_mutex_unlock(&w->mutex);
    return status;
}

/* Everybody sends its part to everybody. */
static sc_status thread_gather(struct comm *c, void *data, size_t bytes, sc_error *err)
{
    struct comm_pending *p = mem_zero(2 * (size_t)c->size, sizeof *p);
    char *parts = data;
    size_t n = 0;
    sc_status status = SC_OK;
    for (int r = 0; r < c->size && status == SC_OK; r++)
        if (r != c->rank) status = comm_send(c, &p[n++], r, TAG_GATHER, parts + (size_t)c->rank * bytes, bytes, err);
    for (int r = 0; r < c->size && status == SC_OK; r++)
        if (r != c->rank) status = comm_receive(c, &p[n++], r, TAG_GATHER, parts + (size_t)r * bytes, bytes, err);
    for (size_t i = n; i-- > 0 && status == SC_OK;) status = comm_wait(c, &p[i], 1, err);     /* receive before waiting for one's own */
    mem_free(p);
    return status;
}

static sc_status thread_barrier(struct comm *c, sc_error *err)
{
    struct world *w = c->state;
    sc_status status = SC_OK;
    pthread_mutex_lock(&w->mutex);
    int round = w->round;
    if (++w->waiting == w->size) {
        w->waiting = 0;
        w->round++;
        pthread_cond_broadcast(&w->changed);
    }
    while (w->round == round && status == SC_OK) {
        if (w->broken) status = broken(w, err);
        else pthread_cond_wait(&w->changed, &w->mutex);
    }
    pthread_mutex_unlock(&w->mutex);
    return status;
}

/* Rank 0 takes it, between two barriers. */
static sc_status thread_share(struct comm *c, void **out, size_t bytes, sc_error *err)
{
    struct world *w = c->state;
    TRY(thread_barrier(c, err));
    if (c->rank == 0) {
        w->shared = mem_grow(w->shared, (w->n_shared + 1) * sizeof *w->shared);
        w->shared[w->n_shared++] = mem_zero(bytes, 1);
    }
    TRY(thread_barrier(c, err));
    *out = w->shared[w->n_shared - 1];
    return thread_barrier(c, err);
}

static void thread_abort(struct comm *c)
{
    struct world *w = c->state;
    pthread_mutex_lock(&w->mutex);
    if (!w->broken) w->broken = c->rank + 1;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}

static void thread_close(struct comm *c) { (void)c; }

static const struct comm_ops thread_ops = { "threads", thread_send, thread_receive, thread_test, thread_wait, thread_gather, thread_barrier, thread_share, thread_abort, thread_close };

struct rank { struct comm comm; sc_status (*fn)(struct comm *c, void *arg, sc_error *err); void *arg; sc_status status; sc_error err; pthread_t thread; };

static void *run_rank(void *arg)
{
    struct rank *r = arg;
    r->status = r->fn(&r->comm, r->arg, &r->err);
    if (r->status != SC_OK) thread_abort(&r->comm);
    return NULL;
}

sc_status comm_run_threads(int size, sc_status (*fn)(struct comm *c, void *arg, sc_error *err), void *arg, sc_error *err)
{
    struct world w = { .size = size };
    struct rank *rank = mem_zero((size_t)size, sizeof *rank);
    int started = 0;
    sc_status status = SC_OK;
    w.last = &w.first;
    pthread_mutex_init(&w.mutex, NULL);
    pthread_cond_init(&w.changed, NULL);
    for (; started < size && status == SC_OK; started++) {
        rank[started] = (struct rank){ .comm = { &thread_ops, &w, started, size, started, size, false }, .fn = fn, .arg = arg };
        if (pthread_create(&rank[started].thread, NULL, run_rank, &rank[started]) == 0) continue;
        status = FAIL(err, SC_E_MEMORY, "the system started %d of %d threads", started, size);
        thread_abort(&rank[started].comm);
        break;
    }
    for (int i = 0; i < started; i++) pthread_join(rank[i].thread, NULL);
    if (status == SC_OK && w.broken) {
        status = rank[w.broken - 1].status;
        if (err) *err = rank[w.broken - 1].err;
    }
    for (size_t i = 0; i < w.n_shared; i++) mem_free(w.shared[i]);
    mem_free(w.shared);
    free_notes(w.first);
    free_notes(w.taken);
    pthread_cond_destroy(&w.changed);
    pthread_mutex_destroy(&w.mutex);
    mem_free(rank);
    return status;
}
