/* talk_json.c - conversations as JSON: the shapes of docs/page-api.md, written and read. */
#include "talks/talks.h"

#include <math.h>
#include <string.h>

/* ---- writing ------------------------------------------------------------------------------------------------------------------ */

void talk_put_time(struct buf *out, int64_t ms) { buf_printf(out, "%lld.%03lld", (long long)(ms / 1000), (long long)(ms % 1000)); }

static void put_text(struct buf *out, const char *key, const char *text)
{
    buf_printf(out, ",\"%s\":", key);
    if (text) buf_put_json_string(out, text, strlen(text));
    else buf_puts(out, "null");
}

static void put_time(struct buf *out, const char *key, int64_t ms)
{
    buf_printf(out, ",\"%s\":", key);
    talk_put_time(out, ms);
}

void talk_put_message(struct buf *out, const struct talk *k, size_t i)
{
    const struct talk_message *m = &k->message[i];
    buf_puts(out, "{\"id\":");
    buf_put_json_string(out, m->id, strlen(m->id));
    put_text(out, "parent", m->parent >= 0 ? k->message[m->parent].id : NULL);
    put_text(out, "role", m->role);
    put_text(out, "content", m->content);
    put_time(out, "created", m->created);
    put_text(out, "model", m->model);
    put_text(out, "status", m->status);
    buf_printf(out, ",\"stats\":%s", m->stats);
    if (m->error) put_text(out, "error", m->error);
    buf_putc(out, '}');
}

void talk_put_json(struct buf *out, const struct talk *k, bool messages)
{
    buf_puts(out, "{\"id\":");
    buf_put_json_string(out, k->id, strlen(k->id));
    put_text(out, "title", k->title);
    put_time(out, "created", k->created);
    put_time(out, "updated", k->updated);
    put_text(out, "model", k->model);
    put_text(out, "system", k->system);
    buf_printf(out, ",\"settings\":%s", k->settings);
    if (k->few_shot) put_text(out, "few_shot", k->few_shot);
    put_text(out, "leaf", k->leaf >= 0 ? k->message[k->leaf].id : NULL);
    if (messages) buf_puts(out, ",\"messages\":[");
    for (size_t i = 0; messages && i < k->n; i++) {
        if (i) buf_puts(out, ",\n");
        talk_put_message(out, k, i);
    }
    buf_puts(out, messages ? "]}" : "}");
}

void talk_put_head(struct buf *out, int64_t now)
{
    buf_puts(out, "{\"format\":\"starchat conversations\",\"version\":1,\"exported\":");
    talk_put_time(out, now);
    buf_puts(out, ",\"conversations\":[\n");
}

void talk_put_tail(struct buf *out) { buf_puts(out, "\n]}\n"); }

/* ---- reading ------------------------------------------------------------------------------------------------------------------- */

enum { OBJECT_DEPTH = 16 };
#define SECONDS_MAX 253402300800.0       /* the year 10000 */

sc_status talk_time(int64_t *out, const json_t *o, const char *key, int64_t fallback, sc_error *err)
{
    double seconds;
    const json_t *v = json_object_get(o, key);
    *out = fallback;
    if (!v || json_is_null(v)) return SC_OK;
    TRY(json_opt_real(&seconds, o, key, 0, 0, SECONDS_MAX, "it", err));
    *out = (int64_t)llround(seconds * 1000);
    return SC_OK;
}

/* Deeper than `most`? A file of conversations is nested a little deeper than what it holds. */
static bool is_deeper(const json_t *value, int most)
{
    const char *key;
    json_t *member;
    size_t i;
    bool is_deep = (json_is_object(value) || json_is_array(value)) && most == 0;
    if (is_deep) return true;
    json_object_foreach((json_t *)value, key, member) is_deep = is_deep || is_deeper(member, most - 1);
    json_array_foreach(value, i, member) is_deep = is_deep || is_deeper(member, most - 1);
    return is_deep;
}

sc_status talk_object(char **out, const json_t *value, const char *what, sc_error *err)
{
    sc_text text = { 0 };
    *out = NULL;
    if (!value || json_is_null(value)) {
        *out = mem_strdup("{}");
        return SC_OK;
    }
    if (!json_is_object(value)) return FAIL(err, SC_E_FORMAT, "\"%s\" is no object", what);
    if (is_deeper(value, OBJECT_DEPTH)) return FAIL(err, SC_E_FORMAT, "\"%s\" is nested deeper than %d levels", what, OBJECT_DEPTH);
    TRY(json_write(&text, value, false));
    if (text.len <= TALK_OBJECT_MAX) *out = text.data;
    else sc_text_free(&text);
    return *out ? SC_OK : FAIL(err, SC_E_FORMAT, "\"%s\" has more than %d bytes", what, TALK_OBJECT_MAX);
}

/* A text or null. */
static sc_status read_text(char **out, const json_t *o, const char *key, sc_error *err)
{
    const json_t *v = json_object_get(o, key);
    if (!v || json_is_null(v)) return SC_OK;
    if (!json_is_string(v)) return FAIL(err, SC_E_FORMAT, "\"%s\" is no text", key);
    talk_set(out, talk_text(json_string_value(v), json_string_length(v)));
    return SC_OK;
}

static sc_status read_id(char **out, const json_t *o, sc_error *err)
{
    TRY(read_text(out, o, "id", err));
    if (!*out || talk_id_is_valid(*out)) return SC_OK;
    char quoted[80];
    return FAIL(err, SC_E_FORMAT, "\"%s\" is no id: expected 1 to %d letters, digits, - and _", error_quote(quoted, sizeof quoted, *out, strlen(*out)), TALK_ID_MAX);
}

static sc_status read_role(const char **out, const json_t *o, sc_error *err)
{
    char quoted[48];
    *out = json_string_value(json_object_get(o, "role"));
    if (!*out) return FAIL(err, SC_E_FORMAT, "it has no \"role\"");
    if (talk_role_is_known(*out)) return SC_OK;
    return FAIL(err, SC_E_FORMAT, "its role is \"%s\", expected user or assistant", error_quote(quoted, sizeof quoted, *out, strlen(*out)));
}

/* An answer that was being written when the file was made ended there. */
static sc_status read_status(char **out, const json_t *o, sc_error *err)
{
    TRY(read_text(out, o, "status", err));
    if (!talk_status_is_known(*out)) return FAIL(err, SC_E_FORMAT, "its status is not one of done, stopped, length, error, filtered");
    if (strcmp(*out, "generating") == 0) talk_set(out, mem_strdup("stopped"));
    return SC_OK;
}

/* The place of each id so far. */
static sc_status place_of(ptrdiff_t *out, json_t *places, const json_t *id, const char *what, sc_error *err)
{
    *out = -1;
    if (!id || json_is_null(id)) return SC_OK;
    const json_t *place = json_is_string(id) ? json_object_get(places, json_string_value(id)) : NULL;
    if (!place) return FAIL(err, SC_E_FORMAT, "its \"%s\" is no message that stands before it", what);
    *out = (ptrdiff_t)json_integer_value(place);
    return SC_OK;
}

static sc_status read_message(struct talk *k, const json_t *o, json_t *places, int64_t now, sc_error *err)
{
    const char *role;
    const json_t *content = json_object_get(o, "content"), *parent = json_object_get(o, "parent");
    TRY(read_role(&role, o, err));
    if (!json_is_string(content)) return FAIL(err, SC_E_FORMAT, "it has no \"content\" that is text");
    struct talk_message *m = talk_add(k, role);
    talk_set(&m->content, talk_text(json_string_value(content), json_string_length(content)));
    TRY(read_id(&m->id, o, err));
    if (parent) TRY(place_of(&m->parent, places, parent, "parent", err));
    else m->parent = (ptrdiff_t)k->n - 2;             /* a conversation in one line */
    TRY(talk_time(&m->created, o, "created", now, err));
    TRY(read_text(&m->model, o, "model", err));
    TRY(read_status(&m->status, o, err));
    TRY(read_text(&m->error, o, "error", err));
    talk_set(&m->stats, NULL);
    TRY(talk_object(&m->stats, json_object_get(o, "stats"), "stats", err));
    if (m->id && json_object_get(places, m->id)) return FAIL(err, SC_E_FORMAT, "its id is that of another one");
    if (m->id) json_object_set_new(places, m->id, json_integer((json_int_t)k->n - 1));
    return SC_OK;
}

/* The first may be of the system. */
static sc_status read_messages(struct talk *k, const json_t *list, json_t *places, int64_t now, sc_error *err)
{
    if (!json_is_array(list)) return FAIL(err, SC_E_FORMAT, "it has no list \"messages\"");
    if (json_array_size(list) > TALK_MESSAGES_MAX) return FAIL(err, SC_E_FORMAT, "it has %zu messages, expected at most %d", json_array_size(list), TALK_MESSAGES_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i), *content = json_object_get(o, "content");
        const char *role = json_string_value(json_object_get(o, "role"));
        if (i == 0 && role && strcmp(role, "system") == 0 && json_is_string(content)) {
            talk_set(&k->system, talk_text(json_string_value(content), json_string_length(content)));
            continue;
        }
        sc_status status = read_message(k, o, places, now, err);
        if (status != SC_OK) return error_prefix(err, status, "message %zu", i + 1);
    }
    return SC_OK;
}

static sc_status read_talk(struct talk *k, const json_t *o, json_t *places, int64_t now, sc_error *err)
{
    if (!json_is_object(o)) return FAIL(err, SC_E_FORMAT, "it is no object");
    TRY(read_id(&k->id, o, err));
    TRY(read_text(&k->title, o, "title", err));
    talk_set(&k->title, talk_title(k->title, strlen(k->title), TALK_TITLE_MAX));
    TRY(talk_time(&k->created, o, "created", now, err));
    TRY(talk_time(&k->updated, o, "updated", k->created, err));
    TRY(read_text(&k->model, o, "model", err));
    TRY(read_text(&k->system, o, "system", err));
    TRY(read_text(&k->few_shot, o, "few_shot", err));
    talk_set(&k->settings, NULL);
    TRY(talk_object(&k->settings, json_object_get(o, "settings"), "settings", err));
    TRY(read_messages(k, json_object_get(o, "messages"), places, k->created, err));
    k->leaf = (ptrdiff_t)k->n - 1;
    if (json_object_get(o, "leaf")) TRY(place_of(&k->leaf, places, json_object_get(o, "leaf"), "leaf", err));
    if (!*k->title) talk_title_from_messages(k);
    return SC_OK;
}

sc_status talk_from_json(struct talk *out, const json_t *o, int64_t now, sc_error *err)
{
    json_t *places = json_object();
    talk_init(out);
    sc_status status = read_talk(out, o, places, now, err);
    if (status != SC_OK) talk_release(out);
    json_decref(places);
    return status;
}
