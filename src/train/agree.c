/* agree.c - ranks that run another program, recipe, data or model than rank 0 are refused before anything is computed: the result
 * would be wrong without a word. */
#include "train/train_internal.h"

#include <stdio.h>
#include <string.h>

enum { HEX = 65, SAMPLE = 64, SAMPLES = 16 };

/* Of the program's file; of a program that cannot be read, its version. */
static void digest_program(char hex[HEX])
{
    struct mapped_file f;
    sc_error ignored;
    struct sha256 h;
    sha256_begin(&h);
    if (file_map(&f, "/proc/self/exe", &ignored) == SC_OK) {
        sha256_add(&h, f.data, f.size);
        file_unmap(&f);
    } else sha256_add(&h, SC_VERSION, strlen(SC_VERSION));
    sha256_end(&h, hex);
}

static sc_status digest_recipe(char hex[HEX], const sc_train_config *config, sc_error *err)
{
    sc_text text = { 0 };
    struct sha256 h;
    TRY(sc_options_record(&text, &train_options, config));
    sha256_begin(&h);
    sha256_add(&h, text.data, text.len);
    for (size_t i = 0; i < config->n_datasets; i++) sha256_add(&h, config->datasets[i], strlen(config->datasets[i]) + 1);
    for (size_t i = 0; i < config->n_eval_datasets; i++) sha256_add(&h, config->eval_datasets[i], strlen(config->eval_datasets[i]) + 1);
    sha256_end(&h, hex);
    sc_text_free(&text);
    (void)err;
    return SC_OK;
}

sc_status agree_on_job(struct comm *c, const sc_runtime *rt, const sc_train_config *config, sc_error *err)
{
    char hex[HEX], kernels[16] = "";
    if (c->size == 1) return SC_OK;
    digest_program(hex);
    TRY(comm_agree(c, "the program", hex, sizeof hex, err));
    snprintf(kernels, sizeof kernels, "%s", rt->backend->kernels_name(rt->kernels));
    TRY(comm_agree(c, "the instruction set (--kernels)", kernels, sizeof kernels, err));
    TRY(digest_recipe(hex, config, err));
    return comm_agree(c, "the recipe", hex, sizeof hex, err);
}

static void digest_data(char hex[HEX], const struct corpus *data)
{
    const sc_dataset *const set[] = { data->train_data, data->eval_data };
    struct sha256 h;
    sha256_begin(&h);
    for (size_t i = 0; i < 2; i++) {
        char *text = json_dumps(set[i]->manifest, JSON_COMPACT | JSON_SORT_KEYS);       /* it has the digests of all shards */
        if (text) sha256_add(&h, text, strlen(text));
        mem_free(text);
    }
    sha256_end(&h, hex);
}

/* Name, type, shape and some bytes of every tensor: reading all would take minutes. */
static void add_tensors(struct sha256 *h, const struct model_file *f)
{
    for (size_t i = 0; f && i < f->n_tensors; i++) {
        const struct file_tensor *t = &f->tensors[i];
        sha256_add(h, t->name, strlen(t->name) + 1);
        sha256_add(h, &t->dtype, sizeof t->dtype);
        sha256_add(h, t->dims, (size_t)t->n_dims * sizeof *t->dims);
        for (size_t k = 0; k < SAMPLES; k++) {
            size_t at = t->bytes > SAMPLE ? (t->bytes - SAMPLE) / (SAMPLES - 1) * k : 0;
            sha256_add(h, (const char *)t->data + at, t->bytes < SAMPLE ? t->bytes : SAMPLE);
        }
    }
}

static void digest_model(char hex[HEX], const sc_model *m)
{
    struct sha256 h;
    sha256_begin(&h);
    add_tensors(&h, m->file);
    add_tensors(&h, m->adapter);
    sha256_end(&h, hex);
}

sc_status agree_on_files(struct comm *c, const struct corpus *data, const sc_model *m, sc_error *err)
{
    char hex[HEX];
    if (c->size == 1) return SC_OK;
    digest_data(hex, data);
    TRY(comm_agree(c, "the data", hex, sizeof hex, err));
    digest_model(hex, m);
    return comm_agree(c, "the model", hex, sizeof hex, err);
}
