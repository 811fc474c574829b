/* serve_notify.c - telling a service manager how far the server is (sd_notify(3), "Type=notify"): a datagram with lines NAME=VALUE to the socket
 * that NOTIFY_SOCKET names. Connected early: a locked-down server reaches no new socket. */
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmd/serve.h"

int notify_open(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    size_t n = path ? strlen(path) : 0;
    if (n < 2 || n >= sizeof a.sun_path || (*path != '/' && *path != '@')) return -1;
    memcpy(a.sun_path, path, n);
    if (*path == '@') a.sun_path[0] = 0;                       /* a name without a file */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) == 0) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

void notify_send(int fd, const char *format, ...)
{
    char text[512];
    va_list ap;
    if (fd < 0) return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}
