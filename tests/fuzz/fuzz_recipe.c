/* fuzz_recipe.c - any bytes as a recipe: refused in one sentence, or a configuration whose values are within the ranges of
 * the option table, and whose record is a recipe again that means the same. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "train/recipe_internal.h"

static void check_values(const sc_train_config *c)
{
    for (size_t i = 0; i < train_options.n_rows; i++) {
        const struct option *o = &train_options.rows[i];
        const char *at = (const char *)c + o->offset;
        if (o->type == OPT_INT && o->min < o->max && !((double)*(const int64_t *)at >= o->min && (double)*(const int64_t *)at <= o->max)) {
            if (strcmp(o->name, "gradient_accumulation_steps") != 0 && strcmp(o->name, "total_train_batch_size") != 0) abort();
        }
        if (o->type == OPT_REAL && !(*(const double *)at >= o->min && *(const double *)at <= o->max)) abort();
        if ((o->type == OPT_STRING || o->type == OPT_CHOICE) && !*(const char *const *)at) abort();
    }
    if (c->total_train_batch_size != c->per_device_train_batch_size * c->gradient_accumulation_steps) abort();
}

static void check_record(sc_recipe *r)
{
    sc_text record = { 0 }, second = { 0 };
    json_t *json = NULL, *value;
    sc_recipe *again = NULL;
    sc_error err = { 0 };
    const char *key;
    if (sc_recipe_record(&record, r, &err) != SC_OK || json_read(&json, record.data, record.len, "record", &err) != SC_OK) abort();
    if (sc_recipe_open(&again, NULL, &err) != SC_OK) abort();
    json_object_foreach(json, key, value) if (recipe_apply(again, key, value, &err) != SC_OK) abort();
    if (sc_recipe_record(&second, again, &err) != SC_OK || strcmp(record.data, second.data) != 0) abort();
    sc_recipe_close(again);
    json_decref(json);
    sc_text_free(&record);
    sc_text_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *file = NULL, *value;
    sc_recipe *r = NULL;
    sc_error err = { 0 };
    const sc_train_config *config;
    const char *key;
    if (size > 65536 || sc_recipe_open(&r, NULL, &err) != SC_OK) return 0;
    sc_status status = yaml_read(&file, NULL, (const char *)data, size, "fuzz", &err);
    /* A path behind `deepspeed` would read any file; its content as a map is read here. */
    json_object_foreach(file, key, value)
        if (status == SC_OK && !(strcmp(key, "deepspeed") == 0 && json_is_string(value))) status = recipe_apply(r, key, value, &err);
    if (status == SC_OK) status = sc_recipe_config(&config, r, &err);
    if (status != SC_OK && !err.message[0]) abort();
    if (status == SC_OK) {
        check_values(config);
        check_record(r);
    }
    if (!sc_recipe_notes(r)) abort();
    sc_recipe_close(r);
    json_decref(file);
    return 0;
}
