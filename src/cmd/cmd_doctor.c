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

/* A path beside the program, where `make install` and the packages put things: program/../PLACE. False: it is not there, as in the source tree. */
static bool beside_program(char *out, size_t out_bytes, const char *place)
{
    char program[2048];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0) return false;
    program[n] = 0;
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(program, '/');
        if (!slash) return false;
        *slash = 0;
    }
    int length = snprintf(out, out_bytes, "%s/%s", program, place);
    return length > 0 && (size_t)length < out_bytes && access(out, R_OK) == 0;
}

static struct finding find_mpi(void)
{
    static const char *const libraries[] = { "libmpi.so.40", "libmpi.so.12", "libmpich.so.12", "libmpi.so", NULL };
    static char modules[32], found[160];
    bool has_mpirun = has_program("mpirun");
    sc_mpi_modules(modules);
    snprintf(found, sizeof found, "library%s, %s%s", has_mpirun ? " and mpirun" : ", but no mpirun",
             *modules ? "modules: " : "but no module of this program: apt install starchat-mpi, or `make mpi` in the source tree", modules);
    return (struct finding){ "MPI", has_library(libraries) ? found : NULL, "training on several machines", "apt install openmpi-bin starchat-mpi, or in the source tree libopenmpi-dev and `make mpi`" };
}

static struct finding find_duckdb(void)
{
    static char install[2300], script[2100];
    bool has_script = beside_program(script, sizeof script, "share/starchat/duckdb.sh");
    snprintf(install, sizeof install, "%s, or set STARCHAT_DUCKDB to the path of a libduckdb.so", has_script ? script : "tools/setup.sh duckdb");
    return (struct finding){ "DuckDB", sc_tables_check(NULL) == SC_OK ? "library" : NULL, "Parquet and CSV data sets", install };
}

/* What a library's own check says; both texts stay until the program ends. */
static struct finding find_checked(const char *name, const char *use, sc_status (*check)(sc_text *, sc_error *), sc_text *found, sc_error *err)
{
    return check(found, err) == SC_OK ? (struct finding){ name, found->data, use, NULL } : (struct finding){ name, NULL, use, err->message };
}

static struct finding find_compilers(void)
{
    static const char *const programs[] = { "g++", "node", "tsc", "go", "javac", "rustc", "lua", "perl", NULL };
    static char found[96], missing[160], use[256];
    size_t n = 0, m = 0;
    for (size_t i = 0; programs[i]; i++)
        if (has_program(programs[i])) n += (size_t)snprintf(found + n, sizeof found - n, "%s%s", n ? ", " : "", programs[i]);
        else m += (size_t)snprintf(missing + m, sizeof missing - m, "%s%s", m ? ", " : "", programs[i]);
    snprintf(use, sizeof use, "benchmarks in languages other than Python%s%s", n && m ? "; not there: " : "", n && m ? missing : "");
    if (!n) snprintf(missing, sizeof missing, "apt install g++ nodejs node-typescript golang-go default-jdk-headless rustc lua5.4 perl, those that you need");
    return (struct finding){ "languages", n ? found : NULL, use, missing };
}

enum { FINDINGS = 7 };

static void find_tools(struct finding out[FINDINGS])
{
    static const char *const cuda[] = { "libcuda.so.1", NULL };
    static sc_text certificates, sandbox;
    static sc_error no_certificates, no_sandbox;
    out[0] = find_checked("certificates", "downloads, judges on servers", sc_certificates_check, &certificates, &no_certificates);
    out[1] = find_mpi();
    out[2] = (struct finding){ "CUDA", has_library(cuda) ? "driver" : NULL, "NVIDIA GPUs", "the NVIDIA driver, on a machine with such a GPU" };
    out[3] = find_duckdb();
    out[4] = find_checked("bubblewrap", "running generated code in a sandbox", sc_sandbox_check, &sandbox, &no_sandbox);
    out[5] = (struct finding){ "Python", has_program("python3") ? "program" : NULL, "judging generated Python, in the sandbox alone", "apt install python3" };
    out[6] = find_compilers();
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

static void print_plain(const json_t *runtime, const json_t *limits, const struct finding *f, const char *home)
{
    char text[4096], bytes[32];
    print_machine(runtime, limits);
    for (int i = 0; i < FINDINGS; i++) {
        if (f[i].found) snprintf(text, sizeof text, "%s found (%s)", f[i].found, f[i].use);
        else snprintf(text, sizeof text, "missing; for %s: %s", f[i].use, f[i].install);
        print_row(f[i].name, text);
    }
    print_row("models in", home);
    format_bytes(bytes, sizeof bytes, free_disk(home));
    print_row("free disk", bytes);
    print_cache();
}

static void print_json(json_t *runtime, json_t *limits, const struct finding *f, const char *home)
{
    json_t *tools = json_object(), *all;
    for (int i = 0; i < FINDINGS; i++)
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
    struct finding f[FINDINGS];
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
    find_tools(f);
    code = sc_store_home(&home, &err) == SC_OK ? EXIT_DONE : fail_with(&a.common, &err);
    const char *where = home.data ? home.data : "";
    if (a.common.json) print_json(runtime, limits, f, where);
    else print_plain(runtime, limits, f, where);
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
