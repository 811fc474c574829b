/* shard.c - rows of tokens with labels on disk, little-endian, memory-mapped (layout: data.h).
 *
 * The counts stand before the tokens, so while rows come in the tokens wait in two nameless files beside the shard: memory
 * stays flat, and an interrupted run leaves nothing. Reading checks every offset once, so that nobody has to later. */
#include "data/dataset.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char MAGIC[8] = "SCTOKENS";
enum { SHARD_VERSION = 1, SPOOL_BYTES = 1 << 18 };
struct shard_header { char magic[8]; uint32_t version, row_length; uint64_t n_rows, n_segments, n_tokens, zero[3]; };
_Static_assert(sizeof(struct shard_header) == 64, "the header has 64 bytes");
_Static_assert(sizeof(struct shard_segment) == 32, "a segment has 32 bytes");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "shards are mapped as they are");

/* ---- reading ----------------------------------------------------------------------------------------------------------- */

static sc_status check_header(const struct shard_header *h, size_t size, const char *what, sc_error *err)
{
    if (memcmp(h->magic, MAGIC, sizeof MAGIC) != 0) return FAIL(err, SC_E_FORMAT, "%s is no shard of tokens: it does not begin with SCTOKENS", what);
    if (h->version != SHARD_VERSION) return FAIL(err, SC_E_UNSUPPORTED, "%s has version %u of the shard format, expected %d", what, h->version, SHARD_VERSION);
    if (h->zero[0] || h->zero[1] || h->zero[2]) return FAIL(err, SC_E_FORMAT, "%s: the last 24 bytes of its header are not zero", what);
    size_t rows, segments, tokens, need = sizeof *h;
    bool fits = h->n_rows < UINT64_MAX && size_mul(h->n_rows + 1, sizeof(uint64_t), &rows) && size_mul(h->n_segments, sizeof(struct shard_segment), &segments) &&
                size_mul(h->n_tokens, sizeof(int32_t) + 1, &tokens) && size_add(need, rows, &need) && size_add(need, segments, &need) && size_add(need, tokens, &need);
    if (!fits) return FAIL(err, SC_E_FORMAT, "%s: its header counts more rows, samples or tokens than any file can hold", what);
    if (need != size) return FAIL(err, SC_E_FORMAT, "%s is torn: its header asks for %zu bytes, the file has %zu; prepare the data anew", what, need, size);
    return SC_OK;
}

/* Samples follow each other without gap, so that their tokens are all the tokens. */
static sc_status check_segments(const struct shard *s, const char *what, sc_error *err)
{
    uint64_t at = 0;
    for (uint64_t i = 0; i < s->n_segments; i++) {
        const struct shard_segment *g = &s->segment[i];
        if (g->token_begin != at)
            return FAIL(err, SC_E_FORMAT, "%s: sample %llu begins at token %llu, expected %llu", what, (unsigned long long)i, (unsigned long long)g->token_begin, (unsigned long long)at);
        if (g->length == 0 || g->length > s->n_tokens - at)
            return FAIL(err, SC_E_FORMAT, "%s: sample %llu has %u tokens, expected 1 to %llu", what, (unsigned long long)i, g->length, (unsigned long long)(s->n_tokens - at));
        at += g->length;
    }
    if (at != s->n_tokens) return FAIL(err, SC_E_FORMAT, "%s: its samples have %llu tokens, its header counts %llu", what, (unsigned long long)at, (unsigned long long)s->n_tokens);
    return SC_OK;
}

static uint64_t token_of(const struct shard *s, uint64_t segment) { return segment < s->n_segments ? s->segment[segment].token_begin : s->n_tokens; }

/* After check_segments. */
static sc_status check_rows(const struct shard *s, const char *what, sc_error *err)
{
    if (s->row_begin[0] != 0 || s->row_begin[s->n_rows] != s->n_segments)
        return FAIL(err, SC_E_FORMAT, "%s: its rows go from sample %llu to %llu, expected 0 to %llu", what, (unsigned long long)s->row_begin[0], (unsigned long long)s->row_begin[s->n_rows],
                    (unsigned long long)s->n_segments);
    for (uint64_t i = 0; i < s->n_rows; i++) {
        uint64_t begin = s->row_begin[i], end = s->row_begin[i + 1];
        if (begin >= end || end > s->n_segments)
            return FAIL(err, SC_E_FORMAT, "%s: row %llu goes from sample %llu to %llu of %llu, expected at least one", what, (unsigned long long)i, (unsigned long long)begin, (unsigned long long)end,
                        (unsigned long long)s->n_segments);
        uint64_t tokens = token_of(s, end) - token_of(s, begin);
        if (s->row_length && tokens > s->row_length)
            return FAIL(err, SC_E_FORMAT, "%s: row %llu has %llu tokens, expected at most %u", what, (unsigned long long)i, (unsigned long long)tokens, s->row_length);
    }
    return SC_OK;
}

sc_status shard_parse(struct shard *out, const uint8_t *data, size_t size, const char *what, sc_error *err)
{
    const struct shard_header *h = (const void *)data;
    *out = (struct shard){ 0 };
    if (size < sizeof *h) return FAIL(err, SC_E_FORMAT, "%s is torn: it has %zu bytes, a shard has at least %zu; prepare the data anew", what, size, sizeof *h);
    TRY(check_header(h, size, what, err));
    *out = (struct shard){ .row_length = h->row_length, .n_rows = h->n_rows, .n_segments = h->n_segments, .n_tokens = h->n_tokens };
    out->row_begin = (const void *)(data + sizeof *h);
    out->segment = (const void *)(out->row_begin + h->n_rows + 1);
    out->id = (const void *)(out->segment + h->n_segments);
    out->flag = (const void *)(out->id + h->n_tokens);
    TRY(check_segments(out, what, err));
    return check_rows(out, what, err);
}

sc_status shard_open(struct shard *out, const char *path, sc_error *err)
{
    struct mapped_file map;
    *out = (struct shard){ 0 };
    TRY(file_map(&map, path, err));
    sc_status status = shard_parse(out, map.data, map.size, path, err);
    out->map = map;
    file_forget(map.data, map.size);
    if (status != SC_OK) shard_close(out);
    return status;
}

void shard_close(struct shard *s)
{
    file_unmap(&s->map);
    *s = (struct shard){ 0 };
}

void shard_forget(const struct shard *s, uint64_t from, uint64_t to)
{
    file_forget(s->id + from, (to - from) * sizeof *s->id);
    file_forget(s->flag + from, to - from);
}

/* ---- writing ----------------------------------------------------------------------------------------------------------- */

/* A file without a name: gone with the process, however that ends. */
struct spool { int fd; struct buf pending; uint64_t bytes; };
struct shard_writer {
    struct file_writer file; struct sha256 hash; uint32_t row_length;
    struct spool id, flag;
    uint64_t *row_begin; size_t n_rows, cap_rows;
    struct shard_segment *segment; size_t n_segments, cap_segments;
    uint64_t n_tokens;
};

static sc_status spool_open(struct spool *s, const char *path, sc_error *err)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : mem_strdup("."), *name = path_join(directory, ".spool-XXXXXX");
    buf_init(&s->pending, 0);
    s->fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (s->fd < 0 && (s->fd = mkostemp(name, O_CLOEXEC)) >= 0) unlink(name);   /* not every file system has O_TMPFILE */
    sc_status status = s->fd < 0 ? FAIL(err, SC_E_IO, "cannot make a temporary file in %s: %s", directory, strerror(errno)) : SC_OK;
    mem_free(directory);
    mem_free(name);
    return status;
}

static void spool_release(struct spool *s)
{
    if (s->fd >= 0) close(s->fd);
    buf_release(&s->pending);
    s->fd = -1;
}

static sc_status spool_flush(struct spool *s, const char *path, sc_error *err)
{
    for (size_t at = 0; at < s->pending.len;) {
        ssize_t n = write(s->fd, s->pending.data + at, s->pending.len - at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return FAIL(err, SC_E_IO, "cannot write the tokens of %s: %s", path, n ? strerror(errno) : "the disk takes no more");
        at += (size_t)n;
    }
    buf_clear(&s->pending);
    return SC_OK;
}

static sc_status spool_put(struct spool *s, const void *data, size_t len, const char *path, sc_error *err)
{
    buf_append(&s->pending, data, len);
    s->bytes += len;
    return s->pending.len < SPOOL_BYTES ? SC_OK : spool_flush(s, path, err);
}

static sc_status put_hashed(struct shard_writer *w, const void *data, size_t len, sc_error *err)
{
    sha256_add(&w->hash, data, len);
    return file_writer_put(&w->file, data, len, err);
}

/* Copies a spool to the end of the shard. */
static sc_status spool_empty(struct spool *s, struct shard_writer *w, sc_error *err)
{
    TRY(spool_flush(s, w->file.path, err));
    char *block = mem_alloc(SPOOL_BYTES);
    sc_status status = SC_OK;
    for (uint64_t at = 0; at < s->bytes && status == SC_OK;) {
        size_t want = s->bytes - at < SPOOL_BYTES ? (size_t)(s->bytes - at) : SPOOL_BYTES;
        ssize_t n = pread(s->fd, block, want, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) status = FAIL(err, SC_E_IO, "cannot read back the tokens of %s: %s", w->file.path, n ? strerror(errno) : "the temporary file is shorter than what was written");
        else status = put_hashed(w, block, (size_t)n, err);
        at += n > 0 ? (uint64_t)n : 0;
    }
    mem_free(block);
    return status;
}

sc_status shard_writer_open(struct shard_writer **out, const char *path, uint32_t row_length, sc_error *err)
{
    struct shard_writer *w = mem_zero(1, sizeof *w);
    sc_status status = SC_OK;
    *w = (struct shard_writer){ .file = { .fd = -1 }, .row_length = row_length, .id = { .fd = -1 }, .flag = { .fd = -1 } };
    *out = NULL;
    sha256_begin(&w->hash);
    TRY_DONE(file_writer_open(&w->file, path, err));
    TRY_DONE(spool_open(&w->id, path, err));
    TRY_DONE(spool_open(&w->flag, path, err));
    *out = w;
    return SC_OK;
done:
    shard_writer_discard(w);
    return status;
}

sc_status shard_writer_put(struct shard_writer *w, const struct row *row, sc_error *err)
{
    assert(row->len > 0 && (!w->row_length || row->tokens <= w->row_length));
    if (w->n_rows == w->cap_rows) w->row_begin = mem_grow(w->row_begin, (w->cap_rows = 2 * w->cap_rows + 256) * sizeof *w->row_begin);
    w->row_begin[w->n_rows++] = w->n_segments;
    for (size_t i = 0; i < row->len; i++) {
        const struct sample *s = &row->sample[i];
        assert(s->len > 0);
        if (w->n_segments == w->cap_segments) w->segment = mem_grow(w->segment, (w->cap_segments = 2 * w->cap_segments + 256) * sizeof *w->segment);
        w->segment[w->n_segments++] = (struct shard_segment){ .token_begin = w->n_tokens, .line = s->line, .length = s->len, .file = s->file, .index = s->index, .piece = s->piece };
        TRY(spool_put(&w->id, s->id, s->len * sizeof *s->id, w->file.path, err));
        TRY(spool_put(&w->flag, s->flag, s->len, w->file.path, err));
        w->n_tokens += s->len;
    }
    return SC_OK;
}

uint64_t shard_writer_tokens(const struct shard_writer *w) { return w->n_tokens; }

sc_status shard_writer_finish(struct shard_writer *w, char sha256[65], uint64_t *rows, sc_error *err)
{
    struct shard_header h = { .version = SHARD_VERSION, .row_length = w->row_length, .n_rows = w->n_rows, .n_segments = w->n_segments, .n_tokens = w->n_tokens };
    uint64_t end = w->n_segments;
    sc_status status = SC_OK;
    memcpy(h.magic, MAGIC, sizeof MAGIC);
    if (rows) *rows = w->n_rows;
    TRY_DONE(put_hashed(w, &h, sizeof h, err));
    TRY_DONE(put_hashed(w, w->row_begin, w->n_rows * sizeof *w->row_begin, err));
    TRY_DONE(put_hashed(w, &end, sizeof end, err));
    TRY_DONE(put_hashed(w, w->segment, w->n_segments * sizeof *w->segment, err));
    TRY_DONE(spool_empty(&w->id, w, err));
    TRY_DONE(spool_empty(&w->flag, w, err));
    sha256_end(&w->hash, sha256);
    TRY_DONE(file_writer_publish(&w->file, err));
done:
    shard_writer_discard(w);
    return status;
}

void shard_writer_discard(struct shard_writer *w)
{
    char unused[65];
    if (!w) return;
    if (w->hash.context) sha256_end(&w->hash, unused);
    file_writer_discard(&w->file);
    spool_release(&w->id);
    spool_release(&w->flag);
    mem_free(w->row_begin);
    mem_free(w->segment);
    mem_free(w);
}
