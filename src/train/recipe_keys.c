/* recipe_keys.c - keys of others that are no rows of ours: Hugging Face's TrainingArguments, the arguments of StarChat's
 * train.py, TRL, PEFT and the alignment handbook. Every one is translated, or told to be not needed here, or refused with
 * what to do instead; nothing is passed over in silence. */
#include "train/recipe_internal.h"

#include <string.h>

#define ALIAS(key, row)          { key, KEY_ALIAS, row, NULL, NULL, NULL }
#define NOTE(key, text)          { key, KEY_NOTE, NULL, NULL, text, NULL }
#define ONLY(key, neutral, text) { key, KEY_ONLY, NULL, neutral, text, NULL }
#define CALL(key, setter)        { key, KEY_CALL, NULL, NULL, NULL, setter }

static const char on_cpu[] = "not needed, the processor computes everything, in float32";
static const char by_mpi[] = "not needed, there is no torch.distributed here";
static const char verbosity[] = "not needed, --quiet and --verbose say how much is shown";
static const char one_file[] = "not needed, data is read once into shards that are mapped";
static const char always[] = "not needed, it is always so";
static const char other_measure[] = "only the loss on held-out dialogues is measured while training; leave the key out";
static const char whole_set[] = "all files of a data set are read; name the files you mean in dataset_name and eval_dataset_name";
static const char share[] = "a part of a data set is taken by its weight, such as dataset_name: file.jsonl:0.1";
static const char own_tokenizer[] = "the tokenizer is that of the model; leave the key out";
static const char no_service[] = "not needed, nothing is ever sent to a service";
static const char lengths[] = "not needed, rows have block_size tokens; the original's program did not read it either";
static const char no_compile[] = "not needed, the program is compiled already";

const struct recipe_key recipe_keys[] = {
    /* data */
    CALL("dataset_name", set_dataset), CALL("dataset_mixer", set_dataset), CALL("train_file", set_dataset),
    CALL("eval_dataset_name", set_eval_dataset), CALL("validation_file", set_eval_dataset),
    CALL("validation_split_percentage", set_split_percentage),
    ALIAS("prompt_template", "dialogue_template"), CALL("chat_template", set_template), CALL("packing", set_packing), CALL("packing_strategy", set_packing_strategy),
    CALL("assistant_only_loss", set_assistant_only), CALL("completion_only_loss", set_assistant_only),
    ALIAS("max_seq_length", "block_size"), ALIAS("max_length", "block_size"),
    ONLY("dataset_config_name", "", whole_set), ONLY("dataset_configs", "", whole_set), ONLY("dataset_splits", "", whole_set),
    ONLY("dataset_split_name", "train", whole_set), ONLY("max_train_samples", "", share), ONLY("max_eval_samples", "", share), ONLY("max_predict_samples", "", share),
    ONLY("data_filter_fn", "", "no Python runs here; filter the data first"), ONLY("data_tokenize_fn", "", "no Python runs here; dialogues of any known format are read"),
    ONLY("pre_tokenized", "false", "tokenized data is read from a directory that `starchat data prepare` wrote"),
    ONLY("source_prefix", "", "text before every prompt belongs into dialogue_template"), ONLY("forced_bos_token", "", "what a text begins with belongs into dialogue_template"),
    NOTE("prompt_column", "not needed, the form of a record is seen from its members"), NOTE("completion_column", "not needed, the form of a record is seen from its members"),
    NOTE("max_source_length", lengths), NOTE("max_target_length", lengths), NOTE("val_max_target_length", lengths), NOTE("pad_to_max_length", lengths),
    NOTE("num_beams", "not needed, samples are drawn one token after the other"), NOTE("ignore_pad_token_for_loss", always),
    ONLY("truncation_side", "right", "a long dialogue is split, not cut at its left; see overlength"),
    ONLY("tokenizer_name", "", own_tokenizer), ONLY("tokenizer_name_or_path", "", own_tokenizer), ONLY("config_name", "", "the configuration is that of the model; leave the key out"),
    ONLY("ignore_data_skip", "false", "a resumed run always goes on where it stopped"),
    NOTE("dataset_text_field", "not needed, the form of a record is seen from its members"), NOTE("text_column", "not needed, the form of a record is seen from its members"),
    NOTE("preprocessing_num_workers", "not needed, --threads says how many; the result is the same for any number"),
    NOTE("dataset_num_proc", "not needed, --threads says how many; the result is the same for any number"),
    NOTE("overwrite_cache", "not needed, there is no cache that could be stale"), NOTE("cache_dir", "not needed, STARCHAT_HOME says where models are stored"),
    NOTE("streaming", one_file), NOTE("keep_linebreaks", "not needed, text is kept as it is"), NOTE("dataset_batch_size", one_file), NOTE("dataset_kwargs", one_file),
    NOTE("auto_insert_empty_system_msg", "not needed, the template says what stands before the first turn"),
    NOTE("eval_packing", "not needed, held-out dialogues are packed as those of training; the loss is a mean over tokens"),
    NOTE("padding_free", always), NOTE("max_prompt_length", "not needed, a pair has to fit into block_size as a whole"),
    /* model */
    CALL("model_revision", set_revision), CALL("torch_dtype", set_dtype), CALL("dtype", set_dtype),
    NOTE("use_fast_tokenizer", "not needed, there is one tokenizer"), NOTE("low_cpu_mem_usage", "not needed, weights stay in the mapped file"),
    NOTE("use_auth_token", "not needed, HF_TOKEN says who you are"), NOTE("trust_remote_code", "not needed, no code of a model is ever run"),
    NOTE("use_flash_attention_2", "not needed, attention never stores a square"), NOTE("attn_implementation", "not needed, attention never stores a square"),
    NOTE("use_liger_kernel", "not needed, the loss never holds all logits"), ONLY("model_type", "", "the architecture is read from the model; leave the key out"),
    ONLY("config_overrides", "", "write another config.json and use `starchat init`"),
    /* adapters */
    CALL("use_peft", set_use_peft), CALL("lora_target_modules", set_target_modules), CALL("load_in_4bit", set_4bit), CALL("load_in_8bit", set_8bit),
    ONLY("lora_modules_to_save", "", "whole modules are not trained beside adapters; train_new_tokens: true trains the rows of new tokens"),
    ONLY("lora_bias", "none", "biases are not trained beside adapters"), ONLY("use_dora", "false", "DoRA is not here; use_rslora is"),
    ONLY("lora_task_type", "CAUSAL_LM", "only causal language models are trained"),
    ONLY("bnb_4bit_quant_type", "nf4", "four bits are stored as nf4, or in a block type by quantize_base: q4_0"),
    NOTE("use_bnb_nested_quant", "not needed, nf4 always keeps its scales quantised too"), NOTE("bnb_4bit_use_double_quant", "not needed, nf4 always keeps its scales quantised too"),
    NOTE("bnb_4bit_compute_dtype", on_cpu), NOTE("bnb_4bit_quant_storage", "not needed, nf4 is stored in bytes"),
    /* what is learned */
    CALL("loss_type", set_loss_type), ALIAS("gradient_checkpointing", "recompute"), ALIAS("eval_strategy", "evaluation_strategy"),
    NOTE("gradient_checkpointing_kwargs", "not needed, there is one way to compute blocks again"),
    ONLY("label_smoothing_factor", "0", "label smoothing is not here, the loss is the plain cross-entropy; set it to 0"),
    ONLY("label_smoothing", "0", "label smoothing is not here; set it to 0"),
    ONLY("fp16", "false", "float16 training with loss scaling is not here; bf16: true keeps the weights in 16 bits"),
    ONLY("group_by_length", "false", "rows are packed to block_size, so there is nothing to group; leave the key out"),
    ONLY("adafactor", "false", "Adafactor is not here; optim is adamw_torch, adamw_8bit or sgd"),
    ONLY("optim_args", "", "arguments of the optimiser have keys of their own, such as adam_beta1"),
    ONLY("optim_target_modules", "", "low-rank optimisers are not here; lora_r is"), ONLY("lr_scheduler_kwargs", "", "the schedules have no further arguments"),
    ONLY("data_seed", "", "the order of the data follows seed; leave the key out"), ONLY("past_index", "-1", "there is no past to keep while training"),
    ONLY("label_names", "", "labels come from the template; leave the key out"), ONLY("dataloader_drop_last", "false", "every row is trained, the last ones too"),
    NOTE("precompute_ref_log_probs", "not needed, those of the reference are always computed once"), ONLY("rpo_alpha", "", "the loss has no further term; leave the key out"),
    NOTE("fp16_opt_level", on_cpu), NOTE("half_precision_backend", on_cpu), NOTE("tf32", on_cpu), NOTE("bf16_full_eval", on_cpu), NOTE("fp16_full_eval", on_cpu),
    NOTE("full_determinism", always), NOTE("average_tokens_across_devices", "not needed, the loss is always the mean over all trained tokens of a step"),
    NOTE("auto_find_batch_size", "not needed, rows are computed one by one; `starchat plan` says what they need"),
    /* when and where */
    CALL("do_eval", set_do_eval), CALL("report_to", set_report_to), CALL("deepspeed", set_deepspeed),
    CALL("eval_tasks", set_eval_tasks),
    ONLY("do_train", "true", "this command trains; `starchat score` measures"), ONLY("do_predict", "false", "this command trains; `starchat complete` generates"),
    ONLY("eval_delay", "0", "evaluation begins with the first step that evaluation_strategy names"), ONLY("eval_on_start", "false", "evaluation begins with the first step that evaluation_strategy names"),
    ONLY("batch_eval_metrics", "false", other_measure), ONLY("metric_for_best_model", "loss|eval_loss", other_measure),
    ONLY("greater_is_better", "false", "the best checkpoint is the one with the lowest loss"),
    ONLY("logging_strategy", "steps", "progress is shown by steps; logging_steps says how often, and events.jsonl has every step"),
    ONLY("resume_from_checkpoint", "true|false", "a run goes on from the newest checkpoint of its output_dir by itself; leave the key out"),
    NOTE("include_num_input_tokens_seen", always), NOTE("include_tokens_per_second", always), NOTE("prediction_loss_only", always),
    NOTE("eval_accumulation_steps", "not needed, an evaluation keeps no logits"), NOTE("eval_do_concat_batches", "not needed, an evaluation keeps no logits"),
    NOTE("include_inputs_for_metrics", "not needed, an evaluation keeps no logits"), NOTE("include_for_metrics", "not needed, an evaluation keeps no logits"),
    NOTE("log_level", verbosity), NOTE("log_level_replica", verbosity), NOTE("log_on_each_node", verbosity), NOTE("disable_tqdm", verbosity),
    NOTE("logging_dir", "not needed, event files are in output_dir/runs"), NOTE("logging_nan_inf_filter", "not needed, a loss that is no number is never hidden"),
    NOTE("wandb_tags", no_service), NOTE("wandb_enabled", no_service), NOTE("wandb_project", no_service), NOTE("wandb_entity", no_service), NOTE("wandb_run_group", no_service),
    NOTE("wandb_run_id", no_service), NOTE("trackio_space_id", no_service), NOTE("project", no_service),
    NOTE("run_name", "not needed, a run is named by its output_dir"), NOTE("save_safetensors", always), NOTE("save_on_each_node", by_mpi),
    NOTE("save_only_model", "not needed, a checkpoint holds what going on needs; save_total_limit says how many stay"),
    ONLY("restore_callback_states_from_checkpoint", "false", "there are no callbacks"),
    /* machine */
    NOTE("no_cuda", on_cpu), NOTE("use_cpu", on_cpu), NOTE("use_mps_device", on_cpu), NOTE("use_ipex", on_cpu), NOTE("jit_mode_eval", no_compile),
    NOTE("torch_compile", no_compile), NOTE("torch_compile_backend", no_compile), NOTE("torch_compile_mode", no_compile), NOTE("torchdynamo", no_compile),
    NOTE("torch_empty_cache_steps", on_cpu), NOTE("local_rank", by_mpi), NOTE("ddp_backend", by_mpi), NOTE("ddp_find_unused_parameters", by_mpi),
    NOTE("ddp_bucket_cap_mb", by_mpi), NOTE("ddp_broadcast_buffers", by_mpi), NOTE("ddp_timeout", by_mpi), NOTE("xpu_backend", by_mpi), NOTE("sharded_ddp", by_mpi),
    NOTE("tpu_num_cores", by_mpi), NOTE("tpu_metrics_debug", by_mpi), NOTE("ray_scope", by_mpi), NOTE("accelerator_config", by_mpi), NOTE("split_batches", by_mpi),
    NOTE("dispatch_batches", by_mpi), NOTE("eval_use_gather_object", by_mpi), NOTE("debug", by_mpi), NOTE("mp_parameters", by_mpi), NOTE("skip_memory_metrics", "not needed, memory is always measured"),
    ONLY("fsdp", "|false", "FSDP is not here; leave the key out"), NOTE("fsdp_config", by_mpi), NOTE("fsdp_min_num_params", by_mpi), NOTE("fsdp_transformer_layer_cls_to_wrap", by_mpi),
    NOTE("dataloader_num_workers", one_file), NOTE("dataloader_pin_memory", one_file), NOTE("dataloader_persistent_workers", one_file), NOTE("dataloader_prefetch_factor", one_file),
    NOTE("remove_unused_columns", "not needed, a record holds what its form says"), NOTE("length_column_name", "not needed, rows are packed"), NOTE("use_legacy_prediction_loop", always),
    /* the Hub */
    NOTE("hub_token", "not needed, HF_TOKEN says who you are; better take the token out of the recipe"), NOTE("push_to_hub_token", "not needed, HF_TOKEN says who you are; better take the token out of the recipe"),
    ALIAS("push_to_hub_model_id", "hub_model_id"), ALIAS("push_to_hub_revision", "hub_revision"), ONLY("push_to_hub_organization", "", "write hub_model_id: org/name instead"),
    { 0 },
};

bool recipe_is_neutral(const json_t *value, const char *neutral)
{
    char text[64] = "";
    if (json_is_null(value)) return true;
    if (json_is_array(value) || json_is_object(value)) return json_array_size(value) + json_object_size(value) == 0;
    if (json_is_boolean(value)) snprintf(text, sizeof text, "%s", json_is_true(value) ? "true" : "false");
    else if (json_is_number(value)) snprintf(text, sizeof text, "%g", json_number_value(value));
    else snprintf(text, sizeof text, "%s", json_string_value(value));
    if (strchr(text, '|')) return false;
    size_t n = strlen(text);
    for (const char *at = neutral; at; at = strchr(at, '|')) {
        if (*at == '|') at++;
        if (strcspn(at, "|") == n && strncmp(at, text, n) == 0) return true;
    }
    return n == 0;
}

/* ---- values with other names --------------------------------------------------------------------------------------------------- */

static const struct { const char *row, *value, *ours; } spellings[] = {
    { "optim", "adamw_hf", "adamw_torch" }, { "optim", "adamw_torch_fused", "adamw_torch" }, { "optim", "adamw_apex_fused", "adamw_torch" },
    { "optim", "adamw", "adamw_torch" }, { "optim", "paged_adamw_32bit", "adamw_torch" }, { "optim", "paged_adamw", "adamw_torch" },
    { "optim", "adamw_bnb_8bit", "adamw_8bit" }, { "optim", "paged_adamw_8bit", "adamw_8bit" },
    { "quantize_base", "none", "" }, { "quantize_base", "no", "" }, { "export_gguf", "none", "" }, { "export_gguf", "no", "" },
    { "dialogue_template", "none", "" }, { "lr_scheduler_type", "WarmupLR", "warmup_lr" },
};
/* Sets of values of rows that are plain text in the table because they may be empty. */
static const struct { const char *row, *values; } sets[] = {
    { "quantize_base", "nf4|f16|bf16|q8_0|q4_0|q4_1|q5_0|q5_1|q4_k|q5_k|q6_k" },
    { "export_gguf", "f32|f16|bf16|q8_0|q4_0|q4_1|q5_0|q5_1|q4_k_m|q5_k_m|q6_k" },
};

const char *recipe_spelling(const char *row, const char *value, sc_error *err)
{
    char shown[80];
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
        if (strcmp(spellings[i].row, row) == 0 && strcmp(spellings[i].value, value) == 0) return spellings[i].ours;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (strcmp(sets[i].row, row) != 0 || !*value) continue;
        json_t *text = json_string(value);
        bool is_known = text && recipe_is_neutral(text, sets[i].values);
        json_decref(text);
        if (is_known) return value;
        (void)FAIL(err, SC_E_ARGUMENT, "%s is \"%s\", expected one of %s", row, error_quote(shown, sizeof shown, value, strlen(value)), sets[i].values);
        return NULL;
    }
    return value;
}
