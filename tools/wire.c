/* wire.c - the cables of tools/cluster.sh: carries Ethernet frames between TAP devices and delays, loses and paces them, since
 * not every kernel has tc's netem. Loss is per frame of at most 1514 bytes: the kernel cuts larger ones before a TAP device.
 * Usage: wire N DELAY_MICROSECONDS LOSSES_PER_MILLION BITS_PER_SECOND SEED
 * The devices are tap-0 to tap-N-1, and must be there. A frame for the hardware address 02:00:00:00:HI:LO goes to tap
 * 256 HI + LO, one for several to all others. Delay, loss and pace (0: as fast as it goes) are those of the sending side, so a
 * message and its answer are delayed twice. Prints what was carried and lost when SIGTERM ends it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { PORTS = 250, WAITING = 8192, FRAME = 1536, BURST = 64, MOST_BACKLOG_NS = 100000000 };

struct frame { int64_t due; size_t bytes; uint8_t data[FRAME]; };

/* One sender: its frames on the way, oldest first, in a ring. They all take equally long, so the oldest is the first to arrive. */
struct port { int tap; struct frame *ring; uint64_t first, end; int64_t is_free_at; uint64_t carried, lost, full; };

struct wire { int n; int64_t delay; uint64_t losses, rate, random; struct port port[PORTS]; };

static volatile sig_atomic_t is_over;

static void end(int signal) { (void)signal; is_over = 1; }

static void fail(const char *what)
{
    fprintf(stderr, "wire: cannot %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int tap_open(int number)
{
    struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) fail("open /dev/net/tun");
    snprintf(r.ifr_name, sizeof r.ifr_name, "tap-%d", number);
    if (ioctl(fd, TUNSETIFF, &r) < 0) fail("attach to a TAP device");
    return fd;
}

/* Marsaglia's xorshift64*: 0 to 999999. */
static uint64_t random_million(struct wire *w)
{
    w->random ^= w->random >> 12;
    w->random ^= w->random << 25;
    w->random ^= w->random >> 27;
    return (w->random * 0x2545F4914F6CDD1Du >> 32) % 1000000;
}

/* Takes what the sender has sent, at most BURST frames. */
static void take(struct wire *w, struct port *p)
{
    for (int i = 0; i < BURST; i++) {
        struct frame spare, *f = p->end - p->first < WAITING ? &p->ring[p->end % WAITING] : &spare;
        ssize_t n = read(p->tap, f->data, FRAME);
        if (n <= 0) return;
        int64_t t = now();
        if (p->is_free_at < t) p->is_free_at = t;
        if (f == &spare || (w->rate && p->is_free_at - t > MOST_BACKLOG_NS)) { p->full++; continue; }
        if (w->rate) p->is_free_at += (int64_t)((uint64_t)n * 8 * 1000000000 / w->rate);
        if (random_million(w) < w->losses) { p->lost++; continue; }
        f->bytes = (size_t)n;
        f->due = p->is_free_at + w->delay;
        p->end++;
    }
}

static void hand_over(struct wire *w, int from, const struct frame *f)
{
    int to = f->data[4] << 8 | f->data[5];
    for (int i = 0; i < w->n; i++)
        if (i != from && (f->data[0] & 1 || i == to))
            if (write(w->port[i].tap, f->data, f->bytes) < 0) w->port[from].full++;          /* that cable is cut */
    w->port[from].carried++;
}

/* Hands over the frames that are due; the time when the next one will be, INT64_MAX: none is on the way. */
static int64_t deliver(struct wire *w)
{
    int64_t next = INT64_MAX, t = now();
    for (int i = 0; i < w->n; i++) {
        struct port *p = &w->port[i];
        for (; p->first != p->end && p->ring[p->first % WAITING].due <= t; p->first++) hand_over(w, i, &p->ring[p->first % WAITING]);
        if (p->first != p->end && p->ring[p->first % WAITING].due < next) next = p->ring[p->first % WAITING].due;
    }
    return next;
}

static void run(struct wire *w)
{
    struct pollfd wait[PORTS];
    for (int i = 0; i < w->n; i++) wait[i] = (struct pollfd){ w->port[i].tap, POLLIN, 0 };
    while (!is_over) {
        int64_t next = deliver(w), left = next == INT64_MAX ? 500000000 : next - now();
        if (left < 0) left = 0;
        if (ppoll(wait, (nfds_t)w->n, &(struct timespec){ left / 1000000000, left % 1000000000 }, NULL) <= 0) continue;
        for (int i = 0; i < w->n; i++)
            if (wait[i].revents) take(w, &w->port[i]);
    }
}

int main(int argc, char **argv)
{
    static struct wire w;
    if (argc != 6) { fprintf(stderr, "usage: wire N DELAY_MICROSECONDS LOSSES_PER_MILLION BITS_PER_SECOND SEED\n"); return 2; }
    w.n = (int)strtol(argv[1], NULL, 10);
    w.delay = strtoll(argv[2], NULL, 10) * 1000;
    w.losses = strtoull(argv[3], NULL, 10);
    w.rate = strtoull(argv[4], NULL, 10);
    w.random = (strtoull(argv[5], NULL, 10) + 1) * 0x9E3779B97F4A7C15u;
    if (w.n < 1 || w.n > PORTS || !w.random) { fprintf(stderr, "wire: N is %s, expected 1 to %d\n", argv[1], PORTS); return 2; }
    for (int i = 0; i < w.n; i++) {
        w.port[i].tap = tap_open(i);
        if (!(w.port[i].ring = calloc(WAITING, sizeof(struct frame)))) fail("get memory");
    }
    signal(SIGTERM, end);
    signal(SIGINT, end);
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    printf("ready\n");
    fflush(stdout);
    run(&w);
    for (int i = 0; i < w.n; i++)
        printf("host %d sent: %llu frames carried, %llu lost, %llu dropped by a full or a cut cable\n", i, (unsigned long long)w.port[i].carried, (unsigned long long)w.port[i].lost, (unsigned long long)w.port[i].full);
    return 0;
}
