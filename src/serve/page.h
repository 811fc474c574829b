/* page.h - the files of the chat page (web/dist), made part of the program by tools/embed_page.sh. */
#ifndef PAGE_H
#define PAGE_H

#include <stddef.h>

/* packed: gzip. hash: of the plain bytes. */
struct page_file { const char *path, *type, *hash; const unsigned char *packed; size_t packed_bytes, bytes; };
extern const struct page_file page_files[];      /* ends with path NULL */
extern const char page_headers[];                /* of every answer that a browser may show as a page */

#endif
