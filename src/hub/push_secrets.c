/* push_secrets.c - finds keys, passwords and places of a machine in text, in one pass. Each kind of key has a beginning that its
 * maker gave it so that it can be found; what only looks like an example (few different characters, a placeholder) is passed over.
 * Every byte begins at most one bounded look ahead, so that time grows with the text alone.
 * Sources: the prefixes that Hugging Face, OpenAI, Anthropic, GitHub, AWS, Slack, Google, GitLab, Stripe, npm, PyPI, Groq, xAI and Replicate
 * document for their keys; RFC 7468, RFC 3986, RFC 7519; the head of a PuTTY key file. */
#include "hub/push.h"

#include <string.h>

enum { LONGEST_KEY = 256, LONGEST_PATH = 1024, LONGEST_USER = 128, LEAST_DIFFERENT = 8, LONGEST_JWT_PART = 4096, LEAST_JWT_PART = 10, HUB_LEAST = 34, HUB_MOST = 40 };

enum char_class { ALNUM, WORD /* and _ */, DASHED /* and - */, UPPER /* and digits */, HEX, BASE64 };
struct key_rule { const char *kind, *prefix; enum char_class of; int least, most; bool needs_digit; };
static const struct key_rule key_rules[] = {
    { "hub-token", "hf_", ALNUM, 30, 64, false },
    { "hub-token", "api_org_", ALNUM, 30, 64, false },
    { "anthropic-key", "sk-ant-", DASHED, 20, LONGEST_KEY, false },
    { "openai-key", "sk-", DASHED, 32, LONGEST_KEY, true },
    { "github-token", "ghp_", ALNUM, 36, LONGEST_KEY, false }, { "github-token", "gho_", ALNUM, 36, LONGEST_KEY, false },
    { "github-token", "ghu_", ALNUM, 36, LONGEST_KEY, false }, { "github-token", "ghs_", ALNUM, 36, LONGEST_KEY, false },
    { "github-token", "ghr_", ALNUM, 36, LONGEST_KEY, false }, { "github-token", "github_pat_", WORD, 22, LONGEST_KEY, true },
    { "aws-key", "AKIA", UPPER, 16, 16, false }, { "aws-key", "ASIA", UPPER, 16, 16, false },
    { "slack-token", "xoxb-", DASHED, 20, LONGEST_KEY, true }, { "slack-token", "xoxp-", DASHED, 20, LONGEST_KEY, true },
    { "slack-token", "xoxa-", DASHED, 20, LONGEST_KEY, true }, { "slack-token", "xoxr-", DASHED, 20, LONGEST_KEY, true },
    { "slack-token", "xoxs-", DASHED, 20, LONGEST_KEY, true }, { "slack-token", "xapp-", DASHED, 20, LONGEST_KEY, true },
    { "google-key", "AIza", DASHED, 35, 35, false }, { "google-key", "GOCSPX-", DASHED, 28, 28, false }, { "google-key", "ya29.", DASHED, 30, LONGEST_KEY, false },
    { "gitlab-token", "glpat-", DASHED, 20, LONGEST_KEY, false }, { "stripe-key", "sk_live_", ALNUM, 16, LONGEST_KEY, false }, { "stripe-key", "rk_live_", ALNUM, 16, LONGEST_KEY, false },
    { "npm-token", "npm_", ALNUM, 36, 36, false }, { "pypi-token", "pypi-AgE", DASHED, 40, LONGEST_KEY, false }, { "groq-key", "gsk_", ALNUM, 40, LONGEST_KEY, false },
    { "xai-key", "xai-", ALNUM, 40, LONGEST_KEY, false }, { "replicate-token", "r8_", ALNUM, 37, 37, false },
};

/* Secrets without a beginning of their own, by the name that is given them. */
struct named_rule { const char *kind, *name; enum char_class of; size_t len; };
static const struct named_rule named_rules[] = {
    { "aws-key", "aws_secret_access_key", BASE64, 40 }, { "aws-key", "AWS_SECRET_ACCESS_KEY", BASE64, 40 }, { "aws-key", "secret_access_key", BASE64, 40 }, { "aws-key", "SECRET_ACCESS_KEY", BASE64, 40 },
    { "aws-key", "SecretAccessKey", BASE64, 40 }, { "aws-key", "secretAccessKey", BASE64, 40 }, { "wandb-key", "WANDB_API_KEY", HEX, 40 }, { "wandb-key", "wandb_api_key", HEX, 40 },
};

struct scan { const char *s; size_t n; const struct secrets_rules *rules; bool (*found)(void *user, const struct finding *f); void *user; bool is_over; };

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static bool is_of(char c, enum char_class of)
{
    switch (of) {
    case ALNUM: return is_alnum(c);
    case WORD: return is_alnum(c) || c == '_';
    case DASHED: return is_alnum(c) || c == '_' || c == '-';
    case UPPER: return is_digit(c) || (c >= 'A' && c <= 'Z');
    case HEX: return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    default: return is_alnum(c) || c == '+' || c == '/' || c == '=';
    }
}

static bool begins(const struct scan *x, size_t at, const char *text)
{
    size_t n = strlen(text);
    return x->n - at >= n && memcmp(x->s + at, text, n) == 0;
}

static bool are_hex(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!is_of(s[i], HEX)) return false;
    return true;
}

/* Whether a word may begin here: behind \n and \u0027 of a JSON string and %3D of an address too. */
static bool is_edge(const struct scan *x, size_t at)
{
    const char *s = x->s + at;
    if (at == 0 || !is_of(s[-1], DASHED)) return true;
    if (at >= 2 && s[-2] == '\\' && strchr("nrt", s[-1])) return true;
    if (at >= 3 && s[-3] == '%' && are_hex(s - 2, 2)) return true;
    return at >= 6 && s[-6] == '\\' && s[-5] == 'u' && are_hex(s - 4, 4);
}

static void report_as(struct scan *x, const char *kind, size_t at, size_t len, bool is_bare)
{
    const struct finding f = { kind, at, len, is_bare };
    if (!x->found(x->user, &f)) x->is_over = true;
}

static void report(struct scan *x, const char *kind, size_t at, size_t len) { report_as(x, kind, at, len, false); }

/* Characters of an example repeat: hf_xxxxxxxx. */
static bool is_varied(const char *s, size_t n)
{
    uint64_t seen[4] = { 0 };
    int different = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t *word = &seen[(uint8_t)s[i] >> 6], bit = 1ull << (s[i] & 63);
        different += !(*word & bit);
        *word |= bit;
    }
    return different >= LEAST_DIFFERENT;
}

/* ---- keys -------------------------------------------------------------------------------------------------------------------- */

/* Whether it is a key in the midst of a word too: one of the length that the Hub gives its own, and what begins like nothing else. */
static bool is_clear_inside(const struct key_rule *k, size_t n)
{
    return (strcmp(k->prefix, "hf_") == 0 && n >= HUB_LEAST && n <= HUB_MOST) || strcmp(k->prefix, "github_pat_") == 0;
}

/* Each returns how many bytes are done with; 0: it is not here. */
static size_t try_key(struct scan *x, size_t at)
{
    if (x->n - at < 2) return 0;
    bool edge = is_edge(x, at);
    if (!edge && x->s[at] != 'h' && x->s[at] != 'g') return 0;
    for (size_t r = 0; r < sizeof key_rules / sizeof *key_rules; r++) {
        const struct key_rule *k = &key_rules[r];
        if (k->prefix[0] != x->s[at] || k->prefix[1] != x->s[at + 1] || !begins(x, at, k->prefix)) continue;
        size_t first = at + strlen(k->prefix), n = 0;
        bool has_digit = false;
        while (first + n < x->n && n <= LONGEST_KEY && is_of(x->s[first + n], k->of)) has_digit |= is_digit(x->s[first + n++]);
        if (!edge && !is_clear_inside(k, n)) continue;
        if (n < (size_t)k->least || (k->least == k->most && n != (size_t)k->most) || (k->needs_digit && !has_digit) || !is_varied(x->s + first, n)) continue;
        report(x, k->kind, at, first - at + n);
        return first - at + n;
    }
    return 0;
}

/* aws_secret_access_key = 40 characters of base64. */
static size_t try_named(struct scan *x, size_t at)
{
    for (size_t r = 0; r < sizeof named_rules / sizeof *named_rules; r++) {
        const struct named_rule *k = &named_rules[r];
        if (!begins(x, at, k->name)) continue;
        size_t p = at + strlen(k->name), begin, gap = 0;
        while (p < x->n && gap < 8 && strchr(" \t\"'=:\\", x->s[p]) && x->s[p]) { p++; gap++; }
        for (begin = p; p < x->n && p - begin <= k->len && is_of(x->s[p], k->of); p++) { }
        if (!gap || p - begin != k->len || !is_varied(x->s + begin, k->len)) return 0;
        report_as(x, k->kind, begin, k->len, true);
        return p - at;
    }
    return 0;
}

/* eyJ... . eyJ... . signature: two JSON objects and what vouches for them, in base64url. */
static size_t try_jwt(struct scan *x, size_t at)
{
    size_t p = at, varied = 0;
    for (int part = 0; part < 3; part++) {
        size_t begin = p;
        if (part < 2 && !begins(x, p, "eyJ")) return 0;
        while (p < x->n && p - begin < LONGEST_JWT_PART && is_of(x->s[p], DASHED)) p++;
        if (p - begin < LEAST_JWT_PART) return 0;
        varied = is_varied(x->s + begin, p - begin);
        if (part == 2) break;
        if (p >= x->n || x->s[p] != '.') return 0;
        p++;
    }
    if (!varied) return 0;
    report(x, "jwt", at, p - at);
    return p - at;
}

/* The head of a PuTTY key file has its number there; what only speaks of such files has none. */
static size_t try_putty(struct scan *x, size_t at)
{
    static const char head[] = "PuTTY-User-Key-File-";
    size_t n = strlen(head);
    if (!begins(x, at, head) || x->n - at <= n || !is_digit(x->s[at + n])) return 0;
    report(x, "private-key", at, n + 1);
    return n + 1;
}

/* -----BEGIN ... PRIVATE KEY-----, with or without the name of a kind of key. */
static size_t try_private_key(struct scan *x, size_t at)
{
    static const char begin[] = "-----BEGIN ", end[] = "PRIVATE KEY";
    if (!begins(x, at, begin)) return 0;
    size_t p = at + strlen(begin);
    for (int i = 0; i < 24 && p < x->n; i++, p++) {
        if (begins(x, p, end)) {
            report(x, "private-key", at, p - at + strlen(end));
            return p - at + strlen(end);
        }
        if (!is_of(x->s[p], UPPER) && x->s[p] != ' ') return 0;
    }
    return 0;
}

/* ---- addresses with a password -------------------------------------------------------------------------------------------------- */

static bool ends_authority(char c) { return c == '/' || c == '?' || c == '#' || c == '"' || c == '\'' || c == '<' || c == '>' || c == '`' || c == '\\' || (unsigned char)c <= ' '; }

/* A password that stands for one: USER:PASSWORD@, ${SECRET}, ***. */
static bool is_placeholder(const char *s, size_t n)
{
    static const char *const words[] = { "password", "passwd", "pass", "pwd", "secret", "token", "your_token", "your_password", "yourpassword", "xxx", "xxxx", "changeme" };
    bool is_same = true;
    for (size_t i = 0; i < n; i++) {
        if (strchr("${}<>[]%", s[i])) return true;
        is_same &= s[i] == s[0];
    }
    if (is_same) return true;
    for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
        size_t k = strlen(words[w]), same = 0;
        while (same < k && same < n && (s[same] | 32) == words[w][same]) same++;
        if (k == n && same == n) return true;
    }
    return false;
}

/* At "://": user:password@ behind it. */
static size_t try_url(struct scan *x, size_t at)
{
    size_t p = at + 3, colon = 0;
    if (!begins(x, at, "://") || at == 0 || !is_alnum(x->s[at - 1])) return 0;
    for (; p < x->n && p - at < 2 * LONGEST_USER && !ends_authority(x->s[p]) && x->s[p] != '@'; p++)
        if (x->s[p] == ':' && !colon) colon = p;
    if (p >= x->n || x->s[p] != '@' || !colon || p == colon + 1 || is_placeholder(x->s + colon + 1, p - colon - 1)) return 0;
    report_as(x, "url-password", colon + 1, p - colon - 1, true);
    return 3;                                                 /* the password may be a key */
}

/* ---- places of a machine ------------------------------------------------------------------------------------------------------------ */

static bool is_path_char(char c) { return (unsigned char)c > ' ' && c != 127 && !strchr("\"'`<>|*?=,;:()[]{}\\$", c); }

static bool is_nobody(const char *s, size_t n)
{
    static const char *const names[] = { "user", "username", "you", "your_name", "yourname", "your-name", "name", "me", "USER", "USERNAME", "user_name", "someone", "runner" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == n && memcmp(names[i], s, n) == 0) return true;
    return false;
}

/* What every machine has. */
static bool is_common(const char *s, size_t n)
{
    static const char *const names[] = { "usr", "bin", "etc", "dev", "proc", "sys", "lib", "lib64", "sbin", "var", "boot", "run" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == n && memcmp(names[i], s, n) == 0) return true;
    return false;
}

static size_t name_length(const struct scan *x, size_t at)
{
    size_t n = 0;
    while (at + n < x->n && n < 64 && (is_of(x->s[at + n], DASHED) || x->s[at + n] == '.' || (unsigned char)x->s[at + n] >= 128)) n++;
    return n;
}

static bool begins_path(const struct scan *x, size_t at)
{
    if (at == 0) return true;
    char before = x->s[at - 1];
    if (at >= 7 && memcmp(x->s + at - 7, "file://", 7) == 0) return true;
    if (at >= 2 && x->s[at - 2] == '\\' && strchr("nrt", before)) return true;
    return (unsigned char)before <= ' ' || strchr("\"'`=:,;|<>()[]{}", before);
}

/* Length of the home directory that a path of n bytes begins with; 0 if it is in none. */
static size_t home_length(const struct scan *x, size_t at, size_t n)
{
    static const char *const homes[] = { "/home/", "/Users/" };
    for (int i = 0; i < 2; i++) {
        size_t k = strlen(homes[i]), name = begins(x, at, homes[i]) ? name_length(x, at + k) : 0;
        if (name && !is_nobody(x->s + at + k, name) && !(i == 1 && name == 6 && begins(x, at + k, "Shared"))) return k + name;
    }
    return n > 6 && begins(x, at, "/root/") ? 5 : 0;
}

/* No character of a path lets another begin, so none is looked at twice. */
static size_t try_path(struct scan *x, size_t at)
{
    size_t n = 1, first = 0;
    if (!begins_path(x, at)) return 0;
    while (at + n < x->n && n < LONGEST_PATH && is_path_char(x->s[at + n])) {
        if (x->s[at + n] == '/' && !first) first = n;
        n++;
    }
    if (first < 2 || n < first + 2) return 1;                 /* one component, or "//" */
    if (home_length(x, at, n)) report(x, "home-directory", at, n);
    else if (!is_common(x->s + at + 1, first - 1) && x->rules->is_here && x->rules->is_here(x->rules->user, x->s + at, n)) report(x, "local-path", at, n);
    return 1;                                                 /* keys may stand in it */
}

/* At the colon of C:\Users\name, with single or double strokes. */
static size_t try_windows(struct scan *x, size_t at)
{
    size_t p = at + 1, strokes = 0;
    if (at == 0 || !is_alnum(x->s[at - 1]) || is_digit(x->s[at - 1]) || (at >= 2 && is_of(x->s[at - 2], DASHED))) return 0;
    while (p < x->n && strokes < 2 && (x->s[p] == '\\' || x->s[p] == '/')) { p++; strokes++; }
    if (!strokes || !begins(x, p, "Users")) return 0;
    p += 5;
    for (strokes = 0; p < x->n && strokes < 2 && (x->s[p] == '\\' || x->s[p] == '/'); strokes++) p++;
    size_t name = strokes ? name_length(x, p) : 0;
    if (!name || is_nobody(x->s + p, name) || (name == 6 && begins(x, p, "Public"))) return 0;
    report(x, "home-directory", at - 1, p + name - at + 1);
    return p + name - at;
}

/* ---- the pass ----------------------------------------------------------------------------------------------------------------------- */

static size_t try_all(struct scan *x, size_t at)
{
    const struct secrets_rules *r = x->rules;
    size_t n;
    if (r->token_len && x->s[at] == r->token[0] && x->n - at >= r->token_len && memcmp(x->s + at, r->token, r->token_len) == 0) {
        report_as(x, "hub-token", at, r->token_len, !begins(x, at, "hf_"));
        return r->token_len;
    }
    switch (x->s[at]) {
    case '/': return try_path(x, at);
    case ':': return (n = try_url(x, at)) ? n : try_windows(x, at);
    case '-': return try_private_key(x, at);
    case 'e': return is_edge(x, at) ? try_jwt(x, at) : 0;
    case 'P': return try_putty(x, at);
    case 'a': case 'A': case 's': case 'S': case 'w': case 'W': if (is_edge(x, at) && (n = try_named(x, at))) return n;   /* fall through */
    case 'h': case 'g': case 'x': case 'G': case 'y': case 'n': case 'p': case 'r': return try_key(x, at);
    default: return 0;
    }
}

size_t secrets_scan_part(const char *text, size_t len, size_t from, size_t until, const struct secrets_rules *rules, bool (*found)(void *user, const struct finding *f), void *user)
{
    struct scan x = { text, len, rules, found, user, false };
    while (from < until && !x.is_over) {
        size_t n = try_all(&x, from);
        from += n ? n : 1;
    }
    return from;
}

void secrets_scan(const char *text, size_t len, const struct secrets_rules *rules, bool (*found)(void *user, const struct finding *f), void *user)
{
    (void)secrets_scan_part(text, len, 0, len, rules, found, user);
}
