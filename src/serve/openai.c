/* openai.c - OpenAI's chat and text completions, and Mistral's form of fill-in-the-middle. Chunks of a stream are written by hand: there is one
 * for every token. Source: OpenAI's OpenAPI description (2026-08), Mistral's API reference. */
#include <math.h>
#include <string.h>

#include "serve/api.h"

const char *finish_name(enum finish f)
{
    static const char *const names[] = { "length", "stop", "stop", "length", "length", "length", "content_filter" };       /* ORDER finish */
    return names[f];
}

/* ---- parts of answers -------------------------------------------------------------------------------------------------------------- */

void put_token_text(struct buf *out, const struct call *c, int32_t id)
{
    size_t len;
    const char *bytes = tokenizer_bytes(c->model->tokenizer, id, &len);
    if (bytes) buf_append(out, bytes, len);
}

void put_token_json(struct buf *out, const struct call *c, int32_t id)
{
    struct buf raw, whole;
    buf_init(&raw, 0);
    buf_init(&whole, 0);
    put_token_text(&raw, c, id);
    utf8_repair(&whole, raw.data ? raw.data : "", raw.len);
    buf_put_json_string(out, whole.data ? whole.data : "", whole.len);
    buf_release(&raw);
    buf_release(&whole);
}

/* As a float everywhere: clients compare a token's value with those of the likeliest, and equal ones must be equal. */
static void put_number(struct buf *b, double x)
{
    if (isfinite(x)) buf_printf(b, "%.9g", (double)(float)x);
    else buf_puts(b, x < 0 ? "-9999.0" : "null");          /* what OpenAI writes for what cannot be */
}

static void put_bytes(struct buf *b, const struct call *c, int32_t id)
{
    struct buf raw;
    buf_init(&raw, 0);
    put_token_text(&raw, c, id);
    buf_putc(b, '[');
    for (size_t i = 0; i < raw.len; i++) buf_printf(b, "%s%u", i ? "," : "", (unsigned)(unsigned char)raw.data[i]);
    buf_putc(b, ']');
    buf_release(&raw);
}

static void put_chat_token(struct buf *b, const struct call *c, int32_t id, double logprob)
{
    buf_puts(b, "\"token\":");
    put_token_json(b, c, id);
    buf_puts(b, ",\"logprob\":");
    put_number(b, logprob);
    buf_puts(b, ",\"bytes\":");
    put_bytes(b, c, id);
}

static void put_chat_logprobs(struct buf *b, const struct call *c, const struct token_records *r)
{
    buf_puts(b, "{\"content\":[");
    for (size_t i = 0; i < r->len; i++) {
        const struct token_record *t = &r->at[i];
        buf_puts(b, i ? ",{" : "{");
        put_chat_token(b, c, t->id, t->logprob);
        buf_puts(b, ",\"top_logprobs\":[");
        for (size_t k = 0; k < t->n_top; k++) {
            buf_puts(b, k ? ",{" : "{");
            put_chat_token(b, c, t->top[k].id, (double)t->top[k].logprob);
            buf_putc(b, '}');
        }
        buf_puts(b, "]}");
    }
    buf_puts(b, "],\"refusal\":null}");
}

/* Here tokens are keys, so each needs a name of its own: half a character is written as OpenAI does (bytes:\xe2\x80), one without text by its id. */
static void put_token_key(struct buf *out, const struct call *c, int32_t id)
{
    struct buf raw, name;
    buf_init(&raw, 0);
    buf_init(&name, 0);
    put_token_text(&raw, c, id);
    bool is_whole = raw.len && utf8_is_valid(raw.data, raw.len);
    if (is_whole) buf_append(&name, raw.data, raw.len);
    else if (raw.len) buf_puts(&name, "bytes:");
    else buf_printf(&name, "token_id:%d", id);
    for (size_t i = 0; i < raw.len && !is_whole; i++) buf_printf(&name, "\\x%02x", (unsigned char)raw.data[i]);
    buf_release(&raw);
    buf_put_json_string(out, name.data, name.len);
    buf_release(&name);
}

/* offset: of the first token in the text of the choice. */
static void put_text_logprobs(struct buf *b, const struct call *c, const struct token_records *r, size_t offset)
{
    buf_puts(b, "{\"tokens\":[");
    for (size_t i = 0; i < r->len; i++) { if (i) buf_putc(b, ','); put_token_key(b, c, r->at[i].id); }
    buf_puts(b, "],\"token_logprobs\":[");
    for (size_t i = 0; i < r->len; i++) { if (i) buf_putc(b, ','); if (isnan(r->at[i].logprob)) buf_puts(b, "null"); else put_number(b, r->at[i].logprob); }
    buf_puts(b, "],\"top_logprobs\":[");
    for (size_t i = 0; i < r->len; i++) {
        const struct token_record *t = &r->at[i];
        if (i) buf_putc(b, ',');
        if (isnan(t->logprob) || !t->n_top) { buf_puts(b, "null"); continue; }
        buf_putc(b, '{');
        for (size_t k = 0; k < t->n_top; k++) {
            if (k) buf_putc(b, ',');
            put_token_key(b, c, t->top[k].id);
            buf_putc(b, ':');
            put_number(b, (double)t->top[k].logprob);
        }
        buf_putc(b, '}');
    }
    buf_puts(b, "],\"text_offset\":[");
    for (size_t i = 0; i < r->len; i++) {
        struct buf piece;
        buf_init(&piece, 0);
        put_token_text(&piece, c, r->at[i].id);
        buf_printf(b, "%s%zu", i ? "," : "", offset);
        offset += utf8_count(piece.data ? piece.data : "", piece.len);
        buf_release(&piece);
    }
    buf_puts(b, "]}");
}

void put_usage(struct buf *b, const struct call_usage *u, bool has_prediction)
{
    buf_printf(b, "{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,\"total_tokens\":%zu,\"prompt_tokens_details\":{\"cached_tokens\":%zu}", u->prompt, u->completion, u->prompt + u->completion, u->cached);
    if (has_prediction) buf_printf(b, ",\"completion_tokens_details\":{\"accepted_prediction_tokens\":%zu,\"rejected_prediction_tokens\":%zu}", u->accepted, u->rejected);
    buf_putc(b, '}');
}

static void put_head(struct buf *b, const struct call *c, const char *object)
{
    buf_printf(b, "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", c->id, object, (long long)c->created);
    buf_put_json_string(b, c->model_name, strlen(c->model_name));
    buf_printf(b, ",\"system_fingerprint\":\"%s\"", server_fingerprint(c->server));
}

/* ---- streams ----------------------------------------------------------------------------------------------------------------------------- */

static bool is_chat(const struct call *c) { return c->dialect == &dialect_chat; }
static bool is_fim(const struct call *c) { return c->dialect == &dialect_fim; }
static bool wants_usage_key(const struct call *c) { return c->wish.include_usage; }

/* One chunk: what stands between "choices":[{"index":i, and its finish_reason. */
static void send_chunk(struct call *c, size_t choice, const struct buf *inside, const char *finish)
{
    struct buf b;
    buf_init(&b, 0);
    buf_puts(&b, "data: ");
    put_head(&b, c, is_chat(c) || is_fim(c) ? "chat.completion.chunk" : "text_completion");
    buf_printf(&b, ",\"choices\":[{\"index\":%zu,", choice);
    buf_append(&b, inside->data, inside->len);
    if (finish) buf_printf(&b, ",\"finish_reason\":\"%s\"}]", finish);
    else buf_puts(&b, ",\"finish_reason\":null}]");
    if (wants_usage_key(c)) buf_puts(&b, ",\"usage\":null");
    if (finish && c->wish.timings) { buf_puts(&b, ",\"timings\":"); put_timings(&b, c); }
    buf_puts(&b, "}\n\n");
    call_write(c, &b);
    buf_release(&b);
}

void openai_chunk(struct call *c, size_t choice, const struct buf *inside) { send_chunk(c, choice, inside, NULL); }

static void openai_begin(struct call *c)
{
    call_begin_stream(c, "text/event-stream; charset=utf-8");
    if (!is_chat(c) && !is_fim(c)) return;
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < c->n_choices; i++) {
        buf_clear(&b);
        buf_puts(&b, "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null");
        send_chunk(c, i, &b, NULL);
    }
    buf_release(&b);
}

static void openai_progress(struct call *c, size_t done)
{
    if (!c->wish.progress) return;
    struct buf b;
    const struct task *t = c->tasks[0];
    buf_init(&b, 0);
    buf_puts(&b, "data: ");
    put_head(&b, c, "chat.completion.chunk");
    buf_printf(&b, ",\"choices\":[],\"prompt_progress\":{\"total\":%zu,\"cache\":%zu,\"processed\":%zu,\"time_ms\":%.0f}}\n\n", t->n_prompt, t->cached, done, (clock_seconds() - t->started) * 1e3);
    call_write(c, &b);
    buf_release(&b);
}

static void piece_inside(struct buf *b, struct call *c, size_t choice, const char *text, size_t len, const struct token_records *r)
{
    struct choice *ch = &c->choices[choice];
    bool has_logprobs = c->wish.sample.logprobs > 0;
    if (is_chat(c) || is_fim(c)) {
        buf_puts(b, tools_is_call(c) ? "\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":" : "\"delta\":{\"content\":");
        buf_put_json_string(b, text, len);
        buf_puts(b, tools_is_call(c) ? "}}]},\"logprobs\":" : "},\"logprobs\":");
        if (has_logprobs) put_chat_logprobs(b, c, r);
        else buf_puts(b, "null");
    } else {
        buf_puts(b, "\"text\":");
        buf_put_json_string(b, text, len);
        buf_puts(b, ",\"logprobs\":");
        if (has_logprobs) put_text_logprobs(b, c, r, ch->written);
        else buf_puts(b, "null");
    }
    ch->written += utf8_count(text, len);
}

static void openai_piece(struct call *c, size_t choice, const char *text, size_t len, const struct token_records *r)
{
    struct buf b;
    if (tools_hold(c, choice, text, len)) return;              /* told as a whole when it is one */
    buf_init(&b, 0);
    piece_inside(&b, c, choice, text, len, r);
    send_chunk(c, choice, &b, NULL);
    buf_release(&b);
}

static void openai_finish(struct call *c, size_t choice)
{
    struct choice *ch = &c->choices[choice];
    struct buf b;
    buf_init(&b, 0);
    const char *finish = finish_name(ch->finish);
    if (tools_delta(&b, c, choice, &finish)) {
        send_chunk(c, choice, &b, NULL);
        buf_clear(&b);
    }
    /* Mistral's clients want a text in every delta, OpenAI's none in the last. */
    buf_puts(&b, is_fim(c) ? "\"delta\":{\"content\":\"\"},\"logprobs\":null" : is_chat(c) ? "\"delta\":{},\"logprobs\":null" : "\"text\":\"\",\"logprobs\":null");
    if (ch->finish == FINISH_STOP && ch->stop_string) {        /* vLLM's: which one */
        buf_puts(&b, ",\"stop_reason\":");
        buf_put_json_string(&b, ch->stop_string, strlen(ch->stop_string));
    }
    send_chunk(c, choice, &b, finish);
    buf_release(&b);
}

static void end_stream(struct call *c)
{
    struct buf b;
    buf_init(&b, 0);
    if (c->wish.include_usage) {
        struct call_usage u = call_usage(c);
        buf_puts(&b, "data: ");
        put_head(&b, c, is_chat(c) || is_fim(c) ? "chat.completion.chunk" : "text_completion");
        buf_puts(&b, ",\"choices\":[],\"usage\":");
        put_usage(&b, &u, c->wish.prediction != NULL);
        buf_puts(&b, "}\n\n");
    }
    buf_puts(&b, "data: [DONE]\n\n");
    call_write(c, &b);
    buf_release(&b);
    call_end_stream(c);
}

/* ---- answers in one piece ------------------------------------------------------------------------------------------------------------------- */

static void put_choice(struct buf *b, struct call *c, size_t index, const struct choice *ch)
{
    const char *finish = finish_name(ch->finish);
    bool has_logprobs = c->wish.sample.logprobs > 0;
    buf_printf(b, "{\"index\":%zu,", index);
    if (is_chat(c) || is_fim(c)) {
        buf_puts(b, "\"message\":{\"role\":\"assistant\",");
        if (!tools_message(b, c, ch, &finish)) {
            buf_puts(b, "\"content\":");
            buf_put_json_string(b, ch->text.data ? ch->text.data : "", ch->text.len);
        }
        buf_puts(b, ",\"refusal\":null},\"logprobs\":");
        if (has_logprobs) put_chat_logprobs(b, c, &ch->records);
        else buf_puts(b, "null");
    } else {
        buf_puts(b, "\"text\":");
        buf_put_json_string(b, ch->text.data ? ch->text.data : "", ch->text.len);
        buf_puts(b, ",\"logprobs\":");
        if (has_logprobs) put_text_logprobs(b, c, &ch->records, 0);
        else buf_puts(b, "null");
    }
    if (ch->finish == FINISH_STOP && ch->stop_string) {
        buf_puts(b, ",\"stop_reason\":");
        buf_put_json_string(b, ch->stop_string, strlen(ch->stop_string));
    }
    buf_printf(b, ",\"finish_reason\":\"%s\"}", finish);
}

static void openai_end(struct call *c)
{
    struct buf b;
    if (c->is_stream) { end_stream(c); return; }
    struct call_usage u = call_usage(c);
    size_t n = (size_t)c->wish.n, index[128];
    buf_init(&b, 0);
    put_head(&b, c, is_chat(c) || is_fim(c) ? "chat.completion" : "text_completion");
    buf_puts(&b, ",\"choices\":[");
    for (size_t t = 0, out = 0; t < c->n_tasks; t++) {
        call_best(c, t, index, n);
        for (size_t i = 0; i < n; i++, out++) {
            if (out) buf_putc(&b, ',');
            put_choice(&b, c, out, &c->choices[index[i]]);
        }
    }
    buf_puts(&b, "],\"usage\":");
    put_usage(&b, &u, c->wish.prediction != NULL);
    buf_puts(&b, ",\"timings\":");
    put_timings(&b, c);
    buf_putc(&b, '}');
    call_reply_buf(c, 200, "application/json", &b);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------------------------ */

/* logprobs: true with top_logprobs (chat), or a number (completions). */
static bool read_logprobs(struct call *c, const json_t *body, struct api_error *e)
{
    const json_t *v = json_object_get(body, "logprobs");
    struct wish *w = &c->wish;
    if (json_is_true(v)) w->sample.logprobs = 1 + (w->top_logprobs > 0 ? w->top_logprobs : 0);
    else if (json_is_integer(v)) {
        json_int_t n = json_integer_value(v);
        if (n < 0 || n > 20) return api_bad(e, "logprobs", "logprobs is %lld, expected 0 to 20", (long long)n);
        w->sample.logprobs = 1 + n;
    } else if (v && !json_is_null(v) && !json_is_false(v)) return api_bad(e, "logprobs", "logprobs is neither true or false nor a number");
    else if (w->top_logprobs > 0) return api_bad(e, "top_logprobs", "top_logprobs is given, but logprobs is not true");
    if (w->n_probs > 0 && !w->sample.logprobs) w->sample.logprobs = 1 + w->n_probs;
    return true;
}

static bool read_common(struct call *c, const json_t *body, struct api_error *e)
{
    struct wish *w = &c->wish;
    if (!wish_read(w, body, e) || !read_logprobs(c, body, e)) return false;
    c->is_stream = w->stream;
    if (w->best_of <= 0) w->best_of = w->n;
    if (w->best_of < w->n) return api_bad(e, "best_of", "best_of is %lld, expected at least n, which is %lld", (long long)w->best_of, (long long)w->n);
    if (w->best_of > w->n && w->stream) return api_bad(e, "best_of", "best_of cannot be streamed: the best is known when all are complete");
    return true;
}

static bool read_chat(struct call *c, const json_t *body, struct api_error *e)
{
    const json_t *messages = json_object_get(body, "messages");
    struct token_list prompt = { 0 };
    if (!call_model(c, body, e) || !read_common(c, body, e) || !tools_choose(c, body, e)) return false;
    if (!json_is_array(messages) || !json_array_size(messages)) return api_bad(e, "messages", "messages is missing, expected a list of {\"role\", \"content\"}");
    if (!prompt_chat(c, &prompt, messages, tools_for_template(c), e)) return false;
    return call_add_task(c, &prompt, e);
}

/* Log-probabilities of the prompt come before those of the answer, and the prompt's text before its text. */
static bool add_completion(struct call *c, struct token_list *prompt, const char *text, size_t len, struct api_error *e)
{
    struct buf decoded;
    buf_init(&decoded, 0);
    if (c->wish.echo && !text) tokenizer_decode(c->model->tokenizer, &decoded, prompt->id, prompt->len, false);
    if (c->wish.echo && text) call_echo(c, text, len);
    else if (c->wish.echo) call_echo(c, decoded.data ? decoded.data : "", decoded.len);
    buf_release(&decoded);
    return call_add_task(c, prompt, e);
}

static bool read_prompts(struct call *c, const json_t *prompt, struct api_error *e)
{
    struct token_list ids = { 0 };
    size_t n = json_array_size(prompt);
    if (json_is_string(prompt))
        return prompt_text(c, &ids, json_string_value(prompt), json_string_length(prompt), e) && add_completion(c, &ids, json_string_value(prompt), json_string_length(prompt), e);
    if (!json_is_array(prompt) || !n) return api_bad(e, "prompt", "prompt is missing, expected a text, a list of texts, a list of token ids or a list of those");
    if (json_is_integer(json_array_get(prompt, 0))) return prompt_ids(c, &ids, prompt, e) && add_completion(c, &ids, NULL, 0, e);
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(prompt, i);
        ids = (struct token_list){ 0 };
        bool ok = json_is_string(one) ? prompt_text(c, &ids, json_string_value(one), json_string_length(one), e) : prompt_ids(c, &ids, one, e);
        if (!ok || !add_completion(c, &ids, json_string_value(one), json_string_length(one), e)) return false;
    }
    return true;
}

static bool read_completion(struct call *c, const json_t *body, struct api_error *e)
{
    const json_t *prompt = json_object_get(body, "prompt"), *suffix = json_object_get(body, "suffix");
    struct token_list ids = { 0 };
    c->wish.max_tokens = 16;                                   /* OpenAI's default here */
    if (!call_model(c, body, e) || !read_common(c, body, e)) return false;
    if (c->wish.echo && c->wish.stream && c->wish.sample.logprobs) return api_bad(e, "echo", "echo with logprobs cannot be streamed");
    if (!suffix || json_is_null(suffix)) return read_prompts(c, prompt, e);
    if (!json_is_string(suffix)) return api_bad(e, "suffix", "suffix is no text");
    if (!json_is_string(prompt)) return api_bad(e, "prompt", "with a suffix, prompt must be one text");
    if (!json_string_length(suffix)) return read_prompts(c, prompt, e);
    return prompt_fim(c, &ids, json_string_value(prompt), json_string_value(suffix), NULL, e) && call_add_task(c, &ids, e);
}

static bool read_fim(struct call *c, const json_t *body, struct api_error *e)
{
    const json_t *prompt = json_object_get(body, "prompt"), *suffix = json_object_get(body, "suffix");
    struct token_list ids = { 0 };
    if (!call_model(c, body, e) || !read_common(c, body, e)) return false;
    if (!json_is_string(prompt)) return api_bad(e, "prompt", "prompt is missing, expected a text");
    return prompt_fim(c, &ids, json_string_value(prompt), json_is_string(suffix) ? json_string_value(suffix) : "", NULL, e) && call_add_task(c, &ids, e);
}

#define PING ": still here\n\n"
const struct dialect dialect_chat = { "chat", read_chat, openai_begin, openai_progress, openai_piece, openai_finish, openai_end, NULL, PING };
const struct dialect dialect_completion = { "completion", read_completion, openai_begin, openai_progress, openai_piece, openai_finish, openai_end, NULL, PING };
const struct dialect dialect_fim = { "fim", read_fim, openai_begin, NULL, openai_piece, openai_finish, openai_end, NULL, PING };
