/* comm.c - opening a job, and what all transports share: checks, broadcast, agreement. */
#include "comm/comm.h"

#include <assert.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- one rank --------------------------------------------------------------------------------------------------------------- */

static sc_status self_pending(struct comm *c, struct comm_pending *p, sc_error *err)
{
    (void)c;
    (void)p;
    return FAIL(err, SC_E_ARGUMENT, "one rank alone has nobody to send to or receive from");
}
static sc_status self_gather(struct comm *c, void *data, size_t bytes, sc_error *err) { (void)c; (void)data; (void)bytes; (void)err; return SC_OK; }
static sc_status self_barrier(struct comm *c, sc_error *err) { (void)c; (void)err; return SC_OK; }
static sc_status self_share(struct comm *c, void **out, size_t bytes, sc_error *err) { (void)c; (void)bytes; (void)err; *out = NULL; return SC_OK; }
static void self_end(struct comm *c) { (void)c; }

static const struct comm_ops self_ops = { "self", self_pending, self_pending, self_pending, self_pending, self_gather, self_barrier, self_share, self_end, self_end };

/* ---- which launcher ------------------------------------------------------------------------------------------------------------ */

/* What launchers set: the module, and where the number of ranks stands. srun sets PMIX_RANK or PMI_RANK besides. */
static const struct { const char *module, *name, *package, *sign, *size; } launchers[] = {
    { "openmpi", "Open MPI", "libopenmpi-dev", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE" },
    { "openmpi", "Open MPI", "libopenmpi-dev", "PMIX_RANK", "SLURM_NTASKS" },
    { "mpich", "MPICH", "libmpich-dev", "PMI_RANK", "PMI_SIZE" },
    { "mpich", "MPICH", "libmpich-dev", "PMI_RANK", "SLURM_NTASKS" },
};
enum { LAUNCHERS = sizeof launchers / sizeof *launchers };

static int number_of(const char *name)
{
    const char *text = getenv(name);
    long n = text ? strtol(text, NULL, 10) : 0;
    return n > 0 && n < 1 << 24 ? (int)n : 0;
}

/* Row of the launcher; -1: none. */
static int find_launcher(void)
{
    for (int i = 0; i < LAUNCHERS; i++)
        if (getenv(launchers[i].sign) && number_of(launchers[i].size)) return i;
    return -1;
}

/* Row of a module's name; -1: none. */
static int find_module(const char *name)
{
    for (int i = 0; i < LAUNCHERS; i++)
        if (!strcmp(launchers[i].module, name)) return i;
    return -1;
}

/* ---- the module ---------------------------------------------------------------------------------------------------------------- */

enum { PATH_BYTES = 4096 };

/* directory + place + starchat-NAME.so, if it is there. */
static bool module_in(char out[PATH_BYTES], const char *directory, const char *place, const char *module)
{
    int n = snprintf(out, PATH_BYTES, "%s%s/starchat-%s.so", directory, place, module);
    return n > 0 && n < PATH_BYTES && path_exists(out);
}

/* In the directory STARCHAT_MODULES, or beside the program, or where `make install` puts it. */
static bool module_path(char out[PATH_BYTES], const char *module)
{
    char program[PATH_BYTES];
    const char *given = getenv("STARCHAT_MODULES");
    if (given && *given) return module_in(out, given, "", module);
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0) return false;
    program[n] = 0;
    char *slash = strrchr(program, '/');
    if (slash) *slash = 0;
    return module_in(out, program, "", module) || module_in(out, program, "/../lib/starchat", module);
}

void comm_modules(char out[COMM_MODULES_TEXT])
{
    static const char *const names[] = { "openmpi", "mpich" };
    char path[PATH_BYTES];
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (module_path(path, names[i])) n += (size_t)snprintf(out + n, COMM_MODULES_TEXT - n, "%s%s", n ? ", " : "", names[i]);
}

static sc_status open_module(struct comm *out, int row, int size, sc_error *err)
{
    char path[PATH_BYTES];
    if (!module_path(path, launchers[row].module))
        return FAIL(err, SC_E_UNSUPPORTED, "%s%s needs the module starchat-%s.so beside the program (or in STARCHAT_MODULES), which is not there; build it by `make mpi` where %s is installed, or give mpi none", launchers[row].name,
                    size ? "'s launcher started this process, and it" : "", launchers[row].module, launchers[row].package);
    void *library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);       /* global: Open MPI's own plug-ins look for its symbols */
    if (!library) return FAIL(err, SC_E_UNSUPPORTED, "cannot open %s: %s; is %s installed on this machine?", path, dlerror(), launchers[row].name);
    const struct comm_module *m = dlsym(library, COMM_MODULE_SYMBOL);
    if (!m || m->version != COMM_MODULE_VERSION)
        return FAIL(err, SC_E_UNSUPPORTED, "%s is of another version of this program (%d, expected %d); build it again", path, m ? m->version : 0, COMM_MODULE_VERSION);
    return m->open(out, error_set, err);                                 /* MPI cannot be ended and begun again: the library stays */
}

sc_status comm_open(struct comm *out, const char *mpi, sc_error *err)
{
    bool is_auto = !mpi || !*mpi || !strcmp(mpi, "auto");
    int launcher = find_launcher(), row = is_auto ? launcher : find_module(mpi);
    *out = (struct comm){ &self_ops, NULL, 0, 1, 0, 1, false };
    if (!is_auto && strcmp(mpi, "none") != 0 && row < 0) return FAIL(err, SC_E_ARGUMENT, "mpi is \"%s\", expected auto, none, openmpi or mpich", mpi);
    if (row < 0 || (!is_auto && !strcmp(mpi, "none"))) return SC_OK;
    return open_module(out, row, launcher >= 0 ? number_of(launchers[launcher].size) : 0, err);
}

void comm_close(struct comm *c)
{
    if (c->ops) c->ops->close(c);
    *c = (struct comm){ 0 };
}

void comm_abort(struct comm *c) { c->ops->abort(c); }

/* ---- messages ------------------------------------------------------------------------------------------------------------------- */

static struct comm_pending message(const struct comm *c, int peer, int tag, void *data, size_t bytes, bool is_send)
{
    assert(peer >= 0 && peer < c->size && peer != c->rank && tag >= 0 && bytes <= COMM_MOST_BYTES);
    return (struct comm_pending){ 0, data, bytes, peer, tag, is_send, false };
}

sc_status comm_send(struct comm *c, struct comm_pending *out, int to, int tag, const void *data, size_t bytes, sc_error *err)
{
    *out = message(c, to, tag, (void *)(uintptr_t)data, bytes, true);
    return c->ops->send(c, out, err);
}

sc_status comm_receive(struct comm *c, struct comm_pending *out, int from, int tag, void *data, size_t bytes, sc_error *err)
{
    *out = message(c, from, tag, data, bytes, false);
    return c->ops->receive(c, out, err);
}

sc_status comm_test(struct comm *c, struct comm_pending *p, bool *is_done, sc_error *err)
{
    sc_status status = p->is_done ? SC_OK : c->ops->test(c, p, err);
    *is_done = p->is_done;
    return status;
}

sc_status comm_wait(struct comm *c, struct comm_pending *p, size_t n, sc_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!p[i].is_done) TRY(c->ops->wait(c, &p[i], err));
    return SC_OK;
}

/* ---- collectives ------------------------------------------------------------------------------------------------------------------ */

enum { TAG_BROADCAST = COMM_TAGS };

sc_status comm_gather(struct comm *c, void *data, size_t bytes, sc_error *err)
{
    assert(bytes <= COMM_MOST_BYTES);
    return c->ops->gather(c, data, bytes, err);
}

sc_status comm_barrier(struct comm *c, sc_error *err) { return c->ops->barrier(c, err); }

/* A binomial tree: counted from the root, rank r gets the bytes from r without its highest bit, and hands them on to r + 2^k. */
sc_status comm_broadcast(struct comm *c, int root, void *data, size_t bytes, sc_error *err)
{
    int place = (c->rank - root + c->size) % c->size, reach = 1;
    struct comm_pending p;
    while (reach <= place) reach *= 2;                           /* the least power of two above `place` */
    if (place) {
        TRY(comm_receive(c, &p, (place - reach / 2 + root) % c->size, TAG_BROADCAST, data, bytes, err));
        TRY(comm_wait(c, &p, 1, err));
    }
    for (; place + reach < c->size; reach *= 2) {
        TRY(comm_send(c, &p, (place + reach + root) % c->size, TAG_BROADCAST, data, bytes, err));
        TRY(comm_wait(c, &p, 1, err));
    }
    return SC_OK;
}

sc_status comm_agree(struct comm *c, const char *what, const void *value, size_t bytes, sc_error *err)
{
    char *all = mem_alloc((size_t)c->size * bytes + 1);
    memcpy(all + (size_t)c->rank * bytes, value, bytes);
    sc_status status = comm_gather(c, all, bytes, err);
    for (int r = 1; r < c->size && status == SC_OK; r++)
        if (memcmp(all, all + (size_t)r * bytes, bytes) != 0)
            status = FAIL(err, SC_E_ARGUMENT, "%s is not the same on rank 0 and rank %d; start all ranks with the same program, recipe and data", what, r);
    c->failed_together |= status == SC_E_ARGUMENT;
    mem_free(all);
    return status;
}

sc_status comm_share(struct comm *c, void **out, size_t bytes, sc_error *err) { return c->ops->share(c, out, bytes, err); }

/* What ranks tell each other of a failure. */
struct verdict { int32_t status; char message[sizeof ((sc_error *)0)->message]; };

sc_status comm_all_ok(struct comm *c, sc_status status, sc_error *err)
{
    if (c->size == 1) return status;
    struct verdict *all = mem_zero((size_t)c->size, sizeof *all);
    all[c->rank].status = (int32_t)status;
    if (status != SC_OK && err) snprintf(all[c->rank].message, sizeof all->message, "%s", err->message);
    sc_status result = comm_gather(c, all, sizeof *all, err);
    bool same = true;
    int first = -1;
    c->failed_together = false;
    for (int r = c->size - 1; r >= 0 && result == SC_OK; r--)
        if (all[r].status != SC_OK) first = r;
    for (int r = 0; r < c->size && first >= 0; r++) same &= all[r].status != SC_OK;
    if (first >= 0) {
        all[first].message[sizeof all->message - 1] = 0;
        result = (sc_status)all[first].status;
        if (err && same && first == 0) snprintf(err->message, sizeof err->message, "%s", all[0].message);       /* of all alike: nothing that one rank has to itself */
        else if (err) snprintf(err->message, sizeof err->message, "rank %d: %.*s", first, (int)sizeof err->message - 20, all[first].message);
        if (err) err->status = result;
        c->failed_together = true;
    }
    mem_free(all);
    return result;
}
