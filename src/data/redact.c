/* redact.c - finds secrets and personal data in text: e-mail and IP addresses of real people and machines, private
 * keys, access tokens of common services, passwords written into code.
 *
 * How: one walk stops at the few bytes that every kind of find contains ('@', '.', ':', '_' ...) and asks the rules of
 * that byte. Code is full of lookalikes, so precision comes first: addresses reserved for documentation, private
 * networks, versions and placeholder words are no finds. Shapes: the services' own documentation; RFC 2606 and 6761
 * (names), 5737, 6890 and 3849 (addresses) for what is reserved. */
#include "clean_internal.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

enum find_kind { FIND_NONE, FIND_EMAIL, FIND_IP, FIND_KEY, FIND_PASSWORD };
static const char *const placeholder[] = { [FIND_EMAIL] = "<EMAIL>", [FIND_IP] = "<IP_ADDRESS>", [FIND_KEY] = "<KEY>", [FIND_PASSWORD] = "<PASSWORD>" };
struct find { enum find_kind kind; size_t begin, end; };
/* Text under search; nothing before `from` may be part of a find. */
struct search { const char *text; size_t len, from; };

enum { CHAR_WORD = 1, CHAR_TOKEN = 2, CHAR_LOCAL = 4, CHAR_HEX = 8 };
enum { CHAR_LETTER = CHAR_WORD | CHAR_TOKEN | CHAR_LOCAL, CHAR_DIGIT = CHAR_LETTER | CHAR_HEX };
static const uint8_t classes_of[256] = {
    ['0' ... '9'] = CHAR_DIGIT, ['A' ... 'F'] = CHAR_DIGIT, ['a' ... 'f'] = CHAR_DIGIT, ['G' ... 'Z'] = CHAR_LETTER, ['g' ... 'z'] = CHAR_LETTER,
    ['_'] = CHAR_LETTER, ['-'] = CHAR_TOKEN | CHAR_LOCAL, ['.'] = CHAR_LOCAL, ['%'] = CHAR_LOCAL, ['+'] = CHAR_LOCAL,
};
static unsigned char_class(char c) { return classes_of[(unsigned char)c]; }

static bool is_class(const struct search *s, size_t i, unsigned classes) { return i < s->len && (char_class(s->text[i]) & classes); }
static bool is_digit(const struct search *s, size_t i) { return i < s->len && s->text[i] >= '0' && s->text[i] <= '9'; }
static char char_at(const struct search *s, size_t i) { return i < s->len ? s->text[i] : '\0'; }

static size_t class_end(const struct search *s, size_t i, unsigned classes)
{
    while (is_class(s, i, classes)) i++;
    return i;
}

static size_t class_begin(const struct search *s, size_t i, unsigned classes, size_t most)
{
    size_t n = 0;
    while (i > s->from && n < most && is_class(s, i - 1, classes)) { i--; n++; }
    return i;
}

/* True if text[0..len) contains one of the words (lower case), whatever its own case. */
static bool contains_any(const char *text, size_t len, const char *const *words)
{
    for (; *words; words++) {
        size_t n = strlen(*words);
        for (size_t i = 0; i + n <= len; i++)
            if (strncasecmp(text + i, *words, n) == 0) return true;
    }
    return false;
}

static bool equals_any(const char *text, size_t len, const char *const *words)
{
    for (; *words; words++)
        if (strlen(*words) == len && strncasecmp(text, *words, len) == 0) return true;
    return false;
}

/* ---- what is random ------------------------------------------------------------------------------------------------------- */

/* Words of examples: text with one of these is made up. */
static const char *const made_up[] = { "example", "your", "xxxx", "****", "....", "placeholder", "change", "passw", "secret", "token", "apikey", "api_key", "api-key", "test", "dummy", "sample",
    "insert", "replace", "here", "demo", "fake", "redacted", "abcdef", "qwerty", "12345", "01234", "admin", "user", "default", "hello", "my_", "null", "undefined", "env.", "environ", "://", "ssw0rd", "p@ss", "pa55", "exampl", "t0k3n", "s3cr3t", NULL };

/* Shannon entropy of the bytes, in bits for the whole text. */
static double entropy_bits(const char *text, size_t len)
{
    uint16_t count[256] = { 0 };
    double bits = 0;
    for (size_t i = 0; i < len; i++) count[(unsigned char)text[i]]++;
    for (size_t i = 0; i < len; i++) bits += log2((double)len / count[(unsigned char)text[i]]);
    return bits;
}

/* Looks drawn by chance: letters and digits, spread widely, no word of an example in it. */
static bool is_random(const char *text, size_t len, double least_bits)
{
    size_t digits = 0, letters = 0;
    if (len > 4096) return false;
    for (size_t i = 0; i < len; i++) {
        unsigned c = (unsigned char)text[i];
        if (c <= ' ' || c >= 0x7F || strchr("(){}<>$\\`", (int)c)) return false;
        digits += c - '0' < 10u;
        letters += (c | 32) - 'a' < 26u;
    }
    return digits && letters && entropy_bits(text, len) >= least_bits && !contains_any(text, len, made_up);
}

/* ---- e-mail addresses ------------------------------------------------------------------------------------------------------- */

static const char *const generic_domains[] = { "com", "org", "net", "edu", "gov", "mil", "int", "info", "biz", "name", "pro", "dev", "app", "tech", "online", "site", "xyz", "club", "shop",
    "cloud", "live", "world", "email", "mobi", "museum", "aero", "jobs", "travel", "cat", "coop", "asia", "tel", "agency", "digital", "studio", "design", "blog", "news", "systems", "network", "software", NULL };
static const char *const no_country[] = { "py", "js", "ts", "rb", "cs", "go", "kt", "hs", "vb", "md", "so", NULL };
/* Names that stand for "some name" in documentation and code. */
static const char *const no_domain[] = { "example", "test", "invalid", "localhost", "domain", "yourdomain", "mydomain", "yourcompany", "mycompany", "company", "yoursite", "mysite", "website", "host", "server",
    "email", "mail", "foo", "bar", "baz", "abc", "xyz", "acme", "sample", "somewhere", "something", "corp", "mailserver", "users.noreply.github", NULL };
static const char *const no_person[] = { "git", "user", "username", "name", "email", "your", "your_email", "youremail", "your.email", "your-email", "your_name", "yourname", "your.name", "you", "me", "myemail", "my_email", "foo", "bar", "test", "someone", "somebody",
    "noreply", "no-reply", "donotreply", "example", "sample", "sender", "recipient", "receiver", "from", "to", "root", "postmaster", NULL };

/* Where the domain that begins at `at` ends, or 0: labels with dots, and a last one that names a top-level domain. */
static size_t domain_end(const struct search *s, size_t at, size_t *last_dot)
{
    size_t i = at, end = 0;
    *last_dot = 0;
    while (is_class(s, i, CHAR_TOKEN) && char_at(s, i) != '_' && char_at(s, i) != '-') {
        size_t label = i;
        while (is_class(s, i, CHAR_TOKEN) && char_at(s, i) != '_') i++;
        end = i;
        if (char_at(s, i) != '.' || !is_class(s, i + 1, CHAR_WORD)) {
            *last_dot = label > at ? label - 1 : 0;
            break;
        }
        i++;
    }
    if (!*last_dot) return 0;
    size_t n = end - *last_dot - 1;
    const char *top = s->text + *last_dot + 1;
    for (size_t k = 0; k < n; k++)
        if (!isalpha((unsigned char)top[k])) return 0;
    if (n == 2 ? equals_any(top, n, no_country) : !equals_any(top, n, generic_domains)) return 0;
    return end;
}

/* The password of scheme://name:password@host. */
static struct find find_url_password(const struct search *s, size_t at)
{
    size_t begin = at, name;
    while (begin > s->from && at - begin < 128 && !strchr("/@:\"' \t\n<>", s->text[begin - 1])) begin--;
    if (begin == at || begin <= s->from || s->text[begin - 1] != ':') return (struct find) { 0 };
    for (name = begin - 1; name > s->from && begin - name < 64 && is_class(s, name - 1, CHAR_LOCAL); name--) {}
    if (name < s->from + 3 || memcmp(s->text + name - 3, "://", 3) != 0 || !is_class(s, at + 1, CHAR_WORD)) return (struct find) { 0 };
    if (at - begin < 6 || !is_random(s->text + begin, at - begin, 18)) return (struct find) { 0 };
    return (struct find) { FIND_PASSWORD, begin, at };
}

static struct find find_at_sign(const struct search *s, size_t at)
{
    size_t last_dot, begin = class_begin(s, at, CHAR_LOCAL, 65), end = domain_end(s, at + 1, &last_dot);
    while (begin < at && strchr(".%+-", s->text[begin])) begin++;
    if (begin < at && begin + 65 > at && end && s->text[at - 1] != '.') {
        char before = begin > 0 ? s->text[begin - 1] : ' ', behind = char_at(s, end);
        bool is_path = before == '/' || before == '@' || behind == '@' || behind == '(' || (behind == ':' && is_class(s, end + 1, CHAR_WORD)) || behind == '_';
        if (!is_path && !equals_any(s->text + begin, at - begin, no_person) && !equals_any(s->text + at + 1, last_dot - at - 1, no_domain)
            && !contains_any(s->text + at + 1, end - at - 1, (const char *const[]) { "example", NULL }))
            return (struct find) { FIND_EMAIL, begin, end };
    }
    return find_url_password(s, at);
}

/* ---- IP addresses --------------------------------------------------------------------------------------------------------------- */

/* Networks that belong to nobody: this host, private, shared, loopback, link-local, documentation, benchmarks,
 * multicast and reserved; public resolvers and an address that only ever stands for "some address". */
static const struct { uint32_t address; uint8_t bits; } no_host[] = {
    { 0x00000000, 8 }, { 0x0A000000, 8 }, { 0x64400000, 10 }, { 0x7F000000, 8 }, { 0xA9FE0000, 16 }, { 0xAC100000, 12 }, { 0xC0000000, 24 }, { 0xC0000200, 24 }, { 0xC0A80000, 16 },
    { 0xC6120000, 15 }, { 0xC6336400, 24 }, { 0xCB007100, 24 }, { 0xE0000000, 3 }, { 0x08080808, 32 }, { 0x08080404, 32 }, { 0x01010101, 32 }, { 0x01000001, 32 }, { 0x09090909, 32 },
    { 0xD043DEDE, 32 }, { 0xD043DCDC, 32 }, { 0x04020200, 29 }, { 0x01020304, 32 }, { 0x7B2D4359, 32 },
};

static bool ipv4_is_public(uint32_t address)
{
    for (size_t i = 0; i < sizeof no_host / sizeof no_host[0]; i++)
        if ((address ^ no_host[i].address) >> (32 - no_host[i].bits) == 0) return false;
    return true;
}

/* Four numbers, three of them small, are a version or a section unless the text before says otherwise. */
static bool is_version(const struct search *s, size_t begin, uint32_t address)
{
    size_t from = begin > 24 ? begin - 24 : 0;
    int small = 0;
    for (int shift = 0; shift < 32; shift += 8) small += (address >> shift & 255) < 32;
    if (contains_any(s->text + from, begin - from, (const char *const[]) { "version", "ver ", "release", "==", ">=", "~=", "section", "build", NULL })) return true;
    return small >= 3 && !contains_any(s->text + from, begin - from, (const char *const[]) { " ip", "addr", "host", "server", " ping", "dns", "://", NULL });
}

static struct find find_ipv4(const struct search *s, size_t dot)
{
    uint32_t address = 0;
    size_t begin = dot;
    while (begin > s->from && dot - begin < 4 && is_digit(s, begin - 1)) begin--;
    if (begin == dot || !is_digit(s, dot + 1) || (begin > 0 && (char_class(s->text[begin - 1]) & CHAR_LOCAL))) return (struct find) { 0 };
    size_t i = begin;
    for (int part = 0; part < 4; part++) {
        uint32_t value = 0;
        size_t first = i;
        for (; is_digit(s, i) && i < first + 4; i++) value = value * 10 + (uint32_t)(s->text[i] - '0');
        if (i == first || value > 255 || (i > first + 1 && s->text[first] == '0')) return (struct find) { 0 };
        address = address << 8 | value;
        if (part < 3 && char_at(s, i++) != '.') return (struct find) { 0 };
    }
    if (is_class(s, i, CHAR_WORD | CHAR_TOKEN) || (char_at(s, i) == '.' && is_class(s, i + 1, CHAR_WORD))) return (struct find) { 0 };
    if (!ipv4_is_public(address) || is_version(s, begin, address)) return (struct find) { 0 };
    return (struct find) { FIND_IP, begin, i };
}

/* Addresses of the public internet (2000::/3) only: their first group has four digits, which code rarely has. */
static struct find find_ipv6(const struct search *s, size_t colon)
{
    char token[46];
    unsigned char bytes[16];
    size_t begin = class_begin(s, colon, CHAR_HEX, 5), end = begin;
    if (colon - begin != 4 || (s->text[begin] != '2' && s->text[begin] != '3')) return (struct find) { 0 };
    if (begin > 0 && ((char_class(s->text[begin - 1]) & CHAR_LOCAL) || s->text[begin - 1] == ':')) return (struct find) { 0 };
    while (end < s->len && (is_class(s, end, CHAR_HEX) || s->text[end] == ':')) end++;
    while (end > colon && s->text[end - 1] == ':' && !(s->text[end - 2] == ':')) end--;
    if (end - begin >= sizeof token || is_class(s, end, CHAR_WORD)) return (struct find) { 0 };
    memcpy(token, s->text + begin, end - begin);
    token[end - begin] = '\0';
    if (end - begin < 11 || inet_pton(AF_INET6, token, bytes) != 1) return (struct find) { 0 };
    bool is_documentation = (bytes[0] == 0x20 && bytes[1] == 0x01 && (bytes[2] < 2 || (bytes[2] == 0x0D && bytes[3] == 0xB8))) || (bytes[0] == 0x3F && bytes[1] == 0xFF);
    bool is_resolver = strncasecmp(token, "2001:4860:4860:", 15) == 0 || strncasecmp(token, "2606:4700:4700:", 15) == 0;
    if (is_documentation || is_resolver) return (struct find) { 0 };
    return (struct find) { FIND_IP, begin, end };
}

/* ---- tokens of services ------------------------------------------------------------------------------------------------------------ */

/* `anchor`: the byte of the prefix at which the walk stops. `least`, `most`: characters behind the prefix. */
struct key_shape { const char *prefix; size_t anchor, least, most; };
static const struct key_shape key_shapes[] = {
    { "AKIA", 0, 16, 16 }, { "ASIA", 0, 16, 16 }, { "AIza", 0, 35, 35 }, { "ghp_", 3, 36, 255 }, { "gho_", 3, 36, 255 }, { "ghu_", 3, 36, 255 }, { "ghs_", 3, 36, 255 }, { "ghr_", 3, 36, 255 },
    { "github_pat_", 10, 50, 255 }, { "hf_", 2, 30, 40 }, { "npm_", 3, 36, 36 }, { "sk_live_", 7, 16, 255 }, { "rk_live_", 7, 16, 255 }, { "sk-", 2, 32, 255 },
    { "xoxb-", 4, 20, 255 }, { "xoxp-", 4, 20, 255 }, { "xoxa-", 4, 20, 255 }, { "xoxr-", 4, 20, 255 }, { "xoxs-", 4, 20, 255 }, { "glpat-", 5, 20, 64 }, { "pypi-", 4, 60, 255 },
};

/* Cheap: is any shape's byte before the anchor `before`, or behind it `behind`? */
static bool shape_may_fit(const struct key_shape *shape, char before, char behind)
{
    return shape->anchor ? shape->prefix[shape->anchor - 1] == before : shape->prefix[1] == behind;
}

static struct find find_service_key(const struct search *s, size_t at)
{
    char before = at > s->from ? s->text[at - 1] : '\0', behind = char_at(s, at + 1);
    if (!is_class(s, at + 1, CHAR_TOKEN)) return (struct find) { 0 };
    for (size_t i = 0; i < sizeof key_shapes / sizeof key_shapes[0]; i++) {
        const struct key_shape *shape = &key_shapes[i];
        if (shape->prefix[shape->anchor] != s->text[at] || !shape_may_fit(shape, before, behind)) continue;
        size_t n = strlen(shape->prefix), begin = at - shape->anchor;
        if (at < s->from + shape->anchor || n > s->len - begin || memcmp(s->text + begin, shape->prefix, n) != 0) continue;
        if (begin > 0 && (char_class(s->text[begin - 1]) & CHAR_TOKEN)) continue;
        size_t end = class_end(s, begin + n, CHAR_TOKEN), body = end - begin - n;
        if (body < shape->least || body > shape->most || !is_random(s->text + begin + n, body, body == 16 ? 40 : 60)) continue;
        return (struct find) { FIND_KEY, begin, end };
    }
    return (struct find) { 0 };
}

/* Signed tokens: three parts in base64url, of which two are JSON objects ("eyJ" is '{"'). */
static struct find find_web_token(const struct search *s, size_t at)
{
    size_t begin = at - 2, dot = 0, end;
    if (at < s->from + 2 || memcmp(s->text + begin, "ey", 2) != 0 || (begin > 0 && (char_class(s->text[begin - 1]) & CHAR_TOKEN))) return (struct find) { 0 };
    end = class_end(s, begin, CHAR_TOKEN);
    if (char_at(s, end) != '.' || end - begin < 12) return (struct find) { 0 };
    dot = end;
    end = class_end(s, dot + 1, CHAR_TOKEN);
    if (end - dot < 12 || memcmp(s->text + dot + 1, "eyJ", 3) != 0 || char_at(s, end) != '.') return (struct find) { 0 };
    /* The introduction to JWT that every tutorial shows: {"sub":"1234567890"... */
    if (end - dot > 20 && memcmp(s->text + dot + 1, "eyJzdWIiOiIxMjM0NTY3ODkw", 19) == 0) return (struct find) { 0 };
    size_t sign = end + 1;
    end = class_end(s, sign, CHAR_TOKEN);
    if (end - sign < 20) return (struct find) { 0 };
    return (struct find) { FIND_KEY, begin, end };
}

static struct find find_bearer(const struct search *s, size_t at)
{
    static const char word[] = "Bearer ";
    size_t begin = at + sizeof word - 1, end;
    if (s->len - at < sizeof word || memcmp(s->text + at, word, sizeof word - 1) != 0) return (struct find) { 0 };
    for (end = begin; is_class(s, end, CHAR_TOKEN) || (end < s->len && strchr(".~+/=", s->text[end])); end++) {}
    while (end > begin && s->text[end - 1] == '.') end--;
    if (end - begin < 20 || !is_random(s->text + begin, end - begin, 60)) return (struct find) { 0 };
    return (struct find) { FIND_KEY, begin, end };
}

enum { KEY_BYTES = 8192 };

/* -----BEGIN ... PRIVATE KEY----- up to its END line, if there is a real key in between. */
static struct find find_private_key(const struct search *s, size_t at)
{
    static const char begin_mark[] = "-----BEGIN ", end_mark[] = "-----END ";
    if (s->len - at < 32 || memcmp(s->text + at, begin_mark, sizeof begin_mark - 1) != 0) return (struct find) { 0 };
    const char *head_end = memmem(s->text + at + 11, s->len - at - 11 < 48 ? s->len - at - 11 : 48, "-----", 5);
    if (!head_end || !memmem(s->text + at, (size_t)(head_end - s->text) - at, "PRIVATE KEY", 11)) return (struct find) { 0 };
    size_t body = (size_t)(head_end - s->text) + 5, letters = 0;
    size_t most = s->len - body < KEY_BYTES ? s->len - body : KEY_BYTES;
    const char *tail = memmem(s->text + body, most, end_mark, sizeof end_mark - 1);
    size_t end = tail ? (size_t)(tail - s->text) : body + most;
    for (size_t i = body; i < end; i++) letters += is_class(s, i, CHAR_WORD);
    if (letters < 100 || contains_any(s->text + body, end - body, (const char *const[]) { "...", "xxxx", "your", NULL })) return (struct find) { 0 };
    if (tail) {
        const char *close = end + 9 < s->len ? memmem(tail + 9, s->len - end - 9 < 48 ? s->len - end - 9 : 48, "-----", 5) : NULL;
        end = close ? (size_t)(close - s->text) + 5 : end;
    }
    return (struct find) { FIND_KEY, at, end };
}

/* ---- passwords in code and settings --------------------------------------------------------------------------------------------------- */

/* Ends of names, without '_' and '-', whose values are secret. */
static const char *const secret_names[] = { "password", "passwd", "pwd", "passphrase", "secret", "token", "apikey", "accesskey", "secretkey", "privatekey", "authkey", "accountkey", NULL };

/* Does the name that ends before `end` call its value a secret? */
static bool name_is_secret(const struct search *s, size_t end, enum find_kind *kind)
{
    static const char ends[][2] = { "rd", "wd", "se", "et", "en", "ey" };
    char name[24];
    size_t n = sizeof name;
    bool may_fit = false;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0] && end >= s->from + 2; i++)
        may_fit |= (s->text[end - 2] | 32) == ends[i][0] && (s->text[end - 1] | 32) == ends[i][1];
    if (!may_fit) return false;
    for (size_t i = end; i > s->from && n > 0 && is_class(s, i - 1, CHAR_TOKEN); i--)
        if (s->text[i - 1] != '_' && s->text[i - 1] != '-') name[--n] = s->text[i - 1];
    for (const char *const *word = secret_names; *word; word++) {
        size_t len = strlen(*word);
        if (len > sizeof name - n || strncasecmp(name + sizeof name - len, *word, len) != 0) continue;
        *kind = word - secret_names < 4 ? FIND_PASSWORD : FIND_KEY;
        return true;
    }
    return false;
}

/* name = "value", "name": "value", NAME=value, name => 'value' ... */
static struct find find_assignment(const struct search *s, size_t at)
{
    enum find_kind kind;
    size_t name_end = at, begin = at + 1, end;
    while (name_end > s->from && at - name_end < 3 && s->text[name_end - 1] == ' ') name_end--;
    while (name_end > s->from && at - name_end < 6 && strchr("\"'\\]", s->text[name_end - 1])) name_end--;
    if (!is_class(s, name_end > 0 ? name_end - 1 : s->len, CHAR_WORD) || !name_is_secret(s, name_end, &kind)) return (struct find) { 0 };
    while (begin < s->len && begin < at + 5 && strchr(" =>", s->text[begin])) begin++;
    bool is_spaced = begin > at + 1;
    while (begin < s->len && s->text[begin] == '\\') begin++;
    char quote = char_at(s, begin);
    bool is_quoted = quote == '"' || quote == '\'';
    begin += is_quoted;
    for (end = begin; end < s->len && end - begin < 256 && (is_quoted ? s->text[end] != quote && s->text[end] != '\\' && s->text[end] != '\n' : !strchr(" \t\r\n\"',;&)]}<", s->text[end])); end++) {}
    while (!is_quoted && end > begin && strchr(".!?:", s->text[end - 1])) end--;
    if (end - begin < 8 || end - begin >= 256 || (!is_quoted && is_spaced && s->text[at] != ':')) return (struct find) { 0 };
    if (!is_random(s->text + begin, end - begin, is_quoted && kind == FIND_PASSWORD ? 26 : 40)) return (struct find) { 0 };
    return (struct find) { kind, begin, end };
}

/* ---- the walk ---------------------------------------------------------------------------------------------------------------------- */

static const uint8_t is_anchor[256] = { ['@'] = 1, ['.'] = 1, [':'] = 1, ['='] = 1, ['_'] = 1, ['-'] = 1, ['A'] = 1, ['B'] = 1, ['J'] = 1 };

static struct find find_here(const struct search *s, size_t at)
{
    struct find f;
    switch (s->text[at]) {
    case '@': return find_at_sign(s, at);
    case '.': return is_digit(s, at + 1) ? find_ipv4(s, at) : (struct find) { 0 };
    case ':':
        f = is_class(s, at + 1, CHAR_HEX) || char_at(s, at + 1) == ':' ? find_ipv6(s, at) : (struct find) { 0 };
        return f.kind ? f : find_assignment(s, at);
    case '=': return find_assignment(s, at);
    case '-':
        f = char_at(s, at + 1) == '-' ? find_private_key(s, at) : (struct find) { 0 };
        return f.kind ? f : find_service_key(s, at);
    case 'B': return find_bearer(s, at);
    case 'J': return find_web_token(s, at);
    default: return find_service_key(s, at);
    }
}

void text_redact(struct buf *out, struct clean_notes *notes, const char *text, size_t len)
{
    struct search s = { text, len, 0 };
    for (size_t i = 0; i < len; i++) {
        if (!is_anchor[(unsigned char)text[i]]) continue;
        struct find f = find_here(&s, i);
        if (!f.kind) continue;
        *(f.kind == FIND_EMAIL ? &notes->emails : f.kind == FIND_IP ? &notes->ips : &notes->keys) += 1;
        if (out) {
            buf_append(out, text + s.from, f.begin - s.from);
            buf_puts(out, placeholder[f.kind]);
        }
        s.from = f.end;
        i = f.end - 1;
    }
    if (out && s.from) buf_append(out, text + s.from, len - s.from);
}
