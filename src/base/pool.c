/* pool.c - the thread pool. Workers claim indices from one counter; between jobs they spin shortly (a forward pass
 * hands out hundreds of jobs a second) and then sleep on a condition variable. */
#include "base/base.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

enum { SPIN = 4000, MAX_THREADS = 1024 };

struct pool {
    int threads;
    pthread_t *thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    atomic_uint generation;         /* rises with every job                  */
    atomic_int sleeping, running;   /* workers asleep; workers not yet done  */
    atomic_size_t next;
    atomic_bool is_closing;
    size_t n;
    void (*fn)(void *, size_t, int);
    void *arg;
    pthread_mutex_t one_job;        /* callers from several threads queue here */
};
struct worker { struct pool *pool; int index; };

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void work(struct pool *p, int worker)
{
    for (size_t i; (i = atomic_fetch_add(&p->next, 1)) < p->n; ) p->fn(p->arg, i, worker);
}

/* Returns when the generation differs from `seen`. */
static void await_job(struct pool *p, unsigned seen)
{
    for (int i = 0; i < SPIN; i++) {
        if (atomic_load_explicit(&p->generation, memory_order_acquire) != seen) return;
        relax();
    }
    pthread_mutex_lock(&p->mutex);
    atomic_fetch_add(&p->sleeping, 1);
    while (atomic_load(&p->generation) == seen) pthread_cond_wait(&p->wake, &p->mutex);
    atomic_fetch_sub(&p->sleeping, 1);
    pthread_mutex_unlock(&p->mutex);
}

static void *worker_main(void *arg)
{
    struct worker w = *(struct worker *)arg;
    mem_free(arg);
    unsigned seen = 0;
    for (;;) {
        await_job(w.pool, seen);
        seen = atomic_load(&w.pool->generation);
        if (atomic_load(&w.pool->is_closing)) return NULL;
        work(w.pool, w.index);
        atomic_fetch_sub_explicit(&w.pool->running, 1, memory_order_release);
    }
}

static void announce(struct pool *p)
{
    atomic_fetch_add(&p->generation, 1);
    if (atomic_load(&p->sleeping) == 0) return;
    pthread_mutex_lock(&p->mutex);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->mutex);
}

sc_status pool_open(struct pool **out, int threads, sc_error *err)
{
    *out = NULL;
    if (threads < 1 || threads > MAX_THREADS) return FAIL(err, SC_E_ARGUMENT, "threads is %d, expected 1 to %d", threads, MAX_THREADS);
    struct pool *p = mem_zero(1, sizeof *p);
    pthread_mutex_init(&p->mutex, NULL);
    pthread_mutex_init(&p->one_job, NULL);
    pthread_cond_init(&p->wake, NULL);
    p->thread = mem_zero((size_t)threads, sizeof *p->thread);
    p->threads = 1;
    for (int i = 1; i < threads; i++) {
        struct worker *w = mem_alloc(sizeof *w);
        *w = (struct worker){ p, i };
        if (pthread_create(&p->thread[i], NULL, worker_main, w) != 0) {
            mem_free(w);
            pool_close(p);
            return FAIL(err, SC_E_MEMORY, "the system started %d of %d threads; ask for fewer with --threads", i, threads);
        }
        p->threads = i + 1;
    }
    *out = p;
    return SC_OK;
}

void pool_close(struct pool *p)
{
    if (!p) return;
    atomic_store(&p->is_closing, true);
    announce(p);
    for (int i = 1; i < p->threads; i++) pthread_join(p->thread[i], NULL);
    pthread_mutex_destroy(&p->mutex);
    pthread_mutex_destroy(&p->one_job);
    pthread_cond_destroy(&p->wake);
    mem_free(p->thread);
    mem_free(p);
}

int pool_threads(const struct pool *p) { return p->threads; }

void pool_run(struct pool *p, size_t n, void (*fn)(void *arg, size_t i, int worker), void *arg)
{
    if (n <= 1 || p->threads == 1) {
        for (size_t i = 0; i < n; i++) fn(arg, i, 0);
        return;
    }
    pthread_mutex_lock(&p->one_job);
    p->n = n;
    p->fn = fn;
    p->arg = arg;
    atomic_store(&p->next, 0);
    atomic_store(&p->running, p->threads - 1);
    announce(p);
    work(p, 0);
    for (int spins = 0; atomic_load_explicit(&p->running, memory_order_acquire) > 0; spins++) {
        if (spins < SPIN) relax(); else sched_yield();   /* more threads than cores: let the last worker run */
    }
    pthread_mutex_unlock(&p->one_job);
}
