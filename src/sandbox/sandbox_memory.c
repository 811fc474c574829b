/* sandbox_memory.c - files without a name: what is laid into a sandbox, and what one step leaves to the next. */
#include "sandbox/sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool put(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno != EINTR) return false;
        if (n > 0) { data += n; len -= (size_t)n; }
    }
    return true;
}

int memory_file(const void *data, size_t len, const char *what, sc_error *err)
{
    int fd = memfd_create("starchat", MFD_CLOEXEC);
    if (fd >= 0 && put(fd, data, len)) return fd;
    (void)FAIL(err, SC_E_IO, "%s, %zu bytes, cannot be kept for the sandbox: %s", what, len, strerror(errno));
    if (fd >= 0) close(fd);
    return -1;
}

/* Opened again, because a copy would share the position, and because this one cannot be written to. */
int memory_reader(int fd)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

void sandbox_carry_release(struct sandbox_carry *c)
{
    if (c->is_held) close(c->fd);
    *c = (struct sandbox_carry){ 0 };
}
