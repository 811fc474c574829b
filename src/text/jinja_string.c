/* jinja_string.c - strings that know for each byte whether the template or somebody else wrote it. Every operation
 * carries the marks along, so a user's "<|im_end|>" stays the user's through trim, replace, join and all others. */
#include "jinja_internal.h"

#include <string.h>

static const struct str empty = { "", NULL, 0, MARK_TRUSTED };

const struct str *str_new(struct render *r, const char *s, size_t len, uint8_t fill)
{
    struct str *out = take(r, sizeof *out + len + 1);
    if (!out) return &empty;
    char *bytes = (char *)(out + 1);
    if (len) memcpy(bytes, s, len);
    bytes[len] = 0;
    *out = (struct str) { bytes, NULL, len, fill };
    return out;
}

const struct str *str_view(struct render *r, const struct str *from, size_t at, size_t len)
{
    if (at == 0 && len == from->len) return from;
    struct str *out = take(r, sizeof *out);
    if (!out) return &empty;
    *out = (struct str) { from->s + at, from->mark ? from->mark + at : NULL, len, from->fill };
    return out;
}

/* ---- building --------------------------------------------------------------------------------------------------------- */

static bool builder_room(struct builder *b, size_t len)
{
    if (failed(b->r)) return false;
    if (len > JINJA_MEMORY_MAX || b->len + len > JINJA_MEMORY_MAX / 4) {
        fail(b->r, "a string grows beyond %d MiB", JINJA_MEMORY_MAX / 4 >> 20);
        return false;
    }
    if (b->len + len <= b->cap) return true;
    size_t cap = 2 * (b->len + len) + 64;
    char *s = take(b->r, cap);
    uint8_t *mark = take(b->r, cap);
    if (!s || !mark) return false;
    if (b->len) {
        memcpy(s, b->s, b->len);
        memcpy(mark, b->mark, b->len);
    }
    b->s = s;
    b->mark = mark;
    b->cap = cap;
    return true;
}

void builder_put(struct builder *b, const char *s, size_t len, uint8_t mark)
{
    if (!len || !builder_room(b, len)) return;
    memcpy(b->s + b->len, s, len);
    memset(b->mark + b->len, mark, len);
    b->len += len;
}

void builder_pad(struct builder *b, char c, size_t n, uint8_t mark)
{
    if (!n || !builder_room(b, n)) return;
    memset(b->s + b->len, c, n);
    memset(b->mark + b->len, mark, n);
    b->len += n;
}

void builder_put_str(struct builder *b, const struct str *s)
{
    if (!s->len || !builder_room(b, s->len)) return;
    memcpy(b->s + b->len, s->s, s->len);
    if (s->mark) memcpy(b->mark + b->len, s->mark, s->len);
    else memset(b->mark + b->len, s->fill, s->len);
    b->len += s->len;
}

void builder_puts(struct builder *b, const char *text) { builder_put(b, text, strlen(text), 0); }

const struct str *builder_end(struct builder *b)
{
    if (!b->len || failed(b->r)) return &empty;
    struct str *out = take(b->r, sizeof *out);
    if (!out) return &empty;
    *out = (struct str) { b->s, b->mark, b->len, 0 };
    return out;
}

const struct str *str_join2(struct render *r, const struct str *a, const struct str *b)
{
    if (!a->len) return b;
    if (!b->len) return a;
    if (a->mark || b->mark || a->fill != b->fill) {
        struct builder both = { .r = r };
        step(r, (a->len + b->len) / 64);
        if (!builder_room(&both, a->len + b->len)) return &empty;
        builder_put_str(&both, a);
        builder_put_str(&both, b);
        return builder_end(&both);
    }
    step(r, (a->len + b->len) / 64);
    struct str *out = take(r, sizeof *out + a->len + b->len + 1);
    if (!out) return &empty;
    char *bytes = (char *)(out + 1);
    memcpy(bytes, a->s, a->len);
    memcpy(bytes + a->len, b->s, b->len);
    bytes[a->len + b->len] = 0;
    *out = (struct str) { bytes, NULL, a->len + b->len, a->fill };
    return out;
}

const struct str *str_repeat(struct render *r, const struct str *s, int64_t times)
{
    size_t n = times < 0 ? 0 : (size_t)times, total;
    struct builder b = { .r = r };
    if (!size_mul(n, s->len, &total) || total > JINJA_MEMORY_MAX / 16) { fail(r, "a string of more than %d MiB would be made", JINJA_MEMORY_MAX / 16 >> 20); return &empty; }
    if (!step(r, total / 16) || !total || !builder_room(&b, total)) return &empty;
    for (size_t i = 0; i < n; i++) builder_put_str(&b, s);
    return builder_end(&b);
}

/* ---- comparing and searching ------------------------------------------------------------------------------------------ */

bool str_equal(const struct str *a, const struct str *b) { return a == b || (a->len == b->len && memcmp(a->s, b->s, a->len) == 0); }
bool str_is(const struct str *s, const char *text) { return strlen(text) == s->len && memcmp(s->s, text, s->len) == 0; }

/* The order of UTF-8 bytes is the order of code points. */
int str_compare(const struct str *a, const struct str *b)
{
    int order = memcmp(a->s, b->s, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

size_t str_length(const struct str *s) { return utf8_count(s->s, s->len); }

static bool is_tail(const char *s, size_t at) { return ((unsigned char)s[at] & 0xC0) == 0x80; }

size_t str_offset(const struct str *s, size_t characters)
{
    size_t at = 0;
    while (at < s->len && characters) {
        at++;
        while (at < s->len && is_tail(s->s, at)) at++;
        characters--;
    }
    return at;
}

size_t str_find(const struct str *s, const struct str *needle, size_t from)
{
    if (from > s->len) return SIZE_MAX;
    if (!needle->len) return from;
    const char *found = memmem(s->s + from, s->len - from, needle->s, needle->len);
    return found ? (size_t)(found - s->s) : SIZE_MAX;
}

size_t str_find_last(const struct str *s, const struct str *needle, size_t end)
{
    for (size_t at = end; at + 1 > needle->len; at--)
        if (memcmp(s->s + at - needle->len, needle->s, needle->len) == 0) return at - needle->len;
    return SIZE_MAX;
}

/* ---- characters ------------------------------------------------------------------------------------------------------- */

static bool is_stripped(const struct str *s, size_t at, size_t n, const struct str *characters)
{
    if (characters) return memmem(characters->s, characters->len, s->s + at, n) != NULL;
    uint32_t c;
    utf8_next(s->s + at, n, &c);
    return char_is_space(c);
}

const struct str *str_strip(struct render *r, const struct str *s, const struct str *characters, bool left, bool right)
{
    size_t begin = 0, end = s->len;
    while (left && begin < end) {
        size_t n = 1;
        while (begin + n < end && is_tail(s->s, begin + n)) n++;
        if (!is_stripped(s, begin, n, characters)) break;
        begin += n;
    }
    while (right && end > begin) {
        size_t at = end - 1;
        while (at > begin && is_tail(s->s, at)) at--;
        if (!is_stripped(s, at, end - at, characters)) break;
        end = at;
    }
    step(r, (s->len - (end - begin)) / 8);      /* character by character */
    return str_view(r, s, begin, end - begin);
}

const struct str *str_replace(struct render *r, const struct str *s, const struct str *old, const struct str *new_text, int64_t count)
{
    struct builder b = { .r = r };
    size_t at = 0;
    step(r, s->len / 64);
    while (count != 0 && !failed(r)) {
        size_t found = str_find(s, old, at);
        if (found == SIZE_MAX) break;
        if (!old->len) {                                  /* an empty one stands between all characters */
            size_t n = found < s->len ? str_offset(&(struct str) { s->s + found, NULL, s->len - found, 0 }, 1) : 0;
            builder_put_str(&b, new_text);
            builder_put_str(&b, str_view(r, s, found, n));
            at = found + n;
            if (!n) { at = s->len; break; }
        } else {
            builder_put_str(&b, str_view(r, s, at, found - at));
            builder_put_str(&b, new_text);
            at = found + old->len;
        }
        if (count > 0) count--;
    }
    if (at == 0 && !b.len) return s;
    builder_put_str(&b, str_view(r, s, at, s->len - at));
    return builder_end(&b);
}

/* ---- case ------------------------------------------------------------------------------------------------------------------ */

/* A capital sigma behind a cased character becomes the final one unless a cased one follows (Unicode 14, section 3.13). */
static bool is_final(const struct str *s, size_t at)
{
    for (uint32_t c = 0; at < s->len;) {
        at += (size_t)utf8_next(s->s + at, s->len - at, &c);
        if (!char_is_ignored_by_case(c)) return !char_is_cased(c);
    }
    return true;
}

static enum char_mapping case_of(enum str_case how, uint32_t c, bool is_first, bool is_inside)
{
    switch (how) {
    case CASE_UPPER: return CHAR_UPPER;
    case CASE_FOLD: return CHAR_FOLD;
    case CASE_CAPITALIZE: return is_first ? CHAR_TITLE : CHAR_LOWER;
    case CASE_TITLE: return is_inside ? CHAR_LOWER : CHAR_TITLE;
    case CASE_TITLE_WORDS: return is_inside ? CHAR_LOWER : CHAR_UPPER;
    case CASE_SWAP: return char_is_lower(c) ? CHAR_UPPER : CHAR_LOWER;
    default: return CHAR_LOWER;
    }
}

const struct str *str_case(struct render *r, const struct str *s, enum str_case how)
{
    struct builder b = { .r = r };
    bool is_inside = false, follows = false;              /* inside a word; behind a cased character                     */
    char mapped[CHAR_MAPPED_MAX];
    step(r, s->len / 16);
    for (size_t at = 0; at < s->len && !failed(r);) {
        uint32_t c = 0;
        size_t n = (size_t)utf8_next(s->s + at, s->len - at, &c);
        enum char_mapping to = case_of(how, c, at == 0, is_inside);
        if (c == 0x3A3 && to == CHAR_LOWER) builder_put(&b, follows && is_final(s, at + n) ? "\xCF\x82" : "\xCF\x83", 2, str_mark(s, at));
        else if (how == CASE_SWAP && char_is_title(c)) builder_put(&b, s->s + at, n, str_mark(s, at));
        else builder_put(&b, mapped, char_map(mapped, c, to), str_mark(s, at));
        at += n;
        if (!char_is_ignored_by_case(c)) follows = char_is_cased(c);
        /* A word of the |title filter ends at space and brackets, one of str.title at any uncased character. */
        if (how != CASE_TITLE_WORDS) { is_inside = char_is_cased(c); continue; }
        if (!is_inside) follows = false;                  /* the filter maps the rest of a word on its own               */
        is_inside = !(char_is_space(c) || (c < 0x80 && c && strchr("-([{<", (int)c)));
    }
    return builder_end(&b);
}

const struct str *str_escape_html(struct render *r, const struct str *s)
{
    static const char from[] = "&<>'\"", *const to[] = { "&amp;", "&lt;", "&gt;", "&#39;", "&#34;" };
    struct builder b = { .r = r };
    step(r, s->len / 16);
    for (size_t at = 0; at < s->len && !failed(r); at++) {
        const char *special = s->s[at] ? strchr(from, s->s[at]) : NULL;
        if (special) builder_put(&b, to[special - from], strlen(to[special - from]), 0);
        else builder_put(&b, s->s + at, 1, str_mark(s, at));
    }
    return builder_end(&b);
}
