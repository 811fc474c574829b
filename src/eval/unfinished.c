/* unfinished.c - what an interrupted run has found already: OUT.unfinished, a line for each answer, which the next run with the same settings reads.
 * The first line says what the lines are of; each task's digest is that of its requests, so that other data or prompts are never mixed in. */
#include "eval/eval_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FLUSH_SECONDS = 1 };

static char *path_of(const char *out)
{
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "%s.unfinished", out);
    return b.data;
}

/* Lines of a file that may end in half a line. */
static void read_lines(struct eval_unfinished *u, const sc_text *text)
{
    for (const char *at = text->data, *end = at + text->len, *next; at < end; at = next + 1) {
        next = memchr(at, '\n', (size_t)(end - at));
        if (!next) break;
        json_t *line = json_loadb(at, (size_t)(next - at), 0, NULL);
        const char *task = json_string_value(json_object_get(line, "task"));
        if (task) {
            if (!json_object_get(u->known, task)) json_object_set_new(u->known, task, json_array());
            json_array_append(json_object_get(u->known, task), line);
            u->n_known++;
        }
        json_decref(line);
    }
}

static bool begins_with(const sc_text *text, const char *key)
{
    const char *stop = text->len ? memchr(text->data, '\n', text->len) : NULL;
    json_t *head = stop ? json_loadb(text->data, (size_t)(stop - text->data), 0, NULL) : NULL;
    const char *is = json_string_value(json_object_get(head, "key"));
    bool same = is && !strcmp(is, key);
    json_decref(head);
    return same;
}

sc_status eval_unfinished_open(struct eval_unfinished *u, const char *out, const char *key, bool *is_other, sc_error *err)
{
    sc_text text = { 0 };
    *u = (struct eval_unfinished){ .path = path_of(out), .known = json_object() };
    *is_other = false;
    if (path_exists(u->path)) {
        TRY(file_read(&text, u->path, (size_t)4 << 30, err));
        bool same = begins_with(&text, key);
        *is_other = !same && text.len;
        if (same) read_lines(u, &text);
        sc_text_free(&text);
    }
    u->file = fopen(u->path, u->n_known ? "a" : "w");
    if (!u->file) return FAIL(err, SC_E_IO, "%s cannot be written: %s", u->path, strerror(errno));
    if (!u->n_known) fprintf(u->file, "{\"key\":\"%s\"}\n", key);
    fflush(u->file);
    return SC_OK;
}

/* A torn last line of the run before would swallow the next. */
void eval_unfinished_begin(struct eval_unfinished *u)
{
    if (u->file && u->n_known) putc('\n', u->file);
}

void eval_unfinished_put(struct eval_unfinished *u, json_t *line)
{
    if (!u->file) return;
    json_dumpf(line, u->file, JSON_COMPACT);
    putc('\n', u->file);
    double now = clock_seconds();
    if (now - u->flushed < FLUSH_SECONDS) return;
    fflush(u->file);
    u->flushed = now;
}

const json_t *eval_unfinished_of(const struct eval_unfinished *u, const char *task) { return json_object_get(u->known, task); }

void eval_unfinished_remove(const char *out)
{
    char *path = path_of(out);
    unlink(path);
    mem_free(path);
}

void eval_unfinished_close(struct eval_unfinished *u)
{
    if (u->file) fclose(u->file);
    json_decref(u->known);
    mem_free(u->path);
    *u = (struct eval_unfinished){ 0 };
}
