/* judge_run_files.c - the directory of a run. run.json says what the run is of, so that only the same goes on there; judgements.jsonl grows by a line for each answer of a
 * judge, on disk before the next; a torn last line of a run that was killed is cut off. */
#include "judge/judge_run.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINES_MAX = 1 << 30, RUN_MAX = 64 << 20 };

/* ---- what is there already ------------------------------------------------------------------------------------------------------------------ */

/* What a list of models or judges holds otherwise: the name of the first that differs. */
static bool name_member(char out[200], const char *key, const json_t *was, const json_t *now)
{
    const json_t *one;
    size_t i;
    if (!json_is_array(was) || !json_is_array(now)) return false;
    json_array_foreach(now, i, one) {
        const json_t *other = json_array_get(was, i);
        const char *a = json_string_value(json_object_get(other, "name")), *b = json_string_value(json_object_get(one, "name"));
        if (json_equal(other, one) || !b) continue;
        if (a && !strcmp(a, b)) snprintf(out, 200, "%s is another one there: %.80s has changed", key, b);
        else snprintf(out, 200, "%s is %.80s there and %.80s here", key, a ? a : "nothing", b);
        return true;
    }
    snprintf(out, 200, "%s is a list of %zu there and of %zu here", key, json_array_size(was), json_array_size(now));
    return true;
}

void settings_difference(char out[200], const json_t *old, const json_t *now)
{
    const char *key;
    json_t *v;
    char *a = NULL, *b = NULL;
    json_object_foreach((json_t *)(uintptr_t)now, key, v) {
        const json_t *was = json_object_get(old, key);
        if (was && json_equal(was, v)) continue;
        if (name_member(out, key, was, v)) return;
        a = was ? json_dumps(was, JSON_ENCODE_ANY | JSON_COMPACT) : mem_strdup("not named");
        b = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
        snprintf(out, 200, "%s is %.60s%s there and %.60s%s here", key, a, strlen(a) > 60 ? "..." : "", b, strlen(b) > 60 ? "..." : "");
        break;
    }
    json_object_foreach((json_t *)(uintptr_t)old, key, v) {
        if (a || json_object_get(now, key)) continue;
        a = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
        snprintf(out, 200, "%.60s is %.60s%s there and not named here", key, a, strlen(a) > 60 ? "..." : "");
    }
    mem_free(a);
    mem_free(b);
}

/* Answers come again from the cache; what judges said is worth keeping. */
static bool has_lines(const struct run_files *f)
{
    char *lines = path_join(f->directory, "judgements.jsonl");
    struct stat st;
    bool has = stat(lines, &st) == 0 && st.st_size > 0;
    mem_free(lines);
    return has;
}

static const char *const result_names[] = { "report.html", "verdict.json", "audit.json", "judgements.jsonl", "answers.jsonl", "run.json" };

/* A file that the run would write, in a directory that no run has written to; the caller's. NULL: none. */
static char *foreign_file(const struct run_files *f)
{
    for (size_t i = 0; i <= sizeof result_names / sizeof *result_names; i++) {
        char *path = path_join(f->directory, i ? result_names[i - 1] : "prompts.jsonl");
        if (path_exists(path) && (i == 0 || strcmp(result_names[i - 1], "judgements.jsonl") != 0)) return path;
        mem_free(path);
    }
    return NULL;
}

static sc_status check_settings(const struct run_files *f, const json_t *settings, bool overwrite, bool *is_new, sc_error *err)
{
    char *path = path_join(f->directory, "run.json"), difference[200] = "it has no settings", quoted[220];
    json_t *old = NULL;
    sc_status status = SC_OK;
    bool is_there = path_exists(path), has = has_lines(f);
    if (is_there && !overwrite) status = json_read_file(&old, path, RUN_MAX, has ? err : NULL);
    bool is_same = old && json_equal(json_object_get(old, "settings"), settings);
    *is_new = overwrite || (!is_same && !has);
    char *foreign = !is_there && !overwrite && !has ? foreign_file(f) : NULL;
    if (foreign) status = FAIL(err, SC_E_ARGUMENT, "%s is there already and of no run, which would write its own; take another --out, or --overwrite it", foreign);
    else if (*is_new || is_same) status = SC_OK;
    else if (!is_there) status = FAIL(err, SC_E_ARGUMENT, "%s has judgements, but no run.json that says of what; take another --out, or --overwrite it", f->directory);
    else if (status == SC_OK) {
        settings_difference(difference, json_object_get(old, "settings"), settings);
        status = FAIL(err, SC_E_ARGUMENT, "%s is another run: %s; take the same settings to go on, another --out, or --overwrite it", f->directory, error_quote(quoted, sizeof quoted, difference, strlen(difference)));
    }
    json_decref(old);
    mem_free(foreign);
    mem_free(path);
    return status;
}

/* run.json goes last: until the others are gone it says what they are of. */
static void remove_results(const struct run_files *f)
{
    for (size_t i = 0; i < sizeof result_names / sizeof *result_names; i++) {
        char *path = path_join(f->directory, result_names[i]);
        unlink(path);
        mem_free(path);
    }
}

static json_t *kind_of(const json_t *line)
{
    return json_is_true(json_object_get(line, "refused")) ? json_null() : json_boolean(!json_is_string(json_object_get(line, "error")));
}

static void read_lines(struct run_files *f, const sc_text *text, size_t *whole)
{
    *whole = 0;
    for (const char *at = text->data, *end = at + text->len, *next; at < end && (next = memchr(at, '\n', (size_t)(end - at))); at = next + 1) {
        json_t *line = json_loadb(at, (size_t)(next - at), 0, NULL);
        const char *key = json_string_value(json_object_get(line, "key"));
        if (key) json_object_set_new(f->done, key, kind_of(line));
        json_decref(line);
        *whole = (size_t)(next + 1 - text->data);
    }
}

static sc_status open_lines(struct run_files *f, bool is_new, sc_error *err)
{
    char *path = path_join(f->directory, "judgements.jsonl");
    sc_text text = { 0 };
    size_t whole = 0;
    sc_status status = SC_OK;
    if (!is_new && path_exists(path)) {
        status = file_read(&text, path, LINES_MAX, err);
        if (status == SC_OK) read_lines(f, &text, &whole);
    }
    if (status == SC_OK) {
        f->lines = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (f->lines < 0 || ftruncate(f->lines, (off_t)whole) != 0 || lseek(f->lines, 0, SEEK_END) < 0) status = FAIL(err, SC_E_IO, "%s cannot be written: %s", path, strerror(errno));
    }
    sc_text_free(&text);
    mem_free(path);
    return status;
}

static sc_status take_lock(struct run_files *f, sc_error *err)
{
    char *path = path_join(f->directory, ".lock");
    f->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    sc_status status = SC_OK;
    if (f->lock < 0) status = FAIL(err, SC_E_IO, "%s cannot be written: %s", path, strerror(errno));
    else if (flock(f->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) status = FAIL(err, SC_E_ARGUMENT, "another process is writing to %s; wait for it, or take another --out", f->directory);
    mem_free(path);
    return status;
}

sc_status run_files_open(struct run_files *out, const char *directory, const json_t *settings, bool overwrite, sc_error *err)
{
    bool is_new;
    *out = (struct run_files){ .directory = mem_strdup(directory), .lock = -1, .lines = -1, .done = json_object() };
    sc_status status = path_make_directories(directory, err);
    if (status == SC_OK) status = take_lock(out, err);
    if (status == SC_OK) status = check_settings(out, settings, overwrite, &is_new, err);
    if (status == SC_OK && is_new) remove_results(out);
    if (status == SC_OK) status = open_lines(out, is_new, err);
    if (status != SC_OK) run_files_close(out);
    return status;
}

void run_files_close(struct run_files *f)
{
    if (f->lines >= 0) close(f->lines);
    if (f->lock >= 0) close(f->lock);
    json_decref(f->done);
    mem_free(f->directory);
    *f = (struct run_files){ .lock = -1, .lines = -1 };
}

/* ---- writing -------------------------------------------------------------------------------------------------------------------------------------- */

sc_status run_files_put(struct run_files *f, json_t *line, sc_error *err)
{
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    const char *key = json_string_value(json_object_get(line, "key"));
    struct buf b;
    sc_status status = SC_OK;
    off_t before = lseek(f->lines, 0, SEEK_CUR);
    buf_init(&b, 0);
    if (text) buf_printf(&b, "%s\n", text);
    else status = FAIL(err, SC_E_FORMAT, "a judgement has a value that JSON cannot hold");
    for (size_t at = 0; status == SC_OK && at < b.len;) {
        ssize_t n = write(f->lines, b.data + at, b.len - at);
        if (n < 0 && errno != EINTR) status = FAIL(err, SC_E_IO, "%s/judgements.jsonl cannot be written: %s; the same command goes on when it can", f->directory, strerror(errno));
        if (n > 0) at += (size_t)n;
    }
    if (status == SC_OK && fdatasync(f->lines) != 0) status = FAIL(err, SC_E_IO, "%s/judgements.jsonl cannot be written: %s", f->directory, strerror(errno));
    /* No half line, behind which others would follow. */
    if (status != SC_OK && before >= 0 && (ftruncate(f->lines, before) != 0 || lseek(f->lines, before, SEEK_SET) < 0)) { close(f->lines); f->lines = -1; }
    if (status == SC_OK && key) json_object_set_new(f->done, key, kind_of(line));
    buf_release(&b);
    mem_free(text);
    json_decref(line);
    return status;
}

sc_status run_files_write(const struct run_files *f, const char *name, const json_t *value, sc_error *err)
{
    char *path = path_join(f->directory, name), *text = json_dumps(value, JSON_INDENT(2));
    sc_status status = text ? file_write(path, text, strlen(text), err) : FAIL(err, SC_E_FORMAT, "%s has a value that JSON cannot hold", path);
    mem_free(text);
    mem_free(path);
    return status;
}

static json_t *texts_of(char *const *at, size_t n)
{
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(out, json_string(at[i]));
    return out;
}

void prompts_text(struct buf *b, const struct judge_prompts *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct judge_prompt *q = &p->at[i];
        json_t *line = json_pack("{s:s}", "id", q->id);
        if (q->slice) json_object_set_new(line, "slice", json_string(q->slice));
        if (q->language) json_object_set_new(line, "language", json_string(q->language));
        json_object_set_new(line, "turns", texts_of(q->turn, q->n_turns));
        if (q->n_references) json_object_set_new(line, "reference", texts_of(q->reference, q->n_references));
        char *text = json_dumps(line, JSON_COMPACT);
        buf_puts(b, text ? text : "");
        buf_putc(b, '\n');
        mem_free(text);
        json_decref(line);
    }
}

sc_status run_files_prompts(const struct run_files *f, const struct judge_prompts *p, sc_error *err)
{
    char *path = path_join(f->directory, "prompts.jsonl");
    struct buf b;
    buf_init(&b, 0);
    prompts_text(&b, p);
    sc_status status = file_write(path, b.data, b.len, err);
    buf_release(&b);
    mem_free(path);
    return status;
}
