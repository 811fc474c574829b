/* kv_pages.c - pages of key/value caches, counted by how many caches hold them: sequences that begin alike hold the same pages, and
 * who writes to one that others hold too gets a copy first (the paging of vLLM, Kwon et al. 2023). A page that comes back is given out again as it
 * is: attention reads what was written since alone, so whatever else stands there changes no bit (tests/unit/test_kv_pages.c). */
#include "infer/infer.h"

#include <assert.h>
#include <string.h>

enum { SMALL_BYTES = 32 << 20 };          /* at the beginning of a pool, in small pages of memory */

sc_status kv_pages_init(struct kv_pages *p, const struct kv_cache *shape, size_t most, sc_error *err)
{
    *p = (struct kv_pages){ .shape = *shape, .page_bytes = kv_page_bytes(shape), .most = most };
    p->shape.page = NULL;
    size_t bytes;
    void *memory;
    if (!size_mul(p->page_bytes, most, &bytes)) return FAIL(err, SC_E_ARGUMENT, "a cache of %zu tokens is too large for this model", most * KV_PAGE);
    TRY(mem_reserve(&memory, bytes, "the key/value cache", err));
    /* A pass reads pieces of every page: one translation for each page instead of one for each piece. A short conversation has no use for that,
     * and large pages would round its memory up. */
    if (bytes > SMALL_BYTES) mem_prefer_large_pages((char *)memory + SMALL_BYTES, bytes - SMALL_BYTES);
    p->memory = memory;
    p->holders = mem_zero(most + 1, sizeof *p->holders);
    p->back = mem_alloc((most + 1) * sizeof *p->back);
    return SC_OK;
}

void kv_pages_release(struct kv_pages *p)
{
    assert(!p->used);
    mem_unreserve(p->memory, p->page_bytes * p->most);
    mem_free(p->holders);
    mem_free(p->back);
    *p = (struct kv_pages){ 0 };
}

static uint32_t *holders_of(const struct kv_pages *p, const char *page) { return &p->holders[(size_t)(page - p->memory) / p->page_bytes]; }
size_t kv_page_holders(const struct kv_pages *p, const char *page) { return *holders_of(p, page); }

static sc_status check_free(const struct kv_pages *p, size_t n, sc_error *err)
{
    size_t free = p->most - p->used;
    if (n <= free) return SC_OK;
    return FAIL(err, SC_E_MEMORY, "the key/value cache has %zu of its %zu pages of %d tokens free, but it takes %zu more; wait until an answer ends, ask for shorter ones or give the cache more memory",
                free, p->most, KV_PAGE, n);
}

/* The page that came back last is likely in the processor's cache. */
sc_status kv_pages_take(struct kv_pages *p, char **page, sc_error *err)
{
    TRY(check_free(p, 1, err));
    *page = p->n_back ? p->back[--p->n_back] : p->memory + p->made++ * p->page_bytes;
    *holders_of(p, *page) = 1;
    p->used++;
    return SC_OK;
}

char *kv_page_share(struct kv_pages *p, char *page)
{
    uint32_t *n = holders_of(p, page);
    assert(*n);
    p->shared += ++*n == 2;
    return page;
}

void kv_page_drop(struct kv_pages *p, char *page)
{
    if (!page) return;
    uint32_t *n = holders_of(p, page);
    assert(*n);
    p->shared -= *n == 2;
    if (--*n) return;
    p->back[p->n_back++] = page;
    p->used--;
}

/* ---- caches of a pool ------------------------------------------------------------------------------------------------------ */

void kv_cache_open(struct kv_cache *out, const struct kv_pages *p, size_t capacity)
{
    *out = p->shape;
    out->capacity = capacity;
    out->page = mem_zero(kv_page_count(capacity), sizeof *out->page);
}

void kv_cache_close(struct kv_pages *p, struct kv_cache *c)
{
    if (!c->page) return;
    kv_cache_cut(p, c, 0);
    mem_free(c->page);
    c->page = NULL;
}

/* Whether somebody who writes to page i needs a page first. */
static bool needs_page(const struct kv_pages *p, const struct kv_cache *c, size_t i) { return !c->page[i] || *holders_of(p, c->page[i]) > 1; }

size_t kv_cache_needs(const struct kv_pages *p, const struct kv_cache *c, size_t from, size_t to)
{
    size_t n = 0;
    assert(to <= c->capacity);
    for (size_t i = from / KV_PAGE; i < kv_page_count(to); i++) n += needs_page(p, c, i);
    return n;
}

sc_status kv_cache_room(struct kv_pages *p, struct kv_cache *c, size_t from, size_t to, sc_error *err)
{
    TRY(check_free(p, kv_cache_needs(p, c, from, to), err));
    for (size_t i = from / KV_PAGE; i < kv_page_count(to); i++) {
        char *page;
        if (!needs_page(p, c, i)) continue;
        TRY(kv_pages_take(p, &page, err));
        if (c->page[i]) memcpy(page, c->page[i], p->page_bytes);
        kv_page_drop(p, c->page[i]);
        c->page[i] = page;
    }
    return SC_OK;
}

void kv_cache_cut(struct kv_pages *p, struct kv_cache *c, size_t length)
{
    for (size_t i = kv_page_count(length); i < kv_page_count(c->capacity); i++) {
        kv_page_drop(p, c->page[i]);
        c->page[i] = NULL;
    }
}

void kv_cache_share(struct kv_pages *p, struct kv_cache *c, const struct kv_cache *from, size_t pages)
{
    assert(c != from && pages <= kv_page_count(c->capacity));
    for (size_t i = 0; i < pages; i++) {
        char *old = c->page[i];
        c->page[i] = kv_page_share(p, from->page[i]);
        kv_page_drop(p, old);
    }
    kv_cache_cut(p, c, pages * KV_PAGE);
}

sc_status kv_cache_fork(struct kv_pages *p, struct kv_cache *c, const struct kv_cache *from, size_t length, sc_error *err)
{
    size_t whole = length / KV_PAGE;
    char *last = NULL;
    assert(length <= c->capacity);
    if (length % KV_PAGE) {
        TRY(kv_pages_take(p, &last, err));
        memcpy(last, from->page[whole], p->page_bytes);
    }
    kv_cache_share(p, c, from, whole);
    if (last) c->page[whole] = last;
    return SC_OK;
}
