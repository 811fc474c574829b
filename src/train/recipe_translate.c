/* recipe_translate.c - keys that mean something here under another name or with other values. */
#include "train/recipe_internal.h"

#include <string.h>

static sc_status wrong(const char *key, const json_t *value, const char *expected, sc_error *err)
{
    char shown[96];
    return FAIL(err, SC_E_ARGUMENT, "%s is %s, expected %s", key, value_show(shown, sizeof shown, value), expected);
}

static sc_status set_text(struct sc_recipe *r, const char *row, const char *by, const char *text, sc_error *err)
{
    json_t *value = json_string_nocheck(text);
    sc_status status = recipe_set_row(r, row, by, value, err);
    json_decref(value);
    return status;
}

/* ---- data ------------------------------------------------------------------------------------------------------------------ */

sc_status set_dataset(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err) { return recipe_list(r, &r->datasets, key, value, err); }
sc_status set_eval_dataset(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err) { return recipe_list(r, &r->eval_datasets, key, value, err); }

sc_status set_split_percentage(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err)
{
    if (json_is_null(value)) return SC_OK;
    if (!json_is_number(value)) return wrong(key, value, "a number of percent", err);
    return set_text(r, "test_size", key, recipe_text(r, "%.17g", json_number_value(value) / 100), err);
}

sc_status set_template(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err)
{
    const char *text = json_string_value(value);
    if (text && (strstr(text, "{%") || strstr(text, "{{")))
        return FAIL(err, SC_E_UNSUPPORTED, "%s is the text of a template; write it to a file and name that: dialogue_template: FILE", key);
    return recipe_set_row(r, "dialogue_template", key, value, err);
}

/* TRL's true and false as well as our names. */
sc_status set_packing(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err)
{
    if (json_is_boolean(value)) return set_text(r, "packing", key, json_is_true(value) ? "best_fit" : "none", err);
    return recipe_set_row(r, "packing", key, value, err);
}

sc_status set_packing_strategy(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err)
{
    const char *text = json_string_value(value);
    (void)r;
    if (json_is_null(value) || (text && (strcmp(text, "bfd") == 0 || strcmp(text, "ffd") == 0))) return SC_OK;   /* what packing: true does */
    return wrong(key, value, "bfd; TRL's wrapped is packing: chop here", err);
}

sc_status set_assistant_only(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err)
{
    if (json_is_null(value)) return SC_OK;
    if (!json_is_boolean(value)) return wrong(key, value, "true or false", err);
    return set_text(r, "train_on", key, json_is_true(value) ? "assistant" : "all", err);
}

/* ---- model, adapters --------------------------------------------------------------------------------------------------------- */

sc_status set_revision(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err)
{
    const char *text = json_string_value(value);
    if (!json_is_null(value) && (!text || strpbrk(text, "@ \n"))) return wrong(key, value, "a branch, tag or commit, as text", err);
    r->model_revision = text && strcmp(text, "main") != 0 ? recipe_text(r, "%s", text) : "";
    return SC_OK;
}

/* The type that weights are loaded in. */
sc_status set_dtype(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err)
{
    const char *text = json_string_value(value);
    if (json_is_null(value)) return SC_OK;
    if (text && strcmp(text, "auto") == 0) {
        recipe_note(r, key, "not needed, frozen weights stay as they are in the file; `weights` says how trained ones are kept");
        return SC_OK;
    }
    if (text && (strcmp(text, "bfloat16") == 0 || strcmp(text, "float32") == 0)) return set_text(r, "weights", key, *text == 'b' ? "bf16" : "f32", err);
    return wrong(key, value, "auto, float32 or bfloat16", err);
}

sc_status set_use_peft(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err)
{
    if (!json_is_null(value) && !json_is_boolean(value)) return wrong(key, value, "true or false", err);
    r->is_peft_said = !json_is_null(value);
    r->use_peft = json_is_true(value);
    return SC_OK;
}

sc_status set_target_modules(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err)
{
    if (json_is_null(value)) return recipe_set_row(r, key, key, value, err);
    const char *text = recipe_commas(r, key, value, err);
    if (!text) return SC_E_ARGUMENT;
    if (!*text) return wrong(key, value, "names of modules, or all-linear", err);
    return set_text(r, key, key, text, err);
}

static sc_status set_quantized(struct sc_recipe *r, const char *key, const json_t *value, const char *type, sc_error *err)
{
    if (json_is_null(value) || json_is_false(value)) return SC_OK;
    if (!json_is_true(value)) return wrong(key, value, "true or false", err);
    return set_text(r, "quantize_base", key, type, err);
}
sc_status set_4bit(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err) { return set_quantized(r, key, value, "nf4", err); }

sc_status set_8bit(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err)
{
    TRY(set_quantized(r, key, value, "q8_0", err));
    if (json_is_true(value)) recipe_note(r, key, "the frozen weights are kept as q8_0: eight bits, a scale for every 32");
    return SC_OK;
}

/* ---- what is learned, when, where --------------------------------------------------------------------------------------------- */

/* TRL's names of the losses of its DPO trainer; only the sigmoid is here. */
sc_status set_loss_type(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err)
{
    const json_t *one = json_is_array(value) && json_array_size(value) == 1 ? json_array_get(value, 0) : value;
    const char *text = json_string_value(one);
    if (text && strcmp(text, "sigmoid") == 0) return set_text(r, "loss_type", key, "dpo", err);
    if (text && (strcmp(text, "nll") == 0 || strcmp(text, "chunked_nll") == 0)) return set_text(r, "loss_type", key, "sft", err);
    return recipe_set_row(r, "loss_type", key, one, err);
}

static bool reports_to_service(const char *name)
{
    static const char *const services[] = { "wandb", "comet_ml", "mlflow", "neptune", "clearml", "dagshub", "codecarbon", "dvclive", "azure_ml", "flyte", "swanlab", "trackio" };
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (strcmp(services[i], name) == 0) return true;
    return false;
}

/* A name or a list of names. Services that collect measurements elsewhere are named in a note and left out. */
sc_status set_report_to(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err)
{
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    const char *row = "none";
    if (json_is_null(value) || json_is_boolean(value)) return recipe_set_row(r, key, key, value, err);
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_is_array(value) ? json_array_get(value, i) : value;
        const char *name = json_string_value(one);
        if (name && reports_to_service(name)) recipe_note(r, key, recipe_text(r, "%s is left out, nothing is ever sent to a service", name));
        else if (name && (strcmp(name, "tensorboard") == 0 || strcmp(name, "all") == 0)) row = name;
        else if (!name || strcmp(name, "none") != 0) return wrong(key, one, "tensorboard, all or none; nothing is ever sent to a service", err);
    }
    return set_text(r, key, key, row, err);
}

sc_status set_do_eval(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err)
{
    if (!json_is_null(value) && !json_is_boolean(value)) return wrong(key, value, "true or false", err);
    if (json_is_false(value)) return set_text(r, "evaluation_strategy", key, "no", err);
    return SC_OK;                     /* held-out dialogues are measured as evaluation_strategy says */
}

sc_status set_deepspeed(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err)
{
    if (json_is_null(value)) return SC_OK;
    if (json_is_object(value)) return deepspeed_apply(r, value, key, err);
    if (!json_is_string(value)) return wrong(key, value, "a JSON file, or its content", err);
    return sc_recipe_deepspeed(r, json_string_value(value), err);
}

sc_status set_eval_tasks(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err)
{
    if (recipe_is_neutral(value, "none")) return SC_OK;
    const char *text = recipe_commas(r, key, value, err);
    return text ? set_text(r, key, key, text, err) : SC_E_ARGUMENT;
}
