/* checkpoint.c - the state of a run on disk, whole or not at all: every rank writes what it keeps under a temporary name and syncs it,
 * then rank 0 writes the manifest and renames the directory. The manifest says which elements of which tensor are in which file, so
 * that any number of ranks goes on from it. State is read back only if its digests fit; else the next older one is taken, and
 * said so. Random numbers need no state: they are functions of seed and step. */
#include "train/train_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lineage/lineage.h"

static const char PREFIX[] = "checkpoint-";

/* ---- names ------------------------------------------------------------------------------------------------------------------ */

static char *checkpoint_path(const char *output, int64_t step, const char *ending)
{
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "%s/%s%lld%s", output, PREFIX, (long long)step, ending);
    return b.data;
}

/* Step of a directory's name; -1 for others. *is_dead: what a save that never ended left. */
static int64_t step_of(const char *name, bool *is_dead)
{
    size_t n = sizeof PREFIX - 1, digits;
    int64_t step = 0;
    if (strncmp(name, PREFIX, n) != 0) return -1;
    digits = strspn(name + n, "0123456789");
    if (!digits || digits > 15) return -1;
    for (size_t i = 0; i < digits; i++) step = step * 10 + (name[n + i] - '0');
    *is_dead = strcmp(name + n + digits, ".tmp") == 0;
    return *is_dead || !name[n + digits] ? step : -1;
}

/* The newest step below `below`; -1: none. */
static int64_t newest_below(const char *output, int64_t below)
{
    int64_t best = -1;
    DIR *d = opendir(output);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        bool is_dead;
        int64_t step = step_of(e->d_name, &is_dead);
        if (step > best && step < below && !is_dead) best = step;
    }
    if (d) closedir(d);
    return best;
}

int64_t checkpoint_newest(const char *output) { return newest_below(output, INT64_MAX); }

void checkpoint_sweep(const char *output, int64_t keep, int64_t best)
{
    int64_t limit = INT64_MAX;
    for (int64_t i = 0; i < keep && limit >= 0; i++) limit = newest_below(output, limit);
    DIR *d = opendir(output);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        bool is_dead;
        int64_t step = step_of(e->d_name, &is_dead);
        if (step < 0 || (!is_dead && (keep <= 0 || step >= limit || step == best))) continue;
        char *path = path_join(output, e->d_name);
        remove_plain_directory(path);
        mem_free(path);
    }
    if (d) closedir(d);
}

/* ---- state as JSON ------------------------------------------------------------------------------------------------------------ */

static const struct { const char *name; size_t offset; } state_numbers[] = {
    { "step", offsetof(struct run_state, step) }, { "updates", offsetof(struct run_state, updates) }, { "total", offsetof(struct run_state, total) }, { "warmup", offsetof(struct run_state, warmup) },
    { "best_step", offsetof(struct run_state, best_step) }, { "last_eval", offsetof(struct run_state, last_eval) }, { "evals_without_gain", offsetof(struct run_state, evals_without_gain) }, { "rows_per_step", offsetof(struct run_state, rows) },
    { "window_n", offsetof(struct run_state, window.n) }, { "skipped_in_a_row", offsetof(struct run_state, window.skipped_in_a_row) },
};
enum { N_NUMBERS = sizeof state_numbers / sizeof *state_numbers };

static const struct { const char *name; size_t offset; } state_costs[] = {
    { "wall_seconds", offsetof(struct run_state, wall_seconds) }, { "processor_seconds", offsetof(struct run_state, processor_seconds) }, { "joules", offsetof(struct run_state, joules) }, { "metered_seconds", offsetof(struct run_state, metered_seconds) },
};
enum { N_COSTS = sizeof state_costs / sizeof *state_costs };

enum { VERSION = 2 };

static json_t *state_describe(const struct run_state *s, json_t *files)
{
    json_t *o = json_pack("{s:s, s:i, s:o, s:f, s:I}", "format", "starchat-checkpoint", "version", VERSION, "files", files, "seconds", s->seconds, "tokens", (json_int_t)s->tokens), *window = json_array();
    for (size_t i = 0; i < N_NUMBERS; i++) json_object_set_new(o, state_numbers[i].name, json_integer(*(const int64_t *)((const char *)s + state_numbers[i].offset)));
    for (int64_t i = 0; i < LOSS_WINDOW && i < s->window.n; i++) json_array_append_new(window, json_real(s->window.loss[i]));
    for (size_t i = 0; i < N_COSTS; i++) json_object_set_new(o, state_costs[i].name, json_real(*(const double *)((const char *)s + state_costs[i].offset)));
    json_object_set_new(o, "window", window);
    json_object_set_new(o, "best_loss", isfinite(s->best_loss) ? json_real(s->best_loss) : json_null());
    return o;
}

static sc_status state_read(struct run_state *s, const json_t *o, const char *what, sc_error *err)
{
    int64_t version, tokens;
    const json_t *window = json_object_get(o, "window");
    TRY(json_need_int(&version, o, "version", VERSION, VERSION, what, err));
    for (size_t i = 0; i < N_NUMBERS; i++) TRY(json_need_int((int64_t *)((char *)s + state_numbers[i].offset), o, state_numbers[i].name, -1, INT64_MAX, what, err));
    TRY(json_need_int(&tokens, o, "tokens", 0, INT64_MAX, what, err));
    TRY(json_opt_real(&s->seconds, o, "seconds", 0, 0, 1e18, what, err));
    for (size_t i = 0; i < N_COSTS; i++) TRY(json_opt_real((double *)((char *)s + state_costs[i].offset), o, state_costs[i].name, 0, 0, 1e18, what, err));
    TRY(json_opt_real(&s->best_loss, o, "best_loss", HUGE_VAL, -1e300, HUGE_VAL, what, err));
    s->tokens = (uint64_t)tokens;
    int64_t expected = s->window.n < LOSS_WINDOW ? s->window.n : LOSS_WINDOW;
    if ((int64_t)json_array_size(window) != expected) return FAIL(err, SC_E_FORMAT, "%s: \"window\" has %zu losses, expected %lld", what, json_array_size(window), (long long)expected);
    for (int64_t i = 0; i < expected; i++) s->window.loss[i] = json_number_value(json_array_get(window, (size_t)i));
    return SC_OK;
}

/* ---- saving --------------------------------------------------------------------------------------------------------------------- */

static sc_status sync_directory(const char *path, sc_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    int code = errno;
    if (fd >= 0) close(fd);
    return ok ? SC_OK : FAIL(err, SC_E_IO, "cannot write %s to disk: %s", path, strerror(code));
}

/* This rank's file, and its entry of the manifest as text; an empty text if it keeps nothing that others do not. */
static sc_status write_own(const struct learner *l, const char *directory, struct buf *entry, sc_error *err)
{
    const struct comm *c = &l->rt->comm;
    char hex[65], name[64];
    json_t *first = NULL, *o = NULL;
    sc_text text = { 0 };
    sc_status status = SC_OK;
    bool writes = l->trainable.own_begin[l->trainable.n_groups] && (c->rank == 0 || shares_state(&l->trainable.sharing));
    if (!writes) return SC_OK;
    snprintf(name, sizeof name, "state-%05d-of-%05d.safetensors", c->rank + 1, shares_state(&l->trainable.sharing) ? c->size : 1);
    char *path = path_join(directory, name);
    TRY_DONE(trainable_write(&l->trainable, path, &first, err));
    TRY_DONE(lineage_digest(hex, NULL, path, err));
    o = json_pack("{s:s, s:s, s:O}", "name", name, "sha256", hex, "first", first);
    TRY_DONE(json_write(&text, o, false));
    buf_append(entry, text.data, text.len);
done:
    json_decref(first);
    json_decref(o);
    sc_text_free(&text);
    mem_free(path);
    return status;
}

/* The entries of all ranks, on all of them. */
static sc_status gather_entries(json_t **files, struct comm *c, const struct buf *own, sc_error *err)
{
    uint64_t *length = mem_zero((size_t)c->size, sizeof *length), most = 0;
    length[c->rank] = own->len;
    sc_status status = comm_gather(c, length, sizeof *length, err);
    for (int r = 0; r < c->size; r++) most = length[r] > most ? length[r] : most;
    char *all = mem_zero((size_t)c->size * most + 1, 1);
    if (own->len) memcpy(all + (size_t)c->rank * most, own->data, own->len);
    if (status == SC_OK) status = comm_gather(c, all, most, err);
    *files = json_array();
    for (int r = 0; r < c->size && status == SC_OK; r++) {
        json_t *o = NULL;
        if (!length[r]) continue;
        status = json_read(&o, all + (size_t)r * most, length[r], "the entry of a rank", err);
        json_array_append_new(*files, o);
    }
    mem_free(all);
    mem_free(length);
    return status;
}

static sc_status write_manifest(const struct run_state *s, json_t *files, const char *directory, sc_error *err)
{
    char *manifest = path_join(directory, "checkpoint.json");
    sc_text text = { 0 };
    json_t *o = state_describe(s, json_incref(files));
    sc_status status = json_write(&text, o, true);
    if (status == SC_OK) status = file_write(manifest, text.data, text.len, err);
    if (status == SC_OK) status = sync_directory(directory, err);
    json_decref(o);
    sc_text_free(&text);
    mem_free(manifest);
    return status;
}

static sc_status make_directory(const char *path, sc_error *err)
{
    remove_plain_directory(path);
    return mkdir(path, 0777) == 0 ? SC_OK : FAIL(err, SC_E_IO, "cannot make %s: %s", path, strerror(errno));
}

/* Other machines must see the same files. */
static sc_status check_visible(const char *path, sc_error *err)
{
    return path_exists(path) ? SC_OK : FAIL(err, SC_E_IO, "%s, which rank 0 made, is not there on this machine; choose an output_dir on a file system that all machines share", path);
}

static sc_status publish(const char *building, const char *path, const char *output, sc_error *err)
{
    remove_plain_directory(path);                              /* of the same step: the same state */
    if (rename(building, path) != 0) return FAIL(err, SC_E_IO, "cannot give %s its name: %s", path, strerror(errno));
    return sync_directory(output, err);
}

sc_status checkpoint_save(const struct learner *l, const struct run_state *s, const char *output, sc_error *err)
{
    struct comm *c = &l->rt->comm;
    char *building = checkpoint_path(output, s->step, ".tmp"), *path = checkpoint_path(output, s->step, "");
    struct buf entry;
    json_t *files = NULL;
    bool leads = c->rank == 0;
    buf_init(&entry, 0);
    sc_status status = SC_OK;
    TRY_DONE(comm_all_ok(c, leads ? make_directory(building, err) : SC_OK, err));
    status = check_visible(building, err);
    TRY_DONE(comm_all_ok(c, status == SC_OK ? write_own(l, building, &entry, err) : status, err));
    TRY_DONE(gather_entries(&files, c, &entry, err));
    status = leads ? write_manifest(s, files, building, err) : SC_OK;
    TRY_DONE(comm_all_ok(c, leads && status == SC_OK ? publish(building, path, output, err) : status, err));
done:
    if (status != SC_OK && leads) remove_plain_directory(building);
    json_decref(files);
    buf_release(&entry);
    mem_free(building);
    mem_free(path);
    return status;
}

/* ---- loading --------------------------------------------------------------------------------------------------------------------- */

/* Files of a manifest, as paths. */
struct state_files { struct state_file *file; char **path; const char **sha256; size_t n; };

static void files_release(struct state_files *f)
{
    for (size_t i = 0; i < f->n; i++) mem_free(f->path[i]);
    mem_free(f->file);
    mem_free(f->path);
    mem_free(f->sha256);
}

static sc_status files_read(struct state_files *out, const json_t *manifest, const char *directory, const char *what, sc_error *err)
{
    const json_t *list = json_object_get(manifest, "files"), *o;
    size_t n = json_array_size(list), i;
    *out = (struct state_files){ mem_zero(n + 1, sizeof *out->file), mem_zero(n + 1, sizeof *out->path), mem_zero(n + 1, sizeof *out->sha256), 0 };
    json_array_foreach(list, i, o) {
        const char *name;
        TRY(json_opt_string(&name, o, "name", "", what, err));
        TRY(json_opt_string(&out->sha256[i], o, "sha256", "", what, err));
        if (!*name || strchr(name, '/')) return FAIL(err, SC_E_FORMAT, "%s: the name of file %zu is \"%.40s\", expected a name in this directory", what, i, name);
        out->path[i] = path_join(directory, name);
        out->file[out->n++] = (struct state_file){ out->path[i], json_object_get(o, "first") };
    }
    return n ? SC_OK : FAIL(err, SC_E_FORMAT, "%s names no file; it was cut", what);
}

/* Digests of all files, shared out over the ranks. */
static sc_status files_check(const struct state_files *f, const struct comm *c, sc_error *err)
{
    for (size_t i = (size_t)c->rank; i < f->n; i += (size_t)c->size) {
        char hex[65];
        TRY(lineage_digest(hex, NULL, f->path[i], err));
        if (strcmp(hex, f->sha256[i]) != 0) return FAIL(err, SC_E_FORMAT, "%s is not what was saved: its digest is %.12s..., expected %.12s...", f->path[i], hex, f->sha256[i]);
    }
    return SC_OK;
}

/* Collective. *touched: what was trained is no longer as it was. */
static sc_status load(struct learner *l, struct run_state *s, const char *directory, bool *touched, sc_error *err)
{
    struct comm *c = &l->rt->comm;
    char *manifest = path_join(directory, "checkpoint.json");
    struct state_files files = { 0 };
    json_t *o = NULL;
    sc_status status = json_read_file(&o, manifest, 1 << 28, err);
    if (status == SC_OK && s) status = state_read(s, o, manifest, err);
    if (status == SC_OK) status = files_read(&files, o, directory, manifest, err);
    if (status == SC_OK) status = files_check(&files, c, err);
    status = comm_all_ok(c, status, err);
    *touched |= status == SC_OK;
    if (status == SC_OK) status = comm_all_ok(c, trainable_read(&l->trainable, files.file, files.n, err), err);
    if (status == SC_OK && l->shards) status = shards_publish(l->shards, err);
    files_release(&files);
    json_decref(o);
    mem_free(manifest);
    return status;
}

sc_status checkpoint_load(struct learner *l, struct run_state *s, const char *output, struct journal *j, bool *found, sc_error *err)
{
    struct comm *c = &l->rt->comm;
    sc_error first = { 0 };
    bool touched = false;
    *found = false;
    for (int64_t step = INT64_MAX;;) {
        if (c->rank == 0) step = newest_below(output, step);          /* all ranks take the one that rank 0 sees */
        TRY(comm_broadcast(c, 0, &step, sizeof step, err));
        if (step < 0 && touched) {                                     /* half a state is no beginning */
            c->failed_together = true;
            *err = first;
            return first.status;
        }
        if (step < 0) return SC_OK;
        char *path = checkpoint_path(output, step, "");
        struct run_state read = *s;
        sc_error inner = { 0 };
        sc_status status = load(l, &read, path, &touched, &inner);
        mem_free(path);
        if (status == SC_OK) {
            *s = read;
            *found = true;
            return SC_OK;
        }
        if (status != SC_E_FORMAT && status != SC_E_IO) { *err = inner; return status; }
        if (first.status == SC_OK) first = inner;
        c->failed_together = false;
        journal_note(j, "%s; going back to an older checkpoint", inner.message);
    }
}

sc_status checkpoint_load_step(struct learner *l, const char *output, int64_t step, sc_error *err)
{
    char *path = checkpoint_path(output, step, "");
    bool touched = false;
    sc_status status = load(l, NULL, path, &touched, err);
    mem_free(path);
    return status;
}
