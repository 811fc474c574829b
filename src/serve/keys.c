/* keys.c - who may ask: keys from a file, kept as digests and compared in constant time; and where a request comes from (site.h),
 * which is looked at before anything else. */
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>
#include <sys/stat.h>

#include "serve/server.h"
#include "serve/site.h"

enum { KEY_LEAST = 16, KEYS_MAX = 10000, FILE_MAX = 1 << 20 };

/* ---- the file ------------------------------------------------------------------------------------------------------------------- */

static bool read_hex(uint8_t out[32], const char *hex)
{
    for (size_t i = 0; i < 64; i++) {
        char c = hex[i];
        int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (v < 0) return false;
        out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | v : v << 4);
    }
    return true;
}

static sc_status add_line(struct api_keys *k, const char *line, size_t len, size_t number, const char *path, sc_error *err)
{
    size_t n = 0;
    while (n < len && line[n] != ' ' && line[n] != '\t') n++;
    const char *name = line + n;
    size_t name_len = len - n;
    while (name_len && (*name == ' ' || *name == '\t')) name++, name_len--;
    struct api_key *key = &k->at[k->n++];
    *key = (struct api_key){ 0 };
    if (name_len) snprintf(key->name, sizeof key->name, "%.*s", (int)name_len, name);
    else snprintf(key->name, sizeof key->name, "key-%zu", k->n);
    if (n == 71 && memcmp(line, "sha256:", 7) == 0) {
        if (read_hex(key->digest, line + 7)) return SC_OK;
        return FAIL(err, SC_E_FORMAT, "line %zu of %s: \"sha256:\" is not followed by 64 hexadecimal digits", number, path);
    }
    if (n < KEY_LEAST) return FAIL(err, SC_E_FORMAT, "line %zu of %s: the key has %zu characters, expected at least %d; `openssl rand -hex 24` makes a good one", number, path, n, KEY_LEAST);
    SHA256((const uint8_t *)line, n, key->digest);
    return SC_OK;
}

sc_status api_keys_read(struct api_keys *out, const char *path, sc_error *err)
{
    struct stat is;
    sc_text text = { 0 };
    *out = (struct api_keys){ 0 };
    if (stat(path, &is) == 0 && (is.st_mode & (S_IRGRP | S_IROTH | S_IWGRP | S_IWOTH)) && S_ISREG(is.st_mode))
        return FAIL(err, SC_E_IO, "others than its owner may read or write %s, which holds keys; try: chmod 600 %s", path, path);
    TRY(file_read(&text, path, FILE_MAX, err));
    out->at = mem_zero(KEYS_MAX, sizeof *out->at);
    sc_status status = SC_OK;
    size_t number = 0;
    for (const char *at = text.data, *end = text.data + text.len; at < end && status == SC_OK;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const char *line = at;
        size_t len = (size_t)((stop ? stop : end) - at);
        at += len + 1;
        number++;
        while (len && (line[len - 1] == '\r' || line[len - 1] == ' ' || line[len - 1] == '\t')) len--;
        while (len && (*line == ' ' || *line == '\t')) line++, len--;
        if (!len || *line == '#') continue;
        if (out->n == KEYS_MAX) status = FAIL(err, SC_E_FORMAT, "%s holds more than %d keys", path, KEYS_MAX);
        else status = add_line(out, line, len, number, path, err);
    }
    if (status == SC_OK && !out->n) status = FAIL(err, SC_E_FORMAT, "%s holds no key; write one a line", path);
    OPENSSL_cleanse(text.data, text.len);
    sc_text_free(&text);
    if (status != SC_OK) api_keys_release(out);
    return status;
}

void api_keys_release(struct api_keys *k)
{
    mem_free(k->at);
    *k = (struct api_keys){ 0 };
}

int api_keys_find(const struct api_keys *k, const char *key, size_t len)
{
    uint8_t digest[32];
    int found = -1;
    SHA256((const uint8_t *)key, len, digest);
    for (size_t i = 0; i < k->n; i++) {
        int same = CRYPTO_memcmp(digest, k->at[i].digest, sizeof digest) == 0;
        found = same * (int)i + (1 - same) * found;
    }
    return found;
}

/* ---- the gate -------------------------------------------------------------------------------------------------------------------------- */

bool origin_is_allowed(const struct sc_server *s, struct http_span origin) { return site_is_listed(s->c.allowed_origins, origin) || site_is_listed(s->c.allowed_origins, (struct http_span){ "*", 1 }); }

/* The page's own requests name this server as their origin; so do those of programs without one. */
static bool origin_is_known(const struct sc_server *s, const struct http_head *h)
{
    struct http_span origin = http_field(h, "Origin");
    if (!origin.at) return http_field(h, "Sec-Fetch-Site").at == NULL || !http_is_like(http_field(h, "Sec-Fetch-Site"), "cross-site") || http_is(h->method, "GET");
    return origin_is_allowed(s, origin) || site_is_own(origin, h->host);
}

/* "Bearer KEY", or the key alone in X-Api-Key. */
static struct http_span given_key(const struct http_head *h)
{
    struct http_span v = http_field(h, "Authorization");
    if (v.len > 7 && strncasecmp(v.at, "Bearer ", 7) == 0) return (struct http_span){ v.at + 7, v.len - 7 };
    return v.at ? (struct http_span){ 0 } : http_field(h, "X-Api-Key");
}

static uint64_t hash_text(const char *text, size_t len)
{
    uint8_t digest[32];
    uint64_t out;
    SHA256((const uint8_t *)text, len, digest);
    memcpy(&out, digest, sizeof out);
    return out ? out : 1;
}

bool gate(struct call *c, struct api_error *e)
{
    const struct sc_server *s = c->server;
    const struct http_head *h = &c->x->head;
    char quoted[80];
    if (h->host.len && !site_host_is_known(h->host, s->c.host, s->c.allowed_hosts))
        return api_fail(e, 403, "permission_error", "unknown_host", NULL, "the Host \"%s\" is not a name of this server; start it with --allowed-hosts to add one", error_quote(quoted, sizeof quoted, h->host.at, h->host.len));
    if (!origin_is_known(s, h)) {
        struct http_span o = http_field(h, "Origin");
        return api_fail(e, 403, "permission_error", "unknown_origin", NULL, "requests from the page %s are not allowed; start the server with --allowed-origins to allow them", error_quote(quoted, sizeof quoted, o.at ? o.at : "of another site", o.at ? o.len : 15));
    }
    c->client = hash_text(c->x->address, strlen(c->x->address));
    bool is_preflight = http_is(h->method, "OPTIONS") && http_field(h, "Origin").at;       /* browsers send it without the key, and it does nothing */
    if (!s->keys.n || is_preflight || (c->route && c->route->is_public)) return true;
    struct http_span key = given_key(h);
    int found = key.at ? api_keys_find(&s->keys, key.at, key.len) : -1;
    if (found < 0)
        return api_fail(e, 401, "authentication_error", "invalid_api_key", NULL, key.at ? "the API key is none of this server's" : "this server wants an API key: send the field \"Authorization: Bearer KEY\"");
    c->client = c->salt = hash_text((const char *)s->keys.at[found].digest, 32);     /* each key has a cache of its own: times would tell of others' prompts */
    return true;
}
