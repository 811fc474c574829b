/* test_http_server.c - http.c over real sockets: what clients send together, in pieces, too slowly, too much of, or only half of. The server
 * runs in a thread of the test. Paths say what the handler does: /echo gives the body back, /size?n=N that many bytes, /stream chunks,
 * /later answers when /now is asked. */
#include "test.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "serve/http.h"

static struct http *server;
static pthread_t thread;
static struct http_exchange *waiting;
static atomic_int gone, refusals;

/* ---- the server ------------------------------------------------------------------------------------------------------------------ */

static void on_gone(struct http_exchange *x)
{
    gone++;
    waiting = NULL;
    http_end(x);
}

static void reply_size(struct http_exchange *x)
{
    struct buf n;
    buf_init(&n, 0);
    size_t size = http_query(&n, x, "n") ? strtoul(n.data, NULL, 10) : 0;
    char *bytes = malloc(size + 1);
    memset(bytes, 'x', size);
    http_reply(x, 200, "text/plain", NULL, bytes, size);
    free(bytes);
    buf_release(&n);
}

static void reply_stream(struct http_exchange *x)
{
    http_begin(x, 200, "text/plain", NULL);
    http_write(x, "one ", 4);
    http_write(x, "", 0);
    http_write(x, "two", 3);
    http_end(x);
}

static void on_request(void *user, struct http_exchange *x)
{
    (void)user;
    x->on_gone = on_gone;
    if (http_is(x->head.path, "/echo")) http_reply(x, 200, "text/plain", "X-More: 1\r\n", x->body, x->body_len);
    else if (http_is(x->head.path, "/size")) reply_size(x);
    else if (http_is(x->head.path, "/stream")) reply_stream(x);
    else if (http_is(x->head.path, "/empty")) http_reply(x, 204, NULL, NULL, "", 0);
    else if (http_is(x->head.path, "/later")) waiting = x;
    else {
        if (waiting) http_reply(waiting, 200, "text/plain", NULL, "late", 4);
        waiting = NULL;
        http_reply(x, http_is(x->head.path, "/now") ? 200 : 404, "text/plain", NULL, "", 0);
    }
}

static void on_refused(void *user, const char *address, int status, const char *why)
{
    (void)user;
    if (!address[0] || !why[0] || status < 400) test_failed(__FILE__, __LINE__, "a refusal says nothing");
    refusals++;
}

static void error_body(struct buf *body, int status, const char *why) { buf_printf(body, "%d %s", status, why); }

static void *run(void *arg)
{
    http_run(arg);
    return NULL;
}

static struct http_config usual(void)
{
    return (struct http_config){ .host = "127.0.0.1", .connections = 100, .connections_each = 10, .body_bytes = 1000, .head_seconds = 20, .idle_seconds = 20, .write_seconds = 20,
                                 .on_request = on_request, .on_refused = on_refused, .error_body = error_body };
}

static void start(struct http_config c)
{
    CHECK_OK(http_listen(&server, &c, err));
    CHECK(pthread_create(&thread, NULL, run, server) == 0);
}

static void stop(bool now)
{
    http_stop(server, now);
    pthread_join(thread, NULL);
    http_release(server);
}

/* ---- a client ---------------------------------------------------------------------------------------------------------------------- */

static int dial(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)http_port(server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

static void put(int fd, const char *text)
{
    for (size_t len = strlen(text); len;) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        CHECK(n > 0);
        text += n;
        len -= (size_t)n;
    }
}

/* What comes until the end or, with `until`, until that text has come. */
static const char *get(int fd, const char *until)
{
    static struct buf b;
    char piece[65536];
    buf_clear(&b);
    for (;;) {
        struct pollfd p = { fd, POLLIN, 0 };
        CHECK(poll(&p, 1, 15000) == 1);
        ssize_t n = recv(fd, piece, sizeof piece, 0);
        if (n <= 0) break;
        buf_append(&b, piece, (size_t)n);
        if (until && b.len >= strlen(until) && strstr(b.data, until)) break;
    }
    return b.data ? b.data : "";
}

static const char *ask(const char *request)
{
    int fd = dial();
    put(fd, request);
    shutdown(fd, SHUT_WR);
    const char *answer = get(fd, NULL);
    close(fd);
    return answer;
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) n++;
    return n;
}

static bool ends_with(const char *text, const char *end) { return strlen(text) >= strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0; }
#define CHECK_STATUS(answer, status) do { const char *a_ = (answer); if (strncmp(a_, "HTTP/1.1 " #status " ", 13) != 0) test_failed(__FILE__, __LINE__, "%s: \"%.60s\", expected " #status, #answer, a_); } while (0)

static void wait_until(bool (*is_so)(void))
{
    for (int i = 0; i < 1500 && !is_so(); i++) usleep(10000);
    CHECK(is_so());
}
static bool nobody(void) { return http_count(server).connections == 0; }
static bool one_is_busy(void) { return http_count(server).busy == 1; }
static bool none_is_busy(void) { return http_count(server).busy == 0; }

#define HEAD " HTTP/1.1\r\nHost: a\r\n"

/* ---- tests --------------------------------------------------------------------------------------------------------------------------- */

TEST(one_request_after_the_other)
{
    start(usual());
    int fd = dial();
    for (int i = 0; i < 3; i++) {
        put(fd, "POST /echo" HEAD "Content-Length: 3\r\n\r\nabc");
        const char *a = get(fd, "abc");
        CHECK_STATUS(a, 200);
        CHECK(strstr(a, "Content-Length: 3\r\n") && strstr(a, "X-More: 1\r\n") && strstr(a, "Date: ") && !strstr(a, "Connection:"));
    }
    put(fd, "GET /now" HEAD "Connection: close\r\n\r\n");
    CHECK(strstr(get(fd, NULL), "Connection: close\r\n"));
    close(fd);
    CHECK(strstr(ask("GET /now HTTP/1.0\r\n\r\n"), "Connection: close\r\n"));
    CHECK(strstr(ask("GET /now HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), "Connection: keep-alive\r\n"));
    CHECK_STATUS(ask("GET /none" HEAD "\r\n"), 404);
    wait_until(nobody);
    CHECK_INT(http_count(server).accepted, 4);
    CHECK_INT(http_count(server).requests, 7);
    stop(false);
}

TEST(byte_by_byte)
{
    start(usual());
    int fd = dial();
    const char *request = "POST /echo" HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nA: b\r\n\r\nPOST /echo" HEAD "Content-Length: 2\r\n\r\nfg";
    for (const char *at = request; *at; at++) { put(fd, (char[2]){ *at, 0 }); if ((at - request) % 8 == 0) usleep(500); }
    shutdown(fd, SHUT_WR);
    const char *a = get(fd, NULL);
    CHECK(strstr(a, "\r\n\r\nabcdeHTTP/1.1 200") && ends_with(a, "\r\n\r\nfg"));
    close(fd);
    stop(false);
}

TEST(a_thousand_requests_in_one_packet)
{
    struct buf all;
    buf_init(&all, 0);
    start(usual());
    for (int i = 0; i < 1000; i++) buf_printf(&all, "POST /echo" HEAD "Content-Length: 5\r\n\r\n%05d", i);
    const char *a = ask(all.data), *at = a;
    CHECK_INT(count(a, "HTTP/1.1 200 OK\r\n"), 1000);
    for (int i = 0; i < 1000; i++) {                               /* all, and in order */
        char number[16];
        snprintf(number, sizeof number, "\r\n\r\n%05d", i);
        CHECK((at = strstr(at, number)));
    }
    buf_clear(&all);
    for (int i = 0; i < 1000; i++) buf_puts(&all, "GET /now" HEAD "\r\n");
    buf_puts(&all, "GET /now" HEAD "Connection: close\r\n\r\nGET /now" HEAD "\r\n");       /* behind close nothing counts */
    CHECK_INT(count(ask(all.data), "HTTP/1.1 200 OK\r\n"), 1001);
    buf_release(&all);
    wait_until(nobody);
    stop(false);
}

TEST(half_closed_clients_get_their_answer)
{
    start(usual());
    static const char *const requests[] = { "GET /size?n=3000000" HEAD "\r\n", "GET /size?n=3000000" HEAD "Connection: close\r\n\r\n", "GET /size?n=3000000 HTTP/1.0\r\n\r\n" };
    for (size_t i = 0; i < 3; i++) {
        const char *a = ask(requests[i]);
        CHECK_STATUS(a, 200);
        CHECK_INT(strlen(strstr(a, "\r\n\r\n") + 4), 3000000);
    }
    CHECK_STATUS(ask("GARBAGE\r\n\r\n"), 400);
    CHECK_STR(ask("GET /now HTTP/1.1\r\nHos"), "");
    CHECK_INT(count(ask("GET /now" HEAD "\r\nGET /now HTTP/1.1\r\nHos"), "200 OK"), 1);
    CHECK_STR(ask("POST /echo" HEAD "Content-Length: 9\r\n\r\nabc"), "");
    wait_until(nobody);
    CHECK_INT(http_count(server).requests, 4);
    stop(false);
}

TEST(who_leaves_while_it_waits_is_noticed)
{
    start(usual());
    int fd = dial();
    put(fd, "GET /later" HEAD "\r\n");
    wait_until(one_is_busy);
    close(fd);
    wait_until(none_is_busy);
    CHECK_INT(gone, 1);
    fd = dial();
    put(fd, "GET /later" HEAD "\r\nGET /now" HEAD "\r\n");                  /* the second one waits for the first */
    wait_until(one_is_busy);
    CHECK_STATUS(ask("GET /now" HEAD "\r\n"), 200);
    CHECK(strstr(get(fd, "Content-Length: 0"), "\r\n\r\nlateHTTP/1.1 200 OK"));
    CHECK_INT(gone, 1);
    close(fd);
    stop(false);
}

TEST(heads_expectations_and_streams)
{
    start(usual());
    const char *a = ask("HEAD /size?n=7" HEAD "\r\n");
    CHECK(strstr(a, "Content-Length: 7\r\n") && ends_with(a, "\r\n\r\n"));
    a = ask("HEAD /stream" HEAD "\r\n");
    CHECK(strstr(a, "Transfer-Encoding: chunked\r\n") && ends_with(a, "\r\n\r\n") && !strstr(a, "one"));
    a = ask("GET /stream" HEAD "\r\n");
    CHECK(ends_with(a, "\r\n\r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"));
    a = ask("GET /stream HTTP/1.0\r\n\r\n");
    CHECK(ends_with(a, "\r\n\r\none two") && !strstr(a, "chunked") && strstr(a, "Connection: close"));
    a = ask("GET /empty" HEAD "\r\n");
    CHECK(!strstr(a, "Content-Length") && ends_with(a, "\r\n\r\n"));
    int fd = dial();
    put(fd, "POST /echo" HEAD "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    CHECK_STR(get(fd, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    put(fd, "abc");
    CHECK_STATUS(get(fd, "abc"), 200);
    put(fd, "POST /echo" HEAD "Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc");     /* it did not wait */
    CHECK_STATUS(get(fd, "abc"), 200);
    put(fd, "POST /echo" HEAD "Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n");
    CHECK_STATUS(get(fd, NULL), 413);
    close(fd);
    stop(false);
}

TEST(bodies_end_at_their_limit)
{
    struct buf b;
    char text[1002];
    buf_init(&b, 0);
    start(usual());
    memset(text, 'a', sizeof text);
    for (size_t n = 999; n <= 1001; n++) {
        buf_clear(&b);
        buf_printf(&b, "POST /echo" HEAD "Content-Length: %zu\r\n\r\n%.*s", n, (int)n, text);
        const char *a = ask(b.data);
        if (n > 1000) CHECK_STATUS(a, 413);
        else CHECK_INT(strlen(strstr(a, "\r\n\r\n") + 4), n);
        buf_clear(&b);
        buf_printf(&b, "POST /echo" HEAD "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%.*s\r\n0\r\n\r\n", n, (int)n, text);
        a = ask(b.data);
        if (n > 1000) CHECK_STATUS(a, 413);
        else CHECK_INT(strlen(strstr(a, "\r\n\r\n") + 4), n);
        buf_clear(&b);
        buf_printf(&b, "POST /echo" HEAD "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n%zx\r\n%.*s\r\n0\r\n\r\n", n - 1, (int)n - 1, text);
        a = ask(b.data);
        if (n > 1000) CHECK_STATUS(a, 413);
        else CHECK_INT(strlen(strstr(a, "\r\n\r\n") + 4), n);
    }
    CHECK_STATUS(ask("POST /echo" HEAD "Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n"), 413);
    CHECK_STATUS(ask("POST /echo" HEAD "Transfer-Encoding: chunked\r\n\r\n-2\r\n"), 400);
    CHECK_STATUS(ask("POST /echo" HEAD "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"), 400);
    CHECK_INT(refusals, 6);
    buf_release(&b);
    stop(false);
}

/* A refusal comes through though the client goes on sending, and then its connection ends. */
TEST(refusals_are_read_by_who_still_sends)
{
    start(usual());
    int fd = dial();
    put(fd, "POST /echo" HEAD "Content-Length: 300000\r\n\r\n");
    char piece[4096];
    memset(piece, 'a', sizeof piece);
    for (int i = 0; i < 70; i++) { if (send(fd, piece, sizeof piece, MSG_NOSIGNAL) < 0) break; usleep(1000); }
    const char *a = get(fd, NULL);
    CHECK_STATUS(a, 413);
    CHECK(strstr(a, "Connection: close\r\n") && count(a, "HTTP/1.1") == 1);
    close(fd);
    CHECK_INT(count(ask("BAD\r\n\r\nGET /now" HEAD "\r\n"), "HTTP/1.1"), 1);
    stop(false);
}

TEST(slow_heads_and_idle_connections)
{
    struct http_config c = usual();
    c.head_seconds = 0.3;
    c.idle_seconds = 0.3;
    start(c);
    int silent = dial(), slow = dial(), idle = dial();
    put(slow, "GET /now HT");
    put(idle, "GET /now" HEAD "\r\n");
    double from = clock_seconds();
    CHECK_STATUS(get(slow, NULL), 408);
    CHECK_STR(get(silent, NULL), "");
    CHECK_INT(count(get(idle, NULL), "HTTP/1.1"), 1);
    CHECK(clock_seconds() - from > 0.2 && clock_seconds() - from < 10);
    close(silent);
    close(slow);
    close(idle);
    stop(false);
}

/* The oldest one without a request makes room; where all are busy, the new one goes. */
TEST(connections_are_bounded)
{
    struct http_config c = usual();
    c.connections = 3;
    start(c);
    int first = dial(), second, third;
    put(first, "GET /now" HEAD "\r\n");
    get(first, "Content-Length: 0");
    second = dial();
    put(second, "GET /now" HEAD "\r\n");
    get(second, "Content-Length: 0");
    third = dial();
    put(third, "GET /later" HEAD "\r\n");
    wait_until(one_is_busy);
    CHECK_STATUS(ask("GET /size?n=1" HEAD "\r\n"), 200);
    CHECK_STR(get(first, NULL), "");
    put(second, "GET /now" HEAD "\r\n");
    CHECK_STATUS(get(second, "Content-Length: 0"), 200);
    CHECK(strstr(get(third, "late"), "late"));
    close(first);
    close(second);
    close(third);
    stop(false);
}

/* Who reads nothing of a large answer is let go of. */
TEST(slow_readers)
{
    struct http_config c = usual();
    c.write_seconds = 1;
    start(c);
    int fd = dial();
    put(fd, "GET /size?n=8000000" HEAD "\r\n");
    wait_until(none_is_busy);
    usleep(200000);
    CHECK_INT(http_count(server).connections, 1);
    wait_until(nobody);
    close(fd);
    stop(false);
}

static void *stop_soon(void *arg)
{
    (void)arg;
    usleep(100000);
    http_stop(server, false);
    return NULL;
}

static void answer_waiting(void *arg)
{
    (void)arg;
    http_reply(waiting, 200, "text/plain", NULL, "late", 4);
    waiting = NULL;
}

/* Idle connections go, what is asked is answered to the last byte, nobody new comes in. */
TEST(a_graceful_stop)
{
    start(usual());
    int idle = dial(), large = dial(), later = dial();
    pthread_t stopper;
    put(idle, "GET /now" HEAD "\r\n");
    get(idle, "Content-Length: 0");
    put(large, "GET /size?n=6000000" HEAD "\r\n");
    put(later, "GET /later" HEAD "\r\n");
    wait_until(one_is_busy);
    usleep(100000);
    CHECK(pthread_create(&stopper, NULL, stop_soon, NULL) == 0);
    CHECK_STR(get(idle, NULL), "");
    pthread_join(stopper, NULL);
    http_post(server, answer_waiting, NULL);
    const char *a = get(later, NULL);
    CHECK(strstr(a, "Connection: close") && ends_with(a, "late"));
    a = get(large, NULL);
    CHECK_INT(strlen(strstr(a, "\r\n\r\n") + 4), 6000000);
    pthread_join(thread, NULL);
    http_release(server);
    close(idle);
    close(large);
    close(later);
}

TEST(a_stop_at_once)
{
    start(usual());
    int fd = dial();
    put(fd, "GET /later" HEAD "\r\n");
    wait_until(one_is_busy);
    stop(true);
    CHECK_STR(get(fd, NULL), "");
    CHECK_INT(gone, 1);
    close(fd);
}

TEST(addresses)
{
    struct http_config c = usual(), other = usual();
    struct http *h;
    char name[200];
    start(c);
    other.port = http_port(server);
    CHECK_FAILS(http_listen(&h, &other, err), SC_E_IO, "is taken by another program; choose another with --port");
    stop(false);
    start(other);                                                  /* free again at once */
    stop(false);
    other.host = "no such host";
    CHECK_FAILS(http_listen(&h, &other, err), SC_E_ARGUMENT, "no address of this machine");
    snprintf(name, sizeof name, "unix:%s/socket", test_scratch());
    other.host = name;
    start(other);
    struct http_config again = other;
    CHECK_FAILS(http_listen(&h, &again, err), SC_E_IO, "another server answers");
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    memcpy(a.sun_path, name + 5, strlen(name + 5));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    put(fd, "GET /now" HEAD "\r\n");
    CHECK_STATUS(get(fd, "Content-Length: 0"), 200);
    close(fd);
    stop(false);
    CHECK(access(name + 5, F_OK) != 0);
}
