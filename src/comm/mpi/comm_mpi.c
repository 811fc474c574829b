/* comm_mpi.c - the transport of MPI: compiled once with the headers of each MPI into a module of its own, starchat-openmpi.so and
 * starchat-mpich.so. Calls of MPI 3.1 alone (MPI: A Message-Passing Interface Standard, version 3.1). */
#include "comm/comm.h"

#include <mpi.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static comm_error_set *set_message;              /* the program's error_set, which FAIL calls by name */
#define error_set set_message

_Static_assert(sizeof(MPI_Request) <= sizeof(uint64_t), "a request fits into a pending message");

static sc_status check(int code, const char *what, sc_error *err)
{
    char text[MPI_MAX_ERROR_STRING + 1] = "";
    int n = 0;
    if (code == MPI_SUCCESS) return SC_OK;
    MPI_Error_string(code, text, &n);
    text[n] = 0;
    return FAIL(err, SC_E_PEER, "MPI could not %s: %s", what, text);
}

static MPI_Request request_of(const struct comm_pending *p)
{
    MPI_Request r;
    memcpy(&r, &p->handle, sizeof r);
    return r;
}

static sc_status mpi_send(struct comm *c, struct comm_pending *p, sc_error *err)
{
    MPI_Request r = MPI_REQUEST_NULL;
    (void)c;
    TRY(check(MPI_Isend(p->data, (int)p->bytes, MPI_BYTE, p->peer, p->tag, MPI_COMM_WORLD, &r), "begin to send", err));
    memcpy(&p->handle, &r, sizeof r);
    return SC_OK;
}

static sc_status mpi_receive(struct comm *c, struct comm_pending *p, sc_error *err)
{
    MPI_Request r = MPI_REQUEST_NULL;
    (void)c;
    TRY(check(MPI_Irecv(p->data, (int)p->bytes, MPI_BYTE, p->peer, p->tag, MPI_COMM_WORLD, &r), "begin to receive", err));
    memcpy(&p->handle, &r, sizeof r);
    return SC_OK;
}

/* A shorter message is no error to MPI; a longer one is. */
static sc_status finish(const struct comm *c, struct comm_pending *p, MPI_Request r, int code, const MPI_Status *s, sc_error *err)
{
    int n = 0, class = MPI_SUCCESS;
    memcpy(&p->handle, &r, sizeof r);
    if (code != MPI_SUCCESS) MPI_Error_class(code, &class);
    if (class != MPI_ERR_TRUNCATE) TRY(check(code, p->is_send ? "send" : "receive", err));
    p->is_done = true;
    if (p->is_send) return SC_OK;
    MPI_Get_count(s, MPI_BYTE, &n);
    if (class != MPI_ERR_TRUNCATE && (size_t)n == p->bytes) return SC_OK;
    return FAIL(err, SC_E_FORMAT, "rank %d sent %s than the %zu bytes that rank %d expected; the ranks do not run the same job", p->peer, class == MPI_ERR_TRUNCATE ? "more" : "less", p->bytes, c->rank);
}

static sc_status mpi_test(struct comm *c, struct comm_pending *p, sc_error *err)
{
    MPI_Request r = request_of(p);
    MPI_Status s;
    int is_done = 0, code = MPI_Test(&r, &is_done, &s);
    return is_done || code != MPI_SUCCESS ? finish(c, p, r, code, &s, err) : SC_OK;
}

/* MPI's own waiting turns in a loop, on a core that others compute with. Here it does for the time that a message between
 * two processes of one machine takes, and then sleeps between looks, longer and longer up to a fifth of a millisecond. */
struct patience { int looks; };
static void be_patient(struct patience *p)
{
    struct timespec pause = { 0, 10000 };
    if (++p->looks < 200) return;
    if (p->looks > 400) pause.tv_nsec = 50000;
    if (p->looks > 2000) pause.tv_nsec = 200000;
    nanosleep(&pause, NULL);
}

static sc_status mpi_wait(struct comm *c, struct comm_pending *p, sc_error *err)
{
    struct patience patience = { 0 };
    for (; !p->is_done; be_patient(&patience)) TRY(mpi_test(c, p, err));
    return SC_OK;
}

static sc_status wait_for(MPI_Request *r, const char *what, sc_error *err)
{
    struct patience patience = { 0 };
    for (int is_done = 0; !is_done; be_patient(&patience)) TRY(check(MPI_Test(r, &is_done, MPI_STATUS_IGNORE), what, err));
    return SC_OK;
}

static sc_status mpi_gather(struct comm *c, void *data, size_t bytes, sc_error *err)
{
    MPI_Request r;
    (void)c;
    TRY(check(MPI_Iallgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, data, (int)bytes, MPI_BYTE, MPI_COMM_WORLD, &r), "gather", err));
    return wait_for(&r, "gather", err);
}

static sc_status mpi_barrier(struct comm *c, sc_error *err)
{
    MPI_Request r;
    (void)c;
    TRY(check(MPI_Ibarrier(MPI_COMM_WORLD, &r), "wait for all ranks", err));
    return wait_for(&r, "wait for all ranks", err);
}

/* The ranks of this machine, and the windows of memory that they share. */
struct state { MPI_Comm host; MPI_Win *window; int n; };

static sc_status mpi_share(struct comm *c, void **out, size_t bytes, sc_error *err)
{
    struct state *s = c->state;
    MPI_Aint size = c->host_rank == 0 ? (MPI_Aint)bytes : 0;
    int unit;
    void *mine;
    MPI_Win *window = realloc(s->window, ((size_t)s->n + 1) * sizeof *window);
    if (!window) return FAIL(err, SC_E_MEMORY, "there is no memory for the list of shared memory");
    s->window = window;
    TRY(check(MPI_Win_allocate_shared(size, 1, MPI_INFO_NULL, s->host, &mine, &s->window[s->n]), "share memory within this machine", err));
    return check(MPI_Win_shared_query(s->window[s->n++], 0, &size, &unit, out), "share memory within this machine", err);
}

static void mpi_abort(struct comm *c)
{
    (void)c;
    MPI_Abort(MPI_COMM_WORLD, 1);
}

#ifdef MPICH_VERSION
/* MPICH 4.0.2 over UCX now and then waits in MPI_Finalize for ever, one rank for a connection to close, the others for that rank
 * (pmodels/mpich, pull request 6596). All work is done then, so a process that waits for long ends. */
enum { FINALIZE_SECONDS = 10 };
static void *end_without_mpi(void *arg)
{
    const struct comm *c = arg;
    struct timespec pause = { FINALIZE_SECONDS, 0 }, moment = { 0, 500000000 };
    nanosleep(&pause, NULL);
    fflush(NULL);
    if (c->rank == 0) fprintf(stderr, "starchat: MPICH's MPI_Finalize does not return (a known fault of MPICH 4.0); all is done and written, so the processes end without it, which mpiexec calls a failure\n");
    else nanosleep(&moment, NULL);                           /* the first that ends takes the others with it */
    _exit(c->failed_together);
}
static void watch_finalize(struct comm *c)
{
    pthread_t thread;
    if (c->size > 1 && pthread_create(&thread, NULL, end_without_mpi, c) == 0) pthread_detach(thread);
}
#else
static void watch_finalize(const struct comm *c) { (void)c; }
#endif

static void mpi_close(struct comm *c)
{
    struct state *s = c->state;
    watch_finalize(c);
    for (int i = 0; i < s->n; i++) MPI_Win_free(&s->window[i]);
    MPI_Comm_free(&s->host);
    MPI_Finalize();
    free(s->window);
    free(s);
}

static sc_status mpi_open(struct comm *out, comm_error_set *set, sc_error *err)
{
    static const struct comm_ops ops = { "mpi", mpi_send, mpi_receive, mpi_test, mpi_wait, mpi_gather, mpi_barrier, mpi_share, mpi_abort, mpi_close };
    int is_open = 0, level = 0;
    set_message = set;
    MPI_Initialized(&is_open);
    if (is_open) return FAIL(err, SC_E_ARGUMENT, "this process has opened MPI already");
#ifdef MPICH_VERSION
    /* UCX beneath it reads another process's memory by cross-memory attach, and aborts when that process is gone: before anybody can
     * say which rank it was. What the user chose stays. */
    setenv("UCX_TLS", "^cma", 0);
#endif
    TRY(check(MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &level), "start", err));
    TRY(check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "start", err));
    if (level < MPI_THREAD_SERIALIZED) return FAIL(err, SC_E_UNSUPPORTED, "this MPI was built without threads (level %d); use another build of it", level);
    struct state *s = calloc(1, sizeof *s);
    if (!s) return FAIL(err, SC_E_MEMORY, "there is no memory for the ranks of this machine");
    *out = (struct comm){ &ops, s, 0, 1, 0, 1, false };
    TRY(check(MPI_Comm_rank(MPI_COMM_WORLD, &out->rank), "tell the rank", err));
    TRY(check(MPI_Comm_size(MPI_COMM_WORLD, &out->size), "tell the number of ranks", err));
    TRY(check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, out->rank, MPI_INFO_NULL, &s->host), "find the ranks of this machine", err));
    TRY(check(MPI_Comm_rank(s->host, &out->host_rank), "tell the rank within this machine", err));
    return check(MPI_Comm_size(s->host, &out->host_size), "tell the number of ranks of this machine", err);
}

__attribute__((visibility("default"))) extern const struct comm_module comm_module;
const struct comm_module comm_module = { COMM_MODULE_VERSION, mpi_open };
