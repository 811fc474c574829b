/* recipe_check.c - what keys mean together: contradictions, what is missing, what follows; and the record. */
#include "train/recipe_internal.h"

#include <string.h>

static bool is_text(const char *a, const char *b) { return strcmp(a, b) == 0; }

/* ---- DeepSpeed's values ------------------------------------------------------------------------------------------------------- */

static bool same_value(const struct option *o, const sc_train_config *a, const sc_train_config *b)
{
    const char *x = (const char *)a + o->offset, *y = (const char *)b + o->offset;
    if (o->type == OPT_BOOL) return *(const bool *)x == *(const bool *)y;
    if (o->type == OPT_REAL) return *(const double *)x == *(const double *)y;
    if (o->type == OPT_STRING || o->type == OPT_CHOICE) return is_text(*(const char *const *)x, *(const char *const *)y);
    return memcmp(x, y, sizeof(int64_t)) == 0;
}

static sc_status add_deepspeed(sc_train_config *c, bool *is_said, const struct sc_recipe *r, sc_error *err)
{
    for (size_t i = 0; i < r->n_deepspeed; i++) {
        const struct deepspeed_value *v = &r->deepspeed[i];
        size_t row = recipe_row(v->key);
        sc_train_config changed = *c;
        TRY(sc_options_set(&train_options, &changed, v->key, v->value, err));
        if (!v->wins && is_said[row] && !same_value(&train_options.rows[row], c, &changed))
            return FAIL(err, SC_E_ARGUMENT, "%s is %s, but %s says something else; make them equal or write \"auto\" in the DeepSpeed file", v->where, v->value,
                        r->said[row].by ? r->said[row].by : v->key);
        *c = changed;
        is_said[row] = true;
    }
    return SC_OK;
}

/* ---- what follows --------------------------------------------------------------------------------------------------------------- */

/* Rows of an optimiser step: their product for each rank, or the total with at most one of the two; with both it must be their product
 * times a number of ranks. */
static sc_status fill_batch(sc_train_config *c, const bool *is_said, sc_error *err)
{
    bool rows = is_said[recipe_row("per_device_train_batch_size")], times = is_said[recipe_row("gradient_accumulation_steps")];
    int64_t product = c->per_device_train_batch_size * c->gradient_accumulation_steps, total = c->total_train_batch_size;
    if (!total) {
        c->total_train_batch_size = product;
        c->rows_per_rank = true;
        return SC_OK;
    }
    if (rows && times && total % product)
        return FAIL(err, SC_E_ARGUMENT, "total_train_batch_size is %lld, but per_device_train_batch_size times gradient_accumulation_steps is %lld; give the total or the two",
                    (long long)total, (long long)product);
    if (rows && times) return SC_OK;
    if (!rows && !times) c->per_device_train_batch_size = 1;
    int64_t *given = times && !rows ? &c->gradient_accumulation_steps : &c->per_device_train_batch_size;
    if (total % *given)
        return FAIL(err, SC_E_ARGUMENT, "total_train_batch_size is %lld, which is no multiple of %s (%lld)", (long long)total,
                    times && !rows ? "gradient_accumulation_steps" : "per_device_train_batch_size", (long long)*given);
    if (times && !rows) c->per_device_train_batch_size = total / *given;
    else c->gradient_accumulation_steps = total / *given;
    return SC_OK;
}

static sc_status fill_weights(sc_train_config *c, const bool *is_said, sc_error *err)
{
    bool is_f32 = is_text(c->weights, "f32");
    if (is_said[recipe_row("weights")] && is_said[recipe_row("bf16")] && c->bf16 == is_f32)
        return FAIL(err, SC_E_ARGUMENT, "bf16 is %s, but weights is %s; keep one of them", c->bf16 ? "true" : "false", c->weights);
    if (c->bf16 && is_f32) c->weights = "bf16";
    c->bf16 = !is_text(c->weights, "f32");
    return SC_OK;
}

static sc_status fill_peft(sc_train_config *c, const bool *is_said, const struct sc_recipe *r, sc_error *err)
{
    bool says_rank = is_said[recipe_row("lora_r")];
    if (r->is_peft_said && r->use_peft && !says_rank) c->lora_r = 16;           /* the default of TRL and the handbook */
    if (r->is_peft_said && r->use_peft && c->lora_r == 0) return FAIL(err, SC_E_ARGUMENT, "use_peft is true, but lora_r is 0; give a rank such as 16");
    if (r->is_peft_said && !r->use_peft) {                                       /* as TRL: the other keys wait for use_peft */
        c->lora_r = 0;
        c->lora_dropout = 0;
        c->use_rslora = false;
        c->quantize_base = "";
    }
    return SC_OK;
}

static sc_status fill_revision(sc_train_config *c, const struct sc_recipe *r, struct arena *memory, sc_error *err)
{
    char name[1024];
    if (!*r->model_revision || strchr(c->model_name_or_path, '@')) return SC_OK;
    if (path_exists(c->model_name_or_path))
        return FAIL(err, SC_E_ARGUMENT, "model_revision is %s, but model_name_or_path is a file or directory here, which has no revisions; leave the key out", r->model_revision);
    int n = snprintf(name, sizeof name, "%s@%s", c->model_name_or_path, r->model_revision);
    if (n >= (int)sizeof name) return FAIL(err, SC_E_ARGUMENT, "model_name_or_path and model_revision have %d characters, expected fewer than %zu", n, sizeof name);
    c->model_name_or_path = arena_strndup(memory, name, (size_t)n);
    return SC_OK;
}

/* ---- what is wrong ---------------------------------------------------------------------------------------------------------------- */

static sc_status check_missing(const sc_train_config *c, sc_error *err)
{
    if (!*c->model_name_or_path) return FAIL(err, SC_E_ARGUMENT, "model_name_or_path is missing: which model is the start, as a directory, a .gguf file or a name");
    if (!c->n_datasets) return FAIL(err, SC_E_ARGUMENT, "dataset_name is missing: what is learned, as a file, a directory or a name of the Hub");
    if (!*c->output_dir) return FAIL(err, SC_E_ARGUMENT, "output_dir is missing: where the result goes");
    if (c->max_steps == 0 || (c->max_steps < 0 && c->num_train_epochs == 0))
        return FAIL(err, SC_E_ARGUMENT, "%s is 0, so nothing would be trained; leave it out or make it larger", c->max_steps == 0 ? "max_steps" : "num_train_epochs");
    return SC_OK;
}

static sc_status check_lora(const sc_train_config *c, sc_error *err)
{
    if (c->lora_r) return SC_OK;
    if (c->lora_dropout > 0) return FAIL(err, SC_E_ARGUMENT, "lora_dropout is %g without adapters; give lora_r a rank such as 16, or leave it out", c->lora_dropout);
    if (c->use_rslora) return FAIL(err, SC_E_ARGUMENT, "use_rslora is true without adapters; give lora_r a rank such as 16, or leave it out");
    if (*c->init_adapter) return FAIL(err, SC_E_ARGUMENT, "init_adapter is %.200s without adapters; give lora_r its rank, or leave it out", c->init_adapter);
    if (*c->quantize_base)
        return FAIL(err, SC_E_ARGUMENT, "quantize_base is %s without adapters, and quantised weights cannot be trained themselves; give lora_r a rank such as 16, or leave it out", c->quantize_base);
    return SC_OK;
}

static sc_status check_rest(const sc_train_config *c, sc_error *err)
{
    if (*c->eval_tasks && !*c->eval_data) return FAIL(err, SC_E_ARGUMENT, "eval_tasks is \"%.80s\", but eval_data does not say in which directory their data files are", c->eval_tasks);
    bool is_preference = !is_text(c->loss_type, "sft"), evaluates = !is_text(c->evaluation_strategy, "no");
    if (is_preference && is_text(c->packing, "chop")) return FAIL(err, SC_E_ARGUMENT, "packing is chop, which cuts anywhere, but loss_type %s compares whole answers; use best_fit or none", c->loss_type);
    if (is_text(c->loss_type, "dpo") && c->beta == 0) return FAIL(err, SC_E_ARGUMENT, "beta is 0, with which dpo learns nothing; 0.1 is usual");
    if (c->momentum > 0 && !is_text(c->optim, "sgd")) return FAIL(err, SC_E_ARGUMENT, "momentum is %g, but optim is %s; only sgd has one", c->momentum, c->optim);
    if (!evaluates && c->load_best_model_at_end) return FAIL(err, SC_E_ARGUMENT, "load_best_model_at_end is true, but evaluation_strategy is no, so no model is known to be the best; use epoch or steps");
    if (!evaluates && c->early_stopping_patience > 0)
        return FAIL(err, SC_E_ARGUMENT, "early_stopping_patience is %lld, but evaluation_strategy is no, so nothing tells when to stop; use epoch or steps", (long long)c->early_stopping_patience);
    if (c->load_best_model_at_end && is_text(c->save_strategy, "no")) return FAIL(err, SC_E_ARGUMENT, "load_best_model_at_end is true, but save_strategy is no, so there would be nothing to go back to");
    if (c->n_eval_datasets && c->test_size > 0) return FAIL(err, SC_E_ARGUMENT, "eval_dataset_name and test_size both say what is held out; keep one of them");
    return SC_OK;
}

sc_status recipe_resolve(sc_train_config *out, const struct sc_recipe *r, struct arena *memory, sc_error *err)
{
    bool is_said[RECIPE_ROWS_MAX];
    *out = r->config;
    out->datasets = r->datasets.item;
    out->n_datasets = r->datasets.n;
    out->eval_datasets = r->eval_datasets.item;
    out->n_eval_datasets = r->eval_datasets.n;
    for (size_t i = 0; i < train_options.n_rows; i++) is_said[i] = r->said[i].by != NULL;
    TRY(add_deepspeed(out, is_said, r, err));
    TRY(check_missing(out, err));
    TRY(fill_batch(out, is_said, err));
    TRY(fill_weights(out, is_said, err));
    TRY(fill_peft(out, is_said, r, err));
    TRY(fill_revision(out, r, memory, err));
    TRY(check_lora(out, err));
    if (!out->eval_steps) out->eval_steps = out->logging_steps;
    return check_rest(out, err);
}

/* ---- the record --------------------------------------------------------------------------------------------------------------------- */

static void put_list(struct buf *b, const char *key, const struct string_list *l)
{
    buf_printf(b, ",\"%s\":[", key);
    for (size_t i = 0; i < l->n; i++) {
        if (i) buf_putc(b, ',');
        buf_put_json_string(b, l->item[i], strlen(l->item[i]));
    }
    buf_putc(b, ']');
}

sc_status sc_recipe_record(sc_text *json, const sc_recipe *r, sc_error *err)
{
    struct arena memory;
    sc_train_config config;
    sc_text rows = { 0 };
    struct buf b;
    arena_init(&memory);
    buf_init(&b, 0);
    sc_status status = recipe_resolve(&config, r, &memory, err);
    if (status == SC_OK) status = sc_options_record(&rows, &train_options, &config);
    if (status == SC_OK) {
        buf_append(&b, rows.data, rows.len - 1);          /* without its closing brace */
        put_list(&b, "dataset_name", &r->datasets);
        put_list(&b, "eval_dataset_name", &r->eval_datasets);
        buf_putc(&b, '}');
        buf_take(&b, json);
    }
    buf_release(&b);
    sc_text_free(&rows);
    arena_release(&memory);
    return status;
}
