/* ollama.c - Ollama's native API: lines of JSON instead of events. Source: its docs/api.md (2026-08). Its names have a tag; ":latest" counts as none.
 * A prompt that does not fit is an error here: cutting it silently is what its users complain of most. */
#include <string.h>
#include <time.h>

#include "serve/server.h"

static bool is_chat(const struct call *c) { return c->dialect == &dialect_ollama_chat; }

void ollama_error(struct call *c, const struct api_error *e)
{
    struct buf b;
    buf_init(&b, 0);
    buf_puts(&b, "{\"error\":");
    api_put_text(&b, e->message);
    buf_puts(&b, c->has_begun ? "}\n" : "}");
    if (c->has_begun) call_last(c, &b);
    else call_reply_buf(c, e->status == 429 ? 503 : e->status, "application/json", &b);
}

static void put_time(struct buf *b, time_t when)
{
    struct tm tm;
    char text[40];
    gmtime_r(&when, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    buf_printf(b, "\"%s\"", text);
}

static void put_line_head(struct buf *b, const struct call *c, const char *text, size_t len)
{
    buf_puts(b, "{\"model\":");
    buf_put_json_string(b, c->model_name, strlen(c->model_name));
    buf_puts(b, ",\"created_at\":");
    put_time(b, time(NULL));
    buf_puts(b, is_chat(c) ? ",\"message\":{\"role\":\"assistant\",\"content\":" : ",\"response\":");
    buf_put_json_string(b, text, len);
    if (is_chat(c)) buf_putc(b, '}');
}

static void put_line_end(struct buf *b, const struct call *c)
{
    struct call_usage u = call_usage(c);
    const struct choice *ch = &c->choices[0];
    double all = clock_seconds() - c->began;
    buf_printf(b, ",\"done\":true,\"done_reason\":\"%s\",\"total_duration\":%.0f,\"load_duration\":0,\"prompt_eval_count\":%zu,\"prompt_eval_duration\":%.0f,\"eval_count\":%zu,\"eval_duration\":%.0f}\n", finish_name(ch->finish),
               all * 1e9, u.prompt, u.prompt_seconds * 1e9, u.completion, u.seconds * 1e9);
}

static void ollama_begin(struct call *c) { call_begin_stream(c, "application/x-ndjson"); }

static void ollama_piece(struct call *c, size_t choice, const char *text, size_t len, const struct token_records *r)
{
    struct buf b;
    (void)choice; (void)r;
    if (!len) return;
    buf_init(&b, 0);
    put_line_head(&b, c, text, len);
    buf_puts(&b, ",\"done\":false}\n");
    call_write(c, &b);
    buf_release(&b);
}

static void ollama_finish(struct call *c, size_t choice) { (void)c; (void)choice; }

static void ollama_end(struct call *c)
{
    struct buf b;
    const struct choice *ch = &c->choices[0];
    buf_init(&b, 0);
    put_line_head(&b, c, !c->is_stream && ch->text.data ? ch->text.data : "", c->is_stream ? 0 : ch->text.len);
    put_line_end(&b, c);
    if (!c->is_stream) { call_reply_buf(c, 200, "application/json", &b); return; }
    call_write(c, &b);
    buf_release(&b);
    call_end_stream(c);
}

/* ---- reading ---------------------------------------------------------------------------------------------------------------------------- */

/* Its defaults: temperature 0.8, top-k 40, top-p 0.9, repeat penalty 1.1 over the last 64 tokens. Streams unless told not to. */
static bool read_common(struct call *c, const json_t *body, struct api_error *e)
{
    struct wish *w = &c->wish;
    const json_t *options = json_object_get(body, "options");
    w->stream = true;
    if (!call_model(c, body, e)) return false;
    w->sample.temperature = 0.8;
    w->sample.top_k = 40;
    w->sample.top_p = 0.9;
    w->sample.repeat_penalty = 1.1;
    w->sample.repeat_last_n = 64;
    if (!wish_read(w, body, e)) return false;
    if (options && !json_is_object(options) && !json_is_null(options)) return api_bad(e, "options", "options is no object");
    if (options && !wish_read(w, options, e)) return false;
    w->n = w->best_of = 1;
    c->is_stream = w->stream;
    return true;
}

static bool read_ollama_chat(struct call *c, const json_t *body, struct api_error *e)
{
    const json_t *messages = json_object_get(body, "messages");
    struct token_list ids = { 0 };
    if (!read_common(c, body, e)) return false;
    if (!json_is_array(messages) || !json_array_size(messages)) return api_bad(e, "messages", "messages is missing, expected a list of {\"role\", \"content\"}");
    return prompt_chat(c, &ids, messages, NULL, e) && call_add_task(c, &ids, e);
}

/* A prompt becomes a message of the user unless it is raw or the model has no template; with a suffix it is code with a hole. */
static bool read_ollama_generate(struct call *c, const json_t *body, struct api_error *e)
{
    const char *prompt = json_string_value(json_object_get(body, "prompt")), *suffix = json_string_value(json_object_get(body, "suffix")), *system = json_string_value(json_object_get(body, "system"));
    struct token_list ids = { 0 };
    if (!read_common(c, body, e)) return false;
    if (!prompt) prompt = "";
    if (suffix && *suffix) return prompt_fim(c, &ids, prompt, suffix, NULL, e) && call_add_task(c, &ids, e);
    if (c->wish.raw || !c->model->has_template) return prompt_text(c, &ids, prompt, strlen(prompt), e) && call_add_task(c, &ids, e);
    json_t *messages = json_array();
    if (system && *system) json_array_append_new(messages, json_pack("{s:s, s:s}", "role", "system", "content", system));
    json_array_append_new(messages, json_pack("{s:s, s:s}", "role", "user", "content", prompt));
    bool ok = prompt_chat(c, &ids, messages, NULL, e);
    json_decref(messages);
    return ok && call_add_task(c, &ids, e);
}

const struct dialect dialect_ollama_chat = { "ollama_chat", read_ollama_chat, ollama_begin, NULL, ollama_piece, ollama_finish, ollama_end, ollama_error, NULL };
const struct dialect dialect_ollama_generate = { "ollama_generate", read_ollama_generate, ollama_begin, NULL, ollama_piece, ollama_finish, ollama_end, ollama_error, NULL };

/* ---- what there is ------------------------------------------------------------------------------------------------------------------------- */

static const char *quantisation(const sc_model *m) { return dtypes[m->model.layers[0].o.w.dtype].name; }

static json_t *details_json(const sc_model *m)
{
    char size[32];
    snprintf(size, sizeof size, "%.1f%s", m->model.parameters >= 1000000000 ? (double)m->model.parameters / 1e9 : (double)m->model.parameters / 1e6, m->model.parameters >= 1000000000 ? "B" : "M");
    return json_pack("{s:s, s:s, s:s, s:[s], s:s, s:s}", "parent_model", "", "format", "gguf", "family", m->model.config.arch->name, "families", m->model.config.arch->name, "parameter_size", size, "quantization_level", quantisation(m));
}

static json_t *model_row(const struct sc_server *s, const struct served_model *m, bool is_running)
{
    struct buf when;
    char digest[65];
    buf_init(&when, 0);
    put_time(&when, (time_t)s->created);
    struct sha256 hash;
    sha256_begin(&hash);
    sha256_add(&hash, m->name, strlen(m->name));
    sha256_end(&hash, digest);
    json_t *row = json_pack("{s:s, s:s, s:s%, s:I, s:s, s:o}", "name", m->name, "model", m->name, is_running ? "expires_at" : "modified_at", when.data + 1, when.len - 2, "size", (json_int_t)m->model->model.weight_bytes, "digest", digest, "details", details_json(m->model));
    if (is_running) json_object_set_new(row, "size_vram", json_integer(0));
    buf_release(&when);
    return row;
}

static void list_models(struct call *c, bool is_running)
{
    const struct sc_server *s = c->server;
    json_t *list = json_array();
    for (size_t i = 0; i < s->n_models; i++) json_array_append_new(list, model_row(s, &s->models[i], is_running));
    call_reply_json(c, 200, json_pack("{s:o}", "models", list));
}

void handle_ollama_tags(struct call *c) { list_models(c, false); }
void handle_ollama_ps(struct call *c) { list_models(c, true); }
void handle_ollama_version(struct call *c) { call_reply_json(c, 200, json_pack("{s:s}", "version", sc_version())); }

static bool read_show(struct call *c, const json_t *body, struct api_error *e)
{
    json_t *name = json_object_get(body, "model") ? NULL : json_object_get(body, "name");
    if (name) json_object_set(c->body, "model", name);
    if (!call_model(c, c->body, e)) return false;
    const sc_model *m = c->model;
    json_t *capabilities = json_pack("[s]", "completion");
    if (tokenizer_role(m->tokenizer, TOKEN_FIM_MIDDLE) >= 0) json_array_append_new(capabilities, json_string("insert"));
    return call_answer(c, json_pack("{s:s, s:s, s:o, s:{s:s, s:I, s:I}, s:o}", "template", m->has_template && m->chat_template.source ? m->chat_template.source : "", "license", "", "details", details_json(m), "model_info",
                                      "general.architecture", m->model.config.arch->name, "general.parameter_count", (json_int_t)m->model.parameters, "context_length", (json_int_t)engine_context(c->server->engine), "capabilities", capabilities));
}

const struct dialect dialect_ollama_show = { "ollama_show", read_show, NULL, NULL, NULL, NULL, NULL, ollama_error, NULL };
