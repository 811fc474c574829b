/* endpoint_reply.c - what servers say: answers (OpenAI's chat completion object, as vLLM, llama.cpp, Ollama and others give it too) and refusals. */
#include "judge/endpoint.h"

#include <string.h>

enum { MAX_NESTING = 64, SHOWN = 240, UNLIMITED = 4096 };

void reply_release(struct reply *r)
{
    mem_free(r->text);
    mem_free(r->finish);
    json_decref(r->logprobs);
    *r = (struct reply){ 0 };
}

/* ---- answers ------------------------------------------------------------------------------------------------------------------------------- */

/* Text, or a list of parts of which those of text count. NULL: neither. */
static char *content_text(const json_t *content)
{
    const json_t *part;
    size_t i;
    struct buf b;
    if (json_is_string(content)) return mem_strndup(json_string_value(content), json_string_length(content));
    if (!json_is_array(content)) return NULL;
    buf_init(&b, 0);
    buf_puts(&b, "");
    json_array_foreach(content, i, part) {
        const json_t *text = json_object_get(part, "text");
        if (json_is_string(text)) buf_append(&b, json_string_value(text), json_string_length(text));
    }
    sc_text out;
    buf_take(&b, &out);
    return out.data;
}

/* Of the first token: the token itself and its alternatives. */
static json_t *first_logprobs(const json_t *choice)
{
    const json_t *first = json_array_get(json_object_get(json_object_get(choice, "logprobs"), "content"), 0), *top = json_object_get(first, "top_logprobs"), *one;
    size_t i;
    if (!json_is_object(first)) return NULL;
    json_t *out = json_object();
    for (i = 0; i <= json_array_size(top); i++) {
        one = i ? json_array_get(top, i - 1) : first;
        const char *token = json_string_value(json_object_get(one, "token"));
        if (token && json_is_number(json_object_get(one, "logprob"))) json_object_set(out, token, json_object_get(one, "logprob"));
    }
    return out;
}

static int64_t count_of(const json_t *usage, const char *key)
{
    const json_t *v = json_object_get(usage, key);
    return json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) < INT32_MAX ? json_integer_value(v) : -1;
}

sc_status reply_read(struct reply *out, const char *body, size_t len, sc_error *err)
{
    *out = (struct reply){ .tokens_in = -1, .tokens_out = -1 };
    json_t *all = json_tree(body, len, MAX_NESTING);
    char quoted[120];
    error_quote(quoted, sizeof quoted, body, len < 60 ? len : 60);
    if (!all) return FAIL(err, SC_E_FORMAT, "the answer is no whole JSON (%zu bytes, \"%s\")", len, quoted);
    const json_t *choice = json_array_get(json_object_get(all, "choices"), 0), *message = json_object_get(choice, "message"), *usage = json_object_get(all, "usage");
    const char *finish = json_string_value(json_object_get(choice, "finish_reason")), *refusal = json_string_value(json_object_get(message, "refusal"));
    sc_status status = SC_OK;
    out->text = content_text(json_object_get(message, "content"));
    /* Without a text: a refusal is one; else all tokens went into thinking, or a filter took it, which a reason tells. */
    if (json_is_object(message) && !out->text && (refusal || finish)) out->text = mem_strdup(refusal ? refusal : "");
    if (!out->text) status = FAIL(err, SC_E_FORMAT, "the answer is JSON without choices[0].message.content (\"%s\")", quoted);
    out->finish = mem_strdup(finish ? finish : "");
    out->tokens_in = count_of(usage, "prompt_tokens");
    out->tokens_out = count_of(usage, "completion_tokens");
    out->logprobs = first_logprobs(choice);
    json_decref(all);
    if (status != SC_OK) {
        struct reply paid = { .tokens_in = out->tokens_in, .tokens_out = out->tokens_out };
        reply_release(out);
        *out = paid;
    }
    return status;
}

int64_t request_limit(const char *request)
{
    json_t *all = json_loads(request, 0, NULL), *v = json_object_get(all, "max_tokens");
    if (!v) v = json_object_get(all, "max_completion_tokens");
    int64_t n = json_is_integer(v) && json_integer_value(v) > 0 ? json_integer_value(v) : UNLIMITED;
    json_decref(all);
    return n;
}

/* ---- refusals ---------------------------------------------------------------------------------------------------------------------------------- */

bool reply_is_passing(long status) { return status == 408 || status == 409 || status == 425 || status == 429 || status >= 500; }
bool reply_is_of_request(long status) { return status == 400 || status == 413 || status == 422; }

/* What the server says in words: {"error":{"message"}}, {"error":"..."}, {"message"}, {"detail"}, else the text. Without control characters and the key. */
static void server_words(char out[SHOWN], const struct endpoint *e, const char *body, size_t len)
{
    json_t *all = json_tree(body, len, MAX_NESTING);
    const json_t *error = json_object_get(all, "error"), *said = json_object_get(error, "message");
    static const char *const keys[] = { "message", "detail", "error" };
    for (size_t i = 0; i < 3 && !json_is_string(said); i++) said = i == 2 ? error : json_object_get(all, keys[i]);
    char *text = json_is_string(said) ? mem_strdup(json_string_value(said)) : mem_strndup(body ? body : "", len < 2000 ? len : 2000);
    endpoint_hide_key(e, text);
    size_t n = strlen(text);
    while (n && ((unsigned char)text[n - 1] <= ' ' || text[n - 1] == '.')) n--;
    error_quote(out, SHOWN, text, n);
    mem_free(text);
    json_decref(all);
}

/* Which setting the server does not take, and the remedy. Longer names first: one holds the other. */
static const char *refused_setting(const char *words)
{
    static const struct { const char *name, *remedy; } rows[] = {
        { "max_completion_tokens", "; --max-tokens-name max_completion_tokens calls the limit so" },
        { "max_tokens", "; --max-tokens-name max_completion_tokens gives the limit another name" },
        { "temperature", "; --omit temperature leaves it out" },
        { "top_logprobs", "; this protocol needs a server that gives log-probabilities" },
        { "logprobs", "; this protocol needs a server that gives log-probabilities" },
        { "top_p", "; --omit top_p leaves it out" },
        { "top_k", "; --omit top_k leaves it out" },
        { "seed", "; --omit seed leaves it out" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strstr(words, rows[i].name)) return rows[i].remedy;
    return "";
}

sc_status reply_refusal(const struct endpoint *e, long status, const char *body, size_t len, const char *location, sc_error *err)
{
    char words[SHOWN], where[160];
    server_words(words, e, body, len);
    if (status == 401 || status == 403)
        return FAIL(err, SC_E_PEER, "%s answers %ld (%s); %s", e->base, status, words, e->key ? "check the key, or name another variable with --key-env" : "no key was sent: set OPENAI_API_KEY, or name a variable with --key-env");
    if (status == 404) return FAIL(err, SC_E_PEER, "%s answers 404 (%s): no such model as \"%s\", or the address is not the one that ends before /chat/completions", e->base, words, e->name);
    if (status / 100 == 3) {
        char *to = mem_strdup(location ? location : "");
        endpoint_hide_key(e, to);
        error_quote(where, sizeof where, to, strlen(to));
        mem_free(to);
        return FAIL(err, SC_E_PEER, "%s redirects (%ld) to \"%s\", where nothing is sent; give that address if it is right", e->base, status, where);
    }
    if (reply_is_of_request(status)) return FAIL(err, SC_E_PEER, "%s refuses the request (%ld: %s)%s", e->base, status, words, refused_setting(words));
    if (status == 200) return FAIL(err, SC_E_PEER, "%s gives no answer that can be used: %s", e->base, words);
    return FAIL(err, SC_E_PEER, "%s answers %ld (%s)", e->base, status, words);
}
