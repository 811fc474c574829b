/* sandbox_tools.c - where the real interpreters and compilers are. What stands in $PATH may be a shim (pyenv, rustup, nvm) that would not work without the
 * home directory it belongs to; so the program itself is asked where it lives, and its directory, nothing else, becomes visible to jobs that name it. */
#include "sandbox/sandbox_internal.h"

#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* `has_proc`: looks for itself in /proc. `ask`: arguments after which the program prints its directory, or (is_program) itself. NULL: follow links. `inside`: where the program is beneath that
 * directory, NULL: where the link led. `more`: what it needs besides, absolute or beneath its directory (then what a link there leads
 * to; with a slash behind it: the directory that it leads into). */
struct tool_row { const char *name, *ask[5]; bool is_program, has_proc; const char *inside, *more[TOOL_PLACES - 1]; };
static const struct tool_row rows[] = {
    { "python3", { "-I", "-S", "-c", "import sys; print(sys.base_prefix)" }, false, false, NULL, { NULL } },
    /* Where distributions keep what libraries of Python need besides (PYTHON_LIBRARIES). */
    { "python3-libraries", { "-I", "-S", "-c", "import sys; print(sys.base_prefix)" }, false, false, NULL, { "/usr/share/matplotlib", "/etc/matplotlibrc", "/usr/share/proj", "/usr/share/gdal", "/usr/share/fonts", "/usr/share/zoneinfo", "/etc/alternatives" } },
    { "node",    { "-p", "process.execPath" }, true, true, NULL, { "/usr/share/nodejs" } },
    { "tsc",     { NULL }, false, true, NULL, { "/usr/share/nodejs", "/usr/lib/node_modules" } },
    { "java",    { NULL }, false, true, NULL, { "conf/net.properties/", "/etc/alternatives" } },
    { "javac",   { NULL }, false, true, NULL, { "conf/net.properties/", "/etc/alternatives" } },
    { "go",      { "env", "GOROOT" }, false, true, "bin/go", { NULL } },
    { "rustc",   { "--print", "sysroot" }, false, true, "bin/rustc", { "/etc/alternatives", "/usr/libexec" } },
    { "gcc",     { NULL }, false, false, NULL, { "/usr/include", "/usr/libexec", "/etc/alternatives" } },
    { "g++",     { NULL }, false, false, NULL, { "/usr/include", "/usr/libexec", "/etc/alternatives" } },
    { "lua",     { NULL }, false, false, NULL, { "/usr/share/lua", "/etc/alternatives" } },
    { "perl",    { NULL }, false, false, NULL, { "/usr/share/perl", "/usr/share/perl5", "/etc/perl" } },
    { "ruby",    { NULL }, false, false, NULL, { "/usr/share/ruby", "/etc/alternatives" } },
    { "php",     { NULL }, false, false, NULL, { "/usr/share/php", "/etc/php", "/etc/alternatives" } },
    { "Rscript", { NULL }, false, true, NULL, { "/usr/share/R", "/etc/R", "/etc/alternatives" } },
    { "pdflatex", { NULL }, false, false, NULL, { "/usr/share/texlive", "/usr/share/texmf", "/usr/share/texmf-dist", "/usr/share/fonts", "/usr/share/tex-common", "/var/lib/texmf", "/etc/texmf", "/etc/alternatives" } },
    { "pdftocairo", { NULL }, false, false, NULL, { "/usr/share/poppler", "/usr/share/fonts", "/etc/alternatives" } },
    { "bash",    { NULL }, false, false, NULL, { NULL } },
};

char *program_find(const char *path, const char *name, size_t skip)
{
    for (const char *at = path; *at;) {
        size_t n = strcspn(at, ":");
        char *directory = mem_strndup(at, n), *found = path_join(directory, name);
        bool is_it = n && *at == '/' && access(found, X_OK) == 0 && !path_is_directory(found);
        mem_free(directory);
        if (is_it && skip-- == 0) return found;
        mem_free(found);
        at += n + (at[n] == ':');
    }
    return NULL;
}

/* First line of what the program prints; false: it failed. Runs outside: this is the person's own program. */
static bool ask(char *out, size_t bytes, const char *program, const char *const *arguments)
{
    char *argv[8] = { (char *)program };
    int ends[2], how = -1;
    size_t got = 0;
    pid_t child;
    for (size_t i = 0; i < 5 && arguments[i]; i++) argv[i + 1] = (char *)arguments[i];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    bool is_running = posix_spawn(&child, program, &actions, NULL, argv, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    for (ssize_t n; is_running && got < bytes - 1 && (n = read(ends[0], out + got, bytes - 1 - got)) > 0;) got += (size_t)n;
    close(ends[0]);
    if (is_running) waitpid(child, &how, 0);
    out[got] = 0;
    out[strcspn(out, "\r\n")] = 0;
    return is_running && how == 0 && out[0] == '/';
}

static bool is_shown_anyway(const char *path)
{
    static const char *const shown[] = { "/usr", "/usr/bin", "/usr/lib", "/bin", "/lib" };
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (strcmp(path, shown[i]) == 0) return true;
    return strncmp(path, "/usr/bin/", 9) == 0 || strncmp(path, "/usr/lib/", 9) == 0;
}

/* Directories of which only a part may be the program's. */
static bool is_too_wide(const char *path)
{
    const char *last = strrchr(path, '/');
    return last == path || (strncmp(path, "/home/", 6) == 0 && last == path + 5);
}

static bool is_python(const struct tool_row *row) { return strncmp(row->name, "python3", 7) == 0; }

static void add_place(struct tool *t, const char *path)
{
    char *real = realpath(path, NULL);
    if (real && t->n_places < TOOL_PLACES && !is_shown_anyway(real)) {
        t->place[t->n_places++] = (struct place){ mem_strdup(real), mem_strdup(real) };
    }
    free(real);
}

static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return mem_strndup(path, slash > path ? (size_t)(slash - path) : 1);
}

static void settle(struct tool *t, const struct tool_row *row, const char *program, char *prefix)
{
    *t = (struct tool){ .name = row->name, .program = mem_strdup(program), .has_proc = row->has_proc };
    if (is_too_wide(prefix)) add_place(t, program);
    else add_place(t, prefix);
    for (size_t i = 0; i < TOOL_PLACES - 1 && row->more[i]; i++) {
        char *more = *row->more[i] == '/' ? mem_strdup(row->more[i]) : path_join(prefix, row->more[i]);
        size_t n = strlen(prefix), len = strlen(more);
        bool is_into = more[len - 1] == '/';
        if (is_into) more[len - 1] = 0;
        char *real = realpath(more, NULL);
        if (real && is_into) *strrchr(real, '/') = 0;
        bool is_beneath = real && !is_shown_anyway(prefix) && strncmp(real, prefix, n) == 0 && real[n] == '/';
        if (real && !is_beneath) add_place(t, real);
        free(real);
        mem_free(more);
    }
}

/* Stands before a compiler in $PATH under the compiler's name, and alone it is none. */
static bool is_wrapper(const char *real)
{
    static const char *const names[] = { "ccache", "sccache", "distcc", "icecc" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(strrchr(real, '/') + 1, names[i]) == 0) return true;
    return false;
}

static bool find_one(struct tool *t, const struct tool_row *row, const char *program)
{
    static const char *const self[] = { "-I", "-S", "-c", "import os, sys; print(os.path.realpath(sys.executable))", NULL };
    char said[PATH_MAX], where[PATH_MAX], *real = NULL, *prefix = NULL;
    if (row->ask[0] && !ask(said, sizeof said, program, row->ask)) return false;
    if (is_python(row) && !ask(where, sizeof where, program, self)) return false;
    if (row->inside) {
        char *in = path_join(said, row->inside);
        real = realpath(in, NULL);
        mem_free(in);
    } else {
        real = realpath(is_python(row) ? where : row->is_program ? said : program, NULL);
    }
    if (!real || is_wrapper(real)) {
        free(real);
        return false;
    }
    if (row->ask[0] && !row->is_program) {
        prefix = mem_strdup(said);
    } else {
        char *bin = parent_of(real);
        prefix = parent_of(bin);
        mem_free(bin);
    }
    settle(t, row, real, prefix);
    mem_free(prefix);
    free(real);
    return true;
}

/* At the path that the person's own files use, which may lead there by links. */
static void add_named(struct tool *t, const char *path)
{
    char *real = realpath(path, NULL);
    bool is_venv = false;
    if (real) {
        char *mark = path_join(real, "pyvenv.cfg");
        is_venv = path_exists(mark) && real[1] && strncmp(real, "/home/", 6) != 0;
        mem_free(mark);
    }
    if (real && (is_venv || !is_too_wide(real))) add_place(t, real);
    if (real && strcmp(real, path) != 0 && !is_too_wide(path) && !is_shown_anyway(real) && t->n_places < TOOL_PLACES) t->place[t->n_places++] = (struct place){ mem_strdup(path), mem_strdup(real) };
    free(real);
}

/* A virtual environment knows itself by where its interpreter stands, so links of the file itself stay: they lead to the interpreter it was made with. */
static bool find_named(struct tool *t, const struct tool_row *row, const char *python, const char *path)
{
    static const char *const prefix[] = { "-I", "-c", "import sys; print(sys.prefix)", NULL }, *const base[] = { "-I", "-c", "import sys; print(sys.base_prefix)", NULL };
    char said[2][PATH_MAX], *program = strchr(python, '/') ? mem_strdup(python) : program_find(path, python, 0), *parent = program ? parent_of(program) : NULL;
    const char *slash = program ? strrchr(program, '/') : NULL;
    char *directory = slash ? realpath(parent, NULL) : NULL;
    bool is_good = directory && access(program, X_OK) == 0 && !path_is_directory(program) && ask(said[0], sizeof said[0], program, prefix) && ask(said[1], sizeof said[1], program, base);
    if (is_good) {
        *t = (struct tool){ .name = row->name, .program = path_join(directory, slash + 1), .has_proc = true };      /* TensorFlow ends without it */
        for (size_t i = 0; i < 2; i++) add_named(t, said[i]);
        for (size_t i = 0; i < TOOL_PLACES - 1 && row->more[i]; i++) add_place(t, row->more[i]);
    }
    free(directory);
    mem_free(parent);
    mem_free(program);
    return is_good;
}

static void find(struct sandbox *s, const char *path, const char *name, const char *python)
{
    const struct tool_row *row = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0) row = &rows[i];
    if (!row || tool_named(s, name) || s->n_tools == TOOLS_MAX) return;
    char *program;
    bool is_named = is_python(row) && python && *python, is_found = is_named && find_named(&s->tool[s->n_tools], row, python, path);
    for (size_t i = 0; !is_named && !is_found && (program = program_find(path, is_python(row) ? "python3" : name, i)) != NULL; i++) {
        is_found = find_one(&s->tool[s->n_tools], row, program);
        mem_free(program);
    }
    if (is_found) s->n_tools++;
}

void tools_find(struct sandbox *s, const struct sandbox_config *config)
{
    const char *path = config->path ? config->path : "/usr/local/bin:/usr/bin:/bin";
    find(s, path, "python3", config->python);
    for (const char *const *name = config->tools; name && *name; name++) find(s, path, *name, config->python);
    s->has_libraries = config->python && *config->python;
}

void tools_release(struct sandbox *s)
{
    for (size_t i = 0; i < s->n_tools; i++) {
        struct tool *t = &s->tool[i];
        mem_free(t->program);
        for (size_t j = 0; j < t->n_places; j++) {
            mem_free(t->place[j].target);
            mem_free(t->place[j].source);
        }
    }
}

const struct tool *tool_named(const struct sandbox *s, const char *name)
{
    for (size_t i = 0; i < s->n_tools; i++)
        if (strcmp(s->tool[i].name, name) == 0) return &s->tool[i];
    return NULL;
}

const char *sandbox_tool(const struct sandbox *s, const char *name)
{
    const struct tool *t = tool_named(s, name);
    return t ? t->program : NULL;
}
