/* fuzz_zip.c - any bytes as a zip archive, every member taken out: no more bytes than declared, and a member that is
 * accepted has all of them. */
#include <string.h>

#include "fuzz_memory.h"
#include "hub/hub.h"

static sc_status count(void *user, const void *data, size_t len, sc_error *err)
{
    (void)err;
    uint64_t *total = user;
    const char *bytes = data;
    for (size_t i = 0; i < len; i += 4096) *total += (uint64_t)(bytes[i] & 0);   /* readable */
    *total += len;
    return SC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sc_error err = { 0 };
    struct zip zip;
    fuzz_memory_begin(size);
    sc_status status = zip_open(&zip, data, size, &err);
    if (status != SC_OK && !err.message[0]) abort();
    /* Members may share bytes; eight are enough to meet every path without running long. */
    for (size_t i = 0; status == SC_OK && i < zip.n_entries && i < 8; i++) {
        uint64_t total = 0;
        bool is_taken = zip_extract(&zip, &zip.entries[i], count, &total, &err) == SC_OK;
        if (total > zip.entries[i].size || (is_taken && total != zip.entries[i].size)) abort();
    }
    if (status == SC_OK) (void)zip_find(&zip, ".gguf");
    zip_release(&zip);
    fuzz_memory_end();
    return 0;
}
