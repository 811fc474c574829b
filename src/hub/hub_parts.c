/* hub_parts.c - one large file over several connections: parts of equal length, each asked for by its range and written
 * where it belongs. Behind the file's bytes stand a mark and, for each part, how many of its bytes are there; a counter
 * is written after its bytes, so a kill loses nothing and never counts what is not there. After a power failure a
 * counter may be ahead of the disk; the digest of the whole finds that. Source: RFC 9110 section 14. */
#include "hub/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PARTS_MARK 0x3154524150435355ull
#define PART_LEAST ((uint64_t)8 << 20)
enum { PARTS_MOST = 64, MAX_TRIES = 5 };

/* Rounded up to whole MiB, so that the length of parts follows from the size alone. */
static uint64_t part_bytes_of(uint64_t size)
{
    uint64_t even = (size / PARTS_MOST + ((1 << 20) - 1)) >> 20 << 20;
    return even > PART_LEAST ? even : PART_LEAST;
}

size_t parts_count(uint64_t size)
{
    if (size < 2 * PART_LEAST || size > INT64_MAX / 2) return 1;
    return (size_t)((size + part_bytes_of(size) - 1) / part_bytes_of(size));
}

static uint64_t part_length(uint64_t size, size_t part)
{
    uint64_t each = part_bytes_of(size), first = each * part;
    return size - first < each ? size - first : each;
}

bool parts_read(uint64_t *done, const void *data, size_t len, uint64_t size)
{
    uint64_t head[2];
    size_t n = parts_count(size);
    if (n < 2 || len != sizeof head + n * sizeof *done) return false;
    memcpy(head, data, sizeof head);
    memcpy(done, (const char *)data + sizeof head, n * sizeof *done);
    if (head[0] != PARTS_MARK || head[1] != part_bytes_of(size)) return false;
    for (size_t i = 0; i < n; i++) if (done[i] > part_length(size, i)) return false;
    return true;
}

static off_t counter_at(const struct parts *p, size_t part) { return (off_t)(p->file->size + (2 + part) * sizeof(uint64_t)); }

static bool write_at(int fd, const void *data, size_t len, off_t at)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(fd, (const char *)data + done, len - done, at + (off_t)done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

static bool set_counter(const struct parts *p, size_t part, uint64_t done) { return write_at(p->fd, &done, sizeof done, counter_at(p, part)); }

static bool get_counter(const struct parts *p, size_t part, uint64_t *done)
{
    return pread(p->fd, done, sizeof *done, counter_at(p, part)) == (ssize_t)sizeof *done && *done <= part_length(p->file->size, part);
}

/* Empties the file, or with `is_full` marks all of it as there. */
static sc_status reset(struct parts *p, bool is_full, sc_error *err)
{
    uint64_t head[2] = { PARTS_MARK, p->part_bytes };
    bool is_fine = (is_full || ftruncate(p->fd, 0) == 0) && ftruncate(p->fd, counter_at(p, p->n)) == 0;
    for (size_t i = 0; i < p->n && is_fine; i++) is_fine = set_counter(p, i, is_full ? part_length(p->file->size, i) : 0);
    if (is_fine && write_at(p->fd, head, sizeof head, (off_t)p->file->size)) return SC_OK;
    return FAIL(err, SC_E_IO, "cannot write the partial file of %s: %s", p->file->name, strerror(errno));
}

/* What an earlier run left: counters, or the whole content without them, when it was killed before the renaming. */
static sc_status take_over(struct parts *p, sc_error *err)
{
    struct stat st;
    uint64_t done[PARTS_MOST + 1], data[PARTS_MOST + 3];
    if (fstat(p->fd, &st) != 0 || !S_ISREG(st.st_mode)) return FAIL(err, SC_E_IO, "the partial file of %s is no regular file; remove it", p->file->name);
    if ((uint64_t)st.st_size == p->file->size) return reset(p, true, err);
    size_t len = sizeof(uint64_t) * (p->n + 2);
    bool is_ours = st.st_size == counter_at(p, p->n) && pread(p->fd, data, len, (off_t)p->file->size) == (ssize_t)len && parts_read(done, data, len, p->file->size);
    return is_ours ? SC_OK : reset(p, false, err);
}

sc_status parts_open(struct parts *p, int directory, struct hub_file *f, sc_error *err)
{
    struct buf name;
    *p = (struct parts){ .file = f, .directory = directory, .part_bytes = part_bytes_of(f->size), .n = parts_count(f->size) };
    buf_init(&name, 0);
    download_partial_name(&name, f);
    p->fd = openat(directory, name.data, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    sc_status status = p->fd < 0 ? FAIL(err, SC_E_IO, "cannot create %s: %s", name.data, strerror(errno)) : take_over(p, err);
    if (status == SC_OK) status = space_check(p->fd, f->size - parts_done(p), err);
    buf_release(&name);
    if (status != SC_OK) parts_close(p);
    return status;
}

void parts_close(struct parts *p)
{
    if (p->fd >= 0) close(p->fd);
    p->fd = -1;
}

uint64_t parts_done(const struct parts *p)
{
    uint64_t sum = 0, done;
    for (size_t i = 0; i < p->n; i++) if (get_counter(p, i, &done)) sum += done;
    return sum;
}

/* ---- one part ---------------------------------------------------------------------------------------------------------------- */

struct part {
    struct parts *parts;
    struct http *http;
    size_t index;
    uint64_t first, bytes, done;
    bool has_reply;
};

/* A reply that is not the range asked for: 200 means that the server knows no ranges. */
static sc_status check_reply(struct part *t, const struct http_reply *r, sc_error *err)
{
    uint64_t first = 0, total = SIZE_UNKNOWN;
    const char *range = r->header[HTTP_CONTENT_RANGE], *encoding = r->header[HTTP_CONTENT_ENCODING];
    t->has_reply = true;
    bool is_encoded = encoding && strcmp(encoding, "identity") != 0;
    if (r->status == 206 && !is_encoded && range && header_content_range(range, &first, &total) && first == t->first + t->done && (total == SIZE_UNKNOWN || total == t->parts->file->size)) return SC_OK;
    atomic_store(&t->parts->is_whole, true);
    return FAIL(err, SC_E_CANCELLED, "%s: the server sends no ranges", t->parts->file->name);
}

static sc_status on_data(void *user, const struct http_reply *r, const void *data, size_t len, sc_error *err)
{
    struct part *t = user;
    if (atomic_load(&t->parts->is_whole)) return FAIL(err, SC_E_CANCELLED, "%s: the server sends no ranges", t->parts->file->name);
    if (!t->has_reply) TRY(check_reply(t, r, err));
    if (len > t->bytes - t->done) return FAIL(err, SC_E_FORMAT, "%s: the server sends more than the part that was asked for", t->parts->file->name);
    if (!write_at(t->parts->fd, data, len, (off_t)(t->first + t->done)) || !set_counter(t->parts, t->index, t->done + len))
        return FAIL(err, SC_E_IO, "cannot write the partial file of %s: %s", t->parts->file->name, strerror(errno));
    t->done += len;
    if (t->http->transfer) transfer_add(t->http->transfer, t->http, t->parts->file->name, (int64_t)len);
    return SC_OK;
}

/* One request for the rest of the part; *is_final: trying again is no use. */
static sc_status fetch_rest(struct part *t, struct http_reply *r, bool *is_final, sc_error *err)
{
    struct http_request q = { .url = t->parts->file->url, .range_from = t->first + t->done, .range_to = t->first + t->bytes - 1, .sink = on_data, .user = t };
    t->has_reply = false;
    sc_status status = http_once(t->http, &q, r, err);
    *is_final = status != SC_OK && (r->transport == CURLE_WRITE_ERROR || r->transport == CURLE_OK || !http_is_passing(t->http, r));
    if (status != SC_OK) return status;
    *is_final = !http_is_passing(t->http, r) && r->status / 100 != 2;
    if (r->status / 100 != 2) return http_refusal(t->http, r, t->parts->file->name, err);
    if (!t->has_reply) return FAIL(err, SC_E_IO, "%s: an empty answer for a part of it", t->parts->file->name);
    if (t->done < t->bytes) return FAIL(err, SC_E_IO, "%s: part %zu ended after %llu bytes, expected %llu", t->parts->file->name, t->index, (unsigned long long)t->done, (unsigned long long)t->bytes);
    return SC_OK;
}

sc_status parts_fetch(struct parts *p, size_t part, struct http *h, sc_error *err)
{
    struct part t = { .parts = p, .http = h, .index = part, .first = p->part_bytes * part, .bytes = part_length(p->file->size, part) };
    struct http_reply reply = { 0 };
    sc_status status = get_counter(p, part, &t.done) ? SC_OK : FAIL(err, SC_E_IO, "cannot read the partial file of %s", p->file->name);
    uint64_t furthest = t.done;
    for (int tries = 0; status == SC_OK && t.done < t.bytes && !atomic_load(&p->is_whole);) {
        bool is_final;
        status = fetch_rest(&t, &reply, &is_final, err);
        if (status == SC_OK || atomic_load(&p->is_whole)) continue;
        tries = t.done > furthest ? 0 : tries + 1;
        furthest = t.done;
        if (is_final || tries == MAX_TRIES) break;
        status = http_wait(h, &reply, tries, err);
    }
    http_reply_release(&reply);
    return atomic_load(&p->is_whole) ? SC_OK : status;
}

/* ---- the whole ----------------------------------------------------------------------------------------------------------------- */

static sc_status fetch_whole(struct parts *p, struct http *h, const char *name, sc_error *err)
{
    if (h->transfer) transfer_add(h->transfer, h, p->file->name, -(int64_t)parts_done(p));
    parts_close(p);
    if (unlinkat(p->directory, name, 0) != 0) return FAIL(err, SC_E_IO, "cannot remove %s: %s", name, strerror(errno));
    return download_file(h, p->directory, p->file, err);
}

/* All parts from the beginning, one after the other. */
static sc_status fetch_again(struct parts *p, struct http *h, sc_error *err)
{
    http_note(h, "%s arrived damaged; fetching it once more", p->file->name);
    if (h->transfer) transfer_add(h->transfer, h, p->file->name, -(int64_t)p->file->size);
    TRY(reset(p, false, err));
    for (size_t i = 0; i < p->n; i++) TRY(parts_fetch(p, i, h, err));
    return SC_OK;
}

static sc_status check_and_rename(struct parts *p, struct http *h, const char *name, sc_error *err)
{
    struct hub_file *f = p->file;
    char sha256[65], git[41];
    for (int round = 0;; round++) {
        TRY(digest_file(p->fd, f->size, sha256, f->git_sha1[0] ? git : NULL, err));
        sc_status status = download_compare(f, sha256, git, err);
        if (status == SC_OK) break;
        if (round == 1) {
            (void)unlinkat(p->directory, name, 0);
            return status;
        }
        TRY(fetch_again(p, h, err));
        if (atomic_load(&p->is_whole)) return fetch_whole(p, h, name, err);
    }
    memcpy(f->sha256, sha256, sizeof sha256);
    if (ftruncate(p->fd, (off_t)f->size) != 0 || fsync(p->fd) != 0) return FAIL(err, SC_E_IO, "cannot write %s to disk: %s", f->name, strerror(errno));
    if (renameat(p->directory, name, p->directory, download_name(f)) != 0) return FAIL(err, SC_E_IO, "cannot give %s its name: %s", f->name, strerror(errno));
    return SC_OK;
}

sc_status parts_finish(struct parts *p, struct http *h, sc_error *err)
{
    struct buf name;
    buf_init(&name, 0);
    download_partial_name(&name, p->file);
    sc_status status = atomic_load(&p->is_whole) ? fetch_whole(p, h, name.data, err) : check_and_rename(p, h, name.data, err);
    buf_release(&name);
    return status;
}
