/* test_recipe.c - recipes: every key of the original, names of other programs, mistakes, what follows, the record. */
#include "test.h"
#include "train/train.h"

#define NEEDED "model_name_or_path: m\ndataset_name: d.jsonl\noutput_dir: o\n"

static const char *written(const char *name, const char *text)
{
    static char path[4][4096];
    static int turn;
    char *out = path[turn++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", test_scratch(), name);
    CHECK_OK(file_write(out, text, strlen(text), err));
    return out;
}

/* A recipe of the needed keys and `text`. */
static sc_recipe *recipe_of(const char *text)
{
    struct buf b;
    sc_recipe *r = NULL;
    buf_init(&b, 0);
    buf_printf(&b, NEEDED "%s", text);
    CHECK_OK(sc_recipe_open(&r, written("a.yaml", b.data), err));
    buf_release(&b);
    return r;
}

static const sc_train_config *config_of(sc_recipe *r)
{
    const sc_train_config *c = NULL;
    CHECK_OK(sc_recipe_config(&c, r, err));
    if (!c) exit(1);
    return c;
}

static void refuses(const char *text, sc_status status, const char *part)
{
    sc_recipe *r = NULL;
    CHECK_FAILS(sc_recipe_open(&r, written("a.yaml", text), err), status, part);
    CHECK(!r);
}

static void contradicts(const char *text, const char *part)
{
    const sc_train_config *c;
    sc_recipe *r = recipe_of(text);
    CHECK_FAILS(sc_recipe_config(&c, r, err), SC_E_ARGUMENT, part);
    CHECK(!c);
    sc_recipe_close(r);
}

/* ---- the original --------------------------------------------------------------------------------------------------------- */

static void check_original(const sc_train_config *c)
{
    CHECK_STR(c->model_name_or_path, "bigcode/starcoderbase");
    CHECK_INT(c->n_datasets, 1);
    CHECK_STR(c->datasets[0], "HuggingFaceH4/oasst1_en");
    CHECK_STR(c->dialogue_template, "no_system");
    CHECK_INT(c->block_size, 1024);
    CHECK(c->bf16 && c->recompute && c->logging_first_step && c->overwrite_output_dir && !c->load_best_model_at_end);
    CHECK_STR(c->weights, "bf16");
    CHECK_STR(c->optim, "adamw_torch");
    CHECK_STR(c->evaluation_strategy, "epoch");
    CHECK_STR(c->save_strategy, "steps");
    CHECK_INT(c->save_steps, 500);
    CHECK_INT(c->save_total_limit, 0);
    CHECK_INT(c->logging_steps, 8);
    CHECK_INT(c->gradient_accumulation_steps, 8);
    CHECK_INT(c->per_device_train_batch_size, 4);
    CHECK_INT(c->per_device_eval_batch_size, 4);
    CHECK_INT(c->total_train_batch_size, 32);
    CHECK_INT(c->max_steps, -1);
    CHECK(c->num_train_epochs == 3 && c->learning_rate == 2e-5 && c->warmup_ratio == 0.03 && c->weight_decay == 0);
    CHECK(c->max_grad_norm == 1 && c->adam_beta1 == 0.9 && c->adam_beta2 == 0.999 && c->adam_epsilon == 1e-8);
    CHECK_INT(c->lora_r, 0);
    CHECK_INT(c->seed, 42);
    CHECK_STR(c->report_to, "tensorboard");
}

/* Every key that has no effect is in the notes, and no other. */
static void check_notes(const sc_recipe *r, const char *const *keys)
{
    const char *notes = sc_recipe_notes(r);
    size_t lines = *notes != 0;
    for (const char *at = notes; *at; at++) lines += *at == '\n';
    for (; *keys; keys++, lines--) {
        char line[80];
        snprintf(line, sizeof line, "%s: ", *keys);
        const char *found = strstr(notes, line);
        if (!found || (found > notes && found[-1] != '\n')) test_failed(__FILE__, __LINE__, "no note about %s in:\n%s", *keys, notes);
    }
    if (lines) test_failed(__FILE__, __LINE__, "%zu notes more than expected:\n%s", lines, notes);
}

TEST(original_recipe)
{
    static const char *const noted[] = { "preprocessing_num_workers", "log_level", "remove_unused_columns", "tf32", NULL };
    sc_recipe *r;
    CHECK_OK(sc_recipe_open(&r, test_path("tests/golden/recipes/config.yaml"), err));
    const sc_train_config *c = config_of(r);
    check_original(c);
    CHECK_STR(c->output_dir, "data/starchat-alpha");
    CHECK_STR(c->lr_scheduler_type, "cosine");
    CHECK_STR(c->train_on, "assistant");
    check_notes(r, noted);
    CHECK(strstr(sc_recipe_notes(r), "tf32: not needed, the processor computes everything, in float32"));
    CHECK(c->push_to_hub && c->hub_private_repo);
    sc_recipe_close(r);
}

TEST(original_recipe_of_before)
{
    sc_recipe *r;
    CHECK_OK(sc_recipe_open(&r, test_path("tests/golden/recipes/older.yaml"), err));
    check_original(config_of(r));
    CHECK(strstr(sc_recipe_notes(r), "report_to: wandb is left out, nothing is ever sent to a service"));
    CHECK(strstr(sc_recipe_notes(r), "wandb_run_group: not needed") && strstr(sc_recipe_notes(r), "wandb_tags: not needed"));
    CHECK(!strstr(sc_recipe_notes(r), "wandb_run_id") && !strstr(sc_recipe_notes(r), "push_to_hub"));
    sc_recipe_close(r);
}

TEST(original_with_deepspeed)
{
    sc_recipe *r;
    CHECK_OK(sc_recipe_open(&r, test_path("tests/golden/recipes/config.yaml"), err));
    CHECK_OK(sc_recipe_deepspeed(r, test_path("tests/golden/recipes/deepspeed_z3_config_bf16.json"), err));
    const sc_train_config *c = config_of(r);
    check_original(c);
    CHECK_STR(c->lr_scheduler_type, "warmup_lr");
    CHECK_INT(c->warmup_steps, 0);
    CHECK(strstr(sc_recipe_notes(r), "scheduler: DeepSpeed's WarmupLR is what runs (warmup_lr); lr_scheduler_type has no effect"));
    CHECK(strstr(sc_recipe_notes(r), "zero_optimization: the stage is taken") && strstr(sc_recipe_notes(r), "wall_clock_breakdown: ") && strstr(sc_recipe_notes(r), "steps_per_print: "));
    sc_recipe_close(r);
}

TEST(recipes_of_this_repository)
{
    static const char *const names[] = { "starchat-alpha", "starchat-alpha-as-run", "starchat-lora", "starchat-qlora", "demo", "dpo", "orpo", "from-scratch" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[80];
        sc_recipe *r;
        snprintf(path, sizeof path, "recipes/%s.yaml", names[i]);
        CHECK_OK(sc_recipe_open(&r, test_path(path), err));
        const sc_train_config *c = config_of(r);
        CHECK(strstr(c->output_dir, names[i]) || strstr(names[i], "po"));
        CHECK_STR(sc_recipe_notes(r), "");
        if (i < 2) CHECK_INT(c->total_train_batch_size, 256);
        if (i == 1) CHECK(!strcmp(c->train_on, "all") && !strcmp(c->packing, "chop") && !strcmp(c->lr_scheduler_type, "warmup_lr"));
        sc_recipe_close(r);
    }
}

TEST(recipe_of_the_handbook)
{
    sc_recipe *r;
    CHECK_OK(sc_recipe_open(&r, test_path("tests/golden/recipes/handbook.yaml"), err));
    const sc_train_config *c = config_of(r);
    CHECK_STR(c->model_name_or_path, "mistralai/Mistral-7B-v0.1");
    CHECK_INT(c->n_datasets, 2);
    CHECK_STR(c->datasets[0], "HuggingFaceH4/ultrachat_200k");
    CHECK_STR(c->datasets[1], "data/extra.jsonl:0.5");
    CHECK_STR(c->quantize_base, "nf4");
    CHECK_STR(c->lora_target_modules, "q_proj,k_proj,v_proj,o_proj");
    CHECK(c->lora_r == 16 && c->lora_alpha == 16 && c->lora_dropout == 0.05);
    CHECK_STR(c->packing, "best_fit");
    CHECK_INT(c->block_size, 2048);
    CHECK_STR(c->weights, "bf16");
    CHECK(strstr(sc_recipe_notes(r), "attn_implementation: not needed") && strstr(sc_recipe_notes(r), "use_bnb_nested_quant: not needed"));
    sc_recipe_close(r);
}

/* ---- keys ------------------------------------------------------------------------------------------------------------------ */

TEST(names_of_others)
{
    sc_recipe *r = recipe_of("eval_strategy: no\ngradient_checkpointing: false\nmax_seq_length: 2048\npacking: false\noptim: paged_adamw_8bit\n"
                             "use_peft: true\nload_in_8bit: true\nassistant_only_loss: false\nmodel_revision: v1.0\nvalidation_split_percentage: 5\nloss_type: nll\n"
                             "report_to: []\nlr_scheduler_type: WarmupLR\neval_dataset_name: null\nsave_total_limit: ~\ntorch_dtype: auto\n");
    const sc_train_config *c = config_of(r);
    CHECK_STR(c->evaluation_strategy, "no");
    CHECK(!c->recompute);
    CHECK_INT(c->block_size, 2048);
    CHECK_STR(c->packing, "none");
    CHECK_STR(c->optim, "adamw_8bit");
    CHECK_INT(c->lora_r, 16);
    CHECK_STR(c->quantize_base, "q8_0");
    CHECK_STR(c->train_on, "all");
    CHECK_STR(c->model_name_or_path, "m@v1.0");
    CHECK(c->test_size == 0.05);
    CHECK_STR(c->loss_type, "sft");
    CHECK_STR(c->report_to, "none");
    CHECK_STR(c->lr_scheduler_type, "warmup_lr");
    sc_recipe_close(r);
}

TEST(lists_of_data)
{
    const sc_train_config *c;
    sc_recipe *r;
    CHECK_OK(sc_recipe_open(&r, NULL, err));
    CHECK_OK(sc_recipe_set(r, "model_name_or_path", "m", err));
    CHECK_OK(sc_recipe_set(r, "output-dir", "2024", err));
    CHECK_OK(sc_recipe_set(r, "dataset_name", "[a.jsonl, {path: b, weight: 0.25}, {name: 'org/c'}, {dataset_name: d, weight: 2}]", err));
    CHECK_OK(sc_recipe_set(r, "eval_dataset_name", "*.jsonl", err));
    c = config_of(r);
    CHECK_STR(c->output_dir, "2024");
    CHECK_INT(c->n_datasets, 4);
    CHECK_STR(c->datasets[0], "a.jsonl");
    CHECK_STR(c->datasets[1], "b:0.25");
    CHECK_STR(c->datasets[2], "org/c");
    CHECK_STR(c->datasets[3], "d:2");
    CHECK_INT(c->n_eval_datasets, 1);
    CHECK_STR(c->eval_datasets[0], "*.jsonl");
    CHECK_OK(sc_recipe_set(r, "dataset_name", "e.jsonl", err));
    CHECK_INT(config_of(r)->n_datasets, 1);
    CHECK_FAILS(sc_recipe_set(r, "dataset_name", "[a, {path: b, weight: -1}]", err), SC_E_ARGUMENT, "the weight of b is -1, expected above 0");
    CHECK_FAILS(sc_recipe_set(r, "dataset_name", "[a, {path: b, share: 1}]", err), SC_E_ARGUMENT, "unknown key \"share\" in an entry");
    CHECK_FAILS(sc_recipe_set(r, "dataset_name", "[a, 5]", err), SC_E_ARGUMENT, "entry 2 is 5, expected a path");
    CHECK_FAILS(sc_recipe_set(r, "dataset_name", "[{weight: 1}]", err), SC_E_ARGUMENT, "an entry has no path");
    CHECK_FAILS(sc_recipe_set(r, "dataset_name", "7", err), SC_E_ARGUMENT, "dataset_name is 7, expected a path");
    CHECK_FAILS(sc_recipe_set(r, "dataset_mixer", "{a: many}", err), SC_E_ARGUMENT, "the weight of a is \"many\", expected a number");
    CHECK_STR(config_of(r)->datasets[0], "e.jsonl");
    sc_recipe_close(r);
}

TEST(keys_over_a_file)
{
    sc_recipe *r = recipe_of("learning_rate: 1e-4\nmax_steps: 1e3\nseed: 1_000\nwarmup_steps: 0x10\ntf32: true\n");
    CHECK_OK(sc_recipe_set(r, "learning-rate", "5e-6", err));
    CHECK_OK(sc_recipe_set(r, "lora_target_modules", "[c_attn, c_proj]", err));
    CHECK_OK(sc_recipe_set(r, "train_new_tokens", "true", err));
    CHECK_OK(sc_recipe_set(r, "dialogue_template", "\"5\"", err));
    const sc_train_config *c = config_of(r);
    CHECK(c->learning_rate == 5e-6);
    CHECK_INT(c->max_steps, 1000);
    CHECK_INT(c->seed, 1000);
    CHECK_INT(c->warmup_steps, 16);
    CHECK_STR(c->lora_target_modules, "c_attn,c_proj");
    CHECK_STR(c->train_new_tokens, "true");
    CHECK_STR(c->dialogue_template, "5");
    CHECK(strstr(sc_recipe_notes(r), "tf32"));
    CHECK_OK(sc_recipe_set(r, "tf32", "null", err));
    CHECK_OK(sc_recipe_set(r, "learning_rate", "null", err));
    CHECK_STR(sc_recipe_notes(r), "");
    CHECK(config_of(r)->learning_rate == 5e-5);
    sc_recipe_close(r);
}

TEST(mistakes_in_a_file)
{
    refuses("model_name_or_path: m\nlearning_rat: 1\n", SC_E_ARGUMENT, "a.yaml, line 2: unknown key \"learning_rat\"; did you mean \"learning_rate\"?");
    refuses("gradient_chekpointing: true\n", SC_E_ARGUMENT, "did you mean \"gradient_checkpointing\"?");
    refuses("completely_unknown_thing: 1\n", SC_E_ARGUMENT, "unknown key \"completely_unknown_thing\"; `starchat train --help`");
    refuses("\n\nmax_steps: many\n", SC_E_ARGUMENT, "a.yaml, line 3: max_steps is \"many\", expected a whole number");
    refuses("max_steps: 1.5\n", SC_E_ARGUMENT, "max_steps is 1.5, expected a whole number");
    refuses("learning_rate: true\n", SC_E_ARGUMENT, "learning_rate is true, expected a number");
    refuses("learning_rate: -1\n", SC_E_ARGUMENT, "learning_rate is -1, expected 0 to 100");
    refuses("bf16: maybe\n", SC_E_ARGUMENT, "bf16 is \"maybe\", expected true or false");
    refuses("bf16: 2\n", SC_E_ARGUMENT, "bf16 is 2, expected true or false");
    refuses("output_dir: 1.5\n", SC_E_ARGUMENT, "output_dir is 1.5, expected text (put it in quotes");
    refuses("output_dir: [a]\n", SC_E_ARGUMENT, "output_dir is a list, expected text");
    refuses("seed: -1\n", SC_E_ARGUMENT, "seed is \"-1\", expected a whole number");
    refuses("lr_scheduler_type: polynomial\n", SC_E_ARGUMENT, "lr_scheduler_type is \"polynomial\", expected one of cosine|");
    refuses("optim: lion\n", SC_E_ARGUMENT, "optim is \"lion\", expected one of adamw_torch|adamw_8bit|sgd");
    refuses("quantize_base: q9\n", SC_E_ARGUMENT, "quantize_base is \"q9\", expected one of nf4|");
    refuses("gradient_checkpointing: 7\n", SC_E_ARGUMENT, "gradient_checkpointing is 7, expected true or false");
    refuses("report_to: carrier_pigeon\n", SC_E_ARGUMENT, "report_to is \"carrier_pigeon\", expected tensorboard, all or none");
    refuses("block_size: 512\nmax_seq_length: 512\n", SC_E_ARGUMENT, "block_size and max_seq_length are two names of one key");
    refuses("block_size: 512\nblock_size: 512\n", SC_E_FORMAT, "a.yaml, line 2: the key \"block_size\" is there twice");
    refuses("- a\n", SC_E_FORMAT, "expected lines \"key: value\"");
    refuses("a: [\n", SC_E_FORMAT, "not valid YAML");
}

TEST(what_is_refused)
{
    static const struct { const char *line, *part; } rows[] = {
        { "label_smoothing_factor: 0.1", "label smoothing is not here" }, { "fp16: true", "float16 training with loss scaling is not here" },
        { "group_by_length: true", "rows are packed" }, { "fsdp: full_shard", "FSDP is not here" }, { "do_train: false", "this command trains" },
        { "use_dora: true", "DoRA is not here" }, { "lora_modules_to_save: [lm_head]", "train_new_tokens" }, { "max_train_samples: 10", "by its weight" },
        { "dataset_splits: [train_sft, test_sft]", "name the files you mean" }, { "metric_for_best_model: accuracy", "only the loss" },
        { "resume_from_checkpoint: some/where", "goes on from the newest checkpoint" }, { "adafactor: true", "Adafactor" }, { "tokenizer_name: other", "the tokenizer is that of the model" },
        { "lr_scheduler_kwargs: {num_cycles: 2}", "no further arguments" },
        { "chat_template: '{% for m in messages %}{% endfor %}'", "write it to a file" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) refuses(rows[i].line, SC_E_UNSUPPORTED, rows[i].part);
    sc_recipe *r = recipe_of("label_smoothing_factor: 0.0\nfp16: false\ngroup_by_length: false\nfsdp: ''\ndo_train: true\nuse_dora: false\nlora_modules_to_save: []\n"
                             "metric_for_best_model: eval_loss\nresume_from_checkpoint: true\nadafactor: no\nlr_scheduler_kwargs: {}\npush_to_hub: false\neval_tasks: []\n");
    CHECK_STR(sc_recipe_notes(r), "");
    sc_recipe_close(r);
}

/* ---- together ----------------------------------------------------------------------------------------------------------------- */

TEST(what_is_missing)
{
    static const char *const keys[] = { "model_name_or_path", "dataset_name", "output_dir" };
    const sc_train_config *c;
    sc_recipe *r;
    CHECK_OK(sc_recipe_open(&r, NULL, err));
    for (size_t i = 0; i < 3; i++) {
        char part[60];
        snprintf(part, sizeof part, "%s is missing", keys[i]);
        CHECK_FAILS(sc_recipe_config(&c, r, err), SC_E_ARGUMENT, part);
        CHECK_OK(sc_recipe_set(r, keys[i], "x", err));
    }
    CHECK_OK(sc_recipe_config(&c, r, err));
    sc_recipe_close(r);
}

TEST(contradictions)
{
    contradicts("total_train_batch_size: 48\nper_device_train_batch_size: 4\ngradient_accumulation_steps: 8\n", "total_train_batch_size is 48, but per_device_train_batch_size times gradient_accumulation_steps is 32");
    contradicts("total_train_batch_size: 10\nper_device_train_batch_size: 4\n", "which is no multiple of per_device_train_batch_size (4)");
    contradicts("eval_tasks: [arc_easy, hellaswag]\n", "eval_tasks is \"arc_easy,hellaswag\", but eval_data does not say");
    contradicts("lora_dropout: 0.1\n", "lora_dropout is 0.1 without adapters");
    contradicts("quantize_base: nf4\n", "quantize_base is nf4 without adapters");
    contradicts("use_rslora: true\n", "use_rslora is true without adapters");
    contradicts("init_adapter: a\n", "init_adapter is a without adapters");
    contradicts("use_peft: true\nlora_r: 0\n", "use_peft is true, but lora_r is 0");
    contradicts("bf16: true\nweights: f32\n", "bf16 is true, but weights is f32");
    contradicts("loss_type: dpo\npacking: chop\n", "packing is chop");
    contradicts("loss_type: dpo\nbeta: 0\n", "beta is 0");
    contradicts("momentum: 0.9\n", "momentum is 0.9, but optim is adamw_torch");
    contradicts("load_best_model_at_end: true\nevaluation_strategy: no\n", "load_best_model_at_end is true, but evaluation_strategy is no");
    contradicts("early_stopping_patience: 2\ndo_eval: false\n", "early_stopping_patience is 2");
    contradicts("load_best_model_at_end: true\nsave_strategy: no\n", "save_strategy is no");
    contradicts("eval_dataset_name: e\ntest_size: 0.1\n", "both say what is held out");
    contradicts("max_steps: 0\n", "max_steps is 0");
    contradicts("num_train_epochs: 0\n", "num_train_epochs is 0");
}

TEST(what_follows)
{
    static const struct { const char *text; int64_t rows, times, total; } batches[] = {
        { "", 8, 1, 8 }, { "total_train_batch_size: 12\n", 1, 12, 12 }, { "total_train_batch_size: 12\nper_device_train_batch_size: 4\n", 4, 3, 12 },
        { "total_train_batch_size: 12\ngradient_accumulation_steps: 4\n", 3, 4, 12 }, { "per_device_train_batch_size: 2\ngradient_accumulation_steps: 5\n", 2, 5, 10 },
        { "total_train_batch_size: 10\nper_device_train_batch_size: 2\ngradient_accumulation_steps: 5\n", 2, 5, 10 },
    };
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        sc_recipe *r = recipe_of(batches[i].text);
        const sc_train_config *c = config_of(r);
        CHECK_INT(c->per_device_train_batch_size, batches[i].rows);
        CHECK_INT(c->gradient_accumulation_steps, batches[i].times);
        CHECK_INT(c->total_train_batch_size, batches[i].total);
        sc_recipe_close(r);
    }
    sc_recipe *r = recipe_of("weights: bf16_stochastic\nlogging_steps: 7\nuse_peft: false\nlora_r: 8\nlora_dropout: 0.1\n");
    const sc_train_config *c = config_of(r);
    CHECK(c->bf16 && c->recompute);
    CHECK_INT(c->block_size, 1024);
    CHECK_INT(c->eval_steps, 7);
    CHECK_INT(c->lora_r, 0);
    sc_recipe_close(r);
}

/* ---- DeepSpeed --------------------------------------------------------------------------------------------------------------------- */

static void deepspeed_refuses(const char *json, const char *part)
{
    sc_recipe *r = recipe_of("learning_rate: 1e-4\n");
    sc_error e = { 0 };
    const sc_train_config *c;
    sc_status status = sc_recipe_deepspeed(r, written("ds.json", json), &e);
    if (status == SC_OK) status = sc_recipe_config(&c, r, &e);
    CHECK(status != SC_OK);
    if (!strstr(e.message, part)) test_failed(__FILE__, __LINE__, "message \"%s\", expected \"%s\"", e.message, part);
    sc_recipe_close(r);
}

TEST(deepspeed_values)
{
    static const char json[] = "{\"bf16\":{\"enabled\":true},\"gradient_clipping\":0.5,\"train_batch_size\":64,\"train_micro_batch_size_per_gpu\":2,"
        "\"optimizer\":{\"type\":\"AdamW\",\"params\":{\"lr\":3e-4,\"betas\":[0.8,0.99],\"eps\":1e-7,\"weight_decay\":0.01}},"
        "\"scheduler\":{\"type\":\"WarmupLR\",\"params\":{\"warmup_min_lr\":0,\"warmup_max_lr\":3e-4,\"warmup_num_steps\":10,\"warmup_type\":\"linear\"}},"
        "\"zero_optimization\":{\"stage\":2,\"offload_optimizer\":{\"device\":\"cpu\",\"pin_memory\":true}}}";
    sc_recipe *r = recipe_of("lr_scheduler_type: cosine\n");
    CHECK_OK(sc_recipe_set(r, "deepspeed", written("ds.json", json), err));
    const sc_train_config *c = config_of(r);
    CHECK(c->learning_rate == 3e-4 && c->adam_beta1 == 0.8 && c->adam_beta2 == 0.99 && c->adam_epsilon == 1e-7 && c->weight_decay == 0.01 && c->max_grad_norm == 0.5);
    CHECK_STR(c->weights, "bf16");
    CHECK_INT(c->total_train_batch_size, 64);
    CHECK_INT(c->gradient_accumulation_steps, 32);
    CHECK_INT(c->warmup_steps, 10);
    CHECK_STR(c->lr_scheduler_type, "constant_with_warmup");
    sc_recipe_close(r);
}

TEST(deepspeed_mistakes)
{
    deepspeed_refuses("{\"zero_optimisation\":{}}", "ds.json: unknown key \"zero_optimisation\"; did you mean \"zero_optimization\"?");
    deepspeed_refuses("{\"zero_optimization\":{\"stagee\":3}}", "unknown key \"stagee\" in zero_optimization; did you mean \"stage\"?");
    deepspeed_refuses("{\"zero_optimization\":{\"stage\":4}}", "zero_optimization.stage is 4, expected 0, 1, 2 or 3");
    deepspeed_refuses("{\"zero_optimization\":{\"offload_param\":{\"device\":\"disk\"}}}", "offload_param is \"disk\", expected none, cpu or nvme");
    deepspeed_refuses("{\"fp16\":{\"enabled\":true}}", "fp16 is enabled");
    deepspeed_refuses("{\"optimizer\":{\"type\":\"Lamb\"}}", "optimizer.type is \"Lamb\", expected AdamW or SGD");
    deepspeed_refuses("{\"optimizer\":{\"type\":\"AdamW\",\"params\":{\"lr\":2e-5}}}", "optimizer.params.lr is 2.0000000000000002e-05, but learning_rate says something else");
    deepspeed_refuses("{\"optimizer\":{\"type\":\"AdamW\",\"params\":{\"betas\":[0.9]}}}", "expected two numbers");
    deepspeed_refuses("{\"scheduler\":{\"type\":\"OneCycle\"}}", "scheduler.type is \"OneCycle\", expected WarmupLR");
    deepspeed_refuses("{\"scheduler\":{\"type\":\"WarmupLR\",\"params\":{\"warmup_min_lr\":0.1}}}", "expected 0 or \"auto\"");
    deepspeed_refuses("{\"gradient_clipping\":\"much\"}", "gradient_clipping: max_grad_norm is \"much\", expected a number");
    deepspeed_refuses("{\"train_batch_size\":[1]}", "train_batch_size is a list, expected a number");
    deepspeed_refuses("[]", "is a list, expected an object");
    deepspeed_refuses("{", "not valid JSON");
}

/* ---- the record ---------------------------------------------------------------------------------------------------------------------- */

static void record_comes_back(const char *path, const char *deepspeed)
{
    sc_recipe *r, *again;
    sc_text record = { 0 }, second = { 0 };
    CHECK_OK(sc_recipe_open(&r, path, err));
    if (deepspeed) CHECK_OK(sc_recipe_deepspeed(r, deepspeed, err));
    CHECK_OK(sc_recipe_record(&record, r, err));
    CHECK_OK(sc_recipe_open(&again, written("record.yaml", record.data), err));
    CHECK_OK(sc_recipe_record(&second, again, err));
    CHECK_STR(second.data, record.data);
    CHECK_STR(sc_recipe_notes(again), "");
    sc_recipe_close(r);
    sc_recipe_close(again);
    sc_text_free(&record);
    sc_text_free(&second);
}

TEST(record_is_a_recipe)
{
    record_comes_back(test_path("tests/golden/recipes/config.yaml"), test_path("tests/golden/recipes/deepspeed_z3_config_bf16.json"));
    record_comes_back(test_path("tests/golden/recipes/handbook.yaml"), NULL);
    record_comes_back(test_path("recipes/dpo.yaml"), NULL);
    record_comes_back(written("odd.yaml", NEEDED "dialogue_template: 'a \"b\" \xC3\xA9: #'\neval_dataset_name: ['x: y', 'z']\nlearning_rate: 1.2345678901234567e-5\nseed: 123456789012345678\n"), NULL);
}

TEST(record_says_everything)
{
    sc_recipe *r = recipe_of("bf16: true\n");
    sc_text record = { 0 };
    json_t *json;
    CHECK_OK(sc_recipe_record(&record, r, err));
    CHECK_OK(json_read(&json, record.data, record.len, "record", err));
    CHECK_INT(json_object_size(json), train_options.n_rows + 2);
    CHECK_STR(json_string_value(json_object_get(json, "weights")), "bf16");
    CHECK_STR(json_string_value(json_array_get(json_object_get(json, "dataset_name"), 0)), "d.jsonl");
    json_decref(json);
    sc_text_free(&record);
    sc_recipe_close(r);
}

TEST(options_of_training)
{
    CHECK(sc_options_for("train") == &train_options);
    sc_train_config c;
    sc_options_defaults(&train_options, &c);
    for (size_t i = 0; i < train_options.n_rows; i++) {
        const struct option *o = &train_options.rows[i];
        const void *at = (const char *)&c + o->offset;
        CHECK(o->fallback && *o->help);
        if (o->type == OPT_STRING || o->type == OPT_CHOICE) CHECK_STR(*(const char *const *)at, o->fallback);
        if (o->type == OPT_REAL) CHECK(*(const double *)at == strtod(o->fallback, NULL));
        if (o->type == OPT_INT) CHECK_INT(*(const int64_t *)at, strtoll(o->fallback, NULL, 10));
    }
}
