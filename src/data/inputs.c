/* inputs.c - what the user named, as a list of files: files, directories, globs (also ** for any depth), each with a
 * weight. The order is that of the names, and sorted by bytes within a directory or a glob. */
#include "reader_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { PATH_DEPTH = 32 };
static const double weight_max = 1000;

/* ---- kinds by name ---------------------------------------------------------------------------------------------------------------- */

static bool is_one_of(const char *word, size_t len, const char *list)
{
    for (const char *at = list; *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");
        if (n == len && strncasecmp(at, word, n) == 0) return true;
        at += n;
    }
    return false;
}

enum name_kind name_kind_of(const char *path)
{
    static const char source[] = "txt text md markdown rst tex adoc org py pyi pyx c h cc cpp cxx hpp hh hxx cu cuh m mm java js mjs cjs jsx ts tsx go rs rb php pl pm sh bash zsh fish lua r jl "
                                 "scala kt kts swift cs fs hs ml mli ex exs erl clj lisp el scm v sv vhd vhdl sql html htm css scss less xml yaml yml toml ini cfg cmake mk proto thrift asm s f f90 f95 "
                                 "pas ada adb ads d nim zig dart vue svelte tf ps1 bat awk vim diff patch log";
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *end = name + strlen(name), *dot;
    for (;;) {
        for (dot = end - 1; dot > name && *dot != '.'; dot--) { }
        if (dot <= name) return is_one_of(name, (size_t)(end - name), "Makefile Dockerfile") ? NAME_TEXT : NAME_OTHER;
        if (!is_one_of(dot + 1, (size_t)(end - dot - 1), "gz zst zstd")) break;
        end = dot;
    }
    size_t len = (size_t)(end - dot - 1);
    if (is_one_of(dot + 1, len, "json")) return NAME_JSON;
    if (is_one_of(dot + 1, len, "jsonl ndjson")) return NAME_LINES;
    if (is_one_of(dot + 1, len, "csv")) return NAME_CSV;
    if (is_one_of(dot + 1, len, "tsv")) return NAME_TSV;
    if (is_one_of(dot + 1, len, "parquet")) return NAME_TABLE;
    if (is_one_of(dot + 1, len, "arrow arrows feather")) return NAME_ARROW;
    return is_one_of(dot + 1, len, source) ? NAME_TEXT : NAME_OTHER;
}

/* Results of map and filter that Hugging Face's datasets keeps beside a data set: its rows once more, or numbers of rows. */
static bool is_kept_result(const char *path, const char *name)
{
    bool is_named = strncmp(name, "cache-", 6) == 0 && path_ends_with(name, ".arrow"), is_beside = false;
    static const char *const descriptions[] = { "state.json", "dataset_info.json" };
    for (size_t i = 0; i < 2 && is_named && !is_beside; i++) {
        char *directory = mem_strndup(path, (size_t)(name - path)), *description = path_join(name == path ? "." : directory, descriptions[i]);
        is_beside = path_exists(description);
        mem_free(directory);
        mem_free(description);
    }
    return is_beside;
}

/* Files that describe a data set and hold none of it, as Hugging Face's datasets writes them. */
static bool is_description(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    return is_one_of(name, strlen(name), "dataset_info.json dataset_infos.json dataset_dict.json state.json") || is_kept_result(path, name);
}

/* ---- the list ------------------------------------------------------------------------------------------------------------------------- */

static void list_push(struct input_list *l, char *path, size_t input)
{
    struct stat st;
    if (l->n_files == l->cap) l->file = mem_grow(l->file, (l->cap = l->cap ? 2 * l->cap : 16) * sizeof *l->file);
    l->file[l->n_files++] = (struct input_file) { path, input, stat(path, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0 };
}

void input_list_release(struct input_list *l)
{
    for (size_t i = 0; i < l->n_files; i++) mem_free(l->file[i].path);
    mem_free(l->file);
    mem_free(l->weight);
    *l = (struct input_list) { 0 };
}

static int entry_order(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }
static int entry_is_seen(const struct dirent *e) { return e->d_name[0] != '.'; }

/* All files below `path`; links to directories are not followed, so that no circle can arise. */
static sc_status directory_walk(struct input_list *l, const char *path, size_t input, int depth, sc_error *err)
{
    struct dirent **entries = NULL;
    sc_status status = SC_OK;
    if (depth > PATH_DEPTH) return FAIL(err, SC_E_ARGUMENT, "%s: directories are nested deeper than %d levels", path, PATH_DEPTH);
    int n = scandir(path, &entries, entry_is_seen, entry_order);
    if (n < 0) return FAIL(err, SC_E_IO, "the directory %s cannot be read: %s", path, strerror(errno));
    for (int i = 0; i < n; i++) {
        struct stat st;
        char *inner = path_join(path, entries[i]->d_name);
        bool is_there = status == SC_OK && lstat(inner, &st) == 0;
        if (is_there && S_ISDIR(st.st_mode)) status = directory_walk(l, inner, input, depth + 1, err);
        if (is_there && !S_ISDIR(st.st_mode) && stat(inner, &st) == 0 && S_ISREG(st.st_mode)) list_push(l, inner, input);
        else mem_free(inner);
        free(entries[i]);
    }
    free(entries);
    return status;
}

/* Of the files from `begin` on, those that hold data; where there is none, text and source code. */
static void directory_choose(struct input_list *l, size_t begin)
{
    bool has_data = false;
    size_t to = begin;
    for (size_t i = begin; i < l->n_files; i++) {
        enum name_kind kind = name_kind_of(l->file[i].path);
        has_data |= kind != NAME_OTHER && kind != NAME_TEXT && !is_description(l->file[i].path);
    }
    for (size_t i = begin; i < l->n_files; i++) {
        enum name_kind kind = name_kind_of(l->file[i].path);
        bool is_wanted = has_data ? kind != NAME_OTHER && kind != NAME_TEXT && !is_description(l->file[i].path) : kind == NAME_TEXT;
        if (is_wanted) l->file[to++] = l->file[i];
        else mem_free(l->file[i].path);
    }
    l->n_files = to;
}

static sc_status directory_add(struct input_list *l, const char *path, size_t input, sc_error *err)
{
    size_t begin = l->n_files;
    TRY(directory_walk(l, path, input, 0, err));
    directory_choose(l, begin);
    if (l->n_files > begin) return SC_OK;
    return FAIL(err, SC_E_ARGUMENT, "%s has no file of a known kind; expected .jsonl, .json, .parquet, .arrow, .csv, .tsv (also .gz, .zst) or text and source code", path);
}

/* Stars at `stars` stand for directories of any depth: all files below whose last parts match the rest of the pattern. */
static sc_status deep_glob(struct input_list *l, const char *pattern, const char *stars, size_t input, sc_error *err)
{
    size_t begin = l->n_files, to = begin, root = (size_t)(stars - pattern);
    const char *tail = stars + 3;
    char *directory = root ? mem_strndup(pattern, root > 1 ? root - 1 : root) : mem_strdup(".");
    sc_status status = directory_walk(l, directory, input, 0, err);
    for (size_t i = begin; i < l->n_files; i++) {
        bool fits = false;
        for (const char *at = l->file[i].path + strlen(directory); at && !fits; at = strchr(at + 1, '/')) fits = fnmatch(tail, at + (*at == '/'), FNM_PATHNAME) == 0;
        if (fits) l->file[to++] = l->file[i];
        else mem_free(l->file[i].path);
    }
    l->n_files = to;
    mem_free(directory);
    return status;
}

static sc_status glob_add(struct input_list *l, const char *pattern, size_t input, sc_error *err)
{
    glob_t found = { 0 };
    const char *stars = strstr(pattern, "**/");
    size_t begin = l->n_files;
    sc_status status = SC_OK;
    if (stars && (stars == pattern || stars[-1] == '/')) status = deep_glob(l, pattern, stars, input, err);
    else if (glob(pattern, GLOB_BRACE, NULL, &found) == GLOB_NOSPACE) status = FAIL(err, SC_E_MEMORY, "%s matches too many files", pattern);
    for (size_t i = 0; i < found.gl_pathc && status == SC_OK; i++) {
        if (path_is_directory(found.gl_pathv[i])) status = directory_add(l, found.gl_pathv[i], input, err);
        else list_push(l, mem_strdup(found.gl_pathv[i]), input);
    }
    globfree(&found);
    if (status == SC_OK && l->n_files == begin) return FAIL(err, SC_E_IO, "%s: no file matches", pattern);
    return status;
}

/* ---- weights ---------------------------------------------------------------------------------------------------------------------------- */

/* Cuts ":0.5" off; a name that exists as it stands has no weight. */
static sc_status weight_cut(char *name, double *weight, sc_error *err)
{
    char *colon = strrchr(name, ':'), *end;
    *weight = 1;
    if (!colon || !colon[1] || path_exists(name)) return SC_OK;
    double w = strtod(colon + 1, &end);
    if (*end) return SC_OK;
    if (!(w > 0 && w <= weight_max)) return FAIL(err, SC_E_ARGUMENT, "%s: the weight %s is not above 0 and at most %g", name, colon + 1, weight_max);
    *weight = w;
    *colon = 0;
    return SC_OK;
}

static sc_status input_add(struct input_list *l, char *name, size_t input, sc_error *err)
{
    TRY(weight_cut(name, &l->weight[input], err));
    if (!*name) return FAIL(err, SC_E_ARGUMENT, "an input has no name");
    if (path_is_directory(name)) return directory_add(l, name, input, err);
    if (!path_exists(name) && strpbrk(name, "*?[{")) return glob_add(l, name, input, err);
    if (!path_exists(name)) return FAIL(err, SC_E_IO, "%s is not there, expected a file, a directory or a pattern such as data/*.jsonl", name);
    list_push(l, mem_strdup(name), input);
    return SC_OK;
}

sc_status input_list_read(struct input_list *out, const struct reader_config *c, sc_error *err)
{
    sc_status status = SC_OK;
    *out = (struct input_list) { .weight = mem_zero(c->n_inputs + 1, sizeof *out->weight), .n_inputs = c->n_inputs };
    if (!c->n_inputs) status = FAIL(err, SC_E_ARGUMENT, "there is no input; expected files, directories or globs");
    for (size_t i = 0; i < c->n_inputs && status == SC_OK; i++) {
        char *name = mem_strdup(c->inputs[i]);
        status = input_add(out, name, i, err);
        mem_free(name);
    }
    if (status != SC_OK) input_list_release(out);
    return status;
}
