/* endpoint_run.c - many requests to one server at once, over libcurl's multi interface. What fails in passing is tried again with growing, drawn pauses; what the server
 * refuses for good stops the run. Each answer goes to the cache before anybody sees it. Sources: RFC 9110 (status codes, Retry-After); libcurl-multi(3). */
#include "judge/endpoint.h"

#include "hub/hub.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum { POLL_MS = 100, FAILED_IN_A_ROW = 5, VALUE_MAX = 2048, CHARACTERS_A_TOKEN = 4 };
#define TELL_SECONDS 10.0          /* between two lines about requests that are tried again */
#define LEAST_TOLD 2.0             /* a pause that somebody notices */
#define LONGEST_PAUSE 30.0         /* between two tries, where the server asks for none */
#define LONGEST_WISH 600.0         /* longer ones of a server end the run */
#define ELSEWHERE_PAUSE 0.1        /* while another asks the same */

/* A request under way or waiting for its time. */
struct job { struct ask ask; char key[65]; int tries; double due, reserved; bool is_reserved, is_claimed; struct job *next; };
struct slot { CURL *easy; struct job *job; struct curl_slist *headers; struct buf body; char *location, *retry_after, detail[CURL_ERROR_SIZE]; double began; bool is_too_long; struct running *run; };
struct running {
    struct talk *t; const struct asker *asker;
    CURLM *multi; struct slot *slot; size_t n_busy;
    struct job *waiting; size_t n_waiting;
    double hold_until, next_send;
    size_t failed_in_a_row, untold; uint64_t draws;
    double tell_at; struct refusals refusals;
    bool is_over, was_answered, is_dry;             /* over: nothing new is sent; dry: next has no more for now */
    const char *ca_file;
    sc_status status; sc_error *err;
};

/* ---- jobs ------------------------------------------------------------------------------------------------------------------------------------ */

static void job_free(struct running *r, struct job *j, const struct reply *reply)
{
    if (j->is_reserved) budget_settle(r->t->budget, j->reserved, strlen(j->ask.request), reply);
    if (j->is_claimed) cache_unclaim(r->t->cache, j->key);
    mem_free(j->ask.request);
    mem_free(j);
}

static void job_wait(struct running *r, struct job *j, double seconds)
{
    j->due = clock_seconds() + seconds;
    j->next = r->waiting;
    r->waiting = j;
    r->n_waiting++;
}

static struct job *job_due(struct running *r)
{
    double now = clock_seconds();
    for (struct job **at = &r->waiting; *at; at = &(*at)->next)
        if ((*at)->due <= now) {
            struct job *j = *at;
            *at = j->next;
            r->n_waiting--;
            return j;
        }
    return NULL;
}

/* The first failure counts; what is on its way is waited for. */
static void stop(struct running *r, sc_status status)
{
    if (r->status == SC_OK) r->status = status;
    r->is_over = true;
}

static void answer(struct running *r, struct job *j, const struct reply *reply)
{
    sc_error own = { 0 };
    sc_status status = r->asker->answered(r->asker->user, j->ask.item, reply, &own);
    if (status != SC_OK && r->status == SC_OK && r->err) *r->err = own;
    if (status == SC_OK && (status = refusals_answered(&r->refusals, reply->is_kept, &own)) != SC_OK && r->status == SC_OK && r->err) *r->err = own;
    if (status != SC_OK) stop(r, status);
    r->is_dry = false;
}

/* ---- callbacks of libcurl ------------------------------------------------------------------------------------------------------------------------ */

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
    struct slot *s = user;
    s->is_too_long = size * n > s->run->t->limits.message_max - s->body.len;
    if (s->is_too_long) return 0;
    buf_append(&s->body, data, size * n);
    return size * n;
}

static void keep_value(char **out, const char *line, size_t len, const char *name)
{
    size_t m = strlen(name);
    if (len <= m || strncasecmp(line, name, m) != 0 || len - m > VALUE_MAX) return;
    while (m < len && (line[m] == ' ' || line[m] == '\t')) m++;
    while (len > m && (unsigned char)line[len - 1] <= ' ') len--;
    mem_free(*out);
    *out = mem_strndup(line + m, len - m);
}

static size_t on_header(char *line, size_t size, size_t n, void *user)
{
    struct slot *s = user;
    keep_value(&s->location, line, size * n, "location:");
    keep_value(&s->retry_after, line, size * n, "retry-after:");
    return size * n;
}

/* ---- sending ----------------------------------------------------------------------------------------------------------------------------------------- */

static void set_options(struct slot *s, const struct talk *t)
{
    const struct endpoint *e = t->endpoint;
    const struct talk_limits *l = &t->limits;
    CURL *c = s->easy;
    struct buf bearer;
    curl_easy_reset(c);
    s->headers = curl_slist_append(NULL, "Content-Type: application/json");
    s->headers = curl_slist_append(s->headers, "Expect:");
    if (e->key) {
        buf_init(&bearer, 0);
        buf_printf(&bearer, "Authorization: Bearer %s", e->key);
        s->headers = curl_slist_append(s->headers, bearer.data);
        explicit_bzero(bearer.data, bearer.len);
        buf_release(&bearer);
    }
    curl_easy_setopt(c, CURLOPT_URL, e->address);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    if (e->is_loopback) curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    if (s->run->ca_file) curl_easy_setopt(c, CURLOPT_CAINFO, s->run->ca_file);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "starchat/" SC_VERSION);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)(l->connect_seconds * 1000));
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(l->request_seconds * 1000));
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)(l->idle_seconds + 0.999));
    curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, s->headers);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, s->job->ask.request);
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(s->job->ask.request));
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, s);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, s->detail);
    curl_easy_setopt(c, CURLOPT_PRIVATE, s);
}

static void send_job(struct running *r, struct job *j)
{
    struct slot *s = r->slot;
    while (s->job) s++;                                        /* there is a free one: n_busy < parallel */
    s->job = j;
    s->detail[0] = 0;
    s->is_too_long = false;
    buf_clear(&s->body);
    mem_free(s->location);
    mem_free(s->retry_after);
    s->location = s->retry_after = NULL;
    s->began = clock_seconds();
    set_options(s, r->t);
    curl_multi_add_handle(r->multi, s->easy);
    r->n_busy++;
    if (r->t->limits.rate > 0) r->next_send = s->began + 60 / r->t->limits.rate;
}

static bool is_asked_here(const struct running *r, const char *key)
{
    for (size_t i = 0; i < r->t->limits.parallel; i++)
        if (r->slot[i].job && !strcmp(r->slot[i].job->key, key)) return true;
    for (const struct job *j = r->waiting; j; j = j->next)
        if (j->is_claimed && !strcmp(j->key, key)) return true;
    return false;
}

/* From the cache, else, if nobody asks the same already and the budget has room, it may be sent. False: it is done, waits, or there is no budget. */
static bool prepare(struct running *r, struct job *j)
{
    struct talk *t = r->t;
    struct reply kept = { 0 };
    bool found = false, here = !j->is_claimed && is_asked_here(r, j->key);
    sc_status status = SC_OK;
    if (!j->is_claimed && !here) j->is_claimed = cache_claim(t->cache, j->key);
    if (!here && j->tries == 0) status = cache_find(&found, &kept, t->cache, j->key, r->err);      /* behind the claim: whoever had it may have been answered */
    if (status != SC_OK) stop(r, status);
    if (found) {
        t->budget->kept++;
        answer(r, j, &kept);
        reply_release(&kept);
    }
    if (status != SC_OK || found) {
        job_free(r, j, NULL);
        return false;
    }
    if (!j->is_claimed) {
        job_wait(r, j, ELSEWHERE_PAUSE);
        return false;
    }
    if (j->is_reserved) return true;
    j->is_reserved = budget_reserve(t->budget, &j->reserved, strlen(j->ask.request), request_limit(j->ask.request));
    if (j->is_reserved) return true;
    if (t->budget->reserved_calls) {                           /* what is on its way may cost less than was reckoned */
        job_wait(r, j, ELSEWHERE_PAUSE);
        return false;
    }
    t->is_spent = r->is_over = true;
    job_free(r, j, NULL);
    return false;
}

static struct job *job_new(struct running *r)
{
    struct ask a = { 0 };
    if (r->is_dry || r->n_waiting >= r->t->limits.parallel) return NULL;
    if (!r->asker->next(r->asker->user, &a)) {
        r->is_dry = true;
        return NULL;
    }
    struct job *j = mem_zero(1, sizeof *j);
    j->ask = a;
    cache_key(j->key, r->t->endpoint->address, r->t->name, a.request);
    if (strlen(a.request) <= r->t->limits.message_max) return j;
    stop(r, FAIL(r->err, SC_E_ARGUMENT, "a request to %s would have %zu bytes, more than the %zu that are allowed; --message-mib allows more", r->t->endpoint->base, strlen(a.request), r->t->limits.message_max));
    job_free(r, j, NULL);
    return NULL;
}

static void fill(struct running *r)
{
    while (!r->is_over && r->n_busy < r->t->limits.parallel) {
        double now = clock_seconds();
        if (r->t->runtime->cancel) {
            stop(r, FAIL(r->err, SC_E_CANCELLED, "stopped; the same command goes on with what is left"));
            if (r->n_busy) runtime_note(r->t->runtime, "waiting for %zu requests that are on their way (Ctrl-C again ends at once)", r->n_busy);
            return;
        }
        if (now < r->hold_until || now < r->next_send) return;
        struct job *j = job_due(r);
        if (!j) j = job_new(r);
        if (!j) return;
        if (prepare(r, j)) send_job(r, j);
    }
}

/* ---- what came back -------------------------------------------------------------------------------------------------------------------------------- */

static sc_status transport_failure(const struct slot *s, CURLcode code, const struct endpoint *e, sc_error *err)
{
    const char *detail = s->detail[0] ? s->detail : curl_easy_strerror(code);
    if (s->is_too_long) return FAIL(err, SC_E_PEER, "%s answers with more than the %zu bytes that are allowed", e->base, s->run->t->limits.message_max);
    if (code == CURLE_COULDNT_RESOLVE_HOST) return FAIL(err, SC_E_PEER, "%s cannot be found: no network here, or no such host", e->host);
    if (code == CURLE_COULDNT_CONNECT) return FAIL(err, SC_E_PEER, "cannot connect to %s: %s", e->base, detail);
    if (code == CURLE_OPERATION_TIMEDOUT) return FAIL(err, SC_E_PEER, "%s does not answer in time: %s", e->base, detail);
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
        return FAIL(err, SC_E_PEER, "the certificate of %s is not accepted: %s; behind a proxy of your own set SSL_CERT_FILE", e->host, detail);
    return FAIL(err, SC_E_PEER, "the connection to %s failed: %s", e->base, detail);
}

/* A server that never answered is probably not there, or somebody else. */
static bool transport_is_passing(const struct running *r, CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST: case CURLE_COULDNT_RESOLVE_PROXY: case CURLE_COULDNT_CONNECT: case CURLE_SSL_CONNECT_ERROR: return r->was_answered;
    case CURLE_PEER_FAILED_VERIFICATION: case CURLE_SSL_CACERT_BADFILE: case CURLE_URL_MALFORMAT: return false;
    default: return true;
    }
}

/* Doubled each time, between half of it and the whole, so that many do not come back at the same moment. */
static double pause_of(struct running *r, int tries)
{
    double p = r->t->limits.retry_seconds;
    for (int i = 1; i < tries && p < LONGEST_PAUSE; i++) p *= 2;
    if (p > LONGEST_PAUSE) p = LONGEST_PAUSE;
    return p * (0.5 + 0.5 * random_unit(0x6a756467, 1, r->draws++));
}

/* Many requests fail at once and again: a line for all of them. */
static void tell_retry(struct running *r, const sc_error *own, double pause)
{
    double now = clock_seconds();
    char more[80] = "";
    r->untold++;
    if (pause < LEAST_TOLD || now < r->tell_at) return;
    if (r->untold > 1) snprintf(more, sizeof more, " (%zu requests failed since this was told last)", r->untold);
    runtime_note(r->t->runtime, "%s%s; trying again in %.0f s", own->message, more, pause);
    r->untold = 0;
    r->tell_at = now + TELL_SECONDS;
}

/* A reply that is of no use, but was paid: what is tried next needs room in the budget of its own. */
static void pay_for_nothing(struct running *r, struct job *j, const struct reply *paid)
{
    budget_settle(r->t->budget, j->reserved, strlen(j->ask.request), paid);
    r->t->budget->unusable++;
    j->is_reserved = false;
}

/* `own`: what happened. paid: what it cost; NULL: nothing. */
static void fail_passing(struct running *r, struct job *j, long status, const char *retry_after, const struct reply *paid, const sc_error *own)
{
    struct talk *t = r->t;
    double wish = http_retry_after(retry_after), pause = pause_of(r, ++j->tries);
    t->last = *own;
    if (paid) pay_for_nothing(r, j, paid);
    if (wish > LONGEST_WISH) {
        stop(r, FAIL(r->status == SC_OK ? r->err : NULL, SC_E_PEER, "%s asks to come back in %.0f seconds (answer %ld); the same command goes on with what is left then", t->endpoint->base, wish, status));
        job_free(r, j, NULL);
        return;
    }
    if (wish > pause) pause = wish;
    if (status == 429 || wish > 0) r->hold_until = fmax(r->hold_until, clock_seconds() + pause);
    if (j->tries < t->limits.tries && !r->is_over) {
        tell_retry(r, own, pause);
        job_wait(r, j, pause);
        return;
    }
    job_free(r, j, NULL);
    t->failed++;
    r->is_dry = false;
    if (++r->failed_in_a_row >= FAILED_IN_A_ROW && !r->is_over) {
        if (r->status == SC_OK && r->err) *r->err = *own;
        stop(r, own->status);
    }
}

/* Tokens of a body that nothing could be read from: as many as it has room for. */
static int64_t tokens_of_body(const struct slot *s, const struct job *j)
{
    int64_t most = request_limit(j->ask.request), n = (int64_t)(s->body.len / CHARACTERS_A_TOKEN);
    return n < most ? n : most;
}

static void take_reply(struct running *r, struct slot *s, struct job *j)
{
    struct reply reply = { 0 };
    struct buf text;
    sc_error own = { 0 };
    buf_init(&text, 0);
    utf8_repair(&text, s->body.data ? s->body.data : "", s->body.len);
    /* In the whole: of a key that a message cuts the half would be left. A text with a NUL is no JSON and stays as long as it is. */
    if (text.data && strlen(text.data) == text.len) {
        endpoint_hide_key(r->t->endpoint, text.data);
        text.len = strlen(text.data);
    }
    sc_status status = reply_read(&reply, text.data ? text.data : "", text.len, &own);
    if (status != SC_OK) {
        error_prefix(&own, status, "%s", r->t->endpoint->base);
        if (reply.tokens_out < 0) reply.tokens_out = tokens_of_body(s, j);
        fail_passing(r, j, 200, NULL, &reply, &own);
    } else {
        reply.seconds = clock_seconds() - s->began;
        r->failed_in_a_row = 0;
        status = cache_put(r->t->cache, j->key, r->t->endpoint->address, r->t->name, &reply, r->status == SC_OK ? r->err : NULL);
        if (status != SC_OK) stop(r, status);
        answer(r, j, &reply);
        job_free(r, j, &reply);
    }
    reply_release(&reply);
    buf_release(&text);
}

/* Of a transfer that broke: an answer that had begun was paid; one that did not come in time may have been written to its end. */
static bool was_paid(struct reply *out, const struct slot *s, CURLcode code, long status)
{
    curl_off_t sent = 0;
    curl_easy_getinfo(s->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    bool is_late = code == CURLE_OPERATION_TIMEDOUT && sent >= (curl_off_t)strlen(s->job->ask.request);
    *out = (struct reply){ .tokens_in = -1, .tokens_out = is_late ? request_limit(s->job->ask.request) : tokens_of_body(s, s->job) };
    return code != CURLE_OK && (is_late || status / 100 == 2);
}

static void refuse(struct running *r, struct job *j, const sc_error *why)
{
    sc_error own = { 0 };
    sc_status status = refusals_add(&r->refusals, j->ask.item, why, &own);
    if (status != SC_OK && r->status == SC_OK && r->err) *r->err = own;
    if (status != SC_OK) stop(r, status);
    r->is_dry = false;
    job_free(r, j, NULL);
}

static void finish(struct running *r, struct slot *s, CURLcode code)
{
    struct job *j = s->job;
    sc_error own = { 0 };
    struct reply paid;
    long status = 0;
    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    bool is_paid = was_paid(&paid, s, code, status);
    curl_multi_remove_handle(r->multi, s->easy);
    curl_slist_free_all(s->headers);
    s->headers = NULL;
    s->job = NULL;
    r->n_busy--;
    r->was_answered = r->was_answered || status;
    if (code == CURLE_OK && status / 100 == 2) {
        take_reply(r, s, j);
        return;
    }
    if (code != CURLE_OK) transport_failure(s, code, r->t->endpoint, &own);
    else reply_refusal(r->t->endpoint, status, s->body.data, s->body.len, s->location, &own);
    if (code == CURLE_OK ? reply_is_passing(status) : transport_is_passing(r, code)) {
        fail_passing(r, j, status, s->retry_after, is_paid ? &paid : NULL, &own);
        return;
    }
    if (code == CURLE_OK && reply_is_of_request(status)) {
        refuse(r, j, &own);
        return;
    }
    if (r->status == SC_OK && r->err) *r->err = own;
    stop(r, own.status);
    job_free(r, j, NULL);
}

/* ---- the loop ----------------------------------------------------------------------------------------------------------------------------------------- */

/* Until the next thing that may happen by itself. */
static int poll_ms(const struct running *r)
{
    double now = clock_seconds(), at = now + POLL_MS / 1000.0;
    if (r->hold_until > now && r->hold_until < at) at = r->hold_until;
    if (r->next_send > now && r->next_send < at) at = r->next_send;
    for (const struct job *j = r->waiting; j && r->n_busy < r->t->limits.parallel; j = j->next) {
        double due = fmax(j->due, fmax(r->hold_until, r->next_send));
        if (due < at) at = due;
    }
    return at > now ? (int)((at - now) * 1000) + 1 : 1;
}

static bool take_finished(struct running *r)
{
    bool any = false;
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(r->multi, &left)); any = true) {
        struct slot *s = NULL;
        CURLcode code = m->data.result;
        if (m->msg != CURLMSG_DONE) continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &s);
        finish(r, s, code);
    }
    return any;
}

static void run(struct running *r)
{
    for (int still;;) {
        fill(r);
        if (!r->n_busy && (r->is_over || (r->is_dry && !r->waiting))) return;
        curl_multi_perform(r->multi, &still);
        if (!take_finished(r)) curl_multi_poll(r->multi, NULL, 0, poll_ms(r), NULL);
    }
}

sc_status talk_run(struct talk *t, const struct asker *a, sc_error *err)
{
    struct hub_env env;
    if (!t->endpoint) return talk_run_local(t, a, err);
    struct running r = { .t = t, .asker = a, .err = err, .multi = curl_multi_init(), .slot = mem_zero(t->limits.parallel, sizeof *r.slot) };
    if (!r.multi) return FAIL(err, SC_E_MEMORY, "libcurl cannot start");
    sc_status status = SC_OK;
    r.refusals = (struct refusals){ .t = t, .asker = a, .most_in_a_row = FAILED_IN_A_ROW };
    if (hub_env_read(&env, NULL) == SC_OK) r.ca_file = env.ca_file;      /* a Hub token that is no good does not matter here */
    for (size_t i = 0; i < t->limits.parallel && status == SC_OK; i++) {
        r.slot[i] = (struct slot){ .easy = curl_easy_init(), .run = &r };
        buf_init(&r.slot[i].body, t->limits.message_max);
        if (!r.slot[i].easy) status = FAIL(err, SC_E_MEMORY, "libcurl cannot start");
    }
    if (status == SC_OK) {
        run(&r);
        status = r.status;
        if (status == SC_OK) status = refusals_end(&r.refusals, err);
    }
    refusals_release(&r.refusals);
    for (struct job *j = r.waiting, *next; j; j = next) {
        next = j->next;
        job_free(&r, j, NULL);
    }
    for (size_t i = 0; i < t->limits.parallel; i++) {
        curl_easy_cleanup(r.slot[i].easy);
        buf_release(&r.slot[i].body);
        mem_free(r.slot[i].location);
        mem_free(r.slot[i].retry_after);
    }
    curl_multi_cleanup(r.multi);
    mem_free(r.slot);
    hub_env_release(&env);
    return status;
}
