/* journal.c - everything that happens in a run as JSON events: to the caller, to events.jsonl, and numbers to TensorBoard.
 * A resumed run keeps the lines up to its checkpoint's step. */
#include "train/train_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { EVENTS_BYTES_MAX = 1 << 30 };

/* ---- what an earlier run left ------------------------------------------------------------------------------------------- */

/* Whether a line is whole and tells of a step up to `step`. */
static bool is_kept(const char *line, size_t len, int64_t step)
{
    json_t *event = json_loadb(line, len, 0, NULL);
    const json_t *at = json_object_get(event, "step");
    bool kept = json_is_integer(at) && json_integer_value(at) <= step;
    json_decref(event);
    return kept;
}

static sc_status cut_back(const char *path, int64_t step, sc_error *err)
{
    sc_text old = { 0 };
    struct buf kept;
    if (!path_exists(path)) return SC_OK;
    TRY(file_read(&old, path, EVENTS_BYTES_MAX, err));
    buf_init(&kept, 0);
    for (const char *at = old.data, *end = old.data + old.len; at < end;) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end) break;
        if (step > 0 && is_kept(at, (size_t)(line_end - at), step)) buf_append(&kept, at, (size_t)(line_end - at) + 1);
        at = line_end + 1;
    }
    sc_status status = file_write(path, kept.data ? kept.data : "", kept.len, err);
    buf_release(&kept);
    sc_text_free(&old);
    return status;
}

/* ---- the journal --------------------------------------------------------------------------------------------------------- */

static bool wants_board(const char *report_to) { return strstr(report_to, "tensorboard") || strcmp(report_to, "all") == 0; }

sc_status journal_open(struct journal *j, sc_runtime *rt, const sc_train_config *c, int64_t step, sc_error *err)
{
    *j = (struct journal){ .path = path_join(c->output_dir, "events.jsonl"), .config = c, .rt = rt };
    TRY(cut_back(j->path, step, err));
    j->file = fopen(j->path, "ab");
    if (!j->file) return FAIL(err, SC_E_IO, "cannot write %s: %s", j->path, strerror(errno));
    if (!wants_board(c->report_to)) return SC_OK;
    char *runs = path_join(c->output_dir, "runs");
    sc_status status = tensorboard_open(&j->board, runs, step, err);
    mem_free(runs);
    return status;
}

void journal_close(struct journal *j)
{
    if (j->file) fclose(j->file);
    tensorboard_close(j->board);
    mem_free(j->path);
    *j = (struct journal){ 0 };
}

sc_status journal_sync(struct journal *j, sc_error *err)
{
    if (!j->file) return SC_OK;
    if (fflush(j->file) != 0 || fsync(fileno(j->file)) != 0) return FAIL(err, SC_E_IO, "cannot write %s: %s", j->path, strerror(errno));
    return j->board ? tensorboard_flush(j->board, err) : SC_OK;
}

/* Which numbers become curves, and their names: those of transformers' TensorBoard callback. */
static const struct { const char *event, *member, *tag; } scalars[] = {
    { "step", "mean_loss", "train/loss" }, { "step", "learning_rate", "train/learning_rate" }, { "step", "grad_norm", "train/grad_norm" }, { "step", "epoch", "train/epoch" },
    { "step", "tokens_per_second", "train/tokens_per_second" }, { "eval", "loss", "eval/loss" }, { "eval", "perplexity", "eval/perplexity" },
    { "step", "rewards_margin", "train/rewards_margin" }, { "step", "rewards_accuracy", "train/rewards_accuracy" }, { "eval", "rewards_margin", "eval/rewards_margin" },
    { "eval", "rewards_accuracy", "eval/rewards_accuracy" },
};

static sc_status draw_scalars(struct journal *j, const json_t *event, sc_error *err)
{
    const char *name = json_string_value(json_object_get(event, "event"));
    int64_t step = json_integer_value(json_object_get(event, "step"));
    if (name && strcmp(name, "step") == 0 && !json_object_get(event, "mean_loss")) return SC_OK;      /* between two lines of the log */
    for (size_t i = 0; name && j->board && i < sizeof scalars / sizeof *scalars; i++) {
        const json_t *value = json_object_get(event, scalars[i].member);
        if (json_is_number(value) && strcmp(scalars[i].event, name) == 0) TRY(tensorboard_scalar(j->board, scalars[i].tag, json_number_value(value), step, err));
    }
    return SC_OK;
}

sc_status journal_put(struct journal *j, json_t *event, sc_error *err)
{
    if (!j->file) {
        json_decref(event);
        return SC_OK;
    }
    char *text = json_dumps(event, JSON_COMPACT);
    sc_status status = SC_OK;
    if (!text) status = FAIL(err, SC_E_ARGUMENT, "an event has a value that JSON cannot hold");
    else if (fprintf(j->file, "%s\n", text) < 0 || fflush(j->file) != 0) status = FAIL(err, SC_E_IO, "cannot write %s: %s", j->path, strerror(errno));
    if (status == SC_OK) status = draw_scalars(j, event, err);
    if (text && j->config->on_event) j->config->on_event(j->config->user, text);
    mem_free(text);
    json_decref(event);
    return status;
}

void journal_note(const struct journal *j, const char *format, ...)
{
    char text[4096];                                  /* a command with its words fits */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_t *event = json_pack("{s:s, s:s}", "event", "note", "text", text);
    char *line = json_dumps(event, JSON_COMPACT);
    if (line && j->config->on_event) j->config->on_event(j->config->user, line);
    mem_free(line);
    json_decref(event);
}
