/* test_engine.c - the engine without its thread, step by step, with random arrivals, cancels, little memory and few slots: every task gets
 * the bytes that a session of its own gives, exactly one end, and nothing stays behind. */
#include "adapter_fixture.h"
#include "random_adapter.h"

#include "engine/engine_internal.h"

enum { MEMBERS = 2, CONTEXT = 384, TASKS = 14, CHOICES = 3 };

/* Member 1 is a variant of member 0; alone[1] the same adapter opened by itself. */
struct family { sc_runtime *rt; sc_model *shared[MEMBERS], *alone[MEMBERS]; };

static void family_open(struct family *f, const char *activations)
{
    static const char config[] = "{\"model_type\":\"llama\",\"tie_word_embeddings\":true,\"vocab_size\":267,\"hidden_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"num_key_value_heads\":1,"
                                 "\"intermediate_size\":96,\"max_position_embeddings\":384,\"initializer_range\":0.2,\"bos_token_id\":0,\"eos_token_id\":0}";
    sc_runtime_config rc;
    sc_init_config c;
    sc_options_defaults(&runtime_options, &rc);
    sc_options_defaults(&init_options, &c);
    rc.threads = 2;
    rc.activations = activations;
    CHECK_OK(sc_runtime_open(&f->rt, &rc, err));
    char *json = path_join(test_scratch(), "config.json"), *out = path_join(test_scratch(), "model.gguf");
    CHECK_OK(file_write(json, config, strlen(config), err));
    c.config = json;
    c.out = out;
    c.tokenizer = test_path("tests/golden/tokenizers/bytes/tokenizer.json");
    c.type = "q8_0";
    CHECK_OK(sc_init(f->rt, &c, err));
    CHECK_OK(sc_model_open(&f->shared[0], f->rt, &(sc_model_config){ .path = out }, err));
    CHECK_OK(sc_model_open(&f->alone[0], f->rt, &(sc_model_config){ .path = out }, err));
    const struct random_adapter kind = { .rank = 4, .every = 1, .rows = { 3, 17 }, .n_rows = 2, .seed = 2 };
    char *adapter = random_adapter(&kind, "adapter", f->shared[0]);
    CHECK_OK(sc_model_open_variant(&f->shared[1], f->shared[0], adapter, NULL, err));
    CHECK_OK(sc_model_open(&f->alone[1], f->rt, &(sc_model_config){ .path = out, .adapter = adapter }, err));
    mem_free(json);
    mem_free(out);
    mem_free(adapter);
}

static void family_close(struct family *f)
{
    for (int k = 0; k < MEMBERS; k++) {
        sc_model_close(f->shared[k]);
        sc_model_close(f->alone[k]);
    }
    sc_runtime_close(f->rt);
}

/* ---- one task, as it is asked for and as it went ------------------------------------------------------------------------------------ */

struct wanted {
    struct task *task;
    int member;
    size_t arrives, cancel_at;              /* steps; SIZE_MAX: never */
    struct buf text[CHOICES];
    size_t tokens[CHOICES], finished, ended, read;
    enum finish finish[CHOICES];
    enum task_end end;
    size_t n_prompt_records;
};

static void on_event(struct task *t, struct event_of_task *v)
{
    struct wanted *w = t->user;
    CHECK(!w->ended);
    if (v->kind == EVENT_PROMPT) { CHECK(v->done >= w->read); w->read = v->done; w->n_prompt_records += v->records.len; }
    if (v->kind == EVENT_TEXT) {
        CHECK(utf8_is_valid(v->text, v->text_len));
        CHECK(w->finish[v->choice] == FINISH_NONE);
        buf_append(&w->text[v->choice], v->text, v->text_len);
    }
    if (v->kind == EVENT_FINISH) { w->finished++; w->finish[v->choice] = v->finish; w->tokens[v->choice] = v->tokens; }
    if (v->kind == EVENT_END) { w->ended++; w->end = v->end; }
}

static uint64_t draw(uint64_t seed, uint64_t *at, uint64_t below) { return random_u32(seed, 77, (*at)++) % below; }

static void make_task(struct wanted *w, struct family *f, uint64_t seed, uint64_t *at)
{
    *w = (struct wanted){ .task = task_new(), .member = (int)draw(seed, at, MEMBERS), .arrives = draw(seed, at, 40), .cancel_at = draw(seed, at, 5) ? SIZE_MAX : draw(seed, at, 60) };
    struct task *t = w->task;
    size_t prefix = draw(seed, at, 3) * 70, own = 1 + draw(seed, at, 60);
    t->n_prompt = prefix + own;
    t->prompt = mem_alloc(t->n_prompt * sizeof *t->prompt);
    for (size_t i = 0; i < t->n_prompt; i++) t->prompt[i] = (int32_t)(1 + random_u32(i < prefix ? 5 : seed, i < prefix ? 1 : w->arrives, i) % 250);
    t->model = f->shared[w->member];
    t->choices = 1 + (draw(seed, at, 4) == 0 ? draw(seed, at, CHOICES) : 0);
    t->sample.temperature = draw(seed, at, 2) ? 0.9 : 0;
    t->sample.top_p = draw(seed, at, 2) ? 0.9 : 1;
    t->sample.repeat_penalty = draw(seed, at, 3) ? 1 : 1.3;
    t->sample.seed = draw(seed, at, 1000);
    t->sample.max_tokens = (int64_t)draw(seed, at, 60);
    t->sample.ignore_eos = draw(seed, at, 3) > 0;
    t->sample.logprobs = draw(seed, at, 4) == 0 ? 3 : 0;
    t->prompt_records = t->sample.logprobs && draw(seed, at, 2);
    t->no_cache = draw(seed, at, 6) == 0;
    t->salt = draw(seed, at, 2);
    t->client = draw(seed, at, 3);
    if (draw(seed, at, 3) == 0) {
        const char **stop = mem_zero(1, sizeof *stop);
        char text[2] = { (char)('a' + draw(seed, at, 26)), 0 };
        stop[0] = mem_strdup(text);
        t->sample.stop = stop;
        t->sample.n_stop = 1;
    }
    if (draw(seed, at, 3) == 0) {
        t->n_prediction = 30;
        t->prediction = mem_alloc(30 * sizeof *t->prediction);
        for (size_t i = 0; i < 30; i++) t->prediction[i] = (int32_t)(1 + draw(seed, at, 250));
    }
    t->user = w;
    t->on_event = on_event;
    for (size_t i = 0; i < CHOICES; i++) buf_init(&w->text[i], 0);
}

static int append_text(void *user, const char *text, size_t len) { buf_append(user, text, len); return 0; }

static const enum finish finish_of_stop[] = { FINISH_END, FINISH_STOP, FINISH_LENGTH, FINISH_CONTEXT, FINISH_NONE };      /* ORDER sc_stop */

/* A session of its own must say the same. */
static void check_alone(const struct wanted *w, struct family *f)
{
    const struct task *t = w->task;
    for (size_t k = 0; k < t->choices; k++) {
        sc_session *s = NULL;
        sc_generation g;
        sc_sample_config c = t->sample;
        struct buf text;
        buf_init(&text, 0);
        c.seed += k;
        c.speculate = 0;
        c.logprobs = 0;
        CHECK_OK(sc_session_open(&s, f->alone[w->member], &(sc_session_config){ .context = CONTEXT }, err));
        CHECK_OK(sc_session_sync(s, t->prompt, t->n_prompt, err));
        CHECK_OK(sc_session_generate(&g, s, &c, append_text, &text, err));
        CHECK_STR(w->text[k].data ? w->text[k].data : "", text.data ? text.data : "");
        if (g.reason != SC_STOP_STRING) CHECK_INT(w->tokens[k], g.tokens);
        CHECK_INT(w->finish[k], finish_of_stop[g.reason]);
        buf_release(&text);
        sc_session_close(s);
    }
}

static void check_ended(const struct wanted *w, struct family *f)
{
    CHECK_INT(w->ended, 1);
    if (w->cancel_at != SIZE_MAX && w->end == TASK_CANCELLED) return;
    CHECK_INT(w->end, TASK_DONE);
    CHECK_INT(w->finished, w->task->choices);
    CHECK_INT(w->read, w->task->n_prompt);
    if (w->task->prompt_records) CHECK_INT(w->n_prompt_records, w->task->n_prompt - 1);
    check_alone(w, f);
}

/* ---- a run ----------------------------------------------------------------------------------------------------------------------------- */

static void check_nothing_left(struct engine *e)
{
    struct engine_counts n;
    engine_count(e, &n);
    CHECK_INT(n.running, 0);
    CHECK_INT(n.waiting, 0);
    CHECK_INT(n.pages_used, n.pages_cached);
    while (prefix_drop_oldest(&e->prefixes)) { }
    CHECK_INT(e->pages.used, 0);
    CHECK(e->prefixes.roots == NULL);
}

static void run_seed(struct family *f, uint64_t seed, uint64_t *preempted)
{
    struct engine *e = NULL;
    struct wanted w[TASKS];
    uint64_t at = 0;
    struct kv_pages probe;
    CHECK_OK(session_pages_init(&probe, f->shared[0], "f16", KV_PAGE, err));
    const struct engine_config c = { .runtime = f->rt, .models = f->shared, .n_models = MEMBERS, .slots = CHOICES + draw(seed, &at, 6), .queue = 100, .context = CONTEXT, .cache_type = "f16",
                                     .chunk = 16 + 16 * draw(seed, &at, 4), .cache_bytes = probe.page_bytes * (CONTEXT / KV_PAGE + draw(seed, &at, 8)), .decode_stretch = 1.5 + (double)draw(seed, &at, 3), .pass_rows = 24 * draw(seed, &at, 2) };
    kv_pages_release(&probe);
    CHECK_OK(engine_open(&e, &c, err));
    for (size_t i = 0; i < TASKS; i++) make_task(&w[i], f, seed, &at);
    for (size_t step = 0; step < 100000; step++) {
        size_t ended = 0;
        for (size_t i = 0; i < TASKS; i++) {
            if (w[i].arrives == step) CHECK(engine_submit(e, w[i].task));
            if (w[i].cancel_at == step && w[i].arrives <= step && !w[i].ended) engine_cancel(e, w[i].task);
            ended += w[i].ended;
        }
        if (ended == TASKS) break;
        bool moved = engine_step(e);
        CHECK(moved || step < 50);
        engine_deliver(e);
    }
    for (size_t i = 0; i < TASKS; i++) {
        if (w[i].cancel_at < w[i].arrives) w[i].cancel_at = SIZE_MAX;
        check_ended(&w[i], f);
        task_free(w[i].task);
        for (size_t k = 0; k < CHOICES; k++) buf_release(&w[i].text[k]);
    }
    *preempted += e->counts.preempted;
    check_nothing_left(e);
    engine_close(e);
}

TEST(tasks_get_what_a_session_of_their_own_gives)
{
    struct family f = { 0 };
    uint64_t preempted = 0;
    family_open(&f, "int8");
    for (uint64_t seed = 0; seed < 25; seed++) run_seed(&f, seed, &preempted);
    CHECK(preempted > 5);                    /* or the test tries less than it says */
    family_close(&f);
}

TEST(f32_activations_too)
{
    struct family f = { 0 };
    uint64_t preempted = 0;
    family_open(&f, "f32");
    for (uint64_t seed = 100; seed < 106; seed++) run_seed(&f, seed, &preempted);
    family_close(&f);
}

TEST(what_still_runs_is_ended_by_a_stop)
{
    struct family f = { 0 };
    struct engine *e = NULL;
    struct wanted w[2];
    uint64_t at = 0;
    family_open(&f, "int8");
    const struct engine_config c = { .runtime = f.rt, .models = f.shared, .n_models = MEMBERS, .slots = 1, .queue = 2, .context = CONTEXT, .cache_type = "f16", .chunk = 16, .cache_bytes = 0, .decode_stretch = 2 };
    CHECK_OK(engine_open(&e, &c, err));
    for (int i = 0; i < 2; i++) {
        make_task(&w[i], &f, 3, &at);
        w[i].task->choices = 1;
        w[i].task->sample.max_tokens = 100;
        w[i].task->sample.ignore_eos = true;
        while (w[i].task->sample.n_stop) mem_free((char *)(uintptr_t)w[i].task->sample.stop[--w[i].task->sample.n_stop]);
        CHECK(engine_submit(e, w[i].task));
    }
    for (int i = 0; i < 5; i++) engine_step(e);
    engine_stop(e);
    engine_deliver(e);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(w[i].ended, 1);
        CHECK_INT(w[i].end, TASK_CANCELLED);
        task_free(w[i].task);
        for (size_t k = 0; k < CHOICES; k++) buf_release(&w[i].text[k]);
    }
    engine_close(e);
    family_close(&f);
}

TEST(a_cache_smaller_than_a_context_is_refused)
{
    struct family f = { 0 };
    struct engine *e = NULL;
    family_open(&f, "int8");
    const struct engine_config c = { .runtime = f.rt, .models = f.shared, .n_models = 1, .slots = 1, .queue = 2, .context = CONTEXT, .cache_type = "f16", .chunk = 16, .cache_bytes = 1000, .decode_stretch = 2 };
    CHECK_FAILS(engine_open(&e, &c, err), SC_E_MEMORY, "--cache-mib");
    family_close(&f);
}
