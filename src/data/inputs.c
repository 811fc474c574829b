/* inputs.c - what the user named: a file, a directory (all files in it that hold data, sorted), or a glob; with ":0.5"
 * behind it a weight. */
#include "data/reader_internal.h"

#include <dirent.h>
#include <glob.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { DEPTH_MAX = 16 };

static bool ends_with_any(const char *path, const char *const *endings)
{
    size_t len = strlen(path);
    for (; *endings; endings++) {
        size_t n = strlen(*endings);
        if (len > n && strcasecmp(path + len - n, *endings) == 0) return true;
    }
    return false;
}

bool path_is_source(const char *path)
{
    static const char *const endings[] = { ".txt", ".md", ".rst", ".tex", ".py", ".c", ".h", ".cc", ".cpp", ".hpp", ".cu", ".java", ".js", ".ts", ".jsx", ".tsx", ".go", ".rs", ".rb", ".php",
        ".sh", ".bash", ".pl", ".lua", ".r", ".jl", ".scala", ".kt", ".swift", ".cs", ".hs", ".ml", ".sql", ".html", ".css", ".xml", ".yaml", ".yml", ".toml", ".ini", ".cmake", ".asm", ".s", NULL };
    return ends_with_any(path, endings);
}

bool path_is_table(const char *path)
{
    static const char *const endings[] = { ".parquet", ".arrow", ".csv", ".tsv", ".csv.gz", ".tsv.gz", NULL };
    return ends_with_any(path, endings);
}

static bool holds_data(const char *path)
{
    static const char *const endings[] = { ".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".json.zst", ".jsonl.zst", ".gz", ".zst", NULL };
    return ends_with_any(path, endings) || path_is_table(path) || path_is_source(path);
}

static void put(struct input_list *l, const char *path, double weight)
{
    if (l->len == l->cap) l->file = mem_grow(l->file, (l->cap = 2 * l->cap + 8) * sizeof *l->file);
    struct stat st;
    l->file[l->len++] = (struct input_file){ .path = mem_strdup(path), .weight = weight, .bytes = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0 };
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }
static int is_visible(const struct dirent *e) { return e->d_name[0] != '.'; }

static void put_directory(struct input_list *l, const char *path, double weight, int depth)
{
    struct dirent **entry = NULL;
    int n = depth < DEPTH_MAX ? scandir(path, &entry, is_visible, by_name) : 0;
    for (int i = 0; i < n; i++) {
        char *inside = path_join(path, entry[i]->d_name);
        if (path_is_directory(inside)) put_directory(l, inside, weight, depth + 1);
        else if (holds_data(inside)) put(l, inside, weight);
        mem_free(inside);
        free(entry[i]);
    }
    free(entry);
}

static void put_path(struct input_list *l, const char *path, double weight)
{
    if (path_is_directory(path)) put_directory(l, path, weight, 0);
    else put(l, path, weight);
}

/* "PATH:0.5" where PATH is there or is a glob, and the whole name is not. */
static char *split_weight(const char *input, double *weight)
{
    const char *colon = strrchr(input, ':');
    char *end;
    *weight = 1;
    if (!colon || !colon[1] || path_exists(input)) return mem_strdup(input);
    double value = strtod(colon + 1, &end);
    if (*end || !isfinite(value) || value < 0) return mem_strdup(input);
    *weight = value;
    return mem_strndup(input, (size_t)(colon - input));
}

static sc_status put_input(struct input_list *l, const char *input, sc_error *err)
{
    double weight;
    char *path = split_weight(input, &weight);
    size_t before = l->len;
    glob_t found = { 0 };
    if (path_exists(path)) put_path(l, path, weight);
    else if (strpbrk(path, "*?[") && glob(path, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++) put_path(l, found.gl_pathv[i], weight);
    globfree(&found);
    sc_status status = SC_OK;
    if (!path_exists(path) && l->len == before) status = FAIL(err, SC_E_IO, "%s is not there, expected a file, a directory or a pattern such as data/*.jsonl", input);
    else if (l->len == before) status = FAIL(err, SC_E_FORMAT, "%s holds no file of a known kind (.jsonl, .json, .gz, .zst, .parquet, .csv, .txt, source code)", input);
    mem_free(path);
    return status;
}

sc_status inputs_expand(struct input_list *out, const char *const *inputs, size_t n, sc_error *err)
{
    *out = (struct input_list){ 0 };
    if (!n) return FAIL(err, SC_E_ARGUMENT, "no input is named, expected files, directories or patterns");
    for (size_t i = 0; i < n; i++) TRY(put_input(out, inputs[i], err));
    return SC_OK;
}

void inputs_release(struct input_list *l)
{
    for (size_t i = 0; i < l->len; i++) mem_free(l->file[i].path);
    mem_free(l->file);
    *l = (struct input_list){ 0 };
}
