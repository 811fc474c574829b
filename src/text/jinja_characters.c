/* jinja_characters.c - properties and case of characters as Python has them: utf8proc's categories and one-to-one
 * mappings, and case_table.c for the rest. */
#include "jinja_characters.h"

#include <string.h>
#include <utf8proc.h>

#include "base/base.h"

static int category(uint32_t c) { return (int)utf8proc_category((utf8proc_int32_t)c); }

static bool is_in(uint32_t c, const uint32_t ranges[][2])
{
    for (size_t i = 0; ranges[i][1]; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1]) return true;
    return false;
}

bool char_is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool char_is_printable(uint32_t c)
{
    if (c == ' ') return true;
    switch (category(c)) {
    case UTF8PROC_CATEGORY_CN: case UTF8PROC_CATEGORY_CC: case UTF8PROC_CATEGORY_CF: case UTF8PROC_CATEGORY_CS: case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL: case UTF8PROC_CATEGORY_ZP: case UTF8PROC_CATEGORY_ZS: return false;
    default: return true;
    }
}

bool char_is_upper(uint32_t c) { return category(c) == UTF8PROC_CATEGORY_LU || (c >= 0x80 && is_in(c, case_other_upper)); }
bool char_is_lower(uint32_t c) { return category(c) == UTF8PROC_CATEGORY_LL || (c >= 0x80 && is_in(c, case_other_lower)); }
bool char_is_title(uint32_t c) { return category(c) == UTF8PROC_CATEGORY_LT; }
bool char_is_cased(uint32_t c) { return char_is_upper(c) || char_is_lower(c) || char_is_title(c); }

bool char_is_ignored_by_case(uint32_t c)
{
    static const uint32_t within_words[] = { '\'', '.', ':', 0xB7, 0x387, 0x55F, 0x5F4, 0x2018, 0x2019, 0x2024, 0x2027, 0xFE13, 0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A };
    for (size_t i = 0; i < sizeof within_words / sizeof *within_words; i++)
        if (c == within_words[i]) return true;
    switch (category(c)) {
    case UTF8PROC_CATEGORY_MN: case UTF8PROC_CATEGORY_ME: case UTF8PROC_CATEGORY_CF: case UTF8PROC_CATEGORY_LM: case UTF8PROC_CATEGORY_SK: return true;
    default: return false;
    }
}

bool char_is_alpha(uint32_t c)
{
    int k = category(c);
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}
bool char_is_decimal(uint32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }
bool char_is_digit(uint32_t c) { return char_is_decimal(c) || is_in(c, case_other_digits); }
bool char_is_numeric(uint32_t c)
{
    int k = category(c);
    return k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO || is_in(c, case_other_numbers);
}
bool char_is_alnum(uint32_t c) { return char_is_alpha(c) || char_is_numeric(c); }

bool char_is_name_start(uint32_t c) { return c == '_' || char_is_alpha(c) || category(c) == UTF8PROC_CATEGORY_NL; }
bool char_is_name(uint32_t c)
{
    int k = category(c);
    return char_is_name_start(c) || k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC || k == UTF8PROC_CATEGORY_PC;
}

static const struct case_special *special_find(uint32_t c)
{
    size_t low = 0, high = case_n_specials;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (case_specials[middle].c == c) return &case_specials[middle];
        if (case_specials[middle].c < c) low = middle + 1;
        else high = middle;
    }
    return NULL;
}

static size_t char_fold(char out[CHAR_MAPPED_MAX], uint32_t c)
{
    utf8proc_int32_t folded[4];
    int boundary = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, folded, 4, UTF8PROC_CASEFOLD, &boundary);
    size_t len = 0;
    for (utf8proc_ssize_t i = 0; i < n && i < 4; i++) len += (size_t)utf8_put(out + len, (uint32_t)folded[i]);
    return len;
}

size_t char_map(char out[CHAR_MAPPED_MAX], uint32_t c, enum char_mapping to)
{
    utf8proc_int32_t in = (utf8proc_int32_t)c;
    if (c < 0x80) {
        if (to == CHAR_UPPER || to == CHAR_TITLE) out[0] = (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
        else out[0] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        return 1;
    }
    if (to == CHAR_FOLD) return char_fold(out, c);
    if (to == CHAR_LOWER) {
        if (c != 0x130) return (size_t)utf8_put(out, (uint32_t)utf8proc_tolower(in));
        memcpy(out, "i\xCC\x87", 3);
        return 3;
    }
    const struct case_special *s = special_find(c);
    if (!s) return (size_t)utf8_put(out, (uint32_t)(to == CHAR_UPPER ? utf8proc_toupper(in) : utf8proc_totitle(in)));
    const char *text = to == CHAR_UPPER ? s->upper : s->title;
    size_t len = strlen(text);
    memcpy(out, text, len);
    return len;
}
