/* sandbox_tree.c - memory and number of the processes in a sandbox, from outside. Limits of address space are no use for runtimes that reserve what
 * they never touch, and limits per process none against many processes; so the sum is watched. Daemons are counted too: in a sandbox every process is
 * a descendant of its process 1. */
#include "sandbox/sandbox_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TREE_MAX = 1024 };

static bool read_small(char *out, size_t bytes, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, out, bytes - 1);
    close(fd);
    out[n > 0 ? n : 0] = 0;
    return n >= 0;
}

static size_t add_listed(pid_t *list, size_t n, const char *text)
{
    char *end;
    for (long pid; n < TREE_MAX && (pid = strtol(text, &end, 10)) > 0; text = end) list[n++] = (pid_t)pid;
    return n;
}

/* The kernel lists children by the thread that made them. */
static size_t add_children(pid_t *list, size_t n, pid_t parent, bool *is_known)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/task", (int)parent);
    DIR *d = opendir(path);
    if (!d) return n;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        long tid = strtol(e->d_name, NULL, 10);
        if (tid <= 0) continue;
        snprintf(path, sizeof path, "/proc/%d/task/%ld/children", (int)parent, tid);
        if (!read_small(text, sizeof text, path)) continue;
        *is_known = true;
        n = add_listed(list, n, text);
    }
    closedir(d);
    return n;
}

/* Pages of files are the host's cache; what counts is what the process filled itself. */
static uint64_t own_bytes(pid_t pid)
{
    static const char *const names[] = { "\nRssAnon:", "\nRssShmem:" };
    char path[64], text[4096];
    uint64_t kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    if (!read_small(text, sizeof text, path)) return 0;
    for (size_t i = 0; i < 2; i++) {
        const char *at = strstr(text, names[i]);
        if (at) kb += strtoull(at + strlen(names[i]), NULL, 10);
    }
    return kb << 10;
}

bool tree_use(struct tree_use *out, pid_t root)
{
    pid_t *list = mem_alloc(TREE_MAX * sizeof *list);
    bool is_known = false;
    size_t n = 0;
    list[n++] = root;
    *out = (struct tree_use){ 0 };
    for (size_t i = 0; i < n; i++) {
        out->bytes += own_bytes(list[i]);
        n = add_children(list, n, list[i], &is_known);
    }
    out->processes = (int)n;
    mem_free(list);
    return is_known;
}

pid_t tree_child(pid_t parent)
{
    pid_t list[TREE_MAX];
    bool is_known = false;
    return add_children(list, 0, parent, &is_known) ? list[0] : 0;
}
