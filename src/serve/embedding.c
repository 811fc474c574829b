/* embedding.c - embeddings: the mean of a text's last hidden states, of length one. What decoders give that way ranks texts of code well enough to
 * find them; it is no model trained for it. OpenAI's form (float or base64), Ollama's, and llama.cpp's, which has "content". */
#include <string.h>

#include <openssl/evp.h>

#include "serve/api.h"

enum { INPUTS_MAX = 2048 };

static bool add_input(struct call *c, const json_t *v, struct api_error *e)
{
    struct token_list ids = { 0 };
    bool ok = json_is_string(v) ? prompt_text(c, &ids, json_string_value(v), json_string_length(v), e) : json_is_array(v) ? prompt_ids(c, &ids, v, e) : api_bad(e, "input", "an input is neither a text nor a list of token ids");
    return ok && call_add_embedding(c, &ids, e);
}

/* llama.cpp's own form: "content" in, a list of lists out. Tabby speaks it. */
static bool is_llama(const json_t *body) { return !json_object_get(body, "input") && json_object_get(body, "content"); }

static bool read_embedding(struct call *c, const json_t *body, struct api_error *e)
{
    const json_t *input = json_object_get(body, is_llama(body) ? "content" : "input"), *format = json_object_get(body, "encoding_format"), *dimensions = json_object_get(body, "dimensions");
    size_t n = json_array_size(input);
    if (!call_model(c, body, e)) return false;
    if (json_is_integer(dimensions) && (size_t)json_integer_value(dimensions) != c->model->model.config.embd)
        return api_bad(e, "dimensions", "dimensions is %lld, but the embeddings of this model have %zu", (long long)json_integer_value(dimensions), c->model->model.config.embd);
    if (format && !json_is_null(format) && strcmp(json_is_string(format) ? json_string_value(format) : "", "float") != 0 && strcmp(json_is_string(format) ? json_string_value(format) : "", "base64") != 0)
        return api_bad(e, "encoding_format", "encoding_format is neither \"float\" nor \"base64\"");
    if (json_is_string(input) || (n && json_is_integer(json_array_get(input, 0)))) return add_input(c, input, e);
    if (!n || n > INPUTS_MAX) return api_bad(e, "input", "input is missing, expected a text or a list of at most %d", INPUTS_MAX);
    for (size_t i = 0; i < n; i++)
        if (!add_input(c, json_array_get(input, i), e)) return false;
    return true;
}

static void put_floats(struct buf *b, const float *x, size_t n)
{
    buf_putc(b, '[');
    for (size_t i = 0; i < n; i++) buf_printf(b, "%s%.9g", i ? "," : "", (double)x[i]);
    buf_putc(b, ']');
}

static void put_base64(struct buf *b, const float *x, size_t n)
{
    size_t bytes = n * sizeof *x;
    char *text = mem_alloc(4 * (bytes / 3 + 1) + 1);
    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)x, (int)bytes);
    buf_printf(b, "\"%s\"", text);
    mem_free(text);
}

static void put_nested(struct buf *b, const struct call *c, size_t n)
{
    buf_putc(b, '[');
    for (size_t i = 0; i < c->n_choices; i++) {
        buf_printf(b, "%s{\"index\":%zu,\"embedding\":[", i ? "," : "", i);
        put_floats(b, c->choices[i].embedding, n);
        buf_puts(b, "]}");
    }
    buf_putc(b, ']');
}

static void embedding_end(struct call *c)
{
    const char *format = json_string_value(json_object_get(c->body, "encoding_format"));
    bool is_base64 = format && strcmp(format, "base64") == 0, is_ollama = c->dialect == &dialect_ollama_embed;
    struct call_usage u = call_usage(c);
    size_t n = c->model->model.config.embd;
    struct buf b;
    buf_init(&b, 0);
    if (is_llama(c->body)) {
        put_nested(&b, c, n);
        call_reply_buf(c, 200, "application/json", &b);
        return;
    }
    buf_puts(&b, is_ollama ? "{\"embeddings\":[" : "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < c->n_choices; i++) {
        if (i) buf_putc(&b, ',');
        if (!is_ollama) buf_printf(&b, "{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i);
        if (is_base64) put_base64(&b, c->choices[i].embedding, n);
        else put_floats(&b, c->choices[i].embedding, n);
        if (!is_ollama) buf_putc(&b, '}');
    }
    buf_puts(&b, "],\"model\":");
    buf_put_json_string(&b, c->model_name, strlen(c->model_name));
    if (is_ollama) buf_printf(&b, ",\"prompt_eval_count\":%zu}", u.prompt);
    else buf_printf(&b, ",\"usage\":{\"prompt_tokens\":%zu,\"total_tokens\":%zu}}", u.prompt, u.prompt);
    call_reply_buf(c, 200, "application/json", &b);
}

const struct dialect dialect_embedding = { "embedding", read_embedding, NULL, NULL, NULL, NULL, embedding_end, NULL, NULL };
const struct dialect dialect_ollama_embed = { "ollama_embed", read_embedding, NULL, NULL, NULL, NULL, embedding_end, ollama_error, NULL };

void handle_tgi_info(struct call *c)
{
    const sc_model *m = api_base_model(c);
    call_reply_json(c, 200, json_pack("{s:s, s:s, s:I, s:I, s:s}", "model_id", api_base_name(c), "model_dtype", dtypes[m->model.layers[0].o.w.dtype].name, "max_input_tokens", (json_int_t)api_context(c) - 1, "max_total_tokens", (json_int_t)api_context(c), "version", sc_version()));
}
