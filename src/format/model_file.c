/* model_file.c - an open model: chooses the reader by what lies at the path, owns the mappings and the name index.
 *
 * Names are copied (they need a NUL), everything else points into the mappings. Sorted arrays instead of hash tables:
 * no input can make a look-up slow. */
#include "format/format_internal.h"

#include <stdlib.h>

enum { NAME_BLOCK = 4000 };

const char *name_keep(struct name_store *s, const char *text, size_t len)
{
    struct name_block *b = s->first;
    if (!b || b->size - b->used < len + 1) {
        size_t size = len + 1 > NAME_BLOCK ? len + 1 : NAME_BLOCK;
        b = mem_alloc(sizeof *b + size);
        b->next = s->first;
        b->used = 0;
        b->size = size;
        s->first = b;
    }
    char *p = b->text + b->used;
    if (len) memcpy(p, text, len);
    p[len] = 0;
    b->used += len + 1;
    return p;
}

const char *scan_keep(struct name_store *names, const struct scan_string *s)
{
    struct buf scratch;
    const char *text, *kept = NULL;
    size_t len;
    buf_init(&scratch, 0);
    if (scan_text(s, &scratch, &text, &len) && !memchr(text, 0, len)) kept = name_keep(names, text, len);
    buf_release(&scratch);
    return kept;
}

void name_store_release(struct name_store *s)
{
    for (struct name_block *b = s->first, *next; b; b = next) {
        next = b->next;
        mem_free(b);
    }
    s->first = NULL;
}

static int entry_compare(const void *a, const void *b)
{
    return strcmp(((const struct name_entry *)a)->name, ((const struct name_entry *)b)->name);
}

const char *name_index_sort(struct name_entry *e, size_t n)
{
    if (n) qsort(e, n, sizeof *e, entry_compare);
    for (size_t i = 1; i < n; i++)
        if (strcmp(e[i - 1].name, e[i].name) == 0) return e[i].name;
    return NULL;
}

const struct name_entry *name_index_find(const struct name_entry *e, size_t n, const char *name)
{
    struct name_entry key = { name, 0 };
    return n ? bsearch(&key, e, n, sizeof *e, entry_compare) : NULL;
}

struct model_file *model_file_new(enum model_kind kind, const char *path)
{
    struct model_file *m = mem_zero(1, sizeof *m);
    m->kind = kind;
    m->path = mem_strdup(path);
    m->private = mem_zero(1, sizeof *m->private);
    return m;
}

void model_file_forget_keys(const struct model_file *m)
{
    if (m->kind == MODEL_GGUF && m->private->n_files) file_forget(m->private->files[0].data, m->data_offset);
}

static void identify_tensor(const struct file_tensor *t, struct sha256 *to)
{
    enum { SAMPLE = 256 };
    size_t n = t->bytes < SAMPLE ? t->bytes : SAMPLE;
    sha256_add(to, t->name, strlen(t->name) + 1);
    sha256_add(to, &t->dtype, sizeof t->dtype);
    sha256_add(to, t->dims, (size_t)t->n_dims * sizeof *t->dims);
    if (n) sha256_add(to, (const char *)t->data + (t->bytes - n) / 2, n);
}

void model_file_identify(const struct model_file *m, struct sha256 *to)
{
    const struct format_private *p = m->private;
    char *config = m->config ? json_dumps(m->config, JSON_SORT_KEYS | JSON_COMPACT) : NULL;
    for (size_t i = 0; i < p->n_files; i++) {
        sha256_add(to, &p->files[i].size, sizeof p->files[i].size);
        sha256_add(to, &p->files[i].modified, sizeof p->files[i].modified);
    }
    if (config) sha256_add(to, config, strlen(config) + 1);
    free(config);
    for (size_t i = 0; i < m->n_values; i++) {
        const struct gguf_value *v = &m->values[i];
        sha256_add(to, v->key, strlen(v->key) + 1);
        sha256_add(to, &v->type, sizeof v->type);
        if (v->type == GGUF_ARRAY) sha256_add(to, &v->count, sizeof v->count);
        else if (v->type == GGUF_STRING) sha256_add(to, v->v.s.text, v->v.s.len);
        else sha256_add(to, &v->v.u, sizeof v->v.u);
    }
    for (size_t i = 0; i < m->n_tensors; i++) identify_tensor(&m->tensors[i], to);
}

bool model_file_digest(char hex[65], const struct model_file *m, size_t i)
{
    enum { PIECE = 8 << 20 };
    const struct format_private *p = m->private;
    struct sha256 s;
    if (i >= p->n_files) return false;
    sha256_begin(&s);
    for (size_t at = 0, n; at < p->files[i].size; at += n) {      /* read pages count as memory of the process: let go of them */
        n = p->files[i].size - at < PIECE ? p->files[i].size - at : PIECE;
        sha256_add(&s, p->files[i].data + at, n);
        file_forget(p->files[i].data + at, n);
    }
    sha256_end(&s, hex);
    return true;
}

void model_file_close(struct model_file *m)
{
    if (!m) return;
    struct format_private *p = m->private;
    for (size_t i = 0; i < p->n_files; i++) file_unmap(&p->files[i]);
    for (size_t i = 0; i < m->n_values; i++) mem_free(m->values[i].strings);
    model_json_release(m);
    name_store_release(&p->names);
    mem_free(p->files);
    mem_free(p->by_tensor);
    mem_free(p->by_key);
    mem_free(p);
    mem_free(m->values);
    mem_free(m->tensors);
    mem_free(m->chat_template);
    mem_free(m->path);
    mem_free(m);
}

sc_status model_file_map(struct model_file *m, struct mapped_file *data, const char *path, sc_error *err)
{
    struct format_private *p = m->private;
    TRY(file_map(data, path, err));
    p->files = mem_grow(p->files, (p->n_files + 1) * sizeof *p->files);
    p->files[p->n_files++] = *data;
    m->bytes += data->size;
    return SC_OK;
}

sc_status model_file_index_tensors(struct model_file *m, sc_error *err)
{
    struct format_private *p = m->private;
    p->by_tensor = mem_grow(p->by_tensor, m->n_tensors * sizeof *p->by_tensor);
    for (size_t i = 0; i < m->n_tensors; i++) p->by_tensor[i] = (struct name_entry) { m->tensors[i].name, i };
    const char *twice = name_index_sort(p->by_tensor, m->n_tensors);
    char q[96];
    if (twice) return FAIL(err, SC_E_FORMAT, "%s: the tensor \"%s\" occurs twice", m->path, error_quote(q, sizeof q, twice, strlen(twice)));
    return SC_OK;
}

const struct file_tensor *model_file_find(const struct model_file *m, const char *name)
{
    const struct name_entry *e = name_index_find(m->private->by_tensor, m->n_tensors, name);
    return e ? &m->tensors[e->i] : NULL;
}

bool tensor_bytes(size_t *out, enum dtype dtype, int n_dims, const uint64_t *dims)
{
    size_t cols = n_dims ? dims[n_dims - 1] : 1, rows = 1;
    for (int i = 0; i + 1 < n_dims; i++)
        if (!size_mul(rows, dims[i], &rows)) return false;
    if (cols % dtypes[dtype].block) return false;
    size_t blocks = cols / dtypes[dtype].block;
    if (!size_mul(blocks, rows, &blocks) || !size_mul(blocks, dtypes[dtype].bytes, out)) return false;
    return *out <= INT64_MAX;
}

sc_status model_file_set_template(struct model_file *m, const char *text, size_t len, const char *where, sc_error *err)
{
    if (memchr(text, 0, len)) return FAIL(err, SC_E_FORMAT, "%s: the chat template holds a NUL character", where);
    mem_free(m->chat_template);
    m->chat_template = mem_strndup(text, len);
    return SC_OK;
}

static bool is_pickle(const char *path)
{
    static const char *const suffix[] = { ".bin", ".pt", ".pth", ".ckpt", ".pkl" };
    for (size_t i = 0; i < sizeof suffix / sizeof suffix[0]; i++)
        if (path_ends_with(path, suffix[i])) return true;
    return false;
}

static sc_status file_open(struct model_file *m, sc_error *err)
{
    struct mapped_file f;
    if (path_ends_with(m->path, ".safetensors"))
        return FAIL(err, SC_E_UNSUPPORTED, "%s holds tensors only; give the directory that has its config.json", m->path);
    TRY(model_file_map(m, &f, m->path, err));
    if (f.size >= 4 && memcmp(f.data, "GGUF", 4) == 0) return gguf_parse(m, f.data, f.size, m->path, err);
    if (is_pickle(m->path))
        return FAIL(err, SC_E_UNSUPPORTED, "%s is a pickle, which can run code when read; convert it to safetensors", m->path);
    return FAIL(err, SC_E_FORMAT, "%s is no model: expected a file that starts with \"GGUF\" or a directory with config.json", m->path);
}

sc_status model_file_open(struct model_file **out, const char *path, bool headers_only, sc_error *err)
{
    *out = NULL;
    bool is_directory = path_is_directory(path);
    struct model_file *m = model_file_new(is_directory ? MODEL_HF : MODEL_GGUF, path);
    sc_status status = is_directory ? hf_directory_open(m, headers_only, err) : file_open(m, err);
    if (status == SC_OK) status = model_file_index_tensors(m, err);
    if (status != SC_OK) { model_file_close(m); return status; }
    *out = m;
    return SC_OK;
}

sc_status adapter_file_open(struct model_file **out, const char *directory, sc_error *err)
{
    *out = NULL;
    struct model_file *m = model_file_new(MODEL_HF, directory);
    sc_status status = path_is_directory(directory) ? hf_adapter_open(m, err)
                     : FAIL(err, SC_E_IO, "%s is no directory; an adapter is a directory with adapter_config.json and adapter_model.safetensors", directory);
    if (status == SC_OK) status = model_file_index_tensors(m, err);
    if (status != SC_OK) { model_file_close(m); return status; }
    *out = m;
    return SC_OK;
}

sc_status tensor_file_open(struct model_file **out, const char *path, sc_error *err)
{
    struct mapped_file f;
    *out = NULL;
    struct model_file *m = model_file_new(MODEL_HF, path);
    sc_status status = model_file_map(m, &f, path, err);
    if (status == SC_OK) status = safetensors_parse(m, f.data, f.size, path, err);
    if (status == SC_OK) status = model_file_index_tensors(m, err);
    if (status != SC_OK) { model_file_close(m); return status; }
    *out = m;
    return SC_OK;
}
