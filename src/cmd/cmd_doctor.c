/* cmd_doctor.c - what this machine has, what will be used, and what to install for what is missing. */
#include "cmd/cmd.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct finding { const char *name, *found, *use, *install; };   /* found NULL: missing */

static bool has_library(const char *const *names)
{
    for (; *names; names++) {
        void *handle = dlopen(*names, RTLD_LAZY | RTLD_LOCAL);
        if (!handle) continue;
        dlclose(handle);
        return true;
    }
    return false;
}

static bool has_program(const char *name)
{
    const char *path = getenv("PATH");
    char full[4096];
    while (path && *path) {
        size_t n = strcspn(path, ":");
        snprintf(full, sizeof full, "%.*s/%s", (int)n, path, name);
        if (access(full, X_OK) == 0) return true;
        path += n + (path[n] == ':');
    }
    return false;
}

static json_t *runtime_json(const struct opened *o, bool measure, sc_error *err)
{
    sc_text text = { 0 };
    json_t *value = NULL;
    sc_status status = measure ? sc_runtime_measure(&text, o->runtime, err) : sc_runtime_describe(&text, o->runtime);
    if (status == SC_OK) value = json_loadb(text.data, text.len, 0, NULL);
    sc_text_free(&text);
    return value;
}

/* Free bytes of the file system that holds `path`, or the nearest directory above it that exists. */
static double free_disk(const char *path)
{
    char at[4096];
    struct statvfs fs;
    snprintf(at, sizeof at, "%s", path);
    while (statvfs(at, &fs) != 0) {
        char *slash = strrchr(at, '/');
        if (!slash) return 0;
        if (slash == at) return statvfs("/", &fs) == 0 ? (double)fs.f_bavail * (double)fs.f_frsize : 0;
        *slash = 0;
    }
    return (double)fs.f_bavail * (double)fs.f_frsize;
}

static int find_tools(struct finding out[4])
{
    static const char *const mpi[] = { "libmpi.so.40", "libmpi.so.12", "libmpi.so", NULL }, *const cuda[] = { "libcuda.so.1", NULL };
    static char modules[32], found[160];
    bool has_mpi = has_library(mpi), has_mpirun = has_program("mpirun");
    sc_mpi_modules(modules);
    snprintf(found, sizeof found, "library%s, %s%s", has_mpirun ? " and mpirun" : ", but no mpirun", *modules ? "modules: " : "but no module of this program; build it by `make mpi`", modules);
    out[0] = (struct finding){ "MPI", has_mpi ? found : NULL, "training on several machines", "apt install openmpi-bin libopenmpi-dev, then `make mpi`" };
    out[1] = (struct finding){ "CUDA", has_library(cuda) ? "driver" : NULL, "NVIDIA GPUs", "the NVIDIA driver, on a machine with such a GPU" };
    out[2] = (struct finding){ "DuckDB", sc_tables_check(NULL) == SC_OK ? "library" : NULL, "Parquet and CSV data sets", "tools/setup.sh duckdb, or set STARCHAT_DUCKDB to the path of a libduckdb.so" };
    out[3] = (struct finding){ "bubblewrap", has_program("bwrap") ? "program" : NULL, "running generated code in a sandbox", "apt install bubblewrap" };
    return 4;
}

static void print_row(const char *name, const char *text)
{
    printf("%-14s", name);
    print_safe(stdout, text, strlen(text));
    putchar('\n');
}

static void print_machine(const json_t *runtime, const json_t *limits)
{
    char text[512], bytes[32];
    size_t i, n = 0;
    const json_t *feature;
    const char *cpu = json_string_value(json_object_get(runtime, "cpu")), *kernels = json_string_value(json_object_get(runtime, "kernels"));
    print_row("CPU", cpu ? cpu : "unknown");
    text[0] = 0;
    json_array_foreach(json_object_get(runtime, "features"), i, feature)
        if (n < sizeof text) n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? " " : "", json_string_value(feature));
    print_row("features", *text ? text : "none of those that matter here");
    snprintf(text, sizeof text, "%s, %d threads on %d cores", kernels ? kernels : "unknown", (int)json_integer_value(json_object_get(runtime, "threads")),
             (int)json_integer_value(json_object_get(runtime, "cores")));
    print_row("kernels", text);
    format_bytes(bytes, sizeof bytes, json_number_value(json_object_get(runtime, "memory")));
    print_row("memory", bytes);
    if (!limits) return;
    snprintf(text, sizeof text, "%.1f GB/s read", json_number_value(json_object_get(limits, "read_gb_per_second")));
    print_row("bandwidth", text);
    snprintf(text, sizeof text, "%.1f GFLOP/s f32, %.1f GOP/s int8", json_number_value(json_object_get(limits, "f32_gflops")), json_number_value(json_object_get(limits, "int8_gops")));
    print_row("peak", text);
}

/* {"directory","files","bytes","max_bytes"}; NULL where there can be none. */
static json_t *cache_json(void)
{
    sc_prompt_cache_config config;
    sc_prompt_cache *cache = NULL;
    sc_text directory = { 0 }, text = { 0 };
    json_t *value = NULL;
    sc_options_defaults(sc_options_for("prompt_cache"), &config);
    sc_status status = sc_prompt_cache_home(&directory, NULL);
    config.directory = directory.data;
    if (status == SC_OK) status = sc_prompt_cache_open(&cache, &config, NULL);
    if (status == SC_OK && sc_prompt_cache_describe(&text, cache) == SC_OK) value = json_loadb(text.data, text.len, 0, NULL);
    sc_prompt_cache_close(cache);
    sc_text_free(&directory);
    sc_text_free(&text);
    return value;
}

static void print_cache(void)
{
    char text[512], bytes[32];
    json_t *cache = cache_json();
    format_bytes(bytes, sizeof bytes, json_number_value(json_object_get(cache, "bytes")));
    if (cache) snprintf(text, sizeof text, "%s in %s (`starchat cache --clear` removes it)", bytes, json_string_value(json_object_get(cache, "directory")));
    print_row("prompt cache", cache ? text : "cannot be used: `starchat cache` says why");
    json_decref(cache);
}

static void print_plain(const json_t *runtime, const json_t *limits, const struct finding *f, int n, const char *home)
{
    char text[512], bytes[32];
    print_machine(runtime, limits);
    for (int i = 0; i < n; i++) {
        if (f[i].found) snprintf(text, sizeof text, "%s found (%s)", f[i].found, f[i].use);
        else snprintf(text, sizeof text, "missing; for %s: %s", f[i].use, f[i].install);
        print_row(f[i].name, text);
    }
    print_row("models in", home);
    format_bytes(bytes, sizeof bytes, free_disk(home));
    print_row("free disk", bytes);
    print_cache();
}

static void print_json(json_t *runtime, json_t *limits, const struct finding *f, int n, const char *home)
{
    json_t *tools = json_object(), *all;
    for (int i = 0; i < n; i++)
        json_object_set_new(tools, f[i].name, json_pack("{s:b, s:s?, s:s, s:s?}", "found", f[i].found != NULL, "what", f[i].found, "use", f[i].use, "install", f[i].found ? NULL : f[i].install));
    all = json_pack("{s:O?, s:O?, s:o, s:s, s:I}", "runtime", runtime, "limits", limits, "tools", tools, "home", home, "free_disk_bytes", (json_int_t)free_disk(home));
    json_object_set_new(all, "prompt_cache", cache_json());
    char *text = json_dumps(all, JSON_INDENT(2));
    if (text) puts(text);
    free(text);
    json_decref(all);
}

static int run_doctor(const struct command *self, int argc, char **argv)
{
    struct args a;
    struct opened o = { 0 };
    struct finding f[4];
    sc_text home = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code == ARGS_GO) code = open_runtime(&o, &a.common);
    if (code != ARGS_GO) {
        close_model(&o);
        return code;
    }
    json_t *runtime = runtime_json(&o, false, &err), *limits = runtime_json(&o, true, &err);
    if (!limits && err.message[0]) note(&a.common, "starchat: %s", err.message);
    int n = find_tools(f);
    code = sc_store_home(&home, &err) == SC_OK ? EXIT_DONE : fail_with(&a.common, &err);
    const char *where = home.data ? home.data : "";
    if (a.common.json) print_json(runtime, limits, f, n, where);
    else print_plain(runtime, limits, f, n, where);
    json_decref(runtime);
    json_decref(limits);
    sc_text_free(&home);
    close_model(&o);
    return code;
}

static const struct flag flags[] = { FLAG_JSON, FLAG_END };
const struct command command_doctor = {
    .name = "doctor", .operands = "", .summary = "what this machine has, and what is missing", .run = run_doctor, .flags = flags,
};
