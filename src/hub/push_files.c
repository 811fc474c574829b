/* push_files.c - which files of a directory are published. What only this machine needs stays here: checkpoints, state of
 * optimisers, prepared data of a training, locks, files half written, what begins with a dot. --include takes what it names of
 * these too, but never locks, half written files, .git and .cache. Patterns are those of huggingface_hub: '*' is any text, '/' too. */
#include "hub/push.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_DEPTH = 16, MAX_FILES = 20000, PATH_LONGEST = 1000, LARGE = 10 << 20, LOAD_MAX = 1 << 30 };

/* ---- what stays here ------------------------------------------------------------------------------------------------------------ */

static const char *const never[] = { ".git", ".git/*", "*/.git/*", ".cache", ".cache/*", "*/.cache/*", "*.lock", "*.incomplete", "*.tmp-*", "*.part", "*.swp", "*~", "__pycache__/*", "*/__pycache__/*", NULL };
/* Checkpoints and state of optimisers, of transformers' Trainer too; its training_args.bin is a pickle. */
static const char *const by_itself[] = { "checkpoint-*", "optimizer.pt", "optimizer.bin", "optimizer.safetensors", "scheduler.pt", "scaler.pt", "rng_state*", "training_args.bin", "_*", "*.tmp", "nohup.out", "core", NULL };
/* Of a training of ours: the prepared data, the answers of the reference model. */
static const char *const of_training[] = { "data/*", "eval_data/*", "reference.bin", NULL };

static bool is_any(const char *const *patterns, const char *path)
{
    for (; *patterns; patterns++)
        if (fnmatch(*patterns, path, 0) == 0) return true;
    return false;
}

static bool has_dot(const char *path)
{
    bool is_known = strcmp(path, ".gitattributes") == 0 || strcmp(path, ".gitignore") == 0;
    return !is_known && (path[0] == '.' || strstr(path, "/.") != NULL);
}

/* "folder/" means what is in it. */
bool push_matches(const sc_push_patterns *p, const char *path)
{
    for (size_t i = 0; i < p->n; i++) {
        size_t n = strlen(p->at[i]);
        if (fnmatch(p->at[i], path, 0) == 0) return true;
        if (n && p->at[i][n - 1] == '/' && strncmp(path, p->at[i], n) == 0) return true;
    }
    return false;
}

static bool is_wanted(const struct push_files *f, const sc_push_config *c, const char *path)
{
    if (is_any(never, path) || push_matches(&c->exclude, path)) return false;
    if (c->include.n) return push_matches(&c->include, path);
    return !is_any(by_itself, path) && !has_dot(path) && !(f->is_training && is_any(of_training, path));
}

/* ---- the list ---------------------------------------------------------------------------------------------------------------------- */

struct push_file *push_files_add(struct push_files *f, const char *path)
{
    if ((f->n & (f->n + 1)) == 0) f->at = mem_grow(f->at, (2 * f->n + 2) * sizeof *f->at);
    struct push_file *x = &f->at[f->n++];
    *x = (struct push_file){ .path = mem_strdup(path) };
    buf_init(&x->content, 0);
    return x;
}

struct push_file *push_files_find(const struct push_files *f, const char *path)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->at[i].path, path) == 0) return &f->at[i];
    return NULL;
}

void push_file_set(struct push_file *f, struct buf *content)
{
    buf_release(&f->content);
    f->content = *content;
    buf_init(content, 0);
    f->has_content = true;
    f->size = f->content.len;
    f->sample_len = f->size < PUSH_SAMPLE ? (size_t)f->size : PUSH_SAMPLE;
    if (f->sample_len) memcpy(f->sample, f->content.data, f->sample_len);
    f->sha256[0] = f->git_sha1[0] = 0;
}

void push_files_release(struct push_files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        mem_free(f->at[i].path);
        mem_free(f->at[i].local);
        buf_release(&f->at[i].content);
    }
    mem_free(f->at);
    mem_free(f->root);
    *f = (struct push_files){ 0 };
}

static int64_t time_of(const struct stat *st) { return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec; }

static sc_status add_file(struct push_files *f, const char *path, const char *local, const struct stat *st, sc_error *err)
{
    char quoted[160];
    size_t n = strlen(path);
    bool is_plain = utf8_is_valid(path, n) && n <= PATH_LONGEST && !strchr(path, '\\');
    for (size_t i = 0; i < n; i++) is_plain &= (unsigned char)path[i] >= ' ' && path[i] != 127;
    if (!is_plain) return FAIL(err, SC_E_ARGUMENT, "\"%s\" is no name that a repository can hold (UTF-8 without control characters and '\\', at most %d bytes); rename it, or leave it out with --exclude", error_quote(quoted, sizeof quoted, path, n), PATH_LONGEST);
    if (f->n == MAX_FILES) return FAIL(err, SC_E_ARGUMENT, "%s has more than %d files; a push makes one commit: choose some with --include, or pack them", f->root, MAX_FILES);
    int fd = open(local, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return FAIL(err, SC_E_IO, "cannot read %s: %s", local, strerror(errno));
    struct push_file *x = push_files_add(f, path);
    x->local = mem_strdup(local);
    x->size = (uint64_t)st->st_size;
    x->modified = time_of(st);
    ssize_t got = pread(fd, x->sample, PUSH_SAMPLE, 0);
    close(fd);
    if (got < 0) return FAIL(err, SC_E_IO, "cannot read %s: %s", local, strerror(errno));
    x->sample_len = (size_t)got;
    return SC_OK;
}

/* All files below `directory`, whose path in the repository is `prefix`. all: a checkpoint, which is whole as it is. */
static sc_status walk(struct push_files *f, const sc_push_config *c, const char *directory, const char *prefix, bool all, int depth, sc_error *err)
{
    sc_status status = SC_OK;
    DIR *d = opendir(directory);
    if (!d) return FAIL(err, SC_E_IO, "cannot read the directory %s: %s", directory, strerror(errno));
    for (struct dirent *e; status == SC_OK && (e = readdir(d)) != NULL;) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        char *local = path_join(directory, e->d_name), *path = *prefix ? path_join(prefix, e->d_name) : mem_strdup(e->d_name);
        /* Links to files are followed, as the cache of huggingface_hub has them; links to directories could go in circles. */
        bool is_there = stat(local, &st) == 0, is_link_away = is_there && S_ISDIR(st.st_mode) && lstat(local, &st) == 0 && S_ISLNK(st.st_mode);
        if (is_there && S_ISDIR(st.st_mode) && !is_link_away && !is_any(never, path)) {
            if (depth == MAX_DEPTH) status = FAIL(err, SC_E_ARGUMENT, "%s has more than %d levels of directories; leave it out with --exclude", local, MAX_DEPTH);
            else status = walk(f, c, local, path, all, depth + 1, err);
        } else if (is_there && S_ISREG(st.st_mode) && (all ? !is_any(never, path) : is_wanted(f, c, path))) status = add_file(f, path, local, &st, err);
        mem_free(local);
        mem_free(path);
    }
    closedir(d);
    return status;
}

static int by_path(const void *a, const void *b) { return strcmp(((const struct push_file *)a)->path, ((const struct push_file *)b)->path); }

static sc_status read_directory(struct push_files *f, const sc_push_config *c, sc_error *err)
{
    char *run = path_join(f->root, "run.json");
    f->is_training = path_exists(run);
    mem_free(run);
    return walk(f, c, f->root, "", false, 0, err);
}

sc_status push_files_read(struct push_files *out, const sc_push_config *c, sc_error *err)
{
    struct stat st;
    *out = (struct push_files){ .root = mem_strdup(c->directory) };
    sc_status status;
    if (stat(c->directory, &st) != 0) status = FAIL(err, SC_E_ARGUMENT, "there is nothing at %s: %s", c->directory, strerror(errno));
    else if (S_ISDIR(st.st_mode)) status = read_directory(out, c, err);
    else if (S_ISREG(st.st_mode)) status = add_file(out, strrchr(c->directory, '/') ? strrchr(c->directory, '/') + 1 : c->directory, c->directory, &st, err);
    else status = FAIL(err, SC_E_ARGUMENT, "%s is neither a directory nor a file", c->directory);
    if (status == SC_OK && c->checkpoint && *c->checkpoint) status = walk(out, c, c->checkpoint, c->checkpoint_as, true, 0, err);
    if (status == SC_OK && out->n == 0) status = FAIL(err, SC_E_ARGUMENT, "%s has no file to publish%s", c->directory, c->include.n ? " that --include names" : "");
    if (status != SC_OK) push_files_release(out);
    else qsort(out->at, out->n, sizeof *out->at, by_path);
    return status;
}

/* ---- bytes -------------------------------------------------------------------------------------------------------------------------- */

/* A file that only grew is still what was read of it. */
bool push_file_changed(const struct push_file *f)
{
    struct stat st;
    char sha256[65] = "";
    if (f->has_content) return false;
    if (stat(f->local, &st) != 0 || (uint64_t)st.st_size < f->size) return true;
    if (time_of(&st) == f->modified) return false;
    int fd = open(f->local, O_RDONLY | O_CLOEXEC);
    bool is_same = fd >= 0 && digest_file(fd, f->size, sha256, NULL, NULL) == SC_OK && strcmp(sha256, f->sha256) == 0;
    if (fd >= 0) close(fd);
    return !is_same;
}

sc_status push_file_refuse(const struct push_file *f, sc_error *err)
{
    return FAIL(err, SC_E_IO, "%s changed while it was being pushed; run the command again when nothing writes there", f->local);
}

sc_status push_file_read(const struct push_file *f, int fd, void *out, uint64_t from, size_t bytes, sc_error *err)
{
    size_t at = 0;
    for (ssize_t got; at < bytes; at += got > 0 ? (size_t)got : 0) {
        got = pread(fd, (char *)out + at, bytes - at, (off_t)(from + at));
        if (got == 0) return push_file_refuse(f, err);
        if (got < 0 && errno != EINTR) return FAIL(err, SC_E_IO, "cannot read %s: %s", f->local, strerror(errno));
    }
    return SC_OK;
}

/* Bytes that have a digest must have that one. Others, of a file that was written to since, must stand there a second time: half of an
 * old and half of a new text would not. */
static bool is_what_was_listed(const struct push_file *f, const char *data)
{
    struct sha256 sha;
    struct push_file again = *f;
    sha256_begin(&sha);
    sha256_add(&sha, data, (size_t)f->size);
    sha256_end(&sha, again.sha256);
    return f->sha256[0] ? strcmp(again.sha256, f->sha256) == 0 : !push_file_changed(&again);
}

sc_status push_file_load(struct buf *out, const struct push_file *f, sc_error *err)
{
    buf_init(out, 0);
    if (f->has_content) {
        buf_append(out, f->content.data ? f->content.data : "", f->content.len);
        return SC_OK;
    }
    if (f->size > LOAD_MAX) return FAIL(err, SC_E_UNSUPPORTED, "%s has %llu bytes, and the Hub wants it inside the commit, where %d are the most", f->path, (unsigned long long)f->size, LOAD_MAX);
    char *data = mem_alloc((size_t)f->size + 1);
    int fd = open(f->local, O_RDONLY | O_CLOEXEC);
    sc_status status = fd >= 0 ? push_file_read(f, fd, data, 0, (size_t)f->size, err) : FAIL(err, SC_E_IO, "cannot read %s: %s", f->local, strerror(errno));
    if (fd >= 0) close(fd);
    if (status == SC_OK && !is_what_was_listed(f, data)) status = push_file_refuse(f, err);
    if (status == SC_OK && f->size) buf_append(out, data, (size_t)f->size);
    mem_free(data);
    return status;
}

static sc_status digest_blob(struct push_file *f, sc_error *err)
{
    struct buf bytes;
    char head[40];
    unsigned char digest[EVP_MAX_MD_SIZE];
    sc_status status = push_file_load(&bytes, f, err);
    EVP_MD_CTX *blob = status == SC_OK ? EVP_MD_CTX_new() : NULL;
    if (status == SC_OK && (!blob || EVP_DigestInit_ex(blob, EVP_sha1(), NULL) != 1)) status = FAIL(err, SC_E_UNSUPPORTED, "libcrypto has no SHA-1 here");
    if (status == SC_OK) {
        int n = snprintf(head, sizeof head, "blob %zu", bytes.len);
        EVP_DigestUpdate(blob, head, (size_t)n + 1);          /* with its NUL, as git hashes it */
        if (bytes.len) EVP_DigestUpdate(blob, bytes.data, bytes.len);
        EVP_DigestFinal_ex(blob, digest, NULL);
        for (int i = 0; i < 20; i++) snprintf(f->git_sha1 + 2 * i, 3, "%02x", digest[i]);
        struct sha256 sha;                                   /* what is loaded later is compared with it */
        sha256_begin(&sha);
        sha256_add(&sha, bytes.len ? bytes.data : "", bytes.len);
        sha256_end(&sha, f->sha256);
    }
    EVP_MD_CTX_free(blob);
    buf_release(&bytes);
    return status;
}

sc_status push_file_digest(struct push_file *f, sc_error *err)
{
    if (!f->is_lfs) return f->git_sha1[0] ? SC_OK : digest_blob(f, err);
    if (f->sha256[0]) return SC_OK;
    if (f->has_content) {
        struct sha256 sha;
        sha256_begin(&sha);
        sha256_add(&sha, f->content.data ? f->content.data : "", f->content.len);
        sha256_end(&sha, f->sha256);
        return SC_OK;
    }
    int fd = open(f->local, O_RDONLY | O_CLOEXEC);
    sc_status status = fd >= 0 ? digest_file(fd, f->size, f->sha256, NULL, err) : FAIL(err, SC_E_IO, "cannot read %s: %s", f->local, strerror(errno));
    if (fd >= 0) close(fd);
    return status;
}

/* The lines of .gitattributes that the Hub writes into a new repository, as endings and names. */
bool push_is_lfs_by_habit(const struct push_file *f)
{
    static const char *const patterns[] = { "*.7z", "*.arrow", "*.avro", "*.bin", "*.bz2", "*.ckpt", "*.ftz", "*.gguf", "*.gz", "*.h5", "*.joblib", "*.lz4", "*.mlmodel", "*.model", "*.msgpack", "*.npy", "*.npz", "*.onnx", "*.ot",
                                            "*.parquet", "*.pb", "*.pickle", "*.pkl", "*.pt", "*.pth", "*.rar", "*.safetensors", "saved_model/*", "*.tar.*", "*.tar", "*.tflite", "*.tgz", "*.wasm", "*.xz", "*.zip", "*.zst", "*tfevents*", NULL };
    if (f->size == 0) return false;
    return is_any(patterns, f->path) || f->size > LARGE || memchr(f->sample, 0, f->sample_len) != NULL;
}
