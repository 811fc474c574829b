/* stop_rate.c - how many answers of a model stop by themselves. Answers the prompts of held-out dialogues with the
 * original playground's settings (temperature 0.2, top-p 0.95, top-k 50, repetition penalty 1.2, at most 512 new tokens).
 * Usage: bench_stop_rate MODEL DIALOGUES.jsonl [--template NAME] [--adapter DIR] [--prompts N] [--together N] [--seed N]
 *                        [--max-tokens N] [--print]
 * A line of DIALOGUES.jsonl is {"messages":[{"role","content"}...]}; the prompt is what stands before the first assistant.
 * --print shows every answer as a line of JSON; the last line counts them. An answer loops when the same LOOP_TOKENS
 * tokens in a row stand at LOOP_TIMES places that do not overlap.
 *
 * Several answers are computed together, a row of the batch each, which reads the weights once for all of them. No sum
 * of a kernel depends on the rows beside it, so each answer is what `starchat chat` gives alone with the same seed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "infer/infer.h"

enum { LOOP_TOKENS = 20, LOOP_TIMES = 4, PREFILL_ROWS = 256, MAX_TOGETHER = 64 };

struct settings {
    sc_model_config model;
    size_t prompts, together;
    bool print;
    sc_sample_config sample;
};
struct counts { size_t prompts, stopped, cut, loops_stopped, loops_cut, tokens, skipped; };
/* One answer in progress: all its tokens, its cache, what comes next. */
struct answer { size_t index, n_prompt, n; int32_t *token; struct kv_cache cache; float *logits; bool is_active; };
struct machine {
    const struct settings *s;
    sc_model *model;
    struct arena step;
    struct sampler sampler;
    struct answer answer[MAX_TOGETHER];
    struct counts counts;
    size_t vocab;
};

static void fail(const sc_error *e)
{
    fprintf(stderr, "bench_stop_rate: %s\n", e->message);
    exit(1);
}

/* ---- one batch -------------------------------------------------------------------------------------------------------------- */

static struct exec machine_exec(struct machine *m)
{
    const sc_runtime *rt = m->model->runtime;
    return (struct exec){ .pool = rt->pool, .backend = rt->backend, .kernels = rt->kernels, .int8_activations = !strcmp(rt->activations, "int8"), .step = &m->step };
}

/* The model's pass over rows of the answers; logits of the last row of each of the n answers. */
static void compute(struct machine *m, struct batch *b, struct answer *const *answer, const size_t *row, size_t n)
{
    struct exec e = machine_exec(m);
    struct arena_mark mark = arena_mark(&m->step);
    const struct tensor *hidden = model_forward(&m->model->model, &e, b, row, n);
    float *logits = arena_take(&m->step, n * m->vocab * sizeof *logits);
    if (hidden) model_logits(&m->model->model, &e, hidden, logits);
    if (e.status != SC_OK) fail(&(sc_error){ .message = "the forward pass failed" });
    for (size_t i = 0; i < n; i++) memcpy(answer[i]->logits, logits + i * m->vocab, m->vocab * sizeof *logits);
    arena_rewind(&m->step, mark);
}

static void read_prompt(struct machine *m, struct answer *a)
{
    int32_t position[PREFILL_ROWS], sequence[PREFILL_ROWS] = { 0 };
    struct kv_cache *caches[] = { &a->cache };
    for (size_t at = 0, rows; at < a->n_prompt; at += rows) {
        rows = a->n_prompt - at < PREFILL_ROWS ? a->n_prompt - at : PREFILL_ROWS;
        for (size_t i = 0; i < rows; i++) position[i] = (int32_t)(at + i);
        size_t last = rows - 1;
        compute(m, &(struct batch){ .rows = rows, .token = a->token + at, .position = position, .sequence = sequence, .caches = caches }, &a, &last, 1);
    }
}

/* The last token of every active answer. */
static void read_tokens(struct machine *m)
{
    int32_t token[MAX_TOGETHER], position[MAX_TOGETHER], sequence[MAX_TOGETHER];
    struct kv_cache *caches[MAX_TOGETHER];
    struct answer *answer[MAX_TOGETHER];
    size_t row[MAX_TOGETHER], n = 0;
    for (size_t i = 0; i < m->s->together; i++) {
        struct answer *a = &m->answer[i];
        if (!a->is_active) continue;
        token[n] = a->token[a->n - 1];
        position[n] = (int32_t)(a->n - 1);
        sequence[n] = (int32_t)n;
        caches[n] = &a->cache;
        answer[n] = a;
        row[n] = n;
        n++;
    }
    if (n) compute(m, &(struct batch){ .rows = n, .token = token, .position = position, .sequence = sequence, .caches = caches }, answer, row, n);
}

/* ---- answers ---------------------------------------------------------------------------------------------------------------- */

static bool loops(const int32_t *id, size_t n)
{
    for (size_t i = 0; i + LOOP_TOKENS <= n; i++) {
        size_t times = 1;
        for (size_t k = i + LOOP_TOKENS; k + LOOP_TOKENS <= n; k++)
            if (!memcmp(id + i, id + k, LOOP_TOKENS * sizeof *id)) { times++; k += LOOP_TOKENS - 1; }
        if (times >= LOOP_TIMES) return true;
    }
    return false;
}

static void print_answer(const struct machine *m, const struct answer *a, bool stopped, bool loop)
{
    sc_text text = { 0 };
    sc_error e = { 0 };
    if (sc_decode(&text, sc_model_tokenizer(m->model), a->token + a->n_prompt, a->n - a->n_prompt, false, &e) != SC_OK) fail(&e);
    json_t *line = json_pack("{s:I, s:s, s:b, s:I, s:s%}", "prompt", (json_int_t)a->index, "end", stopped ? "stopped" : "cut", "loops", loop, "tokens", (json_int_t)(a->n - a->n_prompt), "text", text.data, text.len);
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(line);
    sc_text_free(&text);
}

static void finish(struct machine *m, struct answer *a, bool stopped)
{
    size_t n = a->n - a->n_prompt;
    bool loop = loops(a->token + a->n_prompt, n);
    m->counts.prompts++;
    m->counts.tokens += n;
    *(stopped ? &m->counts.stopped : &m->counts.cut) += 1;
    if (loop) *(stopped ? &m->counts.loops_stopped : &m->counts.loops_cut) += 1;
    if (m->s->print) print_answer(m, a, stopped, loop);
    mem_free(a->token);
    kv_cache_release(&a->cache);
    a->is_active = false;
}

static void begin(struct machine *m, struct answer *a, size_t index, const sc_tokens *prompt)
{
    const struct model_config *c = &m->model->model.config;
    size_t capacity = prompt->len + (size_t)m->s->sample.max_tokens;
    float *logits = a->logits;
    *a = (struct answer){ .index = index, .n_prompt = prompt->len, .n = prompt->len, .token = mem_alloc(capacity * sizeof *a->token), .logits = logits, .is_active = true };
    kv_cache_init(&a->cache, DTYPE_F16, c->layers, c->kv_heads, c->head_dim, capacity);
    memcpy(a->token, prompt->id, prompt->len * sizeof *prompt->id);
    read_prompt(m, a);
}

/* Picks the next token of an answer; one that ends it is not kept. */
static void pick(struct machine *m, struct answer *a)
{
    int32_t id = sampler_pick(&m->sampler, a->logits, a->token, a->n, random_unit(m->s->sample.seed, 0, a->n));
    for (size_t i = 0; i < m->model->n_end; i++)
        if (m->model->end[i] == id) { finish(m, a, true); return; }
    a->token[a->n++] = id;
    if (a->n - a->n_prompt == (size_t)m->s->sample.max_tokens) finish(m, a, false);
}

/* ---- prompts ------------------------------------------------------------------------------------------------------------------ */

/* Next dialogue's prompt; false at the end of the file. What cannot become a prompt or does not fit is counted. */
static bool next_prompt(struct machine *m, FILE *f, sc_tokens *out)
{
    for (char *line = NULL; ; line = NULL) {
        size_t size = 0, n = 0;
        sc_message message[64];
        sc_error e = { 0 };
        ssize_t len = getline(&line, &size, f);
        json_t *record = len > 0 ? json_loads(line, 0, NULL) : NULL;
        free(line);
        if (len <= 0) return false;
        const json_t *messages = json_object_get(record, "messages");
        for (size_t i = 0; i < json_array_size(messages) && n < 64; i++) {
            const char *role = json_string_value(json_object_get(json_array_get(messages, i), "role")), *content = json_string_value(json_object_get(json_array_get(messages, i), "content"));
            if (!role || !content || !strcmp(role, "assistant")) break;
            message[n++] = (sc_message){ role, content };
        }
        sc_status status = n ? sc_encode_chat(out, m->model, message, n, &e) : SC_E_FORMAT;
        json_decref(record);
        if (status == SC_OK && out->len + (size_t)m->s->sample.max_tokens <= sc_model_context(m->model)) return true;
        if (status == SC_OK) sc_tokens_free(out);
        else if (n) fail(&e);
        m->counts.skipped++;
    }
}

static void answer_all(struct machine *m, FILE *f)
{
    size_t begun = 0, active = 0;
    bool more = true;
    do {
        for (size_t i = 0; i < m->s->together; i++) {
            struct answer *a = &m->answer[i];
            sc_tokens prompt = { 0 };
            while (!a->is_active && more && (more = begun < m->s->prompts && next_prompt(m, f, &prompt))) {
                begin(m, a, begun++, &prompt);
                sc_tokens_free(&prompt);
                pick(m, a);
            }
        }
        read_tokens(m);
        active = 0;
        for (size_t i = 0; i < m->s->together; i++) {
            if (m->answer[i].is_active) pick(m, &m->answer[i]);
            active += m->answer[i].is_active;
        }
    } while (active || more);
}

static void print_counts(const struct counts *c, double seconds)
{
    printf("{\"prompts\": %zu, \"stopped\": %zu, \"cut\": %zu, \"loops\": {\"stopped\": %zu, \"cut\": %zu}, \"skipped\": %zu, \"tokens\": %zu, \"seconds\": %.1f}\n", c->prompts, c->stopped, c->cut, c->loops_stopped, c->loops_cut,
           c->skipped, c->tokens, seconds);
}

/* ---- arguments ------------------------------------------------------------------------------------------------------------------ */

static bool take_switch(struct settings *s, const char *name, const char *value)
{
    if (strcmp(name, "--print") == 0) { s->print = true; return false; }
    size_t number = value ? strtoull(value, NULL, 10) : 0;
    if (strcmp(name, "--template") == 0 && value) s->model.chat_template = value;
    else if (strcmp(name, "--adapter") == 0 && value) s->model.adapter = value;
    else if (strcmp(name, "--prompts") == 0 && number) s->prompts = number;
    else if (strcmp(name, "--together") == 0 && number && number <= MAX_TOGETHER) s->together = number;
    else if (strcmp(name, "--max-tokens") == 0 && number) s->sample.max_tokens = (int64_t)number;
    else if (strcmp(name, "--seed") == 0 && value) s->sample.seed = number;
    else { fprintf(stderr, "bench_stop_rate: %s is unknown or has no fitting value\n", name); exit(2); }
    return true;
}

static void open_machine(struct machine *m, sc_runtime *rt)
{
    sc_error e = { 0 };
    if (sc_model_open(&m->model, rt, &m->s->model, &e) != SC_OK) fail(&e);
    if (!sc_model_has_chat(m->model)) fail(&(sc_error){ .message = "the model has no chat template; give one with --template" });
    m->vocab = model_vocab(&m->model->model);
    arena_init(&m->step);
    sampler_init(&m->sampler, &m->s->sample, m->vocab);
    for (size_t i = 0; i < m->s->together; i++) m->answer[i].logits = mem_alloc(m->vocab * sizeof(float));
}

static void close_machine(struct machine *m)
{
    for (size_t i = 0; i < m->s->together; i++) mem_free(m->answer[i].logits);
    sampler_release(&m->sampler);
    arena_release(&m->step);
    sc_model_close(m->model);
}

int main(int argc, char **argv)
{
    struct settings s = { .prompts = 100, .together = 16 };
    sc_options_defaults(sc_options_for("sample"), &s.sample);
    s.sample.temperature = 0.2;
    s.sample.top_p = 0.95;
    s.sample.top_k = 50;
    s.sample.repeat_penalty = 1.2;
    s.sample.max_tokens = 512;
    if (argc < 3) { printf("bench_stop_rate: nothing measured; give MODEL and DIALOGUES.jsonl\n"); return 0; }
    s.model.path = argv[1];
    for (int at = 3; at < argc; at++) at += take_switch(&s, argv[at], at + 1 < argc ? argv[at + 1] : NULL);
    struct machine m = { .s = &s };
    sc_runtime *rt;
    sc_error e = { 0 };
    FILE *f = fopen(argv[2], "r");
    if (!f) fail(&(sc_error){ .message = "DIALOGUES.jsonl could not be opened" });
    if (sc_runtime_open(&rt, &(sc_runtime_config){ .activations = "int8" }, &e) != SC_OK) fail(&e);
    open_machine(&m, rt);
    double start = clock_seconds();
    answer_all(&m, f);
    print_counts(&m.counts, clock_seconds() - start);
    close_machine(&m);
    sc_runtime_close(rt);
    fclose(f);
    return 0;
}
