/* rank_gate.c - who may ask: names of this server, pages of other sites, wrong tokens. Raters have no cookie, so a page of another site can do nothing in their name;
 * Host and Origin are looked at all the same, against names that are bound anew. */
#include "rank/rank.h"
#include "serve/http.h"

#include <string.h>
#include <strings.h>

static const double WINDOW_SECONDS = 60;

static struct http_span without_port(struct http_span host)
{
    const char *end = host.len && host.at[0] == '[' ? memchr(host.at, ']', host.len) : NULL, *colon = memchr(host.at, ':', host.len);
    if (end) host.len = (size_t)(end - host.at) + 1;
    else if (colon) host.len = (size_t)(colon - host.at);
    return host;
}

/* An address cannot be bound anew, a name can. */
static bool is_address(struct http_span h)
{
    if (h.len && h.at[0] == '[') return true;
    for (size_t i = 0; i < h.len; i++)
        if ((h.at[i] < '0' || h.at[i] > '9') && h.at[i] != '.') return false;
    return h.len > 0;
}

static bool is_listed(const char *list, struct http_span name)
{
    for (const char *at = list; at && *at;) {
        size_t n = strcspn(at, ","), k = n;
        const char *one = at;
        while (k && *one == ' ') one++, k--;
        while (k && one[k - 1] == ' ') k--;
        if (k == name.len && k && strncasecmp(one, name.at, k) == 0) return true;
        at += n + (at[n] == ',');
    }
    return false;
}

/* The origin of --url, under which a proxy shows these pages, whatever Host it sends on. */
static bool is_origin_of(const char *url, struct http_span origin)
{
    const char *host = url ? strstr(url, "://") : NULL;
    size_t n = host ? (size_t)(host - url) + 3 + strcspn(host + 3, "/?#") : 0;
    return n && n == origin.len && strncasecmp(url, origin.at, n) == 0;
}

const char *gate_refuses(const struct http_head *h, const char *host, const char *hosts, const char *url)
{
    static const char local[] = ".localhost";
    enum { LOCAL = sizeof local - 1 };
    struct http_span name = without_port(h->host), origin = http_field(h, "Origin"), site = http_field(h, "Sec-Fetch-Site");
    bool is_known = !name.len || is_address(name) || http_is_like(name, "localhost") || http_is_like(name, host) || is_listed(hosts, name) || is_listed(hosts, (struct http_span){ "*", 1 })
        || (name.len > LOCAL && strncasecmp(name.at + name.len - LOCAL, local, LOCAL) == 0);
    if (!is_known) return "the Host is not a name of this server; start it with --url or --allowed-hosts to add one";
    bool is_read = http_is(h->method, "GET") || http_is(h->method, "HEAD");
    if (!origin.at) return site.at && !is_read && !http_is_like(site, "same-origin") && !http_is_like(site, "none") ? "requests from pages of other sites are not allowed" : NULL;
    const char *scheme = memmem(origin.at, origin.len, "://", 3);
    struct http_span rest = { scheme ? scheme + 3 : origin.at, scheme ? origin.len - (size_t)(scheme + 3 - origin.at) : 0 };
    bool is_same = rest.len && rest.len == h->host.len && strncasecmp(rest.at, h->host.at, rest.len) == 0;
    return is_same || is_origin_of(url, origin) ? NULL : "requests from pages of other sites are not allowed";
}

/* ---- wrong tokens ------------------------------------------------------------------------------------------------------------------------ */

static size_t find(const struct gate *g, const char *address)
{
    for (size_t i = 0; i < g->n; i++)
        if (strcmp(g->at[i].address, address) == 0) return i;
    return RANK_NONE;
}

bool gate_is_blocked(const struct gate *g, const char *address, double now)
{
    size_t i = find(g, address);
    return i != RANK_NONE && now - g->at[i].since < WINDOW_SECONDS && g->at[i].wrong >= GATE_WRONG;
}

void gate_wrong(struct gate *g, const char *address, double now)
{
    size_t i = find(g, address);
    if (i == RANK_NONE) {                                      /* the oldest place, once all are taken */
        i = g->next;
        g->next = (g->next + 1) % GATE_ADDRESSES;
        if (g->n < GATE_ADDRESSES) g->n++;
        memset(&g->at[i], 0, sizeof g->at[i]);
        snprintf(g->at[i].address, sizeof g->at[i].address, "%s", address);
        g->at[i].since = now;
    }
    if (now - g->at[i].since >= WINDOW_SECONDS) { g->at[i].since = now; g->at[i].wrong = 0; }
    g->at[i].wrong++;
}

bool gate_knows(const struct gate *g, const uint8_t digest[32])
{
    for (size_t i = 0; i < g->n_known; i++)
        if (memcmp(g->known[i], digest, 32) == 0) return true;
    return false;
}

void gate_right(struct gate *g, const uint8_t digest[32])
{
    if (gate_knows(g, digest)) return;
    memcpy(g->known[g->next_known], digest, 32);
    g->next_known = (g->next_known + 1) % GATE_KNOWN;
    if (g->n_known < GATE_KNOWN) g->n_known++;
}
