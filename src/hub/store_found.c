/* store_found.c - models that other programs on this machine already have, where they keep them. Sources: Ollama, docs/faq.mdx and
 * docs/import.mdx (its store: manifests/HOST/NAMESPACE/MODEL/TAG name blobs/sha256-HEX); llama.cpp, README of `llama-cli` (LLAMA_CACHE);
 * huggingface_hub, "Understand caching". */
#include "hub/hub.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { OLLAMA_MANIFEST_MAX = 1 << 20, FOUND_MAX = 10000 };
#define OLLAMA_MODEL "application/vnd.ollama.image.model"

/* Calls `visit` for each entry of a directory that does not begin with a dot. */
static void each_entry(const char *directory, void (*visit)(void *user, const char *path, const char *name), void *user)
{
    DIR *d = opendir(directory);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.') continue;
        char *path = path_join(directory, e->d_name);
        visit(user, path, e->d_name);
        mem_free(path);
    }
    if (d) closedir(d);
}

static void add_size(void *user, const char *path, const char *name)
{
    struct stat st;
    (void)name;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) *(json_int_t *)user += st.st_size;
}

/* A built-in name means one model: others are told by whose they are. */
static char *own_name(const char *name, const char *from)
{
    struct buf b;
    buf_init(&b, 0);
    if (builtin_find(name)) buf_printf(&b, "%s/", from);
    buf_puts(&b, name);
    for (char *p = b.data; builtin_find(name) && *p != '/'; p++) *p = *p == ' ' ? '-' : (char)tolower((unsigned char)*p);
    return b.data;
}

static void put(json_t *rows, const char *given, const char *path, const char *from, const char *sha256, bool is_ready)
{
    json_int_t bytes = 0;
    if (json_array_size(rows) >= FOUND_MAX || name_check(given, NULL) != SC_OK || !path_exists(path)) return;
    char *name = own_name(given, from);
    if (path_is_directory(path)) each_entry(path, add_size, &bytes);
    else add_size(&bytes, path, NULL);
    json_t *row = json_pack("{s:s, s:s, s:I, s:s, s:s, s:b}", "name", name, "path", path, "bytes", bytes, "from", from, "sha256", sha256, "ready", is_ready);
    if (row) json_array_append_new(rows, row);
    mem_free(name);
}

/* $VARIABLE, else a path below the home of this user; NULL without either. */
static char *place(const char *variable, const char *below_home)
{
    const char *own = variable ? getenv(variable) : NULL, *home = getenv("HOME");
    if (own && *own) return mem_strdup(own);
    return home && *home ? path_join(home, below_home) : NULL;
}

/* ---- Ollama ------------------------------------------------------------------------------------------------------------------- */

sc_status ollama_layer(char sha256[65], const char *text, size_t len, const char *what, sc_error *err)
{
    json_t *root = NULL;
    const json_t *layer, *found = NULL;
    size_t i;
    TRY(json_read(&root, text, len, what, err));
    json_array_foreach(json_object_get(root, "layers"), i, layer) {
        const char *type = json_string_value(json_object_get(layer, "mediaType"));
        if (type && !strcmp(type, OLLAMA_MODEL) && !found) found = layer;
    }
    const char *digest = json_string_value(json_object_get(found, "digest"));
    sc_status status = SC_OK;
    if (!found) status = FAIL(err, SC_E_FORMAT, "%s has no layer of the type " OLLAMA_MODEL, what);
    else if (!digest || strncmp(digest, "sha256:", 7) != 0 || !hex_is_valid(digest + 7, 64)) status = FAIL(err, SC_E_FORMAT, "%s: the model's digest is not sha256: and 64 hex digits", what);
    else memcpy(sha256, digest + 7, 65);
    json_decref(root);
    return status;
}

struct ollama { json_t *rows; const char *blobs, *host, *space, *model; };

static void ollama_tag(void *user, const char *path, const char *tag)
{
    struct ollama *o = user;
    sc_text text = { 0 };
    char sha256[65], file[80];
    if (file_read(&text, path, OLLAMA_MANIFEST_MAX, NULL) != SC_OK) return;
    if (ollama_layer(sha256, text.data, text.len, path, NULL) == SC_OK) {
        struct buf name;
        buf_init(&name, 0);
        if (strcmp(o->host, "registry.ollama.ai") != 0) buf_printf(&name, "%s/", o->host);
        if (strcmp(o->space, "library") != 0) buf_printf(&name, "%s/", o->space);
        buf_printf(&name, "%s:%s", o->model, tag);
        snprintf(file, sizeof file, "sha256-%s", sha256);
        char *blob = path_join(o->blobs, file);
        put(o->rows, name.data, blob, "Ollama", sha256, false);
        mem_free(blob);
        buf_release(&name);
    }
    sc_text_free(&text);
}

static void ollama_model(void *user, const char *path, const char *name)
{
    ((struct ollama *)user)->model = name;
    each_entry(path, ollama_tag, user);
}

static void ollama_space(void *user, const char *path, const char *name)
{
    ((struct ollama *)user)->space = name;
    each_entry(path, ollama_model, user);
}

static void ollama_host(void *user, const char *path, const char *name)
{
    ((struct ollama *)user)->host = name;
    each_entry(path, ollama_space, user);
}

static void find_ollama(json_t *rows, const char *directory)
{
    char *manifests = path_join(directory, "manifests"), *blobs = path_join(directory, "blobs");
    struct ollama o = { .rows = rows, .blobs = blobs };
    each_entry(manifests, ollama_host, &o);
    mem_free(manifests);
    mem_free(blobs);
}

static void find_all_ollama(json_t *rows)
{
    char *own = place("OLLAMA_MODELS", ".ollama/models");
    if (own) find_ollama(rows, own);
    mem_free(own);
    if (!getenv("OLLAMA_MODELS")) find_ollama(rows, "/usr/share/ollama/.ollama/models");       /* of the service that its installer makes */
}

/* ---- directories of .gguf files -------------------------------------------------------------------------------------------------- */

struct ggufs { json_t *rows; const char *from; int depth; };

/* The first file of several, and no file that is no language model of its own. */
static bool is_model_file(const char *name)
{
    const char *of = strstr(name, "-of-");
    bool is_later_part = of && of - name >= 5 && memcmp(of - 5, "00001", 5) != 0;
    return path_ends_with(name, ".gguf") && strncmp(name, "mmproj", 6) != 0 && !is_later_part;
}

static void gguf_entry(void *user, const char *path, const char *name)
{
    struct ggufs *g = user;
    if (is_model_file(name)) {
        char *stem = mem_strndup(name, strlen(name) - strlen(".gguf"));
        for (char *p = stem; *p; p++)
            if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 127 || *p == '\\' || *p == '%') *p = '_';
        put(g->rows, stem, path, g->from, "", false);
        mem_free(stem);
    } else if (g->depth > 0 && path_is_directory(path)) {
        g->depth--;
        each_entry(path, gguf_entry, g);
        g->depth++;
    }
}

static void find_ggufs(json_t *rows, char *directory, const char *from, int depth)
{
    struct ggufs g = { rows, from, depth };
    if (directory) each_entry(directory, gguf_entry, &g);
    mem_free(directory);
}

static void find_llama_cpp(json_t *rows)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    bool has_own = getenv("LLAMA_CACHE") && *getenv("LLAMA_CACHE");
    find_ggufs(rows, !has_own && cache && *cache ? path_join(cache, "llama.cpp") : place("LLAMA_CACHE", ".cache/llama.cpp"), "llama.cpp", 0);
}

/* ---- huggingface_hub ---------------------------------------------------------------------------------------------------------------- */

struct snapshot { json_t *rows; const char *repo; };

static void snapshot_entry(void *user, const char *path, const char *name)
{
    struct snapshot *s = user;
    if (!is_model_file(name)) return;
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "%s:%s", s->repo, name);
    put(s->rows, b.data, path, "huggingface_hub", "", true);
    buf_release(&b);
}

static void repository(void *user, const char *path, const char *name)
{
    (void)path;
    const char *rest = strncmp(name, "models--", 8) == 0 ? strstr(name + 8, "--") : NULL;
    if (!rest) return;
    struct buf repo;
    buf_init(&repo, 0);
    buf_printf(&repo, "%.*s/%s", (int)(rest - name - 8), name + 8, rest + 2);
    struct snapshot s = { user, repo.data };
    struct hub_cache cache = { 0 };
    char commit[41], *snapshots = NULL, *directory = NULL;
    if (repo_id_is_valid(repo.data, repo.len) && hub_cache_open(&cache, false, repo.data, NULL) == SC_OK && hub_cache_commit(commit, &cache, "main")) {
        snapshots = path_join(cache.repo, "snapshots");
        directory = path_join(snapshots, commit);
        each_entry(directory, snapshot_entry, &s);
        struct model_source source = { 0 };
        char *model = source_parse(&source, repo.data, NULL, NULL) == SC_OK ? cache_find_model(&source) : NULL;
        if (model && path_is_directory(model)) put(user, repo.data, model, "huggingface_hub", "", true);
        mem_free(model);
        source_release(&source);
    }
    hub_cache_release(&cache);
    mem_free(snapshots);
    mem_free(directory);
    buf_release(&repo);
}

/* ---- all ------------------------------------------------------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
    const json_t *const *x = a, *const *y = b;
    int order = strcmp(json_string_value(json_object_get(*x, "name")), json_string_value(json_object_get(*y, "name")));
    return order ? order : strcmp(json_string_value(json_object_get(*x, "path")), json_string_value(json_object_get(*y, "path")));
}

static json_t *sorted(json_t *rows)
{
    size_t n = json_array_size(rows);
    json_t **at = mem_alloc((n + 1) * sizeof(json_t *)), *out = json_array();
    for (size_t i = 0; i < n; i++) at[i] = json_array_get(rows, i);
    qsort(at, n, sizeof *at, by_name);
    for (size_t i = 0; i < n; i++) json_array_append(out, at[i]);
    mem_free(at);
    json_decref(rows);
    return out;
}

sc_status sc_store_found(sc_text *json, sc_error *err)
{
    (void)err;
    json_t *rows = json_array();
    char *cache = hub_cache_directory();
    find_all_ollama(rows);
    find_llama_cpp(rows);
    find_ggufs(rows, place(NULL, ".lmstudio/models"), "LM Studio", 2);
    find_ggufs(rows, place(NULL, ".cache/lm-studio/models"), "LM Studio", 2);
    if (cache) each_entry(cache, repository, rows);
    mem_free(cache);
    rows = sorted(rows);
    sc_status status = json_write(json, rows, false);
    json_decref(rows);
    return status;
}
