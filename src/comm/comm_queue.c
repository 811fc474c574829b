/* comm_queue.c - a thread that sends and receives while the caller computes: MPI makes little progress by itself, so somebody has to
 * stay in it. Jobs run one after the other in the order they were put, which has to be the same on all ranks. */
#include "comm/comm.h"

#include <pthread.h>

enum { MOST_JOBS = 256 };                        /* on their way at once; who puts more waits */

struct comm_queue {
    pthread_t thread; pthread_mutex_t mutex; pthread_cond_t changed;
    struct comm_job job[MOST_JOBS];              /* job number n is in n % MOST_JOBS */
    uint64_t put, done;                          /* numbers of the last ones */
    bool closes;
    sc_status status; sc_error err;              /* of the first that failed */
};

static void *work(void *arg)
{
    struct comm_queue *q = arg;
    pthread_mutex_lock(&q->mutex);
    for (;;) {
        while (q->done == q->put && !q->closes) pthread_cond_wait(&q->changed, &q->mutex);
        if (q->done == q->put) break;
        const struct comm_job job = q->job[(q->done + 1) % MOST_JOBS];
        bool runs = q->status == SC_OK;
        sc_error err = { 0 };
        pthread_mutex_unlock(&q->mutex);
        sc_status status = runs ? job.run(job.user, &job, &err) : SC_OK;
        pthread_mutex_lock(&q->mutex);
        if (status != SC_OK) {
            q->status = status;
            q->err = err;
        }
        q->done++;
        pthread_cond_broadcast(&q->changed);
    }
    pthread_mutex_unlock(&q->mutex);
    return NULL;
}

sc_status comm_queue_open(struct comm_queue **out, sc_error *err)
{
    struct comm_queue *q = *out = mem_zero(1, sizeof *q);
    pthread_mutex_init(&q->mutex, NULL);
    pthread_cond_init(&q->changed, NULL);
    if (pthread_create(&q->thread, NULL, work, q) == 0) return SC_OK;
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->mutex);
    mem_free(q);
    *out = NULL;
    return FAIL(err, SC_E_MEMORY, "the system starts no thread for messages between ranks; lower --threads, or allow more processes (ulimit -u)");
}

void comm_queue_close(struct comm_queue *q)
{
    if (!q) return;
    pthread_mutex_lock(&q->mutex);
    q->closes = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->mutex);
    pthread_join(q->thread, NULL);
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->mutex);
    mem_free(q);
}

uint64_t comm_queue_put(struct comm_queue *q, struct comm_job job)
{
    pthread_mutex_lock(&q->mutex);
    while (q->put - q->done == MOST_JOBS) pthread_cond_wait(&q->changed, &q->mutex);
    uint64_t number = ++q->put;
    q->job[number % MOST_JOBS] = job;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->mutex);
    return number;
}

sc_status comm_queue_wait(struct comm_queue *q, uint64_t number, sc_error *err)
{
    pthread_mutex_lock(&q->mutex);
    while (q->done < number) pthread_cond_wait(&q->changed, &q->mutex);
    sc_status status = q->status;
    if (status != SC_OK && err) *err = q->err;
    pthread_mutex_unlock(&q->mutex);
    return status;
}
