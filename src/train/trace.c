/* trace.c - what each rank did when, in the Trace Event Format (Google's document of that name), which ui.perfetto.dev and Chrome
 * open: a process for each rank, in it a lane for the work, one for whole leaves and one for messages. Clocks of the ranks are
 * set to each other at a barrier. */
#include "train/train_internal.h"

#include <pthread.h>
#include <string.h>

enum { MOST_EVENTS = 200000 };
struct event { const char *what; int32_t group; uint8_t lane; double begin, end; };
struct trace { pthread_mutex_t mutex; struct event *event; size_t n, cap, left_out; };

struct trace *trace_open(void)
{
    struct trace *t = mem_zero(1, sizeof *t);
    pthread_mutex_init(&t->mutex, NULL);
    return t;
}

void trace_close(struct trace *t)
{
    if (!t) return;
    pthread_mutex_destroy(&t->mutex);
    mem_free(t->event);
    mem_free(t);
}

void trace_add(struct trace *t, enum trace_lane lane, const char *what, int64_t group, double begin, double end)
{
    if (!t) return;
    pthread_mutex_lock(&t->mutex);
    if (t->n == MOST_EVENTS) t->left_out++;
    else {
        if (t->n == t->cap) {
            t->cap = 2 * t->cap + 1024;
            t->event = mem_grow(t->event, t->cap * sizeof *t->event);
        }
        t->event[t->n++] = (struct event){ what, (int32_t)group, (uint8_t)lane, begin, end };
    }
    pthread_mutex_unlock(&t->mutex);
}

static void put_name(struct buf *b, const char *kind, int rank, int lane, const char *name)
{
    buf_printf(b, "{\"ph\":\"M\",\"name\":\"%s\",\"pid\":%d,\"tid\":%d,\"args\":{\"name\":\"%s\"}},\n", kind, rank, lane, name);
}

static void describe(struct buf *b, const struct trace *t, const struct comm *c, double zero)
{
    static const char *const lanes[] = { "work", "leaves", "messages" };
    char name[48];
    snprintf(name, sizeof name, "rank %d", c->rank);
    put_name(b, "process_name", c->rank, 0, name);
    for (int i = 0; i < 3; i++) put_name(b, "thread_name", c->rank, i, lanes[i]);
    for (size_t i = 0; i < t->n; i++) {
        const struct event *e = &t->event[i];
        buf_printf(b, "{\"ph\":\"X\",\"name\":\"%s\",\"pid\":%d,\"tid\":%d,\"ts\":%.1f,\"dur\":%.1f", e->what, c->rank, (int)e->lane, (e->begin - zero) * 1e6, (e->end - e->begin) * 1e6);
        if (e->group == 0) buf_puts(b, ",\"args\":{\"of\":\"embeddings, head, small tensors\"}");
        else if (e->group > 0) buf_printf(b, ",\"args\":{\"of\":\"block %d\"}", e->group - 1);
        buf_puts(b, "},\n");
    }
    if (t->left_out) buf_printf(b, "{\"ph\":\"i\",\"name\":\"%zu more events were left out\",\"pid\":%d,\"tid\":0,\"ts\":%.1f,\"s\":\"p\"},\n", t->left_out, c->rank, (t->event[t->n - 1].end - zero) * 1e6);
}

/* A part of all ranks' texts to rank 0, one after the other. */
static sc_status collect(struct buf *all, struct comm *c, const struct buf *own, sc_error *err)
{
    enum { TAG = 3 };
    struct comm_pending p;
    uint64_t n = own->len;
    for (int r = 1; r < c->size; r++) {
        if (c->rank == r) {
            TRY(comm_send(c, &p, 0, TAG, &n, sizeof n, err));
            TRY(comm_wait(c, &p, 1, err));
            TRY(comm_send(c, &p, 0, TAG, own->data, own->len, err));
            TRY(comm_wait(c, &p, 1, err));
        }
        if (c->rank) continue;
        TRY(comm_receive(c, &p, r, TAG, &n, sizeof n, err));
        TRY(comm_wait(c, &p, 1, err));
        char *text = mem_alloc(n + 1);
        sc_status status = comm_receive(c, &p, r, TAG, text, n, err);
        if (status == SC_OK) status = comm_wait(c, &p, 1, err);
        if (status == SC_OK) buf_append(all, text, n);
        mem_free(text);
        TRY(status);
    }
    return SC_OK;
}

sc_status trace_write(struct trace *t, struct comm *c, const char *path, sc_error *err)
{
    struct buf own, all;
    if (!t) return SC_OK;
    buf_init(&own, 0);
    buf_init(&all, 0);
    sc_status status = comm_barrier(c, err);
    double now = clock_seconds(), first = now;
    for (size_t i = 0; i < t->n; i++) first = t->event[i].begin < first ? t->event[i].begin : first;
    double *span = mem_zero((size_t)c->size, sizeof *span), most = 0;         /* from the first event to the barrier */
    span[c->rank] = now - first;
    if (status == SC_OK) status = comm_gather(c, span, sizeof *span, err);
    for (int r = 0; r < c->size; r++) most = span[r] > most ? span[r] : most;
    mem_free(span);
    describe(&own, t, c, now - most);
    buf_puts(&all, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n");
    if (c->rank == 0) buf_append(&all, own.data, own.len);
    if (status == SC_OK) status = collect(&all, c, &own, err);
    buf_puts(&all, "{\"ph\":\"M\",\"name\":\"process_sort_index\",\"pid\":0,\"args\":{\"sort_index\":0}}]}\n");
    if (status == SC_OK) status = comm_all_ok(c, c->rank ? SC_OK : file_write(path, all.data, all.len, err), err);
    buf_release(&own);
    buf_release(&all);
    return status;
}
