/* system.c - files and the machine: every Linux call that the layers above need. */
#include "base/base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

sc_status file_map(struct mapped_file *out, const char *path, sc_error *err)
{
    *out = (struct mapped_file){ 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return FAIL(err, SC_E_IO, "cannot open %s: %s", path, strerror(errno));
    struct stat st;
    sc_status status = SC_OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        status = FAIL(err, SC_E_IO, "%s is not a regular file", path);
    } else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) status = FAIL(err, SC_E_IO, "cannot map %s: %s", path, strerror(errno));
        else *out = (struct mapped_file){ p, (size_t)st.st_size, (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec };
    }
    close(fd);
    return status;
}

void file_unmap(struct mapped_file *f)
{
    if (f->data) munmap((void *)f->data, f->size);
    *f = (struct mapped_file){ 0 };
}

void file_forget(const void *data, size_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = ((uintptr_t)data + page - 1) / page * page, end = ((uintptr_t)data + bytes) / page * page;
    if (end > begin) (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

sc_status file_read(sc_text *out, const char *path, size_t max_bytes, sc_error *err)
{
    *out = (sc_text){ 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return FAIL(err, SC_E_IO, "cannot open %s: %s", path, strerror(errno));
    struct buf b;
    buf_init(&b, max_bytes);
    char block[65536];
    ssize_t n;
    while ((n = read(fd, block, sizeof block)) > 0 && !b.is_full) buf_append(&b, block, (size_t)n);
    sc_status status = SC_OK;
    if (n < 0) status = FAIL(err, SC_E_IO, "cannot read %s: %s", path, strerror(errno));
    else if (b.is_full) status = FAIL(err, SC_E_FORMAT, "%s is larger than the %zu bytes allowed for such a file", path, max_bytes);
    close(fd);
    if (status == SC_OK) buf_take(&b, out); else buf_release(&b);
    return status;
}

sc_status file_writer_open(struct file_writer *w, const char *path, sc_error *err)
{
    *w = (struct file_writer){ .fd = -1 };
    struct buf name;
    buf_init(&name, 0);
    buf_printf(&name, "%s.tmp-%ld", path, (long)getpid());
    int fd = open(name.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        sc_status status = FAIL(err, SC_E_IO, "cannot create %s: %s", path, strerror(errno));
        buf_release(&name);
        return status;
    }
    *w = (struct file_writer){ fd, mem_strdup(path), name.data };
    return SC_OK;
}

sc_status file_writer_reserve(struct file_writer *w, size_t bytes, sc_error *err)
{
    if (bytes == 0 || bytes > INT64_MAX || fallocate(w->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes) == 0) return SC_OK;
    if (errno != ENOSPC && errno != EDQUOT && errno != EFBIG) return SC_OK;
    return FAIL(err, SC_E_IO, "%s needs %.2f GiB, for which the disk has no room: %s", w->path, (double)bytes / (1 << 30), strerror(errno));
}

sc_status file_writer_put(struct file_writer *w, const void *data, size_t len, sc_error *err)
{
    const char *p = data;
    while (len) {
        ssize_t n = write(w->fd, p, len > (1u << 30) ? (1u << 30) : len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return FAIL(err, SC_E_IO, "cannot write %s: %s", w->path, strerror(errno));
        p += n;
        len -= (size_t)n;
    }
    return SC_OK;
}

/* Makes a rename in the directory of `path` durable; a file system that cannot do it is no failure. */
static void sync_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : mem_strdup(".");
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    mem_free(directory);
}

sc_status file_writer_publish(struct file_writer *w, sc_error *err)
{
    sc_status status = SC_OK;
    if (fsync(w->fd) != 0) status = FAIL(err, SC_E_IO, "cannot write %s to disk: %s", w->path, strerror(errno));
    if (close(w->fd) != 0 && status == SC_OK) status = FAIL(err, SC_E_IO, "cannot write %s to disk: %s", w->path, strerror(errno));
    w->fd = -1;
    if (status == SC_OK && rename(w->temporary, w->path) != 0)
        status = FAIL(err, SC_E_IO, "cannot give %s its name: %s", w->path, strerror(errno));
    if (status == SC_OK) {
        sync_directory_of(w->path);
        mem_free(w->temporary);
        w->temporary = NULL;
    }
    file_writer_discard(w);
    return status;
}

void file_writer_discard(struct file_writer *w)
{
    if (w->fd >= 0) close(w->fd);
    if (w->temporary) unlink(w->temporary);
    mem_free(w->temporary);
    mem_free(w->path);
    *w = (struct file_writer){ .fd = -1 };
}

sc_status file_write(const char *path, const void *data, size_t len, sc_error *err)
{
    struct file_writer w;
    TRY(file_writer_open(&w, path, err));
    sc_status status = file_writer_put(&w, data, len, err);
    if (status == SC_OK) return file_writer_publish(&w, err);
    file_writer_discard(&w);
    return status;
}

bool path_exists(const char *path) { return access(path, F_OK) == 0; }

bool path_is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *path_join(const char *directory, const char *name)
{
    size_t n = strlen(directory);
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "%s%s%s", directory, n && directory[n - 1] == '/' ? "" : "/", name);
    return b.data;
}

bool path_ends_with(const char *path, const char *suffix)
{
    size_t n = strlen(path), k = strlen(suffix);
    return n >= k && memcmp(path + n - k, suffix, k) == 0;
}

sc_status path_make_directories(const char *path, sc_error *err)
{
    char *p = mem_strdup(path);
    sc_status status = SC_OK;
    for (char *at = p + 1; status == SC_OK; at++) {
        if (*at != '/' && *at != 0) continue;
        char old = *at;
        *at = 0;
        if (mkdir(p, 0777) != 0 && errno != EEXIST) status = FAIL(err, SC_E_IO, "cannot make the directory %s: %s", p, strerror(errno));
        *at = old;
        if (!old) break;
    }
    if (status == SC_OK && !path_is_directory(path)) status = FAIL(err, SC_E_IO, "%s exists and is not a directory", path);
    mem_free(p);
    return status;
}

bool path_link_files(const char *from, const char *to)
{
    DIR *d = mkdir(to, 0777) == 0 ? opendir(from) : NULL;
    bool is_whole = d != NULL;
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.') continue;
        char *old = path_join(from, e->d_name), *copy = path_join(to, e->d_name);
        is_whole &= link(old, copy) == 0;
        mem_free(old);
        mem_free(copy);
    }
    if (d) closedir(d);
    return is_whole;
}

void remove_plain_directory(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        char *file = path_join(path, e->d_name);
        unlink(file);
        mem_free(file);
    }
    if (d) closedir(d);
    rmdir(path);
}

double clock_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void system_random(void *out, size_t bytes)
{
    char *p = out;
    while (bytes) {
        ssize_t n = getrandom(p, bytes, 0);
        if (n < 0 && errno != EINTR) abort();
        if (n > 0) { p += n; bytes -= (size_t)n; }
    }
}

int system_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
    return 1;
}

/* The number after `key` in a small file of the kernel, or `fallback`. */
static uint64_t kernel_number(const char *path, const char *key, uint64_t fallback)
{
    sc_text text;
    if (file_read(&text, path, 1 << 20, NULL) != SC_OK) return fallback;
    const char *at = strstr(text.data, key);
    char *end = NULL;
    unsigned long long n = at ? strtoull(at + strlen(key), &end, 10) : 0;
    uint64_t result = at && end != at + strlen(key) ? n : fallback;
    sc_text_free(&text);
    return result;
}

uint64_t system_memory(void)
{
    uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t limit = kernel_number("/sys/fs/cgroup/memory.max", "", bytes);
    return limit < bytes ? limit : bytes;
}

uint64_t system_peak_memory(void) { return kernel_number("/proc/self/status", "VmHWM:", 0) * 1024; }

int text_distance(const char *a, const char *b)
{
    enum { MAX = 64 };
    size_t n = strlen(a), m = strlen(b);
    if (n >= MAX || m >= MAX) return MAX;
    int d[3][MAX + 1];
    for (size_t j = 0; j <= m; j++) d[0][j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int *row = d[i % 3], *up = d[(i - 1) % 3], *up2 = d[(i + 1) % 3];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int best = up[j - 1] + (a[i - 1] != b[j - 1]);
            if (up[j] + 1 < best) best = up[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && up2[j - 2] + 1 < best) best = up2[j - 2] + 1;
            row[j] = best;
        }
    }
    return d[n % 3][m];
}
