/* prompt_cache.c - what sessions have read, kept on disk and found again by its tokens, so that a long prompt is read once
 * and not once a start. A prompt is kept as a chain of chunks (prompt_chunk.c), each named by all tokens up to its end and by
 * all that the numbers depend on; so prompts that begin alike share files, and the longest kept beginning is found by
 * asking for one name after another. What comes back has the bits that reading would have given. */
#include "infer/prompt_cache.h"

#include <gnu/libc-version.h>
#include <stdlib.h>
#include <unistd.h>

enum { KEEP_LEAST = 256 };                          /* fewer new tokens are read again as quickly */

/* ---- what the numbers depend on ------------------------------------------------------------------------------------------ */

static void add_text(struct sha256 *hash, const char *text) { sha256_add(hash, text, strlen(text) + 1); }

/* The C library's functions choose by processor too. */
static void add_machine(struct sha256 *hash)
{
    const struct cpu_features *f = system_cpu();
    const bool has[] = { f->avx2, f->fma, f->f16c, f->avx512f, f->avx512bw, f->avx512vl, f->avx512_vnni, f->avx512_bf16, f->avx_vnni, f->amx_int8, f->amx_bf16 };
    char build[48];
    system_build(build);
    add_text(hash, build);
    add_text(hash, gnu_get_libc_version());
    sha256_add(hash, has, sizeof has);
}

static void find_root(sc_prompt_cache *c, const struct session_past *past)
{
    const sc_model *m = past->model;
    if (c->model == m && c->dtype == past->cache->dtype) return;
    struct sha256 hash;
    const size_t sizes[] = { model_vocab(&m->model), (m->base ? m->base : m)->model.packed != NULL, CHUNK_ROWS };
    sha256_begin(&hash);
    add_machine(&hash);
    add_text(&hash, m->runtime->backend->name);
    add_text(&hash, m->runtime->backend->kernels_name(m->runtime->kernels));
    add_text(&hash, m->runtime->activations);
    add_text(&hash, dtypes[past->cache->dtype].name);
    sha256_add(&hash, sizes, sizeof sizes);
    model_file_identify(m->file, &hash);
    if (m->adapter) model_file_identify(m->adapter, &hash);
    sha256_end(&hash, c->root);
    c->model = m;
    c->dtype = past->cache->dtype;
}

/* Names of the first n chunks of id; [0] is the root, [k + 1] that of chunk k. mem_free it. */
static char (*chain(const sc_prompt_cache *c, const int32_t *id, size_t n))[CHUNK_NAME]
{
    char (*name)[CHUNK_NAME] = mem_alloc((n + 1) * sizeof *name);
    memcpy(name[0], c->root, CHUNK_NAME);
    for (size_t k = 0; k < n; k++) chunk_name(name[k + 1], name[k], id + k * CHUNK_ROWS);
    return name;
}

/* ---- restore --------------------------------------------------------------------------------------------------------------- */

struct loading {
    const sc_prompt_cache *c;
    const struct session_past *past;
    const int32_t *id;
    char (*name)[CHUNK_NAME];
    size_t first, size;
    uint8_t **scratch;         /* of each worker, made when it begins */
    const char **wrong;        /* of each chunk from `first` on; NULL: it was loaded */
};

static void load_one(void *arg, size_t i, int worker)
{
    struct loading *l = arg;
    size_t k = l->first + i;
    const int32_t *token = l->id + k * CHUNK_ROWS;
    char *path = chunk_path(l->c, l->name[k + 1]);
    if (!l->scratch[worker]) l->scratch[worker] = mem_alloc(l->size);
    uint8_t *data = l->scratch[worker];
    l->wrong[i] = chunk_read(data, l->size, path) ? chunk_check(data, l->size, l->past->cache, l->name[k], token) : "it cannot be read, or its size is not that of this model's cache";
    if (!l->wrong[i]) chunk_decode(l->past->cache, k * CHUNK_ROWS, data);
    mem_free(path);
}

/* Removes a file that is no use to anybody; the next reading of the prompt writes it anew. */
static void reject(const sc_prompt_cache *c, const sc_model *m, const char *name, const char *why)
{
    char *path = chunk_path(c, name);
    if (path_exists(path)) runtime_detail(m->runtime, "%s of the prompt cache is removed: %s", path, why);
    unlink(path);
    mem_free(path);
}

/* Chunks [first, end) into the session; returns the end of those that were good. */
static size_t load(const sc_prompt_cache *c, const struct session_past *past, const int32_t *id, char (*name)[CHUNK_NAME], size_t first, size_t end)
{
    struct pool *pool = past->model->runtime->pool;
    int workers = pool_threads(pool);
    struct loading l = { c, past, id, name, first, chunk_bytes(past->cache), mem_zero((size_t)workers, sizeof(uint8_t *)), mem_zero(end - first, sizeof(char *)) };
    pool_run(pool, end - first, load_one, &l);
    size_t good = first;
    while (good < end && !l.wrong[good - first]) good++;
    for (size_t k = good; k < end; k++)
        if (l.wrong[k - first]) reject(c, past->model, name[k + 1], l.wrong[k - first]);
    for (int i = 0; i < workers; i++) mem_free(l.scratch[i]);
    mem_free(l.scratch);
    mem_free(l.wrong);
    return good;
}

/* How far the chunks from `first` on are there, at most to `end`; found ones are new again. */
static size_t find(const sc_prompt_cache *c, char (*name)[CHUNK_NAME], size_t first, size_t end)
{
    size_t k = first;
    for (bool is_there = true; k < end && is_there; k += is_there) {
        char *path = chunk_path(c, name[k + 1]);
        is_there = chunk_touch(path, k);
        mem_free(path);
    }
    return k;
}

size_t sc_session_restore(sc_session *s, sc_prompt_cache *c, const int32_t *id, size_t n)
{
    struct session_past past;
    session_past(&past, s);
    size_t same = 0, most = n ? n - 1 : 0;             /* the last token is computed: it gives the logits */
    if (!c || n > past.cache->capacity) return 0;
    while (same < n && same < past.length && past.token[same] == id[same]) same++;
    size_t first = same / CHUNK_ROWS, end = most / CHUNK_ROWS;
    if (end * CHUNK_ROWS <= same) return 0;
    find_root(c, &past);
    char (*name)[CHUNK_NAME] = chain(c, id, end);
    end = find(c, name, first, end);
    if (end * CHUNK_ROWS > same) {
        session_cut(s, same);
        if (session_room(s, first * CHUNK_ROWS, end * CHUNK_ROWS, NULL) != SC_OK) end = first;      /* who reads it says so */
        end = load(c, &past, id, name, first, end);
    }
    mem_free(name);
    if (end * CHUNK_ROWS <= same) return 0;
    session_adopt(s, id, end * CHUNK_ROWS);
    return end * CHUNK_ROWS - same;
}

/* ---- keep ------------------------------------------------------------------------------------------------------------------- */

size_t sc_session_unkept(const sc_session *s, const sc_prompt_cache *c)
{
    struct session_past past;
    session_past(&past, (sc_session *)s);
    if (!c || past.length < past.kept + KEEP_LEAST || !c->max_bytes) return 0;
    size_t fresh = past.length - past.kept;
    return past.seconds_a_token * (double)fresh >= c->least_seconds ? fresh : 0;
}

static sc_status keep_one(const sc_prompt_cache *c, const struct session_past *past, char (*name)[CHUNK_NAME], size_t k, uint8_t *data, sc_error *err)
{
    char *path = chunk_path(c, name[k + 1]);
    sc_status status = SC_OK;
    if (!chunk_touch(path, k)) {
        chunk_encode(data, past->cache, k * CHUNK_ROWS, name[k], past->token + k * CHUNK_ROWS);
        status = chunk_write(c, path, data, chunk_bytes(past->cache), err);
        if (status == SC_OK) chunk_touch(path, k);
    }
    mem_free(path);
    return status;
}

sc_status sc_session_keep(size_t *kept, sc_session *s, sc_prompt_cache *c, bool (*is_over)(void *user), void *user, sc_error *err)
{
    struct session_past past;
    *kept = 0;
    if (!sc_session_unkept(s, c)) return SC_OK;
    session_past(&past, s);
    size_t n = past.length / CHUNK_ROWS, size = chunk_bytes(past.cache), room = (size_t)(c->max_bytes / size), old = past.kept / CHUNK_ROWS, k = 0;
    if (n > room) n = room;
    session_set_kept(s, past.length);                  /* also where it fails: once is enough */
    TRY(prompt_store_make(c, (uint64_t)(n > old ? n - old : 0) * size, err));
    find_root(c, &past);
    char (*name)[CHUNK_NAME] = chain(c, past.token, n);
    uint8_t *data = mem_alloc(size);
    sc_status status = SC_OK;
    for (; k < n && status == SC_OK && !(is_over && is_over(user)); k++) status = keep_one(c, &past, name, k, data, err);
    if (k < n && status == SC_OK) session_set_kept(s, past.kept);   /* ended early: the rest is as worth keeping as it was */
    mem_free(data);
    mem_free(name);
    prompt_store_prune(c);
    *kept = k * CHUNK_ROWS;
    return status;
}
