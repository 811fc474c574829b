/* scan.c - hand-written scanners for the split patterns of known tokenizers, as rows of a table keyed by the exact
 * pattern, and for the classes that other pre-tokenisers part text by. Each does what a leftmost, first-alternative
 * regular expression search does, in time linear in the text; the pattern beside it is the specification, and a test
 * compares each scanner with PCRE2 on random text. Any other pattern goes to regex.c.
 *
 * Sources: the tokenizer.json files of the models, Oniguruma's RE document for the meaning of the classes. */
#include "text_internal.h"

#include <string.h>

/* End of the run of characters from `at` that have any flag of `mask` (or none, with `want` false). */
static inline size_t run_end(const struct unicode *u, const char *s, size_t len, size_t at, uint32_t mask, bool want)
{
    size_t n;
    while (at < len && ((utf8_flags(u, s + at, &n) & mask) != 0) == want) at += n;
    return at;
}

/* \s+(?!\S)|\s+ from a space at `at`: all of the run at the end of the text, else all but its last character, unless
 * that is the only one. */
static size_t space_end(const struct unicode *u, const char *s, size_t len, size_t at)
{
    size_t end = at, last = at, n;
    while (end < len && utf8_flags(u, s + end, &n) & U_SPACE) { last = end; end += n; }
    return end < len && last > at ? last : end;
}

/* Bytes of the contraction behind the apostrophe at s[at]: 's 't 're 've 'm 'll 'd; 0: none. */
static size_t contraction(const char *s, size_t len, size_t at)
{
    if (at + 1 >= len) return 0;
    char a = s[at + 1], b = at + 2 < len ? s[at + 2] : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
    return 0;
}

/* The same under (?i: ), where U+017F, the long s, folds to s. */
static size_t contraction_any_case(const char *s, size_t len, size_t at)
{
    if (at + 2 < len && memcmp(s + at + 1, "\xC5\xBF", 2) == 0) return 3;
    char lower[3] = { '\'' };
    size_t n = len - at < 3 ? len - at : 3;
    for (size_t i = 1; i < n; i++) {
        char c = s[at + i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    return contraction(lower, n, 0);
}

enum { OTHER = U_SPACE | U_LETTER | U_NUMBER };       /* a character with none of these is "other" */

const char pattern_gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static bool scan_gpt2(const struct stage *st, struct encoder *e, const char *s, size_t len, size_t at, struct span *match)
{
    (void)st;
    const struct unicode *u = &e->t->unicode;
    if (at >= len) return false;
    match->begin = at;
    size_t n;
    if (s[at] == '\'' && (n = contraction(s, len, at))) { match->end = at + n; return true; }
    size_t first = at + (s[at] == ' ' && at + 1 < len);
    uint32_t flags = utf8_flags(u, s + first, &n);
    if (flags & U_SPACE) match->end = space_end(u, s, len, at);
    else if (flags & U_LETTER) match->end = run_end(u, s, len, first + n, U_LETTER, true);
    else if (flags & U_NUMBER) match->end = run_end(u, s, len, first + n, U_NUMBER, true);
    else match->end = run_end(u, s, len, first + n, OTHER, false);
    return true;
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t newline_or_space_end(const struct unicode *u, const char *s, size_t len, size_t at)
{
    size_t end = at, newline = 0, n;
    for (; end < len && utf8_flags(u, s + end, &n) & U_SPACE; end += n)
        if (s[end] == '\r' || s[end] == '\n') newline = end + 1;
    return newline ? newline : space_end(u, s, len, at);
}

/* Llama-3 and Qwen2 differ only in how many digits go together. */
static bool scan_llama(struct encoder *e, const char *s, size_t len, size_t at, struct span *match, int digits)
{
    const struct unicode *u = &e->t->unicode;
    if (at >= len) return false;
    match->begin = at;
    size_t n, n_next;
    if (s[at] == '\'' && (n = contraction_any_case(s, len, at))) { match->end = at + n; return true; }
    uint32_t flags = utf8_flags(u, s + at, &n);
    if (flags & U_LETTER) { match->end = run_end(u, s, len, at + n, U_LETTER, true); return true; }
    if (flags & U_NUMBER) {
        for (at += n; --digits > 0 && at < len && utf8_flags(u, s + at, &n) & U_NUMBER; ) at += n;
        match->end = at;
        return true;
    }
    bool is_newline = s[at] == '\r' || s[at] == '\n';
    uint32_t next = at + n < len ? utf8_flags(u, s + at + n, &n_next) : U_SPACE;
    if (!is_newline && next & U_LETTER) { match->end = run_end(u, s, len, at + n, U_LETTER, true); return true; }
    if (!(flags & U_SPACE) || (s[at] == ' ' && !(next & OTHER))) {
        size_t end = run_end(u, s, len, at + n, OTHER, false);
        while (end < len && (s[end] == '\r' || s[end] == '\n')) end++;
        match->end = end;
        return true;
    }
    match->end = newline_or_space_end(u, s, len, at);
    return true;
}

const char pattern_llama3[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const char pattern_qwen2[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

static bool scan_llama3(const struct stage *st, struct encoder *e, const char *s, size_t len, size_t at, struct span *match)
{
    (void)st;
    return scan_llama(e, s, len, at, match, 3);
}

static bool scan_qwen2(const struct stage *st, struct encoder *e, const char *s, size_t len, size_t at, struct span *match)
{
    (void)st;
    return scan_llama(e, s, len, at, match, 1);
}

/* ---- DeepSeek ---- */

static bool scan_newline(const struct stage *st, struct encoder *e, const char *s, size_t len, size_t at, struct span *match)
{
    (void)st; (void)e;
    while (at < len && s[at] != '\r' && s[at] != '\n') at++;
    *match = (struct span){ at, at + 1 };
    return at < len;
}

/* \s?C+ for the class C of the stage's mask. */
static bool scan_space_class(const struct stage *st, struct encoder *e, const char *s, size_t len, size_t at, struct span *match)
{
    const struct unicode *u = &e->t->unicode;
    size_t before = at, n;
    bool is_space = false;
    for (; at < len; at += n) {
        uint32_t flags = utf8_flags(u, s + at, &n);
        if (flags & st->mask) {
            *match = (struct span){ is_space ? before : at, run_end(u, s, len, at + n, st->mask, true) };
            return true;
        }
        is_space = (flags & U_SPACE) != 0;
        before = at;
    }
    return false;
}

static bool is_cjk(const char *s, size_t *n)
{
    uint32_t c = utf8_char(s, n);
    return (c >= 0x4E00 && c <= 0x9FA5) || (c >= 0x0800 && c <= 0x4E00) || (c >= 0xAC00 && c <= 0xD7FF);
}

/* The class is written with the first and last characters of three ranges. */
static bool scan_cjk(const struct stage *st, struct encoder *e, const char *s, size_t len, size_t at, struct span *match)
{
    (void)st; (void)e;
    size_t n = 0;
    while (at < len && !is_cjk(s + at, &n)) at += n;
    match->begin = at;
    while (at < len && is_cjk(s + at, &n)) at += n;
    match->end = at;
    return match->begin < len;
}

/* ---- classes ---- */

bool scan_class_char(const struct stage *st, struct encoder *e, const char *s, size_t len, size_t at, struct span *match)
{
    const struct unicode *u = &e->t->unicode;
    for (size_t n; at < len; at += n)
        if (utf8_flags(u, s + at, &n) & st->mask) { *match = (struct span){ at, at + n }; return true; }
    return false;
}

/* \w+|[^\w\s]+ */
bool scan_words(const struct stage *st, struct encoder *e, const char *s, size_t len, size_t at, struct span *match)
{
    (void)st;
    const struct unicode *u = &e->t->unicode;
    at = run_end(u, s, len, at, U_SPACE, true);
    if (at >= len) return false;
    size_t n;
    bool is_word = (utf8_flags(u, s + at, &n) & U_WORD) != 0;
    match->begin = at;
    match->end = is_word ? run_end(u, s, len, at + n, U_WORD, true) : run_end(u, s, len, at + n, U_WORD | U_SPACE, false);
    return true;
}

bool scan_literal(const struct stage *st, struct encoder *e, const char *s, size_t len, size_t at, struct span *match)
{
    (void)e;
    const char *found = at < len ? memmem(s + at, len - at, st->pattern, st->pattern_len) : NULL;
    if (!found) return false;
    match->begin = (size_t)(found - s);
    match->end = match->begin + st->pattern_len;
    return true;
}

const struct scanner_row scanners[] = {
    { pattern_gpt2, scan_gpt2, 0 },
    { pattern_llama3, scan_llama3, 0 },
    { pattern_qwen2, scan_qwen2, 0 },
    { "[\\r\\n]", scan_newline, 0 },
    { "\\s?\\p{L}+", scan_space_class, U_LETTER },
    { "\\s?\\p{P}+", scan_space_class, U_PUNCTUATION },
    { "[\xE4\xB8\x80-\xE9\xBE\xA5\xE0\xA0\x80-\xE4\xB8\x80\xEA\xB0\x80-\xED\x9F\xBF]+", scan_cjk, 0 },
    { NULL, NULL, 0 }
};
