/* pattern.c - Python regular expressions from config files, as far as PCRE2 has the same: PEFT names modules by them. */
#include "text_internal.h"

#include <string.h>

enum { PATTERN_BYTES_MAX = 65536, MATCH_LIMIT = 100000, DEPTH_LIMIT = 1000 };

sc_status pattern_matches(bool *out, const char *pattern, const char *subject, const char *what, sc_error *err)
{
    int code = 0;
    size_t at = 0, len = strlen(pattern);
    char quote[96];
    *out = false;
    pcre2_compile_context *limits = pcre2_compile_context_create(NULL);
    pcre2_match_context *matching = pcre2_match_context_create(NULL);
    pcre2_set_max_pattern_length(limits, PATTERN_BYTES_MAX);
    pcre2_set_match_limit(matching, MATCH_LIMIT);
    pcre2_set_depth_limit(matching, DEPTH_LIMIT);
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)pattern, len, PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF, &code, &at, limits);
    sc_status status = SC_OK;
    if (compiled) {
        pcre2_match_data *data = pcre2_match_data_create_from_pattern(compiled, NULL);
        code = pcre2_match(compiled, (PCRE2_SPTR)subject, strlen(subject), 0, 0, data, matching);
        *out = code >= 0;
        if (code < 0 && code != PCRE2_ERROR_NOMATCH)
            status = FAIL(err, SC_E_UNSUPPORTED, "%s: the pattern \"%s\" needs too many steps to match", what, error_quote(quote, sizeof quote, pattern, len));
        pcre2_match_data_free(data);
    } else {
        status = FAIL(err, SC_E_FORMAT, "%s: \"%s\" is no regular expression: it breaks at character %zu", what, error_quote(quote, sizeof quote, pattern, len), at);
    }
    pcre2_code_free(compiled);
    pcre2_match_context_free(matching);
    pcre2_compile_context_free(limits);
    return status;
}

/* ---- compiled ones ---------------------------------------------------------------------------------------------------- */

struct pattern { pcre2_code *code; pcre2_match_context *limits; pcre2_match_data *data; };

sc_status pattern_open(struct pattern **out, const char *pattern, const char *what, sc_error *err)
{
    int code = 0;
    size_t at = 0, len = strlen(pattern);
    char quote[96];
    struct pattern *p = mem_zero(1, sizeof *p);
    *out = p;
    pcre2_compile_context *limits = pcre2_compile_context_create(NULL);
    p->limits = pcre2_match_context_create(NULL);
    pcre2_set_max_pattern_length(limits, PATTERN_BYTES_MAX);
    pcre2_set_match_limit(p->limits, 100 * MATCH_LIMIT);
    pcre2_set_depth_limit(p->limits, 100 * DEPTH_LIMIT);
    p->code = pcre2_compile((PCRE2_SPTR)pattern, len, PCRE2_UTF | PCRE2_UCP, &code, &at, limits);
    pcre2_compile_context_free(limits);
    if (p->code) {
        p->data = pcre2_match_data_create_from_pattern(p->code, NULL);
        return SC_OK;
    }
    pattern_close(p);
    *out = NULL;
    return FAIL(err, SC_E_FORMAT, "%s: \"%s\" is no regular expression: it breaks at character %zu", what, error_quote(quote, sizeof quote, pattern, len), at);
}

void pattern_close(struct pattern *p)
{
    if (!p) return;
    pcre2_match_data_free(p->data);
    pcre2_match_context_free(p->limits);
    pcre2_code_free(p->code);
    mem_free(p);
}

size_t pattern_groups(const struct pattern *p)
{
    uint32_t n = 0;
    pcre2_pattern_info(p->code, PCRE2_INFO_CAPTURECOUNT, &n);
    return n;
}

bool pattern_find(struct pattern *p, const char *text, size_t len, struct pattern_place *at, struct span *group, size_t n_groups)
{
    while (at->from <= len) {
        uint32_t options = at->is_behind_empty ? PCRE2_NOTEMPTY_ATSTART : 0;
        if (pcre2_match(p->code, (PCRE2_SPTR)text, len, at->from, options, p->data, p->limits) < 0) return false;
        const size_t *v = pcre2_get_ovector_pointer(p->data);
        size_t n = pcre2_get_ovector_count(p->data);
        for (size_t i = 0; i < n_groups; i++) group[i] = i < n ? (struct span){ v[2 * i], v[2 * i + 1] } : (struct span){ SIZE_MAX, SIZE_MAX };
        at->is_behind_empty = v[0] == v[1];
        at->from = v[1];
        return true;
    }
    return false;
}

/* \\1, \\g<1> and \\\\ of a replacement; other characters as they are. */
static void put_replacement(struct buf *out, const char *r, const char *text, const struct span *group, size_t n)
{
    for (; *r; r++) {
        size_t i = SIZE_MAX;
        if (*r == '\\' && r[1] >= '0' && r[1] <= '9') i = (size_t)(*++r - '0');
        else if (!strncmp(r, "\\g<", 3) && r[3] >= '0' && r[3] <= '9' && r[4] == '>') { i = (size_t)(r[3] - '0'); r += 4; }
        else if (*r == '\\' && r[1] == '\\') r++;
        if (i == SIZE_MAX) buf_putc(out, *r);
        else if (i < n && group[i].begin != SIZE_MAX) buf_append(out, text + group[i].begin, group[i].end - group[i].begin);
    }
}

void pattern_replace(struct buf *out, struct pattern *p, const char *replacement, const char *text, size_t len)
{
    struct pattern_place place = { 0 };
    struct span group[10];
    size_t done = 0;
    while (pattern_find(p, text, len, &place, group, 10)) {
        buf_append(out, text + done, group[0].begin - done);
        put_replacement(out, replacement, text, group, 10);
        done = group[0].end;
    }
    buf_append(out, text + done, len - done);
}
