/* train_fixture.h - a tiny random model with a byte tokenizer, some dialogues, and a recipe for them: small enough that a
 * run of many steps takes a moment. */
#ifndef TRAIN_FIXTURE_H
#define TRAIN_FIXTURE_H

#include "test.h"
#include "train/train_internal.h"

static inline char *train_path(const char *name) { return path_join(test_scratch(), name); }

static inline sc_runtime *train_runtime(int threads)
{
    sc_runtime *rt = NULL;
    sc_runtime_config c;
    sc_options_defaults(sc_options_for("runtime"), &c);
    c.threads = threads;
    c.activations = "f32";
    CHECK_OK(sc_runtime_open(&rt, &c, err));
    return rt;
}

static const char BIGCODE_CONFIG[] = "{\"architectures\":[\"GPTBigCodeForCausalLM\"],\"model_type\":\"gpt_bigcode\",\"vocab_size\":267,\"n_embd\":32,\"n_layer\":2,\"n_head\":4,\"n_inner\":64,"
    "\"n_positions\":128,\"multi_query\":true,\"activation_function\":\"gelu\",\"layer_norm_epsilon\":1e-5,\"initializer_range\":0.1,\"bos_token_id\":0,\"eos_token_id\":0}";
static const char LLAMA_CONFIG[] = "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\",\"vocab_size\":267,\"hidden_size\":32,\"num_hidden_layers\":2,\"num_attention_heads\":4,"
    "\"num_key_value_heads\":2,\"intermediate_size\":48,\"max_position_embeddings\":128,\"rms_norm_eps\":1e-5,\"rope_theta\":10000.0,\"hidden_act\":\"silu\",\"tie_word_embeddings\":true,"
    "\"initializer_range\":0.1,\"bos_token_id\":0,\"eos_token_id\":0}";

/* The model's path; mem_free it. `out` ends in .gguf or is a directory. */
static inline char *train_model(sc_runtime *rt, const char *config, const char *name)
{
    char *json = train_path("config.json"), *out = train_path(name);
    sc_init_config c;
    CHECK_OK(file_write(json, config, strlen(config), err));
    sc_options_defaults(sc_options_for("init"), &c);
    c.config = json;
    c.out = out;
    c.tokenizer = test_path("tests/golden/tokenizers/bytes/tokenizer.json");
    c.type = "f32";
    c.seed = 7;
    c.overwrite = true;
    CHECK_OK(sc_init(rt, &c, err));
    mem_free(json);
    return out;
}

/* n dialogues about numbers, different in length, as JSONL; `pairs`: with a rejected answer. */
static inline char *train_dialogues(const char *name, int n, bool pairs)
{
    char *path = train_path(name);
    struct buf b;
    buf_init(&b, 0);
    for (int i = 0; i < n; i++) {
        const char *more = i % 3 == 0 ? "\"},{\"role\":\"user\",\"content\":\"ok?\"},{\"role\":\"assistant\",\"content\":\"yes" : "";
        if (pairs) buf_printf(&b, "{\"prompt\":\"say %d\",\"chosen\":\"%d!\",\"rejected\":\"no %d%s\"}\n", i, i, i * 7, i % 2 ? " never" : "");
        else buf_printf(&b, "{\"messages\":[{\"role\":\"user\",\"content\":\"say %d\"},{\"role\":\"assistant\",\"content\":\"%d%.*s%s\"}]}\n", i, i, i % 7, " well.", more);
    }
    CHECK_OK(file_write(path, b.data, b.len, err));
    buf_release(&b);
    return path;
}

/* A recipe with these inputs; strings are borrowed. */
static inline sc_train_config train_recipe(const char *model, const char *const *data, const char *output)
{
    sc_train_config c;
    memset(&c, 0, sizeof c);
    sc_options_defaults(&train_options, &c);
    c.model_name_or_path = model;
    c.datasets = data;
    c.n_datasets = 1;
    c.output_dir = output;
    c.dialogue_template = "no_system";
    c.block_size = 64;
    c.max_steps = 12;
    c.total_train_batch_size = 2;
    c.learning_rate = 1e-2;
    c.test_size = 0.2;
    c.report_to = "none";
    c.evaluation_strategy = "steps";
    c.eval_steps = 6;
    c.save_steps = 5;
    return c;
}

/* A whole file; sc_text_free it. */
static inline sc_text train_file(const char *directory, const char *name)
{
    sc_text text = { 0 };
    char *path = path_join(directory, name);
    CHECK_OK(file_read(&text, path, 1 << 28, err));
    mem_free(path);
    return text;
}

/* The member of the event of this name at this step; NaN if there is none. */
static inline double train_event(const char *directory, const char *event, int64_t step, const char *member)
{
    sc_text text = train_file(directory, "events.jsonl");
    double found = NAN;
    for (char *line = text.data, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        json_t *o = json_loads(line, 0, NULL);
        const char *name = json_string_value(json_object_get(o, "event"));
        if (name && strcmp(name, event) == 0 && json_integer_value(json_object_get(o, "step")) == step && json_is_number(json_object_get(o, member))) found = json_number_value(json_object_get(o, member));
        json_decref(o);
        if (!next) break;
    }
    sc_text_free(&text);
    return found;
}

#endif
