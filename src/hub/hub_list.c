/* hub_list.c - what a repository holds: one request pins the commit that a branch, tag or pull request means, then the
 * commit's tree is listed page by page. The list is the Hub's word about strangers' files: a path that could leave its
 * folder is left out, a path twice or a page without end refuses the whole.
 * Source: huggingface_hub hf_api (repo_info, list_repo_tree), utils/_pagination, _tree_cache; RFC 8288. */
#include "hub/hub.h"

#include <string.h>

enum { INFO_MAX = 32 << 20, PAGE_MAX = 32 << 20, MAX_FILES = 100000, MAX_PAGES = 5000 };

void tree_entry_facts(struct hub_file *f, const json_t *size, const char *sha256, const char *git_sha1)
{
    if (json_is_integer(size) && json_integer_value(size) >= 0) f->size = (uint64_t)json_integer_value(size);
    if (sha256) {
        if (hex_is_valid(sha256, 64)) memcpy(f->sha256, sha256, 65);
    } else if (git_sha1 && hex_is_valid(git_sha1, 40)) memcpy(f->git_sha1, git_sha1, 41);
}

/* What huggingface_hub remembers of a file. */
static json_t *remember(const struct hub_file *f, const char *oid, const json_t *lfs, const char *xet)
{
    json_t *entry = json_pack("{s:I, s:s}", "size", (json_int_t)f->size, "blob_id", oid);
    if (f->sha256[0]) {
        json_object_set_new(entry, "lfs_sha256", json_string(f->sha256));
        json_object_set(entry, "lfs_size", json_object_get(lfs, "size"));
    }
    if (xet && hex_is_valid(xet, 64)) json_object_set_new(entry, "xet_hash", json_string(xet));
    return entry;
}

static sc_status read_entry(struct pull_plan *out, const json_t *entry, const char *base_url, sc_error *err)
{
    const json_t *path = json_object_get(entry, "path"), *lfs = json_object_get(entry, "lfs"), *size = json_object_get(entry, "size");
    const char *type = json_string_value(json_object_get(entry, "type")), *oid = json_string_value(json_object_get(entry, "oid"));
    size_t len = json_string_length(path);
    sc_error why;
    if (!type || !json_is_string(path)) return FAIL(err, SC_E_FORMAT, "the Hub's list of files has an entry without \"type\" and \"path\"");
    if (strcmp(type, "file") != 0) return SC_OK;
    if (repo_path_check(json_string_value(path), len, &why) != SC_OK) {
        if (!out->left_out) out->left_out = mem_strdup(why.message);
        return SC_OK;
    }
    if (json_object_get(out->listing, json_string_value(path))) return FAIL(err, SC_E_FORMAT, "the Hub's list of files names %s twice", json_string_value(path));
    if (out->n_files == MAX_FILES) return FAIL(err, SC_E_UNSUPPORTED, "the repository has more than %d files, more than are listed here", MAX_FILES);
    struct hub_file *f = plan_add(out, json_string_value(path), len);
    struct buf url;
    f->path = mem_strdup(f->name);
    buf_init(&url, 0);
    buf_printf(&url, "%s/resolve/%s/", base_url, out->revision);
    url_escape(&url, f->name, len, true);
    f->url = url.data;
    const char *sha256 = json_is_object(lfs) ? json_string_value(json_object_get(lfs, "oid")) : NULL;
    if (json_is_integer(json_object_get(lfs, "size"))) size = json_object_get(lfs, "size");
    tree_entry_facts(f, size, json_is_object(lfs) && !sha256 ? "" : sha256, oid);
    bool is_known = f->size != SIZE_UNKNOWN && oid && hex_is_valid(oid, 40);
    json_object_set_new_nocheck(out->listing, f->name, is_known ? remember(f, oid, lfs, json_string_value(json_object_get(entry, "xetHash"))) : json_null());
    return SC_OK;
}

sc_status tree_page_read(struct pull_plan *out, const char *text, size_t len, const char *base_url, sc_error *err)
{
    json_t *page = NULL;
    size_t i;
    const json_t *entry;
    if (!out->listing) out->listing = json_object();
    TRY(json_read(&page, text, len, "the Hub's list of files", err));
    sc_status status = json_is_array(page) ? SC_OK : FAIL(err, SC_E_FORMAT, "the Hub's list of files is no array");
    out->n_entries += json_array_size(page);
    json_array_foreach(page, i, entry) if (status == SC_OK) status = read_entry(out, entry, base_url, err);
    json_decref(page);
    return status;
}

/* ---- requests ---------------------------------------------------------------------------------------------------------------- */

static sc_status get_json(struct http *h, const char *url, size_t max, struct http_reply *r, const char *what, sc_error *err)
{
    struct http_request q = { .url = url, .accept = "application/json", .max_body = max };
    TRY(http_fetch(h, &q, r, err));
    return r->status == 200 ? SC_OK : http_refusal(h, r, what, err);
}

/* The full commit of a revision; a full commit is its own. */
static sc_status pin_commit(struct pull_plan *out, struct http *h, const char *api, const char *revision, const char *what, sc_error *err)
{
    struct http_reply reply = { 0 };
    struct buf url;
    json_t *info = NULL;
    if (hex_is_valid(revision, 40)) {
        out->revision = mem_strdup(revision);
        return SC_OK;
    }
    buf_init(&url, 0);
    buf_printf(&url, "%s/revision/", api);
    url_escape(&url, revision, strlen(revision), false);
    sc_status status = get_json(h, url.data, INFO_MAX, &reply, what, err);
    if (status == SC_OK) status = json_read(&info, reply.body.data ? reply.body.data : "", reply.body.len, "the Hub's answer about the repository", err);
    const char *commit = json_string_value(json_object_get(info, "sha"));
    if (status == SC_OK && (!commit || !hex_is_valid(commit, 40))) status = FAIL(err, SC_E_FORMAT, "the Hub's answer about %s names no commit (\"sha\" of 40 hex digits)", what);
    if (status == SC_OK) out->revision = mem_strdup(commit);
    json_decref(info);
    http_reply_release(&reply);
    buf_release(&url);
    return status;
}

/* The address of the next page into *url, NULL after the last; it must be the Hub's own. */
static sc_status next_page(char **url, const struct http_reply *r, const char *what, sc_error *err)
{
    char *link = r->header[HTTP_LINK] ? header_link_next(r->header[HTTP_LINK]) : NULL;
    char *next = link ? url_join(r->url, link) : NULL, *here = url_origin(r->url), *there = next ? url_origin(next) : NULL;
    sc_status status = SC_OK;
    mem_free(*url);
    *url = next;
    if (link && (!there || !here || strcmp(here, there) != 0)) status = FAIL(err, SC_E_FORMAT, "%s: the list of files goes on at another server, or at no address; refused", what);
    mem_free(link);
    mem_free(here);
    mem_free(there);
    return status;
}

static sc_status fetch_pages(struct pull_plan *out, struct http *h, const char *api, const char *base_url, const char *what, sc_error *err)
{
    struct buf first;
    buf_init(&first, 0);
    buf_printf(&first, "%s/tree/%s?recursive=true&expand=false", api, out->revision);
    char *url = first.data;
    sc_status status = SC_OK;
    for (int page = 0; url && status == SC_OK; page++) {
        struct http_reply reply = { 0 };
        size_t before = out->n_entries;
        char *asked = mem_strdup(url);
        status = page < MAX_PAGES ? get_json(h, url, PAGE_MAX, &reply, what, err) : FAIL(err, SC_E_FORMAT, "%s: the list of files does not end after %d pages", what, MAX_PAGES);
        if (status == SC_OK) status = tree_page_read(out, reply.body.data ? reply.body.data : "", reply.body.len, base_url, err);
        if (status == SC_OK) status = next_page(&url, &reply, what, err);
        if (status == SC_OK && url && (out->n_entries == before || strcmp(asked, url) == 0))
            status = FAIL(err, SC_E_FORMAT, "%s: a page of the list of files is empty or the page before, and yet not the last; refused", what);
        mem_free(asked);
        http_reply_release(&reply);
    }
    mem_free(url);
    return status;
}

sc_status hub_list(struct pull_plan *out, struct http *h, const char *endpoint, const struct model_source *s, const char *what, sc_error *err)
{
    struct buf api, base;
    buf_init(&api, 0);
    buf_init(&base, 0);
    buf_printf(&api, "%s/api/%s/%s", endpoint, s->is_dataset ? "datasets" : "models", s->repo);
    buf_printf(&base, "%s/%s%s", endpoint, s->is_dataset ? "datasets/" : "", s->repo);
    sc_status status = pin_commit(out, h, api.data, s->revision, what, err);
    if (status == SC_OK) status = fetch_pages(out, h, api.data, base.data, what, err);
    buf_release(&api);
    buf_release(&base);
    return status;
}
