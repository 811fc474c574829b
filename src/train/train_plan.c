/* train_plan.c - the most memory a run will take, before anything is loaded: what is there after opening, the weights that
 * will be read, what is trained, and the scratch of the largest pass, which a dry one measures. */
#include "train/train_internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Memory of this process now, in bytes. */
static uint64_t resident(void)
{
    unsigned long long pages = 0, all = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%llu %llu", &all, &pages) != 2) pages = 0;
    if (f) fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static size_t matrix_bytes(const struct tensor *t) { return t->data ? tensor_row_bytes(t) * t->rows : 0; }

/* Of the file: what passes read. Trained and quantised matrices are copies, whose originals are let go. */
static uint64_t mapped_bytes(const struct learner *l)
{
    const struct model *m = &l->model->model;
    uint64_t bytes = m->weight_bytes + (m->head.w.data == m->embed.w.data ? 0 : matrix_bytes(&m->embed.w)) + matrix_bytes(&m->position.w);
    if (l->what.is_full) return 0;
    for (size_t i = 0; l->quantizes && i < m->config.layers; i++) {
        const struct layer *y = &m->layers[i];
        const struct weight *const w[] = { &y->qkv, &y->q, &y->k, &y->v, &y->o, &y->gate, &y->up, &y->down };
        for (size_t k = 0; k < sizeof w / sizeof *w; k++) bytes -= w[k]->w.dtype == l->base_type ? 0 : matrix_bytes(&w[k]->w);
    }
    return bytes;
}

/* Cache, scratch and logits of the session that answers the sample prompts. */
static uint64_t sample_bytes(struct learner *l)
{
    const struct model_config *c = &l->model->model.config;
    uint64_t context = SAMPLE_CONTEXT < c->context ? SAMPLE_CONTEXT : c->context;
    if (l->config->eval_samples <= 0) return 0;
    return context * c->layers * c->kv_heads * c->head_dim * 2 * sizeof(float) + 4 * SAMPLE_CHUNK * (c->inner + 4 * c->embd) * sizeof(float) + 3 * model_vocab(&l->model->model) * sizeof(float);
}

void plan_memory(struct memory_plan *out, struct learner *l, size_t rows)
{
    size_t a_row = sizeof(int32_t) * 4 + sizeof(size_t) + 2 * sizeof(float) + sizeof(struct target_of);
    *out = (struct memory_plan){ .opened = resident() };
    learner_measure(l, rows);
    out->weights = mapped_bytes(l) + (l->quantizes ? base_quantized_bytes(&l->model->model, l->base_type) : 0);
    const struct trainable_size size = trainable_size(&l->model->model, &l->what);
    out->trained = size.all;
    out->state = size.state;
    out->messages = l->what.sharing.size > 1 ? shards_bytes(l->what.sharing.size) : 0;
    out->pass = l->step_bytes;
    out->rows = (uint64_t)(l->n_leaves + 1) * (rows + 1) * a_row;
    out->samples = sample_bytes(l);
    out->peak = out->opened + out->weights + out->trained + out->pass + out->rows + out->samples + out->messages;
}

json_t *plan_describe(const struct memory_plan *p)
{
    return json_pack("{s:I, s:{s:I, s:I, s:I, s:I, s:I, s:I}}", "peak_bytes", (json_int_t)p->peak, "parts", "opened", (json_int_t)p->opened, "weights", (json_int_t)p->weights, "trained", (json_int_t)p->trained,
                     "pass", (json_int_t)p->pass, "rows", (json_int_t)p->rows, "samples", (json_int_t)p->samples);
}

sc_status plan_check(const struct memory_plan *p, const sc_runtime *rt, sc_error *err)
{
    uint64_t limit = rt->memory_limit ? rt->memory_limit : system_memory();
    if (p->peak <= limit) return SC_OK;
    return FAIL(err, SC_E_MEMORY, "this run needs %.2f GiB of memory, but there are %.2f GiB; `starchat plan` shows what for: a smaller block_size, lora_r, quantize_base or optim adamw_8bit need less",
                (double)p->peak / (1 << 30), (double)limit / (1 << 30));
}

/* Rows of the data where they are prepared, else the longest that may come. */
static size_t longest_row(const sc_train_config *c)
{
    size_t block = (size_t)c->block_size;
    return strcmp(c->loss_type, "sft") == 0 ? block : 2 * block;
}

sc_status sc_train_plan(sc_text *json, sc_runtime *rt, const sc_train_config *c, sc_error *err)
{
    struct learner l;
    struct memory_plan p;
    const char *template_name = c->dialogue_template && *c->dialogue_template ? c->dialogue_template : NULL;
    sc_status status = learner_open(&l, rt, c, template_name, err);
    if (status == SC_OK) {
        plan_memory(&p, &l, longest_row(c));
        json_t *o = plan_describe(&p);
        json_object_set_new(o, "ranks", json_integer(1));
        json_object_set_new(o, "traffic_bytes_per_step", json_integer(0));
        json_object_set_new(o, "limit_bytes", json_integer((json_int_t)(rt->memory_limit ? rt->memory_limit : system_memory())));
        json_object_set_new(o, "trained_parameters", json_integer((json_int_t)l.n_trained));
        status = json_write(json, o, false);
        json_decref(o);
    }
    learner_close(&l);
    return status;
}
