/* recipe_deepspeed.c - DeepSpeed's JSON. "auto" stands for the recipe's own value, as in transformers' integration
 * (integrations/deepspeed.py). A value of its own must be the recipe's, or the recipe says nothing; only the scheduler wins
 * over the recipe without a word, which is what happened to the original's cosine: here it is told. */
#include "train/recipe_internal.h"

#include <string.h>

/* The file being read: where in it, for messages. */
struct ds { struct sc_recipe *r; const char *what; sc_error *err; };

#define WRONG(d, where, value, expected) FAIL((d)->err, SC_E_ARGUMENT, "%s: %s is %s, expected %s", (d)->what, where, value_show((char[96]){ 0 }, 96, value), expected)

static bool is_auto(const json_t *value)
{
    const char *text = json_string_value(value);
    return !value || json_is_null(value) || (text && strcmp(text, "auto") == 0);
}

/* A value for a field, unless it is "auto". */
static sc_status take(struct ds *d, const char *key, const char *where, const json_t *value, bool wins)
{
    struct sc_recipe *r = d->r;
    const char *text = NULL;
    if (is_auto(value)) return SC_OK;
    if (json_is_integer(value)) text = recipe_text(r, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value)) text = recipe_text(r, "%.17g", json_real_value(value));
    else if (json_is_string(value)) text = recipe_text(r, "%s", json_string_value(value));
    else if (json_is_boolean(value)) text = json_is_true(value) ? "true" : "false";
    if (!text) return WRONG(d, where, value, "a number or \"auto\"");
    sc_train_config trial = r->config;
    sc_status status = sc_options_set(&train_options, &trial, key, text, d->err);
    if (status != SC_OK) return error_prefix(d->err, status, "%s: %s", d->what, where);
    r->deepspeed[r->n_deepspeed++] = (struct deepspeed_value){ key, text, recipe_text(r, "%s: %s", d->what, where), wins };
    return SC_OK;
}

static sc_status take_text(struct ds *d, const char *key, const char *where, const char *text, bool wins)
{
    json_t *value = json_string(text);
    sc_status status = take(d, key, where, value, wins);
    json_decref(value);
    return status;
}

/* Refuses what is not among `keys`. */
static sc_status known(struct ds *d, const char *inside, const json_t *object, const char *const *keys)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object)) return WRONG(d, inside, object, "an object");
    json_object_foreach((json_t *)object, key, value) {
        const char *best = NULL;
        int best_distance = 4, distance = 1;
        for (const char *const *k = keys; *k && distance; k++) {
            distance = text_distance(*k, key);
            if (distance < best_distance) { best_distance = distance; best = *k; }
        }
        if (!distance) continue;
        char shown[80];
        error_quote(shown, sizeof shown, key, strlen(key));
        if (best) return FAIL(d->err, SC_E_ARGUMENT, "%s: unknown key \"%s\"%s%s; did you mean \"%s\"?", d->what, shown, *inside ? " in " : "", inside, best);
        return FAIL(d->err, SC_E_ARGUMENT, "%s: unknown key \"%s\"%s%s", d->what, shown, *inside ? " in " : "", inside);
    }
    return SC_OK;
}

/* ---- parts ------------------------------------------------------------------------------------------------------------------ */

static sc_status read_precision(struct ds *d, const json_t *bf16, const json_t *fp16)
{
    static const char *const keys[] = { "enabled", "auto_cast", "loss_scale", "loss_scale_window", "initial_scale_power", "hysteresis", "min_loss_scale",
                                        "consecutive_hysteresis", "fp16_master_weights_and_grads", "immediate_grad_update", "check_grad_overflow", NULL };
    if (bf16) TRY(known(d, "bf16", bf16, keys));
    if (fp16) TRY(known(d, "fp16", fp16, keys));
    if (json_is_true(json_object_get(fp16, "enabled")))
        return FAIL(d->err, SC_E_UNSUPPORTED, "%s: fp16 is enabled; float16 training with loss scaling is not here: use bf16", d->what);
    return take(d, "bf16", "bf16.enabled", json_object_get(bf16, "enabled"), false);
}

static sc_status read_zero(struct ds *d, const json_t *zero)
{
    static const char *const keys[] = {
        "stage", "overlap_comm", "contiguous_gradients", "sub_group_size", "reduce_bucket_size", "allgather_bucket_size", "allgather_partitions", "reduce_scatter",
        "stage3_prefetch_bucket_size", "stage3_param_persistence_threshold", "stage3_max_live_parameters", "stage3_max_reuse_distance", "stage3_gather_16bit_weights_on_model_save",
        "stage3_gather_fp16_weights_on_model_save", "stage3_module_granularity_threshold", "stage3_use_all_reduce_for_fetch_params", "offload_optimizer", "offload_param",
        "cpu_offload", "cpu_offload_params", "cpu_offload_use_pin_memory", "prefetch_bucket_size", "param_persistence_threshold", "model_persistence_threshold", "max_live_parameters",
        "max_reuse_distance", "gather_16bit_weights_on_model_save", "use_all_reduce_for_fetch_params", "round_robin_gradients", "ignore_unused_parameters", "legacy_stage1",
        "load_from_fp32_weights", "elastic_checkpoint", "use_multi_rank_bucket_allreduce", "zero_hpz_partition_size", "zero_quantized_weights", "zero_quantized_nontrainable_weights",
        "zero_quantized_gradients", "mics_shard_size", "mics_hierarchical_params_gather", "memory_efficient_linear", "pipeline_loading_checkpoint", "override_module_apply", "log_trace_cache_warnings", NULL };
    static const char *const offload_keys[] = { "device", "nvme_path", "pin_memory", "buffer_count", "buffer_size", "max_in_cpu", "pipeline_read", "pipeline_write", "fast_init", "ratio", NULL };
    static const char *const offloads[] = { "offload_optimizer", "offload_param" };
    if (!zero) return SC_OK;
    TRY(known(d, "zero_optimization", zero, keys));
    const json_t *stage = json_object_get(zero, "stage");
    if (stage && !(json_is_integer(stage) && json_integer_value(stage) >= 0 && json_integer_value(stage) <= 3)) return WRONG(d, "zero_optimization.stage", stage, "0, 1, 2 or 3");
    for (size_t i = 0; i < 2; i++) {
        const json_t *offload = json_object_get(zero, offloads[i]);
        if (offload && !json_is_null(offload)) TRY(known(d, offloads[i], offload, offload_keys));
        const json_t *device = json_object_get(offload, "device");
        if (device && !recipe_is_neutral(device, "none|cpu|nvme|auto")) return WRONG(d, offloads[i], device, "none, cpu or nvme");
    }
    if (json_object_get(zero, "offload_optimizer") || json_object_get(zero, "offload_param")) recipe_note(d->r, "zero_optimization", "nothing is offloaded, everything is in the machines' own memory already");
    recipe_note(d->r, "zero_optimization", "the stage is taken; sizes of buckets and thresholds are not needed, blocks are gathered one ahead and gradients sent block by block");
    return stage ? take(d, "zero", "zero_optimization.stage", stage, false) : SC_OK;
}

static sc_status read_optimizer(struct ds *d, const json_t *optimizer)
{
    static const char *const keys[] = { "type", "params", "legacy_fusion", NULL };
    static const char *const params_keys[] = { "lr", "betas", "eps", "weight_decay", "momentum", "adam_w_mode", "torch_adam", "bias_correction", "fused", NULL };
    if (!optimizer) return SC_OK;
    TRY(known(d, "optimizer", optimizer, keys));
    const json_t *type = json_object_get(optimizer, "type"), *params = json_object_get(optimizer, "params");
    const char *name = json_string_value(type);
    bool is_adam = name && (strcmp(name, "AdamW") == 0 || strcmp(name, "Adam") == 0);
    if (!is_adam && !(name && strcmp(name, "SGD") == 0)) return WRONG(d, "optimizer.type", type, "AdamW or SGD");
    if (params) TRY(known(d, "optimizer.params", params, params_keys));
    if (json_is_false(json_object_get(params, "adam_w_mode")))
        return FAIL(d->err, SC_E_UNSUPPORTED, "%s: optimizer.params.adam_w_mode is false; Adam with decay in the gradient is not here: use AdamW", d->what);
    const json_t *betas = json_object_get(params, "betas");
    if (betas && !is_auto(betas)) {
        if (json_array_size(betas) != 2) return WRONG(d, "optimizer.params.betas", betas, "two numbers or \"auto\"");
        TRY(take(d, "adam_beta1", "optimizer.params.betas", json_array_get(betas, 0), false));
        TRY(take(d, "adam_beta2", "optimizer.params.betas", json_array_get(betas, 1), false));
    }
    /* An optimizer in the file replaces the recipe's; the 8-bit one keeps its moments in fewer bits and is AdamW too. */
    if (!is_adam) TRY(take_text(d, "optim", "optimizer.type", "sgd", false));
    TRY(take(d, "learning_rate", "optimizer.params.lr", json_object_get(params, "lr"), false));
    TRY(take(d, "adam_epsilon", "optimizer.params.eps", json_object_get(params, "eps"), false));
    TRY(take(d, "momentum", "optimizer.params.momentum", json_object_get(params, "momentum"), false));
    return take(d, "weight_decay", "optimizer.params.weight_decay", json_object_get(params, "weight_decay"), false);
}

/* DeepSpeed's WarmupLR rises by the logarithm unless told otherwise. */
static const char *schedule_of(const char *type, bool is_linear)
{
    if (type && strcmp(type, "WarmupLR") == 0) return is_linear ? "constant_with_warmup" : "warmup_lr";
    return type && strcmp(type, "WarmupDecayLR") == 0 && is_linear ? "linear" : NULL;
}

static sc_status read_scheduler(struct ds *d, const json_t *scheduler)
{
    static const char *const keys[] = { "type", "params", NULL };
    static const char *const params_keys[] = { "warmup_min_lr", "warmup_max_lr", "warmup_num_steps", "warmup_type", "total_num_steps", "last_batch_iteration", NULL };
    if (!scheduler) return SC_OK;
    TRY(known(d, "scheduler", scheduler, keys));
    const json_t *type = json_object_get(scheduler, "type"), *params = json_object_get(scheduler, "params");
    if (params) TRY(known(d, "scheduler.params", params, params_keys));
    const json_t *least = json_object_get(params, "warmup_min_lr"), *rise = json_object_get(params, "warmup_type");
    if (!is_auto(least) && !(json_is_number(least) && json_number_value(least) == 0)) return WRONG(d, "scheduler.params.warmup_min_lr", least, "0 or \"auto\"");
    if (!is_auto(rise) && !recipe_is_neutral(rise, "log|linear")) return WRONG(d, "scheduler.params.warmup_type", rise, "log or linear");
    const char *name = json_string_value(type), *ours = schedule_of(name, !is_auto(rise) && strcmp(json_string_value(rise), "linear") == 0);
    if (!ours) return WRONG(d, "scheduler.type", type, "WarmupLR, or WarmupDecayLR with warmup_type linear");
    TRY(take_text(d, "lr_scheduler_type", "scheduler.type", ours, true));
    TRY(take(d, "learning_rate", "scheduler.params.warmup_max_lr", json_object_get(params, "warmup_max_lr"), false));
    TRY(take(d, "warmup_steps", "scheduler.params.warmup_num_steps", json_object_get(params, "warmup_num_steps"), false));
    recipe_note(d->r, "scheduler", recipe_text(d->r, "DeepSpeed's %s is what runs (%s); lr_scheduler_type has no effect, as it had none in the original", name, ours));
    return SC_OK;
}

/* ---- the file ------------------------------------------------------------------------------------------------------------------ */

static const struct { const char *key, *text; } notes[] = {
    { "steps_per_print", "not needed, logging_steps says how often progress is shown" },
    { "wall_clock_breakdown", "not needed, --verbose shows where time goes" },
    { "activation_checkpointing", "not needed, gradient_checkpointing says whether blocks are computed again" },
    { "communication_data_type", "not needed, ranks send float32" }, { "prescale_gradients", "not needed, gradients are added in float32" },
    { "gradient_predivide_factor", "not needed, gradients are added in float32" }, { "sparse_gradients", "not needed, gradients are added in float32" },
    { "data_types", "not needed, gradients are added in float32" }, { "dump_state", "not needed, the record of the run has every key" },
    { "zero_allow_untested_optimizer", "not needed, every optimiser here can be shared out" }, { "zero_force_ds_cpu_optimizer", "not needed, there is one kind of each optimiser" },
    { "tensorboard", "not needed, report_to says which files are written" }, { "flops_profiler", "not needed, tokens per second are always shown" },
    { "comms_logger", "not needed, events.jsonl says how long each rank sent and waited, trace: true shows it" }, { "aio", "not needed, nothing is offloaded" }, { "checkpoint", "not needed, save_strategy says when" },
};
enum { N_NOTES = sizeof notes / sizeof *notes };

static sc_status read_all(struct ds *d, const json_t *file)
{
    static const struct { const char *key, *row; } numbers[] = {
        { "gradient_clipping", "max_grad_norm" }, { "gradient_accumulation_steps", "gradient_accumulation_steps" },
        { "train_micro_batch_size_per_gpu", "per_device_train_batch_size" }, { "train_batch_size", "total_train_batch_size" },
    };
    const char *keys[N_NOTES + 10] = { "bf16", "fp16", "zero_optimization", "optimizer", "scheduler", "gradient_clipping", "gradient_accumulation_steps", "train_micro_batch_size_per_gpu", "train_batch_size" };
    for (size_t i = 0; i < N_NOTES; i++) keys[9 + i] = notes[i].key;
    TRY(known(d, "", file, keys));
    for (size_t i = 0; i < N_NOTES; i++)
        if (json_object_get(file, notes[i].key)) recipe_note(d->r, notes[i].key, notes[i].text);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) TRY(take(d, numbers[i].row, numbers[i].key, json_object_get(file, numbers[i].key), false));
    TRY(read_precision(d, json_object_get(file, "bf16"), json_object_get(file, "fp16")));
    TRY(read_zero(d, json_object_get(file, "zero_optimization")));
    TRY(read_optimizer(d, json_object_get(file, "optimizer")));
    return read_scheduler(d, json_object_get(file, "scheduler"));
}

sc_status deepspeed_apply(struct sc_recipe *r, const json_t *file, const char *what, sc_error *err)
{
    struct ds d = { r, what, err };
    r->n_deepspeed = 0;                                  /* a second file stands for the first */
    return read_all(&d, file);
}
