/* site.c - names of this server and pages of its own. */
#include "serve/site.h"

#include <string.h>
#include <strings.h>

bool site_is_listed(const char *list, struct http_span name)
{
    for (const char *at = list; at && *at;) {
        const char *end = strchr(at, ',');
        size_t n = end ? (size_t)(end - at) : strlen(at);
        while (n && *at == ' ') at++, n--;
        while (n && at[n - 1] == ' ') n--;
        if (n && n == name.len && strncasecmp(at, name.at, n) == 0) return true;
        at = end ? end + 1 : NULL;
    }
    return false;
}

static struct http_span without_port(struct http_span host)
{
    if (host.len && host.at[0] == '[') {
        const char *end = memchr(host.at, ']', host.len);
        return (struct http_span){ host.at, end ? (size_t)(end - host.at) + 1 : host.len };
    }
    const char *colon = memchr(host.at, ':', host.len);
    return (struct http_span){ host.at, colon ? (size_t)(colon - host.at) : host.len };
}

static bool is_address(struct http_span h)
{
    if (h.len && h.at[0] == '[') return true;
    for (size_t i = 0; i < h.len; i++)
        if ((h.at[i] < '0' || h.at[i] > '9') && h.at[i] != '.') return false;
    return h.len > 0;
}

bool site_host_is_known(struct http_span host, const char *own, const char *allowed)
{
    static const char local[] = ".localhost";
    enum { LOCAL = sizeof local - 1 };
    struct http_span h = without_port(host);
    if (is_address(h) || http_is_like(h, "localhost") || http_is_like(h, own) || site_is_listed(allowed, h) || site_is_listed(allowed, (struct http_span){ "*", 1 })) return true;
    return h.len > LOCAL && strncasecmp(h.at + h.len - LOCAL, local, LOCAL) == 0;
}

bool site_is_own(struct http_span origin, struct http_span host)
{
    const char *scheme = memmem(origin.at, origin.len, "://", 3);
    size_t n = scheme ? origin.len - (size_t)(scheme + 3 - origin.at) : 0;
    return n && n == host.len && strncasecmp(scheme + 3, host.at, n) == 0;
}
