/* compressed.c - a file as a stream of bytes: as it is, gzip (RFC 1952, also several members) or zstd (RFC 8878),
 * recognised by its first bytes; its SHA-256 is taken on the way. */
#include "data/reader_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { IN_BYTES = 256 << 10 };
enum packed { PLAIN, GZIP, ZSTD };

struct stream {
    char *path; int fd; enum packed kind;
    uint64_t size, done; struct sha256 hash; bool is_hashing;
    char *in; size_t in_len, in_at; bool at_end;
    z_stream z; bool z_open, z_member_ended;
    ZSTD_DStream *zstd; bool zstd_frame_ended;
};

static sc_status fill(struct stream *s, sc_error *err)
{
    if (s->at_end || s->in_at < s->in_len) return SC_OK;
    ssize_t n;
    do n = read(s->fd, s->in, IN_BYTES); while (n < 0 && errno == EINTR);
    if (n < 0) return FAIL(err, SC_E_IO, "cannot read %s: %s", s->path, strerror(errno));
    s->in_at = 0;
    s->in_len = (size_t)n;
    s->at_end = n == 0;
    s->done += (uint64_t)n;
    sha256_add(&s->hash, s->in, (size_t)n);
    return SC_OK;
}

static enum packed recognise(const struct stream *s)
{
    const unsigned char *p = (const unsigned char *)s->in;
    if (s->in_len >= 3 && p[0] == 0x1F && p[1] == 0x8B && p[2] == 8) return GZIP;
    if (s->in_len >= 4 && p[0] == 0x28 && p[1] == 0xB5 && p[2] == 0x2F && p[3] == 0xFD) return ZSTD;
    return PLAIN;
}

sc_status stream_open(struct stream **out, const char *path, sc_error *err)
{
    struct stat st;
    struct stream *s = mem_zero(1, sizeof *s);
    sc_status status = SC_OK;
    *out = NULL;
    s->path = mem_strdup(path);
    s->in = mem_alloc(IN_BYTES);
    sha256_begin(&s->hash);
    s->is_hashing = true;
    s->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0 || fstat(s->fd, &st) != 0) { status = FAIL(err, SC_E_IO, "cannot open %s: %s", path, strerror(errno)); goto done; }
    s->size = (uint64_t)st.st_size;
    TRY_DONE(fill(s, err));
    s->kind = recognise(s);
    if (s->kind == GZIP) s->z_open = inflateInit2(&s->z, 15 + 16) == Z_OK;
    if (s->kind == ZSTD) s->zstd = ZSTD_createDStream();
    *out = s;
    return SC_OK;
done:
    stream_close(s);
    return status;
}

static sc_status ends_early(const struct stream *s, const char *kind, sc_error *err)
{
    return FAIL(err, SC_E_FORMAT, "%s: the %s data is damaged or ends early, at byte %llu of %llu", s->path, kind, (unsigned long long)s->done - (s->in_len - s->in_at), (unsigned long long)s->size);
}

static sc_status read_gzip(struct stream *s, char *out, size_t cap, size_t *got, sc_error *err)
{
    s->z.next_out = (Bytef *)out;
    s->z.avail_out = (uInt)cap;
    while (s->z.avail_out == cap) {
        TRY(fill(s, err));
        if (s->at_end) return s->z_member_ended ? SC_OK : ends_early(s, "gzip", err);
        if (s->z_member_ended) { inflateReset(&s->z); s->z_member_ended = false; }
        s->z.next_in = (Bytef *)(s->in + s->in_at);
        s->z.avail_in = (uInt)(s->in_len - s->in_at);
        int code = inflate(&s->z, Z_NO_FLUSH);
        s->in_at = s->in_len - s->z.avail_in;
        if (code == Z_STREAM_END) s->z_member_ended = true;
        else if (code != Z_OK && code != Z_BUF_ERROR) return ends_early(s, "gzip", err);
    }
    *got = cap - s->z.avail_out;
    return SC_OK;
}

static sc_status read_zstd(struct stream *s, char *out, size_t cap, size_t *got, sc_error *err)
{
    ZSTD_outBuffer to = { out, cap, 0 };
    while (to.pos == 0) {
        TRY(fill(s, err));
        if (s->at_end) return s->zstd_frame_ended ? SC_OK : ends_early(s, "zstd", err);
        ZSTD_inBuffer from = { s->in + s->in_at, s->in_len - s->in_at, 0 };
        size_t code = ZSTD_decompressStream(s->zstd, &to, &from);
        s->in_at += from.pos;
        if (ZSTD_isError(code)) return ends_early(s, "zstd", err);
        s->zstd_frame_ended = code == 0;
    }
    *got = to.pos;
    return SC_OK;
}

sc_status stream_read(struct stream *s, char *out, size_t cap, size_t *got, sc_error *err)
{
    *got = 0;
    if (s->kind == GZIP) return s->z_open ? read_gzip(s, out, cap, got, err) : FAIL(err, SC_E_MEMORY, "no memory to read %s", s->path);
    if (s->kind == ZSTD) return s->zstd ? read_zstd(s, out, cap, got, err) : FAIL(err, SC_E_MEMORY, "no memory to read %s", s->path);
    TRY(fill(s, err));
    *got = s->in_len - s->in_at < cap ? s->in_len - s->in_at : cap;
    memcpy(out, s->in + s->in_at, *got);
    s->in_at += *got;
    return SC_OK;
}

uint64_t stream_done(const struct stream *s) { return s->done; }
uint64_t stream_size(const struct stream *s) { return s->size; }

sc_status stream_finish(struct stream *s, char sha256[65], sc_error *err)
{
    while (!s->at_end) {
        s->in_at = s->in_len;
        TRY(fill(s, err));
    }
    sha256_end(&s->hash, sha256);
    s->is_hashing = false;
    return SC_OK;
}

void stream_close(struct stream *s)
{
    char unused[65];
    if (!s) return;
    if (s->fd >= 0) close(s->fd);
    if (s->z_open) inflateEnd(&s->z);
    ZSTD_freeDStream(s->zstd);
    if (s->is_hashing) sha256_end(&s->hash, unused);
    mem_free(s->in);
    mem_free(s->path);
    mem_free(s);
}
