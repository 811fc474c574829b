/* vocabulary.c - texts of tokens by id, ids by bytes. A vocabulary of byte-level BPE is written in printable symbols, one
 * for each byte (Radford et al. 2019, GPT-2's encoder); here tokens are kept as written, for GGUF and look-ups by name,
 * and as bytes, for encoding and decoding. Where both are the same they share their place in the pool. */
#include "text_internal.h"

#include <string.h>

enum { SLOTS_MIN = 1024 };
static const uint64_t RAW_SALT = 0x9E3779B97F4A7C15u;

/* ---- byte symbols ---- */

static bool is_own_symbol(uint32_t c) { return (c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xAC) || (c >= 0xAE && c <= 0xFF); }

/* The 68 other bytes take U+0100, U+0101, ... in rising order: 00..20, 7F..A0, AD. */
uint32_t byte_symbol(unsigned char byte)
{
    if (is_own_symbol(byte)) return byte;
    if (byte <= 0x20) return 0x100u + byte;
    if (byte <= 0xA0) return 0x121u + (byte - 0x7Fu);
    return 0x143;
}

static int symbol_byte(uint32_t c)
{
    if (c < 0x100) return is_own_symbol(c) ? (int)c : -1;
    if (c <= 0x120) return (int)(c - 0x100);
    if (c <= 0x142) return (int)(c - 0x121 + 0x7F);
    return c == 0x143 ? 0xAD : -1;
}

bool symbols_to_bytes(struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0, n; i < len; i += n) {
        uint32_t c = utf8_char(text + i, &n);
        int byte = symbol_byte(c);
        if (byte < 0) return false;
        buf_putc(out, (char)byte);
    }
    return true;
}

/* ---- hash ---- */

static inline uint64_t load(const char *s, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, s, n);
    return v;
}

/* Multiply-and-fold over eight bytes at a time; the last eight may overlap those before. */
uint64_t hash_bytes(uint64_t seed, const char *s, size_t len)
{
    uint64_t h = seed ^ len * 0xD6E8FEB86659FD93u;
    if (len >= 8) {
        for (size_t i = 0; i + 8 < len; i += 8) h = hash_mix(h ^ load(s + i, 8), 0xA0761D6478BD642Fu ^ seed);
        return hash_mix(h ^ load(s + len - 8, 8), 0xE7037ED1A0B428DBu ^ seed);
    }
    uint64_t last = len >= 4 ? load(s, 4) << 32 | load(s + len - 4, 4)
                  : len >= 2 ? load(s, 2) << 16 | load(s + len - 2, 2) : len ? (unsigned char)*s : 0;
    return hash_mix(h ^ last, 0xE7037ED1A0B428DBu ^ seed);
}

/* ---- table ---- */

void vocabulary_init(struct vocabulary *v)
{
    memset(v, 0, sizeof *v);
    buf_init(&v->pool, UINT32_MAX);
    v->limit = VOCABULARY_MAX;
    system_random(&v->seed, sizeof v->seed);
}

void vocabulary_release(struct vocabulary *v)
{
    mem_free(v->token);
    mem_free(v->slot);
    buf_release(&v->pool);
}

static const char *token_bytes(const struct vocabulary *v, const struct token *t) { return v->pool.data + t->bytes; }

static struct vocabulary_slot *slot_of(const struct vocabulary *v, uint64_t hash, const char *bytes, size_t len, uint32_t raw)
{
    if (!v->n_slots) return NULL;
    uint32_t tag = (uint32_t)(hash >> 32) | 1;      /* 0 marks an empty slot */
    for (size_t i = hash & (v->n_slots - 1);; i = (i + 1) & (v->n_slots - 1)) {
        struct vocabulary_slot *s = &v->slot[i];
        if (!s->tag) return NULL;
        if (s->tag != tag) continue;
        const struct token *t = &v->token[s->id];
        if (t->bytes_len == len && (t->flags & TOKEN_RAW) == raw && (!len || memcmp(token_bytes(v, t), bytes, len) == 0)) return s;
    }
}

struct vocabulary_slot *vocabulary_slot(const struct vocabulary *v, uint64_t hash, const char *bytes, size_t len)
{
    return slot_of(v, hash, bytes, len, 0);
}

static void slot_insert(struct vocabulary *v, uint64_t hash, struct vocabulary_slot entry)
{
    size_t i = hash & (v->n_slots - 1);
    while (v->slot[i].tag) i = (i + 1) & (v->n_slots - 1);
    entry.tag = (uint32_t)(hash >> 32) | 1;
    v->slot[i] = entry;
}

static uint64_t token_hash(const struct vocabulary *v, const struct token *t)
{
    return hash_bytes(t->flags & TOKEN_RAW ? v->seed ^ RAW_SALT : v->seed, token_bytes(v, t), t->bytes_len);
}

/* Keeps at least half of the slots free. */
static void slots_grow(struct vocabulary *v)
{
    if (v->n_filled * 2 < v->n_slots) return;
    struct vocabulary_slot *old = v->slot;
    size_t n_old = v->n_slots;
    v->n_slots = n_old ? n_old * 2 : SLOTS_MIN;
    v->slot = mem_zero(v->n_slots, sizeof *v->slot);
    for (size_t i = 0; i < n_old; i++)
        if (old[i].tag) slot_insert(v, token_hash(v, &v->token[old[i].id]), old[i]);
    mem_free(old);
}

/* Room for `id`; new entries are unused. */
static sc_status token_reserve(struct vocabulary *v, int64_t id, const char *what, sc_error *err)
{
    size_t limit = v->limit < VOCABULARY_MAX ? v->limit : VOCABULARY_MAX;
    if (id < 0 || (uint64_t)id >= limit)
        return FAIL(err, SC_E_FORMAT, "%s: token id %lld is out of range; with this many tokens ids are below %zu", what, (long long)id, limit);
    if ((size_t)id < v->len) return SC_OK;
    if ((size_t)id >= v->cap) {
        v->cap = (size_t)id + 1 > v->cap * 2 ? (size_t)id + 1 : v->cap * 2;
        if (v->cap < 64) v->cap = 64;
        v->token = mem_grow(v->token, v->cap * sizeof *v->token);
    }
    memset(v->token + v->len, 0, ((size_t)id + 1 - v->len) * sizeof *v->token);
    v->len = (size_t)id + 1;
    return SC_OK;
}

static uint32_t pool_put(struct vocabulary *v, const char *s, size_t len)
{
    uint32_t at = (uint32_t)v->pool.len;
    buf_append(&v->pool, s, len);
    return at;
}

/* Puts the text and the bytes that it stands for into the pool. */
static sc_status token_fill(struct vocabulary *v, int64_t id, const char *text, size_t len, uint32_t flags, const char *what, sc_error *err)
{
    struct token t = { .text_len = (uint32_t)len, .flags = flags | TOKEN_USED };
    t.text = pool_put(v, text, len);
    size_t bytes = v->pool.len;
    if (symbols_to_bytes(&v->pool, text, len)) {
        t.bytes = (uint32_t)bytes;
        t.bytes_len = (uint32_t)(v->pool.len - bytes);
    } else {
        t.flags |= TOKEN_RAW;
    }
    bool is_same = !(t.flags & TOKEN_RAW) && t.bytes_len == len && (!len || memcmp(v->pool.data + bytes, text, len) == 0);
    if (is_same || (t.flags & TOKEN_RAW)) {
        v->pool.len = bytes;
        t.bytes = t.text;
        t.bytes_len = t.text_len;
    }
    if (v->pool.is_full) return FAIL(err, SC_E_FORMAT, "%s: the texts of all tokens take more than 4 GiB", what);
    v->token[id] = t;
    return SC_OK;
}

sc_status vocabulary_put(struct vocabulary *v, int64_t id, const char *text, size_t len, const char *what, sc_error *err)
{
    char quote[80];
    TRY(token_reserve(v, id, what, err));
    if (v->token[id].flags & TOKEN_USED)
        return FAIL(err, SC_E_FORMAT, "%s: token id %lld is given twice, the second time to \"%s\"", what, (long long)id, error_quote(quote, sizeof quote, text, len));
    if (vocabulary_find(v, text, len) >= 0)
        return FAIL(err, SC_E_FORMAT, "%s: the vocabulary has \"%s\" twice", what, error_quote(quote, sizeof quote, text, len));
    TRY(token_fill(v, id, text, len, TOKEN_MODEL, what, err));
    slots_grow(v);
    slot_insert(v, token_hash(v, &v->token[id]), (struct vocabulary_slot){ .id = (uint32_t)id & 0x7FFFFFFF });
    v->n_filled++;
    return SC_OK;
}

sc_status vocabulary_set(struct vocabulary *v, int64_t id, const char *text, size_t len, uint32_t flags, const char *what, sc_error *err)
{
    TRY(token_reserve(v, id, what, err));
    return token_fill(v, id, text, len, flags, what, err);
}

void vocabulary_set_bytes(struct vocabulary *v, int32_t id, const char *bytes, size_t len)
{
    v->token[id].bytes = pool_put(v, bytes, len);
    v->token[id].bytes_len = (uint32_t)len;
}

int32_t vocabulary_find(const struct vocabulary *v, const char *text, size_t len)
{
    struct buf bytes;
    buf_init(&bytes, 0);
    bool is_raw = !symbols_to_bytes(&bytes, text, len);
    const struct vocabulary_slot *s = is_raw ? slot_of(v, hash_bytes(v->seed ^ RAW_SALT, text, len), text, len, TOKEN_RAW)
                                             : slot_of(v, hash_bytes(v->seed, bytes.data, bytes.len), bytes.data, bytes.len, 0);
    buf_release(&bytes);
    return s ? (int32_t)s->id : -1;
}
