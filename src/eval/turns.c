/* turns.c - what a model is asked, as messages: written out as one text, or by the model's chat template. Which blanks stand between messages in a text, what becomes
 * a turn, and that a template which takes no system message is asked without one is what the reference does (lm-eval 0.4.13: lm_eval/api/task.py, fewshot_context and
 * build_qa_turn; lm_eval/api/utils.py; HFLM.apply_chat_template; transformers 5.23, continue_final_message). */
#include "eval/eval_internal.h"

#include <string.h>

static const char *const role_names[] = { "system", "user", "assistant" };       /* ORDER turn_role */

/* ---- a list of messages ---------------------------------------------------------------------------------------------------------------- */

void turns_add(struct turns *t, enum turn_role role, const char *text, const char *delimiter)
{
    t->at = mem_grow(t->at, (t->n + 1) * sizeof *t->at);
    t->at[t->n++] = (struct turn){ role, mem_strdup(text), delimiter };
}

void turns_cut(struct turns *t, size_t n)
{
    while (t->n > n) mem_free(t->at[--t->n].text);
}

void turns_release(struct turns *t)
{
    turns_cut(t, 0);
    mem_free(t->at);
    *t = (struct turns){ 0 };
}

static bool ends_blank(const char *s) { return text_space_at_end(s, strlen(s)) > 0; }
static bool begins_blank(const char *s) { return text_space_at_begin(s, strlen(s)) > 0; }

bool turns_want_delimiter(const char *before, const char *behind) { return *before && !ends_blank(before) && !begins_blank(behind); }

char *turns_join(const char *before, const char *behind, const char *delimiter)
{
    struct buf b;
    buf_init(&b, 0);
    buf_puts(&b, before);
    if (*behind && turns_want_delimiter(before, behind)) buf_puts(&b, delimiter);
    buf_puts(&b, behind);
    char *out = mem_strndup(b.data ? b.data : "", b.len);
    buf_release(&b);
    return out;
}

/* ---- as text --------------------------------------------------------------------------------------------------------------------------------- */

/* Messages [from, to) with their delimiters, but none behind the last one where `ends_bare`. */
static void put_text(struct buf *b, const struct turns *t, size_t from, size_t to, bool ends_bare)
{
    buf_puts(b, "");
    for (size_t i = from; i < to; i++) {
        buf_puts(b, t->at[i].text);
        if (!ends_bare || i + 1 < to) buf_puts(b, t->at[i].delimiter);
    }
}

/* ---- through a template ------------------------------------------------------------------------------------------------------------------------ */

/* Behind a beginning of the answer: what the template writes from here on is cut off. The blank shows whether the template trims what messages end with. */
static const char MARK[] = "END_OF_THE_BEGINNING_OF_THE_ANSWER ";

static void add_message(json_t *list, enum turn_role role, const char *text, size_t len) { json_array_append_new(list, json_pack("{s:s, s:s%}", "role", role_names[role], "content", text, len)); }

/* Examples as turns, or everything but the system's message and the beginning of the answer in one. */
static json_t *messages_of(const struct turns *t, bool is_multiturn, bool with_system)
{
    json_t *out = json_array();
    size_t from = t->at[0].role == TURN_SYSTEM, to = t->n - (t->at[t->n - 1].role == TURN_ASSISTANT);
    if (from && with_system) add_message(out, TURN_SYSTEM, t->at[0].text, strlen(t->at[0].text));
    for (size_t i = from; is_multiturn && i < to; i++) add_message(out, t->at[i].role, t->at[i].text, strlen(t->at[i].text));
    struct buf b;
    buf_init(&b, 0);
    if (!is_multiturn) {
        put_text(&b, t, from, to, true);
        add_message(out, TURN_USER, b.data, b.len);
        buf_clear(&b);
    }
    if (to < t->n) {
        buf_puts(&b, t->at[to].text);
        buf_puts(&b, MARK);
        add_message(out, TURN_ASSISTANT, b.data, b.len);
    }
    buf_release(&b);
    return out;
}

static sc_status render(struct rendered *out, const struct eval_chat *c, json_t *messages, bool has_beginning, sc_error *err)
{
    json_t *variables = json_copy(c->tokens);
    json_object_set(variables, "messages", messages);
    json_object_set_new(variables, "add_generation_prompt", json_boolean(!has_beginning));
    sc_status status = jinja_render(out, c->chat_template->jinja, variables, c->now, template_token_names, err);
    json_decref(variables);
    return status;
}

/* Last place of `needle`; SIZE_MAX: none. */
static size_t find_last(const char *text, size_t len, const char *needle, size_t n)
{
    for (size_t at = len >= n ? len - n + 1 : 0; at > 0; at--)
        if (!memcmp(text + at - 1, needle, n)) return at - 1;
    return SIZE_MAX;
}

/* The answer goes on where its beginning ends. */
static sc_status cut_at_mark(struct rendered *r, const char *beginning, sc_error *err)
{
    const char *text = r->text.data ? r->text.data : "";
    struct span own = text_strip(beginning, strlen(beginning));
    size_t n = strlen(MARK), at = find_last(text, r->text.len, MARK, n - 1);
    if (at == SIZE_MAX || !memmem(text, at, beginning + own.begin, own.end - own.begin))
        return FAIL(err, SC_E_UNSUPPORTED, "the chat template does not write the beginning of the answer (gen_prefix) as it is, so an answer cannot go on behind it; name another template with --template");
    bool is_trimmed = r->text.len - at < n || text[at + n - 1] != ' ';
    r->text.len = at;
    for (size_t k; is_trimmed && (k = text_space_at_end(text, r->text.len)) > 0;) r->text.len -= k;
    r->text.data[r->text.len] = 0;
    return SC_OK;
}

static sc_status write_chat(struct eval_context *out, const struct turns *t, struct eval_chat *c, sc_error *err)
{
    struct rendered r = { 0 };
    bool has_beginning = t->at[t->n - 1].role == TURN_ASSISTANT;
    json_t *messages = messages_of(t, c->is_multiturn, true);
    sc_status status = render(&r, c, messages, has_beginning, err);
    if (status == SC_E_ARGUMENT && t->at[0].role == TURN_SYSTEM) {
        json_decref(messages);
        messages = messages_of(t, c->is_multiturn, false);
        rendered_release(&r);
        status = render(&r, c, messages, has_beginning, err);
        c->leaves_out_system = c->leaves_out_system || status == SC_OK;
    }
    if (status == SC_OK && has_beginning) status = cut_at_mark(&r, t->at[t->n - 1].text, err);
    if (status == SC_OK) {
        *out = (struct eval_context){ mem_strndup(r.text.data ? r.text.data : "", r.text.len), r.trusted, r.n_trusted };
        r.trusted = NULL;
    }
    rendered_release(&r);
    json_decref(messages);
    return status;
}

sc_status turns_write(struct eval_context *out, const struct turns *t, struct eval_chat *c, sc_error *err)
{
    *out = (struct eval_context){ 0 };
    if (c && c->chat_template && t->n) return write_chat(out, t, c, err);
    struct buf b;
    buf_init(&b, 0);
    put_text(&b, t, 0, t->n, false);
    out->text = mem_strndup(b.data, b.len);
    buf_release(&b);
    return SC_OK;
}

/* ---- how a run asks -------------------------------------------------------------------------------------------------------------------------------- */

sc_status eval_chat_open(struct eval_chat *out, const sc_model *m, const sc_eval_config *c, sc_error *err)
{
    const char *turns = c->fewshot_as_multiturn ? c->fewshot_as_multiturn : "auto";
    *out = (struct eval_chat){ .system = c->system_instruction ? c->system_instruction : "", .is_multiturn = strcmp(turns, "false") != 0 };
    if (!c->apply_chat_template) {
        if (strcmp(turns, "true")) return SC_OK;
        return FAIL(err, SC_E_ARGUMENT, "--fewshot-as-multiturn true makes turns of the examples, which only a chat template can write; add --apply-chat-template");
    }
    if (!m) return FAIL(err, SC_E_ARGUMENT, "--apply-chat-template asks through a model's template, but no MODEL is named");
    if (!m->has_template)
        return FAIL(err, SC_E_ARGUMENT, "%s has no chat template, which --apply-chat-template needs; name one with --template (no_system, starchat-blog, default, alpaca, chatml or a Jinja file)", m->file->path);
    struct renderer r;
    TRY(renderer_open(&r, m->tokenizer, &m->chat_template, TRAIN_ON_ASSISTANT, err));
    out->end = r.end ? mem_strdup(r.end) : NULL;
    renderer_close(&r);
    out->chat_template = &m->chat_template;
    out->tokens = template_tokens(m->tokenizer);
    out->now = template_now();
    return SC_OK;
}

void eval_chat_release(struct eval_chat *c)
{
    json_decref(c->tokens);
    mem_free(c->end);
    *c = (struct eval_chat){ 0 };
}
