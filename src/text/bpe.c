/* bpe.c - byte-pair encoding of one piece (Sennrich et al. 2016; merges by rank as in GPT-2 and Hugging Face's model
 * "BPE"): start with one symbol a byte, merge the pair of lowest rank, the leftmost of equals, until no pair has one.
 *
 * Most pieces of real text are one token; which tokens come out of merging their own bytes is found once, so those
 * pieces cost one look-up. Short pieces are merged by scanning the ranks, long ones with a heap, so that no input takes
 * quadratic time. Pieces seen before in the same call are copied from the output. */
#include "text_internal.h"

#include <string.h>

enum { SHORT_PIECE = 48, CACHED_PIECE = 512, CACHE_TEXT = 1024, CACHE_MIN = 128, CACHE_MAX = 1 << 13 };
enum { ID_BITS = 21, RANK_BITS = 22 };
#define NO_RANK UINT32_MAX
#define NO_PAIR UINT64_MAX
#define PIECE_MAX ((size_t)1 << 26)

/* ---- pairs: left << 43 | right << 22 | rank in one word; the limits of the vocabulary keep it from NO_PAIR ---- */

static uint64_t pair_key(int32_t left, int32_t right) { return (uint64_t)left << ID_BITS | (uint64_t)right; }

static inline size_t pair_slot(const struct bpe *b, uint64_t key)
{
    return hash_mix(key ^ b->seed, 0x9E3779B97F4A7C15u) & (b->n_pairs - 1);
}

static inline uint32_t pair_rank(const struct bpe *b, int32_t left, int32_t right)
{
    uint64_t key = pair_key(left, right);
    for (size_t i = pair_slot(b, key);; i = (i + 1) & (b->n_pairs - 1)) {
        uint64_t found = b->pair[i];
        if (found >> RANK_BITS == key) return (uint32_t)(found & ((1u << RANK_BITS) - 1));
        if (found == NO_PAIR) return NO_RANK;
    }
}

/* A later merge of the same pair takes the place of an earlier one, as in the reference. */
static void pair_insert(struct bpe *b, uint32_t rank)
{
    uint64_t key = pair_key(b->merge[rank].left, b->merge[rank].right);
    size_t i = pair_slot(b, key);
    while (b->pair[i] != NO_PAIR && b->pair[i] >> RANK_BITS != key) i = (i + 1) & (b->n_pairs - 1);
    b->pair[i] = key << RANK_BITS | rank;
}

void bpe_release(struct bpe *b)
{
    mem_free(b->merge);
    mem_free(b->pair);
}

static sc_status part_find(int32_t *id, const struct vocabulary *v, const char *text, size_t len, size_t rank, const char *what, sc_error *err)
{
    char quote[80];
    *id = vocabulary_find(v, text, len);
    if (*id >= 0) return SC_OK;
    return FAIL(err, SC_E_FORMAT, "%s: merge %zu needs the token \"%s\", which is not in the vocabulary", what, rank,
                error_quote(quote, sizeof quote, text, len));
}

sc_status bpe_put(struct bpe *b, struct vocabulary *v, const char *left, size_t left_len, const char *right, size_t right_len, const char *what, sc_error *err)
{
    struct merge m;
    char small[256];
    if (b->len >= MERGES_MAX) return FAIL(err, SC_E_UNSUPPORTED, "%s: more than %d merges", what, MERGES_MAX);
    TRY(part_find(&m.left, v, left, left_len, b->len, what, err));
    TRY(part_find(&m.right, v, right, right_len, b->len, what, err));
    size_t len = left_len + right_len;
    char *whole = len <= sizeof small ? small : mem_alloc(len);
    memcpy(whole, left, left_len);
    memcpy(whole + left_len, right, right_len);
    sc_status status = part_find(&m.result, v, whole, len, b->len, what, err);
    if (whole != small) mem_free(whole);
    TRY(status);
    if (b->len == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 1024;
        b->merge = mem_grow(b->merge, b->cap * sizeof *b->merge);
    }
    b->merge[b->len++] = m;
    return SC_OK;
}

sc_status bpe_put_line(struct bpe *b, struct vocabulary *v, const char *line, size_t len, const char *what, sc_error *err)
{
    char quote[80];
    const char *space = memchr(line, ' ', len);
    if (!space || memchr(space + 1, ' ', (size_t)(line + len - space - 1)))
        return FAIL(err, SC_E_FORMAT, "%s: merge %zu is \"%s\", expected two tokens with one space between them", what, b->len,
                    error_quote(quote, sizeof quote, line, len));
    size_t left = (size_t)(space - line);
    return bpe_put(b, v, line, left, space + 1, len - left - 1, what, err);
}

/* ---- merging ---- */

/* One symbol a byte. Bytes that the vocabulary lacks become the unknown token, or nothing if there is none. */
static size_t symbols_begin(const struct bpe *b, int32_t *id, const char *s, size_t len)
{
    size_t n = 0;
    bool after_unk = false;
    for (size_t i = 0; i < len; i++) {
        int32_t own = b->byte_id[(unsigned char)s[i]];
        if (own >= 0) { id[n++] = own; after_unk = false; continue; }
        if (b->unk >= 0 && !(after_unk && b->fuse_unk)) id[n++] = b->unk;
        after_unk = b->unk >= 0;
    }
    return n;
}

static size_t merge_short(const struct bpe *b, int32_t *id, size_t n)
{
    uint32_t rank[SHORT_PIECE];
    for (size_t i = 0; i + 1 < n; i++) rank[i] = pair_rank(b, id[i], id[i + 1]);
    while (n > 1) {
        uint32_t best = NO_RANK;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++)
            if (rank[i] < best) { best = rank[i]; at = i; }
        if (best == NO_RANK) break;
        id[at] = b->merge[best].result;
        n--;
        for (size_t i = at + 1; i < n; i++) { id[i] = id[i + 1]; rank[i - 1] = rank[i]; }
        if (at > 0) rank[at - 1] = pair_rank(b, id[at - 1], id[at]);
        if (at + 1 < n) rank[at] = pair_rank(b, id[at], id[at + 1]);
    }
    return n;
}

/* Symbols of a long piece as a list; a merged right half has id -1. Index 0 is a sentinel before the first. */
struct merge_work { int32_t id; uint32_t prev, next; };

static void heap_push(uint64_t *heap, size_t *n, uint64_t entry)
{
    size_t i = (*n)++;
    for (size_t up; i > 0 && heap[up = (i - 1) / 2] > entry; i = up) heap[i] = heap[up];
    heap[i] = entry;
}

static uint64_t heap_pop(uint64_t *heap, size_t *n)
{
    uint64_t top = heap[0], entry = heap[--*n];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < *n; i = child) {
        if (child + 1 < *n && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= entry) break;
        heap[i] = heap[child];
    }
    heap[i] = entry;
    return top;
}

static void pair_push(const struct encoder *e, size_t *n_heap, uint32_t left, uint32_t right)
{
    if (!left || !right) return;
    uint32_t rank = pair_rank(&e->t->bpe, e->work[left].id, e->work[right].id);
    if (rank != NO_RANK) heap_push(e->heap, n_heap, (uint64_t)rank << 32 | left);
}

/* Each merge leaves one symbol less and adds at most two entries, so the heap holds fewer than 3 n. */
static void long_reserve(struct encoder *e, size_t n)
{
    if (n + 1 > e->work_cap) {
        e->work_cap = n + 1;
        e->work = mem_grow(e->work, e->work_cap * sizeof *e->work);
    }
    if (3 * n > e->heap_cap) {
        e->heap_cap = 3 * n;
        e->heap = mem_grow(e->heap, e->heap_cap * sizeof *e->heap);
    }
}

static size_t merge_long(struct encoder *e, int32_t *id, size_t n)
{
    const struct bpe *b = &e->t->bpe;
    size_t n_heap = 0;
    long_reserve(e, n);
    struct merge_work *w = e->work;
    w[0].next = 1;
    for (uint32_t i = 1; i <= n; i++) w[i] = (struct merge_work){ id[i - 1], i - 1, i < n ? i + 1 : 0 };
    for (uint32_t i = 1; i < n; i++) pair_push(e, &n_heap, i, i + 1);
    while (n_heap) {
        uint64_t top = heap_pop(e->heap, &n_heap);
        uint32_t at = (uint32_t)top, rank = (uint32_t)(top >> 32), right = w[at].next;
        /* An entry is stale when its pair has changed since: symbols only grow, so the rank tells. */
        if (w[at].id < 0 || !right || pair_rank(b, w[at].id, w[right].id) != rank) continue;
        w[at].id = b->merge[rank].result;
        w[at].next = w[right].next;
        if (w[right].next) w[w[right].next].prev = at;
        w[right].id = -1;
        pair_push(e, &n_heap, w[at].prev, at);
        pair_push(e, &n_heap, at, w[at].next);
    }
    size_t kept = 0;
    for (uint32_t i = w[0].next; i; i = w[i].next) id[kept++] = w[i].id;
    return kept;
}

static void piece_merge(struct encoder *e, const char *s, size_t len)
{
    struct token_list *out = e->out;
    if (out->cap - out->len < len) {
        out->cap = out->len + len > out->cap * 2 ? out->len + len : out->cap * 2;
        out->id = mem_grow(out->id, out->cap * sizeof *out->id);
    }
    int32_t *id = out->id + out->len;
    size_t n = symbols_begin(&e->t->bpe, id, s, len);
    out->len += n <= SHORT_PIECE ? merge_short(&e->t->bpe, id, n) : merge_long(e, id, n);
}

/* ---- pieces seen before ---- */

/* The piece lay at `s` in the same text, and its n ids at out->id[at]. */
struct piece_slot { uint64_t hash; const char *s; size_t at; uint32_t len, n; };

void encoder_cache_open(struct encoder *e, size_t text_len)
{
    if (text_len < CACHE_TEXT) return;
    size_t n = CACHE_MIN;
    while (n < CACHE_MAX && n * 32 < text_len) n *= 2;
    e->cache = mem_zero(n, sizeof *e->cache);
    e->cache_mask = n - 1;
}

static void piece_cached(struct encoder *e, uint64_t hash, const char *s, size_t len)
{
    struct piece_slot *slot = &e->cache[hash & e->cache_mask];
    if (slot->hash == hash && slot->len == len && memcmp(slot->s, s, len) == 0) {
        for (uint32_t i = 0; i < slot->n; i++) token_list_push(e->out, e->out->id[slot->at + i]);
        return;
    }
    size_t at = e->out->len;
    piece_merge(e, s, len);
    *slot = (struct piece_slot){ hash, s, at, (uint32_t)len, (uint32_t)(e->out->len - at) };
}

void encoder_piece(struct encoder *e, const char *s, size_t len)
{
    if (!len) return;
    uint64_t hash = hash_bytes(e->t->vocabulary.seed, s, len);
    const struct vocabulary_slot *slot = vocabulary_slot(&e->t->vocabulary, hash, s, len);
    if (slot && slot->is_direct) { token_list_push(e->out, (int32_t)slot->id); return; }
    if (e->cache && e->is_stable && len <= CACHED_PIECE) { piece_cached(e, hash, s, len); return; }
    for (; len > PIECE_MAX; s += PIECE_MAX, len -= PIECE_MAX) piece_merge(e, s, PIECE_MAX);
    piece_merge(e, s, len);
}

/* ---- tables ---- */

static void pairs_build(struct bpe *b, const struct vocabulary *v)
{
    b->n_pairs = 16;
    while (b->n_pairs < b->len * 2) b->n_pairs *= 2;
    mem_free(b->pair);
    b->pair = mem_alloc(b->n_pairs * sizeof *b->pair);
    memset(b->pair, 0xFF, b->n_pairs * sizeof *b->pair);
    for (size_t i = 0; i < b->len; i++)
        if (!(v->token[b->merge[i].result].flags & TOKEN_GATED)) pair_insert(b, (uint32_t)i);
}

static void bytes_build(struct bpe *b, const struct vocabulary *v)
{
    for (int i = 0; i < 256; i++) {
        char c = (char)i;
        const struct vocabulary_slot *s = vocabulary_slot(v, hash_bytes(v->seed, &c, 1), &c, 1);
        b->byte_id[i] = s && !(v->token[s->id].flags & TOKEN_GATED) ? (int32_t)s->id : -1;
    }
}

/* Does merging the token's own bytes give the token? */
static bool token_is_direct(struct encoder *e, size_t id)
{
    const struct vocabulary *v = &e->t->vocabulary;
    const struct token *t = &v->token[id];
    if (t->flags & (TOKEN_GATED | TOKEN_RAW) || !t->bytes_len) return false;
    if (e->t->bpe.ignore_merges) return true;
    e->out->len = 0;
    piece_merge(e, v->pool.data + t->bytes, t->bytes_len);
    return e->out->len == 1 && e->out->id[0] == (int32_t)id;
}

void bpe_finish(struct tokenizer *t)
{
    struct vocabulary *v = &t->vocabulary;
    struct token_list out = { 0 };
    struct encoder e = { .t = t, .out = &out };
    t->bpe.seed = v->seed;
    pairs_build(&t->bpe, v);
    bytes_build(&t->bpe, v);
    for (size_t i = 0; i < v->n_slots; i++)
        if (v->slot[i].tag) v->slot[i].is_direct = token_is_direct(&e, v->slot[i].id);
    token_list_release(&out);
    encoder_release(&e);
}
