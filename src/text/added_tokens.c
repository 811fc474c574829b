/* added_tokens.c - tokens that are found in the text before it is split: rules of Hugging Face tokenizers
 * (added_vocabulary.rs): leftmost longest match over all of them, anywhere in the text, whole words only if asked,
 * swallowing space on a side if asked. One rule is our own: special tokens, and others that look like markup, are seen
 * in trusted text only; elsewhere their letters are text, and no merge makes them either.
 *
 * A matcher is the sorted list of contents: reading on from a position narrows the range that shares the prefix. */
#include "text_internal.h"

#include <stdlib.h>
#include <string.h>

enum { CONTENT_MAX = 4096, SLOTS_MIN = 64 };

static void set_release(struct added_set *s)
{
    mem_free(s->sorted);
    *s = (struct added_set){ 0 };
}

void added_tokens_release(struct added_tokens *a)
{
    for (size_t i = 0; i < a->len; i++) mem_free(a->token[i].match);
    mem_free(a->token);
    mem_free(a->slot);
    set_release(&a->raw);
    set_release(&a->normalized);
}

/* ---- by content ---- */

static const char *content_of(const struct tokenizer *t, const struct added_token *a, size_t *len)
{
    const struct token *token = &t->vocabulary.token[a->id];
    *len = token->text_len;
    return t->vocabulary.pool.data + token->text;
}

static struct added_token *entry_find(const struct tokenizer *t, const char *content, size_t len)
{
    const struct added_tokens *a = &t->added;
    if (!a->n_slots) return NULL;
    for (size_t i = hash_bytes(t->vocabulary.seed, content, len) & (a->n_slots - 1); a->slot[i]; i = (i + 1) & (a->n_slots - 1)) {
        size_t own_len;
        const char *own = content_of(t, &a->token[a->slot[i] - 1], &own_len);
        if (own_len == len && memcmp(own, content, len) == 0) return &a->token[a->slot[i] - 1];
    }
    return NULL;
}

int32_t added_find(const struct tokenizer *t, const char *content, size_t len)
{
    const struct added_token *a = entry_find(t, content, len);
    return a ? a->id : -1;
}

static void slot_insert(struct tokenizer *t, size_t index)
{
    struct added_tokens *a = &t->added;
    size_t len;
    const char *content = content_of(t, &a->token[index], &len);
    size_t i = hash_bytes(t->vocabulary.seed, content, len) & (a->n_slots - 1);
    while (a->slot[i]) i = (i + 1) & (a->n_slots - 1);
    a->slot[i] = (uint32_t)index + 1;
}

static struct added_token *entry_new(struct tokenizer *t, int32_t id)
{
    struct added_tokens *a = &t->added;
    if (a->len == a->cap) {
        a->cap = a->cap ? a->cap * 2 : 16;
        a->token = mem_grow(a->token, a->cap * sizeof *a->token);
    }
    a->token[a->len] = (struct added_token){ .id = id };
    a->len++;
    if (a->len * 2 > a->n_slots) {
        a->n_slots = a->n_slots ? a->n_slots * 2 : SLOTS_MIN;
        mem_free(a->slot);
        a->slot = mem_zero(a->n_slots, sizeof *a->slot);
        for (size_t i = 0; i < a->len; i++) slot_insert(t, i);
    } else {
        slot_insert(t, a->len - 1);
    }
    return &a->token[a->len - 1];
}

/* ---- adding ---- */

static bool is_markup(const char *s, size_t len)
{
    return len >= 2 && ((s[0] == '<' && s[len - 1] == '>') || (s[0] == '[' && s[len - 1] == ']'));
}

/* What the matcher looks for; a token that is matched behind the normalisers is normalised itself. */
static void match_set(struct tokenizer *t, struct added_token *a, const char *content, size_t len)
{
    struct marked_text text = { 0 };
    struct encoder e = { .t = t };
    buf_append(&text.text, content, len);
    for (size_t i = 0; i < len; i++) buf_putc(&text.trust, 1);
    bool is_changed = a->normalized && normalize(&t->normalizers, &e, &text);
    mem_free(a->match);
    a->match = mem_strndup(text.text.data ? text.text.data : "", text.text.len);
    a->match_len = text.text.len;
    if (is_changed && !(t->vocabulary.token[a->id].flags & TOKEN_MODEL)) {
        /* The reference decodes such a token to its normalised content. */
        struct buf bytes;
        buf_init(&bytes, 0);
        if (symbols_to_bytes(&bytes, a->match, a->match_len)) vocabulary_set_bytes(&t->vocabulary, a->id, bytes.data, bytes.len);
        else vocabulary_set_bytes(&t->vocabulary, a->id, a->match, a->match_len);
        buf_release(&bytes);
    }
    marked_text_release(&text);
    encoder_release(&e);
}

/* Id of a content that is not an added token yet. */
static sc_status id_choose(int32_t *out, struct tokenizer *t, int64_t id, const char *content, size_t len, const char *what, sc_error *err)
{
    struct vocabulary *v = &t->vocabulary;
    char quote[80];
    *out = vocabulary_find(v, content, len);
    if (*out >= 0) return SC_OK;
    if (id < 0) id = (int64_t)v->len;
    if ((size_t)id < v->len && v->token[id].flags & TOKEN_USED)
        return FAIL(err, SC_E_FORMAT, "%s: added token \"%s\" wants id %lld, which another token has", what,
                    error_quote(quote, sizeof quote, content, len), (long long)id);
    TRY(vocabulary_set(v, id, content, len, 0, what, err));
    *out = (int32_t)id;
    return SC_OK;
}

sc_status added_tokens_put(struct tokenizer *t, int64_t id, const char *content, size_t len, const struct added_flags *flags, bool *is_new, const char *what, sc_error *err)
{
    if (is_new) *is_new = false;
    if (!len) return SC_OK;
    if (len > CONTENT_MAX) return FAIL(err, SC_E_UNSUPPORTED, "%s: an added token of %zu bytes is longer than %d", what, len, CONTENT_MAX);
    struct added_token *a = entry_find(t, content, len);
    if (!a) {
        int32_t chosen;
        size_t before = t->vocabulary.len;
        TRY(id_choose(&chosen, t, id, content, len, what, err));
        if (is_new) *is_new = t->vocabulary.len > before;
        a = entry_new(t, chosen);
    }
    a->single_word = flags->single_word;
    a->lstrip = flags->lstrip;
    a->rstrip = flags->rstrip;
    a->normalized = flags->normalized;
    a->special |= flags->special;
    struct token *token = &t->vocabulary.token[a->id];
    token->flags |= TOKEN_ADDED | (a->special ? TOKEN_SPECIAL : 0) | (a->special || is_markup(content, len) ? TOKEN_GATED : 0);
    match_set(t, a, content, len);
    return SC_OK;
}

static int match_compare(const void *x, const void *y)
{
    const struct added_token *a = *(struct added_token *const *)x, *b = *(struct added_token *const *)y;
    size_t n = a->match_len < b->match_len ? a->match_len : b->match_len;
    int order = n ? memcmp(a->match, b->match, n) : 0;
    if (order) return order;
    if (a->match_len != b->match_len) return a->match_len < b->match_len ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static void set_build(struct tokenizer *t, struct added_set *set, bool normalized)
{
    struct added_tokens *a = &t->added;
    set_release(set);
    set->sorted = mem_alloc(a->len * sizeof *set->sorted);
    set->is_all_gated = true;
    for (size_t i = 0; i < a->len; i++) {
        struct added_token *token = &a->token[i];
        if (token->normalized != normalized || !token->match_len) continue;
        set->sorted[set->len++] = token;
        set->first[(unsigned char)token->match[0]] = true;
        set->is_all_gated &= (t->vocabulary.token[token->id].flags & TOKEN_GATED) != 0;
    }
    if (set->len) qsort(set->sorted, set->len, sizeof *set->sorted, match_compare);
}

void added_tokens_finish(struct tokenizer *t)
{
    set_build(t, &t->added.raw, false);
    set_build(t, &t->added.normalized, true);
}

/* ---- finding ---- */

/* Does [begin, end) of the part lie in trusted text? */
static bool is_trusted(const struct encoder *e, const struct text_part *part, size_t begin, size_t end)
{
    if (part->trust) return !memchr(part->trust + begin, 0, end - begin);
    begin += part->origin;
    end += part->origin;
    size_t low = 0, high = e->n_trusted;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (e->trusted[middle].end <= begin) low = middle + 1; else high = middle;
    }
    return low < e->n_trusted && e->trusted[low].begin <= begin && end <= e->trusted[low].end;
}

/* First entry of sorted[low..high) whose byte `depth` is at least `byte`; all share the bytes before and are longer. */
static size_t lower_bound(const struct added_set *set, size_t low, size_t high, size_t depth, unsigned byte)
{
    while (low < high) {
        size_t middle = (low + high) / 2;
        if ((unsigned char)set->sorted[middle]->match[depth] < byte) low = middle + 1; else high = middle;
    }
    return low;
}

static bool is_allowed(const struct encoder *e, const struct text_part *part, const struct added_token *a, size_t at)
{
    return !(e->t->vocabulary.token[a->id].flags & TOKEN_GATED) || is_trusted(e, part, at, at + a->match_len);
}

/* The longest token at s[at] that may be recognised there; NULL: none. */
static const struct added_token *longest_at(const struct encoder *e, const struct added_search *x, size_t at)
{
    const struct added_set *set = x->set;
    const struct added_token *found = NULL;
    size_t low = 0, high = set->len;
    for (size_t depth = 0; at + depth < x->part->len; depth++) {
        unsigned byte = (unsigned char)x->part->s[at + depth];
        low = lower_bound(set, low, high, depth, byte);
        high = lower_bound(set, low, high, depth, byte + 1);
        /* Entries that end here come first; of equal contents the lowest id. */
        for (bool is_first = true; low < high && set->sorted[low]->match_len == depth + 1; low++, is_first = false)
            if (is_first && is_allowed(e, x->part, set->sorted[low], at)) found = set->sorted[low];
        if (low == high) break;
    }
    return found;
}

static bool is_word_between(const struct unicode *u, const struct text_part *p, size_t begin, size_t end)
{
    size_t n;
    return !(begin > 0 && utf8_flags_before(u, p->s, begin, &n) & U_WORD) && !(end < p->len && utf8_flags(u, p->s + end, &n) & U_WORD);
}

static size_t space_begin(const struct unicode *u, const struct text_part *p, size_t at, size_t not_before)
{
    size_t n;
    while (at > not_before && utf8_flags_before(u, p->s, at, &n) & U_SPACE) at -= n;
    return at < not_before ? not_before : at;
}

/* End of the space behind `at`; remembers the run, so that tokens within it do not make this quadratic. */
static size_t space_end(const struct unicode *u, struct added_search *x, size_t at)
{
    if (at >= x->space_begin && at <= x->space_end && x->space_end) return x->space_end;
    x->space_begin = at;
    size_t n;
    while (at < x->part->len && utf8_flags(u, x->part->s + at, &n) & U_SPACE) at += n;
    return x->space_end = at;
}

/* Can nothing be found because all is gated and nothing trusted? */
static bool is_hopeless(const struct encoder *e, const struct added_search *x)
{
    if (!x->set->len) return true;
    if (!x->set->is_all_gated) return false;
    return x->part->trust ? !memchr(x->part->trust, 1, x->part->len) : e->n_trusted == 0;
}

bool added_next(const struct encoder *e, struct added_search *x, struct added_match *match)
{
    const struct unicode *u = &e->t->unicode;
    if (x->at == 0 && is_hopeless(e, x)) return false;
    while (x->at < x->part->len) {
        size_t at = x->at;
        if (!x->set->first[(unsigned char)x->part->s[at]]) { x->at++; continue; }
        const struct added_token *a = longest_at(e, x, at);
        if (!a) { x->at++; continue; }
        x->at = at + a->match_len;
        *match = (struct added_match){ a->id, at, x->at };
        if (a->single_word && !is_word_between(u, x->part, at, x->at)) continue;
        if (a->lstrip) match->begin = space_begin(u, x->part, at, x->done);
        if (a->rstrip) match->end = space_end(u, x, x->at);
        x->done = match->end;
        return true;
    }
    return false;
}
