/* dedup.c - what was seen before: exact by digest, nearly by MinHash.
 *
 * MinHash (Broder 1997): 128 hash functions over the set of word 5-grams; the share of functions whose minimum agrees
 * estimates the Jaccard similarity of two sets. Of each minimum 8 bits are kept (b-bit minwise hashing, Li and König
 * 2010), so a band of 8 rows is one number: equal bands make candidates (locality-sensitive hashing), and the same 128
 * bytes then tell whether a candidate is similar enough. Tables are flat, with open addressing and linear probing. */
#include "clean_internal.h"

#include <string.h>

/* ---- signatures ---------------------------------------------------------------------------------------------------------- */

enum { SHINGLE_WORDS = 5, SHINGLE_BLOCK = 256 };
/* Function i is a[i] * x + b[i] modulo 2^32 on mixed x. */
struct minhash_work { uint32_t a[MINHASH_SIZE], b[MINHASH_SIZE], least[MINHASH_SIZE], shingle[SHINGLE_BLOCK]; size_t n, total; };

static void work_init(struct minhash_work *w)
{
    for (uint32_t i = 0; i < MINHASH_SIZE; i++) {
        uint32_t x = (i + 1) * 0x9E3779B9u, y = (i + 1) * 0x85EBCA6Bu;
        x = (x ^ x >> 15) * 0x2C1B3C6Du;
        y = (y ^ y >> 15) * 0x297A2D39u;
        w->a[i] = (x ^ x >> 13) | 1;
        w->b[i] = y ^ y >> 14;
        w->least[i] = UINT32_MAX;
    }
    w->n = w->total = 0;
}

/* Four vectors of minima stay in registers for a whole block of shingles. */
static inline __attribute__((always_inline)) void least_update(struct minhash_work *w)
{
    enum { LANES = 32 };
    for (size_t first = 0; first < MINHASH_SIZE; first += LANES) {
        uint32_t least[LANES];
        memcpy(least, w->least + first, sizeof least);
        for (size_t k = 0; k < w->n; k++) {
            uint32_t x = w->shingle[k];
            for (size_t i = 0; i < LANES; i++) {
                uint32_t value = w->a[first + i] * x + w->b[first + i];
                least[i] = value < least[i] ? value : least[i];
            }
        }
        memcpy(w->least + first, least, sizeof least);
    }
}

static void least_update_plain(struct minhash_work *w) { least_update(w); }
#if defined(__x86_64__)
__attribute__((target("avx2"))) static void least_update_avx2(struct minhash_work *w) { least_update(w); }
#endif

static void work_flush(struct minhash_work *w)
{
    w->total += w->n;
#if defined(__x86_64__)
    if (system_cpu()->avx2) least_update_avx2(w);
    else
#endif
        least_update_plain(w);
    w->n = 0;
}

static void work_put(struct minhash_work *w, uint64_t shingle)
{
    w->shingle[w->n++] = (uint32_t)(hash_mix(shingle) >> 32);
    if (w->n == SHINGLE_BLOCK) work_flush(w);
}

void dialogue_minhash(struct minhash *out, const struct dialogue *d)
{
    struct minhash_work w;
    struct dialogue_words words = { .dialogue = d };
    uint64_t ring[SHINGLE_WORDS] = { 0 }, shingle = 0;
    const uint64_t prime = 0x9E3779B97F4A7C15u, prime5 = prime * prime * prime * prime * prime;
    uint32_t word;
    size_t n = 0;
    work_init(&w);
    for (; dialogue_word(&words, &word); n++) {
        shingle = shingle * prime + word - ring[n % SHINGLE_WORDS] * prime5;
        ring[n % SHINGLE_WORDS] = word;
        if (n + 1 >= SHINGLE_WORDS) work_put(&w, shingle);
    }
    /* Fewer words make one shingle. */
    if (n > 0 && n < SHINGLE_WORDS) work_put(&w, shingle);
    work_flush(&w);
    for (int band = 0; band < MINHASH_BANDS; band++) {
        out->band[band] = 0;
        for (int row = 0; w.total && row < MINHASH_ROWS; row++)
            out->band[band] |= (uint64_t)(w.least[band * MINHASH_ROWS + row] * 0x9E3779B1u >> 24) << 8 * row;
    }
}

int minhash_agree(const struct minhash *a, const struct minhash *b)
{
    const uint8_t *x = (const uint8_t *)a->band, *y = (const uint8_t *)b->band;
    int n = 0;
    for (size_t i = 0; i < MINHASH_SIZE; i++) n += x[i] == y[i];
    return n;
}

/* ---- the store -------------------------------------------------------------------------------------------------------------- */

/* At most `most` of `slots` (a power of two) are filled. Digests: both words zero mark an empty slot. Bands: index of a
 * signature + 1; slot of band b begins the search at its own hash. At most SAME_BAND signatures share one band, so that
 * a text that stands everywhere costs no more than that. */
enum { FIRST_SLOTS = 1024, SAME_BAND = 32 };
struct dedup {
    bool is_near;
    uint64_t (*digest)[2]; size_t digest_slots, n_digests;
    struct minhash *seen; size_t n_seen, seen_cap;
    uint32_t *slot[MINHASH_BANDS]; size_t band_slots;
};

struct dedup *dedup_open(bool near)
{
    struct dedup *s = mem_zero(1, sizeof *s);
    s->is_near = near;
    s->digest_slots = FIRST_SLOTS;
    s->digest = mem_zero(s->digest_slots, sizeof *s->digest);
    return s;
}

void dedup_close(struct dedup *s)
{
    if (!s) return;
    for (int band = 0; band < MINHASH_BANDS; band++) mem_free(s->slot[band]);
    mem_free(s->seen);
    mem_free(s->digest);
    mem_free(s);
}

/* Where the digest stands, or the empty slot where it belongs. */
static uint64_t *digest_slot(uint64_t (*table)[2], size_t slots, const uint64_t digest[2])
{
    size_t i = digest[0] & (slots - 1);
    while ((table[i][0] || table[i][1]) && !(table[i][0] == digest[0] && table[i][1] == digest[1])) i = (i + 1) & (slots - 1);
    return table[i];
}

static void digest_grow(struct dedup *s)
{
    size_t slots = s->digest_slots * 2;
    uint64_t (*table)[2] = mem_zero(slots, sizeof *table);
    for (size_t i = 0; i < s->digest_slots; i++)
        if (s->digest[i][0] || s->digest[i][1]) memcpy(digest_slot(table, slots, s->digest[i]), s->digest[i], sizeof *table);
    mem_free(s->digest);
    s->digest = table;
    s->digest_slots = slots;
}

/* True if the digest is new; it is remembered then. */
static bool digest_add(struct dedup *s, const uint64_t digest[2])
{
    uint64_t key[2] = { digest[0], digest[0] || digest[1] ? digest[1] : 1 };
    if (s->n_digests + 1 > s->digest_slots / 4 * 3) digest_grow(s);
    uint64_t *slot = digest_slot(s->digest, s->digest_slots, key);
    if (slot[0] || slot[1]) return false;
    memcpy(slot, key, sizeof key);
    s->n_digests++;
    return true;
}

static void band_insert(struct dedup *s, int band, uint32_t index)
{
    uint64_t key = s->seen[index].band[band];
    size_t i = hash_mix(key) & (s->band_slots - 1), same = 0;
    for (; s->slot[band][i] && same < SAME_BAND; i = (i + 1) & (s->band_slots - 1)) same += s->seen[s->slot[band][i] - 1].band[band] == key;
    if (same < SAME_BAND) s->slot[band][i] = index + 1;
}

/* Room for one more signature in all tables. */
static void near_grow(struct dedup *s)
{
    if (s->n_seen == s->seen_cap) {
        s->seen_cap = s->seen_cap ? s->seen_cap * 2 : FIRST_SLOTS;
        s->seen = mem_grow(s->seen, s->seen_cap * sizeof *s->seen);
    }
    if (s->n_seen + 1 <= s->band_slots / 4 * 3) return;
    s->band_slots = s->band_slots ? s->band_slots * 2 : FIRST_SLOTS;
    for (int band = 0; band < MINHASH_BANDS; band++) {
        mem_free(s->slot[band]);
        s->slot[band] = mem_zero(s->band_slots, sizeof *s->slot[band]);
        for (size_t i = 0; i < s->n_seen; i++) band_insert(s, band, (uint32_t)i);
    }
}

static bool near_find(const struct dedup *s, const struct minhash *near)
{
    for (int band = 0; band < MINHASH_BANDS && s->band_slots; band++) {
        size_t i = hash_mix(near->band[band]) & (s->band_slots - 1);
        for (; s->slot[band][i]; i = (i + 1) & (s->band_slots - 1)) {
            const struct minhash *other = &s->seen[s->slot[band][i] - 1];
            if (other->band[band] == near->band[band] && minhash_agree(other, near) >= NEAR_ROWS) return true;
        }
    }
    return false;
}

enum drop_reason dedup_check(struct dedup *s, const uint64_t digest[2], const struct minhash *near)
{
    static const struct minhash wordless = { { 0 } };
    if (!digest_add(s, digest)) return DROP_DUPLICATE;
    if (!s->is_near || !near || memcmp(near, &wordless, sizeof wordless) == 0) return KEEP;
    if (near_find(s, near)) return DROP_NEAR_DUPLICATE;
    if (s->n_seen == UINT32_MAX - 1) return KEEP;
    near_grow(s);
    s->seen[s->n_seen] = *near;
    for (int band = 0; band < MINHASH_BANDS; band++) band_insert(s, band, (uint32_t)s->n_seen);
    s->n_seen++;
    return KEEP;
}
