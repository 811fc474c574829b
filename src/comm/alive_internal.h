/* alive_internal.h - what the files of the heartbeat share: frames, links and how ranks meet. Private to src/comm. Outside the tests
 * all of it is used by one thread at a time: the caller of comm_alive_start until all have met, the heartbeat's own after that. */
#ifndef ALIVE_INTERNAL_H
#define ALIVE_INTERNAL_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "comm/comm.h"

/* ---- alive_link.c: frames, and sockets that carry them ---------------------------------------------------------------------------- */

/* A frame: its kind, the bytes that follow as u16, then what the kind has of key, rank (u32) and text, in this order; numbers are
 * little-endian. Text is UTF-8 without control characters. */
enum { ALIVE_KEY = 16, ALIVE_TEXT_MOST = 479, ALIVE_RANK_MOST = 1 << 24, ALIVE_FRAME_MOST = 3 + ALIVE_KEY + 4 + ALIVE_TEXT_MOST };
enum alive_kind {
    ALIVE_HELLO = 'h',          /* key, rank: the first of who connects                */
    ALIVE_WELCOME = 'w',        /* key: rank 0's answer, with the other half of the key */
    ALIVE_BEAT = 'b',
    ALIVE_DEATH = 'd',          /* rank, text: who is gone, and the sentence that says so */
    ALIVE_GOODBYE = 'g'
};
struct alive_frame { enum alive_kind kind; uint8_t key[ALIVE_KEY]; int rank; char text[ALIVE_TEXT_MOST + 1]; };

/* Bytes of the frame that `bytes` begin with; 0: more must come; -1: this is no frame, whatever comes. */
int    alive_frame_read(struct alive_frame *out, const uint8_t *bytes, size_t len);
size_t alive_frame_write(uint8_t out[ALIVE_FRAME_MOST], const struct alive_frame *f);

/* A connection. fd -1: none. `heard`: when something came, by the clock `awake` of struct comm_alive. */
struct alive_link {
    int fd, rank, error;                                /* rank -1: not known yet; error: errno of what failed, 0: none */
    bool is_joined;
    double opened, heard;
    size_t in, out;                                     /* bytes waiting in the arrays */
    uint8_t in_bytes[ALIVE_FRAME_MOST], out_bytes[2 * ALIVE_FRAME_MOST];
};
enum alive_news { ALIVE_NOTHING, ALIVE_FRAME, ALIVE_ENDED, ALIVE_NONSENSE };

void            alive_link_open(struct alive_link *l, int fd);      /* takes a non-blocking socket over */
void            alive_link_close(struct alive_link *l);             /* safe twice */
void            alive_link_put(struct alive_link *l, const struct alive_frame *f);     /* sends what can be sent at once; ends are noticed by reading */
void            alive_link_flush(struct alive_link *l);
enum alive_news alive_link_next(struct alive_link *l, struct alive_frame *out);

/* ---- alive_meet.c: how the others find rank 0 -------------------------------------------------------------------------------------- */

enum { ALIVE_ADDRESSES = 16, ALIVE_HOST_BYTES = 65, ALIVE_LISTENERS = 2 };
struct alive_address { uint8_t bytes[16]; uint16_t port; bool is_ipv6, is_loopback; };
/* What rank 0 lets the others know before they connect. n 0: it cannot listen. */
struct alive_invitation { uint8_t key[ALIVE_KEY], answer[ALIVE_KEY]; int n; struct alive_address address[ALIVE_ADDRESSES]; };
struct alive_name { int process; char host[ALIVE_HOST_BYTES]; };

struct comm_alive {
    int rank, size, n_links, n_joined;
    double patience, interval;                          /* seconds of silence that are a death; between two beats */
    comm_on_death *on_death;
    void *user;
    struct alive_name *name;                            /* of each rank */
    struct alive_link *link;                            /* rank 0: of the others and of strangers; others: one, to rank 0 */
    struct pollfd *poll;                                /* n_links, then listeners, then `wake` */
    int listener[ALIVE_LISTENERS], wake;                /* -1: none; an eventfd */
    double last, awake, next_beat;                      /* awake: seconds that this rank was there to watch, see pass_time */
    int dead;                                           /* -1: nobody */
    char message[ALIVE_TEXT_MOST + 1];
    bool is_told, has_thread;
    atomic_bool is_leaving;
    pthread_t thread;
    struct alive_invitation invitation;
};

double    alive_meeting_seconds(const struct comm_alive *a);        /* for all to connect */
sc_status alive_listen(struct comm_alive *a, sc_error *err);        /* rank 0: fills the invitation */
void      alive_accept(struct comm_alive *a);
void      alive_greet(struct comm_alive *a, struct alive_link *l);  /* hears a link that has not joined yet */
void      alive_close_door(struct comm_alive *a);                   /* ends listening and all links that have not joined */
sc_status alive_reach(struct comm_alive *a, sc_error *err);         /* others: joins */

#endif
