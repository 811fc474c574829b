/* sandbox_verdict.c - reads the one line that a checker writes. It comes out of a sandbox, so it is read as if an enemy had written it. */
#include "sandbox/sandbox_internal.h"

#include <string.h>

static const char *const python_outcome_text[PYTHON_OUTCOMES] = { "pass", "fail", "error", "syntax", "timeout", "oom", "output-flood", "forged", "setup-error", "skipped" };
const char *python_outcome_name(enum python_outcome outcome) { return outcome < PYTHON_OUTCOMES ? python_outcome_text[outcome] : "unknown"; }

struct cursor { const char *at, *end; };

/* The next word, up to a blank. */
static bool word(struct cursor *c, const char **text, size_t *len)
{
    const char *blank = memchr(c->at, ' ', (size_t)(c->end - c->at));
    if (!blank) return false;
    *text = c->at;
    *len = (size_t)(blank - c->at);
    c->at = blank + 1;
    return true;
}

static bool is_word(const char *text, size_t len, const char *wanted) { return strlen(wanted) == len && memcmp(text, wanted, len) == 0; }

static bool outcome(struct cursor *c, enum python_outcome *out, bool *is_lost, bool *is_again)
{
    const char *text;
    size_t len;
    if (!word(c, &text, &len)) return false;
    *is_lost = is_word(text, len, "lost");
    *is_again = is_word(text, len, "again");
    *out = PYTHON_ERROR;
    for (int i = 0; i < PYTHON_OUTCOMES; i++)
        if (is_word(text, len, python_outcome_text[i])) { *out = (enum python_outcome)i; return true; }
    return *is_lost || *is_again;
}

static bool count(struct cursor *c, int *out)
{
    const char *text;
    size_t len;
    if (!word(c, &text, &len) || !len || len > 8) return false;
    *out = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        *out = *out * 10 + (text[i] - '0');
    }
    return true;
}

bool verdict_read(struct verdict *out, const char *bytes, size_t len, const char *nonce)
{
    struct cursor c = { bytes, bytes + len };
    const char *text;
    size_t n;
    *out = (struct verdict){ .found.outcome = PYTHON_ERROR, .found.plus = PYTHON_SKIPPED };
    if (!len || len > VERDICT_MAX || bytes[len - 1] != '\n' || memchr(bytes, '\n', len - 1)) return false;
    c.end--;
    if (!word(&c, &text, &n)) return false;
    out->is_forged = n != NONCE_DIGITS || memcmp(text, nonce, NONCE_DIGITS) != 0;
    if (out->is_forged) return false;
    bool is_base_again;                                        /* a word without meaning there */
    if (!outcome(&c, &out->found.outcome, &out->is_lost, &is_base_again) || is_base_again) return false;
    if (!outcome(&c, &out->found.plus, &out->is_plus_lost, &out->is_again)) return false;
    if (!count(&c, &out->found.n_base) || !count(&c, &out->found.n_plus)) return false;
    error_quote(out->found.detail, sizeof out->found.detail, c.at, (size_t)(c.end - c.at));
    return true;
}
