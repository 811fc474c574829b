/* The heartbeat: in threads, that it begins, keeps strangers out and ends in peace; in processes, that a killed or stopped rank is named by
 * all others in time. */
#include "comm/alive_internal.h"
#include "test.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 5 };

static double scale(void) { return getenv("STARCHAT_SANITIZED") ? 2 : 1; }       /* seconds, where all is slower */
static void rest(double seconds) { usleep((useconds_t)(seconds * 1e6)); }

/* ---- frames ----------------------------------------------------------------------------------------------------------------------- */

TEST(frames_are_read_as_they_were_written)
{
    struct alive_frame f = { .kind = ALIVE_DEATH, .rank = 70000 }, g;
    uint8_t bytes[ALIVE_FRAME_MOST], more[ALIVE_FRAME_MOST];
    memset(f.text, 'x', ALIVE_TEXT_MOST);
    size_t n = alive_frame_write(bytes, &f);
    CHECK_INT(n, 3 + 4 + ALIVE_TEXT_MOST);
    for (size_t k = 0; k < n; k++) CHECK_INT(alive_frame_read(&g, bytes, k), 0);
    CHECK_INT(alive_frame_read(&g, bytes, n), n);
    CHECK(g.kind == ALIVE_DEATH && g.rank == 70000);
    CHECK_STR(g.text, f.text);
    f = (struct alive_frame){ .kind = ALIVE_HELLO, .key = { 1, 2, 3 }, .rank = 3 };
    n = alive_frame_write(bytes, &f);
    CHECK_INT(alive_frame_read(&g, bytes, n), n);
    CHECK(g.rank == 3 && !memcmp(g.key, f.key, ALIVE_KEY));
    memcpy(more, bytes, n);
    more[n - 1] = 1;                                     /* a rank beyond all */
    CHECK_INT(alive_frame_read(&g, more, n), -1);
}

TEST(what_is_no_frame_is_refused_at_once)
{
    static const struct { const char *bytes; size_t len; int result; } cases[] = {
        { "", 0, 0 }, { "b", 1, 0 }, { "b\0", 2, 0 }, { "b\0\0", 3, 3 }, { "g\0\0b", 4, 3 },
        { "x", 1, -1 }, { "GET /", 5, -1 }, { "b\1\0", 3, -1 }, { "h\x15\0", 3, -1 }, { "h\x14\0", 3, 0 }, { "w\x0f\0", 3, -1 },
        { "d\4\0", 3, -1 },                              /* no sentence */
        { "d\xe4\1", 3, -1 },                            /* too long a one: 484 bytes */
        { "d\xe3\1", 3, 0 },
        { "d\5\0\1\0\0\0\n", 8, -1 }, { "d\5\0\1\0\0\0\0", 8, -1 }, { "d\5\0\1\0\0\0\xff", 8, -1 }, { "d\5\0\1\0\0\0.", 8, 8 },
    };
    struct alive_frame f;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int found = alive_frame_read(&f, (const uint8_t *)cases[i].bytes, cases[i].len);
        if (found != cases[i].result) test_failed(__FILE__, __LINE__, "case %zu gives %d, expected %d", i, found, cases[i].result);
    }
}

/* ---- ranks as threads ----------------------------------------------------------------------------------------------------------------- */

struct peace { atomic_int deaths; double patience, together; int leaves_early; };

static void on_peace_broken(void *user, int rank, const char *message)
{
    struct peace *p = user;
    fprintf(stderr, "rank %d: %s\n", rank, message);
    atomic_fetch_add(&p->deaths, 1);
}

static sc_status live(struct comm *c, void *arg, sc_error *err)
{
    struct peace *p = arg;
    struct comm_alive *a;
    char who[COMM_ALIVE_WHO], expected[COMM_ALIVE_WHO];
    TRY(comm_alive_start(&a, c, p->patience, on_peace_broken, p, err));
    for (int r = 0; r < c->size; r++) {
        comm_alive_describe(a, r, who);
        snprintf(expected, sizeof expected, c->size == 1 ? "rank %d" : "rank %d (process %d on host ", r, (int)getpid());
        if (strncmp(who, expected, strlen(expected)) != 0) return FAIL(err, SC_E_FORMAT, "described as %s", who);
    }
    if ((a == NULL) != (c->size == 1)) return FAIL(err, SC_E_FORMAT, "a heartbeat of %d ranks", c->size);
    if (c->rank != p->leaves_early) rest(p->together);
    double begin = clock_seconds();
    comm_alive_stop(a);
    double took = clock_seconds() - begin;
    return took < 1 ? SC_OK : FAIL(err, SC_E_FORMAT, "rank %d needed %.2f s to leave", c->rank, took);
}

TEST(ranks_begin_and_leave_in_peace)
{
    static const int sizes[] = { 1, 2, 5 };
    for (size_t i = 0; i < 3; i++) {
        struct peace p = { .patience = scale(), .together = 1.5 * scale(), .leaves_early = -1 };
        CHECK_OK(comm_run_threads(sizes[i], live, &p, err));
        CHECK_INT(p.deaths, 0);
    }
}

TEST(one_can_leave_before_the_others)
{
    for (int early = 0; early < 2; early++) {
        struct peace p = { .patience = 0.5 * scale(), .together = scale(), .leaves_early = early };
        CHECK_OK(comm_run_threads(3, live, &p, err));
        CHECK_INT(p.deaths, 0);
    }
}

/* Stopping at once, again and again: goodbyes meet beats and hellos. */
TEST(beginning_and_leaving_many_times)
{
    for (int i = 0; i < 50; i++) {
        struct peace p = { .patience = 2 * scale(), .leaves_early = -1 };
        CHECK_OK(comm_run_threads(4, live, &p, err));
        CHECK_INT(p.deaths, 0);
    }
}

/* ---- what lies between the invitation and its use --------------------------------------------------------------------------------------- */

/* A rank's view of the threads' transport that does something to the invitation when it comes. */
struct between { struct comm *c; void (*change)(struct alive_invitation *v); const char *problem; };

static sc_status between_send(struct comm *c, struct comm_pending *p, sc_error *err) { struct comm *real = ((struct between *)c->state)->c; return real->ops->send(real, p, err); }
static sc_status between_receive(struct comm *c, struct comm_pending *p, sc_error *err) { struct comm *real = ((struct between *)c->state)->c; return real->ops->receive(real, p, err); }
static sc_status between_gather(struct comm *c, void *data, size_t bytes, sc_error *err) { return comm_gather(((struct between *)c->state)->c, data, bytes, err); }
static sc_status between_wait(struct comm *c, struct comm_pending *p, sc_error *err)
{
    struct between *b = c->state;
    TRY(b->c->ops->wait(b->c, p, err));
    if (!p->is_send && p->bytes == sizeof(struct alive_invitation)) b->change(p->data);
    return SC_OK;
}
static const struct comm_ops between_ops = { "between", between_send, between_receive, NULL, between_wait, between_gather, NULL, NULL, NULL, NULL };

/* Says something on a connection of its own to rank 0; returns what comes back, at most `most` bytes, until rank 0 hangs up. */
static size_t say(const struct alive_invitation *v, const void *bytes, size_t n, uint8_t *back, size_t most)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(v->address[0].port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    size_t got = 0;
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    CHECK(send(fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n);
    for (ssize_t k; got < most && (k = recv(fd, back + got, most - got, 0)) > 0;) got += (size_t)k;
    close(fd);
    return got;
}

static size_t say_hello(const struct alive_invitation *v, int wrong_bit, int rank, uint8_t *back, size_t most)
{
    struct alive_frame f = { .kind = ALIVE_HELLO, .rank = rank };
    uint8_t bytes[ALIVE_FRAME_MOST];
    memcpy(f.key, v->key, ALIVE_KEY);
    if (wrong_bit >= 0) f.key[wrong_bit / 8] ^= (uint8_t)(1 << wrong_bit % 8);
    size_t n = alive_frame_write(bytes, &f);
    return say(v, bytes, n, back, most);
}

static void send_strangers(struct alive_invitation *v)
{
    uint8_t back[64];
    if (v->address[0].is_ipv6) return;                   /* this machine has no IPv4 */
    CHECK_INT(say_hello(v, 0, 1, back, sizeof back), 0);
    CHECK_INT(say_hello(v, 127, 1, back, sizeof back), 0);
    CHECK_INT(say_hello(v, -1, 0, back, sizeof back), 0);
    CHECK_INT(say_hello(v, -1, 2, back, sizeof back), 0);
    CHECK_INT(say(v, "GET / HTTP/1.1\r\n\r\n", 18, back, sizeof back), 0);
    CHECK_INT(say(v, "b\0\0", 3, back, sizeof back), 0);
    CHECK_INT(say_hello(v, -1, 1, back, 3 + ALIVE_KEY), 3 + ALIVE_KEY);      /* an attempt that is given up is no death */
}

static void leave_ipv6(struct alive_invitation *v)
{
    int n = 0;
    for (int i = 0; i < v->n; i++)
        if (v->address[i].is_ipv6) v->address[n++] = v->address[i];
    if (n) v->n = n;
}

static void leave_loopback(struct alive_invitation *v)
{
    for (int i = 0; i < v->n; i++)
        if (v->address[i].is_loopback) v->address[0] = v->address[i];
    v->n = 1;
}

static void change_answer(struct alive_invitation *v) { v->answer[7] ^= 1; }

/* Port 1: nobody listens there. */
static void change_ports(struct alive_invitation *v)
{
    for (int i = 0; i < v->n; i++) v->address[i].port = 1;
}

static void (*change_of_rank_1)(struct alive_invitation *v);

static sc_status live_between(struct comm *c, void *arg, sc_error *err)
{
    struct between b = { .c = c, .change = change_of_rank_1 };
    struct comm other = { .ops = &between_ops, .state = &b, .rank = c->rank, .size = c->size };
    return live(c->rank == 1 ? &other : c, arg, err);
}

TEST(strangers_are_dropped)
{
    struct peace p = { .patience = 2 * scale(), .leaves_early = -1 };
    change_of_rank_1 = send_strangers;
    CHECK_OK(comm_run_threads(2, live_between, &p, err));
    CHECK_INT(p.deaths, 0);
}

TEST(ranks_meet_over_ipv6_and_loopback)
{
    for (int i = 0; i < 2; i++) {
        struct peace p = { .patience = 2 * scale(), .leaves_early = -1 };
        change_of_rank_1 = i ? leave_ipv6 : leave_loopback;
        CHECK_OK(comm_run_threads(2, live_between, &p, err));
        CHECK_INT(p.deaths, 0);
    }
}

/* All fail with the words of the one who cannot, and nobody dies of it. */
TEST(a_rank_that_cannot_join_fails_all)
{
    struct peace p = { .patience = scale(), .leaves_early = -1 };
    change_of_rank_1 = change_ports;
    CHECK_FAILS(comm_run_threads(3, live_between, &p, err), SC_E_PEER, " port 1: Connection refused; let the firewalls");
    change_of_rank_1 = change_answer;
    CHECK_FAILS(comm_run_threads(3, live_between, &p, err), SC_E_PEER, "somebody else answered");
    CHECK_INT(p.deaths, 0);
}

/* ---- ranks as processes --------------------------------------------------------------------------------------------------------------- */

/* A transport between forked processes: a pair of sockets for each two ranks. Messages are taken in the order they come. */
struct wires { int fd[MANY][MANY]; };                    /* [a][b]: a's end of the pair with b */

static sc_status wire_send(struct comm *c, struct comm_pending *p, sc_error *err)
{
    const struct wires *w = c->state;
    ssize_t n = send(w->fd[c->rank][p->peer], p->data, p->bytes, MSG_NOSIGNAL);
    p->is_done = true;
    return n == (ssize_t)p->bytes ? SC_OK : FAIL(err, SC_E_PEER, "rank %d cannot send to rank %d", c->rank, p->peer);
}
static sc_status wire_receive(struct comm *c, struct comm_pending *p, sc_error *err) { (void)c; (void)p; (void)err; return SC_OK; }
static sc_status wire_wait(struct comm *c, struct comm_pending *p, sc_error *err)
{
    const struct wires *w = c->state;
    ssize_t n = recv(w->fd[c->rank][p->peer], p->data, p->bytes, MSG_WAITALL);
    p->is_done = true;
    return n == (ssize_t)p->bytes ? SC_OK : FAIL(err, SC_E_PEER, "rank %d cannot receive from rank %d", c->rank, p->peer);
}
static sc_status wire_gather(struct comm *c, void *data, size_t bytes, sc_error *err)
{
    struct comm_pending p;
    char *part = data;
    for (int r = 0; r < c->size; r++)
        if (r != c->rank) TRY(comm_send(c, &p, r, 0, part + (size_t)c->rank * bytes, bytes, err));
    for (int r = 0; r < c->size; r++) {
        if (r == c->rank) continue;
        TRY(comm_receive(c, &p, r, 0, part + (size_t)r * bytes, bytes, err));
        TRY(comm_wait(c, &p, 1, err));
    }
    return SC_OK;
}
static const struct comm_ops wire_ops = { "wires", wire_send, wire_receive, NULL, wire_wait, wire_gather, NULL, NULL, NULL, NULL };

/* What a rank reports to the test: rank -1 when it has begun, else a death. */
struct report { int rank; char message[ALIVE_TEXT_MOST + 1]; };
struct job { int size; double patience; bool exits; pid_t process[MANY]; int from[MANY], to[MANY]; };      /* exits: when a rank hears of a death, it ends */
struct member { int report; bool exits; };

static void write_report(int fd, int rank, const char *message)
{
    struct report r = { .rank = rank };
    snprintf(r.message, sizeof r.message, "%s", message);
    if (write(fd, &r, sizeof r) != (ssize_t)sizeof r) _exit(3);
}

static void on_death(void *user, int rank, const char *message)
{
    const struct member *m = user;
    write_report(m->report, rank, message);
    if (m->exits) _exit(4);
}

/* A rank lives until it is told to leave. */
static void run_member(const struct job *j, struct wires *w, int rank, int report, int control)
{
    struct comm c = { .ops = &wire_ops, .state = w, .rank = rank, .size = j->size };
    struct member m = { report, j->exits };
    struct comm_alive *a;
    sc_error err = { 0 };
    char byte;
    prctl(PR_SET_PDEATHSIG, SIGKILL);                    /* a stopped one would not notice that the test has ended */
    if (comm_alive_start(&a, &c, j->patience, on_death, &m, &err) != SC_OK) {
        fprintf(stderr, "%s\n", err.message);
        _exit(2);
    }
    write_report(report, -1, "");
    if (read(control, &byte, 1) < 0) _exit(3);           /* also when the test ends */
    comm_alive_stop(a);
    _exit(0);
}

/* The next report of a rank, false when none comes within the time; an end of the pipe is none. */
static bool next_report(const struct job *j, int rank, double seconds, struct report *out)
{
    struct pollfd p = { .fd = j->from[rank], .events = POLLIN };
    return poll(&p, 1, seconds > 0 ? (int)(seconds * 1e3) : 0) > 0 && read(j->from[rank], out, sizeof *out) == (ssize_t)sizeof *out;
}

static void start_job(struct job *j)
{
    struct wires w;
    struct report r;
    int report[MANY][2], control[MANY][2], pair[2];
    for (int a = 0; a < j->size; a++) {
        CHECK(pipe(report[a]) == 0 && pipe(control[a]) == 0);
        for (int b = 0; b < a; b++) {
            CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
            w.fd[a][b] = pair[0];
            w.fd[b][a] = pair[1];
        }
    }
    for (int a = 0; a < j->size; a++) {
        j->process[a] = fork();
        if (j->process[a] == 0) {
            for (int b = 0; b < j->size; b++) close(control[b][1]);
            run_member(j, &w, a, report[a][1], control[a][0]);
        }
        j->from[a] = report[a][0];
        j->to[a] = control[a][1];
    }
    for (int a = 0; a < j->size; a++) {
        close(report[a][1]);
        close(control[a][0]);
        for (int b = 0; b < j->size; b++)
            if (b != a) close(w.fd[a][b]);
    }
    for (int a = 0; a < j->size; a++)
        if (!next_report(j, a, 20, &r) || r.rank != -1) test_failed(__FILE__, __LINE__, "rank %d did not begin", a);
}

static void tell_to_leave(struct job *j, int rank)
{
    if (j->to[rank] >= 0) close(j->to[rank]);
    j->to[rank] = -1;
}

/* Ends all, and checks that nobody reports more than was asked for and that those not killed end well. */
static void end_job(struct job *j, int killed)
{
    struct report r;
    for (int a = 0; a < j->size; a++) tell_to_leave(j, a);
    for (int a = 0; a < j->size; a++) {
        int status = 0;
        waitpid(j->process[a], &status, 0);
        if (next_report(j, a, 0, &r)) test_failed(__FILE__, __LINE__, "rank %d reports besides: %s", a, r.message);
        int expected = j->exits ? 4 : 0;
        if (a != killed && (!WIFEXITED(status) || WEXITSTATUS(status) != expected)) test_failed(__FILE__, __LINE__, "rank %d ended with status %d", a, status);
        close(j->from[a]);
    }
}

/* Within the time, each rank but `besides` reports the death of `dead` with its process and `what`; returns after how long the last did. */
static double check_reports(struct job *j, int besides, int dead, const char *what, double within)
{
    double begin = clock_seconds();
    struct report r;
    char who[64];
    snprintf(who, sizeof who, "rank %d (process %d on host ", dead, (int)j->process[dead]);
    for (int a = 0; a < j->size; a++) {
        if (a == besides) continue;
        if (!next_report(j, a, within - (clock_seconds() - begin), &r)) test_failed(__FILE__, __LINE__, "rank %d has noticed nothing within %.1f s", a, within);
        if (r.rank != dead || strncmp(r.message, who, strlen(who)) != 0 || !strstr(r.message, what))
            test_failed(__FILE__, __LINE__, "rank %d reports rank %d: %s; expected %s...%s", a, r.rank, r.message, who, what);
    }
    return clock_seconds() - begin;
}

static void check_killed(int size, int dead, bool exits)
{
    struct job j = { .size = size, .patience = 5, .exits = exits };
    start_job(&j);
    kill(j.process[dead], SIGKILL);
    double took = check_reports(&j, dead, dead, "ended without a word", scale());
    if (getenv("ALIVE_TIMES")) fprintf(stderr, "rank %d of %d killed: all know after %.3f s\n", dead, size, took);
    end_job(&j, dead);
}

TEST(a_killed_rank_is_named_by_all_at_once)
{
    check_killed(4, 2, false);
    check_killed(2, 1, false);
    check_killed(MANY, 4, false);
}

TEST(a_killed_rank_0_is_named_by_all_at_once)
{
    check_killed(4, 0, false);
    check_killed(2, 0, false);
}

/* Rank 0 passes the word on and is gone itself at once: the word must come first. */
TEST(the_word_arrives_before_the_end_of_who_says_it)
{
    for (int i = 0; i < 10; i++) check_killed(MANY, 1 + i % (MANY - 1), true);
}

/* A rank that was stopped for longer than the patience wakes up to its own death. */
static void check_stopped(int size, int dead)
{
    struct job j = { .size = size, .patience = scale() };
    start_job(&j);
    rest(0.3);
    kill(j.process[dead], SIGSTOP);
    double took = check_reports(&j, dead, dead, "has not been heard of for ", j.patience + scale());
    if (getenv("ALIVE_TIMES")) fprintf(stderr, "rank %d of %d stopped: all know after %.3f s, patience %.1f s\n", dead, size, took, j.patience);
    CHECK(took > 0.7 * j.patience);
    kill(j.process[dead], SIGCONT);
    struct report r;
    CHECK(next_report(&j, dead, scale(), &r));
    CHECK_INT(r.rank, dead);
    CHECK(strstr(r.message, "has not been heard of for "));
    end_job(&j, -1);
}

TEST(a_stopped_rank_is_named_by_all_and_by_itself) { check_stopped(4, 2); }
TEST(a_stopped_rank_0_is_named_by_all_and_by_itself) { check_stopped(3, 0); }

static void check_nobody_reports(const struct job *j, double seconds)
{
    struct report r;
    rest(seconds);
    for (int a = 0; a < j->size; a++)
        if (next_report(j, a, 0, &r)) test_failed(__FILE__, __LINE__, "rank %d reports: %s", a, r.message);
}

TEST(a_short_stop_is_no_death)
{
    struct job j = { .size = 3, .patience = 1.2 * scale() };
    start_job(&j);
    for (int a = 0; a < j.size; a++) {
        kill(j.process[a], SIGSTOP);
        rest(j.patience / 2);
        kill(j.process[a], SIGCONT);
    }
    check_nobody_reports(&j, 1.2 * j.patience);
    end_job(&j, -1);
}

/* As by Ctrl-Z in the terminal of mpirun: for longer than the patience, woken one after the other, the watcher first or last. */
TEST(a_stop_of_all_together_is_no_death)
{
    struct job j = { .size = 4, .patience = scale() };
    start_job(&j);
    for (int turn = 0; turn < 2; turn++) {
        for (int a = 0; a < j.size; a++) kill(j.process[a], SIGSTOP);
        rest(1.5 * j.patience);
        for (int a = 0; a < j.size; a++) {
            kill(j.process[turn ? j.size - 1 - a : a], SIGCONT);
            rest(j.patience / 10);
        }
        check_nobody_reports(&j, 1.2 * j.patience);
    }
    end_job(&j, -1);
}

/* Who has left is missed by nobody, and those who stay are still watched. */
TEST(a_death_after_one_has_left_is_noticed)
{
    struct job j = { .size = 4, .patience = scale() };
    start_job(&j);
    tell_to_leave(&j, 1);
    check_nobody_reports(&j, 1.2 * j.patience);
    kill(j.process[3], SIGKILL);
    struct report r;
    for (int a = 0; a < 3; a += 2) {
        CHECK(next_report(&j, a, scale(), &r));
        CHECK_INT(r.rank, 3);
    }
    end_job(&j, 3);
}
