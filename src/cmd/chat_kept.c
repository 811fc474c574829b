/* chat_kept.c - conversations are kept without asking, in the store that the page of `starchat serve` shares (sc_talks).
 *
 * The chat works on its messages in a row; what is kept is a tree. Beside the row stands what the store has of it, with
 * ids. After a change the two are compared: what they have in common stays, what is new hangs on the last of that. So
 * /undo moves back in the tree, and /regen and /edit make another branch; nothing that was kept is lost. */
#include "cmd/chat.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of the options, those that a conversation has (docs/page-api.md). The seed is another one for each start. */
static const char *const kept_settings[] = { "temperature", "top_p", "top_k", "min_p", "repeat_penalty", "presence_penalty", "frequency_penalty", "max_tokens" };

/* ---- the store ----------------------------------------------------------------------------------------------------------- */

/* Once, and the chat goes on. */
static void complain(struct chat *c, const sc_error *err)
{
    if (!c->kept.has_complained) note(c->common, "%s; the chat goes on, but what is not written is not kept", err->message);
    c->kept.has_complained = true;
}

/* Opened when it is first needed, and tried once. */
static sc_status open_store(struct chat *c, sc_error *err)
{
    sc_error reason = { 0 };
    sc_text told = { 0 };
    struct kept *k = &c->kept;
    if (!k->is_tried && c->home) {
        k->is_tried = true;
        if (sc_talks_open(&k->talks, c->home, &k->failure) == SC_OK && sc_talks_import_kept(&told, k->talks, &reason) != SC_OK) note(c->common, "%s", reason.message);
        if (told.data) note(c->common, "%s", told.data);
        sc_text_free(&told);
    }
    *err = k->failure;
    return k->talks ? SC_OK : k->failure.status ? k->failure.status : SC_E_IO;
}

static void drop_nodes(struct kept *k, size_t n)
{
    while (k->n > n) {
        k->n--;
        free(k->id_of[k->n]);
    }
    conversation_cut(&k->row, n);
}

static void add_node(struct kept *k, const sc_message *m, const char *id)
{
    if (k->n == k->cap) {
        k->cap = k->cap * 2 + 16;
        k->id_of = realloc(k->id_of, k->cap * sizeof *k->id_of);
        if (!k->id_of) abort();
    }
    k->id_of[k->n++] = path_expand(id);
    conversation_add(&k->row, m->role, m->content, strlen(m->content));
}

void kept_forget(struct chat *c)
{
    struct kept *k = &c->kept;
    drop_nodes(k, 0);
    free(k->id);
    json_decref(k->record);
    json_decref(k->settings);
    k->id = NULL;
    k->record = k->settings = NULL;
}

void kept_close(struct chat *c)
{
    struct kept *k = &c->kept;
    kept_forget(c);
    conversation_release(&k->row);
    free(k->id_of);
    sc_talks_close(k->talks);
    *k = (struct kept){ 0 };
}

/* ---- what is kept beside the messages --------------------------------------------------------------------------------------- */

static json_t *settings_now(const struct chat *c)
{
    sc_text text = { 0 };
    json_t *some = json_object(), *all = NULL;
    if (sc_options_record(&text, sc_options_for("sample"), &c->sample) == SC_OK) all = json_loadb(text.data, text.len, 0, NULL);
    for (size_t i = 0; i < sizeof kept_settings / sizeof *kept_settings; i++) json_object_set(some, kept_settings[i], json_object_get(all, kept_settings[i]));
    json_decref(all);
    sc_text_free(&text);
    return some;
}

static json_t *text_or_null(const char *text)
{
    struct string s = { 0 };
    if (!text) return json_null();
    string_add_repaired(&s, text, strlen(text));       /* names of files may be no UTF-8 */
    json_t *value = json_string(s.data ? s.data : "");
    string_release(&s);
    return value;
}

/* Members that are not as the store has them; settings that only the page knows stay. */
static json_t *changes(struct chat *c)
{
    struct kept *k = &c->kept;
    char *model = realpath(c->model_name, NULL);       /* a path holds from another directory too */
    json_t *now = json_object(), *settings = settings_now(c), *value;
    const char *key;
    void *next;
    json_object_set_new(now, "model", text_or_null(model ? model : c->model_name));
    json_object_set_new(now, "system", text_or_null(conversation_system(&c->talk)));
    json_object_set_new(now, "few_shot", text_or_null(c->has_fewshot ? c->fewshot.name : NULL));
    json_object_foreach_safe(now, next, key, value) {
        const json_t *old = json_object_get(k->record, key);
        if (json_equal(value, old) || (!old && json_is_null(value))) json_object_del(now, key);
    }
    if (!json_equal(settings, k->settings)) {
        json_t *all = json_object_get(k->record, "settings") ? json_copy(json_object_get(k->record, "settings")) : json_object();
        json_object_update(all, settings);
        json_object_set_new(now, "settings", all);
        json_decref(k->settings);
        k->settings = json_incref(settings);
    }
    json_decref(settings);
    free(model);
    return now;
}

/* The conversation's row in the store; made if there is none. */
static sc_status write_record(struct chat *c, sc_error *err)
{
    struct kept *k = &c->kept;
    sc_text out = { 0 };
    json_t *now = changes(c);
    char *fields = json_dumps(now, 0);
    sc_status status = SC_OK;
    if (!k->id) status = sc_talks_create(&out, k->talks, fields, err);
    else if (json_object_size(now)) status = sc_talks_update(&out, k->talks, k->id, fields, err);
    if (status == SC_OK && out.data) {
        json_decref(k->record);
        k->record = json_loadb(out.data, out.len, JSON_ALLOW_NUL, NULL);
        if (!k->id) k->id = path_expand(json_string_value(json_object_get(k->record, "id")));
    }
    sc_text_free(&out);
    free(fields);
    json_decref(now);
    return status;
}

/* ---- messages ------------------------------------------------------------------------------------------------------------------ */

static void put_stats(struct string *out, const struct chat *c)
{
    const struct answer_figures *f = &c->last;
    string_printf(out, "{\"prompt_tokens\":%zu,\"cached_tokens\":%zu,\"tokens\":%zu,\"seconds\":%.3f,\"first_seconds\":%.3f,\"tokens_per_second\":%.2f,\"context\":%zu}",
                  f->prompt, f->reused, f->tokens, f->seconds, f->first_seconds, f->seconds > 0 ? (double)f->tokens / f->seconds : 0, sc_session_capacity(c->session));
}

static sc_status write_message(struct chat *c, const sc_message *m, bool is_fresh, sc_error *err)
{
    struct kept *k = &c->kept;
    struct string stats = { 0 };
    sc_text out = { 0 };
    bool is_answer = strcmp(m->role, "assistant") == 0;
    const char *model = json_string_value(json_object_get(k->record, "model"));
    if (is_fresh) put_stats(&stats, c);
    const sc_talks_message new = { .parent = k->n ? k->id_of[k->n - 1] : NULL, .role = m->role, .content = m->content, .len = strlen(m->content),
                                   .model = is_answer ? model : NULL, .status = is_fresh ? c->answer_status : NULL, .stats = is_fresh ? stats.data : NULL };
    sc_status status = sc_talks_add(&out, k->talks, k->id, &new, err);
    if (status == SC_OK) {
        json_t *o = json_loadb(out.data, out.len, 0, NULL);
        add_node(k, m, json_string_value(json_object_get(o, "id")));
        json_decref(o);
    }
    sc_text_free(&out);
    string_release(&stats);
    return status;
}

static sc_status move_leaf(struct kept *k, sc_error *err)
{
    struct string fields = { 0 };
    sc_text out = { 0 };
    if (k->n) string_printf(&fields, "{\"leaf\":\"%s\"}", k->id_of[k->n - 1]);
    else string_puts(&fields, "{\"leaf\":null}");
    sc_status status = sc_talks_update(&out, k->talks, k->id, fields.data, err);
    sc_text_free(&out);
    string_release(&fields);
    return status;
}

static bool is_same(const sc_message *a, const sc_message *b) { return strcmp(a->role, b->role) == 0 && strcmp(a->content, b->content) == 0; }

static sc_status write_all(struct chat *c, sc_error *err)
{
    struct kept *k = &c->kept;
    size_t system = conversation_system(&c->talk) ? 1 : 0, n = c->talk.n - system, same = 0;
    const sc_message *row = c->talk.message + system;
    if (!k->id && !n) return SC_OK;
    while (same < n && same < k->n && is_same(&row[same], &k->row.message[same])) same++;
    bool is_back = same < k->n && same == n;
    drop_nodes(k, same);
    sc_status status = write_record(c, err);
    if (status == SC_OK && is_back) status = move_leaf(k, err);
    for (size_t i = same; status == SC_OK && i < n; i++) status = write_message(c, &row[i], c->answer_status && i + 1 == n && strcmp(row[i].role, "assistant") == 0, err);
    return status;
}

void chat_autosave(struct chat *c)
{
    sc_error err = { 0 };
    if (!c->is_kept || !c->home) return;
    sc_status status = open_store(c, &err);
    if (status == SC_OK) status = write_all(c, &err);
    if (status == SC_E_ARGUMENT && c->kept.id) {      /* deleted meanwhile, by the page: it is kept again as a new one */
        kept_forget(c);
        status = write_all(c, &err);
    }
    if (status != SC_OK) complain(c, &err);
    c->answer_status = NULL;
}

/* ---- going on ------------------------------------------------------------------------------------------------------------------- */

/* NULL after a message. */
static json_t *list(struct chat *c, int64_t limit)
{
    sc_error err = { 0 };
    sc_text out = { 0 };
    json_t *all = NULL;
    if (!c->home) return json_object();
    sc_status status = open_store(c, &err);
    if (status == SC_OK) status = sc_talks_list(&out, c->kept.talks, NULL, limit, 0, &err);
    if (status == SC_OK) all = json_loadb(out.data, out.len, JSON_ALLOW_NUL, NULL);
    else fail_with(c->common, &err);
    sc_text_free(&out);
    return all;
}

int kept_id(char **out, struct chat *c, size_t number)
{
    bool is_possible = number >= 1 && number <= KEPT_LISTED;
    json_t *all = list(c, is_possible ? (int64_t)number : 1), *rows = json_object_get(all, "conversations");
    const char *id = is_possible ? json_string_value(json_object_get(json_array_get(rows, number - 1), "id")) : NULL;
    *out = id ? path_expand(id) : NULL;
    json_decref(all);
    return all ? ARGS_GO : EXIT_FAILED;
}

static char *copy_text(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? strdup(text) : NULL;
}

static void take_path(struct chat *c, struct saved *s, const sc_talks_path *path)
{
    for (size_t i = 0; i < path->n; i++) {
        const sc_message *m = &path->message[i];
        conversation_add(&s->talk, m->role, m->content, strlen(m->content));
        if (path->id[i]) add_node(&c->kept, m, path->id[i]);
    }
}

int kept_read(struct saved *s, struct chat *c, const char *id)
{
    sc_error err = { 0 };
    sc_text out = { 0 };
    sc_talks_path path = { 0 };
    *s = (struct saved){ .sample = c->sample };
    sc_status status = open_store(c, &err);
    if (status == SC_OK) status = sc_talks_get(&out, c->kept.talks, id, &err);
    if (status == SC_OK) status = sc_talks_path_get(&path, c->kept.talks, id, NULL, &err);
    if (status == SC_OK) {
        json_t *o = json_loadb(out.data, out.len, JSON_ALLOW_NUL, NULL);
        kept_forget(c);
        c->kept.id = path_expand(id);
        take_path(c, s, &path);
        s->model = copy_text(o, "model");
        s->few_shot = copy_text(o, "few_shot");
        saved_settings(s, json_object_get(o, "settings"), &err);      /* what the page allows and the chat does not stays as it was */
        json_object_del(o, "messages");
        c->kept.record = o;
    }
    sc_text_free(&out);
    sc_talks_path_free(&path);
    return status == SC_OK ? ARGS_GO : fail_with(c->common, &err);
}

void kept_adopted(struct chat *c)
{
    json_decref(c->kept.settings);
    c->kept.settings = settings_now(c);
}

/* ---- the list -------------------------------------------------------------------------------------------------------------------- */

static void show_one(const struct chat *c, size_t number, const json_t *o)
{
    struct string line = { 0 };
    struct tm t;
    char when[32] = "";
    time_t updated = (time_t)json_number_value(json_object_get(o, "updated"));
    long long n = json_integer_value(json_object_get(o, "messages"));
    const char *title = json_string_value(json_object_get(o, "title"));
    strftime(when, sizeof when, "%Y-%m-%d %H:%M", localtime_r(&updated, &t));
    string_printf(&line, "%3zu  %s  %3lld message%s  %s", number, when, n, n == 1 ? " " : "s", title && *title ? title : "(no title)");
    chat_dim(c, "%s", line.data);
    string_release(&line);
}

void kept_show(struct chat *c)
{
    json_t *all = list(c, KEPT_SHOWN), *rows = json_object_get(all, "conversations");
    if (!all) return;
    for (size_t i = 0; i < json_array_size(rows) && i < KEPT_SHOWN; i++) show_one(c, i + 1, json_array_get(rows, i));
    if (json_array_size(rows)) chat_dim(c, "/load N goes on with one of these, /load FILE with a file of /save");
    else chat_dim(c, "no conversation is kept yet; /load FILE reads one written by /save");
    json_decref(all);
}
