/* arena.c - memory with a named lifetime. Small allocations cannot fail (the process ends with a message); large ones
 * are reserved with a status. An arena hands out from a list of blocks and gives all back at once; a rewind keeps the
 * blocks, so that a decode step allocates nothing after the first. */
#include "base/base.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POISON(p, n) __asan_poison_memory_region((p), (n))
#define UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

enum { ARENA_ALIGN = 64, ARENA_BLOCK = 1 << 16 };

struct arena_block { struct arena_block *next; size_t size, used; char *data; };

static void out_of_memory(void)
{
    static const char text[] = "starchat: the machine has no memory left\n";
    if (write(2, text, sizeof text - 1) < 0) abort();
    _exit(1);
}

void *mem_alloc(size_t bytes)
{
    void *p = malloc(bytes ? bytes : 1);
    if (!p) out_of_memory();
    return p;
}

void *mem_zero(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p) out_of_memory();
    return p;
}

void *mem_grow(void *old, size_t bytes)
{
    void *p = realloc(old, bytes ? bytes : 1);
    if (!p) out_of_memory();
    return p;
}

char *mem_strndup(const char *text, size_t len)
{
    char *p = mem_alloc(len + 1);
    if (len) memcpy(p, text, len);
    p[len] = 0;
    return p;
}

char *mem_strdup(const char *text) { return mem_strndup(text, strlen(text)); }

void mem_free(void *p) { free(p); }

sc_status mem_reserve(void **out, size_t bytes, const char *what, sc_error *err)
{
    *out = NULL;
    uint64_t machine = system_memory();
    if (bytes > machine)
        return FAIL(err, SC_E_MEMORY, "%s needs %.1f GiB, but this machine has %.1f GiB of memory; choose a smaller context or model",
                    what, (double)bytes / (1 << 30), (double)machine / (1 << 30));
    void *p = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return FAIL(err, SC_E_MEMORY, "%s needs %.1f GiB, and the system refused it: %s", what, (double)bytes / (1 << 30), strerror(errno));
    *out = p;
    return SC_OK;
}

void mem_prefer_large_pages(void *p, size_t bytes) { (void)madvise(p, bytes, MADV_HUGEPAGE); }

void mem_unreserve(void *p, size_t bytes)
{
    if (p) munmap(p, bytes ? bytes : 1);
}

void arena_init(struct arena *a) { memset(a, 0, sizeof *a); }

static void free_blocks(struct arena *a)
{
    for (struct arena_block *b = a->first, *next; b; b = next) {
        next = b->next;
        UNPOISON(b->data, b->size);
        free(b->data);
        free(b);
    }
    a->first = a->current = NULL;
}

void arena_release(struct arena *a)
{
    free_blocks(a);
    memset(a, 0, sizeof *a);
}

/* The next block with room for `bytes`: an old one after the current, else a new one behind it. The first one has room
 * for all that was ever in use at once. */
static struct arena_block *block_with_room(struct arena *a, size_t bytes)
{
    struct arena_block *b = a->current ? a->current->next : a->first;
    if (b && b->size >= bytes) { b->used = 0; return b; }
    struct arena_block *fresh = mem_zero(1, sizeof *fresh);
    size_t usual = !a->first && a->peak > ARENA_BLOCK ? a->peak : ARENA_BLOCK;
    fresh->size = bytes > usual ? bytes : usual;
    fresh->data = aligned_alloc(ARENA_ALIGN, fresh->size);
    if (!fresh->data) out_of_memory();
    POISON(fresh->data, fresh->size);
    fresh->next = b;
    if (a->current) a->current->next = fresh; else a->first = fresh;
    return fresh;
}

void *arena_take(struct arena *a, size_t bytes)
{
    if (bytes > SIZE_MAX - ARENA_ALIGN) out_of_memory();
    size_t padded = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (!padded) padded = ARENA_ALIGN;
    if (!a->current || a->current->size - a->current->used < padded) a->current = block_with_room(a, padded);
    void *p = a->current->data + a->current->used;
    a->current->used += padded;
    a->used += padded;
    if (a->used > a->peak) a->peak = a->used;
    UNPOISON(p, bytes);
    return p;
}

void *arena_zero(struct arena *a, size_t bytes)
{
    void *p = arena_take(a, bytes);
    memset(p, 0, bytes);
    return p;
}

char *arena_strndup(struct arena *a, const char *text, size_t len)
{
    char *p = arena_take(a, len + 1);
    if (len) memcpy(p, text, len);
    p[len] = 0;
    return p;
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){ a->current, a->current ? a->current->used : 0, a->used };
}

/* An arena rewound to its begin becomes one block: blocks of earlier, smaller uses would stay behind unused. */
void arena_rewind(struct arena *a, struct arena_mark m)
{
    if (!m.block && a->first && a->first->next) {
        free_blocks(a);
        a->used = 0;
        return;
    }
    for (struct arena_block *b = m.block ? m.block->next : a->first; b; b = b->next) {
        b->used = 0;
        POISON(b->data, b->size);
    }
    if (m.block) {
        POISON(m.block->data + m.at, m.block->size - m.at);
        m.block->used = m.at;
    }
    a->current = m.block;
    a->used = m.used;
}
