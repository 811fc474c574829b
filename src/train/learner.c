/* learner.c - what a run trains: the model with its adapters, the parameters, and all memory a step can need, taken and
 * touched before the first one, so that no later sample can ask for more. */
#include "train/train_internal.h"

#include <stdio.h>
#include <string.h>

/* ---- the recipe's words as rows ------------------------------------------------------------------------------------------ */

static const struct optimizer *find_optimizer(const char *optim)
{
    const char *name = strstr(optim, "sgd") ? "sgd" : "adamw";
    for (size_t i = 0; optimizers[i].name; i++)
        if (strcmp(optimizers[i].name, name) == 0) return &optimizers[i];
    return NULL;
}

static sc_status find_schedule(const struct schedule **out, const char *name, sc_error *err)
{
    for (size_t i = 0; schedules[i].name; i++)
        if (strcmp(schedules[i].name, name) == 0) { *out = &schedules[i]; return SC_OK; }
    return FAIL(err, SC_E_ARGUMENT, "lr_scheduler_type is \"%s\", expected cosine, linear, constant, constant_with_warmup or warmup_lr", name);
}

static enum value_storage find_storage(const sc_train_config *c)
{
    if (strcmp(c->weights, "bf16_stochastic") == 0) return VALUE_BF16_STOCHASTIC;
    return strcmp(c->weights, "bf16") == 0 ? VALUE_BF16_MASTER : VALUE_F32;
}

static sc_status find_base_type(struct learner *l, const char *name, sc_error *err)
{
    l->quantizes = true;
    if (dtype_by_name(&l->base_type, name) && dtypes[l->base_type].from_f32) return SC_OK;
    return FAIL(err, SC_E_ARGUMENT, "quantize_base is \"%s\", expected nf4, q8_0, q4_0, q4_1, q5_0, q5_1, q4_k, q5_k, q6_k, f16 or bf16", name);
}

/* ---- adapters ------------------------------------------------------------------------------------------------------------- */

/* What an adapter directory holds lies in its mapping, which nobody may write. */
static void own_matrix(struct arena *memory, struct tensor *t)
{
    size_t bytes = t->rows * t->cols * sizeof(float);
    t->data = memcpy(arena_take(memory, bytes), t->data, bytes);
}

static void own_adapter(void *user, const struct model_tensor *t)
{
    struct learner *l = user;
    struct lora *lora = t->is_bias || t->row->flags & WF_NORM ? NULL : (struct lora *)(uintptr_t)((const struct weight *)t->tensor)->lora;
    if (!lora) return;
    lora->dropout = (float)l->config->lora_dropout;
    own_matrix(&l->memory, &lora->a.w);
    own_matrix(&l->memory, &lora->b.w);
}

/* target_modules of an adapter_config.json as a recipe has them: a text or a list. */
static char *targets_of(const json_t *config)
{
    const json_t *targets = json_object_get(config, "target_modules"), *name;
    struct buf b;
    size_t i;
    if (json_is_string(targets)) return mem_strdup(json_string_value(targets));
    buf_init(&b, 0);
    json_array_foreach(targets, i, name) buf_printf(&b, "%s%s", i ? "," : "", json_string_value(name));
    return b.data ? b.data : mem_strdup("");
}

/* Goes on with an adapter that exists: its rank and scale, its values. */
static sc_status attach_existing(struct learner *l, sc_error *err)
{
    const json_t *config = l->model->adapter->config;
    const char *what = l->config->init_adapter;
    struct model *m = &l->model->model;
    l->targets = targets_of(config);
    l->adapter.target_modules = l->targets;
    TRY(json_need_int(&l->adapter.r, config, "r", 1, 4096, what, err));
    TRY(json_opt_real(&l->adapter.alpha, config, "lora_alpha", 8, 0, 1e6, what, err));
    TRY(json_opt_bool(&l->adapter.use_rslora, config, "use_rslora", false, what, err));
    model_each(m, own_adapter, l);
    return SC_OK;
}

static sc_status attach(struct learner *l, sc_error *err)
{
    const sc_train_config *c = l->config;
    l->adapter = (struct adapter_config){ c->lora_r, c->lora_alpha, c->lora_dropout, c->use_rslora, c->lora_target_modules, c->seed };
    return l->model->adapter ? attach_existing(l, err) : adapter_attach(&l->model->model, &l->memory, &l->adapter, err);
}

/* ---- new tokens --------------------------------------------------------------------------------------------------------------- */

static void copy_row(struct tensor *to, size_t row, const struct tensor *table, size_t from)
{
    dtypes[table->dtype].to_f32(tensor_f32(to) + row * to->cols, tensor_row(table, from), to->cols);
}

/* The new tokens that end an answer begin as the model's own first one does: it knows already when to say it. */
static sc_status begin_as_end(struct learner *l, sc_error *err)
{
    struct model *m = &l->model->model;
    int32_t own = -1;
    size_t n = 0;
    for (size_t i = 0; i < l->model->n_end && own < 0; i++)
        if ((size_t)l->model->end[i] < m->config.vocab) own = l->model->end[i];
    for (size_t i = 0; i < l->model->n_end && own >= 0; i++) {
        size_t row = (size_t)l->model->end[i] - m->config.vocab;
        if ((size_t)l->model->end[i] < m->config.vocab || row >= m->extra.rows) continue;
        copy_row(&m->extra, row, &m->embed.w, (size_t)own);
        if (m->extra_head.data != m->extra.data) copy_row(&m->extra_head, row, &m->head.w, (size_t)own);
        n++;
    }
    return n ? SC_OK : FAIL(err, SC_E_ARGUMENT, "init_new_tokens is end, but %s; leave it out", own < 0 ? "the model has no end token of its own" : "the template adds no end token to this model");
}

sc_status learner_open(struct learner *out, sc_runtime *rt, const sc_train_config *c, const char *chat_template, sc_error *err)
{
    struct learner *l = out;
    bool is_full = c->lora_r == 0;
    *l = (struct learner){ .rt = rt, .config = c, .optimizer = find_optimizer(c->optim) };
    arena_init(&l->memory);
    arena_init(&l->step);
    TRY(find_schedule(&l->schedule, c->lr_scheduler_type, err));
    TRY(sc_model_open(&l->model, rt, &(sc_model_config){ .path = c->model_name_or_path, .chat_template = chat_template, .adapter = c->init_adapter }, err));
    if (c->eval_tasks && *c->eval_tasks && c->eval_tasks_apply_chat_template && !l->model->has_template)
        return FAIL(err, SC_E_ARGUMENT, "eval_tasks_apply_chat_template is true, but neither the recipe nor %s has a chat template; set dialogue_template, or leave it out", c->model_name_or_path);
    struct model *m = &l->model->model;
    bool new_rows = m->extra.rows && strcmp(c->train_new_tokens, "false") != 0;
    if (strcmp(c->train_new_tokens, "true") == 0 && !m->extra.rows)
        return FAIL(err, SC_E_ARGUMENT, "train_new_tokens is true, but the template adds no token that %s lacks", c->model_name_or_path);
    if (strcmp(c->init_new_tokens, "end") == 0 && !l->model->adapter) TRY(begin_as_end(l, err));
    l->what = (struct trainable_config){ is_full, new_rows, find_storage(c), strstr(c->optim, "8bit") ? MOMENT_8BIT : MOMENT_F32, { (int)c->zero, rt->comm.rank, rt->comm.size } };
    if (!is_full) TRY(attach(l, err));
    if (c->quantize_base && *c->quantize_base) TRY(find_base_type(l, c->quantize_base, err));
    l->n_leaves = (size_t)c->total_train_batch_size * (c->rows_per_rank ? (size_t)l->what.sharing.size : 1);
    return SC_OK;
}

/* ---- memory ------------------------------------------------------------------------------------------------------------------ */

static struct exec learner_exec(struct learner *l)
{
    return (struct exec){ .pool = l->rt->pool, .backend = l->rt->backend, .kernels = l->rt->kernels, .many_rows = true, .step = &l->step, .cancel = l->shards ? NULL : &l->rt->cancel /* ranks end a step together */,
                          .keep_bytes = l->config->recompute ? 0 : SIZE_MAX, .embedding_noise = (float)l->config->neftune_noise_alpha,
                          .dropout = { (float)l->config->attn_pdrop, (float)l->config->resid_pdrop, (float)l->config->embd_pdrop } };
}

/* A gradient that is not there yet, but wanted: a dry pass only asks whether one is. */
static void pretend_gradients(struct learner *l, float *place)
{
    for (size_t i = 0; i < l->trainable.n; i++) l->trainable.parameter[i].tensor->grad = place;
    model_tie(&l->model->model);
}

void learner_measure(struct learner *l, size_t rows)
{
    struct leaf leaf;
    struct exec e = learner_exec(l);
    float place = 0;
    leaf_init(&leaf, rows);
    leaf.rows = rows;
    for (size_t i = 0; i < rows; i++) {
        leaf.token[i] = leaf.label[i] = 0;
        leaf.position[i] = (int32_t)i;
        leaf.sequence[i] = 0;
        leaf.row[i] = i;
        leaf.weight[i] = 1;
    }
    bool pretends = !l->trainable.memory;
    if (pretends) {
        trainable_list(&l->trainable, &l->model->model, &l->what);
        l->n_trained = l->trainable.trained;
        pretend_gradients(l, &place);
    }
    e.is_dry = true;
    l->step.peak = 0;
    model_learn(&l->model->model, &e, &(struct batch){ .rows = rows, .token = leaf.token, .position = leaf.position, .sequence = leaf.sequence },
                &(struct learn_rows){ leaf.row, leaf.label, leaf.weight, leaf.loss, rows, NULL, NULL }, true);
    l->step_bytes = l->step.peak;
    arena_rewind(&l->step, (struct arena_mark){ 0 });
    if (pretends) {
        pretend_gradients(l, NULL);
        trainable_close(&l->trainable);
    }
    leaf_release(&leaf);
}

static void touch(struct arena *a, size_t bytes)
{
    memset(arena_take(a, bytes), 0, bytes);
    arena_rewind(a, (struct arena_mark){ 0 });
}

static sc_status reserve(struct learner *l, sc_error *err)
{
    if (l->quantizes) TRY(base_quantize(&l->base, &l->model->model, l->base_type, &l->rt->comm, l->rt->pool, &l->rt->cancel, err));
    TRY(trainable_open(&l->trainable, &l->model->model, &l->what, err));
    touch(&l->step, l->step_bytes);
    return SC_OK;
}

sc_status learner_reserve(struct learner *l, sc_error *err)
{
    TRY(comm_all_ok(&l->rt->comm, reserve(l, err), err));
    return shards_open(&l->shards, l, err);
}

void learner_close(struct learner *l)
{
    for (size_t i = 0; l->leaf && i < l->n_leaves; i++) leaf_release(&l->leaf[i]);
    mem_free(l->leaf);
    mem_free(l->targets);
    shards_close(l->shards);
    trainable_close(&l->trainable);
    sc_model_close(l->model);
    base_release(&l->base);
    arena_release(&l->memory);
    arena_release(&l->step);
    *l = (struct learner){ 0 };
}

/* ---- a pass ------------------------------------------------------------------------------------------------------------------- */

sc_status learner_pass(struct learner *l, const struct leaf *leaf, uint64_t seed, bool wants_gradient, void (*weigh)(void *user), void *user, sc_error *err)
{
    struct exec e = learner_exec(l);
    const struct batch batch = { .rows = leaf->rows, .token = leaf->token, .position = leaf->position, .sequence = leaf->sequence, .seed = seed };
    const struct learn_rows rows = { leaf->row, leaf->label, leaf->weight, leaf->loss, leaf->n, weigh, user };
    model_learn(&l->model->model, &e, &batch, &rows, wants_gradient);
    if (shards_failed(l->shards, err)) return e.status;
    if (e.status == SC_E_CANCELLED) return FAIL(err, SC_E_CANCELLED, "training was stopped");
    return e.status == SC_OK ? SC_OK : FAIL(err, e.status, "a pass through the model failed");
}

sc_status learner_round(struct learner *l, const struct round *r, sc_error *err)
{
    if (l->shards) return shards_round(l->shards, r, err);
    if (r->wants_gradient) trainable_begin_leaf(&l->trainable, l->rt->pool);
    TRY(r->pass(r->user, 0, err));
    if (r->wants_gradient) trainable_end_leaf(&l->trainable, l->rt->pool);
    return SC_OK;
}
