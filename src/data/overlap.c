/* overlap.c - does a dialogue contain items of evaluation sets?
 *
 * Two measures. Exact: 13 words in a row, the rule of GPT-3's appendix C and of lm-eval. Rephrased: which share of an
 * item's 5-word shingles a dialogue contains. Items are rows of 32-bit word hashes; the tables hold positions in them
 * and every hit is compared word by word, so a hash collision of table entries never counts. */
#include "clean_internal.h"

#include <stdlib.h>
#include <string.h>

enum { ITEM_WORDS = 9, EXACT_WORDS = 13, SHINGLE_WORDS = 5, SAME_SHINGLE = 64 };
static const double least_share = 0.5;
static const uint64_t prime = 0x9E3779B97F4A7C15u;

struct item { uint32_t first, n_words, file; uint64_t line; };
/* Open addressing; a slot holds a position in `word` + 1. `next` chains positions of equal shingles. */
struct table { uint32_t *slot; size_t n_slots; };
struct overlap {
    struct path_list files;
    struct item *item; size_t n_items, items_cap;
    uint32_t *word; size_t n_words, words_cap;
    struct table exact, shingle;
    uint32_t *next;
    struct dedup *texts;
    bool is_full;
};

/* ---- loading ------------------------------------------------------------------------------------------------------------------- */

static void word_push(struct overlap *o, uint32_t hash)
{
    if (o->n_words == o->words_cap) o->word = mem_grow(o->word, (o->words_cap = o->words_cap ? o->words_cap * 2 : 4096) * sizeof *o->word);
    o->word[o->n_words++] = hash;
}

static void item_put(void *user, const char *text, size_t len, uint64_t line)
{
    struct overlap *o = user;
    struct word_reader words = { text, text + len };
    uint64_t digest[2] = { 1, 2 };
    size_t first = o->n_words;
    uint32_t hash;
    while (o->n_words < UINT32_MAX - 1 && word_next(&words, &hash)) {
        word_push(o, hash);
        digest[0] = (digest[0] ^ hash) * prime;
        digest[1] = hash_mix(digest[1] + hash);
    }
    o->is_full |= o->n_words >= UINT32_MAX - 1;
    if (o->n_words - first < ITEM_WORDS || (o->texts && dedup_check(o->texts, digest, NULL) != KEEP)) { o->n_words = first; return; }
    if (o->n_items == o->items_cap) o->item = mem_grow(o->item, (o->items_cap = o->items_cap ? o->items_cap * 2 : 256) * sizeof *o->item);
    o->item[o->n_items++] = (struct item) { (uint32_t)first, (uint32_t)(o->n_words - first), (uint32_t)(o->files.len - 1), line };
}

/* ---- tables ---------------------------------------------------------------------------------------------------------------------- */

static uint64_t gram_hash(const uint32_t *word, size_t n)
{
    uint64_t h = 0;
    for (size_t i = 0; i < n; i++) h = h * prime + word[i];
    return hash_mix(h);
}

/* The position + 1 of an equal gram, or 0; *at is its slot or the empty one where it belongs. */
static uint32_t table_find(const struct overlap *o, const struct table *t, const uint32_t *gram, size_t n, size_t *at)
{
    size_t i = (size_t)(((unsigned __int128)gram_hash(gram, n) * t->n_slots) >> 64);
    while (t->slot[i] && memcmp(o->word + t->slot[i] - 1, gram, n * sizeof *gram) != 0) i = i + 1 == t->n_slots ? 0 : i + 1;
    *at = i;
    return t->slot[i];
}

static void table_fill(struct overlap *o, struct table *t, size_t n, uint32_t *next)
{
    t->n_slots = o->n_words + o->n_words / 2 + 16;
    t->slot = mem_zero(t->n_slots, sizeof *t->slot);
    for (size_t k = 0; k < o->n_items; k++) {
        const struct item *item = &o->item[k];
        for (uint32_t p = item->first; p + n <= (size_t)item->first + item->n_words; p++) {
            size_t at;
            uint32_t old = table_find(o, t, o->word + p, n, &at);
            if (next) next[p] = old;
            if (next || !old) t->slot[at] = p + 1;
        }
    }
}

void overlap_close(struct overlap *o)
{
    if (!o) return;
    path_list_release(&o->files);
    dedup_close(o->texts);
    mem_free(o->item);
    mem_free(o->word);
    mem_free(o->exact.slot);
    mem_free(o->shingle.slot);
    mem_free(o->next);
    mem_free(o);
}

sc_status overlap_open(struct overlap **out, const char *const *paths, size_t n, sc_error *err)
{
    struct overlap *o = mem_zero(1, sizeof *o);
    struct path_list all = { 0 };
    sc_status status = SC_OK;
    *out = NULL;
    o->texts = dedup_open(false);
    for (size_t i = 0; i < n; i++) TRY_DONE(path_list_add(&all, paths[i], err));
    for (size_t i = 0; i < all.len; i++) {
        TRY_DONE(path_list_add(&o->files, all.path[i], err));
        TRY_DONE(texts_read(all.path[i], item_put, o, err));
    }
    if (o->is_full) TRY_DONE(FAIL(err, SC_E_MEMORY, "the evaluation sets have more than %u words; please name fewer files", UINT32_MAX));
    if (!o->n_items) TRY_DONE(FAIL(err, SC_E_ARGUMENT, "%s holds no text of %d words or more to compare with; expected JSON, JSONL, CSV, TSV or text files", n ? paths[0] : "overlap", ITEM_WORDS));
    dedup_close(o->texts);
    o->texts = NULL;
    o->next = mem_zero(o->n_words, sizeof *o->next);
    table_fill(o, &o->exact, EXACT_WORDS, NULL);
    table_fill(o, &o->shingle, SHINGLE_WORDS, o->next);
    *out = o;
    o = NULL;
done:
    path_list_release(&all);
    overlap_close(o);
    return status;
}

sc_status overlap_open_items(struct overlap **out, const char *const *text, size_t n, sc_error *err)
{
    struct overlap *o = mem_zero(1, sizeof *o);
    *out = o;
    for (size_t i = 0; i < n; i++) item_put(o, text[i], strlen(text[i]), i);
    if (o->is_full) {
        overlap_close(o);
        *out = NULL;
        return FAIL(err, SC_E_MEMORY, "the items have more than %u words; please check fewer at a time", UINT32_MAX);
    }
    o->next = mem_zero(o->n_words + 1, sizeof *o->next);
    table_fill(o, &o->exact, EXACT_WORDS, NULL);
    table_fill(o, &o->shingle, SHINGLE_WORDS, o->next);
    return SC_OK;
}

/* ---- comparing -------------------------------------------------------------------------------------------------------------------- */

/* Numbers that grow: words of a dialogue, positions hit. */
struct list { uint32_t *value; size_t len, cap; };

static void list_push(struct list *l, uint32_t value)
{
    if (l->len == l->cap) l->value = mem_grow(l->value, (l->cap = l->cap ? l->cap * 2 : 256) * sizeof *l->value);
    l->value[l->len++] = value;
}

static int value_order(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The item that holds word `position`. */
static const struct item *item_at(const struct overlap *o, uint32_t position)
{
    size_t low = 0, n = o->n_items;
    while (n > 1) {
        size_t half = n / 2;
        low += o->item[low + half].first <= position ? half : 0;
        n -= half;
    }
    return &o->item[low];
}

static void hit_set(struct overlap_hit *hit, const struct overlap *o, const struct item *item, double share, bool is_exact)
{
    *hit = (struct overlap_hit) { o->files.path[item->file], item->line, share, is_exact };
}

static const struct item *exact_find(const struct overlap *o, const struct list *words)
{
    size_t at;
    for (size_t i = 0; i + EXACT_WORDS <= words->len; i++) {
        uint32_t found = table_find(o, &o->exact, words->value + i, EXACT_WORDS, &at);
        if (found) return item_at(o, found - 1);
    }
    return NULL;
}

/* Calls `each` for every item of which a shingle is among the words, with the share of its shingles that are. */
static void share_each(const struct overlap *o, const struct list *words, void (*each)(void *user, const struct item *item, double share), void *user)
{
    struct list hits = { 0 };
    size_t at;
    for (size_t i = 0; i + SHINGLE_WORDS <= words->len; i++) {
        uint32_t found = table_find(o, &o->shingle, words->value + i, SHINGLE_WORDS, &at);
        for (int k = 0; found && k < SAME_SHINGLE; k++, found = o->next[found - 1]) list_push(&hits, found - 1);
    }
    if (hits.len) qsort(hits.value, hits.len, sizeof *hits.value, value_order);
    for (size_t i = 0; i < hits.len; ) {
        const struct item *item = item_at(o, hits.value[i]);
        size_t n = 0;
        for (; i < hits.len && hits.value[i] < item->first + item->n_words; i++) n += i == 0 || hits.value[i] != hits.value[i - 1];
        each(user, item, (double)n / (double)(item->n_words - SHINGLE_WORDS + 1));
    }
    mem_free(hits.value);
}

struct strongest { const struct item *item; double share; };

static void keep_strongest(void *user, const struct item *item, double share)
{
    struct strongest *s = user;
    if (share > s->share) *s = (struct strongest){ item, share };
}

bool overlap_find(const struct overlap *o, const struct dialogue *d, struct overlap_hit *hit)
{
    struct dialogue_words reader = { .dialogue = d };
    struct list words = { 0 };
    struct strongest most = { 0 };
    uint32_t hash;
    while (dialogue_word(&reader, &hash)) list_push(&words, hash);
    const struct item *exact = exact_find(o, &words);
    share_each(o, &words, keep_strongest, &most);
    const struct item *close = most.item;
    double share = most.share;
    mem_free(words.value);
    if (exact) hit_set(hit, o, close && share >= least_share ? close : exact, share, true);
    else if (close && share >= least_share) hit_set(hit, o, close, share, false);
    return exact || (close && share >= least_share);
}

static void mark_share(void *user, const struct item *item, double share)
{
    struct overlap_mark *m = (struct overlap_mark *)user + item->line;
    if (share > m->share) m->share = share;
}

void overlap_mark_items(struct overlap_mark *mark, const struct overlap *o, const char *text, size_t len)
{
    struct word_reader reader = { text, text + len };
    struct list words = { 0 };
    uint32_t hash;
    size_t at;
    while (word_next(&reader, &hash)) list_push(&words, hash);
    for (size_t i = 0; i + EXACT_WORDS <= words.len; i++) {
        uint32_t found = table_find(o, &o->exact, words.value + i, EXACT_WORDS, &at);
        if (found) mark[item_at(o, found - 1)->line].is_exact = true;
    }
    share_each(o, &words, mark_share, mark);
    mem_free(words.value);
}

void overlap_checked_items(bool *is_checked, const struct overlap *o)
{
    for (size_t i = 0; i < o->n_items; i++) is_checked[o->item[i].line] = true;
}
