/* evaluate_tasks.c - benchmarks under the weights as they are. Where adapters are trained, the base is the same model without them: it is measured
 * once, and every number of the tuned model is told with what the base has and the difference. */
#include "train/train_internal.h"

#include <string.h>

enum { MATRICES = 8 };

/* Takes the adapters off, or puts them back. `kept`: MATRICES for each layer. Returns whether there are any. */
static bool exchange_adapters(struct model *m, const struct lora **kept)
{
    bool any = false;
    for (size_t i = 0; i < m->config.layers; i++) {
        struct layer *l = &m->layers[i];
        struct weight *const w[MATRICES] = { &l->qkv, &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };
        for (size_t k = 0; k < MATRICES; k++) {
            const struct lora *was = w[k]->lora;
            w[k]->lora = kept[i * MATRICES + k];
            kept[i * MATRICES + k] = was;
            any = any || was;
        }
    }
    return any;
}

static sc_status measure_base(json_t **out, struct learner *l, const struct live_tasks *t, sc_error *err)
{
    struct model *m = &l->model->model;
    const struct lora **kept = mem_zero(m->config.layers * MATRICES, sizeof *kept);
    bool any = exchange_adapters(m, kept);
    sc_status status = any ? measure_live(out, l->model, t, err) : SC_OK;
    exchange_adapters(m, kept);
    mem_free(kept);
    return status;
}

static const json_t *same_number(const json_t *list, const json_t *one)
{
    size_t i;
    json_t *other;
    json_array_foreach(list, i, other)
        if (json_equal(json_object_get(other, "task"), json_object_get(one, "task")) && json_equal(json_object_get(other, "metric"), json_object_get(one, "metric"))) return other;
    return NULL;
}

sc_status evaluate_tasks(struct learner *l, json_t **base, struct journal *j, int64_t step, sc_error *err)
{
    const sc_train_config *c = l->config;
    const struct live_tasks t = { c->eval_tasks, c->eval_data, c->eval_tasks_limit, c->eval_tasks_num_fewshot, c->eval_tasks_apply_chat_template };
    json_t *tuned = NULL, *one;
    size_t i;
    if (!c->eval_tasks || !*c->eval_tasks) return SC_OK;
    if (!*base) TRY(measure_base(base, l, &t, err));
    TRY(measure_live(&tuned, l->model, &t, err));
    sc_status status = SC_OK;
    json_array_foreach(tuned, i, one) {
        const json_t *before = same_number(*base, one);
        json_t *event = json_pack("{s:s, s:I}", "event", "eval_task", "step", (json_int_t)step);
        json_object_update(event, one);
        if (before) {
            double was = json_number_value(json_object_get(before, "value"));
            json_object_set_new(event, "base", json_real(was));
            json_object_set_new(event, "difference", json_real(json_number_value(json_object_get(one, "value")) - was));
        }
        if (status == SC_OK) status = journal_put(j, event, err);
        else json_decref(event);
    }
    json_decref(tuned);
    return status;
}
