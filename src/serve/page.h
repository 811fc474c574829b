/* page.h - files of a page that are part of the program (tools/embed_page.sh): web/dist for the chat, web/rank for raters. */
#ifndef PAGE_H
#define PAGE_H

#include "serve/http.h"

/* packed: gzip. hash: of the plain bytes. */
struct page_file { const char *path, *type, *hash; const unsigned char *packed; size_t packed_bytes, bytes; };
extern const struct page_file page_files[];      /* web/dist; ends with path NULL, as every such list */
extern const char page_headers[];                /* of every answer that a browser may show as a page */
/* NULL: no such file; "/" is index.html. */
const struct page_file *page_file_of(const struct page_file *files, struct http_span path);
/* What a client that takes these encodings and has these tags gets: 200 or 304, packed or plain, so many bytes. page_send answers the exchange with it. */
struct page_answer { int status; bool is_packed; size_t bytes; };
struct page_answer page_choose(const struct page_file *f, const struct http_head *h);
void page_send(struct http_exchange *x, const struct page_file *f, const struct page_answer *a);

#endif
