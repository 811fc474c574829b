/* page.c - pages: files of the program itself, handed out packed. What they may do is said by a policy: no script but
 * these, no text that becomes markup, nothing from elsewhere, no frame around them. */
#include <string.h>
#include <zlib.h>

#include "serve/page.h"
#include "serve/server.h"

const char page_headers[] =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "X-Frame-Options: DENY\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n";

const struct page_file *page_file_of(const struct page_file *files, struct http_span path)
{
    if (http_is(path, "/")) path = (struct http_span){ "/index.html", strlen("/index.html") };
    for (const struct page_file *f = files; f->path; f++)
        if (http_is(path, f->path)) return f;
    return NULL;
}

/* Is the item in a list with commas, and not with a weight of 0? */
static bool accepts(struct http_span list, const char *item)
{
    for (size_t i = 0, end; i < list.len; i = end + 1) {
        const char *comma = memchr(list.at + i, ',', list.len - i);
        end = comma ? (size_t)(comma - list.at) : list.len;
        while (i < end && (list.at[i] == ' ' || list.at[i] == '\t')) i++;
        struct http_span one = { list.at + i, end - i };
        const char *semicolon = memchr(one.at, ';', one.len);
        struct http_span name = { one.at, semicolon ? (size_t)(semicolon - one.at) : one.len };
        while (name.len && name.at[name.len - 1] == ' ') name.len--;
        if (!http_is_like(name, item)) continue;
        const char *weight = memmem(one.at, one.len, "q=", 2);
        if (!weight) return true;
        for (weight += 2; weight < one.at + one.len; weight++)
            if (*weight >= '1' && *weight <= '9') return true;
        return false;
    }
    return false;
}

/* Our tags are "HASH" and "HASH-gz"; a client that has either has the file. */
static bool has_file(struct http_span tags, const struct page_file *f)
{
    return http_is(tags, "*") || (tags.len && memmem(tags.at, tags.len, f->hash, strlen(f->hash)) != NULL);
}

static bool unpack(unsigned char *out, const struct page_file *f)
{
    z_stream z = { .next_in = (unsigned char *)(uintptr_t)f->packed, .avail_in = (uInt)f->packed_bytes, .next_out = out, .avail_out = (uInt)f->bytes };
    if (inflateInit2(&z, 15 + 16) != Z_OK) return false;       /* 16: gzip's wrapping */
    bool ok = inflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out == f->bytes;
    inflateEnd(&z);
    return ok;
}

struct page_answer page_choose(const struct page_file *f, const struct http_head *h)
{
    bool is_packed = accepts(http_field(h, "Accept-Encoding"), "gzip"), is_new = !has_file(http_field(h, "If-None-Match"), f);
    return (struct page_answer){ is_new ? 200 : 304, is_packed, !is_new ? 0 : is_packed ? f->packed_bytes : f->bytes };
}

void page_send(struct http_exchange *x, const struct page_file *f, const struct page_answer *a)
{
    bool is_new = a->status == 200;
    unsigned char *plain = NULL;
    struct buf headers;
    if (is_new && !a->is_packed) {
        plain = mem_alloc(f->bytes + 1);
        (void)unpack(plain, f);                                /* cannot fail: the program holds what gzip wrote */
    }
    buf_init(&headers, 0);
    buf_printf(&headers, "%sETag: \"%s%s\"\r\nVary: Accept-Encoding\r\nCache-Control: %s\r\n", page_headers, f->hash, a->is_packed ? "-gz" : "",
               strncmp(f->path, "/assets/", 8) == 0 ? "public, max-age=31536000, immutable" : "no-cache");
    if (a->is_packed && is_new) buf_puts(&headers, "Content-Encoding: gzip\r\n");
    http_reply(x, a->status, is_new ? f->type : NULL, headers.data, a->is_packed ? f->packed : plain, a->bytes);
    buf_release(&headers);
    mem_free(plain);
}

void handle_page(struct call *c)
{
    struct http_exchange *x = c->x;
    const struct page_file *f = page_file_of(page_files, x->head.path);
    struct page_answer a = page_choose(f, &x->head);
    call_over(c, a.status, a.bytes);
    page_send(x, f, &a);
}
