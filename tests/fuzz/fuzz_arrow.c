/* fuzz_arrow.c - any bytes as an Arrow file: reading ends, a row is UTF-8 and ends with a NUL, a refusal says why. */
#include "data/reader_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Lists that overlap can make much of little: the time goes to other files. */
enum { ROWS_MAX = 2000, TEXT_MAX = 1 << 20 };

static void read_all(struct record_source *s)
{
    size_t n_rows = 0, n_text = 0;
    char sha256[65];
    for (bool more = true; more && n_rows < ROWS_MAX && n_text < TEXT_MAX; n_rows++) {
        struct record r = { 0 };
        sc_error err = { 0 };
        sc_status status = s->next(s, &r, &more, &err);
        if (status != SC_OK && (!err.message[0] || !utf8_is_valid(err.message, strlen(err.message)))) abort();
        if (status != SC_OK && status != SC_E_FORMAT) abort();
        if (status == SC_OK && more && (!r.text || r.text[r.len] || r.text[0] != '{' || !utf8_is_valid(r.text, r.len))) abort();
        n_text += r.len;
        record_release(&r);
    }
    if (s->finish(s, sha256, NULL) != SC_OK) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record_source *s = NULL;
    sc_error err = { 0 };
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);           /* a file without a disk */
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (arrow_source_open(&s, path, data, size, &err) == SC_OK) {
        read_all(s);
        s->close(s);
    }
    close(fd);
    return 0;
}
