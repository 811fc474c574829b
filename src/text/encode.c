/* encode.c - a text to ids: added tokens found in the text as it is, the rest normalised, more added tokens found in
 * that, and what remains cut by the pre-tokeniser's stages into pieces that are merged. The order is that of Hugging
 * Face tokenizers. All state of a call lives in its struct encoder, so one tokenizer serves many threads. */
#include "text_internal.h"

#include <string.h>

void token_list_push(struct token_list *l, int32_t id)
{
    if (l->len == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        l->id = mem_grow(l->id, l->cap * sizeof *l->id);
    }
    l->id[l->len++] = id;
}

void token_list_release(struct token_list *l)
{
    mem_free(l->id);
    *l = (struct token_list){ 0 };
}

void encoder_release(struct encoder *e)
{
    mem_free(e->cache);
    mem_free(e->work);
    mem_free(e->heap);
    pcre2_match_data_free(e->match);
    pcre2_match_context_free(e->match_context);
    pcre2_jit_stack_free(e->jit_stack);
}

/* Finds the tokens of `set` in the part and hands what lies between to `rest`. */
static void part_search(struct encoder *e, const struct added_set *set, const struct text_part *part,
                        void (*rest)(struct encoder *e, const struct text_part *part))
{
    struct added_search search = { .set = set, .part = part };
    struct added_match match;
    size_t done = 0;
    for (bool found = true; found; ) {
        found = added_next(e, &search, &match);
        size_t end = found ? match.begin : part->len;
        if (done < end) {
            struct text_part gap = { part->s + done, end - done, part->origin + done, part->trust ? part->trust + done : NULL };
            rest(e, &gap);
        }
        if (found) {
            token_list_push(e->out, match.id);
            done = match.end;
        }
    }
}

static void part_stages(struct encoder *e, const struct text_part *part) { encoder_stages(e, 0, part->s, part->len); }

/* A byte of trust for each byte of the part. */
static void trust_fill(struct buf *trust, const struct encoder *e, const struct text_part *part)
{
    size_t at = part->origin, end = part->origin + part->len;
    for (size_t i = 0; i < e->n_trusted && at < end; i++) {
        const struct span *s = &e->trusted[i];
        for (; at < end && at < s->begin; at++) buf_putc(trust, 0);
        for (; at < end && at < s->end; at++) buf_putc(trust, 1);
    }
    for (; at < end; at++) buf_putc(trust, 0);
}

static void part_normalize(struct encoder *e, const struct text_part *part)
{
    const struct tokenizer *t = e->t;
    struct marked_text text = { 0 };
    bool is_changed = false;
    if (!is_normal(&t->normalizers, &t->unicode, part->s, part->len)) {
        buf_append(&text.text, part->s, part->len);
        trust_fill(&text.trust, e, part);
        is_changed = normalize(&t->normalizers, e, &text);
    }
    if (is_changed) {
        struct text_part own = { text.text.data, text.text.len, 0, text.trust.data };
        e->is_stable = false;
        part_search(e, &t->added.normalized, &own, part_stages);
        e->is_stable = true;
    } else {
        part_search(e, &t->added.normalized, part, part_stages);
    }
    marked_text_release(&text);
}

/* ---- what the caller gave ---- */

/* The text with U+FFFD for what is no UTF-8, and the spans moved along; `text` stays empty where nothing was wrong. */
struct input { struct buf text; struct span *trusted; size_t n_trusted; };

/* Copies the spans: clipped, rising, touching ones joined. */
static void input_spans(struct input *in, size_t len, const struct span *trusted, size_t n)
{
    in->trusted = mem_alloc((n ? n : 1) * sizeof *in->trusted);
    size_t done = 0;
    for (size_t i = 0; i < n; i++) {
        struct span s = trusted[i];
        if (s.end > len) s.end = len;
        if (s.begin < done) s.begin = done;
        if (s.begin >= s.end) continue;
        if (in->n_trusted && in->trusted[in->n_trusted - 1].end == s.begin) in->trusted[in->n_trusted - 1].end = s.end;
        else in->trusted[in->n_trusted++] = s;
        done = s.end;
    }
}

/* Repairs the text. A character that a border cuts, broken or not, is not trusted. */
static void input_repair(struct input *in, const char *text, size_t len)
{
    size_t next = 0, n_borders = in->n_trusted * 2, width;
    for (size_t i = 0; i < len; i += width) {
        uint32_t c;
        int n = utf8_next(text + i, len - i, &c);
        width = (size_t)(n > 0 ? n : -n);
        for (; next < n_borders; next++) {
            bool is_end = next % 2;
            size_t *border = is_end ? &in->trusted[next / 2].end : &in->trusted[next / 2].begin;
            if (is_end ? *border >= i + width : *border > i) break;
            *border = in->text.len;
        }
        if (n > 0) buf_append(&in->text, text + i, width); else buf_puts(&in->text, "\xEF\xBF\xBD");
    }
    for (; next < n_borders; next++) *(next % 2 ? &in->trusted[next / 2].end : &in->trusted[next / 2].begin) = in->text.len;
}

void tokenizer_encode(const struct tokenizer *t, struct token_list *out, const char *text, size_t len, const struct span *trusted, size_t n_trusted)
{
    if (!len) return;
    struct input in = { 0 };
    input_spans(&in, len, trusted, n_trusted);
    if (!utf8_is_valid(text, len)) {
        input_repair(&in, text, len);
        text = in.text.data;
        len = in.text.len;
    }
    struct encoder e = { .t = t, .out = out, .trusted = in.trusted, .n_trusted = in.n_trusted, .is_stable = true };
    struct text_part whole = { text, len, 0, NULL };
    encoder_cache_open(&e, len);
    part_search(&e, &t->added.raw, &whole, part_normalize);
    encoder_release(&e);
    buf_release(&in.text);
    mem_free(in.trusted);
}
