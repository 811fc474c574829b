/* ui_prompt.c - from a place in a conversation to a task: the path, the settings, the model. */
#include <string.h>

#include "serve/ui.h"

/* What the playground of the original StarChat began with. */
static const struct { double temperature, top_p, repeat_penalty; int64_t top_k, max_tokens; } playground = { 0.2, 0.95, 1.2, 50, 512 };

static void put_model(json_t *list, const struct sc_server *s, const struct served_model *m)
{
    json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:b, s:s}", "id", m->name, "kind", m->is_adapter ? "adapter" : "model", "context", (json_int_t)engine_context(s->engine),
                                          "has_chat", m->model->has_template && m->model->tokenizer, "notice", sc_model_notice(m->model)));
}

void handle_ui_info(struct call *c)
{
    const struct sc_server *s = c->server;
    json_t *models = json_array();
    for (size_t i = 0; i < s->n_models; i++) put_model(models, s, &s->models[i]);
    json_t *defaults = json_pack("{s:f, s:f, s:I, s:f, s:f, s:f, s:f, s:I, s:n, s:[], s:s}", "temperature", playground.temperature, "top_p", playground.top_p, "top_k", (json_int_t)playground.top_k, "min_p", 0.0,
                                 "repeat_penalty", playground.repeat_penalty, "presence_penalty", 0.0, "frequency_penalty", 0.0, "max_tokens", (json_int_t)playground.max_tokens, "seed", "stop", "system", "");
    bool is_kept = s->talks && s->c.keep_talks && s->c.talks_home && *s->c.talks_home;
    json_t *v = json_pack("{s:s, s:o, s:o, s:{s:I}, s:b, s:b}", "version", sc_version(), "models", models, "defaults", defaults, "limits", "body_bytes", (json_int_t)s->c.body_mib << 20, "filter", s->filter != NULL, "kept", is_kept);
    if (s->talks_problem[0]) json_object_set_new(v, "problem", json_string(s->talks_problem));
    call_reply_json(c, 200, v);
}

/* ---- settings ----------------------------------------------------------------------------------------------------------------------- */

/* What the request has, also if it is null, goes before what the conversation has. Nothing but what is known goes further. */
static json_t *merged(const json_t *request, const char *conversation)
{
    static const char *const names[] = { "temperature", "top_p", "top_k", "min_p", "repeat_penalty", "presence_penalty", "frequency_penalty", "max_tokens", "seed", "stop" };
    json_t *out = json_object(), *kept = json_tree(conversation, strlen(conversation), 64);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *v = json_object_get(request, names[i]);
        if (!v) v = json_object_get(kept, names[i]);
        if (v && !json_is_null(v)) json_object_set(out, names[i], v);
    }
    json_decref(kept);
    return out;
}

static bool set_wish(struct call *c, const struct talk *head, struct api_error *e)
{
    const json_t *request = json_object_get(c->body, "settings");
    struct wish *w = &c->wish;
    if (request && !json_is_null(request) && !json_is_object(request)) return api_bad(e, "settings", "settings is no object");
    w->sample.temperature = playground.temperature;
    w->sample.top_p = playground.top_p;
    w->sample.top_k = playground.top_k;
    w->sample.repeat_penalty = playground.repeat_penalty;
    w->sample.min_p = w->sample.presence_penalty = w->sample.frequency_penalty = 0;
    w->max_tokens = playground.max_tokens;
    json_t *settings = merged(request, head->settings);
    json_object_set_new(c->body, "settings in force", settings);     /* keeps what the wish borrows */
    return wish_read(w, settings, e);
}

/* The model of the request, else that of the conversation if it is still served, else the first one. */
static bool choose_model(struct call *c, const char *asked, const struct talk *head, struct api_error *e)
{
    const char *name = asked && *asked ? asked : head && head->model && server_model(c->server, head->model) ? head->model : "";
    json_t *body = json_pack("{s:s}", "model", name);
    bool ok = call_model(c, body, e);
    json_decref(body);
    return ok;
}

/* ---- messages -------------------------------------------------------------------------------------------------------------------------- */

static void put_message(json_t *list, const char *role, const char *content)
{
    json_array_append_new(list, json_pack("{s:s, s:s}", "role", role, "content", content));
}

/* The path to `leaf` (NULL: nothing but the system message). `system` NULL: the conversation's own. */
static bool path_messages(json_t *list, struct call *c, const struct talk *head, const char *leaf, const char *system, struct api_error *e)
{
    sc_talks_path path = { 0 };
    sc_error err;
    if (!system) system = head && head->system ? head->system : "";
    if (*system) put_message(list, "system", system);
    if (!head || !leaf) return true;
    sc_status status = sc_talks_path_get(&path, c->server->talks, head->id, leaf, &err);
    if (status != SC_OK) return ui_failed(e, status, &err, status == SC_E_ARGUMENT);
    for (size_t i = 0; i < path.n; i++)
        if (strcmp(path.message[i].role, "system") != 0) put_message(list, path.message[i].role, path.message[i].content);
    sc_talks_path_free(&path);
    return true;
}

bool ui_ask(struct call *c, const struct talk *head, const char *parent, const char *model, const char *begun, struct api_error *e)
{
    struct token_list prompt = { 0 };
    json_t *messages = json_array();
    call_wish_defaults(c);
    bool ok = choose_model(c, model, head, e) && set_wish(c, head, e) && path_messages(messages, c, head, parent, NULL, e);
    if (ok && begun && *begun) put_message(messages, "assistant", begun);
    ok = ok && prompt_chat(c, &prompt, messages, NULL, e) && call_add_task(c, &prompt, e);
    json_decref(messages);
    return ok;
}

/* ---- counting ---------------------------------------------------------------------------------------------------------------------------- */

/* A model without a chat template has no form for messages: their texts alone are counted. */
static bool count_tokens(size_t *n, struct call *c, const json_t *messages, struct api_error *e)
{
    struct token_list ids = { 0 };
    bool ok = true;
    if (c->model->has_template && json_array_size(messages)) ok = prompt_chat(c, &ids, messages, NULL, e);
    for (size_t i = 0; i < json_array_size(messages) && !c->model->has_template; i++) {
        const json_t *text = json_object_get(json_array_get(messages, i), "content");
        tokenizer_encode(c->model->tokenizer, &ids, json_string_value(text), json_string_length(text), NULL, 0);
    }
    *n = ids.len;
    token_list_release(&ids);
    return ok;
}

/* Below a question the store joins it with the draft, and so does this. */
static void put_draft(json_t *messages, const char *draft)
{
    json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    const char *role = json_string_value(json_object_get(last, "role"));
    if (!role || strcmp(role, "user") != 0) put_message(messages, "user", draft);
    else if (*draft) json_object_set_new(last, "content", json_sprintf("%s\n\n%s", json_string_value(json_object_get(last, "content")), draft));
}

bool ui_count(struct call *c, struct api_error *e)
{
    struct talk head;
    const char *id, *parent;
    size_t n = 0;
    if (!ui_body(c, e) || !ui_id(&id, c->body, "conversation", e) || !ui_id(&parent, c->body, "parent", e)) return false;
    const json_t *content = json_object_get(c->body, "content"), *system = json_object_get(c->body, "system");
    if (content && !json_is_string(content)) return api_bad(e, "content", "content is no text");
    if (id && !ui_head(&head, c, id, e)) return false;
    json_t *messages = json_array();
    call_wish_defaults(c);
    bool ok = choose_model(c, json_string_value(json_object_get(c->body, "model")), id ? &head : NULL, e) && path_messages(messages, c, id ? &head : NULL, parent, json_string_value(system), e);
    if (ok) put_draft(messages, json_is_string(content) ? json_string_value(content) : "");
    ok = ok && count_tokens(&n, c, messages, e);
    if (ok) buf_printf(&c->reply.body, "{\"tokens\":%zu,\"context\":%zu}", n, engine_context(c->server->engine));
    json_decref(messages);
    if (id) talk_release(&head);
    return ok;
}
