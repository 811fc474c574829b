/* kv_cache.c - a cache that has all its pages from the start: for who computes a text of known length once. */
#include "tensor/tensor.h"

void kv_cache_init(struct kv_cache *c, enum dtype dtype, size_t layers, size_t kv_heads, size_t head_dim, size_t capacity)
{
    *c = (struct kv_cache){ dtype, layers, kv_heads, head_dim, capacity, NULL };
    size_t n = kv_page_count(capacity), bytes = kv_page_bytes(c);
    c->page = mem_alloc((n + 1) * sizeof *c->page);
    c->page[0] = mem_alloc(n * bytes);           /* also of no page: so it can be released */
    for (size_t i = 1; i < n; i++) c->page[i] = c->page[0] + i * bytes;
}

void kv_cache_release(struct kv_cache *c)
{
    if (c->page) mem_free(c->page[0]);
    mem_free(c->page);
    c->page = NULL;
}
