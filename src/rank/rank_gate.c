/* rank_gate.c - who may ask: names of this server, pages of other sites, wrong tokens. Raters have no cookie, so a page of another site can do nothing in their name;
 * Host and Origin are looked at all the same, against names that are bound anew. */
#include "rank/rank.h"
#include "serve/http.h"
#include "serve/site.h"

#include <string.h>
#include <strings.h>

static const double WINDOW_SECONDS = 60;

/* The origin of --url, under which a proxy shows these pages, whatever Host it sends on. */
static bool is_origin_of(const char *url, struct http_span origin)
{
    const char *host = url ? strstr(url, "://") : NULL;
    size_t n = host ? (size_t)(host - url) + 3 + strcspn(host + 3, "/?#") : 0;
    return n && n == origin.len && strncasecmp(url, origin.at, n) == 0;
}

const char *gate_refuses(const struct http_head *h, const char *host, const char *hosts, const char *url)
{
    struct http_span origin = http_field(h, "Origin"), site = http_field(h, "Sec-Fetch-Site");
    if (h->host.len && !site_host_is_known(h->host, host, hosts)) return "the Host is not a name of this server; start it with --url or --allowed-hosts to add one";
    bool is_read = http_is(h->method, "GET") || http_is(h->method, "HEAD");
    bool is_own = origin.at ? site_is_own(origin, h->host) || is_origin_of(url, origin) : !site.at || is_read || http_is_like(site, "same-origin") || http_is_like(site, "none");
    return is_own ? NULL : "requests from pages of other sites are not allowed";
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
