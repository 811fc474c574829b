/* http_bind.c - where a server listens: an address, a name, or a socket in the file system that only its owner may use. */
#include "serve/http.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 512 };

/* -1: errno says why. */
static int listen_on(const struct sockaddr *a, socklen_t len)
{
    int on = 1, fd = socket(a->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    /* A server that is started again need not wait until old connections are forgotten. */
    if (a->sa_family != AF_UNIX) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, a, len) == 0 && listen(fd, BACKLOG) == 0) return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

static sc_status bind_unix(int *fd, char **socket_path, const char *path, sc_error *err)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    struct stat is;
    if (strlen(path) >= sizeof a.sun_path) return FAIL(err, SC_E_ARGUMENT, "the socket path %s is longer than %zu bytes", path, sizeof a.sun_path - 1);
    memcpy(a.sun_path, path, strlen(path));
    if (stat(path, &is) == 0 && S_ISSOCK(is.st_mode)) {
        int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool is_used = other >= 0 && connect(other, (struct sockaddr *)&a, sizeof a) == 0;
        if (other >= 0) close(other);
        if (is_used) return FAIL(err, SC_E_IO, "another server answers at %s; stop it or choose another path", path);
        unlink(path);                                            /* left behind by one that was killed */
    }
    mode_t mask = umask(0177);                                   /* private from its first moment on */
    *fd = listen_on((struct sockaddr *)&a, sizeof a);
    int reason = errno;
    umask(mask);
    if (*fd < 0) return FAIL(err, SC_E_IO, "cannot listen at %s: %s", path, strerror(reason));
    *socket_path = mem_strdup(path);
    return SC_OK;
}

sc_status http_bind(int *fd, int *port_bound, char **socket_path, const char *host, int port, sc_error *err)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found = NULL;
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    char text[8];
    if (strncmp(host, "unix:", 5) == 0) return bind_unix(fd, socket_path, host + 5, err);
    snprintf(text, sizeof text, "%d", port);
    int e = getaddrinfo(host, text, &hints, &found);
    if (e) return FAIL(err, SC_E_ARGUMENT, "the host \"%s\" is no address of this machine: %s", host, gai_strerror(e));
    *fd = listen_on(found->ai_addr, found->ai_addrlen);
    int reason = errno;
    freeaddrinfo(found);
    if (*fd < 0 && reason == EADDRINUSE) return FAIL(err, SC_E_IO, "port %d of %s is taken by another program; choose another with --port, or --port 0 for any free one", port, host);
    if (*fd < 0) return FAIL(err, SC_E_IO, "cannot listen at %s, port %d: %s", host, port, strerror(reason));
    if (getsockname(*fd, (struct sockaddr *)&at, &len) == 0)
        *port_bound = ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port : ((struct sockaddr_in *)&at)->sin_port);
    return SC_OK;
}
