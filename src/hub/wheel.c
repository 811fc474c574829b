/* wheel.c - reads zip archives (a Python wheel is one) from memory: stored and deflated members, zip64, CRC-32.
 * Only what getting one member out needs. Nothing is believed: every offset is checked against the archive, the two
 * headers of a member must agree on its name, and inflating stops at the declared size, which is itself bounded by what
 * deflate can reach (about 1032 to 1). Source: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5.3; RFC 1951. */
#include "hub/hub.h"

#include <string.h>
#include <zlib.h>

enum {
    END_SIGNATURE = 0x06054b50, END_BYTES = 22, END64_SIGNATURE = 0x06064b50, END64_BYTES = 56, LOCATOR_SIGNATURE = 0x07064b50, LOCATOR_BYTES = 20,
    CENTRAL_SIGNATURE = 0x02014b50, CENTRAL_BYTES = 46, LOCAL_SIGNATURE = 0x04034b50, LOCAL_BYTES = 30,
    COMMENT_MAX = 65535, PIECE_BYTES = 16 * 1024, DEFLATE_RATIO = 1032
};

static uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static uint32_t get32(const uint8_t *p) { return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16; }
static uint64_t get64(const uint8_t *p) { return (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32; }

/* Where the central directory is. */
struct directory { uint64_t at, bytes, entries; };

/* The end record is the last thing in the archive but for its comment. */
static const uint8_t *find_end(const uint8_t *data, size_t bytes)
{
    if (bytes < END_BYTES) return NULL;
    size_t furthest = bytes - END_BYTES > COMMENT_MAX ? bytes - END_BYTES - COMMENT_MAX : 0;
    for (size_t at = bytes - END_BYTES + 1; at-- > furthest;)
        if (get32(data + at) == END_SIGNATURE && at + END_BYTES + get16(data + at + 20) == bytes) return data + at;
    return NULL;
}

/* Replaces the 32-bit numbers by those of the zip64 end record. */
static sc_status read_end64(struct directory *out, const uint8_t *data, size_t end_at, sc_error *err)
{
    if (end_at < LOCATOR_BYTES || get32(data + end_at - LOCATOR_BYTES) != LOCATOR_SIGNATURE) return SC_OK;
    uint64_t at = get64(data + end_at - LOCATOR_BYTES + 8);
    if (at > end_at - LOCATOR_BYTES || end_at - LOCATOR_BYTES - at < END64_BYTES || get32(data + at) != END64_SIGNATURE)
        return FAIL(err, SC_E_FORMAT, "zip archive: the zip64 end record is not at byte %llu where it should be", (unsigned long long)at);
    *out = (struct directory){ .entries = get64(data + at + 32), .bytes = get64(data + at + 40), .at = get64(data + at + 48) };
    return SC_OK;
}

static sc_status find_directory(struct directory *out, const uint8_t *data, size_t bytes, sc_error *err)
{
    const uint8_t *end = find_end(data, bytes);
    if (!end) return FAIL(err, SC_E_FORMAT, "not a zip archive, or one that was cut off: no end record in %zu bytes", bytes);
    size_t end_at = (size_t)(end - data);
    *out = (struct directory){ .entries = get16(end + 10), .bytes = get32(end + 12), .at = get32(end + 16) };
    if (get16(end + 4) != 0 || get16(end + 6) != 0) return FAIL(err, SC_E_UNSUPPORTED, "zip archive: it is one part of several, expected a whole one");
    TRY(read_end64(out, data, end_at, err));
    if (out->at > end_at || out->bytes > end_at - out->at)
        return FAIL(err, SC_E_FORMAT, "zip archive: the directory (%llu bytes at %llu) does not lie inside the file", (unsigned long long)out->bytes, (unsigned long long)out->at);
    if (out->entries > out->bytes / CENTRAL_BYTES)
        return FAIL(err, SC_E_FORMAT, "zip archive: %llu entries do not fit into a directory of %llu bytes", (unsigned long long)out->entries, (unsigned long long)out->bytes);
    return SC_OK;
}

/* The zip64 extra field holds those of size, compressed size and offset, in this order, that are all ones in the entry. */
static bool read_extra64(struct zip_entry *e, const uint8_t *extra, size_t len)
{
    while (len >= 4) {
        size_t n = get16(extra + 2);
        if (n > len - 4) return false;
        if (get16(extra) == 1) {
            const uint8_t *p = extra + 4;
            uint64_t *field[] = { &e->size, &e->compressed, &e->header_at };
            for (int i = 0; i < 3; i++) {
                if (*field[i] != UINT32_MAX) continue;
                if (n < 8) return false;
                *field[i] = get64(p);
                p += 8;
                n -= 8;
            }
            return true;
        }
        extra += 4 + n;
        len -= 4 + n;
    }
    return true;
}

static sc_status read_entry(struct zip_entry *e, const uint8_t **p, const uint8_t *end, const struct directory *d, sc_error *err)
{
    size_t left = (size_t)(end - *p);
    if (left < CENTRAL_BYTES || get32(*p) != CENTRAL_SIGNATURE) return FAIL(err, SC_E_FORMAT, "zip archive: the directory is damaged or shorter than it says");
    size_t name = get16(*p + 28), extra = get16(*p + 30), comment = get16(*p + 32);
    if (name + extra + comment > left - CENTRAL_BYTES) return FAIL(err, SC_E_FORMAT, "zip archive: a directory entry runs over the end of the directory");
    *e = (struct zip_entry){ .name = (const char *)*p + CENTRAL_BYTES, .name_len = name, .flags = get16(*p + 8), .method = get16(*p + 10),
                             .crc = get32(*p + 16), .compressed = get32(*p + 20), .size = get32(*p + 24), .header_at = get32(*p + 42) };
    if (!read_extra64(e, *p + CENTRAL_BYTES + name, extra)) return FAIL(err, SC_E_FORMAT, "zip archive: an extra field of a directory entry is damaged");
    if (e->header_at > d->at || e->compressed > d->at - e->header_at)
        return FAIL(err, SC_E_FORMAT, "zip archive: an entry of %llu bytes at %llu does not lie before the directory", (unsigned long long)e->compressed, (unsigned long long)e->header_at);
    *p += CENTRAL_BYTES + name + extra + comment;
    return SC_OK;
}

sc_status zip_open(struct zip *out, const void *data, size_t bytes, sc_error *err)
{
    struct directory d = { 0 };
    *out = (struct zip){ .data = data, .bytes = bytes };
    TRY(find_directory(&d, data, bytes, err));
    const uint8_t *p = out->data + d.at, *end = p + d.bytes;
    out->entries = mem_zero((size_t)d.entries + 1, sizeof *out->entries);
    for (uint64_t i = 0; i < d.entries; i++) {
        sc_status status = read_entry(&out->entries[i], &p, end, &d, err);
        if (status != SC_OK) {
            zip_release(out);
            return status;
        }
        out->n_entries++;
    }
    return SC_OK;
}

void zip_release(struct zip *z)
{
    mem_free(z->entries);
    *z = (struct zip){ 0 };
}

const struct zip_entry *zip_find(const struct zip *z, const char *suffix)
{
    const struct zip_entry *best = NULL;
    size_t n = strlen(suffix);
    for (size_t i = 0; i < z->n_entries; i++) {
        const struct zip_entry *e = &z->entries[i];
        if (e->name_len < n || memcmp(e->name + e->name_len - n, suffix, n) != 0) continue;
        if (!best || e->size > best->size) best = e;
    }
    return best;
}

/* ---- taking a member out --------------------------------------------------------------------------------------------- */

struct extraction {
    const struct zip_entry *entry;
    const char *name;           /* quoted, for messages */
    const uint8_t *data;        /* compressed bytes     */
    uint64_t written;
    uint32_t crc;
    sc_status (*sink)(void *user, const void *data, size_t len, sc_error *err);
    void *user;
};

static sc_status find_data(struct extraction *x, const struct zip *z, sc_error *err)
{
    const struct zip_entry *e = x->entry;
    if (z->bytes < LOCAL_BYTES || e->header_at > z->bytes - LOCAL_BYTES || get32(z->data + e->header_at) != LOCAL_SIGNATURE)
        return FAIL(err, SC_E_FORMAT, "zip archive: no header of %s at byte %llu", x->name, (unsigned long long)e->header_at);
    const uint8_t *p = z->data + e->header_at;
    uint64_t skip = (uint64_t)LOCAL_BYTES + get16(p + 26) + get16(p + 28), left = z->bytes - e->header_at;
    if (skip > left || e->compressed > left - skip) return FAIL(err, SC_E_FORMAT, "zip archive: %s runs over the end of the file", x->name);
    if (get16(p + 26) != e->name_len || memcmp(p + LOCAL_BYTES, e->name, e->name_len) != 0)
        return FAIL(err, SC_E_FORMAT, "zip archive: the two headers of %s have different names", x->name);
    if (e->flags & 1) return FAIL(err, SC_E_UNSUPPORTED, "zip archive: %s is encrypted", x->name);
    if (e->method != 0 && e->method != 8)
        return FAIL(err, SC_E_UNSUPPORTED, "zip archive: %s uses compression method %u, expected 0 (stored) or 8 (deflate)", x->name, e->method);
    if (e->method == 0 && e->size != e->compressed) return FAIL(err, SC_E_FORMAT, "zip archive: %s is stored, but its two sizes differ", x->name);
    if (e->size / DEFLATE_RATIO > e->compressed + 1)
        return FAIL(err, SC_E_FORMAT, "zip archive: %s cannot have %llu bytes out of %llu compressed ones", x->name, (unsigned long long)e->size, (unsigned long long)e->compressed);
    x->data = p + skip;
    return SC_OK;
}

static sc_status put_piece(struct extraction *x, const uint8_t *data, size_t len, sc_error *err)
{
    if (len > x->entry->size - x->written)
        return FAIL(err, SC_E_FORMAT, "zip archive: %s holds more than the %llu bytes it declares", x->name, (unsigned long long)x->entry->size);
    x->written += len;
    x->crc = (uint32_t)crc32_z(x->crc, data, len);
    return x->sink(x->user, data, len, err);
}

static sc_status copy_stored(struct extraction *x, sc_error *err)
{
    for (uint64_t at = 0; at < x->entry->size; at += PIECE_BYTES) {
        uint64_t left = x->entry->size - at;
        TRY(put_piece(x, x->data + at, left < PIECE_BYTES ? (size_t)left : PIECE_BYTES, err));
    }
    return SC_OK;
}

static sc_status inflate_all(struct extraction *x, z_stream *stream, uint8_t *out, sc_error *err)
{
    uint64_t taken = 0;
    stream->next_in = (Bytef *)x->data;
    for (;;) {
        if (stream->avail_in == 0) {
            uint64_t left = x->entry->compressed - taken;
            stream->avail_in = (uInt)(left < PIECE_BYTES ? left : PIECE_BYTES);
            taken += stream->avail_in;
        }
        stream->next_out = out;
        stream->avail_out = PIECE_BYTES;
        int result = inflate(stream, Z_NO_FLUSH);
        size_t made = PIECE_BYTES - stream->avail_out;
        if (made) TRY(put_piece(x, out, made, err));
        if (result == Z_STREAM_END) return SC_OK;
        if (result != Z_OK) return FAIL(err, SC_E_FORMAT, "zip archive: the compressed bytes of %s are damaged or cut off", x->name);
    }
}

sc_status zip_extract(const struct zip *z, const struct zip_entry *entry,
                      sc_status (*sink)(void *user, const void *data, size_t len, sc_error *err), void *user, sc_error *err)
{
    char quoted[120];
    struct extraction x = { .entry = entry, .name = error_quote(quoted, sizeof quoted, entry->name, entry->name_len), .sink = sink, .user = user };
    TRY(find_data(&x, z, err));
    if (entry->method == 0) {
        TRY(copy_stored(&x, err));
    } else {
        z_stream stream = { 0 };
        if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return FAIL(err, SC_E_MEMORY, "zlib cannot start: not enough memory");
        uint8_t *piece = mem_alloc(PIECE_BYTES);
        sc_status status = inflate_all(&x, &stream, piece, err);
        mem_free(piece);
        inflateEnd(&stream);
        TRY(status);
    }
    if (x.written != entry->size)
        return FAIL(err, SC_E_FORMAT, "zip archive: %s holds %llu bytes, it declares %llu", x.name, (unsigned long long)x.written, (unsigned long long)entry->size);
    if (x.crc != entry->crc) return FAIL(err, SC_E_FORMAT, "zip archive: the CRC-32 of %s is %08x, expected %08x", x.name, x.crc, entry->crc);
    return SC_OK;
}
