/* alive_meet.c - how ranks meet for the heartbeat. Rank 0 listens on ports that the kernel chooses and lets the others know its
 * addresses and a random key (by the transport of the job, which they have in common already). A rank connects, says the key and its
 * rank, is answered with the other half of the key, and has joined with its first beat: an address can be another machine's too, so
 * both sides prove who they are, and a rank that gave an attempt up is not taken for dead when it comes again. */
#include "comm/alive_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STRANGER_SECONDS 5.0            /* for saying hello */
enum { BACKLOG = 1024, WHY_BYTES = 160 };

double alive_meeting_seconds(const struct comm_alive *a)
{
    double seconds = 2 * a->patience;
    return seconds < 1 ? 1 : seconds > 10 ? 10 : seconds;
}

static bool is_same_key(const uint8_t a[ALIVE_KEY], const uint8_t b[ALIVE_KEY])
{
    unsigned differs = 0;                                /* in a time that does not tell how many bytes are right */
    for (int i = 0; i < ALIVE_KEY; i++) differs |= a[i] ^ b[i];
    return !differs;
}

/* ---- rank 0 ------------------------------------------------------------------------------------------------------------------------- */

/* A listening socket on all interfaces; -1 with errno. */
static int listen_on(int family, uint16_t *port)
{
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT };
    struct sockaddr_in four = { .sin_family = AF_INET };
    struct sockaddr *any = family == AF_INET6 ? (struct sockaddr *)&six : (struct sockaddr *)&four;
    socklen_t bytes = family == AF_INET6 ? sizeof six : sizeof four;
    int on = 1, fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (family == AF_INET6) (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, any, bytes) == 0 && listen(fd, BACKLOG) == 0 && getsockname(fd, any, &bytes) == 0) {
        *port = ntohs(family == AF_INET6 ? six.sin6_port : four.sin_port);
        return fd;
    }
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* False for what others cannot use: interfaces that are down, families that nobody listens on, and link-local addresses of IPv6,
 * which mean something beside an interface's name alone. */
static bool take_address(struct alive_address *out, const struct ifaddrs *from, uint16_t port4, uint16_t port6)
{
    int family = from->ifa_addr && (from->ifa_flags & IFF_UP) ? from->ifa_addr->sa_family : AF_UNSPEC;
    *out = (struct alive_address){ .is_ipv6 = family == AF_INET6, .is_loopback = (from->ifa_flags & IFF_LOOPBACK) != 0, .port = family == AF_INET6 ? port6 : port4 };
    if (!out->port) return false;
    if (family == AF_INET) memcpy(out->bytes, &((const struct sockaddr_in *)(const void *)from->ifa_addr)->sin_addr, 4);
    else if (family == AF_INET6) {
        const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)from->ifa_addr)->sin6_addr;
        memcpy(out->bytes, six, 16);
        return !IN6_IS_ADDR_LINKLOCAL(six);
    }
    return family == AF_INET || family == AF_INET6;
}

/* Addresses in the order in which they should be tried: IPv4, IPv6, loopback. */
static void list_addresses(struct alive_invitation *v, uint16_t port4, uint16_t port6)
{
    struct ifaddrs *all = NULL;
    struct alive_address x;
    if (getifaddrs(&all) != 0) return;
    for (int pass = 0; pass < 3; pass++)
        for (const struct ifaddrs *i = all; i && v->n < ALIVE_ADDRESSES; i = i->ifa_next) {
            if (!take_address(&x, i, port4, port6) || (x.is_loopback ? 2 : x.is_ipv6) != pass) continue;
            v->address[v->n++] = x;
        }
    freeifaddrs(all);
}

sc_status alive_listen(struct comm_alive *a, sc_error *err)
{
    uint16_t port[ALIVE_LISTENERS] = { 0 };
    a->listener[1] = listen_on(AF_INET6, &port[1]);
    a->listener[0] = listen_on(AF_INET, &port[0]);
    if (a->listener[0] < 0 && a->listener[1] < 0) return FAIL(err, SC_E_IO, "rank 0 cannot listen on any port for the heartbeat: %s", strerror(errno));
    system_random(a->invitation.key, ALIVE_KEY);
    system_random(a->invitation.answer, ALIVE_KEY);
    list_addresses(&a->invitation, port[0], port[1]);
    if (!a->invitation.n) return FAIL(err, SC_E_IO, "rank 0 has no network address for the heartbeat, not even a loopback one; bring a network interface of its host up");
    return SC_OK;
}

void alive_accept(struct comm_alive *a)
{
    double now = clock_seconds();
    for (int i = 0; i < a->n_links; i++)
        if (a->link[i].fd >= 0 && !a->link[i].is_joined && now - a->link[i].opened > STRANGER_SECONDS) alive_link_close(&a->link[i]);
    for (int i = 0, k = 0; i < a->n_links && k < ALIVE_LISTENERS;) {      /* a link for each that waits, as long as some are free */
        if (a->link[i].fd >= 0) { i++; continue; }
        int fd = a->listener[k] < 0 ? -1 : accept4(a->listener[k], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) k++;
        else alive_link_open(&a->link[i++], fd);
    }
}

static bool has_joined(const struct comm_alive *a, int rank)
{
    for (int i = 0; i < a->n_links; i++)
        if (a->link[i].is_joined && a->link[i].rank == rank) return true;
    return false;
}

/* The answer to what a link says that has not joined yet; false: it is a stranger's. */
static bool answer(struct comm_alive *a, struct alive_link *l, const struct alive_frame *f)
{
    if (l->rank < 0) {
        if (f->kind != ALIVE_HELLO || !is_same_key(f->key, a->invitation.key) || f->rank < 1 || f->rank >= a->size || has_joined(a, f->rank)) return false;
        struct alive_frame welcome = { .kind = ALIVE_WELCOME };
        memcpy(welcome.key, a->invitation.answer, ALIVE_KEY);
        l->rank = f->rank;
        alive_link_put(l, &welcome);
        return true;
    }
    if (f->kind != ALIVE_BEAT || has_joined(a, l->rank)) return false;
    l->is_joined = true;
    l->heard = a->awake;
    a->n_joined++;
    return true;
}

void alive_greet(struct comm_alive *a, struct alive_link *l)
{
    struct alive_frame f;
    enum alive_news news;
    while (!l->is_joined && (news = alive_link_next(l, &f)) != ALIVE_NOTHING)
        if (news != ALIVE_FRAME || !answer(a, l, &f)) {
            alive_link_close(l);
            return;
        }
}

void alive_close_door(struct comm_alive *a)
{
    for (int i = 0; i < ALIVE_LISTENERS; i++) {
        if (a->listener[i] >= 0) close(a->listener[i]);
        a->listener[i] = -1;
    }
    for (int i = 0; i < a->n_links; i++)
        if (!a->link[i].is_joined) alive_link_close(&a->link[i]);
}

/* ---- the others --------------------------------------------------------------------------------------------------------------------- */

/* Waits until a socket is ready for `events` or the clock says `until`. */
static bool is_ready(int fd, short events, double until)
{
    struct pollfd p = { .fd = fd, .events = events };
    for (;;) {
        double left = until - clock_seconds();
        if (left <= 0) return false;
        int n = poll(&p, 1, (int)(left * 1e3) + 1);
        if (n > 0) return true;
        if (n < 0 && errno != EINTR) return false;
    }
}

/* Opens the link as far as TCP goes; 0 or an errno. */
static int connect_to(struct alive_link *l, const struct alive_address *to, double until)
{
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(to->port) };
    struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(to->port) };
    int error = 0, fd = socket(to->is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t bytes = sizeof error;
    if (fd < 0) return errno;
    memcpy(&six.sin6_addr, to->bytes, 16);
    memcpy(&four.sin_addr, to->bytes, 4);
    alive_link_open(l, fd);
    if (connect(fd, to->is_ipv6 ? (struct sockaddr *)&six : (struct sockaddr *)&four, to->is_ipv6 ? sizeof six : sizeof four) == 0) return 0;
    if (errno != EINPROGRESS && errno != EINTR) return errno;
    if (!is_ready(fd, POLLOUT, until)) return ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) == 0 ? error : errno;
}

/* Who answers must know the other half of the key; NULL, or why not. */
static const char *introduce(struct comm_alive *a, struct alive_link *l, double until)
{
    struct alive_frame f = { .kind = ALIVE_HELLO, .rank = a->rank };
    enum alive_news news;
    memcpy(f.key, a->invitation.key, ALIVE_KEY);
    alive_link_put(l, &f);
    while ((news = alive_link_next(l, &f)) == ALIVE_NOTHING)
        if (!is_ready(l->fd, POLLIN, until)) return "no answer";
    if (news == ALIVE_ENDED) return "the connection was closed without an answer";
    if (news != ALIVE_FRAME || f.kind != ALIVE_WELCOME || !is_same_key(f.key, a->invitation.answer)) return "somebody else answered";
    f = (struct alive_frame){ .kind = ALIVE_BEAT };
    alive_link_put(l, &f);
    l->rank = 0;
    l->is_joined = true;
    l->heard = a->awake;
    return NULL;
}

static bool try_address(struct comm_alive *a, const struct alive_address *to, double until, char why[WHY_BYTES])
{
    char text[INET6_ADDRSTRLEN] = "?";
    int error = connect_to(a->link, to, until);
    const char *problem = error ? strerror(error) : introduce(a, a->link, until);
    if (!problem) return true;
    inet_ntop(to->is_ipv6 ? AF_INET6 : AF_INET, to->bytes, text, sizeof text);
    snprintf(why, WHY_BYTES, "%s port %d: %s", text, to->port, problem);
    alive_link_close(a->link);
    return false;
}

sc_status alive_reach(struct comm_alive *a, sc_error *err)
{
    const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };
    const struct alive_invitation *v = &a->invitation;
    bool is_same_host = !strcmp(a->name[a->rank].host, a->name[0].host);
    double all = alive_meeting_seconds(a), each = all / (v->n + 1) > 2 ? 2 : all / (v->n + 1), last = clock_seconds() + all - each;
    char who[COMM_ALIVE_WHO], why[WHY_BYTES] = "only loopback addresses, and another host";
    do {                                                 /* again and again: many may come at once, or a network be slow to begin */
        for (int i = 0; i < v->n && clock_seconds() < last; i++)
            if ((is_same_host || !v->address[i].is_loopback) && try_address(a, &v->address[i], clock_seconds() + each, why)) return SC_OK;
        nanosleep(&pause, NULL);
    } while (clock_seconds() < last);                    /* none is cut short: the last reason is the one that is told */
    comm_alive_describe(a, 0, who);
    return FAIL(err, SC_E_PEER, "rank %d cannot reach %s by TCP for the heartbeat: %d addresses tried for %.0f s, at last %s; let the firewalls between the hosts pass TCP among them", a->rank, who, v->n, all, why);
}
