/* result.c - what a run leaves for others: a PEFT adapter or a whole model in Hugging Face's form, and a GGUF file if the
 * recipe wants one. Each is read back and must compute what the model in memory computes. */
#include "train/train_internal.h"

#include <string.h>

static sc_status check(const struct learner *l, struct journal *j, const char *path, sc_error *err)
{
    double difference;
    TRY(saved_model_check(&difference, l->model, path, err));
    journal_note(j, "%s: read back, logits differ by %.1e of their range", path, difference);
    return SC_OK;
}

static sc_status save_model(const struct learner *l, const char *out, const char *type, json_t *lineage, sc_error *err)
{
    struct companions companions = { 0 };
    sc_status status = companions_make(&companions, l->model, err);
    if (status == SC_OK) {
        companions.extra[companions.n] = (struct save_extra){ 0 };
        const struct model_save_config save = { .out = out, .type = type, .overwrite = true, .with_adapters = true, .extras = companions.extra, .lineage = lineage, .pool = l->rt->pool, .cancel = &l->rt->cancel };
        status = model_save(&l->model->model, l->model->file, &save, err);
    }
    companions_release(&companions);
    return status;
}

sc_status result_write_now(struct learner *l, sc_error *err)
{
    const sc_train_config *c = l->config;
    if (l->what.is_full) return save_model(l, c->output_dir, l->what.values == VALUE_F32 ? "" : "bf16", NULL, err);
    return adapter_save(c->output_dir, l->model, &l->adapter, c->model_name_or_path, l->what.new_rows, err);
}

sc_status result_write(struct learner *l, struct journal *j, json_t *lineage, sc_error *err)
{
    const sc_train_config *c = l->config;
    TRY(result_write_now(l, err));
    TRY(check(l, j, c->output_dir, err));
    if (!c->export_gguf || !*c->export_gguf) return SC_OK;
    char *path = path_join(c->output_dir, "model.gguf");
    sc_status status = save_model(l, path, c->export_gguf, lineage, err);
    if (status == SC_OK) status = check(l, j, path, err);
    mem_free(path);
    return status;
}
