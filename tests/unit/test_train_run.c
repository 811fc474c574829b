/* Whole runs on a tiny model: the loss falls, a run that was stopped and resumed ends in the same bytes, threads change
 * nothing, pairs are preferred, and what cannot work is refused before it begins. */
#include "train_fixture.h"

#include <unistd.h>

/* ---- runs --------------------------------------------------------------------------------------------------------------- */

struct setup { sc_runtime *rt; char *model, *data, *out; const char *inputs[1]; };

static void setup_open(struct setup *s, const char *config, bool pairs, int threads)
{
    *s = (struct setup){ .rt = train_runtime(threads) };
    s->model = train_model(s->rt, config, "model");
    s->data = train_dialogues("dialogues.jsonl", 60, pairs);
    s->out = train_path("out");
    s->inputs[0] = s->data;
}

static void setup_close(struct setup *s)
{
    sc_runtime_close(s->rt);
    mem_free(s->model);
    mem_free(s->data);
    mem_free(s->out);
}

TEST(full_training_lowers_the_loss)
{
    struct setup s;
    setup_open(&s, BIGCODE_CONFIG, false, 2);
    sc_train_config c = train_recipe(s.model, s.inputs, s.out);
    CHECK_OK(sc_train(s.rt, &c, err));
    CHECK(train_event(s.out, "eval", 12, "loss") < 0.8 * train_event(s.out, "eval", 0, "loss"));
    CHECK(train_event(s.out, "step", 12, "loss") < 0.8 * train_event(s.out, "step", 1, "loss"));
    setup_close(&s);
}

TEST(adapters_lower_the_loss)
{
    struct setup s;
    setup_open(&s, LLAMA_CONFIG, false, 2);
    sc_train_config c = train_recipe(s.model, s.inputs, s.out);
    c.lora_r = 4;
    c.lora_alpha = 16;
    CHECK_OK(sc_train(s.rt, &c, err));
    CHECK(train_event(s.out, "eval", 12, "loss") < 0.97 * train_event(s.out, "eval", 0, "loss"));
    setup_close(&s);
}

/* The new row of <|end|> is that of the model's own end token 0, the others the mean of all. */
TEST(the_end_token_may_begin_as_the_models_own)
{
    struct setup s;
    struct learner l;
    setup_open(&s, LLAMA_CONFIG, false, 1);
    sc_train_config c = train_recipe(s.model, s.inputs, s.out);
    c.lora_r = 2;
    c.init_new_tokens = "end";
    CHECK_OK(learner_open(&l, s.rt, &c, "no_system", err));
    const struct model *m = &l.model->model;
    const float *own = tensor_f32(&m->embed.w), *row = tensor_f32(&m->extra);
    size_t cols = m->extra.cols, end = (size_t)sc_token_id(sc_model_tokenizer(l.model), "<|end|>") - m->config.vocab;
    CHECK(m->extra.rows == 4 && end < 4);
    for (size_t i = 0; i < 4; i++) CHECK((memcmp(row + i * cols, own, cols * sizeof *own) == 0) == (i == end));
    learner_close(&l);
    setup_close(&s);
}

/* ---- stopping and going on -------------------------------------------------------------------------------------------------- */

/* Cancels the runtime when an event of this step arrives. */
struct stopper { sc_runtime *rt; int64_t step; };
static void stop_at(void *user, const char *json)
{
    const struct stopper *s = user;
    json_t *o = json_loads(json, 0, NULL);
    const char *event = json_string_value(json_object_get(o, "event"));
    if (event && strcmp(event, "step") == 0 && json_integer_value(json_object_get(o, "step")) == s->step) sc_cancel(s->rt);
    json_decref(o);
}

static void check_same_state(const char *a, const char *b, const char *checkpoint)
{
    char *in_a = path_join(a, checkpoint), *in_b = path_join(b, checkpoint);
    sc_text x = train_file(in_a, "state-00001-of-00001.safetensors"), y = train_file(in_b, "state-00001-of-00001.safetensors");
    CHECK(x.len == y.len && memcmp(x.data, y.data, x.len) == 0);
    sc_text_free(&x);
    sc_text_free(&y);
    mem_free(in_a);
    mem_free(in_b);
}

TEST(a_stopped_run_goes_on_to_the_same_bytes)
{
    struct setup s;
    setup_open(&s, LLAMA_CONFIG, false, 2);
    char *other = train_path("stopped");
    sc_train_config c = train_recipe(s.model, s.inputs, s.out);
    c.lora_r = 4;
    c.lora_dropout = 0.1;
    CHECK_OK(sc_train(s.rt, &c, err));
    c.output_dir = other;
    for (int64_t step = 3; step < 12; step += 4) {        /* 6 is a step with an evaluation, 7 and 11 are not */
        struct stopper stopper = { s.rt, step };
        c.on_event = stop_at;
        c.user = &stopper;
        CHECK_FAILS(sc_train(s.rt, &c, err), SC_E_CANCELLED, "the same command goes on");
        sc_cancel_reset(s.rt);
    }
    c.on_event = NULL;
    CHECK_OK(sc_train(s.rt, &c, err));
    check_same_state(s.out, other, "checkpoint-12");
    for (int64_t step = 1; step <= 12; step++) CHECK(train_event(s.out, "step", step, "loss") == train_event(other, "step", step, "loss"));
    CHECK(train_event(s.out, "eval", 12, "loss") == train_event(other, "eval", 12, "loss"));
    mem_free(other);
    setup_close(&s);
}

TEST(a_damaged_checkpoint_is_passed_over)
{
    struct setup s;
    setup_open(&s, BIGCODE_CONFIG, false, 2);
    sc_train_config c = train_recipe(s.model, s.inputs, s.out);
    struct stopper stopper = { s.rt, 11 };
    c.on_event = stop_at;
    c.user = &stopper;
    CHECK_FAILS(sc_train(s.rt, &c, err), SC_E_CANCELLED, "after step 11 of 12");
    sc_cancel_reset(s.rt);
    char *state = path_join(s.out, "checkpoint-11/state-00001-of-00001.safetensors");
    CHECK(truncate(state, 1000) == 0);
    c.on_event = NULL;
    CHECK_OK(sc_train(s.rt, &c, err));
    char *whole = train_path("whole");
    c.output_dir = whole;
    CHECK_OK(sc_train(s.rt, &c, err));
    check_same_state(s.out, whole, "checkpoint-12");
    mem_free(state);
    mem_free(whole);
    setup_close(&s);
}

TEST(threads_change_no_bit)
{
    struct setup one, three;
    setup_open(&one, BIGCODE_CONFIG, false, 1);
    sc_train_config c = train_recipe(one.model, one.inputs, one.out);
    CHECK_OK(sc_train(one.rt, &c, err));
    setup_open(&three, BIGCODE_CONFIG, false, 3);
    char *out = train_path("three");
    c.output_dir = out;
    CHECK_OK(sc_train(three.rt, &c, err));
    check_same_state(one.out, out, "checkpoint-12");
    mem_free(out);
    setup_close(&one);
    setup_close(&three);
}

TEST(a_finished_run_says_so_and_another_recipe_is_refused)
{
    struct setup s;
    setup_open(&s, BIGCODE_CONFIG, false, 2);
    sc_train_config c = train_recipe(s.model, s.inputs, s.out);
    CHECK_OK(sc_train(s.rt, &c, err));
    sc_text before = train_file(s.out, "events.jsonl");
    CHECK_OK(sc_train(s.rt, &c, err));
    sc_text after = train_file(s.out, "events.jsonl");
    CHECK(before.len == after.len);
    sc_text_free(&before);
    sc_text_free(&after);
    c.learning_rate = 2e-2;
    CHECK_FAILS(sc_train(s.rt, &c, err), SC_E_ARGUMENT, "its learning_rate is 0.01, now it is 0.02");
    c.overwrite_output_dir = true;
    CHECK_OK(sc_train(s.rt, &c, err));
    setup_close(&s);
}

/* ---- pairs ------------------------------------------------------------------------------------------------------------------- */

static void check_pairs(const char *loss_type)
{
    struct setup s;
    setup_open(&s, BIGCODE_CONFIG, true, 2);
    sc_train_config c = train_recipe(s.model, s.inputs, s.out);
    c.loss_type = loss_type;
    c.beta = 0.1;
    CHECK_OK(sc_train(s.rt, &c, err));
    CHECK(train_event(s.out, "eval", 12, "rewards_margin") > train_event(s.out, "eval", 0, "rewards_margin") + 0.01);
    CHECK(train_event(s.out, "eval", 12, "loss") < train_event(s.out, "eval", 0, "loss"));
    setup_close(&s);
}

TEST(dpo_prefers_the_chosen) { check_pairs("dpo"); }
TEST(orpo_prefers_the_chosen) { check_pairs("orpo"); }

TEST(dpo_begins_at_the_logarithm_of_two)
{
    struct setup s;
    setup_open(&s, BIGCODE_CONFIG, true, 2);
    sc_train_config c = train_recipe(s.model, s.inputs, s.out);
    c.loss_type = "dpo";
    c.max_steps = 1;
    CHECK_OK(sc_train(s.rt, &c, err));
    CHECK(fabs(train_event(s.out, "step", 1, "loss") - log(2)) < 1e-6);
    setup_close(&s);
}

/* ---- what cannot work ---------------------------------------------------------------------------------------------------------- */

TEST(what_cannot_work_is_refused_before_it_begins)
{
    struct setup s;
    setup_open(&s, BIGCODE_CONFIG, false, 2);
    const char *nowhere[] = { "nowhere.jsonl" };
    sc_train_config good = train_recipe(s.model, s.inputs, s.out), c = good;
    c.model_name_or_path = "nothing-here";
    CHECK_FAILS(sc_train(s.rt, &c, err), SC_E_IO, "nothing-here");
    c = good;
    c.overwrite_output_dir = true;
    c.datasets = nowhere;
    CHECK_FAILS(sc_train(s.rt, &c, err), SC_E_IO, "nowhere.jsonl");
    c = good;
    c.overwrite_output_dir = true;
    c.block_size = 256;
    CHECK_FAILS(sc_train(s.rt, &c, err), SC_E_ARGUMENT, "choose a smaller block_size");
    c = good;
    c.overwrite_output_dir = true;
    c.lora_r = 4;
    c.lora_target_modules = "q_proj";
    CHECK_FAILS(sc_train(s.rt, &c, err), SC_E_ARGUMENT, "no module of this model is named");
    c = good;
    c.overwrite_output_dir = true;
    c.loss_type = "dpo";
    CHECK_FAILS(sc_train(s.rt, &c, err), SC_E_FORMAT, "no_pair");
    setup_close(&s);
}
