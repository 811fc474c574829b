/* chat_store.c - what a chat leaves behind: the lines typed (chat_history in the store's home), and the file format of
 * conversations in files (/save, /load). Files are readable by their owner alone and appear only when complete. Reads $HOME for "~/". */
#include "cmd/chat.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- files ------------------------------------------------------------------------------------------------------------------ */

char *path_in(const char *directory, const char *name)
{
    struct string s = { 0 };
    string_puts(&s, directory);
    string_puts(&s, "/");
    string_puts(&s, name);
    return string_take(&s);
}

char *path_expand(const char *path)
{
    const char *home = strncmp(path, "~/", 2) == 0 ? getenv("HOME") : NULL;
    if (home) return path_in(home, path + 2);
    struct string s = { 0 };
    string_puts(&s, path);
    return string_take(&s);
}

bool directory_make(const char *path)
{
    struct string s = { 0 };
    string_puts(&s, path);
    bool ok = true;
    for (char *at = s.data; at && *at && ok;) {
        at = strchr(at + 1, '/');
        if (at) *at = 0;
        ok = mkdir(s.data, 0700) == 0 || errno == EEXIST;
        if (at) *at = '/';
    }
    string_release(&s);
    return ok;
}

static bool write_whole(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

bool file_replace(const char *path, const char *bytes, size_t len)
{
    struct string temporary = { 0 };
    string_puts(&temporary, path);
    string_puts(&temporary, ".XXXXXX");
    int fd = mkstemp(temporary.data);                 /* mode 0600 */
    bool ok = fd >= 0 && write_whole(fd, bytes, len) && fsync(fd) == 0;
    if (fd >= 0) ok = close(fd) == 0 && ok;
    ok = ok && rename(temporary.data, path) == 0;
    int reason = errno;
    if (!ok && fd >= 0) unlink(temporary.data);
    string_release(&temporary);
    errno = reason;
    return ok;
}

static void complain(struct chat *c, const char *what)
{
    if (!c->is_home_broken) note(c->common, "%s in %s cannot be written (%s); the chat goes on without it", what, c->home, strerror(errno));
    c->is_home_broken = true;
}

/* ---- history -------------------------------------------------------------------------------------------------------------------- */

void history_escape(struct string *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\') string_puts(out, "\\\\");
        else if (*text == '\n') string_puts(out, "\\n");
        else string_add(out, text, 1);
    }
}

void history_unescape(struct string *out, const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool is_escape = line[i] == '\\' && i + 1 < len;
        if (is_escape) i++;
        string_add(out, is_escape && line[i] == 'n' ? "\n" : line + i, 1);
    }
}

/* Keeps the file from growing for ever. */
static void trim_history(struct chat *c, const char *path, const char *text, size_t lines)
{
    for (; lines > HISTORY_KEPT; lines--) text = strchr(text, '\n') + 1;
    if (!file_replace(path, text, strlen(text))) complain(c, "chat_history");
}

void history_load(struct chat *c)
{
    if (!c->home) return;
    char *path = path_in(c->home, "chat_history");
    FILE *from = fopen(path, "rb");
    size_t len = 0, lines = 0;
    char *text = from ? read_all(from, FILE_BYTES_MAX, &len, path) : NULL;
    if (from) fclose(from);
    struct string entry = { 0 };
    for (char *at = text, *end; at && (end = strchr(at, '\n')); at = end + 1, lines++) {
        string_clear(&entry);
        history_unescape(&entry, at, (size_t)(end - at));
        if (entry.len) terminal_history_add(entry.data);
    }
    if (lines > 2 * HISTORY_KEPT) trim_history(c, path, text, lines);
    string_release(&entry);
    free(text);
    free(path);
}

void history_append(struct chat *c, const char *text)
{
    terminal_history_add(text);
    if (!c->home || !c->is_kept || c->is_home_broken) return;
    struct string line = { 0 };
    history_escape(&line, text);
    string_puts(&line, "\n");
    char *path = path_in(c->home, "chat_history");
    int fd = directory_make(c->home) ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || !write_whole(fd, line.data, line.len)) complain(c, "chat_history");
    if (fd >= 0) close(fd);
    free(path);
    string_release(&line);
}

/* ---- conversations --------------------------------------------------------------------------------------------------------------- */

static json_t *settings_json(const sc_sample_config *sample)
{
    sc_text text = { 0 };
    json_t *settings = NULL;
    if (sc_options_record(&text, sc_options_for("sample"), sample) == SC_OK) settings = json_loadb(text.data, text.len, 0, NULL);
    sc_text_free(&text);
    return settings ? settings : json_object();
}

/* Names of files may be no UTF-8; JSON is. */
static json_t *text_json(const char *text)
{
    struct string s = { 0 };
    if (!text) return json_null();
    string_add_repaired(&s, text, strlen(text));
    json_t *value = json_string(s.data);
    string_release(&s);
    return value;
}

void saved_write(struct string *out, const struct saved *s)
{
    json_t *messages = json_array();
    for (size_t i = 0; i < s->talk.n; i++)
        json_array_append_new(messages, json_pack("{s:s, s:o}", "role", s->talk.message[i].role, "content", text_json(s->talk.message[i].content)));
    json_t *o = json_pack("{s:o, s:o, s:o, s:o}", "model", text_json(s->model), "few_shot", text_json(s->few_shot), "messages", messages,
                          "settings", settings_json(&s->sample));
    char *text = json_dumps(o, JSON_INDENT(1));
    if (text) string_puts(out, text);
    string_puts(out, "\n");
    free(text);
    json_decref(o);
}

static bool refuse(sc_error *err, const char *what, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool refuse(sc_error *err, const char *what, const char *format, ...)
{
    char reason[256];
    va_list ap;
    va_start(ap, format);
    vsnprintf(reason, sizeof reason, format, ap);
    va_end(ap);
    err->status = SC_E_FORMAT;
    snprintf(err->message, sizeof err->message, "%s is no saved conversation: %s", what, reason);
    return false;
}

static bool read_messages(struct saved *s, const json_t *messages, const char *what, sc_error *err)
{
    static const char *const roles[] = { "system", "user", "assistant" };
    if (!json_is_array(messages)) return refuse(err, what, "it has no list \"messages\"");
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *m = json_array_get(messages, i), *content = json_object_get(m, "content");
        const char *role = json_string_value(json_object_get(m, "role"));
        if (!role || !json_is_string(content)) return refuse(err, what, "message %zu has no \"role\" or no \"content\" that is text", i + 1);
        size_t r = 0;
        while (r < 3 && strcmp(roles[r], role) != 0) r++;
        if (r == 3 || (r == 0 && i > 0)) return refuse(err, what, "the role of message %zu is \"%.40s\", expected %suser or assistant", i + 1, role, i ? "" : "system, ");
        conversation_add(&s->talk, roles[r], json_string_value(content), json_string_length(content));
    }
    return true;
}

/* Options that this version does not know are left alone. */
bool saved_settings(struct saved *s, const json_t *settings, sc_error *err)
{
    const sc_options *o = sc_options_for("sample");
    const char *key;
    json_t *value;
    s->has_settings = json_object_size(settings) > 0;
    json_object_foreach((json_t *)settings, key, value) {
        char number[64];
        if (json_is_boolean(value)) snprintf(number, sizeof number, "%s", json_is_true(value) ? "true" : "false");
        else if (json_is_integer(value)) snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        else if (json_is_real(value)) snprintf(number, sizeof number, "%.17g", json_real_value(value));
        else continue;
        if (sc_options_has(o, key, NULL) && sc_options_set(o, &s->sample, key, number, err) != SC_OK) return false;
    }
    return true;
}

static char *copy_string(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? strdup(text) : NULL;
}

bool saved_read(struct saved *s, const char *json, size_t len, const char *what, sc_error *err)
{
    json_error_t where;
    json_t *o = json_loadb(json, len, JSON_REJECT_DUPLICATES, &where);
    bool ok = json_is_object(o);
    if (!ok) refuse(err, what, "line %d: %s", o ? 1 : where.line, o ? "expected an object" : where.text);
    ok = ok && read_messages(s, json_object_get(o, "messages"), what, err) && saved_settings(s, json_object_get(o, "settings"), err);
    if (ok) {
        s->model = copy_string(o, "model");
        s->few_shot = copy_string(o, "few_shot");
    } else conversation_release(&s->talk);
    json_decref(o);
    return ok;
}

void saved_release(struct saved *s)
{
    conversation_release(&s->talk);
    free(s->model);
    free(s->few_shot);
    s->model = s->few_shot = NULL;
}

bool chat_write(struct chat *c, const char *path)
{
    struct string json = { 0 };
    char *model = realpath(c->model_name, NULL);      /* a path holds from another directory too */
    const struct saved s = { .talk = c->talk, .sample = c->sample, .model = model ? model : (char *)c->model_name, .few_shot = c->has_fewshot ? c->fewshot.name : NULL };
    saved_write(&json, &s);
    free(model);
    bool ok = file_replace(path, json.data, json.len);
    string_release(&json);
    return ok;
}

int chat_read(struct saved *s, const struct chat *c, const char *path)
{
    sc_error err = { 0 };
    *s = (struct saved){ .sample = c->sample };
    FILE *from = fopen(path, "rb");
    if (!from) return fail_text("%s: %s", path, strerror(errno));
    size_t len;
    char *text = read_all(from, FILE_BYTES_MAX, &len, path);
    fclose(from);
    if (!text) return EXIT_FAILED;
    bool ok = saved_read(s, text, len, path, &err);
    free(text);
    return ok ? ARGS_GO : fail_with(c->common, &err);
}
