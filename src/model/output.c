/* output.c - where convert and init put their result. A GGUF file appears by rename (see gguf_writer). A directory is
 * built beside its final place and renamed; an existing one that may be overwritten gets the new files one by one,
 * weights first, after all files of the old model were removed: an old template or token list must not join a new model. */
#include "model/convert_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const uint64_t SHARD_BYTES = 5000000000u;     /* what transformers writes by default */

static bool is_empty_directory(const char *path)
{
    DIR *d = opendir(path);
    if (!d) return false;
    int n = 0;
    while (n <= 2 && readdir(d)) n++;
    closedir(d);
    return n <= 2;
}

sc_status output_open(struct output *o, const char *path, bool overwrite, sc_error *err)
{
    *o = (struct output){ .kind = path_ends_with(path, ".gguf") ? MODEL_GGUF : MODEL_HF };
    if (!path[0]) return FAIL(err, SC_E_ARGUMENT, "the name of the result is empty; give a directory or a name that ends in .gguf");
    if (path_exists(path) && !overwrite && !is_empty_directory(path))
        return FAIL(err, SC_E_ARGUMENT, "%s exists already; choose another name or add --overwrite", path);
    if (o->kind == MODEL_HF && path_exists(path) && !path_is_directory(path))
        return FAIL(err, SC_E_ARGUMENT, "%s is a file; give a directory or a name that ends in .gguf", path);
    o->path = mem_strdup(path);
    size_t n = strlen(o->path);
    while (n > 1 && o->path[n - 1] == '/') o->path[--n] = 0;
    if (o->kind == MODEL_GGUF) return SC_OK;
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "%s.tmp-%ld", o->path, (long)getpid());
    o->building = b.data;
    return path_make_directories(o->building, err);
}

/* Calls `each` for the plain files of a directory; it has no others when it is ours. */
static void each_file(const char *directory, void (*each)(const char *directory, const char *name, void *arg), void *arg)
{
    DIR *d = opendir(directory);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) each(directory, e->d_name, arg);
    closedir(d);
}

static void remove_file(const char *directory, const char *name, void *arg)
{
    (void)arg;
    char *path = path_join(directory, name);
    unlink(path);
    mem_free(path);
}

static bool is_weight_file(const char *name)
{
    return !strcmp(name, "model.safetensors.index.json") || (!strncmp(name, "model", 5) && path_ends_with(name, ".safetensors"));
}

static void remove_model_file(const char *directory, const char *name, void *arg)
{
    bool is_of_model = is_weight_file(name);
    for (size_t i = 0; hf_companions[i] && !is_of_model; i++) is_of_model = !strcmp(name, hf_companions[i]);
    if (is_of_model || !strcmp(name, "config.json") || !strcmp(name, LINEAGE_FILE)) remove_file(directory, name, arg);
}

struct move { const char *to; bool weights; int failed; };

static void move_file(const char *directory, const char *name, void *arg)
{
    struct move *m = arg;
    if (is_weight_file(name) != m->weights) return;
    char *from = path_join(directory, name), *to = path_join(m->to, name);
    if (rename(from, to) != 0) m->failed = errno;
    mem_free(from);
    mem_free(to);
}

sc_status output_publish(struct output *o, sc_error *err)
{
    if (o->kind == MODEL_GGUF) return SC_OK;
    if (!path_exists(o->path) || is_empty_directory(o->path)) {
        if (rename(o->building, o->path) != 0) return FAIL(err, SC_E_IO, "cannot give %s its name: %s", o->path, strerror(errno));
        mem_free(o->building);
        o->building = NULL;
        return SC_OK;
    }
    each_file(o->path, remove_model_file, NULL);
    struct move m = { o->path, true, 0 };
    each_file(o->building, move_file, &m);
    m.weights = false;
    if (!m.failed) each_file(o->building, move_file, &m);
    if (m.failed) return FAIL(err, SC_E_IO, "cannot move the new files into %s: %s", o->path, strerror(m.failed));
    return SC_OK;
}

void output_discard(struct output *o)
{
    if (o->building) {
        each_file(o->building, remove_file, NULL);
        rmdir(o->building);
    }
    mem_free(o->building);
    mem_free(o->path);
    *o = (struct output){ 0 };
}

static sc_status put_gguf(void *writer, const void *data, size_t bytes, sc_error *err) { return gguf_writer_data(writer, data, bytes, err); }
static sc_status put_safetensors(void *writer, const void *data, size_t bytes, sc_error *err) { return safetensors_writer_data(writer, data, bytes, err); }

/* Wider elements first keeps every tensor of a file aligned to its element. */
static void sort_by_width(struct job *j)
{
    struct out_tensor *sorted = mem_alloc(j->n * sizeof *sorted);
    size_t n = 0;
    for (int wide = 1; wide >= 0; wide--)
        for (size_t i = 0; i < j->n; i++)
            if ((dtypes[j->tensors[i].dtype].bytes > 2) == wide) sorted[n++] = j->tensors[i];
    mem_free(j->tensors);
    j->tensors = sorted;
    j->cap = j->n;
}

sc_status output_put_safetensors(struct job *j, const char *directory, sc_error *err)
{
    struct safetensors_writer *w = NULL;
    sort_by_width(j);
    struct tensor_plan *plan = job_plan(j);
    sc_status status = safetensors_writer_open(&w, directory, plan, j->n, SHARD_BYTES, err);
    if (status == SC_OK) status = job_run(j, put_safetensors, w, err);
    if (status == SC_OK) status = safetensors_writer_finish(w, err);
    else safetensors_writer_discard(w);
    mem_free(plan);
    return status;
}

sc_status output_put_gguf(struct job *j, struct gguf_writer *w, sc_error *err)
{
    struct tensor_plan *plan = job_plan(j);
    sc_status status = gguf_writer_begin(w, plan, j->n, err);
    if (status == SC_OK) status = job_run(j, put_gguf, w, err);
    if (status == SC_OK) status = gguf_writer_finish(w, err);
    else gguf_writer_discard(w);
    mem_free(plan);
    return status;
}
