/* train_plan.c - the most memory a run will take, before anything is loaded: what is there after opening, the weights that
 * will be read, what is trained, and the scratch of the largest pass, which a dry one measures. */
#include "train/train_internal.h"

#include <math.h>
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
    out->rows = (uint64_t)(l->n_leaves + (size_t)l->what.sharing.size) * (rows + 1) * a_row;
    out->samples = sample_bytes(l);
    out->peak = out->opened + out->weights + out->trained + out->pass + out->rows + out->samples + out->messages;
}

json_t *plan_describe(const struct memory_plan *p)
{
    json_t *o = json_pack("{s:I, s:{s:I, s:I, s:I, s:I, s:I, s:I}}", "peak_bytes", (json_int_t)p->peak, "parts", "opened", (json_int_t)p->opened, "weights", (json_int_t)p->weights, "trained", (json_int_t)p->trained,
                          "pass", (json_int_t)p->pass, "rows", (json_int_t)p->rows, "samples", (json_int_t)p->samples);
    json_t *parts = json_object_get(o, "parts");
    if (!p->messages) return o;                              /* on several ranks, what is sliced and what is not apart */
    json_object_set_new(parts, "trained_slices", json_integer((json_int_t)p->state));
    json_object_set_new(parts, "trained_whole", json_integer((json_int_t)(p->trained - p->state)));
    json_object_del(parts, "trained");
    json_object_set_new(parts, "messages", json_integer((json_int_t)p->messages));
    return o;
}

sc_status plan_check(const struct memory_plan *p, const sc_runtime *rt, sc_error *err)
{
    uint64_t ranks = (uint64_t)rt->comm.host_size, limit = rt->memory_limit, needed = p->peak;
    if (!limit) {                                            /* of the machine, whose ranks share the mapped file or the quantised base */
        limit = system_memory();
        needed = (p->peak - p->weights) * ranks + p->weights;
    } else ranks = 1;
    if (needed <= limit) return SC_OK;
    return FAIL(err, SC_E_MEMORY, "%s %.2f GiB of memory, but there are %.2f GiB; `starchat plan` shows what for: a smaller block_size, lora_r, quantize_base, optim adamw_8bit%s need less",
                ranks > 1 ? "the ranks of this machine need" : "this run needs", (double)needed / (1 << 30), (double)limit / (1 << 30), ranks > 1 ? ", fewer ranks a machine or zero: 3" : "");
}

/* Rows of the data where they are prepared, else the longest that may come. */
static size_t longest_row(const sc_train_config *c)
{
    size_t block = (size_t)c->block_size;
    return strcmp(c->loss_type, "sft") == 0 ? block : 2 * block;
}

/* ---- several ranks ----------------------------------------------------------------------------------------------------------- */

/* Bytes of the values of group 0, of the other groups, and of all as gradients. */
struct volumes { double outside, blocks, gradient; size_t n_blocks; };

static struct volumes volumes_of(const struct trainable *t, const struct trainable_config *what)
{
    struct volumes v = { 0 };
    for (size_t i = 0; i < t->n; i++) {
        const struct parameter *p = &t->parameter[i];
        bool is_half = what->is_full && what->values != VALUE_F32 && p->is_matrix;
        *(p->group ? &v.blocks : &v.outside) += (double)parameter_elements(p) * (is_half ? sizeof(uint16_t) : sizeof(float));
    }
    for (size_t g = 1; g < t->n_groups; g++) v.n_blocks += group_elements(t, g) > 0;
    v.gradient = (double)t->elements * sizeof(float);
    return v;
}

/* What one rank sends in a step, on average: of each thing that travels it has a share 1/N for N - 1 others. */
static double sent_bytes(const struct volumes *v, const struct sharing *s, size_t leaves)
{
    double n = s->size, all = (double)leaves, first = fmin(all, n), bytes = v->gradient * (n - 1) / n * all / n;
    if (s->size == 1) return 0;
    if (s->stage == 0) return bytes + v->gradient * (n - 1) / n;
    if (s->stage < 3 || !v->n_blocks) return bytes + (v->outside + v->blocks) * (n - 1) / n;
    /* A pass gathers each block forward and back, but for the last two, which are there still; after the first round also but for
     * the first two. */
    double blocks = (double)v->n_blocks, gathers = first * fmax(1, 2 * blocks - 2) + (all - first) * fmax(0, 2 * blocks - 4);
    return bytes + (v->outside + v->blocks / blocks * gathers / n) * (n - 1) / n;
}

/* Operations of one leaf: two for each weight and token forward, twice that back (half of it where weights are frozen), and once
 * more for blocks computed again; attention beside it. */
static double leaf_operations(const struct learner *l, size_t rows)
{
    const struct model_config *m = &l->model->model.config;
    double weights = (double)l->model->model.parameters - (double)(m->is_tied ? 0 : m->vocab * m->embd), tokens = (double)rows;
    double passes = (l->what.is_full ? 3 : 2) + (l->config->recompute ? 1 : 0);
    return 2 * tokens * passes * (weights + (double)(m->layers * m->heads * m->head_dim) * tokens);
}

static const double SHARE_OF_PEAK = 0.75;     /* that training reaches of the machine's f32 operations: docs/performance.md */

static json_t *describe_step(const struct learner *l, double sent, double gbits, size_t rows)
{
    struct machine_limits limits = { 0 };
    double rounds = ceil((double)l->n_leaves / l->what.sharing.size);
    l->rt->backend->measure(&limits, l->rt->pool);
    double compute = rounds * leaf_operations(l, rows) / (SHARE_OF_PEAK * limits.f32_ops), network = 8 * sent / (gbits * 1e9);
    return json_pack("{s:f, s:f, s:f, s:s}", "network_gbits", gbits, "compute_seconds", compute, "network_seconds", network, "bound_by", network > compute ? "network" : "compute");
}

static void add_ranks(json_t *o, struct learner *l, const sc_plan_config *plan, size_t rows)
{
    struct trainable t;
    trainable_list(&t, &l->model->model, &l->what);
    const struct volumes v = volumes_of(&t, &l->what);
    double sent = sent_bytes(&v, &l->what.sharing, l->n_leaves);
    trainable_close(&t);
    json_object_set_new(o, "ranks", json_integer(l->what.sharing.size));
    json_object_set_new(o, "zero", json_integer(l->what.sharing.size > 1 ? l->what.sharing.stage : 0));
    json_object_set_new(o, "rows_per_step", json_integer((json_int_t)l->n_leaves));
    json_object_set_new(o, "traffic_bytes_per_step", json_integer((json_int_t)sent));
    if (plan->network_gbits > 0) json_object_set_new(o, "step", describe_step(l, sent, plan->network_gbits, rows));
}

sc_status sc_train_plan(sc_text *json, sc_runtime *rt, const sc_train_config *c, const sc_plan_config *plan, sc_error *err)
{
    struct learner l;
    struct memory_plan p;
    const char *template_name = c->dialogue_template && *c->dialogue_template ? c->dialogue_template : NULL;
    sc_status status = learner_open(&l, rt, c, template_name, err);
    if (status == SC_OK) {
        l.what.sharing = (struct sharing){ (int)c->zero, 0, (int)plan->ranks };
        l.n_leaves *= c->rows_per_rank ? (size_t)plan->ranks : 1;
        plan_memory(&p, &l, longest_row(c));
        json_t *o = plan_describe(&p);
        add_ranks(o, &l, plan, longest_row(c));
        json_object_set_new(o, "limit_bytes", json_integer((json_int_t)(rt->memory_limit ? rt->memory_limit : system_memory())));
        json_object_set_new(o, "trained_parameters", json_integer((json_int_t)l.n_trained));
        status = json_write(json, o, false);
        json_decref(o);
    }
    learner_close(&l);
    return status;
}
