/* Whole runs of `train` against PyTorch, PEFT and TRL (tests/golden/training; tools/oracle/train_curves.py and
 * preference_curves.py): every step's loss, gradient norm, learning rate and rewards, and the logits and weights at the end. */
#include "cpu/cpu.h"
#include "model/model.h"
#include "test.h"

enum { MAX_KEYS = 40 };
struct curve_case { const char *name; json_t *golden; char *output, *data; };
/* A recipe's values as text; they must outlive the configuration. */
struct values { char text[MAX_KEYS][40]; size_t n; };

static double at(const json_t *list, size_t i) { return json_number_value(json_array_get(list, i)); }

static char *golden_path(const char *name)
{
    return path_join(test_path("tests/golden/training"), name);
}

static json_t *golden_json(const char *name)
{
    json_t *out = NULL;
    char *path = golden_path(name);
    CHECK_OK(json_read_file(&out, path, 1 << 22, err));
    mem_free(path);
    return out;
}

static void case_open(struct curve_case *c, const char *name)
{
    char file[80];
    snprintf(file, sizeof file, "%s.json", name);
    *c = (struct curve_case){ name, golden_json(file), path_join(test_scratch(), "out"), path_join(test_scratch(), "data") };
}

static void case_close(struct curve_case *c)
{
    json_decref(c->golden);
    mem_free(c->output);
    mem_free(c->data);
}

static const char *case_text(const struct curve_case *c, const char *key) { return json_string_value(json_object_get(json_object_get(c->golden, "recipe"), key)); }
static bool is_preference(const struct curve_case *c) { return strcmp(case_text(c, "loss_type"), "sft") != 0; }

/* ---- the data ------------------------------------------------------------------------------------------------------------------- */

static void prepare(sc_runtime *rt, const struct curve_case *c)
{
    sc_prepare_config p = { 0 };
    bool pairs = is_preference(c);
    char *input = golden_path(pairs ? "pairs.jsonl" : "chats.jsonl"), *model = golden_path(json_string_value(json_object_get(c->golden, "model")));
    const char *inputs[] = { input };
    sc_options_defaults(sc_options_for("prepare"), &p);
    p.inputs = inputs;
    p.n_inputs = 1;
    p.out = c->data;
    p.tokenizer = model;
    p.chat_template = case_text(c, "dialogue_template");
    p.block_size = json_integer_value(json_object_get(json_object_get(c->golden, "recipe"), "block_size"));
    if (pairs) { p.packing = "pairs"; p.train_on = "last"; }
    CHECK_OK(sc_prepare(rt, &p, err));
    mem_free(input);
    mem_free(model);
}

static json_t *sample_tokens(const sc_dataset *d, uint64_t i)
{
    sc_text text = { 0 };
    json_t *sample = NULL;
    CHECK_OK(sc_dataset_sample(&text, d, "train", i, err));
    CHECK_OK(json_read(&sample, text.data, text.len, "a sample", err));
    sc_text_free(&text);
    json_t *tokens = json_incref(json_object_get(sample, "tokens"));
    json_decref(sample);
    return tokens;
}

static void check_sample(const sc_dataset *d, uint64_t i, const json_t *expected)
{
    json_t *tokens = sample_tokens(d, i);
    const json_t *ids = json_object_get(expected, "ids");
    const char *trained = json_string_value(json_object_get(expected, "trained"));
    CHECK_INT(json_array_size(tokens), json_array_size(ids));
    for (size_t k = 0; k < json_array_size(ids); k++) {
        const json_t *token = json_array_get(tokens, k);
        CHECK_INT(json_integer_value(json_object_get(token, "id")), json_integer_value(json_array_get(ids, k)));
        CHECK(json_is_true(json_object_get(token, "trained")) == (trained[k] == 'x'));
    }
    json_decref(tokens);
}

static void check_rows(const sc_dataset *d)
{
    json_t *rows = golden_json("rows.json");
    uint64_t sample = 0;
    for (size_t r = 0; r < json_array_size(rows); r++)
        for (size_t k = 0; k < json_array_size(json_array_get(rows, r)); k++) check_sample(d, sample++, json_array_get(json_array_get(rows, r), k));
    json_decref(rows);
}

/* The sample is prompt and completion as TRL has them, all of the completion trained; behind it at most a line feed. */
static void check_completion(const sc_dataset *d, uint64_t i, const json_t *prompt, const json_t *completion)
{
    json_t *tokens = sample_tokens(d, i);
    size_t n_prompt = json_array_size(prompt), n = n_prompt + json_array_size(completion);
    CHECK(json_array_size(tokens) == n || json_array_size(tokens) == n + 1);
    for (size_t k = 0; k < json_array_size(tokens); k++) {
        const json_t *token = json_array_get(tokens, k), *expected = k < n_prompt ? json_array_get(prompt, k) : json_array_get(completion, k - n_prompt);
        if (k < n) CHECK_INT(json_integer_value(json_object_get(token, "id")), json_integer_value(expected));
        CHECK(json_is_true(json_object_get(token, "trained")) == (k >= n_prompt && k < n));
    }
    json_decref(tokens);
}

static void check_pairs(const sc_dataset *d, const json_t *pairs)
{
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        const json_t *pair = json_array_get(pairs, i), *prompt = json_object_get(pair, "prompt_ids");
        check_completion(d, 2 * i, prompt, json_object_get(pair, "chosen_ids"));
        check_completion(d, 2 * i + 1, prompt, json_object_get(pair, "rejected_ids"));
    }
}

/* Both sides must see the same tokens. */
static void check_data(const struct curve_case *c)
{
    sc_dataset *d = NULL;
    CHECK_OK(sc_dataset_open(&d, c->data, err));
    if (is_preference(c)) check_pairs(d, json_object_get(c->golden, "pairs"));
    else check_rows(d);
    sc_dataset_close(d);
}

/* ---- the run -------------------------------------------------------------------------------------------------------------------- */

static const char *value_text(struct values *v, const json_t *value)
{
    char *out = v->text[v->n++];
    if (json_is_string(value)) return json_string_value(value);
    if (json_is_boolean(value)) return json_is_true(value) ? "true" : "false";
    if (json_is_integer(value)) snprintf(out, sizeof v->text[0], "%lld", (long long)json_integer_value(value));
    else snprintf(out, sizeof v->text[0], "%.17g", json_real_value(value));
    return out;
}

static void run(sc_runtime *rt, const struct curve_case *c)
{
    sc_train_config config = { 0 };
    struct values values = { .n = 0 };
    const char *key, *data[] = { c->data };
    json_t *value;
    const json_t *adapter = json_object_get(c->golden, "adapter");
    char *model = golden_path(json_string_value(json_object_get(c->golden, "model"))), *start = adapter ? golden_path(json_string_value(adapter)) : NULL;
    sc_options_defaults(sc_options_for("train"), &config);
    json_object_foreach(json_object_get(c->golden, "recipe"), key, value) CHECK_OK(sc_options_set(sc_options_for("train"), &config, key, value_text(&values, value), err));
    config.total_train_batch_size = config.per_device_train_batch_size * config.gradient_accumulation_steps;
    config.model_name_or_path = model;
    config.init_adapter = start ? start : "";
    config.datasets = data;
    config.n_datasets = 1;
    config.output_dir = c->output;
    config.evaluation_strategy = config.save_strategy = "no";
    config.report_to = "none";
    config.shuffle = false;
    CHECK_OK(sc_train(rt, &config, err));
    mem_free(model);
    mem_free(start);
}

/* ---- comparison ------------------------------------------------------------------------------------------------------------------- */

struct curve { const char *event, *golden; double scale, bar, worst; };

/* |found - expected| relative to the larger of |expected| and `scale`. */
static void compare_step(struct curve *k, const struct curve_case *c, const json_t *event, size_t step)
{
    double found = json_number_value(json_object_get(event, k->event)), expected = at(json_object_get(c->golden, k->golden), step);
    double error = fabs(found - expected) / fmax(fabs(expected), k->scale);
    if (!(error <= k->bar)) test_failed(__FILE__, __LINE__, "%s: %s of step %zu is %.9g, expected %.9g (relative error %.1e)", c->name, k->event, step + 1, found, expected, error);
    k->worst = fmax(k->worst, error);
}

static void compare_curves(const struct curve_case *c)
{
    struct curve curves[] = {
        { "loss", "loss", 0, 1e-4, 0 }, { "grad_norm", "grad_norm", 0, 1e-3, 0 }, { "learning_rate", "learning_rate", 1e-12, 1e-9, 0 },
        { "rewards_chosen", "rewards_chosen", 0.1, 1e-4, 0 }, { "rewards_rejected", "rewards_rejected", 0.1, 1e-4, 0 },
        { "rewards_margin", "rewards_margins", 0.1, 1e-4, 0 }, { "rewards_accuracy", "rewards_accuracies", 1, 1e-6, 0 },
    };
    size_t n = is_preference(c) ? 7 : 3, steps = 0;
    char *path = path_join(c->output, "events.jsonl");
    sc_text text = { 0 };
    CHECK_OK(file_read(&text, path, 1 << 22, err));
    for (char *line = text.data, *next; line && *line; line = next) {
        json_t *event = NULL;
        next = strchr(line, '\n');
        size_t length = next ? (size_t)(next - line) : strlen(line);
        CHECK_OK(json_read(&event, line, length, "an event", err));
        next = next ? next + 1 : NULL;
        const char *kind = json_string_value(json_object_get(event, "event"));
        if (kind && strcmp(kind, "step") == 0) {
            for (size_t i = 0; i < n; i++) compare_step(&curves[i], c, event, steps);
            steps++;
        }
        json_decref(event);
    }
    CHECK_INT(steps, json_array_size(json_object_get(c->golden, "loss")));
    printf("%s: %zu steps, largest relative error of a loss %.1e, of a norm %.1e, of a reward %.1e\n", c->name, steps, curves[0].worst, curves[1].worst, fmax(curves[3].worst, curves[4].worst));
    sc_text_free(&text);
    mem_free(path);
}

static void compare_logits(sc_runtime *rt, const struct curve_case *c)
{
    bool has_adapter = json_object_get(c->golden, "adapter") != NULL;
    char *model = golden_path(json_string_value(json_object_get(c->golden, "model")));
    sc_model *m = NULL;
    sc_session *s = NULL;
    int32_t id[256];
    const json_t *probe = json_object_get(c->golden, "probe"), *positions = json_object_get(c->golden, "probe_positions"), *logits = json_object_get(c->golden, "logits");
    CHECK_OK(sc_model_open(&m, rt, &(sc_model_config){ .path = has_adapter ? model : c->output, .chat_template = case_text(c, "dialogue_template"), .adapter = has_adapter ? c->output : "" }, err));
    CHECK_OK(sc_session_open(&s, m, &(sc_session_config){ .cache_type = "f32" }, err));
    for (size_t i = 0; i < json_array_size(probe); i++) id[i] = (int32_t)json_integer_value(json_array_get(probe, i));
    double worst = 0, low = INFINITY, high = -INFINITY;
    for (size_t k = 0; k < json_array_size(positions); k++) {
        size_t vocab = 0;
        const json_t *row = json_array_get(logits, k);
        CHECK_OK(sc_session_sync(s, id, (size_t)json_integer_value(json_array_get(positions, k)) + 1, err));
        const float *found = sc_session_logits(s, &vocab);
        CHECK_INT(vocab, json_array_size(row));
        for (size_t i = 0; i < vocab; i++) {
            worst = fmax(worst, fabs((double)found[i] - at(row, i)));
            low = fmin(low, at(row, i));
            high = fmax(high, at(row, i));
        }
    }
    /* Adam makes whole steps of gradients that are rounding alone, so weights drift apart where nothing is learned. */
    worst /= high - low;
    if (!(worst < 1e-3)) test_failed(__FILE__, __LINE__, "%s: logits of the probe differ by up to %g of their range", c->name, worst);
    printf("%s: largest difference of a logit %.1e of their range\n", c->name, worst);
    sc_session_close(s);
    sc_model_close(m);
    mem_free(model);
}

struct weights { const struct curve_case *c; const json_t *expected; double worst; size_t n; };

static void compare_weight(void *user, const struct model_tensor *t)
{
    struct weights *w = user;
    char name[96];
    weight_name(name, t->row, MODEL_HF, t->layer, t->is_bias);
    const json_t *e = json_object_get(w->expected, name);
    size_t n = t->tensor->rows * t->tensor->cols;
    double norm = 0, along = 0;
    float *row = mem_alloc(t->tensor->cols * sizeof *row), first = 0, last = 0;
    for (size_t r = 0; r < t->tensor->rows; r++) {
        dtypes[t->tensor->dtype].to_f32(row, tensor_row(t->tensor, r), t->tensor->cols);
        if (r == 0) first = row[0];
        last = row[t->tensor->cols - 1];
        for (size_t i = 0; i < t->tensor->cols; i++) {
            norm += (double)row[i] * (double)row[i];
            along += (double)row[i] * sin((double)(r * t->tensor->cols + i + 1));
        }
    }
    mem_free(row);
    if (!e) return;
    double scale = at(e, 0) / sqrt((double)n) + 1e-6, error = fabs(sqrt(norm) - at(e, 0)) / (at(e, 0) + 1e-6);
    error = fmax(error, fabs(along - at(e, 1)) / at(e, 0) / 4);
    error = fmax(error, fmax(fabs((double)first - at(e, 2)), fabs((double)last - at(e, 3))) / scale);
    if (!(error < 2e-3)) test_failed(__FILE__, __LINE__, "%s: after training %s has norm %g, expected %g (relative error %.1e)", w->c->name, name, sqrt(norm), at(e, 0), error);
    w->worst = fmax(w->worst, error);
    w->n++;
}

static void compare_weights(const struct curve_case *c)
{
    struct model_file *file = NULL;
    struct model model;
    struct weights w = { c, json_object_get(c->golden, "weights"), 0, 0 };
    CHECK_OK(model_file_open(&file, c->output, false, err));
    CHECK_OK(model_bind(&model, file, err));
    model_each(&model, compare_weight, &w);
    CHECK_INT(w.n, json_object_size(w.expected));
    printf("%s: largest relative error of a weight %.1e\n", c->name, w.worst);
    model_release(&model);
    model_file_close(file);
}

static void check_case(const char *name)
{
    struct curve_case c;
    sc_runtime *rt = NULL;
    case_open(&c, name);
    CHECK_OK(sc_runtime_open(&rt, &(sc_runtime_config){ .threads = 2, .activations = "f32" }, err));
    prepare(rt, &c);
    check_data(&c);
    run(rt, &c);
    compare_curves(&c);
    compare_logits(rt, &c);
    if (json_object_get(c.golden, "weights") && !json_object_get(c.golden, "adapter")) compare_weights(&c);
    sc_runtime_close(rt);
    case_close(&c);
}

TEST(gpt_bigcode_full) { check_case("gpt_bigcode_full"); }
TEST(starcoder2_full) { check_case("starcoder2_full"); }
TEST(llama_full) { check_case("llama_full"); }
TEST(qwen2_full) { check_case("qwen2_full"); }
TEST(gpt_bigcode_lora) { check_case("gpt_bigcode_lora"); }
TEST(llama_rslora) { check_case("llama_rslora"); }
TEST(dpo) { check_case("gpt_bigcode_dpo"); }
TEST(orpo) { check_case("gpt_bigcode_orpo"); }
