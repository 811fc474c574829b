/* fuzz_alive.c - any bytes as what comes in over a connection of the heartbeat. What is accepted as a frame is written with the same
 * bytes, a frame not yet whole is neither accepted nor refused, and pieces of any size give the same frames as all at once. */
#include "comm/alive_internal.h"
#include "fuzz_memory.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Frames at the beginning; *used: their bytes. Returns whether nonsense follows. */
static bool read_all(const uint8_t *data, size_t size, size_t *frames, size_t *used)
{
    struct alive_frame f;
    uint8_t again[ALIVE_FRAME_MOST];
    int n;
    for (*frames = *used = 0; (n = alive_frame_read(&f, data + *used, size - *used)) > 0; (*frames)++, *used += (size_t)n) {
        if ((size_t)n > size - *used || f.rank < 0 || f.rank > ALIVE_RANK_MOST || !memchr(f.text, 0, sizeof f.text)) abort();
        if (alive_frame_write(again, &f) != (size_t)n || memcmp(again, data + *used, (size_t)n) != 0) abort();
        for (int k = 0; k < n; k++)
            if (alive_frame_read(&f, data + *used, (size_t)k) != 0) abort();
    }
    if (n == 0 && size - *used >= ALIVE_FRAME_MOST) abort();
    return n < 0;
}

/* The same bytes over a socket, in pieces; the first byte says how long they are. */
static void send_all(const uint8_t *data, size_t size, size_t frames, bool is_nonsense)
{
    int fd[2];
    struct alive_link l;
    struct alive_frame f;
    enum alive_news news = ALIVE_NOTHING;
    size_t piece = size ? data[0] % 61 + 1 : 1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) != 0) return;
    alive_link_open(&l, fd[0]);
    for (size_t at = 0; at < size && news == ALIVE_NOTHING; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        if (write(fd[1], data + at, n) != (ssize_t)n) abort();
        while ((news = alive_link_next(&l, &f)) == ALIVE_FRAME)
            if (frames-- == 0) abort();
    }
    if (frames || is_nonsense != (news == ALIVE_NONSENSE)) abort();
    close(fd[1]);
    news = alive_link_next(&l, &f);
    if (news != (is_nonsense ? ALIVE_NONSENSE : ALIVE_ENDED)) abort();
    alive_link_close(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t frames, used;
    uint8_t *copy = malloc(size ? size : 1);              /* its end is watched */
    if (size) memcpy(copy, data, size);
    fuzz_memory_begin(0);
    bool is_nonsense = read_all(copy, size, &frames, &used);
    send_all(copy, size, frames, is_nonsense);
    fuzz_memory_end();
    free(copy);
    return 0;
}
