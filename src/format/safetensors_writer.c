/* safetensors_writer.c - writes model.safetensors, or shards with model.safetensors.index.json.
 *
 * Tensors keep the caller's order and are cut into shards between tensors. Each header carries {"format":"pt"}, without
 * which transformers refuses to load, and is padded with spaces to a multiple of eight, as the reference writer does. */
#include "format/format_internal.h"

#include <inttypes.h>

struct planned { const char *name; size_t bytes, shard; struct tensor_plan plan; };

struct safetensors_writer {
    char *directory;                        /* or the one file */
    bool is_file;
    struct planned *tensors; size_t n;
    struct name_store names;
    size_t n_shards;
    struct file_writer file;                /* of the shard being written */
    bool is_open;
    size_t at, at_byte;                     /* where the next data goes */
    uint64_t total;
};

static void shard_name(const struct safetensors_writer *w, size_t shard, char out[64])
{
    if (w->n_shards == 1) snprintf(out, 64, "model.safetensors");
    else snprintf(out, 64, "model-%05zu-of-%05zu.safetensors", shard + 1, w->n_shards);
}

static void append_header(struct buf *b, const struct planned *t, size_t n)
{
    size_t offset = 0;
    buf_puts(b, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n; offset += t[i].bytes, i++) {
        buf_putc(b, ',');
        buf_put_json_string(b, t[i].name, strlen(t[i].name));
        buf_printf(b, ":{\"dtype\":\"%s\",\"shape\":[", dtypes[t[i].plan.dtype].safetensors);
        for (int d = 0; d < t[i].plan.n_dims; d++) buf_printf(b, "%s%" PRIu64, d ? "," : "", t[i].plan.dims[d]);
        buf_printf(b, "],\"data_offsets\":[%zu,%zu]}", offset, offset + t[i].bytes);
    }
    buf_putc(b, '}');
    while (b->len % 8) buf_putc(b, ' ');
}

/* Opens the shard of tensor w->at and writes its header. */
static sc_status shard_begin(struct safetensors_writer *w, sc_error *err)
{
    char name[64];
    size_t shard = w->tensors[w->at].shard, end = w->at, data = 0;
    struct buf header;
    buf_init(&header, 0);
    for (; end < w->n && w->tensors[end].shard == shard; end++) data += w->tensors[end].bytes;
    append_header(&header, w->tensors + w->at, end - w->at);
    shard_name(w, shard, name);
    char *path = w->is_file ? mem_strdup(w->directory) : path_join(w->directory, name);
    uint64_t header_bytes = header.len;
    sc_status status;
    TRY_DONE(file_writer_open(&w->file, path, err));
    w->is_open = true;
    TRY_DONE(file_writer_reserve(&w->file, 8 + header.len + data, err));
    TRY_DONE(file_writer_put(&w->file, &header_bytes, sizeof header_bytes, err));
    TRY_DONE(file_writer_put(&w->file, header.data, header.len, err));
done:
    mem_free(path);
    buf_release(&header);
    return status;
}

/* Passes over finished tensors; publishes a shard after its last one and begins the next. */
static sc_status settle(struct safetensors_writer *w, sc_error *err)
{
    for (;;) {
        if (!w->is_open) {
            if (w->at == w->n) return SC_OK;
            TRY(shard_begin(w, err));
        }
        if (w->at_byte < w->tensors[w->at].bytes) return SC_OK;
        size_t shard = w->tensors[w->at++].shard;
        w->at_byte = 0;
        if (w->at == w->n || w->tensors[w->at].shard != shard) {
            w->is_open = false;
            TRY(file_writer_publish(&w->file, err));
        }
    }
}

static sc_status plan_shards(struct safetensors_writer *w, const struct tensor_plan *tensors, uint64_t shard_bytes, sc_error *err)
{
    uint64_t in_shard = 0;
    for (size_t i = 0; i < w->n; i++) {
        struct planned *t = &w->tensors[i];
        t->plan = tensors[i];
        t->name = t->plan.name = name_keep(&w->names, tensors[i].name, strlen(tensors[i].name));
        if (!dtypes[t->plan.dtype].safetensors || !tensor_bytes(&t->bytes, t->plan.dtype, t->plan.n_dims, t->plan.dims))
            return FAIL(err, SC_E_ARGUMENT, "%s: safetensors cannot hold tensor \"%s\" as %s; choose f32, f16 or bf16", w->directory, t->name, dtypes[t->plan.dtype].name);
        if (i && t->bytes > shard_bytes - in_shard) {                /* never below zero: see the line after next */
            w->n_shards++;
            in_shard = 0;
        }
        in_shard = t->bytes < shard_bytes - in_shard ? in_shard + t->bytes : shard_bytes;
        t->shard = w->n_shards - 1;
        w->total += t->bytes;
    }
    return SC_OK;
}

static sc_status writer_open(struct safetensors_writer **out, const char *path, bool is_file, const struct tensor_plan *tensors, size_t n, uint64_t shard_bytes, sc_error *err)
{
    *out = NULL;
    if (n == 0) return FAIL(err, SC_E_ARGUMENT, "%s: a model needs at least one tensor", path);
    struct safetensors_writer *w = mem_zero(1, sizeof *w);
    w->directory = mem_strdup(path);
    w->is_file = is_file;
    w->n = n;
    w->n_shards = 1;
    w->tensors = mem_zero(n, sizeof *w->tensors);
    sc_status status = plan_shards(w, tensors, shard_bytes ? shard_bytes : UINT64_MAX, err);
    if (status == SC_OK) status = settle(w, err);
    if (status != SC_OK) { safetensors_writer_discard(w); return status; }
    *out = w;
    return SC_OK;
}

sc_status safetensors_writer_open(struct safetensors_writer **out, const char *directory, const struct tensor_plan *tensors, size_t n, uint64_t shard_bytes, sc_error *err)
{
    return writer_open(out, directory, false, tensors, n, shard_bytes, err);
}

sc_status safetensors_writer_open_file(struct safetensors_writer **out, const char *path, const struct tensor_plan *tensors, size_t n, sc_error *err)
{
    return writer_open(out, path, true, tensors, n, 0, err);
}

sc_status safetensors_writer_data(struct safetensors_writer *w, const void *data, size_t bytes, sc_error *err)
{
    const char *p = data;
    while (bytes) {
        if (w->at == w->n) return FAIL(err, SC_E_ARGUMENT, "%s: %zu bytes more than its tensors hold", w->directory, bytes);
        size_t room = w->tensors[w->at].bytes - w->at_byte, now = bytes < room ? bytes : room;
        TRY(file_writer_put(&w->file, p, now, err));
        w->at_byte += now;
        p += now;
        bytes -= now;
        TRY(settle(w, err));
    }
    return SC_OK;
}

static sc_status write_index(struct safetensors_writer *w, sc_error *err)
{
    struct buf b;
    char file[64];
    buf_init(&b, 0);
    buf_printf(&b, "{\n  \"metadata\": {\n    \"total_size\": %" PRIu64 "\n  },\n  \"weight_map\": {\n", w->total);
    for (size_t i = 0; i < w->n; i++) {
        shard_name(w, w->tensors[i].shard, file);
        buf_puts(&b, i ? ",\n    " : "    ");
        buf_put_json_string(&b, w->tensors[i].name, strlen(w->tensors[i].name));
        buf_printf(&b, ": \"%s\"", file);
    }
    buf_puts(&b, "\n  }\n}\n");
    char *path = path_join(w->directory, "model.safetensors.index.json");
    sc_status status = file_write(path, b.data, b.len, err);
    mem_free(path);
    buf_release(&b);
    return status;
}

sc_status safetensors_writer_finish(struct safetensors_writer *w, sc_error *err)
{
    sc_status status = SC_OK;
    if (w->at != w->n) status = FAIL(err, SC_E_ARGUMENT, "%s: data of tensor \"%s\" is missing", w->directory, w->tensors[w->at].name);
    else if (w->n_shards > 1) status = write_index(w, err);
    safetensors_writer_discard(w);
    return status;
}

void safetensors_writer_discard(struct safetensors_writer *w)
{
    if (!w) return;
    if (w->is_open) file_writer_discard(&w->file);
    name_store_release(&w->names);
    mem_free(w->tensors);
    mem_free(w->directory);
    mem_free(w);
}
