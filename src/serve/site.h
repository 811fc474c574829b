/* site.h - where a request of a browser comes from. Any page may send requests to this machine, so the Host is looked at (names that are bound anew, DNS rebinding) and the
 * Origin (pages of other sites). Pure functions, for every server of this program. */
#ifndef SITE_H
#define SITE_H

#include "serve/http_parse.h"

/* A list with commas holds the name, in any case. */
bool site_is_listed(const char *list, struct http_span name);
/* An address, localhost, `own` or one of `allowed` (with commas; "*": any), with a port or without. An address cannot be bound anew, a name can: only those that are known. */
bool site_host_is_known(struct http_span host, const char *own, const char *allowed);
/* "scheme://HOST", HOST with the port as the request names it: a page of this server itself. */
bool site_is_own(struct http_span origin, struct http_span host);

#endif
