/* endpoint.c - the address of a model on a server, and its key. The key comes from whoever starts the run, goes to its own origin alone (redirects are not followed)
 * and is written nowhere. */
#include "judge/endpoint.h"

#include "hub/hub.h"

#include <string.h>

bool endpoint_is_spec(const char *text) { return strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0; }

void endpoint_release(struct endpoint *e)
{
    char *const owned[] = { e->base, e->address, e->origin, e->host, e->name };
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) mem_free(owned[i]);
    if (e->key) explicit_bzero(e->key, strlen(e->key));
    mem_free(e->key);
    *e = (struct endpoint){ 0 };
}

static bool is_loopback(const char *host)
{
    return !strcmp(host, "localhost") || !strcmp(host, "[::1]") || !strcmp(host, "::1") || (!strncmp(host, "127.", 4) && strspn(host, "0123456789.") == strlen(host));
}

/* The endings that people copy along with an address. */
static void cut_ending(char *base)
{
    static const char *const endings[] = { "/chat/completions", "/completions" };
    size_t n = strlen(base);
    while (n && base[n - 1] == '/') base[--n] = 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t m = strlen(endings[i]);
        if (n > m && !strcmp(base + n - m, endings[i])) base[n -= m] = 0;
    }
}

sc_status endpoint_open(struct endpoint *out, const char *spec, sc_error *err)
{
    *out = (struct endpoint){ 0 };
    const char *hash = strchr(spec, '#');
    char quoted[160];
    error_quote(quoted, sizeof quoted, spec, hash ? (size_t)(hash - spec) : strlen(spec));
    if (!hash || !hash[1]) return FAIL(err, SC_E_ARGUMENT, "%s names a server but no model on it, expected URL#NAME such as http://127.0.0.1:8080/v1#gpt-4o", quoted);
    char *given = mem_strndup(spec, (size_t)(hash - spec)), *plain = url_public(given);
    size_t authority = given && strstr(given, "://") ? strcspn(strstr(given, "://") + 3, "/?") : 0;
    sc_status status = SC_OK;
    if (!plain) status = FAIL(err, SC_E_ARGUMENT, "\"%s\" is no http or https address", quoted);
    else if (memchr(strstr(given, "://") + 3, '@', authority) || strchr(given, '?'))
        status = FAIL(err, SC_E_ARGUMENT, "the address of %s has a password or a query in it, which would be written to files; give a key by --key-env", plain);
    if (status == SC_OK) {
        out->base = given;
        given = NULL;
        cut_ending(out->base);
        struct buf b;
        buf_init(&b, 0);
        buf_printf(&b, "%s/chat/completions", out->base);
        out->address = b.data;
        out->origin = url_origin(out->base);
        out->host = url_host(out->base);
        out->name = mem_strdup(hash + 1);
        if (!out->origin || !out->host) status = FAIL(err, SC_E_ARGUMENT, "\"%s\" is no http or https address", quoted);
        else out->is_loopback = is_loopback(out->host);
    }
    mem_free(given);
    mem_free(plain);
    if (status != SC_OK) endpoint_release(out);
    return status;
}

void endpoint_hide_key(const struct endpoint *e, char *text)
{
    size_t n = e->key ? strlen(e->key) : 0;
    if (n < 4) return;
    for (char *at = text; (at = strstr(at, e->key)); at += 3) {
        memcpy(at, "***", 3);
        memmove(at + 3, at + n, strlen(at + n) + 1);
    }
}
