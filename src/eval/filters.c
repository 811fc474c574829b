/* filters.c - from what a model wrote to its answer: the steps of lm-eval's filter_list. */
#include "eval/eval_internal.h"

#include <string.h>

static const char *const FALLBACK = "[invalid]";

static const char *string_of(const json_t *step, const char *key, const char *fallback)
{
    const char *s = json_string_value(json_object_get(step, key));
    return s ? s : fallback;
}

sc_status eval_filter_check(const json_t *steps, const char *what, sc_error *err)
{
    static const char *const known[] = { "regex", "take_first", "remove_whitespace", "lowercase", "uppercase", NULL };
    for (size_t i = 0; i < json_array_size(steps); i++) {
        const char *name = string_of(json_array_get(steps, i), "function", "");
        size_t k = 0;
        while (known[k] && strcmp(known[k], name) != 0) k++;
        if (!known[k]) return FAIL(err, SC_E_FORMAT, "%s: there is no filter function \"%.60s\"; known are regex, take_first, remove_whitespace, lowercase and uppercase", what, name);
        if (k) continue;
        struct pattern *p = NULL;
        TRY(pattern_open(&p, string_of(json_array_get(steps, i), "regex_pattern", "#### (\\-?[0-9\\.\\,]+)"), what, err));
        pattern_close(p);
    }
    return SC_OK;
}

/* The group that a match stands for, as re.findall gives it: all of it without groups, the group if there is one, else the first that is not empty. */
static struct span group_of(const struct span *group, size_t n)
{
    if (n == 0) return group[0];
    for (size_t i = 1; i <= n && i < 10; i++)
        if (group[i].begin != SIZE_MAX && group[i].end > group[i].begin) return group[i];
    return (struct span){ SIZE_MAX, SIZE_MAX };
}

static void run_regex(struct buf *out, const json_t *step, const char *text, size_t len)
{
    const char *fallback = string_of(step, "fallback", FALLBACK);
    int64_t select = json_is_integer(json_object_get(step, "group_select")) ? json_integer_value(json_object_get(step, "group_select")) : 0, n = 0;
    struct pattern *p = NULL;
    struct span group[10], found = { SIZE_MAX, SIZE_MAX };
    struct pattern_place place = { 0 };
    bool has = false;
    if (pattern_open(&p, string_of(step, "regex_pattern", "#### (\\-?[0-9\\.\\,]+)"), "regex", NULL) != SC_OK) return;
    for (; pattern_find(p, text, len, &place, group, 10); n++) {
        if (select >= 0 && n != select) continue;
        found = group_of(group, pattern_groups(p));
        has = true;
    }
    pattern_close(p);
    if (!has || found.begin == SIZE_MAX) { buf_puts(out, fallback); return; }
    struct span inner = text_strip(text + found.begin, found.end - found.begin);
    buf_append(out, text + found.begin + inner.begin, inner.end - inner.begin);
}

static void run_step(struct buf *out, const json_t *step, const char *text, size_t len)
{
    const char *name = string_of(step, "function", "");
    size_t skip = 0, space;
    if (!strcmp(name, "regex")) { run_regex(out, step, text, len); return; }
    if (!strcmp(name, "remove_whitespace"))
        while (skip < len && (space = text_space_at_begin(text + skip, len - skip))) skip += space;
    if (!strcmp(name, "lowercase")) text_put_case(out, text, len, false);
    else if (!strcmp(name, "uppercase")) text_put_case(out, text, len, true);
    else buf_append(out, text + skip, len - skip);
}

void eval_filter_run(struct buf *out, const json_t *steps, const char *text, size_t len)
{
    struct buf now, next;
    buf_init(&now, 0);
    buf_append(&now, text, len);
    for (size_t i = 0; i < json_array_size(steps); i++) {
        buf_init(&next, 0);
        buf_puts(&next, "");
        run_step(&next, json_array_get(steps, i), now.data ? now.data : "", now.len);
        buf_release(&now);
        now = next;
    }
    buf_append(out, now.data ? now.data : "", now.len);
    buf_release(&now);
}
