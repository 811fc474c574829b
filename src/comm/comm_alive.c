/* comm_alive.c - the heartbeat: who beats, who listens, and when silence is a death. One thread with poll; it knows the transport of
 * the job only while all ranks begin together. */
#include "comm/alive_internal.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLOWEST_BEAT 0.5                /* seconds between two beats, at most */
#define BEATS_IN_PATIENCE 10
#define LEAVE_SECONDS 0.25              /* for the goodbyes of the others */
enum { STRANGERS = 14 };                /* links of rank 0 beside two for each other rank: one that was given up, one that counts */

void comm_alive_describe(const struct comm_alive *a, int rank, char out[COMM_ALIVE_WHO])
{
    if (!a || rank < 0 || rank >= a->size) snprintf(out, COMM_ALIVE_WHO, "rank %d", rank);
    else snprintf(out, COMM_ALIVE_WHO, "rank %d (process %d on host %s)", rank, a->name[rank].process, a->name[rank].host);
}

/* ---- deaths ----------------------------------------------------------------------------------------------------------------------- */

/* The first death is the one that counts: those behind it follow from it as a rule. */
__attribute__((format(printf, 3, 4))) static void declare(struct comm_alive *a, int rank, const char *format, ...)
{
    va_list args;
    if (a->dead >= 0) return;
    a->dead = rank;
    va_start(args, format);
    vsnprintf(a->message, sizeof a->message, format, args);
    va_end(args);
}

static void declare_ended(struct comm_alive *a, const struct alive_link *l)
{
    char who[COMM_ALIVE_WHO];
    comm_alive_describe(a, l->rank, who);
    if (l->error == 0 || l->error == ECONNRESET || l->error == EPIPE)
        declare(a, l->rank, "%s ended without a word; look for its last message, and for lack of memory in the kernel's log of that host", who);
    else declare(a, l->rank, "%s can no longer be reached: %s; look at its host and the network", who, strerror(l->error));
}

static void declare_silent(struct comm_alive *a, const struct alive_link *l)
{
    char who[COMM_ALIVE_WHO];
    comm_alive_describe(a, l->rank, who);
    declare(a, l->rank, "%s has not been heard of for %.1f s; it is stopped, overloaded or cut off from the network", who, a->awake - l->heard);
}

/* Also to who is dead: a rank that was only stopped wakes up to its own death, and can say so. */
static void tell(struct comm_alive *a)
{
    struct alive_frame f = { .kind = ALIVE_DEATH, .rank = a->dead };
    error_quote(f.text, sizeof f.text, a->message, strlen(a->message));
    a->is_told = true;
    for (int i = 0; i < a->n_links; i++)
        if (a->link[i].fd >= 0 && a->link[i].is_joined) alive_link_put(&a->link[i], &f);
    a->on_death(a->user, a->dead, a->message);
}

/* ---- one turn --------------------------------------------------------------------------------------------------------------------- */

static void beat(struct comm_alive *a)
{
    struct alive_frame f = { .kind = ALIVE_BEAT };
    double now = clock_seconds();
    if (now < a->next_beat) return;
    a->next_beat = now + a->interval;
    for (int i = 0; i < a->n_links; i++) {
        struct alive_link *l = &a->link[i];
        if (l->fd >= 0 && l->is_joined && !l->out) alive_link_put(l, &f);
    }
}

/* Waits for news, `until` at the latest; then a->poll[i].revents are those of link i. */
static void wait_for_news(struct comm_alive *a, double until)
{
    double left = until - clock_seconds();
    struct pollfd *p = a->poll;
    for (int i = 0; i < a->n_links; i++) *p++ = (struct pollfd){ .fd = a->link[i].fd, .events = (short)(POLLIN | (a->link[i].out ? POLLOUT : 0)) };
    for (int i = 0; i < ALIVE_LISTENERS; i++) *p++ = (struct pollfd){ .fd = a->listener[i], .events = POLLIN };
    *p++ = (struct pollfd){ .fd = a->wake, .events = POLLIN };
    int n = poll(a->poll, (nfds_t)(p - a->poll), left > 0 ? (int)(left * 1e3) + 1 : 0);
    uint64_t count;
    ssize_t woken = n > 0 && p[-1].revents ? read(a->wake, &count, sizeof count) : 0;    /* or poll would never wait again */
    (void)woken;
    for (int i = 0; i < a->n_links; i++) {
        if (n < 0) a->poll[i].revents = 0;
        if (a->poll[i].revents & POLLOUT) alive_link_flush(&a->link[i]);
    }
}

/* Silence counts while this rank is there to hear: a turn that took longer than two beats, because this process was stopped or its
 * machine asleep, counts as two. So who wakes up with all the others has most of its patience left, and a machine that is merely slow
 * still notices every death, only later. */
static void pass_time(struct comm_alive *a)
{
    double now = clock_seconds(), passed = now - a->last;
    a->last = now;
    a->awake += passed < 2 * a->interval ? passed : 2 * a->interval;
}

static void hear(struct comm_alive *a, struct alive_link *l)
{
    struct alive_frame f;
    enum alive_news news;
    char who[COMM_ALIVE_WHO];
    while ((news = alive_link_next(l, &f)) == ALIVE_FRAME && (f.kind == ALIVE_BEAT || (f.kind == ALIVE_DEATH && f.rank < a->size))) {
        l->heard = a->awake;
        if (f.kind == ALIVE_DEATH) declare(a, f.rank, "%s", f.text);
    }
    if (news == ALIVE_NOTHING) return;
    comm_alive_describe(a, l->rank, who);
    if (news == ALIVE_ENDED) declare_ended(a, l);
    else if (news == ALIVE_NONSENSE || f.kind != ALIVE_GOODBYE) declare(a, l->rank, "%s sent what is no heartbeat; start all ranks with the same build of this program", who);
    alive_link_close(l);                                 /* also after a goodbye: that is the answer it waits for */
}

static void turn(struct comm_alive *a)
{
    beat(a);
    wait_for_news(a, a->next_beat);
    pass_time(a);
    for (int i = 0; i < a->n_links; i++) {
        struct alive_link *l = &a->link[i];
        if (l->fd < 0 || !a->poll[i].revents) continue;
        if (!l->is_joined) alive_greet(a, l);
        if (l->fd >= 0 && l->is_joined) hear(a, l);
    }
    for (int i = 0; i < a->n_links; i++)                 /* after all has been read that came meanwhile */
        if (a->link[i].fd >= 0 && a->link[i].is_joined && a->awake - a->link[i].heard > a->patience) declare_silent(a, &a->link[i]);
}

/* ---- the thread ------------------------------------------------------------------------------------------------------------------- */

/* Whether a link still has something to say to one who leaves. */
static bool is_waiting(struct alive_link *l)
{
    struct alive_frame f;
    enum alive_news news;
    if (l->fd < 0) return false;
    if (!l->out) (void)shutdown(l->fd, SHUT_WR);
    while ((news = alive_link_next(l, &f)) == ALIVE_FRAME && f.kind != ALIVE_GOODBYE) continue;
    if (news == ALIVE_NOTHING) return true;
    alive_link_close(l);
    return false;
}

/* Without waiting for the others to close, what they send later would be answered by a reset, which can overtake the goodbye. */
static void leave(struct comm_alive *a)
{
    struct alive_frame f = { .kind = ALIVE_GOODBYE };
    double until = clock_seconds() + LEAVE_SECONDS;
    for (int i = 0; i < a->n_links; i++)
        if (a->link[i].fd >= 0 && a->link[i].is_joined) alive_link_put(&a->link[i], &f);
    for (;;) {
        int waiting = 0;
        for (int i = 0; i < a->n_links; i++) waiting += is_waiting(&a->link[i]);
        if (!waiting || clock_seconds() >= until) return;
        wait_for_news(a, until);
    }
}

static void *watch(void *arg)
{
    struct comm_alive *a = arg;
    while (!atomic_load(&a->is_leaving)) {
        if (a->dead >= 0 && !a->is_told) tell(a);        /* first: it may have happened while all were meeting */
        turn(a);
    }
    leave(a);
    return NULL;
}

static sc_status begin(struct comm_alive *a, sc_error *err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);            /* a new thread has its maker's mask: signals are for the others */
    int error = pthread_create(&a->thread, NULL, watch, a);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (error) return FAIL(err, SC_E_MEMORY, "rank %d cannot start the thread of the heartbeat: %s", a->rank, strerror(error));
    a->has_thread = true;
    return SC_OK;
}

/* ---- start and stop --------------------------------------------------------------------------------------------------------------- */

static struct comm_alive *new_alive(const struct comm *c, double patience, comm_on_death *on_death, void *user)
{
    struct comm_alive *a = mem_zero(1, sizeof *a);
    a->rank = c->rank;
    a->size = c->size;
    a->patience = patience;
    a->interval = patience / BEATS_IN_PATIENCE < SLOWEST_BEAT ? patience / BEATS_IN_PATIENCE : SLOWEST_BEAT;
    a->on_death = on_death;
    a->user = user;
    a->name = mem_zero((size_t)a->size, sizeof *a->name);
    a->n_links = a->rank ? 1 : 2 * (a->size - 1) + STRANGERS;
    a->link = mem_zero((size_t)a->n_links, sizeof *a->link);
    a->poll = mem_zero((size_t)a->n_links + ALIVE_LISTENERS + 1, sizeof *a->poll);
    for (int i = 0; i < a->n_links; i++) a->link[i].fd = -1;
    for (int i = 0; i < ALIVE_LISTENERS; i++) a->listener[i] = -1;
    a->dead = a->wake = -1;
    a->last = clock_seconds();
    return a;
}

/* All learn who the others are, and how to reach rank 0. The gather also lets nobody's time begin before all are here. */
static sc_status introduce_all(struct comm_alive *a, struct comm *c, sc_error *err)
{
    char host[256] = "";
    struct alive_name *own = &a->name[a->rank];
    (void)gethostname(host, sizeof host - 1);
    error_quote(own->host, sizeof own->host, *host ? host : "unknown", strlen(*host ? host : "unknown"));
    own->process = (int)getpid();
    TRY(comm_gather(c, a->name, sizeof *a->name, err));
    for (int r = 0; r < a->size; r++) a->name[r].host[sizeof a->name[r].host - 1] = 0;
    return comm_broadcast(c, 0, &a->invitation, sizeof a->invitation, err);
}

/* Rank 0: lets the others in until all are there. A death among those who are is told by the thread. */
static sc_status await_all(struct comm_alive *a, sc_error *err)
{
    char who[COMM_ALIVE_WHO];
    double seconds = 1.2 * alive_meeting_seconds(a), until = clock_seconds() + seconds;     /* longer than the others try, who know why */
    while (a->n_joined < a->size - 1 && a->dead < 0 && clock_seconds() < until) {
        turn(a);
        alive_accept(a);
    }
    alive_close_door(a);
    if (a->n_joined == a->size - 1 || a->dead >= 0) return SC_OK;
    bool *is_there = mem_zero((size_t)a->size, sizeof *is_there);
    int first = 1;
    for (int i = 0; i < a->n_links; i++)
        if (a->link[i].is_joined) is_there[a->link[i].rank] = true;
    while (is_there[first]) first++;
    mem_free(is_there);
    comm_alive_describe(a, first, who);
    return FAIL(err, SC_E_PEER, "%d of %d ranks have not connected to the heartbeat of rank 0 within %.0f s, the first of them %s; let the firewalls between the hosts pass TCP among them", a->size - 1 - a->n_joined, a->size - 1, seconds, who);
}

/* What a rank can do alone: an eventfd, then the way to the others, then the thread. */
static sc_status join_others(struct comm_alive *a, sc_error *err)
{
    if (!a->invitation.n) return SC_OK;                  /* rank 0 says why */
    a->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (a->wake < 0) return FAIL(err, SC_E_IO, "rank %d cannot open an eventfd for the heartbeat: %s", a->rank, strerror(errno));
    TRY(a->rank ? alive_reach(a, err) : await_all(a, err));
    return begin(a, err);
}

/* All fail if one does, with its words. Rank 0 comes last: what it notices is mostly that another could not do something. */
static sc_status agree_to_begin(struct comm *c, const sc_error *own, sc_error *err)
{
    sc_error *all = mem_zero((size_t)c->size, sizeof *all);
    all[c->rank] = *own;
    sc_status status = comm_gather(c, all, sizeof *all, err);
    for (int i = 1; i <= c->size && status == SC_OK; i++) {
        const sc_error *e = &all[i % c->size];
        if (e->status != SC_OK) status = FAIL(err, e->status, "%s", e->message);
    }
    mem_free(all);
    return status;
}

sc_status comm_alive_start(struct comm_alive **out, struct comm *c, double patience, comm_on_death *on_death, void *user, sc_error *err)
{
    sc_error own = { .status = SC_OK };
    *out = NULL;
    assert(patience >= 0.1 && on_death);
    if (c->size == 1) return SC_OK;
    struct comm_alive *a = new_alive(c, patience, on_death, user);
    if (c->rank == 0) (void)alive_listen(a, &own);
    sc_status status = introduce_all(a, c, err);
    if (status == SC_OK) {
        if (own.status == SC_OK) (void)join_others(a, &own);
        status = agree_to_begin(c, &own, err);
    }
    if (status == SC_OK) *out = a;
    else comm_alive_stop(a);
    return status;
}

void comm_alive_stop(struct comm_alive *a)
{
    uint64_t one = 1;
    if (!a) return;
    atomic_store(&a->is_leaving, true);
    if (a->wake >= 0) {
        ssize_t n = write(a->wake, &one, sizeof one);
        (void)n;
    }
    if (a->has_thread) pthread_join(a->thread, NULL);
    else if (a->wake >= 0) leave(a);
    alive_close_door(a);
    for (int i = 0; i < a->n_links; i++) alive_link_close(&a->link[i]);
    if (a->wake >= 0) close(a->wake);
    mem_free(a->poll);
    mem_free(a->link);
    mem_free(a->name);
    mem_free(a);
}
