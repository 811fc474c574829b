/* llama.c - llama.cpp's own forms of completion: /completion, and /infill for editors (llama.vim, llama.vscode). Source: the README of its
 * server (2026). */
#include <string.h>

#include "serve/api.h"

enum { FIELDS_MAX = 64, FIELD_NAME_MAX = 64 };

static void put_stop(struct buf *b, const struct choice *ch)
{
    static const char *const types[] = { "none", "eos", "word", "limit", "limit", "limit", "filter" };      /* ORDER finish */
    buf_printf(b, ",\"stop_type\":\"%s\",\"stopping_word\":", types[ch->finish]);
    if (ch->finish == FINISH_STOP && ch->stop_string) buf_put_json_string(b, ch->stop_string, strlen(ch->stop_string));
    else buf_puts(b, "\"\"");
    buf_printf(b, ",\"stopped_eos\":%s,\"stopped_word\":%s,\"stopped_limit\":%s", ch->finish == FINISH_END ? "true" : "false", ch->finish == FINISH_STOP ? "true" : "false",
               ch->finish == FINISH_LENGTH || ch->finish == FINISH_CONTEXT ? "true" : "false");
}

static void put_probabilities(struct buf *b, const struct call *c, const struct token_records *r)
{
    buf_puts(b, ",\"completion_probabilities\":[");
    for (size_t i = 0; i < r->len; i++) {
        const struct token_record *t = &r->at[i];
        buf_printf(b, "%s{\"id\":%d,\"token\":", i ? "," : "", t->id);
        put_token_json(b, c, t->id);
        buf_printf(b, ",\"logprob\":%.9g,\"top_logprobs\":[", t->logprob);
        for (size_t k = 0; k < t->n_top; k++) {
            buf_printf(b, "%s{\"id\":%d,\"token\":", k ? "," : "", t->top[k].id);
            put_token_json(b, c, t->top[k].id);
            buf_printf(b, ",\"logprob\":%.9g}", (double)t->top[k].logprob);
        }
        buf_puts(b, "]}");
    }
    buf_putc(b, ']');
}

/* The members of a complete answer; those that editors read. */
static void put_whole(struct buf *b, struct call *c, size_t index)
{
    const struct choice *ch = &c->choices[index];
    const struct task *t = c->tasks[index / c->per_task];
    size_t context = t->n_prompt + ch->tokens;
    buf_printf(b, ",\"index\":%zu,\"id_slot\":-1,\"stop\":true,\"model\":", index);
    buf_put_json_string(b, c->model_name, strlen(c->model_name));
    buf_printf(b, ",\"tokens_predicted\":%zu,\"tokens_evaluated\":%zu,\"tokens_cached\":%zu,\"truncated\":false,\"has_new_line\":%s", ch->tokens, t->n_prompt, context, ch->text.len && memchr(ch->text.data, '\n', ch->text.len) ? "true" : "false");
    put_stop(b, ch);
    buf_printf(b, ",\"generation_settings\":{\"n_ctx\":%zu,\"n_predict\":%lld,\"temperature\":%.9g,\"top_k\":%lld,\"top_p\":%.9g,\"min_p\":%.9g,\"repeat_penalty\":%.9g,\"seed\":%lld},\"timings\":", c->context,
               (long long)t->sample.max_tokens, t->sample.temperature, (long long)t->sample.top_k, t->sample.top_p, t->sample.min_p, t->sample.repeat_penalty, (long long)t->sample.seed);
    put_timings(b, c);
}

static void send(struct call *c, struct buf *b)
{
    buf_puts(b, "}\n\n");
    call_write(c, b);
    buf_release(b);
}

static void llama_begin(struct call *c) { call_begin_stream(c, "text/event-stream; charset=utf-8"); }

static void llama_piece(struct call *c, size_t choice, const char *text, size_t len, const struct token_records *r)
{
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "data: {\"index\":%zu,\"content\":", choice);
    buf_put_json_string(&b, text, len);
    buf_puts(&b, ",\"tokens\":[");
    for (size_t i = 0; i < r->len; i++) buf_printf(&b, "%s%d", i ? "," : "", r->at[i].id);
    buf_printf(&b, "],\"stop\":false,\"id_slot\":-1,\"tokens_predicted\":%zu,\"tokens_evaluated\":%zu", r->len, c->tasks[choice / c->per_task]->n_prompt);
    if (c->wish.sample.logprobs > 0) put_probabilities(&b, c, r);
    if (c->wish.timings) { buf_puts(&b, ",\"timings\":"); put_timings(&b, c); }
    send(c, &b);
}

static void llama_progress(struct call *c, size_t done)
{
    const struct task *t = c->tasks[0];
    struct buf b;
    if (!c->wish.progress) return;
    buf_init(&b, 0);
    buf_printf(&b, "data: {\"index\":0,\"content\":\"\",\"stop\":false,\"prompt_progress\":{\"total\":%zu,\"cache\":%zu,\"processed\":%zu,\"time_ms\":%.0f}", t->n_prompt, t->cached, done, (clock_seconds() - t->started) * 1e3);
    send(c, &b);
}

static void llama_finish(struct call *c, size_t choice)
{
    struct buf b;
    buf_init(&b, 0);
    buf_puts(&b, "data: {\"content\":\"\",\"tokens\":[]");
    put_whole(&b, c, choice);
    send(c, &b);
}

/* What the request named in response_fields, under the names as they were given: "timings/prompt_n" stays one name. */
static void keep_fields(struct buf *b, const json_t *fields)
{
    json_t *whole = json_loadb(b->data, b->len, JSON_ALLOW_NUL, NULL), *kept = json_object();
    for (size_t i = 0; i < json_array_size(fields); i++) {
        const char *name = json_string_value(json_array_get(fields, i));
        const json_t *v = whole;
        char key[FIELD_NAME_MAX + 1];
        for (const char *at = name, *end; v && at; at = *end ? end + 1 : NULL) {
            end = strchrnul(at, '/');
            snprintf(key, sizeof key, "%.*s", (int)(end - at), at);
            v = json_object_get(v, key);
        }
        if (v) json_object_set(kept, name, (json_t *)(uintptr_t)v);
    }
    sc_text text = { 0 };
    json_write(&text, kept, false);
    buf_clear(b);
    buf_puts(b, text.data);
    sc_text_free(&text);
    json_decref(kept);
    json_decref(whole);
}

static void put_answer(struct buf *b, struct call *c, size_t index)
{
    const struct choice *ch = &c->choices[index];
    buf_puts(b, "{\"content\":");
    buf_put_json_string(b, ch->text.data ? ch->text.data : "", ch->text.len);
    buf_puts(b, ",\"tokens\":[");
    for (size_t k = 0; k < ch->records.len; k++) buf_printf(b, "%s%d", k ? "," : "", ch->records.at[k].id);
    buf_putc(b, ']');
    if (c->wish.sample.logprobs > 0) put_probabilities(b, c, &ch->records);
    put_whole(b, c, index);
    buf_putc(b, '}');
    if (c->wish.response_fields) keep_fields(b, c->wish.response_fields);
}

static void llama_end(struct call *c)
{
    if (c->is_stream) { call_end_stream(c); return; }
    struct buf b, one;
    buf_init(&b, 0);
    buf_init(&one, 0);
    if (c->n_choices > 1) buf_putc(&b, '[');
    for (size_t i = 0; i < c->n_choices; i++) {
        buf_clear(&one);
        put_answer(&one, c, i);
        if (i) buf_putc(&b, ',');
        buf_append(&b, one.data, one.len);
    }
    buf_release(&one);
    if (c->n_choices > 1) buf_putc(&b, ']');
    call_reply_buf(c, 200, "application/json", &b);
}

/* ---- reading -------------------------------------------------------------------------------------------------------------------------- */

static bool check_fields(const json_t *fields, struct api_error *e)
{
    bool ok = !fields || (json_is_array(fields) && json_array_size(fields) <= FIELDS_MAX);
    for (size_t i = 0; ok && i < json_array_size(fields); i++) ok = json_is_string(json_array_get(fields, i)) && json_string_length(json_array_get(fields, i)) <= FIELD_NAME_MAX;
    return ok || api_bad(e, "response_fields", "response_fields is no list of at most %d names of at most %d bytes", FIELDS_MAX, FIELD_NAME_MAX);
}

/* Its defaults: temperature 0.8, top-k 40, top-p 0.95, min-p 0.05; -1 as a seed is a random one. */
static bool read_common(struct call *c, const json_t *body, struct api_error *e)
{
    struct wish *w = &c->wish;
    if (!call_model(c, body, e)) return false;
    w->sample.temperature = 0.8;
    w->sample.top_k = 40;
    w->sample.top_p = 0.95;
    w->sample.min_p = 0.05;
    w->sample.repeat_last_n = 64;
    if (!wish_read(w, body, e)) return false;
    if (!check_fields(w->response_fields, e)) return false;
    if (w->n_probs > 0) w->sample.logprobs = 1 + w->n_probs;
    w->best_of = w->n;
    c->is_stream = w->stream;
    c->context = api_context(c);
    return true;
}

/* A prompt may be a text, ids, or a list that mixes both. */
static bool add_mixed(struct call *c, const json_t *prompt, struct api_error *e)
{
    struct token_list ids = { 0 };
    size_t vocab = model_vocab(&c->model->model), n = json_is_array(prompt) ? json_array_size(prompt) : 1;
    if (json_is_string(prompt)) return prompt_text(c, &ids, json_string_value(prompt), json_string_length(prompt), e) && call_add_task(c, &ids, e);
    if (json_is_object(prompt)) prompt = json_object_get(prompt, "prompt_string");
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_is_array(prompt) ? json_array_get(prompt, i) : prompt;
        json_int_t id = json_is_integer(v) ? json_integer_value(v) : -1;
        if (json_is_string(v)) prompt_encode(c, &ids, json_string_value(v), json_string_length(v));
        else if (id < 0 || (size_t)id >= vocab) { token_list_release(&ids); return api_bad(e, "prompt", "element %zu of the prompt is neither a text nor a token id", i); }
        else token_list_push(&ids, (int32_t)id);
    }
    if (!ids.len) { token_list_release(&ids); return api_bad(e, "prompt", "the prompt is empty"); }
    return call_add_task(c, &ids, e);
}

static bool read_llama(struct call *c, const json_t *body, struct api_error *e)
{
    const json_t *prompt = json_object_get(body, "prompt");
    if (!read_common(c, body, e)) return false;
    if (!prompt || json_is_null(prompt)) return api_bad(e, "prompt", "prompt is missing");
    bool is_list = json_is_array(prompt) && json_array_size(prompt) && (json_is_array(json_array_get(prompt, 0)) || (json_is_string(json_array_get(prompt, 0)) && json_array_size(prompt) > 1 && json_is_string(json_array_get(prompt, 1))));
    for (size_t i = 0; is_list && i < json_array_size(prompt); i++)
        if (!add_mixed(c, json_array_get(prompt, i), e)) return false;
    return is_list || add_mixed(c, prompt, e);
}

static bool read_infill(struct call *c, const json_t *body, struct api_error *e)
{
    const json_t *prefix = json_object_get(body, "input_prefix"), *suffix = json_object_get(body, "input_suffix"), *extra = json_object_get(body, "input_extra"), *prompt = json_object_get(body, "prompt");
    struct token_list ids = { 0 };
    struct buf before;
    if (!read_common(c, body, e)) return false;
    if (!json_is_string(prefix)) return api_bad(e, "input_prefix", "input_prefix is missing or no text");
    if (!json_is_string(suffix)) return api_bad(e, "input_suffix", "input_suffix is missing or no text");
    if (extra && !json_is_array(extra) && !json_is_null(extra)) return api_bad(e, "input_extra", "input_extra is no list of {\"filename\", \"text\"}");
    buf_init(&before, 0);
    buf_puts(&before, json_string_value(prefix));
    if (json_is_string(prompt)) buf_puts(&before, json_string_value(prompt));
    /* An editor that warms the cache up asks for nothing. */
    bool ok = prompt_fim(c, &ids, before.data, json_string_value(suffix), extra, e);
    buf_release(&before);
    if (!ok) token_list_release(&ids);
    return ok && call_add_task(c, &ids, e);
}

#define PING ": still here\n\n"
const struct dialect dialect_llama = { "llama", read_llama, llama_begin, llama_progress, llama_piece, llama_finish, llama_end, NULL, PING };
const struct dialect dialect_infill = { "infill", read_infill, llama_begin, llama_progress, llama_piece, llama_finish, llama_end, NULL, PING };
