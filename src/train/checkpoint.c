/* checkpoint.c - the state of a run on disk, whole or not at all: written under a temporary name, synced, renamed. The
 * state is read back only if its digest fits; else the next older one is taken, and said so. Random numbers need no
 * state: they are functions of seed and step. */
#include "train/train_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
    { "best_step", offsetof(struct run_state, best_step) }, { "last_eval", offsetof(struct run_state, last_eval) }, { "evals_without_gain", offsetof(struct run_state, evals_without_gain) },
    { "window_n", offsetof(struct run_state, window.n) }, { "skipped_in_a_row", offsetof(struct run_state, window.skipped_in_a_row) },
};
enum { N_NUMBERS = sizeof state_numbers / sizeof *state_numbers };

static json_t *state_describe(const struct run_state *s, const char *sha256)
{
    json_t *o = json_pack("{s:s, s:i, s:s, s:f, s:I}", "format", "starchat-checkpoint", "version", 1, "sha256", sha256, "seconds", s->seconds, "tokens", (json_int_t)s->tokens), *window = json_array();
    for (size_t i = 0; i < N_NUMBERS; i++) json_object_set_new(o, state_numbers[i].name, json_integer(*(const int64_t *)((const char *)s + state_numbers[i].offset)));
    for (int64_t i = 0; i < LOSS_WINDOW && i < s->window.n; i++) json_array_append_new(window, json_real(s->window.loss[i]));
    json_object_set_new(o, "window", window);
    json_object_set_new(o, "best_loss", isfinite(s->best_loss) ? json_real(s->best_loss) : json_null());
    return o;
}

static sc_status state_read(struct run_state *s, const json_t *o, const char *what, sc_error *err)
{
    int64_t version, tokens;
    const json_t *window = json_object_get(o, "window");
    TRY(json_need_int(&version, o, "version", 1, 1, what, err));
    for (size_t i = 0; i < N_NUMBERS; i++) TRY(json_need_int((int64_t *)((char *)s + state_numbers[i].offset), o, state_numbers[i].name, -1, INT64_MAX, what, err));
    TRY(json_need_int(&tokens, o, "tokens", 0, INT64_MAX, what, err));
    TRY(json_opt_real(&s->seconds, o, "seconds", 0, 0, 1e18, what, err));
    TRY(json_opt_real(&s->best_loss, o, "best_loss", HUGE_VAL, -1e300, HUGE_VAL, what, err));
    s->tokens = (uint64_t)tokens;
    int64_t expected = s->window.n < LOSS_WINDOW ? s->window.n : LOSS_WINDOW;
    if ((int64_t)json_array_size(window) != expected) return FAIL(err, SC_E_FORMAT, "%s: \"window\" has %zu losses, expected %lld", what, json_array_size(window), (long long)expected);
    for (int64_t i = 0; i < expected; i++) s->window.loss[i] = json_number_value(json_array_get(window, (size_t)i));
    return SC_OK;
}

enum { DIGEST_BYTES = 8 << 20 };

static sc_status digest(char hex[65], const char *path, sc_error *err)
{
    struct mapped_file f;
    struct sha256 h;
    TRY(file_map(&f, path, err));
    sha256_begin(&h);
    for (size_t at = 0, n; at < f.size; at += n) {         /* read pages count as memory of the run: let go of them */
        n = f.size - at < DIGEST_BYTES ? f.size - at : DIGEST_BYTES;
        sha256_add(&h, f.data + at, n);
        file_forget(f.data + at, n);
    }
    sha256_end(&h, hex);
    file_unmap(&f);
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

static sc_status write_files(const struct learner *l, const struct run_state *s, const char *directory, sc_error *err)
{
    char hex[65], *state = path_join(directory, "state.safetensors"), *manifest = path_join(directory, "checkpoint.json");
    sc_text text = { 0 };
    sc_status status = SC_OK;
    TRY_DONE(trainable_write(&l->trainable, state, err));
    TRY_DONE(digest(hex, state, err));
    json_t *o = state_describe(s, hex);
    status = json_write(&text, o, true);
    json_decref(o);
    TRY_DONE(status);
    TRY_DONE(file_write(manifest, text.data, text.len, err));
    TRY_DONE(sync_directory(directory, err));
done:
    sc_text_free(&text);
    mem_free(state);
    mem_free(manifest);
    return status;
}

sc_status checkpoint_save(const struct learner *l, const struct run_state *s, const char *output, sc_error *err)
{
    char *building = checkpoint_path(output, s->step, ".tmp"), *path = checkpoint_path(output, s->step, "");
    sc_status status = SC_OK;
    remove_plain_directory(building);
    if (mkdir(building, 0777) != 0) TRY_DONE(FAIL(err, SC_E_IO, "cannot make %s: %s", building, strerror(errno)));
    TRY_DONE(write_files(l, s, building, err));
    remove_plain_directory(path);                              /* of the same step: the same state */
    if (rename(building, path) != 0) TRY_DONE(FAIL(err, SC_E_IO, "cannot give %s its name: %s", path, strerror(errno)));
    TRY_DONE(sync_directory(output, err));
done:
    if (status != SC_OK) remove_plain_directory(building);
    mem_free(building);
    mem_free(path);
    return status;
}

/* ---- loading --------------------------------------------------------------------------------------------------------------------- */

static sc_status load(struct learner *l, struct run_state *s, const char *directory, sc_error *err)
{
    char hex[65], *state = path_join(directory, "state.safetensors"), *manifest = path_join(directory, "checkpoint.json");
    json_t *o = NULL;
    const char *expected;
    sc_status status = SC_OK;
    TRY_DONE(json_read_file(&o, manifest, 1 << 20, err));
    TRY_DONE(json_opt_string(&expected, o, "sha256", "", manifest, err));
    TRY_DONE(digest(hex, state, err));
    if (strcmp(hex, expected) != 0) TRY_DONE(FAIL(err, SC_E_FORMAT, "%s is not what was saved: its digest is %.12s..., expected %.12s...", state, hex, expected));
    if (s) TRY_DONE(state_read(s, o, manifest, err));
    TRY_DONE(trainable_read(&l->trainable, state, err));
done:
    json_decref(o);
    mem_free(state);
    mem_free(manifest);
    return status;
}

sc_status checkpoint_load(struct learner *l, struct run_state *s, const char *output, struct journal *j, bool *found, sc_error *err)
{
    *found = false;
    for (int64_t step = checkpoint_newest(output); step >= 0; step = newest_below(output, step)) {
        char *path = checkpoint_path(output, step, "");
        struct run_state read = *s;
        sc_error inner = { 0 };
        sc_status status = load(l, &read, path, &inner);
        mem_free(path);
        if (status == SC_OK) {
            *s = read;
            *found = true;
            return SC_OK;
        }
        if (status != SC_E_FORMAT && status != SC_E_IO) { *err = inner; return status; }
        journal_note(j, "%s; going back to an older checkpoint", inner.message);
    }
    return SC_OK;
}

sc_status checkpoint_load_step(struct learner *l, const char *output, int64_t step, sc_error *err)
{
    char *path = checkpoint_path(output, step, "");
    sc_status status = load(l, NULL, path, err);
    mem_free(path);
    return status;
}
