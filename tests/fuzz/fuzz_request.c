/* fuzz_request.c - any bytes as the body of a request, read by the dialect that the first byte names. A tiny random model is made once, so that
 * all of a request is read: fields, messages, templates, tokens, grammars, tools. What is refused says why in UTF-8 JSON and takes nothing;
 * what is taken fits: tokens of the vocabulary, shorter than the context, no more answers than there are places. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve/server.h"

#define MUST(condition) do { if (!(condition)) { fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); abort(); } } while (0)
enum { PARALLEL = 4, CONTEXT = 256 };

static const struct dialect *const dialects[] = { &dialect_chat, &dialect_completion, &dialect_fim, &dialect_infill, &dialect_llama, &dialect_tgi, &dialect_tgi_stream, &dialect_tgi_any, &dialect_ollama_chat, &dialect_ollama_generate,
                                                  &dialect_embedding, &dialect_ollama_embed, &dialect_tokenize, &dialect_detokenize, &dialect_apply_template, &dialect_ollama_show };
static struct sc_server server;

static void must_ok(sc_status status, const sc_error *err)
{
    if (status == SC_OK) return;
    fprintf(stderr, "%s\n", err->message);
    abort();
}

static sc_model *tiny_model(sc_runtime *rt)
{
    char place[] = "/tmp/starchat-fuzz-XXXXXX", path[64];
    sc_error err;
    sc_model *m;
    MUST(mkdtemp(place));
    snprintf(path, sizeof path, "%s/model.gguf", place);
    const sc_init_config init = { .config = "tests/golden/tokenizers/bytes/config.json", .out = path, .tokenizer = "tests/golden/tokenizers/bytes/tokenizer.json", .type = "f32", .seed = 1 };
    must_ok(sc_init(rt, &init, &err), &err);
    must_ok(sc_model_open(&m, rt, &(sc_model_config){ .path = path, .chat_template = "chatml" }, &err), &err);
    unlink(path);
    rmdir(place);
    return m;
}

static void open_server(void)
{
    sc_runtime_config c;
    sc_runtime *rt;
    sc_error err;
    sc_options_defaults(&runtime_options, &c);
    c.threads = 1;
    must_ok(sc_runtime_open(&rt, &c, &err), &err);
    static sc_model *models[1];
    models[0] = tiny_model(rt);
    server = (struct sc_server){ .runtime = rt, .n_models = 1, .engine_models = models, .parallel = PARALLEL };
    server.models[0] = (struct served_model){ mem_strdup("tiny"), models[0], false, true };
    server.c.queue = 4;
    const struct engine_config e = { .runtime = rt, .models = models, .n_models = 1, .slots = PARALLEL, .queue = 4, .context = CONTEXT, .cache_type = "f32", .chunk = 64, .cache_bytes = 4 << 20, .decode_stretch = 2.5 };
    must_ok(engine_open(&server.engine, &e, &err), &err);
}

static void check_error(const struct api_error *e)
{
    struct buf b;
    buf_init(&b, 0);
    api_error_json(&b, e);
    MUST(e->status >= 400 && e->status < 600 && e->message[0] && utf8_is_valid(b.data, b.len));
    json_t *v = json_loadb(b.data, b.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL), *error = json_object_get(v, "error");
    MUST(json_is_string(json_object_get(error, "message")) && json_is_string(json_object_get(error, "type")) && json_object_get(error, "param") && json_object_get(error, "code"));
    json_decref(v);
    buf_release(&b);
}

static void check_answer(const struct call *c)
{
    MUST(!c->n_tasks && utf8_is_valid(c->answer.data, c->answer.len));
    json_t *v = json_loadb(c->answer.data, c->answer.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    MUST(v);
    json_decref(v);
}

static void check_tasks(const struct call *c)
{
    size_t vocab = model_vocab(&c->model->model);
    MUST(c->n_tasks && c->per_task >= 1 && c->per_task <= PARALLEL);
    for (size_t i = 0; i < c->n_tasks; i++) {
        const struct task *t = c->tasks[i];
        MUST(t->n_prompt && t->n_prompt < CONTEXT && t->choices == c->per_task && t->model == c->model);
        for (size_t k = 0; k < t->n_prompt; k++) MUST(t->prompt[k] >= 0 && (size_t)t->prompt[k] < vocab);
        for (size_t k = 0; k < t->n_prediction; k++) MUST(t->prediction[k] >= 0 && (size_t)t->prediction[k] < vocab);
        for (size_t k = 0; k < t->sample.n_logit_bias; k++) MUST((size_t)t->sample.logit_bias[k].id < vocab);
        for (size_t k = 0; k < t->sample.n_stop; k++) MUST(t->sample.stop[k][0]);
        MUST(t->sample.temperature >= 0 && t->sample.temperature <= 2 && t->sample.top_p > 0 && t->sample.top_p <= 1 && t->sample.max_tokens >= -1 && t->sample.logprobs >= 0 && t->sample.logprobs <= 21);
    }
}

static void on_event(struct task *t, struct event_of_task *v)
{
    if (v->kind == EVENT_TEXT) MUST(utf8_is_valid(v->text, v->text_len));
    if (v->kind == EVENT_END) { MUST(v->end != TASK_FAILED); *(size_t *)t->user += 1; }
}

/* What was taken is answered, a few steps of it; then it is given up. */
static void answer(struct call *c)
{
    size_t n_ended = 0;
    for (size_t i = 0; i < c->n_tasks; i++) {
        c->tasks[i]->on_event = on_event;
        c->tasks[i]->user = &n_ended;
    }
    MUST(engine_submit_all(server.engine, c->tasks, c->n_tasks));
    for (int step = 0; step < 6 && n_ended < c->n_tasks; step++) { engine_step(server.engine); engine_deliver(server.engine); }
    for (size_t i = 0; i < c->n_tasks; i++) engine_cancel(server.engine, c->tasks[i]);
    while (n_ended < c->n_tasks) { engine_step(server.engine); engine_deliver(server.engine); }
    struct engine_counts counts;
    engine_count(server.engine, &counts);
    MUST(counts.running == 0 && counts.waiting == 0 && counts.pages_used == counts.pages_cached);
}

static void set_defaults(struct wish *w)
{
    sc_options_defaults(&sample_options, &w->sample);
    w->sample.temperature = 1;
    w->sample.logprobs = 0;
    w->max_tokens = -1;
    w->n = 1;
    w->seed = w->n_probs = -1;
    w->caches = true;
}

static void release(struct call *c)
{
    for (size_t i = 0; i < c->n_tasks; i++) task_free(c->tasks[i]);
    mem_free(c->tasks);
    buf_release(&c->echo_text);
    buf_release(&c->answer);
    json_decref(c->tool_schema);
    json_decref(c->body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sc_error err;
    struct call c = { .server = &server };
    if (!server.engine) open_server();
    if (!size || size > 20000) return 0;
    char *body = malloc(size);
    memcpy(body, data + 1, size - 1);
    c.dialect = dialects[*data % (sizeof dialects / sizeof *dialects)];
    set_defaults(&c.wish);
    if (json_read(&c.body, body, size - 1, "the body", &err) == SC_OK && json_is_object(c.body)) {
        bool ok = c.dialect->read(&c, c.body, &c.error);
        MUST(ok == (c.error.status == 0));
        if (!ok) check_error(&c.error);
        else if (c.answer.len) check_answer(&c);
        else { check_tasks(&c); answer(&c); }
    }
    release(&c);
    free(body);
    return 0;
}
