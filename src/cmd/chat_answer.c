/* chat_answer.c - one answer: conversation to tokens, what is new in it read, then text as it comes. What cannot be answered leaves the conversation as it was. */
#include "cmd/chat.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void chat_dim(const struct chat *c, const char *format, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, format);
    int n = vasprintf(&text, format, ap);
    va_end(ap);
    if (n < 0) return;
    FILE *to = c->terminal.out ? c->terminal.out : stderr;
    bool is_colored = use_color(c->common, to);
    if (is_colored) fputs("\033[2m", to);
    print_safe(to, text, (size_t)n);
    fputs(is_colored ? "\033[0m\n" : "\n", to);
    fflush(to);
    free(text);
}

/* ---- prompt ------------------------------------------------------------------------------------------------------------------------ */

/* Plain text of a few-shot prompt: nothing in it is trusted. Spaces at the very end are left to the model: tokenizers
 * join a space to the word behind it, so a prompt that ends in one asks for what the model never saw. */
static sc_status encode_fewshot(struct chat *c, sc_tokens *out, sc_error *err)
{
    struct string text = { 0 };
    fewshot_render(&text, &c->fewshot, c->talk.message, c->talk.n);
    while (text.len && text.data[text.len - 1] == ' ') text.len--;
    sc_tokens t = { 0 };
    sc_status status = sc_encode(&t, sc_model_tokenizer(c->model), text.data, text.len, false, err);
    string_release(&text);
    int32_t bos;
    if (status != SC_OK || !sc_model_adds_bos(c->model, &bos)) {
        *out = t;
        return status;
    }
    *out = (sc_tokens){ malloc((t.len + 1) * sizeof *t.id), t.len + 1 };
    if (!out->id) abort();
    out->id[0] = bos;
    memcpy(out->id + 1, t.id, t.len * sizeof *t.id);
    sc_tokens_free(&t);
    return SC_OK;
}

sc_status chat_encode(struct chat *c, sc_tokens *out, sc_error *err)
{
    if (c->has_fewshot) return encode_fewshot(c, out, err);
    return sc_encode_chat(out, c->model, c->talk.message, c->talk.n, err);
}

static bool fits(struct chat *c, const sc_tokens *prompt)
{
    size_t room = sc_session_capacity(c->session), most = sc_model_context(c->model);
    if (prompt->len < room) return true;
    struct string remedy = { 0 };
    if (c->is_interactive) string_puts(&remedy, "nothing was sent and nothing is lost: /undo takes back an exchange, /clear begins anew, Up brings the message again");
    else string_puts(&remedy, "shorten the text");
    if (room < most) string_printf(&remedy, "%s --context N gives more room (this model: up to %zu)", c->is_interactive ? "," : ", or", most);
    fail_text("the conversation has %zu tokens, and the context of %zu leaves no room for an answer; %s", prompt->len, room, remedy.data);
    string_release(&remedy);
    return false;
}

/* ---- answer ------------------------------------------------------------------------------------------------------------------------- */

struct reply { struct chat *c; double begin; size_t held; };

static bool is_blank(char ch) { return ch == ' ' || ch == '\n' || ch == '\t' || ch == '\r'; }

/* White space at the begin goes, at the end it waits for what follows. */
static int on_text(void *user, const char *utf8, size_t len)
{
    struct reply *r = user;
    struct chat *c = r->c;
    size_t shown = c->answer.len - r->held;
    while (!c->answer.len && len && is_blank(*utf8)) { utf8++; len--; }
    string_add(&c->answer, utf8, len);
    r->held = 0;
    while (r->held < c->answer.len && is_blank(c->answer.data[c->answer.len - 1 - r->held])) r->held++;
    size_t ready = c->answer.len - r->held;
    if (ready > shown && !c->is_silent) {
        markdown_put(&c->markdown, c->answer.data + shown, ready - shown);
        fflush(stdout);
    }
    return c->terminal.is_interrupted || ferror(stdout);
}

static int on_step(void *user, const sc_step *step)
{
    struct reply *r = user;
    struct chat *c = r->c;
    if (c->last.first_seconds <= 0) c->last.first_seconds = seconds_now() - r->begin;
    past_keep(c, &step->id, 1, c->n_past);
    return c->terminal.is_interrupted;
}

static sc_status generate(struct chat *c, struct reply *r, sc_error *err)
{
    sc_sample_config config = c->sample;
    sc_generation g;
    config.seed += c->answers;
    config.on_step = on_step;
    config.stop = c->stop;
    sc_status status = sc_session_generate(&g, c->session, &config, on_text, r, err);
    c->last.tokens = g.tokens;
    c->last.seconds = g.seconds;
    c->last.reason = g.reason;
    if (c->n_past > sc_session_length(c->session)) c->n_past = sc_session_length(c->session);
    markdown_end(&c->markdown);
    c->answer.len -= r->held;
    string_add(&c->answer, "", 0);
    if (c->answer.len && !c->is_silent) fputc('\n', stdout);
    fflush(stdout);
    return status;
}

/* Sync and generate, with Ctrl-C at work. */
static sc_status reply_to(struct chat *c, const sc_tokens *prompt, bool *is_interrupted, sc_error *err)
{
    struct reply r = { .c = c, .begin = seconds_now() };
    string_clear(&c->answer);
    markdown_begin(&c->markdown, stdout, use_color(c->common, stdout));
    if (c->is_interactive) terminal_answer_begin(&c->terminal, c->runtime);
    sc_status status = chat_read_prompt(c, prompt, err);
    if (status == SC_OK) status = generate(c, &r, err);
    if (c->is_interactive) terminal_answer_end(&c->terminal);
    *is_interrupted = status == SC_E_CANCELLED || c->terminal.is_interrupted;
    return status;
}

enum answer_end chat_answer(struct chat *c)
{
    sc_error err = { 0 };
    sc_tokens prompt = { 0 };
    bool is_interrupted = false;
    if (chat_encode(c, &prompt, &err) != SC_OK) {
        fail_with(c->common, &err);
        return ANSWER_FAILED;
    }
    if (!fits(c, &prompt)) {
        sc_tokens_free(&prompt);
        return ANSWER_FAILED;
    }
    sc_status status = reply_to(c, &prompt, &is_interrupted, &err);
    sc_tokens_free(&prompt);
    c->has_figures = status == SC_OK || is_interrupted;
    c->answers++;
    if (status != SC_OK && !is_interrupted) {
        fail_with(c->common, &err);
        return ANSWER_FAILED;
    }
    if (is_interrupted && !c->answer.len) return ANSWER_INTERRUPTED;
    struct string text = { 0 };
    string_add_repaired(&text, c->answer.len ? c->answer.data : "", c->answer.len);   /* a NUL would end it */
    conversation_add(&c->talk, "assistant", text.data, text.len);
    string_release(&text);
    bool is_cut = c->last.reason == SC_STOP_LENGTH || c->last.reason == SC_STOP_CONTEXT;
    c->answer_status = is_interrupted ? "stopped" : is_cut ? "length" : "done";
    return is_interrupted ? ANSWER_INTERRUPTED : ANSWER_DONE;
}

/* ---- asking ---------------------------------------------------------------------------------------------------------------------------- */

static void report_figures(const struct chat *c, bool is_stopped)
{
    const struct answer_figures *f = &c->last;
    size_t used = sc_session_length(c->session), room = sc_session_capacity(c->session);
    const char *dot = c->is_utf8 ? "\u00b7" : "-";
    struct string s = { 0 };
    if (is_stopped) string_printf(&s, "stopped %s ", dot);
    string_printf(&s, "%zu token%s", f->tokens, f->tokens == 1 ? "" : "s");
    if (f->seconds > 0 && f->tokens) string_printf(&s, " %s %.1f/s", dot, (double)f->tokens / f->seconds);
    string_printf(&s, " %s context %zu of %zu (%zu %%)", dot, used, room, used * 100 / room);
    if (f->reused) string_printf(&s, " %s %zu reused", dot, f->reused);
    chat_dim(c, "%s", s.data);
    string_release(&s);
}

void chat_report(struct chat *c, enum answer_end end)
{
    if (end == ANSWER_FAILED) return;
    if (end == ANSWER_INTERRUPTED && !c->answer.len) {
        chat_dim(c, "(stopped before the first word; the message was taken back, Up brings it again)");
        return;
    }
    if (!c->answer.len) chat_dim(c, "(an empty answer)");
    if (end == ANSWER_DONE && c->last.reason == SC_STOP_LENGTH) chat_dim(c, "(cut after %lld tokens, which /set max_tokens changes)", (long long)c->sample.max_tokens);
    if (end == ANSWER_DONE && c->last.reason == SC_STOP_CONTEXT)
        chat_dim(c, "(cut: the context of %zu tokens is full; /undo or /clear makes room, --context N gives more)", sc_session_capacity(c->session));
    report_figures(c, end == ANSWER_INTERRUPTED);
}

enum answer_end chat_ask(struct chat *c, const char *text, size_t len)
{
    size_t before = c->talk.n;
    conversation_add(&c->talk, "user", text, len);
    enum answer_end end = chat_answer(c);
    if (c->talk.n < before + 2) conversation_cut(&c->talk, before);
    else chat_autosave(c);
    return end;
}
