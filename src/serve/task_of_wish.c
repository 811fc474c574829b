/* task_of_wish.c - from what a request asks for to a task of the engine: stop strings, biases, grammars, bounds of the context. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "serve/moderate.h"

enum { STOPS_MAX = 16, STOP_BYTES_MAX = 1024, BIAS_MAX = 4096, IDS_MAX = 65536, CHOICES_MAX = 4096 };

/* ---- lists ------------------------------------------------------------------------------------------------------------------------ */

static bool set_stops(struct task *t, const json_t *stop, struct api_error *e)
{
    size_t n = json_is_array(stop) ? json_array_size(stop) : 1;
    if (!stop || n == 0) return true;
    if (n > STOPS_MAX) return api_bad(e, "stop", "stop has %zu strings, expected at most %d", n, STOPS_MAX);
    const char **list = mem_zero(n, sizeof *list);
    t->sample.stop = list;
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_is_array(stop) ? json_array_get(stop, i) : stop;
        if (!json_is_string(one)) return api_bad(e, "stop", "stop is no string and no list of strings");
        if (json_string_length(one) > STOP_BYTES_MAX) return api_bad(e, "stop", "string %zu of stop has %zu bytes, expected at most %d", i + 1, json_string_length(one), STOP_BYTES_MAX);
        if (!json_string_length(one)) continue;                /* an empty one ends nothing */
        list[t->sample.n_stop++] = mem_strdup(json_string_value(one));
    }
    return true;
}

static bool read_ids(int32_t **out, size_t *n, const struct call *c, const json_t *list, const char *name, struct api_error *e)
{
    size_t vocab = model_vocab(&c->model->model);
    if (!list) return true;
    if (!json_is_array(list) || json_array_size(list) > IDS_MAX) return api_bad(e, name, "%s is no list of at most %d token ids", name, IDS_MAX);
    int32_t *ids = mem_alloc((json_array_size(list) + 1) * sizeof *ids);
    *out = ids;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        json_int_t id = json_is_integer(v) ? json_integer_value(v) : -1;
        if (id < 0 || (size_t)id >= vocab) return api_bad(e, name, "element %zu of %s is no token id, expected 0 to %zu", i, name, vocab - 1);
        ids[(*n)++] = (int32_t)id;
    }
    return true;
}

struct bias_list { sc_candidate *at; size_t n, cap; };

static bool add_bias(struct bias_list *l, const struct call *c, json_int_t id, const json_t *value, struct api_error *e)
{
    size_t vocab = model_vocab(&c->model->model);
    double x = json_is_false(value) ? (double)-INFINITY : json_number_value(value);
    if (id < 0 || (size_t)id >= vocab) return api_bad(e, "logit_bias", "logit_bias names token %lld, expected 0 to %zu", (long long)id, vocab - 1);
    if (!json_is_false(value) && (!json_is_number(value) || x < -100 || x > 100)) return api_bad(e, "logit_bias", "the bias of token %lld is no number from -100 to 100", (long long)id);
    if (l->n == BIAS_MAX) return api_bad(e, "logit_bias", "logit_bias has more than %d entries", BIAS_MAX);
    if (l->n == l->cap) l->at = mem_grow(l->at, (l->cap = 2 * l->cap + 32) * sizeof *l->at);
    l->at[l->n++] = (sc_candidate){ (int32_t)id, (float)x };
    return true;
}

/* llama.cpp's form lets a text stand for all its tokens. */
static bool add_bias_of_text(struct bias_list *l, const struct call *c, const json_t *text, const json_t *value, struct api_error *e)
{
    struct token_list ids = { 0 };
    bool ok = true;
    tokenizer_encode(c->model->tokenizer, &ids, json_string_value(text), json_string_length(text), NULL, 0);
    for (size_t i = 0; i < ids.len && ok; i++) ok = add_bias(l, c, ids.id[i], value, e);
    token_list_release(&ids);
    return ok;
}

/* {"id": bias}, or [[id or text, bias or false], ...]. */
static bool set_bias(struct bias_list *l, const struct call *c, const json_t *bias, struct api_error *e)
{
    const char *key;
    json_t *value;
    if (json_is_object(bias)) {
        json_object_foreach((json_t *)(uintptr_t)bias, key, value) {
            char *end;
            long long id = strtoll(key, &end, 10);
            if (!*key || *end) return api_bad(e, "logit_bias", "logit_bias has the key \"%.40s\", which is no token id", key);
            if (!add_bias(l, c, id, value, e)) return false;
        }
        return true;
    }
    if (bias && !json_is_array(bias)) return api_bad(e, "logit_bias", "logit_bias is no object of token ids and numbers");
    for (size_t i = 0; i < json_array_size(bias); i++) {
        const json_t *pair = json_array_get(bias, i), *first = json_array_get(pair, 0);
        if (json_array_size(pair) != 2) return api_bad(e, "logit_bias", "element %zu of logit_bias is no pair", i);
        bool ok = json_is_string(first) ? add_bias_of_text(l, c, first, json_array_get(pair, 1), e) : add_bias(l, c, json_is_integer(first) ? json_integer_value(first) : -1, json_array_get(pair, 1), e);
        if (!ok) return false;
    }
    return true;
}

static bool ban_words(struct bias_list *l, const struct call *c, const json_t *words, struct api_error *e)
{
    if (words && !json_is_array(words)) return api_bad(e, "bad_words", "bad_words is no list");
    for (size_t i = 0; i < json_array_size(words); i++) {
        const json_t *w = json_array_get(words, i);
        if (!json_is_string(w)) return api_bad(e, "bad_words", "element %zu of bad_words is no text", i);
        for (int space = 0; space < 2; space++) {              /* also where it begins a word */
            struct buf text;
            struct token_list ids = { 0 };
            buf_init(&text, 0);
            buf_printf(&text, "%s%s", space ? " " : "", json_string_value(w));
            tokenizer_encode(c->model->tokenizer, &ids, text.data ? text.data : "", text.len, NULL, 0);
            bool is_one = ids.len == 1, ok = true;
            if (is_one) ok = add_bias(l, c, ids.id[0], json_false(), e);
            token_list_release(&ids);
            buf_release(&text);
            if (!ok) return false;
            if (!is_one && !space) return api_bad(e, "bad_words", "\"%.40s\" of bad_words is more than one token of this model, which cannot be banned", json_string_value(w));
        }
    }
    return true;
}

/* ---- grammars ----------------------------------------------------------------------------------------------------------------------------- */

static bool compiled(struct grammar **out, sc_status status, const sc_error *err, const char *param, struct api_error *e)
{
    (void)out;
    return status == SC_OK || api_bad(e, param, "%s", err->message);
}

static bool by_schema(struct grammar **out, const json_t *schema, const char *param, struct api_error *e)
{
    sc_error err;
    return compiled(out, grammar_from_schema(out, schema, &err), &err, param, e);
}

/* OpenAI's, with llama.cpp's schema beside json_object. */
static bool by_response_format(struct grammar **out, const json_t *f, struct api_error *e)
{
    sc_error err;
    const char *type = json_string_value(json_object_get(f, "type"));
    const json_t *schema = json_object_get(f, "schema"), *named = json_object_get(f, "json_schema");
    if (!type) return api_bad(e, "response_format", "response_format has no \"type\"");
    if (strcmp(type, "text") == 0) return true;
    if (strcmp(type, "json_object") == 0) return schema ? by_schema(out, schema, "response_format", e) : compiled(out, grammar_any_object(out, &err), &err, "response_format", e);
    if (strcmp(type, "json_schema") == 0) {
        if (json_object_get(named, "schema")) schema = json_object_get(named, "schema");
        if (!schema) return api_bad(e, "response_format", "response_format.json_schema has no \"schema\"");
        return by_schema(out, schema, "response_format", e);
    }
    return api_bad(e, "response_format", "response_format.type is \"%.40s\", expected text, json_object or json_schema", type);
}

/* llama.cpp's: a text in GBNF. TGI's: {"type": "json" or "regex", "value"}. */
static bool by_grammar(struct grammar **out, const json_t *g, struct api_error *e)
{
    sc_error err;
    const char *type = json_string_value(json_object_get(g, "type"));
    const json_t *value = json_object_get(g, "value");
    if (json_is_string(g)) return !json_string_length(g) || compiled(out, grammar_from_gbnf(out, json_string_value(g), json_string_length(g), &err), &err, "grammar", e);
    if (type && strcmp(type, "regex") == 0 && json_is_string(value)) return compiled(out, grammar_from_regex(out, json_string_value(value), json_string_length(value), &err), &err, "grammar", e);
    if (type && (strcmp(type, "json") == 0 || strcmp(type, "json_schema") == 0) && value) {
        json_t *read = json_is_string(value) ? json_tree(json_string_value(value), json_string_length(value), 64) : json_incref((json_t *)(uintptr_t)value);
        bool ok = read ? by_schema(out, read, "grammar", e) : api_bad(e, "grammar", "grammar.value is no JSON");
        json_decref(read);
        return ok;
    }
    return api_bad(e, "grammar", "grammar is neither a text in GBNF nor {\"type\":\"json\" or \"regex\",\"value\"}");
}

static bool make_grammar(struct grammar **out, struct call *c, struct api_error *e)
{
    const struct wish *w = &c->wish;
    sc_error err;
    if (!tools_grammar(c, out, e)) return false;
    if (*out) return true;
    if (w->grammar) return by_grammar(out, w->grammar, e);
    if (w->json_schema) return by_schema(out, w->json_schema, "json_schema", e);
    if (w->response_format) return by_response_format(out, w->response_format, e);
    if (json_is_string(w->format) && strcmp(json_string_value(w->format), "json") == 0) return compiled(out, grammar_any_object(out, &err), &err, "format", e);
    if (json_is_string(w->format) && !json_string_length(w->format)) return true;
    if (json_is_object(w->format)) return by_schema(out, w->format, "format", e);
    return !w->format || api_bad(e, "format", "format is neither \"json\" nor a schema");
}

/* ---- the task -------------------------------------------------------------------------------------------------------------------------------- */

/* Of 53 bits: it is told in answers, and a reader whose numbers are doubles must be able to send it back. */
static uint64_t random_seed(void)
{
    uint64_t seed;
    system_random(&seed, sizeof seed);
    return seed >> 11;
}

static int compare_ids(const void *a, const void *b) { return (*(const int32_t *)a > *(const int32_t *)b) - (*(const int32_t *)a < *(const int32_t *)b); }

static bool set_prediction(struct task *t, const struct call *c, struct api_error *e)
{
    const json_t *content = json_is_object(c->wish.prediction) ? json_object_get(c->wish.prediction, "content") : c->wish.prediction;
    struct buf text;
    struct token_list ids = { 0 };
    if (!content) return true;
    buf_init(&text, 0);
    bool ok = content_text(&text, content, "prediction", e);
    if (ok && text.len) tokenizer_encode(c->model->tokenizer, &ids, text.data, text.len, NULL, 0);
    buf_release(&text);
    size_t most = engine_context(c->server->engine);           /* no answer is longer, and guessing looks through all of it at each step */
    t->prediction = ids.id;
    t->n_prediction = ids.len < most ? ids.len : most;
    return ok;
}

static bool fill(struct task *t, struct call *c, struct grammar *g, struct api_error *e)
{
    const struct wish *w = &c->wish;
    struct bias_list bias = { 0 };
    int32_t *stop_ids = NULL, *allowed = NULL;
    bool ok = set_stops(t, w->stop, e) && read_ids(&stop_ids, &t->sample.n_stop_id, c, w->stop_ids, "stop_token_ids", e) && read_ids(&allowed, &t->n_allowed, c, w->allowed, "allowed_token_ids", e) &&
              set_bias(&bias, c, w->bias, e) && ban_words(&bias, c, w->bad_words, e) && set_prediction(t, c, e);
    if (allowed) qsort(allowed, t->n_allowed, sizeof *allowed, compare_ids);
    t->sample.stop_id = stop_ids;
    t->allowed = allowed;
    t->sample.logit_bias = bias.at;
    t->sample.n_logit_bias = bias.n;
    t->grammar = g;
    return ok;
}

static bool check_length(const struct call *c, size_t n, struct api_error *e)
{
    size_t context = engine_context(c->server->engine);
    if (n < context) return true;
    /* Clients know "exceeds the available context size", llama-server's words, from other mistakes. */
    api_fail(e, 400, "exceed_context_size_error", "context_length_exceeded", NULL, "the prompt has %zu tokens, which with an answer exceeds the available context size of %zu; shorten it, or start the server with a larger --context", n,
             context);
    e->n_prompt = n;
    e->n_context = context;
    return false;
}

/* What the request says, with the words of the template around it. */
static bool check_prompt(const struct call *c, const struct token_list *prompt, struct api_error *e)
{
    struct buf text, whole;
    if (!c->server->filter) return true;
    buf_init(&text, 0);
    buf_init(&whole, 0);
    tokenizer_decode(c->model->tokenizer, &text, prompt->id, prompt->len, true);
    utf8_repair(&whole, text.data ? text.data : "", text.len);
    const struct filter_rule *r = moderate_prompt(c->server, whole.data ? whole.data : "", whole.len);
    buf_release(&text);
    buf_release(&whole);
    return !r || api_fail(e, 400, "invalid_request_error", "content_filter", NULL, "%s", r->message ? r->message : "the request was refused by this server's content filter");
}

bool call_add_task(struct call *c, struct token_list *prompt, struct api_error *e)
{
    struct wish *w = &c->wish;
    struct grammar *g = NULL;
    size_t choices = (size_t)(w->best_of > w->n ? w->best_of : w->n);
    bool ok = check_length(c, prompt->len, e);
    /* Records tell tokens that the filter may take out of the text. */
    if (ok && c->server->filter && w->sample.logprobs > 0) ok = api_bad(e, "logprobs", "this server filters answers, so it gives no log-probabilities of their tokens");
    if (ok) ok = check_prompt(c, prompt, e);
    if (ok && choices > c->server->parallel) ok = api_bad(e, "n", "n is %zu, but this server computes at most %zu answers at once", choices, c->server->parallel);
    if (ok && (c->n_tasks + 1) * choices > CHOICES_MAX) ok = api_bad(e, "prompt", "the request asks for more than %d answers", CHOICES_MAX);
    if (ok && c->n_tasks && c->tasks[0]->grammar) g = grammar_share(c->tasks[0]->grammar);
    else if (ok) ok = make_grammar(&g, c, e);
    if (!ok) { token_list_release(prompt); grammar_release(g); return false; }
    struct task *t = task_new();
    t->model = c->model;
    t->prompt = prompt->id;
    t->n_prompt = prompt->len;
    t->choices = choices;
    t->sample = w->sample;
    t->sample.max_tokens = w->max_tokens;
    t->sample.seed = w->seed == -1 ? random_seed() : (uint64_t)w->seed;
    t->min_tokens = w->min_tokens;
    t->keeps_stop = w->keeps_stop;
    t->prompt_records = w->echo && w->sample.logprobs > 0;
    if (w->best_of > w->n && !t->sample.logprobs) t->sample.logprobs = 1;
    t->seconds_max = w->milliseconds_max / 1e3;
    if (c->server->c.request_seconds > 0 && (t->seconds_max <= 0 || t->seconds_max > c->server->c.request_seconds)) t->seconds_max = c->server->c.request_seconds;
    t->client = c->client;
    t->salt = c->salt;
    t->no_cache = !w->caches;
    t->user = c;
    c->tasks = mem_grow(c->tasks, (c->n_tasks + 1) * sizeof *c->tasks);
    c->tasks[c->n_tasks++] = t;
    c->per_task = choices;
    return fill(t, c, g, e);
}

bool call_add_embedding(struct call *c, struct token_list *prompt, struct api_error *e)
{
    if (!check_length(c, prompt->len, e)) { token_list_release(prompt); return false; }
    struct task *t = task_new();
    t->kind = TASK_EMBED;
    t->model = c->model;
    t->prompt = prompt->id;
    t->n_prompt = prompt->len;
    t->client = c->client;
    t->user = c;
    c->tasks = mem_grow(c->tasks, (c->n_tasks + 1) * sizeof *c->tasks);
    c->tasks[c->n_tasks++] = t;
    c->per_task = 1;
    return true;
}
