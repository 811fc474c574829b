/* errand.c - what takes time (reading requests, the disk) is done by threads, never by the loop. */
#include "serve/server.h"

struct errand { struct errand *next; void (*work)(void *arg), (*done)(void *arg); void *arg; };

void errands_open(struct errands *e, size_t most)
{
    *e = (struct errands){ .most = most, .is_open = true };
    e->end = &e->first;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->wake, NULL);
}

static void *run(void *arg)
{
    struct errands *e = arg;
    pthread_mutex_lock(&e->lock);
    for (;;) {
        while (!e->stops && !e->first) pthread_cond_wait(&e->wake, &e->lock);
        struct errand *one = e->first;
        if (!one) break;
        e->first = one->next;
        if (!e->first) e->end = &e->first;
        e->n--;
        pthread_mutex_unlock(&e->lock);
        one->work(one->arg);
        http_post(e->http, one->done, one->arg);
        mem_free(one);
        pthread_mutex_lock(&e->lock);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

bool errands_start(struct errands *e, struct http *http, size_t threads)
{
    e->http = http;
    while (e->n_threads < threads && e->n_threads < ERRAND_THREADS && pthread_create(&e->thread[e->n_threads], NULL, run, e) == 0) e->n_threads++;
    return e->n_threads > 0;
}

void errands_must(struct errands *e, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
    if (e->stops) {
        work(arg);
        done(arg);
        return;
    }
    struct errand *one = mem_alloc(sizeof *one);
    *one = (struct errand){ NULL, work, done, arg };
    pthread_mutex_lock(&e->lock);
    *e->end = one;
    e->end = &one->next;
    e->n++;
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->lock);
}

bool errands_add(struct errands *e, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
    pthread_mutex_lock(&e->lock);
    bool fits = e->n < e->most;
    pthread_mutex_unlock(&e->lock);
    if (fits) errands_must(e, work, done, arg);
    return fits;
}

void errands_stop(struct errands *e)
{
    if (!e->is_open) return;
    pthread_mutex_lock(&e->lock);
    e->stops = true;
    pthread_cond_broadcast(&e->wake);
    pthread_mutex_unlock(&e->lock);
    for (size_t i = 0; i < e->n_threads; i++) pthread_join(e->thread[i], NULL);
    e->n_threads = 0;
}

void errands_release(struct errands *e)
{
    if (!e->is_open) return;
    errands_stop(e);
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->wake);
    e->is_open = false;
}
