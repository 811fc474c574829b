/* prompt_store.c - the directory of the prompt cache: files that appear whole, the oldest removed first. Processes need no
 * lock between them: a name stands for its content, writers use names of their own until a file is whole, and whoever finds
 * a file gone computes what it held. */
#include "infer/prompt_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define CHUNK_SUFFIX ".kv"
#define PART_PREFIX "part-"
enum { PART_SECONDS = 3600, SPARE_DISK = 4 };       /* an unfinished file of that age is a dead one; a write leaves this many times its size free */

char *chunk_path(const struct sc_prompt_cache *c, const char name[CHUNK_NAME])
{
    char file[CHUNK_NAME + sizeof CHUNK_SUFFIX];
    snprintf(file, sizeof file, "%s" CHUNK_SUFFIX, name);
    return path_join(c->directory, file);
}

bool chunk_touch(const char *path, size_t index)
{
    struct timespec now, times[2];
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - (int64_t)index * 1000;
    times[0] = times[1] = (struct timespec){ ns / 1000000000, ns % 1000000000 };
    return utimensat(AT_FDCWD, path, times, 0) == 0;
}

bool chunk_read(uint8_t *out, size_t size, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    bool ok = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
    for (size_t at = 0; ok && at < size;) {
        ssize_t n = read(fd, out + at, size - at);
        if (n < 0 && errno == EINTR) continue;
        ok = n > 0;
        if (ok) at += (size_t)n;
    }
    if (fd >= 0) close(fd);
    return ok;
}

sc_status chunk_write(const struct sc_prompt_cache *c, const char *path, const uint8_t *data, size_t size, sc_error *err)
{
    uint64_t random;
    char name[40];
    system_random(&random, sizeof random);
    snprintf(name, sizeof name, PART_PREFIX "%016llx", (unsigned long long)random);
    struct file_writer w = { .path = mem_strdup(path), .temporary = path_join(c->directory, name) };
    w.fd = open(w.temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    sc_status status = w.fd >= 0 ? file_writer_put(&w, data, size, err) : FAIL(err, SC_E_IO, "cannot create a file in %s: %s", c->directory, strerror(errno));
    if (status == SC_OK && rename(w.temporary, path) != 0) status = FAIL(err, SC_E_IO, "cannot give %s its name: %s", path, strerror(errno));
    if (status == SC_OK) {
        mem_free(w.temporary);
        w.temporary = NULL;
    }
    file_writer_discard(&w);
    return status;
}

/* What others may write could make this program say anything. */
static sc_status check_owner(const char *directory, sc_error *err)
{
    struct stat st;
    if (stat(directory, &st) != 0) return SC_OK;      /* it is made when something is kept */
    if (!S_ISDIR(st.st_mode)) return FAIL(err, SC_E_IO, "the prompt cache %s is not a directory", directory);
    if (st.st_uid != geteuid() || (st.st_mode & 022))
        return FAIL(err, SC_E_IO, "the prompt cache %s can be written by others and is not used; chmod 700 it, or remove it", directory);
    return SC_OK;
}

sc_status prompt_store_make(const struct sc_prompt_cache *c, uint64_t bytes, sc_error *err)
{
    struct statvfs fs;
    char *slash = strrchr(c->directory, '/');
    if (slash && slash != c->directory) {
        char *parent = mem_strndup(c->directory, (size_t)(slash - c->directory));
        sc_status status = path_make_directories(parent, err);
        mem_free(parent);
        TRY(status);
    }
    if (mkdir(c->directory, 0700) != 0 && errno != EEXIST) return FAIL(err, SC_E_IO, "cannot make the directory %s: %s", c->directory, strerror(errno));
    TRY(check_owner(c->directory, err));
    if (statvfs(c->directory, &fs) == 0 && (double)fs.f_bavail * (double)fs.f_frsize < (double)bytes * SPARE_DISK)
        return FAIL(err, SC_E_IO, "the disk of %s is too full to keep %.2f GiB of the prompt", c->directory, (double)bytes / (1 << 30));
    return SC_OK;
}

const char *prompt_cache_directory(const sc_prompt_cache *c) { return prompt_store_make(c, 0, NULL) == SC_OK ? c->directory : NULL; }

/* ---- all files ----------------------------------------------------------------------------------------------------------- */

struct entry { char name[CHUNK_NAME + sizeof CHUNK_SUFFIX]; struct timespec when; uint64_t bytes; };
struct listing { struct entry *entry; size_t n, cap; uint64_t bytes; };

static bool is_chunk(const char *name)
{
    size_t hex = strspn(name, "0123456789abcdef");
    return hex == CHUNK_NAME - 1 && strcmp(name + hex, CHUNK_SUFFIX) == 0;
}

/* Files of other names are not ours; unfinished ones that nobody works on any more (`all`: any) are removed. */
static void list(struct listing *l, const char *directory, bool all)
{
    *l = (struct listing){ 0 };
    DIR *d = opendir(directory);
    time_t now = time(NULL);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        struct stat st;
        bool is_part = strncmp(e->d_name, PART_PREFIX, sizeof PART_PREFIX - 1) == 0;
        if ((!is_part && !is_chunk(e->d_name)) || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (is_part && (all || st.st_mtim.tv_sec + PART_SECONDS < now)) unlinkat(dirfd(d), e->d_name, 0);
        if (is_part) continue;
        if (l->n == l->cap) l->entry = mem_grow(l->entry, (l->cap = 2 * l->cap + 64) * sizeof *l->entry);
        struct entry *to = &l->entry[l->n++];
        *to = (struct entry){ .when = st.st_mtim, .bytes = (uint64_t)st.st_size };
        memcpy(to->name, e->d_name, strlen(e->d_name) + 1);   /* as is_chunk found it */
        l->bytes += to->bytes;
    }
    if (d) closedir(d);
}

static int is_newer(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->when.tv_sec != y->when.tv_sec) return x->when.tv_sec > y->when.tv_sec ? 1 : -1;
    if (x->when.tv_nsec != y->when.tv_nsec) return x->when.tv_nsec > y->when.tv_nsec ? 1 : -1;
    return strcmp(x->name, y->name);
}

static void remove_oldest(const struct sc_prompt_cache *c, struct listing *l, uint64_t most)
{
    if (l->n && l->bytes > most) qsort(l->entry, l->n, sizeof *l->entry, is_newer);
    for (size_t i = 0; i < l->n && l->bytes > most; i++) {
        char *path = path_join(c->directory, l->entry[i].name);
        unlink(path);
        l->bytes -= l->entry[i].bytes;
        mem_free(path);
    }
}

void prompt_store_prune(const struct sc_prompt_cache *c)
{
    struct listing l;
    list(&l, c->directory, false);
    remove_oldest(c, &l, c->max_bytes);
    mem_free(l.entry);
}

/* ---- public ---------------------------------------------------------------------------------------------------------------- */

sc_status sc_prompt_cache_open(sc_prompt_cache **out, const sc_prompt_cache_config *config, sc_error *err)
{
    *out = NULL;
    if (!config->directory || !*config->directory) return FAIL(err, SC_E_ARGUMENT, "the prompt cache has no directory");
    TRY(check_owner(config->directory, err));
    sc_prompt_cache *c = mem_zero(1, sizeof *c);
    c->directory = mem_strdup(config->directory);
    c->max_bytes = (uint64_t)config->prompt_cache_mib << 20;
    c->least_seconds = config->prompt_cache_seconds;
    *out = c;
    return SC_OK;
}

void sc_prompt_cache_close(sc_prompt_cache *c)
{
    if (!c) return;
    mem_free(c->directory);
    mem_free(c);
}

sc_status sc_prompt_cache_describe(sc_text *json, const sc_prompt_cache *c)
{
    struct listing l;
    list(&l, c->directory, false);
    json_t *o = json_pack("{s:s, s:I, s:I, s:I}", "directory", c->directory, "files", (json_int_t)l.n, "bytes", (json_int_t)l.bytes, "max_bytes", (json_int_t)c->max_bytes);
    sc_status status = json_write(json, o, false);
    json_decref(o);
    mem_free(l.entry);
    return status;
}

uint64_t sc_prompt_cache_clear(sc_prompt_cache *c)
{
    struct listing l;
    list(&l, c->directory, true);
    uint64_t bytes = l.bytes;
    remove_oldest(c, &l, 0);
    mem_free(l.entry);
    rmdir(c->directory);
    return bytes;
}

double prompt_cache_least_seconds(const sc_prompt_cache *c) { return c->least_seconds; }
