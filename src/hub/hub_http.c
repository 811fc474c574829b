/* hub_http.c - HTTP requests over libcurl. Redirects are followed here and not by the library, because three rules hang
 * on each step: the Hub's token goes to the Hub alone, nothing falls from https to http, and a metadata request stops at
 * the door of another server, whose headers say nothing about the file. Failures that may pass are tried again with
 * growing pauses. Sources: RFC 9110; huggingface_hub file_download (headers, what is retried). */
#include "hub/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { MAX_REDIRECTS = 10, MAX_TRIES = 5, STALL_SECONDS = 30, LONGEST_PAUSE = 300, REFUSAL_BODY = 64 * 1024, VALUE_MAX = 8 * 1024 };

/* ORDER http_header */
static const char *const http_header_names[HTTP_HEADERS] = {
    "location", "etag", "x-linked-etag", "x-linked-size", "x-repo-commit", "x-error-code", "x-error-message", "link",
    "retry-after", "content-range", "content-encoding", "content-length", "content-type", "last-modified"
};

/* One request to one address while it runs. */
struct exchange {
    struct http *http;
    const struct http_request *request;
    struct http_reply *reply;
    sc_status status;            /* of the sink, or of a body that is too long */
    sc_error *err;
};

sc_status http_open(struct http *h, const struct hub_env *env, sc_on_event on_event, void *user, sc_error *err)
{
    *h = (struct http){ .ca_file = env->ca_file, .on_event = on_event, .user = user, .connect_seconds = 10 };
    h->curl = curl_easy_init();
    if (!h->curl) return FAIL(err, SC_E_MEMORY, "libcurl cannot start");
    if (env->token) {
        h->token = mem_strdup(env->token);
        h->token_origin = url_origin(env->endpoint);
    }
    return SC_OK;
}

void http_close(struct http *h)
{
    curl_easy_cleanup(h->curl);
    mem_free(h->token);
    mem_free(h->token_origin);
    *h = (struct http){ 0 };
}

void http_note(const struct http *h, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    note_event(h->on_event, h->user, text);
}

static void clear_headers(struct http_reply *r)
{
    for (int i = 0; i < HTTP_HEADERS; i++) {
        mem_free(r->header[i]);
        r->header[i] = NULL;
    }
}

void http_reply_release(struct http_reply *r)
{
    clear_headers(r);
    mem_free(r->url);
    buf_release(&r->body);
    *r = (struct http_reply){ 0 };
}

/* ---- callbacks of libcurl ------------------------------------------------------------------------------------------- */

static size_t on_header(char *line, size_t size, size_t n, void *user)
{
    struct exchange *x = user;
    size_t len = size * n;
    x->http->was_answered = true;
    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) clear_headers(x->reply);
    const char *colon = memchr(line, ':', len);
    if (!colon) return len;
    const char *value = colon + 1, *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t')) value++;
    while (end > value && (unsigned char)end[-1] <= ' ') end--;
    if (end - value > VALUE_MAX) return len;
    for (const char *p = value; p < end; p++)
        if ((unsigned char)*p < ' ' || *p == 127) return len;   /* such a value could only do harm in a message */
    for (int i = 0; i < HTTP_HEADERS; i++) {
        if (strlen(http_header_names[i]) != (size_t)(colon - line) || strncasecmp(http_header_names[i], line, (size_t)(colon - line)) != 0) continue;
        mem_free(x->reply->header[i]);
        x->reply->header[i] = mem_strndup(value, (size_t)(end - value));
    }
    return len;
}

static bool is_over(const struct http *h) { return h->is_over && atomic_load(h->is_over); }

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
    struct exchange *x = user;
    size_t len = size * n;
    struct http_reply *r = x->reply;
    curl_easy_getinfo(x->http->curl, CURLINFO_RESPONSE_CODE, &r->status);
    bool is_success = r->status / 100 == 2;
    if (is_over(x->http)) {
        x->status = FAIL(x->err, SC_E_CANCELLED, "stopped, because another file failed");
        return 0;
    }
    if (is_success && x->request->sink) {
        x->status = x->request->sink(x->request->user, r, data, len, x->err);
        return x->status == SC_OK ? len : 0;
    }
    size_t max = is_success ? x->request->max_body : REFUSAL_BODY;
    if (len <= max - r->body.len) {
        buf_append(&r->body, data, len);
    } else if (is_success) {
        char *shown = url_public(x->request->url);
        x->status = FAIL(x->err, SC_E_FORMAT, "%s answers with more than the %zu bytes expected at most", shown ? shown : "the server", max);
        mem_free(shown);
        return 0;
    }
    return len;
}

/* ---- one request ----------------------------------------------------------------------------------------------------- */

static struct curl_slist *header_add(struct curl_slist *list, const char *name, const char *value)
{
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(list, b.data);
    buf_release(&b);
    return longer ? longer : list;
}

static struct curl_slist *request_headers(const struct http *h, const struct http_request *q, const char *url)
{
    struct curl_slist *list = q->accept ? header_add(NULL, "Accept", q->accept) : NULL;
    char *origin = h->token ? url_origin(url) : NULL;
    if (origin && strcmp(origin, h->token_origin) == 0) {
        struct buf bearer;
        buf_init(&bearer, 0);
        buf_printf(&bearer, "Bearer %s", h->token);
        list = header_add(list, "Authorization", bearer.data);
        buf_release(&bearer);
    }
    mem_free(origin);
    if (q->range_from || q->range_to) {
        char range[64];
        if (q->range_to) snprintf(range, sizeof range, "bytes=%llu-%llu", (unsigned long long)q->range_from, (unsigned long long)q->range_to);
        else snprintf(range, sizeof range, "bytes=%llu-", (unsigned long long)q->range_from);
        list = header_add(list, "Range", range);
        if (q->if_range) list = header_add(list, "If-Range", q->if_range);
    }
    return q->body ? http_body_headers(list, q->body) : list;
}

static sc_status transport_failure(CURLcode code, const char *detail, const char *url, sc_error *err)
{
    char *host = url_host(url);
    const char *name = host ? host : "the server";
    sc_status status;
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST: case CURLE_COULDNT_RESOLVE_PROXY:
        status = FAIL(err, SC_E_IO, "%s cannot be found: no network here, or no such host", name);
        break;
    case CURLE_COULDNT_CONNECT:
        status = FAIL(err, SC_E_IO, "cannot connect to %s: %s", name, detail);
        break;
    case CURLE_OPERATION_TIMEDOUT:
        status = FAIL(err, SC_E_IO, "%s does not answer in time: %s", name, detail);
        break;
    case CURLE_PEER_FAILED_VERIFICATION: case CURLE_SSL_CACERT_BADFILE:
        status = FAIL(err, SC_E_IO, "the certificate of %s is not accepted: %s; behind a proxy of your own set SSL_CERT_FILE", name, detail);
        break;
    default:
        status = FAIL(err, SC_E_IO, "the connection to %s failed: %s", name, detail);
    }
    mem_free(host);
    return status;
}

static void set_options(struct exchange *x, const char *url, struct curl_slist *headers, char *detail)
{
    CURL *c = x->http->curl;
    curl_easy_reset(c);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "starchat/" SC_VERSION);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, x->http->connect_seconds);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)STALL_SECONDS);
    curl_easy_setopt(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256 * 1024L);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, detail);
    /* A file is asked for as it is, so that ranges and sizes are its own; what comes encoded all the same is decoded. */
    curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, x->request->sink || x->request->is_head ? "identity" : "");
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    if (x->request->is_head) curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    if (x->http->ca_file) curl_easy_setopt(c, CURLOPT_CAINFO, x->http->ca_file);
    if (x->request->body) http_body_options(c, x->request->body);
}

static sc_status exchange_run(struct exchange *x, const char *url)
{
    char detail[CURL_ERROR_SIZE] = "";
    struct http_reply *r = x->reply;
    struct curl_slist *headers = request_headers(x->http, x->request, url);
    r->status = 0;
    buf_clear(&r->body);
    clear_headers(r);
    x->status = SC_OK;
    set_options(x, url, headers, detail);
    r->transport = curl_easy_perform(x->http->curl);
    curl_easy_getinfo(x->http->curl, CURLINFO_RESPONSE_CODE, &r->status);
    curl_slist_free_all(headers);
    if (x->status != SC_OK) return x->status;
    if (r->transport == CURLE_OK) return SC_OK;
    return transport_failure(r->transport, detail[0] ? detail : curl_easy_strerror(r->transport), url, x->err);
}

/* The next address of a redirect into *next; NULL when the reply is the final one. */
static sc_status next_hop(char **next, const struct exchange *x, sc_error *err)
{
    const struct http_reply *r = x->reply;
    long s = r->status;
    *next = NULL;
    if ((s != 301 && s != 302 && s != 303 && s != 307 && s != 308) || !r->header[HTTP_LOCATION]) return SC_OK;
    if (x->request->body && s != 307 && s != 308) return SC_OK;
    char *target = url_join(r->url, r->header[HTTP_LOCATION]);
    char *here = url_origin(r->url), *there = target ? url_origin(target) : NULL;
    bool stays = x->request->is_head || x->request->body;
    sc_status status = SC_OK;
    if (!target || !here || !there) {
        status = FAIL(err, SC_E_FORMAT, "the server redirects to what is no http address");
    } else if (strncmp(here, "https:", 6) == 0 && strncmp(there, "https:", 6) != 0) {
        status = FAIL(err, SC_E_FORMAT, "%s redirects to %s without encryption; refused", here, there);
    } else if (!stays || strcmp(here, there) == 0) {
        *next = target;
        target = NULL;
    }
    mem_free(target);
    mem_free(here);
    mem_free(there);
    return status;
}

sc_status http_once(struct http *h, const struct http_request *q, struct http_reply *r, sc_error *err)
{
    struct exchange x = { .http = h, .request = q, .reply = r, .err = err };
    mem_free(r->url);
    r->url = mem_strdup(q->url);
    for (int hop = 0; hop <= MAX_REDIRECTS; hop++) {
        char *next;
        TRY(exchange_run(&x, r->url));
        TRY(next_hop(&next, &x, err));
        if (!next) return SC_OK;
        mem_free(r->url);
        r->url = next;
    }
    r->status = 0;
    return FAIL(err, SC_E_FORMAT, "more than %d redirects from one address", MAX_REDIRECTS);
}

/* ---- trying again ------------------------------------------------------------------------------------------------------ */

bool http_is_passing(const struct http *h, const struct http_reply *r)
{
    switch (r->transport) {
    case CURLE_OK: break;
    case CURLE_COULDNT_RESOLVE_HOST: case CURLE_COULDNT_RESOLVE_PROXY: case CURLE_COULDNT_CONNECT: case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
        return h->was_answered;
    case CURLE_PARTIAL_FILE: case CURLE_RECV_ERROR: case CURLE_SEND_ERROR: case CURLE_GOT_NOTHING: case CURLE_HTTP2: case CURLE_HTTP2_STREAM:
        return true;
    default:
        return false;
    }
    return r->status == 408 || r->status == 429 || r->status == 500 || r->status == 502 || r->status == 503 || r->status == 504;
}

double http_retry_after(const char *value)
{
    if (!value || !*value) return -1;
    char *end;
    unsigned long long seconds = strtoull(value, &end, 10);
    if (*end == 0 && value[0] != '-') return seconds < 1000000 ? (double)seconds : 1e6;
    time_t date = curl_getdate(value, NULL);
    if (date == -1) return -1;
    double left = difftime(date, time(NULL));
    return left > 0 ? left : 0;
}

sc_status http_wait(const struct http *h, const struct http_reply *r, int tries, sc_error *err)
{
    double seconds = 0.5 * (double)(1 << (tries < 4 ? tries : 4)), asked = http_retry_after(r->header[HTTP_RETRY_AFTER]);
    char *host = url_host(r->url);
    sc_status status = SC_OK;
    if (asked > LONGEST_PAUSE) status = FAIL(err, SC_E_PEER, "%s asks to come back in %.0f seconds (answer %ld); run the command again then", host ? host : "the server", asked, r->status);
    if (asked > seconds) seconds = asked;
    if (status == SC_OK && seconds >= 2) {
        if (r->status / 100 == 2) http_note(h, "the answer of %s was cut short; trying again in %.0f s", host ? host : "the server", seconds);
        else if (r->status && r->transport == CURLE_OK) http_note(h, "%s answers %ld; trying again in %.0f s", host ? host : "the server", r->status, seconds);
        else http_note(h, "the connection to %s broke; trying again in %.0f s", host ? host : "the server", seconds);
    }
    mem_free(host);
    if (status != SC_OK) return status;
    for (double until = clock_seconds() + seconds, left; !is_over(h) && (left = until - clock_seconds()) > 0;) {
        struct timespec pause = { 0, (long)((left < 0.1 ? left : 0.1) * 1e9) };
        (void)nanosleep(&pause, NULL);
    }
    return is_over(h) ? FAIL(err, SC_E_CANCELLED, "stopped, because another file failed") : SC_OK;
}

sc_status http_fetch(struct http *h, const struct http_request *q, struct http_reply *r, sc_error *err)
{
    for (int tries = 0;; tries++) {
        sc_status status = http_once(h, q, r, err);
        bool is_final = status == SC_OK ? !http_is_passing(h, r) : r->transport == CURLE_OK || r->transport == CURLE_WRITE_ERROR || !http_is_passing(h, r);
        if (is_final || tries + 1 == MAX_TRIES) return status;
        TRY(http_wait(h, r, tries, err));
    }
}

sc_status http_refusal(const struct http *h, const struct http_reply *r, const char *what, sc_error *err)
{
    char quoted[200];
    const char *code = r->header[HTTP_ERROR_CODE] ? r->header[HTTP_ERROR_CODE] : "", *said = r->header[HTTP_ERROR_MESSAGE] ? r->header[HTTP_ERROR_MESSAGE] : "";
    error_quote(quoted, sizeof quoted, said, strlen(said));
    char *host = url_host(r->url);
    const char *name = host ? host : "the server";
    sc_status status;
    if (strcmp(code, "GatedRepo") == 0)
        status = FAIL(err, SC_E_IO, "%s: access is gated (answer %ld from %s): open its page there, accept the terms, and %s%s%s", what, r->status, name,
                      h->token ? "use a token of the account that did" : "log in here with a token of that account (`starchat login`, or HF_TOKEN)", *said ? "; it says: " : "", quoted);
    else if (r->status == 403)
        status = FAIL(err, SC_E_IO, "%s: %s refuses access (answer 403)%s%s; %s", what, name, *said ? ", it says: " : "", quoted,
                      h->token ? "the token may lack the permission (`starchat whoami` shows its role), or the model is gated and its terms are to be accepted on its page" : "log in with `starchat login`, or set HF_TOKEN");
    else if (r->status == 401 && h->token && strncmp(said, "Invalid", 7) == 0)
        status = FAIL(err, SC_E_IO, "%s: %s does not accept the token (answer 401, %s): it is mistyped, expired or revoked; `starchat login` sets a new one", what, name, quoted);
    else if (r->status == 401)
        status = FAIL(err, SC_E_IO, "%s was not found on %s, or it is private or gated (answer 401): check the name, and %s", what, name,
                      h->token ? "whether the token may read it (`starchat whoami`)" : "log in if it needs that (`starchat login`, or HF_TOKEN)");
    else if (r->status == 404)
        status = FAIL(err, SC_E_IO, "%s was not found on %s (answer 404%s%s)%s", what, name, *code ? ", " : "", code,
                      strcmp(code, "RevisionNotFound") == 0 ? ": the repository has no such revision" : strcmp(code, "EntryNotFound") == 0 ? ": the repository has no such file"
                      : h->token ? ": check the name" : ": check the name; a private one needs a login (`starchat login`)");
    else if (r->status == 429)
        status = FAIL(err, SC_E_PEER, "%s: %s asks for fewer requests (answer 429); wait some minutes%s", what, name, h->token ? "" : ", or log in for a higher limit (`starchat login`)");
    else
        status = FAIL(err, r->status >= 500 ? SC_E_PEER : SC_E_IO, "%s: %s answers %ld%s%s", what, name, r->status, *said ? ": " : "", quoted);
    mem_free(host);
    return status;
}
