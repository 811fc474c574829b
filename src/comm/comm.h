/* comm.h - ranks: processes (or, in tests, threads) that work on one job and send each other bytes. Layer 2: includes base only.
 *
 * A transport moves bytes and knows nothing of numbers: every sum is made by the caller, in an order of its own, so that transports
 * and algorithms change no bit. Messages between two ranks with the same tag arrive in the order they were sent. All ranks
 * call collectives in the same order. After a failure of any call the job is lost: what is on its way never arrives. Rows of
 * transports: self (one rank), threads (comm_threads.c), and one module for each MPI (mpi/comm_mpi.c), opened at run time, so that
 * the program runs where there is no MPI. */
#ifndef COMM_H
#define COMM_H

#include "base/base.h"

enum { COMM_MOST_BYTES = 1 << 30 };              /* of a message, or of one rank's part of a collective */
enum { COMM_TAGS = 1 << 14 };                    /* tags of callers: 0 .. COMM_TAGS - 1 */

struct comm;
/* A message on its way, owned by the caller until comm_wait: its bytes must stay as they are (send) or be left alone (receive). */
struct comm_pending { uint64_t handle; void *data; size_t bytes; int peer, tag; bool is_send, is_done; };

/* Functions of a transport; each as the function of the same name below. */
struct comm_ops {
    const char *name;
    sc_status (*send)(struct comm *c, struct comm_pending *p, sc_error *err);
    sc_status (*receive)(struct comm *c, struct comm_pending *p, sc_error *err);
    sc_status (*test)(struct comm *c, struct comm_pending *p, sc_error *err);          /* sets is_done if it is */
    sc_status (*wait)(struct comm *c, struct comm_pending *p, sc_error *err);          /* returns with is_done set, or fails */
    sc_status (*gather)(struct comm *c, void *data, size_t bytes, sc_error *err);
    sc_status (*barrier)(struct comm *c, sc_error *err);
    /* Memory that all ranks of this machine share; NULL in *out of a transport that has none. Until close. */
    sc_status (*share)(struct comm *c, void **out, size_t bytes, sc_error *err);
    void (*abort)(struct comm *c);
    void (*close)(struct comm *c);
};
/* host_rank, host_size: among the ranks of this machine. failed_together: the last failure is known to all ranks, which end in good order. */
struct comm { const struct comm_ops *ops; void *state; int rank, size, host_rank, host_size; bool failed_together; };

/* What a module exports under COMM_MODULE_SYMBOL: `open` joins the job that its launcher began. Modules do not see the program's own
 * functions; what writes messages is handed to them. */
typedef sc_status comm_error_set(sc_error *err, sc_status status, const char *where, const char *format, ...);
#define COMM_MODULE_SYMBOL "comm_module"
enum { COMM_MODULE_VERSION = 2 };
struct comm_module {
    int version;
    sc_status (*open)(struct comm *out, comm_error_set *set, sc_error *err);
};

/* `mpi`: "auto" takes the module of the launcher that started this process (mpirun, mpiexec, srun), one rank without a launcher;
 * "openmpi" and "mpich" name one, "none" is one rank. Modules stand beside the program, in ../lib/starchat, or in the directory
 * that the environment variable STARCHAT_MODULES names. SC_E_UNSUPPORTED when a launcher started several ranks and the module is
 * not there: to train N times the same would help nobody. */
sc_status comm_open(struct comm *out, const char *mpi, sc_error *err);
void      comm_close(struct comm *c);
/* Names of the modules that are there: "openmpi, mpich"; "" for none. */
enum { COMM_MODULES_TEXT = 32 };
void      comm_modules(char out[COMM_MODULES_TEXT]);
/* Ends the job on all ranks, without their help; returns only for one rank. */
void      comm_abort(struct comm *c);

/* Begin a message of `bytes` <= COMM_MOST_BYTES to or from another rank. Both sides name the same size: SC_E_FORMAT otherwise. */
sc_status comm_send(struct comm *c, struct comm_pending *out, int to, int tag, const void *data, size_t bytes, sc_error *err);
sc_status comm_receive(struct comm *c, struct comm_pending *out, int from, int tag, void *data, size_t bytes, sc_error *err);
sc_status comm_test(struct comm *c, struct comm_pending *p, bool *is_done, sc_error *err);
sc_status comm_wait(struct comm *c, struct comm_pending *p, size_t n, sc_error *err);          /* for all n */

/* data has size * bytes; rank r's part begins at r * bytes and is there already: afterwards all parts are there on all ranks. */
sc_status comm_gather(struct comm *c, void *data, size_t bytes, sc_error *err);
/* Copies `bytes` of rank `root` to all. */
sc_status comm_broadcast(struct comm *c, int root, void *data, size_t bytes, sc_error *err);
sc_status comm_barrier(struct comm *c, sc_error *err);
/* Whether a value is the same on all ranks; if not, SC_E_ARGUMENT names `what` and the first rank that differs, on all of them. */
sc_status comm_agree(struct comm *c, const char *what, const void *value, size_t bytes, sc_error *err);

/* Collective. Zeroed memory that the ranks of this machine share, given back by comm_close. */
sc_status comm_share(struct comm *c, void **out, size_t bytes, sc_error *err);
/* Collective. The first rank's failure becomes that of all, with its rank in front of the message; SC_OK when none failed. */
sc_status comm_all_ok(struct comm *c, sc_status status, sc_error *err);

/* ---- comm_queue.c: messages beside the work ------------------------------------------------------------------------------------- */

/* One thread that runs jobs in the order they were put, while the caller computes. From the first comm_queue_put until
 * comm_queue_wait for the last job, the caller uses no other function of this comm. All ranks put matching jobs in the same order. */
struct comm_queue;
struct comm_job { sc_status (*run)(void *user, const struct comm_job *j, sc_error *err); void *user; int64_t what, n; };
sc_status comm_queue_open(struct comm_queue **out, sc_error *err);
void      comm_queue_close(struct comm_queue *q);                /* NULL allowed; runs what is in it */
uint64_t  comm_queue_put(struct comm_queue *q, struct comm_job job);          /* its number: 1, 2, ... */
/* Until job `number` is done. The first failure stays: later jobs are not run and every wait returns it. */
sc_status comm_queue_wait(struct comm_queue *q, uint64_t number, sc_error *err);

/* ---- comm_sum.c: sums in the order of ranks ------------------------------------------------------------------------------------ */

/* Rank `rank` owns elements [slice_begin(rank), slice_begin(rank + 1)) of n: whole grains of SLICE_GRAIN, as evenly as they go. */
enum { SLICE_GRAIN = 4096 };
static inline size_t slice_begin(size_t n, int size, int rank)
{
    size_t grains = (n + SLICE_GRAIN - 1) / SLICE_GRAIN, begin = (grains * (size_t)rank / (size_t)size) * SLICE_GRAIN;
    return begin < n ? begin : n;
}
/* Each of the first `givers` ranks has n elements x: afterwards the owner of each slice has sum[i] = (sum[i] + x of rank 0) + x of rank
 * 1 ... in f32, as one rank would have that adds them one after the other. sum: this rank's slice; x: NULL on other ranks. scratch:
 * comm_sum_floats(c) floats. x is free again when it returns. */
size_t    comm_sum_floats(const struct comm *c);
sc_status comm_sum_slices(struct comm *c, float *sum, const float *x, size_t n, int givers, float *scratch, sc_error *err);

/* ---- comm_alive.c: who is still there -------------------------------------------------------------------------------------------- */

/* A heartbeat by TCP beside the transport, because some (Open MPI 4.1) wait for ever for a rank that was stopped or cut off. Rank 0
 * watches the others, the others watch rank 0. A rank is gone whose connection ends without a goodbye, or that is silent for
 * `patience` seconds (>= 0.1, the same on all ranks): rank 0 tells the others, so that all say the same. */
struct comm_alive;
/* Called once at most, on the heartbeat's thread, perhaps before comm_alive_start returns. `message`: a sentence that names the rank,
 * its process and host, and what happened. Must not call comm_alive_stop. */
typedef void comm_on_death(void *user, int rank, const char *message);
/* Collective; *out is NULL for one rank. Fails on all ranks if one cannot join, within about twelve seconds. */
sc_status comm_alive_start(struct comm_alive **out, struct comm *c, double patience, comm_on_death *on_death, void *user, sc_error *err);
/* Says goodbye, so that leaving is no death; waits for the answers a quarter of a second at most, and for a call of on_death. NULL
 * allowed. When rank 0 has left, nobody watches any more. */
void      comm_alive_stop(struct comm_alive *a);
/* "rank 2 (process 4711 on host node2)", of any rank. a NULL: "rank 2". */
enum { COMM_ALIVE_WHO = 128 };
void      comm_alive_describe(const struct comm_alive *a, int rank, char out[COMM_ALIVE_WHO]);

/* ---- comm_launcher.c --------------------------------------------------------------------------------------------------------------- */

/* Before ending after a rank was lost: if the parent is mpirun or the like, a child that outlives this process ends it should it be
 * there still after `seconds`. */
void comm_end_launcher(double seconds);

/* ---- comm_threads.c: ranks in one process, for tests ---------------------------------------------------------------------------- */

/* Runs fn on `size` threads, each a rank, and returns the status of the first rank that failed. When one fails, all that wait for a
 * message fail too. */
sc_status comm_run_threads(int size, sc_status (*fn)(struct comm *c, void *arg, sc_error *err), void *arg, sc_error *err);

#endif
