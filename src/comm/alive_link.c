/* alive_link.c - frames of the heartbeat, and the sockets they travel over. What comes in is not believed: every length is bounded
 * before it is used, and nothing is taken from memory. */
#include "comm/alive_internal.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- frames ----------------------------------------------------------------------------------------------------------------------- */

enum { HEADER = 3 };
struct kind { enum alive_kind kind; bool has_key, has_rank, has_text; };
static const struct kind kinds[] = {
    { ALIVE_HELLO, true, true, false }, { ALIVE_WELCOME, true, false, false }, { ALIVE_BEAT, false, false, false },
    { ALIVE_DEATH, false, true, true }, { ALIVE_GOODBYE, false, false, false },
};

static const struct kind *kind_of(int letter)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if ((int)kinds[i].kind == letter) return &kinds[i];
    return NULL;
}

/* Bytes behind the header, without text. */
static size_t fixed_bytes(const struct kind *k) { return (k->has_key ? ALIVE_KEY : 0) + (k->has_rank ? 4 : 0); }

static bool is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) return false;
    return utf8_is_valid(text, len);
}

int alive_frame_read(struct alive_frame *out, const uint8_t *bytes, size_t len)
{
    const struct kind *k = len ? kind_of(bytes[0]) : NULL;
    if (!k) return len ? -1 : 0;
    if (len < HEADER) return 0;
    size_t length = (size_t)bytes[1] | (size_t)bytes[2] << 8, fixed = fixed_bytes(k);
    if (k->has_text ? length <= fixed || length > fixed + ALIVE_TEXT_MOST : length != fixed) return -1;
    if (len < HEADER + length) return 0;
    const uint8_t *at = bytes + HEADER;
    *out = (struct alive_frame){ .kind = k->kind };
    if (k->has_key) {
        memcpy(out->key, at, ALIVE_KEY);
        at += ALIVE_KEY;
    }
    if (k->has_rank) {
        uint32_t rank = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        if (rank > ALIVE_RANK_MOST) return -1;
        out->rank = (int)rank;
    }
    if (k->has_text) memcpy(out->text, bytes + HEADER + fixed, length - fixed);
    return is_plain(out->text, length - fixed) ? (int)(HEADER + length) : -1;
}

size_t alive_frame_write(uint8_t out[ALIVE_FRAME_MOST], const struct alive_frame *f)
{
    const struct kind *k = kind_of(f->kind);
    size_t text = k->has_text ? strlen(f->text) : 0, length = fixed_bytes(k) + text;
    uint8_t *at = out + HEADER;
    out[0] = (uint8_t)f->kind;
    out[1] = (uint8_t)length;
    out[2] = (uint8_t)(length >> 8);
    if (k->has_key) {
        memcpy(at, f->key, ALIVE_KEY);
        at += ALIVE_KEY;
    }
    for (int i = 0; i < 4 && k->has_rank; i++) *at++ = (uint8_t)((uint32_t)f->rank >> 8 * i);
    memcpy(at, f->text, text);
    return HEADER + length;
}

/* ---- links ------------------------------------------------------------------------------------------------------------------------ */

void alive_link_open(struct alive_link *l, int fd)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);      /* beats must not wait for one another */
    *l = (struct alive_link){ .fd = fd, .rank = -1, .opened = clock_seconds() };
}

void alive_link_close(struct alive_link *l)
{
    if (l->fd >= 0) close(l->fd);
    l->fd = -1;
}

void alive_link_flush(struct alive_link *l)
{
    while (l->out) {
        ssize_t n = send(l->fd, l->out_bytes, l->out, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (n < 0) {                                     /* there may still be a last word to read: that side judges */
            if (!l->error) l->error = errno;
            l->out = 0;
            return;
        }
        l->out -= (size_t)n;
        memmove(l->out_bytes, l->out_bytes + n, l->out);
    }
}

void alive_link_put(struct alive_link *l, const struct alive_frame *f)
{
    uint8_t bytes[ALIVE_FRAME_MOST];
    size_t n = alive_frame_write(bytes, f);
    assert(l->out + n <= sizeof l->out_bytes);           /* beats are left out while anything waits; all else is sent once */
    memcpy(l->out_bytes + l->out, bytes, n);
    l->out += n;
    alive_link_flush(l);
}

enum alive_news alive_link_next(struct alive_link *l, struct alive_frame *out)
{
    for (;;) {
        int n = alive_frame_read(out, l->in_bytes, l->in);
        if (n < 0) return ALIVE_NONSENSE;
        if (n > 0) {
            l->in -= (size_t)n;
            memmove(l->in_bytes, l->in_bytes + n, l->in);
            return ALIVE_FRAME;
        }
        ssize_t got = recv(l->fd, l->in_bytes + l->in, sizeof l->in_bytes - l->in, 0);   /* never 0 bytes: a frame not yet whole is shorter */
        if (got > 0) l->in += (size_t)got;
        else if (got == 0) return ALIVE_ENDED;
        else if (errno == EAGAIN || errno == EWOULDBLOCK) return ALIVE_NOTHING;
        else if (errno != EINTR) {
            if (!l->error) l->error = errno;
            return ALIVE_ENDED;
        }
    }
}
