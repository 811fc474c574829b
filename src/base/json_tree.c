/* json_tree.c - a tree of jansson's values built with the cursor of json_scan.c. jansson's own parser takes a call for
 * each byte, a fifth of the time of preparing data; this one copies strings whole. It gives up where anything is
 * unusual (bad JSON, a key twice, NUL in a key, too deep, a number out of range): jansson then decides and words the
 * message, so both always agree on what is JSON. */
#include "base/base.h"

#include <string.h>

enum { INTEGER_DIGITS_SAFE = 18 };

struct tree_builder { struct json_scan scan; struct buf scratch; int depth_max; };

static json_t *build(struct tree_builder *b, int depth);

/* The text of the string at the cursor, valid until the next call. */
static bool take_string(struct tree_builder *b, const char **text, size_t *len)
{
    struct scan_string s;
    return scan_string(&b->scan, &s) == SC_OK && scan_text(&s, &b->scratch, text, len);
}

static json_t *build_string(struct tree_builder *b)
{
    const char *text;
    size_t len;
    return take_string(b, &text, &len) ? json_stringn_nocheck(text, len) : NULL;
}

static bool is_number_char(char c) { return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'; }

/* Short whole numbers here, all others by jansson. */
static json_t *build_number(struct tree_builder *b)
{
    const char *text = b->scan.text + b->scan.at;
    size_t left = b->scan.len - b->scan.at, len = 0, sign = left && *text == '-';
    json_int_t value = 0;
    bool is_short = true;
    for (; len < left && is_number_char(text[len]); len++) {
        if (len < sign) continue;
        is_short = is_short && text[len] >= '0' && text[len] <= '9' && len - sign < INTEGER_DIGITS_SAFE;
        if (is_short) value = value * 10 + (text[len] - '0');
    }
    b->scan.at += len;
    if (!is_short || len == sign || (text[sign] == '0' && len > sign + 1)) return json_loadb(text, len, JSON_DECODE_ANY, NULL);
    return json_integer(sign ? -value : value);
}

static json_t *build_word(struct tree_builder *b)
{
    static const struct { const char *text; size_t len; } words[] = { { "null", 4 }, { "true", 4 }, { "false", 5 } };
    size_t left = b->scan.len - b->scan.at;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (left < words[i].len || memcmp(b->scan.text + b->scan.at, words[i].text, words[i].len) != 0) continue;
        b->scan.at += words[i].len;
        return i == 0 ? json_null() : json_boolean(i == 1);
    }
    return NULL;
}

/* Behind '['. */
static json_t *build_array(struct tree_builder *b, int depth)
{
    json_t *list = json_array(), *item;
    bool more = !scan_take(&b->scan, ']');
    while (more) {
        if (!(item = build(b, depth)) || json_array_append_new(list, item) != 0 || scan_more(&b->scan, ']', &more) != SC_OK) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static bool build_member(struct tree_builder *b, json_t *object, int depth)
{
    char inline_key[64], *key = inline_key;
    const char *text;
    size_t len, n = json_object_size(object);
    if (!take_string(b, &text, &len) || memchr(text, 0, len)) return false;
    if (len >= sizeof inline_key) key = mem_strndup(text, len);       /* the value takes the scratch */
    else { memcpy(key, text, len); key[len] = 0; }
    json_t *value = scan_need(&b->scan, ':') == SC_OK ? build(b, depth) : NULL;
    bool is_new = value && json_object_set_new_nocheck(object, key, value) == 0 && json_object_size(object) == n + 1;
    if (key != inline_key) mem_free(key);
    return is_new;
}

/* Behind '{'. */
static json_t *build_object(struct tree_builder *b, int depth)
{
    json_t *object = json_object();
    bool more = !scan_take(&b->scan, '}');
    while (more) {
        if (!build_member(b, object, depth) || scan_more(&b->scan, '}', &more) != SC_OK) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

/* The value at the cursor; NULL: see above. */
static json_t *build(struct tree_builder *b, int depth)
{
    if (scan_peek(&b->scan, '"')) return build_string(b);
    bool is_deep = depth == b->depth_max;
    if (!is_deep && scan_take(&b->scan, '{')) return build_object(b, depth + 1);
    if (!is_deep && scan_take(&b->scan, '[')) return build_array(b, depth + 1);
    if (b->scan.at >= b->scan.len) return NULL;
    char c = b->scan.text[b->scan.at];
    return c == '-' || (c >= '0' && c <= '9') ? build_number(b) : build_word(b);
}

json_t *json_tree(const char *text, size_t len, int depth_max)
{
    struct tree_builder b = { .scan = { text, len, 0, "", NULL }, .depth_max = depth_max };
    if (!utf8_is_valid(text, len)) return NULL;
    buf_init(&b.scratch, 0);
    json_t *value = build(&b, 0);
    buf_release(&b.scratch);
    if (value && scan_end(&b.scan) == SC_OK) return value;
    json_decref(value);
    return NULL;
}
