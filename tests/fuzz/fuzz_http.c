/* fuzz_http.c - any bytes as a request. What is decided about a beginning stays decided whatever comes; what a head says lies inside it and
 * has the form that it claims; a chunked body is the same however it is cut. */
#include <string.h>

#include "fuzz_memory.h"
#include "serve/http.h"

#define MUST(condition) do { if (!(condition)) { fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); abort(); } } while (0)

/* Parses a copy that ends where the bytes end, so that the sanitizer sees what is read behind them. */
struct parsed { struct http_head head; char *copy; size_t used; int status; };

static struct parsed parse(const char *data, size_t n)
{
    struct parsed p = { .copy = malloc(n ? n : 1) };
    const char *why = NULL;
    if (n) memcpy(p.copy, data, n);
    p.status = http_parse_head(&p.head, p.copy, n, &p.used, &why);
    MUST(p.status == 0 || p.status == 200 || (p.status >= 400 && p.status < 600 && why && *why && strcmp(http_reason(p.status), "Unknown") != 0));
    MUST(p.status != 200 || (p.used >= 4 && p.used <= n));
    return p;
}

static void check_prefix(const char *data, size_t n, const struct parsed *whole)
{
    struct parsed p = parse(data, n);
    if (whole->status == 200) MUST(p.status == (n >= whole->used ? 200 : 0) && (p.status == 0 || p.used == whole->used));
    else MUST(p.status == 0 || p.status == whole->status);
    free(p.copy);
}

static void check_span(const struct parsed *p, struct http_span s, bool may_be_elsewhere)
{
    if (may_be_elsewhere && (!s.len || http_is(s, "/"))) return;      /* an address without a path means "/" */
    MUST(s.at >= p->copy && s.at + s.len <= p->copy + p->used);
    for (size_t i = 0; i < s.len; i++) MUST(s.at[i] != '\r' && s.at[i] != '\n' && s.at[i] != 0);
}

static void check_head(const struct parsed *p)
{
    const struct http_head *h = &p->head;
    check_span(p, h->method, false);
    check_span(p, h->target, false);
    check_span(p, h->path, true);
    check_span(p, h->query, true);
    check_span(p, h->host, true);
    MUST(h->method.len && h->path.len && (h->path.at[0] == '/' || h->path.at[0] == '*') && h->n_fields <= HTTP_FIELDS_MAX && h->minor <= 1);
    MUST(!h->is_chunked || (h->length == 0 && h->minor == 1 && !http_field(h, "Content-Length").at));
    MUST(h->minor == 0 || http_field(h, "Host").at);
    MUST(memcmp(p->copy + p->used - 4, "\r\n\r\n", 4) == 0);
    for (size_t i = 0; i < h->n_fields; i++) {
        struct http_span v = h->field[i].value;
        check_span(p, h->field[i].name, false);
        check_span(p, v, false);
        MUST(h->field[i].name.len && (!v.len || (v.at[0] != ' ' && v.at[v.len - 1] != ' ' && v.at[0] != '\t')));
    }
}

static void check_query(const struct http_head *h)
{
    struct http_exchange x = { .head = *h };
    struct buf out;
    buf_init(&out, 0);
    if (http_query(&out, &x, "a")) MUST(out.len <= h->query.len);
    buf_release(&out);
}

/* All at once, and in pieces whose lengths the bytes themselves choose. */
static void check_chunks(const char *data, size_t n, size_t limit)
{
    struct buf whole, cut;
    struct http_chunks a = { 0 }, b = { 0 };
    const char *why = NULL;
    size_t used = 0, sum = 0, u = 0;
    buf_init(&whole, limit);
    buf_init(&cut, limit);
    int status = http_chunks_put(&a, &whole, data, n, &used, &why), again = 0;
    for (size_t at = 0, step; at < n && !again; at += step) {
        step = 1 + (unsigned char)data[at] % 7;
        if (step > n - at) step = n - at;
        char *copy = malloc(step);
        memcpy(copy, data + at, step);
        again = http_chunks_put(&b, &cut, copy, step, &u, &why);
        if (again == 0) MUST(u == step);
        if (again == 0 || again == 200) sum += u;
        free(copy);
    }
    MUST(n == 0 || status == again);
    MUST(whole.len <= limit && whole.len <= n);
    if (status == 0 || status == 200) MUST(used == (n ? sum : used) && used <= n);
    if (status != 413) MUST(whole.len == cut.len && (!whole.len || memcmp(whole.data, cut.data, whole.len) == 0));
    if (status == 200) MUST(used >= 5 && memcmp(data + used - 2, "\r\n", 2) == 0);
    buf_release(&whole);
    buf_release(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    if (size > 40000) return 0;
    struct parsed p = parse(text, size);
    size_t step = size > 150 ? size / 40 : 1;                          /* every prefix of short inputs, some of long ones */
    for (size_t n = 0; n < size; n += step) check_prefix(text, n, &p);
    if (p.status == 200) {
        check_head(&p);
        check_query(&p.head);
        check_prefix(text, p.used - 1, &p);
        check_prefix(text, p.used, &p);
    }
    size_t at = p.status == 200 ? p.used : 0;
    fuzz_memory_begin(size);
    check_chunks(text + at, size - at, 1000);
    fuzz_memory_end();
    free(p.copy);
    return 0;
}
