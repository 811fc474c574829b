/* hub_download.c - one file from an address to disk: NAME.incomplete grows, survives a kill, goes on where it ended,
 * and gets its name only when size and digests are right.
 * A server that answers a range request with the whole file (200), with another range, or with 416 makes the download
 * start over; so does content that arrives encoded. Where no digest is known a file is continued only while its ETag stays
 * the same and is a strong one. Tries are counted only while nothing new arrives.
 * Sources: RFC 9110 sections 8.8.3, 13.1.5 and 14; huggingface_hub http_get. */
#include "hub/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 20, MAX_TRIES = 5 };
#define EVENT_SECONDS 0.25

void note_event(sc_on_event on_event, void *user, const char *text)
{
    if (!on_event) return;
    struct buf b;
    buf_init(&b, 0);
    buf_puts(&b, "{\"event\":\"note\",\"text\":");
    buf_put_json_string(&b, text, strlen(text));
    buf_puts(&b, "}");
    on_event(user, b.data);
    buf_release(&b);
}

void progress_event(sc_on_event on_event, void *user, const char *file, uint64_t bytes, uint64_t total, double speed)
{
    if (!on_event) return;
    struct buf b;
    buf_init(&b, 0);
    buf_puts(&b, "{\"event\":\"pull\",\"file\":");
    buf_put_json_string(&b, file, strlen(file));
    buf_printf(&b, ",\"bytes\":%llu", (unsigned long long)bytes);
    if (total != SIZE_UNKNOWN) buf_printf(&b, ",\"total\":%llu", (unsigned long long)total);
    buf_printf(&b, ",\"speed\":%.0f}", speed);
    on_event(user, b.data);
    buf_release(&b);
}

void transfer_add(struct transfer *t, const struct http *h, const char *file, int64_t bytes)
{
    uint64_t sum = atomic_fetch_add(&t->bytes, (unsigned long long)bytes) + (uint64_t)bytes;
    uint64_t first = atomic_load(&t->first);
    double now = clock_seconds(), last = atomic_load(&t->last_event);
    if (bytes <= 0 || (now - last < EVENT_SECONDS && sum != t->total)) return;
    if (atomic_compare_exchange_strong(&t->last_event, &last, now))
        progress_event(h->on_event, h->user, file, sum, t->total, (double)(sum - (sum < first ? sum : first)) / (now - t->started + 1e-9));
}

void transfer_skip(struct transfer *t, uint64_t bytes)
{
    atomic_fetch_add(&t->first, bytes);
    atomic_fetch_add(&t->bytes, bytes);
}

sc_status space_check(int directory, uint64_t bytes, sc_error *err)
{
    struct statvfs fs;
    if (fstatvfs(directory, &fs) != 0) return SC_OK;   /* writing will tell */
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize, need = bytes + bytes / 20;
    if (room >= need) return SC_OK;
    return FAIL(err, SC_E_IO, "the disk of the store has %.2f GB free, %.2f GB are needed (with 5 %% to spare): make room, or set STARCHAT_HOME to another disk", (double)room / 1e9, (double)need / 1e9);
}

/* ---- digests ------------------------------------------------------------------------------------------------------------- */

/* Reads [0, size) of a file into both digests; either may be NULL. */
static sc_status digest_add(int fd, uint64_t size, struct sha256 *sha256, EVP_MD_CTX *sha1, sc_error *err)
{
    char *piece = mem_alloc(PIECE_BYTES);
    sc_status status = SC_OK;
    for (uint64_t at = 0; at < size;) {
        ssize_t n = pread(fd, piece, size - at < PIECE_BYTES ? (size_t)(size - at) : PIECE_BYTES, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            status = FAIL(err, SC_E_IO, "cannot read back what was downloaded: %s", n < 0 ? strerror(errno) : "the file became shorter");
            break;
        }
        if (sha256) sha256_add(sha256, piece, (size_t)n);
        if (sha1) EVP_DigestUpdate(sha1, piece, (size_t)n);
        at += (uint64_t)n;
    }
    mem_free(piece);
    return status;
}

static void sha1_end(EVP_MD_CTX *context, char hex[41])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_DigestFinal_ex(context, digest, &n);
    for (unsigned i = 0; i < 20; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

sc_status digest_file(int fd, uint64_t size, char sha256[65], char git_sha1[41], sc_error *err)
{
    struct sha256 sha;
    EVP_MD_CTX *blob = git_sha1 ? EVP_MD_CTX_new() : NULL;
    if (git_sha1 && (!blob || EVP_DigestInit_ex(blob, EVP_sha1(), NULL) != 1)) {
        EVP_MD_CTX_free(blob);
        return FAIL(err, SC_E_UNSUPPORTED, "libcrypto has no SHA-1 here");
    }
    if (blob) {
        char head[40];
        int n = snprintf(head, sizeof head, "blob %llu", (unsigned long long)size);
        EVP_DigestUpdate(blob, head, (size_t)n + 1);   /* with its NUL, as git hashes it */
    }
    sha256_begin(&sha);
    sc_status status = digest_add(fd, size, &sha, blob, err);
    sha256_end(&sha, sha256);
    if (blob) sha1_end(blob, git_sha1);
    EVP_MD_CTX_free(blob);
    return status;
}

/* ---- the bytes as they arrive ----------------------------------------------------------------------------------------- */

struct download {
    struct http *http;
    struct hub_file *file;
    int fd;
    uint64_t at;                 /* bytes on disk and in the digest                */
    uint64_t total;              /* SIZE_UNKNOWN until a reply tells               */
    struct sha256 sha;
    bool has_reply;              /* the present reply was looked at                */
    bool is_encoded;             /* its bytes cannot be continued                  */
    char *etag;                  /* of the version on disk; NULL: unknown          */
    double started, last_event;
    uint64_t started_at;
};

static sc_status start_over(struct download *d, sc_error *err)
{
    char unused[65];
    sha256_end(&d->sha, unused);
    sha256_begin(&d->sha);
    if (d->http->transfer) transfer_add(d->http->transfer, d->http, d->file->name, -(int64_t)d->at);
    d->at = d->started_at = 0;
    d->started = clock_seconds();
    if (ftruncate(d->fd, 0) != 0) return FAIL(err, SC_E_IO, "cannot cut %s.incomplete: %s", d->file->name, strerror(errno));
    return SC_OK;
}

/* Without a digest nothing but the ETag tells whether the rest belongs to the beginning. */
static bool goes_by_etag(const struct download *d) { return d->etag && !d->file->sha256[0] && !d->file->git_sha1[0]; }

static void keep_etag(struct download *d, const char *etag)
{
    char *copy = etag ? mem_strdup(etag) : NULL;
    mem_free(d->etag);
    d->etag = copy;
}

/* A part of the file: the one asked for, and of the version that is on disk. */
static sc_status look_at_part(struct download *d, const struct http_reply *r, uint64_t *total, sc_error *err)
{
    uint64_t first = 0;
    const char *range = r->header[HTTP_CONTENT_RANGE], *etag = r->header[HTTP_ETAG];
    if (!range || !header_content_range(range, &first, total) || first != d->at || d->is_encoded) {
        TRY(start_over(d, err));
        return FAIL(err, SC_E_FORMAT, "%s: the server sent another part of the file than was asked for", d->file->name);
    }
    if (!goes_by_etag(d) || !etag || strcmp(etag, d->etag) == 0) return SC_OK;
    TRY(start_over(d, err));
    return FAIL(err, SC_E_FORMAT, "%s changed on the server while it was being fetched", d->file->name);
}

static sc_status look_at_reply(struct download *d, const struct http_reply *r, sc_error *err)
{
    uint64_t total = SIZE_UNKNOWN;
    const char *length = r->header[HTTP_CONTENT_LENGTH], *encoding = r->header[HTTP_CONTENT_ENCODING];
    d->has_reply = true;
    d->is_encoded = encoding && strcmp(encoding, "identity") != 0;
    if (r->status == 206) {
        TRY(look_at_part(d, r, &total, err));
    } else {
        keep_etag(d, r->header[HTTP_ETAG]);
        if (d->at) TRY(start_over(d, err));
        if (length && !d->is_encoded) total = strtoull(length, NULL, 10);
    }
    if (total != SIZE_UNKNOWN && d->file->size != SIZE_UNKNOWN && total != d->file->size)
        return FAIL(err, SC_E_FORMAT, "%s: the server has %llu bytes of it, expected %llu", d->file->name, (unsigned long long)total, (unsigned long long)d->file->size);
    if (total != SIZE_UNKNOWN && d->file->size == SIZE_UNKNOWN) {
        d->total = total;
        return space_check(d->fd, total - (d->at < total ? d->at : total), err);
    }
    return SC_OK;
}

static sc_status on_data(void *user, const struct http_reply *r, const void *data, size_t len, sc_error *err)
{
    struct download *d = user;
    if (!d->has_reply) TRY(look_at_reply(d, r, err));
    if (d->file->size != SIZE_UNKNOWN && len > d->file->size - d->at)
        return FAIL(err, SC_E_FORMAT, "%s: the server sends more than the %llu bytes expected", d->file->name, (unsigned long long)d->file->size);
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(d->fd, (const char *)data + done, len - done, (off_t)(d->at + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return FAIL(err, SC_E_IO, "cannot write %s.incomplete: %s", d->file->name, strerror(errno));
        done += (size_t)n;
    }
    sha256_add(&d->sha, data, len);
    d->at += len;
    double now = clock_seconds();
    if (d->http->transfer) {
        transfer_add(d->http->transfer, d->http, d->file->name, (int64_t)len);
    } else if (now - d->last_event >= EVENT_SECONDS) {
        d->last_event = now;
        progress_event(d->http->on_event, d->http->user, d->file->name, d->at, d->total, (double)(d->at - d->started_at) / (now - d->started + 1e-9));
    }
    return SC_OK;
}

/* ---- tries --------------------------------------------------------------------------------------------------------------- */

enum outcome { OUTCOME_DONE, OUTCOME_AGAIN, OUTCOME_FAILED };

/* One request for what is missing. OUTCOME_FAILED and OUTCOME_AGAIN leave the reason in *err. */
static enum outcome fetch_rest(struct download *d, struct http_reply *r, sc_error *err)
{
    if (d->at && goes_by_etag(d) && etag_is_weak(d->etag) && start_over(d, err) != SC_OK) return OUTCOME_FAILED;
    struct http_request q = { .url = d->file->url, .range_from = d->at, .if_range = d->at && goes_by_etag(d) && etag_is_strong(d->etag) ? d->etag : NULL, .sink = on_data, .user = d };
    d->has_reply = false;
    d->is_encoded = false;
    sc_status status = http_once(d->http, &q, r, err);
    if (status != SC_OK) {
        /* A wrong range was answered by starting over; any other refusal of the bytes is final. */
        bool is_restart = r->transport == CURLE_WRITE_ERROR && d->at == 0 && r->status == 206;
        if (d->is_encoded && start_over(d, NULL) != SC_OK) return OUTCOME_FAILED;
        return is_restart || (r->transport != CURLE_WRITE_ERROR && r->transport != CURLE_OK && http_is_passing(d->http, r)) ? OUTCOME_AGAIN : OUTCOME_FAILED;
    }
    if (r->status == 416 && d->at > 0) {
        FAIL(err, SC_E_PEER, "%s: the server has no bytes after %llu", d->file->name, (unsigned long long)d->at);
        return start_over(d, err) == SC_OK ? OUTCOME_AGAIN : OUTCOME_FAILED;
    }
    if (r->status != 200 && r->status != 206) {
        (void)http_refusal(d->http, r, d->file->name, err);
        return http_is_passing(d->http, r) ? OUTCOME_AGAIN : OUTCOME_FAILED;
    }
    if (!d->has_reply && look_at_reply(d, r, err) != SC_OK) return OUTCOME_FAILED;   /* an empty body */
    uint64_t expected = d->file->size != SIZE_UNKNOWN ? d->file->size : d->total;
    if (expected == SIZE_UNKNOWN || d->at == expected) return OUTCOME_DONE;
    FAIL(err, SC_E_IO, "%s ended after %llu bytes, expected %llu", d->file->name, (unsigned long long)d->at, (unsigned long long)expected);
    return OUTCOME_AGAIN;
}

static sc_status fetch_all(struct download *d, sc_error *err)
{
    struct http_reply r = { 0 };
    uint64_t furthest = d->at;
    sc_status status = SC_OK;
    sc_error why = { 0 };
    for (int tries = 0; d->file->size == SIZE_UNKNOWN || d->at != d->file->size || d->at == 0;) {
        enum outcome outcome = fetch_rest(d, &r, &why);
        if (outcome == OUTCOME_DONE) break;
        tries = d->at > furthest ? 0 : tries + 1;
        if (d->at > furthest) furthest = d->at;
        if (outcome == OUTCOME_FAILED || tries == MAX_TRIES) {
            if (err) *err = why;
            status = why.status;
            break;
        }
        if ((status = http_wait(d->http, &r, tries, err)) != SC_OK) break;
    }
    http_reply_release(&r);
    return status;
}

sc_status download_compare(const struct hub_file *f, const char *sha256, const char *git_sha1, sc_error *err)
{
    if (f->sha256[0] && strcasecmp(f->sha256, sha256) != 0)
        return FAIL(err, SC_E_FORMAT, "%s arrived damaged: its SHA-256 is %s, expected %s", f->name, sha256, f->sha256);
    if (f->git_sha1[0] && strcasecmp(f->git_sha1, git_sha1) != 0)
        return FAIL(err, SC_E_FORMAT, "%s arrived damaged: its git digest is %s, expected %s", f->name, git_sha1, f->git_sha1);
    return SC_OK;
}

/* Compares with what the source declared; the git digest needs the length first, so it is taken from the disk. */
static sc_status check_digests(struct download *d, const char *sha256, sc_error *err)
{
    char again[65], git[41] = "";
    if (d->file->git_sha1[0]) TRY(digest_file(d->fd, d->at, again, git, err));
    return download_compare(d->file, sha256, git, err);
}

/* Everything up to right digests; wrong ones get a second chance from the first byte. */
static sc_status fetch_checked(struct download *d, sc_error *err)
{
    char found[65];
    for (int round = 0;; round++) {
        TRY(fetch_all(d, err));
        sha256_end(&d->sha, found);
        sha256_begin(&d->sha);
        sc_status status = check_digests(d, found, err);
        if (status == SC_OK) break;
        TRY(start_over(d, err));
        if (round == 1 || status != SC_E_FORMAT) return status;
        http_note(d->http, "%s arrived damaged; fetching it once more", d->file->name);
    }
    memcpy(d->file->sha256, found, sizeof found);
    d->file->size = d->at;
    return SC_OK;
}

/* Takes over what an earlier run left, if it can be a beginning of the file. */
static sc_status continue_old(struct download *d, sc_error *err)
{
    struct stat st;
    if (fstat(d->fd, &st) != 0 || !S_ISREG(st.st_mode)) return FAIL(err, SC_E_IO, "%s.incomplete in the store is no regular file; remove it", d->file->name);
    uint64_t size = (uint64_t)st.st_size;
    if (d->file->size != SIZE_UNKNOWN && size > d->file->size) return start_over(d, err);
    if (size == 0) return SC_OK;
    TRY(digest_add(d->fd, size, &d->sha, NULL, err));
    d->at = d->started_at = size;
    if (d->http->transfer) transfer_skip(d->http->transfer, size);
    http_note(d->http, "%s: going on after the %.1f MB already here", d->file->name, (double)size / 1e6);
    return SC_OK;
}

const char *download_name(const struct hub_file *f) { return f->blob[0] ? f->blob : f->name; }

/* The reference client's partial files of a blob are not ours to go on with, so theirs have other names. */
void download_partial_name(struct buf *out, const struct hub_file *f)
{
    buf_clear(out);
    buf_printf(out, f->blob[0] ? "%s.starchat.incomplete" : "%s.incomplete", download_name(f));
}

/* A file that an earlier run finished: true if it is still what is wanted. */
static bool is_finished(int directory, struct hub_file *f)
{
    int fd = openat(directory, download_name(f), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return false;
    struct stat st;
    char sha256[65], git[41];
    bool is_same = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (f->size == SIZE_UNKNOWN || f->size == (uint64_t)st.st_size)
                && digest_file(fd, (uint64_t)st.st_size, sha256, git, NULL) == SC_OK
                && (!f->sha256[0] || strcasecmp(f->sha256, sha256) == 0) && (!f->git_sha1[0] || strcasecmp(f->git_sha1, git) == 0);
    if (is_same) {
        f->size = (uint64_t)st.st_size;
        memcpy(f->sha256, sha256, sizeof sha256);
    }
    close(fd);
    return is_same;
}

sc_status download_file(struct http *h, int directory, struct hub_file *f, sc_error *err)
{
    TRY(file_name_check(f->name, strlen(f->name), err));
    if (is_finished(directory, f)) return SC_OK;
    struct buf partial;
    buf_init(&partial, 0);
    download_partial_name(&partial, f);
    struct download d = { .http = h, .file = f, .total = f->size, .etag = f->etag ? mem_strdup(f->etag) : NULL, .started = clock_seconds(), .last_event = clock_seconds() };
    d.fd = openat(directory, partial.data, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    sc_status status = SC_OK;
    sha256_begin(&d.sha);
    if (d.fd < 0) status = FAIL(err, SC_E_IO, "cannot create %s in the store: %s", partial.data, strerror(errno));
    if (status == SC_OK) status = continue_old(&d, err);
    if (status == SC_OK && f->size != SIZE_UNKNOWN) status = space_check(directory, f->size - d.at, err);
    if (status == SC_OK) status = fetch_checked(&d, err);
    if (status == SC_OK && fsync(d.fd) != 0) status = FAIL(err, SC_E_IO, "cannot write %s to disk: %s", f->name, strerror(errno));
    if (status == SC_OK && renameat(directory, partial.data, directory, download_name(f)) != 0)
        status = FAIL(err, SC_E_IO, "cannot give %s its name: %s", f->name, strerror(errno));
    if (status == SC_OK && !h->transfer) progress_event(h->on_event, h->user, f->name, f->size, f->size, (double)(f->size - d.started_at) / (clock_seconds() - d.started + 1e-9));
    char unused[65];
    sha256_end(&d.sha, unused);
    if (d.fd >= 0) close(d.fd);
    mem_free(d.etag);
    buf_release(&partial);
    return status;
}
