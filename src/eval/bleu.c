/* bleu.c - BLEU of one text against one reference (Papineni et al., 2002), as sacrebleu 2.6 computes corpus_bleu with smooth_method "exp" and
 * tokenize "intl" (mteval-v14's international tokenisation). */
#include "eval/eval_internal.h"

#include <math.h>
#include <string.h>

enum { ORDERS = 4 };

/* Marks go apart from what is no number beside them, symbols from everything. */
static void tokenize(struct buf *out, const char *text, size_t len)
{
    static const char *const steps[][2] = { { "(\\P{N})(\\p{P})", "\\1 \\2 " }, { "(\\p{P})(\\P{N})", " \\1 \\2" }, { "(\\p{S})", " \\1 " } };
    struct span s = text_strip(text, len);
    struct buf now;
    buf_init(&now, 0);
    buf_append(&now, text, s.end);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct pattern *p = NULL;
        struct buf next;
        if (pattern_open(&p, steps[i][0], "bleu", NULL) != SC_OK) continue;
        buf_init(&next, 0);
        pattern_replace(&next, p, steps[i][1], now.data ? now.data : "", now.len);
        pattern_close(p);
        buf_release(&now);
        now = next;
    }
    buf_append(out, now.data ? now.data : "", now.len);
    buf_release(&now);
}

size_t words_of(struct span **out, const char *text, size_t len)
{
    size_t n = 0, cap = 16, space;
    *out = mem_alloc(cap * sizeof **out);
    for (size_t at = 0; at < len;) {
        if ((space = text_space_at_begin(text + at, len - at))) { at += space; continue; }
        size_t begin = at;
        while (at < len && !text_space_at_begin(text + at, len - at)) at++;
        if (n == cap) *out = mem_grow(*out, (cap *= 2) * sizeof **out);
        (*out)[n++] = (struct span){ begin, at };
    }
    return n;
}

static bool same_word(const struct words *a, size_t i, const struct words *b, size_t j)
{
    size_t n = a->at[i].end - a->at[i].begin;
    return n == b->at[j].end - b->at[j].begin && memcmp(a->text + a->at[i].begin, b->text + b->at[j].begin, n) == 0;
}

static bool same_gram(const struct words *a, size_t i, const struct words *b, size_t j, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (!same_word(a, i + k, b, j + k)) return false;
    return true;
}

/* Each n-gram of b answers for one of a at most. */
size_t words_common(const struct words *a, const struct words *b, size_t n)
{
    size_t common = 0;
    bool *used = mem_zero(b->n + 1, sizeof *used);
    for (size_t i = 0; i + n <= a->n; i++)
        for (size_t j = 0; j + n <= b->n; j++) {
            if (used[j] || !same_gram(a, i, b, j, n)) continue;
            used[j] = true;
            common++;
            break;
        }
    mem_free(used);
    return common;
}

static double bleu_of(const struct words *a, const struct words *b)
{
    double sum = 0, smooth = 1, matched = 0;
    for (size_t n = 1; n <= ORDERS; n++) {
        double all = a->n >= n ? (double)(a->n - n + 1) : 0, hit = (double)words_common(a, b, n);
        if (all == 0) return 0;
        matched += hit;
        if (hit == 0) { smooth *= 2; sum += log(100 / (smooth * all)); }
        else sum += log(100 * hit / all);
    }
    double brevity = a->n < b->n ? exp(1 - (double)b->n / (double)a->n) : 1;
    return matched > 0 ? brevity * exp(sum / ORDERS) : 0;
}

double text_bleu(const char *text, size_t len, const char *reference, size_t reference_len)
{
    struct buf a, b;
    buf_init(&a, 0);
    buf_init(&b, 0);
    tokenize(&a, text, len);
    tokenize(&b, reference, reference_len);
    struct words x = { a.data ? a.data : "", NULL, 0 }, y = { b.data ? b.data : "", NULL, 0 };
    x.n = words_of(&x.at, x.text, a.len);
    y.n = words_of(&y.at, y.text, b.len);
    double score = bleu_of(&x, &y);
    mem_free(x.at);
    mem_free(y.at);
    buf_release(&a);
    buf_release(&b);
    return score;
}
