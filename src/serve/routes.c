/* routes.c - what there is to ask: a row for each address. Legacy names stand beside the new ones and go through the same gate. */
#include <string.h>

#include "serve/page.h"
#include "serve/ui.h"

#define PUBLIC(path_, handle_) { .method = "GET", .path = path_, .is_public = true, .handle = handle_ }
#define HANDLE(method_, path_, handle_) { .method = method_, .path = path_, .handle = handle_ }
#define ASK(path_, dialect_, prefix_) { .method = "POST", .path = path_, .dialect = &dialect_, .id_prefix = prefix_ }
#define WORK(method_, path_, work_) { .method = method_, .path = path_, .work = work_ }
#define WORK_THEN(method_, path_, work_, then_) { .method = method_, .path = path_, .work = work_, .then = then_ }

const struct route routes[] = {
    PUBLIC("/health", handle_health),
    PUBLIC("/v1/health", handle_health),
    PUBLIC("/healthz", handle_health),
    PUBLIC("/readyz", handle_health),
    PUBLIC("/ping", handle_health),
    HANDLE("GET", "/metrics", handle_metrics),
    ASK("/v1/chat/completions", dialect_chat, "chatcmpl-"),
    ASK("/chat/completions", dialect_chat, "chatcmpl-"),
    ASK("/v1/completions", dialect_completion, "cmpl-"),
    ASK("/v1/fim/completions", dialect_fim, "fim-"),
    ASK("/v1/embeddings", dialect_embedding, "embd-"),
    ASK("/embeddings", dialect_embedding, "embd-"),
    HANDLE("GET", "/v1/models", handle_models),
    HANDLE("GET", "/models", handle_models),
    { .method = "GET", .path = "/v1/models/", .is_prefix = true, .handle = handle_model },
    ASK("/infill", dialect_infill, "infill-"),
    ASK("/completion", dialect_llama, "cmpl-"),
    ASK("/completions", dialect_llama, "cmpl-"),
    ASK("/tokenize", dialect_tokenize, NULL),
    ASK("/detokenize", dialect_detokenize, NULL),
    ASK("/apply-template", dialect_apply_template, NULL),
    HANDLE("GET", "/props", handle_props),
    HANDLE("GET", "/slots", handle_slots),
    ASK("/generate", dialect_tgi, "tgi-"),
    ASK("/generate_stream", dialect_tgi_stream, "tgi-"),
    ASK("/", dialect_tgi_any, "tgi-"),
    HANDLE("GET", "/info", handle_tgi_info),
    ASK("/api/chat", dialect_ollama_chat, "ollama-"),
    ASK("/api/generate", dialect_ollama_generate, "ollama-"),
    ASK("/api/embed", dialect_ollama_embed, "ollama-"),
    HANDLE("GET", "/api/tags", handle_ollama_tags),
    ASK("/api/show", dialect_ollama_show, NULL),
    HANDLE("GET", "/api/version", handle_ollama_version),
    HANDLE("GET", "/api/ps", handle_ollama_ps),
    HANDLE("GET", "/ui/info", handle_ui_info),
    WORK("GET", "/ui/conversations", ui_list),
    WORK("POST", "/ui/conversations", ui_create),
    WORK("GET", "/ui/conversations/*", ui_get),
    WORK("PATCH", "/ui/conversations/*", ui_update),
    WORK_THEN("DELETE", "/ui/conversations/*", ui_delete, ui_deleted),
    WORK("POST", "/ui/conversations/*/messages", ui_message),
    WORK_THEN("POST", "/ui/conversations/*/answers", ui_answer, ui_answer_begin),
    WORK("GET", "/ui/conversations/*/export", ui_export),
    WORK_THEN("POST", "/ui/answers/*/continue", ui_continue, ui_answer_begin),
    { .method = "POST", .path = "/ui/answers/*/stop", .first = ui_stop_running, .work = ui_stop },
    { .method = "GET", .path = "/ui/answers/*/events", .first = ui_events_running, .work = ui_events, .then = ui_events_begin },
    WORK("POST", "/ui/count", ui_count),
    WORK("GET", "/ui/export", ui_export),
    WORK("POST", "/ui/import", ui_import),
    { 0 },
};

static const struct route page_route = PUBLIC("/", handle_page);

static bool is_id_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; }

/* Does the path have this form? arg: what stands in the place of the '*'. */
static bool path_fits(const char *form, struct http_span path, char arg[65])
{
    size_t before = strcspn(form, "*"), n = 0;
    if (path.len < before || memcmp(path.at, form, before) != 0) return false;
    path = (struct http_span){ path.at + before, path.len - before };
    while (n < path.len && n < 64 && is_id_letter(path.at[n])) n++;
    if (!n || !http_is((struct http_span){ path.at + n, path.len - n }, form + before + 1)) return false;
    memcpy(arg, path.at, n);
    arg[n] = 0;
    return true;
}

static bool path_is(const struct route *r, struct http_span path, char arg[65])
{
    size_t n = strlen(r->path);
    if (strchr(r->path, '*')) return path_fits(r->path, path, arg);
    if (r->is_prefix) return path.len > n && memcmp(path.at, r->path, n) == 0;
    return http_is(path, r->path);
}

const struct route *route_find(const struct sc_server *s, struct call *c, bool *knows_path)
{
    const struct http_head *h = &c->x->head;
    bool is_get = http_is(h->method, "GET") || http_is(h->method, "HEAD");
    *knows_path = false;
    if (s->c.page && page_file_of(page_files, h->path)) {
        *knows_path = true;
        if (is_get) return &page_route;
    }
    for (const struct route *r = routes; r->method; r++) {
        if ((!s->c.page && strncmp(r->path, "/ui/", 4) == 0) || !path_is(r, h->path, c->arg)) continue;
        *knows_path = true;
        if (http_is(h->method, r->method) || (is_get && strcmp(r->method, "GET") == 0)) return r;
    }
    return NULL;
}

void route_allow(struct buf *headers, struct http_span path)
{
    size_t n = 0;
    char arg[65];
    for (const struct route *r = routes; r->method; r++)
        if (path_is(r, path, arg)) buf_printf(headers, "%s%s", n++ ? ", " : "Allow: ", strcmp(r->method, "GET") == 0 ? "GET, HEAD" : r->method);
    if (n) buf_puts(headers, "\r\n");
}

/* ---- health and models ------------------------------------------------------------------------------------------------------------ */

void handle_health(struct call *c)
{
    bool is_ready = !c->server->asked;
    call_reply_json(c, is_ready ? 200 : 503, is_ready ? json_pack("{s:s}", "status", "ok") : json_pack("{s:s}", "status", "stopping"));
}

static json_t *model_json(const struct sc_server *s, const struct served_model *m)
{
    const struct model *w = &m->model->model;
    size_t context = engine_context(s->engine);
    return json_pack("{s:s, s:s, s:I, s:s, s:I, s:{s:I, s:I, s:I, s:I, s:I, s:I}, s:s?, s:s?}", "id", m->name, "object", "model", "created", (json_int_t)s->created, "owned_by", "starchat",
                     "max_model_len", (json_int_t)context, "meta", "n_ctx", (json_int_t)context, "n_ctx_train", (json_int_t)w->config.context, "n_embd", (json_int_t)w->config.embd,
                     "n_vocab", (json_int_t)model_vocab(w), "n_params", (json_int_t)w->parameters, "size", (json_int_t)w->weight_bytes,
                     "root", s->models[0].name, "parent", m->is_adapter ? s->models[0].name : NULL);
}

void handle_models(struct call *c)
{
    const struct sc_server *s = c->server;
    json_t *data = json_array();
    for (size_t i = 0; i < s->n_models; i++) json_array_append_new(data, model_json(s, &s->models[i]));
    call_reply_json(c, 200, json_pack("{s:s, s:o}", "object", "list", "data", data));
}

const struct served_model *server_model(const struct sc_server *s, const char *name)
{
    for (size_t i = 0; i < s->n_models; i++)
        if (strcmp(s->models[i].name, name) == 0) return &s->models[i];
    for (size_t i = 0; i < s->n_aliases; i++)
        if (strcmp(s->aliases[i], name) == 0) return &s->models[0];
    return NULL;
}

static bool unknown_model(const struct sc_server *s, const char *name, struct api_error *e)
{
    struct buf known;
    char quoted[100];
    buf_init(&known, 300);
    for (size_t i = 0; i < s->n_models; i++) buf_printf(&known, "%s%s", i ? ", " : "", s->models[i].name);
    for (size_t i = 0; i < s->n_aliases; i++) buf_printf(&known, ", %s", s->aliases[i]);
    api_fail(e, 404, "invalid_request_error", "model_not_found", "model", "there is no model \"%s\" here, only: %s", error_quote(quoted, sizeof quoted, name, strlen(name)), known.data);
    buf_release(&known);
    return false;
}

/* With one model any name means it: clients send names of their own. ":latest" of Ollama's names counts as nothing. */
bool call_model(struct call *c, const json_t *body, struct api_error *e)
{
    const struct sc_server *s = c->server;
    const json_t *v = json_object_get(body, "model");
    const char *name = json_string_value(v);
    const struct served_model *m = &s->models[0];
    if (v && !json_is_null(v) && !name) return api_bad(e, "model", "model is no text");
    if (s->n_models > 1 && name && *name) {
        char plain[256];
        size_t n = strlen(name);
        if (n > 7 && strcmp(name + n - 7, ":latest") == 0) n -= 7;
        snprintf(plain, sizeof plain, "%.*s", (int)(n < 255 ? n : 255), name);
        m = server_model(s, name);
        if (!m) m = server_model(s, plain);
        if (!m) return unknown_model(s, name, e);
    }
    c->model = m->model;
    c->model_name = m->name;
    sc_error err;
    if (sc_model_sample_defaults(m->model, &c->wish.sample, &err) != SC_OK) return api_failed(e, &err);
    if (!m->model->tokenizer) return api_bad(e, "model", "%s has no tokenizer, so it cannot read text", m->name);
    return true;
}

void handle_model(struct call *c)
{
    struct api_error e;
    struct buf name;
    struct http_span path = c->x->head.path;
    size_t skip = strlen("/v1/models/");
    buf_init(&name, 0);
    bool is_clean = http_decode(&name, path.at + skip, path.len - skip, false);           /* clients encode the colon and the slash of names */
    const struct served_model *m = is_clean ? server_model(c->server, name.data) : NULL;
    if (m) call_reply_json(c, 200, model_json(c->server, m));
    else { unknown_model(c->server, name.data ? name.data : "", &e); call_reply_error(c, &e); }
    buf_release(&name);
}

/* ---- tokens -------------------------------------------------------------------------------------------------------------------------- */

static json_t *piece_json(const struct call *c, int32_t id)
{
    struct buf raw;
    buf_init(&raw, 0);
    put_token_text(&raw, c, id);
    json_t *v;
    if (utf8_is_valid(raw.data ? raw.data : "", raw.len)) v = json_stringn(raw.data ? raw.data : "", raw.len);
    else {
        v = json_array();
        for (size_t i = 0; i < raw.len; i++) json_array_append_new(v, json_integer((unsigned char)raw.data[i]));
    }
    buf_release(&raw);
    return v;
}

static json_t *ids_json(const struct token_list *ids)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ids->len; i++) json_array_append_new(list, json_integer(ids->id[i]));
    return list;
}

/* TGI's answer: each token with its place in the text. */
static json_t *placed_json(struct call *c, const struct token_list *ids)
{
    json_t *list = json_array();
    size_t at = 0;
    for (size_t i = 0; i < ids->len; i++) {
        struct buf raw, whole;
        buf_init(&raw, 0);
        buf_init(&whole, 0);
        put_token_text(&raw, c, ids->id[i]);
        utf8_repair(&whole, raw.data ? raw.data : "", raw.len);
        size_t n = utf8_count(raw.data ? raw.data : "", raw.len);
        json_array_append_new(list, json_pack("{s:i, s:s%, s:I, s:I}", "id", ids->id[i], "text", whole.data ? whole.data : "", whole.len, "start", (json_int_t)at, "stop", (json_int_t)(at + n)));
        at += n;
        buf_release(&raw);
        buf_release(&whole);
    }
    return list;
}

/* llama.cpp's "content", vLLM's "prompt" or "messages", TGI's "inputs". Like all that grows with a body, on a reading thread: megabytes of text
 * take seconds, in which the loop would serve nobody. */
static bool read_tokenize(struct call *c, const json_t *body, struct api_error *e)
{
    struct token_list ids = { 0 };
    const json_t *content = json_object_get(body, "content"), *prompt = json_object_get(body, "prompt"), *inputs = json_object_get(body, "inputs"), *messages = json_object_get(body, "messages");
    const json_t *text = json_is_string(content) ? content : json_is_string(prompt) ? prompt : inputs;
    bool ok = true, adds = json_is_true(json_object_get(body, "add_special"));
    int32_t begin;
    if (!call_model(c, body, e)) return false;
    if (json_is_array(messages) && json_array_size(messages)) ok = prompt_chat(c, &ids, messages, json_object_get(body, "tools"), e);
    else if (!json_is_string(text)) ok = api_bad(e, "content", "there is no text: expected content, prompt, inputs or messages");
    else {
        if ((adds || prompt) && sc_model_adds_bos(c->model, &begin)) token_list_push(&ids, begin);
        c->wish.parses_special = json_is_true(json_object_get(body, "parse_special"));
        prompt_encode(c, &ids, json_string_value(text), json_string_length(text));
    }
    if (ok && json_is_string(inputs) && !content && !prompt) call_answer(c, placed_json(c, &ids));
    else if (ok && json_is_true(json_object_get(body, "with_pieces"))) {
        json_t *list = json_array();
        for (size_t i = 0; i < ids.len; i++) json_array_append_new(list, json_pack("{s:i, s:o}", "id", ids.id[i], "piece", piece_json(c, ids.id[i])));
        call_answer(c, json_pack("{s:o}", "tokens", list));
    } else if (ok) call_answer(c, json_pack("{s:o, s:I, s:I}", "tokens", ids_json(&ids), "count", (json_int_t)ids.len, "max_model_len", (json_int_t)engine_context(c->server->engine)));
    token_list_release(&ids);
    return ok;
}

static bool read_detokenize(struct call *c, const json_t *body, struct api_error *e)
{
    struct token_list ids = { 0 };
    const json_t *tokens = json_object_get(body, "tokens");
    struct buf raw, text;
    if (!call_model(c, body, e)) return false;
    if (!json_is_array(tokens)) return api_bad(e, "tokens", "tokens is missing, expected a list of token ids");
    if (json_array_size(tokens) && !prompt_ids(c, &ids, tokens, e)) return false;
    buf_init(&raw, 0);
    buf_init(&text, 0);
    tokenizer_decode(c->model->tokenizer, &raw, ids.id, ids.len, false);
    utf8_repair(&text, raw.data ? raw.data : "", raw.len);
    const char *t = text.data ? text.data : "";
    call_answer(c, json_pack("{s:s%, s:s%}", "content", t, text.len, "prompt", t, text.len));
    buf_release(&raw);
    buf_release(&text);
    token_list_release(&ids);
    return true;
}

static bool read_apply_template(struct call *c, const json_t *body, struct api_error *e)
{
    struct rendered r = { 0 };
    const json_t *messages = json_object_get(body, "messages");
    if (!call_model(c, body, e)) return false;
    if (!json_array_size(messages)) return api_bad(e, "messages", "messages is missing, expected a list of {\"role\", \"content\"}");
    if (!prompt_rendered(c, &r, messages, json_array_size(messages), json_object_get(body, "tools"), e)) return false;
    call_answer(c, json_pack("{s:s%}", "prompt", r.text.data, r.text.len));
    rendered_release(&r);
    return true;
}

const struct dialect dialect_tokenize = { "tokenize", read_tokenize, NULL, NULL, NULL, NULL, NULL, NULL, NULL };
const struct dialect dialect_detokenize = { "detokenize", read_detokenize, NULL, NULL, NULL, NULL, NULL, NULL, NULL };
const struct dialect dialect_apply_template = { "apply_template", read_apply_template, NULL, NULL, NULL, NULL, NULL, NULL, NULL };

/* ---- what the server is --------------------------------------------------------------------------------------------------------------------- */

void handle_props(struct call *c)
{
    const struct sc_server *s = c->server;
    const sc_model *m = s->models[0].model;
    json_t *sampling = json_pack("{s:f, s:f, s:i}", "temperature", 1.0, "top_p", 1.0, "top_k", 0);
    call_reply_json(c, 200, json_pack("{s:{s:o, s:I}, s:I, s:s, s:s, s:s, s:s}", "default_generation_settings", "params", sampling, "n_ctx", (json_int_t)engine_context(s->engine), "total_slots", (json_int_t)s->parallel,
                                      "model_path", s->models[0].name, "model_alias", s->models[0].name, "chat_template", m->has_template && m->chat_template.source ? m->chat_template.source : "", "build_info", sc_version()));
}

/* Counts alone: what others ask is theirs. */
void handle_slots(struct call *c)
{
    struct engine_counts n;
    engine_count(c->server->engine, &n);
    json_t *list = json_array();
    for (size_t i = 0; i < n.slots; i++) json_array_append_new(list, json_pack("{s:I, s:b, s:I}", "id", (json_int_t)i, "is_processing", i < n.running, "n_ctx", (json_int_t)engine_context(c->server->engine)));
    call_reply_json(c, 200, list);
}
