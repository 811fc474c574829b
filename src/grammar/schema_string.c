/* schema_string.c - strings of JSON: characters and escapes, lengths, patterns, formats, and keys that are not others. */
#include "schema_internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Formats by regular expressions over ASCII; narrower than their definitions where those are wide. */
#define DATE "(?:[1-9]\\d{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))" \
             "|(?:[1-9]\\d(?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)-02-29)"
#define TIME "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)"
#define HOST "[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?){0,6}"
#define BYTE "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define URI_PART "[A-Za-z0-9._~%!$&'()*+,;=:@-]"
/* The shortest and the longest text of each, for the lengths that often stand beside it. No pattern: any string. */
static const struct { const char *name, *pattern; unsigned min, max; } formats[] = {
    { "date", DATE, 10, 10 }, { "time", TIME, 9, 21 }, { "date-time", DATE "T" TIME, 20, 32 },
    { "duration", "P(?:\\d{1,9}W|(?:\\d{1,9}Y)?(?:\\d{1,9}M)?\\d{1,9}D(?:T(?:\\d{1,9}H)?(?:\\d{1,9}M)?\\d{1,9}S)?|T(?:\\d{1,9}H)?(?:\\d{1,9}M)?\\d{1,9}S|T\\d{1,9}H|T\\d{1,9}M)", 3, 62 },
    { "uuid", "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}", 36, 36 },
    { "email", "[A-Za-z0-9_%+-]{1,32}(?:\\.[A-Za-z0-9_%+-]{1,32}){0,3}@" HOST "\\.[A-Za-z]{2,12}", 6, 400 },
    { "hostname", HOST, 1, 230 }, { "ipv4", BYTE "(?:\\." BYTE "){3}", 7, 15 },
    { "ipv6", "[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){7}", 15, 39 },
    { "uri", "(?:https?|ftp)://" HOST "(?::[1-9]\\d{1,3})?(?:/" URI_PART "{0,64}){0,8}(?:\\?" URI_PART "{0,128})?(?:#" URI_PART "{0,64})?", 7, 1000 },
    { "byte", "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", 0, UINT_MAX }, { "password", NULL, 0, UINT_MAX }, { "binary", NULL, 0, UINT_MAX },
    { "path", NULL, 0, UINT_MAX },
};

const struct node *schema_character(struct schema *x)
{
    struct build *b = &x->b;
    static const struct code_range plain[] = { { 0, 0x1F }, { '"', '"' }, { '\\', '\\' }, { 0x7F, 0x7F } };
    static const struct code_range hex[] = { { '0', '9' }, { 'A', 'F' }, { 'a', 'f' } }, hex1[] = { { '1', '9' }, { 'A', 'F' }, { 'a', 'f' } };
    static const struct code_range not_d[] = { { '1', '9' }, { 'A', 'C' }, { 'E', 'F' }, { 'a', 'c' }, { 'e', 'f' } }, d[] = { { 'D', 'D' }, { 'd', 'd' } };
    static const struct code_range low[] = { { '0', '7' } }, high[] = { { '8', '9' }, { 'A', 'B' }, { 'a', 'b' } }, tail[] = { { 'C', 'F' }, { 'c', 'f' } };
    static const struct code_range letters[] = { { '"', '"' }, { '/', '/' }, { '\\', '\\' }, { 'b', 'b' }, { 'f', 'f' }, { 'n', 'n' }, { 'r', 'r' }, { 't', 't' } };
#define CLASS(list) node_class(b, list, sizeof(list) / sizeof *(list), false)
    const struct node *h = CLASS(hex), *h1 = CLASS(hex1), *dd = CLASS(d), *zero = node_byte(b, '0');
    /* Four digits: not 0000, which few readers take, and halves of surrogate pairs only as pairs. */
    const struct node *four = CHOICE(b, SEQUENCE(b, CLASS(not_d), h, h, h), SEQUENCE(b, dd, CLASS(low), h, h),
                                     SEQUENCE(b, zero, CHOICE(b, SEQUENCE(b, h1, h, h), SEQUENCE(b, zero, CHOICE(b, SEQUENCE(b, h1, h), SEQUENCE(b, zero, h1))))),
                                     SEQUENCE(b, dd, CLASS(high), h, h, node_text(b, "\\u", 2), dd, CLASS(tail), h, h));
    return CHOICE(b, node_class(b, plain, 4, true), SEQUENCE(b, node_byte(b, '\\'), CHOICE(b, CLASS(letters), SEQUENCE(b, node_byte(b, 'u'), four))));
#undef CLASS
}

/* ---- keys that are not others: a tree of their characters, and a way out at every branch ----------------------------------------- */



static int compare_keys(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Behind the first `at` bytes of keys from..to, which they share; a rule for each place keeps the tree flat. The work list holds
 * places whose rules have no body yet. */
struct key_place { size_t from, to, at; uint32_t rule, rest; };

static const struct code_range never[] = { { 0, 0x1F }, { '"', '"' }, { '\\', '\\' }, { 0x7F, 0x7F } };

static const struct node *key_place_body(struct schema *x, const char *const *key, const struct key_place *p, struct key_place **todo, size_t *n_todo)
{
    struct build *b = &x->b;
    struct node_list ways = { 0 };
    struct code_range *used = mem_alloc((p->to - p->from + 8) * sizeof *used);
    size_t n_used = 0;
    size_t i = p->from;
    bool is_key = !key[i][p->at];
    while (i < p->to && !key[i][p->at]) i++;
    while (i < p->to) {
        uint32_t c = 0, other = 0;
        int len = utf8_next(key[i] + p->at, strlen(key[i] + p->at), &c);
        size_t end = i + 1;
        while (end < p->to && utf8_next(key[end] + p->at, strlen(key[end] + p->at), &other) > 0 && other == c) end++;
        used[n_used++] = (struct code_range) { c, c };
        if (c >= 0x20 && c != '"' && c != '\\') {       /* others need an escape, which these keys do not have */
            *todo = mem_grow(*todo, (*n_todo + 1) * sizeof **todo);
            uint32_t rule = build_rule(b, "key", 3);
            (*todo)[(*n_todo)++] = (struct key_place) { i, end, p->at + (size_t)len, rule, p->rest };
            char text[4];
            node_list_push(&ways, SEQUENCE(b, node_text(b, text, (size_t)utf8_put(text, c)), node_rule(b, rule)));
        }
        i = end;
    }
    memcpy(used + n_used, never, sizeof never);
    node_list_push(&ways, SEQUENCE(b, node_class(b, used, n_used + 4, true), node_rule(b, p->rest)));
    if (!is_key && p->at) node_list_push(&ways, node_byte(b, '"'));
    const struct node *body = node_choice(b, ways.node, ways.n);
    mem_free(used);
    node_list_release(&ways);
    return body;
}

const struct node *schema_other_key(struct schema *x, const char *const *key, size_t n)
{
    const char **sorted = mem_alloc((n + 1) * sizeof *sorted);
    struct key_place *todo = mem_alloc(sizeof *todo);
    size_t n_todo = 1;
    uint32_t first = build_rule(&x->b, "key", 3), rest = build_rule(&x->b, "key", 3);
    x->b.rule[rest].body = SEQUENCE(&x->b, node_repeat(&x->b, node_class(&x->b, never, 4, true), 0, REPEAT_FOREVER), node_byte(&x->b, '"'));
    if (n) memcpy(sorted, key, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_keys);
    todo[0] = (struct key_place) { 0, n, 0, first, rest };
    for (size_t i = 0; i < n_todo && !x->b.is_full; i++) {
        struct key_place p = todo[i];
        const struct node *body = key_place_body(x, sorted, &p, &todo, &n_todo);      /* makes rules: the array may move */
        x->b.rule[p.rule].body = body;
    }
    mem_free(todo);
    mem_free(sorted);
    return SEQUENCE(&x->b, node_byte(&x->b, '"'), node_rule(&x->b, first));
}

/* ---- strings ------------------------------------------------------------------------------------------------------------------------ */

static sc_status by_pattern(struct schema *x, const char *key, const char *pattern, size_t len, bool is_whole, const struct node **out)
{
    const struct node *inside = NULL;
    char what[120], quoted[80];
    size_t path = x->path.len < 60 ? 0 : x->path.len - 60;
    snprintf(what, sizeof what, "schema, %s%s%s", x->path.len ? error_quote(quoted, sizeof quoted, x->path.data + path, x->path.len - path) : "", x->path.len ? "." : "", key);
    TRY(regex_parse(&inside, &x->b, pattern, len, is_whole, true, what, x->err));
    *out = SEQUENCE(&x->b, node_byte(&x->b, '"'), inside, node_byte(&x->b, '"'));
    return SC_OK;
}

static sc_status by_format(struct schema *x, const char *name, uint32_t min, uint32_t max, const struct node **out)
{
    char quoted[64];
    size_t i = 0;
    while (i < sizeof formats / sizeof *formats && strcmp(name, formats[i].name) != 0) i++;
    if (i == sizeof formats / sizeof *formats)
        return schema_refuse(x, "format", "\"%s\" is not supported (date, time, date-time, duration, uuid, email, hostname, ipv4, ipv6, uri, byte are); use pattern",
                             error_quote(quoted, sizeof quoted, name, strlen(name)));
    if (min > formats[i].min || max < formats[i].max) return schema_refuse(x, min > formats[i].min ? "minLength" : "maxLength", "is not supported together with this format; use pattern");
    return by_pattern(x, "format", formats[i].pattern, strlen(formats[i].pattern), true, out);
}

/* A format that says nothing about the text. */
static bool is_free(const char *name)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(name, formats[i].name) == 0) return !formats[i].pattern;
    return false;
}

sc_status schema_string(struct schema *x, const json_t *schema, const struct node **out)
{
    const json_t *pattern = json_object_get(schema, "pattern"), *format = json_object_get(schema, "format");
    uint32_t min = 0, max = 0;
    TRY(schema_count(x, schema, "minLength", false, 0, &min));
    TRY(schema_count(x, schema, "maxLength", true, REPEAT_FOREVER, &max));
    if (format && !json_is_string(format)) return schema_refuse(x, "format", "expected a string");
    if (pattern && !json_is_string(pattern)) return schema_refuse(x, "pattern", "expected a string");
    if (format && is_free(json_string_value(format))) format = NULL;
    if (max < min) return schema_refuse(x, "maxLength", "%u is smaller than minLength, %u", (unsigned)max, (unsigned)min);
    if (pattern && format) return schema_refuse(x, "format", "is not supported together with pattern; leave one out");
    if (pattern && (min || max != REPEAT_FOREVER)) return schema_refuse(x, min ? "minLength" : "maxLength", "is not supported together with pattern; put the length into the pattern");
    if (pattern) return by_pattern(x, "pattern", json_string_value(pattern), json_string_length(pattern), false, out);
    if (format) return by_format(x, json_string_value(format), min, max, out);
    if (!min && max == REPEAT_FOREVER) *out = schema_shared(x, SHARED_STRING);
    else *out = SEQUENCE(&x->b, node_byte(&x->b, '"'), node_repeat(&x->b, schema_shared(x, SHARED_CHARACTER), min, max), node_byte(&x->b, '"'));
    return SC_OK;
}
