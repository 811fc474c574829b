/* push_reply.c - reads what a Hub answers to a push. All of it comes from a stranger: addresses must be http(s), digests hex, numbers
 * in range, and what was asked about must be answered. Source: huggingface_hub _commit_api, lfs; the batch API of Git LFS. */
#include "hub/push.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_OBJECTS = 10000, MAX_PARTS = 10000, MAX_HEADERS = 16, MAX_PATHS = 200000, URL_LONGEST = 8192 };
#define PART_BYTES_MAX ((int64_t)1 << 40)

/* ---- small things ------------------------------------------------------------------------------------------------------------- */

/* Printable ASCII without blanks: what can stand in a request line and in a message. */
static bool is_plain(const char *s, size_t most)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++)
        if (s[i] <= ' ' || s[i] == 127) return false;
    return n > 0 && n <= most;
}

static bool is_address(const char *url, bool is_secure)
{
    bool is = url && is_plain(url, URL_LONGEST) && (strncmp(url, "https://", 8) == 0 || (!is_secure && strncmp(url, "http://", 7) == 0));
    char *origin = is ? url_origin(url) : NULL;
    is = origin != NULL;
    mem_free(origin);
    return is;
}

static const char *text_at(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return v && json_string_length(v) == strlen(json_string_value(v) ? json_string_value(v) : "") ? json_string_value(v) : NULL;
}

static bool is_digest(const char *s) { return s && (hex_is_valid(s, 40) || hex_is_valid(s, 64)); }

/* ---- modes ------------------------------------------------------------------------------------------------------------------------ */

static sc_status take_mode(struct push_file *f, const json_t *row, sc_error *err)
{
    const char *mode = text_at(row, "uploadMode"), *oid = text_at(row, "oid");
    if (!mode || (strcmp(mode, "lfs") != 0 && strcmp(mode, "regular") != 0)) return FAIL(err, SC_E_FORMAT, "the Hub does not say how %s is to be sent; expected \"lfs\" or \"regular\"", f->path);
    f->is_lfs = strcmp(mode, "lfs") == 0 && f->size > 0;             /* the large file store takes nothing that is empty */
    f->is_ignored = json_is_true(json_object_get(row, "shouldIgnore"));
    f->remote_oid[0] = 0;
    if (is_digest(oid)) snprintf(f->remote_oid, sizeof f->remote_oid, "%s", oid);
    return SC_OK;
}

sc_status push_parse_modes(struct push_files *f, size_t first, size_t last, const char *text, size_t len, sc_error *err)
{
    json_t *root = NULL;
    TRY(json_read(&root, text, len, "the Hub's answer about the files", err));
    const json_t *rows = json_object_get(root, "files"), *row;
    bool *is_answered = mem_zero(last - first + 1, 1);
    sc_status status = json_is_array(rows) ? SC_OK : FAIL(err, SC_E_FORMAT, "the Hub's answer about the files has no list of files");
    size_t i, n = 0;
    json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
        const char *path = text_at(row, "path");
        size_t at = first;
        while (at < last && (!path || strcmp(f->at[at].path, path) != 0)) at++;
        if (status != SC_OK || at == last || is_answered[at - first]) continue;                    /* nobody asked */
        status = take_mode(&f->at[at], row, err);
        is_answered[at - first] = true;
        n++;
    }
    for (i = first; status == SC_OK && n < last - first && i < last; i++)
        if (!is_answered[i - first]) status = FAIL(err, SC_E_FORMAT, "the Hub does not say how %s is to be sent", f->at[i].path);
    mem_free(is_answered);
    json_decref(root);
    return status;
}

/* ---- the head of a branch ----------------------------------------------------------------------------------------------------------- */

sc_status push_parse_head(struct push_head *out, const char *text, size_t len, sc_error *err)
{
    json_t *root = NULL;
    *out = (struct push_head){ 0 };
    TRY(json_read(&root, text, len, "the Hub's answer about the repository", err));
    const char *sha = text_at(root, "sha");
    const json_t *rows = json_object_get(root, "siblings"), *row;
    sc_status status = is_digest(sha) ? SC_OK : FAIL(err, SC_E_FORMAT, "the Hub does not name the newest commit of the repository");
    if (status == SC_OK && json_array_size(rows) > MAX_PATHS) status = FAIL(err, SC_E_UNSUPPORTED, "the repository has %zu files, more than the %d that are expected at most", json_array_size(rows), MAX_PATHS);
    if (status == SC_OK) {
        snprintf(out->commit, sizeof out->commit, "%s", sha);
        out->path = mem_zero(json_array_size(rows) + 1, sizeof *out->path);
        size_t i;
        json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
            const char *path = text_at(row, "rfilename");
            if (path && *path) out->path[out->n++] = mem_strdup(path);
        }
    }
    json_decref(root);
    return status;
}

void push_head_release(struct push_head *h)
{
    for (size_t i = 0; i < h->n; i++) mem_free(h->path[i]);
    mem_free(h->path);
    *h = (struct push_head){ 0 };
}

/* ---- the commit ---------------------------------------------------------------------------------------------------------------------- */

sc_status push_parse_commit(struct push_commit *out, const char *text, size_t len, sc_error *err)
{
    json_t *root = NULL;
    *out = (struct push_commit){ 0 };
    TRY(json_read(&root, text, len, "the Hub's answer to the commit", err));
    const char *oid = text_at(root, "commitOid"), *url = text_at(root, "commitUrl"), *request = text_at(root, "pullRequestUrl");
    sc_status status = SC_OK;
    if (!is_digest(oid)) status = FAIL(err, SC_E_FORMAT, "the Hub took the commit without naming it");
    else snprintf(out->oid, sizeof out->oid, "%s", oid);
    if (status == SC_OK && is_address(url, false)) out->url = mem_strdup(url);
    if (status == SC_OK && is_address(request, false)) out->pull_request = mem_strdup(request);
    json_decref(root);
    return status;
}

void push_commit_release(struct push_commit *c)
{
    mem_free(c->url);
    mem_free(c->pull_request);
    *c = (struct push_commit){ 0 };
}

char *push_parse_created(const char *text, size_t len, const char *endpoint, bool is_dataset)
{
    json_t *root = NULL;
    char *name = NULL;
    if (json_read(&root, text, len, "the Hub's answer", NULL) != SC_OK) return NULL;
    const char *url = text_at(root, "url");
    size_t n = strlen(endpoint);
    if (url && strncmp(url, endpoint, n) == 0 && url[n] == '/') {
        url += n + 1;
        if (is_dataset && strncmp(url, "datasets/", 9) == 0) url += 9;
        if (repo_id_is_valid(url, strlen(url))) name = mem_strdup(url);
    }
    json_decref(root);
    return name;
}

/* ---- large files ------------------------------------------------------------------------------------------------------------------------ */

void lfs_action_release(struct lfs_action *a)
{
    mem_free(a->href);
    mem_free(a->verify);
    for (size_t i = 0; i < a->n_headers; i++) mem_free(a->header[i]);
    for (size_t i = 0; i < a->n_parts; i++) {
        mem_free(a->part[i]);
        mem_free(a->etag[i]);
    }
    mem_free(a->header);
    mem_free(a->part);
    mem_free(a->etag);
    *a = (struct lfs_action){ 0 };
}

void lfs_batch_release(struct lfs_batch *b)
{
    for (size_t i = 0; i < b->n; i++) lfs_action_release(&b->at[i]);
    mem_free(b->at);
    *b = (struct lfs_batch){ 0 };
}

static sc_status wrong(const struct lfs_action *a, const char *what, sc_error *err)
{
    return FAIL(err, SC_E_FORMAT, "the Hub's answer about the large file %.12s... %s", a->oid, what);
}

/* named: how many are there at most, so that a number alone takes no memory. */
static bool make_parts(struct lfs_action *a, uint64_t part_bytes, size_t named)
{
    uint64_t n = a->size / part_bytes + (a->size % part_bytes != 0);
    if (n == 0 || n > MAX_PARTS || n > named) return false;
    a->part_bytes = part_bytes;
    a->n_parts = (size_t)n;
    a->part = mem_zero(a->n_parts, sizeof *a->part);
    a->etag = mem_zero(a->n_parts, sizeof *a->etag);
    return true;
}

/* Parts are named by their numbers from 1, with or without zeros in front. */
static sc_status read_parts(struct lfs_action *a, const json_t *header, bool is_secure, sc_error *err)
{
    const json_t *size = json_object_get(header, "chunk_size"), *value;
    const char *key;
    char *end = NULL;
    int64_t bytes = json_is_integer(size) ? json_integer_value(size) : json_is_string(size) && json_string_length(size) < 16 ? strtoll(json_string_value(size), &end, 10) : 0;
    if (bytes < 1 || bytes > PART_BYTES_MAX || (end && *end)) return wrong(a, "has no usable size of its parts", err);
    if (!make_parts(a, (uint64_t)bytes, json_object_size(header))) return wrong(a, "has parts that do not fit its size", err);
    size_t n = 0;
    json_object_foreach((json_t *)(uintptr_t)header, key, value) {
        size_t digits = strspn(key, "0123456789");
        if (!digits || key[digits] || digits > 9) continue;
        unsigned long number = strtoul(key, NULL, 10);
        if (number < 1 || number > a->n_parts || a->part[number - 1] || !is_address(json_string_value(value), is_secure)) return wrong(a, "has parts that do not fit its size", err);
        a->part[number - 1] = mem_strdup(json_string_value(value));
        n++;
    }
    return n == a->n_parts ? SC_OK : wrong(a, "has parts that do not fit its size", err);
}

static bool is_header(const char *name, const char *value)
{
    static const char *const own[] = { "host", "content-length", "transfer-encoding", "expect", "connection" };
    if (!*name || strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != strlen(name) || !value || !*value || strlen(value) > URL_LONGEST) return false;
    for (const char *c = value; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127) return false;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcasecmp(own[i], name) == 0) return false;
    return true;
}

static void read_headers(struct lfs_action *a, const json_t *header)
{
    const char *key;
    json_t *value;
    a->header = mem_zero(MAX_HEADERS + 1, sizeof *a->header);
    json_object_foreach((json_t *)(uintptr_t)header, key, value) {
        if (a->n_headers == MAX_HEADERS || !is_header(key, json_string_value(value))) continue;
        struct buf line;
        buf_init(&line, 0);
        buf_printf(&line, "%s: %s", key, json_string_value(value));
        a->header[a->n_headers++] = line.data;
    }
}

static sc_status read_action(struct lfs_action *a, const json_t *row, bool is_secure, sc_error *err)
{
    char quoted[160];
    const char *oid = text_at(row, "oid");
    if (!oid || !hex_is_valid(oid, 64)) return FAIL(err, SC_E_FORMAT, "the Hub's answer about large files has an object without its SHA-256");
    snprintf(a->oid, sizeof a->oid, "%s", oid);
    const json_t *size = json_object_get(row, "size"), *problem = json_object_get(row, "error");
    const char *said = text_at(problem, "message");
    if (problem) return FAIL(err, SC_E_PEER, "the Hub refuses the large file %.12s...: %s", a->oid, error_quote(quoted, sizeof quoted, said ? said : "it does not say why", strlen(said ? said : "it does not say why")));
    if (!json_is_integer(size) || json_integer_value(size) < 0) return wrong(a, "has no size", err);
    a->size = (uint64_t)json_integer_value(size);
    const json_t *actions = json_object_get(row, "actions"), *upload = json_object_get(actions, "upload"), *verify = json_object_get(actions, "verify"), *header = json_object_get(upload, "header");
    if (!json_is_object(upload)) return SC_OK;
    if (!is_address(text_at(upload, "href"), is_secure)) return wrong(a, is_secure ? "names no https address to send it to" : "names no address to send it to", err);
    a->href = mem_strdup(text_at(upload, "href"));
    if (verify && !is_address(text_at(verify, "href"), is_secure)) return wrong(a, "names no address to check it at", err);
    if (verify) a->verify = mem_strdup(text_at(verify, "href"));
    if (json_object_get(header, "chunk_size")) return read_parts(a, header, is_secure, err);
    read_headers(a, header);
    return SC_OK;
}

sc_status lfs_parse_batch(struct lfs_batch *out, const char *text, size_t len, bool is_secure, sc_error *err)
{
    json_t *root = NULL, *row;
    *out = (struct lfs_batch){ 0 };
    TRY(json_read(&root, text, len, "the Hub's answer about large files", err));
    const json_t *rows = json_object_get(root, "objects");
    sc_status status = json_is_array(rows) ? SC_OK : FAIL(err, SC_E_FORMAT, "the Hub's answer about large files has no list of objects");
    if (status == SC_OK && json_array_size(rows) > MAX_OBJECTS) status = FAIL(err, SC_E_FORMAT, "the Hub's answer about large files has more than %d objects", MAX_OBJECTS);
    if (status == SC_OK) out->at = mem_zero(json_array_size(rows) + 1, sizeof *out->at);
    for (size_t i = 0; status == SC_OK && i < json_array_size(rows); i++) {
        row = json_array_get(rows, i);
        status = read_action(&out->at[out->n++], row, is_secure, err);
    }
    json_decref(root);
    if (status != SC_OK) lfs_batch_release(out);
    return status;
}

/* ---- what is remembered of a half sent one -------------------------------------------------------------------------------------------------- */

sc_status lfs_state_read(struct lfs_action *out, const char *text, size_t len, bool is_secure, sc_error *err)
{
    json_t *root = NULL;
    struct lfs_action a = { 0 };
    *out = a;
    TRY(json_read(&root, text, len, "what is remembered of an upload", err));
    const char *oid = text_at(root, "oid"), *href = text_at(root, "href"), *verify = text_at(root, "verify");
    const json_t *parts = json_object_get(root, "parts"), *etags = json_object_get(root, "etags");
    int64_t size = json_integer_value(json_object_get(root, "size")), bytes = json_integer_value(json_object_get(root, "part_bytes"));
    bool is_whole = oid && hex_is_valid(oid, 64) && is_address(href, is_secure) && size > 0 && bytes > 0 && bytes <= PART_BYTES_MAX && (!verify || is_address(verify, is_secure));
    if (is_whole) {
        snprintf(a.oid, sizeof a.oid, "%s", oid);
        a.size = (uint64_t)size;
        a.href = mem_strdup(href);
        a.verify = verify ? mem_strdup(verify) : NULL;
        is_whole = make_parts(&a, (uint64_t)bytes, json_array_size(parts)) && json_array_size(parts) == a.n_parts && json_array_size(etags) == a.n_parts;
    }
    for (size_t i = 0; is_whole && i < a.n_parts; i++) {
        const char *part = json_string_value(json_array_get(parts, i)), *etag = json_string_value(json_array_get(etags, i));
        is_whole = is_address(part, is_secure) && (!etag || is_plain(etag, 256));
        if (is_whole) a.part[i] = mem_strdup(part);
        if (is_whole && etag) a.etag[i] = mem_strdup(etag);
    }
    json_decref(root);
    if (is_whole) *out = a;
    else lfs_action_release(&a);
    return is_whole ? SC_OK : FAIL(err, SC_E_FORMAT, "what is remembered of an upload is damaged");
}

void lfs_state_write(sc_text *out, const struct lfs_action *a)
{
    json_t *parts = json_array(), *etags = json_array();
    for (size_t i = 0; i < a->n_parts; i++) {
        json_array_append_new(parts, json_string(a->part[i]));
        json_array_append_new(etags, a->etag[i] ? json_string(a->etag[i]) : json_null());
    }
    json_t *root = json_pack("{s:s, s:I, s:s, s:I, s:o, s:o}", "oid", a->oid, "size", (json_int_t)a->size, "href", a->href, "part_bytes", (json_int_t)a->part_bytes, "parts", parts, "etags", etags);
    if (a->verify) json_object_set_new(root, "verify", json_string(a->verify));
    *out = (sc_text){ 0 };
    (void)json_write(out, root, false);
    json_decref(root);
}
