/* Training on ranks that are threads: every stage and number of ranks gives the bytes of one rank, for all kinds of training; a
 * checkpoint of any number of ranks is read by any other; what differs between ranks is refused. */
#include "train_fixture.h"

#include <pthread.h>
#include <unistd.h>

/* One job: the same recipe on all ranks but for what `change` does to it. */
struct job { const sc_train_config *c; void (*change)(sc_train_config *c, int rank); sc_status status[8]; sc_error err[8]; double stop_after; sc_runtime *rt[8]; };

static sc_status run_rank(struct comm *c, void *arg, sc_error *err)
{
    struct job *j = arg;
    sc_train_config own = *j->c;
    sc_runtime *rt = j->rt[c->rank];
    rt->comm = *c;
    if (j->change) j->change(&own, c->rank);
    j->status[c->rank] = sc_train(rt, &own, &j->err[c->rank]);
    bool is_alone = j->status[c->rank] != SC_OK && !rt->comm.failed_together;
    rt->comm = (struct comm){ .size = 1, .host_size = 1 };          /* what belongs to the thread is not the runtime's to close */
    if (is_alone && err) *err = j->err[c->rank];
    return is_alone ? j->status[c->rank] : SC_OK;
}

static void run_job(struct job *j, int ranks)
{
    for (int r = 0; r < ranks; r++) j->rt[r] = train_runtime(1);
    CHECK_OK(comm_run_threads(ranks, run_rank, j, err));
    for (int r = 0; r < ranks; r++) sc_runtime_close(j->rt[r]);
}

/* Step from which the job says it goes on; 0: it says nothing of the kind. */
static void hear_step(void *user, const char *json)
{
    const char *at = strstr(json, "going on from step ");
    if (at) *(int64_t *)user = strtoll(at + strlen("going on from step "), NULL, 10);
}

/* Beginning anew would give the same bytes as going on: *from is what happened; NULL: nobody asks. */
static void run_ranks_from(const sc_train_config *c, int ranks, int64_t *from)
{
    sc_train_config heard = *c;
    struct job j = { .c = &heard };
    if (from) {
        *from = 0;
        heard.on_event = hear_step;
        heard.user = from;
    }
    run_job(&j, ranks);
    for (int r = 0; r < ranks; r++)
        if (j.status[r] != SC_OK) test_failed(__FILE__, __LINE__, "rank %d of %d: %s", r, ranks, j.err[r].message);
}

static void run_ranks(const sc_train_config *c, int ranks) { run_ranks_from(c, ranks, NULL); }

/* ---- the same bytes ------------------------------------------------------------------------------------------------------------ */

static void check_same(const char *a, const char *b, const char *what, const char *file, int64_t steps)
{
    sc_text x = train_file(a, file), y = train_file(b, file);
    if (x.len != y.len || memcmp(x.data, y.data, x.len) != 0) test_failed(__FILE__, __LINE__, "%s: other bytes in %s", what, file);
    sc_text_free(&x);
    sc_text_free(&y);
    for (int64_t step = 1; step <= steps; step++) {
        CHECK(train_event(a, "step", step, "loss") == train_event(b, "step", step, "loss"));
        CHECK(train_event(a, "step", step, "grad_norm") == train_event(b, "step", step, "grad_norm"));
    }
    CHECK(train_event(a, "eval", steps, "loss") == train_event(b, "eval", steps, "loss"));
}

static const char UNTIED_CONFIG[] = "{\"architectures\":[\"Qwen2ForCausalLM\"],\"model_type\":\"qwen2\",\"vocab_size\":267,\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":4,"
    "\"num_key_value_heads\":2,\"intermediate_size\":48,\"max_position_embeddings\":128,\"rms_norm_eps\":1e-5,\"rope_theta\":10000.0,\"hidden_act\":\"silu\",\"tie_word_embeddings\":false,"
    "\"initializer_range\":0.1,\"bos_token_id\":0,\"eos_token_id\":0}";

struct kind { const char *name, *config; bool pairs; void (*set)(sc_train_config *c); const char *file; };
static void set_nothing(sc_train_config *c) { (void)c; }
static void set_kept(sc_train_config *c) { c->recompute = false; c->optim = "adamw_8bit"; }
static void set_master(sc_train_config *c) { c->weights = "bf16"; }
static void set_stochastic(sc_train_config *c) { c->weights = "bf16_stochastic"; c->optim = "sgd"; c->momentum = 0.9; }
static void set_lora(sc_train_config *c) { c->lora_r = 12; c->lora_dropout = 0.1; }
static void set_qlora(sc_train_config *c) { c->lora_r = 2; c->quantize_base = "bf16"; }
static void set_dpo(sc_train_config *c) { c->loss_type = "dpo"; c->lora_r = 4; }
static void set_orpo(sc_train_config *c) { c->loss_type = "orpo"; }

static const char FULL_FILE[] = "model.safetensors", ADAPTER_FILE[] = "adapter_model.safetensors";
static const struct kind kinds[] = {
    { "full", LLAMA_CONFIG, false, set_nothing, FULL_FILE }, { "full", BIGCODE_CONFIG, false, set_nothing, FULL_FILE }, { "kept, 8 bit", LLAMA_CONFIG, false, set_kept, FULL_FILE },
    { "untied", UNTIED_CONFIG, false, set_nothing, FULL_FILE }, { "untied lora", UNTIED_CONFIG, false, set_lora, ADAPTER_FILE },
    { "bf16", BIGCODE_CONFIG, false, set_master, FULL_FILE }, { "bf16 at random", LLAMA_CONFIG, false, set_stochastic, FULL_FILE }, { "lora", LLAMA_CONFIG, false, set_lora, ADAPTER_FILE },
    { "qlora", BIGCODE_CONFIG, false, set_qlora, ADAPTER_FILE }, { "dpo", LLAMA_CONFIG, true, set_dpo, ADAPTER_FILE }, { "orpo", BIGCODE_CONFIG, true, set_orpo, FULL_FILE },
};

static void check_kind(const struct kind *k)
{
    static const struct { int ranks, stage; } row[] = { { 2, 3 }, { 3, 0 }, { 3, 1 }, { 2, 2 }, { 5, 3 } };      /* 5: more ranks than leaves */
    sc_runtime *rt = train_runtime(1);
    char *model = train_model(rt, k->config, "model"), *data = train_dialogues("dialogues.jsonl", 40, k->pairs), *alone = train_path("alone"), what[80];
    const char *inputs[] = { data };
    sc_train_config c = train_recipe(model, inputs, alone);
    c.max_steps = 4;
    c.total_train_batch_size = 4;
    c.eval_steps = 2;
    c.save_strategy = "no";
    c.overwrite_output_dir = true;
    k->set(&c);
    CHECK_OK(sc_train(rt, &c, err));
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char name[40];
        snprintf(name, sizeof name, "out-%d-%d", row[i].ranks, row[i].stage);
        char *out = train_path(name);
        c.output_dir = out;
        c.zero = row[i].stage;
        run_ranks(&c, row[i].ranks);
        snprintf(what, sizeof what, "%s, %d ranks, stage %d", k->name, row[i].ranks, row[i].stage);
        check_same(alone, out, what, k->file, 4);
        mem_free(out);
    }
    sc_runtime_close(rt);
    mem_free(model);
    mem_free(data);
    mem_free(alone);
}

TEST(any_number_of_ranks_gives_the_bytes_of_one)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) check_kind(&kinds[i]);
}

/* Fewer grains than ranks: some keep nothing, rank 0 among them, and write nothing. */
TEST(ranks_that_own_nothing_still_help)
{
    sc_runtime *rt = train_runtime(1);
    char *model = train_model(rt, LLAMA_CONFIG, "model"), *data = train_dialogues("dialogues.jsonl", 40, false), *alone = train_path("tiny_alone"), *out = train_path("tiny");
    const char *inputs[] = { data };
    sc_train_config c = train_recipe(model, inputs, alone);
    c.lora_r = 1;
    c.lora_target_modules = "q_proj";
    c.train_new_tokens = "false";
    c.max_steps = 6;
    c.save_steps = 2;
    CHECK_OK(sc_train(rt, &c, err));
    c.output_dir = out;
    run_ranks(&c, 8);
    check_same(alone, out, "8 ranks for 4 grains", ADAPTER_FILE, 6);
    char *first = path_join(out, "checkpoint-2/state-00001-of-00008.safetensors");
    CHECK(!path_exists(first));
    sc_runtime_close(rt);
    mem_free(first);
    mem_free(model);
    mem_free(data);
    mem_free(alone);
    mem_free(out);
}

/* ---- checkpoints ------------------------------------------------------------------------------------------------------------------ */

/* Keeps checkpoint-N alone, as if the run had been killed behind it. */
static void go_back(const char *out, int64_t step)
{
    char *run = path_join(out, "run.json");
    json_t *o = NULL;
    sc_text text = { 0 };
    CHECK_OK(json_read_file(&o, run, 1 << 20, err));
    json_object_set_new(o, "state", json_string("running"));
    CHECK(json_write(&text, o, true) == SC_OK);
    CHECK_OK(file_write(run, text.data, text.len, err));
    for (int64_t newest; (newest = checkpoint_newest(out)) > step;) {
        char name[40];
        snprintf(name, sizeof name, "checkpoint-%lld", (long long)newest);
        char *path = path_join(out, name);
        remove_plain_directory(path);
        mem_free(path);
    }
    json_decref(o);
    sc_text_free(&text);
    mem_free(run);
}

TEST(checkpoints_are_read_by_any_number_of_ranks)
{
    static const struct { int ranks, stage; } row[] = { { 3, 3 }, { 2, 0 }, { 4, 2 }, { 1, 3 }, { 2, 3 } };
    for (int lora = 0; lora < 2; lora++) {
        sc_runtime *rt = train_runtime(1);
        char *model = train_model(rt, LLAMA_CONFIG, "model"), *data = train_dialogues("dialogues.jsonl", 40, false), *alone = train_path("whole"), *out = train_path("changing");
        const char *inputs[] = { data };
        sc_train_config c = train_recipe(model, inputs, alone);
        c.max_steps = 12;
        c.save_steps = 2;
        c.overwrite_output_dir = true;
        c.optim = "adamw_8bit";
        if (lora) set_lora(&c);
        CHECK_OK(sc_train(rt, &c, err));
        c.output_dir = out;
        for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
            c.zero = row[i].stage;
            int64_t from;
            run_ranks_from(&c, row[i].ranks, &from);
            CHECK_INT(from, 2 * (int64_t)i);
            check_same(alone, out, "after other numbers of ranks", lora ? ADAPTER_FILE : FULL_FILE, 12);
            go_back(out, (int64_t)(2 * i + 2));
        }
        sc_runtime_close(rt);
        mem_free(model);
        mem_free(data);
        mem_free(alone);
        mem_free(out);
    }
}

/* ---- what must be alike ----------------------------------------------------------------------------------------------------------- */

static void other_rate(sc_train_config *c, int rank) { if (rank == 1) c->learning_rate = 0.5; }
static void other_data(sc_train_config *c, int rank)
{
    static const char *other[1];
    if (rank != 1) return;
    other[0] = train_path("others.jsonl");
    c->datasets = other;
}

static void check_refused(void (*change)(sc_train_config *c, int rank), const char *part)
{
    sc_runtime *rt = train_runtime(1);
    char *model = train_model(rt, LLAMA_CONFIG, "model"), *data = train_dialogues("dialogues.jsonl", 40, false), *others = train_dialogues("others.jsonl", 20, false), *out = train_path("refused");
    const char *inputs[] = { data };
    sc_train_config c = train_recipe(model, inputs, out);
    struct job j = { .c = &c, .change = change };
    run_job(&j, 3);
    for (int r = 0; r < 3; r++) CHECK(j.status[r] == SC_E_ARGUMENT && strstr(j.err[r].message, part) != NULL);
    CHECK(!path_exists(out));
    sc_runtime_close(rt);
    mem_free(model);
    mem_free(data);
    mem_free(others);
    mem_free(out);
}

TEST(what_differs_between_ranks_is_refused_by_all)
{
    check_refused(other_rate, "the recipe is not the same on rank 0 and rank 1");
    check_refused(other_data, "the recipe is not the same on rank 0 and rank 1");
}

/* ---- stopping ---------------------------------------------------------------------------------------------------------------------- */

struct stopper { struct job *j; int rank; };
static void stop_one(void *user, const char *json)
{
    const struct stopper *s = user;
    if (strstr(json, "\"event\":\"step\",\"step\":3,")) sc_cancel(s->j->rt[s->rank]);
}

TEST(one_rank_that_is_stopped_stops_all)
{
    sc_runtime *rt = train_runtime(1);
    char *model = train_model(rt, LLAMA_CONFIG, "model"), *data = train_dialogues("dialogues.jsonl", 40, false), *out = train_path("stopped"), *alone = train_path("not_stopped");
    const char *inputs[] = { data };
    sc_train_config c = train_recipe(model, inputs, alone);
    CHECK_OK(sc_train(rt, &c, err));
    c.output_dir = out;
    struct job j = { .c = &c };
    struct stopper stopper = { &j, 2 };
    c.on_event = stop_one;
    c.user = &stopper;
    run_job(&j, 3);
    for (int r = 0; r < 3; r++) CHECK(j.status[r] == SC_E_CANCELLED && strstr(j.err[r].message, "after step 3 of 12"));
    int64_t from;
    c.on_event = NULL;
    run_ranks_from(&c, 2, &from);
    CHECK_INT(from, 3);
    check_same(alone, out, "stopped and gone on", FULL_FILE, 12);
    sc_runtime_close(rt);
    mem_free(model);
    mem_free(data);
    mem_free(out);
    mem_free(alone);
}
