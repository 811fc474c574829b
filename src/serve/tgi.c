/* tgi.c - the native API of Hugging Face's text-generation-inference, which the StarChat playground and llm-ls speak. Source: its OpenAPI
 * description (3.x). Errors are flat: {"error", "error_type"}. */
#include <math.h>
#include <string.h>

#include "serve/api.h"

static void tgi_error(struct call *c, const struct api_error *e)
{
    struct buf b;
    int status = e->status == 400 ? 422 : e->status;
    buf_init(&b, 0);
    buf_puts(&b, c->has_begun ? "data:{\"error\":" : "{\"error\":");
    api_put_text(&b, e->message);
    buf_printf(&b, ",\"error_type\":\"%s\"}", status == 422 ? "validation" : status == 429 ? "overloaded" : status == 503 ? "unavailable" : status == 500 ? "generation" : e->type);
    if (!c->has_begun) { call_reply_buf(c, status, "application/json", &b); return; }
    buf_puts(&b, "\n\n");
    call_last(c, &b);
}

static const char *reason_of(enum finish f)
{
    static const char *const names[] = { "length", "eos_token", "stop_sequence", "length", "length", "length", "stop_sequence" };      /* ORDER finish */
    return names[f];
}

static void put_token(struct buf *b, const struct call *c, const struct token_record *t)
{
    buf_printf(b, "{\"id\":%d,\"text\":", t->id);
    put_token_json(b, c, t->id);
    if (isnan(t->logprob)) buf_puts(b, ",\"logprob\":null");
    else buf_printf(b, ",\"logprob\":%.9g", t->logprob);
    buf_printf(b, ",\"special\":%s}", tokenizer_is_special(c->model->tokenizer, t->id) ? "true" : "false");
}

static void put_tops(struct buf *b, const struct call *c, const struct token_record *t)
{
    buf_putc(b, '[');
    for (size_t k = 0; k < t->n_top; k++) {
        const struct token_record r = { t->top[k].id, (double)t->top[k].logprob, NULL, 0 };
        if (k) buf_putc(b, ',');
        put_token(b, c, &r);
    }
    buf_putc(b, ']');
}

static void put_seed(struct buf *b, const struct call *c)
{
    const struct task *t = c->tasks[0];
    if (t->sample.temperature > 0) buf_printf(b, "%lld", (long long)t->sample.seed);
    else buf_puts(b, "null");
}

/* ---- streams: an event for each token ---------------------------------------------------------------------------------------------------- */

static void tgi_begin(struct call *c) { call_begin_stream(c, "text/event-stream; charset=utf-8"); }

/* The last token is told with the whole text, so one is always kept back. */
static void send_token(struct call *c, struct choice *ch, const struct token_record *t, const char *text, size_t len, bool is_last)
{
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "data:{\"index\":%zu,\"token\":{\"id\":%d,\"text\":", ++ch->written, t->id);
    buf_put_json_string(&b, text, len);
    if (isnan(t->logprob)) buf_puts(&b, ",\"logprob\":0.0");
    else buf_printf(&b, ",\"logprob\":%.9g", t->logprob);
    buf_printf(&b, ",\"special\":%s},\"generated_text\":", is_last && ch->finish == FINISH_END ? "true" : "false");
    if (is_last) buf_put_json_string(&b, ch->text.data ? ch->text.data : "", ch->text.len);
    else buf_puts(&b, "null");
    if (t->n_top) { buf_puts(&b, ",\"top_tokens\":"); put_tops(&b, c, t); }
    buf_puts(&b, ",\"details\":");
    if (is_last) {
        buf_printf(&b, "{\"finish_reason\":\"%s\",\"generated_tokens\":%zu,\"input_length\":%zu,\"seed\":", reason_of(ch->finish), ch->tokens, c->tasks[0]->n_prompt);
        put_seed(&b, c);
        buf_putc(&b, '}');
    } else buf_puts(&b, "null");
    buf_puts(&b, "}\n\n");
    call_write(c, &b);
    buf_release(&b);
}

static void tgi_piece(struct call *c, size_t choice, const char *text, size_t len, const struct token_records *r)
{
    struct choice *ch = &c->choices[choice];
    if (ch->has_last) send_token(c, ch, &ch->last_token, ch->held.data ? ch->held.data : "", ch->held.len, false);
    buf_append(&ch->text, text, len);
    buf_clear(&ch->held);
    buf_append(&ch->held, text, len);
    for (size_t i = 0; i + 1 < r->len; i++) send_token(c, ch, &r->at[i], "", 0, false);       /* characters of several tokens come with the last */
    if (r->len) ch->last_token = (struct token_record){ r->at[r->len - 1].id, r->at[r->len - 1].logprob, NULL, 0 };
    ch->has_last = true;
}

static void tgi_finish(struct call *c, size_t choice)
{
    struct choice *ch = &c->choices[choice];
    const struct token_record none = { c->model->n_end ? c->model->end[0] : 0, (double)NAN, NULL, 0 };
    send_token(c, ch, ch->has_last ? &ch->last_token : &none, ch->held.data ? ch->held.data : "", ch->held.len, true);
}

/* ---- answers in one piece ------------------------------------------------------------------------------------------------------------------ */

static void put_details(struct buf *b, struct call *c, const struct choice *ch)
{
    size_t n_prompt = c->wish.decoder_details ? c->tasks[0]->n_prompt : 0, from = ch->records.len < n_prompt ? 0 : n_prompt;
    buf_printf(b, ",\"details\":{\"finish_reason\":\"%s\",\"generated_tokens\":%zu,\"seed\":", reason_of(ch->finish), ch->tokens);
    put_seed(b, c);
    buf_puts(b, ",\"prefill\":[");
    for (size_t i = 0; i < from; i++) { if (i) buf_putc(b, ','); put_token(b, c, &ch->records.at[i]); }
    buf_puts(b, "],\"tokens\":[");
    for (size_t i = from; i < ch->records.len; i++) { if (i > from) buf_putc(b, ','); put_token(b, c, &ch->records.at[i]); }
    buf_puts(b, "]");
    if (c->wish.n_probs > 0) {
        buf_puts(b, ",\"top_tokens\":[");
        for (size_t i = from; i < ch->records.len; i++) { if (i > from) buf_putc(b, ','); put_tops(b, c, &ch->records.at[i]); }
        buf_putc(b, ']');
    }
    buf_putc(b, '}');
}

static void tgi_end(struct call *c)
{
    size_t best[1];
    if (c->is_stream) { call_end_stream(c); return; }
    struct buf b;
    buf_init(&b, 0);
    call_best(c, 0, best, 1);
    const struct choice *ch = &c->choices[best[0]];
    bool is_list = c->dialect == &dialect_tgi_any;             /* the old address answers with a list */
    buf_puts(&b, is_list ? "[{\"generated_text\":" : "{\"generated_text\":");
    buf_put_json_string(&b, ch->text.data ? ch->text.data : "", ch->text.len);
    if (c->wish.details) put_details(&b, c, ch);
    buf_puts(&b, is_list ? "}]" : "}");
    call_reply_buf(c, 200, "application/json", &b);
}

/* ---- reading ---------------------------------------------------------------------------------------------------------------------------------- */

/* Greedy unless it is asked to sample, as TGI has it: by do_sample, or by a sampler that says so. Editors send a temperature alone. */
static bool wants_samples(const json_t *parameters)
{
    static const struct { const char *name; double off; } samplers[] = { { "temperature", 1 }, { "top_k", 0 }, { "top_p", 1 }, { "typical_p", 1 } };
    for (size_t i = 0; i < sizeof samplers / sizeof *samplers; i++) {
        const json_t *v = json_object_get(parameters, samplers[i].name);
        if (json_is_number(v) && json_number_value(v) != samplers[i].off) return true;
    }
    return false;
}

static bool read_tgi(struct call *c, const json_t *body, struct api_error *e, bool is_stream)
{
    const json_t *inputs = json_object_get(body, "inputs"), *parameters = json_object_get(body, "parameters"), *truncate = json_object_get(parameters, "truncate");
    struct wish *w = &c->wish;
    struct token_list ids = { 0 };
    w->max_tokens = 100;
    if (!call_model(c, body, e)) return false;
    w->sample.temperature = 1;
    if (parameters && !json_is_object(parameters) && !json_is_null(parameters)) return api_bad(e, "parameters", "parameters is no object");
    if (!json_is_string(inputs)) return api_bad(e, "inputs", "inputs is missing or no text");
    if (parameters && !wish_read(w, parameters, e)) return false;
    if (!w->does_sample && !wants_samples(parameters)) w->sample.temperature = 0;
    if (w->best_of > 1 && is_stream) return api_bad(e, "best_of", "best_of is %lld, but a stream has one answer", (long long)w->best_of);
    if (w->decoder_details && is_stream) return api_bad(e, "decoder_input_details", "decoder_input_details cannot be streamed");
    if (w->n_probs > 0 || w->details || w->decoder_details || is_stream) w->sample.logprobs = 1 + (w->n_probs > 0 ? w->n_probs : 0);
    w->echo = w->decoder_details;
    c->is_stream = is_stream;
    if (!prompt_text(c, &ids, json_string_value(inputs), json_string_length(inputs), e)) return false;
    if (json_is_integer(truncate) && json_integer_value(truncate) > 0 && (size_t)json_integer_value(truncate) < ids.len) {     /* asked for: the end of the text stays */
        size_t n = (size_t)json_integer_value(truncate);
        memmove(ids.id, ids.id + ids.len - n, n * sizeof *ids.id);
        ids.len = n;
    }
    if (w->return_full_text) { call_echo(c, json_string_value(inputs), json_string_length(inputs)); w->echo = true; }
    else if (w->echo) call_echo(c, "", 0);
    return call_add_task(c, &ids, e);
}

static bool read_whole(struct call *c, const json_t *body, struct api_error *e) { return read_tgi(c, body, e, false); }
static bool read_stream(struct call *c, const json_t *body, struct api_error *e) { return read_tgi(c, body, e, true); }
static bool read_any(struct call *c, const json_t *body, struct api_error *e) { return read_tgi(c, body, e, json_is_true(json_object_get(body, "stream"))); }

#define PING ": still here\n\n"
const struct dialect dialect_tgi = { "tgi", read_whole, tgi_begin, NULL, tgi_piece, tgi_finish, tgi_end, tgi_error, PING };
const struct dialect dialect_tgi_stream = { "tgi_stream", read_stream, tgi_begin, NULL, tgi_piece, tgi_finish, tgi_end, tgi_error, PING };
const struct dialect dialect_tgi_any = { "tgi_any", read_any, tgi_begin, NULL, tgi_piece, tgi_finish, tgi_end, tgi_error, PING };
