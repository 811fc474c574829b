/* data_convert.c - the job `data convert`: dialogues of any format, read and cleaned as for `data prepare`, as lines
 * {"messages":[...]}. What belongs to a dialogue goes with it: tools, the other answer of a preference pair, id, language,
 * licence. The file appears under its name only when it is complete. */
#include "data/prepare.h"

#include <string.h>

enum { CHUNK_BYTES = 1 << 18 };

struct convert_job { struct file_writer file; struct buf pending; struct counts counts; };

static void put_string(struct buf *b, const char *key, const char *text)
{
    if (!text) return;
    buf_printf(b, "%s\"%s\":", b->data[b->len - 1] == '{' ? "" : ",", key);
    buf_put_json_string(b, text, strlen(text));
}

static void put_json(struct buf *b, const char *key, const json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    if (text) buf_printf(b, "%s\"%s\":", b->data[b->len - 1] == '{' ? "" : ",", key);
    if (text) buf_puts(b, text);
    mem_free(text);
}

static sc_status convert_flush(struct convert_job *j, sc_error *err)
{
    if (!j->pending.len) return SC_OK;
    TRY(file_writer_put(&j->file, j->pending.data, j->pending.len, err));
    buf_clear(&j->pending);
    return SC_OK;
}

static sc_status put_line(void *user, const struct work *w, struct prepared *p, struct dialogue *d, sc_error *err)
{
    struct convert_job *j = user;
    (void)w; (void)p;
    buf_putc(&j->pending, '{');
    put_json(&j->pending, "messages", d->text ? NULL : d->messages);
    put_string(&j->pending, "text", d->text);
    put_json(&j->pending, "chosen", d->rejected ? d->messages : NULL);   /* by both names a pair is read again */
    put_json(&j->pending, "rejected", d->rejected);
    put_json(&j->pending, "tools", d->tools);
    put_string(&j->pending, "id", d->id);
    put_string(&j->pending, "lang", d->lang);
    put_string(&j->pending, "licence", d->licence);
    buf_puts(&j->pending, "}\n");
    return j->pending.len < CHUNK_BYTES ? SC_OK : convert_flush(j, err);
}

static void tell_done(const sc_prepare_config *c, const struct counts *counts)
{
    json_t *event = c->on_event ? json_pack("{s:s, s:s, s:o}", "event", "done", "path", c->out, "stats", counts_describe(counts)) : NULL;
    char *text = event ? json_dumps(event, JSON_COMPACT) : NULL;
    if (text) c->on_event(c->user, text);
    mem_free(text);
    json_decref(event);
}

static sc_status check_output(const sc_prepare_config *c, sc_error *err)
{
    if (!c->out || !*c->out) return FAIL(err, SC_E_ARGUMENT, "the file to write is missing, such as dialogues.jsonl");
    if (path_is_directory(c->out)) return FAIL(err, SC_E_ARGUMENT, "%s is a directory, expected the name of a .jsonl file to write", c->out);
    if (path_exists(c->out) && !c->overwrite) return FAIL(err, SC_E_ARGUMENT, "%s exists already; --overwrite replaces it", c->out);
    return SC_OK;
}

sc_status sc_data_convert(sc_runtime *rt, const sc_prepare_config *c, sc_error *err)
{
    struct convert_job j = { .file = { .fd = -1 } };
    struct plan plan;
    json_t *inputs = NULL;
    sc_status status = SC_OK;
    buf_init(&j.pending, 0);
    TRY_DONE(check_output(c, err));
    TRY_DONE(plan_read(&plan, c, err));
    TRY_DONE(file_writer_open(&j.file, c->out, err));
    TRY_DONE(pipeline_run(rt, &plan, NULL, &j.counts, &inputs, put_line, &j, err));
    TRY_DONE(convert_flush(&j, err));
    TRY_DONE(file_writer_publish(&j.file, err));
    tell_done(c, &j.counts);
done:
    file_writer_discard(&j.file);
    json_decref(inputs);
    counts_release(&j.counts);
    buf_release(&j.pending);
    return status;
}
