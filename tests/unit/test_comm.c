/* Ranks as threads: messages, collectives, and what happens when a rank fails. */
#include "comm/comm.h"
#include "test.h"

enum { MANY = 5 };

/* Each sends to the next and receives from the one before, three messages with the same tag and one with another. */
static sc_status ring(struct comm *c, void *arg, sc_error *err)
{
    int next = (c->rank + 1) % c->size, before = (c->rank + c->size - 1) % c->size, sent[4], got[4] = { 0 };
    struct comm_pending p[8];
    (void)arg;
    for (int i = 0; i < 4; i++) {
        sent[i] = 100 * c->rank + i;
        TRY(comm_send(c, &p[i], next, i == 2 ? 9 : 4, &sent[i], sizeof sent[i], err));
    }
    TRY(comm_receive(c, &p[4], before, 9, &got[2], sizeof got[2], err));         /* out of the order of sending */
    TRY(comm_wait(c, &p[4], 1, err));
    for (int i = 0, k = 5; i < 4; i++)
        if (i != 2) TRY(comm_receive(c, &p[k++], before, 4, &got[i], sizeof got[i], err));
    for (int k = 5; k < 8; k++) TRY(comm_wait(c, &p[k], 1, err));
    TRY(comm_wait(c, p, 4, err));
    for (int i = 0; i < 4; i++)
        if (got[i] != 100 * before + i) return FAIL(err, SC_E_FORMAT, "message %d is %d", i, got[i]);
    return SC_OK;
}

TEST(messages_arrive_in_order_by_tag)
{
    for (int size = 2; size <= MANY; size++) CHECK_OK(comm_run_threads(size, ring, NULL, err));
}

static sc_status collectives(struct comm *c, void *arg, sc_error *err)
{
    int part[MANY][3] = { { 0 } }, word;
    (void)arg;
    for (int i = 0; i < 3; i++) part[c->rank][i] = 10 * c->rank + i;
    TRY(comm_gather(c, part, sizeof part[0], err));
    for (int r = 0; r < c->size; r++)
        for (int i = 0; i < 3; i++)
            if (part[r][i] != 10 * r + i) return FAIL(err, SC_E_FORMAT, "gathered %d of rank %d", part[r][i], r);
    for (int root = 0; root < c->size; root++) {
        word = c->rank == root ? 77 + root : 0;
        TRY(comm_broadcast(c, root, &word, sizeof word, err));
        if (word != 77 + root) return FAIL(err, SC_E_FORMAT, "rank %d has %d of root %d", c->rank, word, root);
    }
    for (int i = 0; i < 20; i++) TRY(comm_barrier(c, err));
    word = 3;
    return comm_agree(c, "the recipe", &word, sizeof word, err);
}

TEST(collectives_reach_all_ranks)
{
    for (int size = 1; size <= MANY; size++) CHECK_OK(comm_run_threads(size, collectives, NULL, err));
}

static sc_status differ(struct comm *c, void *arg, sc_error *err)
{
    int word = c->rank == *(const int *)arg;
    return comm_agree(c, "the recipe", &word, sizeof word, err);
}

TEST(a_rank_that_differs_is_named)
{
    int which = 2;
    CHECK_FAILS(comm_run_threads(4, differ, &which, err), SC_E_ARGUMENT, "the recipe is not the same on rank 0 and rank 2");
    which = 0;
    CHECK_FAILS(comm_run_threads(4, differ, &which, err), SC_E_ARGUMENT, "on rank 0 and rank 1");
}

/* A failure of one rank is that of all, by its name; of all alike, by none. */
static sc_status fail_some(struct comm *c, void *arg, sc_error *err)
{
    int first = *(const int *)arg;
    sc_error inner = { 0 }, found = { 0 };
    sc_status status = c->rank >= first ? FAIL(&inner, SC_E_IO, "disk %d is full", c->rank) : SC_OK;
    found = inner;
    status = comm_all_ok(c, status, &found);
    char expected[40];
    snprintf(expected, sizeof expected, first ? "rank %d: disk %d is full" : "disk 0 is full", first, first);
    if (first < c->size && (status != SC_E_IO || strcmp(found.message, expected) != 0 || !c->failed_together)) return FAIL(err, SC_E_FORMAT, "rank %d was told \"%s\"", c->rank, found.message);
    if (first >= c->size && (status != SC_OK || c->failed_together)) return FAIL(err, SC_E_FORMAT, "rank %d was told of a failure that was none", c->rank);
    TRY(comm_all_ok(c, SC_OK, err));
    return c->failed_together ? FAIL(err, SC_E_FORMAT, "a failure that is over is remembered") : SC_OK;
}

TEST(a_failure_of_one_rank_is_told_to_all)
{
    for (int first = 0; first <= 4; first++) CHECK_OK(comm_run_threads(4, fail_some, &first, err));
}

/* Memory of one machine is seen by all its ranks. */
static sc_status share_memory(struct comm *c, void *arg, sc_error *err)
{
    int *shared = NULL;
    void *memory = NULL;
    (void)arg;
    for (int turn = 0; turn < 3; turn++) {
        TRY(comm_share(c, &memory, (size_t)c->size * sizeof *shared, err));
        shared = memory;
        if (shared[c->rank]) return FAIL(err, SC_E_FORMAT, "shared memory is not zero at first");
        shared[c->rank] = 100 * turn + c->rank;
        TRY(comm_barrier(c, err));
        for (int r = 0; r < c->size; r++)
            if (shared[r] != 100 * turn + r) return FAIL(err, SC_E_FORMAT, "rank %d does not see what rank %d wrote", c->rank, r);
        TRY(comm_barrier(c, err));
    }
    return SC_OK;
}

TEST(ranks_of_a_machine_share_memory) { CHECK_OK(comm_run_threads(3, share_memory, NULL, err)); }

/* Jobs run in their order, beside the caller; the first failure stays. */
struct queued { int done[8], n; };
static sc_status note_job(void *user, const struct comm_job *j, sc_error *err)
{
    struct queued *q = user;
    if (j->what == 6) return FAIL(err, SC_E_PEER, "job %lld failed", (long long)j->what);
    q->done[q->n++] = (int)j->what;
    return SC_OK;
}

TEST(a_queue_runs_jobs_in_order_until_one_fails)
{
    struct comm_queue *q;
    struct queued found = { { 0 }, 0 };
    CHECK_OK(comm_queue_open(&q, err));
    uint64_t last = 0;
    for (int i = 1; i <= 5; i++) last = comm_queue_put(q, (struct comm_job){ note_job, &found, i, 0 });
    CHECK_OK(comm_queue_wait(q, last, err));
    CHECK(last == 5 && found.n == 5);
    for (int i = 0; i < 5; i++) CHECK_INT(found.done[i], i + 1);
    comm_queue_put(q, (struct comm_job){ note_job, &found, 6, 0 });
    last = comm_queue_put(q, (struct comm_job){ note_job, &found, 7, 0 });
    CHECK_FAILS(comm_queue_wait(q, last, err), SC_E_PEER, "job 6 failed");
    CHECK_INT(found.n, 5);
    comm_queue_close(q);
}

static sc_status other_size(struct comm *c, void *arg, sc_error *err)
{
    char text[8] = "";
    struct comm_pending p;
    (void)arg;
    TRY(c->rank == 0 ? comm_send(c, &p, 1, 0, text, 7, err) : comm_receive(c, &p, 0, 0, text, 8, err));
    return comm_wait(c, &p, 1, err);
}

TEST(sizes_that_differ_are_an_error) { CHECK_FAILS(comm_run_threads(2, other_size, NULL, err), SC_E_FORMAT, "sent 7 bytes where rank 1 expected 8"); }

/* Rank 1 fails; the others wait for what never comes. */
static sc_status fail_alone(struct comm *c, void *arg, sc_error *err)
{
    char byte = 0;
    struct comm_pending p;
    if (c->rank == 1) return FAIL(err, SC_E_MEMORY, "rank 1 has no memory");
    if (*(const bool *)arg) return comm_barrier(c, err);
    TRY(comm_receive(c, &p, 1, 0, &byte, 1, err));
    return comm_wait(c, &p, 1, err);
}

TEST(a_rank_that_fails_ends_the_others)
{
    for (int i = 0; i < 2; i++) {
        bool in_barrier = i;
        CHECK_FAILS(comm_run_threads(3, fail_alone, &in_barrier, err), SC_E_MEMORY, "rank 1 has no memory");
    }
}

/* A test that is not done yet returns at once. */
static sc_status ask(struct comm *c, void *arg, sc_error *err)
{
    struct comm_pending p;
    char byte = 5;
    bool is_done = false;
    (void)arg;
    if (c->rank == 0) {
        TRY(comm_receive(c, &p, 1, 0, &byte, 1, err));
        TRY(comm_test(c, &p, &is_done, err));
        if (is_done) return FAIL(err, SC_E_FORMAT, "a message came before it was sent");
    }
    TRY(comm_barrier(c, err));
    if (c->rank == 1) TRY(comm_send(c, &p, 0, 0, &byte, 1, err));
    while (!is_done) TRY(comm_test(c, &p, &is_done, err));
    return SC_OK;
}

TEST(messages_can_be_asked_for) { CHECK_OK(comm_run_threads(2, ask, NULL, err)); }

TEST(without_a_launcher_there_is_one_rank)
{
    struct comm c;
    int word = 1;
    static const char *const signs[] = { "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK" };
    for (size_t i = 0; i < 3; i++) unsetenv(signs[i]);
    CHECK_OK(comm_open(&c, "auto", err));
    CHECK_INT(c.size, 1);
    CHECK_OK(comm_gather(&c, &word, sizeof word, err));
    CHECK_OK(comm_broadcast(&c, 0, &word, sizeof word, err));
    CHECK_OK(comm_agree(&c, "a word", &word, sizeof word, err));
    CHECK_OK(comm_barrier(&c, err));
    comm_close(&c);
    CHECK_FAILS(comm_open(&c, "lam", err), SC_E_ARGUMENT, "mpi is \"lam\", expected auto, none, openmpi or mpich");
}

/* Ranks that would each train alone, without knowing of each other, are refused. */
TEST(a_launcher_without_its_module_is_refused)
{
    struct comm c;
    setenv("PMI_RANK", "0", 1);
    setenv("PMI_SIZE", "4", 1);
    unsetenv("OMPI_COMM_WORLD_RANK");
    unsetenv("PMIX_RANK");
    setenv("STARCHAT_MODULES", test_scratch(), 1);
    CHECK_FAILS(comm_open(&c, "auto", err), SC_E_UNSUPPORTED, "starchat-mpich.so");
    CHECK_FAILS(comm_open(&c, "openmpi", err), SC_E_UNSUPPORTED, "starchat-openmpi.so");
    CHECK_OK(comm_open(&c, "none", err));
    CHECK_INT(c.size, 1);
}

/* ---- sums ------------------------------------------------------------------------------------------------------------------------- */

enum { LEAVES = 11 };
struct sums { size_t n; const float *x, *expected; };      /* x: LEAVES x n */

/* Leaf i is rank i mod N's, as in training; each round takes a leaf of each rank. */
static sc_status sum_leaves(struct comm *c, void *arg, sc_error *err)
{
    const struct sums *s = arg;
    size_t begin = slice_begin(s->n, c->size, c->rank), end = slice_begin(s->n, c->size, c->rank + 1);
    float *sum = mem_zero(end - begin + 1, sizeof *sum), *scratch = mem_alloc(comm_sum_floats(c) * sizeof *scratch + 1);
    sc_status status = SC_OK;
    for (int first = 0; first < LEAVES && status == SC_OK; first += c->size) {
        int givers = LEAVES - first < c->size ? LEAVES - first : c->size;
        status = comm_sum_slices(c, sum, c->rank < givers ? s->x + (size_t)(first + c->rank) * s->n : NULL, s->n, givers, scratch, err);
    }
    if (status == SC_OK && memcmp(sum, s->expected + begin, (end - begin) * sizeof *sum) != 0) status = FAIL(err, SC_E_FORMAT, "the sum of rank %d of %d differs", c->rank, c->size);
    mem_free(sum);
    mem_free(scratch);
    return status;
}

TEST(sums_have_the_bits_of_one_rank)
{
    static const size_t lengths[] = { 1, 4096, 3 * 4096 + 5, 70001, 300000 };
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        size_t n = lengths[k];
        float *x = mem_alloc(LEAVES * n * sizeof *x), *expected = mem_zero(n, sizeof *expected);
        random_normal(x, LEAVES * n, 1, k, 0);
        for (size_t leaf = 0; leaf < LEAVES; leaf++)
            for (size_t i = 0; i < n; i++) expected[i] += x[leaf * n + i];
        struct sums s = { n, x, expected };
        for (int size = 1; size <= 8; size++) CHECK_OK(comm_run_threads(size, sum_leaves, &s, err));
        mem_free(x);
        mem_free(expected);
    }
}

TEST(slices_cover_all_elements_by_whole_grains)
{
    static const size_t lengths[] = { 0, 1, 4095, 4096, 4097, 123456, 40000000 };
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++)
        for (int size = 1; size < 20; size++) {
            CHECK_INT(slice_begin(lengths[k], size, 0), 0);
            CHECK_INT(slice_begin(lengths[k], size, size), lengths[k]);
            for (int r = 0; r < size; r++) {
                size_t begin = slice_begin(lengths[k], size, r), end = slice_begin(lengths[k], size, r + 1);
                CHECK(begin <= end && (begin % SLICE_GRAIN == 0 || begin == lengths[k]));
                CHECK(end - begin <= lengths[k] / (size_t)size + 2 * SLICE_GRAIN);
            }
        }
}
