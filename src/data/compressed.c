/* compressed.c - the bytes of a file, unpacked while they are read: gzip with any number of members (RFC 1952) and
 * Zstandard with any number of frames (RFC 8878), known by their first bytes and not by the name. The hash of what is
 * stored is taken on the way, so that no file is read twice. */
#include "reader_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { STORED_BLOCK = 1 << 18, WINDOW_LOG_MAX = 27 };    /* zstd frames that need more than 128 MiB to unpack are refused */

struct byte_source {
    int fd;
    enum packing_kind kind;
    uint8_t block[STORED_BLOCK];
    size_t at, len;                    /* of block: bytes not yet unpacked */
    bool is_end;                       /* of the file */
    bool is_inside;                    /* a member or frame has begun and not ended */
    bool is_broken, is_hashed;
    uint64_t stored;
    struct sha256 hash;
    z_stream gzip;
    ZSTD_DStream *zstd;
};

static sc_status block_fill(struct byte_source *s, sc_error *err)
{
    if (s->at < s->len || s->is_end) return SC_OK;
    ssize_t n;
    do n = read(s->fd, s->block, sizeof s->block); while (n < 0 && errno == EINTR);
    if (n < 0) return FAIL(err, SC_E_IO, "cannot be read: %s", strerror(errno));
    s->at = 0;
    s->len = (size_t)n;
    s->is_end = n == 0;
    s->stored += (uint64_t)n;
    sha256_add(&s->hash, s->block, s->len);
    return SC_OK;
}

static sc_status unpacker_open(struct byte_source *s, sc_error *err)
{
    static const uint8_t gzip[] = { 0x1F, 0x8B }, zstd[] = { 0x28, 0xB5, 0x2F, 0xFD };
    if (s->len >= sizeof gzip && memcmp(s->block, gzip, sizeof gzip) == 0) s->kind = PACKED_GZIP;
    if (s->len >= sizeof zstd && memcmp(s->block, zstd, sizeof zstd) == 0) s->kind = PACKED_ZSTD;
    if (s->len >= 4 && (s->block[0] & 0xF0) == 0x50 && memcmp(s->block + 1, "\x2A\x4D\x18", 3) == 0) s->kind = PACKED_ZSTD;   /* a skippable frame */
    if (s->kind == PACKED_GZIP && inflateInit2(&s->gzip, 15 + 16) != Z_OK) return FAIL(err, SC_E_MEMORY, "zlib cannot begin to unpack");
    if (s->kind == PACKED_ZSTD && !(s->zstd = ZSTD_createDStream())) return FAIL(err, SC_E_MEMORY, "zstd cannot begin to unpack");
    if (s->zstd) (void)ZSTD_DCtx_setParameter(s->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    return SC_OK;
}

sc_status byte_source_open(struct byte_source **out, const char *path, sc_error *err)
{
    struct stat st;
    struct byte_source *s = mem_zero(1, sizeof *s);
    sc_status status = SC_OK;
    *out = NULL;
    sha256_begin(&s->hash);
    s->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0) status = FAIL(err, SC_E_IO, "cannot be opened: %s", strerror(errno));
    else if (fstat(s->fd, &st) == 0 && S_ISDIR(st.st_mode)) status = FAIL(err, SC_E_IO, "is a directory, expected a file");
    if (status == SC_OK) status = block_fill(s, err);
    if (status == SC_OK) status = unpacker_open(s, err);
    if (status == SC_OK) *out = s;
    else byte_source_close(s);
    return status;
}

void byte_source_close(struct byte_source *s)
{
    char unused[65];
    if (!s) return;
    if (s->fd >= 0) close(s->fd);
    if (s->kind == PACKED_GZIP) inflateEnd(&s->gzip);
    ZSTD_freeDStream(s->zstd);
    if (!s->is_hashed) sha256_end(&s->hash, unused);
    mem_free(s);
}

static sc_status broken(struct byte_source *s, const char *what, const char *why, sc_error *err)
{
    s->is_broken = true;
    if (s->is_end) return FAIL(err, SC_E_FORMAT, "the %s data ends in the middle, at byte %llu: the file is cut off", what, (unsigned long long)s->stored);
    return FAIL(err, SC_E_FORMAT, "the %s data is damaged before byte %llu of the file: %s", what, (unsigned long long)(s->stored - s->len + s->at), why);
}

/* Zero bytes behind the last member are padding (RFC 1952 knows none, but tar and tapes write it). */
static bool is_padding(const struct byte_source *s)
{
    for (size_t i = s->at; i < s->len; i++) if (s->block[i]) return false;
    return true;
}

static sc_status gzip_step(struct byte_source *s, uint8_t *out, size_t cap, size_t *n, sc_error *err)
{
    if (!s->is_inside && s->stored > s->len && is_padding(s)) { s->at = s->len; return SC_OK; }
    s->is_inside = true;
    s->gzip.next_in = s->block + s->at;
    s->gzip.avail_in = (uInt)(s->len - s->at);
    s->gzip.next_out = out;
    s->gzip.avail_out = (uInt)cap;
    int code = inflate(&s->gzip, Z_NO_FLUSH);
    s->at = s->len - s->gzip.avail_in;
    *n = cap - s->gzip.avail_out;
    if (code == Z_STREAM_END) {
        s->is_inside = false;
        if (s->at < s->len && is_padding(s)) s->at = s->len;
        return inflateReset(&s->gzip) == Z_OK ? SC_OK : FAIL(err, SC_E_MEMORY, "zlib cannot begin again");
    }
    if (code == Z_OK || (code == Z_BUF_ERROR && !s->is_end)) return SC_OK;
    return broken(s, "gzip", s->gzip.msg ? s->gzip.msg : "no reason given", err);
}

static sc_status zstd_step(struct byte_source *s, uint8_t *out, size_t cap, size_t *n, sc_error *err)
{
    ZSTD_inBuffer in = { s->block, s->len, s->at };
    ZSTD_outBuffer to = { out, cap, 0 };
    size_t code = ZSTD_decompressStream(s->zstd, &to, &in);
    s->at = in.pos;
    *n = to.pos;
    if (ZSTD_isError(code)) return broken(s, "zstd", ZSTD_getErrorName(code), err);
    if (s->is_end && !to.pos && code) return broken(s, "zstd", "", err);
    s->is_inside = code != 0;
    return SC_OK;
}

sc_status byte_source_read(struct byte_source *s, void *out, size_t cap, size_t *n, sc_error *err)
{
    *n = 0;
    cap = cap < (1u << 30) ? cap : 1u << 30;
    while (!s->is_broken && !*n) {
        TRY(block_fill(s, err));
        if (s->is_end && (s->kind == PACKED_NOT || !s->is_inside)) return SC_OK;
        if (s->kind == PACKED_GZIP) TRY(gzip_step(s, out, cap, n, err));
        else if (s->kind == PACKED_ZSTD) TRY(zstd_step(s, out, cap, n, err));
        else {
            *n = s->len - s->at < cap ? s->len - s->at : cap;
            memcpy(out, s->block + s->at, *n);
            s->at += *n;
        }
    }
    return SC_OK;
}

enum packing_kind byte_source_packing(const struct byte_source *s) { return s->kind; }
uint64_t byte_source_stored(const struct byte_source *s) { return s->stored - (s->len - s->at); }

sc_status byte_source_finish(struct byte_source *s, char sha256[65], sc_error *err)
{
    while (!s->is_end) {
        s->at = s->len;
        TRY(block_fill(s, err));
    }
    sha256_end(&s->hash, sha256);
    s->is_hashed = true;
    return SC_OK;
}
