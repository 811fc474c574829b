/* ui_talks.c - conversations for the page: mostly what sc_talks_* gives, with statuses of HTTP. All of it runs on the store's thread. */
#include <stdlib.h>
#include <string.h>

#include "serve/page.h"
#include "serve/ui.h"

/* ---- common ------------------------------------------------------------------------------------------------------------------------ */

bool ui_body(struct call *c, struct api_error *e)
{
    sc_error err;
    if (!c->x->body_len) { c->body = json_object(); return true; }
    if (json_read(&c->body, c->x->body, c->x->body_len, "the body", &err) != SC_OK) return api_bad(e, NULL, "%s", err.message);
    return json_is_object(c->body) || api_bad(e, NULL, "the body is no JSON object");
}

bool ui_failed(struct api_error *e, sc_status status, const sc_error *err, bool is_unknown)
{
    if (is_unknown) return api_fail(e, 404, "invalid_request_error", "not_found", NULL, "%s", err->message);
    if (status == SC_E_ARGUMENT) return api_bad(e, NULL, "%s", err->message);
    return api_fail(e, 503, "server_error", "conversations_unavailable", NULL, "%s", err->message);
}

void ui_reply(struct call *c, int status, sc_text *json)
{
    c->reply.status = status;
    buf_append(&c->reply.body, json->data ? json->data : "", json->len);
    sc_text_free(json);
}

struct head { const char *id; struct talk *out; };

static sc_status do_head(sc_talks *t, void *arg, sc_error *err)
{
    struct head *h = arg;
    return talks_load(h->out, t, h->id, false, err);
}

bool ui_head(struct talk *out, struct call *c, const char *id, struct api_error *e)
{
    sc_error err;
    struct head h = { id, out };
    sc_status status = talks_look(c->server->talks, do_head, &h, &err);
    if (status == SC_OK) return true;
    talk_release(out);
    return ui_failed(e, status, &err, status == SC_E_ARGUMENT);
}

/* A call on the conversation failed: because there is none? */
static bool failed_on_talk(struct call *c, sc_status status, const sc_error *err, struct api_error *e)
{
    struct talk head;
    if (status == SC_E_ARGUMENT) {
        if (!ui_head(&head, c, c->arg, e)) return false;
        talk_release(&head);
    }
    return ui_failed(e, status, err, false);
}

bool ui_id(const char **out, const json_t *object, const char *key, struct api_error *e)
{
    const json_t *v = json_object_get(object, key);
    *out = json_string_value(v);
    if (!v || json_is_null(v)) return true;
    return (*out && talk_id_is_valid(*out)) || api_bad(e, key, "%s is no id", key);
}

/* ---- conversations ------------------------------------------------------------------------------------------------------------------- */

static bool number_of(double *out, const struct buf *text, const char *name, double low, double high, struct api_error *e)
{
    char *end;
    *out = strtod(text->data ? text->data : "", &end);
    return (text->len && !*end && *out >= low && *out <= high) || api_bad(e, name, "%s is no number from %.0f to %.0f", name, low, high);
}

bool ui_list(struct call *c, struct api_error *e)
{
    struct buf query, limit, before;
    double n = 0, time = 0;
    sc_text json;
    sc_error err;
    buf_init(&query, 0);
    buf_init(&limit, 0);
    buf_init(&before, 0);
    bool ok = (!http_query(&limit, c->x, "limit") || number_of(&n, &limit, "limit", 1, 1000, e)) && (!http_query(&before, c->x, "before") || number_of(&time, &before, "before", 0, 99999999999, e));
    (void)http_query(&query, c->x, "q");
    if (ok) {
        sc_status status = sc_talks_list(&json, c->server->talks, query.data, (int64_t)n, time, &err);
        ok = status == SC_OK || ui_failed(e, status, &err, false);
        if (ok) ui_reply(c, 200, &json);
    }
    buf_release(&query);
    buf_release(&limit);
    buf_release(&before);
    return ok;
}

/* A new conversation is with the model that is served, unless the page says another. */
bool ui_create(struct call *c, struct api_error *e)
{
    sc_text json, fields = { 0 };
    sc_error err;
    if (!ui_body(c, e)) return false;
    const char *model = json_string_value(json_object_get(c->body, "model"));
    if (!model || !*model) json_object_set_new(c->body, "model", json_string(api_base_name(c)));
    json_write(&fields, c->body, false);
    sc_status status = sc_talks_create(&json, c->server->talks, fields.data, &err);
    sc_text_free(&fields);
    if (status != SC_OK) return ui_failed(e, status, &err, false);
    ui_reply(c, 200, &json);
    return true;
}

bool ui_get(struct call *c, struct api_error *e)
{
    sc_text json;
    sc_error err;
    sc_status status = sc_talks_get(&json, c->server->talks, c->arg, &err);
    if (status != SC_OK) return failed_on_talk(c, status, &err, e);
    ui_reply(c, 200, &json);
    return true;
}

bool ui_update(struct call *c, struct api_error *e)
{
    sc_text json;
    sc_error err;
    if (!ui_body(c, e)) return false;
    sc_status status = sc_talks_update(&json, c->server->talks, c->arg, c->x->body_len ? c->x->body : "{}", &err);
    if (status != SC_OK) return failed_on_talk(c, status, &err, e);
    ui_reply(c, 200, &json);
    return true;
}

bool ui_delete(struct call *c, struct api_error *e)
{
    sc_error err;
    sc_status status = sc_talks_delete(c->server->talks, c->arg, &err);
    if (status != SC_OK) return failed_on_talk(c, status, &err, e);
    buf_puts(&c->reply.body, "{\"deleted\":true}");
    return true;
}

bool ui_message(struct call *c, struct api_error *e)
{
    sc_text json;
    sc_error err;
    const char *parent;
    if (!ui_body(c, e) || !ui_id(&parent, c->body, "parent", e)) return false;
    const json_t *content = json_object_get(c->body, "content");
    if (!json_is_string(content) || !json_string_length(content)) return api_bad(e, "content", "content is no text, or empty");
    const sc_talks_message m = { .parent = parent, .role = "user", .content = json_string_value(content), .len = json_string_length(content) };
    sc_status status = sc_talks_add(&json, c->server->talks, c->arg, &m, &err);
    if (status != SC_OK) return ui_failed(e, status, &err, status == SC_E_ARGUMENT);     /* the conversation or the parent is unknown */
    ui_reply(c, 200, &json);
    return true;
}

/* ---- in and out -------------------------------------------------------------------------------------------------------------------------- */

/* A name for the file that every system takes: the title's letters and digits, as far as they are ASCII. */
static void put_file_name(struct buf *b, const char *title, const char *ending)
{
    size_t from = b->len;
    for (const char *p = title; *p && b->len - from < 60; p++) {
        bool is_plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
        if (is_plain) buf_putc(b, *p);
        else if (b->len > from && b->data[b->len - 1] != '-') buf_putc(b, '-');
    }
    if (b->len > from && b->data[b->len - 1] == '-') b->len--;
    if (b->len == from) buf_puts(b, "chat");
    buf_puts(b, ending);
}

bool ui_export(struct call *c, struct api_error *e)
{
    struct buf format;
    sc_text text;
    sc_error err;
    struct talk head;
    buf_init(&format, 0);
    (void)http_query(&format, c->x, "format");
    bool is_markdown = format.len && strcmp(format.data, "markdown") == 0, is_known = !format.len || is_markdown || strcmp(format.data, "json") == 0;
    buf_release(&format);
    if (!is_known) return api_bad(e, "format", "format is neither json nor markdown");
    if (*c->arg && !ui_head(&head, c, c->arg, e)) return false;
    buf_puts(&c->reply.headers, "Content-Disposition: attachment; filename=\"");
    put_file_name(&c->reply.headers, *c->arg ? head.title : "starchat", is_markdown ? ".md" : ".json");
    buf_puts(&c->reply.headers, "\"\r\n");
    if (*c->arg) talk_release(&head);
    sc_status status = sc_talks_export(&text, c->server->talks, *c->arg ? c->arg : NULL, is_markdown ? "markdown" : "json", &err);
    if (status != SC_OK) return ui_failed(e, status, &err, false);
    c->reply.type = is_markdown ? "text/markdown; charset=utf-8" : "application/json";
    ui_reply(c, 200, &text);
    return true;
}

/* {"markdown": TEXT}, or a file as it is. */
bool ui_import(struct call *c, struct api_error *e)
{
    const char *text = c->x->body;
    size_t len = c->x->body_len, look = len < 100 ? len : 100;
    sc_text json;
    sc_error err;
    if (memmem(text, look, "\"markdown\"", 10)) {
        if (!ui_body(c, e)) return false;
        const json_t *markdown = json_object_get(c->body, "markdown");
        if (json_is_string(markdown)) { text = json_string_value(markdown); len = json_string_length(markdown); }
    }
    sc_status status = sc_talks_import(&json, c->server->talks, text, len, "the file", &err);
    if (status == SC_E_FORMAT || status == SC_E_UNSUPPORTED) return api_bad(e, NULL, "%s", err.message);
    if (status != SC_OK) return ui_failed(e, status, &err, false);
    ui_reply(c, 200, &json);
    return true;
}
