/* rouge.c - ROUGE-1, ROUGE-2 and ROUGE-Lsum (Lin, 2004) of one text against one reference, as rouge_score 0.1 computes their F1 without a stemmer:
 * words are runs of a-z and 0-9, sentences are lines. */
#include "eval/eval_internal.h"

#include <string.h>

/* Lower case; what is no letter or digit of ASCII becomes a space, but a newline stays where `keeps_lines`. */
static void plain(struct buf *out, const char *text, size_t len, bool keeps_lines)
{
    struct buf lower;
    buf_init(&lower, 0);
    text_put_case(&lower, text, len, false);
    for (size_t i = 0; i < lower.len; i++) {
        char c = lower.data[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        buf_putc(out, is_word || (keeps_lines && c == '\n') ? c : ' ');
    }
    buf_release(&lower);
}

static double f1(double hits, double a, double b)
{
    double precision = hits / (a > 1 ? a : 1), recall = hits / (b > 1 ? b : 1);
    return precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0;
}

static double rouge_n(const struct words *a, const struct words *b, size_t n)
{
    double x = a->n >= n ? (double)(a->n - n + 1) : 0, y = b->n >= n ? (double)(b->n - n + 1) : 0;
    return f1((double)words_common(a, b, n), x, y);
}

/* ---- longest common subsequences of sentences ----------------------------------------------------------------------------------------- */

/* Words by number: equal words have equal numbers. line[i]: first word of sentence i; n_lines + 1 of them. */
struct numbered { size_t *word, n, *line, n_lines; };

static size_t number_of(struct strings *known, const char *text, size_t len)
{
    for (size_t i = 0; i < known->n; i++)
        if (strlen(known->at[i]) == len && memcmp(known->at[i], text, len) == 0) return i;
    char *word = mem_strndup(text, len);
    strings_add(known, word);
    mem_free(word);
    return known->n - 1;
}

static void number_lines(struct numbered *out, struct strings *known, const char *text, size_t len)
{
    out->word = mem_alloc((len + 1) * sizeof *out->word);
    out->line = mem_alloc((len + 2) * sizeof *out->line);
    for (size_t at = 0; at < len;) {
        const char *stop = memchr(text + at, '\n', len - at);
        size_t end = stop ? (size_t)(stop - text) : len;
        struct span *word;
        size_t n = words_of(&word, text + at, end - at);
        if (end > at) out->line[out->n_lines++] = out->n;
        for (size_t i = 0; i < n; i++) out->word[out->n++] = number_of(known, text + at + word[i].begin, word[i].end - word[i].begin);
        mem_free(word);
        at = end + 1;
    }
    out->line[out->n_lines] = out->n;
}

/* Marks the words of r that are in a longest common subsequence of r and c; of several the one that the reference walks back to. */
static void mark_common(bool *mark, const size_t *r, size_t n, const size_t *c, size_t m)
{
    size_t *t = mem_zero((n + 1) * (m + 1), sizeof *t), w = m + 1;
    for (size_t i = 1; i <= n; i++)
        for (size_t j = 1; j <= m; j++)
            t[i * w + j] = r[i - 1] == c[j - 1] ? t[(i - 1) * w + j - 1] + 1 : t[(i - 1) * w + j] > t[i * w + j - 1] ? t[(i - 1) * w + j] : t[i * w + j - 1];
    for (size_t i = n, j = m; i && j;) {
        if (r[i - 1] == c[j - 1]) { mark[i - 1] = true; i--; j--; }
        else if (t[i * w + j - 1] > t[(i - 1) * w + j]) j--;
        else i--;
    }
    mem_free(t);
}

static void count_words(size_t *count, const struct numbered *x)
{
    for (size_t i = 0; i < x->n; i++) count[x->word[i]]++;
}

/* A word of the reference counts where one of the text's sentences has it in common, as often as both texts have it at most. */
static double rouge_lsum(const struct numbered *a, const struct numbered *b, size_t words)
{
    if (!a->n || !b->n) return 0;
    size_t *left = mem_zero(words + 1, sizeof *left), *right = mem_zero(words + 1, sizeof *right), hits = 0;
    bool *mark = mem_zero(b->n + 1, sizeof *mark);
    count_words(left, a);
    count_words(right, b);
    for (size_t s = 0; s < b->n_lines; s++)
        for (size_t k = 0; k < a->n_lines; k++) mark_common(mark + b->line[s], b->word + b->line[s], b->line[s + 1] - b->line[s], a->word + a->line[k], a->line[k + 1] - a->line[k]);
    for (size_t i = 0; i < b->n; i++) {
        size_t w = b->word[i];
        if (!mark[i] || !left[w] || !right[w]) continue;
        hits++;
        left[w]--;
        right[w]--;
    }
    double score = f1((double)hits, (double)a->n, (double)b->n);
    mem_free(left);
    mem_free(right);
    mem_free(mark);
    return score;
}

/* ---- all three --------------------------------------------------------------------------------------------------------------------------- */

static void sentences(struct buf *out, const char *text, size_t len)
{
    struct buf lined;
    buf_init(&lined, 0);
    buf_append(&lined, text, len);
    buf_puts(&lined, "");
    text_replace(&lined, " . ", ".\n");
    plain(out, lined.data, lined.len, true);
    buf_release(&lined);
}

struct rouge text_rouge(const char *text, size_t len, const char *reference, size_t reference_len)
{
    struct buf a, b;
    struct strings known = { 0 };
    struct numbered x = { 0 }, y = { 0 };
    buf_init(&a, 0);
    buf_init(&b, 0);
    sentences(&a, text, len);
    sentences(&b, reference, reference_len);
    struct words p = { a.data ? a.data : "", NULL, 0 }, q = { b.data ? b.data : "", NULL, 0 };
    p.n = words_of(&p.at, p.text, a.len);
    q.n = words_of(&q.at, q.text, b.len);
    number_lines(&x, &known, p.text, a.len);
    number_lines(&y, &known, q.text, b.len);
    struct rouge r = { 100 * rouge_n(&p, &q, 1), 100 * rouge_n(&p, &q, 2), 100 * rouge_lsum(&x, &y, known.n) };
    void *all[] = { p.at, q.at, x.word, x.line, y.word, y.line };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
    strings_release(&known);
    buf_release(&a);
    buf_release(&b);
    return r;
}
