/* dataset.c - a prepared directory: its manifest dataset.json (members: dataset.h), its shards, and tokens.bin, which
 * tells what every id spells without the tokenizer. Nothing of a file is used before it was checked. */
#include "data/dataset.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { PIECES_HEAD = 16 };   /* "SCPIECES", u32 version, u32 n */

/* ---- the manifest ---------------------------------------------------------------------------------------------------- */

/* A name of a file beside the manifest, and nowhere else. */
static bool is_plain_name(const char *name)
{
    size_t n = name ? strlen(name) : 0;
    return n > 0 && n < 256 && name[0] != '.' && !strchr(name, '/');
}

static bool is_digest(const char *text) { return text && strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64; }

static sc_status check_shard_entry(const json_t *entry, const char *split, size_t i, const char *what, sc_error *err)
{
    static const char *const counts[] = { "rows", "samples", "tokens", "trained" };
    char at[256], q[80], s[80];
    const char *file, *sha256;
    int64_t n;
    snprintf(at, sizeof at, "%.120s: shard %zu of split %s", what, i, error_quote(s, sizeof s, split, strlen(split)));
    if (!json_is_object(entry)) return FAIL(err, SC_E_FORMAT, "%s is not an object", at);
    TRY(json_opt_string(&file, entry, "file", "", at, err));
    TRY(json_opt_string(&sha256, entry, "sha256", "", at, err));
    if (!is_plain_name(file)) return FAIL(err, SC_E_FORMAT, "%s: \"file\" is \"%s\", expected the name of a file in the same directory", at, error_quote(q, sizeof q, file, strlen(file)));
    if (!is_digest(sha256)) return FAIL(err, SC_E_FORMAT, "%s: \"sha256\" is \"%s\", expected 64 hexadecimal digits", at, error_quote(q, sizeof q, sha256, strlen(sha256)));
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) TRY(json_need_int(&n, entry, counts[k], 0, INT64_MAX, at, err));
    return SC_OK;
}

static sc_status check_splits(const json_t *manifest, const char *what, size_t *n_shards, sc_error *err)
{
    json_t *splits = json_object_get(manifest, "splits"), *split;
    const char *name;
    *n_shards = 0;
    if (!json_is_object(splits)) return FAIL(err, SC_E_FORMAT, "%s: \"splits\" is missing or not an object", what);
    json_object_foreach(splits, name, split) {
        char q[80];
        const json_t *shards = json_object_get(split, "shards");
        size_t n = json_array_size(shards);
        error_quote(q, sizeof q, name, strlen(name));
        if (!json_is_array(shards)) return FAIL(err, SC_E_FORMAT, "%s: split \"%s\" has no list \"shards\"", what, q);
        for (size_t i = 0; i < n; i++) TRY(check_shard_entry(json_array_get(shards, i), name, i, what, err));
        *n_shards += n;
    }
    return SC_OK;
}

static sc_status check_files(const json_t *manifest, const char *what, sc_error *err)
{
    const json_t *files = json_object_get(manifest, "files"), *file;
    size_t i;
    if (!json_is_array(files)) return FAIL(err, SC_E_FORMAT, "%s: \"files\" is missing or not a list", what);
    json_array_foreach(files, i, file)
        if (!json_is_string(file)) return FAIL(err, SC_E_FORMAT, "%s: files[%zu] is not a string", what, i);
    return SC_OK;
}

static sc_status check_tokenizer(const json_t *manifest, const char *what, sc_error *err)
{
    const json_t *tokenizer = json_object_get(manifest, "tokenizer"), *added = json_object_get(tokenizer, "added"), *token;
    const char *text;
    int64_t vocab, id;
    size_t i;
    if (!json_is_object(tokenizer)) return FAIL(err, SC_E_FORMAT, "%s: \"tokenizer\" is missing or not an object", what);
    TRY(json_need_int(&vocab, tokenizer, "vocab", 1, INT32_MAX, what, err));
    TRY(json_opt_string(&text, tokenizer, "sha256", "", what, err));
    if (!is_digest(text)) return FAIL(err, SC_E_FORMAT, "%s: \"sha256\" of the tokenizer is missing or not 64 hexadecimal digits", what);
    json_array_foreach(added, i, token) {
        TRY(json_need_int(&id, token, "id", 0, vocab - 1, what, err));
        TRY(json_opt_string(&text, token, "content", "", what, err));
    }
    return json_opt_int(&id, manifest, "end_token", -1, 0, vocab - 1, what, err);
}

sc_status manifest_check(const json_t *manifest, const char *what, size_t *n_shards, sc_error *err)
{
    static const char *const objects[] = { "options", "stats", "template" };
    const char *format;
    int64_t version;
    if (!json_is_object(manifest)) return FAIL(err, SC_E_FORMAT, "%s is not a JSON object", what);
    TRY(json_opt_string(&format, manifest, "format", "", what, err));
    if (strcmp(format, "starchat-tokens") != 0) return FAIL(err, SC_E_FORMAT, "%s: \"format\" is not \"starchat-tokens\"; expected a directory written by `starchat data prepare`", what);
    TRY(json_need_int(&version, manifest, "version", 0, INT64_MAX, what, err));
    if (version != 1) return FAIL(err, SC_E_UNSUPPORTED, "%s has version %lld, expected 1; prepare the data anew or take the program that wrote it", what, (long long)version);
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
        if (!json_is_object(json_object_get(manifest, objects[i]))) return FAIL(err, SC_E_FORMAT, "%s: \"%s\" is missing or not an object", what, objects[i]);
    TRY(check_tokenizer(manifest, what, err));
    TRY(check_files(manifest, what, err));
    return check_splits(manifest, what, n_shards, err);
}

/* ---- tokens.bin -------------------------------------------------------------------------------------------------------- */

static uint64_t piece_begin(const uint8_t *data, size_t i)
{
    uint64_t begin;
    memcpy(&begin, data + PIECES_HEAD + 8 * i, sizeof begin);
    return begin;
}

sc_status pieces_check(const uint8_t *data, size_t size, const char *what, uint32_t *n, sc_error *err)
{
    uint32_t version;
    if (size < PIECES_HEAD || memcmp(data, "SCPIECES", 8) != 0) return FAIL(err, SC_E_FORMAT, "%s is no table of tokens: it does not begin with SCPIECES", what);
    memcpy(&version, data + 8, sizeof version);
    memcpy(n, data + 12, sizeof *n);
    if (version != 1) return FAIL(err, SC_E_UNSUPPORTED, "%s has version %u, expected 1", what, version);
    if (*n > INT32_MAX || (size - PIECES_HEAD) / 8 < (size_t)*n + 1)
        return FAIL(err, SC_E_FORMAT, "%s is torn: %zu bytes do not hold the table of %u tokens; prepare the data anew", what, size, *n);
    uint64_t text = size - PIECES_HEAD - 8 * ((uint64_t)*n + 1), last = 0;
    for (size_t i = 0; i <= *n; i++) {
        uint64_t begin = piece_begin(data, i);
        if (begin < last || begin > text || (i == 0 && begin))
            return FAIL(err, SC_E_FORMAT, "%s: token %zu begins at byte %llu, expected %llu to %llu", what, i, (unsigned long long)begin, (unsigned long long)last, (unsigned long long)(i ? text : 0));
        last = begin;
    }
    if (last != text) return FAIL(err, SC_E_FORMAT, "%s is torn: its tokens spell %llu bytes, the file has %llu", what, (unsigned long long)last, (unsigned long long)text);
    return SC_OK;
}

sc_status dataset_write_pieces(const char *path, const struct tokenizer *t, sc_error *err)
{
    size_t n = tokenizer_vocab(t), len;
    uint32_t head[2] = { 1, (uint32_t)n };
    struct buf table, text;
    buf_init(&table, 0);
    buf_init(&text, 0);
    buf_append(&table, "SCPIECES", 8);
    buf_append(&table, head, sizeof head);
    for (size_t i = 0; i <= n; i++) {
        uint64_t begin = text.len;
        buf_append(&table, &begin, sizeof begin);
        const char *bytes = i < n ? tokenizer_bytes(t, (int32_t)i, &len) : NULL;
        if (bytes) buf_append(&text, bytes, len);
    }
    buf_append(&table, text.data ? text.data : "", text.len);
    sc_status status = file_write(path, table.data, table.len, err);
    buf_release(&table);
    buf_release(&text);
    return status;
}

const char *dataset_piece(const struct sc_dataset *d, int32_t id, size_t *len)
{
    *len = 0;
    if (id < 0 || (uint32_t)id >= d->n_pieces) return NULL;
    uint64_t begin = piece_begin(d->pieces.data, (size_t)id), end = piece_begin(d->pieces.data, (size_t)id + 1);
    *len = (size_t)(end - begin);
    return end > begin ? (const char *)d->pieces.data + PIECES_HEAD + 8 * ((size_t)d->n_pieces + 1) + begin : NULL;
}

static sc_status open_pieces(struct sc_dataset *d, sc_error *err)
{
    char *path = path_join(d->path, "tokens.bin");
    json_int_t vocab = json_integer_value(json_object_get(json_object_get(d->manifest, "tokenizer"), "vocab"));
    sc_status status = file_map(&d->pieces, path, err);
    if (status == SC_OK) status = pieces_check(d->pieces.data, d->pieces.size, path, &d->n_pieces, err);
    if (status == SC_OK && d->n_pieces != vocab)
        status = FAIL(err, SC_E_FORMAT, "%s has %u tokens, dataset.json counts %lld; prepare the data anew", path, d->n_pieces, (long long)vocab);
    mem_free(path);
    return status;
}

/* ---- shards -------------------------------------------------------------------------------------------------------------- */

const json_t *dataset_shard_entry(const struct sc_dataset *d, size_t i)
{
    json_t *split;
    const char *name;
    json_object_foreach(json_object_get(d->manifest, "splits"), name, split) {
        const json_t *shards = json_object_get(split, "shards");
        if (i < json_array_size(shards)) return json_array_get(shards, i);
        i -= json_array_size(shards);
    }
    return NULL;
}

/* The shard is the one that the manifest counts, and its samples come from files that it names. */
static sc_status check_shard(const struct sc_dataset *d, const struct shard *s, const json_t *entry, const char *path, sc_error *err)
{
    const struct { const char *key, *what; uint64_t found; } counts[] = { { "rows", "rows", s->n_rows }, { "samples", "samples", s->n_segments }, { "tokens", "tokens", s->n_tokens } };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        uint64_t expected = (uint64_t)json_integer_value(json_object_get(entry, counts[i].key));
        if (expected != counts[i].found)
            return FAIL(err, SC_E_FORMAT, "%s has %llu %s, dataset.json counts %llu; prepare the data anew", path, (unsigned long long)counts[i].found, counts[i].what, (unsigned long long)expected);
    }
    size_t files = json_array_size(json_object_get(d->manifest, "files"));
    for (uint64_t i = 0; i < s->n_segments; i++)
        if (s->segment[i].file >= files)
            return FAIL(err, SC_E_FORMAT, "%s: sample %llu comes from file %u, dataset.json names %zu", path, (unsigned long long)i, s->segment[i].file, files);
    return SC_OK;
}

static sc_status open_shards(struct sc_dataset *d, size_t n, sc_error *err)
{
    json_t *split, *entry;
    const char *name;
    size_t k;
    d->shard = mem_zero(n + 1, sizeof *d->shard);
    d->split = mem_zero(n + 1, sizeof *d->split);
    json_object_foreach(json_object_get(d->manifest, "splits"), name, split) json_array_foreach(json_object_get(split, "shards"), k, entry) {
        char *path = path_join(d->path, json_string_value(json_object_get(entry, "file")));
        assert(d->n_shards < n);
        struct shard *s = &d->shard[d->n_shards];
        sc_status status = shard_open(s, path, err);
        d->split[d->n_shards++] = name;
        if (status == SC_OK) status = check_shard(d, s, entry, path, err);
        mem_free(path);
        TRY(status);
    }
    return SC_OK;
}

/* ---- the public handle ------------------------------------------------------------------------------------------------- */

sc_status sc_dataset_open(sc_dataset **out, const char *directory, sc_error *err)
{
    struct sc_dataset *d = NULL;
    size_t n_shards;
    char *path = path_join(directory, "dataset.json");
    sc_status status = SC_OK;
    *out = NULL;
    if (!path_exists(directory)) TRY_DONE(FAIL(err, SC_E_IO, "%s does not exist; expected a directory written by `starchat data prepare`", directory));
    if (!path_exists(path)) TRY_DONE(FAIL(err, SC_E_IO, "%s has no dataset.json; expected a directory written by `starchat data prepare`", directory));
    d = mem_zero(1, sizeof *d);
    d->path = mem_strdup(directory);
    TRY_DONE(json_read_file(&d->manifest, path, MANIFEST_BYTES_MAX, err));
    TRY_DONE(manifest_check(d->manifest, path, &n_shards, err));
    TRY_DONE(open_pieces(d, err));
    TRY_DONE(open_shards(d, n_shards, err));
    *out = d;
    d = NULL;
done:
    sc_dataset_close(d);
    mem_free(path);
    return status;
}

void sc_dataset_close(sc_dataset *d)
{
    if (!d) return;
    for (size_t i = 0; i < d->n_shards; i++) shard_close(&d->shard[i]);
    mem_free(d->shard);
    mem_free(d->split);
    file_unmap(&d->pieces);
    json_decref(d->manifest);
    mem_free(d->path);
    mem_free(d);
}

const char *dataset_file(const struct sc_dataset *d, uint32_t file)
{
    const char *name = json_string_value(json_array_get(json_object_get(d->manifest, "files"), file));
    return name ? name : "";
}

bool dataset_has_split(const struct sc_dataset *d, const char *split) { return json_object_get(json_object_get(d->manifest, "splits"), split) != NULL; }

sc_status dataset_need_split(const struct sc_dataset *d, const char *split, sc_error *err)
{
    char q[80];
    struct buf names;
    json_t *value;
    const char *name;
    if (!split || dataset_has_split(d, split)) return SC_OK;
    buf_init(&names, 200);
    json_object_foreach(json_object_get(d->manifest, "splits"), name, value) buf_printf(&names, "%s%s", names.len ? ", " : "", name);
    sc_status status = FAIL(err, SC_E_ARGUMENT, "%s has no split \"%s\"; it has: %s", d->path, error_quote(q, sizeof q, split, strlen(split)), names.data ? names.data : "none");
    buf_release(&names);
    return status;
}

static bool is_of(const struct sc_dataset *d, size_t shard, const char *split) { return !split || strcmp(d->split[shard], split) == 0; }

uint64_t sc_dataset_samples(const sc_dataset *d, const char *split)
{
    uint64_t n = 0;
    for (size_t k = 0; k < d->n_shards; k++)
        if (is_of(d, k, split)) n += d->shard[k].n_segments;
    return n;
}

/* The row of a segment: the last that begins at it or before. */
static uint64_t row_of(const struct shard *s, uint64_t segment)
{
    uint64_t low = 0, high = s->n_rows;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (s->row_begin[middle] <= segment) low = middle;
        else high = middle;
    }
    return low;
}

sc_status dataset_find(struct sample_place *out, const struct sc_dataset *d, const char *split, uint64_t i, sc_error *err)
{
    uint64_t before = 0, rows = 0;
    TRY(dataset_need_split(d, split, err));
    for (size_t k = 0; k < d->n_shards; k++) {
        const struct shard *s = &d->shard[k];
        if (k && strcmp(d->split[k], d->split[k - 1]) != 0) rows = 0;
        if (is_of(d, k, split) && i - before < s->n_segments) {
            *out = (struct sample_place){ k, i - before, rows + row_of(s, i - before) };
            return SC_OK;
        }
        if (is_of(d, k, split)) before += s->n_segments;
        rows += s->n_rows;
    }
    return FAIL(err, SC_E_ARGUMENT, "there is no sample %llu: %s has %llu%s%s, counted from 0", (unsigned long long)i, d->path, (unsigned long long)before, split ? " in split " : "", split ? split : "");
}
