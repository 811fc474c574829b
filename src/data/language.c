/* language.c - which language a text is in, by its script and its small words.
 *
 * Why so simple: data sets that know their language say so; this filter is for the others, where telling English from
 * the rest is what matters, at a cost that a pipeline does not feel. Only the beginning of a text is read, code in
 * fences and words that stand like code (calls, paths, members) are left out, because keywords look like English. */
#include "clean_internal.h"

#include <string.h>
#include <utf8proc.h>

enum { LANGUAGE_BYTES = 8192 };
/* ORDER of the first four: language_scripts. */
enum script { SCRIPT_LATIN, SCRIPT_CYRILLIC, SCRIPT_ARABIC, SCRIPT_DEVANAGARI, SCRIPT_HAN, SCRIPT_KANA, SCRIPT_HANGUL, SCRIPT_GREEK, SCRIPT_HEBREW, SCRIPT_THAI, SCRIPT_ARMENIAN, SCRIPT_GEORGIAN,
    SCRIPT_BENGALI, SCRIPT_GURMUKHI, SCRIPT_GUJARATI, SCRIPT_TAMIL, SCRIPT_TELUGU, SCRIPT_KANNADA, SCRIPT_MALAYALAM, SCRIPT_SINHALA, SCRIPT_LAO, SCRIPT_MYANMAR, SCRIPT_ETHIOPIC, SCRIPT_KHMER, SCRIPT_COUNT };
/* `code`: the language if nothing tells more. `weight`: Latin letters that one letter is worth. */
static const struct { const char *code; int weight; } scripts[SCRIPT_COUNT] = {
    [SCRIPT_LATIN] = { "", 1 }, [SCRIPT_CYRILLIC] = { "ru", 1 }, [SCRIPT_ARABIC] = { "ar", 1 }, [SCRIPT_DEVANAGARI] = { "hi", 1 }, [SCRIPT_HAN] = { "zh", 3 }, [SCRIPT_KANA] = { "ja", 2 },
    [SCRIPT_HANGUL] = { "ko", 2 }, [SCRIPT_GREEK] = { "el", 1 }, [SCRIPT_HEBREW] = { "he", 1 }, [SCRIPT_THAI] = { "th", 1 }, [SCRIPT_ARMENIAN] = { "hy", 1 }, [SCRIPT_GEORGIAN] = { "ka", 1 },
    [SCRIPT_BENGALI] = { "bn", 1 }, [SCRIPT_GURMUKHI] = { "pa", 1 }, [SCRIPT_GUJARATI] = { "gu", 1 }, [SCRIPT_TAMIL] = { "ta", 1 }, [SCRIPT_TELUGU] = { "te", 1 }, [SCRIPT_KANNADA] = { "kn", 1 },
    [SCRIPT_MALAYALAM] = { "ml", 1 }, [SCRIPT_SINHALA] = { "si", 1 }, [SCRIPT_LAO] = { "lo", 1 }, [SCRIPT_MYANMAR] = { "my", 1 }, [SCRIPT_ETHIOPIC] = { "am", 1 }, [SCRIPT_KHMER] = { "km", 1 },
};
static const struct { uint32_t first, last; enum script script; } ranges[] = {
    { 0x00C0, 0x024F, SCRIPT_LATIN }, { 0x0370, 0x03FF, SCRIPT_GREEK }, { 0x0400, 0x052F, SCRIPT_CYRILLIC }, { 0x0531, 0x058F, SCRIPT_ARMENIAN }, { 0x0590, 0x05FF, SCRIPT_HEBREW },
    { 0x0600, 0x077F, SCRIPT_ARABIC }, { 0x0900, 0x097F, SCRIPT_DEVANAGARI }, { 0x0980, 0x09FF, SCRIPT_BENGALI }, { 0x0A00, 0x0A7F, SCRIPT_GURMUKHI }, { 0x0A80, 0x0AFF, SCRIPT_GUJARATI },
    { 0x0B80, 0x0BFF, SCRIPT_TAMIL }, { 0x0C00, 0x0C7F, SCRIPT_TELUGU }, { 0x0C80, 0x0CFF, SCRIPT_KANNADA }, { 0x0D00, 0x0D7F, SCRIPT_MALAYALAM }, { 0x0D80, 0x0DFF, SCRIPT_SINHALA },
    { 0x0E00, 0x0E7F, SCRIPT_THAI }, { 0x0E80, 0x0EFF, SCRIPT_LAO }, { 0x1000, 0x109F, SCRIPT_MYANMAR }, { 0x10A0, 0x10FF, SCRIPT_GEORGIAN }, { 0x1100, 0x11FF, SCRIPT_HANGUL },
    { 0x1200, 0x139F, SCRIPT_ETHIOPIC }, { 0x1780, 0x17FF, SCRIPT_KHMER }, { 0x1E00, 0x1EFF, SCRIPT_LATIN }, { 0x1F00, 0x1FFF, SCRIPT_GREEK }, { 0x3040, 0x30FF, SCRIPT_KANA },
    { 0x3130, 0x318F, SCRIPT_HANGUL }, { 0x3400, 0x9FFF, SCRIPT_HAN }, { 0xAC00, 0xD7AF, SCRIPT_HANGUL }, { 0xF900, 0xFAFF, SCRIPT_HAN }, { 0xFB50, 0xFDFF, SCRIPT_ARABIC }, { 0xFE70, 0xFEFF, SCRIPT_ARABIC },
};

/* Letters by script, and for each language the evidence of words and letters. */
struct tally { size_t letters[SCRIPT_COUNT], words; float score[LANGUAGE_COUNT]; };

static enum script script_of(uint32_t c)
{
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (c >= ranges[i].first && c <= ranges[i].last) return ranges[i].script;
    return SCRIPT_COUNT;
}

static uint64_t mark_find(const struct language_mark *table, size_t n, uint64_t key)
{
    size_t low = 0;
    while (n > 1) {
        size_t half = n / 2;
        low += table[low + half].key <= key ? half : 0;
        n -= half;
    }
    return table[low].key == key ? table[low].languages : 0;
}

/* A word that many languages share says little about each. */
static void tally_add(struct tally *t, uint64_t languages, float most)
{
    float weight = most / (1.0f + (float)__builtin_popcountll(languages));
    for (; languages; languages &= languages - 1) t->score[__builtin_ctzll(languages)] += weight;
}

/* One word as it is read: its first eight bytes in lower case, and its letters by script. */
struct spelling { uint64_t key; size_t bytes, letters; enum script script; uint64_t hints; };

static void spelling_put(struct spelling *w, uint32_t c, enum script script)
{
    char utf8[4];
    int n = utf8_put(utf8, c);
    for (int i = 0; i < n; i++, w->bytes++)
        if (w->bytes < 8) w->key |= (uint64_t)(unsigned char)utf8[i] << (56 - 8 * w->bytes);
    w->letters++;
    w->script = script;
}

static bool is_one_of(char c, const char *set) { return c && strchr(set, c); }

/* Does the word text[begin..end) stand as in prose? */
static bool is_prose(const char *text, size_t len, size_t begin, size_t end)
{
    char before = begin ? text[begin - 1] : ' ', behind = end < len ? text[end] : ' ', next = end + 1 < len ? text[end + 1] : ' ';
    if (is_one_of(before, "_.$@#/\\&=<0123456789") || is_one_of(behind, "_(=/\\@[<0123456789")) return false;
    return !(is_one_of(behind, ".:") && next != ' ' && next != '\n' && next != '\r' && next != '"' && next != ':');
}

static void word_tally(struct tally *t, const struct spelling *w, bool prose)
{
    if (w->script == SCRIPT_LATIN && !prose) return;
    t->letters[w->script] += w->letters;
    t->words++;
    if (w->bytes <= 8) tally_add(t, mark_find(language_words, language_n_words, w->key), w->bytes > 1 ? 3.0f : 1.5f);   /* x and y are names, too */
    if (w->hints) tally_add(t, w->hints, 1.5f);
}

/* Behind the fence that closes the one at `at`, or the end. */
static size_t fence_end(const char *text, size_t len, size_t at)
{
    const char *close = memmem(text + at + 3, len - at - 3, "```", 3);
    return close ? (size_t)(close - text) + 3 : len;
}

static void text_tally(struct tally *t, const char *text, size_t len)
{
    struct spelling w = { 0 };
    size_t begin = 0, i = 0;
    while (i < len) {
        uint32_t c = (unsigned char)text[i];
        int n = c < 0x80 ? 1 : utf8_next(text + i, len - i, &c);
        enum script script = n < 0 ? SCRIPT_COUNT : c >= 0x80 ? script_of(c) : (c | 32) - 'a' < 26u ? SCRIPT_LATIN : SCRIPT_COUNT;
        if (w.letters && (script == SCRIPT_COUNT || script != w.script)) {
            word_tally(t, &w, is_prose(text, len, begin, i));
            w = (struct spelling) { 0 };
        }
        if (c == 0xBF || c == 0xA1) tally_add(t, mark_find(language_letters, language_n_letters, c), 3.0f);
        if (script != SCRIPT_COUNT) {
            if (!w.letters) begin = i;
            c = c < 0x80 ? c | 32 : (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
            if (c >= 0x80) w.hints |= mark_find(language_letters, language_n_letters, c);
            spelling_put(&w, c, script);
        }
        i = c == '`' && len - i >= 3 && memcmp(text + i, "```", 3) == 0 ? fence_end(text, len, i) : i + (size_t)(n < 0 ? -n : n);
    }
    if (w.letters) word_tally(t, &w, is_prose(text, len, begin, len));
}

static enum script tally_script(const struct tally *t)
{
    enum script best = SCRIPT_CYRILLIC;
    size_t kana = t->letters[SCRIPT_KANA], han = t->letters[SCRIPT_HAN];
    for (enum script s = SCRIPT_CYRILLIC; s < SCRIPT_COUNT; s++)
        if (t->letters[s] * (size_t)scripts[s].weight > t->letters[best] * (size_t)scripts[best].weight) best = s;
    if (best == SCRIPT_HAN && kana * 8 > han) best = SCRIPT_KANA;
    return t->letters[best] * (size_t)scripts[best].weight * 2 > t->letters[SCRIPT_LATIN] ? best : SCRIPT_LATIN;
}

const char *language_of(const char *text, size_t len)
{
    struct tally t = { 0 };
    if (len > LANGUAGE_BYTES) len = LANGUAGE_BYTES - utf8_incomplete_tail(text, LANGUAGE_BYTES);
    text_tally(&t, text, len);
    enum script script = tally_script(&t);
    int best = -1;
    for (int i = 0; i < LANGUAGE_COUNT; i++)
        if (language_scripts[i] == script && (best < 0 || t.score[i] > t.score[best])) best = i;
    if (script != SCRIPT_LATIN) return best >= 0 && t.score[best] > 0 ? language_codes[best] : scripts[script].code;
    return t.score[best] >= 1.0f && t.score[best] * 20 >= (float)t.words ? language_codes[best] : "";
}
