/* fuzz_memory.h - memory while reading must stay bounded by the input: 64 KiB + 8 bytes for each byte read. This finds
 * counts that are believed too early, which a crash search alone does not. Needs AddressSanitizer's hooks. */
#ifndef FUZZ_MEMORY_H
#define FUZZ_MEMORY_H

#include <sanitizer/allocator_interface.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static size_t fuzz_live, fuzz_limit;
static bool fuzz_counts;

static void fuzz_on_malloc(const volatile void *p, size_t bytes)
{
    if (!fuzz_counts || !p) return;
    fuzz_live += bytes;
    if (fuzz_live <= fuzz_limit) return;
    fuzz_counts = false;
    fprintf(stderr, "memory bound passed: %zu bytes live, %zu allowed\n", fuzz_live, fuzz_limit);
    abort();
}

static void fuzz_on_free(const volatile void *p)
{
    if (!fuzz_counts || !p) return;
    size_t bytes = __sanitizer_get_allocated_size((void *)(uintptr_t)p);
    fuzz_live = bytes < fuzz_live ? fuzz_live - bytes : 0;
}

static inline void fuzz_memory_begin(size_t input)
{
    static bool is_installed;
    if (!is_installed) is_installed = __sanitizer_install_malloc_and_free_hooks(fuzz_on_malloc, fuzz_on_free) != 0;
    fuzz_live = 0;
    fuzz_limit = 65536 + 8 * input;
    fuzz_counts = true;
}

static inline void fuzz_memory_end(void) { fuzz_counts = false; }

#endif
