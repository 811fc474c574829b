/* lineage_origin.c - what went into a step: its files with their digests, and what is known of where they come from. */
#include "lineage/lineage.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { PIECE = 8 << 20, MANIFEST_MAX = 16 << 20, README_MAX = 4 << 20, UP_MAX = 2 };

/* ---- digests --------------------------------------------------------------------------------------------------------------------- */

sc_status lineage_digest(char hex[65], uint64_t *bytes, const char *path, sc_error *err)
{
    struct mapped_file f;
    struct sha256 s;
    TRY(file_map(&f, path, err));
    sha256_begin(&s);
    for (size_t at = 0, n; at < f.size; at += n) {         /* read pages count as memory of the process: let go of them */
        n = f.size - at < PIECE ? f.size - at : PIECE;
        sha256_add(&s, f.data + at, n);
        file_forget(f.data + at, n);
    }
    sha256_end(&s, hex);
    if (bytes) *bytes = f.size;
    file_unmap(&f);
    return SC_OK;
}

static json_t *file_entry(const char *name, uint64_t bytes, const char *hex)
{
    return json_pack("{s:s, s:I, s:s}", "name", name, "bytes", (json_int_t)bytes, "sha256", hex);
}

char *lineage_settings(const char *path)
{
    json_t *config = NULL;
    struct sha256 s;
    char hex[65], *text;
    if (json_read_file(&config, path, README_MAX, NULL) != SC_OK) return NULL;
    json_object_del(config, "base_model_name_or_path");
    text = json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(15));
    json_decref(config);
    if (!text) return NULL;
    sha256_begin(&s);
    sha256_add(&s, text, strlen(text));
    sha256_end(&s, hex);
    mem_free(text);
    return mem_strdup(hex);
}

static sc_status add_file(json_t *files, const char *directory, const char *name, sc_error *err)
{
    char *path = path_join(directory, name), hex[65];
    uint64_t bytes = 0;
    sc_status status = lineage_digest(hex, &bytes, path, err);
    json_t *entry = status == SC_OK ? file_entry(name, bytes, hex) : NULL;
    char *settings = entry && strcmp(name, "adapter_config.json") == 0 ? lineage_settings(path) : NULL;
    if (settings) json_object_set_new(entry, "settings", json_string(settings));
    if (entry) json_array_append_new(files, entry);
    mem_free(settings);
    mem_free(path);
    return status;
}

/* ---- which files ------------------------------------------------------------------------------------------------------------------ */

static bool is_of_model(const char *name)
{
    static const char *const names[] = { "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "dialogue_template.json",
                                         "chat_template.jinja", "chat_template.json", "vocab.json", "merges.txt", "adapter_config.json", "adapter_model.safetensors", "model.safetensors.index.json", LINEAGE_JOURNAL };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return (strncmp(name, "model", 5) == 0 && path_ends_with(name, ".safetensors")) || path_ends_with(name, ".gguf");
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

sc_status lineage_names(json_t **out, const char *directory, sc_error *err)
{
    DIR *d = opendir(directory);
    char **name = NULL;
    size_t n = 0;
    if (!d) return FAIL(err, SC_E_IO, "cannot read the directory %s: %s", directory, strerror(errno));
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        if (!is_of_model(e->d_name) || !utf8_is_valid(e->d_name, strlen(e->d_name))) continue;
        name = mem_grow(name, (n + 1) * sizeof *name);
        name[n++] = mem_strdup(e->d_name);
    }
    closedir(d);
    if (n) qsort(name, n, sizeof *name, by_name);
    *out = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(*out, json_string(name[i]));
        mem_free(name[i]);
    }
    mem_free(name);
    return SC_OK;
}

sc_status lineage_files(json_t **out, const char *directory, sc_error *err)
{
    json_t *names = NULL, *files = json_array();
    const json_t *name;
    size_t i;
    sc_status status = lineage_names(&names, directory, err);
    json_array_foreach(names, i, name)
        if (status == SC_OK) status = add_file(files, directory, json_string_value(name), err);
    json_decref(names);
    if (status == SC_OK) *out = files;
    else json_decref(files);
    return status;
}

/* ---- where it comes from ------------------------------------------------------------------------------------------------------------ */

const char *lineage_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static char *directory_of(const char *path)
{
    if (path_is_directory(path)) return mem_strdup(path);
    const char *slash = strrchr(path, '/');
    return !slash ? mem_strdup(".") : mem_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* The store's manifest in a directory; NULL where there is none that could be one. */
static json_t *manifest_of(const char *directory)
{
    json_t *manifest = NULL;
    char *path = path_join(directory, "manifest.json");
    if (path_exists(path) && json_read_file(&manifest, path, MANIFEST_MAX, NULL) != SC_OK) manifest = NULL;
    mem_free(path);
    if (json_is_string(json_object_get(manifest, "name")) && json_is_array(json_object_get(manifest, "files"))) return manifest;
    json_decref(manifest);
    return NULL;
}

const json_t *lineage_file_of(const json_t *files, const char *name)
{
    size_t i;
    const json_t *file;
    json_array_foreach(files, i, file) {
        const char *is = json_string_value(json_object_get(file, "name"));
        if (is && strcmp(is, name) == 0) return file;
    }
    return NULL;
}

/* A manifest lies with copies too, and stays when they are changed: it tells of the files that it has the digests of and of no others. A .gguf file that lies with a model
 * of a directory is no part of that. */
static bool vouches(const json_t *manifest, const json_t *files, bool is_directory)
{
    size_t i;
    const json_t *file;
    json_array_foreach(files, i, file) {
        const char *name = json_string_value(json_object_get(file, "name")), *is = json_string_value(json_object_get(file, "sha256"));
        const json_t *listed = name ? lineage_file_of(json_object_get(manifest, "files"), name) : NULL;
        const char *said = json_string_value(json_object_get(listed, "sha256"));
        if (!listed && name && is_directory && path_ends_with(name, ".gguf")) continue;
        if (!is || !said || strcasecmp(is, said) != 0) return false;
    }
    return true;
}

char *lineage_licence_of(const char *readme, size_t len)
{
    const char *end = len > 4 && strncmp(readme, "---\n", 4) == 0 ? memmem(readme + 3, len - 3, "\n---", 4) : NULL;
    json_t *header = NULL;
    char *licence = NULL;
    if (!end || yaml_read(&header, NULL, readme + 4, end > readme + 4 ? (size_t)(end - readme - 4) : 0, "the header", NULL) != SC_OK) return NULL;
    const json_t *value = json_object_get(header, "license");
    if (json_is_array(value)) value = json_array_get(value, 0);
    if (json_is_string(value)) licence = mem_strdup(json_string_value(value));
    json_decref(header);
    return licence;
}

static void set_licence(json_t *origin, const char *directory)
{
    char *path = path_join(directory, "README.md"), *licence = NULL;
    sc_text text = { 0 };
    if (path_exists(path) && file_read(&text, path, README_MAX, NULL) == SC_OK) licence = lineage_licence_of(text.data, text.len);
    if (licence && *licence) json_object_set_new(origin, "licence", json_string(licence));
    sc_text_free(&text);
    mem_free(licence);
    mem_free(path);
}

/* Where the record of `out` will stand: the directory, also one that is not there yet, or that of a .gguf file. free it; NULL: unknown. */
static char *place_of(const char *out)
{
    char *text = mem_strdup(out), *real, *parent, *place = NULL;
    for (size_t n = strlen(text); n > 1 && text[n - 1] == '/';) text[--n] = 0;
    char *slash = strrchr(text, '/');
    bool is_file = path_ends_with(text, ".gguf");
    if (!is_file && (real = realpath(text, NULL)) != NULL) { mem_free(text); return real; }
    parent = realpath(!slash ? "." : slash == text ? "/" : (*slash = 0, text), NULL);
    if (is_file || !parent) { mem_free(text); return parent; }
    if (asprintf(&place, "%s/%s", parent, slash ? slash + 1 : text) < 0) place = NULL;
    free(parent);
    mem_free(text);
    return place;
}

/* The way from where the record of `out` stands to `to`, where it is short and goes up no further than UP_MAX: longer ones tell of the machine and not of the model. NULL: none. */
static char *way_to(const char *out, const char *to)
{
    char *a = place_of(out), *b = realpath(to, NULL), *way = NULL;
    if (a && b) {
        size_t same = 0, up = 0, at = 0;
        for (; a[at] && a[at] == b[at]; at++)
            if (a[at] == '/') same = at;
        if (!a[at] && (!b[at] || b[at] == '/')) same = at;
        else if (!b[at] && a[at] == '/') same = at;
        for (const char *p = a + same; *p; p++) up += *p == '/' && p[1];
        const char *rest = b[same] == '/' ? b + same + 1 : b + same;
        struct buf text;
        buf_init(&text, 0);
        for (size_t i = 0; i < up; i++) buf_puts(&text, *rest || i + 1 < up ? "../" : "..");
        buf_puts(&text, *rest ? rest : up ? "" : ".");
        if (same > 0 && up <= UP_MAX && utf8_is_valid(text.data, text.len)) way = text.data;
        else buf_release(&text);
    }
    free(a);
    free(b);
    return way;
}

bool lineage_describe(json_t *origin, const char *path, const json_t *files, const char *out)
{
    char *directory = directory_of(path), *real = realpath(path, NULL);
    json_t *manifest = manifest_of(directory);
    bool is_other = manifest && files && !vouches(manifest, files, path_is_directory(path));
    if (is_other) { json_decref(manifest); manifest = NULL; }
    static const char *const taken[] = { "name", "source", "revision" };
    const char *name = lineage_base_name(real ? real : path);
    json_object_set_new(origin, "name", json_string(utf8_is_valid(name, strlen(name)) ? name : ""));
    for (size_t i = 0; manifest && i < sizeof taken / sizeof *taken; i++) {
        const json_t *text = json_object_get(manifest, taken[i]);
        bool is_path = i == 1 && json_is_string(text) && *json_string_value(text) == '/';       /* pulled from this machine: no source for others */
        if (json_string_length(text) && !is_path) json_object_set(origin, taken[i], (json_t *)(uintptr_t)text);
    }
    if (!is_other) set_licence(origin, directory);
    char *way = out && !manifest ? way_to(out, path) : NULL;
    if (way) json_object_set_new(origin, "at", json_string(way));
    json_decref(manifest);
    mem_free(way);
    mem_free(directory);
    free(real);
    return !is_other;
}

/* ---- models ---------------------------------------------------------------------------------------------------------------------------- */

static void describe_gguf(json_t *origin, const char *path)
{
    static const struct { const char *key, *as; } texts[] = { { "general.license", "licence" }, { "general.source.huggingface.repository", "source" } };
    struct model_file *m = NULL;
    struct gguf_string text;
    if (model_file_open(&m, path, true, NULL) != SC_OK) return;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (gguf_opt_string(&text, m, texts[i].key, NULL) == SC_OK && text.text && text.len && !json_object_get(origin, texts[i].as)) json_object_set_new(origin, texts[i].as, json_stringn(text.text, text.len));
    model_file_close(m);
}

static int depth_of(const json_t *record, int depth)
{
    int most = depth;
    size_t i;
    const json_t *origin;
    json_array_foreach(json_object_get(record, "inputs"), i, origin) {
        const json_t *made = json_object_get(origin, "made");
        int d = made && depth < LINEAGE_DEPTH ? depth_of(made, depth + 1) : depth;
        if (d > most) most = d;
    }
    return most;
}

/* The record that came with it. A damaged one is no reason to refuse work on the weights: it is left out, and a check of that model itself tells. */
static void take_record(json_t *origin, const char *path)
{
    json_t *record = NULL;
    if (lineage_read(&record, path, NULL) != SC_OK || !record) return;
    if (depth_of(record, 0) < LINEAGE_DEPTH) json_object_set_new(origin, "made", record);
    else json_decref(record);
}

/* Whether a GGUF file is still what its own digest says. One that came with a record and lost its digest has been changed by a program that left that out. */
static void take_seal(json_t *origin, const char *path)
{
    char said[65], found[65];
    bool is_read = gguf_seal_check(said, found, path, NULL) == SC_OK;
    if (is_read && !*said && !json_object_get(origin, "made")) return;
    bool is_whole = is_read && *said && strcmp(said, found) == 0;
    json_object_set_new(origin, "seal", json_string(is_whole ? "whole" : is_read && !*said ? "missing" : "broken"));
    if (is_whole || !*found) return;
    json_object_set_new(origin, "seal_said", json_string(said));
    json_object_set_new(origin, "seal_found", json_string(found));
}

sc_status lineage_add_model(json_t *record, const char *role, const char *path, const char *out, sc_error *err)
{
    bool is_directory = path_is_directory(path);
    json_t *origin = json_pack("{s:s, s:s}", "role", role, "kind", !is_directory ? "gguf" : adapter_is_at(path) ? "adapter" : "directory"), *files = NULL;
    char *directory = directory_of(path);
    sc_status status = SC_OK;
    if (is_directory) status = lineage_files(&files, path, err);
    else status = add_file(files = json_array(), directory, lineage_base_name(path), err);
    if (status == SC_OK) {
        bool is_known = lineage_describe(origin, path, files, out);
        if (!is_directory && is_known) describe_gguf(origin, path);
        json_object_set(origin, "files", files);
        take_record(origin, path);
        if (!is_directory) take_seal(origin, path);
        json_array_append(json_object_get(record, "inputs"), origin);
    }
    json_decref(files);
    mem_free(directory);
    json_decref(origin);
    return status;
}
