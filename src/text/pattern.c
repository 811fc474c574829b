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
