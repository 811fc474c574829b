/* prompt.c - what a request says, as tokens: messages by the model's chat template, plain text, ids, and code with a hole. Text of messages and of
 * code never becomes a special token; a template's own does, and the marks of code with a hole in a prompt that its sender wrote whole. */
#include <string.h>

#include "serve/api.h"

enum { MESSAGES_MAX = 4096, PARTS_MAX = 1024, MARKS_MAX = 1024 };

bool content_text(struct buf *out, const json_t *content, const char *what, struct api_error *e)
{
    if (json_is_string(content)) {
        utf8_repair(out, json_string_value(content), json_string_length(content));
        return true;
    }
    if (!content || json_is_null(content)) return true;
    if (!json_is_array(content) || json_array_size(content) > PARTS_MAX) return api_bad(e, "messages", "the content of %s is neither a text nor a list of parts", what);
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i), *text = json_is_string(part) ? part : json_object_get(part, "text");
        const char *type = json_string_value(json_object_get(part, "type"));
        if (!json_is_string(text))
            return api_bad(e, "messages", "part %zu of the content of %s is of type \"%.30s\", but this model reads text alone", i + 1, what, type ? type : "?");
        utf8_repair(out, json_string_value(text), json_string_length(text));
    }
    return true;
}

static const char *known_role(const char *role)
{
    static const char *const roles[] = { "system", "user", "assistant", "tool", "function" };
    if (!role) return NULL;
    if (strcmp(role, "developer") == 0) return "system";
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (strcmp(role, roles[i]) == 0) return roles[i];
    return NULL;
}

/* A message in the form of templates: its content is one text; what belongs to tools is kept. */
static json_t *template_message(const json_t *m, size_t i, struct api_error *e)
{
    char what[32];
    struct buf text;
    const char *given = json_string_value(json_object_get(m, "role")), *role = known_role(given);
    snprintf(what, sizeof what, "message %zu", i + 1);
    if (!role) {
        api_bad(e, "messages", "the role of %s is \"%.40s\", expected system, developer, user, assistant or tool", what, given ? given : "(none)");
        return NULL;
    }
    buf_init(&text, 0);
    if (!content_text(&text, json_object_get(m, "content"), what, e)) { buf_release(&text); return NULL; }
    json_t *out = json_pack("{s:s, s:s%}", "role", role, "content", text.data ? text.data : "", text.len);
    buf_release(&text);
    static const char *const kept[] = { "tool_calls", "tool_call_id", "name" };
    for (size_t k = 0; k < sizeof kept / sizeof *kept; k++) {
        json_t *v = json_object_get(m, kept[k]);
        if (v && !json_is_null(v)) json_object_set(out, kept[k], v);
    }
    return out;
}

static json_t *template_variables(struct call *c, const json_t *messages, size_t n, const json_t *tools, struct api_error *e)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *m = template_message(json_array_get(messages, i), i, e);
        if (!m) { json_decref(list); return NULL; }
        json_array_append_new(list, m);
    }
    json_t *variables = template_tokens(c->model->tokenizer);
    json_object_set_new(variables, "messages", list);
    json_object_set_new(variables, "add_generation_prompt", json_true());
    if (tools) json_object_set(variables, "tools", (json_t *)(uintptr_t)tools);
    const json_t *more = json_object_get(c->body, "chat_template_kwargs");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)more, key, value)
        if (!json_object_get(variables, key)) json_object_set(variables, key, value);
    return variables;
}

/* The beginning of the answer, if the last message is one of the assistant. */
static bool add_prefill(struct call *c, struct token_list *out, const json_t *message, size_t i, struct api_error *e)
{
    char what[32];
    struct buf text;
    buf_init(&text, 0);
    snprintf(what, sizeof what, "message %zu", i + 1);
    bool ok = content_text(&text, json_object_get(message, "content"), what, e);
    if (ok && text.len) tokenizer_encode(c->model->tokenizer, out, text.data, text.len, NULL, 0);
    buf_release(&text);
    return ok;
}

bool prompt_rendered(struct call *c, struct rendered *r, const json_t *messages, size_t n, const json_t *tools, struct api_error *e)
{
    sc_error err;
    if (!c->model->has_template)
        return api_fail(e, 400, "invalid_request_error", "no_chat_template", "messages", "%s has no chat template, so it cannot take messages; start the server with --template (no_system, default, alpaca, chatml or a Jinja file), or use /v1/completions", c->model_name);
    if (json_array_size(messages) > MESSAGES_MAX) return api_bad(e, "messages", "there are %zu messages, expected at most %d", json_array_size(messages), MESSAGES_MAX);
    json_t *variables = template_variables(c, messages, n, tools, e);
    if (!variables) return false;
    sc_status status = jinja_render(r, c->model->chat_template.jinja, variables, template_now(), template_token_names, &err);
    json_decref(variables);
    return status == SC_OK || api_bad(e, "messages", "the chat template refuses these messages: %s", err.message);
}

bool prompt_chat(struct call *c, struct token_list *out, const json_t *messages, const json_t *tools, struct api_error *e)
{
    size_t n = json_array_size(messages);
    const json_t *last = json_array_get(messages, n - 1);
    const char *role = json_string_value(json_object_get(last, "role"));
    bool has_prefill = n > 1 && role && strcmp(role, "assistant") == 0 && !json_object_get(last, "tool_calls");
    struct rendered r = { 0 };
    if (!prompt_rendered(c, &r, messages, n - has_prefill, tools, e)) return false;
    tokenizer_encode(c->model->tokenizer, out, r.text.data, r.text.len, r.trusted, r.n_trusted);
    rendered_release(&r);
    if (!has_prefill || add_prefill(c, out, last, n - 1, e)) return true;
    token_list_release(out);
    return false;
}

/* Editors put code with a hole together themselves: <fim_prefix>before<fim_suffix>after<fim_middle>, other files with their names before it. */
static size_t find_marks(struct span *marks, const struct tokenizer *t, const char *text, size_t len, size_t most)
{
    static const enum token_role roles[] = { TOKEN_FIM_PREFIX, TOKEN_FIM_SUFFIX, TOKEN_FIM_MIDDLE };
    static const char *const names[] = { "<file_sep>", "<filename>", "<|file_sep|>", "<repo_name>", "<reponame>", "<|repo_name|>" };
    enum { N_ROLES = sizeof roles / sizeof *roles, N_NAMES = sizeof names / sizeof *names };
    struct { const char *at; size_t len; } mark[N_ROLES + N_NAMES] = { 0 };
    size_t n = 0;
    for (size_t i = 0; i < N_ROLES; i++)
        if (tokenizer_role(t, roles[i]) >= 0) mark[i].at = tokenizer_bytes(t, tokenizer_role(t, roles[i]), &mark[i].len);
    for (size_t i = 0; i < N_NAMES; i++)
        if (tokenizer_find(t, names[i], strlen(names[i])) >= 0) { mark[N_ROLES + i].at = names[i]; mark[N_ROLES + i].len = strlen(names[i]); }
    for (size_t at = 0; at < len && n < most; at++) {
        for (size_t i = 0; i < N_ROLES + N_NAMES; i++) {
            if (!mark[i].at || mark[i].len > len - at || memcmp(text + at, mark[i].at, mark[i].len) != 0) continue;
            marks[n++] = (struct span){ at, at + mark[i].len };
            at += mark[i].len - 1;
            break;
        }
    }
    return n;
}

void prompt_encode(const struct call *c, struct token_list *out, const char *text, size_t len)
{
    struct span *trusted = mem_alloc(MARKS_MAX * sizeof *trusted);
    size_t n = 1;
    if (c->wish.parses_special) trusted[0] = (struct span){ 0, len };
    else n = find_marks(trusted, c->model->tokenizer, text, len, MARKS_MAX);
    tokenizer_encode(c->model->tokenizer, out, text, len, trusted, n);
    mem_free(trusted);
}

bool prompt_text(struct call *c, struct token_list *out, const char *text, size_t len, struct api_error *e)
{
    int32_t begin;
    (void)e;
    if (sc_model_adds_bos(c->model, &begin)) token_list_push(out, begin);
    prompt_encode(c, out, text, len);
    if (!out->len && sc_model_first_token(c->model) >= 0) token_list_push(out, sc_model_first_token(c->model));     /* an empty text begins where texts begin */
    return true;
}

bool prompt_ids(struct call *c, struct token_list *out, const json_t *ids, struct api_error *e)
{
    size_t vocab = model_vocab(&c->model->model);
    if (!json_is_array(ids) || !json_array_size(ids)) return api_bad(e, "prompt", "a prompt of token ids is empty or no list");
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *v = json_array_get(ids, i);
        json_int_t id = json_is_integer(v) ? json_integer_value(v) : -1;
        if (id < 0 || (size_t)id >= vocab) { token_list_release(out); return api_bad(e, "prompt", "element %zu of the prompt is no token id, expected 0 to %zu", i, vocab - 1); }
        token_list_push(out, (int32_t)id);
    }
    return true;
}

/* ---- code with a hole ----------------------------------------------------------------------------------------------------------------------- */

/* Other files, in StarCoder's form where the tokenizer has a token for it: <file_sep>name\ntext or <filename>name\ntext. Otherwise as text. */
static bool add_extra(struct call *c, struct token_list *out, const json_t *extra, struct api_error *e)
{
    const struct tokenizer *t = c->model->tokenizer;
    int32_t mark = tokenizer_find(t, "<file_sep>", 10);
    if (mark < 0) mark = tokenizer_find(t, "<filename>", 10);
    if (mark < 0) mark = tokenizer_find(t, "<|file_sep|>", 12);
    for (size_t i = 0; i < json_array_size(extra); i++) {
        const json_t *one = json_array_get(extra, i), *text = json_object_get(one, "text"), *name = json_object_get(one, "filename");
        if (!json_is_string(text)) return api_bad(e, "input_extra", "element %zu of input_extra has no \"text\"", i);
        struct buf b;
        buf_init(&b, 0);
        if (mark >= 0) token_list_push(out, mark);
        if (json_is_string(name)) buf_printf(&b, "%s\n", json_string_value(name));
        utf8_repair(&b, json_string_value(text), json_string_length(text));
        buf_putc(&b, '\n');
        tokenizer_encode(t, out, b.data, b.len, NULL, 0);
        buf_release(&b);
    }
    if (mark >= 0 && json_array_size(extra)) token_list_push(out, mark);
    return true;
}

bool prompt_fim(struct call *c, struct token_list *out, const char *prefix, const char *suffix, const json_t *extra, struct api_error *e)
{
    sc_error err;
    sc_tokens ids;
    if (sc_encode_fim(&ids, c->model, prefix, suffix, &err) != SC_OK)
        return api_fail(e, 400, "invalid_request_error", "no_infill", "suffix", "%s has no fill-in-the-middle tokens (such as <fim_prefix>, <fim_suffix>, <fim_middle>), so it cannot use a suffix", c->model_name);
    bool ok = add_extra(c, out, extra, e);
    for (size_t i = 0; i < ids.len && ok; i++) token_list_push(out, ids.id[i]);
    sc_tokens_free(&ids);
    return ok;
}
