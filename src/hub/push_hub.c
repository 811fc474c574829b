/* push_hub.c - the requests of a push but for large files: repository, branch, modes, commit. A commit names the head it was made
 * for, so that it cannot come to be twice: when its answer is lost, the branch has moved, and looking at it tells.
 * Source: huggingface_hub hf_api create_repo, create_branch, create_commit. */
#include "hub/push.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { MODES_AT_A_TIME = 256, REPLY_MAX = 64 << 20, ATTRIBUTES_MAX = 1 << 20 };
#define COMMIT_MAX ((size_t)1 << 30)

/* ---- names and addresses ------------------------------------------------------------------------------------------------------------ */

static void set_api(struct push *p)
{
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "%s/api/%s/%s", p->env.endpoint, p->is_dataset ? "datasets" : "models", p->repo);
    mem_free(p->api);
    p->api = b.data;
}

sc_status push_name(struct push *p, const char *repo, sc_error *err)
{
    char quoted[120];
    p->is_dataset = strncmp(repo, "datasets/", 9) == 0;
    const char *name = p->is_dataset ? repo + 9 : repo;
    struct buf owned;
    buf_init(&owned, 0);
    buf_printf(&owned, "me/%s", name);                    /* a name alone is of the token's owner */
    bool is_valid = repo_id_is_valid(strchr(name, '/') ? name : owned.data, strlen(name) + (strchr(name, '/') ? 0 : 3)) && !path_ends_with(name, ".git");
    buf_release(&owned);
    if (!is_valid)
        return FAIL(err, SC_E_ARGUMENT, "\"%s\" is no name of a repository, expected org/name or datasets/org/name with letters, digits, '-', '_' and '.', at most 96 of them", error_quote(quoted, sizeof quoted, repo, strlen(repo)));
    mem_free(p->repo);
    p->repo = mem_strdup(name);
    set_api(p);
    return SC_OK;
}

char *push_address(const struct push *p)
{
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "%s/%s%s", p->env.endpoint, p->is_dataset ? "datasets/" : "", p->repo);
    if (strcmp(p->branch, "main") != 0) {
        buf_puts(&b, "/tree/");
        url_escape(&b, p->branch, strlen(p->branch), true);
    }
    return b.data;
}

/* API/PART/BRANCH, and ?create_pr=1 for a pull request. mem_free it. */
static char *branch_address(const struct push *p, const char *part, bool for_change)
{
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "%s/%s/", p->api, part);
    url_escape(&b, p->branch, strlen(p->branch), false);
    if (for_change && p->config->pull_request) buf_puts(&b, "?create_pr=1");
    return b.data;
}

/* ---- refusals ------------------------------------------------------------------------------------------------------------------------- */

/* What the server says about it: a header, or "error" of a JSON body. Empty if nothing. */
static void what_it_says(char *out, size_t out_bytes, const struct http_reply *r)
{
    json_t *root = NULL;
    const char *said = r->header[HTTP_ERROR_MESSAGE];
    if (!said && r->body.len && json_read(&root, r->body.data, r->body.len, "", NULL) == SC_OK) said = json_string_value(json_object_get(root, "error"));
    error_quote(out, out_bytes, said ? said : "", said ? strlen(said) : 0);
    json_decref(root);
}

sc_status push_refusal(const struct push *p, const struct http_reply *r, const char *what, sc_error *err)
{
    char said[160], text[180] = "";
    char *host = url_host(r->url);
    const char *name = host ? host : "the Hub";
    sc_status status;
    what_it_says(said, sizeof said, r);
    if (*said) snprintf(text, sizeof text, "; it says: %s", said);
    if (r->status == 401)
        status = FAIL(err, SC_E_IO, "%s: %s does not know the token (answer 401); make one that may write at %s/settings/tokens and set HF_TOKEN to it%s", what, name, p->env.endpoint, text);
    else if (r->status == 403)
        status = FAIL(err, SC_E_IO, "%s: the token may not write to %s (answer 403 from %s); it needs the role \"write\", or a fine-grained one write access there%s", what, p->repo, name, text);
    else if (r->status == 404)
        status = FAIL(err, SC_E_IO, "%s: %s has no %s that this token may see (answer 404); check the name and the token%s", what, name, p->repo, text);
    else if (r->status == 412)
        status = FAIL(err, SC_E_PEER, "%s: others changed %s again and again meanwhile (answer 412); run the command again%s", what, p->repo, text);
    else if (r->status == 413)
        status = FAIL(err, SC_E_IO, "%s: %s finds it too large (answer 413); publish less at a time with --include%s", what, name, text);
    else if (r->status == 422 || r->status == 400)
        status = FAIL(err, SC_E_IO, "%s: %s does not accept it (answer %ld)%s", what, name, r->status, *text ? text : "; the metadata at the top of README.md are often the reason");
    else if (r->status == 429)
        status = FAIL(err, SC_E_PEER, "%s: %s asks for fewer requests (answer 429); wait some minutes and run the command again, which goes on where it stopped", what, name);
    else
        status = FAIL(err, r->status >= 500 ? SC_E_PEER : SC_E_IO, "%s: %s answers %ld; run the command again, which goes on where it stopped%s", what, name, r->status, text);
    mem_free(host);
    return status;
}

/* ---- requests ------------------------------------------------------------------------------------------------------------------------ */

/* Sends JSON (NULL: a GET); any answer is left in `r`. */
static sc_status ask(struct push *p, struct http_reply *r, const char *url, const json_t *value, sc_error *err)
{
    sc_text text = { 0 };
    if (value) TRY(json_write(&text, value, false));
    struct http_body body = { .method = "POST", .type = "application/json", .data = text.data, .len = text.len };
    const struct http_request q = { .url = url, .accept = "application/json", .max_body = REPLY_MAX, .body = value ? &body : NULL };
    sc_status status = http_fetch(&p->http, &q, r, err);
    sc_text_free(&text);
    return status;
}

static bool is_done(const struct http_reply *r) { return r->status / 100 == 2; }

static sc_status look(struct push *p, bool *exists, sc_error *err)
{
    struct http_reply r = { 0 };
    sc_status status = ask(p, &r, p->api, NULL, err);
    *exists = status == SC_OK && is_done(&r);
    http_reply_release(&r);
    return status;
}

/* 409: it is there. 403: a token for this one repository may not make any, but write to it. */
sc_status push_create(struct push *p, sc_error *err)
{
    struct http_reply r = { 0 };
    struct buf url;
    const char *slash = strchr(p->repo, '/');
    buf_init(&url, 0);
    buf_printf(&url, "%s/api/repos/create", p->env.endpoint);
    json_t *wish = json_pack("{s:s, s:s, s:b}", "name", slash ? slash + 1 : p->repo, "type", p->is_dataset ? "dataset" : "model", "private", !p->config->is_public);
    if (slash) json_object_set_new(wish, "organization", json_stringn(p->repo, (size_t)(slash - p->repo)));
    sc_status status = ask(p, &r, url.data, wish, err);
    bool exists = r.status == 409;
    if (status == SC_OK && r.status == 403 && slash) status = look(p, &exists, err);
    if (status == SC_OK && !is_done(&r) && !exists) status = push_refusal(p, &r, "the repository", err);
    char *name = status == SC_OK && !slash ? push_parse_created(r.body.data ? r.body.data : "", r.body.len, p->env.endpoint, p->is_dataset) : NULL;
    if (status == SC_OK && !slash && !name) status = FAIL(err, SC_E_FORMAT, "the Hub does not say whose repository %s is; give its name as org/%s", p->repo, p->repo);
    if (name) {
        mem_free(p->repo);
        p->repo = name;
        set_api(p);
    }
    if (status == SC_OK && is_done(&r)) http_note(&p->http, "made the %s %s %s", p->config->is_public ? "public" : "private", p->is_dataset ? "data set" : "repository", p->repo);
    json_decref(wish);
    buf_release(&url);
    http_reply_release(&r);
    return status;
}

static sc_status make_branch(struct push *p, sc_error *err)
{
    struct http_reply r = { 0 };
    json_t *wish = json_object();
    char *url = branch_address(p, "branch", false);
    sc_status status = ask(p, &r, url, wish, err);
    if (status == SC_OK && !is_done(&r) && r.status != 409) status = push_refusal(p, &r, "the branch", err);
    mem_free(url);
    json_decref(wish);
    http_reply_release(&r);
    return status;
}

sc_status push_read_head(struct push *p, sc_error *err)
{
    sc_status status = SC_OK;
    char *url = branch_address(p, "revision", false);
    push_head_release(&p->head);
    for (int tries = 0;; tries++) {
        struct http_reply r = { 0 };
        status = ask(p, &r, url, NULL, err);
        bool is_missing = status == SC_OK && r.status == 404 && r.header[HTTP_ERROR_CODE] && strcmp(r.header[HTTP_ERROR_CODE], "RevisionNotFound") == 0;
        bool makes = is_missing && tries == 0 && strcmp(p->branch, "main") != 0 && !p->config->pull_request;
        if (makes) status = make_branch(p, err);
        else if (status == SC_OK && !is_done(&r)) status = push_refusal(p, &r, "the branch", err);
        else if (status == SC_OK) status = push_parse_head(&p->head, r.body.data ? r.body.data : "", r.body.len, err);
        http_reply_release(&r);
        if (!makes || status != SC_OK) break;
    }
    mem_free(url);
    return status;
}

/* ---- what the Hub wants of each file ---------------------------------------------------------------------------------------------------- */

static json_t *question(const struct push *p, size_t first, size_t last, const struct buf *ignore)
{
    json_t *rows = json_array();
    for (size_t i = first; i < last; i++) {
        const struct push_file *f = &p->files.at[i];
        struct buf sample;
        buf_init(&sample, 0);
        base64_put(&sample, f->sample, f->sample_len);
        json_array_append_new(rows, json_pack("{s:s, s:s, s:I}", "path", f->path, "sample", sample.data ? sample.data : "", "size", (json_int_t)f->size));
        buf_release(&sample);
    }
    json_t *root = json_pack("{s:o}", "files", rows);
    if (ignore->len) json_object_set_new(root, "gitIgnore", json_stringn(ignore->data, ignore->len));
    return root;
}

sc_status push_ask_modes(struct push *p, sc_error *err)
{
    struct push_file *own = push_files_find(&p->files, ".gitignore");
    struct buf ignore = { 0 };
    sc_status status = own ? push_file_load(&ignore, own, err) : SC_OK;
    char *url = branch_address(p, "preupload", true);
    for (size_t first = 0; status == SC_OK && first < p->files.n; first += MODES_AT_A_TIME) {
        size_t last = first + MODES_AT_A_TIME < p->files.n ? first + MODES_AT_A_TIME : p->files.n;
        struct http_reply r = { 0 };
        json_t *wish = question(p, first, last, &ignore);
        status = ask(p, &r, url, wish, err);
        if (status == SC_OK && !is_done(&r)) status = push_refusal(p, &r, "the files", err);
        if (status == SC_OK) status = push_parse_modes(&p->files, first, last, r.body.data ? r.body.data : "", r.body.len, err);
        json_decref(wish);
        http_reply_release(&r);
    }
    mem_free(url);
    buf_release(&ignore);
    return status;
}

/* What is wrong with the metadata of README.md is said before the large files are sent, not by the commit behind them. Hubs that cannot
 * tell are not asked again. */
sc_status push_check_readme(struct push *p, sc_error *err)
{
    struct http_reply r = { 0 };
    struct buf text, url;
    char quoted[300];
    json_t *root = NULL;
    const struct push_file *f = push_files_find(&p->files, "README.md");
    if (!f || f->is_same || f->is_ignored || f->is_lfs) return SC_OK;
    TRY(push_file_load(&text, f, err));
    buf_init(&url, 0);
    buf_printf(&url, "%s/api/validate-yaml", p->env.endpoint);
    json_t *wish = json_pack("{s:s%, s:s}", "content", text.data ? text.data : "", text.len, "repoType", p->is_dataset ? "dataset" : "model");
    sc_status status = wish ? ask(p, &r, url.data, wish, err) : FAIL(err, SC_E_ARGUMENT, "README.md is no valid UTF-8");
    if (status == SC_OK && r.status == 400 && json_read(&root, r.body.data ? r.body.data : "", r.body.len, "", NULL) == SC_OK) {
        const char *said = json_string_value(json_object_get(json_array_get(json_object_get(root, "errors"), 0), "message"));
        if (said) status = FAIL(err, SC_E_ARGUMENT, "the Hub does not accept the metadata at the top of README.md: %s", error_quote(quoted, sizeof quoted, said, strlen(said)));
    }
    json_decref(root);
    json_decref(wish);
    buf_release(&text);
    buf_release(&url);
    http_reply_release(&r);
    return status;
}

sc_status push_remote_text(struct buf *out, struct push *p, const char *path, sc_error *err)
{
    struct http_reply r = { 0 };
    struct buf url;
    bool is_there = false;
    buf_init(out, 0);
    for (size_t i = 0; i < p->head.n; i++) is_there |= strcmp(p->head.path[i], path) == 0;
    if (!is_there) return SC_OK;
    buf_init(&url, 0);
    buf_printf(&url, "%s/%s%s/resolve/%s/", p->env.endpoint, p->is_dataset ? "datasets/" : "", p->repo, p->head.commit);
    url_escape(&url, path, strlen(path), true);
    const struct http_request q = { .url = url.data, .max_body = ATTRIBUTES_MAX };
    sc_status status = http_fetch(&p->http, &q, &r, err);
    if (status == SC_OK && !is_done(&r)) status = push_refusal(p, &r, path, err);
    if (status == SC_OK && r.body.len) buf_append(out, r.body.data, r.body.len);
    http_reply_release(&r);
    buf_release(&url);
    return status;
}

/* ---- the commit ------------------------------------------------------------------------------------------------------------------------- */

static void put_line(struct buf *b, json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);
    if (text) buf_puts(b, text);
    buf_putc(b, '\n');
    mem_free(text);
    json_decref(line);
}

static sc_status put_file(struct buf *b, const struct push_file *f, sc_error *err)
{
    if (f->is_lfs) {
        put_line(b, json_pack("{s:s, s:{s:s, s:s, s:s, s:I}}", "key", "lfsFile", "value", "path", f->path, "algo", "sha256", "oid", f->sha256, "size", (json_int_t)f->size));
        return SC_OK;
    }
    struct buf bytes;
    TRY(push_file_load(&bytes, f, err));
    buf_puts(b, "{\"key\":\"file\",\"value\":{\"content\":\"");
    base64_put(b, bytes.data ? bytes.data : "", bytes.len);
    buf_puts(b, "\",\"path\":");
    buf_put_json_string(b, f->path, strlen(f->path));
    buf_puts(b, ",\"encoding\":\"base64\"}}\n");
    buf_release(&bytes);
    return SC_OK;
}

static sc_status commit_text(struct buf *b, const struct push *p, char *const *remove, size_t n_remove, sc_error *err)
{
    put_line(b, json_pack("{s:s, s:{s:s, s:s, s:s}}", "key", "header", "value", "summary", p->config->message, "description", "", "parentCommit", p->head.commit));
    for (size_t i = 0; i < p->files.n; i++)
        if (!p->files.at[i].is_ignored && !p->files.at[i].is_same) TRY(put_file(b, &p->files.at[i], err));
    for (size_t i = 0; i < n_remove; i++) put_line(b, json_pack("{s:s, s:{s:s}}", "key", "deletedFile", "value", "path", remove[i]));
    if (b->is_full) return FAIL(err, SC_E_UNSUPPORTED, "the small files of this push have more than %zu bytes together; publish less at a time with --include", COMMIT_MAX);
    return SC_OK;
}

static sc_status refuse_lost(const struct push *p, sc_error *err)
{
    char *address = push_address(p);
    sc_status status = FAIL(err, SC_E_IO, "the answer was lost; a pull request may have been made: see %s/discussions, and run the command again if there is none", address);
    mem_free(address);
    return status;
}

static sc_status send_commit(struct push_commit *out, enum push_again *again, struct push *p, const struct buf *text, sc_error *err)
{
    struct http_reply r = { 0 };
    char *url = branch_address(p, "commit", true);
    struct http_body body = { .method = "POST", .type = "application/x-ndjson", .data = text->data, .len = text->len, .is_once = p->config->pull_request };
    const struct http_request q = { .url = url, .accept = "application/json", .max_body = REPLY_MAX, .body = &body };
    sc_status status = http_once(&p->http, &q, &r, err);
    bool is_passing = (status != SC_OK && r.transport != CURLE_OK && http_is_passing(&p->http, &r)) || (status == SC_OK && http_is_passing(&p->http, &r));
    /* A second pull request would not collide with the first, so only what surely did not arrive is sent again. */
    bool is_lost = is_passing && p->config->pull_request && r.status != 429 && r.transport != CURLE_COULDNT_CONNECT && r.transport != CURLE_COULDNT_RESOLVE_HOST;
    *again = is_lost ? AGAIN_NO : is_passing ? AGAIN_UNKNOWN : status == SC_OK && r.status == 412 ? AGAIN_MOVED : AGAIN_NO;
    if (status == SC_OK && is_done(&r)) status = push_parse_commit(out, r.body.data ? r.body.data : "", r.body.len, err);
    else if (status == SC_OK) status = push_refusal(p, &r, "the commit", err);
    if (is_lost) status = refuse_lost(p, err);
    else if (is_passing && http_wait(&p->http, &r, 1, err) != SC_OK) *again = AGAIN_NO;
    mem_free(url);
    http_reply_release(&r);
    return status;
}

sc_status push_commit(struct push_commit *out, enum push_again *again, struct push *p, char *const *remove, size_t n_remove, sc_error *err)
{
    struct buf text;
    *again = AGAIN_NO;
    *out = (struct push_commit){ 0 };
    buf_init(&text, COMMIT_MAX);
    sc_status status = commit_text(&text, p, remove, n_remove, err);
    if (status == SC_OK) status = send_commit(out, again, p, &text, err);
    buf_release(&text);
    return status;
}
