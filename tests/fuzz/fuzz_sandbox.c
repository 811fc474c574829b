/* fuzz_sandbox.c - any bytes as the line that a checker writes: a pass only for who knows the nonce, and never more detail than there is room. */
#include <stdlib.h>
#include <string.h>

#include "fuzz_memory.h"
#include "sandbox/sandbox_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char nonce[] = "0123456789abcdef0123456789abcdef";
    const char *bytes = (const char *)data;
    struct verdict v;
    fuzz_memory_begin(size);
    bool is_read = verdict_read(&v, bytes, size, nonce);
    if (is_read && (size < NONCE_DIGITS || memcmp(bytes, nonce, NONCE_DIGITS) != 0)) abort();
    if (is_read && v.is_forged) abort();
    if (memchr(v.found.detail, 0, sizeof v.found.detail) == NULL || !utf8_is_valid(v.found.detail, strlen(v.found.detail))) abort();
    if (v.found.outcome >= PYTHON_OUTCOMES || v.found.plus >= PYTHON_OUTCOMES || v.found.n_base < 0 || v.found.n_plus < 0) abort();
    if (is_read && strlen(python_outcome_name(v.found.outcome)) == 0) abort();
    fuzz_memory_end();
    return 0;
}
